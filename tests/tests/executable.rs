//! The shape of executables: what the kernel maps, how large they are, and that their bytes depend on nothing but the module.

use std::process::Command;
use vwasm::compile::{Options, compile};
use vwasm::image::executable;
use vwasm::module::Module;
use vwasm_tests::support::{self, Directory, Grants, nothing};

fn image(name: &str) -> Vec<u8> {
    let path = format!("{}/bench/wasm/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let module = Module::decode(&bytes).unwrap();
    executable(&compile(&module, &Options::default(), &|| ()).unwrap()).unwrap()
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Type, flags, file offset, address, size in the file and in memory of each program header.
fn headers(image: &[u8]) -> Vec<(u32, u32, u64, u64, u64, u64)> {
    let start = u64_at(image, 32) as usize;
    let count = u16::from_le_bytes(image[56..58].try_into().unwrap()) as usize;
    let half = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
    (0..count)
        .map(|n| start + 56 * n)
        .map(|at| {
            let word = |n: usize| u64_at(image, at + 8 * n);
            (half(at), half(at + 4), word(1), word(2), word(4), word(5))
        })
        .collect()
}

const EXECUTE: u32 = 1;
const WRITE: u32 = 2;

#[test]
fn hello_is_small_static_and_never_writable_and_executable() {
    let image = image("hello");
    assert!(image.len() <= 400_000, "{} bytes", image.len());
    assert_eq!(image[16], 2, "not ET_EXEC");
    let headers = headers(&image);
    let (mut code, mut stack) = (0, 0);
    let mut mapped: Vec<(u64, u64)> = Vec::new();
    let mut read_only: Vec<(u64, u64, u64)> = Vec::new();
    for &(kind, flags, offset, address, in_file, in_memory) in &headers {
        match kind {
            1 => {
                assert!(flags & (WRITE | EXECUTE) != WRITE | EXECUTE, "a segment is writable and executable");
                assert!(offset + in_file <= image.len() as u64);
                assert!(flags & WRITE == 0 || in_file == 0, "pages of the file are copied to be written");
                if flags & (WRITE | EXECUTE) == 0 {
                    read_only.push((address, offset, in_file));
                }
                code += u32::from(flags & EXECUTE != 0);
                mapped.push((address & !4095, (address + in_memory).next_multiple_of(4096)));
            }
            0x6474_e551 => {
                assert_eq!(flags & EXECUTE, 0, "an executable stack");
                stack += 1;
            }
            other => panic!("a header of type {other:#x}: an interpreter or dynamic linking"),
        }
    }
    assert_eq!((code, stack), (2, 1), "the runtime's code, the module's code, one stack header");
    let (stub, header) = (read_only[0], read_only[1]);
    assert_eq!((stub.0 + stub.2, stub.1 + stub.2), (header.0, header.1), "the kernel cannot map stub and payload as one");
    mapped.sort_unstable();
    assert!(mapped.windows(2).all(|pair| pair[0].1 <= pair[1].0), "segments share a page");
}

#[test]
fn bytes_do_not_depend_on_threads() {
    for name in ["hello", "sort", "regex"] {
        let images: Vec<Vec<u8>> = [1, 2, 7]
            .iter()
            .map(|&threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| image(name)))
            .collect();
        assert!(images.windows(2).all(|pair| pair[0] == pair[1]), "{name}");
    }
}

/// What a program says of its grants is all of them, and none of it is a terminal's to obey.
#[test]
fn grants_are_shown_whole_and_harmless() {
    let directory = Directory::new("shown");
    let long = "v".repeat(5000);
    let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
    let grants = Grants {
        directories: vec![pair("/no\x1b[2J/where", "gu\u{202e}est\ndirectory / as /")],
        environment: vec![pair("KEY\x07", "\x1b]0;title\x07"), pair("LONG", &long)],
        ..nothing()
    };
    let module = br#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#;
    let program = support::executable(&directory, "program", module, grants);
    let shown = support::run(Command::new(&program).env("VWASM_SHOW_GRANTS", "1"), b"");
    assert!(shown.status.success());
    let text = support::text(&shown.stdout);
    assert!(text.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()), "{text:?}");
    let lines: Vec<&str> = text.lines().collect();
    let directory = r"directory /no\u{1b}[2J/where as gu\u{202e}est\ndirectory / as /";
    let environment = r"environment KEY\u{7}=\u{1b}]0;title\u{7}";
    assert_eq!(lines[..3], [directory, environment, &format!("environment LONG={long}")]);
    // Nor is what it says when they cannot be had.
    let failed = support::run(&mut Command::new(&program), b"");
    assert_eq!(failed.status.code(), Some(1));
    let text = support::text(&failed.stderr);
    assert!(text.starts_with(r"error: /no\u{1b}[2J/where, granted when this program was compiled"), "{text:?}");
}
