//! Values: Rust types that stand for WebAssembly's, and [`Val`] for when the type is known at run time only.

use super::items::Func;
use super::{Error, Result};
use vwasm_runtime::manifest::{FunctionType, ValueType};
use vwasm_runtime::trap::Trap;

/// A Rust type that stands for a WebAssembly one.
pub trait Value: Copy {
    const TYPE: ValueType;
    fn to_bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
}

macro_rules! value {
    ($($rust:ty, $wasm:ident, $to:expr, $from:expr;)*) => {$(
        impl Value for $rust {
            const TYPE: ValueType = ValueType::$wasm;
            fn to_bits(self) -> u64 { $to(self) }
            fn from_bits(bits: u64) -> Self { $from(bits) }
        }
    )*};
}

value! {
    i32, I32, |v| u64::from(v as u32), |bits| bits as i32;
    u32, I32, u64::from, |bits| bits as u32;
    i64, I64, |v| v as u64, |bits| bits as i64;
    u64, I64, |v| v, |bits| bits;
    f32, F32, |v: f32| u64::from(v.to_bits()), |bits| f32::from_bits(bits as u32);
    f64, F64, |v: f64| v.to_bits(), f64::from_bits;
}

/// Parameters or results: nothing, one value, or a tuple.
pub trait Values: Sized {
    const TYPES: &'static [ValueType];
    fn write(self, bits: &mut [u64]);
    fn read(bits: &[u64]) -> Self;
}

impl<T: Value> Values for T {
    const TYPES: &'static [ValueType] = &[T::TYPE];
    fn write(self, bits: &mut [u64]) {
        bits[0] = self.to_bits();
    }
    fn read(bits: &[u64]) -> T {
        T::from_bits(bits[0])
    }
}

macro_rules! tuple {
    ($($name:ident $place:tt),*) => {
        impl<$($name: Value),*> Values for ($($name,)*) {
            const TYPES: &'static [ValueType] = &[$($name::TYPE),*];
            fn write(self, _bits: &mut [u64]) { $(_bits[$place] = self.$place.to_bits();)* }
            fn read(_bits: &[u64]) -> Self { ($($name::from_bits(_bits[$place]),)*) }
        }
    };
}

tuple!();
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

pub(super) fn function_type<P: Values, R: Values>() -> FunctionType {
    FunctionType { params: P::TYPES.to_vec(), results: R::TYPES.to_vec() }
}

/// Calls through anything that takes bit patterns.
pub(super) fn call<P: Values, R: Values>(
    params: P,
    invoke: impl FnOnce(&[u64], &mut [u64]) -> std::result::Result<(), Trap>,
) -> std::result::Result<R, Trap> {
    let (mut args, mut results) = (vec![0; P::TYPES.len()], vec![0; R::TYPES.len()]);
    params.write(&mut args);
    invoke(&args, &mut results)?;
    Ok(R::read(&results))
}

/// A value with its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Val {
    I32(i32),
    I64(i64),
    F32(f32),
    F64(f64),
    FuncRef(Option<Func>),
    /// A number of the host's own, below `u32::MAX`; the guest can keep it and give it back, nothing else.
    ExternRef(Option<u32>),
}

impl Val {
    pub fn ty(&self) -> ValueType {
        match self {
            Val::I32(_) => ValueType::I32,
            Val::I64(_) => ValueType::I64,
            Val::F32(_) => ValueType::F32,
            Val::F64(_) => ValueType::F64,
            Val::FuncRef(_) => ValueType::FuncRef,
            Val::ExternRef(_) => ValueType::ExternRef,
        }
    }

    /// The runtime's bits, if the value has this type and belongs to the store with this id.
    pub(super) fn bits(self, ty: ValueType, id: u64) -> Result<u64> {
        if self.ty() != ty {
            return Err(Error::Link(format!("a value of type {:?} where one of type {ty:?} is wanted", self.ty())));
        }
        Ok(match self {
            Val::I32(value) => u64::from(value as u32),
            Val::I64(value) => value as u64,
            Val::F32(value) => u64::from(value.to_bits()),
            Val::F64(value) => value.to_bits(),
            Val::FuncRef(None) | Val::ExternRef(None) => 0,
            Val::FuncRef(Some(func)) => u64::from(func.reference_in(id)?),
            Val::ExternRef(Some(number)) => {
                let stored = number.checked_add(1);
                u64::from(stored.ok_or_else(|| Error::Link(format!("{number} is too large for an external reference")))?)
            }
        })
    }

    pub(super) fn from_bits(bits: u64, ty: ValueType, id: u64) -> Val {
        let reference = (bits as u32 != 0).then_some(bits as u32);
        match ty {
            ValueType::I32 => Val::I32(bits as i32),
            ValueType::I64 | ValueType::V128 => Val::I64(bits as i64),
            ValueType::F32 => Val::F32(f32::from_bits(bits as u32)),
            ValueType::F64 => Val::F64(f64::from_bits(bits)),
            ValueType::FuncRef => Val::FuncRef(reference.map(|reference| Func::of(id, reference))),
            ValueType::ExternRef => Val::ExternRef(reference.map(|number| number - 1)),
        }
    }
}
