/* Hash tables: open addressing with deletion over integers, and chained buckets over strings. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS (1u << 20)
#define BUCKETS 32768u

static uint64_t keys[SLOTS];
static uint32_t values[SLOTS];

static uint32_t where(uint64_t key) {
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdull;
    key ^= key >> 33;
    return (uint32_t)key & (SLOTS - 1);
}

static uint32_t *find(uint64_t key, int insert) {
    uint32_t i = where(key);
    while (keys[i] && keys[i] != key) i = (i + 1) & (SLOTS - 1);
    if (!keys[i]) {
        if (!insert) return NULL;
        keys[i] = key;
        values[i] = 0;
    }
    return &values[i];
}

static void drop(uint64_t key) {
    uint32_t i = where(key);
    while (keys[i] != key) {
        if (!keys[i]) return;
        i = (i + 1) & (SLOTS - 1);
    }
    for (uint32_t j = (i + 1) & (SLOTS - 1); keys[j]; j = (j + 1) & (SLOTS - 1)) {
        uint32_t home = where(keys[j]);
        if (((j - home) & (SLOTS - 1)) >= ((j - i) & (SLOTS - 1))) {
            keys[i] = keys[j];
            values[i] = values[j];
            i = j;
        }
    }
    keys[i] = 0;
}

typedef struct entry {
    struct entry *next;
    uint32_t hash, count;
    char key[];
} entry;
static entry *bucket[BUCKETS];

static uint32_t bump(const char *key) {
    uint32_t h = 2166136261u;
    size_t n = 0;
    for (; key[n]; n++) h = (h ^ (uint8_t)key[n]) * 16777619u;
    for (entry *e = bucket[h % BUCKETS]; e; e = e->next)
        if (e->hash == h && strcmp(e->key, key) == 0) return ++e->count;
    entry *e = malloc(sizeof *e + n + 1);
    if (!e) exit(1);
    memcpy(e->key, key, n + 1);
    e->hash = h;
    e->count = 1;
    e->next = bucket[h % BUCKETS];
    bucket[h % BUCKETS] = e;
    return 1;
}

int main(void) {
    uint64_t x = 1, sum = 0;
    for (uint32_t i = 0; i < 10000000; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t key = (x >> 40) % 700000 + 1;
        switch (x >> 61) {
        case 0: case 1: case 2: *find(key, 1) += i; break;
        case 3: drop(key); break;
        default: {
            uint32_t *v = find(key, 0);
            if (v) sum += *v;
        }
        }
    }
    uint64_t live = 0;
    for (uint32_t i = 0; i < SLOTS; i++) live += keys[i] != 0;
    uint64_t counts = 0;
    for (uint32_t i = 0; i < 4500000; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        char key[16];
        uint32_t v = (uint32_t)(x >> 44) % 60000, n = 0;
        key[n++] = 'k';
        do key[n++] = (char)('a' + v % 26), v /= 26; while (v);
        key[n] = 0;
        counts += bump(key);
    }
    printf("hashtab %016llx live %llu counts %llu\n", (unsigned long long)sum, (unsigned long long)live, (unsigned long long)counts);
    return 0;
}
