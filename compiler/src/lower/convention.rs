//! Where parameters and results travel: the guest calling convention of `spec/sandbox.rules` §5.
//!
//! Takes the types of a signature, gives each parameter and result a register or a word of the caller-owned area.

use crate::ir::Type;
use crate::layout;
use crate::machine::{Reg, RegClass};

/// A parameter's or result's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Register(Reg),
    /// Index among the parameter words or among the result words.
    Word(u32),
}

/// The places of a whole signature.
#[derive(Clone, Debug, Default)]
pub struct Convention {
    pub parameters: Vec<Place>,
    pub results: Vec<Place>,
    pub parameter_words: u32,
    pub result_words: u32,
}

impl Convention {
    pub fn new(parameters: &[Type], results: &[Type]) -> Convention {
        let (parameters, parameter_words) = assign(parameters, &layout::INTEGER_PARAMETERS, &layout::FLOAT_PARAMETERS);
        let (results, result_words) = assign(results, &layout::INTEGER_RESULTS, &layout::FLOAT_RESULTS);
        Convention { parameters, results, parameter_words, result_words }
    }

    /// Bytes a caller reserves at the bottom of its frame for a call.
    pub fn outgoing_bytes(&self) -> u32 {
        8 * (self.parameter_words + self.result_words)
    }
}

/// Class of the registers that hold a type.
pub fn class_of(ty: Type) -> RegClass {
    match ty {
        Type::I32 | Type::I64 => RegClass::Int,
        Type::F32 | Type::F64 => RegClass::Float,
    }
}

fn assign(types: &[Type], integers: &[u8], floats: &[u8]) -> (Vec<Place>, u32) {
    let (mut integer, mut float) = (integers.iter(), floats.iter());
    let mut words = 0;
    let places = types
        .iter()
        .map(|&ty| {
            let class = class_of(ty);
            let register = match class {
                RegClass::Int => integer.next(),
                RegClass::Float => float.next(),
            };
            match register {
                Some(&hw) => Place::Register(Reg::physical(hw, class)),
                None => {
                    words += 1;
                    Place::Word(words - 1)
                }
            }
        })
        .collect();
    (places, words)
}
