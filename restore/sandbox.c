/* sandbox.c - making and removing a sandbox, see sandbox.h; sandbox_clear.c removes abandoned ones.
 */
#include "restore/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "restore/sandbox_form.h"

enum { SOCKET_PATH_MAX = 107 };

/* ---- the mark ---- */

static void mark_text(const struct sandbox *s, const char *cluster, struct buf *out)
{
    char host[256] = "", when[40];

    gethostname(host, sizeof host - 1);
    buf_addf(out, SANDBOX_FIRST_LINE "\nhost %s\nprocess %ld\nstarted %s\ncluster %s\nsockets %s\n",
             host, (long)getpid(), clock_format_utc(clock_now_us(), when), cluster, s->sockets);
    buf_adds(out, "This directory is removed by the next \"pgbr drill\" once nobody holds the lock "
                  "on this file.\n");
}

/* The mark appears under its name locked and whole: a finder never sees it otherwise. */
static int mark_make(struct sandbox *s, const char *cluster, struct err *err)
{
    AUTO(mem_free) char *new_name = xasprintf("%s/" SANDBOX_MARK ".new", s->dir);
    AUTO(mem_free) char *name = xasprintf("%s/" SANDBOX_MARK, s->dir);
    AUTO(buf_free) struct buf text = BUF_INIT;

    s->mark = open(new_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->mark < 0)
        return err_sys(err, "cannot create \"%s\"", new_name);
    if (flock(s->mark, LOCK_EX | LOCK_NB) != 0)
        return err_sys(err, "cannot lock \"%s\"", new_name);
    mark_text(s, cluster, &text);
    TRY(fs_write_all(s->mark, text.p, text.len, new_name, err));
    if (rename(new_name, name) != 0)
        return err_sys(err, "cannot rename \"%s\"", new_name);
    return 0;
}

/* ---- making ---- */

static int make_dir(struct sandbox *s, const char *where, struct err *err)
{
    AUTO(mem_free) char *real = NULL;

    TRY(fs_mkdirs(where, 0700, err));
    real = realpath(where, NULL);
    if (real == NULL)
        return err_sys(err, "cannot resolve \"%s\"", where);
    s->dir = xasprintf("%s/" SANDBOX_PREFIX "XXXXXX", real);
    if (mkdtemp(s->dir) == NULL) {
        mem_free(&s->dir);
        return err_sys(err, "cannot create a directory in \"%s\"", real);
    }
    s->data = xasprintf("%s/data", s->dir);
    return 0;
}

/* A socket's path has 107 bytes at most, and none that takes lists apart, wherever people want
 * their sandboxes. */
static int make_sockets(struct sandbox *s, struct err *err)
{
    if (strlen(s->dir) + strlen(SANDBOX_SOCKET) <= SOCKET_PATH_MAX &&
        strpbrk(s->dir, ",\"") == NULL) {
        s->sockets = xstrdup(s->dir);
        return 0;
    }
    s->sockets = xstrdup("/tmp/" SANDBOX_PREFIX "XXXXXX");
    if (mkdtemp(s->sockets) == NULL) {
        mem_free(&s->sockets);
        return err_sys(err, "cannot create a directory for the server's socket in \"/tmp\"");
    }
    return 0;
}

/* So that a later drill with another --dir finds it too. */
static int make_note(struct sandbox *s, const char *state_dir, struct err *err)
{
    AUTO(mem_free) char *notes = xasprintf("%s/" SANDBOX_NOTES, state_dir);

    TRY(fs_mkdirs(notes, 0700, err));
    s->note = xasprintf("%s%s", notes, strrchr(s->dir, '/'));
    return fs_replace(AT_FDCWD, s->note, s->dir, strlen(s->dir), 0600, err);
}

static int make(struct sandbox *s, const char *state_dir, const char *where, const char *cluster,
                struct err *err)
{
    TRY(make_dir(s, where, err));
    TRY(make_note(s, state_dir, err));
    TRY(make_sockets(s, err));
    return mark_make(s, cluster, err);
}

int sandbox_make(struct sandbox *s, const char *state_dir, const char *where, const char *cluster,
                 struct err *err)
{
    struct err ignored = {0};

    *s = (struct sandbox)SANDBOX_INIT;
    if (make(s, state_dir, where, cluster, err) == 0)
        return 0;
    if (s->dir != NULL && sandbox_remove(s, &ignored) != 0)
        err_context(err, "%s (which is left behind)", s->dir);
    sandbox_free(s);
    return -1;
}

/* ---- the end ---- */

/* One pass may miss names, because it removes while it reads. */
static int empty_once(DIR *list, const char *dir, bool *removed, struct err *err)
{
    *removed = false;
    rewinddir(list);
    for (struct dirent *e; (e = readdir(list)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, SANDBOX_MARK) == 0)
            continue;
        if (fs_remove_tree(dirfd(list), e->d_name, false, err) != 0)
            return err_context(err, "in \"%s\"", dir);
        *removed = true;
    }
    return 0;
}

/* Everything but the mark. */
static int empty(const char *dir, struct err *err)
{
    AUTO(dir_close) DIR *list = NULL;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool removed = true;

    if (fd < 0 || (list = fdopendir(fd)) == NULL) {
        fd_close(&fd);
        return err_sys(err, "cannot list \"%s\"", dir);
    }
    while (removed)
        TRY(empty_once(list, dir, &removed, err));
    return 0;
}

int sandbox_remove_dirs(const char *dir, const char *sockets, struct err *err)
{
    AUTO(mem_free) char *mark = xasprintf("%s/" SANDBOX_MARK, dir);

    if (!fs_exists(AT_FDCWD, dir))
        return 0;
    if (sockets != NULL && strcmp(sockets, dir) != 0)
        TRY(fs_remove_tree(AT_FDCWD, sockets, false, err));
    /* The mark goes last: what is removed in part is still known for what it is. */
    TRY(empty(dir, err));
    if (unlink(mark) != 0 && errno != ENOENT)
        return err_sys(err, "cannot remove \"%s\"", mark);
    if (rmdir(dir) != 0)
        return err_sys(err, "cannot remove \"%s\"", dir);
    return 0;
}

int sandbox_remove(struct sandbox *s, struct err *err)
{
    TRY(sandbox_remove_dirs(s->dir, s->sockets, err));
    if (s->note != NULL)
        unlink(s->note);
    sandbox_free(s);
    return 0;
}

int sandbox_keep(struct sandbox *s, struct err *err)
{
    AUTO(mem_free) char *mark = xasprintf("%s/" SANDBOX_MARK, s->dir);

    if (unlink(mark) != 0)
        return err_sys(err, "cannot remove \"%s\"", mark);
    unlink(s->note);
    return 0;
}

void sandbox_free(struct sandbox *s)
{
    free(s->dir);
    free(s->data);
    free(s->sockets);
    free(s->note);
    fd_close(&s->mark);
    *s = (struct sandbox)SANDBOX_INIT;
}
