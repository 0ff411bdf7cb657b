//! Checking compiled code: what the checker is told comes from the manifest, which is itself checked here.
//!
//! Takes a manifest, code, read-only data and claims; gives the checker's verdict. [`accept`] does so for what was just
//! compiled, with the claims made on the way. Everything in a manifest that the runtime relies on without looking is compared
//! with the rest of it: counts, types, entries, private tables.

use crate::claims::{claims, read, split, write_number};
use crate::compile::Compiled;
use crate::error::{CompileError, ErrorKind, Result};
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use rayon::prelude::*;
use vwasm_checker::claims::Claims;
use vwasm_checker::layout::InstanceShape;
use vwasm_checker::state::{State, WORDS};
use vwasm_checker::{Accepted, Checker, Class, Module, Reason, Rejection, Signature, Unit};
use vwasm_runtime::image::{PAGE, round_up};
use vwasm_runtime::manifest::{self as m, ExternType, Manifest, ValueType, record};

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(CompileError::new(ErrorKind::Rejected, message))
}

fn class(ty: ValueType) -> Result<Class> {
    Ok(match ty {
        ValueType::I32 | ValueType::FuncRef | ValueType::ExternRef => Class::Narrow,
        ValueType::I64 => Class::Wide,
        ValueType::F32 | ValueType::F64 => Class::Float,
        ValueType::V128 => return refuse("a function type with v128"),
    })
}

fn signature(ty: &m::FunctionType) -> Result<Signature> {
    let classes = |types: &[ValueType]| types.iter().map(|&ty| class(ty)).collect::<Result<Vec<Class>>>();
    // The validator's limits; they keep the words of a call far below the stack's guard.
    if ty.params.len() > 1000 || ty.results.len() > 1000 {
        return refuse("a function type with more than 1,000 parameters or results");
    }
    Ok(Signature::new(&classes(&ty.params)?, &classes(&ty.results)?))
}

/// Counts what the runtime will lay out, from the lists it uses.
fn shape(manifest: &Manifest) -> InstanceShape {
    let imports = |wanted: fn(&ExternType) -> bool| manifest.imports.iter().filter(|i| wanted(&i.kind)).count() as u32;
    let imported_tables = imports(|kind| matches!(kind, ExternType::Table(_)));
    InstanceShape {
        memory_imports: imports(|kind| matches!(kind, ExternType::Memory(_))),
        tables: imported_tables + manifest.tables.len() as u32,
        function_imports: imports(|kind| matches!(kind, ExternType::Function(_))),
        global_imports: imports(|kind| matches!(kind, ExternType::Global(_))),
        types: manifest.types.len() as u32,
        references: manifest.references.len() as u32,
        constants: manifest.globals.iter().filter(|global| !global.ty.mutable).count() as u32,
        globals: manifest.globals.iter().filter(|global| global.ty.mutable).count() as u32,
    }
}

/// What the checker is told.
pub fn describe<'a>(manifest: &Manifest, code: &'a [u8], data: &'a [u8]) -> Result<Module<'a>> {
    let types = manifest.types.iter().map(signature).collect::<Result<Vec<Signature>>>()?;
    let (shape, claimed) = (shape(manifest), &manifest.shape);
    let claimed = InstanceShape {
        memory_imports: claimed.memory_imports,
        tables: claimed.tables,
        function_imports: claimed.function_imports,
        global_imports: claimed.global_imports,
        types: claimed.types,
        references: claimed.references,
        constants: claimed.constants,
        globals: claimed.globals,
    };
    if shape != claimed {
        return refuse("the instance's shape does not agree with the lists");
    }
    if shape.memory_imports as usize + manifest.memories.len() > 1 {
        return refuse("more than one memory");
    }
    let bodies = manifest.functions.len();
    if manifest.far_thunks.len() != types.len() {
        return refuse("not one far thunk for each type");
    }
    if manifest.frames.len() != 16 * (bodies + types.len()) {
        return refuse("not one frame record for each function and far thunk");
    }
    let mut units = Vec::with_capacity(bodies + types.len());
    for n in 0..bodies + types.len() {
        let field = |field| record(&manifest.frames, 4, n, field).unwrap_or(u32::MAX);
        let thunk = n >= bodies;
        let (start, ty, index) = if thunk {
            (manifest.far_thunks[n - bodies], (n - bodies) as u32, u32::MAX)
        } else {
            let function = manifest.functions[n];
            (function.code, function.type_index, shape.function_imports + n as u32)
        };
        if field(0) != start || field(3) != index {
            return refuse(format!("frame record {n} does not agree with the function"));
        }
        units.push(Unit { start, end: field(1), ty });
    }
    let (mut import_types, mut tables, mut global_imports) = (Vec::new(), Vec::new(), Vec::new());
    for import in &manifest.imports {
        match &import.kind {
            ExternType::Function(ty) if (*ty as usize) < types.len() => import_types.push(*ty),
            ExternType::Function(_) => return refuse("an import of an unknown type"),
            ExternType::Table(table) => tables.push(table.limits.min),
            ExternType::Global(global) => global_imports.push(global.mutable),
            ExternType::Memory(_) => {}
        }
    }
    let imported_tables = tables.len();
    tables.extend(manifest.tables.iter().map(|table| table.limits.min));
    private_tables(manifest, imported_tables, tables.len())?;
    Ok(Module {
        code,
        data,
        data_start: round_up(code.len() as u64, PAGE),
        types,
        units,
        functions: bodies,
        import_types,
        tables,
        global_imports,
        own_memory: !manifest.memories.is_empty(),
        shape,
    })
}

/// A private table holds near entries, so no other instance may reach it: neither imported nor exported.
fn private_tables(manifest: &Manifest, imported: usize, count: usize) -> Result<()> {
    if manifest.private_tables.len() != count {
        return refuse("not one note for each table whether it is private");
    }
    let exports = manifest.exports.iter().filter(|export| export.kind == m::ExportKind::Table);
    for table in (0..imported).chain(exports.map(|export| export.index as usize)) {
        if manifest.private_tables.get(table) == Some(&true) {
            return refuse(format!("table {table} is called private, but others can reach it"));
        }
    }
    Ok(())
}

/// The rejection in words: function, address, bytes, instruction, what is missing.
pub fn explain(module: &Module<'_>, rejection: &Rejection) -> CompileError {
    let place = match rejection.unit {
        Some(unit) if unit < module.functions => format!("function {}", module.import_types.len() + unit),
        Some(unit) => format!("the far thunk of type {}", unit - module.functions),
        None => "the module".into(),
    };
    let (start, length) = (rejection.offset as usize, rejection.length as usize);
    let bytes = module.code.get(start..start + length).unwrap_or(&[]);
    let mut text = format!("{place}, code offset {start:#x}");
    if !bytes.is_empty() {
        // What the checker cannot decode comes with all bytes that it may be.
        let instruction = Decoder::with_ip(64, bytes, start as u64, DecoderOptions::NONE).decode();
        let shown: Vec<String> = bytes.iter().take(instruction.len()).map(|byte| format!("{byte:02x}")).collect();
        let mut assembly = String::new();
        IntelFormatter::new().format(&instruction, &mut assembly);
        text += &format!(", `{assembly}` ({})", shown.join(" "));
    }
    let ty = rejection.unit.and_then(|unit| module.types.get(module.units.get(unit)?.ty as usize));
    let reason = reason(&rejection.reason, ty.map_or(0, Signature::words));
    CompileError::new(ErrorKind::Rejected, format!("{text}: {reason}"))
}

/// Why code was rejected, in the words of `spec/sandbox.rules`; its function's caller owns so many words.
pub fn reason(reason: &Reason, incoming: u32) -> String {
    const REGISTERS: [&str; 16] =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
    let Reason::Missing(location, what) = *reason else { return reason.words().into() };
    match REGISTERS.get(location as usize) {
        Some(register) => format!("{register} is not known to be {what}"),
        None => {
            let at = 8 * (i64::from(WORDS + incoming) - i64::from(location));
            format!("the word at entry rsp{at:+} is not known to be {what}")
        }
    }
}

/// The checker's verdict on somebody else's code.
pub fn check(manifest: &Manifest, code: &[u8], data: &[u8], claims: &[u8]) -> Result<Accepted> {
    check_at(manifest, code, data, claims, round_up(code.len() as u64, PAGE))
}

/// The verdict if the read-only data begins at this distance from the code's start.
pub fn check_at(manifest: &Manifest, code: &[u8], data: &[u8], claims: &[u8], data_start: u64) -> Result<Accepted> {
    let module = Module { data_start, ..describe(manifest, code, data)? };
    let accepted = check_module(&module, claims).map_err(|rejection| explain(&module, &rejection))?;
    if accepted.features & !manifest.features != 0 {
        let missing = accepted.features & !manifest.features;
        return refuse(format!("the code needs CPU features ({missing:#x}) that the manifest does not ask for"));
    }
    Ok(accepted)
}

/// The checker's verdict on all units of a module.
pub fn check_module(module: &Module<'_>, claims: &[u8]) -> std::result::Result<Accepted, Rejection> {
    let checker = Checker::new(module)?;
    let unit = |(known, state): &mut (Claims, State), (number, bytes): (usize, &&[u8])| {
        let Unit { start, end, .. } = module.units[number];
        if number < module.functions && read(bytes, known, start, end).is_none() {
            return Err(Rejection { unit: Some(number), offset: start, length: 0, reason: Reason::Claims });
        }
        checker.unit(number, known, state)
    };
    let parts = split(claims, module)?;
    let found = parts.par_iter().enumerate().map_init(Default::default, unit).collect::<Vec<_>>();
    let mut accepted = Accepted::default();
    for found in found {
        let found = found?;
        accepted.features |= found.features;
        accepted.instructions += found.instructions;
    }
    Ok(accepted)
}

/// What was found of an executable that is accepted.
pub struct Verified {
    pub manifest: Manifest,
    pub accepted: Accepted,
    pub code_length: usize,
    pub data_length: usize,
    pub claims_length: usize,
}

/// The verdict on the bytes of an executable or object file.
pub fn file(file: &[u8]) -> Result<Verified> {
    if file.get(16..18) == Some(&[1, 0]) {
        return crate::verify_object::object(file);
    }
    let (payload, manifest, accepted) = executable(file)?;
    Ok(Verified {
        manifest,
        accepted,
        code_length: payload.code.len(),
        data_length: payload.data.len(),
        claims_length: payload.claims.len(),
    })
}

/// The parts of an executable, if the checker accepts it and it would start.
fn executable(file: &[u8]) -> Result<(crate::executable::Payload<'_>, Manifest, Accepted)> {
    let payload = crate::executable::read(file)?;
    let manifest = manifest(payload.manifest)?;
    let accepted = check(&manifest, payload.code, payload.data, payload.claims)?;
    if !manifest.is_consistent(payload.code.len() as u64, payload.data.len() as u64) {
        return refuse("the manifest contradicts itself");
    }
    Ok((payload, manifest, accepted))
}

/// A compiled module back from its executable, if that is accepted.
pub fn load(file: &[u8]) -> Result<Compiled> {
    let (payload, manifest, _) = executable(file)?;
    Ok(Compiled {
        code: payload.code.to_vec(),
        data: payload.data.to_vec(),
        claims: payload.claims.to_vec(),
        manifest,
        functions: Vec::new(),
    })
}

/// A manifest that can be run with.
pub fn manifest(bytes: &[u8]) -> Result<Manifest> {
    let Ok(manifest) = Manifest::decode(bytes) else { return refuse("the manifest cannot be read") };
    let stack = manifest.grants.stack_size;
    if !(64 << 10..=1 << 32).contains(&stack) {
        return refuse(format!("a stack of {stack} bytes"));
    }
    Ok(manifest)
}

/// Hash of every file of `spec/` that this vwasm was built from.
pub const SPEC_HASH: &str = include_str!(concat!(env!("OUT_DIR"), "/spec.hash"));

/// What is said of a build with rules that are not proved.
pub fn unproved<T: AsRef<str>>(rules: &[T]) -> Option<String> {
    const SHOWN: usize = 10;
    let mut names: Vec<String> = rules.iter().take(SHOWN).map(|rule| rule.as_ref().escape_debug().to_string()).collect();
    if rules.len() > SHOWN {
        names.push(format!("and {} more", rules.len() - SHOWN));
    }
    (!rules.is_empty()).then(|| format!("unproved rules: {} ({})", rules.len(), names.join(", ")))
}

impl std::fmt::Display for Verified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let grants = &self.manifest.grants;
        writeln!(f, "accepted: the sandbox theorem of spec/sandbox.rules applies")?;
        if let Some(unproved) = unproved(&self.manifest.unproved) {
            writeln!(f, "{unproved}: inside the sandbox it may compute wrong values")?;
        }
        writeln!(f, "program {}", self.manifest.name.escape_debug())?;
        for import in &self.manifest.imports {
            writeln!(f, "import {}.{}", import.module.escape_debug(), import.name.escape_debug())?;
        }
        for (host, guest) in &grants.directories {
            writeln!(f, "directory {} as {}", host.escape_debug(), guest.escape_debug())?;
        }
        for (key, value) in &grants.environment {
            writeln!(f, "environment {}={}", key.escape_debug(), value.escape_debug())?;
        }
        match grants.max_memory_pages {
            Some(pages) => writeln!(f, "memory at most {} bytes", u64::from(pages) << 16)?,
            None => writeln!(f, "memory at most {} bytes", 1u64 << 32)?,
        }
        writeln!(f, "stack {} bytes", grants.stack_size)?;
        for socket in &grants.sockets {
            writeln!(f, "socket at descriptor {socket}")?;
        }
        if let Some(call) = &grants.call {
            writeln!(f, "calls {}", call.export.escape_debug())?;
        }
        let limits = [
            ("elements of a table", grants.max_table_elements.map(u64::from)),
            ("open files", grants.max_open_files.map(u64::from)),
            ("bytes of output", grants.max_output),
            ("milliseconds", grants.timeout),
            ("units of fuel, if its code counts them (which is not checked)", grants.fuel),
        ];
        for (what, limit) in limits {
            if let Some(limit) = limit {
                writeln!(f, "at most {limit} {what}")?;
            }
        }
        let (functions, thunks) = (self.manifest.functions.len(), self.manifest.far_thunks.len());
        writeln!(f, "code {} bytes: {functions} functions, {thunks} far thunks", self.code_length)?;
        writeln!(f, "instructions {}", self.accepted.instructions)?;
        writeln!(f, "read-only data {} bytes, claims {} bytes", self.data_length, self.claims_length)?;
        let features = vwasm_runtime::cpu::names(self.accepted.features);
        writeln!(f, "CPU features {}", if features.is_empty() { "x86-64-v2" } else { &features })?;
        write!(f, "spec {SPEC_HASH}")
    }
}

/// Makes the claims of freshly compiled code, checks it with them, and notes both in it. `targets` are the places that the
/// jump tables of each function hold.
pub fn accept(compiled: &mut Compiled, targets: &[Vec<u32>]) -> Result<()> {
    let module = describe(&compiled.manifest, &compiled.code, &compiled.data)?;
    let explained = |rejection: Rejection| explain(&module, &rejection);
    let checker = Checker::new(&module).map_err(explained)?;
    let unit = |(known, state): &mut (Claims, State), number: usize| -> Result<(Vec<u8>, u32)> {
        let Unit { start, end, .. } = module.units[number];
        if number >= module.functions {
            return checker.unit(number, known, state).map(|found| (Vec::new(), found.features)).map_err(explained);
        }
        let frame = record(&compiled.manifest.frames, 4, number, 2).unwrap_or(0);
        let mut tried = |thorough| {
            let made = claims(&checker, number, &targets[number], frame, thorough);
            let read = made.filter(|made| read(made, known, start, end).is_some());
            let made =
                read.ok_or_else(|| CompileError::new(ErrorKind::Rejected, format!("unit {number} cannot be decoded")))?;
            checker.unit(number, known, state).map(|found| (made, found.features)).map_err(explained)
        };
        tried(false).or_else(|_| tried(true))
    };
    let parts = (0..module.units.len()).into_par_iter().map_init(Default::default, unit).collect::<Vec<_>>();
    let (mut joined, mut features) = (Vec::new(), 0);
    for part in parts {
        let (bytes, found) = part?;
        write_number(&mut joined, bytes.len() as u64);
        joined.extend_from_slice(&bytes);
        features |= found;
    }
    compiled.claims = joined;
    compiled.manifest.features = features;
    Ok(())
}
