//! `layout.rs`: the numbers of `sandbox.rules`, for compiler and runtime alike.

use super::camel;
use crate::ast::*;
use crate::check::{field_size, numbers, register_number};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

fn upper(parts: &[&str]) -> proc_macro2::Ident {
    format_ident!("{}", parts.join("_").to_uppercase())
}

fn constants(spec: &Spec) -> TokenStream {
    let numbers = numbers(spec);
    let mut out = TokenStream::new();
    for constant in &spec.constants {
        let (name, value) = (upper(&[&constant.name.text]), Literal::u64_unsuffixed(constant.value as u64));
        out.extend(quote!(pub const #name: u64 = #value;));
    }
    for layout in &spec.layouts {
        for field in &layout.fields {
            let key = format!("layout.{}.{}", layout.name.text, field.name.text);
            if let Some(&value) = numbers.get(&key) {
                let (name, value) = (upper(&[&layout.name.text, &field.name.text]), Literal::i32_unsuffixed(value as i32));
                out.extend(quote!(pub const #name: i32 = #value;));
            }
        }
        if let Some(&size) = numbers.get(&format!("layout.{}.size", layout.name.text)) {
            let (name, size) = (upper(&[&layout.name.text, "size"]), Literal::i32_unsuffixed(size as i32));
            out.extend(quote!(pub const #name: i32 = #size;));
        }
    }
    out
}

/// `InstanceShape` and `InstanceLayout`: arrays stand below the fixed fields, each element below the one before.
fn instance(spec: &Spec) -> TokenStream {
    let Some(layout) = spec.layouts.iter().find(|layout| layout.descending) else { return quote!() };
    let fixed: u32 =
        layout.fields.iter().take_while(|field| field.count.is_none()).filter_map(|field| field_size(spec, &field.ty.text)).sum();
    let arrays: Vec<(&Field, &Name)> =
        layout.fields.iter().filter_map(|field| field.count.as_ref().map(|count| (field, count))).collect();
    let counts: Vec<_> = arrays.iter().map(|(_, count)| format_ident!("{}", count.text)).collect();
    let names: Vec<_> = arrays.iter().map(|(field, _)| format_ident!("{}", field.name.text)).collect();
    let sizes: Vec<u32> = arrays.iter().map(|(field, _)| field_size(spec, &field.ty.text).unwrap_or(8)).collect();
    let aligns: Vec<u32> = sizes.iter().map(|size| if *size == 4 { 4 } else { 8 }).collect();
    quote! {
        /// How many of each counted thing a module has.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct InstanceShape { #(pub #counts: u32),* }

        /// Byte offset from r15 of element 0 of each array of fields; element k is `size` bytes times k below it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct InstanceLayout {
            #(#names: i32,)*
            /// Bytes below r15 that the fields take.
            pub size: u32,
        }

        impl InstanceLayout {
            /// None when the fields take more than 1 GiB.
            pub fn new(shape: &InstanceShape) -> Option<InstanceLayout> {
                let mut used: u64 = #fixed as u64;
                #(
                    used = (used + (#aligns as u64 - 1)) & !(#aligns as u64 - 1);
                    let #names = -((used + #sizes as u64) as i64);
                    used += shape.#counts as u64 * #sizes as u64;
                )*
                used = (used + 15) & !15;
                if used > 1 << 30 {
                    return None;
                }
                Some(InstanceLayout { #(#names: #names as i32,)* size: used as u32 })
            }

            #(
                pub fn #names(&self, k: u32) -> i32 {
                    self.#names - k as i32 * #sizes as i32
                }
            )*
        }
    }
}

fn convention(spec: &Spec) -> TokenStream {
    let rows = spec.conventions.iter().flat_map(|convention| &convention.rows).map(|(words, registers)| {
        let numbers: Vec<u8> = registers.iter().filter_map(|register| register_number(&register.text)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let name = upper(&words);
        if words == ["callee", "slot"] {
            let number = numbers.first().copied().unwrap_or(0);
            return quote!(pub const #name: u8 = #number;);
        }
        let count = numbers.len();
        quote!(pub const #name: [u8; #count] = [#(#numbers),*];)
    });
    quote!(#(#rows)*)
}

pub fn emit(spec: &Spec) -> TokenStream {
    let constants = constants(spec);
    let instance = instance(spec);
    let convention = convention(spec);
    let gates: Vec<_> = spec.gates.iter().map(|gate| camel(&gate.name.text)).collect();
    let gate_names: Vec<_> = spec.gates.iter().map(|gate| &gate.name.text).collect();
    let gate_params = spec.gates.iter().map(|gate| gate.params.len());
    let gate_results = spec.gates.iter().map(|gate| gate.results.len());
    let gate_numbers: Vec<u32> = (0..gates.len() as u32).collect();
    let traps: Vec<_> = spec.traps.iter().map(|trap| camel(&trap.name.text)).collect();
    let messages = spec.traps.iter().map(|trap| &trap.message);
    let numbers: Vec<u8> = spec.traps.iter().map(|trap| trap.number).collect();
    quote! {
        #constants
        #instance
        #convention

        /// Services of the runtime's gate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Gate { #(#gates = #gate_numbers),* }

        impl Gate {
            pub fn from_number(number: u32) -> Option<Gate> {
                match number { #(#gate_numbers => Some(Gate::#gates),)* _ => None }
            }
            pub const fn name(self) -> &'static str {
                match self { #(Gate::#gates => #gate_names),* }
            }
            pub const fn parameters(self) -> usize {
                match self { #(Gate::#gates => #gate_params),* }
            }
            pub const fn results(self) -> usize {
                match self { #(Gate::#gates => #gate_results),* }
            }
        }

        /// Why a guest was stopped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum TrapCode { #(#traps = #numbers),* }

        impl TrapCode {
            pub fn from_number(number: u8) -> Option<TrapCode> {
                match number { #(#numbers => Some(TrapCode::#traps),)* _ => None }
            }
            pub const fn message(self) -> &'static str {
                match self { #(TrapCode::#traps => #messages),* }
            }
        }
    }
}
