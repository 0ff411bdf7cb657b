//! `memory.copy` and `memory.fill` with a length known at compile time against the same with a length that is not: every length
//! to 80, every distance between source and destination that makes them overlap, and both ends of memory.

use std::fmt::Write;

const LENGTHS: u32 = 80;

fn module() -> String {
    let mut text = String::from("(module (memory (export \"memory\") 1)\n");
    for n in 0..=LENGTHS {
        let _ = write!(
            text,
            "(func $copy{n} (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const {n})))
             (func $fill{n} (param i32 i32) (memory.fill (local.get 0) (local.get 1) (i32.const {n})))
             (func (export \"copy{n}\") (param i32 i32) (call $copy{n} (local.get 0) (local.get 1)))
             (func (export \"fill{n}\") (param i32 i32) (call $fill{n} (local.get 0) (local.get 1)))\n"
        );
    }
    // Bytes 0..4096 hold a pattern; what differs from 4096..8192 after both operations is counted.
    text.push_str(
        "(func $reset (local i32)
           (loop $next
             (i32.store8 (local.get 0) (i32.mul (i32.add (local.get 0) (i32.const 7)) (i32.const 37)))
             (i32.store8 offset=4096 (local.get 0) (i32.mul (i32.add (local.get 0) (i32.const 7)) (i32.const 37)))
             (br_if $next (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 512)))))
         (func $differ (result i32) (local i32 i32)
           (loop $next
             (local.set 1 (i32.add (local.get 1)
               (i32.ne (i32.load8_u (local.get 0)) (i32.load8_u offset=4096 (local.get 0)))))
             (br_if $next (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 512))))
           (local.get 1))\n",
    );
    for (name, step) in [("copy", "(i32.add (local.get $source) (i32.const 4096))"), ("fill", "(local.get $source)")] {
        for n in 0..=LENGTHS {
            let _ = write!(
                text,
                "(func (export \"{name}_differs{n}\") (param $length i32) (result i32) (local $source i32) (local $bad i32)
                   (local.set $source (i32.const 100))
                   (loop $next
                     (call $reset)
                     (call ${name}{n} (i32.const 200) (local.get $source))
                     (memory.{name} (i32.const 4296) {step} (local.get $length))
                     (local.set $bad (i32.add (local.get $bad) (call $differ)))
                     (br_if $next (i32.lt_u (local.tee $source (i32.add (local.get $source) (i32.const 1))) (i32.const 300))))
                   (local.get $bad))\n"
            );
        }
    }
    text.push_str("(func (export \"last\") (result i32) (i32.load8_u (i32.const 65535)))\n");
    text + ")\n"
}

#[test]
fn known_lengths_do_what_unknown_ones_do() {
    let mut script = module();
    for n in 0..=LENGTHS {
        for name in ["copy", "fill"] {
            let _ = writeln!(script, "(assert_return (invoke \"{name}_differs{n}\" (i32.const {n})) (i32.const 0))");
            // The last place that fits, and the first that does not, as destination and as source: nothing may be written.
            let (fits, beyond) = (65536 - n, 65537 - n);
            let _ = writeln!(script, "(assert_return (invoke \"{name}{n}\" (i32.const {fits}) (i32.const 9)))");
            let trap = "\"out of bounds memory access\"";
            let _ = writeln!(script, "(assert_trap (invoke \"{name}{n}\" (i32.const {beyond}) (i32.const 5)) {trap})");
            let _ = writeln!(script, "(assert_trap (invoke \"{name}{n}\" (i32.const -1) (i32.const 9)) {trap})");
            if n > 1 {
                let _ = writeln!(script, "(assert_trap (invoke \"{name}{n}\" (i32.const 65535) (i32.const 5)) {trap})");
            }
            if name == "fill" && n > 0 {
                let _ = writeln!(script, "(assert_return (invoke \"last\") (i32.const 9))");
            }
        }
        let _ = writeln!(
            script,
            "(assert_trap (invoke \"copy{n}\" (i32.const 0) (i32.const {})) \"out of bounds memory access\")",
            65537 - n
        );
    }
    let report = vwasm::script::run(&script, vwasm::module::features(), &vwasm::compile::Options::default()).unwrap();
    assert!(report.failures.is_empty(), "{:?}", &report.failures[..report.failures.len().min(5)]);
    println!("{} assertions", report.passed);
}

/// Short copies and fills are done in the gate itself where the memory is the instance's own, all others by the handler behind
/// it: both do what slices do, for every length around the border, every overlap, and at both ends of memory.
#[test]
fn own_memory_and_imported() -> Result<(), Box<dyn std::error::Error>> {
    use vwasm::embed::{Engine, Linker, Module, Store};
    const FUNCTIONS: &str = r#"
        (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
        (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))"#;
    const SIZE: usize = 65536;
    let engine = Engine::default();
    let mut store = Store::new(&engine)?;
    let owner = format!("(module (memory (export \"memory\") 1) {FUNCTIONS})");
    let owner = Linker::new().instantiate(&mut store, &Module::new(&engine, owner.as_bytes())?)?;
    let memory = owner.memory(&store)?;
    let user = format!("(module (import \"owner\" \"memory\" (memory 1)) {FUNCTIONS})");
    let mut linker = Linker::new();
    linker.instance(&store, "owner", owner)?;
    let user = linker.instantiate(&mut store, &Module::new(&engine, user.as_bytes())?)?;

    let pattern: Vec<u8> = (0..SIZE).map(|n| (n * 37 + n / 251) as u8).collect();
    let mut random = vwasm_tests::random::Random(1);
    for instance in [owner, user] {
        let copy = instance.typed_func::<(i32, i32, i32), ()>(&store, "copy")?;
        let fill = instance.typed_func::<(i32, i32, i32), ()>(&store, "fill")?;
        for length in 0..300usize {
            for case in 0..200usize {
                // Distances that overlap by little and by much, and both ends.
                let source = match case {
                    0 => 0,
                    1 => SIZE - length,
                    _ => 1000 + random.below(64) as usize,
                };
                let target = match case {
                    0 | 3 => SIZE - length,
                    1 | 4 => 0,
                    5..100 => source - 47 + (case - 5),
                    _ => source - length + random.below(2 * length as u64 + 1) as usize,
                };
                let (low, high) = (source.min(target).saturating_sub(64), (source.max(target) + length + 64).min(SIZE));
                memory.data_mut(&mut store)?[low..high].copy_from_slice(&pattern[low..high]);
                let mut expected = pattern[low..high].to_vec();
                let arguments = (target as i32, source as i32, length as i32);
                if case % 2 == 0 {
                    expected.copy_within(source - low..source - low + length, target - low);
                    copy.call(&mut store, arguments)?;
                } else {
                    expected[target - low..target - low + length].fill(source as u8);
                    fill.call(&mut store, arguments)?;
                }
                let found = &memory.data(&store)?[low..high];
                assert!(found == expected, "case {case}: {length} bytes from {source} to {target}");
            }
            // Beyond the end nothing is written.
            memory.data_mut(&mut store)?.copy_from_slice(&pattern);
            let beyond = (SIZE - length + 1) as i32;
            for (target, source) in [(beyond, 0), (0, beyond), (-1, 0), (0, -1)] {
                let outside = length > 0 || target < 0 || source < 0 || target.max(source) > SIZE as i32;
                assert_eq!(copy.call(&mut store, (target, source, length as i32)).is_err(), outside, "{target} {source}");
                if target != 0 {
                    assert!(fill.call(&mut store, (target, 7, length as i32)).is_err(), "{target}");
                }
            }
            assert!(memory.data(&store)? == pattern);
        }
    }
    Ok(())
}
