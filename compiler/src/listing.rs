//! Listings: compiled code as text (Wasm offset, rule, instruction), and machine instructions before allocation.

use crate::compile::Compiled;
use crate::lower::rules::RULES;
use crate::module::Module;
use crate::vcode::{MInst, NO_RULE, VCode};
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use rustc_hash::FxHashMap;
use std::fmt::{self, Write};
use vwasm_runtime::shown::shown;

/// All functions of a module compiled with `keep_origins`.
pub fn listing(module: &Module<'_>, compiled: &Compiled) -> String {
    let mut text = String::new();
    let mut formatter = IntelFormatter::new();
    let names: FxHashMap<u32, &str> = module.names.iter().map(|(index, name)| (*index, name.as_str())).collect();
    for (number, (start, function)) in compiled.functions.iter().enumerate() {
        let index = module.imported_functions + number as u32;
        let name = names.get(&index).copied().unwrap_or_default();
        let _ = writeln!(text, "function {index} {}", shown(name));
        let from = *start as usize;
        let bytes = &compiled.code[from..from + function.code.len()];
        let mut origins = function.origins.iter().peekable();
        let mut note = String::new();
        for instruction in Decoder::with_ip(64, bytes, u64::from(*start), DecoderOptions::NONE) {
            let offset = instruction.ip() as u32 - start;
            while let Some((_, origin)) = origins.next_if(|(at, _)| *at <= offset) {
                let rule = if origin.rule == NO_RULE { "" } else { RULES[origin.rule as usize].name };
                note = format!("{:#x} {rule}", origin.wasm_offset);
            }
            let mut shown = String::new();
            formatter.format(&instruction, &mut shown);
            let _ = writeln!(text, "{:8x}  {shown:50} ; {note}", instruction.ip());
            note.clear();
        }
        text.push('\n');
    }
    text
}

impl fmt::Display for VCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, block) in self.blocks.iter().enumerate() {
            let params: Vec<String> = block.params.iter().map(|param| param.to_string()).collect();
            writeln!(f, "block{number}({}):", params.join(", "))?;
            for at in block.start..block.end {
                let origin = self.origins[at as usize];
                let rule = if origin.rule == NO_RULE { "" } else { RULES[origin.rule as usize].name };
                let shown = match &self.insts[at as usize] {
                    MInst::Machine(inst) => inst.to_string(),
                    other => format!("{other:?}"),
                };
                writeln!(f, "    {shown:60} ; {:#x} {rule}", origin.wasm_offset)?;
            }
            if !block.succs.is_empty() {
                let succs: Vec<String> = block.succs.iter().map(|succ| format!("block{}", succ.index())).collect();
                let args: Vec<String> = block.args.iter().map(|arg| arg.to_string()).collect();
                writeln!(f, "    -> {} ({})", succs.join(", "), args.join(", "))?;
            }
        }
        Ok(())
    }
}
