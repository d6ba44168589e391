/* cmd_verify.c - pgbr verify [CLUSTER] - read everything back and check it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/expiry.h"
#include "cli/record.h"
#include "cli/run_record.h"
#include "cli/show.h"
#include "postgres/lsn.h"
#include "repo/object/names.h"
#include "repo/verify/verify.h"
#include "wal/index/sums.h"
#include "wal/reach/verify.h"

struct wanted {
    const char *repo, *label;
    bool deep, wal_only, json;
    unsigned workers;
};

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    switch (code) {
    case 'r':
        w->repo = value;
        return 0;
    case 's':
        w->label = value;
        return 0;
    case 'd':
        w->deep = true;
        return 0;
    case 'W':
        w->wal_only = true;
        return 0;
    case 'j':
        w->json = true;
        return 0;
    default:
        return parse_count(value, "--workers", THREADS_MAX, &w->workers, err);
    }
}

/* ---- showing ---- */

static void gap_text(const struct wal_gap *g, char first[WAL_SEGMENT_NAME],
                     char last[WAL_SEGMENT_NAME])
{
    wal_segment_name(g->timeline, g->first_segno, g->segment_size, first);
    wal_segment_name(g->timeline, g->last_segno, g->segment_size, last);
}

static void show_gap(const struct wal_gap *g)
{
    char first[WAL_SEGMENT_NAME], last[WAL_SEGMENT_NAME];

    gap_text(g, first, last);
    printf("MISSING WAL %s", first);
    if (g->last_segno != g->first_segno)
        printf(" to %s", last);
    if (g->label[0] != '\0')
        printf(": backup %s cannot become consistent without it\n", g->label);
    else
        printf(": recovery cannot pass it\n");
}

/* Of what nothing depends on. */
static const char mend[] =
    "it only saves reading, and nothing is lost with it: delete this object, and "
    "\"pgbr expire\" makes it again if it can still be of use";

static void show_damage(const struct damage *d)
{
    printf("DAMAGED %s: %s\n", d->object, d->why);
    if (d->spare)
        printf("  %s\n", mend);
    for (size_t i = 0; i < d->n_harms; i++) {
        const struct harm *h = &d->harms[i];

        printf("  backup %s: %s", h->label, h->path[0] != '\0' ? h->path : "all of it");
        if (h->blocks == 1)
            printf(", page %u", h->first_block);
        else if (h->blocks != 0)
            printf(", pages %u to %u", h->first_block, h->first_block + h->blocks - 1);
        printf("\n");
    }
}

static void show_text(const struct repo *r, const struct verify_made *m, const struct wal_gap *gaps,
                      size_t n_gaps, int64_t took_us, const struct wanted *w)
{
    char bytes[24], took[40];

    for (size_t i = 0; i < m->n_damages; i++)
        show_damage(&m->damages[i]);
    for (size_t i = 0; i < n_gaps; i++)
        show_gap(&gaps[i]);
    if (w->wal_only) {
        printf("repository \"%s\": %s\n", repo_name(r),
               n_gaps == 0 ? "WAL is without a gap" : "WAL IS MISSING");
        return;
    }
    printf("repository \"%s\": %llu objects, %s read in %s, %zu backup%s complete", repo_name(r),
           (unsigned long long)m->objects, format_bytes(m->bytes, bytes),
           clock_format_duration(took_us, took), m->backups, plural_of(m->backups));
    if (w->deep)
        printf(", %llu chunks decoded", (unsigned long long)m->chunks);
    printf(": %s\n", m->n_damages == 0 && n_gaps == 0 ? "all is well" : "DAMAGE WAS FOUND");
}

static void json_damage(struct json *j, const struct damage *d)
{
    json_open(j, NULL, '{');
    json_text(j, "object", d->object);
    json_text(j, "why", d->why);
    if (d->spare)
        json_text(j, "mend", mend);
    json_open(j, "harms", '[');
    for (size_t i = 0; i < d->n_harms; i++) {
        json_open(j, NULL, '{');
        json_text(j, "backup", d->harms[i].label);
        json_text(j, "path", d->harms[i].path);
        if (d->harms[i].blocks != 0) {
            json_uint(j, "first_page", d->harms[i].first_block);
            json_uint(j, "pages", d->harms[i].blocks);
        }
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static void json_gap(struct json *j, const struct wal_gap *g)
{
    char first[WAL_SEGMENT_NAME], last[WAL_SEGMENT_NAME];

    gap_text(g, first, last);
    json_open(j, NULL, '{');
    json_text(j, "first", first);
    json_text(j, "last", last);
    json_text(j, "backup", g->label[0] != '\0' ? g->label : NULL);
    json_close(j, '}');
}

static void json_result(struct json *j, const struct repo *r, const struct verify_made *m,
                        const struct wal_gap *gaps, size_t n_gaps)
{
    json_open(j, NULL, '{');
    json_text(j, "repo", repo_name(r));
    json_uint(j, "objects", m->objects);
    json_uint(j, "bytes", m->bytes);
    json_uint(j, "chunks", m->chunks);
    json_uint(j, "backups", m->backups);
    json_open(j, "damages", '[');
    for (size_t i = 0; i < m->n_damages; i++)
        json_damage(j, &m->damages[i]);
    json_close(j, ']');
    json_open(j, "gaps", '[');
    for (size_t i = 0; i < n_gaps; i++)
        json_gap(j, &gaps[i]);
    json_close(j, ']');
    json_bool(j, "good", m->n_damages == 0 && n_gaps == 0);
    json_close(j, '}');
}

static void json_failure(struct json *j, const char *repo, const char *why)
{
    json_open(j, NULL, '{');
    json_text(j, "repo", repo);
    json_text(j, "error", why);
    json_bool(j, "good", false);
    json_close(j, '}');
}

/* ---- doing ---- */

/* Which gaps count: those of the one backup that was asked for, or all. */
static size_t keep_gaps(struct wal_gap *gaps, size_t n, const char *label)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (label == NULL || strcmp(gaps[i].label, label) == 0)
            gaps[kept++] = gaps[i];
    return kept;
}

static bool is_known(const struct catalog_backups *known, const struct repo *r, const char *label)
{
    for (size_t i = 0; i < known->n; i++)
        if (strcmp(known->rows[i].label, label) == 0 &&
            strcmp(known->rows[i].repo, repo_name(r)) == 0)
            return true;
    return false;
}

/* The catalog may know nothing of a backup that was taken elsewhere. */
static int record_one(struct catalog *c, const struct catalog_backups *known, const struct repo *r,
                      const struct pubinfo *pub, uint64_t problems, struct err *err)
{
    struct catalog_backup row;

    view_backup_row(r, pub, &row);
    if (!is_known(known, r, pub->label))
        TRY(catalog_put_backup(c, &row, err));
    return catalog_backup_verified(c, repo_name(r), repo_cluster(r), pub->label, clock_now_us(),
                                   problems, err);
}

static void record(struct app *app, const struct repo *r, const struct backup_list *backups,
                   const struct verify_made *m, const struct wanted *w)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);
    AUTO(catalog_backups_free) struct catalog_backups known = {0};
    struct err err = {0};

    if (m->n_damages != 0 && repo_encrypted(r) && repo_key(r) == NULL)
        return; /* whose damage it is cannot be told */
    record_known(app, repo_cluster(r), &known);
    for (size_t i = 0; c != NULL && !w->wal_only && i < backups->n; i++) {
        const char *label = backups->items[i].label;
        uint64_t problems = 0;

        if (w->label != NULL && strcmp(w->label, label) != 0)
            continue;
        for (size_t d = 0; d < m->n_damages; d++)
            for (size_t h = 0; h < m->damages[d].n_harms; h++)
                problems += strcmp(m->damages[d].harms[h].label, label) == 0;
        if (record_one(c, &known, r, &backups->items[i], problems, &err) != 0) {
            log_warning("the result could not be recorded in the catalog: %s", err.msg);
            return;
        }
    }
}

/* A manifest that cannot be read hides which WAL its backup needs. */
static void broken(void *ctx, const char *label, const struct err *why)
{
    struct app *app = ctx;

    log_warning("backup %s cannot be read: %s", label, why->msg);
    app->status = EXIT_WARNINGS;
}

/* A backup lies in one repository only, as a rule. */
static int has_backup(struct repo *r, const char *label, bool *found, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct store_entry entry;

    if (!label_valid(label))
        return err_set(err, ERR_USAGE, "\"%.100s\" is not the label of a backup", label);
    *found =
        store_stat(repo_store(r), name_manifest(&key, repo_cluster(r), label), &entry, err) == 0;
    if (*found || err->code != ERR_NOT_FOUND)
        return *found ? 0 : -1;
    err_clear(err);
    return 0;
}

/* Without a key hashes still tell what is damaged; files and pages cannot be named then. */
static int open_repo(const struct app *app, const struct cluster_config *cluster, const char *name,
                     bool deep, struct repo **r, struct err *err)
{
    struct err why;

    if (config_open_repo(app->config, cluster, name, REPO_OPEN_FULL, r, err) == 0)
        return 0;
    if (err->code != ERR_KEY || deep)
        return -1;
    why = *err;
    TRY(config_open_repo(app->config, cluster, name, REPO_OPEN_NO_KEY, r, err));
    log_info("%s: checking by stored hashes only", why.msg);
    return 0;
}

static void found_in_sum(void *ctx, const char *key, const char *why)
{
    verify_made_add(ctx, key, why);
}

static int verify_objects(struct app *app, const struct cluster_config *cluster,
                          const struct verify_request *q, struct verify_made *made, struct err *err)
{
    struct run_record record;
    int rc;

    run_record_begin(&record, app, cluster, repo_name(q->repo), q->progress);
    rc = verify_run(q, made, err);
    if (rc == 0 && q->deep && q->label == NULL)
        rc = sums_verify(q->repo, q->stop, found_in_sum, made, err);
    if (rc == 0 && made->n_damages != 0)
        app->status = EXIT_WARNINGS;
    run_record_end(&record, app, rc, q->label, err);
    return rc;
}

static void tell(struct app *app, const char *repo, const struct verify_made *made, size_t n_gaps)
{
    char size[24];

    if (made->n_damages != 0)
        event_tell(app, LOG_ERROR, repo, "DAMAGE in repository \"%s\": %zu object%s, the first: %s",
                   repo, made->n_damages, plural_of(made->n_damages), made->damages[0].object);
    if (n_gaps != 0)
        event_tell(app, LOG_ERROR, repo, "%zu gap%s in the WAL of repository \"%s\"", n_gaps,
                   plural_of(n_gaps), repo);
    if (made->n_damages == 0 && n_gaps == 0)
        event_tell(app, LOG_INFO, repo, "repository \"%s\" is sound: %llu objects, %s", repo,
                   (unsigned long long)made->objects, format_bytes(made->bytes, size));
}

/* *found: it has what is to be verified. */
static int verify_repo(struct app *app, const struct cluster_config *cluster, const char *name,
                       const struct wanted *w, struct json *j, bool *found, struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(verify_made_free) struct verify_made made = {0};
    AUTO(backups_free) struct backup_list backups = {0};
    AUTO(catalog_backups_free) struct catalog_backups known = {0};
    AUTO(mem_free) struct wal_gap *gaps = NULL;
    AUTO(repo_config_free) struct repo_config conf = {0};
    struct progress progress = {.mode = app_progress(app)};
    struct verify_request q = {.label = w->label,
                               .deep = w->deep,
                               .workers = w->workers != 0 ? w->workers : cluster->workers,
                               .stop = &app->stop,
                               .progress = &progress};
    int64_t begun = clock_monotonic_us();
    size_t n_gaps = 0;
    bool has = true;

    TRY(open_repo(app, cluster, name, w->deep, &repo, err));
    if (w->label != NULL)
        TRY(has_backup(repo, w->label, &has, err));
    if (!has)
        return 0;
    *found = true;
    q.repo = repo;
    if (!w->wal_only)
        TRY(verify_objects(app, cluster, &q, &made, err));
    TRY(backups_list(repo, &backups, broken, app, err));
    TRY(wal_find_gaps(repo, &backups, &gaps, &n_gaps, err));
    TRY(config_repo(app->config, cluster, name, &conf, err));
    record(app, repo, &backups, &made, w);
    record_known(app, cluster->name, &known);
    expiry_forget_gaps(&conf, &backups, &known, gaps, &n_gaps);
    n_gaps = keep_gaps(gaps, n_gaps, w->label);
    if (w->json)
        json_result(j, repo, &made, gaps, n_gaps);
    else
        show_text(repo, &made, gaps, n_gaps, clock_monotonic_us() - begun, w);
    tell(app, name, &made, n_gaps);
    if (made.n_damages != 0 || n_gaps != 0)
        app->status = EXIT_WARNINGS;
    return 0;
}

/* One repository that cannot be verified does not keep the others from it. */
static int verify_all(struct app *app, const struct cluster_config *cluster, const struct wanted *w,
                      struct json *j, struct err *err)
{
    bool found = false;
    int rc = 0;

    for (size_t i = 0; i < cluster->n_repos; i++) {
        struct err why = {0};

        if (w->repo != NULL && strcmp(w->repo, cluster->repos[i]) != 0)
            continue;
        if (verify_repo(app, cluster, cluster->repos[i], w, j, &found, &why) == 0)
            continue;
        if (w->json)
            json_failure(j, cluster->repos[i], why.msg);
        if (rc != 0)
            log_error("%s", err->msg);
        *err = why;
        rc = -1;
        if (why.code == ERR_INTERRUPTED)
            break;
    }
    if (rc == 0 && !found)
        return err_set(err, ERR_NOT_FOUND, "no repository here has a backup \"%.100s\"", w->label);
    return rc;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    AUTO(repo_config_free) struct repo_config known = {0};
    const struct cluster_config *cluster;
    struct wanted wanted = {0};
    struct arguments args;
    struct json j;
    int rc;

    TRY(app_arguments(app, argc, argv, &args, on_option, &wanted, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &cluster, err));
    if (wanted.repo != NULL)
        TRY(config_repo(app->config, cluster, wanted.repo, &known, err));
    TRY(app_catch_signals(app, err));
    json_begin(&j, &text, true);
    json_open(&j, NULL, '[');
    rc = verify_all(app, cluster, &wanted, &j, err);
    json_close(&j, ']');
    if (wanted.json)
        fputs(buf_text(&text), stdout);
    return rc;
}

static const struct option_row options[] = {
    {'d', "deep", NULL,
     "also decrypt and decompress every chunk, and make sums anew; needs the key"},
    {'s', "set", "LABEL", "this backup only, with all that it needs"},
    {'W', "wal", NULL, "only look whether WAL is without gaps"},
    {'r', "repo", "NAME", "this repository only; otherwise all"},
    {'w', "workers", "N", "threads that read and check"},
    {'j', "json", NULL, "show the results as JSON"},
    {0},
};
const struct command command_verify = {
    .name = "verify",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .summary = "read everything in the repositories and check it",
    .event = KIND_VERIFY,
    .options = options,
};
