//! What the checker is told of a module: code, read-only data, types, shape. All of it is input that may be hostile.

use crate::layout::{self, InstanceLayout, InstanceShape};
use alloc::vec::Vec;

/// The class of a value type as calls know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// i32 and references: zero-extended in a register or word.
    Narrow,
    /// i64
    Wide,
    /// f32, f64
    Float,
}

/// Where a signature's parameters or results are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Integer registers that hold a zero-extended value.
    pub narrow: u16,
    /// Of each word of the caller-owned area, whether it holds a zero-extended value.
    pub words: Vec<bool>,
}

impl Places {
    fn new(classes: &[Class], integers: &[u8], floats: usize) -> Places {
        let (mut integers, mut floats) = (integers.iter(), floats);
        let mut places = Places::default();
        for class in classes {
            let narrow = *class == Class::Narrow;
            match class {
                Class::Float if floats > 0 => floats -= 1,
                Class::Float => places.words.push(false),
                _ => match integers.next() {
                    Some(register) => places.narrow |= u16::from(narrow) << register,
                    None => places.words.push(narrow),
                },
            }
        }
        places
    }
}

/// A function type.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    pub parameters: Places,
    pub results: Places,
}

impl Signature {
    pub fn new(parameters: &[Class], results: &[Class]) -> Signature {
        Signature {
            parameters: Places::new(parameters, &layout::INTEGER_PARAMETERS, layout::FLOAT_PARAMETERS.len()),
            results: Places::new(results, &layout::INTEGER_RESULTS, layout::FLOAT_RESULTS.len()),
        }
    }

    /// Words of the area that a caller owns.
    pub fn words(&self) -> u32 {
        (self.parameters.words.len() + self.results.words.len()) as u32
    }

    /// Bytes that the callee pops.
    pub fn pop(&self) -> u32 {
        8 * self.parameters.words.len() as u32
    }
}

/// A piece of the code: a function's body, or a far thunk.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    pub start: u32,
    pub end: u32,
    pub ty: u32,
    pub thunk: bool,
}

/// A place the runtime asks about: a trap or faulting access (its code), or a return address (code 0).
#[derive(Clone, Copy, Debug)]
pub struct Site {
    pub offset: u32,
    pub code: u32,
}

/// Everything that is checked.
pub struct Module<'a> {
    pub code: &'a [u8],
    /// Read-only data, and its distance from the start of the code.
    pub data: &'a [u8],
    pub data_start: u64,
    pub types: Vec<Signature>,
    /// Functions in order of their index, then the far thunk of each type.
    pub units: Vec<Unit>,
    /// How many of the units are functions.
    pub functions: usize,
    pub import_types: Vec<u32>,
    /// Least length of each table, imported ones first.
    pub tables: Vec<u64>,
    /// Of each imported global, whether it is mutable.
    pub global_imports: Vec<bool>,
    /// Whether linear memory begins at r15.
    pub own_memory: bool,
    pub shape: InstanceShape,
    /// Records {code offset, code, Wasm offset} of 32-bit words, by offset.
    pub sites: &'a [u8],
    /// The compiler's claims (see `claims`), not trusted.
    pub claims: &'a [u8],
}

/// A field of the instance and its element's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Gate,
    MemoryPages,
    MemoryImport(u32),
    Table(u32),
    FunctionImport(u32),
    GlobalImport(u32),
    Signature(u32),
    /// Read by guest code, of no further meaning here.
    Readable,
    Writable,
}

impl Module<'_> {
    fn word(&self, at: usize) -> u32 {
        let bytes = self.sites.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(u32::MAX, u32::from_le_bytes)
    }

    pub fn site(&self, n: usize) -> Site {
        Site { offset: self.word(12 * n), code: self.word(12 * n + 4) }
    }

    /// Number of the first site at or behind an offset.
    pub fn site_from(&self, offset: u32) -> usize {
        let (mut low, mut high) = (0, self.sites.len() / 12);
        while low < high {
            let middle = (low + high) / 2;
            if self.site(middle).offset < offset { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// The fields that guest code may touch.
#[derive(Debug)]
pub struct Fields {
    layout: InstanceLayout,
    shape: InstanceShape,
}

impl Fields {
    pub fn new(shape: &InstanceShape) -> Option<Fields> {
        Some(Fields { layout: InstanceLayout::new(shape)?, shape: *shape })
    }

    /// The field that `width` bytes at `offset` from r15 lie in, and where in it.
    pub fn find(&self, offset: i64, width: u32) -> Option<(Field, u32)> {
        let (l, s) = (&self.layout, &self.shape);
        let within = |start: i64, size: u32| offset >= start && offset + i64::from(width) <= start + i64::from(size);
        let fixed = [
            (Field::Gate, layout::INSTANCE_GATE),
            (Field::Readable, layout::INSTANCE_FUNCTIONS),
            (Field::MemoryPages, layout::INSTANCE_MEMORY_PAGES),
            (Field::Writable, layout::INSTANCE_FUEL),
        ];
        for (field, start) in fixed {
            if within(start.into(), 8) {
                return Some((field, (offset - i64::from(start)) as u32));
            }
        }
        // Element k of an array stands k elements below element 0.
        let arrays: [(fn(u32) -> Field, i32, u32, u32); 8] = [
            (|_| Field::Writable, l.global, 8, s.globals),
            (Field::Signature, l.signature, 4, s.types),
            (Field::MemoryImport, l.memory_import, 8, s.memory_imports),
            (Field::Table, l.table, 8, s.tables),
            (Field::FunctionImport, l.function_import, layout::SLOT_SIZE as u32, s.function_imports),
            (Field::GlobalImport, l.global_import, 8, s.global_imports),
            (|_| Field::Readable, l.function_reference, 4, s.references),
            (|_| Field::Readable, l.constant, 8, s.constants),
        ];
        for (make, first, size, count) in arrays {
            let below = i64::from(first) + i64::from(size) - 1 - offset;
            let k = below.div_euclid(size.into());
            if below >= 0 && k < i64::from(count) {
                let start = i64::from(first) - k * i64::from(size);
                return within(start, size).then(|| (make(k as u32), (offset - start) as u32));
            }
        }
        None
    }
}
