//! `sock_*`, on sockets that whoever started the program handed over (a grant names them, or they are standard streams).

use super::abi::{Errno, Memory, Result, fdflags, filetype, flags};
use super::descriptors::{Descriptor, Kind, Owned};
use super::{Wasi, call_again, raw_call};
use crate::sys::number;

const MSG_PEEK: usize = 2;
const MSG_TRUNC: usize = 0x20;
const MSG_WAITALL: usize = 0x100;
const MSG_NOSIGNAL: usize = 0x4000;
const SOCK_NONBLOCK: usize = 0o4000;
const SOCK_CLOEXEC: usize = 0o2000000;

/// The kernel's struct msghdr without name and control data.
fn message(vectors: &[[usize; 2]]) -> [usize; 7] {
    [0, 0, vectors.as_ptr() as usize, vectors.len(), 0, 0, 0]
}

/// A descriptor of a socket that this process was started with.
pub(super) fn inherited(fd: u32) -> core::result::Result<Descriptor, i32> {
    const ENOTSOCK: i32 = 88;
    const F_DUPFD_CLOEXEC: usize = 1030;
    // A copy, so that closing it leaves the caller's alone.
    let copy = Owned::new(raw_call(number::FCNTL, [fd as usize, F_DUPFD_CLOEXEC, 3, 0, 0, 0])?);
    match super::files::stat(copy.raw()) {
        Ok(stat) if stat.filetype() == filetype::SOCKET_STREAM => Ok(Descriptor::new(copy.release(), Kind::Socket)),
        _ => Err(ENOTSOCK),
    }
}

impl Wasi {
    /// What may be a socket; the kernel answers `notsock` for streams that are none.
    fn socket(&self, fd: u64) -> Result<usize> {
        let descriptor = self.descriptors.get(fd)?;
        match descriptor.kind {
            Kind::Input | Kind::Output | Kind::Socket => Ok(descriptor.fd as usize),
            Kind::Directory | Kind::File => Err(Errno::NOTSOCK.into()),
        }
    }

    pub(super) fn sock_accept(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let how = flags(args[1], fdflags::ALL)?;
        memory.check(args[2], 4, 4)?;
        let socket = self.socket(args[0])?;
        let at = self.descriptors.free()?;
        let nonblock = if how & fdflags::NONBLOCK != 0 { SOCK_NONBLOCK } else { 0 };
        let accepted = Owned::new(call_again(number::ACCEPT4, [socket, 0, 0, nonblock | SOCK_CLOEXEC, 0, 0])?);
        let mut descriptor = Descriptor::new(accepted.release(), Kind::Socket);
        descriptor.flags = how & fdflags::NONBLOCK;
        self.descriptors.put(at, descriptor);
        memory.write_u32(args[2], at as u32)
    }

    pub(super) fn sock_recv(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, list, count, how, length_at, flags_at] = args[..] else { return Err(Errno::INVAL.into()) };
        let how = flags(how, 3)?;
        memory.check(length_at, 4, 4)?;
        memory.check(flags_at, 2, 2)?;
        let vectors = memory.vectors(list, count, u64::MAX)?;
        let mut header = message(&vectors);
        let peek = if how & 1 != 0 { MSG_PEEK } else { 0 };
        let wait = if how & 2 != 0 { MSG_WAITALL } else { 0 };
        let received = call_again(number::RECVMSG, [self.socket(fd)?, header.as_mut_ptr() as usize, peek | wait, 0, 0, 0])?;
        memory.write_u32(length_at, received as u32)?;
        memory.write_u16(flags_at, u16::from(header[6] & MSG_TRUNC != 0))
    }

    pub(super) fn sock_send(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, list, count, how, length_at] = args[..] else { return Err(Errno::INVAL.into()) };
        flags(how, 0)?;
        memory.check(length_at, 4, 4)?;
        let vectors = memory.vectors(list, count, self.output_left)?;
        let header = message(&vectors);
        let sent = call_again(number::SENDMSG, [self.socket(fd)?, header.as_ptr() as usize, MSG_NOSIGNAL, 0, 0, 0])?;
        self.output_left -= sent as u64;
        memory.write_u32(length_at, sent as u32)
    }

    pub(super) fn sock_shutdown(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        let how = flags(args[1], 3)?;
        let socket = self.socket(args[0])?;
        // receiving, sending, both
        let how = usize::from(how).checked_sub(1).ok_or(Errno::INVAL)?;
        call_again(number::SHUTDOWN, [socket, how, 0, 0, 0, 0]).map(|_| ())
    }
}
