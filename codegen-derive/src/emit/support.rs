// The built-in functions of the expression language, over u64 with the bits above the width `w` zero.

pub fn mask(x: u64, w: u32) -> u64 {
    if w >= 64 { x } else { x & ((1 << w) - 1) }
}

pub fn sign_extend(x: u64, from: u32, to: u32) -> u64 {
    let shift = 64 - from;
    mask((((x << shift) as i64) >> shift) as u64, to)
}

fn signed(x: u64, w: u32) -> i64 {
    sign_extend(x, w, 64) as i64
}

pub fn shl(a: u64, b: u64, w: u32) -> u64 { mask(a << (b % u64::from(w)), w) }
pub fn shr_u(a: u64, b: u64, w: u32) -> u64 { a >> (b % u64::from(w)) }
pub fn shr_s(a: u64, b: u64, w: u32) -> u64 { mask((signed(a, w) >> (b % u64::from(w))) as u64, w) }
pub fn rotl(a: u64, b: u64, w: u32) -> u64 {
    let n = b % u64::from(w);
    if n == 0 { a } else { mask((a << n) | (a >> (u64::from(w) - n)), w) }
}
pub fn rotr(a: u64, b: u64, w: u32) -> u64 { rotl(a, u64::from(w) - b % u64::from(w), w) }

// Division is total: 0 for a zero divisor; the quotient of the smallest number by -1 wraps.
pub fn div_u(a: u64, b: u64, _: u32) -> u64 { a.checked_div(b).unwrap_or(0) }
pub fn rem_u(a: u64, b: u64, _: u32) -> u64 { a.checked_rem(b).unwrap_or(0) }
pub fn div_s(a: u64, b: u64, w: u32) -> u64 {
    if b == 0 { 0 } else { mask(signed(a, w).wrapping_div(signed(b, w)) as u64, w) }
}
pub fn rem_s(a: u64, b: u64, w: u32) -> u64 {
    if b == 0 { 0 } else { mask(signed(a, w).wrapping_rem(signed(b, w)) as u64, w) }
}
pub fn div_hi_u(a: u64, b: u64, w: u32) -> u64 {
    mask((u128::from(a) << w).checked_div(u128::from(b)).unwrap_or(0) as u64, w)
}
pub fn mul_hi_u(a: u64, b: u64, w: u32) -> u64 { mask(((u128::from(a) * u128::from(b)) >> w) as u64, w) }
pub fn mul_hi_s(a: u64, b: u64, w: u32) -> u64 {
    mask(((i128::from(signed(a, w)) * i128::from(signed(b, w))) >> w) as u64, w)
}

pub fn lt_u(a: u64, b: u64, _: u32) -> bool { a < b }
pub fn le_u(a: u64, b: u64, _: u32) -> bool { a <= b }
pub fn gt_u(a: u64, b: u64, _: u32) -> bool { a > b }
pub fn ge_u(a: u64, b: u64, _: u32) -> bool { a >= b }
pub fn lt_s(a: u64, b: u64, w: u32) -> bool { signed(a, w) < signed(b, w) }
pub fn le_s(a: u64, b: u64, w: u32) -> bool { signed(a, w) <= signed(b, w) }
pub fn gt_s(a: u64, b: u64, w: u32) -> bool { signed(a, w) > signed(b, w) }
pub fn ge_s(a: u64, b: u64, w: u32) -> bool { signed(a, w) >= signed(b, w) }

pub fn clz(a: u64, w: u32) -> u64 { u64::from(a.leading_zeros() - (64 - w)) }
pub fn ctz(a: u64, w: u32) -> u64 { u64::from(a.trailing_zeros().min(w)) }
pub fn popcnt(a: u64, _: u32) -> u64 { u64::from(a.count_ones()) }
pub fn is_pow2(a: u64, _: u32) -> bool { a.is_power_of_two() }
