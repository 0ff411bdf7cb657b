//! What must hold of the sandbox checker's tables (`spec/sandbox.rules` §9 and §10).
//!
//! - `fact`: a fact's bound bounds every value that it is true of; what a row gives is true whenever what it needs is: the fact
//!   of the result, the claim of the same value, the region of every byte accessed.
//! - `case`: what a row needs can hold.
//! - `sharp`: with a premise or an equality of the row dropped or weakened, or its result strengthened, what the row gives can be
//!   false. So no premise is idle, and the obligations are not true of everything.
//! - `effect`: what the checker takes an instruction to do, which the generator reads off its description, is what the
//!   description says: the value of a result of 32 or 64 bits, the flags of a comparison, the conditions that branches test.

use super::effect::Goal;
use super::left::Shown;
use super::lock::Lock;
use super::meaning::{Condition, Meaning, Meant, Scope, Value, width};
use super::obligation::{Context, Kind, Obligation};
use super::term::{Op, Sort, Term};
use crate::ast::*;
use crate::emit::{Effect, FlagsEffect, effects};

/// An obligation, or why there is none.
pub type Made = Result<Obligation, (Kind, String, Span, String)>;

/// What is changed in a mutant of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    /// Premise dropped, or weakened.
    Drop(usize),
    Weaken(usize),
    /// Number of the result made smaller by 1.
    Tighten(usize),
    /// `=x` or a literal in a pattern, taken for any number.
    Free(usize, usize),
}

struct Prover<'a> {
    spec: &'a Spec,
    meaning: Meaning<'a>,
    scope: Scope,
    assumed: Vec<Term>,
    goals: Vec<Goal>,
    inputs: Vec<Shown>,
}

fn expr(kind: ExprKind, like: &Expr) -> Expr {
    Expr { kind, ty: like.ty.clone(), span: like.span }
}

fn plus(a: &Expr, number: i128) -> Expr {
    let one = expr(ExprKind::Int(number), a);
    expr(ExprKind::Binary(BinaryOp::Add, Box::new(a.clone()), Box::new(one)), a)
}

/// A premise that holds of more, if it is a comparison.
fn weaker(condition: &Expr) -> Option<Expr> {
    match &condition.kind {
        ExprKind::Call(name, args) if matches!(name.text.as_str(), "lt_u" | "le_u") => {
            let args = vec![args[0].clone(), plus(&args[1], 1)];
            Some(expr(ExprKind::Call(name.clone(), args), condition))
        }
        ExprKind::Call(name, args) if name.text == "fits" => {
            let args = vec![args[0].clone(), args[1].clone(), plus(&args[2], 1)];
            Some(expr(ExprKind::Call(name.clone(), args), condition))
        }
        ExprKind::Binary(BinaryOp::Eq, a, b)
            if matches!(&b.kind, ExprKind::Int(_)) || matches!(&b.kind, ExprKind::Var(name) if name.contains('.')) =>
        {
            let moved = Box::new(plus(b, 1));
            Some(expr(ExprKind::Binary(BinaryOp::Eq, a.clone(), moved), condition))
        }
        _ => None,
    }
}

impl<'a> Prover<'a> {
    fn new(spec: &'a Spec) -> Prover<'a> {
        let (scope, assumed, goals, inputs) = (Scope::new(), Vec::new(), Vec::new(), Vec::new());
        Prover { spec, meaning: Meaning::new(spec), scope, assumed, goals, inputs }
    }

    fn input(&mut self, name: &str, ty: &Type) -> Term {
        let term = self.meaning.graph.variable(name, Sort::Bits(width(ty)));
        self.inputs.push(Shown { name: name.into(), ty: ty.clone(), term });
        term
    }

    fn goal(&mut self, what: &str, holds: Term) {
        self.goals.push(Goal { what: what.into(), holds });
    }

    fn fact(&self, name: &str) -> Meant<&'a Fact> {
        self.spec.facts.iter().find(|fact| fact.name.text == name).ok_or(format!("no fact `{name}`"))
    }

    /// That a fact is true of a value.
    fn means(&mut self, fact: &Fact, numbers: &[Term], value: Term) -> Meant<Term> {
        let params = fact.params.iter().map(|param| param.name.text.clone());
        let mut scope: Scope = params.zip(numbers.iter().map(|&number| Value::Term(number))).collect();
        scope.insert("value".into(), Value::Term(value));
        self.meaning.term(&fact.means, &scope)
    }

    /// The bound of a fact's values.
    fn most(&mut self, fact: &Fact, numbers: &[Term]) -> Meant<Term> {
        let params = fact.params.iter().map(|param| param.name.text.clone());
        let scope: Scope = params.zip(numbers.iter().map(|&number| Value::Term(number))).collect();
        match &fact.most {
            Some(most) => self.meaning.term(most, &scope),
            None => Ok(self.meaning.graph.bits(u64::MAX.into(), 64)),
        }
    }

    fn at_most(&mut self, value: Term, bound: Term) -> Term {
        let over = self.meaning.graph.compare(Op::LessUnsigned, bound, value);
        self.meaning.graph.not(over)
    }

    fn numbers(&mut self, fact: &Fact, prefix: &str) -> Vec<Term> {
        fact.params.iter().map(|param| self.input(&format!("{prefix}{}", param.name.text), &param.ty)).collect()
    }

    /// What a pattern says of a value, its names bound; `special` is the fact that a named `bounded` pattern stands for.
    fn pattern(
        &mut self,
        number: usize,
        pattern: &FactPattern,
        value: Term,
        special: Option<(&Fact, &[Term])>,
        change: Change,
    ) -> Meant<Term> {
        match pattern {
            FactPattern::Any(_) => Ok(self.meaning.graph.bool(true)),
            FactPattern::Bounded { bound, .. } => {
                if let Some((fact, numbers)) = special {
                    let most = self.most(fact, numbers)?;
                    self.scope.insert(bound.text.clone(), Value::Term(most));
                    return self.means(fact, numbers, value);
                }
                let most = self.input(&bound.text, &Type::Bits(64));
                self.scope.insert(bound.text.clone(), Value::Term(most));
                Ok(self.at_most(value, most))
            }
            FactPattern::Fact { name, args, .. } => {
                let fact = self.fact(&name.text)?;
                let mut numbers = Vec::new();
                for (at, (arg, param)) in args.iter().zip(&fact.params).enumerate() {
                    let free = change == Change::Free(number, at);
                    numbers.push(match arg {
                        FactArg::Same(name) if !free => match self.scope.get(&name.text) {
                            Some(Value::Term(term)) => *term,
                            _ => return Err(format!("`{}` has no value", name.text)),
                        },
                        FactArg::Literal(value, _) if !free => self.meaning.graph.bits(*value as u128, width(&param.ty)),
                        FactArg::Var(name) => {
                            let term = self.input(&name.text, &param.ty);
                            self.scope.insert(name.text.clone(), Value::Term(term));
                            term
                        }
                        _ => self.input(&format!("some {}", param.name.text), &param.ty),
                    });
                }
                self.means(fact, &numbers, value)
            }
        }
    }

    fn result(&mut self, args: &[Expr], change: Change) -> Meant<Vec<Term>> {
        let mut numbers = Vec::new();
        for (at, arg) in args.iter().enumerate() {
            let arg = if change == Change::Tighten(at) { plus(arg, -1) } else { arg.clone() };
            numbers.push(self.meaning.term(&arg, &self.scope.clone())?);
        }
        Ok(numbers)
    }

    /// That an access of some bytes at an address lies in a region.
    fn inside(&mut self, extent: &Extent, numbers: &[Term], address: Term, bytes: Term) -> Meant<Term> {
        let params = extent.params.iter().map(|param| param.name.text.clone());
        let scope: Scope = params.zip(numbers.iter().map(|&number| Value::Term(number))).collect();
        let (start, size) = (self.meaning.term(&extent.start, &scope)?, self.meaning.term(&extent.size, &scope)?);
        let graph = &mut self.meaning.graph;
        let (from, room) = (graph.binary(Op::Subtract, address, start), graph.binary(Op::Subtract, size, bytes));
        let (small, placed) = (self.at_most(bytes, size), self.at_most(from, room));
        Ok(self.meaning.graph.and(small, placed))
    }

    fn finish(mut self, kind: Kind, name: String, span: Span) -> Meant<Obligation> {
        self.meaning.close()?;
        let mut assumed = self.assumed;
        assumed.append(&mut self.meaning.assumed);
        Ok(Obligation {
            kind,
            name,
            span,
            graph: self.meaning.graph,
            assumed,
            goals: self.goals,
            inputs: self.inputs,
            steps: Vec::new(),
            actual: Vec::new(),
            wanted: Vec::new(),
            codes: None,
            counted: Vec::new(),
        })
    }
}

/// The fact's bound, or that the bound less 1 is none.
fn bound(spec: &Spec, fact: &Fact, sharp: bool) -> Meant<Obligation> {
    let mut prover = Prover::new(spec);
    let numbers = prover.numbers(fact, "");
    let value = prover.input("value", &Type::Bits(64));
    let means = prover.means(fact, &numbers, value)?;
    prover.assumed.push(means);
    let mut most = prover.most(fact, &numbers)?;
    if sharp {
        let one = prover.meaning.graph.bits(1, 64);
        most = prover.meaning.graph.binary(Op::Subtract, most, one);
    }
    let bounded = prover.at_most(value, most);
    if sharp {
        let breaks = prover.meaning.graph.not(bounded);
        prover.assumed.push(breaks);
        return prover.finish(Kind::Sharp, format!("{}/bound", fact.name.text), fact.name.span);
    }
    prover.goal("the bound", bounded);
    prover.finish(Kind::Fact, format!("{}/bound", fact.name.text), fact.name.span)
}

/// One statement about a row: for a join about one of the facts, for a named pattern about one fact that fits it.
struct About<'a> {
    row: &'a Row,
    name: String,
    side: usize,
    special: Option<&'a Fact>,
}

impl About<'_> {
    fn make(&self, spec: &Spec, judgement: &Judgement, kind: Kind, change: Change, name: String) -> Meant<Obligation> {
        let row = self.row;
        let mut prover = Prover::new(spec);
        // What the table is about: a value for each operand, or one value.
        let one = matches!(judgement.judged, Judged::Imply | Judged::Join);
        let mut values = Vec::new();
        for name in &judgement.values {
            values.push(match values.first() {
                Some(&value) if one => value,
                _ => prover.input(if one { "value" } else { &name.text }, &Type::Bits(64)),
            });
        }
        for number in &judgement.numbers {
            let term = prover.input(&number.name.text, &number.ty);
            prover.scope.insert(number.name.text.clone(), Value::Term(term));
        }
        let of_special = self.special.map(|fact| (fact, prover.numbers(fact, "its ")));
        let mut fits = Vec::new();
        for (number, (pattern, &value)) in row.patterns.iter().zip(&values).enumerate() {
            let special = match pattern {
                FactPattern::Bounded { alias: Some(_), .. } => {
                    of_special.as_ref().map(|(fact, numbers)| (*fact, numbers.as_slice()))
                }
                _ => None,
            };
            fits.push(prover.pattern(number, pattern, value, special, change)?);
        }
        for (number, condition) in row.conditions.iter().enumerate() {
            let condition = match change {
                Change::Drop(dropped) if dropped == number => continue,
                Change::Weaken(weakened) if weakened == number => weaker(condition).unwrap_or_else(|| condition.clone()),
                _ => condition.clone(),
            };
            let holds = prover.meaning.term(&condition, &prover.scope.clone())?;
            prover.assumed.push(holds);
        }
        if kind == Kind::Case {
            for preference in &row.preferences {
                let holds = prover.meaning.term(preference, &prover.scope.clone())?;
                prover.assumed.push(holds);
            }
        }
        // The subject is over values, which rows do not see.
        let mut subject = prover.scope.clone();
        subject.extend(judgement.values.iter().zip(&values).map(|(name, &value)| (name.text.clone(), Value::Term(value))));
        let goal = match (&judgement.judged, &row.result) {
            (Judged::Imply, _) => {
                prover.assumed.push(fits[0]);
                fits[1]
            }
            (judged, Some((name, args))) => {
                let known: Vec<Term> = match judged {
                    Judged::Join => vec![fits[self.side]],
                    _ => fits,
                };
                prover.assumed.extend(known);
                if let Judged::Access(address, bytes) = judged {
                    let extent = spec.extents.iter().find(|extent| extent.name.text == name.text);
                    let extent = extent.ok_or(format!("no region `{}`", name.text))?;
                    let (address, bytes) = (prover.meaning.term(address, &subject)?, prover.meaning.term(bytes, &subject)?);
                    let numbers = prover.result(args, change)?;
                    prover.inside(extent, &numbers, address, bytes)?
                } else {
                    let value = match judged {
                        Judged::Derive(value) => prover.meaning.term(value, &subject)?,
                        Judged::Refine(condition) => {
                            let given = prover.meaning.term(condition, &subject)?;
                            prover.assumed.push(given);
                            values[0]
                        }
                        _ => values[0],
                    };
                    match &of_special {
                        Some((fact, numbers))
                            if args.is_empty() && spec.facts.iter().all(|fact| fact.name.text != name.text) =>
                        {
                            prover.means(fact, numbers, value)?
                        }
                        _ => {
                            let fact = prover.fact(&name.text)?;
                            let numbers = prover.result(args, change)?;
                            prover.means(fact, &numbers, value)?
                        }
                    }
                }
            }
            (_, None) => return Err("a row without a result".into()),
        };
        match kind {
            Kind::Fact => prover.goal("what the row gives", goal),
            Kind::Sharp => {
                let breaks = prover.meaning.graph.not(goal);
                prover.assumed.push(breaks);
            }
            _ => {}
        }
        prover.finish(kind, name, row.span)
    }

    /// The ways to break the row.
    fn changes(&self, spec: &Spec, judgement: &Judgement) -> Vec<(Change, String)> {
        let row = self.row;
        let mut changes = Vec::new();
        for (number, condition) in row.conditions.iter().enumerate() {
            changes.push((Change::Drop(number), format!("premise {} dropped", number + 1)));
            if weaker(condition).is_some() {
                changes.push((Change::Weaken(number), format!("premise {} weakened", number + 1)));
            }
        }
        for (number, pattern) in row.patterns.iter().enumerate() {
            let FactPattern::Fact { args, .. } = pattern else { continue };
            for (at, arg) in args.iter().enumerate() {
                // In a join a number is of interest where its own fact holds.
                let idle = matches!(judgement.judged, Judged::Join) && number != self.side;
                if matches!(arg, FactArg::Same(_) | FactArg::Literal(..)) && !idle {
                    changes.push((Change::Free(number, at), format!("number {} of pattern {} free", at + 1, number + 1)));
                }
            }
        }
        if let Some((name, args)) = &row.result {
            let fact = spec.facts.iter().find(|fact| fact.name.text == name.text);
            let params = fact.map_or(&[][..], |fact| &fact.params);
            for (at, (_, param)) in args.iter().zip(params).enumerate() {
                if param.ty == Type::Bits(64) {
                    changes.push((Change::Tighten(at), format!("number {} of the result less 1", at + 1)));
                }
            }
        }
        changes
    }
}

fn pattern_name(pattern: &FactPattern) -> &str {
    match pattern {
        FactPattern::Any(_) => "any",
        FactPattern::Bounded { .. } => "bounded",
        FactPattern::Fact { name, .. } => &name.text,
    }
}

/// Names of a table's rows: the kinds of facts, with a number where that is not enough.
pub fn row_names(judgement: &Judgement) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in &judgement.rows {
        let kinds: Vec<&str> = row.patterns.iter().map(pattern_name).collect();
        let result = row.result.as_ref().map_or("", |(name, _)| name.text.as_str());
        let kinds = if kinds.is_empty() { result.to_string() } else { kinds.join(",") };
        let plain = format!("{}/{kinds}", judgement.name.text);
        let taken = names.iter().filter(|name| **name == plain || name.starts_with(&format!("{plain}."))).count();
        names.push(if taken == 0 { plain } else { format!("{plain}.{}", taken + 1) });
    }
    names
}

/// All statements about the rows of a table.
fn rows(spec: &Spec, judgement: &Judgement, made: &mut Vec<Made>) {
    for (row, name) in judgement.rows.iter().zip(row_names(judgement)) {
        let named = row.patterns.iter().any(|pattern| matches!(pattern, FactPattern::Bounded { alias: Some(_), .. }));
        let specials: Vec<Option<&Fact>> = if named { spec.facts.iter().map(Some).collect() } else { vec![None] };
        let sides = if matches!(judgement.judged, Judged::Join) { 2 } else { 1 };
        for (side, special) in (0..sides).flat_map(|side| specials.iter().map(move |special| (side, *special))) {
            let mut name = name.clone();
            if let Some(fact) = special {
                name = format!("{name}:{}", fact.name.text);
            }
            if sides > 1 {
                name = format!("{name}:{}", ["first", "second"][side]);
            }
            let about = About { row, name, side, special };
            let mut push = |kind, change, name: String| {
                let one = about.make(spec, judgement, kind, change, name.clone());
                made.push(one.map_err(|why| (kind, name, row.span, why)));
            };
            push(Kind::Fact, Change::None, about.name.clone());
            // A fact without a small bound never fits a row that wants one.
            if special.is_none() {
                push(Kind::Case, Change::None, about.name.clone());
                for (change, text) in about.changes(spec, judgement) {
                    push(Kind::Sharp, change, format!("{}:{}", about.name, text.replace(' ', "_")));
                }
            }
        }
    }
    if judgement.commutative
        && let Judged::Derive(value) = &judgement.judged
        && let [a, b] = judgement.values.as_slice()
    {
        let exchanged = || {
            let mut prover = Prover::new(spec);
            let terms = [prover.input(&a.text, &Type::Bits(64)), prover.input(&b.text, &Type::Bits(64))];
            let scope = |x: usize| -> Scope {
                [(a.text.clone(), Value::Term(terms[x])), (b.text.clone(), Value::Term(terms[1 - x]))].into()
            };
            let (here, there) = (prover.meaning.term(value, &scope(0))?, prover.meaning.term(value, &scope(1))?);
            let same = prover.meaning.graph.equal(here, there);
            prover.goal("the value with the operands exchanged", same);
            prover.finish(Kind::Commutative, judgement.name.text.clone(), judgement.name.span)
        };
        made.push(exchanged().map_err(|why| (Kind::Commutative, judgement.name.text.clone(), judgement.name.span, why)));
    }
}

/// An instruction's operands as the checker sees them, zero-extended to 64 bits, in encoded order; and their widths.
fn operands(prover: &mut Prover, inst: &Inst) -> Vec<Term> {
    let first = inst.encoded.first().and_then(|encoded| match encoded {
        EncodedOperand::Operand(name) => inst.operands.iter().find(|operand| operand.name.text == name.text),
        EncodedOperand::Literal(..) => None,
    });
    let narrow = matches!(
        first.map(|operand| operand.kind),
        Some(OperandKind::Reg(32) | OperandKind::RegMem(32) | OperandKind::Mem(32))
    );
    for operand in &inst.operands {
        let name = &operand.name.text;
        let value = match operand.kind {
            OperandKind::Cc => {
                let truth = prover.meaning.graph.variable(name.clone(), Sort::Bool);
                Value::Condition(Condition::Holds(truth))
            }
            kind => Value::Term(prover.input(name, &crate::check::operand_type(kind))),
        };
        prover.scope.insert(name.clone(), value);
    }
    let flags = prover.meaning.any_flags();
    prover.scope.insert("flags".into(), Value::Flags(flags));
    let mut seen = Vec::new();
    for encoded in &inst.encoded {
        let EncodedOperand::Operand(name) = encoded else {
            seen.push(prover.meaning.graph.bits(0, 64));
            continue;
        };
        let operand = inst.operands.iter().find(|operand| operand.name.text == name.text);
        let term = match (operand.map(|operand| operand.kind), prover.scope.get(&name.text)) {
            (Some(kind), Some(Value::Term(term))) => {
                let term = *term;
                let graph = &mut prover.meaning.graph;
                if graph.width(term) > 64 {
                    graph.low(term, 64)
                } else if matches!(kind, OperandKind::SImm(_)) {
                    let wide = graph.extend(Op::SignExtend, term, 64);
                    let low = graph.low(wide, if narrow { 32 } else { 64 });
                    graph.extend(Op::ZeroExtend, low, 64)
                } else {
                    graph.extend(Op::ZeroExtend, term, 64)
                }
            }
            _ => prover.meaning.graph.bits(0, 64),
        };
        seen.push(term);
    }
    seen
}

/// That an instruction does what the checker takes it to do; none if the checker takes it to do anything.
fn effect(spec: &Spec, inst: &Inst) -> Option<Meant<Obligation>> {
    let (effect, flags) = effects(inst)?;
    let mut prover = Prover::new(spec);
    let seen = operands(&mut prover, inst);
    let at = |n: u8| seen.get(usize::from(n)).copied();
    let mut make = || -> Meant<bool> {
        let mut told = false;
        for stmt in &inst.body {
            match stmt {
                InstStmt::Let(name, value) => {
                    let value = prover.meaning.value(value, &prover.scope.clone())?;
                    prover.scope.insert(name.text.clone(), value);
                }
                InstStmt::Flags(value) => {
                    let FlagsEffect::Compare(a, b) = flags else { continue };
                    let (Some(a), Some(b)) = (at(a), at(b)) else { continue };
                    let compared =
                        inst.operands.first().map_or(64, |operand| width(&crate::check::operand_type(operand.kind)));
                    let Value::Flags(set) = prover.meaning.value(value, &prover.scope.clone())? else { continue };
                    let (a, b) = (prover.meaning.graph.low(a, compared), prover.meaning.graph.low(b, compared));
                    let wanted = prover.meaning.flags("flags_sub", a, b);
                    let pairs = [(set.carry, wanted.carry), (set.zero, wanted.zero)];
                    let same = pairs.map(|(a, b)| prover.meaning.graph.equal(a, b));
                    let same = prover.meaning.graph.all(&same);
                    prover.goal("the flags of the comparison", same);
                    told = true;
                }
                InstStmt::Assign(to, value) => {
                    let first = matches!(inst.encoded.first(), Some(EncodedOperand::Operand(name)) if name.text == to.text);
                    let wide = width(&value.ty);
                    if !first || wide < 32 || wide > 64 || matches!(effect, Effect::Nothing | Effect::Unknown) {
                        continue;
                    }
                    let result = prover.meaning.term(value, &prover.scope.clone())?;
                    let graph = &mut prover.meaning.graph;
                    let pair = |a: u8, b: u8| at(a).zip(at(b)).ok_or("an operand is missing");
                    let one = |a: u8| at(a).ok_or("an operand is missing");
                    let taken = match effect {
                        Effect::Nothing | Effect::Unknown => continue,
                        Effect::Zero => graph.bits(0, 64),
                        Effect::Copy(a) => one(a)?,
                        // The checker makes something of 64 bits of this only for entries of jump tables.
                        Effect::SignExtend(a) => {
                            let Some(EncodedOperand::Operand(name)) = inst.encoded.get(usize::from(a)) else { continue };
                            let Some(Value::Term(term)) = prover.scope.get(&name.text) else { continue };
                            graph.extend(Op::SignExtend, *term, wide)
                        }
                        Effect::Address => one(1)?,
                        Effect::Add(a, b) => pair(a, b).map(|(a, b)| graph.binary(Op::Add, a, b))?,
                        Effect::And(a, b) => pair(a, b).map(|(a, b)| graph.binary(Op::BitAnd, a, b))?,
                        Effect::Or(a, b) => pair(a, b).map(|(a, b)| graph.binary(Op::BitOr, a, b))?,
                        Effect::Xor(a, b) => pair(a, b).map(|(a, b)| graph.binary(Op::BitXor, a, b))?,
                        Effect::ShiftLeft(a, b) | Effect::ShiftRight(a, b) => {
                            let (a, b) = pair(a, b)?;
                            let most = graph.bits(u128::from(wide) - 1, 64);
                            let count = graph.binary(Op::BitAnd, b, most);
                            let left = matches!(effect, Effect::ShiftLeft(..));
                            graph.binary(if left { Op::ShiftLeft } else { Op::ShiftRight }, a, count)
                        }
                        Effect::Select(a, b) => {
                            let (a, b) = pair(a, b)?;
                            let truth = match prover.scope.get("cc") {
                                Some(Value::Condition(Condition::Holds(truth))) => *truth,
                                _ => return Err("a selection without a condition".into()),
                            };
                            prover.meaning.graph.select(truth, a, b)
                        }
                    };
                    let taken = prover.meaning.graph.low(taken, wide);
                    let same = prover.meaning.graph.equal(result, taken);
                    prover.goal("the value of the result", same);
                    told = true;
                }
                _ => {}
            }
        }
        Ok(told)
    };
    match make() {
        Ok(true) => Some(prover.finish(Kind::Effect, inst.name.text.clone(), inst.name.span)),
        Ok(false) => None,
        Err(why) => Some(Err(why)),
    }
}

/// That a branch on a condition tests what a table is `given`.
fn condition(spec: &Spec, code: &str, op: Op, or_equal: bool, wide: u16) -> Meant<Obligation> {
    let mut prover = Prover::new(spec);
    let (a, b) = (prover.input("a", &Type::Bits(wide)), prover.input("b", &Type::Bits(wide)));
    let flags = prover.meaning.flags("flags_sub", a, b);
    let tested = prover.meaning.holds(&Condition::Code(code.into()), &flags)?;
    // Zero-extended, as the checker has them.
    let (a, b) = (prover.meaning.graph.extend(Op::ZeroExtend, a, 64), prover.meaning.graph.extend(Op::ZeroExtend, b, 64));
    let given = match (op, or_equal) {
        (Op::Equal, _) => prover.meaning.graph.equal(a, b),
        (_, true) => prover.at_most(a, b),
        _ => prover.meaning.graph.compare(Op::LessUnsigned, a, b),
    };
    let same = prover.meaning.graph.equal(tested, given);
    prover.goal("the condition tested", same);
    prover.finish(Kind::Effect, format!("cc.{code}/{wide}"), Span::default())
}

/// The checker's facts, the rows of its tables and the instructions it knows effects of, with their state.
pub fn list(context: &Context, lock: &Lock) -> String {
    let mut lines: Vec<(String, Span, usize, usize, Vec<String>)> = Vec::new();
    let (mut all, mut lone) = (0, 0);
    for made in context.sandbox() {
        let (kind, full, span, proof) = match &made {
            Ok(obligation) => (obligation.kind, &obligation.name, obligation.span, lock.proof(obligation)),
            Err((kind, name, span, _)) => (*kind, name, *span, None),
        };
        all += 1;
        // What is said of one row under one name.
        let name = full.split(':').next().unwrap_or(full).to_string();
        if lines.last().is_none_or(|(last, ..)| *last != name) {
            lines.push((name, span, 0, 0, Vec::new()));
        }
        let Some((.., proved, mutants, missing)) = lines.last_mut() else { continue };
        match proof {
            None => missing.push(format!("{} {full}", kind.name())),
            Some(entry) => {
                lone += usize::from(entry.by.len() < 2);
                *(if kind == Kind::Sharp { mutants } else { proved }) += 1;
            }
        }
    }
    let mut out = String::new();
    let mut done = 0;
    for (name, span, proved, mutants, missing) in &lines {
        let place = if *span == Span::default() { String::new() } else { super::explain::place(context.spec, *span) };
        let state = if missing.is_empty() { "proved".to_string() } else { format!("NOT PROVED: {}", missing.join(", ")) };
        done += proved + mutants;
        out.push_str(&format!("{name:36} {place:34} {state:8} {proved} obligations, {mutants} mutants refuted\n"));
    }
    out.push_str(&format!("\n{done} of {all} obligations of the sandbox checker proved, {lone} of them by one solver\n"));
    out
}

impl<'a> Context<'a> {
    /// All obligations of the checker's tables and of what it takes instructions to do.
    pub fn sandbox(&self) -> Vec<Made> {
        let spec = self.spec;
        let mut made = Vec::new();
        for fact in &spec.facts {
            let name = || format!("{}/bound", fact.name.text);
            if fact.most.is_some() {
                made.push(bound(spec, fact, false).map_err(|why| (Kind::Fact, name(), fact.span, why)));
                made.push(bound(spec, fact, true).map_err(|why| (Kind::Sharp, name(), fact.span, why)));
            }
        }
        for judgement in &spec.judgements {
            rows(spec, judgement, &mut made);
        }
        for inst in &spec.insts {
            let made_of =
                effect(spec, inst).map(|one| one.map_err(|why| (Kind::Effect, inst.name.text.clone(), inst.name.span, why)));
            made.extend(made_of);
        }
        if !spec.judgements.is_empty() {
            for wide in [32, 64] {
                for (code, op, or_equal) in
                    [("b", Op::LessUnsigned, false), ("be", Op::LessUnsigned, true), ("e", Op::Equal, false)]
                {
                    let name = format!("cc.{code}/{wide}");
                    made.push(
                        condition(spec, code, op, or_equal, wide).map_err(|why| (Kind::Effect, name, Span::default(), why)),
                    );
                }
            }
        }
        made
    }
}
