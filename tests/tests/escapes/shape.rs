//! What cases are written with.

use super::module::{DATA, FUNCTIONS, LABELS, Part, fields};
use iced_x86::{Code, Instruction, MemoryOperand, Register, Register::*};
use vwasm_checker::layout::*;

/// The reason of what is no escape.
pub const OK: &str = "accepted";

/// An instruction of its code and operands.
macro_rules! i {
    ($code:ident) => {
        $crate::module::Part::Inst(iced_x86::Instruction::with(iced_x86::Code::$code))
    };
    ($code:ident $a:expr) => {
        $crate::module::Part::Inst(iced_x86::Instruction::with1(iced_x86::Code::$code, $a).expect("operands"))
    };
    ($code:ident $a:expr, $b:expr) => {
        $crate::module::Part::Inst(iced_x86::Instruction::with2(iced_x86::Code::$code, $a, $b).expect("operands"))
    };
    ($code:ident $a:expr, $b:expr, $c:expr) => {
        $crate::module::Part::Inst(iced_x86::Instruction::with3(iced_x86::Code::$code, $a, $b, $c).expect("operands"))
    };
}
pub(crate) use i;

pub fn m(base: Register, index: Register, scale: u32, displacement: i64) -> MemoryOperand {
    let size = if displacement == 0 {
        0
    } else if i8::try_from(displacement).is_ok() && base != None {
        1
    } else {
        8
    };
    MemoryOperand::new(base, index, scale, displacement, size, false, None)
}

pub fn at(base: Register, displacement: i64) -> MemoryOperand {
    m(base, None, 1, displacement)
}

pub fn jump(code: Code, label: u64) -> Part {
    Part::Inst(Instruction::with_branch(code, LABELS + label).expect("a branch"))
}

pub fn call(function: u64) -> Part {
    Part::Inst(Instruction::with_branch(Code::Call_rel32_64, FUNCTIONS + function).expect("a call"))
}

pub fn l(label: u64) -> Part {
    Part::Label(label)
}

pub fn x(bytes: &[u8]) -> Part {
    Part::Bytes(bytes.to_vec())
}

pub fn ret() -> Part {
    i!(Retnq)
}

pub fn data(register: Register, offset: u64) -> Part {
    i!(Lea_r64_m register, MemoryOperand::new(RIP, None, 1, (DATA + offset) as i64, 8, false, None))
}

/// A jump through the table of two entries, the index in edi clamped.
pub fn through_table() -> [Part; 7] {
    [
        i!(Mov_r32_imm32 EAX, 1),
        i!(Cmp_r32_rm32 EDI, EAX),
        i!(Cmovb_r32_rm32 EAX, EDI),
        data(RCX, 0),
        i!(Movsxd_r64_rm32 RAX, m(RCX, RAX, 4, 0)),
        i!(Add_r64_rm64 RCX, RAX),
        i!(Jmp_rm64 RCX),
    ]
}

/// The address of a slot of table 0 with the index in edi, unchecked signature, in rax; label 9 is the trap.
pub fn slot(parts: &mut Vec<Part>) {
    let table = i64::from(fields().table(0));
    parts.extend([
        i!(Mov_r64_rm64 RBX, at(R15, table)),
        i!(Cmp_r32_rm32 EDI, at(RBX, -16)),
        jump(Code::Jae_rel32_64, 9),
        i!(Sbb_r64_rm64 RAX, RAX),
        i!(And_r64_rm64 RAX, RDI),
        i!(Shl_rm64_imm8 RAX, 4u32),
        i!(Add_r64_rm64 RAX, RBX),
    ]);
}

pub fn signature(ty: u32) -> Part {
    i!(Mov_r32_rm32 ECX, at(R15, fields().signature(ty).into()))
}

pub fn check_signature() -> Part {
    i!(Cmp_r32_rm32 ECX, at(RAX, SLOT_SIGNATURE.into()))
}

pub fn trap() -> [Part; 2] {
    [l(9), i!(Ud2)]
}

pub fn with_slot(rest: impl IntoIterator<Item = Part>) -> Vec<Part> {
    let mut parts = Vec::new();
    slot(&mut parts);
    parts.extend(rest);
    parts.extend(trap());
    parts
}

pub fn framed(rest: impl IntoIterator<Item = Part>) -> Vec<Part> {
    let mut parts = vec![i!(Sub_rm64_imm8 RSP, 0x20)];
    parts.extend(rest);
    parts
}

/// Name, type of the function under test, its code, the reason.
pub type Case = (&'static str, u32, Vec<Part>, &'static str);

/// The slot, what is done with it, and the call through it.
pub fn called(rest: impl IntoIterator<Item = Part>) -> Vec<Part> {
    with_slot(rest.into_iter().chain([i!(Call_rm64 at(RAX, 0)), i!(Xor_r32_rm32 EAX, EAX), ret()]))
}

pub fn rsp_out() -> Part {
    i!(Add_rm64_imm8 RSP, 0x20)
}
