//! What safe Rust cannot reach: guest memory from outside, signals, and single instructions on the CPU.

use crate::model::State;
use iced_x86::{Code, Encoder, IcedError, Instruction, MemoryOperand, Register};
use std::cell::Cell;
use std::mem::offset_of;
use vwasm_runtime::sys;

/// A stretch of mapped memory with a copy of what it should hold.
pub struct Window {
    start: usize,
    pub shadow: Vec<u8>,
}

impl Window {
    /// # Safety
    /// The range must be mapped readable and writable for as long as the window lives, and no reference may point into it.
    pub unsafe fn new(start: usize, length: usize) -> Window {
        // SAFETY: the caller answers for the range.
        let shadow = unsafe { std::slice::from_raw_parts(start as *const u8, length) }.to_vec();
        Window { start, shadow }
    }

    /// Where an access of some bytes lies in the shadow.
    pub fn place(&self, address: u64, bytes: u32) -> Option<std::ops::Range<usize>> {
        let offset = address.checked_sub(self.start as u64)? as usize;
        let end = offset.checked_add(bytes as usize)?;
        (end <= self.shadow.len()).then_some(offset..end)
    }

    /// Makes the memory what the shadow is.
    pub fn publish(&self) {
        // SAFETY: the window's range is mapped and writable, and unaliased (see `new`).
        unsafe { std::ptr::copy_nonoverlapping(self.shadow.as_ptr(), self.start as *mut u8, self.shadow.len()) };
    }

    /// The address of the first byte that is not what it should be, and the byte.
    pub fn difference(&self) -> Option<(usize, u8)> {
        // SAFETY: the window's range is mapped (see `new`), and no guest runs while this borrow lasts.
        let memory = unsafe { std::slice::from_raw_parts(self.start as *const u8, self.shadow.len()) };
        if memory == self.shadow {
            return None;
        }
        let at = memory.iter().zip(&self.shadow).position(|(found, wanted)| found != wanted)?;
        Some((self.start + at, memory[at]))
    }
}

// -- signals --------------------------------------------------------------------------------------------

pub fn this_thread() -> libc::pthread_t {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::pthread_self() }
}

/// Sends a signal to a thread of this process, which must still run.
pub fn send(thread: libc::pthread_t, signal: i32) {
    // SAFETY: the callers' threads wait for those that send.
    assert_eq!(unsafe { libc::pthread_kill(thread, signal) }, 0);
}

/// Installs a handler, for a stack set apart or for the one that it interrupts.
pub fn handle(signal: i32, handler: extern "C" fn(i32), apart: bool) {
    // SAFETY: a structure of zeros is a valid one, and the handlers given only write to memory of their own.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_RESTART | if apart { libc::SA_ONSTACK } else { 0 };
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

/// Where this thread's own stack is.
pub fn stack_of_this_thread() -> std::ops::Range<usize> {
    // SAFETY: the attributes are filled in before they are read, and destroyed.
    unsafe {
        let mut attributes = std::mem::zeroed();
        assert_eq!(libc::pthread_getattr_np(libc::pthread_self(), &mut attributes), 0);
        let (mut start, mut size) = (std::ptr::null_mut(), 0);
        assert_eq!(libc::pthread_attr_getstack(&attributes, &mut start, &mut size), 0);
        libc::pthread_attr_destroy(&mut attributes);
        start as usize..start as usize + size
    }
}

/// Most bytes that the kernel puts on a stack for a handler.
pub fn signal_frame() -> u64 {
    const AT_MINSIGSTKSZ: u64 = 51;
    // SAFETY: reads what the kernel told the process.
    match unsafe { libc::getauxval(AT_MINSIGSTKSZ) } {
        0 => 2048,
        size => size,
    }
}

// -- single instructions -------------------------------------------------------------------------------

const CODE: usize = 4096;
/// Data for operands: one page between pages that fault.
pub const PAGE: usize = 4096;

/// What the stubs around an instruction share with the host.
#[repr(C, align(16))]
struct Shared {
    state: State,
    host_rsp: u64,
    /// The instruction went to the label instead of on.
    taken: u64,
    /// The signal it raised.
    signal: u64,
}

/// Runs single instructions with every register, the flags and a page of memory set.
///
/// The reservation: code (never writable while it runs), the shared record, a guard page, the data page, a guard page.
pub struct Bench {
    start: *mut u8,
    /// Offsets in the code page.
    slot: usize,
    next: usize,
    label: usize,
}

/// How an instruction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Next,
    Taken,
    Signal(i32),
}

thread_local! {
    /// Code page of the bench that runs on this thread, and where it goes on after a fault.
    static RUNNING: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// Whether this thread has a stack for signals.
    static STACKED: Cell<bool> = const { Cell::new(false) };
}

fn encode(into: &mut Vec<u8>, base: u64, instruction: Result<Instruction, IcedError>) {
    let instruction = instruction.expect("a well-formed stub");
    let mut encoder = Encoder::new(64);
    encoder.encode(&instruction, base + into.len() as u64).expect("a well-formed stub");
    into.extend(encoder.take_buffer());
}

const SAVED: [Register; 6] = [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];

impl Bench {
    pub fn new() -> Result<Bench, i32> {
        let start = sys::map(5 * PAGE, sys::PROT_NONE)?;
        // SAFETY: the pages are those of the fresh mapping.
        unsafe {
            sys::protect(start, 2 * PAGE, sys::PROT_READ | sys::PROT_WRITE)?;
            sys::protect(start.add(3 * PAGE), PAGE, sys::PROT_READ | sys::PROT_WRITE)?;
        }
        let mut bench = Bench { start, slot: 0, next: 0, label: 0 };
        bench.stubs();
        install();
        Ok(bench)
    }

    fn shared(&self) -> *mut Shared {
        self.start.wrapping_add(CODE).cast()
    }

    /// Address of the data page.
    pub fn data(&self) -> u64 {
        self.start as u64 + 3 * PAGE as u64
    }

    /// Where the instruction under test stands.
    pub fn slot(&self) -> u64 {
        self.start as u64 + self.slot as u64
    }

    /// Where jumps are to go.
    pub fn label(&self) -> u64 {
        self.start as u64 + self.label as u64
    }

    /// Enters with the host's state, leaves with the recorded one; between them 64 bytes for the instruction.
    fn stubs(&mut self) {
        let base = self.start as u64;
        let at = |offset: usize| MemoryOperand::with_base_displ(Register::RIP, (base + (CODE + offset) as u64) as i64);
        let gpr = |hw: usize| at(offset_of!(Shared, state) + offset_of!(State, gpr) + 8 * hw);
        let xmm = |n: usize| at(offset_of!(Shared, state) + offset_of!(State, xmm) + 16 * n);
        let flags = offset_of!(Shared, state) + offset_of!(State, flags);
        let mut code = Vec::new();
        let mut push = |instruction| encode(&mut code, base, instruction);
        for register in SAVED {
            push(Instruction::with1(Code::Push_r64, register));
        }
        push(Instruction::with2(Code::Mov_rm64_r64, at(offset_of!(Shared, host_rsp)), Register::RSP));
        push(Instruction::with1(Code::Push_rm64, at(flags)));
        push(Ok(Instruction::with(Code::Popfq)));
        for n in 0..16 {
            push(Instruction::with2(Code::Movups_xmm_xmmm128, Register::XMM0 + n as u32, xmm(n)));
        }
        for hw in 0..16 {
            push(Instruction::with2(Code::Mov_r64_rm64, Register::RAX + hw as u32, gpr(hw)));
        }
        self.slot = code.len();
        self.label = code.len() + 64;
        code.resize(self.label, 0xcc);
        let mut push = |instruction| encode(&mut code, base, instruction);
        push(Instruction::with2(Code::Mov_rm64_imm32, at(offset_of!(Shared, taken)), 1));
        self.next = code.len();
        let mut push = |instruction| encode(&mut code, base, instruction);
        for hw in 0..16 {
            push(Instruction::with2(Code::Mov_rm64_r64, gpr(hw), Register::RAX + hw as u32));
        }
        push(Instruction::with2(Code::Mov_r64_rm64, Register::RSP, at(offset_of!(Shared, host_rsp))));
        push(Ok(Instruction::with(Code::Pushfq)));
        push(Instruction::with1(Code::Pop_rm64, at(flags)));
        for n in 0..16 {
            push(Instruction::with2(Code::Movups_xmmm128_xmm, xmm(n), Register::XMM0 + n as u32));
        }
        for register in SAVED.into_iter().rev() {
            push(Instruction::with1(Code::Pop_r64, register));
        }
        push(Ok(Instruction::with(Code::Retnq)));
        // SAFETY: the code page is writable until `load` makes it executable.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), self.start, code.len()) };
    }

    /// Puts an instruction, encoded for `slot()`, between the stubs.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), i32> {
        assert!(bytes.len() <= 15, "an instruction of {} bytes", bytes.len());
        let mut code = bytes.to_vec();
        let to = Instruction::with_branch(Code::Jmp_rel32_64, self.start as u64 + self.next as u64);
        encode(&mut code, self.slot(), to);
        // SAFETY: the code page is this bench's own and does not run now; it is never writable and executable at once.
        unsafe {
            sys::protect(self.start, PAGE, sys::PROT_READ | sys::PROT_WRITE)?;
            std::ptr::copy_nonoverlapping(code.as_ptr(), self.start.add(self.slot), code.len());
            sys::protect(self.start, PAGE, sys::PROT_READ | sys::PROT_EXEC)
        }
    }

    /// Runs the loaded instruction from a state and a page of data; both become what they are afterwards.
    pub fn run(&mut self, state: &mut State, data: &mut [u8; PAGE]) -> End {
        let shared = self.shared();
        let (code, next) = (self.start as usize, self.start as usize + self.next);
        RUNNING.set((code, next));
        // SAFETY: the shared record and the data page are mapped and this bench's own. The stubs keep the registers that the
        // calling convention asks for and leave through `next` in every case: an instruction of the specification goes on to the
        // jump behind it, to the label, or faults, which `on_fault` turns into `next`; and it writes no memory but what its
        // operands name, which the caller has placed in the data page or on a page that faults.
        unsafe {
            (&raw mut (*shared).state).write(state.clone());
            (&raw mut (*shared).taken).write(0);
            (&raw mut (*shared).signal).write(0);
            std::ptr::copy_nonoverlapping(data.as_ptr(), self.data() as *mut u8, PAGE);
            let enter: unsafe extern "sysv64" fn() = std::mem::transmute(self.start);
            enter();
            *state = (&raw const (*shared).state).read();
            std::ptr::copy_nonoverlapping(self.data() as *const u8, data.as_mut_ptr(), PAGE);
            RUNNING.set((0, 0));
            match ((*shared).signal, (*shared).taken) {
                (0, 0) => End::Next,
                (0, _) => End::Taken,
                (signal, _) => End::Signal(signal as i32),
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // SAFETY: the mapping is this bench's own.
        unsafe { sys::unmap(self.start, 5 * PAGE) };
    }
}

/// Installs the handler for faults of benches, and a stack for it on this thread.
fn install() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for signal in [libc::SIGFPE, libc::SIGSEGV, libc::SIGILL, libc::SIGBUS] {
            // SAFETY: the structure is complete: zero is a valid mask.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_fault as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        }
    });
    if STACKED.replace(true) {
        return;
    }
    const SIZE: usize = 64 << 10;
    let stack = Box::leak(vec![0u8; SIZE].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: SIZE };
    // SAFETY: the stack lives for ever.
    unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) };
}

/// A fault in a bench's code is noted and ends the instruction; any other is left to the default action.
extern "C" fn on_fault(signal: i32, _: *const libc::siginfo_t, context: *mut libc::ucontext_t) {
    let (code, next) = RUNNING.get();
    // SAFETY: the kernel hands over a valid context; the running bench's shared record follows its code page.
    unsafe {
        let rip = &mut (*context).uc_mcontext.gregs[libc::REG_RIP as usize];
        if code != 0 && (*rip as usize).wrapping_sub(code) < CODE {
            (&raw mut (*((code + CODE) as *mut Shared)).signal).write(signal as u64);
            *rip = next as i64;
        } else {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}
