//! The interface's data: error numbers, guest memory, records.
//!
//! Everything a guest passes comes through [`Memory`]: a pointer that is out of bounds or misaligned ends the guest with a
//! trap, as the interface's documents ask for. Arithmetic on guest pointers is in u64, where sums of 32-bit numbers are exact.

use alloc::vec::Vec;
use core::ops::Range;

/// A WASI error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u16);

impl Errno {
    pub const AGAIN: Errno = Errno(6);
    pub const BADF: Errno = Errno(8);
    pub const BUSY: Errno = Errno(10);
    pub const ILSEQ: Errno = Errno(25);
    pub const INVAL: Errno = Errno(28);
    pub const LOOP: Errno = Errno(32);
    pub const MFILE: Errno = Errno(33);
    pub const NAMETOOLONG: Errno = Errno(37);
    pub const NOENT: Errno = Errno(44);
    pub const NOMEM: Errno = Errno(48);
    pub const NOTDIR: Errno = Errno(54);
    pub const NOTSOCK: Errno = Errno(57);
    pub const NOTSUP: Errno = Errno(58);
    pub const OVERFLOW: Errno = Errno(61);
    pub const PERM: Errno = Errno(63);
    pub const SPIPE: Errno = Errno(70);

    /// Linux's error numbers 1 to 40 in WASI's numbering; 0 where WASI has none.
    const FIRST: [u8; 41] = [
        0, 63, 44, 71, 27, 29, 60, 1, 45, 8, 12, 6, 48, 2, 21, 0, 10, 20, 75, 43, 54, 31, 28, 41, 33, 59, 74, 22, 51, 70,
        69, 34, 64, 18, 68, 16, 37, 46, 52, 55, 32,
    ];

    pub fn from_linux(error: i32) -> Errno {
        let first = usize::try_from(error).ok().and_then(|error| Errno::FIRST.get(error)).copied().unwrap_or(0);
        Errno(match (first, error) {
            (1.., _) => u16::from(first),
            (0, 75) => 61,  // EOVERFLOW
            (0, 84) => 25,  // EILSEQ
            (0, 88) => 57,  // ENOTSOCK
            (0, 90) => 35,  // EMSGSIZE
            (0, 95) => 58,  // EOPNOTSUPP
            (0, 103) => 13, // ECONNABORTED
            (0, 104) => 15, // ECONNRESET
            (0, 107) => 53, // ENOTCONN
            (0, 110) => 73, // ETIMEDOUT
            (0, 111) => 14, // ECONNREFUSED
            (0, 122) => 19, // EDQUOT
            _ => 29,        // EIO
        })
    }
}

/// Why a call does not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The guest is told.
    Errno(Errno),
    /// The guest ends with a trap, for this reason.
    Trap(&'static str),
    /// The guest ends because its time is over.
    Timeout,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Errno(errno)
    }
}

pub type Result<T> = core::result::Result<T, Failure>;

/// The caller's linear memory.
pub struct Memory<'a>(pub &'a mut [u8]);

impl Memory<'_> {
    /// The range of a guest buffer.
    fn range(&self, start: u64, length: u64, alignment: u64) -> Result<Range<usize>> {
        let end = start.checked_add(length).filter(|end| *end <= self.0.len() as u64);
        let end = end.ok_or(Failure::Trap("pointer out of bounds"))?;
        if !start.is_multiple_of(alignment) {
            return Err(Failure::Trap("pointer not aligned"));
        }
        Ok(start as usize..end as usize)
    }

    pub fn bytes(&self, start: u64, length: u64) -> Result<&[u8]> {
        let range = self.range(start, length, 1)?;
        Ok(&self.0[range])
    }

    pub fn bytes_mut(&mut self, start: u64, length: u64) -> Result<&mut [u8]> {
        let range = self.range(start, length, 1)?;
        Ok(&mut self.0[range])
    }

    /// Checks a place for records of some size and alignment: results are refused before anything is done.
    pub fn check(&self, start: u64, length: u64, alignment: u64) -> Result<()> {
        self.range(start, length, alignment).map(|_| ())
    }

    pub fn array<const N: usize>(&self, at: u64) -> Result<[u8; N]> {
        let range = self.range(at, N as u64, N as u64)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.0[range]);
        Ok(array)
    }

    pub fn u8(&self, at: u64) -> Result<u8> {
        self.array(at).map(u8::from_le_bytes)
    }

    pub fn u16(&self, at: u64) -> Result<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub fn u32(&self, at: u64) -> Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub fn u64(&self, at: u64) -> Result<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        self.bytes_mut(at, bytes.len() as u64)?.copy_from_slice(bytes);
        Ok(())
    }

    pub fn write_u16(&mut self, at: u64, value: u16) -> Result<()> {
        self.check(at, 2, 2)?;
        self.write(at, &value.to_le_bytes())
    }

    pub fn write_u32(&mut self, at: u64, value: u32) -> Result<()> {
        self.check(at, 4, 4)?;
        self.write(at, &value.to_le_bytes())
    }

    pub fn write_u64(&mut self, at: u64, value: u64) -> Result<()> {
        self.check(at, 8, 8)?;
        self.write(at, &value.to_le_bytes())
    }

    /// The kernel's view of a list of guest buffers: address and length of each that is not empty, as far as one system call
    /// takes them and as far as `most` bytes. Fewer bytes than asked for may always be moved.
    pub fn vectors(&mut self, list: u64, count: u64, most: u64) -> Result<Vec<[usize; 2]>> {
        const MOST_VECTORS: usize = 1024;
        const MOST_BYTES: u64 = 0x7fff_f000;
        self.check(list, 8 * count, 4)?;
        let mut left = most.min(MOST_BYTES);
        let mut vectors = Vec::new();
        for n in 0..count {
            let (start, length) = (self.u32(list + 8 * n)?, self.u32(list + 8 * n + 4)?);
            let bytes = self.bytes_mut(u64::from(start), u64::from(length))?;
            let taken = u64::from(length).min(left);
            if taken > 0 {
                vectors.push([bytes.as_mut_ptr() as usize, taken as usize]);
                left -= taken;
            }
            if left == 0 || vectors.len() == MOST_VECTORS {
                break;
            }
        }
        Ok(vectors)
    }
}

pub mod rights {
    pub const DATASYNC: u64 = 1;
    pub const READ: u64 = 1 << 1;
    pub const SEEK: u64 = 1 << 2;
    pub const SET_FLAGS: u64 = 1 << 3;
    pub const SYNC: u64 = 1 << 4;
    pub const TELL: u64 = 1 << 5;
    pub const WRITE: u64 = 1 << 6;
    pub const ADVISE: u64 = 1 << 7;
    pub const ALLOCATE: u64 = 1 << 8;
    pub const READDIR: u64 = 1 << 14;
    pub const PATH_SET_SIZE: u64 = 1 << 19;
    pub const SET_SIZE: u64 = 1 << 22;
    pub const POLL: u64 = 1 << 27;
    pub const SOCK_SHUTDOWN: u64 = 1 << 28;
    pub const SOCK_ACCEPT: u64 = 1 << 29;
    pub const ALL: u64 = (1 << 30) - 1;

    /// Of a granted directory: what concerns paths, reading entries, attributes and times. (Bits 9 to 18, 20, 21, 23 to 26
    /// without those that set sizes.)
    pub const DIRECTORY: u64 = 0x07ff_fe00 & !(PATH_SET_SIZE | SET_SIZE);
    /// Of what is opened beneath it.
    pub const INHERITED: u64 =
        DIRECTORY | DATASYNC | READ | SEEK | SET_FLAGS | SYNC | TELL | WRITE | ADVISE | ALLOCATE | SET_SIZE | POLL;
}

pub mod fdflags {
    pub const APPEND: u16 = 1;
    pub const DSYNC: u16 = 2;
    pub const NONBLOCK: u16 = 4;
    pub const RSYNC: u16 = 8;
    pub const SYNC: u16 = 16;
    pub const ALL: u16 = 31;
}

pub mod filetype {
    pub const UNKNOWN: u8 = 0;
    pub const BLOCK_DEVICE: u8 = 1;
    pub const CHARACTER_DEVICE: u8 = 2;
    pub const DIRECTORY: u8 = 3;
    pub const REGULAR_FILE: u8 = 4;
    pub const SOCKET_STREAM: u8 = 6;
    pub const SYMBOLIC_LINK: u8 = 7;
}

/// An argument that is a set of flags: unknown ones are refused.
pub fn flags(value: u64, known: u16) -> Result<u16> {
    let value = u16::try_from(value).map_err(|_| Errno::OVERFLOW)?;
    if value & !known == 0 { Ok(value) } else { Err(Errno::INVAL.into()) }
}

/// The layout of a file's attributes: `wasi_unstable` has a narrower link count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Preview1,
    Unstable,
}

/// The kernel's struct stat.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Stat(pub [u64; 18]);

impl Stat {
    pub const fn new() -> Stat {
        Stat([0; 18])
    }

    pub fn filetype(&self) -> u8 {
        match (self.0[3] as u32) & 0o170000 {
            0o060000 => filetype::BLOCK_DEVICE,
            0o020000 => filetype::CHARACTER_DEVICE,
            0o040000 => filetype::DIRECTORY,
            0o100000 => filetype::REGULAR_FILE,
            0o140000 => filetype::SOCKET_STREAM,
            0o120000 => filetype::SYMBOLIC_LINK,
            _ => filetype::UNKNOWN,
        }
    }

    pub fn device(&self) -> u64 {
        self.0[0]
    }

    pub fn inode(&self) -> u64 {
        self.0[1]
    }

    pub fn size(&self) -> u64 {
        self.0[6]
    }

    /// A WASI `filestat`, of this or another type.
    pub fn write(&self, memory: &mut Memory, at: u64, kind: u8, layout: Layout) -> Result<()> {
        let time = |n: usize| self.0[n].wrapping_mul(1_000_000_000).wrapping_add(self.0[n + 1]);
        let links = self.0[2];
        let (links_at, length) = if layout == Layout::Preview1 { (24, 64) } else { (20, 56) };
        memory.check(at, length, 8)?;
        memory.bytes_mut(at, length)?.fill(0);
        memory.write_u64(at, self.device())?;
        memory.write_u64(at + 8, self.inode())?;
        memory.write(at + 16, &[kind])?;
        match layout {
            Layout::Preview1 => memory.write_u64(at + links_at, links)?,
            Layout::Unstable => memory.write_u32(at + links_at, links.min(u64::from(u32::MAX)) as u32)?,
        }
        let rest = at + length - 32;
        memory.write_u64(rest, self.size())?;
        memory.write_u64(rest + 8, time(9))?;
        memory.write_u64(rest + 16, time(11))?;
        memory.write_u64(rest + 24, time(13))
    }
}

/// The type of a directory entry from the kernel's `d_type`; nothing if the file system does not say.
pub fn entry_type(kind: u8) -> Option<u8> {
    match kind {
        0 => None,
        2 => Some(filetype::CHARACTER_DEVICE),
        4 => Some(filetype::DIRECTORY),
        6 => Some(filetype::BLOCK_DEVICE),
        8 => Some(filetype::REGULAR_FILE),
        10 => Some(filetype::SYMBOLIC_LINK),
        12 => Some(filetype::SOCKET_STREAM),
        _ => Some(filetype::UNKNOWN),
    }
}
