//! The far thunk of a signature, instruction by instruction (`spec/sandbox.rules` §6): the only code that writes r15.
//!
//! A thunk is accepted only if it is this sequence. It is entered with rax = the address of a slot whose far entry it is, so
//! the slot's reference names a function record whose owner's r15 and entry it takes; it copies the caller's words to a
//! frame of its own and the result words back, and restores r15 from its frame, which no other code can address.

use crate::form::Operands;
use crate::layout;
use crate::module::Signature;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};

/// What one instruction must be: form, register operand, memory operand (base and displacement) and immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    code: [Code; 2],
    register: Register,
    memory: (Register, i64),
    immediate: u64,
}

const NONE: (Register, i64) = (Register::None, 0);
const SCRATCH: Register = Register::R11;

fn plain(code: Code, register: Register, memory: (Register, i64), immediate: u64) -> Expected {
    Expected { code: [code; 2], register, memory, immediate }
}

fn load(register: Register, base: Register, displacement: i64) -> Expected {
    plain(Code::Mov_r64_rm64, register, (base, displacement), 0)
}

fn store(register: Register, displacement: i64) -> Expected {
    plain(Code::Mov_rm64_r64, register, (Register::RSP, displacement), 0)
}

fn matches(expected: &Expected, found: &Instruction) -> bool {
    let (mut register, mut memory, mut immediate) = (Register::None, NONE, 0);
    for n in 0..found.op_count() {
        match found.op_kind(n) {
            OpKind::Register => register = found.op_register(n),
            OpKind::Memory => {
                if found.memory_index() != Register::None || found.segment_prefix() != Register::None {
                    return false;
                }
                memory = (found.memory_base(), found.memory_displacement64() as i64);
            }
            OpKind::NearBranch64 => return false,
            _ => immediate = found.immediate(n),
        }
    }
    expected.code.contains(&found.code())
        && (expected.register, expected.memory, expected.immediate) == (register, memory, immediate)
}

/// Where the thunk differs from the one of its signature: offset in the code; None if it does not. `sites` is told the
/// offset of the call's return address.
pub fn difference(code: &[u8], start: u32, end: u32, signature: &Signature) -> Result<u32, u32> {
    use Register::{R11D, R15, RAX, RSP};
    let (parameters, results) = (signature.parameters.words.len() as i64, signature.results.words.len() as i64);
    let saved = 8 * (parameters + results);
    let frame = saved + 8;
    let incoming = frame + 8;
    let pop = 8 * parameters as u64;
    let stack =
        |short: Code, long: Code, by: u64| Expected { code: [short, long], register: RSP, memory: NONE, immediate: by };
    let sub = |by: u64| stack(Code::Sub_rm64_imm8, Code::Sub_rm64_imm32, by);

    let copy = |count: i64, from: i64, to: i64| {
        (0..count).flat_map(move |word| [load(SCRATCH, RSP, from + 8 * word), store(SCRATCH, to + 8 * word)])
    };
    let before = [sub(frame as u64), store(R15, saved)].into_iter().chain(copy(parameters, incoming, 0)).chain([
        plain(Code::Mov_r32_rm32, R11D, (RAX, layout::SLOT_REFERENCE.into()), 0),
        plain(Code::Shl_rm64_imm8, SCRATCH, NONE, layout::FUNCTION_SIZE.trailing_zeros().into()),
        plain(Code::Add_r64_rm64, SCRATCH, (R15, layout::INSTANCE_FUNCTIONS.into()), 0),
        load(R15, SCRATCH, layout::FUNCTION_INSTANCE.into()),
        plain(Code::Call_rm64, Register::None, (SCRATCH, layout::FUNCTION_CODE.into()), 0),
    ]);
    let back = if pop == 0 {
        plain(Code::Retnq, Register::None, NONE, 0)
    } else {
        plain(Code::Retnq_imm16, Register::None, NONE, pop)
    };
    let after = (pop != 0)
        .then(|| sub(pop))
        .into_iter()
        .chain([load(R15, RSP, saved)])
        .chain(copy(results, 8 * parameters, incoming + 8 * parameters))
        .chain([stack(Code::Add_rm64_imm8, Code::Add_rm64_imm32, frame as u64), back]);

    let bytes = code.get(start as usize..end as usize).ok_or(start)?;
    let mut decoder = Decoder::with_ip(64, bytes, start.into(), DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut returns_to = start;
    for expected in before.chain(after) {
        if !decoder.can_decode() {
            return Err(end);
        }
        decoder.decode_out(&mut instruction);
        let at = instruction.ip() as u32;
        let form = crate::form::form(instruction.code()).ok_or(at)?;
        let bytes = code.get(at as usize..at as usize + instruction.len()).ok_or(at)?;
        let mut operands = Operands::default();
        if !form.operands(&instruction, &mut operands) {
            return Err(at);
        }
        if !matches(&expected, &instruction) || !form.prefixes_fit(&operands, bytes) {
            return Err(at);
        }
        if instruction.code() == Code::Call_rm64 {
            returns_to = instruction.next_ip() as u32;
        }
    }
    if decoder.can_decode() { Err(decoder.ip() as u32) } else { Ok(returns_to) }
}
