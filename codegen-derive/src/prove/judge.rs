//! What becomes of a rule's mutants.
//!
//! Each must end: refuted by a counterexample, found by trying or by a solver, or proved right by two solvers as the rule
//! itself was. A premise whose absence is proved right is not needed. Anything else is open.

use super::hash::sha256;
use super::lock::{DIGITS, Entry, MUTANTS, PROVER};
use super::mutate::{Change, MUTATOR, mutants};
use super::obligation::{Context, Obligation};
use super::run::{Options, Outcome, decide};
use super::search::counterexample;
use super::solver::Solvers;
use super::witness::excluded;
use crate::ast::{Rule, RuleBlock};
use std::collections::{BTreeMap, HashSet};

/// How many inputs are tried before a solver is asked.
const TRIES: usize = 1000;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// For each kind of change: refuted, equivalent.
    pub counts: BTreeMap<Change, (usize, usize)>,
    /// Mutants that nobody could decide, and why.
    pub open: Vec<String>,
    /// Premises that the rule is right without.
    pub needless: Vec<String>,
    /// Changes that make another rule of the same meaning, in words.
    pub equivalent: Vec<String>,
}

impl Tally {
    pub fn total(&self) -> (usize, usize) {
        self.counts.values().fold((0, 0), |(refuted, equivalent), (r, e)| (refuted + r, equivalent + e))
    }

    /// Counts as they stand in the lock: `condition=15+0`, refuted and equivalent.
    pub fn words(&self) -> Vec<String> {
        let words =
            self.counts.iter().map(|(change, (refuted, equivalent))| format!("{}={refuted}+{equivalent}", change.name()));
        let words: Vec<String> = words.collect();
        if words.is_empty() { vec!["none".into()] } else { words }
    }

    pub fn from_words(words: &[String]) -> Tally {
        let mut tally = Tally::default();
        for word in words {
            let Some((name, counts)) = word.split_once('=') else { continue };
            let change = Change::ALL.into_iter().find(|change| change.name() == name);
            let counts = counts.split_once('+').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            if let (Some(change), Some(counts)) = (change, counts) {
                tally.counts.insert(change, counts);
            }
        }
        tally
    }
}

/// The digest under which a rule's mutants are listed: theirs is settled as long as the rule's own obligation stands.
pub fn mutants_digest(obligation: &Obligation) -> String {
    let mut digest = sha256(&[PROVER, MUTATOR, &obligation.query(false).text]);
    digest.truncate(DIGITS);
    digest
}

/// Judges all mutants of a rule.
pub fn judge(context: &Context, block: &RuleBlock, rule: &Rule, solvers: &mut Solvers, options: &Options) -> Tally {
    let mut tally = Tally::default();
    let Ok(own) = context.rule(block, rule) else { return tally };
    let mut seen: HashSet<String> = HashSet::from([own.query(false).text]);
    for mutant in mutants(context, block, rule) {
        let Ok(obligation) = context.rule(block, &mutant.rule) else { continue };
        // The same statement needs no second judgement.
        if !seen.insert(obligation.query(false).text) {
            continue;
        }
        let outcome = match counterexample(&obligation, TRIES) {
            Some(values) => Outcome::Refuted(values),
            None => decide(&obligation, solvers, options),
        };
        let entry = tally.counts.entry(mutant.change).or_default();
        match outcome {
            Outcome::Refuted(_) => entry.0 += 1,
            Outcome::Proved(_) => {
                entry.1 += 1;
                if mutant.change == Change::Premise {
                    let example = excluded(context, block, rule, &mutant.rule);
                    let example =
                        example.map_or(String::new(), |example| format!(" ({example}, for which it is right too)"));
                    tally.needless.push(format!("{}{example}", mutant.text));
                }
                tally.equivalent.push(mutant.text);
            }
            Outcome::Impossible => tally.open.push(format!("{}: impossible", mutant.text)),
            Outcome::Contradiction(why) | Outcome::Open(why) => tally.open.push(format!("{}: {why}", mutant.text)),
        }
    }
    tally
}

/// The lock's key and entry for a tally.
pub fn entry(obligation: &Obligation, tally: &Tally) -> ((String, String), Entry) {
    let key = (MUTANTS.to_string(), obligation.name.clone());
    (key, Entry { digest: mutants_digest(obligation), by: tally.words() })
}
