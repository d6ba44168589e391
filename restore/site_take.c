/* site_take.c - taking a data directory and giving it back, see site.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fs.h"
#include "base/mem.h"
#include "postgres/control.h"
#include "restore/delta.h"
#include "restore/site.h"

/* Two restores into one directory would destroy each other's work. The lock is the directory's own,
 * so that nothing is left behind. */
static int lock_dir(int fd, const char *dir, struct err *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK
               ? err_set(err, ERR_BUSY, "another restore is at work in \"%s\"", dir)
               : err_sys(err, "cannot lock directory \"%s\"", dir);
}

/*
 * In a new directory the mark is made under its own name, so that a crash leaves nothing there but
 * that (empty perhaps, which says nothing and is taken for an empty directory). A mark that is
 * there already is only ever replaced whole.
 */
static int put_mark(int fd, const struct buf *text, struct err *err)
{
    AUTO(fd_close)
    int file = openat(fd, RESTORE_MARK, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (file < 0 && errno == EEXIST)
        return fs_replace(fd, RESTORE_MARK, text->p, text->len, 0600, err);
    if (file < 0)
        return err_sys(err, "cannot create \"" RESTORE_MARK "\"");
    crash_point("restore-empty-mark");
    TRY(fs_write_all(file, text->p, text->len, RESTORE_MARK, err));
    if (fsync(file) != 0)
        return err_sys(err, "cannot fsync \"" RESTORE_MARK "\"");
    return fs_sync_dir(fd, ".", err);
}

static int leave_mark(int fd, const struct pubinfo *pub, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;

    buf_addf(&text,
             "A restore is under way here, or was broken off: continue it with pgbr restore "
             "--delta.\nbackup %s\nsystem %llu\n",
             pub->label, (unsigned long long)pub->system_id);
    return put_mark(fd, &text, err);
}

static int unlink_if_there(int fd, const char *name, const char *dir, struct err *err)
{
    if (unlinkat(fd, name, 0) != 0 && errno != ENOENT && errno != ENOTDIR)
        return err_sys(err, "cannot remove \"%s/%s\"", dir, name);
    return 0;
}

/* pg_control first, durably: from here on nothing starts. Then what the restore writes anew at its
 * end, and what a server left behind. */
static int make_unstartable(int fd, const char *dir, struct err *err)
{
    static const char *const gone[] = {"backup_label",    "tablespace_map", "backup_manifest",
                                       "recovery.signal", "standby.signal", "postmaster.pid",
                                       "postmaster.opts"};
    AUTO(fd_close)
    int global = openat(fd, "global", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (global >= 0) {
        TRY(unlink_if_there(global, "pg_control", dir, err));
        crash_point("restore-uncontrolled");
        TRY(fs_sync_dir(global, ".", err));
        TRY(unlink_if_there(global, "pg_control.pgbr", dir, err));
    }
    for (size_t i = 0; i < LENGTH(gone); i++)
        TRY(unlink_if_there(fd, gone[i], dir, err));
    return 0;
}

/* All names of a directory but those that stay; a tablespace's location inside it stays too. */
static int empty_data_dir(int fd, const struct layout *l, struct err *err)
{
    const char *dir = l->roots[ROOT_DATA].dir;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(dir_close) DIR *d = copy < 0 ? NULL : fdopendir(copy);
    int result = 0;

    if (d == NULL) {
        fd_close(&copy);
        return err_sys(err, "cannot list directory \"%s\"", dir);
    }
    errno = 0;
    for (struct dirent *e; result == 0 && (e = readdir(d)) != NULL; errno = 0) {
        AUTO(mem_free) char *path = xasprintf("%s/%s", dir, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || sweep_spares(e->d_name))
            continue;
        if (layout_protects(l, path) && strcmp(path, l->roots[ROOT_CONFIG].dir) != 0)
            continue;
        result = fs_remove_tree(fd, e->d_name, false, err);
    }
    if (result == 0 && errno != 0)
        result = err_sys(err, "cannot list it");
    return result == 0 ? 0 : err_context(err, "cannot empty \"%s\"", dir);
}

static int empty_all(int fd, const struct layout *l, struct err *err)
{
    TRY(empty_data_dir(fd, l, err));
    for (size_t i = ROOT_TABLESPACE; i < l->n; i++) {
        AUTO(mem_free) char *own = xasprintf("%s/%s", l->roots[i].dir, l->version_dir);
        TRY(fs_remove_tree(AT_FDCWD, own, false, err));
    }
    return 0;
}

int site_lock(const struct layout *l, int *fd, struct err *err)
{
    const char *dir = l->roots[ROOT_DATA].dir;

    TRY(fs_mkdirs(dir, 0700, err));
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return err_sys(err, "cannot open directory \"%s\"", dir);
    TRY(lock_dir(*fd, dir, err));
    return site_refuse_running(dir, err); /* it may have been started since it was looked at */
}

int site_take(const struct layout *l, const struct site *s, const struct pubinfo *pub, bool delta,
              int fd, struct err *err)
{
    TRY(leave_mark(fd, pub, err));
    crash_point("restore-marked");
    TRY(make_unstartable(fd, l->roots[ROOT_DATA].dir, err));
    crash_point("restore-unstartable");
    if (!delta && s->state != SITE_ABSENT && s->state != SITE_EMPTY)
        TRY(empty_all(fd, l, err));
    return 0;
}

/* ---- the end ---- */

static int sync_roots(const struct layout *l, struct err *err)
{
    AUTO(mem_free) dev_t *seen = xcalloc(l->n, sizeof *seen);
    size_t n = 0, k;

    for (size_t i = 0; i < l->n; i++) {
        struct stat st;
        if (l->roots[i].fd < 0)
            continue;
        if (fstat(l->roots[i].fd, &st) != 0)
            return err_sys(err, "cannot stat \"%s\"", l->roots[i].dir);
        for (k = 0; k < n && seen[k] != st.st_dev; k++)
            ;
        if (k < n)
            continue;
        seen[n++] = st.st_dev;
        TRY(fs_sync_filesystem(l->roots[i].fd, l->roots[i].dir, err));
    }
    return 0;
}

int site_release(const struct layout *l, struct err *err)
{
    int fd = l->roots[ROOT_DATA].fd;
    const char *dir = l->roots[ROOT_DATA].dir;

    crash_point("restore-unsynced");
    TRY(sync_roots(l, err));
    crash_point("restore-synced");
    /* Until the rename pg_control.pgbr says what the mark said. */
    TRY(unlink_if_there(fd, RESTORE_MARK, dir, err));
    TRY(fs_sync_dir(fd, ".", err));
    crash_point("restore-unmarked");
    if (renameat(fd, CONTROL_ASIDE, fd, CONTROL_PATH) != 0)
        return err_sys(err, "cannot rename \"%s/" CONTROL_ASIDE "\" to \"pg_control\"", dir);
    crash_point("restore-startable");
    return fs_sync_dir(fd, "global", err);
}
