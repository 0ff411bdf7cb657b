//! Every WASI function with hostile pointers, lengths, numbers and memory contents: no call panics, writes outside the caller's
//! memory, or leaves a descriptor behind. `VWASM_CALLS=1000000` makes the run long.

use std::sync::Arc;
use vwasm_runtime::interrupt::Deadline;
use vwasm_runtime::manifest::{FunctionType, ValueType};
use vwasm_runtime::store::{Config, Extern, Module, Store};
use vwasm_runtime::trap::TrapKind;
use vwasm_runtime::wasi::{self, Wasi};
use vwasm_tests::random::Random;
use vwasm_tests::support::*;

const MEMORY: u64 = 2 << 16;

/// An argument that hurts.
fn argument(random: &mut Random, ty: ValueType) -> u64 {
    let edges =
        [0, 1, 3, 4, 8, 64, MEMORY - 1, MEMORY, MEMORY - 8, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 62, 1 << 63, u64::MAX];
    let value = match random.below(8) {
        0 | 1 => edges[random.below(edges.len() as u64) as usize],
        2 => edges[random.below(edges.len() as u64) as usize].wrapping_add(random.below(64)).wrapping_sub(32),
        3 => random.below(MEMORY),
        4 => random.below(MEMORY / 8) * 8,
        5 => random.below(8),
        6 => random.next(),
        _ => random.below(128),
    };
    if ty == ValueType::I32 { value & 0xffff_ffff } else { value }
}

/// A module with an export for every function that passes its arguments on, and one that fills the memory anew.
fn module() -> String {
    let types =
        |list: &[ValueType]| list.iter().map(|ty| if *ty == ValueType::I64 { " i64" } else { " i32" }).collect::<String>();
    let (mut imports, mut exports) = (String::new(), String::new());
    for (name, FunctionType { params, results }) in wasi::functions() {
        let ty = format!("(param{}) (result{})", types(&params), types(&results));
        imports += &format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} {ty}))\n");
        let args: String = (0..params.len()).map(|n| format!("(local.get {n})")).collect();
        exports += &format!("(func (export \"{name}\") {ty} (call ${name} {args}))\n");
    }
    format!(
        r#"(module {imports} (memory (export "memory") 2) (data (i32.const 0) "f\00d\00..\00d/g\00l\00") {exports}
        (func (export "fill") (param $seed i64) (local $at i32)
          (local.set $at (i32.const 64))
          (loop $more
            (local.set $seed (i64.add (i64.mul (local.get $seed) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
            ;; one word in two is small, so that lists of buffers are sometimes good
            (i32.store (local.get $at) (i32.and (i32.wrap_i64 (i64.shr_u (local.get $seed) (i64.const 32)))
              (select (i32.const 0x1fff) (i32.const -1) (i32.wrap_i64 (i64.and (local.get $seed) (i64.const 0x1000000000000))))))
            (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 0x20000)))))
        (func (export "sum") (result i64) (local $at i32) (local $sum i64)
          (loop $more
            (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 1)) (i64.load (local.get $at))))
            (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 0x20000))))
          (local.get $sum)))"#
    )
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn hostile_calls() {
    let calls: u64 = std::env::var("VWASM_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000);
    let directory = Directory::new("hostile");
    std::fs::write(directory.path().join("f"), "content").unwrap();
    std::fs::create_dir(directory.path().join("d")).unwrap();
    let compiled = compiled(module().as_bytes());
    let before = open_descriptors();
    let module = Arc::new(Module::load(compiled.manifest, &compiled.code, &compiled.data).unwrap());
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut done, mut traps, mut errors, mut successes, mut canary_sum) = (0, 0, 0, 0, None);
    let canary: Vec<u8> = (0..1 << 16).map(|n| (n * 7) as u8).collect();
    while done < calls {
        // A program's descriptors and files come and go; every so often all begins anew.
        let mut store = Store::new(Config::default()).unwrap();
        let mut grants = directory.grants(".", "/");
        grants.max_open_files = Some(40);
        let config = wasi::Config { arguments: vec![b"a".to_vec(); 3], grants, trace: false };
        let wasi = Wasi::new(&config).unwrap();
        let mut function = |name: &str| Wasi::function(&wasi, &mut store, "wasi_snapshot_preview1", name).unwrap();
        let imports: Vec<Extern> = wasi::functions().map(|(name, _)| Extern::Function(function(name))).collect();
        let instance = store.instantiate(&module, &imports).unwrap();
        let neighbour = store.instantiate(&module, &imports).unwrap();
        let export = |store: &Store, instance: u32, name: &str| match store.export(instance, name) {
            Some(Extern::Function(function)) => function,
            other => panic!("{name}: {other:?}"),
        };
        let (fill, sum) = (export(&store, instance, "fill"), export(&store, neighbour, "sum"));
        let fill_neighbour = export(&store, neighbour, "fill");
        store.invoke(fill_neighbour, &[42], &mut []).unwrap();
        // The process's own streams are not to be written to.
        let close = export(&store, instance, "fd_close");
        for fd in 0..3 {
            store.invoke(close, &[fd], &mut [0]).unwrap();
        }
        for _ in 0..2000 {
            if random.below(4) == 0 {
                store.invoke(fill, &[random.next()], &mut []).unwrap();
            }
            let (name, ty) = wasi::functions().nth(random.below(wasi::functions().count() as u64) as usize).unwrap();
            let mut args: Vec<u64> = ty.params.iter().map(|ty| argument(&mut random, *ty)).collect();
            match name {
                // What would fill the disk.
                "fd_allocate" => args[2] &= 0xffff,
                // The granted directory stays.
                "fd_close" if args[0] == 3 => continue,
                "fd_renumber" if args[0] == 3 || args[1] == 3 => continue,
                _ => {}
            }
            // Waiting ends after a moment.
            let _deadline = (name == "poll_oneoff").then(|| Deadline::start(1).unwrap());
            let mut results = vec![0; ty.results.len()];
            let target = export(&store, instance, name);
            match store.invoke(target, &args, &mut results) {
                Ok(()) => {
                    assert!(results[0] <= 76, "{name}({args:x?}) gave {}", results[0]);
                    successes += u64::from(results[0] == 0);
                    errors += u64::from(results[0] != 0);
                }
                Err(trap) => match trap.kind {
                    TrapKind::Host(message) => {
                        traps += 1;
                        assert!(message.contains(": pointer "), "{name}({args:x?}): {message}");
                    }
                    TrapKind::Timeout | TrapKind::Interrupted => assert_eq!(name, "poll_oneoff"),
                    TrapKind::Exit(status) => assert_eq!((name, status), ("proc_exit", args[0] as i32)),
                    TrapKind::Code(code) => panic!("{name}({args:x?}): {code:?}"),
                },
            }
            done += 1;
        }
        let mut result = [0];
        store.invoke(sum, &[], &mut result).unwrap();
        assert_eq!(*canary_sum.get_or_insert(result[0]), result[0], "another instance's memory changed");
    }
    assert!(canary.iter().enumerate().all(|(n, byte)| *byte == (n * 7) as u8));
    eprintln!("{done} calls: {successes} succeeded, {errors} gave an error, {traps} trapped");
    assert!(successes > done / 50 && errors > done / 50 && traps > done / 50);
    assert_eq!(open_descriptors(), before, "a descriptor is left");
}
