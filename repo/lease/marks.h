/*
 * marks.h - what the marks of lease.h share, and the marks beyond the protocols: hold, and taking a
 * tombstone back.
 *
 * A mark (object kind 10: fence, tombstone, hold) is trusted for its presence only: a damaged one
 * counts like any other. It also says when and why it was made, for people. The first of several
 * equal marks stays; making it again is fine, and it is durable on return, whoever made it.
 */
#ifndef PGBR_REPO_LEASE_MARKS_H
#define PGBR_REPO_LEASE_MARKS_H

#include "repo/repo.h"

/* "Keep this backup whatever the policy says", with a note (may be NULL), until a time (0: without
 * an end). */
int hold_mark(struct repo *r, const char *label, const char *note, int64_t until_us,
              struct err *err) MUST_CHECK;
int hold_withdraw(struct repo *r, const char *label, struct err *err) MUST_CHECK;
int hold_seen(struct repo *r, const char *label, bool *held, struct err *err) MUST_CHECK;

/* Takes the tombstone away: the backup is back, or all of it is deleted. */
int expired_withdraw(struct repo *r, const char *label, struct err *err) MUST_CHECK;

struct mark {
    int64_t time_us;  /* the maker's clock, informative; 0: not told */
    char *reason;     /* owned; "" where none was given */
    int64_t until_us; /* of a hold; 0: without an end */
};
void mark_free(struct mark *m);
/* What the mark at this key of the cluster (see names.h) says. ERR_NOT_FOUND: there is none. */
int mark_read(struct repo *r, const char *key, struct mark *m, struct err *err) MUST_CHECK;
/* Pure: the body (docs/format.md, "Marks"). ERR_CORRUPT, ERR_UNSUPPORTED. */
int mark_parse(const void *bytes, size_t len, struct mark *m, struct err *err) MUST_CHECK;

/* What is to be told of backups besides what they are: holds, and tombstones of those that are not
 * deleted yet. By label. */
struct backup_mark {
    char label[LABEL_SIZE + 1];
    bool held, hidden;
    int64_t held_until_us, hidden_us; /* 0: without an end; when it was hidden */
    char *note, *reason;              /* owned; "" */
};
int backup_marks(struct repo *r, struct backup_mark **out, size_t *n, struct err *err) MUST_CHECK;
void backup_marks_free(struct backup_mark **marks, size_t n);

#endif
