;; A number that is less than one which is known to be 0: never, so anything may be known of it then. What was known was less
;; than before the comparison, not even that it is zero-extended, and the call was rejected.
(module
  (memory 1)
  (data (i32.const 0) "\00\00\00\80")
  (table funcref (elem $called))
  (type $t (func (param i32) (result i32)))
  (func $called (type $t) (i32.add (local.get 0) (i32.const 40)))
  (func (export "f") (param i32 i32 i32) (result i32) (local $x i32) (local $y i32) (local $z i32)
    (local.set $x (i32.shr_u (i32.load (local.get 0)) (i32.const 31)))
    (local.set $y (i32.shr_u (i32.load (local.get 1)) (i32.const 31)))
    (local.set $z (i32.shr_u (i32.load (local.get 2)) (i32.const 31)))
    (if (i32.lt_u (local.get $x) (local.get $y))
      (then
        (if (i32.lt_u (local.get $z) (local.get $x))
          (then (return (call_indirect (type $t) (local.get $z) (i32.const 0)))))
        (return (i32.const 2))))
    (i32.const 1)))

(assert_return (invoke "f" (i32.const 0) (i32.const 4) (i32.const 4)) (i32.const 1))
(assert_return (invoke "f" (i32.const 4) (i32.const 0) (i32.const 4)) (i32.const 2))
(assert_return (invoke "f" (i32.const 4) (i32.const 0) (i32.const 0)) (i32.const 2))
