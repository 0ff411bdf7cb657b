//! `facts.rs`: the checker's facts, regions, fields and tables, as `spec/sandbox.rules` has them, and its reasons to reject.
//!
//! A table becomes a function that tries its rows in order. Numbers are computed with as `u64`, as everywhere in generated
//! code, and kept in the width that they are declared with. What the checker `knows` is asked of its `Module`.

use super::rust::{Printer, functions};
use super::{camel, local};
use crate::ast::*;
use crate::check::{numbers, size_and_alignment, walk};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

fn held_type(ty: &Type) -> TokenStream {
    match ty {
        Type::Bits(32) => quote!(u32),
        _ => quote!(u64),
    }
}

/// A variant with fields of a fact or region.
fn declared(name: &Name, params: &[Param], words: &str) -> TokenStream {
    let variant = camel(&name.text);
    let types = params.iter().map(|param| held_type(&param.ty));
    match params {
        [] => quote!(#[doc = #words] #variant),
        [_] => quote!(#[doc = #words] #variant(#(#types)*)),
        _ => {
            let names = params.iter().map(|param| format_ident!("{}", param.name.text));
            quote!(#[doc = #words] #variant { #(#names: #types),* })
        }
    }
}

/// A value or pattern of such a variant.
fn variant(of: &str, name: &str, params: &[Param], fields: &[TokenStream]) -> TokenStream {
    let (of, variant) = (format_ident!("{of}"), camel(name));
    match params {
        [] => quote!(#of::#variant),
        [_] => quote!(#of::#variant(#(#fields)*)),
        _ => {
            let names = params.iter().map(|param| format_ident!("{}", param.name.text));
            quote!(#of::#variant { #(#names: #fields),* })
        }
    }
}

/// A number as the field of a parameter's type.
fn narrowed(value: TokenStream, ty: &Type) -> TokenStream {
    if *ty == Type::Bits(32) { quote!((#value) as u32) } else { value }
}

struct Emitter<'a> {
    spec: &'a Spec,
    printer: Printer,
}

impl Emitter<'_> {
    fn fact(&self, name: &str) -> Option<&Fact> {
        self.spec.facts.iter().find(|fact| fact.name.text == name)
    }

    /// A binding of all parameters as numbers.
    fn binds(&self, of: &str, name: &Name, params: &[Param]) -> (TokenStream, TokenStream) {
        let names: Vec<TokenStream> = params.iter().map(|param| local(&param.name.text)).map(|name| quote!(#name)).collect();
        let pattern = variant(of, &name.text, params, &names);
        let widened = params.iter().map(|param| {
            let name = local(&param.name.text);
            quote!(let #name = u64::from(#name);)
        });
        (pattern, quote!(#(#widened)*))
    }

    fn facts(&self) -> TokenStream {
        let facts = &self.spec.facts;
        let variants = facts.iter().map(|fact| declared(&fact.name, &fact.params, &fact.words));
        let words = facts.iter().map(|fact| {
            let (name, words) = (camel(&fact.name.text), &fact.words);
            let rest = if fact.params.is_empty() { quote!() } else { quote!({ .. }) };
            quote!(Fact::#name #rest => #words)
        });
        let bounds = facts.iter().filter_map(|fact| {
            let (pattern, widened) = self.binds("Fact", &fact.name, &fact.params);
            let most = self.printer.print(fact.most.as_ref()?);
            Some(quote!(#[allow(unused_variables)] #pattern => { #widened #most }))
        });
        let encoded = (0u8..).zip(facts).map(|(tag, fact)| {
            let (pattern, widened) = self.binds("Fact", &fact.name, &fact.params);
            let mut numbers: Vec<TokenStream> =
                fact.params.iter().map(|param| local(&param.name.text)).map(|name| quote!(#name)).collect();
            numbers.resize(2, quote!(0));
            quote!(#pattern => { #widened (#tag, [#(#numbers),*]) })
        });
        let decoded = (0u8..).zip(facts).map(|(tag, fact)| {
            let fields: Vec<TokenStream> = (0usize..)
                .zip(&fact.params)
                .map(|(n, param)| match param.ty {
                    Type::Bits(32) => quote!(u32::try_from(numbers[#n]).ok()?),
                    _ => quote!(numbers[#n]),
                })
                .collect();
            let value = variant("Fact", &fact.name.text, &fact.params, &fields);
            quote!(#tag => #value)
        });
        quote! {
            /// What is known of a 64-bit value.
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub enum Fact { #[default] #(#variants),* }

            impl Fact {
                /// In the words of the specification.
                pub fn words(self) -> &'static str {
                    match self { #(#words),* }
                }

                /// An unsigned upper bound of the value.
                #[inline]
                pub fn bound(self) -> u64 {
                    match self { #(#bounds,)* _ => u64::MAX }
                }

                /// A number for the kind of fact, and its numbers.
                pub fn encode(self) -> (u8, [u64; 2]) {
                    match self { #(#encoded),* }
                }

                pub fn decode(tag: u8, numbers: [u64; 2]) -> Option<Fact> {
                    Some(match tag { #(#decoded,)* _ => return None })
                }
            }
        }
    }

    /// The fact that a whole element or region holds, whose number is the fact's first.
    fn held(&self, name: &Name, number: TokenStream) -> TokenStream {
        let Some(fact) = self.fact(&name.text) else { return quote!(Fact::Unknown) };
        let mut fields = vec![quote!(0); fact.params.len()];
        if let Some(first) = fields.first_mut() {
            *first = number;
        }
        variant("Fact", &fact.name.text, &fact.params, &fields)
    }

    fn regions(&self) -> TokenStream {
        let extents = &self.spec.extents;
        let variants = extents.iter().map(|extent| declared(&extent.name, &extent.params, &extent.name.text));
        let rights = extents.iter().filter(|extent| extent.writable).map(|extent| {
            let (pattern, widened) = self.binds("Region", &extent.name, &extent.params);
            let when = extent.when.as_ref().map_or(quote!(true), |when| self.printer.print(when));
            quote!(#[allow(unused_variables)] #pattern => { #widened #when })
        });
        let holds = extents.iter().filter_map(|extent| {
            let held = extent.holds.as_ref()?;
            let pattern = variant("Region", &extent.name.text, &extent.params, &[quote!(number)]);
            let fact = self.held(held, quote!(number));
            Some(quote!(#pattern => #fact))
        });
        quote! {
            /// What an access lies in.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum Region { #(#variants),* }

            impl Region {
                pub fn writable(self, module: &Module<'_>) -> bool {
                    match self { #(#rights,)* _ => false }
                }

                /// What is known of the whole region's value.
                pub fn holds(self) -> Fact {
                    match self { #(#holds,)* _ => Fact::Unknown }
                }
            }
        }
    }

    /// Fields of the instance that guest code may touch.
    fn fields(&self) -> TokenStream {
        let Some(layout) = self.spec.layouts.iter().find(|layout| layout.descending) else { return quote!() };
        let numbers = numbers(self.spec);
        let (mut variants, mut sizes, mut writable, mut holds, mut found) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for field in layout.fields.iter().filter(|field| field.access != Access::Host) {
            let (name, words) = (camel(&field.name.text), &field.name.text);
            let (size, _) = size_and_alignment(self.spec, &field.ty.text).unwrap_or((8, 8));
            let wide = Literal::i64_suffixed(size.into());
            let (declared, pattern) = match &field.count {
                None => (quote!(#[doc = #words] #name), quote!(Field::#name)),
                Some(_) => (quote!(#[doc = #words] #name(u32)), quote!(Field::#name(_))),
            };
            variants.push(declared);
            sizes.push(quote!(#pattern => #size));
            if field.access == Access::Writable {
                writable.push(pattern);
            }
            if let (Some(held), Some(_)) = (&field.holds, &field.count) {
                let fact = self.held(held, quote!(number));
                holds.push(quote!(Field::#name(number) => #fact));
            }
            match &field.count {
                None => {
                    let start = numbers.get(&format!("layout.{}.{}", layout.name.text, field.name.text)).copied();
                    let start = Literal::i64_suffixed(start.and_then(|start| i64::try_from(start).ok()).unwrap_or(0));
                    found.push(quote! {
                        if (0..#wide).contains(&(offset - #start)) {
                            return Some((Field::#name, (offset - #start) as u32));
                        }
                    });
                }
                Some(count) => {
                    let (array, count) = (format_ident!("{}", field.name.text), format_ident!("{}", count.text));
                    found.push(quote! {
                        // Element k stands k elements below element 0.
                        let above = i64::from(layout.#array) + #wide - 1 - offset;
                        if (0..i64::from(shape.#count) * #wide).contains(&above) {
                            return Some((Field::#name((above / #wide) as u32), (#wide - 1 - above % #wide) as u32));
                        }
                    });
                }
            }
        }
        quote! {
            /// A field of the instance that guest code may read.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum Field { #(#variants),* }

            impl Field {
                pub fn size(self) -> u32 {
                    match self { #(#sizes),* }
                }

                pub fn writable(self) -> bool {
                    matches!(self, #(#writable)|*)
                }

                /// What is known of the whole field's value.
                pub fn holds(self) -> Fact {
                    match self { #(#holds,)* _ => Fact::Unknown }
                }
            }

            /// The field that the byte at an offset from r15 belongs to, and where in it.
            pub fn field(layout: &InstanceLayout, shape: &InstanceShape, offset: i64) -> Option<(Field, u32)> {
                #(#found)*
                None
            }
        }
    }

    fn pattern(&self, pattern: &FactPattern, value: &proc_macro2::Ident) -> TokenStream {
        match pattern {
            FactPattern::Any(_) => quote!(),
            FactPattern::Bounded { alias, bound } => {
                let (bound, alias) = (local(&bound.text), alias.as_ref().map(|alias| local(&alias.text)));
                let alias = alias.map(|alias| quote!(let #alias = #value;));
                quote!(let #bound = #value.bound(); #alias)
            }
            FactPattern::Fact { name, args, .. } => {
                let Some(fact) = self.fact(&name.text) else { return quote!() };
                let (mut fields, mut after) = (Vec::new(), Vec::new());
                for (n, (arg, param)) in args.iter().zip(&fact.params).enumerate() {
                    let held = format_ident!("field_{n}");
                    match arg {
                        FactArg::Any(_) => {
                            fields.push(quote!(_));
                            continue;
                        }
                        FactArg::Var(name) => {
                            let name = local(&name.text);
                            after.push(quote!(let #name = u64::from(#held);));
                        }
                        FactArg::Same(name) => {
                            let name = local(&name.text);
                            after.push(quote!(if u64::from(#held) != #name { break 'row; }));
                        }
                        FactArg::Literal(value, _) => {
                            let value = super::rust::literal(*value, &param.ty);
                            after.push(quote!(if u64::from(#held) != #value { break 'row; }));
                        }
                    }
                    fields.push(quote!(#held));
                }
                let pattern = variant("Fact", &name.text, &fact.params, &fields);
                quote!(let #pattern = #value else { break 'row }; #(#after)*)
            }
        }
    }

    fn row(&self, judgement: &Judgement, row: &Row, values: &[proc_macro2::Ident]) -> TokenStream {
        let patterns = row.patterns.iter().zip(values).map(|(pattern, value)| self.pattern(pattern, value));
        let conditions = row.conditions.iter().chain(&row.preferences).map(|condition| self.printer.print(condition));
        let result = match (&row.result, &judgement.judged) {
            (None, _) => quote!(true),
            (Some((name, args)), judged) => {
                let region = matches!(judged, Judged::Access(..));
                let params = if region {
                    self.spec.extents.iter().find(|extent| extent.name.text == name.text).map(|extent| &extent.params)
                } else {
                    self.fact(&name.text).map(|fact| &fact.params)
                };
                let value = match params {
                    None => {
                        let alias = local(&name.text);
                        quote!(#alias)
                    }
                    Some(params) => {
                        let fields: Vec<TokenStream> = args
                            .iter()
                            .zip(params)
                            .map(|(arg, param)| narrowed(self.printer.print(arg), &param.ty))
                            .collect();
                        variant(if region { "Region" } else { "Fact" }, &name.text, params, &fields)
                    }
                };
                match judged {
                    Judged::Refine(_) | Judged::Access(..) => quote!(Some(#value)),
                    _ => quote!(#value),
                }
            }
        };
        quote! {
            'row: {
                #(#patterns)*
                #(if !#conditions { break 'row; })*
                return #result;
            }
        }
    }

    fn judgement(&self, judgement: &Judgement) -> TokenStream {
        let name = format_ident!("{}", judgement.name.text);
        let values: Vec<proc_macro2::Ident> =
            judgement.values.iter().map(|value| format_ident!("fact_{}", value.text)).collect();
        let numbers = judgement.numbers.iter().map(|number| local(&number.name.text));
        let exchanged: Vec<proc_macro2::Ident> = values.iter().rev().cloned().collect();
        let rows = judgement.rows.iter().map(|row| {
            let straight = self.row(judgement, row, &values);
            let crossed = judgement.commutative.then(|| self.row(judgement, row, &exchanged));
            quote!(#straight #crossed)
        });
        let (gives, first, otherwise) = match &judgement.judged {
            Judged::Derive(_) => (quote!(Fact), quote!(), quote!(Fact::Unknown)),
            Judged::Refine(_) => (quote!(Option<Fact>), quote!(), quote!(None)),
            Judged::Access(..) => (quote!(Option<Region>), quote!(), quote!(None)),
            Judged::Imply => {
                let (a, b) = (&values[0], &values[1]);
                (quote!(bool), quote!(if #a == #b || #b == Fact::Unknown { return true; }), quote!(false))
            }
            Judged::Join => {
                let (a, b) = (&values[0], &values[1]);
                let implied = quote! {
                    if implies(#a, #b) { return #b; }
                    if implies(#b, #a) { return #a; }
                };
                (quote!(Fact), implied, quote!(Fact::Unknown))
            }
        };
        let module = self.asks(judgement).then(|| quote!(module: &Module<'_>));
        let doc = self.header(judgement);
        quote! {
            #[doc = #doc]
            #[inline]
            pub fn #name(#(#values: Fact,)* #(#numbers: u64,)* #module) -> #gives {
                #first
                #(#rows)*
                #otherwise
            }
        }
    }

    /// The first line of a table, as written.
    fn header(&self, judgement: &Judgement) -> String {
        let text = self.spec.files.get(judgement.span.file as usize).map_or("", |(_, text)| text.as_str());
        let text = text.get(judgement.span.start as usize..).unwrap_or("");
        format!(" `{}`", text.lines().next().unwrap_or("").trim_end_matches(['{', ' ']))
    }

    /// Whether a table needs to know something of the module.
    fn asks(&self, judgement: &Judgement) -> bool {
        let mut asks = false;
        let results = judgement.rows.iter().filter_map(|row| row.result.as_ref()).flat_map(|(_, args)| args);
        for expr in judgement.rows.iter().flat_map(|row| row.conditions.iter().chain(&row.preferences)).chain(results) {
            walk(expr, &mut |part| {
                if let ExprKind::Call(name, _) = &part.kind {
                    asks |= self.spec.states.iter().any(|state| state.known && state.name.text == name.text);
                }
            });
        }
        asks
    }
}

fn rejections(spec: &Spec) -> TokenStream {
    let (names, words): (Vec<_>, Vec<_>) = spec.rejections.iter().map(|one| (camel(&one.name.text), &one.words)).unzip();
    quote! {
        /// What code was rejected for: a rule it breaks, or a fact missing at a place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            #(#[doc = #words] #names,)*
            /// At this place something must be known that is not.
            Missing(Place, &'static str),
        }

        impl Reason {
            pub fn words(self) -> &'static str {
                match self {
                    #(Reason::#names => #words,)*
                    Reason::Missing(_, what) => what,
                }
            }
        }
    }
}

pub fn emit(spec: &Spec) -> TokenStream {
    let known = spec.states.iter().filter(|state| state.known).map(|state| state.name.text.clone()).collect();
    let emitter = Emitter { spec, printer: Printer { known, ..Printer::new(spec) } };
    let (facts, regions, fields) = (emitter.facts(), emitter.regions(), emitter.fields());
    let judgements = spec.judgements.iter().map(|judgement| emitter.judgement(judgement));
    let support: TokenStream = include_str!("support.rs").parse().unwrap_or_default();
    let functions = functions(&emitter.visible_functions(), &emitter.printer);
    let rejections = rejections(spec);
    quote!(#facts #regions #fields #(#judgements)* #rejections #functions #support)
}

impl Emitter<'_> {
    /// The specification with those functions only that the tables' premises and results call.
    fn visible_functions(&self) -> Spec {
        let mut wanted: std::collections::HashSet<String> = std::collections::HashSet::new();
        let visit = |expr: &Expr, wanted: &mut std::collections::HashSet<String>| {
            walk(expr, &mut |part| {
                if let ExprKind::Call(name, _) = &part.kind {
                    wanted.insert(name.text.clone());
                }
            });
        };
        for row in self.spec.judgements.iter().flat_map(|judgement| &judgement.rows) {
            let results = row.result.iter().flat_map(|(_, args)| args);
            row.conditions.iter().chain(&row.preferences).chain(results).for_each(|expr| visit(expr, &mut wanted));
        }
        // Functions call earlier ones only.
        for function in self.spec.functions.iter().rev() {
            if wanted.contains(&function.name.text) {
                visit(&function.body, &mut wanted);
            }
        }
        let functions = self.spec.functions.iter().filter(|function| wanted.contains(&function.name.text)).cloned();
        Spec { functions: functions.collect(), ..Spec::default() }
    }
}
