//! Files that the command writes: whole or not at all.
//!
//! A regular file is written beside its place and moved there, so that a full disk or an interruption leaves what was there
//! before. What is no regular file (a device, a pipe) is written to as it is.

use crate::{Result, io_error};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use vwasm::error::{CompileError, ErrorKind};

/// Where the executable of a module goes; never over the module.
pub fn name(module: &Path, output: Option<&Path>) -> Result<PathBuf> {
    let output = match output {
        Some(output) => output.to_path_buf(),
        None if module == Path::new("-") => {
            let error = CompileError::new(ErrorKind::Io, "a module from standard input gives the executable no name");
            return Err(error.hint("say where to write it with -o"));
        }
        None => PathBuf::from(module.file_stem().unwrap_or_default()),
    };
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if same(module, &output) {
        let message = format!("{}: the executable would replace the module", output.display());
        return Err(CompileError::new(ErrorKind::Io, message).hint("say where to write it with -o"));
    }
    Ok(output)
}

/// Writes a file.
pub fn write_file(path: &Path, bytes: &[u8], executable: bool) -> Result<()> {
    // Through a link, to the file it names.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    match target.metadata() {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => {
            let written = std::fs::OpenOptions::new().write(true).open(&target).and_then(|mut file| file.write_all(bytes));
            return written.map_err(|error| io_error(path, error));
        }
        Err(_) => {}
    }
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = target.with_file_name(name);
    let mode = if executable { 0o777 } else { 0o666 };
    let write = || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        let moved = file.write_all(bytes).and_then(|()| std::fs::rename(&temporary, &target));
        moved.inspect_err(|_| {
            let _ = std::fs::remove_file(&temporary);
        })
    };
    write().map_err(|error| io_error(path, error))
}
