//! Errors in a specification, shown as rustc shows its own.
//!
//! A [`Diagnostic`] has one place that is wrong, perhaps other places involved, perhaps advice. [`render`] prints all of
//! a run, ordered by place: message, place, the lines concerned with carets under them, advice.

use crate::ast::{Name, Span};
use std::collections::BTreeMap;
use std::fmt::Write;

/// An error with its place, other places involved, and advice.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// A name that stands for nothing; `candidates` are the names that could have been meant.
    pub fn unknown<'a>(what: &str, name: &Name, candidates: impl Iterator<Item = &'a str>) -> Diagnostic {
        let error = Diagnostic::new(name.span, format!("unknown {what} `{}`", name.text)).label("not found");
        match nearest(&name.text, candidates) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        }
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

/// Line and column (from 1, in characters) of a byte offset.
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

/// The diagnostics as text, in order of place, and how many they are.
pub fn render(files: &[(String, String)], diagnostics: &[Diagnostic]) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| (diagnostic.span.file, diagnostic.span.start, &diagnostic.message));
    sorted.dedup();
    let mut out = String::new();
    for diagnostic in &sorted {
        one(&mut out, files, diagnostic);
        out.push('\n');
    }
    let _ = match sorted.len() {
        1 => writeln!(out, "error: the specification has 1 error"),
        n => writeln!(out, "error: the specification has {n} errors"),
    };
    out
}

/// Characters shown of one line.
const MOST_SHOWN: usize = 180;

/// A marked part of a line.
struct Mark<'a> {
    column: usize,
    width: usize,
    sign: char,
    label: &'a str,
}

fn one(out: &mut String, files: &[(String, String)], diagnostic: &Diagnostic) {
    let _ = writeln!(out, "error: {}", diagnostic.message);
    // For each file concerned the marks by line; the file of the error itself comes first.
    let mut places: BTreeMap<(bool, u32), BTreeMap<usize, Vec<Mark>>> = BTreeMap::new();
    let mut note = |span: Span, label, sign| {
        let Some((_, text)) = files.get(span.file as usize) else { return };
        let (line, column) = line_column(text, span.start as usize);
        let source = text.lines().nth(line - 1).unwrap_or("");
        let marked = text.get(span.start as usize..span.end as usize).and_then(|marked| marked.lines().next()).unwrap_or("");
        let rest = (source.chars().count() + 1).saturating_sub(column).max(1);
        let width = marked.trim_end().chars().count().clamp(1, rest);
        let key = (span.file != diagnostic.span.file, span.file);
        places.entry(key).or_default().entry(line).or_default().push(Mark { column, width, sign, label });
    };
    note(diagnostic.span, &diagnostic.label, '^');
    for (span, label) in &diagnostic.others {
        note(*span, label, '-');
    }
    let widest = places.values().filter_map(|lines| lines.keys().next_back()).max().map_or(1, |line| line.to_string().len());
    let pad = " ".repeat(widest);
    for ((elsewhere, file), lines) in &mut places {
        let Some((path, text)) = files.get(*file as usize) else { continue };
        let first = if *elsewhere { None } else { Some(line_column(text, diagnostic.span.start as usize)) };
        let (line, column) = first.unwrap_or_else(|| {
            let (line, marks) = lines.first_key_value().map_or((1, 1), |(line, marks)| (*line, marks[0].column));
            (line, marks)
        });
        let arrow = if *elsewhere { ":::" } else { "-->" };
        let _ = writeln!(out, "{pad}{arrow} {path}:{line}:{column}");
        let _ = writeln!(out, "{pad} |");
        let mut previous = None;
        for (line, marks) in lines {
            if previous.is_some_and(|previous| previous + 1 < *line) {
                let _ = writeln!(out, "...");
            }
            previous = Some(*line);
            // Of a long line only the surroundings of its marks are shown.
            let source = text.lines().nth(line - 1).unwrap_or("").replace('\t', " ");
            let leftmost = marks.iter().map(|mark| mark.column).min().unwrap_or(1);
            let cut = if source.chars().count() > MOST_SHOWN { leftmost.saturating_sub(MOST_SHOWN / 2) } else { 0 };
            let shown: String = source.chars().skip(cut).take(MOST_SHOWN).collect();
            let _ = writeln!(out, "{line:>widest$} | {shown}");
            marks.sort_by_key(|mark| std::cmp::Reverse(mark.column));
            for mark in marks {
                let column = (mark.column - 1 - cut).min(MOST_SHOWN);
                let signs = mark.sign.to_string().repeat(mark.width.min(MOST_SHOWN - column).max(1));
                let _ = writeln!(out, "{}", format!("{pad} | {}{signs} {}", " ".repeat(column), mark.label).trim_end());
            }
        }
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "{pad} |");
        let _ = writeln!(out, "{pad} = help: {help}");
    }
}

/// The candidate nearest to a misspelt name, if one is near.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|&(distance, _)| distance < length && distance <= length.max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance: insertions, deletions, replacements, exchanges of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(from != to)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *to && *from == b[j - 1] {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
