/*
 * ahead.h - segments that are pushed before PostgreSQL asks for them. Internal to wal/.
 *
 * PostgreSQL archives one segment after the other, so over a network each costs all its round
 * trips. One archive-push therefore also pushes the next segments that are marked ".ready" in
 * archive_status, all at once, and remembers them in "<state dir>/<cluster>.ahead"; a later call
 * for one of them only confirms. Status files are PostgreSQL's: they are read, never touched.
 *
 * That an acknowledged segment is durable must not hang on that file. So:
 *
 * - A segment is remembered after it was acknowledged by every required repository, never before.
 * - The later call reads the file in pg_wal and compares length and XXH3-128 of all its bytes with
 *   what was pushed: what was replaced meanwhile is not the same segment. Size and times prove
 *   nothing.
 * - The configuration must still name the same repositories at the same places, and what this host
 *   knows of each required one (its state file) must be the very repository that was pushed to.
 * - Nothing is believed for longer than AHEAD_TRUST_S. Within that time, nobody asks the repository
 *   whether it is still there. If another host destroys and re-creates it just then, what was
 *   acknowledged a moment before is lost either way; and no backup in the new repository can need
 *   these segments: they were complete before it was made, and a backup needs what is written
 *   after it begins.
 *
 * Any doubt, a missing or a damaged file among it, means: not remembered. Then the call pushes in
 * the usual way, which finds the same content there and succeeds.
 */
#ifndef PGBR_WAL_ARCHIVE_AHEAD_H
#define PGBR_WAL_ARCHIVE_AHEAD_H

#include "base/hash.h"
#include "config/open.h"
#include "wal/archive/source.h"

enum { AHEAD_TRUST_S = 300 };

/* ---- what is remembered ---- */

struct ahead_repo {
    char *name, *where; /* as store_where() tells */
    uint8_t id[REPO_ID_SIZE];
};
struct ahead_segment {
    char name[WAL_SEGMENT_NAME];
    uint64_t system_id, len;
    struct hash128 hash;
    int64_t stored_us; /* wall clock */
};
struct ahead_memory {
    struct hash128 config; /* local_repos() */
    struct ahead_repo *repos;
    size_t n_repos;
    struct ahead_segment *segments;
    size_t n_segments;
};
void ahead_memory_free(struct ahead_memory *m);
/* The file's content; pure. ERR_CORRUPT. */
void ahead_format(const struct ahead_memory *m, struct buf *out);
int ahead_parse(const void *data, size_t len, struct ahead_memory *m, struct err *err) MUST_CHECK;

/* False when nothing is remembered at all, as with local repositories: costs one failing open. */
bool ahead_recall(const struct config *c, const struct cluster_config *cluster,
                  struct ahead_memory *m);
/* Whether these bytes are in every required repository, by the rules above. */
bool ahead_confirms(const struct ahead_memory *m, const struct config *c,
                    const struct cluster_config *cluster, const char *file, const void *raw,
                    size_t len, const struct wal_identity *id);

/* ---- pushing ahead ---- */

/* Pushes one segment into all repositories; from any thread. 0: it is in all required ones. */
typedef int ahead_push_fn(void *ctx, const char *file, const void *raw, size_t len,
                          struct err *err);
struct ahead;
/* Starts pushing what is ready behind `path`, a segment of len bytes, beside what the caller does;
 * NULL when there is nothing, or when it would not pay. m: what is remembered already; taken from
 * here on. The repositories must know id. */
struct ahead *ahead_start(const struct config *c, const struct cluster_config *cluster,
                          const struct open_repos *repos, const char *path, size_t len,
                          const struct wal_identity *id, struct ahead_memory *m,
                          ahead_push_fn *push, void *ctx);
/* Waits for all of them and remembers those that arrived. Failures are told at level debug only:
 * the call for that segment will tell them. */
void ahead_finish(struct ahead **a);

#endif
