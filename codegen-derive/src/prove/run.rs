//! Decides obligations with solvers, several at a time.
//!
//! What is wrong shows for most inputs, so some are tried first. A proof needs two programs that agree. z3 is asked first, then the others until one agrees; a solver that says the
//! opposite makes it a refutation if its values, computed through by [`Obligation::failing`], really break a goal, and
//! otherwise a contradiction between solvers, which is an error of one of them or of this prover. Where none of them answers, the
//! solver of the project's own is asked for a counterexample.

use super::blast;
use super::gates::Limit;
use super::lock::{Entry, digest};
use super::obligation::Obligation;
use super::search::counterexample;
use super::smt::Script;
use super::solver::{Solver, Solvers, Verdict};
use super::strategy::Strategy;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub enum Outcome {
    /// The digest and the solvers: two programs, or one if no other could.
    Proved(Entry),
    /// Values of all variables that satisfy the assumptions and break a goal.
    Refuted(Vec<u128>),
    /// Premises that cannot hold, or hold nowhere that an earlier rule leaves.
    Impossible,
    /// Solvers contradict each other, or the counterexample is none.
    Contradiction(String),
    /// Nobody could say.
    Open(String),
}

#[derive(Clone, Debug)]
pub struct Options {
    pub directory: PathBuf,
    /// In the order in which they are asked.
    pub solvers: Vec<Solver>,
    /// For one answer.
    pub limit: Duration,
    pub jobs: usize,
    /// How many programs must agree.
    pub enough: usize,
    /// How many inputs are tried before solvers are asked.
    pub tries: usize,
}

impl Options {
    pub fn new(directory: &Path) -> Options {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let solvers = Solver::ALL.to_vec();
        Options { directory: directory.to_path_buf(), solvers, limit: Duration::from_secs(60), jobs, enough: 2, tries: 300 }
    }
}

/// The values of all variables of a graph, those not in the script 0.
fn all_values(obligation: &Obligation, script: &Script, values: &[u128]) -> Vec<u128> {
    let mut all = vec![0; obligation.graph.variables.len()];
    for ((variable, _), value) in script.variables.iter().zip(values) {
        // A case of an obligation may have variables of its own.
        if let Some(place) = all.get_mut(*variable as usize) {
            *place = *value;
        }
    }
    all
}

/// How long a strategy may take that another follows.
const BRIEF: Duration = Duration::from_secs(5);

/// Asks until two programs agree, be it that they were asked in different ways.
pub fn decide(obligation: &Obligation, solvers: &mut Solvers, options: &Options) -> Outcome {
    if !obligation.kind.wants_example()
        && let Some(values) = counterexample(obligation, options.tries)
    {
        return Outcome::Refuted(values);
    }
    let mut said: Vec<String> = Vec::new();
    let mut by: Vec<Solver> = Vec::new();
    let strategies = obligation.strategies();
    for strategy in &strategies {
        let limit = if strategy.brief { options.limit.min(BRIEF) } else { options.limit };
        for &solver in &options.solvers {
            let agreed = by.iter().any(|other| other.program() == solver.program());
            let unfit = match solver {
                Solver::Bitwuzla | Solver::Cvc5Integers => strategy.integers,
                Solver::Builtin => !strategy.decides,
                Solver::Z3 | Solver::Cvc5 => false,
            };
            if agreed || unfit {
                continue;
            }
            match one(obligation, strategy, solver, solvers, limit) {
                Answer::Agrees => by.push(solver),
                Answer::Says(outcome) => match by.first() {
                    Some(other) => {
                        let text = format!("{} and {} contradict each other", other.program(), solver.program());
                        return Outcome::Contradiction(text);
                    }
                    None => return outcome,
                },
                // Of no use for the obligation itself: another strategy may be.
                Answer::No => break,
                Answer::Silent(why) => said.push(why),
            }
            if by.len() == options.enough {
                break;
            }
        }
        if by.len() == options.enough {
            break;
        }
    }
    if by.is_empty() {
        // A breach that the solver of the project's own finds is one, whoever is missing. What it proves is nothing here: two
        // others should have said so.
        if let Answer::Says(outcome) = builtin(obligation, options.limit.min(BRIEF)) {
            return outcome;
        }
        said.sort();
        said.dedup();
        return Outcome::Open(said.join("; "));
    }
    let by = by.iter().filter_map(|&solver| solvers.version(solver).ok()).collect();
    Outcome::Proved(Entry { digest: digest(&strategies), by })
}

enum Answer {
    Agrees,
    /// The opposite, of the obligation itself.
    Says(Outcome),
    No,
    Silent(String),
}

/// What values satisfying the obligation itself are worth.
fn found(obligation: &Obligation, solver: Solver, values: Vec<u128>) -> Answer {
    let example = obligation.kind.wants_example();
    let real = obligation.failing(&values).is_some_and(|failing| example || !failing.is_empty());
    match (real, example) {
        (false, _) => {
            let text = format!("the values that {} gives are no example", solver.program());
            Answer::Says(Outcome::Contradiction(text))
        }
        (true, true) => Answer::Agrees,
        (true, false) => Answer::Says(Outcome::Refuted(values)),
    }
}

/// Asks the solver of the project's own, which takes terms instead of scripts.
fn builtin(obligation: &Obligation, limit: Duration) -> Answer {
    let limit = Limit { until: Some(Instant::now() + limit), ..Limit::default() };
    match obligation.blast(limit) {
        blast::Answer::Unsatisfiable if obligation.kind.wants_example() => Answer::Says(Outcome::Impossible),
        blast::Answer::Unsatisfiable => Answer::Agrees,
        blast::Answer::Satisfiable(values) => found(obligation, Solver::Builtin, values),
        blast::Answer::Unknown => Answer::Silent("builtin did not decide".into()),
    }
}

/// Asks one solver about all scripts of a strategy.
fn one(obligation: &Obligation, strategy: &Strategy, solver: Solver, solvers: &mut Solvers, limit: Duration) -> Answer {
    if solver == Solver::Builtin {
        return builtin(obligation, limit);
    }
    let example = obligation.kind.wants_example();
    for script in &strategy.scripts {
        let (verdict, _) = solvers.ask(solver, script, limit);
        match verdict {
            Verdict::Unsat if example => return Answer::Says(Outcome::Impossible),
            Verdict::Unsat => {}
            // It says nothing, unless its values break the obligation itself.
            Verdict::Sat(values) if !strategy.decides => {
                let values = all_values(obligation, script, &values);
                let breaks = !example && obligation.failing(&values).is_some_and(|failing| !failing.is_empty());
                return if breaks { Answer::Says(Outcome::Refuted(values)) } else { Answer::No };
            }
            Verdict::Sat(values) => return found(obligation, solver, all_values(obligation, script, &values)),
            Verdict::Unknown => return Answer::Silent(format!("{} did not decide", solver.program())),
            Verdict::Failed(why) => return Answer::Silent(format!("{}: {why}", solver.program())),
        }
    }
    Answer::Agrees
}

/// One obligation and what became of it.
pub struct Decided<T> {
    pub item: T,
    pub outcome: Outcome,
    pub took: Duration,
}

/// Decides many, each by `decide_one`; `report` is told of each, with how many are done. Stops handing out work when `report`
/// says so.
pub fn all<T: Send>(
    items: Vec<T>,
    options: &Options,
    decide_one: impl Fn(&mut T, &mut Solvers) -> Outcome + Sync,
    report: impl Fn(usize, &Decided<T>) + Sync,
) -> Vec<Decided<T>> {
    let count = items.len();
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let done: Mutex<Vec<(usize, Decided<T>)>> = Mutex::new(Vec::with_capacity(count));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, count.max(1)) {
            scope.spawn(|| {
                let mut solvers = Solvers::new(&options.directory);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(place) = items.get(number) else { break };
                    let Some(mut item) = place.lock().ok().and_then(|mut item| item.take()) else { continue };
                    let start = Instant::now();
                    let outcome = decide_one(&mut item, &mut solvers);
                    let decided = Decided { item, outcome, took: start.elapsed() };
                    if let Ok(mut done) = done.lock() {
                        report(done.len() + 1, &decided);
                        done.push((number, decided));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, decided)| decided).collect()
}
