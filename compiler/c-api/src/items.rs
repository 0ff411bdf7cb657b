//! Functions, globals, tables and memories.

use crate::instance::{refusal, trap_object};
use crate::module::{StoreInner, wasm_store_t};
use crate::object::{Finalizer, Object, Thing};
use crate::types::{ExternType, boxed, owned};
use crate::value::{Val, number, reference};
use crate::vector::{Element, Vector};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::rc::{Rc, Weak};
use vwasm_runtime::layout::MEMORY_MAX_PAGES;
use vwasm_runtime::manifest::{FunctionType, GlobalType, TableType, ValueType};
use vwasm_runtime::store::{Caller, Extern, SharedHostFunction};
use vwasm_runtime::trap::Trap;

type Callback = unsafe extern "C" fn(*const Vector<Val>, *mut Vector<Val>) -> *mut Object;
type EnvCallback = unsafe extern "C" fn(*mut c_void, *const Vector<Val>, *mut Vector<Val>) -> *mut Object;

/// An object of one kind: its number and its store.
///
/// # Safety
/// The pointer must be null or alive.
unsafe fn item<'a>(object: *const Object, wanted: fn(Extern) -> Option<u32>) -> Option<(u32, &'a Rc<StoreInner>)> {
    // SAFETY: as the caller promises.
    let (external, store) = unsafe { object.as_ref() }?.external()?;
    Some((wanted(external)?, store))
}

macro_rules! kinds {
    ($($name:ident $kind:ident;)*) => {$(
        /// # Safety
        /// The pointer must be null or alive.
        unsafe fn $name<'a>(object: *const Object) -> Option<(u32, &'a Rc<StoreInner>)> {
            // SAFETY: as the caller promises.
            unsafe { item(object, |external| if let Extern::$kind(number) = external { Some(number) } else { None }) }
        }
    )*};
}

kinds! {
    function Function;
    global Global;
    table Table;
    memory Memory;
}

fn object(external: Extern, store: &Rc<StoreInner>) -> *mut Object {
    boxed(Object::new(Thing::Extern(external), Some(store.clone())))
}

// -- functions --

/// What a host function needs to come back to its store; not a reference that keeps it.
struct Env {
    store: Weak<StoreInner>,
    env: *mut c_void,
    finalizer: Finalizer,
}

impl Drop for Env {
    fn drop(&mut self) {
        if let Some(finalizer) = self.finalizer {
            // SAFETY: given by the program together with the pointer it is for.
            unsafe { finalizer(self.env) };
        }
    }
}

/// A host function of the runtime's that calls one of C's.
fn host(
    ty: FunctionType,
    env: Env,
    call: impl Fn(*mut c_void, &Vector<Val>, &mut Vector<Val>) -> *mut Object + 'static,
) -> SharedHostFunction {
    Rc::new(move |caller: &mut Caller, args: &[u64], results: &mut [u64]| {
        let Some(store) = env.store.upgrade() else { return Err(Trap::host("the store is gone")) };
        let given = args.iter().zip(&ty.params).map(|(&bits, ty)| Val::new(bits, *ty, &store)).collect();
        let mut given = Vector::from(given);
        let mut taken = Vector::from(ty.results.iter().map(|_| Val::empty()).collect());
        let outer = store.caller.replace(Some(std::ptr::from_mut(caller).cast()));
        let trap = call(env.env, &given, &mut taken);
        store.caller.set(outer);
        // SAFETY: both vectors are this function's own; what C put into the second it handed over.
        let values = unsafe {
            given.discard();
            taken.take()
        };
        // SAFETY: a trap that C gives is handed over.
        let trap = unsafe { owned(trap) };
        let mut fits = values.len() == results.len();
        for ((result, value), ty) in results.iter_mut().zip(values).zip(&ty.results) {
            // SAFETY: C's values hold references that are null or alive.
            let bits = unsafe { value.bits(*ty, &store) };
            fits &= bits.is_some();
            *result = bits.unwrap_or(0);
            // SAFETY: handed over.
            unsafe { value.discard() };
        }
        match trap {
            Some(trap) => {
                let Thing::Trap { message, .. } = &trap.0.thing else {
                    return Err(Trap::host("a host function gave something else in place of a trap"));
                };
                let message = message.clone();
                store.trap.replace(Some(trap));
                Err(Trap::host(&message))
            }
            None if fits => Ok(()),
            None => Err(Trap::host("a host function gave values of other types than its own")),
        }
    })
}

/// # Safety
/// The pointers must be null or alive.
unsafe fn new_function(
    store: *mut wasm_store_t,
    ty: *const ExternType,
    env: *mut c_void,
    finalizer: Finalizer,
    call: impl Fn(*mut c_void, &Vector<Val>, &mut Vector<Val>) -> *mut Object + 'static,
) -> *mut Object {
    // SAFETY: as the caller promises.
    let (store, ty) = unsafe { (store.as_ref(), ty.as_ref()) };
    let (Some(store), Some(ty)) = (store, ty.and_then(ExternType::function_type)) else { return null_mut() };
    let env = Env { store: Rc::downgrade(&store.0), env, finalizer };
    let function = host(ty.clone(), env, call);
    let made = store.0.with(|inner| inner.shared_host_function(&ty, function));
    made.map_or(null_mut(), |number| object(Extern::Function(number), &store.0))
}

/// A host function; null without a store, a type or a function.
///
/// # Safety
/// The pointers must be null or alive; the function takes values of the type's parameters, and writes values of its results or
/// gives a trap, which it hands over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_func_new(
    store: *mut wasm_store_t,
    ty: *const ExternType,
    callback: Option<Callback>,
) -> *mut Object {
    let Some(callback) = callback else { return null_mut() };
    // SAFETY: as the caller promises.
    unsafe { new_function(store, ty, null_mut(), None, move |_, args, results| callback(args, results)) }
}

/// A host function that gets a pointer of the program's; `finalizer` is called with it when the store goes.
///
/// # Safety
/// As for `wasm_func_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_func_new_with_env(
    store: *mut wasm_store_t,
    ty: *const ExternType,
    callback: Option<EnvCallback>,
    env: *mut c_void,
    finalizer: Finalizer,
) -> *mut Object {
    let Some(callback) = callback else { return null_mut() };
    // SAFETY: as the caller promises.
    unsafe { new_function(store, ty, env, finalizer, move |env, args, results| callback(env, args, results)) }
}

/// # Safety
/// The pointer must be null or alive.
unsafe fn function_type(object: *const Object) -> Option<FunctionType> {
    // SAFETY: as the caller promises.
    let (number, store) = unsafe { function(object) }?;
    store.with(|inner| inner.function_type(number).cloned())
}

/// The type of a function, which the caller owns.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_func_type(object: *const Object) -> *mut ExternType {
    // SAFETY: as the caller promises.
    unsafe { function_type(object) }.map_or(null_mut(), |ty| boxed(ExternType::function(&ty)))
}

/// How many parameters a function has.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_func_param_arity(object: *const Object) -> usize {
    // SAFETY: as the caller promises.
    unsafe { function_type(object) }.map_or(0, |ty| ty.params.len())
}

/// How many results a function has.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_func_result_arity(object: *const Object) -> usize {
    // SAFETY: as the caller promises.
    unsafe { function_type(object) }.map_or(0, |ty| ty.results.len())
}

/// Calls a function: null, with the results written, or a trap, which the caller owns. Arguments of other types than the
/// function's, and too little room for its results, give a trap as well.
///
/// # Safety
/// The pointers must be null or alive; `results` a vector of values that own nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_func_call(
    object: *const Object,
    args: *const Vector<Val>,
    results: *mut Vector<Val>,
) -> *mut Object {
    let refuse = |message: &str| boxed(refusal(message.into()));
    // SAFETY: as the caller promises.
    let (function, given) = unsafe { (function(object), args.as_ref().map_or(&[][..], |args| args.as_slice())) };
    let Some((number, store)) = function else { return refuse("this is no function") };
    // The callee may delete the handle that it was called by.
    let store = store.clone();
    let Some(ty) = store.with(|inner| inner.function_type(number).cloned()) else { return refuse("this is no function") };
    if given.len() != ty.params.len() {
        return refuse("wrong number of arguments");
    }
    // SAFETY: as the caller promises.
    let bits = given.iter().zip(&ty.params).map(|(value, ty)| unsafe { value.bits(*ty, &store) });
    let Some(bits) = bits.collect::<Option<Vec<u64>>>() else {
        return refuse("an argument of another type, or of another store");
    };
    // SAFETY: as the caller promises.
    let room = unsafe { results.as_ref() }.map_or(0, |results| if results.data.is_null() { 0 } else { results.size });
    if room < ty.results.len() {
        return refuse("no room for the results");
    }
    // A thread that did not make the store needs a stack for signals, too.
    vwasm_runtime::signal::install();
    let mut out = vec![0; ty.results.len()];
    let outer = store.caller.get();
    let outcome = store.with(|inner| {
        store.caller.set(None);
        inner.invoke(number, &bits, &mut out)
    });
    store.caller.set(outer);
    if let Err(trap) = outcome {
        return boxed(trap_object(&store, &trap));
    }
    for (n, (bits, ty)) in out.into_iter().zip(&ty.results).enumerate() {
        // SAFETY: there is room, as just checked; old values own nothing.
        unsafe { (*results).data.add(n).write(Val::new(bits, *ty, &store)) };
    }
    null_mut()
}

// -- globals --

/// A global; null without a store, a type, or a value of that type.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_global_new(store: *mut wasm_store_t, ty: *const ExternType, value: *const Val) -> *mut Object {
    // SAFETY: as the caller promises.
    let (store, ty, value) = unsafe { (store.as_ref(), ty.as_ref(), value.as_ref()) };
    let (Some(store), Some(ty), Some(value)) = (store, ty, value) else { return null_mut() };
    let Some(content) = ty.value() else { return null_mut() };
    // SAFETY: as the caller promises.
    let Some(bits) = (unsafe { value.bits(content, &store.0) }) else { return null_mut() };
    let made = store.0.with(|inner| inner.host_global(GlobalType { value: content, mutable: ty.mutable }, bits));
    object(made, &store.0)
}

/// The type of a global, which the caller owns.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_global_type(object: *const Object) -> *mut ExternType {
    // SAFETY: as the caller promises.
    let Some((number, store)) = (unsafe { global(object) }) else { return null_mut() };
    let found = store.with(|inner| inner.global_value(number));
    found.map_or(null_mut(), |(ty, _)| boxed(ExternType::global(&ty)))
}

/// Writes a global's value, which the caller owns.
///
/// # Safety
/// The pointers must be null, or alive and room for a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_global_get(object: *const Object, out: *mut Val) {
    if out.is_null() {
        return;
    }
    // SAFETY: as the caller promises.
    let found = unsafe { global(object) }.and_then(|(number, store)| {
        let (ty, bits) = store.with(|inner| inner.global_value(number))?;
        Some(Val::new(bits, ty.value, store))
    });
    // SAFETY: as the caller promises.
    unsafe { out.write(found.unwrap_or(Val::empty())) };
}

/// Sets a global, if it is mutable and the value has its type.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_global_set(object: *mut Object, value: *const Val) {
    // SAFETY: as the caller promises.
    let (Some((number, store)), Some(value)) = (unsafe { (global(object), value.as_ref()) }) else { return };
    let Some((ty, _)) = store.with(|inner| inner.global_value(number)) else { return };
    // SAFETY: as the caller promises.
    if let Some(bits) = unsafe { value.bits(ty.value, store) } {
        store.with(|inner| inner.set_global(number, bits));
    }
}

// -- tables --

/// # Safety
/// The pointer must be null or alive.
unsafe fn table_type<'a>(object: *const Object) -> Option<(u32, &'a Rc<StoreInner>, TableType)> {
    // SAFETY: as the caller promises.
    let (number, store) = unsafe { table(object) }?;
    let ty = store.with(|inner| inner.table_type(number))?;
    Some((number, store, ty))
}

/// A table whose elements are all `init`; null without a store or a type, or if its limits cannot be had.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_table_new(store: *mut wasm_store_t, ty: *const ExternType, init: *mut Object) -> *mut Object {
    // SAFETY: as the caller promises.
    let (Some(store), Some(ty)) = (unsafe { (store.as_ref(), ty.as_ref()) }) else { return null_mut() };
    let Some(element @ (ValueType::FuncRef | ValueType::ExternRef)) = ty.value() else { return null_mut() };
    // SAFETY: as the caller promises.
    let Some(init) = (unsafe { number(init, element, &store.0) }) else { return null_mut() };
    let limits = ty.limits.limits();
    if limits.max.is_some_and(|max| max < limits.min) {
        return null_mut();
    }
    let made = store.0.with(|inner| {
        let made = inner.host_table(&TableType { element, limits }).ok()?;
        let Extern::Table(number) = made else { return None };
        if init != 0 {
            (0..ty.limits.min).try_for_each(|index| inner.set_table_element(number, index, init))?;
        }
        Some(made)
    });
    made.map_or(null_mut(), |made| object(made, &store.0))
}

/// The type of a table, its current size as minimum, which the caller owns.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_table_type(object: *const Object) -> *mut ExternType {
    // SAFETY: as the caller promises.
    unsafe { table_type(object) }.map_or(null_mut(), |(_, _, ty)| boxed(ExternType::table(&ty)))
}

/// A table's element, which the caller owns; null if it is null or beyond the end.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_table_get(object: *const Object, index: u32) -> *mut Object {
    // SAFETY: as the caller promises.
    let Some((number, store, ty)) = (unsafe { table_type(object) }) else { return null_mut() };
    let found = store.with(|inner| inner.table_element(number, index));
    found.map_or(null_mut(), |element| reference(element, ty.element, store))
}

/// Sets a table's element; false beyond its end, or if the reference is of another kind or store.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_table_set(object: *mut Object, index: u32, element: *mut Object) -> bool {
    // SAFETY: as the caller promises.
    let Some((table, store, ty)) = (unsafe { table_type(object) }) else { return false };
    // SAFETY: as the caller promises.
    let Some(element) = (unsafe { number(element, ty.element, store) }) else { return false };
    store.with(|inner| inner.set_table_element(table, index, element)).is_some()
}

/// How many elements a table has.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_table_size(object: *const Object) -> u32 {
    // SAFETY: as the caller promises.
    unsafe { table_type(object) }.map_or(0, |(_, _, ty)| ty.limits.min as u32)
}

/// Grows a table by elements that are all `init`; false if that cannot be.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_table_grow(object: *mut Object, delta: u32, init: *mut Object) -> bool {
    // SAFETY: as the caller promises.
    let Some((table, store, ty)) = (unsafe { table_type(object) }) else { return false };
    // SAFETY: as the caller promises.
    let Some(init) = (unsafe { number(init, ty.element, store) }) else { return false };
    store.with(|inner| inner.grow_table(table, delta, init)).is_some()
}

// -- memories --

/// A memory; null without a store or a type, or if its limits cannot be had.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_memory_new(store: *mut wasm_store_t, ty: *const ExternType) -> *mut Object {
    // SAFETY: as the caller promises.
    let (Some(store), Some(ty)) = (unsafe { (store.as_ref(), ty.as_ref()) }) else { return null_mut() };
    let limits = ty.limits.limits();
    if limits.min > MEMORY_MAX_PAGES || limits.max.is_some_and(|max| max < limits.min) {
        return null_mut();
    }
    let made = store.0.with(|inner| inner.host_memory(limits));
    made.map_or(null_mut(), |made| object(made, &store.0))
}

/// The type of a memory, its current size as minimum, which the caller owns.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_memory_type(object: *const Object) -> *mut ExternType {
    // SAFETY: as the caller promises.
    let Some((number, store)) = (unsafe { memory(object) }) else { return null_mut() };
    let found = store.with(|inner| inner.memory_type(number));
    found.map_or(null_mut(), |limits| boxed(ExternType::memory(&limits)))
}

/// Where a memory's bytes are; they stay there while the store lives.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_memory_data(object: *mut Object) -> *mut u8 {
    // SAFETY: as the caller promises.
    let Some((number, store)) = (unsafe { memory(object) }) else { return null_mut() };
    store.with(|inner| inner.memory_mut(number).map_or(null_mut(), <[u8]>::as_mut_ptr))
}

/// How many bytes a memory has.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_memory_data_size(object: *const Object) -> usize {
    // SAFETY: as the caller promises.
    let Some((number, store)) = (unsafe { memory(object) }) else { return 0 };
    store.with(|inner| inner.memory(number).map_or(0, <[u8]>::len))
}

/// How many pages a memory has.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_memory_size(object: *const Object) -> u32 {
    // SAFETY: as the caller promises.
    let Some((number, store)) = (unsafe { memory(object) }) else { return 0 };
    store.with(|inner| inner.memory_type(number).map_or(0, |limits| limits.min as u32))
}

/// Grows a memory by pages; false if that cannot be.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_memory_grow(object: *mut Object, delta: u32) -> bool {
    // SAFETY: as the caller promises.
    let Some((number, store)) = (unsafe { memory(object) }) else { return false };
    store.with(|inner| inner.grow_memory(number, delta.into())).is_some()
}

// -- externals --

/// The kind of an external object.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_extern_kind(object: *const Object) -> u8 {
    // SAFETY: as the caller promises.
    unsafe { object.as_ref() }.and_then(Object::kind).map_or(0, |kind| kind as u8)
}

/// The type of an external object, which the caller owns.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_extern_type(object: *const Object) -> *mut ExternType {
    // SAFETY: as the caller promises.
    unsafe {
        match object.as_ref().and_then(Object::external) {
            Some((Extern::Function(_), _)) => wasm_func_type(object),
            Some((Extern::Global(_), _)) => wasm_global_type(object),
            Some((Extern::Table(_), _)) => wasm_table_type(object),
            Some((Extern::Memory(_), _)) => wasm_memory_type(object),
            None => null_mut(),
        }
    }
}
