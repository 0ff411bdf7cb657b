//! The guest that test functions run in, and what its operators see of it.
//!
//! Takes functions as intermediate representation; compiles, loads and instantiates them by the compiler's and the runtime's
//! own way in a module with a memory, a table and globals. [`Guest`] is also the storage of the evaluators: what they write goes
//! to shadows, which must equal the guest's memory after each call.

use crate::native::Window;
use crate::random::Random;
use std::cell::Cell;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use vwasm::compile::{Compiled, Options, compile_unchecked, inlined, translate};
use vwasm::ir::eval::{Region, Storage};
use vwasm::ir::{self, Type};
use vwasm::layout::{InstanceLayout, SLOT_SIZE, TABLE_HEADER_SIZE, TrapCode};
use vwasm::module::Module;
use vwasm_runtime::manifest::FunctionType;
use vwasm_runtime::store::{self, Config, Extern, Store};
use vwasm_runtime::trap::TrapKind;

/// Above 2 GiB, so that every displacement can hit and miss.
const PAGES: u64 = 0x8010;
pub const MEMORY_BYTES: u64 = PAGES << 16;
pub const TABLE_LENGTH: u64 = 40;
pub const CELLS: u32 = 8;
/// Stretches of memory that are filled and compared: the first page, around 2 GiB, the last page.
pub const WINDOWS: [(u64, u64); 3] = [(0, 4096), ((1 << 31) - 2048, 4096), (MEMORY_BYTES - 4096, 4096)];

/// A function's type.
pub struct Signature {
    pub params: Vec<Type>,
    pub result: Option<Type>,
}

pub struct Guest {
    store: Box<Store>,
    functions: Vec<u32>,
    results: Vec<usize>,
    /// r15.
    pub base: u64,
    pub table: u64,
    layout: InstanceLayout,
    windows: Vec<Window>,
    /// An evaluator read or wrote what no window shows.
    pub missed: bool,
    pub compiled: Compiled,
}

fn text(signatures: &[Signature]) -> String {
    let mut text = format!("(module (import \"host\" \"probe\" (func)) (memory {PAGES})\n");
    let _ = writeln!(text, "(table {TABLE_LENGTH} funcref) (elem (i32.const 1) func 0 1 0)");
    for _ in 0..CELLS {
        text.push_str("(global (mut i64) (i64.const 0))\n");
    }
    text.push_str("(func (export \"probe\") call 0)\n");
    for (number, signature) in signatures.iter().enumerate() {
        let _ = write!(text, "(func (export \"{number}\") (param");
        for ty in &signature.params {
            let _ = write!(text, " {ty}");
        }
        text.push(')');
        if let Some(ty) = signature.result {
            let _ = write!(text, " (result {ty})");
        }
        text.push_str(" unreachable)\n");
    }
    text.push(')');
    text
}

impl Guest {
    /// `body` gives the functions once the instance's layout is known.
    pub fn new(
        signatures: &[Signature],
        options: &Options,
        body: &(dyn Fn(usize, &InstanceLayout) -> ir::Function + Sync),
        random: &mut Random,
    ) -> Result<Guest, String> {
        let binary = wat::parse_str(text(signatures)).map_err(|error| error.to_string())?;
        let module = Module::decode(&binary).map_err(|error| error.to_string())?;
        let layout = module.layout.ok_or("no layout")?;
        let copied = inlined(&module, options);
        let (compiled, _) = compile_unchecked(&module, options, &|| (), &|defined| match defined.checked_sub(1) {
            None => translate(&module, &copied, defined, options),
            Some(number) => Ok(body(number, &layout)),
        })
        .map_err(|error| error.to_string())?;
        let loaded = store::Module::load(compiled.manifest.clone(), &compiled.code, &compiled.data);
        let loaded = Arc::new(loaded.map_err(|error| format!("loading: error {error}"))?);
        let mut store = Store::new(Config::default()).map_err(|error| format!("store: error {error}"))?;
        let found = Rc::new(Cell::new(0));
        let told = found.clone();
        let ty = FunctionType { params: Vec::new(), results: Vec::new() };
        let probe = store.host_function(
            &ty,
            Box::new(move |caller, _, _| {
                told.set(caller.memory().as_ptr() as usize);
                Ok(())
            }),
        );
        let imports = [Extern::Function(probe.ok_or("no function records left")?)];
        let instance = store.instantiate(&loaded, &imports).map_err(|error| format!("{error:?}"))?;
        let export = |store: &Store, name: &str| match store.export(instance, name) {
            Some(Extern::Function(reference)) => Ok(reference),
            _ => Err(format!("no export {name}")),
        };
        let reference = export(&store, "probe")?;
        store.invoke(reference, &[], &mut []).map_err(|trap| trap.message())?;
        let base = found.get();
        let cells = (layout.global(CELLS - 1), layout.global(0) + 8);
        let functions = (0..signatures.len()).map(|number| export(&store, &number.to_string())).collect::<Result<_, _>>()?;
        // SAFETY: the ranges lie in the instance's memory and fields, which live as long as the store; only guests write them.
        let mut windows: Vec<Window> = unsafe {
            let cells = Window::new(base.wrapping_add_signed(cells.0 as isize), (cells.1 - cells.0) as usize);
            let memory = WINDOWS.iter().map(|&(start, length)| Window::new(base + start as usize, length as usize));
            memory.chain([cells]).collect()
        };
        for window in &mut windows {
            window.shadow.iter_mut().for_each(|byte| *byte = random.next() as u8);
            window.publish();
        }
        // SAFETY: the fields and the table live as long as the store.
        let table = unsafe {
            let field = Window::new(base.wrapping_add_signed(layout.table(0) as isize), 8);
            let table = u64::from_le_bytes(field.shadow[..].try_into().map_err(|_| "field")?);
            let length = (TABLE_HEADER_SIZE + SLOT_SIZE * TABLE_LENGTH as i32) as usize;
            windows.push(Window::new(table as usize - TABLE_HEADER_SIZE as usize, length));
            // The fields that every instance has.
            windows.push(Window::new(base - 40, 40));
            table
        };
        let results = signatures.iter().map(|signature| usize::from(signature.result.is_some())).collect();
        Ok(Guest { store, functions, results, base: base as u64, table, layout, windows, missed: false, compiled })
    }

    pub fn layout(&self) -> &InstanceLayout {
        &self.layout
    }

    /// Makes memory what the evaluators say, after a call that was left out.
    pub fn restore(&mut self) {
        self.windows.iter().for_each(Window::publish);
    }

    /// Offset of a cell from r15.
    pub fn cell(layout: &InstanceLayout, number: u32) -> i32 {
        layout.global(number)
    }

    /// Address of a cell.
    pub fn cell_address(&self, number: u32) -> u64 {
        self.base.wrapping_add_signed(i64::from(Guest::cell(&self.layout, number)))
    }

    /// Calls a function; its result or the trap's code.
    pub fn call(&mut self, number: usize, args: &[u64]) -> Result<Result<u64, TrapCode>, String> {
        let mut results = [0];
        let results = &mut results[..self.results[number]];
        match self.store.invoke(self.functions[number], args, results) {
            Ok(()) => Ok(Ok(results.first().copied().unwrap_or(0))),
            Err(trap) => match trap.kind {
                TrapKind::Code(code) => Ok(Err(code)),
                _ => Err(trap.message()),
            },
        }
    }

    /// Whether memory, globals and table hold what the evaluators say.
    pub fn check_storage(&self) -> Result<(), String> {
        for window in &self.windows {
            if let Some((address, byte)) = window.difference() {
                let offset = address as i64 - self.base as i64;
                return Err(format!("the byte at base + {offset:#x} is {byte:#04x}, which is wrong"));
            }
        }
        Ok(())
    }

    fn range(
        &mut self,
        region: Region,
        address: u64,
        bytes: u32,
    ) -> Result<Option<(usize, std::ops::Range<usize>)>, TrapCode> {
        let address = match region {
            Region::Memory => {
                let offset = address.wrapping_sub(self.base);
                if offset.checked_add(u64::from(bytes)).is_none_or(|end| end > MEMORY_BYTES) {
                    return Err(TrapCode::OutOfBoundsMemoryAccess);
                }
                address
            }
            // Offsets from r15.
            Region::Constant | Region::Global if (address as i64) < 0 => self.base.wrapping_add(address),
            _ => address,
        };
        let found = self.windows.iter().enumerate().find_map(|(n, window)| Some((n, window.place(address, bytes)?)));
        self.missed |= found.is_none();
        Ok(found)
    }
}

impl Storage for Guest {
    fn read(&mut self, region: Region, address: u64, bytes: u32) -> Result<u64, TrapCode> {
        // `memory.base` reads the constant at 0: r15 itself.
        if region == Region::Constant && address == 0 {
            return Ok(self.base);
        }
        let Some((window, range)) = self.range(region, address, bytes)? else { return Ok(0) };
        let mut value = [0; 8];
        value[..bytes as usize].copy_from_slice(&self.windows[window].shadow[range]);
        Ok(u64::from_le_bytes(value))
    }

    fn write(&mut self, region: Region, address: u64, bytes: u32, value: u64) -> Result<(), TrapCode> {
        if let Some((window, range)) = self.range(region, address, bytes)? {
            self.windows[window].shadow[range].copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
        }
        Ok(())
    }
}
