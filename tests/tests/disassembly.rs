//! The encoder's bytes mean the same to iced, which made them, and to an independent disassembler.

use iced_x86::{Decoder, DecoderOptions, Encoder, Instruction};
use std::collections::BTreeSet;
use vwasm_tests::disassembler;
use vwasm_tests::model::{NAMES, sample};
use vwasm_tests::operands::Operands;
use vwasm_tests::random::{Random, seed};
use vwasm_tests::support::compiled;

const SAMPLES: usize = 400;
const AT: u64 = 0x10_0000;

fn check(instruction: &Instruction, bytes: &[u8]) -> Result<(), String> {
    let decoded = Decoder::with_ip(64, bytes, AT, DecoderOptions::NONE).decode();
    let (meant, read) = (disassembler::by_iced(instruction)?, disassembler::by_iced(&decoded)?);
    if decoded.code() != instruction.code() || decoded.len() != bytes.len() || meant != read {
        return Err(format!("iced reads {:?} {read:?}, meant {:?} {meant:?}", decoded.code(), instruction.code()));
    }
    disassembler::agree(&decoded, bytes)
}

#[test]
fn two_disassemblers_agree() {
    let mut random = Random(seed(4));
    let mut forms = BTreeSet::new();
    let mut failures = Vec::new();
    for (form, name) in NAMES.iter().enumerate() {
        for _ in 0..SAMPLES {
            let mut operands = Operands { random: &mut random, label: AT + 100, access: None };
            let inst = sample(form, &mut operands).expect("a form");
            let instruction = inst.encode().unwrap_or_else(|error| panic!("{inst}: {error}"));
            let mut encoder = Encoder::new(64);
            encoder.encode(&instruction, AT).unwrap_or_else(|error| panic!("{inst}: {error}"));
            let bytes = encoder.take_buffer();
            forms.insert(instruction.code() as u32);
            if let Err(message) = check(&instruction, &bytes) {
                failures.push(format!("{name}: {inst} {bytes:02x?}: {message}"));
                break;
            }
        }
    }
    eprintln!("{} instructions, {} codes of iced, {} samples each", NAMES.len(), forms.len(), SAMPLES);
    assert!(failures.is_empty(), "{} instructions:\n{}", failures.len(), failures.join("\n"));
}

/// All the code of the benchmarks' programs.
#[test]
fn two_disassemblers_agree_on_compiled_code() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/wasm");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).expect("the benchmarks").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut instructions = 0;
    for path in files {
        let program = compiled(&std::fs::read(&path).expect("a module"));
        let module = vwasm::verify::describe(&program.manifest, &program.code, &program.data);
        for unit in module.expect("the description of what was compiled").units {
            let found = disassembler::agree_on(&program.code, unit.start as usize, unit.end as usize, |_| false);
            instructions += found.unwrap_or_else(|message| panic!("{}: {message}", path.display()));
        }
    }
    eprintln!("{instructions} instructions of the benchmarks");
    assert!(instructions > 100_000);
}

/// Bytes that nobody wrote, beginning as instructions often do.
#[test]
fn two_disassemblers_agree_on_noise() {
    const BEGINNINGS: [&[u8]; 9] =
        [&[], &[0x48], &[0x0f], &[0x66, 0x0f], &[0xf2, 0x0f], &[0xf3, 0x48, 0x0f], &[0xc4], &[0xc5], &[0x66]];
    let mut random = Random(seed(5));
    let mut instructions = 0;
    for n in 0..1_000_000 {
        let mut bytes = BEGINNINGS[n % BEGINNINGS.len()].to_vec();
        bytes.extend_from_slice(&random.next().to_le_bytes());
        bytes.extend_from_slice(&random.next().to_le_bytes());
        bytes.truncate(15);
        let found = disassembler::agree_on(&bytes, 0, bytes.len(), |at| at > 0);
        instructions += found.unwrap_or_else(|message| panic!("{bytes:02x?}: {message}"));
    }
    eprintln!("{instructions} instructions of noise");
    assert!(instructions > 10_000);
}
