//! Right sides of lowering rules and forms: instructions, their operands, addresses, sequences.

use super::builtin::is_builtin;
use super::inst::{kind_name, operand_type};
use super::rule::{Checker, tuple};
use super::types::{Scope, Stage, mismatch};
use crate::ast::*;
use crate::diagnostic::{Diagnostic, nearest};

/// Whether any part of an expression is known only when the code runs.
fn is_run_time(expr: &Expr, scope: &Scope) -> bool {
    let mut found = false;
    super::walk(expr, &mut |part| {
        if let ExprKind::Var(name) = &part.kind {
            found |= scope.stage(name).is_some_and(|stage| stage != Stage::Compile);
        }
    });
    found
}

/// An operand of an instruction that must be given.
fn is_input(operand: &&Operand) -> bool {
    matches!(operand.mode, Mode::Use | Mode::InOut)
}

impl Checker<'_> {
    /// Checks the right side of a rule of a `lower` block or a form.
    pub fn lower(&mut self, rule: &mut Rule, block: &Name, wanted: &Type, scope: &mut Scope) {
        let found = self.right(&mut rule.right, scope, Some(wanted));
        let span = match &rule.right {
            Right::Seq { steps, .. } => match steps.last() {
                Some(Step::Yield(value, _)) => value.span(),
                _ => rule.name.span,
            },
            right => right.span(),
        };
        if found == Type::Tuple(Vec::new()) && *wanted != found && *wanted != Type::Unknown {
            let error =
                Diagnostic::new(rule.name.span, format!("this rule gives no result, `{}` gives {wanted}", block.text));
            self.error(match &rule.right {
                Right::Seq { .. } => error.help("end the sequence with `yield …`"),
                _ => error.help("this instruction writes no register"),
            });
        } else if !super::types::fits(wanted, &found) {
            let error = mismatch(span, wanted, &found).other(block.span, format!("`{}` gives {wanted}", block.text));
            self.error(match (wanted, &rule.right) {
                (Type::Tuple(_), Right::Seq { .. }) => error.help("end the sequence without `yield`"),
                _ => error,
            });
        } else if let Right::Seq { steps, .. } = &rule.right
            && let Some(Step::Yield(Arg::Expr(value), _)) = steps.last()
        {
            match &value.kind {
                ExprKind::Tuple(parts) => parts.iter().for_each(|part| self.whole(part)),
                _ => self.whole(value),
            }
        }
    }

    /// A result may not be the lower part of a wider register: an i32 in a register is zero-extended.
    fn whole(&mut self, value: &Expr) {
        if matches!(value.kind, ExprKind::Slice(..)) {
            self.error(
                Diagnostic::new(value.span, "the upper half of this register need not be zero")
                    .help("a result of type i32 is zero-extended: move it with an instruction that writes an r32"),
            );
        }
    }

    /// A register operand: a name, or a free view of one.
    fn register_view(&mut self, expr: &Expr, scope: &Scope) {
        match &expr.kind {
            ExprKind::Var(name) => {
                if scope.stage(name) == Some(Stage::Compile) {
                    self.error(
                        Diagnostic::new(expr.span, format!("`{name}` is a number, not a register"))
                            .help("load it with an instruction that takes an immediate"),
                    );
                } else if scope.stage(name).is_none() && expr.ty != Type::Unknown {
                    self.not_a_view(expr);
                }
            }
            ExprKind::Slice(inner, _, 0) if matches!(inner.ty, Type::Bits(_)) => self.register_view(inner, scope),
            ExprKind::Call(name, args) => match (name.text.as_str(), args.as_slice()) {
                ("zext64", [inner]) if inner.ty == Type::Bits(32) => {
                    if matches!(inner.kind, ExprKind::Slice(..)) {
                        self.error(Diagnostic::new(inner.span, "the upper half of this register need not be zero").help(
                            "`zext64(x)` is free for an i32 that an instruction wrote; move this one with a 32-bit `mov`",
                        ));
                    }
                    self.register_view(inner, scope);
                }
                ("vec" | "low_f32" | "low_f64", [inner]) => self.register_view(inner, scope),
                _ => self.not_a_view(expr),
            },
            _ => self.not_a_view(expr),
        }
    }

    fn not_a_view(&mut self, expr: &Expr) {
        if expr.ty == Type::Unknown {
            return;
        }
        let error = Diagnostic::new(expr.span, "this is not a register");
        self.error(match &expr.kind {
            ExprKind::Int(_) => error.help("load a number with an instruction that takes an immediate"),
            _ => error.help("registers are names, `x[7:0]`, `x[31:0]`, `zext64(x)` of an i32, `vec(x)` of a float"),
        });
    }

    /// If the expression calls a form: checks the arguments, gives the form's result.
    pub fn form_call(&mut self, expr: &mut Expr, scope: &mut Scope) -> Option<Type> {
        let ExprKind::Call(name, args) = &mut expr.kind else { return None };
        let Some(form) = self.forms.get(&name.text).cloned() else {
            if is_builtin(&name.text) || self.globals.functions.contains_key(&name.text) {
                return None;
            }
            let error = Diagnostic::unknown("form", name, self.forms.keys().map(String::as_str));
            args.iter_mut().for_each(|arg| {
                self.typer(scope).infer(arg, Some(&Type::Unknown));
            });
            self.error(error);
            return Some(Type::Unknown);
        };
        self.used.forms.insert(name.text.clone());
        expr.ty = form.result.clone();
        let values = form.params.len();
        let wanted: Vec<&Type> = form.params.iter().chain(&form.immediates).collect();
        if args.len() != wanted.len() {
            let (expected, found) = (wanted.len(), args.len());
            let s = if expected == 1 { "" } else { "s" };
            self.error(
                Diagnostic::new(name.span, format!("form `{}` takes {expected} operand{s}, found {found}", name.text))
                    .other(form.span, "declared here"),
            );
        }
        for (number, (arg, want)) in args.iter_mut().zip(wanted).enumerate() {
            self.typer(scope).expect(arg, want);
            if number >= values {
                self.compile_time(arg, scope);
                continue;
            }
            let value = match &arg.kind {
                ExprKind::Var(name) => scope.stage(name).is_none_or(|stage| stage == Stage::Value),
                _ => false,
            };
            if !value {
                self.error(
                    Diagnostic::new(arg.span, "a form takes a value that a pattern bound")
                        .help("a temporary or an expression has no operator that the form could match"),
                );
            }
        }
        Some(form.result)
    }

    fn unknown_inst(&mut self, name: &Name) {
        let error = if self.forms.contains_key(&name.text) {
            Diagnostic::new(name.span, format!("`{}` is a form, not an instruction", name.text))
                .help(format!("a form is an operand: `add32 x, {}(y)`; a sequence gives it on by `yield`", name.text))
        } else if let Some(op) = self.ops.get(name.text.as_str()) {
            Diagnostic::new(name.span, format!("`{}` is an operator, not an instruction", name.text))
                .other(op.name.span, "declared here")
                .help("operators are built by `simplify` rules only")
        } else {
            Diagnostic::unknown("instruction", name, self.insts.keys().copied())
        };
        self.error(error);
    }

    /// An instruction; gives the types of what it writes.
    fn apply(&mut self, name: &Name, args: &mut [Arg], scope: &mut Scope) -> Type {
        let Some(inst) = self.insts.get(name.text.as_str()).copied() else {
            self.unknown_inst(name);
            args.iter_mut().for_each(|arg| self.touch(arg, scope));
            return Type::Unknown;
        };
        self.used.insts.insert(name.text.clone());
        if let Some(feature) = &inst.feature
            && !self.features.iter().any(|have| have.text == feature.text)
        {
            self.errors.push(
                Diagnostic::new(name.span, format!("`{}` needs {}", name.text, feature.text))
                    .other(feature.span, "required here")
                    .help(format!("add `when {}` to the rule", feature.text)),
            );
        }
        if inst.body.iter().any(|stmt| matches!(stmt, InstStmt::Jump(..) | InstStmt::Transfer(..))) {
            self.errors.push(
                Diagnostic::new(name.span, format!("`{}` transfers control, which a rule may not", name.text))
                    .other(inst.name.span, "declared here")
                    .help("a rule leaves by `trap CODE if cc.…`, or by `branch cc.…` in `lower br_if`"),
            );
        }
        let inputs: Vec<&Operand> = inst.operands.iter().filter(is_input).collect();
        if inputs.len() != args.len() {
            let (expected, found) = (inputs.len(), args.len());
            let s = if expected == 1 { "" } else { "s" };
            let names: Vec<&str> = inputs.iter().map(|operand| operand.name.text.as_str()).collect();
            let error = Diagnostic::new(name.span, format!("`{}` takes {expected} operand{s}, found {found}", name.text))
                .other(inst.name.span, "declared here");
            self.error(match names.as_slice() {
                [] => error,
                names => error.help(format!("they are: {} (`out` operands are not given)", names.join(", "))),
            });
        }
        for (number, arg) in args.iter_mut().enumerate() {
            match inputs.get(number) {
                Some(operand) if operand.kind == OperandKind::Cc => self.condition(arg, scope),
                Some(operand) => self.arg(arg, operand, scope),
                None => self.touch(arg, scope),
            }
        }
        let outs = inst.operands.iter().filter(|operand| operand.mode != Mode::Use);
        tuple(outs.map(|operand| operand_type(operand.kind)).collect())
    }

    /// Marks the names of an operand whose instruction is unknown as used.
    fn touch(&mut self, arg: &mut Arg, scope: &mut Scope) {
        let mut mark = |expr: &Expr| {
            super::walk(expr, &mut |part| {
                if let ExprKind::Var(name) = &part.kind {
                    scope.touch(name);
                }
            });
        };
        match arg {
            Arg::Expr(expr) => mark(expr),
            Arg::Addr(literal) => literal.parts.iter().for_each(|(part, _)| mark(part)),
            Arg::Mem { address, .. } => self.touch(address, scope),
            Arg::Nested(right) => {
                if let Right::Apply { args, .. } = &mut **right {
                    args.iter_mut().for_each(|arg| self.touch(arg, scope));
                }
            }
        }
    }

    fn arg(&mut self, arg: &mut Arg, operand: &Operand, scope: &mut Scope) {
        let want = operand_type(operand.kind);
        let span = arg.span();
        let wrong = |found: String| {
            let message = format!("operand `{}` is {}, found {found}", operand.name.text, kind_name(operand.kind));
            Diagnostic::new(span, message).other(operand.span, "declared here")
        };
        match (operand.kind, arg) {
            (OperandKind::Mem(_) | OperandKind::Addr, Arg::Addr(literal)) => self.addr(literal, scope),
            (OperandKind::Mem(_) | OperandKind::Addr, Arg::Expr(expr)) => match self.form_call(expr, scope) {
                Some(Type::Addr | Type::Unknown) => {}
                Some(other) => self.error(wrong(format!("a form that gives {other}"))),
                None => {
                    self.typer(scope).infer(expr, Some(&Type::Unknown));
                    self.error(
                        wrong("a value".into()).help("write an address: `[base + offset]`, or a form that gives addr"),
                    );
                }
            },
            (OperandKind::Mem(_) | OperandKind::Addr, Arg::Mem { address, .. }) => {
                self.address(address, scope);
                self.error(wrong("a memory operand".into()).help("write the address alone: the instruction says the width"));
            }
            (OperandKind::RegMem(width) | OperandKind::XmmMem(width), Arg::Mem { width: found, address, .. }) => {
                if width != *found {
                    self.error(wrong(format!("mem{found}")).label(format!("reads {found} bits")));
                }
                self.address(address, scope);
            }
            (OperandKind::SImm(_) | OperandKind::UImm(_), Arg::Expr(expr)) => {
                match self.form_call(expr, scope) {
                    Some(Type::Unknown) => return,
                    Some(found) => return self.error(wrong(format!("a form that gives {found}"))),
                    None => {}
                }
                self.typer(scope).expect(expr, &want);
                self.compile_time(expr, scope);
            }
            (kind, Arg::Expr(expr)) => {
                if let Some(found) = self.form_call(expr, scope) {
                    let fits = match kind {
                        OperandKind::RegMem(width) => found == Type::RegMem(width),
                        OperandKind::XmmMem(width) => found == Type::XmmMem(width),
                        _ => found == want,
                    };
                    if !fits && found != Type::Unknown {
                        self.error(wrong(format!("a form that gives {found}")));
                    }
                    return;
                }
                let first = self.errors.len();
                let found = self.typer(scope).infer(expr, Some(&want));
                if found != want && found != Type::Unknown {
                    let conversion = mismatch(span, &want, &found).help;
                    let error = wrong(found.to_string());
                    self.error(match (conversion, kind) {
                        (Some(help), OperandKind::Reg(_) | OperandKind::RegMem(_)) => error.help(help),
                        (_, OperandKind::Xmm(128)) => error.help("`vec(x)` takes a float's whole register"),
                        _ => error,
                    });
                } else if self.errors.len() == first {
                    self.register_view(expr, scope);
                }
            }
            (kind, Arg::Nested(right)) if !matches!(kind, OperandKind::SImm(_) | OperandKind::UImm(_)) => {
                let found = self.right(right, scope, None);
                if found != want && found != Type::Unknown {
                    self.error(wrong(format!("an instruction that gives {found}")));
                }
            }
            (_, arg) => {
                let found = match arg {
                    Arg::Addr(_) => "an address",
                    Arg::Mem { .. } => "a memory operand",
                    _ => "an instruction",
                };
                self.touch(arg, scope);
                self.error(wrong(found.into()));
            }
        }
    }

    /// A condition: a code, or a form that gives one. Whether the flags are there is checked by `flow`.
    fn condition(&mut self, arg: &mut Arg, scope: &mut Scope) {
        let Arg::Expr(expr) = arg else {
            return self.error(Diagnostic::new(arg.span(), "expected a condition").help("write `cc.e`, or `cond(c)`"));
        };
        if let Some(found) = self.form_call(expr, scope) {
            if found != Type::Cond && found != Type::Unknown {
                self.error(mismatch(expr.span, &Type::Cond, &found));
            }
            return;
        }
        self.typer(scope).expect(expr, &Type::Cond);
        if expr.ty == Type::Cond && !matches!(&expr.kind, ExprKind::Var(name) if name.starts_with("cc.")) {
            self.error(Diagnostic::new(expr.span, "a condition must be known here").help("write `cc.e`, or `cond(c)`"));
        }
    }

    fn address(&mut self, arg: &mut Arg, scope: &mut Scope) {
        match arg {
            Arg::Addr(literal) => self.addr(literal, scope),
            Arg::Expr(expr) => match self.form_call(expr, scope) {
                Some(Type::Addr | Type::Unknown) => {}
                Some(found) => self.error(mismatch(expr.span, &Type::Addr, &found)),
                None => {
                    self.typer(scope).infer(expr, Some(&Type::Unknown));
                    self.error(
                        Diagnostic::new(expr.span, "expected an address")
                            .help("write `[base + offset]`, or a form that gives addr"),
                    );
                }
            },
            other => self.error(Diagnostic::new(other.span(), "expected an address")),
        }
    }

    fn addr(&mut self, literal: &mut AddrLit, scope: &mut Scope) {
        let (mut bases, mut scaled, mut displacements) = (0, 0, 0);
        for (part, scale) in &mut literal.parts {
            if !matches!(*scale, 1 | 2 | 4 | 8) {
                self.errors.push(Diagnostic::new(part.span, format!("a scale of {scale}")).help("scales are 1, 2, 4, 8"));
            }
            if let ExprKind::Var(name) = &part.kind
                && (name == "mem0" || name == "instance")
            {
                part.ty = Type::Bits(64);
                if !self.roles.contains(name) {
                    self.errors.push(
                        Diagnostic::new(part.span, format!("no register has the role `{name}`"))
                            .help(format!("declare it in sandbox.rules: `role {name} = r15`")),
                    );
                }
                bases += 1;
                scaled += usize::from(*scale != 1);
                continue;
            }
            if is_run_time(part, scope) {
                let first = self.errors.len();
                self.typer(scope).expect(part, &Type::Bits(64));
                if self.errors.len() == first {
                    self.register_view(part, scope);
                }
                bases += 1;
                scaled += usize::from(*scale != 1);
            } else {
                self.typer(scope).expect(part, &Type::Bits(32));
                self.compile_time(part, scope);
                if *scale != 1 {
                    self.errors.push(
                        Diagnostic::new(part.span, "a scale belongs to a register")
                            .help("put a product in parentheses: `[x + (c * 4)]`"),
                    );
                }
                displacements += 1;
            }
        }
        if bases > 2 || scaled > 1 || displacements > 1 {
            self.error(Diagnostic::new(literal.span, "no addressing mode has this shape").help(
                "an address is base + index*scale + displacement, each at most once; add numbers in parentheses: `(c + k)`",
            ));
        }
    }

    /// A right side; gives its type, `wanted` being that of the block.
    fn right(&mut self, right: &mut Right, scope: &mut Scope, wanted: Option<&Type>) -> Type {
        match right {
            Right::Var(name) => self.plain(name, scope, wanted),
            Right::Apply { name, args, .. } => self.apply(&name.clone(), args, scope),
            Right::Addr(literal) => {
                self.addr(literal, scope);
                Type::Addr
            }
            Right::Mem { width, address, .. } => {
                self.address(address, scope);
                if matches!(wanted, Some(Type::XmmMem(_))) { Type::XmmMem(*width) } else { Type::RegMem(*width) }
            }
            Right::Const(expr) => {
                self.typer(scope).infer(expr, Some(&Type::Unknown));
                self.error(
                    Diagnostic::new(expr.span, "`const` builds an operator, which only simplify rules do")
                        .help("load a number with an instruction that takes an immediate"),
                );
                Type::Unknown
            }
            Right::Seq { steps, span } => {
                let span = *span;
                if wanted.is_none() {
                    self.error(Diagnostic::new(span, "a sequence inside another").help("name its steps in the outer one"));
                }
                let count = steps.len();
                let mut result = Type::Tuple(Vec::new());
                for (number, step) in steps.iter_mut().enumerate() {
                    let Some(ty) = self.step(step, scope, wanted) else { continue };
                    result = ty;
                    if number + 1 != count
                        && let Step::Yield(_, span) = step
                    {
                        self.errors.push(Diagnostic::new(*span, "`yield` must be the last step").label("steps follow it"));
                        result = Type::Unknown;
                    }
                }
                result
            }
        }
    }

    /// A right side that is one word: an instruction without inputs, or a value.
    fn plain(&mut self, name: &Name, scope: &mut Scope, wanted: Option<&Type>) -> Type {
        if self.insts.contains_key(name.text.as_str()) {
            return self.apply(&name.clone(), &mut [], scope);
        }
        if !scope.names.contains_key(&name.text) {
            let candidates = scope.names.keys().map(String::as_str).chain(self.insts.keys().copied());
            let error = Diagnostic::new(name.span, format!("`{}` is neither an instruction nor bound here", name.text));
            let error = match nearest(&name.text, candidates) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error,
            };
            self.error(error);
            return Type::Unknown;
        }
        let mut expr = Expr { kind: ExprKind::Var(name.text.clone()), ty: Type::Unknown, span: name.span };
        let ty = self.typer(scope).infer(&mut expr, None);
        self.register_view(&expr, scope);
        match (wanted, &ty) {
            (Some(Type::RegMem(width)), Type::Bits(found)) if width == found => Type::RegMem(*width),
            (Some(Type::XmmMem(32)), Type::F32) => Type::XmmMem(32),
            (Some(Type::XmmMem(64)), Type::F64) => Type::XmmMem(64),
            _ => ty,
        }
    }

    /// A step; gives the type of what it yields, if it does.
    fn step(&mut self, step: &mut Step, scope: &mut Scope, wanted: Option<&Type>) -> Option<Type> {
        match step {
            Step::Let(names, right) => {
                let span = right.span();
                let types = match self.right(right, scope, None) {
                    Type::Tuple(types) => types,
                    Type::Unknown => vec![Type::Unknown; names.len()],
                    ty => vec![ty],
                };
                if names.len() != types.len() {
                    let (expected, found) = (types.len(), names.len());
                    let s = if expected == 1 { "" } else { "s" };
                    let first = names.first().map_or(span, |name| name.span);
                    self.error(
                        Diagnostic::new(first, format!("{found} named, but the instruction writes {expected} register{s}"))
                            .other(span, "this instruction"),
                    );
                }
                for (name, ty) in names.iter().zip(types) {
                    if name.text != "_" {
                        self.bind(name, ty, Stage::Run, scope);
                    }
                }
                None
            }
            Step::Do(right) => {
                let ty = self.right(right, scope, None);
                let nothing = matches!(&ty, Type::Tuple(types) if types.is_empty());
                if !nothing && ty != Type::Unknown {
                    let span = right.span();
                    self.error(
                        Diagnostic::new(span, format!("the result of this step is not used: {ty}"))
                            .help("bind it: `let _ = …`"),
                    );
                }
                None
            }
            Step::TrapIf { code, cond, .. } => {
                super::item::trap_known(&self.traps, code, self.errors);
                self.condition(cond, scope);
                None
            }
            Step::Branch { first, second, .. } => {
                self.condition(first, scope);
                if let Some((_, second)) = second {
                    self.condition(second, scope);
                }
                None
            }
            Step::Yield(value, _) => Some(self.yielded(value, scope, wanted)),
        }
    }

    fn yielded(&mut self, value: &mut Arg, scope: &mut Scope, wanted: Option<&Type>) -> Type {
        if wanted == Some(&Type::Cond) {
            self.condition(value, scope);
            return Type::Cond;
        }
        match value {
            Arg::Addr(literal) => {
                self.addr(literal, scope);
                Type::Addr
            }
            Arg::Expr(expr) => {
                if let Some(found) = self.form_call(expr, scope) {
                    if found == Type::Unknown {
                        return found;
                    }
                    let span = expr.span;
                    self.error(
                        Diagnostic::new(span, format!("a form that gives {found} cannot be yielded"))
                            .help("give it to an instruction as an operand"),
                    );
                    return Type::Unknown;
                }
                let inner = match wanted {
                    Some(Type::RegMem(width)) => Type::Bits(*width),
                    Some(Type::XmmMem(32)) => Type::F32,
                    Some(Type::XmmMem(_)) => Type::F64,
                    Some(other) => other.clone(),
                    None => Type::Unknown,
                };
                let found = self.typer(scope).infer(expr, Some(&inner));
                match &expr.kind {
                    ExprKind::Tuple(parts) => parts.iter().for_each(|part| self.register_view(part, scope)),
                    _ => self.register_view(expr, scope),
                }
                match wanted {
                    Some(wanted) if found == inner => wanted.clone(),
                    _ => found,
                }
            }
            other => {
                let span = other.span();
                self.error(Diagnostic::new(span, "only a value, an address or a condition can be yielded"));
                Type::Unknown
            }
        }
    }
}
