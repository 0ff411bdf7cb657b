// Everything on paths but opening: every operation on every kind of path, each in a directory as it was.
#include "wasi.h"

static char nul[] = {'f', 0, 'g'}, bad[] = {'f', (char)0xff}, longest[256], too_long[4200];

typedef struct { const char *path; u32 len; } path;
static path paths[] = {
    {S("f")}, {S("d")}, {S("e")}, {S("none")}, {S("lf")}, {S("ld")}, {S("dangling")}, {S("loop")}, {S("up")}, {S("chain")}, {S("far")},
    {S("f/")}, {S("d/")}, {S("e/")}, {S("e//")}, {S("none/")}, {S("lf/")}, {S("ld/")}, {S("le/")}, {S("dangling/")}, {S("d/.")}, {S("f/.")},
    {S("d/..")}, {S("d/../f")}, {S("e/.")}, {S("e/..")}, {S("d/inner")}, {S("d/new")}, {S("ld/inner")}, {S("ld/new")}, {S("lf/inner")},
    {S("f/inner")}, {S("none/inner")}, {S("d//inner")}, {S("./f")}, {S("./none")}, {S("d/../../x")}, {S("../x")}, {S("up/x")}, {S(".")},
    {S("./")}, {S("..")}, {S("../")}, {S("../..")}, {S("/")}, {S("/f")}, {S("//")}, {S("")}, {S("./d/./inner")}, {S("dangling/x")},
    {nul, 3}, {bad, 2}, {longest, 255}, {longest, 256}, {too_long, 4095}, {too_long, 4200},
};
enum { PATHS = sizeof paths / sizeof *paths };

static u32 fresh(void) {
    static u32 made;
    static char name[] = "p00000";
    u32 n = made++;
    for (int i = 5; i >= 1; i--, n /= 10) name[i] = '0' + n % 10;
    u32 fd = make_directory(ROOT, name);
    make(fd, "f", "content");
    fd_close(make_directory(fd, "d"));
    fd_close(make_directory(fd, "e"));
    make(fd, "d/inner", "inner");
    link_to(fd, "f", "lf");
    link_to(fd, "d", "ld");
    link_to(fd, "e", "le");
    link_to(fd, "nothing", "dangling");
    link_to(fd, "loop", "loop");
    link_to(fd, "..", "up");
    link_to(fd, "lf", "chain");
    link_to(fd, "../../../../etc/passwd", "far");
    return fd;
}

// What stands in the directory now and did not, or not so: a kind for each name, and sizes and links of files; `-` if it is gone.
static void listing(u32 fd, int remember) {
    static const char *names[] = {"f", "d", "e", "none", "lf", "ld", "le", "dangling", "loop", "up", "chain", "far", "nothing", "d/inner",
                                  "d/new", "x", "e/new"};
    static filestat first[sizeof names / sizeof *names];
    for (u32 i = 0; i < sizeof names / sizeof *names; i++) {
        filestat stat = {0};
        if (path_filestat_get(fd, 0, names[i], length(names[i]), &stat)) stat.filetype = 0;
        if (stat.filetype != 4) stat.size = stat.nlink = 0;
        if (remember) first[i] = stat;
        if (stat.filetype == first[i].filetype && stat.size == first[i].size && stat.nlink == first[i].nlink) continue;
        put(' ');
        text(names[i]);
        put(':');
        if (stat.filetype == 0) { put('-'); continue; }
        number(stat.filetype);
        if (stat.filetype == 4) put(','), number(stat.size), put(','), number(stat.nlink);
    }
}

static void name(path p) {
    put('"');
    bytes(p.path, p.len > 20 ? 20 : p.len);
    put('"');
}

static void test(void) {
    for (u32 i = 0; i < sizeof longest; i++) longest[i] = 'n';
    for (u32 i = 0; i < sizeof too_long; i++) too_long[i] = i & 1 ? '/' : '.';
    static char buffer[4096];
    filestat stat;
    u32 used;
    u32 fd = fresh(), changed = 0;
    listing(fd, 1);
    for (u32 i = 0; i < PATHS; i++) {
        path p = paths[i];
        for (u32 operation = 0; operation < 11; operation++) {
            if (changed) fd_close(fd), fd = fresh();
            u16 error = 0;
            switch (operation) {
            case 0: text("create_directory "); error = path_create_directory(fd, p.path, p.len); break;
            case 1: text("remove_directory "); error = path_remove_directory(fd, p.path, p.len); break;
            case 2: text("unlink_file "); error = path_unlink_file(fd, p.path, p.len); break;
            case 3: text("filestat "); error = path_filestat_get(fd, 0, p.path, p.len, &stat); break;
            case 4: text("filestat follow "); error = path_filestat_get(fd, FOLLOW, p.path, p.len, &stat); break;
            case 5: text("readlink "); used = 0; error = path_readlink(fd, p.path, p.len, buffer, sizeof buffer, &used); break;
            case 6: text("symlink at "); error = path_symlink(S("target"), fd, p.path, p.len); break;
            case 7: text("symlink to "); error = path_symlink(p.path, p.len, fd, S("new")); break;
            case 8: text("set_times "); error = path_filestat_set_times(fd, 0, p.path, p.len, 1000, 2000, 5); break;
            case 9: text("set_times follow "); error = path_filestat_set_times(fd, FOLLOW, p.path, p.len, 1000, 2000, 5); break;
            case 10: text("link follow "); error = path_link(fd, FOLLOW, p.path, p.len, fd, S("new")); break;
            }
            name(p);
            text(" = ");
            number(error);
            if (error == 0 && (operation == 3 || operation == 4)) {
                text(" type ");
                number(stat.filetype);
                if (stat.filetype != 3) text(" size "), number(stat.size), text(" links "), number(stat.nlink);
            }
            if (error == 0 && operation == 5) put(' '), bytes(buffer, used);
            listing(fd, 0);
            put('\n');
            changed = operation == 1 || (error == 0 && operation != 3 && operation != 4 && operation != 5);
        }
    }
    // Two paths: each that can be a path at all as source, the telling ones as target.
    path tell[] = {{S("f")}, {S("d")}, {S("e")}, {S("none")}, {S("lf")}, {S("ld")}, {S("dangling")}, {S("d/new")}, {S("new/")}, {S("f/")}, {S("e/")}, {S("d/..")},
                   {S("e/new")}, {S("../x")}, {S(".")}, {S("..")}, {S("/x")}, {S("")}, {S("up/x")}, {S("ld/")}, {S("le/")}, {S("dangling/")}};
    for (u32 i = 0; i < PATHS - 6; i++) {
        for (u32 j = 0; j < sizeof tell / sizeof *tell; j++) {
            for (u32 operation = 0; operation < 2; operation++) {
                if (changed) fd_close(fd), fd = fresh();
                u16 error = operation ? path_link(fd, 0, paths[i].path, paths[i].len, fd, tell[j].path, tell[j].len)
                                      : path_rename(fd, paths[i].path, paths[i].len, fd, tell[j].path, tell[j].len);
                text(operation ? "link " : "rename ");
                name(paths[i]);
                put(' ');
                name(tell[j]);
                text(" = ");
                number(error);
                listing(fd, 0);
                put('\n');
                changed = error == 0;
            }
        }
    }
    text("arguments\n");
    fd = fresh();
    u32 file = open_at(fd, "f", 0, READ, 0), fds[] = {0, 1, 1000, file, fd};
    for (u32 i = 0; i < 5; i++) {
        u32 it = fds[i];
        CASE(path_create_directory(it, S("n")));
        CASE(path_remove_directory(it, S("n")));
        CASE(path_unlink_file(it, S("n")));
        CASE(path_filestat_get(it, 0, S("f"), &stat));
        CASE(path_filestat_set_times(it, 0, S("f"), 0, 0, 3));
        CASE(path_readlink(it, S("lf"), buffer, 0, &used));
        CASE(path_readlink(it, S("far"), buffer, 5, &used));
        value("used", used);
        CASE(path_symlink(S("t"), it, S("s")));
        CASE(path_rename(it, S("f"), fd, S("f")));
        CASE(path_rename(fd, S("f"), it, S("f")));
        CASE(path_link(it, 0, S("f"), fd, S("h")));
        CASE(path_link(fd, 0, S("f"), it, S("h2")));
    }
}
