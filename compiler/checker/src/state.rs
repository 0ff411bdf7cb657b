//! What is known at one point of a function: a fact for each general register, for the flags and for each word of the frame.

use crate::fact::{Fact, Flags};
use crate::module::Signature;
use alloc::vec::Vec;

pub const RAX: usize = 0;
pub const RSP: usize = 4;
pub const R15: usize = 15;

/// A register's or word's place, as claims name it: registers first.
pub type Location = u32;

/// The first word's location.
pub const WORDS: Location = 16;

/// The words that code may address with rsp: those the caller owns, above the return address, then the frame's, downwards.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// Facts, each with the age of the state it belongs to.
    facts: Vec<(u32, Fact)>,
    age: u32,
    /// Words of the caller's area.
    incoming: u32,
    /// Words that hold a checked slot: such a fact dies at the next call.
    callable: Vec<u32>,
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

    pub fn get(&self, number: u32) -> Fact {
        match self.facts.get(number as usize) {
            Some((age, fact)) if *age == self.age => *fact,
            _ => Fact::Unknown,
        }
    }

    pub fn set(&mut self, number: u32, fact: Fact) {
        let n = number as usize;
        if n >= self.facts.len() {
            if fact == Fact::Unknown {
                return;
            }
            self.facts.resize(n + 1, (0, Fact::Unknown));
        }
        self.facts[n] = (self.age, fact);
        if matches!(fact, Fact::Callable { .. }) {
            self.callable.push(number);
        }
    }

    /// Forgets the words of the frame between two depths.
    pub fn forget(&mut self, from: u32, to: u32) {
        let end = ((self.incoming + to / 8) as usize).min(self.facts.len());
        for n in (self.incoming + from / 8) as usize..end {
            self.facts[n].1 = Fact::Unknown;
        }
    }

    fn forget_all(&mut self) {
        self.callable.clear();
        self.age = self.age.wrapping_add(1);
        if self.age == 0 {
            self.facts.clear();
            self.age = 1;
        }
    }

    /// Every word of which something is known.
    pub fn known(&self) -> impl Iterator<Item = (u32, Fact)> {
        let age = self.age;
        let known = move |(_, (of, fact)): &(u32, &(u32, Fact))| *of == age && *fact != Fact::Unknown;
        (0..).zip(&self.facts).filter(known).map(|(n, (_, fact))| (n, *fact))
    }
}

#[derive(Clone, Debug)]
pub struct State {
    pub registers: [Fact; 16],
    pub flags: Flags,
    /// Bytes between rsp and where it was at entry.
    pub depth: u32,
    pub words: Words,
}

impl Default for State {
    fn default() -> State {
        State { registers: [Fact::Unknown; 16], flags: Flags::Unknown, depth: 0, words: Words::default() }
    }
}

impl State {
    /// At a function's first instruction: i32 parameters are zero-extended.
    pub fn enter(&mut self, signature: &Signature) {
        self.forget();
        self.depth = 0;
        self.words.incoming = signature.words();
        self.zero_extended(signature.parameters.narrow);
        for (n, &narrow) in (0..).zip(&signature.parameters.words) {
            if narrow {
                self.words.set(n, Fact::ZERO_EXTENDED);
            }
        }
    }

    /// Nothing is known but the depth.
    pub fn forget(&mut self) {
        self.registers = [Fact::Unknown; 16];
        self.flags = Flags::Unknown;
        self.words.forget_all();
    }

    pub fn zero_extended(&mut self, registers: u16) {
        for (n, fact) in self.registers.iter_mut().enumerate() {
            if registers & 1 << n != 0 {
                *fact = Fact::ZERO_EXTENDED;
            }
        }
    }

    /// A register is written.
    pub fn set(&mut self, register: usize, fact: Fact) {
        self.registers[register] = fact;
        if usize::from(self.flags.subject()) == register {
            self.flags = Flags::Unknown;
        }
    }

    pub fn get(&self, location: Location) -> Fact {
        match self.registers.get(location as usize) {
            Some(fact) => *fact,
            None => self.words.get(location - WORDS),
        }
    }

    /// What a call leaves: nothing in registers, nothing in the callee's area, no checked slots.
    pub fn after_call(&mut self, callee: &Signature) {
        self.registers = [Fact::Unknown; 16];
        self.flags = Flags::Unknown;
        for number in core::mem::take(&mut self.words.callable) {
            if let Fact::Callable { table, .. } = self.words.get(number) {
                self.words.set(number, Fact::Slot(table));
            }
        }
        self.words.forget(self.depth - 8 * callee.words(), self.depth);
        self.depth -= callee.pop();
        self.zero_extended(callee.results.narrow);
        for (n, &narrow) in (0..).zip(&callee.results.words) {
            if narrow && let Some(number) = self.words.number(8 * n - i64::from(self.depth)) {
                self.words.set(number, Fact::ZERO_EXTENDED);
            }
        }
    }
}
