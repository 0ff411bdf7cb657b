//! The checker's decoder against iced-x86's: whatever bytes it takes are that instruction, with those operands, for both.
//!
//! Bytes of three kinds: compiled programs, of which it must take every instruction; the same with a few bits and bytes changed;
//! random ones, most of which begin with an opcode of the table. `VWASM_BYTES` sets how many of the latter two (2,000,000).

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};
use std::collections::BTreeSet;
use vwasm::claims::{self, Found};
use vwasm::compile::{Compiled, Options, compile};
use vwasm::module::Module;
use vwasm_checker::form::{FORMS, NAMES, NONE, Operand, RIP};
use vwasm_tests::random::Random;

fn compiled() -> Vec<Compiled> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/wasm");
    let mut sources = vec![wat::parse_str(include_str!("checker/everything.wat")).expect("a module")];
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).expect("modules").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    sources.extend(paths.iter().map(|path| std::fs::read(path).expect("a module")));
    let one = |bytes: &Vec<u8>| {
        let module = Module::decode(bytes).expect("a valid module");
        compile(&module, &Options::default(), &|| ()).expect("a module that compiles")
    };
    sources.iter().map(one).collect()
}

/// Number of a register as the checker has it, and its width in bytes, 16 for a vector register.
fn number(register: Register) -> (u8, u8) {
    let number = register.full_register().number() as u8;
    match register {
        Register::None => (NONE, 0),
        Register::RIP => (RIP, 8),
        Register::AH | Register::CH | Register::DH | Register::BH => panic!("{register:?} is accepted"),
        _ => (number, register.size() as u8),
    }
}

/// What iced-x86 makes of the bytes at an offset.
fn oracle(code: &[u8], at: u32) -> Instruction {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    decoder.set_position(at as usize).expect("a position");
    decoder.set_ip(at.into());
    decoder.decode()
}

/// Whether the checker takes the bytes; how it differs from iced-x86, if it does.
fn compare(code: &[u8], at: u32) -> Result<Option<usize>, String> {
    let Some(found) = claims::decode(code, at) else { return Ok(None) };
    let form = FORMS.iter().position(|form| std::ptr::eq(form, found.form)).expect("a form of the table");
    let right = oracle(code, at);
    let same = |what: &str, same: bool| {
        let bytes = &code[at as usize..code.len().min(at as usize + 15)];
        if same {
            Ok(())
        } else {
            Err(format!("{what} of {bytes:02x?}: {found:x?}, but it is {right} ({:?})", right.code()))
        }
    };
    same("the form", format!("{:?}", right.code()) == NAMES[form])?;
    same("the length", usize::from(found.length) == right.len())?;
    same("a prefix", !right.has_lock_prefix() && right.segment_prefix() == Register::None)?;
    same("the number of operands", right.op_count() == u32::from(found.form.count))?;
    for n in 0..found.form.count {
        let (kind, operand) = (right.op_kind(n.into()), found.operand(n));
        let immediate = |bits: u32| right.immediate(n.into()) << (64 - bits) == found.immediate << (64 - bits);
        let fits = match (claims::found(&found, n), kind) {
            (Found::Register(register), OpKind::Register) => {
                (register, operand.width) == number(right.op_register(n.into()))
            }
            (Found::Vector, OpKind::Register) => right.op_register(n.into()).is_xmm(),
            (Found::Memory, OpKind::Memory) => {
                let from = if found.base == RIP { u64::from(found.end()) } else { 0 };
                let parts = (found.base, found.index, found.displacement.wrapping_add(from));
                let (base, index) = (number(right.memory_base()), number(right.memory_index()));
                let accessed = operand.is(Operand::MEMORY).then_some(operand.width.into());
                parts == (base.0, index.0, right.memory_displacement64())
                    && [base.1, index.1].iter().all(|width| matches!(width, 0 | 8))
                    && (index.0 == NONE || 1 << found.scale == right.memory_index_scale())
                    && accessed.is_none_or(|width: usize| right.memory_size().size() == width)
            }
            (Found::Immediate, OpKind::NearBranch64) => found.target() == right.near_branch_target(),
            (Found::Immediate, OpKind::Immediate8 | OpKind::Immediate16 | OpKind::Immediate64) => immediate(64),
            (Found::Immediate, OpKind::Immediate8to64 | OpKind::Immediate32to64) => immediate(64),
            (Found::Immediate, OpKind::Immediate32 | OpKind::Immediate8to32) => immediate(32),
            _ => false,
        };
        same("an operand", fits)?;
    }
    Ok(Some(form))
}

#[test]
fn every_instruction_compiled_is_decoded_the_same() {
    let (mut instructions, mut forms) = (0u64, BTreeSet::new());
    for program in compiled() {
        let module = vwasm::verify::describe(&program.manifest, &program.code, &program.data).expect("a description");
        for unit in &module.units {
            let mut at = unit.start;
            while at < unit.end {
                let found = compare(&module.code[..unit.end as usize], at).unwrap_or_else(|error| panic!("{error}"));
                let Some(form) = found else { panic!("{} is not decoded", oracle(module.code, at)) };
                forms.insert(form);
                instructions += 1;
                at += oracle(module.code, at).len() as u32;
            }
        }
    }
    println!("{instructions} instructions of {} forms", forms.len());
    assert!(instructions > 100_000 && forms.len() > 150);
}

#[test]
fn what_is_decoded_is_that_instruction() {
    let count = std::env::var("VWASM_BYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000_000u64);
    let programs = compiled();
    let mut random = Random(1);
    let (mut accepted, mut forms) = (0u64, BTreeSet::new());
    for n in 0..count {
        let mut bytes = [0; 15];
        if n % 2 == 0 {
            // An instruction of a program, and what follows, changed here and there.
            let code = &programs[random.below(programs.len() as u64) as usize].code;
            let start = random.below(code.len() as u64 - 15) as usize;
            bytes.copy_from_slice(&code[start..start + 15]);
            for _ in 0..1 + random.below(2) {
                bytes[random.below(6) as usize] ^= 1 << random.below(8);
            }
        } else {
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&random.bits(64).to_le_bytes()[..chunk.len()]);
            }
            // Prefixes are rare among random bytes.
            let prefixes = [0x66, 0xf2, 0xf3, 0x48, 0x41, 0x0f, 0xc4, 0xc5];
            for at in 0..random.below(3) as usize {
                bytes[at] = prefixes[random.below(8) as usize];
            }
        }
        let length = if random.below(8) == 0 { 1 + random.below(14) as usize } else { 15 };
        if let Some(form) = compare(&bytes[..length], 0).unwrap_or_else(|error| panic!("{error}")) {
            forms.insert(form);
            accepted += 1;
        }
    }
    println!("{accepted} of {count} byte strings are instructions, of {} forms", forms.len());
    assert!(accepted > count / 50 && forms.len() > 200);
}

/// Each form of the table is one that iced-x86 knows, and a name stands for one form.
#[test]
fn forms_have_names() {
    let names: BTreeSet<&str> = NAMES.iter().copied().collect();
    let known: BTreeSet<String> = Code::values().map(|code| format!("{code:?}")).collect();
    assert!(names.len() == FORMS.len() && names.iter().all(|name| known.contains(*name)));
}
