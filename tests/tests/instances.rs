//! Instances that take over the address space of earlier ones: what is left of a tenant, and how long a new one takes.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use vwasm_runtime::layout::TrapCode;
use vwasm_runtime::manifest::FunctionType;
use vwasm_runtime::pool::Pool;
use vwasm_runtime::store::{Config, Extern, Module, Store};
use vwasm_runtime::trap::TrapKind;
use vwasm_tests::support::*;

/// The tests of this file look at the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn load(text: &str) -> Arc<Module> {
    let compiled = compiled(text.as_bytes());
    Arc::new(Module::load(compiled.manifest, &compiled.code, &compiled.data).unwrap())
}

fn store(pool: &Pool) -> Box<Store> {
    Store::new(Config { pool: pool.clone(), ..Config::default() }).unwrap()
}

fn call(store: &mut Store, instance: u32, name: &str, args: &[u64]) -> u64 {
    let Some(Extern::Function(function)) = store.export(instance, name) else { panic!("{name}") };
    let mut results = vec![0; store.function_type(function).unwrap().results.len()];
    store.invoke(function, args, &mut results).unwrap();
    results.first().copied().unwrap_or(0)
}

/// What the guest makes its secret of; neither half is it, and the host never holds it in memory.
const HALVES: [u64; 2] = [0x5eca_0b17_2d49_c3f1, 0x93d1_7a66_08be_4f25];

/// Writes the secret wherever a guest can: memory (grown, too), globals, its stack (deep down, too), and fills a table.
const SECRETIVE: &str = r#"(module (memory (export "memory") 3 100) (data (i32.const 70000) "first")
  (table $t (export "table") 5 3000 funcref) (elem declare func $f) (func $f) (elem (i32.const 0) $f)
  (global $a (mut i64) (i64.const 1)) (global $b (export "b") (mut i64) (i64.const 2))
  (func $deep (param i64 i32) (local i64)
    (local.set 2 (i64.xor (local.get 0) (i64.const 0x5eca0b172d49c3f1)))
    (if (local.get 1) (then (call $deep (local.get 0) (i32.sub (local.get 1) (i32.const 1)))))
    (i64.store (i32.const 16) (local.get 2)))
  (func $write (param i64)  (local $at i32)
    (loop $on
      (i64.store (local.get $at) (i64.xor (local.get 0) (i64.const 0x5eca0b172d49c3f1)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $on (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536))))))
  (func (export "dirty") (param i64 i32)
    (if (local.get 1) (then (drop (memory.grow (i32.const 20)))))
    (global.set $a (i64.xor (local.get 0) (i64.const 0x5eca0b172d49c3f1)))
    (global.set $b (i64.xor (local.get 0) (i64.const 0x5eca0b172d49c3f1)))
    (drop (table.grow $t (ref.func $f) (i32.const 2000)))
    (call $write (local.get 0)) (call $deep (local.get 0) (i32.const 20000))))"#;

/// Sums up everything that is not as it should be in a new instance.
const CLEAN: &str = r#"(module (memory 3 100) (data (i32.const 70000) "first") (table $t 5 3000 funcref)
  (global $a (mut i64) (i64.const 0)) (global $b (mut i64) (i64.const 0))
  (func (export "dirt") (result i32) (local $at i32) (local $found i32)
    (drop (memory.grow (i32.const 30))) (drop (table.grow $t (ref.null func) (i32.const 2500)))
    (loop $bytes
      (local.set $found (i32.add (local.get $found) (i32.ne (i32.load8_u (local.get $at)) (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $bytes (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
    (local.set $at (i32.const 0))
    (loop $elements
      (if (i32.eqz (ref.is_null (table.get $t (local.get $at)))) (then (local.set $found (i32.add (local.get $found) (i32.const 1000)))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $elements (i32.lt_u (local.get $at) (table.size $t))))
    (local.get $found)))"#;

/// How often the secret stands in the memory of this process.
fn secrets() -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut buffer = vec![0u8; 1 << 20];
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let [mut at, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
        while at < end {
            let length = (end - at).min(buffer.len() as u64) as usize;
            if memory.read_exact_at(&mut buffer[..length], at).is_ok() {
                let words = buffer[..length].chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
                found += words.filter(|word| word ^ HALVES[0] == HALVES[1]).count();
            }
            buffer[..length].fill(0);
            at += length as u64;
        }
    }
    found
}

#[test]
fn nothing_of_a_tenant_stays() {
    let _alone = alone();
    let pool = Pool::new(10);
    // Few pages are written over one by one, many are dropped.
    for pages in [3, 9] {
        tenants(&pool, &modules(pages), pages);
    }
    assert!(pool.regions() > 0);
}

/// The secretive module and the clean one, with memories of so many pages.
fn modules(pages: u64) -> [Arc<Module>; 2] {
    [SECRETIVE, CLEAN].map(|text| load(&text.replace(" 3 100)", &format!(" {pages} 100)"))))
}

/// Secretive tenants of a pool, one after the other, and others after each.
fn tenants(pool: &Pool, modules: &[Arc<Module>; 2], pages: u64) {
    let [secretive, clean] = modules;
    // Copy-on-write pages, pages that grew, and an instance of another module in the same place.
    for grow in [0, 1, 0] {
        let mut tenant = store(pool);
        let instance = tenant.instantiate(secretive, &[]).unwrap();
        assert_eq!(secrets(), 0, "before");
        call(&mut tenant, instance, "dirty", &[HALVES[1], grow]);
        // Memory, two globals, 20,000 frames.
        assert!(secrets() as u64 > pages * 8192 + 2 + 20_000, "{} secrets", secrets());
        drop(tenant);
        assert_eq!(secrets(), 0, "after");
        for module in [clean, secretive, clean] {
            let mut next = store(pool);
            let instance = next.instantiate(module, &[]).unwrap();
            assert_eq!(secrets(), 0);
            if Arc::ptr_eq(module, clean) {
                assert_eq!(call(&mut next, instance, "dirt", &[]), 5, "the five bytes of the data segment are there");
            }
        }
    }
}

/// A process that forks while instances wait in its pool: the child clears its own tenants' pages, not what it is told of its
/// parent's.
#[test]
fn a_child_process_clears_its_own() {
    let _alone = alone();
    let pool = Pool::new(10);
    // Compiled before: the child has none of the compiler's threads.
    let modules = modules(3);
    tenants(&pool, &modules, 3);
    // SAFETY: the child runs this thread alone, and ends in `_exit`.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // In places that the parent does not have.
        let own = Pool::new(10);
        let clean = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tenants(&own, &modules, 3)));
        // SAFETY: ends the child at once, with nothing of the parent's torn down.
        unsafe { libc::_exit(i32::from(clean.is_err())) };
    }
    let mut status = 0;
    // SAFETY: the child is this process's own.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child found something of its tenants");
}

/// The same place is used again: otherwise the test above shows nothing.
#[test]
fn places_are_reused() {
    let _alone = alone();
    let pool = Pool::new(4);
    let module = load(SECRETIVE);
    let place = |pool: &Pool| {
        let mut store = store(pool);
        let instance = store.instantiate(&module, &[]).unwrap();
        let Some(Extern::Memory(memory)) = store.export(instance, "memory") else { panic!() };
        store.memory(memory).unwrap().as_ptr() as usize
    };
    let first = place(&pool);
    assert_eq!((place(&pool), place(&pool)), (first, first));
    assert_eq!(pool.regions(), 1);
    let stores: Vec<_> = (0..6)
        .map(|_| {
            let mut store = store(&pool);
            store.instantiate(&module, &[]).unwrap();
            store
        })
        .collect();
    drop(stores);
    assert_eq!(pool.regions(), 4, "no more than it may keep");
}

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Mappings, descriptors, resident kibibytes.
fn held() -> [u64; 3] {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    [maps as u64, descriptors as u64, status("VmRSS:")]
}

const WORK: &str = r#"(module (memory 2) (data (i32.const 5) "data") (table 10 funcref) (global $g (mut i32) (i32.const 0))
  (func (export "work") (param i32) (result i32)
    (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (local.get 0)))
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (i32.add (i32.load (i32.const 100)) (global.get $g)))
  (func (export "trap") (drop (i32.load (i32.const 140000)))))"#;

/// Thousands of instances, with a pool and without, each module and pool going in the end: nothing stays.
#[test]
fn nothing_leaks() {
    let _alone = alone();
    let round = |most: usize| {
        let pool = if most == 0 { Pool::default() } else { Pool::new(most) };
        let module = load(WORK);
        for n in 0..1000u64 {
            let mut first = store(&pool);
            let mut second = store(&pool);
            let [a, b] = [&mut first, &mut second].map(|store| store.instantiate(&module, &[]).unwrap());
            let Some(Extern::Function(trap)) = first.export(a, "trap") else { panic!() };
            assert_eq!(call(&mut second, b, "work", &[n]), n + 1);
            let kind = first.invoke(trap, &[], &mut []).unwrap_err().kind;
            assert_eq!(kind, TrapKind::Code(TrapCode::OutOfBoundsMemoryAccess));
            // The one that trapped goes on, the other noticed nothing.
            assert_eq!(call(&mut first, a, "work", &[n]), n + 1);
            assert_eq!(call(&mut second, b, "work", &[0]), n + 2);
        }
    };
    for most in [0, 8] {
        round(most);
        let before = held();
        round(most);
        round(most);
        let after = held();
        println!("pool of {most}: mappings, descriptors, kibibytes: {before:?} before, {after:?} after");
        assert!(after[0] <= before[0] + 4, "mappings: {before:?} {after:?}");
        assert_eq!(after[1], before[1], "descriptors");
        assert!(after[2] <= before[2] + 2048, "resident: {before:?} {after:?}");
    }
}

/// Threads that share a module and a pool, trapping and not.
#[test]
fn threads_share_a_pool() {
    let _alone = alone();
    let (pool, module) = (Pool::new(5), load(WORK));
    std::thread::scope(|scope| {
        for n in 0..8u64 {
            let (pool, module) = (&pool, &module);
            scope.spawn(move || {
                for round in 0..200 {
                    let mut store = store(pool);
                    let instance = store.instantiate(module, &[]).unwrap();
                    let Some(Extern::Function(trap)) = store.export(instance, "trap") else { panic!() };
                    assert!(store.invoke(trap, &[], &mut []).is_err());
                    assert_eq!(call(&mut store, instance, "work", &[n * round]), n * round + 1);
                }
            });
        }
    });
}

/// An instance whose elements do not fit has written nothing where others see its memory empty: its data segments come after.
#[test]
fn images_keep_the_order_of_segments() {
    let _alone = alone();
    let pool = Pool::new(5);
    let module = load(
        r#"(module (import "host" "t" (table 2 funcref)) (memory 1) (func $peek (result i32) (i32.load8_u (i32.const 0)))
          (elem (i32.const 0) $peek) (elem (i32.const 5) $peek) (data (i32.const 0) "x"))"#,
    );
    let caller = load(
        r#"(module (import "host" "t" (table 2 funcref)) (type $t (func (result i32)))
          (func (export "peek") (result i32) (call_indirect (type $t) (i32.const 0))))"#,
    );
    for _ in 0..2 {
        let mut store = store(&pool);
        let limits = vwasm_runtime::manifest::Limits { min: 2, max: None };
        let ty = vwasm_runtime::manifest::TableType { element: vwasm_runtime::manifest::ValueType::FuncRef, limits };
        let table = store.host_table(&ty).unwrap();
        assert!(store.instantiate(&module, &[table]).is_err());
        let instance = store.instantiate(&caller, &[table]).unwrap();
        assert_eq!(call(&mut store, instance, "peek", &[]), 0);
    }
}

/// A panic of a host function goes around the guest and on behind it; the store works as before.
#[test]
fn panics_pass_the_guest() {
    let _alone = alone();
    let module = load(r#"(module (import "host" "f" (func $f)) (func (export "g") (call $f)) (func (export "h")))"#);
    let mut store = store(&Pool::new(1));
    let panics = std::rc::Rc::new(Cell::new(true));
    let now = panics.clone();
    let f = store.host_function(
        &FunctionType::default(),
        Box::new(move |_, _, _| {
            assert!(!now.get(), "on purpose");
            Ok(())
        }),
    );
    let instance = store.instantiate(&module, &[Extern::Function(f.unwrap())]).unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call(&mut store, instance, "g", &[])));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    panics.set(false);
    call(&mut store, instance, "g", &[]);
    call(&mut store, instance, "h", &[]);
}

/// How long making an instance takes, warm: on its own, with a first call, and all until it is gone. The bound is far above what
/// is measured on a quiet machine, because others may be at work.
#[test]
fn warm_instances_are_made_fast() {
    let _alone = alone();
    let functions: String = (0..200).map(|n| format!("(func (export \"f{n}\") (result i32) (i32.const {n}))")).collect();
    let data = "x".repeat(60_000);
    let large = format!(
        r#"(module (memory 17) (table 100 funcref) (elem (i32.const 1) func 0 1 2 3 4 5 6 7 8 9) {functions}
          (func (export "work") (param i32) (result i32) (i32.load8_u (local.get 0))) (data (i32.const 1024) "{data}"))"#
    );
    for (name, text) in [("small", WORK), ("200 functions, 60 kB of data", &large)] {
        let module = load(text);
        for (kind, pool) in [("pool", Pool::new(10)), ("no pool", Pool::default())] {
            let mut times = [const { Vec::new() }; 4];
            for _ in 0..2000 {
                let start = Instant::now();
                let mut store = store(&pool);
                let instance = store.instantiate(&module, &[]).unwrap();
                times[0].push(start.elapsed());
                call(&mut store, instance, "work", &[1]);
                times[1].push(start.elapsed());
                let again = Instant::now();
                call(&mut store, instance, "work", &[1]);
                times[2].push(again.elapsed());
                drop(store);
                times[3].push(start.elapsed() - times[2][times[2].len() - 1]);
            }
            let [made, called, again, gone] = times.map(|mut times| {
                times.sort();
                times[times.len() / 2].as_nanos() as f64 / 1000.0
            });
            println!(
                "{name}, {kind}: made in {made:.2} µs, first call done at {called:.2} (a second one takes {again:.2}), gone at {gone:.2}"
            );
            if kind == "pool" {
                assert!(made < 60.0, "{made} µs");
            }
        }
    }
}
