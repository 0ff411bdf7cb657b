//! vwasm: WebAssembly to sandboxed x86-64 Linux executables, compiled by rules.
//!
//! The modules stand in pipeline order; ARCHITECTURE.md has the picture.

pub mod error;
pub mod module;
pub mod ir;
pub mod frontend;
pub mod simplify;
pub mod machine;
pub mod lower;
pub mod vcode;
pub mod emit;
pub mod compile;
pub mod image;
pub mod listing;
pub mod script;

pub use vwasm_runtime::layout;
