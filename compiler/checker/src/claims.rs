//! The compiler's claims: for each function the places that branches go to, and what is known there.
//!
//! ```text
//! module     for each function and thunk the length of its claims in bytes, then they
//! function   number of labels, usual depth / 8, then each label
//! label      distance from the last one × 16 + flags, [zero-extended registers: 16 bits], [depth / 8],
//!            [number of claims, claims], [number of zero-extended words, the distance of each from the one before]
//! claim      location, tag, numbers of the tag (tag 255: the same value as stands in another place)
//! ```
//!
//! Numbers are LEB128. Nothing here is trusted: whatever decodes is checked where it is used.

use crate::fact::Fact;
use crate::state::{self, Location};
use alloc::vec::Vec;

pub const REGISTERS: u64 = 1;
pub const DEPTH: u64 = 2;
pub const FACTS: u64 = 4;
pub const WORDS: u64 = 8;
pub const SAME: u8 = 255;

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
    /// Index and number of the words that are zero-extended from 32 bits.
    pub first_word: u32,
    pub word_count: u32,
}

/// A function's labels, by offset.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Those of the labels.
    pub offsets: Vec<u32>,
    pub labels: Vec<Label>,
    pub facts: Vec<(Location, Claim)>,
    pub words: Vec<u32>,
}

impl Claims {
    pub fn at(&self, offset: u32) -> Option<&Label> {
        self.labels.get(self.offsets.binary_search(&offset).ok()?)
    }

    pub fn facts_of(&self, label: &Label) -> &[(Location, Claim)] {
        self.facts.get(label.first as usize..(label.first + label.count) as usize).unwrap_or(&[])
    }

    pub fn words_of(&self, label: &Label) -> &[u32] {
        self.words.get(label.first_word as usize..(label.first_word + label.word_count) as usize).unwrap_or(&[])
    }
}

/// Reads claims, front to back.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    pub fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    pub fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
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

    /// A function's claims, into `claims`; they take all the bytes.
    pub fn function(mut self, claims: &mut Claims, start: u32) -> Option<()> {
        claims.offsets.clear();
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
                let mut word = 0u32;
                for _ in 0..self.number()? {
                    word = word.checked_add(self.small()?)?;
                    // It must have a location.
                    word.checked_add(state::WORDS)?;
                    claims.words.push(word);
                }
            }
            let word_count = u32::try_from(claims.words.len()).ok()? - first_word;
            claims.offsets.push(offset);
            claims.labels.push(Label { offset, depth, narrow, first, count, first_word, word_count });
        }
        self.0.is_empty().then_some(())
    }
}
