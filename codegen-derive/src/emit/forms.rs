//! `forms.rs`: what the sandbox checker knows of each exact instruction form.
//!
//! Takes the instructions of `spec/x86_64`; gives one `Form` for each iced-x86 `Code` that some instruction encodes. Several
//! instructions may share a form (a move and a load): their operands are united and their effects must agree. An effect the
//! checker has no fact for becomes `Effect::Unknown`, which is always sound: nothing is known of the result but its width.

use crate::ast::*;
use crate::check::{FEATURES, Prefixes, prefixes, register_number};
use crate::diagnostic::Diagnostic;
use proc_macro2::{Ident, Literal, Span as TokenSpan, TokenStream};
use quote::{format_ident, quote};
use std::collections::BTreeMap;

const CONDITIONS: [&str; 16] = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];
const STACK: u8 = 4;

/// What the result of operand 0 is made of; numbers are operands in their encoded order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// No general register or memory operand is assigned.
    None,
    Unknown,
    Copy(u8),
    SignExtend(u8),
    Add(u8, u8),
    And(u8, u8),
    Or(u8, u8),
    Xor(u8, u8),
    ShiftLeft(u8, u8),
    ShiftRight(u8, u8),
    Select(u8, u8),
    Zero,
    Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    Kept,
    Undefined,
    Compare(u8, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfer {
    Next,
    Jump,
    JumpIf,
    JumpRegister,
    Call,
    CallMemory,
    Return,
    Trap,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slot {
    register: bool,
    stack: bool,
    memory: bool,
    vector: bool,
    address: bool,
    immediate: bool,
    label: bool,
    width: u16,
    read: bool,
    written: bool,
    /// The numbers an immediate may be; empty for any.
    literals: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Form {
    span: Span,
    name: String,
    operands: Vec<Slot>,
    effect: Effect,
    flags: Flags,
    transfer: Transfer,
    condition: Option<u8>,
    /// General registers written without being encoded, whole and (zero-extended) by their lower halves.
    implicit: u16,
    implicit32: u16,
    /// Operands 0 and 1 must be the same register.
    same: bool,
    feature: u32,
    prefixes: Prefixes,
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

    fn operand(&self, name: &str) -> Option<&Operand> {
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

    fn flags(&self) -> Flags {
        let mut flags = Flags::Kept;
        for stmt in &self.inst.body {
            match stmt {
                InstStmt::FlagsUndefined(_) => flags = Flags::Undefined,
                InstStmt::Flags(expr) => {
                    flags = match &expr.kind {
                        ExprKind::Call(name, args) if name.text == "flags_sub" && args.len() == 2 => {
                            match (self.plain(&args[0]), self.plain(&args[1])) {
                                (Some(a), Some(b)) => Flags::Compare(a, b),
                                _ => Flags::Undefined,
                            }
                        }
                        _ => Flags::Undefined,
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

    fn slot(&self, encoded: &EncodedOperand) -> Slot {
        let mut slot = Slot::default();
        let name = match encoded {
            EncodedOperand::Literal(value, _) => {
                (slot.immediate, slot.literals) = (true, vec![*value as u64]);
                return slot;
            }
            EncodedOperand::Operand(name) => &name.text,
        };
        let Some(operand) = self.operand(name) else {
            // A register that the description fixes: only the stack pointer is one, moved by constants.
            (slot.stack, slot.width, slot.read, slot.written) = (true, 64, true, true);
            return slot;
        };
        let assigned = self.inst.body.iter().any(|stmt| matches!(stmt, InstStmt::Assign(to, _) if to.text == *name));
        slot.read = matches!(operand.mode, Mode::Use | Mode::InOut);
        slot.written = operand.mode != Mode::Use;
        match operand.kind {
            OperandKind::Reg(width) => (slot.register, slot.width) = (true, width),
            OperandKind::RegMem(width) => (slot.register, slot.memory, slot.width) = (true, true, width),
            OperandKind::Xmm(width) => (slot.register, slot.vector, slot.width) = (true, true, width),
            OperandKind::XmmMem(width) => {
                (slot.register, slot.memory, slot.vector, slot.width) = (true, true, true, width);
            }
            OperandKind::Mem(width) => {
                let reads = self.inst.body.iter().any(|stmt| match stmt {
                    InstStmt::Assign(_, expr) | InstStmt::Flags(expr) | InstStmt::Let(_, expr) => mentions(expr, name),
                    InstStmt::Transfer(..) | InstStmt::Jump(..) => true,
                    _ => false,
                });
                (slot.memory, slot.width, slot.read, slot.written) = (true, width, reads, assigned);
            }
            OperandKind::Addr => slot.address = true,
            OperandKind::SImm(_) | OperandKind::UImm(_) => slot.immediate = true,
            // A label is a branch's target, or an address relative to rip.
            OperandKind::Label if self.inst.encoded.len() == 1 => slot.label = true,
            OperandKind::Label => slot.address = true,
            OperandKind::Cc => {}
        }
        slot
    }

    fn form(&self, name: String, condition: Option<u8>, prefixes: Prefixes) -> Result<Form, Diagnostic> {
        let operands: Vec<Slot> = self.inst.encoded.iter().map(|encoded| self.slot(encoded)).collect();
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
        let mut effect = Effect::None;
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
                InstStmt::Requires(_) if effect != Effect::None => effect = Effect::Unknown,
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
        if operands.iter().any(|slot| slot.stack) {
            effect = match self.inst.code.text.split('_').next() {
                Some("Add") => Effect::Add(0, 1),
                Some("Sub") => Effect::Unknown,
                _ => {
                    let message = "the checker knows rsp to move by `Add` and `Sub` of a constant only";
                    return Err(Diagnostic::new(self.inst.code.span, message));
                }
            };
        }
        let feature = self.inst.feature.as_ref().and_then(|name| FEATURES.iter().position(|known| *known == name.text));
        Ok(Form {
            span: self.inst.span,
            name,
            same: operands.len() >= 2 && self.repeated(),
            operands,
            effect,
            flags: self.flags(),
            transfer: self.transfer(),
            condition,
            implicit,
            implicit32,
            feature: feature.map_or(0, |bit| 1 << bit),
            prefixes,
        })
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

/// Unites two descriptions of one form.
fn unite(into: &mut Form, other: Form) -> Result<(), Diagnostic> {
    let disagree = |what: &str| {
        Err(Diagnostic::new(other.span, format!("another instruction describes {what} of `{}` differently", other.name))
            .other(into.span, "the other one")
            .help("the checker needs one meaning for each form"))
    };
    // A description for equal operands adds nothing to one for any operands.
    if into.same != other.same {
        if into.same {
            *into = other;
        }
        return Ok(());
    }
    if into.operands.len() != other.operands.len()
        || into.transfer != other.transfer
        || into.implicit != other.implicit
        || into.implicit32 != other.implicit32
    {
        return disagree("the operands");
    }
    let stack = |form: &Form| form.operands.iter().any(|slot| slot.stack);
    if into.effect != other.effect {
        // Adjusting rsp and arithmetic on other registers are told apart by the operand.
        match (stack(into), stack(&other)) {
            (true, false) => into.effect = other.effect,
            (false, true) => {}
            _ => return disagree("the result"),
        }
    }
    if into.flags != other.flags {
        match (stack(into), stack(&other)) {
            (true, false) => into.flags = other.flags,
            (false, true) => {}
            _ => into.flags = Flags::Undefined,
        }
    }
    for (slot, more) in into.operands.iter_mut().zip(other.operands) {
        if slot.width != more.width && (slot.memory && more.memory || !slot.vector) && !slot.immediate {
            return Err(Diagnostic::new(other.span, format!("another instruction gives `{}` another width", other.name))
                .other(into.span, "the other one"));
        }
        if more.memory && !slot.memory {
            slot.width = more.width;
        }
        if slot.literals.is_empty() != more.literals.is_empty() {
            slot.literals.clear();
        } else {
            slot.literals.extend(more.literals);
            slot.literals.sort_unstable();
            slot.literals.dedup();
        }
        slot.register |= more.register;
        slot.stack |= more.stack;
        slot.memory |= more.memory;
        slot.vector |= more.vector;
        slot.read |= more.read;
        slot.written |= more.written;
        slot.address |= more.address;
        slot.immediate |= more.immediate;
        slot.label |= more.label;
    }
    Ok(())
}

/// One form for each `Code`, by name.
fn forms(spec: &Spec) -> Result<BTreeMap<String, Form>, Vec<Diagnostic>> {
    let mut forms: BTreeMap<String, Form> = BTreeMap::new();
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
            let described = prefixes(inst, &name)
                .ok_or_else(|| Diagnostic::new(inst.code.span, format!("`{name}` cannot be encoded")))
                .and_then(|prefixes| Describer { inst }.form(name.clone(), condition, prefixes));
            let united = described.and_then(|form| match forms.get_mut(&name) {
                Some(known) => unite(known, form),
                None => {
                    forms.insert(name, form);
                    Ok(())
                }
            });
            errors.extend(united.err());
        }
    }
    if errors.is_empty() { Ok(forms) } else { Err(errors) }
}

/// What the checker takes an instruction to do: to its result, and to the flags. None if it cannot be described.
pub fn effects(inst: &Inst) -> Option<(Effect, Flags)> {
    let name = inst.code.text.replace("{cc}", CONDITIONS[0]);
    let form = Describer { inst }.form(name.clone(), None, prefixes(inst, &name)?).ok()?;
    Some((form.effect, form.flags))
}

/// Errors that keep an instruction out of the checker's table.
pub fn check(spec: &Spec) -> Vec<Diagnostic> {
    forms(spec).err().unwrap_or_default()
}

fn print(form: &Form) -> TokenStream {
    let operands = form.operands.iter().map(|slot| {
        let mut bits = Vec::new();
        let named = [
            (slot.register, "REGISTER"),
            (slot.stack, "STACK"),
            (slot.memory, "MEMORY"),
            (slot.vector, "VECTOR"),
            (slot.address, "ADDRESS"),
            (slot.immediate, "IMMEDIATE"),
            (slot.label, "LABEL"),
            (slot.read, "READ"),
            (slot.written, "WRITTEN"),
        ];
        for (set, name) in named {
            if set {
                let name = Ident::new(name, TokenSpan::call_site());
                bits.push(quote!(Operand::#name));
            }
        }
        let (width, literals) = ((slot.width / 8) as u8, &slot.literals);
        quote!(Operand { kind: 0 #(| #bits)*, width: #width, literals: &[#(#literals),*] })
    });
    let n = Literal::u8_unsuffixed;
    let pair = |name: &str, a: u8, b: u8| {
        let (name, a, b) = (format_ident!("{name}"), n(a), n(b));
        quote!(Effect::#name(#a, #b))
    };
    let effect = match form.effect {
        Effect::None => quote!(Effect::None),
        Effect::Unknown => quote!(Effect::Unknown),
        Effect::Zero => quote!(Effect::Zero),
        Effect::Address => quote!(Effect::Address),
        Effect::Copy(a) => {
            let a = n(a);
            quote!(Effect::Copy(#a))
        }
        Effect::SignExtend(a) => {
            let a = n(a);
            quote!(Effect::SignExtend(#a))
        }
        Effect::Add(a, b) => pair("Add", a, b),
        Effect::And(a, b) => pair("And", a, b),
        Effect::Or(a, b) => pair("Or", a, b),
        Effect::Xor(a, b) => pair("Xor", a, b),
        Effect::ShiftLeft(a, b) => pair("ShiftLeft", a, b),
        Effect::ShiftRight(a, b) => pair("ShiftRight", a, b),
        Effect::Select(a, b) => pair("Select", a, b),
    };
    let flags = match form.flags {
        Flags::Kept => quote!(FlagsEffect::Kept),
        Flags::Undefined => quote!(FlagsEffect::Undefined),
        Flags::Compare(a, b) => {
            let (a, b) = (n(a), n(b));
            quote!(FlagsEffect::Compare(#a, #b))
        }
    };
    let transfer = Ident::new(&format!("{:?}", form.transfer), TokenSpan::call_site());
    let condition = form.condition.unwrap_or(u8::MAX);
    let Form { implicit, implicit32, same, feature, prefixes: Prefixes { prefix, vex, wide }, .. } = form;
    let vex = if *vex { quote!(Encoding::Vex) } else { quote!(Encoding::Legacy) };
    quote! {
        Form {
            operands: &[#(#operands),*], effect: #effect, flags: #flags, transfer: Transfer::#transfer, condition: #condition,
            implicit: #implicit, implicit32: #implicit32, same: #same, feature: #feature, prefix: #prefix, encoding: #vex, wide: #wide,
        }
    }
}

pub fn emit(spec: &Spec) -> TokenStream {
    let forms = forms(spec).unwrap_or_default();
    let entries = forms.values().map(print);
    let names = forms.keys().map(|name| Ident::new(name, TokenSpan::call_site()));
    let numbers = (1..=forms.len()).map(Literal::usize_unsuffixed);
    let count = forms.len();
    quote! {
        use iced_x86::Code;

        /// Number of a `Code`'s form plus one; 0 for what may not stand in checked code.
        static NUMBERS: [u16; 0x2000] = {
            let mut numbers = [0; 0x2000];
            #(numbers[Code::#names as usize] = #numbers;)*
            numbers
        };

        static FORMS: [Form; #count] = [#(#entries),*];

        /// The form of a decoded instruction, if it may stand in checked code.
        pub fn form(code: Code) -> Option<&'static Form> {
            FORMS.get(usize::from(*NUMBERS.get(code as usize)?).checked_sub(1)?)
        }

        /// Every form, for tests.
        pub fn all() -> &'static [Form] {
            &FORMS
        }
    }
}
