//! `facts.rs`: the checker's facts, regions, fields and tables, as `spec/sandbox.rules` has them, and its reasons to reject.
//!
//! A table becomes a function that tries its rows in order. A fact is two words, so that it travels in registers: its kind with
//! its first 32-bit number, and its other number; it comes apart as a `View` where speed does not matter. Numbers are computed with as `u64`, as everywhere in generated
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

/// What makes a fact.
fn fact_value(fact: &Fact, numbers: &[TokenStream]) -> TokenStream {
    let name = format_ident!("{}", fact.name.text);
    quote!(Fact::#name(#(#numbers),*))
}

/// The constant that is a fact's kind.
fn kind(fact: &Fact) -> proc_macro2::Ident {
    format_ident!("KIND_{}", fact.name.text.to_uppercase())
}

/// Of each of a fact's numbers, whether it is the one beside the kind.
fn is_small(params: &[Param]) -> impl Iterator<Item = bool> {
    params.iter().enumerate().map(|(n, param)| n == 0 && param.ty == Type::Bits(32))
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
            quote!(View::#name #rest => #words)
        });
        let constant = |fact: &&Fact| {
            let mut constant = true;
            fact.most.iter().for_each(|most| walk(most, &mut |part| constant &= !matches!(part.kind, ExprKind::Var(_))));
            constant
        };
        // A fact without a second number has its bound in that place.
        fn second(fact: &Fact) -> Option<&Param> {
            is_small(&fact.params).position(|small| !small).and_then(|n| fact.params.get(n))
        }
        let apart = facts.iter().filter(|fact| match (second(fact), &fact.most) {
            (Some(param), Some(most)) => !matches!(&most.kind, ExprKind::Var(name) if *name == param.name.text),
            (other, None) => other.is_some(),
            (None, Some(_)) => false,
        });
        let apart = apart.map(kind);
        let bounds = facts.iter().filter(|fact| fact.most.is_some() && second(fact).is_some()).map(|fact| {
            let (kind, most) = (kind(fact), fact.most.as_ref().map(|most| self.printer.print(most)));
            let numbers = self.numbers(fact, &format_ident!("self"));
            quote!(if self.kind() == #kind { #numbers return #most; })
        });
        let bound = |fact: &Fact| match &fact.most {
            Some(most) if constant(&fact) => self.printer.print(most),
            _ => quote!(u64::MAX),
        };
        let encoded = (0u8..).zip(facts).map(|(tag, fact)| {
            let (pattern, widened) = self.binds("View", &fact.name, &fact.params);
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
            let value = fact_value(fact, &fields);
            quote!(#tag => #value)
        });
        let kinds = (0u8..).zip(facts).map(|(tag, fact)| {
            let kind = kind(fact);
            quote!(const #kind: u8 = #tag;)
        });
        let makers = facts.iter().map(|fact| {
            let (name, kind, words) = (format_ident!("{}", fact.name.text), kind(fact), &fact.words);
            let names: Vec<_> = fact.params.iter().map(|param| format_ident!("{}", param.name.text)).collect();
            let types = fact.params.iter().map(|param| held_type(&param.ty));
            let (mut small, mut wide) = (quote!(), bound(fact));
            for (name, is_small) in names.iter().zip(is_small(&fact.params)) {
                let part = if is_small { &mut small } else { &mut wide };
                *part = if is_small { quote!(| (#name as u64) << 32) } else { quote!(#name as u64) };
            }
            quote! {
                #[doc = #words]
                #[inline(always)]
                pub const fn #name(#(#names: #types),*) -> Fact { Fact { head: #kind as u64 #small, wide: #wide } }
            }
        });
        let views = facts.iter().map(|fact| {
            let kind = kind(fact);
            let numbers: Vec<TokenStream> = fact
                .params
                .iter()
                .zip(is_small(&fact.params))
                .map(|(param, small)| narrowed(if small { quote!(self.small()) } else { quote!(self.wide) }, &param.ty))
                .collect();
            let view = variant("View", &fact.name.text, &fact.params, &numbers);
            quote!(#kind => #view)
        });
        let parts = facts.iter().filter(|fact| !fact.params.is_empty()).map(|fact| {
            let (name, kind, words) = (&fact.name.text, kind(fact), &fact.words);
            let (is, part) = (format_ident!("is_{name}"), format_ident!("as_{name}"));
            let types = fact.params.iter().map(|param| held_type(&param.ty));
            let numbers = fact
                .params
                .iter()
                .zip(is_small(&fact.params))
                .map(|(param, small)| narrowed(if small { quote!(self.small()) } else { quote!(self.wide) }, &param.ty));
            let (types, numbers) = match fact.params.len() {
                1 => (quote!(#(#types)*), quote!(#(#numbers)*)),
                _ => (quote!((#(#types),*)), quote!((#(#numbers),*))),
            };
            quote! {
                #[doc = #words]
                #[inline(always)]
                pub fn #is(self) -> bool {
                    self.kind() == #kind
                }

                /// Its numbers, if it is such a fact.
                #[inline(always)]
                pub fn #part(self) -> Option<#types> {
                    if self.#is() { Some(#numbers) } else { None }
                }
            }
        });
        let nothing = facts.first().map(|fact| variant("View", &fact.name.text, &fact.params, &[]));
        quote! {
            /// What is known of a 64-bit value.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum View { #(#variants),* }

            /// A fact: its kind and first 32-bit number; its other number, or else its bound.
            #[derive(Clone, Copy, PartialEq, Eq)]
            pub struct Fact { head: u64, wide: u64 }

            #(#kinds)*

            impl Default for Fact {
                fn default() -> Fact {
                    Fact::UNKNOWN
                }
            }

            impl core::fmt::Debug for Fact {
                fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    self.view().fmt(f)
                }
            }

            impl Fact {
                pub const UNKNOWN: Fact = Fact::unknown();

                #(#makers)*

                #(#parts)*

                #[inline(always)]
                fn kind(self) -> u8 {
                    self.head as u8
                }

                #[inline(always)]
                fn small(self) -> u64 {
                    self.head >> 32
                }

                #[inline]
                pub fn view(self) -> View {
                    match self.kind() { #(#views,)* _ => #nothing }
                }

                /// In the words of the specification.
                pub fn words(self) -> &'static str {
                    match self.view() { #(#words),* }
                }

                /// An unsigned upper bound of the value.
                #[inline(always)]
                pub fn bound(self) -> u64 {
                    const APART: u32 = 0 #(| 1 << #apart)*;
                    if APART >> self.kind() & 1 == 0 { self.wide } else { self.bound_apart() }
                }

                #[inline(never)]
                fn bound_apart(self) -> u64 {
                    #(#bounds)*
                    u64::MAX
                }

                /// A number for the kind of fact, and its numbers.
                pub fn encode(self) -> (u8, [u64; 2]) {
                    match self.view() { #(#encoded),* }
                }

                pub fn decode(tag: u8, numbers: [u64; 2]) -> Option<Fact> {
                    Some(match tag { #(#decoded,)* _ => return None })
                }
            }
        }
    }

    /// Binds a fact's numbers to its parameters' names.
    fn numbers(&self, fact: &Fact, value: &proc_macro2::Ident) -> TokenStream {
        let bind = |(param, small): (&Param, bool)| {
            let name = local(&param.name.text);
            if small { quote!(let #name = #value.small();) } else { quote!(let #name = #value.wide;) }
        };
        fact.params.iter().zip(is_small(&fact.params)).map(bind).collect()
    }

    /// The fact that a whole element or region holds, whose number is the fact's first.
    fn held(&self, name: &Name, number: TokenStream) -> TokenStream {
        let Some(fact) = self.fact(&name.text) else { return quote!(Fact::UNKNOWN) };
        let mut fields = vec![quote!(0); fact.params.len()];
        if let Some(first) = fields.first_mut() {
            *first = number;
        }
        fact_value(fact, &fields)
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
                    match self { #(#holds,)* _ => Fact::UNKNOWN }
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
                    match self { #(#holds,)* _ => Fact::UNKNOWN }
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
                let mut after = TokenStream::new();
                for ((arg, param), small) in args.iter().zip(&fact.params).zip(is_small(&fact.params)) {
                    let held = if small { quote!(#value.small()) } else { quote!(#value.wide) };
                    after.extend(match arg {
                        FactArg::Any(_) => quote!(),
                        FactArg::Var(name) => {
                            let name = local(&name.text);
                            quote!(let #name = #held;)
                        }
                        FactArg::Same(name) => {
                            let name = local(&name.text);
                            quote!(if #held != #name { break 'row; })
                        }
                        FactArg::Literal(literal, _) => {
                            let literal = super::rust::literal(*literal, &param.ty);
                            quote!(if #held != #literal { break 'row; })
                        }
                    });
                }
                let kind = kind(fact);
                quote!(if #value.kind() != #kind { break 'row; } #after)
            }
        }
    }

    fn row(&self, judgement: &Judgement, row: &Row, values: &[proc_macro2::Ident]) -> TokenStream {
        let patterns = row.patterns.iter().zip(values).map(|(pattern, value)| self.pattern(pattern, value));
        let conditions = row.conditions.iter().chain(&row.preferences).map(|condition| self.printer.print(condition));
        let result = match (&row.result, &judgement.judged) {
            (None, _) => quote!(true),
            (Some((name, args)), judged) => {
                let region = self.spec.extents.iter().find(|extent| extent.name.text == name.text);
                let region = region.filter(|_| matches!(judged, Judged::Access(..)));
                let fields = |params: &[Param]| -> Vec<TokenStream> {
                    args.iter().zip(params).map(|(arg, param)| narrowed(self.printer.print(arg), &param.ty)).collect()
                };
                let value = match (region, self.fact(&name.text)) {
                    (Some(region), _) => variant("Region", &name.text, &region.params, &fields(&region.params)),
                    (None, Some(fact)) => fact_value(fact, &fields(&fact.params)),
                    (None, None) => {
                        let alias = local(&name.text);
                        quote!(#alias)
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
        // The rows that need a fact of some kind are passed over together if there is none.
        let kinds = |row: &Row| -> Vec<proc_macro2::Ident> {
            let named = row.patterns.iter().filter_map(|pattern| match pattern {
                FactPattern::Fact { name, .. } => self.fact(&name.text),
                _ => None,
            });
            named.map(kind).collect()
        };
        let runs = judgement.rows.chunk_by(|a, b| kinds(a).is_empty() == kinds(b).is_empty()).map(|run| {
            let rows = run.iter().map(|row| {
                let straight = self.row(judgement, row, &values);
                let crossed = judgement.commutative.then(|| self.row(judgement, row, &exchanged));
                quote!(#straight #crossed)
            });
            let wanted: Vec<_> = run.iter().flat_map(kinds).collect();
            match wanted.is_empty() || values.is_empty() {
                true => quote!(#(#rows)*),
                false => quote!(if (#(1u32 << #values.kind())|*) & (#(1u32 << #wanted)|*) != 0 { #(#rows)* }),
            }
        });
        let rows = quote!(#(#runs)*);
        let (gives, first, otherwise) = match &judgement.judged {
            Judged::Derive(_) => (quote!(Fact), quote!(), quote!(Fact::UNKNOWN)),
            Judged::Refine(_) => (quote!(Option<Fact>), quote!(), quote!(None)),
            Judged::Access(..) => (quote!(Option<Region>), quote!(), quote!(None)),
            Judged::Imply => {
                let (a, b) = (&values[0], &values[1]);
                (quote!(bool), quote!(if #a == #b || #b == Fact::UNKNOWN { return true; }), quote!(false))
            }
            Judged::Join => {
                let (a, b) = (&values[0], &values[1]);
                let implied = quote! {
                    if implies(#a, #b) { return #b; }
                    if implies(#b, #a) { return #a; }
                };
                (quote!(Fact), implied, quote!(Fact::UNKNOWN))
            }
        };
        let module = self.asks(judgement).then(|| quote!(module: &Module<'_>));
        let doc = self.header(judgement);
        quote! {
            #[doc = #doc]
            #[inline]
            pub fn #name(#(#values: Fact,)* #(#numbers: u64,)* #module) -> #gives {
                #first
                #rows
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
            Missing(Location, &'static str),
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
