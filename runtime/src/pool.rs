//! Address space that one store leaves behind and another takes over, so that making an instance asks the system for little.
//!
//! Takes the regions, tables, function records and guest stacks of stores that are dropped, gives them to new ones. What comes
//! out is as good as new: each part is reset before it goes in (`memory.rs`), or not kept. A memory that did not grow stays
//! mapped, zeros and, copy-on-write, the module's data segments from its [`Image`]: the few pages that were written to are
//! written over (`dirty`), or all are dropped by `madvise`. So the next instance of the same module finds its memory ready.
//!
//! The freestanding runtime makes one store and keeps nothing.

#[cfg(freestanding)]
pub use alone::*;
#[cfg(not(freestanding))]
pub use shared::*;

#[cfg(not(freestanding))]
mod shared {
    use crate::manifest::{ConstExpr, ExternType, Manifest, SegmentMode};
    use crate::memory::{self, Functions, Region, Reservation, Slots};
    use crate::store::Module;
    use crate::sys::{self, errno, number};
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

    /// A pool that stores share; the default keeps nothing.
    #[derive(Clone, Default)]
    pub struct Pool(Option<Arc<Shared>>);

    struct Shared {
        /// Most parts of each kind that are kept.
        most: usize,
        kept: Mutex<Kept>,
    }

    /// Which regions may stand for each other: size of the fields' pages, whether there is memory.
    type Shape = (usize, bool);

    #[derive(Default)]
    struct Kept {
        /// By shape, then by what is mapped: image and pages.
        regions: BTreeMap<(Shape, u64, u64), Vec<Region>>,
        region_count: usize,
        tables: BTreeMap<usize, Vec<Slots>>,
        table_count: usize,
        functions: Vec<Functions>,
        stacks: BTreeMap<usize, Vec<Reservation>>,
        stack_count: usize,
    }

    /// Takes from a list, and the list away when it is empty.
    fn pop<K: Ord, T>(lists: &mut BTreeMap<K, Vec<T>>, count: &mut usize, key: &K) -> Option<T> {
        let list = lists.get_mut(key)?;
        let found = list.pop();
        if list.is_empty() {
            lists.remove(key);
        }
        *count -= usize::from(found.is_some());
        found
    }

    fn push<K: Ord, T>(lists: &mut BTreeMap<K, Vec<T>>, count: &mut usize, key: K, most: usize, part: T) -> Option<T> {
        if *count >= most {
            return Some(part);
        }
        *count += 1;
        lists.entry(key).or_default().push(part);
        None
    }

    impl Shared {
        fn kept(&self) -> MutexGuard<'_, Kept> {
            // Nothing in it is ever half done.
            self.kept.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Pool {
        /// A pool that keeps this many regions, tables, function records and stacks at most.
        pub fn new(most: usize) -> Pool {
            Pool(Some(Arc::new(Shared { most, kept: Mutex::default() })))
        }

        /// How many regions wait in it.
        pub fn regions(&self) -> usize {
            self.0.as_ref().map_or(0, |shared| shared.kept().region_count)
        }

        /// A region for an instance of a module; also whether its memory holds the module's active data segments already.
        pub(crate) fn region(&self, size: u32, memory: Option<(u64, u64)>, module: &Module) -> Result<(Region, bool), i32> {
            let Some(shared) = &self.0 else { return Ok((Region::new(size, memory)?, false)) };
            let image = memory.and_then(|_| module.prepared.image(module));
            let mut region = match shared.region(size, memory, image) {
                Some(region) => region,
                None => Region::empty(size, memory.is_some())?,
            };
            region.renew(size, memory, image)?;
            Ok((region, image.is_some()))
        }

        pub(crate) fn host_region(&self, size: u32, memory: (u64, u64)) -> Result<Region, i32> {
            let Some(shared) = &self.0 else { return Region::new(size, Some(memory)) };
            let kept = shared.region(size, Some(memory), None);
            let mut region = kept.map_or_else(|| Region::empty(size, true), Ok)?;
            region.renew(size, Some(memory), None)?;
            Ok(region)
        }

        pub(crate) fn slots(&self, length: u64, max: Option<u64>, most: u64) -> Result<Slots, i32> {
            let limit = Slots::limit(length, max, most)?;
            let kept = self.0.as_ref().and_then(|shared| {
                let kept = &mut *shared.kept();
                pop(&mut kept.tables, &mut kept.table_count, &Slots::bytes(limit))
            });
            match kept {
                Some(mut slots) => {
                    slots.renew(length as u32, limit);
                    Ok(slots)
                }
                None => Slots::new(length as u32, limit),
            }
        }

        pub(crate) fn functions(&self) -> Result<Functions, i32> {
            let kept = self.0.as_ref().and_then(|shared| shared.kept().functions.pop());
            kept.map_or_else(Functions::new, Ok)
        }

        pub(crate) fn stack(&self, size: usize) -> Result<Reservation, i32> {
            let kept = self.0.as_ref().and_then(|shared| {
                let kept = &mut *shared.kept();
                pop(&mut kept.stacks, &mut kept.stack_count, &memory::stack_bytes(size))
            });
            kept.map_or_else(|| memory::stack(size), Ok)
        }

        // What does not fit in, or cannot be reset, is unmapped, after the lists are unlocked.

        pub(crate) fn keep_region(&self, mut region: Region) {
            let Some(shared) = self.0.as_ref().filter(|_| region.reset()) else { return };
            let _over = {
                let kept = &mut *shared.kept();
                let key = (region.shape(), region.image_id(), region.pages);
                push(&mut kept.regions, &mut kept.region_count, key, shared.most, region)
            };
        }

        pub(crate) fn keep_slots(&self, mut slots: Slots) {
            let Some(shared) = self.0.as_ref().filter(|_| slots.reset()) else { return };
            let _over = {
                let kept = &mut *shared.kept();
                push(&mut kept.tables, &mut kept.table_count, Slots::bytes(slots.limit), shared.most, slots)
            };
        }

        pub(crate) fn keep_functions(&self, mut functions: Functions) {
            let Some(shared) = self.0.as_ref().filter(|_| functions.reset()) else { return };
            let mut kept = shared.kept();
            if kept.functions.len() < shared.most {
                kept.functions.push(functions);
            }
        }

        pub(crate) fn keep_stack(&self, stack: Reservation) {
            let Some(shared) = self.0.as_ref().filter(|_| memory::reset_stack(&stack)) else { return };
            let _over = {
                let kept = &mut *shared.kept();
                push(&mut kept.stacks, &mut kept.stack_count, stack.length, shared.most, stack)
            };
        }
    }

    impl Shared {
        /// A kept region, one that fits as it is if there is one.
        fn region(&self, size: u32, memory: Option<(u64, u64)>, image: Option<&Arc<Image>>) -> Option<Region> {
            let kept = &mut *self.kept();
            let shape = Region::shape_of(size, memory.is_some());
            let pages = memory.map_or(0, |(pages, _)| pages);
            let exact = (shape, image.map_or(0, |image| image.id), pages);
            if let Some(region) = pop(&mut kept.regions, &mut kept.region_count, &exact) {
                return Some(region);
            }
            // Another module's is taken over only when the pool is filling up: its own instances would find it ready.
            if 2 * kept.region_count < self.most {
                return None;
            }
            let key = *kept.regions.range((shape, 0, 0)..=(shape, u64::MAX, u64::MAX)).next()?.0;
            pop(&mut kept.regions, &mut kept.region_count, &key)
        }
    }

    /// What the active data segments of a module make of a fresh memory: a file in memory, mapped copy-on-write.
    pub struct Image {
        fd: usize,
        /// Of all images there ever were; regions remember what they have mapped by it.
        pub(crate) id: u64,
        /// Where in linear memory it begins.
        pub(crate) start: usize,
        pub(crate) length: usize,
        /// The file itself, to copy from.
        bytes: Reservation,
    }

    impl Image {
        /// The segments' image, if it is sure before an instance is made that each will be written, and if it is worth it.
        fn of(module: &Module) -> Option<Image> {
            const PAGE: usize = 4096;
            const HOLES: usize = 1 << 20;
            let segments = active(&module.manifest)?;
            let data = |start: u32, length: u32| module.data().get(start as usize..start as usize + length as usize);
            let (mut low, mut high, mut total) = (usize::MAX, 0, 0);
            for &(offset, start, length) in &segments {
                data(start, length)?;
                if length > 0 {
                    low = low.min(offset as usize / PAGE * PAGE);
                    high = high.max((offset as usize + length as usize).next_multiple_of(PAGE));
                    total += length as usize;
                }
            }
            // Pages that nothing is written to would each take memory once they are read.
            if high == 0 || high - low > 2 * total + HOLES {
                return None;
            }
            static NEXT: AtomicU64 = AtomicU64::new(1);
            const CLOSE_ON_EXEC: usize = 1;
            let name = c"vwasm memory";
            // SAFETY: the kernel reads the name.
            let fd = sys::check(unsafe {
                sys::syscall(number::MEMFD_CREATE, [name.as_ptr() as usize, CLOSE_ON_EXEC, 0, 0, 0, 0])
            });
            let (id, length) = (NEXT.fetch_add(1, Ordering::Relaxed), high - low);
            let mut image = Image { fd: fd.ok()?, id, start: low, length, bytes: Reservation::none() };
            // SAFETY: the descriptor is this image's own.
            sys::check(unsafe { sys::syscall(number::FTRUNCATE, [image.fd, image.length, 0, 0, 0, 0]) }).ok()?;
            for &(offset, start, length) in &segments {
                image.write(offset as usize - low.min(offset as usize), data(start, length)?).ok()?;
            }
            image.bytes = Reservation::new(length, sys::PROT_NONE).ok()?;
            // SAFETY: the range is the image's own.
            unsafe { sys::map_over(image.bytes.start, length, sys::PROT_READ, Some(image.fd)).ok()? };
            Some(image)
        }

        /// Copies some of its bytes.
        ///
        /// # Safety
        /// They must be inside the image, and as many be writable at `to`.
        pub(crate) unsafe fn copy(&self, from: usize, to: *mut u8, length: usize) {
            // SAFETY: as the caller promises; the file is as long as the image.
            unsafe { core::ptr::copy_nonoverlapping(self.bytes.start.add(from), to, length) };
        }

        fn write(&self, mut at: usize, mut bytes: &[u8]) -> Result<(), i32> {
            while !bytes.is_empty() {
                let args = [self.fd, bytes.as_ptr() as usize, bytes.len(), at, 0, 0];
                // SAFETY: the kernel reads the slice.
                match sys::check(unsafe { sys::syscall(number::PWRITE64, args) })? {
                    0 => return Err(errno::ENOMEM),
                    written => {
                        at += written;
                        bytes = &bytes[written..];
                    }
                }
            }
            Ok(())
        }

        /// Maps it over part of a reservation.
        ///
        /// # Safety
        /// The range from `address` on, as long as the image, must be the caller's own.
        pub(crate) unsafe fn map(&self, address: *mut u8) -> Result<(), i32> {
            // SAFETY: as the caller promises.
            unsafe { sys::map_over(address, self.length, sys::PROT_READ | sys::PROT_WRITE, Some(self.fd)) }
        }
    }

    impl Drop for Image {
        fn drop(&mut self) {
            // SAFETY: the descriptor is this image's own; what is mapped stays.
            unsafe { sys::syscall(number::CLOSE, [self.fd, 0, 0, 0, 0, 0]) };
        }
    }

    /// Offset in memory, start and length in the data of each active segment, if nothing that goes before them may trap in a
    /// way that others see, and each is within the memory that the module itself begins with.
    fn active(manifest: &Manifest) -> Option<Vec<(u32, u32, u32)>> {
        let bytes = manifest.memories.first()?.min << 16;
        let imported = manifest.imports.iter().filter(|import| matches!(import.kind, ExternType::Table(_))).count() as u32;
        if manifest
            .elements
            .iter()
            .any(|element| matches!(element.mode, SegmentMode::Active { target, .. } if target < imported))
        {
            return None;
        }
        let mut segments = Vec::new();
        for data in &manifest.data {
            match data.mode {
                SegmentMode::Active { offset: ConstExpr::I32(offset), .. }
                    if u64::from(offset) + u64::from(data.length) <= bytes =>
                {
                    segments.push((offset, data.start, data.length));
                }
                SegmentMode::Active { .. } => return None,
                SegmentMode::Passive | SegmentMode::Declared => {}
            }
        }
        Some(segments)
    }

    /// A module's image, made when it is first asked for.
    #[derive(Default)]
    pub struct Prepared(OnceLock<Option<Arc<Image>>>);

    impl Prepared {
        fn image(&self, module: &Module) -> Option<&Arc<Image>> {
            self.0.get_or_init(|| Image::of(module).map(Arc::new)).as_ref()
        }
    }
}

#[cfg(freestanding)]
mod alone {
    use crate::layout::InstanceLayout;
    use crate::manifest::Manifest;
    use crate::memory::{Functions, Region, Reservation, Slots, Space, Tables};
    use crate::store::Module;
    use crate::sys::errno;
    use core::cell::{Cell, RefCell};

    /// The address space of the one instance there will be.
    pub struct Pool {
        stack: Cell<Option<Reservation>>,
        functions: Cell<Option<Functions>>,
        tables: RefCell<Tables>,
        region: Cell<Option<Region>>,
        /// Size of the fields, pages of memory and their limit.
        shape: (u32, Option<(u64, u64)>),
    }

    impl Pool {
        /// Space for a module's instance and its stack. (What its limits do not allow is refused when it is made.)
        pub(crate) fn new(manifest: &Manifest, stack_size: usize, most_pages: u64, most_elements: u64) -> Result<Pool, i32> {
            let size = InstanceLayout::new(&manifest.shape).map_or(0, |layout| layout.size);
            let memory = manifest.memory(most_pages).filter(|(pages, limit)| pages <= limit);
            let tables = manifest
                .tables
                .iter()
                .map(|table| Slots::limit(table.limits.min, table.limits.max, most_elements).map_or(0, Slots::bytes));
            // Number 0 is none's.
            let functions = 1 + manifest.imports.len() + manifest.functions.len();
            let space = Space::new(stack_size, tables.sum(), functions, size, memory)?;
            Ok(Pool {
                stack: Cell::new(Some(space.stack)),
                functions: Cell::new(Some(space.functions)),
                tables: RefCell::new(space.tables),
                region: Cell::new(Some(space.region)),
                shape: (size, memory),
            })
        }

        pub(crate) fn region(&self, size: u32, memory: Option<(u64, u64)>, _: &Module) -> Result<(Region, bool), i32> {
            let region = self.region.take().filter(|_| self.shape == (size, memory)).ok_or(errno::ENOMEM)?;
            Ok((region, false))
        }
        pub(crate) fn host_region(&self, _: u32, _: (u64, u64)) -> Result<Region, i32> {
            Err(errno::ENOMEM)
        }
        pub(crate) fn slots(&self, length: u64, max: Option<u64>, most: u64) -> Result<Slots, i32> {
            self.tables.borrow_mut().next(length as u32, Slots::limit(length, max, most)?)
        }
        pub(crate) fn functions(&self) -> Result<Functions, i32> {
            self.functions.take().ok_or(errno::ENOMEM)
        }
        pub(crate) fn stack(&self, _: usize) -> Result<Reservation, i32> {
            self.stack.take().ok_or(errno::ENOMEM)
        }
        pub(crate) fn keep_region(&self, _: Region) {}
        pub(crate) fn keep_slots(&self, _: Slots) {}
        pub(crate) fn keep_functions(&self, _: Functions) {}
        pub(crate) fn keep_stack(&self, _: Reservation) {}
    }
}
