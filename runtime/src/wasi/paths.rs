//! Operations on paths. Each resolves beneath the directory it starts from, by the kernel, or not at all.
//!
//! `openat2` resolves a whole path. For system calls without such a flag (rename, unlink, …) the parent directory is opened
//! with it and the call gets the last component only, which names an entry of that very directory.

use super::abi::{Errno, Memory, Stat, filetype, rights};
use super::{Descriptor, Wasi, call};
use crate::sys::number;
use alloc::vec::Vec;

type Result<T> = core::result::Result<T, Errno>;

const O_WRONLY: u64 = 0o1;
const O_RDWR: u64 = 0o2;
const O_CREAT: u64 = 0o100;
const O_EXCL: u64 = 0o200;
const O_TRUNC: u64 = 0o1000;
const O_APPEND: u64 = 0o2000;
const O_NONBLOCK: u64 = 0o4000;
const O_DSYNC: u64 = 0o10000;
const O_DIRECTORY: u64 = 0o200000;
const O_NOFOLLOW: u64 = 0o400000;
const O_CLOEXEC: u64 = 0o2000000;
const O_SYNC: u64 = 0o4010000;
const O_PATH: u64 = 0o10000000;

const RESOLVE_NO_MAGICLINKS: u64 = 2;
const RESOLVE_BENEATH: u64 = 8;

const AT_FDCWD: i64 = -100;
const AT_SYMLINK_NOFOLLOW: usize = 0x100;
const AT_REMOVEDIR: usize = 0x200;
const AT_EMPTY_PATH: usize = 0x1000;

/// A descriptor closed when dropped.
struct Owned(i32);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = call(number::CLOSE, [self.0 as usize, 0, 0, 0, 0, 0]);
    }
}

fn open_at(directory: i64, path: &[u8], flags: u64, mode: u64, resolve: u64) -> Result<i32> {
    let path = [path, b"\0"].concat();
    let how = [flags | O_CLOEXEC, mode, resolve];
    let size = core::mem::size_of_val(&how);
    loop {
        let args = [directory as usize, path.as_ptr() as usize, how.as_ptr() as usize, size, 0, 0];
        match call(number::OPENAT2, args) {
            Ok(fd) => return Ok(fd as i32),
            // A rename elsewhere while `..` was resolved: try again.
            Err(Errno(6)) if flags & O_NONBLOCK == 0 => {}
            Err(Errno(27)) => {}
            Err(error) => return Err(error),
        }
    }
}

fn open_beneath(directory: i32, path: &[u8], flags: u64, mode: u64) -> Result<i32> {
    open_at(i64::from(directory), path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
}

/// Opens a directory named by the user of the program, not by the guest.
pub(super) fn open_host_directory(path: &[u8]) -> core::result::Result<i32, i32> {
    open_at(AT_FDCWD, path, O_DIRECTORY, 0, 0).map_err(|error| i32::from(error.0))
}

/// A guest's path, checked as far as the kernel cannot.
fn guest_path(memory: &Memory, start: u64, length: u64) -> Result<Vec<u8>> {
    let path = memory.bytes(start, length)?;
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    if core::str::from_utf8(path).is_err() || path.contains(&0) {
        return Err(Errno::ILSEQ);
    }
    if path.len() >= 4096 {
        return Err(Errno::NAMETOOLONG);
    }
    Ok(path.to_vec())
}

/// The directory that holds the last component of a path, and that component with a NUL behind it.
fn parent(directory: i32, path: &[u8]) -> Result<(Owned, Vec<u8>, bool)> {
    let end = path.iter().rposition(|byte| *byte != b'/').ok_or(Errno::PERM)? + 1;
    let slash = end < path.len();
    let (before, name) = match path[..end].iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at + 1], &path[at + 1..end]),
        None => (&b"."[..], &path[..end]),
    };
    if name == b".." {
        return Err(Errno::PERM);
    }
    if name == b"." {
        return Err(Errno::INVAL);
    }
    let fd = Owned(open_beneath(directory, before, O_PATH | O_DIRECTORY, 0)?);
    Ok((fd, [name, b"\0"].concat(), slash))
}

impl Wasi {
    pub(super) fn path_open(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, lookup, start, length, how, wanted, _, fd_flags, result] = args[..] else { return Err(Errno::INVAL) };
        let directory = self.directory(fd)?;
        let path = guest_path(memory, start, length)?;
        let (how, fd_flags) = (how as u16, fd_flags as u16);
        let mut flags = 0;
        let writes = wanted & (rights::WRITE | rights::ALLOCATE | rights::SET_SIZE) != 0;
        let reads = wanted & (rights::READ | rights::READDIR) != 0;
        if how & 2 != 0 {
            flags |= O_DIRECTORY;
        } else if writes {
            flags |= if reads { O_RDWR } else { O_WRONLY };
        }
        if how & 2 != 0 && how & (1 | 8) != 0 {
            return Err(Errno::INVAL);
        }
        for (bit, flag) in [(1, O_CREAT), (4, O_EXCL), (8, O_TRUNC)] {
            if how & bit != 0 {
                flags |= flag;
            }
        }
        for (bit, flag) in [(1, O_APPEND), (2, O_DSYNC), (4, O_NONBLOCK), (8, O_SYNC), (16, O_SYNC)] {
            if fd_flags & bit != 0 {
                flags |= flag;
            }
        }
        if lookup & 1 == 0 {
            flags |= O_NOFOLLOW;
        }
        let mode = if flags & O_CREAT != 0 { 0o666 } else { 0 };
        let opened = match open_beneath(directory, &path, flags, mode) {
            // Directories are opened for reading whatever rights were asked for.
            Err(Errno::ISDIR) if how & (1 | 8) == 0 && reads => {
                open_beneath(directory, &path, flags & !(O_RDWR | O_WRONLY | O_APPEND), 0)?
            }
            opened => opened?,
        };
        let is_directory = super::files::stat(opened)?.filetype() == filetype::DIRECTORY;
        let descriptor = Descriptor { fd: opened, preopen: None, is_directory, flags: fd_flags, borrowed: false };
        let number = self.insert(descriptor);
        memory.write_u32(result, number)
    }

    pub(super) fn path_create_directory(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[1], args[2])?);
        let (parent, name, _) = parent(directory, &path).map_err(|error| match error {
            Errno::INVAL => Errno::EXIST,
            error => error,
        })?;
        call(number::MKDIRAT, [parent.0 as usize, name.as_ptr() as usize, 0o777, 0, 0, 0]).map(|_| ())
    }

    fn unlink(&mut self, memory: &mut Memory, args: &[u64], flags: usize) -> Result<()> {
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[1], args[2])?);
        let (parent, mut name, slash) = parent(directory, &path)?;
        if slash && flags == 0 {
            name.pop();
            name.extend(b"/\0");
        }
        call(number::UNLINKAT, [parent.0 as usize, name.as_ptr() as usize, flags, 0, 0, 0]).map(|_| ())
    }

    pub(super) fn path_unlink_file(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        self.unlink(memory, args, 0)
    }

    pub(super) fn path_remove_directory(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        self.unlink(memory, args, AT_REMOVEDIR)
    }

    pub(super) fn path_rename(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let (from, from_path) = (self.directory(args[0])?, guest_path(memory, args[1], args[2])?);
        let (to, to_path) = (self.directory(args[3])?, guest_path(memory, args[4], args[5])?);
        let (from, mut from_name, from_slash) = parent(from, &from_path)?;
        let (to, mut to_name, to_slash) = parent(to, &to_path)?;
        for (name, slash) in [(&mut from_name, from_slash), (&mut to_name, to_slash)] {
            if slash {
                name.pop();
                name.extend(b"/\0");
            }
        }
        let (from_name, to_name) = (from_name.as_ptr() as usize, to_name.as_ptr() as usize);
        call(number::RENAMEAT2, [from.0 as usize, from_name, to.0 as usize, to_name, 0, 0]).map(|_| ())
    }

    pub(super) fn path_link(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        if args[1] & 1 != 0 {
            return Err(Errno::INVAL);
        }
        let (from, from_path) = (self.directory(args[0])?, guest_path(memory, args[2], args[3])?);
        let (to, to_path) = (self.directory(args[4])?, guest_path(memory, args[5], args[6])?);
        let (from, from_name, from_slash) = parent(from, &from_path)?;
        let (to, to_name, to_slash) = parent(to, &to_path)?;
        if from_slash || to_slash {
            return Err(Errno::NOENT);
        }
        let (from_name, to_name) = (from_name.as_ptr() as usize, to_name.as_ptr() as usize);
        call(number::LINKAT, [from.0 as usize, from_name, to.0 as usize, to_name, 0, 0]).map(|_| ())
    }

    pub(super) fn path_symlink(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let target = guest_path(memory, args[0], args[1])?;
        if target.first() == Some(&b'/') {
            return Err(Errno::PERM);
        }
        let (directory, path) = (self.directory(args[2])?, guest_path(memory, args[3], args[4])?);
        let (parent, name, slash) = parent(directory, &path)?;
        if slash {
            return Err(Errno::NOENT);
        }
        let target = [&target[..], b"\0"].concat();
        let args = [target.as_ptr() as usize, parent.0 as usize, name.as_ptr() as usize, 0, 0, 0];
        call(number::SYMLINKAT, args).map(|_| ())
    }

    pub(super) fn path_readlink(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[1], args[2])?);
        let (parent, name, _) = parent(directory, &path)?;
        let mut target = [0u8; 4096];
        let into = [parent.0 as usize, name.as_ptr() as usize, target.as_mut_ptr() as usize, target.len(), 0, 0];
        let length = call(number::READLINKAT, into)?;
        let length = length.min(args[4] as u32 as usize);
        memory.write(args[3], &target[..length])?;
        memory.write_u32(args[5], length as u32)
    }

    pub(super) fn path_filestat_get(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[2], args[3])?);
        let follow = if args[1] & 1 == 0 { O_NOFOLLOW } else { 0 };
        let fd = Owned(open_beneath(directory, &path, O_PATH | follow, 0)?);
        let mut stat = Stat::new();
        let into = [fd.0 as usize, c"".as_ptr() as usize, stat.0.as_mut_ptr() as usize, AT_EMPTY_PATH, 0, 0];
        call(number::NEWFSTATAT, into)?;
        stat.write(memory, args[4])
    }

    pub(super) fn path_filestat_set_times(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[2], args[3])?);
        let times = super::files::times(args[4], args[5], args[6])?;
        if args[1] & 1 == 0 {
            let (parent, name, _) = parent(directory, &path)?;
            let set = [parent.0 as usize, name.as_ptr() as usize, times.as_ptr() as usize, AT_SYMLINK_NOFOLLOW, 0, 0];
            return call(number::UTIMENSAT, set).map(|_| ());
        }
        let fd = Owned(open_beneath(directory, &path, O_PATH, 0)?);
        let set = [fd.0 as usize, c"".as_ptr() as usize, times.as_ptr() as usize, AT_EMPTY_PATH, 0, 0];
        call(number::UTIMENSAT, set).map(|_| ())
    }
}
