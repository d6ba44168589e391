/*
 * archive_rig.h - a data directory with a control file and WAL, and a configuration with one
 * required and one optional repository, all in a temporary directory.
 */
#ifndef PGBR_TESTS_UNIT_WAL_ARCHIVE_RIG_H
#define PGBR_TESTS_UNIT_WAL_ARCHIVE_RIG_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/open.h"
#include "postgres/lsn.h"
#include "repo/wal/wal_object.h"
#include "tests/lib/test.h"
#include "tests/lib/wal_make.h"
#include "tests/unit/postgres/samples.h"

enum { ARCHIVE_SEGSZ = 1 << 20, ARCHIVE_MAJOR = 15, CONTROL_FILE = 8192 };

struct archive {
    char top[32];
    uint64_t system_id; /* of the control file */
    struct config *config;
    const struct cluster_config *cluster;
    struct wal_make wal; /* from segment 3 of timeline 1 */
};

static inline char *archive_path(const struct archive *a, const char *name)
{
    return xasprintf("%s/%s", a->top, name);
}

static inline void archive_write(const struct archive *a, const char *name, const void *bytes,
                                 size_t len)
{
    AUTO(mem_free) char *path = archive_path(a, name);
    AUTO(mem_free) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    struct err err = {0};

    OK(fs_mkdirs(dir, 0700, &err), &err);
    OK(fs_replace(AT_FDCWD, path, bytes, len, 0600, &err), &err);
}

static inline void archive_configure(struct archive *a)
{
    AUTO(mem_free)
    char *text = xasprintf("state_dir: %s/state\n"
                           "repos:\n"
                           "  must: {path: %s/must}\n"
                           "  may: {path: %s/may, optional: yes}\n"
                           "repo: must\n"
                           "clusters:\n"
                           "  main: {data: %s/data, repos: [must, may]}\n",
                           a->top, a->top, a->top, a->top);
    struct err err = {0};

    OK(config_parse(text, strlen(text), "test", &a->config, &err), &err);
    a->cluster = &a->config->clusters[0];
}

static inline void archive_init_repo(struct archive *a, const char *name)
{
    AUTO(repo_close) struct repo *r = NULL;
    struct err err = {0};
    bool created;

    OK(config_init_repo(a->config, a->cluster, name, &r, &created, &err), &err);
    OK(repo_accept(r, a->system_id, ARCHIVE_MAJOR, &err), &err);
}

static inline int archive_begin(void **state)
{
    struct archive *a = xcalloc(1, sizeof *a);
    uint8_t control[CONTROL_FILE] = {0};

    log_setup(LOG_TEXT, LOG_ERROR);
    strcpy(a->top, "/tmp/pgbr-test-XXXXXX");
    assert_non_null(mkdtemp(a->top));
    sample(control_15, control);
    a->system_id = get_u64(control);
    archive_write(a, "data/global/pg_control", control, sizeof control);
    archive_write(a, "data/pg_wal/archive_status/x", "", 0);
    archive_configure(a);
    archive_init_repo(a, "must");
    archive_init_repo(a, "may");
    wal_make_init(&a->wal, ARCHIVE_MAJOR, a->system_id, 1, ARCHIVE_SEGSZ, 3);
    *state = a;
    return 0;
}

static inline int archive_end(void **state)
{
    struct archive *a = *state;
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, a->top, false, &err), &err);
    config_free(&a->config);
    wal_make_free(&a->wal);
    free(a);
    return 0;
}

/* One more segment in pg_wal; its name. */
static inline const char *archive_segment(struct archive *a, char name[WAL_SEGMENT_NAME])
{
    size_t n = wal_make_count(&a->wal);
    AUTO(mem_free) char *path = NULL;

    wal_make_commit(&a->wal, 700 + (uint32_t)n, INT64_C(1795348800000000));
    wal_make_switch(&a->wal);
    n = wal_make_count(&a->wal) - 1;
    wal_segment_name(1, wal_make_segno(&a->wal, n), ARCHIVE_SEGSZ, name);
    path = xasprintf("data/pg_wal/%s", name);
    archive_write(a, path, wal_make_segment(&a->wal, n), ARCHIVE_SEGSZ);
    return name;
}

/* A repository that goes away and comes back. */
static inline void archive_move(const struct archive *a, const char *from, const char *to)
{
    AUTO(mem_free) char *old = archive_path(a, from);
    AUTO(mem_free) char *new = archive_path(a, to);

    assert_int_equal(rename(old, new), 0);
}

static inline void archive_remove(const struct archive *a, const char *name)
{
    AUTO(mem_free) char *path = archive_path(a, name);
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, path, false, &err), &err);
}

/* Is the file in the repository, whole? */
static inline bool archive_has(const struct archive *a, const char *repo, const char *file)
{
    AUTO(repo_close) struct repo *r = NULL;
    struct err err = {0};
    bool whole = false;

    OK(config_open_repo(a->config, a->cluster, repo, REPO_OPEN_FULL, &r, &err), &err);
    OK(wal_object_exists(r, a->system_id, ARCHIVE_MAJOR, file, &whole, &err), &err);
    return whole;
}

/* What the state directory says the optional repository misses; "" if nothing. */
static inline char *archive_missed(const struct archive *a)
{
    AUTO(mem_free) char *path = archive_path(a, "state/main.may.missed");
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err err = {0};

    if (fs_read_file(AT_FDCWD, path, 1 << 20, &text, &err) != 0)
        assert_int_equal(err.code, ERR_NOT_FOUND);
    return xstrdup(buf_text(&text));
}

#endif
