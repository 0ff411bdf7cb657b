//! What every stage reports: a kind, a message, the place in the input, and what to do about it.

use std::fmt;

/// Why a module was not compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bytes are not a WebAssembly module (spec §5).
    Malformed,
    /// The module does not validate (spec §3).
    Invalid,
    /// Valid WebAssembly, but outside what vwasm compiles.
    Unsupported,
    /// A limit of vwasm (frame size, section sizes, register allocation).
    Limit,
    /// Files and system calls.
    Io,
    /// The sandbox checker does not accept the code.
    Rejected,
}

/// An error with the place it was found at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    pub kind: ErrorKind,
    pub message: String,
    /// The module's file, when the command knows it.
    pub file: Option<String>,
    /// Byte offset in the binary module.
    pub offset: Option<u64>,
    /// What the user can do, when that is known.
    pub hint: Option<String>,
}

pub type Result<T> = std::result::Result<T, CompileError>;

impl CompileError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        CompileError { kind, message: message.into(), file: None, offset: None, hint: None }
    }

    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ErrorKind::Malformed => "malformed module: ",
            ErrorKind::Invalid => "invalid module: ",
            ErrorKind::Unsupported => "not supported: ",
            ErrorKind::Limit => "limit exceeded: ",
            ErrorKind::Io => "",
            ErrorKind::Rejected => "rejected by the sandbox checker: ",
        };
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        write!(f, "{kind}{}", self.message)?;
        if let Some(offset) = self.offset {
            write!(f, " (at byte offset {offset:#x})")?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileError {}
