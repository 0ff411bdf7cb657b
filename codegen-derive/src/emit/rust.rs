//! Expressions as Rust.
//!
//! A bit-vector of at most 64 bits is a `u64` with the bits above its width zero, a whole vector register a `u128` (bitwise
//! operators only); bool is `bool`; a float is a Rust float. Built-in functions are in `support.rs` and `floats.rs`, which are emitted with what uses them.

use super::{condition, local, snake};
use crate::ast::*;
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use std::collections::HashMap;

/// Prints expressions; layout numbers become literals.
pub struct Printer {
    pub numbers: HashMap<String, i128>,
    /// What is called besides functions and built-ins is a method of `module`.
    pub known: Vec<String>,
}

fn width(ty: &Type) -> u32 {
    match ty {
        Type::Bits(width) => u32::from(*width),
        Type::F32 => 32,
        _ => 64,
    }
}

/// A literal of a width, negative ones in two's complement.
pub fn literal(value: i128, ty: &Type) -> TokenStream {
    let width = width(ty);
    let mask = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
    let value = Literal::u64_suffixed(value as u64 & mask);
    quote!(#value)
}

impl Printer {
    pub fn new(spec: &Spec) -> Printer {
        Printer { numbers: crate::check::numbers(spec), known: Vec::new() }
    }

    pub fn print(&self, expr: &Expr) -> TokenStream {
        let w = width(&expr.ty);
        match &expr.kind {
            ExprKind::Int(value) => literal(*value, &expr.ty),
            ExprKind::Bool(value) => quote!(#value),
            ExprKind::Var(name) => match (self.numbers.get(name), name.strip_prefix("cc.")) {
                (Some(value), _) => literal(*value, &expr.ty),
                (_, Some(code)) => {
                    let code = condition(code);
                    quote!(Cc::#code)
                }
                // In an operator: evaluators count addresses of fields from the instance.
                _ if name == "instance" => quote!(0u64),
                _ => {
                    let name = local(name);
                    quote!(#name)
                }
            },
            ExprKind::Unary(op, operand) => {
                let operand = self.print(operand);
                match op {
                    UnaryOp::Not => quote!((!#operand)),
                    UnaryOp::BitNot if w > 64 => quote!((!#operand)),
                    UnaryOp::BitNot => quote!(mask(!#operand, #w)),
                    UnaryOp::Neg => quote!(mask((#operand).wrapping_neg(), #w)),
                }
            }
            ExprKind::Binary(op, left, right) => {
                let (a, b) = (self.print(left), self.print(right));
                match op {
                    BinaryOp::Add => quote!(mask((#a).wrapping_add(#b), #w)),
                    BinaryOp::Sub => quote!(mask((#a).wrapping_sub(#b), #w)),
                    BinaryOp::Mul => quote!(mask((#a).wrapping_mul(#b), #w)),
                    BinaryOp::BitAnd => quote!((#a & #b)),
                    BinaryOp::BitOr => quote!((#a | #b)),
                    BinaryOp::BitXor => quote!((#a ^ #b)),
                    BinaryOp::Eq => quote!((#a == #b)),
                    BinaryOp::Ne => quote!((#a != #b)),
                    BinaryOp::And => quote!((#a && #b)),
                    BinaryOp::Or => quote!((#a || #b)),
                }
            }
            ExprKind::If(condition, yes, no) => {
                let (condition, yes, no) = (self.print(condition), self.print(yes), self.print(no));
                quote!((if #condition { #yes } else { #no }))
            }
            ExprKind::Slice(operand, high, low) => {
                let (operand, low) = (self.print(operand), u32::from(*low));
                let width = u32::from(*high) + 1 - low;
                quote!(mask(#operand >> #low, #width))
            }
            ExprKind::Tuple(parts) => {
                let parts = parts.iter().map(|part| self.print(part));
                quote!((#(#parts),*))
            }
            ExprKind::Let(name, value, body) => {
                let (name, value, body) = (local(&name.text), self.print(value), self.print(body));
                quote!({ let #name = #value; #body })
            }
            ExprKind::Call(name, args) => self.call(&name.text, args, &expr.ty),
        }
    }

    fn call(&self, name: &str, args: &[Expr], result: &Type) -> TokenStream {
        let printed: Vec<TokenStream> = args.iter().map(|arg| self.print(arg)).collect();
        if self.known.iter().any(|known| known == name) {
            let name = format_ident!("{name}");
            return quote!(module.#name(#(#printed),*));
        }
        if !crate::check::is_builtin(name) {
            let name = snake("fn", name);
            return quote!(#name(#(#printed),*));
        }
        let from = args.first().map_or(64, |arg| width(&arg.ty));
        if name.starts_with("zext") {
            return printed.into_iter().next().unwrap_or_default();
        }
        let function = format_ident!("{name}");
        if name.starts_with("sext") {
            let to = width(result);
            return quote!(sign_extend(#(#printed),*, #from, #to));
        }
        let float = matches!(args.first().map(|arg| &arg.ty), Some(Type::F32 | Type::F64));
        match name {
            "bits" => quote!(u64::from((#(#printed),*).to_bits())),
            "float" if *result == Type::F32 => quote!(f32::from_bits((#(#printed),*) as u32)),
            "float" => quote!(f64::from_bits(#(#printed),*)),
            "promote" | "demote" => quote!(#function(#(#printed),*)),
            _ if float => {
                let function = format_ident!("{name}{}", if from == 32 { "_32" } else { "_64" });
                quote!(#function(#(#printed),*))
            }
            _ => quote!(#function(#(#printed),*, #from)),
        }
    }
}

/// The Rust type of a value.
pub fn rust_type(ty: &Type) -> TokenStream {
    match ty {
        Type::Bool => quote!(bool),
        Type::F32 => quote!(f32),
        Type::F64 => quote!(f64),
        _ => quote!(u64),
    }
}

/// The specification's functions as Rust functions.
pub fn functions(spec: &Spec, printer: &Printer) -> TokenStream {
    let functions = spec.functions.iter().map(|function| {
        let name = snake("fn", &function.name.text);
        let params = function.params.iter().map(|param| {
            let (name, ty) = (local(&param.name.text), rust_type(&param.ty));
            quote!(#name: #ty)
        });
        let (result, body) = (rust_type(&function.result), printer.print(&function.body));
        quote!(pub fn #name(#(#params),*) -> #result { #body })
    });
    quote!(#(#functions)*)
}
