//! The operators, generated from `spec/wasm`.
#![allow(clippy::all)]

use super::Type;

include!(concat!(env!("OUT_DIR"), "/ops.rs"));
