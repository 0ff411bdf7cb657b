//! One instruction: from what is known before it to what is known after it, or a rejection.
//!
//! [`Step::run`] is the checker's only judgement of ordinary instructions. It takes a state and a decoded instruction, checks
//! every access and transfer against `spec/sandbox.rules` §10 and §11, and changes the state to what holds afterwards. What it
//! says of a jump's target is checked against the claims by `lib`.

use crate::fact::{self, Fact, Field, Flags, MAX32, OWN, Reason, Region};
use crate::form::{Effect, FlagsEffect, Found, Instruction, NONE, Operand, RIP, Transfer};
use crate::layout::{self, InstanceLayout};
use crate::module::{Module, Places, Signature};
use crate::reject::Place;
use crate::state::{R15, RAX, RSP, State, bits};

/// Where control goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the next instruction only; it may fault in linear memory.
    Fall {
        faults: bool,
    },
    /// To a place in this function (an offset in the code).
    Jump {
        target: u64,
    },
    /// There if the condition with this number holds, else to the next instruction; [`State::refined`] says what is then known.
    Branch {
        target: u64,
        condition: u8,
    },
    /// To one of the entries 0 to `last` of a jump table.
    Table {
        data: u32,
        last: u32,
    },
    /// To a function and back to the next instruction.
    Call,
    /// Out of the function: a return or a trap.
    Return,
    Trap,
}

/// What there is to say of memory that is accessed.
#[derive(Clone, Copy)]
struct Target {
    /// What is known of the value from the first byte on; `entry`, if it is sign-extended from a word of a jump table.
    loaded: Fact,
    /// Numbers of the words of the frame that are touched, if any; whether it begins where a word does, and stays inside.
    first: u32,
    last: u32,
    aligned: bool,
    /// It is linear memory.
    faults: bool,
    /// The register that points at a slot, if this is the slot's signature.
    slot: u8,
}

const NOTHING: Target = Target { loaded: Fact::Unknown, first: 1, last: 0, aligned: false, faults: false, slot: NONE };

/// What instructions of one function are judged by.
pub struct Step<'m> {
    pub module: &'m Module<'m>,
    pub layout: &'m InstanceLayout,
    /// The function's own signature.
    pub signature: &'m Signature,
}

type Judged<T> = Result<T, Reason>;

fn missing<T>(place: Place, what: &'static str) -> Judged<T> {
    Err(Reason::Missing(place, what))
}

impl Step<'_> {
    /// What is known at the function's first instruction. r15 is where the instance's own memory begins.
    pub fn enter(&self, state: &mut State) {
        let own = Fact::Memory { memory: OWN, max: 0 };
        state.enter(self.signature, if self.module.own_memory { own } else { Fact::Unknown });
    }

    /// Judges one instruction.
    #[inline]
    pub fn run(&self, state: &mut State, i: &Instruction) -> Judged<Next> {
        Ok(match i.form.transfer {
            Transfer::Next => Next::Fall { faults: self.ordinary(state, i)? },
            Transfer::Jump => Next::Jump { target: i.immediate },
            Transfer::JumpIf => Next::Branch { target: i.immediate, condition: i.form.condition },
            Transfer::JumpRegister => {
                let Found::Register(register) = i.found(0) else { return Err(Reason::Operands) };
                let Fact::Target { data, last } = state.register(register) else {
                    return missing(Place::Register(register.into()), "an entry of a jump table");
                };
                Next::Table { data, last }
            }
            Transfer::Call => {
                self.call(state, self.module.function_at(i.immediate).ok_or(Reason::CallTarget)?)?;
                Next::Call
            }
            Transfer::CallMemory => {
                self.call_memory(state, i)?;
                Next::Call
            }
            Transfer::Return => {
                self.leave(state, i)?;
                Next::Return
            }
            Transfer::Trap => Next::Trap,
        })
    }

    // -- instructions that go on --

    /// Gives whether the instruction may fault in linear memory.
    fn ordinary(&self, state: &mut State, i: &Instruction) -> Judged<bool> {
        let (form, operand, to) = (i.form, i.operand(0), i.found(0));
        if to == Found::Register(RSP) {
            return self.move_stack(state, i).map(|()| false);
        }
        let written = operand.is(Operand::WRITTEN);
        if written && to == Found::Register(R15) {
            return Err(Reason::Role);
        }
        let target = match i.accessed() {
            Some(operand) => self.access(state, i, operand)?,
            None => NOTHING,
        };
        let flags = match form.flags {
            FlagsEffect::Kept => state.flags,
            FlagsEffect::Undefined => Flags::Unknown,
            FlagsEffect::Compare(a, b) => self.compare(state, i, (a, b), &target),
        };
        if matches!(form.effect, Effect::Copy(1)) && operand.width == 8 && i.operand(1).width == 8 {
            // A whole register copied to a register or word, or back, keeps its value.
            let copied = match (to, i.found(1)) {
                (Found::Register(to), Found::Register(from)) => Some(state.copy_register(from, to)),
                (Found::Memory, Found::Register(from)) if target.aligned => Some(state.store(from, target.first)),
                (Found::Register(to), Found::Memory) if target.aligned => Some(state.load(target.first, to)),
                _ => None,
            };
            if copied.is_some() {
                state.flags = flags;
                return Ok(false);
            }
        }
        let result = if matches!(form.effect, Effect::Address) {
            self.address_value(state, i)?
        } else {
            self.result(state, i, &target)
        };
        state.flags = flags;
        for register in bits(form.implicit | form.implicit32) {
            let whole = form.implicit & 1 << register != 0;
            state.set(register, if whole { Fact::Unknown } else { Fact::ZERO_EXTENDED });
        }
        match to {
            _ if !written => {}
            // What is narrower leaves the rest of the register as it was.
            Found::Register(register) => {
                state.set(register, if operand.width >= 4 { result.low(operand.width) } else { Fact::Unknown });
            }
            Found::Memory => {
                let whole = target.aligned && !operand.is(Operand::VECTOR) && operand.width == 8;
                let fact = if whole { result } else { Fact::Unknown };
                (target.first..=target.last).for_each(|number| state.words.set(number, fact, 0));
            }
            _ => {}
        }
        Ok(target.faults)
    }

    fn move_stack(&self, state: &mut State, i: &Instruction) -> Judged<()> {
        let by = i64::try_from(i.immediate).unwrap_or(-1);
        let before = i64::from(state.depth);
        let depth = if matches!(i.form.effect, Effect::Add(0, 1)) { before - by } else { before + by };
        if by <= 0 || by % 8 != 0 || depth < 0 || depth as u64 >= layout::MAX_FRAME {
            return Err(Reason::StackMove);
        }
        state.flags = Flags::Unknown;
        state.words.forget(state.depth, depth as u32);
        state.depth = depth as u32;
        Ok(())
    }

    /// What is known of the result in operand 0.
    fn result(&self, state: &State, i: &Instruction, target: &Target) -> Fact {
        let of = |n: u8| self.operand(state, i, n, target);
        let count = |n: u8| {
            let most = if i.operand(0).width == 8 { 63 } else { 31 };
            if i.found(n) == Found::Immediate { Some(i.immediate & most) } else { None }
        };
        let fact = match i.form.effect {
            Effect::Nothing | Effect::Unknown | Effect::Address => Fact::Unknown,
            Effect::Zero => Fact::Max(0),
            Effect::Copy(a) => of(a),
            Effect::SignExtend(a) => match target.loaded {
                entry @ Fact::Entry { .. } if i.found(a) == Found::Memory && i.operand(0).width == 8 => entry,
                _ => Fact::Unknown,
            },
            Effect::Add(a, b) => fact::add(of(a), of(b), self.module),
            Effect::And(a, b) => fact::bit_and(of(a), of(b)),
            Effect::Or(a, b) => fact::bit_or(of(a), of(b)),
            Effect::Xor(a, b) => fact::bit_xor(of(a), of(b)),
            Effect::ShiftLeft(a, b) => count(b).map_or(Fact::Unknown, |count| fact::shift_left(of(a), count)),
            Effect::ShiftRight(a, b) => match count(b) {
                Some(count) => fact::shift_right(of(a), count),
                None => fact::shift_right_any(of(a), Fact::Unknown),
            },
            Effect::Select(a, b) => {
                let chosen = |n: u8, holds: bool| match (i.found(n), state.flags.refine(i.form.condition, holds)) {
                    (Found::Register(register), Some((value, fact))) if state.value_at(register.into()) == value => fact,
                    _ => of(n),
                };
                fact::either(chosen(a, true), chosen(b, false))
            }
        };
        fact.plain()
    }

    /// What is known of an operand's value, zero-extended from its width.
    #[inline]
    fn operand(&self, state: &State, i: &Instruction, n: u8, target: &Target) -> Fact {
        let width = i.operand(n).width;
        match i.found(n) {
            Found::Register(register) => state.register(register).low(width),
            Found::Memory => target.loaded.low(width),
            // The destination says how wide a sign-extended immediate is.
            Found::Immediate => Fact::Max(if i.operand(0).width == 4 { i.immediate & MAX32 } else { i.immediate }).plain(),
            Found::Vector => Fact::Unknown,
        }
    }

    fn compare(&self, state: &mut State, i: &Instruction, (a, b): (u8, u8), target: &Target) -> Flags {
        let width = i.operand(a).width;
        let register = match i.found(a) {
            Found::Register(register) if register != R15 && width >= 4 => register,
            _ => return Flags::Unknown,
        };
        let now = state.register(register);
        if let (Found::Memory, Fact::Signature(ty), 4, 0..16) = (i.found(b), now, width, target.slot) {
            return Flags::Signature { slot: state.value(target.slot), now: state.register(target.slot), ty };
        }
        let with = self.operand(state, i, b, target);
        if width == 4 && now.bound() > MAX32 {
            return Flags::Unknown;
        }
        Flags::Compared { value: state.value(register), now, with }
    }

    // -- accesses --

    /// What is known of the memory operand's address without its displacement.
    #[inline]
    fn address(&self, state: &State, i: &Instruction) -> Fact {
        let index = || match i.scale {
            0 => state.register(i.index),
            scale => fact::shift_left(state.register(i.index), scale.into()).plain(),
        };
        match (i.base, i.index) {
            (RIP, _) => Fact::Unknown,
            (NONE, NONE) => Fact::Max(0),
            (base, NONE) => state.register(base),
            (NONE, _) => index(),
            (base, _) => fact::add(state.register(base), index(), self.module).plain(),
        }
    }

    /// What is known of an address that is computed, not accessed.
    fn address_value(&self, state: &State, i: &Instruction) -> Judged<Fact> {
        if i.base == RIP {
            return match u32::try_from(i.displacement.wrapping_sub(self.module.data_start)) {
                Ok(offset) if (offset as usize) < self.module.data.len() => Ok(Fact::Data(offset)),
                _ => Err(Reason::DataAddress),
            };
        }
        if i.base == RSP {
            return Err(Reason::Address);
        }
        if (i.base, i.index) == (R15, NONE)
            && let Some((Field::FunctionImport(import), 0)) = self.field(i.displacement, layout::SLOT_SIZE as u32)
        {
            return Ok(Fact::Import(import));
        }
        Ok(match (self.address(state, i), i.displacement) {
            (sum, 0) => sum,
            (sum, ..=MAX32) => fact::add(sum, Fact::Max(i.displacement), self.module).plain(),
            _ => Fact::Unknown,
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
                let loaded = if offset == 0 { field.holds() } else { Fact::Unknown };
                let allowed = field.writable() || !written;
                return if allowed { Ok(Target { loaded, ..NOTHING }) } else { Err(Reason::ReadOnly) };
            }
            _ => {}
        }
        let address = self.address(state, i);
        if let Some(region) = fact::plain(address, displacement, width, self.module) {
            if written && !region.writable(self.module) {
                return Err(Reason::ReadOnly);
            }
            let signature = matches!(region, Region::Slots(_)) && i.index == NONE && displacement == SIGNATURE;
            let faults = matches!(region, Region::Linear(_));
            return Ok(Target { loaded: region.holds(), faults, slot: if signature { i.base } else { NONE }, ..NOTHING });
        }
        let known = if i.base < 16 { state.register(i.base) } else { Fact::Unknown };
        match known {
            Fact::Data(data) if (i.scale, width, displacement) == (2, 4, 0) && i.index != NONE => {
                let last = state.register(i.index);
                let region = fact::word(known, last, self.module).ok_or(Reason::DataEdge)?;
                let last = u32::try_from(last.bound()).map_err(|_| Reason::DataEdge)?;
                if written && !region.writable(self.module) {
                    return Err(Reason::ReadOnly);
                }
                Ok(Target { loaded: Fact::Entry { data, last }, ..NOTHING })
            }
            _ => Err(refused(i, address, known)),
        }
    }

    /// `[rsp + d]`: in the frame, or in the area that the caller owns; never the return address.
    #[inline]
    fn frame(&self, state: &State, displacement: u64, width: u64) -> Judged<Target> {
        fact::stack(displacement, width, state.depth.into(), self.signature.words().into()).ok_or(Reason::Frame)?;
        let start = displacement as i64 - i64::from(state.depth);
        let number = |at: i64| state.words.number(at).ok_or(Reason::Frame);
        let (first, last) = (number(start)?, number(start + width as i64 - 1)?);
        if first == last && start % 8 == 0 {
            return Ok(Target { loaded: state.word(first), first, last, aligned: true, ..NOTHING });
        }
        Ok(Target { first: first.min(last), last: first.max(last), ..NOTHING })
    }

    // -- calls and returns --

    /// Checks what a call of a type needs, and leaves what it leaves.
    fn call(&self, state: &mut State, ty: u32) -> Judged<()> {
        let callee = self.module.types.get(ty as usize).ok_or(Reason::Type)?;
        if 8 * callee.words() > state.depth {
            return Err(Reason::CallArea);
        }
        zero_extended(state, &callee.parameters, -i64::from(state.depth), "a zero-extended i32 parameter")?;
        state.after_call(callee);
        Ok(())
    }

    /// Through the gate, an import's slot or a checked slot.
    fn call_memory(&self, state: &mut State, i: &Instruction) -> Judged<()> {
        match (i.base, i.index, i.displacement) {
            (R15, NONE, displacement) => match self.field(displacement, 8) {
                Some((Field::Gate, 0)) => {
                    state.after_call(&Signature::default());
                    // A gate's result is an i32.
                    state.zero_extended(1 << RAX);
                    Ok(())
                }
                Some((Field::FunctionImport(import), offset)) if offset == layout::SLOT_CODE as u32 => {
                    if state.register(RAX) != Fact::Import(import) {
                        return missing(Place::Register(RAX.into()), "the address of the import's slot");
                    }
                    self.call(state, *self.module.import_types.get(import as usize).ok_or(Reason::Type)?)
                }
                _ => Err(Reason::CallTarget),
            },
            (RAX, NONE, CODE) => match state.register(RAX) {
                Fact::Callable { ty, .. } => self.call(state, ty),
                _ => missing(Place::Register(RAX.into()), "the address of a slot with a checked signature"),
            },
            _ => Err(Reason::CallTarget),
        }
    }

    fn leave(&self, state: &State, i: &Instruction) -> Judged<()> {
        if state.depth != 0 || i.immediate != u64::from(self.signature.pop()) {
            return Err(Reason::Return);
        }
        let from = 8 + i64::from(self.signature.pop());
        zero_extended(state, &self.signature.results, from, "a zero-extended i32 result")
    }
}

const CODE: u64 = layout::SLOT_CODE as u64;
const SIGNATURE: u64 = layout::SLOT_SIGNATURE as u64;

/// Whether parameters or results are zero-extended, the words from a distance of where rsp was at entry.
fn zero_extended(state: &State, places: &Places, from: i64, what: &'static str) -> Judged<()> {
    if let Some(register) = bits(state.not_zero_extended(places.narrow)).next() {
        return missing(Place::Register(register.into()), what);
    }
    for (at, _) in (0..).zip(&places.words).filter(|(_, narrow)| **narrow) {
        let at = from + 8 * at;
        if !state.words.number(at).is_some_and(|number| state.word(number).is_narrow()) {
            return missing(Place::Word(at), what);
        }
    }
    Ok(())
}

/// Why there is no region for an access.
#[cold]
fn refused(i: &Instruction, address: Fact, known: Fact) -> Reason {
    match address {
        Fact::Memory { .. } if i.displacement as i64 >= 0 => Reason::Reservation,
        Fact::Table(_) => Reason::TableHeader,
        Fact::Slot(_) | Fact::Callable { .. } => Reason::SlotEdge,
        Fact::Cell(_) => Reason::CellEdge,
        Fact::Data(_) => Reason::DataEdge,
        // Name the register whose fact is missing: the index under a known base, else the base.
        _ if matches!(known, Fact::Memory { .. }) && i.index != NONE => {
            Reason::missing(i.index, "a bound that keeps the access in the reservation")
        }
        _ => Reason::missing(i.base, "the address of something that may be accessed"),
    }
}
