//! `wasm_val_t`: a kind and a value, which owns the reference it may hold.

use crate::module::StoreInner;
use crate::object::{Object, Thing};
use crate::types::{EXTERNREF, FUNCREF, boxed, kind_of};
use crate::vector::Element;
use std::ptr::null_mut;
use std::rc::Rc;
use vwasm_runtime::manifest::ValueType;
use vwasm_runtime::store::Extern;

/// The bits of a value, or a reference.
#[derive(Clone, Copy)]
#[repr(C)]
pub union Of {
    pub i32: i32,
    pub i64: i64,
    pub reference: *mut Object,
}

/// `wasm_val_t`.
#[repr(C)]
pub struct Val {
    pub kind: u8,
    pub of: Of,
}

impl Element for Val {
    fn empty() -> Val {
        Val { kind: 0, of: Of { i64: 0 } }
    }

    unsafe fn duplicate(&self) -> Val {
        match self.kind {
            // SAFETY: a value of these kinds holds a reference that is null or alive.
            EXTERNREF | FUNCREF => Val { kind: self.kind, of: Of { reference: unsafe { self.of.reference.duplicate() } } },
            _ => Val { ..*self },
        }
    }

    unsafe fn discard(self) {
        if matches!(self.kind, EXTERNREF | FUNCREF) {
            // SAFETY: as above, and owned.
            unsafe { self.of.reference.discard() };
        }
    }
}

impl Val {
    /// The runtime's bits for a value of a type; none if it is of another kind, or of another store.
    ///
    /// # Safety
    /// A reference in it must be null or alive.
    pub unsafe fn bits(&self, ty: ValueType, store: &StoreInner) -> Option<u64> {
        if self.kind != kind_of(ty) {
            return None;
        }
        // SAFETY: the kind says which is there; the others are plain bits.
        unsafe {
            Some(match ty {
                ValueType::I32 | ValueType::F32 => u64::from(self.of.i32 as u32),
                ValueType::I64 | ValueType::F64 => self.of.i64 as u64,
                ValueType::FuncRef | ValueType::ExternRef => u64::from(number(self.of.reference, ty, store)?),
                ValueType::V128 => return None,
            })
        }
    }

    /// A value of a type from the runtime's bits.
    pub fn new(bits: u64, ty: ValueType, store: &Rc<StoreInner>) -> Val {
        let of = match ty {
            ValueType::FuncRef | ValueType::ExternRef => Of { reference: reference(bits as u32, ty, store) },
            _ => Of { i64: bits as i64 },
        };
        Val { kind: kind_of(ty), of }
    }
}

/// The runtime's number for a reference.
///
/// # Safety
/// The pointer must be null or alive.
pub unsafe fn number(reference: *const Object, ty: ValueType, store: &StoreInner) -> Option<u32> {
    // SAFETY: as the caller promises.
    let Some(object) = (unsafe { reference.as_ref() }) else { return Some(0) };
    if ty == ValueType::ExternRef {
        return store.intern(object);
    }
    match object.external() {
        Some((Extern::Function(number), owner)) if std::ptr::eq(Rc::as_ptr(owner), store) => Some(number),
        _ => None,
    }
}

/// A handle for the runtime's number, which the caller owns; null for 0.
pub fn reference(number: u32, ty: ValueType, store: &Rc<StoreInner>) -> *mut Object {
    if number == 0 {
        return null_mut();
    }
    if ty == ValueType::ExternRef {
        return store.interned(number).map_or(null_mut(), boxed);
    }
    boxed(Object::new(Thing::Extern(Extern::Function(number)), Some(store.clone())))
}

/// Deletes what a value owns, and leaves it zero.
///
/// # Safety
/// The pointer must be null or to a value that owns its reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_val_delete(value: *mut Val) {
    // SAFETY: as the caller promises.
    if let Some(value) = unsafe { value.as_mut() } {
        unsafe { std::mem::replace(value, Val::empty()).discard() };
    }
}

/// Writes a copy of a value, which owns its reference.
///
/// # Safety
/// `out` must be null or room for a value, `from` null or a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_val_copy(out: *mut Val, from: *const Val) {
    // SAFETY: as the caller promises.
    unsafe {
        if let (false, Some(from)) = (out.is_null(), from.as_ref()) {
            out.write(from.duplicate());
        }
    }
}
