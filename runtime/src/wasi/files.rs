//! Operations on descriptors.

use super::abi::{Errno, Memory, Stat, entry_type, filetype, rights};
use super::{Wasi, call};
use crate::sys::number;

type Result<T> = core::result::Result<T, Errno>;

pub(super) fn stat(fd: i32) -> Result<Stat> {
    let mut stat = Stat::new();
    call(number::FSTAT, [fd as usize, stat.0.as_mut_ptr() as usize, 0, 0, 0, 0])?;
    Ok(stat)
}

/// The two times of `utimensat`, from WASI's numbers and flags.
pub(super) fn times(access: u64, modification: u64, flags: u64) -> Result<[u64; 4]> {
    const NOW: u64 = 0x3fff_ffff;
    const OMIT: u64 = 0x3fff_fffe;
    let time = |set: bool, now: bool, value: u64| match (set, now) {
        (true, true) => Err(Errno::INVAL),
        (true, false) => Ok([value / 1_000_000_000, value % 1_000_000_000]),
        (false, true) => Ok([0, NOW]),
        (false, false) => Ok([0, OMIT]),
    };
    let first = time(flags & 1 != 0, flags & 2 != 0, access)?;
    let second = time(flags & 4 != 0, flags & 8 != 0, modification)?;
    Ok([first[0], first[1], second[0], second[1]])
}

impl Wasi {
    fn file(&self, fd: u64) -> Result<usize> {
        Ok(self.descriptor(fd)?.fd as usize)
    }

    pub(super) fn fd_advise(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, offset, length, advice] = args[..] else { return Err(Errno::INVAL) };
        // normal, sequential, random, willneed, dontneed, noreuse
        let advice = [0, 2, 1, 3, 4, 5].get(advice as usize).copied().ok_or(Errno::INVAL)?;
        call(number::FADVISE64, [self.file(fd)?, offset as usize, length as usize, advice, 0, 0]).map(|_| ())
    }

    pub(super) fn fd_allocate(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        // As wasmtime does: the interface cannot be met on all systems.
        self.descriptor(args[0])?;
        Err(Errno::NOTSUP)
    }

    pub(super) fn fd_close(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        let slot = self.descriptors.get_mut(args[0] as u32 as usize).ok_or(Errno::BADF)?;
        slot.take().map(|_| ()).ok_or(Errno::BADF)
    }

    pub(super) fn fd_sync(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        call(number::FSYNC, [self.file(args[0])?, 0, 0, 0, 0, 0]).map(|_| ())
    }

    pub(super) fn fd_datasync(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        call(number::FDATASYNC, [self.file(args[0])?, 0, 0, 0, 0, 0]).map(|_| ())
    }

    pub(super) fn fd_fdstat_get(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let descriptor = self.descriptor(args[0])?;
        let kind = stat(descriptor.fd)?.filetype();
        let mut base = rights::ALL;
        if kind == filetype::CHARACTER_DEVICE {
            // libc takes a character device that cannot seek for a terminal.
            base &= !(rights::SEEK | rights::TELL);
        }
        let inheriting = if kind == filetype::DIRECTORY { rights::ALL } else { 0 };
        let flags = descriptor.flags;
        memory.bytes_mut(args[1], 24)?.fill(0);
        memory.write(args[1], &[kind])?;
        memory.write(args[1] + 2, &flags.to_le_bytes())?;
        memory.write_u64(args[1] + 8, base)?;
        memory.write_u64(args[1] + 16, inheriting)
    }

    pub(super) fn fd_fdstat_set_flags(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        const F_SETFL: usize = 4;
        let flags = args[1] as u16;
        if flags & !0x1f != 0 {
            return Err(Errno::INVAL);
        }
        if flags & (2 | 8 | 16) != 0 {
            return Err(Errno::NOTSUP);
        }
        let linux = usize::from(flags & 1 != 0) * 0o2000 | usize::from(flags & 4 != 0) * 0o4000;
        call(number::FCNTL, [self.file(args[0])?, F_SETFL, linux, 0, 0, 0])?;
        if let Some(Some(descriptor)) = self.descriptors.get_mut(args[0] as u32 as usize) {
            descriptor.flags = flags;
        }
        Ok(())
    }

    pub(super) fn fd_fdstat_set_rights(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        self.descriptor(args[0])?;
        Err(Errno::NOTSUP)
    }

    pub(super) fn fd_filestat_get(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        stat(self.descriptor(args[0])?.fd)?.write(memory, args[1])
    }

    pub(super) fn fd_filestat_set_size(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        call(number::FTRUNCATE, [self.file(args[0])?, args[1] as usize, 0, 0, 0, 0]).map(|_| ())
    }

    pub(super) fn fd_filestat_set_times(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        let times = times(args[1], args[2], args[3])?;
        call(number::UTIMENSAT, [self.file(args[0])?, 0, times.as_ptr() as usize, 0, 0, 0]).map(|_| ())
    }

    /// Reads or writes buffer after buffer; stops at the first that is not filled. `offset` none: at the file's position.
    fn transfer(
        &mut self,
        memory: &mut Memory,
        args: [u64; 3],
        system_calls: [usize; 2],
        offset: Option<u64>,
    ) -> Result<u32> {
        let fd = self.file(args[0])?;
        if self.descriptor(args[0])?.is_directory {
            return Err(if system_calls[0] == number::READ { Errno::ISDIR } else { Errno::BADF });
        }
        let mut total = 0u64;
        for [start, length] in memory.vectors(args[1], args[2])? {
            if length == 0 {
                continue;
            }
            let moved = loop {
                let moved = match offset {
                    None => call(system_calls[0], [fd, start, length, 0, 0, 0]),
                    Some(offset) => call(system_calls[1], [fd, start, length, (offset + total) as usize, 0, 0]),
                };
                match moved {
                    Err(Errno(27)) => {}
                    moved => break moved,
                }
            };
            match moved {
                Ok(moved) => {
                    total += moved as u64;
                    if moved < length {
                        break;
                    }
                }
                Err(error) if total == 0 => return Err(error),
                Err(_) => break,
            }
        }
        u32::try_from(total).map_err(|_| Errno::OVERFLOW)
    }

    pub(super) fn fd_read(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let count = self.transfer(memory, [args[0], args[1], args[2]], [number::READ, number::PREAD64], None)?;
        memory.write_u32(args[3], count)
    }

    pub(super) fn fd_write(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let count = self.transfer(memory, [args[0], args[1], args[2]], [number::WRITE, number::PWRITE64], None)?;
        memory.write_u32(args[3], count)
    }

    pub(super) fn fd_pread(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let list = [args[0], args[1], args[2]];
        let count = self.transfer(memory, list, [number::READ, number::PREAD64], Some(args[3]))?;
        memory.write_u32(args[4], count)
    }

    pub(super) fn fd_pwrite(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let list = [args[0], args[1], args[2]];
        let count = self.transfer(memory, list, [number::WRITE, number::PWRITE64], Some(args[3]))?;
        memory.write_u32(args[4], count)
    }

    pub(super) fn fd_prestat_get(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let name = self.descriptor(args[0])?.preopen.as_ref().ok_or(Errno::BADF)?;
        let length = name.len() as u32;
        memory.write_u32(args[1], 0)?;
        memory.write_u32(args[1] + 4, length)
    }

    pub(super) fn fd_prestat_dir_name(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let name = self.descriptor(args[0])?.preopen.as_ref().ok_or(Errno::BADF)?;
        if (args[2] as u32 as usize) < name.len() {
            return Err(Errno::NAMETOOLONG);
        }
        memory.write(args[1], name)
    }

    /// Entries as WASI lays them out; the last one may be cut off, which tells the guest that there is more.
    pub(super) fn fd_readdir(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let [fd, buffer, length, cookie, used_at] = args[..] else { return Err(Errno::INVAL) };
        let fd = self.directory(fd)? as usize;
        let room = u64::from(length as u32);
        memory.bytes(buffer, room)?;
        call(number::LSEEK, [fd, cookie as usize, 0, 0, 0, 0])?;
        let mut used = 0u64;
        let mut entries = [0u64; 512];
        'full: loop {
            let bytes = core::mem::size_of_val(&entries);
            let count = call(number::GETDENTS64, [fd, entries.as_mut_ptr() as usize, bytes, 0, 0, 0])?;
            if count == 0 {
                break;
            }
            let mut at = 0;
            while at < count {
                let word = |n: usize| entries[at / 8 + n];
                let (inode, next) = (word(0), word(1));
                let (size, kind) = ((word(2) & 0xffff) as usize, (word(2) >> 16) as u8);
                // SAFETY: the entry lies in the part of the array that the kernel filled.
                let raw = unsafe { core::slice::from_raw_parts(entries.as_ptr().cast::<u8>().add(at), size) };
                let name = raw.get(19..).unwrap_or(&[]).split(|byte| *byte == 0).next().unwrap_or(&[]);
                let mut entry = [0u8; 24];
                entry[..8].copy_from_slice(&next.to_le_bytes());
                entry[8..16].copy_from_slice(&inode.to_le_bytes());
                entry[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
                entry[20] = entry_type(kind);
                for part in [&entry[..], name] {
                    let fits = (part.len() as u64).min(room - used);
                    memory.write(buffer + used, &part[..fits as usize])?;
                    used += fits;
                }
                if used == room {
                    break 'full;
                }
                at += size.max(8);
            }
        }
        memory.write_u32(used_at, used as u32)
    }

    pub(super) fn fd_renumber(&mut self, _: &mut Memory, args: &[u64]) -> Result<()> {
        let (from, to) = (args[0] as u32 as usize, args[1] as u32 as usize);
        self.descriptor(args[0])?;
        self.descriptor(args[1])?;
        if from != to {
            self.descriptors[to] = self.descriptors[from].take();
        }
        Ok(())
    }

    pub(super) fn fd_seek(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        // set, current, end: the same numbers as Linux.
        if args[2] > 2 {
            return Err(Errno::INVAL);
        }
        let place = call(number::LSEEK, [self.file(args[0])?, args[1] as usize, args[2] as usize, 0, 0, 0])?;
        memory.write_u64(args[3], place as u64)
    }

    pub(super) fn fd_tell(&mut self, memory: &mut Memory, args: &[u64]) -> Result<()> {
        let place = call(number::LSEEK, [self.file(args[0])?, 0, 1, 0, 0, 0])?;
        memory.write_u64(args[1], place as u64)
    }
}
