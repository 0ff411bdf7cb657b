//! Arguments, environment, clocks, randomness, scheduling.

use super::abi::{Errno, Failure, Memory, Result};
use super::{Wasi, call, call_again};
use crate::interrupt::{self, RANDOM_AT_ONCE};
use crate::sys::number;
use alloc::vec::Vec;

/// `args_get`, `environ_get`: pointers, and the strings with a NUL behind each.
pub(super) fn write_strings(memory: &mut Memory, args: &[u64], strings: &[Vec<u8>]) -> Result<()> {
    let (mut pointer, mut at) = (args[0], args[1]);
    for string in strings {
        memory.write_u32(pointer, at as u32)?;
        memory.write(at, string)?;
        memory.write(at + string.len() as u64, &[0])?;
        pointer += 4;
        at += string.len() as u64 + 1;
    }
    Ok(())
}

/// `args_sizes_get`, `environ_sizes_get`.
pub(super) fn write_sizes(memory: &mut Memory, args: &[u64], strings: &[Vec<u8>]) -> Result<()> {
    let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
    let count = u32::try_from(strings.len()).map_err(|_| Errno::OVERFLOW)?;
    memory.write_u32(args[0], count)?;
    memory.write_u32(args[1], u32::try_from(bytes).map_err(|_| Errno::OVERFLOW)?)
}

/// The kernel's clock: realtime, monotonic, process CPU time, thread CPU time have the same numbers.
fn clock(id: u64) -> Result<usize> {
    if id < 4 { Ok(id as usize) } else { Err(Errno::INVAL.into()) }
}

pub(super) fn nanoseconds(system_call: usize, id: u64) -> Result<u64> {
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
            let length = bytes.len().min(RANDOM_AT_ONCE);
            let count = call_again(number::GETRANDOM, [bytes.as_mut_ptr() as usize, length, 0, 0, 0, 0])?;
            bytes = &mut bytes[count..];
            if interrupt::pending() {
                return Err(Failure::Timeout);
            }
        }
        Ok(())
    }

    pub(super) fn sched_yield(&mut self, _: &mut Memory, _: &[u64]) -> Result<()> {
        call(number::SCHED_YIELD, [0; 6]).map(|_| ())
    }

    /// A program has no process to send signals to.
    pub(super) fn proc_raise(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        const SIGNALS: u64 = 31;
        Err(if args[0] < SIGNALS { Errno::NOTSUP } else { Errno::INVAL }.into())
    }
}
