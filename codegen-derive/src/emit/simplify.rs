//! `simplify.rs`: operators to cheaper operators.

use super::matching::{Matched, has_twin};
use super::ops::ir_type;
use super::rust::Printer;
use super::{RuleTable, camel, local, snake};
use crate::ast::*;
use proc_macro2::TokenStream;
use quote::quote;

struct Builder<'a> {
    spec: &'a Spec,
    printer: Printer,
}

impl Builder<'_> {
    fn right(&self, right: &Right, ty: &Type) -> TokenStream {
        match right {
            Right::Var(name) => {
                let name = local(&name.text);
                quote!(#name)
            }
            Right::Const(value) => {
                let (value, ty) = (self.printer.print(value), ir_type(ty));
                quote!({ let bits = #value; cx.constant(Type::from(#ty), bits) })
            }
            Right::Apply { name, args, .. } => {
                let Some(op) = self.spec.ops.iter().find(|op| op.name.text == name.text) else { return quote!() };
                let ident = camel(&op.name.text);
                let count = op.params.len();
                let mut lets = TokenStream::new();
                let mut values = Vec::new();
                for (n, (arg, param)) in args.iter().zip(&op.params).enumerate() {
                    let value = match arg {
                        Arg::Nested(right) => self.right(right, &param.ty),
                        Arg::Expr(expr) => self.printer.print(expr),
                        _ => quote!(),
                    };
                    let name = quote::format_ident!("arg{n}");
                    lets.extend(quote!(let #name = #value;));
                    values.push(name);
                }
                let immediate = |n: usize| match args.get(count + n) {
                    Some(Arg::Expr(expr)) => self.printer.print(expr),
                    _ => quote!(0),
                };
                let (imm, aux) = (immediate(0), immediate(1));
                quote!({ #lets cx.build(Op::#ident, #imm, (#aux) as u32, &[#(#values),*]) })
            }
            _ => quote!(),
        }
    }

    fn rule(&self, rule: &Rule, op: &Op, number: u16, swapped: bool) -> TokenStream {
        let mut matched = Matched::default();
        for (n, (pattern, param)) in rule.patterns.iter().zip(&op.params).enumerate() {
            let at = if swapped { 1 - n } else { n };
            matched.pattern(self.spec, pattern, quote!(args[#at]), &param.ty, &quote!(()));
        }
        matched.immediates(&rule.immediates, &op.immediates, &[quote!(imm), quote!(u64::from(aux))]);
        matched.guards(rule, &self.printer);
        let code = matched.code;
        let result = op.results.first().cloned().unwrap_or(Type::Bits(32));
        let right = self.right(&rule.right, &result);
        quote! {
            'rule: {
                #code
                if cx.is_off(#number) { break 'rule; }
                cx.fired(#number);
                return Some(#right);
            }
        }
    }
}

pub fn emit(spec: &Spec, rules: &RuleTable) -> TokenStream {
    let builder = Builder { spec, printer: Printer::new(spec) };
    let mut arms = Vec::new();
    let mut functions = Vec::new();
    for block in spec.blocks.iter().filter(|block| block.kind == BlockKind::Simplify) {
        let Some(op) = spec.ops.iter().find(|op| op.name.text == block.name.text) else { continue };
        let (ident, function) = (camel(&op.name.text), snake("simplify", &op.name.text));
        arms.push(quote!(Op::#ident => #function(cx, imm, aux, args)));
        let mut bodies = Vec::new();
        for rule in &block.rules {
            bodies.push(builder.rule(rule, op, rules.number(rule), false));
            if op.commutative && has_twin(rule) {
                bodies.push(builder.rule(rule, op, rules.number(rule), true));
            }
        }
        functions.push(quote! {
            fn #function(cx: &mut Builder, imm: u64, aux: u32, args: &[Value]) -> Option<Value> {
                #(#bodies)*
                None
            }
        });
    }
    quote! {
        /// A cheaper way to compute an operator, if a rule knows one.
        pub fn simplify(cx: &mut Builder, op: Op, imm: u64, aux: u32, args: &[Value]) -> Option<Value> {
            match op { #(#arms,)* _ => None }
        }
        #(#functions)*
    }
}
