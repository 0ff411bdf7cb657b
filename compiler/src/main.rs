//! The `vwasm` command.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use vwasm::compile::{Compiled, Options, compile, conventions, inlined, select, translate};
use vwasm::error::{CompileError, ErrorKind};
use vwasm::machine::CpuFeatures;
use vwasm::module::Module;
use vwasm_runtime::instance::InstantiateError;
use vwasm_runtime::interrupt::Deadline;
use vwasm_runtime::manifest::ValueType;
use vwasm_runtime::shown::shown;
use vwasm_runtime::store::{self, Extern, Store};
use vwasm_runtime::trap::{Trap, TrapKind};
use vwasm_runtime::wasi::{self, Wasi};

mod imports;
mod output;

use imports::check_imports;
use output::write_file;

const MORE: &str = "\
Examples:
  vwasm compile app.wasm -o app --dir data::/data    an executable that sees ./data as /data
  vwasm run app.wasm --flag file                     compile and run; what follows the module is the program's
  vwasm run --invoke add app.wat 1 2                 call an exported function
  vwasm compile --emit asm app.wasm                  every instruction with its Wasm offset and rule

Exit status, of `vwasm run` and of compiled executables:
  the program's own    it ended by itself
  134                  it trapped: `wasm trap: ...` and a backtrace on standard error
  1                    it could not be compiled or started
  2                    wrong usage of the command";

/// WebAssembly to sandboxed x86-64 Linux executables, compiled by rules.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = MORE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile a module to an executable that needs nothing else to run.
    Compile(CompileArgs),
    /// Compile a module in memory and run it.
    Run(RunArgs),
    /// Check an executable, whoever wrote it: what it may do, and that it cannot leave its sandbox.
    Verify(VerifyArgs),
    /// Run official test scripts and count their assertions.
    Wast(WastArgs),
}

#[derive(Args)]
struct Target {
    /// CPU to compile for; checked when the program starts.
    #[arg(long, value_enum, default_value = "x86-64-v3")]
    cpu: Cpu,
    /// Threads to compile with [default: one for each core].
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Cpu {
    #[value(name = "x86-64-v2")]
    V2,
    #[value(name = "x86-64-v3")]
    V3,
    #[value(name = "x86-64-v4")]
    V4,
    Native,
}

#[derive(Args)]
struct Grants {
    /// Give the program a directory, under the same or another name. May be repeated.
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    directories: Vec<String>,
    /// Set an environment variable for the program; a name alone takes its value from here. May be repeated.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    environment: Vec<String>,
    /// Most memory the program may use, in bytes or with a unit (KiB, MiB, GiB); whole pages of 64 KiB count.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory: Option<u64>,
    /// Stack for the program, 64KiB to 4GiB.
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = stack_size)]
    stack_size: u64,
    /// Most elements of each of the program's tables.
    #[arg(long, value_name = "N")]
    max_table_elements: Option<u32>,
    /// Most files the program may have open at a time, standard streams and granted directories included.
    #[arg(long, value_name = "N")]
    max_open_files: Option<u32>,
    /// Most bytes the program may write, to files and streams together.
    #[arg(long, value_name = "BYTES")]
    max_output: Option<u64>,
    /// Seconds after which the program ends with a trap.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Give the program a socket that it is started with, by its descriptor. May be repeated.
    #[arg(long = "socket", value_name = "FD")]
    sockets: Vec<u32>,
}

#[derive(Args)]
struct CompileArgs {
    /// The module, binary (.wasm) or text (.wat); `-` reads standard input.
    module: PathBuf,
    /// Where to write [default: the module's name without its extension].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value = "exe")]
    emit: Emit,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    grants: Grants,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// An executable.
    Exe,
    /// Annotated machine code: Wasm offset, rule, instruction.
    Asm,
    /// The intermediate representation after simplification.
    Ir,
    /// Machine instructions before register allocation.
    Vcode,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    grants: Grants,
    /// Call this exported function instead of the program's start, with the arguments as numbers.
    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,
    /// The module, binary (.wasm) or text (.wat).
    module: PathBuf,
    /// Arguments for the program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Args)]
struct VerifyArgs {
    /// Say how fast the checker was.
    #[arg(long)]
    time: bool,
    /// The executable.
    executable: PathBuf,
}

#[derive(Args)]
struct WastArgs {
    #[command(flatten)]
    target: Target,
    /// Scripts (.wast).
    #[arg(required = true)]
    scripts: Vec<PathBuf>,
}

/// Status after a trap, as for a process ended by SIGABRT.
const TRAPPED: u8 = 134;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Compile(args) => compile_command(&args).map_err(|error| in_file(&args.module, error)),
        Command::Run(args) => run_command(&args).map_err(|error| in_file(&args.module, error)),
        Command::Verify(args) => verify_command(&args).map_err(|error| in_file(&args.executable, error)),
        Command::Wast(args) => wast_command(&args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        if let Some(hint) = error.hint {
            eprintln!("  help: {hint}");
        }
        ExitCode::FAILURE
    })
}

type Result<T> = std::result::Result<T, CompileError>;

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

fn options(target: &Target) -> Result<Options> {
    if let Some(jobs) = target.jobs {
        // A second call would find the pool built already; one command makes one.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(usize::from(jobs)).build_global();
    }
    let cpu = match target.cpu {
        Cpu::V2 => CpuFeatures::V2,
        Cpu::V3 | Cpu::V4 => CpuFeatures::V3,
        Cpu::Native => CpuFeatures(vwasm_runtime::cpu::features()),
    };
    Ok(Options { cpu, ..Options::default() })
}

fn directory(text: &str) -> (String, String) {
    match text.split_once("::") {
        Some((host, guest)) => (host.to_string(), guest.to_string()),
        None => (text.to_string(), text.to_string()),
    }
}

/// A number of bytes, with or without a unit.
fn size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        unit => return Err(format!("`{unit}` is not a unit; use KiB, MiB or GiB")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is not a whole number"))?;
    number.checked_mul(1 << shift).ok_or_else(|| "more than 64 bits can count".to_string())
}

fn stack_size(text: &str) -> std::result::Result<u64, String> {
    let bytes = size(text)?;
    let allowed = 64 << 10..=vwasm_runtime::manifest::MAX_STACK;
    if allowed.contains(&bytes) { Ok(bytes) } else { Err("a stack has 64KiB to 4GiB".to_string()) }
}

/// The grants as the manifest holds them.
fn grants(grants: &Grants) -> Result<vwasm_runtime::manifest::Grants> {
    let environment = grants.environment.iter().filter_map(|text| match text.split_once('=') {
        Some((name, value)) => Some((name.to_string(), value.to_string())),
        None => Some((text.clone(), std::env::var(text).ok()?)),
    });
    Ok(vwasm_runtime::manifest::Grants {
        directories: grants.directories.iter().map(|text| directory(text)).collect(),
        environment: environment.collect(),
        max_memory_pages: grants.max_memory.map(|bytes| (bytes >> 16).min(1 << 16) as u32),
        stack_size: grants.stack_size,
        sockets: grants.sockets.clone(),
        max_table_elements: grants.max_table_elements,
        max_open_files: grants.max_open_files,
        max_output: grants.max_output,
        timeout: grants.timeout.map(|seconds| (seconds * 1000.0) as u64),
    })
}

fn compile_with_progress(module: &Module<'_>, options: &Options) -> Result<Compiled> {
    let total = module.bodies.len();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let shown = total > 2000 && std::io::stderr().is_terminal();
    let compiled = compile(module, options, &|| {
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

fn compile_command(args: &CompileArgs) -> Result<ExitCode> {
    let bytes = read_module(&args.module)?;
    let module = Module::decode(&bytes)?;
    let mut options = options(&args.target)?;
    let text = match args.emit {
        Emit::Exe => {
            output::name(&args.module, args.output.as_deref())?;
            check_imports(&module)?;
            let mut compiled = compile_with_progress(&module, &options)?;
            compiled.manifest.grants = grants(&args.grants)?;
            if compiled.manifest.name.is_empty() {
                compiled.manifest.name = args.module.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            }
            let image = vwasm::image::executable(&compiled)?;
            write_file(&output::name(&args.module, args.output.as_deref())?, &image, true)?;
            return Ok(ExitCode::SUCCESS);
        }
        Emit::Ir => {
            let bodies = inlined(&module, &options);
            let mut text = String::new();
            for number in 0..module.bodies.len() {
                text += &format!(
                    "function {}\n{}\n",
                    module.imported_functions as usize + number,
                    translate(&module, &bodies, number, &options)?
                );
            }
            text
        }
        Emit::Vcode => {
            let (conventions, bodies) = (conventions(&module), inlined(&module, &options));
            let mut text = String::new();
            for number in 0..module.bodies.len() {
                let func = translate(&module, &bodies, number, &options)?;
                let code = select(&module, &conventions, number, &func, &options)?;
                text += &format!("function {}\n{code}\n", module.imported_functions as usize + number);
            }
            text
        }
        Emit::Asm => {
            options.keep_origins = true;
            vwasm::listing::listing(&module, &compile_with_progress(&module, &options)?)
        }
    };
    match &args.output {
        Some(output) => write_file(output, text.as_bytes(), false)?,
        None => {
            // A closed pipe ends the listing, quietly.
            let _ = std::io::stdout().write_all(text.as_bytes());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn resources(what: &str, error: i32) -> CompileError {
    CompileError::new(ErrorKind::Limit, format!("{what}: the system refused (error {error})"))
}

fn run_command(args: &RunArgs) -> Result<ExitCode> {
    let bytes = read_module(&args.module)?;
    let module = Module::decode(&bytes)?;
    check_imports(&module)?;
    let mut compiled = compile_with_progress(&module, &options(&args.target)?)?;
    if compiled.manifest.name.is_empty() {
        compiled.manifest.name = args.module.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    }
    let grants = grants(&args.grants)?;
    let loaded = store::Module::load(compiled.manifest, &compiled.code, &compiled.data);
    let loaded = Rc::new(loaded.map_err(|error| resources("memory for the code", error))?);
    let mut store = Store::new(store::Config::new(&grants)).map_err(|error| resources("address space", error))?;
    let mut arguments = vec![args.module.to_string_lossy().into_owned().into_bytes()];
    if args.invoke.is_none() {
        arguments.extend(args.args.iter().map(|arg| arg.clone().into_bytes()));
    }
    let timeout = grants.timeout;
    let trace = std::env::var_os("VWASM_TRACE").is_some_and(|value| value == "wasi");
    let wasi = Wasi::new(&wasi::Config { arguments, grants, trace })
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
    let outcome = run_instance(args, &mut store, &loaded, &imports)?;
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
    args: &RunArgs,
    store: &mut Store,
    module: &Rc<store::Module>,
    imports: &[Extern],
) -> Result<std::result::Result<(), Trap>> {
    let instance = match store.instantiate(module, imports) {
        Ok(instance) => instance,
        Err(InstantiateError::Trap(trap)) => return Ok(Err(trap)),
        Err(InstantiateError::Link(message) | InstantiateError::Resources(message)) => {
            return Err(CompileError::new(ErrorKind::Limit, message));
        }
    };
    let name = args.invoke.as_deref().unwrap_or("_start");
    let Some(Extern::Function(function)) = store.export(instance, name) else {
        if args.invoke.is_none() {
            return Ok(Ok(()));
        }
        let names = store.export_names(instance).iter().take(50).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
        return Err(CompileError::new(ErrorKind::Unsupported, format!("no exported function {}", shown(name)))
            .hint(format!("the module exports: {names}")));
    };
    let ty = store.function_type(function).cloned().unwrap_or_default();
    if args.invoke.is_none() {
        return Ok(store.invoke(function, &[], &mut []));
    }
    if ty.params.len() != args.args.len() {
        let message = format!("{name} takes {} arguments, {} given", ty.params.len(), args.args.len());
        return Err(CompileError::new(ErrorKind::Unsupported, message));
    }
    let values = ty.params.iter().zip(&args.args).map(|(ty, text)| number(*ty, text)).collect::<Result<Vec<u64>>>()?;
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

fn number(ty: ValueType, text: &str) -> Result<u64> {
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

fn verify_command(args: &VerifyArgs) -> Result<ExitCode> {
    let file = std::fs::read(&args.executable).map_err(|error| io_error(&args.executable, error))?;
    let start = std::time::Instant::now();
    let verified = vwasm::verify::executable(&file)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{verified}");
    if args.time {
        let rate = verified.code_length as f64 / seconds / 1e6;
        println!("time {:.1} ms, {rate:.0} MB of code a second", seconds * 1e3);
    }
    Ok(ExitCode::SUCCESS)
}

fn wast_command(args: &WastArgs) -> Result<ExitCode> {
    let options = options(&args.target)?;
    let (mut passed, mut failed) = (0, 0);
    for script in &args.scripts {
        let text = std::fs::read_to_string(script).map_err(|error| io_error(script, error))?;
        match vwasm::script::run(&text, vwasm::module::features(), &options) {
            Ok(report) => {
                passed += report.passed;
                failed += report.failures.len();
                for (line, message) in report.failures {
                    println!("{}:{line}: {message}", script.display());
                }
            }
            Err(message) => {
                failed += 1;
                println!("{}: {message}", script.display());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
