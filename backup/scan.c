/*
 * scan.c - see scan.h. One directory's names are in memory at a time per level of depth, sorted by
 * bytes, which makes the walk's order the path order of the manifest.
 */
#include "backup/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/relfile.h"

struct walk {
    const struct scan_request *q;
    struct list_writer *out;
    struct scan_found *found;
    struct buf path; /* "data/base/5", with tree */
    char **inside;   /* tablespace locations that lie inside the data directory, relative to it */
    size_t n_inside;
};

/* ---- names of one directory ---- */

struct names {
    struct buf text; /* name, NUL, ... */
    const char **sorted;
    size_t n;
};

static void names_free(struct names *n)
{
    buf_free(&n->text);
    free(n->sorted);
    *n = (struct names){0};
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All names of the directory, sorted. Takes the descriptor. */
static int names_read(int fd, const char *path, struct names *out, struct err *err)
{
    DIR *dir = fdopendir(fd);
    struct dirent *e;
    size_t at = 0;

    if (dir == NULL) {
        err_sys(err, "cannot read directory \"%s\"", path);
        close(fd);
        return -1;
    }
    rewinddir(dir); /* the descriptor may be a copy of one that was read before */
    for (errno = 0; (e = readdir(dir)) != NULL; errno = 0) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        buf_add(&out->text, e->d_name, strlen(e->d_name) + 1);
        out->n++;
    }
    if (errno != 0) {
        err_sys(err, "cannot read directory \"%s\"", path);
        closedir(dir);
        return -1;
    }
    closedir(dir);
    out->sorted = xcalloc(out->n, sizeof *out->sorted);
    for (size_t i = 0; i < out->n; i++) {
        out->sorted[i] = out->text.p + at;
        at += strlen(out->sorted[i]) + 1;
    }
    qsort(out->sorted, out->n, sizeof *out->sorted, by_bytes);
    return 0;
}

/* ---- one entry ---- */

static int add(struct walk *w, enum entry_type type, const struct stat *st, const char *target,
               struct err *err)
{
    struct listed e = {
        .path = buf_text(&w->path),
        .target = target,
        .type = type,
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .size = type == ENTRY_FILE ? (uint64_t)st->st_size : 0,
        .mtime_s = st->st_mtim.tv_sec,
    };
    return list_add(w->out, &e, err);
}

static void warn(struct walk *w, const char *what)
{
    log_warning("\"%s\" is %s and is not backed up", buf_text(&w->path), what);
    w->found->warnings++;
}

/* Only the directory itself is stored; PostgreSQL expects some below pg_wal to be there. */
static int add_empty_dir(struct walk *w, const struct stat *st, const char *relative,
                         struct err *err)
{
    static const char *const below_wal[] = {"/archive_status", "/summaries"};
    struct stat as_dir = *st;
    size_t len = w->path.len;

    if (!S_ISDIR(st->st_mode))
        as_dir.st_mode = S_IFDIR | 0700;
    TRY(add(w, ENTRY_DIR, &as_dir, NULL, err));
    for (size_t i = 0; i < LENGTH(below_wal) && strcmp(relative, "pg_wal") == 0; i++) {
        if (i == 1 && w->q->version->major < 17)
            break;
        buf_adds(&w->path, below_wal[i]);
        TRY(add(w, ENTRY_DIR, &as_dir, NULL, err));
        w->path.len = len;
        buf_text(&w->path);
    }
    return 0;
}

static int read_link(int dirfd, const char *name, struct buf *target, struct err *err)
{
    char text[PATH_MAX];
    ssize_t n = readlinkat(dirfd, name, text, sizeof text);

    if (n < 0)
        return err_sys(err, "cannot read link \"%s\"", name);
    buf_clear(target);
    buf_add(target, text, (size_t)n);
    return 0;
}

static int walk_dir(struct walk *w, int fd, const char *relative, struct err *err);

static int walk_below(struct walk *w, int dirfd, const char *name, const char *relative, int flags,
                      struct err *err)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return err_sys(err, "cannot open directory \"%s/%s\"", w->q->data_dir, relative);
    return walk_dir(w, fd, relative, err);
}

static void found_tablespace(struct walk *w, uint32_t oid, const char *location)
{
    struct scan_found *f = w->found;

    f->tablespaces = xrealloc(f->tablespaces, (f->n_tablespaces + 1) * sizeof *f->tablespaces);
    f->tablespaces[f->n_tablespaces++] =
        (struct tablespace_info){.oid = oid, .location = xstrdup(location)};
}

/* pg_tblspc/<oid>: the link, and of its target only the directory of this server version. */
static int walk_tablespace(struct walk *w, int dirfd, const char *name, const char *relative,
                           const struct stat *st, struct err *err)
{
    AUTO(buf_free) struct buf target = BUF_INIT;
    AUTO(buf_free) struct buf below = BUF_INIT;
    AUTO(fd_close) int fd = -1;
    struct stat inner;
    size_t len = w->path.len;

    TRY(read_link(dirfd, name, &target, err));
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0; /* being dropped */
    if (fd < 0)
        return err_sys(err, "cannot open tablespace directory \"%s\"", buf_text(&target));
    found_tablespace(w, oid_parse(name), buf_text(&target));
    TRY(add(w, ENTRY_LINK, st, buf_text(&target), err));
    if (fstatat(fd, w->q->version->tablespace_dir, &inner, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_sys(err, "cannot read \"%s\"", buf_text(&target));
    buf_addf(&w->path, "/%s", w->q->version->tablespace_dir);
    buf_addf(&below, "%s/%s", relative, w->q->version->tablespace_dir);
    TRY(add(w, ENTRY_DIR, &inner, NULL, err));
    TRY(walk_below(w, fd, w->q->version->tablespace_dir, buf_text(&below), O_NOFOLLOW, err));
    w->path.len = len;
    return 0;
}

static bool is_tablespace_inside(const struct walk *w, const char *relative)
{
    for (size_t i = 0; i < w->n_inside; i++)
        if (strcmp(w->inside[i], relative) == 0)
            return true;
    return false;
}

static int walk_entry(struct walk *w, int dirfd, const char *dir, const char *name,
                      const char *relative, struct err *err)
{
    AUTO(buf_free) struct buf target = BUF_INIT;
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0
                               : err_sys(err, "cannot look at \"%s/%s\"", w->q->data_dir, relative);
    switch (scan_exclude(dir, name, S_ISDIR(st.st_mode))) {
    case SCAN_SKIP:
        return 0;
    case SCAN_EMPTY_DIR:
        return add_empty_dir(w, &st, relative, err);
    case SCAN_KEEP:
        break;
    }
    if (S_ISREG(st.st_mode))
        return add(w, ENTRY_FILE, &st, NULL, err);
    if (S_ISDIR(st.st_mode)) {
        if (is_tablespace_inside(w, relative))
            return 0;
        if (strcmp(dir, "pg_tblspc") == 0 && oid_parse(name) != 0)
            found_tablespace(w, oid_parse(name), "");
        TRY(add(w, ENTRY_DIR, &st, NULL, err));
        return walk_below(w, dirfd, name, relative, O_NOFOLLOW, err);
    }
    if (S_ISSOCK(st.st_mode)) { /* of a running server: it makes it anew */
        log_debug("\"%s\" is a socket and is not backed up", buf_text(&w->path));
        return 0;
    }
    if (!S_ISLNK(st.st_mode)) {
        warn(w, "neither a file nor a directory");
        return 0;
    }
    if (strcmp(dir, "pg_tblspc") == 0 && oid_parse(name) != 0)
        return walk_tablespace(w, dirfd, name, relative, &st, err);
    TRY(read_link(dirfd, name, &target, err));
    log_warning("\"%s\" is a link to \"%s\": the link is backed up, not what it points to",
                buf_text(&w->path), buf_text(&target));
    w->found->warnings++;
    return add(w, ENTRY_LINK, &st, buf_text(&target), err);
}

/* Takes the descriptor. w->path and relative name the directory. */
static int walk_dir(struct walk *w, int fd, const char *relative, struct err *err)
{
    AUTO(names_free) struct names names = {0};
    AUTO(mem_free) bool *skip = NULL;
    AUTO(buf_free) struct buf below = BUF_INIT;
    AUTO(fd_close) int keep = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    size_t len = w->path.len;

    TRY(names_read(fd, relative, &names, err)); /* closes fd */
    if (keep < 0)
        return err_sys(err, "cannot keep directory \"%s\" open", relative);
    skip = xcalloc(names.n, sizeof *skip);
    if (relfile_is_db_dir(relative))
        scan_exclude_relations(names.sorted, names.n, skip);
    for (size_t i = 0; i < names.n; i++) {
        if (skip[i])
            continue;
        TRY(stop_check(w->q->stop, err));
        buf_clear(&below);
        buf_addf(&below, "%s%s%s", relative, relative[0] != '\0' ? "/" : "", names.sorted[i]);
        buf_addf(&w->path, "/%s", names.sorted[i]);
        TRY(walk_entry(w, keep, relative, names.sorted[i], buf_text(&below), err));
        w->path.len = len;
        buf_text(&w->path);
    }
    return 0;
}

/* ---- configuration outside the data directory ---- */

static int by_path(const void *a, const void *b)
{
    return path_compare(*(const char *const *)a, *(const char *const *)b);
}

/* Directories on the way to path that were not named by the file before it. */
static int add_parents(struct walk *w, const char *path, const char *before, struct err *err)
{
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - path);
        AUTO(mem_free) char *dir = xstrndup(path, len);
        struct stat st;

        if (before != NULL && strncmp(before, path, len) == 0 &&
            (before[len] == '/' || before[len] == '\0'))
            continue;
        if (stat(dir, &st) != 0)
            return err_sys(err, "cannot look at \"%s\"", dir);
        buf_clear(&w->path);
        buf_addf(&w->path, "config%s", dir);
        TRY(add(w, ENTRY_DIR, &st, NULL, err));
    }
    return 0;
}

static int walk_outside(struct walk *w, struct err *err)
{
    const struct scan_request *q = w->q;
    AUTO(mem_free) char **sorted = xcalloc(q->n_outside, sizeof *sorted);
    const char *before = NULL;
    struct stat st;

    if (q->n_outside != 0)
        memcpy(sorted, q->outside, q->n_outside * sizeof *sorted);
    qsort(sorted, q->n_outside, sizeof *sorted, by_path);
    for (size_t i = 0; i < q->n_outside; i++) {
        if (before != NULL && strcmp(before, sorted[i]) == 0)
            continue;
        errno = 0;
        if (stat(sorted[i], &st) != 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) ||
            access(sorted[i], R_OK) != 0) {
            log_warning("configuration file \"%s\" cannot be read and is not backed up: %s",
                        sorted[i], errno == 0 ? "it is no file" : strerror(errno));
            w->found->warnings++;
            continue;
        }
        TRY(add_parents(w, sorted[i], before, err));
        buf_clear(&w->path);
        buf_addf(&w->path, "config%s", sorted[i]);
        TRY(add(w, S_ISDIR(st.st_mode) ? ENTRY_DIR : ENTRY_FILE, &st, NULL, err));
        before = sorted[i];
    }
    return 0;
}

/* A tablespace whose location lies inside the data directory must not be copied twice. */
static int find_inside(struct walk *w, struct err *err)
{
    AUTO(names_free) struct names names = {0};
    char top[PATH_MAX], full[PATH_MAX];
    size_t len;
    int fd = openat(w->q->data_fd, "pg_tblspc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, "cannot open \"%s/pg_tblspc\"", w->q->data_dir);
    TRY(names_read(fd, "pg_tblspc", &names, err));
    if (realpath(w->q->data_dir, top) == NULL)
        return err_sys(err, "cannot resolve \"%s\"", w->q->data_dir);
    len = strlen(top);
    for (size_t i = 0; i < names.n; i++) {
        AUTO(mem_free) char *link = xasprintf("%s/pg_tblspc/%s", w->q->data_dir, names.sorted[i]);

        if (oid_parse(names.sorted[i]) == 0 || realpath(link, full) == NULL ||
            strncmp(full, top, len) != 0 || full[len] != '/' ||
            strncmp(full + len, "/pg_tblspc/", 11) == 0)
            continue;
        w->inside = xrealloc(w->inside, (w->n_inside + 1) * sizeof *w->inside);
        w->inside[w->n_inside++] = xstrdup(full + len + 1);
    }
    return 0;
}

static int scan_all(struct walk *w, struct err *err)
{
    struct stat st;
    int fd;

    TRY(walk_outside(w, err));
    TRY(find_inside(w, err));
    buf_clear(&w->path);
    buf_adds(&w->path, "data");
    fd = fcntl(w->q->data_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0)
            close(fd);
        return err_sys(err, "cannot look at \"%s\"", w->q->data_dir);
    }
    if (add(w, ENTRY_DIR, &st, NULL, err) != 0) {
        close(fd);
        return -1;
    }
    TRY(walk_dir(w, fd, "", err));
    return list_flush(w->out, err);
}

int scan_files(const struct scan_request *q, struct list_writer *out, struct scan_found *found,
               struct err *err)
{
    struct walk w = {.q = q, .out = out, .found = found};
    int rc = scan_all(&w, err);

    buf_free(&w.path);
    for (size_t i = 0; i < w.n_inside; i++)
        free(w.inside[i]);
    free(w.inside);
    return rc;
}
