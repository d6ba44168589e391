/* expire_form.h - what the steps of expire.c share. Internal to repo/. */
#ifndef PGBR_REPO_EXPIRE_EXPIRE_FORM_H
#define PGBR_REPO_EXPIRE_EXPIRE_FORM_H

#include "repo/expire/expire.h"
#include "repo/lease/candidates.h"
#include "repo/lease/lease.h"
#include "repo/manifest/manifest_form.h"

#define EXPIRE_DAY_US INT64_C(86400000000)
/* A writer that slept must find its fence when it wakes. */
#define FENCE_KEPT_US (30 * EXPIRE_DAY_US)

/* One listing of backup/ and fence/, and what the manifests there say. */
struct survey {
    struct candidates c;
    struct pubinfo *pubs; /* of each candidate; only of those in `read` */
    bool *read;
    bool *held; /* by a hold that has not ended */
    int64_t *held_until_us;
    char **notes;
    int64_t restore_pin_us; /* a restore's lease pins for that long after its last sign of life */
};

struct listed_pack {
    uint32_t number;
    bool needed;
    uint64_t size;
};
struct listed_set {
    char label[LABEL_SIZE + 1];
    struct listed_pack *packs;
    size_t n, left; /* left: not deleted */
};
struct wal_file_seen {
    uint32_t timeline;
    bool partial, goes;
    uint64_t segno, size;
};
struct sum_seen {
    struct sum_name name;
    bool goes;
    uint64_t size;
};
struct wal_listed { /* of one system: files that may go */
    struct retention_wal keep;
    struct wal_file_seen *files;
    size_t n;
    struct sum_seen *sums;
    size_t n_sums;
};

struct expiry {
    const struct expire_request *q;
    struct expire_made *made;
    struct repo *repo;
    char own[LABEL_SIZE + 1]; /* label of the gc lease; "" in a dry run */
    int64_t now_us;           /* by which is judged: the earlier of store's and host's */
    int64_t grace_us;
    struct survey first; /* by which is judged */
    struct retention_item *items;
    size_t *item_of; /* the candidate of each */
    size_t n_items;
    /* What is deleted rests on these, listed in this order. */
    struct listed_set *sets;
    size_t n_sets;
    struct wal_listed *wal;
    size_t n_wal;
    struct lease_seen *leases;
    size_t n_leases;
    struct survey last;
    bool *victims; /* of `last` */
};

/* How long an interrupted set can be adopted. */
static inline int64_t expire_window_us(const struct expiry *e)
{
    return (int64_t)repo_resume_window_s(e->repo) * 1000000;
}

/* ---- expire.c ---- */

static inline bool expire_harmed(const struct expiry *e, const char *label)
{
    return e->q->is_harmed != NULL && e->q->is_harmed(e->q->harm_ctx, label);
}

/* ERR_BUSY where another expirer holds a live lease; of two that begin at the same time the one
 * whose label comes first goes on. */
int expire_make_way(const struct expiry *e, struct err *err) MUST_CHECK;

/* ---- expire_survey.c ---- */

/* label: the one backup that may be unreadable, because it goes; or NULL. ERR_CORRUPT and others
 * where a manifest cannot be read. */
int survey_load(struct survey *s, struct repo *r, int64_t now_us, const char *label,
                struct err *err) MUST_CHECK;
void survey_free(struct survey *s);
/* The backup of that label that can be restored, hidden or not; NULL: none. */
const struct pubinfo *survey_pub(const struct survey *s, const char *label);

/* Whether a lease still pins what it names. */
bool lease_pins(const struct lease_seen *l, const struct survey *s);
/* Named as base or adopted set by a lease that pins. */
bool expire_pinned(const struct expiry *e, const struct survey *s, const char *label);
/* The live lease of this set, or NULL. */
const struct lease_seen *expire_live(const struct expiry *e, const char *set);

/* ---- expire_fence.c ---- */

/* Declares those writers dead whose sets can no longer be adopted. Uses `first` and `leases`. */
int expire_fence_dead(struct expiry *e, struct err *err) MUST_CHECK;

/* ---- expire_packs.c ---- */

int expire_list_packs(struct expiry *e, struct err *err) MUST_CHECK;
/* Looks into each manifest that stays for what it needs; only then the others go. */
int expire_delete_manifests(struct expiry *e, struct err *err) MUST_CHECK;
/* What none of them needs. */
int expire_delete_packs(struct expiry *e, struct err *err) MUST_CHECK;
/* NULL: no pack of that set was listed. */
const struct listed_set *expire_set(const struct expiry *e, const char *label);

/* ---- expire_wal.c ---- */

int expire_list_wal(struct expiry *e, struct err *err) MUST_CHECK;
/* Decides by what was listed after the WAL, and adds the lines to made. */
int expire_judge_wal(struct expiry *e, struct err *err) MUST_CHECK;
int expire_delete_wal(struct expiry *e, struct err *err) MUST_CHECK;

/* ---- expire_tidy.c ---- */

/* Tombstones of what is gone, leases and fences that served their time. */
int expire_tidy(struct expiry *e, struct err *err) MUST_CHECK;

/* ---- deleting in batches ---- */

struct doomed {
    const struct expiry *e; /* in a dry run nothing is deleted */
    char *keys[1000];       /* what S3 takes in one request */
    size_t n;
};
int doomed_add(struct doomed *d, const char *key, struct err *err) MUST_CHECK;
int doomed_flush(struct doomed *d, struct err *err) MUST_CHECK;
void doomed_clear(struct doomed *d);

#endif
