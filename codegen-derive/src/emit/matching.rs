//! Left sides of rules as Rust: shared by lowering and simplification.
//!
//! A rule becomes a labelled block that is left as soon as something does not match. Both hand-written contexts offer
//! the same questions (`op`, `arg`, `imm`, `aux`, `def`, `const_of`), so one printer serves both. The same code is printed a second
//! time for `rules why`: there it says what did not match before it leaves the block (`why`).

use super::rust::{Printer, literal};
use super::{camel, local};
use crate::ast::*;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// What matching a rule's left side bound.
#[derive(Default)]
pub struct Matched<'a> {
    pub code: TokenStream,
    /// Definitions matched with `once`, outermost first.
    pub once: Vec<Ident>,
    fresh: usize,
    /// The specification whose words say what does not match, if that is said.
    told: Option<&'a Spec>,
}

fn constant_type(ty: &Type) -> Type {
    match ty {
        Type::F32 => Type::Bits(32),
        Type::F64 => Type::Bits(64),
        ty => ty.clone(),
    }
}

impl<'a> Matched<'a> {
    /// Code that says what does not match.
    pub fn told(spec: &'a Spec) -> Matched<'a> {
        Matched { told: Some(spec), ..Matched::default() }
    }

    /// Leaves the rule. The premise is said as it stands in the specification, with what is wrong, and of which value.
    fn leave(&self, premise: &str, span: Span, why: &str, value: Option<&TokenStream>) -> TokenStream {
        let Some(spec) = self.told else { return quote!(break 'rule;) };
        let text = spec.files.get(span.file as usize).and_then(|(_, text)| text.get(span.start as usize..span.end as usize));
        let words: Vec<&str> = text.unwrap_or_default().split_whitespace().collect();
        let premise = format!("`{premise}{}`: {why}", words.join(" "));
        let value = value.map_or(quote!(None), |value| quote!(Some(#value)));
        quote! { cx.missed(log, #premise, #value); break 'rule; }
    }

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
                let leave = self.leave("const ", name.span, "no constant", Some(&value));
                let name = local(&name.text);
                self.code.extend(quote!(let Some(#name) = cx.const_of(#value) else { #leave };));
            }
            Pattern::Literal(number, span) => {
                let leave = self.leave("", *span, "not this constant", Some(&value));
                let number = literal(*number, &constant_type(ty));
                self.code.extend(quote!(if cx.const_of(#value) != Some(#number) { #leave }));
            }
            Pattern::Same(name) => {
                let leave = self.leave("=", name.span, "another value", Some(&value));
                let name = local(&name.text);
                self.code.extend(quote!(if #value != #name { #leave }));
            }
            Pattern::Op { op, alias, once, args, immediates, span } => {
                let Some(op) = spec.ops.iter().find(|known| known.name.text == op.text) else { return };
                let (at, inst, ident) = (self.fresh("value"), self.fresh("inst"), camel(&op.name.text));
                let leave = self.leave("", *span, &format!("not {}", op.name.text), Some(&quote!(#at)));
                self.code.extend(quote! {
                    let #at = #value;
                    let Some(#inst) = cx.def(#at) else { #leave };
                    if cx.op(#inst) != Op::#ident { #leave }
                });
                if *once {
                    let why = "not `once`: it has another use, or an effect stands between";
                    let leave = self.leave("", *span, why, Some(&quote!(#at)));
                    self.code.extend(quote!(if !cx.once(#root, #at) { #leave }));
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
                ImmPattern::Literal(value, span) => {
                    let leave = self.leave("; ", *span, "another immediate", None);
                    let value = literal(*value, &param.ty);
                    self.code.extend(quote!(if mask(#source, #width) != #value { #leave }));
                }
            }
        }
    }

    /// Conditions and preferences, and the CPU features.
    pub fn guards(&mut self, rule: &Rule, printer: &Printer) {
        for feature in &rule.features {
            let leave = self.leave("when ", feature.span, "not on this CPU", None);
            let feature = camel(feature.text.trim_start_matches("cpu."));
            self.code.extend(quote!(if !cx.has(Feature::#feature) { #leave }));
        }
        let conditions = rule.conditions.iter().map(|condition| (condition, "if "));
        for (condition, word) in conditions.chain(rule.preferences.iter().map(|preference| (preference, "prefer "))) {
            let leave = self.leave(word, condition.span, "does not hold", None);
            let condition = printer.print(condition);
            self.code.extend(quote!(if !(#condition) { #leave }));
        }
    }
}

/// Whether a rule of a commutative operator is another one with its operands exchanged.
pub fn has_twin(rule: &Rule) -> bool {
    !rule.patterns.iter().all(|pattern| matches!(pattern, Pattern::Var(_) | Pattern::Any(_)))
}
