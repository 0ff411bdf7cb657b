//! The executable: the prebuilt stub's segments and the payload's, as an ELF file.
//!
//! Takes a compiled module; gives the file's bytes, with a symbol table behind them or without. Every segment begins on a page of the file of its own and is padded to a
//! whole page (code with int3), so the kernel maps nothing but what is listed. No segment is writable and executable.

use crate::compile::Compiled;
use crate::error::{CompileError, ErrorKind, Result};
use crate::symbols;
use vwasm_runtime::image::{ImageHeader, PAGE, PAYLOAD_ADDRESS, round_up};

/// The stub, built with the compiler.
pub static STUB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub"));

const PT_LOAD: u32 = 1;
const PT_GNU_STACK: u32 = 0x6474_e551;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

pub(crate) struct Segment {
    pub flags: u32,
    pub address: u64,
    pub bytes: Vec<u8>,
    pub memory_size: u64,
    /// Where the stub's segments are in the stub.
    pub offset: u64,
    fill: u8,
}

fn damaged() -> CompileError {
    CompileError::new(ErrorKind::Io, "the built-in stub is not an ELF file")
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(damaged)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    Ok(u64::from_le_bytes(field(bytes, at)?))
}

/// The stub's entry and loaded segments.
pub(crate) fn stub_segments() -> Result<(u64, Vec<Segment>)> {
    let entry = u64_at(STUB, 24)?;
    let (table, count) = (u64_at(STUB, 32)? as usize, u16::from_le_bytes(field(STUB, 56)?));
    let mut segments = Vec::new();
    for n in 0..usize::from(count) {
        let at = table + 56 * n;
        if u32::from_le_bytes(field(STUB, at)?) != PT_LOAD {
            continue;
        }
        let (offset, size) = (u64_at(STUB, at + 8)? as usize, u64_at(STUB, at + 32)? as usize);
        segments.push(Segment {
            flags: u32::from_le_bytes(field(STUB, at + 4)?),
            address: u64_at(STUB, at + 16)?,
            bytes: STUB.get(offset..offset + size).ok_or_else(damaged)?.to_vec(),
            memory_size: u64_at(STUB, at + 40)?,
            offset: offset as u64,
            fill: 0,
        });
    }
    if segments.iter().any(|segment| segment.address + segment.memory_size > PAYLOAD_ADDRESS) {
        return Err(CompileError::new(ErrorKind::Io, "the built-in stub reaches into the place of the program"));
    }
    Ok((entry, segments))
}

/// Where something is, once mapped and in the file.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    pub address: u64,
    pub offset: u64,
    pub size: u64,
}

/// The executable of a compiled module, with its functions' names for tools.
pub fn executable(compiled: &Compiled) -> Result<Vec<u8>> {
    let (mut file, code) = build(compiled)?;
    let at = file.len() as u64;
    file.extend(symbols::sections(&compiled.manifest, code, at));
    file[40..48].copy_from_slice(&at.to_le_bytes());
    for (place, half) in [(60, symbols::SECTIONS), (62, symbols::SHSTRTAB)] {
        file[place..place + 2].copy_from_slice(&half.to_le_bytes());
    }
    Ok(file)
}

/// The same without a symbol table.
pub fn without_symbols(compiled: &Compiled) -> Result<Vec<u8>> {
    Ok(build(compiled)?.0)
}

/// The file without section headers, and where its code is.
fn build(compiled: &Compiled) -> Result<(Vec<u8>, Placed)> {
    let (entry, mut segments) = stub_segments()?;
    let manifest = compiled.manifest.encode();
    let lengths = [&manifest, &compiled.claims, &compiled.code, &compiled.data].map(|part| part.len() as u64);
    let header = ImageHeader::place(lengths[0], lengths[1], lengths[2], lengths[3]);
    let mut first = header.to_bytes().to_vec();
    first.extend_from_slice(&manifest);
    first.extend_from_slice(&compiled.claims);
    let parts = [
        (READ, PAYLOAD_ADDRESS, first, 0),
        (READ | EXECUTE, header.code, compiled.code.clone(), 0xcc),
        (READ, header.data, compiled.data.clone(), 0),
    ];
    for (flags, address, bytes, fill) in parts {
        if !bytes.is_empty() {
            segments.push(Segment { flags, address, memory_size: bytes.len() as u64, bytes, offset: 0, fill });
        }
    }
    let mut code = Placed { address: header.code, offset: 0, size: header.code_length };
    let count = segments.len() + 1;
    let mut file = Vec::new();
    file.extend_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend_from_slice(&2u16.to_le_bytes()); // ET_EXEC
    file.extend_from_slice(&62u16.to_le_bytes()); // EM_X86_64
    file.extend_from_slice(&1u32.to_le_bytes());
    file.extend_from_slice(&entry.to_le_bytes());
    file.extend_from_slice(&64u64.to_le_bytes()); // program headers
    file.extend_from_slice(&0u64.to_le_bytes()); // no section headers
    file.extend_from_slice(&0u32.to_le_bytes());
    for half in [64u16, 56, count as u16, 64, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    let mut offset = round_up((64 + 56 * count) as u64, PAGE);
    let mut offsets = Vec::new();
    for segment in &segments {
        // Offset and address agree modulo the page size.
        let at = offset + segment.address % PAGE;
        offsets.push(at);
        let words = [at, segment.address, segment.address, segment.bytes.len() as u64, segment.memory_size, PAGE];
        file.extend_from_slice(&PT_LOAD.to_le_bytes());
        file.extend_from_slice(&segment.flags.to_le_bytes());
        words.iter().for_each(|word| file.extend_from_slice(&word.to_le_bytes()));
        offset = round_up(at + segment.bytes.len() as u64, PAGE);
    }
    file.extend_from_slice(&PT_GNU_STACK.to_le_bytes());
    file.extend_from_slice(&(READ | WRITE).to_le_bytes());
    [0u64, 0, 0, 0, 0, 16].iter().for_each(|word| file.extend_from_slice(&word.to_le_bytes()));
    for (segment, at) in segments.iter().zip(offsets) {
        file.resize(at as usize, 0);
        file.extend_from_slice(&segment.bytes);
        file.resize(round_up(file.len() as u64, PAGE) as usize, segment.fill);
        if segment.address == header.code && !compiled.code.is_empty() {
            code.offset = at;
        }
    }
    Ok((file, code))
}
