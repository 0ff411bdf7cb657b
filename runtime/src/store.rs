//! A store: everything that instances linked to each other share, and the boundary of the sandbox.
//!
//! Functions, tables, memories, globals and instances live in the store until it is dropped; nothing is freed before, because
//! a failed instance's functions may still be reachable through a shared table. References are indices into the store. Then
//! its address space goes to the pool it came from, if it has one.

use crate::enter::{CallFrame, Context};
use crate::layout::*;
use crate::manifest::*;
use crate::memory::*;
use crate::pool::Pool;
use crate::sys;
use crate::trap::{self, Trap, TrapKind};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Something that can be imported and exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extern {
    /// A function reference.
    Function(u32),
    Table(u32),
    Memory(u32),
    Global(u32),
}

/// Who called a host function. It lives for that one call, and no two of them can be exchanged: each has a lifetime of its own.
pub struct Caller<'a> {
    store: &'a mut Store,
    /// None if the host called it.
    instance: Option<u32>,
}

impl Caller<'_> {
    /// The store, which waits while a host function runs. Guest code below waits for this very store, so nothing may be put in
    /// its place; its type has no size, so that nothing can be:
    ///
    /// ```compile_fail
    /// # use vwasm_runtime::store::{Caller, Store};
    /// fn exchange(caller: &mut Caller<'_>, other: &mut Store) {
    ///     std::mem::swap(caller.store(), other);
    /// }
    /// ```
    ///
    /// What can be done instead:
    ///
    /// ```
    /// # use vwasm_runtime::store::{Caller, Store};
    /// fn exchange(caller: &mut Caller<'_>, mut other: Box<Store>, mut another: Box<Store>) {
    ///     std::mem::swap(&mut other, &mut another);
    ///     caller.store().set_fuel(Some(1));
    /// }
    /// ```
    ///
    /// Neither can two callers be exchanged, or one be kept:
    ///
    /// ```compile_fail
    /// # use vwasm_runtime::store::Caller;
    /// fn exchange<'a, 'b>(one: &mut Caller<'a>, another: &mut Caller<'b>) {
    ///     std::mem::swap(one, another);
    /// }
    /// ```
    pub fn store(&mut self) -> &mut Store {
        self.store
    }

    pub fn store_ref(&self) -> &Store {
        self.store
    }

    /// The same, for a shorter time.
    pub fn reborrow(&mut self) -> Caller<'_> {
        Caller { store: self.store, instance: self.instance }
    }

    /// The calling instance's memory; empty if it has none.
    pub fn memory(&mut self) -> &mut [u8] {
        let Some(instance) = self.instance else { return &mut [] };
        let store = self.store();
        let memory = store.instances.get(instance as usize).and_then(|instance| instance.memory);
        memory.and_then(|memory| store.memory_mut(memory)).unwrap_or(&mut [])
    }

    /// Calls a function of the same store, guest or host.
    pub fn invoke(&mut self, reference: u32, args: &[u64], results: &mut [u64]) -> Result<(), Trap> {
        self.store().invoke(reference, args, results)
    }
}

pub type HostFunction = Box<dyn FnMut(&mut Caller, &[u64], &mut [u64]) -> Result<(), Trap>>;

/// One that may be entered again while it runs.
pub type SharedHostFunction = Rc<dyn Fn(&mut Caller, &[u64], &mut [u64]) -> Result<(), Trap>>;

pub(crate) enum Host {
    /// Taken out while it runs.
    Once(Option<HostFunction>),
    Shared(SharedHostFunction),
}

/// Compiled code in memory.
pub struct Module {
    pub manifest: Manifest,
    pub code: *const u8,
    pub code_length: usize,
    pub data: *const u8,
    pub data_length: usize,
    /// Owns the code when it was loaded in-process.
    _reservation: Option<Reservation>,
    /// The defined functions that need a record, because a reference to them may exist; in order.
    pub(crate) referable: Vec<u32>,
    /// Their records, but for the instance; with the module's number of the type in the place of the signature.
    pub(crate) records: Vec<FunctionRecord>,
    pub(crate) types: Vec<Arc<FunctionType>>,
    #[cfg(not(freestanding))]
    pub(crate) prepared: crate::pool::Prepared,
}

/// The defined functions, by ordinal, that are exported, start the module, or stand in a constant expression or `ref.func`.
/// All others are only called by their own module, directly.
fn referable(manifest: &Manifest) -> Vec<u32> {
    let imported = manifest.shape.function_imports;
    let constant = |expr: &ConstExpr| match expr {
        ConstExpr::RefFunc(index) => Some(*index),
        _ => None,
    };
    let exports = manifest.exports.iter().filter(|export| export.kind == ExportKind::Function).map(|export| export.index);
    let items = manifest.elements.iter().flat_map(|element| &element.items).filter_map(constant);
    let globals = manifest.globals.iter().filter_map(|global| constant(&global.init));
    let all = exports.chain(items).chain(globals).chain(manifest.references.iter().copied()).chain(manifest.start);
    let mut needed = alloc::vec![false; manifest.functions.len()];
    for index in all {
        if let Some(place) = index.checked_sub(imported).and_then(|ordinal| needed.get_mut(ordinal as usize)) {
            *place = true;
        }
    }
    (0..).zip(needed).filter(|(_, needed)| *needed).map(|(ordinal, _)| ordinal).collect()
}

// SAFETY: code and data are not written after the module is made, and stay mapped while it lives.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    /// Copies code and data into fresh memory and makes the code executable; no writable alias stays.
    pub fn load(manifest: Manifest, code: &[u8], data: &[u8]) -> Result<Module, i32> {
        let data_offset = code.len().next_multiple_of(4096);
        let length = (data_offset + data.len()).next_multiple_of(4096).max(4096);
        let reservation = Reservation::new(length, sys::PROT_READ | sys::PROT_WRITE)?;
        let start = reservation.start;
        // SAFETY: both copies lie in the fresh reservation; then the code's pages become executable, the rest read-only.
        unsafe {
            core::ptr::copy_nonoverlapping(code.as_ptr(), start, code.len());
            core::ptr::copy_nonoverlapping(data.as_ptr(), start.add(data_offset), data.len());
            if data_offset > 0 {
                sys::protect(start, data_offset, sys::PROT_READ | sys::PROT_EXEC)?;
            }
            if length > data_offset {
                sys::protect(start.add(data_offset), length - data_offset, sys::PROT_READ)?;
            }
        }
        let data_start = start.wrapping_add(data_offset);
        Ok(Module::new(manifest, (start, code.len()), (data_start, data.len()), Some(reservation)))
    }

    fn new(manifest: Manifest, code: (*const u8, usize), data: (*const u8, usize), owner: Option<Reservation>) -> Module {
        let referable = referable(&manifest);
        let record = |&ordinal: &u32| {
            let function = manifest.functions.get(ordinal as usize)?;
            let far = manifest.far_thunks.get(function.type_index as usize)?;
            let entry = |offset: u32| code.0 as u64 + u64::from(offset);
            let (code, far) = (entry(function.code), entry(*far));
            Some(FunctionRecord { code, far, instance: 0, signature: function.type_index, host: 0 })
        };
        Module {
            records: referable.iter().filter_map(record).collect(),
            referable,
            types: manifest.types.iter().map(|ty| Arc::new(ty.clone())).collect(),
            manifest,
            code: code.0,
            code_length: code.1,
            data: data.0,
            data_length: data.1,
            _reservation: owner,
            #[cfg(not(freestanding))]
            prepared: crate::pool::Prepared::default(),
        }
    }

    /// Code and data that are mapped already.
    ///
    /// # Safety
    /// Both ranges must stay mapped, the code executable, for as long as the module lives.
    pub unsafe fn from_mapped(
        manifest: Manifest,
        code: *const u8,
        code_length: usize,
        data: *const u8,
        data_length: usize,
    ) -> Module {
        Module::new(manifest, (code, code_length), (data, data_length), None)
    }

    pub fn data(&self) -> &[u8] {
        // SAFETY: the data is mapped as long as the module lives.
        unsafe { core::slice::from_raw_parts(self.data, self.data_length) }
    }

    pub fn code(&self) -> &[u8] {
        // SAFETY: the code is mapped, readable, as long as the module lives.
        unsafe { core::slice::from_raw_parts(self.code, self.code_length) }
    }

    pub fn contains(&self, pc: usize) -> bool {
        pc.wrapping_sub(self.code as usize) < self.code_length
    }
}

pub(crate) struct Table {
    pub slots: Slots,
    pub element: ValueType,
    pub max: Option<u64>,
    /// r15 of the only instance that can reach it.
    pub private_to: Option<u64>,
}

/// A memory is the region of the instance (or host object) that owns it.
pub(crate) struct Memory {
    pub region: u32,
    pub max: Option<u64>,
}

pub(crate) struct Global {
    pub cell: *mut u64,
    pub ty: GlobalType,
}

pub(crate) struct Instance {
    pub module: Arc<Module>,
    pub region: u32,
    pub memory: Option<u32>,
    pub tables: Vec<u32>,
    pub functions: References,
    pub globals: Vec<u32>,
    pub layout: InstanceLayout,
    pub dropped_data: Vec<bool>,
    pub dropped_elements: Vec<bool>,
}

/// References to an instance's functions.
pub(crate) struct References {
    pub imported: Vec<u32>,
    /// That of the first of the module's `referable` functions; the others follow.
    pub first: u32,
}

impl References {
    /// The reference to a function of the module, if it may have one.
    pub fn get(&self, module: &Module, index: u32) -> Option<u32> {
        match index.checked_sub(self.imported.len() as u32) {
            None => self.imported.get(index as usize).copied(),
            Some(ordinal) => Some(self.first + module.referable.binary_search(&ordinal).ok()? as u32),
        }
    }
}

/// Limits of a store's instances, and where their memory comes from.
pub struct Config {
    pub stack_size: u64,
    /// Of each memory.
    pub max_memory_pages: u64,
    /// Of each table.
    pub max_table_elements: u64,
    pub pool: Pool,
}

/// A guest stack is never smaller.
const STACK_MINIMUM: u64 = 4096;

#[cfg(not(freestanding))]
impl Default for Config {
    fn default() -> Config {
        Config {
            stack_size: 8 << 20,
            max_memory_pages: MEMORY_MAX_PAGES,
            max_table_elements: TABLE_LIMIT,
            pool: Pool::default(),
        }
    }
}

impl Config {
    /// The limits that a program was granted.
    #[cfg(not(freestanding))]
    pub fn new(grants: &Grants) -> Config {
        let [max_memory_pages, max_table_elements] = Config::limits(grants);
        Config { stack_size: grants.stack_size, max_memory_pages, max_table_elements, pool: Pool::default() }
    }

    /// The same, and address space for the program's instance.
    #[cfg(freestanding)]
    pub fn new(manifest: &Manifest) -> Result<Config, i32> {
        let stack_size = manifest.grants.stack_size;
        let [max_memory_pages, max_table_elements] = Config::limits(&manifest.grants);
        let pool = Pool::new(manifest, Config::stack(stack_size), max_memory_pages, max_table_elements)?;
        Ok(Config { stack_size, max_memory_pages, max_table_elements, pool })
    }

    fn limits(grants: &Grants) -> [u64; 2] {
        let granted = |limit: Option<u32>, most| limit.map_or(most, u64::from);
        [granted(grants.max_memory_pages, MEMORY_MAX_PAGES), granted(grants.max_table_elements, TABLE_LIMIT)]
    }

    fn stack(size: u64) -> usize {
        size.clamp(STACK_MINIMUM, 1 << 40) as usize
    }
}

/// The store. Guest code that runs keeps a pointer to it, so no store may be put in the place of another: `Tail` is a slice, and
/// what has no size can be neither moved nor exchanged by safe code.
pub type Store = StoreWith<[()]>;

pub struct StoreWith<Tail: ?Sized> {
    pub(crate) context: Box<Context>,
    pub(crate) stack: Reservation,
    pub(crate) functions: Functions,
    /// By id less one, and their ids: a module may have a million.
    signatures: Vec<Arc<FunctionType>>,
    signature_ids: BTreeMap<Arc<FunctionType>, u32>,
    pub(crate) tables: Vec<Table>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) regions: Vec<Region>,
    pub(crate) globals: Vec<Global>,
    pub(crate) host_globals: Vec<Box<u64>>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) modules: Vec<Arc<Module>>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) config: Config,
    pub(crate) pending: Option<Trap>,
    /// What is left, if it is counted.
    pub(crate) fuel: Option<i64>,
    #[cfg(not(freestanding))]
    interrupt: Option<crate::interrupt::InterruptHandle>,
    panics: Panics,
    depth: u32,
    _tail: Tail,
}

/// Panics of host functions go around the guest, which cannot be unwound: they end it as a trap does, and go on behind it.
#[cfg(not(freestanding))]
#[derive(Default)]
struct Panics(Option<Box<dyn core::any::Any + Send>>);

#[cfg(not(freestanding))]
impl Panics {
    fn catch<R>(run: impl FnOnce() -> R) -> Result<R, Panics> {
        std::panic::catch_unwind(core::panic::AssertUnwindSafe(run)).map_err(|panic| Panics(Some(panic)))
    }

    fn resume(&mut self) {
        if let Some(panic) = self.0.take() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// In an executable a panic is the end.
#[cfg(freestanding)]
#[derive(Default)]
struct Panics;

#[cfg(freestanding)]
impl Panics {
    fn catch<R>(run: impl FnOnce() -> R) -> Result<R, Panics> {
        Ok(run())
    }

    fn resume(&mut self) {}
}

/// Host and guest may call each other this deep.
const MAX_DEPTH: u32 = 200;

impl Store {
    pub fn new(config: Config) -> Result<Box<Store>, i32> {
        crate::signal::install();
        let stack = config.pool.stack(Config::stack(config.stack_size))?;
        let mut store: Box<Store> = Box::new(StoreWith {
            context: Box::new(Context::default()),
            stack,
            functions: config.pool.functions()?,
            signatures: Vec::new(),
            signature_ids: BTreeMap::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            regions: Vec::new(),
            globals: Vec::new(),
            host_globals: Vec::new(),
            instances: Vec::new(),
            modules: Vec::new(),
            hosts: Vec::new(),
            config,
            pending: None,
            fuel: None,
            #[cfg(not(freestanding))]
            interrupt: None,
            panics: Panics::default(),
            depth: 0,
            _tail: [(); 0],
        });
        store.context.stack_low = store.stack.start as u64;
        store.context.stack_high = (store.stack.start as usize + store.stack.length) as u64;
        store.context.guest_rsp = store.context.stack_high - 64;
        Ok(store)
    }

    /// The store-wide id of a signature.
    pub(crate) fn intern(&mut self, ty: &Arc<FunctionType>) -> u32 {
        if let Some(&id) = self.signature_ids.get(ty) {
            return id;
        }
        self.signatures.push(ty.clone());
        let id = self.signatures.len() as u32;
        self.signature_ids.insert(ty.clone(), id);
        id
    }

    /// How many functions, tables, memories, globals and regions there are.
    pub(crate) fn extent(&self) -> [usize; 5] {
        let functions = self.functions.count as usize;
        [functions, self.tables.len(), self.memories.len(), self.globals.len(), self.regions.len()]
    }

    /// Gives up what was made since `extent` said so; nothing may refer to it.
    pub(crate) fn shrink(&mut self, to: [usize; 5]) {
        let [functions, tables, memories, globals, regions] = to;
        self.functions.shrink(functions as u32);
        self.tables.truncate(tables);
        self.memories.truncate(memories);
        self.globals.truncate(globals);
        self.regions.truncate(regions);
    }

    pub fn function_type(&self, reference: u32) -> Option<&FunctionType> {
        let signature = self.functions.get(reference)?.signature;
        Some(&**self.signatures.get((signature as usize).checked_sub(1)?)?)
    }

    // -- host objects --

    pub fn host_function(&mut self, ty: &FunctionType, function: HostFunction) -> Option<u32> {
        self.add_host(ty, Host::Once(Some(function)))
    }

    pub fn shared_host_function(&mut self, ty: &FunctionType, function: SharedHostFunction) -> Option<u32> {
        self.add_host(ty, Host::Shared(function))
    }

    fn add_host(&mut self, ty: &FunctionType, function: Host) -> Option<u32> {
        let signature = self.intern(&Arc::new(ty.clone()));
        let entry = crate::enter::host_gate_address();
        let host = self.hosts.len() as u32;
        let reference = self.functions.push(FunctionRecord { code: entry, far: entry, instance: 0, signature, host })?;
        self.hosts.push(function);
        Some(reference)
    }

    pub fn host_global(&mut self, ty: GlobalType, value: u64) -> Extern {
        let mut cell = Box::new(value);
        self.globals.push(Global { cell: &mut *cell, ty });
        self.host_globals.push(cell);
        Extern::Global(self.globals.len() as u32 - 1)
    }

    pub fn host_table(&mut self, ty: &TableType) -> Result<Extern, i32> {
        let slots = self.config.pool.slots(ty.limits.min, ty.limits.max, self.config.max_table_elements)?;
        self.tables.push(Table { slots, element: ty.element, max: ty.limits.max, private_to: None });
        Ok(Extern::Table(self.tables.len() as u32 - 1))
    }

    pub fn host_memory(&mut self, limits: Limits) -> Result<Extern, i32> {
        let limit = limits.max.unwrap_or(MEMORY_MAX_PAGES).min(self.config.max_memory_pages);
        self.regions.push(self.config.pool.host_region(-INSTANCE_FUEL as u32, (limits.min, limit))?);
        self.memories.push(Memory { region: self.regions.len() as u32 - 1, max: limits.max });
        Ok(Extern::Memory(self.memories.len() as u32 - 1))
    }

    // -- access --

    pub fn global_value(&self, index: u32) -> Option<(GlobalType, u64)> {
        let global = self.globals.get(index as usize)?;
        // SAFETY: cells live as long as the store.
        Some((global.ty, unsafe { global.cell.read() }))
    }

    /// Sets a global, if it is there and mutable.
    pub fn set_global(&mut self, index: u32, value: u64) -> Option<()> {
        let global = self.globals.get(index as usize).filter(|global| global.ty.mutable)?;
        // SAFETY: cells live as long as the store, and no guest runs while it is borrowed.
        unsafe { global.cell.write(narrow(value, global.ty.value)) };
        Some(())
    }

    /// The bytes of a memory.
    pub fn memory(&self, memory: u32) -> Option<&[u8]> {
        let region = self.regions.get(self.memories.get(memory as usize)?.region as usize)?;
        // SAFETY: the committed part, which stays while the store lives; no guest runs while the store is borrowed.
        Some(unsafe { core::slice::from_raw_parts(region.base, region.memory_bytes()) })
    }

    pub fn memory_mut(&mut self, memory: u32) -> Option<&mut [u8]> {
        let region = self.region_of_memory(memory)?;
        // SAFETY: as above, and the borrow is exclusive.
        Some(unsafe { core::slice::from_raw_parts_mut(region.base, region.memory_bytes()) })
    }

    /// The slot's content for a reference in a table.
    pub(crate) fn slot(&self, element: ValueType, private_to: Option<u64>, reference: u32) -> Option<Slot> {
        if reference == 0 {
            return Some(Slot::default());
        }
        if element != ValueType::FuncRef {
            return Some(Slot { code: 0, signature: 0, reference });
        }
        let record = self.functions.get(reference)?;
        let near = private_to == Some(record.instance);
        let code = if near { record.code } else { record.far };
        Some(Slot { code, signature: record.signature, reference })
    }

    pub(crate) fn region_of_memory(&mut self, memory: u32) -> Option<&mut Region> {
        let region = self.memories.get(memory as usize)?.region;
        self.regions.get_mut(region as usize)
    }

    /// The instance that has this r15.
    pub(crate) fn instance_at(&self, r15: u64) -> Option<u32> {
        let has =
            |instance: &Instance| self.regions.get(instance.region as usize).is_some_and(|region| region.base as u64 == r15);
        self.instances.iter().position(has).map(|number| number as u32)
    }

    pub fn export(&self, instance: u32, name: &str) -> Option<Extern> {
        let exports = &self.instances.get(instance as usize)?.module.manifest.exports;
        self.export_at(instance, exports.iter().find(|export| export.name == name)?)
    }

    /// What an instance has as an export of its module.
    pub fn export_at(&self, instance: u32, export: &Export) -> Option<Extern> {
        let instance = self.instances.get(instance as usize)?;
        let index = export.index as usize;
        Some(match export.kind {
            ExportKind::Function => Extern::Function(instance.functions.get(&instance.module, export.index)?),
            ExportKind::Table => Extern::Table(*instance.tables.get(index)?),
            ExportKind::Memory => Extern::Memory(instance.memory?),
            ExportKind::Global => Extern::Global(*instance.globals.get(index)?),
        })
    }

    /// All that an instance exports, in the module's order.
    pub fn exports(&self, instance: u32) -> Vec<Extern> {
        let module = self.instances.get(instance as usize).map(|instance| instance.module.clone());
        let exports = module.iter().flat_map(|module| &module.manifest.exports);
        exports.filter_map(|export| self.export_at(instance, export)).collect()
    }

    /// The memory that an instance uses, its own or an imported one.
    pub fn memory_of(&mut self, instance: u32) -> Option<&mut [u8]> {
        let memory = self.instances.get(instance as usize)?.memory?;
        self.memory_mut(memory)
    }

    /// The type of a memory, its current size in pages as minimum.
    pub fn memory_type(&self, memory: u32) -> Option<Limits> {
        let memory = self.memories.get(memory as usize)?;
        Some(Limits { min: self.regions.get(memory.region as usize)?.pages, max: memory.max })
    }

    /// Grows a memory; gives the pages before.
    pub fn grow_memory(&mut self, memory: u32, delta: u64) -> Option<u64> {
        self.region_of_memory(memory)?.grow(delta)
    }

    /// The type of a table, its current size as minimum.
    pub fn table_type(&self, table: u32) -> Option<TableType> {
        let table = self.tables.get(table as usize)?;
        Some(TableType { element: table.element, limits: Limits { min: table.slots.length.into(), max: table.max } })
    }

    /// The reference in a table, 0 for null; none beyond its end.
    pub fn table_element(&self, table: u32, index: u32) -> Option<u32> {
        Some(self.tables.get(table as usize)?.slots.get(index)?.reference)
    }

    /// Sets an element of a table to a reference; none if it is beyond the end, or no such function is there.
    pub fn set_table_element(&mut self, table: u32, index: u32, reference: u32) -> Option<()> {
        let target = self.tables.get(table as usize)?;
        let slot = self.slot(target.element, target.private_to, reference)?;
        self.tables[table as usize].slots.set(index, slot)
    }

    /// Grows a table by elements of a reference; gives its length before.
    pub fn grow_table(&mut self, table: u32, delta: u32, reference: u32) -> Option<u32> {
        let target = self.tables.get(table as usize)?;
        let slot = self.slot(target.element, target.private_to, reference)?;
        let slots = &mut self.tables[table as usize].slots;
        let old = slots.grow(delta)?;
        if slot != Slot::default() {
            for index in old..slots.length {
                slots.set(index, slot)?;
            }
        }
        Some(old)
    }

    /// Names of an instance's exports.
    pub fn export_names(&self, instance: u32) -> Vec<String> {
        let exports = self.instances.get(instance as usize).map(|instance| &instance.module.manifest.exports);
        exports.into_iter().flatten().map(|export| export.name.clone()).collect()
    }

    // -- calls --

    /// Calls a function. Values are bit patterns, i32, f32 and references zero-extended.
    pub fn invoke(&mut self, reference: u32, args: &[u64], results: &mut [u64]) -> Result<(), Trap> {
        let Some(record) = self.functions.get(reference) else { return Err(Trap::host("call of a null function")) };
        let Some(ty) = self.function_type(reference).cloned() else { return Err(Trap::host("unknown function type")) };
        if args.len() != ty.params.len() || results.len() != ty.results.len() {
            return Err(Trap::host("wrong number of arguments or results"));
        }
        if let Some(host) = record.host() {
            return self.call_host(host, None, args, results);
        }
        if self.depth >= MAX_DEPTH {
            return Err(Trap::code(TrapCode::CallStackExhausted));
        }
        let mut frame = CallFrame::new(record.code, record.instance);
        let mut words = Vec::new();
        let (mut integer, mut float) = (0, 0);
        for (&value, ty) in args.iter().zip(&ty.params) {
            // Guest code relies on zero-extension.
            let value = narrow(value, *ty);
            let (registers, used): (&mut [u64], &mut usize) = match ty {
                ValueType::F32 | ValueType::F64 => (&mut frame.floats, &mut float),
                _ => (&mut frame.integers, &mut integer),
            };
            match registers.get_mut(*used) {
                Some(register) => *register = value,
                None => words.push(value),
            }
            *used += 1;
        }
        let parameter_words = words.len();
        let (integers, floats) = split(&ty.results);
        words.resize(parameter_words + integers.saturating_sub(6) + floats.saturating_sub(8), 0);
        // `enter` writes these words as host code: they must not reach the guard below what the guest has used already.
        let room = self.context.guest_rsp.saturating_sub(self.context.stack_low + STACK_GUARD);
        if room < 8 * words.len() as u64 + 64 {
            return Err(Trap::code(TrapCode::CallStackExhausted));
        }
        frame.words = words.as_mut_ptr();
        frame.word_count = words.len() as u64;
        frame.parameter_words = parameter_words as u64;

        self.begin_call();
        let outcome = crate::enter::enter(self, &mut frame);
        self.collect_fuel();
        let interrupted = self.end_call();
        if !outcome {
            self.panics.resume();
            let pending = self.pending.take();
            let mut trap = pending.unwrap_or_else(|| trap::collect(self));
            if interrupted && trap.kind == TrapKind::Timeout {
                trap.kind = TrapKind::Interrupted;
            }
            return Err(trap);
        }
        let (mut integer, mut float, mut word) = (0, 0, parameter_words);
        for (result, ty) in results.iter_mut().zip(&ty.results) {
            let (registers, used): (&[u64], &mut usize) = match ty {
                ValueType::F32 | ValueType::F64 => (&frame.floats, &mut float),
                _ => (&frame.integers, &mut integer),
            };
            *result = match registers.get(*used) {
                Some(&register) => register,
                None => {
                    word += 1;
                    words[word - 1]
                }
            };
            *used += 1;
            *result = narrow(*result, *ty);
        }
        Ok(())
    }

    fn begin_call(&mut self) {
        self.depth += 1;
        #[cfg(not(freestanding))]
        if let (1, Some(handle)) = (self.depth, &self.interrupt) {
            handle.enter();
        }
    }

    /// Gives whether another thread asked for the call to end.
    fn end_call(&mut self) -> bool {
        self.depth -= 1;
        #[cfg(not(freestanding))]
        if let (0, Some(handle)) = (self.depth, &self.interrupt) {
            return handle.leave();
        }
        false
    }

    /// What other threads can end this store's calls with.
    #[cfg(not(freestanding))]
    pub fn interrupt_handle(&mut self) -> crate::interrupt::InterruptHandle {
        crate::signal::install_timer();
        let inside = self.depth > 0;
        let handle = self.interrupt.get_or_insert_with(|| {
            let handle = crate::interrupt::InterruptHandle::default();
            if inside {
                handle.enter();
            }
            handle
        });
        handle.clone()
    }

    pub(crate) fn call_host(
        &mut self,
        host: u32,
        instance: Option<u32>,
        args: &[u64],
        results: &mut [u64],
    ) -> Result<(), Trap> {
        let mut function = match self.hosts.get_mut(host as usize) {
            Some(Host::Shared(function)) => Host::Shared(function.clone()),
            // Taken out while it runs: it must not be entered twice.
            Some(Host::Once(function)) if function.is_some() => Host::Once(function.take()),
            _ => return Err(Trap::host("a host function was entered again while it runs")),
        };
        let mut caller = Caller { store: self, instance };
        let run = || match &mut function {
            Host::Shared(function) => function(&mut caller, args, results),
            Host::Once(Some(function)) => function(&mut caller, args, results),
            Host::Once(None) => Ok(()),
        };
        let outcome = Panics::catch(run).unwrap_or_else(|panics| {
            self.panics = panics;
            Err(Trap::host("a host function panicked"))
        });
        if let Host::Once(_) = function {
            self.hosts[host as usize] = function;
        }
        if instance.is_none() {
            // Nobody's guest is in between.
            self.panics.resume();
        }
        outcome
    }
}

impl<Tail: ?Sized> Drop for StoreWith<Tail> {
    fn drop(&mut self) {
        let pool = &self.config.pool;
        self.regions.drain(..).for_each(|region| pool.keep_region(region));
        self.tables.drain(..).for_each(|table| pool.keep_slots(table.slots));
        pool.keep_functions(core::mem::take(&mut self.functions));
        pool.keep_stack(core::mem::replace(&mut self.stack, Reservation::none()));
    }
}

/// The value without the bits its type does not have.
pub(crate) fn narrow(value: u64, ty: ValueType) -> u64 {
    match ty {
        ValueType::I64 | ValueType::F64 | ValueType::V128 => value,
        _ => value & 0xffff_ffff,
    }
}

/// How many of the types travel in integer and in float registers.
pub(crate) fn split(types: &[ValueType]) -> (usize, usize) {
    let floats = types.iter().filter(|ty| matches!(ty, ValueType::F32 | ValueType::F64)).count();
    (types.len() - floats, floats)
}
