/*
 * restore.c - the story of a restore, see restore.h.
 *
 * restore_prepare() only looks. restore_run() first saves what must not be lost (old WAL), then
 * makes the directory unstartable, writes everything, and makes it startable as its last step.
 */
#include "restore/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/lease/lease.h"
#include "repo/object/names.h"
#include "restore/fetch.h"
#include "restore/job.h"
#include "wal/archive/pin.h"

void restore_job_free(struct restore_job **job)
{
    struct restore_job *j = TAKE(*job);
    struct err ignored = {0};

    if (j == NULL)
        return;
    if (j->lease != NULL && lease_release(&j->lease, &ignored) != 0)
        log_debug("the lease of this restore could not be released: %s", ignored.msg);
    layout_free(&j->layout);
    site_free(&j->site);
    manifest_close(&j->manifest);
    wal_map_free(&j->map);
    open_repos_close(&j->repos);
    free(j->config_path);
    free(j->conf_path);
    free(j);
}

void restore_plan_free(struct restore_plan *p)
{
    restore_job_free(&p->job);
    pubinfo_free(&p->backup);
    free(p->repo);
    free(p->label);
    free(p->data_dir);
    free(p->start_command);
    free(p->server_zone);
    buf_free(&p->notes);
    *p = (struct restore_plan){0};
}

/* ---- preparing ---- */

static int check_request(const struct restore_request *q, struct err *err)
{
    enum target_kind kind = q->target.kind;

    if (kind == TARGET_LATEST && !q->standby && q->action != ACTION_DEFAULT &&
        q->action != ACTION_PROMOTE)
        return err_set(err, ERR_USAGE, "--target-action needs a target to act at");
    if (q->target.exclusive && kind != TARGET_TIME && kind != TARGET_LSN && kind != TARGET_XID)
        return err_set(err, ERR_USAGE,
                       "--exclusive goes with --target-time, --target-lsn or --target-xid only");
    return 0;
}

static int find_data_dir(const struct restore_request *q, struct restore_plan *plan,
                         struct err *err)
{
    const char *dir = q->data_dir != NULL ? q->data_dir : q->cluster->data;

    if (dir == NULL)
        dir = backup_info_get(manifest_info(plan->job->manifest), "data_directory");
    if (dir == NULL || dir[0] != '/')
        return err_set(err, ERR_USAGE,
                       "where to restore to is not known: give an absolute --data-dir");
    if (dir[strspn(dir, "/")] == '\0')
        return err_set(err, ERR_USAGE, "\"/\" cannot be a data directory");
    plan->data_dir = xstrdup(dir);
    return 0;
}

/* Is there a tree of configuration files? It sorts first. */
static int look_for_config(struct restore_job *job, struct err *err)
{
    AUTO(entry_walk_end) struct entry_walk *walk = NULL;
    struct entry e;
    int more;

    TRY(entry_walk_begin(&walk, job->manifest, err));
    more = entry_walk_next(walk, &e, err);
    job->layout.has_config = more == 1 && strncmp(e.path, "config/", 7) == 0;
    return more < 0 ? -1 : 0;
}

static int look_at_place(const struct restore_request *q, struct restore_plan *plan,
                         struct err *err)
{
    struct restore_job *job = plan->job;
    const char *wal_dir = q->wal_dir;

    site_free(&job->site);
    TRY(site_look(plan->data_dir, &job->site, err));
    if (wal_dir == NULL && job->site.wal_link != NULL && job->site.wal_link[0] == '/')
        wal_dir = job->site.wal_link;
    layout_free(&job->layout);
    TRY(layout_plan(&job->layout, q, plan->data_dir, wal_dir, &plan->backup,
                    manifest_info(job->manifest), err));
    TRY(look_for_config(job, err));
    return site_check(&job->site, q, &job->layout, plan->backup.system_id, err);
}

/* What PostgreSQL would find by itself for "latest": the last of an unbroken row of histories. */
static uint32_t server_latest(const struct wal_map *m, uint32_t from)
{
    while (wal_map_history(m, from + 1) != NULL)
        from++;
    return from;
}

/*
 * The plan's timeline is written as a number, so that what was promised is what happens, even if a
 * newer one appears meanwhile. A standby shall follow its primary to new ones, unless "latest"
 * would lead it to one that this backup does not belong to.
 */
static void choose_timeline(const struct restore_request *q, struct restore_plan *plan)
{
    struct restore_job *job = plan->job;

    job->timeline = plan->reach.timeline;
    if (q->standby && q->target.kind == TARGET_LATEST && q->target.line == LINE_LATEST &&
        server_latest(job->map, plan->backup.timeline) == plan->reach.timeline)
        job->timeline = 0;
}

static int check_space(struct restore_plan *plan, struct err *err)
{
    struct restore_job *job = plan->job;
    AUTO(mem_free) char *dir = xstrdup(plan->data_dir);
    char need[24], has[24];
    uint64_t free_bytes;

    if (job->site.state == SITE_CLUSTER || job->site.state == SITE_HALF ||
        job->layout.n > ROOT_TABLESPACE)
        return 0; /* what is there is replaced, or the load is shared: nobody can tell */
    for (char *slash; !fs_exists(AT_FDCWD, dir) && (slash = strrchr(dir, '/')) != dir;)
        *slash = '\0';
    TRY(fs_free_bytes(fs_exists(AT_FDCWD, dir) ? dir : "/", &free_bytes, err));
    if (plan->bytes <= free_bytes)
        return 0;
    buf_addf(&plan->notes, "WARNING: the backup needs up to %s, \"%s\" has %s free\n",
             format_bytes(plan->bytes, need), dir, format_bytes(free_bytes, has));
    plan->warnings++;
    return 0;
}

static void add_notes(const struct restore_request *q, struct restore_plan *plan)
{
    struct restore_job *job = plan->job;
    struct recovery_terms terms = {.request = q, .target = &plan->target};
    struct buf *b = &plan->notes;

    recovery_notes(b, &terms);
    if (q->archive == RESTORE_ARCHIVE_OFF)
        buf_adds(b, "archive_mode is switched off in the result, so that it cannot archive into "
                    "the original's archive; if it takes the original's place: ALTER SYSTEM RESET "
                    "archive_mode and restart, or restore with --archive on\n");
    if (job->layout.side_copy)
        buf_addf(b,
                 "the copy has the original's port: with both on one host, start it with another "
                 "(-o \"-p PORT\"); external_pid_file, a log_directory elsewhere%s the commands of "
                 "recovery%s are reset in its postgresql.auto.conf, so that it keeps off the "
                 "original's files\n",
                 q->standby ? " and" : ",", q->standby ? "" : " and the stream from a primary");
    if (job->layout.side_copy && q->archive == RESTORE_ARCHIVE_OFF && !q->standby)
        buf_adds(b, "its subscriptions do not run (max_logical_replication_workers = 0): they "
                    "would take the changes that are the original's\n");
    if (job->layout.has_config)
        buf_addf(b, "configuration from outside the data directory is put into \"%s\"\n",
                 job->layout.roots[ROOT_CONFIG].dir);
    if (plan->reach.timeline != plan->backup.timeline)
        buf_adds(b, "recovery crosses a change of timeline: if the server stops there with \"WAL "
                    "segment has already been removed\", start it with -c hot_standby=off\n");
    if (plan->backup.page_errors != 0) {
        buf_addf(b, "WARNING: %llu pages of the backup had wrong checksums when it was taken\n",
                 (unsigned long long)plan->backup.page_errors);
        plan->warnings++;
    }
}

static struct oldwal_terms oldwal_terms(const struct restore_request *q, struct restore_plan *plan)
{
    struct restore_job *job = plan->job;

    return (struct oldwal_terms){
        .layout = &job->layout,
        .site = &job->site,
        .repos = &job->repos,
        .pub = &plan->backup,
        .force = q->force,
        .stop = q->stop,
        .notes = &plan->notes,
        .warnings = &plan->warnings,
    };
}

static int note_old_wal(const struct restore_request *q, struct restore_plan *plan, struct err *err)
{
    struct oldwal_terms terms = oldwal_terms(q, plan);
    char last[64];
    unsigned files;

    TRY(oldwal_count(&terms, &files, last, sizeof last, err));
    if (files != 0)
        buf_addf(&plan->notes,
                 "%u WAL files of the present pg_wal (up to \"%s\") are in no repository: they "
                 "are archived first\n",
                 files, last);
    return 0;
}

static void set_start_command(struct restore_plan *plan, bool tell_all)
{
    AUTO(buf_free) struct buf command = BUF_INIT;

    start_command(&plan->job->layout, &plan->backup, manifest_info(plan->job->manifest), tell_all,
                  &command);
    free(plan->start_command);
    plan->start_command = xstrdup(buf_text(&command));
}

static int describe(const struct restore_request *q, struct restore_plan *plan, struct err *err)
{
    struct restore_job *job = plan->job;
    const struct backup_info *info = manifest_info(job->manifest);
    const char *zone = backup_info_get(info, "TimeZone");

    plan->files = plan->backup.files;
    plan->bytes = plan->backup.raw_bytes;
    plan->server_zone = xstrdup(zone);
    job->conf_path = start_conf(&job->layout, info);
    job->config_path = realpath(q->config->path, NULL);
    if (job->config_path == NULL)
        return err_sys(err, "cannot resolve the configuration file \"%s\"", q->config->path);
    set_start_command(plan, false);
    choose_timeline(q, plan);
    add_notes(q, plan);
    beside_note(q, plan);
    TRY(note_old_wal(q, plan, err));
    return check_space(plan, err);
}

int restore_choose(const struct restore_request *q, struct restore_plan *plan, struct err *err)
{
    *plan = (struct restore_plan){.job = xcalloc(1, sizeof *plan->job)};
    TRY(check_request(q, err));
    TRY(config_open_repos(q->config, q->cluster, q->repo, REPO_OPEN_FULL, &plan->job->repos, err));
    return plan_choose(q, plan, err);
}

int restore_prepare(const struct restore_request *q, struct restore_plan *plan, struct err *err)
{
    TRY(restore_choose(q, plan, err));
    TRY(find_data_dir(q, plan, err));
    TRY(look_at_place(q, plan, err));
    return describe(q, plan, err);
}

/* ---- doing ---- */

/* Keeps retention from removing the backup while it is read. A repository that cannot be written
 * to from here is no reason not to restore. */
static void pin(const struct restore_plan *plan, struct lease **lease, char set[LABEL_SIZE + 1],
                struct stop *lost)
{
    struct err err = {0};
    char host[256] = "";
    struct lease_terms terms = {
        .id = {plan->backup.system_id, plan->backup.pg_version / 10000, plan->backup.timeline},
        .base = plan->label,
        .host = host,
        .pid = (uint32_t)getpid(),
    };

    gethostname(host, sizeof host - 1);
    if (label_make(set, SET_RESTORE, clock_now_us(), &err) != 0 ||
        lease_take(lease, plan->job->repo, set, &terms, lost, &err) != 0)
        log_debug("the backup is not pinned while it is restored: %s", err.msg);
}

/* Only now, when the lease is there: who expires it later sees the lease. In this order, because
 * the tombstone goes after what it hides. */
static int still_there(const struct restore_plan *plan, struct err *err)
{
    struct repo *r = plan->job->repo;
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct store_entry entry;
    bool expired;

    TRY(expired_seen(r, plan->label, &expired, err));
    if (expired)
        return err_set(err, ERR_NOT_FOUND,
                       "backup %s was expired since it was chosen; \"pgbr hold %s\" brings it back "
                       "if all of it is still there",
                       plan->label, plan->label);
    if (store_stat(repo_store(r), name_manifest(&key, repo_cluster(r), plan->label), &entry, err) ==
        0)
        return 0;
    if (err->code == ERR_NOT_FOUND)
        err_set(err, ERR_NOT_FOUND,
                "backup %s was expired and removed since it was chosen; restore again, so that "
                "another one is chosen",
                plan->label);
    return -1;
}

/* A lease that is left to age keeps the backup and its WAL for the recovery that follows; that of a
 * sandbox is renewed until the recovery is over. */
static void leave_pinned(const struct restore_request *q, struct restore_plan *plan,
                         struct lease **lease, const char *set)
{
    struct pin note = {
        .id = {plan->backup.system_id, plan->backup.pg_version / 10000, plan->backup.timeline},
        .made_us = clock_now_us(),
    };

    if (*lease == NULL)
        return;
    if (q->sandbox != NULL) {
        plan->job->lease = TAKE(*lease);
        return;
    }
    lease_drop(lease);
    snprintf(note.repo, sizeof note.repo, "%s", repo_name(plan->job->repo));
    snprintf(note.set, sizeof note.set, "%s", set);
    snprintf(note.base, sizeof note.base, "%s", plan->label);
    pin_remember(q->config->state_dir, q->cluster->name, plan->data_dir, &note);
}

static void fetch_done_free(struct fetch_done *done)
{
    buf_free(&done->left_out);
}

/* What a sandbox lacks is its own affair: it goes away. */
static void note_left_out(const struct restore_request *q, struct restore_plan *plan,
                          const struct buf *left_out)
{
    for (const char *line = left_out->p; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");

        buf_addf(&plan->notes, "%sthe link %.*s was left out: %s\n",
                 q->sandbox == NULL ? "WARNING: " : "", (int)len, line,
                 q->sandbox == NULL
                     ? "what it leads to is not in the backup, and this copy would write into it; "
                       "make a directory or another link in its place if the server needs one"
                     : "a rehearsal has no part in what it leads to");
        plan->warnings += q->sandbox == NULL;
        line += len + (line[len] != '\0');
    }
}

static int fetch(const struct restore_request *q, struct restore_plan *plan,
                 struct pgmanifest *listing, struct err *err)
{
    struct restore_job *job = plan->job;
    struct fetch_terms terms = {
        .repo = job->repo,
        .manifest = job->manifest,
        .layout = &job->layout,
        .delta = q->delta && (job->site.state == SITE_CLUSTER || job->site.state == SITE_HALF),
        .workers = q->workers,
        .stop = q->stop,
        .progress = q->progress,
        .listing = listing,
    };
    AUTO(fetch_done_free) struct fetch_done done = {0};

    TRY(fetch_all(&terms, &done, err));
    plan->files = done.files;
    plan->bytes_fetched = done.bytes_fetched;
    plan->bytes_kept = done.bytes_kept;
    plan->files_removed = done.files_removed;
    buf_text(&done.left_out);
    note_left_out(q, plan, &done.left_out);
    if (done.owner_lost)
        buf_adds(&plan->notes, "some files belonged to another user; they now belong to the one "
                               "who restored them\n");
    return 0;
}

/* A file from the backup's description rather than from its packs. */
static int put_text(int datafd, const char *name, const struct buf *text,
                    struct pgmanifest *listing, struct err *err)
{
    if (text->len == 0)
        return 0;
    TRY(fs_replace(datafd, name, text->p, text->len, recovery_file_mode(datafd), err));
    return pgmanifest_add(listing, name, text->len, clock_now_us() / 1000000,
                          crc32c(0, text->p, text->len), err);
}

static int put_labels(struct restore_plan *plan, int datafd, struct pgmanifest *listing,
                      struct err *err)
{
    const struct backup_info *info = manifest_info(plan->job->manifest);
    AUTO(buf_free) struct buf map = BUF_INIT;

    TRY(put_text(datafd, "backup_label", &info->backup_label, listing, err));
    TRY(recovery_tablespace_map(&plan->job->layout, info, plan->backup.pg_version / 10000, &map,
                                err));
    return put_text(datafd, "tablespace_map", &map, listing, err);
}

static int put_settings(const struct restore_request *q, struct restore_plan *plan, int datafd,
                        struct err *err)
{
    struct restore_job *job = plan->job;
    struct pg_control control;
    struct recovery_terms terms = {
        .request = q,
        .target = &plan->target,
        .timeline = job->timeline,
        .end_lsn = plan->target.kind == TARGET_LATEST ? 0 : plan->reach.end_lsn,
        .label = plan->label,
        .config = job->config_path,
        .layout = &job->layout,
        .control = &control,
    };
    bool names_dir = false;

    TRY(control_read(datafd, CONTROL_ASIDE, NULL, &control, err));
    if (control.system_id != plan->backup.system_id)
        return err_set(
            err, ERR_FOREIGN, "the restored pg_control has system identifier %llu, the backup %llu",
            (unsigned long long)control.system_id, (unsigned long long)plan->backup.system_id);
    TRY(recovery_write(datafd, &terms, job->conf_path, &names_dir, err));
    if (names_dir && job->layout.side_copy)
        set_start_command(plan, true);
    return 0;
}

/* Everything into the directory, which cannot be started before the last step. */
static int write_all(const struct restore_request *q, struct restore_plan *plan, int datafd,
                     struct err *err)
{
    struct restore_job *job = plan->job;
    AUTO(pgmanifest_free) struct pgmanifest *listing = NULL;

    TRY(oldwal_make_new(&job->layout, datafd, err));
    crash_point("restore-wal-dir");
    TRY(layout_open(&job->layout, err));
    TRY(pgmanifest_begin(&listing, datafd, &plan->backup, err));
    TRY(fetch(q, plan, listing, err));
    crash_point("restore-fetched");
    TRY(put_labels(plan, datafd, listing, err));
    crash_point("restore-labels");
    TRY(pgmanifest_finish(listing, err));
    crash_point("restore-listing");
    TRY(put_settings(q, plan, datafd, err));
    crash_point("restore-settings");
    return site_release(&job->layout, err);
}

/* What was just archived may lead on to where nothing led before, perhaps to a newer timeline. */
static int look_again(const struct restore_request *q, struct restore_plan *plan, struct err *err)
{
    struct restore_job *job = plan->job;
    struct reach reach;

    if (plan->target.kind != TARGET_LATEST)
        return 0;
    wal_map_free(&job->map);
    TRY(wal_map_load(&job->map, job->repo, plan->backup.system_id, plan->backup.pg_version / 10000,
                     plan->backup.wal_segment_size, err));
    TRY(target_reach(job->map, job->repo, &plan->backup, &plan->target, q->stop, &reach, err));
    if (reach.reachable)
        plan->reach = reach;
    choose_timeline(q, plan);
    return 0;
}

static int restore(const struct restore_request *q, struct restore_plan *plan, struct err *err)
{
    struct restore_job *job = plan->job;
    struct oldwal_terms old = oldwal_terms(q, plan);
    AUTO(fd_close) int datafd = -1;
    unsigned archived = 0;

    TRY(site_lock(&job->layout, &datafd, err));
    crash_point("restore-locked");
    TRY(look_at_place(q, plan, err)); /* again, now that nobody else may change it */
    TRY(oldwal_archive(&old, datafd, &archived, err));
    crash_point("restore-archived");
    if (archived != 0)
        TRY(look_again(q, plan, err));
    TRY(site_take(&job->layout, &job->site, &plan->backup, q->delta, datafd, err));
    crash_point("restore-taken");
    if (oldwal_set_aside(&old, datafd, err) == 0 && write_all(q, plan, datafd, err) == 0)
        return 0;
    if (q->sandbox == NULL)
        return err_context(err, "\"%s\" is restored in part (--delta continues)", plan->data_dir);
    return -1;
}

/* What the run had to say is logged line by line: the plan was shown before it. */
static void log_notes(const struct buf *notes, size_t from)
{
    static const char warning[] = "WARNING: ";
    const char *line = notes->p == NULL ? NULL : notes->p + from, *end;

    for (; line != NULL && (end = memchr(line, '\n', (size_t)(notes->p + notes->len - line)));
         line = end + 1) {
        if (strncmp(line, warning, sizeof warning - 1) == 0)
            log_warning("%.*s", (int)(end - line - (ptrdiff_t)sizeof warning + 1),
                        line + sizeof warning - 1);
        else
            log_info("%.*s", (int)(end - line), line);
    }
}

int restore_run(const struct restore_request *q, struct restore_plan *plan, struct err *err)
{
    struct lease *lease = NULL;
    struct err ignored = {0};
    char set[LABEL_SIZE + 1] = "";
    size_t told = plan->notes.len;
    int result;

    if (q->progress != NULL) {
        progress_begin(q->progress, "restore", q->progress->mode);
        atomic_store(&q->progress->bytes_total, plan->bytes);
        atomic_store(&q->progress->files_total, plan->files);
    }
    crash_point("restore-planned");
    pin(plan, &lease, set, &plan->job->lost);
    result = still_there(plan, err) == 0 ? restore(q, plan, err) : -1;
    if (q->progress != NULL)
        progress_end(q->progress);
    crash_point("restore-over");
    if (result == 0)
        leave_pinned(q, plan, &lease, set);
    else if (lease != NULL && lease_release(&lease, &ignored) != 0)
        log_debug("the lease of this restore could not be released: %s", ignored.msg);
    log_notes(&plan->notes, told);
    return result;
}
