/*
 * retention.h - which backups and which WAL go, and why: pure policy, without any store.
 *
 * Backups are ordered by the time at which they ended, never by label; WAL positions are compared
 * within one system identifier only. What cannot be judged stays: a backup that is dated in the
 * future is kept and never a reason to let another one go, and WAL goes only where every backup of
 * its system that stays says so. One that is known to be damaged is no such reason either; it goes
 * when it would have gone.
 *
 * A chain is a full backup and what was taken on top of it. It goes as a whole with its full, but
 * for differentials (and what depends on them), which may go earlier.
 */
#ifndef PGBR_REPO_EXPIRE_RETENTION_H
#define PGBR_REPO_EXPIRE_RETENTION_H

#include "repo/manifest/manifest.h"
#include "repo/repo.h"

enum retention_by { RETENTION_COUNT, RETENTION_TIME };
struct retention_policy {
    enum retention_by full_type;
    unsigned full;                 /* full backups, or days; 0: keep all */
    unsigned diff;                 /* differentials, fulls counted among them; 0: with their full */
    enum backup_type archive_type; /* which backups `archive` counts: this one and larger ones */
    unsigned archive;              /* of how many backups all WAL is kept; 0: of all */
};

enum retention_verdict {
    RETENTION_KEEP,
    RETENTION_HOLD, /* would go, but is held */
    RETENTION_EXPIRE
};
/* A backup to be judged. */
struct retention_item {
    const struct pubinfo *pub; /* borrowed */
    bool held;
    int64_t held_until_us; /* 0: without an end */
    const char *note;      /* of the hold; borrowed, NULL or "": none */
    bool harmed;           /* known to be damaged: no other one goes because of it */

    enum retention_verdict verdict;
    char *reason;     /* why it stays or goes, in plain words */
    char *until;      /* of what stays: when or with what it will go */
    int64_t until_us; /* the same where it is a date; else 0 */
};
/* Judges all of them, in any order. now_us: the store's clock or this host's, the earlier one.
 * Free what was decided with retention_items_clear(). */
void retention_judge(const struct retention_policy *p, int64_t now_us, struct retention_item *items,
                     size_t n);
void retention_items_clear(struct retention_item *items, size_t n);

/* WAL of a backup that needs no more than what makes it consistent. */
struct retention_island {
    struct wal_span span;
    char label[LABEL_SIZE + 1];
};
/* What stays of the WAL of one system. */
struct retention_wal {
    struct identity id;
    uint32_t segment_size; /* 0: not known, nothing goes */
    uint64_t from;         /* what ends at or before it may go, on whatever timeline; 0: nothing */
    char label[LABEL_SIZE + 1];       /* the backup that says so */
    struct retention_island *islands; /* which stay nevertheless, whatever their timeline */
    size_t n_islands;
    char *goes, *stays; /* why, in plain words */
};
/* Of the backups that stay: those judged RETENTION_EXPIRE are ignored. With none of this system, or
 * only held ones, or without any policy, all WAL stays. */
void retention_judge_wal(const struct retention_policy *p, const struct identity *id,
                         const struct retention_item *items, size_t n, struct retention_wal *out);
/* The first position that a backup needs. */
uint64_t retention_first_lsn(const struct pubinfo *p);
/* Whether a segment goes. */
bool retention_wal_goes(const struct retention_wal *w, uint64_t segno);
void retention_wal_clear(struct retention_wal *w);

#endif
