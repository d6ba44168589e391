/* base.c - see base.h. */
#include "backup/base.h"

#include <stdarg.h>
#include <stdio.h>

#include "backup/history.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"

int base_unfit(struct run *r, struct err *err, const char *fmt, ...)
{
    char why[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    r->unfit = true;
    return err_set(err, ERR_CONFLICT, "backup %s cannot be the base: %s", r->base, why);
}

/* ---- which one ---- */

static bool is_ours(const struct run *r, const struct pubinfo *p)
{
    const struct pg_facts *f = &r->session.facts;

    return p->system_id == r->id.system_id && p->pg_version / 10000 == r->id.major &&
           p->page_size == f->block_size && p->wal_segment_size == f->wal_segsz;
}

static const struct pubinfo *find(const struct backup_list *l, const char *label)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].label, label) == 0)
            return &l->items[i];
    return NULL;
}

/* What is known against it; NULL: nothing. */
static const struct catalog_backup *harm_of(const struct run *r, const struct pubinfo *p)
{
    return r->q->known != NULL ? catalog_harm(r->q->known, repo_name(r->q->repo), p->label) : NULL;
}

/* The newest that lies on our history, where positions tell the order better than the clocks of the
 * hosts that took them. */
static const struct pubinfo *newest(const struct run *r, const struct backup_list *l,
                                    const struct history *h, bool sound, const char **why)
{
    const struct pubinfo *best = NULL;
    bool only_full = r->q->type == BACKUP_DIFF;

    *why = only_full ? "there is no full backup yet" : "there is no backup yet";
    for (size_t i = 0; i < l->n; i++) {
        const struct pubinfo *p = &l->items[i];

        if (!is_ours(r, p) || (only_full && p->type != BACKUP_FULL))
            continue;
        if (!history_reaches(h, p->timeline, p->stop_lsn)) {
            *why = "those there are were made on a timeline that was left before they ended";
            continue;
        }
        if (sound && harm_of(r, p) != NULL)
            *why = "those there are are damaged";
        else if (best == NULL || p->start_lsn > best->start_lsn)
            best = p;
    }
    return best;
}

static void warn_of_harm(struct run *r, const struct pubinfo *p)
{
    AUTO(buf_free) struct buf text = BUF_INIT;

    catalog_harm_text(harm_of(r, p), &text);
    r->session.warnings++;
    log_warning("backup %s is no base: %s; \"pgbr verify\" names what is damaged, and clears what "
                "was repaired",
                p->label, buf_text(&text));
}

/* The full backup at the root of a chain, and how many were made on top of it; NULL: it is gone. */
static const struct pubinfo *root_of(const struct backup_list *l, const struct pubinfo *p,
                                     unsigned *depth)
{
    *depth = 0;
    while (p != NULL && p->type != BACKUP_FULL && *depth < l->n) {
        p = find(l, p->base);
        ++*depth;
    }
    return p != NULL && p->type == BACKUP_FULL ? p : NULL;
}

/* For "auto": the chain is as long as the configuration wants it. */
static bool is_full_due(const struct run *r, const struct backup_list *l, const struct pubinfo *p,
                        char why[128])
{
    const struct cluster_config *c = r->q->cluster;
    unsigned depth;
    const struct pubinfo *root = root_of(l, p, &depth);
    int64_t age_us;

    if (c->full_interval_ms == 0 && c->chain_max == 0)
        return false;
    if (root == NULL) {
        snprintf(why, 128, "the full backup of the chain of %s is gone", p->label);
        return true;
    }
    age_us = clock_now_us() - root->start_us;
    if (c->full_interval_ms != 0 && age_us >= c->full_interval_ms * 1000) {
        snprintf(why, 128, "the last one is older than full_interval");
        return true;
    }
    if (c->chain_max != 0 && depth >= c->chain_max) {
        snprintf(why, 128, "%u backups were made on top of the last one (chain_max)", depth);
        return true;
    }
    return false;
}

static void take_full(struct run *r, const char *why)
{
    r->type = BACKUP_FULL;
    if (r->q->type != BACKUP_FULL)
        log_info("a full backup is taken: %s", why);
}

/* Hint bits that a server sets in a page that is dirty already are in no WAL: its standby's page,
 * and that of a standby which took its place, differ from its own without a word. */
static bool is_all_from_here(const struct run *r, const struct backup_list *l,
                             const struct pubinfo *p)
{
    for (size_t i = 0; i < l->n && p != NULL; i++) {
        if (p->from_standby || p->timeline != r->id.timeline)
            return false;
        if (p->type == BACKUP_FULL)
            return true;
        p = find(l, p->base);
    }
    return false; /* nobody knows where the rest was copied */
}

static int choose(struct run *r, const struct backup_list *l, struct err *err)
{
    struct wal_place place = run_wal_place(r);
    AUTO(history_free) struct history h = HISTORY_INIT;
    const struct pubinfo *base, *any;
    const char *why;
    char due[128];

    TRY(history_load(&place, r->data_fd, r->id.timeline, &h, err));
    any = newest(r, l, &h, false, &why);
    base = newest(r, l, &h, true, &why);
    if (any != base)
        warn_of_harm(r, any);
    if (base == NULL) {
        take_full(r, why);
        return 0;
    }
    if (r->q->type == BACKUP_AUTO && is_full_due(r, l, base, due)) {
        take_full(r, due);
        return 0;
    }
    r->type = r->q->type == BACKUP_DIFF ? BACKUP_DIFF : BACKUP_INCR;
    memcpy(r->base, base->label, sizeof r->base);
    r->base_from_here = is_all_from_here(r, l, base);
    log_info("%s builds on backup %s",
             r->type == BACKUP_DIFF ? "the differential" : "the incremental", r->base);
    return 0;
}

static void left_out(void *ctx, const char *label, const struct err *why)
{
    struct run *r = ctx;

    r->session.warnings++;
    log_warning("backup %s cannot be read and is no base: %s", label, why->msg);
}

int base_choose(struct run *r, struct err *err)
{
    AUTO(backups_free) struct backup_list l = {0};

    r->base[0] = '\0';
    r->type = BACKUP_FULL;
    if (r->q->type == BACKUP_FULL || r->only_full)
        return 0;
    TRY(backups_list(r->q->repo, &l, left_out, r, err));
    return choose(r, &l, err);
}

/* ---- whether it fits ---- */

static int check_fit(struct run *r, struct err *err)
{
    const struct pubinfo *p = manifest_pub(r->increment.base);
    const struct backup_info *info = manifest_info(r->increment.base);

    if (info->checksums != r->session.facts.checksums)
        return base_unfit(r, err, "data checksums were switched %s since",
                          info->checksums ? "off" : "on");
    if (p->page_errors > info->n_errors)
        return base_unfit(r, err, "it has %llu damaged pages, and does not name all of them",
                          (unsigned long long)p->page_errors);
    return 0;
}

bool base_fault(enum err_code code)
{
    return code == ERR_NOT_FOUND || code == ERR_CORRUPT || code == ERR_UNSUPPORTED ||
           code == ERR_FOREIGN;
}

int base_harmed(struct run *r, struct err *err)
{
    if (!base_fault(err->code))
        return -1;
    r->unfit = r->harm = true;
    return err_context(err, "backup %s cannot be the base", r->base);
}

/* Somebody, or a disk, may have taken packs away: what builds on them could not be restored. */
static int check_packs(struct run *r, struct err *err)
{
    const struct manifest *m = r->increment.base;

    for (uint32_t i = 1; i < manifest_sets(m); i++) {
        size_t n;
        const struct pack_info *packs = manifest_packs(m, i, &n);
        bool there;

        TRY(packs_there(r->q->repo, manifest_set(m, i), packs, n, &there, err));
        r->harm = !there;
        if (!there)
            return base_unfit(
                r, err,
                "packs of set \"%s\" are missing or have another size; \"pgbr verify\" "
                "tells which",
                manifest_set(m, i));
    }
    return 0;
}

/* Nobody expires a base that a lease names, if it was not hidden before that. */
static int still_there(struct run *r, struct err *err)
{
    bool expired;

    TRY(expired_seen(r->q->repo, r->base, &expired, err));
    if (expired)
        return base_unfit(r, err, "it is being expired");
    if (manifest_open(&r->increment.base, r->q->repo, r->base, err) == 0)
        return 0;
    return base_harmed(r, err);
}

int base_open(struct run *r, struct err *err)
{
    if (r->type == BACKUP_FULL)
        return 0;
    TRY(still_there(r, err));
    TRY(check_fit(r, err));
    TRY(check_packs(r, err));
    return increment_register(&r->increment, r->manifest, err);
}

/* ---- what changed ---- */

static void tell(const struct run *r, const struct changed_range *range)
{
    struct changed_sum sum = changed_sum(r->increment.changed);
    char from[LSN_TEXT], to[LSN_TEXT];

    log_info("from %s to %s %llu blocks in %llu files changed, says the WAL",
             lsn_format(range->from, from), lsn_format(range->to, to),
             (unsigned long long)sum.blocks, (unsigned long long)sum.files);
}

/*
 * A backup of a standby starts at its last restartpoint: on one without load, or with checkpoints
 * that are far apart, before the end of the base, or where that started. What the base holds of a
 * page may then be newer than this start, as what a backup copies itself may be; replay from here
 * makes it right all the same, if it goes as far as the base's copy did. It does if the standby has
 * written pages up to there: minRecoveryPoint, up to which recovery goes at least, never goes back.
 */
static int check_overlap(struct run *r, const struct pubinfo *base, struct err *err)
{
    struct pg_control control;

    if (!r->session.facts.in_recovery)
        return base_unfit(r, err, "the server has not got beyond its end");
    if (r->session.start_lsn < base->start_lsn)
        return base_unfit(r, err, "the standby has made no restartpoint since it began");
    TRY(control_read(r->data_fd, CONTROL_PATH, NULL, &control, err));
    if (control.min_recovery_point >= base->stop_lsn)
        return 0;
    return base_unfit(r, err, "the standby has made no restartpoint behind its end");
}

int base_check_end(struct run *r, const struct pubinfo *made, struct err *err)
{
    if (r->type == BACKUP_FULL || made->stop_lsn >= manifest_pub(r->increment.base)->stop_lsn)
        return 0;
    return base_unfit(r, err, "the server says that it ended before that did");
}

int base_changes(struct run *r, struct err *err)
{
    AUTO(history_free) struct history h = HISTORY_INIT;
    struct changed_range range = {.place = run_wal_place(r),
                                  .history = &h,
                                  .data_fd = r->data_fd,
                                  .temp_dir = r->q->state_dir,
                                  .stop = r->q->stop};
    const struct pubinfo *p;
    struct err doubt = {0};

    if (r->type == BACKUP_FULL)
        return 0;
    p = manifest_pub(r->increment.base);
    if (r->session.start_lsn < p->stop_lsn)
        TRY(check_overlap(r, p, err));
    range.to = MAX_OF(r->session.start_lsn, p->stop_lsn); /* holds the base's end, the proof */
    TRY(history_load(&range.place, r->data_fd, r->id.timeline, &h, err));
    range.from = p->start_lsn;
    range.backup_lsn = p->from_standby ? 0 : p->start_lsn;
    TRY(changed_collect(&range, &r->increment.changed, &doubt, err));
    if (r->increment.changed != NULL)
        tell(r, &range);
    else
        log_warning("the WAL cannot tell what changed since backup %s: %s; everything is read, and "
                    "compared with what that backup holds",
                    r->base, doubt.msg);
    return 0;
}
