/* local.c - see local.h. */
#include "wal/archive/local.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

static void add_text(struct buf *b, const char *text)
{
    if (text != NULL)
        buf_adds(b, text);
    buf_addc(b, '\0');
}

static void add_repo(struct buf *b, const struct repo_config *r)
{
    add_text(b, r->name);
    buf_u8(b, (uint8_t)r->type);
    buf_u8(b, r->optional);
    add_text(b, r->path);
    add_text(b, r->s3_bucket);
    add_text(b, r->s3_endpoint);
    add_text(b, r->storage_host);
    buf_u32(b, r->storage_port);
}

struct hash128 local_repos(const struct config *c, const struct cluster_config *cluster,
                           const char *only)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    add_text(&b, cluster->name);
    add_text(&b, only);
    for (size_t i = 0; i < cluster->n_repos; i++)
        for (size_t j = 0; j < c->n_repos; j++)
            if (strcmp(c->repos[j].name, cluster->repos[i]) == 0)
                add_repo(&b, &c->repos[j]);
    return hash128(b.p, b.len);
}

static bool any_remote(const struct open_repos *repos)
{
    for (size_t i = 0; i < repos->n; i++)
        if (repos->items[i].repo != NULL && store_is_remote(repo_store(repos->items[i].repo)))
            return true;
    return false;
}

unsigned local_ahead(int configured, const struct open_repos *repos, uint64_t segment_size,
                     uint64_t budget)
{
    if (configured == CONFIG_UNSET)
        configured = any_remote(repos) ? CONFIG_AHEAD : 0;
    return (unsigned)MIN_OF((uint64_t)configured, budget / segment_size);
}

int local_read(const char *path, size_t max, struct buf *out, struct err *err)
{
    AUTO(fd_close) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    size_t got;

    if (fd < 0 || fstat(fd, &st) != 0)
        return err_sys(err, "cannot open \"%s\"", path);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return err_set(err, ERR_DENIED, "others than user %u can write \"%s\"", (unsigned)geteuid(),
                       path);
    if ((uint64_t)st.st_size > max)
        return err_set(err, ERR_CORRUPT, "\"%s\" has %lld bytes", path, (long long)st.st_size);
    buf_reserve(out, (size_t)st.st_size);
    TRY(fs_pread_all(fd, out->p + out->len, (size_t)st.st_size, 0, &got, path, err));
    out->len += got;
    return 0;
}
