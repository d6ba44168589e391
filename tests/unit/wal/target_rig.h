/*
 * target_rig.h - a repository in memory with WAL that was made record by record, and backups that
 * exist on paper: all that a search for targets looks at.
 */
#ifndef PGBR_TESTS_UNIT_WAL_TARGET_RIG_H
#define PGBR_TESTS_UNIT_WAL_TARGET_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/wal/wal_object.h"
#include "tests/lib/test.h"
#include "tests/lib/wal_make.h"
#include "wal/index/index.h"
#include "wal/reach/target.h"

enum { RIG_SEGSZ = 1 << 20, RIG_BACKUPS = 8 };
#define RIG_SYSID UINT64_C(7300000000000000001)
#define NOON INT64_C(1795348800000000) /* 2026-11-22 12:00:00 UTC */
#define MINUTE INT64_C(60000000)

struct rig {
    struct store *store;
    struct repo *repo;
    struct wal_map *map;
    struct pubinfo items[RIG_BACKUPS];
    struct backup_list backups;
    unsigned major;
};

static inline void rig_begin(struct rig *r, unsigned major)
{
    struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
    struct err err = {0};
    bool created;

    memset(r, 0, sizeof *r);
    r->major = major;
    r->store = store_mem_new();
    OK(repo_init(&r->repo, store_mem_share(r->store), &o, &created, &err), &err);
    OK(repo_accept(r->repo, RIG_SYSID, major, &err), &err);
    r->backups.items = r->items;
}

static inline void rig_end(struct rig *r)
{
    wal_map_free(&r->map);
    repo_close(&r->repo);
    store_close(&r->store);
}

static inline void rig_make(struct wal_make *m, unsigned major)
{
    wal_make_init(m, major, RIG_SYSID, 1, RIG_SEGSZ, 3);
}

/* ---- the archive ---- */

enum rig_index { WITH_INDEX, WITHOUT_INDEX, WITH_HALF_AN_INDEX };

static inline void rig_put_file(struct rig *r, const char *file, const void *raw, size_t len,
                                const struct buf *index)
{
    struct wal_source src = {.system_id = RIG_SYSID,
                             .major = r->major,
                             .file = file,
                             .raw = raw,
                             .raw_len = len,
                             .index = index != NULL ? index->p : NULL,
                             .index_len = index != NULL ? index->len : 0};
    enum wal_put done;
    struct err err = {0};

    OK(wal_object_put(r->repo, &src, 1, &done, &err), &err);
    wal_map_free(&r->map);
}

static inline void rig_put(struct rig *r, struct wal_make *m, size_t i, uint32_t tli,
                           enum rig_index how)
{
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(buf_free) struct buf index = BUF_INIT;
    const uint8_t *segment = wal_make_segment(m, i);
    struct wal_expect want = {RIG_SYSID, m->start + i * RIG_SEGSZ, tli};
    char name[WAL_SEGMENT_NAME];
    struct err err = {0};

    wal_index_init(&ix);
    wal_segment_name(tli, wal_make_segno(m, i), RIG_SEGSZ, name);
    OK(wal_index_build(segment, RIG_SEGSZ, &want, &ix, &err), &err);
    wal_index_write(&ix, &index);
    if (how == WITH_HALF_AN_INDEX)
        index.len /= 2;
    rig_put_file(r, name, segment, RIG_SEGSZ, how == WITHOUT_INDEX ? NULL : &index);
}

/* Segments first..last of what was made, by their number in it. */
static inline void rig_put_range(struct rig *r, struct wal_make *m, size_t first, size_t last,
                                 uint32_t tli)
{
    for (size_t i = first; i <= last; i++)
        rig_put(r, m, i, tli, WITH_INDEX);
}

static inline void rig_put_all(struct rig *r, struct wal_make *m)
{
    rig_put_range(r, m, 0, wal_make_count(m) - 1, m->tli);
}

static inline void rig_history(struct rig *r, uint32_t tli, const char *text)
{
    char name[24];

    snprintf(name, sizeof name, "%08X.history", tli);
    rig_put_file(r, name, text, strlen(text), NULL);
}

/* "1\t0/300000\tno recovery target specified\n" */
static inline void rig_line(struct buf *b, uint32_t parent, uint64_t lsn)
{
    char at[LSN_TEXT];

    buf_addf(b, "%u\t%s\tno recovery target specified\n\n", parent, lsn_format(lsn, at));
}

/* A child begins with a copy of its parent's WAL. */
static inline void rig_fork(const struct wal_make *parent, struct wal_make *child, uint32_t tli)
{
    *child = *parent;
    child->bytes = (struct buf)BUF_INIT;
    buf_add(&child->bytes, parent->bytes.p, parent->bytes.len);
    child->tli = tli;
}

/* ---- backups ---- */

static inline uint64_t rig_backup_start(struct wal_make *m)
{
    return wal_make_checkpoint(m, false, NOON);
}

static inline size_t rig_backup_stop(struct rig *r, struct wal_make *m, uint64_t start,
                                     int64_t stop_us)
{
    struct pubinfo *p = &r->items[r->backups.n];
    uint8_t redo[8];

    put_u64(redo, start);
    wal_make_record(m, WAL_RM_XLOG, 0x50, 0, NULL, 0, redo, sizeof redo);
    *p = (struct pubinfo){.type = BACKUP_FULL,
                          .system_id = RIG_SYSID,
                          .pg_version = r->major * 10000,
                          .timeline = m->tli,
                          .start_lsn = start,
                          .stop_lsn = m->end,
                          .start_us = stop_us - MINUTE / 4,
                          .stop_us = stop_us,
                          .wal_segment_size = RIG_SEGSZ};
    snprintf(p->label, sizeof p->label, "20261122T12%02u00Z-F-00000%u",
             (unsigned)(((stop_us - NOON) / MINUTE + 60) % 60), (unsigned)(r->backups.n % 10));
    return r->backups.n++;
}

static inline size_t rig_backup(struct rig *r, struct wal_make *m, int64_t stop_us)
{
    uint64_t start = rig_backup_start(m);

    wal_make_noise(m, 500);
    return rig_backup_stop(r, m, start, stop_us);
}

/* ---- asking ---- */

static inline const struct wal_map *rig_map(struct rig *r)
{
    struct err err = {0};

    if (r->map == NULL)
        OK(wal_map_load(&r->map, r->repo, RIG_SYSID, r->major, RIG_SEGSZ, &err), &err);
    return r->map;
}

static inline struct reach rig_reach(struct rig *r, size_t backup, struct target t)
{
    struct reach reach;
    struct err err = {0};

    OK(target_reach(rig_map(r), r->repo, &r->items[backup], &t, NULL, &reach, &err), &err);
    return reach;
}

static inline struct reach rig_choose(struct rig *r, struct target t, size_t *index)
{
    struct reach reach;
    struct err err = {0};

    OK(target_choose(rig_map(r), r->repo, &r->backups, &t, NULL, index, &reach, &err), &err);
    return reach;
}

static inline struct target time_target(int64_t us, bool exclusive)
{
    return (struct target){.kind = TARGET_TIME, .time_us = us, .exclusive = exclusive};
}
static inline struct target xid_target(uint32_t xid, bool exclusive)
{
    return (struct target){.kind = TARGET_XID, .xid = xid, .exclusive = exclusive};
}
static inline struct target lsn_target(uint64_t lsn, bool exclusive)
{
    return (struct target){.kind = TARGET_LSN, .lsn = lsn, .exclusive = exclusive};
}
static inline struct target name_target(const char *name)
{
    struct target t = {.kind = TARGET_NAME};

    snprintf(t.name, sizeof t.name, "%s", name);
    return t;
}

/* The text must be in what was said. */
#define SAYS(text, part)                                      \
    do {                                                      \
        if (strstr((text), (part)) == NULL)                   \
            fail_msg("\"%s\" is not in: %s", (part), (text)); \
    } while (0)
#define REACHED(reach)                                  \
    do {                                                \
        if (!(reach).reachable)                         \
            fail_msg("not reachable: %s", (reach).why); \
    } while (0)
#define NOT_REACHED(reach, part)         \
    do {                                 \
        assert_false((reach).reachable); \
        SAYS((reach).why, part);         \
    } while (0)

#endif
