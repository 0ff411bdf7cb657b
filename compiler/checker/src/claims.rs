//! The compiler's claims of a function: the places that branches go to, and what is known there.
//!
//! Nothing here is trusted, nor is what read it from a file: the checker meets `labels` in their order, each where an instruction
//! begins, or rejects the function. `index` only finds them.

use crate::fact::Fact;
use crate::module::Index;
use crate::state::Location;
use alloc::vec::Vec;
use core::ops::Range;

/// What is claimed of a register or word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    Fact(Fact),
    /// It holds the same value as another place.
    Same(Location),
}

/// A place that branches go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Offset in the code.
    pub offset: u32,
    pub depth: u32,
    /// Which of the chunks are its, and which of the other claims.
    pub narrow: Range<usize>,
    pub facts: Range<usize>,
}

#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// By offset.
    pub labels: Vec<Label>,
    pub index: Index,
    /// Chunks of 64 locations: their number, and which of them are zero-extended from 32 bits.
    pub narrow: Vec<(u32, u64)>,
    pub facts: Vec<(Location, Claim)>,
}

impl Claims {
    /// The label at an offset of the code.
    pub fn at(&self, offset: u32) -> Option<&Label> {
        self.labels.get(self.index.find(offset)?).filter(|label| label.offset == offset)
    }

    pub fn facts_of(&self, label: &Label) -> &[(Location, Claim)] {
        self.facts.get(label.facts.clone()).unwrap_or(&[])
    }

    pub fn narrow_of(&self, label: &Label) -> &[(u32, u64)] {
        self.narrow.get(label.narrow.clone()).unwrap_or(&[])
    }
}
