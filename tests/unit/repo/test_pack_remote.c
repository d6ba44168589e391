/* Packs for a store that is far away: sent while the next one fills, one at a time. */
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/pack/pack.h"
#include "tests/unit/repo/sample_repo.h"

enum { RAW = 128 << 10, PACK_SIZE = 512 << 10, PACKS = 5, PATIENCE_US = 10000000 };

static struct err err;
static const struct set_identity identity = {SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, 2};

/* ---- a store whose commits of packs wait until one more pack was begun ---- */

static struct store_ops slow_ops;
static const struct store_ops *plain_ops;
static atomic_int begun, committed, under_way, most_under_way, gave_up, refuse_from;

static int slow_create(struct store *s, const char *key, enum store_mode mode,
                       struct store_writer **w, struct err *e)
{
    TRY(plain_ops->create(s, key, mode, w, e));
    atomic_fetch_add(&begun, 1);
    return 0;
}

static int slow_commit(struct store_writer *w, enum store_commit_mode mode, struct err *e)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int n = atomic_fetch_add(&committed, 1), busy = atomic_fetch_add(&under_way, 1) + 1;
    int64_t until = clock_monotonic_us() + PATIENCE_US;
    int rc;

    if (busy > atomic_load(&most_under_way))
        atomic_store(&most_under_way, busy);
    while (n + 1 < PACKS && atomic_load(&begun) < n + 2 && clock_monotonic_us() < until)
        nanosleep(&pause, NULL);
    if (clock_monotonic_us() >= until)
        atomic_fetch_add(&gave_up, 1);
    rc = n >= atomic_load(&refuse_from) ? err_set(e, ERR_DENIED, "the store is closed")
                                        : plain_ops->commit(w, mode, e);
    atomic_fetch_sub(&under_way, 1);
    return rc;
}

static void begin(struct sample_repo *s, struct set **set, int refuse)
{
    sample_repo_begin(s, true, PACK_SIZE);
    OK(set_new(set, s->repo, SAMPLE_LABEL, &identity, &err), &err);
    plain_ops = repo_store(s->repo)->ops;
    sample_make_remote(repo_store(s->repo), &slow_ops);
    slow_ops.create = slow_create;
    slow_ops.commit = slow_commit;
    slow_ops.put = NULL;
    atomic_store(&begun, 0);
    atomic_store(&committed, 0);
    atomic_store(&most_under_way, 0);
    atomic_store(&gave_up, 0);
    atomic_store(&refuse_from, refuse);
}

/* Content that does not compress, so that packs fill. */
static void fill(uint8_t *raw, uint64_t seed)
{
    uint64_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i + 8 <= RAW; i += 8) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        put_u64(raw + i, x ^ x >> 29);
    }
}

static int add(struct packer *p, uint32_t n, struct place *at)
{
    AUTO(mem_free) uint8_t *raw = xmalloc(RAW);
    const struct block_run run = {n * 16, 16};
    const struct chunk_note note = {
        .path = "data/a", .file_size = 1 << 20, .runs = &run, .n_runs = 1};

    fill(raw, n);
    return packer_add(p, CHUNK_PAGES, 16, raw, RAW, &note, NULL, at, &err);
}

static void the_next_pack_fills_while_one_is_sent(void **state)
{
    struct sample_repo s;
    struct set *set = NULL;
    AUTO(packer_free) struct packer *p = NULL;
    AUTO(pack_reader_free) struct pack_reader *r = NULL;
    AUTO(mem_free) uint8_t *want = xmalloc(RAW), *got = xmalloc(RAW);
    struct place at[64];
    uint32_t n = 0;
    size_t len, packs;

    (void)state;
    begin(&s, &set, PACKS);
    OK(packer_new(&p, set, OBJECT_PACK, &err), &err);
    while (n < LENGTH(at) && (n == 0 || at[n - 1].pack < PACKS - 1)) {
        OK(add(p, n, &at[n]), &err);
        n++;
    }
    OK(packer_finish(p, &err), &err);
    assert_int_equal(atomic_load(&committed), PACKS);
    assert_int_equal(atomic_load(&gave_up), 0);
    assert_int_equal(atomic_load(&most_under_way), 1);
    set_packs(set, &packs);
    assert_int_equal(packs, PACKS);
    OK(set_check_listing(set, &err), &err);
    OK(pack_reader_new(&r, s.repo, &err), &err);
    for (uint32_t i = 0; i < n; i++) {
        fill(want, i);
        OK(pack_read_chunk(r, SAMPLE_LABEL, at[i].pack, at[i].chunk, CHUNK_PAGES, got, RAW, &len,
                           NULL, &err),
           &err);
        assert_memory_equal(got, want, RAW);
    }
    pack_reader_free(&r);
    packer_free(&p);
    set_free(&set);
    sample_repo_end(&s);
}

/* Whichever pack is refused, somebody hears of it, and it is not taken for stored. */
static void a_pack_that_could_not_be_sent_is_told(void **state)
{
    (void)state;
    for (int refuse = 0; refuse < PACKS; refuse++) {
        struct sample_repo s;
        struct set *set = NULL;
        struct packer *p = NULL;
        struct place at = {0};
        size_t packs;
        int rc = 0;

        begin(&s, &set, refuse);
        OK(packer_new(&p, set, OBJECT_PACK, &err), &err);
        for (uint32_t n = 0; rc == 0 && at.pack < PACKS - 1; n++)
            rc = add(p, n, &at);
        if (rc == 0)
            rc = packer_finish(p, &err);
        FAILS(rc, &err, ERR_DENIED);
        assert_non_null(strstr(err.msg, SAMPLE_LABEL));
        packer_free(&p);
        set_packs(set, &packs);
        assert_int_equal(packs, refuse);
        set_free(&set);
        sample_repo_end(&s);
    }
}

static void giving_up_waits_for_what_is_on_its_way(void **state)
{
    struct sample_repo s;
    struct set *set = NULL;
    struct packer *p = NULL;
    struct place at = {0};

    (void)state;
    begin(&s, &set, PACKS);
    OK(packer_new(&p, set, OBJECT_PACK, &err), &err);
    for (uint32_t n = 0; at.pack == 0; n++)
        OK(add(p, n, &at), &err);
    packer_free(&p);
    assert_int_equal(atomic_load(&under_way), 0);
    assert_int_equal(atomic_load(&committed), 1);
    set_free(&set);
    sample_repo_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_pack_fills_while_one_is_sent),
        cmocka_unit_test(a_pack_that_could_not_be_sent_is_told),
        cmocka_unit_test(giving_up_waits_for_what_is_on_its_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
