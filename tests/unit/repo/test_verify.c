#include "repo/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "repo/lease/lease.h"
#include "repo/lease/marks.h"
#include "repo/verify/place.h"
#include "repo/wal/wal_object.h"
#include "tests/unit/repo/sample_repo.h"

enum { PAGE = 8192, BIG_PAGES = 100, PACK_BYTES = 300 << 10 };
#define TABLE "data/base/5/16384"
#define SMALL "data/PG_VERSION"
#define SEG "000000010000000000000003"

static struct err err;

/* ---- a cluster with a full backup, one that builds on it, and their WAL ---- */

static void fill_page(uint8_t *page, uint32_t n)
{
    uint32_t x = n * 2654435761u + 1;

    for (size_t i = 0; i < PAGE; i++) {
        x = x * 1664525 + 1013904223;
        page[i] = (uint8_t)(x >> 24);
    }
}

struct making {
    struct repo *repo;
    struct set *set;
    struct packer *packer;
    struct manifest_writer *writer;
    struct map_builder map;
};

static void begin(struct making *m, struct repo *r, const char *label)
{
    const struct set_identity id = {SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, 1};

    *m = (struct making){.repo = r};
    OK(set_new(&m->set, r, label, &id, &err), &err);
    OK(packer_new(&m->packer, m->set, OBJECT_PACK, &err), &err);
    OK(manifest_begin(&m->writer, m->set, &err), &err);
}

static void store_pages(struct making *m, uint32_t first, uint32_t n, uint32_t seed)
{
    static uint8_t raw[MAP_PAGES * PAGE];
    const struct block_run run = {first, n};
    const struct chunk_note note = {
        .path = TABLE, .file_size = BIG_PAGES * PAGE, .runs = &run, .n_runs = 1};
    struct place at;

    for (uint32_t i = 0; i < n; i++)
        fill_page(raw + (size_t)i * PAGE, seed + first + i);
    OK(packer_add(m->packer, CHUNK_PAGES, n, raw, (size_t)n * PAGE, &note, NULL, &at, &err), &err);
    map_add(&m->map, (struct extent){1, n, extent_addr(at.pack, at.chunk, 0)});
}

static struct entry file_entry(const char *path, uint64_t size)
{
    return (struct entry){.path = path,
                          .type = ENTRY_FILE,
                          .mode = 0600,
                          .user = "postgres",
                          .group = "postgres",
                          .mtime_s = 1700000000,
                          .size = size};
}

static void add_small(struct making *m)
{
    const struct bundle_part part = {SMALL, 0, 3};
    const struct chunk_note note = {.parts = &part, .n_parts = 1};
    struct entry e = file_entry(SMALL, 3);
    struct place at;

    OK(packer_add(m->packer, CHUNK_BUNDLE, 1, "15\n", 3, &note, NULL, &at, &err), &err);
    e.place = PLACE_BUNDLE;
    e.set = 1;
    e.pack = at.pack;
    e.chunk = at.chunk;
    OK(manifest_add(m->writer, &e, &err), &err);
}

static void add_table(struct making *m)
{
    AUTO(buf_free) struct buf map = BUF_INIT;
    struct entry e = file_entry(TABLE, BIG_PAGES * PAGE);

    map_finish(&m->map, PAGE, BIG_PAGES * PAGE, &map);
    e.place = PLACE_MAP;
    e.map = (const uint8_t *)map.p;
    e.map_len = map.len;
    OK(manifest_add(m->writer, &e, &err), &err);
}

/* Many more files, so that tables go into metadata packs. */
static void add_many(struct making *m, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        AUTO(mem_free) char *path = xasprintf("data/base/6/%06u_%0150u", i, i * 7919);
        struct entry e = file_entry(path, 0);

        OK(manifest_add(m->writer, &e, &err), &err);
    }
}

static void commit(struct making *m, enum backup_type type, const char *base)
{
    struct wal_span span = {1, 0x3000028, 0x3000100};
    struct pubinfo pub = {.type = type,
                          .cluster = (char[]){"main"},
                          .instance = (char[]){"main-1"},
                          .host = (char[]){"db1"},
                          .tool = (char[]){"pgbr test"},
                          .system_id = SAMPLE_SYSTEM_ID,
                          .pg_version = SAMPLE_MAJOR * 10000 + 4,
                          .timeline = 1,
                          .start_lsn = span.start,
                          .stop_lsn = span.stop,
                          .page_size = PAGE,
                          .wal_segment_size = 16 << 20,
                          .spans = &span,
                          .n_spans = 1};
    AUTO(backup_info_free) struct backup_info info = {0};

    memcpy(pub.label, set_label(m->set), sizeof pub.label);
    snprintf(pub.base, sizeof pub.base, "%s", base);
    buf_adds(&info.backup_label, "START WAL LOCATION: 0/3000028\n");
    OK(packer_finish(m->packer, &err), &err);
    OK(manifest_commit(m->writer, &pub, &info, &err), &err);
}

static void end(struct making *m)
{
    manifest_abandon(&m->writer);
    packer_free(&m->packer);
    set_free(&m->set);
    map_free(&m->map);
}

static void make_full(struct repo *r, unsigned many)
{
    AUTO(end) struct making m;

    begin(&m, r, SAMPLE_LABEL);
    add_small(&m);
    for (uint32_t first = 0; first < BIG_PAGES; first += 10)
        store_pages(&m, first, 10, 0);
    add_table(&m);
    add_many(&m, many);
    commit(&m, BACKUP_FULL, "");
}

/* Pages 20 to 29 are new, the others are those of the full one. */
static void make_incremental(struct repo *r)
{
    AUTO(manifest_close) struct manifest *base = NULL;
    AUTO(end) struct making m;
    AUTO(entry_walk_end) struct entry_walk *walk = NULL;
    const struct pack_info *packs;
    struct map_walk old;
    struct extent x;
    struct entry e;
    uint32_t set, at = 0;
    size_t n;

    OK(manifest_open(&base, r, SAMPLE_LABEL, &err), &err);
    begin(&m, r, SAMPLE_NEWER);
    packs = manifest_packs(base, 1, &n);
    OK(manifest_add_set(m.writer, SAMPLE_LABEL, packs, n, &set, &err), &err);
    add_small(&m);
    OK(entry_walk_begin(&walk, base, &err), &err);
    OK(entry_walk_seek(walk, TABLE, &err), &err);
    assert_int_equal(entry_walk_next(walk, &e, &err), 1);
    OK(map_begin(&old, e.map, e.map_len, 2, &err), &err);
    while (map_next(&old, &x, &err) == 1)
        for (uint32_t i = 0; i < x.count; i++, at++) {
            if (at == 20)
                store_pages(&m, 20, 10, 5000);
            if (at < 20 || at >= 30)
                map_add(&m.map, (struct extent){set, 1, x.addr + i});
        }
    map_end(&old);
    add_table(&m);
    commit(&m, BACKUP_INCR, SAMPLE_LABEL);
}

static void push_wal(struct repo *r)
{
    AUTO(mem_free) uint8_t *raw = xcalloc(1, 16 << 20);
    const struct wal_source s = {.system_id = SAMPLE_SYSTEM_ID,
                                 .major = SAMPLE_MAJOR,
                                 .file = SEG,
                                 .raw = raw,
                                 .raw_len = 16 << 20};
    const struct wal_source h = {.system_id = SAMPLE_SYSTEM_ID,
                                 .major = SAMPLE_MAJOR,
                                 .file = "00000002.history",
                                 .raw = "1\t0/3000100\twhy\n",
                                 .raw_len = 16};
    enum wal_put done;

    OK(wal_object_put(r, &s, 1, &done, &err), &err);
    OK(wal_object_put(r, &h, 1, &done, &err), &err);
}

static void begin_sample(struct sample_repo *s, bool encrypted)
{
    sample_repo_begin(s, encrypted, PACK_BYTES);
    make_full(s->repo, 0);
    make_incremental(s->repo);
    push_wal(s->repo);
    OK(hold_mark(s->repo, SAMPLE_LABEL, "a note", 0, &err), &err);
    OK(fence_final(s->repo, SAMPLE_OLDER, &err), &err);
}

/* ---- verifying ---- */

static int verify_with(struct repo *r, const char *label, bool deep, struct verify_made *made)
{
    struct progress quiet = {.mode = PROGRESS_QUIET};
    const struct verify_request q = {
        .repo = r, .label = label, .deep = deep, .workers = 2, .progress = &quiet};

    return verify_run(&q, made, &err);
}

static const struct damage *only_damage(const struct verify_made *made, const char *object)
{
    if (made->n_damages != 1)
        fail_msg("%zu damages, first \"%s\": %s", made->n_damages,
                 made->n_damages != 0 ? made->damages[0].object : "",
                 made->n_damages != 0 ? made->damages[0].why : "");
    assert_string_equal(made->damages[0].object, object);
    return &made->damages[0];
}

static void harm_is(const struct damage *d, size_t i, const char *label, const char *path,
                    uint32_t first, uint32_t blocks)
{
    assert_true(i < d->n_harms);
    assert_string_equal(d->harms[i].label, label);
    assert_string_equal(d->harms[i].path, path);
    assert_int_equal(d->harms[i].first_block, first);
    assert_int_equal(d->harms[i].blocks, blocks);
}

static int count(void *ctx, const struct store_entry *e, struct err *why)
{
    (void)e;
    (void)why;
    ++*(size_t *)ctx;
    return 0;
}

static size_t count_objects(struct store *s)
{
    size_t n = 0;

    OK(store_list(s, "", STORE_DEEP, count, &n, NULL, &err), &err);
    return n;
}

static void what_is_whole_has_no_damage(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(verify_made_free) struct verify_made made;

        begin_sample(&s, i % 2 != 0);
        OK(verify_with(s.repo, NULL, i / 2 != 0, &made), &err);
        assert_int_equal(made.n_damages, 0);
        assert_int_equal(made.objects, count_objects(s.store));
        assert_int_equal(made.backups, 2);
        assert_true(made.bytes > BIG_PAGES * PAGE);
        assert_int_equal(made.chunks != 0, i / 2 != 0);
    }
}

static void one_backup_is_looked_at_with_what_it_needs(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(verify_made_free) struct verify_made made = {0}, again = {0}, third = {0};

    (void)state;
    begin_sample(&s, false);
    sample_repo_damage(&s, "main/data/" SAMPLE_NEWER "/00000/00000000", 1000);
    OK(verify_with(s.repo, SAMPLE_LABEL, false, &made), &err);
    assert_int_equal(made.n_damages, 0);
    assert_int_equal(made.backups, 1);
    OK(verify_with(s.repo, SAMPLE_NEWER, false, &again), &err);
    assert_int_equal(again.n_damages, 1);
    assert_true(again.objects > made.objects); /* of both sets */
    sample_repo_damage(&s, "main/wal/0000000000001267-15/00000001/00000000/" SEG, 300);
    OK(verify_with(s.repo, SAMPLE_LABEL, false, &third), &err);
    only_damage(&third, "main/wal/0000000000001267-15/00000001/00000000/" SEG);
    FAILS(verify_with(s.repo, SAMPLE_OLDER, false, &made), &err, ERR_NOT_FOUND);
    FAILS(verify_with(s.repo, "x", false, &made), &err, ERR_NOT_FOUND);
}

/* Only of sums can be said that nothing is lost with them. */
static void a_damaged_sum_can_be_spared(void **state)
{
    static const char sum[] = "main/wal/0000000000001267-15/sum/"
                              "00000001-0000000001000000-0000000002000000",
                      earlier[] = "main/wal/0000000000001267-15/sum/"
                                  "00000001-0000000000000000-0000000001000000";
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(verify_made_free) struct verify_made made = {0};

    (void)state;
    begin_sample(&s, false);
    OK(store_put(s.store, sum, STORE_CREATE_ONLY, "no sum", 6, &err), &err);
    sample_repo_damage(&s, "main/data/" SAMPLE_NEWER "/00000/00000000", 5000);
    OK(verify_with(s.repo, NULL, false, &made), &err);
    verify_made_add(&made, sum, "known");
    verify_made_add(&made, earlier, "found by another way of looking");
    assert_int_equal(made.n_damages, 3);
    assert_false(made.damages[0].spare);
    assert_string_equal(made.damages[1].object, earlier);
    assert_true(made.damages[1].spare);
    assert_string_equal(made.damages[2].object, sum);
    assert_string_not_equal(made.damages[2].why, "known");
    assert_true(made.damages[2].spare);
}

/* ---- every object, damaged ---- */

struct keys {
    char *items[64];
    size_t n;
};

static int note_key(void *ctx, const struct store_entry *e, struct err *why)
{
    struct keys *k = ctx;

    (void)why;
    assert_true(k->n < LENGTH(k->items));
    k->items[k->n++] = xstrdup(e->key);
    return 0;
}

static void keys_free(struct keys *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->items[i]);
}

static void damage_to_any_object_is_found(void **state)
{
    static const long places[] = {9, 60, 130, 190, -200, -70, -40, -3};
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(keys_free) struct keys keys = {0};

    (void)state;
    begin_sample(&s, false);
    OK(store_list(s.store, "", STORE_DEEP, note_key, &keys, NULL, &err), &err);
    for (size_t i = 0; i < keys.n; i++) {
        for (size_t k = 0; k < LENGTH(places); k++) {
            AUTO(verify_made_free) struct verify_made made;

            sample_repo_damage(&s, keys.items[i], places[k]);
            OK(verify_with(s.repo, NULL, false, &made), &err);
            only_damage(&made, keys.items[i]);
            sample_repo_damage(&s, keys.items[i], places[k]);
        }
    }
    assert_true(keys.n > 10);
}

static void objects_in_each_others_place_are_found(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(keys_free) struct keys keys = {0};

    (void)state;
    begin_sample(&s, false);
    OK(store_list(s.store, "", STORE_DEEP, note_key, &keys, NULL, &err), &err);
    for (size_t i = 0; i < keys.n; i++) {
        AUTO(verify_made_free) struct verify_made made;
        AUTO(buf_free) struct buf own = BUF_INIT, other = BUF_INIT;
        bool found = false;

        OK(store_read(s.store, keys.items[i], 1 << 30, &own, &err), &err);
        OK(store_read(s.store, keys.items[(i + 1) % keys.n], 1 << 30, &other, &err), &err);
        OK(store_put(s.store, keys.items[i], STORE_REPLACE, other.p, other.len, &err), &err);
        OK(verify_with(s.repo, NULL, false, &made), &err);
        for (size_t k = 0; k < made.n_damages; k++)
            found = found || strcmp(made.damages[k].object, keys.items[i]) == 0;
        if (!found)
            fail_msg("\"%s\" held \"%s\"", keys.items[i], keys.items[(i + 1) % keys.n]);
        OK(store_put(s.store, keys.items[i], STORE_REPLACE, own.p, own.len, &err), &err);
    }
}

/* ---- what it means ---- */

static void a_bad_chunk_is_traced_to_its_pages(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(verify_made_free) struct verify_made made;
        const struct damage *d;

        begin_sample(&s, i % 2 != 0);
        /* pack 0: the bundle and four chunks of ten pages */
        sample_repo_damage(&s, "main/data/" SAMPLE_LABEL "/00000/00000000", 100000);
        OK(verify_with(s.repo, NULL, i / 2 != 0, &made), &err);
        d = only_damage(&made, "main/data/" SAMPLE_LABEL "/00000/00000000");
        assert_int_equal(d->n_harms, 2);
        harm_is(d, 0, SAMPLE_LABEL, TABLE, 10, 10);
        harm_is(d, 1, SAMPLE_NEWER, TABLE, 10, 10);
    }
}

static void a_missing_pack_takes_all_it_held(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(verify_made_free) struct verify_made made;
    const char *key = "main/data/" SAMPLE_LABEL "/00000/00000000";
    const struct damage *d;

    (void)state;
    begin_sample(&s, false);
    OK(store_delete(s.store, &key, 1, &err), &err);
    OK(verify_with(s.repo, NULL, false, &made), &err);
    d = only_damage(&made, key);
    assert_string_equal(d->why, "it is missing");
    assert_int_equal(d->n_harms, 4);
    harm_is(d, 0, SAMPLE_LABEL, SMALL, 0, 0);
    harm_is(d, 1, SAMPLE_LABEL, TABLE, 0, 40);
    harm_is(d, 2, SAMPLE_NEWER, TABLE, 0, 20);
    harm_is(d, 3, SAMPLE_NEWER, TABLE, 30, 10);
}

static void a_pack_of_another_number_takes_all_it_should_have_held(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(verify_made_free) struct verify_made made;
    AUTO(buf_free) struct buf other = BUF_INIT;
    const char *key = "main/data/" SAMPLE_LABEL "/00000/00000001";
    const struct damage *d;

    (void)state;
    begin_sample(&s, true);
    OK(store_read(s.store, "main/data/" SAMPLE_LABEL "/00000/00000002", 1 << 30, &other, &err),
       &err);
    OK(store_put(s.store, key, STORE_REPLACE, other.p, other.len, &err), &err);
    OK(verify_with(s.repo, NULL, true, &made), &err);
    d = only_damage(&made, key);
    harm_is(d, 0, SAMPLE_LABEL, TABLE, 40, 40);
    harm_is(d, 1, SAMPLE_NEWER, TABLE, 40, 40);
}

static void a_damaged_manifest_takes_its_backup(void **state)
{
    static const char *const labels[] = {NULL, SAMPLE_NEWER};

    (void)state;
    for (size_t i = 0; i < LENGTH(labels); i++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(verify_made_free) struct verify_made made;
        const char *key = "main/backup/" SAMPLE_NEWER "/manifest";

        begin_sample(&s, false);
        sample_repo_damage(&s, key, 200);
        OK(verify_with(s.repo, labels[i], false, &made), &err);
        harm_is(only_damage(&made, key), 0, SAMPLE_NEWER, "", 0, 0);
        assert_int_equal(made.backups, labels[i] == NULL ? 1 : 0);
    }
}

static void damaged_tables_take_their_backup(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(verify_made_free) struct verify_made made;
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(buf_free) struct buf key = BUF_INIT;
    const struct pack_info *packs;
    const struct damage *d;
    size_t n;

    (void)state;
    sample_repo_begin(&s, false, PACK_BYTES);
    make_full(s.repo, 60000);
    OK(manifest_open(&m, s.repo, SAMPLE_LABEL, &err), &err);
    packs = manifest_packs(m, 1, &n);
    assert_int_equal(n, 4); /* one of them with tables */
    name_pack(&key, "main", SAMPLE_LABEL, packs[n - 1].number);
    sample_repo_damage(&s, key.p, 500);
    OK(verify_with(s.repo, NULL, false, &made), &err);
    d = only_damage(&made, key.p);
    assert_int_equal(d->n_harms, 1);
    harm_is(d, 0, SAMPLE_LABEL, "", 0, 0);
}

/* What no page needs any more can rot without harm. */
static void dead_chunks_harm_nobody(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(verify_made_free) struct verify_made made;
    const struct damage *d;

    (void)state;
    begin_sample(&s, false);
    OK(expired_mark(s.repo, SAMPLE_LABEL, "test", &err), &err);
    sample_repo_damage(&s, "main/data/" SAMPLE_LABEL "/00000/00000000", 200000);
    OK(verify_with(s.repo, NULL, false, &made), &err);
    d = only_damage(&made, "main/data/" SAMPLE_LABEL "/00000/00000000");
    assert_int_equal(d->n_harms, 0); /* pages 20 to 29, which the newer backup has anew */
    assert_int_equal(made.backups, 1);
}

/* ---- without the key; faults ---- */

static void without_the_key_damage_is_found_but_not_traced(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(verify_made_free) struct verify_made whole = {0}, made = {0};
    const char *key = "main/data/" SAMPLE_LABEL "/00000/00000001";

    (void)state;
    begin_sample(&s, true);
    r = sample_repo_other(&s, store_mem_share(s.store), REPO_OPEN_NO_KEY);
    OK(verify_with(r, NULL, false, &whole), &err);
    assert_int_equal(whole.n_damages, 0);
    assert_int_equal(whole.backups, 2);
    FAILS(verify_with(r, NULL, true, &made), &err, ERR_KEY);
    OK(store_delete(s.store, &key, 1, &err), &err);
    sample_repo_damage(&s, "main/data/" SAMPLE_NEWER "/00000/00000000", 5000);
    OK(verify_with(r, NULL, false, &made), &err);
    assert_int_equal(made.n_damages, 2);
    assert_string_equal(made.damages[0].object, key);
    assert_int_equal(made.damages[0].n_harms, 0);
    assert_string_equal(made.damages[1].object, "main/data/" SAMPLE_NEWER "/00000/00000000");
}

/* A store that does not answer has no damage: verification ends with the reason. */
static void a_store_that_fails_is_no_damage(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    unsigned failed = 0;

    (void)state;
    begin_sample(&s, false);
    for (long nth = 0; nth < 400; nth += 7) {
        AUTO(verify_made_free) struct verify_made made = {0};
        AUTO(repo_close) struct repo *r = NULL;
        struct store *fault = store_fault_new(s.store, nth, FAULT_BEFORE);

        if (repo_open(&r, fault, &s.options, REPO_OPEN_FULL, &err) != 0)
            continue;
        if (verify_with(r, NULL, true, &made) == 0) {
            assert_int_equal(made.n_damages, 0);
            continue;
        }
        assert_int_equal(err.code, ERR_UNREACHABLE);
        failed++;
    }
    assert_true(failed > 5);
}

/* ---- names and what they say ---- */

static void keys_say_what_lies_there(void **state)
{
    static const struct {
        const char *key, *label;
        enum object_kind kind;
        uint32_t pack;
    } good[] = {
        {"pgbr-repo", "pgbr-repo", OBJECT_DESCRIPTOR, 0},
        {"features/00000001", "features/00000001", OBJECT_DESCRIPTOR, 0},
        {"keys/00000001", "keys/00000001", OBJECT_KEY_SLOT, 0},
        {"main/info/00000002", "info/00000002", OBJECT_INFO, 0},
        {"main/lease/" SAMPLE_LABEL, "lease/" SAMPLE_LABEL, OBJECT_LEASE, 0},
        {"main/fence/" SAMPLE_LABEL ".intent", "fence/" SAMPLE_LABEL ".intent", OBJECT_MARK, 0},
        {"main/backup/" SAMPLE_LABEL "/manifest", SAMPLE_LABEL, OBJECT_MANIFEST, 0},
        {"main/backup/" SAMPLE_LABEL "/hold", "backup/" SAMPLE_LABEL "/hold", OBJECT_MARK, 0},
        {"main/data/" SAMPLE_LABEL "/00001/00000401", SAMPLE_LABEL, OBJECT_PACK, 0x401},
        {"main/data/" SAMPLE_LABEL "/00001/00000401", SAMPLE_LABEL, OBJECT_META_PACK, 0x401},
        {"main/wal/0000000000001267-15/00000001/00000000/" SEG, SEG "@0000000000001267", OBJECT_WAL,
         0},
        {"main/wal/0000000000001267-15/00000001/00000000/" SEG ".partial",
         SEG ".p@0000000000001267", OBJECT_WAL, 0},
        {"main/wal/0000000000001267-15/history/00000002.history", "00000002.h@0000000000001267",
         OBJECT_WAL_OTHER, 0},
        {"main/reloc/later", "anything", OBJECT_RELOC, 0}, /* not known: let through */
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(good); i++) {
        struct object_head head = {.kind = good[i].kind, .pack = good[i].pack};

        snprintf(head.label, sizeof head.label, "%s", good[i].label);
        OK(place_check("main", good[i].key, &head, &err), &err);
        if (head.kind == OBJECT_RELOC)
            continue;
        head.label[3] ^= 1;
        FAILS(place_check("main", good[i].key, &head, &err), &err, ERR_CORRUPT);
        assert_non_null(strstr(err.msg, good[i].key));
        head.label[3] ^= 1;
        head.pack++;
        FAILS(place_check("main", good[i].key, &head, &err), &err, ERR_CORRUPT);
        head.pack--;
        head.kind = OBJECT_WAL_SUMMARY;
        FAILS(place_check("main", good[i].key, &head, &err), &err, ERR_CORRUPT);
    }
}

static void only_names_of_packs_are_packs(void **state)
{
    static const char *const bad[] = {"main/data/" SAMPLE_LABEL "/00000/00000401",
                                      "main/data/" SAMPLE_LABEL "/00001/00000401x",
                                      "main/data/" SAMPLE_LABEL "/00001/0000040G",
                                      "main/data/" SAMPLE_LABEL "/00001/-0000401",
                                      "main/data/" SAMPLE_LABEL,
                                      "main/data/" SAMPLE_LABEL "/",
                                      "main/data/x/00001/00000401",
                                      "mainx/data/" SAMPLE_LABEL "/00001/00000401",
                                      "other/data/" SAMPLE_LABEL "/00001/00000401",
                                      "main",
                                      ""};
    char set[LABEL_SIZE + 1];
    uint32_t pack;

    (void)state;
    assert_true(place_pack("main", "main/data/" SAMPLE_LABEL "/00001/00000401", set, &pack));
    assert_string_equal(set, SAMPLE_LABEL);
    assert_int_equal(pack, 0x401);
    for (size_t i = 0; i < LENGTH(bad); i++)
        assert_false(place_pack("main", bad[i], set, &pack));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_has_no_damage),
        cmocka_unit_test(one_backup_is_looked_at_with_what_it_needs),
        cmocka_unit_test(a_damaged_sum_can_be_spared),
        cmocka_unit_test(damage_to_any_object_is_found),
        cmocka_unit_test(objects_in_each_others_place_are_found),
        cmocka_unit_test(a_bad_chunk_is_traced_to_its_pages),
        cmocka_unit_test(a_missing_pack_takes_all_it_held),
        cmocka_unit_test(a_pack_of_another_number_takes_all_it_should_have_held),
        cmocka_unit_test(a_damaged_manifest_takes_its_backup),
        cmocka_unit_test(damaged_tables_take_their_backup),
        cmocka_unit_test(dead_chunks_harm_nobody),
        cmocka_unit_test(without_the_key_damage_is_found_but_not_traced),
        cmocka_unit_test(a_store_that_fails_is_no_damage),
        cmocka_unit_test(keys_say_what_lies_there),
        cmocka_unit_test(only_names_of_packs_are_packs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
