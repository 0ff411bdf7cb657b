/* An LZ77 compressor with a hash of four bytes, its decompressor, and an order-0 arithmetic coder, round trip. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SIZE (3 << 20)
#define HASH 15

static uint8_t input[SIZE + 8], packed[SIZE + SIZE / 8 + 64], coded[SIZE + SIZE / 4 + 64], unpacked[SIZE + 64];
static uint32_t head[1 << HASH];

static uint32_t load4(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }

static uint8_t *put_length(uint8_t *o, uint32_t n) {
    while (n >= 255) *o++ = 255, n -= 255;
    *o++ = (uint8_t)n;
    return o;
}

/* A token is a byte (literals << 4 | match), long counts continued, literals, two bytes of distance. */
static uint32_t compress(const uint8_t *in, uint32_t n, uint8_t *out) {
    memset(head, 0, sizeof head);
    uint8_t *o = out;
    uint32_t anchor = 0, at = 1;
    while (at + 12 < n) {
        uint32_t h = load4(in + at) * 2654435761u >> (32 - HASH), from = head[h];
        head[h] = at;
        if (from == 0 || at - from > 65535 || load4(in + from) != load4(in + at)) {
            at++;
            continue;
        }
        uint32_t len = 4;
        while (at + len + 8 < n && in[from + len] == in[at + len]) len++;
        uint32_t lits = at - anchor;
        *o++ = (uint8_t)((lits < 15 ? lits : 15) << 4 | (len - 4 < 15 ? len - 4 : 15));
        if (lits >= 15) o = put_length(o, lits - 15);
        memcpy(o, in + anchor, lits);
        o += lits;
        *o++ = (uint8_t)(at - from);
        *o++ = (uint8_t)((at - from) >> 8);
        if (len - 4 >= 15) o = put_length(o, len - 19);
        at += len;
        anchor = at;
    }
    uint32_t lits = n - anchor;
    *o++ = (uint8_t)((lits < 15 ? lits : 15) << 4);
    if (lits >= 15) o = put_length(o, lits - 15);
    memcpy(o, in + anchor, lits);
    return (uint32_t)(o + lits - out);
}

static uint32_t decompress(const uint8_t *in, uint32_t n, uint8_t *out) {
    const uint8_t *p = in, *end = in + n;
    uint8_t *o = out;
    while (p < end) {
        uint32_t token = *p++, lits = token >> 4, len = token & 15;
        if (lits == 15) {
            uint32_t b;
            do lits += b = *p++; while (b == 255);
        }
        for (uint32_t i = 0; i < lits; i++) *o++ = *p++;
        if (p >= end) break;
        uint32_t distance = p[0] | (uint32_t)p[1] << 8;
        p += 2;
        if (len == 15) {
            uint32_t b;
            do len += b = *p++; while (b == 255);
        }
        const uint8_t *from = o - distance;
        for (len += 4; len > 0; len--) *o++ = *from++;
    }
    return (uint32_t)(o - out);
}

/* A binary range coder: each byte as eight decisions in a tree of adaptive probabilities. */
static uint16_t prob[256];

static uint32_t encode(const uint8_t *in, uint32_t n, uint8_t *out) {
    for (int i = 0; i < 256; i++) prob[i] = 2048;
    uint32_t lo = 0, hi = ~0u;
    uint8_t *o = out;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = 1;
        for (int b = 7; b >= 0; b--) {
            uint32_t bit = in[i] >> b & 1, mid = lo + ((hi - lo) >> 12) * prob[node];
            if (bit) hi = mid, prob[node] += (uint16_t)((4096 - prob[node]) >> 5);
            else lo = mid + 1, prob[node] -= prob[node] >> 5;
            node = node << 1 | bit;
            while ((lo ^ hi) >> 24 == 0) *o++ = (uint8_t)(hi >> 24), lo <<= 8, hi = hi << 8 | 255;
        }
    }
    for (int i = 0; i < 4; i++) *o++ = (uint8_t)(lo >> 24), lo <<= 8;
    return (uint32_t)(o - out);
}

static void decode(const uint8_t *in, uint32_t n, uint8_t *out) {
    for (int i = 0; i < 256; i++) prob[i] = 2048;
    uint32_t lo = 0, hi = ~0u, x = 0;
    for (int i = 0; i < 4; i++) x = x << 8 | *in++;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t node = 1;
        while (node < 256) {
            uint32_t mid = lo + ((hi - lo) >> 12) * prob[node], bit = x <= mid;
            if (bit) hi = mid, prob[node] += (uint16_t)((4096 - prob[node]) >> 5);
            else lo = mid + 1, prob[node] -= prob[node] >> 5;
            node = node << 1 | bit;
            while ((lo ^ hi) >> 24 == 0) lo <<= 8, hi = hi << 8 | 255, x = x << 8 | *in++;
        }
        out[i] = (uint8_t)node;
    }
}

int main(void) {
    uint32_t x = 5, at = 0;
    while (at < SIZE) {
        x = x * 1664525u + 1013904223u;
        if (at > 1000 && (x >> 28) < 11) {
            uint32_t from = at - 1 - (x >> 8) % (at < 50000 ? at : 50000), len = 4 + (x >> 24 & 31);
            while (len-- > 0 && at < SIZE) input[at++] = input[from++];
        } else {
            input[at++] = (uint8_t)("etaoin shrdlu\n,."[x >> 27 & 15] ^ (x >> 26 & 1));
        }
    }
    uint32_t packed_size = 0, coded_size = 0;
    int good = 1;
    for (int round = 0; round < 10; round++) {
        packed_size = compress(input, SIZE, packed);
        good &= decompress(packed, packed_size, unpacked) == SIZE && memcmp(unpacked, input, SIZE) == 0;
        input[round * 1000] ^= 1;
    }
    coded_size = encode(packed, packed_size, coded);
    memset(unpacked, 0, sizeof unpacked);
    decode(coded, packed_size < SIZE ? packed_size : SIZE, unpacked);
    good &= memcmp(unpacked, packed, packed_size < SIZE ? packed_size : SIZE) == 0;
    printf("lz %u -> %u -> %u %s\n", SIZE, packed_size, coded_size, good ? "round trip" : "BROKEN");
    return !good;
}
