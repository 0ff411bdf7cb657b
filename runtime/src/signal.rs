//! Signals: faults of guest code, and the timer that ends it.
//!
//! A signal is the guest's if this thread is inside a guest activation (known from the thread's own state), it runs on that
//! store's guest stack (so no host code is at work on the store), and the program counter is in the store's code; a fault must
//! besides be one the code may cause (`trap::meaning`), and come from the processor, not from another process. Then the handler
//! notes the trap and continues at the exit that `enter` provides. Everything else goes to whoever handled it before.

use crate::enter::{Context, trap_exit_address};
use crate::leaf;
use crate::sys::{self, number};
use crate::trap;

pub(crate) const SIGILL: usize = 4;
pub(crate) const SIGBUS: usize = 7;
pub(crate) const SIGFPE: usize = 8;
pub(crate) const SIGSEGV: usize = 11;
pub(crate) const SIGALRM: usize = 14;

const SIGNALS: [usize; 5] = [SIGILL, SIGBUS, SIGFPE, SIGSEGV, SIGALRM];

/// The `si_code` of a timer; the processor's are positive.
const SI_TIMER: i32 = -2;
/// That of a fault which is of no address: among others, there was no room on the stack for a handler of the host's.
const SI_KERNEL: i32 = 0x80;
/// What our timers send with their signal, so that other timers of the process are not taken for them.
pub(crate) const TIMER_VALUE: u64 = u64::from_le_bytes(*b"vwasm\0\0\0");

const SA_SIGINFO: u64 = 4;
const SA_RESTORER: u64 = 0x0400_0000;
const SA_ONSTACK: u64 = 0x0800_0000;
const SA_NODEFER: u64 = 0x4000_0000;

// -- the running activation --

#[cfg(not(freestanding))]
mod current {
    use super::Context;
    use core::cell::Cell;

    std::thread_local! {
        static CURRENT: Cell<*mut Context> = const { Cell::new(core::ptr::null_mut()) };
    }

    pub fn get() -> *mut Context {
        CURRENT.with(Cell::get)
    }
    pub fn set(context: *mut Context) -> *mut Context {
        CURRENT.with(|current| current.replace(context))
    }
}

#[cfg(freestanding)]
mod current {
    use super::Context;
    use core::sync::atomic::{AtomicPtr, Ordering};

    static CURRENT: AtomicPtr<Context> = AtomicPtr::new(core::ptr::null_mut());

    pub fn get() -> *mut Context {
        CURRENT.load(Ordering::Relaxed)
    }
    pub fn set(context: *mut Context) -> *mut Context {
        CURRENT.swap(context, Ordering::Relaxed)
    }
}

/// The context of this thread's innermost activation, or null.
pub(crate) fn current() -> *mut Context {
    current::get()
}

pub(crate) fn set_current(context: *mut Context) -> *mut Context {
    current::set(context)
}

// -- installation --

/// The kernel's struct sigaction.
#[derive(Clone, Copy)]
#[repr(C)]
struct SignalAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

const NO_ACTION: SignalAction = SignalAction { handler: 0, flags: 0, restorer: 0, mask: 0 };

static mut PREVIOUS: [SignalAction; SIGNALS.len()] = [NO_ACTION; SIGNALS.len()];

core::arch::global_asm!("vwasm_signal_return:", "mov eax, {number}", "syscall", number = const number::RT_SIGRETURN);

unsafe extern "C" {
    fn vwasm_signal_return();
}

#[cfg(not(freestanding))]
fn once(action: fn()) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(action);
}

#[cfg(freestanding)]
fn once(action: fn()) {
    use core::sync::atomic::{AtomicBool, Ordering};
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.swap(true, Ordering::Relaxed) {
        action();
    }
}

/// Installs the handlers, and an alternate stack for this thread: each thread that enters guest code needs one.
pub fn install() {
    once(install_handlers);
    stack::install();
}

fn install_handlers() {
    for (place, &signal) in SIGNALS.iter().enumerate() {
        if signal != SIGALRM {
            install_handler(place, SA_NODEFER);
        }
    }
}

/// Installs the timer's handler.
pub(crate) fn install_timer() {
    static TIMER: fn() = || install_handler(SIGNALS.len() - 1, 0);
    #[cfg(not(freestanding))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(TIMER);
    }
    // The stub sets one timer, once.
    #[cfg(freestanding)]
    TIMER();
    stack::install();
}

fn install_handler(place: usize, flags: u64) {
    let action = SignalAction {
        handler: handle as *const () as usize,
        flags: SA_SIGINFO | SA_RESTORER | SA_ONSTACK | flags,
        restorer: vwasm_signal_return as *const () as usize,
        mask: 0,
    };
    // SAFETY: runs once for each place, before the handler there can; the kernel copies both structures.
    unsafe {
        let old = (&raw mut PREVIOUS).cast::<SignalAction>().add(place);
        sys::syscall(number::RT_SIGACTION, [SIGNALS[place], &raw const action as usize, old as usize, 8, 0, 0]);
    }
}

/// Installs the handlers, and makes every fault that is not the guest's end in `handler`: an executable cut short faults where
/// its pages are missing.
#[cfg(freestanding)]
pub fn guard(handler: extern "C" fn() -> !) {
    once(install_handlers);
    let action = SignalAction { handler: handler as *const () as usize, ..NO_ACTION };
    for place in 0..SIGNALS.len() - 1 {
        // SAFETY: there is one thread, and what the handlers run before this is written is the default.
        unsafe { (&raw mut PREVIOUS).cast::<SignalAction>().add(place).write(action) };
    }
}

/// The signals that the process handles without asking for the stack set apart (`SA_ONSTACK`): one of them that arrives while
/// guest code runs is handled on the guest's stack. The guest cannot touch what is there meanwhile, since it waits, but it chooses
/// how much room there is: without enough for the kernel's frame it is ended as if its stack were exhausted, and without enough for
/// the handler's own the process ends. What the handler leaves there, code of the guest's may read.
#[cfg(not(freestanding))]
pub fn handled_on_guest_stack() -> alloc::vec::Vec<i32> {
    let unprepared = |signal: &i32| {
        let mut action = NO_ACTION;
        let args = [*signal as usize, 0, &raw mut action as usize, 8, 0, 0];
        // SAFETY: the kernel fills in the structure, and changes nothing.
        let known = sys::check(unsafe { sys::syscall(number::RT_SIGACTION, args) });
        known.is_ok() && action.handler > 1 && action.flags & SA_ONSTACK == 0
    };
    (1..=64).filter(unprepared).collect()
}

/// The stack that handlers run on: the guest's may be full.
mod stack {
    #[cfg(not(freestanding))]
    use crate::memory::Reservation;
    use crate::sys::{self, number};

    const SIZE: usize = 64 << 10;
    #[cfg(not(freestanding))]
    const GUARD: usize = 4 << 10;
    #[cfg(not(freestanding))]
    const DISABLE: usize = 2;

    /// The kernel's stack_t.
    #[repr(C)]
    struct SignalStack {
        start: *mut u8,
        flags: usize,
        size: usize,
    }

    /// Has this thread's handlers run on a stack, which stays mapped until it is taken away.
    fn set(start: *mut u8) {
        let stack = SignalStack { start, flags: 0, size: SIZE };
        // SAFETY: the kernel reads the structure; nothing else uses the memory.
        unsafe { sys::syscall(number::SIGALTSTACK, [&raw const stack as usize, 0, 0, 0, 0, 0]) };
    }

    #[cfg(not(freestanding))]
    struct Alternate(Reservation);

    #[cfg(not(freestanding))]
    impl Alternate {
        fn new() -> Option<Alternate> {
            let memory = Reservation::new(GUARD + SIZE, sys::PROT_NONE).ok()?;
            memory.commit(GUARD, SIZE).ok()?;
            set(memory.start.wrapping_add(GUARD));
            Some(Alternate(memory))
        }
    }

    #[cfg(not(freestanding))]
    impl Drop for Alternate {
        fn drop(&mut self) {
            let mut stack = SignalStack { start: core::ptr::null_mut(), flags: 0, size: 0 };
            // SAFETY: the kernel fills in the structure; only a stack of ours is taken away.
            unsafe {
                sys::syscall(number::SIGALTSTACK, [0, &raw mut stack as usize, 0, 0, 0, 0]);
                if self.0.contains(stack.start as usize) {
                    let none = SignalStack { start: core::ptr::null_mut(), flags: DISABLE, size: 0 };
                    sys::syscall(number::SIGALTSTACK, [&raw const none as usize, 0, 0, 0, 0, 0]);
                }
            }
        }
    }

    #[cfg(not(freestanding))]
    pub fn install() {
        std::thread_local! {
            static STACK: Option<Alternate> = Alternate::new();
        }
        // At the end of a thread there may be none any more, and no guest to run either.
        let _ = STACK.try_with(|_| ());
    }

    /// A program's one thread has this; below it stands the program's code, which cannot be written (`stub.ld`).
    #[cfg(freestanding)]
    pub fn install() {
        #[repr(align(4096))]
        struct Memory(core::cell::UnsafeCell<[u8; SIZE]>);
        // SAFETY: the kernel alone uses it.
        unsafe impl Sync for Memory {}
        #[unsafe(link_section = ".bss.signal_stack")]
        static MEMORY: Memory = Memory(core::cell::UnsafeCell::new([0; SIZE]));
        set(MEMORY.0.get().cast());
    }
}

// -- handling --

// Indices into the general registers of the kernel's ucontext, which begin at byte 40.
const GREGS: usize = 40;
const R10: usize = 2;
const R15: usize = 7;
const RSP: usize = 15;
const RIP: usize = 16;

extern "C" fn handle(signal: i32, info: *mut u8, ucontext: *mut u8) {
    // SAFETY: the kernel passes valid structures; registers are read and written at their places in them. A context that is
    // current lives until its activation ends, and its store is not being changed while the guest's stack is in use.
    unsafe {
        let register = |n: usize| ucontext.add(GREGS + 8 * n).cast::<u64>();
        let (pc, rsp) = (register(RIP).read(), register(RSP).read());
        let code = info.add(8).cast::<i32>().read();
        let address = info.add(16).cast::<u64>().read();
        let context = current::get();
        let value = info.add(24).cast::<u64>().read();
        let from_timer = signal as usize == SIGALRM && code == SI_TIMER && value == TIMER_VALUE;
        if context.is_null() {
            if from_timer {
                return;
            }
            return chain(signal, code, info, ucontext);
        }
        let on_guest_stack = ((*context).stack_low..(*context).stack_high).contains(&rsp);
        // What the gate does on the guest's stack counts as the guest's call of it.
        let (pc, rsp) = if on_guest_stack && (from_timer || code == SI_KERNEL) && leaf::contains(pc) {
            ((rsp as *const u64).read(), rsp + 8)
        } else {
            (pc, rsp)
        };
        let noted = if !on_guest_stack {
            None
        } else if from_timer {
            trap::is_guest(&*(*context).store, pc).then_some(trap::TIMEOUT)
        } else if code > 0 {
            let address = if code == SI_KERNEL { None } else { Some(address) };
            trap::meaning(&*(*context).store, signal as usize, pc, rsp, address).map(|code| code as u64)
        } else {
            None
        };
        match noted {
            Some(code) => {
                (*context).trap_code = code;
                (*context).trap_pc = pc;
                (*context).trap_rsp = rsp;
                (*context).trap_instance = register(R15).read();
                register(RIP).write(trap_exit_address());
                register(RSP).write((*context).host_rsp);
                register(R10).write(context as u64);
            }
            // Host code is at work: it looks when it is done.
            None if from_timer => (&raw mut (*context).interrupted).write_volatile(1),
            None => chain(signal, code, info, ucontext),
        }
    }
}

/// Passes a signal on to the action that was there before.
fn chain(signal: i32, code: i32, info: *mut u8, ucontext: *mut u8) {
    let Some(place) = SIGNALS.iter().position(|known| *known == signal as usize) else { return };
    // SAFETY: written before the handler was installed, and not since; an old handler is called as it was declared.
    unsafe {
        let old = (&raw const PREVIOUS).cast::<SignalAction>().add(place).read();
        if cfg!(freestanding) && code <= 0 {
            sys::exit(128 + signal); // sent by another process, which is not what `guard` tells of
        }
        if old.handler > 1 {
            if old.flags & SA_SIGINFO != 0 {
                core::mem::transmute::<usize, extern "C" fn(i32, *mut u8, *mut u8)>(old.handler)(signal, info, ucontext);
            } else {
                core::mem::transmute::<usize, extern "C" fn(i32)>(old.handler)(signal);
            }
            return;
        }
        if code <= 0 && old.handler == 1 {
            return; // sent by someone, and ignored before
        }
        if code <= 0 {
            sys::exit(128 + signal); // sent by someone: nothing would raise it again
        }
        // The instruction runs again and meets the default.
        sys::syscall(number::RT_SIGACTION, [signal as usize, &raw const old as usize, 0, 8, 0, 0]);
    }
}
