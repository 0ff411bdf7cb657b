//! `vwasm verify`: an executable or object file, whoever wrote it, checked.

use super::{Result, in_file, io_error};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct VerifyArgs {
    /// Say how fast the checker was.
    #[arg(long)]
    time: bool,
    /// An executable, or an object file made with `--emit obj`.
    file: PathBuf,
}

pub fn command(args: &VerifyArgs) -> Result<ExitCode> {
    let file = std::fs::read(&args.file).map_err(|error| io_error(&args.file, error))?;
    let start = std::time::Instant::now();
    let verified = vwasm::verify::file(&file).map_err(|error| in_file(&args.file, error))?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{verified}");
    if args.time {
        let rate = verified.code_length as f64 / seconds / 1e6;
        println!("time {:.1} ms, {rate:.0} MB of code a second", seconds * 1e3);
    }
    Ok(ExitCode::SUCCESS)
}
