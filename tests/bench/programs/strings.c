/* Strings: make text, tokenise it, search it (naive and Horspool), check UTF-8, fold case, format numbers. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE (1 << 20)

static char text[SIZE + 1], folded[SIZE + 1];
static uint32_t state = 99;
static uint32_t rnd(void) { return state = state * 1664525u + 1013904223u, state >> 8; }

static void make_text(void) {
    static const char *const syllables[] = {"ka", "to", "mi", "re", "lun", "Sha", "or", "ven", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "tion", "ing", "The"};
    int at = 0;
    while (at < SIZE - 32) {
        int parts = 1 + (int)(rnd() % 4);
        for (int i = 0; i < parts; i++) {
            const char *s = syllables[rnd() % 14];
            while (*s) text[at++] = *s++;
        }
        uint32_t sep = rnd() % 16;
        text[at++] = sep == 0 ? '\n' : sep == 1 ? ',' : ' ';
        if (sep == 2) at += sprintf(text + at, "%u ", rnd() % 100000);
    }
    text[at] = 0;
}

static uint32_t naive(const char *hay, size_t len, const char *needle) {
    uint32_t count = 0;
    size_t n = strlen(needle);
    for (const char *p = hay; (p = memchr(p, needle[0], (size_t)(hay + len - p))) != NULL; p++)
        count += strncmp(p, needle, n) == 0;
    return count;
}

static uint32_t horspool(const char *hay, size_t len, const char *needle) {
    size_t n = strlen(needle), skip[256], count = 0;
    for (int i = 0; i < 256; i++) skip[i] = n;
    for (size_t i = 0; i + 1 < n; i++) skip[(uint8_t)needle[i]] = n - 1 - i;
    for (size_t at = 0; at + n <= len; at += skip[(uint8_t)hay[at + n - 1]]) {
        size_t i = n;
        while (i > 0 && hay[at + i - 1] == needle[i - 1]) i--;
        count += i == 0;
    }
    return (uint32_t)count;
}

static uint64_t utf8(const char *s) {
    uint64_t sum = 0, bad = 0;
    for (const uint8_t *p = (const uint8_t *)s; *p;) {
        uint32_t c = *p++;
        int more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : -1;
        if (more < 0) {
            bad++;
            continue;
        }
        if (more) c &= 0x3Fu >> more;
        for (; more > 0; more--) {
            if (*p >> 6 != 2) {
                bad++;
                break;
            }
            c = c << 6 | (*p++ & 63);
        }
        sum = sum * 31 + c;
    }
    return sum + bad;
}

static uint64_t tokens(const char *s) {
    uint64_t h = 0, words = 0, numbers = 0, lines = 0;
    while (*s) {
        if (*s == '\n') lines++, s++;
        else if (*s == ' ' || *s == ',') s++;
        else if (*s >= '0' && *s <= '9') {
            uint64_t v = 0;
            while (*s >= '0' && *s <= '9') v = v * 10 + (uint64_t)(*s++ - '0');
            numbers += v;
        } else {
            uint32_t w = 5381;
            while (*s && *s != ' ' && *s != ',' && *s != '\n') w = w * 33 ^ (uint8_t)*s++;
            h += w;
            words++;
        }
    }
    return h ^ words << 40 ^ numbers << 8 ^ lines;
}

static uint32_t fold(const char *from, char *to) {
    uint32_t changed = 0;
    for (; *from; from++, to++) {
        int upper = *from >= 'A' && *from <= 'Z';
        *to = (char)(upper ? *from + 32 : *from);
        changed += (uint32_t)upper;
    }
    *to = 0;
    return changed;
}

int main(void) {
    make_text();
    size_t len = strlen(text);
    uint64_t h = 0;
    for (int round = 0; round < 60; round++) {
        text[round * 100] = (char)('a' + round);
        h = h * 7 + naive(text, len, "Thelun");
        h = h * 7 + horspool(text, len, "miretovenka");
        h = h * 7 + utf8(text);
        h = h * 7 + tokens(text);
        h = h * 7 + fold(text, folded);
        h = h * 7 + strlen(folded) + (uint64_t)(memcmp(text, folded, len) < 0);
    }
    char number[40];
    for (int i = 0; i < 600000; i++) h += (uint64_t)snprintf(number, sizeof number, "%d:%x", i * 37, i) * (uint8_t)number[2];
    printf("strings %zu %016llx\n", len, (unsigned long long)h);
    return 0;
}
