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

/// No function type has as many: its parameters and its results are 1,000 at most. (And no `ret` pops more than 8,191 words.)
pub const MOST_WORDS: usize = 1 << 11;

/// The thunk of signatures with so many words.
pub fn thunk(parameters: usize, results: usize) -> Option<Thunk> {
    if parameters.checked_add(results)? >= MOST_WORDS {
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
            put(code, &[0x4c, 0x8b, 0x9c, 0x24], from + 8 * word); // mov r11, [rsp + from + 8 * word]
            put(code, &[0x4c, 0x89, 0x9c, 0x24], to + 8 * word); // mov [rsp + to + 8 * word], r11
        }
    };
    let switch = |code: &mut Vec<u8>, from: &[u8], number: i32| {
        put(code, &[0x4d, 0x8b, 0x97], layout::INSTANCE_FUEL); // mov r10, [r15 + instance_fuel]
        put(code, from, number);
        put(code, &[0x4d, 0x89, 0x97], layout::INSTANCE_FUEL); // mov [r15 + instance_fuel], r10
    };
    put(&mut code, &[0x48, 0x81, 0xec], frame); // sub rsp, frame
    put(&mut code, &[0x4c, 0x89, 0xbc, 0x24], saved); // mov [rsp + saved], r15
    copy(&mut code, parameters, incoming, 0);
    put(&mut code, &[0x44, 0x8b, 0x98], layout::SLOT_REFERENCE); // mov r11d, [rax + slot_reference]
    code.extend([0x49, 0xc1, 0xe3, layout::FUNCTION_SIZE.trailing_zeros() as u8]); // shl r11, log2(function_size)
    put(&mut code, &[0x4d, 0x03, 0x9f], layout::INSTANCE_FUNCTIONS); // add r11, [r15 + instance_functions]
    switch(&mut code, &[0x4d, 0x8b, 0xbb], layout::FUNCTION_INSTANCE); // mov r15, [r11 + function_instance]
    put(&mut code, &[0x41, 0xff, 0x93], layout::FUNCTION_CODE); // call [r11 + function_code]
    let returns_to = code.len() as u32;
    // The callee has popped its parameters.
    put(&mut code, &[0x48, 0x81, 0xec], pop); // sub rsp, pop
    switch(&mut code, &[0x4c, 0x8b, 0xbc, 0x24], saved); // mov r15, [rsp + saved]
    copy(&mut code, results, pop, incoming + pop);
    put(&mut code, &[0x48, 0x81, 0xc4], frame); // add rsp, frame
    code.extend([0xc2, pop as u8, (pop >> 8) as u8]); // ret pop
    Some(Thunk { code, returns_to, frame: frame as u32 })
}
