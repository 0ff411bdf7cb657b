//! The shape of executables: what the kernel maps, how large they are, and that their bytes depend on nothing but the module.

use vwasm::compile::{Options, compile};
use vwasm::image::executable;
use vwasm::module::Module;

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
    for &(kind, flags, offset, address, in_file, in_memory) in &headers {
        match kind {
            1 => {
                assert!(flags & (WRITE | EXECUTE) != WRITE | EXECUTE, "a segment is writable and executable");
                assert!(offset + in_file <= image.len() as u64);
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
