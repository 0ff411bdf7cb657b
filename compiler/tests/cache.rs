//! The cache of `vwasm run` under hostile hands: nothing in it is believed, and nothing about it stops a program.

use sha2::{Digest, Sha256};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cache-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory");
        Scratch(path)
    }

    fn module(&self, name: &str, status: u32) {
        let text = format!(
            "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
               (memory (export \"memory\") 1) (func (export \"_start\") (call $exit (i32.const {status}))))"
        );
        std::fs::write(self.0.join(name), text).expect("a file");
    }

    fn vwasm(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vwasm"));
        command.args(args).current_dir(&self.0).env("XDG_CACHE_HOME", self.0.join("home")).stdin(Stdio::null());
        command.output().expect("the command runs")
    }

    /// Runs a module; gives its status and what was said of the cache.
    fn run(&self, module: &str) -> (Option<i32>, String) {
        let output = self.vwasm(&["run", "--verbose", module]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn entries(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.0.join("home/vwasm")).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    }

    fn only_entry(&self) -> PathBuf {
        let entries = self.entries();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.into_iter().next().expect("one entry")
    }
}

const KEPT: &str = "cache: kept in ";
const FOUND: &str = "cache: found in ";

#[test]
fn found_again() {
    let scratch = Scratch::new("found");
    scratch.module("a.wat", 7);
    scratch.module("b.wat", 8);
    let (status, said) = scratch.run("a.wat");
    assert!(status == Some(7) && said.starts_with(KEPT), "{said}");
    let (status, said) = scratch.run("a.wat");
    assert!(status == Some(7) && said.starts_with(FOUND), "{said}");
    // What is granted is not part of it.
    let output = scratch.vwasm(&["run", "-v", "--env", "A=B", "--timeout", "5", "--max-memory", "1MiB", "a.wat"]);
    assert!(output.status.code() == Some(7) && output.stderr.starts_with(FOUND.as_bytes()));
    // What is compiled otherwise is something else; so is another module.
    for (options, status) in [
        (&["--cpu", "x86-64-v2", "a.wat"][..], 7),
        (&["--fuel", "100", "a.wat"], 7),
        (&["b.wat"], 8),
        (&["--fuel", "2", "a.wat"], 134),
    ] {
        let output = scratch.vwasm(&[&["run", "-v"], options].concat());
        assert_eq!(output.status.code(), Some(status), "{options:?}");
    }
    assert_eq!(scratch.entries().len(), 4);
    let output = scratch.vwasm(&["run", "--no-cache", "-v", "a.wat"]);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(7), &b""[..]));
    let shown = scratch.vwasm(&["cache", "show"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(": 4 modules, "), "{shown:?}");
    // What is not an entry stays.
    let other = scratch.0.join("home/vwasm/notes.txt");
    std::fs::write(&other, "").expect("a file");
    assert!(scratch.vwasm(&["cache", "clear"]).status.success());
    assert_eq!(scratch.entries(), [other]);
    let (status, said) = scratch.run("a.wat");
    assert!(status == Some(7) && said.starts_with(KEPT), "{said}");
}

#[test]
fn damaged_entries_are_replaced() {
    let scratch = Scratch::new("damaged");
    scratch.module("a.wat", 7);
    scratch.module("b.wat", 8);
    scratch.run("a.wat");
    let path = scratch.only_entry();
    let good = std::fs::read(&path).expect("the entry");
    scratch.run("b.wat");
    let other = scratch.entries().into_iter().find(|entry| *entry != path).expect("a second entry");
    let other = std::fs::read(&other).expect("the entry");
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let places = [0, 24, good.len() / 3, good.len() / 2, good.len() - 33, good.len() - 1];
    let mut bad: Vec<Vec<u8>> = places.into_iter().map(flipped).collect();
    bad.extend([Vec::new(), good[..31].to_vec(), good[..good.len() - 1].to_vec(), [&good[..], b"x"].concat(), other]);
    for bytes in bad {
        std::fs::write(&path, &bytes).expect("written");
        let (status, said) = scratch.run("a.wat");
        assert!(status == Some(7) && said.contains("an entry is not used: it is damaged") && said.contains(KEPT), "{said}");
        assert!(std::fs::read(&path).expect("the entry") == good);
    }
}

/// The checker judges what a forger has sealed anew.
#[test]
fn forged_entries_stay_in_the_sandbox() {
    let scratch = Scratch::new("forged");
    scratch.module("a.wat", 7);
    scratch.run("a.wat");
    let path = scratch.only_entry();
    let good = std::fs::read(&path).expect("the entry");
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let key: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&name[2 * n..2 * n + 2], 16).expect("digits")).collect();
    let executable = &good[..good.len() - 32];
    let seal = |executable: &[u8]| {
        let digest = Sha256::new().chain_update(&key).chain_update(executable).finalize();
        [executable, digest.as_slice()].concat()
    };
    assert!(seal(executable) == good, "the test seals as the cache does");
    // The first instruction becomes a system call; a byte of the stub becomes another.
    let first =
        vwasm::executable::read(executable).expect("it is accepted").code.as_ptr() as usize - executable.as_ptr() as usize;
    let (mut code, mut stub) = (executable.to_vec(), executable.to_vec());
    code[first..first + 2].copy_from_slice(&[0x0f, 0x05]);
    stub[0x1100] ^= 0xff;
    for (what, forged) in [("code", code), ("stub", stub)] {
        std::fs::write(&path, seal(&forged)).expect("written");
        let (status, said) = scratch.run("a.wat");
        assert!(status == Some(7) && said.contains("an entry is not used: "), "{what}: {said}");
        assert!(!said.contains("damaged") && said.contains(KEPT), "{what}: {said}");
        assert!(std::fs::read(&path).expect("the entry") == good);
    }
}

#[test]
fn files_of_others_are_not_used() {
    let scratch = Scratch::new("others");
    scratch.module("a.wat", 7);
    scratch.run("a.wat");
    let path = scratch.only_entry();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("set");
    let (status, said) = scratch.run("a.wat");
    assert!(status == Some(7) && said.contains("only the user can write"), "{said}");
    let moved = scratch.0.join("moved");
    std::fs::rename(&path, &moved).expect("moved");
    symlink(&moved, &path).expect("a link");
    let (status, said) = scratch.run("a.wat");
    assert!(status == Some(7) && said.contains("an entry is not used: "), "{said}");
    let _ = std::fs::remove_file(&path);
    std::fs::create_dir(&path).expect("a directory");
    let (status, said) = scratch.run("a.wat");
    assert!(status == Some(7) && said.contains("not used") && said.contains("not kept"), "{said}");
}

/// A cache that cannot be written costs time and nothing else, and is told of only on request.
#[test]
fn no_place() {
    let scratch = Scratch::new("place");
    scratch.module("a.wat", 7);
    std::fs::write(scratch.0.join("file"), "").expect("a file");
    for home in ["/proc/nothing", scratch.0.join("file").to_str().expect("a name"), "relative"] {
        for (verbose, says) in [("--verbose", home != "relative"), ("--", false)] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_vwasm"));
            command.args(["run", verbose, "a.wat"]).current_dir(&scratch.0);
            let output = command.env("XDG_CACHE_HOME", home).env("HOME", "").output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), said.starts_with("cache: ")), (Some(7), says), "{home}: {said}");
        }
    }
}
