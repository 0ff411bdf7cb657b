//! Rules and their proofs, for use where `vwasm` itself cannot be built because a rule is not proved: the same as
//! `vwasm rules`.

use codegen_derive::prove::command::{Prove, explain, list, list_sandbox, prove};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: rules [--spec DIR] list [--sandbox | NAME…]
       rules [--spec DIR] prove [NAME…] [--all] [--solver NAME]… [--jobs N] [--limit SECONDS] [--no-mutants] [--check] [--install]
       rules [--spec DIR] explain NAME…
";

fn run(args: &[String]) -> Result<(), String> {
    let (mut spec, mut what) = (PathBuf::from("spec"), Prove::default());
    let mut words: Vec<String> = Vec::new();
    let mut sandbox = false;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n{USAGE}"));
        match arg.as_str() {
            "--spec" => spec = PathBuf::from(value()?),
            "--sandbox" => sandbox = true,
            "--all" => what.all = true,
            "--no-mutants" => what.no_mutants = true,
            "--check" => what.check = true,
            "--install" => what.install = true,
            "--solver" => what.solvers.push(value()?.clone()),
            "--jobs" => what.jobs = Some(value()?.parse().map_err(|error| format!("--jobs: {error}"))?),
            "--limit" => what.limit = Some(value()?.parse().map_err(|error| format!("--limit: {error}"))?),
            other if other.starts_with('-') => return Err(format!("unknown option {other}\n{USAGE}")),
            other => words.push(other.to_string()),
        }
    }
    let Some((command, names)) = words.split_first() else { return Err(USAGE.into()) };
    what.names = names.to_vec();
    match command.as_str() {
        "list" if sandbox => list_sandbox(&spec).map(|text| print!("{text}")),
        "list" => list(&spec, names).map(|text| print!("{text}")),
        "explain" => explain(&spec, names).map(|text| print!("{text}")),
        "prove" => prove(&spec, &what),
        _ => Err(USAGE.into()),
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}
