//! Guests that go on until they are ended, whatever they are at, and how late they are when they are ended: for the test and the
//! benchmark of interruption.

use crate::support::Directory;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use vwasm::embed::{Engine, Error, Linker, Module, Store, TypedFunc};
use vwasm_runtime::store::Config;
use vwasm_runtime::trap::TrapKind;
use vwasm_runtime::wasi;

const IMPORTS: &str = r#"
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $write (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $read (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;

/// What a guest may be at; each goes on until it is ended.
pub const WORK: [(&str, &str); 15] = [
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
    ("stores, fresh pages", FRESH),
    ("memory.grow", "(drop (memory.grow (i32.const 100))) (loop (drop (memory.grow (i32.const 1))) (br 0))"),
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

/// A byte written to each page, from the beginning of the memory on and again.
const FRESH: &str = "(i32.store (i32.const 48) (i32.const 0x10000))
    (loop (i32.store8 (i32.load (i32.const 48)) (i32.const 1))
      (i32.store (i32.const 48) (i32.or (i32.const 0x10000) (i32.and (i32.const 0x3fffffff)
        (i32.add (i32.load (i32.const 48)) (i32.const 4096)))))
      (br 0))";

/// A guest at some work, in a store of its own.
pub struct Endless {
    store: Store,
    work: TypedFunc<(), ()>,
}

impl Endless {
    /// What it writes and reads is a file in the directory.
    pub fn new(engine: &Engine, directory: &Directory, work: &str) -> Endless {
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
        let module = Module::new(engine, text.as_bytes()).unwrap();
        let mut store = Store::with_limits(engine, Config::default()).unwrap();
        let mut linker = Linker::new();
        let config = wasi::Config { arguments: Vec::new(), grants: directory.grants("", "/"), trace: false };
        linker.wasi(&mut store, &module, &config).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let work = instance.typed_func::<(), ()>(&store, "work").unwrap();
        Endless { store, work }
    }

    /// Lets it work for a while, then ends it from another thread.
    pub fn end(&mut self, after: Duration) -> End {
        let handle = self.store.interrupt_handle();
        let (sender, asked) = mpsc::channel();
        let clock = Processor::of_this_thread();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(after);
            let moment = (Instant::now(), clock.now());
            handle.interrupt();
            sender.send(moment).unwrap();
        });
        let outcome = self.work.call(&mut self.store, ());
        let now = (Instant::now(), clock.now());
        let moment = asked.recv().unwrap();
        thread.join().unwrap();
        End { kind: kind(outcome), late: now.0.duration_since(moment.0), worked: now.1 - moment.1 }
    }
}

/// How a guest ended.
pub struct End {
    pub kind: Option<TrapKind>,
    /// From the moment before it was asked for until the call is back.
    pub late: Duration,
    /// How much of that its thread had a processor.
    pub worked: Duration,
}

/// The clock that says how long a thread has had a processor, in the kernel or not.
#[derive(Clone, Copy)]
struct Processor(libc::clockid_t);

impl Processor {
    fn of_this_thread() -> Processor {
        let mut clock = 0;
        // SAFETY: the function fills what it is given.
        assert_eq!(unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) }, 0);
        Processor(clock)
    }

    fn now(self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: as above.
        assert_eq!(unsafe { libc::clock_gettime(self.0, &mut time) }, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// What ended a call, if it was a trap.
pub fn kind<T>(outcome: Result<T, Error>) -> Option<TrapKind> {
    match outcome {
        Ok(_) => None,
        Err(Error::Trap(trap)) => Some(trap.kind),
        Err(other) => panic!("{other}"),
    }
}
