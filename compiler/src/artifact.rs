//! Compiled modules as bytes that may come from anybody.
//!
//! [`write`] gives a module's manifest, claims, code and read-only data as one string of bytes; [`read`] takes such a string,
//! copies it, and gives the parts of the copy if the sandbox checker accepts them. So whoever wrote or changed the bytes, what
//! [`read`] gives stays in its sandbox; it need not be the program that was compiled. Nothing but the copy is looked at or
//! handed on: the caller's bytes may change meanwhile.
//!
//! The format: magic, hash of `spec/`, the four lengths as 64-bit little-endian numbers, the four parts, and nothing else.

use crate::error::{CompileError, ErrorKind, Result};
use crate::verify::{self, SPEC_HASH};
use vwasm_runtime::manifest::Manifest;

const MAGIC: &[u8; 8] = b"VWASM\0m\x02";
const PARTS: usize = 4;

/// The parts of a compiled module.
pub struct Artifact {
    pub manifest: Manifest,
    pub claims: Vec<u8>,
    pub code: Vec<u8>,
    pub data: Vec<u8>,
}

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(CompileError::new(ErrorKind::Rejected, message))
}

/// One string of bytes for the parts of a compiled module.
pub fn write(manifest: &Manifest, claims: &[u8], code: &[u8], data: &[u8]) -> Vec<u8> {
    let manifest = manifest.encode();
    let parts = [&manifest, claims, code, data];
    let mut bytes = Vec::with_capacity(128 + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(SPEC_HASH.as_bytes());
    parts.iter().for_each(|part| bytes.extend_from_slice(&(part.len() as u64).to_le_bytes()));
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// The parts that bytes of anybody's hold, checked.
pub fn read(bytes: &[u8]) -> Result<Artifact> {
    let copy = bytes.to_vec();
    let Some(rest) = copy.strip_prefix(MAGIC) else { return refuse("these bytes are no compiled module") };
    let Some(rest) = rest.strip_prefix(SPEC_HASH.as_bytes()) else {
        return refuse("the module was compiled by a vwasm with other rules: compile it again");
    };
    let Some((lengths, mut rest)) = rest.split_at_checked(8 * PARTS) else {
        return refuse("the compiled module is cut short");
    };
    let mut parts = [&rest[..0]; PARTS];
    for (part, length) in parts.iter_mut().zip(lengths.chunks_exact(8)) {
        let length = length.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
        let found = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let Some((found, after)) = found else { return refuse("the compiled module is cut short") };
        (*part, rest) = (found, after);
    }
    if !rest.is_empty() {
        return refuse("something follows the compiled module");
    }
    let [manifest_bytes, claims, code, data] = parts;
    let Ok(manifest) = Manifest::decode(manifest_bytes) else { return refuse("the manifest cannot be read") };
    // One manifest has one spelling: nothing hides in what the decoder passes over.
    if manifest.encode() != manifest_bytes || !manifest.is_consistent(code.len() as u64, data.len() as u64) {
        return refuse("the manifest contradicts itself");
    }
    verify::check(&manifest, code, data, claims)?;
    Ok(Artifact { claims: claims.to_vec(), code: code.to_vec(), data: data.to_vec(), manifest })
}
