/*
 * drill.c - the story of a rehearsal, see drill.h.
 *
 * What keeps it apart from the original, on the same host or another:
 *
 *  - Files. All of it lies in a new directory of mode 0700 (sandbox.h), which is not in the
 *    original's: data, tablespaces, sockets, log. The restore writes there and nowhere else; links
 *    of the data directory that lead elsewhere are left out (stray.h). What replay could write
 *    elsewhere, a tablespace made after the backup, is refused by archive-get (--sandbox) before
 *    PostgreSQL sees it. And the server and all its children are confined by the kernel, where it
 *    can (confine.h).
 *  - Archive. archive_mode is off, in the file and on the command line, which wins; there is no
 *    archive_command. The repository is only read; a lease in it keeps the backup, and is released.
 *  - Replication. No primary_conninfo, no slot, no WAL sender; subscriptions of a subscriber would
 *    take what belongs to the original, so no worker can start, logical or any other: there is no
 *    room for one (max_worker_processes = 0), which also stops what extensions would do by the
 * clock.
 *  - Connections. The server listens on no address, only on a socket in the closed directory. This
 *    program connects to that socket, whatever the environment says (its PG* variables are
 * forgotten), and the server must first prove that it is the sandbox's. The configured connection
 * is not used.
 *  - Settings. None of the original's files is in use; a few values are copied (drill_conf.c).
 *  - Life. The server dies with this process (server.c); what is left then is removed by the next
 *    drill (sandbox_clear.c).
 *
 * Recovery ends by promotion, not by a pause: the sandbox is thrown away, so checks may write, and
 * transactions that were under way are gone as they would be. Hot standby is off, so recovery needs
 * none of the primary's limits. What was replayed last is asked afterwards: PostgreSQL keeps it.
 */
#include "restore/drill.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "restore/apart.h"
#include "restore/drill_form.h"
#include "restore/drill_moment.h"
#include "restore/job.h"
#include "restore/pg_bin.h"

#define SPACE_FOR_WAL (UINT64_C(5) << 28) /* 1.25 GiB: max_wal_size and some */
#define SPACE_BESIDE (UINT64_C(64) << 20)

const char *drill_phase_name(enum drill_phase p)
{
    static const char *const names[] = {"plan", "restore", "start", "replay", "checks", "cleanup"};

    return p < DRILL_PHASES ? names[p] : "?";
}

/* ---- findings ---- */

struct drill_finding *drill_find(struct drill *d, enum drill_state state, const char *name,
                                 int64_t took_us)
{
    struct drill_made *m = d->made;

    m->findings = xrealloc(m->findings, (m->n_findings + 1) * sizeof *m->findings);
    m->findings[m->n_findings] =
        (struct drill_finding){.name = xstrdup(name), .state = state, .took_us = took_us};
    if (state == DRILL_BAD)
        m->outcome = DRILL_FAILED;
    m->warnings += state == DRILL_WARNING;
    return &m->findings[m->n_findings++];
}

void drill_compare(struct drill_finding *f, const char *expected, const char *found)
{
    free(f->expected);
    free(f->found);
    f->expected = xstrdup(expected);
    f->found = xstrdup(found);
}

void drill_say(struct drill_finding *f, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    free(f->text);
    f->text = text;
}

/* ---- plan ---- */

static const char *where(const struct drill_request *q, char **made)
{
    if (q->dir != NULL)
        return q->dir;
    if (q->cluster->drill.dir != NULL)
        return q->cluster->drill.dir;
    *made = xasprintf("%s/drill", q->config->state_dir);
    return *made;
}

/* There it would become a part of the original's backups. */
static int refuse_inside(const char *dir, const char *original, struct err *err)
{
    if (original == NULL || !apart_is_inside(dir, original))
        return 0;
    return err_set(err, ERR_USAGE,
                   "\"%s\" is inside the data directory of the original (\"%s\"); name another "
                   "place with --dir or \"dir\"",
                   dir, original);
}

static void name_target(struct drill *d)
{
    AUTO(buf_free) struct buf text = BUF_INIT;

    if (d->restore.target.kind == TARGET_LATEST)
        buf_adds(&text, "latest");
    else
        target_describe(&d->restore.target, &text);
    free(d->made->target);
    d->made->target = buf_steal(&text);
}

static int choose_moment(struct drill *d, struct err *err)
{
    const struct drill_request *q = d->q;
    AUTO(mem_free) char *repo = NULL;
    char time[40];

    d->restore.target = q->target;
    if (q->moment == DRILL_AT_RANDOM) {
        TRY(drill_moment_choose(q, &d->restore.target, &repo, err));
        d->made->repo = TAKE(repo);
        d->restore.repo = d->made->repo;
    }
    name_target(d);
    if (q->moment == DRILL_AT_RANDOM && d->restore.target.kind == TARGET_TIME)
        d->made->repeat = xasprintf(
            "--repo %s --target-time '%s' --target-timeline %u", d->made->repo,
            clock_format_utc(d->restore.target.time_us, time), d->restore.target.timeline);
    return 0;
}

static int check_space(struct drill *d, struct err *err)
{
    const struct restore_plan *p = &d->plan;
    uint64_t segments = p->reach.last_segno - p->reach.first_segno + 1, need, has = 0;
    char a[24], b[24];

    need = p->bytes + MIN_OF(segments * p->backup.wal_segment_size, SPACE_FOR_WAL) + SPACE_BESIDE;
    TRY(fs_free_bytes(d->box.dir, &has, err));
    if (has >= need)
        return 0;
    return err_set(
        err, ERR_NO_SPACE,
        "the restored cluster needs about %s, \"%s\" has %s free; name another place with "
        "--dir or \"dir\"",
        format_bytes(need, a), d->box.dir, format_bytes(has, b));
}

/* Recovery to the latest state that ends before it is no proof of anything but the gap. */
static void judge_reach(struct drill *d)
{
    const struct reach *r = &d->plan.reach;
    struct drill_finding *f;

    d->made->known_us = r->last_commit_us;
    if (r->note[0] == '\0')
        return;
    f = drill_find(d, d->restore.target.kind == TARGET_LATEST ? DRILL_BAD : DRILL_WARNING, "WAL",
                   0);
    drill_say(f, "%s", r->note);
}

static void judge_plan(struct drill *d)
{
    struct buf *notes = &d->plan.notes;
    static const char word[] = "WARNING: ";

    judge_reach(d);
    for (char *line = notes->p; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");

        if (strncmp(line, word, sizeof word - 1) == 0)
            drill_say(drill_find(d, DRILL_WARNING, "backup", 0), "%.*s",
                      (int)(len - (sizeof word - 1)), line + sizeof word - 1);
        line += len + (line[len] != '\0');
    }
}

static int plan(struct drill *d, struct err *err)
{
    const struct drill_request *q = d->q;
    const char *told = q->pg_bin != NULL ? q->pg_bin : q->cluster->drill.pg_bin;
    AUTO(mem_free) char *made = NULL;
    const char *dir = where(q, &made);

    TRY(refuse_inside(dir, q->cluster->data, err));
    TRY(choose_moment(d, err));
    TRY(sandbox_make(&d->box, q->config->state_dir, dir, q->cluster->name, err));
    d->restore.data_dir = d->box.data;
    d->restore.sandbox = d->box.dir;
    TRY(restore_prepare(&d->restore, &d->plan, err));
    TRY(refuse_inside(d->box.dir, d->plan.job->layout.original_dir, err));
    if (d->made->repo == NULL) /* else it is the one that was asked for, by this very string */
        d->made->repo = xstrdup(d->plan.repo);
    d->made->label = xstrdup(d->plan.label);
    buf_addc(&d->plan.notes, '\0');
    judge_plan(d);
    buf_clear(&d->plan.notes);
    TRY(pg_bin_find(told, d->plan.backup.pg_version / 10000, &d->bin, err));
    return check_space(d, err);
}

/* ---- restore, start, replay ---- */

static int restore(struct drill *d, struct err *err)
{
    char bytes[24];

    log_info("drill: backup %s (%s) is restored into \"%s\", target %s", d->plan.label,
             format_bytes(d->plan.bytes, bytes), d->box.dir, d->made->target);
    d->begun = true;
    TRY(restore_run(&d->restore, &d->plan, err));
    d->made->restored_bytes = d->plan.bytes_fetched;
    return 0;
}

static int confine(struct drill *d, struct err *err)
{
    const struct drill_request *q = d->q;
    AUTO(mem_free) char *spool = xasprintf("%s/spool", q->config->state_dir); /* of archive-get */
    const char *const dirs[] = {d->box.dir, d->box.sockets, spool};
    bool network = false;

    TRY(fs_mkdirs(spool, 0700, err));
    for (size_t i = 0; i < d->plan.job->repos.n; i++) {
        AUTO(repo_config_free) struct repo_config conf = {0};

        TRY(config_repo(q->config, q->cluster, d->plan.job->repos.items[i].name, &conf, err));
        network |= conf.type != CONFIG_REPO_POSIX;
    }
    return confine_prepare(&d->confinement, dirs, LENGTH(dirs), network, err);
}

/* The library that could not be loaded: what stands in quotes behind these words. */
static void missing_library(const char *complaint, struct buf *name)
{
    static const char *const words[] = {"could not access file \"", "could not load library \""};

    for (size_t i = 0; i < LENGTH(words); i++) {
        const char *at = strstr(complaint, words[i]);

        if (at == NULL)
            continue;
        at += strlen(words[i]);
        buf_add(name, at, strcspn(at, "\""));
        return;
    }
}

/* Which libraries to do without: the one that is missing, or where that is not told, all. */
static void drop_library(const char *complaint, char **preload)
{
    AUTO(buf_free) struct buf name = BUF_INIT, left = BUF_INIT, all = BUF_INIT;

    missing_library(complaint, &name);
    drill_conf_without(*preload, "", &all);
    drill_conf_without(*preload, buf_text(&name), &left);
    if (name.len == 0 || left.len == all.len)
        buf_clear(&left);
    free(*preload);
    *preload = xstrdup(buf_text(&left));
}

static int try_start(struct drill *d, const char *preload, struct err *err)
{
    TRY(drill_conf_write(&d->conf, &d->box, preload, &d->conf_path, err));
    TRY(server_start(&d->server, &d->box, d->bin, d->conf_path, &d->confinement, err));
    return server_wait(&d->server, SERVER_REPLAYING, d->q->stop, err);
}

/* A library that does not exist here is no fault of the backup; without it some of what the cluster
 * can do may be missing, which is told. */
static int start(struct drill *d, struct err *err)
{
    AUTO(mem_free) char *preload = NULL;
    AUTO(buf_free) struct buf first = BUF_INIT;

    TRY(drill_conf_read(&d->conf, &d->plan, err));
    TRY(confine(d, err));
    if (d->conf.notes.len != 0)
        drill_say(drill_find(d, DRILL_WARNING, "configuration", 0), "%s", buf_text(&d->conf.notes));
    preload = xstrdup(d->conf.preload);
    while (try_start(d, preload, err) != 0) {
        AUTO(buf_free) struct buf complaint = BUF_INIT;

        server_complaint(&d->server, &complaint);
        if (err->code == ERR_INTERRUPTED || preload[0] == '\0')
            return -1;
        if (first.len == 0)
            buf_adds(&first, buf_text(&complaint));
        drop_library(buf_text(&complaint), &preload);
    }
    if (first.len != 0) {
        struct drill_finding *f = drill_find(d, DRILL_WARNING, "shared_preload_libraries", 0);

        drill_compare(f, d->conf.preload, preload);
        drill_say(f, "started without those that cannot be loaded here: %s", buf_text(&first));
    }
    return 0;
}

static int replay(struct drill *d, struct err *err)
{
    log_info("drill: the server has started and replays WAL");
    return server_wait(&d->server, SERVER_READY, d->q->stop, err);
}

static int check(struct drill *d, struct err *err)
{
    log_info("drill: recovery is over; checking");
    TRY(drill_check_target(d, err));
    TRY(drill_check_databases(d, err));
    TRY(drill_check_sql(d, err));
    TRY(drill_check_structure(d, err));
    return drill_check_pages(d, err);
}

/* ---- the time limit ---- */

struct limit {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool started, done, passed;
    struct timespec until;
    struct stop *stop;
};

static void *watch_time(void *arg)
{
    struct limit *l = arg;
    int none = 0, rc = 0;

    pthread_mutex_lock(&l->lock);
    while (!l->done && rc == 0)
        rc = pthread_cond_timedwait(&l->over, &l->lock, &l->until);
    if (!l->done) {
        l->passed = true;
        atomic_compare_exchange_strong(&l->stop->signal, &none, -1);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int limit_begin(struct limit *l, int64_t ms, struct stop *stop, struct err *err)
{
    pthread_condattr_t attr;

    *l = (struct limit){.stop = stop};
    clock_gettime(CLOCK_MONOTONIC, &l->until);
    l->until.tv_sec += ms / 1000;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->over, &attr);
    pthread_condattr_destroy(&attr);
    errno = pthread_create(&l->thread, NULL, watch_time, l);
    if (errno != 0)
        return err_sys(err, "cannot create a thread");
    l->started = true;
    return 0;
}

/* Had it passed? */
static bool limit_end(struct limit *l)
{
    pthread_mutex_lock(&l->lock);
    l->done = true;
    pthread_cond_signal(&l->over);
    pthread_mutex_unlock(&l->lock);
    if (l->started)
        pthread_join(l->thread, NULL);
    pthread_cond_destroy(&l->over);
    pthread_mutex_destroy(&l->lock);
    return l->passed;
}

/* ---- all of it ---- */

struct step {
    enum drill_phase phase;
    int (*run)(struct drill *d, struct err *err);
};

static int take_step(struct drill *d, const struct step *s, struct err *err)
{
    int64_t began = clock_monotonic_us();
    int rc = s->run(d, err);

    d->made->took_us[s->phase] = clock_monotonic_us() - began;
    if (rc == 0)
        d->made->ended_us[s->phase] = clock_now_us();
    return rc;
}

/* *reached: the step that failed. */
static int rehearse(struct drill *d, enum drill_phase *reached, struct err *err)
{
    static const struct step steps[] = {{DRILL_PLAN, plan},
                                        {DRILL_RESTORE, restore},
                                        {DRILL_START, start},
                                        {DRILL_REPLAY, replay},
                                        {DRILL_CHECKS, check}};

    for (size_t i = 0; i < LENGTH(steps); i++) {
        *reached = steps[i].phase;
        TRY(take_step(d, &steps[i], err));
    }
    return 0;
}

/* An error of a step as a result of the drill. */
static void judge_error(struct drill *d, enum drill_phase phase, bool late, const struct err *why)
{
    char limit[40];
    struct drill_finding *f;

    if (why->code == ERR_INTERRUPTED && !late) {
        f = drill_find(d, DRILL_WARNING, drill_phase_name(phase), 0);
        drill_say(f, "%s", why->msg);
        d->made->outcome = DRILL_STOPPED;
        return;
    }
    f = drill_find(d, DRILL_BAD, drill_phase_name(phase), d->made->took_us[phase]);
    if (late)
        drill_say(f, "the time limit of %s has passed",
                  clock_format_duration(d->q->cluster->drill.time_limit_ms * 1000, limit));
    else
        drill_say(f, "%s", why->msg);
}

static void keep(struct drill *d)
{
    AUTO(buf_free) struct buf command = BUF_INIT;
    struct err why = {0};

    if (sandbox_keep(&d->box, &why) != 0) {
        drill_say(drill_find(d, DRILL_WARNING, "cleanup", 0), "%s", why.msg);
        return;
    }
    d->made->kept_in = xstrdup(d->box.dir);
    d->made->kept_socket = xstrdup(d->box.sockets);
    if (d->conf_path == NULL)
        return;
    start_command_kept(d->bin, d->box.data, d->conf_path, d->box.sockets, &command);
    d->made->kept_start = buf_steal(&command);
}

/* told: there will be a report, which says what is kept. */
static void clean_up(struct drill *d, bool told)
{
    int64_t began = clock_monotonic_us();
    struct err why = {0};

    server_free(&d->server);
    restore_plan_free(&d->plan); /* and the lease with it */
    if (d->begun && d->q->keep && told)
        keep(d);
    else if (d->box.dir != NULL && sandbox_remove(&d->box, &why) != 0)
        drill_say(drill_find(d, DRILL_WARNING, "cleanup", 0), "%s; the next drill tries again",
                  why.msg);
    sandbox_free(&d->box);
    confine_free(&d->confinement);
    drill_conf_free(&d->conf);
    free(d->bin);
    free(d->conf_path);
    d->made->took_us[DRILL_CLEANUP] = clock_monotonic_us() - began;
    d->made->ended_us[DRILL_CLEANUP] = clock_now_us();
}

/* libpq and the server read variables that lead elsewhere, such as PGHOSTADDR and PGPORT. */
static void forget_environment(void)
{
    for (char **v = environ; *v != NULL;) {
        AUTO(mem_free) char *name = xstrndup(*v, strcspn(*v, "="));

        if (strncmp(name, "PG", 2) == 0 && strncmp(name, "PGBR", 4) != 0 && unsetenv(name) == 0)
            v = environ;
        else
            v++;
    }
}

static void begin(struct drill *d, const struct drill_request *q, struct drill_made *made)
{
    AUTO(mem_free) char *path = NULL;
    unsigned cleared;

    *d = (struct drill){.q = q,
                        .made = made,
                        .restore = {.config = q->config,
                                    .cluster = q->cluster,
                                    .repo = q->repo,
                                    .program = q->program,
                                    .set = q->set,
                                    .action = ACTION_PROMOTE,
                                    .workers = q->workers,
                                    .stop = q->stop,
                                    .progress = q->progress},
                        .box = SANDBOX_INIT,
                        .server = {.user = q->cluster->drill.user},
                        .confinement = CONFINEMENT_INIT};
    forget_environment();
    made->started_us = clock_now_us();
    made->target = xstrdup(q->moment == DRILL_AT_RANDOM ? "random" : "latest");
    sandboxes_clear(q->config->state_dir, where(q, &path), &cleared);
}

int drill_run(const struct drill_request *q, struct drill_made *made, struct err *err)
{
    enum drill_phase phase = DRILL_PLAN;
    struct limit limit;
    struct drill d;
    bool late;
    int rc;

    *made = (struct drill_made){.outcome = DRILL_PASSED};
    begin(&d, q, made);
    rc = limit_begin(&limit, q->cluster->drill.time_limit_ms, q->stop, err);
    if (rc == 0)
        rc = rehearse(&d, &phase, err);
    late = limit_end(&limit) && rc != 0 && err->code == ERR_INTERRUPTED;
    if (late)
        atomic_store(&q->stop->signal, 0); /* what is left to do needs its time */
    if (rc != 0 && err->code != ERR_USAGE && err->code != ERR_CONFIG) {
        judge_error(&d, phase, late, err);
        err_clear(err);
        rc = 0;
    }
    clean_up(&d, rc == 0);
    return rc;
}

void drill_made_free(struct drill_made *m)
{
    for (size_t i = 0; i < m->n_findings; i++) {
        free(m->findings[i].name);
        free(m->findings[i].expected);
        free(m->findings[i].found);
        free(m->findings[i].text);
    }
    free(m->findings);
    free(m->repo);
    free(m->label);
    free(m->target);
    free(m->repeat);
    free(m->kept_in);
    free(m->kept_socket);
    free(m->kept_start);
    *m = (struct drill_made){0};
}

int64_t drill_rto_us(const struct drill_made *m)
{
    int64_t sum = 0;

    for (int p = DRILL_PLAN; p <= DRILL_REPLAY; p++) {
        if (m->ended_us[p] == 0)
            return 0;
        sum += m->took_us[p];
    }
    return sum;
}

int64_t drill_rpo_us(const struct drill_made *m)
{
    if (m->reached_us == 0 || strcmp(m->target, "latest") != 0)
        return -1;
    return MAX_OF(m->started_us - m->reached_us, 0);
}
