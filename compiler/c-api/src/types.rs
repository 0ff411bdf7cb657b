//! Descriptions: value types, and the types of functions, globals, tables, memories, imports, exports.
//!
//! A function type, and each of the other three, *is* an external type: conversions between them are the same pointer, or null
//! where the kind is another.

use crate::vector::Vector;
use std::ptr::{null, null_mut};
use vwasm_runtime::manifest::{self as m, Limits, ValueType};

pub const EXTERNREF: u8 = 128;
pub const FUNCREF: u8 = 129;

/// `wasm_valkind_t` of a type.
pub fn kind_of(ty: ValueType) -> u8 {
    match ty {
        ValueType::I32 => 0,
        ValueType::I64 => 1,
        ValueType::F32 => 2,
        ValueType::F64 => 3,
        ValueType::V128 | ValueType::ExternRef => EXTERNREF,
        ValueType::FuncRef => FUNCREF,
    }
}

/// The type of a `wasm_valkind_t`.
pub fn type_of(kind: u8) -> Option<ValueType> {
    Some(match kind {
        0 => ValueType::I32,
        1 => ValueType::I64,
        2 => ValueType::F32,
        3 => ValueType::F64,
        EXTERNREF => ValueType::ExternRef,
        FUNCREF => ValueType::FuncRef,
        _ => return None,
    })
}

/// `wasm_valtype_t`.
#[derive(Clone)]
pub struct ValType {
    pub kind: u8,
}

/// `wasm_limits_t`; a maximum of all ones is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct wasm_limits_t {
    pub min: u32,
    pub max: u32,
}

impl wasm_limits_t {
    fn of(limits: &Limits) -> wasm_limits_t {
        let low = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        wasm_limits_t { min: low(limits.min), max: limits.max.map_or(u32::MAX, low) }
    }

    pub fn limits(&self) -> Limits {
        Limits { min: self.min.into(), max: (self.max != u32::MAX).then_some(self.max.into()) }
    }
}

/// Kinds of external things, as `wasm_externkind_t` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Function,
    Global,
    Table,
    Memory,
}

/// `wasm_externtype_t` and what it may be.
pub struct ExternType {
    pub kind: Kind,
    params: Vector<*mut ValType>,
    results: Vector<*mut ValType>,
    /// Of a global's content or a table's elements.
    content: ValType,
    pub mutable: bool,
    pub limits: wasm_limits_t,
}

impl Clone for ExternType {
    fn clone(&self) -> ExternType {
        // SAFETY: the vectors are this type's own.
        let (params, results) = unsafe { (self.params.duplicate(), self.results.duplicate()) };
        let ExternType { kind, mutable, limits, .. } = *self;
        ExternType { kind, params, results, content: self.content.clone(), mutable, limits }
    }
}

impl Drop for ExternType {
    fn drop(&mut self) {
        // SAFETY: the vectors are this type's own.
        unsafe {
            self.params.discard();
            self.results.discard();
        }
    }
}

fn boxes(types: &[ValueType]) -> Vector<*mut ValType> {
    Vector::from(types.iter().map(|ty| Box::into_raw(Box::new(ValType { kind: kind_of(*ty) }))).collect())
}

impl ExternType {
    fn empty(kind: Kind) -> ExternType {
        ExternType {
            kind,
            params: Vector::none(),
            results: Vector::none(),
            content: ValType { kind: 0 },
            mutable: false,
            limits: wasm_limits_t { min: 0, max: u32::MAX },
        }
    }

    pub fn function(ty: &m::FunctionType) -> ExternType {
        let mut new = ExternType::empty(Kind::Function);
        (new.params, new.results) = (boxes(&ty.params), boxes(&ty.results));
        new
    }

    pub fn global(ty: &m::GlobalType) -> ExternType {
        let mut new = ExternType::empty(Kind::Global);
        (new.content.kind, new.mutable) = (kind_of(ty.value), ty.mutable);
        new
    }

    pub fn table(ty: &m::TableType) -> ExternType {
        let mut new = ExternType::empty(Kind::Table);
        (new.content.kind, new.limits) = (kind_of(ty.element), wasm_limits_t::of(&ty.limits));
        new
    }

    pub fn memory(limits: &Limits) -> ExternType {
        let mut new = ExternType::empty(Kind::Memory);
        new.limits = wasm_limits_t::of(limits);
        new
    }

    /// The type of an import or export of a module.
    pub fn of(manifest: &m::Manifest, ty: &m::ExternType) -> ExternType {
        match ty {
            m::ExternType::Function(ty) => {
                manifest.types.get(*ty as usize).map_or_else(|| ExternType::empty(Kind::Function), ExternType::function)
            }
            m::ExternType::Global(ty) => ExternType::global(ty),
            m::ExternType::Table(ty) => ExternType::table(ty),
            m::ExternType::Memory(limits) => ExternType::memory(limits),
        }
    }

    /// The value type of a global's content or a table's elements.
    pub fn value(&self) -> Option<ValueType> {
        type_of(self.content.kind)
    }

    /// As the runtime has it, if this is a function type of known value types.
    pub fn function_type(&self) -> Option<m::FunctionType> {
        let types = |vector: &Vector<*mut ValType>| {
            // SAFETY: the vector is this type's own; its elements are null or value types.
            let slice = unsafe { vector.as_slice() };
            slice.iter().map(|ty| type_of(unsafe { ty.as_ref() }?.kind)).collect::<Option<Vec<_>>>()
        };
        if self.kind != Kind::Function {
            return None;
        }
        Some(m::FunctionType { params: types(&self.params)?, results: types(&self.results)? })
    }
}

/// `wasm_importtype_t`.
pub struct ImportType {
    module: Vector<u8>,
    name: Vector<u8>,
    ty: ExternType,
}

/// `wasm_exporttype_t`.
pub struct ExportType {
    name: Vector<u8>,
    ty: ExternType,
}

impl ImportType {
    pub fn new(module: &str, name: &str, ty: ExternType) -> ImportType {
        let [module, name] = [module, name].map(|name| Vector::from(name.as_bytes().to_vec()));
        ImportType { module, name, ty }
    }
}

impl ExportType {
    pub fn new(name: &str, ty: ExternType) -> ExportType {
        ExportType { name: Vector::from(name.as_bytes().to_vec()), ty }
    }
}

impl Clone for ImportType {
    fn clone(&self) -> ImportType {
        // SAFETY: the names are this type's own.
        let (module, name) = unsafe { (self.module.duplicate(), self.name.duplicate()) };
        ImportType { module, name, ty: self.ty.clone() }
    }
}

impl Clone for ExportType {
    fn clone(&self) -> ExportType {
        // SAFETY: the name is this type's own.
        ExportType { name: unsafe { self.name.duplicate() }, ty: self.ty.clone() }
    }
}

impl Drop for ImportType {
    fn drop(&mut self) {
        // SAFETY: the names are this type's own.
        unsafe {
            self.module.discard();
            self.name.discard();
        }
    }
}

impl Drop for ExportType {
    fn drop(&mut self) {
        // SAFETY: the name is this type's own.
        unsafe { self.name.discard() };
    }
}

pub fn boxed<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Takes over what a pointer owns.
///
/// # Safety
/// The pointer must be null or a box of this library's that the caller owns.
pub unsafe fn owned<T>(pointer: *mut T) -> Option<T> {
    // SAFETY: as the caller promises.
    (!pointer.is_null()).then(|| *unsafe { Box::from_raw(pointer) })
}

macro_rules! types {
    ($($ty:ty: $delete:ident $copy:ident;)*) => {$(
        /// Deletes it.
        ///
        /// # Safety
        /// The pointer must be null or owned.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $delete(ty: *mut $ty) {
            // SAFETY: as the caller promises.
            drop(unsafe { owned(ty) });
        }

        /// A copy, which the caller owns.
        ///
        /// # Safety
        /// The pointer must be null or alive.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $copy(ty: *const $ty) -> *mut $ty {
            // SAFETY: as the caller promises.
            unsafe { ty.as_ref() }.map_or(null_mut(), |ty| boxed(ty.clone()))
        }
    )*};
}

types! {
    ValType: wasm_valtype_delete wasm_valtype_copy;
    ExternType: wasm_functype_delete wasm_functype_copy;
    ExternType: wasm_globaltype_delete wasm_globaltype_copy;
    ExternType: wasm_tabletype_delete wasm_tabletype_copy;
    ExternType: wasm_memorytype_delete wasm_memorytype_copy;
    ExternType: wasm_externtype_delete wasm_externtype_copy;
    ImportType: wasm_importtype_delete wasm_importtype_copy;
    ExportType: wasm_exporttype_delete wasm_exporttype_copy;
}

/// A value type; null if there is none of this kind.
#[unsafe(no_mangle)]
pub extern "C" fn wasm_valtype_new(kind: u8) -> *mut ValType {
    type_of(kind).map_or(null_mut(), |_| boxed(ValType { kind }))
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident($ty:ty) -> $answer:ty, $otherwise:expr, $get:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// The pointer must be null or alive. A pointer in the answer lives as long.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(of: *const $ty) -> $answer {
            let get: fn(&$ty) -> $answer = $get;
            // SAFETY: as the caller promises.
            unsafe { of.as_ref() }.map_or($otherwise, get)
        }
    )*};
}

questions! {
    /// The kind of a value type.
    wasm_valtype_kind(ValType) -> u8, 0, |ty| ty.kind;
    /// The parameters of a function type.
    wasm_functype_params(ExternType) -> *const Vector<*mut ValType>, null(), |ty| &ty.params;
    /// The results of a function type.
    wasm_functype_results(ExternType) -> *const Vector<*mut ValType>, null(), |ty| &ty.results;
    /// The type of a global's content.
    wasm_globaltype_content(ExternType) -> *const ValType, null(), |ty| &ty.content;
    /// Whether a global can be set: 1, or 0.
    wasm_globaltype_mutability(ExternType) -> u8, 0, |ty| u8::from(ty.mutable);
    /// The type of a table's elements.
    wasm_tabletype_element(ExternType) -> *const ValType, null(), |ty| &ty.content;
    /// The limits of a table.
    wasm_tabletype_limits(ExternType) -> *const wasm_limits_t, null(), |ty| &ty.limits;
    /// The limits of a memory, in pages.
    wasm_memorytype_limits(ExternType) -> *const wasm_limits_t, null(), |ty| &ty.limits;
    /// The kind of an external type.
    wasm_externtype_kind(ExternType) -> u8, 0, |ty| ty.kind as u8;
    /// The module that an import comes from.
    wasm_importtype_module(ImportType) -> *const Vector<u8>, null(), |ty| &ty.module;
    /// The name of an import.
    wasm_importtype_name(ImportType) -> *const Vector<u8>, null(), |ty| &ty.name;
    /// The type of an import.
    wasm_importtype_type(ImportType) -> *const ExternType, null(), |ty| &ty.ty;
    /// The name of an export.
    wasm_exporttype_name(ExportType) -> *const Vector<u8>, null(), |ty| &ty.name;
    /// The type of an export.
    wasm_exporttype_type(ExportType) -> *const ExternType, null(), |ty| &ty.ty;
}

/// A function type of parameters and results, which it takes over.
///
/// # Safety
/// Both must be null or vectors that own their elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_functype_new(
    params: *mut Vector<*mut ValType>,
    results: *mut Vector<*mut ValType>,
) -> *mut ExternType {
    // SAFETY: as the caller promises.
    let [params, results] = [params, results].map(|list| unsafe { list.as_mut() }.map(|list| unsafe { list.take() }));
    let mut new = ExternType::empty(Kind::Function);
    (new.params, new.results) = (Vector::from(params.unwrap_or_default()), Vector::from(results.unwrap_or_default()));
    boxed(new)
}

/// A global type; takes the content's type over. Null without one.
///
/// # Safety
/// The pointer must be null or owned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_globaltype_new(content: *mut ValType, mutability: u8) -> *mut ExternType {
    // SAFETY: as the caller promises.
    let Some(content) = (unsafe { owned(content) }) else { return null_mut() };
    let mut new = ExternType::empty(Kind::Global);
    (new.content, new.mutable) = (content, mutability != 0);
    boxed(new)
}

/// A table type; takes the elements' type over. Null without one or without limits.
///
/// # Safety
/// The pointers must be null, or owned and alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_tabletype_new(element: *mut ValType, limits: *const wasm_limits_t) -> *mut ExternType {
    // SAFETY: as the caller promises.
    let (Some(element), Some(limits)) = (unsafe { (owned(element), limits.as_ref()) }) else { return null_mut() };
    let mut new = ExternType::empty(Kind::Table);
    (new.content, new.limits) = (element, *limits);
    boxed(new)
}

/// A memory type; null without limits.
///
/// # Safety
/// The pointer must be null or alive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_memorytype_new(limits: *const wasm_limits_t) -> *mut ExternType {
    // SAFETY: as the caller promises.
    let Some(limits) = (unsafe { limits.as_ref() }) else { return null_mut() };
    let mut new = ExternType::empty(Kind::Memory);
    new.limits = *limits;
    boxed(new)
}

/// An import type of names and a type, which it takes over; null without them.
///
/// # Safety
/// The pointers must be null or owned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_importtype_new(
    module: *mut Vector<u8>,
    name: *mut Vector<u8>,
    ty: *mut ExternType,
) -> *mut ImportType {
    // SAFETY: as the caller promises.
    unsafe {
        let (Some(module), Some(name), Some(ty)) = (module.as_mut(), name.as_mut(), owned(ty)) else { return null_mut() };
        boxed(ImportType { module: Vector::from(module.take()), name: Vector::from(name.take()), ty })
    }
}

/// An export type of a name and a type, which it takes over; null without them.
///
/// # Safety
/// The pointers must be null or owned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_exporttype_new(name: *mut Vector<u8>, ty: *mut ExternType) -> *mut ExportType {
    // SAFETY: as the caller promises.
    unsafe {
        let (Some(name), Some(ty)) = (name.as_mut(), owned(ty)) else { return null_mut() };
        boxed(ExportType { name: Vector::from(name.take()), ty })
    }
}

macro_rules! casts {
    ($($kind:ident: $up:ident $up_const:ident $down:ident $down_const:ident;)*) => {$(
        /// The same, as an external type.
        #[unsafe(no_mangle)]
        pub extern "C" fn $up(ty: *mut ExternType) -> *mut ExternType {
            ty
        }

        /// The same, as an external type.
        #[unsafe(no_mangle)]
        pub extern "C" fn $up_const(ty: *const ExternType) -> *const ExternType {
            ty
        }

        /// The same, if it is of this kind; else null.
        ///
        /// # Safety
        /// The pointer must be null or alive.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $down(ty: *mut ExternType) -> *mut ExternType {
            // SAFETY: as the caller promises.
            let fits = unsafe { ty.as_ref() }.is_some_and(|ty| ty.kind == Kind::$kind);
            if fits { ty } else { null_mut() }
        }

        /// The same, if it is of this kind; else null.
        ///
        /// # Safety
        /// The pointer must be null or alive.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $down_const(ty: *const ExternType) -> *const ExternType {
            // SAFETY: as the caller promises.
            let fits = unsafe { ty.as_ref() }.is_some_and(|ty| ty.kind == Kind::$kind);
            if fits { ty } else { null() }
        }
    )*};
}

casts! {
    Function: wasm_functype_as_externtype wasm_functype_as_externtype_const
        wasm_externtype_as_functype wasm_externtype_as_functype_const;
    Global: wasm_globaltype_as_externtype wasm_globaltype_as_externtype_const
        wasm_externtype_as_globaltype wasm_externtype_as_globaltype_const;
    Table: wasm_tabletype_as_externtype wasm_tabletype_as_externtype_const
        wasm_externtype_as_tabletype wasm_externtype_as_tabletype_const;
    Memory: wasm_memorytype_as_externtype wasm_memorytype_as_externtype_const
        wasm_externtype_as_memorytype wasm_externtype_as_memorytype_const;
}
