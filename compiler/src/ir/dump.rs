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
        write!(f, "    ")?;
        self.write(f, inst)?;
        writeln!(f, "    ; {:#x}", self.inst(inst).wasm_offset)
    }

    /// An instruction as text: `v3 = i32.add v1, v2`.
    pub fn shown(&self, inst: Inst) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text, inst);
        text
    }

    /// A value with what defines it.
    pub fn shown_value(&self, value: Value) -> String {
        let value = self.resolve(value);
        match self.def(value) {
            Some(inst) => self.shown(inst),
            None => format!("{value:?}: {}, a parameter of its block", self.ty(value)),
        }
    }

    /// An operator with its first immediate and its operands.
    pub fn shown_operator(&self, op: Op, imm: u64, args: &[Value]) -> String {
        let mut text = op.name().to_string();
        if let Some(first) = op.info().immediates.first() {
            text += &format!(" {first}={imm:#x}");
        }
        if !args.is_empty() {
            text += &format!(" {}", List(args));
        }
        text
    }

    fn write(&self, f: &mut dyn fmt::Write, inst: Inst) -> fmt::Result {
        let data = self.inst(inst);
        let results: Vec<Value> = self.results(inst).collect();
        if !results.is_empty() {
            write!(f, "{} = ", List(&results))?;
        }
        write!(f, "{}", self.shown_operator(data.op, data.imm, self.args(inst)))?;
        for (n, target) in self.targets(inst).iter().enumerate() {
            write!(f, "{}{:?}({})", if n == 0 { " -> " } else { ", " }, target.block, List(&target.args))?;
        }
        Ok(())
    }
}
