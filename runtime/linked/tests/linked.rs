//! Modules as libraries of C programs: compiled to object files, linked with the small runtime by gcc, and run.

use std::path::{Path, PathBuf};
use std::process::Command;
use vwasm::compile::{Options, compile};
use vwasm::module::Module;
use vwasm_runtime::manifest::Grants;

mod programs;

use programs::{complaints_of_valgrind, library, run, sanitizers};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A directory of its own for each test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("vwasm-linked-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Directory(path)
    }

    /// Writes object file and header of a module.
    fn object(&self, name: &str, text: &str) {
        self.object_with(name, text, |_| ());
    }

    fn object_with(&self, name: &str, text: &str, change: impl FnOnce(&mut Grants)) {
        let bytes = wat::parse_str(text).expect("a module");
        let module = Module::decode(&bytes).expect("a valid module");
        let mut compiled = compile(&module, &Options::default(), &|| ()).expect("it compiles");
        change(&mut compiled.manifest.grants);
        let object = vwasm::object::object(&compiled).expect("an object file");
        std::fs::write(self.0.join(format!("{name}.o")), object.file).expect("a file");
        std::fs::write(self.0.join(format!("{name}.h")), object.header).expect("a file");
    }

    /// Builds a program; the compiler may not say anything.
    fn build(&self, source: &Path, objects: &[&str], flags: &[&str]) -> PathBuf {
        let program = self.0.join("program");
        let warnings = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wl,--fatal-warnings"];
        let mut command = Command::new("gcc");
        command
            .current_dir(&self.0)
            .args(warnings)
            .args(flags)
            .arg("-I")
            .arg(&self.0)
            .arg(source)
            .args(objects)
            .arg(library("libvwasm_linked"));
        let said = run(command.args(["-lm", "-lpthread", "-o"]).arg(&program));
        assert_eq!(said, "");
        program
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const OTHER: &str = r#"(module $other (global $n (mut i32) (i32.const 0)) (func (export "trap") unreachable)
  (func (export "count") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"#;

#[test]
fn a_c_program_uses_modules() {
    let directory = Directory::new("app");
    directory.object("app", &std::fs::read_to_string(here().join("app.wat")).expect("app.wat"));
    directory.object("other", OTHER);
    let checked = sanitizers(&directory.0);
    let mut ways =
        vec![&["-fPIE", "-pie"][..], &["-no-pie", "-Wl,--gc-sections"], &["-O2", "-pie", "-Wl,--gc-sections,-z,now"]];
    ways.extend(checked.as_ref().map(|flags| &flags[..]));
    for flags in ways {
        let program = directory.build(&here().join("app.c"), &["app.o", "other.o"], flags);
        assert_eq!(run(&mut Command::new(&program)), "all good\n", "{flags:?}");
        run(Command::new("strip").arg(&program));
        println!("{flags:?}: {} bytes, stripped", std::fs::metadata(&program).expect("the program").len());
    }
    let program = directory.build(&here().join("app.c"), &["app.o", "other.o"], &["-g"]);
    assert_eq!(complaints_of_valgrind(&program, &[]), [""; 0]);
}

/// Names that would be something else in C or in assembly, and names that become the same.
const HOSTILE: &str = r##"(module $"x\"; }\n#include \"/etc/passwd\"\n/*"
  (import "*/ int main(void) {" "\00\n#error" (func (param i32) (result i32)))
  (import "a" "b_c" (func)) (import "a_b" "c" (func)) (import "wasi_snapshot_preview1" "fd_close" (func))
  (func (export "") (result i32) (i32.const 1))
  (func (export "a b") (result i32) (i32.const 2))
  (func (export "a-b") (result i32) (i32.const 3))
  (func (export "a_b_2") (result i32) (i32.const 4))
  (func (export "a/*b") (result i32) (i32.const 5))
  (func (export "\"); system(\"true") (result i32) (i32.const 6))
  (func (export "int") (result i32) (i32.const 7))
  (func (export "??/\0a") (result i32) (i32.const 8))
  (func (export "\e6\97\a5\e6\9c\ac") (result i32) (i32.const 9))
  (global (export "new") i32 (i32.const 10)) (global (export "delete\\\0a") (mut i64) (i64.const 11)))"##;

#[test]
fn hostile_names_are_only_names() {
    let directory = Directory::new("names");
    directory.object("hostile", HOSTILE);
    let header = std::fs::read_to_string(directory.0.join("hostile.h")).expect("the header");
    assert!(header.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
    for piece in ["passwd", "#error", "system(", "??"] {
        assert!(!header.contains(piece) || piece == "passwd" && !header.contains("/passwd"), "{piece}");
    }
    let prefix = "vwasm_x_include_etc_passwd";
    // A collision gets the next free number, whoever comes first.
    let names = ["unnamed", "a_b", "a_b_2", "a_b_2_2", "a_b_3", "system_true", "int", "unnamed_2", "unnamed_3"];
    let checks: String = names
        .iter()
        .enumerate()
        .map(|(n, name)| format!("    if ({prefix}_export_{name}(i, &r) != 0 || r != {}) return {};\n", n + 1, n + 10))
        .collect();
    let source = format!(
        "#include \"hostile.h\"\n\
         static int first(void *c, {prefix}_instance *i, int32_t a, int32_t *r) {{ (void)c, (void)i; *r = a; return 0; }}\n\
         static int plain(void *c, {prefix}_instance *i) {{ (void)c, (void)i; return 0; }}\n\
         int main(void) {{\n    {prefix}_imports imports = {{ NULL, first, plain, plain, plain }};\n    \
         {prefix}_instance *i;\n    int32_t r;\n    if (!imports.import_int_main_void_error || !imports.import_a_b_c || !imports.import_a_b_c_2) return 2;\n    \
         if ({prefix}_new(&imports, &i) != 0) return 1;\n{checks}    if ({prefix}_get_new(i) != 10) return 3;\n    \
         {prefix}_set_delete(i, 12);\n    if ({prefix}_get_delete(i) != 12) return 4;\n    {prefix}_delete(i);\n    return 0;\n}}\n"
    );
    std::fs::write(directory.0.join("main.c"), source).expect("a file");
    let program = directory.build(&directory.0.join("main.c"), &["hostile.o"], &[]);
    run(&mut Command::new(&program));
    // It is a header for C++, too.
    std::fs::write(directory.0.join("main.cc"), "#include \"hostile.h\"\nint main() { return 0; }\n").expect("a file");
    run(Command::new("g++").current_dir(&directory.0).args(["-std=c++17", "-Wall", "-Werror", "-c", "main.cc"]));
}

#[test]
fn what_c_cannot_provide_is_refused() {
    for import in ["(memory 1)", "(table 1 funcref)", "(global i32)"] {
        let bytes = wat::parse_str(format!(r#"(module (import "a" "b" {import}))"#)).expect("a module");
        let module = Module::decode(&bytes).expect("a valid module");
        let compiled = compile(&module, &Options::default(), &|| ()).expect("it compiles");
        let error = vwasm::object::object(&compiled).err().expect("refused").to_string();
        assert!(error.contains("imports a memory, table or global"), "{error}");
    }
}

/// A shared library goes, and another one comes to its address, with a module that differs in its data only.
#[test]
fn modules_at_the_same_address() {
    let directory = Directory::new("unloaded");
    let source = "#include \"unit.h\"\nconst struct vwasm_module *module(void) { return &vwasm_unit_module; }\n";
    std::fs::write(directory.0.join("unit.c"), source).expect("a file");
    for (library, data) in [("./1.so", "first"), ("./2.so", "other")] {
        let text = r#"(module $unit (memory 1) (data (i32.const 8) "DATA") (func (export "f") (result i32) (i32.load (i32.const 8))))"#;
        directory.object("unit", &text.replace("DATA", data));
        let mut gcc = Command::new("gcc");
        run(gcc.current_dir(&directory.0).args(["-shared", "-fPIC", "-O1", "-o", library, "unit.c", "unit.o"]));
    }
    let source = r#"
#include "unit.h"
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    const void *before = NULL;
    int same = 0;
    for (int n = 0; n < 10; n++) {
        void *library = dlopen(n % 2 ? "./2.so" : "./1.so", RTLD_NOW);
        if (!library) return 1;
        const struct vwasm_module *(*module)(void);
        *(void **)&module = dlsym(library, "module");
        same += module() == before;
        before = module();
        for (int again = 0; again < 3; again++) {
            struct vwasm_instance *instance;
            uint64_t values[1];
            if (vwasm_instance_new(module(), NULL, 0, NULL, &instance) != VWASM_OK) return 2;
            if (vwasm_instance_call(instance, 0, values, 1) != VWASM_OK) return 3;
            if (memcmp(values, n % 2 ? "othe" : "firs", 4)) return printf("round %d: %.4s\n", n, (char *)values), 4;
            vwasm_instance_delete(instance);
        }
        dlclose(library);
    }
    return printf("%d\n", same), 0;
}
"#;
    std::fs::write(directory.0.join("main.c"), source).expect("a file");
    let program = directory.build(&directory.0.join("main.c"), &["-ldl"], &["-D_DEFAULT_SOURCE"]);
    let said = run(Command::new(&program).current_dir(&directory.0));
    assert_ne!(said, "0\n", "the system chose other addresses, so this says nothing");
}

/// The limits a module was compiled with hold in C programs, for each call anew.
#[test]
fn limits_hold() {
    let directory = Directory::new("limits");
    let slow = r#"(module $slow (memory 1) (func (export "spin") (loop $on (br $on)))
      (func (export "grow") (result i32) (memory.grow (i32.const 2)))
      (func (export "quick") (result i32) (i32.const 5)))"#;
    directory.object_with("slow", slow, |grants| (grants.timeout, grants.max_memory_pages) = (Some(50), Some(2)));
    directory.object_with("large", "(module $large (memory 9))", |grants| grants.max_memory_pages = Some(2));
    let source = r#"
#include "slow.h"
#include "large.h"
int main(void) {
    vwasm_slow_instance *slow;
    vwasm_large_instance *large;
    int32_t r;
    if (vwasm_large_new(&large) != VWASM_RESOURCES || large != NULL) return 1;
    if (vwasm_slow_new(&slow) != VWASM_OK) return 2;
    for (int n = 0; n < 3; n++) {
        if (vwasm_slow_export_spin(slow) != VWASM_TIMEOUT) return 3;
        if (vwasm_slow_export_quick(slow, &r) != VWASM_OK || r != 5) return 4;
    }
    if (vwasm_slow_export_grow(slow, &r) != VWASM_OK || r != -1) return 5;
    vwasm_slow_delete(slow);
    return 0;
}
"#;
    std::fs::write(directory.0.join("main.c"), source).expect("a file");
    run(&mut Command::new(directory.build(&directory.0.join("main.c"), &["slow.o", "large.o"], &[])));
}

/// Every status that the header names has words in the runtime, and they are not those of another.
#[test]
fn header_and_runtime_agree_on_statuses() {
    let directory = Directory::new("statuses");
    directory.object("other", OTHER);
    let header = std::fs::read_to_string(directory.0.join("other.h")).expect("the header");
    let words = |status: i32| {
        // SAFETY: the words end with a NUL, and last.
        unsafe { std::ffi::CStr::from_ptr(vwasm_linked::vwasm_status_message(status)) }.to_string_lossy().into_owned()
    };
    let mut seen = std::collections::BTreeSet::new();
    for line in header.lines().filter_map(|line| line.strip_prefix("    VWASM_")) {
        let (name, rest) = line.split_once(" = ").expect("a number");
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let words = words(number.parse().expect("a number"));
        if let Some(trap) = name.strip_prefix("TRAP_") {
            assert_eq!(words.replace(' ', "_").to_ascii_uppercase(), trap);
        }
        assert!(seen.insert(words), "{line}");
    }
    assert_eq!(seen.len(), 20);
    assert!(!seen.contains(&words(99)));
}
