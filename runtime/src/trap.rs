//! Traps: signals that guest code causes, and reports of where it was.
//!
//! A fault is the guest's if this thread is running guest code (known from the thread's own state, never from guest
//! registers), the program counter is in that store's code, and the address is one the code may fault at: a memory
//! reservation at a listed site, or the guard below the guest stack. Everything else goes to whoever handled it before.

use crate::enter::{Context, trap_exit_address};
use crate::layout::*;
use crate::manifest::{record, search};
use crate::shown::shown;
use crate::store::{Module, Store};
use crate::sys::{self, number};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrapKind {
    Code(TrapCode),
    /// The guest asked to end with this status.
    Exit(i32),
    /// The host refused something.
    Host(String),
}

/// One function of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    pub module: String,
    pub function: u32,
    pub name: Option<String>,
    /// Offset of the instruction in the Wasm module.
    pub offset: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    pub kind: TrapKind,
    /// Innermost first.
    pub backtrace: Vec<TraceEntry>,
}

impl Trap {
    pub fn code(code: TrapCode) -> Trap {
        Trap { kind: TrapKind::Code(code), backtrace: Vec::new() }
    }
    pub fn exit(status: i32) -> Trap {
        Trap { kind: TrapKind::Exit(status), backtrace: Vec::new() }
    }
    pub fn host(message: &str) -> Trap {
        Trap { kind: TrapKind::Host(message.to_string()), backtrace: Vec::new() }
    }

    pub fn message(&self) -> String {
        match &self.kind {
            TrapKind::Code(code) => code.message().to_string(),
            TrapKind::Exit(status) => alloc::format!("exit with status {status}"),
            TrapKind::Host(message) => message.clone(),
        }
    }

    /// Fills the backtrace from a program counter and the stack pointer of its frame.
    pub(crate) fn trace(&mut self, store: &Store, pc: u64, rsp: u64) {
        const MOST: usize = 64;
        if !self.backtrace.is_empty() || matches!(self.kind, TrapKind::Exit(_)) {
            return;
        }
        let (mut pc, mut rsp) = (pc, rsp);
        let low = store.stack.start as u64 + STACK_GUARD;
        let high = store.stack.start as u64 + store.stack.length as u64;
        while self.backtrace.len() < MOST {
            let Some(module) = store.modules.iter().find(|module| module.contains(pc as usize)) else { return };
            let offset = (pc - module.code as u64) as u32;
            let Some((frame_size, function)) = frame_at(module, offset) else { return };
            if function != u32::MAX {
                self.backtrace.push(TraceEntry {
                    module: module.manifest.name.clone(),
                    function,
                    name: name_of(module, function),
                    offset: site_at(module, offset).map(|(_, wasm)| wasm).filter(|wasm| *wasm != u32::MAX),
                });
            }
            let at = rsp.wrapping_add(u64::from(frame_size));
            if at < low || at + 8 > high {
                return;
            }
            // SAFETY: inside the committed part of the store's stack.
            pc = unsafe { (at as *const u64).read_unaligned() };
            rsp = at + 8;
        }
    }

    /// The report as users see it.
    pub fn report(&self) -> String {
        let mut text = String::new();
        if !self.backtrace.is_empty() {
            text.push_str("error while executing at wasm backtrace:\n");
        }
        for (number, entry) in self.backtrace.iter().enumerate() {
            let offset = entry.offset.map_or("?".to_string(), |offset| alloc::format!("{offset:#x}"));
            let module = if entry.module.is_empty() { "<unknown>".to_string() } else { shown(&entry.module) };
            let name = entry.name.as_deref().map(shown);
            let name = name.unwrap_or_else(|| alloc::format!("<wasm function {}>", entry.function));
            text.push_str(&alloc::format!("  {number:>3}: {offset:>8} - {module}!{name}\n"));
        }
        text.push_str(&alloc::format!("wasm trap: {}\n", self.message()));
        text
    }
}

/// Frame size and function at a code offset.
fn frame_at(module: &Module, offset: u32) -> Option<(u32, u32)> {
    let frames = &module.manifest.frames;
    let index = search(frames, 4, frames.len() / 16, offset)?;
    let end = record(frames, 4, index, 1)?;
    // A return address may be the end of a function whose last instruction is a call.
    (offset <= end).then_some((record(frames, 4, index, 2)?, record(frames, 4, index, 3)?))
}

/// Trap code (0 for a return address) and Wasm offset of a site.
fn site_at(module: &Module, offset: u32) -> Option<(u32, u32)> {
    let sites = &module.manifest.sites;
    let index = search(sites, 3, sites.len() / 12, offset)?;
    (record(sites, 3, index, 0)? == offset).then_some((record(sites, 3, index, 1)?, record(sites, 3, index, 2)?))
}

fn name_of(module: &Module, function: u32) -> Option<String> {
    let names = &module.manifest.names;
    let count = module.manifest.name_count as usize;
    let index = search(names, 3, count, function)?;
    if record(names, 3, index, 0)? != function {
        return None;
    }
    let start = count * 12 + record(names, 3, index, 1)? as usize;
    let bytes = names.get(start..start.checked_add(record(names, 3, index, 2)? as usize)?)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// The trap that the signal handler noted.
pub(crate) fn collect(store: &Store) -> Trap {
    let code = TrapCode::from_number(store.context.trap_code as u8).unwrap_or(TrapCode::Unreachable);
    let mut trap = Trap::code(code);
    trap.trace(store, store.context.trap_pc, store.context.trap_rsp);
    trap
}

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

pub(crate) fn set_current(context: *mut Context) -> *mut Context {
    current::set(context)
}

// -- signals --

const SIGILL: usize = 4;
const SIGBUS: usize = 7;
const SIGFPE: usize = 8;
const SIGSEGV: usize = 11;

const SIGNALS: [usize; 4] = [SIGILL, SIGBUS, SIGFPE, SIGSEGV];

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

#[repr(C)]
struct SignalStack {
    start: *mut u8,
    flags: i32,
    size: usize,
}

static mut PREVIOUS: [SignalAction; 4] = [NO_ACTION; 4];

core::arch::global_asm!("vwasm_signal_return:", "mov eax, 15", "syscall");

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

/// Installs the handlers, and an alternate stack for this thread.
pub(crate) fn install() {
    once(install_handlers);
    install_stack();
}

fn install_stack() {
    const SIZE: usize = 64 << 10;
    #[cfg(not(freestanding))]
    {
        std::thread_local! {
            static DONE: core::cell::Cell<bool> = const { core::cell::Cell::new(false) };
        }
        if DONE.with(|done| done.replace(true)) {
            return;
        }
    }
    if let Ok(start) = sys::map(SIZE, sys::PROT_READ | sys::PROT_WRITE) {
        let stack = SignalStack { start, flags: 0, size: SIZE };
        // SAFETY: the stack is mapped for good.
        unsafe { sys::syscall(number::SIGALTSTACK, [&raw const stack as usize, 0, 0, 0, 0, 0]) };
    }
}

const SA_SIGINFO: u64 = 4;
const SA_RESTORER: u64 = 0x0400_0000;
const SA_ONSTACK: u64 = 0x0800_0000;
const SA_NODEFER: u64 = 0x4000_0000;

/// Makes every fault that is not the guest's end in `handler`: an executable cut short faults where its pages are missing.
pub fn guard(handler: extern "C" fn() -> !) {
    for signal in SIGNALS {
        let action = SignalAction {
            handler: handler as *const () as usize,
            flags: SA_RESTORER | SA_ONSTACK,
            restorer: vwasm_signal_return as *const () as usize,
            mask: 0,
        };
        // SAFETY: the kernel copies the structure.
        unsafe { sys::syscall(number::RT_SIGACTION, [signal, &raw const action as usize, 0, 8, 0, 0]) };
    }
}

fn install_handlers() {
    for (number, &signal) in SIGNALS.iter().enumerate() {
        let action = SignalAction {
            handler: handle as *const () as usize,
            flags: SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_NODEFER,
            restorer: vwasm_signal_return as *const () as usize,
            mask: 0,
        };
        // SAFETY: runs once, before any handler can; the kernel copies both structures.
        unsafe {
            let old = (&raw mut PREVIOUS).cast::<SignalAction>().add(number);
            sys::syscall(number::RT_SIGACTION, [signal, &raw const action as usize, old as usize, 8, 0, 0]);
        }
    }
}

// Indices into the general registers of the kernel's ucontext, which begin at byte 40.
const GREGS: usize = 40;
const R10: usize = 2;
const RSP: usize = 15;
const RIP: usize = 16;

extern "C" fn handle(signal: i32, info: *const u8, ucontext: *mut u8) {
    // SAFETY: the kernel passes valid structures; registers are read and written at their places in them.
    unsafe {
        let register = |n: usize| ucontext.add(GREGS + 8 * n).cast::<u64>();
        let address = info.add(16).cast::<u64>().read();
        let context = current::get();
        if !context.is_null()
            && let Some(code) = classify(&*(*context).store, signal as usize, register(RIP).read(), address)
        {
            (*context).trap_code = code as u64;
            (*context).trap_pc = register(RIP).read();
            (*context).trap_rsp = register(RSP).read();
            register(RIP).write(trap_exit_address());
            register(RSP).write((*context).host_rsp);
            register(R10).write(context as u64);
            return;
        }
        // Not ours: the previous action takes the fault when the instruction runs again.
        if let Some(number) = SIGNALS.iter().position(|known| *known == signal as usize) {
            let old = (&raw const PREVIOUS).cast::<SignalAction>().add(number);
            sys::syscall(number::RT_SIGACTION, [signal as usize, old as usize, 0, 8, 0, 0]);
        }
    }
}

/// The trap that a fault in guest code means, if it is one.
fn classify(store: &Store, signal: usize, pc: u64, address: u64) -> Option<TrapCode> {
    let module = store.modules.iter().find(|module| module.contains(pc as usize))?;
    let offset = (pc - module.code as u64) as u32;
    if signal == SIGSEGV || signal == SIGBUS {
        let guard = store.stack.start as u64..store.stack.start as u64 + STACK_GUARD;
        if guard.contains(&address) {
            return Some(TrapCode::CallStackExhausted);
        }
        let (code, _) = site_at(module, offset)?;
        let inside = store.regions.iter().any(|region| region.contains(address as usize));
        return TrapCode::from_number(code as u8).filter(|code| inside && *code == TrapCode::OutOfBoundsMemoryAccess);
    }
    let (code, _) = site_at(module, offset)?;
    TrapCode::from_number(code as u8).filter(|_| signal == SIGILL)
}
