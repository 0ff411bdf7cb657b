//! `poll_oneoff`: waiting for clocks and descriptors.

use super::abi::{Errno, Failure, Layout, Memory, Result, filetype, flags};
use super::descriptors::Kind;
use super::{Wasi, call, raw_call};
use crate::sys::{errno, number};
use alloc::vec::Vec;

const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;

const POLLIN: u16 = 1;
const POLLOUT: u16 = 4;
const POLLHUP: u16 = 16;

/// Realtime and monotonic, the clocks one can wait for.
const REALTIME: u64 = 0;
const MONOTONIC: u64 = 1;

/// Subscriptions of one call.
const MOST: u64 = 1 << 16;

/// The kernel's struct pollfd.
#[derive(Clone, Copy)]
#[repr(C)]
struct Poll {
    fd: i32,
    events: u16,
    happened: u16,
}

enum Waiting {
    /// Until the monotonic clock shows this.
    Until(u64),
    /// For an entry of the list of descriptors.
    Descriptor(usize),
}

struct Subscription {
    user: u64,
    kind: u8,
    waiting: Waiting,
    /// The descriptor's guest number.
    number: u64,
}

fn now(clock: u64) -> Result<u64> {
    super::system::nanoseconds(number::CLOCK_GETTIME, clock)
}

/// Waits until a descriptor can be read or written.
pub(super) fn wait(fd: i32, write: bool) -> Result<()> {
    let mut poll = [Poll { fd, events: if write { POLLOUT } else { POLLIN }, happened: 0 }];
    poll_until(&mut poll, None)
}

/// Waits for descriptors, at most until the monotonic clock shows `deadline`, also over signals.
fn poll_until(polls: &mut [Poll], deadline: Option<u64>) -> Result<()> {
    loop {
        let wait = match deadline {
            Some(deadline) => deadline.saturating_sub(now(MONOTONIC)?),
            None => 0,
        };
        let mut rest = [wait / 1_000_000_000, wait % 1_000_000_000];
        let timeout = if deadline.is_some() { rest.as_mut_ptr() as usize } else { 0 };
        match raw_call(number::PPOLL, [polls.as_mut_ptr() as usize, polls.len(), timeout, 0, 8, 0]) {
            Ok(_) => return Ok(()),
            Err(errno::EINTR) if crate::interrupt::pending() => return Err(Failure::Timeout),
            Err(errno::EINTR) => {}
            Err(error) => return Err(Errno::from_linux(error).into()),
        }
    }
}

impl Wasi {
    pub(super) fn poll_oneoff(&mut self, memory: &mut Memory, args: &[u64], layout: Layout) -> Result<()> {
        let [input, output, count, events] = args[..] else { return Err(Errno::INVAL.into()) };
        let size = if layout == Layout::Preview1 { 48 } else { 56 };
        if count == 0 {
            return Err(Errno::INVAL.into());
        }
        memory.check(input, count * size, 8)?;
        memory.check(output, count * 32, 8)?;
        memory.check(events, 4, 4)?;
        if count > MOST {
            return Err(Errno::NOMEM.into());
        }
        let mut polls = Vec::new();
        let mut subscriptions = Vec::new();
        for n in 0..count {
            subscriptions.push(self.subscription(memory, input + size * n, layout, &mut polls)?);
        }
        let deadline = subscriptions.iter().filter_map(|subscription| match subscription.waiting {
            Waiting::Until(time) => Some(time),
            Waiting::Descriptor(_) => None,
        });
        poll_until(&mut polls, deadline.min())?;
        let time = now(MONOTONIC)?;
        let mut happened = 0;
        for subscription in &subscriptions {
            let flags = match subscription.waiting {
                Waiting::Until(deadline) if deadline <= time => 0,
                Waiting::Descriptor(at) if polls[at].happened != 0 => self.hangup(subscription, polls[at].happened)?,
                _ => continue,
            };
            let at = output + 32 * happened;
            memory.bytes_mut(at, 32)?.fill(0);
            memory.write_u64(at, subscription.user)?;
            memory.write(at + 10, &[subscription.kind])?;
            // How many bytes can be moved is not known; at least one.
            memory.write_u64(at + 16, u64::from(subscription.kind != CLOCK))?;
            memory.write_u16(at + 24, flags)?;
            happened += 1;
        }
        memory.write_u32(events, happened as u32)
    }

    /// Reads one subscription; a descriptor to wait for joins the list.
    fn subscription(&self, memory: &Memory, at: u64, layout: Layout, polls: &mut Vec<Poll>) -> Result<Subscription> {
        let (user, kind) = (memory.u64(at)?, memory.u8(at + 8)?);
        if kind == CLOCK {
            // `wasi_unstable` has an identifier before the clock's number.
            let at = at + if layout == Layout::Preview1 { 16 } else { 24 };
            let (clock, timeout) = (u64::from(memory.u32(at)?), memory.u64(at + 8)?);
            let absolute = flags(u64::from(memory.u16(at + 24)?), 1)? != 0;
            let until = match (clock, absolute) {
                (MONOTONIC, true) => timeout,
                (REALTIME, true) => now(MONOTONIC)?.saturating_add(timeout.saturating_sub(now(REALTIME)?)),
                (REALTIME | MONOTONIC, false) => now(MONOTONIC)?.saturating_add(timeout),
                _ => return Err(Errno::INVAL.into()),
            };
            return Ok(Subscription { user, kind, waiting: Waiting::Until(until), number: 0 });
        }
        if kind != READ && kind != WRITE {
            return Err(Errno::INVAL.into());
        }
        let number = u64::from(memory.u32(at + 16)?);
        let descriptor = self.descriptors.get(number)?;
        let takes = match descriptor.kind {
            Kind::Input => kind == READ,
            Kind::Output => kind == WRITE,
            Kind::File | Kind::Socket => true,
            Kind::Directory => false,
        };
        if !takes {
            return Err(Errno::BADF.into());
        }
        polls.push(Poll { fd: descriptor.fd, events: if kind == READ { POLLIN } else { POLLOUT }, happened: 0 });
        Ok(Subscription { user, kind, waiting: Waiting::Descriptor(polls.len() - 1), number })
    }

    /// The event's flag that nothing more will come: the other end is closed, or a file's end is reached. Of a standard stream it
    /// is never told.
    fn hangup(&self, subscription: &Subscription, happened: u16) -> Result<u16> {
        let descriptor = self.descriptors.get(subscription.number)?;
        if descriptor.is_stream() {
            return Ok(0);
        }
        let fd = descriptor.fd as usize;
        let stat = super::files::stat(fd)?;
        if stat.filetype() != filetype::REGULAR_FILE {
            return Ok(u16::from(happened & POLLHUP != 0));
        }
        let position = call(number::LSEEK, [fd, 0, 1, 0, 0, 0])?;
        Ok(u16::from(subscription.kind == READ && position as u64 >= stat.size()))
    }
}
