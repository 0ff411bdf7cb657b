//! Hand-written ways out of the sandbox: the checker rejects each, for the reason given.
//!
//! Each case is the body of a function in the small module of `checker/module.rs`; cases whose reason is `OK` are the same
//! shapes done right, so that a rejection is known to be for what the case is about. A file for each family.

mod frames;
mod instructions;
mod memory;
#[path = "../checker/module.rs"]
mod module;
mod shape;
mod tables;
mod transfers;

use iced_x86::{Code, Register::*};
use module::{Built, Part};
use shape::*;
use vwasm::claims::write;
use vwasm_checker::claims::{Claim, Claims, Label};
use vwasm_checker::fact::Fact;

fn cases() -> Vec<Case> {
    let families = [memory::cases(), tables::cases(), frames::cases(), transfers::cases(), instructions::cases()];
    families.into_iter().flatten().collect()
}

#[test]
fn each_is_rejected_for_its_reason() {
    let mut wrong = Vec::new();
    let (mut rejected, mut accepted) = (0, 0);
    for (name, ty, parts, expected) in cases() {
        let built = Built::new(ty, &parts);
        // Two entries, for the cases with jump tables: labels 1 and 2.
        let table: Vec<u8> = table_of(&built, &parts).iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let found = match built.verdict(&table) {
            Ok(()) => OK.to_string(),
            Err(rejection) => rejection.reason.to_string(),
        };
        let right = if expected == OK { found == OK } else { found != OK && found.contains(expected) };
        if !right {
            wrong.push(format!("{name}: expected `{expected}`, found `{found}`"));
        }
        if expected == OK { accepted += 1 } else { rejected += 1 }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
    println!("{rejected} escapes rejected, {accepted} harmless shapes accepted");
    assert!(rejected >= 80);
}

/// The jump table's two entries: labels 1 and 2 relative to the table.
fn table_of(built: &Built, parts: &[Part]) -> [i32; 2] {
    let mut places = [0; 2];
    let mut seen = built.targets.clone();
    seen.sort_unstable();
    let wanted = parts.iter().filter(|part| matches!(part, Part::Label(1 | 2))).count();
    if wanted == 2 {
        let from = module::DATA_START as i32;
        places = [seen[0] as i32 - from, seen[1] as i32 - from];
    }
    places
}

/// Claims that say more than is so.
#[test]
fn false_claims_are_rejected() {
    // f(i64): test rdi, rdi; je 1; 1: mov eax, [r15 + rdi]; ret
    let parts =
        vec![i!(Test_rm64_r64 RDI, RDI), jump(Code::Je_rel32_64, 1), l(1), i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)), ret()];
    let built = Built::new(2, &parts);
    let label = built.targets[0];
    let lies: [(u16, Vec<(u32, Claim)>, u32); 6] = [
        (1 << 7, Vec::new(), 0),
        (0, vec![(7, Claim::Fact(Fact::Max(5)))], 0),
        (0, vec![(7, Claim::Fact(Fact::OffsetMax(1 << 60)))], 0),
        (0, vec![(7, Claim::Fact(Fact::Table(0)))], 0),
        (0, vec![(7, Claim::Same(6)), (6, Claim::Fact(Fact::Max(5)))], 0),
        (1 << 7, Vec::new(), 8),
    ];
    for (narrow, facts, depth) in lies {
        let verdict = built.verdict_with(&[], &|_, _, number| {
            let mut claims = Claims::default();
            if number == 0 {
                let count = facts.len() as u32;
                claims.facts = facts.clone();
                claims.labels.push(Label { offset: label, depth, narrow, first: 0, count, first_word: 0, word_count: 0 });
            }
            write(&claims, built.units[number].start, 0)
        });
        assert!(verdict.is_err(), "accepted with the claims {narrow:#x} {facts:?} {depth}");
    }
}
