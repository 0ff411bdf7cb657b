/* Floating point with shuffled memory: an iterative radix-2 FFT forth and back, single and double precision. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#define LOG 16
#define N (1 << LOG)

static double re[N], im[N], cosine[N / 2], sine[N / 2];
static float fre[N], fim[N];

#define TRANSFORM(name, real)                                                                        \
    static void name(real *xr, real *xi, int sign) {                                                 \
        for (uint32_t i = 0, j = 0; i < N; i++) {                                                    \
            if (i < j) {                                                                             \
                real t = xr[i];                                                                      \
                xr[i] = xr[j];                                                                       \
                xr[j] = t;                                                                           \
                t = xi[i];                                                                           \
                xi[i] = xi[j];                                                                       \
                xi[j] = t;                                                                           \
            }                                                                                        \
            uint32_t bit = N >> 1;                                                                   \
            for (; j & bit; bit >>= 1) j ^= bit;                                                     \
            j |= bit;                                                                                \
        }                                                                                            \
        for (int half = 1; half < N; half *= 2)                                                      \
            for (int base = 0; base < N; base += 2 * half)                                           \
                for (int k = 0; k < half; k++) {                                                     \
                    real wr = (real)cosine[k * (N / 2 / half)];                                      \
                    real wi = (real)(sign * sine[k * (N / 2 / half)]);                               \
                    int a = base + k, b = a + half;                                                  \
                    real tr = xr[b] * wr - xi[b] * wi, ti = xr[b] * wi + xi[b] * wr;                 \
                    xr[b] = xr[a] - tr;                                                              \
                    xi[b] = xi[a] - ti;                                                              \
                    xr[a] += tr;                                                                     \
                    xi[a] += ti;                                                                     \
                }                                                                                    \
    }

TRANSFORM(transform64, double)
TRANSFORM(transform32, float)

int main(void) {
    /* Roots of unity by rotation from an exact constant, so that no libm's sine decides the output. */
    double c = 1, s = 0, dc = 0.99999999540410731289097, ds = 0.00009587379909597734587;
    for (int i = 0; i < N / 2; i++) {
        cosine[i] = c;
        sine[i] = s;
        double t = c * dc - s * ds;
        s = c * ds + s * dc;
        c = t;
    }
    for (int i = 0; i < N; i++) {
        re[i] = (i * 37 % 101) / 101.0, im[i] = 0;
        fre[i] = (float)re[i], fim[i] = 0;
    }
    double peak = 0;
    for (int round = 0; round < 50; round++) {
        transform64(re, im, 1);
        transform32(fre, fim, 1);
        peak += fabs(re[round + 1]) + fabs((double)fre[round + 2]);
        transform64(re, im, -1);
        transform32(fre, fim, -1);
        for (int i = 0; i < N; i++) re[i] /= N, im[i] /= N, fre[i] /= N, fim[i] /= N;
    }
    double worst = 0;
    for (int i = 0; i < N; i++) {
        double e = fabs(re[i] - (i * 37 % 101) / 101.0), f = fabs((double)fre[i] - (i * 37 % 101) / 101.0);
        if (e > worst) worst = e;
        if (f * 1e-7 > worst) worst = f * 1e-7;
    }
    printf("fft peak %.4f %s\n", peak, worst < 1e-6 ? "back" : "LOST");
    return 0;
}
