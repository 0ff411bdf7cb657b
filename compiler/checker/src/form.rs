//! Instruction forms: a generated table, and the instruction that some bytes are.
//!
//! [`decode`] takes code and an offset; it gives an [`Instruction`] only if the bytes are exactly what a form of `spec/x86_64`
//! allows: the form's own prefix; REX with no bit and no byte more than needed, or VEX as short as may be; opcode, ModRM, SIB,
//! displacement, immediate (Intel SDM vol. 2, chapter 2). What it does not know in full it does not accept.

use crate::fact::{MAX32, Reason};
use crate::state::RSP;

include!(concat!(env!("OUT_DIR"), "/forms.rs"));

/// What stands for a register where an address has none, and for rip.
pub const NONE: u8 = 16;
pub const RIP: u8 = 17;

/// An instruction that fits its form.
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    pub form: &'static Form,
    pub at: u32,
    pub length: u8,
    /// Numbers of the registers in each place.
    numbers: [u8; 4],
    /// What ModRM names is memory, or an address: base + (index << scale) + displacement, rip already added.
    pub memory: bool,
    pub base: u8,
    pub index: u8,
    pub scale: u8,
    pub displacement: u64,
    /// A branch's target, if it is one.
    pub immediate: u64,
}

/// What stands at an operand of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A general register.
    Register(u8),
    Vector,
    Memory,
    Immediate,
}

impl Instruction {
    #[inline]
    pub fn operand(&self, n: u8) -> &'static Operand {
        &self.form.operands[usize::from(n & 3)]
    }

    #[inline]
    pub fn found(&self, n: u8) -> Found {
        let operand = self.operand(n);
        match operand.place {
            Place::Immediate => Found::Immediate,
            Place::Rm if self.memory => Found::Memory,
            _ if operand.is(Operand::VECTOR) => Found::Vector,
            place => Found::Register(self.numbers[place as usize & 3]),
        }
    }

    /// The memory operand that is accessed.
    #[inline]
    pub fn accessed(&self) -> Option<&'static Operand> {
        let operand = self.form.operands.get(usize::from(self.form.memory));
        if self.memory { operand } else { None }
    }
}

/// Four bytes, sign-extended; what is behind the end is 0.
#[inline]
fn signed_word(bytes: &[u8; 16], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| i32::from_le_bytes(*bytes) as u64)
}

/// Why an opcode is refused: for its prefixes, if it were one without REX.W and repeat prefix.
#[cold]
fn unknown(map: u8, prefix: u8, opcode: u8, reg: u8) -> Reason {
    let legacy = matches!(opcode, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3) && map == 0;
    let without = form(opcode_number(false, map, if prefix == 1 { 1 } else { 0 }, false, opcode), reg).is_some();
    if legacy || without { Reason::Prefixes } else { Reason::Form }
}

/// Checks what few instructions need: REX without a bit, rsp, 8-bit registers, VEX.vvvv, numbers that an immediate must be.
#[inline(never)]
fn particular(form: &Form, numbers: [u8; 4], memory: bool, rex: Option<u8>, immediate: u64) -> Result<(), Reason> {
    const VVVV: u8 = 1 << Place::Vvvv as u8;
    let registers = form.registers & if memory { !(1 << Place::Rm as u8) } else { !0 };
    let places = |is: fn(u8) -> bool| (0..3).map(|place| u8::from(is(numbers[place])) << place).sum::<u8>() & registers;
    // Without REX these numbers are ah to bh.
    let low = places(|number| number & 12 == 4) & form.bytes != 0;
    if rex == Some(0) && !low || numbers[2] != 0 && registers & VVVV == 0 {
        return Err(Reason::Prefixes);
    }
    let stack = places(|number| number == RSP) & form.general;
    let number = |n: usize| numbers[form.operands[n].place as usize & 3];
    let refused = low && rex.is_none()
        || stack & !form.stack != 0
        || registers & form.only_stack & !stack != 0
        || form.same && (memory || number(0) != number(1))
        || form.literals != 0 && (immediate > 15 || form.literals >> immediate & 1 == 0);
    if refused { Err(Reason::Operands) } else { Ok(()) }
}

/// The instruction at an offset of the code, which it may fill but not leave.
#[inline]
pub fn decode(code: &[u8], at: u32) -> Result<Instruction, Reason> {
    let rest = code.get(at as usize..).unwrap_or(&[]);
    // No instruction that is accepted is longer than 15 bytes.
    let mut padded = [0; 16];
    let bytes: &[u8; 16] = match rest.first_chunk() {
        Some(bytes) => bytes,
        None => {
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        }
    };
    let byte = |n: usize| bytes[n & 15];

    // `extend` has the bits of REX: W is 8; R, X and B, for ModRM.reg, index, and base or ModRM.rm, are 4, 2, 1.
    let (mut extend, mut other, mut map, mut prefix, mut rex, mut next) = (0, 0, 0, 0, false, 0);
    let mut opcode = byte(0);
    let vex = matches!(opcode, 0xc4 | 0xc5);
    if vex {
        // The shorter form leaves out what is usual.
        let short = opcode == 0xc5;
        let (one, two) = if short { (byte(1) & 0x80 | 0x61, byte(1) & 0x7f) } else { (byte(1), byte(2)) };
        (extend, other, map, prefix) = (!one >> 5 | two >> 7 << 3, !two >> 3 & 15, one & 31, two & 3);
        next = if short { 2 } else { 3 };
        opcode = byte(next);
        if map > 3 || two & 4 != 0 {
            return Err(Reason::Form);
        }
        if !short && map == 1 && extend & 11 == 0 {
            return Err(Reason::Prefixes);
        }
    } else {
        if matches!(opcode, 0x66 | 0xf2 | 0xf3) {
            prefix = if opcode == 0x66 { 1 } else { 5 - (opcode & 3) };
            next = 1;
            opcode = byte(1);
        }
        if opcode & 0xf0 == 0x40 {
            (rex, extend) = (true, opcode & 15);
            next += 1;
            opcode = byte(next);
        }
        if opcode == 0x0f {
            map = match byte(next + 1) {
                0x38 => 2,
                0x3a => 3,
                _ => 1,
            };
            next += if map == 1 { 1 } else { 2 };
            opcode = byte(next);
        }
    }
    let modrm = byte(next + 1);
    next += 1;
    let number = opcode_number(vex, map, prefix, extend & 8 != 0, opcode);
    let form = form(number, modrm >> 3).ok_or_else(|| unknown(map, prefix, opcode, modrm >> 3))?;

    let (mut memory, mut base, mut index, mut scale, mut displacement) = (false, NONE, NONE, 0, 0);
    let (mut rm, mut extends) = (opcode & 7 | (extend & 1) << 3, form.extends);
    if form.modrm {
        next += 1;
        rm = modrm & 7 | (extend & 1) << 3;
        memory = modrm < 0xc0;
    }
    if memory {
        base = rm;
        let mut alone = modrm & 0xc7 == 5;
        if modrm & 7 == 4 {
            let sib = byte(next);
            next += 1;
            base = sib & 7 | (extend & 1) << 3;
            (index, scale) = (sib >> 3 & 7 | (extend & 2) << 2, sib >> 6);
            extends |= 2;
            if index == 4 {
                index = NONE;
                if scale != 0 {
                    return Err(Reason::Operands);
                }
            }
            alone = modrm < 0x40 && sib & 7 == 5;
        }
        if alone {
            base = if modrm & 7 == 4 { NONE } else { RIP };
            extends &= !1;
        }
        if modrm & 0xc0 == 0x40 {
            displacement = byte(next) as i8 as u64;
            next += 1;
        } else if modrm >= 0x80 || alone {
            displacement = signed_word(bytes, next);
            next += 4;
        }
    }
    let mut immediate = match form.immediate {
        0 => 0,
        1 => byte(next) as i8 as u64 & form.mask,
        8 => signed_word(bytes, next) & MAX32 | signed_word(bytes, next + 4) << 32,
        _ => signed_word(bytes, next) & form.mask,
    };
    let numbers = [modrm >> 3 & 7 | (extend & 4) << 1, rm, other, 1];
    if extend & 7 & !extends != 0 {
        return Err(Reason::Prefixes);
    }
    if !(if memory { form.indirect } else { form.direct }) {
        return Err(Reason::Operands);
    }
    if form.particular || other != 0 || rex && extend == 0 || numbers[0] == RSP || rm == RSP && !memory {
        particular(form, numbers, memory, rex.then_some(extend), immediate)?;
    }
    let length = next + usize::from(form.immediate);
    if length > rest.len() {
        return Err(Reason::Undecodable);
    }
    let end = u64::from(at) + length as u64;
    if form.operands[0].is(Operand::LABEL) {
        immediate = immediate.wrapping_add(end);
    }
    if base == RIP {
        displacement = end.wrapping_add(displacement);
    }
    Ok(Instruction { form, at, length: length as u8, numbers, memory, base, index, scale, displacement, immediate })
}
