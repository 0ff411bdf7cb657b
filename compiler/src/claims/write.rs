//! Claims as bytes, in the layout that `vwasm_checker::claims` reads.

use vwasm_checker::claims::{Claim, Claims, DEPTH, FACTS, REGISTERS, SAME, WORDS};

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
        let flags = set(label.narrow != 0, REGISTERS) | set(label.depth != frame, DEPTH) | set(label.count != 0, FACTS);
        let flags = flags | set(label.word_count != 0, WORDS);
        write_number(out, u64::from(label.offset - last) << 4 | flags);
        last = label.offset;
        if flags & REGISTERS != 0 {
            out.extend_from_slice(&label.narrow.to_le_bytes());
        }
        if flags & DEPTH != 0 {
            write_number(out, u64::from(label.depth / 8));
        }
        if flags & FACTS != 0 {
            write_number(out, u64::from(label.count));
            for &(location, claim) in claims.facts_of(label) {
                write_number(out, location.into());
                write_claim(out, claim);
            }
        }
        if flags & WORDS != 0 {
            write_number(out, u64::from(label.word_count));
            let mut next = 0;
            for &(chunk, bits) in claims.words_of(label) {
                write_number(out, u64::from(chunk.wrapping_sub(next)));
                write_number(out, bits);
                next = chunk.wrapping_add(1);
            }
        }
    }
    bytes
}
