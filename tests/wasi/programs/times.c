// Setting times: every combination of flags, on files, directories and links, by descriptor and by path.
#include "wasi.h"

static filestat stat;

static void show_times(u64 before_atim, u64 before_mtim) {
    u64 now;
    clock_time_get(0, 0, &now);
    u64 times[] = {stat.atim, stat.mtim}, old[] = {before_atim, before_mtim};
    for (int i = 0; i < 2; i++) {
        text(i ? " mtim " : " atim ");
        if (times[i] == old[i]) text("as it was");
        else if (times[i] + 60000000000ull > now && times[i] <= now + 1000000000ull) text("now");
        else number(times[i]);
    }
    put('\n');
}

static void test(void) {
    make(ROOT, "f", "content");
    fd_close(make_directory(ROOT, "d"));
    link_to(ROOT, "f", "l");
    link_to(ROOT, "none", "dangling");
    u64 values[] = {0, 1, 999999999, 1000000000, 1234567890123456789ull, 1ull << 62};
    const char *names[] = {"f", "d", "l", "dangling"};
    for (u32 which = 0; which < 4; which++) {
        for (u32 follow = 0; follow < 2; follow++) {
            for (u32 flags = 0; flags < 16; flags++) {
                const char *name = names[which];
                path_filestat_set_times(ROOT, follow, name, length(name), 5000000000ull, 6000000000ull, 5);
                path_filestat_get(ROOT, follow, name, length(name), &stat);
                u64 atim = stat.atim, mtim = stat.mtim;
                text(name);
                put(' ');
                number(follow);
                put(' ');
                number(flags);
                text(" = ");
                number(path_filestat_set_times(ROOT, follow, name, length(name), 111000000222ull, 333000000444ull, flags));
                path_filestat_get(ROOT, follow, name, length(name), &stat);
                show_times(atim, mtim);
            }
        }
    }
    u32 fds[] = {open_at(ROOT, "f", 0, READ, 0), open_at(ROOT, "f", 0, WRITE, 0), open_at(ROOT, "d", DIRECTORY, READ, 0), ROOT, 0, 1000};
    for (u32 i = 0; i < 6; i++) {
        for (u32 flags = 0; flags < 16; flags++) {
            fd_filestat_set_times(fds[i], 5000000000ull, 6000000000ull, 5);
            fd_filestat_get(fds[i], &stat);
            u64 atim = stat.atim, mtim = stat.mtim;
            text("descriptor ");
            number(i);
            put(' ');
            number(flags);
            text(" = ");
            number(fd_filestat_set_times(fds[i], 111000000222ull, 333000000444ull, flags));
            fd_filestat_get(fds[i], &stat);
            show_times(atim, mtim);
        }
    }
    for (u32 i = 0; i < 6; i++) {
        result("value", fd_filestat_set_times(fds[0], values[i], values[5 - i], 5));
        fd_filestat_get(fds[0], &stat);
        value("atim", stat.atim);
        value("mtim", stat.mtim);
    }
}
