//! Embedding: WebAssembly inside a Rust program, with types.
//!
//! Takes modules and host functions; gives typed calls whose traps are `Result`s. An [`Engine`] compiles, a [`Store`] holds
//! instances that may be linked to each other and the stack they run on, a [`Linker`] gives imports by name. Several stores may
//! live in one thread, and each thread may have its own; a store does not leave its thread. Handles ([`Instance`], [`TypedFunc`],
//! [`Memory`], [`Global`]) are numbers that belong to one store: used with another one they give an error.
//!
//! ```
//! use vwasm::embed::{Engine, Linker, Module, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::default();
//! let module = Module::new(&engine, br#"(module
//!     (import "host" "twice" (func $twice (param i32) (result i32)))
//!     (memory (export "memory") 1)
//!     (func (export "run") (param i32 i32) (result i32)
//!         (i32.store (i32.const 8) (i32.const 42))
//!         (i32.add (call $twice (local.get 0)) (local.get 1)))
//!     (func (export "fail") unreachable))"#)?;
//!
//! let mut store = Store::new(&engine)?;
//! let mut linker = Linker::new();
//! linker.func(&mut store, "host", "twice", |_, n: i32| Ok(n * 2))?;
//! let instance = linker.instantiate(&mut store, &module)?;
//!
//! let run = instance.typed_func::<(i32, i32), i32>(&store, "run")?;
//! assert_eq!(run.call(&mut store, (20, 2))?, 42);
//! assert_eq!(instance.memory(&store)?.read(&store, 8, 4)?, [42, 0, 0, 0]);
//!
//! let fail = instance.typed_func::<(), ()>(&store, "fail")?;
//! assert_eq!(fail.call(&mut store, ()).unwrap_err().to_string(), "wasm trap: unreachable");
//! # Ok(())
//! # }
//! ```

use crate::compile::{Options, compile};
use crate::error::CompileError;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use vwasm_runtime::instance::InstantiateError;
pub use vwasm_runtime::interrupt::InterruptHandle;
use vwasm_runtime::manifest::{FunctionType, ValueType};
use vwasm_runtime::shown::shown;
use vwasm_runtime::store::{self, Config, Extern};
use vwasm_runtime::trap::Trap;
use vwasm_runtime::wasi::{self, Wasi};

/// What can go wrong.
#[derive(Debug)]
pub enum Error {
    Compile(CompileError),
    /// An import that nothing provides or that has another type, an export that is not there or has another type, a handle of
    /// another store.
    Link(String),
    /// The system refused memory, or a limit of the store is reached.
    Resources(String),
    Trap(Trap),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Compile(error) => error.fmt(f),
            Error::Link(message) | Error::Resources(message) => f.write_str(message),
            Error::Trap(trap) => write!(f, "wasm trap: {}", trap.message()),
        }
    }
}

impl std::error::Error for Error {}

impl From<CompileError> for Error {
    fn from(error: CompileError) -> Error {
        Error::Compile(error)
    }
}

impl From<Trap> for Error {
    fn from(trap: Trap) -> Error {
        Error::Trap(trap)
    }
}

type Result<T> = std::result::Result<T, Error>;

fn refused(what: &str, error: i32) -> Error {
    Error::Resources(format!("{what}: the system refused memory (error {error})"))
}

/// How modules are compiled.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: Options,
}

impl Engine {
    pub fn new(options: Options) -> Engine {
        Engine { options }
    }
}

/// A compiled module, ready for any number of instances.
#[derive(Clone)]
pub struct Module(Rc<store::Module>);

impl Module {
    /// Compiles a module, binary or text.
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Module> {
        let text = |error: wat::Error| CompileError::new(crate::error::ErrorKind::Malformed, error.to_string());
        let bytes = wat::parse_bytes(bytes).map_err(text)?;
        let compiled = compile(&crate::module::Module::decode(&bytes)?, &engine.options, &|| {})?;
        let loaded = store::Module::load(compiled.manifest, &compiled.code, &compiled.data);
        Ok(Module(Rc::new(loaded.map_err(|error| refused("code", error))?)))
    }
}

/// Instances, what they share, and the stack they run on. Nothing in it is freed before it is dropped.
pub struct Store {
    inner: Box<store::Store>,
    id: u64,
}

impl Store {
    pub fn new(engine: &Engine) -> Result<Store> {
        Store::with_limits(engine, Config::default())
    }

    /// A store whose memories, tables and stack have limits.
    pub fn with_limits(_: &Engine, limits: Config) -> Result<Store> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let inner = store::Store::new(limits).map_err(|error| refused("store", error))?;
        Ok(Store { inner, id: NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    /// Gives the store so much fuel, for the code of modules that count it (`Options::fuel`): when it is used up, the call under way
    /// ends with the trap `all fuel consumed`. With none, nothing is counted.
    pub fn set_fuel(&mut self, fuel: Option<u64>) {
        self.inner.set_fuel(fuel);
    }

    /// What is left of it.
    pub fn fuel(&self) -> Option<u64> {
        self.inner.fuel()
    }

    /// What other threads can end this store's calls with. It costs guest code nothing.
    pub fn interrupt_handle(&mut self) -> InterruptHandle {
        self.inner.interrupt_handle()
    }

    fn check(&self, id: u64) -> Result<()> {
        if self.id == id { Ok(()) } else { Err(Error::Link("a handle of another store".to_string())) }
    }
}

// -- values --

/// A Rust type that stands for a WebAssembly one.
pub trait Value: Copy {
    const TYPE: ValueType;
    fn to_bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
}

macro_rules! value {
    ($($rust:ty, $wasm:ident, $to:expr, $from:expr;)*) => {$(
        impl Value for $rust {
            const TYPE: ValueType = ValueType::$wasm;
            fn to_bits(self) -> u64 { $to(self) }
            fn from_bits(bits: u64) -> Self { $from(bits) }
        }
    )*};
}

value! {
    i32, I32, |v| u64::from(v as u32), |bits| bits as i32;
    u32, I32, u64::from, |bits| bits as u32;
    i64, I64, |v| v as u64, |bits| bits as i64;
    u64, I64, |v| v, |bits| bits;
    f32, F32, |v: f32| u64::from(v.to_bits()), |bits| f32::from_bits(bits as u32);
    f64, F64, |v: f64| v.to_bits(), f64::from_bits;
}

/// Parameters or results: nothing, one value, or a tuple.
pub trait Values: Sized {
    const TYPES: &'static [ValueType];
    fn write(self, bits: &mut [u64]);
    fn read(bits: &[u64]) -> Self;
}

impl<T: Value> Values for T {
    const TYPES: &'static [ValueType] = &[T::TYPE];
    fn write(self, bits: &mut [u64]) {
        bits[0] = self.to_bits();
    }
    fn read(bits: &[u64]) -> T {
        T::from_bits(bits[0])
    }
}

macro_rules! tuple {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Value),*> Values for ($($name,)*) {
            const TYPES: &'static [ValueType] = &[$($name::TYPE),*];
            fn write(self, _bits: &mut [u64]) { $(_bits[$place] = self.$place.to_bits();)* }
            fn read(_bits: &[u64]) -> Self { ($($name::from_bits(_bits[$place]),)*) }
        }
    };
}

tuple!();
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

fn function_type<P: Values, R: Values>() -> FunctionType {
    FunctionType { params: P::TYPES.to_vec(), results: R::TYPES.to_vec() }
}

/// Calls through anything that takes bit patterns.
fn call<P: Values, R: Values>(
    params: P,
    invoke: impl FnOnce(&[u64], &mut [u64]) -> std::result::Result<(), Trap>,
) -> std::result::Result<R, Trap> {
    let (mut args, mut results) = (vec![0; P::TYPES.len()], vec![0; R::TYPES.len()]);
    params.write(&mut args);
    invoke(&args, &mut results)?;
    Ok(R::read(&results))
}

// -- the host's side --

/// Who called a host function.
pub struct Caller<'a> {
    inner: &'a mut store::Caller,
    id: u64,
}

impl Caller<'_> {
    /// The calling instance's memory; empty if it has none.
    pub fn memory(&mut self) -> &mut [u8] {
        self.inner.memory()
    }

    /// Calls back into the store.
    pub fn call<P: Values, R: Values>(&mut self, function: &TypedFunc<P, R>, params: P) -> std::result::Result<R, Trap> {
        if function.store != self.id {
            return Err(Trap::host("a handle of another store"));
        }
        call(params, |args, results| self.inner.invoke(function.reference, args, results))
    }
}

/// Imports by module and name.
#[derive(Default)]
pub struct Linker {
    /// With the store that each belongs to.
    known: HashMap<(String, String), (u64, Extern)>,
}

impl Linker {
    pub fn new() -> Linker {
        Linker::default()
    }

    fn define(&mut self, store: &Store, module: &str, name: &str, what: Extern) {
        self.known.insert((module.to_string(), name.to_string()), (store.id, what));
    }

    /// Provides a host function.
    pub fn func<P: Values + 'static, R: Values + 'static>(
        &mut self,
        store: &mut Store,
        module: &str,
        name: &str,
        mut function: impl FnMut(&mut Caller<'_>, P) -> std::result::Result<R, Trap> + 'static,
    ) -> Result<()> {
        let id = store.id;
        let host = move |inner: &mut store::Caller, args: &[u64], results: &mut [u64]| {
            function(&mut Caller { inner, id }, P::read(args))?.write(results);
            Ok(())
        };
        let made = store.inner.host_function(&function_type::<P, R>(), Box::new(host));
        let made = made.ok_or_else(|| Error::Resources("too many functions in one store".to_string()))?;
        self.define(store, module, name, Extern::Function(made));
        Ok(())
    }

    /// Provides everything that an instance exports, under a module name.
    pub fn instance(&mut self, store: &Store, module: &str, instance: Instance) -> Result<()> {
        store.check(instance.store)?;
        for name in store.inner.export_names(instance.index) {
            if let Some(what) = store.inner.export(instance.index, &name) {
                self.define(store, module, &name, what);
            }
        }
        Ok(())
    }

    /// Provides WASI with these arguments and grants to the imports of a module.
    pub fn wasi(&mut self, store: &mut Store, module: &Module, config: &wasi::Config) -> Result<()> {
        let wasi = Wasi::new(config)
            .map_err(|(granted, error)| Error::Resources(format!("{granted} cannot be had (errno {error})")))?;
        for import in &module.0.manifest.imports {
            if wasi::type_of(&import.module, &import.name).is_some() {
                let made = Wasi::function(&wasi, &mut store.inner, &import.module, &import.name);
                let made = made.ok_or_else(|| Error::Resources("too many functions in one store".to_string()))?;
                self.define(store, &import.module, &import.name, Extern::Function(made));
            }
        }
        Ok(())
    }

    /// Makes an instance and runs its start function.
    pub fn instantiate(&self, store: &mut Store, module: &Module) -> Result<Instance> {
        let mut imports = Vec::new();
        for import in &module.0.manifest.imports {
            let key = (import.module.clone(), import.name.clone());
            let Some((id, what)) = self.known.get(&key) else {
                let (module, name) = (shown(&import.module), shown(&import.name));
                return Err(Error::Link(format!("nothing provides the import {module}.{name}")));
            };
            store.check(*id)?;
            imports.push(*what);
        }
        match store.inner.instantiate(&module.0, &imports) {
            Ok(index) => Ok(Instance { store: store.id, index }),
            Err(InstantiateError::Link(message)) => Err(Error::Link(message)),
            Err(InstantiateError::Resources(message)) => Err(Error::Resources(message)),
            Err(InstantiateError::Trap(trap)) => Err(Error::Trap(trap)),
        }
    }
}

// -- the guest's side --

/// An instance of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    store: u64,
    index: u32,
}

impl Instance {
    fn export(&self, store: &Store, name: &str) -> Result<Extern> {
        store.check(self.store)?;
        let found = store.inner.export(self.index, name);
        found.ok_or_else(|| Error::Link(format!("no export {}", shown(name))))
    }

    /// An exported function, if it has this type.
    pub fn typed_func<P: Values, R: Values>(&self, store: &Store, name: &str) -> Result<TypedFunc<P, R>> {
        match self.export(store, name)? {
            Extern::Function(reference) if store.inner.function_type(reference) == Some(&function_type::<P, R>()) => {
                Ok(TypedFunc { store: self.store, reference, types: PhantomData })
            }
            _ => Err(Error::Link(format!("the export {} is no function of this type", shown(name)))),
        }
    }

    /// The memory exported as `memory`.
    pub fn memory(&self, store: &Store) -> Result<Memory> {
        match self.export(store, "memory")? {
            Extern::Memory(index) => Ok(Memory { store: self.store, index }),
            _ => Err(Error::Link("the export memory is no memory".to_string())),
        }
    }

    /// An exported global, if it has this type.
    pub fn global<T: Value>(&self, store: &Store, name: &str) -> Result<Global<T>> {
        match self.export(store, name)? {
            Extern::Global(index) if store.inner.global_value(index).is_some_and(|(ty, _)| ty.value == T::TYPE) => {
                Ok(Global { store: self.store, index, ty: PhantomData })
            }
            _ => Err(Error::Link(format!("the export {} is no global of this type", shown(name)))),
        }
    }
}

/// A function whose type was checked.
#[derive(Clone, Copy, Debug)]
pub struct TypedFunc<P, R> {
    store: u64,
    reference: u32,
    types: PhantomData<fn(P) -> R>,
}

impl<P: Values, R: Values> TypedFunc<P, R> {
    pub fn call(&self, store: &mut Store, params: P) -> Result<R> {
        store.check(self.store)?;
        Ok(call(params, |args, results| store.inner.invoke(self.reference, args, results))?)
    }
}

/// A linear memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    store: u64,
    index: u32,
}

impl Memory {
    /// Its bytes now.
    pub fn data<'a>(&self, store: &'a Store) -> Result<&'a [u8]> {
        store.check(self.store)?;
        store.inner.memory(self.index).ok_or_else(|| Error::Link("no such memory".to_string()))
    }

    pub fn data_mut<'a>(&self, store: &'a mut Store) -> Result<&'a mut [u8]> {
        store.check(self.store)?;
        store.inner.memory_mut(self.index).ok_or_else(|| Error::Link("no such memory".to_string()))
    }

    /// Some of its bytes.
    pub fn read<'a>(&self, store: &'a Store, start: usize, length: usize) -> Result<&'a [u8]> {
        let end = start.checked_add(length);
        let found = self.data(store)?.get(start..end.unwrap_or(usize::MAX));
        found.ok_or_else(|| Error::Link(format!("bytes {start} + {length} are not in the memory")))
    }
}

/// A global whose type was checked.
#[derive(Clone, Copy, Debug)]
pub struct Global<T> {
    store: u64,
    index: u32,
    ty: PhantomData<T>,
}

impl<T: Value> Global<T> {
    pub fn get(&self, store: &Store) -> Result<T> {
        store.check(self.store)?;
        let found = store.inner.global_value(self.index).ok_or_else(|| Error::Link("no such global".to_string()))?;
        Ok(T::from_bits(found.1))
    }

    /// Sets it, if it is mutable.
    pub fn set(&self, store: &mut Store, value: T) -> Result<()> {
        store.check(self.store)?;
        let set = store.inner.set_global(self.index, value.to_bits());
        set.ok_or_else(|| Error::Link("the global is not mutable".to_string()))
    }
}
