//! Options that several subcommands share: what to compile for, and what a program is given.

use super::Result;
use clap::{Args, ValueEnum};
use vwasm::compile::Options;
use vwasm::machine::CpuFeatures;

#[derive(Args)]
pub struct Target {
    /// CPU to compile for; checked when the program starts.
    #[arg(long, value_enum, default_value = "x86-64-v3")]
    cpu: Cpu,
    /// Threads to compile with [default: one for each core].
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Cpu {
    #[value(name = "x86-64-v2")]
    V2,
    #[value(name = "x86-64-v3")]
    V3,
    #[value(name = "x86-64-v4")]
    V4,
    Native,
}

#[derive(Args)]
pub struct Grants {
    /// Give the program a directory, under the same or another name. May be repeated.
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    directories: Vec<String>,
    /// Set an environment variable for the program; a name alone takes its value from here. May be repeated.
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    environment: Vec<String>,
    /// Most memory the program may use, in bytes or with a unit (KiB, MiB, GiB); whole pages of 64 KiB count.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory: Option<u64>,
    /// Stack for the program, 64KiB to 4GiB.
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = stack_size)]
    stack_size: u64,
    /// Most elements of each of the program's tables.
    #[arg(long, value_name = "N")]
    max_table_elements: Option<u32>,
    /// Most files the program may have open at a time, standard streams and granted directories included.
    #[arg(long, value_name = "N")]
    max_open_files: Option<u32>,
    /// Most bytes the program may write, to files and streams together.
    #[arg(long, value_name = "BYTES")]
    max_output: Option<u64>,
    /// Seconds after which the program ends with a trap.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Units of fuel after which the program ends with a trap: one for each operator and call it executes, on every machine
    /// the same.
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u64).range(..i64::MAX as u64))]
    pub fuel: Option<u64>,
    /// Give the program a socket that it is started with, by its descriptor. May be repeated.
    #[arg(long = "socket", value_name = "FD")]
    sockets: Vec<u32>,
}

pub fn options(target: &Target, fuel: bool) -> Result<Options> {
    if let Some(jobs) = target.jobs {
        // A second call would find the pool built already; one command makes one.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(usize::from(jobs)).build_global();
    }
    let cpu = match target.cpu {
        Cpu::V2 => CpuFeatures::V2,
        Cpu::V3 | Cpu::V4 => CpuFeatures::V3,
        Cpu::Native => CpuFeatures(vwasm_runtime::cpu::features()),
    };
    Ok(Options { cpu, fuel, ..Options::default() })
}

fn directory(text: &str) -> (String, String) {
    match text.split_once("::") {
        Some((host, guest)) => (host.to_string(), guest.to_string()),
        None => (text.to_string(), text.to_string()),
    }
}

/// A number of bytes, with or without a unit.
fn size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        unit => return Err(format!("`{unit}` is not a unit; use KiB, MiB or GiB")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is not a whole number"))?;
    number.checked_mul(1 << shift).ok_or_else(|| "more than 64 bits can count".to_string())
}

fn stack_size(text: &str) -> std::result::Result<u64, String> {
    let bytes = size(text)?;
    let allowed = 64 << 10..=vwasm_runtime::manifest::MAX_STACK;
    if allowed.contains(&bytes) { Ok(bytes) } else { Err("a stack has 64KiB to 4GiB".to_string()) }
}

/// The grants as the manifest holds them.
pub fn grants(grants: &Grants) -> Result<vwasm_runtime::manifest::Grants> {
    let environment = grants.environment.iter().filter_map(|text| match text.split_once('=') {
        Some((name, value)) => Some((name.to_string(), value.to_string())),
        None => Some((text.clone(), std::env::var(text).ok()?)),
    });
    Ok(vwasm_runtime::manifest::Grants {
        directories: grants.directories.iter().map(|text| directory(text)).collect(),
        environment: environment.collect(),
        max_memory_pages: grants.max_memory.map(|bytes| (bytes >> 16).min(1 << 16) as u32),
        stack_size: grants.stack_size,
        sockets: grants.sockets.clone(),
        max_table_elements: grants.max_table_elements,
        max_open_files: grants.max_open_files,
        max_output: grants.max_output,
        timeout: grants.timeout.map(|seconds| (seconds * 1000.0) as u64),
        fuel: grants.fuel,
        call: None,
    })
}
