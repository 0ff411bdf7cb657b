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
