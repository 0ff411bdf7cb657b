//! `forms.rs`: what the sandbox checker knows of each exact instruction form, and how it finds the form of some bytes.
//!
//! Takes the instructions of `spec/x86_64`; gives one `Form` for each iced-x86 `Code` that some instruction encodes. Several
//! instructions may share a form (a move and a load): their operands are united and their effects must agree. An effect the
//! checker has no fact for becomes `Effect::Unknown`, which is always sound: nothing is known of the result but its width.
//! Opcodes lead to forms through a table; where ModRM.reg belongs to the opcode, through a second one.

use super::form_types::{Coded, Effect, FlagsEffect, Form, Operand, Place, Transfer, opcode_number};
use crate::ast::{Operand as Declared, *};
use crate::check::{Encoding, FEATURES, encoding, register_number};
use crate::diagnostic::Diagnostic;
use iced_x86::OpCodeOperandKind;
use proc_macro2::{Literal, TokenStream};
use quote::quote;
use std::collections::BTreeMap;

const CONDITIONS: [&str; 16] = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];
const STACK: u8 = 4;

/// A form, where it is described and how it is encoded.
#[derive(Clone, Debug)]
struct Described {
    span: Span,
    name: String,
    form: Form,
    /// Whether some description is of more than moving rsp: then effect and flags are what it says.
    general: bool,
    /// Whether there is a ModRM byte, and the bytes of the immediate.
    modrm: bool,
    immediate: u8,
    encoding: Encoding,
}

fn variable<'e>(expr: &'e Expr) -> Option<&'e str> {
    match &expr.kind {
        ExprKind::Var(name) => Some(name),
        _ => None,
    }
}

struct Describer<'a> {
    inst: &'a Inst,
}

impl Describer<'_> {
    fn position(&self, name: &str) -> Option<u8> {
        let at =
            self.inst.encoded.iter().position(|encoded| matches!(encoded, EncodedOperand::Operand(n) if n.text == name));
        at.and_then(|at| u8::try_from(at).ok())
    }

    fn operand(&self, name: &str) -> Option<&Declared> {
        self.inst.operands.iter().find(|operand| operand.name.text == name)
    }

    /// Position of an operand that an expression names, as it is or extended from an immediate.
    fn plain(&self, expr: &Expr) -> Option<u8> {
        if let Some(name) = variable(expr) {
            return self.position(name);
        }
        match &expr.kind {
            ExprKind::Call(name, args) if name.text.starts_with("sext") || name.text.starts_with("zext") => {
                let argument = variable(args.first()?)?;
                let kind = self.operand(argument)?.kind;
                matches!(kind, OperandKind::SImm(_) | OperandKind::UImm(_)).then(|| self.position(argument))?
            }
            _ => None,
        }
    }

    fn effect(&self, expr: &Expr) -> Effect {
        self.known(expr).unwrap_or(Effect::Unknown)
    }

    fn known(&self, expr: &Expr) -> Option<Effect> {
        if let Some(name) = variable(expr) {
            return Some(match self.operand(name).map(|operand| operand.kind) {
                Some(OperandKind::Addr | OperandKind::Label) => Effect::Address,
                _ => Effect::Copy(self.position(name)?),
            });
        }
        if let Some(at) = self.plain(expr) {
            return Some(Effect::Copy(at));
        }
        Some(match &expr.kind {
            ExprKind::Int(0) => Effect::Zero,
            ExprKind::Slice(inner, 31, 0) if matches!(self.known(inner), Some(Effect::Address)) => Effect::Address,
            ExprKind::Binary(op, a, b) => {
                let (a, b) = (self.plain(a)?, self.plain(b)?);
                match op {
                    BinaryOp::Add => Effect::Add(a, b),
                    BinaryOp::BitAnd => Effect::And(a, b),
                    BinaryOp::BitOr => Effect::Or(a, b),
                    BinaryOp::BitXor => Effect::Xor(a, b),
                    _ => return None,
                }
            }
            ExprKind::Call(name, args) => {
                let first = args.first()?;
                match (name.text.as_str(), args.get(1)) {
                    ("zext32" | "zext64", None) => Effect::Copy(self.position(variable(first)?)?),
                    ("sext32" | "sext64", None) => Effect::SignExtend(self.position(variable(first)?)?),
                    ("shl", Some(count)) => Effect::ShiftLeft(self.plain(first)?, self.plain(count)?),
                    ("shr_u", Some(count)) => Effect::ShiftRight(self.plain(first)?, self.plain(count)?),
                    _ => return None,
                }
            }
            ExprKind::If(condition, a, b) => match &condition.kind {
                ExprKind::Call(name, args) if name.text == "holds" && variable(args.first()?) == Some("cc") => {
                    Effect::Select(self.plain(a)?, self.plain(b)?)
                }
                _ => return None,
            },
            _ => return None,
        })
    }

    fn flags(&self) -> FlagsEffect {
        let mut flags = FlagsEffect::Kept;
        for stmt in &self.inst.body {
            match stmt {
                InstStmt::FlagsUndefined(_) => flags = FlagsEffect::Undefined,
                InstStmt::Flags(expr) => {
                    flags = match &expr.kind {
                        ExprKind::Call(name, args) if name.text == "flags_sub" && args.len() == 2 => {
                            match (self.plain(&args[0]), self.plain(&args[1])) {
                                (Some(a), Some(b)) => FlagsEffect::Compare(a, b),
                                _ => FlagsEffect::Undefined,
                            }
                        }
                        _ => FlagsEffect::Undefined,
                    }
                }
                _ => {}
            }
        }
        flags
    }

    fn transfer(&self) -> Transfer {
        self.inst
            .body
            .iter()
            .find_map(|stmt| {
                Some(match stmt {
                    InstStmt::Jump(_, Some(_)) => Transfer::JumpIf,
                    InstStmt::Jump(target, None) => match self.operand(&target.text)?.kind {
                        OperandKind::Label => Transfer::Jump,
                        _ => Transfer::JumpRegister,
                    },
                    InstStmt::Transfer(what, _) if what.text == "trap" => Transfer::Trap,
                    InstStmt::Transfer(what, _) if what.text == "return" => Transfer::Return,
                    InstStmt::Transfer(..) if self.inst.operands.iter().any(|o| o.kind == OperandKind::Label) => {
                        Transfer::Call
                    }
                    InstStmt::Transfer(..) => Transfer::CallMemory,
                    _ => return None,
                })
            })
            .unwrap_or(Transfer::Next)
    }

    /// An encoded operand in its place, and the bits of the numbers that it may be (0 for any).
    fn encoded(&self, encoded: &EncodedOperand, place: Place) -> (Operand, u16) {
        let (mut kind, mut width) = (0, 0);
        let mut add = |set: bool, bit: u16| kind |= if set { bit } else { 0 };
        let name = match encoded {
            EncodedOperand::Literal(value, _) => {
                return (Operand { place, width, kind: Operand::IMMEDIATE }, 1u16.checked_shl(*value as u32).unwrap_or(0));
            }
            EncodedOperand::Operand(name) => &name.text,
        };
        let Some(operand) = self.operand(name) else {
            // A register that the description fixes: only the stack pointer is one, moved by constants.
            return (Operand { place, width: 8, kind: Operand::STACK | Operand::READ | Operand::WRITTEN }, 0);
        };
        let assigned = self.inst.body.iter().any(|stmt| matches!(stmt, InstStmt::Assign(to, _) if to.text == *name));
        let (mut read, mut written) = (matches!(operand.mode, Mode::Use | Mode::InOut), operand.mode != Mode::Use);
        let bits = match operand.kind {
            OperandKind::Reg(bits) => (Operand::REGISTER, bits),
            OperandKind::RegMem(bits) => (Operand::REGISTER | Operand::MEMORY, bits),
            OperandKind::Xmm(bits) => (Operand::REGISTER | Operand::VECTOR, bits),
            OperandKind::XmmMem(bits) => (Operand::REGISTER | Operand::MEMORY | Operand::VECTOR, bits),
            OperandKind::Mem(bits) => {
                read = self.inst.body.iter().any(|stmt| match stmt {
                    InstStmt::Assign(_, expr) | InstStmt::Flags(expr) | InstStmt::Let(_, expr) => mentions(expr, name),
                    InstStmt::Transfer(..) | InstStmt::Jump(..) => true,
                    _ => false,
                });
                written = assigned;
                (Operand::MEMORY, bits)
            }
            OperandKind::SImm(_) | OperandKind::UImm(_) => (Operand::IMMEDIATE, 0),
            // A label is a branch's target, or an address relative to rip.
            OperandKind::Label if place == Place::Immediate => (Operand::LABEL, 0),
            OperandKind::Addr | OperandKind::Label => (Operand::ADDRESS, 0),
            OperandKind::Cc => (0, 0),
        };
        width = (bits.1 / 8) as u8;
        add(true, bits.0);
        add(read, Operand::READ);
        add(written, Operand::WRITTEN);
        (Operand { place, width, kind }, 0)
    }

    fn form(&self, name: String, condition: Option<u8>, encoding: Encoding) -> Result<Described, Diagnostic> {
        const ABSENT: Operand = Operand { place: Place::Immediate, width: 0, kind: 0 };
        let unreadable =
            |what: &str| Diagnostic::new(self.inst.code.span, format!("the checker cannot read {what} of `{name}`"));
        let (mut operands, mut literals, mut count) = ([ABSENT; 4], 0, 0);
        let (mut immediate, mut signed, mut modrm) = (0, false, encoding.digit.is_some());
        for (&kind, encoded) in encoding.code.op_code().op_kinds().iter().zip(&self.inst.encoded) {
            let (place, bytes, sign) = place(kind).ok_or_else(|| unreadable("an operand"))?;
            let (mut operand, numbers) = self.encoded(encoded, place);
            if count == 1 && self.repeated() {
                operand.kind &= !Operand::WRITTEN;
            }
            if matches!(encoded, EncodedOperand::Literal(..)) && numbers == 0 {
                return Err(unreadable("so great a number"));
            }
            if place == Place::Immediate && bytes != 0 && immediate != 0 {
                return Err(unreadable("a second immediate"));
            }
            if count > 0 && operand.is(Operand::WRITTEN) {
                return Err(unreadable("a result behind the first operand"));
            }
            (immediate, signed, literals) = (immediate + bytes, signed || sign, literals | numbers);
            modrm |= !low_bits(kind) && matches!(place, Place::Reg | Place::Rm);
            *operands.get_mut(count).ok_or_else(|| unreadable("so many operands"))? = operand;
            count += 1;
        }
        let (mut implicit, mut implicit32) = (0u16, 0u16);
        for operand in &self.inst.operands {
            let number = operand.fixed.as_ref().and_then(|fixed| register_number(&fixed.text));
            if let (Some(number), true) = (number, operand.mode != Mode::Use && self.position(&operand.name.text).is_none())
            {
                match operand.kind {
                    OperandKind::Reg(32) => implicit32 |= 1 << number,
                    _ => implicit |= 1 << number,
                }
            }
        }
        for stmt in &self.inst.body {
            if let InstStmt::Clobber(register) = stmt
                && !register.text.starts_with("xmm")
                && let Some(number) = register_number(&register.text)
            {
                implicit |= 1 << number;
            }
        }
        if (implicit | implicit32) & (1 << STACK | 1 << 15) != 0 {
            return Err(Diagnostic::new(self.inst.span, "a register with a role is written without being an operand"));
        }
        let mut effect = Effect::Nothing;
        for stmt in &self.inst.body {
            let InstStmt::Assign(to, expr) = stmt else { continue };
            let general = self.operand(&to.text).is_some_and(|operand| {
                matches!(operand.kind, OperandKind::Reg(_) | OperandKind::RegMem(_) | OperandKind::Mem(_))
            });
            match self.position(&to.text) {
                Some(0) if general => effect = self.effect(expr),
                Some(n) if general && n > 0 => {
                    return Err(Diagnostic::new(to.span, "the checker follows results in the first encoded operand only")
                        .help("choose the form whose destination stands first"));
                }
                _ => {}
            }
        }
        for stmt in &self.inst.body {
            match stmt {
                // The checker proves no such premises.
                InstStmt::Requires(_) if effect != Effect::Nothing => effect = Effect::Unknown,
                InstStmt::Undefined(name, _) => {
                    effect = Effect::Unknown;
                    if self.operand(&name.text).is_some_and(|operand| operand.kind != OperandKind::Reg(64)) {
                        let message = "the checker takes a 32-bit result to be zero-extended always";
                        return Err(Diagnostic::new(name.span, message).help("take the 64-bit form"));
                    }
                }
                _ => {}
            }
        }
        if operands.iter().any(|operand| operand.is(Operand::STACK)) {
            effect = match self.inst.code.text.split('_').next() {
                Some("Add") => Effect::Add(0, 1),
                Some("Sub") => Effect::Unknown,
                _ => {
                    let message = "the checker knows rsp to move by `Add` and `Sub` of a constant only";
                    return Err(Diagnostic::new(self.inst.code.span, message));
                }
            };
        }
        // Such a choice would be made by flags that are no longer there.
        if matches!(effect, Effect::Select(..)) && self.flags() != FlagsEffect::Kept {
            effect = Effect::Unknown;
        }
        let feature = self.inst.feature.as_ref().and_then(|name| FEATURES.iter().position(|known| *known == name.text));
        let form = Form {
            operands,
            count: count as u8,
            effect,
            moves: false,
            flags: self.flags(),
            transfer: self.transfer(),
            condition: condition.unwrap_or(u8::MAX),
            implicit,
            implicit32,
            feature: feature.map_or(0, |bit| 1 << bit),
            same: count >= 2 && self.repeated(),
            literals,
            memory: u8::MAX,
            modes: [false; 2],
            mask: if signed || immediate == 8 { u64::MAX } else { (1 << (8 * immediate)) - 1 },
            extends: 0,
            registers: 0,
            general: 0,
            bytes: 0,
            stack: 0,
            only_stack: 0,
            particular: false,
        };
        let general = !form.operands.iter().any(|operand| operand.is(Operand::STACK));
        Ok(Described { span: self.inst.span, name, form, general, modrm, immediate, encoding })
    }

    /// Whether the first two encoded operands are one, as in `xor r, r`.
    fn repeated(&self) -> bool {
        match (self.inst.encoded.first(), self.inst.encoded.get(1)) {
            (Some(EncodedOperand::Operand(a)), Some(EncodedOperand::Operand(b))) => a.text == b.text,
            _ => false,
        }
    }
}

fn mentions(expr: &Expr, name: &str) -> bool {
    let mut found = false;
    crate::check::walk(expr, &mut |part| found |= matches!(&part.kind, ExprKind::Var(variable) if variable == name));
    found
}

/// Where an operand is encoded; if it is an immediate its bytes, and whether it is sign-extended.
fn place(kind: OpCodeOperandKind) -> Option<(Place, u8, bool)> {
    use OpCodeOperandKind as K;
    Some(match kind {
        K::r8_reg | K::r16_reg | K::r32_reg | K::r64_reg | K::xmm_reg => (Place::Reg, 0, false),
        K::r8_or_mem | K::r16_or_mem | K::r32_or_mem | K::r64_or_mem | K::xmm_or_mem | K::mem => (Place::Rm, 0, false),
        K::r16_rm | K::r32_rm | K::r64_rm | K::xmm_rm => (Place::Rm, 0, false),
        K::r8_opcode | K::r16_opcode | K::r32_opcode | K::r64_opcode => (Place::Rm, 0, false),
        K::r32_vvvv | K::r64_vvvv | K::xmm_vvvv => (Place::Vvvv, 0, false),
        K::cl => (Place::Cl, 0, false),
        K::imm8 => (Place::Immediate, 1, false),
        K::imm8sex16 | K::imm8sex32 | K::imm8sex64 | K::br64_1 => (Place::Immediate, 1, true),
        K::imm16 => (Place::Immediate, 2, false),
        K::imm32 => (Place::Immediate, 4, false),
        K::imm32sex64 | K::br64_4 => (Place::Immediate, 4, true),
        K::imm64 => (Place::Immediate, 8, false),
        _ => return None,
    })
}

/// Whether a register is the opcode's lowest bits.
fn low_bits(kind: OpCodeOperandKind) -> bool {
    use OpCodeOperandKind as K;
    matches!(kind, K::r8_opcode | K::r16_opcode | K::r32_opcode | K::r64_opcode)
}

/// Unites two descriptions of one form.
fn unite(known: &mut Described, more: Described) -> Result<(), Diagnostic> {
    let disagree = |what: &str| {
        Err(Diagnostic::new(more.span, format!("another instruction describes {what} of `{}` differently", more.name))
            .other(known.span, "the other one")
            .help("the checker needs one meaning for each form"))
    };
    let (into, other) = (&mut known.form, more.form);
    // A description for equal operands adds nothing to one for any operands.
    if into.same != other.same {
        if into.same {
            *known = more;
        }
        return Ok(());
    }
    if into.count != other.count
        || into.transfer != other.transfer
        || into.implicit != other.implicit
        || into.implicit32 != other.implicit32
    {
        return disagree("the operands");
    }
    // Adjusting rsp and arithmetic on other registers are told apart by the operand.
    match (known.general, more.general) {
        (false, true) => (into.effect, into.flags) = (other.effect, other.flags),
        (true, false) => {}
        _ if into.effect != other.effect => return disagree("the result"),
        _ if into.flags != other.flags => into.flags = FlagsEffect::Undefined,
        _ => {}
    }
    known.general |= more.general;
    for (operand, more_of_it) in into.operands.iter_mut().zip(other.operands) {
        let memory = operand.is(Operand::MEMORY) && more_of_it.is(Operand::MEMORY);
        if operand.width != more_of_it.width && (memory || !operand.is(Operand::VECTOR)) && !operand.is(Operand::IMMEDIATE) {
            return Err(Diagnostic::new(more.span, format!("another instruction gives `{}` another width", more.name))
                .other(known.span, "the other one"));
        }
        if more_of_it.is(Operand::MEMORY) && !operand.is(Operand::MEMORY) {
            operand.width = more_of_it.width;
        }
        operand.kind |= more_of_it.kind;
    }
    into.literals = if into.literals == 0 || other.literals == 0 { 0 } else { into.literals | other.literals };
    Ok(())
}

/// Fills in what follows from the operands.
fn summarise(form: &mut Form) {
    for (n, operand) in (0..).zip(form.operands) {
        let bit = |set: bool| if set { 1 << operand.place as u8 } else { 0 };
        let register = matches!(operand.place, Place::Reg | Place::Rm | Place::Vvvv) && n < form.count;
        let general = register && operand.kind & (Operand::VECTOR | Operand::ADDRESS) == 0;
        form.registers |= bit(register);
        form.general |= bit(general);
        form.bytes |= bit(general && operand.width == 1);
        form.stack |= bit(general && operand.is(Operand::STACK));
        form.only_stack |= bit(general && operand.is(Operand::STACK) && !operand.is(Operand::REGISTER));
        form.modes[0] |= operand.place == Place::Rm && operand.is(Operand::REGISTER | Operand::STACK);
        form.modes[1] |= operand.place == Place::Rm && operand.is(Operand::MEMORY | Operand::ADDRESS);
        if operand.is(Operand::MEMORY) {
            form.memory = n;
        }
    }
    let among = |place: Place| form.registers & 1 << place as u8 != 0;
    form.extends = u8::from(among(Place::Reg)) << 2 | u8::from(among(Place::Rm));
    let whole = form.operands[..2].iter().all(|operand| operand.width == 8);
    let nothing_else = form.flags == FlagsEffect::Kept && form.implicit | form.implicit32 == 0;
    form.moves = form.effect == Effect::Copy(1) && whole && nothing_else && form.operands[0].is(Operand::WRITTEN);
    form.particular = form.bytes | form.only_stack != 0 || form.same || form.literals != 0;
}

/// One form for each `Code`, by name.
fn forms(spec: &Spec) -> Result<BTreeMap<String, Described>, Vec<Diagnostic>> {
    let mut forms: BTreeMap<String, Described> = BTreeMap::new();
    let mut errors = Vec::new();
    for inst in &spec.insts {
        let mut names: Vec<(String, Option<u8>)> = match inst.code.text.split_once("{cc}") {
            Some((before, after)) => {
                (0..).zip(CONDITIONS).map(|(number, cc)| (format!("{before}{cc}{after}"), Some(number))).collect()
            }
            None => vec![(inst.code.text.clone(), None)],
        };
        names.extend(inst.short.iter().map(|short| (short.text.clone(), None)));
        for (name, condition) in names {
            let described = encoding(inst, &name)
                .ok_or_else(|| Diagnostic::new(inst.code.span, format!("`{name}` cannot be encoded")))
                .and_then(|encoding| Describer { inst }.form(name.clone(), condition, encoding));
            let united = described.and_then(|described| match forms.get_mut(&name) {
                Some(known) => unite(known, described),
                None => {
                    forms.insert(name, described);
                    Ok(())
                }
            });
            errors.extend(united.err());
        }
    }
    for described in forms.values_mut() {
        summarise(&mut described.form);
        described.form.modes[0] |= !described.modrm;
    }
    if errors.is_empty() { Ok(forms) } else { Err(errors) }
}

/// What the checker takes an instruction to do: to its result, and to the flags. None if it cannot be described.
pub fn effects(inst: &Inst) -> Option<(Effect, FlagsEffect)> {
    let name = inst.code.text.replace("{cc}", CONDITIONS[0]);
    let described = Describer { inst }.form(name.clone(), None, encoding(inst, &name)?).ok()?;
    Some((described.form.effect, described.form.flags))
}

/// Errors that keep an instruction out of the checker's table.
pub fn check(spec: &Spec) -> Vec<Diagnostic> {
    forms(spec).and_then(|forms| opcodes(&forms)).err().unwrap_or_default()
}

/// The entries of the table of opcodes that are not 0; and the groups, by ModRM.reg.
type Opcodes = (BTreeMap<usize, u32>, Vec<[u32; 8]>);

fn opcodes(forms: &BTreeMap<String, Described>) -> Result<Opcodes, Vec<Diagnostic>> {
    let (mut entries, mut groups): Opcodes = Default::default();
    for (number, described) in (1u32..).zip(forms.values()) {
        let Encoding { code, vex, map, prefix, wide, opcode, digit } = described.encoding;
        let registers = if code.op_code().op_kinds().iter().any(|kind| low_bits(*kind)) { 8 } else { 1 };
        for opcode in (opcode..=u8::MAX).take(registers) {
            let entry = entries.entry(opcode_number(vex, map, prefix, wide, opcode)).or_insert_with(|| match digit {
                None => 0,
                Some(_) => {
                    groups.push([0; 8]);
                    Coded::GROUP + groups.len() as u32 - 1
                }
            });
            let place = match digit {
                Some(digit) => {
                    groups.get_mut(entry.wrapping_sub(Coded::GROUP) as usize).map(|group| &mut group[usize::from(digit)])
                }
                None => Some(entry),
            };
            match place {
                Some(place) if *place == 0 => *place = Coded::new(number, described.modrm, described.immediate).0,
                _ => {
                    let message = format!("the encoding of `{}` is that of another form too", described.name);
                    return Err(vec![Diagnostic::new(described.span, message)]);
                }
            }
        }
    }
    Ok((entries, groups))
}

pub fn emit(spec: &Spec) -> TokenStream {
    let forms = forms(spec).unwrap_or_default();
    let (entries, groups) = opcodes(&forms).unwrap_or_default();
    // Their descriptions are Rust, but for the variants' types.
    let printed = forms.values().map(|described| {
        let text = format!("{:?}", described.form);
        text.parse::<TokenStream>().unwrap_or_default()
    });
    let codes = forms.keys();
    let (at, to) =
        (entries.keys().copied().map(Literal::usize_unsuffixed), entries.values().copied().map(Literal::u32_unsuffixed));
    let groups: Vec<TokenStream> = groups.iter().map(|group| quote!([#(#group),*])).collect();
    let (count, group_count) = (forms.len(), groups.len());
    quote! {
        static OPCODES: [u32; 1 << 14] = {
            let mut opcodes = [0; 1 << 14];
            #(opcodes[#at] = #to;)*
            opcodes
        };

        static GROUPS: [[u32; 8]; #group_count] = [#(#groups),*];

        pub static FORMS: [Form; #count] = {
            use {Effect::*, FlagsEffect::*, Place::*, Transfer::*};
            [#(#printed),*]
        };

        /// The entry of an opcode (see `opcode_number`), of which ModRM.reg may be a part.
        #[inline(always)]
        fn coded(opcode: usize, reg: u8) -> Coded {
            let coded = OPCODES[opcode & 0x3fff];
            if coded & Coded::GROUP == 0 {
                return Coded(coded);
            }
            Coded(GROUPS.get((coded - Coded::GROUP) as usize).map_or(0, |group| group[usize::from(reg & 7)]))
        }

        /// The form of an entry, if such an instruction may stand in checked code.
        #[inline(always)]
        fn form(coded: Coded) -> Option<&'static Form> {
            FORMS.get(coded.number().checked_sub(1)?)
        }

        /// What iced-x86 calls each form.
        pub static NAMES: [&str; #count] = [#(#codes),*];
    }
}
