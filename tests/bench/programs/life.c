/* Bytes and branches: the game of life on a torus of bytes, and flood fill of what lives. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SIDE 512
#define GENERATIONS 300

static uint8_t now[SIDE][SIDE], next[SIDE][SIDE], seen[SIDE][SIDE];
static uint32_t stack[SIDE * SIDE];

static void generation(void) {
    for (int y = 0; y < SIDE; y++) {
        const uint8_t *up = now[(y + SIDE - 1) % SIDE], *at = now[y], *down = now[(y + 1) % SIDE];
        for (int x = 0; x < SIDE; x++) {
            int l = (x + SIDE - 1) % SIDE, r = (x + 1) % SIDE;
            int n = up[l] + up[x] + up[r] + at[l] + at[r] + down[l] + down[x] + down[r];
            next[y][x] = n == 3 || (n == 2 && at[x]);
        }
    }
    memcpy(now, next, sizeof now);
}

static uint32_t clusters(void) {
    const uint8_t *flat = &now[0][0];
    uint8_t *marks = &seen[0][0];
    uint32_t count = 0;
    memset(seen, 0, sizeof seen);
    for (uint32_t start = 0; start < SIDE * SIDE; start++) {
        if (!flat[start] || marks[start]) continue;
        uint32_t depth = 0;
        count++;
        marks[start] = 1;
        stack[depth++] = start;
        while (depth) {
            uint32_t p = stack[--depth], x = p % SIDE, y = p / SIDE;
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++) {
                    uint32_t q = (y + (uint32_t)dy) % SIDE * SIDE + (x + (uint32_t)dx) % SIDE;
                    if (flat[q] && !marks[q]) marks[q] = 1, stack[depth++] = q;
                }
        }
    }
    return count;
}

int main(void) {
    uint32_t x = 2024;
    for (int i = 0; i < SIDE * SIDE; i++) {
        x = x * 1664525u + 1013904223u;
        now[i / SIDE][i % SIDE] = x >> 30 == 0;
    }
    uint64_t sum = 0;
    for (int g = 0; g < GENERATIONS; g++) {
        generation();
        if (g % 4 == 0) sum = sum * 31 + clusters();
    }
    uint32_t alive = 0;
    for (int i = 0; i < SIDE * SIDE; i++) alive += now[i / SIDE][i % SIDE];
    printf("life %u %016llx\n", alive, (unsigned long long)sum);
    return 0;
}
