//! Address space: instance regions with linear memory, tables, function records.
//!
//! Takes sizes, reserves address space and commits what is in use. Bases never move; what is not in use is unmapped, so an
//! access beyond the current size faults. Each kind of part can be reset for another store (`pool`): afterwards every byte that
//! can be read is what it is in a new one. Resetting clears what may have been written, known exactly where only the host
//! writes (fields, tables, function records), taken to be everything where guest code does (memory, the stack).

#[cfg(not(freestanding))]
use crate::dirty::{self, Part};
use crate::layout::*;
#[cfg(not(freestanding))]
use crate::pool::Image;
use crate::sys::{self, errno};
#[cfg(not(freestanding))]
use alloc::sync::Arc;

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

    /// No address space at all.
    pub const fn none() -> Reservation {
        Reservation { start: core::ptr::null_mut(), length: 0 }
    }

    /// Makes the first `length` bytes, which are readable and writable, zero again; false if the system does not.
    #[cfg(not(freestanding))]
    fn clear(&self, length: usize) -> bool {
        // What is likely to be used again stays in memory.
        const RESIDENT: usize = 16 << 10;
        let end = length.next_multiple_of(4096);
        if end > self.length {
            return false;
        }
        // SAFETY: the part lies in this reservation, is writable, and its owner holds it exclusively. What is discarded comes
        // back as zeros: the mapping is anonymous and private.
        unsafe {
            core::ptr::write_bytes(self.start, 0, RESIDENT.min(length));
            length <= RESIDENT || sys::discard(self.start.add(RESIDENT), end - RESIDENT).is_ok()
        }
    }
}

// SAFETY: address space is not bound to a thread; what is in it is reached through its owner only.
unsafe impl Send for Reservation {}

/// (An executable's goes with the process.)
#[cfg(not(freestanding))]
impl Drop for Reservation {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: the owner is gone, so nothing uses the range.
            unsafe { sys::unmap(self.start, self.length) };
        }
    }
}

// -- the guest stack --

/// Size of the reservation for a stack of at least `size` bytes, its guard included.
#[cfg(not(freestanding))]
pub fn stack_bytes(size: usize) -> usize {
    STACK_GUARD as usize + size.next_multiple_of(4096)
}

/// A guest stack above its guard.
#[cfg(not(freestanding))]
pub fn stack(size: usize) -> Result<Reservation, i32> {
    let guard = STACK_GUARD as usize;
    let stack = Reservation::new(stack_bytes(size), sys::PROT_NONE)?;
    stack.commit(guard, stack.length - guard)?;
    Ok(stack)
}

/// A memory of this many bytes or more is asked to be backed by huge pages: fewer faults, fewer misses of the TLB. Below, the
/// kernel's rounding up would cost more than it gains.
const HUGE_FROM: usize = 4 << 20;
const HUGE_PAGE: usize = 2 << 20;

/// An instance's fields and, above them, its linear memory (which may be absent).
pub struct Region {
    reservation: Reservation,
    /// r15: where linear memory begins and below which the fields stand.
    pub base: *mut u8,
    pub pages: u64,
    /// Most pages it may grow to.
    pub limit: u64,
    /// Bytes of fields.
    #[cfg(not(freestanding))]
    size: usize,
    /// Pages that the current owner began with, and the image behind some of them (0: none).
    #[cfg(not(freestanding))]
    first: (u64, u64),
    /// That image, while there is an owner.
    #[cfg(not(freestanding))]
    image: Option<Arc<Image>>,
}

// SAFETY: `base` points into the reservation.
unsafe impl Send for Region {}

impl Region {
    /// Fields of `size` bytes; memory of `pages` pages if there is one, which may grow to `limit`.
    #[cfg(not(freestanding))]
    pub fn new(size: u32, memory: Option<(u64, u64)>) -> Result<Region, i32> {
        let (_, limit) = Region::bounds(memory)?;
        let mut region = Region::reserve(size, memory.map(|(pages, _)| pages))?;
        region.begin(limit);
        Ok(region)
    }

    /// Pages that a memory begins with and may grow to; no memory is one that never has any.
    fn bounds(memory: Option<(u64, u64)>) -> Result<(u64, u64), i32> {
        let (pages, limit) = memory.unwrap_or((0, 0));
        let limit = limit.min(MEMORY_MAX_PAGES);
        if pages > limit { Err(errno::ENOMEM) } else { Ok((pages, limit)) }
    }

    fn begin(&mut self, limit: u64) {
        self.limit = limit;
        self.write_u64(INSTANCE_MEMORY_PAGES, self.pages);
        self.prefer_huge_pages();
    }

    /// A region whose memory, if it is to have one, has no pages yet, and may get any number.
    #[cfg(not(freestanding))]
    pub(crate) fn empty(size: u32, memory: bool) -> Result<Region, i32> {
        Region::reserve(size, memory.then_some(0))
    }

    /// Fields, and memory of so many pages.
    #[cfg(not(freestanding))]
    fn reserve(size: u32, memory: Option<u64>) -> Result<Region, i32> {
        let header = header(size);
        let pages = memory.unwrap_or(0);
        let bytes = (pages * PAGE_SIZE) as usize;
        // Without memory a guard page still stands above the fields. A memory begins where a huge page can, unless it is small
        // at first: then it shares what the kernel needs for each 2 MiB with the fields.
        let above = if memory.is_some() { MEMORY_RESERVATION as usize } else { PAGE_SIZE as usize };
        let small = pages > 0 && bytes < HUGE_FROM;
        let alignment = if memory.is_none() || small { PAGE_SIZE as usize } else { HUGE_PAGE };
        let reservation = Reservation::new(header + above + alignment, sys::PROT_NONE)?;
        let fields = (reservation.start as usize + header).next_multiple_of(alignment) - header - reservation.start as usize;
        reservation.commit(fields, header + bytes)?;
        let base = reservation.start.wrapping_add(fields + header);
        Ok(Region {
            reservation,
            base,
            pages,
            limit: 0,
            #[cfg(not(freestanding))]
            size: size as usize,
            #[cfg(not(freestanding))]
            first: (0, 0),
            #[cfg(not(freestanding))]
            image: None,
        })
    }

    /// Grows the memory; gives the pages before.
    pub fn grow(&mut self, delta: u64) -> Option<u64> {
        let old = self.extend(delta)?;
        self.prefer_huge_pages();
        Some(old)
    }

    fn prefer_huge_pages(&self) {
        if self.memory_bytes() >= HUGE_FROM {
            sys::prefer_huge_pages(self.base, self.memory_bytes());
        }
    }

    fn extend(&mut self, delta: u64) -> Option<u64> {
        let old = self.pages;
        let new = old.checked_add(delta).filter(|new| *new <= self.limit)?;
        let header = self.base as usize - self.reservation.start as usize;
        self.reservation.commit(header + (old * PAGE_SIZE) as usize, (delta * PAGE_SIZE) as usize).ok()?;
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

/// Bytes set apart for fields of this size.
#[cfg(not(freestanding))]
fn header(size: u32) -> usize {
    (size as usize).next_multiple_of(PAGE_SIZE as usize)
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
    /// Most elements of a table that begins with `length`, may grow to `max`, and to `most` whatever it says.
    pub(crate) fn limit(length: u64, max: Option<u64>, most: u64) -> Result<u32, i32> {
        let most = most.min(TABLE_LIMIT);
        if length > most { Err(errno::ENOMEM) } else { Ok(max.unwrap_or(most).clamp(length, most) as u32) }
    }

    /// Room for so many elements.
    pub(crate) fn bytes(limit: u32) -> usize {
        TABLE_HEADER_SIZE as usize + limit as usize * SLOT_SIZE as usize
    }

    /// A table of null elements.
    #[cfg(not(freestanding))]
    pub fn new(length: u32, limit: u32) -> Result<Slots, i32> {
        // Untouched pages cost nothing; zeroed slots are null.
        let bytes = Slots::bytes(limit).next_multiple_of(4096);
        Ok(Slots::at(Reservation::new(bytes, sys::PROT_READ | sys::PROT_WRITE)?, length, limit))
    }

    /// One in memory that is zero and large enough.
    fn at(reservation: Reservation, length: u32, limit: u32) -> Slots {
        let mut slots = Slots { reservation, length: 0, limit };
        slots.set_length(length);
        slots
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
    /// Number of the host function, if it is one.
    pub host: u32,
}

impl FunctionRecord {
    /// The number of a host function, which belongs to no instance.
    pub fn host(&self) -> Option<u32> {
        (self.instance == 0).then_some(self.host)
    }
}

const _: () = assert!(core::mem::size_of::<FunctionRecord>() == FUNCTION_SIZE as usize);

#[cfg(not(freestanding))]
const FUNCTION_LIMIT: usize = 1 << 22;

/// The store's function records; number 0 is the null reference.
pub struct Functions {
    reservation: Reservation,
    pub count: u32,
    /// The highest count there was.
    #[cfg(not(freestanding))]
    most: u32,
}

impl Default for Functions {
    /// No records, and no room for any.
    fn default() -> Functions {
        Functions {
            reservation: Reservation::none(),
            count: 1,
            #[cfg(not(freestanding))]
            most: 1,
        }
    }
}

impl Functions {
    #[cfg(not(freestanding))]
    pub fn new() -> Result<Functions, i32> {
        let bytes = FUNCTION_LIMIT * FUNCTION_SIZE as usize;
        Ok(Functions {
            reservation: Reservation::new(bytes, sys::PROT_READ | sys::PROT_WRITE)?,
            count: 1,
            #[cfg(not(freestanding))]
            most: 1,
        })
    }

    pub fn base(&self) -> *mut FunctionRecord {
        self.reservation.start.cast()
    }

    pub fn push(&mut self, record: FunctionRecord) -> Option<u32> {
        if (self.count as usize + 1) * FUNCTION_SIZE as usize > self.reservation.length {
            return None;
        }
        // SAFETY: inside the reservation, as just checked.
        unsafe { self.base().add(self.count as usize).write(record) };
        self.count += 1;
        #[cfg(not(freestanding))]
        {
            self.most = self.most.max(self.count);
        }
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

// -- a program's address space --

/// What the one instance of a program needs, in one reservation:
///
///     guard | guest stack | tables | function records | fields | memory | guard
///
/// What is used first is close together: for a small module the kernel needs one page of page tables, and one page holds the end
/// of the guest stack, tables, records and fields.
#[cfg(freestanding)]
pub struct Space {
    pub stack: Reservation,
    pub tables: Tables,
    pub functions: Functions,
    pub region: Region,
}

#[cfg(freestanding)]
impl Space {
    /// With so many bytes for tables and so many function records; the rest as for a stack and a region.
    pub fn new(
        stack_size: usize,
        tables: usize,
        functions: usize,
        size: u32,
        memory: Option<(u64, u64)>,
    ) -> Result<Space, i32> {
        let (pages, limit) = Region::bounds(memory)?;
        let bytes = (pages * PAGE_SIZE) as usize;
        let above = if memory.is_some() { MEMORY_RESERVATION as usize } else { PAGE_SIZE as usize };
        let functions = functions * FUNCTION_SIZE as usize;
        let header = (tables + functions + size as usize).next_multiple_of(16);
        let below = STACK_GUARD as usize + (stack_size + header).next_multiple_of(4096);
        let all = Reservation::new(below + HUGE_PAGE + PAGE_SIZE as usize + above, sys::PROT_NONE)?;
        // A large memory begins where a huge page can; what is used before a small one is in the same 2 MiB.
        let near = if bytes < HUGE_FROM { header + 4096 } else { 0 };
        let base =
            (all.start as usize + below - near).next_multiple_of(HUGE_PAGE) + near.next_multiple_of(PAGE_SIZE as usize);
        let base = base - all.start as usize;
        all.commit(base + STACK_GUARD as usize - below, below - STACK_GUARD as usize + bytes)?;
        let part = |offset: usize, length: usize| Reservation { start: all.start.wrapping_add(offset), length };
        let own = base - header;
        let mut region =
            Region { reservation: part(own, header + above), base: all.start.wrapping_add(base), pages, limit: 0 };
        region.begin(limit);
        Ok(Space {
            stack: part(base - below, below - header),
            tables: Tables(part(own, tables)),
            functions: Functions { reservation: part(own + tables, functions), count: 1 },
            region,
        })
    }
}

/// Where tables stand, one behind the other.
#[cfg(freestanding)]
pub struct Tables(Reservation);

#[cfg(freestanding)]
impl Tables {
    /// The next table, of null elements.
    pub fn next(&mut self, length: u32, limit: u32) -> Result<Slots, i32> {
        let taken = Reservation { start: self.0.start, length: Slots::bytes(limit) };
        let left = self.0.length.checked_sub(taken.length).ok_or(errno::ENOMEM)?;
        self.0 = Reservation { start: taken.start.wrapping_add(taken.length), length: left };
        Ok(Slots::at(taken, length, limit))
    }
}

// -- resetting for another store --

#[cfg(not(freestanding))]
impl Region {
    pub(crate) fn shape_of(size: u32, memory: bool) -> (usize, bool) {
        (header(size), memory)
    }

    pub(crate) fn shape(&self) -> (usize, bool) {
        (header(self.size as u32), self.reservation.length as u64 > MEMORY_RESERVATION)
    }

    /// What of the memory is an image's.
    pub(crate) fn image_id(&self) -> u64 {
        self.first.1
    }

    /// Clears fields and memory, whose pages stay if they are those it began with; false if that cannot be done.
    pub(crate) fn reset(&mut self) -> bool {
        // SAFETY: the fields lie below the base, and nothing else writes the memory of a region without owner.
        unsafe { core::ptr::write_bytes(self.base.sub(self.size), 0, self.size) };
        let image = self.image.take();
        if self.pages != self.first.0 {
            return self.unmap_memory().is_ok();
        }
        if self.pages == 0 || self.restore(image.as_deref()).is_some() {
            return true;
        }
        // SAFETY: the pages are this region's own. Anonymous ones come back as zeros, those of an image as the image.
        unsafe { sys::discard(self.base, self.memory_bytes()) }.is_ok()
    }

    /// Writes over the pages that were written to what they held at first, if they are few: so the next tenant finds them in
    /// place. None if they are many or the kernel does not say which they are; then nothing is certain.
    fn restore(&mut self, image: Option<&Image>) -> Option<()> {
        const RESIDENT: u64 = 256 << 10;
        let mut found = [Part::default(); dirty::MOST];
        let parts = dirty::parts(self.base, self.memory_bytes(), &mut found)?;
        if parts.iter().map(|part| part.end - part.start).sum::<u64>() > RESIDENT || (self.first.1 != 0) != image.is_some() {
            return None;
        }
        for part in parts {
            let (start, end) = ((part.start - self.base as u64) as usize, (part.end - self.base as u64) as usize);
            let (low, high) = image.map_or((end, end), |image| (image.start, image.start + image.length));
            let (low, high) = (low.clamp(start, end), high.clamp(start, end));
            // SAFETY: the kernel gives parts of the range it was asked for, which is this region's memory; what lies in the
            // image's range comes from there, the rest was zero.
            unsafe {
                core::ptr::write_bytes(self.base.add(start), 0, low - start);
                if let Some(image) = image.filter(|_| low < high) {
                    image.copy(low - image.start, self.base.add(low), high - low);
                }
                core::ptr::write_bytes(self.base.add(high), 0, end - high);
            }
        }
        Some(())
    }

    /// Takes the memory's pages away.
    fn unmap_memory(&mut self) -> Result<(), i32> {
        // SAFETY: the pages are this region's own.
        unsafe { sys::map_over(self.base, self.memory_bytes(), sys::PROT_NONE, None)? };
        (self.pages, self.first) = (0, (0, 0));
        Ok(())
    }

    /// Fits a region that was reset, or is new, for an owner with fields and memory like these.
    pub(crate) fn renew(&mut self, size: u32, memory: Option<(u64, u64)>, image: Option<&Arc<Image>>) -> Result<(), i32> {
        let (pages, limit) = memory.unwrap_or((0, 0));
        let first = (pages, image.map_or(0, |image| image.id));
        (self.size, self.limit) = (size as usize, limit.min(MEMORY_MAX_PAGES));
        if self.first != first || self.pages != pages {
            if self.pages > 0 {
                self.unmap_memory()?;
            }
            // Without huge pages: an instance that lives shortly would pay for clearing them.
            self.extend(pages).ok_or(errno::ENOMEM)?;
            // From here on it is not as it was, whatever fails below.
            self.first = first;
            if let Some(image) = image {
                if image.start + image.length > self.memory_bytes() {
                    return Err(errno::ENOMEM);
                }
                // SAFETY: the range lies in this region's memory, as just checked.
                unsafe { image.map(self.base.add(image.start))? };
            }
        }
        self.image = image.cloned();
        self.write_u64(INSTANCE_MEMORY_PAGES, pages);
        Ok(())
    }
}

#[cfg(not(freestanding))]
impl Slots {
    /// Makes all elements null. Only elements below the length were ever written.
    pub(crate) fn reset(&mut self) -> bool {
        let used = TABLE_HEADER_SIZE as usize + self.length as usize * SLOT_SIZE as usize;
        self.length = 0;
        self.reservation.clear(used)
    }

    /// A table that was reset, for another owner; both limits have the same size.
    pub(crate) fn renew(&mut self, length: u32, limit: u32) {
        self.limit = limit;
        self.set_length(length);
    }
}

#[cfg(not(freestanding))]
impl Functions {
    /// Clears all records. Only those below the highest count were ever written.
    pub(crate) fn reset(&mut self) -> bool {
        let used = self.most as usize * FUNCTION_SIZE as usize;
        (self.count, self.most) = (1, 1);
        self.reservation.clear(used)
    }
}

/// Clears a guest stack, whose upper end is what is used.
#[cfg(not(freestanding))]
pub(crate) fn reset_stack(stack: &Reservation) -> bool {
    const RESIDENT: usize = 8 << 10;
    let guard = STACK_GUARD as usize;
    let size = stack.length.saturating_sub(guard);
    let resident = RESIDENT.min(size);
    // SAFETY: all above the guard is writable, and no guest runs on the stack of a store that is being dropped.
    unsafe {
        core::ptr::write_bytes(stack.start.add(stack.length - resident), 0, resident);
        size == resident || sys::discard(stack.start.add(guard), size - resident).is_ok()
    }
}
