;; Immediates, addresses as sums, folded loads, constants that are cheaper otherwise.
(module
  (memory 1)
  (func $sum (param i32 i32) (result i32) (i32.add (i32.add (local.get 0) (local.get 1)) (i32.const 5)))
  (func $scaled (param i64 i64) (result i64) (i64.add (local.get 0) (i64.shl (local.get 1) (i64.const 3))))
  (func $times (param i32) (result i32) (i32.mul (local.get 0) (i32.const 40)))
  (func $loaded (param i32 i32) (result i32) (i32.xor (local.get 0) (i32.load offset=8 (local.get 1))))
  (func $rotate (param i64 i64) (result i64) (i64.rotl (local.get 0) (local.get 1)))
  (func $byte (param i32) (result i32) (i32.and (local.get 0) (i32.const 255))))
