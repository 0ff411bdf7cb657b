//! A binary module decoded and validated, except for function bodies.
//!
//! Takes the bytes, gives the [`Module`]: types, imports, definitions, segments, names, and each body with the validator that
//! translation drives. After this the compiler sees no invalid module. The features are those of WebAssembly 2.0 without SIMD.

use crate::error::{CompileError, ErrorKind, Result};
use crate::ir::Type;
use crate::layout::{InstanceLayout, InstanceShape};
use crate::lines::Sections;
use rustc_hash::FxHashSet;
use vwasm_runtime::manifest::{ConstExpr, Limits, ValueType};
use vwasm_runtime::shown::shown;
use wasmparser::{
    DataKind, ElementItems, ElementKind, ExternalKind, FuncToValidate, FunctionBody, KnownCustom, Name, Operator, Parser,
    Payload, TypeRef, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

pub struct FunctionType {
    pub params: Vec<ValueType>,
    pub results: Vec<ValueType>,
}

#[derive(Clone, Debug)]
pub enum ImportKind {
    Function(u32),
    Table(Table),
    Memory(Limits),
    Global { ty: ValueType, mutable: bool },
}

pub struct Import {
    pub module: String,
    pub name: String,
    pub kind: ImportKind,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub element: ValueType,
    pub limits: Limits,
}

pub struct Global {
    pub ty: ValueType,
    pub mutable: bool,
    /// None for an imported one.
    pub init: Option<ConstExpr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    Function,
    Table,
    Memory,
    Global,
}

pub struct Export {
    pub name: String,
    pub kind: Entity,
    pub index: u32,
}

pub enum SegmentMode {
    Passive,
    Active { target: u32, offset: ConstExpr },
    Declared,
}

pub struct ElementSegment {
    pub mode: SegmentMode,
    pub element: ValueType,
    pub items: Vec<ConstExpr>,
}

pub struct DataSegment<'a> {
    pub mode: SegmentMode,
    pub bytes: &'a [u8],
}

pub struct Body<'a> {
    pub validator: FuncToValidate<ValidatorResources>,
    pub body: FunctionBody<'a>,
}

impl Body<'_> {
    /// A validator for the body; each translation needs its own.
    pub fn validator(&self) -> FuncToValidate<ValidatorResources> {
        let validator = &self.validator;
        FuncToValidate {
            resources: validator.resources.clone(),
            index: validator.index,
            ty: validator.ty,
            features: validator.features,
        }
    }
}

#[derive(Default)]
pub struct Module<'a> {
    pub types: Vec<FunctionType>,
    pub imports: Vec<Import>,
    /// Type of each function, imported ones first.
    pub functions: Vec<u32>,
    pub imported_functions: u32,
    pub tables: Vec<Table>,
    pub imported_tables: u32,
    pub memories: Vec<Limits>,
    pub imported_memories: u32,
    pub globals: Vec<Global>,
    pub imported_globals: u32,
    pub exports: Vec<Export>,
    pub start: Option<u32>,
    pub elements: Vec<ElementSegment>,
    pub data: Vec<DataSegment<'a>>,
    pub bodies: Vec<Body<'a>>,
    /// From the name section: function index and name.
    pub names: Vec<(u32, String)>,
    pub name: String,
    /// Its DWARF, as far as it tells lines.
    pub debug: Sections<'a>,
    /// Functions that `ref.func` names in code, sorted; their position is the number of the instance field.
    pub references: Vec<u32>,
    exported_tables: FxHashSet<u32>,
    /// Whether any body may change a table's length.
    pub tables_grow: bool,
    pub shape: InstanceShape,
    pub layout: Option<InstanceLayout>,
    /// For each global its number among the cells of its class.
    pub global_cells: Vec<u32>,
}

/// The features of WebAssembly 2.0 without SIMD.
pub fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::GC_TYPES
        | WasmFeatures::FLOATS
}

/// A wasmparser error as ours.
pub fn invalid(error: wasmparser::BinaryReaderError) -> CompileError {
    // The message may quote names of the module.
    let message = shown(error.message());
    if message.contains("SIMD support is not enabled") || message.contains("v128") {
        return CompileError::new(ErrorKind::Unsupported, "SIMD (v128) is not supported yet")
            .at(error.offset() as u64)
            .hint("build the program without -msimd128");
    }
    CompileError::new(ErrorKind::Invalid, message).at(error.offset() as u64)
}

fn value_type(ty: wasmparser::ValType) -> ValueType {
    match ty {
        wasmparser::ValType::I32 => ValueType::I32,
        wasmparser::ValType::I64 => ValueType::I64,
        wasmparser::ValType::F32 => ValueType::F32,
        wasmparser::ValType::F64 => ValueType::F64,
        wasmparser::ValType::V128 => ValueType::V128,
        wasmparser::ValType::Ref(ty) if ty.is_extern_ref() => ValueType::ExternRef,
        wasmparser::ValType::Ref(_) => ValueType::FuncRef,
    }
}

/// The IR type of a Wasm type: references are indices.
pub fn ir_type(ty: ValueType) -> Type {
    match ty {
        ValueType::I32 | ValueType::FuncRef | ValueType::ExternRef => Type::I32,
        ValueType::I64 | ValueType::V128 => Type::I64,
        ValueType::F32 => Type::F32,
        ValueType::F64 => Type::F64,
    }
}

pub fn ir_types(types: &[ValueType]) -> Vec<Type> {
    types.iter().map(|&ty| ir_type(ty)).collect()
}

fn const_expr(expr: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr> {
    let mut reader = expr.get_operators_reader();
    Ok(match reader.read().map_err(invalid)? {
        Operator::I32Const { value } => ConstExpr::I32(value as u32),
        Operator::I64Const { value } => ConstExpr::I64(value as u64),
        Operator::F32Const { value } => ConstExpr::F32(value.bits()),
        Operator::F64Const { value } => ConstExpr::F64(value.bits()),
        Operator::GlobalGet { global_index } => ConstExpr::GlobalGet(global_index),
        Operator::RefNull { .. } => ConstExpr::RefNull,
        Operator::RefFunc { function_index } => ConstExpr::RefFunc(function_index),
        other => {
            return Err(CompileError::new(ErrorKind::Unsupported, format!("{other:?} in a constant expression")));
        }
    })
}

fn limits(min: u64, max: Option<u64>) -> Limits {
    Limits { min, max }
}

impl<'a> Module<'a> {
    /// Decodes and validates a binary module.
    pub fn decode(bytes: &'a [u8]) -> Result<Module<'a>> {
        Module::decode_with(bytes, features())
    }

    pub fn decode_with(bytes: &'a [u8], features: WasmFeatures) -> Result<Module<'a>> {
        let mut module = Module::default();
        let mut validator = Validator::new_with_features(features);
        let malformed = |error: wasmparser::BinaryReaderError| CompileError { kind: ErrorKind::Malformed, ..invalid(error) };
        let mut parser = Parser::new(0);
        parser.set_features(features);
        for payload in parser.parse_all(bytes) {
            let payload = payload.map_err(malformed)?;
            if let ValidPayload::Func(validator, body) = validator.payload(&payload).map_err(invalid)? {
                module.bodies.push(Body { validator, body });
            }
            module.section(payload)?;
        }
        module.finish()?;
        Ok(module)
    }

    fn section(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::TypeSection(reader) => {
                for ty in reader.into_iter_err_on_gc_types() {
                    let ty = ty.map_err(invalid)?;
                    self.types.push(FunctionType {
                        params: ty.params().iter().map(|&ty| value_type(ty)).collect(),
                        results: ty.results().iter().map(|&ty| value_type(ty)).collect(),
                    });
                }
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import.map_err(invalid)?;
                    self.import(import)?;
                }
            }
            Payload::FunctionSection(reader) => {
                for ty in reader {
                    self.functions.push(ty.map_err(invalid)?);
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    self.tables.push(table_type(table.map_err(invalid)?.ty));
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    let memory = memory.map_err(invalid)?;
                    self.memories.push(limits(memory.initial, memory.maximum));
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    let global = global.map_err(invalid)?;
                    self.globals.push(Global {
                        ty: value_type(global.ty.content_type),
                        mutable: global.ty.mutable,
                        init: Some(const_expr(&global.init_expr)?),
                    });
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export.map_err(invalid)?;
                    let kind = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => Entity::Function,
                        ExternalKind::Table => Entity::Table,
                        ExternalKind::Memory => Entity::Memory,
                        ExternalKind::Global => Entity::Global,
                        ExternalKind::Tag => {
                            return Err(CompileError::new(ErrorKind::Unsupported, "exception tags"));
                        }
                    };
                    self.exports.push(Export { name: export.name.to_string(), kind, index: export.index });
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => {
                for element in reader {
                    let element = element.map_err(invalid)?;
                    let mode = match &element.kind {
                        ElementKind::Passive => SegmentMode::Passive,
                        ElementKind::Declared => SegmentMode::Declared,
                        ElementKind::Active { table_index, offset_expr } => {
                            SegmentMode::Active { target: table_index.unwrap_or(0), offset: const_expr(offset_expr)? }
                        }
                    };
                    let mut items = Vec::new();
                    let mut ty = ValueType::FuncRef;
                    match element.items {
                        ElementItems::Functions(functions) => {
                            for function in functions {
                                items.push(ConstExpr::RefFunc(function.map_err(invalid)?));
                            }
                        }
                        ElementItems::Expressions(element, expressions) => {
                            ty = value_type(wasmparser::ValType::Ref(element));
                            for expression in expressions {
                                items.push(const_expr(&expression.map_err(invalid)?)?);
                            }
                        }
                    }
                    self.elements.push(ElementSegment { mode, element: ty, items });
                }
            }
            Payload::DataSection(reader) => {
                for data in reader {
                    let data = data.map_err(invalid)?;
                    let mode = match data.kind {
                        DataKind::Passive => SegmentMode::Passive,
                        DataKind::Active { memory_index, offset_expr } => {
                            SegmentMode::Active { target: memory_index, offset: const_expr(&offset_expr)? }
                        }
                    };
                    self.data.push(DataSegment { mode, bytes: data.data });
                }
            }
            Payload::CodeSectionStart { unchecked_range, .. } => self.debug.code = unchecked_range.start as u32,
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    self.name_section(names);
                }
                match section.name() {
                    ".debug_line" => self.debug.line = section.data(),
                    ".debug_line_str" => self.debug.line_strings = section.data(),
                    ".debug_str" => self.debug.strings = section.data(),
                    ".debug_info" => self.debug.info = section.data(),
                    ".debug_abbrev" => self.debug.abbreviations = section.data(),
                    ".debug_str_offsets" => self.debug.string_offsets = section.data(),
                    ".debug_addr" => self.debug.addresses = section.data(),
                    ".debug_ranges" => self.debug.ranges = section.data(),
                    ".debug_rnglists" => self.debug.range_lists = section.data(),
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'a>) -> Result<()> {
        let kind = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                self.imported_functions += 1;
                ImportKind::Function(ty)
            }
            TypeRef::Table(ty) => {
                let table = table_type(ty);
                self.tables.push(table.clone());
                self.imported_tables += 1;
                ImportKind::Table(table)
            }
            TypeRef::Memory(ty) => {
                let limits = limits(ty.initial, ty.maximum);
                self.memories.push(limits);
                self.imported_memories += 1;
                ImportKind::Memory(limits)
            }
            TypeRef::Global(ty) => {
                let (mutable, ty) = (ty.mutable, value_type(ty.content_type));
                self.globals.push(Global { ty, mutable, init: None });
                self.imported_globals += 1;
                ImportKind::Global { ty, mutable }
            }
            TypeRef::Tag(_) => return Err(CompileError::new(ErrorKind::Unsupported, "exception tags")),
        };
        self.imports.push(Import { module: import.module.to_string(), name: import.name.to_string(), kind });
        Ok(())
    }

    /// Names are advice: whatever cannot be read is left out.
    fn name_section(&mut self, names: wasmparser::NameSectionReader<'a>) {
        for name in names {
            match name {
                Ok(Name::Module { name, .. }) => self.name = name.to_string(),
                Ok(Name::Function(map)) => {
                    for naming in map {
                        let Ok(naming) = naming else { break };
                        self.names.push((naming.index, naming.name.to_string()));
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }

    /// What needs the whole module: references in code, the shape of an instance.
    fn finish(&mut self) -> Result<()> {
        for body in &self.bodies {
            // A cheap look at the operators that matter; errors are found by validation later.
            let Ok(mut reader) = body.body.get_operators_reader() else { continue };
            while !reader.eof() {
                match reader.read() {
                    Ok(Operator::RefFunc { function_index }) => self.references.push(function_index),
                    Ok(Operator::TableGrow { .. }) => self.tables_grow = true,
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        let tables = self.exports.iter().filter(|export| export.kind == Entity::Table);
        self.exported_tables = tables.map(|export| export.index).collect();
        self.references.sort_unstable();
        self.references.dedup();
        let (mut constants, mut variables) = (0, 0);
        for (number, global) in self.globals.iter().enumerate() {
            let counter = if global.mutable { &mut variables } else { &mut constants };
            if (number as u32) < self.imported_globals {
                self.global_cells.push(number as u32);
            } else {
                self.global_cells.push(*counter);
                *counter += 1;
            }
        }
        self.shape = InstanceShape {
            memory_imports: self.imported_memories,
            tables: self.tables.len() as u32,
            function_imports: self.imported_functions,
            global_imports: self.imported_globals,
            types: self.types.len() as u32,
            references: self.references.len() as u32,
            constants,
            globals: variables,
        };
        let layout = InstanceLayout::new(&self.shape);
        if layout.is_none() {
            return Err(CompileError::new(ErrorKind::Limit, "an instance's fields take more than 1 GiB"));
        }
        self.layout = layout;
        Ok(())
    }

    /// Whether only this module's own instance can reach a table.
    pub fn is_private_table(&self, table: u32) -> bool {
        table >= self.imported_tables && !self.exported_tables.contains(&table)
    }

    /// Where instance fields are. (`decode` fails without a layout.)
    pub fn layout(&self) -> InstanceLayout {
        self.layout.unwrap_or_else(|| unreachable!("decode computed the layout"))
    }

    pub fn function_type(&self, function: u32) -> &FunctionType {
        &self.types[self.functions[function as usize] as usize]
    }
}

fn table_type(ty: wasmparser::TableType) -> Table {
    Table { element: value_type(wasmparser::ValType::Ref(ty.element_type)), limits: limits(ty.initial, ty.maximum) }
}

/// The features of WebAssembly 1.0.
pub fn features_1() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL | WasmFeatures::GC_TYPES | WasmFeatures::FLOATS
}
