/* layout.c - see layout.h. */
#include "restore/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/relfile.h"
#include "postgres/version.h"

/* ---- planning ---- */

/* Without slashes at the end, so that two spellings of a directory compare equal. */
static char *tidy_path(const char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        len--;
    return xstrndup(path, len);
}

static bool same_dir(const char *a, const char *b)
{
    AUTO(mem_free) char *real_a = realpath(a, NULL), *real_b = realpath(b, NULL);
    AUTO(mem_free) char *tidy_a = tidy_path(a), *tidy_b = tidy_path(b);

    return strcmp(real_a != NULL ? real_a : tidy_a, real_b != NULL ? real_b : tidy_b) == 0;
}

/* Does --tablespace-map FROM=... mean this tablespace? */
static bool move_fits(const struct tablespace_move *m, const struct tablespace_info *t,
                      const struct backup_info *info)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    AUTO(mem_free) char *from = tidy_path(m->from), *location = tidy_path(t->location);
    const char *name;

    if (oid_parse(m->from) == t->oid || strcmp(from, location) == 0)
        return true;
    buf_addf(&key, "tablespace_name.%u", t->oid);
    name = backup_info_get(info, buf_text(&key));
    return name != NULL && strcmp(name, m->from) == 0;
}

static const struct tablespace_move *find_move(const struct restore_request *q,
                                               const struct tablespace_info *t,
                                               const struct backup_info *info)
{
    for (size_t i = 0; i < q->n_moves; i++)
        if (move_fits(&q->moves[i], t, info))
            return &q->moves[i];
    return NULL;
}

static struct root *add_root(struct layout *l, char *dir)
{
    l->roots = xrealloc(l->roots, (l->n + 1) * sizeof *l->roots);
    l->roots[l->n] = (struct root){.dir = dir, .fd = -1};
    return &l->roots[l->n++];
}

static int check_move(const struct layout *l, const struct tablespace_info *t, const char *to,
                      struct err *err)
{
    if (to[0] != '/' || strcmp(to, "/") == 0)
        return err_set(err, ERR_USAGE,
                       "tablespace %u cannot go to \"%s\"; give an absolute directory", t->oid, to);
    for (size_t i = 0; i < l->n; i++)
        if ((i != ROOT_WAL || l->wal_apart) && same_dir(l->roots[i].dir, to))
            return err_set(err, ERR_USAGE,
                           "tablespace %u cannot go to \"%s\": that place is taken by another part "
                           "of the cluster",
                           t->oid, to);
    return 0;
}

/* One root for each tablespace; those without a place are listed in *lost, as options to give. */
static int plan_tablespaces(struct layout *l, const struct restore_request *q,
                            const struct backup_info *info, struct buf *lost, struct err *err)
{
    for (uint32_t i = 0; i < info->n_tablespaces; i++) {
        const struct tablespace_info *t = &info->tablespaces[i];
        AUTO(mem_free) char *own = NULL;
        const struct tablespace_move *move;
        const char *to;
        struct root *root;

        if (t->location == NULL || t->location[0] == '\0')
            continue; /* in place: an ordinary directory of the data directory */
        move = find_move(q, t, info);
        if (q->sandbox != NULL)
            own = xasprintf("%s/tablespace-%u", q->sandbox, t->oid);
        if (move == NULL && own == NULL && l->side_copy) {
            buf_addf(lost, " --tablespace-map %u=DIR (was in \"%s\")", t->oid, t->location);
            continue;
        }
        to = move != NULL ? move->to : own != NULL ? own : t->location;
        TRY(check_move(l, t, to, err));
        root = add_root(l, tidy_path(to));
        root->oid = t->oid;
        root->old_dir = tidy_path(t->location);
    }
    return 0;
}

static bool move_is_used(const struct tablespace_move *m, const struct backup_info *info)
{
    for (uint32_t i = 0; i < info->n_tablespaces; i++)
        if (info->tablespaces[i].location[0] != '\0' && move_fits(m, &info->tablespaces[i], info))
            return true;
    return false;
}

static int refuse_unused_moves(const struct restore_request *q, const struct backup_info *info,
                               struct err *err)
{
    for (size_t i = 0; i < q->n_moves; i++)
        if (!move_is_used(&q->moves[i], info)) {
            AUTO(buf_free) struct buf there = BUF_INIT;
            for (uint32_t k = 0; k < info->n_tablespaces; k++)
                buf_addf(&there, "%s%u in \"%s\"", k == 0 ? "" : ", ", info->tablespaces[k].oid,
                         info->tablespaces[k].location);
            return err_set(err, ERR_USAGE,
                           "the backup has no tablespace \"%s\"; it has %s (an OID or a location "
                           "names one)",
                           q->moves[i].from, there.len == 0 ? "none" : buf_text(&there));
        }
    return 0;
}

static const char *version_dir(const struct pubinfo *pub, const struct backup_info *info)
{
    const struct pg_version *v = pg_version_by_major(pub->pg_version / 10000);

    return v != NULL && v->catalog_version == info->catalog_version ? v->tablespace_dir : NULL;
}

int layout_plan(struct layout *l, const struct restore_request *q, const char *data_dir,
                const char *wal_dir, const struct pubinfo *pub, const struct backup_info *info,
                struct err *err)
{
    AUTO(buf_free) struct buf lost = BUF_INIT;
    const char *original = backup_info_get(info, "data_directory");

    *l = (struct layout){.wal_apart = wal_dir != NULL, .version_dir = version_dir(pub, info)};
    if (l->version_dir == NULL)
        return err_set(err, ERR_UNSUPPORTED,
                       "the backup is of PostgreSQL %u with catalog version %u; known are the "
                       "releases %s",
                       pub->pg_version / 10000, info->catalog_version, pg_versions_known());
    if (original == NULL)
        original = q->cluster->data;
    l->original_dir = original == NULL ? NULL : xstrdup(original);
    l->sandbox = q->sandbox != NULL;
    l->side_copy = l->sandbox || (original != NULL && !same_dir(original, data_dir));
    add_root(l, tidy_path(data_dir));
    add_root(l, wal_dir != NULL ? tidy_path(wal_dir)
                                : xasprintf("%s/pg_wal", l->roots[ROOT_DATA].dir));
    add_root(l, xasprintf("%s/" CONFIG_DIR, l->roots[ROOT_DATA].dir));
    TRY(refuse_unused_moves(q, info, err));
    TRY(plan_tablespaces(l, q, info, &lost, err));
    if (lost.len != 0)
        return err_set(err, ERR_USAGE,
                       "\"%s\" is not the directory the backup was taken from (\"%s\"), so say "
                       "where its tablespaces go:%s",
                       data_dir, original, buf_text(&lost));
    return 0;
}

void layout_free(struct layout *l)
{
    for (size_t i = 0; i < l->n; i++) {
        fd_close(&l->roots[i].fd);
        free(l->roots[i].dir);
        free(l->roots[i].old_dir);
    }
    free(l->roots);
    free(l->original_dir);
    *l = (struct layout){0};
}

int layout_open(struct layout *l, struct err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        struct root *r = &l->roots[i];
        if (r->fd >= 0 || (i == ROOT_CONFIG && !l->has_config))
            continue;
        TRY(fs_mkdirs(r->dir, 0700, err));
        r->fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
                                 (i == ROOT_CONFIG ? O_NOFOLLOW : 0)); /* never into /etc */
        if (r->fd < 0)
            return err_sys(err, "cannot open directory \"%s\"", r->dir);
    }
    return 0;
}

/* ---- placing ---- */

/* Parts that are not empty, "." or ".."; the manifest's reader has checked it before. */
static bool rel_is_clean(const char *rel)
{
    if (strlen(rel) >= PATH_MAX - 64)
        return false;
    for (const char *part = rel;; part = strchr(part, '/') + 1) {
        size_t len = strcspn(part, "/");
        if (len == 0 || len > NAME_MAX || (len == 1 && part[0] == '.') ||
            (len == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        if (part[len] == '\0')
            return true;
    }
}

/* The rest of a path below a directory: "" for the directory itself, NULL when it is not there. */
static const char *below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    if (strncmp(path, dir, len) != 0)
        return NULL;
    if (path[len] == '/' && path[len + 1] != '\0')
        return path + len + 1;
    return path[len] == '\0' ? path + len : NULL;
}

unsigned layout_tablespace(const struct layout *l, uint32_t oid)
{
    for (size_t i = ROOT_TABLESPACE; oid != 0 && i < l->n; i++)
        if (l->roots[i].oid == oid)
            return (unsigned)i;
    return 0;
}

/* "16400/PG_15_202209061/..." of pg_tblspc; the link "16400" itself is in the data directory. */
static unsigned tablespace_of(const struct layout *l, const char *rel, const char **rest)
{
    char oid[11];
    size_t len = strcspn(rel, "/");
    unsigned root;

    if (rel[len] != '/' || len >= sizeof oid)
        return 0;
    memcpy(oid, rel, len);
    oid[len] = '\0';
    root = layout_tablespace(l, oid_parse(oid));
    if (root != 0)
        *rest = rel + len + 1;
    return root;
}

int layout_place(const struct layout *l, const char *path, unsigned *root, const char **rel,
                 struct err *err)
{
    const char *rest;

    *root = ROOT_CONFIG;
    *rel = below(path, "config");
    if (*rel == NULL) {
        *root = ROOT_DATA;
        *rel = below(path, "data");
    }
    if (*rel == NULL || (**rel != '\0' && !rel_is_clean(*rel)))
        return err_set(err, ERR_CORRUPT, "the backup names \"%s\", which is no valid path", path);
    if (*root != ROOT_DATA)
        return 0;
    if ((rest = below(*rel, "pg_wal")) != NULL && *rest != '\0') {
        *root = ROOT_WAL;
        *rel = rest;
    } else if ((rest = below(*rel, "pg_tblspc")) != NULL && *rest != '\0') {
        unsigned space = tablespace_of(l, rest, rel);
        if (space != 0)
            *root = space;
    }
    return 0;
}

bool layout_protects(const struct layout *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++)
        if ((i != ROOT_CONFIG || l->has_config) && below(l->roots[i].dir, path) != NULL)
            return true;
    return false;
}

/* ---- opening ---- */

/* For kernels without openat2(): one part after the other. */
static int open_step_by_step(int from, char *rel)
{
    int fd = from;

    for (char *part = rel, *next; part != NULL && fd >= 0; part = next) {
        int deeper;
        next = strchr(part, '/');
        if (next != NULL)
            *next++ = '\0';
        deeper = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd != from) {
            int saved = errno;
            close(fd);
            errno = saved;
        }
        fd = deeper;
    }
    return fd;
}

static int open_beneath(int from, char *rel)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    long fd = syscall(SYS_openat2, from, rel, &how, sizeof how);

    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* EPERM: a seccomp filter's way of no */
        return open_step_by_step(from, rel);
    return (int)fd;
}

int layout_open_dir(const struct layout *l, unsigned root, const char *rel, size_t len, int *fd,
                    struct err *err)
{
    AUTO(mem_free) char *dir = xstrndup(rel, len);
    const struct root *r = &l->roots[root];

    *fd = len == 0 ? openat(r->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                   : open_beneath(r->fd, dir);
    if (*fd < 0)
        return err_sys(err, "cannot open directory \"%s/%.*s\"", r->dir, (int)len, rel);
    return 0;
}

int dir_cache_parent(struct dir_cache *c, const struct layout *l, unsigned root, const char *rel,
                     int *fd, const char **name, struct err *err)
{
    const char *slash = strrchr(rel, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - rel);

    *name = slash == NULL ? rel : slash + 1;
    if (c->fd < 0 || c->root != root || c->rel.len != len ||
        (len != 0 && memcmp(c->rel.p, rel, len) != 0)) {
        fd_close(&c->fd);
        TRY(layout_open_dir(l, root, rel, len, &c->fd, err));
        c->root = root;
        buf_clear(&c->rel);
        buf_add(&c->rel, rel, len);
    }
    *fd = c->fd;
    return 0;
}

void dir_cache_free(struct dir_cache *c)
{
    fd_close(&c->fd);
    buf_free(&c->rel);
}
