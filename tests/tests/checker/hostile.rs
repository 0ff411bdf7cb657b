//! Claims that nobody who reads them from bytes would come by: labels out of order or twice, ranges that overlap or are out of
//! range, chunks and locations far off, an index that finds other labels; and lies that are close to the truth.

use vwasm_checker::claims::{Claim, Claims, Label};
use vwasm_checker::fact::{Fact, MAX32, OWN};
use vwasm_checker::module::Index;
use vwasm_checker::state::{Location, WORDS};
use vwasm_tests::random::Random;

/// Any fact, of numbers that occur.
pub fn fact(random: &mut Random) -> Fact {
    let (a, b) = (random.below(3) as u32, random.below(8) as u32);
    let bound = random.pick(&[0, 1, 9, 10, 15, 16, 127, 0x7fff_ffff, MAX32, MAX32 + 1, 1 << 60, u64::MAX]);
    match random.below(20) {
        0 => Fact::UNKNOWN,
        1..4 => Fact::max(bound),
        4..6 => Fact::memory(random.pick(&[OWN, OWN, OWN, a]), bound),
        6 => Fact::table(a),
        7 => Fact::length(a),
        8 => Fact::below(a),
        9 => Fact::offset(a),
        10 => Fact::offset_max(bound),
        11 | 12 => Fact::slot(a),
        13 | 14 => Fact::callable(a, b),
        15 => Fact::import(a),
        16 => Fact::cell(a),
        17 => Fact::signature(b),
        18 => Fact::data(4 * a),
        _ => random.pick(&[Fact::entry(4 * a, b), Fact::target(4 * a, b), Fact::target(0, u32::MAX)]),
    }
}

/// A register, a word near the caller's ones or the frame's (the return address is between), or anything.
pub fn location(words: u32, depth: u32, random: &mut Random) -> Location {
    match random.below(16) {
        0..6 => random.below(4) as u32,
        6..8 => random.below(16) as u32,
        8..11 => WORDS + random.below(u64::from(words + depth / 8) + 2) as u32,
        11..15 => WORDS + words + depth / 8 - random.below(9) as u32,
        _ => random.pick(&[4, 15, 63, 64, WORDS + words, 1 << 26, u32::MAX]),
    }
}

pub fn claim(words: u32, depth: u32, random: &mut Random) -> (Location, Claim) {
    let place = location(words, depth, random);
    match random.below(4) {
        0 => (place, Claim::Same(location(words, depth, random))),
        _ => (place, Claim::Fact(fact(random))),
    }
}

/// An index of the labels, mostly the right one.
pub fn index(labels: &[Label], start: u32, random: &mut Random) -> Index {
    let (mut index, odd) = (Index::default(), random.below(8) == 0);
    index.clear(start);
    for (n, label) in (0..).zip(labels) {
        let number = if odd { random.pick(&[0, n, n + 1, u32::MAX]) } else { n };
        // (What is far off is a great deal of memory.)
        if label.offset.wrapping_sub(start) < 1 << 20 && !(odd && random.below(8) == 0) {
            index.push(label.offset, number);
        }
    }
    index
}

/// Changes something of a function's claims; its instructions begin at `starts`.
pub fn distort(claims: &mut Claims, starts: &[u32], words: u32, random: &mut Random) {
    let start = random.pick(starts);
    if claims.labels.is_empty() {
        claims.labels.push(Label { offset: start, ..Label::default() });
    }
    let count = claims.labels.len();
    let (n, other) = (random.index(count), random.index(count));
    let label = claims.labels[n].clone();
    match random.below(24) {
        0 => claims.labels.insert(random.index(count + 1), label),
        1 => claims.labels.swap(n, other),
        2 => drop(claims.labels.remove(n)),
        3 => claims.labels[n].offset = random.pick(&[start, label.offset + 1, label.offset.wrapping_sub(1), u32::MAX]),
        4 => {
            claims.labels[n].depth =
                random.pick(&[0, label.depth + 8, label.depth ^ 8, label.depth ^ 4, 0x1ff_fff8, u32::MAX])
        }
        5 => claims.labels[n].facts = claims.labels[other].facts.clone(),
        6 => claims.labels[n].narrow = claims.labels[other].narrow.clone(),
        7 => claims.labels[n].facts = odd_range(random),
        8 => claims.labels[n].narrow = odd_range(random),
        9 | 10 => {
            // One more label.
            let at = claims.labels.partition_point(|label| label.offset < start);
            claims.labels.insert(at, Label { offset: start, ..label });
        }
        11..16 => {
            let mut chunks = claims.narrow_of(&label).to_vec();
            let (bit, any) = (1 << random.below(64), random.next());
            let bits = random.pick(&[0, u64::MAX, bit, any]);
            let far = [0, 1, 2, 1 << 16, 1 << 26, u32::MAX / 64, u32::MAX];
            match (random.below(5), chunks.len()) {
                (0 | 1, length @ 1..) => chunks[random.index(length)].1 ^= 1 << random.below(64),
                (2, length @ 1..) => chunks[random.index(length)].0 = random.pick(&far),
                (3, length @ 1..) => chunks.insert(0, (chunks[random.index(length)].0, bits)),
                (_, length) => chunks.insert(random.index(length + 1), (random.pick(&far), bits)),
            }
            let from = claims.narrow.len();
            claims.narrow.extend(chunks);
            claims.labels[n].narrow = from..claims.narrow.len();
        }
        _ => {
            let mut facts = claims.facts_of(&label).to_vec();
            match (random.below(5), facts.len()) {
                (0, length @ 1..) => facts[random.index(length)].0 = location(words, label.depth, random),
                (1, length @ 1..) => facts[random.index(length)].1 = claim(words, label.depth, random).1,
                (2, length @ 1..) => drop(facts.remove(random.index(length))),
                (_, length) => facts.insert(random.index(length + 1), claim(words, label.depth, random)),
            }
            let from = claims.facts.len();
            claims.facts.extend(facts);
            claims.labels[n].facts = from..claims.facts.len();
        }
    }
}

fn odd_range(random: &mut Random) -> std::ops::Range<usize> {
    let (start, end) = random.pick(&[(0, usize::MAX), (1, 0), (0, 1), (usize::MAX, 0)]);
    start..end
}
