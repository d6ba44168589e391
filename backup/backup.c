/*
 * backup.c - see backup.h. The order of the steps is the safety of the whole:
 *
 * the lease comes before anything is stored, so that nobody removes the set; the server is in
 * backup mode before the first file is listed; pg_control is copied after all other files (a
 * standby's tells where consistency lies); packs are durable and listed before the WAL is waited
 * for, and the WAL is there before the manifest is; whether the set was fenced meanwhile is asked
 * before the commit and again after it, before success is reported.
 */
#include "backup/backup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "backup/base.h"
#include "backup/history.h"
#include "backup/run.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/lease/lease.h"
#include "wal/index/prove.h"

static struct progress *progress_of(struct run *r)
{
    return r->q->progress != NULL ? r->q->progress : &r->quiet;
}

/* ---- before ---- */

static int lock_cluster(struct run *r, struct err *err)
{
    AUTO(mem_free)
    char *path = xasprintf("%s/%s.backup.lock", r->q->state_dir, r->q->cluster->name);

    TRY(fs_mkdirs(r->q->state_dir, 0700, err));
    if (lock_take(&r->lock, path, err) != 0)
        return err_context(err, "another backup of cluster \"%s\" runs on this host",
                           r->q->cluster->name);
    return 0;
}

static int prove_archiving(struct run *r, struct err *err)
{
    struct wal_place place = run_wal_place(r);
    struct pg *primary = session_primary(&r->session);

    if (primary == NULL)
        return 0; /* said already; the WAL is waited for before the commit in any case */
    return wal_prove_archiving(&place, primary, r->q->cluster->archive_timeout_ms, r->q->stop, err);
}

static struct lease_terms terms_of(const struct run *r, const char *const *adopted, size_t n)
{
    return (struct lease_terms){.id = r->id,
                                .base = r->base[0] != '\0' ? r->base : NULL,
                                .adopted = adopted,
                                .n_adopted = n,
                                .wal_lsn = r->wal_lsn,
                                .host = r->host,
                                .pid = (uint32_t)getpid()};
}

/* From where on WAL will be needed is said before the server begins: not the start position, which
 * is not known yet, but one that cannot be behind it. (A backup starts at the redo position of a
 * checkpoint, on a standby of a restartpoint, that is not older than the last one.) So nobody
 * expires WAL of a slow backup because a faster one is done. */
static int announce_wal(struct run *r, struct err *err)
{
    size_t n = adopt_sets(r->adoption);
    AUTO(mem_free) const char **sets = xcalloc(n, sizeof *sets);
    struct pg_control control;
    struct lease_terms terms;

    TRY(control_read(r->data_fd, CONTROL_PATH, NULL, &control, err));
    r->wal_lsn = control.redo_lsn;
    for (size_t i = 0; i < n; i++)
        sets[i] = adopt_set(r->adoption, i);
    terms = terms_of(r, sets, n);
    return lease_update(r->lease, &terms, err);
}

static enum set_kind kind_of(enum backup_type type)
{
    return type == BACKUP_FULL ? SET_FULL : (type == BACKUP_DIFF ? SET_DIFF : SET_INCR);
}

/* The lease first, then what it protects: sets of interrupted attempts are named in it before
 * adopt_register() asks whether they are still there. One that an expirer has begun to remove is
 * not used. */
static int announce(struct run *r, struct err *err)
{
    AUTO(mem_free) const char **sets = NULL;
    struct lease_terms terms = terms_of(r, NULL, 0);
    size_t n;

    TRY(label_make(r->label, kind_of(r->type), clock_now_us(), err));
    TRY(lease_take(&r->lease, r->q->repo, r->label, &terms, r->q->stop, err));
    crash_point("backup-leased");
    TRY(set_new(&r->set, r->q->repo, r->label, &r->id, err));
    TRY(manifest_begin(&r->manifest, r->set, err));
    TRY(base_open(r, err));
    TRY(adopt_open(&r->adoption, r->q->repo, &r->id, r->label, err));
    n = adopt_sets(r->adoption);
    if (n == 0)
        return 0;
    sets = xcalloc(n, sizeof *sets);
    for (size_t i = 0; i < n; i++)
        sets[i] = adopt_set(r->adoption, i);
    terms = terms_of(r, sets, n);
    TRY(lease_update(r->lease, &terms, err));
    crash_point("backup-adopting");
    log_info("%zu interrupted attempts left %s that may be used again", n,
             format_bytes(adopt_bytes(r->adoption), (char[24]){0}));
    return adopt_register(r->adoption, r->manifest, err);
}

static int start_backup_mode(struct run *r, struct err *err)
{
    AUTO(mem_free) char *label = xasprintf("pgbr %s", r->label);
    char lsn[LSN_TEXT];

    TRY(pg_backup_start(r->session.pg, label, !r->q->slow_checkpoint, &r->session.start_lsn, err));
    log_info("backup %s started at %s on timeline %u", r->label,
             lsn_format(r->session.start_lsn, lsn), r->id.timeline);
    return 0;
}

/* ---- the copy ---- */

static int scan(struct run *r, struct err *err)
{
    struct scan_request q = {
        .data_fd = r->data_fd,
        .data_dir = r->session.facts.data_directory,
        .version = r->session.facts.version,
        .outside = r->session.facts.outside,
        .n_outside = r->session.facts.outside_count,
        .stop = r->q->stop,
    };

    TRY(list_create(&r->list, r->q->state_dir, err));
    TRY(results_create(&r->results, r->q->state_dir, err));
    TRY(scan_files(&q, &r->list, &r->found, err));
    atomic_store(&progress_of(r)->bytes_total, r->list.bytes);
    atomic_store(&progress_of(r)->files_total, r->list.files);
    return 0;
}

static int tend(void *ctx, uint64_t *insert_lsn, struct err *err)
{
    return session_tend(ctx, insert_lsn, err);
}

static int insert_lsn(void *ctx, uint64_t *lsn, struct err *err)
{
    struct session *s = ctx;

    return pg_insert_lsn(s->pg, lsn, err);
}

/* Something is wrong that nobody knows yet: nothing that rests on it may be kept. */
static int cross_check(struct run *r, struct err *err)
{
    AUTO(buf_free) struct buf alarm = BUF_INIT;
    struct crosscheck_terms t = {.repo = r->q->repo,
                                 .increment = &r->increment,
                                 .data_fd = r->data_fd,
                                 .start = r->session.start_lsn,
                                 .stop = r->q->stop};
    const struct pubinfo *base;
    uint64_t read = 0;

    if (r->type == BACKUP_FULL)
        return 0;
    base = manifest_pub(r->increment.base);
    t.base_start = base->start_lsn;
    t.by_content = r->session.facts.checksums && r->base_from_here && !r->session.facts.in_recovery;
    if (crosscheck(&r->copied.samples, &t, &alarm, &read, err) != 0)
        return base_harmed(r, err);
    atomic_fetch_add(&r->copied.read_bytes, read);
    if (alarm.len == 0)
        return 0;
    log_error("ALARM: %s; please report this, with the WAL from there on", buf_text(&alarm));
    r->alarm = xstrdup(buf_text(&alarm));
    return base_unfit(r, err, "%s", r->alarm);
}

/* pg_control is last: on a standby its minRecoveryPoint proves where the copy is consistent. */
static int copy_control(struct run *r, const struct copy_request *q, struct err *err)
{
    AUTO(buf_free) struct buf raw = BUF_INIT;
    struct list_reader reader;
    struct listed l;
    int more;
    bool done = false;

    TRY(control_read(r->data_fd, CONTROL_PATH, &raw, &r->control, err));
    if (r->control.system_id != r->id.system_id)
        return err_set(err, ERR_FOREIGN, "\"%s/" CONTROL_PATH "\" belongs to another cluster",
                       q->data_dir);
    list_begin(&reader, &r->list);
    while (!done && (more = list_next(&reader, &l, err)) == 1) {
        if (strcmp(l.path, "data/" CONTROL_PATH) != 0)
            continue;
        done = true;
        more = copy_bytes(q, r->copied.packer, l.path, l.number, l.mtime_s, raw.p, raw.len, err);
    }
    list_end(&reader);
    if (more < 0)
        return -1;
    return done ? 0 : err_set(err, ERR_NOT_FOUND, "\"%s\" has no " CONTROL_PATH, q->data_dir);
}

static int copy(struct run *r, struct err *err)
{
    struct page_rules rules = {.start_lsn = r->session.start_lsn,
                               .start_us = r->made->pub.start_us,
                               .insert_lsn = insert_lsn,
                               .ctx = &r->session};
    struct copy_request q = {
        .data_fd = r->data_fd,
        .data_dir = r->session.facts.data_directory,
        .set = r->set,
        .adoption = r->adoption,
        .list = &r->list,
        .results = &r->results,
        .increment = r->type == BACKUP_FULL ? NULL : &r->increment,
        .check_pages = r->session.facts.checksums,
        .start_lsn = r->session.start_lsn,
        .workers = r->q->workers,
        .rate_limit = r->q->rate_limit,
        .stop = r->q->stop,
        .progress = progress_of(r),
        .tend = tend,
        .tend_ctx = &r->session,
    };

    if (copy_run(&q, &r->copied, err) != 0)
        return atomic_load(&r->copied.base_bad) ? base_harmed(r, err) : -1;
    TRY(cross_check(r, err));
    TRY(suspects_settle(r->copied.suspects, r->copied.workers, r->data_fd, &rules, r->q->stop,
                        &r->made->info, &r->made->pub.page_errors, err));
    TRY(copy_control(r, &q, err));
    r->made->adopted_bytes = atomic_load(&r->copied.adopted_bytes);
    r->made->vanished = atomic_load(&r->copied.vanished);
    return packer_finish(r->copied.packer, err);
}

/* ---- after ---- */

/* The last segment a standby's backup needs is complete only once the primary switches. */
static int switch_primary(struct run *r, struct err *err)
{
    uint64_t lsn;

    if (!r->session.facts.in_recovery || r->session.primary == NULL)
        return 0;
    return pg_switch_wal(r->session.primary, &lsn, err);
}

static int stop_backup_mode(struct run *r, struct err *err)
{
    char lsn[LSN_TEXT];

    TRY(session_unchanged(&r->session, err));
    TRY(pg_backup_stop(r->session.pg, &r->session.stop, err));
    TRY(session_unchanged(&r->session, err));
    r->made->pub.stop_us = clock_now_us();
    log_info("backup %s: files are copied, stop position %s", r->label,
             lsn_format(r->session.stop.stop_lsn, lsn));
    return switch_primary(r, err);
}

static int store_everything(struct run *r, struct err *err)
{
    TRY(finish_entries(r->manifest, &r->list, &r->results, &r->finished, err));
    TRY(manifest_flush(r->manifest, err));
    TRY(set_check_listing(r->set, err));
    return store_sync(repo_store(r->q->repo), err);
}

static int wait_for_wal(struct run *r, struct err *err)
{
    struct wal_place place = run_wal_place(r);
    const struct pubinfo *pub = &r->made->pub;

    TRY(history_complete(&place, r->data_fd, pub->spans, pub->n_spans, err));
    TRY(wal_wait(&place, pub->spans, pub->n_spans, r->q->cluster->wal_wait_timeout_ms, NULL, NULL,
                 r->q->stop, err));
    return finish_check_copies(r->q->repo, pub, &r->finished, err);
}

/* From the manifest's creation on the backup exists; success is reported only if nobody fenced the
 * set before that. */
static int commit(struct run *r, struct err *err)
{
    struct err ignored = {0};

    TRY(lease_check(r->lease, err));
    crash_point("backup-committing");
    TRY(manifest_commit(r->manifest, &r->made->pub, &r->made->info, err));
    crash_point("backup-committed");
    if (lease_check(r->lease, err) == 0)
        return 0;
    if (err->code == ERR_CONFLICT &&
        expired_mark(r->q->repo, r->label, "fenced while it was committed", &ignored) != 0)
        log_error("backup %s is void but could not be marked: %s", r->label, ignored.msg);
    return -1;
}

static int take(struct run *r, struct err *err)
{
    TRY(lock_cluster(r, err));
    crash_point("backup-locked");
    TRY(session_open(&r->session, r->q, err));
    r->id = (struct set_identity){r->session.facts.system_id, r->session.facts.version->major,
                                  r->session.facts.timeline};
    TRY(prove_archiving(r, err));
    crash_point("backup-proved");
    r->data_fd = open(r->session.facts.data_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->data_fd < 0)
        return err_sys(err, "data directory \"%s\"", r->session.facts.data_directory);
    TRY(base_choose(r, err));
    TRY(announce(r, err));
    crash_point("backup-announced");
    TRY(announce_wal(r, err));
    r->made->pub.start_us = clock_now_us();
    TRY(start_backup_mode(r, err));
    crash_point("backup-started");
    TRY(base_changes(r, err));
    TRY(scan(r, err));
    crash_point("backup-listed");
    TRY(copy(r, err));
    crash_point("backup-copied");
    TRY(stop_backup_mode(r, err));
    crash_point("backup-stopped");
    TRY(store_everything(r, err));
    crash_point("backup-stored");
    TRY(run_describe(r, err));
    TRY(base_check_end(r, &r->made->pub, err));
    TRY(wait_for_wal(r, err));
    crash_point("backup-complete");
    return commit(r, err);
}

struct verdict {
    bool unfit, harm;
    char *alarm; /* the caller's */
};

static int attempt(const struct backup_request *q, bool only_full, struct verdict *verdict,
                   struct backup_made *made, struct err *err)
{
    struct run r = {
        .q = q,
        .made = made,
        .only_full = only_full,
        .lock = LOCK_FILE_INIT,
        .data_fd = -1,
        .list = {.fd = -1},
        .results = {.fd = -1, .map_fd = -1},
        .quiet = {.mode = PROGRESS_QUIET},
    };
    struct err why = {0};
    int rc;

    *made = (struct backup_made){0};
    if (gethostname(r.host, sizeof r.host - 1) != 0)
        r.host[0] = '\0';
    progress_begin(progress_of(&r), "backup", progress_of(&r)->mode);
    rc = take(&r, err);
    progress_end(progress_of(&r));
    made->warnings = r.found.warnings + r.session.warnings + atomic_load(&r.copied.bad_packs);
    if (rc != 0 && err->code == ERR_INTERRUPTED && r.lease != NULL &&
        lease_check(r.lease, &why) != 0) /* our own thread asked to stop */
        err_set(err, why.code, "%s", why.msg);
    crash_point("backup-over");
    run_close(&r);
    crash_point("backup-released");
    if (rc != 0)
        backup_made_free(made);
    *verdict = (struct verdict){rc != 0 && r.unfit, r.harm, r.alarm};
    return rc;
}

/* What the attempt that failed has stored is adopted by the full one. */
int backup_run(const struct backup_request *q, struct backup_made *made, struct err *err)
{
    struct verdict first, second;
    int rc;

    rc = attempt(q, false, &first, made, err);
    if (rc == 0 || !first.unfit) {
        free(first.alarm);
        return rc;
    }
    log_warning("%s; a full backup is taken instead", err->msg);
    err_clear(err);
    rc = attempt(q, true, &second, made, err);
    free(second.alarm);
    if (rc != 0) {
        free(first.alarm);
        return rc;
    }
    made->warnings += first.harm || first.alarm != NULL;
    made->alarm = first.alarm;
    return 0;
}

void backup_made_free(struct backup_made *m)
{
    pubinfo_free(&m->pub);
    backup_info_free(&m->info);
    free(m->alarm);
    m->alarm = NULL;
}
