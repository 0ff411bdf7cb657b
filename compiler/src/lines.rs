//! Files and lines for backtraces, from the module's DWARF.
//!
//! Takes the line number programs of `.debug_line` and the places in the module that backtraces speak of; gives a table of
//! the line of each. Nothing of it is believed: what cannot be read gives no lines, and no amount of it takes more than the
//! limits below.
//!
//! Programs are read one after another, without the units that refer to them; so names that are relative to a unit's
//! directory stay as they are in DWARF 4 and earlier, and of functions that the compiler of the source inlined only the
//! innermost place is told. Addresses in them are offsets in the contents of the code section.

use gimli::{DebugLine, DebugLineOffset, DebugLineStr, DebugStr, EndianSlice, FileEntry, LineProgramHeader, LittleEndian};
use rustc_hash::FxHashMap;
use vwasm_runtime::manifest::record;

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// The sections that lines are made of; empty where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sections<'a> {
    pub line: &'a [u8],
    pub line_strings: &'a [u8],
    pub strings: &'a [u8],
    /// Where the code section's contents begin in the module.
    pub code: u32,
}

/// The table: records of offset in the module, name (start and length in the text behind the records), line; line 0 says
/// that none is known.
#[derive(Debug, Default)]
pub struct Lines {
    pub records: Vec<u8>,
    pub count: u32,
}

/// Rows of all programs together.
const MOST_ROWS: usize = 1 << 24;
/// Bytes of a name, and of all names together.
const MOST_NAME: usize = 1024;
const MOST_NAMES: usize = 1 << 24;

/// A row, or the end of a sequence of rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    address: u32,
    /// After the end of another sequence at the same address.
    begins: bool,
    program: u32,
    file: u32,
    line: u32,
}

struct Programs<'a> {
    sections: Sections<'a>,
    headers: Vec<LineProgramHeader<Reader<'a>>>,
    rows: Vec<Row>,
}

impl<'a> Programs<'a> {
    /// As many programs as can be read.
    fn read(sections: Sections<'a>) -> Programs<'a> {
        let mut programs = Programs { sections, headers: Vec::new(), rows: Vec::new() };
        let mut offset = 0;
        while offset < sections.line.len() && programs.rows.len() < MOST_ROWS {
            let Some(next) = programs.program(offset) else { break };
            offset = next;
        }
        // Stable: of several rows for one address the last counts.
        programs.rows.sort_by_key(|row| (row.address, row.begins));
        programs
    }

    /// Reads the program at an offset; gives where the next one begins.
    fn program(&mut self, offset: usize) -> Option<usize> {
        let section = DebugLine::new(self.sections.line, LittleEndian);
        let program = section.program(DebugLineOffset(offset), 4, None, None).ok()?;
        let header = program.header().clone();
        let length_field = if header.format() == gimli::Format::Dwarf64 { 12 } else { 4 };
        let number = self.headers.len() as u32;
        let mut rows = program.rows();
        let mut first = self.rows.len();
        // A row that cannot be read ends its program, not the others.
        while let Ok(Some((_, row))) = rows.next_row() {
            let address = u32::try_from(row.address()).unwrap_or(u32::MAX);
            self.rows.push(Row {
                address,
                begins: !row.end_sequence(),
                program: number,
                file: u32::try_from(row.file_index()).unwrap_or(u32::MAX),
                line: row.line().map_or(0, |line| u32::try_from(line.get()).unwrap_or(0)),
            });
            if row.end_sequence() {
                // What a linker has removed begins at 0, or at an address that is none.
                if matches!(self.rows[first].address, 0 | u32::MAX) {
                    self.rows.truncate(first);
                }
                first = self.rows.len();
            }
            if self.rows.len() >= MOST_ROWS {
                break;
            }
        }
        // A sequence without an end says nothing.
        self.rows.truncate(first);
        self.headers.push(header.clone());
        let next = header.unit_length().checked_add(length_field)?;
        offset.checked_add(next).filter(|next| *next > offset)
    }

    fn string(&self, value: gimli::AttributeValue<Reader<'a>>) -> Option<String> {
        let bytes = match value {
            gimli::AttributeValue::String(bytes) => bytes,
            gimli::AttributeValue::DebugLineStrRef(at) => {
                DebugLineStr::from(Reader::new(self.sections.line_strings, LittleEndian)).get_str(at).ok()?
            }
            gimli::AttributeValue::DebugStrRef(at) => DebugStr::new(self.sections.strings, LittleEndian).get_str(at).ok()?,
            _ => return None,
        };
        let bytes = bytes.slice();
        Some(String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_NAME)]).into_owned())
    }

    fn name(&self, row: Row) -> Option<String> {
        let header = self.headers.get(row.program as usize)?;
        let file: &FileEntry<Reader<'a>> = header.file(row.file.into())?;
        let name = self.string(file.path_name())?;
        let directory = file.directory(header).and_then(|directory| self.string(directory));
        // Directories are relative to that of the unit, which is number 0 and has a name since DWARF 5.
        let unit = header.directory(0).and_then(|directory| self.string(directory));
        Some(directory.iter().chain(unit.iter()).fold(name, |name, directory| within(directory, name)))
    }
}

/// A name as seen from outside a directory, unless it is absolute.
fn within(directory: &str, name: String) -> String {
    if directory.is_empty() || name.starts_with('/') {
        name
    } else {
        format!("{directory}/{}", name.trim_start_matches("./"))
    }
}

/// The lines of the places that the code's sites come from.
pub fn lines(sections: Sections<'_>, sites: &[u8]) -> Lines {
    if sections.line.is_empty() {
        return Lines::default();
    }
    let mut places: Vec<u32> = (0..sites.len() / 12).filter_map(|site| record(sites, 3, site, 2)).collect();
    places.sort_unstable();
    places.dedup();
    let programs = Programs::read(sections);
    let mut names: FxHashMap<(u32, u32), Option<(u32, u32)>> = FxHashMap::default();
    let mut same: FxHashMap<String, (u32, u32)> = FxHashMap::default();
    let mut text = String::new();
    let mut lines = Lines::default();
    let (mut at, mut now, mut last) = (0, None, [0; 3]);
    for place in places {
        let Some(address) = place.checked_sub(sections.code).filter(|_| place != u32::MAX) else { continue };
        while let Some(row) = programs.rows.get(at).filter(|row| row.address <= address) {
            now = row.begins.then_some(*row);
            at += 1;
        }
        let line = now.filter(|row| row.line != 0).and_then(|row| {
            let name = *names.entry((row.program, row.file)).or_insert_with(|| {
                let name = programs.name(row)?;
                let known = same.get(&name).copied();
                known.or_else(|| {
                    let place = (text.len() as u32, name.len() as u32);
                    if text.len() + name.len() > MOST_NAMES {
                        return None;
                    }
                    text.push_str(&name);
                    same.insert(name, place);
                    Some(place)
                })
            });
            name.map(|(start, length)| [start, length, row.line])
        });
        // A record holds until the next one.
        let line = line.unwrap_or_default();
        if line != last {
            [place].iter().chain(&line).for_each(|field| lines.records.extend_from_slice(&field.to_le_bytes()));
            lines.count += 1;
            last = line;
        }
    }
    lines.records.extend_from_slice(text.as_bytes());
    lines
}
