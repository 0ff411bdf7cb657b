// Traps several calls deep, in functions that the compiler inlined into the innermost. Built by clang 14 with lld:
//
//     for version in 4 5; do
//       clang --target=wasm32 -nostdlib -Wl,--no-entry -O0 -gdwarf-$version -ffile-compilation-dir=/build \
//         -o traces-dwarf$version.wasm traces.c
//     done
#include "lib/inlined.h"

static inline __attribute__((always_inline)) int twice(volatile int *p) {
    return deref(p) * 2;
}

__attribute__((noinline)) static int walk(int depth, volatile int *p) {
    if (depth == 0)
        return twice(p);
    return walk(depth - 1, p) + 1;
}

__attribute__((export_name("_start"))) void start(void) {
    walk(2, (volatile int *)0xfffffff0u);
}
