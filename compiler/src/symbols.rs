//! The executable's symbol table: what `nm`, `gdb` and `perf` call the functions of the guest.
//!
//! Takes the code's place in the file and the manifest, which has the names of the module's name section; gives section
//! headers and what they refer to, which stand behind everything the kernel maps. The kernel does not look at them, nor does
//! the stub. Names come from the module, so they are made harmless ([`symbol`]).

use crate::image::Placed;
use vwasm_runtime::manifest::{Manifest, record};
use vwasm_runtime::trap;

const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
const STB_LOCAL_STT_FUNC: u8 = 2;
const SYMBOL: usize = 24;

/// Section numbers.
const TEXT: u16 = 1;
const STRTAB: u32 = 3;
pub const SECTIONS: u16 = 5;
pub const SHSTRTAB: u16 = 4;

/// Most bytes of a name.
const MOST: usize = 1024;

/// A name that every reader of symbol tables takes: printable ASCII, without the `@` that introduces a version.
fn symbol(name: &str, function: u32) -> String {
    let harmless = |c: char| if c.is_ascii_graphic() && c != '@' || c == ' ' { c } else { '_' };
    let name: String = name.chars().take(MOST).map(harmless).collect();
    if name.trim().is_empty() { format!("wasm_function_{function}") } else { name }
}

fn section(name: u32, kind: u32, flags: u64, place: Placed, links: [u32; 2], entry: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(64);
    header.extend_from_slice(&name.to_le_bytes());
    header.extend_from_slice(&kind.to_le_bytes());
    for word in [flags, place.address, place.offset, place.size] {
        header.extend_from_slice(&word.to_le_bytes());
    }
    links.iter().for_each(|link| header.extend_from_slice(&link.to_le_bytes()));
    let alignment = match kind {
        SHT_PROGBITS => 16,
        SHT_SYMTAB => 8,
        _ => 1,
    };
    for word in [alignment, entry] {
        header.extend_from_slice(&word.to_le_bytes());
    }
    header
}

/// What stands at `offset` in the file: the section headers, then their contents.
pub fn sections(manifest: &Manifest, code: Placed, offset: u64) -> Vec<u8> {
    let (mut symbols, mut names) = (vec![0; SYMBOL], vec![0]);
    for number in 0..manifest.frames.len() / 16 {
        let field = |field| record(&manifest.frames, 4, number, field).unwrap_or(0);
        let (start, end, function) = (field(0), field(1), field(3));
        let name = match function {
            u32::MAX => format!("far_thunk_{}", number.saturating_sub(manifest.functions.len())),
            _ => symbol(&trap::function_name(manifest, function).unwrap_or_default(), function),
        };
        symbols.extend_from_slice(&(names.len() as u32).to_le_bytes());
        symbols.extend_from_slice(&[STB_LOCAL_STT_FUNC, 0]);
        symbols.extend_from_slice(&TEXT.to_le_bytes());
        symbols.extend_from_slice(&(code.address + u64::from(start)).to_le_bytes());
        symbols.extend_from_slice(&u64::from(end.saturating_sub(start)).to_le_bytes());
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    let section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0";
    let count = (symbols.len() / SYMBOL) as u32;
    let mut at = offset + 64 * u64::from(SECTIONS);
    let mut place = |size: usize| {
        let placed = Placed { address: 0, offset: at, size: size as u64 };
        at += size as u64;
        placed
    };
    let mut bytes = vec![0; 64];
    bytes.extend(section(1, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, code, [0, 0], 0));
    bytes.extend(section(7, SHT_SYMTAB, 0, place(symbols.len()), [STRTAB, count], SYMBOL as u64));
    bytes.extend(section(15, SHT_STRTAB, 0, place(names.len()), [0, 0], 0));
    bytes.extend(section(23, SHT_STRTAB, 0, place(section_names.len()), [0, 0], 0));
    bytes.extend(symbols);
    bytes.extend(names);
    bytes.extend_from_slice(section_names);
    bytes
}
