//! Functions and operators.

use super::types::{Globals, Scope, Stage, Typer, computable};
use super::walk;
use crate::ast::*;
use crate::diagnostic::Diagnostic;
use std::collections::HashMap;

pub fn functions(spec: &mut Spec, globals: &mut Globals, errors: &mut Vec<Diagnostic>) {
    for function in &mut spec.functions {
        let mut scope = Scope::default();
        for param in &function.params {
            scope.bind(&param.name, param.ty.clone(), Stage::Compile, errors);
        }
        let result = function.result.clone();
        let first = errors.len();
        Typer { globals, scope: &mut scope, errors }.expect(&mut function.body, &result);
        if errors.len() == first {
            computable(&function.body, errors);
        }
        scope.report_unused(errors);
    }
    // Only uses from outside count: a function that nothing but its like calls is unused.
    globals.used_functions.clear();
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

/// Functions that operators, instructions and rules use, directly or through others.
pub fn reach(spec: &Spec, globals: &mut Globals) {
    for function in spec.functions.iter().rev() {
        if globals.used_functions.contains(&function.name.text) {
            walk(&function.body, &mut |expr| {
                if let ExprKind::Call(name, _) = &expr.kind {
                    globals.used_functions.insert(name.text.clone());
                }
            });
        }
    }
}

pub fn trap_known(traps: &[String], name: &Name, errors: &mut Vec<Diagnostic>) {
    if !traps.contains(&name.text) {
        errors.push(Diagnostic::unknown("trap", name, traps.iter().map(String::as_str)));
    }
}

pub fn operators(spec: &mut Spec, globals: &mut Globals, errors: &mut Vec<Diagnostic>) {
    let traps: Vec<String> = spec.traps.iter().map(|trap| trap.name.text.clone()).collect();
    // Fields are found from where the instance is.
    let instance = spec.roles.iter().map(|role| role.name.clone()).find(|name| name.text == "instance");
    for op in &mut spec.ops {
        signature(op, errors);
        let mut scope = Scope::default();
        for param in op.params.iter().chain(&op.immediates) {
            scope.bind(&param.name, param.ty.clone(), Stage::Run, errors);
        }
        if let Some(role) = &instance {
            scope.bind(role, Type::Bits(64), Stage::Run, errors);
            scope.touch(&role.text);
        }
        body(op, &traps, globals, &mut scope, errors);
        if op.kind == OpKind::Ordinary {
            scope.report_unused(errors);
        } else if !matches!((op.kind, op.body.as_slice()), (_, []) | (OpKind::Control, [OpStmt::Branch(_)])) {
            errors.push(
                Diagnostic::new(op.name.span, format!("`{}` is control or a call and cannot have a body", op.name.text))
                    .help("what it does is the compiler's frame code: leave `{}` empty, or say `branch when …` alone"),
            );
        }
    }
}

fn signature(op: &Op, errors: &mut Vec<Diagnostic>) {
    for param in &op.params {
        if !is_value(&param.ty) {
            errors.push(
                Diagnostic::new(param.name.span, format!("an operand of type {}", param.ty))
                    .help("operands of operators are i32, i64, f32 or f64"),
            );
        }
    }
    for (number, param) in op.immediates.iter().enumerate() {
        let fits = match param.ty {
            Type::Bits(32) => true,
            Type::Bits(64) => number == 0,
            _ => false,
        };
        if !fits {
            errors.push(
                Diagnostic::new(param.name.span, format!("an immediate of type {}", param.ty))
                    .help("the first immediate is i32 or i64, the second i32"),
            );
        }
    }
    if let Some(third) = op.immediates.get(2) {
        errors.push(Diagnostic::new(third.name.span, "an operator has at most two immediates"));
    }
    if op.results.iter().any(|ty| !is_value(ty)) || op.results.len() > 2 {
        errors.push(
            Diagnostic::new(op.name.span, format!("`{}` cannot give {}", op.name.text, Type::Tuple(op.results.clone())))
                .help("an operator gives at most two results of type i32, i64, f32 or f64"),
        );
    }
    if op.commutative && (op.params.len() != 2 || op.params[0].ty != op.params[1].ty) {
        errors.push(Diagnostic::new(op.name.span, "a commutative operator takes two operands of one type"));
    }
}

fn is_value(ty: &Type) -> bool {
    matches!(ty, Type::Bits(32 | 64) | Type::F32 | Type::F64)
}

fn is_stored(ty: &Type) -> bool {
    matches!(ty, Type::Bits(8 | 16 | 32 | 64) | Type::F32 | Type::F64)
}

fn body(op: &mut Op, traps: &[String], globals: &mut Globals, scope: &mut Scope, errors: &mut Vec<Diagnostic>) {
    let mut result: Option<Span> = None;
    for stmt in &mut op.body {
        let first = errors.len();
        let mut typer = Typer { globals, scope, errors };
        let typed: Vec<&Expr> = match stmt {
            OpStmt::Let(name, value) => {
                let ty = typer.infer(value, None);
                scope.bind(name, ty, Stage::Run, errors);
                vec![value]
            }
            OpStmt::Trap(code, condition) => {
                typer.expect(condition, &Type::Bool);
                trap_known(traps, code, errors);
                vec![condition]
            }
            OpStmt::Read { name, ty, address, .. } => {
                typer.expect(address, &Type::Bits(64));
                if !is_stored(ty) {
                    errors
                        .push(Diagnostic::new(name.span, format!("{ty} cannot be read")).help("read i8 to i64, f32 or f64"));
                }
                scope.bind(name, ty.clone(), Stage::Run, errors);
                vec![address]
            }
            OpStmt::Write { value, address, .. } => {
                let ty = typer.infer(value, None);
                typer.expect(address, &Type::Bits(64));
                if !is_stored(&ty) && ty != Type::Unknown {
                    errors.push(
                        Diagnostic::new(value.span, format!("{ty} cannot be written")).help("write i8 to i64, f32 or f64"),
                    );
                }
                vec![value, address]
            }
            OpStmt::Branch(condition) => {
                typer.expect(condition, &Type::Bool);
                if op.kind == OpKind::Ordinary {
                    errors.push(Diagnostic::new(condition.span, "only an operator of kind `control` branches"));
                }
                vec![condition]
            }
            OpStmt::Result(value) => {
                let want = match op.results.as_slice() {
                    [one] => one.clone(),
                    many => Type::Tuple(many.to_vec()),
                };
                typer.expect(value, &want);
                if let Some(first) = result {
                    errors.push(
                        Diagnostic::new(value.span, format!("`{}` says its result twice", op.name.text))
                            .other(first, "first here"),
                    );
                }
                result = Some(value.span);
                vec![value]
            }
        };
        if errors.len() == first {
            typed.into_iter().for_each(|expr| computable(expr, errors));
        }
    }
    if result.is_none() && !op.results.is_empty() && op.kind == OpKind::Ordinary {
        errors.push(
            Diagnostic::new(op.name.span, format!("`{}` never says its result", op.name.text)).help("add `result = …`"),
        );
    }
}
