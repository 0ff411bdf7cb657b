//! Operations on descriptors.

use super::abi::{Errno, Failure, Layout, Memory, Result, Stat, entry_type, fdflags, filetype, flags, rights};
use super::descriptors::{Descriptor, Kind};
use super::{Wasi, call, call_again};
use crate::interrupt::{self, FILE_AT_ONCE};
use crate::sys::number;
use alloc::vec::Vec;

pub(super) fn stat(fd: usize) -> Result<Stat> {
    let mut stat = Stat::new();
    call(number::FSTAT, [fd, stat.0.as_mut_ptr() as usize, 0, 0, 0, 0])?;
    Ok(stat)
}

/// The two times of `utimensat`, from WASI's numbers and flags.
pub(super) fn times(access: u64, modification: u64, how: u64) -> Result<[u64; 4]> {
    const NOW: u64 = 0x3fff_ffff;
    const OMIT: u64 = 0x3fff_fffe;
    let how = flags(how, 15)?;
    let time = |set: bool, now: bool, value: u64| match (set, now) {
        (true, true) => Err(Errno::INVAL),
        (true, false) => Ok([value / 1_000_000_000, value % 1_000_000_000]),
        (false, true) => Ok([0, NOW]),
        (false, false) => Ok([0, OMIT]),
    };
    let first = time(how & 1 != 0, how & 2 != 0, access)?;
    let second = time(how & 4 != 0, how & 8 != 0, modification)?;
    Ok([first[0], first[1], second[0], second[1]])
}

/// The kind of a standard stream or a file.
fn kind_of(descriptor: &Descriptor, stat: &Stat) -> u8 {
    match (descriptor.kind, descriptor.terminal) {
        (Kind::Input | Kind::Output, true) => filetype::CHARACTER_DEVICE,
        (Kind::Input | Kind::Output, false) => filetype::UNKNOWN,
        _ => stat.filetype(),
    }
}

/// Which way bytes go, and where in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transfer {
    Read,
    Write,
}

/// At most `most` bytes of the buffers, behind the first `skip`.
fn part(vectors: &[[usize; 2]], skip: usize, most: usize) -> Vec<[usize; 2]> {
    let (mut skip, mut left) = (skip, most);
    let mut part = Vec::new();
    for &[start, length] in vectors {
        let skipped = skip.min(length);
        let taken = (length - skipped).min(left);
        skip -= skipped;
        left -= taken;
        if taken > 0 {
            part.push([start + skipped, taken]);
        }
    }
    part
}

impl Wasi {
    fn file(&self, fd: u64) -> Result<usize> {
        self.descriptors.of_kind(fd, Kind::File).map(|file| file.fd as usize)
    }

    /// A file or directory: what has attributes of its own.
    fn file_or_directory(&self, fd: u64) -> Result<usize> {
        let descriptor = self.descriptors.get(fd)?;
        if descriptor.is_stream() { Err(Errno::BADF.into()) } else { Ok(descriptor.fd as usize) }
    }

    /// A file that has a position; streams have none.
    fn seekable(&self, fd: u64) -> Result<usize> {
        let descriptor = self.descriptors.get(fd)?;
        match descriptor.kind {
            Kind::File => Ok(descriptor.fd as usize),
            Kind::Directory => Err(Errno::BADF.into()),
            _ => Err(Errno::SPIPE.into()),
        }
    }

    pub(super) fn fd_advise(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, offset, length, advice] = args[..] else { return Err(Errno::INVAL.into()) };
        // normal, sequential, random, willneed, dontneed, noreuse
        let advice = [0, 2, 1, 3, 4, 5].get(advice as usize).copied().ok_or(Errno::INVAL)?;
        call(number::FADVISE64, [self.file(fd)?, offset as usize, length as usize, advice, 0, 0]).map(|_| ())
    }

    pub(super) fn fd_allocate(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, offset, length] = args[..] else { return Err(Errno::INVAL.into()) };
        call_again(number::FALLOCATE, [self.file(fd)?, 0, offset as usize, length as usize, 0, 0]).map(|_| ())
    }

    pub(super) fn fd_close(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        self.descriptors.close(args[0])
    }

    pub(super) fn fd_sync(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        call_again(number::FSYNC, [self.file(args[0])?, 0, 0, 0, 0, 0]).map(|_| ())
    }

    pub(super) fn fd_datasync(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        call_again(number::FDATASYNC, [self.file(args[0])?, 0, 0, 0, 0, 0]).map(|_| ())
    }

    pub(super) fn fd_fdstat_get(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let descriptor = self.descriptors.get(args[0])?;
        let kind = kind_of(descriptor, &stat(descriptor.fd as usize)?);
        let (base, inheriting) = match descriptor.kind {
            Kind::Input => (rights::READ, rights::READ),
            Kind::Output => (rights::WRITE, rights::WRITE),
            Kind::Directory if descriptor.preopen.is_some() => (rights::DIRECTORY, rights::INHERITED),
            Kind::Socket => {
                let base = rights::READ | rights::WRITE | rights::SET_FLAGS | rights::POLL;
                (base | rights::SOCK_ACCEPT | rights::SOCK_SHUTDOWN, 0)
            }
            Kind::Directory | Kind::File => {
                let mut base = rights::ALL;
                if descriptor.kind == Kind::Directory {
                    base &= !(rights::SEEK | rights::SET_SIZE | rights::PATH_SET_SIZE);
                }
                if !descriptor.readable {
                    base &= !(rights::READ | rights::READDIR);
                }
                if !descriptor.writable {
                    base &= !rights::WRITE;
                }
                (base, base)
            }
        };
        let flags = descriptor.flags;
        memory.check(args[1], 24, 8)?;
        memory.bytes_mut(args[1], 24)?.fill(0);
        memory.write(args[1], &[kind])?;
        memory.write_u16(args[1] + 2, flags)?;
        memory.write_u64(args[1] + 8, base)?;
        memory.write_u64(args[1] + 16, inheriting)
    }

    pub(super) fn fd_fdstat_set_flags(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        const F_SETFL: usize = 4;
        let flags = flags(args[1], fdflags::ALL)?;
        let descriptor = self.descriptors.get_mut(args[0])?;
        if !matches!(descriptor.kind, Kind::File | Kind::Socket) {
            return Err(Errno::BADF.into());
        }
        if flags & (fdflags::DSYNC | fdflags::RSYNC | fdflags::SYNC) != 0 {
            return Err(Errno::INVAL.into());
        }
        let append = if flags & fdflags::APPEND != 0 { super::resolve::O_APPEND } else { 0 };
        let nonblock = if flags & fdflags::NONBLOCK != 0 { super::resolve::O_NONBLOCK } else { 0 };
        call(number::FCNTL, [descriptor.fd as usize, F_SETFL, (append | nonblock) as usize, 0, 0, 0])?;
        descriptor.flags = flags;
        Ok(())
    }

    pub(super) fn fd_fdstat_set_rights(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        if (args[1] | args[2]) & !rights::ALL != 0 {
            return Err(Errno::INVAL.into());
        }
        self.file_or_directory(args[0])?;
        Err(Errno::NOTSUP.into())
    }

    pub(super) fn fd_filestat_get(&mut self, memory: &mut Memory, args: &[u64], layout: Layout) -> Result<()> {
        let descriptor = self.descriptors.get(args[0])?;
        let stat = if descriptor.is_stream() { Stat::new() } else { stat(descriptor.fd as usize)? };
        stat.write(memory, args[1], kind_of(descriptor, &stat), layout)
    }

    pub(super) fn fd_filestat_set_size(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        call_again(number::FTRUNCATE, [self.file(args[0])?, args[1] as usize, 0, 0, 0, 0]).map(|_| ())
    }

    pub(super) fn fd_filestat_set_times(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        let times = times(args[1], args[2], args[3])?;
        let fd = self.file_or_directory(args[0])?;
        call(number::UTIMENSAT, [fd, 0, times.as_ptr() as usize, 0, 0, 0]).map(|_| ())
    }

    /// Reads or writes a list of buffers, with one system call unless they are very large; `offset` none: at the file's position.
    fn transfer(&mut self, memory: &mut Memory, args: &[u64], way: Transfer, offset: Option<u64>) -> Result<u32> {
        let most = if way == Transfer::Write { self.output_left } else { u64::MAX };
        let vectors = memory.vectors(args[1], args[2], most)?;
        let descriptor = self.descriptors.get(args[0])?;
        let permitted = if way == Transfer::Read { descriptor.readable } else { descriptor.writable };
        match descriptor.kind {
            Kind::Directory => return Err(Errno::BADF.into()),
            _ if !permitted => return Err(Errno::BADF.into()),
            Kind::Input | Kind::Output | Kind::Socket if offset.is_some() => return Err(Errno::SPIPE.into()),
            _ => {}
        }
        if most == 0 && memory.vectors(args[1], args[2], 1)?.len() == 1 {
            return Err(Failure::Trap("the program may write no more output"));
        }
        let number = match (way, offset) {
            (Transfer::Read, None) => number::READV,
            (Transfer::Read, Some(_)) => number::PREADV,
            (Transfer::Write, None) => number::WRITEV,
            (Transfer::Write, Some(_)) => number::PWRITEV,
        };
        let offset = offset.unwrap_or(0);
        let mut moved = 0;
        loop {
            // Standard streams may be files too. What is sent to a socket may be one message.
            let whole = descriptor.kind == Kind::Socket;
            let piece = if whole { vectors.clone() } else { part(&vectors, moved, FILE_AT_ONCE) };
            let args = [descriptor.fd as usize, piece.as_ptr() as usize, piece.len(), offset as usize + moved, 0, 0];
            match call_again(number, args) {
                // A standard stream blocks for the program, whatever whoever shares it has made of it.
                Err(Failure::Errno(Errno::AGAIN)) if descriptor.is_stream() => {
                    super::poll::wait(descriptor.fd, way == Transfer::Write)?;
                    continue;
                }
                Err(Failure::Errno(_)) if moved > 0 => break,
                outcome => {
                    let count = outcome?;
                    moved += count;
                    // More would have to be waited for where it comes from a stream.
                    let waits = descriptor.kind != Kind::File && way == Transfer::Read;
                    if count < FILE_AT_ONCE || whole || waits {
                        break;
                    }
                }
            }
            if interrupt::pending() {
                return Err(Failure::Timeout);
            }
        }
        if way == Transfer::Write {
            self.output_left -= moved as u64;
        }
        Ok(moved as u32)
    }

    pub(super) fn fd_read(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let count = self.transfer(memory, args, Transfer::Read, None)?;
        memory.write_u32(args[3], count)
    }

    pub(super) fn fd_write(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let count = self.transfer(memory, args, Transfer::Write, None)?;
        memory.write_u32(args[3], count)
    }

    pub(super) fn fd_pread(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let count = self.transfer(memory, args, Transfer::Read, Some(args[3]))?;
        memory.write_u32(args[4], count)
    }

    pub(super) fn fd_pwrite(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let count = self.transfer(memory, args, Transfer::Write, Some(args[3]))?;
        memory.write_u32(args[4], count)
    }

    pub(super) fn fd_prestat_get(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let name = self.descriptors.get(args[0])?.preopen.as_ref().ok_or(Errno::BADF)?;
        let length = name.len() as u32;
        memory.write_u32(args[1], 0)?;
        memory.write_u32(args[1] + 4, length)
    }

    pub(super) fn fd_prestat_dir_name(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let name = self.descriptors.get(args[0])?.preopen.as_ref().ok_or(Errno::NOTDIR)?;
        if args[2] < name.len() as u64 {
            return Err(Errno::NAMETOOLONG.into());
        }
        memory.write(args[1], name)
    }

    /// Entries as WASI lays them out; the last one may be cut off, which tells the guest that there is more. A cookie is the
    /// number of entries up to there, since C's `telldir` has 32 bits for what takes the kernel 64. The kernel's position is kept,
    /// so a cookie stays good when other entries are removed.
    pub(super) fn fd_readdir(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, buffer, length, cookie, used_at] = args[..] else { return Err(Errno::INVAL.into()) };
        self.descriptors.of_kind(fd, Kind::Directory)?;
        let directory = self.descriptors.get_mut(fd)?;
        let (fd, positions) = (directory.fd as usize, &mut directory.positions);
        memory.check(buffer, length, 1)?;
        memory.check(used_at, 4, 4)?;
        let mut used = 0u64;
        let mut entries = [0u64; 512];
        // The number of entries before the next one. What was never read before is read on the way to the cookie.
        let mut place = positions.len().min(cookie as usize);
        let start = if place == 0 { 0 } else { positions[place - 1] };
        let mut more = length > 0;
        call(number::LSEEK, [fd, start as usize, 0, 0, 0, 0])?;
        while more {
            if interrupt::pending() {
                return Err(Failure::Timeout);
            }
            let bytes = core::mem::size_of_val(&entries);
            let count = match call_again(number::GETDENTS64, [fd, entries.as_mut_ptr() as usize, bytes, 0, 0, 0]) {
                Err(Failure::Errno(Errno::NOENT)) => 0, // removed, and so empty
                count => count?,
            };
            more = count > 0;
            if !more {
                positions.truncate(place);
            }
            let mut at = 0;
            while more && at < count {
                // Each entry of the kernel: inode, position behind it, size (u16), type (u8), name with a NUL.
                let word = |n: usize| entries[at / 8 + n];
                let (inode, next) = (word(0), word(1));
                let (size, kind) = ((word(2) & 0xffff) as usize, (word(2) >> 16) as u8);
                // SAFETY: the entry lies in the part of the array that the kernel filled.
                let raw = unsafe { core::slice::from_raw_parts(entries.as_ptr().cast::<u8>().add(at), size) };
                let name = raw.get(19..).unwrap_or(&[]).split(|byte| *byte == 0).next().unwrap_or(&[]);
                at += size.max(24);
                positions.resize(positions.len().max(place + 1), 0);
                positions[place] = next;
                place += 1;
                if place as u64 <= cookie {
                    continue;
                }
                let mut entry = [0u8; 24];
                entry[..8].copy_from_slice(&(place as u64).to_le_bytes());
                entry[8..16].copy_from_slice(&inode.to_le_bytes());
                entry[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
                entry[20] = match entry_type(kind) {
                    Some(kind) => kind,
                    None => super::paths::stat_entry(fd, raw.as_ptr() as usize + 19).map_or(0, |stat| stat.filetype()),
                };
                for part in [&entry[..], name] {
                    let fits = (part.len() as u64).min(length - used);
                    memory.write(buffer + used, &part[..fits as usize])?;
                    used += fits;
                }
                more = used < length;
            }
        }
        memory.write_u32(used_at, used as u32)
    }

    pub(super) fn fd_renumber(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        self.descriptors.renumber(args[0], args[1])
    }

    /// `whence` gives the guest's numbers for: from the beginning, from the position, from the end.
    pub(super) fn fd_seek(&mut self, memory: &mut Memory, args: &[u64], whence: [u64; 3]) -> Result<()> {
        let whence = whence.iter().position(|known| *known == args[2]).ok_or(Errno::INVAL)?;
        let place = call(number::LSEEK, [self.seekable(args[0])?, args[1] as usize, whence, 0, 0, 0])?;
        memory.write_u64(args[3], place as u64)
    }

    pub(super) fn fd_tell(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let place = call(number::LSEEK, [self.seekable(args[0])?, 0, 1, 0, 0, 0])?;
        memory.write_u64(args[1], place as u64)
    }
}
