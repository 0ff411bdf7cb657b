//! `why_lower.rs` and `why_simplify.rs`: which rule of a block applies, and what keeps those before it from applying.
//!
//! For each block one function that looks at its rules in order as the compiler's own function does: the left sides are printed
//! by the same printer (`matching`), which here says what does not match. Nothing is changed and nothing emitted; these functions
//! run for `rules why` only, which switches no rule off.

use super::matching::{Matched, has_twin};
use super::rust::Printer;
use super::{RuleTable, camel, snake};
use crate::ast::*;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// Where a block's operands and immediates come from, and what `once` asks about.
struct Source {
    values: Vec<TokenStream>,
    immediates: Vec<TokenStream>,
    root: TokenStream,
}

/// The rules of a block in order, each left as soon as something does not match.
fn rules(spec: &Spec, table: &RuleTable, printer: &Printer, block: &RuleBlock, source: &Source) -> TokenStream {
    let op = spec.ops.iter().find(|op| block.kind != BlockKind::Form && op.name.text == block.name.text);
    let (params, immediates) = op.map_or((&block.params, &block.immediates), |op| (&op.params, &op.immediates));
    let mut bodies = TokenStream::new();
    for rule in &block.rules {
        let twin = op.is_some_and(|op| op.commutative) && has_twin(rule);
        for exchanged in [false, true].into_iter().take(1 + usize::from(twin)) {
            let mut matched = Matched::told(spec);
            for (n, (pattern, param)) in rule.patterns.iter().zip(params).enumerate() {
                let at = if exchanged { params.len() - 1 - n } else { n };
                matched.pattern(spec, pattern, source.values[at].clone(), &param.ty, &source.root);
            }
            matched.immediates(&rule.immediates, immediates, &source.immediates);
            matched.guards(rule, printer);
            let (code, number) = (matched.code, table.number(rule));
            bodies.extend(quote! {
                'rule: {
                    log.candidate(#number, #exchanged);
                    #code
                    log.taken();
                    return;
                }
            });
        }
    }
    bodies
}

/// `why_lower.rs`
pub fn lower(spec: &Spec, table: &RuleTable) -> TokenStream {
    let printer = Printer::new(spec);
    let (mut arms, mut functions) = (Vec::new(), Vec::new());
    for block in &spec.blocks {
        let name = &block.name.text;
        match block.kind {
            BlockKind::Lower => {
                let Some(op) = spec.ops.iter().find(|op| op.name.text == *name) else { continue };
                let (ident, function) = (camel(name), snake("lower", name));
                let values = (0..op.params.len()).map(|n| quote!(cx.arg(root, #n))).collect();
                let immediates = vec![quote!(cx.imm(root)), quote!(u64::from(cx.aux(root)))];
                let bodies = rules(spec, table, &printer, block, &Source { values, immediates, root: quote!(root) });
                arms.push(quote!(Op::#ident => #function(cx, root, log)));
                functions.push(quote!(fn #function(cx: &Lower, root: Inst_, log: &mut Log) { #bodies }));
            }
            BlockKind::Form => {
                let function = snake("form", name);
                let params: Vec<Ident> = (0..block.params.len()).map(|n| format_ident!("p{n}")).collect();
                let immediates: Vec<Ident> = (0..block.immediates.len()).map(|n| format_ident!("i{n}")).collect();
                let source = Source {
                    values: params.iter().map(|name| quote!(#name)).collect(),
                    immediates: immediates.iter().map(|name| quote!(#name)).collect(),
                    root: quote!(root),
                };
                let bodies = rules(spec, table, &printer, block, &source);
                functions.push(quote! {
                    pub fn #function(cx: &Lower, root: Inst_, #(#params: Value,)* #(#immediates: u64,)* log: &mut Log) {
                        cx.asks(log, #name, root, &[#(#params),*]);
                        #bodies
                    }
                });
            }
            BlockKind::Simplify => {}
        }
    }
    quote! {
        /// Looks at the rules of an operator's `lower` block.
        pub fn lower(cx: &Lower, root: Inst_, log: &mut Log) {
            match cx.op(root) { #(#arms,)* #[allow(unreachable_patterns)] _ => {} }
        }
        #(#functions)*
    }
}

/// `why_simplify.rs`
pub fn simplify(spec: &Spec, table: &RuleTable) -> TokenStream {
    let printer = Printer::new(spec);
    let (mut arms, mut functions) = (Vec::new(), Vec::new());
    for block in spec.blocks.iter().filter(|block| block.kind == BlockKind::Simplify) {
        let Some(op) = spec.ops.iter().find(|op| op.name.text == block.name.text) else { continue };
        let (ident, function) = (camel(&op.name.text), snake("simplify", &op.name.text));
        let values = (0..op.params.len()).map(|n| quote!(args[#n])).collect();
        let immediates = vec![quote!(imm), quote!(u64::from(aux))];
        let bodies = rules(spec, table, &printer, block, &Source { values, immediates, root: quote!(()) });
        arms.push(quote!(Op::#ident => #function(cx, imm, aux, args, log)));
        functions.push(quote!(fn #function(cx: &Builder, imm: u64, aux: u32, args: &[Value], log: &mut Log) { #bodies }));
    }
    quote! {
        /// Looks at the rules of an operator's `simplify` block.
        pub fn simplify(cx: &Builder, op: Op, imm: u64, aux: u32, args: &[Value], log: &mut Log) {
            match op { #(#arms,)* _ => {} }
        }
        #(#functions)*
    }
}
