//! Linux system calls, without libc.

use core::arch::asm;

pub mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const FSTAT: usize = 5;
    pub const LSEEK: usize = 8;
    pub const MMAP: usize = 9;
    pub const MPROTECT: usize = 10;
    pub const MUNMAP: usize = 11;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGRETURN: usize = 15;
    pub const IOCTL: usize = 16;
    pub const PWRITE64: usize = 18;
    pub const READV: usize = 19;
    pub const WRITEV: usize = 20;
    pub const SCHED_YIELD: usize = 24;
    pub const MADVISE: usize = 28;
    pub const SENDMSG: usize = 46;
    pub const RECVMSG: usize = 47;
    pub const SHUTDOWN: usize = 48;
    pub const FCNTL: usize = 72;
    pub const FSYNC: usize = 74;
    pub const FDATASYNC: usize = 75;
    pub const FTRUNCATE: usize = 77;
    pub const SIGALTSTACK: usize = 131;
    pub const FSTATFS: usize = 138;
    pub const PRCTL: usize = 157;
    pub const GETTID: usize = 186;
    pub const GETDENTS64: usize = 217;
    pub const FADVISE64: usize = 221;
    pub const TIMER_CREATE: usize = 222;
    pub const TIMER_SETTIME: usize = 223;
    pub const TIMER_DELETE: usize = 226;
    pub const CLOCK_GETTIME: usize = 228;
    pub const CLOCK_GETRES: usize = 229;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const NEWFSTATAT: usize = 262;
    pub const UNLINKAT: usize = 263;
    pub const LINKAT: usize = 265;
    pub const SYMLINKAT: usize = 266;
    pub const READLINKAT: usize = 267;
    pub const PPOLL: usize = 271;
    pub const UTIMENSAT: usize = 280;
    pub const FALLOCATE: usize = 285;
    pub const ACCEPT4: usize = 288;
    pub const PREADV: usize = 295;
    pub const PWRITEV: usize = 296;
    pub const RENAMEAT2: usize = 316;
    pub const SECCOMP: usize = 317;
    pub const GETRANDOM: usize = 318;
    pub const MEMFD_CREATE: usize = 319;
    pub const OPENAT2: usize = 437;
    pub const LANDLOCK_CREATE_RULESET: usize = 444;
    pub const LANDLOCK_ADD_RULE: usize = 445;
    pub const LANDLOCK_RESTRICT_SELF: usize = 446;
}

/// Error numbers that the runtime itself looks at.
pub mod errno {
    pub const EINTR: i32 = 4;
    pub const EBADF: i32 = 9;
    pub const EAGAIN: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EXDEV: i32 = 18;
    pub const ENOSYS: i32 = 38;
}

/// A raw system call; errors are -4095 to -1.
///
/// # Safety
/// As the system call demands: pointers must be valid for what it reads and writes.
#[inline]
pub unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the syscall instruction clobbers rcx and r11 only; the caller answers for the arguments.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
             in("r10") args[3], in("r8") args[4], in("r9") args[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// A system call's result or its error number.
pub fn check(result: isize) -> Result<usize, i32> {
    if (-4095..0).contains(&result) { Err(-result as i32) } else { Ok(result as usize) }
}

pub const PROT_NONE: usize = 0;
pub const PROT_READ: usize = 1;
pub const PROT_WRITE: usize = 2;
pub const PROT_EXEC: usize = 4;

/// Maps anonymous private memory; nothing is committed before it is touched.
pub fn map(length: usize, protection: usize) -> Result<*mut u8, i32> {
    const PRIVATE_ANONYMOUS_NORESERVE: usize = 0x2 | 0x20 | 0x4000;
    // SAFETY: a new mapping at a place the kernel chooses touches no existing memory.
    check(unsafe { syscall(number::MMAP, [0, length, protection, PRIVATE_ANONYMOUS_NORESERVE, usize::MAX, 0]) })
        .map(|address| address as *mut u8)
}

/// # Safety
/// Nothing may use the range afterwards.
pub unsafe fn unmap(address: *mut u8, length: usize) {
    // SAFETY: the caller gives up the range.
    unsafe { syscall(number::MUNMAP, [address as usize, length, 0, 0, 0, 0]) };
}

/// # Safety
/// The range must be a mapping of the caller's own, and no reference may rely on the old protection.
pub unsafe fn protect(address: *mut u8, length: usize, protection: usize) -> Result<(), i32> {
    // SAFETY: as the caller promises.
    check(unsafe { syscall(number::MPROTECT, [address as usize, length, protection, 0, 0, 0]) }).map(|_| ())
}

/// Puts a fresh private mapping, of a file from its start or of nothing, in the place of another.
///
/// # Safety
/// The range must be of whole pages and the caller's own, and nothing may rely on what was there.
pub unsafe fn map_over(address: *mut u8, length: usize, protection: usize, file: Option<usize>) -> Result<(), i32> {
    const PRIVATE_FIXED: usize = 0x2 | 0x10;
    const ANONYMOUS_NORESERVE: usize = 0x20 | 0x4000;
    let flags = PRIVATE_FIXED | if file.is_none() { ANONYMOUS_NORESERVE } else { 0 };
    let args = [address as usize, length, protection, flags, file.unwrap_or(usize::MAX), 0];
    // SAFETY: as the caller promises.
    check(unsafe { syscall(number::MMAP, args) }).map(|_| ())
}

/// Drops the contents of private pages: anonymous ones become zero, those of a file what the file says.
///
/// # Safety
/// The range must be of whole pages and the caller's own, and nothing may rely on what was there.
pub unsafe fn discard(address: *mut u8, length: usize) -> Result<(), i32> {
    const MADV_DONTNEED: usize = 4;
    // SAFETY: as the caller promises.
    check(unsafe { syscall(number::MADVISE, [address as usize, length, MADV_DONTNEED, 0, 0, 0]) }).map(|_| ())
}

/// Asks for huge pages behind a range; a kernel without them changes nothing.
pub fn prefer_huge_pages(address: *mut u8, length: usize) {
    const MADV_HUGEPAGE: usize = 14;
    // SAFETY: the advice changes neither contents nor rights of any mapping.
    unsafe { syscall(number::MADVISE, [address as usize, length, MADV_HUGEPAGE, 0, 0, 0]) };
}

/// Writes all bytes to a descriptor, as far as it takes them.
pub fn write_all(fd: i32, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and length are those of a live slice.
        match check(unsafe { syscall(number::WRITE, [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) }) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written..],
            Err(errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { syscall(number::EXIT_GROUP, [status as usize, 0, 0, 0, 0, 0]) };
    }
}
