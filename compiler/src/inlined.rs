//! Calls that the compiler of the source inlined, for backtraces, from the module's DWARF.
//!
//! Takes `.debug_info` and what it refers to; gives for places in the code the innermost of the inlined calls around them, each
//! with the callee's name, the call's place, and the call around it. As in `lines`, nothing is believed: what cannot be read
//! tells nothing, no attribute is read twice, and no amount of it takes more than the limits below.

use crate::lines::{Sections, text_at, text_of};
use gimli::constants as dw;
use gimli::{AttributeValue, DebugAbbrev, DebugAddr, DebugAddrBase, DebugInfo, DebugRanges, DebugRngLists};
use gimli::{DebugRngListsBase, DebugStrOffsets, DebugStrOffsetsBase, DebuggingInformationEntry, EndianSlice};
use gimli::{LittleEndian, RangeLists, RangeListsOffset, UnitHeader};
use rustc_hash::FxHashMap;
use std::rc::Rc;

type Reader<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'abbrev, 'unit, 'a> = DebuggingInformationEntry<'abbrev, 'unit, Reader<'a>>;

/// Entries of all units, ranges of inlined calls as they are read, and places in them, nested ones counted each time.
const MOST_ENTRIES: usize = 1 << 22;
const MOST_RANGES: usize = 1 << 21;
const MOST_PLACES: usize = 1 << 26;
/// Attributes of an entry.
const MOST_ATTRIBUTES: usize = 64;
/// Names in a path, and references from a function to where its name is.
const MOST_NAMES: usize = 16;
const MOST_REFERENCES: usize = 4;

/// An inlined call.
pub struct Call {
    /// Where the callee is described.
    callee: usize,
    /// The line number program that has the call's file, and the file's number in it.
    pub program: usize,
    pub file: u64,
    pub line: u32,
    /// The call around this one.
    pub outer: Option<u32>,
}

struct Range {
    begin: u32,
    end: u32,
    depth: u32,
    call: u32,
}

/// A name and the number of the path around it, plus one.
struct Path<'a> {
    name: &'a [u8],
    outer: u32,
}

/// A function: where it is described, its path's number plus one, and where else it is described.
struct Function {
    at: usize,
    path: u32,
    elsewhere: usize,
}

#[derive(Default)]
pub struct Calls<'a> {
    pub calls: Vec<Call>,
    ranges: Vec<Range>,
    paths: Vec<Path<'a>>,
    functions: Vec<Function>,
    /// Ranges that may still be read.
    left: usize,
}

/// What the first entry of a unit says of all others.
#[derive(Clone, Copy, Default)]
struct Bases {
    address: u64,
    program: usize,
    strings: usize,
    addresses: usize,
    ranges: usize,
}

struct Unit<'s, 'a> {
    sections: &'s Sections<'a>,
    header: UnitHeader<Reader<'a>>,
    bases: Bases,
}

fn slice(bytes: &[u8]) -> Reader<'_> {
    EndianSlice::new(bytes, LittleEndian)
}

/// Reads a table of abbreviations from some bytes, of which it leaves the rest; none if it does not end, or an entry has too many
/// attributes.
fn skip_abbreviations(rest: &mut &[u8]) -> Option<()> {
    fn number(rest: &mut &[u8]) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, after) = rest.split_first()?;
            *rest = after;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
    while number(rest)? != 0 {
        number(rest)?;
        *rest = rest.get(1..)?;
        let mut count = 0;
        loop {
            let (name, form) = (number(rest)?, number(rest)?);
            if form == u64::from(dw::DW_FORM_implicit_const.0) {
                number(rest)?;
            }
            if (name, form) == (0, 0) {
                break;
            }
            count += 1;
            if count > MOST_ATTRIBUTES {
                return None;
            }
        }
    }
    Some(())
}

impl<'a> Unit<'_, 'a> {
    fn string(&self, value: &AttributeValue<Reader<'a>>) -> Option<&'a [u8]> {
        match *value {
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let offsets = DebugStrOffsets::from(slice(self.sections.string_offsets));
                let at =
                    offsets.get_str_offset(self.header.format(), DebugStrOffsetsBase(self.bases.strings), index).ok()?;
                text_at(self.sections.strings, at.0)
            }
            _ => text_of(self.sections, value),
        }
    }

    fn addresses(&self) -> (DebugAddr<Reader<'a>>, DebugAddrBase<usize>) {
        (DebugAddr::from(slice(self.sections.addresses)), DebugAddrBase(self.bases.addresses))
    }

    fn address(&self, value: &AttributeValue<Reader<'a>>) -> Option<u64> {
        match *value {
            AttributeValue::Addr(address) => Some(address),
            AttributeValue::DebugAddrIndex(index) => {
                let (addresses, base) = self.addresses();
                addresses.get_address(self.header.address_size(), base, index).ok()
            }
            _ => None,
        }
    }

    /// Where another entry is described.
    fn reference(&self, value: &AttributeValue<Reader<'a>>) -> Option<usize> {
        match *value {
            AttributeValue::UnitRef(at) => Some(at.to_debug_info_offset(&self.header)?.0),
            AttributeValue::DebugInfoRef(at) => Some(at.0),
            _ => None,
        }
    }

    /// Reads the first entry.
    fn begin(&mut self, entry: &Entry<'_, '_, 'a>) {
        let mut attributes = entry.attrs();
        let mut low = None;
        while let Ok(Some(attribute)) = attributes.next() {
            match (attribute.name(), attribute.value()) {
                (dw::DW_AT_low_pc, value) => low = Some(value),
                (dw::DW_AT_stmt_list, AttributeValue::DebugLineRef(at)) => self.bases.program = at.0,
                (dw::DW_AT_str_offsets_base, AttributeValue::DebugStrOffsetsBase(base)) => self.bases.strings = base.0,
                (dw::DW_AT_addr_base, AttributeValue::DebugAddrBase(base)) => self.bases.addresses = base.0,
                (dw::DW_AT_rnglists_base, AttributeValue::DebugRngListsBase(base)) => self.bases.ranges = base.0,
                _ => {}
            }
        }
        self.bases.address = low.and_then(|value| self.address(&value)).unwrap_or(0);
    }
}

/// What an entry says, as far as it matters here.
#[derive(Default)]
struct Described<'a> {
    name: Option<&'a [u8]>,
    elsewhere: Option<usize>,
    low: Option<u64>,
    high: Option<AttributeValue<Reader<'a>>>,
    ranges: Option<AttributeValue<Reader<'a>>>,
    file: u64,
    line: u32,
}

impl<'a> Described<'a> {
    fn read(unit: &Unit<'_, 'a>, entry: &Entry<'_, '_, 'a>) -> Described<'a> {
        let mut found = Described::default();
        let mut attributes = entry.attrs();
        while let Ok(Some(attribute)) = attributes.next() {
            let value = attribute.value();
            match attribute.name() {
                dw::DW_AT_name => found.name = unit.string(&value),
                dw::DW_AT_abstract_origin | dw::DW_AT_specification => found.elsewhere = unit.reference(&value),
                dw::DW_AT_low_pc => found.low = unit.address(&value),
                dw::DW_AT_high_pc => found.high = Some(value),
                dw::DW_AT_ranges => found.ranges = Some(value),
                dw::DW_AT_call_line => found.line = value.udata_value().map_or(0, |line| line.min(u32::MAX.into()) as u32),
                dw::DW_AT_call_file => {
                    found.file = match value {
                        AttributeValue::FileIndex(file) => file,
                        value => value.udata_value().unwrap_or(0),
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Calls with each range, as long as there are some left to read.
    fn each_range(&self, unit: &Unit<'_, 'a>, left: &mut usize, mut action: impl FnMut(u64, u64)) -> Option<()> {
        if let Some(ranges) = &self.ranges {
            let lists = RangeLists::new(
                DebugRanges::from(slice(unit.sections.ranges)),
                DebugRngLists::from(slice(unit.sections.range_lists)),
            );
            let encoding = unit.header.encoding();
            let at = match *ranges {
                AttributeValue::RangeListsRef(at) => RangeListsOffset(at.0),
                AttributeValue::DebugRngListsIndex(index) => {
                    lists.get_offset(encoding, DebugRngListsBase(unit.bases.ranges), index).ok()?
                }
                _ => return None,
            };
            let (addresses, base) = unit.addresses();
            let mut ranges = lists.ranges(at, encoding, unit.bases.address, &addresses, base).ok()?;
            while let Ok(Some(raw)) = ranges.next_raw() {
                *left = left.checked_sub(1)?;
                if let Ok(Some(range)) = ranges.convert_raw(raw) {
                    action(range.begin, range.end);
                }
            }
        } else if let (Some(low), Some(high)) = (self.low, &self.high) {
            let end = unit.address(high).or_else(|| low.checked_add(high.udata_value()?))?;
            *left = left.checked_sub(1)?;
            action(low, end);
        }
        Some(())
    }
}

/// What is around an entry: how deep it is, the innermost inlined call and the path, each a number plus one.
#[derive(Clone, Copy, Default)]
struct Scope {
    depth: isize,
    call: u32,
    path: u32,
}

impl<'a> Calls<'a> {
    /// As many units as can be read.
    pub fn read(sections: &Sections<'a>) -> Calls<'a> {
        let mut found = Calls { left: MOST_RANGES, ..Calls::default() };
        let info = DebugInfo::from(slice(sections.info));
        let mut units = info.units();
        let mut tables = FxHashMap::default();
        // Tables may be shared, or overlap.
        let mut left = 2 * sections.abbreviations.len();
        let mut entries = MOST_ENTRIES;
        while let Ok(Some(header)) = units.next() {
            let at = header.debug_abbrev_offset();
            let table = tables.entry(at.0).or_insert_with(|| {
                let bytes = sections.abbreviations.get(at.0..)?;
                let bytes = &bytes[..bytes.len().min(left)];
                let mut rest = bytes;
                let whole = skip_abbreviations(&mut rest);
                let length = bytes.len() - rest.len();
                left -= length;
                whole?;
                DebugAbbrev::new(&sections.abbreviations[..at.0 + length], LittleEndian).abbreviations(at).ok().map(Rc::new)
            });
            let Some(table) = table.clone() else { continue };
            found.unit(&mut Unit { sections, header, bases: Bases::default() }, &table, &mut entries);
            if entries == 0 {
                break;
            }
        }
        found
    }

    fn unit(&mut self, unit: &mut Unit<'_, 'a>, table: &gimli::Abbreviations, entries: &mut usize) {
        let header = unit.header;
        let mut cursor = header.entries(table);
        let mut scopes: Vec<Scope> = Vec::new();
        let mut depth = 0;
        let mut first = true;
        while let Ok(Some((further, entry))) = cursor.next_dfs() {
            *entries = entries.saturating_sub(1);
            if *entries == 0 {
                return;
            }
            if std::mem::take(&mut first) {
                unit.begin(entry);
                continue;
            }
            depth += further;
            while scopes.last().is_some_and(|scope| scope.depth >= depth) {
                scopes.pop();
            }
            let around = scopes.last().copied().unwrap_or_default();
            let inside = match entry.tag() {
                dw::DW_TAG_namespace
                | dw::DW_TAG_module
                | dw::DW_TAG_class_type
                | dw::DW_TAG_structure_type
                | dw::DW_TAG_union_type
                | dw::DW_TAG_enumeration_type => {
                    let path = self.path(Described::read(unit, entry).name, around.path);
                    Scope { path, ..around }
                }
                dw::DW_TAG_subprogram => {
                    let described = Described::read(unit, entry);
                    let path = self.path(described.name, around.path);
                    if let Some(at) = entry.offset().to_debug_info_offset(&header) {
                        let path = if described.name.is_some() { path } else { 0 };
                        self.functions.push(Function {
                            at: at.0,
                            path,
                            elsewhere: described.elsewhere.unwrap_or(usize::MAX),
                        });
                    }
                    Scope { path, call: 0, ..around }
                }
                dw::DW_TAG_inlined_subroutine => {
                    let call = self.call(unit, &Described::read(unit, entry), around.call, depth);
                    Scope { call, ..around }
                }
                _ => continue,
            };
            scopes.push(Scope { depth, ..inside });
        }
    }

    /// A path with one name more, if there is one.
    fn path(&mut self, name: Option<&'a [u8]>, outer: u32) -> u32 {
        let Some(name) = name else { return outer };
        self.paths.push(Path { name, outer });
        self.paths.len() as u32
    }

    /// Notes a call, and the ranges it was inlined in; gives its number plus one.
    fn call(&mut self, unit: &Unit<'_, 'a>, described: &Described<'a>, outer: u32, depth: isize) -> u32 {
        self.calls.push(Call {
            callee: described.elsewhere.unwrap_or(usize::MAX),
            program: unit.bases.program,
            file: described.file,
            line: described.line,
            outer: outer.checked_sub(1),
        });
        let call = self.calls.len() as u32 - 1;
        let depth = depth.clamp(0, 1 << 30) as u32;
        let Calls { ranges, left, .. } = self;
        described.each_range(unit, left, |begin, end| {
            if let (Ok(begin), Ok(end)) = (u32::try_from(begin), u32::try_from(end)) {
                // What a linker has removed begins at 0 or 1.
                if 1 < begin && begin < end {
                    ranges.push(Range { begin, end, depth, call });
                }
            }
        });
        call + 1
    }

    /// The innermost call around each address; the addresses are in order.
    pub fn around(&mut self, addresses: &[u32]) -> Vec<Option<u32>> {
        let mut found = vec![None; addresses.len()];
        // The innermost ones last: they cover those around them.
        self.ranges.sort_by_key(|range| range.depth);
        let mut left = MOST_PLACES;
        for range in &self.ranges {
            let place = |address: u32| addresses.partition_point(|found| *found < address);
            let places = place(range.begin)..place(range.end);
            left = left.saturating_sub(places.len());
            if left == 0 {
                break;
            }
            found[places].fill(Some(range.call));
        }
        found
    }

    /// What the callee of a call is called, with the names of what it is part of.
    pub fn name(&self, call: &Call) -> Option<String> {
        let mut at = call.callee;
        for _ in 0..MOST_REFERENCES {
            let function = self.functions.binary_search_by_key(&at, |function| function.at).ok()?;
            let function = &self.functions[function];
            if function.path != 0 {
                let mut names = Vec::new();
                let mut path = function.path;
                while path != 0 && names.len() < MOST_NAMES {
                    let Path { name, outer } = self.paths[path as usize - 1];
                    names.push(String::from_utf8_lossy(name));
                    path = outer;
                }
                names.reverse();
                return Some(names.join("::"));
            }
            at = function.elsewhere;
        }
        None
    }
}
