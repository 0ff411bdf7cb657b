//! `layout.rs`: the numbers of `sandbox.rules`, for compiler and runtime alike (no_std, no dependency).
//!
//! A comment behind an item of `sandbox.rules` becomes the doc comment of what is made from it.

use super::camel;
use crate::ast::*;
use crate::check::{fixed_bytes, numbers, register_number, size_and_alignment};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

fn upper(parts: &[&str]) -> proc_macro2::Ident {
    format_ident!("{}", parts.join("_").to_uppercase())
}

/// The comment that follows an item on its line, as documentation.
fn comment(spec: &Spec, span: Span) -> TokenStream {
    let rest = spec.files.get(span.file as usize).and_then(|(_, text)| text.get(span.end as usize..)).unwrap_or("");
    let line = rest.lines().next().unwrap_or("");
    match line.trim_start().strip_prefix("//") {
        Some(comment) => {
            let comment = format!(" {}", comment.trim());
            quote!(#[doc = #comment])
        }
        None => quote!(),
    }
}

fn constants(spec: &Spec) -> TokenStream {
    let numbers = numbers(spec);
    let mut out = TokenStream::new();
    for constant in &spec.constants {
        let (name, doc) = (upper(&[&constant.name.text]), comment(spec, constant.span));
        let value = Literal::u64_unsuffixed(u64::try_from(constant.value).unwrap_or(0));
        out.extend(quote!(#doc pub const #name: u64 = #value;));
    }
    for layout in &spec.layouts {
        for field in &layout.fields {
            let key = format!("layout.{}.{}", layout.name.text, field.name.text);
            if let Some(&value) = numbers.get(&key) {
                let (name, doc) = (upper(&[&layout.name.text, &field.name.text]), comment(spec, field.span));
                let value = Literal::i32_unsuffixed(i32::try_from(value).unwrap_or(0));
                out.extend(quote!(#doc pub const #name: i32 = #value;));
            }
        }
        if let Some(&size) = numbers.get(&format!("layout.{}.size", layout.name.text)) {
            let doc = format!(" Bytes of a `{}`.", layout.name.text);
            let name = upper(&[&layout.name.text, "size"]);
            let size = Literal::i32_unsuffixed(i32::try_from(size).unwrap_or(0));
            out.extend(quote!(#[doc = #doc] pub const #name: i32 = #size;));
        }
    }
    out
}

/// `InstanceShape` and `InstanceLayout`: arrays stand below the fixed fields, each element below the one before.
fn instance(spec: &Spec) -> TokenStream {
    let Some(layout) = spec.layouts.iter().find(|layout| layout.descending) else { return quote!() };
    let fixed = u64::from(fixed_bytes(spec, layout));
    let arrays: Vec<(&Field, &Name)> =
        layout.fields.iter().filter_map(|field| field.count.as_ref().map(|count| (field, count))).collect();
    let counts: Vec<_> = arrays.iter().map(|(_, count)| format_ident!("{}", count.text)).collect();
    let names: Vec<_> = arrays.iter().map(|(field, _)| format_ident!("{}", field.name.text)).collect();
    let docs: Vec<_> = arrays.iter().map(|(field, _)| comment(spec, field.span)).collect();
    let parts = arrays.iter().map(|(field, _)| size_and_alignment(spec, &field.ty.text).unwrap_or((8, 8)));
    let (sizes, aligns): (Vec<u32>, Vec<u32>) = parts.unzip();
    let (wide_sizes, wide_aligns) =
        (sizes.iter().map(|size| u64::from(*size)), aligns.iter().map(|align| u64::from(*align)));
    let steps = sizes.iter().map(|size| i32::try_from(*size).unwrap_or(0));
    quote! {
        /// How many of each counted thing a module has.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct InstanceShape { #(pub #counts: u32),* }

        /// Byte offset from r15 of element 0 of each array of fields. Element k stands k elements below it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct InstanceLayout {
            #(#docs pub #names: i32,)*
            /// Bytes below r15 that the fields take, a multiple of 16.
            pub size: u32,
        }

        impl InstanceLayout {
            /// None when the fields take more than 1 GiB.
            pub fn new(shape: &InstanceShape) -> Option<InstanceLayout> {
                let mut used: u64 = #fixed;
                #(
                    used = used.next_multiple_of(#wide_aligns);
                    let #names = -((used + #wide_sizes) as i64);
                    used += shape.#counts as u64 * #wide_sizes;
                )*
                used = used.next_multiple_of(16);
                if used > 1 << 30 {
                    return None;
                }
                Some(InstanceLayout { #(#names: #names as i32,)* size: used as u32 })
            }

            #(
                /// Byte offset from r15 of element `k`.
                pub fn #names(&self, k: u32) -> i32 {
                    self.#names - (k as i32) * #steps
                }
            )*
        }
    }
}

/// Hardware numbers of the registers of each row.
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

fn gates(spec: &Spec) -> TokenStream {
    let gates: Vec<_> = spec.gates.iter().map(|gate| camel(&gate.name.text)).collect();
    let names: Vec<_> = spec.gates.iter().map(|gate| &gate.name.text).collect();
    let params = spec.gates.iter().map(|gate| gate.params.len());
    let results = spec.gates.iter().map(|gate| gate.results.len());
    let numbers: Vec<u32> = (0..).take(gates.len()).collect();
    quote! {
        /// Services of the runtime's gate, by number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Gate { #(#gates = #numbers),* }

        impl Gate {
            pub fn from_number(number: u32) -> Option<Gate> {
                match number { #(#numbers => Some(Gate::#gates),)* _ => None }
            }
            pub const fn name(self) -> &'static str {
                match self { #(Gate::#gates => #names),* }
            }
            /// How many parameters it takes.
            pub const fn parameters(self) -> usize {
                match self { #(Gate::#gates => #params),* }
            }
            /// How many results it gives.
            pub const fn results(self) -> usize {
                match self { #(Gate::#gates => #results),* }
            }
        }
    }
}

fn traps(spec: &Spec) -> TokenStream {
    let traps: Vec<_> = spec.traps.iter().map(|trap| camel(&trap.name.text)).collect();
    let messages = spec.traps.iter().map(|trap| &trap.message);
    let numbers: Vec<u8> = spec.traps.iter().map(|trap| trap.number).collect();
    quote! {
        /// Why a guest was stopped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum TrapCode { #(#traps = #numbers),* }

        impl TrapCode {
            pub fn from_number(number: u8) -> Option<TrapCode> {
                match number { #(#numbers => Some(TrapCode::#traps),)* _ => None }
            }
            /// The words of the Wasm test suite.
            pub const fn message(self) -> &'static str {
                match self { #(TrapCode::#traps => #messages),* }
            }
        }
    }
}

pub fn emit(spec: &Spec) -> TokenStream {
    let (constants, instance, convention) = (constants(spec), instance(spec), convention(spec));
    let (gates, traps) = (gates(spec), traps(spec));
    quote!(#constants #instance #convention #gates #traps)
}
