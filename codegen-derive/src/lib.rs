//! The build-time generator: `spec/*.rules` to Rust.
//!
//! [`load`] parses and checks a specification; [`generate`] writes what the compiler is built from;
//! [`sandbox_layout`] gives the constants that compiler and runtime share. Stages: `parse`, `check`, `emit`.

pub mod ast;
pub mod check;
pub mod diagnostic;
pub mod emit;
pub mod parse;

use ast::Spec;
use std::path::{Path, PathBuf};

/// All `.rules` files below a directory, sorted, with paths as the user would name them.
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

fn read(directory: &Path) -> Result<Vec<(String, String)>, String> {
    let root = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let files = rule_files(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let shown = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
            Ok((format!("{root}/{shown}"), text))
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

/// Writes the generated Rust files into `out`.
pub fn generate(directory: &Path, out: &Path) -> Result<(), String> {
    let spec = load(directory)?;
    for (name, text) in emit::emit(&spec) {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The constants of `sandbox.rules` alone, as Rust.
pub fn sandbox_layout(directory: &Path) -> Result<String, String> {
    let path = directory.join("sandbox.rules");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let files = vec![("spec/sandbox.rules".to_string(), text)];
    let spec = parse::parse(files).map_err(|(files, errors)| diagnostic::render(&files, &errors))?;
    Ok(emit::layout(&spec))
}
