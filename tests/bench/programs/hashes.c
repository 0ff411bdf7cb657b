/* Hashing: table CRC-32, SipHash-2-4 (64-bit rotates), FNV-1a (byte at a time), Adler-32. */
#include <stdint.h>
#include <stdio.h>

static uint32_t crc_table[256];
static uint8_t data[1 << 20];

static uint32_t crc32(const uint8_t *p, uint32_t n) {
    uint32_t c = ~0u;
    for (uint32_t i = 0; i < n; i++) c = crc_table[(c ^ p[i]) & 255] ^ c >> 8;
    return ~c;
}

static uint64_t rotl(uint64_t x, int n) { return x << n | x >> (64 - n); }

#define SIP(v0, v1, v2, v3)                                              \
    (v0 += v1, v1 = rotl(v1, 13), v1 ^= v0, v0 = rotl(v0, 32), v2 += v3, \
     v3 = rotl(v3, 16), v3 ^= v2, v0 += v3, v3 = rotl(v3, 21), v3 ^= v0, \
     v2 += v1, v1 = rotl(v1, 17), v1 ^= v2, v2 = rotl(v2, 32))

static uint64_t siphash(const uint8_t *p, uint32_t n, uint64_t k0, uint64_t k1) {
    uint64_t v0 = k0 ^ 0x736f6d6570736575ull, v1 = k1 ^ 0x646f72616e646f6dull;
    uint64_t v2 = k0 ^ 0x6c7967656e657261ull, v3 = k1 ^ 0x7465646279746573ull;
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t m = 0;
        for (int j = 7; j >= 0; j--) m = m << 8 | p[i + (uint32_t)j];
        v3 ^= m;
        SIP(v0, v1, v2, v3);
        SIP(v0, v1, v2, v3);
        v0 ^= m;
    }
    uint64_t last = (uint64_t)n << 56;
    for (uint32_t j = i; j < n; j++) last |= (uint64_t)p[j] << (8 * (j - i));
    v3 ^= last;
    SIP(v0, v1, v2, v3);
    SIP(v0, v1, v2, v3);
    v0 ^= last;
    v2 ^= 0xff;
    for (int j = 0; j < 4; j++) SIP(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

static uint64_t fnv(const uint8_t *p, uint32_t n) {
    uint64_t h = 14695981039346656037ull;
    for (uint32_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211ull;
    return h;
}

static uint32_t adler(const uint8_t *p, uint32_t n) {
    uint32_t a = 1, b = 0;
    for (uint32_t i = 0; i < n; i++) a = (a + p[i]) % 65521, b = (b + a) % 65521;
    return b << 16 | a;
}

int main(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int j = 0; j < 8; j++) c = c >> 1 ^ (0xEDB88320u & -(c & 1));
        crc_table[i] = c;
    }
    for (uint32_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 2654435761u >> 13);
    uint64_t h = 0;
    for (uint32_t round = 0; round < 50; round++) {
        uint32_t n = (uint32_t)sizeof data - round * 3;
        h = rotl(h, 9) ^ crc32(data, n);
        h = rotl(h, 9) ^ siphash(data, n, round, h);
        h = rotl(h, 9) ^ fnv(data, n);
        h = rotl(h, 9) ^ adler(data, n);
        for (uint32_t i = 0; i < 8; i++) data[round * 8 + i] ^= (uint8_t)(h >> (8 * i));
    }
    for (uint32_t n = 0; n < 400000; n++) h += siphash(data + n, n & 31, n, ~(uint64_t)n);
    printf("hashes %016llx\n", (unsigned long long)h);
    return 0;
}
