/*
 * state.h - the state file: what opening a repository found out, kept on this host so that
 * archive-push need not find it out for each segment.
 *
 * One file per repository and cluster, "<state_dir>/<cluster>@<repository>.state", mode 0600. It
 * may hold the repository key, so one that others can read or that belongs to another user is
 * ignored, with a warning; so is a damaged one. It is never needed: without it opening is slower.
 */
#ifndef PGBR_REPO_STATE_H
#define PGBR_REPO_STATE_H

#include "repo/repo.h"

enum {
    STATE_STALE_S = 24 * 3600
}; /* then the repository is asked anew for what may have changed */

struct repo_state {
    int64_t written_us;
    uint8_t repo_id[REPO_ID_SIZE];
    bool encrypted, has_key;
    struct repo_key key;
    struct identity *ids;
    size_t n_ids;
    uint32_t info_gen;
    struct store_proofs proofs; /* of what the store can do */
};
void state_free(struct repo_state *s); /* wipes the key */

/* where: store_where(); a state of another place does not fit. True: *s was filled. */
bool state_load(const char *dir, const char *name, const char *cluster, const char *where,
                struct repo_state *s);
/* Writes it unless what is there says the same and is not half stale. A failure is a warning only.
 */
void state_save(const char *dir, const char *name, const char *cluster, const char *where,
                const struct repo_state *s);

/* The file's content, for the two above. Pure. */
void state_format(const struct repo_state *s, const char *where, struct buf *out);
int state_parse(const void *data, size_t len, const char *where, struct repo_state *s,
                struct err *err) MUST_CHECK;

#endif
