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
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backup/copy.h"
#include "backup/finish.h"
#include "backup/history.h"
#include "backup/scan.h"
#include "backup/session.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "postgres/control.h"
#include "postgres/label.h"
#include "postgres/lsn.h"
#include "postgres/timeline.h"
#include "repo/lease.h"
#include "repo/wal_object.h"
#include "wal/prove.h"

/* Everything a backup holds on to; released by run_close() on every way out. */
struct run {
    const struct backup_request *q;
    struct backup_made *made;
    struct lock_file lock;
    struct session session;
    char label[LABEL_SIZE + 1];
    struct set_identity id;
    struct lease *lease;
    struct adoption *adoption;
    struct set *set;
    struct manifest_writer *manifest;
    int data_fd;
    struct list_writer list;
    struct results results;
    struct scan_found found;
    struct copy_made copied;
    struct finished finished;
    struct pg_control control;
    int64_t control_mtime_s;
    struct progress quiet; /* counts where the caller does not want to see */
};

static struct progress *progress_of(struct run *r)
{
    return r->q->progress != NULL ? r->q->progress : &r->quiet;
}

static struct wal_place wal_place_of(const struct run *r)
{
    return (struct wal_place){r->q->repo, r->id.system_id, r->id.major, r->session.facts.wal_segsz};
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
    struct wal_place place = wal_place_of(r);
    struct pg *primary = session_primary(&r->session);

    if (primary == NULL)
        return 0; /* said already; the WAL is waited for before the commit in any case */
    return wal_prove_archiving(&place, primary, r->q->cluster->archive_timeout_ms, r->q->stop, err);
}

static struct lease_terms terms_of(const struct run *r, const char *const *adopted, size_t n)
{
    static char host[256];

    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    return (struct lease_terms){
        .id = r->id, .adopted = adopted, .n_adopted = n, .host = host, .pid = (uint32_t)getpid()};
}

/* The lease first, then what it protects: sets of interrupted attempts are named in it before they
 * are relied upon. */
static int announce(struct run *r, struct err *err)
{
    AUTO(mem_free) const char **sets = NULL;
    struct lease_terms terms = terms_of(r, NULL, 0);
    size_t n;

    TRY(label_make(r->label, SET_FULL, clock_now_us(), err));
    TRY(lease_take(&r->lease, r->q->repo, r->label, &terms, r->q->stop, err));
    crash_point("backup-leased");
    TRY(set_new(&r->set, r->q->repo, r->label, &r->id, err));
    TRY(manifest_begin(&r->manifest, r->set, err));
    TRY(adopt_open(&r->adoption, r->q->repo, &r->id, r->label, err));
    n = adopt_sets(r->adoption);
    if (n == 0)
        return 0;
    sets = xcalloc(n, sizeof *sets);
    for (size_t i = 0; i < n; i++) {
        bool intent, final_fence;

        sets[i] = adopt_set(r->adoption, i);
        terms = terms_of(r, sets, i + 1);
        TRY(lease_update(r->lease, &terms, err));
        TRY(fence_seen(r->q->repo, sets[i], &intent, &final_fence, err));
        if (intent || final_fence)
            return err_set(err, ERR_CONFLICT,
                           "the interrupted set \"%s\" is being removed; try again", sets[i]);
    }
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
    struct page_rules rules = {r->session.start_lsn, insert_lsn, &r->session};
    struct copy_request q = {
        .data_fd = r->data_fd,
        .data_dir = r->session.facts.data_directory,
        .set = r->set,
        .adoption = r->adoption,
        .list = &r->list,
        .results = &r->results,
        .check_pages = r->session.facts.checksums,
        .start_lsn = r->session.start_lsn,
        .workers = r->q->workers,
        .rate_limit = r->q->rate_limit,
        .stop = r->q->stop,
        .progress = progress_of(r),
        .tend = tend,
        .tend_ctx = &r->session,
    };

    TRY(copy_run(&q, &r->copied, err));
    TRY(suspects_settle(r->copied.suspects, r->copied.workers, r->data_fd, &rules, r->q->stop,
                        &r->made->info, &r->made->pub.page_errors, err));
    TRY(copy_control(r, &q, err));
    r->made->adopted_bytes = atomic_load(&r->copied.adopted_bytes);
    r->made->vanished = atomic_load(&r->copied.vanished);
    return packer_finish(r->copied.packer, err);
}

/* ---- after ---- */

static void put_setting(struct backup_info *info, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    backup_info_setting(info, name, text);
}

static void describe_settings(struct backup_info *info, const struct pg_facts *f)
{
    char key[32];

    backup_info_setting(info, "data_directory", f->data_directory);
    backup_info_setting(info, "config_file", f->config_file);
    backup_info_setting(info, "hba_file", f->hba_file);
    backup_info_setting(info, "ident_file", f->ident_file);
    backup_info_setting(info, "TimeZone", f->time_zone);
    backup_info_setting(info, "log_timezone", f->log_time_zone);
    backup_info_setting(info, "wal_level", f->wal_level);
    backup_info_setting(info, "archive_mode", f->archive_mode);
    put_setting(info, "server_version_num", f->version_num);
    put_setting(info, "max_connections", f->max_connections);
    put_setting(info, "max_worker_processes", f->max_worker_processes);
    put_setting(info, "max_wal_senders", f->max_wal_senders);
    put_setting(info, "max_prepared_transactions", f->max_prepared_transactions);
    put_setting(info, "max_locks_per_transaction", f->max_locks_per_transaction);
    for (size_t i = 0; i < f->tablespace_count; i++) { /* so that a restore can map them by name */
        snprintf(key, sizeof key, "tablespace_name.%u", f->tablespaces[i].oid);
        backup_info_setting(info, key, f->tablespaces[i].name);
    }
}

static void describe_info(struct run *r)
{
    struct backup_info *info = &r->made->info;

    buf_adds(&info->backup_label, r->session.stop.label);
    buf_adds(&info->tablespace_map, r->session.stop.map);
    info->tablespaces = TAKE(r->found.tablespaces);
    info->n_tablespaces = r->found.n_tablespaces;
    info->checksums = r->session.facts.checksums;
    info->catalog_version = r->session.facts.version->catalog_version;
    info->min_recovery_lsn = r->control.min_recovery_point;
    describe_settings(info, &r->session.facts);
}

/* A standby may have followed its primary onto another timeline while it was copied. */
static int span_timelines(struct run *r, uint32_t first, uint32_t last, struct err *err)
{
    struct pubinfo *pub = &r->made->pub;
    struct wal_place place = wal_place_of(r);
    struct wal_span last_line = {.timeline = last};
    AUTO(history_free) struct history h = HISTORY_INIT;
    AUTO(buf_free) struct buf text = BUF_INIT;
    char file[32];

    if (first == last) {
        pub->spans = xcalloc(1, sizeof *pub->spans);
        pub->spans[pub->n_spans++] = (struct wal_span){first, pub->start_lsn, pub->stop_lsn};
        return 0;
    }
    /* The promoted server may not have archived it yet; the standby has it in its pg_wal. */
    TRY(history_complete(&place, r->data_fd, &last_line, 1, err));
    snprintf(file, sizeof file, "%08X.history", last);
    TRY(wal_object_get(r->q->repo, r->id.system_id, r->id.major, file, HISTORY_MAX_BYTES, 1, &text,
                       err));
    TRY(history_parse(last, text.p, text.len, &h, err));
    pub->spans = xcalloc(h.count, sizeof *pub->spans);
    for (size_t i = 0; i < h.count; i++) {
        const struct history_entry *e = &h.entries[i];
        uint64_t from = MAX_OF(e->begin, pub->start_lsn), to = MIN_OF(e->end, pub->stop_lsn);

        if (from < to)
            pub->spans[pub->n_spans++] = (struct wal_span){e->tli, from, to};
    }
    if (pub->n_spans == 0 || pub->spans[0].timeline != first)
        return err_set(err, ERR_FAILED, "timeline %u, on which the backup began, is not in \"%s\"",
                       first, file);
    return 0;
}

static int describe_pub(struct run *r, struct err *err)
{
    const struct pg_facts *f = &r->session.facts;
    struct pubinfo *pub = &r->made->pub;
    struct backup_label label;
    struct lease_terms terms = terms_of(r, NULL, 0);
    uint32_t last_tli;

    TRY(backup_label_parse(r->session.stop.label, strlen(r->session.stop.label), &label, err));
    memcpy(pub->label, r->label, sizeof pub->label);
    pub->type = BACKUP_FULL;
    pub->cluster = xstrdup(r->q->cluster->name);
    pub->instance =
        xstrdup(r->q->cluster->instance != NULL ? r->q->cluster->instance : r->q->cluster->name);
    pub->host = xstrdup(terms.host);
    pub->tool = xstrdup("pgbr " PGBR_VERSION);
    pub->system_id = r->id.system_id;
    pub->pg_version = (uint32_t)f->version_num;
    pub->start_lsn = label.start_lsn;
    pub->stop_lsn = r->session.stop.stop_lsn;
    pub->page_size = f->block_size;
    pub->wal_segment_size = f->wal_segsz;
    pub->from_standby = f->in_recovery;
    pub->files = r->finished.files;
    pub->raw_bytes = r->finished.bytes;
    last_tli = label.tli;
    if (f->in_recovery && r->control.min_recovery_point != 0) {
        pub->stop_lsn = MAX_OF(pub->stop_lsn, r->control.min_recovery_point);
        last_tli = MAX_OF(last_tli, r->control.min_recovery_tli);
    }
    pub->timeline = last_tli;
    return span_timelines(r, label.tli, last_tli, err);
}

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
    struct wal_place place = wal_place_of(r);
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
    TRY(announce(r, err));
    crash_point("backup-announced");
    r->data_fd = open(r->session.facts.data_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->data_fd < 0)
        return err_sys(err, "data directory \"%s\"", r->session.facts.data_directory);
    r->made->pub.start_us = clock_now_us();
    TRY(start_backup_mode(r, err));
    crash_point("backup-started");
    TRY(scan(r, err));
    crash_point("backup-listed");
    TRY(copy(r, err));
    crash_point("backup-copied");
    TRY(stop_backup_mode(r, err));
    crash_point("backup-stopped");
    TRY(store_everything(r, err));
    crash_point("backup-stored");
    TRY(describe_pub(r, err));
    describe_info(r);
    TRY(wait_for_wal(r, err));
    crash_point("backup-complete");
    return commit(r, err);
}

static void run_close(struct run *r)
{
    struct err err = {0};

    session_close(&r->session); /* also ends backup mode on the server */
    if (r->lease != NULL && lease_release(&r->lease, &err) != 0)
        log_warning("the lease of set %s was not released: %s", r->label, err.msg);
    copy_made_free(&r->copied);
    manifest_abandon(&r->manifest);
    adopt_free(&r->adoption);
    set_free(&r->set);
    list_free(&r->list);
    results_free(&r->results);
    finished_free(&r->finished);
    for (uint32_t i = 0; r->found.tablespaces != NULL && i < r->found.n_tablespaces; i++)
        free(r->found.tablespaces[i].location);
    free(r->found.tablespaces);
    fd_close(&r->data_fd);
    lock_release(&r->lock);
}

int backup_run(const struct backup_request *q, struct backup_made *made, struct err *err)
{
    struct run r = {
        .q = q,
        .made = made,
        .lock = LOCK_FILE_INIT,
        .data_fd = -1,
        .list = {.fd = -1},
        .results = {.fd = -1, .map_fd = -1},
        .quiet = {.mode = PROGRESS_QUIET},
    };
    struct err why = {0};
    int rc;

    *made = (struct backup_made){0};
    progress_begin(progress_of(&r), "backup", progress_of(&r)->mode);
    rc = take(&r, err);
    progress_end(progress_of(&r));
    made->warnings = r.found.warnings;
    if (rc != 0 && err->code == ERR_INTERRUPTED && r.lease != NULL &&
        lease_check(r.lease, &why) != 0) /* our own thread asked to stop */
        err_set(err, why.code, "%s", why.msg);
    crash_point("backup-over");
    run_close(&r);
    crash_point("backup-released");
    if (rc != 0)
        backup_made_free(made);
    return rc;
}

void backup_made_free(struct backup_made *m)
{
    pubinfo_free(&m->pub);
    backup_info_free(&m->info);
}
