// A NaN result stands for the set the Wasm specification allows: the first NaN operand made quiet, else x86's default.
macro_rules! floats {
    ($f:ty; $add:ident $sub:ident $mul:ident $div:ident $min:ident $max:ident $sqrt:ident $ceil:ident $floor:ident $trunc:ident
     $nearest:ident $eq:ident $ne:ident $lt:ident $le:ident $gt:ident $ge:ident $nan:ident
     $ok_s32:ident $ok_u32:ident $ok_s64:ident $ok_u64:ident $s32:ident $u32_:ident $s64:ident $u64_:ident) => {
        pub fn $add(a: $f, b: $f) -> $f { nan2(a, b).unwrap_or_else(|| fix(a + b)) }
        pub fn $sub(a: $f, b: $f) -> $f { nan2(a, b).unwrap_or_else(|| fix(a - b)) }
        pub fn $mul(a: $f, b: $f) -> $f { nan2(a, b).unwrap_or_else(|| fix(a * b)) }
        pub fn $div(a: $f, b: $f) -> $f { nan2(a, b).unwrap_or_else(|| fix(a / b)) }
        pub fn $min(a: $f, b: $f) -> $f {
            nan2(a, b).unwrap_or_else(|| if a == b { <$f>::from_bits(a.to_bits() | b.to_bits()) } else if a < b { a } else { b })
        }
        pub fn $max(a: $f, b: $f) -> $f {
            nan2(a, b).unwrap_or_else(|| if a == b { <$f>::from_bits(a.to_bits() & b.to_bits()) } else if a > b { a } else { b })
        }
        pub fn $sqrt(a: $f) -> $f { nan2(a, a).unwrap_or_else(|| fix(a.sqrt())) }
        pub fn $ceil(a: $f) -> $f { nan2(a, a).unwrap_or_else(|| a.ceil()) }
        pub fn $floor(a: $f) -> $f { nan2(a, a).unwrap_or_else(|| a.floor()) }
        pub fn $trunc(a: $f) -> $f { nan2(a, a).unwrap_or_else(|| a.trunc()) }
        pub fn $nearest(a: $f) -> $f { nan2(a, a).unwrap_or_else(|| a.round_ties_even()) }
        pub fn $eq(a: $f, b: $f) -> bool { a == b }
        pub fn $ne(a: $f, b: $f) -> bool { a != b }
        pub fn $lt(a: $f, b: $f) -> bool { a < b }
        pub fn $le(a: $f, b: $f) -> bool { a <= b }
        pub fn $gt(a: $f, b: $f) -> bool { a > b }
        pub fn $ge(a: $f, b: $f) -> bool { a >= b }
        pub fn $nan(a: $f) -> bool { a.is_nan() }
        pub fn $ok_s32(a: $f) -> bool { let t = f64::from(a).trunc(); t >= -2147483648.0 && t < 2147483648.0 }
        pub fn $ok_u32(a: $f) -> bool { let t = f64::from(a).trunc(); t >= 0.0 && t < 4294967296.0 }
        pub fn $ok_s64(a: $f) -> bool { let t = f64::from(a).trunc(); t >= -9223372036854775808.0 && t < 9223372036854775808.0 }
        pub fn $ok_u64(a: $f) -> bool { let t = f64::from(a).trunc(); t >= 0.0 && t < 18446744073709551616.0 }
        pub fn $s32(a: $f) -> u64 { u64::from(a as i32 as u32) }
        pub fn $u32_(a: $f) -> u64 { u64::from(a as u32) }
        pub fn $s64(a: $f) -> u64 { a as i64 as u64 }
        pub fn $u64_(a: $f) -> u64 { a as u64 }
    };
}

trait Nan: Copy {
    fn quieted(self) -> Option<Self>;
    fn fixed(self) -> Self;
}
impl Nan for f32 {
    fn quieted(self) -> Option<f32> { self.is_nan().then(|| f32::from_bits(self.to_bits() | 0x0040_0000)) }
    fn fixed(self) -> f32 { if self.is_nan() { f32::from_bits(0xffc0_0000) } else { self } }
}
impl Nan for f64 {
    fn quieted(self) -> Option<f64> { self.is_nan().then(|| f64::from_bits(self.to_bits() | 0x0008_0000_0000_0000)) }
    fn fixed(self) -> f64 { if self.is_nan() { f64::from_bits(0xfff8_0000_0000_0000) } else { self } }
}
fn nan2<T: Nan>(a: T, b: T) -> Option<T> { a.quieted().or_else(|| b.quieted()) }
fn fix<T: Nan>(a: T) -> T { a.fixed() }

floats!(f32; fadd_32 fsub_32 fmul_32 fdiv_32 fmin_32 fmax_32 fsqrt_32 fceil_32 ffloor_32 ftrunc_32 fnearest_32
    feq_32 fne_32 flt_32 fle_32 fgt_32 fge_32 is_nan_32 trunc_ok_s_i32_32 trunc_ok_u_i32_32 trunc_ok_s_i64_32
    trunc_ok_u_i64_32 trunc_s_i32_32 trunc_u_i32_32 trunc_s_i64_32 trunc_u_i64_32);
floats!(f64; fadd_64 fsub_64 fmul_64 fdiv_64 fmin_64 fmax_64 fsqrt_64 fceil_64 ffloor_64 ftrunc_64 fnearest_64
    feq_64 fne_64 flt_64 fle_64 fgt_64 fge_64 is_nan_64 trunc_ok_s_i32_64 trunc_ok_u_i32_64 trunc_ok_s_i64_64
    trunc_ok_u_i64_64 trunc_s_i32_64 trunc_u_i32_64 trunc_s_i64_64 trunc_u_i64_64);

pub fn promote(a: f32) -> f64 {
    if a.is_nan() {
        let bits = a.to_bits();
        f64::from_bits(u64::from(bits & 0x8000_0000) << 32 | 0x7ff8_0000_0000_0000 | u64::from(bits & 0x003f_ffff) << 29)
    } else {
        f64::from(a)
    }
}
pub fn demote(a: f64) -> f32 {
    if a.is_nan() {
        let bits = a.to_bits();
        f32::from_bits((bits >> 32) as u32 & 0x8000_0000 | 0x7fc0_0000 | (bits >> 29) as u32 & 0x003f_ffff)
    } else {
        a as f32
    }
}
pub fn convert_s_f32(a: u64, w: u32) -> f32 { signed(a, w) as f32 }
pub fn convert_u_f32(a: u64, _: u32) -> f32 { a as f32 }
pub fn convert_s_f64(a: u64, w: u32) -> f64 { signed(a, w) as f64 }
pub fn convert_u_f64(a: u64, _: u32) -> f64 { a as f64 }
