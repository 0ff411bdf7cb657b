//! `vwasm verify` on object files: those that vwasm writes are accepted; of changed ones those that are accepted stay acceptable
//! wherever a linker puts code and data. `VWASM_FILES` sets how many are changed (3,000).

use vwasm::compile::{Options, compile};
use vwasm::module::Module;
use vwasm::object::object;
use vwasm::verify::{self, check_at};
use vwasm::verify_object::{linked, take_apart};
use vwasm_tests::random::Random;

const SOURCE: &str = r#"
(module $tables
  (import "host" "f" (func $f (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "some data that is read by nobody")
  (table funcref (elem $a $b))
  (func $a (export "a") (param i32) (result i32)
    (block $x (block $y (block $z
      (br_table $x $y $z $y $x $z (local.get 0)))
      (return (i32.const 3)))
      (call $f (i32.const 1)))
    (i32.load (local.get 0)))
  (func $b (export "b") (param i32) (result i32)
    (loop $again
      (block $out
        (br_table $again $out $again $out $out (local.get 0))))
    (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))
"#;

fn file() -> Vec<u8> {
    let bytes = wat::parse_str(SOURCE).expect("a module");
    let module = Module::decode(&bytes).expect("a valid module");
    let compiled = compile(&module, &Options::default(), &|| ()).expect("a module that compiles");
    object(&compiled).expect("an object file").file
}

fn verdict(file: &[u8]) -> String {
    verify::file(file).map_or_else(|error| error.to_string(), |_| "accepted".into())
}

#[test]
fn what_was_compiled_is_accepted() {
    let file = file();
    let verified = verify::file(&file).expect("accepted");
    assert!(verified.to_string().contains("import host.f"));
    assert!(verified.accepted.instructions > 20);
}

fn word(file: &[u8], at: usize) -> usize {
    u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes")) as usize
}

/// Where the section headers are.
fn headers(file: &[u8]) -> usize {
    word(file, 40)
}

/// Where section `n` begins in the file, and its size.
fn section(file: &[u8], n: usize) -> (usize, usize) {
    let header = headers(file) + 64 * n;
    (word(file, header + 24), word(file, header + 32))
}

#[test]
fn tampering_is_seen() {
    let original = file();
    type Tamper = fn(&mut Vec<u8>);
    let cases: [(&str, Tamper, &str); 11] = [
        (
            "the text becomes writable",
            |f| {
                let flags = headers(f) + 64 + 8;
                f[flags] |= 1
            },
            "differs outside",
        ),
        (
            "another symbol's name",
            |f| {
                let (at, size) = section(f, 7);
                f[at + size - 2] ^= 1
            },
            "differs outside",
        ),
        ("something behind the file", |f| f.push(0), "differs outside"),
        (
            "a relocation of the code by another amount",
            |f| {
                let at = section(f, 3).0;
                f[at + 16] ^= 4
            },
            "relocations of the code",
        ),
        (
            "a relocation of the code at another place",
            |f| {
                let at = section(f, 3).0;
                f[at] ^= 1
            },
            "relocations of the code",
        ),
        (
            "a relocation of the code to the code",
            |f| {
                let at = section(f, 3).0;
                f[at + 12] = 1
            },
            "relocations of the code",
        ),
        (
            "a relocation of another kind",
            |f| {
                let at = section(f, 4).0;
                f[at + 8] = 11
            },
            "relocation of the data",
        ),
        (
            "an entry's relocation by another amount",
            |f| {
                let at = section(f, 4).0;
                f[at + 16] ^= 1
            },
            "do not agree",
        ),
        (
            "an entry's relocation at another place",
            |f| {
                let at = section(f, 4).0;
                f[at] ^= 2
            },
            "relocation of the data",
        ),
        (
            "another instruction",
            |f| {
                let at = section(f, 1).0;
                f[at] = 0xf4;
                seal(f);
            },
            "code offset",
        ),
        (
            "a digest of something else",
            |f| {
                let (at, size) = section(f, 2);
                f[at + size - 1] ^= 1
            },
            "differs outside code and data",
        ),
    ];
    for (name, tamper, expected) in cases {
        let mut changed = original.clone();
        tamper(&mut changed);
        let found = verdict(&changed);
        assert!(found.contains(expected), "{name}: expected `{expected}`, found `{found}`");
    }
    // Without its relocation an entry stays where it is: only the far placement sees it.
    let (at, size) = section(&original, 4);
    let parts = take_apart(&original).expect("an object file");
    for gone in 0..size / 24 - 1 {
        let mut fewer = take_apart(&original).expect("an object file");
        fewer.rodata_references.drain(24 * gone..24 * (gone + 1));
        let manifest = verify::manifest(parts.manifest).expect("a manifest");
        let changed = vwasm::object::assemble(&vwasm::object::prefix(&manifest), &fewer).expect("a file");
        assert_ne!(verdict(&changed), "accepted", "relocation {gone} at {at} is gone");
    }
}

/// Writes the right digest into a file with sections where they should be.
fn seal(file: &mut [u8]) {
    let Some(identity) = take_apart(file).map(|parts| vwasm::object::identity(&parts)) else { return };
    let (at, size) = section(file, 2);
    file[at + size - identity.len()..at + size].copy_from_slice(&identity);
}

#[test]
fn what_is_accepted_is_so_wherever_it_is_linked() {
    let count: u64 = std::env::var("VWASM_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let original = file();
    let mut random = Random(1);
    let mut accepted = 0u64;
    for n in 0..count {
        let mut changed = original.clone();
        match n % 6 {
            0 => changed.truncate(random.below(original.len() as u64) as usize),
            1 => changed[random.below(original.len() as u64) as usize] ^= 1 << random.below(8),
            2 => {
                // Behind an ELF header or not, noise.
                let start = random.pick(&[0, 4, 64]);
                let count = random.below(5000) as usize;
                changed.truncate(start);
                changed.extend(random.bytes(count));
            }
            3 => {
                // Numbers of the ELF header and the section headers.
                for _ in 0..1 + random.below(3) {
                    let table = headers(&original);
                    let at = random.pick(&[0, table, table]) + 8 * random.index(8);
                    let at = if at < table { at } else { (at + 64 * random.index(12)).min(changed.len() - 8) };
                    let number = random.pick(&[0, 1, u64::MAX, 1 << 63, 4096, 0x7fff_ffff_ffff, original.len() as u64]);
                    changed[at..at + 8].copy_from_slice(&number.to_le_bytes());
                }
            }
            _ => {
                // Mostly in code, data and relocations.
                let (at, size) = section(&original, 1 + random.below(4) as usize);
                for _ in 0..1 + random.below(3) {
                    changed[at + random.below(size as u64) as usize] ^= 1 << random.below(8);
                }
                seal(&mut changed);
            }
        }
        let Ok(verified) = verify::file(&changed) else { continue };
        accepted += 1;
        let parts = take_apart(&changed).expect("accepted");
        for distance in [0x1_0000, 0x12_3450, 0x3fff_f000] {
            let (code, data) = linked(&parts, distance).expect("a linker can");
            check_at(&verified.manifest, &code, &data, parts.claims, distance).expect("accepted wherever it is");
        }
    }
    println!("{count} files, {accepted} accepted");
    assert!(accepted > 0);
}
