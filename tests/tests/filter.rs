//! The system calls that executables are confined to: for each set of imports the filter, read as the kernel reads it, lets
//! through what was listed with the arguments it may have, and nothing else.

extern crate alloc;

#[allow(dead_code)]
#[path = "../../runtime/src/stub/confine.rs"]
mod confine;

use vwasm_runtime::manifest::{ExternType, Import, Manifest};
use vwasm_runtime::sys::number;
use vwasm_runtime::wasi;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

/// What a filter answers to a call.
fn answer(filter: &[confine::Step], architecture: u32, number: u32, arguments: [u32; 6]) -> u32 {
    let (mut at, mut loaded) = (0, 0);
    loop {
        let step = &filter[at];
        at += 1;
        let holds = match step.code {
            0x06 => return step.value,
            0x20 => {
                loaded = match step.value {
                    0 => number,
                    4 => architecture,
                    offset => arguments[(offset as usize - 16) / 8],
                };
                continue;
            }
            0x15 => loaded == step.value,
            0x35 => loaded >= step.value,
            0x45 => loaded & step.value != 0,
            code => panic!("a step that was not expected: {code:#x}"),
        };
        at += usize::from(if holds { step.if_true } else { step.if_false });
    }
}

fn manifest(names: &[&str], directories: bool) -> Manifest {
    let import = |name: &&str| Import {
        module: "wasi_snapshot_preview1".into(),
        name: (*name).into(),
        kind: ExternType::Function(0),
    };
    let mut manifest = Manifest { imports: names.iter().map(import).collect(), ..Manifest::default() };
    if directories {
        manifest.grants.directories.push((".".into(), "/".into()));
    }
    manifest
}

fn check(manifest: &Manifest) {
    let allowed = confine::allowed(manifest);
    let filter = confine::filter(&allowed).expect("a filter");
    assert!(filter.len() < 256);
    for number in (0..1024).chain([1 << 30, 1 << 30 | 1, 1 << 31, u32::MAX]) {
        let listed = allowed.contains(&(number as usize));
        for argument in [0, 1, 2, 3, 4, 5, 6, 7, 0x1000_0000, u32::MAX] {
            let harmless = match number as usize {
                number::MMAP | number::MPROTECT => argument & 4 == 0,
                number::FCNTL => argument == 4,
                _ => true,
            };
            // The argument that counts, among others that would do.
            let (first, second) = if number as usize == number::FCNTL { (argument, 0) } else { (4, argument) };
            let expected = if listed && harmless { ALLOW } else { KILL_PROCESS };
            let found = answer(&filter, X86_64, number, [0, first, second, 0, 0, 0]);
            assert_eq!(found, expected, "system call {number}, argument {argument}");
        }
        assert_eq!(answer(&filter, I386, number, [0, 4, 0, 0, 0, 0]), KILL_PROCESS);
    }
}

#[test]
fn exactly_what_is_listed() {
    let all: Vec<&str> = wasi::functions().map(|(name, _)| name).collect();
    for directories in [false, true] {
        check(&manifest(&[], directories));
        check(&manifest(&all, directories));
        for name in &all {
            check(&manifest(&[name], directories));
        }
    }
    // What never may be there.
    let allowed = confine::allowed(&manifest(&all, true));
    for call in [number::PRCTL, number::SECCOMP, number::EXECVEAT, number::MEMFD_CREATE, number::IOCTL] {
        assert!(!allowed.contains(&call));
    }
}
