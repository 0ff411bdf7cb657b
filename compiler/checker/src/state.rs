//! What is known at one point of a function: a fact for each general register, for the flags and for each word of the frame.

use crate::fact::{Fact, Flags, Value};
use crate::module::{Places, Signature};
use alloc::vec::Vec;

pub const RAX: u8 = 0;
pub const RSP: u8 = 4;
pub const R15: u8 = 15;

/// A register or a word that code may address with rsp. Registers come first, then the words that the caller owns, above the
/// return address, then the frame's, downwards.
pub type Location = u32;

/// The first word's location.
pub const WORDS: Location = 16;

/// What is known of a location: a fact, and the number of its value, if it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub value: Value,
    pub fact: Fact,
}

/// 64 locations: as bits, of which `known` says what is known, and which are zero-extended.
#[derive(Clone, Debug)]
struct Chunk {
    listed: u64,
    narrow: u64,
    known: [Known; 64],
}

/// What clearing 64 words, or making room for them, counts beside comparing a claim.
const CHUNK_WORK: u64 = 16;

#[derive(Clone, Debug, Default)]
pub struct State {
    /// Nothing is known of rsp, and of r15 always `instance`.
    chunks: Vec<Chunk>,
    last_value: Value,
    /// What was last found out about values, for the copies of them in words.
    refined: [Known; 2],
    pub flags: Flags,
    /// Bytes between rsp and where it was at entry.
    pub depth: u32,
    /// Words of the caller's area.
    incoming: u32,
    /// Where a checked slot stood at some time: such a fact dies at the next call.
    callable: Vec<Location>,
    instance: Fact,
    /// Work done that few bytes can ask much of, and how much may be.
    pub work: u64,
    pub most_work: u64,
}

/// Numbers of the bits that are set.
pub fn bits(mut set: u64) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let bit = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (bit < 64).then_some(bit)
    })
}

impl State {
    /// At a function's first instruction: i32 parameters are zero-extended. `instance` is what is known of r15.
    pub fn enter(&mut self, signature: &Signature, instance: Fact, most_work: u64) {
        (self.instance, self.last_value, self.depth, self.incoming) = (instance, 0, 0, signature.words());
        (self.work, self.most_work) = (0, most_work);
        self.chunks.clear();
        self.grow(1);
        self.forget();
        self.given(&signature.parameters, 8);
    }

    /// Location of the word at `at` bytes from where rsp was at entry. (The return address has one too; nothing accesses it.)
    pub fn word(&self, at: i64) -> Option<Location> {
        u32::try_from(i64::from(WORDS + self.incoming) - (at >> 3)).ok().filter(|location| *location >= WORDS)
    }

    /// Where a signature's parameters or results are zero-extended, the words from a distance of where rsp was at entry.
    pub fn zero_extended<'a>(&self, places: &'a Places, from: i64) -> impl Iterator<Item = Location> + use<'a> {
        let first = i64::from(WORDS + self.incoming) - (from >> 3);
        let words = (0..).zip(&places.words).filter(|(_, narrow)| **narrow);
        bits(places.narrow.into()).chain(words.map(move |(at, _)| (first - at) as u32))
    }

    fn given(&mut self, places: &Places, from: i64) {
        self.zero_extended(places, from).for_each(|location| self.put(location, Fact::ZERO_EXTENDED, 0));
    }

    /// Whether there is such a register, or a word in the caller's area or the frame.
    pub fn exists(&self, location: u64) -> bool {
        location <= u64::from(WORDS) + u64::from(self.incoming) + u64::from(self.depth / 8)
    }

    /// Which locations of a chunk are known to be zero-extended without what is known of their values elsewhere.
    pub fn narrow(&self, chunk: u32) -> u64 {
        self.chunks.get(chunk as usize).map_or(0, |chunk| chunk.narrow)
    }

    pub fn register(&self, register: u8) -> Fact {
        self.get((register & 15).into()).fact
    }

    /// What is known of a location, as found out last.
    #[inline(always)]
    pub fn get(&self, location: Location) -> Known {
        let (n, at) = (location as usize / 64, location as usize % 64);
        let Some(chunk) = self.chunks.get(n) else { return Known::default() };
        if chunk.listed >> at & 1 == 0 {
            let narrow = chunk.narrow >> at & 1 != 0;
            return Known { value: 0, fact: if narrow { Fact::ZERO_EXTENDED } else { Fact::UNKNOWN } };
        }
        let known = chunk.known[at];
        match self.refined.iter().find(|refined| location >= WORDS && refined.value == known.value) {
            Some(refined) if known.value != 0 => *refined,
            _ => known,
        }
    }

    /// A location gets a value.
    #[inline(always)]
    pub fn put(&mut self, location: Location, fact: Fact, value: Value) {
        let (n, bit) = (location as usize / 64, 1 << (location % 64));
        if n >= self.chunks.len() {
            // There may be many words that nobody knows anything of.
            if fact == Fact::UNKNOWN {
                return;
            }
            self.grow(n + 1);
        }
        let Some(chunk) = self.chunks.get_mut(n) else { return };
        chunk.listed |= bit;
        chunk.narrow = chunk.narrow & !bit | if fact.is_narrow() { bit } else { 0 };
        chunk.known[location as usize % 64] = Known { value, fact };
        if fact.is_callable() {
            self.callable.push(location);
        }
    }

    /// A register gets a new value.
    pub fn set(&mut self, register: u8, fact: Fact) {
        self.put((register & 15).into(), fact, 0);
    }

    /// After all is forgotten: of these locations some are zero-extended.
    pub fn put_narrow(&mut self, n: u32, narrow: u64) {
        self.grow(n as usize + 1);
        if let Some(chunk) = self.chunks.get_mut(n as usize) {
            chunk.narrow = narrow;
        }
    }

    /// Makes room, but not for more than may be: then the function is rejected.
    #[inline(never)]
    fn grow(&mut self, chunks: usize) {
        self.work += CHUNK_WORK * chunks.saturating_sub(self.chunks.len()) as u64;
        if self.work <= self.most_work && chunks > self.chunks.len() {
            let known = [Known { value: 0, fact: Fact::UNKNOWN }; 64];
            self.chunks.resize(chunks, Chunk { listed: 0, narrow: 0, known });
        }
    }

    /// Nothing is known but the depth.
    pub fn forget(&mut self) {
        self.callable.clear();
        self.chunks.iter_mut().for_each(|chunk| (chunk.listed, chunk.narrow) = (0, 0));
        self.work += self.chunks.len() as u64;
        self.forget_registers();
    }

    fn forget_registers(&mut self) {
        let registers = &mut self.chunks[0];
        (registers.listed, registers.narrow) = (registers.listed & !0xffff, registers.narrow & !0xffff);
        self.set(R15, self.instance);
        self.refined = [Known::default(); 2];
        self.flags.value = 0;
    }

    /// Forgets the words of the frame between two depths.
    pub fn forget_words(&mut self, from: u32, to: u32) {
        let end = |depth: u32| (WORDS + self.incoming + depth / 8 + 1).min(64 * self.chunks.len() as u32);
        let (from, to) = (end(from), end(to));
        for n in from / 64..to.div_ceil(64) {
            // Of the locations before a number, those in this chunk.
            let before = |number: u32| 1u64.checked_shl(number.saturating_sub(64 * n)).unwrap_or(0).wrapping_sub(1);
            let kept = !(before(to) & !before(from));
            let chunk = &mut self.chunks[n as usize];
            (chunk.listed, chunk.narrow) = (chunk.listed & kept, chunk.narrow & kept);
            self.work += CHUNK_WORK;
        }
    }

    /// What is known of a location, whose value has a number from now on.
    #[inline(always)]
    pub fn valued(&mut self, location: Location) -> Known {
        let mut known = self.get(location);
        if known.value == 0 {
            self.last_value += 1;
            known.value = self.last_value;
            self.put(location, known.fact, known.value);
        }
        known
    }

    /// One location gets another's value.
    #[inline(always)]
    pub fn copy(&mut self, from: Location, to: Location) {
        let known = self.valued(from);
        self.put(to, known.fact, known.value);
    }

    /// Two locations hold the same value.
    pub fn same(&mut self, location: Location, other: Location) {
        let value = self.valued(other).value;
        self.put(location, self.get(location).fact, value);
    }

    /// More is known of a value, wherever it stands.
    pub fn learn(&mut self, refined: Option<Known>) {
        let Some(Known { value, fact }) = refined else { return };
        for register in bits(self.chunks[0].listed & 0xffff) {
            if self.get(register).value == value {
                self.put(register, fact, value);
            }
        }
        self.refined = [Known { value, fact }, self.refined[0]];
    }

    /// What is known of a location, if `refined` is known in addition.
    pub fn known(&self, location: Location, refined: Option<Known>) -> Fact {
        let known = self.get(location);
        refined.filter(|refined| known.value != 0 && refined.value == known.value).unwrap_or(known).fact
    }

    /// What a call leaves: nothing in registers, nothing in the callee's area, no checked slots.
    pub fn after_call(&mut self, callee: &Signature) {
        self.forget_registers();
        for location in core::mem::take(&mut self.callable) {
            let Known { value, fact } = self.get(location);
            if let Some((table, _)) = fact.as_callable() {
                self.put(location, Fact::slot(table), value);
            }
        }
        self.forget_words(self.depth - 8 * callee.words(), self.depth);
        self.depth -= callee.pop();
        self.given(&callee.results, -i64::from(self.depth));
    }
}
