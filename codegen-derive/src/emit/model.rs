//! `model.rs`: what each machine instruction does, as Rust, and instructions to try it on.
//!
//! For tests that hold the descriptions of `spec/x86_64` against a CPU: `step` takes a state to the state after an instruction,
//! with what the description leaves open marked as unknown; `sample` makes an instruction from operands that a source supplies.

use super::camel;
use super::insts::field;
use super::rust::Printer;
use crate::ast::*;
use crate::check::{operand_type, register_number};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

fn bytes(kind: OperandKind) -> u32 {
    match kind {
        OperandKind::RegMem(width) | OperandKind::Mem(width) | OperandKind::XmmMem(width) => u32::from(width) / 8,
        _ => 8,
    }
}

fn value_of(bits: TokenStream, ty: &Type) -> TokenStream {
    match ty {
        Type::F32 => quote!(f32::from_bits((#bits) as u32)),
        Type::F64 => quote!(f64::from_bits((#bits) as u64)),
        Type::Bits(128) => bits,
        Type::Bits(width) => {
            let width = u32::from(*width);
            quote!(mask((#bits) as u64, #width))
        }
        _ => bits,
    }
}

fn bits_of(value: &TokenStream, ty: &Type) -> TokenStream {
    match ty {
        Type::F32 | Type::F64 => quote!(u128::from((#value).to_bits())),
        Type::Bits(128) => quote!(#value),
        _ => quote!(u128::from(#value)),
    }
}

/// The operand's value before the instruction.
fn read(operand: &Operand) -> TokenStream {
    let name = field(&operand.name.text);
    let (ty, size) = (operand_type(operand.kind), bytes(operand.kind));
    match operand.kind {
        OperandKind::Reg(_) => value_of(quote!(s.gpr[usize::from(#name.hw())]), &ty),
        OperandKind::Xmm(_) => value_of(quote!(s.xmm[usize::from(#name.hw())]), &ty),
        OperandKind::RegMem(_) => {
            let (register, memory) = (
                value_of(quote!(s.gpr[usize::from(r.hw())]), &ty),
                value_of(quote!(memory.load(s.address(m), #size)?), &ty),
            );
            quote!(match #name { RegMem::Reg(r) => #register, RegMem::Mem(m) => #memory })
        }
        OperandKind::XmmMem(_) => {
            let (register, memory) = (
                value_of(quote!(s.xmm[usize::from(r.hw())]), &ty),
                value_of(quote!(memory.load(s.address(m), #size)?), &ty),
            );
            quote!(match #name { RegMem::Reg(r) => #register, RegMem::Mem(m) => #memory })
        }
        OperandKind::Mem(_) => value_of(quote!(memory.load(s.address(#name), #size)?), &ty),
        OperandKind::Addr => quote!(s.address(#name)),
        OperandKind::UImm(8) => quote!(u64::from(*#name)),
        OperandKind::UImm(64) => quote!(*#name),
        OperandKind::SImm(width) | OperandKind::UImm(width) => {
            let width = u32::from(width);
            quote!(mask(*#name as i64 as u64, #width))
        }
        OperandKind::Cc => quote!(*#name),
        OperandKind::Label => quote!(#name.0),
    }
}

fn write(operand: &Operand, value: &TokenStream) -> TokenStream {
    let name = field(&operand.name.text);
    let ty = operand_type(operand.kind);
    let bits = bits_of(value, &ty);
    let size = bytes(operand.kind);
    match operand.kind {
        OperandKind::Reg(width) => {
            let width = u32::from(width);
            quote!(out.write_gpr(#name.hw(), #width, (#bits) as u64);)
        }
        OperandKind::Xmm(width) => {
            let width = u32::from(width);
            quote!(out.write_xmm(#name.hw(), #width, #bits);)
        }
        OperandKind::Mem(_) => quote!(memory.store(s.address(#name), #size, (#bits) as u64)?;),
        // The checker lets no description assign to anything else.
        _ => quote!(compile_error!("an operand that cannot be written");),
    }
}

fn arm(inst: &Inst, printer: &Printer) -> TokenStream {
    let ident = camel(&inst.name.text);
    let fields = inst.operands.iter().map(|operand| field(&operand.name.text));
    let mut body = TokenStream::new();
    let reads = |name: &str| {
        let transfers = inst.body.iter().any(|stmt| match stmt {
            InstStmt::Transfer(what, _) => what.text.strip_prefix("call ") == Some(name),
            InstStmt::Jump(target, _) => target.text == name,
            _ => false,
        });
        transfers || crate::check::reads(inst, name)
    };
    for operand in inst.operands.iter().filter(|operand| reads(&operand.name.text)) {
        let (name, value) = (super::local(&operand.name.text), read(operand));
        body.extend(quote!(let #name = #value;));
    }
    let (mut values, mut writes) = (TokenStream::new(), TokenStream::new());
    for (number, stmt) in inst.body.iter().enumerate() {
        let held = format_ident!("new{number}");
        match stmt {
            InstStmt::Let(name, value) => {
                let (name, value) = (super::local(&name.text), printer.print(value));
                values.extend(quote!(let #name = #value;));
            }
            InstStmt::Fault(_, condition) => {
                let condition = printer.print(condition);
                body.extend(quote!(if #condition { return Err(Fault::DivideError); }));
            }
            InstStmt::Requires(condition) => {
                let condition = printer.print(condition);
                body.extend(quote!(if !#condition { return Ok(None); }));
            }
            InstStmt::Undefined(target, condition) => {
                let condition = printer.print(condition);
                let name = field(&target.text);
                values.extend(quote!(let #held = #condition;));
                writes.extend(quote!(if #held { out.forget(*#name); }));
            }
            InstStmt::Assign(target, value) => {
                let value = printer.print(value);
                values.extend(quote!(let #held = #value;));
                if let Some(operand) = inst.operands.iter().find(|operand| operand.name.text == target.text) {
                    writes.extend(write(operand, &quote!(#held)));
                }
            }
            InstStmt::Flags(value) => {
                let value = printer.print(value);
                values.extend(quote!(let #held = #value;));
                writes.extend(quote!(out.write_flags(#held);));
            }
            InstStmt::FlagsUndefined(_) => writes.extend(quote!(out.forget_flags();)),
            InstStmt::Clobber(name) => {
                let hw = register_number(&name.text).unwrap_or(0);
                let make = if name.text.starts_with("xmm") { quote!(xmm) } else { quote!(gpr) };
                writes.extend(quote!(out.forget(Reg::#make(#hw));));
            }
            InstStmt::Jump(target, condition) => {
                let target = super::local(&target.text);
                let condition = condition.as_ref().map_or(quote!(true), |condition| printer.print(condition));
                writes.extend(quote!(if #condition { out.exit = Exit::Jump(#target); }));
            }
            InstStmt::Transfer(what, _) => writes.extend(match what.text.split_once(' ') {
                Some((_, target)) => {
                    let target = super::local(target);
                    quote!(out.exit = Exit::Call(#target);)
                }
                None if what.text == "return" => quote!(out.exit = Exit::Return;),
                None => quote!(out.exit = Exit::Trap;),
            }),
        }
    }
    quote! {
        Inst::#ident { #(#fields,)* .. } => {
            let v_flags = s.flags;
            #body
            #values
            #writes
        }
    }
}

fn sample(inst: &Inst) -> TokenStream {
    let ident = camel(&inst.name.text);
    let mut fields = TokenStream::new();
    let mut lets = TokenStream::new();
    for operand in &inst.operands {
        let name = field(&operand.name.text);
        let fixed = operand.fixed.as_ref().and_then(|register| register_number(&register.text));
        let size = bytes(operand.kind);
        let made = match (operand.kind, fixed) {
            (OperandKind::Reg(_), Some(hw)) => quote!(Reg::gpr(#hw)),
            (OperandKind::Xmm(_), Some(hw)) => quote!(Reg::xmm(#hw)),
            (OperandKind::Reg(_), None) => quote!(source.gpr()),
            (OperandKind::Xmm(_), None) => quote!(source.xmm()),
            (OperandKind::RegMem(_), _) => quote!(match source.memory(#size) {
                Some(m) => RegMem::Mem(m),
                None => RegMem::Reg(source.gpr()),
            }),
            (OperandKind::XmmMem(_), _) => quote!(match source.memory(#size) {
                Some(m) => RegMem::Mem(m),
                None => RegMem::Reg(source.xmm()),
            }),
            (OperandKind::Mem(_), _) => quote!(source.access(#size)),
            (OperandKind::Addr, _) => quote!(source.address()),
            (OperandKind::UImm(8), _) => quote!(source.immediate(8) as u8),
            (OperandKind::UImm(64), _) => quote!(source.immediate(64)),
            (OperandKind::SImm(8), _) => quote!(i32::from(source.immediate(8) as i8)),
            (OperandKind::SImm(width) | OperandKind::UImm(width), _) => {
                let width = u32::from(width);
                quote!(source.immediate(#width) as u32 as i32)
            }
            (OperandKind::Cc, _) => quote!(source.condition()),
            (OperandKind::Label, _) => quote!(source.label()),
        };
        lets.extend(quote!(let #name = #made;));
        fields.extend(quote!(#name,));
        if operand.mode == Mode::InOut {
            let tied = format_ident!("{}_in", operand.name.text);
            fields.extend(quote!(#tied: #name,));
        }
    }
    quote!({ #lets Inst::#ident { #fields } })
}

pub fn emit(spec: &Spec) -> TokenStream {
    let printer = Printer::new(spec);
    let arms = spec.insts.iter().map(|inst| arm(inst, &printer));
    let samples = spec.insts.iter().enumerate().map(|(number, inst)| {
        let sample = sample(inst);
        quote!(#number => #sample)
    });
    let names = spec.insts.iter().map(|inst| &inst.name.text);
    let count = spec.insts.len();
    quote! {
        /// The instructions, in order of their numbers.
        pub static NAMES: [&str; #count] = [#(#names),*];

        /// What an instruction does to a state; none where its description requires something else of the operands.
        pub fn step(inst: &Inst, s: &State, memory: &mut dyn Memory) -> Result<Option<After>, Fault> {
            let mut out = After::new(s);
            match inst { #(#arms)* }
            Ok(Some(out))
        }

        /// Instruction number `form` with operands of a source.
        pub fn sample(form: usize, source: &mut dyn Source) -> Option<Inst> {
            Some(match form { #(#samples,)* _ => return None })
        }
    }
}
