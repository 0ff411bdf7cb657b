// Reading and writing: positions, vectors, appending, holes, ends.
#include "wasi.h"

static char a[16], b[16], c[16];
static u32 done;
static u64 place;
static filestat stat;

static void got(const char *buffer) {
    text("  ");
    number(done);
    put(' ');
    bytes(buffer, 16);
    put('\n');
    for (int i = 0; i < 16; i++) a[i] = b[i] = c[i] = '.';
}

// Reads or writes until everything is moved: how much one call moves is the host's choice.
static u16 all(int write, u32 fd, iovec *iov, u32 count) {
    u32 total = 0;
    while (count) {
        if (iov->len == 0) {
            iov++, count--;
            continue;
        }
        u32 moved = 0;
        u16 error = write ? fd_write(fd, iov, count, &moved) : fd_read(fd, iov, count, &moved);
        if (error) return error;
        if (moved == 0) break;
        total += moved;
        while (count && moved >= iov->len) moved -= iov->len, iov++, count--;
        if (count) iov->buf = (char *)iov->buf + moved, iov->len -= moved;
    }
    done = total;
    return 0;
}

static void test(void) {
    got(a);
    u32 fd = open_at(ROOT, "f", CREAT, READ | WRITE, 0);
    iovec abc[3] = {{"abc", 3}, {"defg", 4}, {"hi", 2}};
    CASE(all(1, fd, abc, 3));
    value("done", done);
    CASE(fd_tell(fd, &place));
    value("place", place);
    CASE(fd_seek(fd, 0, 0, &place));
    iovec parts[5] = {{a, 0}, {a, 2}, {b, 0}, {b, 5}, {c, 16}};
    CASE(all(0, fd, parts, 5));
    value("done", done);
    text("  ");
    bytes(a, 2), put(' '), bytes(b, 5), put(' '), bytes(c, 4);
    put('\n');
    got(a);
    CASE(fd_read(fd, &(iovec){a, 16}, 1, &done));
    got(a);
    CASE(fd_pread(fd, &(iovec){a, 4}, 1, 3, &done));
    got(a);
    CASE(fd_pread(fd, &(iovec){a, 4}, 1, 7, &done));
    got(a);
    CASE(fd_pread(fd, &(iovec){a, 4}, 1, 9, &done));
    got(a);
    CASE(fd_pread(fd, &(iovec){a, 4}, 1, 1000, &done));
    got(a);
    CASE(fd_pread(fd, &(iovec){a, 4}, 1, (1ull << 63) - 16, &done));
    CASE(fd_tell(fd, &place));
    value("place", place);
    CASE(fd_pwrite(fd, &(iovec){"XY", 2}, 1, 1, &done));
    show(ROOT, "f");
    CASE(fd_pwrite(fd, &(iovec){"Z", 1}, 1, 12, &done));
    show(ROOT, "f");
    CASE(fd_tell(fd, &place));
    value("place", place);
    CASE(fd_seek(fd, 2, 2, &place));
    value("place", place);
    CASE(fd_write(fd, &(iovec){"end", 3}, 1, &done));
    show(ROOT, "f");
    CASE(fd_seek(fd, -3, 2, &place));
    value("place", place);
    CASE(fd_seek(fd, -5, 1, &place));
    value("place", place);
    CASE(fd_seek(fd, -50, 1, &place));
    CASE(fd_tell(fd, &place));
    value("place", place);

    text("same file, two descriptors\n");
    u32 other = open_at(ROOT, "f", 0, READ, 0);
    CASE(fd_tell(other, &place));
    value("place", place);
    CASE(fd_write(other, &(iovec){"no", 2}, 1, &done));
    CASE(fd_pwrite(other, &(iovec){"no", 2}, 1, 0, &done));
    CASE(fd_filestat_set_size(other, 0));
    CASE(fd_seek(fd, 0, 0, &place));
    CASE(fd_write(fd, &(iovec){"new", 3}, 1, &done));
    CASE(fd_read(other, &(iovec){a, 5}, 1, &done));
    got(a);
    CASE(fd_close(other));
    other = open_at(ROOT, "f", 0, WRITE, 0);
    CASE(fd_read(other, &(iovec){a, 5}, 1, &done));
    CASE(fd_pread(other, &(iovec){a, 5}, 1, 0, &done));
    CASE(fd_close(other));

    text("appending\n");
    CASE(fd_filestat_set_size(fd, 3));
    other = open_at(ROOT, "f", 0, READ | WRITE, APPEND);
    CASE(fd_tell(other, &place));
    value("place", place);
    CASE(fd_write(other, &(iovec){"1", 1}, 1, &done));
    CASE(fd_tell(other, &place));
    value("place", place);
    CASE(fd_seek(other, 0, 0, &place));
    CASE(fd_write(other, &(iovec){"2", 1}, 1, &done));
    CASE(fd_tell(other, &place));
    value("place", place);
    CASE(fd_pwrite(other, &(iovec){"3", 1}, 1, 0, &done));
    show(ROOT, "f");
    CASE(fd_fdstat_set_flags(other, 0));
    CASE(fd_seek(other, 0, 0, &place));
    CASE(fd_write(other, &(iovec){"4", 1}, 1, &done));
    show(ROOT, "f");
    CASE(fd_fdstat_set_flags(fd, APPEND));
    CASE(fd_seek(fd, 1, 0, &place));
    CASE(fd_write(fd, &(iovec){"5", 1}, 1, &done));
    CASE(fd_fdstat_set_flags(fd, 0));
    CASE(fd_seek(fd, 1, 0, &place));
    CASE(fd_write(fd, &(iovec){"6", 1}, 1, &done));
    show(ROOT, "f");
    CASE(fd_close(other));

    text("sizes\n");
    CASE(fd_filestat_set_size(fd, 10));
    CASE(fd_filestat_get(fd, &stat));
    value("size", stat.size);
    show(ROOT, "f");
    CASE(fd_filestat_set_size(fd, 2));
    CASE(fd_tell(fd, &place));
    value("place", place);
    show(ROOT, "f");
    CASE(fd_read(fd, &(iovec){a, 5}, 1, &done));
    got(a);
    CASE(fd_write(fd, &(iovec){"", 0}, 1, &done));
    value("done", done);
    CASE(fd_write(fd, 0, 0, &done));
    value("done", done);
    CASE(fd_read(fd, &(iovec){a, 0}, 1, &done));
    value("done", done);
    static const char block[5000];
    iovec many[2000];
    u64 total = 0;
    for (int i = 0; i < 2000; i++) {
        many[i] = (iovec){block, i % 7 == 0 ? 0 : i % 50};
        total += many[i].len;
    }
    fd_filestat_set_size(fd, 0);
    fd_seek(fd, 0, 0, &place);
    CASE(all(1, fd, many, 2000));
    value("all written", done == total);
    CASE(fd_filestat_get(fd, &stat));
    value("size", stat.size);

    text("standard input\n");
    CASE(fd_read(0, &(iovec){a, 4}, 1, &done));
    got(a);
    iovec two[2] = {{a, 3}, {b, 4}};
    CASE(all(0, 0, two, 2));
    got(a);
    CASE(fd_read(0, &(iovec){a, 16}, 1, &done));
    got(a);
    CASE(fd_read(0, &(iovec){a, 16}, 1, &done));
    got(a);
    CASE(fd_write(0, &(iovec){"x", 1}, 1, &done));
    CASE(fd_read(1, &(iovec){a, 1}, 1, &done));
    CASE(fd_read(ROOT, &(iovec){a, 1}, 1, &done));
    CASE(fd_write(ROOT, &(iovec){a, 1}, 1, &done));
    CASE(fd_pread(0, &(iovec){a, 1}, 1, 0, &done));
    CASE(fd_pwrite(1, &(iovec){a, 1}, 1, 0, &done));
    CASE(fd_write(2, &(iovec){"to standard error\n", 18}, 1, &done));
}
