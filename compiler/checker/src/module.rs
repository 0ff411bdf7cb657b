//! What the checker is told of a module: code, read-only data, types, shape. All of it is input that may be hostile.

use crate::layout::{self, InstanceShape};
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

/// A piece of the code: a function's body, or the far thunk of a type.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    pub start: u32,
    pub end: u32,
    pub ty: u32,
}

/// Everything that is checked.
#[derive(Clone)]
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
}

impl Module<'_> {
    // What `spec/sandbox.rules` takes as known; there is nothing behind the ends of the lists.

    pub fn least_length(&self, table: u64) -> u64 {
        self.tables.get(table as usize).copied().unwrap_or(0)
    }

    pub fn mutable(&self, global: u64) -> bool {
        self.global_imports.get(global as usize) == Some(&true)
    }

    pub fn data_size(&self) -> u64 {
        self.data.len() as u64
    }
}

/// Ascending offsets of the code from `start`: of each 64 bytes which of them are among the offsets, and how many are before.
#[derive(Clone, Debug, Default)]
pub struct Index {
    start: u32,
    blocks: Vec<(u64, u32)>,
}

impl Index {
    pub fn clear(&mut self, start: u32) {
        self.start = start;
        self.blocks.clear();
    }

    /// The next offset, which has this number.
    #[inline]
    pub fn push(&mut self, offset: u32, number: u32) {
        let offset = offset.wrapping_sub(self.start);
        while self.blocks.len() <= offset as usize / 64 {
            self.blocks.push((0, number));
        }
        self.blocks[offset as usize / 64].0 |= 1 << (offset % 64);
    }

    /// The number of an offset.
    pub fn find(&self, offset: u32) -> Option<usize> {
        let offset = offset.wrapping_sub(self.start);
        let (bits, before) = self.blocks.get(offset as usize / 64)?;
        let bit = 1 << (offset % 64);
        (bits & bit != 0).then(|| *before as usize + (bits & (bit - 1)).count_ones() as usize)
    }
}
