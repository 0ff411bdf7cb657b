//! Instructions that have no place in guest code, and encodings that no assembler of the project writes.

use super::shape::*;
use iced_x86::Register::*;

/// Name, type of the function, the instruction's bytes, the reason.
const ALONE: [(&str, u32, &[u8], &str); 40] = [
    ("syscall", 0, &[0x0f, 0x05], "not one of spec/x86_64"),
    ("sysenter", 0, &[0x0f, 0x34], "not one of spec/x86_64"),
    ("int 0x80", 0, &[0xcd, 0x80], "not one of spec/x86_64"),
    ("wrgsbase", 0, &[0xf3, 0x48, 0x0f, 0xae, 0xd8], "not one of spec/x86_64"),
    ("wrfsbase", 0, &[0xf3, 0x48, 0x0f, 0xae, 0xd0], "not one of spec/x86_64"),
    ("xrstor", 1, &[0x41, 0x0f, 0xae, 0x2c, 0x3f], "not one of spec/x86_64"),
    ("fxsave", 1, &[0x41, 0x0f, 0xae, 0x04, 0x3f], "not one of spec/x86_64"),
    ("ldmxcsr", 1, &[0x41, 0x0f, 0xae, 0x14, 0x3f], "not one of spec/x86_64"),
    ("vldmxcsr", 1, &[0xc4, 0xc1, 0x78, 0xae, 0x17], "not one of spec/x86_64"),
    ("wrpkru", 0, &[0x0f, 0x01, 0xef], "not one of spec/x86_64"),
    ("cpuid", 0, &[0x0f, 0xa2], "not one of spec/x86_64"),
    ("rdtsc", 0, &[0x0f, 0x31], "not one of spec/x86_64"),
    ("std", 0, &[0xfd], "not one of spec/x86_64"),
    ("rep movsb", 0, &[0xf3, 0xa4], "not one of spec/x86_64"),
    ("stosq", 0, &[0x48, 0xab], "not one of spec/x86_64"),
    ("lodsb", 0, &[0xac], "not one of spec/x86_64"),
    ("bt with a register offset", 1, &[0x41, 0x0f, 0xa3, 0x3f], "not one of spec/x86_64"),
    ("bts with a register offset", 1, &[0x41, 0x0f, 0xab, 0x3f], "not one of spec/x86_64"),
    ("maskmovdqu", 0, &[0x66, 0x0f, 0xf7, 0xc1], "not one of spec/x86_64"),
    ("vpgatherdd", 0, &[0xc4, 0xc2, 0x69, 0x90, 0x04, 0x0f], "not one of spec/x86_64"),
    ("enter", 0, &[0xc8, 0, 0, 0], "not one of spec/x86_64"),
    ("leave", 0, &[0xc9], "not one of spec/x86_64"),
    ("xlat", 0, &[0xd7], "not one of spec/x86_64"),
    ("cmpxchg16b", 1, &[0x49, 0x0f, 0xc7, 0x0c, 0x3f], "not one of spec/x86_64"),
    ("lock add", 1, &[0xf0, 0x41, 0x83, 0x04, 0x3f, 0x01], ""),
    ("an EVEX form", 0, &[0x62, 0xf1, 0x7e, 0x08, 0x58, 0xc1], ""),
    ("an aligned vector load", 1, &[0x41, 0x0f, 0x28, 0x04, 0x3f], "an operand is of a kind"),
    ("a redundant REX prefix", 0, &[0x40, 0x33, 0xc0], "prefixes"),
    ("two REX prefixes", 0, &[0x48, 0x40, 0x33, 0xc0], "prefixes"),
    ("REX.X without an index", 0, &[0x42, 0x33, 0xc0], "prefixes"),
    ("a VEX scalar form", 6, &[0xc5, 0xfb, 0x58, 0xc1], OK),
    ("VEX.L of a scalar form", 6, &[0xc5, 0xff, 0x58, 0xc1], "not one of spec/x86_64"),
    ("VEX.X without an index", 6, &[0xc4, 0x81, 0x7b, 0x58, 0xc0], "prefixes"),
    ("VEX.W that says nothing", 6, &[0xc4, 0xc1, 0xfb, 0x58, 0xc0], "not one of spec/x86_64"),
    ("VEX.vvvv that names nothing", 1, &[0xc4, 0xe3, 0x73, 0xf0, 0xc7, 0x05], "prefixes"),
    ("VEX.L of an integer form", 1, &[0xc4, 0xe2, 0x7d, 0xf7, 0xc7], "not one of spec/x86_64"),
    ("a three-byte VEX where two do", 6, &[0xc4, 0xe1, 0x7b, 0x58, 0xc1], "prefixes"),
    ("ah", 0, &[0x0f, 0xb6, 0xc4], "an operand is of a kind"),
    ("a move in the other encoding", 1, &[0x89, 0xf8], "an operand is of a kind"),
    ("no instruction at all", 0, &[0x06], "not one of spec/x86_64"),
];

pub fn cases() -> Vec<Case> {
    let alone = ALONE
        .into_iter()
        .map(|(name, ty, bytes, reason)| (name, ty, vec![x(bytes), i!(Mov_r32_imm32 EAX, 0), ret()], reason));
    alone
        .chain([
            (
                "a 16-byte read where 8 are checked (CVE-2026-24116)",
                0,
                framed([x(&[0x0f, 0x10, 0x44, 0x24, 0x18]), rsp_out(), ret()]),
                "not one of spec/x86_64",
            ),
            ("REX.W that says nothing", 0, vec![x(&[0x48, 0xc3])], "prefixes"),
            ("an instruction cut off by the end", 0, vec![x(&[0xb8, 0x00])], "no instruction"),
        ])
        .collect()
}
