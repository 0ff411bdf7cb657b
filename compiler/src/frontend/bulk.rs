//! `memory.copy` and `memory.fill` of few bytes, known at compile time, as loads and stores.
//!
//! All bytes are loaded before the first is stored, so source and destination may overlap. The store that ends last comes first:
//! if it does not trap, no other can, so nothing is written unless everything is, as WebAssembly asks (2.0 §4.4.7). Pieces may
//! overlap each other.

use super::Translator;
use crate::ir::{Op, Value};
use crate::layout::Gate;

/// More bytes than this are left to the runtime.
const MOST_BYTES: u64 = 64;

/// A whole number of bytes that one load and one store move.
struct Piece {
    offset: u64,
    load: Op,
    store: Op,
}

/// The pieces that make up `length` bytes, in order.
fn pieces(length: u64) -> impl DoubleEndedIterator<Item = Piece> {
    let (width, load, store) = match length {
        8.. => (8, Op::I64Load, Op::I64Store),
        4..8 => (4, Op::I32Load, Op::I32Store),
        2..4 => (2, Op::I32Load16U, Op::I32Store16),
        _ => (1, Op::I32Load8U, Op::I32Store8),
    };
    // The last piece ends at the end, over a part of the one before if need be.
    (0..length.div_ceil(width)).map(move |n| Piece { offset: (n * width).min(length - width), load, store })
}

impl Translator<'_, '_> {
    /// The operands of a bulk operator if its length, on top of the stack, is known and small.
    fn few(&mut self) -> Option<(Value, Value, u64)> {
        let length = self.func.constant(*self.stack.last()?).filter(|length| (1..=MOST_BYTES).contains(length))?;
        self.owe_bytes(length);
        self.pop();
        let second = self.pop();
        Some((self.pop(), second, length))
    }

    pub(super) fn memory_copy(&mut self, destination_memory: u32, source_memory: u32) {
        let Some((destination, source, length)) = self.few() else {
            return self.gate_with(Gate::MemoryCopy, &[destination_memory, source_memory], 3);
        };
        let base = self.memory_base();
        let loaded: Vec<(Piece, Value)> = pieces(length)
            .map(|piece| {
                let value = self.emit(piece.load, piece.offset, 0, &[base, source], piece.load.info().results);
                (piece, value)
            })
            .collect();
        for (piece, value) in loaded.into_iter().rev() {
            self.emit(piece.store, piece.offset, 0, &[base, destination, value], &[]);
        }
    }

    pub(super) fn memory_fill(&mut self, memory: u32) {
        let Some((destination, byte, length)) = self.few() else {
            return self.gate_with(Gate::MemoryFill, &[memory], 3);
        };
        let base = self.memory_base();
        let mask = self.constant(Op::I32Const, 0xff);
        let byte = self.pure(Op::I32And, &[byte, mask]);
        let value = if length >= 8 {
            let (wide, ones) = (self.pure(Op::I64ExtendI32U, &[byte]), self.constant(Op::I64Const, 0x0101_0101_0101_0101));
            self.pure(Op::I64Mul, &[wide, ones])
        } else {
            let ones = self.constant(Op::I32Const, 0x0101_0101);
            self.pure(Op::I32Mul, &[byte, ones])
        };
        for piece in pieces(length).rev() {
            self.emit(piece.store, piece.offset, 0, &[base, destination, value], &[]);
        }
    }

    fn pure(&mut self, op: Op, args: &[Value]) -> Value {
        self.emit(op, 0, 0, args, op.info().results)
    }
}
