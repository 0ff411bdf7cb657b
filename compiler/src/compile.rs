//! The pipeline: a module to its code, read-only data and manifest.
//!
//! Takes a decoded module and options. Functions compile in parallel and independently; they are then placed one after
//! another in order of their index, so the output does not depend on the number of threads. Read-only data follows the code
//! at the next page: jump tables first, then the data segments. The result is then checked like anybody else's
//! (`verify`): nothing leaves here that the sandbox checker does not accept.

use crate::emit::{CompiledFunction, RelocTarget, emit, thunk::far_thunk};
use crate::error::{CompileError, ErrorKind, Result};
use crate::frontend::Translator;
use crate::ir;
use crate::layout::MAX_FRAME;
use crate::limits;
use crate::lines::lines;
use crate::lower::convention::Convention;
use crate::lower::lower;
use crate::lower::rules::UNPROVED;
use crate::machine::CpuFeatures;
use crate::module::{Entity, ImportKind, Module, SegmentMode, ir_types};
use crate::simplify;
use crate::vcode::{VCode, allocatable};
use crate::{cfg, inline, verify};
use rayon::prelude::*;
use regalloc2::{MachineEnv, PReg, PRegSet, RegClass, RegallocOptions};
use vwasm_runtime::image::{PAGE, round_up};
use vwasm_runtime::manifest as m;

/// What to compile for.
#[derive(Clone, Debug)]
pub struct Options {
    pub cpu: CpuFeatures,
    /// Record where each instruction came from and which rules fired, for listings.
    pub keep_origins: bool,
    /// Changes each function's instructions before registers are allocated, as a broken compiler might: for the tests that
    /// show the checker to notice.
    pub sabotage: Option<fn(&mut VCode)>,
    /// Count fuel: the program ends with a trap when it has used up what it was given.
    pub fuel: bool,
    /// A rule (by number) to do without, to see what it is worth. The last rule of a `lower` or `form` block stays.
    pub without: Option<u16>,
}

impl Default for Options {
    fn default() -> Options {
        Options { cpu: CpuFeatures::V3, keep_origins: false, sabotage: None, fuel: false, without: None }
    }
}

/// Code, read-only data, and what the runtime must know.
pub struct Compiled {
    pub code: Vec<u8>,
    pub data: Vec<u8>,
    /// What the sandbox checker is told of the code (`claims`).
    pub claims: Vec<u8>,
    pub manifest: m::Manifest,
    /// Start of each defined function in the code, with the origins of its instructions.
    pub functions: Vec<(u32, CompiledFunction)>,
}

/// The registers the allocator may use: those that need no REX prefix first.
fn machine_env() -> MachineEnv {
    let all = allocatable();
    let of = |class: RegClass, numbers: &dyn Fn(usize) -> bool| {
        let mut set = PRegSet::empty();
        for number in (0..16).filter(|&number| numbers(number)) {
            let register = PReg::new(number, class);
            if all.contains(register) {
                set.add(register);
            }
        }
        set
    };
    let none = PRegSet::empty();
    MachineEnv {
        preferred_regs_by_class: [of(RegClass::Int, &|n| n < 8), of(RegClass::Float, &|n| n < 8), none],
        non_preferred_regs_by_class: [of(RegClass::Int, &|n| n >= 8), of(RegClass::Float, &|n| n >= 8), none],
        scratch_by_class: [None; 3],
        fixed_stack_slots: Vec::new(),
    }
}

/// The function as the frontend gives it.
pub(crate) fn read(module: &Module<'_>, defined: usize, options: &Options) -> Result<ir::Function> {
    let index = module.imported_functions + defined as u32;
    let mut allocations = wasmparser::FuncValidatorAllocations::default();
    Translator::translate(module, index, &module.bodies[defined], options.fuel, &mut allocations)
}

/// The functions that are copied to where they are called.
pub fn inlined(module: &Module<'_>, options: &Options) -> inline::Bodies {
    inline::bodies(module, |defined| {
        // An invalid body is reported when its own turn comes.
        let mut func = read(module, defined, options).ok()?;
        simplify::run(&mut func, options.without).ok()?;
        Some(func)
    })
}

/// Translates and optimises one function.
pub fn translate(module: &Module<'_>, bodies: &inline::Bodies, defined: usize, options: &Options) -> Result<ir::Function> {
    let mut func = read(module, defined, options)?;
    inline::run(&mut func, bodies);
    simplify::run(&mut func, options.without).map_err(|error| in_function(module, defined, error))?;
    cfg::split_critical_edges(&mut func);
    Ok(func)
}

/// Lowers one function.
pub fn select(
    module: &Module<'_>,
    conventions: &[Convention],
    defined: usize,
    func: &ir::Function,
    options: &Options,
) -> Result<VCode> {
    let ty = module.functions[module.imported_functions as usize + defined];
    lower(func, &conventions[ty as usize], conventions, options)
}

pub fn conventions(module: &Module<'_>) -> Vec<Convention> {
    module.types.iter().map(|ty| Convention::new(&ir_types(&ty.params), &ir_types(&ty.results))).collect()
}

fn function(
    module: &Module<'_>,
    conventions: &[Convention],
    defined: usize,
    env: &MachineEnv,
    options: &Options,
    source: &Source<'_>,
) -> Result<CompiledFunction> {
    let func = source(defined)?;
    let mut code = select(module, conventions, defined, &func, options)?;
    if let Some(sabotage) = options.sabotage {
        sabotage(&mut code);
        code.finish();
    }
    limits::check(&code).map_err(|error| in_function(module, defined, error))?;
    let allocation = regalloc2::run(&code, env, &RegallocOptions::default()).map_err(|error| {
        let error = CompileError::new(ErrorKind::Limit, format!("no registers can be allocated: {error:?}"));
        in_function(module, defined, error)
    })?;
    emit(&code, &allocation, options.keep_origins).map_err(|error| in_function(module, defined, error))
}

/// An error that concerns a whole function: its number, and the offset of its body unless a closer one is known.
fn in_function(module: &Module<'_>, defined: usize, mut error: CompileError) -> CompileError {
    let index = module.imported_functions as usize + defined;
    error.message = format!("function {index}: {}", error.message);
    error.offset.get_or_insert(module.bodies[defined].body.range().start as u64);
    error
}

/// Gives the intermediate representation of each defined function, ready for lowering.
pub type Source<'a> = dyn Fn(usize) -> Result<ir::Function> + Sync + 'a;

/// Compiles a module. `progress` is told of each finished function.
pub fn compile(module: &Module<'_>, options: &Options, progress: &(dyn Fn() + Sync)) -> Result<Compiled> {
    let inlined = inlined(module, options);
    let source = |defined| translate(module, &inlined, defined, options);
    let (mut compiled, targets) = compile_unchecked(module, options, progress, &source)?;
    verify::accept(&mut compiled, &targets)?;
    Ok(compiled)
}

/// Compiles a module whose functions' bodies come from `source` instead of the module. Nothing has checked what this gives: it
/// is for tests of single rules, which hand any address to an access. Gives also the code offsets that each function's jump
/// tables hold.
pub fn compile_unchecked(
    module: &Module<'_>,
    options: &Options,
    progress: &(dyn Fn() + Sync),
    source: &Source<'_>,
) -> Result<(Compiled, Vec<Vec<u32>>)> {
    let conventions = conventions(module);
    let env = machine_env();
    let mut functions = (0..module.bodies.len())
        .into_par_iter()
        .map(|defined| {
            let compiled = function(module, &conventions, defined, &env, options, source);
            progress();
            compiled
        })
        .collect::<Vec<Result<CompiledFunction>>>()
        .into_iter()
        .collect::<Result<Vec<CompiledFunction>>>()?;
    let thunks = conventions.iter().map(far_thunk).collect::<Result<Vec<_>>>()?;
    for (convention, thunk) in conventions.iter().zip(&thunks) {
        if u64::from(thunk.frame_size) >= MAX_FRAME || 8 * convention.parameter_words > u32::from(u16::MAX) {
            return Err(CompileError::new(ErrorKind::Limit, "a signature with too many parameters or results"));
        }
    }
    let bodies = functions.len();
    functions.extend(thunks);
    link(module, functions, bodies)
}

/// Places functions and tables and resolves what refers to them. Gives also the code offsets that each function's jump
/// tables hold.
fn link(module: &Module<'_>, functions: Vec<CompiledFunction>, bodies: usize) -> Result<(Compiled, Vec<Vec<u32>>)> {
    let mut starts = Vec::with_capacity(functions.len());
    let mut tables = Vec::with_capacity(functions.len());
    let (mut code_length, mut table_length) = (0u64, 0u64);
    for function in &functions {
        code_length = round_up(code_length, 16);
        starts.push(code_length);
        tables.push(table_length);
        code_length += function.code.len() as u64;
        table_length += 4 * function.tables.len() as u64;
    }
    let data_start = round_up(code_length, PAGE);
    if data_start + table_length >= 1 << 31 {
        return Err(CompileError::new(ErrorKind::Limit, "code of 2 GiB or more"));
    }
    // int3 fills the gaps between functions.
    let mut code = vec![0xcc; code_length as usize];
    let mut data = Vec::with_capacity(table_length as usize);
    let (mut frames, mut sites) = (Vec::new(), Vec::new());
    for (number, function) in functions.iter().enumerate() {
        let start = starts[number];
        let bytes = &mut code[start as usize..start as usize + function.code.len()];
        bytes.copy_from_slice(&function.code);
        for reloc in &function.relocs {
            let target = match reloc.target {
                RelocTarget::Function(index) => starts[index as usize - module.imported_functions as usize],
                RelocTarget::Table(offset) => data_start + tables[number] + u64::from(offset),
            };
            let end = start + u64::from(reloc.offset) + 4;
            let displacement = (target as i64 - end as i64) as i32;
            bytes[reloc.offset as usize..reloc.offset as usize + 4].copy_from_slice(&displacement.to_le_bytes());
        }
        // Entries are relative to the start of their own table.
        for (table, entries) in jump_tables(function) {
            let from = data_start + tables[number] + 4 * table as u64;
            for &entry in entries {
                let displacement = (start + u64::from(entry)) as i64 - from as i64;
                data.extend_from_slice(&(displacement as i32).to_le_bytes());
            }
        }
        let index = if number < bodies { module.imported_functions + number as u32 } else { u32::MAX };
        for field in [start as u32, start as u32 + function.code.len() as u32, function.frame_size, index] {
            frames.extend_from_slice(&field.to_le_bytes());
        }
        for site in &function.sites {
            for field in [start as u32 + site.offset, u32::from(site.code), site.wasm_offset] {
                sites.extend_from_slice(&field.to_le_bytes());
            }
        }
    }
    let mut manifest = describe(module);
    manifest.functions = (0..bodies)
        .map(|number| m::Function {
            type_index: module.functions[module.imported_functions as usize + number],
            code: starts[number] as u32,
            body: module.bodies[number].body.range().start as u32,
        })
        .collect();
    manifest.far_thunks = starts[bodies..].iter().map(|&start| start as u32).collect();
    let lines = lines(module.debug, &sites);
    (manifest.lines, manifest.line_count, manifest.inlined_count) = (lines.records.into(), lines.count, lines.calls);
    (manifest.frames, manifest.sites) = (frames.into(), sites.into());
    for segment in &module.data {
        let mode = mode(&segment.mode);
        manifest.data.push(m::Data { mode, start: data.len() as u32, length: segment.bytes.len() as u32 });
        data.extend_from_slice(segment.bytes);
    }
    if data.len() as u64 >= 1 << 31 {
        return Err(CompileError::new(ErrorKind::Limit, "read-only data of 2 GiB or more"));
    }
    let targets = functions
        .iter()
        .zip(&starts)
        .map(|(function, &start)| function.tables.iter().map(|&entry| start as u32 + entry).collect());
    let targets = targets.collect();
    let functions = starts.into_iter().map(|start| start as u32).zip(functions).take(bodies).collect();
    Ok((Compiled { code, data, claims: Vec::new(), manifest, functions }, targets))
}

/// The function's jump tables: first entry and entries of each.
pub(crate) fn jump_tables(function: &CompiledFunction) -> impl Iterator<Item = (usize, &[u32])> {
    let mut starts: Vec<usize> = function
        .relocs
        .iter()
        .filter_map(|reloc| match reloc.target {
            RelocTarget::Table(offset) => Some(offset as usize / 4),
            RelocTarget::Function(_) => None,
        })
        .collect();
    starts.sort_unstable();
    starts.dedup();
    let ends = starts.iter().skip(1).copied().chain([function.tables.len()]).collect::<Vec<_>>();
    starts.into_iter().zip(ends).map(|(start, end)| (start, &function.tables[start..end]))
}

fn mode(mode: &SegmentMode) -> m::SegmentMode {
    match mode {
        SegmentMode::Passive => m::SegmentMode::Passive,
        SegmentMode::Declared => m::SegmentMode::Declared,
        SegmentMode::Active { target, offset } => m::SegmentMode::Active { target: *target, offset: *offset },
    }
}

/// The part of the manifest that the module alone decides.
fn describe(module: &Module<'_>) -> m::Manifest {
    let table = |table: &crate::module::Table| m::TableType { element: table.element, limits: table.limits };
    let mut names: Vec<&(u32, String)> = module.names.iter().collect();
    names.sort_by_key(|(index, _)| *index);
    names.dedup_by_key(|(index, _)| *index);
    let (mut records, mut text) = (Vec::new(), Vec::new());
    for (index, name) in &names {
        for field in [*index, text.len() as u32, name.len() as u32] {
            records.extend_from_slice(&field.to_le_bytes());
        }
        text.extend_from_slice(name.as_bytes());
    }
    records.extend_from_slice(&text);
    m::Manifest {
        name: module.name.clone(),
        types: module
            .types
            .iter()
            .map(|ty| m::FunctionType { params: ty.params.clone(), results: ty.results.clone() })
            .collect(),
        imports: module
            .imports
            .iter()
            .map(|import| m::Import {
                module: import.module.clone(),
                name: import.name.clone(),
                kind: match &import.kind {
                    ImportKind::Function(ty) => m::ExternType::Function(*ty),
                    ImportKind::Table(ty) => m::ExternType::Table(table(ty)),
                    ImportKind::Memory(limits) => m::ExternType::Memory(*limits),
                    ImportKind::Global { ty, mutable } => {
                        m::ExternType::Global(m::GlobalType { value: *ty, mutable: *mutable })
                    }
                },
            })
            .collect(),
        tables: module.tables[module.imported_tables as usize..].iter().map(table).collect(),
        private_tables: (0..module.tables.len() as u32).map(|table| module.is_private_table(table)).collect(),
        memories: module.memories[module.imported_memories as usize..].to_vec(),
        globals: module
            .globals
            .iter()
            .filter_map(|global| {
                let ty = m::GlobalType { value: global.ty, mutable: global.mutable };
                Some(m::Global { ty, init: global.init? })
            })
            .collect(),
        exports: module
            .exports
            .iter()
            .map(|export| m::Export {
                name: export.name.clone(),
                kind: match export.kind {
                    Entity::Function => m::ExportKind::Function,
                    Entity::Table => m::ExportKind::Table,
                    Entity::Memory => m::ExportKind::Memory,
                    Entity::Global => m::ExportKind::Global,
                },
                index: export.index,
            })
            .collect(),
        start: module.start,
        elements: module
            .elements
            .iter()
            .map(|segment| m::Element { mode: mode(&segment.mode), element: segment.element, items: segment.items.clone() })
            .collect(),
        references: module.references.clone(),
        shape: module.shape,
        grants: m::Grants { stack_size: 8 << 20, ..m::Grants::default() },
        names: records.into(),
        name_count: names.len() as u32,
        unproved: UNPROVED.iter().map(|rule| rule.to_string()).collect(),
        ..m::Manifest::default()
    }
}
