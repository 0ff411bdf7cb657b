//! A limit on the guest's time, at no cost to its code.
//!
//! A timer sends this thread a signal when the time is over, and again and again after that. If the signal finds guest code at
//! work, it becomes a trap at once; if host code, a flag is set that gates look at before they go back and calls that wait look
//! at when the signal interrupts them. Whatever is missed between looking and acting is met by the next signal.

use crate::signal;
use crate::sys::{self, number};

/// Time between signals once the limit is reached.
const AGAIN: u64 = 5_000_000;

/// The time limit of this thread's guests, until dropped.
pub struct Deadline {
    timer: i32,
}

impl Deadline {
    /// Starts the clock.
    pub fn start(milliseconds: u64) -> Result<Deadline, i32> {
        const MONOTONIC: usize = 1;
        const SIGEV_THREAD_ID: u64 = 4;
        signal::install_timer();
        let mut timer = 0i32;
        // The kernel's struct sigevent: value, signal and manner, thread. And itimerspec: interval, first time.
        let mut event = [0u64; 8];
        let time = [0, AGAIN, milliseconds / 1000, milliseconds % 1000 * 1_000_000];
        let time = if milliseconds == 0 { [0, AGAIN, 0, 1] } else { time };
        // SAFETY: the kernel reads the event and the times, and writes the timer's number.
        unsafe {
            let thread = sys::check(sys::syscall(number::GETTID, [0; 6]))?;
            event[0] = signal::TIMER_VALUE;
            event[1] = signal::SIGALRM as u64 | SIGEV_THREAD_ID << 32;
            event[2] = thread as u64;
            let create = [MONOTONIC, event.as_ptr() as usize, &raw mut timer as usize, 0, 0, 0];
            sys::check(sys::syscall(number::TIMER_CREATE, create))?;
            let deadline = Deadline { timer };
            sys::check(sys::syscall(number::TIMER_SETTIME, [timer as usize, 0, time.as_ptr() as usize, 0, 0, 0]))?;
            Ok(deadline)
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // SAFETY: the timer is this object's own.
        unsafe { sys::syscall(number::TIMER_DELETE, [self.timer as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Whether the time of this thread's guest is over.
pub fn pending() -> bool {
    let context = signal::current();
    // SAFETY: a context that is current lives until its activation ends; the handler writes the flag, on this thread.
    !context.is_null() && unsafe { (&raw const (*context).interrupted).read_volatile() != 0 }
}

/// The same, once: afterwards only a new signal says so.
pub(crate) fn take() -> bool {
    let over = pending();
    if over {
        // SAFETY: as above, and the pointer is not null.
        unsafe { (&raw mut (*signal::current()).interrupted).write_volatile(0) };
    }
    over
}
