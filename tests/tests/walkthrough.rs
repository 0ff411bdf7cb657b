//! README's "Edit a rule", to the letter: its block stands in the specification, its rule is accepted and changes the code with no
//! Rust edited, its mistake is answered as shown.

use std::path::{Path, PathBuf};
use std::process::Command;

const FILE: &str = "spec/lower/integer.rules";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

struct Walkthrough {
    block: String,
    rule: String,
    proof: String,
    session: String,
    error: String,
}

/// The indented blocks of the section, without their indentation.
fn walkthrough() -> Walkthrough {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let section = readme.split("## Edit a rule").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let mut blocks: Vec<String> = Vec::new();
    let mut inside = false;
    for line in section.lines() {
        match line.strip_prefix("    ") {
            Some(text) if inside => {
                if let Some(block) = blocks.last_mut() {
                    *block += &format!("{text}\n");
                }
            }
            Some(text) => blocks.push(format!("{text}\n")),
            None => {}
        }
        inside = line.starts_with("    ");
    }
    let [block, rule, proof, session, error] =
        blocks.try_into().expect("five blocks: rules, a rule, its proof, a session, an error");
    Walkthrough { block, rule, proof, session, error }
}

/// The specification's files with one changed.
fn changed(change: impl Fn(&str) -> String) -> Vec<(String, String)> {
    let mut files = vwasm_tests::specification().files;
    let (_, text) = files.iter_mut().find(|(name, _)| name == FILE).expect(FILE);
    let new = change(text);
    assert_ne!(*text, new, "nothing was changed");
    *text = new;
    files
}

impl Walkthrough {
    /// The rules with the new one in front.
    fn edited(&self, text: &str) -> String {
        assert!(text.contains(&self.block), "README's block does not stand in {FILE}");
        let head = self.block.lines().next().unwrap_or_default();
        text.replacen(&format!("{head}\n"), &format!("{head}\n{}", self.rule), 1)
    }
}

fn lowering(spec: &codegen_derive::ast::Spec) -> String {
    let files = codegen_derive::emit::emit(spec, &[]);
    files.into_iter().find(|(name, _)| *name == "lower.rs").map(|(_, text)| text).unwrap_or_default()
}

#[test]
fn a_rule_changes_the_compiler() {
    let walk = walkthrough();
    let name = walk.rule.split_whitespace().nth(1).expect("a rule's name");
    let spec = codegen_derive::load_files(changed(|text| walk.edited(text))).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(lowering(&spec).contains(&format!("/{name}\"")));
    assert!(!lowering(&vwasm_tests::specification()).contains(&format!("/{name}\"")));
}

#[test]
fn a_mistake_is_answered_as_shown() {
    let walk = walkthrough();
    let line = walk.error.lines().find_map(|line| line.split_once(" | ").filter(|(_, text)| text.contains("rule ")));
    let (number, wrong) = line.expect("the line of the mistake");
    let files = changed(|text| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines[number.trim().parse::<usize>().expect("a line number") - 1] = wrong;
        lines.join("\n") + "\n"
    });
    let errors = codegen_derive::load_files(files).expect_err("a mistake");
    assert!(errors.contains(&walk.error), "README shows\n{}but it says\n{errors}", walk.error);
}

/// Builds the compiler from a copy of the sources with the rule added, unproved and proved, and compiles the module of the
/// walk-through.
///
///     cargo test --release -p vwasm-tests --test walkthrough -- --ignored
#[test]
#[ignore = "builds the compiler again"]
fn the_session_happens_as_shown() {
    let walk = walkthrough();
    let place = copied(&walk);
    let sources = place.join("sources");

    // Not proved yet, the rule is let in only if that is asked for, and everything made says so.
    let vwasm = |variable: Option<&str>, args: &[&str]| {
        let mut command = Command::new("cargo");
        command.args(["run", "--quiet", "--release", "--"]).args(args).current_dir(&sources);
        command.env("CARGO_TARGET_DIR", place.join("target")).env_remove("VWASM_UNPROVED");
        let output = command.envs(variable.map(|variable| (variable, "1"))).output().expect("cargo");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    };
    let (built, text) = vwasm(None, &["--version"]);
    assert!(!built && text.contains("`i32.shl/doubled` is not proved") && text.contains("-- prove"), "{text}");
    // The new rule; and those behind it, whose turn may no longer come.
    let told = |text: &str| text.lines().any(|line| line.contains("unproved rules: ") && line.contains("i32.shl/doubled"));
    std::fs::write(sources.join("empty.wat"), "(module (func (export \"_start\")))").expect("empty.wat");
    for args in [&["--version"][..], &["compile", "empty.wat", "-o", "empty"], &["verify", "empty"]] {
        let (done, text) = vwasm(Some("VWASM_UNPROVED"), args);
        assert!(done && (args[0] == "compile" || told(&text)), "{args:?}: {text}");
    }
    let object = vwasm(Some("VWASM_UNPROVED"), &["compile", "--emit", "obj", "empty.wat", "-o", "empty.o"]);
    assert!(object.0, "{}", object.1);
    let bytes = std::fs::read(sources.join("empty.o")).expect("empty.o");
    assert!(bytes.windows(15).any(|part| part == b"i32.shl/doubled"), "the object file does not say so");

    let (command, output) = walk.proof.split_once('\n').expect("a proof");
    says(command, output, &place);
    let (shown, rest) = walk.session.split_once('\n').expect("a session");
    assert_eq!(shown, "$ cat m.wat");
    let (module, rest) = rest.split_once('\n').expect("the module");
    let (command, output) = rest.split_once('\n').expect("the command");
    std::fs::write(sources.join("m.wat"), module).expect("m.wat");
    says(command, output, &place);
}

/// A copy of the sources with the rule added, in a place of its own.
fn copied(walk: &Walkthrough) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("walkthrough");
    let sources = place.join("sources");
    let _ = std::fs::remove_dir_all(&sources);
    for part in ["spec", "codegen-derive", "compiler", "runtime", "tests"] {
        copy(&root().join(part), &sources.join(part));
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        std::fs::copy(root().join(file), sources.join(file)).expect(file);
    }
    let rules = sources.join(FILE);
    let text = std::fs::read_to_string(&rules).expect(FILE);
    std::fs::write(&rules, walk.edited(&text)).expect(FILE);
    place
}

/// Runs a command of the session in the copied sources; it must say what is shown.
fn says(command: &str, output: &str, place: &Path) {
    let words: Vec<&str> = command.trim_start_matches("$ ").split_whitespace().collect();
    let run = Command::new(words[0])
        .args(&words[1..])
        .current_dir(place.join("sources"))
        .env("CARGO_TARGET_DIR", place.join("target"))
        .env_remove("VWASM_UNPROVED")
        .output()
        .expect("cargo");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let found = String::from_utf8_lossy(&run.stdout);
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_string()).filter(|line| !line.is_empty()).collect();
    let (found, wanted): (Vec<String>, Vec<String>) = (lines(&found), lines(output));
    assert_eq!(found, wanted);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).expect("a file");
        }
    }
}
