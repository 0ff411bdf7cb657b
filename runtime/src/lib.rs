//! What runs beside guest code: memory, calls in and out, traps, WASI.
//!
//! One crate, built twice: in-process (`vwasm run`, `vwasm wast`), with std; and, with `--cfg freestanding`, into the stub that
//! every compiled executable starts from, without std or libc. Modules in order of dependence:
//!
//! - `shown`: names from modules, made harmless
//! - `layout`: numbers from `spec/sandbox.rules`; `sys`: system calls; `manifest`, `image`: what the compiler hands over
//! - `memory`: reservations; `pool`, `dirty`: their reuse; `store`: functions, tables, memories, globals, instances
//! - `enter`: the code between host and guest; `leaf`: the gate's entry; `gates`: services for guest code
//! - `trap`: reasons and backtraces; `signal`: faults and the timer; `interrupt`: the time limit; `fuel`
//! - `wasi`: `wasi_snapshot_preview1`

#![cfg_attr(freestanding, no_std)]

extern crate alloc;

pub mod cpu;
#[cfg(not(freestanding))]
mod dirty;
pub mod enter;
mod fuel;
mod gates;
pub mod image;
pub mod instance;
pub mod interrupt;
#[cfg(not(freestanding))]
pub mod launch;
mod leaf;
pub mod manifest;
mod memory;
pub mod pool;
pub mod shown;
pub mod signal;
pub mod store;
pub mod sys;
pub mod trap;
pub mod wasi;

pub mod layout {
    //! Generated from `spec/sandbox.rules`.
    include!(env!("VWASM_LAYOUT"));
}
