//! A C program that uses every part of `wasm.h`, built with gcc against the static library.

use std::path::{Path, PathBuf};
use std::process::Command;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The static library: cargo builds it with this test, beside it.
fn library() -> PathBuf {
    let directory = std::env::current_exe().expect("this program").parent().expect("its directory").to_path_buf();
    let files = std::fs::read_dir(&directory).expect("the directory").filter_map(|entry| Some(entry.ok()?.path()));
    let named = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with("libvwasm_c_api") && name.ends_with(".a")
    };
    let newest = files.filter(named).max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest.expect("libvwasm_c_api*.a")
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{error}", output.status);
    out + &error
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
    let program = directory.join("api");
    let warnings = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"];
    let said = run(Command::new("gcc")
        .args(warnings)
        .arg("-I")
        .arg(here().join("include"))
        .arg(here().join("tests/api.c"))
        .arg(library())
        .args(["-lm", "-lpthread", "-o"])
        .arg(&program));
    assert_eq!(said, "");
    let modules = ["api.wasm", "shared.wasm", "begins.wasm", "keeps.wasm"].map(|name| directory.join(name));
    let said = run(Command::new(&program).args(modules));
    assert_eq!(said, "all good\n");
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
    let symbols = run(Command::new("nm").args(["-g", "--defined-only"]).arg(library()));
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
