#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/queue.h"
#include "repo/pack/pack.h"
#include "tests/unit/repo/sample_repo.h"

enum { RAW = 128 << 10, PACK_SIZE = 1 << 20 };

static struct err err;
static const struct set_identity identity = {SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, 2};

/* Content that does not compress, so that packs fill. */
static void fill(uint8_t *raw, size_t len, uint64_t seed)
{
    uint64_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i + 8 <= len; i += 8) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        put_u64(raw + i, x ^ x >> 29);
    }
}

static struct set *new_set(struct sample_repo *s, const char *label)
{
    struct set *set = NULL;

    OK(set_new(&set, s->repo, label, &identity, &err), &err);
    return set;
}

static void add_chunk(struct packer *p, const char *path, uint32_t n, struct place *at)
{
    AUTO(mem_free) uint8_t *raw = xmalloc(RAW);
    const struct block_run run = {n * 16, 16};
    const struct chunk_note note = {.path = path, .file_size = 1 << 20, .runs = &run, .n_runs = 1};

    fill(raw, RAW, n);
    OK(packer_add(p, CHUNK_PAGES, 16, raw, RAW, &note, NULL, at, &err), &err);
}

/* n chunks by one packer. */
static void write_chunks(struct set *set, const char *path, uint32_t n, struct place *at)
{
    AUTO(packer_free) struct packer *p = NULL;

    OK(packer_new(&p, set, OBJECT_PACK, &err), &err);
    for (uint32_t i = 0; i < n; i++)
        add_chunk(p, path, i, &at[i]);
    OK(packer_finish(p, &err), &err);
    OK(packer_finish(p, &err), &err); /* nothing is open any more: nothing happens */
}

static void chunk_is(struct pack_reader *r, const char *label, const struct place *at, uint32_t n)
{
    AUTO(mem_free) uint8_t *want = xmalloc(RAW), *got = xmalloc(RAW);
    uint32_t items;
    size_t len;

    fill(want, RAW, n);
    OK(pack_read_chunk(r, label, at->pack, at->chunk, CHUNK_PAGES, got, RAW, &len, &items, &err),
       &err);
    assert_int_equal(len, RAW);
    assert_int_equal(items, 16);
    assert_memory_equal(got, want, RAW);
}

static void what_was_packed_is_read_back_in_any_order(void **state)
{
    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        struct sample_repo s;
        struct place at[50];
        AUTO(pack_reader_free) struct pack_reader *r = NULL;
        AUTO(set_free) struct set *set = NULL;
        const struct pack_info *packs;
        uint64_t bytes = 0;
        size_t n;
        sample_repo_begin(&s, encrypted, PACK_SIZE);
        set = new_set(&s, SAMPLE_LABEL);
        write_chunks(set, "data/base/5/1259", 50, at);
        packs = set_packs(set, &n);
        assert_in_range(n, 6, 8); /* 50 * 128 KiB in packs of about 1 MiB */
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(packs[i].number, i);
            bytes += packs[i].size;
        }
        assert_int_equal(set_stored_bytes(set), bytes);
        OK(set_check_listing(set, &err), &err);
        OK(pack_reader_new(&r, s.repo, &err), &err);
        for (uint32_t i = 0; i < 50; i++)
            chunk_is(r, SAMPLE_LABEL, &at[i], i);
        for (uint32_t i = 0; i < 50; i++)
            chunk_is(r, SAMPLE_LABEL, &at[i * 7 % 50], i * 7 % 50);
        pack_reader_free(&r);
        set_free(&set);
        sample_repo_end(&s);
    }
}

/* More sets than a reader keeps coders for. */
static void chunks_of_many_sets_are_read_by_one_reader(void **state)
{
    struct sample_repo s;
    char labels[20][LABEL_SIZE + 1];
    struct place at[20][3];
    AUTO(pack_reader_free) struct pack_reader *r = NULL;

    (void)state;
    sample_repo_begin(&s, true, PACK_SIZE);
    for (int i = 0; i < 20; i++) {
        AUTO(set_free) struct set *set = NULL;
        snprintf(labels[i], sizeof labels[i], "20261122T1405%02dZ-I-0a1b2c", i);
        set = new_set(&s, labels[i]);
        write_chunks(set, "data/base/5/1259", 3, at[i]);
    }
    OK(pack_reader_new(&r, s.repo, &err), &err);
    for (uint32_t k = 0; k < 3; k++)
        for (int i = 0; i < 20; i++)
            chunk_is(r, labels[i], &at[i][k], k);
    pack_reader_free(&r);
    sample_repo_end(&s);
}

struct crowd {
    struct set *set;
    struct place at[4][20];
};

static int crowd_work(void *ctx, unsigned index, struct err *e)
{
    struct crowd *c = ctx;

    (void)e;
    write_chunks(c->set, "data/base/5/1259", 20, c->at[index]);
    return 0;
}

static void workers_fill_packs_of_their_own_in_one_set(void **state)
{
    struct sample_repo s;
    struct crowd c = {0};
    struct workers *workers = NULL;
    AUTO(pack_reader_free) struct pack_reader *r = NULL;
    size_t n;

    (void)state;
    sample_repo_begin(&s, false, PACK_SIZE);
    c.set = new_set(&s, SAMPLE_LABEL);
    OK(workers_start(&workers, 4, crowd_work, &c, NULL, &err), &err);
    OK(workers_join(&workers, &err), &err);
    OK(set_check_listing(c.set, &err), &err);
    for (uint32_t i = 0; i < (set_packs(c.set, &n), n); i++)
        assert_int_equal(set_packs(c.set, &n)[i].number, i);
    OK(pack_reader_new(&r, s.repo, &err), &err);
    for (int w = 0; w < 4; w++)
        for (uint32_t i = 0; i < 20; i++)
            chunk_is(r, SAMPLE_LABEL, &c.at[w][i], i);
    pack_reader_free(&r);
    set_free(&c.set);
    sample_repo_end(&s);
}

static void a_pack_ends_before_its_chunks_outnumber_addresses(void **state)
{
    struct sample_repo s;
    AUTO(set_free) struct set *set = NULL;
    AUTO(packer_free) struct packer *p = NULL;
    const struct block_run run = {0, 1};
    const struct chunk_note note = {.path = "data/a", .file_size = 1, .runs = &run, .n_runs = 1};
    struct place at;
    size_t n;

    (void)state;
    sample_repo_begin(&s, false, 0);
    set = new_set(&s, SAMPLE_LABEL);
    OK(packer_new(&p, set, OBJECT_PACK, &err), &err);
    for (uint32_t i = 0; i < 5000; i++) {
        OK(packer_add(p, CHUNK_PAGES, 1, "x", 1, &note, NULL, &at, &err), &err);
        assert_in_range(at.chunk, 0, (1 << MAP_CHUNK_BITS) - 2);
    }
    assert_int_equal(at.pack, 1);
    OK(packer_finish(p, &err), &err);
    assert_int_equal(set_packs(set, &n)[0].chunks, OBJECT_CHUNKS_MAX);
    assert_int_equal(n, 2);
    packer_free(&p);
    set_free(&set);
    sample_repo_end(&s);
}

static void a_pack_says_what_it_holds(void **state)
{
    struct sample_repo s;
    struct place at[3];
    AUTO(set_free) struct set *set = NULL;
    AUTO(pack_reader_free) struct pack_reader *r = NULL;
    AUTO(contents_free) struct contents c = {0};
    AUTO(mem_free) uint8_t *raw = xmalloc(RAW);
    struct hash128 hash;

    (void)state;
    sample_repo_begin(&s, true, PACK_SIZE);
    set = new_set(&s, SAMPLE_LABEL);
    write_chunks(set, "data/base/5/1259", 3, at);
    OK(pack_reader_new(&r, s.repo, &err), &err);
    OK(pack_read_contents(r, SAMPLE_LABEL, 0, &c, &err), &err);
    assert_int_equal(c.id.system_id, SAMPLE_SYSTEM_ID);
    assert_int_equal(c.id.timeline, 2);
    assert_int_equal(c.n_chunks, 3);
    assert_string_equal(c.paths[c.chunks[2].path], "data/base/5/1259");
    assert_int_equal(c.runs[c.chunks[2].first_run].first, 32);
    fill(raw, RAW, 2);
    hash = hash128(raw, RAW);
    assert_memory_equal(c.chunks[2].hash.bytes, hash.bytes, HASH128_SIZE);
    pack_reader_free(&r);
    set_free(&set);
    sample_repo_end(&s);
}

static void metadata_packs_hold_tables_and_no_contents(void **state)
{
    struct sample_repo s;
    AUTO(set_free) struct set *set = NULL;
    AUTO(packer_free) struct packer *p = NULL;
    AUTO(pack_reader_free) struct pack_reader *r = NULL;
    struct contents c;
    struct place at;
    char got[8];
    size_t len, n;

    (void)state;
    sample_repo_begin(&s, true, PACK_SIZE);
    set = new_set(&s, SAMPLE_LABEL);
    OK(packer_new(&p, set, OBJECT_META_PACK, &err), &err);
    OK(packer_add(p, CHUNK_MAP, 1, "map", 3, NULL, NULL, &at, &err), &err);
    OK(packer_finish(p, &err), &err);
    assert_int_equal(set_packs(set, &n)[0].chunks, 1);
    OK(pack_reader_new(&r, s.repo, &err), &err);
    OK(pack_read_chunk(r, SAMPLE_LABEL, at.pack, at.chunk, CHUNK_MAP, got, 8, &len, NULL, &err),
       &err);
    assert_int_equal(len, 3);
    assert_memory_equal(got, "map", 3);
    /* and they are not mistaken for data */
    FAILS(pack_read_chunk(r, SAMPLE_LABEL, at.pack, at.chunk, CHUNK_FILETAB, got, 8, &len, NULL,
                          &err),
          &err, ERR_CORRUPT);
    pack_reader_free(&r);
    OK(pack_reader_new(&r, s.repo, &err), &err);
    FAILS(pack_read_contents(r, SAMPLE_LABEL, at.pack, &c, &err), &err, ERR_CORRUPT);
    packer_free(&p);
    pack_reader_free(&r);
    set_free(&set);
    sample_repo_end(&s);
}

static void an_abandoned_pack_leaves_nothing(void **state)
{
    struct sample_repo s;
    AUTO(set_free) struct set *set = NULL;
    struct packer *p = NULL;
    struct place at;
    size_t n;

    (void)state;
    sample_repo_begin(&s, false, PACK_SIZE);
    set = new_set(&s, SAMPLE_LABEL);
    OK(packer_new(&p, set, OBJECT_PACK, &err), &err);
    add_chunk(p, "data/a", 0, &at);
    packer_free(&p);
    set_packs(set, &n);
    assert_int_equal(n, 0);
    assert_int_equal(set_stored_bytes(set), 0);
    OK(set_check_listing(set, &err), &err);
    set_free(&set);
    sample_repo_end(&s);
}

#define PACK_KEY(n) "main/data/" SAMPLE_LABEL "/00000/0000000" #n

/* What happened to the set behind the writer's back, and what its check says. */
static void missing(struct store *s)
{
    static const char *const keys[] = {PACK_KEY(1)};
    OK(store_delete(s, keys, 1, &err), &err);
}
static void missing_last(struct store *s)
{
    static const char *const keys[] = {PACK_KEY(2)};
    OK(store_delete(s, keys, 1, &err), &err);
}
static void shorter(struct store *s)
{
    OK(store_put(s, PACK_KEY(1), STORE_REPLACE, "x", 1, &err), &err);
}
static void foreign(struct store *s)
{
    OK(store_put(s, PACK_KEY(9), STORE_REPLACE, "x", 1, &err), &err);
}
static void between(struct store *s)
{
    OK(store_put(s, "main/data/" SAMPLE_LABEL "/00000/000000015", STORE_REPLACE, "x", 1, &err),
       &err);
}

static void a_set_that_is_not_as_it_was_written_is_noticed(void **state)
{
    static const struct {
        void (*change)(struct store *s);
        enum err_code code;
        const char *says;
    } cases[] = {
        {missing, ERR_CORRUPT, "00000001\" was written but is not listed"},
        {missing_last, ERR_CORRUPT, "was written but is not listed"},
        {shorter, ERR_CORRUPT, "is listed with 1 bytes"},
        {foreign, ERR_CONFLICT, "did not write it"},
        {between, ERR_CORRUPT, "is not listed"},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct sample_repo s;
        struct place at[20];
        struct set *set;
        size_t n;
        sample_repo_begin(&s, false, PACK_SIZE);
        set = new_set(&s, SAMPLE_LABEL);
        write_chunks(set, "data/a", 20, at);
        set_packs(set, &n);
        assert_int_equal(n, 3);
        OK(set_check_listing(set, &err), &err);
        cases[i].change(s.store);
        FAILS(set_check_listing(set, &err), &err, cases[i].code);
        assert_non_null(strstr(err.msg, cases[i].says));
        set_free(&set);
        sample_repo_end(&s);
    }
}

static void copy_object(struct store *s, const char *from, const char *to)
{
    AUTO(buf_free) struct buf whole = BUF_INIT;

    OK(store_read(s, from, 1 << 30, &whole, &err), &err);
    OK(store_put(s, to, STORE_REPLACE, whole.p, whole.len, &err), &err);
}

/* Swapped, replayed or damaged packs are refused, and the message names the pack. */
static void a_pack_in_the_place_of_another_is_refused(void **state)
{
    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        struct sample_repo s;
        AUTO(set_free) struct set *set = NULL, *other = NULL;
        AUTO(pack_reader_free) struct pack_reader *r = NULL;
        struct place at[20];
        size_t len;
        AUTO(mem_free) uint8_t *got = xmalloc(RAW);

        sample_repo_begin(&s, encrypted, PACK_SIZE);
        set = new_set(&s, SAMPLE_LABEL);
        other = new_set(&s, SAMPLE_OLDER);
        write_chunks(set, "data/a", 20, at);
        write_chunks(other, "data/a", 20, at);
        copy_object(s.store, PACK_KEY(0), PACK_KEY(1));
        copy_object(s.store, "main/data/" SAMPLE_OLDER "/00000/00000002", PACK_KEY(2));
        sample_repo_damage(&s, PACK_KEY(0), 5000);
        OK(pack_reader_new(&r, s.repo, &err), &err);
        for (uint32_t pack = 0; pack < 3; pack++) {
            assert_int_equal(
                pack_read_chunk(r, SAMPLE_LABEL, pack, 0, CHUNK_PAGES, got, RAW, &len, NULL, &err),
                -1);
            assert_true(err.code == ERR_CORRUPT || err.code == ERR_FOREIGN);
            assert_non_null(strstr(err.msg, SAMPLE_LABEL));
        }
        FAILS(pack_read_chunk(r, SAMPLE_LABEL, 7, 0, CHUNK_PAGES, got, RAW, &len, NULL, &err), &err,
              ERR_NOT_FOUND);
        FAILS(pack_read_chunk(r, SAMPLE_OLDER, 0, 4000, CHUNK_PAGES, got, RAW, &len, NULL, &err),
              &err, ERR_CORRUPT);
        FAILS(pack_read_chunk(r, SAMPLE_OLDER, 0, 0, CHUNK_PAGES, got, RAW - 1, &len, NULL, &err),
              &err, ERR_CORRUPT);
        OK(pack_read_chunk(r, SAMPLE_OLDER, 0, 0, CHUNK_PAGES, got, RAW, &len, NULL, &err), &err);
        pack_reader_free(&r);
        set_free(&set);
        set_free(&other);
        sample_repo_end(&s);
    }
}

static int write_and_check(struct repo *r)
{
    AUTO(set_free) struct set *set = NULL;
    AUTO(packer_free) struct packer *p = NULL;
    AUTO(mem_free) uint8_t *raw = xmalloc(RAW);
    const struct block_run run = {0, 16};
    const struct chunk_note note = {.path = "data/a", .runs = &run, .n_runs = 1};
    struct place at;

    OK(set_new(&set, r, SAMPLE_LABEL, &identity, &err), &err);
    TRY(packer_new(&p, set, OBJECT_PACK, &err));
    for (uint32_t i = 0; i < 20; i++) {
        fill(raw, RAW, i);
        TRY(packer_add(p, CHUNK_PAGES, 16, raw, RAW, &note, NULL, &at, &err));
    }
    TRY(packer_finish(p, &err));
    return set_check_listing(set, &err);
}

static int check_whole(void *ctx, const struct store_entry *e, struct err *why)
{
    AUTO(mem_free) void *buffer = xaligned(FS_ALIGN, FS_IO_SIZE);

    return object_verify_at_rest(ctx, e->key, buffer, NULL, NULL, why);
}

/* The nth call fails (negative: none), with or without having had its effect. How many calls there
 * were. */
static long with_fault(long nth, enum store_fault_kind kind)
{
    struct sample_repo s;
    struct store *flaky;
    struct repo *r;
    long calls;
    static long opening;

    sample_repo_begin(&s, false, PACK_SIZE);
    flaky = store_fault_new(s.store, nth < 0 ? -1 : opening + nth, kind);
    r = sample_repo_other(&s, flaky, REPO_OPEN_FULL);
    if (nth < 0)
        opening = store_fault_calls(flaky);
    err_clear(&err);
    if (write_and_check(r) != 0)
        assert_int_equal(err.code, ERR_UNREACHABLE);
    assert_true(nth >= 0 || err.code == ERR_NONE);
    calls = store_fault_calls(flaky) - opening;
    OK(store_list(s.store, "main/data/", STORE_DEEP, check_whole, s.store, NULL, &err), &err);
    repo_close(&r);
    sample_repo_end(&s);
    return calls;
}

static void a_failing_store_leaves_whole_packs_only(void **state)
{
    long calls = with_fault(-1, FAULT_BEFORE);

    (void)state;
    assert_in_range(calls, 10, 1000);
    for (long nth = 0; nth < calls; nth++) {
        with_fault(nth, FAULT_BEFORE);
        with_fault(nth, FAULT_AFTER);
    }
}

/* The last call before the listing commits the last pack. */
static void a_lost_reply_to_a_commit_does_no_harm(void **state)
{
    long calls = with_fault(-1, FAULT_BEFORE);

    (void)state;
    assert_true(with_fault(calls - 2, FAULT_AFTER) > calls);
    assert_int_equal(err.code, ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_is_read_back_in_any_order),
        cmocka_unit_test(chunks_of_many_sets_are_read_by_one_reader),
        cmocka_unit_test(workers_fill_packs_of_their_own_in_one_set),
        cmocka_unit_test(a_pack_ends_before_its_chunks_outnumber_addresses),
        cmocka_unit_test(a_pack_says_what_it_holds),
        cmocka_unit_test(metadata_packs_hold_tables_and_no_contents),
        cmocka_unit_test(an_abandoned_pack_leaves_nothing),
        cmocka_unit_test(a_set_that_is_not_as_it_was_written_is_noticed),
        cmocka_unit_test(a_pack_in_the_place_of_another_is_refused),
        cmocka_unit_test(a_failing_store_leaves_whole_packs_only),
        cmocka_unit_test(a_lost_reply_to_a_commit_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
