//! The claims that the checker is given with a function: what is known at each place that branches go to.
//!
//! Takes a linked function's bytes; runs the checker's own [`Step`] forward to a fixpoint, joining what is known at each
//! label (`known`), then backward to find which facts anything depends on (`need`), and writes those. Nothing here is trusted:
//! a wrong claim is a rejection. The usual attempt reduces claims to "zero-extended" where that may do; the thorough one
//! writes all that is known, and which places hold the same value.

mod known;
mod need;
mod read;
mod write;

use known::Known;
use need::{Row, Rows};
pub use read::{read, split};
use rustc_hash::FxHashMap;
use vwasm_checker::Checker;
use vwasm_checker::claims::{Claim, Claims, Label};
use vwasm_checker::fact::{Fact, View, implies};
use vwasm_checker::form::{FlagsEffect, IMMEDIATE, Instruction, MEMORY, NONE, Operand, Transfer};
use vwasm_checker::state::{Known as More, RAX, RSP, State, WORDS};
use vwasm_checker::step::{Next, Step};
pub use write::{write, write_number};

/// The instruction at an offset of the code, as the checker reads it.
pub fn decode(code: &[u8], at: u32) -> Option<Instruction> {
    let mut instruction = Instruction::default();
    vwasm_checker::form::decode(&mut instruction, code, at).ok().map(|()| instruction)
}

/// What stands at an operand of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A general register.
    Register(u8),
    Vector,
    Memory,
    Immediate,
}

pub fn found(instruction: &Instruction, operand: u8) -> Found {
    match instruction.place(operand) {
        register @ ..16 => Found::Register(register),
        IMMEDIATE.. => Found::Immediate,
        MEMORY.. => Found::Memory,
        _ => Found::Vector,
    }
}

/// An instruction as the analyses see it.
struct Item {
    instruction: Instruction,
    /// Number among `Function::words` of the word of the frame that it loads or stores whole.
    word: Option<u32>,
    /// Label that it jumps to.
    label: Option<u32>,
    /// More is known of its result than its width.
    exact: bool,
    /// The compared register holds a signature, or is compared with something of which a bound is known.
    depends: bool,
    /// Type of the callee.
    callee: Option<u32>,
}

impl Item {
    /// Whether operand 0 is memory that is written without being read.
    fn stores(&self) -> bool {
        found(&self.instruction, 0) == Found::Memory && !self.instruction.operand(0).is(Operand::READ)
    }

    /// Registers that its address is made of.
    fn address(&self) -> impl Iterator<Item = u8> {
        [self.instruction.base, self.instruction.index].into_iter().filter(|register| *register < NONE)
    }
}

/// A decoded function with what is found out about it.
pub struct Analysis<'m> {
    step: Step<'m>,
    start: u32,
    frame: u32,
    items: Vec<Item>,
    /// Offsets of labels, sorted; their numbers; those that jump tables hold.
    labels: Vec<u32>,
    numbers: FxHashMap<u32, u32>,
    entries: Vec<u32>,
    /// Words that are loaded whole, pass parameters or results, sorted.
    words: Vec<u32>,
    known: Vec<Option<Known>>,
    thorough: bool,
}

/// The claims of unit `number`; `targets` are the code offsets that its jump tables hold, `frame` its frame's size.
pub fn claims(checker: &Checker<'_>, number: usize, targets: &[u32], frame: u32, thorough: bool) -> Option<Vec<u8>> {
    let mut analysis = Analysis::new(checker, number, targets, frame, thorough)?;
    let live = need::live(&analysis);
    analysis.forward(&live);
    let need = if thorough { live } else { need::needed(&analysis) };
    Some(analysis.write(&need))
}

impl<'m> Analysis<'m> {
    fn new(checker: &'m Checker<'m>, number: usize, targets: &[u32], frame: u32, thorough: bool) -> Option<Analysis<'m>> {
        let step = checker.step(number)?;
        let unit = step.module.units.get(number)?;
        let code = step.module.code.get(..unit.end as usize)?;
        let mut items = Vec::with_capacity((unit.end - unit.start) as usize / 4);
        let mut labels = targets.to_vec();
        let mut at = unit.start;
        while at < unit.end {
            let instruction = decode(code, at)?;
            if matches!(instruction.form.transfer, Transfer::Jump | Transfer::JumpIf) {
                labels.push(u32::try_from(instruction.target()).ok()?);
            }
            at += u32::from(instruction.length);
            items.push(Item { instruction, word: None, label: None, exact: false, depends: false, callee: None });
        }
        labels.sort_unstable();
        labels.dedup();
        let numbers: FxHashMap<u32, u32> = labels.iter().zip(0..).map(|(&offset, n)| (offset, n)).collect();
        let mut analysis = Analysis {
            step,
            start: unit.start,
            frame,
            items,
            entries: targets.iter().filter_map(|target| numbers.get(target).copied()).collect(),
            known: labels.iter().map(|_| None).collect(),
            labels,
            numbers,
            words: Vec::new(),
            thorough,
        };
        analysis.entries.sort_unstable();
        analysis.entries.dedup();
        analysis.find_words();
        Some(analysis)
    }

    /// Number of the word at a distance from where rsp was at entry.
    fn word_at(&self, at: i64) -> Option<u32> {
        // The return address is none of them.
        let number = u32::try_from(i64::from(self.step.signature.words()) - at.div_euclid(8)).ok();
        number.filter(|_| !(0..8).contains(&at))
    }

    /// The word that a memory operand is, if it is one whole.
    fn word_of(&self, item: &Item) -> Option<u32> {
        let instruction = &item.instruction;
        let operand = instruction.accessed()?;
        let at = instruction.displacement as i64 - i64::from(self.frame);
        if instruction.base != RSP || operand.width != 8 || at % 8 != 0 { None } else { self.word_at(at) }
    }

    /// Numbers the words that facts may travel through.
    fn find_words(&mut self) {
        let found: Vec<Option<u32>> = self.items.iter().map(|item| self.word_of(item)).collect();
        let loads = |(item, word): (&Item, &Option<u32>)| word.filter(|_| !item.stores());
        let mut words: Vec<u32> = self.items.iter().zip(&found).filter_map(loads).collect();
        let outgoing = self.step.module.types.iter().map(|ty| ty.parameters.words.len()).max().unwrap_or(0);
        words.extend((0..outgoing as i64).filter_map(|k| self.word_at(8 * k - i64::from(self.frame))));
        words.extend(0..self.step.signature.words());
        words.sort_unstable();
        words.dedup();
        // More than this is a function that nobody writes; its facts then stay in registers.
        if words.len() as u64 * self.labels.len() as u64 > 1 << 33 {
            words.clear();
        }
        for (item, word) in self.items.iter_mut().zip(found) {
            item.word = word.and_then(|word| words.binary_search(&word).ok()).map(|n| n as u32);
            if matches!(item.instruction.form.transfer, Transfer::Jump | Transfer::JumpIf) {
                item.label = self.numbers.get(&(item.instruction.target() as u32)).copied();
            }
        }
        self.words = words;
    }

    // -- forward --

    fn forward(&mut self, live: &Rows) {
        let mut state = State::default();
        // Facts only weaken, each a few times: few rounds are needed.
        for _ in 0..64 {
            if !self.round(&mut state, live) {
                break;
            }
        }
    }

    /// One way through the function; whether a label behind an instruction that goes back to it has changed.
    fn round(&mut self, state: &mut State, live: &Rows) -> bool {
        self.step.enter(state, u64::MAX);
        let (mut reachable, mut again, mut next_label) = (true, false, 0);
        for n in 0..self.items.len() {
            let instruction = self.items[n].instruction;
            let at = instruction.at;
            while self.labels.get(next_label).is_some_and(|&label| label < at) {
                next_label += 1;
            }
            if self.labels.get(next_label) == Some(&at) {
                if reachable {
                    self.join(next_label, state, None, live, false);
                }
                if let Some(known) = &self.known[next_label] {
                    known.enter(state);
                    reachable = true;
                }
            }
            if !reachable {
                continue;
            }
            self.note(n, state);
            let Ok(next) = self.step.run(state, &instruction) else { return false };
            if let Found::Register(number) = found(&instruction, 0) {
                let fact = state.register(number);
                self.items[n].exact = fact != Fact::ZERO_EXTENDED && fact != Fact::UNKNOWN;
            }
            match next {
                Next::Fall => {}
                Next::Stop => reachable = false,
                Next::Jump(target) => {
                    reachable = false;
                    again |= self.go(state, None, target, live, at);
                }
                Next::Branch(target) => {
                    let condition = instruction.form.condition;
                    again |= self.go(state, state.flags.refine(condition, true), target, live, at);
                    state.learn(state.flags.refine(condition, false));
                }
                Next::Table(data, last) => {
                    reachable = false;
                    for entry in self.table(data, last) {
                        again |= self.go(state, None, entry, live, at);
                    }
                }
            }
        }
        again
    }

    fn table(&self, data: u32, last: u32) -> Vec<u64> {
        let module = self.step.module;
        let from = module.data_start + u64::from(data);
        let bytes = module.data.get(data as usize..data as usize + 4 * (last as usize + 1)).unwrap_or(&[]);
        let entry = |bytes: &[u8]| i64::from(i32::from_le_bytes(bytes.try_into().unwrap_or_default()));
        let mut targets: Vec<u64> = bytes.chunks_exact(4).map(|bytes| from.wrapping_add_signed(entry(bytes))).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    fn go(&mut self, state: &State, taken: Option<More>, target: u64, live: &Rows, from: u32) -> bool {
        let number = u32::try_from(target).ok().and_then(|target| self.numbers.get(&target).copied());
        let Some(number) = number else { return false };
        let back = target <= u64::from(from);
        self.join(number as usize, state, taken, live, back) && back
    }

    /// Joins what is known on one way to a label; whether that changed it.
    fn join(&mut self, number: usize, state: &State, taken: Option<More>, live: &Rows, back: bool) -> bool {
        match &mut self.known[number] {
            Some(known) => known.join(state, taken, back),
            None => {
                let words = live.words(number).map(|word| self.words[word as usize]);
                self.known[number] = Some(Known::new(state, taken, words, self.thorough));
                true
            }
        }
    }

    /// Notes of an instruction what the way back needs.
    fn note(&mut self, n: usize, state: &State) {
        let instruction = &self.items[n].instruction;
        let of = |operand: u8| match found(instruction, operand) {
            Found::Register(number) => state.register(number),
            _ => Fact::UNKNOWN,
        };
        let depends = match instruction.form.flags {
            FlagsEffect::Compare(a, b) => {
                let told = |fact: Fact| fact != Fact::UNKNOWN && fact != Fact::ZERO_EXTENDED;
                matches!(of(a).view(), View::Signature(_)) || told(of(b))
            }
            _ => false,
        };
        let module = self.step.module;
        let callee = match instruction.form.transfer {
            Transfer::Call => self.step.function_at(instruction.target()),
            Transfer::CallMemory => match state.register(RAX).view() {
                View::Callable { ty, .. } => Some(ty),
                View::Import(import) => module.import_types.get(import as usize).copied(),
                _ => None,
            },
            _ => None,
        };
        (self.items[n].depends, self.items[n].callee) = (depends, callee);
    }

    // -- writing --

    fn write(&self, need: &Rows) -> Vec<u8> {
        let mut claims = Claims::default();
        for (n, &offset) in self.labels.iter().enumerate() {
            let (facts, narrow) = (claims.facts.len(), claims.narrow.len());
            let mut depth = self.frame;
            if let Some(known) = &self.known[n] {
                depth = known.depth;
                self.label(&mut claims, known, need.row(n));
            }
            let (narrow, facts) = (narrow..claims.narrow.len(), facts..claims.facts.len());
            claims.labels.push(Label { offset, depth, narrow, facts });
        }
        write(&claims, self.start, self.frame)
    }

    fn label(&self, claims: &mut Claims, known: &Known, need: Row<'_>) {
        // Whether "zero-extended" is all that is said.
        let plain = |fact: Fact| {
            fact == Fact::ZERO_EXTENDED
                || !self.thorough && matches!(fact.view(), View::Max(_)) && implies(fact, Fact::ZERO_EXTENDED)
        };
        let registers = (0..).zip(&known.registers).filter(|(register, _)| self.thorough || need.has(*register));
        let words = known.words.iter().filter(|(word, _)| need.has(16 + self.words.binary_search(word).unwrap_or(0) as u32));
        let words = words.map(|(word, fact)| (WORDS + word, fact));
        let first = claims.narrow.len();
        for (location, &fact) in registers.chain(words).filter(|(_, fact)| **fact != Fact::UNKNOWN) {
            if !plain(fact) {
                claims.facts.push((location, Claim::Fact(fact)));
                continue;
            }
            let (chunk, bit) = (location / 64, 1 << (location % 64));
            match claims.narrow.get_mut(first..).and_then(<[_]>::last_mut) {
                Some((last, bits)) if *last == chunk => *bits |= bit,
                _ => claims.narrow.push((chunk, bit)),
            }
        }
        for (place, other) in known.copies() {
            claims.facts.push((place, Claim::Same(other)));
        }
    }
}
