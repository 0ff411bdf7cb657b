//! The interface's data: error numbers, guest memory, records.

use alloc::vec::Vec;

/// A WASI error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u16);

impl Errno {
    pub const SUCCESS: Errno = Errno(0);
    pub const BADF: Errno = Errno(8);
    pub const BUSY: Errno = Errno(10);
    pub const EXIST: Errno = Errno(20);
    pub const FAULT: Errno = Errno(21);
    pub const ILSEQ: Errno = Errno(25);
    pub const INVAL: Errno = Errno(28);
    pub const ISDIR: Errno = Errno(31);
    pub const NAMETOOLONG: Errno = Errno(37);
    pub const NOENT: Errno = Errno(44);
    pub const NOSYS: Errno = Errno(52);
    pub const NOTDIR: Errno = Errno(54);
    pub const NOTSUP: Errno = Errno(58);
    pub const OVERFLOW: Errno = Errno(61);
    pub const PERM: Errno = Errno(63);

    pub fn from_linux(error: i32) -> Errno {
        Errno(match error {
            1 => 63,   // EPERM
            2 => 44,   // ENOENT
            3 => 71,   // ESRCH
            4 => 27,   // EINTR
            5 => 29,   // EIO
            6 => 60,   // ENXIO
            7 => 1,    // E2BIG
            8 => 45,   // ENOEXEC
            9 => 8,    // EBADF
            10 => 12,  // ECHILD
            11 => 6,   // EAGAIN
            12 => 48,  // ENOMEM
            13 => 2,   // EACCES
            14 => 21,  // EFAULT
            16 => 10,  // EBUSY
            17 => 20,  // EEXIST
            18 => 63,  // EXDEV: openat2 refuses to leave the directory
            19 => 43,  // ENODEV
            20 => 54,  // ENOTDIR
            21 => 31,  // EISDIR
            22 => 28,  // EINVAL
            23 => 41,  // ENFILE
            24 => 33,  // EMFILE
            25 => 59,  // ENOTTY
            26 => 74,  // ETXTBSY
            27 => 22,  // EFBIG
            28 => 51,  // ENOSPC
            29 => 70,  // ESPIPE
            30 => 69,  // EROFS
            31 => 34,  // EMLINK
            32 => 64,  // EPIPE
            33 => 18,  // EDOM
            34 => 68,  // ERANGE
            35 => 16,  // EDEADLK
            36 => 37,  // ENAMETOOLONG
            38 => 52,  // ENOSYS
            39 => 55,  // ENOTEMPTY
            40 => 32,  // ELOOP
            75 => 61,  // EOVERFLOW
            84 => 25,  // EILSEQ
            95 => 58,  // EOPNOTSUPP
            122 => 19, // EDQUOT
            _ => 29,
        })
    }
}

type Result<T> = core::result::Result<T, Errno>;

/// The caller's linear memory; every access is checked.
pub struct Memory<'a>(pub &'a mut [u8]);

impl Memory<'_> {
    pub fn bytes(&self, start: u64, length: u64) -> Result<&[u8]> {
        let (start, length) = (start as u32 as usize, length as u32 as usize);
        self.0.get(start..start + length).ok_or(Errno::FAULT)
    }

    pub fn bytes_mut(&mut self, start: u64, length: u64) -> Result<&mut [u8]> {
        let (start, length) = (start as u32 as usize, length as u32 as usize);
        self.0.get_mut(start..start + length).ok_or(Errno::FAULT)
    }

    pub fn u16(&self, at: u64) -> Result<u16> {
        let bytes = self.bytes(at, 2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    pub fn u32(&self, at: u64) -> Result<u32> {
        let bytes = self.bytes(at, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub fn u64(&self, at: u64) -> Result<u64> {
        Ok(u64::from(self.u32(at)?) | u64::from(self.u32(at + 4)?) << 32)
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        self.bytes_mut(at, bytes.len() as u64)?.copy_from_slice(bytes);
        Ok(())
    }

    pub fn write_u32(&mut self, at: u64, value: u32) -> Result<()> {
        self.write(at, &value.to_le_bytes())
    }

    pub fn write_u64(&mut self, at: u64, value: u64) -> Result<()> {
        self.write(at, &value.to_le_bytes())
    }

    /// The kernel's view of a vector of guest buffers: pointer and length pairs, all checked.
    pub fn vectors(&mut self, list: u64, count: u64) -> Result<Vec<[usize; 2]>> {
        const MOST: u32 = 1024;
        let count = (count as u32).min(MOST);
        let mut vectors = Vec::with_capacity(count as usize);
        for n in 0..u64::from(count) {
            let (start, length) = (self.u32(list + 8 * n)?, self.u32(list + 8 * n + 4)?);
            let bytes = self.bytes_mut(u64::from(start), u64::from(length))?;
            vectors.push([bytes.as_mut_ptr() as usize, bytes.len()]);
        }
        Ok(vectors)
    }
}

/// `args_get`, `environ_get`: pointers, and the strings with a NUL behind each.
pub fn write_strings(memory: &mut Memory, args: &[u64], strings: &[Vec<u8>]) -> Result<()> {
    let (mut pointer, mut at) = (args[0], args[1]);
    for string in strings {
        memory.write_u32(pointer, at as u32)?;
        memory.write(at, string)?;
        memory.write(at + string.len() as u64, &[0])?;
        pointer += 4;
        at += string.len() as u64 + 1;
    }
    Ok(())
}

/// `args_sizes_get`, `environ_sizes_get`.
pub fn write_sizes(memory: &mut Memory, args: &[u64], strings: &[Vec<u8>]) -> Result<()> {
    memory.write_u32(args[0], strings.len() as u32)?;
    let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
    memory.write_u32(args[1], bytes as u32)
}

pub mod rights {
    pub const READ: u64 = 1 << 1;
    pub const SEEK: u64 = 1 << 2;
    pub const TELL: u64 = 1 << 5;
    pub const WRITE: u64 = 1 << 6;
    pub const ALLOCATE: u64 = 1 << 8;
    pub const READDIR: u64 = 1 << 14;
    pub const SET_SIZE: u64 = 1 << 22;
    pub const ALL: u64 = (1 << 30) - 1;
}

pub mod filetype {
    pub const UNKNOWN: u8 = 0;
    pub const CHARACTER_DEVICE: u8 = 2;
    pub const DIRECTORY: u8 = 3;
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
            0o060000 => 1,
            0o020000 => filetype::CHARACTER_DEVICE,
            0o040000 => filetype::DIRECTORY,
            0o100000 => 4,
            0o140000 => 6,
            0o120000 => 7,
            _ => filetype::UNKNOWN,
        }
    }

    /// A WASI `filestat`.
    pub fn write(&self, memory: &mut Memory, at: u64) -> Result<()> {
        let time = |n: usize| self.0[n].wrapping_mul(1_000_000_000).wrapping_add(self.0[n + 1]);
        memory.bytes_mut(at, 64)?.fill(0);
        memory.write_u64(at, self.0[0])?;
        memory.write_u64(at + 8, self.0[1])?;
        memory.write(at + 16, &[self.filetype()])?;
        memory.write_u64(at + 24, self.0[2])?;
        memory.write_u64(at + 32, self.0[6])?;
        memory.write_u64(at + 40, time(9))?;
        memory.write_u64(at + 48, time(11))?;
        memory.write_u64(at + 56, time(13))
    }
}

/// The type of a directory entry from the kernel's `d_type`.
pub fn entry_type(kind: u8) -> u8 {
    match kind {
        2 => 2,
        4 => 3,
        6 => 1,
        8 => 4,
        10 => 7,
        12 => 6,
        _ => filetype::UNKNOWN,
    }
}
