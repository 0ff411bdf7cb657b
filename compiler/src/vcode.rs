//! A function as machine instructions over virtual registers: what lowering makes and register allocation reads.
//!
//! Takes nothing; holds instructions in block order. [`VCode::finish`] resolves register aliases and collects the
//! allocator's operands once; `regalloc2::Function` is then a view of flat arrays.

use crate::layout::TrapCode;
use crate::machine::{Cc, Inst, OperandVisitor, Reg, RegClass};
use regalloc2::{Operand, OperandConstraint, OperandKind, OperandPos, PReg, PRegSet, VReg};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// How two conditions of one branch combine (`f64.eq`: equal *and* ordered).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    And,
    Or,
}

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A function of this module, by index.
    Function(u32),
    /// An imported function: byte offset of its slot from r15.
    Import(i32),
    /// The slot whose address is in rax.
    Slot(Reg),
    /// The runtime's gate, by number.
    Gate(u32),
}

/// A call: values in fixed registers in and out.
#[derive(Clone, Debug)]
pub struct Call {
    pub callee: Callee,
    pub uses: Vec<(Reg, Reg)>,
    pub defs: Vec<(Reg, Reg)>,
    /// Bytes of parameter words the callee pops.
    pub pop: u32,
}

/// Machine instructions, and the few shapes that become several of them once registers and frame are known.
#[derive(Clone, Debug)]
pub enum MInst {
    Machine(Inst),
    /// Defines the parameters that arrive in registers.
    Entry(Box<[(Reg, Reg)]>),
    Call(Box<Call>),
    /// Leaves the function: results in registers; pops the frame and this many bytes of parameter words.
    Return {
        uses: Box<[(Reg, Reg)]>,
        pop: u32,
    },
    Jump,
    /// To the first successor if the condition holds, else to the second.
    Branch {
        cc: Cc,
        second: Option<(Join, Cc)>,
    },
    /// To successor number `entries[min(index, entries - 1)]`.
    BranchTable {
        index: Reg,
        clamped: Reg,
        table: Reg,
        entries: Rc<[u32]>,
    },
    TrapIf {
        cc: Cc,
        code: TrapCode,
    },
    /// Traps unless the slot's signature is the given one, telling a null slot from a mismatch.
    CheckSignature {
        slot: Reg,
        signature: Reg,
    },
    Trap {
        code: TrapCode,
    },
}

/// What is known of an instruction besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Offset of the Wasm instruction in the module.
    pub wasm_offset: u32,
    /// The lowering rule, or [`NO_RULE`].
    pub rule: u16,
}

pub const NO_RULE: u16 = u16::MAX;

#[derive(Clone, Debug, Default)]
pub struct VBlock {
    pub start: u32,
    pub end: u32,
    pub params: Vec<VReg>,
    pub succs: Vec<regalloc2::Block>,
    pub preds: Vec<regalloc2::Block>,
    /// Arguments for each successor, flattened; `arg_starts[i]..arg_starts[i + 1]` are those of successor i.
    pub args: Vec<VReg>,
    pub arg_starts: Vec<u32>,
    pub loop_depth: u32,
}

#[derive(Clone, Debug, Default)]
pub struct VCode {
    pub insts: Vec<MInst>,
    pub origins: Vec<Origin>,
    /// In layout order; block 0 is the entry.
    pub blocks: Vec<VBlock>,
    pub virtual_registers: u32,
    /// For each virtual register the one it stands for, if it is an alias.
    pub aliases: FxHashMap<u32, Reg>,
    /// Bytes of outgoing words the frame needs.
    pub outgoing: u32,
    /// The rules that fired, those of spec/simplify first, each block's from its end.
    pub fired: Vec<u16>,
    operands: Vec<Operand>,
    operand_starts: Vec<u32>,
    clobbers: FxHashMap<u32, PRegSet>,
}

/// All registers a call may destroy: every allocatable one.
pub fn allocatable() -> PRegSet {
    let mut set = PRegSet::empty();
    for hw in 0..16 {
        if hw != 4 && hw != 15 {
            set.add(PReg::new(hw, regalloc2::RegClass::Int));
        }
        set.add(PReg::new(hw, regalloc2::RegClass::Float));
    }
    set
}

fn preg(reg: Reg) -> PReg {
    PReg::new(reg.hw() as usize, reg.class().allocator())
}

impl VCode {
    /// The register that `reg` finally stands for.
    pub fn resolve(&self, mut reg: Reg) -> Reg {
        if !self.aliases.is_empty() {
            while let Some(&next) = self.aliases.get(&reg.index()) {
                reg = next;
            }
        }
        reg
    }

    /// Collects the operands of every instruction; instructions and aliases must not change afterwards.
    pub fn finish(&mut self) {
        let mut insts = std::mem::take(&mut self.insts);
        let mut collector = Collector { code: self, operands: Vec::new(), clobbers: PRegSet::empty(), base: 0 };
        let mut starts = Vec::with_capacity(insts.len() + 1);
        let mut clobbers = FxHashMap::default();
        for (number, inst) in insts.iter_mut().enumerate() {
            collector.base = collector.operands.len();
            starts.push(collector.base as u32);
            collector.clobbers = PRegSet::empty();
            inst.visit(&mut collector);
            if let MInst::Call(call) = inst {
                let mut set = allocatable();
                for &(_, place) in &call.defs {
                    set.remove(preg(place));
                }
                collector.clobbers = set;
            }
            if collector.clobbers != PRegSet::empty() {
                clobbers.insert(number as u32, collector.clobbers);
            }
        }
        starts.push(collector.operands.len() as u32);
        let operands = collector.operands;
        for block in 0..self.blocks.len() {
            let mut args = std::mem::take(&mut self.blocks[block].args);
            for arg in &mut args {
                if let Some(&next) = self.aliases.get(&(arg.vreg() as u32)) {
                    *arg = self.resolve(next).vreg();
                }
            }
            self.blocks[block].args = args;
        }
        self.insts = insts;
        self.operands = operands;
        self.operand_starts = starts;
        self.clobbers = clobbers;
    }
}

impl MInst {
    /// Shows the visitor every register operand; the order is the same before and after allocation.
    pub fn visit<V: OperandVisitor>(&mut self, visitor: &mut V) {
        match self {
            MInst::Machine(inst) => inst.visit(visitor),
            MInst::Entry(defs) => {
                for (reg, place) in defs.iter_mut() {
                    visitor.def_fixed(reg, place.class(), place.hw());
                }
            }
            MInst::Call(call) => {
                for (reg, place) in &mut call.uses {
                    visitor.use_fixed(reg, place.class(), place.hw());
                }
                if let Callee::Slot(reg) = &mut call.callee {
                    visitor.use_fixed(reg, RegClass::Int, crate::layout::CALLEE_SLOT);
                }
                for (reg, place) in &mut call.defs {
                    visitor.def_fixed(reg, place.class(), place.hw());
                }
            }
            MInst::Return { uses, .. } => {
                for (reg, place) in uses.iter_mut() {
                    visitor.use_fixed(reg, place.class(), place.hw());
                }
            }
            MInst::BranchTable { index, clamped, table, .. } => {
                visitor.use_reg(index, RegClass::Int);
                visitor.early_def(clamped, RegClass::Int);
                visitor.early_def(table, RegClass::Int);
            }
            MInst::CheckSignature { slot, signature } => {
                visitor.use_reg(slot, RegClass::Int);
                visitor.use_reg(signature, RegClass::Int);
            }
            MInst::Jump | MInst::Branch { .. } | MInst::TrapIf { .. } | MInst::Trap { .. } => {}
        }
    }
}

struct Collector<'a> {
    code: &'a VCode,
    operands: Vec<Operand>,
    clobbers: PRegSet,
    base: usize,
}

impl Collector<'_> {
    fn push(&mut self, reg: &mut Reg, constraint: OperandConstraint, kind: OperandKind, pos: OperandPos) {
        *reg = self.code.resolve(*reg);
        self.operands.push(Operand::new(reg.vreg(), constraint, kind, pos));
    }
}

fn fixed(class: RegClass, hw: u8) -> OperandConstraint {
    OperandConstraint::FixedReg(PReg::new(hw as usize, class.allocator()))
}

impl OperandVisitor for Collector<'_> {
    fn use_reg(&mut self, reg: &mut Reg, _: RegClass) {
        self.push(reg, OperandConstraint::Reg, OperandKind::Use, OperandPos::Early);
    }
    fn use_fixed(&mut self, reg: &mut Reg, class: RegClass, hw: u8) {
        self.push(reg, fixed(class, hw), OperandKind::Use, OperandPos::Early);
    }
    fn def(&mut self, reg: &mut Reg, _: RegClass) {
        self.push(reg, OperandConstraint::Reg, OperandKind::Def, OperandPos::Late);
    }
    fn early_def(&mut self, reg: &mut Reg, _: RegClass) {
        self.push(reg, OperandConstraint::Reg, OperandKind::Def, OperandPos::Early);
    }
    fn def_fixed(&mut self, reg: &mut Reg, class: RegClass, hw: u8) {
        self.push(reg, fixed(class, hw), OperandKind::Def, OperandPos::Late);
    }
    fn tied_def(&mut self, dst: &mut Reg, src: &mut Reg, _: RegClass) {
        self.push(src, OperandConstraint::Reg, OperandKind::Use, OperandPos::Early);
        let tied = self.operands.len() - 1 - self.base;
        self.push(dst, OperandConstraint::Reuse(tied), OperandKind::Def, OperandPos::Late);
    }
    fn tied_fixed(&mut self, dst: &mut Reg, src: &mut Reg, class: RegClass, hw: u8) {
        self.push(src, fixed(class, hw), OperandKind::Use, OperandPos::Early);
        self.push(dst, fixed(class, hw), OperandKind::Def, OperandPos::Late);
    }
    fn clobber(&mut self, class: RegClass, hw: u8) {
        self.clobbers.add(PReg::new(hw as usize, class.allocator()));
    }
}

/// Writes the allocator's choices into an instruction, in the order the operands were collected.
pub struct Assign<'a> {
    pub allocations: std::slice::Iter<'a, regalloc2::Allocation>,
}

impl Assign<'_> {
    fn next(&mut self, reg: &mut Reg) {
        // Every constraint we give is a register constraint, so a register it is.
        if let Some(preg) = self.allocations.next().and_then(|allocation| allocation.as_reg()) {
            *reg = Reg::physical(preg.hw_enc() as u8, reg.class());
        }
    }
}

impl OperandVisitor for Assign<'_> {
    fn use_reg(&mut self, reg: &mut Reg, _: RegClass) {
        self.next(reg);
    }
    fn use_fixed(&mut self, reg: &mut Reg, _: RegClass, _: u8) {
        self.next(reg);
    }
    fn def(&mut self, reg: &mut Reg, _: RegClass) {
        self.next(reg);
    }
    fn early_def(&mut self, reg: &mut Reg, _: RegClass) {
        self.next(reg);
    }
    fn def_fixed(&mut self, reg: &mut Reg, _: RegClass, _: u8) {
        self.next(reg);
    }
    fn tied_def(&mut self, dst: &mut Reg, src: &mut Reg, _: RegClass) {
        self.next(src);
        self.next(dst);
    }
    fn tied_fixed(&mut self, dst: &mut Reg, src: &mut Reg, _: RegClass, _: u8) {
        self.next(src);
        self.next(dst);
    }
    fn clobber(&mut self, _: RegClass, _: u8) {}
}

impl regalloc2::Function for VCode {
    fn num_insts(&self) -> usize {
        self.insts.len()
    }
    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }
    fn entry_block(&self) -> regalloc2::Block {
        regalloc2::Block::new(0)
    }
    fn block_insns(&self, block: regalloc2::Block) -> regalloc2::InstRange {
        let block = &self.blocks[block.index()];
        regalloc2::InstRange::new(regalloc2::Inst::new(block.start as usize), regalloc2::Inst::new(block.end as usize))
    }
    fn block_succs(&self, block: regalloc2::Block) -> &[regalloc2::Block] {
        &self.blocks[block.index()].succs
    }
    fn block_preds(&self, block: regalloc2::Block) -> &[regalloc2::Block] {
        &self.blocks[block.index()].preds
    }
    fn block_params(&self, block: regalloc2::Block) -> &[VReg] {
        &self.blocks[block.index()].params
    }
    fn is_ret(&self, inst: regalloc2::Inst) -> bool {
        matches!(self.insts[inst.index()], MInst::Return { .. } | MInst::Trap { .. })
    }
    fn is_branch(&self, inst: regalloc2::Inst) -> bool {
        matches!(self.insts[inst.index()], MInst::Jump | MInst::Branch { .. } | MInst::BranchTable { .. })
    }
    fn branch_blockparams(&self, block: regalloc2::Block, _: regalloc2::Inst, succ: usize) -> &[VReg] {
        let block = &self.blocks[block.index()];
        &block.args[block.arg_starts[succ] as usize..block.arg_starts[succ + 1] as usize]
    }
    fn inst_operands(&self, inst: regalloc2::Inst) -> &[Operand] {
        let (start, end) = (self.operand_starts[inst.index()], self.operand_starts[inst.index() + 1]);
        &self.operands[start as usize..end as usize]
    }
    fn inst_clobbers(&self, inst: regalloc2::Inst) -> PRegSet {
        self.clobbers.get(&(inst.index() as u32)).copied().unwrap_or_default()
    }
    fn num_vregs(&self) -> usize {
        self.virtual_registers as usize
    }
    fn spillslot_size(&self, _: regalloc2::RegClass) -> usize {
        1
    }
}
