//! A C program that uses every part of `wasm.h`, built with gcc against the static library.

use std::path::Path;
use std::process::Command;

#[path = "../../../runtime/linked/tests/programs/mod.rs"]
mod programs;

use programs::{complaints_of_valgrind, library, run, sanitizers};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const SHARED: &str = r#"(module (func (export "next") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (memory 1) (func (export "trap") (drop (i32.load (i32.const -1)))))"#;

/// Its start function calls the host.
const BEGINS: &str = r#"(module (import "host" "begin" (func $begin)) (start $begin) (memory 1))"#;

/// Keeps an external reference, and gives it back.
const KEEPS: &str = r#"(module (global $kept (mut externref) (ref.null extern))
  (func (export "keep") (param externref) (global.set $kept (local.get 0)))
  (func (export "kept") (result externref) (global.get $kept)))"#;

#[test]
fn a_c_program_uses_everything() {
    let directory = std::env::temp_dir().join(format!("vwasm-c-api-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let module = std::fs::read_to_string(here().join("tests/api.wat")).expect("api.wat");
    for (name, text) in
        [("api.wasm", module.as_str()), ("shared.wasm", SHARED), ("begins.wasm", BEGINS), ("keeps.wasm", KEEPS)]
    {
        std::fs::write(directory.join(name), wat::parse_str(text).expect("a module")).expect("a file");
    }
    let modules = ["api.wasm", "shared.wasm", "begins.wasm", "keeps.wasm"].map(|name| directory.join(name));
    let build = |name: &str, flags: &[&str]| {
        let program = directory.join(name);
        let warnings = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"];
        let said = run(Command::new("gcc")
            .args(warnings)
            .args(flags)
            .arg("-I")
            .arg(here().join("include"))
            .arg(here().join("tests/api.c"))
            .arg(library("libvwasm_c_api"))
            .args(["-lm", "-lpthread", "-o"])
            .arg(&program));
        assert_eq!(said, "");
        program
    };
    let program = build("api", &[]);
    assert_eq!(run(Command::new(&program).args(&modules)), "all good\n");
    if let Some(flags) = sanitizers(&directory) {
        // One of the checks asks for more memory than there is.
        let mut checked = Command::new(build("checked", &flags));
        let said = run(checked.args(&modules).env("ASAN_OPTIONS", "allocator_may_return_null=1"));
        assert!(said.starts_with("all good\n"), "{said}");
    }
    assert_eq!(complaints_of_valgrind(&program, &modules), [""; 0]);
    std::fs::remove_dir_all(directory).expect("the directory");
}

/// Every function that the header declares is in the library, and every one in the library is declared.
#[test]
fn header_and_library_agree() {
    let listing = run(Command::new("gcc").args(["-E", "-P"]).arg(here().join("include/wasm.h")));
    let mut declared: Vec<String> = Vec::new();
    for part in listing.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '(')) {
        if let Some((name, _)) = part.split_once('(') {
            if name.starts_with("wasm_") {
                declared.push(name.to_string());
            }
        }
    }
    // Those that the header defines itself begin a body somewhere.
    let inline = |name: &String| {
        listing
            .split("static inline")
            .skip(1)
            .any(|text| text.split('{').next().is_some_and(|head| head.contains(&format!("{name}("))))
    };
    declared.retain(|name| !inline(name));
    declared.sort();
    declared.dedup();
    let symbols = run(Command::new("nm").args(["-g", "--defined-only"]).arg(library("libvwasm_c_api")));
    let mut defined: Vec<String> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .filter(|name| name.starts_with("wasm_") && !name.ends_with(':'))
        .map(str::to_string)
        .collect();
    defined.sort();
    defined.dedup();
    let missing: Vec<_> = declared.iter().filter(|name| !defined.contains(name)).collect();
    let hidden: Vec<_> = defined.iter().filter(|name| !declared.contains(name)).collect();
    assert!(missing.is_empty() && hidden.is_empty(), "declared only: {missing:?}; defined only: {hidden:?}");
    assert!(defined.len() > 200, "{}", defined.len());
}
