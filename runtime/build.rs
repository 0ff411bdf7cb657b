//! Generates the layout constants from `spec/sandbox.rules`.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=../spec/sandbox.rules");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("layout.rs");
    let written = codegen_derive::sandbox_layout(&PathBuf::from("../spec"))
        .and_then(|text| std::fs::write(&out, text).map_err(|error| error.to_string()));
    if let Err(message) = written {
        eprintln!("{message}");
        std::process::exit(1);
    }
    println!("cargo:rustc-env=VWASM_LAYOUT={}", out.display());
}
