//! Facts: what is known of a register or a word of the frame. Types and tables are generated from `spec/sandbox.rules` §9, §10.

use crate::layout::{InstanceLayout, InstanceShape};
use crate::module::Module;
use crate::reject::Place;

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
    pub const ZERO_EXTENDED: Fact = Fact::Max(MAX32);

    /// A bound that every number satisfies says nothing.
    #[inline]
    pub fn plain(self) -> Fact {
        if let Fact::Max(u64::MAX) = self { Fact::Unknown } else { self }
    }

    /// Whether it bounds the value to 32 bits.
    #[inline(always)]
    pub fn is_narrow(self) -> bool {
        #[inline(never)]
        fn other(fact: Fact) -> bool {
            fact.bound() <= MAX32
        }
        match self {
            Fact::Max(bound) => bound <= MAX32,
            fact => fact != Fact::Unknown && other(fact),
        }
    }

    /// Of the value's lower bytes, zero-extended.
    #[inline(always)]
    pub fn low(self, bytes: u8) -> Fact {
        match bytes {
            8 => self,
            4 => low32(self),
            _ => self.lower(bytes),
        }
    }

    #[inline(never)]
    fn lower(self, bytes: u8) -> Fact {
        match bytes {
            2 => low16(self),
            1 => low8(self),
            _ => Fact::Unknown,
        }
    }
}

/// Number of a value that may stand in several places: a copy has the number of what was copied. 0 is no value.
pub type Value = u32;

/// What the flags say, if it is of use. `now` is what was known at the comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flags {
    #[default]
    Unknown,
    /// A value was compared, whole or zero-extended, with another.
    Compared { value: Value, now: Fact, with: Fact },
    /// The signature in the slot that a value points at was compared with a type's.
    Signature { slot: Value, now: Fact, ty: u32 },
}

impl Flags {
    /// The value of which more is known when the condition holds (or does not), and the fact.
    pub fn refine(self, condition: u8, holds: bool) -> Option<(Value, Fact)> {
        const BELOW: u8 = 2;
        const EQUAL: u8 = 4;
        const BELOW_OR_EQUAL: u8 = 6;
        // The lowest bit of a condition negates it.
        let (kind, holds) = (condition & !1, holds == (condition & 1 == 0));
        if condition > 15 || !holds {
            return None;
        }
        match (self, kind) {
            (Flags::Compared { value, now, with }, BELOW) => below(now, with).map(|fact| (value, fact)),
            (Flags::Compared { value, now, with }, EQUAL) => equal(now, with).map(|fact| (value, fact)),
            (Flags::Compared { value, now, with }, BELOW_OR_EQUAL) => below_or_equal(now, with).map(|fact| (value, fact)),
            (Flags::Signature { slot, now, ty }, EQUAL) => signed_slot(now, ty.into()).map(|fact| (slot, fact)),
            _ => None,
        }
    }
}
