//! A limit on the guest's time, and ending it from another thread, at no cost to its code.
//!
//! A timer sends this thread a signal when the time is over, and again and again after that. If the signal finds guest code at
//! work, it becomes a trap at once; if host code, a flag is set that gates look at before they go back and calls that wait look
//! at when the signal interrupts them. Whatever is missed between looking and acting is met by the next signal.

use crate::signal;
use crate::sys::{self, number};

// Most that is done between two looks whether the guest's time is over. On a machine where a fresh page costs 3 us each piece is
// below a millisecond. What cannot be cut is the kernel's: clearing a huge page, `fsync`, `fallocate`, `ftruncate`.

/// Bytes that are copied, filled or taken from a segment.
pub const MEMORY_AT_ONCE: u32 = 256 << 10;
/// Elements of tables.
pub const ELEMENTS_AT_ONCE: u32 = 32 << 10;
/// Bytes written to or read from files and streams: the kernel does not stop for a signal while it copies.
pub const FILE_AT_ONCE: usize = 1 << 20;
/// Random bytes: older kernels do not stop here either.
pub const RANDOM_AT_ONCE: usize = 256 << 10;

/// Time between signals once the limit is reached.
const AGAIN: u64 = 5_000_000;

/// The time limit of this thread's guests, until dropped.
pub struct Deadline {
    timer: i32,
}

impl Deadline {
    /// Starts the clock.
    pub fn start(milliseconds: u64) -> Result<Deadline, i32> {
        Deadline::of_thread(this_thread(), milliseconds)
    }

    /// A clock that ends another thread's guest.
    fn of_thread(thread: u64, milliseconds: u64) -> Result<Deadline, i32> {
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
            event[0] = signal::TIMER_VALUE;
            event[1] = signal::SIGALRM as u64 | SIGEV_THREAD_ID << 32;
            event[2] = thread;
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
        // A signal of this timer's may have found the host function of another guest, which began what is over now. Should that
        // guest's time be over too, the next signal says so.
        take();
    }
}

#[cfg(not(freestanding))]
pub use handle::InterruptHandle;

/// Ending guest code from another thread: a timer for the thread that runs it, which is due at once.
#[cfg(not(freestanding))]
mod handle {
    use super::{Deadline, this_thread};
    use std::sync::{Arc, Mutex, PoisonError};

    #[derive(Default)]
    struct State {
        /// The thread inside the store, while one is.
        running: Option<u64>,
        asked: bool,
        timer: Option<Deadline>,
    }

    /// Ends what a store runs, from any thread.
    #[derive(Clone, Default)]
    pub struct InterruptHandle(Arc<Mutex<State>>);

    impl InterruptHandle {
        fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
            action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }

        /// Ends the call into the store that is under way, or else the next one, with a trap of its own kind.
        pub fn interrupt(&self) {
            self.with(|state| {
                state.asked = true;
                if state.timer.is_none()
                    && let Some(thread) = state.running
                {
                    state.timer = Deadline::of_thread(thread, 0).ok();
                }
            });
        }

        /// This thread goes into the store.
        pub(crate) fn enter(&self) {
            let this = this_thread();
            self.with(|state| {
                state.running = Some(this);
                if state.asked {
                    state.timer = Deadline::of_thread(this, 0).ok();
                }
            });
        }

        /// It has come back; says whether it was to.
        pub(crate) fn leave(&self) -> bool {
            let state = self.with(std::mem::take);
            state.asked
        }
    }
}

/// The kernel's number of this thread.
fn this_thread() -> u64 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { sys::syscall(number::GETTID, [0; 6]) as u64 }
}

/// Whether the time of this thread's guest is over.
pub fn pending() -> bool {
    #[cfg(test)]
    if let Some(over) = crate::gates::tests::look() {
        return over;
    }
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
