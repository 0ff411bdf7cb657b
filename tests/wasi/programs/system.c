// Arguments, environment, clocks, randomness, scheduling.
#include "wasi.h"

static void strings(const char *what, u16 (*sizes)(u32 *, u32 *), u16 (*get)(u8 **, u8 *)) {
    u32 count = 99, size = 99;
    static u8 *pointers[64], buffer[4096];
    text(what);
    put('\n');
    CASE(sizes(&count, &size));
    value("count", count);
    value("size", size);
    CASE(get(pointers, buffer));
    for (u32 i = 0; i < count; i++) {
        text("  ");
        text((char *)pointers[i]);
        put('\n');
    }
    value("end", count ? buffer[size - 1] : 0);
    value("first", count ? pointers[0] - buffer : 0);
}

static void test(void) {
    strings("arguments", args_sizes_get, args_get);
    strings("environment", environ_sizes_get, environ_get);
    u64 time = 0, later = 0, res = 0;
    CASE(clock_res_get(0, &res));
    value("positive", res > 0);
    CASE(clock_res_get(1, &res));
    value("positive", res > 0);
    CASE(clock_time_get(0, 0, &time));
    value("after 2020", time > 1577836800000000000ull);
    CASE(clock_time_get(1, 0, &time));
    CASE(clock_time_get(1, 1000000, &later));
    value("forwards", later >= time);
    CASE(clock_time_get(1, ~0ull, &later));
    static u8 random[100000];
    CASE(random_get(random, 0));
    value("untouched", random[0] == 0 && random[1] == 0);
    CASE(random_get(random, sizeof random));
    u32 ones = 0, last = 0;
    for (u32 i = 0; i < sizeof random; i++) ones += __builtin_popcount(random[i]);
    for (u32 i = 0; i < 64; i++) last |= random[sizeof random - 1 - i];
    value("looks random", ones > 395000 && ones < 405000 && last != 0);
    CASE(sched_yield());
    CASE(proc_raise(0));
    CASE(proc_raise(6));
    CASE(proc_raise(30));
    flush();
    proc_exit(23);
}
