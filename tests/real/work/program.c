/* Real work for cc1: compiled for an AVR at -O2. */
typedef unsigned char u8;
typedef unsigned int u16;
typedef unsigned long u32;

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

struct sensor {
    u8 port;
    u16 (*read)(const struct sensor *);
    long history[8];
    u8 at;
    const char *name;
};

static volatile u8 *const PORTB = (volatile u8 *)0x25;
static u32 seed = 1;

static u16 random16(void) {
    seed = seed * 1664525UL + 1013904223UL;
    return (u16)(seed >> 16);
}

static u16 read_plain(const struct sensor *s) { return (u16)(random16() % (s->port + 3u)); }

static u16 read_smooth(const struct sensor *s) {
    long sum = 0;
    for (u8 i = 0; i < 8; i++) sum += s->history[i];
    return (u16)(sum / 8 + read_plain(s));
}

static struct sensor sensors[] = {
    {1, read_plain, {0}, 0, "one"},
    {200, read_smooth, {5, 4, 3, 2, 1}, 0, "two"},
    {77, read_smooth, {-1}, 0, "three"},
};

u16 crc16(const u8 *p, u16 n) {
    u16 c = 0xFFFF;
    while (n--) {
        c ^= *p++;
        for (u8 i = 0; i < 8; i++) c = c & 1 ? (c >> 1) ^ 0xA001 : c >> 1;
    }
    return c;
}

int compare(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return (u8)*a - (u8)*b;
}

float horner(const float *c, u8 n, float x) {
    float r = 0;
    while (n--) r = r * x + c[n];
    return r;
}

static void sort(long *v, int n) {
    for (int gap = n / 2; gap > 0; gap /= 2)
        for (int i = gap; i < n; i++) {
            long t = v[i];
            int j = i;
            for (; j >= gap && v[j - gap] > t; j -= gap) v[j] = v[j - gap];
            v[j] = t;
        }
}

enum token { NUMBER, PLUS, TIMES, OPEN, CLOSE, END };
static const char *input;

static enum token next(long *value) {
    while (*input == ' ') input++;
    switch (*input) {
    case 0: return END;
    case '+': input++; return PLUS;
    case '*': input++; return TIMES;
    case '(': input++; return OPEN;
    case ')': input++; return CLOSE;
    default:
        *value = 0;
        while (*input >= '0' && *input <= '9') *value = *value * 10 + (*input++ - '0');
        return NUMBER;
    }
}

static long sum(enum token *t);

static long factor(enum token *t) {
    long v = 0;
    *t = next(&v);
    if (*t == OPEN) v = sum(t);
    *t = next(&v + 0);
    return v;
}

static long product(enum token *t) {
    long v = factor(t);
    while (*t == TIMES) v *= factor(t);
    return v;
}

static long sum(enum token *t) {
    long v = product(t);
    while (*t == PLUS) v += product(t);
    return v;
}

int main(void) {
    static const float coefficients[] = {1.0f, -0.5f, 0.25f, 3.75e-2f};
    enum token t;
    for (u16 round = 0; round < 1000; round++) {
        for (u8 i = 0; i < LENGTH(sensors); i++) {
            struct sensor *s = &sensors[i];
            s->history[s->at++ & 7] = s->read(s);
            if ((round & 63) == 0) sort(s->history, 8);
        }
        input = "2 * (3 + 4 * 5) + 6";
        *PORTB = (u8)(sum(&t) + crc16((const u8 *)sensors, sizeof sensors) + (int)horner(coefficients, 4, round / 100.0f) +
                      compare(sensors[round % 3].name, "two"));
    }
    return 0;
}
