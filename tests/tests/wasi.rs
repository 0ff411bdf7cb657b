//! WASI without Wasmtime: what tests/wasi/run.py compares, against the lines that Wasmtime gave; attempts to leave the granted
//! directory; sockets, streams that are closed, limits, confinement.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vwasm_tests::support::*;

fn wasi_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wasi")
}

fn module(name: &str) -> Vec<u8> {
    std::fs::read(wasi_directory().join("wasm").join(format!("{name}.wasm"))).unwrap()
}

/// Lines in which vwasm means to differ from Wasmtime: program, how they begin.
fn differences() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(wasi_directory().join("differences.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('\t')).map(|mut f| (f.next().unwrap().into(), f.next().unwrap().into())).collect()
}

fn check_program(name: &str, lacking: &[usize]) {
    let directory = Directory::new(&format!("wasi-{name}-{}", lacking.len()));
    std::fs::create_dir(directory.path().join("granted")).unwrap();
    let mut grants = directory.grants("granted", "/granted");
    let pair = |(key, value): (&str, &str)| (key.to_string(), value.to_string());
    grants.environment =
        [("EMPTY", ""), ("NAME", "value"), ("SPACES", "a b  c"), ("EQUALS", "a=b=c"), ("UMLAUT", "ä")].map(pair).to_vec();
    let program = executable(&directory, "program", &module(name), grants);
    let long = "a".repeat(300);
    let mut command = Command::new(&program);
    std::os::unix::process::CommandExt::arg0(&mut command, "program");
    if !lacking.is_empty() {
        lack(&mut command, lacking);
    }
    let output = run(command.args(["", "one", "two words", "--flag=x", "ünï", &long]), b"0123456789");
    let expected = std::fs::read_to_string(wasi_directory().join("expected").join(format!("{name}.txt"))).unwrap();
    let ours = text(&output.stdout);
    assert_eq!(ours.lines().count(), expected.lines().count(), "{name}: {}", text(&output.stderr));
    let meant = differences();
    let mut heading = "";
    for (mine, theirs) in ours.lines().zip(expected.lines()) {
        let indented = mine.starts_with(' ');
        let full = if indented { format!("{heading}{mine}") } else { mine.to_string() };
        let means = meant.iter().any(|(program, start)| program == name && full.starts_with(start.as_str()));
        assert!(mine == theirs || means, "{name}: {full}, expected {theirs}");
        heading = if indented { heading } else { mine };
    }
    assert_eq!(output.status.code(), Some(if name == "system" { 23 } else { 0 }), "{name}: {}", text(&output.stderr));
}

#[test]
fn programs() {
    for name in ["system", "descriptors", "io", "times", "readdir", "poll", "invalid", "rust", "assembly"] {
        check_program(name, &[]);
    }
}

#[test]
fn paths() {
    for name in ["open", "paths", "sequences"] {
        check_program(name, &[]);
    }
}

/// Without `openat2` paths lead to the same.
#[test]
fn paths_on_an_older_kernel() {
    for name in ["open", "paths", "sequences", "readdir", "times", "rust", "assembly"] {
        check_program(name, &[vwasm_runtime::sys::number::OPENAT2]);
    }
}

#[test]
fn nothing_leaves_its_directory() {
    let directory = Directory::new("escape");
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir_all(at("granted/sub/deep")).unwrap();
    std::fs::create_dir(at("outside")).unwrap();
    std::fs::write(at("outside/secret"), "SECRET").unwrap();
    std::fs::write(at("granted/inside"), "inside").unwrap();
    let here = at("outside").to_str().unwrap().to_string();
    let secret = format!("{here}/secret");
    for (name, target) in [
        ("absolute", secret.as_str()),
        ("relative", "../outside/secret"),
        ("absolute_directory", &here),
        ("relative_directory", "../outside"),
        ("chain", "chain2"),
        ("chain2", "sub/chain3"),
        ("sub/chain3", "../../outside"),
        ("sub/deep/up", "../../.."),
        ("root", "/"),
        ("proc", "/proc/self"),
        ("descriptors", "/proc/self/fd"),
        ("executable", "/proc/self/exe"),
        ("working", "/proc/self/cwd"),
        ("back", "../granted"),
        ("device", "/dev/zero"),
        ("terminal", "/dev/tty"),
        ("self", "."),
        ("sub/relative", "../../outside/secret"),
        ("sub/deep/relative", "../../../outside/secret"),
    ] {
        std::os::unix::fs::symlink(target, at("granted").join(name)).unwrap();
    }
    let program = executable(&directory, "program", &module("escape"), directory.grants("granted", "/"));
    for lacking in [&[][..], &[vwasm_runtime::sys::number::OPENAT2]] {
        let mut command = Command::new(&program);
        if !lacking.is_empty() {
            lack(&mut command, lacking);
        }
        let output = text(&run(&mut command, b"").stdout);
        assert!(output.ends_with("successes 0\n"), "{output}");
        assert!(output.lines().filter(|line| line.starts_with("refused ")).count() > 1000);
        assert_eq!(std::fs::read_dir(at("outside")).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(at("outside/secret")).unwrap(), "SECRET");
    }

    let everything = Grants { directories: vec![("/".into(), "/".into())], ..nothing() };
    let program = executable(&directory, "procfs", &module("procfs"), everything);
    for lacking in [&[][..], &[vwasm_runtime::sys::number::OPENAT2]] {
        let mut command = Command::new(&program);
        if !lacking.is_empty() {
            lack(&mut command, lacking);
        }
        let output = text(&run(&mut command, b"").stdout);
        assert!(output.contains("attempts 156\n  successes 0\n"), "{output}");
    }

    let procfs = Grants { directories: vec![("/proc".into(), "/".into())], ..nothing() };
    let output = run(&mut Command::new(executable(&directory, "granted-procfs", &module("procfs"), procfs)), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/proc"), "{}", text(&output.stderr));
}

// -- streams and sockets --

const STREAMS: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\04\00\00\00") (data (i32.const 16) "text")
  (func (export "_start")
    (call $exit (i32.add (i32.mul (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 10))
      (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))))"#;

#[test]
fn closed_streams() {
    let directory = Directory::new("streams");
    let program = executable(&directory, "program", STREAMS.as_bytes(), nothing());
    let shell = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).env("P", &program).output().unwrap();
        (output.status.code(), text(&output.stdout))
    };
    assert_eq!(shell("$P </dev/null"), (Some(0), "text".into()));
    // Closed ones are empty and swallow everything, and nothing else takes their numbers.
    assert_eq!(shell("$P <&- >&-"), (Some(0), "".into()));
    assert_eq!(shell("$P <&- >&- 2>&-"), (Some(0), "".into()));
}

#[test]
fn broken_pipe() {
    // Nobody reads any more: the program is told (64, `pipe`), and not ended.
    let directory = Directory::new("pipe");
    let program = executable(&directory, "program", STREAMS.as_bytes(), nothing());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(program).stdin(Stdio::null()).stdout(OwnedFd::from(writer)).status().unwrap();
    assert_eq!(status.code(), Some(64));
}

const SOCKETS: &str = r#"(module
  (import "wasi_snapshot_preview1" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\10\00\00\00")
  (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
  (func (export "_start")
    ;; peeks, receives, sends back what came, shuts down, and finds that this socket does not listen
    (call $check (call $recv (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 16) (i32.const 20)))
    (call $check (call $recv (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 16) (i32.const 20)))
    (i32.store (i32.const 4) (i32.load (i32.const 16)))
    (call $check (call $send (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 24)))
    (call $check (call $shutdown (i32.const 0) (i32.const 3)))
    (call $exit (call $accept (i32.const 0) (i32.const 0) (i32.const 28)))))"#;

#[test]
fn sockets() {
    use std::io::{Read, Write};
    let directory = Directory::new("sockets");
    let program = executable(&directory, "program", SOCKETS.as_bytes(), nothing());
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut child = Command::new(program).stdin(OwnedFd::from(theirs)).spawn().unwrap();
    ours.write_all(b"ping").unwrap();
    let mut answer = String::new();
    ours.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "ping");
    assert_eq!(child.wait().unwrap().code(), Some(28)); // `inval`
}

// -- limits --

/// Runs a module with limits; gives status, standard output and error, and how long it took.
fn limited(name: &str, module: &str, grants: Grants, narrow: &str) -> (Option<i32>, String, String, Duration) {
    let directory = Directory::new(&format!("limit-{name}"));
    let program = executable(&directory, "program", module.as_bytes(), grants);
    let start = Instant::now();
    // A pipe that stays open and empty: reading waits.
    let (reader, _writer) = std::io::pipe().unwrap();
    let output = Command::new(program).env("VWASM_NARROW", narrow).stdin(OwnedFd::from(reader)).output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr), start.elapsed())
}

#[test]
fn time() {
    let poll = r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
    let read = r#"(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))"#;
    let random = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    for (name, import, body) in [
        ("loop", "", "(loop $again (br $again))"),
        ("recursion", "", "(loop $again (call $deep (i32.const 1000)) (br $again))"),
        ("fill", "", "(loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x1fffffff)) (br $again))"),
        ("copy", "", "(memory.copy (i32.const 1) (i32.const 0) (i32.const 0x1ffffff0)) (loop $again (br $again))"),
        ("table", "", "(loop $again (table.fill 0 (i32.const 0) (ref.null func) (i32.const 9000000)) (br $again))"),
        ("grow", "", "(loop $again (drop (table.grow 1 (ref.null func) (i32.const 1))) (br $again))"),
        (
            "sleep",
            poll,
            "(i64.store (i32.const 24) (i64.const 100000000000)) (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 96)))",
        ),
        (
            "read",
            read,
            "(i32.store (i32.const 4) (i32.const 8)) (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))",
        ),
        ("random", random, "(loop $again (drop (call $random (i32.const 0) (i32.const 0x1fffffff))) (br $again))"),
    ] {
        let module = format!(
            "(module {import} (memory (export \"memory\") 8192) (table 9000000 funcref) (table 0 funcref)
               (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
               (func (export \"_start\") {body}))"
        );
        let grants = Grants { timeout: Some(200), ..nothing() };
        let (status, _, error, took) = limited(name, &module, grants, "");
        assert_eq!(status, Some(134), "{name}: {error}");
        assert!(error.contains("wasm trap: the time limit is reached\n"), "{name}: {error}");
        assert!(took >= Duration::from_millis(200) && took < Duration::from_millis(600), "{name}: {took:?}");
    }
    let forever = "(module (func (export \"_start\") (loop $again (br $again))))";
    let (status, _, error, _) = limited("narrowed", forever, nothing(), "timeout=50");
    assert_eq!((status, error.contains("the time limit is reached")), (Some(134), true));
    // What was granted cannot be widened.
    let (status, _, _, took) = limited("widened", forever, Grants { timeout: Some(50), ..nothing() }, "timeout=100000");
    assert_eq!(status, Some(134));
    assert!(took < Duration::from_secs(5));
}

#[test]
fn memory_tables_stack() {
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    let program = |memory: u32, table: u32, body: &str| {
        format!("(module {exit} (memory {memory}) (table {table} funcref) (func $f (export \"_start\") {body}))")
    };
    let grow = "(call $exit (i32.add (i32.mul (memory.grow (i32.const 6)) (i32.const 10)) (memory.grow (i32.const 1))))";
    let (status, ..) = limited("memory", &program(2, 0, grow), Grants { max_memory_pages: Some(8), ..nothing() }, "");
    assert_eq!(status, Some(19)); // grown from 2 to 8; then -1
    let (status, _, error, _) = limited("memory", &program(9, 0, ""), Grants { max_memory_pages: Some(8), ..nothing() }, "");
    assert_eq!(status, Some(134));
    assert!(error.contains("the program begins with 9 pages of memory; its limit is 8"), "{error}");
    let grow = "(call $exit (i32.add (i32.mul (table.grow (ref.null func) (i32.const 6)) (i32.const 10)) (table.grow (ref.null func) (i32.const 1))))";
    let (status, ..) = limited("table", &program(0, 2, grow), nothing(), "table-elements=8");
    assert_eq!(status, Some(19));
    let (status, _, error, _) = limited("table", &program(0, 9, ""), nothing(), "table-elements=8");
    assert_eq!(status, Some(134));
    assert!(error.contains("the program begins with 9 table elements; its limit is 8"), "{error}");
    let (status, _, error, _) = limited("stack", &program(0, 0, "(call $f)"), nothing(), "");
    assert_eq!(status, Some(134));
    assert!(error.contains("wasm trap: call stack exhausted\n"), "{error}");
    let (status, _, error, _) = limited("narrow", &program(0, 0, ""), nothing(), "nonsense");
    assert_eq!(status, Some(1));
    assert!(error.contains("VWASM_NARROW: `nonsense` is not understood"), "{error}");
}

#[test]
fn files_and_output() {
    let writes = r#"(module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\10\00\00\00\0a\00\00\00") (data (i32.const 16) "0123456789")
      (func (export "_start") (loop $again
        (br_if $again (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))))"#;
    let (status, output, error, _) = limited("output", writes, Grants { max_output: Some(25), ..nothing() }, "");
    assert_eq!((status, output.as_str()), (Some(134), "0123456789012345678901234"));
    assert!(error.contains("wasm trap: fd_write: the program may write no more output\n"), "{error}");

    let opens = r#"(module
      (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (data (i32.const 0) ".")
      (func (export "_start") (local $error i32) (local $count i32)
        (loop $again
          (local.set $error (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
          (if (i32.eqz (local.get $error)) (then (local.set $count (i32.add (local.get $count) (i32.const 1))) (br $again))))
        (call $exit (i32.add (local.get $error) (i32.mul (local.get $count) (i32.const 50))))))"#;
    let directory = Directory::new("limit-granted");
    let (status, ..) = limited("files", opens, Grants { max_open_files: Some(6), ..directory.grants(".", "/") }, "");
    assert_eq!(status, Some(2 * 50 + 33)); // two more, then `mfile`
    let (status, ..) = limited("none", opens, directory.grants(".", "/"), "no-directories");
    assert_eq!(status, Some(8)); // `badf`
}

/// Standard streams take and give megabytes, a piece at a time, whatever they are.
#[test]
fn large_transfers() {
    let copies = r#"(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 64)
      (func (export "_start") (local $have i32)
        (loop $more
          (i32.store (i32.const 0) (i32.add (i32.const 65536) (local.get $have)))
          (i32.store (i32.const 4) (i32.sub (i32.const 3500000) (local.get $have)))
          (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)) (then unreachable))
          (local.set $have (i32.add (local.get $have) (i32.load (i32.const 16))))
          (br_if $more (i32.load (i32.const 16))))
        ;; All of it with one call.
        (i32.store (i32.const 0) (i32.const 65536))
        (i32.store (i32.const 4) (local.get $have))
        (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 16)) (local.get $have)) (then unreachable))))"#;
    let directory = Directory::new("large");
    let program = executable(&directory, "program", copies.as_bytes(), nothing());
    let text: Vec<u8> = (0..3_300_000u32).map(|n| (n * 7 + n / 1000) as u8).collect();
    let (input, output) = (directory.path().join("input"), directory.path().join("output"));
    std::fs::write(&input, &text).unwrap();
    let open = || std::fs::File::open(&input).unwrap();
    let status = Command::new(&program).stdin(open()).stdout(std::fs::File::create(&output).unwrap()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(std::fs::read(&output).unwrap() == text);
    let piped = Command::new(&program).stdin(open()).output().unwrap();
    assert_eq!(piped.status.code(), Some(0));
    assert!(piped.stdout == text);
}

// -- confinement --

#[test]
fn confined() {
    let sleeps = r#"(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 4) "\08")
      (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))))"#;
    let directory = Directory::new("confined");
    let program = executable(&directory, "program", sleeps.as_bytes(), nothing());
    let mut child = Command::new(program).env("VWASM_NARROW", "confined").stdin(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let deadline = Instant::now() + Duration::from_secs(10);
    // It is confined before guest code runs, so it is when it reads.
    while !std::fs::read_to_string(&status).unwrap().contains("\nSeccomp:\t2\n") {
        assert!(Instant::now() < deadline, "no filter");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(std::fs::read_to_string(&status).unwrap().contains("\nNoNewPrivs:\t1\n"));
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Lets a command run as on a kernel that lacks some system calls, as far as a filter can play one.
fn lack(command: &mut Command, calls: &[usize]) {
    use std::os::unix::process::CommandExt;
    use vwasm_runtime::sys::{number, syscall};
    const NOSYS: u64 = 0x0005_0000 | 38;
    const ALLOW: u64 = 0x7fff_0000;
    // struct sock_filter: code and jumps in the low half, value in the high one.
    let step = |code: u64, if_true: u64, value: u64| code | if_true << 16 | value << 32;
    let mut filter = vec![step(0x20, 0, 0)];
    for (n, call) in calls.iter().enumerate() {
        filter.push(step(0x15, (calls.len() - n) as u64, *call as u64));
    }
    filter.extend([step(0x06, 0, ALLOW), step(0x06, 0, NOSYS)]);
    // SAFETY: only system calls, whose structures live as long as the closure.
    unsafe {
        command.pre_exec(move || {
            let list = [filter.len(), filter.as_ptr() as usize];
            syscall(number::PRCTL, [38, 1, 0, 0, 0, 0]);
            syscall(number::SECCOMP, [1, 0, list.as_ptr() as usize, 0, 0, 0]);
            Ok(())
        });
    }
}

#[test]
fn kernel_without_confinement() {
    use vwasm_runtime::sys::number;
    let directory = Directory::new("old-kernel");
    let program = executable(&directory, "program", STREAMS.as_bytes(), nothing());
    let run_there = |narrow: &str| {
        let mut command = Command::new(&program);
        lack(&mut command, &[number::SECCOMP, number::LANDLOCK_CREATE_RULESET]);
        command.env("VWASM_NARROW", narrow).stdin(Stdio::null()).output().unwrap()
    };
    let output = run_there("");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "text".into()), "{}", text(&output.stderr));
    let output = run_there("confined");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("this kernel has no Landlock"), "{}", text(&output.stderr));
}

#[test]
fn signals() {
    let forever = "(module (func (export \"_start\") (loop $again (br $again))))";
    let directory = Directory::new("signals");
    let program = executable(&directory, "program", forever.as_bytes(), nothing());
    for (signal, by_signal, status) in
        [("INT", Some(2), None), ("TERM", Some(15), None), ("SEGV", None, Some(139)), ("ILL", None, Some(132))]
    {
        let mut child = Command::new(&program).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert!(Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap().success());
        let ended = child.wait().unwrap();
        // What another process sends is never taken for a trap of the guest.
        assert_eq!((std::os::unix::process::ExitStatusExt::signal(&ended), ended.code()), (by_signal, status), "{signal}");
    }
}

#[test]
fn trace() {
    let directory = Directory::new("trace");
    let program = executable(&directory, "program", STREAMS.as_bytes(), nothing());
    let output = run(Command::new(program).env("VWASM_TRACE", "wasi"), b"in");
    let lines = "wasi fd_read(0, 0x0, 1, 0x8) = success\nwasi fd_write(1, 0x0, 1, 0x8) = success\nwasi proc_exit(0)\n";
    assert_eq!(text(&output.stderr), lines);
}

#[test]
fn unstable() {
    // Standard input has no position; a file at its end is told by the older numbers.
    let module = r#"(module
      (import "wasi_unstable" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
      (import "wasi_unstable" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
      (import "wasi_unstable" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (data (i32.const 0) "file")
      (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
      (func (export "_start")
        (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
        (call $check (call $seek (i32.load (i32.const 8)) (i64.const -2) (i32.const 1) (i32.const 16)))
        (call $check (call $stat (i32.load (i32.const 8)) (i32.const 32)))
        ;; 5 bytes less 2; one link; the size where the older layout has it
        (call $exit (i32.add (i32.load (i32.const 16)) (i32.add
          (i32.mul (i32.const 10) (i32.load (i32.const 52))) (i32.mul (i32.const 20) (i32.load (i32.const 56))))))))"#;
    let directory = Directory::new("unstable");
    std::fs::write(directory.path().join("file"), "12345").unwrap();
    let program = executable(&directory, "program", module.as_bytes(), directory.grants(".", "/"));
    assert_eq!(run(&mut Command::new(program), b"").status.code(), Some(3 + 10 + 100));
}
