//! Mutated modules through the compiler: 10,000 of them, made from real modules by flipped bits, cut ends, spliced and
//! repeated parts, and edited LEB128 numbers. Each compiles or is refused with a byte offset; none panics or takes long.
//!
//! `VWASM_SEED` and `VWASM_COUNT` choose others and more; a failure says which seed makes it again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use vwasm::compile::{Options, compile};
use vwasm::error::CompileError;
use vwasm::module::Module;
use vwasm_tests::binary::leb;
use vwasm_tests::random::Random;

/// Small modules that use what programs in C do not.
const SNIPPETS: [&str; 6] = [
    r#"(module (type (func (param i32 i64) (result f64 i32)))
        (import "m" "f" (func $f (type 0))) (import "m" "g" (global $g (mut i64))) (import "m" "t" (table 3 funcref))
        (func (export "a") (type 0) (call $f (local.get 0) (local.get 1)) (global.set $g (i64.const 3)))
        (func (export "b") (param i32) (result f64 i32) (call_indirect (type 0) (i32.const 1) (i64.const 2) (local.get 0))))"#,
    r#"(module (memory (export "m") 1 2) (data "passive") (data (i32.const 8) "active\00\ff")
        (func (export "f") (param i32 i32 i32) (memory.init 0 (local.get 0) (local.get 1) (local.get 2)) (data.drop 0)
          (memory.copy (local.get 0) (local.get 1) (local.get 2)) (memory.fill (local.get 0) (local.get 1) (local.get 2))
          (drop (memory.grow (memory.size)))))"#,
    r#"(module (table $t 4 8 funcref) (table $x 2 externref) (elem $e func $f $g) (elem (i32.const 1) $g)
        (elem declare func $f) (func $f (result funcref) (ref.func $f)) (func $g (param externref)
          (table.set $x (i32.const 0) (local.get 0)) (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2))
          (elem.drop $e) (drop (table.grow $t (ref.null func) (i32.const 1))) (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 2))
          (table.fill $t (i32.const 0) (ref.func $f) (i32.const 1)) (drop (ref.is_null (table.get $x (i32.const 1))))))"#,
    r#"(module (func (export "loops") (param i32) (result i32) (local i64 f32 f64)
        (block $out (result i32) (loop $in (param) (local.set 1 (i64.extend_i32_s (local.get 0)))
          (br_table $in $out $in (local.get 0) (local.get 0))) (i32.const 1))
        (if (result i32) (then (f32.convert_i32_u (local.get 0)) (local.set 2) (i32.trunc_sat_f32_s (local.get 2)))
          (else (i32.trunc_f64_u (local.get 3)))) ))"#,
    r#"(module (func $fac (export "fac") (param i64) (result i64) (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
        (else (i64.mul (local.get 0) (call $fac (i64.sub (local.get 0) (i64.const 1))))))) (start $s) (func $s (nop)))"#,
    r#"(module (global $a i32 (i32.const 5)) (global $b (mut f64) (f64.const nan)) (global $c funcref (ref.null func))
        (func (param i64 f32) (result i32 i64) (global.set $b (f64.promote_f32 (local.get 1))) (i64.load offset=4294967295 (global.get $a))
          (drop) (i64.store16 offset=2147483648 (i32.const 3) (local.get 0)) (i32.extend8_s (global.get $a)) (i64.rotl (local.get 0) (i64.const 7)))
        (memory 0))"#,
];

fn seeds() -> Vec<Vec<u8>> {
    let mut modules: Vec<Vec<u8>> =
        SNIPPETS.iter().map(|text| wat::parse_str(text).expect("the snippets are well-formed")).collect();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/wasm");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).expect("the directory is there").flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "wasm")) {
        modules.push(std::fs::read(file).expect("the file is readable"));
    }
    modules
}

/// One edit somewhere.
fn edit(bytes: &mut Vec<u8>, modules: &[Vec<u8>], random: &mut Random) {
    let at = random.index(bytes.len());
    match random.below(9) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.next() as u8,
        3 => bytes.truncate(at.max(1)),
        4 => {
            let end = (at + 1 + random.index(16)).min(bytes.len());
            bytes.drain(at..end);
        }
        5 => {
            let count = 1 + random.index(8);
            let inserted = random.bytes(count);
            bytes.splice(at..at, inserted);
        }
        6 => {
            // A number instead of whatever was there: the edges of what LEB128 can say.
            let numbers = [0, 1, 0x7f, 0x80, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
            let end = (at + 1 + random.index(5)).min(bytes.len());
            bytes.splice(at..end, leb(numbers[random.index(numbers.len())]));
        }
        7 => {
            let other = &modules[random.index(modules.len())];
            let from = random.index(other.len());
            let until = (from + random.index(64)).min(other.len());
            bytes.splice(at..at, other[from..until].iter().copied());
        }
        _ => {
            let end = (at + random.index(64)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            let to = random.index(bytes.len());
            bytes.splice(to..to, part);
        }
    }
}

fn build(bytes: &[u8]) -> Result<(), CompileError> {
    let module = Module::decode(bytes)?;
    let compiled = compile(&module, &Options::default(), &|| ())?;
    vwasm::image::executable(&compiled).map(drop)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn mutated_modules() {
    let (seed, count) = (number("VWASM_SEED", 1), number("VWASM_COUNT", 10_000));
    println!("VWASM_SEED={seed} VWASM_COUNT={count}");
    let modules = seeds();
    let (mut accepted, mut without) = (0, Vec::new());
    for n in seed..seed + count {
        let mut random = Random(n);
        // Mostly small modules: an edit in a large one seldom meets what is new in this project.
        let which = if random.below(4) == 0 { random.index(modules.len()) } else { random.index(SNIPPETS.len()) };
        let mut bytes = modules[which].clone();
        for _ in 0..1 + random.below(3) * random.below(2) {
            edit(&mut bytes, &modules, &mut random);
            if bytes.is_empty() {
                break;
            }
        }
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| build(&bytes)));
        assert!(start.elapsed() < Duration::from_secs(10), "VWASM_SEED={n} VWASM_COUNT=1 takes {:?}", start.elapsed());
        match outcome {
            Ok(Ok(())) => accepted += 1,
            Ok(Err(error)) if error.offset.is_none() => without.push((n, error.to_string())),
            Ok(Err(_)) => {}
            Err(_) => panic!("VWASM_SEED={n} VWASM_COUNT=1 panics"),
        }
    }
    println!("{accepted} of {count} still compile");
    assert!(without.is_empty(), "errors without a byte offset: {without:?}");
    assert!(
        count < 1000 || (accepted > count / 100 && accepted < count / 2),
        "{accepted} of {count} compile: mutation is off"
    );
}
