/* Dense double matrices: the textbook product in ikj order, and a transposed dot-product form. */
#include <stdio.h>

#define N 384

static double a[N][N], b[N][N], c[N][N], d[N][N];

int main(void) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) a[i][j] = (i * 7 + j * 3) % 13 - 6, b[i][j] = (i * 5 + j * 11) % 17 - 8;
    for (int round = 0; round < 7; round++) {
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++) {
                double x = a[i][k];
                for (int j = 0; j < N; j++) c[i][j] += x * b[k][j];
            }
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double s = 0;
                for (int k = 0; k < N; k++) s += a[i][k] * b[j][k];
                d[i][j] += s;
            }
    }
    double trace = 0, sum = 0;
    for (int i = 0; i < N; i++) {
        trace += c[i][i] - d[i][i];
        for (int j = 0; j < N; j++) sum += c[i][j] * ((i + j) % 3) + d[i][j] * ((i ^ j) & 1);
    }
    printf("matmul %.1f %.1f\n", trace, sum);
    return 0;
}
