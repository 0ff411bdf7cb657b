//! What is known at one point of a function: a fact for each general register, for the flags and for each word of the frame.

use crate::fact::{Fact, Flags, Value};
use crate::module::Signature;
use alloc::vec::Vec;

pub const RAX: usize = 0;
pub const RSP: usize = 4;
pub const R15: usize = 15;

/// A register's or word's place, as claims name it: registers first.
pub type Location = u32;

/// The first word's location.
pub const WORDS: Location = 16;

/// What is known of a word, and the age of the state that it belongs to.
#[derive(Clone, Copy, Debug)]
struct Word {
    age: u32,
    value: Value,
    fact: Fact,
}

const NO_WORD: Word = Word { age: 0, value: 0, fact: Fact::Unknown };

/// The words that code may address with rsp: those the caller owns, above the return address, then the frame's, downwards.
#[derive(Clone, Debug, Default)]
pub struct Words {
    words: Vec<Word>,
    age: u32,
    /// Words of the caller's area.
    incoming: u32,
    /// Words that hold a checked slot: such a fact dies at the next call.
    callable: Vec<u32>,
    /// How many words were gone through to forget them, or to have room for others.
    pub cleared: u64,
}

impl Words {
    /// Number of the word at `at` bytes from where rsp was at entry; the return address is none.
    pub fn number(&self, at: i64) -> Option<u32> {
        if at >= 8 {
            let number = u32::try_from((at - 8) / 8).ok()?;
            (number < self.incoming).then_some(number)
        } else if at < 0 {
            u32::try_from((-at - 1) / 8).ok()?.checked_add(self.incoming)
        } else {
            None
        }
    }

    /// Whether there is such a word in the caller's area or in a frame of this depth.
    pub fn exists(&self, number: u32, depth: u32) -> bool {
        number < self.incoming.saturating_add(depth / 8)
    }

    /// A word's distance from where rsp was at entry.
    pub fn place(&self, number: u32) -> i64 {
        match number.checked_sub(self.incoming) {
            None => 8 + 8 * i64::from(number),
            Some(n) => -8 * (i64::from(n) + 1),
        }
    }

    fn word(&self, number: u32) -> Word {
        match self.words.get(number as usize) {
            Some(word) if word.age == self.age => *word,
            _ => NO_WORD,
        }
    }

    pub fn set(&mut self, number: u32, fact: Fact, value: Value) {
        let n = number as usize;
        if n >= self.words.len() {
            if fact == Fact::Unknown {
                return;
            }
            self.cleared += (n + 1 - self.words.len()) as u64;
            self.words.resize(n + 1, NO_WORD);
        }
        self.words[n] = Word { age: self.age, value, fact };
        if matches!(fact, Fact::Callable { .. }) {
            self.callable.push(number);
        }
    }

    /// Forgets the words of the frame between two depths.
    pub fn forget(&mut self, from: u32, to: u32) {
        let end = ((self.incoming + to / 8) as usize).min(self.words.len());
        for n in (self.incoming + from / 8) as usize..end {
            self.words[n] = NO_WORD;
            self.cleared += 1;
        }
    }

    fn forget_all(&mut self) {
        self.callable.clear();
        self.age = self.age.wrapping_add(1);
        if self.age == 0 {
            self.words.clear();
            self.age = 1;
        }
    }

    /// Numbers of the words of which something is known.
    pub fn known(&self) -> impl Iterator<Item = u32> {
        let age = self.age;
        let known = move |(_, word): &(u32, &Word)| word.age == age && word.fact != Fact::Unknown;
        (0..).zip(&self.words).filter(known).map(|(n, _)| n)
    }
}

#[derive(Clone, Debug)]
pub struct State {
    pub registers: [Fact; 16],
    /// The value in each register, if it has a number.
    values: [Value; 16],
    last_value: Value,
    /// What was last found out about values, for the copies of them in words.
    refined: [(Value, Fact); 2],
    pub flags: Flags,
    /// Bytes between rsp and where it was at entry.
    pub depth: u32,
    pub words: Words,
}

impl Default for State {
    fn default() -> State {
        State {
            registers: [Fact::Unknown; 16],
            values: [0; 16],
            last_value: 0,
            refined: [(0, Fact::Unknown); 2],
            flags: Flags::Unknown,
            depth: 0,
            words: Words::default(),
        }
    }
}

impl State {
    /// At a function's first instruction: i32 parameters are zero-extended.
    pub fn enter(&mut self, signature: &Signature) {
        self.forget();
        self.last_value = 0;
        self.depth = 0;
        self.words.incoming = signature.words();
        self.words.cleared = 0;
        self.zero_extended(signature.parameters.narrow);
        for (n, &narrow) in (0..).zip(&signature.parameters.words) {
            if narrow {
                self.words.set(n, Fact::ZERO_EXTENDED, 0);
            }
        }
    }

    /// Nothing is known but the depth.
    pub fn forget(&mut self) {
        self.forget_registers();
        self.words.forget_all();
    }

    fn forget_registers(&mut self) {
        self.registers = [Fact::Unknown; 16];
        self.values = [0; 16];
        self.refined = [(0, Fact::Unknown); 2];
        self.flags = Flags::Unknown;
    }

    pub fn zero_extended(&mut self, registers: u16) {
        for (n, fact) in self.registers.iter_mut().enumerate() {
            if registers & 1 << n != 0 {
                *fact = Fact::ZERO_EXTENDED;
            }
        }
    }

    /// A register gets a new value.
    pub fn set(&mut self, register: usize, fact: Fact) {
        self.registers[register] = fact;
        self.values[register] = 0;
    }

    fn new_value(&mut self) -> Value {
        self.last_value += 1;
        self.last_value
    }

    /// The number of the value in a register.
    pub fn value(&mut self, register: usize) -> Value {
        if self.values[register] == 0 {
            self.values[register] = self.new_value();
        }
        self.values[register]
    }

    /// The number of the value in a place; 0 if it has none.
    pub fn value_at(&self, location: Location) -> Value {
        match self.values.get(location as usize) {
            Some(value) => *value,
            None => self.words.word(location - WORDS).value,
        }
    }

    /// Two places hold the same value.
    pub fn same(&mut self, place: Location, other: Location) {
        let mut value = self.value_at(other);
        if value == 0 {
            value = self.new_value();
            self.number(other, value);
        }
        self.number(place, value);
    }

    fn number(&mut self, location: Location, value: Value) {
        match self.values.get_mut(location as usize) {
            Some(number) => *number = value,
            None => {
                let word = self.words.word(location - WORDS);
                self.words.set(location - WORDS, word.fact, value);
            }
        }
    }

    /// What is known of a word.
    pub fn word(&self, number: u32) -> Fact {
        let word = self.words.word(number);
        if word.value != 0 {
            for (value, fact) in self.refined {
                if value == word.value {
                    return fact;
                }
            }
        }
        word.fact
    }

    pub fn copy_register(&mut self, from: usize, to: usize) {
        let (value, fact) = (self.value(from), self.registers[from]);
        self.registers[to] = fact;
        self.values[to] = value;
    }

    pub fn store(&mut self, from: usize, to: u32) {
        let (value, fact) = (self.value(from), self.registers[from]);
        self.words.set(to, fact, value);
    }

    pub fn load(&mut self, from: u32, to: usize) {
        let fact = self.word(from);
        let mut value = self.words.word(from).value;
        if value == 0 && fact != Fact::Unknown {
            value = self.new_value();
            self.words.set(from, fact, value);
        }
        self.registers[to] = fact;
        self.values[to] = value;
    }

    /// The value of which more is known when a condition holds (or does not), and the fact.
    pub fn refined(&self, condition: u8, holds: bool) -> Option<(Value, Fact)> {
        self.flags.refine(condition, holds)
    }

    /// More is known of a value, wherever it stands.
    pub fn learn(&mut self, refined: Option<(Value, Fact)>) {
        let Some((value, fact)) = refined else { return };
        for (known, of) in self.registers.iter_mut().zip(self.values) {
            if of == value {
                *known = fact;
            }
        }
        self.refined = [(value, fact), self.refined[0]];
    }

    /// What is known of a place, if `refined` is known in addition.
    pub fn known(&self, location: Location, refined: Option<(Value, Fact)>) -> Fact {
        let (value, fact) = match self.registers.get(location as usize) {
            Some(fact) => (self.values[location as usize], *fact),
            None => (self.words.word(location - WORDS).value, self.word(location - WORDS)),
        };
        match refined {
            Some((of, more)) if value == of && value != 0 => more,
            _ => fact,
        }
    }

    /// What a call leaves: nothing in registers, nothing in the callee's area, no checked slots.
    pub fn after_call(&mut self, callee: &Signature) {
        self.forget_registers();
        for number in core::mem::take(&mut self.words.callable) {
            let word = self.words.word(number);
            if let Fact::Callable { table, .. } = word.fact {
                self.words.set(number, Fact::Slot(table), word.value);
            }
        }
        self.words.forget(self.depth - 8 * callee.words(), self.depth);
        self.depth -= callee.pop();
        self.zero_extended(callee.results.narrow);
        for (n, &narrow) in (0..).zip(&callee.results.words) {
            if narrow && let Some(number) = self.words.number(8 * n - i64::from(self.depth)) {
                self.words.set(number, Fact::ZERO_EXTENDED, 0);
            }
        }
    }
}
