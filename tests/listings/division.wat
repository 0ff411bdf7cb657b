;; Explicit traps, and constants without a division.
(module
  (func $div_s (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func $rem_s (param i64 i64) (result i64) (i64.rem_s (local.get 0) (local.get 1)))
  (func $by_7 (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 7)))
  (func $by_16 (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 16)))
  (func $by_10 (param i64) (result i64) (i64.rem_u (local.get 0) (i64.const 10))))
