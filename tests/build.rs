//! Generates the instructions' evaluators from `spec/x86_64`.

use std::path::{Path, PathBuf};

fn main() {
    for watched in ["../spec", "build.rs"] {
        println!("cargo:rerun-if-changed={watched}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let written = codegen_derive::model(Path::new("../spec"))
        .and_then(|text| std::fs::write(out.join("model.rs"), text).map_err(|error| error.to_string()));
    if let Err(message) = written {
        eprintln!("{message}");
        std::process::exit(1);
    }
}
