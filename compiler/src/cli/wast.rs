//! `vwasm wast`: official test scripts, their assertions counted.

use super::options::{Target, options};
use super::{Result, io_error};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct WastArgs {
    #[command(flatten)]
    target: Target,
    /// Scripts (.wast).
    #[arg(required = true)]
    scripts: Vec<PathBuf>,
}

pub fn command(args: &WastArgs) -> Result<ExitCode> {
    let options = options(&args.target, false)?;
    let (mut passed, mut failed) = (0, 0);
    for script in &args.scripts {
        let text = std::fs::read_to_string(script).map_err(|error| io_error(script, error))?;
        match vwasm::script::run(&text, vwasm::module::features(), &options) {
            Ok(report) => {
                passed += report.passed;
                failed += report.failures.len();
                for (line, message) in report.failures {
                    println!("{}:{line}: {message}", script.display());
                }
            }
            Err(message) => {
                failed += 1;
                println!("{}: {message}", script.display());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
