//! What the kernel is asked to enforce on the whole process, beside what is known of the code.
//!
//! After everything the program was granted is open, and before any guest code runs:
//!
//! - `no_new_privs`: nothing executed later could gain rights (nothing can be executed at all);
//! - Landlock (ABI 2 or later, Linux 5.19): files beneath the granted directories only, and none of them executed or a device;
//!   with later ABIs no TCP sockets, no signals to others, no abstract sockets;
//! - a seccomp filter: the system calls that the program's imports need. Any other ends the process.
//!
//! A kernel that lacks one of these runs the program without it, unless the caller asks for all of them.

use alloc::vec::Vec;
use vwasm_runtime::manifest::Manifest;
use vwasm_runtime::sys::{self, number};

/// A system call without pointers to memory that it writes.
fn call(number: usize, args: [usize; 6]) -> Result<usize, i32> {
    // SAFETY: callers pass numbers and pointers to live structures that the kernel only reads.
    sys::check(unsafe { sys::syscall(number, args) })
}

/// Confines the process; the error names what the kernel lacks.
pub fn confine(manifest: &Manifest, directories: &[i32]) -> Result<(), &'static str> {
    const PR_SET_NO_NEW_PRIVS: usize = 38;
    let privileges = call(number::PRCTL, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0]).map_err(|_| "no_new_privs");
    let landlock = landlock(directories).map_err(|_| "Landlock");
    let filter = filter(&allowed(manifest)).and_then(|steps| seccomp(&steps)).map_err(|_| "seccomp filters");
    privileges.map(|_| ()).and(landlock).and(filter)
}

// -- Landlock --

/// Access rights to files, from the ABI's version 1 on.
mod access {
    pub const EXECUTE: u64 = 1;
    pub const MAKE_CHARACTER_DEVICE: u64 = 1 << 6;
    pub const MAKE_SOCKET: u64 = 1 << 9;
    pub const MAKE_FIFO: u64 = 1 << 10;
    pub const MAKE_BLOCK_DEVICE: u64 = 1 << 11;
    pub const DEVICE_IOCTL: u64 = 1 << 15;
    /// How many rights there are in version 2, 3, 4, 5 and later.
    pub const COUNT: [u32; 4] = [14, 15, 15, 16];
}

fn landlock(directories: &[i32]) -> Result<(), i32> {
    const VERSION: usize = 1;
    const PATH_BENEATH: usize = 1;
    let version = call(number::LANDLOCK_CREATE_RULESET, [0, 0, VERSION, 0, 0, 0])?;
    // Version 1 forbids renaming between directories altogether.
    let Some(newer) = version.checked_sub(2) else { return Err(sys::errno::ENOSYS) };
    let all = (1u64 << access::COUNT[newer.min(access::COUNT.len() - 1)]) - 1;
    // Files; binding and connecting TCP sockets; abstract sockets and signals.
    let rules = [all, 3, 3];
    let size = match version {
        ..4 => 8,
        4..6 => 16,
        _ => 24,
    };
    let set = call(number::LANDLOCK_CREATE_RULESET, [rules.as_ptr() as usize, size, 0, 0, 0, 0])?;
    let never = access::EXECUTE
        | access::MAKE_CHARACTER_DEVICE
        | access::MAKE_SOCKET
        | access::MAKE_FIFO
        | access::MAKE_BLOCK_DEVICE
        | access::DEVICE_IOCTL;
    let restricted = directories.iter().try_for_each(|&directory| {
        // The kernel's packed structure: rights, directory.
        let beneath = [all & !never, directory as u64];
        call(number::LANDLOCK_ADD_RULE, [set, PATH_BENEATH, beneath.as_ptr() as usize, 0, 0, 0]).map(|_| ())
    });
    let restricted = restricted.and_then(|()| call(number::LANDLOCK_RESTRICT_SELF, [set, 0, 0, 0, 0, 0]));
    let _ = call(number::CLOSE, [set, 0, 0, 0, 0, 0]);
    restricted.map(|_| ())
}

// -- seccomp --

/// What the runtime itself needs: memory, messages, signals, ends of things.
const ALWAYS: &[usize] = &[
    number::MMAP,
    number::MPROTECT,
    number::MUNMAP,
    number::MADVISE,
    number::WRITE,
    number::CLOSE,
    number::RT_SIGRETURN,
    number::RT_SIGACTION,
    number::TIMER_DELETE,
    number::EXIT_GROUP,
];

/// What resolving a path needs, and what it needs where `openat2` is lacking.
const RESOLVE: &[usize] = &[number::OPENAT2, number::FSTATFS];
const RESOLVE_WITHOUT: &[usize] = &[number::OPENAT, number::READLINKAT];

/// What functions of WASI need, by the beginning of their names; every match counts.
const NEEDED: &[(&str, &[usize])] = &[
    ("clock_res_get", &[number::CLOCK_GETRES]),
    ("clock_time_get", &[number::CLOCK_GETTIME]),
    ("random_get", &[number::GETRANDOM]),
    ("sched_yield", &[number::SCHED_YIELD]),
    ("poll_oneoff", &[number::PPOLL, number::CLOCK_GETTIME, number::FSTAT, number::LSEEK]),
    ("fd_advise", &[number::FADVISE64]),
    ("fd_allocate", &[number::FALLOCATE]),
    ("fd_datasync", &[number::FDATASYNC]),
    ("fd_fdstat_get", &[number::FSTAT]),
    ("fd_fdstat_set_flags", &[number::FCNTL]),
    ("fd_filestat_get", &[number::FSTAT]),
    ("fd_filestat_set_size", &[number::FTRUNCATE]),
    ("fd_filestat_set_times", &[number::UTIMENSAT]),
    ("fd_pread", &[number::PREADV]),
    ("fd_pwrite", &[number::PWRITEV]),
    ("fd_readdir", &[number::LSEEK, number::GETDENTS64, number::NEWFSTATAT]),
    ("fd_read", &[number::READV, number::PPOLL]),
    ("fd_seek", &[number::LSEEK]),
    ("fd_sync", &[number::FSYNC]),
    ("fd_tell", &[number::LSEEK]),
    ("fd_write", &[number::WRITEV, number::PPOLL]),
    ("path_", RESOLVE),
    ("path_create_directory", &[number::MKDIRAT]),
    ("path_filestat_get", &[number::NEWFSTATAT]),
    ("path_filestat_set_times", &[number::UTIMENSAT]),
    ("path_link", &[number::LINKAT]),
    ("path_open", &[number::FSTAT]),
    ("path_readlink", &[number::READLINKAT]),
    ("path_remove_directory", &[number::UNLINKAT]),
    ("path_rename", &[number::RENAMEAT2]),
    ("path_symlink", &[number::SYMLINKAT]),
    ("path_unlink_file", &[number::UNLINKAT]),
    ("sock_accept", &[number::ACCEPT4]),
    ("sock_recv", &[number::RECVMSG]),
    ("sock_send", &[number::SENDMSG]),
    ("sock_shutdown", &[number::SHUTDOWN]),
];

pub fn allowed(manifest: &Manifest) -> Vec<usize> {
    let mut allowed = ALWAYS.to_vec();
    let paths = !manifest.grants.directories.is_empty();
    for import in &manifest.imports {
        for (name, calls) in NEEDED {
            if import.name.starts_with(name) && (paths || !name.starts_with("path_")) {
                allowed.extend(*calls);
            }
        }
    }
    if paths && vwasm_runtime::wasi::without_openat2() {
        allowed.extend(RESOLVE_WITHOUT);
    }
    allowed.sort_unstable();
    allowed.dedup();
    allowed
}

/// The kernel's struct sock_filter.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Step {
    pub code: u16,
    pub if_true: u8,
    pub if_false: u8,
    pub value: u32,
}

/// Loads a word of the call's description.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const KILL_PROCESS: u32 = 0x8000_0000;
const ALLOW: u32 = 0x7fff_0000;

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const X86_64: u32 = 0xc000_003e;

/// The low half of an argument.
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

/// A filter from its end to its beginning, because jumps go forward only. Steps are named by how many follow them.
struct Program(Vec<Step>);

impl Program {
    /// Puts a step in front of the others; a jump goes to one of two of them.
    fn push(&mut self, code: u16, value: u32, [then, otherwise]: [usize; 2]) -> Result<usize, i32> {
        const EINVAL: i32 = 22;
        let here = self.0.len();
        let over = |to: usize| u8::try_from(here - to - 1).map_err(|_| EINVAL);
        self.0.push(Step { code, if_true: over(then)?, if_false: over(otherwise)?, value });
        Ok(here)
    }

    /// One that goes on with the step behind it, or with none.
    fn plain(&mut self, code: u16, value: u32) -> Result<usize, i32> {
        let here = self.0.len();
        self.0.push(Step { code, if_true: 0, if_false: 0, value });
        Ok(here)
    }

    /// Finds the range that a number below `end` is in, and goes to its step. The kernel tries a filter for every number that
    /// there is when it is installed, and compiles it: so numbers are halved, not ranges, and ends are shared.
    fn choice(&mut self, ranges: &[(u32, usize)], end: u32) -> Result<usize, i32> {
        let &[(first, step), ref rest @ ..] = ranges else { return self.plain(RETURN, KILL_PROCESS) };
        let middle = first.midpoint(end);
        let Some(split) = (1..=rest.len()).min_by_key(|&n| ranges[n].0.abs_diff(middle)) else { return Ok(step) };
        let (low, high) = ranges.split_at(split);
        let above = self.choice(high, end)?;
        let below = self.choice(low, high[0].0)?;
        self.push(JUMP_IF_AT_LEAST, high[0].0, [above, below])
    }
}

/// A filter that lets these system calls through, in order of their numbers, some only with harmless arguments.
pub fn filter(allowed: &[usize]) -> Result<Vec<Step>, i32> {
    const F_SETFL: u32 = 4;
    /// About how many system calls there are; only to be quick.
    const NUMBERS: u32 = 480;
    let mut program = Program(Vec::new());
    let kill = program.plain(RETURN, KILL_PROCESS)?;
    let allow = program.plain(RETURN, ALLOW)?;
    // Memory never becomes executable.
    program.push(JUMP_IF_ANY_BIT, sys::PROT_EXEC as u32, [kill, allow])?;
    let protection = program.plain(LOAD, argument(2))?;
    program.push(JUMP_IF_EQUAL, F_SETFL, [allow, kill])?;
    let command = program.plain(LOAD, argument(1))?;
    let step = |call: usize| match call {
        number::MMAP | number::MPROTECT => protection,
        number::FCNTL => command,
        _ => allow,
    };
    // Each range begins at a number and goes to a step, beside which its neighbours go to others.
    let mut ranges = Vec::from([(0, kill)]);
    for &call in allowed {
        for (from, step) in [(call as u32, step(call)), (call as u32 + 1, kill)] {
            if ranges.last().is_some_and(|last| last.0 == from) {
                ranges.pop();
            }
            if ranges.last().is_none_or(|last| last.1 != step) {
                ranges.push((from, step));
            }
        }
    }
    program.choice(&ranges, NUMBERS)?;
    let number = program.plain(LOAD, NUMBER)?;
    program.push(JUMP_IF_EQUAL, X86_64, [number, kill])?;
    program.plain(LOAD, ARCHITECTURE)?;
    program.0.reverse();
    Ok(program.0)
}

fn seccomp(steps: &[Step]) -> Result<(), i32> {
    const SET_MODE_FILTER: usize = 1;
    // The kernel's struct sock_fprog.
    let program = [steps.len(), steps.as_ptr() as usize];
    call(number::SECCOMP, [SET_MODE_FILTER, 0, program.as_ptr() as usize, 0, 0, 0]).map(|_| ())
}
