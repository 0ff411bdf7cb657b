/* Calls: fib, Ackermann and Takeuchi, none of which a compiler can unwind entirely. */
#include <stdint.h>
#include <stdio.h>

#define NOINLINE __attribute__((noinline))

static NOINLINE uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static NOINLINE uint32_t ackermann(uint32_t m, uint32_t n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

static NOINLINE int tak(int x, int y, int z) {
    return y >= x ? z : tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

static NOINLINE double average(double a, double b, int depth) {
    if (depth == 0) return (a + b) * 0.5;
    double m = (a + b) * 0.5;
    return 0.5 * (average(a, m, depth - 1) + average(m, b, depth - 1)) + 0.25;
}

int main(void) {
    uint32_t f = fib(40);
    uint32_t a = 0;
    for (int i = 0; i < 40; i++) a += ackermann(2, 1500 + (uint32_t)i) + ackermann(3, 7);
    int t = 0;
    for (int i = 0; i < 2; i++) t += tak(20 + i, 12, 6);
    printf("recurse %u %u %d %.6f\n", f, a, t, average(0, 1, 25));
    return 0;
}
