//! Instruction forms: a generated table, and the instruction that some bytes are.
//!
//! [`decode`] takes code and an offset; it gives an [`Instruction`] only if the bytes are exactly what a form of `spec/x86_64`
//! allows: the form's own prefix; REX with no bit and no byte more than needed, or VEX as short as may be; opcode, ModRM, SIB,
//! displacement, immediate (Intel SDM vol. 2, chapter 2). What it does not know in full it does not accept.

use crate::fact::Reason;
use crate::state::RSP;
// What is not guessed well is chosen without a branch.
use core::hint::select_unpredictable as select;

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
    /// What stands in each place: a register's number, `MEMORY` or `IMMEDIATE`.
    places: [u8; 8],
    /// What ModRM names if it is memory, or an address: base + (index << scale) + displacement; rip is the instruction's end.
    pub base: u8,
    pub index: u8,
    pub scale: u8,
    pub displacement: u64,
    pub immediate: u64,
}

/// What stands at an operand that is no general register: a vector register with its number, memory (of a vector: both).
pub const VECTOR: u8 = Operand::VECTOR as u8;
pub const MEMORY: u8 = 64;
pub const IMMEDIATE: u8 = 128;

impl Instruction {
    #[inline]
    pub fn operand(&self, n: u8) -> &'static Operand {
        &self.form.operands[usize::from(n & 3)]
    }

    /// What stands at an operand: a general register's number, or what the constants say.
    #[inline]
    pub fn place(&self, n: u8) -> u8 {
        let operand = self.operand(n);
        self.places[operand.place as usize & 7] | operand.kind as u8 & VECTOR
    }

    /// The memory operand that is accessed.
    #[inline]
    pub fn accessed(&self) -> Option<&'static Operand> {
        let operand = self.form.operands.get(usize::from(self.form.memory));
        operand.filter(|_| self.places[Place::Rm as usize] == MEMORY)
    }

    /// Where the next instruction begins.
    pub fn end(&self) -> u32 {
        self.at + u32::from(self.length)
    }

    /// Where a branch goes.
    pub fn target(&self) -> u64 {
        self.immediate.wrapping_add(self.end().into())
    }
}

const WINDOW: usize = 24;

/// Eight bytes; a window has some to spare.
#[inline(always)]
fn word(bytes: &[u8; WINDOW], at: usize) -> u64 {
    bytes[at & 15..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// How many bytes ModRM is and what belongs to it: SIB, displacement. (A base that SIB leaves out adds four.)
static ADDRESS: [u8; 256] = {
    let mut lengths = [1; 256];
    let mut modrm = 0;
    while modrm < 0xc0 {
        let displacement = if modrm < 0x40 && modrm & 7 != 5 { 0 } else { 4 };
        lengths[modrm] += if modrm & 0xc0 == 0x40 { 1 } else { displacement } + (modrm & 7 == 4) as u8;
        modrm += 1;
    }
    lengths
};

/// Why an opcode is refused: for its prefixes, if it were one without REX.W and repeat prefix.
#[cold]
fn unknown(number: usize, reg: u8) -> Reason {
    let (map, prefix, opcode) = (number >> 11 & 7, number >> 9 & 3, number as u8);
    let legacy = matches!(opcode, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3) && map == 0;
    let without = opcode_number(false, map as u8, u8::from(prefix == 1), false, opcode);
    if legacy || form(coded(without, reg)).is_some() { Reason::Prefixes } else { Reason::Form }
}

/// Checks what few instructions need: REX without a bit, rsp, 8-bit registers, VEX.vvvv, numbers that an immediate must be.
#[inline(never)]
fn particular(form: &Form, numbers: [u8; 3], memory: bool, rex: u8, immediate: u64) -> Result<(), Reason> {
    const VVVV: u8 = 1 << Place::Vvvv as u8;
    let registers = form.registers & if memory { !(1 << Place::Rm as u8) } else { !0 };
    let places = |is: fn(u8) -> bool| (0..3).map(|place| u8::from(is(numbers[place])) << place).sum::<u8>() & registers;
    // Without REX these numbers are ah to bh.
    let low = places(|number| number & 12 == 4) & form.bytes != 0;
    if rex == 0x40 && !low || numbers[2] != 0 && registers & VVVV == 0 {
        return Err(Reason::Prefixes);
    }
    let stack = places(|number| number == RSP) & form.general;
    let number = |n: usize| numbers.get(form.operands[n].place as usize);
    let refused = low && rex == 0
        || stack & !form.stack != 0
        || registers & form.only_stack & !stack != 0
        || form.same && (memory || number(0) != number(1))
        || form.literals != 0 && (immediate > 15 || form.literals >> immediate & 1 == 0);
    if refused { Err(Reason::Operands) } else { Ok(()) }
}

impl Default for Instruction {
    fn default() -> Instruction {
        let places = [0; 8];
        Instruction { form: &FORMS[0], at: 0, length: 0, places, base: 0, index: 0, scale: 0, displacement: 0, immediate: 0 }
    }
}

/// Reads the instruction at an offset of the code, which it may fill but not leave.
#[inline(always)]
pub fn decode(to: &mut Instruction, code: &[u8], at: u32) -> Result<(), Reason> {
    let rest = code.get(at as usize..).unwrap_or(&[]);
    // No instruction that is accepted is longer than 15 bytes.
    let padded;
    let bytes: &[u8; WINDOW] = match rest.first_chunk() {
        Some(bytes) => bytes,
        None => {
            padded = core::array::from_fn(|n| rest.get(n).copied().unwrap_or(0));
            &padded
        }
    };
    let byte = |n: usize| bytes[n & 15];

    // Where the next instruction begins is what the one after this waits for: so that comes from few loads, and nothing that is
    // guessed wrong often. `code` begins with the opcode, once the prefixes are off; `extend` has the bits of REX: W is 8; R, X
    // and B, for ModRM.reg, index, and base or ModRM.rm, are 4, 2, 1.
    let mut code = word(bytes, 0);
    let (extend, odd);
    let (mut other, mut rex, mut next, mut number) = (0, 0, 0, 0);
    if code as u8 & 0xfe == 0xc4 {
        // The shorter form leaves out what is usual.
        let short = code as u8 == 0xc5;
        let (one, two) = if short { (byte(1) & 0x80 | 0x61, byte(1) & 0x7f) } else { (byte(1), byte(2)) };
        let map = one & 31;
        extend = !one >> 5 | two >> 7 << 3;
        other = !two >> 3 & 15;
        odd = other != 0;
        if map > 3 || two & 4 != 0 {
            return Err(Reason::Form);
        }
        if !short && map == 1 && extend & 11 == 0 {
            return Err(Reason::Prefixes);
        }
        next = if short { 2 } else { 3 };
        code >>= 8 * next;
        number = opcode_number(true, map, two & 3, extend & 8 != 0, 0);
    } else {
        let prefix = code as u8;
        if matches!(prefix, 0x66 | 0xf2 | 0xf3) {
            number = opcode_number(false, 0, if prefix == 0x66 { 1 } else { 5 - (prefix & 3) }, false, 0);
            next = 1;
            code >>= 8;
        }
        let with = code & 0xf0 == 0x40;
        rex = select(with, code as u8, 0);
        code = select(with, code >> 8, code);
        next += usize::from(with);
        extend = rex & 15;
        odd = rex == 0x40;
        number |= opcode_number(false, 0, 0, extend & 8 != 0, 0);
        if code as u8 == 0x0f {
            let map = match code >> 8 & 0xff {
                0x38 => 2,
                0x3a => 3,
                _ => 1,
            };
            let bytes = if map == 1 { 1 } else { 2 };
            code >>= 8 * bytes;
            next += bytes;
            number |= opcode_number(false, map, 0, false, 0);
        }
    }
    let (opcode, modrm, sib) = (code as u8, (code >> 8) as u8, (code >> 16) as u8);
    number |= usize::from(opcode);
    let coded = coded(number, modrm >> 3);
    next += 1;
    let mut behind = next + select(coded.modrm(), usize::from(ADDRESS[usize::from(modrm)]), 0);
    let form = form(coded).ok_or_else(|| unknown(number, modrm >> 3))?;

    let memory = coded.modrm() & (modrm < 0xc0);
    let (reg, rm) = (modrm >> 3 & 7 | (extend & 4) << 1, select(coded.modrm(), modrm, opcode) & 7 | (extend & 1) << 3);
    let (mut base, mut index, mut scale, mut displacement, mut extends) = (NONE, NONE, 0, 0, form.extends);
    if memory {
        base = rm;
        let mut alone = modrm & 0xc7 == 5;
        next += 1;
        if modrm & 7 == 4 {
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
            if modrm < 0x40 && sib & 7 == 5 {
                alone = true;
                behind += 4;
            }
        }
        if alone {
            base = if modrm & 7 == 4 { NONE } else { RIP };
            extends &= !1;
        }
        let (short, long, word) = (modrm & 0xc0 == 0x40, (modrm >= 0x80) | alone, word(bytes, next));
        displacement = select(short, word as i8 as u64, select(long, word as i32 as u64, 0));
    }
    let word = word(bytes, behind);
    let mut immediate = select(coded.immediate() == 1, word as i8 as u64, word as i32 as u64) & form.mask;
    if coded.immediate() == 8 {
        immediate = word;
    }
    let length = behind + coded.immediate();
    let places = [reg, select(memory, MEMORY, rm), other, 1, IMMEDIATE, 0, 0, 0];
    if extend & 7 & !extends != 0 {
        return Err(Reason::Prefixes);
    }
    if !form.modes[usize::from(memory)] {
        return Err(Reason::Operands);
    }
    if form.particular | odd | (reg == RSP) | (places[1] == RSP) {
        particular(form, [reg, rm, other], memory, rex, immediate)?;
    }
    if length > rest.len() {
        return Err(Reason::Undecodable);
    }
    *to = Instruction { form, at, length: length as u8, places, base, index, scale, displacement, immediate };
    Ok(())
}
