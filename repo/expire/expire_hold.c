/*
 * expire_hold.c - holding backups, and bringing hidden ones back. See expire.h.
 *
 * The hold comes before the look for a tombstone, and an expirer looks for holds after it made its
 * tombstone: one of the two sees the other (tests/model/).
 */
#include "base/crash.h"
#include "base/log.h"
#include "repo/expire/expire_form.h"
#include "repo/lease/marks.h"

/* Each pack that the backup needs, asked by listing its sets. */
struct presence {
    const char *cluster;
    const struct set_packs *set;
    size_t found;
};

static int count_pack(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct presence *p = ctx;
    AUTO(buf_free) struct buf key = BUF_INIT;

    (void)err;
    if (p->found < p->set->n && strcmp(entry->key, name_pack(&key, p->cluster, p->set->label,
                                                             p->set->packs[p->found].number)) == 0)
        p->found++;
    return 0;
}

static int is_whole(struct repo *r, const char *label, bool *whole, struct err *err)
{
    AUTO(pubinfo_free) struct pubinfo pub = {0};
    AUTO(set_table_free) struct set_table sets = {0};

    TRY(manifest_public(r, label, &pub, &sets, err));
    *whole = true;
    for (uint32_t i = 1; *whole && i < sets.n; i++) {
        AUTO(buf_free) struct buf prefix = BUF_INIT;
        struct presence p = {repo_cluster(r), &sets.sets[i], 0};

        TRY(store_list(repo_store(r), name_set(&prefix, repo_cluster(r), p.set->label), STORE_DEEP,
                       count_pack, &p, NULL, err));
        *whole = p.found == p.set->n;
    }
    return 0;
}

static int bring_back(struct repo *r, const char *label, struct err *err)
{
    struct expiry e = {.repo = r};
    bool whole;
    int rc;

    TRY(leases_list(r, &e.leases, &e.n_leases, err));
    rc = expire_make_way(&e, err);
    leases_free(&e.leases, e.n_leases);
    TRY(rc);
    TRY(is_whole(r, label, &whole, err));
    if (!whole)
        return err_set(err, ERR_NOT_FOUND, "backup %s was expired, and parts of it are deleted",
                       label);
    log_info("backup %s was expired but not deleted yet: it is brought back", label);
    return expired_withdraw(r, label, err);
}

static int hold(struct repo *r, const char *label, const char *note, int64_t until_us,
                struct err *err)
{
    AUTO(pubinfo_free) struct pubinfo pub = {0};
    struct err ignored = {0};
    bool expired;

    TRY(pubinfo_read(r, label, &pub, NULL, err));
    TRY(hold_mark(r, label, note, until_us, err));
    crash_point("hold-made");
    TRY(expired_seen(r, label, &expired, err));
    if (!expired || bring_back(r, label, err) == 0)
        return 0;
    (void)!hold_withdraw(r, label, &ignored);
    return -1;
}

int expire_hold(struct repo *r, const char *label, const char *note, int64_t until_us,
                struct err *err)
{
    bool held, expired = false;

    TRY(repo_may_delete(r, err));
    if (!label_valid(label))
        return err_set(err, ERR_NOT_FOUND, "\"%.100s\" is no label of a backup", label);
    TRY(hold_seen(r, label, &held, err));
    if (held)
        TRY(expired_seen(r, label, &expired, err));
    if (held && expired) /* killed when it was about to bring it back */
        return bring_back(r, label, err);
    if (held)
        return err_set(err, ERR_EXISTS,
                       "backup %s is held already; \"pgbr unhold %s\" first to change the note or "
                       "the end",
                       label, label);
    return hold(r, label, note, until_us, err);
}

int expire_unhold(struct repo *r, const char *label, struct err *err)
{
    bool held = false;

    if (label_valid(label))
        TRY(hold_seen(r, label, &held, err));
    if (!held)
        return err_set(err, ERR_NOT_FOUND, "backup \"%.100s\" is not held", label);
    return hold_withdraw(r, label, err);
}
