//! CPU features beyond x86-64-v2 that code may need, as bits of the manifest.

use alloc::string::String;
use core::arch::x86_64::{__cpuid, __cpuid_count};

const NAMES: [&str; 7] = ["LZCNT", "BMI1", "BMI2", "AVX", "AVX2", "FMA", "MOVBE"];

/// Those that use vector registers beyond their lower halves.
const VECTOR: u32 = AVX | AVX2 | FMA;
const LZCNT: u32 = 1;
const BMI1: u32 = 1 << 1;
const BMI2: u32 = 1 << 2;
const AVX: u32 = 1 << 3;
const AVX2: u32 = 1 << 4;
const FMA: u32 = 1 << 5;
const MOVBE: u32 = 1 << 6;

/// Whether code that needs these features can see the upper halves of vector registers.
pub(crate) fn sees_upper_halves(needed: u32) -> bool {
    needed & VECTOR != 0
}

/// The features of this CPU (and, for AVX, of the operating system).
pub fn features() -> u32 {
    present((1 << NAMES.len()) - 1, false)
}

/// Those of some features that are there. Asks for no others: under a hypervisor each question takes as long as thirty system
/// calls. Old CPUs answer to question 7 with something else, unless it is known that they answer.
fn present(asked: u32, seventh: bool) -> u32 {
    let when = |features: u32, ask: &dyn Fn() -> u32| if asked & features != 0 { ask() } else { 0 };
    let one = when(VECTOR | MOVBE, &|| __cpuid(1).ecx);
    let seven = when(BMI1 | BMI2 | AVX2, &|| if seventh || __cpuid(0).eax >= 7 { __cpuid_count(7, 0).ebx } else { 0 });
    // Every CPU with 64 bits has this one: it tells of them.
    let extended = when(LZCNT, &|| __cpuid(0x8000_0001).ecx);
    let osxsave = one & 1 << 27 != 0;
    let avx = osxsave && one & 1 << 28 != 0;
    let found = [
        (LZCNT, extended & 1 << 5 != 0),
        (BMI1, seven & 1 << 3 != 0),
        (BMI2, seven & 1 << 8 != 0),
        (AVX, avx),
        (AVX2, avx && seven & 1 << 5 != 0),
        (FMA, avx && one & 1 << 12 != 0),
        (MOVBE, one & 1 << 22 != 0),
    ];
    found.iter().filter(|(_, there)| *there).map(|(feature, _)| feature & asked).sum()
}

/// Names of the needed features this CPU lacks. `capabilities` are what the kernel tells a process (AT_HWCAP2), or 0.
pub fn missing(needed: u32, capabilities: usize) -> String {
    // The kernel has this from the answer to question 7.
    const FSGSBASE: usize = 2;
    names(needed & !present(needed, capabilities & FSGSBASE != 0))
}

/// Names of features.
pub fn names(lacking: u32) -> String {
    let names = NAMES.iter().enumerate().filter(|(n, _)| lacking & 1 << n != 0).map(|(_, name)| *name);
    let mut text = String::new();
    for name in names {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(name);
    }
    text
}
