//! The sandbox checker: accepts machine code only if the theorem of `spec/sandbox.rules` §12 applies to it.
//!
//! Takes a [`Module`]: code, read-only data and a description, all of them possibly hostile. [`Checker::unit`] reads one
//! function front to back, once: it decodes each instruction, judges it with `step`, and verifies the compiler's claims about
//! every place that branches go to. [`check`] does so for a whole module. What is accepted:
//!
//! - every byte of the code belongs to an instruction judged, or is int3 between functions
//! - every instruction is one of the forms generated from `spec/x86_64`, encoded exactly so
//! - every access has one of the shapes of §10 and the facts it needs; every transfer is one of §11
//! - facts at labels follow from the facts at every way there: by induction they hold in every execution
//!
//! Trusted besides this crate: the generated tables. No unsafe code, no panics on any input.

#![no_std]

extern crate alloc;

pub mod claims;
pub mod fact;
pub mod form;
pub mod module;
mod reject;
pub mod state;
pub mod step;
pub mod thunk;

pub mod layout {
    //! From `spec/sandbox.rules`.
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

pub use fact::Reason;
pub use module::{Class, Module, Signature, Unit};
pub use reject::{Place, Rejection};

use alloc::vec::Vec;
use claims::{Claim, Claims, Label, Reader};
use core::sync::atomic::{AtomicU64, Ordering};
use fact::{Fact, Value};
use form::{Instruction, Transfer, read};
use layout::InstanceLayout;
use module::Index;
use state::{Location, State, WORDS, bits};
use step::{Next, Step};

/// What accepted code was found to need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// CPU features beyond x86-64-v2.
    pub features: u32,
    pub instructions: u64,
}

/// Checks whole modules and single functions of them.
pub struct Checker<'m> {
    module: &'m Module<'m>,
    layout: InstanceLayout,
    /// Where functions begin.
    functions: Index,
    /// Jump table entries read, and claims compared, so far.
    entries: AtomicU64,
    compared: AtomicU64,
}

/// What is reused from function to function.
#[derive(Default)]
pub struct Scratch {
    state: State,
    claims: Claims,
}

/// Checks a module.
pub fn check(module: &Module<'_>) -> Result<Accepted, Rejection> {
    let checker = Checker::new(module)?;
    let claims = checker.split_claims()?;
    let mut scratch = Scratch::default();
    let mut accepted = Accepted::default();
    for (number, claims) in claims.into_iter().enumerate() {
        let found = checker.unit(number, claims, &mut scratch)?;
        accepted.features |= found.features;
        accepted.instructions += found.instructions;
    }
    Ok(accepted)
}

impl<'m> Checker<'m> {
    /// Checks everything about a module but the functions themselves.
    pub fn new(module: &'m Module<'m>) -> Result<Checker<'m>, Rejection> {
        let whole = |reason| Rejection { unit: None, offset: 0, length: 0, reason };
        let layout = InstanceLayout::new(&module.shape).ok_or(whole(Reason::Shape))?;
        let shape = &module.shape;
        let words = |ty: &Signature| ty.parameters.words.len().saturating_add(ty.results.words.len());
        let consistent = shape.types as usize == module.types.len()
            && module.types.iter().all(|ty| words(ty) < thunk::MOST_WORDS)
            && shape.tables as usize == module.tables.len()
            && shape.function_imports as usize == module.import_types.len()
            && shape.global_imports as usize == module.global_imports.len()
            && module.units.len().checked_sub(module.functions) == Some(module.types.len())
            && module.code.len() as u64 <= module.data_start
            && module.data_start <= i32::MAX as u64
            && module.data_start + module.data.len() as u64 <= i32::MAX as u64;
        if !consistent {
            return Err(whole(Reason::Shape));
        }
        // Functions and thunks cover the code in order; int3 fills the gaps.
        let mut end = 0u32;
        let mut functions = Index::default();
        for (number, unit) in module.units.iter().enumerate() {
            let at = |reason| Rejection { unit: Some(number), offset: unit.start, length: 0, reason };
            let is_thunk = number >= module.functions;
            let type_fits = (unit.ty as usize) < module.types.len()
                && (!is_thunk || unit.ty as usize == number - module.functions)
                && unit.thunk == is_thunk;
            if unit.start < end || unit.end <= unit.start || unit.end as usize > module.code.len() || !type_fits {
                return Err(at(Reason::Units));
            }
            if module.code[end as usize..unit.start as usize].iter().any(|byte| *byte != 0xcc) {
                return Err(at(Reason::Padding));
            }
            end = unit.end;
            if !is_thunk {
                functions.push(unit.start, number as u32);
            }
        }
        if module.code[end as usize..].iter().any(|byte| *byte != 0xcc) {
            return Err(Rejection { unit: None, offset: end, length: 0, reason: Reason::Padding });
        }
        Ok(Checker { module, layout, functions, entries: AtomicU64::new(0), compared: AtomicU64::new(0) })
    }

    /// What the instructions of a function are judged by.
    pub fn step(&self, number: usize) -> Option<Step<'_>> {
        let signature = self.module.types.get(self.module.units.get(number)?.ty as usize)?;
        Some(Step { module: self.module, layout: &self.layout, functions: &self.functions, signature })
    }

    /// The claims of each unit. (A far thunk has none.)
    pub fn split_claims(&self) -> Result<Vec<&'m [u8]>, Rejection> {
        let mut reader = Reader(self.module.claims);
        let mut parts = Vec::with_capacity(self.module.units.len());
        for (number, unit) in self.module.units.iter().enumerate() {
            let bad = Rejection { unit: Some(number), offset: unit.start, length: 0, reason: Reason::Claims };
            let length = reader.number().and_then(|length| usize::try_from(length).ok()).ok_or(bad)?;
            let (part, rest) = reader.0.split_at_checked(length).ok_or(bad)?;
            if unit.thunk && !part.is_empty() {
                return Err(bad);
            }
            parts.push(part);
            reader.0 = rest;
        }
        Ok(parts)
    }

    /// Checks one function or thunk.
    pub fn unit(&self, number: usize, claims: &[u8], scratch: &mut Scratch) -> Result<Accepted, Rejection> {
        let rejected = |offset: u32, length: u32, reason| Rejection { unit: Some(number), offset, length, reason };
        let step = self.step(number).ok_or(rejected(0, 0, Reason::Units))?;
        let unit = self.module.units[number];
        if unit.thunk {
            let (signature, found) = (step.signature, &self.module.code[unit.start as usize..unit.end as usize]);
            let thunk = thunk::thunk(signature.parameters.words.len(), signature.results.words.len());
            let thunk = thunk.ok_or(rejected(unit.start, 0, Reason::Thunk))?;
            let same = found.iter().zip(&thunk.code).take_while(|(found, expected)| found == expected).count();
            let accepted = if found == thunk.code { Some(Accepted::default()) } else { None };
            return accepted.ok_or(rejected(unit.start + same as u32, 0, Reason::Thunk));
        }
        let Scratch { state, claims: known } = scratch;
        // So many bytes cannot name more values than there are numbers for.
        let size = u64::from(unit.end - unit.start);
        let too_long = claims.len() > u32::MAX as usize || Reader(claims).number().is_none_or(|count| count > size);
        let claimed = if too_long { None } else { Reader(claims).function(known, unit.start, unit.end) };
        claimed.ok_or(rejected(unit.start, 0, Reason::Claims))?;
        step.enter(state, MOST_CLEARED * (size + 4));
        let (claims, entries) = (&*known, &self.entries);
        let mut function = Function { step, claims, entries, next_label: 0, look: 0, reachable: true, compared: 0 };
        let mut accepted = Accepted::default();
        let (code, mut at) = (&self.module.code[..unit.end as usize], unit.start);
        let mut instruction = Instruction::default();
        while at < unit.end {
            // What cannot be decoded is at most 15 bytes long.
            let most = (unit.end - at).min(15);
            if at >= function.look {
                function.label(state, at).map_err(|reason| rejected(at, most, reason))?;
            }
            read(&mut instruction, code, at).map_err(|reason| rejected(at, most, reason))?;
            let no = |reason| rejected(at, instruction.length.into(), reason);
            function.instruction(state, &instruction).map_err(no)?;
            if state.words.cleared > state.words.most_cleared {
                return Err(no(Reason::Work));
            }
            accepted.features |= instruction.form.feature;
            accepted.instructions += 1;
            at = instruction.end();
        }
        let no = |reason| Err(rejected(unit.end, 0, reason));
        let compared = self.compared.fetch_add(function.compared, Ordering::Relaxed);
        if compared > MOST_COMPARED + MOST_COMPARED_A_BYTE * (self.module.code.len() + self.module.claims.len()) as u64 {
            return no(Reason::Work);
        }
        match function.next_label == function.claims.labels.len() {
            _ if function.reachable => no(Reason::FallsOff),
            true => Ok(accepted),
            false => no(Reason::LabelMissed),
        }
    }
}

/// How many claims of one function are compared at most. Many branches to one label with many claims ask for the square of
/// their size.
const MOST_COMPARED: u64 = 1 << 28;

/// How many more may be compared in a module, for each byte of its code and claims. (Of compiled code it is about two.)
const MOST_COMPARED_A_BYTE: u64 = 256;

/// How many chunks of 64 words of the frame are cleared at most for each byte of the code: some bytes can move rsp over all of
/// a frame, but what was compiled has a store for each of its words, or a call that takes a thousand.
const MOST_CLEARED: u64 = 16;

/// One function on its way through the checker.
struct Function<'a> {
    step: Step<'a>,
    claims: &'a Claims,
    next_label: usize,
    /// From here on an instruction may be a label, or is not reachable.
    look: u32,
    /// Whether anything goes to the next instruction.
    reachable: bool,
    /// Claims compared so far.
    compared: u64,
    /// Jump table entries read so far, of the whole module.
    entries: &'a AtomicU64,
}

impl Function<'_> {
    /// Where a label stands, what falls to it must satisfy its claims; then the claims are all that is known.
    fn label(&mut self, state: &mut State, at: u32) -> Result<(), Reason> {
        let next = |number: usize| self.claims.labels.get(number).map_or(u32::MAX, |label| label.offset);
        self.look = next(self.next_label);
        if self.look > at {
            return if self.reachable { Ok(()) } else { Err(Reason::Unreachable) };
        }
        let Some(label) = self.claims.labels.get(self.next_label).filter(|label| label.offset == at) else {
            return Err(Reason::LabelMissed);
        };
        if self.reachable {
            implied(state, None, label, self.claims)?;
        }
        if u64::from(label.depth) >= layout::MAX_FRAME {
            return Err(Reason::LabelDepth);
        }
        state.forget();
        state.depth = label.depth;
        state.zero_extended(label.narrow);
        let words = self.claims.words_of(label);
        let last = |&(chunk, bits): &(u32, u64)| WORDS + 64 * chunk + bits.checked_ilog2().unwrap_or(0);
        if !words.iter().all(|chunk| state.exists(last(chunk))) {
            return Err(Reason::Claims);
        }
        state.words.zero_extended(words);
        for &(location, claim) in self.claims.facts_of(label) {
            match claim {
                Claim::Same(other) if state.exists(location) && state.exists(other) => state.same(location, other),
                Claim::Fact(fact) if state.exists(location) => state.claim(location, fact),
                _ => return Err(Reason::Claims),
            }
        }
        self.next_label += 1;
        self.look = next(self.next_label);
        self.reachable = true;
        Ok(())
    }

    /// Judges an instruction, checks the ways out of it, and leaves what is known on the way to the next one.
    #[inline(always)]
    fn instruction(&mut self, state: &mut State, instruction: &Instruction) -> Result<(), Reason> {
        if instruction.form.transfer == Transfer::Next {
            return self.step.ordinary(state, instruction);
        }
        match self.step.run(state, instruction)? {
            Next::Fall | Next::Call => return Ok(()),
            Next::Return | Next::Trap => {}
            Next::Jump { target } => self.goes_to(state, None, target)?,
            Next::Branch { target, condition } => {
                self.goes_to(state, state.refined(condition, true), target)?;
                state.learn(state.refined(condition, false));
                return Ok(());
            }
            Next::Table { data, last } => {
                let module = self.step.module;
                // Jump tables do not overlap, so no code can make the checker read one many times. (The compiler tries
                // claims twice.)
                let read = self.entries.fetch_add(u64::from(last) + 1, Ordering::Relaxed);
                if read > module.data.len() as u64 {
                    return Err(Reason::TableShared);
                }
                for n in 0..=last as usize {
                    let entry = module.data.get(data as usize + 4 * n..).and_then(<[u8]>::first_chunk);
                    let entry = i64::from(i32::from_le_bytes(*entry.ok_or(Reason::DataEdge)?));
                    let target = (module.data_start + u64::from(data)).wrapping_add_signed(entry);
                    self.goes_to(state, None, target).map_err(|reason| match reason {
                        Reason::BranchTarget => Reason::TableEntry,
                        other => other,
                    })?;
                }
            }
        }
        (self.reachable, self.look) = (false, 0);
        Ok(())
    }

    fn goes_to(&mut self, state: &State, taken: Option<(Value, Fact)>, target: u64) -> Result<(), Reason> {
        let target = u32::try_from(target).map_err(|_| Reason::BranchTarget)?;
        let label = self.claims.at(target).ok_or(Reason::BranchTarget)?;
        self.compared += u64::from(label.count) + 64 * u64::from(label.word_count);
        if self.compared > MOST_COMPARED {
            return Err(Reason::Work);
        }
        implied(state, taken, label, self.claims)
    }
}

/// Whether a label's claims follow from what is known; `refined` is known in addition.
fn implied(state: &State, refined: Option<(Value, Fact)>, label: &Label, claims: &Claims) -> Result<(), Reason> {
    if state.depth != label.depth {
        return Err(Reason::LabelDepth);
    }
    let missing = |location: Location, what| {
        let place = match location.checked_sub(WORDS) {
            None => Place::Register(location as usize),
            Some(number) => Place::Word(state.words.place(number)),
        };
        Err(Reason::Missing(place, what))
    };
    let known = |location: Location| state.known(location, refined);
    // What is known in addition is only asked of where it is needed.
    for register in bits(state.not_zero_extended(label.narrow)) {
        if !known(register.into()).is_narrow() {
            return missing(register.into(), "zero-extended, as claimed at the label");
        }
    }
    for &(chunk, claimed) in claims.words_of(label) {
        let mut more = claimed & !state.words.narrow(chunk);
        while more != 0 {
            let location = WORDS + 64 * chunk + more.trailing_zeros();
            if !known(location).is_narrow() {
                return missing(location, "zero-extended, as claimed at the label");
            }
            more &= more - 1;
        }
    }
    for &(location, claim) in claims.facts_of(label) {
        match claim {
            Claim::Fact(fact) if !fact::implies(known(location), fact) => return missing(location, fact.words()),
            Claim::Same(other) if state.value_at(location) == 0 || state.value_at(location) != state.value_at(other) => {
                return missing(location, "the value claimed to be in another place too");
            }
            _ => {}
        }
    }
    Ok(())
}
