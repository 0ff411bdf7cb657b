//! `spec/proofs.lock`: which obligations are proved, by whom.
//!
//! One line for each: kind, name, the digest of what was proved, the solvers that said so. The digest is of the very texts that
//! solvers read, in which a rule's names and place do not occur, and of [`PROVER`]. Lines for mutants say for a rule's
//! digest which breakages were generated of it, and how many of each kind were refuted and how many proved to be none.

use super::hash::sha256;
use super::obligation::{Kind, Obligation};
use super::strategy::Strategy;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Raised when the meaning of obligations changes in a way that their text does not show.
pub const PROVER: &str = "vwasm prover 1\n";

/// Digits of a digest kept in the lock: 160 bits.
pub const DIGITS: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub digest: String,
    /// `z3-5.4.1`; for mutants the counts.
    pub by: Vec<String>,
}

/// The key is kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    pub entries: BTreeMap<(String, String), Entry>,
}

const HEAD: &str = "# Proved obligations: kind, name, digest, solvers. Written by `vwasm rules prove`, read by the build.\n";

pub fn path(spec: &Path) -> PathBuf {
    spec.join("proofs.lock")
}

/// What an obligation is known by: all texts that may prove it.
pub fn digest(strategies: &[Strategy]) -> String {
    let mut texts = vec![PROVER];
    let scripts = strategies.iter().flat_map(|strategy| &strategy.scripts);
    texts.extend(scripts.map(|script| script.text.as_str()));
    let mut digest = sha256(&texts);
    digest.truncate(DIGITS);
    digest
}

impl Obligation {
    pub fn key(&self) -> (String, String) {
        (self.kind.name().to_string(), self.name.clone())
    }
}

impl Lock {
    /// Reads a lock; one that is not there is empty.
    pub fn read(path: &Path) -> Result<Lock, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Lock::parse(&text).map_err(|error| format!("{}: {error}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Lock::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    pub fn parse(text: &str) -> Result<Lock, String> {
        let mut lock = Lock::default();
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace().map(str::to_string);
            let (kind, name, digest) = match (words.next(), words.next(), words.next()) {
                (None, ..) => continue,
                (Some(first), ..) if first.starts_with('#') => continue,
                (Some(kind), Some(name), Some(digest)) => (kind, name, digest),
                _ => return Err(format!("line {}: a kind, a name, a digest and solvers are expected", number + 1)),
            };
            let by: Vec<String> = words.collect();
            if by.is_empty() {
                return Err(format!("line {}: no solver", number + 1));
            }
            lock.entries.insert((kind, name), Entry { digest, by });
        }
        Ok(lock)
    }

    pub fn text(&self) -> String {
        let lines = self.entries.iter().map(|((kind, name), entry)| {
            let by = entry.by.join(" ");
            format!("{kind} {name} {} {by}\n", entry.digest)
        });
        HEAD.to_string() + &lines.collect::<String>()
    }

    pub fn write(&self, path: &Path) -> Result<(), String> {
        std::fs::write(path, self.text()).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The entry under which an obligation, as it is now, is proved.
    pub fn proof(&self, obligation: &Obligation) -> Option<&Entry> {
        let entry = self.entries.get(&obligation.key())?;
        (digest(&obligation.strategies()) == entry.digest).then_some(entry)
    }

    pub fn insert(&mut self, kind: &str, name: &str, entry: Entry) {
        self.entries.insert((kind.to_string(), name.to_string()), entry);
    }

    /// What this lock says otherwise than one made from nothing, for names that are chosen: an obligation or mutants that are not
    /// these, fewer solvers than claimed, lines for nothing. Which solvers agreed depends on how fast they were.
    pub fn differences(&self, made: &Lock, chosen: impl Fn(&str) -> bool) -> Vec<String> {
        let mut found = Vec::new();
        let keys: BTreeSet<&(String, String)> = self.entries.keys().chain(made.entries.keys()).collect();
        for key in keys.into_iter().filter(|(_, name)| chosen(name)) {
            let why = match (self.entries.get(key), made.entries.get(key)) {
                (Some(_), None) => "is listed, but was not proved",
                (None, Some(_)) => "was proved, but is not listed",
                (Some(old), Some(new)) if old.digest != new.digest => "is listed for another statement than it is now",
                (Some(old), Some(new)) if key.0 == MUTANTS && old.by != new.by => "has other mutants than are listed",
                (Some(old), Some(new)) if key.0 != MUTANTS && new.by.len() < old.by.len() => {
                    "is listed with more solvers than agree on it"
                }
                _ => continue,
            };
            found.push(format!("{} {} {why}", key.0, key.1));
        }
        found
    }

    /// Forgets what is not among the names known.
    pub fn keep(&mut self, known: impl Fn(&str, &str) -> bool) {
        self.entries.retain(|(kind, name), _| known(kind, name));
    }
}

/// Mutants of a rule are listed under this kind.
pub const MUTANTS: &str = "mutants";

/// Obligations that have no proof in a lock, or no meaning as a term, with the reason.
pub fn unproved(spec: &crate::ast::Spec, lock: &Lock) -> Vec<(String, crate::ast::Span, String)> {
    let context = super::obligation::Context::new(spec);
    let mut missing = Vec::new();
    let mut check = |made: Result<Obligation, (Kind, String)>, name: &str, span| match made {
        Ok(obligation) => {
            if lock.proof(&obligation).is_none() {
                let known = lock.entries.contains_key(&obligation.key());
                let why = if known { "it changed since it was proved" } else { "it was never proved" };
                missing.push((name.to_string(), span, format!("{}: {why}", obligation.kind.name())));
            }
        }
        Err((kind, why)) => missing.push((name.to_string(), span, format!("{}: {why}", kind.name()))),
    };
    for block in &spec.blocks {
        for (number, rule) in block.rules.iter().enumerate() {
            for made in context.all(block, number) {
                check(made, &super::obligation::full_name(block, rule), rule.name.span);
            }
        }
    }
    for op in spec.ops.iter().filter(|op| op.commutative) {
        check(context.commutative(op).map_err(|why| (Kind::Commutative, why)), &op.name.text, op.name.span);
    }
    for made in context.sandbox() {
        match made {
            Ok(obligation) => {
                let (name, span) = (obligation.name.clone(), obligation.span);
                check(Ok(obligation), &name, span);
            }
            Err((kind, name, span, why)) => check(Err((kind, why)), &name, span),
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_written() {
        let mut lock = Lock::default();
        lock.insert("lower", "i32.add/add", Entry { digest: "ab".into(), by: vec!["z3-1".into(), "cvc5-2".into()] });
        lock.insert("form", "addr/own", Entry { digest: "cd".into(), by: vec!["z3-1".into()] });
        assert_eq!(Lock::parse(&lock.text()), Ok(lock.clone()));
        assert!(lock.text().lines().nth(1).is_some_and(|line| line == "form addr/own cd z3-1"));
        assert!(Lock::parse("lower i32.add/add\n").is_err());
        assert!(Lock::parse("lower i32.add/add ab\n").is_err());
    }

    #[test]
    fn told_apart() {
        let entry = |digest: &str, by: &[&str]| Entry {
            digest: digest.into(),
            by: by.iter().map(|word| word.to_string()).collect(),
        };
        let (mut one, mut other) = (Lock::default(), Lock::default());
        one.insert("lower", "a", entry("1", &["z3", "cvc5"]));
        other.insert("lower", "a", entry("1", &["cvc5", "bitwuzla"]));
        assert!(one.differences(&other, |_| true).is_empty());
        other.insert("lower", "a", entry("1", &["cvc5"]));
        assert_eq!(one.differences(&other, |_| true).len(), 1);
        other.insert("lower", "a", entry("2", &["z3", "cvc5"]));
        assert_eq!(one.differences(&other, |_| true).len(), 1);
        assert!(one.differences(&other, |name| name != "a").is_empty());
        one.insert(MUTANTS, "a", entry("1", &["list=1", "swapped=1+0"]));
        other.insert("form", "b", entry("1", &["z3"]));
        assert_eq!(one.differences(&other, |_| true).len(), 3);
    }
}
