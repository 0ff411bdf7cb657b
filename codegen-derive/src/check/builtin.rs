//! The built-in functions of the expression language, by the shape of their types.

use crate::ast::Type;

/// How a built-in function is typed.
#[derive(Clone, Debug)]
pub enum Shape {
    /// (iN, iN) -> iN
    Binary,
    /// (iN, iN) -> bool
    Compare,
    /// iN -> iN
    Unary,
    /// iN -> bool
    Test,
    /// iN -> iM, M > N
    Widen(u16),
    /// (iN, iM) -> i(N+M)
    Concat,
    /// (fN, fN) -> fN
    FloatBinary,
    /// fN -> fN
    FloatUnary,
    /// (fN, fN) -> bool
    FloatCompare,
    /// fN -> bool
    FloatTest,
    /// fN -> iN
    Bits,
    /// iN -> fN
    Float,
    /// one type to another
    Fixed(Type, Type),
    /// iN -> given
    FromInt(Type),
    /// fN -> given
    FromFloat(Type),
    /// (iN, iN) -> flags
    Flags,
    /// (fN, fN) -> flags
    FloatFlags,
    /// (cond, flags) -> bool
    Holds,
    /// f32 or f64 -> i128
    Vector,
}

impl Shape {
    pub fn arguments(&self) -> usize {
        match self {
            Shape::Binary
            | Shape::Compare
            | Shape::Concat
            | Shape::FloatBinary
            | Shape::FloatCompare
            | Shape::Flags
            | Shape::FloatFlags
            | Shape::Holds => 2,
            _ => 1,
        }
    }
}

const TABLE: &[(&str, Shape)] = &[
    ("div_s", Shape::Binary),
    ("div_u", Shape::Binary),
    ("rem_s", Shape::Binary),
    ("rem_u", Shape::Binary),
    ("shl", Shape::Binary),
    ("shr_u", Shape::Binary),
    ("shr_s", Shape::Binary),
    ("rotl", Shape::Binary),
    ("rotr", Shape::Binary),
    ("mul_hi_u", Shape::Binary),
    ("div_hi_u", Shape::Binary),
    ("mul_hi_s", Shape::Binary),
    ("lt_s", Shape::Compare),
    ("lt_u", Shape::Compare),
    ("le_s", Shape::Compare),
    ("le_u", Shape::Compare),
    ("gt_s", Shape::Compare),
    ("gt_u", Shape::Compare),
    ("ge_s", Shape::Compare),
    ("ge_u", Shape::Compare),
    ("clz", Shape::Unary),
    ("ctz", Shape::Unary),
    ("popcnt", Shape::Unary),
    ("is_pow2", Shape::Test),
    ("zext8", Shape::Widen(8)),
    ("zext16", Shape::Widen(16)),
    ("zext32", Shape::Widen(32)),
    ("zext64", Shape::Widen(64)),
    ("zext128", Shape::Widen(128)),
    ("sext8", Shape::Widen(8)),
    ("sext16", Shape::Widen(16)),
    ("sext32", Shape::Widen(32)),
    ("sext64", Shape::Widen(64)),
    ("sext128", Shape::Widen(128)),
    ("concat", Shape::Concat),
    ("fadd", Shape::FloatBinary),
    ("fsub", Shape::FloatBinary),
    ("fmul", Shape::FloatBinary),
    ("fdiv", Shape::FloatBinary),
    ("fmin", Shape::FloatBinary),
    ("fmax", Shape::FloatBinary),
    ("sse_min", Shape::FloatBinary),
    ("sse_max", Shape::FloatBinary),
    ("fsqrt", Shape::FloatUnary),
    ("fceil", Shape::FloatUnary),
    ("ffloor", Shape::FloatUnary),
    ("ftrunc", Shape::FloatUnary),
    ("fnearest", Shape::FloatUnary),
    ("feq", Shape::FloatCompare),
    ("fne", Shape::FloatCompare),
    ("flt", Shape::FloatCompare),
    ("fle", Shape::FloatCompare),
    ("fgt", Shape::FloatCompare),
    ("fge", Shape::FloatCompare),
    ("is_nan", Shape::FloatTest),
    ("trunc_ok_s_i32", Shape::FloatTest),
    ("trunc_ok_u_i32", Shape::FloatTest),
    ("trunc_ok_s_i64", Shape::FloatTest),
    ("trunc_ok_u_i64", Shape::FloatTest),
    ("bits", Shape::Bits),
    ("float", Shape::Float),
    ("promote", Shape::Fixed(Type::F32, Type::F64)),
    ("demote", Shape::Fixed(Type::F64, Type::F32)),
    ("convert_s_f32", Shape::FromInt(Type::F32)),
    ("convert_u_f32", Shape::FromInt(Type::F32)),
    ("convert_s_f64", Shape::FromInt(Type::F64)),
    ("convert_u_f64", Shape::FromInt(Type::F64)),
    ("trunc_s_i32", Shape::FromFloat(Type::Bits(32))),
    ("trunc_u_i32", Shape::FromFloat(Type::Bits(32))),
    ("trunc_s_i64", Shape::FromFloat(Type::Bits(64))),
    ("trunc_u_i64", Shape::FromFloat(Type::Bits(64))),
    ("cvtt_i32", Shape::FromFloat(Type::Bits(32))),
    ("cvtt_i64", Shape::FromFloat(Type::Bits(64))),
    ("low_f32", Shape::Fixed(Type::Bits(128), Type::F32)),
    ("low_f64", Shape::Fixed(Type::Bits(128), Type::F64)),
    ("vec", Shape::Vector),
    ("flags_add", Shape::Flags),
    ("flags_sub", Shape::Flags),
    ("flags_logic", Shape::Flags),
    ("flags_fcmp", Shape::FloatFlags),
    ("holds", Shape::Holds),
];

/// Built-ins that describe machine registers; they mean nothing where the compiler computes.
const MACHINE: &[&str] = &[
    "sse_min",
    "sse_max",
    "cvtt_i32",
    "cvtt_i64",
    "low_f32",
    "low_f64",
    "vec",
    "flags_add",
    "flags_sub",
    "flags_logic",
    "flags_fcmp",
    "holds",
];

pub fn shape(name: &str) -> Option<&'static Shape> {
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, shape)| shape)
}

pub fn names<'a>() -> impl Iterator<Item = &'a str> {
    TABLE.iter().map(|(name, _)| -> &'a str { name })
}

pub fn is_builtin(name: &str) -> bool {
    shape(name).is_some()
}

/// Whether a built-in only describes machine instructions.
pub fn is_machine(name: &str) -> bool {
    MACHINE.contains(&name)
}

/// The condition codes, in the order of their hardware numbers.
pub const CONDITIONS: [&str; 16] = ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];
