//! The intermediate representation: SSA with block parameters, whose operators are those of `spec/wasm`.
//!
//! One [`Function`] holds everything in flat arenas, named by the indices [`Value`], [`Inst`] and [`Block`].
//!
//! What every finished function guarantees (`verify` checks it):
//! - The last instruction of a block, and no other, is a terminator (`br`, `br_if`, `br_table`, `return`, `unreachable`).
//! - Every use is dominated by its definition. Constants (`*.const`) are the exception: they stand in no block and are
//!   valid everywhere; ask [`Function::const_of`].
//! - [`Function::layout`] has every reachable block once, the entry first, in an order for emission in which a block
//!   comes after its dominators. The entry has no predecessors; its parameters are the function's.
//! - The targets of one terminator are distinct blocks, and no edge is critical: a block with several targets leads to
//!   blocks with one predecessor. `br_if` has two targets, the taken one first (or `br` replaced it). `br_table` goes to
//!   `targets[table[min(index, table.len() - 1)]]`: see [`Function::table`].
//! - The order of instructions with effects (traps, reads, writes, calls) is the order of the program.

pub mod dump;
pub mod op;
pub mod verify;

pub use op::{Op, OpInfo, OpKind};

/// Type of a value. References are `I32`: indices into the store's records.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum Type {
    I32,
    I64,
    F32,
    F64,
}

impl Type {
    pub fn name(self) -> &'static str {
        match self {
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
        }
    }

    pub fn is_float(self) -> bool {
        matches!(self, Type::F32 | Type::F64)
    }

    /// The operator that makes a constant of this type.
    pub fn const_op(self) -> Op {
        match self {
            Type::I32 => Op::I32Const,
            Type::I64 => Op::I64Const,
            Type::F32 => Op::F32Const,
            Type::F64 => Op::F64Const,
        }
    }
}

macro_rules! index {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            pub const NONE: $name = $name(u32::MAX);

            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

index!(
    /// An SSA value: a result of an instruction or a parameter of a block.
    Value,
    "v"
);
index!(
    /// An instruction.
    Inst,
    "inst"
);
index!(
    /// A basic block.
    Block,
    "block"
);

/// A slice of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ListRef {
    pub start: u32,
    pub len: u32,
}

impl ListRef {
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueDef {
    /// Result `n` of an instruction.
    Result(Inst, u32),
    /// Parameter `n` of a block.
    Param(Block, u32),
}

#[derive(Clone, Copy, Debug)]
pub struct ValueData {
    pub ty: Type,
    pub def: ValueDef,
}

/// An instruction. Immediates: `imm` is the operator's first, `aux` the second. (`call`: imm = function index, aux = type
/// index; `call_import`: imm = byte offset of the slot from r15, aux = type index; `call_slot`: aux = type index;
/// `gate`: imm = number.) An i32 immediate is zero-extended in `imm`, so a byte offset is `imm as u32 as i32`.
/// Branches use both for their targets: ask [`Function::targets`] and [`Function::table`].
#[derive(Clone, Copy, Debug)]
pub struct InstData {
    pub op: Op,
    pub imm: u64,
    pub aux: u32,
    pub args: ListRef,
    pub first_result: Value,
    pub results: u16,
    /// Byte offset in the module of the Wasm instruction it comes from.
    pub wasm_offset: u32,
}

/// A branch target: a block and an argument for each of its parameters.
#[derive(Clone, Copy, Debug)]
pub struct BlockCall {
    pub block: Block,
    pub args: ListRef,
}

#[derive(Clone, Debug, Default)]
pub struct BlockData {
    pub params: Vec<Value>,
    /// In order; the last is the terminator.
    pub insts: Vec<Inst>,
    /// Number of loops the block is in.
    pub loop_depth: u32,
    /// A loop's entry: the target of a branch from within.
    pub loop_header: bool,
    /// Leads to nothing but a trap.
    pub cold: bool,
}

/// A function's parameters, results and code.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Index in the module's function index space.
    pub index: u32,
    pub params: Vec<Type>,
    pub results: Vec<Type>,
    pub insts: Vec<InstData>,
    pub values: Vec<ValueData>,
    pub blocks: Vec<BlockData>,
    /// Blocks in emission order.
    pub layout: Vec<Block>,
    pool: Vec<Value>,
    calls: Vec<BlockCall>,
    tables: Vec<Vec<u32>>,
}

impl Op {
    pub fn is_terminator(self) -> bool {
        self.info().kind == OpKind::Control
    }

    pub fn is_const(self) -> bool {
        matches!(self, Op::I32Const | Op::I64Const | Op::F32Const | Op::F64Const)
    }

    /// Whether leaving out an unused one, or doing it twice, is seen by nobody.
    pub fn is_pure(self) -> bool {
        let info = self.info();
        info.kind == OpKind::Ordinary && !info.can_trap && info.writes == 0
    }
}

impl Function {
    pub fn new(index: u32) -> Function {
        Function { index, ..Function::default() }
    }

    pub fn entry(&self) -> Block {
        Block(0)
    }

    // -- Values -------------------------------------------------------------------------------

    pub fn value_type(&self, value: Value) -> Type {
        self.values[value.index()].ty
    }

    pub fn value_def(&self, value: Value) -> ValueDef {
        self.values[value.index()].def
    }

    /// The instruction that has `value` as a result.
    pub fn def(&self, value: Value) -> Option<Inst> {
        match self.values[value.index()].def {
            ValueDef::Result(inst, _) => Some(inst),
            ValueDef::Param(..) => None,
        }
    }

    /// The bit pattern of a constant (i32 and f32 zero-extended).
    pub fn const_of(&self, value: Value) -> Option<u64> {
        let data = &self.insts[self.def(value)?.index()];
        data.op.is_const().then_some(data.imm)
    }

    // -- Instructions -------------------------------------------------------------------------

    pub fn op(&self, inst: Inst) -> Op {
        self.insts[inst.index()].op
    }

    pub fn args(&self, inst: Inst) -> &[Value] {
        &self.pool[self.insts[inst.index()].args.range()]
    }

    pub fn args_mut(&mut self, inst: Inst) -> &mut [Value] {
        &mut self.pool[self.insts[inst.index()].args.range()]
    }

    pub fn results(&self, inst: Inst) -> impl ExactSizeIterator<Item = Value> + use<> {
        let data = &self.insts[inst.index()];
        let first = data.first_result.0;
        (0..data.results).map(move |n| Value(first + u32::from(n)))
    }

    /// The first (mostly the only) result; [`Value::NONE`] if there is none.
    pub fn result(&self, inst: Inst) -> Value {
        self.insts[inst.index()].first_result
    }

    // -- Branches -----------------------------------------------------------------------------

    /// Distinct targets of a terminator.
    pub fn targets(&self, inst: Inst) -> &[BlockCall] {
        &self.calls[self.target_range(inst)]
    }

    pub fn targets_mut(&mut self, inst: Inst) -> &mut [BlockCall] {
        let range = self.target_range(inst);
        &mut self.calls[range]
    }

    fn target_range(&self, inst: Inst) -> std::ops::Range<usize> {
        let data = &self.insts[inst.index()];
        let count = match data.op {
            Op::Br | Op::BrIf | Op::BrTable => data.imm as u32,
            _ => 0,
        };
        ListRef { start: data.aux, len: count }.range()
    }

    /// `br_table`: for each index the number of its target; the last is the default.
    pub fn table(&self, inst: Inst) -> &[u32] {
        let data = &self.insts[inst.index()];
        match data.op {
            Op::BrTable => &self.tables[(data.imm >> 32) as usize],
            _ => &[],
        }
    }

    pub fn block_args(&self, call: BlockCall) -> &[Value] {
        &self.pool[call.args.range()]
    }

    pub fn terminator(&self, block: Block) -> Inst {
        self.blocks[block.index()].insts.last().copied().unwrap_or(Inst::NONE)
    }

    pub fn successors(&self, block: Block) -> &[BlockCall] {
        match self.blocks[block.index()].insts.last() {
            Some(&inst) => self.targets(inst),
            None => &[],
        }
    }

    pub fn block_params(&self, block: Block) -> &[Value] {
        &self.blocks[block.index()].params
    }

    pub fn block_insts(&self, block: Block) -> &[Inst] {
        &self.blocks[block.index()].insts
    }

    // -- Whole-function facts -----------------------------------------------------------------

    /// How often each value is used, by instructions and as a branch argument.
    pub fn use_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.values.len()];
        for &block in &self.layout {
            for &inst in self.block_insts(block) {
                for &arg in self.args(inst) {
                    counts[arg.index()] += 1;
                }
            }
            for &call in self.successors(block) {
                for &arg in self.block_args(call) {
                    counts[arg.index()] += 1;
                }
            }
        }
        counts
    }

    // -- Construction -------------------------------------------------------------------------

    pub fn list(&mut self, values: &[Value]) -> ListRef {
        let start = self.pool.len() as u32;
        self.pool.extend_from_slice(values);
        ListRef { start, len: values.len() as u32 }
    }

    pub fn pool(&self, list: ListRef) -> &[Value] {
        &self.pool[list.range()]
    }

    pub fn pool_mut(&mut self, list: ListRef) -> &mut [Value] {
        &mut self.pool[list.range()]
    }

    pub fn add_block(&mut self) -> Block {
        self.blocks.push(BlockData::default());
        Block(self.blocks.len() as u32 - 1)
    }

    pub fn add_param(&mut self, block: Block, ty: Type) -> Value {
        let value = Value(self.values.len() as u32);
        let params = &mut self.blocks[block.index()].params;
        self.values.push(ValueData { ty, def: ValueDef::Param(block, params.len() as u32) });
        params.push(value);
        value
    }

    /// An instruction that stands in no block yet.
    pub fn add_inst(&mut self, op: Op, imm: u64, aux: u32, args: &[Value], results: &[Type], wasm_offset: u32) -> Inst {
        let args = self.list(args);
        let inst = Inst(self.insts.len() as u32);
        let first_result = if results.is_empty() { Value::NONE } else { Value(self.values.len() as u32) };
        for (n, &ty) in results.iter().enumerate() {
            self.values.push(ValueData { ty, def: ValueDef::Result(inst, n as u32) });
        }
        self.insts.push(InstData { op, imm, aux, args, first_result, results: results.len() as u16, wasm_offset });
        inst
    }

    /// Gives a branch its targets.
    pub fn set_targets(&mut self, inst: Inst, targets: &[BlockCall]) {
        let start = self.calls.len() as u32;
        self.calls.extend_from_slice(targets);
        let data = &mut self.insts[inst.index()];
        data.aux = start;
        data.imm = data.imm & !0xffff_ffff | targets.len() as u64;
    }

    /// Gives a `br_table` its table of target numbers (before or after its targets).
    pub fn set_table(&mut self, inst: Inst, table: Vec<u32>) {
        let number = self.tables.len() as u64;
        self.tables.push(table);
        let data = &mut self.insts[inst.index()];
        data.imm = data.imm & 0xffff_ffff | number << 32;
    }
}
