/* A branchy bytecode interpreter: one switch in a loop, a stack machine that counts primes and sums digits. */
#include <stdint.h>
#include <stdio.h>

enum { PUSH, LOAD, STORE, ADD, SUB, MUL, DIV, MOD, LT, EQ, NOT, DUP, DROP, SWAP, JMP, JZ, ALOAD, ASTORE, XOR, SHL, HALT };

#define CELLS 4096

static int32_t vars[16];
static int32_t cells[CELLS];

static uint64_t run(const int32_t *code) {
    int32_t stack[64];
    int32_t *sp = stack;
    const int32_t *pc = code;
    uint64_t executed = 0;
    for (;;) {
        executed++;
        switch (*pc++) {
        case PUSH: *sp++ = *pc++; break;
        case LOAD: *sp++ = vars[*pc++ & 15]; break;
        case STORE: vars[*pc++ & 15] = *--sp; break;
        case ADD: sp--; sp[-1] = (int32_t)((uint32_t)sp[-1] + (uint32_t)sp[0]); break;
        case SUB: sp--; sp[-1] = (int32_t)((uint32_t)sp[-1] - (uint32_t)sp[0]); break;
        case MUL: sp--; sp[-1] = (int32_t)((uint32_t)sp[-1] * (uint32_t)sp[0]); break;
        case DIV: sp--; sp[-1] = sp[0] > 0 ? sp[-1] / sp[0] : 0; break;
        case MOD: sp--; sp[-1] = sp[0] > 0 ? sp[-1] % sp[0] : 0; break;
        case LT: sp--; sp[-1] = sp[-1] < sp[0]; break;
        case EQ: sp--; sp[-1] = sp[-1] == sp[0]; break;
        case NOT: sp[-1] = !sp[-1]; break;
        case DUP: sp[0] = sp[-1]; sp++; break;
        case DROP: sp--; break;
        case SWAP: { int32_t t = sp[-1]; sp[-1] = sp[-2]; sp[-2] = t; break; }
        case JMP: pc = code + *pc; break;
        case JZ: if (*--sp == 0) pc = code + *pc; else pc++; break;
        case ALOAD: sp[-1] = cells[sp[-1] & (CELLS - 1)]; break;
        case ASTORE: sp -= 2; cells[sp[0] & (CELLS - 1)] = sp[1]; break;
        case XOR: sp--; sp[-1] ^= sp[0]; break;
        case SHL: sp--; sp[-1] = (int32_t)((uint32_t)sp[-1] << (sp[0] & 31)); break;
        case HALT: return executed;
        }
    }
}

static int32_t program[256];
static int at;
static void emit1(int32_t op) { program[at++] = op; }
static void emit2(int32_t op, int32_t arg) { program[at++] = op, program[at++] = arg; }

/* v0 = n, v1 = count of primes below n by trial division, v2 = candidate, v3 = divisor, v4 = hash */
static void assemble(void) {
    emit2(PUSH, 2), emit2(STORE, 2);
    int outer = at;
    emit2(LOAD, 2), emit2(LOAD, 0), emit1(LT);
    int exit_at = at;
    emit2(JZ, 0);
    emit2(PUSH, 2), emit2(STORE, 3);
    int inner = at;
    emit2(LOAD, 2), emit2(LOAD, 3), emit1(DUP), emit1(MUL), emit1(LT);
    emit1(NOT);
    int prime_at = at;
    emit2(JZ, 0); /* 2 < 3*3: prime */
    emit2(LOAD, 2), emit2(LOAD, 3), emit1(MOD);
    int composite_at = at;
    emit2(JZ, 0);
    emit2(LOAD, 3), emit2(PUSH, 1), emit1(ADD), emit2(STORE, 3);
    emit2(JMP, inner);
    program[prime_at + 1] = at;
    emit2(LOAD, 1), emit2(PUSH, 1), emit1(ADD), emit2(STORE, 1);
    program[composite_at + 1] = at;
    emit2(LOAD, 4), emit2(PUSH, 5), emit1(SHL), emit2(LOAD, 4), emit1(XOR), emit2(LOAD, 2), emit1(ADD), emit2(STORE, 4);
    emit2(LOAD, 2), emit2(LOAD, 4), emit1(ASTORE);
    emit2(LOAD, 3), emit1(ALOAD), emit2(LOAD, 4), emit1(XOR), emit2(STORE, 4);
    emit2(LOAD, 2), emit2(PUSH, 1), emit1(ADD), emit2(STORE, 2);
    emit2(JMP, outer);
    program[exit_at + 1] = at;
    emit1(HALT);
}

int main(void) {
    assemble();
    vars[0] = 400000;
    uint64_t executed = run(program);
    printf("interp %llu primes %d hash %08x\n", (unsigned long long)executed, vars[1], (uint32_t)vars[4]);
    return 0;
}
