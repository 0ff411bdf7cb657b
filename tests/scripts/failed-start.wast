;; An instance that fails while it starts leaves behind what it has written, and functions that others can still reach.

(module $host
  (table (export "t") 6 funcref)
  (memory (export "m") 1)
  (global (export "g") (mut i64) (i64.const 1))
  (func (export "call") (param i32 i32) (result i32) (call_indirect (param i32) (result i32) (local.get 1) (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "g_get") (result i64) (global.get 0)))
(register "host" $host)

(assert_trap
  (module
    (import "host" "t" (table 6 funcref))
    (import "host" "m" (memory 1))
    (import "host" "g" (global $g (mut i64)))
    (global $own (mut i32) (i32.const 100))
    (elem (i32.const 1) $add)
    (data (i32.const 10) "\2a")
    (func $add (param i32) (result i32)
      (global.set $own (i32.add (global.get $own) (local.get 0)))
      (global.get $own))
    (func $start (global.set $g (i64.const 42)) (i32.store8 (i32.const 11) (i32.const 7)) (unreachable))
    (start $start))
  "unreachable")
(assert_return (invoke $host "g_get") (i64.const 42))
(assert_return (invoke $host "load" (i32.const 10)) (i32.const 42))
(assert_return (invoke $host "load" (i32.const 11)) (i32.const 7))
(assert_return (invoke $host "call" (i32.const 1) (i32.const 5)) (i32.const 105))
(assert_return (invoke $host "call" (i32.const 1) (i32.const 5)) (i32.const 110))

;; A segment out of bounds: the ones before it are written, it is not, the ones after it are not.
(assert_trap
  (module
    (import "host" "t" (table 6 funcref))
    (import "host" "m" (memory 1))
    (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (elem (i32.const 2) $twice)
    (elem (i32.const 5) $twice $twice)
    (elem (i32.const 3) $twice)
    (data (i32.const 20) "\01"))
  "out of bounds table access")
(assert_return (invoke $host "call" (i32.const 2) (i32.const 21)) (i32.const 42))
(assert_trap (invoke $host "call" (i32.const 3) (i32.const 21)) "uninitialized element")
(assert_trap (invoke $host "call" (i32.const 5) (i32.const 21)) "uninitialized element")
(assert_return (invoke $host "load" (i32.const 20)) (i32.const 0))
(assert_trap
  (module
    (import "host" "m" (memory 1))
    (data (i32.const 30) "\01")
    (data (i32.const 65535) "\02\03")
    (data (i32.const 31) "\04"))
  "out of bounds memory access")
(assert_return (invoke $host "load" (i32.const 30)) (i32.const 1))
(assert_return (invoke $host "load" (i32.const 31)) (i32.const 0))
(assert_return (invoke $host "load" (i32.const 65535)) (i32.const 0))

;; Start functions that trap inside another instance, or overflow the stack.
(assert_trap
  (module
    (import "host" "load" (func $load (param i32) (result i32)))
    (func $start (drop (call $load (i32.const 65536))))
    (start $start))
  "out of bounds memory access")
(assert_trap (module (func $start (call $start)) (start $start)) "call stack exhausted")
(assert_return (invoke $host "load" (i32.const 30)) (i32.const 1))
