/* fetch.c - see fetch.h. */
#include "restore/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "postgres/control.h"
#include "postgres/relfile.h"
#include "restore/cut.h"
#include "restore/delta.h"
#include "restore/owner.h"
#include "restore/site.h"
#include "restore/stray.h"
#include "restore/target_file.h"
#include "restore/write.h"

/* Twice as many threads as workers: one decodes while the other waits for its write. */
enum { PAGE_BYTES = 8192, QUEUE_TASKS = 24, THREADS_PER_WORKER = 2, THREADS_MAX = 128 };

struct fetch {
    const struct fetch_terms *t;
    struct write_terms write;
    struct queue *queue;
    struct cutter *cutter;
    struct sweep *sweep; /* delta only */
    struct dir_cache dir;
    struct owner_memory owners;
    struct fetch_done *done;
    int64_t shown_us;
    pthread_mutex_t lock; /* of count, which workers add to when they end */
    struct write_count count;
    pthread_mutex_t parsing; /* see chunks_new() */
};

/* ---- workers ---- */

static int work(void *ctx, unsigned index, struct err *err)
{
    struct fetch *f = ctx;
    AUTO(writer_free) struct writer *w = NULL;
    void *item;

    (void)index;
    TRY(writer_new(&w, &f->write, err));
    while (queue_pop(f->queue, &item)) {
        AUTO(task_free) struct task *task = item;
        TRY(writer_do(w, task, err));
    }
    pthread_mutex_lock(&f->lock);
    f->count.fetched += writer_count(w)->fetched;
    f->count.kept += writer_count(w)->kept;
    pthread_mutex_unlock(&f->lock);
    return 0;
}

static void give_up(void *ctx)
{
    struct fetch *f = ctx;
    queue_cancel(f->queue);
}

/* For cut.h: false when the workers have failed. */
static bool hand_over(void *ctx, struct task *task)
{
    struct fetch *f = ctx;

    if (queue_push(f->queue, task))
        return true;
    task_free(&task);
    return false;
}

/* ---- directories and links ---- */

static int parent_of(struct fetch *f, unsigned root, const char *rel, int *fd, const char **name,
                     struct err *err)
{
    return dir_cache_parent(&f->dir, f->t->layout, root, rel, fd, name, err);
}

/* A directory must let its owner in while files are put there, and PostgreSQL's all do. */
static int fit_dir(struct fetch *f, const struct entry *e, int dirfd, const char *name,
                   struct err *err)
{
    AUTO(fd_close)
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    uid_t uid;
    gid_t gid;

    if (fd < 0 || fchmod(fd, (e->mode & 07777) | 0700) != 0)
        return err_sys(err, "cannot set the mode of directory \"%s\"", e->path);
    owner_of(&f->owners, e, &uid, &gid);
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) != 0)
        return err_sys(err, "cannot change the owner of directory \"%s\"", e->path);
    return 0;
}

static int make_dir(struct fetch *f, const struct entry *e, unsigned root, const char *rel,
                    enum found found, struct err *err)
{
    const char *name;
    int fd;

    if (*rel == '\0')
        return root == ROOT_DATA ? fit_dir(f, e, f->t->layout->roots[root].fd, ".", err) : 0;
    TRY(parent_of(f, root, rel, &fd, &name, err));
    if (found != FOUND_DIR && mkdirat(fd, name, (e->mode & 07777) | 0700) != 0 && errno != EEXIST)
        return err_sys(err, "cannot create directory \"%s\" in \"%s\"", rel,
                       f->t->layout->roots[root].dir);
    if (root == ROOT_CONFIG || (found != FOUND_DIR && geteuid() != 0))
        return 0;
    return fit_dir(f, e, fd, name, err);
}

/* The root of the tablespace that the link leads to; 0: it leads elsewhere. */
static unsigned tablespace_of(const struct fetch *f, const char *rel)
{
    static const char tblspc[] = "pg_tblspc/";

    if (strncmp(rel, tblspc, sizeof tblspc - 1) != 0)
        return 0;
    return layout_tablespace(f->t->layout, oid_parse(rel + sizeof tblspc - 1));
}

static int leave_out(struct fetch *f, const struct entry *e, int fd, const char *name,
                     enum found found, struct err *err)
{
    buf_addf(&f->done->left_out, "\"%s\" to \"%s\"\n", e->path, e->target);
    if (found == FOUND_LINK && unlinkat(fd, name, 0) != 0)
        return err_sys(err, "cannot remove the link \"%s\"", e->path);
    return 0;
}

/* Links to tablespaces lead to where they are now, all others to where they always did. */
static int make_link(struct fetch *f, const struct entry *e, unsigned root, const char *rel,
                     enum found found, struct err *err)
{
    unsigned tablespace = root == ROOT_DATA ? tablespace_of(f, rel) : 0;
    const char *target = tablespace != 0 ? f->t->layout->roots[tablespace].dir : e->target, *name;
    char now[4096];
    ssize_t len;
    uid_t uid;
    gid_t gid;
    int fd;

    if (target == NULL || target[0] == '\0')
        return err_set(err, ERR_CORRUPT, "the backup's link \"%s\" leads nowhere", e->path);
    TRY(parent_of(f, root, rel, &fd, &name, err));
    if (tablespace == 0 && stray_link(f->t->layout, root, rel, target))
        return leave_out(f, e, fd, name, found, err);
    if (found == FOUND_LINK) {
        len = readlinkat(fd, name, now, sizeof now);
        if (len == (ssize_t)strlen(target) && memcmp(now, target, (size_t)len) == 0)
            return 0;
        if (unlinkat(fd, name, 0) != 0)
            return err_sys(err, "cannot replace the link \"%s\"", e->path);
    }
    if (symlinkat(target, fd, name) != 0)
        return err_sys(err, "cannot create the link \"%s\" to \"%s\"", e->path, target);
    owner_of(&f->owners, e, &uid, &gid);
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) &&
        fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, "cannot change the owner of the link \"%s\"", e->path);
    return 0;
}

/* ---- files ---- */

/* In backup_manifest, where a file from outside the data directory has the place it now gets. */
static int list_file(struct fetch *f, const struct entry *e, unsigned root, struct late_crc **crc,
                     struct err *err)
{
    AUTO(mem_free) char *outside = NULL;
    const char *path = strchr(e->path, '/');
    uint64_t at;

    if (f->t->listing == NULL || root == ROOT_WAL || path == NULL)
        return 0;
    path++;
    if (root == ROOT_CONFIG)
        path = outside = xasprintf(CONFIG_DIR "/%s", path);
    if (!e->crc_unknown || e->place == PLACE_EMPTY)
        return pgmanifest_add(f->t->listing, path, e->size, e->mtime_s, e->crc32c, err);
    TRY(pgmanifest_add_later(f->t->listing, path, e->size, e->mtime_s, &at, err));
    *crc = late_crc_new(f->t->listing, at, cut_parts(e));
    return 0;
}

/*
 * New files are made here, not by the workers: those would only wait for each other, since one
 * directory takes one new name at a time. An empty file needs no worker at all.
 */
static int make_file(struct fetch *f, struct cut_file *file, struct err *err)
{
    struct file_wish wish = {file->entry->mode & 07777, file->uid, file->gid, false, false};
    const char *name;
    int fd;

    if (file->exists || (wish.mode & S_IWUSR) == 0)
        return 0;
    TRY(parent_of(f, file->root, file->rel, &fd, &name, err));
    TRY(target_make(fd, name, file->rel, &wish, err));
    file->made = true;
    return 0;
}

static void count_empty(struct fetch *f)
{
    if (f->t->progress != NULL)
        atomic_fetch_add_explicit(&f->t->progress->files_done, 1, memory_order_relaxed);
}

static int add_file(struct fetch *f, const struct entry *e, unsigned root, const char *rel,
                    enum found found, struct err *err)
{
    struct cut_file file = {.entry = e, .root = root, .rel = rel, .exists = found == FOUND_FILE};
    AUTO(late_crc_drop) struct late_crc *crc = NULL;

    if (root == ROOT_DATA && strcmp(rel, CONTROL_PATH) == 0)
        file.rel = CONTROL_ASIDE;
    owner_of(&f->owners, e, &file.uid, &file.gid);
    if (root == ROOT_CONFIG)
        file.uid = (uid_t)-1, file.gid = (gid_t)-1;
    f->done->files++;
    TRY(list_file(f, e, root, &crc, err));
    file.crc = crc;
    TRY(make_file(f, &file, err));
    if (file.made && e->place == PLACE_EMPTY && e->size == 0) {
        count_empty(f);
        return 0;
    }
    return cutter_add(f->cutter, &file, err);
}

/* ---- the walk ---- */

static void show_progress(struct fetch *f)
{
    int64_t now;

    if (f->t->progress == NULL)
        return;
    now = clock_monotonic_us();
    if (now - f->shown_us < 1000000)
        return;
    f->shown_us = now;
    progress_show(f->t->progress);
}

static int visit(struct fetch *f, const struct entry *e, struct err *err)
{
    enum found found = FOUND_NOTHING;
    unsigned root;
    const char *rel;

    TRY(layout_place(f->t->layout, e->path, &root, &rel, err));
    if (f->sweep != NULL)
        TRY(sweep_visit(f->sweep, e, root, rel, &found, err));
    switch (e->type) {
    case ENTRY_DIR:
        if (root == ROOT_DATA && strcmp(rel, "pg_wal") == 0) /* made before, perhaps as a link */
            return fit_dir(f, e, f->t->layout->roots[ROOT_WAL].fd, ".", err);
        return make_dir(f, e, root, rel, found, err);
    case ENTRY_LINK:
        return make_link(f, e, root, rel, found, err);
    case ENTRY_FILE:
        return add_file(f, e, root, rel, found, err);
    }
    return err_set(err, ERR_CORRUPT, "the backup's entry \"%s\" is of unknown type %d", e->path,
                   (int)e->type);
}

static int walk(struct fetch *f, struct err *err)
{
    AUTO(entry_walk_end) struct entry_walk *entries = NULL;
    struct entry e;
    int more;

    TRY(entry_walk_begin(&entries, f->t->manifest, err));
    while ((more = entry_walk_next(entries, &e, err)) == 1) {
        TRY(stop_check(f->t->stop, err));
        show_progress(f);
        TRY(visit(f, &e, err));
    }
    if (more != 0)
        return -1;
    if (f->sweep != NULL)
        TRY(sweep_finish(f->sweep, err));
    return cutter_finish(f->cutter, err);
}

/* When the workers failed, theirs is the error to tell; else the walk's own. */
static int run(struct fetch *f, struct err *err)
{
    struct workers *workers = NULL;
    struct err theirs = {0};
    unsigned n = MIN_OF(MAX_OF(f->t->workers, 1u) * THREADS_PER_WORKER, (unsigned)THREADS_MAX);
    int result;

    TRY(workers_start(&workers, n, work, f, give_up, err));
    result = walk(f, err);
    if (result == 0)
        queue_close(f->queue);
    else
        queue_cancel(f->queue);
    while (workers_running(workers)) {
        show_progress(f);
        clock_sleep_ms(5);
    }
    if (workers_join(&workers, &theirs) == 0)
        return result;
    *err = theirs;
    return -1;
}

static void fetch_close(struct fetch *f)
{
    cutter_free(&f->cutter);
    sweep_free(&f->sweep);
    queue_free(&f->queue);
    dir_cache_free(&f->dir);
    owner_free(&f->owners);
    pthread_mutex_destroy(&f->lock);
    pthread_mutex_destroy(&f->parsing);
}

int fetch_all(const struct fetch_terms *t, struct fetch_done *done, struct err *err)
{
    struct fetch f = {.t = t,
                      .write = {t->repo, t->manifest, t->layout, t->stop, t->progress, NULL},
                      .dir = DIR_CACHE_INIT,
                      .done = done,
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .parsing = PTHREAD_MUTEX_INITIALIZER};
    mode_t mask;
    int result;

    *done = (struct fetch_done){0};
    if (manifest_pub(t->manifest)->page_size != PAGE_BYTES)
        return err_set(err, ERR_UNSUPPORTED,
                       "the backup has pages of %u bytes, this version of pgbr restores %d",
                       manifest_pub(t->manifest)->page_size, PAGE_BYTES);
    mask = umask(0); /* files get their mode when they are made */
    f.write.parsing = &f.parsing;
    f.queue = queue_new(QUEUE_TASKS, task_drop);
    f.cutter = cutter_new(t->manifest, t->layout, hand_over, &f);
    f.sweep = t->delta ? sweep_new(t->layout) : NULL;
    result = run(&f, err);
    umask(mask);
    done->bytes_fetched = f.count.fetched;
    done->bytes_kept = f.count.kept;
    done->files_removed = f.sweep == NULL ? 0 : sweep_removed(f.sweep);
    done->owner_lost = f.owners.lost;
    fetch_close(&f);
    return result;
}
