//! Why code is rejected: the reasons of `spec/sandbox.rules` §10 and §11, in its words.

use crate::fact::Reason;
use core::fmt;

/// Where a fact is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Register(usize),
    /// A word of the frame, by its distance from where rsp was at entry.
    Word(i64),
}

impl Reason {
    pub fn missing(register: u8, what: &'static str) -> Reason {
        if register < 16 { Reason::Missing(Place::Register(register.into()), what) } else { Reason::Address }
    }
}

const REGISTERS: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Missing(Place::Register(register), what) => {
                write!(f, "{} is not known to be {what}", REGISTERS.get(*register).unwrap_or(&"?"))
            }
            Reason::Missing(Place::Word(at), what) => write!(f, "the word at entry rsp{at:+} is not known to be {what}"),
            other => f.write_str(other.words()),
        }
    }
}

/// A rejected instruction or module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Number of the function or thunk among the units; None if none is to blame.
    pub unit: Option<usize>,
    /// Offset in the code, and length, of the instruction.
    pub offset: u32,
    pub length: u32,
    pub reason: Reason,
}
