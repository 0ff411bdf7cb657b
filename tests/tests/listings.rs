//! Listings as they are expected: each `listings/NAME.wat` compiles to the code in `listings/NAME.asm`.
//!
//! `BLESS=1 cargo test --release -p vwasm-tests --test listings` writes them anew; the change is then read in review.

use std::path::{Path, PathBuf};
use vwasm::compile::{Options, compile};
use vwasm::module::Module;

fn listing(path: &Path) -> String {
    let bytes = wat::parse_file(path).unwrap_or_else(|error| panic!("{error}"));
    let module = Module::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let options = Options { keep_origins: true, ..Options::default() };
    let compiled = compile(&module, &options, &|| ()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    vwasm::listing::listing(&module, &compiled)
}

#[test]
fn listings_are_as_expected() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("listings");
    let mut modules: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wat"))
        .collect();
    modules.sort();
    assert!(modules.len() >= 8, "listings are missing");
    let mut differ = Vec::new();
    for module in &modules {
        let (expected, found) = (module.with_extension("asm"), listing(module));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &found).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            differ.push(format!("{} is not what {} compiles to:\n{found}", expected.display(), module.display()));
        }
    }
    assert!(differ.is_empty(), "{}\nBLESS=1 writes the listings anew", differ.join("\n"));
}
