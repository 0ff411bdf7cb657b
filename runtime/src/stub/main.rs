//! The stub: what a compiled executable runs before and around its guest.
//!
//! Takes the payload that `vwasm compile` put at a fixed address (image.rs) and the process's arguments; makes one instance
//! with WASI, confines the process, runs `_start`, or calls another export and prints its results, and exits with the guest's
//! status, or with 134 after a trap. No std, no libc, one thread.

#![no_std]
#![no_main]

extern crate alloc;

mod confine;
mod heap;
mod narrow;

use alloc::format;
use alloc::sync::Arc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::arch::global_asm;
use vwasm_runtime::image::{ImageHeader, MAGIC, PAYLOAD_ADDRESS};
use vwasm_runtime::instance::InstantiateError;
use vwasm_runtime::interrupt::Deadline;
use vwasm_runtime::manifest::{Call, Manifest, ValueType};
use vwasm_runtime::shown::{shown, shown_whole};
use vwasm_runtime::store::{Config, Extern, Module, Store};
use vwasm_runtime::sys::{self, number};
use vwasm_runtime::trap::{Trap, TrapKind};
use vwasm_runtime::wasi::{self, Wasi};

global_asm!(".globl _start", "_start:", "xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym main);

/// Status after a trap, as for a process ended by SIGABRT.
const TRAPPED: i32 = 134;
const FAILED: i32 = 1;

fn fail(message: &str) -> ! {
    sys::write_all(2, format!("error: {message}\n").as_bytes());
    sys::exit(FAILED)
}

fn damaged() -> ! {
    fail("this executable is damaged: it is not as vwasm compile wrote it")
}

extern "C" fn fault() -> ! {
    damaged()
}

/// A NUL-terminated string of the process's arguments or environment, which stay.
///
/// # Safety
/// The pointer must come from the kernel's initial stack.
unsafe fn c_string(pointer: *const u8) -> &'static [u8] {
    let mut length = 0;
    // SAFETY: the kernel's strings end with a NUL, and nothing writes to them.
    unsafe {
        while *pointer.add(length) != 0 {
            length += 1;
        }
        core::slice::from_raw_parts(pointer, length)
    }
}

/// What the environment of the process says to the stub; the guest does not see it.
#[derive(Default)]
struct Wishes {
    show_grants: bool,
    trace: bool,
    narrow: &'static [u8],
}

impl Wishes {
    fn read(&mut self, variable: &'static [u8]) {
        match variable {
            b"VWASM_SHOW_GRANTS=1" => self.show_grants = true,
            b"VWASM_TRACE=wasi" => self.trace = true,
            _ => {
                if let Some(list) = variable.strip_prefix(b"VWASM_NARROW=") {
                    self.narrow = list;
                }
            }
        }
    }
}

/// Standard streams that are closed become `/dev/null`, so that nothing opened later takes their place; a closed pipe is told
/// to the guest as an error, not to the process as a signal.
fn prepare_process() {
    const O_RDWR: usize = 2;
    const SIGPIPE: usize = 13;
    const IGNORE: [u64; 4] = [1, 0, 0, 0];
    const F_GETFD: usize = 1;
    // SAFETY: the kernel reads the path and the action.
    unsafe {
        for fd in 0..3 {
            let open = sys::check(sys::syscall(number::FCNTL, [fd, F_GETFD, 0, 0, 0, 0]));
            if open == Err(sys::errno::EBADF) {
                let args = [0, c"/dev/null".as_ptr() as usize, O_RDWR, 0, 0, 0];
                if sys::check(sys::syscall(number::OPENAT, args)) != Ok(fd) {
                    fail("a standard stream is closed, and /dev/null cannot take its place");
                }
            }
        }
        sys::syscall(number::RT_SIGACTION, [SIGPIPE, IGNORE.as_ptr() as usize, 0, 8, 0, 0]);
    }
}

extern "C" fn main(stack: *const usize) -> ! {
    heap::begin();
    prepare_process();
    const AT_HWCAP2: usize = 26;
    // SAFETY: the kernel's initial stack: argument count, argument pointers, NULL, environment pointers, NULL, then pairs of
    // which the last begins with 0.
    let (arguments, wishes, capabilities) = unsafe {
        let count = *stack;
        let arguments: Vec<Vec<u8>> = (0..count).map(|n| c_string(*stack.add(1 + n) as *const u8).to_vec()).collect();
        let mut environment = stack.add(2 + count);
        let mut wishes = Wishes::default();
        while *environment != 0 {
            wishes.read(c_string(*environment as *const u8));
            environment = environment.add(1);
        }
        let mut pair = environment.add(1);
        while *pair != AT_HWCAP2 && *pair != 0 {
            pair = pair.add(2);
        }
        (arguments, wishes, if *pair == 0 { 0 } else { *pair.add(1) })
    };
    vwasm_runtime::signal::guard(fault);
    // SAFETY: the payload's first segment is mapped here in every executable the compiler writes.
    let header = unsafe { (PAYLOAD_ADDRESS as *const ImageHeader).read() };
    if header.magic != MAGIC {
        fail("this executable has no program in it; it was not written by vwasm compile");
    }
    if !header.is_placed() {
        damaged();
    }
    // SAFETY: the header says where the manifest is mapped, for the life of the process; if the file ends before it does, the
    // handler of `guard` ends the process.
    let manifest = unsafe { core::slice::from_raw_parts(header.manifest as *const u8, header.manifest_length as usize) };
    let decoded = Manifest::decode_in_place(manifest).ok();
    let fits = |manifest: &Manifest| manifest.is_consistent(header.code_length, header.data_length);
    let Some(mut manifest) = decoded.filter(fits) else { damaged() };
    let narrow = String::from_utf8_lossy(wishes.narrow);
    let confined = narrow::narrow(&mut manifest.grants, &narrow)
        .unwrap_or_else(|item| fail(&format!("VWASM_NARROW: `{}` is not understood", shown(item))));
    if wishes.show_grants {
        grants(&manifest);
    }
    let missing = vwasm_runtime::cpu::missing(manifest.features, capabilities);
    if !missing.is_empty() {
        fail(&format!("this program needs a CPU with {missing}; compile it with --cpu x86-64-v2 for older CPUs"));
    }
    match run(manifest, &header, arguments, wishes.trace, confined) {
        Ok(()) => sys::exit(0),
        Err(trap) => match trap.kind {
            TrapKind::Exit(status) => sys::exit(status),
            _ => {
                sys::write_all(2, b"error: ");
                sys::write_all(2, trap.report().as_bytes());
                sys::exit(TRAPPED)
            }
        },
    }
}

/// Says what the program may use, and ends.
fn grants(manifest: &Manifest) -> ! {
    let mut text = String::new();
    for (host, guest) in &manifest.grants.directories {
        text.push_str(&format!("directory {} as {}\n", shown_whole(host), shown_whole(guest)));
    }
    for (key, value) in &manifest.grants.environment {
        text.push_str(&format!("environment {}={}\n", shown_whole(key), shown_whole(value)));
    }
    let limits = &manifest.grants;
    for fd in &limits.sockets {
        text.push_str(&format!("socket {fd}\n"));
    }
    for (limit, what, unit) in [
        (limits.max_memory_pages.map(|pages| u64::from(pages) << 16), "memory at most", "bytes"),
        (limits.max_table_elements.map(u64::from), "each table at most", "elements"),
        (limits.max_open_files.map(u64::from), "open files at most", "at a time"),
        (limits.max_output, "output at most", "bytes"),
        (limits.timeout, "time at most", "milliseconds"),
        (limits.fuel, "fuel at most", "units"),
        (Some(limits.stack_size), "stack", "bytes"),
    ] {
        if let Some(limit) = limit {
            text.push_str(&format!("{what} {limit} {unit}\n"));
        }
    }
    for import in &manifest.imports {
        text.push_str(&format!("import {}.{}\n", shown_whole(&import.module), shown_whole(&import.name)));
    }
    if let Some(call) = &limits.call {
        text.push_str(&format!("call {}\n", shown_whole(&call.export)));
    }
    sys::write_all(1, text.as_bytes());
    sys::exit(0)
}

fn run(manifest: Manifest, header: &ImageHeader, arguments: Vec<Vec<u8>>, trace: bool, confined: bool) -> Result<(), Trap> {
    let mut store = Config::new(&manifest)
        .and_then(Store::new)
        .unwrap_or_else(|error| fail(&format!("not enough address space (error {error})")));
    let grants = manifest.grants.clone();
    let (timeout, wanted) = (grants.timeout, grants.call.clone());
    store.set_fuel(grants.fuel);
    let wasi = Wasi::new(&wasi::Config { arguments, grants, trace }).unwrap_or_else(|(granted, error)| {
        fail(&format!("{}, granted when this program was compiled, cannot be had (errno {error})", shown_whole(&granted)))
    });
    let mut imports = Vec::new();
    for import in &manifest.imports {
        match Wasi::function(&wasi, &mut store, &import.module, &import.name) {
            Some(function) => imports.push(Extern::Function(function)),
            None => fail(&format!("nothing provides the import {}.{}", shown(&import.module), shown(&import.name))),
        }
    }
    let deadline = timeout.map(Deadline::start).transpose();
    let _deadline = deadline.unwrap_or_else(|error| fail(&format!("no timer for the time limit (error {error})")));
    if let Err(lacking) = confine::confine(&manifest, &wasi.borrow().granted())
        && confined
    {
        fail(&format!("this kernel has no {lacking}, and VWASM_NARROW asks to be confined"));
    }
    // SAFETY: the kernel mapped both segments for the life of the process.
    let module = unsafe {
        Module::from_mapped(
            manifest,
            header.code as *const u8,
            header.code_length as usize,
            header.data as *const u8,
            header.data_length as usize,
        )
    };
    let instance = store.instantiate(&Arc::new(module), &imports).map_err(|error| match error {
        InstantiateError::Trap(trap) => trap,
        InstantiateError::Link(message) | InstantiateError::Resources(message) => Trap::host(&message),
    })?;
    let outcome = begin(&mut store, instance, wanted.as_ref());
    // The process ends now, and its memory with it.
    core::mem::forget(store);
    outcome
}

/// Runs the program, or calls what is wanted instead; in a module that is a library, what makes it ready comes first.
fn begin(store: &mut Store, instance: u32, wanted: Option<&Call>) -> Result<(), Trap> {
    if let Some(Extern::Function(initialize)) = store.export(instance, "_initialize") {
        store.invoke(initialize, &[], &mut [])?;
    }
    match (wanted, store.export(instance, wanted.map_or("_start", |call| &call.export))) {
        (None, Some(Extern::Function(start))) => store.invoke(start, &[], &mut []),
        (Some(call), Some(Extern::Function(function))) => print_results(store, function, &call.arguments),
        _ => Ok(()),
    }
}

/// Calls a function and prints its results, each on a line.
fn print_results(store: &mut Store, function: u32, arguments: &[u64]) -> Result<(), Trap> {
    let types = store.function_type(function).map_or(Vec::new(), |ty| ty.results.clone());
    let mut results = vec![0; types.len()];
    store.invoke(function, arguments, &mut results)?;
    let mut text = String::new();
    for (ty, value) in types.iter().zip(results) {
        text.push_str(&match ty {
            ValueType::I32 => format!("{}\n", value as i32),
            ValueType::I64 => format!("{}\n", value as i64),
            ValueType::F32 => format!("{}\n", f32::from_bits(value as u32)),
            ValueType::F64 => format!("{}\n", f64::from_bits(value)),
            _ => format!("reference {value}\n"),
        });
    }
    sys::write_all(1, text.as_bytes());
    Ok(())
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    sys::write_all(2, format!("error: internal error of the vwasm runtime: {info}\n").as_bytes());
    sys::exit(TRAPPED)
}
