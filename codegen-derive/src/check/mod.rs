//! Everything about a specification that can be decided without a solver.
//!
//! Takes a parsed [`Spec`], writes the type of every expression, and gives all errors found: names that are unknown,
//! defined twice or never used, types and widths, operand sorts, CPU features, descriptions of instructions that do not
//! fit their encoding, flags that do not reach their reader, accesses of the wrong width, rules that can never apply,
//! blocks whose last rule may not apply. A specification without errors can be emitted without further checks.

mod builtin;
mod encoding;
mod fact;
mod flow;
mod inst;
mod item;
mod names;
mod order;
mod right;
mod rule;
mod sandbox;
mod simplify;
mod types;

pub use builtin::{CONDITIONS, is_builtin};
pub use encoding::{Encoding, encoding};
pub use inst::{operand_type, reads};
pub use sandbox::{check as check_sandbox, fixed_bytes, numbers, size_and_alignment};

use crate::ast::*;
use crate::diagnostic::Diagnostic;
use crate::prove::obligation::Context;
use crate::prove::witness::untaken as untaken_by;
use std::collections::{HashMap, HashSet};
use types::{Globals, Signature};

/// The CPU features that rules and instructions may require.
pub const FEATURES: &[&str] = &["cpu.lzcnt", "cpu.bmi1", "cpu.bmi2", "cpu.avx", "cpu.avx2", "cpu.fma", "cpu.movbe"];

/// The general registers, in the order of their hardware numbers.
pub const REGISTERS: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

/// Hardware number of a general or vector register.
pub fn register_number(name: &str) -> Option<u8> {
    match name.strip_prefix("xmm") {
        Some(digits) => (0..16).find(|number: &u8| number.to_string() == digits),
        None => (0..).zip(REGISTERS).find(|(_, register)| *register == name).map(|(number, _)| number),
    }
}

/// Checks and types a specification.
pub fn check(spec: &mut Spec) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    sandbox::check(spec, &mut errors);
    names::duplicates(spec, &mut errors);
    let signature = |function: &Function| Signature {
        params: function.params.iter().map(|param| param.ty.clone()).collect(),
        result: function.result.clone(),
        span: function.name.span,
    };
    let functions: HashMap<String, Signature> =
        spec.functions.iter().map(|function| (function.name.text.clone(), signature(function))).collect();
    let forms = spec.blocks.iter().filter(|block| block.kind == BlockKind::Form);
    let forms = forms.map(|block| (block.name.text.clone(), block.name.span)).collect();
    let mut globals = Globals { functions, used_functions: HashSet::new(), forms, numbers: numbers(spec) };
    item::functions(spec, &mut globals, &mut errors);
    fact::check(spec, &mut globals, &mut errors);
    item::operators(spec, &mut globals, &mut errors);
    inst::check(spec, &mut globals, &mut errors);
    let used = rule::check(spec, &mut globals, &mut errors);
    item::reach(spec, &mut globals);
    names::missing(spec, &mut errors);
    untaken(spec, &mut errors);
    if errors.is_empty() {
        errors.extend(crate::emit::check_forms(spec));
    }
    // After another error an item may only seem unused.
    if errors.is_empty() {
        names::unused(spec, &globals, &used, &mut errors);
    }
    errors
}

/// Where nothing else is wrong, shows operands that no rule of a block takes.
fn untaken(spec: &Spec, errors: &mut [Diagnostic]) {
    let bound: Vec<&RuleBlock> = spec.blocks.iter().filter(|block| order::may_not_apply(block).is_some()).collect();
    // Rules have a meaning only if no other error was found.
    if bound.is_empty() || bound.len() != errors.len() {
        return;
    }
    let context = Context::new(spec);
    for block in bound {
        let at = block.rules.last().map(|rule| rule.name.span);
        let error = errors.iter_mut().find(|error| Some(error.span) == at);
        if let (Some(error), Some(example)) = (error, untaken_by(&context, block)) {
            error.label.push_str(&format!("; no rule takes {example}"));
        }
    }
}

/// Visits an expression and all its parts.
pub fn walk<'a>(expr: &'a Expr, visit: &mut impl FnMut(&'a Expr)) {
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
