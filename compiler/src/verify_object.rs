//! The verdict on an object file, whoever wrote it, for every place that a linker may put its code and data.
//!
//! [`object`] takes the file's parts out, and puts them together again: only a file whose every byte is as this vwasm writes
//! it is looked at, so there are no other sections, symbols or relocations. What is left open is the distance D between code
//! and data, which the linker chooses and writes into the fields under relocations:
//!
//! - the relocations of the code are of the displacement of each instruction that takes an address relative to rip, no more and
//!   no less, so no linker writes to anything else of an instruction
//! - those of the data are of whole aligned words, and jump tables are aligned, so each is of one entry or of none
//! - each says of the field what stands in it already, for the D that executables have
//! - the checker accepts the code for that D, and as linked for another, so far off that a field without a relocation which
//!   the code uses points out of code and data there
//!
//! So every field that the code uses moves with D and means the same for all of them.

use crate::error::{CompileError, ErrorKind, Result};
use crate::object::{DESCRIPTOR, LENGTHS, Parts, R_X86_64_PC32, RELOCATION, RODATA, TEXT, assemble, prefix, relocation};
use crate::verify::{Verified, check_at, manifest};
use iced_x86::{Decoder, DecoderOptions};
use vwasm_runtime::image::{PAGE, round_up};

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(CompileError::new(ErrorKind::Rejected, message))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Takes apart what [`assemble`] puts together; what is nonsense here comes out different there.
pub fn take_apart(file: &[u8]) -> Option<Parts<'_>> {
    let table = usize::try_from(number(file, 40)?).ok()?;
    let section = |n: usize| {
        let header = table.checked_add(64 * n)?;
        let (offset, size) = (number(file, header.checked_add(24)?)?, number(file, header.checked_add(32)?)?);
        file.get(usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(size)?).ok()?)
    };
    let (code, rodata, text, references) = (section(TEXT.into())?, section(RODATA.into())?, section(3)?, section(4)?);
    let lengths_at = rodata.len().checked_sub(DESCRIPTOR + LENGTHS)?;
    let length = |n: usize| usize::try_from(number(rodata, lengths_at + 8 * n)?).ok();
    let (data, rest) = rodata.split_at_checked(length(3)?)?;
    let (manifest, rest) = rest.split_at_checked(length(0)?)?;
    let (claims, _) = rest.split_at_checked(length(1)?)?;
    let own = references.len().checked_sub(RELOCATION)?;
    let (text_references, rodata_references) = (text.to_vec(), references[..own].to_vec());
    Some(Parts { manifest, claims, code, data, text_references, rodata_references })
}

/// A reference from code to data or back: where its field is, and what it adds.
struct Reference {
    at: usize,
    addend: i64,
}

fn references(bytes: &[u8]) -> Vec<Reference> {
    let reference = |bytes: &[u8]| {
        let word = |n: usize| number(bytes, 8 * n).unwrap_or(u64::MAX);
        Reference { at: usize::try_from(word(0)).unwrap_or(usize::MAX), addend: word(2) as i64 }
    };
    bytes.chunks(RELOCATION).map(reference).collect()
}

/// The relocations that the code needs, as bytes; jump tables are aligned.
fn needed(code: &[u8], data_start: u64) -> Result<Vec<u8>> {
    let mut needed = Vec::new();
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if !instruction.is_ip_rel_memory_operand() {
            continue;
        }
        let field = decoder.get_constant_offsets(&instruction).displacement_offset() as u64 + instruction.ip();
        let offset = instruction.memory_displacement64().wrapping_sub(data_start) as i64;
        if offset % 4 != 0 {
            return refuse("a jump table that is not aligned");
        }
        relocation(&mut needed, field, R_X86_64_PC32, RODATA, offset - (instruction.next_ip() - field) as i64);
    }
    Ok(needed)
}

/// Writes to a field what a linker does for this value; none if it does not fit.
fn link(bytes: &mut [u8], at: usize, value: i64) -> Option<()> {
    let field = bytes.get_mut(at..at.checked_add(4)?)?;
    field.copy_from_slice(&i32::try_from(value).ok()?.to_le_bytes());
    Some(())
}

/// Code and data as linked with the data at a distance from the code's start.
pub fn linked(parts: &Parts<'_>, data_start: u64) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut code, mut data, distance) = (parts.code.to_vec(), parts.data.to_vec(), data_start as i64);
    for reference in references(&parts.text_references) {
        link(&mut code, reference.at, distance.checked_add(reference.addend)?.checked_sub_unsigned(reference.at as u64)?)?;
    }
    for reference in references(&parts.rodata_references) {
        link(&mut data, reference.at, reference.addend.checked_sub(distance)?.checked_sub_unsigned(reference.at as u64)?)?;
    }
    Some((code, data))
}

/// The verdict on an object file's bytes.
pub fn object(file: &[u8]) -> Result<Verified> {
    let Some(parts) = take_apart(file) else { return refuse("this object file is not one that vwasm writes") };
    let manifest = manifest(parts.manifest)?;
    if assemble(&prefix(&manifest), &parts)? != file {
        return refuse("this object file is not one that vwasm writes: it differs outside code and data");
    }
    let near = round_up(parts.code.len() as u64, PAGE);
    let far = 2 * round_up(parts.code.len() as u64 + parts.data.len() as u64, PAGE) + near;
    if needed(parts.code, near)? != parts.text_references {
        return refuse("the relocations of the code are not those that its addresses of data need");
    }
    let mut end = 0;
    for (reference, bytes) in references(&parts.rodata_references).iter().zip(parts.rodata_references.chunks(RELOCATION)) {
        let mut same = Vec::new();
        relocation(&mut same, reference.at as u64, R_X86_64_PC32, TEXT, reference.addend);
        if same != bytes || reference.at < end || reference.at % 4 != 0 {
            return refuse("a relocation of the data is not that of an entry of a jump table");
        }
        end = reference.at + 4;
    }
    match linked(&parts, near) {
        Some((code, data)) if code == parts.code && data == parts.data => {}
        _ => return refuse("the relocations do not agree with what stands under them"),
    }
    let Some((far_code, far_data)) = linked(&parts, far) else {
        return refuse("the relocations cannot be linked");
    };
    let accepted = check_at(&manifest, parts.code, parts.data, parts.claims, near)?;
    check_at(&manifest, &far_code, &far_data, parts.claims, far)?;
    let (code_length, data_length, claims_length) = (parts.code.len(), parts.data.len(), parts.claims.len());
    Ok(Verified { manifest, accepted, code_length, data_length, claims_length })
}
