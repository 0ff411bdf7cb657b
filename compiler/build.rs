//! Generates Rust from `spec/` and builds the stub that executables start from.

use std::path::{Path, PathBuf};

include!("../runtime/build_stub.rs");

fn main() {
    for watched in ["../spec", "../runtime/src", "../runtime/build_stub.rs", "build.rs"] {
        println!("cargo:rerun-if-changed={watched}");
    }
    println!("cargo:rerun-if-env-changed={}", codegen_derive::UNPROVED);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let built = codegen_derive::generate(Path::new("../spec"), &out)
        .and_then(|()| codegen_derive::specification_hash(Path::new("../spec"), &out))
        .and_then(|()| build_stub(Path::new("../runtime"), &out.join("layout.rs"), &out));
    if let Err(message) = built {
        eprintln!("{message}");
        std::process::exit(1);
    }
}
