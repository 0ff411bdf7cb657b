//! Instances, traps and their frames, foreign objects.

use crate::module::{StoreInner, give, module, wasm_store_t};
use crate::object::{Object, Thing};
use crate::types::{boxed, owned};
use crate::vector::Vector;
use std::cell::OnceCell;
use std::ptr::null_mut;
use std::rc::Rc;
use vwasm::embed::Module;
use vwasm_runtime::instance::InstantiateError;
use vwasm_runtime::trap::{TraceEntry, Trap};

/// `wasm_frame_t`: one function of a backtrace.
#[derive(Clone)]
pub struct Frame {
    entry: TraceEntry,
    instance: Option<Object>,
}

/// The object of a trap of the runtime's: the one that a host function gave, if it is that. Its frames are those between the
/// first host function that it came from and the guest's entry.
pub fn trap_object(store: &Rc<StoreInner>, trap: &Trap) -> Object {
    let given = store.trap.take().unwrap_or_else(|| refusal(trap.message()));
    if let Thing::Trap { frames, .. } = &given.0.thing {
        let frame = |entry: &TraceEntry| Frame {
            entry: entry.clone(),
            instance: entry.instance.and_then(|number| store.instance(number)),
        };
        frames.get_or_init(|| trap.backtrace.iter().map(frame).collect());
    }
    given
}

/// A trap that comes from no guest.
pub fn refusal(message: String) -> Object {
    Object::new(Thing::Trap { message, frames: OnceCell::new() }, None)
}

/// Makes an instance and runs its start function; null if that fails: `trap`, if given, then says why.
///
/// # Safety
/// The pointers must be null or alive; `imports` a vector of externals; `trap` room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_instance_new(
    store: *mut wasm_store_t,
    object: *const Object,
    imports: *const Vector<*mut Object>,
    trap: *mut *mut Object,
) -> *mut Object {
    // SAFETY: as the caller promises.
    let made = unsafe {
        if !trap.is_null() {
            trap.write(null_mut());
        }
        let (Some(store), Some(module)) = (store.as_ref(), module(object)) else { return null_mut() };
        let given = imports.as_ref().map_or(&[][..], |imports| imports.as_slice());
        // What the start function calls may delete the handles.
        instantiate(&store.0.clone(), &module.clone(), given)
    };
    match made {
        Ok(instance) => boxed(instance),
        Err(reason) => {
            if !trap.is_null() {
                // SAFETY: as the caller promises.
                unsafe { trap.write(boxed(reason)) };
            }
            null_mut()
        }
    }
}

/// # Safety
/// The imports must be null or alive.
unsafe fn instantiate(store: &Rc<StoreInner>, module: &Module, imports: &[*mut Object]) -> Result<Object, Object> {
    let mut given = Vec::new();
    for import in imports {
        // SAFETY: as the caller promises.
        match unsafe { import.as_ref() }.and_then(Object::external) {
            Some((external, owner)) if Rc::ptr_eq(owner, store) => given.push(external),
            Some(_) => return Err(refusal("an import of another store".to_string())),
            None => return Err(refusal("an import is missing".to_string())),
        }
    }
    vwasm_runtime::signal::install();
    let outer = store.caller.get();
    let made = store.with(|inner| {
        store.caller.set(None);
        inner.instantiate(module.loaded(), &given)
    });
    store.caller.set(outer);
    match made {
        Ok(number) => Ok(store.new_instance(number)),
        Err(InstantiateError::Trap(trap)) => Err(trap_object(store, &trap)),
        Err(InstantiateError::Link(message) | InstantiateError::Resources(message)) => Err(refusal(message)),
    }
}

/// What an instance exports, in the module's order.
///
/// # Safety
/// The pointers must be null, or alive and room for a vector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_instance_exports(object: *const Object, out: *mut Vector<*mut Object>) {
    // SAFETY: as the caller promises.
    let instance = unsafe { object.as_ref() }.and_then(|object| match (&object.0.thing, &object.0.store) {
        (Thing::Instance(index), Some(store)) => Some((*index, store)),
        _ => None,
    });
    let exports = instance.map_or(Vec::new(), |(index, store)| {
        let found = store.with(|inner| inner.exports(index));
        found.into_iter().map(|external| boxed(Object::new(Thing::Extern(external), Some(store.clone())))).collect()
    });
    // SAFETY: as the caller promises.
    unsafe { give(out, Vector::from(exports)) };
}

// -- traps --

/// A trap with a message, up to its first NUL.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_trap_new(_: *mut wasm_store_t, message: *const Vector<u8>) -> *mut Object {
    // SAFETY: as the caller promises.
    let bytes = unsafe { message.as_ref() }.map_or(&[][..], |message| unsafe { message.as_slice() });
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    boxed(refusal(String::from_utf8_lossy(text).into_owned()))
}

/// # Safety
/// The pointer must be null or alive.
unsafe fn trap<'a>(object: *const Object) -> Option<(&'a str, &'a [Frame])> {
    // SAFETY: as the caller promises.
    match unsafe { &object.as_ref()?.0.thing } {
        Thing::Trap { message, frames } => Some((message, frames.get().map_or(&[], Vec::as_slice))),
        _ => None,
    }
}

/// What a trap has to say, with a NUL at its end.
///
/// # Safety
/// The pointers must be null, or alive and room for a vector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_trap_message(object: *const Object, out: *mut Vector<u8>) {
    // SAFETY: as the caller promises.
    unsafe {
        let mut bytes = trap(object).map_or(Vec::new(), |(message, _)| message.as_bytes().to_vec());
        bytes.push(0);
        give(out, Vector::from(bytes));
    }
}

/// The innermost function of a trap's backtrace; null if there is none.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_trap_origin(object: *const Object) -> *mut Frame {
    // SAFETY: as the caller promises.
    let first = unsafe { trap(object) }.and_then(|(_, frames)| frames.first());
    first.map_or(null_mut(), |frame| boxed(frame.clone()))
}

/// A trap's backtrace, innermost function first.
///
/// # Safety
/// The pointers must be null, or alive and room for a vector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_trap_trace(object: *const Object, out: *mut Vector<*mut Frame>) {
    // SAFETY: as the caller promises.
    unsafe {
        let frames = trap(object).map_or(&[][..], |(_, frames)| frames);
        give(out, Vector::from(frames.iter().map(|frame| boxed(frame.clone())).collect()));
    }
}

/// Deletes a frame.
///
/// # Safety
/// The pointer must be null or owned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_frame_delete(frame: *mut Frame) {
    // SAFETY: as the caller promises.
    drop(unsafe { owned(frame) });
}

/// A copy of a frame, which the caller owns.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_frame_copy(frame: *const Frame) -> *mut Frame {
    // SAFETY: as the caller promises.
    unsafe { frame.as_ref() }.map_or(null_mut(), |frame| boxed(frame.clone()))
}

/// The instance of a frame, which the frame owns; null while it is being made, when nobody has it yet.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_frame_instance(frame: *const Frame) -> *mut Object {
    // SAFETY: as the caller promises. No function of this library changes an object through a pointer to it.
    unsafe { frame.as_ref() }
        .and_then(|frame| frame.instance.as_ref())
        .map_or(null_mut(), |object| std::ptr::from_ref(object).cast_mut())
}

/// The index of a frame's function in its module.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_frame_func_index(frame: *const Frame) -> u32 {
    // SAFETY: as the caller promises.
    unsafe { frame.as_ref() }.map_or(0, |frame| frame.entry.function)
}

/// The offset of a frame's instruction from the beginning of its function's body, where locals are declared; 0 if it is not known.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_frame_func_offset(frame: *const Frame) -> usize {
    // SAFETY: as the caller promises.
    let entry = unsafe { frame.as_ref() }.map(|frame| &frame.entry);
    entry.and_then(|entry| entry.offset?.checked_sub(entry.body?)).map_or(0, |offset| offset as usize)
}

/// The offset of a frame's instruction in the binary module; 0 if it is not known.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_frame_module_offset(frame: *const Frame) -> usize {
    // SAFETY: as the caller promises.
    unsafe { frame.as_ref() }.and_then(|frame| frame.entry.offset).map_or(0, |offset| offset as usize)
}

/// An object of the host's own, for external references.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_foreign_new(store: *mut wasm_store_t) -> *mut Object {
    // SAFETY: as the caller promises.
    unsafe { store.as_ref() }.map_or(null_mut(), |_| boxed(Object::new(Thing::Foreign, None)))
}
