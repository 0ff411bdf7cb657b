/* LU decomposition with partial pivoting and solves in double, and an integer matrix power modulo 2^32. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define N 400
#define M 160

static double a[N][N], x[N];
static int pivot[N];
static uint32_t p[M][M], q[M][M], r[M][M];

static double solve(int seed) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) a[i][j] = ((i * 31 + j * 17 + seed) % 101) / 50.0 - 1.0 + (i == j ? 3.0 : 0.0);
    for (int k = 0; k < N; k++) {
        int best = k;
        for (int i = k + 1; i < N; i++)
            if (fabs(a[i][k]) > fabs(a[best][k])) best = i;
        pivot[k] = best;
        if (best != k)
            for (int j = 0; j < N; j++) {
                double t = a[k][j];
                a[k][j] = a[best][j];
                a[best][j] = t;
            }
        double inverse = 1.0 / a[k][k];
        for (int i = k + 1; i < N; i++) {
            double f = a[i][k] *= inverse;
            for (int j = k + 1; j < N; j++) a[i][j] -= f * a[k][j];
        }
    }
    for (int i = 0; i < N; i++) x[i] = 1 + i % 7;
    for (int k = 0; k < N; k++) {
        double t = x[pivot[k]];
        x[pivot[k]] = x[k];
        x[k] = t;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++) x[i] -= a[i][j] * x[j];
    for (int i = N - 1; i >= 0; i--) {
        for (int j = i + 1; j < N; j++) x[i] -= a[i][j] * x[j];
        x[i] /= a[i][i];
    }
    double sum = 0;
    for (int i = 0; i < N; i++) sum += x[i];
    return sum;
}

int main(void) {
    double sum = 0;
    for (int seed = 0; seed < 32; seed++) sum += solve(seed);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++) p[i][j] = (uint32_t)(i * 3 + j * 5 + 1), q[i][j] = i == j;
    for (int round = 0; round < 120; round++) {
        for (int i = 0; i < M; i++)
            for (int j = 0; j < M; j++) {
                uint32_t s = 0;
                for (int k = 0; k < M; k++) s += q[i][k] * p[k][j];
                r[i][j] = s ^ s >> 16;
            }
        memcpy(q, r, sizeof q);
    }
    uint32_t h = 0;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++) h = h * 31 + q[i][j];
    printf("lu %.8f %08x\n", sum, h);
    return 0;
}
