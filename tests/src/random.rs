//! Random numbers from a seed: the same everywhere, so a failure can be made again.

use codegen_derive::prove::random::split_mix;

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        split_mix(&mut self.0)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// An index into a list of this length, which is not 0.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.index(n + 1));
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
