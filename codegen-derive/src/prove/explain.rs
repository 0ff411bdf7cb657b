//! Obligations and counterexamples in words.

use super::judge::Tally;
use super::left::Shown;
use super::lock::{Lock, MUTANTS};
use super::mutate::without_room;
use super::obligation::{Context, Kind, Obligation, full_name};
use crate::ast::*;
use crate::diagnostic::line_column;
use std::fmt::Write;

/// `spec/lower/integer.rules:14`
pub fn place(spec: &Spec, span: Span) -> String {
    let Some((path, text)) = spec.files.get(span.file as usize) else { return String::new() };
    format!("{path}:{}", line_column(text, span.start as usize).0)
}

/// The text at a place, its lines without the indentation of the first.
pub fn source(spec: &Spec, span: Span) -> String {
    let text = spec.files.get(span.file as usize).map_or("", |(_, text)| text.as_str());
    let start = text.get(..span.start as usize).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let indent = text.get(start..span.start as usize).map_or(0, |before| before.len() - before.trim_start().len());
    let body = text.get(span.start as usize..span.end as usize).unwrap_or("").trim_end();
    let lines = body.lines().enumerate().map(|(number, line)| {
        let cut = line.len() - line.trim_start().len();
        if number == 0 { line } else { &line[cut.min(indent)..] }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn signed(value: u128, width: u16) -> i128 {
    super::term::signed(value, width)
}

/// A value with the readings that fit its type: hexadecimal, signed, as a float.
pub fn shown(value: u128, ty: &Type) -> String {
    match ty {
        Type::Bool => if value == 0 { "no" } else { "yes" }.into(),
        Type::F32 => format!("0x{value:08x} ({:?})", f32::from_bits(value as u32)),
        Type::F64 => format!("0x{value:016x} ({:?})", f64::from_bits(value as u64)),
        ty => {
            let width = super::meaning::width(ty);
            let digits = usize::from(width.div_ceil(4));
            let number = signed(value, width);
            format!("0x{value:0digits$x} ({number})")
        }
    }
}

fn trap_name(spec: &Spec, number: u128) -> String {
    let known = spec.traps.iter().find(|trap| u128::from(trap.number) == number);
    known.map_or_else(|| "no trap".into(), |trap| format!("trap {}", trap.name.text))
}

/// A counterexample in the rule's own names.
pub fn counterexample(context: &Context, obligation: &Obligation, values: &[u128]) -> String {
    let spec = context.spec;
    let computed = obligation.graph.evaluate(values);
    let value = |shown: &Shown| computed[shown.term.0 as usize];
    let mut out = String::new();
    let _ = writeln!(out, "{}  {}", obligation.name, place(spec, obligation.span));
    let given: Vec<&Shown> = obligation.inputs.iter().filter(|input| input.name != "_").collect();
    let wide = given.iter().map(|input| input.name.len()).max().unwrap_or(0);
    for (number, input) in given.iter().enumerate() {
        let word = if number == 0 { "for" } else { "" };
        let _ = writeln!(out, "  {word:4} {:wide$} = {}", input.name, shown(value(input), &input.ty));
    }
    let text = obligation.steps.iter().map(|step| step.text.chars().count()).max().unwrap_or(0).min(60);
    for (number, step) in obligation.steps.iter().enumerate() {
        let word = if number == 0 { "runs" } else { "" };
        let gives: Vec<String> = if computed[step.live.0 as usize] == 0 {
            vec!["not reached".into()]
        } else {
            step.gives.iter().map(|gives| format!("{} = {}", gives.name, shown(value(gives), &gives.ty))).collect()
        };
        let line = format!("  {word:4} {:text$}    {}", step.text, gives.join(", "));
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let codes = obligation.codes.map(|(wanted, actual)| (computed[wanted.0 as usize], computed[actual.0 as usize]));
    let outcome = |code: u128, results: &[Shown]| {
        if code != 0 {
            return trap_name(spec, code);
        }
        let results: Vec<String> =
            results.iter().map(|result| format!("{} {}", result.name, shown(value(result), &result.ty))).collect();
        if results.is_empty() { "no trap".into() } else { results.join(", ") }
    };
    let (wanted, actual) = codes.unwrap_or((0, 0));
    let _ = writeln!(out, "  wants {}", outcome(wanted, &obligation.wanted));
    let _ = writeln!(out, "  gives {}", outcome(actual, &obligation.actual));
    for goal in obligation.failing(values).unwrap_or_default() {
        let _ = writeln!(out, "  fails: {}", goal.what);
    }
    out
}

/// A WebAssembly type's name, if it is one.
fn value_type(ty: &Type) -> Option<&'static str> {
    Some(match ty {
        Type::Bits(32) => "i32",
        Type::Bits(64) => "i64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        _ => return None,
    })
}

/// A constant in the text format.
fn constant(value: u128, ty: &Type) -> String {
    let nan = |payload: u128, quiet: u128, negative: bool| {
        let sign = if negative { "-" } else { "" };
        if payload == quiet { format!("{sign}nan") } else { format!("{sign}nan:{payload:#x}") }
    };
    match ty {
        Type::F32 if f32::from_bits(value as u32).is_nan() => {
            format!("(f32.const {})", nan(value & 0x7f_ffff, 0x40_0000, value >> 31 != 0))
        }
        Type::F64 if f64::from_bits(value as u64).is_nan() => {
            format!("(f64.const {})", nan(value & 0xf_ffff_ffff_ffff, 0x8_0000_0000_0000, value >> 63 != 0))
        }
        Type::F32 => format!("(f32.const {:?})", f32::from_bits(value as u32)),
        Type::F64 => format!("(f64.const {:?})", f64::from_bits(value as u64)),
        Type::Bits(64) => format!("(i64.const {value:#x})"),
        _ => format!("(i32.const {value:#x})"),
    }
}

/// Operators that are instructions of WebAssembly under the same name, operands and immediates.
fn is_plain(op: &Op) -> bool {
    let made = ["memory.base", "mul_hi", ".field", ".cell.", ".global.", "table.", "slot", "memory.pages"];
    op.kind == OpKind::Ordinary && op.immediates.is_empty() && !made.iter().any(|part| op.name.text.contains(part))
}

struct Script<'a> {
    context: &'a Context<'a>,
    values: &'a dyn Fn(&str) -> Option<u128>,
    params: Vec<(String, Type)>,
    /// Named operators and their text.
    named: Vec<(String, String)>,
}

impl Script<'_> {
    fn pattern(&mut self, pattern: &Pattern, ty: &Type) -> Option<String> {
        Some(match pattern {
            Pattern::Var(name) => {
                self.params.push((name.text.clone(), ty.clone()));
                format!("(local.get ${})", name.text)
            }
            // A named operator is written out again where its name stands.
            Pattern::Same(name) => match self.named.iter().find(|(known, _)| *known == name.text) {
                Some((_, text)) => text.clone(),
                None => format!("(local.get ${})", name.text),
            },
            Pattern::Any(_) => constant(0, ty),
            Pattern::Const(name) => constant((self.values)(&name.text)?, ty),
            Pattern::Literal(value, _) => constant(*value as u128 & super::term::mask(super::meaning::width(ty)), ty),
            Pattern::Op { op, alias, args, .. } => {
                let op = self.context.ops.get(op.text.as_str())?;
                let text = self.operator(op, args)?;
                self.named.extend(alias.iter().map(|name| (name.text.clone(), text.clone())));
                text
            }
        })
    }

    fn operator(&mut self, op: &Op, args: &[Pattern]) -> Option<String> {
        if !is_plain(op) {
            return None;
        }
        let args: Option<Vec<String>> =
            args.iter().zip(&op.params).map(|(arg, param)| self.pattern(arg, &param.ty)).collect();
        let name = if op.name.text.ends_with(".select") { "select" } else { &op.name.text };
        Some(format!("({name} {})", args?.join(" ")))
    }
}

/// A counterexample as a script for `vwasm wast`, for operators that WebAssembly has and that touch no storage; a branch and
/// the form that conditions are asked for by tell whether the condition holds.
pub fn script(
    context: &Context,
    block: &RuleBlock,
    rule: &Rule,
    obligation: &Obligation,
    values: &[u128],
) -> Option<String> {
    if !rule.immediates.is_empty() {
        return None;
    }
    let computed = obligation.graph.evaluate(values);
    let of = |name: &str| {
        let input = obligation.inputs.iter().find(|input| input.name == name)?;
        Some(computed[input.term.0 as usize])
    };
    let mut script = Script { context, values: &of, params: Vec::new(), named: Vec::new() };
    let i32 = Type::Bits(32);
    let (result, body) = match (block.kind, block.name.text.as_str(), rule.patterns.as_slice()) {
        (BlockKind::Form, "cond", [condition]) => {
            (&i32, format!("(select (i32.const 1) (i32.const 0) {})", script.pattern(condition, &i32)?))
        }
        (BlockKind::Form, ..) => return None,
        (_, "br_if", [condition]) => {
            let condition = script.pattern(condition, &i32)?;
            (&i32, format!("(block (br_if 0 {condition}) (return (i32.const 0))) (i32.const 1)"))
        }
        (_, name, patterns) => {
            let op = context.ops.get(name)?;
            (op.results.first()?, script.operator(op, patterns)?)
        }
    };
    let params: String =
        script.params.iter().map(|(name, ty)| format!(" (param ${name} {})", value_type(ty).unwrap_or("i32"))).collect();
    let result = value_type(result)?;
    let args: Option<Vec<String>> = script.params.iter().map(|(name, ty)| Some(constant(of(name)?, ty))).collect();
    let invoke = format!("(invoke \"f\" {})", args?.join(" "));
    let code = obligation.codes.map_or(0, |(wanted, _)| computed[wanted.0 as usize]);
    let expected = if code != 0 {
        let trap = context.spec.traps.iter().find(|trap| u128::from(trap.number) == code)?;
        format!("(assert_trap {invoke} \"{}\")", trap.message)
    } else {
        let wanted = obligation.wanted.first()?;
        let value = computed[wanted.term.0 as usize];
        let nan = match wanted.ty {
            Type::F32 => f32::from_bits(value as u32).is_nan(),
            Type::F64 => f64::from_bits(value as u64).is_nan(),
            _ => false,
        };
        // Moves of bits keep a NaN's payload; of what arithmetic gives only that it is a NaN is certain.
        let expected = if nan { format!("({result}.const nan:arithmetic)") } else { constant(value, &wanted.ty) };
        format!("(assert_return {invoke} {expected})")
    };
    Some(format!("(module (func (export \"f\"){params} (result {result})\n  {body}))\n{expected}\n"))
}

fn state(lock: &Lock, obligation: &Obligation) -> String {
    match lock.proof(obligation) {
        Some(entry) if entry.by.len() > 1 => format!("proved by {}", entry.by.join(", ")),
        Some(entry) => format!("rests on {} alone", entry.by.join(", ")),
        None if lock.entries.contains_key(&obligation.key()) => "NOT PROVED: it changed since it was".into(),
        None => "NOT PROVED".into(),
    }
}

/// Names of the instructions, forms and operators that a right side uses.
fn used(spec: &Spec, span: Span, context: &Context) -> Vec<String> {
    let text = source(spec, span);
    let right = text.split_once("=>").map_or("", |(_, right)| right);
    let mut names: Vec<String> = Vec::new();
    for word in right.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.') {
        let known =
            context.insts.get(word).map(|inst| inst.span).or_else(|| context.forms.get(word).map(|form| form.name.span));
        if known.is_some() && !names.iter().any(|name| name == word) {
            names.push(word.to_string());
        }
    }
    names
}

/// All that is known of a rule.
pub fn rule(context: &Context, lock: &Lock, block: &RuleBlock, number: usize) -> String {
    let spec = context.spec;
    let rule = &block.rules[number];
    let name = full_name(block, rule);
    let mut out = String::new();
    let indent = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let _ = writeln!(out, "{name}  {}\n\nThe rule\n", place(spec, rule.span));
    let _ = writeln!(out, "{}", indent(&source(spec, rule.span)));
    match (block.kind, context.ops.get(block.name.text.as_str())) {
        (BlockKind::Form, _) => {
            let ensures = block.ensures.as_ref().map_or(String::new(), |ensures| source(spec, ensures.span));
            let _ = writeln!(out, "The form's promise\n\n{}", indent(&ensures));
        }
        (_, Some(op)) => {
            let _ = writeln!(out, "The operator\n\n{}", indent(&source(spec, op.span)));
        }
        _ => {}
    }
    let names = used(spec, rule.span, context);
    if !names.is_empty() {
        let _ = writeln!(out, "What it is built of\n");
        for name in names {
            let text = match (context.insts.get(name.as_str()), context.forms.get(name.as_str())) {
                (Some(inst), _) => source(spec, inst.span),
                (_, Some(form)) => {
                    let ensures = form.ensures.as_ref().map_or(String::new(), |ensures| source(spec, ensures.span));
                    format!("form {name} ensures {ensures}")
                }
                _ => continue,
            };
            let _ = write!(out, "{}", indent(&text));
        }
        let _ = writeln!(out);
    }
    let _ = writeln!(out, "What is proved\n");
    for made in context.all(block, number) {
        match made {
            Ok(obligation) => {
                let words = match obligation.kind {
                    Kind::Applicable => vec!["the premises can hold".to_string()],
                    Kind::Reachable => vec!["they can hold where no earlier rule applies".to_string()],
                    _ => obligation.goals.iter().map(|goal| goal.what.clone()).collect(),
                };
                let _ = writeln!(out, "    {}: {}", obligation.kind.name(), state(lock, &obligation));
                for word in words {
                    let _ = writeln!(out, "        {word}");
                }
                if obligation.kind == Kind::Reachable
                    && let Some(example) = super::witness::applies(context, block, number)
                {
                    let _ = writeln!(out, "        for example if {example}");
                }
            }
            Err((kind, why)) => {
                let _ = writeln!(out, "    {}: has no meaning: {why}", kind.name());
            }
        }
    }
    if let Some(entry) = lock.entries.get(&(MUTANTS.to_string(), name)) {
        let tally = Tally::from_words(&entry.by);
        let (refuted, equivalent) = tally.total();
        let _ = writeln!(out, "\nIts mutants: {refuted} refuted, {equivalent} proved to be no breakage\n");
        for (change, (refuted, equivalent)) in &tally.counts {
            let _ = writeln!(out, "    {:12} {refuted:3} refuted  {equivalent:3} equivalent", change.name());
        }
        let _ = writeln!(out, "\nNo mutants of other kinds, all of which are tried at every place\n");
        for (change, made) in without_room(context, block, rule, |change| tally.counts.contains_key(&change)) {
            let why = if made { "says what the rule or another mutant says, or nothing" } else { "nothing to change" };
            let _ = writeln!(out, "    {:12} {why}; it needs {}", change.name(), change.needs());
        }
    }
    out
}
