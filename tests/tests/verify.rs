//! `vwasm verify` on executables that somebody has worked on, and on files that are none.

use vwasm::compile::{Options, compile};
use vwasm::image::executable;
use vwasm::module::Module;
use vwasm::verify;
use vwasm_runtime::image::{ImageHeader, PAGE, PAYLOAD_ADDRESS};
use vwasm_runtime::manifest::Manifest;

fn program() -> Vec<u8> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/wasm");
    let bytes = std::fs::read(format!("{directory}/hashes.wasm")).expect("a benchmark's module");
    let module = Module::decode(&bytes).expect("a valid module");
    let mut compiled = compile(&module, &Options::default(), &|| ()).expect("a module that compiles");
    compiled.manifest.grants.directories.push(("/tmp".into(), "/data".into()));
    executable(&compiled).expect("an executable")
}

fn word(file: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes"))
}

fn set(file: &mut [u8], at: usize, value: u64) {
    file[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Where the program header of a segment is, by what it maps: flags, address, offset in the file, size.
fn headers(file: &[u8]) -> Vec<(usize, u32, u64, usize, usize)> {
    let count = u16::from_le_bytes([file[56], file[57]]) as usize;
    let header = |n: usize| {
        let at = 64 + 56 * n;
        let flags = u32::from_le_bytes(file[at + 4..at + 8].try_into().expect("four bytes"));
        (at, flags, word(file, at + 16), word(file, at + 8) as usize, word(file, at + 32) as usize)
    };
    (0..count).map(header).collect()
}

/// The segments of header, code and data.
fn payload(file: &[u8]) -> [(usize, u32, u64, usize, usize); 3] {
    let all = headers(file);
    let first = all.iter().position(|header| header.2 == PAYLOAD_ADDRESS).expect("a payload");
    [all[first], all[first + 1], all[first + 2]]
}

fn verdict(file: &[u8]) -> String {
    match verify::file(file) {
        Ok(_) => "accepted".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_was_compiled_is_accepted() {
    let file = program();
    let verified = verify::file(&file).expect("accepted");
    let text = verified.to_string();
    for part in ["accepted", "import wasi_snapshot_preview1.", "directory /tmp as /data", "stack 8388608", "spec "] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn tampering_is_seen() {
    type Tamper = fn(&mut Vec<u8>);
    let cases: [(&str, Tamper, &str); 24] = [
        (
            "code behind the code, in its last page",
            |f| {
                let c = payload(f)[1];
                f[c.3 + c.4] = 0xc3
            },
            "beside the segment",
        ),
        (
            "something behind the header's page",
            |f| {
                let h = payload(f)[0];
                f[h.3 + h.4] = 1
            },
            "beside the segment",
        ),
        (
            "something before a stub segment, in its page",
            |f| {
                let s = headers(f).into_iter().find(|h| h.3 as u64 % PAGE != 0);
                match s {
                    Some(s) => f[s.3 - 1] = 0xc3,
                    None => f[16] = 0,
                }
            },
            "",
        ),
        (
            "writable code",
            |f| {
                let at = payload(f)[1].0;
                f[at + 4] = 7
            },
            "writable and executable",
        ),
        (
            "executable data",
            |f| {
                let at = payload(f)[2].0;
                f[at + 4] = 5
            },
            "not what the header says",
        ),
        (
            "executable header",
            |f| {
                let at = payload(f)[0].0;
                f[at + 4] = 5
            },
            "not one that vwasm compile writes",
        ),
        (
            "executable stack",
            |f| {
                let n = headers(f).len() - 1;
                f[64 + 56 * n + 4] = 7
            },
            "stack",
        ),
        (
            "another entry",
            |f| {
                let e = word(f, 24);
                set(f, 24, e + 1)
            },
            "entry",
        ),
        (
            "entry in the code",
            |f| {
                let a = payload(f)[1].2;
                set(f, 24, a)
            },
            "entry",
        ),
        (
            "the stub's first instruction",
            |f| {
                let s = headers(f)[0];
                let at = s.3 + s.4 - 1;
                f[at] ^= 1
            },
            "not the stub's",
        ),
        (
            "a segment over another",
            |f| {
                let p = payload(f);
                set(f, p[2].0 + 16, p[1].2)
            },
            "overlaps",
        ),
        (
            "a segment at another place",
            |f| {
                let p = payload(f);
                set(f, p[2].0 + 16, p[2].2 + PAGE)
            },
            "not what the header says",
        ),
        (
            "the code's segment from elsewhere in the file",
            |f| {
                let p = payload(f);
                set(f, p[1].0 + 8, p[2].3 as u64)
            },
            "",
        ),
        (
            "a segment larger in memory",
            |f| {
                let p = payload(f);
                let size = word(f, p[2].0 + 40);
                set(f, p[2].0 + 40, size + 1)
            },
            "not what the header says",
        ),
        (
            "a segment beyond the file",
            |f| {
                let p = payload(f);
                set(f, p[2].0 + 32, 1 << 40)
            },
            "beyond the file",
        ),
        (
            "an offset that wraps round",
            |f| {
                let p = payload(f);
                set(f, p[2].0 + 8, u64::MAX)
            },
            "beyond the file",
        ),
        (
            "an interpreter",
            |f| {
                let n = headers(f).len() - 1;
                f[64 + 56 * n] = 3;
                f[64 + 56 * n + 3] = 0;
                f[64 + 56 * n + 2] = 0;
                f[64 + 56 * n + 1] = 0
            },
            "program header of type",
        ),
        ("a shared object", |f| f[16] = 3, "not an executable"),
        ("another machine", |f| f[18] = 3, "not an executable"),
        ("one program header more", |f| f[56] += 1, ""),
        (
            "a payload header that disagrees",
            |f| {
                let h = payload(f)[0].3;
                let code = word(f, h + 40);
                set(f, h + 40, code + PAGE)
            },
            "contradicts itself",
        ),
        (
            "another length of the code",
            |f| {
                let h = payload(f)[0].3;
                let n = word(f, h + 48);
                set(f, h + 48, n - 1)
            },
            "",
        ),
        (
            "a file cut short",
            |f| {
                let n = f.len();
                f.truncate(n - PAGE as usize)
            },
            "",
        ),
        (
            "a damaged manifest",
            |f| {
                let h = payload(f)[0].3 + ImageHeader::SIZE;
                f[h..h + 8].fill(0xff)
            },
            "manifest",
        ),
    ];
    let original = program();
    for (name, tamper, expected) in cases {
        let mut file = original.clone();
        tamper(&mut file);
        assert!(file != original, "{name}: nothing was changed");
        let found = verdict(&file);
        assert!(found != "accepted" && found.contains(expected), "{name}: expected `{expected}`, found `{found}`");
    }
}

/// Changes to the manifest that the runtime would act on.
#[test]
fn false_manifests_are_seen() {
    type Change = fn(&mut Manifest);
    let cases: [(&str, Change, &str); 16] = [
        ("an entry moved", |m| m.functions[0].code += 1, "does not agree"),
        (
            "two entries exchanged",
            |m| {
                let (a, b) = (m.functions[0].code, m.functions[1].code);
                m.functions[0].code = b;
                m.functions[1].code = a
            },
            "does not agree",
        ),
        (
            "another type",
            |m| {
                let t = m.functions[0].type_index;
                m.functions[0].type_index = (t + 1) % m.types.len() as u32
            },
            "",
        ),
        ("a type that is none", |m| m.functions[0].type_index = 10_000, ""),
        ("a function less", |m| m.functions.truncate(1), ""),
        ("a far thunk moved", |m| m.far_thunks[0] += 1, "does not agree"),
        ("a far thunk that is a function", |m| m.far_thunks[0] = m.functions[0].code, "does not agree"),
        ("a table called private that is imported", |m| m.private_tables.push(true), "private"),
        ("a longer table", |m| m.tables.iter_mut().for_each(|table| table.limits.min = 0), ""),
        (
            "an import more",
            |m| {
                let import = m.imports[0].clone();
                m.imports.push(import)
            },
            "shape",
        ),
        ("the shape's globals", |m| m.shape.globals += 1, "shape"),
        ("the shape's signatures", |m| m.shape.types += 1, "shape"),
        ("no memory", |m| m.memories.clear(), ""),
        (
            "two memories",
            |m| {
                let limits = m.memories[0];
                m.memories.push(limits)
            },
            "more than one memory",
        ),
        ("no CPU features", |m| m.features = 0, "CPU features"),
        ("a stack without end", |m| m.grants.stack_size = u64::MAX, "stack"),
    ];
    let file = program();
    let payload = vwasm::executable::read(&file).expect("an executable");
    let manifest = Manifest::decode(payload.manifest).expect("a manifest");
    let judge = |manifest: &Manifest| {
        let compiled = vwasm::compile::Compiled {
            code: payload.code.to_vec(),
            data: payload.data.to_vec(),
            claims: payload.claims.to_vec(),
            manifest: manifest.clone(),
            functions: Vec::new(),
        };
        verdict(&executable(&compiled).expect("an executable"))
    };
    assert_eq!(judge(&manifest), "accepted");
    for (name, change, expected) in cases {
        let mut changed = manifest.clone();
        change(&mut changed);
        if changed == manifest {
            continue;
        }
        let found = judge(&changed);
        let harmless = name == "a longer table" || name == "another type";
        assert!(
            harmless || found != "accepted" && found.contains(expected),
            "{name}: expected `{expected}`, found `{found}`"
        );
    }
}

/// Files of every kind: an answer, never a panic. (`VWASM_FILES` sets how many.)
#[test]
fn any_file_gets_an_answer() {
    let count: u64 = std::env::var("VWASM_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let original = program();
    let headers_end = headers(&original).iter().map(|header| header.0 + 56).max().unwrap_or(64);
    let first = payload(&original)[0];
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    let mut accepted = 0;
    for n in 0..count {
        let mut file = original.clone();
        match n % 5 {
            0 => file.truncate(random(original.len())),
            1 => file = (0..random(5000)).map(|_| random(256) as u8).collect(),
            2 => (0..1 + random(4)).for_each(|_| file[random(headers_end)] = random(256) as u8),
            3 => (0..1 + random(4)).for_each(|_| file[first.3 + random(first.4)] ^= 1 << random(8)),
            _ => (0..1 + random(4)).for_each(|_| {
                let at = 64 + 8 * random((headers_end - 64) / 8);
                set(&mut file, at, [0, 1, u64::MAX, 1 << 63, 4096, 0x7fff_ffff_ffff][random(6)]);
            }),
        }
        accepted += u32::from(verify::file(&file).is_ok());
    }
    println!("{count} files, {accepted} accepted");
}
