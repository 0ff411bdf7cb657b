//! Generates Rust from `spec/`.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=../spec");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(message) = codegen_derive::generate(Path::new("../spec"), &out) {
        eprintln!("{message}");
        std::process::exit(1);
    }
}
