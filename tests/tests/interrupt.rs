//! Ending guest code from another thread: how soon, whatever it is at. The bound is generous, for machines that are busy; the
//! times are printed (`--nocapture`), and measured by `cargo bench -p vwasm-tests --bench interrupt`.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use vwasm::embed::{Engine, Linker, Module, Store};
use vwasm_runtime::trap::TrapKind;
use vwasm_tests::endless::{Endless, WORK, kind};
use vwasm_tests::support::Directory;

const BOUND: Duration = Duration::from_millis(100);

#[test]
fn whatever_it_is_at() {
    let engine = Engine::default();
    let directory = Directory::new("interrupt");
    for (name, work) in WORK {
        let mut endless = Endless::new(&engine, &directory, work);
        const TIMES: usize = 5;
        let mut late = Vec::new();
        for time in 0..TIMES {
            let end = endless.end(Duration::from_millis(30 + 7 * time as u64));
            assert_eq!(end.kind, Some(TrapKind::Interrupted), "{name}");
            late.push(end.late);
        }
        late.sort();
        let (median, worst) = (late[TIMES / 2], late[TIMES - 1]);
        println!("{name:20} median {:6.2} ms, worst {:6.2} ms", median.as_secs_f64() * 1e3, worst.as_secs_f64() * 1e3);
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
