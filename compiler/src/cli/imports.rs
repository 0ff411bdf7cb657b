//! What a program's imports need: all that nothing provides, at once, each with what it could be.

use super::Result;
use vwasm::error::{CompileError, ErrorKind};
use vwasm::module::{Import, ImportKind, Module};
use vwasm_runtime::manifest::{FunctionType, ValueType};
use vwasm_runtime::shown::shown;
use vwasm_runtime::wasi;

const WASI: &str = "wasi_snapshot_preview1";
/// Most imports that are listed.
const MOST: usize = 40;

fn type_list(types: &[ValueType]) -> String {
    let names: Vec<String> = types.iter().map(|ty| format!("{ty:?}").to_lowercase()).collect();
    names.join(" ")
}

fn type_text(ty: &FunctionType) -> String {
    format!("({}) -> ({})", type_list(&ty.params), type_list(&ty.results))
}

/// Edits between two names, to find what was meant.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (n, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], n + 1);
        for (m, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            let least = changed.min(row[m] + 1).min(row[m + 1] + 1);
            diagonal = std::mem::replace(&mut row[m + 1], least);
        }
    }
    row[b.len()]
}

/// Why nothing provides an import; None if something does.
fn missing(module: &Module<'_>, import: &Import) -> Option<String> {
    let ImportKind::Function(ty) = &import.kind else {
        return Some("memories, tables and globals of an executable must be its own".to_string());
    };
    if import.module != WASI && import.module != "wasi_unstable" {
        return Some(match import.module.as_str() {
            "env" => "a function that was declared but not defined when the module was linked".to_string(),
            _ => format!("an executable gets the functions of {WASI} only"),
        });
    }
    let ty = &module.types[*ty as usize];
    let ty = FunctionType { params: ty.params.clone(), results: ty.results.clone() };
    match wasi::type_of(&import.module, &import.name) {
        Some(known) if known == ty => None,
        Some(known) => Some(format!("has the type {}, should have {}", type_text(&ty), type_text(&known))),
        None => {
            let short = import.name.len() <= 64;
            let nearest =
                wasi::functions().map(|(name, _)| name).filter(|_| short).min_by_key(|name| distance(name, &import.name));
            let near = nearest.filter(|name| distance(name, &import.name) <= 4);
            Some(near.map_or("not a function of this interface".to_string(), |name| format!("is {name} meant?")))
        }
    }
}

/// Fails with all imports that nothing provides.
pub fn check_imports(module: &Module<'_>) -> Result<()> {
    let list: Vec<String> = module
        .imports
        .iter()
        .filter_map(|import| Some((import, missing(module, import)?)))
        .map(|(import, why)| format!("\n  {}.{}: {why}", shown(&import.module), shown(&import.name)))
        .collect();
    if list.is_empty() {
        return Ok(());
    }
    let more = list.len().saturating_sub(MOST);
    let rest = if more == 0 { String::new() } else { format!("\n  and {more} more") };
    let message = format!("nothing provides these imports:{}{rest}", list.into_iter().take(MOST).collect::<String>());
    Err(CompileError::new(ErrorKind::Unsupported, message))
}
