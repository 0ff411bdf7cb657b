//! A third opinion on what bytes mean: what the sandbox checker's decoder and iced-x86 read (compared operand by operand in
//! tests/decoder.rs), against yaxpeax-x86, which shares no code with either.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use vwasm::claims::decode;
use yaxpeax_arch::LengthedInstruction;
use yaxpeax_x86::long_mode::{InstDecoder, Operand};

/// An operand, as both can say it.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Register(String),
    Memory { base: String, index: String, scale: u8, displacement: i64 },
    Number(u64),
    Target(u64),
}

fn register(register: Register) -> String {
    let name = format!("{register:?}").to_lowercase();
    match name.strip_suffix('l').filter(|rest| rest.len() > 1 && rest.starts_with('r')) {
        Some(rest) => format!("{rest}b"),
        None if register == Register::None => String::new(),
        None => name,
    }
}

/// Bits of an immediate after the instruction's own extension.
fn immediate_width(kind: OpKind) -> Option<u32> {
    Some(match kind {
        OpKind::Immediate8 => 8,
        OpKind::Immediate16 | OpKind::Immediate8to16 => 16,
        OpKind::Immediate32 | OpKind::Immediate8to32 => 32,
        OpKind::Immediate64 | OpKind::Immediate8to64 | OpKind::Immediate32to64 => 64,
        _ => return None,
    })
}

fn cut(value: u64, width: u32) -> u64 {
    if width >= 64 { value } else { value & ((1 << width) - 1) }
}

/// The operands as iced has them.
pub fn by_iced(instruction: &Instruction) -> Result<Vec<Said>, String> {
    let said = |n: u32| {
        let kind = instruction.op_kind(n);
        Ok(match kind {
            OpKind::Register => Said::Register(register(instruction.op_register(n))),
            OpKind::NearBranch64 => Said::Target(instruction.near_branch64()),
            OpKind::Memory => Said::Memory {
                base: register(instruction.memory_base()),
                index: register(instruction.memory_index()),
                scale: if instruction.memory_index() == Register::None { 1 } else { instruction.memory_index_scale() as u8 },
                displacement: instruction.memory_displacement64() as i64,
            },
            kind => match immediate_width(kind) {
                Some(width) => Said::Number(cut(instruction.immediate(n), width)),
                None => return Err(format!("an operand of kind {kind:?}")),
            },
        })
    };
    (0..instruction.op_count()).map(said).collect()
}

/// An operand of the other disassembler; `kind` is what iced has in its place.
fn by_other(operand: &Operand, kind: OpKind, end: u64) -> Result<Said, String> {
    let memory = |base: Option<&'static str>, index: Option<&'static str>, scale: u8, disp: i32| {
        // iced says where a rip-relative operand points.
        let displacement = i64::from(disp) + if base == Some("rip") { end as i64 } else { 0 };
        let name = |part: Option<&'static str>| part.unwrap_or_default().to_string();
        Said::Memory { base: name(base), index: name(index), scale, displacement }
    };
    let number = |value: i64| match (kind, immediate_width(kind)) {
        (OpKind::NearBranch64, _) => Ok(Said::Target(end.wrapping_add_signed(value))),
        (_, Some(width)) => Ok(Said::Number(cut(value as u64, width))),
        _ => Err(format!("a number where iced has {kind:?}")),
    };
    Ok(match *operand {
        Operand::Register { reg } => Said::Register(reg.name().to_string()),
        Operand::ImmediateI8 { imm } => number(i64::from(imm))?,
        Operand::ImmediateU8 { imm } => number(i64::from(imm))?,
        Operand::ImmediateI16 { imm } => number(i64::from(imm))?,
        Operand::ImmediateU16 { imm } => number(i64::from(imm))?,
        Operand::ImmediateI32 { imm } => number(i64::from(imm))?,
        Operand::ImmediateU32 { imm } => number(i64::from(imm))?,
        Operand::ImmediateI64 { imm } => number(imm)?,
        Operand::ImmediateU64 { imm } => number(imm as i64)?,
        // Intel SDM vol. 2, 2.2.1.3: a displacement is sign-extended.
        Operand::AbsoluteU32 { addr } => memory(None, None, 1, addr as i32),
        Operand::MemDeref { base } => memory(Some(base.name()), None, 1, 0),
        Operand::Disp { base, disp } => memory(Some(base.name()), None, 1, disp),
        Operand::MemIndexScale { index, scale } => memory(None, Some(index.name()), scale, 0),
        Operand::MemIndexScaleDisp { index, scale, disp } => memory(None, Some(index.name()), scale, disp),
        Operand::MemBaseIndexScale { base, index, scale } => memory(Some(base.name()), Some(index.name()), scale, 0),
        Operand::MemBaseIndexScaleDisp { base, index, scale, disp } => {
            memory(Some(base.name()), Some(index.name()), scale, disp)
        }
        _ => return Err(format!("operand {operand:?}")),
    })
}

/// Mnemonics with the names of conditions that iced uses.
fn mnemonic(name: &str) -> String {
    for prefix in ["cmov", "set", "j"] {
        if let Some(condition) = name.strip_prefix(prefix) {
            let same = [("nb", "ae"), ("z", "e"), ("nz", "ne"), ("na", "be"), ("nae", "b"), ("nge", "l"), ("ng", "le")];
            let found = same.iter().find(|(other, _)| *other == condition).map_or(condition, |(_, ours)| ours);
            return format!("{prefix}{found}");
        }
    }
    name.to_string()
}

/// Whether the other disassembler reads the instruction at the start of `bytes` as iced did: length, operation, operands, and the
/// bytes of memory.
pub fn agree(decoded: &Instruction, bytes: &[u8]) -> Result<(), String> {
    let read = by_iced(decoded)?;
    let other = InstDecoder::default().decode_slice(bytes).map_err(|error| format!("{error:?}"))?;
    let length = other.len().to_const() as usize;
    if length != decoded.len() {
        return Err(format!("{} bytes here, {length} there ({other})", decoded.len()));
    }
    let end = decoded.next_ip();
    let names = (mnemonic(&format!("{:?}", decoded.mnemonic()).to_lowercase()), mnemonic(&other.opcode().to_string()));
    // yaxpeax-x86 2.2.0 takes MOVD xmm, r/m32 for the 64-bit form (Intel SDM vol. 2, "MOVD/MOVQ": that one has REX.W).
    if decoded.code() == Code::Movd_xmm_rm32 {
        return Ok(());
    }
    if names.0 != names.1 {
        return Err(format!("{} here, {} there", names.0, names.1));
    }
    if u32::from(other.operand_count()) != decoded.op_count() {
        return Err(format!("{} operands here, {} there ({other})", decoded.op_count(), other.operand_count()));
    }
    for (n, ours) in read.iter().enumerate() {
        let theirs = by_other(&other.operand(n as u8), decoded.op_kind(n as u32), end)?;
        if *ours != theirs {
            return Err(format!("{ours:?} here, {theirs:?} there ({other})"));
        }
    }
    let size = decoded.memory_size().size();
    let theirs = other.mem_size().and_then(|size| size.bytes_size());
    let memory = read.iter().any(|operand| matches!(operand, Said::Memory { .. }));
    if memory && decoded.mnemonic() != Mnemonic::Lea && theirs != Some(size as u8) {
        return Err(format!("{size} bytes of memory here, {theirs:?} there ({other})"));
    }
    Ok(())
}

/// Reads code from `start` to `end` with the checker's decoder, up to the first instruction that it refuses or to where `stop`
/// says: each instruction must be as long to iced, and the same to the other disassembler. Gives how many those were.
pub fn agree_on(code: &[u8], start: usize, end: usize, stop: impl Fn(usize) -> bool) -> Result<u64, String> {
    let (mut at, mut count) = (start, 0);
    while at < end && !stop(at) {
        let Some(found) = decode(&code[..end], at as u32) else { break };
        let bytes = &code[at..at + usize::from(found.length)];
        let instruction = Decoder::with_ip(64, &code[at..end], at as u64, DecoderOptions::NONE).decode();
        let wrong = |message: String| format!("at {at:#x}, {bytes:02x?}: {message}");
        if instruction.len() != bytes.len() {
            return Err(wrong(format!("{} bytes to iced", instruction.len())));
        }
        agree(&instruction, bytes).map_err(wrong)?;
        (at, count) = (at + bytes.len(), count + 1);
    }
    Ok(count)
}

/// Where the instructions of code begin that has no gaps between `start` and `end`.
pub fn boundaries(code: &[u8], start: usize, end: usize) -> impl Iterator<Item = usize> {
    Decoder::with_ip(64, &code[start..end], start as u64, DecoderOptions::NONE).into_iter().map(|found| found.ip() as usize)
}
