//! Helpers shared by the integration tests.
//!
//! - `values`: edge values
//! - `random`: pseudo-random numbers
//! - `silicon`: each rule's emitted bytes on the CPU against its operators' evaluators
//! - `model`: the instructions' evaluators, generated from spec/x86_64, and their states
//! - `operands`: random operands for instructions
//! - `disassembler`: what another disassembler says of code
//! - `support`: programs as executables, and directories for them
//! - `endless`: guests that go on until they are ended
//! - `binary`: binary modules made by hand
//! - `native`: guest memory from outside, signals, and single instructions on the CPU; together with `endless` the only one with `unsafe`

pub mod binary;
pub mod disassembler;
pub mod endless;
pub mod model;
pub mod native;
pub mod operands;
pub mod random;
pub mod silicon;
pub mod support;
pub mod values;

use codegen_derive::ast::Spec;
use std::path::Path;

/// The project's specification.
pub fn specification() -> Spec {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    codegen_derive::load(&directory).unwrap_or_else(|errors| panic!("{errors}"))
}
