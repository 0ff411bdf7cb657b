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

/// What gcc builds a program with so that it notices its own mistakes with memory and undefined arithmetic; none without them.
fn sanitizers(directory: &Path) -> Option<[&'static str; 2]> {
    const FLAGS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"];
    let source = directory.join("nothing.c");
    std::fs::write(&source, "int main(void) { return 0; }").expect("a file");
    let made = Command::new("gcc").args(FLAGS).arg(&source).arg("-o").arg(directory.join("nothing")).output();
    let there = made.is_ok_and(|made| made.status.success());
    if !there {
        println!("gcc has no sanitizers here");
    }
    there.then_some(FLAGS)
}

/// What valgrind has to say of a program, besides what it cannot know: that a guest's traps are meant, and that the memory which
/// is cleared for the next one is a stack. (Undefined values it finds also where the compiler tests two at once.)
fn complaints_of_valgrind(program: &Path, arguments: &[PathBuf]) -> Vec<String> {
    let mut command = Command::new("valgrind");
    command.args(["--leak-check=full", "--undef-value-errors=no"]).arg(program).args(arguments);
    let Ok(output) = command.output() else {
        println!("there is no valgrind here");
        return Vec::new();
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all good\n");
    let log = String::from_utf8_lossy(&output.stderr);
    let text: Vec<&str> = log.lines().map(|line| line.splitn(3, "==").last().unwrap_or("").trim_start()).collect();
    let lost = |line: &str| line.starts_with("definitely lost:") || line.starts_with("indirectly lost:");
    let lost: Vec<String> = text.iter().filter(|line| lost(line)).map(|line| line.to_string()).collect();
    assert_eq!(lost.len(), 2, "{log}");
    let leaks = lost.into_iter().filter(|line| !line.contains(" 0 bytes in 0 blocks"));
    let blocks = text.split(|line| line.is_empty());
    let wrong = blocks.filter(|block| {
        let at = block.iter().position(|line| line.starts_with("Invalid") || line.starts_with("Mismatched"));
        let Some(at) = at else { return false };
        let of_guest = block.get(at + 1).is_some_and(|line| line.contains(": ???"));
        !of_guest && !block.iter().any(|line| line.contains("::keep_stack"))
    });
    leaks.chain(wrong.map(|block| block.join("\n"))).collect()
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
            .arg(library())
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
