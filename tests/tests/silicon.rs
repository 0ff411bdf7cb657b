//! Each rule's emitted bytes, run on the CPU, agree with its operators' evaluators.

use codegen_derive::ast::BlockKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use vwasm::compile::Options;
use vwasm::machine::CpuFeatures;
use vwasm_tests::random::{Random, seed};
use vwasm_tests::silicon::Harness;

const INPUTS: usize = 1000;

/// All rules for one CPU level; the numbers of those that fired.
fn run(cpu: CpuFeatures, name: &str) -> Vec<u16> {
    if vwasm_runtime::cpu::features() & cpu.0 != cpu.0 {
        eprintln!("this CPU is not {name}: its rules cannot be run here");
        return Vec::new();
    }
    let spec = vwasm_tests::specification();
    let harness = Harness::new(&spec);
    let seed = seed(1);
    let (next, inputs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let worker = || {
        let (mut covered, mut failures) = (Vec::new(), Vec::new());
        while let Some(&rule) = harness.rules.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut random = Random(seed ^ u64::from(rule.number) << 32);
            let options = Options { cpu, ..Options::default() };
            let outcome = harness.cases(rule, cpu, &mut random).and_then(|cases| {
                let done = harness.run(&cases, &options, Some(rule.number), INPUTS, &mut random);
                match done.map_err(|message| format!("{}: {message}", rule.name()))? {
                    done if done < INPUTS && !cases.is_empty() && cases.iter().all(|case| case.has_parameters()) => {
                        Err(format!("{}: only {done} inputs", rule.name()))
                    }
                    done => Ok(done),
                }
            });
            match outcome {
                Ok(0) => {}
                Ok(done) => {
                    inputs.fetch_add(done, Ordering::Relaxed);
                    covered.push(rule.number);
                }
                Err(message) => failures.push(message),
            }
        }
        (covered, failures)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut covered, mut failures) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for thread in running {
            let (some, wrong) = thread.join().expect("no panic");
            covered.extend(some);
            failures.extend(wrong);
        }
    });
    eprintln!("{name}: {} of {} rules, {} inputs", covered.len(), harness.rules.len(), inputs.into_inner());
    assert!(failures.is_empty(), "{} rules failed:\n{}", failures.len(), failures.join("\n\n"));
    covered
}

#[test]
fn every_rule() {
    let v2 = run(CpuFeatures::V2, "x86-64-v2");
    let v3 = run(CpuFeatures::V3, "x86-64-v3");
    let spec = vwasm_tests::specification();
    let harness = Harness::new(&spec);
    let never: Vec<String> = harness
        .rules
        .iter()
        .filter(|rule| !v2.contains(&rule.number) && !v3.contains(&rule.number))
        .filter(|rule| !v3.is_empty() || rule.rule.features.is_empty())
        .map(|rule| rule.name())
        .collect();
    assert!(never.is_empty(), "rules that never fired: {never:?}");
}

/// The comparison would notice: another operator's code in place of the rule's is told apart, for all operators that have one of
/// the same type (those of globals and fields all load alike).
#[test]
fn a_wrong_operator_is_noticed() {
    let spec = vwasm_tests::specification();
    let harness = Harness::new(&spec);
    let (mut tried, mut missed) = (0, Vec::new());
    for &rule in harness.rules.iter().filter(|rule| rule.block.kind == BlockKind::Lower) {
        let mut random = Random(u64::from(rule.number));
        let options = Options { cpu: CpuFeatures::V2, ..Options::default() };
        let cases = harness.cases(rule, CpuFeatures::V2, &mut random).unwrap_or_else(|message| panic!("{message}"));
        let mistaken: Vec<_> = cases.iter().filter_map(|case| case.mistaken()).collect();
        let alike = ["global.", "cell.", ".field"].iter().any(|part| rule.block.name.text.contains(part));
        if alike || !mistaken.iter().any(|case| case.has_parameters()) {
            continue;
        }
        tried += 1;
        if harness.run(&mistaken, &options, None, INPUTS, &mut random).is_ok() {
            missed.push(rule.name());
        }
    }
    eprintln!("{tried} mistakes");
    assert!(tried > 100 && missed.is_empty(), "nothing was noticed of another operator in: {missed:?}");
}
