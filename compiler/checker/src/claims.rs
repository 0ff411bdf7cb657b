//! The compiler's claims: for each function the places that branches go to, and what is known there.
//!
//! ```text
//! module     for each function and thunk the length of its claims in bytes, then they
//! function   number of labels, usual depth / 8, then each label
//! label      distance from the last one × 16 + flags, [zero-extended registers: 16 bits], [depth / 8],
//!            [number of claims, claims], [number of zero-extended words, the distance of each from the one before]
//! claim      location, tag, numbers of the tag (tag 15: the same value as stands in another place)
//! ```
//!
//! Numbers are LEB128. Nothing here is trusted: whatever decodes is checked where it is used.

use crate::fact::{Fact, OWN};
use crate::state::Location;
use alloc::vec::Vec;

const REGISTERS: u64 = 1;
const DEPTH: u64 = 2;
const FACTS: u64 = 4;
const WORDS: u64 = 8;
const SAME: u8 = 15;

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
    pub labels: Vec<Label>,
    pub facts: Vec<(Location, Claim)>,
    pub words: Vec<u32>,
}

impl Claims {
    pub fn at(&self, offset: u32) -> Option<&Label> {
        let n = self.labels.binary_search_by_key(&offset, |label| label.offset).ok()?;
        self.labels.get(n)
    }

    pub fn facts_of(&self, label: &Label) -> &[(Location, Claim)] {
        self.facts.get(label.first as usize..(label.first + label.count) as usize).unwrap_or(&[])
    }

    pub fn words_of(&self, label: &Label) -> &[u32] {
        self.words.get(label.first_word as usize..(label.first_word + label.word_count) as usize).unwrap_or(&[])
    }
}

pub fn write_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn write_claim(out: &mut Vec<u8>, claim: Claim) {
    let fact = match claim {
        Claim::Fact(fact) => fact,
        Claim::Same(location) => {
            out.push(SAME);
            write_number(out, location.into());
            write_number(out, 0);
            return;
        }
    };
    let (tag, numbers): (u8, [u64; 2]) = match fact {
        Fact::Unknown => (0, [0, 0]),
        Fact::Max(bound) => (1, [bound, 0]),
        Fact::Memory { memory, max } => (2, [u64::from(memory.wrapping_add(1)), max]),
        Fact::Table(table) => (3, [table.into(), 0]),
        Fact::Below(table) => (4, [table.into(), 0]),
        Fact::Offset(table) => (5, [table.into(), 0]),
        Fact::OffsetMax(most) => (6, [most, 0]),
        Fact::Slot(table) => (7, [table.into(), 0]),
        Fact::Callable { table, ty } => (8, [table.into(), ty.into()]),
        Fact::Import(import) => (9, [import.into(), 0]),
        Fact::Cell(cell) => (10, [cell.into(), 0]),
        Fact::Signature(ty) => (11, [ty.into(), 0]),
        Fact::Data(data) => (12, [data.into(), 0]),
        Fact::Entry { data, last } => (13, [data.into(), last.into()]),
        Fact::Target { data, last } => (14, [data.into(), last.into()]),
    };
    out.push(tag);
    write_number(out, numbers[0]);
    write_number(out, numbers[1]);
}

/// A function's claims; `start` and `frame` are its code offset and usual depth.
pub fn write(claims: &Claims, start: u32, frame: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let out = &mut bytes;
    write_number(out, claims.labels.len() as u64);
    write_number(out, u64::from(frame / 8));
    let mut last = start;
    for label in &claims.labels {
        let set = |condition: bool, flag: u64| if condition { flag } else { 0 };
        let flags = set(label.narrow != 0, REGISTERS) | set(label.depth != frame, DEPTH) | set(label.count != 0, FACTS);
        let flags = flags | set(label.word_count != 0, WORDS);
        write_number(out, u64::from(label.offset - last) << 4 | flags);
        last = label.offset;
        if flags & REGISTERS != 0 {
            out.extend_from_slice(&label.narrow.to_le_bytes());
        }
        if flags & DEPTH != 0 {
            write_number(out, u64::from(label.depth / 8));
        }
        if flags & FACTS != 0 {
            write_number(out, u64::from(label.count));
            for &(location, claim) in claims.facts_of(label) {
                write_number(out, location.into());
                write_claim(out, claim);
            }
        }
        if flags & WORDS != 0 {
            write_number(out, u64::from(label.word_count));
            let mut last = 0;
            for &word in claims.words_of(label) {
                write_number(out, u64::from(word.wrapping_sub(last)));
                last = word;
            }
        }
    }
    bytes
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
        let (first, second) = (u32::try_from(a), u32::try_from(b));
        Some(Claim::Fact(match tag {
            SAME => return Some(Claim::Same(first.ok()?)),
            0 => Fact::Unknown,
            1 => Fact::Max(a),
            2 => Fact::Memory { memory: if a == 0 { OWN } else { u32::try_from(a - 1).ok()? }, max: b },
            3 => Fact::Table(first.ok()?),
            4 => Fact::Below(first.ok()?),
            5 => Fact::Offset(first.ok()?),
            6 => Fact::OffsetMax(a),
            7 => Fact::Slot(first.ok()?),
            8 => Fact::Callable { table: first.ok()?, ty: second.ok()? },
            9 => Fact::Import(first.ok()?),
            10 => Fact::Cell(first.ok()?),
            11 => Fact::Signature(first.ok()?),
            12 => Fact::Data(first.ok()?),
            13 => Fact::Entry { data: first.ok()?, last: second.ok()? },
            14 => Fact::Target { data: first.ok()?, last: second.ok()? },
            _ => return None,
        }))
    }

    /// A function's claims, into `claims`; they take all the bytes.
    pub fn function(mut self, claims: &mut Claims, start: u32) -> Option<()> {
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
                    claims.words.push(word);
                }
            }
            let word_count = u32::try_from(claims.words.len()).ok()? - first_word;
            claims.labels.push(Label { offset, depth, narrow, first, count, first_word, word_count });
        }
        self.0.is_empty().then_some(())
    }
}
