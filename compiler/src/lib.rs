//! vwasm: WebAssembly to sandboxed x86-64 Linux executables, compiled by rules.
//!
//! The modules stand in pipeline order; ARCHITECTURE.md has the picture.

pub mod error;
