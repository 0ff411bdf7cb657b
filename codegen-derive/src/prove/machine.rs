//! Right sides of lowering rules and forms, executed symbolically over the descriptions of their instructions.
//!
//! A general register is 64 bits: a write of 32 bits clears the upper half, one of 8 or 16 bits leaves the bits above as they
//! were, which is anything in a register that is only written. Above the lane that a float instruction writes there may be
//! anything. Instructions act in the order in which they are emitted: operands from left to right, then the condition, then
//! the instruction. A form is known by its `ensures` alone; it may write the flags, and load what was folded into it.

use super::left::{Bound, Builder, Shown, Step};
use super::meaning::{Condition, Flags, Meant, Scope, Value, width};
use super::term::{Op as Operation, Sort, Term};
use crate::ast::*;

/// What an operand of an instruction is.
enum Input {
    Value(Term),
    Address(Term),
    Memory { address: Term, width: u16 },
    Condition(Condition),
}

/// What a right side gives.
pub enum Given {
    /// Registers with their types.
    Registers(Vec<(Term, Type)>),
    Address(Term),
    Condition(Condition),
    /// An operand of a form: its value.
    Operand(Term),
}

pub fn type_of(kind: OperandKind) -> Type {
    match kind {
        OperandKind::Reg(width) | OperandKind::RegMem(width) | OperandKind::Mem(width) => Type::Bits(width),
        OperandKind::Xmm(32) | OperandKind::XmmMem(32) => Type::F32,
        OperandKind::Xmm(64) | OperandKind::XmmMem(64) => Type::F64,
        OperandKind::Xmm(width) | OperandKind::XmmMem(width) => Type::Bits(width),
        OperandKind::SImm(width) | OperandKind::UImm(width) => Type::Bits(width),
        OperandKind::Addr | OperandKind::Label => Type::Bits(64),
        OperandKind::Cc => Type::Cond,
    }
}

/// Where a form's promise says what it gives: `ea == e`, `bits(value) == bits(e)`.
fn promised<'e>(ensures: &'e Expr, name: &str) -> Option<&'e Expr> {
    let ExprKind::Binary(BinaryOp::Eq, left, right) = &ensures.kind else { return None };
    let (mut left, mut right) = (&**left, &**right);
    if let (ExprKind::Call(a, one), ExprKind::Call(b, other)) = (&left.kind, &right.kind)
        && a.text == "bits"
        && b.text == "bits"
    {
        (left, right) = (one.first()?, other.first()?);
    }
    let float = matches!(left.ty, Type::F32 | Type::F64)
        && matches!(ensures.kind, ExprKind::Binary(_, ref whole, _) if whole.ty == left.ty);
    (!float && matches!(&left.kind, ExprKind::Var(given) if given == name)).then_some(right)
}

impl Builder<'_> {
    fn source(&self, span: Span) -> String {
        let text = self.spec.files.get(span.file as usize).map_or("", |(_, text)| text.as_str());
        let text = text.get(span.start as usize..span.end as usize).unwrap_or("");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    // -- operands --

    /// The whole register that a view such as `zext64(x)` or `x[7:0]` names.
    fn register(&mut self, expr: &Expr) -> Meant<Term> {
        match &expr.kind {
            ExprKind::Var(name) => match self.names.get(name) {
                Some(Bound::Value { register, .. } | Bound::Register { register, .. }) => Ok(*register),
                Some(Bound::Number(_)) => Err(format!("`{name}` is in no register")),
                None if self.spec.roles.iter().any(|role| role.name.text == *name) => Ok(self.role(name)),
                None => Err(format!("`{name}` is not bound")),
            },
            ExprKind::Slice(inner, _, 0) => self.register(inner),
            ExprKind::Call(name, args) if matches!(name.text.as_str(), "zext64" | "vec" | "low_f32" | "low_f64") => {
                let inner = args.first().ok_or("a view of nothing")?;
                self.register(inner)
            }
            _ => Err("this names no register".into()),
        }
    }

    /// A number known when the rule is applied.
    fn number(&mut self, expr: &Expr) -> Meant<Term> {
        let scope = self.numbers();
        self.meaning.term(expr, &scope)
    }

    fn form(&self, expr: &Expr) -> Option<(String, Vec<Expr>)> {
        match &expr.kind {
            ExprKind::Call(name, args) if self.forms.contains_key(name.text.as_str()) => {
                Some((name.text.clone(), args.clone()))
            }
            _ => None,
        }
    }

    /// What a form gives, by its promise.
    fn promise(&mut self, name: &str, args: &[Expr]) -> Meant<Value> {
        let form = self.forms.get(name).copied().ok_or_else(|| format!("no form `{name}`"))?;
        let mut scope = Scope::new();
        for (param, arg) in form.params.iter().zip(args) {
            let ExprKind::Var(arg) = &arg.kind else { return Err("a form takes values".into()) };
            match self.names.get(arg) {
                Some(Bound::Value { term, .. }) => scope.insert(param.name.text.clone(), Value::Term(*term)),
                _ => return Err(format!("`{arg}` is no value")),
            };
        }
        for (param, arg) in form.immediates.iter().zip(args.iter().skip(form.params.len())) {
            let number = self.number(arg)?;
            scope.insert(param.name.text.clone(), Value::Term(number));
        }
        if !matches!(form.result, Type::Addr) {
            self.effects.fold(&mut self.meaning.graph);
        }
        self.flags = self.meaning.any_flags();
        let ensures = form.ensures.as_ref().ok_or("a form without a promise")?;
        let (name, sort) = match form.result {
            Type::Addr => ("ea", Sort::Bits(64)),
            Type::Cond => {
                let holds = self.graph().variable("condition of a form", Sort::Bool);
                let condition = Value::Condition(Condition::Holds(holds));
                scope.insert("cc".into(), condition.clone());
                scope.insert("flags".into(), Value::Flags(self.flags));
                let promise = self.meaning.term(ensures, &scope)?;
                self.assumed.push(promise);
                return Ok(condition);
            }
            _ => ("value", Sort::Bits(width(&form.result))),
        };
        if let Some(value) = promised(ensures, name) {
            return self.meaning.value(value, &scope);
        }
        let value = self.graph().variable(format!("result of {}", form.name.text), sort);
        scope.insert(name.into(), Value::Term(value));
        let promise = self.meaning.term(ensures, &scope)?;
        self.assumed.push(promise);
        Ok(Value::Term(value))
    }

    fn address_literal(&mut self, literal: &AddrLit) -> Meant<Term> {
        let mut sum = self.graph().bits(0, 64);
        for (part, scale) in &literal.parts {
            let part = if part.ty == Type::Bits(64) {
                let register = self.register(part)?;
                if self.graph().width(register) != 64 {
                    return Err("a vector register in an address".into());
                }
                // A scale is a shift in hardware.
                let shift = self.graph().bits(u128::from(scale.trailing_zeros()), 64);
                self.graph().binary(Operation::ShiftLeft, register, shift)
            } else {
                let displacement = self.number(part)?;
                self.graph().extend(Operation::SignExtend, displacement, 64)
            };
            sum = self.graph().binary(Operation::Add, sum, part);
        }
        Ok(sum)
    }

    fn address(&mut self, arg: &Arg) -> Meant<Term> {
        match arg {
            Arg::Addr(literal) => self.address_literal(literal),
            Arg::Expr(expr) => match self.form(expr) {
                Some((name, args)) => match self.promise(&name, &args)? {
                    Value::Term(term) => Ok(term),
                    _ => Err(format!("`{name}` gives no address")),
                },
                None => Err("an address is wanted".into()),
            },
            _ => Err("an address is wanted".into()),
        }
    }

    fn condition(&mut self, arg: &Arg) -> Meant<Condition> {
        let Arg::Expr(expr) = arg else { return Err("a condition is wanted".into()) };
        if let Some((name, args)) = self.form(expr) {
            return match self.promise(&name, &args)? {
                Value::Condition(condition) => Ok(condition),
                _ => Err(format!("`{name}` gives no condition")),
            };
        }
        match &expr.kind {
            ExprKind::Var(name) if name.starts_with("cc.") => Ok(Condition::Code(name[3..].into())),
            _ => Err("a condition is wanted".into()),
        }
    }

    fn operand(&mut self, arg: &Arg, kind: OperandKind) -> Meant<Input> {
        let wide = width(&type_of(kind));
        Ok(match (kind, arg) {
            (OperandKind::Cc, arg) => Input::Condition(self.condition(arg)?),
            (OperandKind::Addr, arg) => Input::Address(self.address(arg)?),
            (OperandKind::Mem(width), arg) => Input::Memory { address: self.address(arg)?, width },
            (OperandKind::RegMem(_) | OperandKind::XmmMem(_), Arg::Mem { width, .. }) if *width != wide => {
                return Err("a memory operand of another width".into());
            }
            (_, Arg::Mem { width, address, .. }) => Input::Memory { address: self.address(address)?, width: *width },
            (OperandKind::SImm(_) | OperandKind::UImm(_), Arg::Expr(expr)) => {
                let number = self.number(expr)?;
                Input::Value(number)
            }
            (_, Arg::Expr(expr)) => match self.form(expr) {
                Some((name, args)) => match self.promise(&name, &args)? {
                    Value::Term(term) => Input::Value(term),
                    _ => return Err(format!("`{name}` gives no operand")),
                },
                None => {
                    let register = self.register(expr)?;
                    if self.graph().width(register) < wide {
                        return Err("a general register where a vector register is wanted".into());
                    }
                    Input::Value(self.graph().low(register, wide))
                }
            },
            (_, Arg::Nested(right)) => {
                let given = self.instruction(right)?;
                let (register, _) = given.first().cloned().ok_or("an instruction that gives nothing")?;
                if self.graph().width(register) < wide {
                    return Err("a general register where a vector register is wanted".into());
                }
                Input::Value(self.graph().low(register, wide))
            }
            _ => return Err("an operand of another kind is wanted".into()),
        })
    }

    // -- instructions --

    /// A register after a write of its lower bits, `before` being what stood there.
    fn written(&mut self, name: &str, kind: OperandKind, value: Term, before: Option<Term>) -> Term {
        let wide = self.graph().width(value);
        let full = if matches!(kind, OperandKind::Xmm(_)) { 128 } else { 64 };
        match (full, wide) {
            (64, 32) => self.graph().extend(Operation::ZeroExtend, value, 64),
            _ if wide == full => value,
            _ => {
                let above = match before {
                    Some(before) if full == 64 => self.graph().extract(before, full - 1, wide),
                    _ => self.graph().variable(format!("bits above {name}"), Sort::Bits(full - wide)),
                };
                self.graph().concat(above, value)
            }
        }
    }

    /// An instruction as a right side or operand.
    fn instruction(&mut self, right: &Right) -> Meant<Vec<(Term, Type)>> {
        match right {
            Right::Apply { name, args, span } => self.execute(name, args, *span),
            Right::Var(name) if self.insts.contains_key(name.text.as_str()) => self.execute(name, &[], name.span),
            Right::Var(name) => match self.names.get(&name.text) {
                Some(Bound::Register { register, ty }) => Ok(vec![(*register, ty.clone())]),
                Some(Bound::Value { term, register }) => {
                    let (term, register) = (*term, *register);
                    let ty = match (self.graph().width(register), self.graph().width(term)) {
                        (128, 32) => Type::F32,
                        (128, _) => Type::F64,
                        (_, width) => Type::Bits(width),
                    };
                    Ok(vec![(register, ty)])
                }
                _ => Err(format!("`{}` is in no register", name.text)),
            },
            _ => Err("an instruction is wanted".into()),
        }
    }

    /// Executes an instruction; gives the registers it writes.
    fn execute(&mut self, name: &Name, args: &[Arg], span: Span) -> Meant<Vec<(Term, Type)>> {
        let inst = self.insts.get(name.text.as_str()).copied().ok_or_else(|| format!("no instruction `{}`", name.text))?;
        let mut given = args.iter();
        let mut taken: Vec<(&Operand, &Arg)> = Vec::new();
        for operand in inst.operands.iter().filter(|operand| matches!(operand.mode, Mode::Use | Mode::InOut)) {
            taken.push((operand, given.next().ok_or_else(|| format!("`{}` takes more operands", name.text))?));
        }
        // The condition comes last, so that the flags reach it.
        taken.sort_by_key(|(operand, _)| operand.kind == OperandKind::Cc);
        let mut scope = Scope::new();
        let mut memory: Option<(&str, Term, u16)> = None;
        let mut before: Vec<(&str, Term)> = Vec::new();
        for (operand, arg) in taken {
            let input = self.operand(arg, operand.kind)?;
            if let Input::Value(value) = input
                && self.graph().width(value) != width(&type_of(operand.kind))
            {
                return Err(format!("operand `{}` has another width", operand.name.text));
            }
            let name = operand.name.text.as_str();
            let value = match input {
                Input::Value(value) | Input::Address(value) => Value::Term(value),
                Input::Condition(condition) => Value::Condition(condition),
                Input::Memory { address, width } => {
                    memory = Some((name, address, width));
                    continue;
                }
            };
            if operand.mode == Mode::InOut
                && let Arg::Expr(expr) = arg
                && self.form(expr).is_none()
                && let Ok(register) = self.register(expr)
            {
                before.push((name, register));
            }
            scope.insert(name.into(), value);
        }
        if let Some((operand, address, width)) = memory
            && crate::check::reads(inst, operand)
        {
            let value = self.effects.access(&mut self.meaning.graph, width, address, None);
            scope.insert(operand.into(), Value::Term(value));
        }
        scope.insert("flags".into(), Value::Flags(self.flags));
        let live = self.effects.live();
        let mut outputs: Vec<(&str, Term)> = Vec::new();
        let mut flags: Option<Flags> = None;
        let mut undefined: Vec<(&str, Term)> = Vec::new();
        for stmt in &inst.body {
            match stmt {
                InstStmt::Let(name, value) => {
                    let value = self.meaning.value(value, &scope)?;
                    scope.insert(name.text.clone(), value);
                }
                InstStmt::Requires(condition) => {
                    let condition = self.meaning.term(condition, &scope)?;
                    let what = format!("what `{}` requires of its operands", name.text);
                    self.effects.require(&mut self.meaning.graph, what, condition);
                }
                InstStmt::Fault(fault, condition) => {
                    let condition = self.meaning.term(condition, &scope)?;
                    let none = self.graph().not(condition);
                    let what = format!("`{}` does not fault ({})", name.text, fault.text);
                    self.effects.require(&mut self.meaning.graph, what, none);
                }
                InstStmt::Assign(to, value) => {
                    let value = self.meaning.term(value, &scope)?;
                    match memory {
                        Some((operand, address, width)) if operand == to.text => {
                            self.effects.access(&mut self.meaning.graph, width, address, Some(value));
                        }
                        _ => outputs.push((&to.text, value)),
                    }
                }
                InstStmt::Undefined(to, condition) => {
                    let condition = self.meaning.term(condition, &scope)?;
                    undefined.push((&to.text, condition));
                }
                InstStmt::Flags(value) => match self.meaning.value(value, &scope)? {
                    Value::Flags(new) => flags = Some(new),
                    _ => return Err("flags are wanted".into()),
                },
                InstStmt::FlagsUndefined(_) => flags = Some(self.meaning.any_flags()),
                // Registers are virtual here: what is clobbered holds no operand.
                InstStmt::Clobber(_) => {}
                InstStmt::Jump(..) | InstStmt::Transfer(..) => return Err("a rule does not transfer control".into()),
            }
        }
        if let Some(flags) = flags {
            self.flags = flags;
        }
        let mut result = Vec::new();
        let mut gives = Vec::new();
        for operand in inst.operands.iter().filter(|operand| operand.mode != Mode::Use) {
            let name = operand.name.text.as_str();
            let value = outputs.iter().find(|(written, _)| *written == name).map(|(_, value)| *value);
            let value = value.ok_or_else(|| format!("`{name}` is never written"))?;
            let before = before.iter().find(|(known, _)| *known == name).map(|(_, register)| *register);
            let mut register = self.written(name, operand.kind, value, before);
            for (_, condition) in undefined.iter().filter(|(to, _)| *to == name) {
                let wide = self.graph().width(register);
                let any = self.graph().variable(format!("undefined {name}"), Sort::Bits(wide));
                register = self.graph().select(*condition, any, register);
            }
            let ty = type_of(operand.kind);
            let shown = if matches!(ty, Type::F32 | Type::F64) { self.graph().low(register, width(&ty)) } else { register };
            gives.push(Shown { name: name.into(), ty: shown_type(&ty, operand.kind), term: shown });
            result.push((register, ty));
        }
        // What is run for its flags shows them.
        if let (true, Some(flags)) = (gives.is_empty(), flags) {
            let Flags { carry, zero, sign, overflow, parity } = flags;
            let flags = [("carry", carry), ("zero", zero), ("sign", sign), ("overflow", overflow), ("parity", parity)];
            gives.extend(flags.map(|(name, term)| Shown { name: name.into(), ty: Type::Bool, term }));
        }
        let text = self.source(span);
        self.steps.push(Step { text, gives, live });
        Ok(result)
    }

    // -- right sides --

    /// Executes a right side; `sort` is what the block gives.
    pub fn right(&mut self, right: &Right, sort: &Type) -> Meant<Given> {
        match right {
            Right::Addr(literal) => Ok(Given::Address(self.address_literal(literal)?)),
            Right::Mem { width, address, .. } => {
                let address = self.address(address)?;
                Ok(Given::Operand(self.effects.access(&mut self.meaning.graph, *width, address, None)))
            }
            Right::Seq { steps, .. } => {
                let mut given = Given::Registers(Vec::new());
                for step in steps {
                    if let Some(result) = self.step(step, sort)? {
                        given = result;
                    }
                }
                Ok(given)
            }
            right => {
                let given = self.instruction(right)?;
                Ok(self.as_operand(given, sort))
            }
        }
    }

    /// A register as the operand that a form gives.
    fn as_operand(&mut self, given: Vec<(Term, Type)>, sort: &Type) -> Given {
        match (given.as_slice(), sort) {
            (&[(register, _)], Type::RegMem(width) | Type::XmmMem(width)) => {
                Given::Operand(self.graph().low(register, *width))
            }
            _ => Given::Registers(given),
        }
    }

    fn step(&mut self, step: &crate::ast::Step, sort: &Type) -> Meant<Option<Given>> {
        match step {
            crate::ast::Step::Let(names, right) => {
                let given = self.instruction(right)?;
                if let Some(step) = self.steps.last_mut() {
                    for (shown, name) in step.gives.iter_mut().zip(names) {
                        shown.name = name.text.clone();
                    }
                }
                for (name, (register, ty)) in names.iter().zip(given) {
                    if name.text != "_" {
                        self.names.insert(name.text.clone(), Bound::Register { register, ty });
                    }
                }
                Ok(None)
            }
            crate::ast::Step::Do(right) => {
                self.instruction(right)?;
                Ok(None)
            }
            crate::ast::Step::TrapIf { code, cond, span } => {
                let (number, live) = (self.trap_number(&code.text)?, self.effects.live());
                let condition = self.condition(cond)?;
                let fires = self.meaning.holds(&condition, &self.flags)?;
                self.effects.trap(&mut self.meaning.graph, fires, number);
                let gives = vec![Shown { name: "traps".into(), ty: Type::Bool, term: fires }];
                let text = self.source(*span);
                self.steps.push(Step { text, gives, live });
                Ok(None)
            }
            crate::ast::Step::Branch { first, second, .. } => {
                let first = self.condition(first)?;
                let mut taken = self.meaning.holds(&first, &self.flags)?;
                if let Some((join, second)) = second {
                    let second = self.condition(second)?;
                    let second = self.meaning.holds(&second, &self.flags)?;
                    taken = match join {
                        BranchJoin::And => self.graph().and(taken, second),
                        BranchJoin::Or => self.graph().or(taken, second),
                    };
                }
                Ok(Some(Given::Condition(Condition::Holds(taken))))
            }
            crate::ast::Step::Yield(arg, _) => Ok(Some(match arg {
                Arg::Addr(literal) => Given::Address(self.address_literal(literal)?),
                arg if *sort == Type::Cond => Given::Condition(self.condition(arg)?),
                Arg::Expr(expr) => {
                    let parts = match &expr.kind {
                        ExprKind::Tuple(parts) => parts.iter().collect(),
                        _ => vec![expr],
                    };
                    let mut given = Vec::new();
                    for part in parts {
                        given.push((self.register(part)?, part.ty.clone()));
                    }
                    self.as_operand(given, sort)
                }
                _ => return Err("this cannot be yielded".into()),
            })),
        }
    }
}

/// A general register is shown whole.
fn shown_type(ty: &Type, kind: OperandKind) -> Type {
    if matches!(kind, OperandKind::Reg(_)) { Type::Bits(64) } else { ty.clone() }
}
