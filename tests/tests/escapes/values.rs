//! Values: what is known of a copy, a comparison, a word or an implicit result after something else has happened.

use super::module::*;
use super::shape::*;
use iced_x86::{Code, Register, Register::*};
use vwasm_checker::layout::*;

/// The value of a register read as an index: what each of these cases must not get to do.
fn read(index: Register) -> Part {
    i!(Mov_r32_rm32 EAX, m(R15, index, 1, 0))
}

/// What follows a branch to the trap, label 9.
fn checked(parts: impl IntoIterator<Item = Part>) -> Vec<Part> {
    parts.into_iter().chain(trap()).collect()
}

fn gate() -> [Part; 2] {
    [i!(Mov_r32_imm32 EAX, 9), i!(Call_rm64 at(R15, INSTANCE_GATE.into()))]
}

/// An instruction on registers, then one of them as index.
fn computed(name: &'static str, parts: impl IntoIterator<Item = Part>, index: Register, reason: &'static str) -> Case {
    (name, 5, parts.into_iter().chain([read(index), ret()]).collect(), reason)
}

pub fn cases() -> Vec<Case> {
    let jae = || jump(Code::Jae_rel32_64, 9);
    let mut cases = vec![
        // -- comparisons --
        (
            "compared, then written, then branched on",
            5,
            checked([i!(Cmp_rm64_imm8 RDI, 16), i!(Mov_r64_rm64 RDI, RSI), jae(), read(RDI), ret()]),
            "rdi is not known",
        ),
        (
            "compared, then written, its copy used",
            5,
            checked([
                i!(Mov_r64_rm64 RAX, RDI),
                i!(Cmp_rm64_imm8 RDI, 16),
                i!(Mov_r64_rm64 RDI, RSI),
                jae(),
                read(RAX),
                ret(),
            ]),
            OK,
        ),
        (
            "a copy of what was compared, then added to",
            5,
            checked([
                i!(Mov_r64_rm64 RAX, RDI),
                i!(Cmp_rm64_imm8 RDI, 16),
                i!(Lea_r64_m RAX, m(RAX, RSI, 1, 0)),
                jae(),
                read(RAX),
                ret(),
            ]),
            "rax is not known",
        ),
        (
            "other flags between comparison and branch",
            5,
            checked([i!(Cmp_rm64_imm8 RDI, 16), i!(And_rm32_imm8 ESI, 1), jae(), read(RDI), ret()]),
            "rdi is not known",
        ),
        (
            "a shift by a register, which may keep the flags, between",
            5,
            checked([i!(Cmp_rm64_imm8 RDI, 16), i!(Shl_rm64_CL RSI, CL), jae(), read(RDI), ret()]),
            "rdi is not known",
        ),
        (
            "rsp moved between comparison and branch",
            5,
            checked([
                i!(Cmp_rm64_imm8 RDI, 16),
                i!(Sub_rm64_imm8 RSP, 8),
                i!(Add_rm64_imm8 RSP, 8),
                jae(),
                read(RDI),
                ret(),
            ]),
            "rdi is not known",
        ),
        (
            "the gate between comparison and branch",
            5,
            framed(checked(
                [i!(Mov_rm64_r64 at(RSP, 8), RDI), i!(Cmp_rm64_imm8 RDI, 16)].into_iter().chain(gate()).chain([
                    jae(),
                    i!(Mov_r64_rm64 RDI, at(RSP, 8)),
                    read(RDI),
                    rsp_out(),
                    ret(),
                ]),
            )),
            "rdi is not known",
        ),
        (
            "half of a register compared",
            5,
            checked([i!(Cmp_rm32_imm8 EDI, 16), jae(), read(RDI), ret()]),
            "rdi is not known",
        ),
        (
            "a word compared, not a register",
            5,
            framed(checked([
                i!(Mov_rm64_r64 at(RSP, 8), RDI),
                i!(Cmp_rm64_imm8 at(RSP, 8), 16),
                jae(),
                read(RDI),
                rsp_out(),
                ret(),
            ])),
            "rdi is not known",
        ),
        (
            "subtracted: the flags are of the value before",
            5,
            checked([i!(Sub_rm64_imm8 RDI, 16), jae(), read(RDI), ret()]),
            "rdi is not known",
        ),
        (
            "a conditional move of the larger",
            5,
            vec![i!(Mov_r32_imm32 EAX, 16), i!(Cmp_r64_rm64 RDI, RAX), i!(Cmovae_r64_rm64 RAX, RDI), read(RAX), ret()],
            "rax is not known",
        ),
        (
            "a conditional move of what was written after the comparison",
            5,
            vec![
                i!(Mov_r32_imm32 EAX, 16),
                i!(Cmp_r64_rm64 RDI, RAX),
                i!(Mov_r64_rm64 RDI, RSI),
                i!(Cmovb_r64_rm64 RAX, RDI),
                read(RAX),
                ret(),
            ],
            "rax is not known",
        ),
        (
            "a conditional move of the smaller",
            5,
            vec![i!(Mov_r32_imm32 EAX, 16), i!(Cmp_r64_rm64 RDI, RAX), i!(Cmovb_r64_rm64 RAX, RDI), read(RAX), ret()],
            OK,
        ),
        // -- words --
        (
            "checked in a register, then its word half overwritten",
            5,
            framed(checked([
                i!(Mov_rm64_r64 at(RSP, 8), RDI),
                i!(Cmp_rm64_imm8 RDI, 16),
                jae(),
                i!(Mov_rm32_r32 at(RSP, 12), ESI),
                i!(Mov_r64_rm64 RAX, at(RSP, 8)),
                read(RAX),
                rsp_out(),
                ret(),
            ])),
            "rax is not known",
        ),
        (
            "a store over the edge of two words",
            5,
            framed([
                i!(Xor_r32_rm32 EAX, EAX),
                i!(Mov_rm64_r64 at(RSP, 8), RAX),
                i!(Mov_rm64_r64 at(RSP, 16), RAX),
                i!(Mov_rm64_r64 at(RSP, 20), RDI),
                i!(Mov_r64_rm64 RAX, at(RSP, 16)),
                read(RAX),
                rsp_out(),
                ret(),
            ]),
            "rax is not known",
        ),
        (
            "a word given up and taken again",
            5,
            framed([
                i!(Xor_r32_rm32 EAX, EAX),
                i!(Mov_rm64_r64 at(RSP, 0), RAX),
                i!(Add_rm64_imm8 RSP, 8),
                i!(Sub_rm64_imm8 RSP, 8),
                i!(Mov_r64_rm64 RAX, at(RSP, 0)),
                read(RAX),
                rsp_out(),
                ret(),
            ]),
            "rax is not known",
        ),
        (
            "a word below a call, taken again",
            5,
            framed([
                i!(Xor_r32_rm32 EAX, EAX),
                i!(Mov_rm64_r64 at(RSP, 0), RAX),
                i!(Add_rm64_imm8 RSP, 16),
                call(2),
                i!(Sub_rm64_imm8 RSP, 8),
                i!(Sub_rm64_imm8 RSP, 8),
                i!(Mov_r64_rm64 RAX, at(RSP, 0)),
                read(RAX),
                rsp_out(),
                ret(),
            ]),
            "rax is not known",
        ),
        (
            "the other half of a zero-extended word",
            1,
            framed([i!(Mov_rm64_r64 at(RSP, 8), RDI), i!(Mov_r64_rm64 RAX, at(RSP, 12)), read(RAX), rsp_out(), ret()]),
            "rax is not known",
        ),
        ("a parameter's word", 3, vec![i!(Mov_r64_rm64 RAX, at(RSP, 8)), read(RAX), i!(Retnq_imm16 16)], OK),
        (
            "a parameter's word overwritten with a wide value",
            3,
            vec![
                i!(Movsxd_r64_rm32 RAX, EDI),
                i!(Mov_rm64_r64 at(RSP, 8), RAX),
                i!(Mov_r64_rm64 RAX, at(RSP, 8)),
                read(RAX),
                i!(Retnq_imm16 16),
            ],
            "rax is not known",
        ),
        (
            "a result's word before it is stored",
            4,
            vec![i!(Mov_r64_rm64 RAX, at(RSP, 8)), read(RAX), ret()],
            "rax is not known",
        ),
        // -- calls --
        (
            "a slot kept in its word from before the check, over the gate",
            1,
            {
                let mut parts = vec![i!(Sub_rm64_imm8 RSP, 0x20)];
                slot(&mut parts);
                parts.extend([
                    i!(Mov_rm64_r64 at(RSP, 8), RAX),
                    signature(0),
                    check_signature(),
                    jump(Code::Jne_rel32_64, 9),
                ]);
                parts.extend(gate());
                parts.extend([
                    i!(Mov_r64_rm64 RAX, at(RSP, 8)),
                    i!(Call_rm64 at(RAX, 0)),
                    i!(Xor_r32_rm32 EAX, EAX),
                    rsp_out(),
                    ret(),
                ]);
                checked(parts)
            },
            "checked signature",
        ),
        (
            "a slot kept in its word from before the check",
            1,
            {
                let mut parts = vec![i!(Sub_rm64_imm8 RSP, 0x20)];
                slot(&mut parts);
                parts.extend([
                    i!(Mov_rm64_r64 at(RSP, 8), RAX),
                    signature(0),
                    check_signature(),
                    jump(Code::Jne_rel32_64, 9),
                    i!(Mov_r64_rm64 RAX, at(RSP, 8)),
                    i!(Call_rm64 at(RAX, 0)),
                    i!(Xor_r32_rm32 EAX, EAX),
                    rsp_out(),
                    ret(),
                ]);
                checked(parts)
            },
            OK,
        ),
        (
            "the gate between a signature's comparison and the branch",
            1,
            {
                let mut parts = vec![i!(Sub_rm64_imm8 RSP, 0x20)];
                slot(&mut parts);
                parts.extend([i!(Mov_rm64_r64 at(RSP, 8), RAX), signature(0), check_signature()]);
                parts.extend(gate());
                parts.extend([
                    jump(Code::Jne_rel32_64, 9),
                    i!(Mov_r64_rm64 RAX, at(RSP, 8)),
                    i!(Call_rm64 at(RAX, 0)),
                    i!(Xor_r32_rm32 EAX, EAX),
                    rsp_out(),
                    ret(),
                ]);
                checked(parts)
            },
            "checked signature",
        ),
        (
            "the signature of one slot, a call of the next",
            1,
            called([signature(0), check_signature(), jump(Code::Jne_rel32_64, 9), i!(Lea_r64_m RAX, at(RAX, 16))]),
            "checked signature",
        ),
        (
            "a call at an index behind the slot",
            1,
            with_slot([
                signature(0),
                check_signature(),
                jump(Code::Jne_rel32_64, 9),
                i!(Xor_r32_rm32 EDI, EDI),
                i!(Call_rm64 m(RAX, RDI, 1, 0)),
                i!(Xor_r32_rm32 EAX, EAX),
                ret(),
            ]),
            "a call goes to",
        ),
        (
            "half of the gate's address",
            0,
            vec![i!(Call_rm64 at(R15, i64::from(INSTANCE_GATE) - 4)), ret()],
            "a call goes to",
        ),
        (
            "the gate's result is no more than 32 bits, all else arbitrary",
            0,
            gate().into_iter().chain([i!(Mov_r32_rm32 ECX, m(R15, RCX, 1, 0)), ret()]).collect(),
            "rcx is not known",
        ),
    ];
    cases.extend([
        // -- implicit and partial results --
        computed(
            "the upper half of a product",
            [i!(Xor_r32_rm32 EDX, EDX), i!(Mov_r64_rm64 RAX, RDI), i!(Mul_rm64 RSI)],
            RDX,
            "rdx is not known",
        ),
        computed(
            "a quotient",
            [i!(Xor_r32_rm32 EDX, EDX), i!(Xor_r32_rm32 EAX, EAX), i!(Div_rm64 RSI)],
            RAX,
            "rax is not known",
        ),
        computed("a sign in rdx", [i!(Xor_r32_rm32 EDX, EDX), i!(Mov_r64_rm64 RAX, RDI), i!(Cqo)], RDX, "rdx is not known"),
        computed("a sign in edx", [i!(Cdq)], RDX, OK),
        computed("a narrow sum", [i!(Add_r32_rm32 EDI, ESI)], RDI, OK),
        computed("a wide sum of an address", [i!(Lea_r64_m RDI, m(R15, RDI, 1, 0))], RDI, "rdi is not known"),
        computed("a difference", [i!(Mov_r32_rm32 EDI, EDI), i!(Sub_rm64_imm8 RDI, 1)], RDI, "rdi is not known"),
        computed("a negation", [i!(Mov_r32_rm32 EDI, EDI), i!(Neg_rm64 RDI)], RDI, "rdi is not known"),
        computed("a complement", [i!(Mov_r32_rm32 EDI, EDI), i!(Not_rm64 RDI)], RDI, "rdi is not known"),
        computed("a wide product", [i!(Mov_r32_rm32 EDI, EDI), i!(Imul_r64_rm64 RDI, RDI)], RDI, "rdi is not known"),
        computed("a mask with a negative constant", [i!(And_rm64_imm8 RDI, -16)], RDI, "rdi is not known"),
        computed("set bits", [i!(Mov_r32_rm32 EDI, EDI), i!(Or_rm64_imm8 RDI, -1)], RDI, "rdi is not known"),
        computed("a shift to the right by 32", [i!(Shr_rm64_imm8 RDI, 32u32)], RDI, OK),
        computed("a shift to the right by 30", [i!(Shr_rm64_imm8 RDI, 30u32)], RDI, "rdi is not known"),
        computed("a shift by 64, which is one by 0", [i!(Shr_rm64_imm8 RDI, 64u32)], RDI, "rdi is not known"),
        computed("a signed shift", [i!(Sar_rm64_imm8 RDI, 40u32)], RDI, "rdi is not known"),
        computed("a rotation", [i!(Mov_r32_rm32 EDI, EDI), i!(Rol_rm64_imm8 RDI, 40u32)], RDI, "rdi is not known"),
        computed(
            "a shift to the left by a register",
            [i!(Mov_r32_rm32 EDI, EDI), i!(Shl_rm64_CL RDI, CL)],
            RDI,
            "rdi is not known",
        ),
        computed("a sign-extended byte", [i!(Movsx_r64_rm8 RDI, DIL)], RDI, "rdi is not known"),
        computed("bits of a float", [i!(Movq_rm64_xmm RDI, XMM0)], RDI, "rdi is not known"),
        computed("half the bits of a float", [i!(Movd_rm32_xmm EDI, XMM0)], RDI, OK),
        (
            "three indices are more than the reservation",
            5,
            vec![
                i!(Mov_r32_rm32 EDI, EDI),
                i!(Lea_r64_m RAX, m(R15, RDI, 1, 0)),
                i!(Add_r64_rm64 RAX, RDI),
                i!(Add_r64_rm64 RAX, RDI),
                i!(Mov_r32_rm32 EAX, at(RAX, 0)),
                ret(),
            ],
            "rax is not known",
        ),
        ("the memory's base as an index", 1, vec![i!(Mov_r32_rm32 EAX, m(RDI, R15, 1, 0)), ret()], OK),
        ("the memory's base as a scaled index", 1, vec![i!(Mov_r32_rm32 EAX, m(RDI, R15, 2, 0)), ret()], "not known"),
        (
            "half of an address",
            1,
            vec![i!(Lea_r32_m EAX, m(R15, RDI, 1, 0)), i!(Mov_r32_rm32 EAX, at(RAX, 0)), ret()],
            "rax is not known",
        ),
    ]);
    cases
}
