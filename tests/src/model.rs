//! What the descriptions in `spec/x86_64` say an instruction does.
//!
//! [`step`] is generated from the descriptions; here are the states it works on, and the built-in functions of the language that
//! speak of the machine. What a description leaves open (undefined flags, the upper lanes beside a scalar result) is unknown after
//! the step. How calls, returns and the frame's code move the stack pointer is no part of the descriptions: the test says it.

use vwasm::ir::eval::*;
use vwasm::machine::{Amode, Base, Cc, Inst, Label, Reg, RegClass, RegMem};

pub mod generated {
    //! Generated from `spec/x86_64/*.rules`.
    #![allow(unused_variables, unused_parens, clippy::all)]
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}
pub use generated::{NAMES, sample, step};

/// Flags by their place in rflags.
pub const CF: u64 = 1;
pub const PF: u64 = 1 << 2;
pub const AF: u64 = 1 << 4;
pub const ZF: u64 = 1 << 6;
pub const SF: u64 = 1 << 7;
pub const OF: u64 = 1 << 11;
/// The flags that descriptions speak of.
pub const FLAGS: u64 = CF | PF | ZF | SF | OF;

#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct State {
    pub xmm: [u128; 16],
    pub gpr: [u64; 16],
    pub flags: u64,
}

impl State {
    /// The address an operand names.
    pub fn address(&self, m: &Amode) -> u64 {
        let base = match m.base {
            Base::None => 0,
            Base::Reg(reg) => self.gpr[usize::from(reg.hw())],
            Base::Mem0 | Base::Instance => self.gpr[15],
            Base::Stack | Base::Incoming => self.gpr[4],
        };
        let index = if m.index.is_none() { 0 } else { self.gpr[usize::from(m.index.hw())] };
        base.wrapping_add(index.wrapping_mul(u64::from(m.scale))).wrapping_add_signed(i64::from(m.disp))
    }
}

/// Where an instruction goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Next,
    Jump(u64),
    /// Pushes the address of the next instruction.
    Call(u64),
    /// Pops its target.
    Return,
    Trap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    DivideError,
    Page,
}

/// The state after an instruction, and which of its bits the description fixes.
#[derive(Clone, Debug)]
pub struct After {
    pub state: State,
    pub known_gpr: [u64; 16],
    pub known_xmm: [u128; 16],
    pub known_flags: u64,
    pub exit: Exit,
}

impl After {
    pub fn new(state: &State) -> After {
        After {
            state: state.clone(),
            known_gpr: [u64::MAX; 16],
            known_xmm: [u128::MAX; 16],
            known_flags: FLAGS,
            exit: Exit::Next,
        }
    }

    /// A 32-bit write clears the upper half; narrower ones leave the rest.
    pub fn write_gpr(&mut self, hw: u8, width: u32, value: u64) {
        let register = &mut self.state.gpr[usize::from(hw)];
        let kept = if width < 32 { *register & !((1 << width) - 1) } else { 0 };
        *register = kept | value;
    }

    pub fn write_xmm(&mut self, hw: u8, width: u32, value: u128) {
        let known = if width < 128 { (1 << width) - 1 } else { u128::MAX };
        self.state.xmm[usize::from(hw)] = value;
        self.known_xmm[usize::from(hw)] = known;
    }

    pub fn write_flags(&mut self, flags: u64) {
        self.state.flags = flags;
    }

    pub fn forget_flags(&mut self) {
        self.known_flags = 0;
    }

    pub fn forget(&mut self, register: Reg) {
        match register.class() {
            RegClass::Int => self.known_gpr[usize::from(register.hw())] = 0,
            RegClass::Float => self.known_xmm[usize::from(register.hw())] = 0,
        }
    }
}

pub trait Memory {
    fn load(&mut self, address: u64, bytes: u32) -> Result<u64, Fault>;
    fn store(&mut self, address: u64, bytes: u32, value: u64) -> Result<(), Fault>;
}

/// Where the operands of sample instructions come from.
pub trait Source {
    fn gpr(&mut self) -> Reg;
    fn xmm(&mut self) -> Reg;
    /// A memory operand for one that may also be a register.
    fn memory(&mut self, bytes: u32) -> Option<Amode>;
    fn access(&mut self, bytes: u32) -> Amode;
    /// An address that is not accessed.
    fn address(&mut self) -> Amode;
    fn immediate(&mut self, width: u32) -> u64;
    fn condition(&mut self) -> Cc;
    fn label(&mut self) -> Label;
}

// -- built-in functions that speak of the machine ------------------------------------------------------

fn sign(value: u64, width: u32) -> bool {
    value >> (width - 1) & 1 != 0
}

fn result_flags(result: u64, width: u32, carry: bool, overflow: bool) -> u64 {
    let parity = (result as u8).count_ones().is_multiple_of(2);
    let mut flags = 0;
    for (set, flag) in [(carry, CF), (parity, PF), (result == 0, ZF), (sign(result, width), SF), (overflow, OF)] {
        flags |= if set { flag } else { 0 };
    }
    flags
}

pub fn flags_add(a: u64, b: u64, width: u32) -> u64 {
    let result = mask(a.wrapping_add(b), width);
    result_flags(result, width, result < a, sign((a ^ result) & (b ^ result), width))
}

pub fn flags_sub(a: u64, b: u64, width: u32) -> u64 {
    let result = mask(a.wrapping_sub(b), width);
    result_flags(result, width, a < b, sign((a ^ b) & (a ^ result), width))
}

/// Of a bitwise result; the second operand counts for nothing.
pub fn flags_logic(result: u64, _: u64, width: u32) -> u64 {
    result_flags(result, width, false, false)
}

pub fn flags_fcmp_64(a: f64, b: f64) -> u64 {
    match a.partial_cmp(&b) {
        None => ZF | PF | CF,
        Some(std::cmp::Ordering::Less) => CF,
        Some(std::cmp::Ordering::Equal) => ZF,
        Some(std::cmp::Ordering::Greater) => 0,
    }
}

pub fn flags_fcmp_32(a: f32, b: f32) -> u64 {
    flags_fcmp_64(f64::from(a), f64::from(b))
}

/// Intel SDM vol. 1, appendix B.
pub fn holds(cc: Cc, flags: u64, _: u32) -> bool {
    let set = |flag: u64| flags & flag != 0;
    let less = set(SF) != set(OF);
    let holds = match cc as u8 >> 1 {
        0 => set(OF),
        1 => set(CF),
        2 => set(ZF),
        3 => set(CF) || set(ZF),
        4 => set(SF),
        5 => set(PF),
        6 => less,
        _ => less || set(ZF),
    };
    holds == (cc as u8 & 1 == 0)
}

pub fn sse_min_32(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}
pub fn sse_min_64(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}
pub fn sse_max_32(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}
pub fn sse_max_64(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

pub fn cvtt_i32_64(a: f64) -> u64 {
    let whole = a.trunc();
    if (-2147483648.0..2147483648.0).contains(&whole) { u64::from(whole as i32 as u32) } else { 1 << 31 }
}
pub fn cvtt_i64_64(a: f64) -> u64 {
    let whole = a.trunc();
    if (-9223372036854775808.0..9223372036854775808.0).contains(&whole) { whole as i64 as u64 } else { 1 << 63 }
}
pub fn cvtt_i32_32(a: f32) -> u64 {
    cvtt_i32_64(f64::from(a))
}
pub fn cvtt_i64_32(a: f32) -> u64 {
    cvtt_i64_64(f64::from(a))
}
