//! Ending guest code from another thread: how soon, whatever it is at. The bound is generous, for machines that are busy; the
//! times are printed (`--nocapture`).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use vwasm::embed::{Engine, Error, Linker, Module, Store};
use vwasm_runtime::store::Config;
use vwasm_runtime::trap::TrapKind;
use vwasm_runtime::wasi;
use vwasm_tests::support::Directory;

const BOUND: Duration = Duration::from_millis(100);

fn kind<T>(outcome: Result<T, Error>) -> Option<TrapKind> {
    match outcome {
        Ok(_) => None,
        Err(Error::Trap(trap)) => Some(trap.kind),
        Err(other) => panic!("{other}"),
    }
}

const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $write (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $read (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;

/// What a guest may be at; each goes on until it is ended.
const WORK: [(&str, &str); 13] = [
    ("loop", "(loop (br 0))"),
    ("recursion", "(loop (call $deep (i32.const 1000)) (br 0))"),
    ("memory.fill", "(loop (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x3fffffff)) (br 0))"),
    ("memory.copy up", "(loop (memory.copy (i32.const 1) (i32.const 0) (i32.const 0x3ffffff0)) (br 0))"),
    ("memory.copy down", "(loop (memory.copy (i32.const 0) (i32.const 1) (i32.const 0x3ffffff0)) (br 0))"),
    (
        "short copies",
        "(i32.store (i32.const 0x20000000) (i32.const 100))
         (loop (memory.copy (i32.const 1) (i32.const 0) (i32.load (i32.const 0x20000000))) (br 0))",
    ),
    ("table.fill", "(loop (table.fill (i32.const 0) (ref.func $deep) (i32.const 9000000)) (br 0))"),
    ("table.copy", "(loop (table.copy (i32.const 1) (i32.const 0) (i32.const 8999999)) (br 0))"),
    ("small gates", "(loop (table.set (i32.const 1) (ref.func $deep)) (br 0))"),
    (
        "sleep",
        "(i64.store (i32.const 24) (i64.const 100000000000))
         (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 96)))",
    ),
    ("random_get", "(loop (drop (call $random (i32.const 0) (i32.const 0x3fffffff))) (br 0))"),
    ("write", "(loop (drop (call $write (i32.const 4) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 16))) (br 0))"),
    (
        "write and read",
        "(loop (drop (call $write (i32.const 4) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 16)))
           (drop (call $read (i32.const 4) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 16))) (br 0))",
    ),
];

#[test]
fn whatever_it_is_at() {
    let engine = Engine::default();
    let directory = Directory::new("interrupt");
    for (name, work) in WORK {
        // 256 MiB are written, from a list at 0; the file is descriptor 4.
        let text = format!(
            r#"(module {IMPORTS} (memory (export "memory") 16384) (table 9000000 funcref) (elem declare func $deep)
              (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
              (func (export "work")
                (i32.store (i32.const 32) (i32.const 0x656c6966))
                (drop (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 9)
                  (i64.const -1) (i64.const 0) (i32.const 0) (i32.const 64)))
                (i64.store (i32.const 0) (i64.const 0x1000000000010000))
                (i64.store (i32.const 24) (i64.const 0)) (i64.store (i32.const 32) (i64.const 0))
                {work}))"#
        );
        let module = Module::new(&engine, text.as_bytes()).unwrap();
        let mut store = Store::with_limits(&engine, Config::default()).unwrap();
        let mut linker = Linker::new();
        let config = wasi::Config { arguments: Vec::new(), grants: directory.grants("", "/"), trace: false };
        linker.wasi(&mut store, &module, &config).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let work = instance.typed_func::<(), ()>(&store, "work").unwrap();
        let handle = store.interrupt_handle();
        const TIMES: usize = 5;
        let mut late = Vec::new();
        for time in 0..TIMES {
            let (sender, asked) = mpsc::channel();
            let handle = handle.clone();
            let thread = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(30 + 7 * time as u64));
                sender.send(Instant::now()).unwrap();
                handle.interrupt();
            });
            assert_eq!(kind(work.call(&mut store, ())), Some(TrapKind::Interrupted), "{name}");
            late.push(asked.recv().unwrap().elapsed());
            thread.join().unwrap();
        }
        late.sort();
        let (median, worst) = (late[TIMES / 2], late[TIMES - 1]);
        println!("{name:18} median {:6.2} ms, worst {:6.2} ms", median.as_secs_f64() * 1e3, worst.as_secs_f64() * 1e3);
        assert!(median < BOUND, "{name}: {late:?}");
    }
}

/// A request that comes early ends the next call, and no other; stores are ended one by one.
#[test]
fn one_request_one_call() {
    let engine = Engine::default();
    let text = r#"(module (import "host" "ask" (func $ask))
        (func (export "asks") (call $ask) (loop (br 0)))
        (func (export "forever") (loop (br 0))) (func (export "ends")))"#;
    let module = Module::new(&engine, text.as_bytes()).unwrap();
    let mut stores = Vec::new();
    for _ in 0..2 {
        let mut store = Store::new(&engine).unwrap();
        let mut linker = Linker::new();
        let handle = store.interrupt_handle();
        let asked = Rc::new(Cell::new(0));
        let count = asked.clone();
        let ask = move |_: &mut vwasm::embed::Caller<'_>, ()| {
            count.set(count.get() + 1);
            handle.interrupt();
            Ok(())
        };
        linker.func(&mut store, "host", "ask", ask).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        stores.push((store, instance, asked));
    }
    for round in 1..20 {
        for (store, instance, asked) in &mut stores {
            let [asks, forever, ends] =
                ["asks", "forever", "ends"].map(|name| instance.typed_func::<(), ()>(store, name).unwrap());
            assert_eq!(kind(asks.call(store, ())), Some(TrapKind::Interrupted));
            assert_eq!(asked.get(), round);
            ends.call(store, ()).unwrap();
            store.interrupt_handle().interrupt();
            assert_eq!(kind(forever.call(store, ())), Some(TrapKind::Interrupted));
            ends.call(store, ()).unwrap();
        }
    }
}

/// Interrupting again and again, while calls begin and end: every call either ends by itself or is ended, and the last can.
#[test]
fn at_any_moment() {
    let engine = Engine::default();
    let text = r#"(module (memory 1) (func (export "f") (param i32) (result i32)
        (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 100))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 7)))"#;
    let module = Module::new(&engine, text.as_bytes()).unwrap();
    let mut store = Store::new(&engine).unwrap();
    let instance = Linker::new().instantiate(&mut store, &module).unwrap();
    let f = instance.typed_func::<i32, i32>(&store, "f").unwrap();
    let handle = store.interrupt_handle();
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        while stopped.try_recv().is_err() {
            handle.interrupt();
            std::thread::sleep(Duration::from_micros(150));
        }
    });
    let (mut ended, mut interrupted) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(700) {
        match f.call(&mut store, 3000) {
            Ok(seven) => {
                assert_eq!(seven, 7);
                ended += 1;
            }
            outcome => {
                assert_eq!(kind(outcome), Some(TrapKind::Interrupted));
                interrupted += 1;
            }
        }
    }
    stop.send(()).unwrap();
    thread.join().unwrap();
    println!("{ended} calls ended, {interrupted} were ended");
    assert!(interrupted > 0);
    // A request may be left over.
    let _ = f.call(&mut store, 1);
    assert_eq!(f.call(&mut store, 1).unwrap(), 7);
}
