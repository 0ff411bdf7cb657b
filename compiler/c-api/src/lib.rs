//! The WebAssembly C API (`include/wasm.h`) over vwasm, for programs in C.
//!
//! `cargo build --release -p vwasm-c-api` makes `libvwasm_c_api.a`. Names, types and ownership are those of the public
//! specification of `wasm.h`: what a parameter or result marked `own` there hands over, the receiver deletes.
//!
//! What every function here promises: null pointers where an object is expected give null, zero or false; handles of the wrong
//! kind (a memory where a function is expected) and of another store are noticed and refused; nothing unwinds into C, because a
//! panic, which would be a mistake of vwasm, ends the process. What every function needs, besides what it says itself: a pointer
//! is null or one that this library gave and that was not deleted since, a vector's `data` points to `size` elements, and a
//! store and what belongs to it is used by one thread at a time.
//!
//! - `vector`: `wasm_*_vec_t`; `types`: descriptions of functions, globals, tables, memories, imports, exports
//! - `object`: what all references have in common; `value`: `wasm_val_t`
//! - `module`: engine, store, modules; `instance`: instances and traps; `items`: functions, globals, tables, memories

#![allow(non_camel_case_types)]

pub mod instance;
pub mod items;
pub mod module;
pub mod object;
pub mod types;
pub mod value;
pub mod vector;
