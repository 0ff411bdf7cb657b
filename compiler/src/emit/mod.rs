//! Allocated machine instructions to a function's bytes.
//!
//! Takes a [`VCode`] and the allocator's output; gives bytes, relocations, trap sites and the frame's size. The frame:
//!
//! ```text
//!   rsp                       + outgoing           + frame        + frame + 8
//!    | outgoing words          | spill slots        | return addr  | incoming parameter words, result words
//! ```
//!
//! The prologue is `sub rsp, frame`, the epilogue `add rsp, frame; ret`. A trap is a `ud2` behind the function's last
//! block, one for each check, so that its address tells code and Wasm offset. What is chosen here in Rust: the frame's
//! layout, fall-through, which branches are inverted. What is executed: instructions of `spec/x86_64` only.

mod assembler;
pub mod thunk;

pub use assembler::{Assembler, Position, Target};

use crate::error::{CompileError, ErrorKind, Result};
use crate::layout;
use crate::machine::{Amode, Base, Cc, Inst, NO_SITE, RAX, Reg, RegClass, RegMem};
use crate::vcode::{Assign, Call, Callee, Join, MInst, NO_RULE, Origin, VCode};
use regalloc2::{Allocation, Edit, InstOrEdit, Output};

/// What a 32-bit displacement in the code refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocTarget {
    /// Entry of a function of this module.
    Function(u32),
    /// Offset in this function's jump tables.
    Table(u32),
}

/// A 32-bit field at `offset`, relative to its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloc {
    pub offset: u32,
    pub target: RelocTarget,
}

/// An address the runtime wants to know: a trap, a faulting access (its code), or a call's return address (code 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    pub offset: u32,
    pub code: u8,
    pub wasm_offset: u32,
}

/// A function's machine code, not placed yet.
#[derive(Clone, Debug, Default)]
pub struct CompiledFunction {
    pub code: Vec<u8>,
    pub relocs: Vec<Reloc>,
    pub sites: Vec<Site>,
    /// Jump table entries: code offsets in this function.
    pub tables: Vec<u32>,
    pub frame_size: u32,
    /// Where each instruction came from, by code offset (filled when asked for).
    pub origins: Vec<(u32, Origin)>,
    /// The rules that fired (filled when asked for).
    pub fired: Vec<u16>,
}

/// Encodes a function. `keep_origins`: record which rule made which bytes.
pub fn emit(code: &VCode, allocation: &Output, keep_origins: bool) -> Result<CompiledFunction> {
    let frame = u64::from(code.outgoing) + 8 * allocation.num_spillslots as u64;
    if frame + 8 >= layout::MAX_FRAME {
        return Err(CompileError::new(ErrorKind::Limit, format!("a stack frame of {frame} bytes")));
    }
    let mut emitter = Emitter {
        asm: Assembler::new(),
        frame: frame as u32,
        outgoing: code.outgoing,
        labels: Vec::new(),
        islands: Vec::new(),
        sites: Vec::new(),
        relocs: Vec::new(),
        tables: Vec::new(),
        origins: Vec::new(),
        keep_origins,
    };
    emitter.function(code, allocation)?;
    let fired = if keep_origins { code.fired.clone() } else { Vec::new() };
    Ok(CompiledFunction { fired, ..emitter.finish()? })
}

struct Island {
    target: Target,
    code: u8,
    wasm_offset: u32,
    /// The slot whose signature did not match: null gives another code.
    slot: Option<Reg>,
}

struct Emitter {
    asm: Assembler,
    frame: u32,
    outgoing: u32,
    /// Label of each block.
    labels: Vec<Target>,
    islands: Vec<Island>,
    sites: Vec<(Position, u8, u32)>,
    relocs: Vec<(Position, RelocTarget)>,
    tables: Vec<Target>,
    origins: Vec<(Position, Origin)>,
    keep_origins: bool,
}

/// Resolves an `Incoming` address once the frame's size is known.
fn fix_amode(amode: &mut Amode, bytes: i32) {
    if amode.base == Base::Incoming {
        amode.base = Base::Stack;
        amode.disp += bytes;
    }
}

impl Emitter {
    fn function(&mut self, code: &VCode, allocation: &Output) -> Result<()> {
        self.labels = (0..code.blocks.len()).map(|_| self.asm.target()).collect();
        let order = Threads::new(code, allocation);
        if self.frame != 0 {
            self.asm.push(&Inst::SubRsp { c: self.frame as i32 })?;
        }
        let kept: Vec<usize> = (0..code.blocks.len()).filter(|&block| order.is_emitted(block)).collect();
        for (nth, &block) in kept.iter().enumerate() {
            let next = kept.get(nth + 1).copied();
            self.asm.bind(self.labels[block]);
            let succs: Vec<usize> = code.blocks[block].succs.iter().map(|succ| order.final_target(succ.index())).collect();
            let edits = allocation.block_insts_and_edits(code, regalloc2::Block::new(block));
            for item in edits {
                match item {
                    InstOrEdit::Edit(Edit::Move { from, to }) => self.move_value(*from, *to)?,
                    InstOrEdit::Inst(inst) => {
                        let origin = code.origins[inst.index()];
                        let mut minst = code.insts[inst.index()].clone();
                        let mut assign = Assign { allocations: allocation.inst_allocs(inst).iter() };
                        minst.visit(&mut assign);
                        if self.keep_origins {
                            self.origins.push((self.asm.position(), origin));
                        }
                        self.instruction(minst, origin, &succs, next)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A move the allocator asks for; stack to stack never happens.
    fn move_value(&mut self, from: Allocation, to: Allocation) -> Result<()> {
        if from == to {
            return Ok(());
        }
        let slot = |allocation: Allocation| {
            allocation.as_stack().map(|slot| Amode::new(Base::Stack, (self.outgoing as usize + 8 * slot.index()) as i32))
        };
        let register = |allocation: Allocation| {
            allocation.as_reg().map(|preg| {
                let class = if preg.class() == regalloc2::RegClass::Int { RegClass::Int } else { RegClass::Float };
                Reg::physical(preg.hw_enc() as u8, class)
            })
        };
        let inst = match (register(from), register(to), slot(from), slot(to)) {
            (Some(src), Some(dst), ..) => match dst.class() {
                RegClass::Int => Inst::Mov64 { dst, src },
                RegClass::Float => Inst::Movaps { dst, src },
            },
            (Some(src), _, _, Some(m)) => match src.class() {
                RegClass::Int => Inst::Store64 { m, src },
                RegClass::Float => Inst::MovsdStore { m, src },
            },
            (_, Some(dst), Some(m), _) => match dst.class() {
                RegClass::Int => Inst::Load64 { dst, m },
                RegClass::Float => Inst::MovsdLoad { dst, m },
            },
            _ => return Err(CompileError::new(ErrorKind::Limit, "a move from stack to stack")),
        };
        self.asm.push(&inst)
    }

    fn instruction(&mut self, inst: MInst, origin: Origin, succs: &[usize], next: Option<usize>) -> Result<()> {
        match inst {
            MInst::Machine(mut inst) => {
                if let Some(amode) = inst.memory_mut() {
                    fix_amode(amode, self.frame as i32 + 8);
                    if amode.site != NO_SITE {
                        let code = layout::TrapCode::OutOfBoundsMemoryAccess as u8;
                        self.sites.push((self.asm.position(), code, amode.site));
                    }
                }
                self.asm.push(&inst)
            }
            MInst::Entry(_) => Ok(()),
            MInst::Call(call) => self.call(&call, origin),
            MInst::Return { pop, .. } => {
                if self.frame != 0 {
                    self.asm.push(&Inst::AddRsp { c: self.frame as i32 })?;
                }
                self.asm.push(&if pop == 0 { Inst::Ret {} } else { Inst::RetPop { c: pop as u16 as i32 } })
            }
            MInst::Jump => {
                self.jump_unless_next(succs[0], next);
                Ok(())
            }
            MInst::Branch { cc, second } => {
                self.branch(cc, second, succs[0], succs[1], next);
                Ok(())
            }
            MInst::BranchTable { index, clamped, table, entries } => {
                self.branch_table(index, clamped, table, &entries, succs)
            }
            MInst::TrapIf { cc, code } => {
                self.trap_when(cc, code, origin, None);
                Ok(())
            }
            MInst::CheckSignature { slot, signature } => {
                let field = Amode::new(Base::Reg(slot), layout::SLOT_SIGNATURE);
                self.asm.push(&Inst::Cmp32 { a: signature, b: RegMem::Mem(field) })?;
                self.trap_when(Cc::NE, layout::TrapCode::IndirectCallTypeMismatch, origin, Some(slot));
                Ok(())
            }
            MInst::Trap { code } => {
                self.sites.push((self.asm.position(), code as u8, origin.wasm_offset));
                self.asm.push(&Inst::Ud2 {})
            }
        }
    }

    /// Traps, out of line, when the condition holds.
    fn trap_when(&mut self, cc: Cc, code: layout::TrapCode, origin: Origin, slot: Option<Reg>) {
        let target = self.asm.target();
        self.islands.push(Island { target, code: code as u8, wasm_offset: origin.wasm_offset, slot });
        self.asm.jump_if(cc, target);
    }

    fn jump_unless_next(&mut self, block: usize, next: Option<usize>) {
        if Some(block) != next {
            self.asm.jump(self.labels[block]);
        }
    }

    fn branch(&mut self, cc: Cc, second: Option<(Join, Cc)>, taken: usize, other: usize, next: Option<usize>) {
        let (to, not) = (self.labels[taken], self.labels[other]);
        match second {
            None if Some(taken) == next => self.asm.jump_if(cc.inverted(), not),
            None => {
                self.asm.jump_if(cc, to);
                self.jump_unless_next(other, next);
            }
            Some((Join::Or, second)) => {
                self.asm.jump_if(cc, to);
                self.asm.jump_if(second, to);
                self.jump_unless_next(other, next);
            }
            Some((Join::And, second)) => {
                self.asm.jump_if(cc.inverted(), not);
                if Some(taken) == next {
                    self.asm.jump_if(second.inverted(), not);
                } else {
                    self.asm.jump_if(second, to);
                    self.jump_unless_next(other, next);
                }
            }
        }
    }

    /// `clamped = min(index, last)` by conditional move, so that a mispredicted bound cannot index past the table.
    fn branch_table(&mut self, index: Reg, clamped: Reg, table: Reg, entries: &[u32], succs: &[usize]) -> Result<()> {
        let last = entries.len() as i32 - 1;
        self.asm.push(&Inst::Mov32Imm { dst: clamped, c: last })?;
        self.asm.push(&Inst::Cmp32 { a: index, b: RegMem::Reg(clamped) })?;
        self.asm.push(&Inst::Cmov32 { dst: clamped, dst_in: clamped, src: RegMem::Reg(index), cc: Cc::B })?;
        let start = 4 * self.tables.len() as u32;
        self.tables.extend(entries.iter().map(|&entry| self.labels[succs[entry as usize]]));
        let end = self.asm.push_relative(|target| Inst::LeaLabel { dst: table, target })?;
        self.relocs.push((end, RelocTarget::Table(start)));
        let entry = Amode { base: Base::Reg(table), index: clamped, scale: 4, disp: 0, site: NO_SITE };
        self.asm.push(&Inst::Movsxd64Load { dst: clamped, m: entry })?;
        self.asm.push(&Inst::Add64 { dst: table, dst_in: table, src: RegMem::Reg(clamped) })?;
        self.asm.push(&Inst::JmpReg { target: table })
    }

    fn call(&mut self, call: &Call, origin: Origin) -> Result<()> {
        match call.callee {
            Callee::Function(index) => {
                let end = self.asm.push_relative(|target| Inst::CallRel32 { target })?;
                self.relocs.push((end, RelocTarget::Function(index)));
            }
            Callee::Import(offset) => {
                self.asm.push(&Inst::Lea64 { dst: RAX, m: Amode::new(Base::Instance, offset) })?;
                self.asm.push(&Inst::CallMem { m: Amode::new(Base::Instance, offset + layout::SLOT_CODE) })?;
            }
            Callee::Slot(slot) => {
                self.asm.push(&Inst::CallMem { m: Amode::new(Base::Reg(slot), layout::SLOT_CODE) })?;
            }
            Callee::Gate(number) => {
                self.asm.push(&Inst::Mov32Imm { dst: RAX, c: number as i32 })?;
                self.asm.push(&Inst::CallMem { m: Amode::new(Base::Instance, layout::INSTANCE_GATE) })?;
            }
        }
        self.sites.push((self.asm.position(), 0, origin.wasm_offset));
        if call.pop != 0 {
            self.asm.push(&Inst::SubRsp { c: call.pop as i32 })?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<CompiledFunction> {
        for island in std::mem::take(&mut self.islands) {
            self.asm.bind(island.target);
            if let Some(slot) = island.slot {
                let field = Amode::new(Base::Reg(slot), layout::SLOT_SIGNATURE);
                self.asm.push(&Inst::Cmp32Imm { a: RegMem::Mem(field), c: 0 })?;
                let mismatch = self.asm.target();
                self.asm.jump_if(Cc::NE, mismatch);
                let code = layout::TrapCode::UninitializedElement as u8;
                self.sites.push((self.asm.position(), code, island.wasm_offset));
                self.asm.push(&Inst::Ud2 {})?;
                self.asm.bind(mismatch);
            }
            self.sites.push((self.asm.position(), island.code, island.wasm_offset));
            if self.keep_origins {
                self.origins.push((self.asm.position(), Origin { wasm_offset: island.wasm_offset, rule: NO_RULE }));
            }
            self.asm.push(&Inst::Ud2 {})?;
        }
        let assembled = self.asm.finish()?;
        let mut sites: Vec<Site> = self
            .sites
            .iter()
            .map(|&(at, code, wasm_offset)| Site { offset: assembled.offset(at), code, wasm_offset })
            .collect();
        sites.sort_by_key(|site| (site.offset, site.code));
        Ok(CompiledFunction {
            relocs: self.relocs.iter().map(|&(end, target)| Reloc { offset: assembled.offset(end) - 4, target }).collect(),
            sites,
            tables: self.tables.iter().map(|&target| assembled.target_offset(target)).collect(),
            frame_size: self.frame,
            origins: self.origins.iter().map(|&(at, origin)| (assembled.offset(at), origin)).collect(),
            code: assembled.code,
            fired: Vec::new(),
        })
    }
}

/// Blocks that only jump on are not emitted; branches to them go where they go.
struct Threads {
    target: Vec<u32>,
}

impl Threads {
    fn new(code: &VCode, allocation: &Output) -> Threads {
        let mut target: Vec<u32> = (0..code.blocks.len() as u32).collect();
        let mut edits = allocation.edits.iter().peekable();
        for (number, block) in code.blocks.iter().enumerate() {
            // Edits are sorted; skip to those of this block.
            let first = regalloc2::ProgPoint::before(regalloc2::Inst::new(block.start as usize));
            let last = regalloc2::ProgPoint::after(regalloc2::Inst::new(block.end as usize - 1));
            let mut moves = false;
            while let Some((point, Edit::Move { from, to })) = edits.peek() {
                if *point > last {
                    break;
                }
                moves |= *point >= first && from != to;
                edits.next();
            }
            if number != 0
                && block.end - block.start == 1
                && !moves
                && matches!(code.insts[block.start as usize], MInst::Jump)
            {
                target[number] = block.succs[0].index() as u32;
            }
        }
        // Follow chains, each block once; a cycle of empty blocks (an empty infinite loop) keeps one of them.
        let mut resolved = vec![false; target.len()];
        let mut path = Vec::new();
        for block in 0..target.len() {
            let mut at = block;
            while !resolved[at] && target[at] as usize != at {
                resolved[at] = true;
                path.push(at);
                at = target[at] as usize;
            }
            resolved[at] = true;
            let end = if path.contains(&at) { at as u32 } else { target[at] };
            for at in path.drain(..) {
                target[at] = end;
            }
        }
        Threads { target }
    }

    fn final_target(&self, block: usize) -> usize {
        self.target[block] as usize
    }

    fn is_emitted(&self, block: usize) -> bool {
        self.target[block] as usize == block
    }
}
