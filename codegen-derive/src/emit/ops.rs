//! `ops.rs`: the operators of the IR and what is known of each.

use super::camel;
use crate::ast::*;
use proc_macro2::TokenStream;
use quote::quote;

pub fn ir_type(ty: &Type) -> TokenStream {
    match ty {
        Type::Bits(64) => quote!(Type::I64),
        Type::F32 => quote!(Type::F32),
        Type::F64 => quote!(Type::F64),
        _ => quote!(Type::I32),
    }
}

fn region_bit(region: Region) -> u8 {
    match region {
        Region::Memory => 1,
        Region::Global => 2,
        Region::Table => 4,
        Region::Size => 8,
        Region::Constant => 0,
    }
}

pub fn emit(spec: &Spec) -> TokenStream {
    let idents: Vec<_> = spec.ops.iter().map(|op| camel(&op.name.text)).collect();
    let names: Vec<_> = spec.ops.iter().map(|op| &op.name.text).collect();
    let count = spec.ops.len();
    let infos = spec.ops.iter().map(|op| {
        let name = &op.name.text;
        let params = op.params.iter().map(|param| ir_type(&param.ty));
        let results = op.results.iter().map(ir_type);
        let immediates = op.immediates.iter().map(|param| &param.name.text);
        let commutative = op.commutative;
        let kind = match op.kind {
            OpKind::Ordinary => quote!(OpKind::Ordinary),
            OpKind::Control => quote!(OpKind::Control),
            OpKind::Call => quote!(OpKind::Call),
        };
        let (mut reads, mut writes, mut traps, mut constant) = (0u8, 0u8, false, false);
        for stmt in &op.body {
            match stmt {
                OpStmt::Read { region, .. } => {
                    reads |= region_bit(*region);
                    traps |= *region == Region::Memory;
                    constant |= *region == Region::Constant;
                }
                OpStmt::Write { region, .. } => {
                    writes |= region_bit(*region);
                    traps |= *region == Region::Memory;
                }
                OpStmt::Trap(..) => traps = true,
                _ => {}
            }
        }
        let memory_access = (reads | writes) & 1 != 0;
        quote! {
            OpInfo {
                name: #name, params: &[#(#params),*], results: &[#(#results),*], immediates: &[#(#immediates),*],
                commutative: #commutative, kind: #kind, can_trap: #traps, reads: #reads, writes: #writes,
                reads_constant: #constant, memory_access: #memory_access,
            }
        }
    });
    quote! {
        /// An operator of the IR, from `spec/wasm`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Op { #(#[doc = #names] #idents),* }

        /// Whether the compiler's frame code lowers the operator.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum OpKind { Ordinary, Control, Call }

        /// Regions of storage as bits of `reads` and `writes`.
        pub mod region {
            pub const MEMORY: u8 = 1;
            pub const GLOBAL: u8 = 2;
            pub const TABLE: u8 = 4;
            pub const SIZE: u8 = 8;
        }

        /// What is known of an operator.
        #[derive(Clone, Copy, Debug)]
        pub struct OpInfo {
            pub name: &'static str,
            pub params: &'static [Type],
            pub results: &'static [Type],
            pub immediates: &'static [&'static str],
            pub commutative: bool,
            pub kind: OpKind,
            pub can_trap: bool,
            /// Bits of [`region`]; reads of constant storage do not count.
            pub reads: u8,
            pub writes: u8,
            pub reads_constant: bool,
            pub memory_access: bool,
        }

        impl Op {
            pub const COUNT: usize = #count;
            pub const ALL: [Op; #count] = [#(Op::#idents),*];

            pub fn name(self) -> &'static str { self.info().name }
            pub fn info(self) -> &'static OpInfo { &INFO[self as usize] }
            pub fn from_name(name: &str) -> Option<Op> { Op::ALL.into_iter().find(|op| op.name() == name) }
        }

        static INFO: [OpInfo; #count] = [#(#infos),*];
    }
}
