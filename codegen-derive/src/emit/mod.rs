//! The typed tree to Rust.
//!
//! One file here for each generated file; `rust` prints expressions and is one printer of the semantic tree among
//! those to come (SMT-LIB, Gallina): nothing in the tree is particular to it.

mod eval;
mod fact;
// The checker has all of it, the generator needs some.
#[allow(dead_code)]
mod form_types;
mod forms;
mod insts;
mod layout;
mod lower;
mod matching;
mod model;
mod ops;
mod rust;
mod simplify;
mod why;

use crate::ast::*;
use proc_macro2::{Ident, Span as TokenSpan, TokenStream};
use quote::format_ident;

/// The generated files: name and text. `unproved` are the rules let in without a proof.
pub fn emit(spec: &Spec, unproved: &[String]) -> Vec<(&'static str, String)> {
    let rules = RuleTable::new(spec);
    vec![
        ("ops.rs", format(ops::emit(spec))),
        ("eval.rs", format(eval::emit(spec))),
        ("insts.rs", format(insts::emit(spec))),
        ("lower.rs", format(lower::emit(spec, &rules, unproved))),
        ("simplify.rs", format(simplify::emit(spec, &rules))),
        ("why_lower.rs", format(why::lower(spec, &rules))),
        ("why_simplify.rs", format(why::simplify(spec, &rules))),
        ("layout.rs", layout(spec)),
    ]
}

/// What the sandbox checker is built from.
pub fn checker(spec: &Spec) -> Vec<(&'static str, String)> {
    let forms = format!("{}\n{}", include_str!("form_types.rs"), format(forms::emit(spec)));
    vec![("forms.rs", forms), ("facts.rs", format(fact::emit(spec))), ("layout.rs", layout(spec))]
}

pub use form_types::{Effect, FlagsEffect};
pub use forms::{check as check_forms, effects};

/// `layout.rs` alone: it needs `sandbox.rules` only.
pub fn layout(spec: &Spec) -> String {
    format(layout::emit(spec))
}

/// `model.rs`: the instructions' evaluators, for tests.
pub fn model(spec: &Spec) -> String {
    format(model::emit(spec))
}

fn format(tokens: TokenStream) -> String {
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(_) => tokens.to_string(),
    }
}

/// Every rule's number, name and place.
pub struct RuleTable {
    pub entries: Vec<(String, String, u32)>,
    numbers: std::collections::HashMap<Span, u16>,
}

impl RuleTable {
    fn new(spec: &Spec) -> RuleTable {
        let mut table = RuleTable { entries: Vec::new(), numbers: Default::default() };
        for block in &spec.blocks {
            for rule in &block.rules {
                let (path, text) = &spec.files[rule.span.file as usize];
                let (line, _) = crate::diagnostic::line_column(text, rule.span.start as usize);
                table.numbers.insert(rule.span, table.entries.len() as u16);
                table.entries.push((format!("{}/{}", block.name.text, rule.name.text), path.clone(), line as u32));
            }
        }
        table
    }

    pub fn number(&self, rule: &Rule) -> u16 {
        self.numbers.get(&rule.span).copied().unwrap_or(u16::MAX)
    }
}

/// `i32.add`, `lea32` to `I32Add`, `Lea32`.
pub fn camel(name: &str) -> Ident {
    let mut text = String::new();
    for part in name.split(['.', '_']) {
        let mut chars = part.chars();
        if let Some(first) = chars.next() {
            text.extend(first.to_uppercase());
            text.push_str(chars.as_str());
        }
    }
    Ident::new(&text, TokenSpan::call_site())
}

/// A function's name for an operator or form.
pub fn snake(prefix: &str, name: &str) -> Ident {
    format_ident!("{prefix}_{}", name.replace('.', "_"))
}

/// A local variable's name for a name of the specification (which may be a Rust keyword).
pub fn local(name: &str) -> Ident {
    format_ident!("v_{}", name.replace('.', "_"))
}

/// A condition code's name in Rust.
pub fn condition(name: &str) -> Ident {
    Ident::new(&name.to_uppercase(), TokenSpan::call_site())
}
