/* Wide multiplication: arithmetic modulo 2^255 - 19 in five 51-bit limbs, and Montgomery products of 256 bits. */
#include <stdint.h>
#include <stdio.h>

typedef unsigned __int128 u128;
typedef uint64_t fe[5];

#define MASK ((1ull << 51) - 1)

static void mul(fe r, const fe a, const fe b) {
    u128 t0 = (u128)a[0] * b[0] + (u128)(a[1] * 19) * b[4] + (u128)(a[2] * 19) * b[3] + (u128)(a[3] * 19) * b[2] + (u128)(a[4] * 19) * b[1];
    u128 t1 = (u128)a[0] * b[1] + (u128)a[1] * b[0] + (u128)(a[2] * 19) * b[4] + (u128)(a[3] * 19) * b[3] + (u128)(a[4] * 19) * b[2];
    u128 t2 = (u128)a[0] * b[2] + (u128)a[1] * b[1] + (u128)a[2] * b[0] + (u128)(a[3] * 19) * b[4] + (u128)(a[4] * 19) * b[3];
    u128 t3 = (u128)a[0] * b[3] + (u128)a[1] * b[2] + (u128)a[2] * b[1] + (u128)a[3] * b[0] + (u128)(a[4] * 19) * b[4];
    u128 t4 = (u128)a[0] * b[4] + (u128)a[1] * b[3] + (u128)a[2] * b[2] + (u128)a[3] * b[1] + (u128)a[4] * b[0];
    t1 += (uint64_t)(t0 >> 51);
    t2 += (uint64_t)(t1 >> 51);
    t3 += (uint64_t)(t2 >> 51);
    t4 += (uint64_t)(t3 >> 51);
    r[0] = ((uint64_t)t0 & MASK) + 19 * (uint64_t)(t4 >> 51);
    r[1] = ((uint64_t)t1 & MASK) + (r[0] >> 51);
    r[0] &= MASK;
    r[2] = (uint64_t)t2 & MASK;
    r[3] = (uint64_t)t3 & MASK;
    r[4] = (uint64_t)t4 & MASK;
}

/* The Montgomery product modulo m (four limbs, odd), with -m^-1 mod 2^64 given. */
static void montgomery(uint64_t r[4], const uint64_t a[4], const uint64_t b[4], const uint64_t m[4], uint64_t inverse) {
    uint64_t t[6] = {0};
    for (int i = 0; i < 4; i++) {
        u128 c = 0;
        for (int j = 0; j < 4; j++) {
            c += (u128)a[j] * b[i] + t[j];
            t[j] = (uint64_t)c;
            c >>= 64;
        }
        c += t[4];
        t[4] = (uint64_t)c;
        t[5] = (uint64_t)(c >> 64);
        uint64_t k = t[0] * inverse;
        c = (u128)k * m[0] + t[0];
        c >>= 64;
        for (int j = 1; j < 4; j++) {
            c += (u128)k * m[j] + t[j];
            t[j - 1] = (uint64_t)c;
            c >>= 64;
        }
        c += t[4];
        t[3] = (uint64_t)c;
        t[4] = t[5] + (uint64_t)(c >> 64);
    }
    uint64_t d[4], borrow = 0;
    for (int j = 0; j < 4; j++) {
        u128 x = (u128)t[j] - m[j] - borrow;
        d[j] = (uint64_t)x;
        borrow = (uint64_t)(x >> 64) & 1;
    }
    int keep = t[4] < borrow;
    for (int j = 0; j < 4; j++) r[j] = keep ? t[j] : d[j];
}

int main(void) {
    fe a = {9, 0, 0, 0, 0}, b = {0x123456789ABCD, 0x23456789ABCDE, 0x3456789ABCDEF, 0x456789ABCDEF0, 0x56789ABCDEF01};
    for (int i = 0; i < 8000000; i++) {
        mul(a, a, b);
        if ((i & 3) == 0) mul(b, b, b);
    }
    const uint64_t m[4] = {0xFFFFFFFEFFFFFC2Full, ~0ull, ~0ull, ~0ull};
    uint64_t inverse = 1;
    for (int i = 0; i < 6; i++) inverse *= 2 - m[0] * inverse;
    uint64_t x[4] = {a[0], a[1], a[2], a[3]}, y[4] = {b[0], b[1], b[2], b[3]};
    for (int i = 0; i < 6000000; i++) {
        montgomery(x, x, y, m, -inverse);
        if ((i & 7) == 0) montgomery(y, y, x, m, -inverse);
    }
    uint64_t z = x[0];
    for (uint64_t i = 1; i < 20000000; i++) {
        u128 w = (u128)z * (i | 0xA0761D6478BD642Full);
        z = (uint64_t)w ^ (uint64_t)(w >> 64);
    }
    printf("mulmod %llx %llx %llx %llx %llx\n", (unsigned long long)a[0], (unsigned long long)a[4], (unsigned long long)x[0],
           (unsigned long long)x[3], (unsigned long long)z);
    return 0;
}
