//! Compiled functions with bits flipped, bytes replaced, exchanged and shifted: each mutant is rejected, or run on the emulator
//! (`checker/emulator.rs`), where every access and transfer must keep to the sandbox theorem. Of each, accepted or not, the
//! instructions around the change are read by another decoder too.
//!
//! `VWASM_MUTANTS` sets how many (100,000), `VWASM_SEED` where to begin; both are printed.

#[path = "checker/emulator.rs"]
mod emulator;

use emulator::Emulator;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use vwasm::claims::{read, split};
use vwasm::compile::{Compiled, Options, compile};
use vwasm::module::Module;
use vwasm_checker::claims::Claims;
use vwasm_checker::state::State;
use vwasm_checker::{Checker, Module as Checked};
use vwasm_tests::disassembler;
use vwasm_tests::random::Random;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Programs of the benchmarks, and one text with calls of every kind, tables, imports and spills.
fn programs() -> Vec<Compiled> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/wasm");
    let mut sources = vec![wat::parse_str(include_str!("checker/everything.wat")).expect("a module")];
    for name in ["interp", "regex", "sort", "fft"] {
        sources.push(std::fs::read(format!("{directory}/{name}.wasm")).expect("a benchmark's module"));
    }
    let one = |bytes: &Vec<u8>| {
        let module = Module::decode(bytes).expect("a valid module");
        compile(&module, &Options::default(), &|| ()).expect("a module that compiles")
    };
    sources.iter().map(one).collect()
}

/// Where the instructions of a program begin.
fn boundaries(program: &Compiled) -> BTreeSet<usize> {
    let module = vwasm::verify::describe(&program.manifest, &program.code, &program.data);
    let units = module.expect("the description of what was compiled").units;
    units.iter().flat_map(|unit| disassembler::boundaries(&program.code, unit.start as usize, unit.end as usize)).collect()
}

/// Whether the other decoder agrees on all that changed: from the instruction at the first changed byte on, as long as anything
/// is read differently. Gives how many instructions those are.
fn agree_on_change(original: &[u8], boundaries: &BTreeSet<usize>, code: &[u8], end: usize) -> Result<u64, String> {
    let differs = |at: &usize| code[*at] != original[*at];
    let (Some(first), Some(last)) = ((0..code.len()).find(differs), (0..code.len()).rfind(differs)) else { return Ok(0) };
    let start = *boundaries.range(..=first).next_back().expect("a function begins before");
    disassembler::agree_on(code, start, end, |at| at > last && boundaries.contains(&at))
}

/// Changes a few bytes between `start` and `end`.
fn mutate(code: &mut [u8], start: usize, end: usize, random: &mut Random) {
    let at = start + random.index(end - start);
    match random.below(8) {
        0..4 => code[at] ^= 1 << random.below(8),
        4 => code[at] = random.next() as u8,
        5 => {
            let other = start + random.index(end - start);
            code.swap(at, other);
        }
        6 => code[at..end].rotate_left(1),
        _ => {
            // A piece of another place.
            let length = (1 + random.index(8)).min(end - at);
            let from = start + random.index(end - start - length + 1);
            code.copy_within(from..from + length, at);
        }
    }
}

#[test]
fn mutants_are_rejected_or_stay_inside() {
    let (count, seed) = (number("VWASM_MUTANTS", 100_000), number("VWASM_SEED", 1));
    let programs = programs();
    let boundaries: Vec<BTreeSet<usize>> = programs.iter().map(boundaries).collect();
    let (accepted, runs, compared) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let escapes: Vec<String> = (0..count)
        .into_par_iter()
        .map_init(<(Claims, State)>::default, |(known, state), n| {
            let mut random = Random(seed.wrapping_mul(0x1_0000_0000).wrapping_add(n));
            let which = random.index(programs.len());
            let program = &programs[which];
            let module = vwasm::verify::describe(&program.manifest, &program.code, &program.data);
            let module = module.expect("the description of what was compiled");
            let number = random.index(module.functions);
            let unit = module.units[number];
            let mut code = program.code.clone();
            mutate(&mut code, unit.start as usize, unit.end as usize, &mut random);
            if code == program.code {
                return None;
            }
            match agree_on_change(&program.code, &boundaries[which], &code, unit.end as usize) {
                Ok(count) => compared.fetch_add(count, Ordering::Relaxed),
                Err(error) => return Some(format!("mutant {n} of seed {seed}, function {number}, decoders: {error}")),
            };
            let mutant = Checked { code: &code, ..module.clone() };
            let checker = Checker::new(&mutant).ok()?;
            let claims = split(&program.claims, &module).expect("the claims of what was compiled");
            read(claims[number], known, unit.start, unit.end).expect("the claims of what was compiled");
            checker.unit(number, known, state).ok()?;
            accepted.fetch_add(1, Ordering::Relaxed);
            for run in 0..8 {
                runs.fetch_add(1, Ordering::Relaxed);
                let found = Emulator::new(&mutant, random.next() ^ run).run(number, 400);
                if let Err(error) = found {
                    let changed = (0..code.len()).find(|at| code[*at] != program.code[*at]).unwrap_or(0);
                    let bytes = |code: &[u8]| code[changed.saturating_sub(4)..code.len().min(changed + 8)].to_vec();
                    let (before, after) = (bytes(&program.code), bytes(&code));
                    return Some(format!(
                        "mutant {n} of seed {seed}, function {number}, changed at {changed:#x} from {before:x?} to {after:x?}: {error}"
                    ));
                }
            }
            None
        })
        .flatten()
        .collect();
    let (accepted, runs) = (accepted.into_inner(), runs.into_inner());
    let compared = compared.into_inner();
    println!(
        "seed {seed}: {count} mutants, {accepted} accepted, {runs} runs of those, {compared} instructions read twice, {} failures",
        escapes.len()
    );
    assert!(escapes.is_empty(), "{}", escapes.join("\n"));
    assert!(accepted > 0, "no mutant was accepted, so none was run");
}

/// What was compiled stays inside too; else the emulator would prove little.
#[test]
fn originals_stay_inside() {
    for program in programs() {
        let module = vwasm::verify::describe(&program.manifest, &program.code, &program.data);
        let module = module.expect("the description of what was compiled");
        for number in 0..module.functions {
            for seed in 0..16 {
                if let Err(error) = Emulator::new(&module, seed).run(number, 1000) {
                    panic!("function {number}, seed {seed}: {error}");
                }
            }
        }
    }
}

/// The emulator notices what the checker would reject.
#[test]
fn the_emulator_sees_escapes() {
    let programs = programs();
    let mut seen = 0;
    for n in 0..2000 {
        let mut random = Random(n);
        let program = &programs[random.index(programs.len())];
        let module = vwasm::verify::describe(&program.manifest, &program.code, &program.data);
        let module = module.expect("the description of what was compiled");
        let number = random.index(module.functions);
        let unit = module.units[number];
        let mut code = program.code.clone();
        mutate(&mut code, unit.start as usize, unit.end as usize, &mut random);
        let mutant = Checked { code: &code, ..module.clone() };
        seen += u32::from((0..8).any(|run| Emulator::new(&mutant, n ^ run).run(number, 400).is_err()));
    }
    println!("of 2000 unchecked mutants the emulator stopped {seen}");
    assert!(seen > 200);
}
