//! The embedding interface: types, links between instances, hostile re-entrancy, handles that do not fit.

use vwasm::embed::{Engine, Error, Instance, Linker, Module, Store, TypedFunc};
use vwasm_runtime::manifest::Grants;
use vwasm_runtime::store::Config;
use vwasm_runtime::trap::Trap;
use vwasm_runtime::wasi;

fn link_error<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Link(message)) => message,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("no error"),
    }
}

#[test]
fn values_of_all_types() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module
          (import "host" "all" (func $all (param i32 i64 f32 f64 i32 i64 f32 f64) (result i32 i64 f32 f64)))
          (func (export "all") (param i32 i64 f32 f64 i32 i64 f32 f64) (result i32 i64 f32 f64)
            (call $all (local.get 0) (local.get 1) (local.get 2) (local.get 3)
              (local.get 4) (local.get 5) (local.get 6) (local.get 7)))
          (global (export "count") (mut i64) (i64.const 5)) (global (export "fixed") f32 (f32.const 1.5)))"#,
    )
    .unwrap();
    type Eight = (i32, i64, f32, f64, u32, u64, f32, f64);
    let mut store = Store::new(&engine).unwrap();
    let mut linker = Linker::new();
    let sum = |_: &mut vwasm::embed::Caller<'_>, (a, b, c, d, e, f, g, h): Eight| {
        Ok((a.wrapping_add(e as i32), b.wrapping_add(f as i64), c + g, d + h))
    };
    linker.func(&mut store, "host", "all", sum).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let all = instance.typed_func::<Eight, (i32, i64, f32, f64)>(&store, "all").unwrap();
    let results = all.call(&mut store, (-1, -2, 1.5, 2.5, u32::MAX, u64::MAX, 0.25, 0.125)).unwrap();
    assert_eq!(results, (-2, -3, 1.75, 2.625));

    let count = instance.global::<i64>(&store, "count").unwrap();
    count.set(&mut store, -7).unwrap();
    assert_eq!(count.get(&store).unwrap(), -7);
    let fixed = instance.global::<f32>(&store, "fixed").unwrap();
    assert_eq!(link_error(fixed.set(&mut store, 0.0)), "the global is not mutable");
    assert_eq!(fixed.get(&store).unwrap(), 1.5);
    assert!(link_error(instance.global::<i32>(&store, "count")).contains("no global of this type"));
    assert!(link_error(instance.typed_func::<(), ()>(&store, "all")).contains("no function of this type"));
    assert!(link_error(instance.typed_func::<(), ()>(&store, "none")).contains("no export"));
    assert!(link_error(instance.memory(&store)).contains("no export"));

    let mut other = Store::new(&engine).unwrap();
    assert_eq!(link_error(all.call(&mut other, (0, 0, 0.0, 0.0, 0, 0, 0.0, 0.0))), "a handle of another store");
    assert_eq!(link_error(linker.instantiate(&mut other, &module)), "a handle of another store");
    assert_eq!(link_error(Linker::new().instantiate(&mut other, &module)), "nothing provides the import host.all");
}

#[test]
fn linked_instances_share_what_they_link() {
    let engine = Engine::default();
    let owner = r#"(module (memory (export "memory") 1 2) (global $n (export "n") (mut i32) (i32.const 0))
      (func (export "bump") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"#;
    let user = r#"(module (import "owner" "memory" (memory 1)) (import "owner" "bump" (func $bump (result i32)))
      (import "owner" "n" (global $n (mut i32)))
      (func (export "use") (result i32) (drop (memory.grow (i32.const 1)))
        (i32.store (i32.const 100000) (call $bump)) (i32.add (global.get $n) (i32.load (i32.const 100000)))))"#;
    let [owner, user] = [owner, user].map(|text| Module::new(&engine, text.as_bytes()).unwrap());
    let mut store = Store::new(&engine).unwrap();
    let mut linker = Linker::new();
    let first = linker.instantiate(&mut store, &owner).unwrap();
    linker.instance(&store, "owner", first).unwrap();
    let second = linker.instantiate(&mut store, &user).unwrap();
    let used = second.typed_func::<(), i32>(&store, "use").unwrap();
    assert_eq!(used.call(&mut store, ()).unwrap(), 2);
    assert_eq!(used.call(&mut store, ()).unwrap(), 4);
    let memory = first.memory(&store).unwrap();
    assert_eq!(memory.data(&store).unwrap().len(), 2 << 16);
    assert_eq!(memory.read(&store, 100_000, 4).unwrap(), [2, 0, 0, 0]);
    assert!(link_error(memory.read(&store, usize::MAX, 2)).contains("not in the memory"));
    memory.data_mut(&mut store).unwrap()[100_000] = 9;
    assert_eq!(memory.read(&store, 100_000, 1).unwrap(), [9]);
}

/// A host function that calls back, grows the caller's memory under its own feet, and traps in the middle.
#[test]
fn re_entrancy() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module (import "host" "back" (func $back (param i32) (result i32))) (memory (export "memory") 1 10)
          (func (export "outer") (param i32) (result i32) (i32.add (call $back (local.get 0)) (memory.size)))
          (func (export "inner") (param i32) (result i32) (drop (memory.grow (i32.const 1)))
            (if (i32.eqz (local.get 0)) (then unreachable)) (i32.store (i32.const 65536) (i32.const 77)) (local.get 0)))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine).unwrap();
    let mut linker = Linker::new();
    let inner = std::rc::Rc::new(std::cell::Cell::new(None::<TypedFunc<i32, i32>>));
    let target = inner.clone();
    let back = move |caller: &mut vwasm::embed::Caller<'_>, n: i32| {
        let before = caller.memory().len();
        let target = target.get().ok_or(Trap::host("not ready"))?;
        let result = caller.call(&target, n);
        assert_eq!(caller.memory().len(), before + 65536);
        if n != 0 {
            assert_eq!(caller.memory()[65536], 77);
        }
        Ok(result.unwrap_or(-1))
    };
    linker.func(&mut store, "host", "back", back).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    inner.set(Some(instance.typed_func(&store, "inner").unwrap()));
    let outer = instance.typed_func::<i32, i32>(&store, "outer").unwrap();
    assert_eq!(outer.call(&mut store, 5).unwrap(), 5 + 2);
    assert_eq!(outer.call(&mut store, 0).unwrap(), -1 + 3);
}

#[test]
fn wasi_and_limits() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        br#"(module (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
          (func (export "count") (result i32) (drop (call $sizes (i32.const 0) (i32.const 4))) (i32.load (i32.const 0)))
          (func (export "end") (call $exit (i32.const 3))) (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#,
    )
    .unwrap();
    let mut store = Store::with_limits(&engine, Config { max_memory_pages: 1, ..Config::default() }).unwrap();
    let mut linker = Linker::new();
    let config = wasi::Config { arguments: vec![b"a".to_vec(), b"b".to_vec()], grants: Grants::default(), trace: false };
    linker.wasi(&mut store, &module, &config).unwrap();
    let instance: Instance = linker.instantiate(&mut store, &module).unwrap();
    assert_eq!(instance.typed_func::<(), u32>(&store, "count").unwrap().call(&mut store, ()).unwrap(), 2);
    assert_eq!(instance.typed_func::<(), i32>(&store, "grow").unwrap().call(&mut store, ()).unwrap(), -1);
    let end = instance.typed_func::<(), ()>(&store, "end").unwrap().call(&mut store, ());
    assert_eq!(end.unwrap_err().to_string(), "wasm trap: exit with status 3");
}

const COUNTER: &str = r#"(module (import "host" "add" (func $add (param i32) (result i32))) (memory (export "memory") 1)
  (table funcref (elem $f $g)) (type $t (func (param i32) (result i32)))
  (func $f (param i32) (result i32) (i32.load8_u (local.get 0))) (func $g (param i32) (result i32) (call $add (local.get 0)))
  (func (export "run") (param i32 i32) (result i32) (block (block (block (br_table 0 1 2 (local.get 0))) (return (i32.const 7))))
    (call_indirect (type $t) (local.get 1) (local.get 0)))
  (data (i32.const 0) "some data"))"#;

fn run_counter(engine: &Engine, module: &Module, args: (i32, i32)) -> Result<i32, Error> {
    let mut store = Store::new(engine)?;
    let mut linker = Linker::new();
    linker.func(&mut store, "host", "add", |_, n: i32| Ok(n + 1))?;
    let instance = linker.instantiate(&mut store, module)?;
    let run = instance.typed_func::<(i32, i32), i32>(&store, "run")?;
    run.call(&mut store, args)
}

#[test]
fn what_was_serialized_runs_as_before() {
    let engine = Engine::default();
    let module = Module::new(&engine, COUNTER.as_bytes()).unwrap();
    let mut bytes = module.serialize();
    let again = Module::deserialize(&engine, &bytes).unwrap();
    assert_eq!(again.serialize(), bytes);
    // What becomes of the caller's bytes is of no concern.
    bytes.fill(0xcc);
    for module in [module, again] {
        assert_eq!(run_counter(&engine, &module, (1, 41)).unwrap(), 42);
        assert_eq!(run_counter(&engine, &module, (0, 5)).unwrap(), 7);
        assert!(matches!(run_counter(&engine, &module, (9, 5)), Err(Error::Trap(_))));
    }
}

/// Whatever is changed in a compiled module, it is rejected or stays in its sandbox.
#[test]
fn changed_bytes_are_rejected_or_harmless() {
    let engine = Engine::default();
    let bytes = Module::new(&engine, COUNTER.as_bytes()).unwrap().serialize();
    let rejected = |bytes: &[u8]| match Module::deserialize(&engine, bytes) {
        Err(Error::Compile(error)) => assert_eq!(error.kind, vwasm::error::ErrorKind::Rejected, "{error}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted"),
    };
    for length in (0..bytes.len()).step_by(7) {
        rejected(&bytes[..length]);
    }
    rejected(&[&bytes[..], &[0]].concat());
    let (mut refused, mut run) = (0, 0);
    for at in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            match Module::deserialize(&engine, &changed) {
                Err(_) => refused += 1,
                Ok(module) => {
                    run += 1;
                    // A result, a trap or a refusal to link: anything but the end of this process.
                    let _ = run_counter(&engine, &module, (1, 41));
                }
            }
        }
    }
    println!("{refused} refused, {run} run");
    assert!(refused > run, "{refused} refused, {run} run");
}

/// Code that writes where it may not, put in place of accepted code, is noticed.
#[test]
fn swapped_code_is_rejected() {
    let engine = Engine::default();
    let module = r#"(module (memory 1) (func (export "f") (param i32) (i32.store offset=16 (local.get 0) (i32.const 1))))"#;
    let bytes = Module::new(&engine, module.as_bytes()).unwrap().serialize();
    // mov [r15 + rdi + 16]: without the prefix that makes the base r15 it is [rdi + rdi + 16].
    let store = bytes.windows(2).position(|pair| pair[0] & 0xf1 == 0x41 && pair[1] == 0xc7).expect("a store to r15 + …");
    let mut changed = bytes.clone();
    changed[store] = 0x40;
    let Err(Error::Compile(error)) = Module::deserialize(&engine, &changed) else { panic!("accepted") };
    assert_eq!(error.kind, vwasm::error::ErrorKind::Rejected);
}

/// Everything a host function may do to the store that waits for it, at once: instantiate, call what traps, call what calls it
/// again, grow memory and table under the caller, change globals, drop other stores, modules and linkers.
#[test]
fn hostile_re_entrancy() {
    use std::cell::RefCell;
    use std::rc::Rc;
    use vwasm::embed::{Extern, Func, Val};
    use vwasm_runtime::manifest::{FunctionType, ValueType};

    let engine = Engine::default();
    let text = r#"(module (import "host" "mischief" (func $mischief (param i32) (result i32)))
      (memory (export "memory") 1 50) (table (export "table") 1 50 funcref) (global (export "g") (mut i32) (i32.const 1))
      (func (export "outer") (param i32) (result i32)
        (i32.store (i32.const 65532) (i32.const 7))
        (i32.add (i32.mul (call $mischief (local.get 0)) (i32.load (i32.const 65532)))
          (i32.add (i32.add (memory.size) (table.size 0)) (global.get 0))))
      (func (export "trap") unreachable)
      (func $down (export "down") (call $down)))"#;
    let module = Module::new(&engine, text.as_bytes()).unwrap();
    let small = Module::new(&engine, b"(module (memory 3) (func (export \"three\") (result i32) (memory.size)))").unwrap();

    struct State {
        instance: Option<Instance>,
        other: Option<(Store, Module, Linker)>,
    }
    let mut other = Store::new(&engine).unwrap();
    Linker::new().instantiate(&mut other, &small).unwrap();
    let state = Rc::new(RefCell::new(State { instance: None, other: Some((other, small.clone(), Linker::new())) }));
    let mut store = Store::new(&engine).unwrap();
    let ty = FunctionType { params: vec![ValueType::I32], results: vec![ValueType::I32] };
    let own = state.clone();
    let mischief = Func::new(&mut store, ty, move |caller, args| {
        let [Val::I32(depth)] = *args else { return Err(Trap::host("another type")) };
        let as_trap = |error: Error| Trap::host(&error.to_string());
        let instance = own.borrow().instance.ok_or_else(|| Trap::host("not ready"))?;
        drop(own.borrow_mut().other.take());
        for name in ["trap", "down"] {
            let func = instance.typed_func::<(), ()>(caller, name).map_err(as_trap)?;
            assert!(matches!(func.call(caller, ()), Err(Error::Trap(_))));
        }
        let new = Linker::new().instantiate(caller, &small).map_err(as_trap)?;
        let three = new.typed_func::<(), i32>(caller, "three").map_err(as_trap)?;
        assert_eq!(three.call(caller, ()).map_err(as_trap)?, 3);
        instance.memory(caller).and_then(|memory| memory.grow(caller, 1)).map_err(as_trap)?;
        let table = instance.table(caller, "table").map_err(as_trap)?;
        table.grow(caller, 1, Val::FuncRef(Some(three.func()))).map_err(as_trap)?;
        let global = instance.global::<i32>(caller, "g").map_err(as_trap)?;
        let value = global.get(caller).map_err(as_trap)?;
        global.set(caller, value + 1).map_err(as_trap)?;
        if depth == 0 {
            return Ok(vec![Val::I32(1)]);
        }
        // Down again, through the guest; what comes of it is the result, a trap included.
        let outer = instance.func(caller, "outer").map_err(as_trap)?;
        match outer.call(caller, &[Val::I32(depth - 1)]) {
            Ok(results) => Ok(results),
            Err(Error::Trap(trap)) => Err(trap),
            Err(error) => Err(as_trap(error)),
        }
    })
    .unwrap();
    let mut linker = Linker::new();
    linker.define("host", "mischief", mischief);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    drop((linker, module));
    state.borrow_mut().instance = Some(instance);
    let outer = instance.typed_func::<i32, i32>(&store, "outer").unwrap();
    // Each level grows memory and table by one and adds one to the global, before the sums are made.
    let mut expected = 1;
    for _ in 0..=3 {
        expected = expected * 7 + (1 + 4) + (1 + 4) + (1 + 4);
    }
    assert_eq!(outer.call(&mut store, 3).unwrap(), expected);
    assert!(state.borrow().other.is_none());
    // Until the memory cannot grow: the innermost failure ends all levels.
    let error = outer.call(&mut store, 1000).unwrap_err().to_string();
    assert_eq!(error, "wasm trap: the memory cannot grow by 1 pages");
    let Extern::Table(table) = instance.export(&store, "table").unwrap() else { panic!() };
    assert_eq!(table.size(&store).unwrap(), 50);
    let Val::FuncRef(Some(three)) = table.get(&store, 49).unwrap() else { panic!() };
    assert_eq!(three.call(&mut store, &[]).unwrap(), [Val::I32(3)]);
    assert!(instance.func(&store, "trap").unwrap().call(&mut store, &[]).is_err());
}

/// Host and guest that call each other without end run out of stack, not of the process's.
#[test]
fn mutual_recursion_ends() {
    use vwasm::embed::{Func, Val};
    let engine = Engine::default();
    let module = Module::new(&engine, br#"(module (import "h" "f" (func $f)) (func (export "g") (call $f)))"#).unwrap();
    let mut store = Store::new(&engine).unwrap();
    let target = std::rc::Rc::new(std::cell::Cell::new(None::<Func>));
    let own = target.clone();
    let f = Func::new(&mut store, vwasm_runtime::manifest::FunctionType::default(), move |caller, _| {
        let func = own.get().ok_or_else(|| Trap::host("not ready"))?;
        match func.call(caller, &[]) {
            Err(Error::Trap(trap)) => Err(trap),
            other => other.map_err(|error| Trap::host(&error.to_string())),
        }
    })
    .unwrap();
    let mut linker = Linker::new();
    linker.define("h", "f", f);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    target.set(Some(instance.func(&store, "g").unwrap()));
    for _ in 0..3 {
        let error = instance.func(&store, "g").unwrap().call(&mut store, &[]).unwrap_err().to_string();
        assert_eq!(error, "wasm trap: call stack exhausted");
    }
    assert!(matches!(f.call(&mut store, &[Val::I32(1)]), Err(Error::Link(_))));
}

/// Threads share engine and module; each has its stores, and traps of one are nothing to the others.
#[test]
fn threads_share_engine_and_module() {
    let engine = Engine::default();
    let module = Module::new(&engine, COUNTER.as_bytes()).unwrap();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (engine, module) = (&engine, &module);
            scope.spawn(move || {
                for round in 0..100 {
                    assert_eq!(run_counter(engine, module, (1, n + round)).unwrap(), n + round + 1);
                    assert!(matches!(run_counter(engine, module, (9, 0)), Err(Error::Trap(_))));
                }
            });
        }
    });
}

#[test]
fn handles_of_another_store_are_refused() {
    use vwasm::embed::{AnyGlobal, Memory, Val};
    let engine = Engine::default();
    let mut mine = Store::new(&engine).unwrap();
    let mut yours = Store::new(&engine).unwrap();
    let memory = Memory::new(&mut yours, 1, Some(2)).unwrap();
    let global = AnyGlobal::new(&mut yours, Val::I64(1), true).unwrap();
    assert_eq!(link_error(memory.data(&mine)), "a handle of another store");
    assert_eq!(link_error(memory.grow(&mut mine, 1)), "a handle of another store");
    assert_eq!(link_error(memory.write(&mut mine, 0, b"x")), "a handle of another store");
    assert_eq!(link_error(global.get(&mine)), "a handle of another store");
    assert_eq!(link_error(global.set(&mut mine, Val::I64(2))), "a handle of another store");
    let mut linker = Linker::new();
    linker.define("a", "m", memory);
    let module = Module::new(&engine, br#"(module (import "a" "m" (memory 1)))"#).unwrap();
    assert_eq!(link_error(linker.instantiate(&mut mine, &module)), "a handle of another store");
    linker.instantiate(&mut yours, &module).unwrap();
    memory.write(&mut yours, 65530, b"abcdef").unwrap();
    assert!(link_error(memory.write(&mut yours, 65531, b"abcdef")).contains("not in the memory"));
    assert_eq!((memory.grow(&mut yours, 1).unwrap(), memory.size(&yours).unwrap()), (1, 2));
    assert!(matches!(memory.grow(&mut yours, 1), Err(Error::Resources(_))));
    assert!(link_error(global.set(&mut yours, Val::I32(2))).contains("I32 where one of type I64"));
}
