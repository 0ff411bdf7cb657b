//! Traps: why guest code ended, and where it was.
//!
//! Takes what the signal handler noted or a gate refused; gives the reason and a backtrace from the frame tables of the modules.
//! The guest stack is read within its bounds only.

use crate::layout::*;
use crate::manifest::{INLINED, LINE, Manifest, record, search};
use crate::shown::shown;
use crate::signal::{SIGBUS, SIGFPE, SIGILL, SIGSEGV};
use crate::store::{Module, Store};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrapKind {
    Code(TrapCode),
    /// The guest asked to end with this status.
    Exit(i32),
    /// The host refused something.
    Host(String),
    /// The guest's time is over.
    Timeout,
    /// Another thread ended it.
    Interrupted,
}

/// What the signal handler notes for a timeout, in the place of a trap code.
pub(crate) const TIMEOUT: u64 = 0xff;

/// One function of a backtrace. Names longer than [`MOST_NAME`] bytes are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    pub module: String,
    pub function: u32,
    /// Number of the instance in its store.
    pub instance: Option<u32>,
    pub name: Option<String>,
    /// Offset of the instruction in the Wasm module.
    pub offset: Option<u32>,
    /// Offset of the function's body in the Wasm module.
    pub body: Option<u32>,
    /// File and line of the source.
    pub line: Option<(String, u32)>,
    /// The functions that the source's compiler inlined there, innermost first.
    pub inlined: Vec<Inlined>,
}

/// A function that is part of another one's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inlined {
    pub name: Option<String>,
    /// Where it is called: in the next one, or the function itself.
    pub called: Option<(String, u32)>,
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

    pub fn timeout() -> Trap {
        Trap { kind: TrapKind::Timeout, backtrace: Vec::new() }
    }

    pub fn message(&self) -> String {
        match &self.kind {
            TrapKind::Code(code) => code.message().to_string(),
            TrapKind::Exit(status) => alloc::format!("exit with status {status}"),
            TrapKind::Host(message) => message.clone(),
            TrapKind::Timeout => "the time limit is reached".to_string(),
            TrapKind::Interrupted => "interrupted".to_string(),
        }
    }

    /// Fills the backtrace from a program counter, the stack pointer of its frame, and r15.
    pub(crate) fn trace(&mut self, store: &Store, pc: u64, rsp: u64, r15: u64) {
        const MOST: usize = 64;
        if !self.backtrace.is_empty() || matches!(self.kind, TrapKind::Exit(_)) {
            return;
        }
        let (mut pc, mut rsp, mut r15) = (pc, rsp, r15);
        let low = store.stack.start as u64 + STACK_GUARD;
        let high = store.stack.start as u64 + store.stack.length as u64;
        while self.backtrace.len() < MOST {
            let Some(module) = store.modules.iter().find(|module| module.contains(pc as usize)) else { return };
            let offset = (pc - module.code as u64) as u32;
            let Some((frame_size, function)) = frame_at(module, offset) else { return };
            if function != u32::MAX {
                let offset = site_at(module, offset).map(|(_, wasm)| wasm).filter(|wasm| *wasm != u32::MAX);
                let (line, inlined) = offset.and_then(|offset| source_of(&module.manifest, offset)).unwrap_or_default();
                self.backtrace.push(TraceEntry {
                    module: short(module.manifest.name.as_bytes()),
                    function,
                    instance: store.instance_at(r15),
                    name: name_of(&module.manifest, function).map(short),
                    offset,
                    body: body_of(&module.manifest, function),
                    line,
                    inlined,
                });
            }
            let at = rsp.wrapping_add(u64::from(frame_size));
            if at < low || at > high - 8 {
                return;
            }
            // SAFETY: inside the committed part of the store's stack; both words, the second if it is not below.
            unsafe {
                pc = (at as *const u64).read_unaligned();
                // A far thunk keeps its caller's r15 in the last word of its frame.
                if function == u32::MAX && at >= low + 8 {
                    r15 = ((at - 8) as *const u64).read_unaligned();
                }
            }
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
            let mut place = &entry.line;
            let mut begin = alloc::format!("  {number:>3}: {offset:>8}");
            let mut tell = |name: String, place: &Option<(String, u32)>| {
                text.push_str(&alloc::format!("{begin} - {module}!{name}\n"));
                if let Some((file, line)) = place {
                    text.push_str(&alloc::format!("{:17}at {}:{line}\n", "", shown(file)));
                }
                begin = " ".repeat(15);
            };
            for inlined in &entry.inlined {
                tell(inlined.name.as_deref().map_or("<inlined function>".to_string(), shown), place);
                place = &inlined.called;
            }
            let name = entry.name.as_deref().map(shown);
            tell(name.unwrap_or_else(|| alloc::format!("<wasm function {}>", entry.function)), place);
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

fn body_of(manifest: &Manifest, function: u32) -> Option<u32> {
    let defined = function.checked_sub(manifest.shape.function_imports)?;
    manifest.functions.get(defined as usize).map(|function| function.body)
}

/// Trap code (0 for a return address) and Wasm offset of a site.
fn site_at(module: &Module, offset: u32) -> Option<(u32, u32)> {
    let sites = &module.manifest.sites;
    let index = search(sites, 3, sites.len() / 12, offset)?;
    (record(sites, 3, index, 0)? == offset).then_some((record(sites, 3, index, 1)?, record(sites, 3, index, 2)?))
}

/// Most bytes of a name in a backtrace. Modules may have names of any length, and a backtrace the same one again and again.
pub const MOST_NAME: usize = 256;

/// A name as text, cut where a character begins, with a mark, if it is too long.
fn short(name: &[u8]) -> String {
    if name.len() <= MOST_NAME {
        return String::from_utf8_lossy(name).into_owned();
    }
    let begins = |at: &usize| name[*at] & 0xc0 != 0x80;
    let end = (MOST_NAME - 3..=MOST_NAME).rev().find(begins).unwrap_or(MOST_NAME);
    String::from_utf8_lossy(&name[..end]).into_owned() + "…"
}

/// What the module calls a function.
pub fn function_name(manifest: &Manifest, function: u32) -> Option<String> {
    name_of(manifest, function).map(|name| String::from_utf8_lossy(name).into_owned())
}

fn name_of(manifest: &Manifest, function: u32) -> Option<&[u8]> {
    let names = &manifest.names;
    let count = manifest.name_count as usize;
    let index = search(names, 3, count, function)?;
    if record(names, 3, index, 0)? != function {
        return None;
    }
    let start = count * 12 + record(names, 3, index, 1)? as usize;
    names.get(start..start.checked_add(record(names, 3, index, 2)? as usize)?)
}

/// File and line of an offset in the module, and the functions inlined there.
fn source_of(manifest: &Manifest, offset: u32) -> Option<(Option<(String, u32)>, Vec<Inlined>)> {
    const DEEPEST: usize = 32;
    let (lines, calls) = manifest.lines.split_at_checked(manifest.line_count as usize * LINE)?;
    let (calls, text) = calls.split_at_checked(manifest.inlined_count as usize * INLINED)?;
    let name = |start: u32, length: u32| text.get(start as usize..(start as usize).checked_add(length as usize)?).map(short);
    let place = |start, length, line| Some((name(start, length)?, line)).filter(|(_, line)| *line != 0);
    let index = search(lines, LINE / 4, manifest.line_count as usize, offset)?;
    let field = |field| record(lines, LINE / 4, index, field);
    let line = place(field(1)?, field(2)?, field(3)?);
    let (mut inlined, mut next) = (Vec::new(), field(4)?);
    while next != 0 && inlined.len() < DEEPEST {
        let field = |field| record(calls, INLINED / 4, next as usize - 1, field);
        let callee = name(field(0)?, field(1)?).filter(|name| !name.is_empty());
        inlined.push(Inlined { name: callee, called: place(field(2)?, field(3)?, field(4)?) });
        // A lower number, so that there is an end.
        next = field(5).filter(|outer| *outer < next)?;
    }
    Some((line, inlined))
}

/// The trap that the signal handler noted.
pub(crate) fn collect(store: &mut Store) -> Trap {
    let mut trap = match TrapCode::from_number(store.context.trap_code as u8) {
        _ if store.context.trap_code == TIMEOUT => Trap::timeout(),
        Some(code) => Trap::code(code),
        None => Trap::host("an unknown trap"),
    };
    if trap.kind == TrapKind::Code(TrapCode::AllFuelConsumed) {
        store.exhaust_fuel();
    }
    let context = &store.context;
    trap.trace(store, context.trap_pc, context.trap_rsp, context.trap_instance);
    trap
}

/// Whether a program counter is in guest code.
pub(crate) fn is_guest(store: &Store, pc: u64) -> bool {
    store.modules.iter().any(|module| module.contains(pc as usize))
}

/// The trap that a fault in guest code means, if it is one: a `ud2`, an access in a memory's reservation, one in the guard below
/// the guest stack, or a fault of no address near the stack's end: then the kernel had no room there for a handler of the host's.
/// The sites say which trap a `ud2` is, nothing more: nobody checks them.
pub(crate) fn meaning(store: &Store, signal: usize, pc: u64, rsp: u64, address: Option<u64>) -> Option<TrapCode> {
    /// More than the kernel puts on a stack for a handler.
    const SIGNAL_FRAME: u64 = 64 << 10;
    let module = store.modules.iter().find(|module| module.contains(pc as usize))?;
    let offset = (pc - module.code as u64) as u32;
    if signal == SIGSEGV || signal == SIGBUS {
        let end = store.stack.start as u64 + STACK_GUARD;
        let Some(address) = address else {
            return (rsp.wrapping_sub(end) < SIGNAL_FRAME).then_some(TrapCode::CallStackExhausted);
        };
        let guard = store.stack.start as u64..store.stack.start as u64 + STACK_GUARD;
        if guard.contains(&address) {
            return Some(TrapCode::CallStackExhausted);
        }
        let inside = store.regions.iter().any(|region| region.contains(address as usize));
        return inside.then_some(TrapCode::OutOfBoundsMemoryAccess);
    }
    if signal == SIGFPE {
        // The compiler tests divisors; code that does not is stopped all the same.
        return Some(TrapCode::IntegerDivideByZero);
    }
    let listed = site_at(module, offset).and_then(|(code, _)| TrapCode::from_number(code as u8));
    (signal == SIGILL).then_some(listed.unwrap_or(TrapCode::Unreachable))
}
