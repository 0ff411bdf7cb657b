/*
 * Makes instances and calls them, through the WebAssembly C API: the same source for every engine that provides it.
 *
 *     instances MODULE COUNT      prints, one line for each instance, the nanoseconds from the start of making its store until
 *                                 the instance is made, the first call has returned, the second has, and all is deleted
 *
 * With -DWASMTIME instances come from its pooling allocator; KEEP is how much of a memory it clears by hand and keeps.
 */
#include "wasm.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef WASMTIME
typedef struct wasmtime_pooling_allocation_config_t pooling_t;
pooling_t *wasmtime_pooling_allocation_config_new(void);
void wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pooling_t *, size_t);
void wasmtime_pooling_allocation_config_table_keep_resident_set(pooling_t *, size_t);
void wasmtime_pooling_allocation_config_total_memories_set(pooling_t *, uint32_t);
void wasmtime_pooling_allocation_strategy_set(wasm_config_t *, const pooling_t *);

static void configure(wasm_config_t *config) {
    pooling_t *pooling = wasmtime_pooling_allocation_config_new();
    wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pooling, KEEP);
    wasmtime_pooling_allocation_config_table_keep_resident_set(pooling, KEEP);
    wasmtime_pooling_allocation_strategy_set(config, pooling);
}
#else
static void configure(wasm_config_t *config) { (void)config; }
#endif

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 3) fail("reading the arguments");
    FILE *file = fopen(argv[1], "rb");
    wasm_byte_vec_t binary;
    if (!file || fseek(file, 0, SEEK_END)) fail("opening the module");
    wasm_byte_vec_new_uninitialized(&binary, (size_t)ftell(file));
    rewind(file);
    if (fread(binary.data, 1, binary.size, file) != binary.size) fail("reading the module");
    fclose(file);

    wasm_config_t *config = wasm_config_new();
    configure(config);
    wasm_engine_t *engine = wasm_engine_new_with_config(config);
    wasm_store_t *first = wasm_store_new(engine);
    wasm_module_t *compiled = wasm_module_new(first, &binary);
    if (!compiled) fail("compiling");
    wasm_shared_module_t *shared = wasm_module_share(compiled);
    int count = atoi(argv[2]);
    int64_t (*times)[4] = calloc((size_t)count, sizeof *times);
    for (int n = 0; n < count; n++) {
        int64_t start = now();
        wasm_store_t *store = wasm_store_new(engine);
        wasm_module_t *module = wasm_module_obtain(store, shared);
        wasm_extern_vec_t none = WASM_EMPTY_VEC, exports;
        wasm_instance_t *instance = wasm_instance_new(store, module, &none, NULL);
        if (!instance) fail("making an instance");
        times[n][0] = now() - start;
        wasm_instance_exports(instance, &exports);
        wasm_func_t *work = wasm_extern_as_func(exports.data[0]);
        wasm_val_t in[1] = { WASM_I32_VAL(1) }, out[1] = { WASM_I32_VAL(0) };
        wasm_val_vec_t args = WASM_ARRAY_VEC(in), results = WASM_ARRAY_VEC(out);
        for (int call = 1; call <= 2; call++) {
            if (wasm_func_call(work, &args, &results)) fail("calling");
            times[n][call] = now() - start;
        }
        wasm_extern_vec_delete(&exports);
        wasm_instance_delete(instance);
        wasm_module_delete(module);
        wasm_store_delete(store);
        times[n][3] = now() - start;
    }
    for (int n = 0; n < count; n++) {
        for (int k = 0; k < 4; k++) printf("%lld ", (long long)times[n][k]);
        putchar('\n');
    }
    return 0;
}
