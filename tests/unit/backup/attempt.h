/*
 * attempt.h - one attempt at backing a made-up data directory up into a repository in memory, step
 * by step, and reading what was committed back, byte for byte.
 */
#ifndef PGBR_TESTS_UNIT_BACKUP_ATTEMPT_H
#define PGBR_TESTS_UNIT_BACKUP_ATTEMPT_H

#include "backup/copy.h"
#include "backup/finish.h"
#include "base/clock.h"
#include "tests/unit/backup/data_dir.h"

struct attempt {
    const struct data_dir *dir;
    struct repo *repo;
    char *const *outside;
    size_t n_outside;
    unsigned workers;          /* 2 unless set */
    bool check_pages;          /* data checksums are on */
    uint64_t rate_limit;       /* none */
    struct stop *stop;         /* nobody */
    struct err *tend_err;      /* the session is lost with this */
    const char *base;          /* label of the backup it builds on; NULL: a full one */
    struct changed *changed;   /* since then; taken over */
    struct page_error *errors; /* as found in pages */
    uint32_t n_errors;
    /* what it makes */
    char label[LABEL_SIZE + 1];
    struct set *set;
    struct manifest_writer *manifest;
    struct increment increment;
    struct adoption *adoption;
    struct list_writer list;
    struct results results;
    struct scan_found found;
    struct copy_made copied;
    struct finished finished;
    struct progress progress;
};

static const struct set_identity attempt_id = {SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, 1};

static inline int attempt_tend(void *ctx, uint64_t *insert_lsn, struct err *err)
{
    const struct attempt *a = ctx;

    *insert_lsn = INSERT_LSN;
    if (a->tend_err == NULL)
        return 0;
    *err = *a->tend_err;
    return -1;
}

static inline struct copy_request attempt_request(struct attempt *a)
{
    return (struct copy_request){.data_fd = a->dir->fd,
                                 .data_dir = a->dir->path,
                                 .set = a->set,
                                 .adoption = a->adoption,
                                 .list = &a->list,
                                 .results = &a->results,
                                 .increment = a->base != NULL ? &a->increment : NULL,
                                 .check_pages = a->check_pages,
                                 .start_lsn = START_LSN,
                                 .workers = a->workers != 0 ? a->workers : 2,
                                 .rate_limit = a->rate_limit,
                                 .stop = a->stop,
                                 .progress = &a->progress,
                                 .tend = attempt_tend,
                                 .tend_ctx = a};
}

static inline int attempt_base(struct attempt *a, struct err *err)
{
    if (a->base == NULL)
        return 0;
    a->increment.changed = TAKE(a->changed);
    TRY(manifest_open(&a->increment.base, a->repo, a->base, err));
    return increment_register(&a->increment, a->manifest, err);
}

/* Until the files are listed. */
static inline int attempt_list(struct attempt *a, struct err *err)
{
    a->list.fd = a->results.fd = a->results.map_fd = -1;
    TRY(label_make(a->label, a->base != NULL ? SET_INCR : SET_FULL, clock_now_us(), err));
    TRY(set_new(&a->set, a->repo, a->label, &attempt_id, err));
    TRY(manifest_begin(&a->manifest, a->set, err));
    TRY(attempt_base(a, err));
    TRY(adopt_open(&a->adoption, a->repo, &attempt_id, a->label, err));
    TRY(adopt_register(a->adoption, a->manifest, err));
    TRY(results_create(&a->results, a->dir->top, err));
    return data_scan(a->dir, SAMPLE_MAJOR, a->outside, a->n_outside, &a->list, &a->found, err);
}

static inline int attempt_control(struct attempt *a, const struct copy_request *q, struct err *err)
{
    AUTO(list_end) struct list_reader r = {.fd = -1};
    struct listed e;

    list_begin(&r, &a->list);
    while (list_next(&r, &e, err) == 1)
        if (strcmp(e.path, "data/"
                           "global/pg_control") == 0)
            return copy_bytes(q, a->copied.packer, e.path, e.number, e.mtime_s, "copied by itself",
                              16, err);
    return err_set(err, ERR_NOT_FOUND, "there is no pg_control");
}

static inline int attempt_copy(struct attempt *a, struct err *err)
{
    struct copy_request q = attempt_request(a);

    TRY(copy_run(&q, &a->copied, err));
    TRY(attempt_control(a, &q, err));
    return packer_finish(a->copied.packer, err);
}

static inline int attempt_commit(struct attempt *a, struct err *err)
{
    static char cluster[] = "main", nothing[] = "";
    struct wal_span span = {1, START_LSN, INSERT_LSN};
    struct backup_info info = {
        .checksums = a->check_pages, .errors = a->errors, .n_errors = a->n_errors};
    struct pubinfo pub = {.type = a->base != NULL ? BACKUP_INCR : BACKUP_FULL,
                          .cluster = cluster,
                          .instance = nothing,
                          .host = nothing,
                          .tool = nothing,
                          .system_id = SAMPLE_SYSTEM_ID,
                          .pg_version = SAMPLE_MAJOR * 10000,
                          .timeline = 1,
                          .start_lsn = span.start,
                          .stop_lsn = span.stop,
                          .start_us = 1,
                          .stop_us = 2,
                          .page_size = PAGE,
                          .wal_segment_size = 16 << 20,
                          .spans = &span,
                          .n_spans = 1,
                          .page_errors = a->n_errors};

    if (a->base != NULL)
        memcpy(pub.base, a->base, sizeof pub.base);
    memcpy(pub.label, a->label, sizeof pub.label);
    TRY(finish_entries(a->manifest, &a->list, &a->results, &a->finished, err));
    TRY(manifest_flush(a->manifest, err));
    TRY(set_check_listing(a->set, err));
    pub.files = a->finished.files;
    pub.raw_bytes = a->finished.bytes;
    return manifest_commit(a->manifest, &pub, &info, err);
}

static inline int attempt_all(struct attempt *a, struct err *err)
{
    TRY(attempt_list(a, err));
    TRY(attempt_copy(a, err));
    return attempt_commit(a, err);
}

static inline void attempt_free(struct attempt *a)
{
    copy_made_free(&a->copied);
    manifest_abandon(&a->manifest);
    adopt_free(&a->adoption);
    increment_free(&a->increment);
    changed_free(&a->changed);
    set_free(&a->set);
    list_free(&a->list);
    results_free(&a->results);
    finished_free(&a->finished);
    data_found_free(&a->found);
}

/* ---- reading back ---- */

struct back {
    struct manifest *manifest;
    struct pack_reader *reader;
    uint8_t chunk[BUNDLE_SIZE]; /* room for pages as well */
    uint32_t set;               /* what lies in chunk; 0: nothing */
    struct place at;
    size_t len;
};

static inline struct back *back_open(struct repo *repo, const char *label)
{
    struct back *b = xcalloc(1, sizeof *b);
    struct err err = {0};

    OK(manifest_open(&b->manifest, repo, label, &err), &err);
    OK(pack_reader_new(&b->reader, repo, &err), &err);
    return b;
}

static inline void back_close(struct back **b)
{
    manifest_close(&(*b)->manifest);
    pack_reader_free(&(*b)->reader);
    free(*b);
    *b = NULL;
}

static inline void back_chunk(struct back *b, uint32_t set, struct place at, enum chunk_type type)
{
    struct err err = {0};
    uint32_t items;

    if (b->set == set && b->at.pack == at.pack && b->at.chunk == at.chunk)
        return;
    OK(pack_read_chunk(b->reader, manifest_set(b->manifest, set), at.pack, at.chunk, type, b->chunk,
                       sizeof b->chunk, &b->len, &items, &err),
       &err);
    b->set = set;
    b->at = at;
}

static inline void back_pages(struct back *b, const struct extent *e, uint64_t size,
                              struct buf *out)
{
    static const uint8_t zeros[PAGE];

    for (uint32_t i = 0; i < e->count; i++) {
        size_t len = (size_t)MIN_OF((uint64_t)PAGE, size - out->len);
        uint64_t addr = e->addr + i;
        size_t at = (size_t)addr_page(addr) * PAGE;

        if (e->set == SET_ZERO) {
            buf_add(out, zeros, len);
            continue;
        }
        back_chunk(b, e->set, (struct place){addr_pack(addr), addr_chunk(addr)}, CHUNK_PAGES);
        assert_true(at + len <= b->len);
        buf_add(out, b->chunk + at, len);
    }
}

static inline void back_map(struct back *b, const struct entry *e, struct buf *out)
{
    AUTO(map_end) struct map_walk w;
    struct extent extent;
    struct err err = {0};
    int more;

    OK(map_begin(&w, e->map, e->map_len, manifest_sets(b->manifest), &err), &err);
    assert_int_equal(w.length, e->size);
    while ((more = map_next(&w, &extent, &err)) == 1)
        back_pages(b, &extent, e->size, out);
    OK(more, &err);
}

/* The file's content as stored. */
static inline void back_file(struct back *b, const struct entry *e, struct buf *out)
{
    buf_clear(out);
    if (e->place == PLACE_MAP) {
        back_map(b, e, out);
    } else if (e->place == PLACE_BUNDLE) {
        back_chunk(b, e->set, (struct place){e->pack, e->chunk}, CHUNK_BUNDLE);
        assert_true(e->offset + e->size <= b->len);
        buf_add(out, b->chunk + e->offset, (size_t)e->size);
    }
    assert_int_equal(out->len, e->size);
    assert_int_equal(e->crc_unknown ? 0 : crc32c(0, out->p, out->len), e->crc32c);
}

/* Calls fn for each file of the backup. */
static inline void back_each(struct repo *repo, const char *label,
                             void (*fn)(void *ctx, const struct entry *e, const struct buf *bytes),
                             void *ctx)
{
    AUTO(back_close) struct back *b = back_open(repo, label);
    AUTO(entry_walk_end) struct entry_walk *walk = NULL;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct err err = {0};
    struct entry e;
    int more;

    OK(entry_walk_begin(&walk, b->manifest, &err), &err);
    while ((more = entry_walk_next(walk, &e, &err)) == 1) {
        if (e.type != ENTRY_FILE)
            continue;
        back_file(b, &e, &bytes);
        fn(ctx, &e, &bytes);
    }
    OK(more, &err);
}

struct back_count {
    const struct data_dir *dir;
    unsigned files, mapped, bundled, empty;
};

static inline void back_compare(void *ctx, const struct entry *e, const struct buf *bytes)
{
    struct back_count *n = ctx;
    AUTO(buf_free) struct buf want = BUF_INIT;
    struct err err = {0};
    bool config = strncmp(e->path, "config/", 7) == 0;

    OK(fs_read_file(n->dir->fd, e->path + (config ? 6 : 5), SIZE_MAX / 2, &want, &err), &err);
    if (want.len != bytes->len || (want.len != 0 && memcmp(want.p, bytes->p, want.len) != 0))
        fail_msg("\"%s\" differs", e->path);
    n->files++;
    n->mapped += e->place == PLACE_MAP;
    n->bundled += e->place == PLACE_BUNDLE;
    n->empty += e->place == PLACE_EMPTY;
}

/* Every file of the backup is as it lies in the data directory. */
static inline struct back_count back_same(struct repo *repo, const char *label,
                                          const struct data_dir *dir)
{
    struct back_count n = {.dir = dir};

    back_each(repo, label, back_compare, &n);
    return n;
}

struct back_wanted {
    const char *path;
    struct buf *out;
    bool found;
};

static inline void back_pick(void *ctx, const struct entry *e, const struct buf *bytes)
{
    struct back_wanted *w = ctx;

    if (strcmp(e->path, w->path) != 0)
        return;
    w->found = true;
    buf_clear(w->out);
    buf_add(w->out, bytes->p, bytes->len);
}

/* One file; false: it is not in the backup. */
static inline bool back_one(struct repo *repo, const char *label, const char *path, struct buf *out)
{
    struct back_wanted w = {path, out, false};

    back_each(repo, label, back_pick, &w);
    return w.found;
}

#endif
