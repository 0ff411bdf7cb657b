//! Files that the command writes: whole or not at all.
//!
//! A regular file is written beside its place and moved there, so that a full disk or an interruption leaves what was there
//! before. What is no regular file (a device, a pipe) is written to as it is.

use super::{Result, io_error};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use vwasm::error::{CompileError, ErrorKind};

/// Where what is made of a module goes, an executable by default; never over the module.
pub fn file(module: &Path, output: Option<&Path>) -> Result<PathBuf> {
    let output = match output {
        Some(output) => output.to_path_buf(),
        None => default_name(module)?,
    };
    keeps_module(module, &output)?;
    Ok(output)
}

/// Where the object file of a module goes, and its header.
pub fn object(module: &Path, output: Option<&Path>) -> Result<(PathBuf, PathBuf)> {
    let output = match output {
        Some(output) => output.to_path_buf(),
        None => default_name(module)?.with_added_extension("o"),
    };
    if output.extension() != Some(OsStr::new("o")) {
        let message = format!("{}: an object file's name ends in .o, its header's in .h", output.display());
        return Err(CompileError::new(ErrorKind::Io, message));
    }
    let header = output.with_extension("h");
    keeps_module(module, &output)?;
    keeps_module(module, &header)?;
    Ok((output, header))
}

/// The module's name without extension.
fn default_name(module: &Path) -> Result<PathBuf> {
    if module == Path::new("-") {
        let error = CompileError::new(ErrorKind::Io, "a module from standard input gives the output no name");
        return Err(error.hint("say where to write it with -o"));
    }
    Ok(PathBuf::from(module.file_stem().unwrap_or_default()))
}

fn keeps_module(module: &Path, output: &Path) -> Result<()> {
    if matches!((module.canonicalize(), output.canonicalize()), (Ok(a), Ok(b)) if a == b) {
        let message = format!("{}: the output would replace the module", output.display());
        return Err(CompileError::new(ErrorKind::Io, message).hint("say where to write it with -o"));
    }
    Ok(())
}

/// A file to write.
pub struct File<'a> {
    pub path: &'a Path,
    pub bytes: &'a [u8],
    pub executable: bool,
}

/// Writes files: none is moved to its place before all are written.
pub fn write(files: &[File<'_>]) -> Result<()> {
    let written = files.iter().map(write_beside).collect::<Result<Vec<Option<Beside>>>>()?;
    for (file, beside) in files.iter().zip(written) {
        if let Some(beside) = beside {
            std::fs::rename(&beside.temporary, &beside.target).map_err(|error| io_error(file.path, error))?;
        }
    }
    Ok(())
}

/// A written file on the way to its place; removed if it does not get there.
struct Beside {
    temporary: PathBuf,
    target: PathBuf,
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After the move there is nothing of this name.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// Writes a file beside its place; what is no regular file is written to directly.
fn write_beside(file: &File<'_>) -> Result<Option<Beside>> {
    let failed = |error| io_error(file.path, error);
    // Through a link, to the file it names.
    let target = file.path.canonicalize().unwrap_or_else(|_| file.path.to_path_buf());
    if target.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        let mut open = std::fs::OpenOptions::new().write(true).open(&target).map_err(failed)?;
        open.write_all(file.bytes).map_err(failed)?;
        return Ok(None);
    }
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = target.with_file_name(name);
    let mode = if file.executable { 0o777 } else { 0o666 };
    let mut open = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).map_err(failed)?;
    let beside = Beside { temporary, target };
    open.write_all(file.bytes).map_err(failed)?;
    Ok(Some(beside))
}
