//! `vwasm rules`: the rules and their proofs; and the version, which says if a rule was let in without one.

use super::options::{Target, options};
use super::{Result, in_file, read_module};
use clap::{Args, Subcommand};
use codegen_derive::prove::command;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use vwasm::compile::inlined;
use vwasm::cover::{Coverage, LEVELS};
use vwasm::error::{CompileError, ErrorKind};
use vwasm::lower::rules::{RULES, UNPROVED};
use vwasm::module::{Entity, Module};
use vwasm::{verify, why};

/// The version, and what is not proved in it.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION").to_string();
    match verify::unproved(UNPROVED) {
        None => version,
        Some(unproved) => format!("{version}\n{unproved}"),
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
    /// How often each rule fires when a corpus is compiled, for x86-64-v2 and x86-64-v3. Nothing is run.
    #[command(after_help = COVER)]
    Cover(CoverArgs),
    /// Why a function is compiled as it is: the rules taken, those passed over, and which premise of each failed first.
    #[command(after_help = WHY)]
    Why(WhyArgs),
}

const COVER: &str = "\
Examples:
  vwasm rules cover app.wasm             each rule with its counts, then a summary
  vwasm rules cover tests --never        the rules that no module below tests/ makes fire
  vwasm rules cover app.wasm --rule i32.add --rule addr/own";

const WHY: &str = "\
Examples:
  vwasm rules why app.wat f              function f, by its export, its name or its index
  vwasm rules why app.wat 3@0x41         only what is made of the operator at this offset in the module

`compile --emit asm` shows the offset of each instruction. `=>` is the rule taken, `not` one passed over, with the first of its
premises that failed; `:12` is a line of the same block's file.";

#[derive(Args)]
struct CoverArgs {
    /// Modules (.wasm, .wat), scripts (.wast), or directories of them.
    #[arg(required = true)]
    corpus: Vec<PathBuf>,
    /// Only the rules that never fire.
    #[arg(long)]
    never: bool,
    /// Only these rules (`i32.add/add`) or operators (`i32.add`). May be repeated.
    #[arg(long = "rule", value_name = "NAME")]
    rules: Vec<String>,
    /// Say what was left out, and why.
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Args)]
struct WhyArgs {
    /// The module, binary (.wasm) or text (.wat); `-` reads standard input.
    module: PathBuf,
    /// A function by export, name or index, and perhaps the offset of an operator in the module.
    #[arg(value_name = "FUNC[@OFFSET]")]
    function: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
struct ProveArgs {
    /// Rules (`i32.add/add`) or operators (`i32.add`) [default: all].
    names: Vec<String>,
    /// Also what is proved already.
    #[arg(long)]
    all: bool,
    /// Use only these of z3, bitwuzla, cvc5, and builtin, which needs no installation. May be repeated.
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

pub fn command(args: RulesArgs) -> Result<ExitCode> {
    let done = match args.command {
        RulesCommand::List { sandbox: true, .. } => command::list_sandbox(&args.spec).map(|text| print!("{text}")),
        RulesCommand::List { names, .. } => command::list(&args.spec, &names).map(|text| print!("{text}")),
        RulesCommand::Explain { names } => command::explain(&args.spec, &names).map(|text| print!("{text}")),
        RulesCommand::Prove(ProveArgs { names, all, solvers, jobs, limit, no_mutants, check, install }) => {
            let what = command::Prove { names, all, solvers, jobs, limit, no_mutants, check, install };
            command::prove(&args.spec, &what)
        }
        RulesCommand::Cover(args) => cover(&args),
        RulesCommand::Why(args) => {
            why(&args).map_err(|error| in_file(&args.module, error))?;
            Ok(())
        }
    };
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(message) => {
            eprintln!("{}", message.trim_end());
            Ok(ExitCode::FAILURE)
        }
    }
}

/// `rules cover`: a table, and a summary.
fn cover(args: &CoverArgs) -> std::result::Result<(), String> {
    let block = |name: &'static str| name.split_once('/').map_or(name, |(block, _)| block);
    command::check_chosen(&args.rules, RULES.iter().flat_map(|rule| [rule.name, block(rule.name)]))?;
    let mut coverage = Coverage::default();
    for path in &args.corpus {
        coverage.path(path).map_err(|error| format!("error: {error}"))?;
    }
    for (name, why) in &coverage.skipped {
        if args.verbose {
            eprintln!("left out: {name}: {why}");
        }
    }
    if coverage.modules == 0 {
        let first = coverage.skipped.first().map_or(String::new(), |(name, why)| format!(": {name}: {why}"));
        return Err(format!("error: no module to compile{first}"));
    }
    let (mut shown, mut never) = (0, 0);
    let mut lines = String::new();
    for (number, rule) in RULES.iter().enumerate().filter(|(_, rule)| command::chosen(&args.rules, rule.name)) {
        let fired = coverage.total(number) != 0;
        shown += 1;
        never += usize::from(!fired);
        if !(args.never && fired) {
            let counts: String = coverage.fired[number].iter().map(|count| format!(" {count:9}")).collect();
            lines += &format!("{:36}{counts}  {}:{}\n", rule.name, rule.file, rule.line);
        }
    }
    if !lines.is_empty() {
        let levels: String = LEVELS.iter().map(|(name, _)| format!(" {name}")).collect();
        print!("{:36}{levels}\n{lines}\n", "rule");
    }
    let (modules, functions, skipped) = (coverage.modules, coverage.functions, coverage.skipped.len());
    let left_out = if skipped == 0 { String::new() } else { format!(", {skipped} left out (-v says why)") };
    println!("{modules} modules, {functions} functions{left_out}");
    println!("{} of {shown} rules fire, {never} never do", shown - never);
    Ok(())
}

/// The function that a name, an export or an index means.
fn function(module: &Module<'_>, name: &str) -> Option<u32> {
    let exported = module.exports.iter().find(|export| export.kind == Entity::Function && export.name == name);
    let named = || module.names.iter().find(|(_, known)| known == name.strip_prefix('$').unwrap_or(name));
    let count = module.functions.len() as u32;
    exported
        .map(|export| export.index)
        .or_else(|| named().map(|(index, _)| *index))
        .or_else(|| name.parse().ok().filter(|&index| index < count))
}

/// `0x41` or `65`.
fn offset(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `rules why`: the choices made for a function.
fn why(args: &WhyArgs) -> Result<()> {
    let bytes = read_module(&args.module)?;
    let module = Module::decode(&bytes)?;
    let options = options(&args.target, false)?;
    let wrong = |message: String| CompileError::new(ErrorKind::Io, format!("{}: {message}", args.module.display()));
    let (index, at) = match (function(&module, &args.function), args.function.rsplit_once('@')) {
        (Some(index), _) => (Some(index), None),
        (None, Some((name, at))) => {
            let at = offset(at).ok_or_else(|| wrong(format!("`{at}` is no offset: 0x41 or 65")))?;
            (function(&module, name), Some(at))
        }
        (None, None) => (None, None),
    };
    let count = module.functions.len();
    let index = index.ok_or_else(|| {
        let shown = args.function.escape_debug();
        wrong(format!("no function `{shown}`: an export, a name or an index below {count} is expected"))
    })?;
    let Some(defined) = index.checked_sub(module.imported_functions) else {
        return Err(wrong(format!("function {index} is imported: no rule makes it")));
    };
    let explanation = why::explain(&module, &inlined(&module, &options), defined as usize, &options)?;
    let text = explanation.text(at);
    if text.is_empty() {
        let at = at.map_or(String::new(), |at| format!(" at {at:#x}"));
        return Err(wrong(format!("function {index} has no operator{at} that rules are asked about")));
    }
    print!("function {index}\n{text}");
    Ok(())
}
