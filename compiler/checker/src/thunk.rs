//! The far thunk of a signature, byte by byte (`spec/sandbox.rules` §6): the only code that writes r15.
//!
//! A thunk is accepted only if it is this sequence. It is entered with rax = the address of a slot whose far entry it is, so
//! the slot's reference names a function record whose owner's r15 and entry it takes; it copies the caller's words to a
//! frame of its own and the result words back, and restores r15 from its frame, which no other code can address. The fuel goes
//! from the one instance's field to the other's.

use crate::layout;
use crate::module::Signature;
use crate::state::{R15, RAX, RSP};
use alloc::vec::Vec;

const R10: u8 = 10;
const SCRATCH: u8 = 11;

/// Opcodes; `REX.W` stands for the operand's size.
const LOAD: u8 = 0x8b;
const STORE: u8 = 0x89;
const ADD: u8 = 0x03;
const CALL: u8 = 0xff;

struct Thunk(Vec<u8>);

impl Thunk {
    /// `opcode reg, [base + displacement]`, which is as short as may be.
    fn access(&mut self, rex: u8, opcode: u8, reg: u8, base: u8, displacement: i32) {
        let rex = rex | reg >> 3 << 2 | base >> 3;
        let short = i8::try_from(displacement).is_ok();
        let mode = if displacement == 0 {
            0
        } else if short {
            0x40
        } else {
            0x80
        };
        self.0.extend((rex != 0).then_some(0x40 | rex));
        self.0.extend([opcode, mode | (reg & 7) << 3 | base & 7]);
        self.0.extend((base == RSP).then_some(0x24));
        let bytes = if displacement == 0 {
            0
        } else if short {
            1
        } else {
            4
        };
        self.0.extend(&displacement.to_le_bytes()[..bytes]);
    }

    fn load(&mut self, register: u8, base: u8, displacement: i32) {
        self.access(8, LOAD, register, base, displacement);
    }

    fn store(&mut self, register: u8, base: u8, displacement: i32) {
        self.access(8, STORE, register, base, displacement);
    }

    /// Adds to rsp (digit 0) or subtracts (5).
    fn stack(&mut self, digit: u8, by: i32) {
        let short = i8::try_from(by).is_ok();
        self.0.extend([0x48, if short { 0x83 } else { 0x81 }, 0xc0 | digit << 3 | RSP]);
        self.0.extend(&by.to_le_bytes()[..if short { 1 } else { 4 }]);
    }

    fn copy(&mut self, words: i32, from: i32, to: i32) {
        for word in 0..words {
            self.load(SCRATCH, RSP, from + 8 * word);
            self.store(SCRATCH, RSP, to + 8 * word);
        }
    }

    /// Takes r15 from a word, and the fuel along.
    fn switch(&mut self, base: u8, displacement: i32) {
        self.load(R10, R15, layout::INSTANCE_FUEL);
        self.load(R15, base, displacement);
        self.store(R10, R15, layout::INSTANCE_FUEL);
    }
}

/// The offset of the return address of the thunk's call, if the thunk is that of its signature; else where it differs.
pub fn difference(code: &[u8], start: u32, end: u32, signature: &Signature) -> Result<u32, u32> {
    let (parameters, results) = (signature.parameters.words.len() as i32, signature.results.words.len() as i32);
    // A ret pops at most what 16 bits can say.
    if signature.parameters.words.len() + signature.results.words.len() >= 1 << 13 {
        return Err(start);
    }
    let (saved, pop) = (8 * (parameters + results), 8 * parameters);
    let frame = saved + 8;
    let incoming = frame + 8;
    let mut thunk = Thunk(Vec::new());
    thunk.stack(5, frame);
    thunk.store(R15, RSP, saved);
    thunk.copy(parameters, incoming, 0);
    thunk.access(0, LOAD, SCRATCH, RAX, layout::SLOT_REFERENCE);
    thunk.0.extend([0x49, 0xc1, 0xe0 | SCRATCH & 7, layout::FUNCTION_SIZE.trailing_zeros() as u8]);
    thunk.access(8, ADD, SCRATCH, R15, layout::INSTANCE_FUNCTIONS);
    thunk.switch(SCRATCH, layout::FUNCTION_INSTANCE);
    thunk.access(0, CALL, 2, SCRATCH, layout::FUNCTION_CODE);
    let returns_to = thunk.0.len() as u32;
    if pop != 0 {
        thunk.stack(5, pop);
    }
    thunk.switch(RSP, saved);
    thunk.copy(results, pop, incoming + pop);
    thunk.stack(0, frame);
    match pop {
        0 => thunk.0.push(0xc3),
        _ => thunk.0.extend([0xc2, pop as u8, (pop >> 8) as u8]),
    }
    let found = code.get(start as usize..end as usize).ok_or(start)?;
    let same = found.iter().zip(&thunk.0).take_while(|(found, expected)| found == expected).count();
    if found == thunk.0 { Ok(start + returns_to) } else { Err(start + same as u32) }
}
