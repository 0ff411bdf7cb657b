        ldi     r3, 5
        frobnicate r1, r2
        rjmp    nowhere + (
