//! Breakages of what a rule rests on: the operator it stands for, a form's promise, the descriptions of its instructions, the
//! helper functions that its premises and numbers call.
//!
//! That a wrong description makes the rule wrong shows that the proof looks at it.

use super::mutate::{Known, Mutant, Place, changed};
use super::mutate_kinds::Change;
use super::obligation::Context;
use crate::ast::*;
use crate::check::walk;
use std::collections::BTreeSet;

/// A changed copy of a rule, or of something that it rests on.
pub enum Changed {
    Rule(Rule),
    /// The rule's block under another name, or with another promise.
    Block(RuleBlock),
    /// A form that the rule uses, with another promise.
    Form(RuleBlock),
    Op(Op),
    Inst(Inst),
    /// The specification with a changed function, without what obligations do not look up in it.
    Function(Spec),
}

/// How many other operators a rule is tried under.
const OPERATORS: usize = 6;

fn types(op: &Op) -> Vec<&Type> {
    let params = op.params.iter().chain(&op.immediates).map(|param| &param.ty);
    params.chain(&op.results).collect()
}

/// The names that a rule's right side applies, and the functions that its expressions call.
#[derive(Default)]
struct Used {
    applied: BTreeSet<String>,
    called: BTreeSet<String>,
}

impl Used {
    fn expr(&mut self, expr: &Expr) {
        walk(expr, &mut |part| {
            if let ExprKind::Call(name, _) = &part.kind {
                self.called.insert(name.text.clone());
            }
        });
    }

    fn address(&mut self, literal: &AddrLit) {
        literal.parts.iter().for_each(|(part, _)| self.expr(part));
    }

    fn arg(&mut self, arg: &Arg) {
        match arg {
            Arg::Expr(expr) => self.expr(expr),
            Arg::Nested(right) => self.right(right),
            Arg::Addr(literal) => self.address(literal),
            Arg::Mem { address, .. } => self.arg(address),
        }
    }

    fn right(&mut self, right: &Right) {
        match right {
            Right::Var(name) => drop(self.applied.insert(name.text.clone())),
            Right::Apply { name, args, .. } => {
                self.applied.insert(name.text.clone());
                args.iter().for_each(|arg| self.arg(arg));
            }
            Right::Seq { steps, .. } => {
                for step in steps {
                    match step {
                        Step::Let(_, right) | Step::Do(right) => self.right(right),
                        Step::TrapIf { cond, .. } => self.arg(cond),
                        Step::Branch { first, second, .. } => {
                            self.arg(first);
                            second.iter().for_each(|(_, second)| self.arg(second));
                        }
                        Step::Yield(arg, _) => self.arg(arg),
                    }
                }
            }
            Right::Addr(literal) => self.address(literal),
            Right::Mem { address, .. } => self.arg(address),
            Right::Const(expr) => self.expr(expr),
        }
    }
}

/// What expressions over some names are changed with.
fn known<'a>(context: &'a Context, values: Vec<(String, Type)>) -> Known<'a> {
    let traps = Vec::new();
    let (insts, ops, forms) = (&context.insts, &context.ops, &context.forms);
    Known { insts, ops, forms, traps, numbers: Vec::new(), values, simplify: false, computed: true }
}

fn expression(known: &Known, place: Place, variant: usize) -> Option<(Change, String)> {
    match place {
        Place::Expr(expr) => known.expr(expr, variant),
        _ => None,
    }
}

/// A value one greater, a float by its bits.
fn one_more(value: &mut Expr) -> bool {
    let made = |kind, ty: &Type, span| Expr { kind, ty: ty.clone(), span };
    let span = value.span;
    let call = |name: &str, arg, ty: &Type| {
        let name = Name { text: name.into(), span };
        made(ExprKind::Call(name, vec![arg]), ty, span)
    };
    let (bits, float) = match value.ty {
        Type::Bits(_) => (value.ty.clone(), false),
        Type::F32 => (Type::Bits(32), true),
        Type::F64 => (Type::Bits(64), true),
        _ => return false,
    };
    let old = if float { call("bits", value.clone(), &bits) } else { value.clone() };
    let one = made(ExprKind::Int(1), &bits, span);
    let sum = made(ExprKind::Binary(BinaryOp::Add, Box::new(old), Box::new(one)), &bits, span);
    *value = if float { call("float", sum, &value.ty) } else { sum };
    true
}

/// The rule under operators that take and give the same.
fn operators(context: &Context, block: &RuleBlock, found: &mut Vec<Mutant>) {
    let Some(own) = context.ops.get(block.name.text.as_str()) else { return };
    let like = |other: &&&Op| {
        let effects = |op: &Op| op.body.iter().any(|stmt| !matches!(stmt, OpStmt::Let(..) | OpStmt::Result(_)));
        other.name.text != own.name.text && types(other) == types(own) && (effects(own) || !effects(other))
    };
    let mut others: Vec<&&Op> = context.ops.values().filter(like).collect();
    others.sort_by_key(|other| &other.name.text);
    // Not always the first ones of the alphabet.
    let start = others.partition_point(|other| other.name.text < own.name.text);
    for other in others.iter().cycle().skip(start).take(OPERATORS.min(others.len())) {
        let mut block = RuleBlock { rules: Vec::new(), ..block.clone() };
        block.name.text = other.name.text.clone();
        let text = format!("under operator {}", other.name.text);
        found.push(Mutant { change: Change::Operator, text, what: Changed::Block(block) });
    }
}

/// Names of the operators that a pattern matches.
fn matched(pattern: &Pattern, names: &mut BTreeSet<String>) {
    if let Pattern::Op { op, args, .. } = pattern {
        names.insert(op.text.clone());
        args.iter().for_each(|arg| matched(arg, names));
    }
}

/// An operator that means something else.
fn meanings(context: &Context, op: &Op, found: &mut Vec<Mutant>) {
    let params = op.params.iter().chain(&op.immediates);
    let mut values: Vec<(String, Type)> = params.map(|param| (param.name.text.clone(), param.ty.clone())).collect();
    for stmt in &op.body {
        match stmt {
            OpStmt::Let(name, value) => values.push((name.text.clone(), value.ty.clone())),
            OpStmt::Read { name, ty, .. } => values.push((name.text.clone(), ty.clone())),
            _ => {}
        }
    }
    let known = known(context, values);
    let made = changed(
        op,
        |walk, op| {
            for stmt in &mut op.body {
                match stmt {
                    OpStmt::Let(_, value) | OpStmt::Trap(_, value) | OpStmt::Result(value) | OpStmt::Branch(value) => {
                        walk.expr(value)
                    }
                    OpStmt::Read { address, .. } => walk.expr(address),
                    OpStmt::Write { address, value, .. } => {
                        walk.expr(address);
                        walk.expr(value);
                    }
                }
            }
        },
        |place, variant| expression(&known, place, variant),
    );
    for (_, text, op) in made {
        let text = format!("in {} {text}", op.name.text);
        found.push(Mutant { change: Change::Meaning, text, what: Changed::Op(op) });
    }
    for at in 0..op.body.len() {
        let mut op = op.clone();
        let (what, value) = match &mut op.body[at] {
            OpStmt::Result(value) => ("the result", value),
            OpStmt::Write { value, .. } => ("what is written", value),
            _ => continue,
        };
        if one_more(value) {
            let text = format!("in {} {what} is one more", op.name.text);
            found.push(Mutant { change: Change::Meaning, text, what: Changed::Op(op) });
        }
    }
}

/// A form with other promises.
fn promises(context: &Context, form: &RuleBlock) -> Vec<(String, RuleBlock)> {
    let Some(ensures) = &form.ensures else { return Vec::new() };
    let params = form.params.iter().chain(&form.immediates);
    let known = known(context, params.map(|param| (param.name.text.clone(), param.ty.clone())).collect());
    let mut made: Vec<(String, Expr)> =
        changed(ensures, |walk, expr| walk.expr(expr), |place, variant| expression(&known, place, variant))
            .into_iter()
            .map(|(_, text, ensures)| (text, ensures))
            .collect();
    let mut ensures = ensures.clone();
    if let ExprKind::Binary(BinaryOp::Eq, _, value) = &mut ensures.kind
        && one_more(value)
    {
        made.push(("the value is one more".into(), ensures));
    }
    let block = |ensures| RuleBlock { rules: Vec::new(), ensures: Some(ensures), ..form.clone() };
    made.into_iter()
        .map(|(text, ensures)| (format!("in the promise of {} {text}", form.name.text), block(ensures)))
        .collect()
}

/// An instruction that does something else.
fn descriptions(context: &Context, inst: &Inst, found: &mut Vec<Mutant>) {
    let operands = inst.operands.iter();
    let mut values: Vec<(String, Type)> =
        operands.map(|operand| (operand.name.text.clone(), super::machine::type_of(operand.kind))).collect();
    for stmt in &inst.body {
        if let InstStmt::Let(name, value) = stmt {
            values.push((name.text.clone(), value.ty.clone()));
        }
    }
    // An output has no value that could be read.
    values.retain(|(name, _)| {
        !inst.operands.iter().any(|operand| operand.name.text == *name && matches!(operand.mode, Mode::Out | Mode::EarlyOut))
    });
    let known = known(context, values);
    let made = changed(
        inst,
        |walk, inst| {
            for stmt in &mut inst.body {
                if let InstStmt::Let(_, value) | InstStmt::Assign(_, value) | InstStmt::Flags(value) = stmt {
                    walk.expr(value);
                }
            }
        },
        |place, variant| expression(&known, place, variant),
    );
    for (_, text, inst) in made {
        let text = format!("in {} {text}", inst.name.text);
        found.push(Mutant { change: Change::Description, text, what: Changed::Inst(inst) });
    }
    for at in 0..inst.body.len() {
        let mut inst = inst.clone();
        let InstStmt::Assign(to, value) = &mut inst.body[at] else { continue };
        let to = to.text.clone();
        if one_more(value) {
            let text = format!("in {} {to} is one more", inst.name.text);
            found.push(Mutant { change: Change::Description, text, what: Changed::Inst(inst) });
        }
    }
    // Flags that stay as they were.
    if let Some(at) = inst.body.iter().position(|stmt| matches!(stmt, InstStmt::Flags(_))) {
        let mut inst = inst.clone();
        inst.body.remove(at);
        let text = format!("{} leaves the flags alone", inst.name.text);
        found.push(Mutant { change: Change::Description, text, what: Changed::Inst(inst) });
    }
}

/// A helper function that gives something else.
fn functions(context: &Context, function: &Function, found: &mut Vec<Mutant>) {
    let params = function.params.iter();
    let known = known(context, params.map(|param| (param.name.text.clone(), param.ty.clone())).collect());
    let made = changed(&function.body, |walk, expr| walk.expr(expr), |place, variant| expression(&known, place, variant));
    for (_, text, body) in made {
        // What obligations look up: functions, and what numbers are made of.
        let mut spec = Spec {
            functions: context.spec.functions.clone(),
            constants: context.spec.constants.clone(),
            roles: context.spec.roles.clone(),
            layouts: context.spec.layouts.clone(),
            gates: context.spec.gates.clone(),
            traps: context.spec.traps.clone(),
            conventions: context.spec.conventions.clone(),
            ..Spec::default()
        };
        if let Some(own) = spec.functions.iter_mut().find(|own| own.name.text == function.name.text) {
            own.body = body;
        }
        let text = format!("in {} {text}", function.name.text);
        found.push(Mutant { change: Change::Function, text, what: Changed::Function(spec) });
    }
}

/// All changes of what a rule rests on.
pub fn described(context: &Context, block: &RuleBlock, rule: &Rule) -> Vec<Mutant> {
    let mut found = Vec::new();
    operators(context, block, &mut found);
    for (text, block) in promises(context, block) {
        found.push(Mutant { change: Change::Promise, text, what: Changed::Block(block) });
    }
    let mut ops = BTreeSet::from([block.name.text.clone()]);
    rule.patterns.iter().for_each(|pattern| matched(pattern, &mut ops));
    ops.iter().filter_map(|name| context.ops.get(name.as_str())).for_each(|op| meanings(context, op, &mut found));
    let mut used = Used::default();
    rule.conditions.iter().for_each(|condition| used.expr(condition));
    used.right(&rule.right);
    let insts = used.applied.iter().filter_map(|name| context.insts.get(name.as_str()));
    insts.for_each(|inst| descriptions(context, inst, &mut found));
    for form in used.called.iter().chain(&used.applied).filter_map(|name| context.forms.get(name.as_str())) {
        for (text, form) in promises(context, form) {
            found.push(Mutant { change: Change::Promise, text, what: Changed::Form(form) });
        }
    }
    // Functions may call others, which stand before them or behind.
    loop {
        let functions = || context.spec.functions.iter();
        let before = used.called.len();
        let inner: Vec<&Function> = functions().filter(|function| used.called.contains(&function.name.text)).collect();
        inner.into_iter().for_each(|function| used.expr(&function.body));
        if used.called.len() == before {
            break;
        }
    }
    for function in &context.spec.functions {
        if used.called.contains(&function.name.text) {
            functions(context, function, &mut found);
        }
    }
    found
}
