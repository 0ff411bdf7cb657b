;; Every access stays a single instruction; a dead load stays; a bounded index is scaled by the address.
(module
  (memory 1)
  (func $load (param i32) (result i64) (i64.load offset=16 (local.get 0)))
  (func $far (param i32) (result i32) (i32.load8_s offset=0x90000000 (local.get 0)))
  (func $dead (param i32) (drop (i32.load (local.get 0))))
  (func $table (param i32) (result f64) (f64.load offset=64 (i32.shl (i32.and (local.get 0) (i32.const 255)) (i32.const 3))))
  (func $wraps (param i32) (result f64) (f64.load offset=64 (i32.shl (local.get 0) (i32.const 3))))
  (func $constant (param i32) (i32.store (local.get 0) (i32.const 7)))
  (func $narrow (param i32 i64) (i64.store16 offset=2 (local.get 0) (local.get 1)))
  (func $grow (param i32) (result i32) (memory.grow (local.get 0))))
