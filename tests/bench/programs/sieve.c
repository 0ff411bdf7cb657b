/* Integer loops: a bit sieve over odd numbers, then Collatz lengths with a memo table. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LIMIT 8000000u
#define COLLATZ 4000000u
#define MEMO (1u << 16)

static uint32_t bits[LIMIT / 64 + 1];
static uint16_t memo[MEMO];

static uint32_t primes(uint32_t limit) {
    memset(bits, 0, sizeof bits);
    for (uint32_t p = 3; p * p < limit; p += 2) {
        if (bits[p >> 6] >> ((p >> 1) & 31) & 1) continue;
        for (uint32_t m = p * p; m < limit; m += 2 * p) bits[m >> 6] |= 1u << ((m >> 1) & 31);
    }
    uint32_t count = 1;
    for (uint32_t p = 3; p < limit; p += 2) count += !(bits[p >> 6] >> ((p >> 1) & 31) & 1);
    return count;
}

static uint32_t collatz(uint32_t start) {
    uint64_t n = start;
    uint32_t steps = 0;
    while (n != 1) {
        if (n < MEMO && memo[n]) {
            steps += memo[n];
            break;
        }
        n = n & 1 ? 3 * n + 1 : n >> 1;
        steps++;
    }
    if (start < MEMO) memo[start] = (uint16_t)steps;
    return steps;
}

int main(void) {
    uint32_t sum = 0;
    for (int round = 0; round < 20; round++) sum = sum * 31 + primes(LIMIT - (uint32_t)round * 1000);
    uint32_t best = 0, best_at = 0;
    uint64_t total = 0;
    for (uint32_t i = 1; i < COLLATZ; i++) {
        uint32_t c = collatz(i);
        total += c;
        if (c > best) best = c, best_at = i;
    }
    printf("sieve %u collatz %u at %u total %llu\n", sum, best, best_at, (unsigned long long)total);
    return 0;
}
