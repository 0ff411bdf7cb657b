;; A table's size as an index into it, and into another: it is compared with the length that it may be itself.
(module
  (table $a 2 2 funcref)
  (table $b 5 9 funcref)
  (elem (table $b) (i32.const 0) func $f $f $f $f $f)
  (func $f (result i32) (i32.const 7))
  (func (export "own") (result i32) (call_indirect $a (result i32) (table.size $a)))
  (func (export "other") (result i32) (call_indirect $b (result i32) (table.size $a)))
  (func (export "jump") (result i32)
    (block $x (block $y (block $z (br_table $x $y $z $x (table.size $a))) (return (i32.const 3))) (return (i32.const 2)))
    (i32.const 1))
  (func (export "less") (result i32) (call_indirect $b (result i32) (i32.sub (table.size $b) (i32.const 1)))))

(assert_trap (invoke "own") "undefined element")
(assert_return (invoke "other") (i32.const 7))
(assert_return (invoke "less") (i32.const 7))
(assert_return (invoke "jump") (i32.const 3))
