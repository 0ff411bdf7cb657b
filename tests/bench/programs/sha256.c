/* Hashing, 32-bit rotates and adds: SHA-256 over a megabyte, many times. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t k[64];

/* The round constants are the fractions of the cube roots of the first primes: compute them in integers. */
static uint64_t cube_root_fraction(uint32_t p) {
    uint64_t root = 0; /* root * 2^-32, below 8 */
    for (int bit = 34; bit >= 0; bit--) {
        uint64_t r = root | 1ull << bit;
        unsigned __int128 square = (unsigned __int128)r * r;            /* scaled by 2^64 */
        unsigned __int128 high = square >> 64, low = (uint64_t)square;
        unsigned __int128 cube = high * r + (low * r >> 64);             /* scaled by 2^32 */
        if (cube < (unsigned __int128)p << 32) root = r;
    }
    return root;
}

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void block(uint32_t h[8], const uint8_t *p) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], hh = h[7];
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = hh + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i];
        uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        hh = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e, h[5] += f, h[6] += g, h[7] += hh;
}

static void sha256(const uint8_t *p, uint64_t n, uint32_t h[8]) {
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(h, start, sizeof start);
    uint64_t left = n;
    for (; left >= 64; left -= 64, p += 64) block(h, p);
    uint8_t tail[128] = {0};
    memcpy(tail, p, left);
    tail[left] = 0x80;
    uint64_t size = left < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++) tail[size - 1 - (uint64_t)i] = (uint8_t)(n * 8 >> (8 * i));
    block(h, tail);
    if (size == 128) block(h, tail + 64);
}

int main(void) {
    for (uint32_t p = 2, i = 0; i < 64; p++) {
        int prime = 1;
        for (uint32_t d = 2; d * d <= p; d++) prime &= p % d != 0;
        if (prime) k[i++] = (uint32_t)cube_root_fraction(p);
    }
    static uint8_t data[1 << 20];
    uint32_t h[8];
    sha256((const uint8_t *)"abc", 3, h);
    printf("sha256 %08x%08x ", h[0], h[7]);
    for (int i = 0; i < (int)sizeof data; i++) data[i] = (uint8_t)(i * 7 + (i >> 8));
    for (int round = 0; round < 150; round++) {
        sha256(data, sizeof data, h);
        memcpy(data + round * 32, h, 32);
    }
    for (int i = 0; i < 8; i++) printf("%08x", h[i]);
    printf("\n");
    return 0;
}
