//! Inputs that show what is said of a rule: that it can apply, what applies in its place, what no rule takes.
//!
//! Found by the solver of the project's own, so they need no other; what it does not find is not shown.

use super::blast::{Answer, ask};
use super::explain::{place, shown, source};
use super::gates::Limit;
use super::obligation::{Context, Kind, Obligation, full_name};
use super::term::Term;
use crate::ast::*;

/// Enough for premises, which are small.
const LIMIT: Limit = Limit { conflicts: 20_000, until: None };

/// Operands in the rule's own names.
fn inputs(obligation: &Obligation, values: &[u128]) -> String {
    let computed = obligation.graph.evaluate(values);
    let named = obligation.inputs.iter().filter(|input| input.name != "_");
    let texts: Vec<String> =
        named.map(|input| format!("{} = {}", input.name, shown(computed[input.term.0 as usize], &input.ty))).collect();
    if texts.is_empty() { "any operands".into() } else { texts.join(", ") }
}

/// Values for which an obligation's assumptions hold.
fn example(obligation: &Obligation, and: &[Term]) -> Answer {
    let asserted = [&obligation.assumed[..], and].concat();
    ask(&obligation.graph, &asserted, LIMIT)
}

fn shown_example(obligation: &Obligation) -> Option<String> {
    match example(obligation, &[]) {
        Answer::Satisfiable(values) => Some(inputs(obligation, &values)),
        _ => None,
    }
}

/// Operands for which a rule is the first of its block to apply.
pub fn applies(context: &Context, block: &RuleBlock, number: usize) -> Option<String> {
    let rule = &block.rules[number];
    shown_example(&context.applicable(block, rule, Kind::Reachable, &block.rules[..number]).ok()?)
}

/// Why a rule never applies though its premises can hold: which rules do in its place, and for what operands.
pub fn shadowed(context: &Context, block: &RuleBlock, number: usize) -> String {
    let (rule, earlier) = (&block.rules[number], &block.rules[..number]);
    let alone = |other: &&Rule| {
        let made = context.applicable(block, rule, Kind::Reachable, std::slice::from_ref(*other));
        made.is_ok_and(|made| example(&made, &[]) == Answer::Unsatisfiable)
    };
    let named = |rule: &Rule| format!("{} ({})", full_name(block, rule), place(context.spec, rule.name.span));
    let whose = match earlier.iter().find(alone) {
        Some(other) => format!("wherever it could, {} applies before it", named(other)),
        None => "wherever it could, one of the rules before it applies".into(),
    };
    let example = context.applicable(block, rule, Kind::Applicable, &[]).ok().and_then(|made| shown_example(&made));
    example.map_or(whose.clone(), |example| format!("{whose}, for example if {example}"))
}

/// Why a rule's premises cannot hold: those without which the others could, and for what operands.
pub fn contradiction(context: &Context, block: &RuleBlock, number: usize) -> String {
    let rule = &block.rules[number];
    let premises = rule.conditions.iter().chain(&rule.preferences);
    let mut lines = vec!["its premises cannot hold together".to_string()];
    for premise in premises {
        let mut without = rule.clone();
        without.conditions.retain(|other| other.span != premise.span);
        without.preferences.retain(|other| other.span != premise.span);
        let example = context.applicable(block, &without, Kind::Applicable, &[]).ok().and_then(|made| shown_example(&made));
        if let Some(example) = example {
            lines.push(format!("without `{}` they could: {example}", source(context.spec, premise.span)));
        }
    }
    lines.join("\n  ")
}

/// A premise with operands that it keeps from a rule; `without` is the rule without the premise.
pub fn excluded(context: &Context, block: &RuleBlock, rule: &Rule, without: &Rule) -> Option<String> {
    let dropped =
        rule.conditions.iter().find(|premise| without.conditions.iter().all(|other| other.span != premise.span))?;
    let mut outside = without.clone();
    let negated = ExprKind::Unary(UnaryOp::Not, Box::new(dropped.clone()));
    outside.conditions.push(Expr { kind: negated, ..dropped.clone() });
    let premise = source(context.spec, dropped.span);
    let example = context.applicable(block, &outside, Kind::Applicable, &[]).ok().and_then(|made| shown_example(&made));
    Some(match example {
        Some(example) => format!("`{premise}` keeps out {example}"),
        None => format!("`{premise}` keeps out nothing"),
    })
}

/// Operands that no rule of a block takes, if its last rule is bound to conditions.
pub fn untaken(context: &Context, block: &RuleBlock) -> Option<String> {
    let last = block.rules.last()?;
    let nobody = Rule { conditions: Vec::new(), preferences: Vec::new(), features: Vec::new(), ..last.clone() };
    shown_example(&context.applicable(block, &nobody, Kind::Reachable, &block.rules).ok()?)
}
