/* Big integers: digits of pi by Machin's formula in base 10^9, and a big factorial. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WORDS 1800
#define BASE 1000000000u

static uint32_t pi[WORDS], term[WORDS], quotient[WORDS];

static int divide(uint32_t *r, const uint32_t *a, uint32_t d) {
    uint64_t rest = 0;
    int nonzero = 0;
    for (int i = 0; i < WORDS; i++) {
        rest = rest * BASE + a[i];
        r[i] = (uint32_t)(rest / d);
        rest %= d;
        nonzero |= r[i] != 0;
    }
    return nonzero;
}

static void add(uint32_t *r, const uint32_t *a) {
    uint32_t carry = 0;
    for (int i = WORDS - 1; i >= 0; i--) {
        uint32_t s = r[i] + a[i] + carry;
        carry = s >= BASE;
        r[i] = carry ? s - BASE : s;
    }
}

static void subtract(uint32_t *r, const uint32_t *a) {
    uint32_t borrow = 0;
    for (int i = WORDS - 1; i >= 0; i--) {
        uint32_t s = r[i] - a[i] - borrow;
        borrow = s > BASE;
        r[i] = borrow ? s + BASE : s;
    }
}

/* pi += sign * scale * arctan(1 / n) */
static void arctan(uint32_t scale, uint32_t n, int sign) {
    memset(term, 0, sizeof term);
    term[0] = scale;
    int more = divide(term, term, n);
    for (uint32_t k = 1; more; k += 2, sign = -sign) {
        divide(quotient, term, k);
        if (sign > 0) add(pi, quotient);
        else subtract(pi, quotient);
        more = divide(term, term, n * n);
    }
}

static uint32_t big[5000];

int main(void) {
    arctan(16, 5, 1);
    arctan(4, 239, -1);
    uint64_t h = 0;
    for (int i = 0; i < WORDS - 2; i++) h = h * 1000003 + pi[i];
    int n = 1;
    big[0] = 1;
    for (uint32_t f = 2; f <= 9500; f++) {
        uint64_t carry = 0;
        for (int i = 0; i < n; i++) {
            carry += (uint64_t)big[i] * f;
            big[i] = (uint32_t)(carry % BASE);
            carry /= BASE;
        }
        if (carry) big[n++] = (uint32_t)carry;
    }
    uint64_t g = 0;
    for (int i = 0; i < n; i++) g = g * 1000003 + big[i];
    printf("pidigits %u.%09u%09u %016llx factorial %d %016llx\n", pi[0], pi[1], pi[2], (unsigned long long)h, n, (unsigned long long)g);
    return 0;
}
