//! The gate's entry, and what it does without leaving the guest's stack: short copies and fills of the instance's own memory.
//!
//! Takes what a guest calls the gate with. Copies and fills of at most [`MOST`] bytes within the memory's pages are done here,
//! as WebAssembly has them (a copy as if through a buffer), and charged as the handler charges; everything else goes on to the
//! handler with all argument registers as they came. An importer's own field of pages is zero, so its memory is the handler's.
//! Nothing here uses the stack or the guest's MXCSR, and rsp is at the return address throughout: a signal that finds the
//! program counter here may end the guest as if the call had not begun or was over. Afterwards every register is cleared that
//! the gate's contract wants cleared.

use crate::layout::{Gate, INSTANCE_FUEL, INSTANCE_MEMORY_PAGES};
use core::arch::global_asm;

/// Longer ones are worth the way to the handler.
const MOST: u32 = 256;

unsafe extern "C" {
    fn vwasm_gate();
    fn vwasm_leaf_end();
}

pub fn gate_address() -> u64 {
    vwasm_gate as *const () as u64
}

/// Whether a program counter is in this code.
pub(crate) fn contains(pc: u64) -> bool {
    (gate_address()..vwasm_leaf_end as *const () as u64).contains(&pc)
}

global_asm!(
    r#"
    .globl vwasm_gate
    .globl vwasm_leaf_end
vwasm_gate:
    cmp eax, {memory_copy}
    je 60f
    cmp eax, {memory_fill}
    jne vwasm_gate_handled

    // Fill: rdi memory, rsi destination, rdx value, rcx length.
    mov r9d, ecx
    mov r10d, esi
    lea r12, [r10 + r9]             // end of what is touched
    mov r13d, edi                   // not zero: another memory
    jmp 61f
    // Copy: rdi and rsi memories, rdx destination, rcx source, r8 length.
60: mov r9d, r8d
    mov r10d, edx
    mov r11d, ecx
    lea r12, [r10 + r9]
    lea r13, [r11 + r9]
    cmp r12, r13
    cmovb r12, r13
    mov r13d, edi
    or r13d, esi

    // Length r9, destination r10; for copies source r11.
61: cmp r9d, {most}
    ja vwasm_gate_handled
    test r13d, r13d
    jnz vwasm_gate_handled
    mov rbx, [r15 + {pages}]
    shl rbx, 16
    cmp r12, rbx
    ja vwasm_gate_handled
    mov rbx, r9
    shr rbx, 6
    mov rbp, [r15 + {fuel}]
    sub rbp, rbx
    js vwasm_gate_handled
    mov [r15 + {fuel}], rbp
    add r10, r15
    cmp eax, {memory_copy}
    je 30f

    // The same in rax, rbx, rbp and in all vector registers.
    movzx eax, dl
    mov rbx, 0x0101010101010101
    imul rax, rbx
    mov rbx, rax
    mov rbp, rax
    cmp r9d, 16
    jb 40f
    movq xmm0, rax
    punpcklqdq xmm0, xmm0
    .irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movdqa xmm\n, xmm0
    .endr
    cmp r9d, 32
    jbe 23f
    cmp r9d, 64
    jbe 22f
    cmp r9d, 128
    jbe 21f
    jmp 20f

    // From both ends, which may overlap in the middle; all is read before anything is written.
30: add r11, r15
    cmp r9d, 16
    jb 33f
    movdqu xmm0, [r11]
    movdqu xmm1, [r11 + r9 - 16]
    cmp r9d, 32
    jbe 23f
    movdqu xmm2, [r11 + 16]
    movdqu xmm3, [r11 + r9 - 32]
    cmp r9d, 64
    jbe 22f
    movdqu xmm4, [r11 + 32]
    movdqu xmm5, [r11 + 48]
    movdqu xmm6, [r11 + r9 - 64]
    movdqu xmm7, [r11 + r9 - 48]
    cmp r9d, 128
    jbe 21f
    movdqu xmm8, [r11 + 64]
    movdqu xmm9, [r11 + 80]
    movdqu xmm10, [r11 + 96]
    movdqu xmm11, [r11 + 112]
    movdqu xmm12, [r11 + r9 - 128]
    movdqu xmm13, [r11 + r9 - 112]
    movdqu xmm14, [r11 + r9 - 96]
    movdqu xmm15, [r11 + r9 - 80]
20: movdqu [r10 + 64], xmm8
    movdqu [r10 + 80], xmm9
    movdqu [r10 + 96], xmm10
    movdqu [r10 + 112], xmm11
    movdqu [r10 + r9 - 128], xmm12
    movdqu [r10 + r9 - 112], xmm13
    movdqu [r10 + r9 - 96], xmm14
    movdqu [r10 + r9 - 80], xmm15
21: movdqu [r10 + 32], xmm4
    movdqu [r10 + 48], xmm5
    movdqu [r10 + r9 - 64], xmm6
    movdqu [r10 + r9 - 48], xmm7
22: movdqu [r10 + 16], xmm2
    movdqu [r10 + r9 - 32], xmm3
23: movdqu [r10], xmm0
    movdqu [r10 + r9 - 16], xmm1
    jmp 50f

33: cmp r9d, 8
    jb 34f
    mov rax, [r11]
    mov rbx, [r11 + r9 - 8]
    jmp 41f
34: cmp r9d, 4
    jb 35f
    mov eax, [r11]
    mov ebx, [r11 + r9 - 4]
    jmp 42f
35: test r9d, r9d
    jz 50f
    mov r12, r9
    shr r12
    movzx eax, byte ptr [r11]
    movzx ebx, byte ptr [r11 + r9 - 1]
    movzx ebp, byte ptr [r11 + r12]
    jmp 43f
40: cmp r9d, 8
    jb 42f
41: mov [r10], rax
    mov [r10 + r9 - 8], rbx
    jmp 50f
42: cmp r9d, 4
    jb 43f
    mov [r10], eax
    mov [r10 + r9 - 4], ebx
    jmp 50f
43: mov r12, r9
    shr r12
    jz 44f                          // none or one
    mov [r10 + r12], bpl
    mov [r10 + r9 - 1], bl
44: test r9d, r9d
    jz 50f
    mov [r10], al

50: xor eax, eax
    .globl vwasm_gate_done
    // From the handler too, rax its result.
vwasm_gate_done:
    xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor edi, edi
    xor r8d, r8d
    xorps xmm0, xmm0
    xorps xmm1, xmm1
    xorps xmm2, xmm2
    xorps xmm3, xmm3
    xorps xmm4, xmm4
    xorps xmm5, xmm5
    xorps xmm6, xmm6
    xorps xmm7, xmm7
    // From the host gate too, results in these.
    .globl vwasm_gates_done
vwasm_gates_done:
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    xorps xmm\n, xmm\n
    .endr
    cmp byte ptr [rip + vwasm_scrubs_upper_halves], 0
    je 51f
    vzeroupper
51: xor ebx, ebx
    xor ebp, ebp
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    ret
vwasm_leaf_end:
"#,
    memory_copy = const Gate::MemoryCopy as u32,
    memory_fill = const Gate::MemoryFill as u32,
    most = const MOST,
    pages = const INSTANCE_MEMORY_PAGES,
    fuel = const INSTANCE_FUEL,
);
