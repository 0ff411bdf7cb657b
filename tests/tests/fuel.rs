//! Fuel: exact counts, where it ends a program, what travels between instances, what nobody can change by compiling otherwise.

use std::process::Command;
use vwasm::compile::Options;
use vwasm::embed::{Caller, Engine, Error, Instance, Linker, Module, Store};
use vwasm::machine::CpuFeatures;
use vwasm_runtime::layout::TrapCode;
use vwasm_runtime::trap::TrapKind;
use vwasm_tests::support::{Directory, Grants, executable, nothing, text};

const PLENTY: u64 = 1 << 40;

fn engine(cpu: CpuFeatures) -> Engine {
    Engine::new(Options { cpu, fuel: true, ..Options::default() })
}

fn kind<T>(outcome: Result<T, Error>) -> Option<TrapKind> {
    match outcome {
        Ok(_) => None,
        Err(Error::Trap(trap)) => Some(trap.kind),
        Err(other) => panic!("{other}"),
    }
}

const EXHAUSTED: Option<TrapKind> = Some(TrapKind::Code(TrapCode::AllFuelConsumed));

/// What `f` costs with an argument, and that it needs exactly that.
fn cost(module: &str, argument: i32) -> u64 {
    let mut costs = Vec::new();
    for cpu in [CpuFeatures::V2, CpuFeatures::V3] {
        let engine = engine(cpu);
        let module = Module::new(&engine, module.as_bytes()).unwrap();
        let mut store = Store::new(&engine).unwrap();
        let instance = Linker::new().instantiate(&mut store, &module).unwrap();
        let f = instance.typed_func::<i32, i32>(&store, "f").unwrap();
        store.set_fuel(Some(PLENTY));
        f.call(&mut store, argument).unwrap();
        let used = PLENTY - store.fuel().unwrap();
        store.set_fuel(Some(used));
        f.call(&mut store, argument).unwrap();
        assert_eq!(store.fuel(), Some(0));
        store.set_fuel(Some(used - 1));
        assert_eq!(kind(f.call(&mut store, argument)), EXHAUSTED);
        assert_eq!(store.fuel(), Some(0));
        // A store that counts nothing runs the same code.
        store.set_fuel(None);
        f.call(&mut store, argument).unwrap();
        assert_eq!(store.fuel(), None);
        costs.push(used);
    }
    assert_eq!(costs[0], costs[1], "the count depends on the CPU");
    costs[0]
}

/// One for the call of the function, one for each operator but those of structure.
#[test]
fn each_operator_costs_one() {
    let function = |body: &str| {
        format!(
            "(module (memory 40) (table $t 9 funcref) (elem (i32.const 0) $small) (data $d \"{}\") (elem $e func $small $small)
               (type $i (func (param i32) (result i32)))
               (func $small (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
               (func $f (export \"f\") (param i32) (result i32) (local i32) {body}))",
            "x".repeat(256)
        )
    };
    for (body, argument, wanted) in [
        ("(i32.const 1)", 0, 2),
        ("(nop) (drop (i32.const 1)) (block (nop)) (return (i32.const 2))", 0, 3),
        // Both arms: local.get, if, const.
        ("(if (result i32) (local.get 0) (then (i32.const 1)) (else (drop (i32.const 1)) (i32.const 2)))", 1, 4),
        ("(if (result i32) (local.get 0) (then (i32.const 1)) (else (drop (i32.const 1)) (i32.const 2)))", 0, 5),
        ("(if (local.get 0) (then (local.set 1 (i32.const 1)))) (local.get 1)", 1, 6),
        ("(if (local.get 0) (then (local.set 1 (i32.const 1)))) (local.get 1)", 0, 4),
        // local.get, br_if; then const or not.
        ("(block (br_if 0 (local.get 0)) (drop (i32.const 1))) (i32.const 2)", 1, 4),
        ("(block (br_if 0 (local.get 0)) (drop (i32.const 1))) (i32.const 2)", 0, 5),
        (
            "(block (block (block (br_table 0 1 2 (local.get 0))) (return (i32.const 1))) (return (i32.const 2))) (i32.const 3)",
            1,
            4,
        ),
        // Ten times: get, const, sub, tee, br_if.
        ("(loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)", 10, 52),
        // A function that is copied to where it is called costs what it costs when called.
        ("(call $small (local.get 0))", 1, 7),
        ("(call $small (call $small (local.get 0)))", 1, 12),
        ("(call_indirect $t (type $i) (local.get 0) (i32.const 0))", 1, 8),
        (
            "(if (result i32) (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0)))",
            3,
            25,
        ),
        ("(i32.div_u (local.get 0) (i32.const 3))", 7, 4),
        // Known and unknown lengths cost the same: one more for every 64 bytes.
        ("(memory.fill (i32.const 0) (i32.const 1) (i32.const 64)) (i32.const 0)", 0, 7),
        ("(memory.fill (i32.const 0) (i32.const 1) (local.get 0)) (i32.const 0)", 64, 7),
        ("(memory.copy (i32.const 0) (i32.const 1) (local.get 0)) (i32.const 0)", 63, 6),
        ("(memory.copy (i32.const 0) (i32.const 1) (i32.const 63)) (i32.const 0)", 0, 6),
        ("(memory.copy (i32.const 0) (i32.const 1) (local.get 0)) (i32.const 0)", 640_000, 10_006),
        ("(memory.init $d (i32.const 0) (i32.const 0) (local.get 0)) (i32.const 0)", 256, 10),
        ("(table.fill $t (i32.const 0) (ref.null func) (local.get 0)) (i32.const 0)", 8, 14),
        ("(table.copy (i32.const 1) (i32.const 0) (local.get 0)) (i32.const 0)", 8, 14),
        ("(table.init $t $e (i32.const 0) (i32.const 0) (local.get 0)) (i32.const 0)", 2, 8),
        ("(memory.grow (local.get 0))", 1, 3),
    ] {
        assert_eq!(cost(&function(body), argument), wanted, "{body}");
    }
}

/// What is charged before a trap is charged for good; the fuel of a trap for lack of it is gone.
#[test]
fn traps() {
    let engine = engine(CpuFeatures::V3);
    let module = Module::new(
        &engine,
        br#"(module (import "host" "look" (func $look))
          (func (export "forever") (loop (br 0)))
          (func $looks (export "looks") (call $look) (unreachable))
          (func (export "straight") (drop (i32.const 1)) (drop (i32.const 2)) (call $look)))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine).unwrap();
    let mut linker = Linker::new();
    let seen = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = seen.clone();
    let look = move |_: &mut Caller<'_>, ()| {
        count.set(count.get() + 1);
        Ok(())
    };
    linker.func(&mut store, "host", "look", look).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let call = |store: &mut Store, name: &str, fuel: u64| {
        store.set_fuel(Some(fuel));
        let f = instance.typed_func::<(), ()>(store, name).unwrap();
        (kind(f.call(store, ())), store.fuel())
    };
    for fuel in [0, 1, 2, 3, 1000, 10_000_000] {
        assert_eq!(call(&mut store, "forever", fuel), (EXHAUSTED, Some(0)));
    }
    // The call of the function and the call of the host, and then no more of either.
    let unreachable = Some(TrapKind::Code(TrapCode::Unreachable));
    assert_eq!(call(&mut store, "looks", 100), (unreachable.clone(), Some(98)));
    assert_eq!(call(&mut store, "looks", 2), (unreachable, Some(0)));
    assert_eq!(seen.get(), 2);
    // A host function is not called any more when the way to it was too long.
    assert_eq!(call(&mut store, "looks", 1), (EXHAUSTED, Some(0)));
    assert_eq!(call(&mut store, "straight", 3), (EXHAUSTED, Some(0)));
    assert_eq!(seen.get(), 2);
    assert_eq!(call(&mut store, "straight", 4), (None, Some(0)));
    assert_eq!(seen.get(), 3);
}

/// One budget for a store: it goes along into other instances, through the host and back.
#[test]
fn instances_share_it() {
    let engine = engine(CpuFeatures::V3);
    let inner = r#"(module (func (export "g") (param i32) (result i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)))"#;
    let outer = r#"(module (import "inner" "g" (func $g (param i32) (result i32)))
        (import "host" "again" (func $again (param i32) (result i32)))
        (func (export "f") (param i32) (result i32) (i32.add (call $g (local.get 0)) (call $again (local.get 0)))))"#;
    let [inner, outer] = [inner, outer].map(|text| Module::new(&engine, text.as_bytes()).unwrap());
    let mut store = Store::new(&engine).unwrap();
    let mut linker = Linker::new();
    let first = linker.instantiate(&mut store, &inner).unwrap();
    linker.instance(&store, "inner", first).unwrap();
    let g = first.typed_func::<i32, i32>(&store, "g").unwrap();
    linker.func(&mut store, "host", "again", move |caller, n: i32| caller.call(&g, n)).unwrap();
    let second = linker.instantiate(&mut store, &outer).unwrap();
    let f = second.typed_func::<i32, i32>(&store, "f").unwrap();
    // `f`: itself, two gets, two calls, add; `g` twice: itself, five for each round, one get.
    let total = |n: u64| 6 + 2 * (2 + 5 * n);
    for n in [1u64, 10, 1000] {
        store.set_fuel(Some(total(n)));
        assert_eq!(f.call(&mut store, n as i32).unwrap(), 0);
        assert_eq!(store.fuel(), Some(0));
        for less in [1, total(n) / 3, total(n) / 2, total(n) - 1] {
            store.set_fuel(Some(total(n) - less));
            assert_eq!(kind(f.call(&mut store, n as i32)), EXHAUSTED, "{n} {less}");
            assert_eq!(store.fuel(), Some(0));
        }
    }
    // Code that does not count hands on what it was given.
    let plain = Engine::default();
    let between = r#"(module (import "inner" "g" (func $g (param i32) (result i32)))
        (func (export "f") (param i32) (result i32) (drop (i32.const 1)) (call $g (local.get 0))))"#;
    let between = Module::new(&plain, between.as_bytes()).unwrap();
    let third: Instance = linker.instantiate(&mut store, &between).unwrap();
    let f = third.typed_func::<i32, i32>(&store, "f").unwrap();
    store.set_fuel(Some(100));
    f.call(&mut store, 10).unwrap();
    assert_eq!(store.fuel(), Some(48));
}

/// A compiled program with fuel, and what may be taken from it when it is started.
#[test]
fn executables() {
    let directory = Directory::new("fuel");
    let module = "(module (func (export \"_start\") (local i32) (local.set 0 (i32.const 1000))
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))";
    let run = |name: &str, fuel: Option<u64>, narrow: &str| {
        let program = executable(&directory, name, module.as_bytes(), Grants { fuel, ..nothing() });
        let output = Command::new(program).env("VWASM_NARROW", narrow).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    assert_eq!(run("enough", Some(5003), ""), (Some(0), String::new()));
    let (status, error) = run("short", Some(5002), "");
    assert_eq!(status, Some(134));
    assert!(error.ends_with("wasm trap: all fuel consumed\n"), "{error}");
    assert_eq!(run("narrowed", Some(5003), "fuel=5002").0, Some(134));
    assert_eq!(run("widened", Some(5002), "fuel=1000000").0, Some(134));
    // Code that does not count could not keep to it.
    let (status, error) = run("plain", None, "fuel=1000000");
    assert_eq!(status, Some(1));
    assert!(error.contains("VWASM_NARROW: `fuel=1000000` is not understood"), "{error}");
}
