//! Facts: what is known of a register or a word of the frame (`spec/sandbox.rules` §9).
//!
//! A fact is about the whole 64-bit value. Only [`Fact::implies`] compares facts, only [`Fact::narrow`] and the functions of
//! `step` make new ones.

use crate::layout;
use crate::reject::FactName;

/// Number of the instance's own memory.
pub const OWN: u32 = u32::MAX;

pub const MAX32: u64 = u32::MAX as u64;

/// What is known of a 64-bit value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    Unknown,
    /// Unsigned, at most this.
    Max(u64),
    /// Base of memory `memory` (an import's number or [`OWN`]) plus at most `max`.
    Memory {
        memory: u32,
        max: u64,
    },
    /// Address of slot 0 of a table.
    Table(u32),
    /// Less than the table's length; also less than 2^32.
    Below(u32),
    /// 16 times a number less than the table's length.
    Offset(u32),
    /// 16 times a number that is at most this.
    OffsetMax(u64),
    /// Address of a slot of the table.
    Slot(u32),
    /// Address of a slot of the table whose signature is type `ty` of the module; dies at a call.
    Callable {
        table: u32,
        ty: u32,
    },
    /// Address of the slot of an imported function.
    Import(u32),
    /// Address of the cell of an imported global.
    Cell(u32),
    /// The store-wide id of a type of the module.
    Signature(u32),
    /// Address of the byte at this offset of the read-only data.
    Data(u32),
    /// One of entries 0 to `last` of the jump table at this offset of the read-only data.
    Entry {
        data: u32,
        last: u32,
    },
    /// What one of these entries points at.
    Target {
        data: u32,
        last: u32,
    },
}

impl Fact {
    pub const ZERO_EXTENDED: Fact = Fact::Max(MAX32);

    /// The fact's name in `spec/sandbox.rules` §9.
    pub fn name(self) -> FactName {
        match self {
            Fact::Unknown => FactName::Unknown,
            Fact::Max(_) => FactName::Max,
            Fact::Memory { .. } => FactName::Memory,
            Fact::Table(_) => FactName::Table,
            Fact::Below(_) => FactName::Below,
            Fact::Offset(_) => FactName::Offset,
            Fact::OffsetMax(_) => FactName::OffsetMax,
            Fact::Slot(_) => FactName::Slot,
            Fact::Callable { .. } => FactName::Callable,
            Fact::Import(_) => FactName::Import,
            Fact::Cell(_) => FactName::Cell,
            Fact::Signature(_) => FactName::Signature,
            Fact::Data(_) => FactName::Data,
            Fact::Entry { .. } => FactName::Entry,
            Fact::Target { .. } => FactName::Target,
        }
    }

    /// An unsigned upper bound of the value.
    pub fn bound(self) -> u64 {
        match self {
            Fact::Max(bound) => bound,
            Fact::Below(_) | Fact::Signature(_) => MAX32,
            Fact::Offset(_) => MAX32 << 4,
            Fact::OffsetMax(most) => most.saturating_mul(16),
            _ => u64::MAX,
        }
    }

    /// Whether everything the claim says follows.
    pub fn implies(self, claim: Fact) -> bool {
        self == claim
            || match (self, claim) {
                (_, Fact::Unknown) => true,
                (_, Fact::Max(bound)) => self.bound() <= bound,
                (Fact::Memory { memory: a, max }, Fact::Memory { memory: b, max: most }) => a == b && max <= most,
                (Fact::OffsetMax(a), Fact::OffsetMax(b)) => a <= b,
                (Fact::Callable { table, .. }, Fact::Slot(claimed)) => table == claimed,
                _ => false,
            }
    }

    /// Of the low 32 bits, zero-extended.
    pub fn narrow(self) -> Fact {
        if self.bound() <= MAX32 { self } else { Fact::ZERO_EXTENDED }
    }

    /// A bound as a fact; the largest says nothing.
    pub fn max(bound: u64) -> Fact {
        if bound == u64::MAX { Fact::Unknown } else { Fact::Max(bound) }
    }

    /// Of the sum of two 64-bit values. `fixed` is a lower bound of the length of each table.
    pub fn add(self, other: Fact, fixed: impl Fn(u32) -> u64) -> Fact {
        match (self, other) {
            (Fact::Memory { memory, max }, offset) | (offset, Fact::Memory { memory, max }) => {
                match max.checked_add(offset.bound()) {
                    Some(max) if max <= layout::MEMORY_RESERVATION => Fact::Memory { memory, max },
                    _ => Fact::Unknown,
                }
            }
            (Fact::Table(table), Fact::Offset(of)) | (Fact::Offset(of), Fact::Table(table)) if table == of => {
                Fact::Slot(table)
            }
            (Fact::Table(table), Fact::OffsetMax(most)) | (Fact::OffsetMax(most), Fact::Table(table))
                if most < fixed(table) =>
            {
                Fact::Slot(table)
            }
            (Fact::Data(data), Fact::Entry { data: of, last }) | (Fact::Entry { data: of, last }, Fact::Data(data))
                if data == of =>
            {
                Fact::Target { data, last }
            }
            (a, b) => a.bound().checked_add(b.bound()).map_or(Fact::Unknown, Fact::max),
        }
    }

    /// Of the bits that both have: it is at most either.
    pub fn and(self, other: Fact) -> Fact {
        match (self, other) {
            (Fact::Below(table), _) | (_, Fact::Below(table)) => Fact::Below(table),
            (a, b) => Fact::max(a.bound().min(b.bound())),
        }
    }

    /// Of the bits that either has.
    pub fn or(self, other: Fact) -> Fact {
        let bound = self.bound() | other.bound();
        Fact::max(u64::MAX.checked_shr(bound.leading_zeros()).unwrap_or(0))
    }

    pub fn shift_left(self, count: u32) -> Fact {
        match self {
            Fact::Below(table) if count == layout::SLOT_SIZE.trailing_zeros() => Fact::Offset(table),
            Fact::Max(bound) if bound.leading_zeros() >= count => {
                if count == layout::SLOT_SIZE.trailing_zeros() {
                    Fact::OffsetMax(bound)
                } else {
                    Fact::max(bound << count)
                }
            }
            _ => Fact::Unknown,
        }
    }

    /// The weaker of two facts: what holds if either does.
    pub fn either(self, other: Fact) -> Fact {
        if self.implies(other) {
            return other;
        }
        if other.implies(self) {
            return self;
        }
        match (self, other) {
            (Fact::Memory { memory: a, max }, Fact::Memory { memory: b, max: more }) if a == b => {
                Fact::Memory { memory: a, max: max.max(more) }
            }
            (Fact::Callable { table: a, .. }, Fact::Callable { table: b, .. }) if a == b => Fact::Slot(a),
            (a, b) => Fact::max(a.bound().max(b.bound())),
        }
    }
}

/// Number of a value that may stand in several places: a copy has the number of what was copied. 0 is no value.
pub type Value = u32;

/// What the flags say, if it is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    Unknown,
    /// `value` (its low 32 bits, unless `wide`) was compared with something that is at most `bound`.
    Bound {
        value: Value,
        now: Fact,
        wide: bool,
        bound: u64,
    },
    /// The low 32 bits of `value` were compared with a table's length.
    Length {
        value: Value,
        now: Fact,
        table: u32,
    },
    /// A type's signature id was compared with the signature in the slot that `slot` points at.
    Signature {
        slot: Value,
        now: Fact,
        ty: u32,
    },
}

impl Flags {
    /// The value of which more is known when the condition holds (or does not), and the fact. (`now` is what was known of it
    /// at the comparison.)
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
            (Flags::Bound { value, now, wide, bound }, BELOW | EQUAL | BELOW_OR_EQUAL) => {
                let most = if kind == BELOW { bound.saturating_sub(1) } else { bound };
                let plain = matches!(now, Fact::Unknown | Fact::Max(_));
                let whole = wide || now.bound() <= MAX32;
                (plain && whole && most < now.bound()).then_some((value, Fact::Max(most)))
            }
            (Flags::Length { value, now: Fact::Max(bound), table }, BELOW) if bound <= MAX32 => {
                Some((value, Fact::Below(table)))
            }
            (Flags::Signature { slot, now: Fact::Slot(table) | Fact::Callable { table, .. }, ty }, EQUAL) => {
                Some((slot, Fact::Callable { table, ty }))
            }
            _ => None,
        }
    }
}
