//! Division by constants against division by variables, in one module: for every constant of a list of edges and odd
//! numbers, quotient and remainder of edge and pseudo-random dividends must be the same both ways.

use std::fmt::Write;

fn constants(bits: u32) -> Vec<i64> {
    let mut list: Vec<i64> = (1..=33).chain([60, 100, 125, 641, 1000, 1_000_003, 6_700_417, 10_000_019]).collect();
    for shift in 1..bits {
        let power = 1i64 << shift;
        list.extend([power - 1, power, power.wrapping_add(1)]);
    }
    list.extend((0..40).map(|n: i64| (0x9e37_79b9_7f4a_7c15_u64 as i64).wrapping_mul(n + 1) >> (64 - bits) | 1));
    list.extend(list.clone().iter().map(|constant| constant.wrapping_neg()));
    let mut list: Vec<i64> = list.into_iter().map(|c| if bits == 32 { i64::from(c as i32) } else { c }).collect();
    list.retain(|&constant| constant != 0);
    list.sort_unstable();
    list.dedup();
    list
}

/// A script whose module counts the dividends for which `op` by a constant and by a variable differ.
fn script(ty: &str, op: &str) -> String {
    let bits = if ty == "i32" { 32 } else { 64 };
    let (min, shift) = if bits == 32 { (i64::from(i32::MIN), 13) } else { (i64::MIN, 29) };
    let mut text = String::from("(module\n");
    let mut asserts = String::new();
    for (n, constant) in constants(bits).into_iter().enumerate() {
        // min / -1 traps both ways: such dividends are left out.
        let skip = if op == "div_s" && constant == -1 {
            format!("({ty}.eq (local.get $x) ({ty}.const {min}))")
        } else {
            "(i32.const 0)".into()
        };
        let _ = write!(
            text,
            "(func $constant{n} (param {ty}) (result {ty}) ({ty}.{op} (local.get 0) ({ty}.const {constant})))
             (func $one{n} (param $x {ty}) (param $c {ty}) (result i32)
               (if (result i32) {skip} (then (i32.const 0))
                 (else ({ty}.ne (call $constant{n} (local.get $x)) ({ty}.{op} (local.get $x) (local.get $c))))))
             (func (export \"differ{n}\") (param $c {ty}) (result i32)
               (local $x {ty}) (local $i i32) (local $bad i32)
               (local.set $x ({ty}.const 1))
               (loop $next
                 ;; around multiples of the divisor, around the ends of the range, and anywhere
                 (local.set $bad (i32.add (local.get $bad) (call $one{n} (local.get $x) (local.get $c))))
                 (local.set $bad (i32.add (local.get $bad) (call $one{n} ({ty}.mul (local.get $x) (local.get $c)) (local.get $c))))
                 (local.set $bad (i32.add (local.get $bad) (call $one{n} ({ty}.sub ({ty}.mul (local.get $x) (local.get $c)) ({ty}.const 1)) (local.get $c))))
                 (local.set $bad (i32.add (local.get $bad) (call $one{n} ({ty}.add ({ty}.const {min}) ({ty}.shr_u (local.get $x) ({ty}.const {shift}))) (local.get $c))))
                 (local.set $bad (i32.add (local.get $bad) (call $one{n} ({ty}.sub ({ty}.const {min}) ({ty}.shr_u (local.get $x) ({ty}.const {shift}))) (local.get $c))))
                 (local.set $bad (i32.add (local.get $bad) (call $one{n} ({ty}.extend16_s (local.get $x)) (local.get $c))))
                 (local.set $x ({ty}.add ({ty}.mul (local.get $x) ({ty}.const 1664525)) ({ty}.const 1013904223)))
                 (local.set $x ({ty}.xor (local.get $x) ({ty}.shr_u (local.get $x) ({ty}.const {shift}))))
                 (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 600))))
               (local.get $bad))\n"
        );
        let _ = writeln!(asserts, "(assert_return (invoke \"differ{n}\" ({ty}.const {constant})) (i32.const 0))");
    }
    text + ")\n" + &asserts
}

#[test]
fn by_constants() {
    let mut passed = 0;
    for ty in ["i32", "i64"] {
        for op in ["div_s", "div_u", "rem_s", "rem_u"] {
            let report =
                vwasm::script::run(&script(ty, op), vwasm::module::features(), &vwasm::compile::Options::default()).unwrap();
            assert!(report.failures.is_empty(), "{ty}.{op}: {:?}", &report.failures[..report.failures.len().min(5)]);
            passed += report.passed;
        }
    }
    println!("{passed} divisors agree");
}
