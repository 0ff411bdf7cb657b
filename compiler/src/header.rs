//! The C header of an object file: the module's parts, and functions in C that wrap the runtime's generic ones into the module's
//! types (`runtime/linked` is what they call).
//!
//! Takes a manifest; gives the header's text. Names from the module become identifiers: their letters and digits, joined by `_`,
//! behind a prefix, with a number where two would be the same. Nothing else of the module's text goes into the header.

use std::collections::HashSet;
use std::fmt::Write;
use vwasm_runtime::layout::TrapCode;
use vwasm_runtime::manifest::{ExportKind, ExternType, FunctionType, GlobalType, Manifest, ValueType};
use vwasm_runtime::wasi;

/// A name as part of a C identifier: its letters and digits, joined by `_`.
pub fn identifier(name: &str, otherwise: &str) -> String {
    const MOST: usize = 64;
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let text: String = words.join("_").chars().take(MOST).collect();
    if text.is_empty() { otherwise.to_string() } else { text }
}

/// Identifiers that were given out; each is unlike the others.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    fn give(&mut self, name: &str) -> String {
        let plain = identifier(name, "unnamed");
        let numbered = (2u64..).map(|number| format!("{plain}_{number}"));
        let found = std::iter::once(plain.clone()).chain(numbered).find(|candidate| !self.0.contains(candidate));
        let found = found.unwrap_or(plain);
        self.0.insert(found.clone());
        found
    }
}

fn c_type(ty: ValueType) -> &'static str {
    match ty {
        ValueType::I32 => "int32_t",
        ValueType::I64 => "int64_t",
        ValueType::F32 => "float",
        ValueType::F64 => "double",
        ValueType::V128 | ValueType::FuncRef | ValueType::ExternRef => "uint32_t",
    }
}

/// The functions that turn a C value into the runtime's and back.
fn conversion(ty: ValueType) -> &'static str {
    match ty {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
        ValueType::F32 => "f32",
        ValueType::F64 => "f64",
        ValueType::V128 | ValueType::FuncRef | ValueType::ExternRef => "reference",
    }
}

/// `, int32_t a0, double *r0`: parameters and places for results.
fn parameters(ty: &FunctionType) -> String {
    let params = ty.params.iter().enumerate().map(|(n, ty)| format!(", {} a{n}", c_type(*ty)));
    let results = ty.results.iter().enumerate().map(|(n, ty)| format!(", {} *r{n}", c_type(*ty)));
    params.chain(results).collect()
}

/// The functions that whoever makes an instance must give, with their types: those that WASI does not provide.
fn imports(manifest: &Manifest) -> impl Iterator<Item = (String, &FunctionType)> {
    manifest.imports.iter().filter_map(|import| {
        let ExternType::Function(ty) = &import.kind else { return None };
        let ty = manifest.types.get(*ty as usize)?;
        let given = wasi::type_of(&import.module, &import.name).as_ref() == Some(ty);
        (!given).then(|| (format!("{}_{}", identifier(&import.module, ""), import.name), ty))
    })
}

fn exported_global(manifest: &Manifest, index: u32) -> Option<GlobalType> {
    let imported = manifest.imports.iter().filter_map(|import| match &import.kind {
        ExternType::Global(ty) => Some(*ty),
        _ => None,
    });
    imported.chain(manifest.globals.iter().map(|global| global.ty)).nth(index as usize)
}

/// What all headers have in common.
fn common(text: &mut String) {
    text.push_str(COMMON_TYPES);
    text.push_str("/* What calls give: 0, or why the guest ended. */\nenum vwasm_status {\n    VWASM_OK = 0,\n");
    for code in (1..=u8::MAX).filter_map(TrapCode::from_number) {
        let name = identifier(code.message(), "trap").to_ascii_uppercase();
        let _ = writeln!(text, "    VWASM_TRAP_{name} = {},", code as u8);
    }
    text.push_str(COMMON_FUNCTIONS);
}

/// The header of the module whose symbols have this prefix.
pub fn header(prefix: &str, manifest: &Manifest) -> String {
    let mut text = format!(
        "/* Made by `vwasm compile --emit obj`: a WebAssembly module, compiled for x86-64 Linux. Link the object file and\n   \
         libvwasm_linked.a with the program. */\n#ifndef {prefix}_H\n#define {prefix}_H\n\n#include <stddef.h>\n\
         #include <stdint.h>\n#include <string.h>\n\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n"
    );
    common(&mut text);
    let _ = write!(
        text,
        "extern const struct vwasm_module {prefix}_module;\n\n\
         /* The same parts by themselves. */\n\
         extern const unsigned char {prefix}_manifest[];\nextern const uint64_t {prefix}_manifest_size;\n\
         extern const unsigned char {prefix}_claims[];\nextern const uint64_t {prefix}_claims_size;\n\
         extern const unsigned char {prefix}_code[];\nextern const uint64_t {prefix}_code_size;\n\
         extern const unsigned char {prefix}_data[];\nextern const uint64_t {prefix}_data_size;\n\n\
         /* An instance of this module: memory, tables and globals of its own. One thread at a time may use it. The first one\n   \
         installs handlers for SIGSEGV, SIGBUS, SIGILL and SIGFPE, which pass on what is not a guest's. Handlers of the program's\n   \
         own, of any signal, are to be installed with SA_ONSTACK: else they run on the guest's stack when they interrupt it, of\n   \
         which it may have left little, and then the process ends. None may call these functions. */\n\
         typedef struct {prefix}_instance {prefix}_instance;\n\n"
    );
    new(&mut text, prefix, manifest);
    exports(&mut text, prefix, manifest);
    text.push_str("#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
    text
}

/// The structure of imports, and the functions that make and delete instances.
fn new(text: &mut String, prefix: &str, manifest: &Manifest) {
    let mut names = Names::default();
    let imports: Vec<_> = imports(manifest).map(|(name, ty)| (names.give(&name), ty)).collect();
    if !imports.is_empty() {
        text.push_str(
            "/* The functions that the module imports. Each gets the context given with them, and gives a status: any but 0 ends\n   \
             the guest, and is what the call into it gives. Results go where the last parameters point. */\n",
        );
        let _ = writeln!(text, "typedef struct {prefix}_imports {{\n    void *context;");
        for (name, ty) in &imports {
            let _ =
                writeln!(text, "    int (*import_{name})(void *context, {prefix}_instance *instance{});", parameters(ty));
        }
        let _ = writeln!(text, "}} {prefix}_imports;\n");
    }
    for (name, ty) in &imports {
        let _ = writeln!(
            text,
            "static inline int {prefix}_call_{name}(void *imports, struct vwasm_instance *instance, uint64_t *values) {{\n    \
             const {prefix}_imports *given = (const {prefix}_imports *)imports;"
        );
        for (n, ty) in ty.results.iter().enumerate() {
            let _ = writeln!(text, "    {} r{n} = 0;", c_type(*ty));
        }
        let arguments = ty.params.iter().enumerate().map(|(n, ty)| format!(", vwasm_to_{}(values[{n}])", conversion(*ty)));
        let results = (0..ty.results.len()).map(|n| format!(", &r{n}"));
        let list: String = arguments.chain(results).collect();
        let _ = writeln!(
            text,
            "    int status = given->import_{name}(given->context, ({prefix}_instance *)instance{list});\n    (void)values;"
        );
        for (n, ty) in ty.results.iter().enumerate() {
            let _ = writeln!(text, "    values[{n}] = vwasm_from_{}(r{n});", conversion(*ty));
        }
        text.push_str("    return status;\n}\n\n");
    }
    let (parameter, list, context) = if imports.is_empty() {
        (String::new(), "    const vwasm_import *list = NULL;\n".to_string(), "NULL")
    } else {
        let mut list = "    static const vwasm_import list[] = {\n".to_string();
        imports.iter().for_each(|(name, _)| list += &format!("        {prefix}_call_{name},\n"));
        list += "    };\n";
        for (name, _) in &imports {
            list += &format!(
                "    if (imports == NULL || imports->import_{name} == NULL) {{ *out = NULL; return VWASM_IMPORTS; }}\n"
            );
        }
        (format!("const {prefix}_imports *imports, "), list, "(void *)imports")
    };
    let _ = write!(
        text,
        "/* Makes an instance and runs the module's start function. {} */\n\
         static inline int {prefix}_new({parameter}{prefix}_instance **out) {{\n{list}    \
         return vwasm_instance_new(&{prefix}_module, list, {}, {context}, (struct vwasm_instance **)out);\n}}\n\n\
         /* Deletes it; NULL is none. */\n\
         static inline void {prefix}_delete({prefix}_instance *instance) {{\n    \
         vwasm_instance_delete((struct vwasm_instance *)instance);\n}}\n\n\
         /* Why the last call failed, with a backtrace; good until the next call. */\n\
         static inline const char *{prefix}_message(const {prefix}_instance *instance) {{\n    \
         return vwasm_instance_message((const struct vwasm_instance *)instance);\n}}\n\n\
         /* The status the guest ended itself with, after VWASM_EXIT. */\n\
         static inline int {prefix}_exit_status(const {prefix}_instance *instance) {{\n    \
         return vwasm_instance_exit_status((const struct vwasm_instance *)instance);\n}}\n\n",
        if imports.is_empty() { "" } else { "The imports must live as long as it does." },
        imports.len()
    );
    if manifest.exports.iter().any(|export| export.kind == ExportKind::Memory) {
        let _ = write!(
            text,
            "/* The exported memory. It stays where it is and only grows; pointers of the guest's count from here. */\n\
             static inline uint8_t *{prefix}_memory({prefix}_instance *instance, uint64_t *size) {{\n    \
             return vwasm_instance_memory((struct vwasm_instance *)instance, size);\n}}\n\n"
        );
    }
}

/// A function for each exported one, and two for each global.
fn exports(text: &mut String, prefix: &str, manifest: &Manifest) {
    let (mut functions, mut globals) = (Names::default(), Names::default());
    for (number, export) in manifest.exports.iter().enumerate() {
        match export.kind {
            ExportKind::Function => {
                let Some(ty) = manifest.function_type(export.index) else { continue };
                let name = functions.give(&export.name);
                let room = ty.params.len().max(ty.results.len()).max(1);
                let _ = writeln!(
                    text,
                    "static inline int {prefix}_export_{name}({prefix}_instance *instance{}) {{\n    uint64_t values[{room}] = {{0}};\n    \
                     int status;",
                    parameters(ty)
                );
                for (n, ty) in ty.params.iter().enumerate() {
                    let _ = writeln!(text, "    values[{n}] = vwasm_from_{}(a{n});", conversion(*ty));
                }
                let _ = writeln!(
                    text,
                    "    status = vwasm_instance_call((struct vwasm_instance *)instance, {number}, values, {room});"
                );
                if !ty.results.is_empty() {
                    text.push_str("    if (status == VWASM_OK) {\n");
                    for (n, ty) in ty.results.iter().enumerate() {
                        let _ = writeln!(text, "        *r{n} = vwasm_to_{}(values[{n}]);", conversion(*ty));
                    }
                    text.push_str("    }\n");
                }
                text.push_str("    return status;\n}\n\n");
            }
            ExportKind::Global => {
                let Some(ty) = exported_global(manifest, export.index) else { continue };
                let name = globals.give(&export.name);
                let (c, conversion) = (c_type(ty.value), conversion(ty.value));
                let _ = write!(
                    text,
                    "static inline {c} {prefix}_get_{name}({prefix}_instance *instance) {{\n    \
                     return vwasm_to_{conversion}(vwasm_instance_global((struct vwasm_instance *)instance, {number}));\n}}\n\n"
                );
                if ty.mutable {
                    let _ = write!(
                        text,
                        "static inline void {prefix}_set_{name}({prefix}_instance *instance, {c} value) {{\n    \
                         (void)vwasm_instance_set_global((struct vwasm_instance *)instance, {number}, vwasm_from_{conversion}(value));\n}}\n\n"
                    );
                }
            }
            ExportKind::Table | ExportKind::Memory => {}
        }
    }
}

const COMMON_TYPES: &str = r#"#ifndef VWASM_MODULE
#define VWASM_MODULE 1
/*
 * A compiled module, as vwasm's runtime takes it. Where a part begins is counted in bytes from the start of this structure,
 * so that it is right wherever the program is loaded: the code is at (const unsigned char *)module + module->code.
 */
struct vwasm_module {
    unsigned char magic[8]; /* "VWASM", 0, 0, and the version: 2 */
    int64_t manifest;       /* what the runtime must know: types, imports, exports, segments, places that may trap */
    uint64_t manifest_size;
    int64_t claims;         /* what the sandbox checker is told of the code; not needed to run it */
    uint64_t claims_size;
    int64_t code;           /* machine code; only the runtime can enter it, it does not follow C's conventions */
    uint64_t code_size;
    int64_t data;           /* read-only data: jump tables, then the module's data segments */
    uint64_t data_size;
    unsigned char identity[32]; /* a digest of all of it: unlike that of any other module */
};

"#;

const COMMON_FUNCTIONS: &str = r#"    VWASM_EXIT = 32,      /* the guest ended itself */
    VWASM_TIMEOUT = 33,   /* the time limit that the module was compiled with */
    VWASM_HOST = 34,      /* the host refused something */
    VWASM_RESOURCES = 35, /* no memory, or the module begins with more than its limits allow */
    VWASM_DAMAGED = 36,   /* the module in the program is not one that the runtime reads */
    VWASM_IMPORTS = 37,   /* an import is missing */
    VWASM_CPU = 38,       /* this CPU lacks what the code needs */
    VWASM_ARGUMENT = 39   /* a wrong argument */
};

/* The runtime's functions, which those below wrap. Values are bit patterns. */
struct vwasm_instance;
typedef int (*vwasm_import)(void *context, struct vwasm_instance *instance, uint64_t *values);
int vwasm_instance_new(const struct vwasm_module *module, const vwasm_import *imports, size_t count, void *context,
                       struct vwasm_instance **out);
void vwasm_instance_delete(struct vwasm_instance *instance);
int vwasm_instance_call(struct vwasm_instance *instance, uint32_t number, uint64_t *values, size_t room);
uint8_t *vwasm_instance_memory(struct vwasm_instance *instance, uint64_t *size);
uint64_t vwasm_instance_global(struct vwasm_instance *instance, uint32_t number);
int vwasm_instance_set_global(struct vwasm_instance *instance, uint32_t number, uint64_t value);
const char *vwasm_instance_message(const struct vwasm_instance *instance);
int vwasm_instance_exit_status(const struct vwasm_instance *instance);
const char *vwasm_status_message(int status); /* a status in words */

static inline uint64_t vwasm_from_i32(int32_t value) { return (uint32_t)value; }
static inline uint64_t vwasm_from_i64(int64_t value) { return (uint64_t)value; }
static inline uint64_t vwasm_from_reference(uint32_t value) { return value; }
static inline uint64_t vwasm_from_f32(float value) { uint32_t bits; memcpy(&bits, &value, 4); return bits; }
static inline uint64_t vwasm_from_f64(double value) { uint64_t bits; memcpy(&bits, &value, 8); return bits; }
static inline int32_t vwasm_to_i32(uint64_t bits) { return (int32_t)(uint32_t)bits; }
static inline int64_t vwasm_to_i64(uint64_t bits) { return (int64_t)bits; }
static inline uint32_t vwasm_to_reference(uint64_t bits) { return (uint32_t)bits; }
static inline float vwasm_to_f32(uint64_t bits) { float value; uint32_t low = (uint32_t)bits; memcpy(&value, &low, 4); return value; }
static inline double vwasm_to_f64(uint64_t bits) { double value; memcpy(&value, &bits, 8); return value; }
#endif

"#;
