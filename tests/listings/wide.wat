;; The 128-bit product of compiler-rt: two multiplications instead of seven.
(module
  (memory 1)
  (func $multi3 (param i32 i64 i64 i64 i64) (local i64 i64 i64 i64)
    (i64.store offset=8 (local.get 0)
      (i64.add
        (i64.add
          (i64.add
            (i64.add (i64.mul (local.get 1) (local.get 4)) (i64.mul (local.get 2) (local.get 3)))
            (i64.mul (local.tee 5 (i64.shr_u (local.get 3) (i64.const 32))) (local.tee 6 (i64.shr_u (local.get 1) (i64.const 32)))))
          (i64.shr_u
            (local.tee 8
              (i64.add
                (i64.shr_u
                  (local.tee 7 (i64.mul (i64.and (local.get 3) (i64.const 0xffffffff)) (i64.and (local.get 1) (i64.const 0xffffffff))))
                  (i64.const 32))
                (i64.mul (local.get 6) (i64.and (local.get 3) (i64.const 0xffffffff)))))
            (i64.const 32)))
        (i64.shr_u
          (local.tee 8
            (i64.add (i64.and (local.get 8) (i64.const 0xffffffff))
              (i64.mul (local.get 5) (i64.and (local.get 1) (i64.const 0xffffffff)))))
          (i64.const 32))))
    (i64.store (local.get 0)
      (i64.or (i64.shl (local.get 8) (i64.const 32)) (i64.and (local.get 7) (i64.const 0xffffffff))))))
