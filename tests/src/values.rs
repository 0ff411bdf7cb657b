//! Numbers to test with: the edges of each type, and random ones that lean towards edges.

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.below(n as u64 + 1) as usize);
        }
    }

    /// Any bits, with runs of zeros and ones as likely as noise.
    pub fn bits(&mut self, width: u32) -> u64 {
        let value = match self.below(4) {
            0 => self.next() >> self.below(64),
            1 => (self.next() as i64 >> self.below(64)) as u64,
            2 => self.next() & self.next() & self.next(),
            _ => self.next(),
        };
        if width < 64 { value & ((1 << width) - 1) } else { value }
    }

    /// The bits of a float of this width: an integer's value, a number near 1, or any bits.
    pub fn float(&mut self, width: u32) -> u64 {
        let number = match self.below(3) {
            0 => self.bits(64) as i64 as f64,
            1 => (self.next() as i64 as f64) / (1u64 << self.below(64)) as f64,
            _ => return self.bits(width),
        };
        if width == 32 { u64::from((number as f32).to_bits()) } else { number.to_bits() }
    }
}

/// The seed of a run: `VWASM_SEED`, or the given one.
pub fn seed(default: u64) -> u64 {
    let seed = std::env::var("VWASM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    eprintln!("seed {seed} (set VWASM_SEED for another)");
    seed
}

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
