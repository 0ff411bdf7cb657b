//! How often each rule fires when a corpus is compiled.
//!
//! Takes modules, scripts or directories of them; compiles every function as far as rules go, for each CPU level; nothing is
//! run. The counts depend on nothing but the corpus and the compiler.

use crate::compile::{Options, conventions, inlined, select, translate};
use crate::lower::rules::RULES;
use crate::machine::CpuFeatures;
use crate::module::{Module, features};
use crate::script;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The CPU levels that a corpus is compiled for: some rules are for one of them only.
pub const LEVELS: [(&str, CpuFeatures); 2] = [("x86-64-v2", CpuFeatures::V2), ("x86-64-v3", CpuFeatures::V3)];

pub struct Coverage {
    /// For each rule, how often it fired at each level.
    pub fired: Vec<[u64; LEVELS.len()]>,
    pub modules: usize,
    pub functions: usize,
    /// What could not be compiled, and why.
    pub skipped: Vec<(String, String)>,
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage { fired: vec![[0; LEVELS.len()]; RULES.len()], modules: 0, functions: 0, skipped: Vec::new() }
    }
}

/// Files below a directory that hold modules, or the file itself; links are not followed.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let error = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let (mut found, mut pending) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).map_err(|why| error(&directory, why))? {
            let entry = entry.map_err(|why| error(&directory, why))?;
            let kind = entry.file_type().map_err(|why| error(&entry.path(), why))?;
            let is_module = || entry.path().extension().is_some_and(|end| ["wasm", "wat", "wast"].iter().any(|e| end == *e));
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() && is_module() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

impl Coverage {
    /// A file, or a directory with all files in it.
    pub fn path(&mut self, path: &Path) -> Result<(), String> {
        for file in files(path)? {
            let name = file.display().to_string();
            let bytes = std::fs::read(&file).map_err(|error| format!("{name}: {error}"))?;
            if file.extension().is_some_and(|extension| extension == "wast") {
                self.script(&name, &String::from_utf8_lossy(&bytes));
                continue;
            }
            match wat::parse_bytes(&bytes) {
                Ok(bytes) => self.module(&name, &bytes),
                Err(error) => self.skipped.push((name, error.to_string())),
            }
        }
        Ok(())
    }

    /// The modules of a script, but those that should be refused.
    pub fn script(&mut self, name: &str, text: &str) {
        match script::modules(text) {
            Ok(modules) => modules.into_iter().for_each(|(line, bytes)| self.module(&format!("{name}:{line}"), &bytes)),
            Err(why) => self.skipped.push((name.to_string(), why)),
        }
    }

    /// A binary module.
    pub fn module(&mut self, name: &str, bytes: &[u8]) {
        match fired(bytes) {
            Ok((functions, fired)) => {
                self.modules += 1;
                self.functions += functions;
                for (level, rules) in fired.into_iter().enumerate() {
                    rules.into_iter().for_each(|rule| self.fired[usize::from(rule)][level] += 1);
                }
            }
            Err(why) => self.skipped.push((name.to_string(), why)),
        }
    }

    /// How often a rule fired, at all levels together.
    pub fn total(&self, rule: usize) -> u64 {
        self.fired[rule].iter().sum()
    }
}

/// How many functions a module has, and the rules that fire in them at each level.
fn fired(bytes: &[u8]) -> Result<(usize, Vec<Vec<u16>>), String> {
    let module = Module::decode_with(bytes, features()).map_err(|error| error.to_string())?;
    let (conventions, count) = (conventions(&module), module.bodies.len());
    let mut levels = Vec::new();
    for (_, cpu) in LEVELS {
        let options = Options { cpu, ..Options::default() };
        let bodies = inlined(&module, &options);
        let functions = (0..count).into_par_iter().map(|number| {
            let func = translate(&module, &bodies, number, &options)?;
            Ok(select(&module, &conventions, number, &func, &options)?.fired)
        });
        let fired: Vec<Vec<u16>> = functions.collect::<crate::error::Result<_>>().map_err(|error| error.to_string())?;
        levels.push(fired.concat());
    }
    Ok((count, levels))
}
