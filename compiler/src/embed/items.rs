//! What instances export and import: functions, memories, tables, globals. All are handles: numbers that belong to one store.

use super::values::{Val, Value, Values, call, function_type};
use super::{AsStore, Caller, Error, Result};
use std::marker::PhantomData;
use std::rc::Rc;
use vwasm_runtime::manifest::{FunctionType, GlobalType, Limits, TableType};
use vwasm_runtime::store::{self, Extern as Inner};
use vwasm_runtime::trap::Trap;

fn check(expected: u64, found: u64) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Link("a handle of another store".to_string())) }
}

fn gone(what: &str) -> Error {
    Error::Link(format!("no such {what}"))
}

/// Something that can be exported and imported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extern {
    Func(Func),
    Table(Table),
    Memory(Memory),
    Global(AnyGlobal),
}

impl Extern {
    pub(super) fn of(store: u64, inner: Inner) -> Extern {
        match inner {
            Inner::Function(reference) => Extern::Func(Func { store, reference }),
            Inner::Table(index) => Extern::Table(Table { store, index }),
            Inner::Memory(index) => Extern::Memory(Memory { store, index }),
            Inner::Global(index) => Extern::Global(AnyGlobal { store, index }),
        }
    }

    /// The store it belongs to, and what it is there.
    pub(super) fn parts(self) -> (u64, Inner) {
        match self {
            Extern::Func(func) => (func.store, Inner::Function(func.reference)),
            Extern::Table(table) => (table.store, Inner::Table(table.index)),
            Extern::Memory(memory) => (memory.store, Inner::Memory(memory.index)),
            Extern::Global(global) => (global.store, Inner::Global(global.index)),
        }
    }
}

impl From<Func> for Extern {
    fn from(func: Func) -> Extern {
        Extern::Func(func)
    }
}

impl<P, R> From<TypedFunc<P, R>> for Extern {
    fn from(func: TypedFunc<P, R>) -> Extern {
        Extern::Func(func.func)
    }
}

impl From<Table> for Extern {
    fn from(table: Table) -> Extern {
        Extern::Table(table)
    }
}

impl From<Memory> for Extern {
    fn from(memory: Memory) -> Extern {
        Extern::Memory(memory)
    }
}

impl From<AnyGlobal> for Extern {
    fn from(global: AnyGlobal) -> Extern {
        Extern::Global(global)
    }
}

impl<T> From<Global<T>> for Extern {
    fn from(global: Global<T>) -> Extern {
        Extern::Global(global.any)
    }
}

// -- functions --

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Func {
    store: u64,
    reference: u32,
}

impl Func {
    pub(super) fn of(store: u64, reference: u32) -> Func {
        Func { store, reference }
    }

    pub(super) fn reference_in(self, id: u64) -> Result<u32> {
        check(self.store, id)?;
        Ok(self.reference)
    }

    /// A host function whose type is known at run time only. It may be entered again while it runs.
    ///
    /// ```
    /// use vwasm::embed::{Engine, Func, Linker, Module, Store, Val};
    /// use vwasm_runtime::manifest::{FunctionType, ValueType::I32};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::default();
    /// let mut store = Store::new(&engine)?;
    /// let ty = FunctionType { params: vec![I32, I32], results: vec![I32] };
    /// let sum = Func::new(&mut store, ty, |_, values| {
    ///     let [Val::I32(a), Val::I32(b)] = values else { unreachable!() };
    ///     Ok(vec![Val::I32(a + b)])
    /// })?;
    /// assert_eq!(sum.call(&mut store, &[Val::I32(40), Val::I32(2)])?, [Val::I32(42)]);
    /// assert!(sum.call(&mut store, &[Val::I64(1)]).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(
        store: &mut impl AsStore,
        ty: FunctionType,
        function: impl Fn(&mut Caller<'_>, &[Val]) -> std::result::Result<Vec<Val>, Trap> + 'static,
    ) -> Result<Func> {
        let (inner, id) = store.parts_mut();
        let own = ty.clone();
        let host = move |inner: &mut store::Caller, args: &[u64], results: &mut [u64]| {
            let args: Vec<Val> = args.iter().zip(&own.params).map(|(&bits, &ty)| Val::from_bits(bits, ty, id)).collect();
            let values = function(&mut Caller::new(inner, id), &args)?;
            if values.len() != own.results.len() {
                return Err(Trap::host("a host function gave another number of results than its type has"));
            }
            for ((result, value), ty) in results.iter_mut().zip(values).zip(&own.results) {
                *result = value.bits(*ty, id).map_err(|error| Trap::host(&error.to_string()))?;
            }
            Ok(())
        };
        let made = inner.shared_host_function(&ty, Rc::new(host));
        let reference = made.ok_or_else(|| Error::Resources("too many functions in one store".to_string()))?;
        Ok(Func { store: id, reference })
    }

    pub fn ty(&self, store: &impl AsStore) -> Result<FunctionType> {
        let (inner, id) = store.parts();
        check(self.store, id)?;
        inner.function_type(self.reference).cloned().ok_or_else(|| gone("function"))
    }

    /// The same with its type checked once, if it has this type.
    pub fn typed<P: Values, R: Values>(&self, store: &impl AsStore) -> Result<TypedFunc<P, R>> {
        if self.ty(store)? != function_type::<P, R>() {
            return Err(Error::Link("no function of this type".to_string()));
        }
        Ok(TypedFunc { func: *self, types: PhantomData })
    }

    /// Calls it.
    pub fn call(&self, store: &mut impl AsStore, args: &[Val]) -> Result<Vec<Val>> {
        let ty = self.ty(store)?;
        if args.len() != ty.params.len() {
            return Err(Error::Link(format!("{} arguments where {} are wanted", args.len(), ty.params.len())));
        }
        let (inner, id) = store.parts_mut();
        let bits = args.iter().zip(&ty.params).map(|(value, ty)| value.bits(*ty, id)).collect::<Result<Vec<u64>>>()?;
        let mut results = vec![0; ty.results.len()];
        inner.invoke(self.reference, &bits, &mut results)?;
        Ok(results.into_iter().zip(ty.results).map(|(bits, ty)| Val::from_bits(bits, ty, id)).collect())
    }
}

/// A function whose type was checked.
#[derive(Debug)]
pub struct TypedFunc<P, R> {
    func: Func,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for TypedFunc<P, R> {}

impl<P: Values, R: Values> TypedFunc<P, R> {
    pub fn call(&self, store: &mut impl AsStore, params: P) -> Result<R> {
        check(self.func.store, store.parts().1)?;
        Ok(self.invoke(store, params)?)
    }

    pub(super) fn invoke(&self, store: &mut impl AsStore, params: P) -> std::result::Result<R, Trap> {
        let (inner, id) = store.parts_mut();
        if self.func.store != id {
            return Err(Trap::host("a handle of another store"));
        }
        call(params, |args, results| inner.invoke(self.func.reference, args, results))
    }

    pub fn func(&self) -> Func {
        self.func
    }
}

// -- memories --

/// A linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    store: u64,
    index: u32,
}

impl Memory {
    /// A memory of the host's own, in pages of 64 KiB.
    pub fn new(store: &mut impl AsStore, pages: u64, max: Option<u64>) -> Result<Memory> {
        let (inner, id) = store.parts_mut();
        match inner.host_memory(Limits { min: pages, max }) {
            Ok(Inner::Memory(index)) => Ok(Memory { store: id, index }),
            _ => Err(Error::Resources(format!("no memory of {pages} pages can be had"))),
        }
    }

    /// Its bytes now.
    pub fn data<'a>(&self, store: &'a impl AsStore) -> Result<&'a [u8]> {
        let (inner, id) = store.parts();
        check(self.store, id)?;
        inner.memory(self.index).ok_or_else(|| gone("memory"))
    }

    pub fn data_mut<'a>(&self, store: &'a mut impl AsStore) -> Result<&'a mut [u8]> {
        let (inner, id) = store.parts_mut();
        check(self.store, id)?;
        inner.memory_mut(self.index).ok_or_else(|| gone("memory"))
    }

    /// Some of its bytes.
    pub fn read<'a>(&self, store: &'a impl AsStore, start: usize, length: usize) -> Result<&'a [u8]> {
        let end = start.checked_add(length);
        let found = self.data(store)?.get(start..end.unwrap_or(usize::MAX));
        found.ok_or_else(|| Error::Link(format!("bytes {start} + {length} are not in the memory")))
    }

    /// Replaces some of its bytes.
    pub fn write(&self, store: &mut impl AsStore, start: usize, bytes: &[u8]) -> Result<()> {
        let end = start.checked_add(bytes.len());
        let found = self.data_mut(store)?.get_mut(start..end.unwrap_or(usize::MAX));
        let found = found.ok_or_else(|| Error::Link(format!("bytes {start} + {} are not in the memory", bytes.len())))?;
        found.copy_from_slice(bytes);
        Ok(())
    }

    /// Its size in pages.
    pub fn size(&self, store: &impl AsStore) -> Result<u64> {
        Ok(self.data(store)?.len() as u64 >> 16)
    }

    /// Grows it; gives the pages before.
    pub fn grow(&self, store: &mut impl AsStore, pages: u64) -> Result<u64> {
        let (inner, id) = store.parts_mut();
        check(self.store, id)?;
        let grown = inner.grow_memory(self.index, pages);
        grown.ok_or_else(|| Error::Resources(format!("the memory cannot grow by {pages} pages")))
    }
}

// -- tables --

/// A table of references.
///
/// ```
/// use vwasm::embed::{Engine, Extern, Linker, Module, Store, Val};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, br#"(module
///     (table (export "t") 1 10 funcref) (elem (i32.const 0) $f)
///     (func $f (result i32) (i32.const 7)))"#)?;
/// let mut store = Store::new(&engine)?;
/// let instance = Linker::new().instantiate(&mut store, &module)?;
/// let Extern::Table(table) = instance.export(&store, "t")? else { unreachable!() };
/// let Val::FuncRef(Some(f)) = table.get(&store, 0)? else { unreachable!() };
/// assert_eq!(f.call(&mut store, &[])?, [Val::I32(7)]);
/// assert_eq!(table.grow(&mut store, 2, Val::FuncRef(Some(f)))?, 1);
/// table.set(&mut store, 0, Val::FuncRef(None))?;
/// assert_eq!((table.get(&store, 0)?, table.get(&store, 2)?), (Val::FuncRef(None), Val::FuncRef(Some(f))));
/// assert!(table.get(&store, 3).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    store: u64,
    index: u32,
}

impl Table {
    /// A table of the host's own, full of nulls.
    pub fn new(store: &mut impl AsStore, ty: &TableType) -> Result<Table> {
        let (inner, id) = store.parts_mut();
        match inner.host_table(ty) {
            Ok(Inner::Table(index)) => Ok(Table { store: id, index }),
            _ => Err(Error::Resources(format!("no table of {} elements can be had", ty.limits.min))),
        }
    }

    /// Its type, with the current size as minimum.
    pub fn ty(&self, store: &impl AsStore) -> Result<TableType> {
        let (inner, id) = store.parts();
        check(self.store, id)?;
        inner.table_type(self.index).ok_or_else(|| gone("table"))
    }

    pub fn size(&self, store: &impl AsStore) -> Result<u32> {
        Ok(self.ty(store)?.limits.min as u32)
    }

    pub fn get(&self, store: &impl AsStore, index: u32) -> Result<Val> {
        let ty = self.ty(store)?;
        let (inner, id) = store.parts();
        let found = inner.table_element(self.index, index);
        let found = found.ok_or_else(|| Error::Link(format!("the table has no element {index}")))?;
        Ok(Val::from_bits(found.into(), ty.element, id))
    }

    pub fn set(&self, store: &mut impl AsStore, index: u32, value: Val) -> Result<()> {
        let ty = self.ty(store)?;
        let (inner, id) = store.parts_mut();
        let reference = value.bits(ty.element, id)? as u32;
        let set = inner.set_table_element(self.index, index, reference);
        set.ok_or_else(|| Error::Link(format!("the table has no element {index}")))
    }

    /// Grows it by elements of a value; gives the size before.
    pub fn grow(&self, store: &mut impl AsStore, delta: u32, value: Val) -> Result<u32> {
        let ty = self.ty(store)?;
        let (inner, id) = store.parts_mut();
        let reference = value.bits(ty.element, id)? as u32;
        let grown = inner.grow_table(self.index, delta, reference);
        grown.ok_or_else(|| Error::Resources(format!("the table cannot grow by {delta} elements")))
    }
}

// -- globals --

/// A global whose type is known at run time only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnyGlobal {
    store: u64,
    index: u32,
}

impl AnyGlobal {
    /// A global of the host's own.
    pub fn new(store: &mut impl AsStore, value: Val, mutable: bool) -> Result<AnyGlobal> {
        let (inner, id) = store.parts_mut();
        let bits = value.bits(value.ty(), id)?;
        match inner.host_global(GlobalType { value: value.ty(), mutable }, bits) {
            Inner::Global(index) => Ok(AnyGlobal { store: id, index }),
            _ => Err(gone("global")),
        }
    }

    pub fn ty(&self, store: &impl AsStore) -> Result<GlobalType> {
        let (inner, id) = store.parts();
        check(self.store, id)?;
        Ok(inner.global_value(self.index).ok_or_else(|| gone("global"))?.0)
    }

    pub fn get(&self, store: &impl AsStore) -> Result<Val> {
        let (inner, id) = store.parts();
        check(self.store, id)?;
        let (ty, bits) = inner.global_value(self.index).ok_or_else(|| gone("global"))?;
        Ok(Val::from_bits(bits, ty.value, id))
    }

    /// Sets it, if it is mutable.
    pub fn set(&self, store: &mut impl AsStore, value: Val) -> Result<()> {
        let ty = self.ty(store)?;
        let (inner, id) = store.parts_mut();
        let set = inner.set_global(self.index, value.bits(ty.value, id)?);
        set.ok_or_else(|| Error::Link("the global is not mutable".to_string()))
    }

    /// The same with its type checked once, if it has this type.
    pub fn typed<T: Value>(&self, store: &impl AsStore) -> Result<Global<T>> {
        if self.ty(store)?.value != T::TYPE {
            return Err(Error::Link("no global of this type".to_string()));
        }
        Ok(Global { any: *self, ty: PhantomData })
    }
}

/// A global whose type was checked.
#[derive(Clone, Copy, Debug)]
pub struct Global<T> {
    any: AnyGlobal,
    ty: PhantomData<T>,
}

impl<T: Value> Global<T> {
    pub fn get(&self, store: &impl AsStore) -> Result<T> {
        let (inner, id) = store.parts();
        check(self.any.store, id)?;
        Ok(T::from_bits(inner.global_value(self.any.index).ok_or_else(|| gone("global"))?.1))
    }

    /// Sets it, if it is mutable.
    pub fn set(&self, store: &mut impl AsStore, value: T) -> Result<()> {
        let (inner, id) = store.parts_mut();
        check(self.any.store, id)?;
        let set = inner.set_global(self.any.index, value.to_bits());
        set.ok_or_else(|| Error::Link("the global is not mutable".to_string()))
    }
}
