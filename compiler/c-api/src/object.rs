//! What all references have in common: `wasm_ref_t` and everything that may stand for one.
//!
//! Functions, globals, tables, memories, instances, modules, traps and foreign objects are one kind of object here, so a
//! conversion between a reference and what it refers to is the same pointer, or null where the kind is another. Copies refer to
//! the same thing, and share its host information.

use crate::instance::Frame;
use crate::module::StoreInner;
use crate::types::Kind;
use std::cell::{Cell, OnceCell};
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::rc::Rc;
use vwasm::embed::Module;
use vwasm_runtime::store::Extern;

pub type Finalizer = Option<unsafe extern "C" fn(*mut c_void)>;

/// What an object is.
pub enum Thing {
    Extern(Extern),
    Instance(u32),
    Module(Module),
    /// Its frames are known once it has gone through the guest.
    Trap {
        message: String,
        frames: OnceCell<Vec<Frame>>,
    },
    Foreign,
}

/// What copies of an object share.
pub struct Body {
    pub thing: Thing,
    /// Where it belongs; modules, traps and foreign objects belong nowhere.
    pub store: Option<Rc<StoreInner>>,
    info: Cell<(*mut c_void, Finalizer)>,
}

impl Drop for Body {
    fn drop(&mut self) {
        finalize(self.info.get());
    }
}

fn finalize((info, finalizer): (*mut c_void, Finalizer)) {
    if let Some(finalizer) = finalizer {
        // SAFETY: given by the program together with the pointer it is for.
        unsafe { finalizer(info) };
    }
}

/// `wasm_ref_t`, `wasm_func_t`, … .
#[derive(Clone)]
pub struct Object(pub Rc<Body>);

impl Object {
    pub fn new(thing: Thing, store: Option<Rc<StoreInner>>) -> Object {
        Object(Rc::new(Body { thing, store, info: Cell::new((null_mut(), None)) }))
    }

    /// Kind of an external object.
    pub fn kind(&self) -> Option<Kind> {
        match self.0.thing {
            Thing::Extern(Extern::Function(_)) => Some(Kind::Function),
            Thing::Extern(Extern::Global(_)) => Some(Kind::Global),
            Thing::Extern(Extern::Table(_)) => Some(Kind::Table),
            Thing::Extern(Extern::Memory(_)) => Some(Kind::Memory),
            _ => None,
        }
    }

    /// An external object and its store.
    pub fn external(&self) -> Option<(Extern, &Rc<StoreInner>)> {
        match (&self.0.thing, &self.0.store) {
            (Thing::Extern(external), Some(store)) => Some((*external, store)),
            _ => None,
        }
    }

    /// Whether both are the same thing.
    fn same(&self, other: &Object) -> bool {
        match (self.external(), other.external()) {
            (Some((a, first)), Some((b, second))) => a == b && Rc::ptr_eq(first, second),
            _ => Rc::ptr_eq(&self.0, &other.0),
        }
    }
}

macro_rules! references {
    ($($delete:ident $copy:ident $same:ident $get:ident $set:ident $set_with:ident;)*) => {$(
        /// Deletes this handle; what it refers to may live on.
        ///
        /// # Safety
        /// The pointer must be null or owned.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $delete(object: *mut Object) {
            // SAFETY: as the caller promises.
            drop(unsafe { crate::types::owned(object) });
        }

        /// Another handle of the same thing, which the caller owns.
        ///
        /// # Safety
        /// The pointer must be null or alive.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $copy(object: *const Object) -> *mut Object {
            // SAFETY: as the caller promises.
            unsafe { object.as_ref() }.map_or(null_mut(), |object| crate::types::boxed(object.clone()))
        }

        /// Whether both handles are of the same thing.
        ///
        /// # Safety
        /// The pointers must be null or alive.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $same(a: *const Object, b: *const Object) -> bool {
            // SAFETY: as the caller promises.
            match unsafe { (a.as_ref(), b.as_ref()) } {
                (Some(a), Some(b)) => a.same(b),
                (a, b) => a.is_none() && b.is_none(),
            }
        }

        /// The host information of the thing; null if there is none.
        ///
        /// # Safety
        /// The pointer must be null or alive.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $get(object: *const Object) -> *mut c_void {
            // SAFETY: as the caller promises.
            unsafe { object.as_ref() }.map_or(null_mut(), |object| object.0.info.get().0)
        }

        /// Sets the host information of the thing.
        ///
        /// # Safety
        /// The pointer must be null or alive.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $set(object: *mut Object, info: *mut c_void) {
            // SAFETY: as the caller promises.
            unsafe { $set_with(object, info, None) };
        }

        /// Sets the host information of the thing, and what is to be called with it when it goes.
        ///
        /// # Safety
        /// The pointer must be null or alive; the function may be called with the information at any time from now on.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $set_with(object: *mut Object, info: *mut c_void, finalizer: Finalizer) {
            // SAFETY: as the caller promises.
            if let Some(object) = unsafe { object.as_ref() } {
                finalize(object.0.info.replace((info, finalizer)));
            }
        }
    )*};
}

references! {
    wasm_ref_delete wasm_ref_copy wasm_ref_same wasm_ref_get_host_info
        wasm_ref_set_host_info wasm_ref_set_host_info_with_finalizer;
    wasm_trap_delete wasm_trap_copy wasm_trap_same wasm_trap_get_host_info
        wasm_trap_set_host_info wasm_trap_set_host_info_with_finalizer;
    wasm_foreign_delete wasm_foreign_copy wasm_foreign_same wasm_foreign_get_host_info
        wasm_foreign_set_host_info wasm_foreign_set_host_info_with_finalizer;
    wasm_module_delete wasm_module_copy wasm_module_same wasm_module_get_host_info
        wasm_module_set_host_info wasm_module_set_host_info_with_finalizer;
    wasm_func_delete wasm_func_copy wasm_func_same wasm_func_get_host_info
        wasm_func_set_host_info wasm_func_set_host_info_with_finalizer;
    wasm_global_delete wasm_global_copy wasm_global_same wasm_global_get_host_info
        wasm_global_set_host_info wasm_global_set_host_info_with_finalizer;
    wasm_table_delete wasm_table_copy wasm_table_same wasm_table_get_host_info
        wasm_table_set_host_info wasm_table_set_host_info_with_finalizer;
    wasm_memory_delete wasm_memory_copy wasm_memory_same wasm_memory_get_host_info
        wasm_memory_set_host_info wasm_memory_set_host_info_with_finalizer;
    wasm_extern_delete wasm_extern_copy wasm_extern_same wasm_extern_get_host_info
        wasm_extern_set_host_info wasm_extern_set_host_info_with_finalizer;
    wasm_instance_delete wasm_instance_copy wasm_instance_same wasm_instance_get_host_info
        wasm_instance_set_host_info wasm_instance_set_host_info_with_finalizer;
}

macro_rules! casts {
    ($($fits:expr => $up:ident $up_const:ident $down:ident $down_const:ident;)*) => {$(
        /// The same handle, seen as the more general kind.
        #[unsafe(no_mangle)]
        pub extern "C" fn $up(object: *mut Object) -> *mut Object {
            object
        }

        /// The same handle, seen as the more general kind.
        #[unsafe(no_mangle)]
        pub extern "C" fn $up_const(object: *const Object) -> *const Object {
            object
        }

        /// The same handle, if it is of this kind; else null.
        ///
        /// # Safety
        /// The pointer must be null or alive.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $down(object: *mut Object) -> *mut Object {
            let fits: fn(&Object) -> bool = $fits;
            // SAFETY: as the caller promises.
            if unsafe { object.as_ref() }.is_some_and(fits) { object } else { null_mut() }
        }

        /// The same handle, if it is of this kind; else null.
        ///
        /// # Safety
        /// The pointer must be null or alive.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $down_const(object: *const Object) -> *const Object {
            let fits: fn(&Object) -> bool = $fits;
            // SAFETY: as the caller promises.
            if unsafe { object.as_ref() }.is_some_and(fits) { object } else { null() }
        }
    )*};
}

casts! {
    |object| matches!(object.0.thing, Thing::Trap { .. }) =>
        wasm_trap_as_ref wasm_trap_as_ref_const wasm_ref_as_trap wasm_ref_as_trap_const;
    |object| matches!(object.0.thing, Thing::Foreign) =>
        wasm_foreign_as_ref wasm_foreign_as_ref_const wasm_ref_as_foreign wasm_ref_as_foreign_const;
    |object| matches!(object.0.thing, Thing::Module(_)) =>
        wasm_module_as_ref wasm_module_as_ref_const wasm_ref_as_module wasm_ref_as_module_const;
    |object| object.kind() == Some(Kind::Function) =>
        wasm_func_as_ref wasm_func_as_ref_const wasm_ref_as_func wasm_ref_as_func_const;
    |object| object.kind() == Some(Kind::Global) =>
        wasm_global_as_ref wasm_global_as_ref_const wasm_ref_as_global wasm_ref_as_global_const;
    |object| object.kind() == Some(Kind::Table) =>
        wasm_table_as_ref wasm_table_as_ref_const wasm_ref_as_table wasm_ref_as_table_const;
    |object| object.kind() == Some(Kind::Memory) =>
        wasm_memory_as_ref wasm_memory_as_ref_const wasm_ref_as_memory wasm_ref_as_memory_const;
    |object| object.kind().is_some() =>
        wasm_extern_as_ref wasm_extern_as_ref_const wasm_ref_as_extern wasm_ref_as_extern_const;
    |object| matches!(object.0.thing, Thing::Instance(_)) =>
        wasm_instance_as_ref wasm_instance_as_ref_const wasm_ref_as_instance wasm_ref_as_instance_const;
    |object| object.kind() == Some(Kind::Function) =>
        wasm_func_as_extern wasm_func_as_extern_const wasm_extern_as_func wasm_extern_as_func_const;
    |object| object.kind() == Some(Kind::Global) =>
        wasm_global_as_extern wasm_global_as_extern_const wasm_extern_as_global wasm_extern_as_global_const;
    |object| object.kind() == Some(Kind::Table) =>
        wasm_table_as_extern wasm_table_as_extern_const wasm_extern_as_table wasm_extern_as_table_const;
    |object| object.kind() == Some(Kind::Memory) =>
        wasm_memory_as_extern wasm_memory_as_extern_const wasm_extern_as_memory wasm_extern_as_memory_const;
}
