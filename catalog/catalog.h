/*
 * catalog.h - the local record of backups, WAL, runs and events, in SQLite.
 *
 * An index of what the repositories hold plus the history of what pgbr did; losing it loses that
 * history, nothing else. So no operation depends on it: a caller logs an error of the catalog as a
 * warning and goes on. All SQL of the program is in this folder.
 *
 * Errors: ERR_BUSY (another process writes for more than 5 s), ERR_CORRUPT (the file is damaged or
 * no catalog; "pgbr catalog rebuild" makes it anew), ERR_UNSUPPORTED (made by a newer pgbr; nothing
 * was changed), ERR_DENIED, ERR_NO_SPACE, ERR_IO.
 *
 * Times are microseconds since 1970 UTC (0: unknown). LSNs and system identifiers are 64-bit
 * integers, stored with the same bits as SQLite's signed ones. Text given to a call is only read
 * during it; NULL is stored as NULL. Text of rows read belongs to the list, until it is freed. A
 * catalog is used by one thread at a time.
 */
#ifndef PGBR_CATALOG_CATALOG_H
#define PGBR_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct catalog;

/* Opens or creates (mode 0600; the directory must exist) and brings the tables up to date. */
int catalog_open(struct catalog **c, const char *path, struct err *err) MUST_CHECK;
void catalog_close(struct catalog **c); /* rolls an open transaction back */

/* Moves a damaged catalog aside to "<path>.broken-<time>" (*moved_to, the caller's; NULL when there
 * was no file) and creates an empty one. */
int catalog_replace(const char *path, char **moved_to, struct err *err) MUST_CHECK;

/* Reads the whole file and checks its structure: ERR_CORRUPT with the first thing found. */
int catalog_check(struct catalog *c, struct err *err) MUST_CHECK;

/* Several changes as one. Every call below is atomic by itself, inside or outside of these. */
int catalog_begin(struct catalog *c, struct err *err) MUST_CHECK;
int catalog_commit(struct catalog *c, struct err *err) MUST_CHECK;
void catalog_rollback(struct catalog *c); /* without a transaction: nothing */

/* ---- what the repositories hold ---- */

struct catalog_cluster {
    const char *name;
    uint64_t system_id;
    unsigned pg_version; /* as server_version_num: 150004; or the major alone: 15 */
    const char *data;
    const char *instance, *host;
    int64_t seen_us; /* 0: now */
};
int catalog_put_cluster(struct catalog *c, const struct catalog_cluster *row,
                        struct err *err) MUST_CHECK;

/* Per cluster, because a location may contain the cluster's name. */
struct catalog_repository {
    const char *name, *cluster;
    const char *type;     /* "posix", "s3" */
    const char *location; /* path, or s3://bucket/prefix; no secrets */
    const char *repo_id;  /* hex */
    const char *cipher;   /* "none", "aes-256-cbc" */
    int64_t seen_us;      /* 0: now */
};
int catalog_put_repository(struct catalog *c, const struct catalog_repository *row,
                           struct err *err) MUST_CHECK;

struct catalog_backup {
    const char *repo, *cluster, *label;
    const char *type;       /* "full", "diff", "incr" */
    const char *base_label; /* NULL: none */
    const char *state;      /* "complete", "expired" (marked, not deleted yet), "gone" */
    unsigned pg_version;
    uint64_t system_id;
    uint32_t timeline;
    uint64_t start_lsn, stop_lsn;
    int64_t start_us, stop_us;
    uint64_t raw_bytes, stored_bytes; /* stored: added to the repository by this backup */
    int64_t duration_us;
    uint64_t files, checksum_failures;
    const char *instance, *host, *tool_version;
    const char *hold;         /* the note of a hold; NULL: not held */
    uint64_t manifest_bytes;  /* size and object id of the manifest seen: a later */
    const char *manifest_id;  /* difference means that the repository was rolled back */
    int64_t verified_us;      /* last verification; 0: never. Kept by catalog_put_backup() */
    uint64_t verify_problems; /* what it found. Kept by catalog_put_backup() */
    int64_t gone_us;          /* when it was found missing or was deleted */
};
/* Adds or replaces by (repo, cluster, label). state NULL: "complete". */
int catalog_put_backup(struct catalog *c, const struct catalog_backup *row,
                       struct err *err) MUST_CHECK;
/* Keeps the row as history. An unknown label is fine. */
int catalog_backup_gone(struct catalog *c, const char *repo, const char *cluster, const char *label,
                        struct err *err) MUST_CHECK;
int catalog_backup_verified(struct catalog *c, const char *repo, const char *cluster,
                            const char *label, int64_t when_us, uint64_t problems,
                            struct err *err) MUST_CHECK;

struct catalog_wal_range {
    const char *repo, *cluster; /* set on reading; ignored by catalog_put_wal() */
    uint64_t system_id;
    unsigned pg_major;
    uint32_t timeline;
    uint64_t start_lsn, end_lsn; /* end: first byte behind the range */
    uint64_t segments, stored_bytes;
    int64_t first_commit_us, last_commit_us; /* 0: none, or not known */
    uint64_t incomplete;                     /* segments whose index is incomplete */
};
struct catalog_gap {
    const char *repo, *cluster; /* as above */
    uint64_t system_id;
    uint32_t timeline;
    uint64_t start_lsn, end_lsn;
    uint64_t segments;  /* missing */
    int64_t noticed_us; /* 0: now. A gap that was known keeps its first time */
};
/* Replaces all ranges and gaps of (repo, cluster). */
int catalog_put_wal(struct catalog *c, const char *repo, const char *cluster,
                    const struct catalog_wal_range *ranges, size_t n_ranges,
                    const struct catalog_gap *gaps, size_t n_gaps, struct err *err) MUST_CHECK;

/* Deletes what is recorded of (repo, cluster): backups, ranges, gaps; history of runs stays. Before
 * a rebuild, in its transaction, or when a cluster is removed. */
int catalog_forget(struct catalog *c, const char *repo, const char *cluster,
                   struct err *err) MUST_CHECK;

/* ---- reading back; cluster or repo NULL: all. Lists are freed with their _free, also after an
 * error. Order: cluster, repository, then as said ---- */

struct catalog_texts; /* owner of the text of a list */

struct catalog_clusters {
    struct catalog_cluster *rows;
    size_t n;
    struct catalog_texts *texts;
};
int catalog_get_clusters(struct catalog *c, struct catalog_clusters *out,
                         struct err *err) MUST_CHECK;
void catalog_clusters_free(struct catalog_clusters *l);

struct catalog_repositories {
    struct catalog_repository *rows;
    size_t n;
    struct catalog_texts *texts;
};
int catalog_get_repositories(struct catalog *c, const char *cluster,
                             struct catalog_repositories *out, struct err *err) MUST_CHECK;
void catalog_repositories_free(struct catalog_repositories *l);

struct catalog_backups {
    struct catalog_backup *rows; /* oldest start first */
    size_t n;
    size_t with_problems; /* that a verification found */
    struct catalog_texts *texts;
};
/* gone: with those that are gone. */
int catalog_get_backups(struct catalog *c, const char *repo, const char *cluster, bool gone,
                        struct catalog_backups *out, struct err *err) MUST_CHECK;
void catalog_backups_free(struct catalog_backups *l);
/* What speaks against a backup: the row of one whose last verification found problems, itself or
 * one that it builds on and that was not found sound in between. NULL: nothing is known. */
const struct catalog_backup *catalog_harm(const struct catalog_backups *known, const char *repo,
                                          const char *label);
/* Appends "the verification at 2026-11-22 14:05:33+00 found 2 problems in backup LABEL". */
void catalog_harm_text(const struct catalog_backup *harm, struct buf *out);

struct catalog_wal {
    struct catalog_wal_range *ranges; /* system identifier, timeline, start LSN */
    size_t n_ranges;
    struct catalog_gap *gaps; /* the same */
    size_t n_gaps;
    struct catalog_texts *texts;
};
int catalog_get_wal(struct catalog *c, const char *repo, const char *cluster,
                    struct catalog_wal *out, struct err *err) MUST_CHECK;
void catalog_wal_free(struct catalog_wal *l);

/* ---- what happened ----
 *
 * Events and runs are forgotten when they are older than that, or more than so many; but not the
 * last event of its kind, cluster, repository and job, nor the last run of a job or command.
 */
enum { CATALOG_HISTORY_DAYS = 366, CATALOG_HISTORY_ROWS = 100000 };

struct catalog_event {
    int64_t time_us;   /* 0: now */
    const char *level; /* "error", "warning", "info" */
    const char *kind;  /* one of catalog/kinds.h */
    const char *cluster, *repo;
    const char *job;  /* of the scheduler, for the kind "job"; else NULL */
    const char *text; /* for people; no secrets */
    const char *json; /* details; or NULL */
    int64_t id;       /* set on reading; rises from event to event */
};
int catalog_put_event(struct catalog *c, const struct catalog_event *row,
                      struct err *err) MUST_CHECK;
/* The same; "info" only where the last event about this (kind, cluster, repository, job) was worse:
 * for those who would else tell every day that all is well. *put: it was news. */
int catalog_put_change(struct catalog *c, const struct catalog_event *row, bool *put,
                       struct err *err) MUST_CHECK;
struct catalog_events {
    struct catalog_event *rows; /* newest first, whatever the cluster */
    size_t n;
    struct catalog_texts *texts;
};
int catalog_get_events(struct catalog *c, const char *cluster, int64_t since_us, size_t limit,
                       struct catalog_events *out, struct err *err) MUST_CHECK;
void catalog_events_free(struct catalog_events *l);

/* One run of a command, started by the scheduler or by hand. */
struct catalog_run {
    int64_t id;
    const char *job; /* the scheduler's job; NULL: by hand or cron */
    const char *command, *cluster, *repo;
    const char *instance, *host;
    int64_t pid;
    int64_t started_us, finished_us; /* finished 0: running, or died without a word */
    int exit_status;                 /* -1: not finished */
    const char *label;               /* of the backup it made */
    const char *message;             /* the error, or a summary */
    uint64_t bytes_done, bytes_total, files_done, files_total, bytes_stored; /* progress */
    int64_t progress_us;                                                     /* time of these */
};
/* Reads command, cluster, repo, job, instance, host, pid (0: this process), started_us (0: now). */
int catalog_run_begin(struct catalog *c, const struct catalog_run *row, int64_t *id,
                      struct err *err) MUST_CHECK;
/* Reads the progress fields and id. Never waits: ERR_BUSY at once when another process writes. */
int catalog_run_progress(struct catalog *c, const struct catalog_run *row,
                         struct err *err) MUST_CHECK;
/* Reads id, exit_status, label, message, finished_us (0: now) and the progress fields. */
int catalog_run_finish(struct catalog *c, const struct catalog_run *row,
                       struct err *err) MUST_CHECK;
struct catalog_runs {
    struct catalog_run *rows; /* newest first, whatever the cluster */
    size_t n;
    struct catalog_texts *texts;
};
/* unfinished: only those without an end. */
int catalog_get_runs(struct catalog *c, const char *cluster, bool unfinished, size_t limit,
                     struct catalog_runs *out, struct err *err) MUST_CHECK;
/* The last of a cluster, and whatever ran since, of each job or command the last that ended and the
 * last that went well. */
int catalog_get_last_runs(struct catalog *c, const char *cluster, size_t limit,
                          struct catalog_runs *out, struct err *err) MUST_CHECK;
void catalog_runs_free(struct catalog_runs *l);

#endif
