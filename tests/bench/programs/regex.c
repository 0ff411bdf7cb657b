/* Regular expressions: parse to an NFA, match by sets of states (no backtracking), and a backtracker on the same text. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { CHAR, ANY, CLASS, SPLIT, JUMP, MATCH };
typedef struct {
    uint8_t op, c;
    int16_t x, y;
    uint32_t set[8];
} inst;

static inst prog[200];
static int size;
static const char *pattern;

static int alternation(void);
static int push(uint8_t op, uint8_t c, int x, int y) {
    prog[size].op = op, prog[size].c = c, prog[size].x = (int16_t)x, prog[size].y = (int16_t)y;
    return size++;
}

static void open_gap(int at) {
    memmove(&prog[at + 1], &prog[at], (size_t)(size - at) * sizeof prog[0]);
    size++;
    for (int i = at + 1; i < size; i++)
        if (prog[i].op == SPLIT || prog[i].op == JUMP) {
            if (prog[i].x >= at) prog[i].x++;
            if (prog[i].y >= at) prog[i].y++;
        }
}

static void atom(void) {
    char c = *pattern++;
    if (c == '(') {
        alternation();
        pattern++;
    } else if (c == '.') push(ANY, 0, 0, 0);
    else if (c == '[') {
        int at = push(CLASS, 0, 0, 0), negate = *pattern == '^';
        memset(prog[at].set, 0, sizeof prog[at].set);
        if (negate) pattern++;
        while (*pattern != ']') {
            uint8_t lo = (uint8_t)*pattern++, hi = lo;
            if (*pattern == '-' && pattern[1] != ']') hi = (uint8_t)pattern[1], pattern += 2;
            for (int b = lo; b <= hi; b++) prog[at].set[b >> 5] |= 1u << (b & 31);
        }
        pattern++;
        if (negate) for (int i = 0; i < 8; i++) prog[at].set[i] = ~prog[at].set[i];
    } else push(CHAR, (uint8_t)c, 0, 0);
}

static void sequence(void) {
    while (*pattern && *pattern != '|' && *pattern != ')') {
        int start = size;
        atom();
        if (*pattern == '*') {
            open_gap(start);
            push(JUMP, 0, start, 0);
            prog[start].op = SPLIT, prog[start].x = (int16_t)(start + 1), prog[start].y = (int16_t)size;
            pattern++;
        } else if (*pattern == '+') {
            push(SPLIT, 0, start, size + 1);
            pattern++;
        } else if (*pattern == '?') {
            open_gap(start);
            prog[start].op = SPLIT, prog[start].x = (int16_t)(start + 1), prog[start].y = (int16_t)size;
            pattern++;
        }
    }
}

static int alternation(void) {
    int start = size;
    sequence();
    if (*pattern == '|') {
        open_gap(start);
        int jump = push(JUMP, 0, 0, 0);
        prog[start].op = SPLIT, prog[start].x = (int16_t)(start + 1), prog[start].y = (int16_t)size;
        pattern++;
        alternation();
        prog[jump].x = (int16_t)size;
    }
    return start;
}

static void compile(const char *p) {
    size = 0;
    pattern = p;
    alternation();
    push(MATCH, 0, 0, 0);
}

static int accepts(const inst *i, uint8_t c) {
    switch (i->op) {
    case CHAR: return i->c == c;
    case ANY: return c != '\n';
    case CLASS: return i->set[c >> 5] >> (c & 31) & 1;
    default: return 0;
    }
}

typedef struct { int n; int16_t at[200]; } list;
static uint32_t mark[200], generation;

static void add(list *l, int pc) {
    if (mark[pc] == generation) return;
    mark[pc] = generation;
    if (prog[pc].op == JUMP) add(l, prog[pc].x);
    else if (prog[pc].op == SPLIT) add(l, prog[pc].x), add(l, prog[pc].y);
    else l->at[l->n++] = (int16_t)pc;
}

/* Counts the positions at which some match ends. */
static uint32_t simulate(const char *s) {
    static list a, b;
    list *now = &a, *next = &b;
    uint32_t ends = 0;
    now->n = 0;
    generation++;
    for (;; s++) {
        add(now, 0);
        generation++;
        next->n = 0;
        for (int i = 0; i < now->n; i++) {
            int pc = now->at[i];
            if (prog[pc].op == MATCH) ends++;
            else if (*s && accepts(&prog[pc], (uint8_t)*s)) add(next, pc + 1);
        }
        if (!*s) return ends;
        list *t = now;
        now = next;
        next = t;
    }
}

static int backtrack(int pc, const char *s) {
    for (;;) {
        switch (prog[pc].op) {
        case MATCH: return 1;
        case JUMP: pc = prog[pc].x; break;
        case SPLIT:
            if (backtrack(prog[pc].x, s)) return 1;
            pc = prog[pc].y;
            break;
        default:
            if (!*s || !accepts(&prog[pc], (uint8_t)*s)) return 0;
            pc++, s++;
        }
    }
}

static char text[200001];

int main(void) {
    static const char *const patterns[] = {
        "[a-z]+@[a-z]+.(com|org|net)", "(ab|ba)+c?d", "[0-9]+(,[0-9][0-9][0-9])*", "x[^y]*y", "(a|b|c|d|e)+f", "t(e|o)+(st|ast)",
    };
    static const char *const pieces[] = {"abba", "cd ", "test", "toast ", "me@home.com ", "12,345", " x", "y", "edcbaf ", "\n", "zz", "1"};
    uint32_t x = 3;
    int at = 0;
    while (at < 199980) {
        x = x * 1664525u + 1013904223u;
        for (const char *p = pieces[(x >> 16) % 12]; *p;) text[at++] = *p++;
    }
    uint64_t h = 0;
    for (int round = 0; round < 14; round++)
        for (int i = 0; i < 6; i++) {
            compile(patterns[i]);
            h = h * 1000003 + simulate(text);
            uint32_t starts = 0;
            for (const char *s = text; *s; s++) starts += (uint32_t)backtrack(0, s);
            h = h * 1000003 + starts;
            text[round * 50 + i] = '@';
        }
    printf("regex %016llx\n", (unsigned long long)h);
    return 0;
}
