//! The stub: what a compiled executable runs before and around its guest.
//!
//! Takes the payload that `vwasm compile` put at a fixed address (image.rs) and the process's arguments; makes one instance
//! with WASI, runs `_start`, and exits with the guest's status, or with 134 after a trap. No std, no libc, one thread.

#![no_std]
#![no_main]

extern crate alloc;

mod heap;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::arch::global_asm;
use vwasm_runtime::image::{ImageHeader, MAGIC, PAYLOAD_ADDRESS};
use vwasm_runtime::instance::InstantiateError;
use vwasm_runtime::manifest::Manifest;
use vwasm_runtime::shown::shown;
use vwasm_runtime::store::{Config, Extern, Module, Store};
use vwasm_runtime::sys;
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

/// A NUL-terminated string of the process's arguments or environment.
///
/// # Safety
/// The pointer must come from the kernel's initial stack.
unsafe fn c_string(pointer: *const u8) -> Vec<u8> {
    let mut length = 0;
    // SAFETY: the kernel's strings end with a NUL.
    unsafe {
        while *pointer.add(length) != 0 {
            length += 1;
        }
        core::slice::from_raw_parts(pointer, length).to_vec()
    }
}

extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel's initial stack: argument count, argument pointers, NULL, environment pointers, NULL.
    let (arguments, show_grants) = unsafe {
        let count = *stack;
        let arguments: Vec<Vec<u8>> = (0..count).map(|n| c_string(*stack.add(1 + n) as *const u8)).collect();
        let mut environment = stack.add(2 + count);
        let mut show = false;
        while *environment != 0 {
            show |= c_string(*environment as *const u8) == b"VWASM_SHOW_GRANTS=1";
            environment = environment.add(1);
        }
        (arguments, show)
    };
    vwasm_runtime::trap::guard(fault);
    // SAFETY: the payload's first segment is mapped here in every executable the compiler writes.
    let header = unsafe { (PAYLOAD_ADDRESS as *const ImageHeader).read() };
    if header.magic != MAGIC {
        fail("this executable has no program in it; it was not written by vwasm compile");
    }
    if !header.is_placed() {
        damaged();
    }
    // SAFETY: the header says where the mapped manifest is; if the file ends before it does, the handler of `guard` ends the
    // process.
    let manifest = unsafe { core::slice::from_raw_parts(header.manifest as *const u8, header.manifest_length as usize) };
    let decoded = Manifest::decode(manifest).ok();
    let fits = |manifest: &Manifest| manifest.is_consistent(header.code_length, header.data_length);
    let Some(manifest) = decoded.filter(fits) else { damaged() };
    if show_grants {
        grants(&manifest);
    }
    let missing = vwasm_runtime::cpu::missing(manifest.features);
    if !missing.is_empty() {
        fail(&format!("this program needs a CPU with {missing}; compile it with --cpu x86-64-v2 for older CPUs"));
    }
    match run(manifest, &header, arguments) {
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
        text.push_str(&format!("directory {host} as {guest}\n"));
    }
    for (key, value) in &manifest.grants.environment {
        text.push_str(&format!("environment {key}={value}\n"));
    }
    if let Some(pages) = manifest.grants.max_memory_pages {
        text.push_str(&format!("memory at most {} bytes\n", u64::from(pages) << 16));
    }
    text.push_str(&format!("stack {} bytes\n", manifest.grants.stack_size));
    for import in &manifest.imports {
        text.push_str(&format!("import {}.{}\n", shown(&import.module), shown(&import.name)));
    }
    sys::write_all(1, text.as_bytes());
    sys::exit(0)
}

fn run(manifest: Manifest, header: &ImageHeader, arguments: Vec<Vec<u8>>) -> Result<(), Trap> {
    let grants = manifest.grants.clone();
    let config = Config {
        stack_size: grants.stack_size,
        max_memory_pages: grants.max_memory_pages.map_or(1 << 16, u64::from),
    };
    let mut store = Store::new(config).unwrap_or_else(|error| fail(&format!("not enough address space (error {error})")));
    let config =
        wasi::Config { arguments, environment: grants.environment.clone(), directories: grants.directories.clone() };
    let wasi = Wasi::new(&config).unwrap_or_else(|(directory, error)| {
        fail(&format!("the directory {directory}, granted when this program was compiled, cannot be opened (errno {error})"))
    });
    let mut imports = Vec::new();
    for import in &manifest.imports {
        match Wasi::function(&wasi, &mut store, &import.name) {
            Some(function) if import.module == "wasi_snapshot_preview1" => imports.push(Extern::Function(function)),
            _ => fail(&format!("nothing provides the import {}.{}", shown(&import.module), shown(&import.name))),
        }
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
    let instance = store.instantiate(&Rc::new(module), &imports).map_err(|error| match error {
        InstantiateError::Trap(trap) => trap,
        InstantiateError::Link(message) | InstantiateError::Resources(message) => Trap::host(&message),
    })?;
    match store.export(instance, "_start") {
        Some(Extern::Function(start)) => store.invoke(start, &[], &mut []),
        _ => Ok(()),
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    sys::write_all(2, format!("error: internal error of the vwasm runtime: {info}\n").as_bytes());
    sys::exit(TRAPPED)
}
