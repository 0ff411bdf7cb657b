// Calls in a random order, on descriptors and paths that earlier ones made: what one call leaves is what the next one meets.
#include "wasi.h"

static u64 state;

static u32 below(u32 n) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 16) % n;
}

static char path[100], other[100];
static u8 buffer[4096];

// A path of few names, so that calls meet.
static u32 some_path(char *to) {
    u32 used = 0, parts = 1 + (below(3) == 0) + (below(6) == 0);
    for (u32 n = 0; n < parts; n++) {
        if (n) to[used++] = '/';
        u32 which = below(n + 1 < parts ? 24 : 22);  // a name with a dot at its end is among the cases of paths.c
        to[used++] = which < 22 ? 'a' + which % 4 : '.';
        if (which == 23) to[used++] = '.';
    }
    return used;
}

static void name(const char *call, u32 fd, const char *path, u32 len) {
    text(call);
    text("(");
    number(fd);
    if (path) {
        text(", ");
        bytes(path, len);
    }
}

static void argument(u64 n) {
    text(", ");
    number(n);
}

// The end of a case's line.
static u16 gives(u16 error) {
    text(") = ");
    number(error);
    put('\n');
    return error;
}

static void attributes(u16 error, const filestat *stat) {
    if (gives(error)) return;
    value("type", stat->filetype);
    if (stat->filetype != 3) value("links", stat->nlink);
    if (stat->filetype == 4) value("size", stat->size);
}

static void moved(u16 error, u32 done, const u8 *read) {
    if (gives(error)) return;
    value("bytes", done);
    if (!read) return;
    text("  ");
    bytes((const char *)read, done);
    put('\n');
}

// Descriptors, named in lines by their places here, since their numbers are the engine's choice: eight that come and go, the
// sequence's own directory, the granted one, one that is never open, standard streams.
enum { CLOSED = 1000, SLOTS = 8, OWN = 8 };
static u32 descriptors[] = {[OWN] = 0, ROOT, CLOSED, 0, 1};

static u32 some(void) {
    u32 slot;
    for (u32 tries = 0; tries < 4; tries++) {
        slot = below(3) ? below(SLOTS) : below(5) ? OWN : below(sizeof descriptors / 4);
        if (descriptors[slot] != CLOSED) break;
    }
    return slot;
}

static void open_some(void) {
    u64 rights[] = {0, READ, WRITE, READ | WRITE};
    u32 from = some(), fd = descriptors[from], len = some_path(path), lookup = below(2), result = ~0u;
    u32 how = below(2) ? CREAT | (below(3) ? 0 : below(16)) : below(2) ? DIRECTORY : 0, which = below(4);
    u32 flags = below(4) ? 0 : below(2) ? APPEND : NONBLOCK;
    name("path_open", from, path, len);
    argument(lookup);
    argument(how);
    argument(which);
    argument(flags);
    if (gives(path_open(fd, lookup, path, len, how, rights[which], rights[which], flags, &result))) return;
    u32 slot = below(SLOTS);
    value("place", slot);
    fd_close(descriptors[slot]);
    descriptors[slot] = result;
}

static void step(void) {
    u32 slot = some(), fd = descriptors[slot], len = some_path(path), done = 0, size = below(20);
    u64 place = 0;
    filestat stat;
    iovec iov = {buffer, size};
    switch (below(36)) {
    default:
        open_some();
        break;
    case 0:
        if (slot >= SLOTS) break;
        name("fd_close", slot, 0, 0);
        gives(fd_close(fd));
        descriptors[slot] = CLOSED;
        break;
    case 1: {
        u32 to = below(SLOTS);
        if (slot >= SLOTS) break;
        name("fd_renumber", slot, 0, 0);
        argument(to);
        if (gives(fd_renumber(fd, descriptors[to])) == 0 && slot != to) descriptors[slot] = CLOSED;
        break;
    }
    case 2: case 3:
        if (fd < 3) break;
        name("fd_read", slot, 0, 0);
        argument(size);
        moved(fd_read(fd, &iov, 1, &done), done, buffer);
        break;
    case 4: case 5:
        if (fd < 3) break;
        iov.len = ++size;  // Wasmtime moves an appended file's position even for no bytes
        for (u32 n = 0; n < size; n++) buffer[n] = 'a' + below(26);
        name("fd_write", slot, 0, 0);
        argument(size);
        moved(fd_write(fd, &iov, 1, &done), done, 0);
        break;
    case 6:
        place = below(40);
        name("fd_pread", slot, 0, 0);
        argument(size);
        argument(place);
        moved(fd_pread(fd, &iov, 1, place, &done), done, buffer);
        break;
    case 7:
        place = below(40);
        for (u32 n = 0; n < size; n++) buffer[n] = 'A' + below(26);
        name("fd_pwrite", slot, 0, 0);
        argument(size);
        argument(place);
        moved(fd_pwrite(fd, &iov, 1, place, &done), done, 0);
        break;
    case 8: {
        s64 offset = (s64)below(50) - 20;
        u32 whence = below(3);
        name("fd_seek", slot, 0, 0);
        argument(offset + 20);
        argument(whence);
        if (gives(fd_seek(fd, offset, whence, &place)) == 0) value("place", place);
        break;
    }
    case 9:
        name("fd_tell", slot, 0, 0);
        if (gives(fd_tell(fd, &place)) == 0) value("place", place);
        break;
    case 10:
        name("fd_filestat_get", slot, 0, 0);
        attributes(fd_filestat_get(fd, &stat), &stat);
        break;
    case 11: {
        u32 lookup = below(2);
        name("path_filestat_get", slot, path, len);
        argument(lookup);
        attributes(path_filestat_get(fd, lookup, path, len, &stat), &stat);
        break;
    }
    case 12:
        place = below(50);
        name("fd_filestat_set_size", slot, 0, 0);
        argument(place);
        gives(fd_filestat_set_size(fd, place));
        break;
    case 13: {
        u32 lookup = below(2), which = below(8) ? "\1\2\4\5\6\x8\x9\xa"[below(8)] : 1 + below(15);
        u64 accessed = (u64)below(2000000000) * 1000000000 + below(1000000000), written = (u64)below(2000000000) * 1000000000;
        name("path_filestat_set_times", slot, path, len);
        argument(lookup);
        argument(which);
        if (gives(path_filestat_set_times(fd, lookup, path, len, accessed, written, which))) break;
        if (path_filestat_get(fd, lookup, path, len, &stat)) break;
        if (which & 1) value("accessed", stat.atim);
        if (which & 4) value("written", stat.mtim);
        break;
    }
    case 14:
        name("path_create_directory", slot, path, len);
        gives(path_create_directory(fd, path, len));
        break;
    case 15:
        name("path_remove_directory", slot, path, len);
        gives(path_remove_directory(fd, path, len));
        break;
    case 16:
        name("path_unlink_file", slot, path, len);
        gives(path_unlink_file(fd, path, len));
        break;
    case 17: case 18: {
        u32 to = some(), other_len = some_path(other), rename = below(2);
        name(rename ? "path_rename" : "path_link", slot, path, len);
        argument(to);
        text(", ");
        bytes(other, other_len);
        gives(rename ? path_rename(fd, path, len, descriptors[to], other, other_len) : path_link(fd, 0, path, len, descriptors[to], other, other_len));
        break;
    }
    case 19: {
        u32 other_len = some_path(other);
        name("path_symlink", slot, path, len);
        text(", ");
        bytes(other, other_len);
        gives(path_symlink(other, other_len, fd, path, len));
        break;
    }
    case 20:
        name("path_readlink", slot, path, len);
        argument(size);
        moved(path_readlink(fd, path, len, (char *)buffer, size, &done), done, buffer);
        break;
    case 21:
        name("fd_readdir", slot, 0, 0);
        if (gives(fd_readdir(fd, buffer, sizeof buffer, 0, &done)) == 0) value("bytes", done);
        break;
    case 22: {
        fdstat found;
        if (fd < 3) break;
        name("fd_fdstat_get", slot, 0, 0);
        if (gives(fd_fdstat_get(fd, &found))) break;
        value("type", found.filetype);
        value("flags", found.flags);
        value("rights", found.rights);
        value("inheriting", found.inheriting);
        break;
    }
    case 23: {
        u32 flags = below(3) ? below(8) & ~DSYNC : below(32);
        name("fd_fdstat_set_flags", slot, 0, 0);
        argument(flags);
        gives(fd_fdstat_set_flags(fd, flags));
        break;
    }
    case 24: {
        u32 advice = below(6);
        name("fd_advise", slot, 0, 0);
        argument(advice);
        gives(fd_advise(fd, size, below(100), advice));
        break;
    }
    case 25:
        name(size & 1 ? "fd_sync" : "fd_datasync", slot, 0, 0);
        gives(size & 1 ? fd_sync(fd) : fd_datasync(fd));
        break;
    case 26: {
        subscription in = {place = below(1000), 1 + (size & 1), .fd = fd};
        event out;
        if (fd < 3) break;
        name("poll_oneoff", slot, 0, 0);
        argument(in.tag);
        if (gives(poll_oneoff(&in, &out, 1, &done))) break;
        value("events", done);
        value("error", out.error);
        value("type", out.type);
        value("flags", out.flags);
        break;
    }
    }
}

static u32 decimal(const u8 *digits) {
    u32 n = 0;
    while (*digits) n = 10 * n + *digits++ - '0';
    return n;
}

// Arguments: the first sequence and the one behind the last.
static void test(void) {
    u32 from = 0, to = 20, count, size;
    u8 *arguments[3];
    args_sizes_get(&count, &size);
    if (count == 3) {
        args_get(arguments, buffer);
        from = decimal(arguments[1]);
        to = decimal(arguments[2]);
    }
    for (u32 sequence = from; sequence < to; sequence++) {
        state = (u64)(sequence + 1) * 0x9e3779b97f4a7c15;
        char directory[] = "s0000000";
        for (u32 at = 7, rest = sequence; rest; rest /= 10) directory[at--] += rest % 10;
        u32 own = descriptors[OWN] = make_directory(ROOT, directory);
        make(own, "a", "content of a");
        fd_close(make_directory(own, "b"));
        make(own, "b/c", "content of c");
        fd_close(make_directory(own, "b/d"));
        link_to(own, "b/c", "c");
        for (u32 n = 0; n < SLOTS; n++) descriptors[n] = CLOSED;
        text("sequence ");
        number(sequence);
        put('\n');
        for (u32 n = 0; n < 100; n++) step();
        for (u32 n = 0; n <= OWN; n++) fd_close(descriptors[n]);
    }
}
