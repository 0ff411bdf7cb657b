;; Compare and branch as one, loops, br_table with its clamped index.
(module
  (func $max (param i32 i32) (result i32)
    (if (result i32) (i32.gt_s (local.get 0) (local.get 1)) (then (local.get 0)) (else (local.get 1))))
  (func $count (param i32) (result i32) (local i32)
    (loop $again
      (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func $nan (param f64 f64) (result i32) (if (f64.eq (local.get 0) (local.get 1)) (then (return (i32.const 1)))) (i32.const 2))
  (func $switch (param i32) (result i32)
    (block $c (block $b (block $a (br_table $a $b $c (local.get 0))) (return (i32.const 10))) (return (i32.const 11)))
    (i32.const 12))
  (func $choose (param i64 i64 i32) (result i64) (select (local.get 0) (local.get 1) (local.get 2))))
