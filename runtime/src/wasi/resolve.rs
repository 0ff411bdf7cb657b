//! Paths, resolved beneath a directory by the kernel or not at all.
//!
//! `openat2` resolves whole paths: never above the directory it starts from, never through a magic link. For system calls that
//! have no such flag (rename, unlink, …) the parent is opened with it and the call gets the last component only, which names an
//! entry of that very directory. What lies in procfs is refused, though a granted directory may contain it: through
//! `/proc/self/mem` a program could write outside its sandbox. A kernel without `openat2` is met by `walk`.

use super::abi::{Errno, Failure, Memory, Result};
use super::call_again;
use super::descriptors::Owned;
use super::raw_call;
use crate::sys::{errno, number};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

pub const O_WRONLY: u64 = 0o1;
pub const O_RDWR: u64 = 0o2;
pub const O_CREAT: u64 = 0o100;
pub const O_EXCL: u64 = 0o200;
pub const O_NOCTTY: u64 = 0o400;
pub const O_TRUNC: u64 = 0o1000;
pub const O_APPEND: u64 = 0o2000;
pub const O_NONBLOCK: u64 = 0o4000;
pub const O_DIRECTORY: u64 = 0o200000;
pub const O_NOFOLLOW: u64 = 0o400000;
pub const O_CLOEXEC: u64 = 0o2000000;
pub const O_PATH: u64 = 0o10000000;

const RESOLVE_NO_XDEV: u64 = 1;
const RESOLVE_NO_MAGICLINKS: u64 = 2;
const RESOLVE_BENEATH: u64 = 8;

const AT_FDCWD: i64 = -100;

/// Longest path the kernel takes, with its NUL.
pub const PATH_MAX: usize = 4096;

/// Set when the kernel was found to lack `openat2`.
static LACKING: AtomicBool = AtomicBool::new(false);

/// Whether paths are resolved without `openat2`; known once a directory was granted.
pub fn without_openat2() -> bool {
    LACKING.load(Ordering::Relaxed)
}

/// `openat2`; the path has a NUL behind it.
fn open_at(directory: i64, path: &[u8], flags: u64, mode: u64, resolve: u64) -> core::result::Result<Owned, i32> {
    // A rename elsewhere while `..` was resolved makes the kernel give up: so often, and no more.
    const ATTEMPTS: u32 = 1000;
    let how = [flags | O_CLOEXEC, mode, resolve];
    let mut attempts = 0;
    loop {
        let size = core::mem::size_of_val(&how);
        let args = [directory as usize, path.as_ptr() as usize, how.as_ptr() as usize, size, 0, 0];
        attempts += 1;
        match raw_call(number::OPENAT2, args) {
            Ok(fd) => return Ok(Owned::new(fd)),
            Err(errno::EAGAIN) if attempts < ATTEMPTS && flags & O_NONBLOCK == 0 => {}
            Err(errno::EINTR) if !crate::interrupt::pending() => {}
            Err(error) => {
                if error == errno::ENOSYS {
                    LACKING.store(true, Ordering::Relaxed);
                }
                return Err(error);
            }
        }
    }
}

/// Opens a path beneath a directory.
pub fn open_beneath(directory: i32, path: &[u8], flags: u64, mode: u64) -> Result<Owned> {
    let beneath = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    let path = &terminated(path)?;
    let flags = flags | if flags & O_PATH == 0 { O_NOCTTY } else { 0 };
    // First without crossing mounts: then it is the file system of the granted directory, which is not procfs.
    let opened = if without_openat2() {
        super::walk::open_beneath(directory, path, flags, mode)
    } else {
        match open_at(i64::from(directory), path, flags, mode, beneath | RESOLVE_NO_XDEV) {
            Err(errno::EXDEV) => open_elsewhere(directory, path, flags, mode, beneath),
            opened => opened,
        }
    };
    opened.map_err(|error| match error {
        errno::EINTR => Failure::Timeout,
        errno::EXDEV => Errno::PERM.into(), // it leads out of the directory
        error => Errno::from_linux(error).into(),
    })
}

/// On another mount. Nothing is created or cut there before it is known not to be procfs: its directory is looked at first.
fn open_elsewhere(directory: i32, path: &[u8], flags: u64, mode: u64, beneath: u64) -> core::result::Result<Owned, i32> {
    const PERM: i32 = 1;
    let refuse = |fd: &Owned| if is_procfs(fd.raw()) { Err(PERM) } else { Ok(()) };
    if flags & O_PATH == 0 {
        // Opening is itself an action for some files of procfs, so the entry is looked at without it.
        match open_at(i64::from(directory), path, O_PATH | flags & O_NOFOLLOW, 0, beneath) {
            Ok(found) => refuse(&found)?,
            Err(2) => {} // nothing there: it can only be created, which procfs refuses by itself
            Err(error) => return Err(error),
        }
    }
    let opened = open_at(i64::from(directory), path, flags, mode, beneath)?;
    refuse(&opened)?;
    Ok(opened)
}

/// Whether a file lies in procfs.
pub fn is_procfs(fd: usize) -> bool {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    let mut statfs = [0u64; 15];
    // What cannot be told is refused.
    raw_call(number::FSTATFS, [fd, statfs.as_mut_ptr() as usize, 0, 0, 0, 0]).is_err() || statfs[0] == PROC_SUPER_MAGIC
}

/// Opens a directory named by the user of the program, not by the guest.
pub fn open_host_directory(path: &[u8]) -> core::result::Result<Owned, i32> {
    const PERM: i32 = 1;
    let path = [path, b"\0"].concat();
    let opened = match open_at(AT_FDCWD, &path, O_DIRECTORY, 0, 0) {
        Err(errno::ENOSYS) => super::walk::open_at(AT_FDCWD, &path, O_DIRECTORY, 0)?,
        opened => opened?,
    };
    if is_procfs(opened.raw()) { Err(PERM) } else { Ok(opened) }
}

/// Whether a descriptor is a terminal (it has terminal attributes).
pub fn is_terminal(fd: i32) -> bool {
    const TCGETS: usize = 0x5401;
    let mut attributes = [0u64; 8];
    raw_call(number::IOCTL, [fd as usize, TCGETS, attributes.as_mut_ptr() as usize, 0, 0, 0]).is_ok()
}

/// A guest's path: UTF-8, and not so long that looking at it takes time.
pub fn guest_path<'a>(memory: &'a Memory, start: u64, length: u64) -> Result<&'a [u8]> {
    const MOST: usize = 1 << 20;
    let path = memory.bytes(start, length)?;
    if path.len() > MOST {
        return Err(Errno::NAMETOOLONG.into());
    }
    if core::str::from_utf8(path).is_err() {
        return Err(Errno::ILSEQ.into());
    }
    Ok(path)
}

/// Checks a path as far as the kernel cannot, with a NUL behind it.
pub fn terminated(path: &[u8]) -> Result<Vec<u8>> {
    if path.is_empty() {
        return Err(Errno::NOENT.into());
    }
    if path.len() >= PATH_MAX {
        return Err(Errno::NAMETOOLONG.into());
    }
    if path.contains(&0) {
        return Err(Errno::INVAL.into());
    }
    Ok([path, b"\0"].concat())
}

/// What slashes behind the last component mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Slashes {
    /// They stay: the kernel knows what they mean to the call.
    Stay,
    /// They go: the call is for directories anyway.
    Go,
    /// The directory that is named is looked into, if it is one.
    Resolve,
}

/// The directory that holds the last component of a path, and that component as the kernel takes it.
pub struct Entry {
    pub directory: Owned,
    name: Vec<u8>,
}

impl Entry {
    /// Resolves all but the last component. One that is `..` is resolved too, and the entry is `.` in it.
    pub fn find(directory: i32, path: &[u8], slashes: Slashes) -> Result<Entry> {
        let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
        let start = path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let resolve = slashes == Slashes::Resolve && end < path.len();
        let (before, name) = match &path[start..end] {
            b"" | b".." => (path, &b"."[..]),
            _ if resolve => (path, &b"."[..]),
            name if start == 0 => (&b"."[..], name),
            name => (&path[..start], name),
        };
        let slash = if slashes == Slashes::Stay && end < path.len() { &b"/"[..] } else { b"" };
        let name = terminated(&[name, slash].concat())?;
        Ok(Entry { directory: open_beneath(directory, before, O_PATH | O_DIRECTORY, 0)?, name })
    }

    pub fn name(&self) -> usize {
        self.name.as_ptr() as usize
    }
}

/// A call with an entry's directory and name first.
pub fn call_entry(number: usize, entry: &Entry, rest: [usize; 2]) -> Result<usize> {
    call_again(number, [entry.directory.raw(), entry.name(), rest[0], rest[1], 0, 0])
}
