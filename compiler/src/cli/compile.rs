//! `vwasm compile`: a module to a file, or to a listing of one of its stages.

use super::imports::check_imports;
use super::options::{Grants, Target, grants, options};
use super::{Result, compile_file, in_file, named, output, read_module};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use vwasm::compile::{Compiled, Options, conventions, inlined, select, translate};
use vwasm::module::Module;

#[derive(Args)]
pub struct CompileArgs {
    /// The module, binary (.wasm) or text (.wat); `-` reads standard input.
    module: PathBuf,
    /// Where to write [default: the module's name, without extension or with .o].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value = "exe")]
    emit: Emit,
    /// Leave out what serves only those who debug: the symbol table, and the source lines of backtraces.
    #[arg(long)]
    strip: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    grants: Grants,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// An executable.
    Exe,
    /// An object file, with a C header beside it: a library for C programs, to be linked with libvwasm_linked.a
    /// (cargo build --release -p vwasm-linked).
    Obj,
    /// Annotated machine code: Wasm offset, rule, instruction.
    Asm,
    /// The intermediate representation after simplification.
    Ir,
    /// Machine instructions before register allocation.
    Vcode,
}

pub fn command(args: &CompileArgs) -> Result<ExitCode> {
    write(args).map_err(|error| in_file(&args.module, error))?;
    Ok(ExitCode::SUCCESS)
}

fn write(args: &CompileArgs) -> Result<()> {
    let bytes = read_module(&args.module)?;
    let module = Module::decode(&bytes)?;
    let mut options = options(&args.target, args.grants.fuel.is_some())?;
    let text = match args.emit {
        Emit::Exe => {
            let path = output::file(&args.module, args.output.as_deref())?;
            check_imports(&module)?;
            let mut compiled = compile_with_grants(args, &module, &options)?;
            let image = if args.strip {
                let manifest = &mut compiled.manifest;
                (manifest.lines, manifest.line_count, manifest.inlined_count) = (Vec::new().into(), 0, 0);
                vwasm::image::without_symbols(&compiled)?
            } else {
                vwasm::image::executable(&compiled)?
            };
            return output::write(&[output::File { path: &path, bytes: &image, executable: true }]);
        }
        Emit::Obj => {
            let (path, header) = output::object(&args.module, args.output.as_deref())?;
            // What is linked with it may provide any imports.
            let object = vwasm::object::object(&compile_with_grants(args, &module, &options)?)?;
            return output::write(&[
                output::File { path: &header, bytes: object.header.as_bytes(), executable: false },
                output::File { path: &path, bytes: &object.file, executable: false },
            ]);
        }
        Emit::Ir => {
            let bodies = inlined(&module, &options);
            functions(&module, |number| Ok(translate(&module, &bodies, number, &options)?.to_string()))?
        }
        Emit::Vcode => {
            let (conventions, bodies) = (conventions(&module), inlined(&module, &options));
            functions(&module, |number| {
                let func = translate(&module, &bodies, number, &options)?;
                Ok(select(&module, &conventions, number, &func, &options)?.to_string())
            })?
        }
        Emit::Asm => {
            options.keep_origins = true;
            vwasm::listing::listing(&module, &compile_file(&module, &options)?)
        }
    };
    match &args.output {
        Some(path) => {
            let path = output::file(&args.module, Some(path))?;
            output::write(&[output::File { path: &path, bytes: text.as_bytes(), executable: false }])?;
        }
        None => {
            // A closed pipe ends the listing, quietly.
            let _ = std::io::stdout().write_all(text.as_bytes());
        }
    }
    Ok(())
}

/// The module compiled, with what the command grants it.
fn compile_with_grants(args: &CompileArgs, module: &Module<'_>, options: &Options) -> Result<Compiled> {
    let mut compiled = named(compile_file(module, options)?, &args.module);
    compiled.manifest.grants = grants(&args.grants)?;
    Ok(compiled)
}

/// A listing of each defined function.
fn functions(module: &Module<'_>, show: impl Fn(usize) -> Result<String>) -> Result<String> {
    let mut text = String::new();
    for number in 0..module.bodies.len() {
        text += &format!("function {}\n{}\n", module.imported_functions as usize + number, show(number)?);
    }
    Ok(text)
}
