//! One instruction: from what is known before it to what is known after it, or a rejection.
//!
//! [`Step::run`] is the checker's only judgement of ordinary instructions. It takes a state and a decoded instruction, checks
//! every access and transfer against `spec/sandbox.rules` §10 and §11, and changes the state to what holds afterwards. What it
//! says of a jump's target is checked against the claims by `lib`.

use crate::fact::{self, Fact, Field, Flags, MAX32, OWN, Reason, Region, View};
use crate::form::{Effect, FlagsEffect, IMMEDIATE, Instruction, MEMORY, NONE, Operand, RIP, Transfer, VECTOR};
use crate::layout::{self, InstanceLayout};
use crate::module::{Index, Module, Places, Signature};
use crate::state::{Known, Location, R15, RAX, RSP, State, bits};

/// Where control goes, in offsets of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the next instruction only, perhaps by way of a function that is called.
    Fall,
    /// To a place in this function.
    Jump(u64),
    /// There if the form's condition holds, else to the next instruction; [`Flags::refine`] says what is then known.
    Branch(u64),
    /// To one of the entries 0 to the second number of the jump table at the first one in the read-only data.
    Table(u32, u32),
    /// Out of the function: a return or a trap.
    Stop,
}

/// What there is to say of memory that is accessed.
#[derive(Clone, Copy)]
struct Target {
    /// What is known of the value from the first byte on, but in the frame; `entry`, if it is sign-extended from a word of a jump
    /// table.
    loaded: Fact,
    /// The words of the frame that are touched, if any; whether it begins where a word does, and stays inside.
    first: Location,
    last: Location,
    aligned: bool,
    /// The register that points at a slot, if this is the slot's signature.
    slot: u8,
}

const NOTHING: Target = Target { loaded: Fact::UNKNOWN, first: 1, last: 0, aligned: false, slot: NONE };

/// What instructions of one function are judged by.
pub struct Step<'m> {
    pub module: &'m Module<'m>,
    pub layout: &'m InstanceLayout,
    /// Where functions begin.
    pub functions: &'m Index,
    /// The function's own signature.
    pub signature: &'m Signature,
}

type Judged<T> = Result<T, Reason>;

impl Step<'_> {
    /// What is known at the function's first instruction. r15 is where the instance's own memory begins.
    pub fn enter(&self, state: &mut State, most_work: u64) {
        let own = Fact::memory(OWN, 0);
        state.enter(self.signature, if self.module.own_memory { own } else { Fact::UNKNOWN }, most_work);
    }

    /// The type of the function that begins at an offset.
    pub fn function_at(&self, offset: u64) -> Option<u32> {
        self.module.units.get(self.functions.find(u32::try_from(offset).ok()?)?).map(|unit| unit.ty)
    }

    /// Judges one instruction.
    pub fn run(&self, state: &mut State, i: &Instruction) -> Judged<Next> {
        match i.form.transfer {
            Transfer::Next => self.ordinary(state, i).map(|()| Next::Fall),
            Transfer::Jump => Ok(Next::Jump(i.target())),
            Transfer::JumpIf => Ok(Next::Branch(i.target())),
            Transfer::JumpRegister => {
                let register @ ..16 = i.place(0) else { return Err(Reason::Operands) };
                let entry = state.register(register).as_target();
                let (data, last) = entry.ok_or(Reason::missing(register, "an entry of a jump table"))?;
                Ok(Next::Table(data, last))
            }
            Transfer::Call => self.call(state, self.function_at(i.target()).ok_or(Reason::CallTarget)?),
            Transfer::CallMemory => self.call_memory(state, i),
            Transfer::Return => self.returns(state, i),
            Transfer::Trap => Ok(Next::Stop),
        }
    }

    // -- instructions that go on --

    /// Judges one that goes on to the next.
    #[inline(always)]
    pub fn ordinary(&self, state: &mut State, i: &Instruction) -> Judged<()> {
        let (form, operand, to) = (i.form, i.operand(0), i.place(0));
        if to == RSP {
            return self.move_stack(state, i);
        }
        let written = operand.is(Operand::WRITTEN);
        if to == R15 && written {
            return Err(Reason::Role);
        }
        let target = match i.accessed() {
            Some(operand) => self.access(state, i, operand)?,
            None => NOTHING,
        };
        if form.moves {
            // A whole register copied to a register or word, or back, keeps its value.
            let from = i.place(1);
            match (to, from) {
                (..16, ..16) => state.copy(from.into(), to.into()),
                (MEMORY, ..16) if target.aligned => state.copy(from.into(), target.first),
                (..16, MEMORY) if target.aligned => state.copy(target.first, to.into()),
                _ => self.assign(state, i, &target),
            }
            return Ok(());
        }
        // No instruction both changes the flags and selects by them.
        match form.flags {
            FlagsEffect::Kept => {}
            FlagsEffect::Undefined => state.flags.value = 0,
            FlagsEffect::Compare(a, b) => state.flags = self.compare(state, i, (a, b), &target),
        }
        if matches!(form.effect, Effect::Address) {
            let address = self.address_value(state, i)?;
            state.set(to, address.low(operand.width));
            return Ok(());
        }
        self.assign(state, i, &target);
        Ok(())
    }

    /// What an instruction leaves in operand 0 and the registers that it writes besides.
    fn assign(&self, state: &mut State, i: &Instruction, target: &Target) {
        let (form, operand, to) = (i.form, i.operand(0), i.place(0));
        let result = self.result(state, i, target);
        for register in bits((form.implicit | form.implicit32).into()) {
            let whole = form.implicit & 1 << register != 0;
            state.set(register as u8, if whole { Fact::UNKNOWN } else { Fact::ZERO_EXTENDED });
        }
        match to {
            _ if !operand.is(Operand::WRITTEN) => {}
            // What is narrower leaves the rest of the register as it was.
            ..16 => state.set(to, if operand.width >= 4 { result.low(operand.width) } else { Fact::UNKNOWN }),
            VECTOR..MEMORY => {}
            _ => {
                let whole = target.aligned && to == MEMORY && operand.width == 8;
                let fact = if whole { result } else { Fact::UNKNOWN };
                (target.first..=target.last).for_each(|location| state.put(location, fact, 0));
            }
        }
    }

    fn move_stack(&self, state: &mut State, i: &Instruction) -> Judged<()> {
        let by = i64::try_from(i.immediate).unwrap_or(-1);
        let before = i64::from(state.depth);
        let depth = if matches!(i.form.effect, Effect::Add(0, 1)) { before - by } else { before + by };
        if by <= 0 || by % 8 != 0 || depth < 0 || depth as u64 >= layout::MAX_FRAME {
            return Err(Reason::StackMove);
        }
        state.flags.value = 0;
        state.forget_words(state.depth, depth as u32);
        state.depth = depth as u32;
        Ok(())
    }

    /// What is known of the result in operand 0.
    fn result(&self, state: &State, i: &Instruction, target: &Target) -> Fact {
        let wide = i.operand(0).width == 8;
        let of = |n: u8| self.operand(state, i, n, target);
        let count = |n: u8| {
            let most = if wide { 63 } else { 31 };
            if i.place(n) == IMMEDIATE { Some(i.immediate & most) } else { None }
        };
        let fact = match i.form.effect {
            Effect::Nothing | Effect::Unknown | Effect::Address => Fact::UNKNOWN,
            Effect::Zero => Fact::max(0),
            Effect::Copy(a) => of(a),
            Effect::SignExtend(a) if wide && target.loaded.is_entry() && i.place(a) == MEMORY => target.loaded,
            Effect::SignExtend(_) => Fact::UNKNOWN,
            Effect::Add(a, b) => fact::add(of(a), of(b), self.module),
            Effect::And(a, b) => fact::bit_and(of(a), of(b)),
            Effect::Or(a, b) => fact::bit_or(of(a), of(b)),
            Effect::Xor(a, b) => fact::bit_xor(of(a), of(b)),
            Effect::ShiftLeft(a, b) => count(b).map_or(Fact::UNKNOWN, |count| fact::shift_left(of(a), count)),
            Effect::ShiftRight(a, b) => match count(b) {
                Some(count) => fact::shift_right(of(a), count),
                None => fact::shift_right_any(of(a), Fact::UNKNOWN),
            },
            Effect::Select(a, b) => {
                let more = |holds| state.flags.refine(i.form.condition, holds);
                let chosen = |n: u8, holds: bool| match i.place(n) {
                    register @ ..16 => state.known(register.into(), more(holds)).low(i.operand(n).width),
                    _ => of(n),
                };
                fact::either(chosen(a, true), chosen(b, false))
            }
        };
        fact.plain()
    }

    /// What is known of an operand's value, zero-extended from its width.
    fn operand(&self, state: &State, i: &Instruction, n: u8, target: &Target) -> Fact {
        let width = i.operand(n).width;
        match i.place(n) {
            register @ ..16 => state.register(register).low(width),
            // The destination says how wide a sign-extended immediate is.
            IMMEDIATE => Fact::max(if i.operand(0).width == 4 { i.immediate & MAX32 } else { i.immediate }).plain(),
            MEMORY if target.aligned => state.get(target.first).fact.low(width),
            MEMORY => target.loaded.low(width),
            _ => Fact::UNKNOWN,
        }
    }

    fn compare(&self, state: &mut State, i: &Instruction, (a, b): (u8, u8), target: &Target) -> Flags {
        let width = i.operand(a).width;
        let register = i.place(a);
        if register >= R15 || width < 4 {
            return Flags::default();
        }
        let now = state.register(register);
        if let (MEMORY, Some(ty), 4, 0..16) = (i.place(b), now.as_signature(), width, target.slot) {
            let Known { value, fact: now } = state.valued(target.slot.into());
            return Flags { value, now, with: Fact::UNKNOWN, signature: Some(ty) };
        }
        let with = self.operand(state, i, b, target);
        if width == 4 && !now.is_narrow() {
            return Flags::default();
        }
        Flags { value: state.valued(register.into()).value, now, with, signature: None }
    }

    // -- accesses --

    /// What is known of the memory operand's address without its displacement.
    fn address(&self, state: &State, i: &Instruction) -> Fact {
        let index = || match i.scale {
            0 => state.register(i.index),
            scale => fact::shift_left(state.register(i.index), scale.into()).plain(),
        };
        match (i.base, i.index) {
            (RIP, _) => Fact::UNKNOWN,
            (NONE, NONE) => Fact::max(0),
            (base, NONE) => state.register(base),
            (NONE, _) => index(),
            (base, _) => fact::add(state.register(base), index(), self.module).plain(),
        }
    }

    /// What is known of an address that is computed, not accessed.
    fn address_value(&self, state: &State, i: &Instruction) -> Judged<Fact> {
        if i.base == RIP {
            let offset = i.displacement.wrapping_add(i.end().into()).wrapping_sub(self.module.data_start);
            let inside = offset < self.module.data_size();
            return if inside { Ok(Fact::data(offset as u32)) } else { Err(Reason::DataAddress) };
        }
        if i.base == RSP {
            return Err(Reason::Address);
        }
        if (i.base, i.index) == (R15, NONE)
            && let Some((Field::FunctionImport(import), 0)) = self.field(i.displacement, layout::SLOT_SIZE as u32)
        {
            return Ok(Fact::import(import));
        }
        Ok(match (self.address(state, i), i.displacement) {
            (sum, 0) => sum,
            (sum, ..=MAX32) => fact::add(sum, Fact::max(i.displacement), self.module).plain(),
            _ => Fact::UNKNOWN,
        })
    }

    /// The field that some bytes at a distance from r15 lie in.
    fn field(&self, displacement: u64, width: u32) -> Option<(Field, u32)> {
        let (field, offset) = fact::field(self.layout, &self.module.shape, displacement as i64)?;
        (offset + width <= field.size()).then_some((field, offset))
    }

    /// Judges an access by its shape, and says what it refers to.
    fn access(&self, state: &State, i: &Instruction, operand: &Operand) -> Judged<Target> {
        let (displacement, width, written) = (i.displacement, u64::from(operand.width), operand.is(Operand::WRITTEN));
        match (i.base, i.index) {
            (RIP, _) => return Err(Reason::Address),
            (RSP, NONE) => return self.frame(state, displacement, width),
            (RSP, _) => return Err(Reason::Frame),
            (R15, NONE) if (displacement as i64) < 0 => {
                let (field, offset) = self.field(displacement, width as u32).ok_or(Reason::Field)?;
                let loaded = if offset == 0 { field.holds() } else { Fact::UNKNOWN };
                let allowed = field.writable() || !written;
                return if allowed { Ok(Target { loaded, ..NOTHING }) } else { Err(Reason::ReadOnly) };
            }
            _ => {}
        }
        let allowed =
            |region: &Region| if written && !region.writable(self.module) { Err(Reason::ReadOnly) } else { Ok(()) };
        let address = self.address(state, i);
        if let Some(region) = fact::plain(address, displacement, width, self.module) {
            allowed(&region)?;
            let signature = matches!(region, Region::Slots(_)) && i.index == NONE && displacement == SIGNATURE;
            return Ok(Target { loaded: region.holds(), slot: if signature { i.base } else { NONE }, ..NOTHING });
        }
        let known = if i.base < 16 { state.register(i.base) } else { Fact::UNKNOWN };
        let Some(data) = known.as_data().filter(|_| (i.scale, width, displacement) == (2, 4, 0) && i.index != NONE) else {
            return Err(refused(i, address, known));
        };
        let last = state.register(i.index);
        let region = fact::word(known, last, self.module).ok_or(Reason::DataEdge)?;
        let last = u32::try_from(last.bound()).map_err(|_| Reason::DataEdge)?;
        allowed(&region)?;
        Ok(Target { loaded: Fact::entry(data, last), ..NOTHING })
    }

    /// `[rsp + d]`: in the frame, or in the area that the caller owns; never the return address.
    fn frame(&self, state: &State, displacement: u64, width: u64) -> Judged<Target> {
        fact::stack(displacement, width, state.depth.into(), self.signature.words().into()).ok_or(Reason::Frame)?;
        let start = displacement as i64 - i64::from(state.depth);
        let word = |at: i64| state.word(at).ok_or(Reason::Frame);
        let first = word(start)?;
        if start & 7 == 0 && width <= 8 {
            return Ok(Target { first, last: first, aligned: true, ..NOTHING });
        }
        let last = word(start + width as i64 - 1)?;
        Ok(Target { first: first.min(last), last: first.max(last), ..NOTHING })
    }

    // -- calls and returns --

    /// Checks what a call of a type needs, and leaves what it leaves.
    fn call(&self, state: &mut State, ty: u32) -> Judged<Next> {
        let callee = self.module.types.get(ty as usize).ok_or(Reason::Type)?;
        if 8 * callee.words() > state.depth {
            return Err(Reason::CallArea);
        }
        zero_extended(state, &callee.parameters, -i64::from(state.depth), "a zero-extended i32 parameter")?;
        state.after_call(callee);
        Ok(Next::Fall)
    }

    /// Through the gate, an import's slot or a checked slot.
    fn call_memory(&self, state: &mut State, i: &Instruction) -> Judged<Next> {
        match (i.base, i.index, i.displacement) {
            (R15, NONE, displacement) => match self.field(displacement, 8) {
                Some((Field::Gate, 0)) => {
                    state.after_call(&Signature::default());
                    // A gate's result is an i32.
                    state.set(RAX, Fact::ZERO_EXTENDED);
                    Ok(Next::Fall)
                }
                Some((Field::FunctionImport(import), offset)) if offset == layout::SLOT_CODE as u32 => {
                    if state.register(RAX) != Fact::import(import) {
                        return Err(Reason::missing(RAX, "the address of the import's slot"));
                    }
                    self.call(state, *self.module.import_types.get(import as usize).ok_or(Reason::Type)?)
                }
                _ => Err(Reason::CallTarget),
            },
            (RAX, NONE, CODE) => match state.register(RAX).as_callable() {
                Some((_, ty)) => self.call(state, ty),
                None => Err(Reason::missing(RAX, "the address of a slot with a checked signature")),
            },
            _ => Err(Reason::CallTarget),
        }
    }

    fn returns(&self, state: &State, i: &Instruction) -> Judged<Next> {
        if state.depth != 0 || i.immediate != u64::from(self.signature.pop()) {
            return Err(Reason::Return);
        }
        let from = 8 + i64::from(self.signature.pop());
        zero_extended(state, &self.signature.results, from, "a zero-extended i32 result")?;
        Ok(Next::Stop)
    }
}

const CODE: u64 = layout::SLOT_CODE as u64;
const SIGNATURE: u64 = layout::SLOT_SIGNATURE as u64;

/// Whether parameters or results are zero-extended, the words from a distance of where rsp was at entry.
fn zero_extended(state: &State, places: &Places, from: i64, what: &'static str) -> Judged<()> {
    match state.zero_extended(places, from).find(|location| !state.get(*location).fact.is_narrow()) {
        Some(location) => Err(Reason::Missing(location, what)),
        None => Ok(()),
    }
}

/// Why there is no region for an access.
#[cold]
fn refused(i: &Instruction, address: Fact, known: Fact) -> Reason {
    match address.view() {
        View::Memory { .. } if i.displacement as i64 >= 0 => Reason::Reservation,
        View::Table(_) => Reason::TableHeader,
        View::Slot(_) | View::Callable { .. } => Reason::SlotEdge,
        View::Cell(_) => Reason::CellEdge,
        View::Data(_) => Reason::DataEdge,
        // Name the register whose fact is missing: the index under a known base, else the base.
        _ if known.is_memory() && i.index != NONE => Reason::missing(i.index, "a bound that keeps the access inside"),
        _ => Reason::missing(i.base, "the address of something that may be accessed"),
    }
}
