//! One instruction: from what is known before it to what is known after it, or a rejection.
//!
//! [`Step::run`] is the checker's only judgement of ordinary instructions. It takes a state and a decoded instruction, finds
//! the instruction's form, checks every access and transfer against `spec/sandbox.rules` §10 and §11, and changes the state
//! to what holds afterwards. What it says of a jump's target is checked against the claims by `lib`.

use crate::fact::{Fact, Flags, MAX32, OWN, Value};
use crate::form::{Effect, FlagsEffect, Form, Operand, Transfer, form, general};
use crate::layout;
use crate::module::{Field, Fields, Module, Signature};
use crate::reject::{Place, Reason};
use crate::state::{R15, RAX, RSP, State};
use iced_x86::{Instruction, OpKind, Register};

/// Where control goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To the next instruction only.
    Fall,
    /// To a place in this function (an offset in the code), with what is more known of one value there; and to the next
    /// instruction too if `falls`, where `fallen` is known in addition.
    Jump { target: u64, taken: Option<(Value, Fact)>, falls: bool, fallen: Option<(Value, Fact)> },
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
    Linear,
    /// A word of the frame, whole.
    Word(u32),
    /// Part of the frame or of the caller's area: the words touched.
    Part(u32, u32),
    Field(Field, u32),
    TableLength(u32),
    /// A slot: the register that points at it, and where in it.
    Slot {
        register: u8,
        offset: u32,
    },
    Cell,
    Data,
    Entry {
        data: u32,
        last: u32,
    },
}

/// What instructions of one function are judged by.
pub struct Step<'m> {
    pub module: &'m Module<'m>,
    pub fields: &'m Fields,
    /// The function's own signature.
    pub signature: &'m Signature,
}

type Judged<T> = Result<T, Reason>;

impl Step<'_> {
    /// Judges one instruction; `bytes` are its bytes.
    pub fn run(&self, state: &mut State, instruction: &Instruction, bytes: &[u8]) -> Judged<Outcome> {
        let form = form(instruction.code()).ok_or(Reason::Form)?;
        let operands = form.operands(instruction).ok_or(Reason::Operands)?;
        if !form.prefixes_fit(&operands, bytes) {
            return Err(Reason::Prefixes);
        }
        let mut outcome = Outcome { next: Next::Fall, faults: false, traps: false, calls: false, feature: form.feature };
        match form.transfer {
            Transfer::Next => outcome.faults = self.ordinary(state, instruction, form, operands.memory)?,
            Transfer::Jump => {
                outcome.next =
                    Next::Jump { target: instruction.near_branch_target(), taken: None, falls: false, fallen: None };
            }
            Transfer::JumpIf => {
                let refine = |holds| state.flags.refine(form.condition, holds);
                let (taken, fallen) = (refine(true), refine(false));
                outcome.next = Next::Jump { target: instruction.near_branch_target(), taken, falls: true, fallen };
            }
            Transfer::JumpRegister => {
                let register = self.register(instruction, 0)?;
                let Fact::Target { data, last } = state.registers[register] else {
                    return Err(Reason::Missing(Place::Register(register), "an entry of a jump table"));
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
    fn ordinary(&self, state: &mut State, instruction: &Instruction, form: &Form, memory: Option<u8>) -> Judged<bool> {
        if instruction.op_count() > 0
            && instruction.op_kind(0) == OpKind::Register
            && instruction.op0_register() == Register::RSP
        {
            self.move_stack(state, instruction, form)?;
            return Ok(false);
        }
        let target = match memory.and_then(|n| form.operands.get(usize::from(n))) {
            Some(operand) => Some(self.access(state, instruction, operand)?),
            None => None,
        };
        let flags = match form.flags {
            FlagsEffect::Kept => state.flags,
            FlagsEffect::Undefined => Flags::Unknown,
            FlagsEffect::Compare(a, b) => self.compare(state, instruction, form, target, a, b),
        };
        if self.copy(state, instruction, form, target) {
            state.flags = flags;
            return Ok(false);
        }
        let result = self.result(state, instruction, form, target)?;
        state.flags = flags;
        let mut implicit = form.implicit | form.implicit32;
        while implicit != 0 {
            let n = implicit.trailing_zeros();
            let whole = form.implicit & 1 << n != 0;
            state.set(n as usize, if whole { Fact::Unknown } else { Fact::ZERO_EXTENDED });
            implicit &= implicit - 1;
        }
        for (n, operand) in (0..).zip(form.operands) {
            if !operand.is(Operand::WRITTEN) {
                continue;
            }
            let fact = if n == 0 { result } else { Fact::Unknown };
            match instruction.op_kind(n) {
                OpKind::Register if !operand.is(Operand::VECTOR) => {
                    let register = self.register(instruction, n)?;
                    if register == R15 || register == RSP {
                        return Err(Reason::Role);
                    }
                    let fact = match operand.width {
                        8 => fact,
                        4 => fact.narrow(),
                        // The rest of the register stays as it was.
                        _ => Fact::Unknown,
                    };
                    state.set(register, fact);
                }
                OpKind::Memory => match target {
                    Some(Target::Word(number)) => {
                        let whole = !operand.is(Operand::VECTOR) && operand.width == 8;
                        state.words.set(number, if whole { fact } else { Fact::Unknown }, 0);
                    }
                    Some(Target::Part(first, last)) => (first..=last).for_each(|n| state.words.set(n, Fact::Unknown, 0)),
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(target == Some(Target::Linear))
    }

    /// A whole register copied to a register or word, or back, keeps its value; gives whether the instruction is one.
    fn copy(&self, state: &mut State, instruction: &Instruction, form: &Form, target: Option<Target>) -> bool {
        if form.effect != Effect::Copy(1) || !matches!(form.operands, [Operand { width: 8, .. }, Operand { width: 8, .. }]) {
            return false;
        }
        let number = |n: u32| match (instruction.op_kind(n), general(instruction.op_register(n))) {
            (OpKind::Register, Some((number, _))) if number != R15 => Some(number),
            _ => None,
        };
        match (number(0), number(1), target) {
            (Some(to), Some(from), _) => state.copy_register(from, to),
            (None, Some(from), Some(Target::Word(to))) => state.store(from, to),
            (Some(to), None, Some(Target::Word(from))) => state.load(from, to),
            _ => return false,
        }
        true
    }

    /// Number of a general register operand.
    fn register(&self, instruction: &Instruction, n: u32) -> Judged<usize> {
        general(instruction.op_register(n)).map(|(number, _)| number).ok_or(Reason::Operands)
    }

    /// What is known of a register's value; r15 is where the instance's own memory begins.
    fn known(&self, state: &State, register: Register) -> Fact {
        match general(register) {
            Some((R15, _)) if self.module.own_memory => Fact::Memory { memory: OWN, max: 0 },
            Some((R15 | RSP, _)) | None => Fact::Unknown,
            Some((number, _)) => state.registers[number],
        }
    }

    /// What is known of an operand's value, zero-extended from its width.
    fn operand(&self, state: &State, instruction: &Instruction, form: &Form, target: Option<Target>, n: u8) -> Fact {
        let Some(operand) = form.operands.get(usize::from(n)) else { return Fact::Unknown };
        match instruction.op_kind(n.into()) {
            OpKind::Register if !operand.is(Operand::VECTOR) => {
                let fact = self.known(state, instruction.op_register(n.into()));
                match operand.width {
                    8 => fact,
                    4 => fact.narrow(),
                    width => Fact::Max(fact.bound().min((1 << (8 * width)) - 1)),
                }
            }
            OpKind::Memory => match target {
                Some(target) => self.loaded(state, target, operand.width),
                None => Fact::Unknown,
            },
            OpKind::Register => Fact::Unknown,
            _ => {
                let value = instruction.immediate(n.into());
                // The destination says how wide a sign-extended immediate is.
                Fact::max(if form.operands[0].width == 4 { value & MAX32 } else { value })
            }
        }
    }

    /// What is known of a value just loaded, zero-extended from its width.
    fn loaded(&self, state: &State, target: Target, width: u8) -> Fact {
        if width < 4 {
            return Fact::Max((1 << (8 * width)) - 1);
        }
        match (target, width) {
            (Target::Word(number), 8) => state.word(number),
            (Target::Field(Field::MemoryImport(memory), 0), 8) => Fact::Memory { memory, max: 0 },
            (Target::Field(Field::Table(table), 0), 8) => Fact::Table(table),
            (Target::Field(Field::GlobalImport(cell), 0), 8) => Fact::Cell(cell),
            (Target::Field(Field::Signature(ty), 0), 4) => Fact::Signature(ty),
            (_, 4) => Fact::ZERO_EXTENDED,
            _ => Fact::Unknown,
        }
    }

    /// What is known of the result in operand 0.
    fn result(&self, state: &State, instruction: &Instruction, form: &Form, target: Option<Target>) -> Judged<Fact> {
        let of = |n: u8| self.operand(state, instruction, form, target, n);
        let pair = |a: u8, b: u8| (of(a), of(b));
        let count = |n: u8| match instruction.op_kind(n.into()) {
            OpKind::Immediate8 => {
                let wide = form.operands[0].width == 8;
                Some(instruction.immediate8() as u32 & if wide { 63 } else { 31 })
            }
            _ => None,
        };
        Ok(match form.effect {
            Effect::None | Effect::Unknown => Fact::Unknown,
            Effect::Zero => Fact::Max(0),
            Effect::Copy(a) => of(a),
            Effect::SignExtend(a) => match (target, form.operands[0].width) {
                (Some(Target::Entry { data, last }), 8) if instruction.op_kind(a.into()) == OpKind::Memory => {
                    Fact::Entry { data, last }
                }
                _ => Fact::Unknown,
            },
            Effect::Add(a, b) => {
                let (a, b) = pair(a, b);
                a.add(b, |table| self.least_length(table))
            }
            Effect::And(a, b) => {
                let (a, b) = pair(a, b);
                a.and(b)
            }
            Effect::Or(a, b) => {
                let same =
                    instruction.op1_kind() == OpKind::Register && instruction.op0_register() == instruction.op1_register();
                let (a, b) = pair(a, b);
                // Both `or r, r` and `xor r, r` are at most r.
                if same { Fact::max(a.bound()) } else { a.or(b) }
            }
            Effect::ShiftLeft(a, b) => match count(b) {
                Some(count) => of(a).shift_left(count),
                None => Fact::Unknown,
            },
            Effect::ShiftRight(a, b) => match count(b) {
                Some(count) => Fact::max(of(a).bound() >> count),
                None => Fact::max(of(a).bound()),
            },
            Effect::Select(a, b) => {
                let chosen = |n: u8, holds: bool| {
                    let value = match instruction.op_kind(n.into()) {
                        OpKind::Register => {
                            general(instruction.op_register(n.into())).map(|(n, _)| state.value_at(n as u32))
                        }
                        _ => None,
                    };
                    match state.flags.refine(form.condition, holds) {
                        Some((of, fact)) if value == Some(of) => fact,
                        _ => of(n),
                    }
                };
                chosen(a, true).either(chosen(b, false))
            }
            Effect::Address => self.address_value(state, instruction)?,
        })
    }

    fn least_length(&self, table: u32) -> u64 {
        self.module.tables.get(table as usize).copied().unwrap_or(0)
    }

    fn compare(
        &self,
        state: &mut State,
        instruction: &Instruction,
        form: &Form,
        target: Option<Target>,
        a: u8,
        b: u8,
    ) -> Flags {
        let (left, width) = (instruction.op_kind(a.into()), form.operands[usize::from(a)].width);
        let Some((number, _)) = general(instruction.op_register(a.into())) else { return Flags::Unknown };
        if left != OpKind::Register || number == R15 || width < 4 {
            return Flags::Unknown;
        }
        let now = state.registers[number];
        match (instruction.op_kind(b.into()), target) {
            (OpKind::Memory, Some(Target::TableLength(table))) if width == 4 => {
                Flags::Length { value: state.value(number), now, table }
            }
            (OpKind::Memory, Some(Target::Slot { register, offset })) => match (now, usize::from(register)) {
                (Fact::Signature(ty), slot @ 0..16) if offset == layout::SLOT_SIGNATURE as u32 && width == 4 => {
                    Flags::Signature { slot: state.value(slot), now: state.registers[slot], ty }
                }
                _ => Flags::Unknown,
            },
            _ => {
                let bound = self.operand(state, instruction, form, target, b).bound();
                Flags::Bound { value: state.value(number), now, wide: width == 8, bound }
            }
        }
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

    // -- accesses --

    /// The memory operand's address, without its displacement if that is negative.
    fn address(&self, state: &State, instruction: &Instruction) -> (Fact, i64) {
        let displacement = instruction.memory_displacement64() as i64;
        let scale = instruction.memory_index_scale().trailing_zeros();
        let base = match instruction.memory_base() {
            Register::None => Fact::Max(0),
            register => self.known(state, register),
        };
        let index = match instruction.memory_index() {
            Register::None => Fact::Max(0),
            register if scale == 0 => self.known(state, register),
            register => match self.known(state, register).bound().checked_mul(1 << scale) {
                Some(bound) => Fact::max(bound),
                None => Fact::Unknown,
            },
        };
        let sum = match (instruction.memory_index(), instruction.memory_base()) {
            (Register::None, _) => base,
            (_, Register::None) => index,
            _ => base.add(index, |table| self.least_length(table)),
        };
        (sum, displacement)
    }

    /// What is known of an address that is computed, not accessed.
    fn address_value(&self, state: &State, instruction: &Instruction) -> Judged<Fact> {
        if instruction.is_ip_rel_memory_operand() {
            let offset = instruction.memory_displacement64().wrapping_sub(self.module.data_start);
            return match u32::try_from(offset) {
                Ok(offset) if (offset as usize) < self.module.data.len() => Ok(Fact::Data(offset)),
                _ => Err(Reason::DataAddress),
            };
        }
        if instruction.memory_base() == Register::RSP || instruction.segment_prefix() != Register::None {
            return Err(Reason::Address);
        }
        let (sum, displacement) = self.address(state, instruction);
        if instruction.memory_base() == Register::R15 && instruction.memory_index() == Register::None {
            let field = self.fields.find(displacement, layout::SLOT_SIZE as u32);
            if let Some((Field::FunctionImport(import), 0)) = field {
                return Ok(Fact::Import(import));
            }
        }
        Ok(match (sum, u64::try_from(displacement)) {
            (sum, Ok(0)) => sum,
            (sum, Ok(displacement)) => sum.add(Fact::Max(displacement), |_| 0),
            _ => Fact::Unknown,
        })
    }

    /// Judges an access by its shape, and says what it refers to.
    fn access(&self, state: &State, instruction: &Instruction, operand: &Operand) -> Judged<Target> {
        if instruction.is_ip_rel_memory_operand() || instruction.segment_prefix() != Register::None {
            return Err(Reason::Address);
        }
        let width = u32::from(operand.width);
        let writes = operand.is(Operand::WRITTEN);
        let read_only = |target: Target| if writes { Err(Reason::ReadOnly) } else { Ok(target) };
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if base == Register::RSP {
            return self.frame(state, instruction, width);
        }
        let alone = index == Register::None;
        if base == Register::R15 && alone && (instruction.memory_displacement64() as i64) < 0 {
            let found = self.fields.find(instruction.memory_displacement64() as i64, width);
            let (field, offset) = found.ok_or(Reason::Field)?;
            return match field {
                Field::Writable => Ok(Target::Field(field, offset)),
                _ => read_only(Target::Field(field, offset)),
            };
        }
        let (sum, displacement) = self.address(state, instruction);
        let end = displacement + i64::from(width);
        match sum {
            Fact::Memory { max, .. } if displacement >= 0 => {
                let fits = max.checked_add(end as u64).is_some_and(|end| end <= layout::MEMORY_RESERVATION);
                if fits { Ok(Target::Linear) } else { Err(Reason::Reservation) }
            }
            // The size of a memory stands below its base, whoever owns it.
            Fact::Memory { max: 0, .. } if displacement == i64::from(layout::INSTANCE_MEMORY_PAGES) && width <= 8 => {
                read_only(Target::Field(Field::MemoryPages, 0))
            }
            Fact::Table(table) if alone => {
                let length = i64::from(layout::TABLE_HEADER_LENGTH - layout::TABLE_HEADER_SIZE);
                let fits = displacement == length && width <= 8;
                if fits { read_only(Target::TableLength(table)) } else { Err(Reason::TableHeader) }
            }
            Fact::Slot(_) | Fact::Callable { .. } if alone => {
                let fits = displacement >= 0 && end <= i64::from(layout::SLOT_SIZE);
                let register = general(base).map_or(u8::MAX, |(number, _)| number as u8);
                let target = Target::Slot { register, offset: displacement as u32 };
                if fits { read_only(target) } else { Err(Reason::SlotEdge) }
            }
            Fact::Cell(cell) if alone => {
                if displacement < 0 || end > 8 {
                    return Err(Reason::CellEdge);
                }
                let mutable = self.module.global_imports.get(cell as usize) == Some(&true);
                if mutable { Ok(Target::Cell) } else { read_only(Target::Cell) }
            }
            Fact::Data(data) if alone => {
                let fits = displacement >= 0 && i64::from(data) + end <= self.module.data.len() as i64;
                if fits { read_only(Target::Data) } else { Err(Reason::DataEdge) }
            }
            _ => {
                if let (Fact::Data(data), 4, 4, 0) =
                    (self.known(state, base), instruction.memory_index_scale(), width, displacement)
                {
                    let last = u32::try_from(self.known(state, index).bound());
                    let last = last.map_err(|_| Reason::missing(index, "a bound on the jump table's index"))?;
                    let fits = u64::from(data) + 4 * (u64::from(last) + 1) <= self.module.data.len() as u64;
                    return if fits { read_only(Target::Entry { data, last }) } else { Err(Reason::DataEdge) };
                }
                // Name the register whose fact is missing: the index under a known base, else the base.
                let known_base = matches!(self.known(state, base), Fact::Memory { .. });
                if known_base && !alone {
                    return Err(Reason::missing(index, "a bound that keeps the access in the reservation"));
                }
                Err(Reason::missing(base, "the address of something that may be accessed"))
            }
        }
    }

    /// `[rsp + d]`: in the frame, or in the area that the caller owns; never the return address.
    fn frame(&self, state: &State, instruction: &Instruction, width: u32) -> Judged<Target> {
        let displacement = instruction.memory_displacement64() as i64;
        if instruction.memory_index() != Register::None || displacement < 0 {
            return Err(Reason::Frame);
        }
        let start = displacement - i64::from(state.depth);
        let end = start + i64::from(width);
        let own = end <= 0;
        let callers = start >= 8 && end <= 8 + 8 * i64::from(self.signature.words());
        let (first, last) = (state.words.number(start), state.words.number(end - 1));
        match (first, last) {
            (Some(first), Some(last)) if own || callers => {
                let whole = first == last && start % 8 == 0;
                Ok(if whole { Target::Word(first) } else { Target::Part(first.min(last), first.max(last)) })
            }
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
        let displacement = instruction.memory_displacement64() as i64;
        match instruction.memory_base() {
            Register::R15 => match self.fields.find(displacement, 8) {
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
            Register::RAX if displacement == i64::from(layout::SLOT_CODE) => match state.registers[RAX] {
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
