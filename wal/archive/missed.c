/* missed.c - see missed.h. */
#include "wal/archive/missed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/wal/wal_object.h"
#include "wal/archive/push.h"

enum { CATCH_UP_AT_ONCE = 8, LIST_MAX = 8 << 20 };

static char *list_path(const struct missed *m, const char *repo)
{
    return xasprintf("%s/%s.%s.missed", m->state_dir, m->cluster, repo);
}

void missed_note(const struct missed *m, const char *repo, const char *file)
{
    AUTO(fd_close) int fd = -1;
    AUTO(mem_free) char *path = NULL, *line = NULL;
    struct err err = {0};

    if (m == NULL)
        return;
    crash_point("missed-noting");
    path = list_path(m, repo);
    line = xasprintf("%s\n", file);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || fs_write_all(fd, line, strlen(line), path, &err) != 0)
        log_warning("what repository \"%s\" misses could not be noted in \"%s\"", repo, path);
    crash_point("missed-noted");
}

/* The bytes of a missed file, from beside the one that is being pushed or from a repository that
 * has it. ERR_NOT_FOUND: all were asked, and none has it. */
static int find_bytes(const struct open_repos *repos, const char *dir, const char *file,
                      const struct wal_identity *id, struct buf *out, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s%s", dir, file);

    if (fs_read_file(AT_FDCWD, path, WAL_SEGSZ_MAX, out, err) == 0)
        return 0;
    for (size_t i = 0; i < repos->n; i++) {
        const struct open_repo *o = &repos->items[i];
        struct err why = {0};

        if (o->repo == NULL) {
            err_set(err, ERR_UNREACHABLE, "%s", o->why.msg);
            continue;
        }
        if (wal_object_get(o->repo, id->system_id, id->major, file, WAL_SEGSZ_MAX, 1, out, &why) ==
            0)
            return 0;
        if (why.code != ERR_NOT_FOUND)
            *err = why;
    }
    return -1;
}

enum outcome { COPIED, GONE, LATER, REFUSED };

static bool may_pass(enum err_code code)
{
    return code == ERR_UNREACHABLE || code == ERR_BUSY || code == ERR_IO || code == ERR_NO_SPACE;
}

static enum outcome copy_one(const struct open_repos *repos, const struct open_repo *to,
                             const char *dir, const char *file, const struct wal_identity *id)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct open_repo must = *to; /* for an optional one, failure would count as success */
    struct open_repos only = {&must, 1};
    struct err err = {0};
    bool found = find_bytes(repos, dir, file, id, &bytes, &err) == 0;

    must.required = true;
    if (found && wal_push_bytes(&only, file, bytes.p, bytes.len, NULL, &err) == 0) {
        log_info("repository \"%s\" got \"%s\", which it had missed", to->name, file);
        crash_point("missed-copied");
        return COPIED;
    }
    if (!found && err.code == ERR_NOT_FOUND) {
        log_warning("repository \"%s\" misses \"%s\" for good: it is nowhere else", to->name, file);
        return GONE;
    }
    log_warning("repository \"%s\" still misses \"%s\": %s", to->name, file, err.msg);
    return may_pass(err.code) ? LATER : REFUSED;
}

/* What is refused goes to the end of the list, so that it does not hold up the rest. */
static void catch_up(const struct missed *m, const struct open_repos *repos,
                     const struct open_repo *to, const char *dir, const struct wal_identity *id)
{
    AUTO(mem_free) char *path = list_path(m, to->name);
    AUTO(buf_free) struct buf list = BUF_INIT;
    AUTO(buf_free) struct buf left = BUF_INIT;
    AUTO(buf_free) struct buf refused = BUF_INIT;
    struct err err = {0};
    char *next = NULL;
    int tried = 0;

    if (fs_read_file(AT_FDCWD, path, LIST_MAX, &list, &err) != 0)
        return; /* nothing is missed */
    buf_addc(&list, '\0');
    for (char *file = strtok_r(list.p, "\n", &next); file != NULL;
         file = strtok_r(NULL, "\n", &next)) {
        enum outcome what = tried++ < CATCH_UP_AT_ONCE ? copy_one(repos, to, dir, file, id) : LATER;

        if (what == LATER)
            tried = CATCH_UP_AT_ONCE;
        if (what == LATER || what == REFUSED)
            buf_addf(what == LATER ? &left : &refused, "%s\n", file);
    }
    buf_add(&left, refused.p, refused.len);
    crash_point("missed-rewriting");
    if (left.len == 0)
        unlink(path);
    else if (fs_replace(AT_FDCWD, path, left.p, left.len, 0600, &err) != 0)
        log_warning("%s", err.msg);
}

void missed_catch_up(const struct missed *m, const struct open_repos *repos, const char *path,
                     const struct wal_identity *id)
{
    const char *slash = strrchr(path, '/');
    AUTO(mem_free) char *dir = xstrndup(path, slash != NULL ? (size_t)(slash - path) + 1 : 0);

    for (size_t i = 0; i < repos->n; i++)
        if (!repos->items[i].required && repos->items[i].repo != NULL)
            catch_up(m, repos, &repos->items[i], dir, id);
}
