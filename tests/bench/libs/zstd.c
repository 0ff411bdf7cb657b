/* zstd: text-like, structured and noisy data compressed at three levels and decompressed again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zstd.h"

#define SIZE (4 << 20)

static uint32_t x = 1;
static uint32_t rnd(void) { return x = x * 1664525u + 1013904223u, x >> 8; }

static void text(char *p, size_t n) {
    static const char *const words[] = {"compress", "window", "of ", "the ", "sequence", "literal", "match", "offset", "and ", "in ",
                                        "a ", "table", "entropy", "state", ", ", ".\n", "block", "frame", "dictionary", "to "};
    size_t at = 0;
    while (at < n) {
        uint32_t r = rnd();
        const char *w = words[(r & 255) * (r >> 8 & 255) / 3252 % 20];
        for (; *w && at < n; w++) p[at++] = *w;
        if (at < n && (r >> 16) % 3 == 0) p[at++] = ' ';
        if (at < n && (r >> 16) % 11 == 0) p[at++] = (char)('a' + r % 26);
    }
}

static void records(char *p, size_t n) {
    for (size_t i = 0; i + 16 <= n; i += 16) {
        uint32_t id = (uint32_t)(i / 16), r = rnd();
        uint32_t v[4] = {id, id * 3 + (r & 7), 0x1000 | (r & 0xFF0), r % 5 ? 0 : r};
        memcpy(p + i, v, 16);
    }
}

static void noise(char *p, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = (char)((rnd() >> 4) % 40 + (rnd() >> 4) % 40);
}

static uint64_t digest(const char *p, size_t n) {
    uint64_t h = 14695981039346656037ull;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        h = (h ^ v) * 1099511628211ull;
    }
    return h;
}

int main(void) {
    char *data = malloc(SIZE), *back = malloc(SIZE);
    size_t bound = ZSTD_compressBound(SIZE);
    char *packed = malloc(bound);
    if (!data || !back || !packed) return 1;
    void (*const makers[])(char *, size_t) = {text, records, noise};
    static const char *const names[] = {"text", "records", "noise"};
    static const int levels[] = {1, 3, 9};
    for (int m = 0; m < 3; m++) {
        makers[m](data, SIZE);
        for (int l = 0; l < 3; l++) {
            size_t n = ZSTD_compress(packed, bound, data, SIZE, levels[l]);
            if (ZSTD_isError(n)) return 2;
            for (int round = 0; round < 6; round++) {
                memset(back, round, SIZE / 64);
                if (ZSTD_decompress(back, SIZE, packed, n) != SIZE || memcmp(back, data, SIZE) != 0) {
                    printf("zstd %s level %d: BROKEN\n", names[m], levels[l]);
                    return 3;
                }
            }
            printf("zstd %-8s level %d: %zu -> %zu %016llx\n", names[m], levels[l], (size_t)SIZE, n, (unsigned long long)digest(packed, n));
        }
    }
    free(data), free(back), free(packed);
    return 0;
}
