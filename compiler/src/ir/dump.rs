//! The IR as text, one instruction a line.

use super::*;
use std::fmt;

struct List<'a>(&'a [Value]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, value) in self.0.iter().enumerate() {
            write!(f, "{}{value:?}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &block in &self.layout {
            let data = &self.blocks[block.index()];
            write!(f, "{block:?}(")?;
            for (n, &param) in data.params.iter().enumerate() {
                write!(f, "{}{param:?}: {}", if n == 0 { "" } else { ", " }, self.ty(param))?;
            }
            writeln!(f, "):")?;
            for &inst in &data.insts {
                self.line(f, inst)?;
            }
        }
        Ok(())
    }
}

impl Function {
    fn line(&self, f: &mut fmt::Formatter<'_>, inst: Inst) -> fmt::Result {
        let data = self.inst(inst);
        write!(f, "    ")?;
        let results: Vec<Value> = self.results(inst).collect();
        if !results.is_empty() {
            write!(f, "{} = ", List(&results))?;
        }
        write!(f, "{}", data.op.name())?;
        let info = data.op.info();
        if let Some(first) = info.immediates.first() {
            write!(f, " {first}={:#x}", data.imm)?;
        }
        if !self.args(inst).is_empty() {
            write!(f, " {}", List(self.args(inst)))?;
        }
        for (n, target) in self.targets(inst).iter().enumerate() {
            write!(f, "{}{:?}({})", if n == 0 { " -> " } else { ", " }, target.block, List(&target.args))?;
        }
        writeln!(f, "    ; {:#x}", data.wasm_offset)
    }
}
