static inline __attribute__((always_inline)) int deref(volatile int *p) {
    return *p + 1;
}
