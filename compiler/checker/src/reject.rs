//! Why code is rejected.

use crate::form::general;
use core::fmt;
use iced_x86::Register;

/// Where a fact is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Register(usize),
    /// A word of the frame, by its distance from where rsp was at entry.
    Word(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Form,
    Operands,
    Prefixes,
    Role,
    StackMove,
    Address,
    ReadOnly,
    Field,
    Reservation,
    TableHeader,
    SlotEdge,
    CellEdge,
    DataAddress,
    DataEdge,
    Frame,
    CallTarget,
    CallArea,
    Return,
    Type,
    /// At this place something must be known that is not.
    Missing(Place, &'static str),
    Undecodable,
    BranchTarget,
    LabelDepth,
    LabelMissed,
    FallsOff,
    Unreachable,
    Claims,
    Padding,
    Units,
    Site,
    SiteMissing,
    TableEntry,
    TableShared,
    Thunk,
    Shape,
}

impl Reason {
    pub fn missing(register: Register, what: &'static str) -> Reason {
        match general(register) {
            Some((number, _)) => Reason::Missing(Place::Register(number), what),
            None => Reason::Address,
        }
    }
}

const REGISTERS: [&str; 16] =
    ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Missing(Place::Register(register), what) => {
                return write!(f, "{} is not known to be {what}", REGISTERS.get(*register).unwrap_or(&"?"));
            }
            Reason::Missing(Place::Word(at), what) => {
                return write!(f, "the word at entry rsp{at:+} is not known to be {what}");
            }
            Reason::Form => "this instruction form is not one of spec/x86_64",
            Reason::Operands => "an operand is of a kind that no instruction of spec/x86_64 allows here",
            Reason::Prefixes => "the prefixes are not exactly those that the instruction needs",
            Reason::Role => "r15 and rsp have a role and are not written",
            Reason::StackMove => {
                "rsp moves by a positive multiple of 8, within the frame's limit, never above the return address"
            }
            Reason::Address => "no access has an address of this shape",
            Reason::ReadOnly => "guest code may read this, not write it",
            Reason::Field => "no instance field that guest code may read is here",
            Reason::Reservation => "the access may end beyond the memory's reservation",
            Reason::TableHeader => "of a table's header only the length may be read",
            Reason::SlotEdge => "the access is not inside the slot",
            Reason::CellEdge => "the access is not inside the global's cell",
            Reason::DataAddress => "an address relative to rip must be in the read-only data",
            Reason::DataEdge => "the access is not inside the read-only data",
            Reason::Frame => "the access is neither inside the frame nor inside the caller's area",
            Reason::CallTarget => {
                "a call goes to a function's first instruction, the gate, an import's slot or a checked slot in rax"
            }
            Reason::CallArea => "the frame has no room for the words that the callee owns",
            Reason::Return => "a return needs rsp at the return address and pops exactly the parameter words",
            Reason::Type => "there is no such type",
            Reason::Undecodable => "these bytes are no instruction, or run over the function's end",
            Reason::BranchTarget => "a branch goes to a place that is no label of this function",
            Reason::LabelDepth => "the stack depth is not the one claimed at the label",
            Reason::LabelMissed => "a label is not at the start of an instruction",
            Reason::FallsOff => "execution runs off the function's end",
            Reason::Unreachable => "no label makes this instruction reachable",
            Reason::Claims => "the claims of this function cannot be read",
            Reason::Padding => "bytes between functions must be int3",
            Reason::Units => "functions and far thunks must cover the code in order",
            Reason::Site => "a listed site is not a trap, a faulting access or a return address",
            Reason::SiteMissing => "a trap or an access that may fault is not listed",
            Reason::TableEntry => "a jump table's entry goes to a place that is no label of this function",
            Reason::TableShared => "jump tables overlap",
            Reason::Thunk => "the far thunk differs from the one that spec/sandbox.rules describes",
            Reason::Shape => "the module's description contradicts itself",
        })
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
