//! The build-time generator: `spec/*.rules` to Rust.
//!
//! [`load`] parses and checks a specification; [`generate`] writes what the compiler is built from, if `proofs.lock` says that
//! every rule is proved; [`sandbox_layout`] gives the constants that compiler and runtime share. Stages: `parse`, `check`,
//! `prove` (whose solvers are not needed to build), `emit`.
//! Errors come back as text, rendered like those of rustc, all of a run at once.

pub mod ast;
pub mod check;
pub mod coverage;
pub mod diagnostic;
pub mod emit;
pub mod parse;
pub mod prove;

use ast::Spec;
use std::path::{Path, PathBuf};

/// All `.rules` files below a directory, sorted.
pub fn rule_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rules") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The files of a specification, named as the user would: `spec/lower/integer.rules`.
fn read(directory: &Path) -> Result<Vec<(String, String)>, String> {
    let root = PathBuf::from(directory.file_name().unwrap_or_default());
    let files = rule_files(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    if files.is_empty() {
        return Err(format!("error: no `.rules` files in {}\n", directory.display()));
    }
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let shown = root.join(path.strip_prefix(directory).unwrap_or(&path));
            Ok((shown.display().to_string(), text))
        })
        .collect()
}

/// Parses and checks files given as (name, text); the error is the rendered diagnostics.
pub fn load_files(files: Vec<(String, String)>) -> Result<Spec, String> {
    let mut spec = parse::parse(files).map_err(|(files, errors)| diagnostic::render(&files, &errors))?;
    let errors = check::check(&mut spec);
    if errors.is_empty() { Ok(spec) } else { Err(diagnostic::render(&spec.files, &errors)) }
}

/// Parses and checks the specification in a directory.
pub fn load(directory: &Path) -> Result<Spec, String> {
    load_files(read(directory)?)
}

/// Set to 1, lets unproved rules into a build, which then says so wherever it says its version.
pub const UNPROVED: &str = "VWASM_UNPROVED";

/// What is said of rules without a proof: which, where, and how to prove them.
fn unproved(spec: &Spec, missing: &[(String, ast::Span, String)]) -> String {
    let mut rules: Vec<(&str, ast::Span, Vec<&str>)> = Vec::new();
    for (name, span, why) in missing {
        match rules.last_mut() {
            Some((last, _, reasons)) if last == name => reasons.push(why),
            _ => rules.push((name, *span, vec![why])),
        }
    }
    const SHOWN: usize = 10;
    let diagnostics: Vec<diagnostic::Diagnostic> = rules
        .iter()
        .take(SHOWN)
        .map(|(name, span, reasons)| {
            diagnostic::Diagnostic::new(*span, format!("`{name}` is not proved"))
                .label(reasons.join("; "))
                .help(format!("prove it: `cargo run --release -p codegen-derive --bin rules -- prove {name}`"))
        })
        .collect();
    let mut text = diagnostic::render(&spec.files, &diagnostics);
    if rules.len() > SHOWN {
        let prove = "`cargo run --release -p codegen-derive --bin rules -- prove`";
        text.push_str(&format!("error: {} more are not proved: {prove}\n", rules.len() - SHOWN));
    }
    text + &format!("note: {UNPROVED}=1 builds with them, and every output says so\n")
}

/// Writes the generated Rust files into `out`, if every rule is proved.
pub fn generate(directory: &Path, out: &Path) -> Result<(), String> {
    let spec = load(directory)?;
    let lock = prove::lock::Lock::read(&prove::lock::path(directory))?;
    let missing = prove::lock::unproved(&spec, &lock);
    if !missing.is_empty() && std::env::var(UNPROVED).as_deref() != Ok("1") {
        return Err(unproved(&spec, &missing));
    }
    let mut names: Vec<String> = missing.into_iter().map(|(name, ..)| name).collect();
    names.dedup();
    write(emit::emit(&spec, &names), out)
}

/// Writes what the sandbox checker is built from into `out`.
pub fn generate_checker(directory: &Path, out: &Path) -> Result<(), String> {
    write(emit::checker(&load(directory)?), out)
}

/// Writes `spec.hash`: a 64-bit FNV-1a hash of the names and texts of all files, which names a version of them.
pub fn specification_hash(directory: &Path, out: &Path) -> Result<(), String> {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for (name, text) in read(directory)? {
        for part in [name, text] {
            for byte in part.len().to_le_bytes().into_iter().chain(part.into_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
    write(vec![("spec.hash", format!("{hash:016x}"))], out)
}

fn write(files: Vec<(&'static str, String)>, out: &Path) -> Result<(), String> {
    for (name, text) in files {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// What each machine instruction does, as Rust for tests.
pub fn model(directory: &Path) -> Result<String, String> {
    Ok(emit::model(&load(directory)?))
}

/// The constants of `sandbox.rules` alone, as Rust.
pub fn sandbox_layout(directory: &Path) -> Result<String, String> {
    let path = directory.join("sandbox.rules");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let files = vec![("spec/sandbox.rules".to_string(), text)];
    let spec = parse::parse(files).map_err(|(files, errors)| diagnostic::render(&files, &errors))?;
    let mut errors = Vec::new();
    check::check_sandbox(&spec, &mut errors);
    if errors.is_empty() { Ok(emit::layout(&spec)) } else { Err(diagnostic::render(&spec.files, &errors)) }
}
