//! `vwasm run`: compiles, or finds in the cache, and runs.
//!
//! The program becomes the executable that `vwasm compile` would write, in memory, and this process becomes the program: so
//! it is confined like one. With `--invoke` the executable's manifest says what to call in place of the start.

use super::cache::{Cache, Key};
use super::imports::check_imports;
use super::options::{Grants, Target, grants, options};
use super::{Result, compile_file, in_file, named, read_module};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use vwasm::compile::Compiled;
use vwasm::error::{CompileError, ErrorKind};
use vwasm::module::Module;
use vwasm_runtime::launch::launch;
use vwasm_runtime::manifest::{Call, Manifest, ValueType};
use vwasm_runtime::shown::shown;

#[derive(Args)]
#[command(override_usage = "vwasm run [OPTIONS] <MODULE> [ARGUMENTS]...")]
pub struct RunArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    grants: Grants,
    /// Call this exported function instead of the program's start, with the arguments as numbers.
    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,
    /// Compile anew, and keep nothing.
    #[arg(long)]
    no_cache: bool,
    /// Say on standard error what became of the cache.
    #[arg(long, short)]
    verbose: bool,
    /// The module, binary (.wasm) or text (.wat); all that follows it is the program's, options included.
    // One list: with the arguments apart, the first of them would still be taken for an option of this command.
    #[arg(required = true, trailing_var_arg = true, value_name = "MODULE")]
    program: Vec<OsString>,
}

impl RunArgs {
    /// The module's file and the program's arguments.
    fn program(&self) -> (&Path, &[OsString]) {
        match self.program.split_first() {
            Some((module, arguments)) => (Path::new(module), arguments),
            None => (Path::new(""), &[]),
        }
    }
}

pub fn command(args: &RunArgs) -> Result<ExitCode> {
    let (path, arguments) = args.program();
    run(args, path, arguments).map_err(|error| in_file(path, error))
}

fn run(args: &RunArgs, path: &Path, arguments: &[OsString]) -> Result<ExitCode> {
    let bytes = read_module(path)?;
    let mut compiled = compiled(args, path, &bytes)?;
    compiled.manifest.grants = grants(&args.grants)?;
    let own = match &args.invoke {
        Some(name) => {
            compiled.manifest.grants.call = Some(call(&compiled.manifest, name, arguments)?);
            &[]
        }
        None => arguments,
    };
    let all = std::iter::once(path.as_os_str()).chain(own.iter().map(OsString::as_os_str));
    let all: Vec<Vec<u8>> = all.map(|argument| argument.as_bytes().to_vec()).collect();
    let executable = vwasm::image::executable(&compiled)?;
    drop(compiled);
    match launch(&executable, &all) {
        Ok(never) => match never {},
        Err(error) => {
            Err(CompileError::new(ErrorKind::Io, format!("the compiled program cannot be executed (errno {error})"))
                .hint("`vwasm compile` writes it to a file, which can be executed where files in memory cannot"))
        }
    }
}

/// The module compiled, from the cache if it is there.
fn compiled(args: &RunArgs, path: &Path, bytes: &[u8]) -> Result<Compiled> {
    let options = options(&args.target, args.grants.fuel.is_some())?;
    let say = |message: &str| {
        if args.verbose {
            eprintln!("cache: {message}");
        }
    };
    let cache = if args.no_cache { None } else { Cache::of_user() };
    let cache = cache.and_then(|cache| Some((cache, Key::new(bytes, &options)?)));
    if let Some((cache, key)) = &cache {
        match cache.load(key) {
            Ok(compiled) => {
                say(&format!("found in {}", cache.path().display()));
                return Ok(named(compiled, path));
            }
            Err(Some(reason)) => say(&format!("an entry is not used: {reason}")),
            Err(None) => {}
        }
    }
    let module = Module::decode(bytes)?;
    check_imports(&module)?;
    let compiled = compile_file(&module, &options)?;
    if let Some((cache, key)) = &cache {
        match cache.store(key, &compiled) {
            Ok(()) => say(&format!("kept in {}", cache.path().display())),
            Err(reason) => say(&format!("not kept: {reason}")),
        }
    }
    Ok(named(compiled, path))
}

/// The call that the arguments ask for.
fn call(manifest: &Manifest, name: &str, arguments: &[OsString]) -> Result<Call> {
    let unsupported = |message: String| CompileError::new(ErrorKind::Unsupported, message);
    let Some(ty) = manifest.exported_function(name) else {
        let names = manifest.exports.iter().take(50).map(|export| shown(&export.name)).collect::<Vec<_>>().join(", ");
        return Err(
            unsupported(format!("no exported function {}", shown(name))).hint(format!("the module exports: {names}"))
        );
    };
    if ty.params.len() != arguments.len() {
        return Err(unsupported(format!("{} takes {} arguments, {} given", shown(name), ty.params.len(), arguments.len())));
    }
    let arguments = ty.params.iter().zip(arguments).map(|(ty, text)| number(*ty, text)).collect::<Result<Vec<u64>>>()?;
    Ok(Call { export: name.to_string(), arguments })
}

fn number(ty: ValueType, text: &OsStr) -> Result<u64> {
    let text = text.to_string_lossy();
    let value = match ty {
        ValueType::I32 => {
            text.parse::<i32>().map(|v| u64::from(v as u32)).ok().or_else(|| text.parse::<u32>().map(u64::from).ok())
        }
        ValueType::I64 => text.parse::<i64>().map(|v| v as u64).ok().or_else(|| text.parse::<u64>().ok()),
        ValueType::F32 => text.parse::<f32>().map(|v| u64::from(v.to_bits())).ok(),
        ValueType::F64 => text.parse::<f64>().map(f64::to_bits).ok(),
        _ => None,
    };
    value.ok_or_else(|| CompileError::new(ErrorKind::Unsupported, format!("`{text}` is not a number of type {ty:?}")))
}
