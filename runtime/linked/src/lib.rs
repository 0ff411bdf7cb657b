//! What C programs call that are linked with modules compiled by `vwasm compile --emit obj`: `libvwasm_linked.a`, which
//! `cargo build --release -p vwasm-linked` makes. The header made with the object file declares these functions, and wraps them
//! into ones with the module's types.
//!
//! Takes the module as it stands in the program, and its imports as functions; gives instances, calls, memory, globals. Every
//! function that can fail gives a status: 0, a trap's code, or a number of [`status`]. An instance is used by one thread at a
//! time, may be used from the functions it imports, and belongs to whoever made it until it is deleted. Nothing unwinds into C:
//! a panic, which would be a mistake of the runtime, ends the process.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::null_mut;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use vwasm_runtime::cpu;
use vwasm_runtime::image::LINKED_MAGIC;
use vwasm_runtime::instance::InstantiateError;
use vwasm_runtime::interrupt::Deadline;
use vwasm_runtime::layout::TrapCode;
use vwasm_runtime::manifest::{ExternType, FunctionType, Manifest};
use vwasm_runtime::pool::Pool;
use vwasm_runtime::store::{Caller, Config, Extern, Module, Store};
use vwasm_runtime::trap::{Trap, TrapKind};
use vwasm_runtime::wasi::{self, Wasi};

/// Statuses beside the trap codes of `spec/sandbox.rules`.
mod status {
    /// The guest ended itself (`proc_exit`); the instance tells with what status.
    pub const EXIT: i32 = 32;
    /// The time limit that the module was compiled with is reached.
    pub const TIMEOUT: i32 = 33;
    /// The host refused something.
    pub const HOST: i32 = 34;
    /// No address space, or the module begins with more than its limits allow.
    pub const RESOURCES: i32 = 35;
    /// The module in the program is not one that this runtime reads.
    pub const DAMAGED: i32 = 36;
    /// Imports are missing.
    pub const IMPORTS: i32 = 37;
    /// This CPU lacks what the code needs.
    pub const CPU: i32 = 38;
    /// An argument makes no sense: a null pointer, an instance in a state where this cannot be done.
    pub const ARGUMENT: i32 = 39;
}

const MESSAGES: [(i32, &CStr); 9] = [
    (0, c"no error"),
    (status::EXIT, c"the program ended itself"),
    (status::TIMEOUT, c"the time limit is reached"),
    (status::HOST, c"the host refused something"),
    (status::RESOURCES, c"not enough memory or address space"),
    (status::DAMAGED, c"the compiled module is damaged, or of another version"),
    (status::IMPORTS, c"an import is missing"),
    (status::CPU, c"this CPU lacks what the code needs"),
    (status::ARGUMENT, c"a wrong argument"),
];

/// `struct vwasm_module` of the header: parts as distances from the structure itself.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct LinkedModule {
    magic: [u8; 8],
    manifest: i64,
    manifest_size: u64,
    claims: i64,
    claims_size: u64,
    code: i64,
    code_size: u64,
    data: i64,
    data_size: u64,
    /// A digest of all parts.
    identity: [u8; 32],
}

/// A function that the module imports: gets the values of its arguments, writes those of its results over them, and gives a
/// status; any but 0 ends the guest, and is what the call into the guest gives.
pub type Import = unsafe extern "C" fn(context: *mut c_void, instance: *mut LinkedInstance, values: *mut u64) -> i32;

/// An instance, opaque to C.
pub struct LinkedInstance {
    /// None once it is deleted.
    store: Option<Box<Store>>,
    index: u32,
    module: Arc<Module>,
    shared: Rc<Shared>,
    message: CString,
    exit_status: i32,
    /// Calls into the guest that are going on.
    depth: u32,
    deleted: bool,
}

/// What an instance's imported functions know.
#[derive(Default)]
struct Shared {
    instance: Cell<Option<*mut LinkedInstance>>,
    /// The innermost call of an imported function.
    caller: Cell<Option<*mut Caller<'static>>>,
    /// The status that an imported function gave.
    refused: Cell<Option<i32>>,
}

/// The module at an address, decoded once. Should a shared library go and another one come to the same address, it is noticed:
/// the descriptor there says what the whole module is.
///
/// # Safety
/// The pointer must be null or point to what the object file's `…_module` symbol names, which stays there as long as there are
/// instances of it.
unsafe fn module_at(module: *const LinkedModule) -> Result<Arc<Module>, i32> {
    static KNOWN: OnceLock<Mutex<BTreeMap<usize, (LinkedModule, Arc<Module>)>>> = OnceLock::new();
    if module.is_null() {
        return Err(status::ARGUMENT);
    }
    let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: as the caller promises.
    let header = unsafe { *module };
    if let Some((_, found)) = known.get(&(module as usize)).filter(|(like, _)| *like == header) {
        return Ok(found.clone());
    }
    // SAFETY: the object file put the structure and its parts where it says, and the linker kept their distances.
    let decoded = unsafe {
        if header.magic != LINKED_MAGIC {
            return Err(status::DAMAGED);
        }
        let part = |distance: i64| module.cast::<u8>().offset(distance as isize);
        let manifest = std::slice::from_raw_parts(part(header.manifest), header.manifest_size as usize);
        let manifest = Manifest::decode(manifest).map_err(|_| status::DAMAGED)?;
        if !manifest.is_consistent(header.code_size, header.data_size) {
            return Err(status::DAMAGED);
        }
        if !cpu::missing(manifest.features, 0).is_empty() {
            return Err(status::CPU);
        }
        let (code, data) = (part(header.code), part(header.data));
        Module::from_mapped(manifest, code, header.code_size as usize, data, header.data_size as usize)
    };
    let decoded = Arc::new(decoded);
    known.insert(module as usize, (header, decoded.clone()));
    Ok(decoded)
}

/// The address space that the instances of this process pass on to each other.
fn pool() -> Pool {
    const MOST: usize = 100;
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool::new(MOST)).clone()
}

fn text(message: &str) -> CString {
    CString::new(message.replace('\0', "")).unwrap_or_default()
}

fn code_status(code: TrapCode) -> i32 {
    code as i32
}

impl LinkedInstance {
    /// Notes why something ended; gives its status.
    fn note(&mut self, trap: &Trap) -> i32 {
        self.message = text(&trap.report());
        match trap.kind {
            TrapKind::Code(code) => code_status(code),
            TrapKind::Exit(status) => {
                self.exit_status = status;
                status::EXIT
            }
            // C programs have no handle to interrupt with.
            TrapKind::Timeout | TrapKind::Interrupted => status::TIMEOUT,
            TrapKind::Host(_) => self.shared.refused.take().unwrap_or(status::HOST),
        }
    }

    /// The store, also while an imported function runs.
    fn store(&mut self) -> Option<&mut Store> {
        match self.shared.caller.get() {
            // SAFETY: noted by the function below for the time of the innermost call, and whoever runs now was called by it.
            Some(caller) => Some(unsafe { (*caller).store() }),
            None => self.store.as_deref_mut(),
        }
    }

    fn timeout(&self) -> Option<u64> {
        self.module.manifest.grants.timeout
    }

    fn export(&mut self, number: u32) -> Option<Extern> {
        let index = self.index;
        let module = self.module.clone();
        let export = module.manifest.exports.get(number as usize)?;
        self.store()?.export_at(index, export)
    }
}

/// A host function that calls an imported one of C's.
fn imported(shared: Rc<Shared>, function: Import, context: *mut c_void) -> vwasm_runtime::store::SharedHostFunction {
    Rc::new(move |caller, args, results| {
        let Some(instance) = shared.instance.get() else { return Err(Trap::host("the instance is not ready")) };
        let mut values = args.to_vec();
        values.resize(args.len().max(results.len()).max(1), 0);
        let outer = shared.caller.replace(Some(std::ptr::from_mut(caller).cast()));
        // SAFETY: the function is the one the program gave for this import; the values are as many as its type has.
        let status = unsafe { function(context, instance, values.as_mut_ptr()) };
        shared.caller.set(outer);
        if status != 0 {
            shared.refused.set(Some(status));
            return Err(Trap::host("an imported function refused"));
        }
        results.iter_mut().zip(values).for_each(|(result, value)| *result = value);
        Ok(())
    })
}

/// Makes an instance and runs its start function. `imports` are the functions that the module imports and WASI does not
/// provide, in order; each gets `context`. `out` gets the instance, or null.
///
/// # Safety
/// `module` must be null or name a module of an object file that is not unloaded before its instances are deleted; `imports` must point to `count` functions of the types that the
/// header declares; `out` must be null or point to a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vwasm_instance_new(
    module: *const LinkedModule,
    imports: *const Option<Import>,
    count: usize,
    context: *mut c_void,
    out: *mut *mut LinkedInstance,
) -> i32 {
    if out.is_null() {
        return status::ARGUMENT;
    }
    // SAFETY: as the caller promises.
    let made = unsafe {
        *out = null_mut();
        let given = if count == 0 || imports.is_null() { &[] } else { std::slice::from_raw_parts(imports, count) };
        module_at(module).and_then(|module| make(module, given, context, out))
    };
    made.err().unwrap_or(0)
}

/// # Safety
/// As above; `out` is not null.
unsafe fn make(
    module: Arc<Module>,
    given: &[Option<Import>],
    context: *mut c_void,
    out: *mut *mut LinkedInstance,
) -> Result<(), i32> {
    let grants = module.manifest.grants.clone();
    let timeout = grants.timeout;
    let mut store = Store::new(Config { pool: pool(), ..Config::new(&grants) }).map_err(|_| status::RESOURCES)?;
    let shared = Rc::new(Shared::default());
    let (mut wasi, mut given, mut externs) = (None, given.iter(), Vec::new());
    for import in &module.manifest.imports {
        let ExternType::Function(ty) = &import.kind else { return Err(status::IMPORTS) };
        let ty: &FunctionType = module.manifest.types.get(*ty as usize).ok_or(status::DAMAGED)?;
        let function = if wasi::type_of(&import.module, &import.name).as_ref() == Some(ty) {
            if wasi.is_none() {
                let arguments = Vec::from([module.manifest.name.clone().into_bytes()]);
                let config = wasi::Config { arguments, grants: grants.clone(), trace: false };
                wasi = Some(Wasi::new(&config).map_err(|_| status::RESOURCES)?);
            }
            let wasi = wasi.as_ref().ok_or(status::RESOURCES)?;
            Wasi::function(wasi, &mut store, &import.module, &import.name)
        } else {
            let function = given.next().copied().flatten().ok_or(status::IMPORTS)?;
            store.shared_host_function(ty, imported(shared.clone(), function, context))
        };
        externs.push(Extern::Function(function.ok_or(status::RESOURCES)?));
    }
    let instance = Box::into_raw(Box::new(LinkedInstance {
        store: None,
        index: 0,
        module: module.clone(),
        shared: shared.clone(),
        message: CString::default(),
        exit_status: 0,
        depth: 1,
        deleted: false,
    }));
    // The start function may call imported ones, which see the instance.
    shared.instance.set(Some(instance));
    let deadline = timeout.map(Deadline::start).transpose();
    let made = if deadline.is_err() {
        Err(InstantiateError::Resources(String::new()))
    } else {
        store.instantiate(&module, &externs)
    };
    // SAFETY: just made, and known to imported functions only, none of which runs any more.
    let new = unsafe { &mut *instance };
    new.depth = 0;
    let status = match made {
        Ok(index) => {
            (new.index, new.store) = (index, Some(store));
            0
        }
        Err(InstantiateError::Trap(trap)) => new.note(&trap),
        Err(InstantiateError::Link(_)) => status::IMPORTS,
        Err(InstantiateError::Resources(_)) => status::RESOURCES,
    };
    if status != 0 || new.deleted {
        // SAFETY: made above, and nobody has it.
        drop(unsafe { Box::from_raw(instance) });
        return Err(if status != 0 { status } else { status::ARGUMENT });
    }
    // SAFETY: as the caller promises.
    unsafe { *out = instance };
    Ok(())
}

/// Deletes an instance, with all it holds; if calls into it are going on, when the last of them is over.
///
/// # Safety
/// `instance` must be null or one that `vwasm_instance_new` gave and that was not deleted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vwasm_instance_delete(instance: *mut LinkedInstance) {
    // SAFETY: as the caller promises.
    unsafe {
        if instance.is_null() {
            return;
        }
        if (*instance).depth > 0 {
            (*instance).deleted = true;
            return;
        }
        drop(Box::from_raw(instance));
    }
}

/// Calls the function that is the module's export `number`. `values` holds its arguments, as many as its type has, and then
/// its results; `room` says how many values there is room for.
///
/// # Safety
/// `instance` as for `vwasm_instance_delete`; `values` must point to `room` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vwasm_instance_call(
    instance: *mut LinkedInstance,
    number: u32,
    values: *mut u64,
    room: usize,
) -> i32 {
    if instance.is_null() || (values.is_null() && room > 0) {
        return status::ARGUMENT;
    }
    // Threads that did not make the instance need a stack for signals, too.
    vwasm_runtime::signal::install();
    // SAFETY: as the caller promises. References to the instance end before guest code runs, since it may lead back here.
    unsafe {
        let shared = (*instance).shared.clone();
        let Some(Extern::Function(function)) = (*instance).export(number) else { return status::ARGUMENT };
        let timeout = (*instance).timeout().filter(|_| (*instance).depth == 0);
        let Some(store) = (*instance).store() else { return status::ARGUMENT };
        let store: *mut Store = store;
        let Some(ty) = (*store).function_type(function) else { return status::ARGUMENT };
        let (params, results) = (ty.params.len(), ty.results.len());
        if params.max(results) > room {
            return status::ARGUMENT;
        }
        let mut args = Vec::new();
        let mut out = Vec::new();
        for n in 0..params {
            args.push(values.add(n).read());
        }
        out.resize(results, 0);
        let Ok(deadline) = timeout.map(Deadline::start).transpose() else { return status::RESOURCES };
        (*instance).depth += 1;
        let outer = shared.caller.take();
        shared.refused.set(None);
        let outcome = (*store).invoke(function, &args, &mut out);
        shared.caller.set(outer);
        (*instance).depth -= 1;
        drop(deadline);
        let status = match outcome {
            Ok(()) => {
                for (n, result) in out.into_iter().enumerate() {
                    values.add(n).write(result);
                }
                0
            }
            Err(trap) => (*instance).note(&trap),
        };
        if (*instance).deleted && (*instance).depth == 0 {
            drop(Box::from_raw(instance));
        }
        status
    }
}

/// The instance's memory and its size in bytes; null if it has none. It stays where it is until the instance is deleted, and
/// only grows.
///
/// # Safety
/// `instance` as for `vwasm_instance_delete`; `size` must be null or point to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vwasm_instance_memory(instance: *mut LinkedInstance, size: *mut u64) -> *mut u8 {
    // SAFETY: as the caller promises.
    unsafe {
        if !size.is_null() {
            *size = 0;
        }
        if instance.is_null() {
            return null_mut();
        }
        let index = (*instance).index;
        let memory = (*instance).store().and_then(|store| store.memory_of(index));
        let Some(memory) = memory else { return null_mut() };
        if !size.is_null() {
            *size = memory.len() as u64;
        }
        memory.as_mut_ptr()
    }
}

/// The value of the global that is the module's export `number`; 0 if there is none.
///
/// # Safety
/// `instance` as for `vwasm_instance_delete`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vwasm_instance_global(instance: *mut LinkedInstance, number: u32) -> u64 {
    if instance.is_null() {
        return 0;
    }
    // SAFETY: as the caller promises.
    let instance = unsafe { &mut *instance };
    let Some(Extern::Global(global)) = instance.export(number) else { return 0 };
    instance.store().and_then(|store| store.global_value(global)).map_or(0, |(_, value)| value)
}

/// Sets the global that is the module's export `number`, if it is mutable.
///
/// # Safety
/// `instance` as for `vwasm_instance_delete`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vwasm_instance_set_global(instance: *mut LinkedInstance, number: u32, value: u64) -> i32 {
    if instance.is_null() {
        return status::ARGUMENT;
    }
    // SAFETY: as the caller promises.
    let instance = unsafe { &mut *instance };
    let Some(Extern::Global(global)) = instance.export(number) else { return status::ARGUMENT };
    let set = instance.store().and_then(|store| store.set_global(global, value));
    if set.is_some() { 0 } else { status::ARGUMENT }
}

/// What the last call that failed has to say, with a backtrace; valid until the next call.
///
/// # Safety
/// `instance` as for `vwasm_instance_delete`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vwasm_instance_message(instance: *const LinkedInstance) -> *const c_char {
    // SAFETY: as the caller promises.
    if instance.is_null() { c"".as_ptr() } else { unsafe { (*instance).message.as_ptr() } }
}

/// The status that the guest ended itself with.
///
/// # Safety
/// `instance` as for `vwasm_instance_delete`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vwasm_instance_exit_status(instance: *const LinkedInstance) -> i32 {
    // SAFETY: as the caller promises.
    if instance.is_null() { 0 } else { unsafe { (*instance).exit_status } }
}

/// What a status means, in words that last.
#[unsafe(no_mangle)]
pub extern "C" fn vwasm_status_message(status: i32) -> *const c_char {
    static TRAPS: OnceLock<BTreeMap<i32, CString>> = OnceLock::new();
    if let Some((_, message)) = MESSAGES.iter().find(|(known, _)| *known == status) {
        return message.as_ptr();
    }
    let traps = TRAPS.get_or_init(|| {
        let codes = (1..=u8::MAX).filter_map(TrapCode::from_number);
        codes.map(|code| (code_status(code), text(code.message()))).collect()
    });
    traps.get(&status).map_or(c"an unknown status".as_ptr(), |message| message.as_ptr())
}
