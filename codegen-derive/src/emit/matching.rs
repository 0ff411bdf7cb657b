//! Left sides of rules as Rust: shared by lowering and simplification.
//!
//! A rule becomes a labelled block that is left as soon as something does not match. Both hand-written contexts offer
//! the same questions (`op`, `arg`, `imm`, `aux`, `def`, `const_of`), so one printer serves both.

use super::rust::{Printer, literal};
use super::{camel, local};
use crate::ast::*;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// What matching a rule's left side bound.
#[derive(Default)]
pub struct Matched {
    pub code: TokenStream,
    /// Definitions matched with `once`, outermost first.
    pub once: Vec<Ident>,
    fresh: usize,
}

fn constant_type(ty: &Type) -> Type {
    match ty {
        Type::F32 => Type::Bits(32),
        Type::F64 => Type::Bits(64),
        ty => ty.clone(),
    }
}

impl Matched {
    fn fresh(&mut self, prefix: &str) -> Ident {
        self.fresh += 1;
        format_ident!("{prefix}{}", self.fresh)
    }

    /// Matches one operand, given as a Rust expression for the value.
    pub fn pattern(&mut self, spec: &Spec, pattern: &Pattern, value: TokenStream, ty: &Type, root: &TokenStream) {
        match pattern {
            Pattern::Var(name) => {
                let name = local(&name.text);
                self.code.extend(quote!(let #name = #value;));
            }
            Pattern::Any(_) => {}
            Pattern::Const(name) => {
                let name = local(&name.text);
                self.code.extend(quote!(let Some(#name) = cx.const_of(#value) else { break 'rule };));
            }
            Pattern::Literal(number, _) => {
                let number = literal(*number, &constant_type(ty));
                self.code.extend(quote!(if cx.const_of(#value) != Some(#number) { break 'rule; }));
            }
            Pattern::Same(name) => {
                let name = local(&name.text);
                self.code.extend(quote!(if #value != #name { break 'rule; }));
            }
            Pattern::Op { op, alias, once, args, immediates, .. } => {
                let Some(op) = spec.ops.iter().find(|known| known.name.text == op.text) else { return };
                let (at, inst, ident) = (self.fresh("value"), self.fresh("inst"), camel(&op.name.text));
                self.code.extend(quote! {
                    let #at = #value;
                    let Some(#inst) = cx.def(#at) else { break 'rule };
                    if cx.op(#inst) != Op::#ident { break 'rule; }
                });
                if *once {
                    self.code.extend(quote!(if !cx.once(#root, #at) { break 'rule; }));
                    self.once.push(inst.clone());
                }
                if let Some(alias) = alias {
                    let alias = local(&alias.text);
                    self.code.extend(quote!(let #alias = #at;));
                }
                for (n, (arg, param)) in args.iter().zip(&op.params).enumerate() {
                    self.pattern(spec, arg, quote!(cx.arg(#inst, #n)), &param.ty, root);
                }
                let sources = [quote!(cx.imm(#inst)), quote!(u64::from(cx.aux(#inst)))];
                self.immediates(immediates, &op.immediates, &sources);
            }
        }
    }

    /// Matches immediates, given as Rust expressions.
    pub fn immediates(&mut self, patterns: &[ImmPattern], params: &[Param], sources: &[TokenStream]) {
        for ((pattern, param), source) in patterns.iter().zip(params).zip(sources) {
            let width = match param.ty {
                Type::Bits(width) => u32::from(width),
                _ => 64,
            };
            match pattern {
                ImmPattern::Var(name) => {
                    let name = local(&name.text);
                    self.code.extend(quote!(let #name = mask(#source, #width);));
                }
                ImmPattern::Any(_) => {}
                ImmPattern::Literal(value, _) => {
                    let value = literal(*value, &param.ty);
                    self.code.extend(quote!(if mask(#source, #width) != #value { break 'rule; }));
                }
            }
        }
    }

    /// Conditions and preferences, and the CPU features.
    pub fn guards(&mut self, rule: &Rule, printer: &Printer) {
        for feature in &rule.features {
            let feature = camel(feature.text.trim_start_matches("cpu."));
            self.code.extend(quote!(if !cx.has(Feature::#feature) { break 'rule; }));
        }
        for condition in rule.conditions.iter().chain(&rule.preferences) {
            let condition = printer.print(condition);
            self.code.extend(quote!(if !(#condition) { break 'rule; }));
        }
    }
}

/// Whether a rule of a commutative operator is another one with its operands exchanged.
pub fn has_twin(rule: &Rule) -> bool {
    !rule.patterns.iter().all(|pattern| matches!(pattern, Pattern::Var(_) | Pattern::Any(_)))
}
