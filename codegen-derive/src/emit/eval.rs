//! `eval.rs`: an evaluator for every operator, for constant folding and as the reference of tests.

use super::camel;
use super::rust::{Printer, functions};
use crate::ast::*;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

fn width_of(ty: &Type) -> u32 {
    match ty {
        Type::Bits(width) => u32::from(*width),
        Type::F32 => 32,
        _ => 64,
    }
}

fn from_u64(value: TokenStream, ty: &Type) -> TokenStream {
    match ty {
        Type::F32 => quote!(f32::from_bits((#value) as u32)),
        Type::F64 => quote!(f64::from_bits(#value)),
        ty => {
            let width = width_of(ty);
            quote!(mask(#value, #width))
        }
    }
}

fn to_u64(value: TokenStream, ty: &Type) -> TokenStream {
    match ty {
        Type::F32 | Type::F64 => quote!(u64::from((#value).to_bits())),
        Type::Bool => quote!(u64::from(#value)),
        _ => value,
    }
}

fn region(region: Region) -> TokenStream {
    let name = format_ident!("{region:?}");
    quote!(Region::#name)
}

fn arm(op: &Op, printer: &Printer) -> TokenStream {
    let ident = camel(&op.name.text);
    let mut body = TokenStream::new();
    for (n, param) in op.params.iter().enumerate() {
        let name = super::local(&param.name.text);
        let value = from_u64(quote!(args[#n]), &param.ty);
        body.extend(quote!(let #name = #value;));
    }
    for (n, param) in op.immediates.iter().enumerate() {
        let name = super::local(&param.name.text);
        let source = if n == 0 { quote!(imm) } else { quote!(u64::from(aux)) };
        let value = from_u64(source, &param.ty);
        body.extend(quote!(let #name = #value;));
    }
    let mut result = quote!(Outcome::Values([0, 0]));
    for stmt in &op.body {
        match stmt {
            OpStmt::Let(name, value) => {
                let (name, value) = (super::local(&name.text), printer.print(value));
                body.extend(quote!(let #name = #value;));
            }
            OpStmt::Trap(code, condition) => {
                let (code, condition) = (camel(&code.text), printer.print(condition));
                body.extend(quote!(if #condition { return Some(Outcome::Trap(TrapCode::#code)); }));
            }
            OpStmt::Read { region: from, name, ty, address, .. } => {
                let (name, address, from) = (super::local(&name.text), printer.print(address), region(*from));
                let bytes = width_of(ty) / 8;
                let value = from_u64(quote!(value), ty);
                body.extend(quote! {
                    let #name = match storage.read(#from, #address, #bytes) {
                        Ok(value) => #value,
                        Err(code) => return Some(Outcome::Trap(code)),
                    };
                });
            }
            OpStmt::Write { region: to, value, address, .. } => {
                let bytes = width_of(&value.ty) / 8;
                let (address, to) = (printer.print(address), region(*to));
                let value = to_u64(printer.print(value), &value.ty);
                body.extend(quote! {
                    if let Err(code) = storage.write(#to, #address, #bytes, #value) {
                        return Some(Outcome::Trap(code));
                    }
                });
            }
            // Only control operators branch, and none of them is evaluated.
            OpStmt::Branch(_) => {}
            OpStmt::Result(value) => {
                result = match &value.kind {
                    ExprKind::Tuple(parts) if parts.len() == 2 => {
                        let parts = parts.iter().map(|part| to_u64(printer.print(part), &part.ty));
                        quote!(Outcome::Values([#(#parts),*]))
                    }
                    _ => {
                        let value = to_u64(printer.print(value), &value.ty);
                        quote!(Outcome::Values([#value, 0]))
                    }
                }
            }
        }
    }
    quote!(Op::#ident => { #body #result })
}

pub fn emit(spec: &Spec) -> TokenStream {
    let printer = Printer::new(spec);
    let support: TokenStream = include_str!("support.rs").parse().unwrap_or_default();
    let floats: TokenStream = include_str!("floats.rs").parse().unwrap_or_default();
    let functions = functions(spec, &printer);
    let arms = spec.ops.iter().filter(|op| op.kind == OpKind::Ordinary).map(|op| arm(op, &printer));
    quote! {
        /// What evaluating an operator gives. A float is its bit pattern, an i32 is zero-extended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Outcome { Values([u64; 2]), Trap(TrapCode) }

        /// Regions of storage (`read memory …` in spec/wasm).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Region { Memory, Constant, Global, Table, Size }

        /// What operators read and write.
        pub trait Storage {
            fn read(&mut self, region: Region, address: u64, bytes: u32) -> Result<u64, TrapCode>;
            fn write(&mut self, region: Region, address: u64, bytes: u32, value: u64) -> Result<(), TrapCode>;
        }

        struct NoStorage;
        impl Storage for NoStorage {
            fn read(&mut self, _: Region, _: u64, _: u32) -> Result<u64, TrapCode> { Err(TrapCode::Unreachable) }
            fn write(&mut self, _: Region, _: u64, _: u32, _: u64) -> Result<(), TrapCode> { Err(TrapCode::Unreachable) }
        }

        /// The value of a pure operator on constants; none if it traps or touches storage.
        pub fn fold(op: Op, imm: u64, aux: u32, args: &[u64]) -> Option<u64> {
            let info = op.info();
            if info.results.len() != 1 || info.reads | info.writes != 0 || info.reads_constant {
                return None;
            }
            match evaluate(op, imm, aux, args, &mut NoStorage) {
                Some(Outcome::Values([value, _])) => Some(value),
                _ => None,
            }
        }

        /// What an operator does; none for calls and control. `args` are its operands in order.
        pub fn evaluate(op: Op, imm: u64, aux: u32, args: &[u64], storage: &mut dyn Storage) -> Option<Outcome> {
            if args.len() < op.info().params.len() {
                return None;
            }
            Some(match op {
                #(#arms)*
                #[allow(unreachable_patterns)]
                _ => return None,
            })
        }

        #functions
        #support
        #floats
    }
}
