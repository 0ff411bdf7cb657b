//! Facts: what is known of a register or a word of the frame. Types and tables are generated from `spec/sandbox.rules` §9, §10.

use crate::layout::{InstanceLayout, InstanceShape};
use crate::module::Module;
use crate::state::{Known, Location};

/// Number of the instance's own memory.
pub const OWN: u32 = u32::MAX;

pub const MAX32: u64 = u32::MAX as u64;

#[allow(dead_code, unused_parens, unused_labels, unreachable_code, unused_variables, clippy::all)]
mod generated {
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/facts.rs"));
}

pub use generated::*;

impl Fact {
    pub const ZERO_EXTENDED: Fact = Fact::max(MAX32);

    /// A bound that every number satisfies says nothing.
    #[inline(always)]
    pub fn plain(self) -> Fact {
        if self == Fact::max(u64::MAX) { Fact::UNKNOWN } else { self }
    }

    /// Whether it bounds the value to 32 bits.
    #[inline(always)]
    pub fn is_narrow(self) -> bool {
        self.bound() <= MAX32
    }

    /// Of the value's lower bytes, zero-extended.
    #[inline(always)]
    pub fn low(self, bytes: u8) -> Fact {
        match bytes {
            8 => self,
            4 => low32(self),
            2 => low16(self),
            1 => low8(self),
            _ => Fact::UNKNOWN,
        }
    }
}

/// Number of a value that may stand in several places: a copy has the number of what was copied. 0 is no value.
pub type Value = u64;

/// What the flags say, if it is of use: a value was compared, whole or zero-extended, of which `now` was known then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// 0 if nothing is known.
    pub value: Value,
    pub now: Fact,
    /// What it was compared with.
    pub with: Fact,
    /// If it is the signature in the slot that the value points at that was compared, with that of this type.
    pub signature: Option<u32>,
}

impl Flags {
    /// The value of which more is known when the condition holds (or does not), and the fact.
    pub fn refine(&self, condition: u8, holds: bool) -> Option<Known> {
        // The lowest bit of a condition negates it.
        if self.value == 0 || condition > 15 || holds != (condition & 1 == 0) {
            return None;
        }
        let fact = match (condition / 2, self.signature) {
            (2, Some(ty)) => signed_slot(self.now, ty.into()),
            (1, None) => below(self.now, self.with),
            (2, None) => equal(self.now, self.with),
            (3, None) => below_or_equal(self.now, self.with),
            _ => None,
        };
        fact.map(|fact| Known { value: self.value, fact })
    }
}
