/* run_record.c - see run_record.h. */
#include "cli/run_record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

enum { TELL_EVERY_US = 5000000, UNFINISHED_MAX = 100 };

static void own_host(char host[65])
{
    if (gethostname(host, 64) != 0)
        host[0] = '\0';
    host[64] = '\0';
}

static bool is_here(const struct catalog_run *run, const char *host)
{
    return run->host != NULL && strcmp(run->host, host) == 0;
}

/* Ended, and whoever started it has not taken note yet. */
static bool is_zombie(pid_t pid)
{
    AUTO(buf_free) struct buf stat = BUF_INIT;
    AUTO(mem_free) char *path = xasprintf("/proc/%d/stat", (int)pid);
    const char *name_end;
    struct err ignored;

    if (fs_read_file(AT_FDCWD, path, FS_ALIGN, &stat, &ignored) != 0)
        return false;
    name_end = strrchr(buf_text(&stat), ')'); /* "4711 (any name) Z ..." */
    return name_end != NULL && strncmp(name_end, ") Z", 3) == 0;
}

/* A process of that number; after a restart of the host it may be another one. */
static bool is_alive(const struct catalog_run *run)
{
    pid_t pid = (pid_t)run->pid;

    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM) && !is_zombie(pid);
}

static void end_dead_ones(struct catalog *c, const char *host)
{
    AUTO(catalog_runs_free) struct catalog_runs runs = {0};
    struct err err = {0};

    if (catalog_get_runs(c, NULL, true, UNFINISHED_MAX, &runs, &err) != 0) {
        log_debug("%s", err.msg);
        return;
    }
    for (size_t i = 0; i < runs.n; i++) {
        struct catalog_run *run = &runs.rows[i];

        if (!is_here(run, host) || is_alive(run))
            continue;
        run->message = "ended without a word: it was killed, or the host went down";
        run->exit_status = EXIT_FAILED;
        if (catalog_run_finish(c, run, &err) != 0)
            log_debug("%s", err.msg);
    }
}

static void take_progress(struct run_record *r)
{
    struct progress *p = r->progress;

    if (p == NULL)
        return;
    r->row.bytes_done = atomic_load(&p->bytes_done);
    r->row.bytes_total = atomic_load(&p->bytes_total);
    r->row.files_done = atomic_load(&p->files_done);
    r->row.files_total = atomic_load(&p->files_total);
    r->row.bytes_stored = atomic_load(&p->bytes_stored);
}

static void tell(void *ctx, struct progress *p)
{
    struct run_record *r = ctx;
    int64_t now = clock_monotonic_us();
    struct err err = {0};

    (void)p;
    if (now - r->told_us < TELL_EVERY_US)
        return;
    r->told_us = now;
    take_progress(r);
    if (catalog_run_progress(r->catalog, &r->row, &err) != 0)
        log_debug("%s", err.msg);
}

void run_record_begin(struct run_record *r, struct app *app, const struct cluster_config *cluster,
                      const char *repo, struct progress *progress)
{
    struct err err = {0};

    *r = (struct run_record){.progress = progress};
    own_host(r->host);
    r->catalog = app_catalog(app);
    if (r->catalog == NULL)
        return;
    r->row = (struct catalog_run){.job = getenv("PGBR_JOB"),
                                  .command = app->command->name,
                                  .cluster = cluster->name,
                                  .repo = repo,
                                  .instance = cluster->instance,
                                  .host = r->host};
    end_dead_ones(r->catalog, r->host);
    if (catalog_run_begin(r->catalog, &r->row, &r->row.id, &err) != 0) {
        log_warning("this run is not recorded: %s", err.msg);
        catalog_close(&r->catalog);
    } else if (progress != NULL) {
        progress->tell = tell;
        progress->tell_ctx = r;
    }
}

void run_record_end(struct run_record *r, const struct app *app, int rc, const char *label,
                    const struct err *err)
{
    struct err why = {0};

    if (r->progress != NULL)
        r->progress->tell = NULL;
    if (r->catalog == NULL)
        return;
    take_progress(r);
    r->row.exit_status = rc == 0                                             ? app->status
                         : err->code == ERR_USAGE || err->code == ERR_CONFIG ? EXIT_WRONG_USE
                                                                             : EXIT_FAILED;
    r->row.label = label;
    r->row.message = rc == 0 ? NULL : err->msg;
    if (catalog_run_finish(r->catalog, &r->row, &why) != 0)
        log_warning("the end of this run is not recorded: %s", why.msg);
    catalog_close(&r->catalog);
}

static void show_run(const struct catalog_run *run, struct buf *out)
{
    char when[40], done[24], total[24];

    buf_addf(out, "  running: %s into repository \"%s\", process %lld, since %s", run->command,
             run->repo != NULL ? run->repo : "?", (long long)run->pid,
             clock_format_utc(run->started_us / 1000000 * 1000000, when));
    if (run->bytes_total != 0)
        buf_addf(out, ", %s of %s", format_bytes(run->bytes_done, done),
                 format_bytes(run->bytes_total, total));
    buf_adds(out, "\n");
}

void run_record_show(struct catalog *c, const char *cluster, struct buf *out)
{
    AUTO(catalog_runs_free) struct catalog_runs runs = {0};
    struct err err = {0};
    char host[65];

    own_host(host);
    if (catalog_get_runs(c, cluster, true, UNFINISHED_MAX, &runs, &err) != 0) {
        log_debug("%s", err.msg);
        return;
    }
    for (size_t i = 0; i < runs.n; i++)
        if (is_here(&runs.rows[i], host) && is_alive(&runs.rows[i]))
            show_run(&runs.rows[i], out);
}
