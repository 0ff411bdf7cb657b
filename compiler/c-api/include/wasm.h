/*
 * The WebAssembly C API, as libvwasm_c_api.a provides it.
 *
 * Names, types and ownership follow the public specification of this interface, so that programs written for it compile
 * unchanged. In short: a parameter or result marked `own` changes hands, and whoever owns a thing deletes it (wasm_X_delete);
 * deleting a handle does not delete what others still refer to; a vector that is owned owns its elements; an `own` pointer
 * named `out` is filled in for the caller. What vwasm adds: null pointers are answered with null, zero or false, and
 * wasm_module_deserialize may be given bytes that nobody trusts.
 *
 * A store and all that belongs to it is used by one thread at a time; engines and shared modules by any.
 *
 * Signals: the first store installs handlers for SIGSEGV, SIGBUS, SIGILL and SIGFPE; what is not a guest's goes on to the handlers
 * that were there before. The program's own handlers, of any signal, are to be installed with SA_ONSTACK: without it, a signal
 * that arrives while guest code runs is handled on the guest's stack, of which the guest may have left little, and then the
 * process ends. No handler may call this library.
 */
#ifndef WASM_H
#define WASM_H

#include <assert.h> /* programs written for this interface rely on it */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef WASM_API_EXTERN
#define WASM_API_EXTERN
#endif

#ifndef own
#define own /* ownership, for readers */
#endif

typedef char byte_t;
typedef float float32_t;
typedef double float64_t;

/* -- how families of declarations look -- */

#define VWASM_OWNED(name)                      \
    typedef struct wasm_##name##_t wasm_##name##_t; \
    WASM_API_EXTERN void wasm_##name##_delete(own wasm_##name##_t *);

#define VWASM_VECTOR(name, element)                                                                       \
    typedef struct wasm_##name##_vec_t {                                                                  \
        size_t size;                                                                                      \
        element *data;                                                                                    \
    } wasm_##name##_vec_t;                                                                                \
    WASM_API_EXTERN void wasm_##name##_vec_new_empty(own wasm_##name##_vec_t *out);                       \
    WASM_API_EXTERN void wasm_##name##_vec_new_uninitialized(own wasm_##name##_vec_t *out, size_t size);  \
    WASM_API_EXTERN void wasm_##name##_vec_new(own wasm_##name##_vec_t *out, size_t size, own element const data[]); \
    WASM_API_EXTERN void wasm_##name##_vec_copy(own wasm_##name##_vec_t *out, const wasm_##name##_vec_t *from);      \
    WASM_API_EXTERN void wasm_##name##_vec_delete(own wasm_##name##_vec_t *);

#define VWASM_TYPE(name)                       \
    VWASM_OWNED(name)                          \
    VWASM_VECTOR(name, wasm_##name##_t *)      \
    WASM_API_EXTERN own wasm_##name##_t *wasm_##name##_copy(const wasm_##name##_t *);

#define VWASM_OBJECT(name)                                                                                  \
    VWASM_OWNED(name)                                                                                       \
    WASM_API_EXTERN own wasm_##name##_t *wasm_##name##_copy(const wasm_##name##_t *);                       \
    WASM_API_EXTERN bool wasm_##name##_same(const wasm_##name##_t *, const wasm_##name##_t *);              \
    WASM_API_EXTERN void *wasm_##name##_get_host_info(const wasm_##name##_t *);                             \
    WASM_API_EXTERN void wasm_##name##_set_host_info(wasm_##name##_t *, void *info);                        \
    WASM_API_EXTERN void wasm_##name##_set_host_info_with_finalizer(wasm_##name##_t *, void *info, void (*)(void *));

/* A family `up` that each thing of the family `down` belongs to, with the ways there and back. */
#define VWASM_CAST(up, down)                                                                           \
    WASM_API_EXTERN wasm_##up##_t *wasm_##down##_as_##up(wasm_##down##_t *);                           \
    WASM_API_EXTERN wasm_##down##_t *wasm_##up##_as_##down(wasm_##up##_t *);                           \
    WASM_API_EXTERN const wasm_##up##_t *wasm_##down##_as_##up##_const(const wasm_##down##_t *);       \
    WASM_API_EXTERN const wasm_##down##_t *wasm_##up##_as_##down##_const(const wasm_##up##_t *);

#define VWASM_REFERENCE(name) \
    VWASM_OBJECT(name)        \
    VWASM_CAST(ref, name)

/* -- bytes and names -- */

typedef byte_t wasm_byte_t;
VWASM_VECTOR(byte, wasm_byte_t)

typedef wasm_byte_vec_t wasm_name_t;
#define wasm_name wasm_byte_vec
#define wasm_name_new wasm_byte_vec_new
#define wasm_name_new_empty wasm_byte_vec_new_empty
#define wasm_name_new_uninitialized wasm_byte_vec_new_uninitialized
#define wasm_name_copy wasm_byte_vec_copy
#define wasm_name_delete wasm_byte_vec_delete

static inline void wasm_name_new_from_string(own wasm_name_t *out, const char *text) {
    wasm_byte_vec_new(out, strlen(text), text);
}

/* With the NUL. */
static inline void wasm_name_new_from_string_nt(own wasm_name_t *out, const char *text) {
    wasm_byte_vec_new(out, strlen(text) + 1, text);
}

/* -- configuration, engine, store -- */

VWASM_OWNED(config)
WASM_API_EXTERN own wasm_config_t *wasm_config_new(void);

VWASM_OWNED(engine)
WASM_API_EXTERN own wasm_engine_t *wasm_engine_new(void);
WASM_API_EXTERN own wasm_engine_t *wasm_engine_new_with_config(own wasm_config_t *);

VWASM_OWNED(store)
WASM_API_EXTERN own wasm_store_t *wasm_store_new(wasm_engine_t *);

/* -- types -- */

typedef uint8_t wasm_mutability_t;
enum wasm_mutability_enum { WASM_CONST, WASM_VAR };

typedef struct wasm_limits_t {
    uint32_t min;
    uint32_t max; /* all ones: none */
} wasm_limits_t;
static const uint32_t wasm_limits_max_default = 0xffffffff;

typedef uint8_t wasm_valkind_t;
enum wasm_valkind_enum { WASM_I32, WASM_I64, WASM_F32, WASM_F64, WASM_EXTERNREF = 128, WASM_FUNCREF };
#define WASM_ANYREF WASM_EXTERNREF /* its older name */

VWASM_TYPE(valtype)
WASM_API_EXTERN own wasm_valtype_t *wasm_valtype_new(wasm_valkind_t);
WASM_API_EXTERN wasm_valkind_t wasm_valtype_kind(const wasm_valtype_t *);

static inline bool wasm_valkind_is_num(wasm_valkind_t kind) { return kind < WASM_EXTERNREF; }
static inline bool wasm_valkind_is_ref(wasm_valkind_t kind) { return kind >= WASM_EXTERNREF; }
static inline bool wasm_valtype_is_num(const wasm_valtype_t *type) { return wasm_valkind_is_num(wasm_valtype_kind(type)); }
static inline bool wasm_valtype_is_ref(const wasm_valtype_t *type) { return wasm_valkind_is_ref(wasm_valtype_kind(type)); }

VWASM_TYPE(functype)
WASM_API_EXTERN own wasm_functype_t *wasm_functype_new(own wasm_valtype_vec_t *params, own wasm_valtype_vec_t *results);
WASM_API_EXTERN const wasm_valtype_vec_t *wasm_functype_params(const wasm_functype_t *);
WASM_API_EXTERN const wasm_valtype_vec_t *wasm_functype_results(const wasm_functype_t *);

VWASM_TYPE(globaltype)
WASM_API_EXTERN own wasm_globaltype_t *wasm_globaltype_new(own wasm_valtype_t *, wasm_mutability_t);
WASM_API_EXTERN const wasm_valtype_t *wasm_globaltype_content(const wasm_globaltype_t *);
WASM_API_EXTERN wasm_mutability_t wasm_globaltype_mutability(const wasm_globaltype_t *);

VWASM_TYPE(tabletype)
WASM_API_EXTERN own wasm_tabletype_t *wasm_tabletype_new(own wasm_valtype_t *, const wasm_limits_t *);
WASM_API_EXTERN const wasm_valtype_t *wasm_tabletype_element(const wasm_tabletype_t *);
WASM_API_EXTERN const wasm_limits_t *wasm_tabletype_limits(const wasm_tabletype_t *);

VWASM_TYPE(memorytype)
WASM_API_EXTERN own wasm_memorytype_t *wasm_memorytype_new(const wasm_limits_t *);
WASM_API_EXTERN const wasm_limits_t *wasm_memorytype_limits(const wasm_memorytype_t *);

typedef uint8_t wasm_externkind_t;
enum wasm_externkind_enum { WASM_EXTERN_FUNC, WASM_EXTERN_GLOBAL, WASM_EXTERN_TABLE, WASM_EXTERN_MEMORY };

VWASM_TYPE(externtype)
WASM_API_EXTERN wasm_externkind_t wasm_externtype_kind(const wasm_externtype_t *);
VWASM_CAST(externtype, functype)
VWASM_CAST(externtype, globaltype)
VWASM_CAST(externtype, tabletype)
VWASM_CAST(externtype, memorytype)

VWASM_TYPE(importtype)
WASM_API_EXTERN own wasm_importtype_t *wasm_importtype_new(own wasm_name_t *module, own wasm_name_t *name, own wasm_externtype_t *);
WASM_API_EXTERN const wasm_name_t *wasm_importtype_module(const wasm_importtype_t *);
WASM_API_EXTERN const wasm_name_t *wasm_importtype_name(const wasm_importtype_t *);
WASM_API_EXTERN const wasm_externtype_t *wasm_importtype_type(const wasm_importtype_t *);

VWASM_TYPE(exporttype)
WASM_API_EXTERN own wasm_exporttype_t *wasm_exporttype_new(own wasm_name_t *, own wasm_externtype_t *);
WASM_API_EXTERN const wasm_name_t *wasm_exporttype_name(const wasm_exporttype_t *);
WASM_API_EXTERN const wasm_externtype_t *wasm_exporttype_type(const wasm_exporttype_t *);

/* -- values and references -- */

VWASM_OBJECT(ref)

typedef struct wasm_val_t {
    wasm_valkind_t kind;
    union {
        int32_t i32;
        int64_t i64;
        float32_t f32;
        float64_t f64;
        wasm_ref_t *ref;
    } of;
} wasm_val_t;

WASM_API_EXTERN void wasm_val_delete(own wasm_val_t *);
WASM_API_EXTERN void wasm_val_copy(own wasm_val_t *out, const wasm_val_t *);
VWASM_VECTOR(val, wasm_val_t)

/* -- traps -- */

VWASM_OWNED(frame)
VWASM_VECTOR(frame, wasm_frame_t *)
WASM_API_EXTERN own wasm_frame_t *wasm_frame_copy(const wasm_frame_t *);
WASM_API_EXTERN struct wasm_instance_t *wasm_frame_instance(const wasm_frame_t *); /* the frame's; null: not known */
WASM_API_EXTERN uint32_t wasm_frame_func_index(const wasm_frame_t *);
WASM_API_EXTERN size_t wasm_frame_func_offset(const wasm_frame_t *);
WASM_API_EXTERN size_t wasm_frame_module_offset(const wasm_frame_t *);

typedef wasm_name_t wasm_message_t; /* ends with a NUL */

VWASM_REFERENCE(trap)
WASM_API_EXTERN own wasm_trap_t *wasm_trap_new(wasm_store_t *, const wasm_message_t *);
WASM_API_EXTERN void wasm_trap_message(const wasm_trap_t *, own wasm_message_t *out);
WASM_API_EXTERN own wasm_frame_t *wasm_trap_origin(const wasm_trap_t *);
WASM_API_EXTERN void wasm_trap_trace(const wasm_trap_t *, own wasm_frame_vec_t *out);

/* -- foreign objects: external references of the host's own -- */

VWASM_REFERENCE(foreign)
WASM_API_EXTERN own wasm_foreign_t *wasm_foreign_new(wasm_store_t *);

/* -- modules -- */

VWASM_REFERENCE(module)
VWASM_OWNED(shared_module)
WASM_API_EXTERN own wasm_shared_module_t *wasm_module_share(const wasm_module_t *);
WASM_API_EXTERN own wasm_module_t *wasm_module_obtain(wasm_store_t *, const wasm_shared_module_t *);
WASM_API_EXTERN own wasm_module_t *wasm_module_new(wasm_store_t *, const wasm_byte_vec_t *binary);
WASM_API_EXTERN bool wasm_module_validate(wasm_store_t *, const wasm_byte_vec_t *binary);
WASM_API_EXTERN void wasm_module_imports(const wasm_module_t *, own wasm_importtype_vec_t *out);
WASM_API_EXTERN void wasm_module_exports(const wasm_module_t *, own wasm_exporttype_vec_t *out);
WASM_API_EXTERN void wasm_module_serialize(const wasm_module_t *, own wasm_byte_vec_t *out);
WASM_API_EXTERN own wasm_module_t *wasm_module_deserialize(wasm_store_t *, const wasm_byte_vec_t *);

/* -- functions -- */

VWASM_REFERENCE(func)
typedef own wasm_trap_t *(*wasm_func_callback_t)(const wasm_val_vec_t *args, own wasm_val_vec_t *results);
typedef own wasm_trap_t *(*wasm_func_callback_with_env_t)(void *env, const wasm_val_vec_t *args, own wasm_val_vec_t *results);
WASM_API_EXTERN own wasm_func_t *wasm_func_new(wasm_store_t *, const wasm_functype_t *, wasm_func_callback_t);
WASM_API_EXTERN own wasm_func_t *wasm_func_new_with_env(wasm_store_t *, const wasm_functype_t *, wasm_func_callback_with_env_t,
                                                        void *env, void (*finalizer)(void *));
WASM_API_EXTERN own wasm_functype_t *wasm_func_type(const wasm_func_t *);
WASM_API_EXTERN size_t wasm_func_param_arity(const wasm_func_t *);
WASM_API_EXTERN size_t wasm_func_result_arity(const wasm_func_t *);
WASM_API_EXTERN own wasm_trap_t *wasm_func_call(const wasm_func_t *, const wasm_val_vec_t *args, wasm_val_vec_t *results);

/* -- globals -- */

VWASM_REFERENCE(global)
WASM_API_EXTERN own wasm_global_t *wasm_global_new(wasm_store_t *, const wasm_globaltype_t *, const wasm_val_t *);
WASM_API_EXTERN own wasm_globaltype_t *wasm_global_type(const wasm_global_t *);
WASM_API_EXTERN void wasm_global_get(const wasm_global_t *, own wasm_val_t *out);
WASM_API_EXTERN void wasm_global_set(wasm_global_t *, const wasm_val_t *);

/* -- tables -- */

VWASM_REFERENCE(table)
typedef uint32_t wasm_table_size_t;
WASM_API_EXTERN own wasm_table_t *wasm_table_new(wasm_store_t *, const wasm_tabletype_t *, wasm_ref_t *init);
WASM_API_EXTERN own wasm_tabletype_t *wasm_table_type(const wasm_table_t *);
WASM_API_EXTERN own wasm_ref_t *wasm_table_get(const wasm_table_t *, wasm_table_size_t index);
WASM_API_EXTERN bool wasm_table_set(wasm_table_t *, wasm_table_size_t index, wasm_ref_t *);
WASM_API_EXTERN wasm_table_size_t wasm_table_size(const wasm_table_t *);
WASM_API_EXTERN bool wasm_table_grow(wasm_table_t *, wasm_table_size_t delta, wasm_ref_t *init);

/* -- memories -- */

VWASM_REFERENCE(memory)
typedef uint32_t wasm_memory_pages_t;
static const size_t MEMORY_PAGE_SIZE = 0x10000;
WASM_API_EXTERN own wasm_memory_t *wasm_memory_new(wasm_store_t *, const wasm_memorytype_t *);
WASM_API_EXTERN own wasm_memorytype_t *wasm_memory_type(const wasm_memory_t *);
WASM_API_EXTERN byte_t *wasm_memory_data(wasm_memory_t *);
WASM_API_EXTERN size_t wasm_memory_data_size(const wasm_memory_t *);
WASM_API_EXTERN wasm_memory_pages_t wasm_memory_size(const wasm_memory_t *);
WASM_API_EXTERN bool wasm_memory_grow(wasm_memory_t *, wasm_memory_pages_t delta);

/* -- externals -- */

VWASM_REFERENCE(extern)
VWASM_VECTOR(extern, wasm_extern_t *)
WASM_API_EXTERN wasm_externkind_t wasm_extern_kind(const wasm_extern_t *);
WASM_API_EXTERN own wasm_externtype_t *wasm_extern_type(const wasm_extern_t *);
VWASM_CAST(extern, func)
VWASM_CAST(extern, global)
VWASM_CAST(extern, table)
VWASM_CAST(extern, memory)

/* -- instances -- */

VWASM_REFERENCE(instance)
WASM_API_EXTERN own wasm_instance_t *wasm_instance_new(wasm_store_t *, const wasm_module_t *, const wasm_extern_vec_t *imports,
                                                       own wasm_trap_t **trap);
WASM_API_EXTERN void wasm_instance_exports(const wasm_instance_t *, own wasm_extern_vec_t *out);

/* -- shorthands -- */

static inline own wasm_valtype_t *wasm_valtype_new_i32(void) { return wasm_valtype_new(WASM_I32); }
static inline own wasm_valtype_t *wasm_valtype_new_i64(void) { return wasm_valtype_new(WASM_I64); }
static inline own wasm_valtype_t *wasm_valtype_new_f32(void) { return wasm_valtype_new(WASM_F32); }
static inline own wasm_valtype_t *wasm_valtype_new_f64(void) { return wasm_valtype_new(WASM_F64); }
static inline own wasm_valtype_t *wasm_valtype_new_externref(void) { return wasm_valtype_new(WASM_EXTERNREF); }
static inline own wasm_valtype_t *wasm_valtype_new_anyref(void) { return wasm_valtype_new(WASM_EXTERNREF); }
static inline own wasm_valtype_t *wasm_valtype_new_funcref(void) { return wasm_valtype_new(WASM_FUNCREF); }

static inline own wasm_functype_t *vwasm_functype(size_t p, wasm_valtype_t *const ps[], size_t r, wasm_valtype_t *const rs[]) {
    wasm_valtype_vec_t params, results;
    wasm_valtype_vec_new(&params, p, ps);
    wasm_valtype_vec_new(&results, r, rs);
    return wasm_functype_new(&params, &results);
}

static inline own wasm_functype_t *wasm_functype_new_0_0(void) {
    return vwasm_functype(0, NULL, 0, NULL);
}
static inline own wasm_functype_t *wasm_functype_new_1_0(wasm_valtype_t *p1) {
    wasm_valtype_t *ps[] = { p1 };
    return vwasm_functype(1, ps, 0, NULL);
}
static inline own wasm_functype_t *wasm_functype_new_2_0(wasm_valtype_t *p1, wasm_valtype_t *p2) {
    wasm_valtype_t *ps[] = { p1, p2 };
    return vwasm_functype(2, ps, 0, NULL);
}
static inline own wasm_functype_t *wasm_functype_new_3_0(wasm_valtype_t *p1, wasm_valtype_t *p2, wasm_valtype_t *p3) {
    wasm_valtype_t *ps[] = { p1, p2, p3 };
    return vwasm_functype(3, ps, 0, NULL);
}
static inline own wasm_functype_t *wasm_functype_new_0_1(wasm_valtype_t *r1) {
    wasm_valtype_t *rs[] = { r1 };
    return vwasm_functype(0, NULL, 1, rs);
}
static inline own wasm_functype_t *wasm_functype_new_1_1(wasm_valtype_t *p1, wasm_valtype_t *r1) {
    wasm_valtype_t *ps[] = { p1 };
    wasm_valtype_t *rs[] = { r1 };
    return vwasm_functype(1, ps, 1, rs);
}
static inline own wasm_functype_t *wasm_functype_new_2_1(wasm_valtype_t *p1, wasm_valtype_t *p2, wasm_valtype_t *r1) {
    wasm_valtype_t *ps[] = { p1, p2 };
    wasm_valtype_t *rs[] = { r1 };
    return vwasm_functype(2, ps, 1, rs);
}
static inline own wasm_functype_t *wasm_functype_new_3_1(wasm_valtype_t *p1, wasm_valtype_t *p2, wasm_valtype_t *p3, wasm_valtype_t *r1) {
    wasm_valtype_t *ps[] = { p1, p2, p3 };
    wasm_valtype_t *rs[] = { r1 };
    return vwasm_functype(3, ps, 1, rs);
}
static inline own wasm_functype_t *wasm_functype_new_0_2(wasm_valtype_t *r1, wasm_valtype_t *r2) {
    wasm_valtype_t *rs[] = { r1, r2 };
    return vwasm_functype(0, NULL, 2, rs);
}
static inline own wasm_functype_t *wasm_functype_new_1_2(wasm_valtype_t *p1, wasm_valtype_t *r1, wasm_valtype_t *r2) {
    wasm_valtype_t *ps[] = { p1 };
    wasm_valtype_t *rs[] = { r1, r2 };
    return vwasm_functype(1, ps, 2, rs);
}
static inline own wasm_functype_t *wasm_functype_new_2_2(wasm_valtype_t *p1, wasm_valtype_t *p2, wasm_valtype_t *r1, wasm_valtype_t *r2) {
    wasm_valtype_t *ps[] = { p1, p2 };
    wasm_valtype_t *rs[] = { r1, r2 };
    return vwasm_functype(2, ps, 2, rs);
}
static inline own wasm_functype_t *wasm_functype_new_3_2(wasm_valtype_t *p1, wasm_valtype_t *p2, wasm_valtype_t *p3, wasm_valtype_t *r1, wasm_valtype_t *r2) {
    wasm_valtype_t *ps[] = { p1, p2, p3 };
    wasm_valtype_t *rs[] = { r1, r2 };
    return vwasm_functype(3, ps, 2, rs);
}

static inline void wasm_val_init_ptr(own wasm_val_t *out, void *pointer) {
    out->kind = WASM_I64;
    out->of.i64 = (intptr_t)pointer;
}
static inline void *wasm_val_ptr(const wasm_val_t *value) { return (void *)(intptr_t)value->of.i64; }

#ifdef __cplusplus
#define VWASM_VALUE(kind, field, value) (wasm_val_t { kind, { .field = value } })
#else
#define VWASM_VALUE(kind, field, value) ((wasm_val_t) { kind, { .field = value } })
#endif
#define WASM_I32_VAL(value) VWASM_VALUE(WASM_I32, i32, value)
#define WASM_I64_VAL(value) VWASM_VALUE(WASM_I64, i64, value)
#define WASM_F32_VAL(value) VWASM_VALUE(WASM_F32, f32, value)
#define WASM_F64_VAL(value) VWASM_VALUE(WASM_F64, f64, value)
#define WASM_REF_VAL(value) VWASM_VALUE(WASM_EXTERNREF, ref, value)
#define WASM_INIT_VAL VWASM_VALUE(WASM_EXTERNREF, ref, NULL)

#define WASM_EMPTY_VEC { 0, NULL }
#define WASM_ARRAY_VEC(array) { sizeof(array) / sizeof((array)[0]), (array) }

#ifdef __cplusplus
}
#endif

#endif
