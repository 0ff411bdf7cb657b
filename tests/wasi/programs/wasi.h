// The functions of wasi_snapshot_preview1, declared plainly, and what the programs here share: one line of output for each case.
// No libc: what is tested is the interface.

#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) u16 name

typedef struct { const void *buf; u32 len; } iovec;

typedef struct { u8 filetype; u16 flags; u64 rights, inheriting; } fdstat;
typedef struct { u64 dev, ino; u8 filetype; u64 nlink, size, atim, mtim, ctim; } filestat;
typedef struct { u32 tag, len; } prestat;
typedef struct { u64 next, ino; u32 namlen; u8 type; } dirent;
typedef struct {
    u64 userdata;
    u8 tag;
    union {
        struct { u32 id; u64 timeout, precision; u16 flags; } clock;
        u32 fd;
    };
} subscription;
typedef struct { u64 userdata; u16 error; u8 type; u64 nbytes; u16 flags; } event;

IMPORT(args_get)(u8 **argv, u8 *buf);
IMPORT(args_sizes_get)(u32 *count, u32 *size);
IMPORT(environ_get)(u8 **env, u8 *buf);
IMPORT(environ_sizes_get)(u32 *count, u32 *size);
IMPORT(clock_res_get)(u32 id, u64 *res);
IMPORT(clock_time_get)(u32 id, u64 precision, u64 *time);
IMPORT(fd_advise)(u32 fd, u64 offset, u64 len, u32 advice);
IMPORT(fd_allocate)(u32 fd, u64 offset, u64 len);
IMPORT(fd_close)(u32 fd);
IMPORT(fd_datasync)(u32 fd);
IMPORT(fd_fdstat_get)(u32 fd, fdstat *stat);
IMPORT(fd_fdstat_set_flags)(u32 fd, u32 flags);
IMPORT(fd_fdstat_set_rights)(u32 fd, u64 base, u64 inheriting);
IMPORT(fd_filestat_get)(u32 fd, filestat *stat);
IMPORT(fd_filestat_set_size)(u32 fd, u64 size);
IMPORT(fd_filestat_set_times)(u32 fd, u64 atim, u64 mtim, u32 flags);
IMPORT(fd_pread)(u32 fd, const iovec *iov, u32 count, u64 offset, u32 *done);
IMPORT(fd_prestat_get)(u32 fd, prestat *stat);
IMPORT(fd_prestat_dir_name)(u32 fd, char *path, u32 len);
IMPORT(fd_pwrite)(u32 fd, const iovec *iov, u32 count, u64 offset, u32 *done);
IMPORT(fd_read)(u32 fd, const iovec *iov, u32 count, u32 *done);
IMPORT(fd_readdir)(u32 fd, void *buf, u32 len, u64 cookie, u32 *used);
IMPORT(fd_renumber)(u32 from, u32 to);
IMPORT(fd_seek)(u32 fd, s64 offset, u32 whence, u64 *place);
IMPORT(fd_sync)(u32 fd);
IMPORT(fd_tell)(u32 fd, u64 *place);
IMPORT(fd_write)(u32 fd, const iovec *iov, u32 count, u32 *done);
IMPORT(path_create_directory)(u32 fd, const char *path, u32 len);
IMPORT(path_filestat_get)(u32 fd, u32 lookup, const char *path, u32 len, filestat *stat);
IMPORT(path_filestat_set_times)(u32 fd, u32 lookup, const char *path, u32 len, u64 atim, u64 mtim, u32 flags);
IMPORT(path_link)(u32 fd, u32 lookup, const char *path, u32 len, u32 to, const char *new_path, u32 new_len);
IMPORT(path_open)(u32 fd, u32 lookup, const char *path, u32 len, u32 oflags, u64 base, u64 inheriting, u32 flags, u32 *opened);
IMPORT(path_readlink)(u32 fd, const char *path, u32 len, char *buf, u32 buf_len, u32 *used);
IMPORT(path_remove_directory)(u32 fd, const char *path, u32 len);
IMPORT(path_rename)(u32 fd, const char *path, u32 len, u32 to, const char *new_path, u32 new_len);
IMPORT(path_symlink)(const char *target, u32 target_len, u32 fd, const char *path, u32 len);
IMPORT(path_unlink_file)(u32 fd, const char *path, u32 len);
IMPORT(poll_oneoff)(const subscription *in, event *out, u32 count, u32 *happened);
IMPORT(proc_raise)(u32 signal);
IMPORT(random_get)(void *buf, u32 len);
IMPORT(sched_yield)(void);
IMPORT(sock_accept)(u32 fd, u32 flags, u32 *accepted);
IMPORT(sock_recv)(u32 fd, const iovec *iov, u32 count, u32 flags, u32 *len, u16 *out_flags);
IMPORT(sock_send)(u32 fd, const iovec *iov, u32 count, u32 flags, u32 *len);
IMPORT(sock_shutdown)(u32 fd, u32 how);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"), noreturn)) void proc_exit(u32 status);

enum { CREAT = 1, DIRECTORY = 2, EXCL = 4, TRUNC = 8 };
enum { APPEND = 1, DSYNC = 2, NONBLOCK = 4, RSYNC = 8, SYNC = 16 };
enum { FOLLOW = 1 };
enum { ROOT = 3 };  // the granted directory
#define READ ((u64)1 << 1)
#define WRITE ((u64)1 << 6)

// -- output --

static char line[65536];
static u32 line_used;

static void flush(void) {
    u32 at = 0;
    while (at < line_used) {
        iovec iov = {line + at, line_used - at};
        u32 done = 0;
        if (fd_write(1, &iov, 1, &done) != 0 || done == 0) break;
        at += done;
    }
    line_used = 0;
}

static void put(char c) {
    if (line_used == sizeof line) flush();
    line[line_used++] = c;
}

static u32 length(const char *s) {
    u32 n = 0;
    while (s[n]) n++;
    return n;
}

static void bytes(const char *s, u32 len) {
    for (u32 i = 0; i < len; i++) {
        u8 c = s[i];
        if (c >= ' ' && c < 127) { put(c); continue; }
        put('\\');
        put("0123456789abcdef"[c >> 4]);
        put("0123456789abcdef"[c & 15]);
    }
}

static void text(const char *s) {
    while (*s) put(*s++);
}

static void number(u64 n) {
    char digits[20];
    int i = 0;
    do digits[i++] = '0' + n % 10; while (n /= 10);
    while (i) put(digits[--i]);
}

static void hex(u64 n) {
    text("0x");
    for (int i = 60; i >= 0; i -= 4) if (n >> i || i == 0) put("0123456789abcdef"[n >> i & 15]);
}

// A case: what was called, and the error number it gave.
static u16 result(const char *what, u16 error) {
    text(what);
    text(" = ");
    number(error);
    put('\n');
    return error;
}
#define CASE(call) result(#call, call)

static void value(const char *what, u64 n) {
    text("  ");
    text(what);
    put(' ');
    number(n);
    put('\n');
}

#define S(path) path, sizeof path - 1

// -- small things --

static u32 open_at(u32 fd, const char *path, u32 oflags, u64 rights, u32 flags) {
    u32 opened = ~0u;
    path_open(fd, 0, path, length(path), oflags, rights, 0, flags, &opened);
    return opened;
}

static void make(u32 fd, const char *path, const char *content) {
    u32 file = open_at(fd, path, CREAT | TRUNC, WRITE, 0), done;
    iovec iov = {content, length(content)};
    if (iov.len) fd_write(file, &iov, 1, &done);
    fd_close(file);
}

static u32 make_directory(u32 fd, const char *path) {
    path_create_directory(fd, path, length(path));
    return open_at(fd, path, DIRECTORY, READ, 0);
}

static void link_to(u32 fd, const char *target, const char *path) {
    path_symlink(target, length(target), fd, path, length(path));
}

// Whole file's content, as text.
static void show(u32 fd, const char *path) {
    static char content[4096];
    u32 file = open_at(fd, path, 0, READ, 0), done = 0;
    iovec iov = {content, sizeof content};
    fd_read(file, &iov, 1, &done);
    fd_close(file);
    text("  ");
    text(path);
    text(": ");
    bytes(content, done);
    put('\n');
}

static void test(void);
void _start(void) {
    test();
    flush();
}
