//! The sandbox checker: accepts machine code only if the theorem of `spec/sandbox.rules` §12 applies to it.
//!
//! Takes a [`Module`]: code, read-only data and a description, all of them possibly hostile. [`Checker::new`] looks at the whole;
//! [`Checker::unit`] reads one function front to back, once: it decodes each instruction, judges it with `step`, and verifies the
//! compiler's claims about every place that branches go to. If each unit is accepted, then:
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
pub use reject::Rejection;

use claims::{Claim, Claims, Label};
use core::sync::atomic::{AtomicU64, Ordering};
use form::{Instruction, Transfer, decode};
use layout::InstanceLayout;
use module::Index;
use state::{Known, Location, State, bits};
use step::{Next, Step};

/// What accepted code was found to need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// CPU features beyond x86-64-v2.
    pub features: u32,
    pub instructions: u64,
}

/// How much work a function may ask for, for each byte of its code and of the jump tables it reads, and for each claim. (Many
/// branches to one label with many claims ask for the square of their size. What is compiled asks for less than an eighth.)
const MOST_WORK: u64 = 256;

/// Checks the functions of a module.
pub struct Checker<'m> {
    module: &'m Module<'m>,
    layout: InstanceLayout,
    /// Where functions begin.
    functions: Index,
    /// Jump table entries read so far.
    entries: AtomicU64,
}

impl<'m> Checker<'m> {
    /// Checks everything about a module but the functions themselves.
    pub fn new(module: &'m Module<'m>) -> Result<Checker<'m>, Rejection> {
        let whole = |offset, reason| Rejection { unit: None, offset, length: 0, reason };
        let layout = InstanceLayout::new(&module.shape).ok_or(whole(0, Reason::Shape))?;
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
            return Err(whole(0, Reason::Shape));
        }
        // Functions and thunks cover the code in order; int3 fills the gaps.
        let gap = |from: u32, to: usize| {
            module.code.get(from as usize..to).is_some_and(|gap| gap.iter().all(|byte| *byte == 0xcc))
        };
        let (mut end, mut functions) = (0, Index::default());
        for (number, unit) in module.units.iter().enumerate() {
            let (thunk, ty) = (number.checked_sub(module.functions), unit.ty as usize);
            let fits = ty < module.types.len() && thunk.is_none_or(|of| of == ty);
            if !fits || unit.end <= unit.start || !gap(end, unit.start as usize) {
                return Err(Rejection { unit: Some(number), ..whole(unit.start, Reason::Units) });
            }
            end = unit.end;
            if thunk.is_none() {
                functions.push(unit.start, number as u32);
            }
        }
        match gap(end, module.code.len()) {
            true => Ok(Checker { module, layout, functions, entries: AtomicU64::new(0) }),
            false => Err(whole(end, Reason::Units)),
        }
    }

    /// What the instructions of a function are judged by.
    pub fn step(&self, number: usize) -> Option<Step<'_>> {
        let signature = self.module.types.get(self.module.units.get(number)?.ty as usize)?;
        Some(Step { module: self.module, layout: &self.layout, functions: &self.functions, signature })
    }

    /// Checks one function or thunk; `state` is reused from one to the next.
    pub fn unit(&self, number: usize, claims: &Claims, state: &mut State) -> Result<Accepted, Rejection> {
        let rejected = |offset: u32, length: u32, reason| Rejection { unit: Some(number), offset, length, reason };
        let step = self.step(number).ok_or(rejected(0, 0, Reason::Units))?;
        let unit = self.module.units[number];
        let (code, mut at) = (&self.module.code[..unit.end as usize], unit.start);
        let mut accepted = Accepted::default();
        if number >= self.module.functions {
            let thunk = thunk::thunk(step.signature.parameters.words.len(), step.signature.results.words.len());
            let same = thunk.is_some_and(|thunk| thunk.code == code[at as usize..]);
            return if same { Ok(accepted) } else { Err(rejected(at, 0, Reason::Thunk)) };
        }
        // (Even two bytes may have a thousand parameters and as many results.)
        let size = 4 + (unit.end - at) as usize + claims.labels.len() + claims.narrow.len() + claims.facts.len();
        step.enter(state, MOST_WORK * size as u64);
        let mut instruction = Instruction::default();
        let mut function = Function { step, claims, entries: &self.entries, next_label: 0, look: 0, reachable: true };
        while at < unit.end {
            // What cannot be decoded is at most 15 bytes long.
            let most = (unit.end - at).min(15);
            if at >= function.look {
                function.label(state, at).map_err(|reason| rejected(at, most, reason))?;
            }
            decode(&mut instruction, code, at).map_err(|reason| rejected(at, most, reason))?;
            let no = |reason| rejected(at, instruction.length.into(), reason);
            function.instruction(state, &instruction).map_err(no)?;
            if state.work > state.most_work {
                return Err(no(Reason::Work));
            }
            accepted.features |= instruction.form.feature;
            accepted.instructions += 1;
            at = instruction.end();
        }
        match function.next_label == claims.labels.len() {
            _ if function.reachable => Err(rejected(at, 0, Reason::FallsOff)),
            true => Ok(accepted),
            false => Err(rejected(at, 0, Reason::LabelMissed)),
        }
    }
}

/// One function on its way through the checker.
struct Function<'a> {
    step: Step<'a>,
    claims: &'a Claims,
    next_label: usize,
    /// From here on an instruction may be a label, or is not reachable.
    look: u32,
    /// Whether anything goes to the next instruction.
    reachable: bool,
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
        let label = self.claims.labels.get(self.next_label).filter(|label| label.offset == at).ok_or(Reason::LabelMissed)?;
        if self.reachable {
            implied(state, None, label, self.claims)?;
        }
        if u64::from(label.depth) >= layout::MAX_FRAME {
            return Err(Reason::LabelDepth);
        }
        state.forget();
        state.depth = label.depth;
        let (narrow, facts) = (self.claims.narrow_of(label), self.claims.facts_of(label));
        // (Labels may have the same claims.)
        state.work += (narrow.len() + facts.len()) as u64;
        for &(chunk, narrow) in narrow {
            let last = 64 * u64::from(chunk) + u64::from(narrow.checked_ilog2().unwrap_or(0));
            if !state.exists(last) {
                return Err(Reason::Claims);
            }
            state.put_narrow(chunk, narrow);
        }
        for &(location, claim) in facts {
            let exists = |location: Location| state.exists(location.into());
            match claim {
                Claim::Same(other) if exists(location) && exists(other) => state.same(location, other),
                Claim::Fact(fact) if exists(location) => state.put(location, fact, state.get(location).value),
                _ => return Err(Reason::Claims),
            }
        }
        self.next_label += 1;
        (self.look, self.reachable) = (next(self.next_label), true);
        Ok(())
    }

    /// Judges an instruction, checks the ways out of it, and leaves what is known on the way to the next one.
    #[inline(always)]
    fn instruction(&mut self, state: &mut State, instruction: &Instruction) -> Result<(), Reason> {
        if instruction.form.transfer == Transfer::Next {
            return self.step.ordinary(state, instruction);
        }
        match self.step.run(state, instruction)? {
            Next::Fall => return Ok(()),
            Next::Stop => {}
            Next::Jump(target) => self.goes_to(state, None, target)?,
            Next::Branch(target) => {
                let taken = state.flags.refine(instruction.form.condition, true);
                self.goes_to(state, taken, target)?;
                state.learn(state.flags.refine(instruction.form.condition, false));
                return Ok(());
            }
            Next::Table(data, last) => {
                let module = self.step.module;
                // Jump tables do not overlap, so no code can make the checker read one many times. (The compiler tries
                // claims twice.)
                let count = u64::from(last) + 1;
                if self.entries.fetch_add(count, Ordering::Relaxed) > module.data.len() as u64 {
                    return Err(Reason::TableShared);
                }
                for n in 0..=last as usize {
                    let entry = module.data.get(data as usize + 4 * n..).and_then(<[u8]>::first_chunk);
                    let entry = i64::from(i32::from_le_bytes(*entry.ok_or(Reason::DataEdge)?));
                    state.most_work += 4 * MOST_WORK;
                    let target = (module.data_start + u64::from(data)).wrapping_add_signed(entry);
                    self.goes_to(state, None, target)?;
                }
            }
        }
        (self.reachable, self.look) = (false, 0);
        Ok(())
    }

    fn goes_to(&self, state: &mut State, taken: Option<Known>, target: u64) -> Result<(), Reason> {
        let label = u32::try_from(target).ok().and_then(|target| self.claims.at(target)).ok_or(Reason::BranchTarget)?;
        implied(state, taken, label, self.claims)
    }
}

/// Whether a label's claims follow from what is known; `refined` is known in addition.
fn implied(state: &mut State, refined: Option<Known>, label: &Label, claims: &Claims) -> Result<(), Reason> {
    let (narrow, facts) = (claims.narrow_of(label), claims.facts_of(label));
    state.work += (narrow.len() + facts.len()) as u64;
    if state.depth != label.depth {
        return Err(Reason::LabelDepth);
    }
    for &(chunk, claimed) in narrow {
        // What is known in addition is only asked of where it is needed.
        let more = claimed & !state.narrow(chunk);
        state.work += u64::from(more.count_ones());
        for location in bits(more).map(|bit| chunk.wrapping_mul(64) + bit) {
            if !state.known(location, refined).is_narrow() {
                return Err(Reason::Missing(location, "zero-extended, as claimed at the label"));
            }
        }
    }
    if state.work > state.most_work {
        return Err(Reason::Work);
    }
    for &(location, claim) in facts {
        match claim {
            Claim::Fact(fact) if !fact::implies(state.known(location, refined), fact) => {
                return Err(Reason::Missing(location, fact.words()));
            }
            Claim::Same(other) if state.get(location).value == 0 || state.get(location).value != state.get(other).value => {
                return Err(Reason::Missing(location, "the value claimed to be in another place too"));
            }
            _ => {}
        }
    }
    Ok(())
}
