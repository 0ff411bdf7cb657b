//! What the compiler tells the runtime about a module: one definition, with the encoder and the decoder side by side.
//!
//! Lists that are needed to make an instance are decoded at once; bulk tables (`frames`, `sites`, `names`) stay bytes of
//! fixed-size little-endian records and are searched only when a trap is reported. Decoding never panics.

use crate::layout::InstanceShape;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ValueType {
    I32,
    I64,
    F32,
    F64,
    V128,
    FuncRef,
    ExternRef,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionType {
    pub params: Vec<ValueType>,
    pub results: Vec<ValueType>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub min: u64,
    pub max: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableType {
    pub element: ValueType,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalType {
    pub value: ValueType,
    pub mutable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternType {
    /// By index of the module's types.
    Function(u32),
    Table(TableType),
    Memory(Limits),
    Global(GlobalType),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub module: String,
    pub name: String,
    pub kind: ExternType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstExpr {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
    GlobalGet(u32),
    RefNull,
    RefFunc(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    pub ty: GlobalType,
    pub init: ConstExpr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExportKind {
    Function,
    Table,
    Memory,
    Global,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    pub name: String,
    pub kind: ExportKind,
    pub index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentMode {
    Passive,
    Active { target: u32, offset: ConstExpr },
    Declared,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub mode: SegmentMode,
    pub element: ValueType,
    pub items: Vec<ConstExpr>,
}

/// Bytes `start..start + length` of the read-only data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    pub mode: SegmentMode,
    pub start: u32,
    pub length: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    pub type_index: u32,
    /// Entry, as an offset in the code.
    pub code: u32,
    /// Where its body begins in the Wasm module; for backtraces.
    pub body: u32,
}

/// What an executable may use and gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Host directory and its name for the guest.
    pub directories: Vec<(String, String)>,
    pub environment: Vec<(String, String)>,
    /// Sockets it is started with, by the descriptors of whoever starts it.
    pub sockets: Vec<u32>,
    pub max_memory_pages: Option<u32>,
    pub stack_size: u64,
    /// Of each table.
    pub max_table_elements: Option<u32>,
    pub max_open_files: Option<u32>,
    /// Bytes written to files and streams.
    pub max_output: Option<u64>,
    /// Milliseconds of wall-clock time.
    pub timeout: Option<u64>,
    /// Units of fuel; the code counts them.
    pub fuel: Option<u64>,
    /// What is called in place of `_start`.
    pub call: Option<Call>,
}

/// A call of an exported function, whose results are printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub export: String,
    /// Bits of numbers; there are no references among them.
    pub arguments: Vec<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub name: String,
    pub types: Vec<FunctionType>,
    pub imports: Vec<Import>,
    pub functions: Vec<Function>,
    /// Code offset of each type's far thunk.
    pub far_thunks: Vec<u32>,
    pub tables: Vec<TableType>,
    /// Of all tables, imported ones first: whether only this instance can reach it.
    pub private_tables: Vec<bool>,
    pub memories: Vec<Limits>,
    pub globals: Vec<Global>,
    pub exports: Vec<Export>,
    pub start: Option<u32>,
    pub elements: Vec<Element>,
    pub data: Vec<Data>,
    /// Function whose reference stands in field `function_reference(k)`.
    pub references: Vec<u32>,
    pub shape: InstanceShape,
    /// Bits of CPU features the code uses beyond x86-64-v2.
    pub features: u32,
    pub grants: Grants,
    /// Records {start, end, frame size, function or u32::MAX}, by start.
    pub frames: Cow<'static, [u8]>,
    /// Records {code offset, trap code or 0 for a return address, Wasm offset}, by code offset.
    pub sites: Cow<'static, [u8]>,
    /// Records {function, offset in the name bytes, length}, by function; then the name bytes.
    pub names: Cow<'static, [u8]>,
    pub name_count: u32,
    /// Lines of the source: `line_count` records of u32 Wasm offset, start and length of a file's name in what follows all
    /// records, line (0: not known), the innermost inlined call there (its number plus one; 0: none); by offset, each holds until
    /// the next. Then `inlined_count` records of calls that the source's compiler inlined: start and length of the callee's name,
    /// and of the name of the file that the call is in, its line (0: not known), and the call around it, which has a lower number.
    pub lines: Cow<'static, [u8]>,
    pub line_count: u32,
    pub inlined_count: u32,
    /// Rules without a proof that the compiler was built with; none in an honest build.
    pub unproved: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestError;

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
    fn list<T>(&mut self, list: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.u32(list.len() as u32);
        list.iter().for_each(|item| write(self, item));
    }
    fn limits(&mut self, limits: &Limits) {
        self.u64(limits.min);
        self.u64(limits.max.unwrap_or(u64::MAX));
    }
    fn table(&mut self, table: &TableType) {
        self.u8(table.element as u8);
        self.limits(&table.limits);
    }
    fn global(&mut self, global: &GlobalType) {
        self.u8(global.value as u8);
        self.u8(u8::from(global.mutable));
    }
    fn constant(&mut self, expr: &ConstExpr) {
        let (tag, bits) = match *expr {
            ConstExpr::I32(value) => (0, u64::from(value)),
            ConstExpr::I64(value) => (1, value),
            ConstExpr::F32(bits) => (2, u64::from(bits)),
            ConstExpr::F64(bits) => (3, bits),
            ConstExpr::GlobalGet(index) => (4, u64::from(index)),
            ConstExpr::RefNull => (5, 0),
            ConstExpr::RefFunc(index) => (6, u64::from(index)),
        };
        self.u8(tag);
        self.u64(bits);
    }
    fn mode(&mut self, mode: &SegmentMode) {
        match mode {
            SegmentMode::Passive => self.u8(0),
            SegmentMode::Declared => self.u8(1),
            SegmentMode::Active { target, offset } => {
                self.u8(2);
                self.u32(*target);
                self.constant(offset);
            }
        }
    }
    fn pair(&mut self, pair: &(String, String)) {
        self.bytes(pair.0.as_bytes());
        self.bytes(pair.1.as_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

type Read<T> = Result<T, ManifestError>;

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ManifestError)?;
        self.0 = rest;
        Ok(taken)
    }
    fn u8(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }
    fn u32(&mut self) -> Read<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(bytes))
    }
    fn u64(&mut self) -> Read<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(bytes))
    }
    fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = usize::try_from(self.u64()?).map_err(|_| ManifestError)?;
        self.take(length)
    }
    fn string(&mut self) -> Read<String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }
    fn list<T>(&mut self, mut read: impl FnMut(&mut Reader<'a>) -> Read<T>) -> Read<Vec<T>> {
        let count = self.u32()? as usize;
        // A wild count fails before it costs more memory than there are bytes.
        let mut list = Vec::with_capacity(count.min(self.0.len() / size_of::<T>().max(1)));
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }
    fn value_type(&mut self) -> Read<ValueType> {
        Ok(match self.u8()? {
            0 => ValueType::I32,
            1 => ValueType::I64,
            2 => ValueType::F32,
            3 => ValueType::F64,
            4 => ValueType::V128,
            5 => ValueType::FuncRef,
            6 => ValueType::ExternRef,
            _ => return Err(ManifestError),
        })
    }
    fn limits(&mut self) -> Read<Limits> {
        let (min, max) = (self.u64()?, self.u64()?);
        Ok(Limits { min, max: if max == u64::MAX { None } else { Some(max) } })
    }
    fn table(&mut self) -> Read<TableType> {
        Ok(TableType { element: self.value_type()?, limits: self.limits()? })
    }
    fn global(&mut self) -> Read<GlobalType> {
        Ok(GlobalType { value: self.value_type()?, mutable: self.u8()? != 0 })
    }
    fn constant(&mut self) -> Read<ConstExpr> {
        let (tag, bits) = (self.u8()?, self.u64()?);
        Ok(match tag {
            0 => ConstExpr::I32(bits as u32),
            1 => ConstExpr::I64(bits),
            2 => ConstExpr::F32(bits as u32),
            3 => ConstExpr::F64(bits),
            4 => ConstExpr::GlobalGet(bits as u32),
            5 => ConstExpr::RefNull,
            6 => ConstExpr::RefFunc(bits as u32),
            _ => return Err(ManifestError),
        })
    }
    fn mode(&mut self) -> Read<SegmentMode> {
        Ok(match self.u8()? {
            0 => SegmentMode::Passive,
            1 => SegmentMode::Declared,
            2 => SegmentMode::Active { target: self.u32()?, offset: self.constant()? },
            _ => return Err(ManifestError),
        })
    }
    fn pair(&mut self) -> Read<(String, String)> {
        Ok((self.string()?, self.string()?))
    }
}

impl Manifest {
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.bytes(self.name.as_bytes());
        w.list(&self.types, |w, ty| {
            w.list(&ty.params, |w, ty| w.u8(*ty as u8));
            w.list(&ty.results, |w, ty| w.u8(*ty as u8));
        });
        w.list(&self.imports, |w, import| {
            w.bytes(import.module.as_bytes());
            w.bytes(import.name.as_bytes());
            match &import.kind {
                ExternType::Function(index) => {
                    w.u8(0);
                    w.u32(*index);
                }
                ExternType::Table(table) => {
                    w.u8(1);
                    w.table(table);
                }
                ExternType::Memory(limits) => {
                    w.u8(2);
                    w.limits(limits);
                }
                ExternType::Global(global) => {
                    w.u8(3);
                    w.global(global);
                }
            }
        });
        w.list(&self.functions, |w, function| {
            w.u32(function.type_index);
            w.u32(function.code);
            w.u32(function.body);
        });
        w.list(&self.far_thunks, |w, offset| w.u32(*offset));
        w.list(&self.tables, |w, table| w.table(table));
        w.list(&self.private_tables, |w, private| w.u8(u8::from(*private)));
        w.list(&self.memories, |w, limits| w.limits(limits));
        w.list(&self.globals, |w, global| {
            w.global(&global.ty);
            w.constant(&global.init);
        });
        w.list(&self.exports, |w, export| {
            w.bytes(export.name.as_bytes());
            w.u8(export.kind as u8);
            w.u32(export.index);
        });
        w.u32(self.start.map_or(u32::MAX, |start| start));
        w.list(&self.elements, |w, element| {
            w.mode(&element.mode);
            w.u8(element.element as u8);
            w.list(&element.items, |w, item| w.constant(item));
        });
        w.list(&self.data, |w, data| {
            w.mode(&data.mode);
            w.u32(data.start);
            w.u32(data.length);
        });
        w.list(&self.references, |w, index| w.u32(*index));
        let shape = &self.shape;
        for count in [
            shape.memory_imports,
            shape.tables,
            shape.function_imports,
            shape.global_imports,
            shape.types,
            shape.references,
            shape.constants,
            shape.globals,
        ] {
            w.u32(count);
        }
        w.u32(self.features);
        w.list(&self.grants.directories, |w, pair| w.pair(pair));
        w.list(&self.grants.environment, |w, pair| w.pair(pair));
        w.u32(self.grants.max_memory_pages.unwrap_or(u32::MAX));
        w.u64(self.grants.stack_size);
        w.list(&self.grants.sockets, |w, fd| w.u32(*fd));
        w.u32(self.grants.max_table_elements.unwrap_or(u32::MAX));
        w.u32(self.grants.max_open_files.unwrap_or(u32::MAX));
        w.u64(self.grants.max_output.unwrap_or(u64::MAX));
        w.u64(self.grants.timeout.unwrap_or(u64::MAX));
        w.u64(self.grants.fuel.unwrap_or(u64::MAX));
        w.u8(u8::from(self.grants.call.is_some()));
        if let Some(call) = &self.grants.call {
            w.bytes(call.export.as_bytes());
            w.list(&call.arguments, |w, bits| w.u64(*bits));
        }
        w.bytes(&self.frames);
        w.bytes(&self.sites);
        w.u32(self.name_count);
        w.bytes(&self.names);
        w.u32(self.line_count);
        w.u32(self.inlined_count);
        w.bytes(&self.lines);
        w.list(&self.unproved, |w, rule| w.bytes(rule.as_bytes()));
        w.0
    }

    pub fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        Manifest::decode_with(bytes, |bytes| Cow::Owned(bytes.to_vec()))
    }

    /// Decodes bytes that stay: the bulk tables are not copied, so those that are not needed are not even read.
    pub fn decode_in_place(bytes: &'static [u8]) -> Result<Manifest, ManifestError> {
        Manifest::decode_with(bytes, Cow::Borrowed)
    }

    fn decode_with<'a>(bytes: &'a [u8], keep: fn(&'a [u8]) -> Cow<'static, [u8]>) -> Result<Manifest, ManifestError> {
        let mut r = Reader(bytes);
        let name = r.string()?;
        let types =
            r.list(|r| Ok(FunctionType { params: r.list(|r| r.value_type())?, results: r.list(|r| r.value_type())? }))?;
        let imports = r.list(|r| {
            let (module, name) = (r.string()?, r.string()?);
            let kind = match r.u8()? {
                0 => ExternType::Function(r.u32()?),
                1 => ExternType::Table(r.table()?),
                2 => ExternType::Memory(r.limits()?),
                3 => ExternType::Global(r.global()?),
                _ => return Err(ManifestError),
            };
            Ok(Import { module, name, kind })
        })?;
        let functions = r.list(|r| Ok(Function { type_index: r.u32()?, code: r.u32()?, body: r.u32()? }))?;
        let far_thunks = r.list(|r| r.u32())?;
        let tables = r.list(|r| r.table())?;
        let private_tables = r.list(|r| Ok(r.u8()? != 0))?;
        let memories = r.list(|r| r.limits())?;
        let globals = r.list(|r| Ok(Global { ty: r.global()?, init: r.constant()? }))?;
        let exports = r.list(|r| {
            let name = r.string()?;
            let kind = match r.u8()? {
                0 => ExportKind::Function,
                1 => ExportKind::Table,
                2 => ExportKind::Memory,
                3 => ExportKind::Global,
                _ => return Err(ManifestError),
            };
            Ok(Export { name, kind, index: r.u32()? })
        })?;
        let start = Some(r.u32()?).filter(|start| *start != u32::MAX);
        let elements =
            r.list(|r| Ok(Element { mode: r.mode()?, element: r.value_type()?, items: r.list(|r| r.constant())? }))?;
        let data = r.list(|r| Ok(Data { mode: r.mode()?, start: r.u32()?, length: r.u32()? }))?;
        let references = r.list(|r| r.u32())?;
        let shape = InstanceShape {
            memory_imports: r.u32()?,
            tables: r.u32()?,
            function_imports: r.u32()?,
            global_imports: r.u32()?,
            types: r.u32()?,
            references: r.u32()?,
            constants: r.u32()?,
            globals: r.u32()?,
        };
        let features = r.u32()?;
        let directories = r.list(|r| r.pair())?;
        let environment = r.list(|r| r.pair())?;
        let max_memory_pages = Some(r.u32()?).filter(|pages| *pages != u32::MAX);
        let stack_size = r.u64()?;
        let sockets = r.list(|r| r.u32())?;
        let max_table_elements = Some(r.u32()?).filter(|most| *most != u32::MAX);
        let max_open_files = Some(r.u32()?).filter(|most| *most != u32::MAX);
        let max_output = Some(r.u64()?).filter(|most| *most != u64::MAX);
        let timeout = Some(r.u64()?).filter(|most| *most != u64::MAX);
        let fuel = Some(r.u64()?).filter(|most| *most != u64::MAX);
        let call = match r.u8()? {
            0 => None,
            1 => Some(Call { export: r.string()?, arguments: r.list(|r| r.u64())? }),
            _ => return Err(ManifestError),
        };
        let grants = Grants {
            directories,
            environment,
            sockets,
            max_memory_pages,
            stack_size,
            max_table_elements,
            max_open_files,
            max_output,
            timeout,
            fuel,
            call,
        };
        let frames = keep(r.bytes()?);
        let sites = keep(r.bytes()?);
        let name_count = r.u32()?;
        let names = keep(r.bytes()?);
        let (line_count, inlined_count) = (r.u32()?, r.u32()?);
        let lines = keep(r.bytes()?);
        let unproved = r.list(|r| r.string())?;
        Ok(Manifest {
            name,
            types,
            imports,
            functions,
            far_thunks,
            tables,
            private_tables,
            memories,
            globals,
            exports,
            start,
            elements,
            data,
            references,
            shape,
            features,
            grants,
            frames,
            sites,
            names,
            name_count,
            lines,
            line_count,
            inlined_count,
            unproved,
        })
    }
}

impl Manifest {
    /// Type of a function, imported or defined.
    pub fn function_type(&self, index: u32) -> Option<&FunctionType> {
        let mut imported = self.imports.iter().filter_map(|import| match &import.kind {
            ExternType::Function(ty) => Some(*ty),
            _ => None,
        });
        let ty = match index.checked_sub(self.shape.function_imports) {
            Some(defined) => self.functions.get(defined as usize)?.type_index,
            None => imported.nth(index as usize)?,
        };
        self.types.get(ty as usize)
    }

    /// Type of an exported function.
    pub fn exported_function(&self, name: &str) -> Option<&FunctionType> {
        let mut functions = self.exports.iter().filter(|export| export.kind == ExportKind::Function);
        self.function_type(functions.find(|export| export.name == name)?.index)
    }

    /// Whether there is what this calls, and takes numbers, as many as it is given. A reference made up by somebody would be
    /// taken for a function.
    fn is_callable(&self, call: &Call) -> bool {
        let number = |ty: &ValueType| matches!(ty, ValueType::I32 | ValueType::I64 | ValueType::F32 | ValueType::F64);
        let ty = self.exported_function(&call.export);
        ty.is_some_and(|ty| ty.params.len() == call.arguments.len() && ty.params.iter().all(number))
    }

    /// Pages that the module's own memory begins with, if it has one, and to which it may grow if at most so many are allowed.
    pub fn memory(&self, most: u64) -> Option<(u64, u64)> {
        self.memories.first().map(|limits| (limits.min, limits.max.unwrap_or(most).min(most)))
    }

    /// Whether every index is in range, the lists agree with the instance's shape, and what refers to code and read-only data
    /// of these lengths stays inside them. The runtime relies on it; a manifest of the compiler's own always is.
    pub fn is_consistent(&self, code_length: u64, data_length: u64) -> bool {
        let counted = |kind: fn(&ExternType) -> bool| self.imports.iter().filter(|import| kind(&import.kind)).count();
        let functions = counted(|kind| matches!(kind, ExternType::Function(_)));
        let tables = counted(|kind| matches!(kind, ExternType::Table(_)));
        let memories = counted(|kind| matches!(kind, ExternType::Memory(_)));
        let globals = counted(|kind| matches!(kind, ExternType::Global(_)));
        let mutable = self.globals.iter().filter(|global| global.ty.mutable).count();
        let shape = &self.shape;
        let counts = [
            (shape.memory_imports, memories),
            (shape.tables, tables + self.tables.len()),
            (shape.function_imports, functions),
            (shape.global_imports, globals),
            (shape.types, self.types.len()),
            (shape.references, self.references.len()),
            (shape.constants, self.globals.len() - mutable),
            (shape.globals, mutable),
        ];
        let below = |index: u32, count: usize| (index as usize) < count;
        let all_functions = functions + self.functions.len();
        let all_globals = globals + self.globals.len();
        let constant = |expr: &ConstExpr, globals: usize| match *expr {
            ConstExpr::GlobalGet(index) => below(index, globals),
            ConstExpr::RefFunc(index) => below(index, all_functions),
            _ => true,
        };
        let mode = |mode: &SegmentMode, targets: usize| match mode {
            SegmentMode::Active { target, offset } => below(*target, targets) && constant(offset, all_globals),
            _ => true,
        };
        let limits = |limits: &Limits| limits.max.is_none_or(|max| limits.min <= max);
        let code = |offset: u32| u64::from(offset) < code_length;
        let records = self.name_count as usize * 12;
        counts.iter().all(|&(count, length)| count as usize == length)
            && memories + self.memories.len() <= 1
            && self.imports.iter().all(|import| match &import.kind {
                ExternType::Function(ty) => below(*ty, self.types.len()),
                _ => true,
            })
            && self.far_thunks.len() == self.types.len()
            && self.far_thunks.iter().all(|&offset| code(offset))
            && self.functions.iter().all(|function| below(function.type_index, self.types.len()) && code(function.code))
            && self.private_tables.len() == tables + self.tables.len()
            && self.tables.iter().all(|table| limits(&table.limits))
            && self.memories.iter().all(limits)
            && self.globals.iter().enumerate().all(|(number, global)| constant(&global.init, globals + number))
            && self.exports.iter().all(|export| match export.kind {
                ExportKind::Function => below(export.index, all_functions),
                ExportKind::Table => below(export.index, tables + self.tables.len()),
                ExportKind::Memory => below(export.index, memories + self.memories.len()),
                ExportKind::Global => below(export.index, all_globals),
            })
            && self.start.is_none_or(|start| below(start, all_functions))
            && self.elements.iter().all(|element| {
                mode(&element.mode, tables + self.tables.len())
                    && element.items.iter().all(|item| constant(item, all_globals))
            })
            && self.data.iter().all(|data| {
                mode(&data.mode, memories + self.memories.len())
                    && u64::from(data.start) + u64::from(data.length) <= data_length
            })
            && self.references.iter().all(|&function| below(function, all_functions))
            && self.grants.stack_size <= MAX_STACK
            && self.grants.call.as_ref().is_none_or(|call| self.is_callable(call))
            && self.frames.len() % 16 == 0
            && self.sites.len() % 12 == 0
            && records <= self.names.len()
            && self.line_count as usize * LINE + self.inlined_count as usize * INLINED <= self.lines.len()
    }
}

/// Bytes of a record of `Manifest::lines`, and of an inlined call.
pub const LINE: usize = 20;
pub const INLINED: usize = 24;

/// Largest guest stack that can be asked for.
pub const MAX_STACK: u64 = 1 << 32;

/// Field `field` of record `index` in bytes of records of `size` u32 fields.
pub fn record(bytes: &[u8], size: usize, index: usize, field: usize) -> Option<u32> {
    let at = (index * size + field) * 4;
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The last record whose first field is at most `key`.
pub fn search(bytes: &[u8], size: usize, count: usize, key: u32) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = (low + high) / 2;
        if record(bytes, size, middle, 0)? <= key {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low.checked_sub(1)
}
