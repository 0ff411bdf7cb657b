//! Errors in a specification, shown as rustc shows its own.

use crate::ast::Span;
use std::fmt::Write;

/// An error with its place, other places involved, and advice.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub message: String,
    pub span: Span,
    /// Said under the caret.
    pub label: String,
    /// Other places, each with what it has to do with the error.
    pub others: Vec<(Span, String)>,
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn new(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { message: message.into(), span, label: String::new(), others: Vec::new(), help: None }
    }

    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    pub fn other(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.others.push((span, label.into()));
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

/// Line and column (from 1) of a byte offset.
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

/// The diagnostics as text, in order of place.
pub fn render(files: &[(String, String)], diagnostics: &[Diagnostic]) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| (diagnostic.span.file, diagnostic.span.start));
    let mut out = String::new();
    for diagnostic in sorted {
        let _ = writeln!(out, "error: {}", diagnostic.message);
        snippet(&mut out, files, diagnostic.span, &diagnostic.label, "-->", '^');
        for (span, label) in &diagnostic.others {
            snippet(&mut out, files, *span, label, ":::", '-');
        }
        if let Some(help) = &diagnostic.help {
            let _ = writeln!(out, "   = help: {help}");
        }
        out.push('\n');
    }
    let _ = match diagnostics.len() {
        1 => writeln!(out, "error: the specification has 1 error"),
        n => writeln!(out, "error: the specification has {n} errors"),
    };
    out
}

fn snippet(out: &mut String, files: &[(String, String)], span: Span, label: &str, arrow: &str, mark: char) {
    let Some((path, text)) = files.get(span.file as usize) else { return };
    let (line, column) = line_column(text, span.start as usize);
    let source = text.lines().nth(line - 1).unwrap_or("");
    let gutter = line.to_string().len();
    let pad = " ".repeat(gutter);
    let _ = writeln!(out, "{pad}{arrow} {path}:{line}:{column}");
    let _ = writeln!(out, "{pad} |");
    let _ = writeln!(out, "{line} | {}", source.replace('\t', " "));
    let rest = source.chars().count().saturating_sub(column - 1).max(1);
    let width = text.get(span.start as usize..span.end as usize).map_or(1, |marked| {
        marked.lines().next().map_or(1, |first| first.trim_end().chars().count())
    });
    let marks = mark.to_string().repeat(width.clamp(1, rest));
    let space = if label.is_empty() { "" } else { " " };
    let _ = writeln!(out, "{pad} | {}{marks}{space}{label}", " ".repeat(column - 1));
}

/// The candidate nearest to a misspelt name, if one is near.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|&(distance, _)| distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let next = if from == to { diagonal } else { 1 + diagonal.min(row[j]).min(row[j + 1]) };
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}
