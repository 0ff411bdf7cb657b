// fd_readdir: contents, cookies, buffers of every size, entries that come and go.
#include "wasi.h"

static u8 buffer[70000];

// Reads a whole directory with a buffer of some size; counts entries and folds their names, whatever their order.
static void read_all(u32 fd, u32 size) {
    u64 cookie = 0;
    u32 used, entries = 0, calls = 0, fold = 0, types = 0, dots = 0;
    u16 error;
    do {
        used = 0;
        error = fd_readdir(fd, buffer, size, cookie, &used);
        calls++;
        u32 at = 0, before = entries;
        while (error == 0 && at + 24 <= used) {
            dirent entry;
            __builtin_memcpy(&entry, buffer + at, 24);
            if (at + 24 + entry.namlen > used) break;
            const char *name = (char *)buffer + at + 24;
            u32 hash = 5381;
            for (u32 i = 0; i < entry.namlen; i++) hash = hash * 33 + (u8)name[i];
            if (name[0] == '.' && (entry.namlen == 1 || (entry.namlen == 2 && name[1] == '.'))) dots++;
            fold += hash;
            types += entry.type;
            cookie = entry.next;
            entries++;
            at += 24 + entry.namlen;
        }
        if (used == size && entries == before) break;  // the buffer does not take even one
    } while (error == 0 && used == size && calls < 5000);
    number(size);
    text(": ");
    number(error);
    text(" entries ");
    number(entries);
    text(" dots ");
    number(dots);
    text(" names ");
    number(fold);
    text(" types ");
    number(types);
    put('\n');
}

// How many entries are behind a cookie.
static u32 behind(u32 fd, u64 cookie) {
    u32 used = 0, entries = 0;
    fd_readdir(fd, buffer, sizeof buffer, cookie, &used);
    for (u32 at = 0; at + 24 <= used; entries++) at += 24 + *(u32 *)(buffer + at + 16);
    return entries;
}

// Goes back to every place of a directory, as C's telldir and seekdir do, which keep 31 bits of a cookie.
static void go_back(u32 fd) {
    static u64 cookies[1000];
    u32 used, count = 0, wrong = 0, large = 0;
    fd_readdir(fd, buffer, sizeof buffer, 0, &used);
    for (u32 at = 0; at + 24 <= used;) {
        dirent entry;
        __builtin_memcpy(&entry, buffer + at, 24);
        cookies[count++] = entry.next;
        at += 24 + entry.namlen;
    }
    for (u32 n = count; n-- > 0;) {
        wrong += behind(fd, cookies[n]) != count - n - 1;
        large += cookies[n] > 0x7fffffff;
    }
    value("places", count);
    value("wrong", wrong);
    value("large", large);
}

static void test(void) {
    u32 fd = make_directory(ROOT, "many"), empty = make_directory(ROOT, "empty"), used;
    char name[300];
    for (u32 n = 0; n < 250; n++) {
        for (u32 i = 0; i <= n; i++) name[i] = 'a' + (n + i) % 26;
        name[n + 1] = 0;
        if (n % 3 == 0) fd_close(make_directory(fd, name));
        else if (n % 3 == 1) make(fd, name, "");
        else link_to(fd, "somewhere", name);
    }
    u32 sizes[] = {0, 1, 23, 24, 25, 26, 27, 100, 274, 275, 300, 512, 1000, 4096, 4097, 10000, 65536, 70000};
    for (u32 i = 0; i < sizeof sizes / 4; i++) read_all(fd, sizes[i]);
    for (u32 i = 0; i < sizeof sizes / 4; i++) read_all(empty, sizes[i]);
    CASE(fd_readdir(empty, buffer, 100, 0, &used));
    value("used", used);
    CASE(fd_readdir(empty, buffer, 30, 0, &used));
    value("used", used);
    CASE(fd_readdir(empty, buffer, sizeof buffer, ~0ull, &used));
    value("used", used);
    CASE(fd_readdir(fd, buffer, 24, 0, &used));
    value("used", used);
    CASE(fd_readdir(fd, buffer, sizeof buffer, 0, &used));
    u64 first = *(u64 *)buffer;
    u32 rest;
    CASE(fd_readdir(fd, buffer, sizeof buffer, first, &rest));
    value("first entry's bytes", used - rest > 24 && used - rest < 300);
    text("places\n");
    go_back(fd);
    u32 fresh = open_at(ROOT, "many", DIRECTORY, READ, 0);
    value("behind the hundredth", behind(fresh, 100));
    value("all", behind(fresh, 0));
    value("behind the last", behind(fresh, 252));
    value("behind none", behind(fresh, 253));
    text("removing\n");
    for (u32 n = 0; n < 250; n += 2) {
        for (u32 i = 0; i <= n; i++) name[i] = 'a' + (n + i) % 26;
        if (n % 3 == 0) path_remove_directory(fd, name, n + 1);
        else path_unlink_file(fd, name, n + 1);
    }
    read_all(fd, 4096);
    read_all(fd, 300);
    go_back(fd);
    value("behind the last", behind(fd, 127));
    value("behind what was the two hundredth", behind(fd, 200));
    text("removed directory\n");
    CASE(path_remove_directory(ROOT, S("empty")));
    read_all(empty, 4096);
    CASE(path_open(empty, 0, S("x"), CREAT, WRITE, 0, 0, &used));
    CASE(path_open(empty, 0, S("."), 0, READ, 0, 0, &used));
    CASE(path_create_directory(empty, S("x")));
}
