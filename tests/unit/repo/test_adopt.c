/* test_adopt.c - what an interrupted backup stored is found again, what may go away is not. */
#include "repo/reuse/adopt.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/lease/lease.h"
#include "repo/store/store_driver.h"
#include "tests/lib/repo_fixture.h"
#include "tests/lib/test.h"

enum { CHUNK = 16 << 10, CHUNKS = 40, BUNDLES = 3, HOUR = 3600 };

static const struct set_identity identity = {0x6512345678901234, 15, 3};
static struct err err;
static struct repo *repo;

static int begin_with(struct repo_options o, void **state)
{
    if (fixture_begin(state) != 0)
        return -1;
    log_setup(LOG_TEXT, LOG_ERROR);
    if (o.encrypted)
        o.secret.key_file = fixture_key_file;
    o.pack_size = 128 << 10; /* several packs */
    fixture_init(&o, true);
    repo = fixture_opened(&o, REPO_OPEN_FULL);
    return 0;
}

static int begin(void **state)
{
    return begin_with(fixture_plain(), state);
}

static int begin_encrypted(void **state)
{
    return begin_with(fixture_encrypted(), state);
}

static int end(void **state)
{
    repo_close(&repo);
    return fixture_end(state);
}

/* ---- an interrupted backup ---- */

/* The same for the same seed, and not compressible. */
static void fill(uint8_t raw[CHUNK], uint64_t seed)
{
    for (size_t i = 0; i < CHUNK; i += 8) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        put_u64(raw + i, seed ^ seed >> 29);
    }
}

static const char *path_of(unsigned chunk)
{
    static const char *const paths[] = {"data/base/5/1259", "data/base/5/16384",
                                        "data/global/1260"};
    return paths[chunk * LENGTH(paths) / CHUNKS];
}

static void add_pages(struct packer *p, unsigned number, uint64_t seed)
{
    uint8_t raw[CHUNK];
    struct block_run run = {number * 2, 2};
    struct chunk_note note = {.path = path_of(number), .runs = &run, .n_runs = 1};
    struct place at;

    fill(raw, seed + number);
    OK(packer_add(p, CHUNK_PAGES, 2, raw, sizeof raw, &note, NULL, &at, &err), &err);
}

static void add_bundle(struct packer *p, unsigned number, uint64_t seed)
{
    uint8_t raw[CHUNK];
    struct bundle_part parts[] = {{"data/PG_VERSION", 0, 3}, {"data/x", 3, CHUNK - 3}};
    struct chunk_note note = {.parts = parts, .n_parts = 2};
    struct place at;

    fill(raw, ~seed + number);
    OK(packer_add(p, CHUNK_BUNDLE, 2, raw, sizeof raw, &note, NULL, &at, &err), &err);
}

static void write_set_of(const char *label, const struct set_identity *id, uint64_t seed)
{
    AUTO(set_free) struct set *set = NULL;
    AUTO(packer_free) struct packer *p = NULL;

    OK(set_new(&set, repo, label, id, &err), &err);
    OK(packer_new(&p, set, OBJECT_PACK, &err), &err);
    for (unsigned i = 0; i < CHUNKS; i++)
        add_pages(p, i, seed);
    for (unsigned i = 0; i < BUNDLES; i++)
        add_bundle(p, i, seed);
    OK(packer_finish(p, &err), &err);
}

static void make_label(char label[LABEL_SIZE + 1], enum set_kind kind, int64_t age_s)
{
    OK(label_make(label, kind, clock_now_us() - age_s * 1000000, &err), &err);
}

/* ---- the backup that goes on ---- */

struct next {
    char label[LABEL_SIZE + 1];
    struct set *set;
    struct manifest_writer *manifest;
    struct adoption *adoption;
};

static void next_free(struct next *n)
{
    adopt_free(&n->adoption);
    manifest_abandon(&n->manifest);
    set_free(&n->set);
}

static void next_open(struct next *n)
{
    make_label(n->label, SET_FULL, 0);
    OK(set_new(&n->set, repo, n->label, &identity, &err), &err);
    OK(manifest_begin(&n->manifest, n->set, &err), &err);
    OK(adopt_open(&n->adoption, repo, &identity, n->label, &err), &err);
}

static void next_register(struct next *n)
{
    OK(adopt_register(n->adoption, n->manifest, &err), &err);
}

static bool find_pages(const struct next *n, unsigned number, uint64_t seed, uint32_t *set,
                       struct place *at)
{
    uint8_t raw[CHUNK];
    struct hash128 hash;

    fill(raw, seed + number);
    hash = hash128(raw, sizeof raw);
    return adopt_find(n->adoption, path_of(number), number * 2, CHUNK, &hash, set, at);
}

static bool find_bundle(const struct next *n, unsigned number, uint64_t seed, uint32_t *set,
                        struct place *at)
{
    uint8_t raw[CHUNK];
    struct hash128 hash;

    fill(raw, ~seed + number);
    hash = hash128(raw, sizeof raw);
    return adopt_find(n->adoption, "", 0, CHUNK, &hash, set, at);
}

static unsigned count_found(const struct next *n, uint64_t seed)
{
    struct place at;
    unsigned found = 0;
    uint32_t set;

    for (unsigned i = 0; i < CHUNKS; i++)
        found += find_pages(n, i, seed, &set, &at);
    return found;
}

static void check_content(const char *label, const struct place *at, enum chunk_type type,
                          uint64_t seed)
{
    AUTO(pack_reader_free) struct pack_reader *r = NULL;
    uint8_t raw[CHUNK], stored[CHUNK];
    uint32_t items;
    size_t len;

    fill(raw, seed);
    OK(pack_reader_new(&r, repo, &err), &err);
    OK(pack_read_chunk(r, label, at->pack, at->chunk, type, stored, sizeof stored, &len, &items,
                       &err),
       &err);
    assert_int_equal(len, CHUNK);
    assert_memory_equal(stored, raw, CHUNK);
}

/* ---- tests ---- */

static void what_was_stored_is_found_at_its_place(void **state)
{
    AUTO(next_free) struct next n = {0};
    char label[LABEL_SIZE + 1];
    struct place at;
    uint32_t set;

    (void)state;
    make_label(label, SET_INCR, HOUR);
    write_set_of(label, &identity, 7);
    next_open(&n);
    assert_int_equal(adopt_sets(n.adoption), 1);
    assert_string_equal(adopt_set(n.adoption, 0), label);
    assert_int_equal(adopt_bytes(n.adoption), (CHUNKS + BUNDLES) * CHUNK);
    next_register(&n);
    for (unsigned i = 0; i < CHUNKS; i++) {
        assert_true(find_pages(&n, i, 7, &set, &at));
        assert_int_equal(set, 2); /* 0: zero pages, 1: its own */
        check_content(label, &at, CHUNK_PAGES, 7 + i);
    }
    for (unsigned i = 0; i < BUNDLES; i++) {
        assert_true(find_bundle(&n, i, 7, &set, &at));
        check_content(label, &at, CHUNK_BUNDLE, ~UINT64_C(7) + i);
    }
}

static void the_new_manifest_may_name_what_was_found(void **state)
{
    AUTO(next_free) struct next n = {0};
    char label[LABEL_SIZE + 1];
    struct place at;
    uint32_t set;

    (void)state;
    make_label(label, SET_FULL, HOUR);
    write_set_of(label, &identity, 7);
    next_open(&n);
    next_register(&n);
    for (unsigned i = 0; i < BUNDLES; i++) {
        char path[] = "data/file0";
        struct entry e = {.path = path,
                          .type = ENTRY_FILE,
                          .mode = 0600,
                          .user = "postgres",
                          .group = "postgres",
                          .size = 3,
                          .place = PLACE_BUNDLE};
        path[sizeof path - 2] = (char)('0' + i);
        assert_true(find_bundle(&n, i, 7, &set, &at));
        e.set = set;
        e.pack = at.pack;
        e.chunk = at.chunk;
        OK(manifest_add(n.manifest, &e, &err), &err);
    }
}

static unsigned confirmed;
static const struct store_ops *real_ops;

static int count_confirm(struct store *s, const char *key, struct err *why)
{
    __atomic_fetch_add(&confirmed, 1, __ATOMIC_RELAXED);
    return real_ops->confirm(s, key, why);
}

static int count_entry(void *ctx, const struct store_entry *entry, struct err *why)
{
    (void)entry;
    (void)why;
    ++*(unsigned *)ctx;
    return 0;
}

/* Who wrote them may have been killed before. */
static void all_packs_are_made_durable(void **state)
{
    AUTO(next_free) struct next n = {0};
    char label[LABEL_SIZE + 1];
    struct store *store = repo_store(repo);
    struct store_ops ops = *store->ops;
    unsigned packs = 0;

    (void)state;
    make_label(label, SET_FULL, HOUR);
    write_set_of(label, &identity, 7);
    OK(store_list(store, "main/data/", STORE_DEEP, count_entry, &packs, NULL, &err), &err);
    assert_true(packs > 2);
    real_ops = store->ops;
    ops.confirm = count_confirm;
    store->ops = &ops;
    confirmed = 0;
    next_open(&n);
    store->ops = real_ops;
    assert_int_equal(confirmed, packs);
}

static void anything_else_is_not_found(void **state)
{
    AUTO(next_free) struct next n = {0};
    char label[LABEL_SIZE + 1];
    uint8_t raw[CHUNK];
    struct hash128 hash;
    struct place at;
    uint32_t set;

    (void)state;
    make_label(label, SET_FULL, HOUR);
    write_set_of(label, &identity, 7);
    next_open(&n);
    fill(raw, 7);
    hash = hash128(raw, sizeof raw);
    assert_false(adopt_find(n.adoption, path_of(0), 0, CHUNK, &hash, &set, &at)); /* too early */
    next_register(&n);
    assert_true(adopt_find(n.adoption, path_of(0), 0, CHUNK, &hash, &set, &at));
    assert_false(adopt_find(n.adoption, "data/base/5/1258", 0, CHUNK, &hash, &set, &at));
    assert_false(adopt_find(n.adoption, "", 0, CHUNK, &hash, &set, &at));
    assert_false(adopt_find(n.adoption, path_of(0), 2, CHUNK, &hash, &set, &at));
    assert_false(adopt_find(n.adoption, path_of(0), 0, CHUNK - 1, &hash, &set, &at));
    hash.bytes[15] ^= 1;
    assert_false(adopt_find(n.adoption, path_of(0), 0, CHUNK, &hash, &set, &at));
    assert_int_equal(count_found(&n, 8), 0);
}

static void several_sets_are_told_apart(void **state)
{
    AUTO(next_free) struct next n = {0};
    char older[LABEL_SIZE + 1], newer[LABEL_SIZE + 1];
    struct place at;
    uint32_t a, b;

    (void)state;
    make_label(older, SET_FULL, 2 * HOUR);
    make_label(newer, SET_DIFF, HOUR);
    write_set_of(older, &identity, 1000);
    write_set_of(newer, &identity, 2000);
    next_open(&n);
    assert_int_equal(adopt_sets(n.adoption), 2);
    next_register(&n);
    assert_true(find_pages(&n, 5, 1000, &a, &at));
    check_content(older, &at, CHUNK_PAGES, 1005);
    assert_true(find_pages(&n, 5, 2000, &b, &at));
    check_content(newer, &at, CHUNK_PAGES, 2005);
    assert_int_equal(a + b, 2 + 3);
}

static void nothing_to_adopt_is_fine(void **state)
{
    AUTO(next_free) struct next n = {0};

    (void)state;
    next_open(&n);
    assert_int_equal(adopt_sets(n.adoption), 0);
    assert_int_equal(adopt_bytes(n.adoption), 0);
    next_register(&n);
    assert_int_equal(count_found(&n, 7), 0);
    adopt_free(&n.adoption);
    adopt_free(&n.adoption);
}

static void put_manifest(const char *label)
{
    AUTO(buf_free) struct buf key = BUF_INIT;

    OK(store_put(fixture_store, name_manifest(&key, "main", label), STORE_CREATE_ONLY, "x", 1,
                 &err),
       &err);
}

static void put_intent(const char *label)
{
    OK(fence_intent(repo, label, &err), &err);
}

static void put_final(const char *label)
{
    OK(fence_final(repo, label, &err), &err);
}

/* An expirer that was killed after it deleted the manifest. */
static void put_expired(const char *label)
{
    OK(expired_mark(repo, label, "policy", &err), &err);
}

static void sets_that_do_not_fit_are_no_candidates(void **state)
{
    static const struct {
        const char *what;
        enum set_kind kind;
        int64_t age_s;
        struct set_identity id;
        void (*mark)(const char *label);
        size_t expected;
    } cases[] = {
#define SAME {0x6512345678901234, 15, 3}
        {"a full", SET_FULL, HOUR, SAME, NULL, 1},
        {"of a host whose clock is ahead", SET_FULL, -HOUR, SAME, NULL, 1},
        {"almost too old", SET_INCR, 71 * HOUR, SAME, NULL, 1},
        {"too old", SET_FULL, 73 * HOUR, SAME, NULL, 0},
        {"of a compaction", SET_COMPACTION, HOUR, SAME, NULL, 0},
        {"of a restore", SET_RESTORE, HOUR, SAME, NULL, 0},
        {"another system identifier", SET_FULL, HOUR, {1, 15, 3}, NULL, 0},
        {"another major version", SET_FULL, HOUR, {0x6512345678901234, 16, 3}, NULL, 0},
        {"another timeline", SET_FULL, HOUR, {0x6512345678901234, 15, 2}, NULL, 0},
        {"a backup", SET_FULL, HOUR, SAME, put_manifest, 0},
        {"about to be fenced", SET_FULL, HOUR, SAME, put_intent, 0},
        {"fenced", SET_FULL, HOUR, SAME, put_final, 0},
        {"being deleted", SET_FULL, HOUR, SAME, put_expired, 0},
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(next_free) struct next n = {0};
        char label[LABEL_SIZE + 1];
        make_label(label, cases[i].kind, cases[i].age_s);
        write_set_of(label, &cases[i].id, 7);
        if (cases[i].mark != NULL)
            cases[i].mark(label);
        next_open(&n);
        if (adopt_sets(n.adoption) != cases[i].expected)
            fail_msg("%s: %zu sets", cases[i].what, adopt_sets(n.adoption));
        next_register(&n);
        assert_int_equal(count_found(&n, 7), cases[i].expected * CHUNKS);
        next_free(&n);
        n = (struct next){0};
        assert_int_equal(end(state), 0);
        assert_int_equal(begin(state), 0);
    }
}

static void its_own_set_is_none(void **state)
{
    AUTO(adopt_free) struct adoption *a = NULL;
    char label[LABEL_SIZE + 1];

    (void)state;
    make_label(label, SET_FULL, 0);
    write_set_of(label, &identity, 7);
    OK(adopt_open(&a, repo, &identity, label, &err), &err);
    assert_int_equal(adopt_sets(a), 0);
}

/* Its lease may be live: what it stored does not change. */
static void a_set_that_is_still_written_is_a_candidate(void **state)
{
    AUTO(next_free) struct next n = {0};
    AUTO(lease_drop) struct lease *lease = NULL;
    struct lease_terms terms = {.id = identity};
    char label[LABEL_SIZE + 1];

    (void)state;
    make_label(label, SET_FULL, 0);
    OK(lease_take(&lease, repo, label, &terms, NULL, &err), &err);
    write_set_of(label, &identity, 7);
    next_open(&n);
    assert_int_equal(adopt_sets(n.adoption), 1);
}

/* ---- damage ---- */

static void read_pack(const char *label, uint32_t number, struct buf *key, struct buf *bytes)
{
    buf_clear(bytes);
    OK(store_read(fixture_store, name_pack(key, "main", label, number), 1 << 20, bytes, &err),
       &err);
}

static void flip_a_bit_in_front(struct buf *b)
{
    b->p[OBJECT_HEADER + 1000] ^= 1;
}

static void flip_a_bit_behind(struct buf *b)
{
    b->p[b->len - OBJECT_TRAILER - 10] ^= 1;
}

static void flip_the_header(struct buf *b)
{
    b->p[60] ^= 1;
}

static void cut_the_end(struct buf *b)
{
    b->len -= 100;
}

static void cut_all(struct buf *b)
{
    b->len = 0;
}

static void a_damaged_pack_is_left_out_and_the_others_are_used(void **state)
{
    static void (*const damages[])(struct buf *) = {flip_a_bit_in_front, flip_a_bit_behind,
                                                    flip_the_header, cut_the_end, cut_all};
    char label[LABEL_SIZE + 1];

    (void)state;
    make_label(label, SET_FULL, HOUR);
    write_set_of(label, &identity, 7);
    for (size_t i = 0; i < LENGTH(damages); i++) {
        AUTO(next_free) struct next n = {0};
        AUTO(buf_free) struct buf key = BUF_INIT, whole = BUF_INIT, bad = BUF_INIT;
        struct place at;
        uint32_t set;
        read_pack(label, 1, &key, &whole);
        buf_add(&bad, whole.p, whole.len);
        damages[i](&bad);
        OK(store_put(fixture_store, buf_text(&key), STORE_REPLACE, bad.p, bad.len, &err), &err);
        next_open(&n);
        assert_int_equal(adopt_sets(n.adoption), 1);
        next_register(&n);
        assert_in_range(count_found(&n, 7), 1, CHUNKS - 1);
        for (unsigned k = 0; k < CHUNKS; k++)
            if (find_pages(&n, k, 7, &set, &at))
                assert_int_not_equal(at.pack, 1);
        OK(store_put(fixture_store, buf_text(&key), STORE_REPLACE, whole.p, whole.len, &err), &err);
    }
}

/* Somebody put a pack where another belongs. */
static void a_pack_in_the_place_of_another_is_left_out(void **state)
{
    AUTO(next_free) struct next n = {0};
    AUTO(buf_free) struct buf key = BUF_INIT, bytes = BUF_INIT;
    char label[LABEL_SIZE + 1], other[LABEL_SIZE + 1];
    struct place at;
    uint32_t set;

    (void)state;
    make_label(label, SET_FULL, HOUR);
    make_label(other, SET_FULL, HOUR);
    write_set_of(label, &identity, 7);
    read_pack(label, 1, &key, &bytes);
    OK(store_put(fixture_store, name_pack(&key, "main", label, 0), STORE_REPLACE, bytes.p,
                 bytes.len, &err),
       &err);
    OK(store_put(fixture_store, name_pack(&key, "main", other, 1), STORE_REPLACE, bytes.p,
                 bytes.len, &err),
       &err);
    next_open(&n);
    assert_int_equal(adopt_sets(n.adoption), 1);
    next_register(&n);
    for (unsigned k = 0; k < CHUNKS; k++)
        if (find_pages(&n, k, 7, &set, &at))
            assert_int_not_equal(at.pack, 0);
}

static void tables_of_an_unfinished_manifest_are_not_adopted(void **state)
{
    AUTO(next_free) struct next n = {0};
    AUTO(set_free) struct set *set = NULL;
    AUTO(packer_free) struct packer *p = NULL;
    char label[LABEL_SIZE + 1];
    struct place at;

    (void)state;
    make_label(label, SET_FULL, HOUR);
    OK(set_new(&set, repo, label, &identity, &err), &err);
    OK(packer_new(&p, set, OBJECT_META_PACK, &err), &err);
    OK(packer_add(p, CHUNK_MAP, 1, "map", 3, NULL, NULL, &at, &err), &err);
    OK(packer_finish(p, &err), &err);
    OK(store_put(fixture_store, "main/data/README", STORE_REPLACE, "x", 1, &err), &err);
    next_open(&n);
    assert_int_equal(adopt_sets(n.adoption), 0);
}

/* ---- what goes away meanwhile ---- */

static void delete_a_pack(const char *label)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    const char *name = name_pack(&key, "main", label, 2);

    OK(store_delete(fixture_store, &name, 1, &err), &err);
}

static void a_set_that_is_given_up_before_it_is_registered_is_not_used(void **state)
{
    static void (*const ends[])(const char *) = {put_intent, put_final, put_expired, delete_a_pack};
    (void)state;
    for (size_t i = 0; i < LENGTH(ends); i++) {
        AUTO(next_free) struct next n = {0};
        char lost[LABEL_SIZE + 1], kept[LABEL_SIZE + 1];
        make_label(lost, SET_FULL, HOUR);
        make_label(kept, SET_FULL, HOUR);
        write_set_of(lost, &identity, 1000 * (i + 1));
        write_set_of(kept, &identity, 1000 * (i + 1) + 500);
        next_open(&n);
        ends[i](lost);
        next_register(&n);
        assert_int_equal(count_found(&n, 1000 * (i + 1)), 0);
        assert_int_equal(count_found(&n, 1000 * (i + 1) + 500), CHUNKS);
    }
}

/* The other way round: what comes later does no harm, because the lease names the set. */
static void a_manifest_that_appears_meanwhile_does_no_harm(void **state)
{
    AUTO(next_free) struct next n = {0};
    char label[LABEL_SIZE + 1];

    (void)state;
    make_label(label, SET_FULL, HOUR);
    write_set_of(label, &identity, 7);
    next_open(&n);
    put_manifest(label);
    next_register(&n);
    assert_int_equal(count_found(&n, 7), CHUNKS);
}

/* ---- failures ---- */

static struct repo *opened_through(struct store *store)
{
    struct repo_options o = fixture_plain();
    struct repo *r = NULL;

    OK(repo_open(&r, store, &o, REPO_OPEN_FULL, &err), &err);
    return r;
}

/* Either it says that it failed, or what it found is right. */
static void whatever_call_fails_nothing_wrong_is_found(void **state)
{
    char label[LABEL_SIZE + 1], own[LABEL_SIZE + 1];
    unsigned failed = 0, less = 0, nth = 0;
    long calls;

    (void)state;
    make_label(label, SET_FULL, HOUR);
    make_label(own, SET_FULL, 0);
    write_set_of(label, &identity, 7);
    for (bool done = false; !done; nth++) {
        AUTO(repo_close)
        struct repo *r = opened_through(store_fault_new(fixture_store, -1, FAULT_BEFORE));
        AUTO(adopt_free) struct adoption *a = NULL;
        calls = store_fault_calls(repo_store(r));
        repo_close(&r);
        r = opened_through(store_fault_new(fixture_store, calls + nth, FAULT_BEFORE));
        if (adopt_open(&a, r, &identity, own, &err) != 0) {
            assert_int_equal(err.code, ERR_UNREACHABLE);
            assert_null(a);
            failed++;
        } else if (adopt_bytes(a) < (CHUNKS + BUNDLES) * CHUNK) {
            less++;
        } else {
            assert_int_equal(adopt_sets(a), 1);
            done = store_fault_calls(repo_store(r)) <= calls + nth;
        }
    }
    assert_true(failed >= 4);
    assert_true(less >= 4);
}

static void registering_tells_when_the_store_does_not_answer(void **state)
{
    AUTO(next_free) struct next n = {0};
    AUTO(adopt_free) struct adoption *a = NULL;
    AUTO(repo_close)
    struct repo *r = opened_through(store_fault_new(fixture_store, -1, FAULT_BEFORE));
    char label[LABEL_SIZE + 1];
    long calls;

    (void)state;
    make_label(label, SET_FULL, HOUR);
    write_set_of(label, &identity, 7);
    next_open(&n);
    OK(adopt_open(&a, r, &identity, n.label, &err), &err);
    calls = store_fault_calls(repo_store(r));
    adopt_free(&a);
    repo_close(&r);
    r = opened_through(store_fault_new(fixture_store, calls, FAULT_FOREVER));
    OK(adopt_open(&a, r, &identity, n.label, &err), &err);
    FAILS(adopt_register(a, n.manifest, &err), &err, ERR_UNREACHABLE);
}

/* ---- threads ---- */

static int look_up(void *ctx, unsigned index, struct err *why)
{
    for (int i = 0; i < 50; i++)
        if (count_found(ctx, 7) != CHUNKS || count_found(ctx, 9) != 0)
            return err_set(why, ERR_FAILED, "thread %u found something else", index);
    return 0;
}

static void many_threads_look_up_at_once(void **state)
{
    AUTO(next_free) struct next n = {0};
    struct workers *w = NULL;
    char label[LABEL_SIZE + 1];

    (void)state;
    make_label(label, SET_FULL, HOUR);
    write_set_of(label, &identity, 7);
    next_open(&n);
    next_register(&n);
    OK(workers_start(&w, 4, look_up, &n, NULL, &err), &err);
    OK(workers_join(&w, &err), &err);
}

int main(void)
{
#define PLAIN(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        PLAIN(what_was_stored_is_found_at_its_place),
        cmocka_unit_test_setup_teardown(what_was_stored_is_found_at_its_place, begin_encrypted,
                                        end),
        PLAIN(the_new_manifest_may_name_what_was_found),
        PLAIN(all_packs_are_made_durable),
        PLAIN(anything_else_is_not_found),
        PLAIN(several_sets_are_told_apart),
        PLAIN(nothing_to_adopt_is_fine),
        PLAIN(sets_that_do_not_fit_are_no_candidates),
        PLAIN(its_own_set_is_none),
        PLAIN(a_set_that_is_still_written_is_a_candidate),
        PLAIN(a_damaged_pack_is_left_out_and_the_others_are_used),
        PLAIN(a_pack_in_the_place_of_another_is_left_out),
        PLAIN(tables_of_an_unfinished_manifest_are_not_adopted),
        PLAIN(a_set_that_is_given_up_before_it_is_registered_is_not_used),
        PLAIN(a_manifest_that_appears_meanwhile_does_no_harm),
        PLAIN(whatever_call_fails_nothing_wrong_is_found),
        PLAIN(registering_tells_when_the_store_does_not_answer),
        PLAIN(many_threads_look_up_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
