//! Every rule is broken in every kind of way that it has room for.
//!
//! What the lock counts for each kind is what is generated now; so a rule with few kinds has no mutants of others. That the
//! generator leaves no kind out where there is room is looked at from another side: what stands in a rule's text.

use codegen_derive::ast::{BlockKind, Op, OpStmt, Rule, RuleBlock, Type};
use codegen_derive::prove::explain::source;
use codegen_derive::prove::judge::{Tally, distinct};
use codegen_derive::prove::lock::{Lock, MUTANTS, path};
use codegen_derive::prove::mutate::mutants;
use codegen_derive::prove::mutate_kinds::Change;
use codegen_derive::prove::obligation::{Context, full_name};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec")
}

/// Kinds of mutants that a rule should have, if there is room.
const MANY: usize = 5;

#[test]
fn all_kinds_that_have_room_are_listed() {
    let spec = codegen_derive::load(&directory()).unwrap_or_else(|errors| panic!("{errors}"));
    let context = Context::new(&spec);
    let lock = Lock::read(&path(&directory())).expect("a lock");
    let (mut few, mut missing) = (BTreeMap::new(), Vec::new());
    for block in &spec.blocks {
        for rule in &block.rules {
            let name = full_name(block, rule);
            let own = context.rule(block, rule).unwrap_or_else(|why| panic!("{name}: {why}"));
            let listed = match lock.entries.get(&(MUTANTS.to_string(), name.clone())) {
                Some(entry) => Tally::from_words(&entry.by).counts,
                None => {
                    missing.push(format!("{name}: its mutants are not judged"));
                    continue;
                }
            };
            let listed: BTreeMap<Change, usize> =
                listed.into_iter().map(|(change, (refuted, equivalent))| (change, refuted + equivalent)).collect();
            let mut made: BTreeMap<Change, usize> = BTreeMap::new();
            for (mutant, _) in distinct(&context, block, rule, &own) {
                *made.entry(mutant.change).or_default() += 1;
            }
            if made != listed {
                missing.push(format!("{name}: {made:?} are made, {listed:?} are listed"));
            }
            if listed.len() < MANY {
                few.entry(listed.keys().map(|change| change.name()).collect::<Vec<_>>()).or_insert_with(Vec::new).push(name);
            }
        }
    }
    println!("{} rules have fewer than {MANY} kinds:", few.values().map(Vec::len).sum::<usize>());
    few.iter().for_each(|(kinds, rules)| println!("  {}: {}", kinds.join(", "), rules.join(" ")));
    assert!(missing.is_empty(), "`rules prove` judges mutants\n{}", missing.join("\n"));
}

/// The words of a text, names with dots being one.
fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').filter(|word| !word.is_empty()).collect()
}

fn types(op: &Op) -> Vec<&Type> {
    op.params.iter().chain(&op.immediates).map(|param| &param.ty).chain(&op.results).collect()
}

fn plain(op: &Op) -> bool {
    op.body.iter().all(|stmt| matches!(stmt, OpStmt::Let(..) | OpStmt::Result(_)))
}

/// Kinds that a rule must have room for, by its text.
fn room(context: &Context, block: &RuleBlock, rule: &Rule) -> BTreeSet<Change> {
    let spec = context.spec;
    let text = source(spec, rule.span);
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let (left, right) = code.split_once("=>").expect("a right side");
    let (words_left, words_right) = (words(left), words(right));
    let mut room = BTreeSet::new();
    let mut add = |change: Change, holds: bool| {
        if holds {
            room.insert(change);
        }
    };
    let conditions = left.split_once(") if ").map_or("", |(_, rest)| rest.split(" prefer ").next().unwrap_or_default());
    add(Change::Premise, !conditions.is_empty());
    add(Change::TrapCode, words_right.contains("trap"));
    let matched = left.split_once(") ").map_or(left, |(patterns, _)| patterns);
    let number = |text: &str| words(text).iter().any(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    add(Change::Anything, matched.contains("const 0") || matched.contains("const 1") || matched.contains('='));
    add(Change::Constant, number(conditions) || matched.contains("const 0") || right.contains("(const "));
    add(Change::Condition, right.contains("cc."));
    let uses = |name: &str| words_left.contains(name) || words_right.contains(name);
    add(Change::Function, spec.functions.iter().any(|function| uses(&function.name.text)));
    let form = |name: &&str| context.forms.contains_key(name) && right.contains(&format!("{name}("));
    add(Change::Promise, block.kind == BlockKind::Form || words_right.iter().any(|word| form(word)));
    let assigns = |word: &&str| {
        let inst = context.insts.get(word);
        inst.is_some_and(|inst| source(spec, inst.span).split_once('{').is_some_and(|(_, body)| body.contains("= ")))
    };
    add(Change::Description, words_right.iter().any(|word| assigns(word)));
    if let Some(own) = context.ops.get(block.name.text.as_str()) {
        let valued = |stmt: &OpStmt| matches!(stmt, OpStmt::Result(_) | OpStmt::Write { .. } | OpStmt::Branch(_));
        add(Change::Meaning, own.body.iter().any(valued));
        let like =
            |other: &&&Op| other.name.text != own.name.text && types(other) == types(own) && (!plain(own) || plain(other));
        add(Change::Operator, context.ops.values().any(|other| like(&&other)));
    }
    room
}

#[test]
fn what_stands_in_a_rule_is_changed() {
    let spec = codegen_derive::load(&directory()).unwrap_or_else(|errors| panic!("{errors}"));
    let context = Context::new(&spec);
    let mut missing = Vec::new();
    let mut seen: BTreeMap<Change, usize> = BTreeMap::new();
    for block in &spec.blocks {
        for rule in &block.rules {
            let made: BTreeSet<Change> = mutants(&context, block, rule).iter().map(|mutant| mutant.change).collect();
            for change in room(&context, block, rule) {
                *seen.entry(change).or_default() += 1;
                if !made.contains(&change) {
                    missing.push(format!("{}: {}", full_name(block, rule), change.name()));
                }
            }
        }
    }
    println!("{seen:?}");
    assert!(seen.len() >= 10, "{seen:?}");
    assert!(missing.is_empty(), "room for kinds of mutants that are not made:\n{}", missing.join("\n"));
}
