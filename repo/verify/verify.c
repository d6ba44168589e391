/*
 * verify.c - see verify.h: which objects, read by whom. Whether backups are complete is asked in
 * verify_backups.c; what damage means for files and pages, in harm.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/verify/harm.h"
#include "repo/verify/place.h"
#include "repo/verify/verify_form.h"

enum { QUEUE_SIZE = 64, WATCH_MS = 4, SHOW_EVERY_US = 1000000, SPAN_SEGMENTS_MAX = 1 << 20 };
/* Threads per worker: hashing is so much faster than any disk that one alone would mostly wait. */
enum { READERS = 4 };

/* ---- what was found ---- */

static void add_damage(struct verify_made *m, const char *object, const char *why)
{
    m->damages = xrealloc(m->damages, (m->n_damages + 1) * sizeof *m->damages);
    m->damages[m->n_damages++] = (struct damage){
        .object = xstrdup(object), .why = xstrdup(why), .spare = name_is_sum(object)};
}

void check_damaged(struct check *c, const char *object, const char *why)
{
    pthread_mutex_lock(&c->lock);
    add_damage(c->made, object, why);
    pthread_mutex_unlock(&c->lock);
}

static void damage_free(struct damage *d)
{
    for (size_t k = 0; k < d->n_harms; k++)
        free(d->harms[k].path);
    free(d->harms);
    free(d->object);
    free(d->why);
}

void verify_made_free(struct verify_made *m)
{
    for (size_t i = 0; i < m->n_damages; i++)
        damage_free(&m->damages[i]);
    free(m->damages);
    *m = (struct verify_made){0};
}

/* What is not found was expired between listing and reading; a backup that needs it misses it when
 * it is asked whether it is complete. */
int check_judge(struct check *c, const char *key, struct err *err)
{
    if (err->code != ERR_NOT_FOUND && err->code != ERR_CORRUPT && err->code != ERR_FOREIGN &&
        err->code != ERR_UNSUPPORTED)
        return -1;
    if (err->code != ERR_NOT_FOUND)
        check_damaged(c, key, err->msg);
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

static int look_at(struct check *c, const char *key, void *buffer, struct buf *raw, uint64_t *size,
                   uint64_t *chunks, struct err *err)
{
    struct object_head head;

    TRY(object_verify_at_rest(repo_store(c->q->repo), key, buffer, size, &head, err));
    if (memcmp(head.repo_id, repo_id(c->q->repo), sizeof head.repo_id) != 0)
        return err_set(err, ERR_FOREIGN, "object \"%s\" belongs to another repository", key);
    TRY(place_check(repo_cluster(c->q->repo), key, &head, err));
    if (!c->q->deep || !worth_decoding(head.kind))
        return 0;
    return decode_all(c, key, &head, raw, chunks, err);
}

static int check_object(struct check *c, const char *key, void *buffer, struct buf *raw,
                        struct err *err)
{
    uint64_t size = 0, chunks = 0;
    int rc = look_at(c, key, buffer, raw, &size, &chunks, err);

    pthread_mutex_lock(&c->lock);
    c->made->objects++;
    c->made->bytes += size;
    c->made->chunks += chunks;
    pthread_mutex_unlock(&c->lock);
    atomic_fetch_add(&c->q->progress->bytes_done, size);
    atomic_fetch_add(&c->q->progress->files_done, 1);
    return rc == 0 ? 0 : check_judge(c, key, err);
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
    TRY(store_list(s, "features/", STORE_DEEP, push_entry, c, NULL, err));
    return store_list(s, prefix, STORE_DEEP, push_entry, c, NULL, err);
}

static int list_packs(struct check *c, const struct manifest *m, struct err *err)
{
    AUTO(buf_free) struct buf name = BUF_INIT;

    for (uint32_t set = 1; set < manifest_sets(m); set++) {
        size_t n;
        const struct pack_info *packs = manifest_packs(m, set, &n);

        for (size_t i = 0; i < n; i++)
            TRY(push_key(
                c,
                name_pack(&name, repo_cluster(c->q->repo), manifest_set(m, set), packs[i].number),
                err));
    }
    return 0;
}

/* The WAL that the backup needs to become consistent. */
static int list_span(struct check *c, const struct pubinfo *p, const struct wal_span *s,
                     struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    uint64_t segno = lsn_segno(s->start, p->wal_segment_size);
    uint64_t last = lsn_last_segno(s->stop, p->wal_segment_size);
    char name[WAL_SEGMENT_NAME];

    if (last >= segno && last - segno > SPAN_SEGMENTS_MAX)
        return err_set(err, ERR_CORRUPT, "backup \"%s\" says that it needs %llu segments of WAL",
                       p->label, (unsigned long long)(last - segno));
    for (; segno <= last; segno++) {
        wal_segment_name(s->timeline, segno, p->wal_segment_size, name);
        TRY(name_wal(&key, repo_cluster(c->q->repo), p->system_id, p->pg_version / 10000, name,
                     err));
        TRY(push_key(c, key.p, err));
    }
    return 0;
}

/* A damaged manifest is a finding: it is met again when the backup is asked whether it is complete.
 */
static int list_backup(struct check *c, struct err *err)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(buf_free) struct buf name = BUF_INIT;
    const struct pubinfo *p;

    if (manifest_open(&m, c->q->repo, c->q->label, err) != 0) {
        if (err->code == ERR_NOT_FOUND)
            return -1;
        return check_judge(c, name_manifest(&name, repo_cluster(c->q->repo), c->q->label), err);
    }
    TRY(push_key(c, name_manifest(&name, repo_cluster(c->q->repo), c->q->label), err));
    TRY(list_packs(c, m, err));
    p = manifest_pub(m);
    for (uint32_t i = 0; i < p->n_spans; i++)
        TRY(list_span(c, p, &p->spans[i], err));
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

    return index == 0 ? list_thread(c, err) : work(c, index, err);
}

static void give_up(void *ctx)
{
    queue_cancel(((struct check *)ctx)->keys);
}

static int check_objects(struct check *c, struct err *err)
{
    struct workers *workers = NULL;
    int64_t next = clock_monotonic_us() + SHOW_EVERY_US;

    TRY(workers_start(&workers, c->q->workers * READERS + 1, thread, c, give_up, err));
    while (workers_running(workers)) {
        clock_sleep_ms(WATCH_MS);
        if (clock_monotonic_us() < next)
            continue;
        next = clock_monotonic_us() + SHOW_EVERY_US;
        progress_show(c->q->progress);
    }
    return workers_join(&workers, err);
}

/* ---- all of it ---- */

static int by_object(const void *a, const void *b)
{
    const struct damage *x = a, *y = b;
    int order = strcmp(x->object, y->object);

    return order != 0 ? order : strcmp(x->why, y->why);
}

/* The same object may have been found damaged by two ways of looking, or be missed by many backups.
 */
static void merge_damages(struct verify_made *m)
{
    size_t kept = 0;

    if (m->n_damages != 0)
        qsort(m->damages, m->n_damages, sizeof *m->damages, by_object);
    for (size_t i = 0; i < m->n_damages; i++) {
        if (kept != 0 && strcmp(m->damages[kept - 1].object, m->damages[i].object) == 0)
            damage_free(&m->damages[i]);
        else
            m->damages[kept++] = m->damages[i];
    }
    m->n_damages = kept;
}

void verify_made_add(struct verify_made *m, const char *object, const char *why)
{
    for (size_t i = 0; i < m->n_damages; i++)
        if (strcmp(m->damages[i].object, object) == 0)
            return;
    add_damage(m, object, why);
    merge_damages(m);
}

static int run(struct check *c, struct err *err)
{
    TRY(check_objects(c, err));
    TRY(check_backups(c, err));
    merge_damages(c->made);
    return harm_trace(c->q->repo, c->q->label, c->made, err);
}

int verify_run(const struct verify_request *q, struct verify_made *made, struct err *err)
{
    struct check c = {.q = q, .made = made, .lock = PTHREAD_MUTEX_INITIALIZER};
    int rc;

    *made = (struct verify_made){0};
    if (q->deep && repo_encrypted(q->repo) && repo_key(q->repo) == NULL)
        return err_set(err, ERR_KEY, "repository \"%s\": to decode what it holds needs the key",
                       repo_name(q->repo));
    progress_begin(q->progress, "verify", q->progress->mode);
    c.keys = queue_new(QUEUE_SIZE, free);
    rc = run(&c, err);
    queue_free(&c.keys);
    check_sets_free(&c);
    progress_end(q->progress);
    if (rc != 0)
        verify_made_free(made);
    return rc;
}
