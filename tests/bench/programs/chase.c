/* Pointer chasing: a shuffled linked list, and a treap searched at random. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NODES 400000

typedef struct node {
    struct node *next;
    uint32_t value;
} node;

typedef struct tree {
    struct tree *left, *right;
    uint32_t key, priority;
} tree;

static uint32_t state = 2463534242u;
static uint32_t rnd(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static tree *insert(tree *t, tree *n) {
    if (!t) return n;
    if (n->key < t->key) {
        t->left = insert(t->left, n);
        if (t->left->priority > t->priority) {
            tree *l = t->left;
            t->left = l->right;
            l->right = t;
            return l;
        }
    } else {
        t->right = insert(t->right, n);
        if (t->right->priority > t->priority) {
            tree *r = t->right;
            t->right = r->left;
            r->left = t;
            return r;
        }
    }
    return t;
}

int main(void) {
    node *nodes = malloc(NODES * sizeof *nodes);
    uint32_t *order = malloc(NODES * sizeof *order);
    if (!nodes || !order) return 1;
    for (uint32_t i = 0; i < NODES; i++) order[i] = i;
    for (uint32_t i = NODES - 1; i > 0; i--) {
        uint32_t j = rnd() % (i + 1), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (uint32_t i = 0; i < NODES; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % NODES]];
        nodes[order[i]].value = i;
    }
    uint64_t sum = 0;
    node *p = nodes;
    for (uint32_t i = 0; i < NODES * 30; i++) {
        sum = sum * 3 + p->value;
        p = p->next;
    }

    tree *pool = calloc(60000, sizeof *pool), *root = NULL;
    if (!pool) return 1;
    for (int i = 0; i < 60000; i++) {
        pool[i].key = rnd() % 1000000;
        pool[i].priority = rnd();
        root = insert(root, &pool[i]);
    }
    uint64_t depth = 0, found = 0;
    for (int i = 0; i < 2500000; i++) {
        uint32_t key = rnd() % 1000000;
        tree *t = root;
        while (t && t->key != key) {
            t = key < t->key ? t->left : t->right;
            depth++;
        }
        found += t != NULL;
    }
    printf("chase %016llx %llu %llu\n", (unsigned long long)sum, (unsigned long long)depth, (unsigned long long)found);
    free(nodes), free(order), free(pool);
    return 0;
}
