// poll_oneoff: clocks, descriptors, several at a time, what is refused.
#include "wasi.h"

static subscription in[8];
static event out[8];
static u32 happened;

static subscription clock(u64 user, u32 id, u64 timeout, u16 flags) {
    subscription s = {.userdata = user, .tag = 0, .clock = {id, timeout, 0, flags}};
    return s;
}

static subscription ready(u64 user, u8 tag, u32 fd) {
    subscription s = {.userdata = user, .tag = tag, .fd = fd};
    return s;
}

static void poll(const char *what, u32 count) {
    u64 before, after;
    happened = 99;
    clock_time_get(1, 0, &before);
    u16 error = poll_oneoff(in, out, count, &happened);
    clock_time_get(1, 0, &after);
    result(what, error);
    if (error) return;
    value("waited", after - before >= 45000000);
    value("too long", after - before >= 5000000000);
    value("events", happened);
    for (u32 i = 0; i < happened && i < 8; i++) {
        text("  ");
        number(out[i].userdata);
        text(" error ");
        number(out[i].error);
        text(" type ");
        number(out[i].type);
        if (out[i].type) text(" bytes "), number(out[i].nbytes), text(" flags "), number(out[i].flags);
        put('\n');
    }
}

static void test(void) {
    u64 now, wall;
    poll("nothing", 0);
    in[0] = clock(1, 1, 50000000, 0);
    poll("monotonic", 1);
    in[0] = clock(2, 0, 50000000, 0);
    poll("realtime", 1);
    in[0] = clock(3, 1, 0, 0);
    poll("no time", 1);
    clock_time_get(1, 0, &now);
    in[0] = clock(4, 1, now + 50000000, 1);
    poll("monotonic until", 1);
    clock_time_get(0, 0, &wall);
    in[0] = clock(5, 0, wall + 50000000, 1);
    poll("realtime until", 1);
    in[0] = clock(6, 1, 1, 1);
    poll("long ago", 1);
    in[0] = clock(7, 0, 1, 1);
    poll("long ago by the wall", 1);
    in[0] = clock(8, 1, 50000000, 0);
    in[1] = clock(9, 1, 10000000000ull, 0);
    poll("the earlier", 2);
    in[0] = clock(10, 1, 10000000000ull, 0);
    in[1] = clock(11, 0, 50000000, 0);
    poll("the earlier, behind", 2);
    in[0] = clock(12, 1, 0, 0);
    in[1] = clock(13, 1, 0, 0);
    in[2] = clock(14, 1, 10000000000ull, 0);
    poll("two of three", 3);
    in[0] = clock(15, 2, 0, 1);
    poll("process clock", 1);
    in[0] = clock(16, 3, 0, 1);
    poll("thread clock", 1);
    in[0] = clock(17, 4, 0, 0);
    poll("no clock", 1);
    in[0] = clock(18, 1, 0, 2);
    poll("unknown flag", 1);
    in[0] = ready(19, 3, 0);
    poll("unknown kind", 1);
    in[0] = ready(20, 255, 0);
    poll("unknown kind 255", 1);

    make(ROOT, "f", "content");
    u32 file = open_at(ROOT, "f", 0, READ | WRITE, 0);
    in[0] = ready(30, 1, file);
    poll("file to read", 1);
    in[0] = ready(31, 2, file);
    poll("file to write", 1);
    u64 place;
    fd_seek(file, 7, 0, &place);
    in[0] = ready(32, 1, file);
    poll("file at its end", 1);
    fd_seek(file, 6, 0, &place);
    in[0] = ready(33, 2, file);
    in[1] = ready(34, 2, 1);
    in[2] = clock(35, 1, 10000000000ull, 0);
    poll("two to write, and a clock", 3);
    in[0] = ready(36, 2, 1);
    poll("output", 1);
    in[0] = ready(37, 2, 2);
    poll("error output", 1);
    in[0] = ready(38, 1, 0);
    poll("input with bytes", 1);
    char all[64];
    u32 done = 1;
    while (done) if (fd_read(0, &(iovec){all, 64}, 1, &done)) break;
    in[0] = ready(39, 1, 0);
    in[1] = clock(40, 1, 10000000000ull, 0);
    poll("input at its end", 2);
    in[0] = ready(41, 2, 0);
    poll("input to write", 1);
    in[0] = ready(42, 1, 1);
    poll("output to read", 1);
    in[0] = ready(43, 1, ROOT);
    poll("directory to read", 1);
    in[0] = ready(44, 2, ROOT);
    poll("directory to write", 1);
    in[0] = ready(45, 1, 1000);
    poll("nothing there", 1);
    in[0] = clock(46, 1, 0, 0);
    in[1] = ready(47, 2, 1000);
    poll("a clock, and nothing there", 2);
    u32 reader = open_at(ROOT, "f", 0, READ, 0);
    in[0] = ready(48, 2, reader);
    poll("file that may only be read", 1);
    u32 writer = open_at(ROOT, "f", 0, WRITE, 0);
    in[0] = ready(49, 1, writer);
    poll("file that may only be written", 1);
}
