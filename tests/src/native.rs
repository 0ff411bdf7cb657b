//! Guest memory seen from outside.

/// A stretch of mapped memory with a copy of what it should hold.
pub struct Window {
    start: usize,
    pub shadow: Vec<u8>,
}

impl Window {
    /// # Safety
    /// The range must be mapped readable and writable for as long as the window lives, and no reference may point into it.
    pub unsafe fn new(start: usize, length: usize) -> Window {
        // SAFETY: the caller answers for the range.
        let shadow = unsafe { std::slice::from_raw_parts(start as *const u8, length) }.to_vec();
        Window { start, shadow }
    }

    /// Where an access of some bytes lies in the shadow.
    pub fn place(&self, address: u64, bytes: u32) -> Option<std::ops::Range<usize>> {
        let offset = address.checked_sub(self.start as u64)? as usize;
        let end = offset.checked_add(bytes as usize)?;
        (end <= self.shadow.len()).then_some(offset..end)
    }

    /// Makes the memory what the shadow is.
    pub fn publish(&self) {
        // SAFETY: the window's range is mapped and writable, and unaliased (see `new`).
        unsafe { std::ptr::copy_nonoverlapping(self.shadow.as_ptr(), self.start as *mut u8, self.shadow.len()) };
    }

    /// The address of the first byte that is not what it should be, and the byte.
    pub fn difference(&self) -> Option<(usize, u8)> {
        // SAFETY: the window's range is mapped (see `new`), and no guest runs while this borrow lasts.
        let memory = unsafe { std::slice::from_raw_parts(self.start as *const u8, self.shadow.len()) };
        if memory == self.shadow {
            return None;
        }
        let at = memory.iter().zip(&self.shadow).position(|(found, wanted)| found != wanted)?;
        Some((self.start + at, memory[at]))
    }
}
