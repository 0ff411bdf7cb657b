//! Claims from bytes. Nothing here is trusted: whatever can be read is judged by the checker.
//!
//! ```text
//! module     for each function and thunk the length of its claims in bytes, then they (a thunk has none)
//! function   number of labels, usual depth / 8, then each label
//! label      distance from the last one × 8 + flags, [depth / 8], [number of claims, claims],
//!            [number of chunks of 64 locations, of each its distance from the one behind the last and a bit for each location
//!            that is zero-extended]
//! claim      location, tag, numbers of the tag (tag 255: the same value as stands in another place)
//! ```
//!
//! Numbers are LEB128.

use vwasm_checker::claims::{Claim, Claims, Label};
use vwasm_checker::fact::Fact;
use vwasm_checker::{Module, Reason, Rejection};

pub const DEPTH: u64 = 1;
pub const FACTS: u64 = 2;
pub const NARROW: u64 = 4;
pub const SAME: u8 = 255;

/// Reads claims, front to back.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(first.into());
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn claim(&mut self) -> Option<Claim> {
        let tag = self.byte()?;
        let (a, b) = (self.number()?, self.number()?);
        match tag {
            SAME => Some(Claim::Same(u32::try_from(a).ok()?)),
            _ => Fact::decode(tag, [a, b]).map(Claim::Fact),
        }
    }
}

/// The claims of a function that has these bytes of the code, into `claims`; they take all of theirs.
pub fn read(bytes: &[u8], claims: &mut Claims, start: u32, end: u32) -> Option<()> {
    claims.index.clear(start);
    claims.labels.clear();
    claims.facts.clear();
    claims.narrow.clear();
    let mut reader = Reader(bytes);
    // So many bytes cannot name more labels than there are instructions.
    let count = reader.number().filter(|count| *count <= u64::from(end - start))?;
    let frame = reader.small()?.checked_mul(8)?;
    let mut offset = start;
    for n in 0..count {
        let head = reader.number()?;
        let distance = u32::try_from(head >> 3).ok()?;
        // Labels ascend strictly.
        if n > 0 && distance == 0 {
            return None;
        }
        offset = offset.checked_add(distance)?;
        let depth = if head & DEPTH != 0 { reader.small()?.checked_mul(8)? } else { frame };
        let (first_fact, first_chunk) = (claims.facts.len(), claims.narrow.len());
        if head & FACTS != 0 {
            for _ in 0..reader.number()? {
                let location = reader.small()?;
                let claim = reader.claim()?;
                claims.facts.push((location, claim));
            }
        }
        if head & NARROW != 0 {
            // Chunks ascend strictly.
            let mut next = 0u32;
            for _ in 0..reader.number()? {
                let chunk = next.checked_add(reader.small()?)?;
                claims.narrow.push((chunk, reader.number()?));
                next = chunk.checked_add(1)?;
            }
        }
        // A branch out of the function finds no label.
        if offset < end {
            claims.index.push(offset, n as u32);
        }
        let (narrow, facts) = (first_chunk..claims.narrow.len(), first_fact..claims.facts.len());
        claims.labels.push(Label { offset, depth, narrow, facts });
    }
    reader.0.is_empty().then_some(())
}

/// The claims of each unit of a module.
pub fn split<'a>(bytes: &'a [u8], module: &Module<'_>) -> Result<Vec<&'a [u8]>, Rejection> {
    let mut reader = Reader(bytes);
    let mut part = |thunk: bool| {
        let length = usize::try_from(reader.number()?).ok()?;
        let (part, rest) = reader.0.split_at_checked(length)?;
        reader.0 = rest;
        (!thunk || part.is_empty()).then_some(part)
    };
    let mut parts = Vec::with_capacity(module.units.len());
    for (number, unit) in module.units.iter().enumerate() {
        let bad = Rejection { unit: Some(number), offset: unit.start, length: 0, reason: Reason::Claims };
        parts.push(part(number >= module.functions).ok_or(bad)?);
    }
    match reader.0.is_empty() {
        true => Ok(parts),
        false => Err(Rejection { unit: None, offset: 0, length: 0, reason: Reason::Claims }),
    }
}
