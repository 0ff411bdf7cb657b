//! Counterexamples by trying: values at the edges and random ones, computed through.
//!
//! What this finds is found without a solver; what it does not find says nothing.

use super::effect::Goal;
use super::obligation::Obligation;
use super::random::Random;
use super::term::{Op, Sort, Term, mask};

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

/// What an obligation's own terms say of inputs that may matter.
struct Hints {
    /// Numbers that it speaks of.
    constants: Vec<u128>,
    /// Those that something is compared with.
    compared: Vec<u128>,
    /// Whether there are products or quotients of unknowns.
    multiplies: bool,
}

impl Hints {
    fn new(obligation: &Obligation) -> Hints {
        let graph = &obligation.graph;
        let number = |term: Term| graph.value_of(term).filter(|_| graph.width(term) > 1);
        let mut constants: Vec<u128> = graph.terms().filter_map(number).collect();
        let comparisons = graph.terms().map(|term| graph.node(term));
        let comparisons = comparisons.filter(|node| matches!(node.op, Op::Equal | Op::LessUnsigned | Op::LessSigned));
        let mut compared: Vec<u128> = comparisons.flat_map(|node| node.args().iter().copied().filter_map(number)).collect();
        for numbers in [&mut constants, &mut compared] {
            numbers.sort_unstable();
            numbers.dedup();
        }
        let goals: Vec<Term> = obligation.goals.iter().map(|goal| goal.holds).collect();
        Hints { constants, compared, multiplies: graph.multiplies(&goals) }
    }
}

fn one_of(random: &mut Random, numbers: &[u128]) -> u128 {
    numbers.get(random.below(numbers.len())).copied().unwrap_or(0)
}

/// A value of a variable, `before` being those of others.
fn value(random: &mut Random, width: u16, before: &[u128], hints: &Hints) -> u128 {
    let wide = u128::from(random.next()) << 64 | u128::from(random.next());
    let bit = random.below(usize::from(width)) as u32;
    // Beside a multiple of another value, for quotients: at any size, or near the end of the range.
    if hints.multiplies && !before.is_empty() && random.below(6) == 0 {
        let divisor = one_of(random, before) & mask(width);
        let most = one_of(random, &[mask(width), mask(width - 1), wide & mask(width) >> bit]);
        let multiple = divisor.wrapping_mul(most.checked_div(divisor).unwrap_or(0));
        return multiple.wrapping_add(one_of(random, &[0, 1, u128::MAX])) & mask(width);
    }
    let number = match random.below(2) {
        0 => one_of(random, &hints.constants),
        _ => one_of(random, &hints.compared),
    };
    let chosen = match random.below(15) {
        0 | 1 => one_of(random, EDGES),
        2 => one_of(random, &[1 << (width - 1), mask(width - 1)]),
        3 => 1 << bit,
        4 => u128::MAX << bit,
        5 => wide & 0xff,
        // Another variable's value, for what depends on two being equal.
        6 | 7 if !before.is_empty() => return one_of(random, before) & mask(width),
        // What another one lacks to a number.
        8 if !before.is_empty() => number.wrapping_sub(one_of(random, before)),
        9 if width == 32 => return u128::from(FLOATS_32[random.below(FLOATS_32.len())]),
        9 if width == 64 => return u128::from(FLOATS_64[random.below(FLOATS_64.len())]),
        10 => number,
        // Among other bits, as the upper ones or the lower ones.
        11 => return (number << bit | wide & mask(bit as u16)) & mask(width),
        12 => return (wide << bit | number) & mask(width),
        // Half way between two floats.
        13 if width == 64 => {
            let digits = [24, 53][random.below(2)];
            let least = [63 - digits, random.below(64 - digits)][random.below(2)];
            (wide & mask(digits as u16) | 1 << (digits - 1)) << (least + 1) | 1 << least
        }
        // A sign extension from 32 bits.
        14 => (random.next() as u32 as i32) as u128,
        _ => return wide & mask(width),
    };
    // Or beside it.
    let beside = if random.below(3) == 0 { one_of(random, &[1, u128::MAX, 1, u128::MAX, 2, u128::MAX - 1]) } else { 0 };
    chosen.wrapping_add(beside) & mask(width)
}

/// Values of all variables that satisfy the assumptions and break a goal.
pub fn counterexample(obligation: &Obligation, tries: usize) -> Option<Vec<u128>> {
    breaking(obligation, tries, |_| true)
}

/// Values of all variables that satisfy the assumptions and break a goal of those meant.
pub fn breaking(obligation: &Obligation, tries: usize, meant: impl Fn(&Goal) -> bool) -> Option<Vec<u128>> {
    let mut random = Random(0x5eed);
    let hints = Hints::new(obligation);
    for _ in 0..tries {
        // From the first to the last, or the other way round: either may depend on the other.
        let backwards = random.next() & 1 != 0;
        let mut values: Vec<u128> = Vec::with_capacity(obligation.graph.variables.len());
        for number in 0..obligation.graph.variables.len() {
            let at = if backwards { obligation.graph.variables.len() - 1 - number } else { number };
            let chosen = match obligation.graph.variables[at].sort {
                Sort::Bool => u128::from(random.next() & 1),
                Sort::Bits(width) => value(&mut random, width, &values, &hints),
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
