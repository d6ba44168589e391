/*
 * sums.c - how long it takes to find what changed over many segments of WAL, with sums and without.
 *
 *     sums CONFIG CLUSTER fill SEGMENTS     stores that many segments, each of which changes 2,000
 *                                           blocks of 20 relations (their WAL itself is left out)
 *     sums CONFIG CLUSTER collect SEGMENTS  finds the blocks that changed in all but the first 100
 *     sums CONFIG CLUSTER make              makes sums
 *
 * Prints seconds, and for collect how many blocks there are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"
#include "config/open.h"
#include "postgres/lsn.h"
#include "tests/lib/wal_make.h"
#include "wal/index/changed.h"
#include "wal/index/index.h"
#include "wal/index/sums.h"

#define SYSTEM_ID UINT64_C(7300000000000000001)
enum { MAJOR = 15, SEGMENT = 1 << 20, CHANGES = 2000, RELATIONS = 20, RELATION_BLOCKS = 100000 };
enum { FIRST = 256, WRITERS = 8, LEFT_OUT = 100 };

static struct repo *repo;

/* Where each segment's first record starts is kept for `collect`. */
static uint64_t fill_segment(struct wal_make *m, uint64_t segno, uint64_t last)
{
    static unsigned long long random = 1;

    wal_make_init(m, MAJOR, SYSTEM_ID, 1, SEGMENT, segno);
    m->last = last;
    for (int i = 0; i < CHANGES; i++) {
        struct wal_locator rel = {1663, 5, 16384};

        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        rel.rel += (uint32_t)(random >> 40) % RELATIONS;
        wal_make_change(m, rel, (uint32_t)(random >> 33) % RELATION_BLOCKS);
    }
    wal_make_switch(m);
    return m->last;
}

struct segment {
    char name[WAL_SEGMENT_NAME];
    struct buf index;
};

static void drop_segment(void *item)
{
    struct segment *s = item;

    buf_free(&s->index);
    free(s);
}

static int store(void *ctx, unsigned index, struct err *err)
{
    struct queue *q = ctx;
    void *item;

    (void)index;
    while (queue_pop(q, &item)) {
        struct segment *s = item;
        const struct wal_source src = {.system_id = SYSTEM_ID,
                                       .major = MAJOR,
                                       .file = s->name,
                                       .raw = s->name,
                                       .raw_len = sizeof s->name,
                                       .index = s->index.p,
                                       .index_len = s->index.len};
        enum wal_put done;
        int rc = wal_object_put(repo, &src, 1, &done, err);

        drop_segment(s);
        TRY(rc);
    }
    return 0;
}

static int make_segment(struct queue *q, uint64_t segno, uint64_t *last, struct err *err)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_index_free) struct wal_index ix;
    const struct wal_expect want = {SYSTEM_ID, segno * SEGMENT, 1};
    struct segment *s = xcalloc(1, sizeof *s);

    wal_index_init(&ix);
    *last = fill_segment(&m, segno, *last);
    TRY(wal_index_build(wal_make_segment(&m, 0), SEGMENT, &want, &ix, err));
    wal_index_write(&ix, &s->index);
    wal_segment_name(1, segno, SEGMENT, s->name);
    if (!queue_push(q, s))
        drop_segment(s);
    return 0;
}

static int fill(uint64_t segments, struct err *err)
{
    struct queue *q = queue_new(64, drop_segment);
    struct workers *workers;
    uint64_t last = 0;

    TRY(repo_accept(repo, SYSTEM_ID, MAJOR, err));
    TRY(workers_start(&workers, WRITERS, store, q, NULL, err));
    for (uint64_t i = 0; i < segments; i++)
        TRY(make_segment(q, FIRST + i, &last, err));
    queue_close(q);
    TRY(workers_join(&workers, err));
    queue_free(&q);
    return 0;
}

static int collect(uint64_t segments, struct err *err)
{
    AUTO(history_free) struct history h = HISTORY_INIT;
    AUTO(changed_free) struct changed *c = NULL;
    struct err doubt = {0};
    const struct changed_range range = {.place = {repo, SYSTEM_ID, MAJOR, SEGMENT},
                                        .history = &h,
                                        .from = (uint64_t)(FIRST + LEFT_OUT) * SEGMENT + 40,
                                        .to = (FIRST + segments) * SEGMENT,
                                        .data_fd = -1};

    history_root(1, &h);
    TRY(changed_collect(&range, &c, &doubt, err));
    if (c == NULL) {
        *err = doubt;
        return -1;
    }
    printf("%llu blocks, ", (unsigned long long)changed_sum(c).blocks);
    return 0;
}

static int make(struct err *err)
{
    const struct sums_request q = {.place = {repo, SYSTEM_ID, MAJOR, SEGMENT},
                                   .from = (uint64_t)(FIRST + LEFT_OUT) * SEGMENT,
                                   .small = SUM_SMALL,
                                   .large = SUM_LARGE};
    struct sums_made made;

    TRY(sums_make(&q, &made, err));
    printf("%llu sums, ", (unsigned long long)made.made);
    return 0;
}

static int run(int argc, char **argv, struct err *err)
{
    AUTO(config_free) struct config *conf = NULL;
    uint64_t segments = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    int64_t begun;
    int rc;

    TRY(config_load(argv[1], &conf, err));
    TRY(config_open_repo(conf, &conf->clusters[0], NULL, REPO_OPEN_FULL, &repo, err));
    begun = clock_monotonic_us();
    rc = strcmp(argv[3], "fill") == 0      ? fill(segments, err)
         : strcmp(argv[3], "collect") == 0 ? collect(segments, err)
                                           : make(err);
    printf("%.2f s\n", (double)(clock_monotonic_us() - begun) / 1e6);
    repo_close(&repo);
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = {0};

    log_setup(LOG_TEXT, LOG_WARNING);
    if (argc < 4)
        return 2;
    if (run(argc, argv, &err) == 0)
        return 0;
    fprintf(stderr, "%s\n", err.msg);
    return 1;
}
