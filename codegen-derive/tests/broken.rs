//! Broken specifications and what is said of them.
//!
//! Each `broken/NAME.rules` is a change of `good/small.rules`: lines `//- delete TEXT` take away the item or rule that starts
//! with the text, lines `//- replace OLD ==> NEW` replace a text that stands there once, and the rest of the file, if any,
//! is added as a file of its own. `broken/NAME.stderr` holds the errors expected. `BLESS=1` writes it anew.

use std::path::{Path, PathBuf};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Deletes the lines from the one that starts with a text to the one that closes its braces.
fn delete(base: &str, start: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut inside, mut deleted) = (0, false, 0);
    for line in base.lines() {
        if !inside && line.trim_start().starts_with(start) {
            inside = true;
            deleted += 1;
        }
        if !inside {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        depth += line.matches('{').count() as i32 - line.matches('}').count() as i32;
        inside = depth > 0;
    }
    assert_eq!(deleted, 1, "`{start}` starts {deleted} items");
    out
}

/// The files of a broken specification.
fn files(name: &str, source: &str) -> Vec<(String, String)> {
    let mut base = text(&tests().join("good/small.rules"));
    let mut rest = String::new();
    for line in source.lines() {
        if let Some(start) = line.strip_prefix("//- delete ") {
            base = delete(&base, start);
        } else if let Some(change) = line.strip_prefix("//- replace ") {
            let (old, new) = change.split_once(" ==> ").expect("`//- replace OLD ==> NEW`");
            assert_eq!(base.matches(old).count(), 1, "{name}: `{old}` does not stand there once");
            base = base.replace(old, new);
        } else if !(rest.is_empty() && line.starts_with("//")) {
            rest.push_str(line);
            rest.push('\n');
        }
    }
    let mut files = vec![("small.rules".to_string(), base)];
    if !rest.trim().is_empty() {
        files.push((format!("{name}.rules"), rest));
    }
    files
}

fn broken() -> Vec<(String, PathBuf)> {
    let directory = std::fs::read_dir(tests().join("broken")).expect("tests/broken");
    let mut found: Vec<(String, PathBuf)> = directory
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rules"))
        .map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    found.sort();
    found
}

#[test]
fn errors_are_as_expected() {
    let bless = std::env::var_os("BLESS").is_some();
    let found = broken();
    assert!(found.len() >= 30, "only {} broken specifications", found.len());
    let mut wrong = Vec::new();
    for (name, path) in found {
        let Err(errors) = codegen_derive::load_files(files(&name, &text(&path))) else {
            wrong.push(format!("{name}: no error"));
            continue;
        };
        let expected = path.with_extension("stderr");
        if bless {
            std::fs::write(&expected, &errors).expect("writable");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != errors {
            wrong.push(format!("{name}:\n{errors}"));
        }
    }
    assert!(wrong.is_empty(), "BLESS=1 accepts these:\n{}", wrong.join("\n"));
}

#[test]
fn good_specifications_are_sound() {
    for name in ["small.rules", "corners.rules"] {
        let file = (name.to_string(), text(&tests().join("good").join(name)));
        if let Err(errors) = codegen_derive::load_files(vec![file]) {
            panic!("{errors}");
        }
    }
}
