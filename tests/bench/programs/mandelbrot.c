/* Floating-point loop with an unpredictable exit: escape counts over a grid. */
#include <stdint.h>
#include <stdio.h>

#define SIDE 1400
#define ITERATIONS 400

int main(void) {
    uint32_t hash = 2166136261u;
    uint64_t inside = 0;
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            double cr = 3.0 * x / SIDE - 2.1, ci = 2.6 * y / SIDE - 1.3;
            double zr = 0, zi = 0, r2 = 0, i2 = 0;
            int n = 0;
            while (n < ITERATIONS && r2 + i2 <= 4.0) {
                zi = 2 * zr * zi + ci;
                zr = r2 - i2 + cr;
                r2 = zr * zr;
                i2 = zi * zi;
                n++;
            }
            inside += n == ITERATIONS;
            hash = (hash ^ (uint32_t)n) * 16777619u;
        }
    }
    printf("mandelbrot %08x inside %llu\n", hash, (unsigned long long)inside);
    return 0;
}
