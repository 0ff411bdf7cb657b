//! Making instances: link checks, fields, segments, start (WebAssembly 2.0 §4.5.4).

use crate::layout::*;
use crate::manifest::*;
use crate::memory::FunctionRecord;
use crate::shown::shown;
use crate::store::{Extern, Global, Instance, Memory, Module, References, Store, Table};
use crate::trap::Trap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

#[derive(Debug)]
pub enum InstantiateError {
    /// An import is missing or has the wrong type.
    Link(String),
    /// The system refused memory.
    Resources(String),
    Trap(Trap),
}

type Made<T> = Result<T, InstantiateError>;

fn resources(error: i32) -> InstantiateError {
    InstantiateError::Resources(format!("the system refused memory for an instance (error {error})"))
}

fn limit(what: &str, wanted: u64, most: u64) -> InstantiateError {
    InstantiateError::Resources(format!("the program begins with {wanted} {what}; its limit is {most}"))
}

fn invalid() -> InstantiateError {
    InstantiateError::Link("the compiled module is damaged".to_string())
}

fn trap(code: TrapCode) -> InstantiateError {
    InstantiateError::Trap(Trap::code(code))
}

impl Store {
    /// Whether something may stand for an import.
    fn matches(&self, module: &Manifest, import: &ExternType, given: Extern) -> bool {
        let fits = |min: u64, max: Option<u64>, wanted: &Limits| {
            min >= wanted.min && wanted.max.is_none_or(|wanted| max.is_some_and(|max| max <= wanted))
        };
        match (import, given) {
            (ExternType::Function(ty), Extern::Function(reference)) => {
                module.types.get(*ty as usize).is_some_and(|ty| self.function_type(reference) == Some(ty))
            }
            (ExternType::Table(ty), Extern::Table(index)) => self.tables.get(index as usize).is_some_and(|table| {
                table.element == ty.element && fits(u64::from(table.slots.length), table.max, &ty.limits)
            }),
            (ExternType::Memory(limits), Extern::Memory(index)) => self.memories.get(index as usize).is_some_and(|memory| {
                let pages = self.regions.get(memory.region as usize).map_or(0, |region| region.pages);
                fits(pages, memory.max, limits)
            }),
            (ExternType::Global(ty), Extern::Global(index)) => {
                self.globals.get(index as usize).is_some_and(|global| global.ty == *ty)
            }
            _ => false,
        }
    }

    /// Makes an instance and runs its start function. What a failed one has written stays written.
    pub fn instantiate(&mut self, module: &Arc<Module>, imports: &[Extern]) -> Made<u32> {
        let manifest = &module.manifest;
        for (import, &given) in manifest.imports.iter().zip(imports) {
            if !self.matches(manifest, &import.kind, given) {
                let message = format!("incompatible import type for {}.{}", shown(&import.module), shown(&import.name));
                return Err(InstantiateError::Link(message));
            }
        }
        if imports.len() != manifest.imports.len() {
            return Err(InstantiateError::Link("unknown import".to_string()));
        }
        crate::enter::prepare(manifest.features);
        // Nothing can refer to a part of an instance that was not built whole: it goes at once.
        let before = self.extent();
        let (index, has_data) = self.build(module, imports).inspect_err(|_| self.shrink(before))?;
        self.initialise(index, has_data)?;
        if let Some(start) = manifest.start {
            let reference = self.instances[index as usize].functions.get(module, start).ok_or_else(invalid)?;
            self.invoke(reference, &[], &mut []).map_err(InstantiateError::Trap)?;
        }
        Ok(index)
    }

    /// Gives also whether the memory holds the active data segments already.
    fn build(&mut self, module: &Arc<Module>, imports: &[Extern]) -> Made<(u32, bool)> {
        let manifest = &module.manifest;
        let layout = InstanceLayout::new(&manifest.shape).ok_or_else(invalid)?;
        let memory = manifest.memory(self.config.max_memory_pages);
        if let Some((min, most)) = memory.filter(|(min, most)| min > most) {
            return Err(limit("pages of memory", min, most));
        }
        let most = self.config.max_table_elements;
        if let Some(table) = manifest.tables.iter().find(|table| table.limits.min > most) {
            return Err(limit("table elements", table.limits.min, most));
        }
        let (region, has_data) = self.config.pool.region(layout.size, memory, module).map_err(resources)?;
        let base = region.base as u64;
        self.regions.push(region);
        let region_index = self.regions.len() as u32 - 1;

        let mut imported = Vec::new();
        let (mut tables, mut memories, mut globals) = (Vec::new(), Vec::new(), Vec::new());
        for &import in imports {
            match import {
                Extern::Function(reference) => imported.push(reference),
                Extern::Table(index) => tables.push(index),
                Extern::Memory(index) => memories.push(index),
                Extern::Global(index) => globals.push(index),
            }
        }
        let imported_globals = globals.len();
        let signatures: Vec<u32> = module.types.iter().map(|ty| self.intern(ty)).collect();
        let functions = References { imported, first: self.functions.count };
        if module.records.len() != module.referable.len() {
            return Err(invalid());
        }
        for record in &module.records {
            let signature = *signatures.get(record.signature as usize).ok_or_else(invalid)?;
            self.functions.push(FunctionRecord { instance: base, signature, ..*record }).ok_or_else(|| resources(12))?;
        }
        for ty in &manifest.tables {
            let slots = self.config.pool.slots(ty.limits.min, ty.limits.max, most).map_err(resources)?;
            let private = manifest.private_tables.get(tables.len()).copied().unwrap_or(false);
            let private_to = private.then_some(base);
            self.tables.push(Table { slots, element: ty.element, max: ty.limits.max, private_to });
            tables.push(self.tables.len() as u32 - 1);
        }
        if let Some(limits) = manifest.memories.first() {
            self.memories.push(Memory { region: region_index, max: limits.max });
            memories.push(self.memories.len() as u32 - 1);
        }
        let (mut constants, mut variables) = (0, 0);
        for global in &manifest.globals {
            let value = self.constant(&global.init, &globals, &functions, module)?;
            let region = &self.regions[region_index as usize];
            let offset = if global.ty.mutable {
                variables += 1;
                layout.global(variables - 1)
            } else {
                constants += 1;
                layout.constant(constants - 1)
            };
            region.write_u64(offset, value);
            let cell = region.field(offset).cast();
            self.globals.push(Global { cell, ty: global.ty });
            globals.push(self.globals.len() as u32 - 1);
        }

        // The fields.
        let region = &self.regions[region_index as usize];
        region.write_u64(INSTANCE_GATE, crate::leaf::gate_address());
        region.write_u64(INSTANCE_FUNCTIONS, self.functions.base() as u64);
        region.write_u64(INSTANCE_MEMORY_PAGES, region.pages);
        region.write_u64(INSTANCE_CONTEXT, &raw const *self.context as u64);
        region.write_u64(INSTANCE_INSTANCE, self.instances.len() as u64);
        region.write_u64(INSTANCE_FUEL, self.initial_fuel());
        let imported_memories = manifest.shape.memory_imports as usize;
        for (number, &memory) in memories.iter().take(imported_memories).enumerate() {
            let owner = self.memories[memory as usize].region as usize;
            region.write_u64(layout.memory_import(number as u32), self.regions[owner].base as u64);
        }
        for (number, &table) in tables.iter().enumerate() {
            region.write_u64(layout.table(number as u32), self.tables[table as usize].slots.base() as u64);
        }
        for (number, &reference) in functions.imported.iter().enumerate() {
            let record = self.functions.get(reference).ok_or_else(invalid)?;
            let offset = layout.function_import(number as u32);
            region.write_u64(offset + SLOT_CODE, record.far);
            region.write_u32(offset + SLOT_SIGNATURE, record.signature);
            region.write_u32(offset + SLOT_REFERENCE, reference);
        }
        for (number, &global) in globals.iter().take(imported_globals).enumerate() {
            region.write_u64(layout.global_import(number as u32), self.globals[global as usize].cell as u64);
        }
        for (number, &signature) in signatures.iter().enumerate() {
            region.write_u32(layout.signature(number as u32), signature);
        }
        for (number, &function) in manifest.references.iter().enumerate() {
            let reference = functions.get(module, function).ok_or_else(invalid)?;
            region.write_u32(layout.function_reference(number as u32), reference);
        }
        if !self.modules.iter().any(|known| Arc::ptr_eq(known, module)) {
            self.modules.push(module.clone());
        }
        self.instances.push(Instance {
            module: module.clone(),
            region: region_index,
            memory: memories.first().copied(),
            tables,
            functions,
            globals,
            layout,
            dropped_data: manifest.data.iter().map(|_| false).collect(),
            dropped_elements: manifest.elements.iter().map(|_| false).collect(),
        });
        Ok((self.instances.len() as u32 - 1, has_data))
    }

    fn constant(&self, expr: &ConstExpr, globals: &[u32], functions: &References, module: &Module) -> Made<u64> {
        Ok(match *expr {
            ConstExpr::I32(value) | ConstExpr::F32(value) => u64::from(value),
            ConstExpr::I64(value) | ConstExpr::F64(value) => value,
            ConstExpr::RefNull => 0,
            ConstExpr::RefFunc(index) => u64::from(functions.get(module, index).ok_or_else(invalid)?),
            ConstExpr::GlobalGet(index) => {
                let global = *globals.get(index as usize).ok_or_else(invalid)?;
                self.global_value(global).ok_or_else(invalid)?.1
            }
        })
    }

    fn constant_of(&self, instance: u32, expr: &ConstExpr) -> Made<u64> {
        let instance = &self.instances[instance as usize];
        self.constant(expr, &instance.globals, &instance.functions, &instance.module)
    }

    /// Active segments, in order; each is checked as a whole before it is written. Data segments may be there already: then
    /// none of them, and nothing before them, can fail in a way that anybody sees (`pool::Image`).
    fn initialise(&mut self, instance: u32, has_data: bool) -> Made<()> {
        let module = self.instances[instance as usize].module.clone();
        for (number, element) in module.manifest.elements.iter().enumerate() {
            if let SegmentMode::Active { target, offset } = element.mode {
                let offset = self.constant_of(instance, &offset)? as u32;
                let length = element.items.len() as u32;
                self.table_init(instance, target, number as u32, offset, 0, length).map_err(trap)?;
            }
            if element.mode != SegmentMode::Passive {
                self.instances[instance as usize].dropped_elements[number] = true;
            }
        }
        for (number, data) in module.manifest.data.iter().enumerate() {
            if let SegmentMode::Active { offset, .. } = data.mode {
                if !has_data {
                    let offset = self.constant_of(instance, &offset)? as u32;
                    self.memory_init(instance, number as u32, offset, 0, data.length).map_err(trap)?;
                }
                self.instances[instance as usize].dropped_data[number] = true;
            }
        }
        Ok(())
    }

    /// `table.init`; also what instantiation does for active segments.
    pub(crate) fn table_init(
        &mut self,
        instance: u32,
        table: u32,
        segment: u32,
        destination: u32,
        source: u32,
        length: u32,
    ) -> Result<(), TrapCode> {
        let out_of_bounds = TrapCode::OutOfBoundsTableAccess;
        let info = self.instances.get(instance as usize).ok_or(out_of_bounds)?;
        let module = info.module.clone();
        let table = *info.tables.get(table as usize).ok_or(out_of_bounds)?;
        let dropped = *info.dropped_elements.get(segment as usize).ok_or(out_of_bounds)?;
        let items: &[ConstExpr] = if dropped { &[] } else { &module.manifest.elements[segment as usize].items };
        let end = u64::from(source) + u64::from(length);
        let items = items.get(source as usize..usize::try_from(end).map_err(|_| out_of_bounds)?).ok_or(out_of_bounds)?;
        let target = &self.tables[table as usize];
        if u64::from(destination) + u64::from(length) > u64::from(target.slots.length) {
            return Err(out_of_bounds);
        }
        let (element, private_to) = (target.element, target.private_to);
        for (number, item) in items.iter().enumerate() {
            let reference = self.constant_of(instance, item).map_err(|_| out_of_bounds)? as u32;
            let slot = self.slot(element, private_to, reference).ok_or(out_of_bounds)?;
            self.tables[table as usize].slots.set(destination + number as u32, slot);
        }
        Ok(())
    }

    /// `memory.init`.
    pub(crate) fn memory_init(
        &mut self,
        instance: u32,
        segment: u32,
        destination: u32,
        source: u32,
        length: u32,
    ) -> Result<(), TrapCode> {
        let out_of_bounds = TrapCode::OutOfBoundsMemoryAccess;
        let info = self.instances.get(instance as usize).ok_or(out_of_bounds)?;
        let dropped = *info.dropped_data.get(segment as usize).ok_or(out_of_bounds)?;
        let memory = self.memories.get(info.memory.ok_or(out_of_bounds)? as usize).ok_or(out_of_bounds)?;
        let data = &info.module.manifest.data[segment as usize];
        let bytes: &[u8] = if dropped {
            &[]
        } else {
            let (start, end) = (data.start as usize, data.start as usize + data.length as usize);
            info.module.data().get(start..end).ok_or(out_of_bounds)?
        };
        let end = source as usize + length as usize;
        let bytes = bytes.get(source as usize..end).ok_or(out_of_bounds)?;
        let region = self.regions.get(memory.region as usize).ok_or(out_of_bounds)?;
        if destination as usize + length as usize > region.memory_bytes() {
            return Err(out_of_bounds);
        }
        // SAFETY: the range was checked against the committed memory; segments lie outside linear memory.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), region.base.add(destination as usize), bytes.len()) };
        Ok(())
    }
}
