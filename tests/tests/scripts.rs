//! The project's own scripts: those of `tests/scripts`, and generated ones for what has too many cases to write out.

use std::fmt::Write;
use vwasm::compile::Options;
use vwasm_tests::random::Random;

fn run(name: &str, text: &str) {
    let report = vwasm::script::run(text, vwasm::module::features(), &Options::default());
    let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
    for (line, message) in report.failures.iter().take(8) {
        eprintln!("{name}:{line}: {message}\n    {}", text.lines().nth(line - 1).unwrap_or_default());
    }
    assert!(report.failures.is_empty(), "{name}: {} failures", report.failures.len());
    println!("{name}: {} directives", report.passed);
    assert!(report.passed > 0, "{name} has no directives");
}

#[test]
fn written() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).expect("the directory is there").flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        run(
            &file.file_name().unwrap_or_default().to_string_lossy(),
            &std::fs::read_to_string(&file).expect("a readable script"),
        );
    }
}

/// Every load and store with its width in bytes.
const LOADS: [(&str, u64); 14] = [
    ("i32.load", 4),
    ("i64.load", 8),
    ("f32.load", 4),
    ("f64.load", 8),
    ("i32.load8_s", 1),
    ("i32.load8_u", 1),
    ("i32.load16_s", 2),
    ("i32.load16_u", 2),
    ("i64.load8_s", 1),
    ("i64.load8_u", 1),
    ("i64.load16_s", 2),
    ("i64.load16_u", 2),
    ("i64.load32_s", 4),
    ("i64.load32_u", 4),
];
const STORES: [(&str, u64); 9] = [
    ("i32.store", 4),
    ("i64.store", 8),
    ("f32.store", 4),
    ("f64.store", 8),
    ("i32.store8", 1),
    ("i32.store16", 2),
    ("i64.store8", 1),
    ("i64.store16", 2),
    ("i64.store32", 4),
];

/// Offsets at which an immediate changes its encoding, its sign, or the kind of address it can be part of.
fn offsets(size: u64, width: u64) -> Vec<u64> {
    let mut offsets = vec![0, 1, 127, 128, size - width, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff];
    offsets.retain(|offset| *offset <= 0xffff_ffff);
    offsets
}

/// Accesses of the last bytes of a memory and of the first beyond it: address in a register, in a constant, computed, dead.
fn memory_edges(pages: u64) -> String {
    let size = pages << 16;
    let mut functions = String::new();
    let mut asserts = String::new();
    let mut number = 0;
    let zero = |op: &str| format!("({}.const 0)", &op[..3]);
    for (op, width, store) in
        LOADS.iter().map(|&(op, width)| (op, width, false)).chain(STORES.iter().map(|&(op, width)| (op, width, true)))
    {
        for offset in offsets(size, width) {
            let access = |address: &str| match store {
                true => format!("({op} offset={offset} {address} {})", zero(op)),
                false => format!("(drop ({op} offset={offset} {address}))"),
            };
            let last = (size - width).checked_sub(offset);
            let addresses = [last, last.map_or(Some(0), |last| last.checked_add(1)), Some(0xffff_ffff), Some(0x8000_0000)];
            let body = access("(local.get 0)");
            let sum = access("(i32.add (local.get 0) (local.get 1))");
            let _ = writeln!(functions, "(func (export \"r{number}\") (param i32) {body})");
            let _ = writeln!(functions, "(func (export \"s{number}\") (param i32 i32) {sum})");
            for address in addresses.into_iter().flatten().filter(|address| *address <= 0xffff_ffff) {
                let fits = address + offset + width <= size;
                let mut expect = |call: String| {
                    let _ = match fits {
                        true => writeln!(asserts, "(assert_return (invoke {call}))"),
                        false => writeln!(asserts, "(assert_trap (invoke {call}) \"out of bounds memory access\")"),
                    };
                };
                expect(format!("\"r{number}\" (i32.const {address})"));
                // The sum wraps round: the address is that of the low 32 bits.
                expect(format!(
                    "\"s{number}\" (i32.const {}) (i32.const 0x80000010)",
                    (address + 0x1_0000_0000 - 0x8000_0010) & 0xffff_ffff
                ));
                expect(format!("\"c{number}_{address}\""));
                let constant = access(&format!("(i32.const {address})"));
                let _ = writeln!(functions, "(func (export \"c{number}_{address}\") {constant})");
            }
            number += 1;
        }
    }
    // Constants occur twice where addresses coincide.
    let mut seen = std::collections::HashSet::new();
    let functions: String = functions.lines().filter(|line| seen.insert(*line)).map(|line| format!("{line}\n")).collect();
    format!("(module (memory {pages} {pages})\n{functions})\n{asserts}")
}

#[test]
fn edges_of_a_small_memory() {
    run("memory of one page", &memory_edges(1));
}

#[test]
fn edges_of_the_largest_memory() {
    run("memory of 65536 pages", &memory_edges(65536));
}

/// What was stored at the end of memory comes back, at every width and through every extension.
#[test]
fn last_bytes_round_trip() {
    let mut text = String::from("(module (memory 1 1)\n");
    let mut asserts = String::new();
    for (store, width) in STORES {
        for (load, _) in LOADS.iter().filter(|(load, loaded)| *loaded == width && load[..3] == store[..3]) {
            let at = 65536 - width;
            let name = format!("{store}-{load}");
            let ty = &store[..3];
            let value = if ty.starts_with('i') { "0x8182838485868788" } else { "-1.5" };
            let value = if ty == "i32" { "0x85868788" } else { value };
            let _ = writeln!(
                text,
                "(func (export \"{name}\") (param i32) (result {ty}) ({store} (local.get 0) ({ty}.const {value})) ({load} (local.get 0)))"
            );
            let bits = u64::from_str_radix(value.trim_start_matches("0x"), 16).unwrap_or(0);
            let low = if width == 8 { bits } else { bits & ((1 << (8 * width)) - 1) };
            let extended = match load.ends_with("_s") {
                true => ((low << (64 - 8 * width)) as i64 >> (64 - 8 * width)) as u64,
                false => low,
            };
            let expected = match ty {
                "i32" => format!("{:#x}", extended as u32),
                "i64" => format!("{extended:#x}"),
                _ => value.to_string(),
            };
            let _ = writeln!(asserts, "(assert_return (invoke \"{name}\" (i32.const {at})) ({ty}.const {expected}))");
            let _ = writeln!(
                asserts,
                "(assert_trap (invoke \"{name}\" (i32.const {})) \"out of bounds memory access\")",
                at + 1
            );
        }
    }
    run("last bytes", &format!("{text})\n{asserts}"));
}

const TYPES: [&str; 4] = ["i32", "i64", "f32", "f64"];

/// Functions that give their parameters back in reverse, called near, through an import, and through a shared table from
/// the owner and from another instance; each caller checks every value itself.
fn calls(seed: u64) -> String {
    let mut random = Random(seed);
    let (mut owner, mut other, mut asserts) = (String::new(), String::new(), String::new());
    let counts = [0, 1, 5, 6, 7, 8, 9, 13, 14, 15, 16, 20, 27, 33, 40];
    let mut elements = String::new();
    for (number, &count) in counts.iter().enumerate() {
        let mix = random.below(4);
        let types: Vec<&str> = (0..count)
            .map(|_| match mix {
                0 => TYPES[random.index(2)],
                1 => TYPES[2 + random.index(2)],
                _ => TYPES[random.index(4)],
            })
            .collect();
        let values: Vec<String> = types
            .iter()
            .map(|ty| match *ty {
                "i32" => format!("{}", random.next() as i32),
                "i64" => format!("{}", random.next() as i64),
                _ => format!("{}.5", random.below(1 << 20)),
            })
            .collect();
        let reversed: Vec<&str> = types.iter().rev().copied().collect();
        let list = |kind: &str, types: &[&str]| {
            if types.is_empty() { String::new() } else { format!("({kind} {})", types.join(" ")) }
        };
        let ty = format!("{} {}", list("param", &types), list("result", &reversed));
        let body: String = (0..count).rev().map(|n| format!("(local.get {n})")).collect();
        let _ = writeln!(owner, "(func $f{number} (export \"f{number}\") {ty} {body})");
        let _ = write!(elements, " $f{number}");
        let _ = writeln!(other, "(import \"owner\" \"f{number}\" (func $f{number} {ty}))");
        // The last result is on top: it is the first parameter.
        let push: String = types.iter().zip(&values).map(|(ty, value)| format!("({ty}.const {value})")).collect();
        let mut check = String::from("(local.set $ok (i32.const 0))");
        for (ty, value) in types.iter().zip(&values) {
            let _ = write!(
                check,
                "({ty}.const {value}) ({ty}.eq) (if (then (local.set $ok (i32.add (local.get $ok) (i32.const 1)))))"
            );
        }
        let caller = |name: &str, call: &str| {
            format!(
                "(func (export \"{name}{number}\") (result i32) (local $ok i32) {push} {call} {check} (local.get $ok))\n"
            )
        };
        owner += &caller("near", &format!("(call $f{number})"));
        owner += &caller("own", &format!("(call_indirect $t {ty} (i32.const {number}))"));
        other += &caller("import", &format!("(call $f{number})"));
        other += &caller("far", &format!("(call_indirect $t {ty} (i32.const {number}))"));
        for (module, name) in [("owner", "near"), ("owner", "own"), ("other", "import"), ("other", "far")] {
            let _ = writeln!(asserts, "(assert_return (invoke ${module} \"{name}{number}\") (i32.const {count}))");
        }
    }
    // Imports come first in a module.
    let (imports, functions): (Vec<&str>, Vec<&str>) = other.lines().partition(|line| line.starts_with("(import"));
    let size = counts.len();
    format!(
        "(module $owner (table $t (export \"t\") {size} funcref) (elem (i32.const 0){elements})\n{owner})\n(register \"owner\" $owner)\n\
         (module $other (import \"owner\" \"t\" (table $t {size} funcref))\n{}\n{})\n{asserts}",
        imports.join("\n"),
        functions.join("\n")
    )
}

#[test]
fn calls_with_many_values() {
    for seed in 0..20 {
        run(&format!("calls {seed}"), &calls(seed));
    }
}
