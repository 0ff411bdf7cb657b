// path_open: every combination of flags on every kind of path, each in a directory as it was.
#include "wasi.h"

static char nul[] = {'f', 0, 'g'}, bad[] = {'f', (char)0xff}, longest[256], too_long[4200];

static struct { const char *path; u32 len; } paths[] = {
    {S("f")}, {S("d")}, {S("none")}, {S("lf")}, {S("ld")}, {S("dangling")}, {S("loop")}, {S("up")}, {S("chain")}, {S("far")},
    {S("f/")}, {S("d/")}, {S("none/")}, {S("lf/")}, {S("ld/")}, {S("dangling/")}, {S("d/.")}, {S("f/.")}, {S("d/..")}, {S("d/../f")},
    {S("d/inner")}, {S("ld/inner")}, {S("lf/inner")}, {S("f/inner")}, {S("none/inner")}, {S("d//inner")}, {S("./f")}, {S("d/../../x")},
    {S(".")}, {S("./")}, {S("..")}, {S("../")}, {S("/")}, {S("/f")}, {S("//")}, {S("")}, {S("up/x")}, {S("./d/./inner")},
    {nul, 3}, {bad, 2}, {longest, 255}, {longest, 256}, {too_long, 4095}, {too_long, 4200},
};

static u32 fresh(u32 n) {
    static char name[] = "000000";
    for (int i = 5; i >= 0; i--, n /= 10) name[i] = '0' + n % 10;
    u32 fd = make_directory(ROOT, name);
    make(fd, "f", "content");
    fd_close(make_directory(fd, "d"));
    make(fd, "d/inner", "inner");
    link_to(fd, "f", "lf");
    link_to(fd, "d", "ld");
    link_to(fd, "nothing", "dangling");
    link_to(fd, "loop", "loop");
    link_to(fd, "..", "up");
    link_to(fd, "lf", "chain");
    link_to(fd, "../../../../etc/passwd", "far");
    return fd;
}

static void test(void) {
    for (u32 i = 0; i < sizeof longest; i++) longest[i] = 'n';
    for (u32 i = 0; i < sizeof too_long; i++) too_long[i] = i & 1 ? '/' : '.';
    u64 rights[] = {0, READ, WRITE, READ | WRITE};
    u32 n = 0, fd = fresh(n++), used = 0;
    for (u32 p = 0; p < sizeof paths / sizeof *paths; p++) {
        for (u32 how = 0; how < 16; how++) {
            for (u32 lookup = 0; lookup < 2; lookup++) {
                for (u32 r = 0; r < 4; r++) {
                    // All flags with reading; the others where they matter.
                    if (r != 1 && (how & ~(CREAT | DIRECTORY | TRUNC))) continue;
                    // A new directory when this one may have changed.
                    if (used) fd_close(fd), fd = fresh(n++);
                    u32 opened = 0;
                    u16 error = path_open(fd, lookup, paths[p].path, paths[p].len, how, rights[r], 0, 0, &opened);
                    bytes(paths[p].path, paths[p].len > 20 ? 20 : paths[p].len);
                    text(how & CREAT ? " c" : " -");
                    text(how & DIRECTORY ? "d" : "-");
                    text(how & EXCL ? "x" : "-");
                    text(how & TRUNC ? "t" : "-");
                    text(lookup ? " follow" : " stay");
                    text(r & 1 ? " r" : " -");
                    text(r & 2 ? "w" : "-");
                    text(" = ");
                    number(error);
                    used = error == 0 && (how & (CREAT | TRUNC));
                    if (error == 0) {
                        filestat stat;
                        fdstat self;
                        fd_filestat_get(opened, &stat);
                        fd_fdstat_get(opened, &self);
                        text(" type ");
                        number(stat.filetype);
                        if (stat.filetype == 4) text(" size "), number(stat.size);
                        text(" rights ");
                        hex(self.rights);
                        fd_close(opened);
                    }
                    put('\n');
                }
            }
        }
    }
    text("flags\n");
    u32 opened;
    fd = fresh(n++);
    for (u32 flags = 0; flags < 32; flags++) {
        u16 error = path_open(fd, 0, S("f"), 0, READ | WRITE, 0, flags, &opened);
        text("  ");
        number(flags);
        result("", error);
        fdstat self;
        if (error == 0 && fd_fdstat_get(opened, &self) == 0) value("flags", self.flags);
        if (error == 0) fd_close(opened);
    }
    for (u32 flags = 0; flags < 32; flags += 4) {
        u16 error = path_open(fd, 0, S("d"), DIRECTORY, READ, 0, flags, &opened);
        text("  directory ");
        number(flags);
        result("", error);
        fdstat self;
        if (error == 0 && fd_fdstat_get(opened, &self) == 0) value("flags", self.flags);
        if (error == 0) fd_close(opened);
    }
    text("arguments\n");
    CASE(path_open(0, 0, S("f"), 0, READ, 0, 0, &opened));
    CASE(path_open(1, 0, S("f"), 0, READ, 0, 0, &opened));
    CASE(path_open(1000, 0, S("f"), 0, READ, 0, 0, &opened));
    CASE(path_open(fd, 0, S("f"), 0, READ, 0, 0, &opened));
    u32 file = opened;
    CASE(path_open(file, 0, S("f"), 0, READ, 0, 0, &opened));
    CASE(path_open(file, 0, S("."), 0, READ, 0, 0, &opened));
    CASE(path_open(file, 0, S(""), 0, READ, 0, 0, &opened));
}
