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
    /// Or, exclusive or.
    Or(u8, u8),
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

/// Number of a general register and its width in bytes; None for AH to BH, vector and other registers.
pub fn general(register: Register) -> Option<(usize, u8)> {
    let n = register as usize;
    let from = |first: Register| n - first as usize;
    if register >= Register::RAX && register <= Register::R15 {
        Some((from(Register::RAX), 8))
    } else if register >= Register::EAX && register <= Register::R15D {
        Some((from(Register::EAX), 4))
    } else if register >= Register::AL && register <= Register::BL {
        Some((from(Register::AL), 1))
    } else if register >= Register::SPL && register <= Register::R15L {
        Some((from(Register::SPL) + 4, 1))
    } else if register >= Register::AX && register <= Register::R15W {
        Some((from(Register::AX), 2))
    } else {
        None
    }
}

fn vector(register: Register) -> Option<usize> {
    (register >= Register::XMM0 && register <= Register::XMM15).then(|| register as usize - Register::XMM0 as usize)
}

const LEGACY_PREFIXES: [u8; 11] = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];

impl Form {
    /// Whether the operands are of the kinds that the form allows.
    pub fn operands_fit(&self, instruction: &Instruction) -> bool {
        if instruction.op_count() as usize != self.operands.len() {
            return false;
        }
        for (n, operand) in (0..).zip(self.operands) {
            let fits = match instruction.op_kind(n) {
                OpKind::Register => {
                    let register = instruction.op_register(n);
                    if operand.is(Operand::VECTOR) {
                        operand.is(Operand::REGISTER) && vector(register).is_some()
                    } else {
                        match general(register) {
                            Some((4, width)) => operand.is(Operand::STACK) && width == 8,
                            Some((_, width)) => operand.is(Operand::REGISTER) && width == operand.width,
                            None => false,
                        }
                    }
                }
                OpKind::Memory => operand.is(Operand::MEMORY | Operand::ADDRESS),
                OpKind::NearBranch64 => operand.is(Operand::LABEL),
                OpKind::Immediate8
                | OpKind::Immediate16
                | OpKind::Immediate32
                | OpKind::Immediate64
                | OpKind::Immediate8to32
                | OpKind::Immediate8to64
                | OpKind::Immediate32to64 => {
                    operand.is(Operand::IMMEDIATE)
                        && (operand.literals.is_empty() || operand.literals.contains(&instruction.immediate(n)))
                }
                _ => false,
            };
            if !fits {
                return false;
            }
        }
        !self.same || instruction.op_register(0) == instruction.op_register(1)
    }

    /// Whether the bytes begin with exactly the prefixes that the form and its registers need.
    pub fn prefixes_fit(&self, instruction: &Instruction, bytes: &[u8]) -> bool {
        let at = usize::from(self.prefix != 0);
        if self.prefix != 0 && bytes[0] != self.prefix {
            return false;
        }
        let Some(&first) = bytes.get(at) else { return false };
        // High registers in fields that a prefix extends; r4 to r7 as byte registers need a prefix too.
        let mut high = 0;
        let mut low_byte = false;
        for (n, operand) in (0..).zip(self.operands) {
            match instruction.op_kind(n) {
                OpKind::Register => {
                    let register = instruction.op_register(n);
                    let number = general(register).map(|(number, _)| number).or(vector(register)).unwrap_or(0);
                    high += u32::from(number >= 8);
                    low_byte |= operand.width == 1 && (4..8).contains(&number) && !operand.is(Operand::VECTOR);
                }
                OpKind::Memory => {
                    let extended = |register: Register| general(register).is_some_and(|(number, _)| number >= 8);
                    high += u32::from(extended(instruction.memory_base()));
                    high += u32::from(extended(instruction.memory_index()));
                }
                _ => {}
            }
        }
        match self.encoding {
            Encoding::Legacy => {
                if first & 0xf0 == 0x40 {
                    let next = bytes.get(at + 1).copied().unwrap_or(0x66);
                    (first & 8 != 0) == self.wide
                        && (first & 7).count_ones() == high
                        && (first & 15 != 0 || low_byte)
                        && next & 0xf0 != 0x40
                        && !LEGACY_PREFIXES.contains(&next)
                } else {
                    !self.wide && high == 0 && !low_byte && !LEGACY_PREFIXES.contains(&first)
                }
            }
            // The two-byte form wherever it can say the same.
            Encoding::Vex => match (first, bytes.get(at + 1), bytes.get(at + 2)) {
                (0xc5, ..) => true,
                (0xc4, Some(&one), Some(&two)) => {
                    (two & 0x80 != 0) == self.wide && (self.wide || one & 0x1f != 1 || one & 0x60 != 0x60)
                }
                _ => false,
            },
        }
    }
}
