//! Proofs, as far as they can be looked at without a solver.
//!
//! `refuted/*.rules` are bugs that other compilers had, as rules: changes of `spec/`, made by lines
//! `//- in FILE replace OLD ==> NEW` (blanks in OLD stand for any), with what is expected: `//- refutes RULE: GOAL`, a
//! counterexample found by trying that breaks this goal, or `//- refused TEXT`, an error of the checker.

use codegen_derive::ast::Spec;
use codegen_derive::prove::explain;
use codegen_derive::prove::lock::{Lock, path, unproved};
use codegen_derive::prove::obligation::{Context, full_name};
use codegen_derive::prove::search::breaking;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec")
}

fn spec() -> Spec {
    codegen_derive::load(&directory()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Replaces a text that stands there once, whatever its blanks.
fn replace(text: &str, old: &str, new: &str) -> String {
    let words: Vec<&str> = old.split_whitespace().collect();
    let mut found = Vec::new();
    for (start, _) in text.match_indices(words[0]) {
        let mut at = start;
        let all = words.iter().all(|word| {
            let rest = &text[at..];
            at += rest.len() - rest.trim_start().len();
            let fits = text[at..].starts_with(word);
            at += word.len();
            fits
        });
        if all {
            found.push((start, at));
        }
    }
    assert_eq!(found.len(), 1, "`{old}` stands there {} times", found.len());
    let (start, end) = found[0];
    format!("{}{new}{}", &text[..start], &text[end..])
}

#[test]
fn every_rule_is_proved() {
    let spec = spec();
    let lock = Lock::read(&path(&directory())).expect("a lock");
    let missing = unproved(&spec, &lock);
    let names: Vec<String> = missing.iter().map(|(name, _, why)| format!("{name}: {why}")).collect();
    assert!(names.is_empty(), "not proved; `rules prove` proves them:\n{}", names.join("\n"));
}

#[test]
fn a_changed_rule_is_not_proved() {
    let mut files = spec().files;
    let file = files.iter_mut().find(|(name, _)| name.ends_with("lower/integer.rules")).expect("integer.rules");
    file.1 = replace(&file.1, "rule sub (x, y) => sub32 x, rm32(y)", "rule sub (x, y) => sub32 y, rm32(x)");
    let spec = codegen_derive::load_files(files).unwrap_or_else(|errors| panic!("{errors}"));
    let lock = Lock::read(&path(&directory())).expect("a lock");
    let missing = unproved(&spec, &lock);
    assert!(missing.iter().any(|(name, ..)| name == "i32.sub/sub"), "{missing:?}");
    assert!(missing.iter().all(|(name, ..)| name == "i32.sub/sub"), "{missing:?}");
}

#[test]
fn historic_bugs_are_refuted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refuted");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("tests/refuted") {
        let file = entry.expect("an entry").path();
        let name = file.display().to_string();
        let text = std::fs::read_to_string(&file).expect("readable");
        let mut files = spec().files;
        let (mut refutes, mut refused) = (None, None);
        for line in text.lines() {
            if let Some(change) = line.strip_prefix("//- in ") {
                let (place, change) = change.split_once(" replace ").expect("`//- in FILE replace OLD ==> NEW`");
                let (old, new) = change.split_once(" ==> ").expect("`OLD ==> NEW`");
                let file = files.iter_mut().find(|(name, _)| name.ends_with(place)).expect("the file");
                file.1 = replace(&file.1, old, new);
            } else if let Some(expected) = line.strip_prefix("//- refutes ") {
                refutes = Some(expected.split_once(": ").expect("`RULE: GOAL`"));
            } else if let Some(expected) = line.strip_prefix("//- refused ") {
                refused = Some(expected);
            }
        }
        count += 1;
        let loaded = codegen_derive::load_files(files);
        if let Some(expected) = refused {
            let errors = loaded.err().unwrap_or_default();
            assert!(errors.contains(expected), "{name}: {errors}");
            continue;
        }
        let spec = loaded.unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let (rule, goal) = refutes.expect("`//- refutes` or `//- refused`");
        let context = Context::new(&spec);
        let (block, rule) = spec
            .blocks
            .iter()
            .flat_map(|block| block.rules.iter().map(move |rule| (block, rule)))
            .find(|(block, other)| full_name(block, other) == rule)
            .unwrap_or_else(|| panic!("{name}: no rule {rule}"));
        let obligation = context.rule(block, rule).unwrap_or_else(|why| panic!("{name}: {why}"));
        let values = breaking(&obligation, 20_000, |broken| broken.what.starts_with(goal))
            .unwrap_or_else(|| panic!("{name}: not refuted"));
        let shown = explain::counterexample(&context, &obligation, &values);
        assert!(shown.contains(&format!("fails: {goal}")), "{name}: {shown}");
    }
    assert!(count >= 11, "only {count} bugs");
}
