/*
 * plan.c - which backup of which repository reaches the target.
 *
 * The default repository is asked first, then the others in the configuration's order; in each, the
 * cluster's newest identity (system identifier and major version) first: after a pg_upgrade older
 * backups stay, and a moment before it is still theirs.
 *
 * A backup that is known to be damaged is passed over as long as another one, in whichever
 * repository, leads to the same state. "immediate" means the newest one's own state and passes over
 * none; nor does "latest" where WAL is missing between the two.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "postgres/label.h"
#include "postgres/lsn.h"
#include "restore/job.h"

struct search {
    const struct restore_request *q;
    struct restore_plan *plan;
    struct buf tried;  /* repositories that could not be asked, and why */
    struct err broken; /* why the backup asked for with --set cannot be read */
    struct reach best; /* of the first one that has backups but does not reach the target */
    bool has_best;
    size_t backups; /* seen in all */
    bool harmed_too;
    struct buf passed_over; /* lines: the damaged backups that would have been chosen */
    struct reach wanted;    /* what the first of them leads to */
    uint64_t wanted_id;     /* its system identifier; 0: there is none */
};

static const struct catalog_backup *harm_of(const struct search *s, const struct repo *r,
                                            const char *label)
{
    return s->q->known != NULL ? catalog_harm(s->q->known, repo_name(r), label) : NULL;
}

/* To the state that the backup that is passed over leads to. */
static bool leads_there(const struct search *s, const struct identity *id,
                        const struct reach *reach)
{
    const struct reach *wanted = &s->wanted;

    if (s->harmed_too || s->wanted_id == 0)
        return true;
    return id->system_id == s->wanted_id && reach->timeline == wanted->timeline &&
           (reach->end_lsn == wanted->end_lsn ||
            (s->q->target.kind == TARGET_LATEST && reach->end_lsn > wanted->end_lsn));
}

static void warn_of_harm(struct search *s)
{
    struct restore_plan *plan = s->plan;
    const struct catalog_backup *harm = harm_of(s, plan->job->repo, plan->label);

    if (harm != NULL) {
        buf_adds(&plan->notes, "WARNING: ");
        catalog_harm_text(harm, &plan->notes);
        buf_adds(&plan->notes, ": unless that was repaired the restore will stop there\n");
        plan->warnings++;
    }
    if (harm == NULL && s->passed_over.len != 0) {
        buf_adds(&plan->notes, buf_text(&s->passed_over));
        plan->warnings++;
    }
}

/* ---- one repository ---- */

static void note_broken(void *ctx, const char *label, const struct err *why)
{
    struct search *s = ctx;

    if (s->q->set == NULL) {
        buf_addf(&s->plan->notes, "WARNING: backup %s cannot be read and is left out: %s\n", label,
                 why->msg);
        s->plan->warnings++;
    } else if (strcmp(s->q->set, label) == 0) {
        s->broken = *why;
    }
}

static unsigned major_of(const struct pubinfo *p)
{
    return p->pg_version / 10000;
}

/* The backups of one identity, and only the one asked for with --set; borrowed. Returns how many
 * are left out because they are known to be damaged. */
static size_t of_identity(const struct search *s, const struct repo *r,
                          const struct backup_list *all, const struct identity *id, bool harmed_too,
                          struct backup_list *out)
{
    const char *set = s->q->set;
    size_t harmed = 0;

    *out = (struct backup_list){.items = xcalloc(all->n, sizeof *out->items)};
    for (size_t i = 0; i < all->n; i++) {
        const struct pubinfo *p = &all->items[i];
        if (p->system_id != id->system_id || major_of(p) != id->major ||
            (set != NULL && strcmp(set, p->label) != 0))
            continue;
        if (!harmed_too && harm_of(s, r, p->label) != NULL)
            harmed++;
        else
            out->items[out->n++] = *p;
    }
    return harmed;
}

/* Looks for the damaged backup that would have been chosen. *chosen: the one that is; SIZE_MAX:
 * none, also when it leads to another state than that. */
static int look_at_harmed(struct search *s, struct repo *r, const struct wal_map *map,
                          const struct backup_list *all, const struct identity *id,
                          const struct backup_list *sound, const struct reach *reach,
                          size_t *chosen, struct err *err)
{
    struct backup_list list;
    AUTO(mem_free) struct pubinfo *items = NULL;
    const char *label;
    struct reach other;
    size_t index;

    of_identity(s, r, all, id, true, &list);
    items = list.items;
    TRY(target_choose(map, r, &list, &s->q->target, s->q->stop, &index, &other, err));
    if (index >= list.n || !other.reachable)
        return 0;
    label = list.items[index].label;
    if (*chosen < sound->n && strcmp(sound->items[*chosen].label, label) == 0)
        return 0;
    buf_addf(&s->passed_over, "WARNING: backup %s in repository \"%s\" is passed over: ", label,
             repo_name(r));
    catalog_harm_text(harm_of(s, r, label), &s->passed_over);
    buf_adds(&s->passed_over, " (--set takes it all the same)\n");
    if (s->wanted_id == 0) {
        s->wanted = other;
        s->wanted_id = id->system_id;
    }
    if (!leads_there(s, id, reach))
        *chosen = SIZE_MAX;
    return 0;
}

static int take(struct search *s, struct repo *r, struct wal_map **map, const char *label,
                const struct reach *reach, struct err *err)
{
    struct restore_plan *plan = s->plan;
    struct restore_job *job = plan->job;

    plan->repo = xstrdup(repo_name(r));
    plan->label = xstrdup(label);
    plan->reach = *reach;
    job->repo = r;
    job->map = TAKE(*map);
    TRY(pubinfo_read(r, label, &plan->backup, NULL, err));
    return manifest_open(&job->manifest, r, label, err);
}

static uint32_t segment_size_of(const struct backup_list *all, const struct identity *id)
{
    uint32_t size = 0;

    for (size_t i = 0; i < all->n && size == 0; i++)
        if (all->items[i].system_id == id->system_id && major_of(&all->items[i]) == id->major)
            size = all->items[i].wal_segment_size;
    return size;
}

/* *done: the target is reached and the plan filled in. */
static int try_identity(struct search *s, struct repo *r, const struct backup_list *all,
                        const struct identity *id, bool *done, struct err *err)
{
    AUTO(wal_map_free) struct wal_map *map = NULL;
    struct backup_list fitting = {0};
    AUTO(mem_free) struct pubinfo *items = NULL;
    struct reach reach = {0};
    size_t index, harmed = of_identity(s, r, all, id, s->harmed_too, &fitting);

    items = fitting.items;
    if (fitting.n + harmed == 0)
        return 0;
    s->backups += fitting.n + harmed;
    TRY(wal_map_load(&map, r, id->system_id, id->major, segment_size_of(all, id), err));
    TRY(target_choose(map, r, &fitting, &s->q->target, s->q->stop, &index, &reach, err));
    if (!reach.reachable || !leads_there(s, id, &reach))
        index = SIZE_MAX;
    if (harmed != 0)
        TRY(look_at_harmed(s, r, map, all, id, &fitting, &reach, &index, err));
    *done = index < fitting.n;
    if (*done)
        return take(s, r, &map, fitting.items[index].label, &reach, err);
    if (!s->has_best)
        s->best = reach;
    s->has_best = true;
    return 0;
}

static int try_repo(struct search *s, struct repo *r, bool *done, struct err *err)
{
    AUTO(backups_free) struct backup_list all = {0};
    const struct identity *ids;
    size_t n;

    TRY(backups_list(r, &all, note_broken, s, err));
    ids = repo_identities(r, &n);
    while (n-- != 0 && !*done) {
        size_t before = s->backups;
        TRY(try_identity(s, r, &all, &ids[n], done, err));
        if (s->q->target.kind == TARGET_LATEST && s->backups != before)
            break; /* the latest state is the newest identity's */
    }
    return 0;
}

/* ---- what to say when nothing fits ---- */

static void add_nearest(struct buf *b, const char *what, int64_t us, uint64_t lsn)
{
    char utc[40], text[LSN_TEXT];

    if (us == 0 && lsn == 0)
        return;
    buf_addf(b, "; nearest reachable moment %s it: ", what);
    if (us != 0)
        buf_adds(b, clock_format_utc(us, utc));
    if (lsn != 0)
        buf_addf(b, "%sLSN %s", us != 0 ? ", " : "", lsn_format(lsn, text));
}

static int refuse_target(const struct search *s, struct err *err)
{
    AUTO(buf_free) struct buf target = BUF_INIT;
    AUTO(buf_free) struct buf near = BUF_INIT;
    const struct reach *r = &s->best;

    target_describe(&s->q->target, &target);
    add_nearest(&near, "before", r->nearest_before_us, r->nearest_before_lsn);
    add_nearest(&near, "after", r->nearest_after_us, r->nearest_after_lsn);
    return err_set(err, ERR_FAILED, "the target %s cannot be reached: %s%s%s", buf_text(&target),
                   r->why, buf_text(&near),
                   r->wal_ends ? "; if the server's pg_wal holds newer WAL, archive that first "
                                 "(pgbr archive-push)"
                               : "");
}

static int refuse(struct search *s, struct err *err)
{
    if (s->has_best)
        return refuse_target(s, err);
    if (s->broken.code != ERR_NONE) {
        *err = s->broken;
        return err_context(err, "backup %s cannot be read", s->q->set);
    }
    if (s->tried.len != 0)
        return err_set(err, ERR_FAILED, "no repository could be used: %s", buf_text(&s->tried));
    if (s->q->set != NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "cluster \"%s\" has no backup \"%s\" (pgbr list shows those there are)",
                       s->q->cluster->name, s->q->set);
    return err_set(err, ERR_NOT_FOUND, "cluster \"%s\" has no backup yet%s%s", s->q->cluster->name,
                   s->q->repo != NULL ? " in repository " : "",
                   s->q->repo != NULL ? s->q->repo : "");
}

/* ---- all of them ---- */

static void could_not_ask(struct search *s, const char *name, const struct err *why)
{
    buf_addf(&s->tried, "%srepository \"%s\": %s", s->tried.len == 0 ? "" : "; ", name, why->msg);
}

static int ask(struct search *s, const struct open_repo *r, bool *done, struct err *err)
{
    struct err why = {0};

    if (r->repo == NULL) {
        could_not_ask(s, r->name, &r->why);
        return 0;
    }
    if (try_repo(s, r->repo, done, &why) == 0)
        return 0;
    if (*done || why.code == ERR_INTERRUPTED) {
        *err = why;
        return -1;
    }
    could_not_ask(s, r->name, &why);
    return 0;
}

/* The default repository first. */
static int ask_all(struct search *s, bool *done, struct err *err)
{
    const struct open_repos *repos = &s->plan->job->repos;
    const char *first = s->q->cluster->default_repo;

    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < repos->n && !*done; i++) {
            bool is_first = first != NULL && strcmp(repos->items[i].name, first) == 0;
            if (is_first == (round == 0))
                TRY(ask(s, &repos->items[i], done, err));
        }
    return 0;
}

/* The label is what recovery starts from: it must be the one of this backup. */
static int check_label(const struct pubinfo *pub, const struct backup_info *info, struct err *err)
{
    struct backup_label label;

    TRY(backup_label_parse(info->backup_label.p, info->backup_label.len, &label, err));
    if (label.start_lsn != pub->start_lsn || label.incremental)
        return err_set(err, ERR_CORRUPT,
                       "the backup_label in backup %s is not the one of this backup", pub->label);
    return 0;
}

/* The damaged ones, too, where the others do not do. */
static int search(struct search *s, bool *done, struct err *err)
{
    s->harmed_too = s->q->set != NULL || s->q->target.kind == TARGET_IMMEDIATE;
    TRY(ask_all(s, done, err));
    if (*done || s->passed_over.len == 0)
        return 0;
    s->harmed_too = true;
    s->has_best = false;
    s->backups = 0;
    buf_clear(&s->tried);
    return ask_all(s, done, err);
}

int plan_choose(const struct restore_request *q, struct restore_plan *plan, struct err *err)
{
    struct search s = {.q = q, .plan = plan};
    bool done = false;
    int result = search(&s, &done, err);

    if (result == 0 && !done)
        result = refuse(&s, err);
    if (result == 0 && s.tried.len != 0)
        buf_addf(&plan->notes, "not every repository could be asked: %s\n", buf_text(&s.tried));
    if (result == 0)
        warn_of_harm(&s);
    buf_free(&s.tried);
    buf_free(&s.passed_over);
    if (result == 0)
        result = check_label(&plan->backup, manifest_info(plan->job->manifest), err);
    plan->target = q->target;
    return result;
}
