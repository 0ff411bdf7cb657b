//! vwasm: WebAssembly to sandboxed x86-64 Linux executables, compiled by rules.
//!
//! The modules stand in pipeline order; ARCHITECTURE.md has the picture.

pub mod artifact;
pub mod cfg;
pub mod claims;
pub mod compile;
pub mod cover;
pub mod embed;
pub mod emit;
pub mod error;
pub mod executable;
pub mod frontend;
pub mod header;
pub mod image;
pub mod inline;
mod inlined;
pub mod ir;
pub mod limits;
pub mod lines;
pub mod listing;
pub mod lower;
pub mod machine;
pub mod module;
pub mod object;
pub mod script;
pub mod simplify;
mod symbols;
pub mod vcode;
pub mod verify;
pub mod verify_object;
pub mod why;

pub use vwasm_runtime::layout;
