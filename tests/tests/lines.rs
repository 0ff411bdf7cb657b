//! Files and lines in backtraces: from DWARF that gimli writes, in all versions and formats; and from hostile DWARF, which must
//! give no lines rather than trouble.

use gimli::write::{Address, DwarfUnit, EndianVec, LineProgram, LineString, Sections};
use gimli::{Encoding, Format, LittleEndian, SectionId};
use std::process::Command;
use std::time::{Duration, Instant};
use vwasm::lines;
use vwasm_runtime::manifest::{INLINED, LINE};
use vwasm_tests::random::Random;
use vwasm_tests::support::{Directory, compiled, executable, nothing, text};

const MODULE: &str = r#"(module $app (memory 1)
    (func $inner (param i32) (result i32)
      (if (result i32) (local.get 0) (then (i32.load (local.get 0))) (else (i32.const 0))))
    (func $middle (param i32) (result i32) (i32.add (call $inner (local.get 0)) (i32.const 1)))
    (func (export "_start") (drop (call $middle (i32.const -4)))))"#;

/// The module's DWARF: `rows` of address and line, in two files, one of them in a directory.
fn dwarf(version: u16, format: Format, code: u64, rows: &[(u32, u64)]) -> Vec<(&'static str, Vec<u8>)> {
    let encoding = Encoding { address_size: 4, format, version };
    let name = |text: &str| LineString::String(text.as_bytes().to_vec());
    let mut program = LineProgram::new(encoding, gimli::LineEncoding::default(), name("/build"), None, name("unit.c"), None);
    let directory = program.add_directory(name("/src/lib"));
    let files = [program.add_file(name("app.c"), directory, None), program.add_file(name("/abs/other.c"), directory, None)];
    for (number, &(offset, line)) in rows.iter().enumerate() {
        program.begin_sequence(Some(Address::Constant(u64::from(offset) - code)));
        program.row().file = files[number % 2];
        program.row().line = line;
        program.generate_row();
        program.end_sequence(1);
    }
    // What a linker removed: it is at 0 and would be everywhere.
    program.begin_sequence(Some(Address::Constant(0)));
    program.row().line = 999;
    program.generate_row();
    program.end_sequence(0x10_0000);
    let mut unit = DwarfUnit::new(encoding);
    unit.unit.line_program = program;
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    unit.write(&mut sections).unwrap();
    let mut found = Vec::new();
    for id in [SectionId::DebugLine, SectionId::DebugLineStr, SectionId::DebugStr] {
        let _ = sections.for_each(|section, data| {
            if section == id {
                found.push((section.name(), data.slice().to_vec()));
            }
            Ok::<(), ()>(())
        });
    }
    found
}

fn leb(mut value: usize, out: &mut Vec<u8>) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn with_sections(module: &[u8], sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = module.to_vec();
    for (name, data) in sections {
        let mut body = Vec::new();
        leb(name.len(), &mut body);
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(data);
        out.push(0);
        leb(body.len(), &mut out);
        out.extend_from_slice(&body);
    }
    out
}

fn trapped(directory: &Directory, name: &str, module: &[u8]) -> String {
    let output = Command::new(executable(directory, name, module, nothing())).output().unwrap();
    assert_eq!(output.status.code(), Some(134));
    text(&output.stderr)
}

/// Where the code section's contents begin.
fn code_start(module: &[u8]) -> u64 {
    let mut payloads = wasmparser::Parser::new(0).parse_all(module);
    let start = payloads.find_map(|payload| match payload.unwrap() {
        wasmparser::Payload::CodeSectionStart { unchecked_range, .. } => Some(unchecked_range.start),
        _ => None,
    });
    start.unwrap()
}

#[test]
fn shown_in_backtraces() {
    let directory = Directory::new("lines");
    let plain = wat::parse_str(MODULE).unwrap();
    let report = trapped(&directory, "plain", &plain);
    assert!(!report.contains("\n                 at "), "{report}");
    let offsets: Vec<u32> = report
        .lines()
        .filter_map(|line| line.split_once("0x").and_then(|(_, rest)| rest.split(' ').next()))
        .map(|digits| u32::from_str_radix(digits, 16).unwrap())
        .collect();
    assert_eq!(offsets.len(), 3, "{report}");
    // The middle one is not known.
    let rows = [(offsets[0], 12), (offsets[2], 345)];
    let code = code_start(&plain);
    for version in 2..=5 {
        for format in [Format::Dwarf32, Format::Dwarf64] {
            if version == 2 && format == Format::Dwarf64 {
                continue;
            }
            let module = with_sections(&plain, &dwarf(version, format, code, &rows));
            let name = format!("v{version}-{format:?}");
            let report = trapped(&directory, &name, &module);
            let at: Vec<&str> = report.lines().filter_map(|line| line.trim().strip_prefix("at ")).collect();
            assert_eq!(at, ["/src/lib/app.c:12", "/abs/other.c:345"], "{name}: {report}");
            assert!(report.contains("app!inner\n                 at /src/lib/app.c:12\n"), "{report}");
        }
    }
    // A name that would turn the terminal round is shown as what it is.
    let mut sections = dwarf(4, Format::Dwarf32, code, &rows);
    let at = sections[0].1.windows(5).position(|bytes| bytes == b"app.c").unwrap();
    sections[0].1[at..at + 3].copy_from_slice(b"\x1b[7");
    let report = trapped(&directory, "escape", &with_sections(&plain, &sections));
    assert!(report.contains("at /src/lib/\\u{1b}[7.c:12\n") && !report.contains('\x1b'), "{report}");
}

/// What clang writes (`lines/`): DWARF 5 has the unit's directory, DWARF 4 leaves names as they were given.
#[test]
fn of_a_real_compiler() {
    let directory = Directory::new("clang");
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("lines");
    for (name, from, header) in [("traces-dwarf4", "", "./lib"), ("traces-dwarf5", "/build/", "/build/lib")] {
        let module = std::fs::read(place.join(format!("{name}.wasm"))).expect("the module");
        let report = trapped(&directory, name, &module);
        let expected = format!(
            "deref at {header}/inlined.h:2\ntwice at {from}traces.c:10\nwalk at {from}traces.c:15\n\
             walk at {from}traces.c:16\nwalk at {from}traces.c:16\nstart at {from}traces.c:20\n"
        );
        let mut found = String::new();
        for line in report.lines() {
            match (line.split_once(" - <unknown>!"), line.trim().strip_prefix("at ")) {
                (Some((_, function)), _) => found += function,
                (_, Some(line)) => found += &format!(" at {line}\n"),
                _ => {}
            }
        }
        assert_eq!(found, expected, "{report}");
    }
}

/// Damaged and random sections: no panic, no wait, and a module that compiles as without them.
#[test]
fn hostile() {
    let plain = wat::parse_str(MODULE).unwrap();
    let code = code_start(&plain);
    let sites = compiled(&plain).manifest.sites;
    let offsets: Vec<u32> = sites.chunks(12).map(|site| u32::from_le_bytes(site[8..].try_into().unwrap())).collect();
    let rows: Vec<(u32, u64)> = offsets.iter().filter(|at| **at != u32::MAX).map(|&at| (at, 7)).collect();
    let mut random = Random(17);
    let start = Instant::now();
    let mut known = 0;
    for version in 2..=5 {
        let good = dwarf(version, Format::Dwarf32, code, &rows);
        for _ in 0..4000 {
            let mut sections = good.clone();
            for (_, data) in &mut sections {
                for _ in 0..random.below(4) {
                    if data.is_empty() {
                        continue;
                    }
                    let at = random.below(data.len() as u64) as usize;
                    match random.below(4) {
                        0 => data[at] = random.next() as u8,
                        1 => data[at] = [0, 0x7f, 0x80, 0xff][random.below(4) as usize],
                        2 => data.truncate(at),
                        _ => drop(data.splice(at..at, std::iter::repeat_n(0xff, 9))),
                    }
                }
            }
            let part = |name: &str| sections.iter().find(|(found, _)| *found == name).map_or(&[][..], |(_, data)| data);
            let parts = lines::Sections {
                line: part(".debug_line"),
                line_strings: part(".debug_line_str"),
                strings: part(".debug_str"),
                code: code as u32,
                ..lines::Sections::default()
            };
            let found = lines::lines(parts, &sites);
            assert!(found.count as usize * LINE <= found.records.len() && found.count as usize <= offsets.len());
            known += u32::from(found.count > 0);
        }
    }
    assert!(known > 1000, "{known}");
    // Many units of nothing, one unit of many rows, and file tables that promise more than there is.
    let unit = dwarf(4, Format::Dwarf32, code, &rows[..1]).remove(0).1;
    let many = unit.repeat(20_000);
    let mut long = unit.clone();
    let more = vec![0x01; 4 << 20];
    long.splice(long.len() - 3..long.len() - 3, more);
    let length = (long.len() - 4) as u32;
    long[..4].copy_from_slice(&length.to_le_bytes());
    for line in [&many, &long] {
        let found = lines::lines(lines::Sections { line, code: code as u32, ..lines::Sections::default() }, &sites);
        assert!(found.count <= 16);
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    // The same as parts of modules.
    for junk in [vec![], vec![0xff; 64], vec![0; 64], unit[..unit.len() / 2].to_vec()] {
        let module =
            with_sections(&plain, &[(".debug_line", junk.clone()), (".debug_line_str", junk.clone()), (".debug_str", junk)]);
        assert_eq!(compiled(&module).code, compiled(&plain).code);
    }
}

/// The sections of a module that begin so, by name.
fn debug_sections(module: &[u8]) -> Vec<(String, Vec<u8>)> {
    let payloads = wasmparser::Parser::new(0).parse_all(module);
    payloads
        .filter_map(|payload| match payload.unwrap() {
            wasmparser::Payload::CustomSection(section) => Some((section.name().to_string(), section.data().to_vec())),
            _ => None,
        })
        .filter(|(name, _)| name.starts_with(".debug_"))
        .collect()
}

fn with_parts<T>(sections: &[(String, Vec<u8>)], code: u64, action: impl FnOnce(lines::Sections<'_>) -> T) -> T {
    let part = |name: &str| sections.iter().find(|(found, _)| found == name).map_or(&[][..], |(_, data)| data);
    action(lines::Sections {
        line: part(".debug_line"),
        line_strings: part(".debug_line_str"),
        strings: part(".debug_str"),
        info: part(".debug_info"),
        abbreviations: part(".debug_abbrev"),
        string_offsets: part(".debug_str_offsets"),
        addresses: part(".debug_addr"),
        ranges: part(".debug_ranges"),
        range_lists: part(".debug_rnglists"),
        code: code as u32,
    })
}

/// Every record of a table is in it, and inlined calls have an end.
fn check(found: &lines::Lines) {
    let (count, calls) = (found.count as usize, found.calls as usize);
    let text = found.records.len().checked_sub(count * LINE + calls * INLINED).expect("room for the records");
    let word = |at: usize| u32::from_le_bytes(found.records[at..at + 4].try_into().unwrap()) as usize;
    for n in 0..count {
        assert!(word(n * LINE + 4) + word(n * LINE + 8) <= text && word(n * LINE + 16) <= calls);
    }
    for n in 0..calls {
        let at = count * LINE + n * INLINED;
        assert!(word(at) + word(at + 4) <= text && word(at + 8) + word(at + 12) <= text && word(at + 20) <= n);
    }
}

/// Descriptions of inlined calls that are damaged, and such that would take for ever if each part were read again and again.
#[test]
fn hostile_inlined_calls() {
    let start = Instant::now();
    let mut random = Random(23);
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("lines");
    for name in ["traces-dwarf4", "traces-dwarf5"] {
        let module = std::fs::read(place.join(format!("{name}.wasm"))).expect("the module");
        let (code, sites) = (code_start(&module), compiled(&module).manifest.sites);
        let good = debug_sections(&module);
        let calls = with_parts(&good, code, |parts| lines::lines(parts, &sites)).calls;
        assert_eq!(calls, 2, "deref and twice");
        let mut told = 0;
        for _ in 0..6000 {
            let mut sections = good.clone();
            for _ in 0..1 + random.below(4) {
                let (_, data) = &mut sections[random.index(good.len())];
                if data.is_empty() {
                    continue;
                }
                let at = random.index(data.len());
                match random.below(5) {
                    0 | 1 => data[at] = random.next() as u8,
                    2 => data[at] = random.pick(&[0, 0x7f, 0x80, 0xff]),
                    3 => data.truncate(at),
                    _ => drop(data.splice(at..at, std::iter::repeat_n(0xff, 9))),
                }
            }
            let found = with_parts(&sections, code, |parts| lines::lines(parts, &sites));
            check(&found);
            told += u32::from(found.calls > 0);
        }
        assert!(told > 1000, "{told}");

        // Units of a header and one entry, so many that reading anything large for each would show.
        let unit = |abbreviations: u32, entries: &[u8]| {
            let mut unit = (7 + entries.len() as u32).to_le_bytes().to_vec();
            unit.extend_from_slice(&[4, 0]);
            unit.extend_from_slice(&abbreviations.to_le_bytes());
            unit.push(4);
            unit.extend_from_slice(entries);
            unit
        };
        let replaced = |parts: &[(&str, Vec<u8>)]| {
            let mut sections = good.clone();
            sections.retain(|(name, _)| parts.iter().all(|(other, _)| name != other));
            sections.extend(parts.iter().map(|(name, data)| (name.to_string(), data.clone())));
            let found = with_parts(&sections, code, |parts| lines::lines(parts, &sites));
            check(&found);
            found.calls
        };
        // Entry 1: a unit; 2: an inlined call with ranges, a name and a reference; 3: a function with a name; 4: as 2, within.
        let table = [
            &[1, 0x11, 1, 0, 0][..],
            &[2, 0x1d, 0, 0x55, 0x17, 0x03, 0x0e, 0x31, 0x13, 0, 0],
            &[3, 0x2e, 0, 0x03, 0x0e, 0, 0],
            &[4, 0x1d, 1, 0, 0],
            &[0],
        ]
        .concat();
        let long = vec![b'x'; 1 << 20];
        let ranges = [1u32, 1].map(u32::to_le_bytes).concat().repeat(1 << 17);
        // Each entry has all ranges, and a name that does not end.
        let call = [&[2][..], &0u32.to_le_bytes(), &0u32.to_le_bytes(), &11u32.to_le_bytes()].concat();
        let info = unit(0, &[&[1][..], &call.repeat(100_000)].concat());
        let abbreviations = (".debug_abbrev", table.clone());
        let everywhere = [2u32, 1 << 30, 0, 0].map(u32::to_le_bytes).concat();
        let parts = [
            (".debug_info", info.clone()),
            abbreviations.clone(),
            (".debug_ranges", everywhere),
            (".debug_str", long.clone()),
        ];
        assert_eq!(replaced(&parts), 1, "the last of them");
        replaced(&[(".debug_info", info), abbreviations.clone(), (".debug_ranges", ranges), (".debug_str", long.clone())]);
        let function = [&[3][..], &0u32.to_le_bytes()].concat();
        let info = unit(0, &[&[1][..], &function.repeat(100_000)].concat());
        replaced(&[(".debug_info", info), abbreviations.clone(), (".debug_str", long)]);
        // Calls in calls in calls.
        replaced(&[(".debug_info", unit(0, &[&[1][..], &vec![4; 1 << 20]].concat())), abbreviations.clone()]);
        // Units with a table each, which overlap and do not end; and of entries with a thousand attributes that take no room.
        let endless = [&[1, 0x11, 1][..], &[0x3f, 0x19].repeat(1 << 19)].concat();
        let units: Vec<u8> = (0..60_000).flat_map(|n| unit(4 * n, &[1])).collect();
        replaced(&[(".debug_info", units), (".debug_abbrev", endless)]);
        let wide = [&[1, 0x11, 0][..], &[0x3f, 0x19].repeat(1000), &[0, 0, 0]].concat();
        replaced(&[(".debug_info", unit(0, &vec![1; 1 << 20])), (".debug_abbrev", wide)]);
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
