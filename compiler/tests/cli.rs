//! The command from outside: exit statuses, what it writes and what it leaves alone, what it says.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

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
            .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .output()
            .expect("the command runs")
    }

    /// Runs an executable that was made here.
    fn program(&self, name: &str) -> Output {
        Command::new(self.0.join(name)).current_dir(&self.0).stdin(Stdio::null()).output().expect("it runs")
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
    scratch.write("bad.wat", "(module (func (result i32)))");
    for (name, text, status) in [
        ("end", "(module (func (export \"_start\")))".to_string(), 0),
        ("none", "(module)".to_string(), 0),
        ("zero", HELLO.replace("42", "0"), 0),
        ("one", HELLO.replace("42", "1"), 1),
        ("hello", HELLO.to_string(), 42),
        ("most", HELLO.replace("42", "255"), 255),
        ("start", HELLO.replace("(export \"_start\")", "$f").replace("42)))", "7))) (start $f)"), 7),
        ("trap", "(module (func $f (export \"_start\") (unreachable)))".to_string(), 134),
        ("deep", "(module (func $f (export \"_start\") (call $f)))".to_string(), 134),
    ] {
        let module = format!("{name}.wat");
        scratch.write(&module, &text);
        assert_eq!(code(&scratch.vwasm(&["compile", &module])), Some(0), "{name}");
        for output in [scratch.vwasm(&["run", &module]), scratch.program(name)] {
            assert_eq!(code(&output), Some(status), "{name}: {}", said(&output));
            assert_eq!(status == 134, said(&output).contains("wasm trap: "), "{name}: {}", said(&output));
        }
    }
    let output = scratch.vwasm(&["run", "bad.wat"]);
    assert_eq!(code(&output), Some(1));
    assert!(said(&output).starts_with("error: bad.wat: ") && said(&output).contains("offset 0x"), "{}", said(&output));
    for wrong in [
        &["compile"][..],
        &["nonsense"],
        &[],
        &["run"],
        &["run", "--nonsense", "hello.wat"],
        &["wast"],
        &["compile", "--emit", "nothing", "hello.wat"],
        &["compile", "hello.wat", "more.wat"],
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
    assert_eq!(code(&output), Some(134), "a memory of one page does not fit in none");
    scratch.write(
        "passes.wast",
        "(module (func (export \"f\") (result i32) (i32.const 1)))(assert_return (invoke \"f\") (i32.const 1))",
    );
    scratch.write(
        "fails.wast",
        "(module (func (export \"f\") (result i32) (i32.const 1)))(assert_return (invoke \"f\") (i32.const 2))",
    );
    assert_eq!(code(&scratch.vwasm(&["wast", "passes.wast"])), Some(0));
    assert_eq!(code(&scratch.vwasm(&["wast", "passes.wast", "fails.wast"])), Some(1));
}

/// Writes its arguments to standard output, a NUL after each.
const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (drop (call $sizes (i32.const 0) (i32.const 4)))
      (drop (call $get (i32.const 4096) (i32.const 8192)))
      (i32.store (i32.const 8) (i32.const 8192))
      (i32.store (i32.const 12) (i32.load (i32.const 4)))
      (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;

#[test]
fn what_follows_the_module_is_the_programs() {
    let scratch = Scratch::new("arguments");
    scratch.write("echo.wat", ECHO);
    assert_eq!(code(&scratch.vwasm(&["compile", "echo.wat"])), Some(0));
    let odd = OsStr::from_bytes(b"not UTF-8: \xff");
    for first in ["--dir", "--help", "-h", "--version", "--", "-j0", "--invoke=f", "-", "", "--nonsense", "plain"] {
        let arguments = [OsStr::new(first), odd, OsStr::new("--cpu"), OsStr::new("--"), OsStr::new("x y")];
        for before in [&["run"][..], &["run", "--jobs", "1"], &["run", "--"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_vwasm"));
            command.args(before).arg("echo.wat").args(arguments).current_dir(&scratch.0);
            command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
            let output = command.output().expect("it runs");
            let given: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
            let mut wanted = vec!["echo.wat".as_bytes()];
            wanted.extend(arguments.iter().map(|argument| argument.as_bytes()));
            wanted.push(b"");
            assert_eq!(given, wanted, "{before:?} {first}: {}", said(&output));
        }
        let output = Command::new(scratch.0.join("echo")).args(arguments).output().expect("it runs");
        let given: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).skip(1).take(arguments.len()).collect();
        assert_eq!(given, arguments.map(OsStrExt::as_bytes), "the executable, {first}");
    }
    scratch.write("add.wat", "(module (func (export \"add\") (param i32 i64) (result i64) (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1))))");
    let output = scratch.vwasm(&["run", "--invoke", "add", "add.wat", "-1", "-2"]);
    assert_eq!((code(&output), output.stdout.as_slice()), (Some(0), &b"-3\n"[..]), "{}", said(&output));
    for wrong in [&["1"][..], &["1", "x"], &["4294967296", "1"]] {
        let output = scratch.vwasm(&[&["run", "--invoke", "add", "add.wat"], wrong].concat());
        assert_eq!(code(&output), Some(1), "{wrong:?}");
    }
}

/// A called export runs in a process that is confined as any program is, and what it gives is printed.
#[test]
fn an_invoked_function_is_confined() {
    let scratch = Scratch::new("invoke");
    scratch.write(
        "library.wat",
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1) (data (i32.const 4) "\08") (global $made (mut i32) (i32.const 1))
          (func (export "_initialize") (global.set $made (i32.const 7)))
          (func (export "made") (result i32) (global.get $made))
          (func (export "all") (param i32 i64 f32 f64) (result i64 f64 i32 f32 funcref)
            (local.get 1) (local.get 3) (local.get 0) (local.get 2) (ref.null func))
          (func (export "waits") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16))))
          (func (export "exits") (param i32) (call $exit (local.get 0)))
          (func (export "traps") (drop (i32.load (i32.const -1)))) (func (export "takes") (param externref)))"#,
    );
    let run = |arguments: &[&str]| {
        let output = scratch.vwasm(&[&["run", "--invoke", arguments[0], "library.wat"], &arguments[1..]].concat());
        (code(&output), String::from_utf8_lossy(&output.stdout).into_owned(), said(&output))
    };
    for (arguments, printed) in [
        (&["made"][..], "7\n"),
        (&["all", "-1", "-2", "1.5", "-0.1"], "-2\n-0.1\n-1\n1.5\nreference 0\n"),
        (&["all", "4294967295", "18446744073709551615", "nan", "-inf"], "-1\n-inf\n-1\nNaN\nreference 0\n"),
        (&["waits"], ""),
    ] {
        let (status, output, error) = run(arguments);
        assert_eq!((status, output.as_str()), (Some(0), printed), "{arguments:?}: {error}");
    }
    assert_eq!(run(&["exits", "7"]).0, Some(7));
    let (status, output, error) = run(&["traps"]);
    assert_eq!((status, output.as_str()), (Some(134), ""));
    assert!(error.contains("wasm trap: out of bounds memory access"), "{error}");
    for wrong in [&["absent"][..], &["memory"], &["all"], &["made", "1"], &["takes", "1"], &["exits", "seven"]] {
        let (status, output, error) = run(wrong);
        assert_eq!((status, output.as_str()), (Some(1), ""), "{wrong:?}");
        assert!(error.starts_with("error: library.wat: "), "{error}");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_vwasm"))
        .args(["run", "--invoke", "waits", "library.wat"])
        .current_dir(&scratch.0)
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("VWASM_NARROW", "confined")
        .stdin(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let status = || std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("the process");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !status().contains("\nSeccomp:\t2\n") {
        assert!(std::time::Instant::now() < deadline, "no filter");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(status().contains("\nNoNewPrivs:\t1\n"));
    drop(child.stdin.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
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
fn an_interruption_leaves_nothing() {
    let scratch = Scratch::new("interruption");
    let body = "(local.set 0 (i32.mul (i32.add (local.get 0) (i32.load (local.get 0))) (local.get 0)))".repeat(400);
    let functions = format!("(func (param i32) {body})").repeat(400);
    let module = wat::parse_str(format!("(module (memory 1) {functions})")).expect("a module");
    std::fs::write(scratch.0.join("large.wasm"), module).expect("a file");
    scratch.write("old", "old");
    let mut interrupted = 0;
    for (signal, wait) in [("INT", 0), ("INT", 30), ("TERM", 100), ("INT", 300)] {
        for output in ["old", "new.o"] {
            let emit = if output == "old" { "exe" } else { "obj" };
            // Whoever runs the tests may ignore the signals.
            let mut child = Command::new("env")
                .args(["--default-signal=INT,TERM", env!("CARGO_BIN_EXE_vwasm"), "compile", "--jobs", "1"])
                .args(["--emit", emit, "large.wasm", "-o", output])
                .current_dir(&scratch.0)
                .spawn()
                .expect("the command runs");
            std::thread::sleep(Duration::from_millis(wait));
            let sent = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", child.id())).status();
            assert!(sent.is_ok_and(|status| status.success()), "the command still runs");
            interrupted += usize::from(child.wait().expect("it ends").signal().is_some());
            assert_eq!(scratch.files(), ["large.wasm", "old"], "{signal} after {wait} ms");
            assert_eq!(std::fs::read_to_string(scratch.0.join("old")).expect("the old file"), "old");
        }
    }
    assert_eq!(interrupted, 8);
}

#[test]
fn an_object_file_and_its_header() {
    let scratch = Scratch::new("object");
    scratch.write("hello.wat", HELLO);
    // Imported functions are for what it is linked with; there is nothing else that C could provide.
    scratch.write("other.wat", "(module (import \"host\" \"f\" (func)))");
    scratch.write("memory.wat", "(module (import \"host\" \"m\" (memory 1)))");
    assert_eq!(code(&scratch.vwasm(&["compile", "--emit", "obj", "hello.wat"])), Some(0));
    assert_eq!(code(&scratch.vwasm(&["compile", "--emit", "obj", "other.wat", "-o", "x.y.o"])), Some(0));
    let refused = scratch.vwasm(&["compile", "--emit", "obj", "memory.wat"]);
    assert_eq!(code(&refused), Some(1));
    assert!(said(&refused).contains("C programs can provide functions only"), "{}", said(&refused));
    std::fs::remove_file(scratch.0.join("memory.wat")).expect("the module");
    assert_eq!(scratch.files(), ["hello.h", "hello.o", "hello.wat", "other.wat", "x.y.h", "x.y.o"]);
    let header = std::fs::read_to_string(scratch.0.join("x.y.h")).expect("the header");
    assert!(header.contains("extern const struct vwasm_module vwasm_other_module;"), "{header}");
    for wrong in ["out", "out.h", "absent/out.o", "/dev/stdout"] {
        let output = scratch.vwasm(&["compile", "--emit", "obj", "hello.wat", "-o", wrong]);
        assert_eq!(code(&output), Some(1), "{wrong}: {}", said(&output));
    }
    // The second file cannot be written: the first is not either.
    std::fs::create_dir(scratch.0.join("half.o")).expect("a directory");
    assert_eq!(code(&scratch.vwasm(&["compile", "--emit", "obj", "hello.wat", "-o", "half.o"])), Some(1));
    scratch.write("m.h", HELLO);
    assert_eq!(code(&scratch.vwasm(&["compile", "--emit", "obj", "m.h"])), Some(1), "the header would replace the module");
    assert_eq!(scratch.files(), ["half.o", "hello.h", "hello.o", "hello.wat", "m.h", "other.wat", "x.y.h", "x.y.o"]);
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

/// `vwasm run` becomes the program, with everything that confines one.
#[test]
fn run_is_confined() {
    let scratch = Scratch::new("confined");
    scratch.write("forever.wat", "(module (func (export \"_start\") (loop (br 0))))");
    let mut child = Command::new(env!("CARGO_BIN_EXE_vwasm"))
        .args(["run", "--timeout", "60", "forever.wat"])
        .current_dir(&scratch.0)
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let status = || std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("its status");
    let start = std::time::Instant::now();
    let field = |name: &str| {
        let status = status();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_string());
        line.unwrap_or_default()
    };
    while field("Seccomp:") != "2" && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let found = [field("Seccomp:"), field("NoNewPrivs:"), field("Threads:")];
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(found, ["2", "1", "1"]);
}

/// The counts of a rule in a table of `rules cover`.
fn counts(table: &str, rule: &str) -> Option<Vec<u64>> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(rule))?;
    Some(line.split_whitespace().skip(1).take(2).filter_map(|count| count.parse().ok()).collect())
}

#[test]
fn coverage_counts_rules() {
    let scratch = Scratch::new("cover");
    let add = "(func (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))";
    scratch.write("one.wat", &format!("(module {add} {add})"));
    std::fs::create_dir_all(scratch.0.join("below/deep")).expect("directories");
    scratch.write("below/deep/two.wast", &format!("(module {add}) (assert_malformed (module quote \"(\") \"\")"));
    scratch.write("below/text.txt", "no module");
    scratch.write("below/bad.wat", "(module (func (result i32)))");
    let output = scratch.vwasm(&["rules", "cover", "one.wat", "below"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    assert_eq!(counts(&text, "i32.add/add_const"), Some(vec![3, 3]), "{text}");
    assert_eq!(counts(&text, "i32.sub/sub"), Some(vec![0, 0]), "{text}");
    assert!(text.contains("2 modules, 3 functions, 1 left out"), "{text}");
    assert!(text.contains("spec/lower/integer.rules:"), "{text}");
    let output = scratch.vwasm(&["rules", "cover", "--never", "--rule", "i32.add", "-v", "one.wat", "below"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(counts(&text, "i32.add/add_const").is_none() && counts(&text, "i32.add/add").is_some(), "{text}");
    assert!(said(&output).contains("below/bad.wat"), "{}", said(&output));
    for (wrong, help) in [
        (&["rules", "cover", "below/bad.wat"][..], "no module to compile"),
        (&["rules", "cover", "absent"], "absent"),
        (&["rules", "cover", "--rule", "i32.ad", "one.wat"], "did you mean `i32.add`?"),
    ] {
        let output = scratch.vwasm(wrong);
        assert_eq!(code(&output), Some(1), "{wrong:?}");
        assert!(said(&output).contains(help), "{wrong:?}: {}", said(&output));
    }
    assert_eq!(code(&scratch.vwasm(&["rules", "cover"])), Some(2));
}

#[test]
fn choices_are_explained() {
    let scratch = Scratch::new("why");
    scratch.write(
        "m.wat",
        r#"(module (import "a" "b" (func)) (memory 1)
            (func $g (export "f") (param i32 i32) (result i32)
              (i32.add (i32.shl (i32.load offset=4 (local.get 0)) (local.get 1)) (i32.mul (local.get 0) (i32.const 8)))))"#,
    );
    let why = |function: &str| {
        let output = scratch.vwasm(&["rules", "why", "m.wat", function]);
        (code(&output), String::from_utf8_lossy(&output.stdout).into_owned(), said(&output))
    };
    let (status, text, errors) = why("f");
    assert_eq!(status, Some(0), "{errors}");
    // The multiplication becomes a shift, the shift part of an address; the load's address is a form.
    for part in [
        "function 1\n",
        "i32.mul v0, v",
        "=> i32.add/scaled8  spec/lower/integer.rules:",
        "=> i32.shl/bmi2  spec/lower/integer.rules:",
        "not i32.shl/by_const :",
        "`const c`: no constant, but v1: i32, a parameter of its block",
        "=> addr/own  spec/lower/address.rules:",
        "`(i32.shl x@(i32.and _ const m) const 3)`: not i32.shl",
        "not computed by itself",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    for same in ["g", "$g", "1"] {
        assert_eq!(why(same).1, text);
    }
    let line = text.lines().find(|line| line.starts_with("  0x") && line.contains("= i32.shl v")).expect("the shift");
    let offset = line.split_whitespace().next().expect("its offset");
    let (_, part, _) = why(&format!("f@{offset}"));
    assert!(part.contains("i32.shl/bmi2") && !part.contains("i32.add/scaled8"), "{part}");
    let old = scratch.vwasm(&["rules", "why", "--cpu", "x86-64-v2", "m.wat", "f"]);
    let old = String::from_utf8_lossy(&old.stdout).into_owned();
    assert!(old.contains("not i32.shl/bmi2") && old.contains("`when cpu.bmi2`: not on this CPU"), "{old}");
    for (wrong, help) in [
        ("0", "imported"),
        ("2", "no function `2`"),
        ("x\u{1b}", "no function `x\\u{1b}`"),
        ("f@1", "no operator at 0x1"),
        ("f@x", "`x` is no offset"),
        ("4294967296", "no function"),
    ] {
        let (status, _, errors) = why(wrong);
        assert_eq!(status, Some(1), "{wrong}");
        assert!(errors.contains(help), "{wrong}: {errors}");
    }
}

#[test]
fn unproved_rules_are_told() {
    let scratch = Scratch::new("unproved");
    let bytes = wat::parse_str(HELLO).expect("a module");
    let module = vwasm::module::Module::decode(&bytes).expect("a valid module");
    let mut compiled = vwasm::compile::compile(&module, &vwasm::compile::Options::default(), &|| ()).expect("it compiles");
    let of_this_build: Vec<&str> = compiled.manifest.unproved.iter().map(String::as_str).collect();
    assert_eq!(of_this_build, vwasm::lower::rules::UNPROVED);
    let verify = |compiled: &vwasm::compile::Compiled| {
        let image = vwasm::image::executable(compiled).expect("an executable");
        std::fs::write(scratch.0.join("program"), image).expect("a file");
        let output = scratch.vwasm(&["verify", "program"]);
        assert_eq!(code(&output), Some(0), "{}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    compiled.manifest.unproved.clear();
    assert!(!verify(&compiled).contains("unproved"));
    compiled.manifest.unproved = vec!["i32.shl/doubled".into(), "addr/\u{1b}[2J".into()];
    let text = verify(&compiled);
    assert!(text.contains("unproved rules: 2 (i32.shl/doubled, addr/\\u{1b}[2J)"), "{text}");
    let object = vwasm::object::object(&compiled).expect("an object file").file;
    assert!(object.windows(15).any(|part| part == b"i32.shl/doubled"), "the object file's manifest does not say so");
    compiled.manifest.unproved = (0..1000).map(|number| format!("rule/{number}")).collect();
    let text = verify(&compiled);
    assert!(text.contains("unproved rules: 1000 (rule/0, ") && text.contains("rule/9, and 990 more)"), "{text}");
}
