//! Claims as bytes, in the layout that `read` describes.

use super::read::{DEPTH, FACTS, NARROW, SAME};
use vwasm_checker::claims::{Claim, Claims};

pub fn write_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn write_claim(out: &mut Vec<u8>, claim: Claim) {
    let fact = match claim {
        Claim::Fact(fact) => fact,
        Claim::Same(location) => {
            out.push(SAME);
            write_number(out, location.into());
            write_number(out, 0);
            return;
        }
    };
    let (tag, numbers) = fact.encode();
    out.push(tag);
    write_number(out, numbers[0]);
    write_number(out, numbers[1]);
}

/// A function's claims; `start` and `frame` are its code offset and usual depth.
pub fn write(claims: &Claims, start: u32, frame: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let out = &mut bytes;
    write_number(out, claims.labels.len() as u64);
    write_number(out, u64::from(frame / 8));
    let mut last = start;
    for label in &claims.labels {
        let set = |condition: bool, flag: u64| if condition { flag } else { 0 };
        let (facts, narrow) = (claims.facts_of(label), claims.narrow_of(label));
        let flags = set(label.depth != frame, DEPTH) | set(!facts.is_empty(), FACTS) | set(!narrow.is_empty(), NARROW);
        write_number(out, u64::from(label.offset - last) << 3 | flags);
        last = label.offset;
        if flags & DEPTH != 0 {
            write_number(out, u64::from(label.depth / 8));
        }
        if flags & FACTS != 0 {
            write_number(out, facts.len() as u64);
            for &(location, claim) in facts {
                write_number(out, location.into());
                write_claim(out, claim);
            }
        }
        if flags & NARROW != 0 {
            write_number(out, narrow.len() as u64);
            let mut next = 0;
            for &(chunk, bits) in narrow {
                write_number(out, u64::from(chunk.wrapping_sub(next)));
                write_number(out, bits);
                next = chunk.wrapping_add(1);
            }
        }
    }
    bytes
}
