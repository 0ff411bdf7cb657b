//! The far thunk of a signature (`spec/sandbox.rules` §6): the only code that writes r15.
//!
//! It is this sequence, byte by byte: the compiler takes it from here, and the checker accepts no other. It is entered with
//! rax = the address of a slot whose far entry it is, so the slot's reference names a function record whose owner's r15 and
//! entry it takes; it copies the caller's words to a frame of its own and the result words back, and restores r15 from its
//! frame, which no other code can address. The fuel goes from the one instance's field to the other's. r10 and r11 are neither
//! parameters nor results.

use crate::layout;
use alloc::vec::Vec;

pub struct Thunk {
    pub code: Vec<u8>,
    /// Where its call returns to.
    pub returns_to: u32,
    /// Bytes of its frame.
    pub frame: u32,
}

// Opcode and operands of instructions that a 32-bit number follows.
const SUB_RSP: &[u8] = &[0x48, 0x81, 0xec];
const ADD_RSP: &[u8] = &[0x48, 0x81, 0xc4];
const R11_FROM_FRAME: &[u8] = &[0x4c, 0x8b, 0x9c, 0x24];
const R11_TO_FRAME: &[u8] = &[0x4c, 0x89, 0x9c, 0x24];
const R15_FROM_FRAME: &[u8] = &[0x4c, 0x8b, 0xbc, 0x24];
const R15_TO_FRAME: &[u8] = &[0x4c, 0x89, 0xbc, 0x24];
const R15_FROM_R11: &[u8] = &[0x4d, 0x8b, 0xbb];
const R11D_FROM_RAX: &[u8] = &[0x44, 0x8b, 0x98];
const R11_ADD_FIELD: &[u8] = &[0x4d, 0x03, 0x9f];
const R10_FROM_FIELD: &[u8] = &[0x4d, 0x8b, 0x97];
const R10_TO_FIELD: &[u8] = &[0x4d, 0x89, 0x97];
const CALL_R11: &[u8] = &[0x41, 0xff, 0x93];
/// `shl r11, n`
const SHL_R11: [u8; 3] = [0x49, 0xc1, 0xe3];

/// The thunk of signatures with so many words, unless a `ret` cannot pop as many.
pub fn thunk(parameters: usize, results: usize) -> Option<Thunk> {
    if parameters.checked_add(results)? >= 1 << 13 {
        return None;
    }
    let (parameters, results) = (parameters as i32, results as i32);
    let (saved, pop) = (8 * (parameters + results), 8 * parameters);
    let frame = saved + 8;
    let incoming = frame + 8;
    let mut code = Vec::new();
    let put = |code: &mut Vec<u8>, instruction: &[u8], number: i32| {
        code.extend_from_slice(instruction);
        code.extend_from_slice(&number.to_le_bytes());
    };
    let copy = |code: &mut Vec<u8>, words: i32, from: i32, to: i32| {
        for word in 0..words {
            put(code, R11_FROM_FRAME, from + 8 * word);
            put(code, R11_TO_FRAME, to + 8 * word);
        }
    };
    let switch = |code: &mut Vec<u8>, from: &[u8], number: i32| {
        put(code, R10_FROM_FIELD, layout::INSTANCE_FUEL);
        put(code, from, number);
        put(code, R10_TO_FIELD, layout::INSTANCE_FUEL);
    };
    put(&mut code, SUB_RSP, frame);
    put(&mut code, R15_TO_FRAME, saved);
    copy(&mut code, parameters, incoming, 0);
    put(&mut code, R11D_FROM_RAX, layout::SLOT_REFERENCE);
    code.extend(SHL_R11);
    code.push(layout::FUNCTION_SIZE.trailing_zeros() as u8);
    put(&mut code, R11_ADD_FIELD, layout::INSTANCE_FUNCTIONS);
    switch(&mut code, R15_FROM_R11, layout::FUNCTION_INSTANCE);
    put(&mut code, CALL_R11, layout::FUNCTION_CODE);
    let returns_to = code.len() as u32;
    // The callee has popped its parameters.
    put(&mut code, SUB_RSP, pop);
    switch(&mut code, R15_FROM_FRAME, saved);
    copy(&mut code, results, pop, incoming + pop);
    put(&mut code, ADD_RSP, frame);
    code.extend([0xc2, pop as u8, (pop >> 8) as u8]);
    Some(Thunk { code, returns_to, frame: frame as u32 })
}
