//! What a rule's instructions do one after another: flags, traps, accesses to memory, branches.
//!
//! Instructions are taken in the order in which they are emitted: operands from left to right, then the condition code,
//! then the instruction itself. A form may emit anything, and puts values into registers, so flags do not outlive one,
//! except those that a form of sort cond gives with its condition.

use super::inst::{FlagEffect, flag_effect, reads};
use crate::ast::*;
use crate::diagnostic::Diagnostic;
use std::collections::{HashMap, HashSet};

/// The flags at one place of a sequence.
#[derive(Clone, Copy)]
enum Flags {
    /// Nothing wrote them yet.
    Unset,
    Set,
    /// Lost to what stands here.
    Lost(Span, &'static str),
    /// A form's, which alone knows what they say.
    Form(Span),
}

/// An operator that a pattern matched, and the accesses the rule makes for it.
struct Matched<'a> {
    op: &'a Op,
    span: Span,
    nested: bool,
    accesses: usize,
}

struct Facts<'a> {
    ops: &'a HashMap<&'a str, &'a Op>,
    insts: &'a HashMap<&'a str, &'a Inst>,
    conditions: HashSet<&'a str>,
    /// Forms that may fold a load into their operand.
    folding: HashSet<&'a str>,
}

struct Walk<'a> {
    facts: &'a Facts<'a>,
    flags: Flags,
    trap: Option<Span>,
    matched: Vec<Matched<'a>>,
    /// Names that patterns bound, with the place in `matched` of the operator they are operands of.
    owners: HashMap<&'a str, usize>,
    /// Accesses that no bound name tells the operator of.
    unowned: Vec<(u16, bool)>,
    errors: &'a mut Vec<Diagnostic>,
}

/// Checks all rules of the blocks that are `sound` in types and sorts.
pub fn check(
    blocks: &[RuleBlock],
    sound: &[bool],
    ops: &HashMap<&str, &Op>,
    insts: &HashMap<&str, &Inst>,
    errors: &mut Vec<Diagnostic>,
) {
    let forms = || blocks.iter().filter(|block| block.kind == BlockKind::Form);
    let conditions = forms().filter(|block| block.result == Type::Cond).map(|block| block.name.text.as_str()).collect();
    let folds = |block: &&RuleBlock| block.rules.iter().any(|rule| rule.patterns.iter().any(|pattern| folded(pattern, ops)));
    let folding = forms().filter(folds).map(|block| block.name.text.as_str()).collect();
    let facts = Facts { ops, insts, conditions, folding };
    let sound = blocks.iter().zip(sound).filter(|(_, sound)| **sound).map(|(block, _)| block);
    for block in sound.filter(|block| block.kind != BlockKind::Simplify) {
        let root = if block.kind == BlockKind::Form { None } else { ops.get(block.name.text.as_str()).copied() };
        for rule in &block.rules {
            let mut walk = Walk {
                facts: &facts,
                flags: Flags::Unset,
                trap: None,
                matched: Vec::new(),
                owners: HashMap::new(),
                unowned: Vec::new(),
                errors,
            };
            walk.rule(rule, root);
        }
    }
}

/// Whether a pattern takes over a read of memory.
fn folded(pattern: &Pattern, ops: &HashMap<&str, &Op>) -> bool {
    match pattern {
        Pattern::Op { op, args, .. } => {
            ops.get(op.text.as_str()).is_some_and(|op| !accesses(op).is_empty()) || args.iter().any(|arg| folded(arg, ops))
        }
        _ => false,
    }
}

fn bits(ty: &Type) -> u16 {
    match ty {
        Type::Bits(width) => *width,
        Type::F32 => 32,
        _ => 64,
    }
}

/// Widths of an operator's accesses to storage that may change or trap, and whether they write.
fn accesses(op: &Op) -> Vec<(u16, bool)> {
    op.body
        .iter()
        .filter_map(|stmt| match stmt {
            OpStmt::Read { region, ty, .. } if *region != Region::Constant => Some((bits(ty), false)),
            OpStmt::Write { value, .. } => Some((bits(&value.ty), true)),
            _ => None,
        })
        .collect()
}

/// Widths of all accesses, those to constant storage included.
fn all_accesses(op: &Op) -> Vec<(u16, bool)> {
    let constant = op.body.iter().filter_map(|stmt| match stmt {
        OpStmt::Read { region: Region::Constant, ty, .. } => Some((bits(ty), false)),
        _ => None,
    });
    accesses(op).into_iter().chain(constant).collect()
}

fn shown(access: (u16, bool)) -> String {
    format!("{} {} bits", if access.1 { "writes" } else { "reads" }, access.0)
}

impl<'a> Walk<'a> {
    fn rule(&mut self, rule: &'a Rule, root: Option<&'a Op>) {
        if let Some(op) = root {
            self.matched.push(Matched { op, span: rule.name.span, nested: false, accesses: 0 });
        }
        for pattern in &rule.patterns {
            self.pattern(pattern, root.map(|_| 0));
        }
        self.immediates(&rule.immediates, root.map(|_| 0));
        let mut folded: Option<Span> = None;
        for matched in self.matched.iter().filter(|matched| matched.nested && !accesses(matched.op).is_empty()) {
            if let Some(first) = folded {
                self.errors.push(
                    Diagnostic::new(matched.span, "a second access folded into one rule")
                        .other(first, "the first")
                        .help("an instruction has one memory operand; leave the other load alone"),
                );
            }
            folded = Some(matched.span);
        }
        self.branches(rule, root);
        self.right(&rule.right, root);
        self.performed();
    }

    fn pattern(&mut self, pattern: &'a Pattern, owner: Option<usize>) {
        match pattern {
            Pattern::Var(name) | Pattern::Const(name) => {
                if let Some(owner) = owner {
                    self.owners.insert(&name.text, owner);
                }
            }
            Pattern::Op { op, alias, args, immediates, span, .. } => {
                if let (Some(alias), Some(owner)) = (alias, owner) {
                    self.owners.insert(&alias.text, owner);
                }
                let Some(op) = self.facts.ops.get(op.text.as_str()).copied() else { return };
                let owner = self.matched.len();
                self.matched.push(Matched { op, span: *span, nested: true, accesses: 0 });
                args.iter().for_each(|arg| self.pattern(arg, Some(owner)));
                self.immediates(immediates, Some(owner));
            }
            Pattern::Any(_) | Pattern::Literal(..) | Pattern::Same(_) => {}
        }
    }

    fn immediates(&mut self, patterns: &'a [ImmPattern], owner: Option<usize>) {
        for pattern in patterns {
            if let (ImmPattern::Var(name), Some(owner)) = (pattern, owner) {
                self.owners.insert(&name.text, owner);
            }
        }
    }

    /// A rule for a control operator branches, at its end; no other rule branches.
    fn branches(&mut self, rule: &Rule, root: Option<&Op>) {
        let steps: &[Step] = if let Right::Seq { steps, .. } = &rule.right { steps } else { &[] };
        let control = root.filter(|op| op.kind == OpKind::Control);
        for (number, step) in steps.iter().enumerate() {
            let Step::Branch { span, .. } = step else { continue };
            if control.is_none() {
                self.errors.push(
                    Diagnostic::new(*span, "only rules for a control operator may branch")
                        .help("use `cmov32`, or `trap … if`"),
                );
            } else if number + 1 != steps.len() {
                self.errors.push(Diagnostic::new(*span, "`branch` must be the last step").label("steps follow it"));
            }
        }
        if let Some(op) = control
            && !matches!(steps.last(), Some(Step::Branch { .. }))
        {
            self.errors.push(
                Diagnostic::new(rule.name.span, format!("this rule for `{}` does not branch", op.name.text))
                    .help("end it with `branch cc.…` or `branch cond(c)`"),
            );
        }
    }

    fn right(&mut self, right: &'a Right, root: Option<&'a Op>) {
        match right {
            Right::Var(name) => self.apply(name, &[]),
            Right::Apply { name, args, .. } => self.apply(name, args),
            Right::Addr(_) | Right::Const(_) => {}
            Right::Mem { width, address, .. } => {
                self.address(address);
                self.access((*width, false), address);
            }
            Right::Seq { steps, .. } => steps.iter().for_each(|step| self.step(step, root)),
        }
    }

    fn step(&mut self, step: &'a Step, root: Option<&'a Op>) {
        match step {
            Step::Let(_, right) | Step::Do(right) => self.right(right, root),
            Step::TrapIf { code, cond, span } => {
                self.condition(cond);
                self.trap = self.trap.or(Some(*span));
                let Some(op) = root else {
                    self.errors.push(Diagnostic::new(*span, "a form cannot trap").help("trap in the rule that uses it"));
                    return;
                };
                let listed = op.body.iter().any(|stmt| matches!(stmt, OpStmt::Trap(known, _) if known.text == code.text));
                if !listed {
                    self.errors.push(
                        Diagnostic::new(code.span, format!("`{}` never traps with `{}`", op.name.text, code.text))
                            .other(op.name.span, "its traps are listed here"),
                    );
                }
            }
            Step::Branch { first, second, .. } => {
                self.condition(first);
                if let Some((_, second)) = second {
                    if let Some(span) = self.condition_form(second) {
                        self.errors.push(
                            Diagnostic::new(span, "this would overwrite the flags of the first condition")
                                .other(first.span(), "the first condition")
                                .help("both conditions must read the same flags: `branch cc.e and cc.np`"),
                        );
                        return;
                    }
                    self.condition(second);
                }
            }
            Step::Yield(value, _) => match value {
                Arg::Expr(expr) if matches!(expr.ty, Type::Cond) => self.condition(value),
                _ => {}
            },
        }
    }

    fn form(&self, arg: &'a Arg) -> Option<(&'a Name, &'a [Expr])> {
        match arg {
            // Only forms and register views are called on a right side.
            Arg::Expr(Expr { kind: ExprKind::Call(name, args), ty, .. }) => {
                let form = matches!(ty, Type::Addr | Type::RegMem(_) | Type::XmmMem(_) | Type::Cond);
                form.then_some((name, args))
            }
            _ => None,
        }
    }

    fn condition_form(&self, arg: &'a Arg) -> Option<Span> {
        let (name, _) = self.form(arg)?;
        self.facts.conditions.contains(name.text.as_str()).then(|| arg.span())
    }

    fn condition(&mut self, arg: &'a Arg) {
        if let Some(span) = self.condition_form(arg) {
            self.flags = Flags::Form(span);
            return;
        }
        let error = Diagnostic::new(arg.span(), "the flags do not hold what this condition reads");
        let error = match self.flags {
            Flags::Set => return,
            Flags::Unset => {
                error.label("no instruction before this one sets them").help("compare first: `cmp32 x, rm32(y)`")
            }
            Flags::Lost(span, how) => error.other(span, how).help("put the comparison directly before"),
            Flags::Form(span) => error.other(span, "what the flags say is known to this form only"),
        };
        self.errors.push(error);
    }

    fn apply(&mut self, name: &'a Name, args: &'a [Arg]) {
        // A word that is no instruction is a value.
        let Some(inst) = self.facts.insts.get(name.text.as_str()).copied() else { return };
        let inputs: Vec<&Operand> =
            inst.operands.iter().filter(|operand| matches!(operand.mode, Mode::Use | Mode::InOut)).collect();
        let mut condition = None;
        for (arg, operand) in args.iter().zip(&inputs) {
            match operand.kind {
                OperandKind::Cc => condition = Some(arg),
                kind => self.arg(arg, kind, inst, operand),
            }
        }
        match condition {
            Some(arg) => self.condition(arg),
            None if reads(inst, "flags") => {
                let error = Diagnostic::new(name.span, format!("`{}` reads the flags", name.text));
                match self.flags {
                    Flags::Set => {}
                    Flags::Unset => self.errors.push(error.label("no instruction before this one sets them")),
                    Flags::Lost(span, how) => self.errors.push(error.other(span, how)),
                    Flags::Form(span) => self.errors.push(error.other(span, "what they say is known to this form only")),
                }
            }
            None => {}
        }
        match flag_effect(inst) {
            FlagEffect::Kept => {}
            FlagEffect::Set => self.flags = Flags::Set,
            FlagEffect::Undefined => self.flags = Flags::Lost(name.span, "this instruction leaves the flags undefined"),
        }
    }

    fn arg(&mut self, arg: &'a Arg, kind: OperandKind, inst: &Inst, operand: &Operand) {
        match (arg, kind) {
            (Arg::Nested(right), _) => self.right(right, None),
            (Arg::Mem { width, address, .. }, _) => {
                self.address(address);
                self.access((*width, false), address);
            }
            (_, OperandKind::Mem(width)) => {
                self.address(arg);
                let name = &operand.name.text;
                let written = inst.body.iter().any(|stmt| matches!(stmt, InstStmt::Assign(to, _) if to.text == *name));
                self.access((width, written), arg);
            }
            _ => self.address(arg),
        }
    }

    /// A form that is called for an operand may emit anything.
    fn address(&mut self, arg: &'a Arg) {
        let Some((name, _)) = self.form(arg) else { return };
        self.flags = Flags::Lost(arg.span(), "this form may emit instructions that write the flags");
        if let Some(trap) = self.trap
            && self.facts.folding.contains(name.text.as_str())
        {
            self.errors.push(late(arg.span(), trap));
        }
    }

    /// An access at an address: of the width and kind of the operator whose operands the address is made of.
    fn access(&mut self, access: (u16, bool), address: &'a Arg) {
        let mut names: Vec<&str> = Vec::new();
        let mut collect = |expr: &'a Expr| {
            super::walk(expr, &mut |part| {
                if let ExprKind::Var(name) = &part.kind {
                    names.push(name);
                }
            });
        };
        match (address, self.form(address)) {
            (_, Some((_, args))) => args.iter().for_each(&mut collect),
            (Arg::Addr(literal), None) => literal.parts.iter().for_each(|(part, _)| collect(part)),
            _ => {}
        }
        let Some(owner) = names.iter().find_map(|name| self.owners.get(name).copied()) else {
            self.unowned.push(access);
            return;
        };
        let matched = &mut self.matched[owner];
        let allowed = all_accesses(matched.op);
        let (name, place) = (&matched.op.name.text, matched.op.name.span);
        if allowed.is_empty() {
            self.errors.push(
                Diagnostic::new(address.span(), format!("`{name}` does not access memory"))
                    .label("an access at an address made of its operands")
                    .other(place, "declared here"),
            );
        } else if !allowed.contains(&access) {
            let does: Vec<String> = allowed.into_iter().map(shown).collect();
            self.errors.push(
                Diagnostic::new(
                    address.span(),
                    format!("this access {}, but `{name}` {}", shown(access), does.join(" and ")),
                )
                .other(place, "declared here"),
            );
        }
        matched.accesses += 1;
        if let (Some(trap), true) = (self.trap, matched.nested) {
            self.errors.push(late(address.span(), trap));
        }
    }

    /// Accesses of matched operators are made, and folded ones once.
    fn performed(&mut self) {
        for matched in &self.matched {
            let wanted = accesses(matched.op);
            let (name, place) = (&matched.op.name.text, matched.op.name.span);
            if wanted.is_empty() {
                continue;
            }
            let unowned = !matched.nested && self.unowned.iter().any(|access| wanted.contains(access));
            if matched.accesses == 0 && !unowned {
                self.errors.push(
                    Diagnostic::new(matched.span, format!("the access of `{name}` is not made"))
                        .other(place, "declared here")
                        .help("an access may trap even if its value is not needed: make it, or do not match it"),
                );
            } else if matched.nested && matched.accesses > 1 {
                self.errors.push(
                    Diagnostic::new(matched.span, format!("the access of `{name}` is made {} times", matched.accesses))
                        .help("load it once into a temporary"),
                );
            }
        }
    }
}

fn late(span: Span, trap: Span) -> Diagnostic {
    Diagnostic::new(span, "a folded load may trap, and here would do so too late")
        .other(trap, "the operator's own trap comes after its operands")
        .help("take the operand in a register: `x` instead of `rm32(x)`")
}
