//! Mutants that are right because their rule is.
//!
//! A mutant often differs from its rule where the rule's theorem does not look: in a premise that keeps out less or more, in a
//! trap that cannot fire, in a number that comes out the same. To prove it from nothing would be to prove the rule again, which
//! takes long where it multiplies and divides unknowns. So the theorem, which is proved, is taken as an assumption, and products,
//! quotients and float operations for any functions: what else is said of them is in the theorem. What the mutant says of inputs
//! that the rule's premises keep out is left over, as an obligation of its own.
//!
//! A theorem holds for all values, so it does not matter how the variables of the two are paired.

use super::blast::{Answer, ask};
use super::effect::Goal;
use super::gates::Limit;
use super::obligation::Obligation;
use super::smt;
use super::solver::{Solver, Solvers, Verdict};
use super::term::{Graph, Op, Sort, Term};
use std::time::{Duration, Instant};

/// Operations of one kind taken for any function are compared pair by pair, so there should not be too many.
const FUNCTIONS: usize = 24;

/// How long the project's own solver and then another one may take: what follows from the theorem follows at once.
const LIMIT: Duration = Duration::from_secs(2);

/// What the theorem says of a mutant.
pub enum Follows {
    /// The mutant is right.
    All,
    /// It is right where the rule's premises hold. Where they do not remains to be decided.
    But(Box<Obligation>),
    /// Nothing that is seen at once.
    Nothing,
}

/// A graph in which operations that solvers reason about with labour are variables, and what makes these functions: equal
/// operands give equal results.
fn with_any_functions(graph: &mut Graph, terms: &[Term]) -> Option<Vec<Term>> {
    let mut functions: Vec<(Op, Vec<Term>, Term)> = Vec::new();
    let mut wanted = vec![false; graph.len()];
    graph.reached(terms).into_iter().for_each(|term| wanted[term.0 as usize] = true);
    let became = graph.rebuilt(|graph, term, args| {
        let node = *graph.node(term);
        if !wanted[term.0 as usize] || !any_function(graph, node.op, args) {
            return None;
        }
        let known = functions.iter().find(|(op, others, _)| *op == node.op && others == args);
        let known = known.filter(|(.., result)| graph.sort(*result) == node.sort);
        Some(known.map(|(.., result)| *result).unwrap_or_else(|| {
            let result = graph.variable("any function", node.sort);
            functions.push((node.op, args.to_vec(), result));
            result
        }))
    });
    if functions.len() > FUNCTIONS {
        return None;
    }
    let mut asserted: Vec<Term> = terms.iter().map(|term| became[term.0 as usize]).collect();
    for (number, (op, args, result)) in functions.iter().enumerate() {
        for (other, others, another) in &functions[..number] {
            let sorts = |graph: &Graph, args: &[Term], result: Term| {
                args.iter().chain([&result]).map(|&term| graph.sort(term)).collect::<Vec<Sort>>()
            };
            if op != other || sorts(graph, args, *result) != sorts(graph, others, *another) {
                continue;
            }
            let all_equal = |graph: &mut Graph, pairs: &mut dyn Iterator<Item = (&Term, &Term)>| {
                let equal: Vec<Term> = pairs.map(|(&a, &b)| graph.equal(a, b)).collect();
                graph.all(&equal)
            };
            let mut same = all_equal(graph, &mut args.iter().zip(others));
            if matches!(op, Op::Multiply | Op::FloatAdd | Op::FloatMultiply) {
                let exchanged = all_equal(graph, &mut args.iter().zip(others.iter().rev()));
                same = graph.or(same, exchanged);
            }
            let equal = graph.equal(*result, *another);
            asserted.push(graph.implies(same, equal));
        }
    }
    Some(asserted)
}

/// Whether an operation is taken for any function. A product with a number is a sum.
fn any_function(graph: &Graph, op: Op, args: &[Term]) -> bool {
    match op {
        Op::Multiply => args.iter().all(|&arg| graph.value_of(arg).is_none()),
        Op::DivideUnsigned | Op::DivideSigned => args.iter().any(|&arg| graph.value_of(arg).is_none()),
        Op::FloatAdd
        | Op::FloatSubtract
        | Op::FloatMultiply
        | Op::FloatDivide
        | Op::FloatRoot
        | Op::FloatRound(_)
        | Op::FloatLess
        | Op::FloatEqual
        | Op::FloatConvert
        | Op::FloatFromSigned
        | Op::FloatFromUnsigned
        | Op::FloatToSigned
        | Op::FloatToUnsigned => args.iter().any(|&arg| graph.value_of(arg).is_none()),
        _ => false,
    }
}

/// Whether terms contradict each other whatever functions stand in place of products, quotients and float operations.
fn contradict(graph: &Graph, terms: &[Term], solvers: &mut Solvers, others: &[Solver]) -> bool {
    let mut graph = graph.clone();
    let Some(asserted) = with_any_functions(&mut graph, terms) else { return false };
    match ask(&graph, &asserted, Limit { until: Some(Instant::now() + LIMIT), ..Limit::default() }) {
        Answer::Unsatisfiable => return true,
        Answer::Satisfiable(_) => return false,
        Answer::Unknown => {}
    }
    let script = smt::script(&graph, &asserted, false);
    let mut others = others.iter().filter(|solver| matches!(solver, Solver::Z3 | Solver::Bitwuzla));
    others.any(|&solver| solvers.ask(solver, &script, LIMIT).0 == Verdict::Unsat)
}

/// Whether a mutant is right because its rule is. The rule's own obligation must be proved.
pub fn follows(own: &Obligation, mutant: &Obligation, solvers: &mut Solvers, others: &[Solver]) -> Follows {
    let mut mutant = mutant.clone();
    // Variables of the rule for those of the mutant that are named alike.
    let mut free: Vec<usize> = (0..mutant.graph.variables.len()).collect();
    let mut paired = Vec::new();
    for variable in &own.graph.variables {
        let like = free.iter().position(|&other| {
            let other = &mutant.graph.variables[other];
            (&other.name, other.sort) == (&variable.name, variable.sort)
        });
        paired.push(match like {
            Some(place) => mutant.graph.variables[free.remove(place)].term,
            None => mutant.graph.variable(variable.name.clone(), variable.sort),
        });
    }
    let became = mutant.graph.import(&own.graph, &paired);
    let graph = &mut mutant.graph;
    let conjunction = |graph: &mut Graph, goals: &[Goal]| {
        let terms: Vec<Term> = goals.iter().map(|goal| goal.holds).collect();
        graph.all(&terms)
    };
    let premises: Vec<Term> = own.assumed.iter().map(|term| became[term.0 as usize]).collect();
    let premises = graph.all(&premises);
    let concluded: Vec<Term> = own.goals.iter().map(|goal| became[goal.holds.0 as usize]).collect();
    let concluded = graph.all(&concluded);
    let all = conjunction(graph, &mutant.goals);
    let broken = graph.not(all);
    let inside = [&mutant.assumed[..], &[premises, concluded, broken]].concat();
    if !contradict(graph, &inside, solvers, others) {
        return Follows::Nothing;
    }
    let outside = graph.not(premises);
    mutant.assumed.push(outside);
    if contradict(&mutant.graph, &mutant.assumed, solvers, others) {
        return Follows::All;
    }
    Follows::But(Box::new(mutant))
}

#[cfg(test)]
mod tests {
    use super::super::mutate::mutants;
    use super::super::obligation::{Context, full_name};
    use super::super::search::counterexample;
    use super::*;
    use std::path::Path;

    fn quietly(graph: &Graph, terms: &[Term]) -> bool {
        contradict(graph, terms, &mut Solvers::new(Path::new("")), &[])
    }

    #[test]
    fn equal_operands_give_equal_results() {
        let mut graph = Graph::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| graph.variable(name, Sort::Bits(64)));
        let (product, other) = (graph.binary(Op::Multiply, a, b), graph.binary(Op::Multiply, c, a));
        let (differ, same) = (graph.unequal(product, other), graph.equal(b, c));
        assert!(quietly(&graph, &[differ, same]));
        assert!(!quietly(&graph, &[differ]));
        let (quotient, other) = (graph.binary(Op::DivideUnsigned, a, b), graph.binary(Op::DivideSigned, a, c));
        let differ = graph.unequal(quotient, other);
        assert!(!quietly(&graph, &[differ, same]), "two functions");
        let exchanged = graph.binary(Op::DivideUnsigned, b, a);
        let (differ, same) = (graph.unequal(quotient, exchanged), graph.equal(a, b));
        assert!(quietly(&graph, &[differ, same]));
        assert!(!quietly(&graph, &[differ]));
    }

    /// The words of mutants, and what the rule's theorem says of each.
    fn said(name: &str) -> Vec<(String, Follows)> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
        let spec = crate::load(&directory).unwrap_or_else(|errors| panic!("{errors}"));
        let context = Context::new(&spec);
        let rules = spec.blocks.iter().flat_map(|block| block.rules.iter().map(move |rule| (block, rule)));
        let (block, rule) = rules.into_iter().find(|(block, rule)| full_name(block, rule) == name).expect("the rule");
        let own = context.rule(block, rule).expect("a meaning");
        let mut solvers = Solvers::new(Path::new(""));
        let mut found = Vec::new();
        for mutant in mutants(&context, block, rule) {
            let Ok(obligation) = mutant.obligation(&context, block, rule) else { continue };
            let follows = follows(&own, &obligation, &mut solvers, &[]);
            let refuted = counterexample(&obligation, 500).is_some();
            assert!(!refuted || !matches!(follows, Follows::All), "{}: refuted, but follows", mutant.text);
            if let Follows::But(rest) = &follows {
                let broken = counterexample(rest, 500)
                    .is_none_or(|values| obligation.failing(&values).is_some_and(|failing| !failing.is_empty()));
                assert!(broken, "{}: what breaks the rest breaks the mutant", mutant.text);
            }
            found.push((mutant.text, follows));
        }
        found
    }

    #[test]
    fn what_is_wrong_does_not_follow() {
        let found = said("i32.div_s/multiply");
        let all = found.iter().filter(|(_, follows)| matches!(follows, Follows::All)).count();
        let nothing = found.iter().filter(|(_, follows)| matches!(follows, Follows::Nothing)).count();
        assert!(all > 10 && nothing > 50, "{all} {nothing}");
        for name in ["i32.rem_u/by_quotient", "i32.shl/twice", "addr/masked4_sum", "f32.min/both_orders"] {
            said(name);
        }
    }

    /// A premise that keeps out more follows; one that keeps out less leaves what it lets in.
    #[test]
    fn premises() {
        let found = said("i64.div_u/multiply");
        let of = |text: &str| &found.iter().find(|(own, _)| own == text).expect("the mutant").1;
        assert!(matches!(of("0x2 becomes 0x3"), Follows::All));
        let Follows::But(rest) = of("0x2 becomes 0x1") else { panic!("a divisor of two is left over") };
        let values = |divisor: u128| {
            let variables = rest.graph.variables.iter();
            variables.map(|variable| if variable.name == "c" { divisor } else { 7 }).collect::<Vec<u128>>()
        };
        assert!(rest.failing(&values(2)).is_some_and(|failing| failing.is_empty()));
        assert!([1, 3, 4].into_iter().all(|divisor| rest.failing(&values(divisor)).is_none()));
    }
}
