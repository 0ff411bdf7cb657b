//! The runtime from inside one process: what a hostile guest does at its edges, and what is left when instances go.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use vwasm_runtime::interrupt::Deadline;
use vwasm_runtime::layout::TrapCode;
use vwasm_runtime::manifest::{FunctionType, Limits, ValueType};
use vwasm_runtime::store::{Config, Extern, Module, Store};
use vwasm_runtime::trap::{Trap, TrapKind};
use vwasm_tests::support::*;

fn load(text: &str) -> Arc<Module> {
    let compiled = compiled(text.as_bytes());
    Arc::new(Module::load(compiled.manifest, &compiled.code, &compiled.data).unwrap())
}

fn export(store: &Store, instance: u32, name: &str) -> u32 {
    match store.export(instance, name) {
        Some(Extern::Function(function)) => function,
        other => panic!("{name}: {other:?}"),
    }
}

const EXHAUSTED: TrapKind = TrapKind::Code(TrapCode::CallStackExhausted);

/// A host function enters the guest again, with parameters on the stack, at every depth down to the very end of it.
#[test]
fn host_calls_back_at_the_end_of_the_stack() {
    let params = "i64 ".repeat(40);
    let module = load(&format!(
        r#"(module (import "host" "back" (func $back))
          (func (export "many") (param {params}))
          (func $down (export "down") (call $back) (call $down)))"#
    ));
    for size in (4096..12_000).step_by(88) {
        let mut store = Store::new(Config { stack_size: size, ..Config::default() }).unwrap();
        let (many, calls) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (callee, count) = (many.clone(), calls.clone());
        let back = store.host_function(
            &FunctionType::default(),
            Box::new(move |caller, _, _| {
                count.set(count.get() + 1);
                caller.invoke(callee.get(), &[7; 40], &mut [])
            }),
        );
        let instance = store.instantiate(&module, &[Extern::Function(back.unwrap())]).unwrap();
        many.set(export(&store, instance, "many"));
        let down = export(&store, instance, "down");
        assert_eq!(store.invoke(down, &[], &mut []).unwrap_err().kind, EXHAUSTED);
        assert!(calls.get() > 10);
    }
}

/// Nobody checks the list of sites: whatever it says, what the guest does wrong is a trap, and the guest's alone.
#[test]
fn traps_without_sites_or_with_false_ones() {
    let text =
        r#"(module (memory 1) (func (export "load") (drop (i32.load (i32.const -1)))) (func (export "end") unreachable))"#;
    let records = |code: &dyn Fn(u32) -> u32| -> Vec<u8> {
        (0..64u32).flat_map(|at| [at, code(at), at]).flat_map(u32::to_le_bytes).collect()
    };
    let lists = [Vec::new(), records(&|_| 0), records(&|_| 250), records(&|at| at << 8 | 3), records(&|at| 63 - at)];
    for sites in lists {
        let compiled = compiled(text.as_bytes());
        let mut manifest = compiled.manifest;
        manifest.sites = sites.into();
        assert!(vwasm::verify::check(&manifest, &compiled.code, &compiled.data, &compiled.claims).is_ok());
        let module = Arc::new(Module::load(manifest, &compiled.code, &compiled.data).unwrap());
        let mut store = Store::new(Config::default()).unwrap();
        let instance = store.instantiate(&module, &[]).unwrap();
        for _ in 0..2 {
            let (load, end) = (export(&store, instance, "load"), export(&store, instance, "end"));
            let trap = store.invoke(load, &[], &mut []).unwrap_err();
            assert_eq!(trap.kind, TrapKind::Code(TrapCode::OutOfBoundsMemoryAccess));
            assert!(matches!(store.invoke(end, &[], &mut []).unwrap_err().kind, TrapKind::Code(_)));
        }
    }
}

/// Host and guest that call each other without end are stopped, and a host function is not entered while it runs.
#[test]
fn mutual_recursion() {
    let module = load(r#"(module (import "host" "back" (func $back)) (func (export "f") (call $back)))"#);
    let mut store = Store::new(Config::default()).unwrap();
    let f = Rc::new(Cell::new(0));
    let target = f.clone();
    let back = Box::new(move |caller: &mut vwasm_runtime::store::Caller, _: &[u64], _: &mut [u64]| {
        caller.invoke(target.get(), &[], &mut [])
    });
    let back = store.host_function(&FunctionType::default(), back).unwrap();
    let instance = store.instantiate(&module, &[Extern::Function(back)]).unwrap();
    f.set(export(&store, instance, "f"));
    let trap = store.invoke(f.get(), &[], &mut []).unwrap_err();
    assert_eq!(trap.kind, TrapKind::Host("a host function was entered again while it runs".into()));
    // And all works as before.
    let trap = store.invoke(f.get(), &[], &mut []).unwrap_err();
    assert!(matches!(trap.kind, TrapKind::Host(_)));
}

/// A time limit begun in a host function, reached there and over with it ends nothing of the guest that called it.
#[test]
fn a_limit_ends_nobody_elses_guest() {
    let module = load(
        r#"(module (import "host" "limited" (func $limited))
          (func (export "f") (result i32) (call $limited) (call $limited) (i32.const 7)))"#,
    );
    let mut store = Store::new(Config::default()).expect("a store");
    let limited = store.host_function(
        &FunctionType::default(),
        Box::new(|_, _, _| {
            let limit = Deadline::start(0).expect("a timer");
            while !vwasm_runtime::interrupt::pending() {
                std::hint::spin_loop();
            }
            drop(limit);
            Ok(())
        }),
    );
    let instance = store.instantiate(&module, &[Extern::Function(limited.expect("a function"))]).expect("an instance");
    let mut results = [0];
    assert_eq!(store.invoke(export(&store, instance, "f"), &[], &mut results), Ok(()));
    assert_eq!(results, [7]);
}

/// Which instance each function of a backtrace belongs to, also where calls go from one to another and back.
#[test]
fn backtraces_name_instances() {
    let inner = load(r#"(module (func (export "fails") (param i64) (result i64) unreachable))"#);
    let outer = load(
        r#"(module (import "inner" "fails" (func $fails (param i64) (result i64)))
          (func $calls (export "calls") (param i64) (result i64) (call $fails (call $through (local.get 0))))
          (func $through (param i64) (result i64) (local.get 0)))"#,
    );
    let mut store = Store::new(Config::default()).expect("a store");
    let mut last = store.instantiate(&inner, &[]).expect("the innermost");
    let mut expected = vec![(last, 0)];
    let mut name = "fails";
    for _ in 0..3 {
        let next = store.instantiate(&outer, &[Extern::Function(export(&store, last, name))]).expect("another around it");
        expected.push((next, 1));
        (last, name) = (next, "calls");
    }
    let mut results = [0];
    let trap = store.invoke(export(&store, last, name), &[5], &mut results).expect_err("a trap");
    let found: Vec<(u32, u32)> =
        trap.backtrace.iter().map(|entry| (entry.instance.expect("known"), entry.function)).collect();
    assert_eq!(found, expected);
    for entry in &trap.backtrace {
        assert!(entry.body.expect("known") < entry.offset.expect("known"), "{entry:?}");
    }
}

/// Names of any length come out of a backtrace short, cut between characters; the offsets are all there.
#[test]
fn names_in_backtraces_are_short() {
    use vwasm_runtime::trap::MOST_NAME;
    for (character, length) in [("n", 256), ("n", 257), ("\u{e9}", 1000), ("\u{65e5}", 33_000), ("\u{1f980}", 24_000)] {
        let name = character.repeat(length);
        let module = load(&format!(
            r#"(module $"{name}" (func $"{name}" (export "f") (param i32)
              (if (local.get 0) (then (call 0 (i32.sub (local.get 0) (i32.const 1)))) (else unreachable))))"#
        ));
        let mut store = Store::new(Config::default()).expect("a store");
        let instance = store.instantiate(&module, &[]).expect("an instance");
        let trap = store.invoke(export(&store, instance, "f"), &[100], &mut []).expect_err("a trap");
        assert_eq!(trap.backtrace.len(), 64);
        let whole = name.len() <= MOST_NAME;
        let kept = MOST_NAME / character.len() * character.len();
        let expected = if whole { name.clone() } else { format!("{}…", &name[..kept]) };
        for entry in &trap.backtrace {
            assert_eq!(entry.name.as_ref(), Some(&expected));
            assert_eq!(entry.module, expected);
            assert!(entry.offset.is_some());
        }
        assert!(trap.report().len() < 64 * 1000);
    }
}

/// Stores that are exchanged by whoever owns them, between calls and while another one's guest runs: each stays what it is. (The
/// store of the guest that runs cannot be exchanged: see the documentation of `Caller::store`.)
#[test]
fn stores_that_change_places() {
    use std::cell::RefCell;
    let module = load(
        r#"(module (import "host" "exchange" (func $exchange (result i32))) (global $n (mut i32) (i32.const 0)) (memory 1)
          (func (export "set") (param i32) (global.set $n (local.get 0)) (i32.store (i32.const 0) (local.get 0)))
          (func (export "get") (result i32) (call $exchange) (i32.add (i32.mul (global.get $n) (i32.const 10)))
            (i32.add (i32.mul (i32.load (i32.const 0)) (i32.const 100)))))"#,
    );
    let ty = FunctionType { params: vec![], results: vec![ValueType::I32] };
    let others: Rc<RefCell<Vec<Box<Store>>>> = Rc::default();
    let make = |number: u64| {
        let mut store = Store::new(Config::default()).unwrap();
        let shared = others.clone();
        let exchange = move |caller: &mut vwasm_runtime::store::Caller, _: &[u64], results: &mut [u64]| {
            // The innermost finds nothing to exchange.
            let Ok(mut stores) = shared.try_borrow_mut() else { return Ok(()) };
            stores.reverse();
            for store in stores.iter_mut() {
                let mut value = [0];
                store.invoke(export(store, 0, "get"), &[], &mut value)?;
                results[0] = results[0] * 1000 + value[0];
            }
            // A box may even go while another store's guest runs.
            stores.pop();
            assert_eq!(caller.memory().len(), 65536);
            Ok(())
        };
        let exchange = store.shared_host_function(&ty, Rc::new(exchange)).unwrap();
        let instance = store.instantiate(&module, &[Extern::Function(exchange)]).unwrap();
        store.invoke(export(&store, instance, "set"), &[number], &mut []).unwrap();
        store
    };
    let (mut first, mut second) = (make(1), make(2));
    others.borrow_mut().extend([make(3), make(4)]);
    std::mem::swap(&mut first, &mut second);
    let get = |store: &mut Store| {
        let mut value = [0];
        store.invoke(export(store, 0, "get"), &[], &mut value).unwrap();
        value[0]
    };
    assert_eq!(get(&mut first), 440_330 + 220);
    assert_eq!(get(&mut second), 440 + 110);
    assert_eq!(get(&mut first), 220);
    drop(first);
    assert_eq!(get(&mut second), 110);
}

fn control_word() -> u32 {
    let mut word = 0u32;
    // SAFETY: writes the word.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut word) };
    word
}

fn set_control_word(word: u32) {
    // SAFETY: all exceptions stay masked.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const word) };
}

/// The guest rounds as WebAssembly does whatever the host does; the host's ways are back after return, trap and host call.
#[test]
fn floating_point_control() {
    const STRANGE: u32 = 0xffc0; // towards zero, denormals are zero
    let module = load(
        r#"(module (import "host" "look" (func $look))
          (func (export "third") (param f64) (result f64) (call $look) (f64.div (local.get 0) (f64.const 3)))
          (func (export "trap") unreachable))"#,
    );
    let mut store = Store::new(Config::default()).unwrap();
    let seen = Rc::new(Cell::new(0));
    let look = seen.clone();
    let look = store.host_function(
        &FunctionType::default(),
        Box::new(move |_, _, _| {
            look.set(control_word() & 0xffc0);
            Ok(())
        }),
    );
    let instance = store.instantiate(&module, &[Extern::Function(look.unwrap())]).unwrap();
    let (third, trap) = (export(&store, instance, "third"), export(&store, instance, "trap"));
    let expected = [2.0f64 / 3.0, f64::from_bits(9) / 3.0].map(f64::to_bits);
    let usual = control_word();
    set_control_word(STRANGE);
    let mut results = [[0]; 2];
    let outcomes =
        [2.0f64.to_bits(), 9].into_iter().zip(&mut results).map(|(arg, result)| store.invoke(third, &[arg], result).is_ok());
    let fine = outcomes.fold(true, |all, one| all & one);
    let after_return = control_word() & 0xffc0;
    let trapped = store.invoke(trap, &[], &mut []).is_err();
    let after_trap = control_word() & 0xffc0;
    set_control_word(usual);
    assert!(fine && trapped);
    assert_eq!(results.map(|[result]| result), expected);
    assert_eq!([seen.get(), after_return, after_trap], [STRANGE; 3]);
}

/// References and indices that no valid module has come only from guest code gone wrong; gates refuse them. Here: the edges that
/// a valid module reaches.
#[test]
fn empty_ranges_at_the_end() {
    let module = load(
        r#"(module (memory (export "m") 1 1) (table (export "t") 3 funcref) (data $d "xyz") (elem $e func $f) (func $f)
          (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
          (func (export "copy") (param i32 i32) (memory.copy (local.get 0) (local.get 0) (local.get 1)))
          (func (export "init") (param i32 i32) (memory.init $d (i32.const 0) (local.get 0) (local.get 1)))
          (func (export "table") (param i32 i32) (table.fill 0 (local.get 0) (ref.null func) (local.get 1)))
          (func (export "elem") (param i32 i32) (table.init $e (i32.const 0) (local.get 0) (local.get 1)))
          (func (export "grow") (param i32 i32) (drop (memory.grow (local.get 0))) (drop (table.grow (ref.null func) (local.get 1)))))"#,
    );
    let mut store = Store::new(Config::default()).unwrap();
    let instance = store.instantiate(&module, &[]).unwrap();
    for (name, start, length, good) in [
        ("fill", 65536, 0, true),
        ("fill", 65537, 0, false),
        ("fill", 65535, 1, true),
        ("fill", u32::MAX, u32::MAX, false),
        ("fill", 1, u32::MAX, false),
        ("copy", 65536, 0, true),
        ("copy", 65537, 0, false),
        ("copy", 2, u32::MAX - 1, false),
        ("init", 3, 0, true),
        ("init", 4, 0, false),
        ("init", u32::MAX, 1, false),
        ("init", 1, u32::MAX, false),
        ("table", 3, 0, true),
        ("table", 4, 0, false),
        ("table", u32::MAX, u32::MAX, false),
        ("elem", 1, 0, true),
        ("elem", 2, 0, false),
        ("elem", 1, u32::MAX, false),
        ("grow", u32::MAX, u32::MAX, true), // refused, which is no trap
        ("grow", 1, 1, true),
    ] {
        let function = export(&store, instance, name);
        let outcome = store.invoke(function, &[start.into(), length.into()], &mut []);
        assert_eq!(outcome.is_ok(), good, "{name} {start} {length}");
    }
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

const WORK: &str = r#"(module (memory 1) (table 10 funcref) (global $g (mut i32) (i32.const 0))
  (func (export "work") (param i32) (result i32)
    (i32.store (i32.const 100) (i32.add (i32.load (i32.const 100)) (local.get 0)))
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (i32.add (i32.load (i32.const 100)) (global.get $g)))
  (func (export "trap") (drop (i32.load (i32.const 70000)))))"#;

/// A thousand instances, made, run, trapped and dropped, some refused: nothing of them stays, and none sees another's state.
#[test]
fn a_thousand_instances() {
    let (module, large) = (load(WORK), load("(module (memory 20) (table 20 funcref))"));
    let run = |times: u32| {
        for n in 0..times {
            let limits = Config { max_memory_pages: 10, max_table_elements: 10, ..Config::default() };
            let mut store = Store::new(limits).unwrap();
            let instance = store.instantiate(&module, &[]).unwrap();
            assert!(store.instantiate(&large, &[]).is_err());
            let work = export(&store, instance, "work");
            let mut result = [0];
            store.invoke(work, &[n.into()], &mut result).unwrap();
            assert_eq!(result, [u64::from(n) + 1]);
            let trap = export(&store, instance, "trap");
            let kind = store.invoke(trap, &[], &mut []).unwrap_err().kind;
            assert_eq!(kind, TrapKind::Code(TrapCode::OutOfBoundsMemoryAccess));
            store.invoke(work, &[1], &mut result).unwrap();
            assert_eq!(result, [u64::from(n) + 3]);
        }
    };
    run(10);
    let before = mappings();
    run(1000);
    // Other tests run beside this one.
    assert!(mappings() < before + 200, "{} mappings, {before} before", mappings());
}

/// Threads that each run instances, trapping and not.
#[test]
fn threads() {
    let threads: Vec<_> = (0..8)
        .map(|n: u32| {
            std::thread::spawn(move || {
                let module = load(WORK);
                for round in 0..50 {
                    let mut store = Store::new(Config::default()).unwrap();
                    let instance = store.instantiate(&module, &[]).unwrap();
                    let (work, trap) = (export(&store, instance, "work"), export(&store, instance, "trap"));
                    assert!(store.invoke(trap, &[], &mut []).is_err());
                    let mut result = [0];
                    store.invoke(work, &[u64::from(n * round)], &mut result).unwrap();
                    assert_eq!(result, [u64::from(n * round + 1)]);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// An instance that cannot be made leaves what it was to be linked with as it was.
#[test]
fn refused_instances() {
    let mut store = Store::new(Config { max_table_elements: 5, ..Config::default() }).unwrap();
    let memory = store.host_memory(Limits { min: 1, max: Some(1) }).unwrap();
    let wrong = load(r#"(module (import "host" "m" (memory 2)))"#);
    assert!(store.instantiate(&wrong, &[memory]).is_err());
    assert!(store.instantiate(&wrong, &[]).is_err());
    let large = load(r#"(module (import "host" "m" (memory 1)) (table 6 funcref) (func (export "f")))"#);
    assert!(store.instantiate(&large, &[memory]).is_err());
    let right = load(r#"(module (import "host" "m" (memory 1)) (func (export "f") (result i32) (memory.size)))"#);
    let instance = store.instantiate(&right, &[memory]).unwrap();
    let f = export(&store, instance, "f");
    let mut result = [0];
    store.invoke(f, &[], &mut result).unwrap();
    assert_eq!(result, [1]);
}

/// A trap in a host function that the guest called, and one in a guest that a host function called, end both.
#[test]
fn traps_through_the_host() {
    let module = load(
        r#"(module (import "host" "inner" (func $inner (result i32)))
          (func (export "outer") (result i32) (call $inner))
          (func (export "fails") (result i32) unreachable))"#,
    );
    let mut store = Store::new(Config::default()).unwrap();
    let fails = Rc::new(Cell::new(0));
    let target = fails.clone();
    let ty = FunctionType { params: vec![], results: vec![ValueType::I32] };
    let inner = store.host_function(
        &ty,
        Box::new(move |caller, _, results| {
            let outcome = caller.invoke(target.get(), &[], results);
            assert_eq!(outcome.unwrap_err().kind, TrapKind::Code(TrapCode::Unreachable));
            Err(Trap::host("the inner one failed"))
        }),
    );
    let instance = store.instantiate(&module, &[Extern::Function(inner.unwrap())]).unwrap();
    fails.set(export(&store, instance, "fails"));
    let outer = export(&store, instance, "outer");
    let trap = store.invoke(outer, &[], &mut [0]).unwrap_err();
    assert_eq!(trap.kind, TrapKind::Host("the inner one failed".into()));
    assert_eq!(trap.backtrace.len(), 1);
}
