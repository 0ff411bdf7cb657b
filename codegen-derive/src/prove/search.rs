//! Counterexamples by trying: values at the edges and random ones, computed through.
//!
//! What this finds is found without a solver; what it does not find says nothing.

use super::effect::Goal;
use super::obligation::Obligation;
use super::random::Random;
use super::term::{Op, Sort, mask};

/// Floats at edges: zeros, one, halves, the bounds of integer conversions, infinities, NaNs quiet and not.
const FLOATS_32: &[u32] = &[
    0,
    0x8000_0000,
    0x3f80_0000,
    0xbf80_0000,
    0x3f00_0000,
    0x4020_0000,
    0xc020_0000,
    0x4f00_0000,
    0xcf00_0000,
    0x4f80_0000,
    0x5f00_0000,
    0xdf00_0000,
    0x5f80_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc0_0000,
    0x7f80_0001,
    0x7fc0_0001,
    0x0000_0001,
    0x007f_ffff,
    0x7f7f_ffff,
];
const FLOATS_64: &[u64] = &[
    0,
    0x8000_0000_0000_0000,
    0x3ff0_0000_0000_0000,
    0xbff0_0000_0000_0000,
    0x3fe0_0000_0000_0000,
    0x4004_0000_0000_0000,
    0xc004_0000_0000_0000,
    0x41e0_0000_0000_0000,
    0xc1e0_0000_0000_0000,
    0xc1e0_0000_0020_0000,
    0x41f0_0000_0000_0000,
    0x43e0_0000_0000_0000,
    0xc3e0_0000_0000_0000,
    0x43f0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0x7ff8_0000_0000_0001,
    1,
    0x7fef_ffff_ffff_ffff,
];

/// Integers at edges: of signed and unsigned bytes and words, of shift counts.
const EDGES: &[u128] = &[
    0,
    1,
    2,
    3,
    u128::MAX,
    u128::MAX - 1,
    0x1f,
    0x20,
    0x3f,
    0x40,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    u128::MAX << 31,
    u128::MAX << 32,
];

/// Numbers that the obligation itself speaks of.
fn constants(obligation: &Obligation) -> Vec<u128> {
    let nodes = obligation.graph.terms().map(|term| obligation.graph.node(term));
    let wide = nodes.filter(|node| matches!(node.sort, Sort::Bits(2..)));
    let mut found: Vec<u128> =
        wide.filter_map(|node| if let Op::Constant(value) = node.op { Some(value) } else { None }).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn value(random: &mut Random, width: u16, before: &[u128], constants: &[u128]) -> u128 {
    let wide = u128::from(random.next()) << 64 | u128::from(random.next());
    let bit = random.below(usize::from(width)) as u32;
    let chosen = match random.below(12) {
        0 => EDGES[random.below(EDGES.len())],
        9 if random.below(4) == 0 => [1 << (width - 1), mask(width - 1)][random.below(2)],
        1 => 1 << bit,
        2 => (1u128 << bit).wrapping_sub(1),
        3 => u128::MAX << bit,
        4 => wide & 0xff,
        // Another variable's value, for what depends on two being equal.
        5 | 6 if !before.is_empty() => before[random.below(before.len())],
        7 if width == 32 => u128::from(FLOATS_32[random.below(FLOATS_32.len())]),
        7 if width == 64 => u128::from(FLOATS_64[random.below(FLOATS_64.len())]),
        // Beside a multiple of it, for quotients: at any size, or near the end of the range.
        10 if !before.is_empty() => {
            let divisor = before[random.below(before.len())] & mask(width);
            let most = [mask(width), mask(width - 1), wide & mask(width) >> bit][random.below(3)];
            let multiple = divisor.wrapping_mul(most.checked_div(divisor).unwrap_or(0));
            multiple.wrapping_add([0, 1, u128::MAX][random.below(3)])
        }
        // At or beside a number that is compared with, perhaps.
        11 if !constants.is_empty() => {
            constants[random.below(constants.len())].wrapping_add([0, 0, 1, u128::MAX][random.below(4)])
        }
        // A sign extension from 32 bits.
        8 => (random.next() as u32 as i32) as u128,
        _ => wide,
    };
    chosen & mask(width)
}

/// Values of all variables that satisfy the assumptions and break a goal.
pub fn counterexample(obligation: &Obligation, tries: usize) -> Option<Vec<u128>> {
    breaking(obligation, tries, |_| true)
}

/// Values of all variables that satisfy the assumptions and break a goal of those meant.
pub fn breaking(obligation: &Obligation, tries: usize, meant: impl Fn(&Goal) -> bool) -> Option<Vec<u128>> {
    let mut random = Random(0x5eed);
    let constants = constants(obligation);
    for _ in 0..tries {
        // From the first to the last, or the other way round: either may depend on the other.
        let backwards = random.next() & 1 != 0;
        let mut values: Vec<u128> = Vec::with_capacity(obligation.graph.variables.len());
        for number in 0..obligation.graph.variables.len() {
            let at = if backwards { obligation.graph.variables.len() - 1 - number } else { number };
            let chosen = match obligation.graph.variables[at].sort {
                Sort::Bool => u128::from(random.next() & 1),
                Sort::Bits(width) => value(&mut random, width, &values, &constants),
            };
            values.push(chosen);
        }
        if backwards {
            values.reverse();
        }
        if obligation.failing(&values).is_some_and(|failing| failing.iter().any(|goal| meant(goal))) {
            return Some(values);
        }
    }
    None
}
