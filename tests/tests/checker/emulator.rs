//! Runs accepted code step by step on a machine that is against it, and checks every step against the sandbox theorem.
//!
//! Nothing here goes by facts or claims; but what was accepted with claims may be held to them ([`Emulator::holding`]).
//! Addresses are concrete: r15, tables, cells, frame. Moves, arithmetic on addresses, comparisons and stores to the frame are
//! computed; every other result, whatever is loaded from linear memory, and all that
//! a call leaves behind are arbitrary values of their width, chosen to hurt. What registers and memory an instruction touches
//! comes from iced-x86's own tables.

use iced_x86::{
    Code, CpuidFeature, Decoder, DecoderOptions, EncodingKind, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register, RflagsBits,
};
use std::collections::{HashMap, HashSet};
use vwasm_checker::Module;
use vwasm_checker::claims::{Claim, Claims};
use vwasm_checker::fact::{Fact, OWN, View};
use vwasm_checker::layout::*;
use vwasm_checker::state::WORDS;
use vwasm_tests::random::Random;

/// A value that hurts.
fn value(random: &mut Random) -> u64 {
    let any = random.next();
    match random.next() % 12 {
        0 => 0,
        1 => any % 16,
        2 => 0x7fff_ffff + any % 3,
        3 => 0xffff_ffff - any % 2,
        4 => 0x1_0000_0000 + any % 16,
        5 => u64::MAX - any % 16,
        6 => 1 << 63 | any % 16,
        7 => R15 + any % 64,
        8 => any & 0xffff_ffff,
        9 => any % 4096,
        _ => any,
    }
}

const R15: u64 = 0x2000_0000_0000;
const TABLES: u64 = 0x3000_0000_0000;
const CELLS: u64 = 0x4000_0000_0000;
const MEMORIES: u64 = 0x5000_0000_0000;
const CODE: u64 = 0x1_0000_0000;
const ENTRY: u64 = 0x6000_0000_0000;
const APART: u64 = 0x10_0000_0000;
const GATE: u64 = 0x7000_0000_0000;

/// Where instructions are from that compute: they change no other state than registers, flags and memory, but for MXCSR.
const FEATURES: [CpuidFeature; 15] = [
    CpuidFeature::INTEL8086,
    CpuidFeature::INTEL186,
    CpuidFeature::INTEL286,
    CpuidFeature::INTEL386,
    CpuidFeature::INTEL486,
    CpuidFeature::X64,
    CpuidFeature::CMOV,
    CpuidFeature::SSE,
    CpuidFeature::SSE2,
    CpuidFeature::SSE4_1,
    CpuidFeature::POPCNT,
    CpuidFeature::LZCNT,
    CpuidFeature::BMI1,
    CpuidFeature::BMI2,
    CpuidFeature::AVX,
];

pub struct Emulator<'m> {
    module: &'m Module<'m>,
    layout: InstanceLayout,
    random: Random,
    registers: [u64; 16],
    flags: Flags,
    /// Bytes of the frame and the caller's area.
    stack: HashMap<u64, u8>,
    /// Length of each table, which calls let grow; the signature id of type 0, the others follow.
    lengths: Vec<u64>,
    ids: u64,
    /// What slots hold follows from this, and from the calls so far.
    slots: u64,
    /// Calls so far: each may have changed what stands in slots.
    calls: u64,
    ty: usize,
    /// What must be so wherever one of these labels stands.
    claims: Option<&'m Claims>,
}

/// What the flags are, as far as conditions need them.
#[derive(Clone, Copy, Default)]
struct Flags {
    carry: bool,
    zero: bool,
    sign: bool,
    overflow: bool,
    parity: bool,
}

/// What the theorem says of an address.
enum Place {
    Arbitrary,
    /// In a linear memory, where an access may fault.
    Linear,
    Stack,
    Is(u64),
}

type Step = Result<(), String>;

impl<'m> Emulator<'m> {
    pub fn new(module: &'m Module<'m>, seed: u64) -> Emulator<'m> {
        let mut random = Random(seed);
        let lengths = module.tables.iter().map(|least| least + random.next() % 3).collect();
        let (ids, slots) = (1 + random.next() % 8, random.next());
        let layout = InstanceLayout::new(&module.shape).expect("a layout");
        Emulator {
            module,
            layout,
            random,
            registers: [0; 16],
            flags: Flags::default(),
            stack: HashMap::new(),
            lengths,
            ids,
            slots,
            calls: 0,
            ty: 0,
            claims: None,
        }
    }

    /// The same, but whatever is claimed must be so.
    #[allow(dead_code)] // not all tests have claims
    pub fn holding(self, claims: &'m Claims) -> Emulator<'m> {
        Emulator { claims: Some(claims), ..self }
    }

    /// Runs a function for at most `steps` instructions; the error says how it left the sandbox.
    pub fn run(&mut self, unit: usize, steps: usize) -> Step {
        let unit = self.module.units[unit];
        self.ty = unit.ty as usize;
        for register in 0..16 {
            self.registers[register] = value(&mut self.random);
        }
        (self.registers[15], self.registers[4]) = (R15, ENTRY);
        self.stack.clear();
        let parameters = self.module.types[self.ty].parameters.clone();
        self.narrow(parameters.narrow);
        for (n, narrow) in (0..).zip(&parameters.words) {
            let value = self.arbitrary(*narrow);
            self.write_stack(ENTRY + 8 + 8 * n, value, 8);
        }
        let mut factory = InstructionInfoFactory::new();
        let whole = &self.module.code[unit.start as usize..unit.end as usize];
        let boundaries: HashSet<u32> = Decoder::with_ip(64, whole, unit.start.into(), DecoderOptions::NONE)
            .iter()
            .map(|inst| inst.ip() as u32)
            .collect();
        let mut at = unit.start;
        for _ in 0..steps {
            if at < unit.start || at >= unit.end {
                return Err(format!("execution at {at:#x} outside the function"));
            }
            if !boundaries.contains(&at) {
                return Err(format!("execution at {at:#x} inside an instruction"));
            }
            self.claimed(at)?;
            let bytes = &self.module.code[at as usize..unit.end as usize];
            let inst = Decoder::with_ip(64, bytes, CODE + u64::from(at), DecoderOptions::NONE).decode();
            if inst.is_invalid() {
                return Err(format!("no instruction at {at:#x}"));
            }
            let next = self.step(&inst, &mut factory).map_err(|error| {
                let code: Vec<String> = bytes[..inst.len()].iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{:?} at {at:#x} ({}): {error}", inst.code(), code.join(" "))
            })?;
            match next {
                Some(next) => {
                    at = u32::try_from(next.wrapping_sub(CODE)).map_err(|_| format!("{at:#x} jumps to {next:#x}"))?
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether all is so that is claimed of a place.
    fn claimed(&mut self, at: u32) -> Step {
        let Some(claims) = self.claims else { return Ok(()) };
        let no = |location: u32, value: u64, what: String| {
            Err(format!("at {at:#x} location {location} is {value:#x}, not {what}"))
        };
        for label in claims.labels.iter().filter(|label| label.offset == at) {
            if ENTRY - self.registers[4] != u64::from(label.depth) {
                return Err(format!("at {at:#x} rsp is {:#x}, not {:#x} deep", self.registers[4], label.depth));
            }
            for &(chunk, narrow) in claims.narrow_of(label) {
                for location in (0..64).filter(|bit| narrow >> bit & 1 != 0).map(|bit| 64 * chunk + bit) {
                    let value = self.location(location);
                    if value > 0xffff_ffff {
                        return no(location, value, "zero-extended".into());
                    }
                }
            }
            for &(location, claim) in claims.facts_of(label) {
                let value = self.location(location);
                match claim {
                    Claim::Fact(fact) if !self.is(value, fact) => return no(location, value, format!("{fact:x?}")),
                    Claim::Same(other) if self.location(other) != value => {
                        return no(location, value, format!("as {other}"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// What stands in a register or word.
    fn location(&mut self, location: u32) -> u64 {
        if location < WORDS {
            return self.registers[location as usize];
        }
        let incoming = i64::from(self.module.types[self.ty].words());
        let address = ENTRY.wrapping_add_signed(8 * (i64::from(WORDS) + incoming - i64::from(location)));
        let mut value = 0;
        for n in (0..8).rev() {
            let arbitrary = self.random.next() as u8;
            value = value << 8 | u64::from(*self.stack.entry(address + n).or_insert(arbitrary));
        }
        value
    }

    /// Whether a fact is true of a value, as `spec/sandbox.rules` says what it means.
    fn is(&self, value: u64, fact: Fact) -> bool {
        let length = |table: u32| self.lengths.get(table as usize).copied().unwrap_or(0);
        let slot = |table: u32| {
            let offset = value.wrapping_sub(TABLES + u64::from(table) * APART);
            offset / 16 < length(table) && offset.is_multiple_of(16)
        };
        let data = |offset: u32| CODE + self.module.data_start + u64::from(offset);
        let entry = |offset: u32, last: u32, value: u64| {
            let words = self.module.data.get(offset as usize..).unwrap_or(&[]).chunks_exact(4).take(last as usize + 1);
            words
                .map(|word| i64::from(i32::from_le_bytes([word[0], word[1], word[2], word[3]])))
                .any(|word| word as u64 == value)
        };
        match fact.view() {
            View::Unknown => true,
            View::Max(bound) => value <= bound,
            View::Memory { memory: OWN, max } => self.module.own_memory && value.wrapping_sub(R15) <= max,
            View::Memory { memory, max } => value.wrapping_sub(MEMORIES + u64::from(memory) * APART) <= max,
            View::Table(table) => value == TABLES + u64::from(table) * APART,
            View::Length(table) => value <= length(table),
            View::Below(table) => value < length(table),
            View::Offset(table) => value / 16 < length(table) && value.is_multiple_of(16),
            View::OffsetMax(bound) => value / 16 <= bound && value.is_multiple_of(16),
            View::Slot(table) => slot(table),
            View::Callable { table, ty } => slot(table) && self.signature(value) == self.ids + u64::from(ty),
            View::Import(import) => value == R15.wrapping_add_signed(self.layout.function_import(import).into()),
            View::Cell(global) => value == CELLS + u64::from(global) * APART,
            View::Signature(ty) => value == self.ids + u64::from(ty),
            View::Data(offset) => value == data(offset),
            View::Entry { data, last } => entry(data, last, value),
            View::Target { data: offset, last } => entry(offset, last, value.wrapping_sub(data(offset))),
        }
    }

    fn arbitrary(&mut self, narrow: bool) -> u64 {
        let value = value(&mut self.random);
        if narrow { value & 0xffff_ffff } else { value }
    }

    fn narrow(&mut self, registers: u16) {
        for n in 0..16 {
            if registers & 1 << n != 0 {
                self.registers[n] &= 0xffff_ffff;
            }
        }
    }

    fn write_stack(&mut self, address: u64, value: u64, width: u64) {
        for n in 0..width {
            self.stack.insert(address + n, (value >> (8 * n.min(7))) as u8);
        }
    }

    /// Where an access of the theorem's kind goes.
    fn place(&mut self, address: u64, width: u64, writes: bool) -> Result<Place, String> {
        let no =
            |why: &str| Err(format!("{} {width} bytes at {address:#x}: {why}", if writes { "writes" } else { "reads" }));
        let end = address.wrapping_add(width);
        if self.module.own_memory && address >= R15 && end <= R15 + MEMORY_RESERVATION {
            return Ok(Place::Linear);
        }
        let (rsp, words) = (self.registers[4], u64::from(self.module.types[self.ty].words()));
        if address >= rsp && end <= ENTRY || address >= ENTRY + 8 && end <= ENTRY + 8 + 8 * words {
            return Ok(Place::Stack);
        }
        if address < R15 && address >= R15 - u64::from(self.layout.size) {
            return self.field(address, width, writes);
        }
        for (k, &length) in (0u64..).zip(&self.lengths) {
            let base = TABLES + k * APART;
            if address >= base - 16 && address < base + (1 << 34) {
                if writes {
                    return no("a table");
                }
                if address == base - 16 && width <= 8 {
                    return Ok(Place::Is(length));
                }
                let offset = address.wrapping_sub(base);
                if offset / 16 >= length || offset % 16 + width > 16 || address < base {
                    return no("no slot");
                }
                return Ok(match offset % 16 {
                    8 => Place::Is(self.signature(address - 8)),
                    _ => Place::Arbitrary,
                });
            }
        }
        let data = CODE + self.module.data_start;
        if address >= data && end <= data + self.module.data.len() as u64 && !writes {
            let at = (address - data) as usize;
            let bytes = &self.module.data[at..at + width.min(8) as usize];
            return Ok(Place::Is(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))));
        }
        for (k, &mutable) in (0u64..).zip(&self.module.global_imports) {
            let cell = CELLS + k * APART;
            if address >= cell && end <= cell + 8 {
                return if writes && !mutable { no("an immutable global") } else { Ok(Place::Arbitrary) };
            }
        }
        for k in 0..u64::from(self.module.shape.memory_imports) {
            let base = MEMORIES + k * APART;
            if address >= base && end <= base + MEMORY_RESERVATION {
                return Ok(Place::Linear);
            }
            let pages = base.wrapping_add_signed(INSTANCE_MEMORY_PAGES.into());
            if address >= pages && end <= pages + 8 {
                return if writes { no("a memory's size") } else { Ok(Place::Arbitrary) };
            }
        }
        no("outside every region")
    }

    /// The signature id in a slot: the same each time it is asked for, until the next call.
    fn signature(&self, slot: u64) -> u64 {
        let mut mixed = Random(slot ^ self.slots ^ self.calls << 48);
        match mixed.next() % (self.module.types.len() as u64 + 1) {
            0 => 0,
            ty => self.ids + ty - 1,
        }
    }

    fn field(&mut self, address: u64, width: u64, writes: bool) -> Result<Place, String> {
        let (offset, l, s) = (address.wrapping_sub(R15) as i64, self.layout, self.module.shape);
        let inside =
            |start: i32, size: u64| offset >= start.into() && offset + width as i64 <= i64::from(start) + size as i64;
        let read = |place: Place| if writes { Err(format!("writes the field at {offset}")) } else { Ok(place) };
        for k in 0..s.globals {
            if inside(l.global(k), 8) {
                return Ok(Place::Arbitrary);
            }
        }
        if inside(INSTANCE_FUEL, 8) {
            return Ok(Place::Arbitrary);
        }
        if inside(INSTANCE_GATE, 8) || inside(INSTANCE_FUNCTIONS, 8) || inside(INSTANCE_MEMORY_PAGES, 8) {
            return read(Place::Arbitrary);
        }
        let whole = |start: i32| offset == start.into();
        for k in 0..s.memory_imports {
            if inside(l.memory_import(k), 8) {
                return read(if whole(l.memory_import(k)) {
                    Place::Is(MEMORIES + u64::from(k) * APART)
                } else {
                    Place::Arbitrary
                });
            }
        }
        for k in 0..s.tables {
            if inside(l.table(k), 8) {
                return read(if whole(l.table(k)) { Place::Is(TABLES + u64::from(k) * APART) } else { Place::Arbitrary });
            }
        }
        for k in 0..s.global_imports {
            if inside(l.global_import(k), 8) {
                return read(if whole(l.global_import(k)) {
                    Place::Is(CELLS + u64::from(k) * APART)
                } else {
                    Place::Arbitrary
                });
            }
        }
        for k in 0..s.types {
            if inside(l.signature(k), 4) {
                return read(if whole(l.signature(k)) { Place::Is(self.ids + u64::from(k)) } else { Place::Arbitrary });
            }
        }
        let readable = (0..s.function_imports).any(|k| inside(l.function_import(k), 16))
            || (0..s.references).any(|k| inside(l.function_reference(k), 4))
            || (0..s.constants).any(|k| inside(l.constant(k), 8));
        if readable { read(Place::Arbitrary) } else { Err(format!("touches the field at {offset}")) }
    }

    fn load(&mut self, address: u64, width: u64, writes: bool) -> Result<u64, String> {
        let mask = if width >= 8 { u64::MAX } else { (1 << (8 * width)) - 1 };
        let place = self.place(address, width, false)?;
        if writes {
            self.place(address, width, true)?;
        }
        let value = match place {
            Place::Is(value) => value,
            Place::Arbitrary | Place::Linear => value(&mut self.random),
            Place::Stack => {
                let mut value = 0;
                for n in (0..width.min(8)).rev() {
                    let arbitrary = self.random.next() as u8;
                    value = value << 8 | u64::from(*self.stack.entry(address + n).or_insert(arbitrary));
                }
                value
            }
        };
        Ok(value & mask)
    }

    fn address(&self, inst: &Instruction) -> u64 {
        if inst.is_ip_rel_memory_operand() {
            return inst.ip_rel_memory_address();
        }
        let of = |register: Register| {
            if register == Register::None { 0 } else { self.registers[register.full_register().number()] }
        };
        let index = of(inst.memory_index()).wrapping_mul(inst.memory_index_scale().into());
        let address = of(inst.memory_base()).wrapping_add(index).wrapping_add(inst.memory_displacement64());
        let narrow = [inst.memory_base(), inst.memory_index()].iter().any(|register| register.is_gpr32());
        if narrow { address & 0xffff_ffff } else { address }
    }

    fn operand(&mut self, inst: &Instruction, n: u32) -> Result<u64, String> {
        Ok(match inst.op_kind(n) {
            OpKind::Register if inst.op_register(n).is_gpr() => {
                let register = inst.op_register(n);
                let mask = if register.size() == 8 { u64::MAX } else { (1 << (8 * register.size())) - 1 };
                self.registers[register.full_register().number()] & mask
            }
            OpKind::Register => value(&mut self.random),
            OpKind::Memory => {
                let (address, width) = (self.address(inst), inst.memory_size().size() as u64);
                self.load(address, width, false)?
            }
            _ => inst.immediate(n),
        })
    }

    fn holds(&mut self, inst: &Instruction) -> bool {
        use iced_x86::ConditionCode as C;
        let f = self.flags;
        match inst.condition_code() {
            C::o => f.overflow,
            C::no => !f.overflow,
            C::b => f.carry,
            C::ae => !f.carry,
            C::e => f.zero,
            C::ne => !f.zero,
            C::be => f.carry || f.zero,
            C::a => !f.carry && !f.zero,
            C::s => f.sign,
            C::ns => !f.sign,
            C::p => f.parity,
            C::np => !f.parity,
            C::l => f.sign != f.overflow,
            C::ge => f.sign == f.overflow,
            C::le => f.zero || f.sign != f.overflow,
            C::g => !f.zero && f.sign == f.overflow,
            C::None => true,
        }
    }

    fn set(&mut self, register: Register, value: u64) -> Step {
        let number = register.full_register().number();
        if number == 15 && register.is_gpr() {
            return Err("writes r15".into());
        }
        self.registers[number] = match register.size() {
            8 => value,
            4 => value & 0xffff_ffff,
            2 => self.registers[number] & !0xffff | value & 0xffff,
            _ if matches!(register, Register::AH | Register::BH | Register::CH | Register::DH) => value,
            _ => self.registers[number] & !0xff | value & 0xff,
        };
        Ok(())
    }

    /// Flags of a comparison or of arithmetic: exact for what is subtracted, arbitrary otherwise.
    fn set_flags(&mut self, inst: &Instruction, operands: &[u64]) {
        let random = self.random.next();
        let arbitrary = Flags {
            carry: random & 1 != 0,
            zero: random & 2 != 0,
            sign: random & 4 != 0,
            overflow: random & 8 != 0,
            parity: random & 16 != 0,
        };
        let bits = 8 * if inst.op_count() == 0 {
            8
        } else {
            match inst.op0_kind() {
                OpKind::Register => inst.op0_register().size(),
                _ => inst.memory_size().size(),
            }
        };
        let mask = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
        self.flags = match (inst.mnemonic(), operands) {
            (Mnemonic::Cmp | Mnemonic::Sub, &[a, b, ..]) => {
                let (a, b) = (a & mask, b & mask);
                let difference = a.wrapping_sub(b) & mask;
                let top = 1u64 << (bits - 1).min(63);
                Flags {
                    carry: a < b,
                    zero: a == b,
                    sign: difference & top != 0,
                    overflow: (a ^ b) & (a ^ difference) & top != 0,
                    parity: (difference as u8).count_ones() % 2 == 0,
                }
            }
            (Mnemonic::Test, &[a, b, ..]) => Flags { carry: false, zero: a & b & mask == 0, overflow: false, ..arbitrary },
            _ => arbitrary,
        };
    }

    /// Where execution goes on; None when it has left the function rightly.
    fn step(&mut self, inst: &Instruction, factory: &mut InstructionInfoFactory) -> Result<Option<u64>, String> {
        match inst.flow_control() {
            FlowControl::Next => self.ordinary(inst, factory)?,
            FlowControl::UnconditionalBranch => return Ok(Some(inst.near_branch_target())),
            FlowControl::ConditionalBranch => {
                return Ok(Some(if self.holds(inst) { inst.near_branch_target() } else { inst.next_ip() }));
            }
            FlowControl::IndirectBranch => return self.operand(inst, 0).map(Some),
            FlowControl::Exception if inst.code() == Code::Ud2 => return Ok(None),
            FlowControl::Call => {
                let target = inst.near_branch_target().wrapping_sub(CODE);
                let units = &self.module.units[..self.module.functions];
                let callee = units.iter().find(|unit| u64::from(unit.start) == target);
                let Some(callee) = callee else { return Err("calls what is no function".into()) };
                let ty = callee.ty as usize;
                self.call(Some(ty))?;
            }
            FlowControl::IndirectCall => {
                if inst.op0_kind() != OpKind::Memory {
                    return Err("calls through a register".into());
                }
                let address = self.address(inst);
                self.call_through(address)?;
            }
            FlowControl::Return if matches!(inst.code(), Code::Retnq | Code::Retnq_imm16) => {
                let pop = if inst.op_count() == 0 { 0 } else { u64::from(inst.immediate16()) };
                return self.leave(pop).map(|()| None);
            }
            _ => return Err("leaves the program".into()),
        }
        Ok(Some(inst.next_ip()))
    }

    fn ordinary(&mut self, inst: &Instruction, factory: &mut InstructionInfoFactory) -> Step {
        let info = factory.info(inst).clone();
        // Accesses, as iced-x86 lists them.
        for used in info.used_memory() {
            if used.segment() != Register::DS && used.segment() != Register::SS {
                return Err(format!("uses the segment {:?}", used.segment()));
            }
            let writes = matches!(
                used.access(),
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            );
            let (address, width) = (self.address(inst), used.memory_size().size() as u64);
            if width == 0 {
                continue;
            }
            if !matches!(used.access(), OpAccess::NoMemAccess) {
                self.place(address, width, writes)?;
                if used.access() != OpAccess::Write {
                    self.place(address, width, false)?;
                }
            }
        }
        let before = self.registers;
        let lea = inst.mnemonic() == Mnemonic::Lea;
        let mut operands = Vec::new();
        for n in 0..inst.op_count() {
            let written_only = n == 0 && inst.op_kind(0) == OpKind::Memory && matches!(info.op0_access(), OpAccess::Write);
            operands.push(match inst.op_kind(n) {
                OpKind::Memory if lea || written_only => self.address(inst),
                _ => self.operand(inst, n)?,
            });
        }
        let result = self.result(inst, &operands);
        let flags_change = inst.rflags_modified() != 0;
        if inst.rflags_modified() & (RflagsBits::DF | RflagsBits::IF | RflagsBits::AC) != 0 {
            return Err("changes what the host relies on in the flags".into());
        }
        // Beside what iced-x86 lists: bits far from the operand, and faults that no site stands for.
        let memory = (0..inst.op_count()).any(|n| inst.op_kind(n) == OpKind::Memory);
        if memory && matches!(inst.mnemonic(), Mnemonic::Bt | Mnemonic::Btc | Mnemonic::Btr | Mnemonic::Bts) {
            return Err("touches a bit at some distance from its operand".into());
        }
        let unaligned = matches!(inst.mnemonic(), Mnemonic::Movups | Mnemonic::Movupd | Mnemonic::Movdqu | Mnemonic::Lddqu);
        if memory && inst.memory_size().size() == 16 && inst.encoding() == EncodingKind::Legacy && !unaligned && !lea {
            return Err("faults if its operand is not aligned".into());
        }
        if matches!(inst.mnemonic(), Mnemonic::Ldmxcsr | Mnemonic::Vldmxcsr) {
            return Err("changes MXCSR".into());
        }
        if let Some(feature) = inst.cpuid_features().iter().find(|feature| !FEATURES.contains(feature)) {
            return Err(format!("is of the instructions {feature:?}"));
        }
        // Whatever is written is arbitrary, unless it is computed below.
        for used in info.used_registers() {
            let writes = matches!(
                used.access(),
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            );
            if writes && used.register().is_gpr() {
                // Of an instruction that writes the lower half of a register it does not name, all 64 bits are said to be
                // written: the upper ones with zeros (Intel SDM vol. 1, 3.4.1.1).
                let narrow =
                    matches!(inst.code(), Code::Cdq | Code::Div_rm32 | Code::Idiv_rm32 | Code::Mul_rm32 | Code::Imul_rm32);
                let value = value(&mut self.random) & if narrow { 0xffff_ffff } else { u64::MAX };
                self.set(used.register(), value)?;
            }
        }
        if inst.op_count() > 0
            && matches!(
                info.op0_access(),
                OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
            )
        {
            match inst.op0_kind() {
                OpKind::Register if inst.op0_register().is_gpr() => {
                    let register = inst.op0_register();
                    let value = result.unwrap_or_else(|| value(&mut self.random));
                    self.registers[register.full_register().number()] = before[register.full_register().number()];
                    self.set(register, value)?;
                }
                OpKind::Memory => {
                    let (address, width) = (self.address(inst), inst.memory_size().size() as u64);
                    if let Place::Stack = self.place(address, width, true)? {
                        let value = result.unwrap_or_else(|| value(&mut self.random));
                        self.write_stack(address, value, width);
                    }
                }
                _ => {}
            }
        }
        if self.registers[4] > ENTRY || self.registers[4] < ENTRY - MAX_FRAME || self.registers[4] % 8 != 0 {
            return Err(format!("rsp is {:#x}", self.registers[4]));
        }
        if self.registers[4] != before[4] && self.registers[4] > before[4] {
            let (from, to) = (before[4], self.registers[4]);
            self.stack.retain(|address, _| !(from..to).contains(address));
        }
        if flags_change {
            self.set_flags(inst, &operands);
        }
        Ok(())
    }

    /// The result in operand 0, if it matters to addresses and is computed here.
    fn result(&mut self, inst: &Instruction, operands: &[u64]) -> Option<u64> {
        let (a, b) = (operands.first().copied()?, operands.get(1).copied());
        let width = |n: u32| match inst.op_kind(n) {
            OpKind::Register => inst.op_register(n).size(),
            OpKind::Memory => inst.memory_size().size(),
            _ => 8,
        };
        let sign_extended = |value: u64, bytes: usize| {
            let unused = 64 - 8 * bytes as u32;
            ((value << unused) as i64 >> unused) as u64
        };
        let bits = 8 * width(0) as u32;
        let named = |prefix: &str| format!("{:?}", inst.mnemonic()).starts_with(prefix);
        Some(match inst.mnemonic() {
            Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Lea => b?,
            Mnemonic::Movsx | Mnemonic::Movsxd => sign_extended(b?, width(1)),
            Mnemonic::Add => a.wrapping_add(b?),
            Mnemonic::Sub => a.wrapping_sub(b?),
            Mnemonic::And => a & b?,
            Mnemonic::Or => a | b?,
            Mnemonic::Xor => a ^ b?,
            Mnemonic::Not => !a,
            Mnemonic::Neg => a.wrapping_neg(),
            Mnemonic::Shl => a << (b? as u32 & if bits == 64 { 63 } else { 31 }),
            Mnemonic::Shr => a >> (b? as u32 & if bits == 64 { 63 } else { 31 }),
            // What the checker knows of a shift to the right by a register: it is no larger.
            Mnemonic::Shrx => b? >> (operands.get(2)? & if bits == 64 { 63 } else { 31 }),
            Mnemonic::Sbb if inst.op0_register() == inst.op1_register() => 0u64.wrapping_sub(self.flags.carry.into()),
            _ if named("Set") => self.holds(inst).into(),
            _ if named("Cmov") => {
                let (holds, b) = (self.holds(inst), b?);
                if holds { b } else { a }
            }
            _ => return None,
        })
    }

    // -- calls --

    fn call_through(&mut self, address: u64) -> Step {
        let offset = address.wrapping_sub(R15) as i64;
        if offset == i64::from(INSTANCE_GATE) {
            self.call(None)?;
            self.registers[0] = GATE & 0xffff_ffff;
            return Ok(());
        }
        for k in 0..self.module.shape.function_imports {
            if offset == i64::from(self.layout.function_import(k) + SLOT_CODE) {
                if self.registers[0] != address.wrapping_sub(SLOT_CODE as u64) {
                    return Err("calls an import with another slot in rax".into());
                }
                return self.call(Some(self.module.import_types[k as usize] as usize));
            }
        }
        for (k, &length) in (0u64..).zip(&self.lengths) {
            let slot = address.wrapping_sub(TABLES + k * APART);
            if slot < 16 * length && slot % 16 == SLOT_CODE as u64 {
                if self.registers[0] != address {
                    return Err("calls a slot that is not in rax".into());
                }
                let Some(ty) = self.signature(address).checked_sub(self.ids) else { return Err("calls a null slot".into()) };
                return self.call(Some(ty as usize));
            }
        }
        Err(format!("calls through {address:#x}"))
    }

    /// Checks what the callee relies on; leaves arbitrary values.
    fn call(&mut self, ty: Option<usize>) -> Step {
        let signature = ty.map(|ty| self.module.types[ty].clone()).unwrap_or_default();
        let rsp = self.registers[4];
        if rsp + 8 * u64::from(signature.words()) > ENTRY {
            return Err("the callee's words are not in the frame".into());
        }
        for n in 0..16 {
            if signature.parameters.narrow & 1 << n != 0 && self.registers[n] > 0xffff_ffff {
                return Err(format!("passes {:#x} for an i32 in register {n}", self.registers[n]));
            }
        }
        for (n, narrow) in (0..).zip(&signature.parameters.words) {
            if *narrow && self.load(rsp + 8 * n, 8, false)? > 0xffff_ffff {
                return Err("passes a wide word for an i32".into());
            }
        }
        for n in (0..15).filter(|n| *n != 4) {
            self.registers[n] = value(&mut self.random);
        }
        self.narrow(signature.results.narrow);
        let random = self.random.next();
        self.flags = Flags { carry: random & 1 != 0, zero: random & 2 != 0, ..Flags::default() };
        self.stack.retain(|address, _| *address < rsp || *address >= rsp + 8 * u64::from(signature.words()));
        let first = signature.parameters.words.len() as u64;
        for (n, narrow) in (first..).zip(&signature.results.words) {
            let value = self.arbitrary(*narrow);
            self.write_stack(rsp + 8 * n, value, 8);
        }
        self.registers[4] = rsp + u64::from(signature.pop());
        self.calls += 1;
        for length in &mut self.lengths {
            *length += self.random.next() % 2;
        }
        Ok(())
    }

    fn leave(&mut self, pop: u64) -> Step {
        let signature = &self.module.types[self.ty].clone();
        if self.registers[4] != ENTRY || pop != u64::from(signature.pop()) {
            return Err(format!("returns with rsp {:#x}, popping {pop}", self.registers[4]));
        }
        for n in 0..16 {
            if signature.results.narrow & 1 << n != 0 && self.registers[n] > 0xffff_ffff {
                return Err(format!("returns {:#x} for an i32 in register {n}", self.registers[n]));
            }
        }
        let first = signature.parameters.words.len() as u64;
        for (n, narrow) in (first..).zip(&signature.results.words) {
            if *narrow && self.load(ENTRY + 8 + 8 * n, 8, false)? > 0xffff_ffff {
                return Err("returns a wide word for an i32".into());
            }
        }
        Ok(())
    }
}
