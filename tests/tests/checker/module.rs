//! A small module around hand-written code, for the checker to judge.
//!
//! Function 0 is the code under test; functions 1 to 4 only return (types 1 to 4); a far thunk for each type follows. The
//! instance has a memory, two tables (10 elements at least, 1 at least), two imported functions (types 1 and 0), two imported
//! globals (the first mutable), one constant, two globals.

use iced_x86::{BlockEncoder, BlockEncoderOptions, Code, Instruction, InstructionBlock, Register};
use vwasm::claims::claims;
use vwasm::claims::{write, write_number};
use vwasm::emit::thunk::far_thunk;
use vwasm::ir::Type;
use vwasm::lower::convention::Convention;
use vwasm::verify::check_module;
use vwasm_checker::claims::Claims;
use vwasm_checker::layout::{InstanceLayout, InstanceShape};
use vwasm_checker::{Checker, Class, Module, Rejection, Signature, Unit};

pub const SHAPE: InstanceShape = InstanceShape {
    memory_imports: 0,
    tables: 2,
    function_imports: 2,
    global_imports: 2,
    types: 7,
    references: 1,
    constants: 1,
    globals: 2,
};

pub fn fields() -> InstanceLayout {
    InstanceLayout::new(&SHAPE).expect("a small instance")
}

/// `() -> ()`, `(i32) -> i32`, `(i64) -> i64`, eight i32 to nothing, nothing to seven i32 and one i64, `(i64, i64) -> ()`, `(f64) -> f64`
pub const TYPES: [(&[Type], &[Type]); 7] = [
    (&[], &[]),
    (&[Type::I32], &[Type::I32]),
    (&[Type::I64], &[Type::I64]),
    (&[Type::I32; 8], &[]),
    (&[], &[Type::I32, Type::I32, Type::I32, Type::I32, Type::I32, Type::I32, Type::I32, Type::I64]),
    (&[Type::I64, Type::I64], &[]),
    (&[Type::F64], &[Type::F64]),
];

fn classes(types: &[Type]) -> Vec<Class> {
    let class = |ty: &Type| match ty {
        Type::I32 => Class::Narrow,
        Type::I64 => Class::Wide,
        _ => Class::Float,
    };
    types.iter().map(class).collect()
}

/// Code as parts of a function: instructions, or bytes that no encoder makes.
#[derive(Clone)]
pub enum Part {
    Inst(Instruction),
    Bytes(Vec<u8>),
    /// A place that branches name.
    Label(u64),
}

/// Labels are named by addresses far from everything.
pub const LABELS: u64 = 0x7000_0000;

/// The bytes of function 0, its branches resolved; calls to function n are branches to `FUNCTIONS + n`.
pub const FUNCTIONS: u64 = 0x6000_0000;
/// rip-relative addresses in the read-only data are `DATA + offset`.
pub const DATA: u64 = 0x5000_0000;
pub const DATA_START: u64 = 0x1_0000;

/// Code, and where functions 0 to 4 begin; function 0 is laid out first.
pub struct Built {
    pub code: Vec<u8>,
    pub units: Vec<Unit>,
    pub frame: u32,
    pub targets: Vec<u32>,
}

fn encode(inst: &Instruction, at: u64) -> Vec<u8> {
    let block = InstructionBlock::new(std::slice::from_ref(inst), at);
    let options = BlockEncoderOptions::DONT_FIX_BRANCHES;
    BlockEncoder::encode(64, block, options).expect("an encodable instruction").code_buffer
}

fn returns(ty: usize) -> Vec<u8> {
    let mut bytes = vec![0x33, 0xc0]; // xor eax, eax
    for (modrm, n) in [(0xc9u8, 1), (0xd2, 2), (0xf6, 3), (0xff, 4)] {
        if TYPES[ty].1.len() > n {
            bytes.extend_from_slice(&[0x33, modrm]);
        }
    }
    if TYPES[ty].1.len() > 5 {
        bytes.extend_from_slice(&[0x45, 0x33, 0xc0]); // xor r8d, r8d
    }
    for n in 6..TYPES[ty].1.len() {
        // mov [rsp + 8 + 8n], rax
        bytes.extend_from_slice(&[0x48, 0x89, 0x44, 0x24, 8 + 8 * (n as u8 - 6)]);
    }
    let words = TYPES[ty].0.len().saturating_sub(6) as u8;
    bytes.extend_from_slice(if words == 0 { &[0xc3] } else { &[0xc2, 0, 0] });
    if words > 0 {
        let at = bytes.len() - 2;
        bytes[at] = 8 * words;
    }
    bytes
}

impl Built {
    /// Lays out function 0 of type `ty` from its parts, with the jump tables' targets named by labels.
    pub fn new(ty: u32, parts: &[Part]) -> Built {
        // Every branch has the form that was written, so sizes do not depend on targets.
        let mut labels = std::collections::HashMap::new();
        let mut length = 0u64;
        for part in parts {
            match part {
                Part::Label(label) => drop(labels.insert(LABELS + label, length)),
                Part::Bytes(bytes) => length += bytes.len() as u64,
                Part::Inst(inst) => {
                    let mut inst = *inst;
                    if inst.is_jcc_short_or_near() || inst.is_jmp_short_or_near() || inst.is_call_near() {
                        inst.set_near_branch64(length + 2);
                    } else if inst.is_ip_rel_memory_operand() {
                        inst.set_memory_displacement64(length + 0x1000);
                    }
                    length += encode(&inst, length).len() as u64;
                }
            }
        }
        let mut units = vec![Unit { start: 0, end: length as u32, ty }];
        let mut rest = Vec::new();
        let place = |rest: &mut Vec<u8>, bytes: &[u8], ty: u32| {
            while !(length as usize + rest.len()).is_multiple_of(16) {
                rest.push(0xcc);
            }
            let start = length as u32 + rest.len() as u32;
            rest.extend_from_slice(bytes);
            Unit { start, end: length as u32 + rest.len() as u32, ty }
        };
        for ty in 1..=4 {
            units.push(place(&mut rest, &returns(ty), ty as u32));
        }
        for (ty, (params, results)) in TYPES.iter().enumerate() {
            let thunk = far_thunk(&Convention::new(params, results)).expect("a far thunk").code;
            units.push(place(&mut rest, &thunk, ty as u32));
        }
        let mut code = Vec::new();
        let mut frame = 0;
        for part in parts {
            let at = code.len() as u64;
            match part {
                Part::Label(_) => {}
                Part::Bytes(bytes) => code.extend_from_slice(bytes),
                Part::Inst(inst) => {
                    let mut inst = *inst;
                    let target = inst.near_branch_target();
                    if let Some(to) = labels.get(&target) {
                        inst.set_near_branch64(*to);
                    } else if inst.is_call_near() && (FUNCTIONS..FUNCTIONS + 16).contains(&target) {
                        inst.set_near_branch64(units[(target - FUNCTIONS) as usize].start.into());
                    } else if inst.is_ip_rel_memory_operand() {
                        inst.set_memory_displacement64(inst.memory_displacement64() - DATA + DATA_START);
                    }
                    if inst.code() == Code::Sub_rm64_imm8 && inst.op0_register() == Register::RSP && frame == 0 {
                        frame = inst.immediate8to64() as u32;
                    }
                    code.extend_from_slice(&encode(&inst, at));
                }
            }
        }
        code.extend_from_slice(&rest);
        let targets = labels.values().map(|&at| at as u32).collect();
        Built { code, units, frame, targets }
    }

    /// A jump table in the read-only data whose entries are these labels' places.
    pub fn module<'a>(&'a self, data: &'a [u8]) -> Module<'a> {
        Module {
            code: &self.code,
            data,
            data_start: DATA_START,
            types: TYPES.iter().map(|(params, results)| Signature::new(&classes(params), &classes(results))).collect(),
            units: self.units.clone(),
            functions: 5,
            import_types: vec![1, 0],
            tables: vec![10, 1],
            global_imports: vec![true, false],
            own_memory: true,
            shape: SHAPE,
        }
    }

    /// The checker's verdict with the best claims that can be made.
    pub fn verdict(&self, data: &[u8]) -> Result<(), Rejection> {
        let mut verdict = Ok(());
        for thorough in [false, true] {
            verdict = self.verdict_with(data, &|checker, number| {
                let targets: Vec<u32> = if number == 0 { self.targets.clone() } else { Vec::new() };
                let made = claims(checker, number, &targets, self.frame, thorough);
                made.unwrap_or_else(|| write(&Claims::default(), 0, 0))
            });
            if verdict.is_ok() {
                return Ok(());
            }
        }
        verdict
    }

    pub fn verdict_with(&self, data: &[u8], make: &dyn Fn(&Checker<'_>, usize) -> Vec<u8>) -> Result<(), Rejection> {
        let module = self.module(data);
        let checker = Checker::new(&module)?;
        let mut all = Vec::new();
        for number in 0..self.units.len() {
            let claims = if number < 5 { make(&checker, number) } else { Vec::new() };
            write_number(&mut all, claims.len() as u64);
            all.extend_from_slice(&claims);
        }
        check_module(&module, &all).map(|_| ())
    }
}
