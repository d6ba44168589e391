/*
 * choose.c - the backup to restore for a target: target_choose() of target.h.
 *
 * Backups are asked from the newest to the oldest. What was read on the way of one is remembered in
 * the map, so the way of an older one costs only what comes before.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "wal/reach/reach.h"

struct answer {
    enum miss miss;
    int64_t before_us, after_us;
    uint64_t before_lsn, after_lsn;
};

struct choice {
    const struct wal_map *map;
    struct repo *repo;
    const struct backup_list *backups;
    const struct target *t;
    const struct stop *stop;
    struct answer *answers;
};

static int ask(struct choice *c, size_t i, struct reach *reach, struct err *err)
{
    const struct pubinfo *b = &c->backups->items[i];
    struct answer *a = &c->answers[i];

    if (reach_find(c->map, c->repo, b, c->t, c->stop, reach, &a->miss, err) != 0)
        return err_context(err, "backup %s", b->label);
    a->before_us = reach->nearest_before_us;
    a->before_lsn = reach->nearest_before_lsn;
    a->after_us = reach->nearest_after_us;
    a->after_lsn = reach->nearest_after_lsn;
    if (!reach->reachable)
        log_debug("backup %s does not reach the target: %s", b->label, reach->why);
    return 0;
}

/* "immediate" is reached from every backup; without a timeline said, it is meant on the way to the
 * newest one, as every other target is. */
static bool is_aside(const struct choice *c, size_t i)
{
    const struct pubinfo *b = &c->backups->items[i];
    const struct history *line = wal_map_history(c->map, map_newest(c->map, b->timeline));

    return c->t->kind == TARGET_IMMEDIATE && c->t->line == LINE_LATEST &&
           (line == NULL || !map_backup_fits(line, b));
}

/* The newest backup that is not aside, or any. *index stays SIZE_MAX when none reaches it. */
static int search(struct choice *c, bool aside, size_t *index, struct reach *reach, struct err *err)
{
    for (size_t i = c->backups->n; i-- > 0;) {
        if (is_aside(c, i) && !aside)
            continue;
        TRY(ask(c, i, reach, err));
        if (reach->reachable) {
            *index = i;
            return 0;
        }
    }
    return 0;
}

/* ---- when none reaches it ---- */

/* Whose reason says most. The newest one that was consistent before the target shows what is in the
 * way; for names and xids the oldest one has looked at most WAL. */
static size_t most_telling(const struct choice *c)
{
    static const enum miss order[] = {MISS_BEYOND, MISS_EARLY, MISS_BACKUP, MISS_LINE};
    bool by_place = c->t->kind == TARGET_TIME || c->t->kind == TARGET_LSN;

    for (size_t k = 0; k < LENGTH(order); k++) {
        bool oldest = order[k] == MISS_EARLY || (order[k] == MISS_BEYOND && !by_place);
        size_t n = c->backups->n, found = n;

        for (size_t i = 0; i < n; i++)
            if (c->answers[i].miss == order[k] && (found == n || !oldest))
                found = i;
        if (found < n)
            return found;
    }
    return 0;
}

/* The nearest over all backups: the latest moment before, the earliest after. */
static void nearest(const struct choice *c, struct reach *reach)
{
    for (size_t i = 0; i < c->backups->n; i++) {
        const struct answer *a = &c->answers[i];

        if (a->before_lsn > reach->nearest_before_lsn) {
            reach->nearest_before_lsn = a->before_lsn;
            reach->nearest_before_us = a->before_us;
        }
        if (a->after_lsn != 0 &&
            (reach->nearest_after_lsn == 0 || a->after_lsn < reach->nearest_after_lsn)) {
            reach->nearest_after_lsn = a->after_lsn;
            reach->nearest_after_us = a->after_us;
        }
    }
}

static int explain(struct choice *c, struct reach *reach, struct err *err)
{
    size_t best;

    if (c->backups->n == 0) {
        memset(reach, 0, sizeof *reach);
        snprintf(reach->why, sizeof reach->why, "there is no backup");
        return 0;
    }
    best = most_telling(c);
    TRY(ask(c, best, reach, err));
    nearest(c, reach);
    return 0;
}

/* ---- when one does ---- */

/* A restore point of this name that only an older backup reaches: the person who gave the name may
 * mean that one. */
static int look_for_older_name(struct choice *c, size_t chosen, struct reach *reach,
                               struct err *err)
{
    char at[LSN_TEXT];

    if (c->t->kind != TARGET_NAME || reach->note[0] != '\0')
        return 0;
    for (size_t i = 0; i < chosen; i++) {
        struct reach older;

        TRY(ask(c, i, &older, err));
        if (!older.reachable || older.end_lsn >= reach->end_lsn)
            continue;
        snprintf(reach->note, sizeof reach->note,
                 "there is an older restore point of that name, up to LSN %s: --set %s leads to it",
                 lsn_format(older.end_lsn, at), c->backups->items[i].label);
        return 0;
    }
    return 0;
}

static int choose(struct choice *c, size_t *index, struct reach *reach, struct err *err)
{
    TRY(search(c, false, index, reach, err));
    if (*index == SIZE_MAX && c->t->kind == TARGET_IMMEDIATE)
        TRY(search(c, true, index, reach, err));
    if (*index == SIZE_MAX)
        return explain(c, reach, err);
    return look_for_older_name(c, *index, reach, err);
}

int target_choose(const struct wal_map *m, struct repo *r, const struct backup_list *backups,
                  const struct target *t, const struct stop *stop, size_t *index,
                  struct reach *reach, struct err *err)
{
    AUTO(mem_free) struct answer *answers = xcalloc(backups->n + 1, sizeof *answers);
    struct choice c = {m, r, backups, t, stop, answers};

    *index = SIZE_MAX;
    memset(reach, 0, sizeof *reach);
    return choose(&c, index, reach, err);
}
