/* malloc and free: many short-lived binary trees beside one long-lived tree, and blocks of mixed sizes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tree {
    struct tree *left, *right;
} tree;

static tree *grow(int depth) {
    tree *t = malloc(sizeof *t);
    if (!t) exit(1);
    t->left = depth ? grow(depth - 1) : NULL;
    t->right = depth ? grow(depth - 1) : NULL;
    return t;
}

static uint32_t count(const tree *t) { return t ? 1 + count(t->left) + count(t->right) : 0; }

static void cut(tree *t) {
    if (!t) return;
    cut(t->left);
    cut(t->right);
    free(t);
}

#define SLOTS 2000

int main(void) {
    tree *kept = grow(15);
    uint64_t nodes = 0;
    for (int depth = 4; depth <= 15; depth++)
        for (int i = 0; i < 1 << (20 - depth); i++) {
            tree *t = grow(depth);
            nodes += count(t);
            cut(t);
        }
    static char *slot[SLOTS];
    static uint32_t size[SLOTS];
    uint32_t x = 1;
    uint64_t bytes = 0;
    for (int i = 0; i < 4000000; i++) {
        x = x * 1664525u + 1013904223u;
        uint32_t at = (x >> 12) % SLOTS;
        if (slot[at]) bytes += (uint8_t)slot[at][size[at] - 1];
        free(slot[at]);
        size[at] = 1 + (x >> 20) % (x & 15 ? 100 : 4000);
        slot[at] = malloc(size[at]);
        if (!slot[at]) return 1;
        slot[at][size[at] - 1] = (char)i;
    }
    printf("bintrees kept %u nodes %llu bytes %llu\n", count(kept), (unsigned long long)nodes, (unsigned long long)bytes);
    cut(kept);
    for (int i = 0; i < SLOTS; i++) free(slot[i]);
    return 0;
}
