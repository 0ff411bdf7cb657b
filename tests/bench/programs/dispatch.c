/* Indirect calls: objects of eight kinds behind function pointers, tables of operators, and a comparator. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct shape shape;
typedef struct {
    uint32_t (*area)(const shape *);
    void (*grow)(shape *, uint32_t);
} methods;
struct shape {
    const methods *m;
    uint32_t a, b;
};

static uint32_t square_area(const shape *s) { return s->a * s->a; }
static uint32_t rect_area(const shape *s) { return s->a * s->b; }
static uint32_t tri_area(const shape *s) { return s->a * s->b / 2; }
static uint32_t ring_area(const shape *s) { return 3 * (s->a * s->a - (s->b & 15)); }
static void grow_a(shape *s, uint32_t k) { s->a = (s->a + k) & 1023; }
static void grow_b(shape *s, uint32_t k) { s->b = (s->b ^ k) & 1023; }
static void grow_both(shape *s, uint32_t k) { s->a = (s->a + k) & 511, s->b = (s->b + 3) & 511; }

static const methods kinds[8] = {
    {square_area, grow_a}, {rect_area, grow_b},    {tri_area, grow_both}, {ring_area, grow_a},
    {square_area, grow_b}, {rect_area, grow_both}, {tri_area, grow_a},    {ring_area, grow_both},
};

typedef uint64_t (*binary)(uint64_t, uint64_t);
static uint64_t op_add(uint64_t x, uint64_t y) { return x + y; }
static uint64_t op_sub(uint64_t x, uint64_t y) { return x - y; }
static uint64_t op_mul(uint64_t x, uint64_t y) { return x * (y | 1); }
static uint64_t op_xor(uint64_t x, uint64_t y) { return x ^ y; }
static uint64_t op_rot(uint64_t x, uint64_t y) { return x << (y & 63) | x >> (-y & 63); }
static uint64_t op_max(uint64_t x, uint64_t y) { return x > y ? x : y; }
static binary volatile operators[6] = {op_add, op_sub, op_mul, op_xor, op_rot, op_max};

static int by_value(const void *x, const void *y) {
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

#define SHAPES 1000

int main(void) {
    static shape s[SHAPES];
    uint32_t seed = 12345;
    for (int i = 0; i < SHAPES; i++) {
        seed = seed * 1664525u + 1013904223u;
        s[i].m = &kinds[seed >> 29];
        s[i].a = seed >> 8 & 255;
        s[i].b = seed >> 16 & 255;
    }
    uint64_t total = 0;
    for (uint32_t round = 0; round < 30000; round++) {
        for (int i = 0; i < SHAPES; i++) {
            total += s[i].m->area(&s[i]);
            if ((round + (uint32_t)i) % 4 == 0) s[i].m->grow(&s[i], round);
        }
    }
    uint64_t x = 1;
    for (uint32_t i = 0; i < 60000000; i++) x = operators[i % 6](x, i);
    static uint32_t keys[300000];
    for (int i = 0; i < 300000; i++) keys[i] = seed = seed * 1664525u + 1013904223u;
    qsort(keys, 300000, sizeof keys[0], by_value);
    printf("dispatch %016llx %016llx %u\n", (unsigned long long)total, (unsigned long long)x, keys[150000]);
    return 0;
}
