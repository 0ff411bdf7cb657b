;; Float arithmetic, NaN in min, conversions that trap and that saturate.
(module
  (memory 1)
  (func $sum (param f64 i32) (result f64) (f64.add (local.get 0) (f64.load (local.get 1))))
  (func $min (param f32 f32) (result f32) (f32.min (local.get 0) (local.get 1)))
  (func $neg (param f64) (result f64) (f64.neg (local.get 0)))
  (func $trunc (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func $trunc_sat (param f32) (result i32) (i32.trunc_sat_f32_u (local.get 0)))
  (func $convert (param i64) (result f64) (f64.convert_i64_u (local.get 0)))
  (func $nearest (param f64) (result f64) (f64.nearest (local.get 0))))
