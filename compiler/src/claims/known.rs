//! What is known at a label, joined over the ways there.

use rustc_hash::{FxHashMap, FxHashSet};
use vwasm_checker::fact::{Fact, Value, View, either, implies};
use vwasm_checker::state::{Known as More, R15, State, WORDS};

/// What is known at a label.
pub struct Known {
    pub registers: [Fact; 16],
    /// Words that are live there, sorted.
    pub words: Vec<(u32, Fact)>,
    pub depth: u32,
    /// Places of which something is known, with a number that those which hold the same value share.
    values: Vec<(u32, Value)>,
}

impl Known {
    /// What is known on the first way to a label; `words` are those that matter.
    pub fn new(state: &State, taken: Option<More>, words: impl Iterator<Item = u32>, copies: bool) -> Known {
        let of = |location: u32| state.known(location, taken);
        let words = words.map(|word| (word, of(WORDS + word))).filter(|(_, fact)| *fact != Fact::UNKNOWN).collect();
        // What r15 holds needs no claim.
        let registers = core::array::from_fn(|n| if n == usize::from(R15) { Fact::UNKNOWN } else { of(n as u32) });
        let mut known = Known { registers, words, depth: state.depth, values: Vec::new() };
        if copies {
            known.values = known.shared(state);
        }
        known
    }

    /// Joins another way; whether that changed anything.
    pub fn join(&mut self, state: &State, taken: Option<More>, back: bool) -> bool {
        let mut changed = false;
        let mut weaken = |fact: &mut Fact, other: Fact| {
            let mut joined = either(*fact, other).plain();
            // A bound that grows on the way back is given up, or the rounds would follow it.
            if back && joined != *fact && matches!(joined.view(), View::Max(_) | View::Memory { .. }) {
                joined = if implies(joined, Fact::ZERO_EXTENDED) { Fact::ZERO_EXTENDED } else { Fact::UNKNOWN };
            }
            changed |= joined != *fact;
            *fact = joined;
        };
        for (register, fact) in (0..).zip(&mut self.registers) {
            if *fact != Fact::UNKNOWN {
                weaken(fact, state.known(register, taken));
            }
        }
        for (word, fact) in &mut self.words {
            weaken(fact, state.known(WORDS + *word, taken));
        }
        self.words.retain(|(_, fact)| *fact != Fact::UNKNOWN);
        let values = !self.values.is_empty() && self.join_values(state);
        changed || values
    }

    /// Leaves in the state what is known here.
    pub fn enter(&self, state: &mut State) {
        state.forget();
        state.depth = self.depth;
        let known = (0..).zip(&self.registers).filter(|(_, fact)| **fact != Fact::UNKNOWN);
        known.for_each(|(register, fact)| state.put(register, *fact, 0));
        self.words.iter().for_each(|&(word, fact)| state.put(WORDS + word, fact, 0));
        self.copies().into_iter().for_each(|(place, other)| state.same(place, other));
    }

    /// The places that hold the same value as an earlier one, with that one.
    pub fn copies(&self) -> Vec<(u32, u32)> {
        let mut first: FxHashMap<Value, u32> = FxHashMap::default();
        let copy = |&(place, value): &(u32, Value)| {
            let first = *first.entry(value).or_insert(place);
            (first != place).then_some((place, first))
        };
        self.values.iter().filter_map(copy).collect()
    }

    /// The places of which something is known and which share their value with another.
    fn shared(&self, state: &State) -> Vec<(u32, Value)> {
        let places = (0..16).filter(|place| self.registers[*place as usize] != Fact::UNKNOWN);
        let places = places.chain(self.words.iter().map(|(word, _)| WORDS + word));
        let values: Vec<(u32, Value)> =
            places.map(|place| (place, state.get(place).value)).filter(|(_, value)| *value != 0).collect();
        let mut counts: FxHashMap<Value, u32> = FxHashMap::default();
        values.iter().for_each(|(_, value)| *counts.entry(*value).or_default() += 1);
        values.into_iter().filter(|(_, value)| counts[value] > 1).collect()
    }

    /// Keeps the places that hold the same value on this way too.
    fn join_values(&mut self, state: &State) -> bool {
        let classes = |values: &[(u32, Value)]| values.iter().map(|(_, value)| *value).collect::<FxHashSet<Value>>().len();
        let before = (self.values.len(), classes(&self.values));
        let mut joined: FxHashMap<(Value, Value), (Value, u32)> = FxHashMap::default();
        let mut next = 0;
        for &(place, value) in &self.values {
            let entry = joined.entry((value, state.get(place).value)).or_insert_with(|| {
                next += 1;
                (next, 0)
            });
            entry.1 += 1;
        }
        self.values = self
            .values
            .iter()
            .filter_map(|&(place, value)| {
                let other = state.get(place).value;
                let (number, count) = joined[&(value, other)];
                (other != 0 && count > 1).then_some((place, number))
            })
            .collect();
        before != (self.values.len(), classes(&self.values))
    }
}
