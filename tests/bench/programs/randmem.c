/* Memory-bound random access: read-modify-write at random places of a 32 MiB table, then random gathers. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LOG 22
#define UPDATES 24000000u

int main(void) {
    uint64_t n = 1u << LOG;
    uint64_t *table = malloc(n * sizeof *table);
    if (!table) return 1;
    for (uint64_t i = 0; i < n; i++) table[i] = i;
    uint64_t x = 0x9E3779B97F4A7C15ull;
    for (uint32_t i = 0; i < UPDATES; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        table[x >> (64 - LOG)] ^= x;
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < UPDATES / 2; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        sum += table[x >> (64 - LOG)] >> (i & 31);
    }
    printf("randmem %016llx\n", (unsigned long long)sum);
    free(table);
    return 0;
}
