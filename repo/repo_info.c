/*
 * repo_info.c - what a repository accepts for a cluster: generations of <cluster>/info/, each of
 * which holds all identities, so that only the last is read. See repo.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/object/object.h"
#include "repo/repo_form.h"

enum { ACCEPT_TRIES = 100 };

static int keep_last(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct buf *key = ctx;

    (void)err;
    if (!entry->is_prefix) {
        buf_clear(key);
        buf_adds(key, entry->key);
    }
    return 0;
}

int repo_last_key(struct store *store, const char *prefix, struct buf *key, bool *found,
                  struct err *err)
{
    buf_clear(key);
    TRY(store_list(store, prefix, STORE_SHALLOW, keep_last, key, NULL, err));
    *found = key->len != 0;
    return 0;
}

/* "main/info/0000000a" -> 10. */
static int generation_of(const char *key, uint32_t *gen, struct err *err)
{
    const char *digits = strrchr(key, '/') + 1;
    unsigned long value;
    char *end;

    value = strtoul(digits, &end, 16);
    if (strspn(digits, "0123456789abcdef") != 8 || *end != '\0' || value == 0)
        return err_set(err, ERR_CORRUPT,
                       "object \"%s\": its name is no generation (eight hex digits)", key);
    *gen = (uint32_t)value;
    return 0;
}

static int info_coder(const struct repo *r, uint32_t gen, char label[OBJECT_LABEL + 1],
                      struct coder **coder, struct err *err)
{
    snprintf(label, OBJECT_LABEL + 1, "info/%08x", gen);
    return repo_coder(r, label, coder, err);
}

int repo_read_info(struct repo *r, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(mem_free) char *prefix = xasprintf("%s/info/", r->cluster);
    AUTO(buf_free) struct buf key = BUF_INIT, body = BUF_INIT;
    char label[OBJECT_LABEL + 1];
    struct identity *ids;
    uint32_t gen = 0;
    size_t n;
    bool found;

    TRY(repo_last_key(r->store, prefix, &key, &found, err));
    if (!found)
        return 0;
    TRY(generation_of(buf_text(&key), &gen, err));
    TRY(info_coder(r, gen, label, &coder, err));
    TRY(object_get_small(r->store, buf_text(&key), OBJECT_INFO, r->id, coder, CHUNK_INFO, &body,
                         err));
    if (info_parse(body.p, body.len, r->cluster, &ids, &n, err) != 0)
        return err_context(err, "object \"%s\"", buf_text(&key));
    free(r->ids);
    r->ids = ids;
    r->n_ids = n;
    r->info_gen = gen;
    return 0;
}

int repo_write_info(struct repo *r, uint32_t gen, const struct identity *ids, size_t n,
                    struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(buf_free) struct buf key = BUF_INIT, body = BUF_INIT;
    struct object_head head = {.kind = OBJECT_INFO};

    TRY(info_coder(r, gen, head.label, &coder, err));
    memcpy(head.repo_id, r->id, sizeof head.repo_id);
    info_format(r->cluster, ids, n, &body);
    return object_put_small(r->store, name_info(&key, r->cluster, gen), STORE_CREATE_ONLY, &head,
                            coder, CHUNK_INFO, CHUNK_PUBLIC, body.p, body.len, err);
}

/* One attempt: ERR_EXISTS when another host wrote this generation first. */
static int add_identity(struct repo *r, uint64_t system_id, unsigned major, struct err *err)
{
    AUTO(mem_free) struct identity *ids = NULL;

    TRY(repo_read_info(r, err));
    if (repo_knows(r, system_id, major))
        return 0;
    ids = xcalloc(r->n_ids + 1, sizeof *ids);
    if (r->n_ids != 0)
        memcpy(ids, r->ids, r->n_ids * sizeof *ids);
    ids[r->n_ids] = (struct identity){system_id, major};
    TRY(repo_write_info(r, r->info_gen + 1, ids, r->n_ids + 1, err));
    return repo_read_info(r, err);
}

int repo_accept(struct repo *r, uint64_t system_id, unsigned major, struct err *err)
{
    for (int tries = 0; tries < ACCEPT_TRIES; tries++) {
        if (add_identity(r, system_id, major, err) == 0) {
            repo_save_state(r);
            return 0;
        }
        if (err->code != ERR_EXISTS)
            return -1;
    }
    return -1;
}

int repo_refresh(struct repo *r, struct err *err)
{
    TRY(repo_read_info(r, err));
    repo_save_state(r);
    return 0;
}

/* ---- clusters ---- */

struct name_list {
    struct store *store;
    char **names;
    size_t n;
};

enum { HAS_INFO = 1 };

static int any_object(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)ctx;
    (void)entry;
    (void)err;
    return HAS_INFO;
}

static int take_cluster(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct name_list *l = ctx;
    AUTO(mem_free) char *name = xstrndup(entry->key, strlen(entry->key) - 1);
    AUTO(mem_free) char *prefix = xasprintf("%s/info/", name);
    int result;

    if (!entry->is_prefix || !cluster_name_valid(name))
        return 0;
    result = store_list(l->store, prefix, STORE_SHALLOW, any_object, NULL, NULL, err);
    if (result != HAS_INFO)
        return result;
    l->names = xrealloc(l->names, (l->n + 1) * sizeof *l->names);
    l->names[l->n++] = TAKE(name);
    return 0;
}

/* Listed in order of "name/", where "-" comes before the slash: sorted anew by the names alone. */
static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int repo_clusters(struct store *store, char ***names, size_t *n, struct err *err)
{
    struct name_list l = {.store = store};

    if (store_list(store, "", STORE_SHALLOW, take_cluster, &l, NULL, err) != 0) {
        repo_names_free(&l.names, l.n);
        return -1;
    }
    if (l.n != 0)
        qsort(l.names, l.n, sizeof *l.names, by_name);
    *names = l.names;
    *n = l.n;
    return 0;
}

void repo_names_free(char ***names, size_t n)
{
    for (size_t i = 0; *names != NULL && i < n; i++)
        free((*names)[i]);
    free(*names);
    *names = NULL;
}
