//! What calls, the stack and r15 must keep.

use super::module::*;
use super::shape::*;
use iced_x86::{Code, Register::*};

pub fn cases() -> Vec<Case> {
    let f = fields();
    vec![
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
            "a word that the callee leaves a wide result in",
            0,
            framed([
                i!(Xor_r32_rm32 EAX, EAX),
                i!(Mov_rm64_r64 at(RSP, 8), RAX),
                call(4),
                i!(Mov_r64_rm64 RDI, at(RSP, 8)),
                i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)),
                rsp_out(),
                ret(),
            ]),
            "rdi is not known",
        ),
        (
            "a word that the callee leaves a narrow result in",
            0,
            framed([call(4), i!(Mov_r64_rm64 RDI, at(RSP, 0)), i!(Mov_r32_rm32 EAX, m(R15, RDI, 1, 0)), rsp_out(), ret()]),
            OK,
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
    ]
}
