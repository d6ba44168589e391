/* verify.c - see verify.h: which objects, read by whom. What is damaged is traced in harm.c. */
#include "repo/verify.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/harm.h"

enum { QUEUE_SIZE = 64, WATCH_MS = 4, SHOW_EVERY_US = 1000000 };

struct check {
    const struct verify_request *q;
    struct verify_made *made;
    struct queue *keys;
    pthread_mutex_t lock; /* of made */
};

/* ---- what was found ---- */

static struct damage *add_damage(struct check *c, const char *object, const char *why)
{
    struct verify_made *m = c->made;

    m->damages = xrealloc(m->damages, (m->n_damages + 1) * sizeof *m->damages);
    m->damages[m->n_damages] = (struct damage){.object = xstrdup(object), .why = xstrdup(why)};
    return &m->damages[m->n_damages++];
}

void verify_made_free(struct verify_made *m)
{
    for (size_t i = 0; i < m->n_damages; i++) {
        for (size_t k = 0; k < m->damages[i].n_harms; k++)
            free(m->damages[i].harms[k].path);
        free(m->damages[i].harms);
        free(m->damages[i].object);
        free(m->damages[i].why);
    }
    free(m->damages);
    *m = (struct verify_made){0};
}

/* Damage is a finding; anything else stops the verification. */
static int judge(struct check *c, const char *key, int rc, struct err *err)
{
    if (rc == 0)
        return 0;
    if (err->code == ERR_NOT_FOUND)
        return 0; /* expired between listing and reading; a backup that needs it will miss it */
    if (err->code != ERR_CORRUPT && err->code != ERR_FOREIGN && err->code != ERR_UNSUPPORTED)
        return -1;
    pthread_mutex_lock(&c->lock);
    add_damage(c, key, err->msg);
    pthread_mutex_unlock(&c->lock);
    err_clear(err);
    return 0;
}

/* ---- one object ---- */

static int decode_all(struct check *c, const char *key, const struct object_head *head,
                      struct buf *raw, uint64_t *chunks, struct err *err)
{
    AUTO(coder_free) struct coder *coder = NULL;
    AUTO(object_close) struct object_reader *r = NULL;

    TRY(repo_coder(c->q->repo, head->label, &coder, err));
    TRY(object_open(&r, repo_store(c->q->repo), key, head->kind, repo_id(c->q->repo), coder, err));
    for (uint32_t i = 0; i < object_chunks(r); i++) {
        TRY(stop_check(c->q->stop, err));
        TRY(object_read(r, i, raw, NULL, err));
        (*chunks)++;
    }
    return 0;
}

static bool worth_decoding(enum object_kind kind)
{
    return kind <= OBJECT_INFO; /* the others are read whole whenever they are used */
}

static int check_object(struct check *c, const char *key, void *buffer, struct buf *raw,
                        struct err *err)
{
    struct object_head head;
    uint64_t size = 0, chunks = 0;
    int rc = object_verify_at_rest(repo_store(c->q->repo), key, buffer, &size, &head, err);

    if (rc == 0 && memcmp(head.repo_id, repo_id(c->q->repo), sizeof head.repo_id) != 0)
        rc = err_set(err, ERR_FOREIGN, "\"%s\" belongs to another repository", key);
    if (rc == 0 && c->q->deep && worth_decoding(head.kind))
        rc = decode_all(c, key, &head, raw, &chunks, err);
    pthread_mutex_lock(&c->lock);
    c->made->objects++;
    c->made->bytes += size;
    c->made->chunks += chunks;
    pthread_mutex_unlock(&c->lock);
    atomic_fetch_add(&c->q->progress->bytes_done, size);
    atomic_fetch_add(&c->q->progress->files_done, 1);
    return judge(c, key, rc, err);
}

static int work(void *ctx, unsigned index, struct err *err)
{
    struct check *c = ctx;
    AUTO(mem_free) void *buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    AUTO(buf_free) struct buf raw = BUF_INIT;
    void *item;

    (void)index;
    while (queue_pop(c->keys, &item)) {
        AUTO(mem_free) char *key = item;

        TRY(stop_check(c->q->stop, err));
        TRY(check_object(c, key, buffer, &raw, err));
    }
    return 0;
}

/* ---- which objects ---- */

static int push_entry(void *ctx, const struct store_entry *e, struct err *err)
{
    struct check *c = ctx;
    char *key = xstrdup(e->key);

    if (queue_push(c->keys, key))
        return 0;
    free(key);
    return err_set(err, ERR_INTERRUPTED, "stopped");
}

static int push_key(struct check *c, const char *key, struct err *err)
{
    return push_entry(c, &(struct store_entry){.key = key}, err);
}

static int list_everything(struct check *c, struct err *err)
{
    struct store *s = repo_store(c->q->repo);
    AUTO(mem_free) char *prefix = xasprintf("%s/", repo_cluster(c->q->repo));

    TRY(push_key(c, name_descriptor(), err));
    TRY(store_list(s, "keys/", STORE_DEEP, push_entry, c, NULL, err));
    return store_list(s, prefix, STORE_DEEP, push_entry, c, NULL, err);
}

static int list_backup(struct check *c, struct err *err)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(buf_free) struct buf name = BUF_INIT;
    struct repo *r = c->q->repo;

    TRY(push_key(c, name_manifest(&name, repo_cluster(r), c->q->label), err));
    TRY(manifest_open(&m, r, c->q->label, err));
    for (uint32_t set = 1; set < manifest_sets(m); set++) {
        size_t n;
        const struct pack_info *packs = manifest_packs(m, set, &n);

        for (size_t i = 0; i < n; i++)
            TRY(push_key(
                c, name_pack(&name, repo_cluster(r), manifest_set(m, set), packs[i].number), err));
    }
    return 0;
}

static int list_thread(struct check *c, struct err *err)
{
    int rc = c->q->label != NULL ? list_backup(c, err) : list_everything(c, err);

    queue_close(c->keys);
    return rc;
}

static int thread(void *ctx, unsigned index, struct err *err)
{
    struct check *c = ctx;

    return index == c->q->workers ? list_thread(c, err) : work(c, index, err);
}

static void give_up(void *ctx)
{
    queue_cancel(((struct check *)ctx)->keys);
}

static int check_objects(struct check *c, struct err *err)
{
    struct workers *workers = NULL;
    int64_t next = clock_monotonic_us() + SHOW_EVERY_US;

    TRY(workers_start(&workers, c->q->workers + 1, thread, c, give_up, err));
    while (workers_running(workers)) {
        clock_sleep_ms(WATCH_MS);
        if (clock_monotonic_us() < next)
            continue;
        next = clock_monotonic_us() + SHOW_EVERY_US;
        progress_show(c->q->progress);
    }
    return workers_join(&workers, err);
}

/* ---- completeness ---- */

static int check_pack(struct check *c, const char *key, const struct pack_info *pack,
                      struct err *err)
{
    struct store_entry e;

    if (store_stat(repo_store(c->q->repo), key, &e, err) != 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        err_clear(err);
        add_damage(c, key, "it is missing");
    } else if (e.size != pack->size) {
        AUTO(mem_free)
        char *why = xasprintf("it has %llu bytes, the manifest says %llu",
                              (unsigned long long)e.size, (unsigned long long)pack->size);
        add_damage(c, key, why);
    }
    return 0;
}

static int check_backup(struct check *c, const char *label, struct err *err)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(buf_free) struct buf name = BUF_INIT;
    struct repo *r = c->q->repo;

    if (manifest_open(&m, r, label, err) != 0)
        return judge(c, name_manifest(&name, repo_cluster(r), label), -1, err);
    c->made->backups++;
    for (uint32_t set = 1; set < manifest_sets(m); set++) {
        size_t n;
        const struct pack_info *packs = manifest_packs(m, set, &n);

        for (size_t i = 0; i < n; i++)
            TRY(check_pack(c,
                           name_pack(&name, repo_cluster(r), manifest_set(m, set), packs[i].number),
                           &packs[i], err));
    }
    return 0;
}

static void broken_backup(void *ctx, const char *label, const struct err *why)
{
    struct check *c = ctx;
    AUTO(buf_free) struct buf name = BUF_INIT;

    add_damage(c, name_manifest(&name, repo_cluster(c->q->repo), label), why->msg);
}

static int check_backups(struct check *c, struct err *err)
{
    AUTO(backups_free) struct backup_list list = {0};

    if (c->q->label != NULL)
        return check_backup(c, c->q->label, err);
    TRY(backups_list(c->q->repo, &list, broken_backup, c, err));
    for (size_t i = 0; i < list.n; i++)
        TRY(check_backup(c, list.items[i].label, err));
    return 0;
}

/* The same object may have been found damaged by two ways of looking. */
static void merge_damages(struct verify_made *m)
{
    for (size_t i = 0; i < m->n_damages; i++) {
        for (size_t k = i + 1; k < m->n_damages;) {
            if (strcmp(m->damages[i].object, m->damages[k].object) != 0) {
                k++;
                continue;
            }
            free(m->damages[k].object);
            free(m->damages[k].why);
            m->damages[k] = m->damages[--m->n_damages];
        }
    }
}

int verify_run(const struct verify_request *q, struct verify_made *made, struct err *err)
{
    struct check c = {.q = q, .made = made, .lock = PTHREAD_MUTEX_INITIALIZER};
    int rc;

    *made = (struct verify_made){0};
    if (q->deep && repo_encrypted(q->repo) && repo_key(q->repo) == NULL)
        return err_set(err, ERR_KEY, "repository \"%s\": --deep needs the key", repo_name(q->repo));
    progress_begin(q->progress, "verify", q->progress->mode);
    c.keys = queue_new(QUEUE_SIZE, free);
    rc = check_objects(&c, err);
    queue_free(&c.keys);
    if (rc == 0)
        rc = check_backups(&c, err);
    if (rc == 0) {
        merge_damages(made);
        rc = harm_trace(q->repo, q->label, made, err);
    }
    progress_end(q->progress);
    if (rc != 0)
        verify_made_free(made);
    return rc;
}
