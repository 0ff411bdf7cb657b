//! Hand-written ways out of the sandbox: the checker rejects each, for the reason given.
//!
//! Each case is the body of a function in the small module of `checker/module.rs`; cases whose reason is `OK` are the same
//! shapes done right, so that a rejection is known to be for what the case is about. A file for each family.

#[path = "../checker/emulator.rs"]
mod emulator;
mod frames;
mod instructions;
mod memory;
#[path = "../checker/module.rs"]
mod module;
mod shape;
mod tables;
mod transfers;
mod values;

use emulator::Emulator;
use iced_x86::{Code, Register::*};
use module::{Built, Part};
use shape::*;
use vwasm::claims::write;
use vwasm_checker::claims::{Claim, Claims, Label};
use vwasm_checker::fact::{Fact, MAX32, OWN};
use vwasm_checker::state::State;
use vwasm_checker::{Checker, Reason};

fn cases() -> Vec<Case> {
    let families =
        [memory::cases(), tables::cases(), frames::cases(), values::cases(), transfers::cases(), instructions::cases()];
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
            Err(rejection) => vwasm::verify::reason(&rejection.reason, 0),
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
    let lies: [(u64, Vec<(u32, Claim)>, u32); 6] = [
        (1 << 7, Vec::new(), 0),
        (0, vec![(7, Claim::Fact(Fact::max(5)))], 0),
        (0, vec![(7, Claim::Fact(Fact::offset_max(1 << 60)))], 0),
        (0, vec![(7, Claim::Fact(Fact::table(0)))], 0),
        (0, vec![(7, Claim::Same(6)), (6, Claim::Fact(Fact::max(5)))], 0),
        (1 << 7, Vec::new(), 8),
    ];
    for (narrow, facts, depth) in lies {
        let verdict = built.verdict_with(&[], &|_, number| {
            let mut claims = Claims::default();
            if number == 0 {
                (claims.facts, claims.narrow) = (facts.clone(), vec![(0, narrow)]);
                claims.labels.push(Label { offset: label, depth, narrow: 0..1, facts: 0..facts.len() });
            }
            write(&claims, built.units[number].start, 0)
        });
        assert!(verdict.is_err(), "accepted with the claims {narrow:#x} {facts:?} {depth}");
    }
}

/// What was known before a label is known after it only if it is claimed.
#[test]
fn labels_forget() {
    let word = |n: i64| at(RSP, 8 * n);
    // A loop that leaves something wide in a word, or a register, that was zero-extended when it began.
    for (n, narrow) in
        [(1, vec![]), (1, vec![(0, 1 << 7)]), (60, vec![]), (60, vec![(0, 0)]), (60, vec![(1, 0), (0, 1 << 7)])]
    {
        let loops = [(RAX, i!(Mov_rm64_r64 word(n), RDI)), (RBX, i!(Movsxd_r64_rm32 RBX, EDI))];
        for (index, wide) in loops {
            let parts = vec![
                i!(Sub_rm64_imm32 RSP, 0x200),
                i!(Xor_r32_rm32 EBX, EBX),
                i!(Mov_rm64_r64 word(n), RBX),
                i!(Mov_r32_rm32 EDI, EDI),
                jump(Code::Jmp_rel32_64, 1),
                l(1),
                i!(Mov_r64_rm64 RAX, word(n)),
                i!(Mov_r32_rm32 EAX, m(R15, index, 1, 0)),
                wide,
                jump(Code::Jmp_rel32_64, 1),
            ];
            let built = Built::new(5, &parts);
            let label = Label { offset: built.targets[0], depth: 0x200, narrow: 0..narrow.len(), facts: 0..0 };
            let mut claims = Claims { labels: vec![label], narrow: narrow.clone(), ..Claims::default() };
            claims.index.push(built.targets[0], 0);
            assert!(matches!(verdict(&built, &claims, &[]), Err(Reason::Missing(0 | 3, _))));
        }
    }
}

/// The verdict on the function under test with such claims.
fn verdict(built: &Built, claims: &Claims, data: &[u8]) -> Result<(), Reason> {
    let module = built.module(data);
    let checker = Checker::new(&module).expect("a module");
    checker.unit(0, claims, &mut State::default()).map(|_| ()).map_err(|rejection| rejection.reason)
}

/// Refused for how it is written: the machine does the same as with the encoding that is allowed (or, of prefixes on branches,
/// differs from one maker's processors to another's).
const SPELLING: [&str; 14] = [
    "a return with a rep prefix",
    "a jump with a 66 prefix",
    "a conditional jump with a 66 prefix",
    "a jump with a bnd prefix",
    "a conditional jump with a branch hint",
    "a redundant REX prefix",
    "two REX prefixes",
    "REX.X without an index",
    "REX.W that says nothing",
    "VEX.L of a scalar form",
    "VEX.X without an index",
    "VEX.W that says nothing",
    "a three-byte VEX where two do",
    "a move in the other encoding",
];

/// Refused for what cannot be known, or might follow; by itself it touches nothing.
const HARMLESS: [&str; 12] = [
    "through another register",
    "a slot's address that is not a multiple of 16",
    "a call at an index behind the slot",
    "rsp's address taken",
    "a word compared, not a register",
    "code behind a return",
    "an address in the code",
    "an address behind the read-only data",
    "loop",
    "jrcxz",
    "lock add",
    "ah",
];

/// An oracle is only worth what it notices: run unchecked, every other case leaves the sandbox on the emulator.
#[test]
fn the_emulator_notices_them() {
    let mut wrong = Vec::new();
    for (name, ty, parts, _) in cases().into_iter().filter(|case| case.3 != OK) {
        let built = Built::new(ty, &parts);
        let table: Vec<u8> = table_of(&built, &parts).iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let module = built.module(&table);
        let noticed = (0..4000).any(|seed| Emulator::new(&module, seed).run(0, 100).is_err());
        if noticed == (SPELLING.contains(&name) || HARMLESS.contains(&name)) {
            wrong.push(format!("{name}: {}", if noticed { "noticed" } else { "not noticed" }));
        }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
}

/// Few bytes that ask for much work: the verdict comes all the same.
#[test]
fn what_takes_too_long_is_rejected() {
    let nothing = Claims::default();
    let own = |built: &Built, claims: Claims| {
        let verdict = built.verdict_with(&[], &|_, number| {
            let start = built.units[number].start;
            write(if number == 0 { &claims } else { &nothing }, start, 0)
        });
        verdict.map_err(|rejection| rejection.reason)
    };
    // Many branches to one label of many claims.
    const BRANCHES: usize = 4000;
    const CLAIMS: u32 = 100_000;
    let branch = |n: usize| [&[0x0f, 0x84][..], &(6 * (BRANCHES - 1 - n) as u32).to_le_bytes()].concat();
    let bytes: Vec<u8> = (0..BRANCHES).flat_map(branch).collect();
    let built = Built::new(1, &[i!(Mov_r32_rm32 EAX, EDI), x(&bytes), l(1), ret()]);
    let (offset, claim) = (built.targets[0], (0, Claim::Fact(Fact::max(MAX32))));
    let label = Label { offset, depth: 0, narrow: 0..0, facts: 0..CLAIMS as usize };
    let claims = Claims { labels: vec![label], facts: vec![claim; CLAIMS as usize], ..Claims::default() };
    assert_eq!(own(&built, claims), Err(Reason::Work));
    // A frame as large as can be, taken and given up again and again.
    let whole = [i!(Sub_rm64_imm32 RSP, 0x1ff_fff8), i!(Mov_rm64_r64 at(RSP, 0), RAX), i!(Add_rm64_imm32 RSP, 0x1ff_fff8)];
    let frames: Vec<Part> =
        [i!(Mov_r32_rm32 EAX, EDI)].into_iter().chain(vec![whole; 1000].into_iter().flatten()).chain([ret()]).collect();
    assert_eq!(own(&Built::new(1, &frames), Claims::default()), Err(Reason::Work));
    // A word that is so far away that its location would be a register's.
    let built = Built::new(1, &[jump(Code::Jmp_rel32_64, 1), l(1), i!(Xor_r32_rm32 EAX, EAX), ret()]);
    let offset = built.targets[0];
    let label = Label { offset, depth: 0, narrow: 0..1, facts: 0..0 };
    let claims = Claims { labels: vec![label], narrow: vec![(u32::MAX / 64 + 1, 1 << 7)], ..Claims::default() };
    assert_eq!(own(&built, claims), Err(Reason::Claims));
    // The same words again and again.
    let label = Label { offset, depth: 64, narrow: 0..2, facts: 0..0 };
    let claims = Claims { labels: vec![label], narrow: vec![(0, 1), (0, 1)], ..Claims::default() };
    assert_eq!(own(&built, claims), Err(Reason::Claims));
    // Claims of which each of many labels has all, where nothing goes and where everything falls through; and a jump table there,
    // whose entries are far fewer than is claimed.
    const LABELS: usize = 10_000;
    for (between, claim) in [(&[0x0f, 0x0b], Claim::Fact(Fact::max(MAX32))), (&[0x8b, 0xc0], Claim::Fact(Fact::UNKNOWN))] {
        let built = Built::new(0, &[x(&[0x33, 0xc0]), x(&between.repeat(LABELS)), x(&[0x0f, 0x0b])]);
        let label = |n: usize| Label { offset: 2 + 2 * n as u32, depth: 0, narrow: 0..0, facts: 0..LABELS };
        let claims =
            Claims { labels: (1..=LABELS).map(label).collect(), facts: vec![(0, claim); LABELS], ..Claims::default() };
        assert_eq!(verdict(&built, &claims, &[]), Err(Reason::Work));
    }
    let built = Built::new(0, &[x(&[0x0f, 0x0b]), l(1), i!(Jmp_rm64 RAX), l(2), x(&[0x0f, 0x0b])]);
    let mut targets = built.targets.clone();
    targets.sort_unstable();
    let mut claims = Claims { facts: vec![(15, Claim::Fact(Fact::memory(OWN, 5))); LABELS], ..Claims::default() };
    claims.facts[0] = (0, Claim::Fact(Fact::target(0, u32::MAX)));
    for (n, facts) in [(0, 0..1), (1, 1..LABELS)] {
        claims.index.push(targets[n], n as u32);
        claims.labels.push(Label { offset: targets[n], depth: 0, narrow: 0..0, facts });
    }
    let table = (targets[1] as i32 - module::DATA_START as i32).to_le_bytes().repeat(LABELS);
    assert_eq!(verdict(&built, &claims, &table), Err(Reason::Work));
    // Room for all words of a frame that a few bytes take.
    let frame =
        [i!(Sub_rm64_imm32 RSP, 0x1ff_fff8), i!(Mov_rm64_r64 at(RSP, 0), RDI), i!(Add_rm64_imm32 RSP, 0x1ff_fff8), ret()];
    assert_eq!(own(&Built::new(1, &frame), Claims::default()), Err(Reason::Work));
}
