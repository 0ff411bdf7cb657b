//! `insts.rs`: the machine instructions, their operands as the register allocator sees them, and their encoder.

use super::camel;
use crate::ast::*;
use crate::check::register_number;
use proc_macro2::{Ident, Literal, Span as TokenSpan, TokenStream};
use quote::{format_ident, quote};

const CONDITIONS: [&str; 16] = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];

pub fn field(name: &str) -> Ident {
    // `in` and the like are keywords of Rust.
    match name {
        "in" | "type" | "ref" | "move" => format_ident!("{name}_"),
        _ => Ident::new(name, TokenSpan::call_site()),
    }
}

fn input(name: &str) -> Ident {
    format_ident!("{name}_in")
}

fn field_type(kind: OperandKind) -> TokenStream {
    match kind {
        OperandKind::Reg(_) | OperandKind::Xmm(_) => quote!(Reg),
        OperandKind::RegMem(_) | OperandKind::XmmMem(_) => quote!(RegMem),
        OperandKind::Mem(_) | OperandKind::Addr => quote!(Amode),
        OperandKind::UImm(8) => quote!(u8),
        OperandKind::UImm(64) => quote!(u64),
        OperandKind::SImm(_) | OperandKind::UImm(_) => quote!(i32),
        OperandKind::Cc => quote!(Cc),
        OperandKind::Label => quote!(Label),
    }
}

pub fn class(kind: OperandKind) -> TokenStream {
    match kind {
        OperandKind::Xmm(_) | OperandKind::XmmMem(_) => quote!(RegClass::Float),
        _ => quote!(RegClass::Int),
    }
}

fn visit(operand: &Operand) -> TokenStream {
    let name = field(&operand.name.text);
    let tied = input(&operand.name.text);
    let class = class(operand.kind);
    let fixed = operand.fixed.as_ref().and_then(|register| register_number(&register.text));
    match (operand.kind, operand.mode, fixed) {
        (OperandKind::RegMem(_) | OperandKind::XmmMem(_), ..) => quote!(#name.visit(#class, visitor);),
        (OperandKind::Mem(_) | OperandKind::Addr, ..) => quote!(#name.visit(visitor);),
        (OperandKind::Reg(_) | OperandKind::Xmm(_), mode, fixed) => match (mode, fixed) {
            (Mode::Use, None) => quote!(visitor.use_reg(#name, #class);),
            (Mode::Use, Some(hw)) => quote!(visitor.use_fixed(#name, #class, #hw);),
            (Mode::Out, None) => quote!(visitor.def(#name, #class);),
            (Mode::EarlyOut, None) => quote!(visitor.early_def(#name, #class);),
            (Mode::Out | Mode::EarlyOut, Some(hw)) => quote!(visitor.def_fixed(#name, #class, #hw);),
            (Mode::InOut, None) => quote!(visitor.tied_def(#name, #tied, #class);),
            (Mode::InOut, Some(hw)) => quote!(visitor.tied_fixed(#name, #tied, #class, #hw);),
        },
        _ => quote!(),
    }
}

fn register(kind: OperandKind, name: &TokenStream) -> TokenStream {
    match kind {
        OperandKind::Reg(8) | OperandKind::RegMem(8) => quote!(gpr8(#name.hw())),
        OperandKind::Reg(16) | OperandKind::RegMem(16) => quote!(gpr16(#name.hw())),
        OperandKind::Reg(32) | OperandKind::RegMem(32) => quote!(gpr32(#name.hw())),
        OperandKind::Xmm(_) | OperandKind::XmmMem(_) => quote!(xmm(#name.hw())),
        _ => quote!(gpr64(#name.hw())),
    }
}

/// The encoder's arm for one instruction.
fn encode(inst: &Inst) -> TokenStream {
    let code = match inst.code.text.split_once("{cc}") {
        Some((before, after)) => {
            let codes = CONDITIONS.iter().map(|cc| format_ident!("{before}{cc}{after}"));
            quote!([#(Code::#codes),*][*cc as usize])
        }
        None => {
            let code = Ident::new(&inst.code.text, TokenSpan::call_site());
            let immediate = inst.operands.iter().find(|operand| operand.kind == OperandKind::SImm(32));
            match (&inst.short, immediate) {
                (Some(short), Some(immediate)) => {
                    let (short, c) = (Ident::new(&short.text, TokenSpan::call_site()), field(&immediate.name.text));
                    quote!(if i8::try_from(*#c).is_ok() { Code::#short } else { Code::#code })
                }
                _ => quote!(Code::#code),
            }
        }
    };
    let mut args: Vec<TokenStream> = Vec::new();
    // The register-or-memory operand, if any: its position and name.
    let mut split: Option<(usize, Ident, OperandKind)> = None;
    let mut branch = None;
    for encoded in &inst.encoded {
        let position = args.len();
        match encoded {
            EncodedOperand::Literal(value, _) => {
                let value = Literal::i32_suffixed(*value as i32);
                args.push(quote!(#value));
            }
            EncodedOperand::Operand(name) => {
                let Some(operand) = inst.operands.iter().find(|operand| operand.name.text == name.text) else {
                    let hw = register_number(&name.text).unwrap_or(0);
                    args.push(if name.text.starts_with("xmm") { quote!(xmm(#hw)) } else { quote!(gpr64(#hw)) });
                    continue;
                };
                let ident = field(&name.text);
                match operand.kind {
                    OperandKind::RegMem(_) | OperandKind::XmmMem(_) => {
                        split = Some((position, ident, operand.kind));
                        args.push(quote!());
                    }
                    OperandKind::Reg(_) | OperandKind::Xmm(_) => args.push(register(operand.kind, &quote!(#ident))),
                    OperandKind::Mem(_) | OperandKind::Addr => args.push(quote!(#ident.to_memory_operand())),
                    OperandKind::UImm(8) => args.push(quote!(u32::from(*#ident))),
                    OperandKind::SImm(_) | OperandKind::UImm(_) => args.push(quote!(*#ident)),
                    OperandKind::Label => {
                        branch = Some(ident.clone());
                        args.push(quote!(MemoryOperand::with_base_displ(Register::RIP, #ident.0 as i64)));
                    }
                    OperandKind::Cc => {}
                }
            }
        }
    }
    if let (Some(target), 1) = (&branch, args.len()) {
        return quote!(Instruction::with_branch(#code, #target.0));
    }
    let with = match args.len() {
        0 => return quote!(Ok(Instruction::with(#code))),
        n => format_ident!("with{n}"),
    };
    match split {
        None => quote!(Instruction::#with(#code, #(#args),*)),
        Some((position, name, kind)) => {
            let mut memory = args.clone();
            args[position] = register(kind, &quote!(r));
            memory[position] = quote!(m.to_memory_operand());
            quote! {
                match #name {
                    RegMem::Reg(r) => Instruction::#with(#code, #(#args),*),
                    RegMem::Mem(m) => Instruction::#with(#code, #(#memory),*),
                }
            }
        }
    }
}

fn feature(name: &Option<Name>) -> TokenStream {
    match name {
        None => quote!(CpuFeatures::V2),
        Some(name) => {
            let name = super::camel(name.text.trim_start_matches("cpu."));
            quote!(CpuFeatures::V2.with(Feature::#name))
        }
    }
}

pub fn emit(spec: &Spec) -> TokenStream {
    let mut variants = Vec::new();
    let (mut names, mut visits, mut encodes, mut memories, mut features, mut shows) = Default::default();
    for inst in &spec.insts {
        let ident = camel(&inst.name.text);
        let text = &inst.name.text;
        let mut fields = Vec::new();
        let mut idents = Vec::new();
        for operand in &inst.operands {
            let (name, ty) = (field(&operand.name.text), field_type(operand.kind));
            fields.push(quote!(#name: #ty));
            idents.push(quote!(#name));
            if operand.mode == Mode::InOut {
                let tied = input(&operand.name.text);
                fields.push(quote!(#tied: #ty));
                idents.push(quote!(#tied));
            }
        }
        variants.push(quote!(#[doc = #text] #ident { #(#fields),* }));
        let pattern = quote!(Inst::#ident { #(#idents),* });
        let visit = inst.operands.iter().map(visit);
        let clobbers = inst.body.iter().filter_map(|stmt| match stmt {
            InstStmt::Clobber(name) => {
                let hw = register_number(&name.text)?;
                let class = if name.text.starts_with("xmm") { quote!(RegClass::Float) } else { quote!(RegClass::Int) };
                Some(quote!(visitor.clobber(#class, #hw);))
            }
            _ => None,
        });
        let encode = encode(inst);
        let memory = inst.operands.iter().find_map(|operand| {
            let name = field(&operand.name.text);
            match operand.kind {
                OperandKind::Mem(_) | OperandKind::Addr => Some(quote!(Some(#name))),
                OperandKind::RegMem(_) | OperandKind::XmmMem(_) => {
                    Some(quote!(match #name { RegMem::Mem(m) => Some(m), RegMem::Reg(_) => None }))
                }
                _ => None,
            }
        });
        let feature = feature(&inst.feature);
        let shown = inst.operands.iter().map(|operand| {
            let name = field(&operand.name.text);
            match operand.kind {
                OperandKind::Cc | OperandKind::Label => quote!(format!("{:?}", #name)),
                _ => quote!(#name.to_string()),
            }
        });
        let push = |list: &mut Vec<TokenStream>, arm: TokenStream| list.push(arm);
        push(&mut names, quote!(Inst::#ident { .. } => #text));
        push(&mut visits, quote!(#pattern => { #(#visit)* #(#clobbers)* }));
        push(&mut encodes, quote!(#pattern => #encode));
        if let Some(memory) = memory {
            push(&mut memories, quote!(#pattern => #memory));
        }
        push(&mut features, quote!(Inst::#ident { .. } => #feature));
        push(&mut shows, quote!(#pattern => vec![#(#shown),*]));
    }
    quote! {
        use iced_x86::{Code, IcedError, Instruction};

        /// A machine instruction, from `spec/x86_64`. `x_in` is the input tied to the output `x`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Inst { #(#variants),* }

        impl Inst {
            pub fn name(&self) -> &'static str {
                match self { #(#names),* }
            }

            /// Shows the visitor every register operand, in order.
            pub fn visit<V: OperandVisitor>(&mut self, visitor: &mut V) {
                match self { #(#visits),* }
            }

            /// The instruction for the encoder; registers must be physical.
            pub fn encode(&self) -> Result<Instruction, IcedError> {
                match self { #(#encodes),* }
            }

            /// The memory operand, if there is one.
            pub fn memory_mut(&mut self) -> Option<&mut Amode> {
                match self { #(#memories,)* _ => None }
            }

            /// CPU features the instruction needs.
            pub fn features(&self) -> CpuFeatures {
                match self { #(#features),* }
            }

            fn operands(&self) -> Vec<String> {
                match self { #(#shows),* }
            }
        }

        impl std::fmt::Display for Inst {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} {}", self.name(), self.operands().join(", "))
            }
        }
    }
}
