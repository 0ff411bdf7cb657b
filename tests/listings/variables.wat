;; Globals, own and imported; tables; references.
(module
  (import "env" "g" (global $imported (mut i32)))
  (import "env" "m" (memory 1))
  (global $own (mut i64) (i64.const 3))
  (table $t 8 funcref)
  (func $globals (result i64)
    (global.set $imported (i32.const 1))
    (global.set $own (i64.add (global.get $own) (i64.const 1)))
    (global.get $own))
  (func $imported_memory (param i32) (result i32) (i32.load offset=4 (local.get 0)))
  (func $get (param i32) (result funcref) (table.get $t (local.get 0)))
  (func $set (param i32 funcref) (table.set $t (local.get 0) (local.get 1)))
  (func $null (param i32) (result i32) (ref.is_null (table.get $t (local.get 0)))))
