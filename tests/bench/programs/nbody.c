/* Floating point, latency bound: five bodies under gravity, leapfrog steps. */
#include <math.h>
#include <stdio.h>

#define BODIES 5
#define STEPS 4000000

typedef struct {
    double x, y, z, vx, vy, vz, m;
} body;

static body b[BODIES] = {
    {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.0},
    {4.8, -1.1, -0.1, 0.6, 2.8, -0.02, 0.037},
    {8.3, 4.1, -0.4, -1.0, 1.8, 0.008, 0.011},
    {12.8, -15.1, -0.2, 1.08, 0.86, -0.01, 0.0017},
    {15.3, -25.9, 0.17, 0.97, 0.59, -0.034, 0.002},
};

static double energy(void) {
    double e = 0;
    for (int i = 0; i < BODIES; i++) {
        e += 0.5 * b[i].m * (b[i].vx * b[i].vx + b[i].vy * b[i].vy + b[i].vz * b[i].vz);
        for (int j = i + 1; j < BODIES; j++) {
            double dx = b[i].x - b[j].x, dy = b[i].y - b[j].y, dz = b[i].z - b[j].z;
            e -= b[i].m * b[j].m / sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return e;
}

static void step(double dt) {
    for (int i = 0; i < BODIES; i++) {
        for (int j = i + 1; j < BODIES; j++) {
            double dx = b[i].x - b[j].x, dy = b[i].y - b[j].y, dz = b[i].z - b[j].z;
            double d2 = dx * dx + dy * dy + dz * dz;
            double k = dt / (d2 * sqrt(d2));
            b[i].vx -= dx * b[j].m * k;
            b[i].vy -= dy * b[j].m * k;
            b[i].vz -= dz * b[j].m * k;
            b[j].vx += dx * b[i].m * k;
            b[j].vy += dy * b[i].m * k;
            b[j].vz += dz * b[i].m * k;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        b[i].x += dt * b[i].vx;
        b[i].y += dt * b[i].vy;
        b[i].z += dt * b[i].vz;
    }
}

int main(void) {
    double before = energy();
    for (int i = 0; i < STEPS; i++) step(0.001);
    printf("nbody %.9f %.9f\n", before, energy());
    return 0;
}
