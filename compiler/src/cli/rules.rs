//! `vwasm rules`: the rules and their proofs; and the version, which says if a rule was let in without one.

use clap::{Args, Subcommand};
use codegen_derive::prove::command;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use vwasm::lower::rules::UNPROVED;

/// The version, and what is not proved in it.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION").to_string();
    match UNPROVED {
        [] => version,
        [one] => format!("{version} UNPROVED (1 rule: {one})"),
        [one, ..] => format!("{version} UNPROVED ({} rules, {one} among them)", UNPROVED.len()),
    }
});

#[derive(Args)]
pub struct RulesArgs {
    /// Directory of the specification.
    #[arg(long, value_name = "DIR", default_value = "spec", global = true)]
    spec: PathBuf,
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Subcommand)]
enum RulesCommand {
    /// All rules with place and state, then what is trusted.
    List {
        /// Rules (`i32.add/add`) or operators (`i32.add`) [default: all].
        #[arg(conflicts_with = "sandbox")]
        names: Vec<String>,
        /// The sandbox checker's facts, tables and instructions instead.
        #[arg(long)]
        sandbox: bool,
    },
    /// Prove what is not proved, with SMT solvers, and write spec/proofs.lock.
    Prove(ProveArgs),
    /// A rule, its operator, its instructions, what is proved and by whom.
    Explain {
        /// Rules or operators.
        #[arg(required = true)]
        names: Vec<String>,
    },
}

#[derive(Args)]
struct ProveArgs {
    /// Rules (`i32.add/add`) or operators (`i32.add`) [default: all].
    names: Vec<String>,
    /// Also what is proved already.
    #[arg(long)]
    all: bool,
    /// Use only these of z3, bitwuzla, cvc5. May be repeated.
    #[arg(long = "solver", value_name = "NAME")]
    solvers: Vec<String>,
    /// Solvers to run at once [default: one for each core].
    #[arg(long, short = 'j', value_name = "N")]
    jobs: Option<usize>,
    /// Longest time for one answer.
    #[arg(long, value_name = "SECONDS")]
    limit: Option<u64>,
    /// Leave the rules' mutants alone.
    #[arg(long)]
    no_mutants: bool,
    /// Prove from nothing and compare with spec/proofs.lock, which stays as it is: finds lines that were not earned.
    #[arg(long)]
    check: bool,
    /// Install the solvers first (a Python environment in target/solvers, or in $VWASM_SOLVERS).
    #[arg(long)]
    install: bool,
}

pub fn command(args: RulesArgs) -> ExitCode {
    let done = match args.command {
        RulesCommand::List { sandbox: true, .. } => command::list_sandbox(&args.spec).map(|text| print!("{text}")),
        RulesCommand::List { names, .. } => command::list(&args.spec, &names).map(|text| print!("{text}")),
        RulesCommand::Explain { names } => command::explain(&args.spec, &names).map(|text| print!("{text}")),
        RulesCommand::Prove(ProveArgs { names, all, solvers, jobs, limit, no_mutants, check, install }) => {
            let what = command::Prove { names, all, solvers, jobs, limit, no_mutants, check, install };
            command::prove(&args.spec, &what)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}
