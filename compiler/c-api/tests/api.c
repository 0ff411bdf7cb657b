/* Exercises every part of wasm.h; says which check failed, and ends with 1, or prints "all good". */
#include "wasm.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static int failures;
#define CHECK(condition) \
    do { if (!(condition)) { printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); failures++; } } while (0)

static wasm_byte_vec_t read_file(const char *path) {
    wasm_byte_vec_t bytes;
    FILE *file = fopen(path, "rb");
    if (!file) { perror(path); exit(2); }
    fseek(file, 0, SEEK_END);
    wasm_byte_vec_new_uninitialized(&bytes, (size_t)ftell(file));
    rewind(file);
    if (fread(bytes.data, 1, bytes.size, file) != bytes.size) exit(2);
    fclose(file);
    return bytes;
}

static int message_is(const wasm_trap_t *trap, const char *wanted) {
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    int same = message.size == strlen(wanted) + 1 && memcmp(message.data, wanted, message.size) == 0;
    if (!same) printf("message: %.*s\n", (int)message.size, message.data);
    wasm_byte_vec_delete(&message);
    return same;
}

static int calls;
static wasm_trap_t *add_one(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
    calls++;
    results->data[0] = (wasm_val_t)WASM_I32_VAL(args->data[0].of.i32 + 1);
    return NULL;
}

struct env { wasm_store_t *store; const wasm_func_t *factorial; int finalized; };

/* Calls back into the guest, which calls this again. */
static wasm_trap_t *multiply(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
    struct env *own_env = env;
    int32_t n = args->data[0].of.i32;
    wasm_val_t inner[1] = { WASM_I32_VAL(n - 1) }, product[1] = { WASM_INIT_VAL };
    wasm_val_vec_t in = WASM_ARRAY_VEC(inner), out = WASM_ARRAY_VEC(product);
    wasm_trap_t *trap = wasm_func_call(own_env->factorial, &in, &out);
    if (trap) return trap;
    results->data[0] = (wasm_val_t)WASM_I32_VAL(n * product[0].of.i32);
    return NULL;
}

static wasm_trap_t *refuse(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
    struct env *own_env = env;
    wasm_message_t message;
    wasm_name_new_from_string_nt(&message, "the host says no");
    wasm_trap_t *trap = wasm_trap_new(own_env->store, &message);
    wasm_byte_vec_delete(&message);
    (void)args, (void)results;
    return trap;
}

static wasm_trap_t *wrong_types(const wasm_val_vec_t *args, wasm_val_vec_t *results) {
    results->data[0] = (wasm_val_t)WASM_F64_VAL(1.0);
    (void)args;
    return NULL;
}

static void finalize(void *env) { ((struct env *)env)->finalized++; }
static void count(void *counter) { ++*(int *)counter; }

static wasm_func_t *export_func(const wasm_extern_vec_t *exports, size_t n) { return wasm_extern_as_func(exports->data[n]); }

static int32_t call_i32(const wasm_func_t *func, int32_t argument) {
    wasm_val_t in[1] = { WASM_I32_VAL(argument) }, out[1] = { WASM_INIT_VAL };
    wasm_val_vec_t args = WASM_ARRAY_VEC(in), results = WASM_ARRAY_VEC(out);
    wasm_trap_t *trap = wasm_func_call(func, &args, &results);
    CHECK(!trap && out[0].kind == WASM_I32);
    wasm_trap_delete(trap);
    return out[0].of.i32;
}

static void types(void) {
    wasm_functype_t *type = wasm_functype_new_2_1(wasm_valtype_new_i32(), wasm_valtype_new_f64(), wasm_valtype_new_funcref());
    CHECK(wasm_functype_params(type)->size == 2 && wasm_functype_results(type)->size == 1);
    CHECK(wasm_valtype_kind(wasm_functype_params(type)->data[1]) == WASM_F64);
    CHECK(wasm_valtype_is_ref(wasm_functype_results(type)->data[0]));
    wasm_functype_t *copy = wasm_functype_copy(type);
    wasm_functype_delete(type);
    CHECK(wasm_valtype_kind(wasm_functype_params(copy)->data[0]) == WASM_I32);
    wasm_externtype_t *external = wasm_functype_as_externtype(copy);
    CHECK(wasm_externtype_kind(external) == WASM_EXTERN_FUNC);
    CHECK(wasm_externtype_as_functype(external) == copy && !wasm_externtype_as_memorytype(external));
    wasm_functype_delete(copy);

    wasm_limits_t limits = { 1, 3 };
    wasm_memorytype_t *memory = wasm_memorytype_new(&limits);
    CHECK(wasm_memorytype_limits(memory)->max == 3);
    wasm_memorytype_delete(memory);
    wasm_tabletype_t *table = wasm_tabletype_new(wasm_valtype_new_externref(), &limits);
    CHECK(wasm_valtype_kind(wasm_tabletype_element(table)) == WASM_EXTERNREF && wasm_tabletype_limits(table)->min == 1);
    wasm_tabletype_delete(table);
    wasm_globaltype_t *global = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_VAR);
    CHECK(wasm_valtype_kind(wasm_globaltype_content(global)) == WASM_I64 && wasm_globaltype_mutability(global) == WASM_VAR);

    wasm_name_t module, name;
    wasm_name_new_from_string(&module, "m");
    wasm_name_new_from_string(&name, "name");
    wasm_importtype_t *import = wasm_importtype_new(&module, &name, wasm_globaltype_as_externtype(global));
    CHECK(wasm_importtype_name(import)->size == 4 && wasm_importtype_module(import)->data[0] == 'm');
    wasm_importtype_vec_t imports, copies;
    wasm_importtype_vec_new(&imports, 1, &import);
    wasm_importtype_vec_copy(&copies, &imports);
    wasm_importtype_vec_delete(&imports);
    CHECK(imports.size == 0 && copies.size == 1);
    CHECK(wasm_externtype_kind(wasm_importtype_type(copies.data[0])) == WASM_EXTERN_GLOBAL);
    wasm_importtype_vec_delete(&copies);
    wasm_name_new_from_string(&name, "x");
    wasm_exporttype_t *export = wasm_exporttype_new(&name, wasm_functype_as_externtype(wasm_functype_new_0_0()));
    CHECK(wasm_externtype_kind(wasm_exporttype_type(export)) == WASM_EXTERN_FUNC && wasm_exporttype_name(export)->size == 1);
    wasm_exporttype_delete(export);
}

/* Null pointers, and handles of the wrong kind. */
static void nonsense(wasm_store_t *store, wasm_store_t *other) {
    CHECK(!wasm_store_new(NULL) && !wasm_module_new(store, NULL) && !wasm_module_new(NULL, NULL));
    CHECK(!wasm_valtype_new(77) && !wasm_valtype_copy(NULL) && !wasm_functype_params(NULL));
    CHECK(!wasm_func_new(store, NULL, add_one) && !wasm_func_type(NULL) && wasm_func_param_arity(NULL) == 0);
    CHECK(!wasm_memory_data(NULL) && wasm_memory_size(NULL) == 0 && !wasm_memory_grow(NULL, 1));
    CHECK(!wasm_table_get(NULL, 0) && !wasm_table_set(NULL, 0, NULL) && !wasm_ref_copy(NULL) && wasm_ref_same(NULL, NULL));
    wasm_trap_t *trap = wasm_func_call(NULL, NULL, NULL);
    CHECK(trap && message_is(trap, "this is no function"));
    CHECK(!wasm_ref_as_func(wasm_trap_as_ref(trap)) && wasm_ref_as_trap(wasm_trap_as_ref(trap)) == trap);
    wasm_trap_delete(trap);
    wasm_func_delete(NULL), wasm_extern_vec_delete(NULL), wasm_val_delete(NULL), wasm_engine_delete(NULL);
    wasm_byte_vec_t huge;
    wasm_byte_vec_new_uninitialized(&huge, SIZE_MAX / 2);
    CHECK(huge.size == 0);
    wasm_limits_t wrong = { 5, 2 }, large = { 100000, 0xffffffff };
    wasm_memorytype_t *type = wasm_memorytype_new(&wrong);
    CHECK(!wasm_memory_new(store, type));
    wasm_memorytype_delete(type);
    type = wasm_memorytype_new(&large);
    CHECK(!wasm_memory_new(store, type));
    wasm_memorytype_delete(type);

    /* A function of another store is refused. */
    wasm_functype_t *plain = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
    wasm_func_t *foreign = wasm_func_new(other, plain, add_one);
    wasm_limits_t limits = { 1, 1 };
    wasm_tabletype_t *table_type = wasm_tabletype_new(wasm_valtype_new_funcref(), &limits);
    wasm_table_t *table = wasm_table_new(store, table_type, NULL);
    CHECK(table && !wasm_table_set(table, 0, wasm_func_as_ref(foreign)) && !wasm_table_set(table, 1, NULL));
    wasm_func_t *liar = wasm_func_new(store, plain, wrong_types);
    wasm_val_t in[1] = { WASM_I32_VAL(1) }, out[1] = { WASM_INIT_VAL };
    wasm_val_vec_t args = WASM_ARRAY_VEC(in), results = WASM_ARRAY_VEC(out), none = WASM_EMPTY_VEC;
    trap = wasm_func_call(liar, &args, &results);
    CHECK(trap && message_is(trap, "a host function gave values of other types than its own"));
    wasm_trap_delete(trap);
    trap = wasm_func_call(liar, &none, &results);
    CHECK(trap && message_is(trap, "wrong number of arguments"));
    wasm_trap_delete(trap);
    trap = wasm_func_call(liar, &args, &none);
    CHECK(trap && message_is(trap, "no room for the results"));
    wasm_trap_delete(trap);
    in[0] = (wasm_val_t)WASM_I64_VAL(1);
    trap = wasm_func_call(liar, &args, &results);
    CHECK(trap && message_is(trap, "an argument of another type, or of another store"));
    wasm_trap_delete(trap);
    wasm_func_delete(liar), wasm_func_delete(foreign), wasm_table_delete(table);
    wasm_functype_delete(plain), wasm_tabletype_delete(table_type);
}

struct job { wasm_engine_t *engine; wasm_shared_module_t *shared; int32_t result; };

/* Another thread, with a store of its own: 200 instances, each of which traps once. */
static void *run_shared(void *argument) {
    struct job *job = argument;
    for (int n = 0; n < 200; n++) {
        wasm_store_t *store = wasm_store_new(job->engine);
        wasm_module_t *module = wasm_module_obtain(store, job->shared);
        wasm_extern_vec_t none = WASM_EMPTY_VEC, exports;
        wasm_instance_t *instance = wasm_instance_new(store, module, &none, NULL);
        wasm_instance_exports(instance, &exports);
        wasm_val_vec_t empty = WASM_EMPTY_VEC;
        wasm_trap_t *trap = wasm_func_call(export_func(&exports, 1), &empty, &empty);
        job->result += trap != NULL;
        wasm_trap_delete(trap);
        job->result += call_i32(export_func(&exports, 0), 20) == 21;
        wasm_extern_vec_delete(&exports), wasm_instance_delete(instance), wasm_module_delete(module), wasm_store_delete(store);
    }
    return NULL;
}

static void threads(wasm_engine_t *engine, const char *path) {
    wasm_store_t *store = wasm_store_new(engine);
    wasm_byte_vec_t binary = read_file(path);
    wasm_module_t *module = wasm_module_new(store, &binary);
    wasm_shared_module_t *shared = wasm_module_share(module);
    wasm_byte_vec_delete(&binary), wasm_module_delete(module), wasm_store_delete(store);
    pthread_t ids[4];
    struct job jobs[4];
    for (int n = 0; n < 4; n++) {
        jobs[n] = (struct job) { engine, shared, 0 };
        if (pthread_create(&ids[n], NULL, run_shared, &jobs[n])) exit(2);
    }
    for (int n = 0; n < 4; n++) {
        pthread_join(ids[n], NULL);
        CHECK(jobs[n].result == 400);
    }
    wasm_shared_module_delete(shared);
}

/* A start function's host function deletes all that the instance is being made of. */
struct making { wasm_store_t *store; wasm_module_t *module; wasm_func_t *begin; };

static wasm_trap_t *delete_all(void *env, const wasm_val_vec_t *args, wasm_val_vec_t *results) {
    struct making *making = env;
    (void)args, (void)results;
    wasm_module_delete(making->module);
    wasm_func_delete(making->begin);
    wasm_store_delete(making->store);
    return NULL;
}

static void deleted_while_made(wasm_engine_t *engine, const char *path) {
    wasm_byte_vec_t binary = read_file(path);
    struct making making;
    making.store = wasm_store_new(engine);
    making.module = wasm_module_new(making.store, &binary);
    wasm_byte_vec_delete(&binary);
    wasm_functype_t *type = wasm_functype_new_0_0();
    making.begin = wasm_func_new_with_env(making.store, type, delete_all, &making, NULL);
    wasm_functype_delete(type);
    wasm_extern_t *list[] = { wasm_func_as_extern(making.begin) };
    wasm_extern_vec_t imports = WASM_ARRAY_VEC(list), exports;
    wasm_instance_t *instance = wasm_instance_new(making.store, making.module, &imports, NULL);
    CHECK(instance);
    wasm_instance_exports(instance, &exports);
    CHECK(exports.size == 0);
    wasm_instance_delete(instance);
}

/* What a guest keeps of a store that was deleted is null, and does not become something else that is given to it later. */
static void references_of_deleted_stores(wasm_engine_t *engine, const char *path) {
    wasm_byte_vec_t binary = read_file(path);
    wasm_store_t *store = wasm_store_new(engine), *other = wasm_store_new(engine);
    wasm_module_t *module = wasm_module_new(store, &binary);
    wasm_byte_vec_delete(&binary);
    wasm_extern_vec_t none = WASM_EMPTY_VEC, exports, others;
    wasm_instance_t *instance = wasm_instance_new(store, module, &none, NULL);
    wasm_instance_t *another = wasm_instance_new(other, module, &none, NULL);
    wasm_instance_exports(instance, &exports), wasm_instance_exports(another, &others);
    wasm_foreign_t *first = wasm_foreign_new(store), *second = wasm_foreign_new(store);
    wasm_val_t in[1] = { { WASM_EXTERNREF, { .ref = wasm_foreign_as_ref(first) } } }, out[1] = { WASM_INIT_VAL };
    wasm_val_vec_t args = WASM_ARRAY_VEC(in), results = WASM_ARRAY_VEC(out), empty = WASM_EMPTY_VEC;
    CHECK(!wasm_func_call(export_func(&exports, 0), &args, &empty));
    CHECK(!wasm_func_call(export_func(&exports, 1), &empty, &results) && wasm_ref_same(out[0].of.ref, in[0].of.ref));
    wasm_val_delete(&out[0]);
    wasm_store_delete(store);
    CHECK(!wasm_func_call(export_func(&exports, 1), &empty, &results) && !out[0].of.ref);
    in[0].of.ref = wasm_foreign_as_ref(second);
    wasm_trap_t *trap = wasm_func_call(export_func(&exports, 0), &args, &empty);
    CHECK(trap && message_is(trap, "an argument of another type, or of another store"));
    wasm_trap_delete(trap);
    CHECK(!wasm_func_call(export_func(&exports, 1), &empty, &results) && !out[0].of.ref);
    /* Another store has numbers of its own; the same object may be in both. */
    CHECK(!wasm_func_call(export_func(&others, 1), &empty, &results) && !out[0].of.ref);
    CHECK(!wasm_func_call(export_func(&others, 0), &args, &empty));
    CHECK(!wasm_func_call(export_func(&others, 1), &empty, &results) && wasm_ref_same(out[0].of.ref, in[0].of.ref));
    wasm_val_delete(&out[0]);
    wasm_foreign_delete(first), wasm_foreign_delete(second), wasm_module_delete(module);
    wasm_extern_vec_delete(&exports), wasm_extern_vec_delete(&others);
    wasm_instance_delete(instance), wasm_instance_delete(another), wasm_store_delete(other);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    types();
    wasm_engine_t *engine = wasm_engine_new_with_config(wasm_config_new());
    wasm_store_t *store = wasm_store_new(engine), *other = wasm_store_new(engine);
    nonsense(store, other);
    threads(engine, argv[2]);
    deleted_while_made(engine, argv[3]);
    references_of_deleted_stores(engine, argv[4]);

    wasm_byte_vec_t binary = read_file(argv[1]), stored;
    CHECK(wasm_module_validate(store, &binary));
    wasm_module_t *first = wasm_module_new(store, &binary);
    CHECK(first);
    wasm_module_serialize(first, &stored);
    wasm_module_delete(first);
    stored.data[0] ^= 0x40;
    CHECK(!wasm_module_deserialize(store, &stored));
    stored.data[0] ^= 0x40;
    wasm_module_t *module = wasm_module_deserialize(store, &stored);
    CHECK(module && !wasm_module_deserialize(store, &binary));
    wasm_byte_vec_delete(&stored);
    binary.data[4] ^= 1; /* the version */
    CHECK(!wasm_module_validate(store, &binary) && !wasm_module_new(store, &binary));
    wasm_byte_vec_delete(&binary);
    wasm_name_new_from_string(&binary, "(module)");
    CHECK(!wasm_module_validate(store, &binary) && !wasm_module_new(store, &binary));
    wasm_byte_vec_delete(&binary);

    wasm_importtype_vec_t imports;
    wasm_exporttype_vec_t export_types;
    wasm_module_imports(module, &imports);
    wasm_module_exports(module, &export_types);
    CHECK(imports.size == 4 && export_types.size == 10);
    CHECK(memcmp(wasm_importtype_name(imports.data[0])->data, "add_one", 7) == 0);
    CHECK(wasm_externtype_kind(wasm_importtype_type(imports.data[3])) == WASM_EXTERN_GLOBAL);
    CHECK(memcmp(wasm_exporttype_name(export_types.data[1])->data, "factorial", 9) == 0);
    wasm_importtype_vec_delete(&imports);
    wasm_exporttype_vec_delete(&export_types);

    struct env env = { store, NULL, 0 };
    wasm_functype_t *type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
    wasm_functype_t *nothing = wasm_functype_new_0_0();
    wasm_func_t *functions[3] = {
        wasm_func_new(store, type, add_one),
        wasm_func_new_with_env(store, type, multiply, &env, finalize),
        wasm_func_new_with_env(store, nothing, refuse, &env, finalize),
    };
    wasm_functype_delete(type), wasm_functype_delete(nothing);
    wasm_val_t start = WASM_I64_VAL(40);
    wasm_globaltype_t *global_type = wasm_globaltype_new(wasm_valtype_new_i64(), WASM_VAR);
    wasm_global_t *global = wasm_global_new(store, global_type, &start);
    wasm_globaltype_delete(global_type);
    wasm_extern_t *given[4] = {
        wasm_func_as_extern(functions[0]), wasm_func_as_extern(functions[1]), wasm_func_as_extern(functions[2]),
        wasm_global_as_extern(global),
    };
    wasm_extern_vec_t imported = WASM_ARRAY_VEC(given), too_few = { 2, given };
    wasm_trap_t *trap = NULL;
    CHECK(!wasm_instance_new(store, module, &too_few, &trap) && trap);
    wasm_trap_delete(trap);
    CHECK(!wasm_instance_new(other, module, &imported, &trap) && message_is(trap, "an import of another store"));
    wasm_trap_delete(trap);
    CHECK(!wasm_instance_new(store, module, &too_few, NULL));
    wasm_instance_t *instance = wasm_instance_new(store, module, &imported, &trap);
    CHECK(instance && !trap);
    for (int n = 0; n < 3; n++) wasm_func_delete(functions[n]);
    wasm_module_delete(module);
    wasm_extern_vec_t exports;
    wasm_instance_exports(instance, &exports);
    CHECK(exports.size == 10);

    CHECK(call_i32(export_func(&exports, 0), 5) == 12 && calls == 1);
    env.factorial = export_func(&exports, 1);
    CHECK(wasm_func_param_arity(env.factorial) == 1 && wasm_func_result_arity(env.factorial) == 1);
    CHECK(call_i32(env.factorial, 10) == 3628800);

    /* Traps: the guest's own, with a backtrace, and the host's. */
    wasm_val_vec_t none = WASM_EMPTY_VEC;
    trap = wasm_func_call(export_func(&exports, 2), &none, &none);
    CHECK(trap && message_is(trap, "unreachable"));
    wasm_frame_t *origin = wasm_trap_origin(trap);
    wasm_frame_vec_t trace;
    wasm_trap_trace(trap, &trace);
    CHECK(origin && trace.size == 2 && wasm_frame_func_index(origin) == 5 && wasm_frame_func_index(trace.data[1]) == 6);
    for (size_t n = 0; n < trace.size; n++) {
        /* Offsets in function and module are as far apart as the body is from the module's beginning. */
        size_t in_function = wasm_frame_func_offset(trace.data[n]), in_module = wasm_frame_module_offset(trace.data[n]);
        CHECK(in_function > 0 && in_function < 8 && in_module > in_function);
        CHECK(wasm_instance_same(wasm_frame_instance(trace.data[n]), instance));
    }
    CHECK(wasm_instance_same(wasm_frame_instance(origin), instance));
    CHECK(wasm_frame_module_offset(origin) == wasm_frame_module_offset(trace.data[0]));
    wasm_frame_delete(origin), wasm_frame_vec_delete(&trace), wasm_trap_delete(trap);
    trap = wasm_func_call(export_func(&exports, 3), &none, &none);
    CHECK(trap && message_is(trap, "the host says no"));
    origin = wasm_trap_origin(trap);
    CHECK(origin && wasm_frame_func_index(origin) == 7 && wasm_instance_same(wasm_frame_instance(origin), instance));
    wasm_frame_delete(origin), wasm_trap_delete(trap);

    /* Memory. */
    wasm_memory_t *memory = wasm_extern_as_memory(exports.data[4]);
    CHECK(wasm_memory_size(memory) == 1 && wasm_memory_data_size(memory) == MEMORY_PAGE_SIZE);
    CHECK(memcmp(wasm_memory_data(memory) + 8, "hello", 5) == 0);
    CHECK(wasm_memory_grow(memory, 1) && !wasm_memory_grow(memory, 1) && wasm_memory_size(memory) == 2);
    wasm_memory_data(memory)[70000] = 33;
    CHECK(call_i32(export_func(&exports, 5), 70000) == 33);
    wasm_memorytype_t *memory_type = wasm_memory_type(memory);
    CHECK(wasm_memorytype_limits(memory_type)->max == 2);
    wasm_memorytype_delete(memory_type);

    /* Globals. */
    wasm_val_t value;
    wasm_global_get(global, &value);
    CHECK(value.kind == WASM_I64 && value.of.i64 == 41);
    value.of.i64 = 7;
    wasm_global_set(wasm_extern_as_global(exports.data[6]), &value);
    wasm_global_get(global, &value);
    CHECK(value.of.i64 == 7 && wasm_global_same(global, wasm_extern_as_global(exports.data[6])));
    value = (wasm_val_t)WASM_I32_VAL(1);
    wasm_global_set(global, &value);
    wasm_global_get(global, &value);
    CHECK(value.of.i64 == 7);

    /* Tables, and functions as values. */
    wasm_table_t *table = wasm_extern_as_table(exports.data[7]);
    CHECK(wasm_table_size(table) == 2 && !wasm_table_get(table, 1) && !wasm_table_get(table, 9));
    wasm_ref_t *element = wasm_table_get(table, 0);
    CHECK(element && call_i32(wasm_ref_as_func(element), 1) == 4);
    CHECK(wasm_table_set(table, 1, element) && wasm_table_grow(table, 2, element) && !wasm_table_grow(table, 100, NULL));
    wasm_ref_delete(element);
    element = wasm_table_get(table, 3);
    CHECK(element && wasm_table_size(table) == 4);
    wasm_ref_delete(element);

    /* External references come back as what they were. */
    wasm_foreign_t *foreign = wasm_foreign_new(store);
    int gone = 0;
    wasm_foreign_set_host_info_with_finalizer(foreign, &gone, count);
    wasm_val_t in[1] = { { WASM_EXTERNREF, { .ref = wasm_foreign_as_ref(foreign) } } }, out[1] = { WASM_INIT_VAL };
    wasm_val_vec_t args = WASM_ARRAY_VEC(in), results = WASM_ARRAY_VEC(out);
    CHECK(!wasm_func_call(export_func(&exports, 8), &args, &results));
    CHECK(out[0].kind == WASM_EXTERNREF && wasm_ref_same(out[0].of.ref, in[0].of.ref));
    CHECK(wasm_ref_get_host_info(out[0].of.ref) == &gone);
    wasm_val_t copy;
    wasm_val_copy(&copy, &out[0]);
    wasm_val_delete(&out[0]), wasm_val_delete(&copy);
    in[0].of.ref = NULL;
    CHECK(!wasm_func_call(export_func(&exports, 8), &args, &results) && !out[0].of.ref);
    /* A function of the store, given as an external reference and kept by the guest, does not keep the store. */
    in[0].of.ref = wasm_func_as_ref(export_func(&exports, 0));
    CHECK(!wasm_func_call(export_func(&exports, 9), &args, &none));
    wasm_foreign_delete(foreign);

    wasm_global_delete(global), wasm_extern_vec_delete(&exports), wasm_instance_delete(instance);
    CHECK(env.finalized == 0 && gone == 0);
    wasm_store_delete(store), wasm_store_delete(other), wasm_engine_delete(engine);
    CHECK(env.finalized == 2 && gone == 1);
    if (failures == 0) puts("all good");
    return failures != 0;
}
