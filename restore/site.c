/* site.c - looking at the place of a restore and judging it, see site.h. */
#include "restore/site.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/control.h"
#include "restore/apart.h"

/* ---- a running server ---- */

/* postmaster.pid (utils/pidfile.h): pid on line 1, "<key> <id>" of the shared memory on line 7. */
struct pid_file {
    long pid;
    int shm_id; /* -1: none */
};

static const char *line_of(const char *text, unsigned number)
{
    while (--number != 0 && text != NULL) {
        text = strchr(text, '\n');
        text = text == NULL ? NULL : text + 1;
    }
    return text;
}

static struct pid_file parse_pid_file(const char *text)
{
    struct pid_file f = {strtol(text, NULL, 10), -1};
    const char *shm = line_of(text, 7);
    char *id, *end;

    if (f.pid < 0) /* a standalone backend writes its pid negated */
        f.pid = -f.pid;
    if (shm == NULL)
        return f;
    strtoul(shm, &id, 10); /* the key */
    f.shm_id = (int)strtol(id, &end, 10);
    if (end == id)
        f.shm_id = -1;
    return f;
}

/* As PostgreSQL's own lock file: a pid that answers, or that is another user's, is alive; only "no
 * such process" is not. This process and its parent are none (after a restart of a container). */
static bool is_alive(long pid)
{
    if (pid <= 1 || pid == getpid() || pid == getppid())
        return false;
    return kill((pid_t)pid, 0) == 0 || (errno != ESRCH && errno != EPERM);
}

/* Backends may outlive a postmaster that was killed: they still hold the shared memory. */
static bool is_attached(int shm_id)
{
    struct shmid_ds info;

    return shm_id >= 0 && shmctl(shm_id, IPC_STAT, &info) == 0 && info.shm_nattch > 0;
}

int site_refuse_running(const char *dir, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    AUTO(mem_free) char *path = xasprintf("%s/postmaster.pid", dir);
    struct err why = {0};
    struct pid_file f;

    if (fs_read_file(AT_FDCWD, path, 64 << 10, &text, &why) != 0) {
        if (why.code == ERR_NOT_FOUND)
            return 0;
        *err = why;
        return -1;
    }
    f = parse_pid_file(buf_text(&text));
    if (is_alive(f.pid))
        return err_set(err, ERR_BUSY,
                       "a server is running in \"%s\" (process %ld in postmaster.pid): stop it "
                       "first; if that process is not PostgreSQL, remove the file",
                       dir, f.pid);
    if (is_attached(f.shm_id))
        return err_set(err, ERR_BUSY,
                       "the server in \"%s\" is gone, but processes of it still run (shared memory "
                       "%d is in use): stop them first",
                       dir, f.shm_id);
    return 0;
}

/* ---- looking ---- */

/* A mark alone is a restore that had not begun. What cannot be listed is not empty. */
static int count_names(int fd, const char *dir, size_t *n, struct err *err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(dir_close) DIR *d = copy < 0 ? NULL : fdopendir(copy);

    if (d == NULL) {
        fd_close(&copy);
        return err_sys(err, "cannot list directory \"%s\"", dir);
    }
    *n = 0;
    errno = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL; errno = 0)
        *n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
              strcmp(e->d_name, "lost+found") != 0 && strcmp(e->d_name, RESTORE_MARK) != 0;
    return errno == 0 ? 0 : err_sys(err, "cannot list directory \"%s\"", dir);
}

/* "system 7711222359194833641" in the mark. */
static void read_mark(int fd, struct site *s)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err ignored;
    const char *line;

    if (fs_read_file(fd, RESTORE_MARK, 4096, &text, &ignored) != 0)
        return;
    line = strstr(buf_text(&text), "system ");
    if (line == NULL)
        return;
    s->system_id = strtoull(line + strlen("system "), NULL, 10);
    s->knows_id = s->system_id != 0;
}

static void read_control(int fd, const char *path, struct site *s)
{
    struct pg_control control;
    struct err ignored;

    if (control_read(fd, path, NULL, &control, &ignored) != 0)
        return;
    s->system_id = control.system_id;
    s->knows_id = true;
}

/* Where pg_wal leads when it is a link; the text of a link that leads nowhere. */
static char *wal_link_of(int fd, const char *dir)
{
    AUTO(mem_free) char *path = xasprintf("%s/pg_wal", dir);
    char link[4096];
    ssize_t len = readlinkat(fd, "pg_wal", link, sizeof link - 1);
    char *real;

    if (len <= 0 || (size_t)len >= sizeof link - 1)
        return NULL;
    link[len] = '\0';
    real = realpath(path, NULL);
    return real != NULL ? real : xstrdup(link);
}

static void look_inside(int fd, const char *dir, struct site *s)
{
    s->wal_link = wal_link_of(fd, dir);
    s->state = SITE_OTHER;
    if (fs_exists(fd, CONTROL_PATH)) {
        s->state = SITE_CLUSTER;
        read_control(fd, CONTROL_PATH, s);
    } else if (fs_exists(fd, RESTORE_MARK) || fs_exists(fd, CONTROL_ASIDE)) {
        s->state = SITE_HALF;
        read_control(fd, CONTROL_ASIDE, s);
    } else if (fs_exists(fd, "PG_VERSION") || (fs_exists(fd, "base") && fs_exists(fd, "global"))) {
        s->state = SITE_CLUSTER; /* or the rest of one */
    }
    if (!s->knows_id)
        read_mark(fd, s);
}

int site_look(const char *dir, struct site *s, struct err *err)
{
    AUTO(fd_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t names;

    *s = (struct site){.state = SITE_ABSENT};
    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(err, "cannot open data directory \"%s\"", dir);
    TRY(site_refuse_running(dir, err));
    TRY(count_names(fd, dir, &names, err));
    s->state = SITE_EMPTY;
    if (names != 0)
        look_inside(fd, dir, s);
    return 0;
}

void site_free(struct site *s)
{
    free(s->wal_link);
    *s = (struct site){0};
}

/* ---- judging ---- */

static int check_data_dir(const struct site *s, const struct restore_request *q, const char *dir,
                          uint64_t system_id, struct err *err)
{
    if (s->state == SITE_ABSENT || s->state == SITE_EMPTY)
        return 0;
    if (s->state == SITE_OTHER)
        return err_set(err, ERR_EXISTS,
                       "directory \"%s\" is neither empty nor a PostgreSQL data directory: empty "
                       "it, or give another one with --data-dir",
                       dir);
    if (!q->force && s->knows_id && s->system_id != system_id)
        return err_set(err, ERR_FOREIGN,
                       "\"%s\" holds another cluster (system identifier %llu, the backup has "
                       "%llu): give another directory with --data-dir, or --force to replace it",
                       dir, (unsigned long long)s->system_id, (unsigned long long)system_id);
    if (!q->force && !s->knows_id)
        return err_set(err, ERR_FOREIGN,
                       "\"%s\" holds a data directory without a readable global/pg_control, so "
                       "nobody can tell whose it is: give another directory with --data-dir, or "
                       "--force to replace it",
                       dir);
    if (!q->force && !q->delta)
        return err_set(err, ERR_EXISTS,
                       "directory \"%s\" is not empty (%s): --delta keeps what is equal and "
                       "replaces the rest, --force replaces everything",
                       dir,
                       s->state == SITE_HALF ? "a restore of this cluster did not finish"
                                             : "it holds this cluster");
    return 0;
}

/* Does the present data directory use this location for this tablespace? */
static bool is_own_location(const struct layout *l, const struct root *r)
{
    AUTO(mem_free) char *link = xasprintf("%s/pg_tblspc/%u", l->roots[ROOT_DATA].dir, r->oid);
    AUTO(mem_free) char *there = realpath(link, NULL), *here = realpath(r->dir, NULL);

    return there != NULL && here != NULL && strcmp(there, here) == 0;
}

/* The location of a tablespace may be shared with other versions' directories, so only this one's
 * matters. */
static int check_location(const struct site *s, const struct restore_request *q,
                          const struct layout *l, const struct root *r, uint64_t system_id,
                          struct err *err)
{
    AUTO(mem_free) char *own = xasprintf("%s/%s", r->dir, l->version_dir);
    bool replaces = (q->delta && site_is_same(s, system_id)) || q->force;

    if (!fs_exists(AT_FDCWD, own))
        return 0;
    if (replaces && (is_own_location(l, r) || s->state == SITE_HALF || q->force))
        return 0;
    return err_set(err, ERR_EXISTS,
                   "the place of tablespace %u, \"%s\", holds a \"%s\" that is not known to be of "
                   "the cluster in \"%s\": give another one with --tablespace-map %u=DIR, or "
                   "--force to replace it",
                   r->oid, r->dir, l->version_dir, l->roots[ROOT_DATA].dir, r->oid);
}

/* A separate place for pg_wal: empty, or the one that the present cluster uses. */
static int check_wal_dir(const struct site *s, const struct layout *l, struct err *err)
{
    const char *dir = l->roots[ROOT_WAL].dir;
    AUTO(mem_free) char *real = realpath(dir, NULL);
    AUTO(fd_close) int fd = -1;
    size_t names;

    if (!l->wal_apart ||
        (s->wal_link != NULL && strcmp(s->wal_link, real != NULL ? real : dir) == 0))
        return 0;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(err, "cannot open directory \"%s\"", dir);
    TRY(count_names(fd, dir, &names, err));
    if (names != 0)
        return err_set(err, ERR_EXISTS,
                       "directory \"%s\" for the WAL is not empty, and is not the present pg_wal "
                       "of \"%s\": empty it or choose another one",
                       dir, l->roots[ROOT_DATA].dir);
    return 0;
}

int site_check(const struct site *s, const struct restore_request *q, const struct layout *l,
               uint64_t system_id, struct err *err)
{
    TRY(apart_check(l, s, err));
    TRY(check_data_dir(s, q, l->roots[ROOT_DATA].dir, system_id, err));
    TRY(check_wal_dir(s, l, err));
    for (size_t i = ROOT_TABLESPACE; i < l->n; i++)
        TRY(check_location(s, q, l, &l->roots[i], system_id, err));
    return 0;
}
