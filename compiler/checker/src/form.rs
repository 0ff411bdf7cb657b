//! Instruction forms: the types of the generated table, and the check that an instruction is encoded exactly as its form is.

use iced_x86::{Instruction, OpKind, Register};

/// One encoded operand: what may stand there.
#[derive(Debug)]
pub struct Operand {
    pub kind: u16,
    /// Bytes of the register or of the memory accessed.
    pub width: u8,
    /// The numbers an immediate may be; empty for any.
    pub literals: &'static [u64],
}

impl Operand {
    pub const REGISTER: u16 = 1;
    /// rsp, moved by a constant.
    pub const STACK: u16 = 2;
    pub const MEMORY: u16 = 4;
    /// The register is a vector register.
    pub const VECTOR: u16 = 8;
    /// An address that is not accessed.
    pub const ADDRESS: u16 = 16;
    pub const IMMEDIATE: u16 = 32;
    /// A branch's target.
    pub const LABEL: u16 = 64;
    pub const READ: u16 = 128;
    pub const WRITTEN: u16 = 256;

    pub fn is(&self, kind: u16) -> bool {
        self.kind & kind != 0
    }
}

/// What the result of operand 0 is made of. Numbers are operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// No general register or memory is assigned through an operand.
    None,
    Unknown,
    /// The operand, zero-extended if it is narrower.
    Copy(u8),
    SignExtend(u8),
    Add(u8, u8),
    And(u8, u8),
    Or(u8, u8),
    Xor(u8, u8),
    ShiftLeft(u8, u8),
    ShiftRight(u8, u8),
    /// The first if the condition holds, else the second.
    Select(u8, u8),
    Zero,
    /// The address of operand 1.
    Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagsEffect {
    Kept,
    Undefined,
    /// As by subtracting the second operand from the first.
    Compare(u8, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    Next,
    Jump,
    JumpIf,
    JumpRegister,
    Call,
    CallMemory,
    Return,
    Trap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Legacy,
    Vex,
}

/// An exact instruction form.
#[derive(Debug)]
pub struct Form {
    pub operands: &'static [Operand],
    pub effect: Effect,
    pub flags: FlagsEffect,
    pub transfer: Transfer,
    /// Hardware number of the condition, or 255.
    pub condition: u8,
    /// General registers written without being encoded, whole and (zero-extended) by their lower halves.
    pub implicit: u16,
    pub implicit32: u16,
    /// Operands 0 and 1 must be the same register.
    pub same: bool,
    /// Bit of the CPU feature needed.
    pub feature: u32,
    /// 66, F2 or F3, or 0.
    pub prefix: u8,
    pub encoding: Encoding,
    /// REX.W or VEX.W.
    pub wide: bool,
}

pub use generated::{all, form};

mod generated {
    //! From `spec/x86_64`.
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/forms.rs"));
}

/// What a register is: its number and width in bytes, 16 for a vector register, 0 for all that has no place in checked code
/// (AH to BH, segment registers and so on).
static REGISTERS: [(u8, u8); 0x100] = {
    let mut registers = [(0, 0); 0x100];
    let mut n = 0;
    while n < 16 {
        registers[Register::RAX as usize + n] = (n as u8, 8);
        registers[Register::EAX as usize + n] = (n as u8, 4);
        registers[Register::AX as usize + n] = (n as u8, 2);
        // iced-x86 lists AH to BH between BL and SPL.
        registers[Register::AL as usize + n + if n < 4 { 0 } else { 4 }] = (n as u8, 1);
        registers[Register::XMM0 as usize + n] = (n as u8, 16);
        n += 1;
    }
    registers
};

/// Number of a general register and its width in bytes.
pub fn general(register: Register) -> Option<(usize, u8)> {
    match REGISTERS[register as usize & 0xff] {
        (number, width @ 1..=8) => Some((usize::from(number), width)),
        _ => None,
    }
}

/// What stands at an operand of an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Found {
    #[default]
    None,
    /// A general register.
    Register(u8),
    Vector,
    Memory,
    Immediate,
    Target,
}

/// The operands of an instruction that fits its form.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operands {
    pub found: [Found; 4],
    /// The operand that is memory, if its form accesses it.
    pub memory: Option<u8>,
    /// Register fields that a prefix extends.
    high: u32,
    /// spl, bpl, sil or dil is named.
    low_byte: bool,
}

impl Form {
    /// Finds the operands; whether they are of the kinds that the form allows.
    #[inline]
    pub fn operands(&self, instruction: &Instruction, operands: &mut Operands) -> bool {
        if instruction.op_count() as usize != self.operands.len() {
            return false;
        }
        let i = instruction;
        let kinds = [i.op0_kind(), i.op1_kind(), i.op2_kind(), i.op3_kind()];
        let registers = [i.op0_register(), i.op1_register(), i.op2_register(), i.op3_register()];
        for (n, operand) in self.operands.iter().enumerate().take(4) {
            operands.found[n] = match kinds[n] {
                OpKind::Register => {
                    let (number, width) = REGISTERS[registers[n] as usize & 0xff];
                    let vector = operand.is(Operand::VECTOR);
                    let wanted = match (vector, number) {
                        (false, 4) => Operand::STACK,
                        _ => Operand::REGISTER,
                    };
                    let wide = if vector { 16 } else { operand.width };
                    if !operand.is(wanted) || width != wide {
                        return false;
                    }
                    operands.high += u32::from(number >= 8);
                    operands.low_byte |= width == 1 && (4..8).contains(&number);
                    if vector { Found::Vector } else { Found::Register(number) }
                }
                OpKind::Memory if operand.is(Operand::MEMORY | Operand::ADDRESS) => {
                    if operand.is(Operand::MEMORY) {
                        operands.memory = Some(n as u8);
                    }
                    let extended = |register: Register| u32::from(REGISTERS[register as usize & 0xff].0 >= 8);
                    operands.high += extended(instruction.memory_base()) + extended(instruction.memory_index());
                    Found::Memory
                }
                OpKind::NearBranch64 if operand.is(Operand::LABEL) => Found::Target,
                OpKind::Immediate8
                | OpKind::Immediate16
                | OpKind::Immediate32
                | OpKind::Immediate64
                | OpKind::Immediate8to32
                | OpKind::Immediate8to64
                | OpKind::Immediate32to64
                    if operand.is(Operand::IMMEDIATE) =>
                {
                    if !operand.literals.is_empty() && !operand.literals.contains(&instruction.immediate(n as u32)) {
                        return false;
                    }
                    Found::Immediate
                }
                _ => return false,
            };
        }
        !self.same || instruction.op0_register() == instruction.op1_register()
    }

    /// Whether the bytes begin with exactly the prefixes that the form and its registers need.
    pub fn prefixes_fit(&self, operands: &Operands, bytes: &[u8]) -> bool {
        let at = usize::from(self.prefix != 0);
        if self.prefix != 0 && bytes.first() != Some(&self.prefix) {
            return false;
        }
        let Some(&first) = bytes.get(at) else { return false };
        let legacy = |byte: u8| matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
        match self.encoding {
            Encoding::Legacy => {
                if first & 0xf0 == 0x40 {
                    let next = bytes.get(at + 1).copied().unwrap_or(0x66);
                    (first & 8 != 0) == self.wide
                        && (first & 7).count_ones() == operands.high
                        && (first & 15 != 0 || operands.low_byte)
                        && next & 0xf0 != 0x40
                        && !legacy(next)
                } else {
                    !self.wide && operands.high == 0 && !operands.low_byte && !legacy(first)
                }
            }
            // R, X, B and the register in `vvvv` stand inverted; the two-byte form has only R, and stands wherever it can.
            Encoding::Vex => {
                let (extended, wide, last) = match (first, bytes.get(at + 1), bytes.get(at + 2)) {
                    (0xc5, Some(&last), _) => (!last & 0x80, false, last),
                    (0xc4, Some(&one), Some(&last)) if last & 0x80 != 0 || one & 0x7f != 0x61 => {
                        (!one & 0xe0, last & 0x80 != 0, last)
                    }
                    _ => return false,
                };
                // What has vectors of one length has L clear: scalars are not to be relied on with it set (Intel SDM vol. 2).
                let high = extended.count_ones() + u32::from(last & 0x40 == 0);
                wide == self.wide && high == operands.high && last & 4 == 0
            }
        }
    }
}
