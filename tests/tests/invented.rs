//! Invented code: instructions drawn at random from all that guest code has a use for, those taken out that the checker refuses,
//! until it accepts the rest; that runs on the emulator (`checker/emulator.rs`), where every step must keep to the sandbox theorem.
//!
//! What compilers never write is reached that way: values copied, compared, spilled, narrowed and refined in any order, around
//! loops and over calls. Another time the claims are invented too, and only what is refused of them is taken back: what remains
//! must be so wherever a program comes by. `VWASM_INVENTED` and `VWASM_CLAIMS` set how many programs (2,000 and 3,000),
//! `VWASM_SEED` where to begin; all are printed.

#[path = "checker/emulator.rs"]
mod emulator;
#[path = "checker/hostile.rs"]
mod hostile;
#[path = "checker/module.rs"]
#[allow(dead_code)] // not all of it is of use here
mod module;
#[path = "escapes/shape.rs"]
#[allow(dead_code, unused_imports)] // not all of it is of use here
mod shape;

use emulator::Emulator;
use iced_x86::Register::{
    self, AL, BL, CL, DIL, DL, EAX, EBX, ECX, EDI, EDX, ESI, R8, R8D, R8L, R9, R9D, R9L, R12, R12D, R12L, R15, RAX, RBX,
    RCX, RDI, RDX, RSI, RSP, SIL,
};
use iced_x86::{Code, Decoder, DecoderOptions};
use module::{Built, DATA_START, Part, fields};
use rayon::prelude::*;
use shape::*;
use std::collections::BTreeMap;
use vwasm::claims::decode;
use vwasm_checker::claims::{Claim, Claims, Label};
use vwasm_checker::fact::Fact;
use vwasm_checker::layout::*;
use vwasm_checker::state::{Location, State, WORDS};
use vwasm_checker::step::Next;
use vwasm_checker::{Checker, Reason};
use vwasm_tests::random::Random;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

const WIDE: [Register; 9] = [RAX, RCX, RDX, RBX, RSI, RDI, R8, R9, R12];
const NARROW: [Register; 9] = [EAX, ECX, EDX, EBX, ESI, EDI, R8D, R9D, R12D];
const BYTES: [Register; 9] = [AL, CL, DL, BL, SIL, DIL, R8L, R9L, R12L];

const CONDITIONS: [[Code; 3]; 8] = [
    [Code::Jb_rel32_64, Code::Cmovb_r64_rm64, Code::Cmovb_r32_rm32],
    [Code::Jae_rel32_64, Code::Cmovae_r64_rm64, Code::Cmovae_r32_rm32],
    [Code::Je_rel32_64, Code::Cmove_r64_rm64, Code::Cmove_r32_rm32],
    [Code::Jne_rel32_64, Code::Cmovne_r64_rm64, Code::Cmovne_r32_rm32],
    [Code::Jbe_rel32_64, Code::Cmovbe_r64_rm64, Code::Cmovbe_r32_rm32],
    [Code::Ja_rel32_64, Code::Cmova_r64_rm64, Code::Cmova_r32_rm32],
    [Code::Jl_rel32_64, Code::Cmovl_r64_rm64, Code::Cmovl_r32_rm32],
    [Code::Jp_rel32_64, Code::Cmovp_r64_rm64, Code::Cmovp_r32_rm32],
];

/// A register zero-extended from its lower half.
fn narrowed(n: usize) -> Part {
    i!(Mov_r32_rm32 NARROW[n], NARROW[n])
}

struct Author(Random);

impl Author {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.index(of.len())].clone()
    }

    /// Few registers, so that they meet.
    fn place(&mut self) -> usize {
        let places = if self.0.below(3) == 0 { WIDE.len() } else { 4 };
        self.0.index(places)
    }

    fn wide(&mut self) -> Register {
        WIDE[self.place()]
    }

    fn narrow(&mut self) -> Register {
        NARROW[self.place()]
    }

    /// In the frame, mostly whole words.
    fn word(&mut self) -> i64 {
        match self.0.below(8) {
            0 => 4 * self.0.below(16) as i64,
            _ => 8 * self.0.below(4) as i64,
        }
    }

    fn small(&mut self) -> i32 {
        self.one(&[0, 1, 2, 4, 9, 10, 11, 16, 127, -1, -16])
    }

    fn field(&mut self) -> i64 {
        let f = fields();
        let of = [
            f.table(0),
            f.table(0),
            f.table(1),
            f.signature(0),
            f.signature(1),
            f.signature(5),
            f.global_import(0),
            f.global_import(1),
            f.global(0),
            f.constant(0),
            INSTANCE_MEMORY_PAGES,
            INSTANCE_FUNCTIONS,
        ];
        self.one(&of).into()
    }

    fn part(&mut self) -> Vec<Part> {
        let (a, b) = (self.wide(), self.wide());
        let (a32, b32) = (self.narrow(), self.narrow());
        let condition = self.one(&CONDITIONS);
        let word = at(RSP, self.word());
        vec![match self.0.below(44) {
            0 | 1 => i!(Mov_r64_rm64 a, b),
            2 => i!(Mov_r32_rm32 a32, b32),
            3 | 4 => i!(Mov_r64_rm64 a, word),
            5 | 6 => i!(Mov_rm64_r64 word, a),
            7 => i!(Mov_rm32_r32 word, a32),
            8 => i!(Mov_r32_rm32 a32, word),
            9 => i!(Mov_r32_imm32 a32, self.small()),
            10 => i!(Mov_rm64_imm32 a, self.small()),
            11 => i!(Add_r64_rm64 a, b),
            12 => i!(Add_r32_rm32 a32, b32),
            13 => i!(And_rm64_imm8 a, self.small()),
            14 => i!(And_r64_rm64 a, b),
            15 => i!(Or_r64_rm64 a, b),
            16 => i!(Xor_r32_rm32 a32, b32),
            17 => i!(Shl_rm64_imm8 a, self.one(&[4u32, 4, 4, 1, 3, 32])),
            18 => i!(Shr_rm64_imm8 a, self.one(&[4u32, 1, 31, 32, 60])),
            19 => i!(Sub_rm64_imm8 a, self.small()),
            20 => {
                let (scale, distance) = (self.one(&[1, 1, 2, 4, 8]), self.one(&[0, 0, 0, 8, 16, -1, 0x7fff_0000]));
                i!(Lea_r64_m a, m(self.one(&[R15, b]), self.wide(), scale, distance))
            }
            21 => i!(Lea_r32_m a32, m(b, self.wide(), 1, 1)),
            22 | 23 => i!(Cmp_r64_rm64 a, b),
            24 => i!(Cmp_r32_rm32 a32, b32),
            25 => i!(Cmp_rm64_imm8 a, self.small()),
            26 => {
                i!(Cmp_r32_rm32 a32, at(b, self.one(&[-16, SLOT_SIGNATURE.into(), SLOT_SIGNATURE.into(), SLOT_REFERENCE.into()])))
            }
            27 | 28 => jump(condition[0], self.one(&[1, 2, 9, 9, 9])),
            29 => Part::Inst(iced_x86::Instruction::with2(condition[1], a, b).expect("operands")),
            30 => Part::Inst(iced_x86::Instruction::with2(condition[2], a32, b32).expect("operands")),
            31 | 32 => i!(Mov_r64_rm64 a, at(R15, self.field())),
            33 => i!(Mov_r32_rm32 a32, at(R15, self.field())),
            34 => i!(Mov_r32_rm32 a32, m(R15, b, self.one(&[1, 1, 2, 8]), self.one(&[0, 4, 0x7fff_fff0]))),
            35 => i!(Mov_r64_rm64 a, at(b, self.one(&[0, 0, 8, 12, -16, -24]))),
            36 => i!(Mov_rm64_r64 at(b, self.one(&[0, 0, 4, -16])), a),
            37 => i!(Mov_rm8_r8 m(R15, b, 1, 0), BYTES[self.place()]),
            38 => match self.0.below(8) {
                0 => i!(Cdq),
                1 => i!(Mul_rm64 a),
                2 => i!(Div_rm64 a),
                3 => i!(Sbb_r64_rm64 a, a),
                4 => i!(Sete_rm8 BYTES[self.place()]),
                5 => i!(Movsxd_r64_rm32 a, b32),
                6 => i!(Movzx_r32_rm8 a32, BYTES[self.place()]),
                _ => i!(Tzcnt_r64_rm64 a, b),
            },
            39 => match self.0.below(3) {
                0 => call(2),
                1 => i!(Call_rm64 at(R15, INSTANCE_GATE.into())),
                _ => i!(Call_rm64 at(R15, (fields().function_import(1) + SLOT_CODE).into())),
            },
            40 => i!(Sub_rm64_imm8 RSP, 8),
            41 => i!(Add_rm64_imm8 RSP, 8),
            42 => match self.0.below(3) {
                0 => i!(Call_rm64 at(RAX, 0)),
                1 => i!(Lea_r64_m RAX, at(R15, fields().function_import(1).into())),
                _ => i!(Mov_r64_rm64 RAX, a),
            },
            _ => return self.phrase(),
        }]
    }

    /// What rarely comes about by chance, with chances in between.
    fn phrase(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        match self.0.below(5) {
            0 => slot(&mut parts),
            1 => {
                slot(&mut parts);
                parts.extend([signature(self.0.below(3) as u32), check_signature(), jump(Code::Jne_rel32_64, 9)]);
                let word = at(RSP, 8 * self.0.below(4) as i64);
                let reload = i!(Mov_r64_rm64 RAX, word);
                parts.extend([i!(Mov_rm64_r64 word, RAX), i!(Call_rm64 at(RAX, 0)), reload, i!(Call_rm64 at(RAX, 0))]);
            }
            // A spill, something that touches the word or not, and an access with what stands there.
            2 | 3 => {
                let (n, word) = (self.place(), 8 * self.0.below(4) as i64);
                let touched = at(RSP, word + self.one(&[-4, 4, 4, 8]));
                parts.extend([
                    self.one(&[narrowed(n), i!(And_rm64_imm8 WIDE[n], 127), i!(Shr_rm64_imm8 WIDE[n], 32u32)]),
                    i!(Mov_rm64_r64 at(RSP, word), WIDE[n]),
                ]);
                match self.0.below(5) {
                    0 => parts.push(i!(Mov_rm32_r32 touched, self.narrow())),
                    1 => parts.push(i!(Mov_rm64_r64 touched, self.wide())),
                    2 => parts.extend([i!(Add_rm64_imm8 RSP, 8), i!(Sub_rm64_imm8 RSP, 8)]),
                    3 => parts.push(call(self.one(&[1, 2]))),
                    _ => {}
                }
                let n = self.place();
                parts.extend([
                    i!(Mov_r64_rm64 WIDE[n], at(RSP, word)),
                    i!(Mov_r32_rm32 self.narrow(), m(R15, WIDE[n], 1, 0)),
                ]);
            }
            _ => parts.extend(through_table()),
        }
        let mut mixed = Vec::new();
        for part in parts {
            if self.0.below(6) == 0 {
                mixed.extend(self.part());
            }
            if self.0.below(12) > 0 {
                mixed.push(part);
            }
        }
        mixed
    }

    fn program(&mut self) -> Vec<Part> {
        let mut parts = vec![i!(Sub_rm64_imm8 RSP, 0x40)];
        let length = 12 + self.0.index(48);
        while parts.len() < length {
            parts.extend(self.part());
        }
        for label in [1, 2] {
            let place = 1 + self.0.index(parts.len() - 1);
            parts.insert(place, l(label));
        }
        parts.extend([i!(Ud2), l(9), i!(Ud2)]);
        parts
    }
}

/// A jump table of labels 1 and 2.
fn table(built: &Built) -> Vec<u8> {
    let mut targets = built.targets.clone();
    targets.sort_unstable();
    targets[..2].iter().flat_map(|target| (*target as i32 - DATA_START as i32).to_le_bytes()).collect()
}

/// Runs the first function.
fn run(built: &Built, seeds: std::ops::Range<u64>) -> Result<(), String> {
    let data = table(built);
    let module = built.module(&data);
    seeds.into_iter().try_for_each(|seed| Emulator::new(&module, seed).run(0, 200))
}

/// Takes out what the checker refuses, until it accepts the rest.
fn accepted(mut parts: Vec<Part>) -> Option<(Built, Vec<Part>)> {
    loop {
        let built = Built::new(5, &parts);
        let Err(rejection) = built.verdict(&table(&built)) else { return Some((built, parts)) };
        let starts = Decoder::with_ip(64, &built.code, 0, DecoderOptions::NONE).into_iter().map(|inst| inst.ip() as u32);
        let nth = starts.take_while(|start| *start <= rejection.offset).count().checked_sub(1)?;
        let instructions = parts.iter().enumerate().filter(|(_, part)| !matches!(part, Part::Label(_)));
        let (place, _) = instructions.skip(nth).next()?;
        // The frame and the ends stay.
        if place == 0 || place + 3 >= parts.len() {
            return None;
        }
        parts.remove(place);
    }
}

#[test]
fn what_is_accepted_stays_inside() {
    let (count, seed) = (number("VWASM_INVENTED", 2000), number("VWASM_SEED", 1));
    let programs: Vec<(Option<(usize, usize)>, BTreeMap<Code, u32>, Option<String>)> = (0..count)
        .into_par_iter()
        .map(|n| {
            let mut author = Author(Random(seed.wrapping_mul(0x1_0000_0000).wrapping_add(n)));
            let parts = author.program();
            let drawn = parts.len();
            let mut kinds = BTreeMap::new();
            let Some((built, kept)) = accepted(parts) else { return (None, kinds, None) };
            for part in &kept {
                if let Part::Inst(inst) = part {
                    *kinds.entry(inst.code()).or_default() += 1;
                }
            }
            let first = author.0.next();
            let found = run(&built, first..first.saturating_add(200)).err();
            let listing = || {
                let end = built.units[0].end as usize;
                let bytes: String = built.code[..end].iter().map(|byte| format!("{byte:02x}")).collect();
                format!("program {n} of seed {seed}, {bytes}")
            };
            (Some((drawn, kept.len())), kinds, found.map(|error| format!("{}: {error}", listing())))
        })
        .collect();
    let (mut drawn, mut kept, mut made) = (0, 0, 0);
    let mut kinds: BTreeMap<Code, u32> = BTreeMap::new();
    for (sizes, of, _) in &programs {
        if let Some((before, after)) = sizes {
            (drawn, kept, made) = (drawn + before, kept + after, made + 1);
        }
        of.iter().for_each(|(code, count)| *kinds.entry(*code).or_default() += count);
    }
    println!("seed {seed}: {made} of {count} programs, {kept} of {drawn} instructions kept: {kinds:?}");
    let failures: Vec<&String> = programs.iter().filter_map(|(.., failure)| failure.as_ref()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(made > count / 2 && kept > drawn / 4, "too little is accepted to say much");
    for code in [Code::Call_rm64, Code::Jmp_rm64, Code::Jb_rel32_64, Code::Cmovb_r64_rm64, Code::Mov_rm8_r8] {
        assert!(kinds.contains_key(&code), "no {code:?} was accepted");
    }
}

/// What is said of a label, however wrong.
#[derive(Clone, Debug)]
struct Said {
    depth: u32,
    narrow: Vec<(u32, u64)>,
    facts: Vec<(Location, Claim)>,
}

impl Said {
    /// Mostly what was known somewhere in the function (whose caller owns no words), whether it is still so or not.
    fn invented(frame: u32, known: &[(Location, Claim)], random: &mut Random) -> Said {
        let depth = frame.wrapping_add_signed(random.pick(&[0, 0, 0, 0, 0, 0, 8, -8, 4]));
        let mut narrow = Vec::new();
        if random.below(2) == 0 {
            let bits = random.next() | random.next();
            narrow.extend(
                [(0, bits & 0x1ff_ffff | bits & (1 << 63)), (1, bits & 7)].iter().take(1 + (frame / 0x180) as usize),
            );
        }
        if random.below(4) == 0 {
            let chunk = (random.pick(&[0, 0, 1, 1 << 26, u32::MAX]), random.next() & random.next());
            narrow.insert(random.index(narrow.len() + 1), chunk);
        }
        let claim = |random: &mut Random| match random.below(3) {
            0 => hostile::claim(0, depth, random),
            _ => random.pick(known),
        };
        let facts = (0..random.below(12)).map(|_| claim(random)).collect();
        Said { depth, narrow, facts }
    }

    /// Takes back what is said of a location, if anything is.
    fn take_back(&mut self, location: Location) -> bool {
        let before = self.facts.len();
        self.facts.retain(|fact| fact.0 != location);
        let mut found = self.facts.len() < before;
        for (chunk, bits) in self.narrow.iter_mut().filter(|chunk| chunk.0.wrapping_mul(64) == location & !63) {
            found |= *bits >> (location % 64) & 1 != 0;
            *bits &= !(1 << (location % 64));
            *chunk %= 1 << 26;
        }
        found
    }
}

/// What the checker knows after any of the instructions, if those that it refuses are left out.
fn known(built: &Built) -> Vec<(Location, Claim)> {
    let data = table(built);
    let module = built.module(&data);
    let checker = Checker::new(&module).expect("a module");
    let (step, mut state) = (checker.step(0).expect("a function"), State::default());
    step.enter(&mut state, u64::MAX);
    let (mut known, mut at) = (Vec::new(), 0);
    while let Some(instruction) = decode(&built.code, at).filter(|_| at < built.units[0].end) {
        if let Ok(Next::Branch(_)) = step.run(&mut state, &instruction) {
            state.learn(state.flags.refine(instruction.form.condition, false));
        }
        at = instruction.end();
        let last = WORDS + state.depth / 8;
        let places: Vec<Location> = (0..WORDS).chain(last.saturating_sub(8).max(WORDS)..=last).collect();
        for &place in places.iter().filter(|place| state.get(**place).fact != Fact::UNKNOWN) {
            known.push((place, Claim::Fact(state.get(place).fact)));
            let value = state.get(place).value;
            let other = places.iter().find(|other| **other != place && value != 0 && state.get(**other).value == value);
            known.extend(other.map(|other| (place, Claim::Same(*other))));
        }
    }
    known
}

/// Takes out instructions that are refused, and takes back claims, until the rest is accepted.
fn accepted_with(mut parts: Vec<Part>, said: &mut [Said], random: &mut Random) -> Option<(Built, Claims)> {
    let mut state = State::default();
    for _ in 0..400 {
        let built = Built::new(5, &parts);
        let mut targets = built.targets.clone();
        targets.sort_unstable();
        let mut claims = Claims::default();
        for (offset, said) in targets.iter().zip(&*said) {
            let (narrow, facts) = (claims.narrow.len(), claims.facts.len());
            claims.narrow.extend(&said.narrow);
            claims.facts.extend(&said.facts);
            let (narrow, facts) = (narrow..claims.narrow.len(), facts..claims.facts.len());
            claims.labels.push(Label { offset: *offset, depth: said.depth, narrow, facts });
        }
        claims.index = hostile::index(&claims.labels, 0, &mut Random(0));
        let data = table(&built);
        let module = built.module(&data);
        let checker = Checker::new(&module).expect("a module");
        let Err(rejection) = checker.unit(0, &claims, &mut state) else { return Some((built, claims)) };
        let code = &built.code[rejection.offset as usize..];
        let target = Decoder::with_ip(64, code, rejection.offset.into(), DecoderOptions::NONE).decode().near_branch_target();
        // A label that is fallen to, or to which a branch goes.
        let here = targets.iter().position(|label| *label == rejection.offset);
        let there = targets.iter().position(|label| u64::from(*label) == target);
        if let Reason::Missing(location, _) = rejection.reason
            && random.below(8) > 0
            && [here, there].into_iter().flatten().any(|label| said[label].take_back(location))
        {
            continue;
        }
        if let (Reason::Claims, Some(label)) = (rejection.reason, here) {
            let said = &mut said[label];
            match random.below(2) {
                0 if !said.facts.is_empty() => drop(said.facts.remove(random.index(said.facts.len()))),
                _ if !said.narrow.is_empty() => drop(said.narrow.remove(random.index(said.narrow.len()))),
                _ => {}
            }
            continue;
        }
        let starts = Decoder::with_ip(64, &built.code, 0, DecoderOptions::NONE).into_iter().map(|inst| inst.ip() as u32);
        let nth = starts.take_while(|start| *start <= rejection.offset).count().checked_sub(1)?;
        let instructions = parts.iter().enumerate().filter(|(_, part)| !matches!(part, Part::Label(_)));
        let (place, _) = instructions.skip(nth).next()?;
        let falls = here.is_some() && matches!(rejection.reason, Reason::Missing(..) | Reason::LabelDepth);
        match random.below(2) {
            // Nothing is to fall to the label.
            0 if falls => {
                let label = (0..place).rev().take_while(|place| matches!(parts[*place], Part::Label(_))).last()?;
                parts.insert(label, i!(Ud2));
            }
            // The frame and the ends stay.
            _ if place == 0 || place + 3 >= parts.len() => return None,
            _ => drop(parts.remove(place)),
        }
    }
    None
}

#[test]
fn what_is_claimed_is_so() {
    let (count, seed) = (number("VWASM_CLAIMS", 3000), number("VWASM_SEED", 1));
    let one = |n: u64| -> Option<(usize, Result<(), String>)> {
        let mut author = Author(Random(seed.wrapping_mul(0x1_0000_0000).wrapping_add(n) ^ 1 << 63));
        let mut parts = author.program();
        let random = &mut author.0;
        // Either frame has the words that are used in the first chunk, or over its edge.
        let frame = random.pick(&[0x40, 0x190]);
        parts[0] = i!(Sub_rm64_imm32 RSP, frame as i32);
        let known = known(&Built::new(5, &parts));
        let mut said = [(); 3].map(|()| Said::invented(frame, &known, random));
        let (built, mut claims) = accepted_with(parts, &mut said, random)?;
        let data = table(&built);
        let module = built.module(&data);
        let checker = Checker::new(&module).expect("a module");
        let code = &built.code[..built.units[0].end as usize];
        let starts = Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter().map(|inst| inst.ip() as u32);
        let starts: Vec<u32> = starts.collect();
        for _ in 0..32 {
            let mut distorted = claims.clone();
            hostile::distort(&mut distorted, &starts, 0, random);
            distorted.index = hostile::index(&distorted.labels, 0, random);
            if checker.unit(0, &distorted, &mut State::default()).is_ok() {
                claims = distorted;
            }
        }
        let run = |seed| Emulator::new(&module, seed).holding(&claims).run(0, 200);
        let found = (0..100).try_for_each(|_| run(random.next()));
        let listing: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        let said = claims.labels.iter().map(|label| claims.facts_of(label).len()).sum();
        Some((said, found.map_err(|error| format!("program {n} of seed {seed}, {listing}: {error}; {claims:x?}"))))
    };
    let found: Vec<(usize, Result<(), String>)> = (0..count).into_par_iter().filter_map(one).collect();
    let facts: usize = found.iter().map(|(said, _)| said).sum();
    println!(
        "seed {seed}: {} of {count} programs accepted with what was claimed, {facts} facts besides zero-extended",
        found.len()
    );
    let lies: Vec<&String> = found.iter().filter_map(|(_, found)| found.as_ref().err()).collect();
    assert!(lies.is_empty(), "{lies:#?}");
    assert!(found.len() as u64 > count / 4, "too little is accepted to say much");
}

/// Run as they were drawn, most programs leave the sandbox: the emulator sees it.
#[test]
fn what_is_not_checked_does_not() {
    let seen = (0..200).filter(|n| {
        let built = Built::new(5, &Author(Random(*n)).program());
        run(&built, 0..50).is_err()
    });
    let seen = seen.count();
    println!("{seen} of 200 unchecked programs left the sandbox");
    assert!(seen > 150);
}
