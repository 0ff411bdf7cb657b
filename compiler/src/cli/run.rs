//! `vwasm run`: compiles in memory and executes, in this process.

use super::imports::check_imports;
use super::options::{Grants, Target, grants, options};
use super::{Result, compile_file, in_file, read_module};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use vwasm::error::{CompileError, ErrorKind};
use vwasm::module::Module;
use vwasm_runtime::instance::InstantiateError;
use vwasm_runtime::interrupt::Deadline;
use vwasm_runtime::manifest::ValueType;
use vwasm_runtime::shown::shown;
use vwasm_runtime::store::{self, Extern, Store};
use vwasm_runtime::trap::{Trap, TrapKind};
use vwasm_runtime::wasi::{self, Wasi};

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

/// Status after a trap, as for a process ended by SIGABRT.
const TRAPPED: u8 = 134;

fn resources(what: &str, error: i32) -> CompileError {
    CompileError::new(ErrorKind::Limit, format!("{what}: the system refused (error {error})"))
}

pub fn command(args: &RunArgs) -> Result<ExitCode> {
    let (path, arguments) = args.program();
    run(args, path, arguments).map_err(|error| in_file(path, error))
}

fn run(args: &RunArgs, path: &Path, arguments: &[OsString]) -> Result<ExitCode> {
    let bytes = read_module(path)?;
    let module = Module::decode(&bytes)?;
    check_imports(&module)?;
    let compiled = compile_file(path, &module, &options(&args.target)?)?;
    let grants = grants(&args.grants)?;
    let loaded = store::Module::load(compiled.manifest, &compiled.code, &compiled.data);
    let loaded = Arc::new(loaded.map_err(|error| resources("memory for the code", error))?);
    let mut store = Store::new(store::Config::new(&grants)).map_err(|error| resources("address space", error))?;
    let own = if args.invoke.is_none() { arguments } else { &[] };
    let all = std::iter::once(path.as_os_str()).chain(own.iter().map(OsString::as_os_str));
    let all = all.map(|argument| argument.as_bytes().to_vec()).collect();
    let timeout = grants.timeout;
    let trace = std::env::var_os("VWASM_TRACE").is_some_and(|value| value == "wasi");
    let wasi = Wasi::new(&wasi::Config { arguments: all, grants, trace })
        .map_err(|(granted, error)| CompileError::new(ErrorKind::Io, format!("{granted} cannot be had (errno {error})")))?;
    let mut imports = Vec::new();
    for import in &loaded.manifest.imports {
        let function = Wasi::function(&wasi, &mut store, &import.module, &import.name)
            .ok_or_else(|| resources("function records", 12))?;
        imports.push(Extern::Function(function));
    }
    let _deadline = match timeout {
        Some(timeout) => Some(Deadline::start(timeout).map_err(|error| resources("a timer", error))?),
        None => None,
    };
    let outcome = run_instance(args.invoke.as_deref(), arguments, &mut store, &loaded, &imports)?;
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Trap { kind: TrapKind::Exit(status), .. }) => Ok(ExitCode::from(status as u8)),
        Err(trap) => {
            eprint!("error: {}", trap.report());
            Ok(ExitCode::from(TRAPPED))
        }
    }
}

fn run_instance(
    invoke: Option<&str>,
    arguments: &[OsString],
    store: &mut Store,
    module: &Arc<store::Module>,
    imports: &[Extern],
) -> Result<std::result::Result<(), Trap>> {
    let instance = match store.instantiate(module, imports) {
        Ok(instance) => instance,
        Err(InstantiateError::Trap(trap)) => return Ok(Err(trap)),
        Err(InstantiateError::Link(message) | InstantiateError::Resources(message)) => {
            return Err(CompileError::new(ErrorKind::Limit, message));
        }
    };
    let name = invoke.unwrap_or("_start");
    let Some(Extern::Function(function)) = store.export(instance, name) else {
        if invoke.is_none() {
            return Ok(Ok(()));
        }
        let names = store.export_names(instance).iter().take(50).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
        return Err(CompileError::new(ErrorKind::Unsupported, format!("no exported function {}", shown(name)))
            .hint(format!("the module exports: {names}")));
    };
    let ty = store.function_type(function).cloned().unwrap_or_default();
    if invoke.is_none() {
        return Ok(store.invoke(function, &[], &mut []));
    }
    if ty.params.len() != arguments.len() {
        let message = format!("{name} takes {} arguments, {} given", ty.params.len(), arguments.len());
        return Err(CompileError::new(ErrorKind::Unsupported, message));
    }
    let values = ty.params.iter().zip(arguments).map(|(ty, text)| number(*ty, text)).collect::<Result<Vec<u64>>>()?;
    let mut results = vec![0; ty.results.len()];
    let outcome = store.invoke(function, &values, &mut results);
    if outcome.is_ok() {
        for (ty, value) in ty.results.iter().zip(results) {
            match ty {
                ValueType::I32 => println!("{}", value as i32),
                ValueType::I64 => println!("{}", value as i64),
                ValueType::F32 => println!("{}", f32::from_bits(value as u32)),
                ValueType::F64 => println!("{}", f64::from_bits(value)),
                _ => println!("reference {value}"),
            }
        }
    }
    Ok(outcome)
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
