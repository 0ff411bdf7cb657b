//! The object file: code, read-only data, manifest and claims for a C linker, with a C header that declares them.
//!
//! Takes a compiled module; gives an ELF64 relocatable file and the header's text. Sections that are loaded: `.text` (the
//! code), `.rodata` (data, manifest, claims, their sizes, the descriptor); `.note.GNU-stack` asks for a stack that is not executable.
//! Nothing but hidden symbols `vwasm_<module>_*` is defined, nothing is referred to, and nothing is left to the dynamic linker.
//!
//! Code and data stay apart, joined by relocations: one section for both would need none, but would make the guest's own data
//! executable. The bytes under a relocation are those of the executable, where the data begins at the next page after the code.

use crate::compile::{Compiled, jump_tables};
use crate::emit::RelocTarget;
use crate::error::{CompileError, ErrorKind, Result};
use crate::header::{header, identifier};
use sha2::{Digest, Sha256};
use vwasm_runtime::image::{LINKED_MAGIC, round_up};
use vwasm_runtime::manifest::{ExternType, Manifest};

/// An object file and what C programs include to use it.
pub struct Object {
    pub file: Vec<u8>,
    pub header: String,
}

// Names and numbers of the ELF specification and its x86-64 supplement.
const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHT_RELA: u32 = 4;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
const SHF_INFO_LINK: u64 = 0x40;
const STB_GLOBAL_STT_NOTYPE: u8 = 1 << 4;
const STB_GLOBAL_STT_OBJECT: u8 = 1 << 4 | 1;
const STB_LOCAL_STT_SECTION: u8 = 3;
const STV_DEFAULT: u8 = 0;
const STV_HIDDEN: u8 = 2;
pub const R_X86_64_PC32: u32 = 2;
const R_X86_64_PC64: u32 = 24;

/// Section numbers; those of `.text` and `.rodata` are also their symbols' numbers.
pub const TEXT: u16 = 1;
pub const RODATA: u16 = 2;
const SYMTAB: u32 = 6;
const STRTAB: u32 = 7;
const SHSTRTAB: u16 = 8;
const FIRST_GLOBAL: u32 = 3;

/// Alignment of code and data: a cache line.
const ALIGN: u64 = 64;

struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    bytes: Vec<u8>,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

impl Section {
    fn new(name: &'static str, kind: u32, flags: u64, bytes: Vec<u8>) -> Section {
        Section { name, kind, flags, bytes, link: 0, info: 0, align: 1, entry: 0 }
    }

    /// Relocations of the section with this number.
    fn relocations(name: &'static str, of: u16, bytes: Vec<u8>) -> Section {
        let (link, info) = (SYMTAB, u32::from(of));
        Section { link, info, align: 8, entry: 24, ..Section::new(name, SHT_RELA, SHF_INFO_LINK, bytes) }
    }
}

/// Bytes of a relocation.
pub const RELOCATION: usize = 24;

/// Appends a relocation of the field at `at`: `addend` bytes into the section `target`, relative to the field.
pub fn relocation(to: &mut Vec<u8>, at: u64, kind: u32, target: u16, addend: i64) {
    to.extend_from_slice(&at.to_le_bytes());
    to.extend_from_slice(&(u64::from(target) << 32 | u64::from(kind)).to_le_bytes());
    to.extend_from_slice(&addend.to_le_bytes());
}

/// Symbols and their names.
struct Symbols {
    table: Vec<u8>,
    names: Vec<u8>,
}

impl Symbols {
    fn push(&mut self, name: &str, info: u8, visibility: u8, section: u16, value: u64, size: u64) {
        let at = if name.is_empty() { 0 } else { self.names.len() as u32 };
        self.table.extend_from_slice(&at.to_le_bytes());
        self.table.extend_from_slice(&[info, visibility]);
        self.table.extend_from_slice(&section.to_le_bytes());
        self.table.extend_from_slice(&value.to_le_bytes());
        self.table.extend_from_slice(&size.to_le_bytes());
        if at != 0 {
            self.names.extend_from_slice(name.as_bytes());
            self.names.push(0);
        }
    }
}

/// Relocations of what refers from code to data (the addresses of jump tables) and back (their entries).
fn references(compiled: &Compiled) -> (Vec<u8>, Vec<u8>) {
    let (mut text, mut rodata) = (Vec::new(), Vec::new());
    let mut tables = 0; // where the function's tables begin in the data
    for (start, function) in &compiled.functions {
        for reloc in &function.relocs {
            if let RelocTarget::Table(offset) = reloc.target {
                // Relative to the field's end.
                let addend = tables as i64 + i64::from(offset) - 4;
                relocation(&mut text, u64::from(*start) + u64::from(reloc.offset), R_X86_64_PC32, RODATA, addend);
            }
        }
        for (first, entries) in jump_tables(function) {
            for (n, &entry) in entries.iter().enumerate() {
                // Relative to the start of the entry's table.
                let addend = i64::from(*start) + i64::from(entry) + 4 * n as i64;
                relocation(&mut rodata, tables + 4 * (first + n) as u64, R_X86_64_PC32, TEXT, addend);
            }
        }
        tables += 4 * function.tables.len() as u64;
    }
    (text, rodata)
}

/// The object file and header of a compiled module, named after the module.
pub fn object(compiled: &Compiled) -> Result<Object> {
    if compiled.manifest.imports.iter().any(|import| !matches!(import.kind, ExternType::Function(_))) {
        let error =
            CompileError::new(ErrorKind::Unsupported, "an object file of a module that imports a memory, table or global");
        return Err(error.hint("C programs can provide functions only; let the module define and export what they share"));
    }
    let prefix = prefix(&compiled.manifest);
    let (text_references, rodata_references) = references(compiled);
    let manifest = compiled.manifest.encode();
    let Compiled { claims, code, data, .. } = compiled;
    let file = assemble(&prefix, &Parts { manifest: &manifest, claims, code, data, text_references, rodata_references })?;
    Ok(Object { file, header: header(&prefix, &compiled.manifest) })
}

/// What the names of a module's symbols begin with.
pub fn prefix(manifest: &Manifest) -> String {
    format!("vwasm_{}", identifier(&manifest.name, "module"))
}

/// What an object file consists of.
pub struct Parts<'a> {
    pub manifest: &'a [u8],
    pub claims: &'a [u8],
    pub code: &'a [u8],
    pub data: &'a [u8],
    /// Relocations of the code, and of the data (without the descriptor's).
    pub text_references: Vec<u8>,
    pub rodata_references: Vec<u8>,
}

/// Of the descriptor, and of the lengths of the parts before it.
pub const DESCRIPTOR: usize = 104;
pub const LENGTHS: usize = 32;

/// What tells a module from all others, wherever in memory it is.
pub fn identity(parts: &Parts<'_>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [parts.manifest, parts.claims, parts.code, parts.data] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The object file of these parts: the same parts make the same bytes.
pub fn assemble(prefix: &str, parts: &Parts<'_>) -> Result<Vec<u8>> {
    let lengths = [parts.manifest, parts.claims, parts.code, parts.data].map(|part| part.len() as u64);
    if lengths.iter().sum::<u64>() >= 1 << 31 {
        return Err(CompileError::new(ErrorKind::Limit, "an object file of 2 GiB or more"));
    }
    let [manifest_length, claims_length, code_length, data_length] = lengths;
    let mut rodata_references = parts.rodata_references.clone();

    // Read-only data: the data first, because jump tables are aligned from its start.
    let manifest_at = data_length;
    let claims_at = manifest_at + manifest_length;
    let sizes_at = round_up(claims_at + claims_length, 8);
    let descriptor = sizes_at + 8 * lengths.len() as u64;
    let mut rodata = parts.data.to_vec();
    rodata.extend_from_slice(parts.manifest);
    rodata.extend_from_slice(parts.claims);
    rodata.resize(sizes_at as usize, 0);
    lengths.iter().for_each(|length| rodata.extend_from_slice(&length.to_le_bytes()));
    rodata.extend_from_slice(&LINKED_MAGIC);
    let from_descriptor = |at: u64| at.wrapping_sub(descriptor);
    let code_field = 40;
    relocation(&mut rodata_references, descriptor + code_field, R_X86_64_PC64, TEXT, code_field as i64);
    let (manifest_place, claims_place) = (from_descriptor(manifest_at), from_descriptor(claims_at));
    let fields =
        [manifest_place, manifest_length, claims_place, claims_length, 0, code_length, from_descriptor(0), data_length];
    fields.iter().for_each(|field| rodata.extend_from_slice(&field.to_le_bytes()));
    rodata.extend_from_slice(&identity(parts));
    let descriptor_size = rodata.len() as u64 - descriptor;

    let mut symbols = Symbols { table: vec![0; 24], names: vec![0] };
    symbols.push("", STB_LOCAL_STT_SECTION, STV_DEFAULT, TEXT, 0, 0);
    symbols.push("", STB_LOCAL_STT_SECTION, STV_DEFAULT, RODATA, 0, 0);
    symbols.push(&format!("{prefix}_code"), STB_GLOBAL_STT_NOTYPE, STV_HIDDEN, TEXT, 0, code_length);
    for (suffix, value, size) in [
        ("data", 0, data_length),
        ("manifest", manifest_at, manifest_length),
        ("claims", claims_at, claims_length),
        ("manifest_size", sizes_at, 8),
        ("claims_size", sizes_at + 8, 8),
        ("code_size", sizes_at + 16, 8),
        ("data_size", sizes_at + 24, 8),
        ("module", descriptor, descriptor_size),
    ] {
        symbols.push(&format!("{prefix}_{suffix}"), STB_GLOBAL_STT_OBJECT, STV_HIDDEN, RODATA, value, size);
    }

    let (code, executable) = (parts.code.to_vec(), SHF_ALLOC | SHF_EXECINSTR);
    let symbol_table = Section {
        link: STRTAB,
        info: FIRST_GLOBAL,
        align: 8,
        entry: 24,
        ..Section::new(".symtab", SHT_SYMTAB, 0, symbols.table)
    };
    Ok(elf(vec![
        Section { align: 0, ..Section::new("", 0, 0, Vec::new()) },
        Section { align: ALIGN, ..Section::new(".text", SHT_PROGBITS, executable, code) },
        Section { align: ALIGN, ..Section::new(".rodata", SHT_PROGBITS, SHF_ALLOC, rodata) },
        Section::relocations(".rela.text", TEXT, parts.text_references.clone()),
        Section::relocations(".rela.rodata", RODATA, rodata_references),
        Section::new(".note.GNU-stack", SHT_PROGBITS, 0, Vec::new()),
        symbol_table,
        Section::new(".strtab", SHT_STRTAB, 0, symbols.names),
        Section::new(".shstrtab", SHT_STRTAB, 0, Vec::new()),
    ]))
}

/// The relocatable file with these sections, the last of which gets their names.
fn elf(mut sections: Vec<Section>) -> Vec<u8> {
    let mut names = vec![0];
    let mut name_offsets = Vec::new();
    for section in &sections {
        name_offsets.push(if section.name.is_empty() { 0 } else { names.len() as u32 });
        if !section.name.is_empty() {
            names.extend_from_slice(section.name.as_bytes());
            names.push(0);
        }
    }
    sections[usize::from(SHSTRTAB)].bytes = names;

    const HEADER: u64 = 64;
    let mut end = HEADER;
    let mut offsets = Vec::new();
    for section in &sections {
        let offset = round_up(end, section.align.max(1));
        offsets.push(offset);
        end = offset + section.bytes.len() as u64;
    }
    let table = round_up(end, 8);
    let mut file = Vec::with_capacity(table as usize + 64 * sections.len());
    file.extend_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend_from_slice(&1u16.to_le_bytes()); // ET_REL
    file.extend_from_slice(&62u16.to_le_bytes()); // EM_X86_64
    file.extend_from_slice(&1u32.to_le_bytes());
    // No entry, no program headers.
    [0, 0, table].iter().for_each(|word: &u64| file.extend_from_slice(&word.to_le_bytes()));
    file.extend_from_slice(&0u32.to_le_bytes());
    for half in [64, 0, 0, 64, sections.len() as u16, SHSTRTAB] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    for (section, &offset) in sections.iter().zip(&offsets) {
        file.resize(offset as usize, 0);
        file.extend_from_slice(&section.bytes);
    }
    file.resize(table as usize, 0);
    for (number, ((section, offset), name)) in sections.iter().zip(offsets).zip(name_offsets).enumerate() {
        let offset = if number == 0 { 0 } else { offset };
        file.extend_from_slice(&name.to_le_bytes());
        file.extend_from_slice(&section.kind.to_le_bytes());
        for word in [section.flags, 0, offset, section.bytes.len() as u64] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&section.link.to_le_bytes());
        file.extend_from_slice(&section.info.to_le_bytes());
        file.extend_from_slice(&section.align.to_le_bytes());
        file.extend_from_slice(&section.entry.to_le_bytes());
    }
    file
}
