// Every operation on a descriptor, on every kind of descriptor: what each takes, and what it says of itself.
#include "wasi.h"

static const char *kinds[] = {"stdin", "stdout", "stderr", "granted directory", "directory", "file to read", "file to write",
                              "file for both", "appending file", "created file", "closed", "never opened"};
static u32 fds[12];
static u32 base;

static void prepare(void) {
    static char name[] = "c00";
    static u32 n;
    name[1] = 'a' + n / 26;
    name[2] = 'a' + n % 26;
    n++;
    base = make_directory(ROOT, name);
    make(base, "f", "content");
    fds[0] = 0, fds[1] = 1, fds[2] = 2, fds[3] = ROOT;
    fds[4] = make_directory(base, "d");
    fds[5] = open_at(base, "f", 0, READ, 0);
    fds[6] = open_at(base, "f", 0, WRITE, 0);
    fds[7] = open_at(base, "f", 0, READ | WRITE, 0);
    fds[8] = open_at(base, "f", 0, READ | WRITE, APPEND | NONBLOCK);
    fds[9] = open_at(base, "new", CREAT, 0, 0);
    fds[10] = open_at(base, "f", 0, READ, 0);
    fd_close(fds[10]);
    fds[11] = 1000;
}

static void finish(void) {
    for (int i = 4; i < 10; i++) fd_close(fds[i]);
    fd_close(base);
}

static void after(u32 fd);

#define EACH(call) \
    prepare(); \
    text(#call); \
    put('\n'); \
    for (int i = 0; i < 12; i++) { \
        u32 fd = fds[i]; \
        text("  "); \
        result(kinds[i], call); \
        after(fd); \
    } \
    finish();

static fdstat stat;
static filestat file;
static prestat granted;
static char path[64];
static u64 place;
static char buffer[64];
static u32 done;
static u16 out;
static iovec iov = {buffer, 3};

static void (*shown)(u32);
static void after(u32 fd) {
    if (shown) shown(fd);
}

static void show_stat(u32 fd) {
    if (fd_fdstat_get(fd, &stat)) return;
    value("type", stat.filetype);
    value("flags", stat.flags);
    text("  rights ");
    hex(stat.rights);
    put(' ');
    hex(stat.inheriting);
    put('\n');
}

static void show_file(u32 fd) {
    if (fd_filestat_get(fd, &file)) return;
    value("type", file.filetype);
    if (file.filetype == 4) value("size", file.size), value("links", file.nlink);
    value("times", !!file.atim + !!file.mtim + !!file.ctim);
}

static void show_place(u32 fd) {
    if (fd_tell(fd, &place) == 0) value("place", place);
}

static void show_size(u32 fd) {
    if (fd_filestat_get(fd, &file) == 0 && file.filetype == 4) value("size", file.size);
}

static void show_name(u32 fd) {
    if (fd_prestat_get(fd, &granted)) return;
    value("length", granted.len);
    text("  ");
    bytes(path, granted.len);
    put('\n');
}

static void test(void) {
    shown = show_stat;
    EACH(fd_fdstat_get(fd, &stat));
    EACH(fd_fdstat_set_flags(fd, 0));
    EACH(fd_fdstat_set_flags(fd, APPEND));
    EACH(fd_fdstat_set_flags(fd, NONBLOCK));
    EACH(fd_fdstat_set_flags(fd, APPEND | NONBLOCK));
    EACH(fd_fdstat_set_flags(fd, DSYNC));
    EACH(fd_fdstat_set_flags(fd, RSYNC));
    EACH(fd_fdstat_set_flags(fd, SYNC));
    EACH(fd_fdstat_set_rights(fd, 0, 0));
    EACH(fd_fdstat_set_rights(fd, READ, READ));
    shown = show_file;
    EACH(fd_filestat_get(fd, &file));
    shown = show_size;
    EACH(fd_filestat_set_size(fd, 0));
    EACH(fd_filestat_set_size(fd, 100));
    EACH(fd_filestat_set_size(fd, 1ull << 63));
    EACH(fd_filestat_set_size(fd, ~0ull));
    EACH(fd_advise(fd, 0, 0, 0));
    EACH(fd_advise(fd, 0, 100, 1));
    EACH(fd_advise(fd, 100, 0, 2));
    EACH(fd_advise(fd, 0, 0, 3));
    EACH(fd_advise(fd, 0, 0, 4));
    EACH(fd_advise(fd, 0, 0, 5));
    EACH(fd_advise(fd, ~0ull, ~0ull, 0));
    EACH(fd_sync(fd));
    EACH(fd_datasync(fd));
    shown = show_place;
    EACH(fd_seek(fd, 3, 0, &place));
    EACH(fd_seek(fd, 3, 1, &place));
    EACH(fd_seek(fd, -3, 2, &place));
    EACH(fd_seek(fd, -1, 0, &place));
    EACH(fd_seek(fd, -1, 1, &place));
    EACH(fd_seek(fd, -100, 2, &place));
    EACH(fd_seek(fd, 1ll << 62, 2, &place));
    EACH(fd_tell(fd, &place));
    EACH(fd_read(fd, &iov, 0, &done));
    EACH(fd_pread(fd, &iov, 1, 2, &done));
    EACH(fd_pwrite(fd, &iov, 1, 2, &done));
    shown = 0;
    for (int i = 2; i < 12; i++) kinds[i - 2] = kinds[i];  // standard streams are not read or written here
    shown = show_name;
    EACH(fd_prestat_get(fd, &granted));
    EACH(fd_prestat_dir_name(fd, path, sizeof path));
    EACH(fd_prestat_dir_name(fd, path, 0));
    EACH(fd_prestat_dir_name(fd, path, 1));
    EACH(fd_readdir(fd == ROOT ? base : fd, buffer, 0, 0, &done));
    EACH(sock_accept(fd, 0, &done));
    EACH(sock_recv(fd, &iov, 1, 0, &done, &out));
    EACH(sock_send(fd, &iov, 1, 0, &done));
    EACH(sock_shutdown(fd, 1));
    EACH(sock_shutdown(fd, 3));

    text("renumber\n");
    prepare();
    CASE(fd_renumber(fds[5], fds[5]));
    CASE(fd_renumber(1000, fds[5]));
    CASE(fd_renumber(fds[5], 1000));
    CASE(fd_renumber(fds[5], fds[10]));
    CASE(fd_renumber(1000, 1000));
    fd_seek(fds[5], 4, 0, &place);
    CASE(fd_renumber(fds[5], fds[6]));
    CASE(fd_tell(fds[5], &place));
    CASE(fd_tell(fds[6], &place));
    value("place", place);
    CASE(fd_read(fds[6], &iov, 1, &done));
    value("done", done);
    CASE(fd_renumber(fds[4], fds[7]));
    CASE(fd_tell(fds[7], &place));
    CASE(fd_filestat_get(fds[7], &file));
    value("type", file.filetype);
    CASE(fd_renumber(fds[6], ROOT));
    CASE(fd_prestat_get(ROOT, &granted));
    CASE(path_create_directory(ROOT, S("x")));
    CASE(fd_renumber(fds[8], 0));
    CASE(fd_fdstat_get(0, &stat));
    value("type", stat.filetype);
    value("flags", stat.flags);

    text("close\n");
    CASE(fd_close(0));
    CASE(fd_close(0));
    CASE(fd_read(0, &iov, 1, &done));
    CASE(fd_close(fds[9]));
    CASE(fd_close(fds[9]));
    CASE(fd_close(1000));
    CASE(fd_close(~0u));
    CASE(fd_close(2));
    CASE(fd_write(2, &iov, 1, &done));
}
