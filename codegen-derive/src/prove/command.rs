//! `rules list`, `rules prove`, `rules explain`: what the command of that name does, here and in `vwasm`.

use super::explain;
use super::judge::{Tally, entry, judge, mutants_digest};
use super::lock::{self, Entry, Lock, MUTANTS};
use super::obligation::{Context, Kind, Obligation, full_name};
use super::run::{self, Options, Outcome};
use super::solver::{self, Solver};
use super::witness;
use crate::ast::*;
use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What `rules prove` is told.
#[derive(Clone, Debug, Default)]
pub struct Prove {
    /// Rules, or beginnings of their names; none means all.
    pub names: Vec<String>,
    /// Also what is proved already.
    pub all: bool,
    /// Solvers by name; none means all.
    pub solvers: Vec<String>,
    pub jobs: Option<usize>,
    /// Seconds for one answer.
    pub limit: Option<u64>,
    /// Leave mutants alone.
    pub no_mutants: bool,
    /// Prove from nothing and compare with the lock, which stays as it is.
    pub check: bool,
    /// Install the solvers first.
    pub install: bool,
}

/// Kinds of mutants that a rule should have, if there is room for them (codegen-derive/tests/kinds.rs).
const MANY: usize = 5;

/// What is trusted without a proof.
const ASSUMED: &[&str] = &[
    "division: if the upper half extends the lower one, idiv and div give the quotient and remainder of the lower half and \
     fault only for a zero divisor or the smallest number by -1 (spec/x86_64/integer.rules; each use is proved to give such operands)",
    "memory.base: the constant at address 0 stands for the register of role mem0",
    "once: the matcher folds a load only if nothing with an effect stands between it and its use (compiler/src/lower/mod.rs)",
];

/// Whether a rule's name is among names of rules and operators; no names mean all.
pub fn chosen(names: &[String], name: &str) -> bool {
    names.is_empty()
        || names
            .iter()
            .any(|wanted| name == wanted || name.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('/')))
}

/// Every name must choose something.
fn check_names(spec: &Spec, names: &[String]) -> Result<(), String> {
    let rules = spec.blocks.iter().flat_map(|block| block.rules.iter().map(move |rule| full_name(block, rule)));
    let tables = spec.judgements.iter().flat_map(super::fact::row_names);
    let others = spec.ops.iter().map(|op| &op.name).chain(spec.facts.iter().map(|fact| &fact.name));
    let others = others.chain(spec.insts.iter().map(|inst| &inst.name)).map(|name| name.text.clone());
    let known: Vec<String> = rules.chain(tables).chain(others).collect();
    check_chosen(names, known.iter().map(String::as_str))
}

/// Every name must choose something of what is known.
pub fn check_chosen<'a>(names: &[String], known: impl Iterator<Item = &'a str> + Clone) -> Result<(), String> {
    for name in names {
        if !known.clone().any(|known| chosen(std::slice::from_ref(name), known)) {
            let near = crate::diagnostic::nearest(name, known.clone());
            let help = near.map_or(String::new(), |near| format!("\n  help: did you mean `{near}`?"));
            return Err(format!("no rule is named `{name}`{help}"));
        }
    }
    Ok(())
}

/// A line that is written over on a terminal.
struct Progress {
    shown: bool,
    start: Instant,
    last: Mutex<Instant>,
}

impl Progress {
    fn new() -> Progress {
        let now = Instant::now();
        Progress { shown: std::io::stderr().is_terminal(), start: now, last: Mutex::new(now) }
    }

    fn tell(&self, what: &str, done: usize, of: usize, name: &str) {
        let Ok(mut last) = self.last.lock() else { return };
        if self.shown && (done == of || last.elapsed() > Duration::from_millis(50)) {
            *last = Instant::now();
            let filled = 24 * done / of.max(1);
            let bar: String = (0..24).map(|at| if at < filled { '#' } else { '.' }).collect();
            let line = format!("[{bar}] {done}/{of} {what} {:.0} s  {name}", self.start.elapsed().as_secs_f64());
            let line: String = line.chars().take(110).collect();
            eprint!("\r\x1b[K{line}");
            // Progress is for the eye only.
            let _ = std::io::stderr().flush();
        }
    }

    fn end(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

/// An obligation, and the rule that it is of, if it is of one.
pub type Owed<'a> = (Obligation, Option<(&'a RuleBlock, usize)>);

/// All obligations of a specification; what has no meaning as a term is told apart.
pub fn obligations<'a>(context: &'a Context<'a>) -> (Vec<Owed<'a>>, Vec<String>) {
    let (mut made, mut failed) = (Vec::new(), Vec::new());
    for block in &context.spec.blocks {
        for (number, rule) in block.rules.iter().enumerate() {
            for one in context.all(block, number) {
                match one {
                    Ok(obligation) => made.push((obligation, Some((block, number)))),
                    Err((kind, why)) => failed.push(format!(
                        "{} {}  {}: {why}",
                        kind.name(),
                        full_name(block, rule),
                        explain::place(context.spec, rule.name.span)
                    )),
                }
            }
        }
    }
    for op in context.spec.ops.iter().filter(|op| op.commutative) {
        match context.commutative(op) {
            Ok(obligation) => made.push((obligation, None)),
            Err(why) => failed.push(format!("commutative {}: {why}", op.name.text)),
        }
    }
    for one in context.sandbox() {
        match one {
            Ok(obligation) => made.push((obligation, None)),
            Err((kind, name, span, why)) => {
                failed.push(format!("{} {name}  {}: {why}", kind.name(), explain::place(context.spec, span)));
            }
        }
    }
    (made, failed)
}

/// If not all solvers were asked, those that said the same before still say it.
fn joined(lock: &Lock, obligation: &Obligation, mut entry: Entry, what: &Prove) -> Entry {
    if what.solvers.is_empty() {
        return entry;
    }
    if let Some(known) = lock.proof(obligation) {
        let program = |text: &String| text.split('-').next().unwrap_or_default().to_string();
        let new: Vec<String> = entry.by.iter().map(program).collect();
        entry.by.splice(0..0, known.by.iter().filter(|other| !new.contains(&program(other))).cloned());
    }
    entry
}

/// Proves what is not proved, writes the lock; an error tells what could not be.
pub fn prove(directory: &Path, what: &Prove) -> Result<(), String> {
    let spec = crate::load(directory)?;
    check_names(&spec, &what.names)?;
    let context = Context::new(&spec);
    let mut options = Options::new(&solver::directory(directory));
    if let Some(jobs) = what.jobs {
        options.jobs = jobs.max(1);
    }
    if let Some(limit) = what.limit {
        options.limit = Duration::from_secs(limit);
    }
    if !what.solvers.is_empty() {
        options.solvers.clear();
        for name in &what.solvers {
            let named = Solver::from_name(name);
            if named.is_empty() {
                return Err(format!("no solver `{name}`: z3, bitwuzla, cvc5, builtin"));
            }
            options.solvers.extend(named);
        }
    }
    if what.install {
        solver::install(&options.directory)?;
    }
    let lock_path = lock::path(directory);
    let listed = Lock::read(&lock_path)?;
    let mut lock = if what.check { Lock::default() } else { listed.clone() };
    let all = what.all || what.check;
    let (mut wanted, failed) = obligations(&context);
    let count = wanted.len();
    let known: HashSet<(String, String)> = wanted.iter().map(|(obligation, _)| obligation.key()).collect();
    let rules: HashSet<String> =
        spec.blocks.iter().flat_map(|block| block.rules.iter().map(move |rule| full_name(block, rule))).collect();
    lock.keep(|kind, name| known.contains(&(kind.to_string(), name.to_string())) || kind == MUTANTS && rules.contains(name));
    wanted.retain(|(obligation, _)| chosen(&what.names, &obligation.name) && (all || lock.proof(obligation).is_none()));
    // Mutants say something of a rule that is proved only, so they come after.
    let asked = wanted.len();
    let progress = Progress::new();
    // What is proved is kept even if this is interrupted.
    let saved = Mutex::new((lock.clone(), Instant::now()));
    let done = run::all(
        wanted,
        &options,
        |(obligation, _), solvers| run::decide(obligation, solvers, &options),
        |number, decided| {
            progress.tell("obligations", number, asked, &decided.item.0.name);
            if let (Outcome::Proved(entry), Ok(mut saved)) = (&decided.outcome, saved.lock()) {
                let (kind, name) = decided.item.0.key();
                let entry = joined(&saved.0, &decided.item.0, entry.clone(), what);
                saved.0.insert(&kind, &name, entry);
                if !what.check && saved.1.elapsed() > Duration::from_secs(5) {
                    saved.1 = Instant::now();
                    // The last write, at the end, tells of errors.
                    let _ = saved.0.write(&lock_path);
                }
            }
        },
    );
    progress.end();
    let mut complaints: Vec<String> = failed.iter().map(|text| format!("error: has no meaning: {text}\n")).collect();
    // What fewer solvers than all do not decide was perhaps decided by others: that stands.
    let asked_all = what.solvers.is_empty();
    let (mut proved, mut standing) = (0, 0);
    // Rules whose premises cannot hold: of no interest is then what applies before them.
    let mut dead = HashSet::new();
    for decided in done {
        let (obligation, rule) = &decided.item;
        let (kind, name) = obligation.key();
        let place = explain::place(&spec, obligation.span);
        match decided.outcome {
            Outcome::Proved(entry) => {
                proved += 1;
                let entry = joined(&lock, obligation, entry, what);
                if entry.by.len() < 2 {
                    println!("{kind} {name} rests on {} alone", entry.by.join(" "));
                }
                lock.insert(&kind, &name, entry);
                continue;
            }
            Outcome::Refuted(values) => {
                let mut text = explain::counterexample(&context, obligation, &values);
                if let Some((block, number)) = rule
                    && let Some(script) = explain::script(&context, block, &block.rules[*number], obligation, &values)
                {
                    text.push_str(&format!("\n  as a test for `vwasm wast`:\n\n{script}"));
                }
                text.push_str(&format!("\n  = help: mend the rule; `rules prove {name}` proves it then\n"));
                complaints.push(format!("error: this rule is wrong: {text}"));
            }
            Outcome::Impossible if obligation.kind == Kind::Reachable && dead.contains(&name) => {}
            Outcome::Impossible => {
                dead.insert(name.clone());
                let why = match rule {
                    Some((block, number)) if obligation.kind == Kind::Reachable => {
                        witness::shadowed(&context, block, *number)
                    }
                    Some((block, number)) => witness::contradiction(&context, block, *number),
                    None => "its premises cannot hold".into(),
                };
                complaints.push(format!("error: {name} ({place}) can never apply: {why}\n"));
            }
            Outcome::Contradiction(why) => {
                complaints.push(format!("error: {kind} {name} ({place}): {why}: a fault of a solver or of the prover\n"));
            }
            Outcome::Open(_) if !asked_all && lock.proof(obligation).is_some() => {
                standing += 1;
                continue;
            }
            Outcome::Open(why) => complaints.push(format!("error: {kind} {name} ({place}) is not decided: {why}\n")),
        }
        lock.entries.remove(&(kind, name));
    }
    if !what.check {
        lock.write(&lock_path)?;
    }
    println!(
        "{proved} of {asked} obligations proved now, {} of {count} in all",
        lock.entries.keys().filter(|(kind, _)| kind != MUTANTS).count()
    );
    if standing != 0 {
        println!("{standing} not decided by {}; what the lock has of them stands", what.solvers.join(", "));
    }
    let judged = complaints.is_empty() && !what.no_mutants;
    if judged {
        complaints.extend(mutants(&context, &mut lock, &lock_path, what, &options)?);
        if !what.check {
            lock.write(&lock_path)?;
        }
    }
    if what.check {
        let mut listed = listed;
        listed.keep(|kind, _| kind != MUTANTS || judged);
        let differences = listed.differences(&lock, |name| chosen(&what.names, name));
        complaints.extend(differences.iter().map(|text| format!("error: {}: {text}\n", lock_path.display())));
    }
    if complaints.iter().any(|text| text.contains(solver::MISSING)) {
        complaints.push(
            "  = help: `rules prove --install` installs the solvers; VWASM_SOLVERS names another place for them\n".into(),
        );
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

/// Judges the mutants of proved rules.
fn mutants(context: &Context, lock: &mut Lock, path: &Path, what: &Prove, options: &Options) -> Result<Vec<String>, String> {
    let mut rules = Vec::new();
    for block in &context.spec.blocks {
        for rule in &block.rules {
            let name = full_name(block, rule);
            if !chosen(&what.names, &name) {
                continue;
            }
            let Ok(obligation) = context.rule(block, rule) else { continue };
            let digest = mutants_digest(&obligation);
            let listed = lock.entries.get(&(MUTANTS.to_string(), name)).is_some_and(|entry| entry.digest == digest);
            if what.all || what.check || !listed {
                rules.push((block, rule, obligation, Tally::default()));
            }
        }
    }
    let count = rules.len();
    let progress = Progress::new();
    let saved = Mutex::new((lock.clone(), Instant::now()));
    let done = run::all(
        rules,
        options,
        |(block, rule, _, tally), solvers| {
            *tally = judge(context, block, rule, solvers, options);
            Outcome::Open(String::new())
        },
        |number, decided| {
            let (_, _, obligation, tally) = &decided.item;
            progress.tell("rules' mutants", number, count, &obligation.name);
            if tally.settled()
                && let Ok(mut saved) = saved.lock()
            {
                let ((kind, name), entry) = entry(obligation, tally);
                saved.0.insert(&kind, &name, entry);
                if !what.check && saved.1.elapsed() > Duration::from_secs(5) {
                    saved.1 = Instant::now();
                    // The last write, at the end, tells of errors.
                    let _ = saved.0.write(path);
                }
            }
        },
    );
    progress.end();
    let mut complaints = Vec::new();
    let mut total = Tally::default();
    for decided in done {
        let (_, _, obligation, tally) = &decided.item;
        total.add(tally);
        let place = explain::place(context.spec, obligation.span);
        for text in &tally.needless {
            complaints.push(format!(
                "error: {} ({place}) is right without a premise: {text}; drop it, or make it `prefer`\n",
                obligation.name
            ));
        }
        for text in &tally.open {
            complaints.push(format!("error: a mutant of {} ({place}) is open: {text}\n", obligation.name));
        }
        if tally.settled() {
            let ((kind, name), entry) = entry(obligation, tally);
            lock.insert(&kind, &name, entry);
        }
    }
    let sums: Vec<String> = total.counts.iter().map(|(change, (a, b))| format!("{} {a}+{b}", change.name())).collect();
    let (a, b) = total.total();
    println!("mutants of {count} rules: {a} refuted, {b} equivalent ({})", sums.join(", "));
    Ok(complaints)
}

/// All rules with their state, then totals and what is trusted.
pub fn list(directory: &Path, names: &[String]) -> Result<String, String> {
    let spec = crate::load(directory)?;
    check_names(&spec, names)?;
    let context = Context::new(&spec);
    let lock = Lock::read(&lock::path(directory))?;
    let fired = crate::coverage::read(directory)?;
    let mut out = String::new();
    let (mut rules, mut proved, mut judged, mut lone) = (0, 0, Tally::default(), Vec::new());
    let (mut many, mut few) = (0, Vec::new());
    for block in &spec.blocks {
        for (number, rule) in block.rules.iter().enumerate() {
            let name = full_name(block, rule);
            if !chosen(names, &name) {
                continue;
            }
            rules += 1;
            let mut missing = Vec::new();
            let mut own = String::new();
            for made in context.all(block, number) {
                match made {
                    Ok(obligation) => match lock.proof(&obligation) {
                        Some(entry) if entry.by.len() < 2 => lone.push(format!("{} {name}", obligation.kind.name())),
                        Some(_) => {}
                        None => missing.push(obligation.kind.name()),
                    },
                    Err((kind, _)) => missing.push(kind.name()),
                }
            }
            if let Ok(obligation) = context.rule(block, rule)
                && let Some(entry) = lock.entries.get(&(MUTANTS.to_string(), name.clone()))
            {
                if entry.digest == mutants_digest(&obligation) {
                    let tally = Tally::from_words(&entry.by);
                    let (a, b) = tally.total();
                    if tally.counts.len() < MANY {
                        few.push(tally.counts.len())
                    } else {
                        many += 1
                    }
                    own = format!("{a}+{b} mutants, {} kinds", tally.counts.len());
                    judged.add(&tally);
                }
            }
            let state =
                if missing.is_empty() { "proved".to_string() } else { format!("NOT PROVED: {}", missing.join(", ")) };
            proved += usize::from(missing.is_empty());
            let fired = fired.get(&name).map_or(String::new(), |counts| match counts.iter().sum::<u64>() {
                0 => "never fired".to_string(),
                sum => format!("fired {sum}"),
            });
            let line = format!("{name:36} {:36} {state:8} {fired:13} {own}", explain::place(&spec, rule.name.span));
            out.push_str(&format!("{}\n", line.trim_end()));
        }
    }
    let (refuted, equivalent) = judged.total();
    out.push_str(&format!("\n{proved} of {rules} rules proved; mutants: {refuted} refuted, {equivalent} equivalent\n"));
    let fewer: Vec<String> = (0..MANY).map(|kinds| few.iter().filter(|&&own| own == kinds).count().to_string()).collect();
    out.push_str(&format!(
        "{many} rules have mutants of {MANY} kinds or more; {} have fewer, {} of 0 to {} kinds: they have no room for others\n",
        few.len(),
        fewer.join(", "),
        MANY - 1
    ));
    for (change, (refuted, equivalent)) in &judged.counts {
        out.push_str(&format!("  {:12} {refuted:5} refuted {equivalent:5} equivalent\n", change.name()));
    }
    out.push_str(&format!(
        "resting on one solver: {}\n",
        if lone.is_empty() { "none".to_string() } else { lone.join(", ") }
    ));
    out.push_str(&format!("taken for granted: {}\n", ASSUMED.len()));
    for text in ASSUMED {
        out.push_str(&format!("  {text}\n"));
    }
    Ok(out)
}

/// The sandbox checker's tables with their state.
pub fn list_sandbox(directory: &Path) -> Result<String, String> {
    let spec = crate::load(directory)?;
    let lock = Lock::read(&lock::path(directory))?;
    Ok(super::fact::list(&Context::new(&spec), &lock))
}

/// All that is known of some rules.
pub fn explain(directory: &Path, names: &[String]) -> Result<String, String> {
    if names.is_empty() {
        return Err("say which rule: `rules explain i32.add/add_const`".into());
    }
    let spec = crate::load(directory)?;
    check_names(&spec, names)?;
    let context = Context::new(&spec);
    let lock = Lock::read(&lock::path(directory))?;
    let mut parts = Vec::new();
    for block in &spec.blocks {
        for (number, rule) in block.rules.iter().enumerate() {
            if chosen(names, &full_name(block, rule)) {
                parts.push(explain::rule(&context, &lock, block, number));
            }
        }
    }
    Ok(parts.join("\n"))
}
