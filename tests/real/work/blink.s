; Real work for avr-as: directives, macros, labels, expressions, sections, an interrupt table.
        .equ    PORTB, 0x05
        .equ    DDRB, 0x04
        .set    DELAY, 16000000 / 4 / 1000

        .macro  out_bit port, bit, level
        .if     \level
        sbi     \port, \bit
        .else
        cbi     \port, \bit
        .endif
        .endm

        .section .vectors, "ax"
        .global __vectors
__vectors:
        rjmp    main
        .rept   25
        rjmp    unexpected
        .endr

        .text
        .global main
        .type   main, @function
main:
        ldi     r16, lo8(RAMEND)
        out     0x3d, r16
        ldi     r16, hi8(RAMEND)
        out     0x3e, r16
        sbi     DDRB, 5
loop:   out_bit PORTB, 5, 1
        rcall   wait
        out_bit PORTB, 5, 0
        rcall   wait
        ldi     r30, lo8(table)
        ldi     r31, hi8(table)
        lpm     r0, Z+
        lpm     r1, Z
        mul     r0, r1
        movw    r24, r0
        sts     counter, r24
        sts     counter + 1, r25
        brne    loop
        rjmp    loop
        .size   main, . - main

wait:   ldi     r25, hi8(DELAY)
        ldi     r24, lo8(DELAY)
1:      sbiw    r24, 1
        brne    1b
        ret

unexpected:
        reti

table:  .byte   1, 2, 3, 4, 'A', 0b1010, 0x7f, -1
        .word   main, loop, wait
        .asciz  "blink\n"
        .balign 2

        .set    RAMEND, 0x08ff

        .data
        .global counter
counter: .word  0x1234
        .bss
buffer: .skip   64
