/*
 * repo_torn.c - what an init that was cut short may have left half written. See repo.h.
 *
 * On file systems that know no link an object gets its name before its content, and a crash leaves
 * it without an end. Nobody was ever told that such an object exists, so init removes it and makes
 * it again; but only where nothing can depend on it yet, because a damaged disk looks the same.
 */
#include "base/log.h"
#include "base/mem.h"
#include "repo/object/object.h"
#include "repo/repo_form.h"

static int remove_torn(struct store *store, const char *key, struct err *err)
{
    bool torn;

    TRY(object_is_torn(store, key, &torn, err));
    if (!torn)
        return 0;
    log_warning("object \"%s\" was written in part by an interrupted \"init\": it is made again",
                key);
    return store_delete(store, &key, 1, err);
}

static int remove_torn_entry(void *ctx, const struct store_entry *entry, struct err *err)
{
    AUTO(mem_free) char *key = xstrdup(entry->key);

    return entry->is_prefix ? 0 : remove_torn(ctx, key, err);
}

enum { IS_USED = 1 };

static int look_for_cluster(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)ctx, (void)err;
    return entry->is_prefix && strcmp(entry->key, "keys/") != 0 && strcmp(entry->key, "tmp/") != 0
               ? IS_USED
               : 0;
}

/* Descriptor and key slots: as long as no cluster was begun. */
static int clear_root(struct store *store, struct err *err)
{
    int used = store_list(store, "", STORE_SHALLOW, look_for_cluster, NULL, NULL, err);
    struct store_entry entry;

    if (used != 0)
        return used == IS_USED ? 0 : -1;
    if (remove_torn(store, name_descriptor(), err) == 0 &&
        store_stat(store, name_descriptor(), &entry, err) == 0)
        return 0;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err); /* the slots may be unfinished as well */
    return store_list(store, "keys/", STORE_SHALLOW, remove_torn_entry, store, NULL, err);
}

static int look_for_content(void *ctx, const struct store_entry *entry, struct err *err)
{
    const char *name = strchr(entry->key, '/') + 1;

    (void)ctx, (void)err;
    return strcmp(name, "backup/") == 0 || strcmp(name, "wal/") == 0 ? IS_USED : 0;
}

/* The last generation of info, unless it is the only one and the cluster holds something: then it
 * was whole once. */
static int clear_info(struct store *store, const char *cluster, struct err *err)
{
    AUTO(mem_free) char *prefix = xasprintf("%s/info/", cluster);
    AUTO(mem_free) char *all = xasprintf("%s/", cluster);
    AUTO(buf_free) struct buf key = BUF_INIT, first = BUF_INIT;
    bool found;
    int used;

    TRY(repo_last_key(store, prefix, &key, &found, err));
    if (!found)
        return 0;
    used = strcmp(key.p, name_info(&first, cluster, 1)) != 0
               ? 0
               : store_list(store, all, STORE_SHALLOW, look_for_content, NULL, NULL, err);
    if (used != 0)
        return used == IS_USED ? 0 : -1;
    return remove_torn(store, key.p, err);
}

int repo_clear_torn(struct store *store, const char *cluster, struct err *err)
{
    TRY(clear_root(store, err));
    return clear_info(store, cluster, err);
}
