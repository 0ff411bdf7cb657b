//! Far thunks: the code that carries a call from one instance to another (`spec/sandbox.rules` §6).
//!
//! Takes a signature's convention, gives the bytes. Entered like a function of that signature with rax = the address
//! of the slot called through. It is the only guest code that writes r15.

use super::{Assembler, CompiledFunction, Site};
use crate::error::Result;
use crate::layout;
use crate::lower::convention::Convention;
use crate::machine::{Amode, Base, Inst, R15, RAX, Reg, RegMem};

/// Neither parameter nor result registers, so free before and after the call.
const SCRATCH: Reg = Reg::gpr(11);
const FUEL: Reg = Reg::gpr(10);

fn stack(disp: u32) -> Amode {
    Amode::new(Base::Stack, disp as i32)
}

/// Takes r15 from a word, and the fuel along.
fn switch(asm: &mut Assembler, from: Amode) -> Result<()> {
    let fuel = || Amode::new(Base::Instance, layout::INSTANCE_FUEL);
    asm.push(&Inst::Load64 { dst: FUEL, m: fuel() })?;
    asm.push(&Inst::Load64 { dst: R15, m: from })?;
    asm.push(&Inst::Store64 { m: fuel(), src: FUEL })
}

/// The far thunk of a signature.
pub fn far_thunk(convention: &Convention) -> Result<CompiledFunction> {
    let (parameters, results) = (convention.parameter_words, convention.result_words);
    let saved_instance = 8 * (parameters + results);
    let frame = saved_instance + 8;
    let incoming = frame + 8;
    let pop = 8 * parameters;

    let mut asm = Assembler::new();
    asm.push(&Inst::SubRsp { c: frame as i32 })?;
    asm.push(&Inst::Store64 { m: stack(saved_instance), src: R15 })?;
    for word in 0..parameters {
        asm.push(&Inst::Load64 { dst: SCRATCH, m: stack(incoming + 8 * word) })?;
        asm.push(&Inst::Store64 { m: stack(8 * word), src: SCRATCH })?;
    }
    let record = |field| Amode::new(Base::Reg(SCRATCH), field);
    asm.push(&Inst::Load32 { dst: SCRATCH, m: Amode::new(Base::Reg(RAX), layout::SLOT_REFERENCE) })?;
    let shift = layout::FUNCTION_SIZE.trailing_zeros() as u8;
    asm.push(&Inst::Shl64Imm { dst: SCRATCH, dst_in: SCRATCH, count: shift })?;
    let functions = RegMem::Mem(Amode::new(Base::Instance, layout::INSTANCE_FUNCTIONS));
    asm.push(&Inst::Add64 { dst: SCRATCH, dst_in: SCRATCH, src: functions })?;
    switch(&mut asm, record(layout::FUNCTION_INSTANCE))?;
    asm.push(&Inst::CallMem { m: record(layout::FUNCTION_CODE) })?;
    let returns_to = asm.position();
    if pop != 0 {
        asm.push(&Inst::SubRsp { c: pop as i32 })?;
    }
    switch(&mut asm, stack(saved_instance))?;
    for word in 0..results {
        asm.push(&Inst::Load64 { dst: SCRATCH, m: stack(8 * (parameters + word)) })?;
        asm.push(&Inst::Store64 { m: stack(incoming + 8 * (parameters + word)), src: SCRATCH })?;
    }
    asm.push(&Inst::AddRsp { c: frame as i32 })?;
    asm.push(&if pop == 0 { Inst::Ret {} } else { Inst::RetPop { c: pop as i32 } })?;

    let assembled = asm.finish()?;
    let sites = vec![Site { offset: assembled.offset(returns_to), code: 0, wasm_offset: u32::MAX }];
    Ok(CompiledFunction { code: assembled.code, sites, frame_size: frame, ..CompiledFunction::default() })
}
