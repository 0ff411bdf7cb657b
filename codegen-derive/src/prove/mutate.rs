//! Breakages of a rule, to see that its proof notices them.
//!
//! Takes a checked rule and gives copies that differ from it in one place, each with the kind of change and words for it. A
//! copy need not be a rule that the checker would let pass, only one that has a meaning. What a rule rests on (its operator, a
//! form's promise, descriptions of instructions, helper functions) is changed in `mutate_described`. The kinds are in `mutate_kinds`.

use super::mutate_described::{Changed, described};
use super::mutate_kinds::Change;
use super::obligation::{Context, Obligation};
use crate::ast::*;
use std::collections::{HashMap, HashSet};

/// Kinds of change that a rule has no mutants of, and whether there is a place for them nevertheless: what is changed there then
/// says the same as the rule or another mutant, or has no meaning.
pub fn without_room(
    context: &Context,
    block: &RuleBlock,
    rule: &Rule,
    listed: impl Fn(Change) -> bool,
) -> Vec<(Change, bool)> {
    let made: HashSet<Change> = mutants(context, block, rule).iter().map(|mutant| mutant.change).collect();
    Change::ALL.into_iter().filter(|&change| !listed(change)).map(|change| (change, made.contains(&change))).collect()
}

/// Raised when the changes made are others.
pub const MUTATOR: &str = "vwasm mutants 4\n";

pub struct Mutant {
    pub change: Change,
    pub text: String,
    pub what: Changed,
}

/// A place where a rule can be changed.
pub(super) enum Place<'r> {
    Expr(&'r mut Expr),
    Apply(&'r mut Name, &'r mut Vec<Arg>),
    Address(&'r mut AddrLit),
    Width(&'r mut u16),
    Steps(&'r mut Vec<Step>),
    Code(&'r mut Name),
    Premises(&'r mut Vec<Expr>),
    Literal(&'r mut i128),
    Matched(&'r mut Name),
    Pattern(&'r mut Pattern),
    Right(&'r mut Right),
}

/// Calls `visit` with every place of a rule, always in the same order, until it says that it is done.
pub(super) struct Walk<'v> {
    pub visit: &'v mut dyn FnMut(Place) -> bool,
    pub done: bool,
}

impl Walk<'_> {
    fn place(&mut self, place: Place) {
        if !self.done {
            self.done = (self.visit)(place);
        }
    }

    fn rule(&mut self, rule: &mut Rule) {
        rule.patterns.iter_mut().for_each(|pattern| self.pattern(pattern));
        rule.immediates.iter_mut().for_each(|pattern| self.immediate(pattern));
        self.place(Place::Premises(&mut rule.conditions));
        rule.conditions.iter_mut().for_each(|condition| self.expr(condition));
        self.place(Place::Right(&mut rule.right));
        self.right(&mut rule.right);
    }

    fn immediate(&mut self, pattern: &mut ImmPattern) {
        if let ImmPattern::Literal(value, _) = pattern {
            self.place(Place::Literal(value));
        }
    }

    fn pattern(&mut self, pattern: &mut Pattern) {
        self.place(Place::Pattern(pattern));
        match pattern {
            Pattern::Literal(value, _) => self.place(Place::Literal(value)),
            Pattern::Op { op, args, immediates, .. } => {
                self.place(Place::Matched(op));
                args.iter_mut().for_each(|arg| self.pattern(arg));
                immediates.iter_mut().for_each(|pattern| self.immediate(pattern));
            }
            _ => {}
        }
    }

    pub fn expr(&mut self, expr: &mut Expr) {
        self.place(Place::Expr(expr));
        match &mut expr.kind {
            ExprKind::Int(_) | ExprKind::Bool(_) | ExprKind::Var(_) => {}
            ExprKind::Unary(_, a) | ExprKind::Slice(a, ..) => self.expr(a),
            ExprKind::Binary(_, a, b) | ExprKind::Let(_, a, b) => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::If(a, b, c) => {
                self.expr(a);
                self.expr(b);
                self.expr(c);
            }
            ExprKind::Call(_, args) | ExprKind::Tuple(args) => args.iter_mut().for_each(|arg| self.expr(arg)),
        }
    }

    fn address(&mut self, literal: &mut AddrLit) {
        self.place(Place::Address(literal));
        literal.parts.iter_mut().for_each(|(part, _)| self.expr(part));
    }

    fn arg(&mut self, arg: &mut Arg) {
        match arg {
            Arg::Expr(expr) => self.expr(expr),
            Arg::Nested(right) => self.right(right),
            Arg::Addr(literal) => self.address(literal),
            Arg::Mem { width, address, .. } => {
                self.place(Place::Width(width));
                self.arg(address);
            }
        }
    }

    fn right(&mut self, right: &mut Right) {
        match right {
            Right::Var(name) => self.place(Place::Apply(name, &mut Vec::new())),
            Right::Apply { name, args, .. } => {
                self.place(Place::Apply(name, args));
                args.iter_mut().for_each(|arg| self.arg(arg));
            }
            Right::Seq { steps, .. } => {
                self.place(Place::Steps(steps));
                for step in steps {
                    match step {
                        Step::Let(_, right) | Step::Do(right) => self.right(right),
                        Step::TrapIf { code, cond, .. } => {
                            self.place(Place::Code(code));
                            self.arg(cond);
                        }
                        Step::Branch { first, second, .. } => {
                            self.arg(first);
                            if let Some((_, second)) = second {
                                self.arg(second);
                            }
                        }
                        Step::Yield(arg, _) => self.arg(arg),
                    }
                }
            }
            Right::Addr(literal) => self.address(literal),
            Right::Mem { width, address, .. } => {
                self.place(Place::Width(width));
                self.arg(address);
            }
            Right::Const(expr) => self.expr(expr),
        }
    }
}

/// What changes are looked up in.
pub(super) struct Known<'a> {
    pub insts: &'a HashMap<&'a str, &'a Inst>,
    pub ops: &'a HashMap<&'a str, &'a Op>,
    pub forms: &'a HashMap<&'a str, &'a RuleBlock>,
    pub traps: Vec<&'a str>,
    /// Names of the rule: numbers known when it is applied, and values with their types.
    pub numbers: Vec<String>,
    pub values: Vec<(String, Type)>,
    pub simplify: bool,
    /// Whether expressions are computed, not views of registers.
    pub computed: bool,
}

fn int(value: i128, ty: &Type, span: Span) -> Expr {
    Expr { kind: ExprKind::Int(value), ty: ty.clone(), span }
}

/// The twin of a name in which one part stands for another: signed and unsigned, wide and narrow.
fn twins<'n>(name: &str, pairs: &[(&str, &str)], known: impl Fn(&str) -> Option<&'n str>) -> Vec<&'n str> {
    let mut found: Vec<&str> = Vec::new();
    for (a, b) in pairs {
        for (from, to) in [(a, b), (b, a)] {
            if name.contains(from)
                && let Some(twin) = known(&name.replacen(from, to, 1))
                && !found.contains(&twin)
                && twin != name
            {
                found.push(twin);
            }
        }
    }
    found
}

const SIGNS: &[(&str, &str)] =
    &[("sar", "shr"), ("movsx", "movzx"), ("idiv", "div"), ("imul", "mul"), ("_sx", "_zx"), ("_s", "_u"), ("sext", "zext")];
/// Functions of the language that differ in the sign they give their operands, and others that are alike.
const SIGNED: &[&[&str]] = &[
    &["lt_s", "lt_u"],
    &["le_s", "le_u"],
    &["gt_s", "gt_u"],
    &["ge_s", "ge_u"],
    &["shr_s", "shr_u"],
    &["div_s", "div_u"],
    &["rem_s", "rem_u"],
    &["mul_hi_s", "mul_hi_u"],
    &["convert_s_f32", "convert_u_f32"],
    &["convert_s_f64", "convert_u_f64"],
];
const ALIKE: &[&[&str]] = &[
    &["shl", "rotl"],
    &["rotr", "rotl"],
    &["clz", "ctz", "popcnt"],
    &["fadd", "fsub", "fmul", "fdiv"],
    &["fceil", "ffloor", "ftrunc", "fnearest", "fsqrt"],
    &["sse_min", "sse_max"],
    &["flags_add", "flags_sub", "flags_logic"],
    &["flt", "fle", "fgt", "fge"],
];
const WIDTHS: &[(&str, &str)] = &[("32", "64"), ("8", "16"), ("ss", "sd"), ("16", "32")];

impl<'a> Known<'a> {
    /// Changes a place in the `variant`th way; none if there are not so many.
    fn change(&self, place: Place, mut variant: usize) -> Option<(Change, String)> {
        let mut take = |count: usize| {
            let mine = variant < count;
            if !mine {
                variant -= count;
            }
            mine.then_some(variant)
        };
        match place {
            Place::Literal(value) => {
                let other = [*value + 1, *value - 1, *value ^ 2].into_iter().nth(take(3)?)?;
                let text = format!("{value} becomes {other} on the left side");
                *value = other;
                Some((Change::Constant, text))
            }
            Place::Width(width) => {
                let others: Vec<u16> = [8, 16, 32, 64].into_iter().filter(|other| other != width).collect();
                let other = others[take(others.len())?];
                let text = format!("mem{width} becomes mem{other}");
                *width = other;
                Some((Change::Width, text))
            }
            Place::Pattern(pattern) => {
                let (text, span) = match pattern {
                    Pattern::Literal(value, span) => (format!("{value} may be any number"), *span),
                    Pattern::Same(name) => (format!("={} may be any value", name.text), name.span),
                    _ => return None,
                };
                take(1)?;
                *pattern = Pattern::Any(span);
                Some((Change::Anything, text))
            }
            Place::Right(right) => {
                let Right::Apply { name, args, .. } = &*right else { return None };
                let operand = |arg: &Arg| match arg {
                    Arg::Expr(Expr { kind: ExprKind::Var(operand), span, .. }) => {
                        let value = self.values.iter().any(|(value, _)| value == operand);
                        value.then(|| Name { text: operand.clone(), span: *span })
                    }
                    _ => None,
                };
                let operands: Vec<Name> = args.iter().filter_map(operand).collect();
                let operand = operands[take(operands.len())?].clone();
                let text = format!("{} is left out: its operand {} is the result", name.text, operand.text);
                *right = Right::Var(operand);
                Some((Change::Step, text))
            }
            Place::Code(code) => {
                let others: Vec<&str> = self.traps.iter().copied().filter(|other| *other != code.text).collect();
                let other = others[take(others.len().min(3))?];
                let text = format!("trap {} becomes {other}", code.text);
                code.text = other.to_string();
                Some((Change::TrapCode, text))
            }
            Place::Premises(premises) => {
                take(premises.len())?;
                premises.remove(variant);
                Some((Change::Premise, format!("premise {} is dropped", variant + 1)))
            }
            Place::Steps(steps) => {
                let droppable: Vec<usize> = steps
                    .iter()
                    .enumerate()
                    .filter(|(_, step)| match step {
                        Step::Do(_) | Step::TrapIf { .. } => true,
                        Step::Let(names, _) => names.iter().all(|name| name.text == "_"),
                        _ => false,
                    })
                    .map(|(number, _)| number)
                    .collect();
                if let Some(which) = take(droppable.len()) {
                    steps.remove(droppable[which]);
                    return Some((Change::Step, format!("step {} is dropped", droppable[which] + 1)));
                }
                let followed = (1..droppable.len()).filter(|&n| droppable[n] == droppable[n - 1] + 1).collect::<Vec<_>>();
                let which = take(followed.len())?;
                let at = droppable[followed[which]];
                steps.swap(at - 1, at);
                Some((Change::Step, format!("steps {at} and {} are exchanged", at + 1)))
            }
            Place::Matched(name) => {
                let op = self.ops.get(name.text.as_str())?;
                let alike = |other: &&&Op| {
                    let types = |op: &Op| {
                        let params = op.params.iter().chain(&op.immediates).map(|param| param.ty.clone());
                        params.chain(op.results.clone()).collect::<Vec<Type>>()
                    };
                    let effects = |op: &Op| op.body.iter().any(|stmt| !matches!(stmt, OpStmt::Let(..) | OpStmt::Result(_)));
                    other.name.text != op.name.text && types(other) == types(op) && effects(other) == effects(op)
                };
                let mut others: Vec<&&Op> = self.ops.values().filter(alike).collect();
                others.sort_by_key(|other| &other.name.text);
                let other = others[take(others.len().min(8))?];
                let text = format!("{} becomes {} on the left side", name.text, other.name.text);
                name.text = other.name.text.clone();
                Some((Change::Matched, text))
            }
            Place::Address(literal) => {
                let scales = 3 * literal.parts.len();
                if let Some(which) = take(scales) {
                    let (part, scale) = &mut literal.parts[which / 3];
                    let others: Vec<u8> = [1, 2, 4, 8].into_iter().filter(|other| other != scale).collect();
                    if part.ty != Type::Bits(64) {
                        return Some((Change::Scale, String::new()));
                    }
                    let text = format!("scale {scale} becomes {}", others[which % 3]);
                    *scale = others[which % 3];
                    return Some((Change::Scale, text));
                }
                if let Some(which) = take(literal.parts.len()) {
                    literal.parts.remove(which);
                    return Some((Change::Address, format!("part {} of the address is dropped", which + 1)));
                }
                if literal.parts.iter().any(|(part, _)| part.ty == Type::Bits(32)) {
                    return None;
                }
                let added = [1, -1, 8].into_iter().nth(take(3)?)?;
                literal.parts.push((int(added, &Type::Bits(32), literal.span), 1));
                Some((Change::Constant, format!("{added} is added to the address")))
            }
            Place::Apply(name, args) => self.apply(name, args, variant),
            Place::Expr(expr) => self.expr(expr, variant),
        }
    }

    fn apply(&self, name: &mut Name, args: &mut [Arg], mut variant: usize) -> Option<(Change, String)> {
        if self.simplify {
            return self.operator(name, args, variant);
        }
        let inst = *self.insts.get(name.text.as_str())?;
        let inputs = |inst: &Inst| -> Vec<OperandKind> {
            let used = inst.operands.iter().filter(|operand| matches!(operand.mode, Mode::Use | Mode::InOut));
            used.map(|operand| operand.kind).collect()
        };
        let outputs = |inst: &Inst| -> Vec<OperandKind> {
            inst.operands.iter().filter(|operand| operand.mode != Mode::Use).map(|operand| operand.kind).collect()
        };
        let rename = |name: &mut Name, other: &str, change| {
            let text = format!("{} becomes {other}", name.text);
            name.text = other.to_string();
            Some((change, text))
        };
        let known = |name: &str| self.insts.get_key_value(name).map(|(name, _)| *name);
        let arity = |other: &&str| {
            inputs(self.insts[other]).len() == args.len() && outputs(self.insts[other]).len() == outputs(inst).len()
        };
        let signs: Vec<&str> = twins(&name.text, SIGNS, known).into_iter().filter(|other| arity(other)).collect();
        if variant < signs.len() {
            return rename(name, signs[variant], Change::Signedness);
        }
        variant -= signs.len();
        let mut widths: Vec<&str> = twins(&name.text, WIDTHS, known);
        widths.retain(|other| arity(other) && !signs.contains(other));
        if variant < widths.len() {
            return rename(name, widths[variant], Change::Width);
        }
        variant -= widths.len();
        let alike = |other: &&&Inst| {
            other.name.text != inst.name.text
                && inputs(other) == inputs(inst)
                && outputs(other) == outputs(inst)
                && !signs.contains(&other.name.text.as_str())
                && !other.body.iter().any(|stmt| matches!(stmt, InstStmt::Jump(..) | InstStmt::Transfer(..)))
        };
        let mut others: Vec<&&Inst> = self.insts.values().filter(alike).collect();
        others.sort_by_key(|other| &other.name.text);
        if variant < others.len() {
            return rename(name, &others[variant].name.text, Change::Instruction);
        }
        variant -= others.len();
        self.exchange(args, variant)
    }

    /// Two operands exchanged; a form's argument goes to where the other stood.
    fn exchange(&self, args: &mut [Arg], variant: usize) -> Option<(Change, String)> {
        let pairs: Vec<(usize, usize)> = (0..args.len()).flat_map(|a| (a + 1..args.len()).map(move |b| (a, b))).collect();
        let (a, b) = *pairs.get(variant)?;
        let (left, right) = args.split_at_mut(b);
        let place = |arg: &mut Arg, put: Option<&Expr>| -> Option<Expr> {
            let Arg::Expr(expr) = arg else { return None };
            let inner = match &mut expr.kind {
                ExprKind::Call(name, args) if self.forms.contains_key(name.text.as_str()) && args.len() == 1 => {
                    args.first_mut()?
                }
                _ => expr,
            };
            let old = inner.clone();
            if let Some(put) = put {
                *inner = put.clone();
            }
            Some(old)
        };
        let (first, second) = (place(&mut left[a], None), place(&mut right[0], None));
        let text = format!("operands {} and {} are exchanged", a + 1, b + 1);
        match (first, second) {
            (Some(first), Some(second)) if first.ty == second.ty => {
                place(&mut left[a], Some(&second));
                place(&mut right[0], Some(&first));
                Some((Change::Swapped, text))
            }
            // Not to be exchanged: no change, which is dropped later.
            _ => Some((Change::Swapped, String::new())),
        }
    }

    /// An operator built by a simplify rule.
    fn operator(&self, name: &mut Name, args: &mut [Arg], variant: usize) -> Option<(Change, String)> {
        let op = *self.ops.get(name.text.as_str())?;
        let types = |op: &Op| {
            let params = op.params.iter().chain(&op.immediates).map(|param| param.ty.clone());
            params.chain(op.results.clone()).collect::<Vec<Type>>()
        };
        let mut others: Vec<&&Op> =
            self.ops.values().filter(|other| other.name.text != op.name.text && types(other) == types(op)).collect();
        others.sort_by_key(|other| &other.name.text);
        if variant < others.len() {
            let other = &others[variant].name.text;
            let text = format!("{} becomes {other}", name.text);
            name.text = other.clone();
            return Some((Change::Instruction, text));
        }
        if variant == others.len() && args.len() >= 2 && op.params.len() >= 2 && op.params[0].ty == op.params[1].ty {
            args.swap(0, 1);
            return Some((Change::Swapped, "operands 1 and 2 are exchanged".into()));
        }
        None
    }

    pub fn expr(&self, expr: &mut Expr, mut variant: usize) -> Option<(Change, String)> {
        let (ty, span) = (expr.ty.clone(), expr.span);
        match &mut expr.kind {
            ExprKind::Int(value) => {
                let other = [value.checked_add(1), value.checked_sub(1), Some(*value ^ 2), value.checked_mul(2)];
                let other = other.into_iter().flatten().nth(variant)?;
                let text = format!("{value:#x} becomes {other:#x}");
                *value = other;
                Some((Change::Constant, text))
            }
            ExprKind::Var(name) if name.starts_with("cc.") => {
                let others = crate::check::CONDITIONS.iter().filter(|code| **code != &name[3..]);
                let other = format!("cc.{}", others.clone().nth(variant)?);
                let text = format!("{name} becomes {other}");
                *name = other;
                Some((Change::Condition, text))
            }
            ExprKind::Var(name) if self.numbers.contains(name) => {
                let added = [1, -1].into_iter().nth(variant)?;
                let text = format!("{name} becomes {name} + {added}");
                let (old, one) = (expr.clone(), int(added, &ty, span));
                expr.kind = ExprKind::Binary(BinaryOp::Add, Box::new(old), Box::new(one));
                Some((Change::Constant, text))
            }
            ExprKind::Var(name) => {
                let others = self.values.iter().filter(|(other, of)| *of == ty && other != name);
                let other = others.map(|(other, _)| other.clone()).nth(variant)?;
                let text = format!("{name} becomes {other}");
                *name = other;
                Some((Change::Operand, text))
            }
            ExprKind::Binary(op, left, right) => {
                if matches!(op, BinaryOp::And | BinaryOp::Or) && variant < 2 {
                    let kept = if variant == 0 { (**left).clone() } else { (**right).clone() };
                    let side = if variant == 0 { "right" } else { "left" };
                    let text = format!("the {side} side of {op:?} is dropped");
                    *expr = kept;
                    return Some((Change::Premise, text));
                }
                if matches!(op, BinaryOp::And | BinaryOp::Or) {
                    variant -= 2;
                }
                let others: &[BinaryOp] = match op {
                    BinaryOp::Add => &[BinaryOp::Sub, BinaryOp::BitOr],
                    BinaryOp::Sub => &[BinaryOp::Add, BinaryOp::BitXor],
                    BinaryOp::Mul => &[BinaryOp::Add],
                    BinaryOp::BitAnd => &[BinaryOp::BitOr, BinaryOp::BitXor],
                    BinaryOp::BitOr => &[BinaryOp::BitAnd, BinaryOp::BitXor],
                    BinaryOp::BitXor => &[BinaryOp::BitAnd, BinaryOp::BitOr],
                    BinaryOp::Eq => &[BinaryOp::Ne],
                    BinaryOp::Ne => &[BinaryOp::Eq],
                    BinaryOp::And => &[BinaryOp::Or],
                    BinaryOp::Or => &[BinaryOp::And],
                };
                let other = *others.get(variant)?;
                let text = format!("{op:?} becomes {other:?}");
                *op = other;
                Some((Change::Constant, text))
            }
            ExprKind::Call(name, _) => {
                // A view of a register is no function.
                if !self.computed && name.text.starts_with("zext") && !self.is_number(expr) {
                    return None;
                }
                let ExprKind::Call(name, _) = &mut expr.kind else { return None };
                let extension = [("zext", "sext"), ("sext", "zext")].into_iter().find_map(|(from, to)| {
                    let rest = name.text.strip_prefix(from)?;
                    Some((Change::Signedness, vec![format!("{to}{rest}")]))
                });
                let (change, others) = extension.or_else(|| {
                    let group = |groups: &'static [&'static [&'static str]]| {
                        groups.iter().find(|group| group.contains(&name.text.as_str())).copied()
                    };
                    let sign = group(SIGNED);
                    let others = sign
                        .or_else(|| group(ALIKE))?
                        .iter()
                        .filter(|other| **other != name.text)
                        .map(|other| other.to_string());
                    Some((if sign.is_some() { Change::Signedness } else { Change::Constant }, others.collect()))
                })?;
                let other = others.into_iter().nth(variant)?;
                let text = format!("{} becomes {other}", name.text);
                name.text = other;
                Some((change, text))
            }
            ExprKind::Slice(of, ..) if self.computed || self.is_number(of) => {
                let ExprKind::Slice(of, high, low) = &mut expr.kind else { return None };
                let Type::Bits(wide) = of.ty else { return None };
                let up = (*high + 1 < wide).then(|| (*high + 1, *low + 1));
                let down = low.checked_sub(1).map(|low| (*high - 1, low));
                let (to, from) = up.into_iter().chain(down).nth(variant)?;
                let text = format!("[{high}:{low}] becomes [{to}:{from}]");
                (*high, *low) = (to, from);
                Some((Change::Constant, text))
            }
            _ => None,
        }
    }

    /// Whether an expression is known when the rule is applied.
    fn is_number(&self, expr: &Expr) -> bool {
        let mut all = true;
        crate::check::walk(expr, &mut |part| {
            all &=
                !matches!(&part.kind, ExprKind::Var(name) if !self.numbers.contains(name) && !name.starts_with("layout."));
        });
        all
    }
}

/// Names of a rule: numbers, and values with their types.
fn names(patterns: &[Pattern], types: &[Type], ops: &HashMap<&str, &Op>, known: &mut Known) {
    for (pattern, ty) in patterns.iter().zip(types) {
        match pattern {
            Pattern::Var(name) => known.values.push((name.text.clone(), ty.clone())),
            Pattern::Const(name) => known.numbers.push(name.text.clone()),
            Pattern::Op { op, alias, args, immediates, .. } => {
                known.values.extend(alias.iter().map(|name| (name.text.clone(), ty.clone())));
                let types: Vec<Type> = ops
                    .get(op.text.as_str())
                    .map_or_else(Vec::new, |op| op.params.iter().map(|param| param.ty.clone()).collect());
                names(args, &types, ops, known);
                immediate_names(immediates, known);
            }
            _ => {}
        }
    }
}

fn immediate_names(patterns: &[ImmPattern], known: &mut Known) {
    for pattern in patterns {
        if let ImmPattern::Var(name) = pattern {
            known.numbers.push(name.text.clone());
        }
    }
}

/// Temporaries with their types.
fn temporaries(right: &Right, known: &mut Known) {
    let Right::Seq { steps, .. } = right else { return };
    for step in steps {
        let Step::Let(names, right) = step else { continue };
        let (Right::Apply { name, .. } | Right::Var(name)) = right else { continue };
        let Some(inst) = known.insts.get(name.text.as_str()) else { continue };
        let outputs = inst.operands.iter().filter(|operand| operand.mode != Mode::Use);
        for (name, operand) in names.iter().zip(outputs) {
            if name.text != "_" {
                known.values.push((name.text.clone(), super::machine::type_of(operand.kind)));
            }
        }
    }
}

impl Mutant {
    /// What is to be proved of it.
    pub fn obligation(&self, context: &Context, block: &RuleBlock, rule: &Rule) -> super::meaning::Meant<Obligation> {
        match &self.what {
            Changed::Rule(changed) => context.rule(block, changed),
            Changed::Block(changed) => context.rule(changed, rule),
            Changed::Op(changed) => {
                let mut ops = context.ops.clone();
                ops.insert(&changed.name.text, changed);
                let (insts, forms) = (context.insts.clone(), context.forms.clone());
                Context { spec: context.spec, ops, insts, forms }.rule(block, rule)
            }
            Changed::Form(changed) => {
                let mut forms = context.forms.clone();
                forms.insert(&changed.name.text, changed);
                let (ops, insts) = (context.ops.clone(), context.insts.clone());
                Context { spec: context.spec, ops, insts, forms }.rule(block, rule)
            }
            Changed::Inst(changed) => {
                let mut insts = context.insts.clone();
                insts.insert(&changed.name.text, changed);
                let (ops, forms) = (context.ops.clone(), context.forms.clone());
                Context { spec: context.spec, ops, insts, forms }.rule(block, rule)
            }
            Changed::Function(spec) => {
                let (ops, insts, forms) = (context.ops.clone(), context.insts.clone(), context.forms.clone());
                Context { spec, ops, insts, forms }.rule(block, rule)
            }
        }
    }
}

/// All copies of a thing that are changed in one place: `walk` visits its places, `known` changes them.
pub(super) fn changed<T: Clone>(
    thing: &T,
    walk: impl Fn(&mut Walk, &mut T),
    change: impl Fn(Place, usize) -> Option<(Change, String)>,
) -> Vec<(Change, String, T)> {
    let mut found = Vec::new();
    for site in 0.. {
        let mut variants = 0;
        let mut reached = false;
        loop {
            let mut copy = thing.clone();
            let (mut at, mut made) = (0, None);
            let mut visit = |place: Place| {
                let here = at == site;
                if here {
                    made = Some(change(place, variants));
                }
                at += 1;
                here
            };
            walk(&mut Walk { visit: &mut visit, done: false }, &mut copy);
            reached |= made.is_some();
            let Some(Some((change, text))) = made else { break };
            if !text.is_empty() {
                found.push((change, text, copy));
            }
            variants += 1;
        }
        if !reached {
            return found;
        }
    }
    found
}

/// All changes of a rule and of what it rests on, each once.
pub fn mutants(context: &Context, block: &RuleBlock, rule: &Rule) -> Vec<Mutant> {
    let types: Vec<Type> = match block.kind {
        BlockKind::Form => block.params.iter().map(|param| param.ty.clone()).collect(),
        _ => match context.ops.get(block.name.text.as_str()) {
            Some(op) => op.params.iter().map(|param| param.ty.clone()).collect(),
            None => return Vec::new(),
        },
    };
    let mut known = Known {
        insts: &context.insts,
        ops: &context.ops,
        forms: &context.forms,
        traps: context.spec.traps.iter().map(|trap| trap.name.text.as_str()).collect(),
        numbers: Vec::new(),
        values: Vec::new(),
        simplify: block.kind == BlockKind::Simplify,
        computed: false,
    };
    names(&rule.patterns, &types, &context.ops, &mut known);
    immediate_names(&rule.immediates, &mut known);
    temporaries(&rule.right, &mut known);
    let own = changed(rule, |walk, rule| walk.rule(rule), |place, variant| known.change(place, variant));
    let own = own.into_iter().map(|(change, text, rule)| Mutant { change, text, what: Changed::Rule(rule) });
    own.chain(described(context, block, rule)).collect()
}
