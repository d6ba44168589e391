/* ahead_memory.c - what was pushed ahead, remembered and believed or not. See ahead.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/state.h"
#include "wal/archive/ahead.h"
#include "wal/archive/local.h"

enum { MEMORY_MAX = 1 << 20, MEMORY_ITEMS = 1000, TEXT_MAX = 4096 };
static const uint8_t memory_magic[8] = {'p', 'g', 'b', 'r', 'A', 'h', '0', '1'};

void ahead_memory_free(struct ahead_memory *m)
{
    for (size_t i = 0; i < m->n_repos; i++) {
        free(m->repos[i].name);
        free(m->repos[i].where);
    }
    free(m->repos);
    free(m->segments);
    *m = (struct ahead_memory){0};
}

void ahead_format(const struct ahead_memory *m, struct buf *out)
{
    size_t start = out->len;
    struct hash128 hash;

    buf_add(out, memory_magic, sizeof memory_magic);
    buf_add(out, m->config.bytes, sizeof m->config);
    buf_uv(out, m->n_repos);
    for (size_t i = 0; i < m->n_repos; i++) {
        buf_blob(out, m->repos[i].name, strlen(m->repos[i].name));
        buf_blob(out, m->repos[i].where, strlen(m->repos[i].where));
        buf_add(out, m->repos[i].id, REPO_ID_SIZE);
    }
    buf_uv(out, m->n_segments);
    for (size_t i = 0; i < m->n_segments; i++) {
        const struct ahead_segment *s = &m->segments[i];

        buf_blob(out, s->name, strlen(s->name));
        buf_u64(out, s->system_id);
        buf_u64(out, s->len);
        buf_add(out, s->hash.bytes, sizeof s->hash);
        buf_u64(out, (uint64_t)s->stored_us);
    }
    hash = hash128(out->p + start, out->len - start);
    buf_add(out, hash.bytes, sizeof hash);
}

static void copy_out(struct cursor *in, void *dst, size_t len)
{
    const uint8_t *p = cur_bytes(in, len);

    if (p != NULL)
        memcpy(dst, p, len);
}

static void parse_repos(struct cursor *in, struct ahead_memory *m)
{
    size_t n = (size_t)cur_uv_max(in, MEMORY_ITEMS);

    m->repos = xcalloc(n, sizeof *m->repos);
    for (; m->n_repos < n && !in->bad; m->n_repos++) {
        struct ahead_repo *r = &m->repos[m->n_repos];

        r->name = cur_text(in, TEXT_MAX);
        r->where = cur_text(in, TEXT_MAX);
        copy_out(in, r->id, REPO_ID_SIZE);
    }
}

static void parse_segments(struct cursor *in, struct ahead_memory *m)
{
    size_t n = (size_t)cur_uv_max(in, MEMORY_ITEMS);

    m->segments = xcalloc(n, sizeof *m->segments);
    for (; m->n_segments < n && !in->bad; m->n_segments++) {
        struct ahead_segment *s = &m->segments[m->n_segments];
        AUTO(mem_free) char *name = cur_text(in, WAL_SEGMENT_NAME - 1);
        struct wal_file f;

        if (name == NULL || wal_file_parse(name, &f) != 0 || f.kind != WAL_SEGMENT)
            in->bad = true;
        else
            memcpy(s->name, name, sizeof s->name);
        s->system_id = cur_u64(in);
        s->len = cur_u64(in);
        copy_out(in, s->hash.bytes, sizeof s->hash);
        s->stored_us = (int64_t)cur_u64(in);
    }
}

int ahead_parse(const void *data, size_t len, struct ahead_memory *m, struct err *err)
{
    AUTO(ahead_memory_free) struct ahead_memory made = {0};
    struct cursor in = cursor_of(data, len);
    struct hash128 hash;

    if (len < sizeof memory_magic + sizeof hash ||
        memcmp(data, memory_magic, sizeof memory_magic) != 0)
        return err_set(err, ERR_CORRUPT, "not a file of this version");
    in.end -= sizeof hash;
    hash = hash128(data, len - sizeof hash);
    if (memcmp(hash.bytes, in.end, sizeof hash) != 0)
        return err_set(err, ERR_CORRUPT, "damaged");
    cur_bytes(&in, sizeof memory_magic);
    copy_out(&in, made.config.bytes, sizeof made.config);
    parse_repos(&in, &made);
    parse_segments(&in, &made);
    if (!cur_done(&in))
        return err_set(err, ERR_CORRUPT, "malformed");
    *m = made;
    made = (struct ahead_memory){0};
    return 0;
}

bool ahead_recall(const struct config *c, const struct cluster_config *cluster,
                  struct ahead_memory *m)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s.ahead", c->state_dir, cluster->name);
    AUTO(buf_free) struct buf content = BUF_INIT;
    struct err err = {0};

    if (local_read(path, MEMORY_MAX, &content, &err) == 0 &&
        ahead_parse(content.p, content.len, m, &err) == 0)
        return true;
    if (err.code != ERR_NOT_FOUND)
        log_warning("\"%s\" is ignored: %s", path, err.msg);
    return false;
}

/* The repository of that name is, as far as this host knows, the one that was pushed to. */
static bool same_repo(const struct ahead_memory *m, const struct config *c,
                      const struct cluster_config *cluster, const char *name)
{
    for (size_t i = 0; i < m->n_repos; i++) {
        const struct ahead_repo *r = &m->repos[i];
        AUTO(state_free) struct repo_state s = {0};

        if (strcmp(r->name, name) == 0)
            return state_load(c->state_dir, name, cluster->name, r->where, &s) &&
                   memcmp(s.repo_id, r->id, REPO_ID_SIZE) == 0;
    }
    return false;
}

static bool same_repos(const struct ahead_memory *m, const struct config *c,
                       const struct cluster_config *cluster)
{
    struct hash128 now = local_repos(c, cluster, NULL);

    if (memcmp(now.bytes, m->config.bytes, sizeof now) != 0)
        return false;
    for (size_t i = 0; i < cluster->n_repos; i++)
        for (size_t j = 0; j < c->n_repos; j++)
            if (strcmp(c->repos[j].name, cluster->repos[i]) == 0 && !c->repos[j].optional &&
                !same_repo(m, c, cluster, c->repos[j].name))
                return false;
    return true;
}

bool ahead_confirms(const struct ahead_memory *m, const struct config *c,
                    const struct cluster_config *cluster, const char *file, const void *raw,
                    size_t len, const struct wal_identity *id)
{
    for (size_t i = 0; i < m->n_segments; i++) {
        const struct ahead_segment *s = &m->segments[i];
        int64_t age = clock_now_us() - s->stored_us;
        struct hash128 hash;

        if (strcmp(s->name, file) != 0)
            continue;
        if (age < 0 || age > (int64_t)AHEAD_TRUST_S * 1000000 || s->system_id != id->system_id ||
            s->len != len || !same_repos(m, c, cluster))
            return false;
        hash = hash128(raw, len);
        return memcmp(hash.bytes, s->hash.bytes, sizeof hash) == 0;
    }
    return false;
}
