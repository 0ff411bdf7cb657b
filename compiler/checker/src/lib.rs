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
//! Trusted besides this crate: iced-x86's decoder, and the generated tables. No unsafe code, no panics on any input.

#![no_std]

extern crate alloc;

pub mod claims;
pub mod fact;
pub mod form;
pub mod module;
mod reject;
pub mod state;
pub mod step;
mod thunk;

pub mod layout {
    //! From `spec/sandbox.rules`.
    include!(concat!(env!("OUT_DIR"), "/layout.rs"));
}

pub use fact::Reason;
pub use module::{Class, Module, Signature, Site, Unit};
pub use reject::{Place, Rejection};

use alloc::vec::Vec;
use claims::{Claim, Claims, Label, Reader};
use core::sync::atomic::{AtomicU64, Ordering};
use fact::{Fact, MAX32, Value};
use iced_x86::{Decoder, DecoderOptions, Instruction};
use layout::InstanceLayout;
use state::{Location, State, WORDS};
use step::{Next, Outcome, Step};

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
    /// Jump table entries read so far.
    entries: AtomicU64,
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
        let consistent = shape.types as usize == module.types.len()
            && shape.tables as usize == module.tables.len()
            && shape.function_imports as usize == module.import_types.len()
            && shape.global_imports as usize == module.global_imports.len()
            && module.units.len().checked_sub(module.functions) == Some(module.types.len())
            && module.code.len() as u64 <= module.data_start
            && module.data_start <= i32::MAX as u64
            && module.data_start + module.data.len() as u64 <= i32::MAX as u64
            && module.sites.len() % 12 == 0;
        if !consistent {
            return Err(whole(Reason::Shape));
        }
        // Functions and thunks cover the code in order; int3 fills the gaps.
        let mut end = 0u32;
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
        }
        if module.code[end as usize..].iter().any(|byte| *byte != 0xcc) {
            return Err(Rejection { unit: None, offset: end, length: 0, reason: Reason::Padding });
        }
        // Sites ascend, and each lies in the code.
        let mut last = (0, 0);
        for n in 0..module.sites.len() / 12 {
            let site = module.site(n);
            if (site.offset, site.code) < last || site.offset as usize >= module.code.len() {
                return Err(Rejection { unit: None, offset: site.offset, length: 0, reason: Reason::Site });
            }
            last = (site.offset, site.code);
        }
        Ok(Checker { module, layout, entries: AtomicU64::new(0) })
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

    /// Jump tables do not overlap, so no code can make the checker read one many times. (The compiler tries claims twice.)
    fn read_table(&self, last: u32) -> Result<(), Reason> {
        let read = self.entries.fetch_add(u64::from(last) + 1, Ordering::Relaxed);
        if read > self.module.data.len() as u64 { Err(Reason::TableShared) } else { Ok(()) }
    }

    /// Checks one function or thunk.
    pub fn unit(&self, number: usize, claims: &[u8], scratch: &mut Scratch) -> Result<Accepted, Rejection> {
        let rejected =
            |offset: u32, length: usize, reason| Rejection { unit: Some(number), offset, length: length as u32, reason };
        let unit = *self.module.units.get(number).ok_or(rejected(0, 0, Reason::Units))?;
        let signature = self.module.types.get(unit.ty as usize).ok_or(rejected(unit.start, 0, Reason::Type))?;
        let mut sites = Sites::new(self.module, unit.start);
        if unit.thunk {
            let returns_to = thunk::difference(self.module.code, unit.start, unit.end, signature)
                .map_err(|at| rejected(at, 0, Reason::Thunk))?;
            let only = sites.at(returns_to, 0, false, true).and_then(|()| sites.none_before(unit.end));
            return only.map(|()| Accepted::default()).map_err(|reason| rejected(returns_to, 0, reason));
        }
        let step = Step { module: self.module, layout: &self.layout, signature };
        let Scratch { state, claims: known } = scratch;
        // So many bytes cannot name more values than there are numbers for.
        let too_long = claims.len() > u32::MAX as usize;
        if too_long || Reader(claims).number().is_none_or(|count| count > u64::from(unit.end - unit.start)) {
            return Err(rejected(unit.start, 0, Reason::Claims));
        }
        Reader(claims).function(known, unit.start).ok_or(rejected(unit.start, 0, Reason::Claims))?;
        state.enter(signature);
        let mut function = Function { step, claims: known, next_label: 0, reachable: true, compared: 0 };
        let mut accepted = Accepted::default();
        let mut after_call = false;
        let bytes = &self.module.code[..unit.end as usize];
        let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        if decoder.set_position(unit.start as usize).is_err() {
            return Err(rejected(unit.start, 0, Reason::Units));
        }
        decoder.set_ip(unit.start.into());
        while decoder.can_decode() {
            let at = decoder.ip() as u32;
            function.label(state, at).map_err(|reason| rejected(at, 0, reason))?;
            decoder.decode_out(&mut instruction);
            let length = instruction.len();
            let no = |reason| rejected(at, length, reason);
            if instruction.is_invalid() {
                return Err(no(Reason::Undecodable));
            }
            if !function.reachable {
                return Err(no(Reason::Unreachable));
            }
            let outcome = function.step.run(state, &instruction, &bytes[at as usize..at as usize + length]).map_err(no)?;
            if let Next::Table { last, .. } = outcome.next {
                self.read_table(last).map_err(no)?;
            }
            function.transfer(state, &outcome).map_err(no)?;
            if state.words.cleared > MOST_CLEARED * u64::from(unit.end - unit.start) {
                return Err(no(Reason::Work));
            }
            if let Next::Branch { condition, .. } = outcome.next {
                state.learn(state.refined(condition, false));
            }
            sites.at(at, u32::from(outcome.faults) * FAULT, outcome.traps, after_call).map_err(no)?;
            after_call = outcome.calls;
            accepted.features |= outcome.feature;
            accepted.instructions += 1;
        }
        if function.reachable {
            return Err(rejected(unit.end, 0, Reason::FallsOff));
        }
        if function.next_label != function.claims.labels.len() {
            return Err(rejected(unit.end, 0, Reason::LabelMissed));
        }
        sites.none_before(unit.end).map_err(|reason| rejected(unit.end, 0, reason))?;
        Ok(accepted)
    }
}

/// The code of a fault in linear memory.
const FAULT: u32 = layout::TrapCode::OutOfBoundsMemoryAccess as u32;

/// How many claims of one function are compared at most. Many branches to one label with many claims ask for the square of
/// their size.
const MOST_COMPARED: u64 = 1 << 28;

/// How many words of the frame are cleared at most for each byte of the code: some bytes can move rsp over all of a frame, but
/// what was compiled has a store for each of its words, or a call that takes a thousand.
const MOST_CLEARED: u64 = 1024;

/// One function on its way through the checker.
struct Function<'a> {
    step: Step<'a>,
    claims: &'a Claims,
    next_label: usize,
    /// Whether anything goes to the next instruction.
    reachable: bool,
    /// Claims compared so far.
    compared: u64,
}

impl Function<'_> {
    /// Where a label stands, what falls to it must satisfy its claims; then the claims are all that is known.
    fn label(&mut self, state: &mut State, at: u32) -> Result<(), Reason> {
        let Some(label) = self.claims.labels.get(self.next_label) else { return Ok(()) };
        if label.offset > at {
            return Ok(());
        }
        if label.offset < at {
            return Err(Reason::LabelMissed);
        }
        if self.reachable {
            implied(state, None, label, self.claims)?;
        }
        if u64::from(label.depth) >= layout::MAX_FRAME {
            return Err(Reason::LabelDepth);
        }
        state.forget();
        state.depth = label.depth;
        state.zero_extended(label.narrow);
        for &word in self.claims.words_of(label) {
            if !state.words.exists(word, label.depth) {
                return Err(Reason::Claims);
            }
            state.words.set(word, Fact::ZERO_EXTENDED, 0);
        }
        let exists = |location: Location, state: &State| match location.checked_sub(WORDS) {
            None => true,
            Some(number) => state.words.exists(number, label.depth),
        };
        for &(location, claim) in self.claims.facts_of(label) {
            let known = exists(location, state) && !matches!(claim, Claim::Same(other) if !exists(other, state));
            match claim {
                _ if !known => return Err(Reason::Claims),
                Claim::Same(other) => state.same(location, other),
                Claim::Fact(fact) => match state.registers.get_mut(location as usize) {
                    Some(register) => *register = fact,
                    None => state.words.set(location - WORDS, fact, 0),
                },
            }
        }
        self.next_label += 1;
        self.reachable = true;
        Ok(())
    }

    fn transfer(&mut self, state: &State, outcome: &Outcome) -> Result<(), Reason> {
        match outcome.next {
            Next::Fall => {}
            Next::End => self.reachable = false,
            Next::Jump { target } => {
                self.reachable = false;
                self.goes_to(state, None, target)?;
            }
            Next::Branch { target, condition } => self.goes_to(state, state.refined(condition, true), target)?,
            Next::Table { data, last } => {
                self.reachable = false;
                let module = self.step.module;
                for n in 0..=last as usize {
                    let from = data as usize + 4 * n;
                    let entry = module.data.get(from..from + 4).and_then(|bytes| bytes.try_into().ok());
                    let entry = i64::from(i32::from_le_bytes(entry.ok_or(Reason::DataEdge)?));
                    let target = (module.data_start + u64::from(data)).wrapping_add_signed(entry);
                    self.goes_to(state, None, target).map_err(|reason| match reason {
                        Reason::BranchTarget => Reason::TableEntry,
                        other => other,
                    })?;
                }
            }
        }
        Ok(())
    }

    fn goes_to(&mut self, state: &State, taken: Option<(Value, Fact)>, target: u64) -> Result<(), Reason> {
        let target = u32::try_from(target).map_err(|_| Reason::BranchTarget)?;
        let label = self.claims.at(target).ok_or(Reason::BranchTarget)?;
        self.compared += u64::from(label.count) + u64::from(label.word_count);
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
    let known = |location: Location| state.known(location, refined);
    let mut narrow = label.narrow;
    while narrow != 0 {
        let register = narrow.trailing_zeros();
        narrow &= narrow - 1;
        // What is known in addition is only asked of where it is needed.
        if state.registers[register as usize & 15].bound() > MAX32 && known(register).bound() > MAX32 {
            return Err(Reason::Missing(Place::Register(register as usize), "zero-extended, as claimed at the label"));
        }
    }
    for &word in claims.words_of(label) {
        if known(WORDS + word).bound() > MAX32 {
            let place = Place::Word(state.words.place(word));
            return Err(Reason::Missing(place, "zero-extended, as claimed at the label"));
        }
    }
    for &(location, claim) in claims.facts_of(label) {
        let follows = match claim {
            Claim::Fact(fact) => fact::implies(known(location), fact),
            Claim::Same(other) => state.value_at(location) != 0 && state.value_at(location) == state.value_at(other),
        };
        if !follows {
            let place = match location.checked_sub(WORDS) {
                None => Place::Register(location as usize),
                Some(number) => Place::Word(state.words.place(number)),
            };
            let what = match claim {
                Claim::Fact(fact) => fact.words(),
                Claim::Same(_) => "the value claimed to be in another place too",
            };
            return Err(Reason::Missing(place, what));
        }
    }
    Ok(())
}

/// The listed sites, in step with the instructions.
struct Sites<'m> {
    module: &'m Module<'m>,
    next: usize,
    /// The next site; one beyond all code if there is none.
    site: Site,
}

impl<'m> Sites<'m> {
    fn new(module: &'m Module<'m>, start: u32) -> Sites<'m> {
        let next = module.site_from(start);
        Sites { module, next, site: module.site(next) }
    }

    /// At an instruction: its trap or fault must be listed, and nothing else but a return address.
    fn at(&mut self, offset: u32, fault: u32, traps: bool, after_call: bool) -> Result<(), Reason> {
        let mut listed = false;
        while self.site.offset <= offset {
            if self.site.offset < offset {
                return Err(Reason::Site);
            }
            match self.site.code {
                0 if after_call => {}
                code if traps && u8::try_from(code).ok().and_then(layout::TrapCode::from_number).is_some() => listed = true,
                code if fault != 0 && code == fault => listed = true,
                _ => return Err(Reason::Site),
            }
            self.next += 1;
            self.site = self.module.site(self.next);
        }
        if (traps || fault != 0) && !listed { Err(Reason::SiteMissing) } else { Ok(()) }
    }

    fn none_before(&self, end: u32) -> Result<(), Reason> {
        if self.site.offset < end { Err(Reason::Site) } else { Ok(()) }
    }
}
