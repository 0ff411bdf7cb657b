//! `wasm_*_vec_t`: a size and a pointer to as many elements, which the vector owns. An empty one has no pointer.

use crate::instance::Frame;
use crate::object::Object;
use crate::types::{ExportType, ExternType, ImportType, ValType};
use crate::value::Val;
use std::ptr::{null_mut, slice_from_raw_parts_mut};

/// What can stand in a vector.
pub trait Element: Sized {
    fn empty() -> Self;
    /// A copy that owns what it refers to.
    ///
    /// # Safety
    /// What the element refers to must be alive.
    unsafe fn duplicate(&self) -> Self;
    /// Deletes what the element owns.
    ///
    /// # Safety
    /// The element must own it, and is not used afterwards.
    unsafe fn discard(self);
}

impl Element for u8 {
    fn empty() -> u8 {
        0
    }
    unsafe fn duplicate(&self) -> u8 {
        *self
    }
    unsafe fn discard(self) {}
}

/// Pointers to boxes, or null.
impl<T: Clone> Element for *mut T {
    fn empty() -> *mut T {
        null_mut()
    }
    unsafe fn duplicate(&self) -> *mut T {
        // SAFETY: as the caller promises.
        unsafe { self.as_ref() }.map_or(null_mut(), |value| Box::into_raw(Box::new(value.clone())))
    }
    unsafe fn discard(self) {
        if !self.is_null() {
            // SAFETY: as the caller promises; pointers of this library are boxes.
            drop(unsafe { Box::from_raw(self) });
        }
    }
}

/// A vector as C sees it.
#[repr(C)]
pub struct Vector<T> {
    pub size: usize,
    pub data: *mut T,
}

impl<T: Element> Vector<T> {
    pub const fn none() -> Vector<T> {
        Vector { size: 0, data: null_mut() }
    }

    pub fn from(elements: Vec<T>) -> Vector<T> {
        if elements.is_empty() {
            return Vector::none();
        }
        let size = elements.len();
        Vector { size, data: Box::into_raw(elements.into_boxed_slice()).cast() }
    }

    /// # Safety
    /// `data` must be null or point to `size` elements that stay while the slice is used.
    pub unsafe fn as_slice(&self) -> &[T] {
        if self.data.is_null() || self.size == 0 {
            return &[];
        }
        // SAFETY: as the caller promises.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }

    /// The elements, leaving the vector empty.
    ///
    /// # Safety
    /// The vector must be one of this library's, and own its elements.
    pub unsafe fn take(&mut self) -> Vec<T> {
        let (size, data) = (std::mem::take(&mut self.size), std::mem::replace(&mut self.data, null_mut()));
        if data.is_null() || size == 0 {
            return Vec::new();
        }
        // SAFETY: made by `from`, with this length.
        unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec()
    }

    /// # Safety
    /// As for `as_slice`, and the elements must be alive.
    pub unsafe fn duplicate(&self) -> Vector<T> {
        // SAFETY: as the caller promises.
        unsafe { Vector::from(self.as_slice().iter().map(|element| element.duplicate()).collect()) }
    }

    /// # Safety
    /// As for `take`.
    pub unsafe fn discard(&mut self) {
        // SAFETY: as the caller promises.
        unsafe { self.take().into_iter().for_each(|element| element.discard()) }
    }
}

macro_rules! vectors {
    ($($element:ty: $new_empty:ident $new_uninitialized:ident $new:ident $copy:ident $delete:ident;)*) => {$(
        /// Makes an empty vector.
        ///
        /// # Safety
        /// `out` must be null or point to room for a vector, whose old contents are not looked at.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $new_empty(out: *mut Vector<$element>) {
            if !out.is_null() {
                // SAFETY: as the caller promises.
                unsafe { out.write(Vector::none()) };
            }
        }

        /// Makes a vector of `size` elements, to be filled: zeros or nulls. It is empty if there is no memory for them.
        ///
        /// # Safety
        /// As above.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $new_uninitialized(out: *mut Vector<$element>, size: usize) {
            let mut elements = Vec::new();
            if elements.try_reserve_exact(size).is_ok() {
                elements.extend((0..size).map(|_| <$element>::empty()));
            }
            if !out.is_null() {
                // SAFETY: as the caller promises.
                unsafe { out.write(Vector::from(elements)) };
            }
        }

        /// Makes a vector of `size` elements, which it takes over.
        ///
        /// # Safety
        /// As above; `data` must be null or point to `size` elements.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $new(out: *mut Vector<$element>, size: usize, data: *const $element) {
            let mut elements = Vec::new();
            if !data.is_null() && elements.try_reserve_exact(size).is_ok() {
                // SAFETY: as the caller promises; ownership moves.
                elements.extend((0..size).map(|n| unsafe { data.add(n).read() }));
            }
            if !out.is_null() {
                // SAFETY: as the caller promises.
                unsafe { out.write(Vector::from(elements)) };
            }
        }

        /// Makes a vector of copies of another's elements.
        ///
        /// # Safety
        /// As above; `from` must be null or a vector.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $copy(out: *mut Vector<$element>, from: *const Vector<$element>) {
            // SAFETY: as the caller promises.
            unsafe {
                let copy = from.as_ref().map_or(Vector::none(), |from| from.duplicate());
                if !out.is_null() {
                    out.write(copy);
                }
            }
        }

        /// Deletes the elements, and leaves the vector empty.
        ///
        /// # Safety
        /// `vector` must be null or a vector that owns its elements.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $delete(vector: *mut Vector<$element>) {
            // SAFETY: as the caller promises.
            unsafe {
                if let Some(vector) = vector.as_mut() {
                    vector.discard();
                }
            }
        }
    )*};
}

vectors! {
    u8: wasm_byte_vec_new_empty wasm_byte_vec_new_uninitialized wasm_byte_vec_new wasm_byte_vec_copy wasm_byte_vec_delete;
    *mut ValType: wasm_valtype_vec_new_empty wasm_valtype_vec_new_uninitialized wasm_valtype_vec_new wasm_valtype_vec_copy wasm_valtype_vec_delete;
    *mut ImportType: wasm_importtype_vec_new_empty wasm_importtype_vec_new_uninitialized wasm_importtype_vec_new wasm_importtype_vec_copy wasm_importtype_vec_delete;
    *mut ExportType: wasm_exporttype_vec_new_empty wasm_exporttype_vec_new_uninitialized wasm_exporttype_vec_new wasm_exporttype_vec_copy wasm_exporttype_vec_delete;
    *mut ExternType: wasm_externtype_vec_new_empty wasm_externtype_vec_new_uninitialized wasm_externtype_vec_new wasm_externtype_vec_copy wasm_externtype_vec_delete;
    Val: wasm_val_vec_new_empty wasm_val_vec_new_uninitialized wasm_val_vec_new wasm_val_vec_copy wasm_val_vec_delete;
    *mut Frame: wasm_frame_vec_new_empty wasm_frame_vec_new_uninitialized wasm_frame_vec_new wasm_frame_vec_copy wasm_frame_vec_delete;
    *mut Object: wasm_extern_vec_new_empty wasm_extern_vec_new_uninitialized wasm_extern_vec_new wasm_extern_vec_copy wasm_extern_vec_delete;
    *mut ExternType: wasm_functype_vec_new_empty wasm_functype_vec_new_uninitialized wasm_functype_vec_new wasm_functype_vec_copy wasm_functype_vec_delete;
    *mut ExternType: wasm_globaltype_vec_new_empty wasm_globaltype_vec_new_uninitialized wasm_globaltype_vec_new wasm_globaltype_vec_copy wasm_globaltype_vec_delete;
    *mut ExternType: wasm_tabletype_vec_new_empty wasm_tabletype_vec_new_uninitialized wasm_tabletype_vec_new wasm_tabletype_vec_copy wasm_tabletype_vec_delete;
    *mut ExternType: wasm_memorytype_vec_new_empty wasm_memorytype_vec_new_uninitialized wasm_memorytype_vec_new wasm_memorytype_vec_copy wasm_memorytype_vec_delete;
}
