/* Floating-point division and integer-to-float conversion: power iteration on an infinite matrix's corner. */
#include <math.h>
#include <stdio.h>

#define N 2400

static double u[N], v[N], w[N];

static double entry(int i, int j) {
    int s = i + j;
    return 1.0 / (double)(s * (s + 1) / 2 + i + 1);
}

static void times(const double *in, double *out, int transposed) {
    for (int i = 0; i < N; i++) {
        double sum = 0;
        if (transposed)
            for (int j = 0; j < N; j++) sum += entry(j, i) * in[j];
        else
            for (int j = 0; j < N; j++) sum += entry(i, j) * in[j];
        out[i] = sum;
    }
}

int main(void) {
    for (int i = 0; i < N; i++) u[i] = 1.0;
    for (int round = 0; round < 10; round++) {
        times(u, w, 0);
        times(w, v, 1);
        times(v, w, 0);
        times(w, u, 1);
    }
    double uv = 0, vv = 0;
    for (int i = 0; i < N; i++) uv += u[i] * v[i], vv += v[i] * v[i];
    printf("spectral %.9f\n", sqrt(uv / vv));
    return 0;
}
