//! Operations on paths; `resolve` finds what they name.

use super::abi::{Errno, Failure, Layout, Memory, Result, Stat, fdflags, filetype, flags, rights};
use super::descriptors::{Descriptor, Kind, Owned};
use super::resolve::*;
use super::{Wasi, call, call_again};
use crate::sys::number;

const AT_SYMLINK_NOFOLLOW: usize = 0x100;
const AT_REMOVEDIR: usize = 0x200;
const AT_EMPTY_PATH: usize = 0x1000;

/// `lookupflags`: follow a symbolic link at the end of the path.
const FOLLOW: u16 = 1;

mod oflags {
    pub const CREATE: u16 = 1;
    pub const DIRECTORY: u16 = 2;
    pub const EXCLUSIVE: u16 = 4;
    pub const TRUNCATE: u16 = 8;
}

/// Attributes of a directory's entry; `name` is the address of a string with a NUL.
pub(super) fn stat_entry(directory: usize, name: usize) -> Result<Stat> {
    let mut stat = Stat::new();
    let flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
    call(number::NEWFSTATAT, [directory, name, stat.0.as_mut_ptr() as usize, flags, 0, 0])?;
    Ok(stat)
}

/// `lookupflags` as a flag of `openat2`.
fn follow(value: u64) -> Result<u64> {
    Ok(if flags32(value, FOLLOW)? == 0 { O_NOFOLLOW } else { 0 })
}

/// The one set of flags with 32 bits.
fn flags32(value: u64, known: u16) -> Result<u16> {
    if value & !u64::from(known) == 0 { Ok(value as u16) } else { Err(Errno::INVAL.into()) }
}

impl Wasi {
    fn directory(&self, fd: u64) -> Result<i32> {
        self.descriptors.of_kind(fd, Kind::Directory).map(|directory| directory.fd)
    }

    pub(super) fn path_open(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, lookup, start, length, how, base, inheriting, fd_flags, result] = args[..] else {
            return Err(Errno::INVAL.into());
        };
        let follow = follow(lookup)?;
        let how = flags(how, oflags::CREATE | oflags::DIRECTORY | oflags::EXCLUSIVE | oflags::TRUNCATE)?;
        if (base | inheriting) & !rights::ALL != 0 {
            return Err(Errno::INVAL.into());
        }
        let fd_flags = flags(fd_flags, fdflags::ALL)?;
        memory.check(result, 4, 4)?;
        let path = guest_path(memory, start, length)?;
        let directory = match self.descriptors.get(fd)? {
            found if found.kind == Kind::Directory => found.fd,
            found if found.kind == Kind::File => return Err(Errno::NOTDIR.into()),
            _ => return Err(Errno::BADF.into()),
        };
        if fd_flags & (fdflags::DSYNC | fdflags::RSYNC | fdflags::SYNC) != 0 {
            return Err(Errno::NOTSUP.into());
        }
        if how & oflags::DIRECTORY != 0 && how != oflags::DIRECTORY {
            return Err(Errno::INVAL.into());
        }
        // Who creates or cuts may write; who may not write may read.
        let writable = base & rights::WRITE != 0 || how & (oflags::CREATE | oflags::TRUNCATE) != 0;
        let readable = base & rights::READ != 0 || base & rights::WRITE == 0;
        let create = how & oflags::CREATE != 0;
        let exclusive = create && how & oflags::EXCLUSIVE != 0;
        let mut open = follow;
        for (wanted, flag) in [
            (writable && readable, O_RDWR),
            (writable && !readable, O_WRONLY),
            (how & oflags::DIRECTORY != 0, O_DIRECTORY),
            (create, O_CREAT),
            (exclusive, O_EXCL),
            (how & oflags::TRUNCATE != 0 && !exclusive, O_TRUNC),
            (fd_flags & fdflags::APPEND != 0, O_APPEND),
            (fd_flags & fdflags::NONBLOCK != 0, O_NONBLOCK),
        ] {
            open |= if wanted { flag } else { 0 };
        }
        let at = self.descriptors.free()?;
        let opened = open_beneath(directory, path, open, if create { 0o666 } else { 0 });
        let opened = match opened {
            // Linux says so of a symbolic link too.
            Err(Failure::Errno(Errno::NOTDIR)) if open & (O_DIRECTORY | O_NOFOLLOW) == O_DIRECTORY | O_NOFOLLOW => {
                let found = open_beneath(directory, path, O_PATH | O_NOFOLLOW, 0)?;
                let link = super::files::stat(found.raw())?.filetype() == filetype::SYMBOLIC_LINK;
                return Err(if link { Errno::LOOP } else { Errno::NOTDIR }.into());
            }
            opened => opened?,
        };
        let is_directory = super::files::stat(opened.raw())?.filetype() == filetype::DIRECTORY;
        let kind = if is_directory { Kind::Directory } else { Kind::File };
        let mut descriptor = Descriptor::new(opened.release(), kind);
        (descriptor.readable, descriptor.writable) = (readable, writable);
        descriptor.flags = if is_directory { 0 } else { fd_flags };
        self.descriptors.put(at, descriptor);
        memory.write_u32(result, at as u32)
    }

    pub(super) fn path_create_directory(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[1], args[2])?);
        let entry = Entry::find(directory, path, Slashes::Go)?;
        call_entry(number::MKDIRAT, &entry, [0o777, 0]).map(|_| ())
    }

    pub(super) fn path_unlink_file(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[1], args[2])?);
        let entry = Entry::find(directory, path, Slashes::Resolve)?;
        call_entry(number::UNLINKAT, &entry, [0, 0]).map(|_| ())
    }

    pub(super) fn path_remove_directory(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[1], args[2])?);
        let entry = Entry::find(directory, path, Slashes::Stay)?;
        call_entry(number::UNLINKAT, &entry, [AT_REMOVEDIR, 0]).map(|_| ())
    }

    pub(super) fn path_rename(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let (from, to) = (self.directory(args[0])?, self.directory(args[3])?);
        let (from_path, to_path) = (guest_path(memory, args[1], args[2])?, guest_path(memory, args[4], args[5])?);
        let from = Entry::find(from, from_path, Slashes::Stay)?;
        let to = Entry::find(to, to_path, Slashes::Stay)?;
        call_entry(number::RENAMEAT2, &from, [to.directory.raw(), to.name()]).map(|_| ())
    }

    pub(super) fn path_link(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let follow = follow(args[1])?;
        let (from, to) = (self.directory(args[0])?, self.directory(args[4])?);
        let (from_path, to_path) = (guest_path(memory, args[2], args[3])?, guest_path(memory, args[5], args[6])?);
        if follow == 0 {
            return Err(Errno::INVAL.into());
        }
        let from = Entry::find(from, from_path, Slashes::Resolve)?;
        let to = Entry::find(to, to_path, Slashes::Resolve)?;
        call_entry(number::LINKAT, &from, [to.directory.raw(), to.name()]).map(|_| ())
    }

    pub(super) fn path_symlink(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let directory = self.directory(args[2])?;
        let (target, path) = (guest_path(memory, args[0], args[1])?, guest_path(memory, args[3], args[4])?);
        if target.first() == Some(&b'/') {
            return Err(Errno::PERM.into());
        }
        let entry = Entry::find(directory, path, Slashes::Resolve)?;
        let target = terminated(target)?;
        let args = [target.as_ptr() as usize, entry.directory.raw(), entry.name(), 0, 0, 0];
        call_again(number::SYMLINKAT, args).map(|_| ())
    }

    pub(super) fn path_readlink(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, start, length, buffer, room, result] = args[..] else { return Err(Errno::INVAL.into()) };
        let (directory, path) = (self.directory(fd)?, guest_path(memory, start, length)?);
        memory.check(buffer, room, 1)?;
        memory.check(result, 4, 4)?;
        let entry = Entry::find(directory, path, Slashes::Stay)?;
        let mut target = [0u8; PATH_MAX];
        let count = call_entry(number::READLINKAT, &entry, [target.as_mut_ptr() as usize, target.len()])?;
        let target = &target[..count];
        // An absolute target names something outside.
        if target.first() == Some(&b'/') {
            return Err(Errno::PERM.into());
        }
        if core::str::from_utf8(target).is_err() {
            return Err(Errno::ILSEQ.into());
        }
        let fits = target.len().min(room as usize);
        memory.write(buffer, &target[..fits])?;
        memory.write_u32(result, fits as u32)
    }

    pub(super) fn path_filestat_get(&mut self, memory: &mut Memory, args: &[u64], layout: Layout) -> Result<()> {
        let follow = follow(args[1])?;
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[2], args[3])?);
        let found: Owned = open_beneath(directory, path, O_PATH | follow, 0)?;
        let stat = stat_entry(found.raw(), c"".as_ptr() as usize)?;
        stat.write(memory, args[4], stat.filetype(), layout)
    }

    pub(super) fn path_filestat_set_times(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let follow = follow(args[1])?;
        let times = super::files::times(args[4], args[5], args[6])?;
        let (directory, path) = (self.directory(args[0])?, guest_path(memory, args[2], args[3])?);
        let found = open_beneath(directory, path, O_PATH | follow, 0)?;
        let set = [found.raw(), c"".as_ptr() as usize, times.as_ptr() as usize, AT_EMPTY_PATH, 0, 0];
        call(number::UTIMENSAT, set).map(|_| ())
    }
}
