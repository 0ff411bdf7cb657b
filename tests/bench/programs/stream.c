/* Memory-bound streaming: copy, scale, add and triad over arrays larger than the second-level cache. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N (1 << 20)
#define ROUNDS 150

int main(void) {
    double *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b), *c = malloc(N * sizeof *c);
    if (!a || !b || !c) return 1;
    for (int i = 0; i < N; i++) a[i] = i % 17, b[i] = i % 5, c[i] = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double k = 0.25 + (double)(round % 3) * 0.125;
        for (int i = 0; i < N; i++) c[i] = a[i];
        for (int i = 0; i < N; i++) b[i] = k * c[i];
        for (int i = 0; i < N; i++) c[i] = a[i] + b[i];
        for (int i = 0; i < N; i++) a[i] = b[i] + k * c[i];
    }
    double sum = 0;
    for (int i = 0; i < N; i++) sum += a[i] + b[i] - c[i];
    printf("stream %.6e\n", sum);
    free(a), free(b), free(c);
    return 0;
}
