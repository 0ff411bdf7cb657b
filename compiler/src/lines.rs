//! Files and lines for backtraces, from the module's DWARF.
//!
//! Takes the line number programs of `.debug_line` and the places in the module that backtraces speak of; gives a table of
//! the line of each. Nothing of it is believed: what cannot be read gives no lines, and no amount of it takes more than the
//! limits below.
//!
//! Programs are read one after another, without the units that refer to them; so names that are relative to a unit's
//! directory stay as they are in DWARF 4 and earlier. Of functions that the compiler of the source inlined the calls around each
//! place come from `inlined`. Addresses in them are offsets in the contents of the code section.

use crate::inlined::Calls;
use gimli::{DebugLine, DebugLineOffset, EndianSlice, FileEntry, LineProgramHeader, LittleEndian};
use rustc_hash::FxHashMap;
use vwasm_runtime::manifest::record;

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// The sections that lines are made of; empty where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sections<'a> {
    pub line: &'a [u8],
    pub line_strings: &'a [u8],
    pub strings: &'a [u8],
    pub info: &'a [u8],
    pub abbreviations: &'a [u8],
    pub string_offsets: &'a [u8],
    pub addresses: &'a [u8],
    pub ranges: &'a [u8],
    pub range_lists: &'a [u8],
    /// Where the code section's contents begin in the module.
    pub code: u32,
}

/// The table: records of offset in the module, name (start and length in the text behind all records), line, inlined call;
/// line 0 says that none is known. Then records of inlined calls, as the manifest has them.
#[derive(Debug, Default)]
pub struct Lines {
    pub records: Vec<u8>,
    pub count: u32,
    pub calls: u32,
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
    /// Where each begins.
    offsets: Vec<usize>,
    rows: Vec<Row>,
}

impl<'a> Programs<'a> {
    /// As many programs as can be read.
    fn read(sections: Sections<'a>) -> Programs<'a> {
        let mut programs = Programs { sections, headers: Vec::new(), offsets: Vec::new(), rows: Vec::new() };
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
        self.offsets.push(offset);
        let next = header.unit_length().checked_add(length_field)?;
        offset.checked_add(next).filter(|next| *next > offset)
    }

    fn string(&self, value: gimli::AttributeValue<Reader<'a>>) -> Option<String> {
        text_of(&self.sections, &value).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    fn name(&self, program: u32, file: u64) -> Option<String> {
        let header = self.headers.get(program as usize)?;
        let file: &FileEntry<Reader<'a>> = header.file(file)?;
        let name = self.string(file.path_name())?;
        let directory = file.directory(header).and_then(|directory| self.string(directory));
        // Directories are relative to that of the unit, which is number 0 and has a name since DWARF 5.
        let unit = header.directory(0).and_then(|directory| self.string(directory));
        Some(directory.iter().chain(unit.iter()).fold(name, |name, directory| within(directory, name)))
    }
}

/// Text in a section of strings, which end with a NUL; no more of it than is kept of a name.
pub(crate) fn text_at(section: &[u8], at: usize) -> Option<&[u8]> {
    let bytes = section.get(at..)?;
    let bytes = &bytes[..bytes.len().min(MOST_NAME)];
    Some(bytes.split(|byte| *byte == 0).next().unwrap_or(bytes))
}

/// The text that is an attribute's value.
pub(crate) fn text_of<'a>(sections: &Sections<'a>, value: &gimli::AttributeValue<Reader<'a>>) -> Option<&'a [u8]> {
    match *value {
        gimli::AttributeValue::String(text) => Some(&text.slice()[..text.slice().len().min(MOST_NAME)]),
        gimli::AttributeValue::DebugLineStrRef(at) => text_at(sections.line_strings, at.0),
        gimli::AttributeValue::DebugStrRef(at) => text_at(sections.strings, at.0),
        _ => None,
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

/// Names, each kept once.
#[derive(Default)]
struct Names {
    text: String,
    known: FxHashMap<String, (u32, u32)>,
}

impl Names {
    /// Where a name is, if there is room for it.
    fn place(&mut self, name: String) -> Option<(u32, u32)> {
        if let Some(&known) = self.known.get(&name) {
            return Some(known);
        }
        let place = (self.text.len() as u32, name.len() as u32);
        if self.text.len() + name.len() > MOST_NAMES {
            return None;
        }
        self.text.push_str(&name);
        self.known.insert(name, place);
        Some(place)
    }
}

/// The inlined calls that are spoken of.
#[derive(Default)]
struct Told {
    records: Vec<u8>,
    /// Number in the table, plus one, of calls by their number.
    numbers: FxHashMap<u32, u32>,
}

impl Told {
    /// The record's number, plus one, of a call; those of the calls around it come before.
    fn number(&mut self, call: u32, calls: &Calls<'_>, mut place: impl FnMut(u32) -> [u32; 5]) -> u32 {
        const DEEPEST: usize = 64;
        let mut chain = Vec::new();
        let mut next = Some(call);
        while let Some(call) = next.filter(|call| chain.len() < DEEPEST && !self.numbers.contains_key(call)) {
            chain.push(call);
            next = calls.calls[call as usize].outer;
        }
        let mut outer = next.and_then(|call| self.numbers.get(&call)).copied().unwrap_or(0);
        for call in chain.into_iter().rev() {
            place(call).iter().chain([&outer]).for_each(|field| self.records.extend_from_slice(&field.to_le_bytes()));
            outer = (self.records.len() / 24) as u32;
            self.numbers.insert(call, outer);
        }
        outer
    }
}

/// The lines of the places that the code's sites come from.
pub fn lines(sections: Sections<'_>, sites: &[u8]) -> Lines {
    if sections.line.is_empty() {
        return Lines::default();
    }
    let mut places: Vec<u32> = (0..sites.len() / 12).filter_map(|site| record(sites, 3, site, 2)).collect();
    places.retain(|place| *place != u32::MAX && *place >= sections.code);
    places.sort_unstable();
    places.dedup();
    let programs = Programs::read(sections);
    let mut calls = Calls::read(&sections);
    let addresses: Vec<u32> = places.iter().map(|place| place - sections.code).collect();
    let around = calls.around(&addresses);
    let mut names = Names::default();
    let mut files: FxHashMap<(u32, u64), Option<(u32, u32)>> = FxHashMap::default();
    let mut told = Told::default();
    let mut lines = Lines::default();
    let (mut at, mut now, mut last) = (0, None, [0; 4]);
    for ((place, address), call) in places.into_iter().zip(addresses).zip(around) {
        while let Some(row) = programs.rows.get(at).filter(|row| row.address <= address) {
            now = row.begins.then_some(*row);
            at += 1;
        }
        let mut file = |names: &mut Names, program: u32, file: u64| {
            *files.entry((program, file)).or_insert_with(|| names.place(programs.name(program, file)?))
        };
        let line = now.filter(|row| row.line != 0).and_then(|row| {
            let (start, length) = file(&mut names, row.program, row.file.into())?;
            Some([start, length, row.line])
        });
        let inlined = call.map_or(0, |call| {
            told.number(call, &calls, |call| {
                let call = &calls.calls[call as usize];
                let name = calls.name(call).map(|name| shortened(&name)).and_then(|name| names.place(name));
                let program = programs.offsets.binary_search(&call.program).ok();
                let file =
                    program.and_then(|program| file(&mut names, program as u32, call.file)).filter(|_| call.line != 0);
                let ((name, name_length), (start, length)) = (name.unwrap_or_default(), file.unwrap_or_default());
                [name, name_length, start, length, file.map_or(0, |_| call.line)]
            })
        });
        // A record holds until the next one.
        let [start, length, line] = line.unwrap_or_default();
        let here = [start, length, line, inlined];
        if here != last {
            [place].iter().chain(&here).for_each(|field| lines.records.extend_from_slice(&field.to_le_bytes()));
            lines.count += 1;
            last = here;
        }
    }
    lines.calls = (told.records.len() / 24) as u32;
    lines.records.extend(told.records);
    lines.records.extend_from_slice(names.text.as_bytes());
    lines
}

/// A name of the length that is kept at most.
fn shortened(name: &str) -> String {
    let end = (0..=name.len().min(MOST_NAME)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    name[..end].to_string()
}
