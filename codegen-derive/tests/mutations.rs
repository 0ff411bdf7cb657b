//! Whatever a file holds, loading it ends in a specification or in errors, never in a panic.
//!
//! Sound files are changed at random (pieces deleted, doubled, exchanged, words of the language thrown in) and loaded.

use codegen_derive::prove::random::Random;
use std::path::Path;

const WORDS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    ":",
    "=",
    "=>",
    "->",
    "==",
    "&&",
    "*",
    "-",
    "~",
    "!",
    "op ",
    "rule ",
    "lower ",
    "form ",
    "if ",
    "else ",
    "let ",
    "in ",
    "once ",
    "const ",
    "seq { ",
    "yield ",
    "trap ",
    "branch ",
    "mem32 ",
    "zext64(",
    "[31:0]",
    "[0:31]",
    "[200:0]",
    "cc.e",
    "x",
    "y",
    "_",
    "i32",
    "i128",
    "r64",
    "rm32",
    "f64",
    "0",
    "-1",
    "0xffff_ffff_ffff_ffff",
    "999999999999999999999999999999999999999999",
    "\"",
    "//",
    "\n",
    "\t",
    "é",
    "\u{0}",
    "vec(x)",
    "holds(cc.e, flags)",
    "out ",
    "inout ",
    "in rax",
    "short ",
    "Add_r32_rm32",
    "{cc}",
    "when cpu.avx ",
    "i32.add",
    "memory.base",
    "layout.slot.size",
    "result = ",
    "flags undefined ",
    "jump x ",
    "call x ",
    "commutative ",
    "weight 0 ",
    "weight 99999999999 ",
    "control ",
];

/// A place between two characters.
fn place(text: &str, random: &mut Random) -> usize {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Start and end of a word or sign.
fn token(text: &str, random: &mut Random) -> (usize, usize) {
    let start = place(text, random);
    let length = text[start..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(text.len() - start);
    let length = if length == 0 { text[start..].chars().next().map_or(0, char::len_utf8) } else { length };
    (start, start + length)
}

fn change(text: &mut String, random: &mut Random) {
    match random.below(6) {
        0 => {
            let (start, end) = token(text, random);
            text.replace_range(start..end, "");
        }
        1 => {
            let (a, b) = (place(text, random), place(text, random));
            let (start, end) = (a.min(b), a.max(b).min(a.min(b) + 200));
            let end = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
            text.replace_range(start..end, "");
        }
        2 => {
            let ((start, end), at) = (token(text, random), place(text, random));
            let copy = text[start..end].to_string();
            text.insert_str(at, &copy);
        }
        3 => {
            let ((start, end), (from, to)) = (token(text, random), token(text, random));
            let copy = text[from..to].to_string();
            text.replace_range(start..end, &copy);
        }
        4 => {
            let at = place(text, random);
            text.insert_str(at, WORDS[random.below(WORDS.len())]);
        }
        _ => {
            let (start, end) = token(text, random);
            text.replace_range(start..end, WORDS[random.below(WORDS.len())]);
        }
    }
}

fn load(files: Vec<(String, String)>) {
    let texts: Vec<String> = files.iter().map(|(_, text)| text.clone()).collect();
    let result =
        std::panic::catch_unwind(|| codegen_derive::load_files(files).map(|spec| codegen_derive::emit::emit(&spec, &[])));
    assert!(result.is_ok(), "a panic at this input:\n{}", texts.join("\n// -- next file --\n"));
}

fn good(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good").join(name);
    std::fs::read_to_string(path).expect("a file of tests/good")
}

#[test]
fn small_changes() {
    let (sound, mut random) = ([good("small.rules"), good("corners.rules")], Random(0x9e37_79b9_7f4a_7c15));
    for round in 0..2000 {
        let mut text = sound[round % 2].clone();
        for _ in 0..1 + random.below(4) {
            change(&mut text, &mut random);
        }
        load(vec![("small.rules".into(), text)]);
    }
}

#[test]
fn many_changes() {
    let (sound, mut random) = (good("corners.rules"), Random(0x2545_f491_4f6c_dd1d));
    for _ in 0..300 {
        let mut text = sound.clone();
        for _ in 0..50 {
            change(&mut text, &mut random);
        }
        load(vec![("small.rules".into(), text)]);
    }
}

/// Every item and rule of the project's specification in turn, changed a little.
#[test]
fn changes_of_the_project() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    let paths = codegen_derive::rule_files(&directory).expect("spec/");
    let sound: Vec<(String, String)> = paths
        .iter()
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).expect("a file of spec/")))
        .collect();
    let mut random = Random(0xda94_2042_e4dd_58b5);
    for round in 0..100 {
        let mut files = sound.clone();
        let file = round % files.len();
        change(&mut files[file].1, &mut random);
        load(files);
    }
}

#[test]
fn extremes() {
    let text = |text: String| load(vec![("extreme.rules".into(), text)]);
    for (open, close) in
        [("(", ")"), ("-", ""), ("~", ""), ("if a then b else ", ""), ("f(", ")"), ("[", "]"), ("(a ", ")"), ("a + ", "")]
    {
        for count in [100, 10_000] {
            let (opened, closed) = (open.repeat(count), close.repeat(count));
            text(format!("op x(a: i32) -> i32 {{ result = {opened}a{closed} }}"));
            text(format!("lower x {{ rule y (a) => add32 {opened}a{closed}, b }}"));
            text(format!("lower x {{ rule y ({opened}a{closed}) => a }}"));
            text(format!("fn x(a: {opened}i32{closed}) -> i32 = a{}", "[31:0]".repeat(count)));
        }
    }
    text(String::new());
    text("\u{feff}".into());
    text("// only a comment".into());
    text("\"".repeat(10_000));
    text(format!("fn x() -> i32 = {}", "let a = 1 in ".repeat(10_000)));
    text(format!("op {} {{}}", "x".repeat(1_000_000)));
    text("op x() {\n".repeat(5_000));
}
