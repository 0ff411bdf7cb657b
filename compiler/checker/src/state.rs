//! What is known at one point of a function: a fact for each general register, for the flags and for each word of the frame.

use crate::fact::{Fact, Flags, Value};
use crate::module::{Places, Signature};
use alloc::vec::Vec;

pub const RAX: u8 = 0;
pub const RSP: u8 = 4;
pub const R15: u8 = 15;

/// A register's or word's place, as claims name it: registers first.
pub type Location = u32;

/// The first word's location.
pub const WORDS: Location = 16;

/// What is known of a word.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    value: Value,
    fact: Fact,
}

/// 64 words, as bits: of which something is in the list, and which are zero-extended, if the state is that of this age.
#[derive(Clone, Copy, Debug, Default)]
struct Chunk {
    age: u32,
    listed: u64,
    narrow: u64,
}

/// The words that code may address with rsp: those the caller owns, above the return address, then the frame's, downwards.
#[derive(Clone, Debug, Default)]
pub struct Words {
    words: Vec<Word>,
    chunks: Vec<Chunk>,
    age: u32,
    /// Words of the caller's area.
    incoming: u32,
    /// Words that hold a checked slot: such a fact dies at the next call.
    callable: Vec<u32>,
    /// How many chunks were gone through to forget words, or to have room for others, in this function; and how many may be.
    pub cleared: u64,
    pub most_cleared: u64,
}

impl Words {
    /// Number of the word at `at` bytes from where rsp was at entry; the return address has one too, but nothing accesses it.
    #[inline]
    pub fn number(&self, at: i64) -> Option<u32> {
        u32::try_from(i64::from(self.incoming) - (at >> 3)).ok()
    }

    /// A word's distance from where rsp was at entry.
    pub fn place(&self, number: u32) -> i64 {
        8 * (i64::from(self.incoming) - i64::from(number))
    }

    #[inline]
    fn chunk(&self, n: u32) -> Chunk {
        self.chunks.get(n as usize).copied().filter(|chunk| chunk.age == self.age).unwrap_or_default()
    }

    /// Which words of a chunk are known to be zero-extended without what is known of their values elsewhere.
    #[inline]
    pub fn narrow(&self, chunk: u32) -> u64 {
        self.chunk(chunk).narrow
    }

    #[inline]
    fn word(&self, number: u32) -> Word {
        let (chunk, bit) = (self.chunk(number / 64), 1 << (number % 64));
        if chunk.listed & bit != 0 {
            self.words.get(number as usize).copied().unwrap_or_default()
        } else {
            let fact = if chunk.narrow & bit != 0 { Fact::ZERO_EXTENDED } else { Fact::UNKNOWN };
            Word { value: 0, fact }
        }
    }

    /// After all is forgotten: these words are zero-extended, chunk by chunk.
    pub fn zero_extended(&mut self, chunks: &[(u32, u64)]) {
        for &(n, narrow) in chunks {
            let age = self.age;
            if let Some(chunk) = self.room(n) {
                *chunk = Chunk { age, listed: 0, narrow };
            }
        }
    }

    #[inline(always)]
    pub fn set(&mut self, number: u32, fact: Fact, value: Value) {
        // There may be many words that nobody knows anything of.
        if fact == Fact::UNKNOWN && number as usize / 64 >= self.chunks.len() {
            return;
        }
        let (age, bit) = (self.age, 1 << (number % 64));
        let Some(chunk) = self.room(number / 64) else { return };
        if chunk.age != age {
            *chunk = Chunk { age, listed: 0, narrow: 0 };
        }
        chunk.listed |= bit;
        chunk.narrow = chunk.narrow & !bit | if fact.is_narrow() { bit } else { 0 };
        self.words[number as usize] = Word { value, fact };
        if fact.is_callable() {
            self.callable.push(number);
        }
    }

    #[inline(always)]
    fn room(&mut self, chunk: u32) -> Option<&mut Chunk> {
        if self.chunks.len() <= chunk as usize {
            self.grow(chunk as usize + 1);
        }
        self.chunks.get_mut(chunk as usize)
    }

    /// Makes room, but not for more than may be: then the function is rejected.
    #[cold]
    fn grow(&mut self, chunks: usize) {
        self.cleared += (chunks - self.chunks.len()) as u64;
        if self.cleared <= self.most_cleared {
            self.chunks.resize(chunks, Chunk::default());
            self.words.resize(self.words.len().max(64 * chunks), Word::default());
        }
    }

    /// Forgets the words of the frame between two depths.
    pub fn forget(&mut self, from: u32, to: u32) {
        let (from, to) = (self.incoming + from / 8 + 1, (self.incoming + to / 8 + 1).min(64 * self.chunks.len() as u32));
        for n in from / 64..to.div_ceil(64) {
            // Of the words before a number, those in this chunk.
            let before = |number: u32| 1u64.checked_shl(number.saturating_sub(64 * n)).unwrap_or(0).wrapping_sub(1);
            let kept = !(before(to) & !before(from));
            let chunk = &mut self.chunks[n as usize];
            (chunk.listed, chunk.narrow) = (chunk.listed & kept, chunk.narrow & kept);
            self.cleared += 1;
        }
    }

    fn forget_all(&mut self) {
        self.callable.clear();
        self.age = self.age.wrapping_add(1);
        if self.age == 0 {
            self.chunks.fill(Chunk::default());
            self.age = 1;
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct State {
    /// Nothing is known of rsp, and of r15 always `instance`.
    registers: [Fact; 16],
    /// Bits of the registers whose fact bounds them to 32 bits.
    narrow: u16,
    /// The value in each register, if it has a number.
    values: [Value; 16],
    last_value: Value,
    /// What was last found out about values, for the copies of them in words.
    refined: [(Value, Fact); 2],
    pub flags: Flags,
    /// Bytes between rsp and where it was at entry.
    pub depth: u32,
    pub words: Words,
    instance: Fact,
}

/// Numbers of the bits that are set.
pub fn bits(mut set: u16) -> impl Iterator<Item = u8> {
    core::iter::from_fn(move || {
        let bit = set.trailing_zeros() as u8;
        set &= set.wrapping_sub(1);
        (bit < 16).then_some(bit)
    })
}

impl State {
    /// At a function's first instruction: i32 parameters are zero-extended. `instance` is what is known of r15.
    pub fn enter(&mut self, signature: &Signature, instance: Fact, most_cleared: u64) {
        self.instance = instance;
        self.forget();
        self.last_value = 0;
        self.depth = 0;
        self.words.incoming = signature.words();
        self.words.chunks.clear();
        (self.words.cleared, self.words.most_cleared) = (0, most_cleared);
        self.given(&signature.parameters, 8);
    }

    /// Parameters or results are in their places, the words from a distance of where rsp was at entry.
    fn given(&mut self, places: &Places, from: i64) {
        self.zero_extended(places.narrow);
        for (at, _) in (0..).zip(&places.words).filter(|(_, narrow)| **narrow) {
            if let Some(number) = self.words.number(from + 8 * at) {
                self.words.set(number, Fact::ZERO_EXTENDED, 0);
            }
        }
    }

    /// Nothing is known but the depth.
    pub fn forget(&mut self) {
        self.forget_registers();
        self.words.forget_all();
    }

    fn forget_registers(&mut self) {
        self.registers = [Fact::UNKNOWN; 16];
        self.registers[usize::from(R15)] = self.instance;
        self.narrow = 0;
        self.values = [0; 16];
        self.refined = [(0, Fact::UNKNOWN); 2];
        self.flags.value = 0;
    }

    pub fn zero_extended(&mut self, registers: u16) {
        bits(registers).for_each(|register| self.registers[usize::from(register)] = Fact::ZERO_EXTENDED);
        self.narrow |= registers;
    }

    /// Those of `registers` that are not known to be zero-extended.
    #[inline]
    pub fn not_zero_extended(&self, registers: u16) -> u16 {
        registers & !self.narrow
    }

    #[inline]
    pub fn register(&self, register: u8) -> Fact {
        self.registers[usize::from(register & 15)]
    }

    #[inline]
    fn put(&mut self, register: u8, fact: Fact, value: Value) {
        let (n, bit) = (usize::from(register & 15), 1 << (register & 15));
        self.registers[n] = fact;
        self.values[n] = value;
        self.narrow = self.narrow & !bit | if fact.is_narrow() { bit } else { 0 };
    }

    /// A register gets a new value.
    #[inline]
    pub fn set(&mut self, register: u8, fact: Fact) {
        self.put(register, fact, 0);
    }

    /// Whether there is such a register, or a word in the caller's area or the frame.
    pub fn exists(&self, location: Location) -> bool {
        location.checked_sub(WORDS).is_none_or(|number| number <= self.words.incoming.saturating_add(self.depth / 8))
    }

    /// More is claimed of what a place holds.
    pub fn claim(&mut self, location: Location, fact: Fact) {
        self.assign(location, fact, self.value_at(location));
    }

    fn assign(&mut self, location: Location, fact: Fact, value: Value) {
        match location.checked_sub(WORDS) {
            None => self.put(location as u8, fact, value),
            Some(number) => self.words.set(number, fact, value),
        }
    }

    /// The number of the value in a place, if it has one, and what is known of it.
    #[inline]
    fn get(&self, location: Location) -> (Value, Fact) {
        match location.checked_sub(WORDS) {
            None => (self.values[location as usize & 15], self.register(location as u8)),
            Some(number) => self.word_known(number),
        }
    }

    fn new_value(&mut self) -> Value {
        self.last_value += 1;
        self.last_value
    }

    /// The number of the value in a register.
    pub fn value(&mut self, register: u8) -> Value {
        let n = usize::from(register & 15);
        if self.values[n] == 0 {
            self.values[n] = self.new_value();
        }
        self.values[n]
    }

    /// The number of the value in a place; 0 if it has none.
    pub fn value_at(&self, location: Location) -> Value {
        self.get(location).0
    }

    /// Two places hold the same value.
    pub fn same(&mut self, place: Location, other: Location) {
        let (mut value, fact) = self.get(other);
        if value == 0 {
            value = self.new_value();
            self.assign(other, fact, value);
        }
        self.assign(place, self.get(place).1, value);
    }

    /// What is known of a word.
    #[inline]
    pub fn word(&self, number: u32) -> Fact {
        self.word_known(number).1
    }

    #[inline]
    pub fn copy_register(&mut self, from: u8, to: u8) {
        let value = self.value(from);
        self.put(to, self.register(from), value);
    }

    #[inline]
    pub fn store(&mut self, from: u8, to: u32) {
        let value = self.value(from);
        self.words.set(to, self.register(from), value);
    }

    #[inline]
    pub fn load(&mut self, from: u32, to: u8) {
        let (mut value, fact) = self.word_known(from);
        if value == 0 && fact != Fact::UNKNOWN {
            value = self.new_value();
            self.words.set(from, fact, value);
        }
        self.put(to, fact, value);
    }

    /// A word's value and what is known of it, as found out last.
    #[inline]
    fn word_known(&self, number: u32) -> (Value, Fact) {
        let Word { value, fact } = self.words.word(number);
        let more = self.refined.iter().find(|(refined, _)| value != 0 && *refined == value);
        (value, more.map_or(fact, |(_, fact)| *fact))
    }

    /// The value of which more is known when a condition holds (or does not), and the fact.
    #[inline]
    pub fn refined(&self, condition: u8, holds: bool) -> Option<(Value, Fact)> {
        self.flags.refine(condition, holds)
    }

    /// More is known of a value, wherever it stands.
    pub fn learn(&mut self, refined: Option<(Value, Fact)>) {
        let Some((value, fact)) = refined else { return };
        for register in 0..16 {
            if self.values[usize::from(register)] == value {
                self.put(register, fact, value);
            }
        }
        self.refined = [(value, fact), self.refined[0]];
    }

    /// What is known of a place, if `refined` is known in addition.
    pub fn known(&self, location: Location, refined: Option<(Value, Fact)>) -> Fact {
        let (value, fact) = self.get(location);
        match refined {
            Some((of, more)) if of == value && value != 0 => more,
            _ => fact,
        }
    }

    /// What a call leaves: nothing in registers, nothing in the callee's area, no checked slots.
    pub fn after_call(&mut self, callee: &Signature) {
        self.forget_registers();
        for number in core::mem::take(&mut self.words.callable) {
            let word = self.words.word(number);
            if let Some((table, _)) = word.fact.as_callable() {
                self.words.set(number, Fact::slot(table), word.value);
            }
        }
        self.words.forget(self.depth - 8 * callee.words(), self.depth);
        self.depth -= callee.pop();
        self.given(&callee.results, -i64::from(self.depth));
    }
}
