//! The stub's heap, and the memory functions that compiled Rust calls.
//!
//! Blocks up to 32 KiB come in powers of two from free lists, larger ones from the system. They are cut from a chunk one behind
//! the other, so that few pages are touched; the first chunk is there from the beginning. One thread only.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::asm;
use core::cell::UnsafeCell;
use vwasm_runtime::sys;

const CLASSES: usize = 12; // 16 bytes to 32 KiB
const CHUNK: usize = 256 << 10;
/// What a small program needs. No more, so that the statics behind it are in a page that is touched anyway.
const FIRST_CHUNK: usize = (12 << 10) - 512;

struct Lists {
    /// First free block of each class; a free block's first word points to the next.
    free: [*mut u8; CLASSES],
    chunk: *mut u8,
    left: usize,
}

#[repr(align(16))]
struct Chunk(UnsafeCell<[u8; FIRST_CHUNK]>);

// SAFETY: the stub has one thread; the heap alone uses it.
unsafe impl Sync for Chunk {}

static FIRST: Chunk = Chunk(UnsafeCell::new([0; FIRST_CHUNK]));

struct Heap(UnsafeCell<Lists>);

// SAFETY: the stub has one thread.
unsafe impl Sync for Heap {}

/// All zero, as everything that is written (`stub.ld`).
#[global_allocator]
static HEAP: Heap =
    Heap(UnsafeCell::new(Lists { free: [core::ptr::null_mut(); CLASSES], chunk: core::ptr::null_mut(), left: 0 }));

/// Gives the heap its first chunk. (A page that is written before it is read takes one page fault, not two.)
pub fn begin() {
    // SAFETY: one thread, and no reference outlives this call.
    let lists = unsafe { &mut *HEAP.0.get() };
    (lists.chunk, lists.left) = (FIRST.0.get().cast(), FIRST_CHUNK);
}

/// Alignment of every block.
const ALIGNMENT: usize = 16;

/// Class of a block, or none if the system provides it.
fn class(layout: Layout) -> Option<usize> {
    let size = layout.size().max(ALIGNMENT).next_power_of_two();
    let class = size.trailing_zeros() as usize - ALIGNMENT.trailing_zeros() as usize;
    (class < CLASSES && layout.align() <= ALIGNMENT).then_some(class)
}

// SAFETY: blocks are disjoint, as large as asked for, aligned to 16 bytes or a page, and unused until freed.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            // The system gives whole pages, and no more alignment than theirs.
            if layout.align() > 4096 {
                return core::ptr::null_mut();
            }
            return sys::map(layout.size(), sys::PROT_READ | sys::PROT_WRITE).unwrap_or(core::ptr::null_mut());
        };
        // SAFETY: one thread, and no reference outlives this call.
        let lists = unsafe { &mut *self.0.get() };
        let block = lists.free[class];
        if !block.is_null() {
            // SAFETY: a free block holds the next one's address.
            lists.free[class] = unsafe { block.cast::<*mut u8>().read() };
            return block;
        }
        let size = ALIGNMENT << class;
        if lists.left < size {
            let Ok(chunk) = sys::map(CHUNK, sys::PROT_READ | sys::PROT_WRITE) else { return core::ptr::null_mut() };
            (lists.chunk, lists.left) = (chunk, CHUNK);
        }
        let block = lists.chunk;
        lists.chunk = block.wrapping_add(size);
        lists.left -= size;
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(layout) {
            // SAFETY: one thread; the block is unused from now on and large enough for a pointer.
            Some(class) => unsafe {
                let lists = &mut *self.0.get();
                block.cast::<*mut u8>().write(lists.free[class]);
                lists.free[class] = block;
            },
            // SAFETY: it came from the system with this length.
            None => unsafe { sys::unmap(block, layout.size()) },
        }
    }
}

/// Copies up to 64 bytes as if through a buffer: from both ends, which may overlap in the middle.
///
/// # Safety
/// As C's memmove, and `count` is at most 64.
unsafe fn move_few(to: *mut u8, from: *const u8, count: usize) {
    /// Two units, one at each end.
    ///
    /// # Safety
    /// The ranges must be at least as long as the unit.
    unsafe fn ends<T>(to: *mut u8, from: *const u8, count: usize) {
        let last = count - size_of::<T>();
        // SAFETY: as the caller promises. Both are read before one is written.
        unsafe {
            let ends = (from.cast::<T>().read_unaligned(), from.add(last).cast::<T>().read_unaligned());
            to.cast::<T>().write_unaligned(ends.0);
            to.add(last).cast::<T>().write_unaligned(ends.1);
        }
    }
    // SAFETY: the ranges are as long as the caller says.
    unsafe {
        match count {
            33.. => ends::<[u128; 2]>(to, from, count),
            16.. => ends::<u128>(to, from, count),
            8.. => ends::<u64>(to, from, count),
            4.. => ends::<u32>(to, from, count),
            2.. => ends::<u16>(to, from, count),
            1 => to.write(from.read()),
            0 => {}
        }
    }
}

/// The processor's own copying takes a while to begin.
const FEW: usize = 64;

/// # Safety
/// As C's memcpy.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's ranges are valid and disjoint.
    unsafe {
        if count <= FEW {
            move_few(to, from, count);
        } else {
            asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
        }
    }
    to
}

/// # Safety
/// As C's memmove.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    let ahead = (from as usize).wrapping_sub(to as usize);
    if count <= FEW || (ahead.wrapping_neg() >= count && ahead >= FEW) {
        // SAFETY: few are copied as if through a buffer, and copying upwards never overwrites what is still to be read.
        unsafe { memcpy(to, from, count) };
        return to;
    }
    if ahead < FEW {
        // The processor's own copying goes byte by byte where the distance is small.
        // SAFETY: the caller's ranges are valid; copying upwards, each piece is read before it or what is before it is written.
        unsafe {
            let mut done = 0;
            while count - done > FEW {
                to.add(done).cast::<[u128; 2]>().write_unaligned(from.add(done).cast::<[u128; 2]>().read_unaligned());
                done += size_of::<[u128; 2]>();
            }
            move_few(to.add(done), from.add(done), count - done);
        }
        return to;
    }
    // SAFETY: the caller's ranges are valid; copying downwards, each piece is read before it or what is behind it is written.
    unsafe {
        let mut left = count;
        while left > FEW {
            left -= size_of::<[u128; 2]>();
            to.add(left).cast::<[u128; 2]>().write_unaligned(from.add(left).cast::<[u128; 2]>().read_unaligned());
        }
        move_few(to, from, left);
    }
    to
}

/// # Safety
/// As C's memset.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller's range is valid.
    unsafe {
        asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("al") byte as u8, options(nostack, preserves_flags))
    };
    to
}

/// # Safety
/// As C's memcmp.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    let mut n = 0;
    // SAFETY: below the count. Volatile, or the loops would become calls of this function.
    unsafe {
        while count - n >= 8 && a.add(n).cast::<u64>().read_unaligned() == b.add(n).cast::<u64>().read_unaligned() {
            n += 8;
        }
        while n < count {
            let (x, y) = (a.add(n).read_volatile(), b.add(n).read_volatile());
            if x != y {
                return i32::from(x) - i32::from(y);
            }
            n += 1;
        }
    }
    0
}

/// # Safety
/// As bcmp.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { memcmp(a, b, count) }
}

/// # Safety
/// As strlen.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(string: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller's string ends with a NUL.
    while unsafe { string.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

/// Nothing unwinds: panics abort. The precompiled libraries name it all the same.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    sys::exit(134)
}

#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
