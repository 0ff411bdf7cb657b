//! Reading an executable as the kernel maps it: what `vwasm verify` judges.
//!
//! Takes a file's bytes; gives the payload's parts, or says what is wrong. Everything that the kernel would map is accounted
//! for: the segments are exactly the stub's (of this vwasm, byte for byte) and the payload's three, at their addresses; none
//! overlap, none is writable and executable, nothing else is loaded, and the rest of each page is zero (int3 behind code).

use crate::error::{CompileError, ErrorKind, Result};
use crate::image::STUB;
use vwasm_runtime::image::{ImageHeader, MAGIC, PAGE, PAYLOAD_ADDRESS, round_up};

const PT_LOAD: u32 = 1;
const PT_GNU_STACK: u32 = 0x6474_e551;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

fn wrong<T>(message: impl Into<String>) -> Result<T> {
    Err(CompileError::new(ErrorKind::Rejected, message))
}

/// A number of `N` bytes in the file.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Result<u64> {
    let field = at.checked_add(N).and_then(|end| bytes.get(at..end));
    match field {
        Some(field) => Ok(field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))),
        None => wrong("the file ends within a header"),
    }
}

/// A loaded segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment<'a> {
    flags: u32,
    address: u64,
    bytes: &'a [u8],
    memory_size: u64,
    /// Where it is in the file.
    offset: u64,
}

/// The entry and the loaded segments of an ELF file, and the flags of its stack.
fn segments(file: &[u8]) -> Result<(u64, Vec<Segment<'_>>, Vec<u32>)> {
    const IDENTIFICATION: [u8; 16] = [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    if file.get(..16) != Some(&IDENTIFICATION) || number::<2>(file, 16)? != 2 || number::<2>(file, 18)? != 62 {
        return wrong("not an executable for x86-64 Linux");
    }
    let (entry, table) = (number::<8>(file, 24)?, number::<8>(file, 32)?);
    let (size, count) = (number::<2>(file, 54)?, number::<2>(file, 56)?);
    if size != 56 || count > 64 {
        return wrong("program headers of an unusual size or number");
    }
    let (mut loaded, mut stacks) = (Vec::new(), Vec::new());
    for n in 0..count {
        let Some(at) = table.checked_add(56 * n).and_then(|at| usize::try_from(at).ok()) else {
            return wrong("program headers beyond the file's end");
        };
        let (kind, flags) = (number::<4>(file, at)? as u32, number::<4>(file, at + 4)? as u32);
        match kind {
            PT_GNU_STACK => stacks.push(flags),
            PT_LOAD => {
                let (offset, address) = (number::<8>(file, at + 8)?, number::<8>(file, at + 16)?);
                let (file_size, memory_size) = (number::<8>(file, at + 32)?, number::<8>(file, at + 40)?);
                let bytes = offset
                    .checked_add(file_size)
                    .and_then(|end| file.get(usize::try_from(offset).ok()?..usize::try_from(end).ok()?));
                let Some(bytes) = bytes else { return wrong("a segment lies beyond the file's end") };
                loaded.push(Segment { flags, address, bytes, memory_size, offset });
            }
            _ => return wrong(format!("a program header of type {kind:#x}")),
        }
    }
    Ok((entry, loaded, stacks))
}

/// What the kernel maps of a segment beyond its own bytes: it maps whole pages.
fn margins(file: &[u8], segment: &Segment<'_>, fill: u8) -> Result<()> {
    let end = segment.offset + segment.bytes.len() as u64;
    let page_end = round_up(end, PAGE);
    let head = segment.offset / PAGE * PAGE..segment.offset;
    for (range, fill) in [(head, 0), (end..page_end, fill)] {
        let bytes = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        match bytes.and_then(|(start, end)| file.get(start..end)) {
            Some(bytes) if bytes.iter().all(|byte| *byte == fill) => {}
            Some(_) => return wrong(format!("something stands beside the segment at {:#x}, in its pages", segment.address)),
            None => return wrong("the last page of a segment is not in the file"),
        }
    }
    Ok(())
}

/// The parts of an executable that the checker judges.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    pub manifest: &'a [u8],
    pub claims: &'a [u8],
    pub code: &'a [u8],
    pub data: &'a [u8],
}

/// Reads an executable; whatever the kernel would map and is not what this vwasm writes is an error.
pub fn read(file: &[u8]) -> Result<Payload<'_>> {
    let (entry, loaded, stacks) = segments(file)?;
    let (stub_entry, stub) = stub_segments()?;
    if stacks != [READ | WRITE] {
        return wrong("the stack is not declared readable and writable only");
    }
    if entry != stub_entry {
        return wrong("the entry point is not the stub's");
    }
    let mut end = PAGE;
    for segment in &loaded {
        let size = segment.memory_size;
        if size == 0 || size < segment.bytes.len() as u64 || segment.offset % PAGE != segment.address % PAGE {
            return wrong(format!("the segment at {:#x} has an impossible size or offset", segment.address));
        }
        let first = segment.address / PAGE * PAGE;
        let Some(last) = segment.address.checked_add(size).filter(|last| *last < 1 << 46) else {
            return wrong("a segment beyond the address space");
        };
        if first < end {
            return wrong(format!("the segment at {:#x} overlaps the one before", segment.address));
        }
        if segment.flags & (WRITE | EXECUTE) == WRITE | EXECUTE || segment.flags & !(READ | WRITE | EXECUTE) != 0 {
            return wrong(format!("the segment at {:#x} is writable and executable", segment.address));
        }
        end = round_up(last, PAGE);
    }
    if loaded.len() < stub.len() {
        return wrong("segments of the stub are missing");
    }
    let (first, rest) = loaded.split_at(stub.len());
    for (found, known) in first.iter().zip(&stub) {
        let same = (found.flags, found.address, found.bytes, found.memory_size)
            == (known.flags, known.address, known.bytes, known.memory_size);
        if !same {
            return wrong(format!("the segment at {:#x} is not the stub's", found.address));
        }
        margins(file, found, 0)?;
    }
    payload(file, rest)
}

/// The stub inside this vwasm. (Headers that the kernel does not act on are passed over.)
fn stub_segments() -> Result<(u64, Vec<Segment<'static>>)> {
    let stub = crate::image::stub_segments()?;
    let segment = |segment: &crate::image::Segment| -> Result<Segment<'static>> {
        let bytes = usize::try_from(segment.offset).ok().and_then(|at| STUB.get(at..at + segment.bytes.len()));
        let Some(bytes) = bytes else { return wrong("the built-in stub is damaged") };
        Ok(Segment {
            flags: segment.flags,
            address: segment.address,
            bytes,
            memory_size: segment.memory_size,
            offset: segment.offset,
        })
    };
    Ok((stub.0, stub.1.iter().map(segment).collect::<Result<Vec<_>>>()?))
}

fn payload<'a>(file: &[u8], loaded: &[Segment<'a>]) -> Result<Payload<'a>> {
    let Some((first, rest)) = loaded.split_first() else { return wrong("there is no program in this executable") };
    let header = header(first)?;
    let mut parts = [(header.code, header.code_length, READ | EXECUTE, 0xcc), (header.data, header.data_length, READ, 0)]
        .into_iter()
        .filter(|(_, length, ..)| *length > 0);
    let manifest_end = ImageHeader::SIZE + header.manifest_length as usize;
    margins(file, first, 0)?;
    let mut found = Vec::new();
    for segment in rest {
        let Some((address, length, flags, fill)) = parts.next() else { return wrong("a segment too many") };
        let expected = (segment.flags, segment.address, segment.bytes.len() as u64, segment.memory_size);
        if expected != (flags, address, length, length) {
            return wrong(format!("the segment at {:#x} is not what the header says", segment.address));
        }
        margins(file, segment, fill)?;
        found.push(segment.bytes);
    }
    if parts.next().is_some() {
        return wrong("a segment that the header names is missing");
    }
    let mut found = found.into_iter();
    let mut part = |length: u64| if length > 0 { found.next().unwrap_or(&[]) } else { &[] };
    Ok(Payload {
        manifest: &first.bytes[ImageHeader::SIZE..manifest_end],
        claims: &first.bytes[manifest_end..],
        code: part(header.code_length),
        data: part(header.data_length),
    })
}

/// The payload's header, which must be the one that its lengths make.
fn header(segment: &Segment<'_>) -> Result<ImageHeader> {
    let field = |n: usize| number::<8>(segment.bytes, 8 * n);
    let lengths = [field(2)?, field(4)?, field(6)?, field(8)?];
    if lengths.iter().any(|length| *length > 1 << 32) {
        return wrong("a part of the program is larger than 4 GiB");
    }
    let header = ImageHeader::place(lengths[0], lengths[1], lengths[2], lengths[3]);
    let size = ImageHeader::SIZE as u64 + lengths[0] + lengths[1];
    let expected = (READ, PAYLOAD_ADDRESS, size, size);
    let found = (segment.flags, segment.address, segment.bytes.len() as u64, segment.memory_size);
    if segment.bytes.get(..8) != Some(&MAGIC) || found != expected {
        return wrong("the program's header is not one that vwasm compile writes");
    }
    if segment.bytes.get(..ImageHeader::SIZE) != Some(header.to_bytes().as_slice()) {
        return wrong("the program's header contradicts itself");
    }
    Ok(header)
}
