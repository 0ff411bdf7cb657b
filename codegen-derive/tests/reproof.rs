//! `spec/proofs.lock` is believed by the build, so what it says is looked at again here.
//!
//! Always: every rule is tried on inputs, and whatever differs from the lock of the commit before (`VWASM_LOCK_BASE`: of another
//! one), and some obligations at random, are proved again from nothing: by the solvers if they are installed, else by that of the
//! project's own. In the slow run: everything, mutants included.

use codegen_derive::prove::blast::Answer;
use codegen_derive::prove::command::{Prove, obligations, prove};
use codegen_derive::prove::explain;
use codegen_derive::prove::gates::Limit;
use codegen_derive::prove::lock::{Entry, Lock, digest, path, unproved};
use codegen_derive::prove::obligation::{Context, full_name};
use codegen_derive::prove::search::counterexample;
use codegen_derive::prove::solver;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Obligations of rules; those of the sandbox checker are proved again in the slow run.
const RULES: [&str; 5] = ["lower", "form", "simplify", "applicable", "reachable"];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn trying_refutes_no_rule() {
    let spec = codegen_derive::load(&directory()).unwrap_or_else(|errors| panic!("{errors}"));
    let context = Context::new(&spec);
    for block in &spec.blocks {
        for rule in &block.rules {
            let name = full_name(block, rule);
            let obligation = context.rule(block, rule).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert!(counterexample(&obligation, 1000).is_none(), "{name} is wrong, whatever the lock says");
        }
    }
}

/// A wrong rule, and a lock that says with the right digest that it is proved: the build cannot know, proving again does.
#[test]
fn a_forged_line_is_found() {
    let place = std::env::temp_dir().join(format!("vwasm-forged-{}", std::process::id()));
    let spec_directory = place.join("spec");
    copy(&directory(), &spec_directory);
    let file = spec_directory.join("lower/integer.rules");
    let text = std::fs::read_to_string(&file).expect("integer.rules");
    let wrong = text.replace("=> sub32 x, rm32(y)", "=> sub32 y, rm32(x)");
    assert_ne!(text, wrong, "the rule i32.sub/sub is another now");
    std::fs::write(&file, wrong).expect("written");
    let spec = codegen_derive::load(&spec_directory).unwrap_or_else(|errors| panic!("{errors}"));
    let context = Context::new(&spec);
    let mut lock = Lock::read(&path(&spec_directory)).expect("a lock");
    for block in spec.blocks.iter().filter(|block| block.name.text == "i32.sub") {
        for made in (0..block.rules.len()).flat_map(|number| context.all(block, number)) {
            let obligation = made.unwrap_or_else(|(_, why)| panic!("{why}"));
            let (kind, name) = obligation.key();
            let by = vec!["z3-5.4.1".to_string(), "cvc5-1.4.2".to_string()];
            lock.insert(&kind, &name, Entry { digest: digest(&obligation.strategies()), by });
        }
    }
    lock.write(&path(&spec_directory)).expect("written");
    assert!(unproved(&spec, &lock).is_empty(), "the forgery is as good as it can be");
    let names = vec!["i32.sub/sub".to_string()];
    let what = Prove { names, check: true, no_mutants: true, ..Prove::default() };
    let complaint = prove(&spec_directory, &what).expect_err("the rule is wrong");
    std::fs::remove_dir_all(&place).expect("removed");
    assert!(complaint.contains("this rule is wrong: i32.sub/sub"), "{complaint}");
    assert!(complaint.contains("lower i32.sub/sub is listed, but was not proved"), "{complaint}");
}

/// The lock of a commit; none without git, or if there is no such commit.
fn lock_at(commit: &str) -> Option<Lock> {
    let shown = Command::new("git").arg("-C").arg(directory()).args(["show", &format!("{commit}:./proofs.lock")]).output();
    let shown = shown.ok().filter(|shown| shown.status.success())?;
    Lock::parse(&String::from_utf8(shown.stdout).ok()?).ok()
}

/// How long proving again may take in an ordinary test run. What is left then is said; the slow run proves it.
const BUDGET: Duration = Duration::from_secs(60);

/// How long the solver of the project's own may take for one of them: it proves in a moment or hardly ever.
const EACH: Duration = Duration::from_secs(2);

/// Asks the solver of the project's own, which finds breaches, and proves most of what is right.
fn with_nothing_installed(names: &[String]) {
    let spec = codegen_derive::load(&directory()).unwrap_or_else(|errors| panic!("{errors}"));
    let context = Context::new(&spec);
    let (mut owed, failed) = obligations(&context);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    owed.retain(|(obligation, _)| names.contains(&obligation.name) && RULES.contains(&obligation.kind.name()));
    let (start, count, mut proved) = (Instant::now(), owed.len(), 0);
    for (obligation, _) in owed {
        if start.elapsed() > BUDGET {
            break;
        }
        let limit = Limit { until: Some(Instant::now() + EACH), ..Limit::default() };
        match (obligation.blast(limit), obligation.kind.wants_example()) {
            (Answer::Unsatisfiable, false) | (Answer::Satisfiable(_), true) => proved += 1,
            (Answer::Unsatisfiable, true) => panic!("{} can never apply, whatever the lock says", obligation.name),
            (Answer::Satisfiable(values), false) => {
                panic!("whatever the lock says: {}", explain::counterexample(&context, &obligation, &values))
            }
            (Answer::Unknown, _) => {}
        }
    }
    println!("no solvers installed: the project's own proves {proved} of {count} obligations and refutes none");
}

/// Proves rules again, some after others, as long as the budget allows.
fn with_solvers(names: &[String]) {
    let start = Instant::now();
    for (number, batch) in names.chunks(20).enumerate() {
        if start.elapsed() > BUDGET {
            println!("{} rules are left to the slow run", names.len() - number * 20);
            return;
        }
        let what = Prove { names: batch.to_vec(), check: true, no_mutants: true, ..Prove::default() };
        prove(&directory(), &what).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn what_changed_and_some_others_are_proved_again() {
    let lock = Lock::read(&path(&directory())).expect("a lock");
    let names: Vec<&String> =
        lock.entries.keys().filter(|(kind, _)| RULES.contains(&kind.as_str())).map(|(_, name)| name).collect();
    let mut chosen: BTreeSet<String> = BTreeSet::new();
    let base = std::env::var("VWASM_LOCK_BASE").unwrap_or_else(|_| "HEAD~1".into());
    if let Some(before) = lock_at(&base) {
        let differs = |key: &&(String, String)| {
            before.entries.get(*key).map(|entry| &entry.digest) != lock.entries.get(*key).map(|entry| &entry.digest)
        };
        let rules = lock.entries.keys().filter(|(kind, _)| RULES.contains(&kind.as_str()));
        chosen.extend(rules.filter(differs).map(|(_, name)| name.clone()));
    }
    println!("{} rules differ from those of {base}", chosen.len());
    // Others than last time; what differs begins elsewhere each time, should there be too much of it.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos() as usize;
    chosen.extend((0..10).map(|n| names[(now / 1000 + n * 7919 * 7919) % names.len()].clone()));
    let mut chosen: Vec<String> = chosen.into_iter().collect();
    let first = now / 1000 % chosen.len();
    chosen.rotate_left(first);
    println!("proved again: {}", chosen.join(" "));
    if solver::directory(&directory()).join("bin/z3").exists() {
        with_solvers(&chosen);
    } else {
        with_nothing_installed(&chosen);
    }
}

#[test]
#[ignore = "minutes, and needs solvers, which it installs"]
fn everything_is_proved_again() {
    let install = !solver::directory(&directory()).join("bin/z3").exists();
    let what = Prove { check: true, install, ..Prove::default() };
    prove(&directory(), &what).unwrap_or_else(|errors| panic!("{errors}"));
}
