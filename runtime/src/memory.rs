//! Address space: instance regions with linear memory, tables, function records.
//!
//! Takes sizes, reserves address space and commits what is in use. Bases never move; what is not in use is unmapped, so an
//! access beyond the current size faults.

use crate::layout::*;
use crate::sys::{self, errno};

/// Address space that is given back when dropped.
pub struct Reservation {
    pub start: *mut u8,
    pub length: usize,
}

impl Reservation {
    pub fn new(length: usize, protection: usize) -> Result<Reservation, i32> {
        Ok(Reservation { start: sys::map(length, protection)?, length })
    }

    /// Makes a part readable and writable.
    pub fn commit(&self, offset: usize, length: usize) -> Result<(), i32> {
        if length == 0 {
            return Ok(());
        }
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(errno::ENOMEM);
        }
        // SAFETY: the part lies in this reservation, which nothing else owns.
        unsafe { sys::protect(self.start.wrapping_add(offset), length, sys::PROT_READ | sys::PROT_WRITE) }
    }

    pub fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.start as usize) < self.length
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the owner is gone, so nothing uses the range.
        unsafe { sys::unmap(self.start, self.length) };
    }
}

/// A memory of this many bytes or more is asked to be backed by huge pages: fewer faults, fewer misses of the TLB. Below, the
/// kernel's rounding up would cost more than it gains.
const HUGE_FROM: u64 = 4 << 20;
const HUGE_PAGE: usize = 2 << 20;

/// An instance's fields and, above them, its linear memory (which may be absent).
pub struct Region {
    reservation: Reservation,
    /// r15: where linear memory begins and below which the fields stand.
    pub base: *mut u8,
    pub pages: u64,
    /// Most pages it may grow to.
    pub limit: u64,
}

impl Region {
    /// Fields of `size` bytes; memory of `pages` pages if there is one.
    pub fn new(size: u32, memory: Option<(u64, u64)>) -> Result<Region, i32> {
        let header = (size as usize).next_multiple_of(PAGE_SIZE as usize);
        // Without memory a guard page still stands above the fields. A memory begins where a huge page can.
        let (above, alignment) = match memory {
            Some(_) => (MEMORY_RESERVATION as usize, HUGE_PAGE),
            None => (PAGE_SIZE as usize, PAGE_SIZE as usize),
        };
        let reservation = Reservation::new(header + above + alignment, sys::PROT_NONE)?;
        let fields = (reservation.start as usize + header).next_multiple_of(alignment) - header - reservation.start as usize;
        reservation.commit(fields, header)?;
        let base = reservation.start.wrapping_add(fields + header);
        let (pages, limit) = memory.unwrap_or((0, 0));
        let mut region = Region { reservation, base, pages: 0, limit: limit.min(MEMORY_MAX_PAGES) };
        if pages > region.limit {
            return Err(errno::ENOMEM);
        }
        if region.grow(pages).is_none() {
            return Err(errno::ENOMEM);
        }
        Ok(region)
    }

    /// Grows the memory; gives the pages before.
    pub fn grow(&mut self, delta: u64) -> Option<u64> {
        let old = self.pages;
        let new = old.checked_add(delta).filter(|new| *new <= self.limit)?;
        let header = self.base as usize - self.reservation.start as usize;
        self.reservation.commit(header + (old * PAGE_SIZE) as usize, (delta * PAGE_SIZE) as usize).ok()?;
        if new * PAGE_SIZE >= HUGE_FROM {
            sys::prefer_huge_pages(self.base, (new * PAGE_SIZE) as usize);
        }
        self.pages = new;
        self.write_u64(INSTANCE_MEMORY_PAGES, new);
        Some(old)
    }

    pub fn contains(&self, address: usize) -> bool {
        self.reservation.contains(address)
    }

    pub fn memory_bytes(&self) -> usize {
        (self.pages * PAGE_SIZE) as usize
    }

    /// Writes a field at an offset from r15.
    pub fn write_u64(&self, offset: i32, value: u64) {
        debug_assert!(offset <= -8);
        // SAFETY: layout offsets lie in the committed fields below the base.
        unsafe { self.base.offset(offset as isize).cast::<u64>().write_unaligned(value) }
    }

    /// Reads a field at an offset from r15.
    pub fn read_u64(&self, offset: i32) -> u64 {
        debug_assert!(offset <= -8);
        // SAFETY: layout offsets lie in the committed fields below the base.
        unsafe { self.base.offset(offset as isize).cast::<u64>().read_unaligned() }
    }

    pub fn write_u32(&self, offset: i32, value: u32) {
        debug_assert!(offset <= -4);
        // SAFETY: layout offsets lie in the committed fields below the base.
        unsafe { self.base.offset(offset as isize).cast::<u32>().write_unaligned(value) }
    }

    /// Address of a field.
    pub fn field(&self, offset: i32) -> *mut u8 {
        self.base.wrapping_offset(offset as isize)
    }
}

/// Most elements a table may have.
pub const TABLE_LIMIT: u64 = 10_000_000;

/// A callable, as `record slot` of the sandbox describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Slot {
    pub code: u64,
    pub signature: u32,
    pub reference: u32,
}

const _: () = assert!(core::mem::size_of::<Slot>() == SLOT_SIZE as usize);

pub struct Slots {
    reservation: Reservation,
    pub length: u32,
    pub limit: u32,
}

impl Slots {
    /// A table of null elements that may grow to `max`, at most to `most`.
    pub fn new(length: u64, max: Option<u64>, most: u64) -> Result<Slots, i32> {
        let most = most.min(TABLE_LIMIT);
        if length > most {
            return Err(errno::ENOMEM);
        }
        let limit = max.unwrap_or(most).clamp(length, most);
        let bytes = TABLE_HEADER_SIZE as usize + limit as usize * SLOT_SIZE as usize;
        // Untouched pages cost nothing; zeroed slots are null.
        let reservation = Reservation::new(bytes.next_multiple_of(4096), sys::PROT_READ | sys::PROT_WRITE)?;
        let mut slots = Slots { reservation, length: 0, limit: limit as u32 };
        slots.set_length(length as u32);
        Ok(slots)
    }

    fn set_length(&mut self, length: u32) {
        self.length = length;
        // SAFETY: the header is the first 16 bytes of the reservation.
        unsafe { self.reservation.start.offset(TABLE_HEADER_LENGTH as isize).cast::<u64>().write(u64::from(length)) }
    }

    /// Address of slot 0.
    pub fn base(&self) -> *mut Slot {
        self.reservation.start.wrapping_add(TABLE_HEADER_SIZE as usize).cast()
    }

    pub fn get(&self, index: u32) -> Option<Slot> {
        // SAFETY: below the length, so inside the reservation.
        (index < self.length).then(|| unsafe { self.base().add(index as usize).read() })
    }

    pub fn set(&mut self, index: u32, slot: Slot) -> Option<()> {
        // SAFETY: below the length, so inside the reservation.
        (index < self.length).then(|| unsafe { self.base().add(index as usize).write(slot) })
    }

    /// Grows by null elements; gives the length before.
    pub fn grow(&mut self, delta: u32) -> Option<u32> {
        let old = self.length;
        let new = old.checked_add(delta).filter(|new| *new <= self.limit)?;
        self.set_length(new);
        Some(old)
    }

    /// The slot that begins at an address, if one does.
    pub fn slot_at(&self, address: usize) -> Option<Slot> {
        let offset = address.checked_sub(self.base() as usize)?;
        if offset % SLOT_SIZE as usize != 0 {
            return None;
        }
        self.get(u32::try_from(offset / SLOT_SIZE as usize).ok()?)
    }
}

/// `record function` of the sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FunctionRecord {
    pub code: u64,
    pub far: u64,
    pub instance: u64,
    pub signature: u32,
    pub reserved: u32,
}

const _: () = assert!(core::mem::size_of::<FunctionRecord>() == FUNCTION_SIZE as usize);

const FUNCTION_LIMIT: usize = 1 << 22;

/// The store's function records; number 0 is the null reference.
pub struct Functions {
    reservation: Reservation,
    pub count: u32,
}

impl Functions {
    pub fn new() -> Result<Functions, i32> {
        let bytes = FUNCTION_LIMIT * FUNCTION_SIZE as usize;
        Ok(Functions { reservation: Reservation::new(bytes, sys::PROT_READ | sys::PROT_WRITE)?, count: 1 })
    }

    pub fn base(&self) -> *mut FunctionRecord {
        self.reservation.start.cast()
    }

    pub fn push(&mut self, record: FunctionRecord) -> Option<u32> {
        if self.count as usize >= FUNCTION_LIMIT {
            return None;
        }
        // SAFETY: below the limit, so inside the reservation.
        unsafe { self.base().add(self.count as usize).write(record) };
        self.count += 1;
        Some(self.count - 1)
    }

    /// Forgets the records from a number on.
    pub fn shrink(&mut self, count: u32) {
        self.count = self.count.min(count);
    }

    pub fn get(&self, reference: u32) -> Option<FunctionRecord> {
        // SAFETY: below the count, so written and inside the reservation.
        (reference != 0 && reference < self.count).then(|| unsafe { self.base().add(reference as usize).read() })
    }
}
