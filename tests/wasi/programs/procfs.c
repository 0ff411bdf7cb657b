// With the whole file system granted, procfs is still refused: by every way into it, for every use.
#include "wasi.h"

static void test(void) {
    static const char *paths[] = {"proc", "proc/", "proc/.", "proc/self", "proc/self/", "proc/self/mem", "proc/self/maps", "proc/self/environ",
                                  "proc/self/fd", "proc/self/fd/1", "proc/self/root", "proc/self/root/etc/passwd", "proc/self/cwd",
                                  "proc/self/exe", "proc/1/root", "proc/thread-self/mem", "proc/sys/kernel/hostname", "proc/version",
                                  "proc/mounts", "proc/self/task", "proc/../proc/version", "dev/../proc/self/mem", "tmp/../proc/self/mem",
                                  "proc/self/../version", "dev/fd/1", "dev/stdout"};
    u32 opened, refused = 0, count = 0;
    filestat stat;
    for (u32 i = 0; i < sizeof paths / sizeof *paths; i++) {
        u32 len = length(paths[i]);
        u16 errors[] = {
            path_open(ROOT, FOLLOW, paths[i], len, 0, READ, 0, 0, &opened),
            path_open(ROOT, FOLLOW, paths[i], len, 0, WRITE, 0, 0, &opened),
            path_open(ROOT, FOLLOW, paths[i], len, 0, READ | WRITE, 0, 0, &opened),
            path_open(ROOT, FOLLOW, paths[i], len, TRUNC, WRITE, 0, 0, &opened),
            path_open(ROOT, FOLLOW, paths[i], len, DIRECTORY, READ, 0, 0, &opened),
            path_filestat_get(ROOT, FOLLOW, paths[i], len, &stat),
        };
        text(paths[i]);
        for (u32 e = 0; e < 6; e++) {
            put(' ');
            number(errors[e]);
            count++;
            refused += errors[e] != 0;
        }
        put('\n');
    }
    value("attempts", count);
    value("successes", count - refused);
    CASE(path_open(ROOT, 0, S("."), DIRECTORY, READ, 0, 0, &opened));
    CASE(path_open(ROOT, FOLLOW, S("dev/null"), 0, READ | WRITE, 0, 0, &opened));
}
