//! The SSA intermediate representation.
//!
//! A [`Function`] holds instructions, values and blocks in arenas; blocks have parameters instead of phis. The operators are
//! those of WebAssembly with the implicit made explicit (`spec/wasm`): memory bases, table slots, instance fields.
//! Function and extern references are i32 values (indices). The last instruction of a block, and no other, is a terminator.

mod dump;
pub mod op {
    //! Generated from `spec/wasm/*.rules`.
    use super::Type;
    include!(concat!(env!("OUT_DIR"), "/ops.rs"));
}
pub mod eval {
    //! Generated from `spec/wasm/*.rules`: what each operator computes.
    #![allow(unused_variables, unused_parens, clippy::all)]
    use super::op::Op;
    use crate::layout::TrapCode;
    include!(concat!(env!("OUT_DIR"), "/eval.rs"));
}
pub use op::{Op, OpKind};

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    I32,
    I64,
    F32,
    F64,
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
        })
    }
}

macro_rules! index {
    ($name:ident, $letter:literal) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub u32);

        impl $name {
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}{}", $letter, self.0)
            }
        }
    };
}
index!(Value, "v");
index!(Inst, "inst");
index!(Block, "block");

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueDef {
    /// Result number n of an instruction.
    Result(Inst, u32),
    Param(Block),
    /// Another value stands for it.
    Alias(Value),
}

#[derive(Clone, Copy, Debug)]
pub struct ValueData {
    pub ty: Type,
    pub def: ValueDef,
}

/// A range of one of the function's pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

#[derive(Clone, Copy, Debug)]
pub struct InstData {
    pub op: Op,
    /// First immediate of the operator.
    pub imm: u64,
    /// Second immediate; for calls the type index.
    pub aux: u32,
    pub args: Span,
    pub first_result: u32,
    pub results: u32,
    /// Successors, for terminators.
    pub targets: Span,
    pub wasm_offset: u32,
}

/// A successor with the arguments for its parameters.
#[derive(Clone, Debug)]
pub struct BlockCall {
    pub block: Block,
    pub args: Vec<Value>,
}

#[derive(Clone, Debug, Default)]
pub struct BlockData {
    pub params: Vec<Value>,
    pub insts: Vec<Inst>,
    pub loop_depth: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Function {
    pub insts: Vec<InstData>,
    pub values: Vec<ValueData>,
    pub blocks: Vec<BlockData>,
    pub args: Vec<Value>,
    pub targets: Vec<BlockCall>,
    /// `br_table`: for each index the number of the successor; the last is the default.
    pub tables: Vec<Vec<u32>>,
    /// Reachable blocks in emission order; the entry is first and definitions precede uses.
    pub layout: Vec<Block>,
    pub results: Vec<Type>,
    /// The rules of spec/simplify that fired, in order.
    pub fired: Vec<u16>,
}

pub const ENTRY: Block = Block(0);

impl Function {
    pub fn new_block(&mut self) -> Block {
        self.blocks.push(BlockData::default());
        Block(self.blocks.len() as u32 - 1)
    }

    pub fn new_param(&mut self, block: Block, ty: Type) -> Value {
        let value = self.new_value(ty, ValueDef::Param(block));
        self.blocks[block.index()].params.push(value);
        value
    }

    pub fn new_value(&mut self, ty: Type, def: ValueDef) -> Value {
        self.values.push(ValueData { ty, def });
        Value(self.values.len() as u32 - 1)
    }

    /// Makes an instruction; it stands in no block yet.
    pub fn new_inst(&mut self, op: Op, imm: u64, aux: u32, args: &[Value], results: &[Type], wasm_offset: u32) -> Inst {
        let inst = Inst(self.insts.len() as u32);
        let span = Span { start: self.args.len() as u32, len: args.len() as u32 };
        self.args.extend_from_slice(args);
        let first_result = self.values.len() as u32;
        for (n, &ty) in results.iter().enumerate() {
            self.new_value(ty, ValueDef::Result(inst, n as u32));
        }
        self.insts.push(InstData {
            op,
            imm,
            aux,
            args: span,
            first_result,
            results: results.len() as u32,
            targets: Span::default(),
            wasm_offset,
        });
        inst
    }

    pub fn inst(&self, inst: Inst) -> &InstData {
        &self.insts[inst.index()]
    }

    pub fn args(&self, inst: Inst) -> &[Value] {
        &self.args[self.inst(inst).args.range()]
    }

    pub fn results(&self, inst: Inst) -> impl Iterator<Item = Value> + use<> {
        let data = self.inst(inst);
        (data.first_result..data.first_result + data.results).map(Value)
    }

    pub fn targets(&self, inst: Inst) -> &[BlockCall] {
        &self.targets[self.inst(inst).targets.range()]
    }

    pub fn ty(&self, value: Value) -> Type {
        self.values[value.index()].ty
    }

    /// The value that `value` finally stands for.
    pub fn resolve(&self, mut value: Value) -> Value {
        while let ValueDef::Alias(next) = self.values[value.index()].def {
            value = next;
        }
        value
    }

    /// Replaces aliases everywhere by what they stand for.
    pub fn resolve_aliases(&mut self) {
        let mut args = std::mem::take(&mut self.args);
        args.iter_mut().for_each(|arg| *arg = self.resolve(*arg));
        self.args = args;
        let mut targets = std::mem::take(&mut self.targets);
        targets.iter_mut().flat_map(|target| &mut target.args).for_each(|arg| *arg = self.resolve(*arg));
        self.targets = targets;
    }

    /// The instruction that defines a value, if one does.
    pub fn def(&self, value: Value) -> Option<Inst> {
        match self.values[value.index()].def {
            ValueDef::Result(inst, _) => Some(inst),
            _ => None,
        }
    }

    /// The bits of a constant.
    pub fn constant(&self, value: Value) -> Option<u64> {
        let data = self.inst(self.def(value)?);
        match data.op {
            Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const => Some(data.imm),
            _ => None,
        }
    }

    pub fn terminator(&self, block: Block) -> Option<Inst> {
        self.blocks[block.index()].insts.last().copied()
    }

    pub fn successors(&self, block: Block) -> &[BlockCall] {
        self.terminator(block).map_or(&[], |inst| self.targets(inst))
    }
}

/// The constant operator of a type.
pub fn constant_op(ty: Type) -> Op {
    match ty {
        Type::I32 => Op::I32Const,
        Type::I64 => Op::I64Const,
        Type::F32 => Op::F32Const,
        Type::F64 => Op::F64Const,
    }
}
