//! Clocks, randomness, polling.

use super::abi::{Errno, Memory};
use super::{Wasi, call};
use crate::sys::number;
use alloc::vec::Vec;

type Result<T> = core::result::Result<T, Errno>;

fn clock(id: u64) -> Result<usize> {
    // realtime, monotonic, process CPU time, thread CPU time: the same numbers as Linux.
    if id < 4 { Ok(id as usize) } else { Err(Errno::INVAL) }
}

fn nanoseconds(system_call: usize, id: u64) -> Result<u64> {
    let mut time = [0u64; 2];
    call(system_call, [clock(id)?, time.as_mut_ptr() as usize, 0, 0, 0, 0])?;
    Ok(time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1]))
}

impl Wasi {
    pub(super) fn clock_res_get(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        memory.write_u64(args[1], nanoseconds(number::CLOCK_GETRES, args[0])?)
    }

    pub(super) fn clock_time_get(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        memory.write_u64(args[2], nanoseconds(number::CLOCK_GETTIME, args[0])?)
    }

    pub(super) fn random_get(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let mut bytes = memory.bytes_mut(args[0], args[1])?;
        while !bytes.is_empty() {
            match call(number::GETRANDOM, [bytes.as_mut_ptr() as usize, bytes.len(), 0, 0, 0, 0]) {
                Ok(count) => bytes = &mut bytes[count..],
                Err(Errno(27)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn sched_yield(&mut self, _: &mut Memory, _: &[u64]) -> Result<()> {
        call(number::SCHED_YIELD, [0; 6]).map(|_| ())
    }

    /// Waits for clocks and descriptors; gives the events that happened.
    pub(super) fn poll_oneoff(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        const CLOCK: u8 = 0;
        const READ: u8 = 1;
        const WRITE: u8 = 2;
        let [input, output, count, events] = args[..] else { return Err(Errno::INVAL) };
        let count = u64::from(count as u32);
        if count == 0 {
            return Err(Errno::INVAL);
        }
        memory.bytes(input, count.checked_mul(48).filter(|size| *size <= 1 << 31).ok_or(Errno::INVAL)?)?;
        memory.bytes(output, count * 32)?;
        // Deadlines are in nanoseconds from now.
        let mut clocks: Vec<(u64, u64)> = Vec::new();
        let mut polls: Vec<u64> = Vec::new();
        let mut polled: Vec<(u64, u8)> = Vec::new();
        let mut ready: Vec<(u64, u16, u8, u64)> = Vec::new();
        for n in 0..count {
            let at = input + 48 * n;
            let user = memory.u64(at)?;
            match memory.bytes(at + 8, 1)?[0] {
                CLOCK => {
                    let (id, timeout) = (u64::from(memory.u32(at + 16)?), memory.u64(at + 24)?);
                    let absolute = memory.u16(at + 40)? & 1 != 0;
                    let now = if absolute { nanoseconds(number::CLOCK_GETTIME, id) } else { clock(id).map(|_| 0) };
                    match now {
                        Ok(now) => clocks.push((timeout.saturating_sub(now), user)),
                        Err(error) => ready.push((user, error.0, CLOCK, 0)),
                    }
                }
                kind @ (READ | WRITE) => match self.descriptor(u64::from(memory.u32(at + 16)?)) {
                    Ok(descriptor) => {
                        let interest: u64 = if kind == READ { 1 } else { 4 };
                        polls.push(u64::from(descriptor.fd as u32) | interest << 32);
                        polled.push((user, kind));
                    }
                    Err(error) => ready.push((user, error.0, kind, 0)),
                },
                _ => return Err(Errno::INVAL),
            }
        }
        let wait = if ready.is_empty() { clocks.iter().map(|(wait, _)| *wait).min() } else { Some(0) };
        if polls.is_empty() {
            if let Some(wait) = wait {
                sleep(wait);
            }
        } else {
            let milliseconds = wait.map_or(-1, |wait| wait.div_ceil(1_000_000).min(i32::MAX as u64) as i64);
            call(number::POLL, [polls.as_mut_ptr() as usize, polls.len(), milliseconds as usize, 0, 0, 0])?;
        }
        for (entry, (user, kind)) in polls.iter().zip(polled) {
            let happened = (entry >> 48) as u16;
            if happened != 0 {
                // POLLHUP is told in the flags.
                ready.push((user, 0, kind, u64::from(happened & 0x10 != 0) << 63 | 1));
            }
        }
        if ready.is_empty() {
            let first = clocks.iter().map(|(wait, _)| *wait).min().unwrap_or(0);
            ready.extend(clocks.iter().filter(|(wait, _)| *wait <= first).map(|(_, user)| (*user, 0, CLOCK, 0)));
        }
        for (n, (user, error, kind, bytes)) in ready.iter().enumerate() {
            let at = output + 32 * n as u64;
            memory.bytes_mut(at, 32)?.fill(0);
            memory.write_u64(at, *user)?;
            memory.write(at + 8, &error.to_le_bytes())?;
            memory.write(at + 10, &[*kind])?;
            memory.write_u64(at + 16, bytes & (u64::MAX >> 1))?;
            memory.write(at + 24, &[(bytes >> 63) as u8])?;
        }
        memory.write_u32(events, ready.len() as u32)
    }
}

/// Sleeps for some nanoseconds, also over signals.
fn sleep(wait: u64) {
    let mut rest = [wait / 1_000_000_000, wait % 1_000_000_000];
    loop {
        let pointer = rest.as_mut_ptr() as usize;
        match call(number::CLOCK_NANOSLEEP, [1, 0, pointer, pointer, 0, 0]) {
            Err(Errno(27)) => {}
            _ => return,
        }
    }
}
