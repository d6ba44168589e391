/*
 * drill_deep.c - are the tables and indexes whole? By the extension amcheck, in every database, and
 * by the pages' checksums, once the server is down.
 *
 * The extension is created where it is missing: the sandbox is thrown away. The checksums are
 * judged by PostgreSQL's own pg_checksums where that is installed, else by this program.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "postgres/page.h"
#include "postgres/relfile.h"
#include "restore/drill_form.h"
#include "restore/program.h"

enum { TOLD_MAX = 20, SAID_MAX = 1 << 20 };

/* ---- amcheck ---- */

struct structure {
    struct drill *d;
    struct pg *pg; /* in the present database */
    const char *database;
    char *schema; /* of the extension there, quoted */
    bool heap;    /* it can check tables */
    uint64_t databases, tables, indexes, bad, locked;
};

static void tell_bad(struct structure *s, const char *what, const char *relation, const char *why)
{
    AUTO(mem_free)
    char *name = xasprintf("%s %s of database \"%s\"", what, relation, s->database);

    if (s->bad++ < TOLD_MAX)
        drill_say(drill_find(s->d, DRILL_BAD, name, 0), "%s", why);
}

/* A relation that could not be checked. */
static int could_not(struct structure *s, const char *what, const char *name, struct err *err)
{
    TRY(stop_check(s->d->q->stop, err));
    if (err->code == ERR_BUSY)
        s->locked++;
    else
        tell_bad(s, what, name, err->msg);
    return 0;
}

static int check_table(struct structure *s, const char *oid, const char *name, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    AUTO(mem_free)
    char *sql =
        xasprintf("SELECT count(*), min(format('block %%s, item %%s: %%s', blkno, offnum, msg))"
                  " FROM %s.verify_heapam($1::oid::regclass)",
                  s->schema);
    AUTO(mem_free) char *text = NULL;

    s->tables++;
    if (pg_query_row(s->pg, sql, PG_PARAMS(oid), 2, &rows, err) != 0)
        return could_not(s, "table", name, err);
    if (strcmp(pg_text(rows, 0, 0), "0") != 0) {
        text = xasprintf("%s faults, one of them: %s", pg_text(rows, 0, 0), pg_text(rows, 0, 1));
        tell_bad(s, "table", name, text);
    }
    return 0;
}

static int check_index(struct structure *s, const char *oid, const char *name, struct err *err)
{
    AUTO(mem_free)
    char *sql = xasprintf("SELECT %s.bt_index_check($1::oid::regclass, $2::boolean)", s->schema);
    const char *heap = s->d->q->amcheck == CONFIG_AMCHECK_HEAP ? "t" : "f";

    s->indexes++;
    if (pg_query(s->pg, sql, PG_PARAMS(oid, heap), 1, NULL, err) == 0)
        return 0;
    return could_not(s, "index", name, err);
}

/* Tables with their own storage, and B-trees, of all schemas; what is temporary died with its
 * session. */
static int check_relations(struct structure *s, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(pg_query(s->pg,
                 "SELECT c.oid, c.oid::pg_catalog.regclass::text, c.relkind = 'i'"
                 " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam"
                 " LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid"
                 " WHERE c.relpersistence <> 't' AND"
                 " (c.relkind IN ('r', 'm', 't') AND a.amname = 'heap' OR"
                 " c.relkind = 'i' AND a.amname = 'btree' AND i.indisready AND i.indisvalid)"
                 " ORDER BY 3, 1",
                 PG_NONE, 3, &rows, err));
    for (size_t i = 0; i < pg_count(rows); i++) {
        if (pg_bool(rows, i, 2))
            TRY(check_index(s, pg_text(rows, i, 0), pg_text(rows, i, 1), err));
        else if (s->heap)
            TRY(check_table(s, pg_text(rows, i, 0), pg_text(rows, i, 1), err));
    }
    return 0;
}

/* An old version of the extension may be installed, in whatever schema. */
static int install(struct structure *s, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(pg_query(s->pg, "SET default_transaction_read_only = off", PG_NONE, 0, NULL, err));
    TRY(pg_query(s->pg, "SET lock_timeout = '1s'", PG_NONE, 0, NULL, err));
    /* The database's event triggers do not concern it. */
    TRY(pg_query(s->pg, "SET session_replication_role = replica", PG_NONE, 0, NULL, err));
    TRY(pg_query(s->pg, "CREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA pg_catalog", PG_NONE, 0,
                 NULL, err));
    TRY(pg_query(s->pg, "ALTER EXTENSION amcheck UPDATE", PG_NONE, 0, NULL, err));
    TRY(pg_query_row(
        s->pg,
        "SELECT pg_catalog.quote_ident(n.nspname), EXISTS (SELECT FROM pg_catalog.pg_proc p"
        " WHERE p.pronamespace = n.oid AND p.proname = 'verify_heapam')"
        " FROM pg_catalog.pg_extension e"
        " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'amcheck'",
        PG_NONE, 2, &rows, err));
    s->schema = xstrdup(pg_text(rows, 0, 0));
    s->heap = pg_bool(rows, 0, 1);
    return 0;
}

static int check_database(struct structure *s, const char *name, struct err *err)
{
    int rc;

    s->database = name;
    rc = drill_connect(s->d, name, &s->pg, err);
    if (rc == 0)
        rc = install(s, err);
    if (rc == 0)
        rc = check_relations(s, err);
    pg_close(&s->pg);
    mem_free(&s->schema);
    s->databases++;
    if (rc == 0)
        return 0;
    TRY(stop_check(s->d->q->stop, err));
    tell_bad(s, "amcheck", "", err->msg);
    return 0;
}

static int is_available(struct drill *d, bool *available, struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;

    TRY(drill_connect(d, "template1", &pg, err));
    TRY(pg_query_row(pg,
                     "SELECT EXISTS (SELECT FROM pg_catalog.pg_available_extensions"
                     " WHERE name = 'amcheck')",
                     PG_NONE, 1, &rows, err));
    *available = pg_bool(rows, 0, 0);
    return 0;
}

static int check_all(struct drill *d, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    struct structure s = {.d = d};
    int64_t began = clock_monotonic_us();
    struct drill_finding *f;

    TRY(drill_databases(d, &rows, err));
    for (size_t i = 0; i < pg_count(rows); i++)
        if (pg_bool(rows, i, 1))
            TRY(check_database(&s, pg_text(rows, i, 0), err));
    f = drill_find(d, s.bad == 0 ? DRILL_OK : DRILL_BAD, "amcheck", clock_monotonic_us() - began);
    drill_say(f, "%llu tables and %llu indexes in %llu databases%s: %llu with faults",
              (unsigned long long)s.tables, (unsigned long long)s.indexes,
              (unsigned long long)s.databases,
              d->conf.control.version->major < 14 ? " (tables can be checked from PostgreSQL 14 on)"
              : d->q->amcheck == CONFIG_AMCHECK_HEAP ? ", every row looked for in its indexes"
                                                     : "",
              (unsigned long long)s.bad);
    if (s.locked != 0)
        drill_say(drill_find(d, DRILL_WARNING, "amcheck", 0),
                  "%llu tables and indexes could not be checked: prepared transactions hold locks "
                  "on them",
                  (unsigned long long)s.locked);
    return 0;
}

int drill_check_structure(struct drill *d, struct err *err)
{
    bool available = false;

    if (d->q->amcheck == CONFIG_AMCHECK_OFF) {
        drill_say(drill_find(d, DRILL_SKIPPED, "amcheck", 0), "switched off");
        return 0;
    }
    if (is_available(d, &available, err) == 0 && !available) {
        drill_say(drill_find(d, DRILL_WARNING, "amcheck", 0),
                  "not run: the files of the extension are not installed here; install "
                  "PostgreSQL's contrib package, or switch it off (--no-amcheck)");
        return 0;
    }
    if (available && check_all(d, err) == 0)
        return 0;
    TRY(stop_check(d->q->stop, err));
    drill_say(drill_find(d, DRILL_BAD, "amcheck", 0), "%s", err->msg);
    return 0;
}

/* ---- page checksums ---- */

struct pages {
    struct drill *d;
    uint8_t *buffer;
    uint64_t files, pages, bad;
};

static void tell_page(struct pages *p, const char *path, uint64_t page, const char *why)
{
    AUTO(mem_free) char *name = xasprintf("page %llu of \"%s\"", (unsigned long long)page, path);

    if (p->bad++ < TOLD_MAX)
        drill_say(drill_find(p->d, DRILL_BAD, name, 0), "%s", why);
}

static void judge_pages(struct pages *p, const char *path, uint32_t segno, uint64_t first,
                        size_t len)
{
    for (size_t at = 0; at + PG_PAGE_SIZE <= len; at += PG_PAGE_SIZE) {
        uint64_t page = first + at / PG_PAGE_SIZE;
        uint32_t block = (uint32_t)(segno * (uint64_t)PG_RELSEG_PAGES + page);
        enum page_verdict v = page_check(p->buffer + at, block, UINT64_MAX, UINT64_MAX);

        p->pages++;
        if (v >= PAGE_BAD)
            tell_page(p, path, page, page_verdict_name(v));
    }
    if (len % PG_PAGE_SIZE != 0)
        tell_page(p, path, first + len / PG_PAGE_SIZE, "the file ends inside of this page");
}

static int check_file(struct pages *p, int dir, const char *name, const char *path, uint32_t segno,
                      struct err *err)
{
    AUTO(quiet_close) struct quiet_file file = QUIET_FILE_INIT;
    size_t got = FS_IO_SIZE;

    TRY(quiet_open(&file, dir, name, NULL, err));
    file.path = path;
    p->files++;
    for (uint64_t at = 0; got == FS_IO_SIZE; at += got) {
        TRY(stop_check(p->d->q->stop, err));
        TRY(quiet_read(&file, p->buffer, FS_IO_SIZE, at, &got, err));
        judge_pages(p, path, segno, at / PG_PAGE_SIZE, got);
    }
    return 0;
}

/* A directory that holds relation files. */
static int check_dir(struct pages *p, const char *path, struct err *err)
{
    AUTO(dir_close) DIR *list = opendir(path);

    if (list == NULL)
        return err_sys(err, "cannot list \"%s\"", path);
    for (struct dirent *e; (e = readdir(list)) != NULL;) {
        AUTO(mem_free) char *file = xasprintf("%s/%s", path, e->d_name);
        struct rel_file rel;

        if (relfile_parse_name(e->d_name, &rel))
            TRY(check_file(p, dirfd(list), e->d_name, file, rel.segno, err));
    }
    return 0;
}

/* Its subdirectories, each of one database. */
static int check_databases_in(struct pages *p, const char *path, struct err *err)
{
    AUTO(dir_close) DIR *list = opendir(path);

    if (list == NULL)
        return errno == ENOENT ? 0 : err_sys(err, "cannot list \"%s\"", path);
    for (struct dirent *e; (e = readdir(list)) != NULL;) {
        AUTO(mem_free) char *dir = xasprintf("%s/%s", path, e->d_name);

        if (oid_parse(e->d_name) != 0)
            TRY(check_dir(p, dir, err));
    }
    return 0;
}

static int check_tablespaces(struct pages *p, const char *data, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/pg_tblspc", data);
    AUTO(dir_close) DIR *list = opendir(path);

    if (list == NULL)
        return err_sys(err, "cannot list \"%s\"", path);
    for (struct dirent *e; (e = readdir(list)) != NULL;) {
        AUTO(mem_free)
        char *dir =
            xasprintf("%s/%s/%s", path, e->d_name, p->d->conf.control.version->tablespace_dir);

        if (oid_parse(e->d_name) != 0)
            TRY(check_databases_in(p, dir, err));
    }
    return 0;
}

static int check_ourselves(struct drill *d, struct pages *p, struct err *err)
{
    AUTO(mem_free) char *global = xasprintf("%s/global", d->box.data);
    AUTO(mem_free) char *base = xasprintf("%s/base", d->box.data);

    TRY(check_dir(p, global, err));
    TRY(check_databases_in(p, base, err));
    return check_tablespaces(p, d->box.data, err);
}

static int by_own_means(struct drill *d, int64_t began, struct err *err)
{
    AUTO(mem_free) uint8_t *buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    struct pages p = {.d = d, .buffer = buffer};
    struct drill_finding *f;

    TRY(check_ourselves(d, &p, err));
    f = drill_find(d, p.bad == 0 ? DRILL_OK : DRILL_BAD, "page checksums",
                   clock_monotonic_us() - began);
    drill_say(f, "%llu pages in %llu files: %llu with faults", (unsigned long long)p.pages,
              (unsigned long long)p.files, (unsigned long long)p.bad);
    return 0;
}

/* "Blocks scanned:  4711" */
static uint64_t number_behind(const char *said, const char *words)
{
    const char *at = strstr(said, words);

    return at == NULL ? 0 : strtoull(at + strlen(words), NULL, 10);
}

static int by_pg_checksums(struct drill *d, const char *program, int64_t began, struct err *err)
{
    const char *const words[] = {program, "--check", "-D", d->box.data, NULL};
    AUTO(buf_free) struct buf said = BUF_INIT;
    int rc = program_read(words, SAID_MAX, d->q->stop, &said, err);
    struct drill_finding *f;

    TRY(stop_check(d->q->stop, err));
    f = drill_find(d, rc == 0 ? DRILL_OK : DRILL_BAD, "page checksums",
                   clock_monotonic_us() - began);
    if (rc == 0)
        drill_say(f, "%llu pages in %llu files, by pg_checksums",
                  (unsigned long long)number_behind(buf_text(&said), "Blocks scanned:"),
                  (unsigned long long)number_behind(buf_text(&said), "Files scanned:"));
    else
        drill_say(f, "%s: %.*s", err->msg, (int)MIN_OF(said.len, 1000), buf_text(&said));
    return 0;
}

int drill_check_pages(struct drill *d, struct err *err)
{
    AUTO(mem_free) char *program = xasprintf("%s/pg_checksums", d->bin);
    int64_t began = clock_monotonic_us();

    if (server_stop(&d->server, d->q->stop, err) != 0) {
        TRY(stop_check(d->q->stop, err));
        drill_say(drill_find(d, DRILL_BAD, "shutdown", clock_monotonic_us() - began), "%s",
                  err->msg);
        return 0;
    }
    drill_find(d, DRILL_OK, "shutdown", clock_monotonic_us() - began);
    began = clock_monotonic_us();
    if (d->conf.control.checksum_version == 0) {
        drill_say(drill_find(d, DRILL_SKIPPED, "page checksums", 0),
                  "the cluster has none (initdb --data-checksums)");
        return 0;
    }
    if (access(program, X_OK) == 0)
        return by_pg_checksums(d, program, began, err);
    if (by_own_means(d, began, err) == 0)
        return 0;
    TRY(stop_check(d->q->stop, err));
    drill_say(drill_find(d, DRILL_BAD, "page checksums", 0), "%s", err->msg);
    return 0;
}
