//! Which pages of private memory a guest has written to, as the kernel knows it.
//!
//! Takes a range of a private mapping; gives the parts of it that have a page of their own, in memory or swapped out. All else
//! reads as what is behind the mapping: zeros, or the file. The kernel (6.7 and later) answers through a descriptor of
//! `/proc/self/pagemap`. Without it there is no answer, and whoever asks must take all pages to be written.

use crate::sys::{self, number};
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

/// Bits of `struct page_region` and `struct pm_scan_arg` (linux/fs.h).
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;
const PAGEMAP_SCAN: usize = 0xc060_6610;

/// Most parts that are asked for at once.
pub const MOST: usize = 32;

#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Part {
    pub start: u64,
    pub end: u64,
    categories: u64,
}

#[repr(C)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vector: u64,
    vector_length: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_any_of: u64,
    return_mask: u64,
}

/// The descriptor's number plus one; 0: not opened, all ones: not to be had. It stands on a page that a child process finds
/// zeroed: the descriptor that a child inherits tells of its parent's memory.
fn descriptor() -> Option<&'static AtomicU32> {
    static PLACE: OnceLock<Option<usize>> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        const WIPE_ON_FORK: usize = 18;
        let page = sys::map(4096, sys::PROT_READ | sys::PROT_WRITE).ok()?;
        // SAFETY: the page is this function's own.
        sys::check(unsafe { sys::syscall(number::MADVISE, [page as usize, 4096, WIPE_ON_FORK, 0, 0, 0]) }).ok()?;
        Some(page as usize)
    });
    // SAFETY: the page stays mapped for good, and holds nothing but this number.
    place.map(|place| unsafe { AtomicU32::from_ptr(place as *mut u32) })
}

const NONE: u32 = u32::MAX;

fn open() -> Option<usize> {
    let place = descriptor()?;
    match place.load(Ordering::Acquire) {
        0 => {}
        NONE => return None,
        number => return Some(number as usize - 1),
    }
    const AT_FDCWD: usize = -100isize as usize;
    const CLOSE_ON_EXEC: usize = 0o2000000;
    let path = c"/proc/self/pagemap";
    // SAFETY: the kernel reads the path.
    let opened =
        sys::check(unsafe { sys::syscall(number::OPENAT, [AT_FDCWD, path.as_ptr() as usize, CLOSE_ON_EXEC, 0, 0, 0]) });
    let new = opened.map_or(NONE, |fd| fd as u32 + 1);
    match place.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => opened.ok(),
        Err(first) => {
            // Another thread was first.
            if let Ok(fd) = opened {
                // SAFETY: the descriptor is this function's own.
                unsafe { sys::syscall(number::CLOSE, [fd, 0, 0, 0, 0, 0]) };
            }
            (first != NONE).then_some(first as usize - 1)
        }
    }
}

/// The written parts of a range, if they are at most [`MOST`].
pub fn parts(start: *const u8, length: usize, found: &mut [Part; MOST]) -> Option<&[Part]> {
    let fd = open()?;
    let mut argument = ScanArgument {
        size: size_of::<ScanArgument>() as u64,
        flags: 0,
        start: start as u64,
        end: start as u64 + length as u64,
        walk_end: 0,
        vector: found.as_mut_ptr() as u64,
        vector_length: MOST as u64,
        max_pages: 0,
        // Neither the file's nor the zero page, but there.
        category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
        category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
        category_any_of: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        return_mask: PAGE_IS_PRESENT,
    };
    // SAFETY: the kernel reads and writes the structure, and writes at most `MOST` parts.
    let outcome =
        sys::check(unsafe { sys::syscall(number::IOCTL, [fd, PAGEMAP_SCAN, &raw mut argument as usize, 0, 0, 0]) });
    match outcome {
        Ok(count) if argument.walk_end == argument.end && count <= MOST => Some(&found[..count]),
        Ok(_) => None,
        Err(_) => {
            // A kernel that does not know it: nobody need ask again.
            if let Some(place) = descriptor() {
                place.store(NONE, Ordering::Release);
            }
            None
        }
    }
}
