//! The command from outside: exit statuses, what it writes and what it leaves alone, what it says.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const HELLO: &str = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 42))))"#;

/// A directory of its own for each test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("vwasm-cli-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory");
        Scratch(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    fn vwasm(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_vwasm"))
            .args(args)
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .expect("the command runs")
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the directory");
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn statuses() {
    let scratch = Scratch::new("statuses");
    scratch.write("hello.wat", HELLO);
    scratch.write("trap.wat", "(module (func $f (export \"_start\") (unreachable)))");
    scratch.write("bad.wat", "(module (func (result i32)))");
    assert_eq!(
        code(&scratch.vwasm(&["run", "hello.wat", "--dir", "-x"])),
        Some(42),
        "options behind the module are the program's"
    );
    assert_eq!(code(&scratch.vwasm(&["compile", "hello.wat"])), Some(0));
    assert_eq!(code(&Command::new(scratch.0.join("hello")).output().expect("it runs")), Some(42));
    let output = scratch.vwasm(&["run", "trap.wat"]);
    assert_eq!(code(&output), Some(134));
    assert!(said(&output).contains("wasm trap: unreachable"), "{}", said(&output));
    let output = scratch.vwasm(&["run", "bad.wat"]);
    assert_eq!(code(&output), Some(1));
    assert!(said(&output).starts_with("error: bad.wat: ") && said(&output).contains("offset 0x"), "{}", said(&output));
    for wrong in [
        &["compile"][..],
        &["nonsense"],
        &["run", "--jobs", "0", "hello.wat"],
        &["run", "--max-memory", "64XiB", "hello.wat"],
    ] {
        assert_eq!(code(&scratch.vwasm(wrong)), Some(2), "{wrong:?}");
    }
    for (option, value) in [
        ("--max-memory", "64MiB"),
        ("--max-memory", "65536"),
        ("--stack-size", "64KiB"),
        ("--cpu", "native"),
        ("--jobs", "1"),
    ] {
        assert_eq!(code(&scratch.vwasm(&["run", option, value, "hello.wat"])), Some(42), "{option} {value}");
    }
    let output = scratch.vwasm(&["run", "--max-memory", "0", "hello.wat"]);
    assert_eq!(code(&output), Some(1), "a memory of one page does not fit in none");
}

#[test]
fn inputs_that_cannot_be_read() {
    let scratch = Scratch::new("inputs");
    scratch.write("hello.wat", HELLO);
    for input in ["absent.wasm", "."] {
        let output = scratch.vwasm(&["compile", input, "-o", "out"]);
        assert_eq!(code(&output), Some(1), "{input}");
        assert!(said(&output).starts_with("error: "), "{}", said(&output));
    }
    let stdin = std::fs::File::open(scratch.0.join("hello.wat")).expect("the module");
    let run = |args: &[&str], stdin: std::fs::File| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vwasm"));
        command.args(args).current_dir(&scratch.0).stdin(stdin).output().expect("the command runs")
    };
    assert_eq!(code(&run(&["compile", "-"], stdin.try_clone().expect("a descriptor"))), Some(1), "no name to write to");
    let stdin = std::fs::File::open(scratch.0.join("hello.wat")).expect("the module");
    assert_eq!(code(&run(&["compile", "-", "-o", "out"], stdin)), Some(0));
    assert_eq!(scratch.files(), ["hello.wat", "out"]);
}

#[test]
fn outputs_are_whole_or_absent() {
    let scratch = Scratch::new("outputs");
    let module = scratch.write("hello", HELLO);
    let output = scratch.vwasm(&["compile", "hello"]);
    assert_eq!(code(&output), Some(1), "the executable would replace the module");
    assert_eq!(std::fs::read_to_string(&module).expect("the module"), HELLO);
    assert_eq!(code(&scratch.vwasm(&["compile", "hello", "-o", "./hello"])), Some(1));
    assert_eq!(code(&scratch.vwasm(&["compile", "hello", "-o", "absent/out"])), Some(1));
    assert_eq!(code(&scratch.vwasm(&["compile", "hello", "-o", "."])), Some(1));
    let output = scratch.vwasm(&["compile", "hello", "-o", "/dev/full"]);
    assert_eq!(code(&output), Some(1), "{}", said(&output));
    assert!(!Path::new("/dev/full").metadata().expect("the device is still there").is_file());
    scratch.write("old", "old");
    // A file may have at most 4096 bytes: what was there stays, and nothing else is left.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" compile hello -o old", env!("CARGO_BIN_EXE_vwasm")])
        .current_dir(&scratch.0)
        .process_group(0)
        .output()
        .expect("the shell runs");
    assert_eq!(code(&output), Some(1), "{}", said(&output));
    assert_eq!(std::fs::read_to_string(scratch.0.join("old")).expect("the old file"), "old");
    assert_eq!(scratch.files(), ["hello", "old"]);
    std::os::unix::fs::symlink("old", scratch.0.join("link")).expect("a link");
    assert_eq!(code(&scratch.vwasm(&["compile", "hello", "-o", "link"])), Some(0));
    assert!(scratch.0.join("link").is_symlink(), "the file is written through the link");
    // A reader that went away is no error.
    let mut child = Command::new(env!("CARGO_BIN_EXE_vwasm"))
        .args(["compile", "--emit", "asm", "hello"])
        .current_dir(&scratch.0)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command runs");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn missing_imports_are_listed_at_once() {
    let scratch = Scratch::new("imports");
    scratch.write(
        "m.wat",
        r#"(module (import "env" "undefined\1b[31m\nerror: fake" (func)) (import "wasi_snapshot_preview1" "fd_writ" (func))
            (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32)))
            (import "x" "m" (memory 1)) (import "wasi_unstable" "entirely_else" (func)))"#,
    );
    let output = scratch.vwasm(&["compile", "m.wat", "-o", "m"]);
    assert_eq!(code(&output), Some(1));
    let text = said(&output);
    for part in [
        "is fd_write meant?",
        "has the type (i64) -> (i32), should have (i32) -> (i32)",
        "declared but not defined",
        "x.m: ",
        "not a function of this interface",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert!(!text.contains('\x1b') && !text.contains("\nerror: fake"), "{text}");
    assert_eq!(text.lines().count(), 6, "{text}");
}

#[test]
fn names_cannot_write_lines() {
    let scratch = Scratch::new("names");
    let name = format!("{}\\0a\\1b[2Jwasm trap: forged\\00\\\"\\'", "n".repeat(40));
    scratch.write("m.wat", &format!("(module $\"{name}\" (func $\"{name}\" (export \"_start\") (unreachable)))"));
    assert_eq!(code(&scratch.vwasm(&["compile", "m.wat"])), Some(0));
    let listing = scratch.vwasm(&["compile", "--emit", "asm", "m.wat"]);
    let trapped = Command::new(scratch.0.join("m")).output().expect("it runs");
    for text in
        [String::from_utf8_lossy(&listing.stdout).into_owned(), said(&trapped), said(&scratch.vwasm(&["run", "m.wat"]))]
    {
        assert!(!text.contains('\x1b') && !text.contains('\0'), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("wasm trap: forged")), "{text:?}");
    }
}

#[test]
fn grants_are_shown_and_checked_when_the_program_starts() {
    let scratch = Scratch::new("grants");
    scratch.write("hello.wat", HELLO);
    let args = ["compile", "hello.wat", "--dir", "absent::/data", "--env", "A=b", "--max-memory", "1MiB"];
    assert_eq!(code(&scratch.vwasm(&args)), Some(0), "the directory is looked for when the program starts");
    let run = |variable: &str| {
        Command::new(scratch.0.join("hello")).current_dir(&scratch.0).env(variable, "1").output().expect("it runs")
    };
    let shown = run("VWASM_SHOW_GRANTS");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    for part in
        ["directory absent as /data", "environment A=b", "memory at most 1048576 bytes", "stack 8388608 bytes", "proc_exit"]
    {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let output = run("OTHER");
    assert_eq!(code(&output), Some(1));
    assert!(said(&output).contains("absent"), "{}", said(&output));
}

#[test]
fn help_teaches() {
    let scratch = Scratch::new("help");
    let output = scratch.vwasm(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["Examples:", "vwasm compile app.wasm -o app", "134", "Exit status"] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}
