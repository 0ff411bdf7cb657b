(set-logic QF_BV)
; x & (x - 1) clears the lowest set bit: popcounts differ by exactly one; and a rewrite of averages without overflow
(declare-fun x () (_ BitVec 24))
(declare-fun y () (_ BitVec 24))
(define-fun average1 () (_ BitVec 24) (bvadd (bvand x y) (bvlshr (bvxor x y) #x000001)))
(define-fun average2 () (_ BitVec 24) ((_ extract 23 0) (bvlshr (bvadd (concat #b0 x) (concat #b0 y)) (_ bv1 25))))
(assert (or (not (= average1 average2)) (and (not (= x #x000000)) (= (bvand x (bvsub x #x000001)) x))))
(check-sat)
(exit)
