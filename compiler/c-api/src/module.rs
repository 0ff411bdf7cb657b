//! Configuration, engine, store, modules.

use crate::object::{Body, Object, Thing};
use crate::types::{ExportType, ExternType, ImportType, boxed, owned};
use crate::vector::Vector;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ptr::null_mut;
use std::rc::{Rc, Weak};
use vwasm::embed::{Engine, Module};
use vwasm_runtime::manifest::{self as m, ExportKind, ExternType as Described};
use vwasm_runtime::store::{Caller, Config, Store};

/// `wasm_config_t`; there is nothing to configure.
pub struct wasm_config_t(());

/// `wasm_engine_t`.
pub struct wasm_engine_t(Engine);

/// `wasm_store_t`.
pub struct wasm_store_t(pub Rc<StoreInner>);

/// `wasm_shared_module_t`.
pub struct wasm_shared_module_t(Module);

/// What the handles of a store share.
pub struct StoreInner {
    /// A box.
    store: *mut Store,
    /// The innermost call of a host function that is going on.
    pub caller: Cell<Option<*mut Caller<'static>>>,
    foreign: RefCell<Foreign>,
    /// The trap object that a host function gave, on its way out.
    pub trap: RefCell<Option<Object>>,
    /// The instances that the program was given, by their numbers.
    instances: RefCell<BTreeMap<u32, Weak<Body>>>,
}

/// Objects that the guest has as external references, by number less one. No number is given out twice.
enum Foreign {
    Known(Vec<Rc<Body>>),
    /// The store was deleted: those that there were are null, and there will be no others, since they could keep the store.
    Gone,
}

impl StoreInner {
    /// Does something with the store.
    pub fn with<R>(&self, action: impl FnOnce(&mut Store) -> R) -> R {
        match self.caller.get() {
            // SAFETY: noted for the time of the innermost call, and who asks now was called by it. One thread uses a store, and
            // no reference to it outlives `action`.
            Some(caller) => action(unsafe { (*caller).store() }),
            // SAFETY: a box that lives as long as this; no guest runs.
            None => action(unsafe { &mut *self.store }),
        }
    }

    /// A number for an object, by which the guest may hold it; the same object has the same number. None once the store is
    /// deleted.
    pub fn intern(&self, object: &Object) -> Option<u32> {
        let Foreign::Known(foreign) = &mut *self.foreign.borrow_mut() else { return None };
        let known = foreign.iter().position(|body| Rc::ptr_eq(body, &object.0));
        let place = known.unwrap_or_else(|| {
            foreign.push(object.0.clone());
            foreign.len() - 1
        });
        u32::try_from(place + 1).ok()
    }

    /// A handle for a new instance.
    pub fn new_instance(self: &Rc<Self>, number: u32) -> Object {
        let object = Object::new(Thing::Instance(number), Some(self.clone()));
        self.instances.borrow_mut().insert(number, Rc::downgrade(&object.0));
        object
    }

    /// A handle for an instance that the program was given once: one that is the same as those it still has.
    pub fn instance(self: &Rc<Self>, number: u32) -> Option<Object> {
        let known = self.instances.borrow().get(&number)?.upgrade();
        Some(known.map_or_else(|| self.new_instance(number), Object))
    }

    pub fn interned(&self, number: u32) -> Option<Object> {
        let place = (number as usize).checked_sub(1)?;
        let Foreign::Known(foreign) = &*self.foreign.borrow() else { return None };
        foreign.get(place).map(|body| Object(body.clone()))
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        // SAFETY: made by `wasm_store_new`, and nobody has it any more.
        drop(unsafe { Box::from_raw(self.store) });
    }
}

macro_rules! deletions {
    ($($ty:ty: $delete:ident;)*) => {$(
        /// Deletes it.
        ///
        /// # Safety
        /// The pointer must be null or owned.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $delete(object: *mut $ty) {
            // SAFETY: as the caller promises.
            drop(unsafe { owned(object) });
        }
    )*};
}

deletions! {
    wasm_config_t: wasm_config_delete;
    wasm_engine_t: wasm_engine_delete;
    wasm_shared_module_t: wasm_shared_module_delete;
}

/// A configuration.
#[unsafe(no_mangle)]
pub extern "C" fn wasm_config_new() -> *mut wasm_config_t {
    boxed(wasm_config_t(()))
}

/// An engine.
#[unsafe(no_mangle)]
pub extern "C" fn wasm_engine_new() -> *mut wasm_engine_t {
    boxed(wasm_engine_t(Engine::default()))
}

/// An engine with a configuration, which it takes over.
///
/// # Safety
/// The pointer must be null or owned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_engine_new_with_config(config: *mut wasm_config_t) -> *mut wasm_engine_t {
    // SAFETY: as the caller promises.
    drop(unsafe { owned(config) });
    wasm_engine_new()
}

/// A store; null without an engine, or if there is no address space for it.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_store_new(engine: *const wasm_engine_t) -> *mut wasm_store_t {
    // SAFETY: as the caller promises.
    let Some(engine) = (unsafe { engine.as_ref() }) else { return null_mut() };
    let config = Config { pool: engine.0.pool().clone(), ..Config::default() };
    let Ok(store) = Store::new(config) else { return null_mut() };
    let store = Box::into_raw(store);
    boxed(wasm_store_t(Rc::new(StoreInner {
        store,
        caller: Cell::default(),
        foreign: RefCell::new(Foreign::Known(Vec::new())),
        trap: RefCell::default(),
        instances: RefCell::default(),
    })))
}

/// Deletes a store. What belongs to it lives on until its handles are deleted, except that external references become null, and
/// that no new ones are taken.
///
/// # Safety
/// The pointer must be null or owned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_store_delete(store: *mut wasm_store_t) {
    // SAFETY: as the caller promises.
    if let Some(store) = unsafe { owned(store) } {
        // Objects of the store among them would keep it for ever. Their finalizers may come back here.
        let foreign = store.0.foreign.replace(Foreign::Gone);
        drop(foreign);
    }
}

/// A binary module in a vector of bytes.
///
/// # Safety
/// The pointer must be null or a vector that stays while the bytes are used.
unsafe fn binary<'a>(bytes: *const Vector<u8>) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    let bytes = unsafe { bytes.as_ref()?.as_slice() };
    bytes.starts_with(b"\0asm").then_some(bytes)
}

/// Compiles a binary module; null if it is none, or not one that vwasm compiles.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_new(store: *mut wasm_store_t, bytes: *const Vector<u8>) -> *mut Object {
    // SAFETY: as the caller promises.
    let (Some(_), Some(bytes)) = (unsafe { (store.as_ref(), binary(bytes)) }) else { return null_mut() };
    let module = Module::new(&Engine::default(), bytes);
    module.map_or(null_mut(), |module| boxed(Object::new(Thing::Module(module), None)))
}

/// Whether bytes are a valid binary module.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_validate(_: *mut wasm_store_t, bytes: *const Vector<u8>) -> bool {
    // SAFETY: as the caller promises.
    let Some(bytes) = (unsafe { binary(bytes) }) else { return false };
    wasmparser::Validator::new_with_features(vwasm::module::features()).validate_all(bytes).is_ok()
}

/// A module's object, if the pointer is one.
///
/// # Safety
/// The pointer must be null or alive.
pub unsafe fn module<'a>(object: *const Object) -> Option<&'a Module> {
    // SAFETY: as the caller promises.
    match unsafe { &object.as_ref()?.0.thing } {
        Thing::Module(module) => Some(module),
        _ => None,
    }
}

/// Type of an export.
fn exported(manifest: &m::Manifest, export: &m::Export) -> Option<ExternType> {
    let imports = || manifest.imports.iter().map(|import| &import.kind);
    let index = export.index as usize;
    Some(match export.kind {
        ExportKind::Function => ExternType::function(manifest.function_type(export.index)?),
        ExportKind::Global => {
            let imported = imports().filter_map(|kind| if let Described::Global(ty) = kind { Some(ty) } else { None });
            ExternType::global(imported.chain(manifest.globals.iter().map(|global| &global.ty)).nth(index)?)
        }
        ExportKind::Table => {
            let imported = imports().filter_map(|kind| if let Described::Table(ty) = kind { Some(ty) } else { None });
            ExternType::table(imported.chain(&manifest.tables).nth(index)?)
        }
        ExportKind::Memory => {
            let imported = imports().filter_map(|kind| if let Described::Memory(ty) = kind { Some(ty) } else { None });
            ExternType::memory(imported.chain(&manifest.memories).nth(index)?)
        }
    })
}

/// The types of what a module imports.
///
/// # Safety
/// The pointers must be null, or alive and room for a vector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_imports(object: *const Object, out: *mut Vector<*mut ImportType>) {
    // SAFETY: as the caller promises.
    let Some(manifest) = (unsafe { module(object) }).map(Module::manifest) else { return unsafe { empty(out) } };
    let imports = manifest.imports.iter();
    let types = imports.map(|import| {
        let ty = ExternType::of(manifest, &import.kind);
        boxed(ImportType::new(&import.module, &import.name, ty))
    });
    let types = Vector::from(types.collect());
    // SAFETY: as the caller promises.
    unsafe { give(out, types) };
}

/// The types of what a module exports.
///
/// # Safety
/// The pointers must be null, or alive and room for a vector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_exports(object: *const Object, out: *mut Vector<*mut ExportType>) {
    // SAFETY: as the caller promises.
    let Some(manifest) = (unsafe { module(object) }).map(Module::manifest) else { return unsafe { empty(out) } };
    let types = manifest.exports.iter().filter_map(|export| {
        let ty = exported(manifest, export)?;
        Some(boxed(ExportType::new(&export.name, ty)))
    });
    let types = Vector::from(types.collect());
    // SAFETY: as the caller promises.
    unsafe { give(out, types) };
}

/// # Safety
/// `out` must be null or room for a vector.
unsafe fn empty<T: crate::vector::Element>(out: *mut Vector<T>) {
    // SAFETY: as the caller promises.
    unsafe { give(out, Vector::none()) };
}

/// Hands a vector over, or deletes it if there is no room for it.
///
/// # Safety
/// `out` must be null or room for a vector; the vector must own its elements.
pub unsafe fn give<T: crate::vector::Element>(out: *mut Vector<T>, mut vector: Vector<T>) {
    // SAFETY: as the caller promises.
    unsafe {
        if out.is_null() {
            vector.discard();
        } else {
            out.write(vector);
        }
    }
}

/// The compiled module as bytes.
///
/// # Safety
/// The pointers must be null, or alive and room for a vector.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_serialize(object: *const Object, out: *mut Vector<u8>) {
    // SAFETY: as the caller promises.
    unsafe {
        let bytes = module(object).map_or(Vec::new(), Module::serialize);
        give(out, Vector::from(bytes));
    }
}

/// Loads what `wasm_module_serialize` gave; null if it is not that. The bytes need not be trusted: a copy of them is checked.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_deserialize(store: *mut wasm_store_t, bytes: *const Vector<u8>) -> *mut Object {
    // SAFETY: as the caller promises.
    let (Some(_), Some(bytes)) = (unsafe { (store.as_ref(), bytes.as_ref()) }) else { return null_mut() };
    // SAFETY: as the caller promises.
    let module = Module::deserialize(&Engine::default(), unsafe { bytes.as_slice() });
    module.map_or(null_mut(), |module| boxed(Object::new(Thing::Module(module), None)))
}

/// The module for other threads.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_share(object: *const Object) -> *mut wasm_shared_module_t {
    // SAFETY: as the caller promises.
    unsafe { module(object) }.map_or(null_mut(), |module| boxed(wasm_shared_module_t(module.clone())))
}

/// A shared module for this thread; null without a store.
///
/// # Safety
/// The pointers must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_module_obtain(store: *mut wasm_store_t, shared: *const wasm_shared_module_t) -> *mut Object {
    // SAFETY: as the caller promises.
    let (Some(_), Some(shared)) = (unsafe { (store.as_ref(), shared.as_ref()) }) else { return null_mut() };
    boxed(Object::new(Thing::Module(shared.0.clone()), None))
}
