/* oldwal.c - see oldwal.h. */
#include "restore/oldwal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "postgres/wal_reader.h"
#include "wal/archive/push.h"

/* ---- what it holds ---- */

struct names {
    char **items;
    size_t n;
};

static void names_free(struct names *n)
{
    for (size_t i = 0; i < n->n; i++)
        free(n->items[i]);
    free(n->items);
    *n = (struct names){0};
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(int fd, const char *shown, struct names *out, struct err *err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(dir_close) DIR *d = copy < 0 ? NULL : fdopendir(copy);

    if (d == NULL) {
        fd_close(&copy);
        return err_sys(err, "cannot list directory \"%s\"", shown);
    }
    errno = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL; errno = 0) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            strcmp(e->d_name, "lost+found") == 0)
            continue;
        out->items = xrealloc(out->items, (out->n + 1) * sizeof *out->items);
        out->items[out->n++] = xstrdup(e->d_name);
    }
    if (errno != 0)
        return err_sys(err, "cannot list directory \"%s\"", shown);
    if (out->n != 0)
        qsort(out->items, out->n, sizeof *out->items, by_text);
    return 0;
}

/* Is it the segment that its name says? Recycled files bear future names and old content. */
static bool is_written(const struct oldwal_terms *t, int fd, const struct wal_file *f,
                       const char *name)
{
    uint32_t segsz = t->pub->wal_segment_size;
    struct wal_expect want = {.system_id = t->pub->system_id, .tli = f->tli};
    struct wal_segment_header header;
    uint8_t head[WAL_LONG_HEADER];
    AUTO(fd_close) int file = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct err ignored;
    struct stat st;
    uint64_t segno;
    size_t got;

    if (file < 0 || fstat(file, &st) != 0 || !S_ISREG(st.st_mode) ||
        wal_file_segno(f, segsz, &segno) != 0 || (uint64_t)st.st_size != segsz ||
        fs_pread_all(file, head, sizeof head, 0, &got, name, &ignored) != 0)
        return false;
    want.start = segno_lsn(segno, segsz);
    return wal_segment_check(head, got, (uint64_t)st.st_size, &want, &header, &ignored) == 0;
}

static bool has_status(int fd, const char *name)
{
    AUTO(mem_free) char *ready = xasprintf("archive_status/%s.ready", name);
    AUTO(mem_free) char *done = xasprintf("archive_status/%s.done", name);

    return fs_exists(fd, ready) || fs_exists(fd, done);
}

/*
 * A server that does not archive leaves no status files. Its WAL is not meant for the archive:
 * above all that of a restored copy, which went its own way from the original's.
 */
static bool did_archive(int fd)
{
    AUTO(fd_close) int status = openat(fd, "archive_status", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(names_free) struct names names = {0};
    struct err ignored;

    return status >= 0 && list_names(status, "archive_status", &names, &ignored) == 0 &&
           names.n != 0;
}

/* Complete: the server offered it to its archiver, or went on to the next one. */
static bool is_complete(const struct oldwal_terms *t, int fd, const struct wal_file *f,
                        const char *name)
{
    uint32_t segsz = t->pub->wal_segment_size;
    char next[WAL_SEGMENT_NAME];
    struct wal_file after;
    uint64_t segno;

    if (!is_written(t, fd, f, name))
        return false;
    if (has_status(fd, name))
        return true;
    return wal_file_segno(f, segsz, &segno) == 0 &&
           wal_file_parse(wal_segment_name(f->tli, segno + 1, segsz, next), &after) == 0 &&
           is_written(t, fd, &after, next);
}

/* Of a directory whose server archived. */
static bool is_worth_keeping(const struct oldwal_terms *t, int fd, const char *name)
{
    struct wal_file f;

    if (wal_file_parse(name, &f) != 0)
        return false;
    switch (f.kind) {
    case WAL_SEGMENT:
        return is_complete(t, fd, &f, name);
    case WAL_PARTIAL:
        return has_status(fd, name) && is_written(t, fd, &f, name);
    case WAL_HISTORY:
        return has_status(fd, name);
    case WAL_BACKUP_LABEL:
        break;
    }
    return false;
}

static int some_repo_has(const struct oldwal_terms *t, const char *name, bool *has, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    *has = false;
    for (size_t i = 0; i < t->repos->n; i++) {
        struct repo *r = t->repos->items[i].repo;
        struct store_entry entry;
        struct err why = {0};

        if (r == NULL)
            continue;
        TRY(name_wal(&key, repo_cluster(r), t->pub->system_id, t->pub->pg_version / 10000, name,
                     err));
        if (store_stat(repo_store(r), buf_text(&key), &entry, &why) == 0) {
            *has = true;
            return 0;
        }
        if (why.code != ERR_NOT_FOUND) {
            *err = why;
            return err_context(err, "repository \"%s\"", repo_name(r));
        }
    }
    return 0;
}

/* ---- archiving it ---- */

static int push_one(const struct oldwal_terms *t, int fd, const char *name, struct err *err)
{
    AUTO(buf_free) struct buf raw = BUF_INIT;

    TRY(fs_read_file(fd, name, t->pub->wal_segment_size, &raw, err));
    return wal_push_bytes(t->repos, name, raw.p, raw.len, NULL, err);
}

static int push_missing(const struct oldwal_terms *t, int fd, const struct names *names,
                        unsigned *pushed, struct err *err)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->items[i];
        bool has;

        TRY(stop_check(t->stop, err));
        if (!is_worth_keeping(t, fd, name))
            continue;
        if (some_repo_has(t, name, &has, err) != 0 || (!has && push_one(t, fd, name, err) != 0))
            return err_context(err, "WAL file \"%s\" of the old pg_wal", name);
        *pushed += !has;
    }
    return 0;
}

static int save_what_is_missing(const struct oldwal_terms *t, int fd, const struct names *names,
                                unsigned *pushed, struct err *err)
{
    int result = push_missing(t, fd, names, pushed, err);

    if (*pushed != 0)
        buf_addf(t->notes, "archived %u file%s of the old pg_wal that no repository had\n", *pushed,
                 *pushed == 1 ? "" : "s");
    if (result == 0)
        return 0;
    if (!t->force || err->code == ERR_INTERRUPTED)
        return err_context(err, "nothing has been restored yet; --force goes on without archiving "
                                "what is only there (it is set aside, not removed)");
    buf_addf(t->notes, "WARNING: not all of the old pg_wal could be archived: %s\n", err->msg);
    ++*t->warnings;
    err_clear(err);
    return 0;
}

/* ---- setting it aside ---- */

static bool aside_taken(const struct oldwal_terms *t, int datafd, int fd, const char *suffix)
{
    AUTO(mem_free) char *name = xasprintf("%s%s", WAL_ASIDE, suffix);
    AUTO(mem_free) char *beside = NULL;

    if (t->site->wal_link == NULL)
        return fs_exists(datafd, name);
    beside = xasprintf("%s.before-restore-%s", t->site->wal_link, suffix);
    return fs_exists(AT_FDCWD, beside) || fs_exists(fd, name);
}

/* The second; two restores of one second get different ones. */
static char *aside_suffix(const struct oldwal_terms *t, int datafd, int fd)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[32];
    char *suffix;

    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &tm);
    suffix = xstrdup(text);
    for (unsigned n = 2; aside_taken(t, datafd, fd, suffix); n++) {
        free(suffix);
        suffix = xasprintf("%s-%u", text, n);
    }
    return suffix;
}

/* For a pg_wal that cannot be renamed (the root of a file system): into a directory of its own. */
static int move_names(int fd, const char *shown, const struct names *names, const char *into,
                      struct err *err)
{
    if (mkdirat(fd, into, 0700) != 0)
        return err_sys(err, "cannot create \"%s/%s\"", shown, into);
    for (size_t i = 0; i < names->n; i++) {
        AUTO(mem_free) char *to = xasprintf("%s/%s", into, names->items[i]);
        if (strncmp(names->items[i], WAL_ASIDE, strlen(WAL_ASIDE)) == 0)
            continue;
        if (renameat(fd, names->items[i], fd, to) != 0)
            return err_sys(err, "cannot move \"%s/%s\" to \"%s\"", shown, names->items[i], to);
    }
    return 0;
}

/* *where: what it is called now. */
static int set_aside(const struct oldwal_terms *t, int datafd, int fd, const struct names *names,
                     char **where, struct err *err)
{
    const char *data = t->layout->roots[ROOT_DATA].dir;
    AUTO(mem_free) char *time_text = aside_suffix(t, datafd, fd);
    AUTO(mem_free) char *name = xasprintf("%s%s", WAL_ASIDE, time_text);

    if (t->site->wal_link == NULL) {
        *where = xasprintf("%s/%s", data, name);
        if (renameat(datafd, "pg_wal", datafd, name) != 0)
            return err_sys(err, "cannot rename \"%s/pg_wal\" to \"%s\"", data, name);
        return 0;
    }
    *where = xasprintf("%s.before-restore-%s", t->site->wal_link, time_text);
    if (rename(t->site->wal_link, *where) == 0)
        return 0;
    free(*where);
    *where = xasprintf("%s/%s", t->site->wal_link, name);
    return move_names(fd, t->site->wal_link, names, name, err);
}

/* archive_status, summaries and what was set aside earlier are no reason to set anything aside. */
static bool holds_wal(const struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->items[i], "archive_status") != 0 &&
            strcmp(names->items[i], "summaries") != 0 &&
            strncmp(names->items[i], WAL_ASIDE, strlen(WAL_ASIDE)) != 0)
            return true;
    return false;
}

/* Only the cluster's own directory can have WAL that belongs into its archive. */
static bool may_archive(const struct oldwal_terms *t, int fd)
{
    return fd >= 0 && !t->layout->side_copy && did_archive(fd);
}

static int open_old(const struct oldwal_terms *t, int datafd, int *fd, struct err *err)
{
    *fd = openat(datafd, "pg_wal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 && errno != ENOENT && errno != ENOTDIR)
        return err_sys(err, "cannot open \"%s/pg_wal\"", t->layout->roots[ROOT_DATA].dir);
    return 0;
}

int oldwal_archive(const struct oldwal_terms *t, int datafd, unsigned *archived, struct err *err)
{
    AUTO(names_free) struct names names = {0};
    AUTO(fd_close) int fd = -1;

    *archived = 0;
    if (!site_is_same(t->site, t->pub->system_id))
        return 0;
    TRY(open_old(t, datafd, &fd, err));
    if (!may_archive(t, fd))
        return 0;
    TRY(list_names(fd, "pg_wal", &names, err));
    return save_what_is_missing(t, fd, &names, archived, err);
}

int oldwal_set_aside(const struct oldwal_terms *t, int datafd, struct err *err)
{
    AUTO(names_free) struct names names = {0};
    AUTO(mem_free) char *where = NULL;
    AUTO(fd_close) int fd = -1;

    TRY(open_old(t, datafd, &fd, err));
    if (fd < 0)
        return 0;
    TRY(list_names(fd, "pg_wal", &names, err));
    if (!holds_wal(&names))
        return 0;
    TRY(set_aside(t, datafd, fd, &names, &where, err));
    buf_addf(t->notes,
             "the old pg_wal is now \"%s\"; remove it when you are sure that nothing in it is "
             "needed (until then pg_verifybackup wants -i %s)\n",
             where, strrchr(where, '/') + 1);
    return fs_sync_dir(datafd, ".", err);
}

int oldwal_count(const struct oldwal_terms *t, unsigned *files, char last[], size_t last_size,
                 struct err *err)
{
    AUTO(names_free) struct names names = {0};
    AUTO(fd_close) int datafd = -1, fd = -1;
    const char *data = t->layout->roots[ROOT_DATA].dir;

    *files = 0;
    last[0] = '\0';
    if (!site_is_same(t->site, t->pub->system_id))
        return 0;
    datafd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (datafd < 0)
        return err_sys(err, "cannot open directory \"%s\"", data);
    TRY(open_old(t, datafd, &fd, err));
    if (!may_archive(t, fd))
        return 0;
    TRY(list_names(fd, "pg_wal", &names, err));
    for (size_t i = 0; i < names.n; i++) {
        bool has;
        if (!is_worth_keeping(t, fd, names.items[i]))
            continue;
        TRY(some_repo_has(t, names.items[i], &has, err));
        if (has)
            continue;
        ++*files;
        snprintf(last, last_size, "%s", names.items[i]);
    }
    return 0;
}

/* ---- the new one ---- */

static int make_dir(int fd, const char *name, const char *dir, struct err *err)
{
    if (mkdirat(fd, name, 0700) != 0 && errno != EEXIST)
        return err_sys(err, "cannot create directory \"%s/%s\"", dir, name);
    return 0;
}

static int make_link(const struct layout *l, int datafd, struct err *err)
{
    const char *data = l->roots[ROOT_DATA].dir, *wal = l->roots[ROOT_WAL].dir;

    TRY(fs_mkdirs(wal, 0700, err));
    if (unlinkat(datafd, "pg_wal", 0) != 0 && errno != ENOENT &&
        unlinkat(datafd, "pg_wal", AT_REMOVEDIR) != 0) {
        /* An empty pg_wal of an earlier attempt has a directory or two in it. */
        TRY(fs_remove_tree(datafd, "pg_wal/archive_status", false, err));
        TRY(fs_remove_tree(datafd, "pg_wal/summaries", false, err));
        if (unlinkat(datafd, "pg_wal", AT_REMOVEDIR) != 0)
            return err_sys(err, "cannot replace \"%s/pg_wal\" by a link", data);
    }
    if (symlinkat(wal, datafd, "pg_wal") != 0)
        return err_sys(err, "cannot create the link \"%s/pg_wal\"", data);
    return 0;
}

int oldwal_make_new(const struct layout *l, int datafd, struct err *err)
{
    AUTO(fd_close) int fd = -1;

    if (l->wal_apart)
        TRY(make_link(l, datafd, err));
    else
        TRY(make_dir(datafd, "pg_wal", l->roots[ROOT_DATA].dir, err));
    fd = openat(datafd, "pg_wal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, "cannot open \"%s/pg_wal\"", l->roots[ROOT_DATA].dir);
    return make_dir(fd, "archive_status", l->roots[ROOT_WAL].dir, err);
}
