/* SQLite in memory: inserts, indices, joins, aggregates, text search, updates, deletes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite3.h"

/* The library is built with SQLITE_OS_OTHER; a file system that opens nothing is enough for :memory:. */
static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out) {
    (void)v, (void)name, (void)f, (void)flags, (void)out;
    return SQLITE_CANTOPEN;
}
static int vfs_delete(sqlite3_vfs *v, const char *name, int sync) { return (void)v, (void)name, (void)sync, SQLITE_OK; }
static int vfs_access(sqlite3_vfs *v, const char *name, int flags, int *out) {
    (void)v, (void)name, (void)flags;
    *out = 0;
    return SQLITE_OK;
}
static int vfs_path(sqlite3_vfs *v, const char *name, int n, char *out) {
    (void)v;
    sqlite3_snprintf(n, out, "%s", name);
    return SQLITE_OK;
}
static int vfs_random(sqlite3_vfs *v, int n, char *out) {
    (void)v;
    memset(out, 42, (size_t)n);
    return n;
}
static int vfs_sleep(sqlite3_vfs *v, int us) { return (void)v, us; }
static int vfs_time(sqlite3_vfs *v, double *out) {
    (void)v;
    *out = 2460000.5;
    return SQLITE_OK;
}

int sqlite3_os_init(void) {
    static sqlite3_vfs vfs = {.iVersion = 1, .szOsFile = 64, .mxPathname = 256, .zName = "none", .xOpen = vfs_open,
                              .xDelete = vfs_delete, .xAccess = vfs_access, .xFullPathname = vfs_path,
                              .xRandomness = vfs_random, .xSleep = vfs_sleep, .xCurrentTime = vfs_time};
    return sqlite3_vfs_register(&vfs, 1);
}
int sqlite3_os_end(void) { return SQLITE_OK; }

static sqlite3 *db;

static void check(int rc, const char *what) {
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return;
    printf("sqlite: %s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

static void run(const char *sql) { check(sqlite3_exec(db, sql, NULL, NULL, NULL), sql); }

static void ask(const char *sql) {
    sqlite3_stmt *s;
    check(sqlite3_prepare_v2(db, sql, -1, &s, NULL), sql);
    int rc, rows = 0;
    uint64_t h = 14695981039346656037ull;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        rows++;
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            const unsigned char *t = sqlite3_column_text(s, i);
            while (t && *t) h = (h ^ *t++) * 1099511628211ull;
        }
    }
    check(rc, sql);
    sqlite3_finalize(s);
    printf("%6d rows %016llx  %.60s\n", rows, (unsigned long long)h, sql);
}

int main(void) {
    check(sqlite3_open(":memory:", &db), "open");
    run("create table person(id integer primary key, name text, city integer, age integer, balance real)");
    run("create table city(id integer primary key, name text)");
    run("create table event(person integer, kind text, amount integer)");

    sqlite3_stmt *s;
    uint32_t x = 1;
    run("begin");
    check(sqlite3_prepare_v2(db, "insert into city values(?, ?)", -1, &s, NULL), "city");
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "city-%03d", i * 7 % 300);
        sqlite3_bind_int(s, 1, i);
        sqlite3_bind_text(s, 2, name, -1, SQLITE_TRANSIENT);
        check(sqlite3_step(s), "insert city");
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    check(sqlite3_prepare_v2(db, "insert into person values(?, ?, ?, ?, ?)", -1, &s, NULL), "person");
    for (int i = 0; i < 40000; i++) {
        char name[32];
        x = x * 1664525u + 1013904223u;
        snprintf(name, sizeof name, "%c%c%u", 'a' + x % 26, 'a' + (x >> 8) % 26, x >> 12);
        sqlite3_bind_int(s, 1, i);
        sqlite3_bind_text(s, 2, name, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int(s, 3, (int)((x >> 16) % 300));
        sqlite3_bind_int(s, 4, (int)((x >> 20) % 90));
        sqlite3_bind_double(s, 5, (double)(x >> 10) / 128.0);
        check(sqlite3_step(s), "insert person");
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    check(sqlite3_prepare_v2(db, "insert into event values(?, ?, ?)", -1, &s, NULL), "event");
    for (int i = 0; i < 80000; i++) {
        static const char *const kinds[] = {"buy", "sell", "move", "wait"};
        x = x * 1664525u + 1013904223u;
        sqlite3_bind_int(s, 1, (int)((x >> 8) % 40000));
        sqlite3_bind_text(s, 2, kinds[x >> 30], -1, SQLITE_STATIC);
        sqlite3_bind_int(s, 3, (int)((x >> 12) % 5000));
        check(sqlite3_step(s), "insert event");
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    run("commit");
    run("create index person_city on person(city, age)");
    run("create index person_name on person(name)");
    run("create index event_person on event(person)");

    ask("select count(*), sum(age), round(avg(balance), 3), min(name), max(name) from person");
    ask("select c.name, count(*), sum(p.age) from person p join city c on c.id = p.city group by c.id order by 2 desc, 1");
    ask("select p.name, sum(e.amount) t from person p join event e on e.person = p.id where e.kind = 'buy' group by p.id having t > 9000 order by t desc, 1");
    ask("select name from person where name like '%7a%' or name like 'q%99%' order by name");
    ask("select city, age, count(*) from person where age between 20 and 40 group by city, age order by 1, 2");
    ask("select substr(name, 1, 2) k, count(*), group_concat(age) from person where city < 30 group by k order by k");
    ask("with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select sum(i * i % 7) from n");
    ask("select kind, amount / 100 b, count(*) over (partition by kind) from event group by kind, b order by 1, 2");
    run("begin");
    check(sqlite3_prepare_v2(db, "select age, name from person where id = ?", -1, &s, NULL), "by id");
    uint64_t total = 0;
    for (int i = 0; i < 100000; i++) {
        x = x * 1664525u + 1013904223u;
        sqlite3_bind_int(s, 1, (int)((x >> 8) % 40000));
        if (sqlite3_step(s) == SQLITE_ROW) total += (uint64_t)sqlite3_column_int(s, 0) * (uint64_t)sqlite3_column_bytes(s, 1);
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    run("update person set balance = balance * 1.5, age = age + 1 where city % 3 = 0");
    run("delete from event where amount < 1000");
    run("commit");
    ask("select count(*), round(sum(balance), 2), sum(age) from person");
    ask("select count(*), sum(amount) from event");
    printf("total %llu\n", (unsigned long long)total);
    sqlite3_close(db);
    return 0;
}
