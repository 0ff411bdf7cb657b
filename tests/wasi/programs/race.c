// Works on a path whose middle another process keeps exchanging: a directory here, a link to outside there. Nothing that is read
// may say SECRET, and whoever runs this checks that nothing outside has changed.
#include "wasi.h"

static void test(void) {
    u32 leaked = 0, inside = 0, refused = 0;
    u64 start, now;
    clock_time_get(1, 0, &start);
    do {
        for (int i = 0; i < 200; i++) {
            u32 file, done = 0;
            char content[16] = {0};
            if (path_open(ROOT, FOLLOW, S("flip/secret"), 0, READ, 0, 0, &file) == 0) {
                fd_read(file, &(iovec){content, 16}, 1, &done);
                fd_close(file);
                leaked += content[0] == 'S';
                inside += content[0] == 'i';
            } else refused++;
            filestat stat;
            if (path_filestat_get(ROOT, FOLLOW, S("flip/secret"), &stat) == 0) leaked += stat.size == 6;
            if (path_open(ROOT, FOLLOW, S("flip/made"), CREAT, WRITE, 0, 0, &file) == 0) fd_close(file);
            path_unlink_file(ROOT, S("flip/victim"));
            path_create_directory(ROOT, S("flip/directory"));
            path_remove_directory(ROOT, S("flip/directory"));
            path_rename(ROOT, S("flip/made"), ROOT, S("flip/renamed"));
            path_link(ROOT, 0, S("flip/secret"), ROOT, S("flip/linked"));
            path_unlink_file(ROOT, S("flip/linked"));
            path_filestat_set_times(ROOT, FOLLOW, S("flip/secret"), 0, 0, 5);
            path_symlink(S("x"), ROOT, S("flip/symbolic"));
            path_unlink_file(ROOT, S("flip/symbolic"));
            u32 directory;
            if (path_open(ROOT, 0, S("flip/.."), DIRECTORY, READ, 0, 0, &directory) == 0) {
                leaked += path_filestat_get(directory, 0, S("outside"), &stat) == 0;
                fd_close(directory);
            }
        }
        clock_time_get(1, 0, &now);
    } while (now - start < 2000000000ull);
    value("leaked", leaked);
    value("met inside", inside > 0);
    value("met refusal", refused > 0);
}
