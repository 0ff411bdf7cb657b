//! Damaged manifests and executables: 100,000 mutated manifests are decoded, checked, and those that pass are instantiated
//! without running anything; executables cut short or changed say so and end with a defined status.

use std::mem::offset_of;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use vwasm::compile::{Compiled, Options, compile};
use vwasm::module::Module;
use vwasm_runtime::image::{ImageHeader, PAYLOAD_ADDRESS};
use vwasm_runtime::manifest::{Call, Manifest};
use vwasm_runtime::store::{self, Config, Store};
use vwasm_tests::random::Random;

fn compiled(text: &str) -> Compiled {
    let bytes = wat::parse_str(text).expect("well-formed text");
    let module = Module::decode(&bytes).expect("a valid module");
    compile(&module, &Options::default(), &|| ()).expect("a module that compiles")
}

const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (type $t (func (param i32 i64) (result f32 f64)))
    (memory (export "memory") 1 3) (table (export "t") 4 9 funcref) (table 2 externref)
    (global $g (mut i32) (i32.const 3)) (global (export "c") i64 (i64.const 8)) (global funcref (ref.func $start))
    (elem (i32.const 1) $start $start) (elem func $start) (data (i32.const 100) "data") (data "passive")
    (func $start (export "_start") (drop (ref.func $start)) (call $exit (i32.const 7)))
    (func (type $t) (f32.const 0) (f64.const 1)))"#;

/// What a manifest calls must be there and take as many numbers: a reference made up by somebody would be taken for a function.
#[test]
fn calls_are_of_numbers() {
    let compiled = compiled(
        r#"(module (memory (export "m") 1) (func (export "f") (param i32 f64)) (func (export "r") (param i32 funcref)))"#,
    );
    let lengths = (compiled.code.len() as u64, compiled.data.len() as u64);
    for (export, count, fits) in
        [("f", 2, true), ("f", 1, false), ("f", 3, false), ("r", 2, false), ("m", 0, false), ("", 0, false)]
    {
        let mut manifest = compiled.manifest.clone();
        manifest.grants.call = Some(Call { export: export.into(), arguments: vec![u64::MAX; count] });
        assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest.clone()), "what is written is read");
        assert_eq!(manifest.is_consistent(lengths.0, lengths.1), fits, "{export} with {count}");
    }
}

#[test]
fn mutated_manifests() {
    let seed: u64 = std::env::var("VWASM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let compiled = compiled(PROGRAM);
    let manifest = compiled.manifest.encode();
    let lengths = (compiled.code.len() as u64, compiled.data.len() as u64);
    assert_eq!(Manifest::decode(&manifest), Ok(compiled.manifest.clone()), "what is written is read");
    assert!(compiled.manifest.is_consistent(lengths.0, lengths.1));
    let (mut decoded, mut consistent, mut instances) = (0, 0, 0);
    for seed in seed..seed + 100_000 {
        let mut random = Random(seed);
        let mut bytes = manifest.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.index(bytes.len());
            match random.below(5) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = random.next() as u8,
                2 => bytes[at] = [0, 1, 0x7f, 0xff][random.index(4)],
                3 => {
                    let count = random.index(9);
                    let inserted = random.bytes(count);
                    bytes.splice(at..at, inserted);
                }
                _ => bytes.truncate(at.max(1)),
            }
        }
        let Ok(mut manifest) = Manifest::decode(&bytes) else { continue };
        decoded += 1;
        if !manifest.is_consistent(lengths.0, lengths.1) {
            continue;
        }
        consistent += 1;
        if consistent % 16 != 0 {
            continue;
        }
        // Nothing is run: what code does at a wrong entry is no question of the manifest.
        manifest.start = None;
        let loaded = store::Module::load(manifest, &compiled.code, &compiled.data).expect("memory for code");
        let mut store = Store::new(Config::default()).expect("memory for a store");
        let imports: Vec<_> = loaded
            .manifest
            .imports
            .iter()
            .filter_map(|import| match &import.kind {
                vwasm_runtime::manifest::ExternType::Function(ty) => {
                    let ty = loaded.manifest.types[*ty as usize].clone();
                    store.host_function(&ty, Box::new(|_, _, _| Ok(()))).map(store::Extern::Function)
                }
                _ => None,
            })
            .collect();
        instances += usize::from(store.instantiate(&Arc::new(loaded), &imports).is_ok());
    }
    println!("{decoded} decoded, {consistent} consistent, {instances} instances");
    assert!(decoded > 1000 && consistent > 100 && instances > 10, "mutation is off");
}

/// Runs an executable of these bytes: exit status and standard error.
fn execute(bytes: &[u8], name: &str) -> (Option<i32>, Option<i32>, String) {
    let path = std::env::temp_dir().join(format!("vwasm-damaged-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).expect("the file is written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the file is made executable");
    let output = Command::new(&path).stdin(Stdio::null()).output();
    std::fs::remove_file(&path).expect("the file is there");
    match output {
        Ok(output) => (output.status.code(), output.status.signal(), String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => (Some(126), None, error.to_string()),
    }
}

#[test]
fn damaged_executables() {
    let compiled = compiled(PROGRAM);
    let image = vwasm::image::without_symbols(&compiled).expect("an image");
    assert_eq!(execute(&image, "whole").0, Some(7));
    let magic = image.windows(8).rposition(|bytes| bytes == vwasm_runtime::image::MAGIC).expect("the header is there");
    let manifest_length = compiled.manifest.encode().len();
    // Cut in the payload: in the manifest's page, between the segments, in the code's.
    for length in [magic, magic + 4096, image.len() - 4096 - 1] {
        let (code, signal, text) = execute(&image[..length], "cut");
        assert_eq!((code, signal), (Some(1), None), "cut to {length}: {text}");
        assert!(text.contains("damaged"), "cut to {length}: {text}");
    }
    // The header's fields.
    for field in 0..ImageHeader::SIZE / 8 {
        for value in [0u64, 1, PAYLOAD_ADDRESS, u64::MAX, 1 << 47] {
            let mut image = image.clone();
            let at = magic + 8 * field;
            if image[at..at + 8] == value.to_le_bytes() {
                continue;
            }
            image[at..at + 8].copy_from_slice(&value.to_le_bytes());
            let (code, signal, text) = execute(&image, "header");
            // A length of read-only data beyond what is there is found out only by reading it; of the claims, never: they are for
            // the checker, and fewer of them move nothing.
            let lengths = [offset_of!(ImageHeader, claims_length) / 8, offset_of!(ImageHeader, data_length) / 8];
            let unread = lengths.contains(&field) && code == Some(7);
            assert!(unread || (code, signal) == (Some(1), None), "field {field} is {value:#x}: {code:?} {signal:?} {text}");
        }
    }
    // Bytes of the manifest: whatever happens, the process ends by itself. (Names and grants may change without notice.)
    let mut random = Random(1);
    for number in 0..100 {
        let mut image = image.clone();
        let at = magic + ImageHeader::SIZE + random.index(manifest_length);
        image[at] ^= 1 << random.below(8);
        let (code, signal, text) = execute(&image, "manifest");
        assert!(code.is_some(), "number {number}, byte {at}: signal {signal:?}: {text}");
    }
}
