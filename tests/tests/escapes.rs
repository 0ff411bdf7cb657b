//! Hand-written ways out of the sandbox: the checker rejects each, for the reason given.
//!
//! Each case is the body of a function in the small module of `checker/module.rs`; cases whose reason is `OK` are the same
//! shapes done right, so that a rejection is known to be for what the case is about.

#[path = "checker/module.rs"]
mod module;

use iced_x86::{Code, Instruction, MemoryOperand, Register, Register::*};
use module::{Built, DATA, FUNCTIONS, LABELS, Part, fields};
use vwasm::claims::write;
use vwasm_checker::claims::{Claim, Claims, Label};
use vwasm_checker::fact::Fact;
use vwasm_checker::layout::*;

const OK: &str = "accepted";

macro_rules! i {
    ($code:ident) => {
        Part::Inst(Instruction::with(Code::$code))
    };
    ($code:ident $a:expr) => {
        Part::Inst(Instruction::with1(Code::$code, $a).expect("operands"))
    };
    ($code:ident $a:expr, $b:expr) => {
        Part::Inst(Instruction::with2(Code::$code, $a, $b).expect("operands"))
    };
    ($code:ident $a:expr, $b:expr, $c:expr) => {
        Part::Inst(Instruction::with3(Code::$code, $a, $b, $c).expect("operands"))
    };
}

fn m(base: Register, index: Register, scale: u32, displacement: i64) -> MemoryOperand {
    let size = if displacement == 0 {
        0
    } else if i8::try_from(displacement).is_ok() && base != None {
        1
    } else {
        8
    };
    MemoryOperand::new(base, index, scale, displacement, size, false, None)
}

fn at(base: Register, displacement: i64) -> MemoryOperand {
    m(base, None, 1, displacement)
}

fn jump(code: Code, label: u64) -> Part {
    Part::Inst(Instruction::with_branch(code, LABELS + label).expect("a branch"))
}

fn call(function: u64) -> Part {
    Part::Inst(Instruction::with_branch(Code::Call_rel32_64, FUNCTIONS + function).expect("a call"))
}

fn l(label: u64) -> Part {
    Part::Label(label)
}

fn x(bytes: &[u8]) -> Part {
    Part::Bytes(bytes.to_vec())
}

fn ret() -> Part {
    i!(Retnq)
}

fn data(register: Register, offset: u64) -> Part {
    i!(Lea_r64_m register, MemoryOperand::new(RIP, None, 1, (DATA + offset) as i64, 8, false, None))
}

/// The address of a slot of table 0 with the index in edi, unchecked signature, in rax; label 9 is the trap.
fn slot(parts: &mut Vec<Part>) {
    let table = i64::from(fields().table(0));
    parts.extend([
        i!(Mov_r64_rm64 RBX, at(R15, table)),
        i!(Cmp_r32_rm32 EDI, at(RBX, -16)),
        jump(Code::Jae_rel32_64, 9),
        i!(Sbb_r64_rm64 RAX, RAX),
        i!(And_r64_rm64 RAX, RDI),
        i!(Shl_rm64_imm8 RAX, 4u32),
        i!(Add_r64_rm64 RAX, RBX),
    ]);
}

fn signature(ty: u32) -> Part {
    i!(Mov_r32_rm32 ECX, at(R15, fields().signature(ty).into()))
}

fn check_signature() -> Part {
    i!(Cmp_r32_rm32 ECX, at(RAX, SLOT_SIGNATURE.into()))
}

fn trap() -> [Part; 2] {
    [l(9), i!(Ud2)]
}

fn with_slot(rest: impl IntoIterator<Item = Part>) -> Vec<Part> {
    let mut parts = Vec::new();
    slot(&mut parts);
    parts.extend(rest);
    parts.extend(trap());
    parts
}

fn framed(rest: impl IntoIterator<Item = Part>) -> Vec<Part> {
    let mut parts = vec![i!(Sub_rm64_imm8 RSP, 0x20)];
    parts.extend(rest);
    parts
}

type Case = (&'static str, u32, Vec<Part>, &'static str);

fn cases() -> Vec<Case> {
    let f = fields();
    let (mutable, immutable) = (i64::from(f.global_import(0)), i64::from(f.global_import(1)));
    let import = i64::from(f.function_import(0));
    let rsp_out = || i!(Add_rm64_imm8 RSP, 0x20);
    vec![
        // -- linear memory --
        ("a load with a zero-extended index", 1, vec![i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)), ret()], OK),
        ("an i64 parameter as index", 2, vec![i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)), ret()], "rdi is not known"),
        (
            "a sign-extended index",
            1,
            vec![i!(Movsxd_r64_rm32 RAX, EDI), i!(Mov_r32_rm32 EAX, m(R15, RAX, 1, 0)), ret()],
            "rax is not known",
        ),
        (
            "a narrow store through a sign-extended index",
            1,
            vec![i!(Movsxd_r64_rm32 RAX, EDI), i!(Mov_rm8_r8 m(R15, RAX, 1, 0), DIL), i!(Mov_r32_rm32 EAX, EDI), ret()],
            "rax is not known",
        ),
        ("an index times eight", 1, vec![i!(Mov_r32_rm32 EAX, m(R15, RDI, 8, 0)), ret()], "rdi is not known"),
        (
            "a bounded index times eight",
            1,
            vec![i!(And_rm32_imm8 EDI, 0x7f), i!(Mov_r32_rm32 EAX, m(R15, RDI, 8, 0)), ret()],
            OK,
        ),
        (
            "an index shifted left, 33 bits and more (CVE-2023-26489)",
            1,
            vec![i!(Shl_rm64_imm8 RDI, 3u32), i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)), ret()],
            "rdi is not known",
        ),
        ("an index and a large displacement", 1, vec![i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0x7fff_fff0)), ret()], OK),
        (
            "an index and a negative displacement",
            1,
            vec![i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, -4)), ret()],
            "rdi is not known",
        ),
        (
            "a sum of two indices with a displacement over the edge",
            5,
            vec![
                i!(Mov_r32_rm32 EDI, EDI),
                i!(Mov_r32_rm32 ESI, ESI),
                i!(Lea_r64_m RAX, m(R15, RDI, 1, 0)),
                i!(Mov_r32_rm32 EAX, m(RAX, RSI, 1, 0x7fff_0000)),
                ret(),
            ],
            "reservation",
        ),
        (
            "the sum of two indices",
            5,
            vec![
                i!(Mov_r32_rm32 EDI, EDI),
                i!(Mov_r32_rm32 ESI, ESI),
                i!(Lea_r64_m RAX, m(R15, RDI, 1, 0)),
                i!(Mov_r32_rm32 EAX, m(RAX, RSI, 1, 0xfff8)),
                ret(),
            ],
            OK,
        ),
        (
            "the last bytes of the reservation, one byte too wide",
            5,
            vec![
                i!(Mov_r32_rm32 EDI, EDI),
                i!(Mov_r32_rm32 ESI, ESI),
                i!(Lea_r64_m RAX, m(R15, RDI, 1, 0)),
                i!(Mov_r64_rm64 RAX, m(RAX, RSI, 1, 0xffff)),
                ret(),
            ],
            "reservation",
        ),
        (
            "a 16-bit write keeps the upper bits",
            2,
            vec![x(&[0x66, 0x8b, 0xc7]), i!(Mov_r32_rm32 EAX, m(R15, RAX, 1, 0)), ret()],
            "not one of spec/x86_64",
        ),
        (
            "an 8-bit write keeps the upper bits",
            2,
            vec![
                i!(Mov_r64_rm64 RAX, RDI),
                i!(Test_rm32_r32 EDI, EDI),
                i!(Sete_rm8 AL),
                i!(Mov_r32_rm32 EAX, m(R15, RAX, 1, 0)),
                ret(),
            ],
            "rax is not known",
        ),
        (
            "bsf of zero keeps 64 bits",
            2,
            vec![i!(Bsf_r64_rm64 RAX, RDI), i!(Mov_r32_rm32 EAX, m(R15, RAX, 1, 0)), ret()],
            "rax is not known",
        ),
        (
            "checked, then added to",
            5,
            vec![
                i!(Cmp_rm64_imm8 RDI, 16),
                jump(Code::Jae_rel32_64, 9),
                i!(Add_r64_rm64 RDI, RSI),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "checked against a constant",
            2,
            vec![
                i!(Cmp_rm64_imm8 RDI, 16),
                jump(Code::Jae_rel32_64, 9),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            OK,
        ),
        (
            "checked as signed",
            2,
            vec![
                i!(Cmp_rm64_imm8 RDI, 16),
                jump(Code::Jge_rel32_64, 9),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "checked against -1",
            2,
            vec![
                i!(Cmp_rm64_imm8 RDI, -1),
                jump(Code::Jae_rel32_64, 9),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "a 32-bit check of a 64-bit value",
            2,
            vec![
                i!(Cmp_rm32_imm8 EDI, 16),
                jump(Code::Jae_rel32_64, 9),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "checked the wrong way round",
            2,
            vec![
                i!(Cmp_rm64_imm8 RDI, 16),
                jump(Code::Jb_rel32_64, 9),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "checked on one path only",
            5,
            vec![
                i!(Test_rm64_r64 RSI, RSI),
                jump(Code::Je_rel32_64, 1),
                i!(Cmp_rm64_imm8 RDI, 16),
                jump(Code::Jae_rel32_64, 9),
                l(1),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "flags of an older comparison",
            5,
            vec![
                i!(Cmp_rm64_imm8 RDI, 16),
                i!(Add_r64_rm64 RSI, RSI),
                jump(Code::Jae_rel32_64, 9),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "compared, then replaced",
            5,
            vec![
                i!(Cmp_rm64_imm8 RDI, 16),
                i!(Mov_r64_rm64 RDI, RSI),
                jump(Code::Jae_rel32_64, 9),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "compared by the difference",
            2,
            vec![
                i!(Sub_rm64_imm8 RDI, 16),
                jump(Code::Jae_rel32_64, 9),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "an absolute address",
            0,
            vec![i!(Mov_r32_rm32 EAX, at(None, 0x1000)), ret()],
            "no access has an address of this shape",
        ),
        (
            "through a loaded pointer",
            1,
            vec![i!(Mov_r64_rm64 RAX, m(R15, RDI, 1, 0)), i!(Mov_r32_rm32 EAX, at(RAX, 0)), ret()],
            "rax is not known",
        ),
        ("r15 as scaled index", 1, vec![i!(Mov_r32_rm32 EAX, m(RDI, R15, 2, 0)), ret()], "not known"),
        ("fs", 0, vec![x(&[0x64, 0x41, 0x8b, 0x07]), ret()], "prefixes"),
        ("gs", 0, vec![x(&[0x65, 0x41, 0x8b, 0x07]), ret()], "prefixes"),
        ("a 32-bit address", 1, vec![x(&[0x67, 0x41, 0x8b, 0x07]), ret()], "not"),
        // -- fields --
        (
            "a writable global",
            1,
            vec![i!(Mov_rm32_r32 at(R15, f.global(0).into()), EDI), i!(Mov_r32_rm32 EAX, EDI), ret()],
            OK,
        ),
        ("a store to the gate", 2, vec![i!(Mov_rm64_r64 at(R15, INSTANCE_GATE.into()), RDI), ret()], "not write it"),
        (
            "a store to a signature",
            1,
            vec![i!(Mov_rm32_r32 at(R15, f.signature(0).into()), EDI), i!(Mov_r32_rm32 EAX, EDI), ret()],
            "not write it",
        ),
        ("a store to a table's base", 2, vec![i!(Mov_rm64_r64 at(R15, f.table(0).into()), RDI), ret()], "not write it"),
        ("a store to an import's slot", 2, vec![i!(Mov_rm64_r64 at(R15, import), RDI), ret()], "not write it"),
        ("a store to a constant", 2, vec![i!(Mov_rm64_r64 at(R15, f.constant(0).into()), RDI), ret()], "not write it"),
        (
            "a store to the memory's size",
            1,
            vec![i!(Mov_rm32_r32 at(R15, INSTANCE_MEMORY_PAGES.into()), EDI), i!(Mov_r32_rm32 EAX, EDI), ret()],
            "not write it",
        ),
        ("the host's context", 0, vec![i!(Mov_r64_rm64 RAX, at(R15, INSTANCE_CONTEXT.into())), ret()], "no instance field"),
        ("the host's record", 0, vec![i!(Mov_rm64_r64 at(R15, INSTANCE_INSTANCE.into()), RDI), ret()], "no instance field"),
        (
            "beyond the last field",
            0,
            vec![i!(Mov_r64_rm64 RAX, at(R15, i64::from(f.global(1)) - 8)), ret()],
            "no instance field",
        ),
        (
            "over the edge of a cell",
            2,
            vec![i!(Mov_rm64_r64 at(R15, i64::from(f.global(0)) + 4), RDI), ret()],
            "no instance field",
        ),
        (
            "half of a base is no base",
            0,
            vec![i!(Mov_r32_rm32 EAX, at(R15, f.table(0).into())), i!(Mov_r32_rm32 EAX, at(RAX, -16)), ret()],
            "rax is not known",
        ),
        (
            "a mutable imported global",
            1,
            vec![i!(Mov_r64_rm64 RCX, at(R15, mutable)), i!(Mov_rm32_r32 at(RCX, 0), EDI), i!(Mov_r32_rm32 EAX, EDI), ret()],
            OK,
        ),
        (
            "an immutable imported global",
            1,
            vec![
                i!(Mov_r64_rm64 RCX, at(R15, immutable)),
                i!(Mov_rm32_r32 at(RCX, 0), EDI),
                i!(Mov_r32_rm32 EAX, EDI),
                ret(),
            ],
            "not write it",
        ),
        (
            "beyond an imported global's cell",
            0,
            vec![i!(Mov_r64_rm64 RCX, at(R15, mutable)), i!(Mov_r64_rm64 RAX, at(RCX, 4)), ret()],
            "inside the global's cell",
        ),
        (
            "before an imported global's cell",
            0,
            vec![i!(Mov_r64_rm64 RCX, at(R15, mutable)), i!(Mov_r32_rm32 EAX, at(RCX, -4)), ret()],
            "inside the global's cell",
        ),
        (
            "a cell with an index",
            1,
            vec![i!(Mov_r64_rm64 RCX, at(R15, mutable)), i!(Mov_r32_rm32 EAX, m(RCX, RDI, 1, 0)), ret()],
            "rcx is not known",
        ),
        // -- tables and indirect calls --
        (
            "a checked indirect call",
            1,
            with_slot([
                signature(0),
                check_signature(),
                jump(Code::Jne_rel32_64, 9),
                i!(Call_rm64 at(RAX, 0)),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
            ]),
            OK,
        ),
        (
            "no check of the signature",
            1,
            with_slot([i!(Call_rm64 at(RAX, 0)), i!(Xor_r32_rm32 EAX, EAX), ret()]),
            "checked signature",
        ),
        (
            "the signature compared, not branched on",
            1,
            with_slot([signature(0), check_signature(), i!(Call_rm64 at(RAX, 0)), i!(Xor_r32_rm32 EAX, EAX), ret()]),
            "checked signature",
        ),
        (
            "the branch the wrong way",
            1,
            with_slot([
                signature(0),
                check_signature(),
                jump(Code::Je_rel32_64, 9),
                i!(Call_rm64 at(RAX, 0)),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
            ]),
            "checked signature",
        ),
        (
            "a number for a signature",
            1,
            with_slot([
                i!(Mov_r32_imm32 ECX, 1),
                check_signature(),
                jump(Code::Jne_rel32_64, 9),
                i!(Call_rm64 at(RAX, 0)),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
            ]),
            "checked signature",
        ),
        (
            "the reference for the signature",
            1,
            with_slot([
                signature(0),
                i!(Cmp_r32_rm32 ECX, at(RAX, SLOT_REFERENCE.into())),
                jump(Code::Jne_rel32_64, 9),
                i!(Call_rm64 at(RAX, 0)),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
            ]),
            "checked signature",
        ),
        (
            "the slot moved on after the check",
            1,
            with_slot([
                signature(0),
                check_signature(),
                jump(Code::Jne_rel32_64, 9),
                i!(Add_r64_rm64 RAX, RDI),
                i!(Call_rm64 at(RAX, 0)),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
            ]),
            "checked signature",
        ),
        (
            "through another word of the slot",
            1,
            with_slot([
                signature(0),
                check_signature(),
                jump(Code::Jne_rel32_64, 9),
                i!(Call_rm64 at(RAX, 8)),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
            ]),
            "a call goes to",
        ),
        (
            "through another register",
            1,
            with_slot([
                signature(0),
                check_signature(),
                jump(Code::Jne_rel32_64, 9),
                i!(Mov_r64_rm64 RBX, RAX),
                i!(Call_rm64 at(RBX, 0)),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
            ]),
            "a call goes to",
        ),
        (
            "a wide parameter for a narrow one",
            2,
            vec![
                i!(Mov_r64_rm64 RSI, RDI),
                i!(Xor_r32_rm32 EDI, EDI),
                i!(Mov_r64_rm64 RBX, at(R15, f.table(1).into())),
                i!(Mov_r64_rm64 RAX, RBX),
                i!(Mov_r64_rm64 RDI, RSI),
                call(1),
                ret(),
            ],
            "rdi is not known",
        ),
        (
            "no bound check",
            1,
            vec![
                i!(Mov_r64_rm64 RBX, at(R15, f.table(0).into())),
                i!(Shl_rm64_imm8 RDI, 4u32),
                i!(Add_r64_rm64 RDI, RBX),
                i!(Mov_r32_rm32 EAX, at(RDI, SLOT_REFERENCE.into())),
                ret(),
            ],
            "rdi is not known",
        ),
        (
            "the bound of another table",
            1,
            vec![
                i!(Mov_r64_rm64 RBX, at(R15, f.table(0).into())),
                i!(Mov_r64_rm64 RCX, at(R15, f.table(1).into())),
                i!(Cmp_r32_rm32 EDI, at(RBX, -16)),
                jump(Code::Jae_rel32_64, 9),
                i!(Shl_rm64_imm8 RDI, 4u32),
                i!(Add_r64_rm64 RDI, RCX),
                i!(Mov_r32_rm32 EAX, at(RDI, SLOT_REFERENCE.into())),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "one past the table: below or equal",
            1,
            vec![
                i!(Mov_r64_rm64 RBX, at(R15, f.table(0).into())),
                i!(Cmp_r32_rm32 EDI, at(RBX, -16)),
                jump(Code::Ja_rel32_64, 9),
                i!(Shl_rm64_imm8 RDI, 4u32),
                i!(Add_r64_rm64 RDI, RBX),
                i!(Mov_r32_rm32 EAX, at(RDI, SLOT_REFERENCE.into())),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "a fixed bound within the least length",
            1,
            vec![
                i!(Mov_r64_rm64 RBX, at(R15, f.table(0).into())),
                i!(Cmp_rm32_imm8 EDI, 10),
                jump(Code::Jae_rel32_64, 9),
                i!(Shl_rm64_imm8 RDI, 4u32),
                i!(Add_r64_rm64 RDI, RBX),
                i!(Mov_r32_rm32 EAX, at(RDI, SLOT_REFERENCE.into())),
                ret(),
                l(9),
                i!(Ud2),
            ],
            OK,
        ),
        (
            "a fixed bound beyond the least length",
            1,
            vec![
                i!(Mov_r64_rm64 RBX, at(R15, f.table(0).into())),
                i!(Cmp_rm32_imm8 EDI, 11),
                jump(Code::Jae_rel32_64, 9),
                i!(Shl_rm64_imm8 RDI, 4u32),
                i!(Add_r64_rm64 RDI, RBX),
                i!(Mov_r32_rm32 EAX, at(RDI, SLOT_REFERENCE.into())),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "a slot's address that is not a multiple of 16",
            1,
            vec![
                i!(Mov_r64_rm64 RBX, at(R15, f.table(0).into())),
                i!(Cmp_rm32_imm8 EDI, 10),
                jump(Code::Jae_rel32_64, 9),
                i!(Shl_rm64_imm8 RDI, 3u32),
                i!(Add_r64_rm64 RDI, RBX),
                i!(Mov_r32_rm32 EAX, at(RDI, SLOT_REFERENCE.into())),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "the index changed between bound and use",
            1,
            vec![
                i!(Mov_r64_rm64 RBX, at(R15, f.table(0).into())),
                i!(Cmp_r32_rm32 EDI, at(RBX, -16)),
                jump(Code::Jae_rel32_64, 9),
                i!(Lea_r32_m EDI, at(RDI, 1)),
                i!(Shl_rm64_imm8 RDI, 4u32),
                i!(Add_r64_rm64 RDI, RBX),
                i!(Mov_r32_rm32 EAX, at(RDI, SLOT_REFERENCE.into())),
                ret(),
                l(9),
                i!(Ud2),
            ],
            "rdi is not known",
        ),
        (
            "a store into a slot",
            1,
            with_slot([i!(Mov_rm32_r32 at(RAX, 0), EDI), i!(Xor_r32_rm32 EAX, EAX), ret()]),
            "not write it",
        ),
        (
            "a read past the slot",
            1,
            with_slot([i!(Mov_r64_rm64 RAX, at(RAX, 12)), i!(Xor_r32_rm32 EAX, EAX), ret()]),
            "inside the slot",
        ),
        ("a read before the slot", 1, with_slot([i!(Mov_r32_rm32 EAX, at(RAX, -4)), ret()]), "inside the slot"),
        (
            "a store to a table's length",
            1,
            vec![
                i!(Mov_r64_rm64 RBX, at(R15, f.table(0).into())),
                i!(Mov_rm32_r32 at(RBX, -16), EDI),
                i!(Mov_r32_rm32 EAX, EDI),
                ret(),
            ],
            "not write it",
        ),
        (
            "before a table's header",
            1,
            vec![
                i!(Mov_r64_rm64 RBX, at(R15, f.table(0).into())),
                i!(Mov_r64_rm64 RAX, at(RBX, -24)),
                i!(Mov_r32_rm32 EAX, EDI),
                ret(),
            ],
            "only the length",
        ),
        ("an import called", 1, vec![i!(Lea_r64_m RAX, at(R15, import)), i!(Call_rm64 at(R15, import)), ret()], OK),
        (
            "an import called with another's slot",
            1,
            vec![i!(Lea_r64_m RAX, at(R15, f.function_import(1).into())), i!(Call_rm64 at(R15, import)), ret()],
            "the import's slot",
        ),
        ("an import called without its slot", 1, vec![i!(Call_rm64 at(R15, import)), ret()], "the import's slot"),
        (
            "a call through a field that is no code",
            1,
            vec![i!(Call_rm64 at(R15, f.global(0).into())), ret()],
            "a call goes to",
        ),
        (
            "a call through the function records",
            1,
            vec![i!(Call_rm64 at(R15, INSTANCE_FUNCTIONS.into())), ret()],
            "a call goes to",
        ),
        ("a call through linear memory", 1, vec![i!(Call_rm64 m(R15, RDI, 1, 0)), ret()], "a call goes to"),
        ("a call of a register", 2, vec![x(&[0xff, 0xd7]), ret()], "an operand is of a kind"),
        ("the gate", 0, vec![i!(Mov_r32_imm32 EAX, 0), i!(Call_rm64 at(R15, INSTANCE_GATE.into())), ret()], OK),
        // -- facts over calls --
        (
            "a register kept over a call",
            1,
            framed([call(1), i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)), rsp_out(), ret()]),
            "rdi is not known",
        ),
        (
            "a spilled index kept over a call",
            1,
            framed([
                i!(Mov_rm64_r64 at(RSP, 8), RDI),
                call(1),
                i!(Mov_r64_rm64 RDI, at(RSP, 8)),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                rsp_out(),
                ret(),
            ]),
            OK,
        ),
        (
            "a spill reloaded sign-extended (CVE-2021-32629)",
            1,
            framed([
                i!(Mov_rm64_r64 at(RSP, 8), RDI),
                call(1),
                i!(Movsxd_r64_rm32 RDI, at(RSP, 8)),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                rsp_out(),
                ret(),
            ]),
            "rdi is not known",
        ),
        (
            "half a spill",
            2,
            framed([
                i!(Mov_rm32_r32 at(RSP, 8), EDI),
                i!(Mov_r64_rm64 RDI, at(RSP, 8)),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                rsp_out(),
                ret(),
            ]),
            "rdi is not known",
        ),
        (
            "a spill half overwritten",
            5,
            framed([
                i!(Xor_r32_rm32 EAX, EAX),
                i!(Mov_rm64_r64 at(RSP, 8), RAX),
                i!(Mov_rm32_r32 at(RSP, 12), ESI),
                i!(Mov_r64_rm64 RDI, at(RSP, 8)),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                rsp_out(),
                ret(),
            ]),
            "rdi is not known",
        ),
        (
            "a spill overwritten from a vector register",
            6,
            framed([
                i!(Xor_r32_rm32 EAX, EAX),
                i!(Mov_rm64_r64 at(RSP, 8), RAX),
                i!(Movsd_xmmm64_xmm at(RSP, 8), XMM0),
                i!(Mov_r64_rm64 RDI, at(RSP, 8)),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                rsp_out(),
                ret(),
            ]),
            "rdi is not known",
        ),
        (
            "a word that the callee owns",
            0,
            framed([
                i!(Xor_r32_rm32 EAX, EAX),
                i!(Mov_rm64_r64 at(RSP, 0), RAX),
                i!(Mov_rm64_r64 at(RSP, 8), RAX),
                i!(Mov_r32_rm32 EDI, EAX),
                i!(Mov_r32_rm32 ESI, EAX),
                i!(Mov_r32_rm32 EDX, EAX),
                i!(Mov_r32_rm32 ECX, EAX),
                i!(Mov_r32_rm32 R8D, EAX),
                i!(Mov_r32_rm32 R9D, EAX),
                call(3),
                i!(Sub_rm64_imm8 RSP, 0x10),
                i!(Mov_r64_rm64 RDI, at(RSP, 8)),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                rsp_out(),
                ret(),
            ]),
            "rdi is not known",
        ),
        (
            "a checked slot kept over a call in the frame",
            1,
            {
                let mut parts = vec![i!(Sub_rm64_imm8 RSP, 0x20)];
                slot(&mut parts);
                parts.extend([
                    signature(0),
                    check_signature(),
                    jump(Code::Jne_rel32_64, 9),
                    i!(Mov_rm64_r64 at(RSP, 8), RAX),
                    i!(Call_rm64 at(RAX, 0)),
                    i!(Mov_r64_rm64 RAX, at(RSP, 8)),
                    i!(Call_rm64 at(RAX, 0)),
                    i!(Xor_r32_rm32 EAX, EAX),
                    i!(Add_rm64_imm8 RSP, 0x20),
                    ret(),
                ]);
                parts.extend(trap());
                parts
            },
            "checked signature",
        ),
        // -- the stack --
        ("a store to the return address", 2, vec![i!(Mov_rm64_r64 at(RSP, 0), RDI), ret()], "neither inside the frame"),
        (
            "a store to the return address, from a frame",
            2,
            framed([i!(Mov_rm64_r64 at(RSP, 0x20), RDI), rsp_out(), ret()]),
            "neither inside the frame",
        ),
        (
            "half into the return address",
            2,
            framed([i!(Mov_rm64_r64 at(RSP, 0x1c), RDI), rsp_out(), ret()]),
            "neither inside the frame",
        ),
        ("the return address read", 0, vec![i!(Mov_r64_rm64 RAX, at(RSP, 0)), ret()], "neither inside the frame"),
        ("below the frame", 2, framed([i!(Mov_rm64_r64 at(RSP, -8), RDI), rsp_out(), ret()]), "neither inside the frame"),
        ("above the caller's area", 2, vec![i!(Mov_rm64_r64 at(RSP, 8), RDI), ret()], "neither inside the frame"),
        (
            "rsp with an index",
            1,
            framed([i!(Mov_r32_rm32 EAX, m(RSP, RDI, 1, 0)), rsp_out(), ret()]),
            "neither inside the frame",
        ),
        ("a return above the frame", 0, framed([ret()]), "rsp at the return address"),
        ("a frame taken down too far", 0, framed([i!(Add_rm64_imm8 RSP, 0x28), ret()]), "rsp moves by"),
        ("rsp not a multiple of 8", 0, vec![i!(Sub_rm64_imm8 RSP, 4), ret()], "rsp moves by"),
        ("a frame beyond the guard", 0, vec![i!(Sub_rm64_imm32 RSP, 0x4000_0000), ret()], "rsp moves by"),
        (
            "many frames in one function",
            0,
            vec![i!(Sub_rm64_imm32 RSP, 0x1f0_0000), i!(Sub_rm64_imm32 RSP, 0x1f0_0000), ret()],
            "rsp moves by",
        ),
        ("a negative move of rsp", 0, vec![i!(Sub_rm64_imm8 RSP, -8), ret()], "rsp moves by"),
        ("rsp from a register", 2, vec![i!(Mov_r64_rm64 RSP, RDI), ret()], "an operand is of a kind"),
        ("rsp plus a register", 2, vec![i!(Add_r64_rm64 RSP, RDI), ret()], "an operand is of a kind"),
        ("rsp exchanged", 2, vec![x(&[0x48, 0x94]), ret()], "not one of spec/x86_64"),
        (
            "rsp's address taken",
            0,
            framed([i!(Lea_r64_m RAX, at(RSP, 8)), rsp_out(), ret()]),
            "no access has an address of this shape",
        ),
        ("push", 2, vec![x(&[0x57]), ret()], "not one of spec/x86_64"),
        ("pop", 2, vec![x(&[0x5f]), ret()], "not one of spec/x86_64"),
        ("a return that pops too much", 0, vec![i!(Retnq_imm16 8), ret()], "pops exactly"),
        ("a return that pops too little", 3, vec![ret()], "pops exactly"),
        ("no room for the callee's words", 0, vec![call(4), ret()], "no room"),
        ("a wide result for a narrow one", 1, vec![i!(Movsxd_r64_rm32 RAX, EDI), ret()], "rax is not known"),
        (
            "a result word not stored",
            4,
            {
                let mut parts: Vec<Part> =
                    [EAX, ECX, EDX, ESI, EDI, R8D].into_iter().map(|r| i!(Xor_r32_rm32 r, r)).collect();
                parts.push(ret());
                parts
            },
            "zero-extended i32 result",
        ),
        (
            "a parameter word not stored",
            0,
            framed([
                i!(Xor_r32_rm32 EAX, EAX),
                i!(Mov_rm64_r64 at(RSP, 0), RAX),
                i!(Mov_r32_rm32 EDI, EAX),
                i!(Mov_r32_rm32 ESI, EAX),
                i!(Mov_r32_rm32 EDX, EAX),
                i!(Mov_r32_rm32 ECX, EAX),
                i!(Mov_r32_rm32 R8D, EAX),
                i!(Mov_r32_rm32 R9D, EAX),
                call(3),
                i!(Sub_rm64_imm8 RSP, 0x10),
                rsp_out(),
                ret(),
            ]),
            "zero-extended i32 parameter",
        ),
        // -- r15 --
        ("r15 written", 2, vec![i!(Mov_r64_rm64 R15, RDI), ret()], "have a role"),
        ("r15 added to", 2, vec![i!(Add_r64_rm64 R15, RDI), ret()], "have a role"),
        ("r15's lower half written", 1, vec![i!(Mov_r32_rm32 R15D, EDI), i!(Xor_r32_rm32 EAX, EAX), ret()], "have a role"),
        ("r15's lowest byte written", 0, vec![i!(Test_rm32_r32 EDI, EDI), i!(Sete_rm8 R15L), ret()], "have a role"),
        ("r15 loaded", 0, vec![i!(Mov_r64_rm64 R15, at(R15, f.table(0).into())), ret()], "have a role"),
        (
            "r15 by a conditional move",
            2,
            vec![i!(Test_rm64_r64 RDI, RDI), i!(Cmove_r64_rm64 R15, RDI), ret()],
            "have a role",
        ),
        ("r15 by xchg", 2, vec![x(&[0x49, 0x97]), ret()], "not one of spec/x86_64"),
        ("r15 by xadd", 2, vec![x(&[0x4c, 0x0f, 0xc1, 0xff]), ret()], "not one of spec/x86_64"),
        // -- transfers --
        ("into the middle of an instruction", 0, vec![x(&[0xeb, 0x01]), i!(Mov_r32_imm32 EAX, 0xc3), ret()], "label"),
        (
            "into another function",
            0,
            vec![Part::Inst(Instruction::with_branch(Code::Jmp_rel32_64, FUNCTIONS + 1).expect("a branch")), i!(Ud2)],
            "label",
        ),
        ("a call into the middle of a function", 0, vec![x(&[0xe8, 0x0c, 0, 0, 0]), ret()], "a call goes to"),
        (
            "a call of itself, past its entry",
            0,
            vec![i!(Xor_r32_rm32 EAX, EAX), x(&[0xe8, 0xfb, 0xff, 0xff, 0xff]), ret()],
            "a call goes to",
        ),
        ("a call of itself", 0, vec![i!(Xor_r32_rm32 EAX, EAX), x(&[0xe8, 0xf9, 0xff, 0xff, 0xff]), ret()], OK),
        ("off the end", 0, vec![i!(Xor_r32_rm32 EAX, EAX)], "runs off"),
        ("off the end behind a call", 0, vec![call(1)], "not known"),
        ("code behind a return", 0, vec![ret(), i!(Xor_r32_rm32 EAX, EAX), ret()], "no label makes"),
        ("int3 inside a function", 0, vec![x(&[0xcc]), ret()], "not one of spec/x86_64"),
        ("a jump to a register", 2, vec![i!(Jmp_rm64 RDI)], "jump table"),
        ("a jump through memory", 1, vec![x(&[0x41, 0xff, 0x24, 0x3f])], "an operand is of a kind"),
        ("a far jump", 0, vec![x(&[0x41, 0xff, 0x2f])], "not one of spec/x86_64"),
        ("a far return", 0, vec![x(&[0xcb])], "not one of spec/x86_64"),
        ("iretq", 0, vec![x(&[0x48, 0xcf])], "not one of spec/x86_64"),
        ("a return with a rep prefix", 0, vec![x(&[0xf3, 0xc3])], "prefixes"),
        ("a jump with a 66 prefix", 0, vec![x(&[0x66, 0xeb, 0x00]), ret()], "not"),
        (
            "a conditional jump with a 66 prefix",
            0,
            vec![i!(Test_rm32_r32 EDI, EDI), x(&[0x66, 0x0f, 0x84, 0, 0, 0, 0]), ret()],
            "",
        ),
        ("a jump with a bnd prefix", 0, vec![x(&[0xf2, 0xeb, 0x00]), ret()], ""),
        ("a conditional jump with a branch hint", 0, vec![i!(Test_rm32_r32 EDI, EDI), x(&[0x2e, 0x74, 0x00]), ret()], ""),
        ("loop", 0, vec![x(&[0xe2, 0xfe]), ret()], "not one of spec/x86_64"),
        ("jrcxz", 0, vec![x(&[0xe3, 0x00]), ret()], "not one of spec/x86_64"),
        ("xbegin", 0, vec![x(&[0xc7, 0xf8, 0, 0, 0, 0]), ret()], "not one of spec/x86_64"),
        // -- jump tables --
        (
            "a jump table",
            1,
            vec![
                i!(Mov_r32_imm32 EAX, 1),
                i!(Cmp_r32_rm32 EDI, EAX),
                i!(Cmovb_r32_rm32 EAX, EDI),
                data(RCX, 0),
                i!(Movsxd_r64_rm32 RAX, m(RCX, RAX, 4, 0)),
                i!(Add_r64_rm64 RCX, RAX),
                i!(Jmp_rm64 RCX),
                l(1),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
                l(2),
                i!(Mov_r32_imm32 EAX, 1),
                ret(),
            ],
            OK,
        ),
        (
            "a jump table whose index may be one too large",
            1,
            vec![
                i!(Mov_r32_imm32 EAX, 2),
                i!(Cmp_r32_rm32 EDI, EAX),
                i!(Cmovb_r32_rm32 EAX, EDI),
                data(RCX, 0),
                i!(Movsxd_r64_rm32 RAX, m(RCX, RAX, 4, 0)),
                i!(Add_r64_rm64 RCX, RAX),
                i!(Jmp_rm64 RCX),
                l(1),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
                l(2),
                i!(Mov_r32_imm32 EAX, 1),
                ret(),
            ],
            "read-only data",
        ),
        (
            "a jump table without a bound",
            1,
            vec![
                data(RCX, 0),
                i!(Movsxd_r64_rm32 RAX, m(RCX, RDI, 4, 0)),
                i!(Add_r64_rm64 RCX, RAX),
                i!(Jmp_rm64 RCX),
                l(1),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
                l(2),
                i!(Mov_r32_imm32 EAX, 1),
                ret(),
            ],
            "read-only data",
        ),
        (
            "a jump table clamped with the wrong condition",
            1,
            vec![
                i!(Mov_r32_imm32 EAX, 1),
                i!(Cmp_r32_rm32 EDI, EAX),
                i!(Cmova_r32_rm32 EAX, EDI),
                data(RCX, 0),
                i!(Movsxd_r64_rm32 RAX, m(RCX, RAX, 4, 0)),
                i!(Add_r64_rm64 RCX, RAX),
                i!(Jmp_rm64 RCX),
                l(1),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
                l(2),
                i!(Mov_r32_imm32 EAX, 1),
                ret(),
            ],
            "read-only data",
        ),
        (
            "a jump table clamped as signed",
            1,
            vec![
                i!(Mov_r32_imm32 EAX, 1),
                i!(Cmp_r32_rm32 EDI, EAX),
                i!(Cmovl_r32_rm32 EAX, EDI),
                data(RCX, 0),
                i!(Movsxd_r64_rm32 RAX, m(RCX, RAX, 4, 0)),
                i!(Add_r64_rm64 RCX, RAX),
                i!(Jmp_rm64 RCX),
                l(1),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
                l(2),
                i!(Mov_r32_imm32 EAX, 1),
                ret(),
            ],
            "read-only data",
        ),
        (
            "the entry added to something else",
            1,
            vec![
                i!(Mov_r32_imm32 EAX, 1),
                i!(Cmp_r32_rm32 EDI, EAX),
                i!(Cmovb_r32_rm32 EAX, EDI),
                data(RCX, 0),
                data(RDX, 4),
                i!(Movsxd_r64_rm32 RAX, m(RCX, RAX, 4, 0)),
                i!(Add_r64_rm64 RDX, RAX),
                i!(Jmp_rm64 RDX),
                l(1),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
                l(2),
                i!(Mov_r32_imm32 EAX, 1),
                ret(),
            ],
            "jump table",
        ),
        (
            "the entry loaded zero-extended",
            1,
            vec![
                data(RCX, 0),
                i!(Mov_r32_rm32 EAX, at(RCX, 0)),
                i!(Add_r64_rm64 RCX, RAX),
                i!(Jmp_rm64 RCX),
                l(1),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
                l(2),
                i!(Mov_r32_imm32 EAX, 1),
                ret(),
            ],
            "jump table",
        ),
        (
            "an address in the code",
            0,
            vec![i!(Lea_r64_m RAX, MemoryOperand::new(RIP, None, 1, (DATA - 0x1_0000) as i64, 8, false, None)), ret()],
            "relative to rip",
        ),
        (
            "a store to read-only data",
            1,
            vec![data(RCX, 0), i!(Mov_rm32_r32 at(RCX, 0), EDI), i!(Mov_r32_rm32 EAX, EDI), ret()],
            "not write it",
        ),
        ("a load relative to rip", 0, vec![x(&[0x8b, 0x05, 0, 0, 0, 0]), ret()], "no access has an address of this shape"),
        // -- instructions that have no place here --
        ("syscall", 0, vec![x(&[0x0f, 0x05]), ret()], "not one of spec/x86_64"),
        ("sysenter", 0, vec![x(&[0x0f, 0x34]), ret()], "not one of spec/x86_64"),
        ("int 0x80", 0, vec![x(&[0xcd, 0x80]), ret()], "not one of spec/x86_64"),
        ("wrgsbase", 0, vec![x(&[0xf3, 0x48, 0x0f, 0xae, 0xd8]), ret()], "not one of spec/x86_64"),
        ("wrfsbase", 0, vec![x(&[0xf3, 0x48, 0x0f, 0xae, 0xd0]), ret()], "not one of spec/x86_64"),
        ("xrstor", 1, vec![x(&[0x41, 0x0f, 0xae, 0x2c, 0x3f]), ret()], "not one of spec/x86_64"),
        ("fxsave", 1, vec![x(&[0x41, 0x0f, 0xae, 0x04, 0x3f]), ret()], "not one of spec/x86_64"),
        ("ldmxcsr", 1, vec![x(&[0x41, 0x0f, 0xae, 0x14, 0x3f]), ret()], "not one of spec/x86_64"),
        ("vldmxcsr", 1, vec![x(&[0xc4, 0xc1, 0x78, 0xae, 0x17]), ret()], "not one of spec/x86_64"),
        ("wrpkru", 0, vec![x(&[0x0f, 0x01, 0xef]), ret()], "not one of spec/x86_64"),
        ("cpuid", 0, vec![x(&[0x0f, 0xa2]), ret()], "not one of spec/x86_64"),
        ("rdtsc", 0, vec![x(&[0x0f, 0x31]), ret()], "not one of spec/x86_64"),
        ("std", 0, vec![x(&[0xfd]), ret()], "not one of spec/x86_64"),
        ("rep movsb", 0, vec![x(&[0xf3, 0xa4]), ret()], "not one of spec/x86_64"),
        ("stosq", 0, vec![x(&[0x48, 0xab]), ret()], "not one of spec/x86_64"),
        ("lodsb", 0, vec![x(&[0xac]), ret()], "not one of spec/x86_64"),
        ("bt with a register offset", 1, vec![x(&[0x41, 0x0f, 0xa3, 0x3f]), ret()], "not one of spec/x86_64"),
        ("bts with a register offset", 1, vec![x(&[0x41, 0x0f, 0xab, 0x3f]), ret()], "not one of spec/x86_64"),
        ("maskmovdqu", 0, vec![x(&[0x66, 0x0f, 0xf7, 0xc1]), ret()], "not one of spec/x86_64"),
        ("vpgatherdd", 0, vec![x(&[0xc4, 0xc2, 0x69, 0x90, 0x04, 0x0f]), ret()], "not one of spec/x86_64"),
        ("enter", 0, vec![x(&[0xc8, 0, 0, 0]), ret()], "not one of spec/x86_64"),
        ("leave", 0, vec![x(&[0xc9]), ret()], "not one of spec/x86_64"),
        ("xlat", 0, vec![x(&[0xd7]), ret()], "not one of spec/x86_64"),
        ("cmpxchg16b", 1, vec![x(&[0x49, 0x0f, 0xc7, 0x0c, 0x3f]), ret()], "not one of spec/x86_64"),
        ("lock add", 1, vec![x(&[0xf0, 0x41, 0x83, 0x04, 0x3f, 0x01]), ret()], ""),
        ("an EVEX form", 0, vec![x(&[0x62, 0xf1, 0x7e, 0x08, 0x58, 0xc1]), ret()], ""),
        ("an aligned vector load", 1, vec![x(&[0x41, 0x0f, 0x28, 0x04, 0x3f]), ret()], "an operand is of a kind"),
        (
            "a 16-byte read where 8 are checked (CVE-2026-24116)",
            0,
            framed([x(&[0x0f, 0x10, 0x44, 0x24, 0x18]), rsp_out(), ret()]),
            "not one of spec/x86_64",
        ),
        ("a redundant REX prefix", 0, vec![x(&[0x40, 0x33, 0xc0]), ret()], "prefixes"),
        ("two REX prefixes", 0, vec![x(&[0x48, 0x40, 0x33, 0xc0]), ret()], "prefixes"),
        ("REX.X without an index", 0, vec![x(&[0x42, 0x33, 0xc0]), ret()], "prefixes"),
        ("REX.W that says nothing", 0, vec![x(&[0x48, 0xc3])], "prefixes"),
        ("a three-byte VEX where two do", 6, vec![x(&[0xc4, 0xe1, 0x7b, 0x58, 0xc1]), ret()], "prefixes"),
        ("ah", 0, vec![x(&[0x0f, 0xb6, 0xc4]), ret()], "an operand is of a kind"),
        ("a move in the other encoding", 1, vec![x(&[0x89, 0xf8]), ret()], "an operand is of a kind"),
        ("no instruction at all", 0, vec![x(&[0x06]), ret()], "no instruction"),
        ("an instruction cut off by the end", 0, vec![x(&[0xb8, 0x00])], "no instruction"),
    ]
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
