//! Instructions: operands, effects, and what the two say of each other.

use super::encoding::Forms;
use super::types::{Globals, Scope, Stage, Typer};
use super::{FEATURES, REGISTERS, register_number, walk};
use crate::ast::*;
use crate::diagnostic::Diagnostic;
use std::collections::HashMap;

/// The type of the value that an operand holds or takes.
pub fn operand_type(kind: OperandKind) -> Type {
    match kind {
        OperandKind::Reg(width) | OperandKind::RegMem(width) | OperandKind::Mem(width) => Type::Bits(width),
        OperandKind::Xmm(32) | OperandKind::XmmMem(32) => Type::F32,
        OperandKind::Xmm(64) | OperandKind::XmmMem(64) => Type::F64,
        OperandKind::Xmm(width) | OperandKind::XmmMem(width) => Type::Bits(width),
        OperandKind::Addr | OperandKind::Label => Type::Bits(64),
        OperandKind::SImm(width) | OperandKind::UImm(width) => Type::Bits(width),
        OperandKind::Cc => Type::Cond,
    }
}

/// An operand's kind, as written.
pub fn kind_name(kind: OperandKind) -> String {
    match kind {
        OperandKind::Reg(width) => format!("r{width}"),
        OperandKind::RegMem(width) => format!("rm{width}"),
        OperandKind::Mem(width) => format!("m{width}"),
        OperandKind::Xmm(width) => format!("xmm{width}"),
        OperandKind::XmmMem(width) => format!("xm{width}"),
        OperandKind::Addr => "addr".into(),
        OperandKind::SImm(width) => format!("simm{width}"),
        OperandKind::UImm(64) => "imm64".into(),
        OperandKind::UImm(width) => format!("uimm{width}"),
        OperandKind::Cc => "cc".into(),
        OperandKind::Label => "label".into(),
    }
}

pub fn feature_known(feature: &Name, errors: &mut Vec<Diagnostic>) {
    if !FEATURES.contains(&feature.text.as_str()) {
        let error = Diagnostic::unknown("CPU feature", feature, FEATURES.iter().copied());
        errors.push(match error.help {
            Some(_) => error,
            None => error.help(format!("features are {}", FEATURES.join(", "))),
        });
    }
}

/// What an effect says of the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagEffect {
    Kept,
    Set,
    Undefined,
}

pub fn flag_effect(inst: &Inst) -> FlagEffect {
    inst.body.iter().fold(FlagEffect::Kept, |before, stmt| match stmt {
        InstStmt::Flags(_) => FlagEffect::Set,
        InstStmt::FlagsUndefined(_) => FlagEffect::Undefined,
        _ => before,
    })
}

/// Checks and types all instructions.
pub fn check(spec: &mut Spec, globals: &mut Globals, errors: &mut Vec<Diagnostic>) {
    let forms = Forms::new();
    let roles: Vec<(String, Span)> = spec.roles.iter().map(|role| (role.register.text.clone(), role.span)).collect();
    for inst in &mut spec.insts {
        let first = errors.len();
        let mut scope = Scope::default();
        operands(inst, &roles, &mut scope, errors);
        encoded(inst, errors);
        if let Some(feature) = &inst.feature {
            feature_known(feature, errors);
        }
        effect(inst, globals, &mut scope, errors);
        if errors.len() == first {
            forms.check(inst, errors);
        }
    }
}

fn operands(inst: &Inst, roles: &[(String, Span)], scope: &mut Scope, errors: &mut Vec<Diagnostic>) {
    let flags = Name { text: "flags".into(), span: inst.name.span };
    scope.bind(&flags, Type::Flags, Stage::Run, errors);
    scope.touch("flags");
    let mut memory: Option<Span> = None;
    let mut fixed: HashMap<&str, (bool, bool, Span)> = HashMap::new();
    for operand in &inst.operands {
        scope.bind(&operand.name, operand_type(operand.kind), Stage::Run, errors);
        let register = matches!(operand.kind, OperandKind::Reg(_) | OperandKind::Xmm(_));
        if operand.mode != Mode::Use && !register {
            errors.push(
                Diagnostic::new(operand.span, "only a register operand may be out or inout")
                    .help("a memory operand is written by assigning to it"),
            );
        }
        if matches!(operand.kind, OperandKind::Mem(_) | OperandKind::RegMem(_) | OperandKind::XmmMem(_) | OperandKind::Addr)
        {
            if let Some(first) = memory {
                errors.push(
                    Diagnostic::new(operand.span, "an instruction has at most one memory operand")
                        .other(first, "the other one"),
                );
            }
            memory = Some(operand.span);
        }
        let Some(name) = &operand.fixed else { continue };
        let vector = matches!(operand.kind, OperandKind::Xmm(_));
        if register_number(&name.text).is_none() {
            errors.push(Diagnostic::unknown("register", name, REGISTERS.iter().copied()));
        } else if !register || name.text.starts_with("xmm") != vector {
            let kind = kind_name(operand.kind);
            errors.push(Diagnostic::new(name.span, format!("an operand of kind {kind} cannot be in `{}`", name.text)));
        }
        if let Some((_, role)) = roles.iter().find(|(register, _)| *register == name.text) {
            errors.push(Diagnostic::new(name.span, format!("`{}` is taken", name.text)).other(*role, "it has this role"));
        }
        // A register may be read by one operand and written by another, but not twice either way.
        let (reads, writes) = (matches!(operand.mode, Mode::Use | Mode::InOut), operand.mode != Mode::Use);
        let early = operand.mode == Mode::EarlyOut;
        if let Some((read, written, span)) = fixed.get(name.text.as_str())
            && (reads && *read || writes && *written || early)
        {
            errors.push(
                Diagnostic::new(operand.span, format!("two operands are in `{}`", name.text)).other(*span, "the other one"),
            );
        }
        let entry = fixed.entry(&name.text).or_insert((false, false, operand.span));
        *entry = (entry.0 || reads, entry.1 || writes, operand.span);
    }
    for stmt in &inst.body {
        if let InstStmt::Clobber(name) = stmt {
            if register_number(&name.text).is_none() {
                errors.push(Diagnostic::unknown("register", name, REGISTERS.iter().copied()));
            }
            if let Some((_, _, span)) = fixed.get(name.text.as_str()) {
                errors.push(
                    Diagnostic::new(name.span, format!("`{}` holds an operand and cannot be clobbered", name.text))
                        .other(*span, "this operand")
                        .help("make the operand `inout`, or bind an `out` operand to the register"),
                );
            }
        }
    }
}

fn encoded(inst: &Inst, errors: &mut Vec<Diagnostic>) {
    let find = |name: &str| inst.operands.iter().find(|operand| operand.name.text == name);
    for operand in &inst.encoded {
        if let EncodedOperand::Operand(name) = operand
            && find(&name.text).is_none()
            && register_number(&name.text).is_none()
        {
            let candidates = inst.operands.iter().map(|operand| operand.name.text.as_str());
            errors.push(Diagnostic::unknown("operand", name, candidates));
        }
    }
    for operand in &inst.operands {
        let named =
            |encoded: &EncodedOperand| matches!(encoded, EncodedOperand::Operand(name) if name.text == operand.name.text);
        let implicit = operand.fixed.is_some() || operand.kind == OperandKind::Cc;
        if !implicit && !inst.encoded.iter().any(named) {
            errors.push(
                Diagnostic::new(operand.span, format!("`{}` is not encoded", operand.name.text))
                    .other(inst.code.span, "its operands do not name it")
                    .help("an operand that is not encoded must be in a fixed register: `in rax`"),
            );
        }
    }
}

fn effect(inst: &mut Inst, globals: &mut Globals, scope: &mut Scope, errors: &mut Vec<Diagnostic>) {
    let mut assigned: HashMap<String, Span> = HashMap::new();
    let mut flags: Option<Span> = None;
    for stmt in &mut inst.body {
        let mut typer = Typer { globals, scope, errors };
        match stmt {
            InstStmt::Let(name, value) => {
                let ty = typer.infer(value, None);
                scope.bind(name, ty, Stage::Run, errors);
            }
            InstStmt::Assign(name, value) => match inst.operands.iter().find(|operand| operand.name.text == name.text) {
                Some(operand) => {
                    typer.expect(value, &operand_type(operand.kind));
                    if operand.mode == Mode::Use && !matches!(operand.kind, OperandKind::Mem(_)) {
                        errors.push(
                            Diagnostic::new(name.span, format!("`{}` is not written by this instruction", name.text))
                                .other(operand.span, "declared here")
                                .help("declare it `out` or `inout`"),
                        );
                    }
                    scope.touch(&name.text);
                    if let Some(first) = assigned.insert(name.text.clone(), name.span) {
                        errors.push(
                            Diagnostic::new(name.span, format!("`{}` is written twice", name.text))
                                .other(first, "first here"),
                        );
                    }
                }
                None => {
                    typer.infer(value, Some(&Type::Unknown));
                    let candidates = inst.operands.iter().map(|operand| operand.name.text.as_str());
                    errors.push(Diagnostic::unknown("operand", name, candidates));
                }
            },
            InstStmt::Flags(value) => {
                typer.expect(value, &Type::Flags);
                twice(&mut flags, value.span, errors);
            }
            InstStmt::FlagsUndefined(span) => twice(&mut flags, *span, errors),
            InstStmt::Fault(_, condition) | InstStmt::Requires(condition) => typer.expect(condition, &Type::Bool),
            InstStmt::Undefined(name, condition) => {
                typer.expect(condition, &Type::Bool);
                let written = |operand: &&Operand| operand.name.text == name.text && operand.mode != Mode::Use;
                if !inst.operands.iter().any(|operand| written(&operand)) {
                    let candidates = inst.operands.iter().filter(|operand| operand.mode != Mode::Use);
                    let candidates = candidates.map(|operand| operand.name.text.as_str());
                    errors.push(Diagnostic::unknown("register that this instruction writes:", name, candidates));
                }
            }
            InstStmt::Jump(target, condition) => {
                if let Some(condition) = condition {
                    typer.expect(condition, &Type::Bool);
                }
                transfer_target(&inst.operands, target, scope, errors);
            }
            InstStmt::Transfer(what, span) => {
                if let Some(target) = what.text.strip_prefix("call ") {
                    let start = span.end.saturating_sub(target.len() as u32);
                    let target = Name { text: target.to_string(), span: Span { start, ..*span } };
                    transfer_target(&inst.operands, &target, scope, errors);
                }
            }
            InstStmt::Clobber(_) => {}
        }
    }
    for operand in &inst.operands {
        if operand.mode != Mode::Use && !assigned.contains_key(&operand.name.text) {
            scope.touch(&operand.name.text);
            errors.push(
                Diagnostic::new(operand.span, format!("the effect never writes `{}`", operand.name.text))
                    .help(format!("add `{} = …`", operand.name.text)),
            );
        }
        if matches!(operand.mode, Mode::Out | Mode::EarlyOut) {
            reads_of(inst, operand, errors);
        }
    }
    unused_inputs(inst, scope, errors);
}

fn twice(flags: &mut Option<Span>, span: Span, errors: &mut Vec<Diagnostic>) {
    if let Some(first) = flags.replace(span) {
        errors.push(Diagnostic::new(span, "the flags are written twice").other(first, "first here"));
    }
}

fn transfer_target(operands: &[Operand], target: &Name, scope: &mut Scope, errors: &mut Vec<Diagnostic>) {
    scope.touch(&target.text);
    match operands.iter().find(|operand| operand.name.text == target.text) {
        None => {
            let candidates = operands.iter().map(|operand| operand.name.text.as_str());
            errors.push(Diagnostic::unknown("operand", target, candidates));
        }
        Some(operand) => {
            if !matches!(operand.kind, OperandKind::Label | OperandKind::Reg(64) | OperandKind::Mem(64)) {
                errors.push(
                    Diagnostic::new(
                        target.span,
                        format!("control cannot go to an operand of kind {}", kind_name(operand.kind)),
                    )
                    .other(operand.span, "declared here")
                    .help("a target is a label, an r64 or an m64"),
                );
            }
        }
    }
}

/// Every expression of an effect.
fn expressions(inst: &Inst) -> impl Iterator<Item = &Expr> {
    inst.body.iter().filter_map(|stmt| match stmt {
        InstStmt::Let(_, value)
        | InstStmt::Assign(_, value)
        | InstStmt::Flags(value)
        | InstStmt::Fault(_, value)
        | InstStmt::Requires(value)
        | InstStmt::Undefined(_, value) => Some(value),
        InstStmt::Jump(_, condition) => condition.as_ref(),
        InstStmt::FlagsUndefined(_) | InstStmt::Clobber(_) | InstStmt::Transfer(..) => None,
    })
}

/// Whether an effect reads a name.
pub fn reads(inst: &Inst, name: &str) -> bool {
    let mut found = false;
    for expr in expressions(inst) {
        walk(expr, &mut |part| found |= matches!(&part.kind, ExprKind::Var(read) if read == name));
    }
    found
}

/// An output has no value that the effect could read.
fn reads_of(inst: &Inst, operand: &Operand, errors: &mut Vec<Diagnostic>) {
    let name = &operand.name.text;
    let mut place = None;
    for expr in expressions(inst) {
        walk(expr, &mut |part| {
            if matches!(&part.kind, ExprKind::Var(read) if read == name) {
                place = place.or(Some(part.span));
            }
        });
    }
    if let Some(span) = place {
        errors.push(
            Diagnostic::new(span, format!("`{name}` has no value before this instruction"))
                .other(operand.span, "it is only written")
                .help("declare it `inout` if the instruction reads it"),
        );
    }
}

/// Inputs must matter, unless the effect is one that this language does not describe in full: a transfer of control, a
/// register named in the encoding.
fn unused_inputs(inst: &Inst, scope: &Scope, errors: &mut Vec<Diagnostic>) {
    let transfer = inst.body.iter().any(|stmt| matches!(stmt, InstStmt::Transfer(..) | InstStmt::Jump(..)));
    let named = inst.encoded.iter().any(|operand| match operand {
        EncodedOperand::Operand(name) => !inst.operands.iter().any(|operand| operand.name.text == name.text),
        EncodedOperand::Literal(..) => false,
    });
    if transfer || named {
        return;
    }
    for (name, binding) in &scope.names {
        if !binding.used {
            errors.push(
                Diagnostic::new(binding.span, format!("the effect does not use `{name}`"))
                    .help("say what the instruction does with it"),
            );
        }
    }
}
