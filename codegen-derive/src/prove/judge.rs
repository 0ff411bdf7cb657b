//! What becomes of a rule's mutants.
//!
//! Each must end: refuted by a counterexample, found by trying or by a solver, or proved right, for which one solver is enough:
//! nothing rests on it. What a mutant has in common with its rule follows from the rule's theorem (`theorem`). A premise whose
//! absence is proved right is not needed. Anything else is open.

use super::hash::sha256;
use super::lock::{DIGITS, Entry, MUTANTS, PROVER};
use super::mutate::{MUTATOR, Mutant, mutants};
use super::mutate_described::Changed;
use super::mutate_kinds::Change;
use super::obligation::{Context, Obligation};
use super::run::{Options, Outcome, decide};
use super::search::counterexample;
use super::solver::Solvers;
use super::theorem::{Follows, follows};
use super::witness::excluded;
use crate::ast::{Rule, RuleBlock};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// How many inputs are tried before solvers are asked, and how long these may take for one answer; then again, with more inputs
/// and as long as is allowed. Most breakages are found at once, and some that solvers search long for by trying longer.
const ROUNDS: [(usize, Duration); 2] = [(5000, Duration::from_secs(2)), (100_000, Duration::MAX)];

/// Digits of the digest of a list.
const LIST_DIGITS: usize = 12;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// For each kind of change: refuted, equivalent.
    pub counts: BTreeMap<Change, (usize, usize)>,
    /// Mutants that nobody could decide, and why.
    pub open: Vec<String>,
    /// Premises that the rule is right without.
    pub needless: Vec<String>,
    /// The digest of all mutants, in words, and of what became of them.
    pub list: String,
}

impl Tally {
    pub fn total(&self) -> (usize, usize) {
        self.counts.values().fold((0, 0), |(refuted, equivalent), (r, e)| (refuted + r, equivalent + e))
    }

    /// Whether nothing is left to be said of the rule.
    pub fn settled(&self) -> bool {
        self.open.is_empty() && self.needless.is_empty()
    }

    pub fn add(&mut self, other: &Tally) {
        for (change, (refuted, equivalent)) in &other.counts {
            let sum = self.counts.entry(*change).or_default();
            *sum = (sum.0 + refuted, sum.1 + equivalent);
        }
    }

    /// The tally as it stands in the lock: the digest of the list, then counts, `condition=15+0`: refuted and equivalent.
    pub fn words(&self) -> Vec<String> {
        let counts =
            self.counts.iter().map(|(change, (refuted, equivalent))| format!("{}={refuted}+{equivalent}", change.name()));
        [format!("list={}", self.list)].into_iter().chain(counts).collect()
    }

    pub fn from_words(words: &[String]) -> Tally {
        let mut tally = Tally::default();
        for word in words {
            let Some((name, counts)) = word.split_once('=') else { continue };
            if name == "list" {
                tally.list = counts.to_string();
            }
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

/// What becomes of one mutant.
enum Verdict {
    Refuted,
    /// No breakage.
    Right,
    Open(String),
}

/// Judges what a mutant says, beside what its rule says, which is proved.
fn verdict(own: &Obligation, mutant: &Obligation, solvers: &mut Solvers, options: &Options) -> Verdict {
    if counterexample(mutant, ROUNDS[0].0).is_some() {
        return Verdict::Refuted;
    }
    let rest = match follows(own, mutant, solvers, &options.solvers) {
        Follows::All => return Verdict::Right,
        Follows::But(rest) => Some(rest),
        Follows::Nothing => None,
    };
    let mut said = String::new();
    for (tries, limit) in ROUNDS {
        let options = Options { enough: 1, tries, limit: limit.min(options.limit), ..options.clone() };
        match decide(rest.as_deref().unwrap_or(mutant), solvers, &options) {
            Outcome::Refuted(_) => return Verdict::Refuted,
            Outcome::Proved(_) => return Verdict::Right,
            Outcome::Impossible => return Verdict::Open("impossible".into()),
            Outcome::Contradiction(why) => return Verdict::Open(why),
            Outcome::Open(why) => said = why,
        }
    }
    Verdict::Open(said)
}

/// A rule's mutants with what is to be proved of each: those that have a meaning and say neither what the rule says nor what
/// another one does.
pub fn distinct(context: &Context, block: &RuleBlock, rule: &Rule, own: &Obligation) -> Vec<(Mutant, Obligation)> {
    let mut seen: HashSet<String> = HashSet::from([own.query(false).text]);
    let made = mutants(context, block, rule).into_iter().filter_map(|mutant| {
        let obligation = mutant.obligation(context, block, rule).ok()?;
        Some((mutant, obligation))
    });
    made.filter(|(_, obligation)| seen.insert(obligation.query(false).text)).collect()
}

/// Judges all mutants of a rule that is proved.
pub fn judge(context: &Context, block: &RuleBlock, rule: &Rule, solvers: &mut Solvers, options: &Options) -> Tally {
    let mut tally = Tally::default();
    let mut list = String::new();
    let Ok(own) = context.rule(block, rule) else { return tally };
    for (mutant, obligation) in distinct(context, block, rule, &own) {
        let verdict = verdict(&own, &obligation, solvers, options);
        let entry = tally.counts.entry(mutant.change).or_default();
        let refuted = matches!(verdict, Verdict::Refuted);
        list.push_str(&format!("{} {} {refuted}\n", mutant.change.name(), mutant.text));
        match verdict {
            Verdict::Refuted => entry.0 += 1,
            Verdict::Right => {
                entry.1 += 1;
                if mutant.change == Change::Premise {
                    let example = match &mutant.what {
                        Changed::Rule(without) => excluded(context, block, rule, without),
                        _ => None,
                    };
                    let example =
                        example.map_or(String::new(), |example| format!(" ({example}, for which it is right too)"));
                    tally.needless.push(format!("{}{example}", mutant.text));
                }
            }
            Verdict::Open(why) => tally.open.push(format!("{}: {why}", mutant.text)),
        }
    }
    tally.list = sha256(&[&list]);
    tally.list.truncate(LIST_DIGITS);
    tally
}

/// The lock's key and entry for a tally.
pub fn entry(obligation: &Obligation, tally: &Tally) -> ((String, String), Entry) {
    let key = (MUTANTS.to_string(), obligation.name.clone());
    (key, Entry { digest: mutants_digest(obligation), by: tally.words() })
}
