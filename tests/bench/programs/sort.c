/* Sorting: quicksort with insertion sort below 16, heapsort, bottom-up mergesort, radix sort; all must agree. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 1000000

static uint32_t original[N], a[N], b[N];

static void insertion(uint32_t *v, int n) {
    for (int i = 1; i < n; i++) {
        uint32_t x = v[i];
        int j = i;
        for (; j > 0 && v[j - 1] > x; j--) v[j] = v[j - 1];
        v[j] = x;
    }
}

static void quick(uint32_t *v, int n) {
    while (n > 16) {
        uint32_t x = v[0], y = v[n / 2], z = v[n - 1];
        uint32_t pivot = x < y ? (y < z ? y : x < z ? z : x) : (x < z ? x : y < z ? z : y);
        int i = -1, j = n;
        for (;;) {
            do i++; while (v[i] < pivot);
            do j--; while (v[j] > pivot);
            if (i >= j) break;
            uint32_t t = v[i];
            v[i] = v[j];
            v[j] = t;
        }
        quick(v, j + 1);
        v += j + 1;
        n -= j + 1;
    }
    insertion(v, n);
}

static void sift(uint32_t *v, int i, int n) {
    uint32_t x = v[i];
    for (int c; (c = 2 * i + 1) < n; i = c) {
        if (c + 1 < n && v[c + 1] > v[c]) c++;
        if (v[c] <= x) break;
        v[i] = v[c];
    }
    v[i] = x;
}

static void heap(uint32_t *v, int n) {
    for (int i = n / 2 - 1; i >= 0; i--) sift(v, i, n);
    for (int i = n - 1; i > 0; i--) {
        uint32_t t = v[0];
        v[0] = v[i];
        v[i] = t;
        sift(v, 0, i);
    }
}

static void merge(uint32_t *v, uint32_t *scratch, int n) {
    for (int width = 1; width < n; width *= 2) {
        for (int lo = 0; lo < n; lo += 2 * width) {
            int mid = lo + width < n ? lo + width : n, hi = lo + 2 * width < n ? lo + 2 * width : n;
            int i = lo, j = mid, k = lo;
            while (i < mid && j < hi) scratch[k++] = v[j] < v[i] ? v[j++] : v[i++];
            while (i < mid) scratch[k++] = v[i++];
            while (j < hi) scratch[k++] = v[j++];
        }
        memcpy(v, scratch, (size_t)n * sizeof *v);
    }
}

static void radix(uint32_t *v, uint32_t *scratch, int n) {
    for (int shift = 0; shift < 32; shift += 8) {
        uint32_t count[257] = {0};
        for (int i = 0; i < n; i++) count[(v[i] >> shift & 255) + 1]++;
        for (int i = 0; i < 256; i++) count[i + 1] += count[i];
        for (int i = 0; i < n; i++) scratch[count[v[i] >> shift & 255]++] = v[i];
        memcpy(v, scratch, (size_t)n * sizeof *v);
    }
}

static uint64_t digest(const uint32_t *v) {
    uint64_t h = 0;
    for (int i = 0; i < N; i++) h = h * 1000003 + v[i];
    return h;
}

int main(void) {
    uint32_t x = 42;
    for (int i = 0; i < N; i++) {
        x = x * 1103515245u + 12345u;
        original[i] = x ^ x >> 15;
    }
    uint64_t h[4];
    for (int round = 0; round < 2; round++) {
        memcpy(a, original, sizeof a), quick(a, N), h[0] = digest(a);
        memcpy(a, original, sizeof a), heap(a, N), h[1] = digest(a);
        memcpy(a, original, sizeof a), merge(a, b, N), h[2] = digest(a);
        memcpy(a, original, sizeof a), radix(a, b, N), h[3] = digest(a);
    }
    int same = h[0] == h[1] && h[1] == h[2] && h[2] == h[3];
    printf("sort %016llx %s\n", (unsigned long long)h[0], same ? "agree" : "DIFFER");
    return !same;
}
