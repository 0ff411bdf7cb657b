;; Direct, imported and indirect calls; parameters beyond the registers; a small function copied to its call.
(module
  (import "env" "f" (func $imported (param i32) (result i32)))
  (type $unary (func (param i32) (result i32)))
  (table 4 funcref)
  (elem (i32.const 0) $direct)
  (func $direct (param i32) (result i32) (call $imported (i32.add (local.get 0) (i32.const 1))))
  (func $indirect (param i32 i32) (result i32) (call_indirect (type $unary) (local.get 0) (local.get 1)))
  (func $many (param i32 i32 i32 i32 i32 i32 i32 i64) (result i64)
    (i64.add (local.get 7) (i64.extend_i32_u (local.get 6))))
  (func $small (param i64) (result i64) (i64.xor (local.get 0) (i64.shr_u (local.get 0) (i64.const 33))))
  (func $caller (param i64) (result i64) (call $small (call $small (local.get 0))))
  (func $calls_many (result i64)
    (call $direct (i32.const 1)) drop
    (call $many (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.const 7) (i64.const 8))))
