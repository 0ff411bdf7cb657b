//! The `vwasm` command: its grammar, and who does the work.
//!
//! A subcommand is a file in `cli/` with its options and a function `command`, a variant of [`Command`], and a line in `main`.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

mod cli;

const MORE: &str = "\
Examples:
  vwasm compile app.wasm -o app --dir data::/data    an executable that sees ./data as /data
  vwasm run app.wasm --flag file                     compile and run; what follows the module is the program's
  vwasm run --fuel 1000000000 app.wasm               end it after so many operators, the same on every machine
  vwasm run --invoke add app.wat 1 2                 call an exported function
  vwasm compile --emit asm app.wasm                  every instruction with its Wasm offset and rule
  vwasm compile --emit obj app.wasm                  app.o and app.h, to link with a C program

Exit status of `vwasm run` and of compiled executables:
  the program's own    it ended by itself
  134                  it trapped: `wasm trap: ...` and a backtrace on standard error
  1                    it could not be compiled or started
  2                    wrong usage of the command
Other subcommands: 0, or 1 and an error, or 2.";

/// WebAssembly to sandboxed x86-64 Linux executables, compiled by rules.
#[derive(Parser)]
#[command(version = cli::rules::VERSION.as_str(), max_term_width = 100, after_help = MORE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile a module to an executable that needs nothing else to run.
    Compile(cli::compile::CompileArgs),
    /// Compile a module, or find it in the cache, and run it.
    Run(cli::run::RunArgs),
    /// Check an executable, whoever wrote it: what it may do, and that it cannot leave its sandbox.
    Verify(cli::verify::VerifyArgs),
    /// What `run` keeps of the modules it has compiled.
    Cache(cli::cache::CacheArgs),
    /// Run official test scripts and count their assertions.
    Wast(cli::wast::WastArgs),
    /// The rules the compiler is made of, and their proofs.
    Rules(cli::rules::RulesArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Compile(args) => cli::compile::command(&args),
        Command::Run(args) => cli::run::command(&args),
        Command::Verify(args) => cli::verify::command(&args),
        Command::Cache(args) => cli::cache::command(&args),
        Command::Wast(args) => cli::wast::command(&args),
        Command::Rules(args) => cli::rules::command(args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        if let Some(hint) = error.hint {
            eprintln!("  help: {hint}");
        }
        ExitCode::FAILURE
    })
}
