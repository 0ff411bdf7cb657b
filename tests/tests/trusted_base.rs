//! The README's table of the trusted base says how many lines of code each part has: neither blank nor comment. `BLESS=1`
//! writes the numbers anew.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Lines of code below a path; tests are not part of it.
fn count(path: &Path) -> usize {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| !path.ends_with("tests"))
            .map(|path| count(&path))
            .sum();
    }
    let code = path.extension().is_some_and(|extension| ["rs", "rules", "pest", "ld"].iter().any(|code| extension == *code));
    if !code {
        return 0;
    }
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// The paths in backquotes of a cell; one without a directory is beside the one before.
fn paths(cell: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for name in cell.split('`').skip(1).step_by(2) {
        let beside = paths.last().and_then(|last| last.parent()).map(|directory| directory.join(name));
        let path = beside.filter(|_| !name.contains('/')).unwrap_or_else(|| root().join(name));
        assert!(path.exists(), "the README names {}, which is not there", path.display());
        paths.push(path);
    }
    paths
}

#[test]
fn line_counts_are_true() {
    let readme = root().join("README.md");
    let text = std::fs::read_to_string(&readme).expect("the README");
    let start = text.find("## Trusted base").expect("a section on the trusted base");
    let end = start + text[start..].find("\nNot in it").expect("its end");
    let mut lines: Vec<String> = Vec::new();
    let mut wrong = Vec::new();
    for line in text[start..end].lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let counted = cells.get(1).is_some_and(|cell| cell.contains('`')) && cells.len() == 5;
        if !counted {
            lines.push(line.into());
            continue;
        }
        let found: usize = paths(cells[1]).iter().map(|path| count(path)).sum();
        if cells[2] != found.to_string() {
            wrong.push(format!("{}: {} lines, not {}", cells[1], found, cells[2]));
        }
        lines.push(format!("| {} | {found} | {} |", cells[1], cells[3]));
    }
    assert!(lines.iter().filter(|line| line.starts_with("| `")).count() >= 5, "the table is not where it was");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&readme, format!("{}{}\n{}", &text[..start], lines.join("\n"), &text[end..]))
            .expect("the README is written");
    } else {
        assert!(wrong.is_empty(), "BLESS=1 accepts these:\n{}", wrong.join("\n"));
    }
}
