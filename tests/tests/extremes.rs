//! Modules at and beyond every limit: each compiles or is refused with a place and a reason, in bounded time, on an ordinary
//! thread's stack. `VWASM_VERBOSE=1` says what became of each and how long it took.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use vwasm::compile::{Options, compile};
use vwasm::error::{CompileError, ErrorKind};
use vwasm::module::Module as Decoded;
use vwasm_runtime::store::{self, Store};
use vwasm_tests::binary::*;

const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const BLOCK: u8 = 0x02;
const LOOP: u8 = 0x03;
const IF: u8 = 0x04;
const ELSE: u8 = 0x05;
const END: u8 = 0x0b;
const BR_IF: u8 = 0x0d;
const BR_TABLE: u8 = 0x0e;
const DROP: u8 = 0x1a;
const CALL: u8 = 0x10;
const I32_CONST: u8 = 0x41;
const I32_ADD: u8 = 0x6a;
const EMPTY: u8 = 0x40;

/// Larger than any function body that validates.
const BODY: usize = 7_600_000;

fn op(code: u8, immediate: u64) -> Vec<u8> {
    [vec![code], leb(immediate)].concat()
}

fn constant(value: i64) -> Vec<u8> {
    [vec![I32_CONST], sleb(value)].concat()
}

/// Compiles to an image's bytes.
fn build(bytes: &[u8]) -> Result<usize, CompileError> {
    let module = Decoded::decode(bytes)?;
    let compiled = compile(&module, &Options::default(), &|| ())?;
    vwasm::image::executable(&compiled).map(|image| image.len())
}

/// Most time of a processor that one module may take.
const MOST: Duration = Duration::from_secs(10);

/// Time this thread has run.
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps scheduler statistics");
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok()).expect("a number comes first");
    Duration::from_nanos(nanoseconds)
}

fn attempt(name: &str, bytes: Vec<u8>) -> Result<usize, CompileError> {
    let length = bytes.len();
    // One thread, with the stack that the compiler's threads have, does all the work.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let work = || {
        let start = thread_time();
        let outcome = build(&bytes);
        (outcome, thread_time() - start)
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| pool.install(work)));
    let (outcome, taken) = outcome.unwrap_or_else(|_| panic!("{name}: the compiler panicked"));
    if std::env::var_os("VWASM_VERBOSE").is_some() {
        let shown = match &outcome {
            Ok(length) => format!("{length} bytes"),
            Err(error) => error.to_string().chars().take(160).collect(),
        };
        eprintln!("{name} ({length} bytes): {shown}, {taken:.2?}");
    }
    assert!(taken < MOST, "{name}: {taken:.2?}");
    outcome
}

fn compiles(name: &str, bytes: Vec<u8>) {
    if let Err(error) = attempt(name, bytes) {
        panic!("{name}: {error}");
    }
}

/// Refused as malformed or invalid, with a byte offset.
fn refused(name: &str, bytes: Vec<u8>) {
    match attempt(name, bytes) {
        Ok(_) => panic!("{name}: compiled"),
        Err(error) => {
            assert!(matches!(error.kind, ErrorKind::Malformed | ErrorKind::Invalid), "{name}: {error}");
            assert!(error.offset.is_some(), "{name}: no offset: {error}");
        }
    }
}

/// Refused as beyond a limit, with a byte offset.
fn limited(name: &str, bytes: Vec<u8>) {
    match attempt(name, bytes) {
        Ok(_) => panic!("{name}: compiled"),
        Err(error) => assert!(error.kind == ErrorKind::Limit && error.offset.is_some(), "{name}: {error}"),
    }
}

/// Compiled and made an instance of, twice.
fn instantiates(name: &str, bytes: &[u8]) {
    let module = Decoded::decode(bytes).expect("a valid module");
    let compiled = compile(&module, &Options::default(), &|| ()).expect("it compiles");
    let loaded = store::Module::load(compiled.manifest, &compiled.code, &compiled.data).expect("memory for the code");
    let loaded = Arc::new(loaded);
    let mut store = Store::new(store::Config::default()).expect("memory for a store");
    let start = thread_time();
    for _ in 0..2 {
        store.instantiate(&loaded, &[]).unwrap_or_else(|_| panic!("{name}: no instance"));
    }
    let taken = thread_time() - start;
    assert!(taken < Duration::from_secs(2), "{name}: {taken:.2?}");
}

/// Compiled or refused with a byte offset.
fn either(name: &str, bytes: Vec<u8>) {
    if let Err(error) = attempt(name, bytes) {
        assert!(error.offset.is_some(), "{name}: no offset: {error}");
    }
}

fn nested(opening: &[u8], inner: &[u8], depth: usize) -> Vec<u8> {
    [opening.repeat(depth), inner.to_vec(), vec![END; depth]].concat()
}

#[test]
fn nesting() {
    let depth = 100_000;
    compiles("nested blocks", one_function(&[], &[], &[], &nested(&[BLOCK, EMPTY], &[], depth)));
    compiles("nested loops", one_function(&[], &[], &[], &nested(&[LOOP, EMPTY], &[], depth)));
    let opening = [LOCAL_GET, 0, IF, EMPTY];
    let depth = 50_000;
    compiles("nested ifs", one_function(&[I32], &[], &[], &nested(&opening, &[], depth)));
    let ends = [ELSE, END].repeat(depth);
    let code = [opening.repeat(depth), ends].concat();
    compiles("nested ifs with else", one_function(&[I32], &[], &[], &code));
    let code = nested(&[BLOCK, I32], &[LOCAL_GET, 0], depth);
    compiles("nested blocks with a result", one_function(&[I32], &[I32], &[], &code));
}

#[test]
fn branches_out_of_nested_blocks() {
    for depth in [1_000, 60_000] {
        let branches: Vec<u8> = (0..depth).flat_map(|n| [vec![LOCAL_GET, 0], op(BR_IF, n)].concat()).collect();
        let code = nested(&[BLOCK, EMPTY], &branches, depth as usize);
        either(&format!("{depth} branches outwards"), one_function(&[I32], &[], &[], &code));
        let branches: Vec<u8> = (0..depth).rev().flat_map(|n| [vec![LOCAL_GET, 0], op(BR_IF, n)].concat()).collect();
        let code = nested(&[BLOCK, EMPTY], &branches, depth as usize);
        either(&format!("{depth} branches inwards"), one_function(&[I32], &[], &[], &code));
        let code = nested(&[LOOP, EMPTY], &branches, depth as usize);
        either(&format!("{depth} branches to loops"), one_function(&[I32], &[], &[], &code));
    }
}

#[test]
fn branch_tables() {
    let table = |targets: &[u64]| {
        [vec![LOCAL_GET, 0, BR_TABLE], list(targets[1..].iter().map(|&t| leb(t))), leb(targets[0])].concat()
    };
    let code = nested(&[BLOCK, EMPTY], &table(&[1].repeat(1_000_001)), 2);
    compiles("br_table of a million targets to one block", one_function(&[I32], &[], &[], &code));
    let targets: Vec<u64> = (0..1_000_001).map(|n| n % 3).collect();
    compiles(
        "br_table of a million targets to three blocks",
        one_function(&[I32], &[], &[], &nested(&[BLOCK, EMPTY], &table(&targets), 2)),
    );
    let targets: Vec<u64> = (0..1_000_000).map(|n| n % 100_000).collect();
    let code = nested(&[BLOCK, EMPTY], &table(&targets), 100_000);
    compiles("br_table of a million targets to 100,000 blocks", one_function(&[I32], &[], &[], &code));
    // Several tables, and much code in the blocks that end with them.
    let targets: Vec<u64> = (0..20_000).collect();
    let one = [[
        vec![BLOCK, EMPTY],
        [LOCAL_GET, 0, LOCAL_GET, 0, I32_ADD, LOCAL_SET, 0].repeat(20_000),
        table(&targets),
        vec![END],
    ]
    .concat()]
    .concat();
    let code = nested(&[BLOCK, EMPTY], &one.repeat(8), 20_000);
    compiles("long blocks that end with large tables", one_function(&[I32], &[], &[], &code));
    // Every target takes many values along.
    let results = [I32; 200];
    let module = |depth: usize| {
        let types = list([function_type(&[I32], &results), function_type(&[], &results)]);
        let values = [LOCAL_GET, 0].repeat(200);
        let targets: Vec<u64> = (0..depth as u64).collect();
        let code = nested(&[BLOCK, 1], &[values, table(&targets)].concat(), depth);
        Module::new()
            .section(section::TYPE, types)
            .section(section::FUNCTION, list([leb(0)]))
            .section(section::CODE, list([body(&[], &code)]))
            .bytes()
    };
    compiles("br_table with 200 values to 1,000 blocks", module(1_000));
    either("br_table with 200 values to 100,000 blocks", module(100_000));
}

#[test]
fn locals() {
    let count = 49_999;
    let set_all = |value: &dyn Fn(u64) -> Vec<u8>, count: u64| -> Vec<u8> {
        (0..count).flat_map(|n| [value(n), op(LOCAL_SET, n + 1)].concat()).collect()
    };
    let sum_all = |count: u64| -> Vec<u8> {
        (0..count).flat_map(|n| [op(LOCAL_GET, n + 1), vec![LOCAL_GET, 0, I32_ADD, LOCAL_SET, 0]].concat()).collect()
    };
    let locals = [(count as u32, I32)];
    let get = |_| vec![LOCAL_GET, 0];
    compiles("50,000 locals", one_function(&[I32], &[], &locals[..], &[set_all(&get, count), sum_all(count)].concat()));
    refused("50,001 locals", one_function(&[], &[], &[(50_001, I32)], &[]));
    refused("4G locals", one_function(&[], &[], &[(u32::MAX, I32), (u32::MAX, F64)], &[]));
    // Loads, so that all of them are alive at once.
    let load = |n: u64| [constant(n as i64), vec![0x28, 2, 0]].concat();
    let blocks = |n: usize| [BLOCK, EMPTY, LOCAL_GET, 0, BR_IF, 0, END].repeat(n);
    for number in [100, 10_000, 30_000] {
        let code = [set_all(&load, count), blocks(number), sum_all(count)].concat();
        either(&format!("50,000 locals alive over {number} blocks"), one_function(&[I32], &[], &locals[..], &code));
    }
    for number in [100, 10_000] {
        let code = [set_all(&get, count), blocks(number), sum_all(count)].concat();
        compiles(&format!("50,000 equal locals over {number} blocks"), one_function(&[I32], &[], &locals[..], &code));
    }
    for (depth, count) in [(3, 3_000), (300, 400), (10_000, 50), (3, 49_999), (10_000, 49_999)] {
        let inner = [set_all(&load, count), sum_all(count)].concat();
        let ends = [LOCAL_GET, 0, BR_IF, 0, END].repeat(depth);
        let code = [[LOOP, EMPTY].repeat(depth), inner, ends, sum_all(count)].concat();
        either(&format!("{count} locals set in {depth} loops"), one_function(&[I32], &[], &locals[..], &code));
    }
    // One local set in each of many blocks, read behind each.
    let code: Vec<u8> = (0..10_000)
        .flat_map(|n| {
            [vec![BLOCK, EMPTY, LOCAL_GET, 0, BR_IF, 0], constant(n as i64), op(LOCAL_SET, n + 1), vec![END]].concat()
        })
        .collect();
    either(
        "10,000 locals, each set in its own block",
        one_function(&[I32], &[], &locals[..], &[code, sum_all(10_000)].concat()),
    );
    // Each branch carries 2,000 different constants.
    let few = |base: i64| -> Vec<u8> {
        (0..2_000).flat_map(|n| [constant(base + n), op(LOCAL_SET, n as u64 + 1)].concat()).collect()
    };
    let arms: Vec<u8> = (0..200)
        .flat_map(|n| [vec![LOCAL_GET, 0, IF, EMPTY], few(n * 2_000), vec![ELSE], few(-n * 2_000), vec![END]].concat())
        .collect();
    let sum: Vec<u8> =
        (0..2_000).flat_map(|n| [op(LOCAL_GET, n + 1), vec![LOCAL_GET, 0, I32_ADD, LOCAL_SET, 0]].concat()).collect();
    compiles(
        "constants in 2,000 locals after each of 200 branches",
        one_function(&[I32], &[], &locals[..], &[arms, sum].concat()),
    );
}

#[test]
fn large_functions() {
    let fill = |piece: &[u8]| piece.repeat(BODY / piece.len());
    either(
        "7.6 MB of additions",
        one_function(&[I32], &[], &[], &fill(&[LOCAL_GET, 0, LOCAL_GET, 0, I32_ADD, LOCAL_SET, 0])),
    );
    let loads = [LOCAL_GET, 0, 0x28, 2, 0, LOCAL_SET, 0].repeat(500_000);
    either("500,000 loads", one_function(&[I32], &[], &[], &loads));
    let calls = |count| one_function(&[I32], &[], &[], &[LOCAL_GET, 0, CALL, 0].repeat(count));
    compiles("50,000 calls", calls(50_000));
    limited("more calls than registers are allocated for", calls(600_000));
    let blocks = |count| one_function(&[I32], &[], &[], &[BLOCK, EMPTY, LOCAL_GET, 0, BR_IF, 0, END].repeat(count));
    compiles("50,000 blocks", blocks(50_000));
    limited("more blocks than registers are allocated for", blocks(300_000));
    either("7.6 MB of nops", one_function(&[I32], &[], &[], &fill(&[0x01])));
    let code = [[LOCAL_GET, 0].repeat(BODY / 4), vec![DROP; BODY / 4]].concat();
    either("a deep operand stack", one_function(&[I32], &[], &[], &code));
    let code = [[LOCAL_GET, 0, 0x28, 2, 0].repeat(200_000), vec![I32_ADD; 199_999], vec![DROP]].concat();
    either("a deep operand stack of loads", one_function(&[I32], &[], &[], &code));
    let over = one_function(&[], &[], &[], &vec![0x01; 7_654_321]);
    refused("a body beyond the limit", over);
    // Alternating conversions: chains of values that stand for one another.
    either("conversions", one_function(&[I32], &[], &[], &[vec![LOCAL_GET, 0], fill(&[0xac, 0xa7]), vec![DROP]].concat()));
    either(
        "conversions without sign",
        one_function(&[I32], &[], &[], &[vec![LOCAL_GET, 0], fill(&[0xad, 0xa7]), vec![DROP]].concat()),
    );
    either(
        "reinterpretations",
        one_function(&[I32], &[], &[], &[vec![LOCAL_GET, 0], fill(&[0xbe, 0xbc]), vec![DROP]].concat()),
    );
    either("a chain of eqz", one_function(&[I32], &[], &[], &[vec![LOCAL_GET, 0], fill(&[0x45]), vec![DROP]].concat()));
}

#[test]
fn branch_distances() {
    // Jumps just at the edge of the short form, each over the next one's.
    for filler in 0..12 {
        let piece =
            [vec![BLOCK, EMPTY, LOCAL_GET, 0, BR_IF, 0], [LOCAL_GET, 0, 0x28, 2, 0, DROP].repeat(20 + filler), vec![END]]
                .concat();
        compiles(&format!("short branches {filler}"), one_function(&[I32], &[], &[], &piece.repeat(200)));
    }
    let block = |inner: Vec<u8>| [vec![BLOCK, EMPTY, LOCAL_GET, 0, BR_IF, 0], inner, vec![END]].concat();
    let mut code = Vec::new();
    for _ in 0..2_000 {
        code = block(code);
    }
    compiles("branches over branches", one_function(&[I32], &[], &[], &code));
}

#[test]
fn signatures() {
    let many = [I32; 1000];
    let module = |params: &[u8], results: &[u8], code: &[u8]| {
        Module::new()
            .section(section::TYPE, list([function_type(params, results)]))
            .section(section::FUNCTION, list([leb(0)]))
            .section(section::CODE, list([body(&[], code)]))
            .bytes()
    };
    let values: Vec<u8> = (0..1000).flat_map(|n| op(LOCAL_GET, n)).collect();
    compiles("1000 parameters and results", module(&many, &many, &values));
    let calls = [op(CALL, 0)].concat().repeat(50);
    compiles("1000 parameters, results, and calls", module(&many, &many, &[values.clone(), calls].concat()));
    compiles("1000 parameters and results, and next to no code", module(&many, &many, &[0x00]));
    refused("1001 parameters", module(&[I32; 1001], &[], &[]));
    refused("1001 results", module(&[], &[I32; 1001], &[0x00]));
    let nest = nested(&[BLOCK, 0], &[], 5_000);
    either("blocks with 1000 parameters and results", module(&many, &many, &[values, nest].concat()));
}

#[test]
fn many_items() {
    let simple = function_type(&[], &[]);
    let type_of = |n: u64| -> Vec<u8> {
        let params: Vec<u8> = (0..10).map(|digit| [I32, I64, 0x7d, F64][(n >> (2 * digit) & 3) as usize]).collect();
        function_type(&params, &[])
    };
    let types = Module::new().section(section::TYPE, list((0..100_000).map(type_of))).bytes();
    compiles("100,000 types", types.clone());
    instantiates("100,000 types", &types);
    let functions = |count: usize| {
        Module::new().section(section::TYPE, list([simple.clone()])).section(section::FUNCTION, list(vec![leb(0); count]))
    };
    let empty = body(&[], &[]);
    compiles("100,000 functions", functions(100_000).section(section::CODE, list(vec![empty.clone(); 100_000])).bytes());
    refused("1,000,001 functions", functions(1_000_001).bytes());
    let import = |n: usize, kind: &[u8]| [sized(b"m"), sized(format!("{n}").as_bytes()), kind.to_vec()].concat();
    let imports = |count: usize, kind: &[u8]| list((0..count).map(|n| import(n, kind)));
    let reads: Vec<u8> = (0..100_000).flat_map(|n| [op(0x23, n), vec![DROP]].concat()).collect();
    let globals = Module::new()
        .section(section::TYPE, list([simple.clone()]))
        .section(section::IMPORT, imports(100_000, &[3, I32, 1]))
        .section(section::FUNCTION, list([leb(0)]))
        .section(section::CODE, list([body(&[], &reads)]));
    compiles("100,000 imported globals", globals.bytes());
    let calls: Vec<u8> = (0..100_000).flat_map(|n| op(CALL, n)).collect();
    let imported = Module::new()
        .section(section::TYPE, list([simple.clone()]))
        .section(section::IMPORT, imports(100_000, &[0, 0]))
        .section(section::FUNCTION, list([leb(0)]))
        .section(section::CODE, list([body(&[], &calls)]));
    compiles("100,000 imported functions", imported.bytes());
    // Indirect calls ask whether the table is exported.
    let indirect = [I32_CONST, 0, 0x11, 0, 0].repeat(50_000);
    let exports = list((0..100_000).map(|n| [sized(format!("{n}").as_bytes()), vec![0, 0]].concat()));
    let module = functions(1)
        .section(section::TABLE, list([vec![0x70, 0, 1]]))
        .section(section::EXPORT, exports)
        .section(section::CODE, list([body(&[], &indirect)]));
    compiles("100,000 exports and 50,000 indirect calls", module.bytes());
    let references: Vec<u8> = (0..50_000).flat_map(|n| [op(0xd2, n), vec![DROP]].concat()).collect();
    let declared = [vec![3, 0], list((0..50_000).map(leb))].concat();
    let mut bodies = vec![empty.clone(); 49_999];
    bodies.push(body(&[], &references));
    let module = functions(50_000).section(section::ELEMENT, list([declared])).section(section::CODE, list(bodies));
    compiles("50,000 function references", module.bytes());
    let table = |min: u64| Module::new().section(section::TABLE, list([[vec![0x70, 0], leb(min)].concat()])).bytes();
    compiles("a table of 10,000,000", table(10_000_000));
    either("a table of 4G", table(u32::MAX.into()));
    compiles("100,000 tables", Module::new().section(section::TABLE, list(vec![[0x70, 0, 1]; 100_000])).bytes());
    let memory = |min: u64| Module::new().section(section::MEMORY, list([[vec![0], leb(min)].concat()])).bytes();
    compiles("a memory of 4 GiB", memory(65_536));
    refused("a memory beyond 4 GiB", memory(65_537));
    let count = |number: u8, count: u64| Module::new().section(number, leb(count)).bytes();
    for number in 1..=11 {
        either(&format!("section {number} says 4G items"), count(number, u32::MAX.into()));
        either(&format!("section {number} says 900,000 items"), count(number, 900_000));
        either(&format!("section {number} says none"), count(number, 0));
    }
    let segments = list(vec![[0, 0x41, 0, 0x0b, 0]; 100_000]);
    let memory = || Module::new().section(section::MEMORY, list([[0, 0]]));
    compiles("100,000 empty data segments", memory().section(section::DATA, segments).bytes());
    let segments = list(vec![[0, 0x41, 0, 0x0b, 0]; 100_001]);
    refused("100,001 data segments", memory().section(section::DATA, segments).bytes());
    // A segment whose length runs out of the section.
    let segments = [vec![1, 0, 0x41, 0, 0x0b], leb(u32::MAX.into()), vec![1, 2, 3]].concat();
    refused("a data segment of 4 GiB", memory().section(section::DATA, segments).bytes());
}

#[test]
fn constant_expressions() {
    let global = |expr: &[u8]| Module::new().section(section::GLOBAL, list([[&[I32, 0], expr, &[END]].concat()])).bytes();
    let deep = [[I32_CONST, 1].repeat(100_000), vec![I32_ADD; 99_999]].concat();
    refused("a deep constant expression", global(&deep));
    refused("an empty constant expression", global(&[]));
    refused("a long constant expression", global(&[I32_CONST, 1, DROP].repeat(1_000_000)));
    let recursive = [0x4e, 1, 0x60, 1, 0x64, 0, 0];
    refused("a recursive type", Module::new().section(section::TYPE, list([recursive])).bytes());
    let recursive = function_type(&[0x64, 0], &[]);
    refused("a type that names itself", Module::new().section(section::TYPE, list([recursive])).bytes());
}

#[test]
fn alignments_and_offsets() {
    for align in [2u64, 3, 4, 31, 32, 63, 64, 127] {
        let code = [vec![LOCAL_GET, 0, 0x28], leb(align), leb(0), vec![DROP]].concat();
        let module = one_function(&[I32], &[], &[], &code);
        if align == 2 {
            compiles("natural alignment", module);
        } else {
            either(&format!("alignment 2^{align}"), module);
        }
    }
    for offset in [u64::from(u32::MAX), 1 << 32, u64::MAX] {
        let code = [vec![LOCAL_GET, 0, 0x28, 2], leb(offset), vec![DROP]].concat();
        either(&format!("offset {offset:#x}"), one_function(&[I32], &[], &[], &code));
    }
}

/// Every prefix of a small module with every section, and of its sections with the length put right.
#[test]
fn truncated_sections() {
    let content: [(u8, Vec<u8>); 11] = [
        (section::TYPE, list([function_type(&[I32], &[I32])])),
        (section::IMPORT, list([[sized(b"m"), sized(b"f"), vec![0, 0]].concat()])),
        (section::FUNCTION, list([leb(0)])),
        (section::TABLE, list([vec![0x70, 1, 1, 2]])),
        (section::MEMORY, list([vec![1, 1, 2]])),
        (section::GLOBAL, list([vec![I32, 1, 0x41, 5, 0x0b]])),
        (section::EXPORT, list([[sized(b"e"), vec![0, 1]].concat()])),
        (section::ELEMENT, list([vec![0, 0x41, 0, 0x0b, 1, 1]])),
        (12, leb(1)),
        (section::CODE, list([body(&[(1, I64)], &[LOCAL_GET, 0, 0x28, 2, 4])])),
        (section::DATA, list([vec![0, 0x41, 0, 0x0b, 2, 1, 2]])),
    ];
    let whole = |skip: Option<(usize, usize)>| {
        let mut module = Module::new();
        for (n, (number, content)) in content.iter().enumerate() {
            let length = skip.filter(|(at, _)| *at == n).map_or(content.len(), |(_, length)| length);
            module = module.section(*number, content[..length].to_vec());
        }
        module.bytes()
    };
    let bytes = whole(None);
    compiles("every section", bytes.clone());
    for length in 0..bytes.len() {
        if let Err(error) = build(&bytes[..length]) {
            assert!(error.offset.is_some(), "{length} bytes: {error}");
        }
    }
    for (n, (number, content)) in content.iter().enumerate() {
        for length in 0..content.len() {
            refused(&format!("section {number} of {length} bytes"), whole(Some((n, length))));
        }
    }
}

#[test]
fn deep_text() {
    for (name, open, close) in
        [("folded blocks", "(block ", ")"), ("folded drops", "(drop ", ")"), ("parentheses", "(", ")")]
    {
        let text = format!("(module (func {}{}))", open.repeat(200_000), close.repeat(200_000));
        let outcome = std::thread::spawn(move || wat::parse_str(text).map(|bytes| build(&bytes).is_ok())).join();
        assert!(outcome.is_ok(), "{name}: panic");
    }
    let text = format!("(module (func {} {}))", "block ".repeat(200_000), "end ".repeat(200_000));
    let bytes = wat::parse_str(text).expect("flat blocks nest as deep as they like");
    compiles("nested blocks from text", bytes);
    assert!(wat::parse_str("(;".repeat(500_000)).is_err());
}
