//! Why code is rejected: the reasons of `spec/sandbox.rules` §10 and §11, in its words.

use crate::fact::Reason;

impl Reason {
    pub fn missing(register: u8, what: &'static str) -> Reason {
        if register < 16 { Reason::Missing(register.into(), what) } else { Reason::Address }
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
