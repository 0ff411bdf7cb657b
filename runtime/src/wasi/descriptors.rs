//! The program's descriptors: a table of its own over the process's.
//!
//! A guest's number is an index here, never the kernel's; what is not in the table cannot be named. A descriptor's kind decides
//! which calls it takes.

use super::abi::{Errno, Result};
use super::call;
use crate::sys::number;
use alloc::vec::Vec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Standard input.
    Input,
    /// Standard output or error.
    Output,
    Directory,
    File,
    /// Handed over by whoever started the program.
    Socket,
}

pub(super) struct Descriptor {
    pub fd: i32,
    pub kind: Kind,
    /// The guest's name of a granted directory.
    pub preopen: Option<Vec<u8>>,
    /// Flags as the guest set them.
    pub flags: u16,
    pub readable: bool,
    pub writable: bool,
    /// Whether a standard stream is a terminal.
    pub terminal: bool,
    /// Of a directory: the kernel's positions behind its first, second, … entry, as far as it was read.
    pub positions: Vec<u64>,
}

impl Descriptor {
    pub fn new(fd: i32, kind: Kind) -> Descriptor {
        let (readable, writable, terminal) = (true, true, false);
        Descriptor { fd, kind, preopen: None, flags: 0, readable, writable, terminal, positions: Vec::new() }
    }

    pub fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Input | Kind::Output)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // Standard streams are the host's: not closed.
        if !self.is_stream() {
            let _ = call(number::CLOSE, [self.fd as usize, 0, 0, 0, 0, 0]);
        }
    }
}

/// A kernel descriptor that is closed when dropped, unless it becomes a guest's.
pub(super) struct Owned(i32);

impl Owned {
    pub fn new(fd: usize) -> Owned {
        Owned(fd as i32)
    }

    pub fn raw(&self) -> usize {
        self.0 as usize
    }

    pub fn release(self) -> i32 {
        let fd = self.0;
        core::mem::forget(self);
        fd
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = call(number::CLOSE, [self.0 as usize, 0, 0, 0, 0, 0]);
    }
}

pub(super) struct Descriptors {
    slots: Vec<Option<Descriptor>>,
    /// Most descriptors at a time.
    limit: usize,
}

impl Descriptors {
    pub fn new(limit: usize) -> Descriptors {
        Descriptors { slots: Vec::new(), limit }
    }

    pub fn get(&self, fd: u64) -> Result<&Descriptor> {
        self.slots.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::BADF.into())
    }

    pub fn get_mut(&mut self, fd: u64) -> Result<&mut Descriptor> {
        self.slots.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BADF.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Descriptor> {
        self.slots.iter().flatten()
    }

    /// A descriptor of one kind; any other does not take the call.
    pub fn of_kind(&self, fd: u64, kind: Kind) -> Result<&Descriptor> {
        self.get(fd).and_then(|found| if found.kind == kind { Ok(found) } else { Err(Errno::BADF.into()) })
    }

    pub fn close(&mut self, fd: u64) -> Result<()> {
        self.get(fd)?;
        self.slots[fd as usize] = None;
        Ok(())
    }

    /// Moves one number's descriptor to another that is in use, which is closed.
    pub fn renumber(&mut self, from: u64, to: u64) -> Result<()> {
        self.get(to)?;
        self.get(from)?;
        if from != to {
            self.slots[to as usize] = self.slots[from as usize].take();
        }
        Ok(())
    }

    /// The lowest free number, if one is left.
    pub fn free(&self) -> Result<usize> {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if free < self.limit { Ok(free) } else { Err(Errno::MFILE.into()) }
    }

    /// Puts a descriptor at a number that `free` gave.
    pub fn put(&mut self, at: usize, descriptor: Descriptor) {
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(descriptor);
    }
}
