/* Dynamic programming: edit distance, longest common subsequence, 0/1 knapsack, all-pairs shortest paths. */
#include <stdint.h>
#include <stdio.h>

#define LEN 9000
#define CAPACITY 60000
#define ITEMS 1200
#define CITIES 420

static char s[LEN], t[LEN];
static int row[LEN + 1], lcs[2][LEN + 1];
static int32_t best[CAPACITY + 1];
static int dist[CITIES][CITIES];

static int min3(int a, int b, int c) { return a < b ? (a < c ? a : c) : (b < c ? b : c); }

static int edit(void) {
    for (int j = 0; j <= LEN; j++) row[j] = j;
    for (int i = 1; i <= LEN; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= LEN; j++) {
            int above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (s[i - 1] != t[j - 1]));
            diagonal = above;
        }
    }
    return row[LEN];
}

static int common(void) {
    for (int i = 1; i <= LEN; i++)
        for (int j = 1; j <= LEN; j++) {
            int *now = lcs[i & 1], *before = lcs[~i & 1];
            if (s[i - 1] == t[j - 1]) now[j] = before[j - 1] + 1;
            else now[j] = before[j] > now[j - 1] ? before[j] : now[j - 1];
        }
    return lcs[LEN & 1][LEN];
}

int main(void) {
    uint32_t x = 7;
    for (int i = 0; i < LEN; i++) {
        x = x * 1103515245u + 12345u;
        s[i] = (char)('a' + (x >> 16) % 6);
        x = x * 1103515245u + 12345u;
        t[i] = (char)('a' + (x >> 16) % 6);
    }
    int e = edit(), c = common();
    for (int i = 0; i < ITEMS; i++) {
        x = x * 1103515245u + 12345u;
        int weight = 50 + (int)((x >> 16) % 400), value = 10 + (int)((x >> 8) % 1000);
        for (int w = CAPACITY; w >= weight; w--) {
            int v = best[w - weight] + value;
            if (v > best[w]) best[w] = v;
        }
    }
    uint64_t total = 0;
    for (int i = 0; i < CITIES; i++)
        for (int j = 0; j < CITIES; j++) {
            x = x * 1103515245u + 12345u;
            dist[i][j] = i == j ? 0 : 1 + (int)((x >> 12) % 10000);
        }
    for (int k = 0; k < CITIES; k++)
        for (int i = 0; i < CITIES; i++)
            for (int j = 0; j < CITIES; j++)
                if (dist[i][k] + dist[k][j] < dist[i][j]) dist[i][j] = dist[i][k] + dist[k][j];
    for (int i = 0; i < CITIES; i++)
        for (int j = 0; j < CITIES; j++) total += (uint64_t)dist[i][j];
    printf("dp edit %d lcs %d knapsack %d paths %llu\n", e, c, best[CAPACITY], (unsigned long long)total);
    return 0;
}
