//! Names of items: defined once, known where the compiler's frame code wants them, used.

use super::builtin;
use super::rule::Used;
use super::types::Globals;
use crate::ast::*;
use crate::diagnostic::Diagnostic;
use std::collections::HashMap;

/// Words that cannot be names of fields or constants in the generated Rust.
const RESERVED: &[&str] = &[
    "as", "async", "await", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "enum", "extern", "false",
    "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv",
    "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe",
    "unsized", "use", "virtual", "where", "while", "yield", "abstract", "become", "final", "_",
];

/// Names that are the same once their dots and underscores are gone.
fn folded(name: &str) -> String {
    name.replace(['.', '_'], "").to_lowercase()
}

pub fn duplicates(spec: &Spec, errors: &mut Vec<Diagnostic>) {
    let blocks = spec.blocks.iter().map(|block| match block.kind {
        BlockKind::Lower => ("lower block", &block.name),
        BlockKind::Simplify => ("simplify block", &block.name),
        BlockKind::Form => ("form", &block.name),
    });
    let names = (spec.ops.iter().map(|op| ("operator", &op.name)))
        .chain(spec.insts.iter().map(|inst| ("instruction", &inst.name)))
        .chain(spec.functions.iter().map(|function| ("function", &function.name)))
        .chain(spec.constants.iter().map(|constant| ("constant", &constant.name)))
        .chain(spec.roles.iter().map(|role| ("role", &role.name)))
        .chain(spec.layouts.iter().map(|layout| ("record", &layout.name)))
        .chain(spec.gates.iter().map(|gate| ("gate", &gate.name)))
        .chain(spec.traps.iter().map(|trap| ("trap", &trap.name)))
        .chain(spec.conventions.iter().map(|convention| ("convention", &convention.name)))
        .chain(spec.facts.iter().map(|fact| ("fact", &fact.name)))
        .chain(spec.states.iter().map(|state| ("state", &state.name)))
        .chain(spec.extents.iter().map(|extent| ("region", &extent.name)))
        .chain(spec.judgements.iter().map(|judgement| ("table", &judgement.name)))
        .chain(spec.rejections.iter().map(|reason| ("reason", &reason.name)))
        .chain(blocks);
    let mut seen: HashMap<(&str, String), &Name> = HashMap::new();
    for (kind, name) in names {
        let short = folded(&name.text);
        if short.is_empty() || short == "self" || short.starts_with(|c: char| c.is_ascii_digit()) {
            errors.push(
                Diagnostic::new(name.span, format!("`{}` cannot be the name of this {kind}", name.text))
                    .help("without dots and underscores a name must begin with a letter, and not be `self`"),
            );
        }
        let Some(first) = seen.insert((kind, short), name) else { continue };
        errors.push(match (first.text == name.text, kind) {
            (true, "lower block" | "simplify block") => {
                Diagnostic::new(name.span, format!("a second {kind} for `{}`", name.text))
                    .other(first.span, "the first")
                    .help("all rules of one operator stand in one block")
            }
            (true, _) => Diagnostic::new(name.span, format!("{kind} `{}` is defined twice", name.text))
                .other(first.span, "first defined here"),
            (false, _) => {
                Diagnostic::new(name.span, format!("{kind}s `{}` and `{}` differ too little", first.text, name.text))
                    .other(first.span, "the other one")
                    .help("dots, underscores and case do not tell names apart in the generated code")
            }
        });
    }
    calls(spec, errors);
    reserved(spec, errors);
}

/// Forms, functions and built-ins are called alike, so their names differ.
fn calls(spec: &Spec, errors: &mut Vec<Diagnostic>) {
    let functions: HashMap<&str, Span> =
        spec.functions.iter().map(|function| (function.name.text.as_str(), function.name.span)).collect();
    let forms = spec.blocks.iter().filter(|block| block.kind == BlockKind::Form).map(|block| ("form", &block.name));
    for (kind, name) in forms.chain(spec.functions.iter().map(|function| ("function", &function.name))) {
        if builtin::is_builtin(&name.text) {
            errors.push(
                Diagnostic::new(name.span, format!("`{}` is a built-in function", name.text)).help("choose another name"),
            );
        }
        if kind == "form"
            && let Some(first) = functions.get(name.text.as_str())
        {
            errors.push(
                Diagnostic::new(name.span, format!("`{}` is a function and a form", name.text))
                    .other(*first, "the function"),
            );
        }
    }
}

/// Names that the generated Rust could not use.
fn reserved(spec: &Spec, errors: &mut Vec<Diagnostic>) {
    for inst in &spec.insts {
        for tied in inst.operands.iter().filter(|operand| operand.mode == Mode::InOut) {
            let input = format!("{}_in", tied.name.text);
            if let Some(other) = inst.operands.iter().find(|operand| operand.name.text == input) {
                errors.push(
                    Diagnostic::new(
                        other.name.span,
                        format!("`{input}` is what the input of `{}` is called", tied.name.text),
                    )
                    .other(tied.span, "this operand")
                    .help("choose another name"),
                );
            }
        }
    }
    let fields = spec.layouts.iter().flat_map(|layout| &layout.fields);
    let counts = fields.clone().filter_map(|field| field.count.as_ref());
    let operands = spec.insts.iter().flat_map(|inst| &inst.operands).map(|operand| &operand.name);
    for name in fields.map(|field| &field.name).chain(counts).chain(operands) {
        if RESERVED.contains(&name.text.as_str()) {
            errors.push(
                Diagnostic::new(name.span, format!("`{}` is a word of Rust", name.text))
                    .help("the generated code names a field after it: choose another name"),
            );
        }
    }
}

/// Instructions that the frame code needs and operators that nothing lowers.
pub fn missing(spec: &Spec, errors: &mut Vec<Diagnostic>) {
    let mut listed: HashMap<&str, Span> = HashMap::new();
    for name in &spec.frame {
        if !spec.insts.iter().any(|inst| inst.name.text == name.text) {
            let candidates = spec.insts.iter().map(|inst| inst.name.text.as_str());
            errors.push(Diagnostic::unknown("instruction", name, candidates).label("the compiler's frame code needs it"));
        }
        if let Some(first) = listed.insert(&name.text, name.span) {
            errors.push(
                Diagnostic::new(name.span, format!("`{}` is listed twice", name.text)).other(first, "first listed here"),
            );
        }
    }
    for op in spec.ops.iter().filter(|op| op.kind == OpKind::Ordinary) {
        let lowered = |block: &RuleBlock| block.kind == BlockKind::Lower && block.name.text == op.name.text;
        if !spec.blocks.iter().any(lowered) {
            errors.push(
                Diagnostic::new(op.name.span, format!("operator `{}` has no lowering rules", op.name.text))
                    .help(format!("add `lower {} {{ rule … }}`", op.name.text)),
            );
        }
    }
}

/// Items that nothing uses.
pub fn unused(spec: &Spec, globals: &Globals, used: &Used, errors: &mut Vec<Diagnostic>) {
    for function in &spec.functions {
        let name = &function.name;
        if !globals.used_functions.contains(&name.text) {
            errors.push(Diagnostic::new(name.span, format!("function `{}` is never used", name.text)).help("delete it"));
        }
    }
    for inst in &spec.insts {
        let name = &inst.name;
        if !used.insts.contains(&name.text) && !spec.frame.iter().any(|frame| frame.text == name.text) {
            errors.push(
                Diagnostic::new(name.span, format!("instruction `{}` is never used", name.text))
                    .help("delete it, or list it in `frame { … }` if the compiler's frame code uses it"),
            );
        }
    }
    for block in spec.blocks.iter().filter(|block| block.kind == BlockKind::Form) {
        let name = &block.name;
        if !used.forms.contains(&name.text) {
            errors.push(Diagnostic::new(name.span, format!("form `{}` is never used", name.text)).help("delete it"));
        }
    }
}
