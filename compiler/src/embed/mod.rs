//! Embedding: WebAssembly inside a Rust program, with types.
//!
//! Takes modules and host functions; gives typed calls whose traps are `Result`s. An [`Engine`] compiles, a [`Store`] holds
//! instances that may be linked to each other and the stack they run on, a [`Linker`] gives imports by name. Several stores may
//! live in one thread, and each thread may have its own; a store does not leave its thread, modules and engines may. Handles
//! ([`Instance`], [`Func`], [`TypedFunc`], [`Memory`], [`Table`], [`Global`]) are numbers that belong to one store: used with
//! another one they give an error. A host function gets the store back through its [`Caller`], and may do all that its owner may:
//! call, instantiate, grow, trap; a panic in it goes on behind the guest.
//!
//! Signals: the first store installs handlers for `SIGSEGV`, `SIGBUS`, `SIGILL` and `SIGFPE`, the first interrupt handle one for `SIGALRM`;
//! what is not a guest's goes on to the handlers that were there before. A handler of the program's own has to be installed with
//! `SA_ONSTACK`: without it, a signal that arrives while guest code runs is handled on the guest's stack, of which the guest may
//! have left little, and then the process ends. [`handled_on_guest_stack`] names the signals of which this is true. No handler
//! may enter a store.
//!
//! Instances are cheap: what a store leaves behind (address space, stack, tables) is cleared and taken over by the next one of the
//! same engine.
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

mod items;
mod values;

pub use items::{AnyGlobal, Extern, Func, Global, Memory, Table, TypedFunc};
pub use values::{Val, Value, Values};

use crate::artifact;
use crate::compile::{Options, compile};
use crate::error::{CompileError, ErrorKind};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use values::function_type;
use vwasm_runtime::cpu;
use vwasm_runtime::instance::InstantiateError;
pub use vwasm_runtime::interrupt::InterruptHandle;
use vwasm_runtime::manifest::Manifest;
use vwasm_runtime::pool::Pool;
use vwasm_runtime::shown::shown;
pub use vwasm_runtime::signal::handled_on_guest_stack;
use vwasm_runtime::store::{self, Config};
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

/// How modules are compiled, and the address space that its stores pass on to each other. Clones share both.
#[derive(Clone)]
pub struct Engine {
    options: Options,
    pool: Pool,
}

impl Engine {
    /// An engine whose pool keeps the memory of 100 instances.
    pub fn new(options: Options) -> Engine {
        Engine::with_pool(options, 100)
    }

    /// An engine whose pool keeps the memory of at most so many instances ready for the next ones; 0 keeps nothing. What waits
    /// takes at most 300 KiB of real memory for each instance, and 8 GiB of address space.
    pub fn with_pool(options: Options, instances: usize) -> Engine {
        Engine { options, pool: if instances == 0 { Pool::default() } else { Pool::new(instances) } }
    }
}

impl Engine {
    /// The address space that its stores pass on.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new(Options::default())
    }
}

/// A compiled module, ready for any number of instances, in any thread.
#[derive(Clone)]
pub struct Module {
    loaded: Arc<store::Module>,
    /// What the checker is told of the code, for [`Module::serialize`].
    claims: Arc<[u8]>,
}

impl Module {
    /// Compiles a module, binary or text.
    pub fn new(engine: &Engine, bytes: &[u8]) -> Result<Module> {
        let text = |error: wat::Error| CompileError::new(ErrorKind::Malformed, error.to_string());
        let bytes = wat::parse_bytes(bytes).map_err(text)?;
        let compiled = compile(&crate::module::Module::decode(&bytes)?, &engine.options, &|| {})?;
        Module::load(compiled.manifest, &compiled.code, &compiled.data, compiled.claims)
    }

    /// The compiled module as bytes, to be kept and loaded again without compiling.
    pub fn serialize(&self) -> Vec<u8> {
        artifact::write(&self.loaded.manifest, &self.claims, self.loaded.code(), self.loaded.data())
    }

    /// Loads what [`Module::serialize`] gave. The bytes need not be trusted: they are copied, and the sandbox checker judges
    /// the copy as it judges freshly compiled code. Whoever changed them can make it another program, but no program that
    /// leaves its sandbox.
    ///
    /// ```
    /// # use vwasm::embed::{Engine, Module};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::default();
    /// let mut bytes = Module::new(&engine, b"(module (func (export \"f\")))")?.serialize();
    /// let module = Module::deserialize(&engine, &bytes)?;
    /// let last = bytes.len() - 1;
    /// bytes[last] ^= 1;
    /// assert!(Module::deserialize(&engine, &bytes).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn deserialize(_: &Engine, bytes: &[u8]) -> Result<Module> {
        let artifact = artifact::read(bytes)?;
        Module::load(artifact.manifest, &artifact.code, &artifact.data, artifact.claims)
    }

    /// What the module imports and exports, among other things.
    pub fn manifest(&self) -> &Manifest {
        &self.loaded.manifest
    }

    /// The module as the runtime has it, for those who use its stores directly.
    pub fn loaded(&self) -> &Arc<store::Module> {
        &self.loaded
    }

    fn load(manifest: Manifest, code: &[u8], data: &[u8], claims: Vec<u8>) -> Result<Module> {
        let missing = cpu::missing(manifest.features, 0);
        if !missing.is_empty() {
            return Err(CompileError::new(ErrorKind::Unsupported, format!("this code needs a CPU with {missing}")).into());
        }
        let loaded = store::Module::load(manifest, code, data).map_err(|error| refused("code", error))?;
        Ok(Module { loaded: Arc::new(loaded), claims: claims.into() })
    }
}

/// Instances, what they share, and the stack they run on. Nothing in it is freed before it is dropped.
pub struct Store {
    inner: Box<store::Store>,
    id: u64,
}

impl Store {
    /// Gives the store so much fuel, for the code of modules that count it (`Options::fuel`): when it is used up, the call under
    /// way ends with the trap `all fuel consumed`. With none, nothing is counted.
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

    pub fn new(engine: &Engine) -> Result<Store> {
        Store::with_limits(engine, Config::default())
    }

    /// A store whose memories, tables and stack have limits.
    pub fn with_limits(engine: &Engine, limits: Config) -> Result<Store> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let inner =
            store::Store::new(Config { pool: engine.pool.clone(), ..limits }).map_err(|error| refused("store", error))?;
        Ok(Store { inner, id: NEXT.fetch_add(1, Ordering::Relaxed) })
    }
}

// -- the host's side --

/// Who called a host function, and the way back into the store meanwhile: it stands for the store wherever one is wanted.
pub struct Caller<'a> {
    inner: store::Caller<'a>,
    id: u64,
}

impl<'a> Caller<'a> {
    fn new(inner: &'a mut store::Caller, id: u64) -> Caller<'a> {
        Caller { inner: inner.reborrow(), id }
    }
}

impl Caller<'_> {
    /// The calling instance's memory; empty if it has none.
    pub fn memory(&mut self) -> &mut [u8] {
        self.inner.memory()
    }

    /// Calls back into the store, for host functions whose own errors are traps.
    pub fn call<P: Values, R: Values>(&mut self, function: &TypedFunc<P, R>, params: P) -> std::result::Result<R, Trap> {
        function.invoke(self, params)
    }
}

/// A [`Store`], or the [`Caller`] of a host function, which stands for the store it runs in.
pub trait AsStore: sealed::Parts {}

impl AsStore for Store {}
impl AsStore for Caller<'_> {}

mod sealed {
    use vwasm_runtime::store::Store;

    /// The runtime's store and the id that handles know it by; out of reach from outside, where stores could be swapped.
    pub trait Parts {
        fn parts(&self) -> (&Store, u64);
        fn parts_mut(&mut self) -> (&mut Store, u64);
    }
}

impl sealed::Parts for Store {
    fn parts(&self) -> (&store::Store, u64) {
        (&self.inner, self.id)
    }
    fn parts_mut(&mut self) -> (&mut store::Store, u64) {
        (&mut self.inner, self.id)
    }
}

impl sealed::Parts for Caller<'_> {
    fn parts(&self) -> (&store::Store, u64) {
        (self.inner.store_ref(), self.id)
    }
    fn parts_mut(&mut self) -> (&mut store::Store, u64) {
        (self.inner.store(), self.id)
    }
}

/// Imports by module and name.
#[derive(Default)]
pub struct Linker {
    /// With the store that each belongs to.
    known: HashMap<(String, String), (u64, store::Extern)>,
}

impl Linker {
    pub fn new() -> Linker {
        Linker::default()
    }

    /// Provides something that is there already, for modules of its own store.
    pub fn define(&mut self, module: &str, name: &str, what: impl Into<Extern>) {
        self.known.insert((module.to_string(), name.to_string()), what.into().parts());
    }

    /// Provides a host function. While it runs it cannot be entered again (that is a trap): it may change what it holds. For
    /// one that can, see [`Func::new`].
    pub fn func<P: Values + 'static, R: Values + 'static>(
        &mut self,
        store: &mut impl AsStore,
        module: &str,
        name: &str,
        mut function: impl FnMut(&mut Caller<'_>, P) -> std::result::Result<R, Trap> + 'static,
    ) -> Result<()> {
        let (inner, id) = store.parts_mut();
        let host = move |inner: &mut store::Caller, args: &[u64], results: &mut [u64]| {
            function(&mut Caller::new(inner, id), P::read(args))?.write(results);
            Ok(())
        };
        let made = inner.host_function(&function_type::<P, R>(), Box::new(host));
        let made = made.ok_or_else(|| Error::Resources("too many functions in one store".to_string()))?;
        self.define(module, name, Func::of(id, made));
        Ok(())
    }

    /// Provides everything that an instance exports, under a module name.
    pub fn instance(&mut self, store: &impl AsStore, module: &str, instance: Instance) -> Result<()> {
        for (name, what) in instance.exports(store)? {
            self.define(module, &name, what);
        }
        Ok(())
    }

    /// Provides WASI with these arguments and grants to the imports of a module.
    pub fn wasi(&mut self, store: &mut impl AsStore, module: &Module, config: &wasi::Config) -> Result<()> {
        let wasi = Wasi::new(config)
            .map_err(|(granted, error)| Error::Resources(format!("{} cannot be had (errno {error})", shown(&granted))))?;
        let (inner, id) = store.parts_mut();
        for import in &module.loaded.manifest.imports {
            if wasi::type_of(&import.module, &import.name).is_some() {
                let made = Wasi::function(&wasi, inner, &import.module, &import.name);
                let made = made.ok_or_else(|| Error::Resources("too many functions in one store".to_string()))?;
                self.define(&import.module, &import.name, Func::of(id, made));
            }
        }
        Ok(())
    }

    /// Makes an instance and runs its start function.
    pub fn instantiate(&self, store: &mut impl AsStore, module: &Module) -> Result<Instance> {
        let mut imports = Vec::new();
        for import in &module.loaded.manifest.imports {
            let key = (import.module.clone(), import.name.clone());
            let Some((id, what)) = self.known.get(&key) else {
                let (module, name) = (shown(&import.module), shown(&import.name));
                return Err(Error::Link(format!("nothing provides the import {module}.{name}")));
            };
            if *id != store.parts().1 {
                return Err(Error::Link("a handle of another store".to_string()));
            }
            imports.push(*what);
        }
        let (inner, id) = store.parts_mut();
        match inner.instantiate(&module.loaded, &imports) {
            Ok(index) => Ok(Instance { store: id, index }),
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
    fn inner<'a>(&self, store: &'a impl AsStore) -> Result<&'a store::Store> {
        let (inner, id) = store.parts();
        if self.store == id { Ok(inner) } else { Err(Error::Link("a handle of another store".to_string())) }
    }

    /// All exports with their names.
    pub fn exports(&self, store: &impl AsStore) -> Result<Vec<(String, Extern)>> {
        let inner = self.inner(store)?;
        let named = inner.export_names(self.index).into_iter().zip(inner.exports(self.index));
        Ok(named.map(|(name, what)| (name, Extern::of(self.store, what))).collect())
    }

    /// The export of a name.
    pub fn export(&self, store: &impl AsStore, name: &str) -> Result<Extern> {
        let found = self.inner(store)?.export(self.index, name);
        found.map(|what| Extern::of(self.store, what)).ok_or_else(|| Error::Link(format!("no export {}", shown(name))))
    }

    /// An exported function.
    pub fn func(&self, store: &impl AsStore, name: &str) -> Result<Func> {
        match self.export(store, name)? {
            Extern::Func(func) => Ok(func),
            _ => Err(Error::Link(format!("the export {} is no function", shown(name)))),
        }
    }

    /// An exported function, if it has this type.
    pub fn typed_func<P: Values, R: Values>(&self, store: &impl AsStore, name: &str) -> Result<TypedFunc<P, R>> {
        let typed = match self.export(store, name)? {
            Extern::Func(func) => func.typed(store).ok(),
            _ => None,
        };
        typed.ok_or_else(|| Error::Link(format!("the export {} is no function of this type", shown(name))))
    }

    /// The memory exported as `memory`.
    pub fn memory(&self, store: &impl AsStore) -> Result<Memory> {
        match self.export(store, "memory")? {
            Extern::Memory(memory) => Ok(memory),
            _ => Err(Error::Link("the export memory is no memory".to_string())),
        }
    }

    /// An exported table.
    pub fn table(&self, store: &impl AsStore, name: &str) -> Result<Table> {
        match self.export(store, name)? {
            Extern::Table(table) => Ok(table),
            _ => Err(Error::Link(format!("the export {} is no table", shown(name)))),
        }
    }

    /// An exported global, if it has this type.
    pub fn global<T: Value>(&self, store: &impl AsStore, name: &str) -> Result<Global<T>> {
        let typed = match self.export(store, name)? {
            Extern::Global(global) => global.typed(store).ok(),
            _ => None,
        };
        typed.ok_or_else(|| Error::Link(format!("the export {} is no global of this type", shown(name))))
    }
}
