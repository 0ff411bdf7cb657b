//! Instructions to bytes, branches last.
//!
//! Takes instructions over physical registers and labels; gives bytes with every branch inside the function in its
//! shortest form. Straight-line bytes are encoded once, as they come; branches are only noted. When the function is
//! complete, branch sizes start short and grow until every distance fits (each pass only grows, so it ends; after
//! [`PASSES`] all that is left grows at once), then the bytes are put together. Every byte comes from the encoder of a described instruction.

use crate::error::{CompileError, ErrorKind, Result};
use crate::machine::{Cc, Inst, Label};
use iced_x86::Encoder;

/// Index of a place a branch may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target(pub u32);

/// A position before branches are sized: straight-line bytes and branches before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    bytes: u32,
    branches: u32,
}

/// Passes over the branches. Ordinary functions need three or four; branches can be laid out so that each makes one other
/// grow in the next pass.
const PASSES: usize = 32;

const UNBOUND: Position = Position { bytes: u32::MAX, branches: u32::MAX };

struct Branch {
    at: u32,
    cc: Option<Cc>,
    target: Target,
    long: bool,
}

/// Straight-line bytes, branches and labels of one function.
pub struct Assembler {
    encoder: Encoder,
    bytes: u32,
    branches: Vec<Branch>,
    targets: Vec<Position>,
}

fn encoding_failed(error: impl std::fmt::Display) -> CompileError {
    CompileError::new(ErrorKind::Limit, format!("an instruction could not be encoded: {error}"))
}

impl Assembler {
    pub fn new() -> Assembler {
        Assembler { encoder: Encoder::new(64), bytes: 0, branches: Vec::new(), targets: Vec::new() }
    }

    /// A label not placed yet.
    pub fn target(&mut self) -> Target {
        self.targets.push(UNBOUND);
        Target(self.targets.len() as u32 - 1)
    }

    /// Places a label here.
    pub fn bind(&mut self, target: Target) {
        self.targets[target.0 as usize] = self.position();
    }

    /// Makes `target` the same place as `other`, which is bound already or later by this call's caller.
    pub fn position(&self) -> Position {
        Position { bytes: self.bytes, branches: self.branches.len() as u32 }
    }

    /// Appends an instruction that is not a branch inside the function.
    pub fn push(&mut self, inst: &Inst) -> Result<()> {
        let instruction = inst.encode().map_err(encoding_failed)?;
        let length = self.encoder.encode(&instruction, u64::from(self.bytes)).map_err(encoding_failed)?;
        self.bytes += length as u32;
        Ok(())
    }

    /// Appends a rip-relative or call instruction whose 32-bit displacement is filled in later; gives the position
    /// of its end. `make` gets a label near enough to encode.
    pub fn push_relative(&mut self, make: impl FnOnce(Label) -> Inst) -> Result<Position> {
        let label = Label(u64::from(self.bytes) + 0x1000_0000);
        self.push(&make(label))?;
        Ok(self.position())
    }

    pub fn jump(&mut self, target: Target) {
        self.branches.push(Branch { at: self.bytes, cc: None, target, long: false });
    }

    pub fn jump_if(&mut self, cc: Cc, target: Target) {
        self.branches.push(Branch { at: self.bytes, cc: Some(cc), target, long: false });
    }

    /// Sizes the branches and puts the bytes together.
    pub fn finish(mut self) -> Result<Assembled> {
        let straight = self.encoder.take_buffer();
        let count = self.branches.len();
        // sizes[i]: bytes of branches before branch i
        let mut before = vec![0u32; count + 1];
        for pass in 0.. {
            for (i, branch) in self.branches.iter().enumerate() {
                before[i + 1] = before[i] + size(branch);
            }
            let mut grown = false;
            for i in 0..count {
                let branch = &self.branches[i];
                if branch.long {
                    continue;
                }
                let end = branch.at + before[i + 1];
                let target = self.targets[branch.target.0 as usize];
                let to = target.bytes.wrapping_add(before[(target.branches as usize).min(count)]);
                let distance = i64::from(to) - i64::from(end);
                if !(-128..128).contains(&distance) || pass == PASSES {
                    self.branches[i].long = true;
                    grown = true;
                }
            }
            if !grown {
                break;
            }
        }
        let mut code = Vec::with_capacity(straight.len() + before[count] as usize);
        let mut copied = 0;
        let mut encoder = Encoder::new(64);
        for branch in &self.branches {
            code.extend_from_slice(&straight[copied..branch.at as usize]);
            copied = branch.at as usize;
            let target = self.targets[branch.target.0 as usize];
            if target == UNBOUND {
                return Err(encoding_failed("a branch without a target"));
            }
            let label = Label(u64::from(target.bytes + before[target.branches as usize]));
            let inst = match (branch.cc, branch.long) {
                (None, false) => Inst::JmpRel8 { target: label },
                (None, true) => Inst::JmpRel32 { target: label },
                (Some(cc), false) => Inst::JccRel8 { target: label, cc },
                (Some(cc), true) => Inst::JccRel32 { target: label, cc },
            };
            let instruction = inst.encode().map_err(encoding_failed)?;
            encoder.encode(&instruction, code.len() as u64).map_err(encoding_failed)?;
            let bytes = encoder.take_buffer();
            code.extend_from_slice(&bytes);
            encoder.set_buffer(reuse(bytes));
        }
        code.extend_from_slice(&straight[copied..]);
        Ok(Assembled { code, before, targets: self.targets })
    }
}

fn reuse(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    buffer
}

fn size(branch: &Branch) -> u32 {
    match (branch.cc, branch.long) {
        (_, false) => 2,
        (None, true) => 5,
        (Some(_), true) => 6,
    }
}

/// Finished bytes and the map from positions to offsets in them.
pub struct Assembled {
    pub code: Vec<u8>,
    before: Vec<u32>,
    targets: Vec<Position>,
}

impl Assembled {
    pub fn offset(&self, position: Position) -> u32 {
        position.bytes + self.before[position.branches as usize]
    }

    pub fn target_offset(&self, target: Target) -> u32 {
        self.offset(self.targets[target.0 as usize])
    }
}
