/*
 * check_archive.c - does WAL reach the repositories, and does it come back?
 *
 * The round trip is the proof; what the archiver says of itself and what waits in pg_wal explain
 * it, so they are asked behind it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cli/check.h"
#include "postgres/lsn.h"
#include "postgres/server.h"
#include "repo/wal_object.h"
#include "wal/prove.h"

enum {
    AGAIN_MS = 5000, /* how long to wait for WAL once it did not reach another repository */
    GET_THREADS = 2,
    WAITING_FEW = 3, /* segments that may wait without anything being wrong */
    WAITING_S = 60,
    FULL_SOON_S = 86400,
};

/* ---- there and back ---- */

/* The segment that the server writes now, which the proof will finish and wait for. */
static int present_segment(const struct check *k, struct pg *primary, char name[WAL_SEGMENT_NAME],
                           struct err *err)
{
    uint32_t timeline;
    uint64_t lsn;

    TRY(pg_timeline(primary, &timeline, err));
    TRY(pg_insert_lsn(primary, &lsn, err));
    wal_segment_name(timeline, lsn_segno(lsn, k->facts.wal_segsz), k->facts.wal_segsz, name);
    return 0;
}

static int round_trip(struct check *k, struct pg *primary, struct repo *r, int64_t timeout_ms,
                      char name[WAL_SEGMENT_NAME], struct err *err)
{
    struct wal_place place = {r, k->facts.system_id, k->facts.version->major, k->facts.wal_segsz};
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    TRY(present_segment(k, primary, name, err));
    TRY(wal_prove_archiving(&place, primary, timeout_ms, &k->app->stop, err));
    TRY(wal_object_get(r, place.system_id, place.major, name, k->facts.wal_segsz, GET_THREADS,
                       &bytes, err));
    if (bytes.len != k->facts.wal_segsz)
        return err_set(err, ERR_CORRUPT, "WAL segment \"%s\" came back with %zu bytes, expected %u",
                       name, bytes.len, k->facts.wal_segsz);
    return 0;
}

/* True: the WAL came, so the archiver works now whatever happened before. */
static bool prove(struct check *k, struct pg *primary)
{
    int64_t timeout_ms = k->cluster->archive_timeout_ms;
    bool proved = false;

    for (size_t i = 0; i < k->repos.n && !stop_wanted(&k->app->stop); i++) {
        const struct open_repo *o = &k->repos.items[i];
        int64_t begun = clock_monotonic_us();
        char name[WAL_SEGMENT_NAME] = "";
        struct err err = {0};

        if (o->repo == NULL || !repo_knows(o->repo, k->facts.system_id, k->facts.version->major))
            continue; /* said before */
        if (round_trip(k, primary, o->repo, timeout_ms, name, &err) == 0) {
            check_say(k, CHECK_OK, "archiving", o->name, NULL,
                      "WAL segment \"%s\" went there and came back in %.2f s", name,
                      (double)(clock_monotonic_us() - begun) / 1e6);
            proved = true;
            continue;
        }
        check_say(k, o->required ? CHECK_FAILED : CHECK_WARNING, "archiving", o->name, NULL, "%s",
                  err.msg);
        timeout_ms = MIN_OF(timeout_ms, AGAIN_MS);
    }
    return proved;
}

/* ---- the archiver's own account ---- */

struct archiver {
    int64_t archived, failed, archived_us, failed_us;
    const char *failed_wal; /* of rows */
    struct pg_rows *rows;
};

static int ask_archiver(struct pg *pg, struct archiver *a, struct err *err)
{
    static const char sql[] =
        "SELECT archived_count, failed_count,"
        " coalesce((extract(epoch FROM last_archived_time) * 1000000)::bigint, 0),"
        " coalesce((extract(epoch FROM last_failed_time) * 1000000)::bigint, 0),"
        " coalesce(last_failed_wal, '') FROM pg_stat_archiver";

    TRY(pg_query_row(pg, sql, PG_NONE, 5, &a->rows, err));
    TRY(pg_int(a->rows, 0, 0, &a->archived, err));
    TRY(pg_int(a->rows, 0, 1, &a->failed, err));
    TRY(pg_int(a->rows, 0, 2, &a->archived_us, err));
    TRY(pg_int(a->rows, 0, 3, &a->failed_us, err));
    a->failed_wal = pg_text(a->rows, 0, 4);
    return 0;
}

static void archiver(struct check *k, struct pg *pg, bool proved)
{
    struct archiver a = {0};
    struct err err = {0};
    char when[40];

    if (ask_archiver(pg, &a, &err) != 0)
        check_say(k, CHECK_WARNING, "archiver", NULL, NULL, "%s", err.msg);
    else if (a.failed_us == 0)
        check_say(k, CHECK_OK, "archiver", NULL, NULL, "%" PRId64 " files, no failure", a.archived);
    else if (a.failed_us <= a.archived_us || proved)
        check_say(k, CHECK_OK, "archiver", NULL, NULL,
                  "%" PRId64 " files; %" PRId64 " failures, the last one at %s", a.archived,
                  a.failed, clock_format_utc(a.failed_us / 1000000 * 1000000, when));
    else
        check_say(k, CHECK_FAILED, "archiver", NULL, "the server's log says why",
                  "it fails, %" PRId64 " times so far, last at %s with \"%s\"", a.failed,
                  clock_format_utc(a.failed_us / 1000000 * 1000000, when), a.failed_wal);
    pg_rows_free(&a.rows);
}

/* ---- what waits ---- */

struct waiting {
    uint64_t files;
    int64_t oldest_s; /* when the one that waits longest was finished; Unix time */
};

static void close_dir(DIR **d)
{
    if (*d != NULL)
        closedir(*d);
    *d = NULL;
}

static int count_waiting(const char *status_dir, struct waiting *w, struct err *err)
{
    AUTO(close_dir) DIR *d = opendir(status_dir);

    *w = (struct waiting){0};
    if (d == NULL)
        return err_sys(err, "cannot read \"%s\"", status_dir);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        struct stat st;

        if (len < 6 || strcmp(e->d_name + len - 6, ".ready") != 0 ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (w->files++ == 0 || st.st_mtime < w->oldest_s)
            w->oldest_s = st.st_mtime;
    }
    return 0;
}

static void say_waiting(struct check *k, const char *pg_wal, const struct waiting *w)
{
    int64_t age = MAX_OF(clock_now_us() / 1000000 - w->oldest_s, 0);
    char size[24], since[40], left[40];
    struct statvfs fs;
    uint64_t full_s = 0, bytes = w->files * k->facts.wal_segsz;

    if (w->files <= WAITING_FEW || age < WAITING_S) {
        check_say(k, CHECK_OK, "WAL to archive", NULL, NULL, "%" PRIu64 " files wait in pg_wal",
                  w->files);
        return;
    }
    if (statvfs(pg_wal, &fs) == 0)
        full_s = check_forecast(bytes, (uint64_t)age, (uint64_t)fs.f_bavail * fs.f_frsize);
    format_bytes(bytes, size);
    clock_format_duration(age * 1000000, since);
    if (full_s == 0)
        check_say(k, CHECK_WARNING, "WAL to archive", NULL, "mend archiving",
                  "%" PRIu64 " files (%s) wait in pg_wal, the oldest for %s", w->files, size,
                  since);
    else
        check_say(
            k, full_s < FULL_SOON_S ? CHECK_FAILED : CHECK_WARNING, "WAL to archive", NULL,
            "mend archiving, or make room: a full disk stops the server",
            "%" PRIu64 " files (%s) wait in pg_wal, the oldest for %s; at this rate the disk "
            "is full in %s",
            w->files, size, since,
            clock_format_duration((int64_t)MIN_OF(full_s, UINT64_C(1) << 32) * 1000000, left));
}

static void pg_wal(struct check *k)
{
    AUTO(mem_free) char *dir = xasprintf("%s/pg_wal", k->facts.data_directory);
    AUTO(mem_free) char *status = xasprintf("%s/archive_status", dir);
    struct waiting w;
    struct err err = {0};

    if (count_waiting(status, &w, &err) != 0)
        check_say(k, CHECK_WARNING, "WAL to archive", NULL, NULL, "%s", err.msg);
    else
        say_waiting(k, dir, &w);
    check_disk(k, "disk of pg_wal", NULL, dir, (uint64_t)k->facts.wal_segsz * 4);
}

/* ---- all of it ---- */

void check_archiving(struct check *k)
{
    struct pg *primary;
    bool proved = false;

    if (!k->has_facts)
        return; /* no connection, which was said */
    primary = k->facts.in_recovery ? k->primary : k->pg;
    if (primary != NULL && (k->archives || k->facts.in_recovery))
        proved = prove(k, primary);
    else if (primary == NULL)
        check_say(k, CHECK_WARNING, "archiving", NULL, "check the primary too",
                  "only the primary can prove that WAL arrives, and it cannot be reached");
    if (stop_wanted(&k->app->stop))
        return;
    archiver(k, primary != NULL ? primary : k->pg, proved);
    pg_wal(k);
}
