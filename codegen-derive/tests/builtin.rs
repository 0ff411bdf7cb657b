//! Proofs with nothing installed: every obligation is given to the solver of the project's own (`prove::blast`), which proves
//! most of them in a moment and leaves products, quotients and float arithmetic to others.
//!
//! What it leaves is listed in `target/tmp/builtin-left.txt`. `VWASM_CONFLICTS=N` searches longer.

use codegen_derive::prove::blast::Answer;
use codegen_derive::prove::command::obligations;
use codegen_derive::prove::explain;
use codegen_derive::prove::gates::Limit;
use codegen_derive::prove::obligation::{Context, Kind, Obligation};
use codegen_derive::prove::run::{self, Options, Outcome};
use std::collections::BTreeMap;
use std::path::Path;

/// Conflicts after which a goal is left to others: the count, and so the outcome, is the same on every machine. What rules of
/// spec/simplify say of products and quotients would take any number.
fn conflicts(kind: Kind) -> u64 {
    let given = std::env::var("VWASM_CONFLICTS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(if kind == Kind::Simplify { 2_000 } else { 20_000 })
}

/// What is proved at least, of each kind.
const PROVED: [(Kind, usize); 10] = [
    (Kind::Lower, 290),
    (Kind::Form, 90),
    (Kind::Simplify, 95),
    (Kind::Applicable, 500),
    (Kind::Reachable, 500),
    (Kind::Commutative, 20),
    (Kind::Fact, 60),
    (Kind::Case, 45),
    (Kind::Sharp, 70),
    (Kind::Effect, 60),
];

#[test]
fn most_obligations_are_proved_with_nothing_installed() {
    let spec = codegen_derive::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec"));
    let spec = spec.unwrap_or_else(|errors| panic!("{errors}"));
    let context = Context::new(&spec);
    let (owed, failed) = obligations(&context);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    // No solver is started: this only spreads the work over the cores.
    let work = owed.into_iter().map(|(obligation, _)| (obligation, Answer::Unknown)).collect();
    let answer = |(obligation, answer): &mut (Obligation, Answer), _: &mut _| {
        *answer = obligation.blast(Limit { conflicts: conflicts(obligation.kind), ..Limit::default() });
        Outcome::Open(String::new())
    };
    let done = run::all(work, &Options::new(Path::new("")), answer, |_, _| ());
    let (mut proved, mut left, mut refuted) = (BTreeMap::new(), Vec::new(), Vec::new());
    for decided in done {
        let (obligation, answer) = decided.item;
        match (answer, obligation.kind.wants_example()) {
            (Answer::Unsatisfiable, false) => *proved.entry(obligation.kind).or_insert(0) += 1,
            (Answer::Satisfiable(values), true) if obligation.failing(&values).is_some() => {
                *proved.entry(obligation.kind).or_insert(0) += 1;
            }
            (Answer::Satisfiable(values), _) => refuted.push(explain::counterexample(&context, &obligation, &values)),
            (Answer::Unsatisfiable, true) => refuted.push(format!("{} {} never", obligation.kind.name(), obligation.name)),
            (Answer::Unknown, _) => {
                left.push(format!("{} {} {:.2} s\n", obligation.kind.name(), obligation.name, decided.took.as_secs_f64()))
            }
        }
    }
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("builtin-left.txt");
    std::fs::write(&list, left.concat()).expect("the list is written");
    let counts: Vec<String> = proved.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
    println!("proved with nothing installed: {}; {} left to others ({})", counts.join(", "), left.len(), list.display());
    assert!(refuted.is_empty(), "{}", refuted.join("\n"));
    for (kind, least) in PROVED {
        let count = proved.get(&kind).copied().unwrap_or(0);
        assert!(count >= least, "only {count} {} obligations proved, {least} expected", kind.name());
    }
}
