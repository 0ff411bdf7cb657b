//! The compiler's claims: for each function the places that branches go to, and what is known there.
//!
//! ```text
//! module     for each function and thunk the length of its claims in bytes, then they
//! function   number of labels, usual depth / 8, then each label
//! label      distance from the last one × 16 + flags, [zero-extended registers: 16 bits], [depth / 8],
//!            [number of claims, claims], [number of chunks of 64 words, of each its distance from the one behind the last
//!            and a bit for each word that is zero-extended]
//! claim      location, tag, numbers of the tag (tag 255: the same value as stands in another place)
//! ```
//!
//! Numbers are LEB128. Nothing here is trusted: whatever decodes is checked where it is used.

use crate::fact::Fact;
use crate::module::Index;
use crate::state::Location;
use alloc::vec::Vec;

pub const REGISTERS: u64 = 1;
pub const DEPTH: u64 = 2;
pub const FACTS: u64 = 4;
pub const WORDS: u64 = 8;
pub const SAME: u8 = 255;

/// More words than any frame has; each has a location.
const MOST_CHUNKS: u32 = 1 << 24;

/// What is claimed of a register or word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Fact(Fact),
    /// It holds the same value as another place.
    Same(Location),
}

/// A place that branches go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Offset in the code.
    pub offset: u32,
    pub depth: u32,
    /// Registers that are zero-extended from 32 bits.
    pub narrow: u16,
    /// Index and number of the other claims.
    pub first: u32,
    pub count: u32,
    /// Index and number of the chunks of words that are zero-extended from 32 bits.
    pub first_word: u32,
    pub word_count: u32,
}

/// A function's labels, by offset.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub labels: Vec<Label>,
    pub index: Index,
    pub facts: Vec<(Location, Claim)>,
    /// A chunk of 64 words, and which of them.
    pub words: Vec<(u32, u64)>,
}

impl Claims {
    #[inline]
    pub fn at(&self, offset: u32) -> Option<&Label> {
        self.labels.get(self.index.find(offset)?)
    }

    pub fn facts_of(&self, label: &Label) -> &[(Location, Claim)] {
        self.facts.get(label.first as usize..(label.first + label.count) as usize).unwrap_or(&[])
    }

    pub fn words_of(&self, label: &Label) -> &[(u32, u64)] {
        self.words.get(label.first_word as usize..(label.first_word + label.word_count) as usize).unwrap_or(&[])
    }
}

/// Reads claims, front to back.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    #[inline]
    pub fn number(&mut self) -> Option<u64> {
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

    /// The claims of a function that has these bytes of the code, into `claims`; they take all of theirs.
    pub fn function(mut self, claims: &mut Claims, start: u32, end: u32) -> Option<()> {
        claims.index.clear(start);
        claims.labels.clear();
        claims.facts.clear();
        claims.words.clear();
        let count = self.number()?;
        let frame = self.small()?.checked_mul(8)?;
        let mut offset = start;
        for n in 0..count {
            let head = self.number()?;
            let distance = u32::try_from(head >> 4).ok()?;
            // Labels ascend strictly.
            if n > 0 && distance == 0 {
                return None;
            }
            offset = offset.checked_add(distance)?;
            let narrow = if head & REGISTERS != 0 { u16::from_le_bytes([self.byte()?, self.byte()?]) } else { 0 };
            let depth = if head & DEPTH != 0 { self.small()?.checked_mul(8)? } else { frame };
            let first = u32::try_from(claims.facts.len()).ok()?;
            if head & FACTS != 0 {
                for _ in 0..self.number()? {
                    let location = self.small()?;
                    let claim = self.claim()?;
                    claims.facts.push((location, claim));
                }
            }
            let count = u32::try_from(claims.facts.len()).ok()? - first;
            let first_word = u32::try_from(claims.words.len()).ok()?;
            if head & WORDS != 0 {
                // Chunks ascend strictly.
                let mut next = 0u32;
                for _ in 0..self.number()? {
                    let chunk = next.checked_add(self.small()?).filter(|chunk| *chunk < MOST_CHUNKS)?;
                    claims.words.push((chunk, self.number()?));
                    next = chunk + 1;
                }
            }
            let word_count = u32::try_from(claims.words.len()).ok()? - first_word;
            // Nothing goes to others.
            if offset < end {
                claims.index.push(offset, n as u32);
            }
            claims.labels.push(Label { offset, depth, narrow, first, count, first_word, word_count });
        }
        self.0.is_empty().then_some(())
    }
}
