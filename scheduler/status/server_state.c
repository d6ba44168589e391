/* server_state.c - see server_state.h. */
#include "scheduler/status/server_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "postgres/server.h"

enum { SEGMENT_NAME = 24 };

/* ---- the server ---- */

/* pg_last_committed_xact() is an error where commit times are not kept, so it stands where it is
 * not reached then. */
static const char state_sql[] =
    "SELECT pg_is_in_recovery(), current_setting('archive_mode') <> 'off',"
    " CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn()"
    " END,"
    " (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'),"
    " CASE WHEN current_setting('track_commit_timestamp') = 'on' AND NOT pg_is_in_recovery() THEN"
    " coalesce((SELECT (extract(epoch FROM timestamp) * 1000000)::bigint"
    " FROM pg_last_committed_xact()), 0) ELSE 0 END,"
    " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,"
    " archived_count, failed_count,"
    " coalesce((extract(epoch FROM last_archived_time) * 1000000)::bigint, 0),"
    " coalesce((extract(epoch FROM last_failed_time) * 1000000)::bigint, 0),"
    " coalesce(last_archived_wal, ''), coalesce(last_failed_wal, '') FROM pg_stat_archiver";

static int read_state(const struct pg_rows *rows, struct server_state *s, struct err *err)
{
    int64_t segment_size;

    s->in_recovery = pg_bool(rows, 0, 0);
    s->archives = pg_bool(rows, 0, 1);
    if (!pg_is_null(rows, 0, 2)) /* a standby that has replayed nothing yet */
        TRY(pg_lsn(rows, 0, 2, &s->wal_lsn, err));
    TRY(pg_int(rows, 0, 3, &segment_size, err));
    s->segment_size = (uint32_t)segment_size;
    TRY(pg_int(rows, 0, 4, &s->last_commit_us, err));
    TRY(pg_int(rows, 0, 5, &s->now_us, err));
    TRY(pg_int(rows, 0, 6, &s->archived, err));
    TRY(pg_int(rows, 0, 7, &s->failed, err));
    TRY(pg_int(rows, 0, 8, &s->archived_us, err));
    TRY(pg_int(rows, 0, 9, &s->failed_us, err));
    snprintf(s->archived_wal, sizeof s->archived_wal, "%s", pg_text(rows, 0, 10));
    snprintf(s->failed_wal, sizeof s->failed_wal, "%s", pg_text(rows, 0, 11));
    return 0;
}

int server_state_ask(struct pg *pg, struct server_state *out, struct err *err)
{
    AUTO(pg_rows_free) struct pg_rows *rows = NULL;
    int64_t before = clock_now_us();

    *out = (struct server_state){.major = pg_major(pg)};
    TRY(pg_system_id(pg, &out->system_id, err));
    TRY(pg_timeline(pg, &out->timeline, err));
    TRY(pg_query_row(pg, state_sql, PG_NONE, 12, &rows, err));
    TRY(read_state(rows, out, err));
    out->asked_us = before + (clock_now_us() - before) / 2;
    return 0;
}

/* ---- pg_wal ---- */

static int64_t us_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000;
}

static void earlier(int64_t *oldest, int64_t us)
{
    if (*oldest == 0 || us < *oldest)
        *oldest = us;
}

/* A status file is made when its segment is finished, and keeps that time when it is renamed from
 * ".ready" to ".done". */
static void take_status(struct pg_wal_state *s, int dir, const char *name)
{
    const char *dot = strrchr(name, '.');
    bool waits = dot != NULL && strcmp(dot, ".ready") == 0;
    struct stat st;

    if (dot == NULL || (!waits && strcmp(dot, ".done") != 0) ||
        fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (waits) {
        s->waiting++;
        earlier(&s->oldest_us, us_of(&st));
    }
    if (dot - name == SEGMENT_NAME) {
        s->finished++;
        earlier(&s->finished_since_us, us_of(&st));
    }
}

int pg_wal_look(const char *data_directory, struct pg_wal_state *out, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/pg_wal/archive_status", data_directory);
    AUTO(dir_close) DIR *d = opendir(path);
    struct statvfs fs;

    *out = (struct pg_wal_state){0};
    if (d == NULL)
        return err_sys(err, "cannot read \"%s\"", path);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        take_status(out, dirfd(d), e->d_name);
    if (fstatvfs(dirfd(d), &fs) != 0)
        return err_sys(err, "free space of \"%s\" is not known", path);
    out->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    out->total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    return 0;
}

uint64_t pg_wal_forecast(const struct pg_wal_state *s, uint32_t segment_size, int64_t now_us)
{
    int64_t age_us = now_us - s->finished_since_us;
    double rate;

    if (s->finished == 0 || age_us <= 0)
        return 0;
    rate = (double)s->finished * segment_size / ((double)age_us / 1e6);
    return rate >= 1 ? (uint64_t)((double)s->free_bytes / rate) : 0;
}
