// Arguments that the interface does not have. Wasmtime ends the program for them; here they give an error number.
#include "wasi.h"

static void test(void) {
    u64 time, place;
    u32 opened, done;
    u16 out;
    char buffer[8];
    iovec iov = {buffer, 8};
    filestat stat;
    make(ROOT, "f", "content");
    u32 fd = open_at(ROOT, "f", 0, READ | WRITE, 0);
    CASE(clock_res_get(4, &time));
    CASE(clock_res_get(~0u, &time));
    CASE(clock_time_get(4, 0, &time));
    CASE(clock_time_get(1 << 16, 0, &time));
    CASE(proc_raise(31));
    CASE(proc_raise(1000));
    CASE(fd_fdstat_set_flags(fd, 32));
    CASE(fd_fdstat_set_flags(fd, 1 << 16));
    CASE(fd_fdstat_set_rights(fd, ~0ull, 0));
    CASE(fd_advise(fd, 0, 0, 6));
    CASE(fd_advise(fd, 0, 0, 256));
    CASE(fd_seek(fd, 0, 3, &place));
    CASE(fd_seek(fd, 0, 256, &place));
    CASE(fd_filestat_set_times(fd, 0, 0, 16));
    CASE(fd_filestat_set_times(fd, 0, 0, 1 << 16));
    CASE(sock_accept(0, 32, &done));
    CASE(sock_recv(0, &iov, 1, 4, &done, &out));
    CASE(sock_send(0, &iov, 1, 1, &done));
    CASE(sock_shutdown(0, 4));
    CASE(sock_shutdown(0, 0));
    CASE(path_open(ROOT, 2, S("f"), 0, READ, 0, 0, &opened));
    CASE(path_open(ROOT, 0, S("f"), 16, READ, 0, 0, &opened));
    CASE(path_open(ROOT, 0, S("f"), 1 << 16, READ, 0, 0, &opened));
    CASE(path_open(ROOT, 0, S("f"), 0, 1ull << 30, 0, 0, &opened));
    CASE(path_open(ROOT, 0, S("f"), 0, 0, 1ull << 63, 0, &opened));
    CASE(path_open(ROOT, 0, S("f"), 0, READ, 0, 32, &opened));
    CASE(path_open(ROOT, 0, S("f"), 0, READ, 0, 1 << 16, &opened));
    CASE(path_filestat_get(ROOT, 2, S("f"), &stat));
    CASE(path_filestat_get(ROOT, 1 << 16, S("f"), &stat));
    CASE(path_filestat_set_times(ROOT, 4, S("f"), 0, 0, 0));
    CASE(path_filestat_set_times(ROOT, 0, S("f"), 0, 0, 16));
    CASE(path_link(ROOT, 2, S("f"), ROOT, S("h")));
    // What Wasmtime leaves out of the interface.
    CASE(clock_res_get(2, &time));
    CASE(clock_time_get(2, 0, &time));
    CASE(clock_time_get(3, 0, &time));
    CASE(fd_allocate(fd, 0, 100));
    CASE(fd_filestat_get(fd, &stat));
    value("size", stat.size);
    CASE(fd_allocate(fd, 10, 10));
    CASE(fd_allocate(fd, 0, 0));
    CASE(fd_allocate(fd, 1ull << 63, 1));
    CASE(fd_allocate(ROOT, 0, 1));
    CASE(fd_allocate(0, 0, 1));
}
