// Attempts to leave the granted directory. What lies outside says SECRET; the links that lead there were made by the host. Each
// line is one attempt: whoever runs this checks that none succeeds, and that nothing outside has changed.
#include "wasi.h"

static const char *paths[] = {
    "..", "../", "../.", "../..", "../outside", "../outside/secret", "./../outside/secret", "sub/../../outside/secret",
    "sub/deep/../../../outside/secret", "sub/./.././../outside/secret", "../granted/../outside/secret", "..//outside//secret",
    "/", "/etc/passwd", "//etc/passwd", "/./etc/passwd", "/../etc/passwd", "/proc/self/mem", "/dev/zero",
    "absolute", "relative", "absolute_directory/secret", "relative_directory/secret", "relative_directory/new", "relative_directory",
    "relative_directory/", "relative_directory/.", "relative_directory/..", "absolute_directory", "absolute_directory/", "chain/secret",
    "chain", "chain/../secret", "sub/deep/up/outside/secret", "sub/deep/up", "root/etc/passwd", "root", "root/..", "proc/mem",
    "proc", "descriptors/0", "descriptors/3", "descriptors/3/../outside/secret", "executable", "working", "back/inside", "back",
    "device", "terminal", "self/../../outside/secret", "sub/relative", "sub/deep/relative", "inside/../../outside/secret",
};

static u32 attempts, successes;

static void attempt(const char *what, const char *path, u16 error) {
    attempts++;
    successes += error == 0;
    text(error == 0 ? "ESCAPED " : "refused ");
    text(what);
    put(' ');
    text(path);
    text(" = ");
    number(error);
    put('\n');
}

static void on_path(u32 fd, const char *path) {
    u32 len = length(path), opened;
    filestat stat;
    for (u32 follow = 0; follow < 2; follow++) {
        // A link itself may be looked at, only what it leads to not.
        if (follow || path_filestat_get(fd, 0, path, len, &stat) || stat.filetype != 7)
            attempt("stat", path, path_filestat_get(fd, follow, path, len, &stat));
        attempt("open", path, path_open(fd, follow, path, len, 0, READ, 0, 0, &opened));
        attempt("write", path, path_open(fd, follow, path, len, 0, WRITE, 0, 0, &opened));
        attempt("create", path, path_open(fd, follow, path, len, CREAT, WRITE, 0, 0, &opened));
        attempt("cut", path, path_open(fd, follow, path, len, TRUNC, WRITE, 0, 0, &opened));
        attempt("directory", path, path_open(fd, follow, path, len, DIRECTORY, READ, 0, 0, &opened));
    }
    attempt("make directory in", path, path_create_directory(fd, path, len));
    attempt("times", path, path_filestat_set_times(fd, FOLLOW, path, len, 0, 0, 5));
    static char below[256];
    __builtin_memcpy(below, path, len);
    __builtin_memcpy(below + len, "/new", 5);
    attempt("create below", below, path_open(fd, FOLLOW, below, len + 4, CREAT, WRITE, 0, 0, &opened));
    attempt("make directory below", below, path_create_directory(fd, below, len + 4));
    attempt("link below", below, path_symlink(S("x"), fd, below, len + 4));
    attempt("hard link below", below, path_link(fd, 0, S("inside"), fd, below, len + 4));
    attempt("rename below", below, path_rename(fd, S("inside"), fd, below, len + 4));
    __builtin_memcpy(below + len, "/secret", 8);
    attempt("unlink below", below, path_unlink_file(fd, below, len + 7));
    attempt("remove below", below, path_remove_directory(fd, below, len + 7));
    attempt("rename from below", below, path_rename(fd, below, len + 7, fd, S("stolen")));
    attempt("hard link from below", below, path_link(fd, 0, below, len + 7, fd, S("stolen")));
    attempt("read link below", below, path_readlink(fd, below, len + 7, below, 1, &opened));
}

// `..` of a directory that was moved while it is open.
static void moved(void) {
    u32 fd = open_at(ROOT, "sub/deep", DIRECTORY, READ, 0), opened;
    attempt("above an open directory", "..", path_open(fd, 0, S(".."), 0, READ, 0, 0, &opened));
    CASE(path_rename(ROOT, S("sub/deep"), ROOT, S("shallow")));
    attempt("above a moved directory", "..", path_open(fd, 0, S(".."), 0, READ, 0, 0, &opened));
    attempt("above a moved directory", "../../outside/secret", path_open(fd, 0, S("../../outside/secret"), 0, READ, 0, 0, &opened));
    attempt("through a link that was moved", "up/outside/secret", path_open(ROOT, FOLLOW, S("shallow/up/outside/secret"), 0, READ, 0, 0, &opened));
    CASE(path_rename(ROOT, S("shallow"), ROOT, S("sub/deep")));
    attempt("to the root of the moved", "/", path_open(fd, 0, S("/"), 0, READ, 0, 0, &opened));
    fd_close(fd);
}

// Links made by the program itself, as far as it may.
static void own_links(void) {
    const char *targets[] = {"../outside/secret", "../outside", "..", "./../outside/secret", "sub/../../outside/secret"};
    for (u32 i = 0; i < 5; i++) {
        u32 opened;
        filestat stat;
        path_unlink_file(ROOT, S("own"));
        path_symlink(targets[i], length(targets[i]), ROOT, S("own"));
        attempt("open own link to", targets[i], path_open(ROOT, FOLLOW, S("own"), 0, READ, 0, 0, &opened));
        attempt("create by own link to", targets[i], path_open(ROOT, FOLLOW, S("own"), CREAT, WRITE, 0, 0, &opened));
        attempt("below own link to", targets[i], path_open(ROOT, FOLLOW, S("own/secret"), 0, READ, 0, 0, &opened));
        attempt("stat own link to", targets[i], path_filestat_get(ROOT, FOLLOW, S("own"), &stat));
        attempt("times by own link to", targets[i], path_filestat_set_times(ROOT, FOLLOW, S("own"), 0, 0, 10));
    }
    path_unlink_file(ROOT, S("own"));
    attempt("make link to", "/etc/passwd", path_symlink(S("/etc/passwd"), ROOT, S("own")));
    attempt("make link to", "/", path_symlink(S("/"), ROOT, S("own")));
    char buffer[64];
    u32 used;
    attempt("read link to", "absolute", path_readlink(ROOT, S("absolute"), buffer, 64, &used));
}

// Numbers that nobody gave: descriptors that the parent left open are not ours.
static void numbers(void) {
    u32 found = 0, opened;
    for (u32 fd = 4; fd < 2000; fd++) {
        filestat stat;
        fdstat self;
        if (fd_filestat_get(fd, &stat) == 0 || fd_fdstat_get(fd, &self) == 0 || fd_renumber(fd, 2) == 0) found++;
        if (path_open(fd, 0, S("secret"), 0, READ, 0, 0, &opened) == 0) found++;
    }
    attempt("descriptors that are not ours", "", found == 0 ? 8 : 0);
}

static void test(void) {
    numbers();
    for (u32 i = 0; i < sizeof paths / sizeof *paths; i++) on_path(ROOT, paths[i]);
    u32 sub = open_at(ROOT, "sub", DIRECTORY, READ, 0);
    const char *from_sub[] = {"..", "../inside", "../..", "../../outside/secret", "deep/../../inside", "deep/up/inside"};
    for (u32 i = 0; i < 6; i++) on_path(sub, from_sub[i]);
    moved();
    own_links();
    value("attempts", attempts);
    value("successes", successes);
}
