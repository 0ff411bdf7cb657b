//! What an instruction's description says against what iced-x86 knows of the form it encodes.
//!
//! Operands fit in number, kind and width; those written are `out` or `inout` and those read are not `out`; registers
//! that the form uses without encoding them are declared; effects on flags, transfers of control and CPU features agree.
//! A description with no error here can be encoded with any registers its kinds allow.

use super::builtin::CONDITIONS;
use super::inst::{FlagEffect, flag_effect, kind_name, reads};
use crate::ast::*;
use crate::diagnostic::Diagnostic;
use iced_x86::{
    Code, CpuidFeature, Encoder, EncodingKind, FlowControl, Instruction, InstructionInfoFactory, OpAccess,
    OpCodeOperandKind, OpKind, Register, RflagsBits,
};
use std::collections::{BTreeMap, HashMap};

/// All forms by name.
pub struct Forms {
    codes: HashMap<String, Code>,
}

/// Registers that sample instructions use for operands that may be anywhere.
const SAMPLE: [u8; 6] = [3, 6, 7, 8, 9, 10];
/// Base of sample memory operands.
const SAMPLE_BASE: Register = Register::R14;

/// Legacy moves that allow unaligned memory.
const UNALIGNED: [&str; 4] = ["Movups_", "Movupd_", "Movdqu_", "Lddqu_"];

/// How an instruction uses a register or operand.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    read: bool,
    written: bool,
    /// Written under a condition only, without being read.
    maybe: bool,
}

impl Use {
    fn of(access: OpAccess) -> Use {
        match access {
            OpAccess::Read | OpAccess::CondRead => Use { read: true, ..Use::default() },
            OpAccess::Write => Use { written: true, ..Use::default() },
            OpAccess::CondWrite => Use { written: true, maybe: true, ..Use::default() },
            OpAccess::ReadWrite | OpAccess::ReadCondWrite => Use { read: true, written: true, maybe: false },
            OpAccess::None | OpAccess::NoMemAccess => Use::default(),
        }
    }

    fn and(self, other: Use) -> Use {
        Use { read: self.read || other.read, written: self.written || other.written, maybe: self.maybe || other.maybe }
    }
}

impl Forms {
    pub fn new() -> Forms {
        Forms { codes: Code::values().map(|code| (format!("{code:?}"), code)).collect() }
    }

    /// Checks one instruction whose operands and effect are sound in themselves.
    pub fn check(&self, inst: &Inst, errors: &mut Vec<Diagnostic>) {
        let condition = inst.operands.iter().find(|operand| operand.kind == OperandKind::Cc);
        let names: Vec<String> = match (inst.code.text.split_once("{cc}"), condition) {
            (Some((before, after)), Some(_)) => CONDITIONS.iter().map(|cc| format!("{before}{cc}{after}")).collect(),
            (Some(_), None) => {
                errors.push(
                    Diagnostic::new(inst.code.span, "`{cc}` without a condition code")
                        .help("add an operand of kind cc: `cc: cc`"),
                );
                return;
            }
            (None, Some(operand)) => {
                errors.push(
                    Diagnostic::new(operand.span, "this condition code is not encoded")
                        .other(inst.code.span, "write `{cc}` for its name in here"),
                );
                return;
            }
            (None, None) => vec![inst.code.text.clone()],
        };
        for name in &names {
            let Some(code) = self.find(name, inst.code.span, errors) else { return };
            let form = One { inst, code, place: inst.code.span, short: false };
            if !form.check(errors) {
                return;
            }
        }
        let Some(short) = &inst.short else { return };
        let Some(code) = self.find(&short.text, short.span, errors) else { return };
        if !inst.operands.iter().any(|operand| operand.kind == OperandKind::SImm(32)) {
            errors.push(
                Diagnostic::new(short.span, "a short form without an immediate")
                    .help("the short form is taken when an operand of kind simm32 fits 8 bits"),
            );
            return;
        }
        One { inst, code, place: short.span, short: true }.check(errors);
    }

    fn find(&self, name: &str, span: Span, errors: &mut Vec<Diagnostic>) -> Option<Code> {
        let code = self.codes.get(name).copied();
        match code {
            None => {
                let name = Name { text: name.to_string(), span };
                errors.push(Diagnostic::unknown("iced-x86 form", &name, self.codes.keys().map(String::as_str)));
            }
            Some(code) if !code.op_code().is_instruction() || !code.op_code().mode64() => {
                errors.push(Diagnostic::new(span, format!("`{name}` does not exist in 64-bit mode")));
                return None;
            }
            Some(_) => {}
        }
        code
    }
}

/// How a form is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub code: Code,
    pub vex: bool,
    /// 0 to 3 for one byte, 0F, 0F38, 0F3A.
    pub map: u8,
    /// 0 to 3 for none, 66, F3, F2.
    pub prefix: u8,
    /// REX.W (or VEX.W) is set.
    pub wide: bool,
    pub opcode: u8,
    /// What ModRM.reg must be, if it belongs to the opcode.
    pub digit: Option<u8>,
}

/// The encoding of an instruction's form; its prefixes by encoding it with sample registers.
pub fn encoding(inst: &Inst, name: &str) -> Option<Encoding> {
    let code = Code::values().find(|code| format!("{code:?}") == name)?;
    let one = One { inst, code, place: inst.code.span, short: false };
    let mut bytes = None;
    for memory in [false, true] {
        let Some((sample, _)) = one.sample(memory) else { continue };
        let mut encoder = Encoder::new(64);
        if encoder.encode(&sample, 0x1000).is_ok() {
            bytes = Some(encoder.take_buffer());
            break;
        }
    }
    let bytes = bytes?;
    let byte = |n: usize| bytes.get(n).copied().unwrap_or(0);
    let legacy = [0x66, 0xf3, 0xf2].iter().position(|prefix| *prefix == byte(0)).map_or(0, |n| n as u8 + 1);
    let (vex, prefix, wide, long) = match byte(usize::from(legacy != 0)) {
        0xc4 => (true, byte(2) & 3, byte(2) & 0x80 != 0, byte(2) & 4 != 0),
        0xc5 => (true, byte(1) & 3, false, byte(1) & 4 != 0),
        rex @ 0x40..=0x4f => (false, legacy, rex & 8 != 0, false),
        _ => (false, legacy, false, false),
    };
    let info = code.op_code();
    // The checker reads no second opcode byte, none in the place of ModRM, and no long vectors.
    let whole = info.op_code_len() == 1 && info.rm_group_index() < 0 && !long;
    let map = u8::try_from(info.table() as usize).ok().filter(|map| *map < 4 && whole)?;
    let (opcode, digit) = (u8::try_from(info.op_code()).ok()?, u8::try_from(info.group_index()).ok());
    Some(Encoding { code, vex, map, prefix, wide, opcode, digit })
}

/// One instruction against one form.
struct One<'a> {
    inst: &'a Inst,
    code: Code,
    place: Span,
    short: bool,
}

impl One<'_> {
    fn operand(&self, encoded: &EncodedOperand) -> Option<&Operand> {
        match encoded {
            EncodedOperand::Operand(name) => self.inst.operands.iter().find(|operand| operand.name.text == name.text),
            EncodedOperand::Literal(..) => None,
        }
    }

    fn form(&self) -> String {
        format!("this is {}", self.code.op_code().instruction_string())
    }

    /// Whether all is well.
    fn check(&self, errors: &mut Vec<Diagnostic>) -> bool {
        let first = errors.len();
        self.kinds(errors);
        if errors.len() == first {
            self.uses(errors);
            self.features(errors);
            self.flow(errors);
        }
        errors.len() == first
    }

    /// Number, kinds and widths of the encoded operands.
    fn kinds(&self, errors: &mut Vec<Diagnostic>) {
        let kinds = self.code.op_code().op_kinds();
        if kinds.len() != self.inst.encoded.len() {
            let (expected, found) = (kinds.len(), self.inst.encoded.len());
            errors.push(
                Diagnostic::new(self.place, format!("`{:?}` has {expected} operands, found {found}", self.code))
                    .label(self.form()),
            );
            return;
        }
        for (&kind, encoded) in kinds.iter().zip(&self.inst.encoded) {
            let (fits, span, what) = match (encoded, self.operand(encoded)) {
                (EncodedOperand::Literal(value, span), _) => {
                    let fits = matches!(kind, OpCodeOperandKind::imm8) && (0..256).contains(value)
                        || matches!(kind, OpCodeOperandKind::imm8_const_1) && *value == 1;
                    (fits, *span, format!("the number {value}"))
                }
                (EncodedOperand::Operand(name), Some(operand)) => {
                    let fits = self.fits(kind, operand) && self.memory_fits(kind, operand);
                    (fits, name.span, format!("`{}` of kind {}", name.text, kind_name(operand.kind)))
                }
                (EncodedOperand::Operand(name), None) => {
                    let general = !name.text.starts_with("xmm");
                    let fits = general && self.register_fits(kind, 64) || !general && vector(kind);
                    (fits, name.span, format!("the register `{}`", name.text))
                }
            };
            if !fits {
                errors.push(
                    Diagnostic::new(span, format!("{what} does not fit `{:?}`", self.code))
                        .label(format!("the form wants {kind:?}"))
                        .other(self.place, self.form()),
                );
            }
        }
    }

    fn fits(&self, kind: OpCodeOperandKind, operand: &Operand) -> bool {
        use OpCodeOperandKind as K;
        let fixed = operand.fixed.as_ref().map(|name| name.text.as_str());
        match (kind, operand.kind) {
            (K::cl, OperandKind::Reg(8)) => fixed == Some("rcx"),
            (K::al, OperandKind::Reg(8)) | (K::ax, OperandKind::Reg(16)) => fixed == Some("rax"),
            (K::eax, OperandKind::Reg(32)) | (K::rax, OperandKind::Reg(64)) => fixed == Some("rax"),
            (_, OperandKind::Reg(width)) => self.register_fits(kind, width),
            (_, OperandKind::RegMem(width) | OperandKind::Mem(width)) if general_or_memory(kind) == Some(width) => true,
            (K::xmm_or_mem, OperandKind::XmmMem(_) | OperandKind::Mem(_)) => true,
            (K::mem, OperandKind::Mem(_)) => true,
            (K::mem, OperandKind::Addr | OperandKind::Label) => self.memory_bits() == 0,
            (_, OperandKind::Xmm(_)) => vector(kind),
            (K::imm8, OperandKind::UImm(8)) => true,
            (K::imm8sex16 | K::imm8sex32 | K::imm8sex64, OperandKind::SImm(8)) => true,
            (K::imm8sex32 | K::imm8sex64, OperandKind::SImm(32)) => self.short,
            (K::imm16, OperandKind::UImm(16)) => true,
            (K::imm32, OperandKind::SImm(32) | OperandKind::UImm(32)) | (K::imm32sex64, OperandKind::SImm(32)) => {
                !self.short
            }
            (K::imm64, OperandKind::UImm(64)) => true,
            (K::br64_1 | K::br64_4, OperandKind::Label) => true,
            _ => false,
        }
    }

    fn register_fits(&self, kind: OpCodeOperandKind, width: u16) -> bool {
        use OpCodeOperandKind as K;
        general_or_memory(kind) == Some(width)
            || match kind {
                K::r8_reg | K::r8_opcode => width == 8,
                K::r16_reg | K::r16_rm | K::r16_opcode => width == 16,
                K::r32_reg | K::r32_rm | K::r32_opcode | K::r32_vvvv => width == 32,
                K::r64_reg | K::r64_rm | K::r64_opcode | K::r64_vvvv => width == 64,
                _ => false,
            }
    }

    /// Bits of memory that the form accesses.
    fn memory_bits(&self) -> usize {
        let mut sample = Instruction::default();
        sample.set_code(self.code);
        sample.memory_size().size() * 8
    }

    /// A memory operand, or a vector register that stands where memory could, has the width that the form accesses.
    fn memory_fits(&self, kind: OpCodeOperandKind, operand: &Operand) -> bool {
        let memory =
            general_or_memory(kind).is_some() || matches!(kind, OpCodeOperandKind::xmm_or_mem | OpCodeOperandKind::mem);
        let width = match operand.kind {
            OperandKind::RegMem(width) | OperandKind::Mem(width) | OperandKind::XmmMem(width) => width,
            OperandKind::Xmm(width) if !self.repeated(&operand.name.text) => width,
            _ => return true,
        };
        !memory || usize::from(width) == self.memory_bits()
    }

    /// Whether an operand is encoded twice, as in `xor r, r`.
    fn repeated(&self, name: &str) -> bool {
        let named = |encoded: &&EncodedOperand| matches!(encoded, EncodedOperand::Operand(one) if one.text == name);
        self.inst.encoded.iter().filter(named).count() > 1
    }

    /// The instruction with sample registers; operands that may be memory are memory if `memory` is set.
    fn sample(&self, memory: bool) -> Option<(Instruction, Vec<Register>)> {
        let mut sample = Instruction::default();
        sample.set_code(self.code);
        let mut chosen: HashMap<&str, Register> = HashMap::new();
        let mut free = SAMPLE.iter();
        let mut registers = Vec::new();
        for (n, (&kind, encoded)) in (0..).zip(self.code.op_code().op_kinds().iter().zip(&self.inst.encoded)) {
            let (name, kind_of, fixed) = match (encoded, self.operand(encoded)) {
                (EncodedOperand::Literal(value, _), _) => {
                    sample.try_set_op_kind(n, immediate_kind(kind)?).ok()?;
                    sample.try_set_immediate_i32(n, i32::try_from(*value).ok()?).ok()?;
                    continue;
                }
                (EncodedOperand::Operand(name), Some(operand)) => (name, operand.kind, operand.fixed.as_ref()),
                (EncodedOperand::Operand(name), None) => (name, OperandKind::Reg(64), Some(name)),
            };
            match kind_of {
                OperandKind::SImm(_) | OperandKind::UImm(_) => {
                    sample.try_set_op_kind(n, immediate_kind(kind)?).ok()?;
                    sample.try_set_immediate_i32(n, 1).ok()?;
                }
                OperandKind::Label if !matches!(kind, OpCodeOperandKind::mem) => {
                    sample.try_set_op_kind(n, OpKind::NearBranch64).ok()?;
                    sample.set_near_branch64(0x1000);
                }
                OperandKind::Mem(_) | OperandKind::Addr | OperandKind::Label => memory_operand(&mut sample, n)?,
                OperandKind::RegMem(_) | OperandKind::XmmMem(_) if memory => memory_operand(&mut sample, n)?,
                OperandKind::Cc => return None,
                OperandKind::Reg(_) | OperandKind::Xmm(_) | OperandKind::RegMem(_) | OperandKind::XmmMem(_) => {
                    let register = match chosen.get(name.text.as_str()) {
                        Some(register) => *register,
                        None => {
                            let number = match fixed {
                                Some(fixed) => super::register_number(&fixed.text)?,
                                None => *free.next()?,
                            };
                            register(kind_of, number)
                        }
                    };
                    chosen.insert(&name.text, register);
                    registers.push(register.full_register());
                    sample.try_set_op_kind(n, OpKind::Register).ok()?;
                    sample.try_set_op_register(n, register).ok()?;
                }
            }
        }
        Some((sample, registers))
    }

    /// What the form reads and writes, flags included.
    fn uses(&self, errors: &mut Vec<Diagnostic>) {
        let choices: &[bool] = match self
            .inst
            .operands
            .iter()
            .any(|operand| matches!(operand.kind, OperandKind::RegMem(_) | OperandKind::XmmMem(_)))
        {
            true => &[false, true],
            false => &[false],
        };
        for &memory in choices {
            let first = errors.len();
            let encodable = |sample: &Instruction| Encoder::new(64).encode(sample, 0x1000).is_ok();
            let Some((sample, registers)) = self.sample(memory).filter(|(sample, _)| encodable(sample)) else {
                errors.push(
                    Diagnostic::new(self.place, format!("`{:?}` cannot be encoded with these operands", self.code))
                        .label(self.form()),
                );
                return;
            };
            let mut factory = InstructionInfoFactory::new();
            let info = factory.info(&sample);
            let mut operands: BTreeMap<&str, Use> = BTreeMap::new();
            for (n, encoded) in (0..).zip(&self.inst.encoded) {
                if let EncodedOperand::Operand(name) = encoded {
                    let entry = operands.entry(&name.text).or_default();
                    *entry = entry.and(Use::of(info.op_access(n)));
                }
            }
            for operand in &self.inst.operands {
                if let Some(used) = operands.get(operand.name.text.as_str()) {
                    self.operand_use(operand, *used, errors);
                }
            }
            let mut implicit: BTreeMap<u8, Use> = BTreeMap::new();
            for used in info.used_registers() {
                let register = used.register().full_register();
                if register.is_gpr() && register != SAMPLE_BASE && !registers.contains(&register) {
                    let entry = implicit.entry(register.number() as u8).or_default();
                    *entry = entry.and(Use::of(used.access()));
                }
            }
            self.implicit(&implicit, errors);
            self.flags(&sample, errors);
            if errors.len() > first {
                return;
            }
        }
    }

    fn disagree(&self, span: Span, message: String, help: &str) -> Diagnostic {
        Diagnostic::new(span, message).other(self.place, self.form()).help(help)
    }

    fn operand_use(&self, operand: &Operand, used: Use, errors: &mut Vec<Diagnostic>) {
        let name = &operand.name.text;
        match operand.kind {
            OperandKind::Reg(_) | OperandKind::Xmm(_) | OperandKind::RegMem(_) | OperandKind::XmmMem(_) => {
                if used.written && operand.mode == Mode::Use {
                    errors.push(self.disagree(
                        operand.span,
                        format!("`{name}` is written by the instruction"),
                        "declare it `inout` if it is read too, else `out`",
                    ));
                } else if !used.written && operand.mode != Mode::Use {
                    errors.push(self.disagree(
                        operand.span,
                        format!("`{name}` is not written by the instruction"),
                        "it is an input",
                    ));
                } else if used.read && matches!(operand.mode, Mode::Out | Mode::EarlyOut) && !self.repeated(name) {
                    errors.push(self.disagree(
                        operand.span,
                        format!("`{name}` is read by the instruction"),
                        "declare it `inout`",
                    ));
                } else if used.maybe && operand.kind == OperandKind::Reg(32) {
                    errors.push(self.disagree(
                        operand.span,
                        format!("`{name}` is not always written, so its upper half need not be zero"),
                        "take the 64-bit form",
                    ));
                } else if used.maybe
                    && operand.mode != Mode::InOut
                    && !self.inst.body.iter().any(|stmt| matches!(stmt, InstStmt::Undefined(to, _) if to.text == *name))
                {
                    errors.push(self.disagree(
                        operand.span,
                        format!("`{name}` is not always written"),
                        &format!("say when not: `undefined {name} when …`"),
                    ));
                }
            }
            OperandKind::Mem(width) => {
                let assigned = self.inst.body.iter().any(|stmt| matches!(stmt, InstStmt::Assign(to, _) if to.text == *name));
                let transfer = self.inst.body.iter().any(|stmt| matches!(stmt, InstStmt::Transfer(..) | InstStmt::Jump(..)));
                if used.written != assigned {
                    let (is, help) = if assigned { ("not written", "it is only read") } else { ("written", "assign to it") };
                    errors.push(self.disagree(operand.span, format!("`{name}` is {is} by the instruction"), help));
                } else if used.read != reads(self.inst, name) && !transfer {
                    let (is, help) =
                        if used.read { ("read", "use it in the effect") } else { ("not read", "it is only written") };
                    errors.push(self.disagree(operand.span, format!("`{name}` is {is} by the instruction"), help));
                }
                self.alignment(operand, width, errors);
            }
            _ => {}
        }
        if let OperandKind::XmmMem(width) = operand.kind {
            self.alignment(operand, width, errors);
        }
    }

    fn alignment(&self, operand: &Operand, width: u16, errors: &mut Vec<Diagnostic>) {
        let name = format!("{:?}", self.code);
        let lenient = UNALIGNED.iter().any(|prefix| name.starts_with(prefix));
        if width == 128 && self.code.encoding() == EncodingKind::Legacy && !lenient {
            errors.push(self.disagree(
                operand.span,
                format!("`{}` faults when the address is not a multiple of 16", operand.name.text),
                "take a register (xmm128), or the VEX form",
            ));
        }
    }

    /// Registers that the form uses without encoding them.
    fn implicit(&self, implicit: &BTreeMap<u8, Use>, errors: &mut Vec<Diagnostic>) {
        let is_encoded = |operand: &Operand| {
            self.inst
                .encoded
                .iter()
                .any(|encoded| matches!(encoded, EncodedOperand::Operand(name) if name.text == operand.name.text))
        };
        let declared: Vec<(u8, &Operand)> = self
            .inst
            .operands
            .iter()
            .filter(|operand| !is_encoded(operand))
            .filter_map(|operand| Some((super::register_number(&operand.fixed.as_ref()?.text)?, operand)))
            .collect();
        let stack = !matches!(self.code.flow_control(), FlowControl::Next);
        for (&number, used) in implicit {
            let name = super::REGISTERS[usize::from(number)];
            let here = || declared.iter().filter(|(fixed, _)| *fixed == number).map(|(_, operand)| *operand);
            let reads = here().any(|operand| matches!(operand.mode, Mode::Use | Mode::InOut));
            let writes = here().any(|operand| operand.mode != Mode::Use)
                || self.inst.body.iter().any(|stmt| matches!(stmt, InstStmt::Clobber(clobbered) if clobbered.text == name));
            if stack && name == "rsp" {
                continue;
            }
            if used.read && !reads {
                let mode = if used.written { "inout " } else { "" };
                let help = format!("add an operand `name: {mode}r64 in {name}`");
                errors.push(self.disagree(self.inst.name.span, format!("`{name}` is read, but no operand is in it"), &help));
            } else if used.written && !writes {
                let help = format!("add an operand `name: out r64 in {name}`, or `clobbers {name}` to the effect");
                errors.push(self.disagree(
                    self.inst.name.span,
                    format!("`{name}` is written, but no operand is in it"),
                    &help,
                ));
            }
        }
        for (number, operand) in declared {
            let used = implicit.get(&number).copied().unwrap_or_default();
            let (reads, writes) = (matches!(operand.mode, Mode::Use | Mode::InOut), operand.mode != Mode::Use);
            if reads && !used.read || writes && !used.written {
                let does = if reads && !used.read { "read" } else { "write" };
                errors.push(self.disagree(
                    operand.span,
                    format!("the instruction does not {does} `{}`", operand.name.text),
                    "an operand that is not encoded must be one that the form implies",
                ));
            }
        }
    }

    fn flags(&self, sample: &Instruction, errors: &mut Vec<Diagnostic>) {
        let effect = flag_effect(self.inst);
        let span = self.inst.name.span;
        match (sample.rflags_modified() != 0, effect) {
            (true, FlagEffect::Kept) => errors.push(self.disagree(
                span,
                "the effect does not say what becomes of the flags".into(),
                "add `flags = …`, or `flags undefined`",
            )),
            (false, FlagEffect::Set | FlagEffect::Undefined) => {
                errors.push(self.disagree(span, "the instruction does not change the flags".into(), "delete `flags …`"));
            }
            // What conditions read must all be what the effect says.
            (true, FlagEffect::Set) => {
                let read = RflagsBits::CF | RflagsBits::ZF | RflagsBits::SF | RflagsBits::OF | RflagsBits::PF;
                let made = sample.rflags_written() | sample.rflags_cleared() | sample.rflags_set();
                if made & read != read {
                    errors.push(self.disagree(
                        span,
                        "the instruction leaves some flags undefined, or as they were".into(),
                        "say `flags undefined`",
                    ));
                }
            }
            _ => {}
        }
        match (sample.rflags_read() != 0, reads(self.inst, "flags")) {
            (true, false) => errors.push(self.disagree(
                span,
                "the instruction reads the flags, the effect does not".into(),
                "use `holds(cc.…, flags)`",
            )),
            (false, true) => {
                errors.push(self.disagree(
                    span,
                    "the effect reads the flags, the instruction does not".into(),
                    "delete `holds(…)`",
                ));
            }
            _ => {}
        }
    }

    fn features(&self, errors: &mut Vec<Diagnostic>) {
        let declared = self.inst.feature.as_ref().map(|name| name.text.as_str());
        let mut needed: Vec<&str> = Vec::new();
        for feature in self.code.cpuid_features() {
            match required(*feature) {
                Some("") => {}
                Some(name) => needed.push(name),
                None => {
                    errors.push(
                        Diagnostic::new(
                            self.place,
                            format!("`{:?}` needs {feature:?}, which no feature here stands for", self.code),
                        )
                        .help(format!("features are {}", super::FEATURES.join(", "))),
                    );
                    return;
                }
            }
        }
        match (needed.first(), declared) {
            (Some(needed), None) => errors.push(
                Diagnostic::new(self.place, format!("`{:?}` needs {needed}", self.code))
                    .help(format!("add `when {needed}` behind the encoded operands")),
            ),
            (Some(needed), Some(declared)) if *needed != declared => {
                errors.push(Diagnostic::new(self.place, format!("`{:?}` needs {needed}, not {declared}", self.code)));
            }
            (None, Some(_)) => {
                let span = self.inst.feature.as_ref().map_or(self.place, |name| name.span);
                errors.push(
                    Diagnostic::new(span, format!("`{:?}` is in every CPU of the base level", self.code))
                        .help("delete `when …`"),
                );
            }
            _ => {}
        }
    }

    fn flow(&self, errors: &mut Vec<Diagnostic>) {
        let says = self.inst.body.iter().find_map(|stmt| match stmt {
            InstStmt::Jump(_, Some(_)) => Some("jumps under a condition"),
            InstStmt::Jump(_, None) => Some("jumps"),
            InstStmt::Transfer(what, _) if what.text == "trap" => Some("traps"),
            InstStmt::Transfer(what, _) if what.text == "return" => Some("returns"),
            InstStmt::Transfer(..) => Some("calls"),
            _ => None,
        });
        let does = match self.code.flow_control() {
            FlowControl::Next => None,
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => Some("jumps"),
            FlowControl::ConditionalBranch => Some("jumps under a condition"),
            FlowControl::Return => Some("returns"),
            FlowControl::Call | FlowControl::IndirectCall => Some("calls"),
            FlowControl::Exception => Some("traps"),
            FlowControl::Interrupt | FlowControl::XbeginXabortXend => Some("leaves the program"),
        };
        if says != does {
            let (says, does) = (says.unwrap_or("goes on"), does.unwrap_or("goes on"));
            errors.push(
                Diagnostic::new(self.inst.name.span, format!("the effect {says}, the instruction {does}"))
                    .other(self.place, self.form())
                    .help("effects on control are `jump target`, `jump target when …`, `call target`, `return`, `trap`"),
            );
        }
    }
}

/// The width of a general register that may be memory instead.
fn general_or_memory(kind: OpCodeOperandKind) -> Option<u16> {
    match kind {
        OpCodeOperandKind::r8_or_mem => Some(8),
        OpCodeOperandKind::r16_or_mem => Some(16),
        OpCodeOperandKind::r32_or_mem => Some(32),
        OpCodeOperandKind::r64_or_mem => Some(64),
        _ => None,
    }
}

fn vector(kind: OpCodeOperandKind) -> bool {
    use OpCodeOperandKind as K;
    matches!(kind, K::xmm_or_mem | K::xmm_reg | K::xmm_rm | K::xmm_vvvv | K::xmm_is4)
}

fn immediate_kind(kind: OpCodeOperandKind) -> Option<OpKind> {
    use OpCodeOperandKind as K;
    Some(match kind {
        K::imm8 | K::imm8_const_1 => OpKind::Immediate8,
        K::imm8sex16 => OpKind::Immediate8to16,
        K::imm8sex32 => OpKind::Immediate8to32,
        K::imm8sex64 => OpKind::Immediate8to64,
        K::imm16 => OpKind::Immediate16,
        K::imm32 => OpKind::Immediate32,
        K::imm32sex64 => OpKind::Immediate32to64,
        K::imm64 => OpKind::Immediate64,
        _ => return None,
    })
}

fn memory_operand(sample: &mut Instruction, n: u32) -> Option<()> {
    sample.try_set_op_kind(n, OpKind::Memory).ok()?;
    sample.set_memory_base(SAMPLE_BASE);
    sample.set_memory_displ_size(1);
    sample.set_memory_displacement64(8);
    Some(())
}

fn register(kind: OperandKind, number: u8) -> Register {
    let base = match kind {
        OperandKind::Xmm(_) | OperandKind::XmmMem(_) => return Register::XMM0 + u32::from(number),
        OperandKind::Reg(8) | OperandKind::RegMem(8) => {
            // iced-x86 lists AH to BH between BL and SPL.
            let skip = if number >= 4 { 4 } else { 0 };
            return Register::AL + u32::from(number) + skip;
        }
        OperandKind::Reg(16) | OperandKind::RegMem(16) => Register::AX,
        OperandKind::Reg(32) | OperandKind::RegMem(32) => Register::EAX,
        _ => Register::RAX,
    };
    base + u32::from(number)
}

/// The feature that a CPU property needs here: empty for what every CPU of the base level (x86-64-v2) has.
fn required(feature: CpuidFeature) -> Option<&'static str> {
    use CpuidFeature as F;
    Some(match feature {
        F::INTEL8086
        | F::INTEL186
        | F::INTEL286
        | F::INTEL386
        | F::INTEL486
        | F::X64
        | F::FPU
        | F::CMOV
        | F::CX8
        | F::SSE
        | F::SSE2
        | F::SSE3
        | F::SSSE3
        | F::SSE4_1
        | F::SSE4_2
        | F::POPCNT => "",
        F::LZCNT => "cpu.lzcnt",
        F::BMI1 => "cpu.bmi1",
        F::BMI2 => "cpu.bmi2",
        F::AVX => "cpu.avx",
        F::AVX2 => "cpu.avx2",
        F::FMA => "cpu.fma",
        F::MOVBE => "cpu.movbe",
        _ => return None,
    })
}
