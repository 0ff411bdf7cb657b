//! Text to tree.
//!
//! Takes the files of a specification, gives the [`Spec`] with every expression's type still unknown, or all syntax
//! errors: after one, reading goes on at the next line that starts an item. The grammar is `spec.pest`; the files here
//! read off what it matched. Nothing recurses deeper than [`MOST_NESTED`], so later stages may recurse over the tree.

mod error;
mod expr;
mod fact;
mod item;
mod rule;

use crate::ast::*;
use crate::diagnostic::Diagnostic;
use pest::Parser;
use pest::iterators::Pair;
use std::cell::Cell;

#[derive(pest_derive::Parser)]
#[grammar = "spec.pest"]
struct SpecParser;

type P<'i> = Pair<'i, Rule>;
type Read<T> = Result<T, Diagnostic>;

/// How deep parentheses, patterns and nested instructions may go.
const MOST_NESTED: u32 = 64;
/// How many parts one expression may have.
const MOST_PARTS: u32 = 1000;
/// Errors reported for one file; after that many the rest are likely to be consequences.
const MOST_ERRORS: usize = 20;

/// The files and the errors in them.
pub type Failed = (Vec<(String, String)>, Vec<Diagnostic>);

/// Parses all files, given as (name, text), into one specification.
pub fn parse(files: Vec<(String, String)>) -> Result<Spec, Failed> {
    let mut spec = Spec::default();
    let mut errors = Vec::new();
    for (number, (_, text)) in files.iter().enumerate() {
        if u32::try_from(text.len()).is_err() {
            errors.push(Diagnostic::new(Span { file: number as u32, start: 0, end: 0 }, "this file is larger than 4 GiB"));
            continue;
        }
        let mut found = file(&mut spec, number as u32, text);
        found.truncate(MOST_ERRORS);
        errors.append(&mut found);
    }
    if errors.is_empty() {
        spec.files = files;
        Ok(spec)
    } else {
        Err((files, errors))
    }
}

/// Reads one file; after an error goes on at the next item.
fn file(spec: &mut Spec, number: u32, text: &str) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let mut start = 0;
    while errors.len() < MOST_ERRORS {
        let reader = Reader { file: number, base: start as u32, nested: Cell::new(0), parts: Cell::new(0) };
        match SpecParser::parse(Rule::file, &text[start..]) {
            Ok(pairs) => {
                for item in pairs.flat_map(|file| file.into_inner()) {
                    if let Err(error) = reader.item(spec, item) {
                        errors.push(error);
                    }
                }
                break;
            }
            Err(error) => {
                let error = reader.syntax_error(text, error);
                let at = error.span.start as usize;
                errors.push(error);
                match error::next_item(text, if at > start { at } else { at + 1 }) {
                    Some(next) => start = next,
                    None => break,
                }
            }
        }
    }
    errors
}

/// Reads what the grammar matched in one stretch of a file.
struct Reader {
    file: u32,
    /// Where the stretch begins.
    base: u32,
    nested: Cell<u32>,
    parts: Cell<u32>,
}

impl Reader {
    fn span(&self, pair: &P) -> Span {
        let span = pair.as_span();
        Span { file: self.file, start: self.base + span.start() as u32, end: self.base + span.end() as u32 }
    }

    fn name(&self, pair: &P) -> Name {
        Name { text: pair.as_str().to_string(), span: self.span(pair) }
    }

    /// Runs a reader of something that may contain its like.
    fn nest<T>(&self, span: Span, read: impl FnOnce() -> Read<T>) -> Read<T> {
        let depth = self.nested.get();
        if depth >= MOST_NESTED {
            return Err(Diagnostic::new(span, "this is nested too deeply")
                .help(format!("at most {MOST_NESTED} levels; use `let` or a function")));
        }
        self.nested.set(depth + 1);
        let result = read();
        self.nested.set(depth);
        result
    }
}

/// What a match consists of, punctuation and keywords left out.
fn parts<'i>(pair: P<'i>) -> impl Iterator<Item = P<'i>> {
    pair.into_inner().filter(|part| error::token(part.as_rule()).is_none())
}

/// The next part; an error, should the grammar and this reader ever disagree.
fn next<'i>(parts: &mut impl Iterator<Item = P<'i>>, within: Span) -> Read<P<'i>> {
    parts.next().ok_or_else(|| Diagnostic::new(within, "a part of this is missing"))
}

/// The one part of a match.
fn only<'i>(reader: &Reader, pair: P<'i>) -> Read<P<'i>> {
    let span = reader.span(&pair);
    next(&mut parts(pair), span)
}
