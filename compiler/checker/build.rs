//! Generates the table of instruction forms and the layout from `spec/`.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=../../spec");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(message) = codegen_derive::generate_checker(Path::new("../../spec"), &out) {
        eprintln!("{message}");
        std::process::exit(1);
    }
}
