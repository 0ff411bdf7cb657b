//! Everything about a specification that can be decided without a solver.
//!
//! Takes a parsed [`Spec`], writes the type of every expression, and gives all errors found: names that are unknown,
//! defined twice or never used, types and widths, operand sorts, CPU features, flags that do not reach their reader,
//! rules that can never apply, blocks whose last rule may not apply. A specification without errors can be emitted
//! without further checks.

mod rules;
mod types;

pub use types::{Stage, condition_code, is_builtin};

use crate::ast::*;
use crate::diagnostic::{Diagnostic, nearest};
use std::collections::{HashMap, HashSet};
use types::{Globals, Scope, Typer, unused};

pub const FEATURES: &[&str] = &["cpu.lzcnt", "cpu.bmi1", "cpu.bmi2", "cpu.avx", "cpu.avx2", "cpu.fma", "cpu.movbe"];

pub const REGISTERS: &[&str] = &[
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];

/// Hardware number of a general or vector register.
pub fn register_number(name: &str) -> Option<u8> {
    if let Some(at) = REGISTERS.iter().position(|register| *register == name) {
        return Some(at as u8);
    }
    name.strip_prefix("xmm")?.parse().ok().filter(|number| *number < 16)
}

/// Checks and types a specification.
pub fn check(spec: &mut Spec) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    duplicates(spec, &mut errors);
    let mut globals = Globals { functions: HashMap::new(), used_functions: HashSet::new(), numbers: numbers(spec) };
    for function in &spec.functions {
        let params = function.params.iter().map(|param| param.ty.clone()).collect();
        globals.functions.insert(function.name.text.clone(), (params, function.result.clone(), function.span));
        if is_builtin(&function.name.text) {
            errors.push(Diagnostic::new(function.name.span, format!("`{}` is a built-in function", function.name.text)));
        }
    }
    functions(spec, &mut globals, &mut errors);
    operators(spec, &mut globals, &mut errors);
    instructions(spec, &mut globals, &mut errors);
    let used = rules::check(spec, &mut globals, &mut errors);
    unused_items(spec, &globals, &used, &mut errors);
    errors
}

/// Names of layout offsets and sizes: `layout.slot.code`, `layout.slot.size`, and `const` items.
pub fn numbers(spec: &Spec) -> HashMap<String, i128> {
    let mut numbers = HashMap::new();
    for constant in &spec.constants {
        numbers.insert(format!("layout.{}", constant.name.text), constant.value);
    }
    for layout in &spec.layouts {
        let mut offset = 0i128;
        for field in &layout.fields {
            let size = field_size(spec, &field.ty.text).unwrap_or(8) as i128;
            if layout.descending {
                if field.count.is_some() {
                    break;
                }
                offset -= size;
                numbers.insert(format!("layout.{}.{}", layout.name.text, field.name.text), offset);
            } else {
                numbers.insert(format!("layout.{}.{}", layout.name.text, field.name.text), offset);
                offset += size;
            }
        }
        if !layout.descending {
            numbers.insert(format!("layout.{}.size", layout.name.text), offset);
        }
    }
    numbers
}

/// Bytes of a field's type: i32, i64 or a record.
pub fn field_size(spec: &Spec, ty: &str) -> Option<u32> {
    match ty {
        "i32" => Some(4),
        "i64" => Some(8),
        _ => {
            let record = spec.layouts.iter().find(|layout| layout.name.text == ty && !layout.descending)?;
            Some(record.fields.iter().map(|field| if field.ty.text == "i32" { 4 } else { 8 }).sum())
        }
    }
}

fn duplicates(spec: &Spec, errors: &mut Vec<Diagnostic>) {
    let blocks = spec.blocks.iter().map(|block| {
        let kind = match block.kind {
            BlockKind::Lower => "the lower block of",
            BlockKind::Simplify => "the simplify block of",
            BlockKind::Form => "form",
        };
        (kind, &block.name)
    });
    let names = (spec.ops.iter().map(|op| ("operator", &op.name)))
        .chain(spec.insts.iter().map(|inst| ("instruction", &inst.name)))
        .chain(spec.functions.iter().map(|function| ("function", &function.name)))
        .chain(spec.gates.iter().map(|gate| ("gate", &gate.name)))
        .chain(spec.traps.iter().map(|trap| ("trap", &trap.name)))
        .chain(spec.layouts.iter().map(|layout| ("record", &layout.name)))
        .chain(blocks);
    let mut seen: HashMap<(&str, &str), Span> = HashMap::new();
    for (kind, name) in names {
        if let Some(first) = seen.insert((kind, &name.text), name.span) {
            errors.push(
                Diagnostic::new(name.span, format!("{kind} `{}` is defined twice", name.text)).other(first, "first defined here"),
            );
        }
    }
}

fn functions(spec: &mut Spec, globals: &mut Globals, errors: &mut Vec<Diagnostic>) {
    for function in &mut spec.functions {
        let mut scope = Scope::default();
        for param in &function.params {
            scope.bind(&param.name, param.ty.clone(), Stage::Compile);
        }
        let result = function.result.clone();
        Typer { globals, scope: &mut scope, errors }.expect(&mut function.body, &result);
        report_unused(&scope, errors);
    }
    recursion(spec, errors);
}

/// Functions call only functions defined before them, so every call ends.
fn recursion(spec: &Spec, errors: &mut Vec<Diagnostic>) {
    let place: HashMap<&str, usize> = spec.functions.iter().enumerate().map(|(n, f)| (f.name.text.as_str(), n)).collect();
    for (number, function) in spec.functions.iter().enumerate() {
        walk(&function.body, &mut |expr| {
            if let ExprKind::Call(name, _) = &expr.kind
                && let Some(&other) = place.get(name.text.as_str())
                && other >= number
            {
                errors.push(
                    Diagnostic::new(name.span, format!("`{}` is called before its definition", name.text))
                        .other(spec.functions[other].name.span, "defined here")
                        .help("functions call only earlier ones, so that they always end"),
                );
            }
        });
    }
}

/// Visits an expression and all its parts.
pub fn walk(expr: &Expr, visit: &mut impl FnMut(&Expr)) {
    visit(expr);
    match &expr.kind {
        ExprKind::Int(_) | ExprKind::Bool(_) | ExprKind::Var(_) => {}
        ExprKind::Unary(_, a) | ExprKind::Slice(a, ..) => walk(a, visit),
        ExprKind::Binary(_, a, b) | ExprKind::Let(_, a, b) => {
            walk(a, visit);
            walk(b, visit);
        }
        ExprKind::If(a, b, c) => {
            walk(a, visit);
            walk(b, visit);
            walk(c, visit);
        }
        ExprKind::Call(_, args) | ExprKind::Tuple(args) => args.iter().for_each(|arg| walk(arg, visit)),
    }
}

fn report_unused(scope: &Scope, errors: &mut Vec<Diagnostic>) {
    for (name, binding) in &scope.names {
        if !binding.used {
            errors.push(unused(&Name { text: name.clone(), span: binding.span }));
        }
    }
}

fn trap_known(spec_traps: &[String], name: &Name, errors: &mut Vec<Diagnostic>) {
    if !spec_traps.contains(&name.text) {
        let mut error = Diagnostic::new(name.span, format!("unknown trap `{}`", name.text));
        error.help =
            nearest(&name.text, spec_traps.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        errors.push(error);
    }
}

fn operators(spec: &mut Spec, globals: &mut Globals, errors: &mut Vec<Diagnostic>) {
    let traps: Vec<String> = spec.traps.iter().map(|trap| trap.name.text.clone()).collect();
    for op in &mut spec.ops {
        let mut scope = Scope::default();
        for param in op.params.iter().chain(&op.immediates) {
            scope.bind(&param.name, param.ty.clone(), Stage::Run);
            if !matches!(param.ty, Type::Bits(32 | 64) | Type::F32 | Type::F64) {
                errors.push(Diagnostic::new(param.name.span, format!("an operand of type {}", param.ty)).help(
                    "operands of operators are i32, i64, f32, f64",
                ));
            }
        }
        if op.immediates.len() > 2 {
            errors.push(Diagnostic::new(op.name.span, "an operator has at most two immediates"));
        }
        if op.commutative && (op.params.len() != 2 || op.params[0].ty != op.params[1].ty) {
            errors.push(Diagnostic::new(op.name.span, "a commutative operator takes two operands of one type"));
        }
        let mut result = None;
        for stmt in &mut op.body {
            let mut typer = Typer { globals, scope: &mut scope, errors };
            match stmt {
                OpStmt::Let(name, value) => {
                    let ty = typer.infer(value, None);
                    scope.bind(name, ty, Stage::Run);
                }
                OpStmt::Trap(code, condition) => {
                    typer.expect(condition, &Type::Bool);
                    trap_known(&traps, code, errors);
                }
                OpStmt::Read { name, ty, address, .. } => {
                    typer.expect(address, &Type::Bits(64));
                    scope.bind(name, ty.clone(), Stage::Run);
                }
                OpStmt::Write { value, address, .. } => {
                    typer.infer(value, None);
                    typer.expect(address, &Type::Bits(64));
                }
                OpStmt::Result(value) => {
                    let want = match op.results.as_slice() {
                        [one] => one.clone(),
                        many => Type::Tuple(many.to_vec()),
                    };
                    typer.expect(value, &want);
                    result = Some(value.span);
                }
            }
        }
        if op.kind == OpKind::Ordinary {
            report_unused(&scope, errors);
            if result.is_none() && !op.results.is_empty() {
                errors.push(Diagnostic::new(op.name.span, format!("`{}` never says its result", op.name.text)).help(
                    "add `result = …`",
                ));
            }
        }
    }
}

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

fn instructions(spec: &mut Spec, globals: &mut Globals, errors: &mut Vec<Diagnostic>) {
    for inst in &mut spec.insts {
        let mut scope = Scope::default();
        for operand in &inst.operands {
            scope.bind(&operand.name, operand_type(operand.kind), Stage::Run);
            if let Some(fixed) = &operand.fixed
                && register_number(&fixed.text).is_none()
            {
                errors.push(Diagnostic::new(fixed.span, format!("unknown register `{}`", fixed.text)));
            }
            let memory = matches!(operand.kind, OperandKind::Mem(_) | OperandKind::Addr | OperandKind::Label);
            let written = operand.mode != Mode::Use;
            if written && (memory || !matches!(operand.kind, OperandKind::Reg(_) | OperandKind::Xmm(_))) {
                errors.push(
                    Diagnostic::new(operand.span, "only a register operand may be out or inout")
                        .help("a memory operand is written by assigning to it"),
                );
            }
        }
        scope.names.insert(
            "flags".into(),
            types::Binding { ty: Type::Flags, stage: Stage::Run, span: inst.span, used: true },
        );
        let memory = inst.operands.iter().filter(|operand| {
            matches!(
                operand.kind,
                OperandKind::Mem(_) | OperandKind::RegMem(_) | OperandKind::XmmMem(_) | OperandKind::Addr
            )
        });
        if memory.count() > 1 {
            errors.push(Diagnostic::new(inst.name.span, "an instruction has at most one memory operand"));
        }
        for operand in &inst.encoded {
            if let EncodedOperand::Operand(name) = operand
                && !scope.names.contains_key(&name.text)
                && register_number(&name.text).is_none()
            {
                errors.push(Diagnostic::new(name.span, format!("`{}` is not an operand of this instruction", name.text)));
            }
        }
        if let Some(feature) = &inst.feature {
            feature_known(feature, errors);
        }
        let mut assigned = HashSet::new();
        for stmt in &mut inst.body {
            let mut typer = Typer { globals, scope: &mut scope, errors };
            match stmt {
                InstStmt::Let(name, value) => {
                    let ty = typer.infer(value, None);
                    scope.bind(name, ty, Stage::Run);
                }
                InstStmt::Assign(name, value) => match inst.operands.iter().find(|operand| operand.name.text == name.text) {
                    Some(operand) => {
                        assigned.insert(name.text.clone());
                        typer.expect(value, &operand_type(operand.kind));
                        let readable = operand.mode == Mode::Use && !matches!(operand.kind, OperandKind::Mem(_));
                        if readable {
                            errors.push(
                                Diagnostic::new(name.span, format!("`{}` is not written by this instruction", name.text))
                                    .other(operand.span, "declared here")
                                    .help("declare it `out` or `inout`"),
                            );
                        }
                    }
                    None => {
                        typer.error(Diagnostic::new(name.span, format!("unknown operand `{}`", name.text)));
                    }
                },
                InstStmt::Flags(value) => typer.expect(value, &Type::Flags),
                InstStmt::Fault(_, condition) => typer.expect(condition, &Type::Bool),
                InstStmt::Jump(target, condition) => {
                    if let Some(condition) = condition {
                        typer.expect(condition, &Type::Bool);
                    }
                    if !inst.operands.iter().any(|operand| operand.name.text == target.text) {
                        errors.push(Diagnostic::new(target.span, format!("unknown operand `{}`", target.text)));
                    }
                }
                InstStmt::Clobber(register) => {
                    if register_number(&register.text).is_none() {
                        errors.push(Diagnostic::new(register.span, format!("unknown register `{}`", register.text)));
                    }
                }
                InstStmt::FlagsUndefined(_) | InstStmt::Transfer(..) => {}
            }
        }
        for operand in &inst.operands {
            if operand.mode != Mode::Use && !assigned.contains(&operand.name.text) {
                errors.push(
                    Diagnostic::new(operand.span, format!("the effect never writes `{}`", operand.name.text))
                        .help(format!("add `{} = …`", operand.name.text)),
                );
            }
        }
    }
}

fn feature_known(feature: &Name, errors: &mut Vec<Diagnostic>) {
    if !FEATURES.contains(&feature.text.as_str()) {
        errors.push(
            Diagnostic::new(feature.span, format!("unknown CPU feature `{}`", feature.text))
                .help(format!("features are {}", FEATURES.join(", "))),
        );
    }
}

fn unused_items(spec: &Spec, globals: &Globals, used: &rules::Used, errors: &mut Vec<Diagnostic>) {
    for function in &spec.functions {
        if !globals.used_functions.contains(&function.name.text) {
            errors.push(Diagnostic::new(function.name.span, format!("function `{}` is never used", function.name.text)));
        }
    }
    for name in &spec.frame {
        if !spec.insts.iter().any(|inst| inst.name.text == name.text) {
            let mut error = Diagnostic::new(name.span, format!("unknown instruction `{}`", name.text))
                .label("the compiler's frame code needs it");
            error.help = nearest(&name.text, spec.insts.iter().map(|inst| inst.name.text.as_str()))
                .map(|near| format!("did you mean `{near}`?"));
            errors.push(error);
        }
    }
    for inst in &spec.insts {
        let name = &inst.name.text;
        if !used.insts.contains(name) && !spec.frame.iter().any(|frame| frame.text == *name) {
            errors.push(
                Diagnostic::new(inst.name.span, format!("instruction `{name}` is never used"))
                    .help("delete it, or list it in `frame { … }` if the compiler's frame code uses it"),
            );
        }
    }
    for block in spec.blocks.iter().filter(|block| block.kind == BlockKind::Form) {
        if !used.forms.contains(&block.name.text) {
            errors.push(Diagnostic::new(block.name.span, format!("form `{}` is never used", block.name.text)));
        }
    }
    for op in spec.ops.iter().filter(|op| op.kind == OpKind::Ordinary) {
        let lowered = |block: &&RuleBlock| block.kind == BlockKind::Lower && block.name.text == op.name.text;
        if !spec.blocks.iter().any(|block| lowered(&block)) {
            errors.push(
                Diagnostic::new(op.name.span, format!("operator `{}` has no lowering rules", op.name.text))
                    .help(format!("add `lower {} {{ rule … }}` in spec/lower", op.name.text)),
            );
        }
    }
}
