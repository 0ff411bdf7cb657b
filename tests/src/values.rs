//! Numbers to test with: the edges of each type.

/// Edge values of an integer of 8 to 64 bits.
pub fn integers(width: u32) -> Vec<u64> {
    let mask = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
    let mut edges = vec![0, 1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 63, 64, 65, 100];
    for power in [7, 8, 15, 16, 31, 32, 63] {
        let power = 1u64 << power;
        edges.extend([power - 1, power, power.wrapping_neg(), power.wrapping_neg() - 1]);
    }
    edges.extend([u64::MAX, u64::MAX - 1, u64::MAX - 2, 0x5555_5555_5555_5555, 0x0123_4567_89ab_cdef]);
    edges.iter_mut().for_each(|edge| *edge &= mask);
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// Edge values of a float as bits: zeros, subnormals, rounding ties, the bounds of the integer types, infinities, NaNs.
pub fn floats(width: u32) -> Vec<u64> {
    let mut numbers = vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 0.1, 1e10, 1e-10, f64::INFINITY];
    for power in [7, 8, 15, 16, 23, 24, 31, 32, 52, 53, 63, 64] {
        let power = (power as f64).exp2();
        numbers.extend([power - 1.0, power - 0.5, power, power + 1.0]);
    }
    let mut bits: Vec<u64> = if width == 32 {
        let of = |number: &f64| u64::from((*number as f32).to_bits());
        let near = [2f32.powi(31), 2f32.powi(32), 2f32.powi(63), 2f32.powi(64), 1.0];
        let below = near.map(|number| u64::from(number.to_bits() - 1));
        let special =
            [1, 0x007f_ffff, 0x0080_0000, 0x7f7f_ffff, 0x7fc0_0000, 0x7fc0_0001, 0x7f80_0001, 0x7fa0_0000, 0x7fff_ffff];
        numbers.iter().map(of).chain(below).chain(special).collect()
    } else {
        let near = [2f64.powi(31), 2f64.powi(32), 2f64.powi(63), 2f64.powi(64), 1.0];
        let below = near.map(|number| number.to_bits() - 1);
        let special = [
            1,
            0x000f_ffff_ffff_ffff,
            0x0010_0000_0000_0000,
            0x7fef_ffff_ffff_ffff,
            0x7ff8_0000_0000_0000,
            0x7ff8_0000_0000_0001,
            0x7ff0_0000_0000_0001,
            0x7ff4_0000_0000_0000,
            0x7fff_ffff_ffff_ffff,
            // Where rounding to f32 ties, overflows, and becomes subnormal.
            0x3ff0_0000_1000_0000,
            0x47ef_ffff_f000_0000,
            0x380f_ffff_e000_0000,
            0x36a0_0000_0000_0000,
        ];
        numbers.iter().map(|number| number.to_bits()).chain(below).chain(special).collect()
    };
    let sign = 1 << (width - 1);
    bits.extend(bits.clone().iter().map(|value| value | sign));
    bits.sort_unstable();
    bits.dedup();
    bits
}
