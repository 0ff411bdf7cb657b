/* Bitboards: N queens by bits, population counts, and knight moves flooding a board. */
#include <stdint.h>
#include <stdio.h>

static uint64_t queens(uint32_t all, uint32_t columns, uint32_t left, uint32_t right) {
    if (columns == all) return 1;
    uint64_t count = 0;
    for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
        uint32_t bit = free & -free;
        count += queens(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

static uint64_t knights(uint64_t b) {
    uint64_t l1 = b >> 1 & 0x7F7F7F7F7F7F7F7Full, l2 = b >> 2 & 0x3F3F3F3F3F3F3F3Full;
    uint64_t r1 = b << 1 & 0xFEFEFEFEFEFEFEFEull, r2 = b << 2 & 0xFCFCFCFCFCFCFCFCull;
    uint64_t h1 = l1 | r1, h2 = l2 | r2;
    return h1 << 16 | h1 >> 16 | h2 << 8 | h2 >> 8;
}

int main(void) {
    uint64_t solutions = queens((1u << 14) - 1, 0, 0, 0) + queens((1u << 13) - 1, 0, 0, 0);
    uint64_t x = 88172645463325252ull, distance = 0, bits = 0;
    for (int i = 0; i < 4000000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t blocked = x & x >> 7 & x >> 13, seen = 1ull << __builtin_ctzll(x | 1ull << 63);
        for (;;) {
            uint64_t more = (seen | knights(seen)) & ~blocked;
            if (more == seen || distance > 1ull << 60) break;
            if ((more & ~seen) == 0) break;
            seen |= more;
            distance++;
        }
        bits += (uint64_t)__builtin_popcountll(seen) + (uint64_t)__builtin_clzll(seen | 1);
    }
    printf("queens %llu distance %llu bits %llu\n", (unsigned long long)solutions, (unsigned long long)distance, (unsigned long long)bits);
    return 0;
}
