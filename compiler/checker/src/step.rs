//! One instruction: from what is known before it to what is known after it, or a rejection.
//!
//! [`Step::run`] is the checker's only judgement of ordinary instructions. It takes a state and a decoded instruction, finds
//! the instruction's form, checks every access and transfer against `spec/sandbox.rules` §10 and §11, and changes the state
//! to what holds afterwards. What it says of a jump's target is checked against the claims by `lib`.

use crate::fact::{self, Fact, Field, Flags, MAX32, OWN, Reason, Region};
use crate::form::{Effect, FlagsEffect, Form, Found, Operand, Operands, Transfer, form, general};
use crate::layout::{self, InstanceLayout};
use crate::module::{Module, Signature};
use crate::reject::Place;
use crate::state::{R15, RAX, RSP, State};
use iced_x86::{Instruction, Register};

/// Where control goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the next instruction only.
    Fall,
    /// To a place in this function (an offset in the code).
    Jump { target: u64 },
    /// There if the condition with this number holds, else to the next instruction; [`State::refined`] says what is then known.
    Branch { target: u64, condition: u8 },
    /// To one of the entries 0 to `last` of a jump table.
    Table { data: u32, last: u32 },
    /// Out of the function: a return or a trap.
    End,
}

/// What else there is to say of an instruction.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub next: Next,
    /// It may fault in linear memory.
    pub faults: bool,
    pub traps: bool,
    pub calls: bool,
    /// CPU features it needs.
    pub feature: u32,
}

/// What a memory operand refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Region(Region),
    /// A word of the frame, whole.
    Word(u32),
    /// Part of the frame or of the caller's area: the words touched.
    Part(u32, u32),
    /// A field, and where in it.
    Field(Field, u32),
    /// A slot: the register that points at it, and where in it.
    Slot {
        register: usize,
        offset: u64,
    },
    /// One of the entries of a jump table.
    Entry {
        data: u32,
        last: u32,
    },
}

/// What instructions of one function are judged by.
pub struct Step<'m> {
    pub module: &'m Module<'m>,
    pub layout: &'m InstanceLayout,
    /// The function's own signature.
    pub signature: &'m Signature,
}

type Judged<T> = Result<T, Reason>;

impl Step<'_> {
    /// Judges one instruction; `bytes` are its bytes.
    pub fn run(&self, state: &mut State, instruction: &Instruction, bytes: &[u8]) -> Judged<Outcome> {
        let form = form(instruction.code()).ok_or(Reason::Form)?;
        let mut operands = Operands::default();
        if !form.operands(instruction, &mut operands) {
            return Err(Reason::Operands);
        }
        if !form.prefixes_fit(&operands, bytes) {
            return Err(Reason::Prefixes);
        }
        let mut outcome = Outcome { next: Next::Fall, faults: false, traps: false, calls: false, feature: form.feature };
        match form.transfer {
            Transfer::Next => outcome.faults = self.ordinary(state, instruction, form, &operands)?,
            Transfer::Jump => outcome.next = Next::Jump { target: instruction.near_branch_target() },
            Transfer::JumpIf => {
                outcome.next = Next::Branch { target: instruction.near_branch_target(), condition: form.condition };
            }
            Transfer::JumpRegister => {
                let Found::Register(register) = operands.found[0] else { return Err(Reason::Operands) };
                let Fact::Target { data, last } = state.registers[usize::from(register)] else {
                    return Err(Reason::Missing(Place::Register(register.into()), "an entry of a jump table"));
                };
                outcome.next = Next::Table { data, last };
            }
            Transfer::Call => {
                let target = instruction.near_branch_target();
                let units = &self.module.units[..self.module.functions];
                let unit = units.binary_search_by_key(&target, |unit| unit.start.into()).map_err(|_| Reason::CallTarget)?;
                self.call(state, units[unit].ty)?;
                outcome.calls = true;
            }
            Transfer::CallMemory => {
                self.call_memory(state, instruction)?;
                outcome.calls = true;
            }
            Transfer::Return => {
                self.leave(state, instruction)?;
                outcome.next = Next::End;
            }
            Transfer::Trap => {
                outcome.traps = true;
                outcome.next = Next::End;
            }
        }
        Ok(outcome)
    }

    // -- instructions that go on --

    /// Gives whether the instruction may fault in linear memory.
    fn ordinary(&self, state: &mut State, instruction: &Instruction, form: &Form, operands: &Operands) -> Judged<bool> {
        const STACK: Found = Found::Register(RSP as u8);
        let found = &operands.found;
        if found[0] == STACK {
            return self.move_stack(state, instruction, form).map(|()| false);
        }
        let target = match operands.memory {
            Some(n) => Some(self.access(state, instruction, &form.operands[usize::from(n)])?),
            None => None,
        };
        let context = Context { step: self, instruction, form, operands, target };
        let flags = match form.flags {
            FlagsEffect::Kept => state.flags,
            FlagsEffect::Undefined => Flags::Unknown,
            FlagsEffect::Compare(a, b) => context.compare(state, a, b),
        };
        if context.copy(state) {
            state.flags = flags;
            return Ok(false);
        }
        let result = match form.effect {
            Effect::Address => self.address_value(state, instruction)?,
            effect => context.result(state, effect).plain(),
        };
        state.flags = flags;
        let mut implicit = form.implicit | form.implicit32;
        while implicit != 0 {
            let n = implicit.trailing_zeros();
            let whole = form.implicit & 1 << n != 0;
            state.set(n as usize, if whole { Fact::Unknown } else { Fact::ZERO_EXTENDED });
            implicit &= implicit - 1;
        }
        for (n, operand) in form.operands.iter().enumerate() {
            if !operand.is(Operand::WRITTEN) {
                continue;
            }
            let fact = if n == 0 { result } else { Fact::Unknown };
            match (found[n], target) {
                (Found::Register(register), _) => {
                    if matches!(usize::from(register), R15 | RSP) {
                        return Err(Reason::Role);
                    }
                    let fact = match operand.width {
                        4 | 8 => fact.low(operand.width),
                        // The rest of the register stays as it was.
                        _ => Fact::Unknown,
                    };
                    state.set(register.into(), fact);
                }
                (Found::Memory, Some(Target::Word(number))) => {
                    let whole = !operand.is(Operand::VECTOR) && operand.width == 8;
                    state.words.set(number, if whole { fact } else { Fact::Unknown }, 0);
                }
                (Found::Memory, Some(Target::Part(first, last))) => {
                    (first..=last).for_each(|n| state.words.set(n, Fact::Unknown, 0));
                }
                _ => {}
            }
        }
        Ok(matches!(target, Some(Target::Region(Region::Linear(_)))))
    }

    fn move_stack(&self, state: &mut State, instruction: &Instruction, form: &Form) -> Judged<()> {
        let by = i64::try_from(instruction.immediate(1)).unwrap_or(-1);
        let before = i64::from(state.depth);
        let depth = if form.effect == Effect::Add(0, 1) { before - by } else { before + by };
        if by <= 0 || by % 8 != 0 || depth < 0 || depth as u64 >= layout::MAX_FRAME {
            return Err(Reason::StackMove);
        }
        state.flags = Flags::Unknown;
        state.words.forget(state.depth, depth as u32);
        state.depth = depth as u32;
        Ok(())
    }

    /// What is known of a register's value; r15 is where the instance's own memory begins.
    fn known(&self, state: &State, register: Register) -> Fact {
        match general(register) {
            Some((R15, _)) if self.module.own_memory => Fact::Memory { memory: OWN, max: 0 },
            Some((R15 | RSP, _)) | None => Fact::Unknown,
            Some((number, _)) => state.registers[number],
        }
    }

    // -- accesses --

    /// What is known of the memory operand's address without its displacement.
    fn address(&self, state: &State, instruction: &Instruction) -> Fact {
        let scale = u64::from(instruction.memory_index_scale().trailing_zeros());
        let index = |register| match scale {
            0 => self.known(state, register),
            _ => fact::shift_left(self.known(state, register), scale).plain(),
        };
        match (instruction.memory_base(), instruction.memory_index()) {
            (Register::None, Register::None) => Fact::Max(0),
            (base, Register::None) => self.known(state, base),
            (Register::None, register) => index(register),
            (base, register) => fact::add(self.known(state, base), index(register), self.module).plain(),
        }
    }

    /// What is known of an address that is computed, not accessed.
    fn address_value(&self, state: &State, instruction: &Instruction) -> Judged<Fact> {
        let displacement = instruction.memory_displacement64();
        if instruction.is_ip_rel_memory_operand() {
            return match u32::try_from(displacement.wrapping_sub(self.module.data_start)) {
                Ok(offset) if (offset as usize) < self.module.data.len() => Ok(Fact::Data(offset)),
                _ => Err(Reason::DataAddress),
            };
        }
        if instruction.memory_base() == Register::RSP || instruction.segment_prefix() != Register::None {
            return Err(Reason::Address);
        }
        if instruction.memory_base() == Register::R15
            && instruction.memory_index() == Register::None
            && let Some((Field::FunctionImport(import), 0)) = self.field(displacement, layout::SLOT_SIZE as u32)
        {
            return Ok(Fact::Import(import));
        }
        Ok(match (self.address(state, instruction), displacement) {
            (sum, 0) => sum,
            (sum, ..=MAX32) => fact::add(sum, Fact::Max(displacement), self.module).plain(),
            _ => Fact::Unknown,
        })
    }

    /// The field that some bytes at a distance from r15 lie in.
    fn field(&self, displacement: u64, width: u32) -> Option<(Field, u32)> {
        let (field, offset) = fact::field(self.layout, &self.module.shape, displacement as i64)?;
        (offset + width <= field.size()).then_some((field, offset))
    }

    /// Judges an access by its shape, and says what it refers to.
    fn access(&self, state: &State, instruction: &Instruction, operand: &Operand) -> Judged<Target> {
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let (displacement, width) = (instruction.memory_displacement64(), u64::from(operand.width));
        if instruction.is_ip_rel_memory_operand() || instruction.segment_prefix() != Register::None {
            return Err(Reason::Address);
        }
        if base == Register::RSP {
            return if index == Register::None { self.frame(state, displacement, width) } else { Err(Reason::Frame) };
        }
        if base == Register::R15 && index == Register::None && (displacement as i64) < 0 {
            let (field, offset) = self.field(displacement, width as u32).ok_or(Reason::Field)?;
            let allowed = field.writable() || !operand.is(Operand::WRITTEN);
            return if allowed { Ok(Target::Field(field, offset)) } else { Err(Reason::ReadOnly) };
        }
        let address = self.address(state, instruction);
        let (region, target) = match fact::plain(address, displacement, width, self.module) {
            Some(region @ Region::Slots(_)) => match general(base) {
                Some((register, _)) if index == Register::None => (region, Target::Slot { register, offset: displacement }),
                _ => (region, Target::Region(region)),
            },
            Some(region) => (region, Target::Region(region)),
            None => match (self.known(state, base), instruction.memory_index_scale(), width, displacement) {
                (Fact::Data(data), 4, 4, 0) if index != Register::None => {
                    let last = self.known(state, index);
                    let region = fact::word(Fact::Data(data), last, self.module).ok_or(Reason::DataEdge)?;
                    (region, Target::Entry { data, last: u32::try_from(last.bound()).map_err(|_| Reason::DataEdge)? })
                }
                (known, ..) => return Err(refused(address, displacement, known, (base, index))),
            },
        };
        if operand.is(Operand::WRITTEN) && !region.writable(self.module) {
            return Err(Reason::ReadOnly);
        }
        Ok(target)
    }

    /// `[rsp + d]`: in the frame, or in the area that the caller owns; never the return address.
    fn frame(&self, state: &State, displacement: u64, width: u64) -> Judged<Target> {
        fact::stack(displacement, width, state.depth.into(), self.signature.words().into()).ok_or(Reason::Frame)?;
        let start = displacement as i64 - i64::from(state.depth);
        match (state.words.number(start), state.words.number(start + width as i64 - 1)) {
            (Some(first), Some(last)) if first == last && start % 8 == 0 => Ok(Target::Word(first)),
            (Some(first), Some(last)) => Ok(Target::Part(first.min(last), first.max(last))),
            _ => Err(Reason::Frame),
        }
    }

    // -- calls and returns --

    /// Checks what a call of a type needs, and leaves what it leaves.
    fn call(&self, state: &mut State, ty: u32) -> Judged<()> {
        let callee = self.module.types.get(ty as usize).ok_or(Reason::Type)?;
        let area = 8 * callee.words();
        if area > state.depth {
            return Err(Reason::CallArea);
        }
        self.zero_extended(state, callee.parameters.narrow)?;
        for (n, &narrow) in (0..).zip(&callee.parameters.words) {
            let at = 8 * n - i64::from(state.depth);
            let fact = state.words.number(at).map_or(Fact::Unknown, |number| state.word(number));
            if narrow && fact.bound() > MAX32 {
                return Err(Reason::Missing(Place::Word(at), "a zero-extended i32 parameter"));
            }
        }
        state.after_call(callee);
        Ok(())
    }

    fn zero_extended(&self, state: &State, registers: u16) -> Judged<()> {
        for (n, fact) in state.registers.iter().enumerate() {
            if registers & 1 << n != 0 && fact.bound() > MAX32 {
                return Err(Reason::Missing(Place::Register(n), "a zero-extended i32"));
            }
        }
        Ok(())
    }

    /// Through the gate, an import's slot or a checked slot.
    fn call_memory(&self, state: &mut State, instruction: &Instruction) -> Judged<()> {
        if instruction.memory_index() != Register::None || instruction.segment_prefix() != Register::None {
            return Err(Reason::CallTarget);
        }
        let displacement = instruction.memory_displacement64();
        match instruction.memory_base() {
            Register::R15 => match self.field(displacement, 8) {
                Some((Field::Gate, 0)) => {
                    state.after_call(&Signature::default());
                    // A gate's result is an i32.
                    state.zero_extended(1 << RAX);
                    Ok(())
                }
                Some((Field::FunctionImport(import), offset)) if offset == layout::SLOT_CODE as u32 => {
                    if state.registers[RAX] != Fact::Import(import) {
                        return Err(Reason::Missing(Place::Register(RAX), "the address of the import's slot"));
                    }
                    let ty = self.module.import_types.get(import as usize).ok_or(Reason::Type)?;
                    self.call(state, *ty)
                }
                _ => Err(Reason::CallTarget),
            },
            Register::RAX if displacement == layout::SLOT_CODE as u64 => match state.registers[RAX] {
                Fact::Callable { ty, .. } => self.call(state, ty),
                _ => Err(Reason::Missing(Place::Register(RAX), "the address of a slot with a checked signature")),
            },
            _ => Err(Reason::CallTarget),
        }
    }

    fn leave(&self, state: &State, instruction: &Instruction) -> Judged<()> {
        let pop = if instruction.op_count() == 0 { 0 } else { u32::from(instruction.immediate16()) };
        if state.depth != 0 || pop != self.signature.pop() {
            return Err(Reason::Return);
        }
        let results = &self.signature.results;
        self.zero_extended(state, results.narrow)?;
        for (n, &narrow) in (self.signature.parameters.words.len() as u32..).zip(&results.words) {
            if narrow && state.word(n).bound() > MAX32 {
                return Err(Reason::Missing(Place::Word(8 + 8 * i64::from(n)), "a zero-extended i32 result"));
            }
        }
        Ok(())
    }
}

/// An ordinary instruction whose accesses are judged.
struct Context<'a> {
    step: &'a Step<'a>,
    instruction: &'a Instruction,
    form: &'a Form,
    operands: &'a Operands,
    target: Option<Target>,
}

impl Context<'_> {
    fn found(&self, n: u8) -> Found {
        self.operands.found[usize::from(n & 3)]
    }

    /// A whole register copied to a register or word, or back, keeps its value; gives whether the instruction is one.
    fn copy(&self, state: &mut State) -> bool {
        if !matches!(self.form.effect, Effect::Copy(1))
            || !matches!(self.form.operands, [Operand { width: 8, .. }, Operand { width: 8, .. }])
        {
            return false;
        }
        const ROLE: u8 = R15 as u8;
        match (self.found(0), self.found(1), self.target) {
            (Found::Register(ROLE), ..) | (_, Found::Register(ROLE), _) => return false,
            (Found::Register(to), Found::Register(from), _) => state.copy_register(from.into(), to.into()),
            (Found::Memory, Found::Register(from), Some(Target::Word(to))) => state.store(from.into(), to),
            (Found::Register(to), Found::Memory, Some(Target::Word(from))) => state.load(from, to.into()),
            _ => return false,
        }
        true
    }

    /// What is known of an operand's value, zero-extended from its width.
    fn operand(&self, state: &State, n: u8) -> Fact {
        let width = self.form.operands.get(usize::from(n)).map_or(8, |operand| operand.width);
        match (self.found(n), self.target) {
            (Found::Register(register), _) => match usize::from(register) {
                R15 => self.step.known(state, Register::R15).low(width),
                register => state.registers[register].low(width),
            },
            (Found::Memory, Some(target)) => loaded(state, target).low(width),
            // The destination says how wide a sign-extended immediate is.
            (Found::Immediate, _) => {
                let value = self.instruction.immediate(n.into());
                Fact::Max(if self.form.operands[0].width == 4 { value & MAX32 } else { value }).plain()
            }
            _ => Fact::Unknown,
        }
    }

    /// What is known of the result in operand 0.
    fn result(&self, state: &State, effect: Effect) -> Fact {
        let of = |n: u8| self.operand(state, n);
        let count = |n: u8| match self.found(n) {
            Found::Immediate => {
                Some(self.instruction.immediate(n.into()) & if self.form.operands[0].width == 8 { 63 } else { 31 })
            }
            _ => None,
        };
        match effect {
            Effect::None | Effect::Unknown | Effect::Address => Fact::Unknown,
            Effect::Zero => Fact::Max(0),
            Effect::Copy(a) => of(a),
            Effect::SignExtend(a) => match (self.found(a), self.target) {
                (Found::Memory, Some(Target::Entry { data, last })) if self.form.operands[0].width == 8 => {
                    Fact::Entry { data, last }
                }
                _ => Fact::Unknown,
            },
            Effect::Add(a, b) => fact::add(of(a), of(b), self.step.module),
            Effect::And(a, b) => fact::bit_and(of(a), of(b)),
            Effect::Or(a, b) => fact::bit_or(of(a), of(b)),
            Effect::Xor(a, b) => fact::bit_xor(of(a), of(b)),
            Effect::ShiftLeft(a, b) => count(b).map_or(Fact::Unknown, |count| fact::shift_left(of(a), count)),
            Effect::ShiftRight(a, b) => match count(b) {
                Some(count) => fact::shift_right(of(a), count),
                None => fact::shift_right_any(of(a), Fact::Unknown),
            },
            Effect::Select(a, b) => {
                let chosen = |n: u8, holds: bool| match (self.found(n), state.flags.refine(self.form.condition, holds)) {
                    (Found::Register(register), Some((value, fact))) if state.value_at(register.into()) == value => fact,
                    _ => of(n),
                };
                fact::either(chosen(a, true), chosen(b, false))
            }
        }
    }

    fn compare(&self, state: &mut State, a: u8, b: u8) -> Flags {
        let width = self.form.operands.get(usize::from(a)).map_or(0, |operand| operand.width);
        let Found::Register(register) = self.found(a) else { return Flags::Unknown };
        let register = usize::from(register);
        if register == R15 || width < 4 {
            return Flags::Unknown;
        }
        let now = state.registers[register];
        if let (Found::Memory, Some(Target::Slot { register: slot, offset }), Fact::Signature(ty), 4) =
            (self.found(b), self.target, now, width)
            && offset == layout::SLOT_SIGNATURE as u64
        {
            return Flags::Signature { slot: state.value(slot), now: state.registers[slot], ty };
        }
        let with = self.operand(state, b);
        if width == 4 && now.bound() > MAX32 {
            return Flags::Unknown;
        }
        Flags::Compared { value: state.value(register), now, with }
    }
}

/// Why there is no region for an access.
fn refused(address: Fact, displacement: u64, known: Fact, (base, index): (Register, Register)) -> Reason {
    match address {
        Fact::Memory { .. } if displacement as i64 >= 0 => Reason::Reservation,
        Fact::Table(_) => Reason::TableHeader,
        Fact::Slot(_) | Fact::Callable { .. } => Reason::SlotEdge,
        Fact::Cell(_) => Reason::CellEdge,
        Fact::Data(_) => Reason::DataEdge,
        // Name the register whose fact is missing: the index under a known base, else the base.
        _ if matches!(known, Fact::Memory { .. }) && index != Register::None => {
            Reason::missing(index, "a bound that keeps the access in the reservation")
        }
        _ => Reason::missing(base, "the address of something that may be accessed"),
    }
}

/// What is known of the value in what a memory operand refers to, from its first byte on.
fn loaded(state: &State, target: Target) -> Fact {
    match target {
        Target::Word(number) => state.word(number),
        Target::Field(field, 0) => field.holds(),
        Target::Region(region) => region.holds(),
        _ => Fact::Unknown,
    }
}
