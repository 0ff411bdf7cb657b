//! `spec/coverage.txt`: how often each rule fires when the project's own corpus is compiled.
//!
//! One line for each rule: its name, the counts for x86-64-v2 and x86-64-v3. A test of the project writes it and sees that it
//! is not stale; `rules list` shows it.

use std::collections::BTreeMap;
use std::path::Path;

/// Counts by rule, one for each CPU level.
pub type Counts = BTreeMap<String, [u64; 2]>;

const HEAD: &str = "# How often each rule fires in the project's own corpus: compiled for x86-64-v2, for x86-64-v3.
# Written by `BLESS=1 cargo test --release -p vwasm-tests --test coverage`.
";

pub fn text(counts: &Counts) -> String {
    let lines = counts.iter().map(|(rule, [old, new])| format!("{rule} {old} {new}\n"));
    HEAD.to_string() + &lines.collect::<String>()
}

pub fn parse(text: &str) -> Result<Counts, String> {
    let mut counts = Counts::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let wrong = || format!("line {}: a rule and two counts are expected", number + 1);
        let &[rule, old, new] = words.as_slice() else { return Err(wrong()) };
        let (Ok(old), Ok(new)) = (old.parse(), new.parse()) else { return Err(wrong()) };
        counts.insert(rule.to_string(), [old, new]);
    }
    Ok(counts)
}

/// The counts beside a specification; none if there is no such file.
pub fn read(spec: &Path) -> Result<Counts, String> {
    let path = spec.join("coverage.txt");
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Counts::new()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_written() {
        let counts = Counts::from([("i32.add/add".to_string(), [3, 40]), ("addr/own".to_string(), [0, 0])]);
        assert_eq!(parse(&text(&counts)), Ok(counts));
        assert!(parse("i32.add/add 1\n").is_err());
        assert!(parse("i32.add/add 1 x\n").is_err());
    }
}
