/* findings_history.c - what the catalog remembers: verifications, drills, jobs. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "catalog/drills.h"
#include "scheduler/jobs/jobs.h"
#include "scheduler/status/findings_form.h"

enum {
    DRILLS_LOOKED_AT = 50,
    RUNS_LOOKED_AT = 20, /* of each job: one that ended */
};

static const char *second(int64_t us, char out[40])
{
    return clock_format_utc(us / 1000000 * 1000000, out);
}

/* ---- verifications ---- */

static void verified(struct collecting *c, const char *repo, const struct catalog_backups *rows)
{
    int64_t may = c->q->cluster->watch.verify_max_age_ms * 1000, last = 0;
    AUTO(buf_free) struct buf text = BUF_INIT;
    unsigned problems = 0;
    char when[40];

    for (size_t i = 0; i < rows->n; i++) {
        const struct catalog_backup *b = &rows->rows[i];

        if (!finding_is_to_come(c, b->verified_us))
            last = MAX_OF(last, b->verified_us);
        if (b->verified_us == 0 || b->verify_problems == 0)
            continue;
        problems++;
        buf_clear(&text);
        catalog_harm_text(b, &text);
        finding_add(c, FINDING_WARNING, "verify", repo, "\"pgbr verify\" names what is damaged",
                    "%s", buf_text(&text));
    }
    if (rows->n == 0)
        return;
    if (may != 0 && c->q->now_us - last > may)
        finding_add(c, FINDING_WARNING, "verify", repo, "run \"pgbr verify\"", "%s%s",
                    last == 0 ? "nothing was verified yet" : "the last verification was at ",
                    last == 0 ? "" : second(last, when));
    else if (last != 0 && problems == 0)
        finding_add(c, FINDING_OK, "verify", repo, NULL, "without a problem, last at %s",
                    second(last, when));
}

/* ---- drills ---- */

static const struct catalog_drill *last_drill(const struct collecting *c,
                                              const struct catalog_drills *l, bool passed)
{
    for (size_t i = 0; i < l->n; i++) {
        const char *outcome = l->rows[i].outcome;

        if (outcome != NULL && !finding_is_to_come(c, l->rows[i].started_us) &&
            (strcmp(outcome, "passed") == 0 || (!passed && strcmp(outcome, "failed") == 0)))
            return &l->rows[i];
    }
    return NULL;
}

static void drills(struct collecting *c, const struct catalog_drills *l)
{
    const struct catalog_drill *last = last_drill(c, l, false), *good = last_drill(c, l, true);
    int64_t may = c->q->cluster->watch.drill_max_age_ms * 1000;
    char when[40], ago[40];

    if (last != NULL && last != good)
        finding_add(c, FINDING_WARNING, "drill", NULL, "run \"pgbr drill\": it says what is wrong",
                    "the last one, at %s, failed", second(last->started_us, when));
    if (may != 0 && (good == NULL || c->q->now_us - good->started_us > may))
        finding_add(c, FINDING_WARNING, "drill", NULL, "run \"pgbr drill\"", "%s%s",
                    good == NULL ? "none has passed yet" : "the last one that passed was at ",
                    good == NULL ? "" : second(good->started_us, when));
    else if (last != NULL && last == good)
        finding_add(c, FINDING_OK, "drill", NULL, NULL, "the last one passed, at %s, %s ago",
                    second(good->started_us, when),
                    clock_format_duration(MAX_OF(c->q->now_us - good->started_us, 0), ago));
}

/* ---- jobs ---- */

static bool counts(const struct catalog_run *r)
{
    return r->finished_us != 0 && r->exit_status != JOB_LATER && r->exit_status != JOB_SETTLED;
}

static void tell_run(struct collecting *c, const char *name, const struct catalog_run *last)
{
    char when[40];

    second(last->started_us, when);
    if (last->exit_status == JOB_DONE)
        finding_add(c, FINDING_OK, "job", NULL, NULL, "\"%s\" succeeded at %s", name, when);
    else if (last->exit_status == JOB_WARNINGS)
        finding_add(c, FINDING_WARNING, "job", NULL, "see its messages",
                    "\"%s\" ended with warnings at %s%s%s", name, when,
                    last->message != NULL ? ": " : "", last->message != NULL ? last->message : "");
    else
        finding_add(c, FINDING_WARNING, "job", NULL, "see its messages",
                    "\"%s\" failed at %s (status %d)%s%s", name, when, last->exit_status,
                    last->message != NULL ? ": " : "", last->message != NULL ? last->message : "");
}

static int job(struct collecting *c, const char *name, struct err *err)
{
    AUTO(catalog_runs_free) struct catalog_runs runs = {0};

    TRY(catalog_get_job_runs(c->q->catalog, name, RUNS_LOOKED_AT, &runs, err));
    for (size_t i = 0; i < runs.n; i++)
        if (counts(&runs.rows[i])) {
            tell_run(c, name, &runs.rows[i]);
            return 0;
        }
    return 0;
}

static int jobs(struct collecting *c, struct err *err)
{
    const struct config *conf = c->q->config;

    for (size_t i = 0; i < conf->n_jobs; i++)
        if (conf->jobs[i].cluster != NULL &&
            strcmp(conf->jobs[i].cluster, c->q->cluster->name) == 0)
            TRY(job(c, conf->jobs[i].name, err));
    return 0;
}

/* ---- all of it ---- */

static int read_all(struct collecting *c, struct err *err)
{
    AUTO(catalog_drills_free) struct catalog_drills d = {0};
    const char *cluster = c->q->cluster->name;

    for (size_t i = 0; i < c->q->n_repos; i++) {
        AUTO(catalog_backups_free) struct catalog_backups rows = {0};

        TRY(catalog_get_backups(c->q->catalog, c->q->repos[i].name, cluster, false, &rows, err));
        verified(c, c->q->repos[i].name, &rows);
    }
    TRY(catalog_get_drills(c->q->catalog, cluster, NULL, DRILLS_LOOKED_AT, &d, err));
    drills(c, &d);
    return jobs(c, err);
}

void findings_of_history(struct collecting *c)
{
    struct err err = {0};

    if (c->q->catalog != NULL && read_all(c, &err) != 0)
        finding_add(c, FINDING_WARNING, "catalog", NULL, "\"pgbr catalog rebuild\" makes it anew",
                    "what happened so far cannot be read: %s", err.msg);
}
