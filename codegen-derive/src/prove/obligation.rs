//! What must hold of each rule.
//!
//! - `lower`: for all operands, under the pattern and the `if` premises, the right side gives a result that the operator
//!   allows, an i32 zero-extended; traps exactly when the operator does, with the same code; makes the same accesses in the
//!   same order. Instructions get operands they are described for, and do not fault.
//! - `form`: the right side keeps the form's promise and makes the access that it folds.
//! - `simplify`: the operators built give only results that the one replaced allows, with the same traps and accesses.
//! - `applicable`: the premises can hold.
//! - `reachable`: they can hold where no earlier rule of the block applies.
//! - `commutative`: an operator marked so gives the same for its operands exchanged, so that a rule and its twin are one.
//! - `fact`, `case`, `sharp`, `effect`: of the sandbox checker's tables (`fact`).

use super::effect::{Effects, Goal};
use super::left::{Bound, Builder, Place, Shown, Step};
use super::machine::Given;
use super::meaning::{Condition, Meaning, Meant, Nans, Scope, Value, width};
use super::term::{Graph, Op as Operation, Sort, Term};
use crate::ast::*;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Lower,
    Form,
    Simplify,
    Applicable,
    Reachable,
    Commutative,
    Fact,
    Case,
    Sharp,
    Effect,
}

impl Kind {
    pub const ALL: [Kind; 10] = [
        Kind::Lower,
        Kind::Form,
        Kind::Simplify,
        Kind::Applicable,
        Kind::Reachable,
        Kind::Commutative,
        Kind::Fact,
        Kind::Case,
        Kind::Sharp,
        Kind::Effect,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Lower => "lower",
            Kind::Form => "form",
            Kind::Simplify => "simplify",
            Kind::Applicable => "applicable",
            Kind::Reachable => "reachable",
            Kind::Commutative => "commutative",
            Kind::Fact => "fact",
            Kind::Case => "case",
            Kind::Sharp => "sharp",
            Kind::Effect => "effect",
        }
    }

    /// Whether the solver must find an example, instead of finding that there is no counterexample.
    pub fn wants_example(self) -> bool {
        matches!(self, Kind::Applicable | Kind::Reachable | Kind::Case | Kind::Sharp)
    }
}

/// A statement to be proved.
#[derive(Clone)]
pub struct Obligation {
    pub kind: Kind,
    /// `i32.add/add_const`; an operator's name for `commutative`.
    pub name: String,
    pub span: Span,
    pub graph: Graph,
    pub assumed: Vec<Term>,
    pub goals: Vec<Goal>,
    pub inputs: Vec<Shown>,
    pub steps: Vec<Step>,
    /// What comes out, and what the operator says should, where that is one value.
    pub actual: Vec<Shown>,
    pub wanted: Vec<Shown>,
    /// Trap numbers: wanted, actual.
    pub codes: Option<(Term, Term)>,
    /// Counts of leading zeros, and of what.
    pub counted: Vec<(Term, Term)>,
}

/// A specification's items by name.
pub struct Context<'a> {
    pub spec: &'a Spec,
    pub ops: HashMap<&'a str, &'a Op>,
    pub insts: HashMap<&'a str, &'a Inst>,
    pub forms: HashMap<&'a str, &'a RuleBlock>,
}

impl Obligation {
    /// Where an assumption says that a number extends its lower bits, makes that its definition: products by the number and
    /// by its extension are then one term, which solvers would have to find out by multiplying.
    fn narrow(&mut self) {
        for place in 0..self.assumed.len() {
            let Some((whole, low)) = self.graph.extends_itself(self.assumed[place]) else { continue };
            let name = match self.graph.node(whole).op {
                Operation::Var(number) => self.graph.variables[number as usize].name.clone(),
                _ => continue,
            };
            let part = self.graph.variable(format!("lower bits of {name}"), Sort::Bits(low));
            let width = self.graph.width(whole);
            let by = self.graph.extend(Operation::SignExtend, part, width);
            let became = self.graph.substitute(whole, by);
            let rename = |term: &mut Term| *term = became[term.0 as usize];
            self.assumed.iter_mut().for_each(rename);
            self.goals.iter_mut().for_each(|goal| rename(&mut goal.holds));
            let steps = self.steps.iter_mut().flat_map(|step| step.gives.iter_mut());
            let shown = self.inputs.iter_mut().chain(&mut self.actual).chain(&mut self.wanted).chain(steps);
            shown.for_each(|shown| rename(&mut shown.term));
            self.steps.iter_mut().for_each(|step| rename(&mut step.live));
            self.counted.iter_mut().for_each(|(count, of)| {
                rename(count);
                rename(of);
            });
            if let Some((wanted, actual)) = &mut self.codes {
                rename(wanted);
                rename(actual);
            }
        }
    }

    /// The goals that fail for values of the variables; none if an assumption fails.
    pub fn failing(&self, values: &[u128]) -> Option<Vec<&Goal>> {
        let computed = self.graph.evaluate(values);
        let holds = |term: Term| computed[term.0 as usize] != 0;
        if !self.assumed.iter().all(|&term| holds(term)) {
            return None;
        }
        Some(self.goals.iter().filter(|goal| !holds(goal.holds)).collect())
    }
}

/// A rule's full name.
pub fn full_name(block: &RuleBlock, rule: &Rule) -> String {
    format!("{}/{}", block.name.text, rule.name.text)
}

impl<'a> Context<'a> {
    pub fn new(spec: &'a Spec) -> Context<'a> {
        let forms = spec.blocks.iter().filter(|block| block.kind == BlockKind::Form);
        Context {
            spec,
            ops: spec.ops.iter().map(|op| (op.name.text.as_str(), op)).collect(),
            insts: spec.insts.iter().map(|inst| (inst.name.text.as_str(), inst)).collect(),
            forms: forms.map(|block| (block.name.text.as_str(), block)).collect(),
        }
    }

    fn builder(&'a self, place: Place) -> Builder<'a> {
        let mut meaning = Meaning::new(self.spec);
        let effects = Effects::new(&mut meaning.graph);
        let flags = meaning.any_flags();
        Builder {
            meaning,
            spec: self.spec,
            ops: &self.ops,
            insts: &self.insts,
            forms: &self.forms,
            names: HashMap::new(),
            effects,
            flags,
            assumed: Vec::new(),
            inputs: Vec::new(),
            steps: Vec::new(),
            roles: HashMap::new(),
            place,
        }
    }

    /// The obligation that a rule is right.
    pub fn rule(&'a self, block: &'a RuleBlock, rule: &Rule) -> Meant<Obligation> {
        match block.kind {
            BlockKind::Lower => self.lower(block, rule),
            BlockKind::Form => self.form(block, rule),
            BlockKind::Simplify => self.simplify(block, rule),
        }
    }

    /// All obligations of a block's rule, the rule's own first.
    pub fn all(&'a self, block: &'a RuleBlock, number: usize) -> Vec<Result<Obligation, (Kind, String)>> {
        let rule = &block.rules[number];
        let kind = match block.kind {
            BlockKind::Lower => Kind::Lower,
            BlockKind::Form => Kind::Form,
            BlockKind::Simplify => Kind::Simplify,
        };
        vec![
            self.rule(block, rule).map_err(|why| (kind, why)),
            self.applicable(block, rule, Kind::Applicable, &[]).map_err(|why| (Kind::Applicable, why)),
            self.applicable(block, rule, Kind::Reachable, &block.rules[..number]).map_err(|why| (Kind::Reachable, why)),
        ]
    }

    /// Matches a rule's left side and takes its premises as given; gives the operands of its operator or form.
    fn left(&self, builder: &mut Builder<'a>, block: &RuleBlock, rule: &Rule) -> Meant<(Vec<Term>, Vec<Term>)> {
        builder.meaning.nans = Nans::Wasm;
        let (params, immediates) = match block.kind {
            BlockKind::Form => (&block.params, &block.immediates),
            _ => {
                let op = builder.op(&block.name.text)?;
                (&op.params, &op.immediates)
            }
        };
        let patterns = rule.patterns.iter().zip(params);
        let args = patterns.map(|(pattern, param)| builder.pattern(pattern, &param.ty)).collect::<Meant<Vec<_>>>()?;
        let immediates = builder.immediates(&rule.immediates, immediates);
        let numbers = builder.numbers();
        for condition in &rule.conditions {
            let holds = builder.meaning.term(condition, &numbers)?;
            builder.assumed.push(holds);
        }
        Ok((args, immediates))
    }

    fn lower(&'a self, block: &RuleBlock, rule: &Rule) -> Meant<Obligation> {
        let mut builder = self.builder(Place::Expected { folded: false });
        let (args, immediates) = self.left(&mut builder, block, rule)?;
        let op = builder.op(&block.name.text)?;
        builder.place = Place::Expected { folded: false };
        let (scope, result) = builder.run(op, &args, &immediates)?;
        builder.meaning.nans = Nans::Machine;
        let sort = match op.results.as_slice() {
            [one] => one.clone(),
            many => Type::Tuple(many.to_vec()),
        };
        let given = builder.right(&rule.right, &sort)?;
        builder.meaning.nans = Nans::Wasm;
        let (mut actual, mut wanted) = (Vec::new(), Vec::new());
        match given {
            Given::Registers(registers) => {
                let parts: Vec<&Expr> = match result {
                    None => Vec::new(),
                    Some(Expr { kind: ExprKind::Tuple(parts), .. }) => parts.iter().collect(),
                    Some(one) => vec![one],
                };
                if registers.len() < parts.len() {
                    return Err("a result is missing".into());
                }
                for (part, (register, _)) in parts.into_iter().zip(registers) {
                    let low = builder.graph().low(register, width(&part.ty));
                    if part.ty == Type::Bits(32) {
                        let upper = builder.graph().extract(register, 63, 32);
                        let zero = builder.graph().bits(0, 32);
                        let extended = builder.graph().equal(upper, zero);
                        builder.goal("the upper half of the result's register is zero", extended);
                    }
                    let allowed = builder.meaning.allows(part, &scope, low)?;
                    builder.goal("the result", allowed);
                    actual.push(Shown { name: "result".into(), ty: part.ty.clone(), term: low });
                    // Of several NaNs allowed the one that x86 makes is shown.
                    builder.meaning.nans = Nans::Machine;
                    let value = builder.meaning.term(part, &scope)?;
                    builder.meaning.nans = Nans::Wasm;
                    wanted.push(Shown { name: "result".into(), ty: part.ty.clone(), term: value });
                }
            }
            Given::Condition(condition) => {
                let flags = builder.flags;
                let taken = builder.meaning.holds(&condition, &flags)?;
                let expected = result.ok_or("nothing says when this operator branches")?;
                let expected = builder.meaning.term(expected, &scope)?;
                let same = builder.graph().equal(taken, expected);
                builder.goal("the branch is taken exactly when the operator takes it", same);
                actual.push(Shown { name: "branch taken".into(), ty: Type::Bool, term: taken });
                wanted.push(Shown { name: "branch taken".into(), ty: Type::Bool, term: expected });
            }
            _ => return Err("this gives no result".into()),
        }
        builder.effects.finish(&mut builder.meaning.graph);
        Ok(finish(builder, Kind::Lower, block, rule, actual, wanted))
    }

    fn form(&'a self, block: &RuleBlock, rule: &Rule) -> Meant<Obligation> {
        let mut builder = self.builder(Place::Expected { folded: true });
        let (args, immediates) = self.left(&mut builder, block, rule)?;
        builder.meaning.nans = Nans::Machine;
        let given = builder.right(&rule.right, &block.result)?;
        let params = block.params.iter().chain(&block.immediates).zip(args.into_iter().chain(immediates));
        let mut scope: Scope = params.map(|(param, term)| (param.name.text.clone(), Value::Term(term))).collect();
        let flags = builder.flags;
        let actual = match given {
            Given::Address(term) => {
                scope.insert("ea".into(), Value::Term(term));
                Shown { name: "ea".into(), ty: Type::Bits(64), term }
            }
            Given::Operand(term) => {
                scope.insert("value".into(), Value::Term(term));
                let ty = match (&block.result, width(&block.result)) {
                    (Type::XmmMem(_), 32) => Type::F32,
                    (Type::XmmMem(_), _) => Type::F64,
                    (_, width) => Type::Bits(width),
                };
                Shown { name: "value".into(), ty, term }
            }
            Given::Condition(condition) => {
                let term = builder.meaning.holds(&condition, &flags)?;
                let name = match condition {
                    Condition::Code(code) => format!("condition cc.{code}:"),
                    Condition::Holds(_) => "the condition:".into(),
                };
                scope.insert("cc".into(), Value::Condition(Condition::Holds(term)));
                scope.insert("flags".into(), Value::Flags(flags));
                Shown { name, ty: Type::Bool, term }
            }
            Given::Registers(registers) => {
                let (register, _) = registers.first().cloned().ok_or("a form that gives nothing")?;
                let term = builder.graph().low(register, width(&block.result));
                if block.result == Type::Bits(32) {
                    let upper = builder.graph().extract(register, 63, 32);
                    let zero = builder.graph().bits(0, 32);
                    let extended = builder.graph().equal(upper, zero);
                    builder.goal("the upper half of the register is zero", extended);
                }
                scope.insert("value".into(), Value::Term(term));
                Shown { name: "value".into(), ty: block.result.clone(), term }
            }
        };
        let ensures = block.ensures.as_ref().ok_or("a form without a promise")?;
        let kept = builder.meaning.term(ensures, &scope)?;
        builder.goal("the form's promise", kept);
        let mut wanted = Vec::new();
        if let ExprKind::Binary(BinaryOp::Eq, _, right) = &ensures.kind {
            let term = builder.meaning.term(right, &scope)?;
            wanted.push(Shown { name: actual.name.clone(), ty: right.ty.clone(), term });
        }
        builder.effects.finish(&mut builder.meaning.graph);
        Ok(finish(builder, Kind::Form, block, rule, vec![actual], wanted))
    }

    fn simplify(&'a self, block: &RuleBlock, rule: &Rule) -> Meant<Obligation> {
        let mut builder = self.builder(Place::Before);
        let (args, immediates) = self.left(&mut builder, block, rule)?;
        let op = builder.op(&block.name.text)?;
        builder.place = Place::Expected { folded: false };
        let (scope, result) = builder.run(op, &args, &immediates)?;
        builder.place = Place::Done;
        let built = self.built(&mut builder, &rule.right)?;
        let (mut actual, mut wanted) = (Vec::new(), Vec::new());
        if let Some(result) = result {
            let built = built.ok_or("the right side gives nothing")?;
            let allowed = builder.meaning.allows(result, &scope, built)?;
            builder.goal("the result", allowed);
            actual.push(Shown { name: "result".into(), ty: result.ty.clone(), term: built });
            builder.meaning.nans = Nans::Machine;
            let value = builder.meaning.term(result, &scope)?;
            wanted.push(Shown { name: "result".into(), ty: result.ty.clone(), term: value });
        }
        builder.effects.finish(&mut builder.meaning.graph);
        Ok(finish(builder, Kind::Simplify, block, rule, actual, wanted))
    }

    /// The value of a right side of operators.
    fn built(&self, builder: &mut Builder<'a>, right: &Right) -> Meant<Option<Term>> {
        match right {
            Right::Var(name) => match builder.names.get(&name.text) {
                Some(Bound::Value { term, .. }) => Ok(Some(*term)),
                _ => Err(format!("`{}` is no value", name.text)),
            },
            Right::Const(value) => {
                let numbers = builder.numbers();
                Ok(Some(builder.meaning.term(value, &numbers)?))
            }
            Right::Apply { name, args, .. } => {
                let op = builder.op(&name.text)?;
                let mut terms = Vec::new();
                for (number, arg) in args.iter().enumerate() {
                    terms.push(match arg {
                        Arg::Nested(right) => {
                            self.built(builder, right)?.ok_or_else(|| "an operand that gives nothing".to_string())?
                        }
                        Arg::Expr(expr) if number >= op.params.len() => {
                            let numbers = builder.numbers();
                            builder.meaning.term(expr, &numbers)?
                        }
                        Arg::Expr(Expr { kind: ExprKind::Var(name), .. }) => match builder.names.get(name) {
                            Some(Bound::Value { term, .. }) => *term,
                            _ => return Err(format!("`{name}` is no value")),
                        },
                        _ => return Err("operators take values".into()),
                    });
                }
                let immediates = terms.split_off(op.params.len().min(terms.len()));
                let live = builder.effects.live();
                let (scope, result) = builder.run(op, &terms, &immediates)?;
                let term = result.map(|result| builder.meaning.term(result, &scope)).transpose()?;
                let gives = term.zip(op.results.first());
                let gives = gives.map(|(term, ty)| Shown { name: "result".into(), ty: ty.clone(), term });
                builder.steps.push(Step { text: name.text.clone(), gives: gives.into_iter().collect(), live });
                Ok(term)
            }
            _ => Err("a simplify rule builds operators".into()),
        }
    }

    /// That a rule's premises can hold where none of `earlier` rules applies.
    pub fn applicable(&'a self, block: &RuleBlock, rule: &Rule, kind: Kind, earlier: &[Rule]) -> Meant<Obligation> {
        let mut builder = self.builder(Place::Before);
        let (args, immediates) = self.left(&mut builder, block, rule)?;
        let numbers = builder.numbers();
        for preference in &rule.preferences {
            let holds = builder.meaning.term(preference, &numbers)?;
            builder.assumed.push(holds);
        }
        let commutative = self.ops.get(block.name.text.as_str()).is_some_and(|op| op.commutative);
        for earlier in earlier {
            if !earlier.features.iter().all(|name| rule.features.iter().any(|other| other.text == name.text)) {
                continue;
            }
            for order in 0..1 + usize::from(commutative && args.len() == 2) {
                let mut patterns: Vec<&Pattern> = rule.patterns.iter().collect();
                let mut values = args.clone();
                if order == 1 {
                    patterns.reverse();
                    values.reverse();
                }
                let mut scope = Scope::new();
                let covered =
                    self.covers(&mut builder, earlier, &patterns, &values, &rule.immediates, &immediates, &mut scope)?;
                let Some(mut applies) = covered else { continue };
                for condition in earlier.conditions.iter().chain(&earlier.preferences) {
                    let holds = builder.meaning.term(condition, &scope)?;
                    applies = builder.graph().and(applies, holds);
                }
                let passed = builder.graph().not(applies);
                builder.assumed.push(passed);
            }
        }
        Ok(finish(builder, kind, block, rule, Vec::new(), Vec::new()))
    }

    /// Under what condition an earlier rule's patterns match all that these match; none if not by their shape.
    fn covers(
        &self,
        builder: &mut Builder<'a>,
        earlier: &Rule,
        patterns: &[&Pattern],
        values: &[Term],
        immediates: &[ImmPattern],
        numbers: &[Term],
        scope: &mut Scope,
    ) -> Meant<Option<Term>> {
        let mut condition = builder.graph().bool(true);
        for ((general, special), &value) in earlier.patterns.iter().zip(patterns).zip(values) {
            match self.covers_one(builder, general, special, value, scope)? {
                Some(holds) => condition = builder.graph().and(condition, holds),
                None => return Ok(None),
            }
        }
        let holds = self.covers_numbers(builder, &earlier.immediates, immediates, numbers, scope);
        Ok(Some(builder.graph().and(condition, holds)))
    }

    fn covers_numbers(
        &self,
        builder: &mut Builder<'a>,
        general: &[ImmPattern],
        special: &[ImmPattern],
        numbers: &[Term],
        scope: &mut Scope,
    ) -> Term {
        let mut condition = builder.graph().bool(true);
        for ((general, _), &number) in general.iter().zip(special).zip(numbers) {
            match general {
                ImmPattern::Var(name) => {
                    scope.insert(name.text.clone(), Value::Term(number));
                }
                ImmPattern::Any(_) => {}
                ImmPattern::Literal(literal, _) => {
                    let wide = builder.graph().width(number);
                    let literal = builder.graph().bits(*literal as u128, wide);
                    let same = builder.graph().equal(number, literal);
                    condition = builder.graph().and(condition, same);
                }
            }
        }
        condition
    }

    /// One operand. A constant inside a matched operator has no term of its own here, so only its shape is compared.
    fn covers_one(
        &self,
        builder: &mut Builder<'a>,
        general: &Pattern,
        special: &Pattern,
        value: Term,
        scope: &mut Scope,
    ) -> Meant<Option<Term>> {
        let yes = builder.graph().bool(true);
        Ok(match (general, special) {
            (Pattern::Var(_) | Pattern::Any(_), _) => Some(yes),
            (Pattern::Const(name), Pattern::Const(_) | Pattern::Literal(..)) => {
                scope.insert(name.text.clone(), Value::Term(value));
                Some(yes)
            }
            (Pattern::Literal(literal, _), Pattern::Const(_) | Pattern::Literal(..)) => {
                let wide = builder.graph().width(value);
                let literal = builder.graph().bits(*literal as u128, wide);
                Some(builder.graph().equal(value, literal))
            }
            (
                Pattern::Op { op: a, once: once_a, args: general, immediates: general_imm, .. },
                Pattern::Op { op: b, once: once_b, args: special, immediates: special_imm, .. },
            ) if a.text == b.text && (!once_a || *once_b) => {
                let mut condition = yes;
                for (general, special) in general.iter().zip(special) {
                    let inner = match special {
                        Pattern::Const(name) => match builder.names.get(&name.text) {
                            Some(Bound::Number(term)) => *term,
                            _ => return Ok(None),
                        },
                        Pattern::Literal(literal, _) => {
                            let ty = builder.op(&a.text)?.params.first().map_or(64, |param| width(&param.ty));
                            builder.graph().bits(*literal as u128, ty)
                        }
                        _ => value,
                    };
                    match self.covers_one(builder, general, special, inner, scope)? {
                        Some(holds) => condition = builder.graph().and(condition, holds),
                        None => return Ok(None),
                    }
                }
                let mut numbers = Vec::new();
                for pattern in special_imm {
                    match pattern {
                        ImmPattern::Var(name) => match builder.names.get(&name.text) {
                            Some(Bound::Number(term)) => numbers.push(*term),
                            _ => return Ok(None),
                        },
                        _ => return Ok(None),
                    }
                }
                let holds = self.covers_numbers(builder, general_imm, special_imm, &numbers, scope);
                Some(builder.graph().and(condition, holds))
            }
            _ => None,
        })
    }

    /// That an operator marked commutative is so.
    pub fn commutative(&'a self, op: &'a Op) -> Meant<Obligation> {
        let mut builder = self.builder(Place::Expected { folded: false });
        builder.meaning.nans = Nans::Wasm;
        let args: Vec<Term> = op.params.iter().map(|param| builder.input(&param.name.text, &param.ty)).collect();
        let immediates: Vec<Term> = op.immediates.iter().map(|param| builder.input(&param.name.text, &param.ty)).collect();
        let (scope, result) = builder.run(op, &args, &immediates)?;
        builder.place = Place::Done;
        let exchanged: Vec<Term> = args.iter().rev().copied().collect();
        let (other, _) = builder.run(op, &exchanged, &immediates)?;
        let result = result.ok_or("it gives nothing")?;
        let value = builder.input("result", &result.ty);
        let (here, there) = (builder.meaning.allows(result, &scope, value)?, builder.meaning.allows(result, &other, value)?);
        let same = builder.graph().equal(here, there);
        builder.goal("what is a result is one for the operands exchanged", same);
        builder.effects.finish(&mut builder.meaning.graph);
        Ok(Obligation {
            kind: Kind::Commutative,
            name: op.name.text.clone(),
            span: op.name.span,
            assumed: builder.meaning.assumed,
            goals: builder.effects.goals,
            inputs: builder.inputs,
            steps: Vec::new(),
            actual: Vec::new(),
            wanted: Vec::new(),
            codes: None,
            counted: Vec::new(),
            graph: builder.meaning.graph,
        })
    }
}

fn finish(
    builder: Builder,
    kind: Kind,
    block: &RuleBlock,
    rule: &Rule,
    actual: Vec<Shown>,
    wanted: Vec<Shown>,
) -> Obligation {
    let codes = Some(builder.effects.codes());
    let mut assumed = builder.assumed;
    assumed.extend(builder.meaning.assumed);
    let counted = builder.meaning.counted;
    let mut obligation = Obligation {
        kind,
        name: full_name(block, rule),
        span: rule.name.span,
        graph: builder.meaning.graph,
        assumed,
        goals: builder.effects.goals,
        inputs: builder.inputs,
        steps: builder.steps,
        actual,
        wanted,
        codes,
        counted,
    };
    obligation.narrow();
    obligation
}
