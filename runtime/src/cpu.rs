//! CPU features beyond x86-64-v2 that code may need, as bits of the manifest.

use alloc::string::String;
use core::arch::x86_64::{__cpuid, __cpuid_count};

const NAMES: [&str; 7] = ["LZCNT", "BMI1", "BMI2", "AVX", "AVX2", "FMA", "MOVBE"];

/// The features of this CPU (and, for AVX, of the operating system); asked for once, since a virtual machine may answer slowly.
pub fn features() -> u32 {
    use core::sync::atomic::{AtomicU32, Ordering};
    const KNOWN: u32 = 1 << 31;
    static FEATURES: AtomicU32 = AtomicU32::new(0);
    let found = FEATURES.load(Ordering::Relaxed);
    if found & KNOWN != 0 {
        return found & !KNOWN;
    }
    let found = ask();
    FEATURES.store(found | KNOWN, Ordering::Relaxed);
    found
}

pub(crate) fn has_avx() -> bool {
    features() & 1 << 3 != 0
}

fn ask() -> u32 {
    let most = __cpuid(0).eax;
    let one = __cpuid(1).ecx;
    let extended = if most >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    let more = if __cpuid(0x8000_0000).eax >= 0x8000_0001 { __cpuid(0x8000_0001).ecx } else { 0 };
    let osxsave = one & 1 << 27 != 0;
    let avx = osxsave && one & 1 << 28 != 0;
    let bits = [
        more & 1 << 5 != 0,
        extended & 1 << 3 != 0,
        extended & 1 << 8 != 0,
        avx,
        avx && extended & 1 << 5 != 0,
        avx && one & 1 << 12 != 0,
        one & 1 << 22 != 0,
    ];
    bits.iter().enumerate().map(|(n, &bit)| u32::from(bit) << n).sum()
}

/// Names of the needed features this CPU lacks.
pub fn missing(needed: u32) -> String {
    names(needed & !if needed == 0 { 0 } else { features() })
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
