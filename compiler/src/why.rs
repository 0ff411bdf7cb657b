//! Why a function is compiled as it is: for each operator the rule that was taken, and the rules before it with the first
//! premise of each that did not hold.
//!
//! Takes a module and a function of it, compiles that function with a [`Log`] in both places where rules are chosen
//! (`simplify`, `lower`), gives what was noted and its text. What is noted comes from the generated left sides themselves, at
//! the moment the choice is made, so it is no second opinion: [`Explanation::taken`] must be what fired.

use crate::compile::{self, Options};
use crate::error::Result;
use crate::ir::{Function, Inst, OpKind};
use crate::lower::rules::RULES;
use crate::module::Module;
use crate::{cfg, inline, lower, simplify};
use std::fmt::Write;

/// A rule that was looked at and did not apply.
#[derive(Clone, Debug)]
pub struct Passed {
    pub rule: u16,
    /// Of a commutative operator: with its operands exchanged.
    pub exchanged: bool,
    pub premise: &'static str,
    /// The value that the premise is about, with what defines it.
    pub value: Option<String>,
}

/// One time that a rule was looked for.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The operator, or the form and its operands.
    pub what: String,
    pub wasm_offset: u32,
    /// The instruction of a block for which this was chosen; none while simplifying.
    pub root: Option<Inst>,
    pub passed: Vec<Passed>,
    /// The rule, and whether with its operands exchanged.
    pub taken: Option<(u16, bool)>,
}

/// Choices in the order in which they are made.
#[derive(Debug, Default)]
pub struct Log {
    pub choices: Vec<Choice>,
    root: Option<Inst>,
    candidate: (u16, bool),
}

impl Log {
    /// The next choices are for this instruction.
    pub fn instruction(&mut self, inst: Inst) {
        self.root = Some(inst);
    }

    pub fn begin(&mut self, what: String, wasm_offset: u32) {
        self.choices.push(Choice { what, wasm_offset, root: self.root, passed: Vec::new(), taken: None });
    }

    pub fn candidate(&mut self, rule: u16, exchanged: bool) {
        self.candidate = (rule, exchanged);
    }

    pub fn missed(&mut self, premise: &'static str, value: Option<String>) {
        let (rule, exchanged) = self.candidate;
        if let Some(choice) = self.choices.last_mut() {
            choice.passed.push(Passed { rule, exchanged, premise, value });
        }
    }

    pub fn taken(&mut self) {
        if let Some(choice) = self.choices.last_mut() {
            choice.taken = Some(self.candidate);
        }
    }
}

/// All choices made for a function.
pub struct Explanation {
    /// As it was lowered.
    pub func: Function,
    pub simplified: Vec<Choice>,
    /// Bottom up, as lowering goes; an operator's own rule before the forms that the rule asks for.
    pub lowered: Vec<Choice>,
    /// The rules that fired, as the compiler counts them.
    pub fired: Vec<u16>,
}

/// Compiles a function, as far as rules go, and tells of every choice.
pub fn explain(module: &Module<'_>, bodies: &inline::Bodies, defined: usize, options: &Options) -> Result<Explanation> {
    let mut func = compile::read(module, defined, options)?;
    inline::run(&mut func, bodies);
    let mut log = Log::default();
    simplify::explain(&mut func, &mut log)?;
    cfg::split_critical_edges(&mut func);
    let conventions = compile::conventions(module);
    let ty = module.functions[module.imported_functions as usize + defined];
    let (code, lowered) = lower::explain(&func, &conventions[ty as usize], &conventions, options)?;
    Ok(Explanation { func, simplified: log.choices, lowered: lowered.choices, fired: code.fired })
}

fn place(rule: u16) -> String {
    let info = &RULES[usize::from(rule)];
    format!("{}  {}:{}", info.name, info.file, info.line)
}

impl Choice {
    fn write(&self, out: &mut String, indent: &str) {
        let exchanged = |exchanged| if exchanged { ", operands exchanged" } else { "" };
        let _ = match self.taken {
            Some((rule, turned)) => writeln!(out, "{indent}=> {}{}", place(rule), exchanged(turned)),
            None => writeln!(out, "{indent}=> no rule applies"),
        };
        for passed in &self.passed {
            let name = RULES[usize::from(passed.rule)].name;
            let line = RULES[usize::from(passed.rule)].line;
            let value = passed.value.as_ref().map_or(String::new(), |value| format!(", but {value}"));
            let _ = writeln!(out, "{indent}   not {name} :{line}{}  {}{value}", exchanged(passed.exchanged), passed.premise);
        }
    }
}

impl Explanation {
    /// The rules taken, in the order in which they were.
    pub fn taken(&self) -> Vec<u16> {
        self.simplified.iter().chain(&self.lowered).filter_map(|choice| Some(choice.taken?.0)).collect()
    }

    /// The choices as text; only those at a Wasm offset, if one is given.
    pub fn text(&self, offset: Option<u32>) -> String {
        let wanted = |at: u32| offset.is_none_or(|offset| offset == at);
        let mut out = String::new();
        let considered = |choice: &&Choice| choice.taken.is_some() || !choice.passed.is_empty();
        let simplified: Vec<&Choice> = self.simplified.iter().filter(considered).collect();
        if simplified.iter().any(|choice| wanted(choice.wasm_offset)) {
            out.push_str("simplify\n");
        }
        for choice in simplified.into_iter().filter(|choice| wanted(choice.wasm_offset)) {
            let _ = writeln!(out, "  {:#x}  {}", choice.wasm_offset, choice.what);
            choice.write(&mut out, "        ");
        }
        let mut lowered = String::new();
        for &block in &self.func.layout {
            let mut text = String::new();
            for &inst in &self.func.blocks[block.index()].insts {
                self.instruction(&mut text, inst, &wanted);
            }
            if !text.is_empty() {
                let _ = write!(lowered, "{block:?}\n{text}");
            }
        }
        if !lowered.is_empty() {
            let _ = write!(out, "lower\n{lowered}");
        }
        out
    }

    /// An instruction with the choices made while it was lowered, those for the constants it needs included.
    fn instruction(&self, out: &mut String, inst: Inst, wanted: &dyn Fn(u32) -> bool) {
        let (at, op) = (self.func.inst(inst).wasm_offset, self.func.inst(inst).op);
        let choices: Vec<&Choice> = self.lowered.iter().filter(|choice| choice.root == Some(inst)).collect();
        if !wanted(at) && !choices.iter().any(|choice| wanted(choice.wasm_offset)) || lower::is_cheap_constant(op) {
            return;
        }
        let shown = self.func.shown(inst);
        let _ = writeln!(out, "  {at:#x}  {shown}");
        if op.info().kind != OpKind::Ordinary && !choices.iter().any(|choice| choice.what == shown) {
            let _ = writeln!(out, "        no rule: frames, calls and jumps are written by the compiler");
        } else if choices.is_empty() {
            let _ = writeln!(out, "        not computed by itself: a rule took it in with what uses it, or nothing uses it");
        }
        for choice in choices {
            if choice.what == shown {
                choice.write(out, "        ");
            } else {
                let _ = writeln!(out, "        {}", choice.what);
                choice.write(out, "          ");
            }
        }
    }
}
