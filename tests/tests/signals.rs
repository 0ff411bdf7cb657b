//! Signals that the host handles while guest code runs: on a stack set apart, or on the guest's.
//!
//! Handlers are the process's, so each case is a process of its own: this program again, told which case by its environment.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use vwasm::embed::{Engine, Instance, Linker, Module, Store, handled_on_guest_stack};
use vwasm_runtime::layout::TrapCode;
use vwasm_runtime::trap::TrapKind;
use vwasm_tests::endless::kind;
use vwasm_tests::native;

const CASE: &str = "VWASM_TESTS_SIGNALS";

/// Runs a test of this file again as a process of its own, as the case.
fn again(test: &str, case: &str) -> Output {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CASE, case);
    command.output().expect("it runs")
}

fn case() -> Option<String> {
    std::env::var(CASE).ok()
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);
/// Where a variable of the handler's was.
static PLACE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handler(_: i32) {
    // Some of the stack, written to.
    let mut noise = [0x5au8; 2048];
    std::hint::black_box(&mut noise);
    PLACE.store(noise.as_ptr() as usize, Ordering::Relaxed);
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Calls down so deep, and at each depth and on the way back uses registers, memory and stack.
const WORK: &str = r#"(module (memory (export "memory") 1)
  (func $down (param i32 i64) (result i64) (local i64)
    (local.set 2 (i64.mul (local.get 1) (i64.const 6364136223846793005)))
    (if (local.get 0) (then (local.set 2
      (i64.add (call $down (i32.sub (local.get 0) (i32.const 1)) (i64.add (local.get 2) (i64.const 1))) (local.get 2)))))
    (i64.store (i32.and (local.get 0) (i32.const 0xfff8)) (local.get 2))
    (i64.xor (local.get 1) (local.get 2)))
  (func (export "work") (param i32 i32) (result i64) (local i64)
    (loop $again
      (local.set 2 (i64.add (call $down (local.get 0) (i64.extend_i32_u (local.get 1))) (local.get 2)))
      (br_if $again (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
    (local.get 2))
  (func $descend (export "descend") (param i32)
    (if (local.get 0) (then (call $descend (i32.sub (local.get 0) (i32.const 1))) (return)))
    (i32.store (i32.const 0) (i32.const 1))
    (loop $wait (br_if $wait (i32.eqz (i32.load (i32.const 4)))))
    (i32.store (i32.const 0) (i32.const 2)))
  (func (export "wild") (param i32) (result i32) (i32.load (local.get 0))))"#;

fn guest() -> (Store, Instance) {
    let engine = Engine::default();
    let module = Module::new(&engine, WORK.as_bytes()).unwrap();
    let mut store = Store::new(&engine).unwrap();
    let instance = Linker::new().instantiate(&mut store, &module).unwrap();
    (store, instance)
}

fn work(store: &mut Store, instance: Instance) -> i64 {
    let work = instance.typed_func::<(i32, i32), i64>(store, "work").unwrap();
    work.call(store, (500, 3000)).unwrap()
}

/// Sends this thread the signal all the time while it does something.
fn pestered<T>(signal: i32, action: impl FnOnce() -> T) -> T {
    let thread = native::this_thread();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                native::send(thread, signal);
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        let outcome = action();
        over.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Handlers that interrupt guest code change nothing of it, whichever stack they run on; and which that is can be asked.
#[test]
fn handlers_disturb_nobody() {
    let Some(case) = case() else {
        for case in ["guest", "apart"] {
            let output = again("handlers_disturb_nobody", case);
            assert!(output.status.success(), "{case}: {output:?}");
        }
        return;
    };
    let apart = case == "apart";
    let (mut store, instance) = guest();
    let expected = work(&mut store, instance);
    assert!(!handled_on_guest_stack().contains(&libc::SIGUSR1));
    native::handle(libc::SIGUSR1, handler, apart);
    assert_eq!(handled_on_guest_stack().contains(&libc::SIGUSR1), !apart);
    let here = native::stack_of_this_thread();
    let mut outside = 0;
    pestered(libc::SIGUSR1, || {
        for _ in 0..10 {
            assert_eq!(work(&mut store, instance), expected);
            outside += usize::from(!here.contains(&PLACE.load(Ordering::Relaxed)));
        }
        // What is a trap stays one.
        let wild = instance.typed_func::<i32, i32>(&store, "wild").unwrap();
        let outcome = kind(wild.call(&mut store, -1));
        assert_eq!(outcome, Some(TrapKind::Code(TrapCode::OutOfBoundsMemoryAccess)));
    });
    assert!(HANDLED.load(Ordering::Relaxed) > 10);
    assert!(outside > 0, "no handler ever interrupted the guest");
}

/// Where the guest has left no room for the kernel's frame, a handler that wants to run there ends the guest; where it has left
/// none for the handler's own, the process. With a stack set apart neither happens.
#[test]
fn a_full_stack() {
    let Some(case) = case() else {
        for case in ["guest", "apart", "handler"] {
            let output = again("a_full_stack", case);
            match case {
                "handler" => assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}"),
                _ => assert!(output.status.success(), "{case}: {output:?}"),
            }
        }
        return;
    };
    let (mut store, instance) = guest();
    let descend = instance.typed_func::<i32, ()>(&store, "descend").unwrap();
    let memory = instance.memory(&store).unwrap().data_mut(&mut store).unwrap().as_mut_ptr().cast::<u32>();
    // SAFETY: the memory stays where it is while the store lives, and the guest reads and writes whole words.
    let (arrived, go) = unsafe { (AtomicU32::from_ptr(memory), AtomicU32::from_ptr(memory.add(1))) };
    // How deep it goes, when it need not wait there.
    let exhausted = Some(TrapKind::Code(TrapCode::CallStackExhausted));
    go.store(1, Ordering::Relaxed);
    let (mut low, mut high) = (0, 8 << 20);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match kind(descend.call(&mut store, middle)) {
            None => low = middle,
            trap => {
                assert_eq!(trap, exhausted);
                high = middle;
            }
        }
    }
    let frame = (8 << 20) / low;
    assert!((8..1000).contains(&frame), "{frame} bytes each, {low} deep");
    // Room for the kernel's frame, but not for what the handler adds.
    let kernel = native::signal_frame() as i32;
    let deep = if case == "handler" { low - (kernel + 512) / frame } else { low };
    (arrived.store(0, Ordering::Relaxed), go.store(0, Ordering::Relaxed));
    native::handle(libc::SIGUSR1, handler, case == "apart");
    let thread = native::this_thread();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            while arrived.load(Ordering::Relaxed) == 0 {
                std::hint::spin_loop();
            }
            native::send(thread, libc::SIGUSR1);
            // The signal comes before the guest can see this, or soon after.
            std::thread::sleep(Duration::from_millis(100));
            go.store(1, Ordering::Relaxed);
        });
        kind(descend.call(&mut store, deep))
    });
    let expected = if case == "apart" { (None, 1, 2) } else { (exhausted, 0, 1) };
    assert_eq!((outcome, HANDLED.load(Ordering::Relaxed), arrived.load(Ordering::Relaxed)), expected);
    // All works as before.
    assert_eq!(kind(descend.call(&mut store, low)), None);
    let wild = instance.typed_func::<i32, i32>(&store, "wild").unwrap();
    assert_eq!(kind(wild.call(&mut store, -1)), Some(TrapKind::Code(TrapCode::OutOfBoundsMemoryAccess)));
}
