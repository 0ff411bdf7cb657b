//! The code between host and guest: entering, the host gate, the runtime gate, and leaving on a trap.
//!
//! Takes a [`CallFrame`]; `enter` runs the guest on its own stack and comes back with results, or with `false` after a trap or
//! an exit. Invariants: guest code runs with the guest's MXCSR and the direction flag clear, and sees in registers only its
//! arguments (upper halves of the vector registers included); host code runs with the host's MXCSR, the direction flag clear, on
//! the host's stack. Every way out passes through the code in this file, but for what `leaf` does itself.

use crate::layout::*;
use crate::store::Store;
use core::arch::global_asm;

/// What the assembly code shares with the rest: one for each store. Field offsets are used below.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    /// Top of the guest stack for the next entry; while host code runs, the guest's rsp at the gate.
    pub guest_rsp: u64,
    /// Where the innermost `enter` saved the host's state; 0 when no guest is active.
    pub host_rsp: u64,
    /// The store, while guest code of it is active: as whoever entered it has it.
    pub store: *mut Store,
    /// Set by the signal handler.
    pub trap_pc: u64,
    pub trap_rsp: u64,
    pub trap_code: u64,
    /// Set by the signal handler when the guest's time is over and host code is at work.
    pub interrupted: u64,
    /// The guest stack with its guard.
    pub stack_low: u64,
    pub stack_high: u64,
    /// r15 at the trap; set by the signal handler.
    pub trap_instance: u64,
}

impl Default for Context {
    fn default() -> Context {
        Context {
            guest_rsp: 0,
            host_rsp: 0,
            store: core::ptr::slice_from_raw_parts_mut(core::ptr::null_mut::<()>(), 0) as *mut Store,
            trap_pc: 0,
            trap_rsp: 0,
            trap_code: 0,
            interrupted: 0,
            stack_low: 0,
            stack_high: 0,
            trap_instance: 0,
        }
    }
}

/// Arguments and results of one entry. Field offsets are used below.
#[repr(C)]
pub struct CallFrame {
    pub code: u64,
    pub instance: u64,
    pub integers: [u64; 6],
    pub floats: [u64; 8],
    /// Parameter words, then room for result words.
    pub words: *mut u64,
    pub word_count: u64,
    pub parameter_words: u64,
}

impl CallFrame {
    pub fn new(code: u64, instance: u64) -> CallFrame {
        CallFrame {
            code,
            instance,
            integers: [0; 6],
            floats: [0; 8],
            words: core::ptr::null_mut(),
            word_count: 0,
            parameter_words: 0,
        }
    }
}

/// What a gate hands to its handler. Field offsets are used below.
#[repr(C)]
pub struct GateFrame {
    /// Slot address (host gate) or gate number (runtime gate).
    pub selector: u64,
    /// r15 of the caller.
    pub instance: u64,
    pub integers: [u64; 6],
    pub floats: [u64; 8],
    /// Points at the return address; parameter words follow, then result words.
    pub guest_rsp: u64,
    /// Bytes of parameter words to pop.
    pub pop: u64,
    pub context: *mut Context,
}

// The pointer to the store inside the context is opaque to the assembly code.
#[allow(improper_ctypes)]
unsafe extern "C" {
    fn vwasm_enter(context: *mut Context, frame: *mut CallFrame) -> u32;
    fn vwasm_host_gate();
    fn vwasm_trap_exit();
    /// Whether any guest can see the upper halves of vector registers: then the CPU has them, and they are scrubbed.
    static mut vwasm_scrubs_upper_halves: u8;
}

/// Tells the code between host and guest what code it will enter needs of the CPU (bits of the manifest), before it does.
pub fn prepare(features: u32) {
    if crate::cpu::sees_upper_halves(features) {
        // SAFETY: a byte, which only ever changes from 0 to 1; guests of threads that still see 0 cannot tell.
        unsafe { core::sync::atomic::AtomicU8::from_ptr(&raw mut vwasm_scrubs_upper_halves) }
            .store(1, core::sync::atomic::Ordering::Relaxed);
    }
}

/// Runs guest code; false after a trap or an exit.
pub fn enter(store: &mut Store, frame: &mut CallFrame) -> bool {
    // A time limit of before is not this entry's; one that still holds sends its signal again.
    store.context.interrupted = 0;
    let context: *mut Context = &mut *store.context;
    let outer_store = store.context.store;
    // SAFETY: the context stays where it is while the store lives. Gates reach the store through the pointer that is put there:
    // the store is lent to them for the time of the call, during which this function does not touch it. Code and instance come
    // from a function record of the store, whose memory outlives the call; the guest stack and the words are the store's and
    // the caller's.
    unsafe {
        (*context).store = store;
        let outer = crate::signal::set_current(context);
        let status = vwasm_enter(context, frame);
        crate::signal::set_current(outer);
        (*context).store = outer_store;
        status == 0
    }
}

pub fn host_gate_address() -> u64 {
    vwasm_host_gate as *const () as u64
}

pub fn trap_exit_address() -> u64 {
    vwasm_trap_exit as *const () as u64
}

global_asm!(
    r#"
    .pushsection .rodata
    .balign 4
vwasm_guest_mxcsr: .long 0x1f80
    .popsection
    .pushsection .bss
    .globl vwasm_scrubs_upper_halves
vwasm_scrubs_upper_halves: .byte 0
    .popsection

    .globl vwasm_enter
vwasm_enter:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    sub rsp, 16
    stmxcsr [rsp]
    mov [rsp + 8], rsi
    push qword ptr [rdi + 8]        // host_rsp of the entry around this one
    push qword ptr [rdi]            // guest_rsp to restore
    push rdi
    sub rsp, 8
    mov [rdi + 8], rsp
    ldmxcsr [rip + vwasm_guest_mxcsr]
    cld
    cmp byte ptr [rip + vwasm_scrubs_upper_halves], 0
    je 20f
    vzeroupper
20: mov r10, rsi
    mov rax, [rdi]
    and rax, -16
    mov rcx, [r10 + 136]
    lea rdx, [rcx * 8]
    sub rax, rdx
    mov rsp, rax
    mov rsi, [r10 + 128]
    xor edx, edx
2:  cmp rdx, rcx
    jae 3f
    mov rax, [rsi + rdx * 8]
    mov [rsp + rdx * 8], rax
    inc rdx
    jmp 2b
3:  mov r15, [r10 + 8]
    mov r11, [r10]
    movsd xmm0, [r10 + 64]
    movsd xmm1, [r10 + 72]
    movsd xmm2, [r10 + 80]
    movsd xmm3, [r10 + 88]
    movsd xmm4, [r10 + 96]
    movsd xmm5, [r10 + 104]
    movsd xmm6, [r10 + 112]
    movsd xmm7, [r10 + 120]
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    xorps xmm\n, xmm\n
    .endr
    mov rdi, [r10 + 16]
    mov rsi, [r10 + 24]
    mov rdx, [r10 + 32]
    mov rcx, [r10 + 40]
    mov r8, [r10 + 48]
    mov r9, [r10 + 56]
    xor eax, eax
    xor ebx, ebx
    xor ebp, ebp
    xor r10d, r10d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    call r11
    // Back: rsp is at the result words.
    mov r10, [r15 + {context}]
    mov r11, rsp
    mov rsp, [r10 + 8]
    mov rbx, [rsp + 40]             // the frame
    mov [rbx + 16], rax
    mov [rbx + 24], rcx
    mov [rbx + 32], rdx
    mov [rbx + 40], rsi
    mov [rbx + 48], rdi
    mov [rbx + 56], r8
    movsd [rbx + 64], xmm0
    movsd [rbx + 72], xmm1
    movsd [rbx + 80], xmm2
    movsd [rbx + 88], xmm3
    movsd [rbx + 96], xmm4
    movsd [rbx + 104], xmm5
    movsd [rbx + 112], xmm6
    movsd [rbx + 120], xmm7
    mov rcx, [rbx + 136]
    mov rdx, [rbx + 144]
    mov rsi, [rbx + 128]
4:  cmp rdx, rcx
    jae 5f
    mov rax, [r11]
    mov [rsi + rdx * 8], rax
    add r11, 8
    inc rdx
    jmp 4b
5:  xor eax, eax
    jmp 6f

    // rsp is host_rsp of the innermost entry.
    .globl vwasm_trap_exit
vwasm_trap_exit:
    mov eax, 1
6:  add rsp, 8
    pop rdi
    pop qword ptr [rdi]
    pop qword ptr [rdi + 8]
    ldmxcsr [rsp]
    cld
    add rsp, 16
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

    // A call of a host function: rax is the slot's address, r15 the caller.
    .globl vwasm_host_gate
vwasm_host_gate:
    mov r10, [r15 + {context}]
    mov [r10], rsp
    mov r11, rsp
    mov rsp, [r10 + 8]
    ldmxcsr [rsp + 32]
    cld
    sub rsp, 160
    and rsp, -16
    mov [rsp], rax
    mov [rsp + 8], r15
    mov [rsp + 16], rdi
    mov [rsp + 24], rsi
    mov [rsp + 32], rdx
    mov [rsp + 40], rcx
    mov [rsp + 48], r8
    mov [rsp + 56], r9
    movsd [rsp + 64], xmm0
    movsd [rsp + 72], xmm1
    movsd [rsp + 80], xmm2
    movsd [rsp + 88], xmm3
    movsd [rsp + 96], xmm4
    movsd [rsp + 104], xmm5
    movsd [rsp + 112], xmm6
    movsd [rsp + 120], xmm7
    mov [rsp + 128], r11
    mov qword ptr [rsp + 136], 0
    mov [rsp + 144], r10
    mov rdi, rsp
    call {host_dispatch}
    mov r10, [rsp + 144]
    test eax, eax
    jnz 8f
    ldmxcsr [rip + vwasm_guest_mxcsr]
    cld
    movsd xmm0, [rsp + 64]
    movsd xmm1, [rsp + 72]
    movsd xmm2, [rsp + 80]
    movsd xmm3, [rsp + 88]
    movsd xmm4, [rsp + 96]
    movsd xmm5, [rsp + 104]
    movsd xmm6, [rsp + 112]
    movsd xmm7, [rsp + 120]
    mov r11, [rsp + 128]
    mov r9, [rsp + 136]
    mov r15, [rsp + 8]
    mov rax, [rsp + 16]
    mov rcx, [rsp + 24]
    mov rdx, [rsp + 32]
    mov rsi, [rsp + 40]
    mov rdi, [rsp + 48]
    mov r8, [rsp + 56]
    // The return address goes over the last parameter word, if there is one: so that the CPU finds calls and returns in pairs.
    mov r10, [r11]
    add r11, r9
    mov [r11], r10
    mov rsp, r11
    jmp vwasm_gates_done
8:  mov rsp, [r10 + 8]
    jmp vwasm_trap_exit

    // A service of the runtime: eax is its number; arguments and result are integers. Comes from `leaf`.
    .globl vwasm_gate_handled
vwasm_gate_handled:
    mov r10, [r15 + {context}]
    mov [r10], rsp
    mov r11, rsp
    mov rsp, [r10 + 8]
    ldmxcsr [rsp + 32]
    cld
    sub rsp, 160
    and rsp, -16
    mov eax, eax
    mov [rsp], rax
    mov [rsp + 8], r15
    mov [rsp + 16], rdi
    mov [rsp + 24], rsi
    mov [rsp + 32], rdx
    mov [rsp + 40], rcx
    mov [rsp + 48], r8
    mov [rsp + 56], r9
    mov [rsp + 128], r11
    mov [rsp + 144], r10
    mov rdi, rsp
    call {gate_dispatch}
    mov r10, [rsp + 144]
    test eax, eax
    jnz 8b
    ldmxcsr [rip + vwasm_guest_mxcsr]
    cld
    mov r15, [rsp + 8]
    mov rax, [rsp + 16]
    mov rsp, [rsp + 128]
    jmp vwasm_gate_done
"#,
    context = const INSTANCE_CONTEXT,
    host_dispatch = sym crate::gates::host_dispatch,
    gate_dispatch = sym crate::gates::gate_dispatch,
);
