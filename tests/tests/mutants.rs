//! Compiled functions with bits flipped, bytes replaced, exchanged and shifted: each mutant is rejected, or run on the emulator
//! (`checker/emulator.rs`), where every access and transfer must keep to the sandbox theorem. Of each, accepted or not, the
//! instructions around the change are read by another decoder too.
//!
//! And the same functions, changed or not, with claims distorted in memory (`checker/hostile.rs`): what is accepted of them must be
//! so wherever the emulator comes by.
//!
//! `VWASM_MUTANTS` and `VWASM_CLAIMS` set how many (100,000 and 20,000), `VWASM_SEED` where to begin; all are printed.

#[path = "checker/emulator.rs"]
mod emulator;
#[path = "checker/hostile.rs"]
#[allow(dead_code)] // not all of it is of use here
mod hostile;

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

/// What the checker is told of a program.
fn described(program: &Compiled) -> Checked<'_> {
    let described = vwasm::verify::describe(&program.manifest, &program.code, &program.data);
    described.expect("the description of what was compiled")
}

/// Where the instructions of a program begin.
fn boundaries(program: &Compiled) -> BTreeSet<usize> {
    described(program)
        .units
        .iter()
        .flat_map(|unit| disassembler::boundaries(&program.code, unit.start as usize, unit.end as usize))
        .collect()
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
            let module = described(program);
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
                let found = Emulator::new(&mutant, random.next() ^ run).holding(known).run(number, 400);
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

#[test]
fn hostile_claims_are_rejected_or_true() {
    let (count, seed) = (number("VWASM_CLAIMS", 20_000), number("VWASM_SEED", 1));
    let programs = programs();
    let boundaries: Vec<BTreeSet<usize>> = programs.iter().map(boundaries).collect();
    let one = |state: &mut State, n: u64| -> Option<Result<(), String>> {
        let mut random = Random(seed.wrapping_mul(0x1_0000_0000).wrapping_add(n) ^ 1 << 63);
        let which = random.index(programs.len());
        let program = &programs[which];
        let module = described(program);
        let number = random.index(module.functions);
        let unit = module.units[number];
        let (start, end) = (unit.start as usize, unit.end as usize);
        let mut code = program.code.clone();
        if random.below(4) == 0 {
            mutate(&mut code, start, end, &mut random);
        }
        let mutant = Checked { code: &code, ..module.clone() };
        let checker = Checker::new(&mutant).ok()?;
        let mut claims = Claims::default();
        let bytes = split(&program.claims, &module).expect("the claims of what was compiled")[number];
        read(bytes, &mut claims, unit.start, unit.end).expect("the claims of what was compiled");
        let starts: Vec<u32> = boundaries[which].range(start..end).map(|at| *at as u32).collect();
        let words = module.types[unit.ty as usize].words();
        // What is accepted is distorted on.
        let mut accepted = None;
        for _ in 0..8 {
            let mut distorted = accepted.clone().unwrap_or_else(|| claims.clone());
            hostile::distort(&mut distorted, &starts, words, &mut random);
            distorted.index = hostile::index(&distorted.labels, unit.start, &mut random);
            if checker.unit(number, &distorted, state).is_ok() {
                accepted = Some(distorted);
            }
        }
        let accepted = accepted?;
        let run = |seed| Emulator::new(&mutant, seed).holding(&accepted).run(number, 400);
        let found = (0..4).try_for_each(|_| run(random.next()));
        Some(found.map_err(|error| format!("claims {n} of seed {seed}, function {number}: {error}; {accepted:x?}")))
    };
    let found: Vec<Result<(), String>> = (0..count).into_par_iter().map_init(State::default, one).flatten().collect();
    println!("seed {seed}: claims of {count} functions distorted, {} accepted", found.len());
    let lies: Vec<String> = found.iter().filter_map(|found| found.clone().err()).collect();
    assert!(lies.is_empty(), "{}", lies.join("\n"));
    assert!(found.len() as u64 > count / 8, "too little is accepted to say much");
}

/// What was compiled stays inside too; else the emulator would prove little.
#[test]
fn originals_stay_inside() {
    for program in &programs() {
        let module = described(program);
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
        let module = described(program);
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
