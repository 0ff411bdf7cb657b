//! Checks a specification directory and counts what is in it; `--emit DIR` also writes the generated Rust.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let directory = args.first().map_or("spec", String::as_str);
    let result = codegen_derive::load(Path::new(directory)).and_then(|spec| {
        if let [_, flag, out] = args.as_slice()
            && flag == "--emit"
        {
            codegen_derive::generate(Path::new(directory), Path::new(out))?;
            codegen_derive::generate_checker(Path::new(directory), Path::new(out))?;
        }
        Ok(spec)
    });
    match result {
        Ok(spec) => {
            let rules: usize = spec.blocks.iter().map(|block| block.rules.len()).sum();
            println!(
                "{directory}: {} operators, {} instructions, {} functions, {} blocks, {rules} rules",
                spec.ops.len(),
                spec.insts.len(),
                spec.functions.len(),
                spec.blocks.len(),
            );
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprint!("{message}");
            ExitCode::FAILURE
        }
    }
}
