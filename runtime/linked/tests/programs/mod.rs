//! C programs of the tests: run, built with sanitizers, and under valgrind, where those are there.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A static library: cargo builds it with the test, beside it.
pub fn library(library: &str) -> PathBuf {
    let directory = std::env::current_exe().expect("this program").parent().expect("its directory").to_path_buf();
    let files = std::fs::read_dir(&directory).expect("the directory").filter_map(|entry| Some(entry.ok()?.path()));
    let named = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with(library) && name.ends_with(".a")
    };
    let newest = files.filter(named).max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest.unwrap_or_else(|| panic!("no {library}*.a"))
}

pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{error}", output.status);
    out + &error
}

/// What gcc builds a program with so that it notices its own mistakes with memory and undefined arithmetic; none without them.
pub fn sanitizers(directory: &Path) -> Option<[&'static str; 2]> {
    const FLAGS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"];
    let source = directory.join("nothing.c");
    std::fs::write(&source, "int main(void) { return 0; }").expect("a file");
    let made = Command::new("gcc").args(FLAGS).arg(&source).arg("-o").arg(directory.join("nothing")).output();
    let there = made.is_ok_and(|made| made.status.success());
    if !there {
        println!("gcc has no sanitizers here");
    }
    there.then_some(FLAGS)
}

/// What valgrind has to say of a program, besides what it cannot know: that a guest's traps are meant, and that the memory which
/// is cleared for the next one is a stack. (Undefined values it finds also where the compiler tests two at once.)
pub fn complaints_of_valgrind(program: &Path, arguments: &[PathBuf]) -> Vec<String> {
    let mut command = Command::new("valgrind");
    command.args(["--leak-check=full", "--undef-value-errors=no"]).arg(program).args(arguments);
    let Ok(output) = command.output() else {
        println!("there is no valgrind here");
        return Vec::new();
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all good\n");
    let log = String::from_utf8_lossy(&output.stderr);
    let text: Vec<&str> = log.lines().map(|line| line.splitn(3, "==").last().unwrap_or("").trim_start()).collect();
    let lost = |line: &str| line.starts_with("definitely lost:") || line.starts_with("indirectly lost:");
    let lost: Vec<String> = text.iter().filter(|line| lost(line)).map(|line| line.to_string()).collect();
    assert_eq!(lost.len(), 2, "{log}");
    let leaks = lost.into_iter().filter(|line| !line.contains(" 0 bytes in 0 blocks"));
    let blocks = text.split(|line| line.is_empty());
    let wrong = blocks.filter(|block| {
        let at = block.iter().position(|line| line.starts_with("Invalid") || line.starts_with("Mismatched"));
        let Some(at) = at else { return false };
        let of_guest = block.get(at + 1).is_some_and(|line| line.contains(": ???"));
        !of_guest && !block.iter().any(|line| line.contains("::keep_stack"))
    });
    leaks.chain(wrong.map(|block| block.join("\n"))).collect()
}
