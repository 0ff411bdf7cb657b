//! The subcommands, a file each: its options and what it does. What they share stands here and in `options`.

use std::io::IsTerminal;
use std::path::Path;
use vwasm::compile::{self as pipeline, Compiled, Options};
use vwasm::error::{CompileError, ErrorKind};
use vwasm::module::Module;
use vwasm_runtime::shown::shown;

pub mod cache;
pub mod compile;
mod imports;
mod options;
mod output;
pub mod rules;
pub mod run;
pub mod verify;
pub mod wast;

pub type Result<T> = std::result::Result<T, CompileError>;

/// Says which module an error is about, unless it is about another file.
fn in_file(module: &Path, mut error: CompileError) -> CompileError {
    if error.kind != ErrorKind::Io {
        error.file = Some(shown(&module.display().to_string()));
    }
    error
}

fn io_error(path: &Path, error: std::io::Error) -> CompileError {
    CompileError::new(ErrorKind::Io, format!("{}: {error}", path.display()))
}

/// Reads a module; text becomes binary.
fn read_module(path: &Path) -> Result<Vec<u8>> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).map_err(|error| io_error(path, error))?;
        bytes
    } else {
        std::fs::read(path).map_err(|error| io_error(path, error))?
    };
    if bytes.starts_with(b"\0asm") || path.extension().is_some_and(|extension| extension == "wasm") {
        return Ok(bytes);
    }
    wat::parse_bytes(&bytes)
        .map(|bytes| bytes.into_owned())
        .map_err(|error| CompileError::new(ErrorKind::Malformed, format!("{}: {error}", path.display())))
}

/// Compiles a module, and says how far it is if that takes long.
fn compile_file(module: &Module<'_>, options: &Options) -> Result<Compiled> {
    let total = module.bodies.len();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let shown = total > 2000 && std::io::stderr().is_terminal();
    let compiled = pipeline::compile(module, options, &|| {
        let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        if shown && done.is_multiple_of(256) {
            eprint!("\rcompiling: {done} of {total} functions");
        }
    });
    if shown {
        eprint!("\r{:60}\r", "");
    }
    compiled
}

/// A nameless module gets the name of its file.
fn named(mut compiled: Compiled, path: &Path) -> Compiled {
    if compiled.manifest.name.is_empty() {
        compiled.manifest.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    }
    compiled
}
