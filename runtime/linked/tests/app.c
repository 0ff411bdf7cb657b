/* Uses a compiled module as a library; says which check failed, and ends with 1, or prints "all good". */
#include "app.h"
#include "other.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static int failures;
#define CHECK(condition) \
    do { if (!(condition)) { printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); failures++; } } while (0)

static int add(void *context, vwasm_app_instance *instance, int32_t a, int32_t b, int32_t *sum) {
    (void)instance;
    ++*(int *)context;
    *sum = a + b;
    return VWASM_OK;
}

static int swap(void *context, vwasm_app_instance *instance, int64_t a, double b, double *r0, int64_t *r1) {
    (void)context, (void)instance;
    *r0 = b;
    *r1 = a;
    return VWASM_OK;
}

/* Counts down by calling the guest, which calls this again; the last call traps in the guest, and goes on. */
static int again(void *context, vwasm_app_instance *instance, int32_t n, int32_t *result) {
    (void)context;
    if (n == 0) {
        CHECK(vwasm_app_export_divide(instance, 1, 0, result) == VWASM_TRAP_INTEGER_DIVIDE_BY_ZERO);
        uint64_t size;
        CHECK(vwasm_app_memory(instance, &size) != NULL && size >= 65536);
        *result = 100;
        return VWASM_OK;
    }
    int status = vwasm_app_export_again(instance, n - 1, result);
    *result += 1;
    return status;
}

static int refuse(void *context, vwasm_app_instance *instance, float value) {
    (void)context;
    CHECK(value == 0.5f);
    vwasm_app_delete(instance); /* takes effect when the call is over */
    return 1234;
}

static const int32_t expected[4] = { 10, 20, 30, 30 };

static void *run_other(void *unused) {
    (void)unused;
    for (int n = 0; n < 300; n++) {
        vwasm_other_instance *instance;
        int32_t result = 0;
        if (vwasm_other_new(&instance) != VWASM_OK) return "not made";
        if (vwasm_other_export_trap(instance) != VWASM_TRAP_UNREACHABLE) return "no trap";
        if (vwasm_other_export_count(instance, &result) != VWASM_OK || result != 1) return "not fresh";
        vwasm_other_delete(instance);
    }
    return NULL;
}

/* An instance made in one thread, used in another. */
static void *use(void *instance) {
    int32_t result;
    CHECK(vwasm_app_export_deep(instance) == VWASM_TRAP_CALL_STACK_EXHAUSTED);
    CHECK(vwasm_app_export_bump(instance, &result) == VWASM_OK);
    return NULL;
}

int main(void) {
    int calls = 0;
    vwasm_app_imports imports = { &calls, add, swap, again, refuse }, missing = { NULL, add, NULL, again, refuse };
    vwasm_app_instance *a = NULL, *b = NULL;
    CHECK(vwasm_app_new(&missing, &a) == VWASM_IMPORTS && a == NULL);
    CHECK(vwasm_app_new(NULL, &a) == VWASM_IMPORTS);
    CHECK(vwasm_app_new(&imports, &a) == VWASM_OK && vwasm_app_new(&imports, &b) == VWASM_OK);

    int32_t i;
    int64_t l;
    double d;
    float f;
    CHECK(vwasm_app_export_sum(a, 40, 2, &i) == VWASM_OK && i == 42 && calls == 1);
    CHECK(vwasm_app_export_swap(a, -5000000000, 1.5, &d, &l) == VWASM_OK && d == 1.5 && l == -5000000000);
    CHECK(vwasm_app_export_fib(a, 20, &l) == VWASM_OK && l == 6765);
    CHECK(vwasm_app_export_many(a, 1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25f, &f) == VWASM_OK && f == 8.25f);
    for (int n = 0; n < 4; n++) CHECK(vwasm_app_export_dispatch(a, n, &i) == VWASM_OK && i == expected[n]);

    /* Traps are statuses; the instance, and the other one, go on. */
    CHECK(vwasm_app_export_divide(a, 1, 0, &i) == VWASM_TRAP_INTEGER_DIVIDE_BY_ZERO);
    CHECK(strstr(vwasm_app_message(a), "wasm trap: integer divide by zero") != NULL);
    CHECK(strcmp(vwasm_status_message(VWASM_TRAP_INTEGER_DIVIDE_BY_ZERO), "integer divide by zero") == 0);
    CHECK(vwasm_app_export_divide(a, INT32_MIN, -1, &i) == VWASM_TRAP_INTEGER_OVERFLOW);
    CHECK(vwasm_app_export_load(a, -1, &i) == VWASM_TRAP_OUT_OF_BOUNDS_MEMORY_ACCESS);
    CHECK(vwasm_app_export_deep(a) == VWASM_TRAP_CALL_STACK_EXHAUSTED);
    CHECK(vwasm_app_export_end(a, 7) == VWASM_EXIT && vwasm_app_exit_status(a) == 7);
    CHECK(vwasm_app_export_again(a, 20, &i) == VWASM_OK && i == 120);

    /* Memory and globals are each instance's own. */
    uint64_t size;
    uint8_t *memory = vwasm_app_memory(a, &size);
    CHECK(size == 65536 && strcmp((char *)memory + 16, "guest data") == 0);
    memory[0] = 41;
    CHECK(vwasm_app_export_bump(a, &i) == VWASM_OK && i == 42 && vwasm_app_get_counter(a) == 42);
    CHECK(vwasm_app_export_bump(b, &i) == VWASM_OK && i == 1 && vwasm_app_get_counter(b) == 1);
    vwasm_app_set_counter(b, -3);
    CHECK(vwasm_app_get_counter(b) == -3 && vwasm_app_get_counter(a) == 42 && vwasm_app_get_pi(a) == 3.25);
    CHECK(vwasm_app_export_grow(a, 2, &i) == VWASM_OK && i == 1 && vwasm_app_memory(a, &size) == memory && size == 3 * 65536);

    pthread_t threads[4];
    void *wrong;
    for (int n = 0; n < 3; n++) if (pthread_create(&threads[n], NULL, run_other, NULL)) exit(2);
    if (pthread_create(&threads[3], NULL, use, b)) exit(2);
    for (int n = 0; n < 4; n++) {
        pthread_join(threads[n], &wrong);
        CHECK(wrong == NULL);
    }

    CHECK(vwasm_app_export_refused(a) == 1234);
    vwasm_app_delete(b);
    vwasm_app_delete(NULL);
    CHECK(vwasm_app_export_deep(NULL) == VWASM_ARGUMENT);
    if (failures == 0) puts("all good");
    return failures != 0;
}
