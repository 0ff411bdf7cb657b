//! The claims that the checker is given with a function: what is known at each place that branches go to.
//!
//! Takes a linked function's bytes; runs the checker's own [`Step`] forward to a fixpoint, joining what is known at each
//! label, then backward to find which facts anything depends on, and writes those. Nothing here is trusted: a wrong claim is
//! a rejection. Two attempts are made: claims reduced to "zero-extended" where that may do, then all that is known.

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind, Register};
use rustc_hash::{FxHashMap, FxHashSet};
use vwasm_checker::claims::{self, Claim, Claims, Label};
use vwasm_checker::fact::{Fact, Value};
use vwasm_checker::form::{Effect, FlagsEffect, Form, Operand, Transfer, form, general};
use vwasm_checker::module::{Fields, Module, Signature};
use vwasm_checker::state::{RAX, State, WORDS};
use vwasm_checker::step::{Next, Step};

/// What is known at a label.
struct Known {
    registers: [Fact; 16],
    words: Vec<(u32, Fact)>,
    depth: u32,
    /// Places of which something is known, with a number that those which hold the same value share.
    values: Vec<(u32, u32)>,
}

impl Known {
    /// The places that hold the same value as an earlier one, with that one.
    fn copies(&self) -> Vec<(u32, u32)> {
        let mut first: FxHashMap<u32, u32> = FxHashMap::default();
        let copy = |&(place, value): &(u32, u32)| {
            let first = *first.entry(value).or_insert(place);
            (first != place).then_some((place, first))
        };
        self.values.iter().filter_map(copy).collect()
    }

    /// Keeps the places that hold the same value in both.
    fn join_values(&mut self, state: &State) -> bool {
        let before = self.values.len();
        let mut joined: FxHashMap<(u32, u32), (u32, u32)> = FxHashMap::default();
        let mut next = 0;
        for &(place, value) in &self.values {
            let other = state.value_at(place);
            let entry = joined.entry((value, other)).or_insert_with(|| {
                next += 1;
                (next, 0)
            });
            entry.1 += 1;
        }
        let kept = self.values.iter().filter_map(|&(place, value)| {
            let other = state.value_at(place);
            let (number, count) = joined[&(value, other)];
            (other != 0 && count > 1).then_some((place, number))
        });
        let kept: Vec<(u32, u32)> = kept.collect();
        let classes = |values: &[(u32, u32)]| values.iter().map(|(_, value)| *value).collect::<FxHashSet<u32>>().len();
        let changed = kept.len() != before || classes(&kept) != classes(&self.values);
        self.values = kept;
        changed
    }
}

/// The places of which something is known and which share their value with another.
fn shared_values(state: &State) -> Vec<(u32, u32)> {
    let places = (0..16).filter(|place| state.registers[*place as usize] != Fact::Unknown);
    let places = places.chain(state.words.known().map(|word| WORDS + word));
    let values: Vec<(u32, u32)> =
        places.map(|place| (place, state.value_at(place))).filter(|(_, value)| *value != 0).collect();
    let mut counts: FxHashMap<u32, u32> = FxHashMap::default();
    values.iter().for_each(|(_, value)| *counts.entry(*value).or_default() += 1);
    values.into_iter().filter(|(_, value)| counts[value] > 1).collect()
}

/// What is noted of each instruction on the last way forward.
#[derive(Clone, Copy)]
struct Note {
    /// Known of operand 0 afterwards, if it is a general register.
    result: Fact,
    /// The compared register holds a signature, or is compared with one of which a bound is known.
    depends: bool,
    depth: u32,
    /// Type of the callee.
    callee: Option<u32>,
}

const NOTHING: Note = Note { result: Fact::Unknown, depends: false, depth: 0, callee: None };

/// Which facts something depends on.
#[derive(Clone, Default, PartialEq, Eq)]
struct Need {
    registers: u16,
    words: FxHashSet<u32>,
}

impl Need {
    fn add(&mut self, other: &Need) -> bool {
        let before = (self.registers, self.words.len());
        self.registers |= other.registers;
        self.words.extend(&other.words);
        before != (self.registers, self.words.len())
    }

    fn register(&mut self, register: Register) {
        if let Some((number, _)) = general(register) {
            self.registers |= 1 << number;
        }
    }
}

/// The claims of one function.
pub struct Analysis<'m> {
    step: Step<'m>,
    start: u32,
    code: &'m [u8],
    instructions: Vec<Instruction>,
    notes: Vec<Note>,
    /// Offsets of labels, sorted, and their numbers.
    labels: Vec<u32>,
    numbers: FxHashMap<u32, usize>,
    known: Vec<Option<Known>>,
    need: Vec<Need>,
    frame: u32,
}

impl<'m> Analysis<'m> {
    /// Analyses unit `number`; `targets` are the code offsets that its jump tables hold.
    pub fn new(module: &'m Module<'m>, fields: &'m Fields, number: usize, targets: &[u32]) -> Option<Analysis<'m>> {
        let unit = module.units.get(number)?;
        let signature = module.types.get(unit.ty as usize)?;
        let code = module.code.get(..unit.end as usize)?;
        let mut instructions = Vec::with_capacity((unit.end - unit.start) as usize / 4);
        let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
        decoder.set_position(unit.start as usize).ok()?;
        decoder.set_ip(unit.start.into());
        let mut labels = targets.to_vec();
        while decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.op_count() > 0
                && instruction.op0_kind() == OpKind::NearBranch64
                && form(instruction.code()).is_some_and(|form| form.transfer != Transfer::Call)
            {
                labels.push(u32::try_from(instruction.near_branch_target()).ok()?);
            }
            instructions.push(instruction);
        }
        labels.sort_unstable();
        labels.dedup();
        let mut analysis = Analysis {
            step: Step { module, fields, signature },
            start: unit.start,
            code,
            notes: vec![NOTHING; instructions.len()],
            instructions,
            numbers: labels.iter().enumerate().map(|(n, &offset)| (offset, n)).collect(),
            known: labels.iter().map(|_| None).collect(),
            need: vec![Need::default(); labels.len()],
            labels,
            frame: 0,
        };
        analysis.forward();
        analysis.backward();
        Some(analysis)
    }

    /// The claims as the checker reads them: those that something depends on, or all.
    pub fn claims(&self, all: bool) -> Vec<u8> {
        let mut claims = Claims::default();
        for (n, &offset) in self.labels.iter().enumerate() {
            let first = claims.facts.len() as u32;
            let mut narrow = 0;
            let mut depth = self.frame;
            if let Some(known) = &self.known[n] {
                depth = known.depth;
                let need = &self.need[n];
                for (register, &fact) in known.registers.iter().enumerate() {
                    if fact == Fact::Unknown || !all && need.registers & 1 << register == 0 {
                        continue;
                    }
                    let plain = matches!(fact, Fact::Max(_)) && !all || fact == Fact::ZERO_EXTENDED;
                    if plain && fact.implies(Fact::ZERO_EXTENDED) {
                        narrow |= 1 << register;
                    } else {
                        claims.facts.push((register as u32, Claim::Fact(fact)));
                    }
                }
                for &(word, fact) in &known.words {
                    if all || need.words.contains(&word) {
                        let plain = matches!(fact, Fact::Max(_)) && !all && fact.implies(Fact::ZERO_EXTENDED);
                        let fact = if plain { Fact::ZERO_EXTENDED } else { fact };
                        claims.facts.push((WORDS + word, Claim::Fact(fact)));
                    }
                }
            }
            if all && let Some(known) = &self.known[n] {
                for (place, first) in known.copies() {
                    claims.facts.push((place, Claim::Same(first)));
                }
            }
            let count = claims.facts.len() as u32 - first;
            claims.labels.push(Label { offset, depth, narrow, first, count });
        }
        claims::write(&claims, self.start, self.frame)
    }

    pub fn dump(&self) -> String {
        let mut s = String::new();
        for (n, &offset) in self.labels.iter().enumerate() {
            s += &format!("{offset:#x} need {:x} {:?}\n", self.need[n].registers, self.need[n].words);
            if let Some(k) = &self.known[n] {
                for (r, f) in k.registers.iter().enumerate() { if *f != Fact::Unknown { s += &format!("   r{r} {f:?}\n"); } }
                for (w, f) in &k.words { s += &format!("   w{w} {f:?}\n"); }
            }
        }
        s
    }

    // -- forward --

    fn forward(&mut self) {
        let mut state = State::default();
        // Facts only weaken, each a few times: few rounds are needed.
        for _ in 0..64 {
            if !self.round(&mut state) {
                break;
            }
        }
        self.frame = self.known.iter().flatten().map(|known| known.depth).max().unwrap_or(0);
    }

    /// One way through the function; whether a label behind an instruction that goes back to it has changed.
    fn round(&mut self, state: &mut State) -> bool {
        state.enter(self.step.signature);
        let (mut reachable, mut again, mut next_label) = (true, false, 0);
        for n in 0..self.instructions.len() {
            let instruction = self.instructions[n];
            let at = instruction.ip() as u32;
            while self.labels.get(next_label).is_some_and(|&label| label < at) {
                next_label += 1;
            }
            if self.labels.get(next_label) == Some(&at) {
                if reachable {
                    self.join(next_label, state, None, false);
                }
                if let Some(known) = &self.known[next_label] {
                    state.forget();
                    state.depth = known.depth;
                    state.registers = known.registers;
                    known.words.iter().for_each(|&(word, fact)| state.words.set(word, fact, 0));
                    known.copies().into_iter().for_each(|(place, first)| state.same(place, first));
                    reachable = true;
                }
            }
            if !reachable {
                continue;
            }
            let form = form(instruction.code());
            self.notes[n] = Note { depth: state.depth, ..NOTHING };
            if let Some(form) = form {
                self.note_before(n, form, state);
            }
            let bytes = &self.code[at as usize..(at as usize + instruction.len()).min(self.code.len())];
            let outcome = match self.step.run(state, &instruction, bytes) {
                Ok(outcome) => outcome,
                Err(reason) => {
                    if std::env::var_os("VWDEBUG").is_some() { eprintln!("step: {at:#x} {reason}"); }
                    return false;
                }
            };
            if instruction.op_count() > 0
                && instruction.op0_kind() == OpKind::Register
                && let Some((number, _)) = general(instruction.op0_register())
            {
                self.notes[n].result = state.registers[number];
            }
            match outcome.next {
                Next::Fall => {}
                Next::End => reachable = false,
                Next::Jump { target, taken, falls, fallen } => {
                    reachable = falls;
                    again |= self.go(state, taken, target, at);
                    state.learn(fallen);
                }
                Next::Table { data, last } => {
                    reachable = false;
                    for entry in self.entries(data, last) {
                        again |= self.go(state, None, entry, at);
                    }
                }
            }
        }
        again
    }

    fn entries(&self, data: u32, last: u32) -> Vec<u64> {
        let module = self.step.module;
        let from = module.data_start + u64::from(data);
        let bytes = module.data.get(data as usize..data as usize + 4 * (last as usize + 1)).unwrap_or(&[]);
        let entry = |bytes: &[u8]| i64::from(i32::from_le_bytes(bytes.try_into().unwrap_or_default()));
        bytes.chunks_exact(4).map(|bytes| from.wrapping_add_signed(entry(bytes))).collect()
    }

    fn go(&mut self, state: &State, taken: Option<(Value, Fact)>, target: u64, from: u32) -> bool {
        let number = u32::try_from(target).ok().and_then(|target| self.numbers.get(&target).copied());
        let Some(number) = number else { return false };
        let back = target <= u64::from(from);
        self.join(number, state, taken, back) && back
    }

    /// Joins what is known on one way to a label; whether that changed it.
    fn join(&mut self, number: usize, state: &State, taken: Option<(Value, Fact)>, back: bool) -> bool {
        let of = |location: u32| state.known(location, taken);
        let Some(known) = &mut self.known[number] else {
            let words = state.words.known().map(|word| (word, of(WORDS + word))).collect();
            let registers = core::array::from_fn(|register| of(register as u32));
            self.known[number] = Some(Known { registers, words, depth: state.depth, values: shared_values(state) });
            return true;
        };
        let mut changed = false;
        let mut weaken = |fact: &mut Fact, other: Fact| {
            let mut joined = fact.either(other);
            // A bound that grows on the way back is given up, or the rounds would follow it.
            if back && joined != *fact && matches!(joined, Fact::Max(_) | Fact::Memory { .. }) {
                joined = if joined.implies(Fact::ZERO_EXTENDED) { Fact::ZERO_EXTENDED } else { Fact::Unknown };
            }
            changed |= joined != *fact;
            *fact = joined;
        };
        for (register, fact) in (0..).zip(&mut known.registers) {
            weaken(fact, of(register));
        }
        for (word, fact) in &mut known.words {
            weaken(fact, of(WORDS + *word));
        }
        known.words.retain(|(_, fact)| *fact != Fact::Unknown);
        let values = known.join_values(state);
        changed || values
    }

    fn note_before(&mut self, n: usize, form: &Form, state: &State) {
        let instruction = &self.instructions[n];
        let of = |operand: u8| match instruction.op_kind(operand.into()) {
            OpKind::Register => {
                general(instruction.op_register(operand.into())).map_or(Fact::Unknown, |(number, _)| state.registers[number])
            }
            _ => Fact::Unknown,
        };
        if let FlagsEffect::Compare(a, b) = form.flags {
            let told = |fact: Fact| !matches!(fact, Fact::Unknown | Fact::ZERO_EXTENDED);
            self.notes[n].depends = matches!(of(a), Fact::Signature(_)) || told(of(b));
        }
        let module = self.step.module;
        self.notes[n].callee = match form.transfer {
            Transfer::Call => {
                let units = module.units.get(..module.functions).unwrap_or(&[]);
                let target = instruction.near_branch_target();
                units.binary_search_by_key(&target, |unit| unit.start.into()).ok().map(|unit| units[unit].ty)
            }
            Transfer::CallMemory => match state.registers[RAX] {
                Fact::Callable { ty, .. } => Some(ty),
                Fact::Import(import) => module.import_types.get(import as usize).copied(),
                _ => None,
            },
            _ => None,
        };
    }

    // -- backward --

    fn backward(&mut self) {
        for _ in 0..64 {
            if !self.backward_round() {
                break;
            }
        }
    }

    /// One way back through the function; whether a label's needs have grown behind a jump back to it.
    fn backward_round(&mut self) -> bool {
        let mut need = Need::default();
        let mut again = false;
        let mut label = self.labels.len();
        for n in (0..self.instructions.len()).rev() {
            let instruction = self.instructions[n];
            let Some(form) = form(instruction.code()) else { continue };
            self.needs(&mut need, n, &instruction, form);
            let at = instruction.ip() as u32;
            while label > 0 && self.labels[label - 1] >= at {
                label -= 1;
                if self.labels[label] == at {
                    again |= self.need[label].add(&need);
                }
            }
        }
        again
    }

    fn word(&self, instruction: &Instruction, width: u8, depth: u32) -> Option<u32> {
        let at = instruction.memory_displacement64() as i64 - i64::from(depth);
        if instruction.memory_base() != Register::RSP || width != 8 || at % 8 != 0 {
            return None;
        }
        word_number(self.step.signature, at)
    }

    fn needs(&self, need: &mut Need, n: usize, instruction: &Instruction, form: &Form) {
        let note = self.notes[n];
        match form.transfer {
            Transfer::Next => self.ordinary_needs(need, note, instruction, form),
            Transfer::Jump | Transfer::JumpIf => {
                if form.transfer == Transfer::Jump {
                    *need = Need::default();
                }
                if let Some(&number) = self.numbers.get(&(instruction.near_branch_target() as u32)) {
                    need.add(&self.need[number]);
                }
            }
            Transfer::JumpRegister => {
                *need = Need::default();
                // Any label may be an entry of the table.
                for of_label in &self.need {
                    need.add(of_label);
                }
                need.register(instruction.op0_register());
            }
            Transfer::Call | Transfer::CallMemory => {
                need.registers = 0;
                if let Some(ty) = note.callee.and_then(|ty| self.step.module.types.get(ty as usize)) {
                    need.registers |= ty.parameters.narrow;
                    for (k, narrow) in (0..).zip(&ty.parameters.words) {
                        if let Some(word) = word_number(self.step.signature, 8 * k - i64::from(note.depth))
                            && *narrow
                        {
                            need.words.insert(word);
                        }
                    }
                }
                if form.transfer == Transfer::CallMemory {
                    need.registers |= 1 << RAX;
                }
            }
            Transfer::Return => {
                let signature = self.step.signature;
                *need = Need { registers: signature.results.narrow, ..Need::default() };
                let words = (signature.parameters.words.len() as u32..).zip(&signature.results.words);
                need.words.extend(words.filter(|(_, narrow)| **narrow).map(|(word, _)| word));
            }
            Transfer::Trap => *need = Need::default(),
        }
    }

    fn ordinary_needs(&self, need: &mut Need, note: Note, instruction: &Instruction, form: &Form) {
        let mut wanted = false;
        for (n, operand) in (0..).zip(form.operands) {
            if !operand.is(Operand::WRITTEN) || operand.is(Operand::VECTOR) {
                continue;
            }
            match instruction.op_kind(n) {
                OpKind::Register => {
                    if let Some((number, _)) = general(instruction.op_register(n)) {
                        wanted |= n == 0 && need.registers & 1 << number != 0;
                        need.registers &= !(1 << number);
                    }
                }
                OpKind::Memory => {
                    if let Some(word) = self.word(instruction, operand.width, note.depth) {
                        wanted |= need.words.remove(&word);
                    }
                }
                _ => {}
            }
        }
        need.registers &= !(form.implicit | form.implicit32);
        // A 32-bit result is zero-extended whatever it is made of.
        let from_operands = match form.operands.first() {
            Some(first) if first.width == 4 && instruction.op0_kind() == OpKind::Register => {
                !matches!(note.result, Fact::ZERO_EXTENDED | Fact::Unknown)
            }
            _ => true,
        };
        let result = wanted && from_operands && !matches!(form.effect, Effect::None | Effect::Unknown | Effect::Zero);
        for (n, operand) in (0..).zip(form.operands) {
            match instruction.op_kind(n) {
                OpKind::Register if (result || note.depends) && !operand.is(Operand::VECTOR) => {
                    need.register(instruction.op_register(n));
                }
                OpKind::Memory => {
                    if operand.is(Operand::MEMORY) || result {
                        need.register(instruction.memory_base());
                        need.register(instruction.memory_index());
                    }
                    if result && let Some(word) = self.word(instruction, operand.width, note.depth) {
                        need.words.insert(word);
                    }
                }
                _ => {}
            }
        }
    }
}

fn word_number(signature: &Signature, at: i64) -> Option<u32> {
    let incoming = signature.words();
    if at >= 8 {
        u32::try_from((at - 8) / 8).ok().filter(|number| *number < incoming)
    } else if at < 0 {
        u32::try_from((-at - 1) / 8).ok()?.checked_add(incoming)
    } else {
        None
    }
}
