#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "repo/lease/lease.h"
#include "repo/manifest/manifest_form.h"
#include "tests/unit/repo/sample_repo.h"

enum { PAGE = 8192, MANY = 30000 };
#define MANIFEST_KEY(label) "main/backup/" label "/manifest"

static struct err err;
static const struct set_identity identity = {SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, 2};

/* ---- a backup to be written ---- */

struct draft {
    struct set *set;
    struct manifest_writer *writer;
    struct map_builder map;
    struct buf bytes;
};

static void draft_begin(struct draft *d, struct repo *r, const char *label)
{
    *d = (struct draft){0};
    OK(set_new(&d->set, r, label, &identity, &err), &err);
    OK(manifest_begin(&d->writer, d->set, &err), &err);
}

static void draft_end(struct draft *d)
{
    manifest_abandon(&d->writer);
    set_free(&d->set);
    map_free(&d->map);
    buf_free(&d->bytes);
}

static struct entry entry_of(const char *path, enum entry_type type)
{
    return (struct entry){.path = path,
                          .type = type,
                          .mode = type == ENTRY_DIR ? 0700 : 0600,
                          .user = "postgres",
                          .group = "postgres",
                          .mtime_s = 1700000000,
                          .target = type == ENTRY_LINK ? "/elsewhere" : ""};
}

/* A map of n extents that do not touch: each is one page of an own chunk. */
static void scattered_map(struct draft *d, uint32_t set, uint32_t n, struct entry *e)
{
    map_reset(&d->map);
    buf_clear(&d->bytes);
    for (uint32_t i = 0; i < n; i++)
        map_add(&d->map, (struct extent){set, 1, extent_addr(i >> 12, i & 4095, 1 + i % 2)});
    map_finish(&d->map, PAGE, (uint64_t)n * PAGE, &d->bytes);
    e->size = (uint64_t)n * PAGE;
    e->place = PLACE_MAP;
    e->map = (const uint8_t *)d->bytes.p;
    e->map_len = d->bytes.len;
}

static struct pubinfo facts(const char *label, const char *cluster)
{
    struct pubinfo p = {.type = BACKUP_FULL,
                        .cluster = xstrdup(cluster),
                        .instance = xstrdup("pg-test-1"),
                        .host = xstrdup("db1"),
                        .tool = xstrdup("pgbr 0.1.0"),
                        .system_id = SAMPLE_SYSTEM_ID,
                        .pg_version = SAMPLE_MAJOR * 10000 + 3,
                        .timeline = 2,
                        .start_lsn = 0x2000028,
                        .stop_lsn = 0x2000138,
                        .page_size = PAGE,
                        .wal_segment_size = 16 << 20,
                        .spans = xcalloc(1, sizeof *p.spans),
                        .n_spans = 1};

    memcpy(p.label, label, LABEL_SIZE + 1);
    p.spans[0] = (struct wal_span){2, 0x2000000, 0x3000000};
    return p;
}

static int commit(struct draft *d, const struct pubinfo *like)
{
    AUTO(pubinfo_free) struct pubinfo p = facts(set_label(d->set), like->cluster);
    AUTO(backup_info_free) struct backup_info info = {0};

    p.system_id = like->system_id;
    memcpy(p.label, like->label, LABEL_SIZE + 1);
    buf_adds(&info.backup_label, "START WAL LOCATION: 0/2000028");
    backup_info_setting(&info, "max_connections", "100");
    return manifest_commit(d->writer, &p, &info, &err);
}

/* Entries of every kind; both maps, the short and the long one, in the writer's own set. */
static void add_all_kinds(struct draft *d)
{
    struct entry e = entry_of("data", ENTRY_DIR);

    OK(manifest_add(d->writer, &e, &err), &err);
    e = entry_of("data/PG_VERSION", ENTRY_FILE);
    e.size = 3;
    e.place = PLACE_BUNDLE;
    e.set = 1;
    e.pack = 2;
    e.chunk = 3;
    e.offset = 4;
    OK(manifest_add(d->writer, &e, &err), &err);
    e = entry_of("data/empty", ENTRY_FILE);
    OK(manifest_add(d->writer, &e, &err), &err);
    e = entry_of("data/long", ENTRY_FILE);
    scattered_map(d, 1, 1000, &e);
    OK(manifest_add(d->writer, &e, &err), &err);
    e = entry_of("data/pg_wal", ENTRY_LINK);
    e.mode = 0120777; /* of all this only the permissions are kept */
    OK(manifest_add(d->writer, &e, &err), &err);
    e = entry_of("data/short", ENTRY_FILE);
    scattered_map(d, 1, 3, &e);
    OK(manifest_add(d->writer, &e, &err), &err);
}

static void make_backup(struct repo *r, const char *label)
{
    AUTO(draft_end) struct draft d = {0};
    AUTO(pubinfo_free) struct pubinfo like = facts(label, "main");

    draft_begin(&d, r, label);
    add_all_kinds(&d);
    OK(commit(&d, &like), &err);
}

/* ---- reading it again ---- */

static void map_has(const struct entry *e, uint32_t sets, uint64_t extents)
{
    AUTO(map_end) struct map_walk w = {0};
    struct extent x;

    OK(map_begin(&w, e->map, e->map_len, sets, &err), &err);
    assert_int_equal(w.length, e->size);
    for (uint64_t i = 0; i < extents; i++)
        assert_int_equal(map_next(&w, &x, &err), 1);
    assert_int_equal(map_next(&w, &x, &err), 0);
}

static void next_is(struct entry_walk *w, const char *path, struct entry *e)
{
    int more = entry_walk_next(w, e, &err);

    if (more != 1)
        fail_msg("\"%s\" is expected, not %d: %s", path, more, more < 0 ? err.msg : "the end");
    assert_string_equal(e->path, path);
    assert_string_equal(e->user, "postgres");
}

static void all_kinds_are_there(struct manifest *m)
{
    AUTO(entry_walk_end) struct entry_walk *w = NULL;
    struct entry e;

    OK(entry_walk_begin(&w, m, &err), &err);
    next_is(w, "data", &e);
    assert_int_equal(e.type, ENTRY_DIR);
    assert_int_equal(e.mode, 0700);
    next_is(w, "data/PG_VERSION", &e);
    assert_int_equal(e.place, PLACE_BUNDLE);
    assert_int_equal(e.offset, 4);
    next_is(w, "data/empty", &e);
    assert_int_equal(e.place, PLACE_EMPTY);
    next_is(w, "data/long", &e);
    map_has(&e, manifest_sets(m), 1000);
    next_is(w, "data/pg_wal", &e);
    assert_string_equal(e.target, "/elsewhere");
    assert_int_equal(e.mode, 0777);
    next_is(w, "data/short", &e);
    map_has(&e, manifest_sets(m), 3);
    assert_int_equal(entry_walk_next(w, &e, &err), 0);
    assert_int_equal(entry_walk_next(w, &e, &err), 0);
}

static void a_manifest_is_read_as_it_was_written(void **state)
{
    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        AUTO(manifest_close) struct manifest *m = NULL;
        struct sample_repo s;
        sample_repo_begin(&s, encrypted, 0);
        make_backup(s.repo, SAMPLE_LABEL);
        OK(manifest_open(&m, s.repo, SAMPLE_LABEL, &err), &err);
        assert_string_equal(manifest_pub(m)->label, SAMPLE_LABEL);
        assert_int_equal(manifest_pub(m)->pg_version, 150003);
        assert_int_equal(manifest_pub(m)->spans[0].stop, 0x3000000);
        assert_string_equal(backup_info_get(manifest_info(m), "max_connections"), "100");
        assert_int_equal(manifest_sets(m), 2);
        assert_string_equal(manifest_set(m, 1), SAMPLE_LABEL);
        all_kinds_are_there(m);
        all_kinds_are_there(m);
        manifest_close(&m);
        sample_repo_end(&s);
    }
}

/* ---- large ones ---- */

static const char *many_path(uint32_t i)
{
    static char path[64];

    snprintf(path, sizeof path, "data/base/%05u/%05u", 10000 + i / 1000, 10000 + i % 1000);
    return path;
}

/* More than the manifest itself takes: long maps of every file. */
static void make_many(struct repo *r, const char *label, uint32_t n, uint32_t extents)
{
    AUTO(draft_end) struct draft d = {0};
    AUTO(pubinfo_free) struct pubinfo like = facts(label, "main");

    draft_begin(&d, r, label);
    for (uint32_t i = 0; i < n; i++) {
        struct entry e = entry_of(many_path(i), ENTRY_FILE);
        e.mtime_s += i % 7;
        scattered_map(&d, 1, extents + i % 3, &e);
        OK(manifest_add(d.writer, &e, &err), &err);
    }
    OK(manifest_flush(d.writer, &err), &err);
    OK(set_check_listing(d.set, &err), &err);
    OK(commit(&d, &like), &err);
}

static void many_are(struct manifest *m, struct entry_walk *w, uint32_t from, uint32_t n,
                     uint32_t extents)
{
    struct entry e;

    for (uint32_t i = from; i < n; i++) {
        next_is(w, many_path(i), &e);
        if (i % 1000 == 0)
            map_has(&e, manifest_sets(m), extents + i % 3);
    }
    assert_int_equal(entry_walk_next(w, &e, &err), 0);
}

static void large_tables_go_into_metadata_packs(void **state)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(entry_walk_end) struct entry_walk *w = NULL;
    struct store_entry object;
    struct sample_repo s;
    size_t n;

    (void)state;
    sample_repo_begin(&s, true, 1 << 20);
    make_many(s.repo, SAMPLE_LABEL, MANY, 200);
    OK(store_stat(s.store, MANIFEST_KEY(SAMPLE_LABEL), &object, &err), &err);
    assert_in_range(object.size, 1, 8192);
    OK(manifest_open(&m, s.repo, SAMPLE_LABEL, &err), &err);
    assert_non_null(manifest_packs(m, 1, &n));
    assert_in_range(n, 1, 100);
    assert_in_range(manifest_pub(m)->stored_bytes, 1, UINT64_MAX);
    OK(entry_walk_begin(&w, m, &err), &err);
    many_are(m, w, 0, MANY, 200);
    entry_walk_end(&w);
    manifest_close(&m);
    sample_repo_end(&s);
}

static void a_walk_starts_anywhere(void **state)
{
    static const uint32_t starts[] = {0, 1, 4095, 4096, 4097, 8191, 8192, 20000, MANY - 1};
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(entry_walk_end) struct entry_walk *w = NULL;
    struct sample_repo s;
    struct entry e;

    (void)state;
    sample_repo_begin(&s, false, 0);
    make_many(s.repo, SAMPLE_LABEL, MANY, 1);
    OK(manifest_open(&m, s.repo, SAMPLE_LABEL, &err), &err);
    OK(entry_walk_begin(&w, m, &err), &err);
    for (size_t i = LENGTH(starts); i-- > 0;) {
        AUTO(mem_free) char *from = xstrdup(many_path(starts[i]));
        OK(entry_walk_seek(w, from, &err), &err);
        many_are(m, w, starts[i], MANY, 1);
    }
    OK(entry_walk_seek(w, "data/base/10001", &err), &err);
    next_is(w, many_path(1000), &e);
    OK(entry_walk_seek(w, "a", &err), &err);
    next_is(w, many_path(0), &e);
    OK(entry_walk_seek(w, "z", &err), &err);
    assert_int_equal(entry_walk_next(w, &e, &err), 0);
    entry_walk_end(&w);
    manifest_close(&m);
    sample_repo_end(&s);
}

static size_t memory_used(void)
{
    return mallinfo2().uordblks;
}

/* One block, one map chunk and the readers' windows are in memory, however many files there are. */
static void a_walk_of_200000_files_needs_little_memory(void **state)
{
    enum { FILES = 200000, ENOUGH = 24 << 20 };
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(entry_walk_end) struct entry_walk *w = NULL;
    struct sample_repo s;
    size_t before, most = 0;
    struct entry e;

    (void)state;
    sample_repo_begin(&s, false, 0);
    make_many(s.repo, SAMPLE_LABEL, FILES, 40);
    before = memory_used();
    OK(manifest_open(&m, s.repo, SAMPLE_LABEL, &err), &err);
    OK(entry_walk_begin(&w, m, &err), &err);
    for (uint32_t i = 0; i < FILES; i++) {
        next_is(w, many_path(i), &e);
        if (i % 1000 == 0)
            most = MAX_OF(most, memory_used());
    }
    assert_int_equal(entry_walk_next(w, &e, &err), 0);
    if (most > before + ENOUGH)
        fail_msg("%zu bytes more than before", most - before);
    entry_walk_end(&w);
    manifest_close(&m);
    sample_repo_end(&s);
}

/* ---- foreign sets ---- */

static void chunks_of_other_sets_are_counted_as_needed(void **state)
{
    static const struct pack_info packs[] = {{3, 100, 5000}, {5, 50, 6000}, {9, 4096, 7000}};
    AUTO(draft_end) struct draft d = {0};
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(pubinfo_free) struct pubinfo like = facts(SAMPLE_NEWER, "main");
    struct entry e = entry_of("data/a", ENTRY_FILE);
    struct buf raw[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    AUTO(set_table_free) struct set_table t = {0};
    struct sample_repo s;
    uint32_t set;
    size_t n;

    (void)state;
    sample_repo_begin(&s, false, 0);
    draft_begin(&d, s.repo, SAMPLE_NEWER);
    OK(manifest_add_set(d.writer, SAMPLE_OLDER, packs, 3, &set, &err), &err);
    assert_int_equal(set, 2);
    map_add(&d.map,
            (struct extent){2, 2 * MAP_PAGES, extent_addr(3, 10, 5)}); /* chunks 10, 11, 12 */
    map_finish(&d.map, PAGE, 2 * MAP_PAGES * PAGE, &d.bytes);
    e.size = 2 * MAP_PAGES * PAGE;
    e.place = PLACE_MAP;
    e.map = (const uint8_t *)d.bytes.p;
    e.map_len = d.bytes.len;
    OK(manifest_add(d.writer, &e, &err), &err);
    e = entry_of("data/b", ENTRY_FILE);
    e.size = 10;
    e.place = PLACE_BUNDLE;
    e.set = 2;
    e.pack = 9;
    e.chunk = 4095;
    OK(manifest_add(d.writer, &e, &err), &err);
    OK(commit(&d, &like), &err);
    OK(manifest_open(&m, s.repo, SAMPLE_NEWER, &err), &err);
    assert_int_equal(manifest_packs(m, 2, &n)[1].number, 9);
    assert_int_equal(n, 2); /* pack 5 is not needed */
    OK(manifest_front(s.repo, SAMPLE_NEWER, 3, raw, NULL, &err), &err);
    OK(settab_parse(raw[AT_SETTAB].p, raw[AT_SETTAB].len, &t, &err), &err);
    OK(packtab_parse(raw[AT_PACKTAB].p, raw[AT_PACKTAB].len, &t, LIVE_KEPT, &err), &err);
    assert_int_equal(t.sets[2].live[0][1], 1 << 2 | 1 << 3 | 1 << 4);
    assert_int_equal(t.sets[2].live[0][0] | t.sets[2].live[0][2], 0);
    assert_int_equal(t.sets[2].live[1][511], 0x80);
    for (int i = 0; i < 3; i++)
        buf_free(&raw[i]);
    manifest_close(&m);
    draft_end(&d);
    d = (struct draft){0};
    sample_repo_end(&s);
}

static void entries_that_name_what_is_not_there_are_refused(void **state)
{
    static const struct pack_info packs[] = {{3, 100, 5000}}, twice[] = {{3, 9, 900}, {3, 9, 900}};
    static const struct {
        uint32_t set, pack, chunk;
    } nowhere[] = {{0, 0, 0}, {3, 3, 0}, {2, 2, 0}, {2, 3, 100}, {2, 4, 0}, {UINT32_MAX, 3, 0}};
    AUTO(draft_end) struct draft d = {0};
    struct entry e = entry_of("data/a", ENTRY_FILE);
    struct sample_repo s;
    uint32_t set;

    (void)state;
    sample_repo_begin(&s, false, 0);
    draft_begin(&d, s.repo, SAMPLE_NEWER);
    OK(manifest_add_set(d.writer, SAMPLE_OLDER, packs, 1, &set, &err), &err);
    for (size_t i = 0; i < LENGTH(nowhere); i++) {
        e.place = PLACE_BUNDLE;
        e.size = 1;
        e.set = nowhere[i].set;
        e.pack = nowhere[i].pack;
        e.chunk = nowhere[i].chunk;
        FAILS(manifest_add(d.writer, &e, &err), &err, ERR_FAILED);
    }
    scattered_map(&d, 2, 3, &e);
    FAILS(manifest_add(d.writer, &e, &err), &err, ERR_FAILED);
    scattered_map(&d, 7, 3, &e);
    assert_int_equal(manifest_add(d.writer, &e, &err), -1);
    FAILS(manifest_add_set(d.writer, "no label", packs, 1, &set, &err), &err, ERR_FAILED);
    FAILS(manifest_add_set(d.writer, SAMPLE_LABEL, twice, 2, &set, &err), &err, ERR_FAILED);
    scattered_map(&d, 1, 3, &e);
    e.size++;
    FAILS(manifest_add(d.writer, &e, &err), &err, ERR_FAILED);
    assert_non_null(strstr(err.msg, "data/a"));
    draft_end(&d);
    d = (struct draft){0};
    sample_repo_end(&s);
}

static void entries_out_of_order_are_refused(void **state)
{
    AUTO(draft_end) struct draft d = {0};
    struct entry a = entry_of("data/a", ENTRY_DIR), b = entry_of("data/a-b", ENTRY_DIR),
                 c = entry_of("data/a/b", ENTRY_DIR);
    struct sample_repo s;

    (void)state;
    sample_repo_begin(&s, false, 0);
    draft_begin(&d, s.repo, SAMPLE_LABEL);
    OK(manifest_add(d.writer, &a, &err), &err);
    FAILS(manifest_add(d.writer, &a, &err), &err, ERR_FAILED);
    OK(manifest_add(d.writer, &b, &err), &err);
    FAILS(manifest_add(d.writer, &c, &err), &err, ERR_FAILED);
    draft_end(&d);
    d = (struct draft){0};
    sample_repo_end(&s);
}

static void backups_of_one_second_are_in_the_order_of_their_starts(void **state)
{
    static const char *const labels[] = {"20260726T011503Z-I-ffffff", "20260726T011503Z-I-000000",
                                         "20260726T011503Z-F-888888"};
    const struct backup_info info = {0};
    struct backup_list list;
    struct sample_repo s;

    (void)state;
    sample_repo_begin(&s, false, 0);
    for (size_t i = 0; i < LENGTH(labels); i++) {
        AUTO(draft_end) struct draft d = {0};
        AUTO(pubinfo_free) struct pubinfo p = facts(labels[i], "main");

        p.start_us += (int64_t)i;
        draft_begin(&d, s.repo, labels[i]);
        add_all_kinds(&d);
        OK(manifest_commit(d.writer, &p, &info, &err), &err);
    }
    OK(backups_list(s.repo, &list, NULL, NULL, &err), &err);
    assert_int_equal(list.n, LENGTH(labels));
    for (size_t i = 0; i < LENGTH(labels); i++)
        assert_string_equal(list.items[i].label, labels[i]);
    backups_free(&list);
    sample_repo_end(&s);
}

/* ---- what must not be taken for a backup ---- */

static void a_manifest_that_could_not_be_read_is_not_committed(void **state)
{
    AUTO(draft_end) struct draft d = {0};
    AUTO(pubinfo_free) struct pubinfo p = facts(SAMPLE_LABEL, "main");
    const struct backup_info info = {0};
    struct backup_list list;
    struct sample_repo s;

    (void)state;
    sample_repo_begin(&s, false, 0);
    draft_begin(&d, s.repo, SAMPLE_LABEL);
    add_all_kinds(&d);
    p.wal_segment_size = 0;
    FAILS(manifest_commit(d.writer, &p, &info, &err), &err, ERR_CORRUPT);
    p.wal_segment_size = 16 << 20;
    p.n_spans = 0;
    FAILS(manifest_commit(d.writer, &p, &info, &err), &err, ERR_CORRUPT);
    OK(backups_list(s.repo, &list, NULL, NULL, &err), &err);
    assert_int_equal(list.n, 0);
    draft_end(&d);
    d = (struct draft){0};
    sample_repo_end(&s);
}

static void move_object(struct store *s, const char *from, const char *to)
{
    AUTO(buf_free) struct buf whole = BUF_INIT;

    OK(store_read(s, from, 1 << 30, &whole, &err), &err);
    OK(store_put(s, to, STORE_REPLACE, whole.p, whole.len, &err), &err);
    OK(store_delete(s, &from, 1, &err), &err);
}

static void other_label(struct sample_repo *s)
{
    make_backup(s->repo, SAMPLE_OLDER);
    move_object(s->store, MANIFEST_KEY(SAMPLE_OLDER), MANIFEST_KEY(SAMPLE_LABEL));
}
static void other_cluster(struct sample_repo *s)
{
    AUTO(draft_end) struct draft d = {0};
    AUTO(pubinfo_free) struct pubinfo like = facts(SAMPLE_LABEL, "other");

    draft_begin(&d, s->repo, SAMPLE_LABEL);
    OK(commit(&d, &like), &err);
}
static void other_system(struct sample_repo *s)
{
    AUTO(draft_end) struct draft d = {0};
    AUTO(pubinfo_free) struct pubinfo like = facts(SAMPLE_LABEL, "main");

    like.system_id++;
    draft_begin(&d, s->repo, SAMPLE_LABEL);
    OK(commit(&d, &like), &err);
}
static void other_repository(struct sample_repo *s)
{
    struct sample_repo elsewhere;
    AUTO(buf_free) struct buf whole = BUF_INIT;

    sample_repo_begin(&elsewhere, s->options.encrypted, 0);
    make_backup(elsewhere.repo, SAMPLE_LABEL);
    OK(store_read(elsewhere.store, MANIFEST_KEY(SAMPLE_LABEL), 1 << 30, &whole, &err), &err);
    OK(store_put(s->store, MANIFEST_KEY(SAMPLE_LABEL), STORE_REPLACE, whole.p, whole.len, &err),
       &err);
    sample_repo_end(&elsewhere);
}
static void a_pack(struct sample_repo *s)
{
    AUTO(set_free) struct set *set = NULL;
    AUTO(packer_free) struct packer *p = NULL;
    struct place at;

    OK(set_new(&set, s->repo, SAMPLE_LABEL, &identity, &err), &err);
    OK(packer_new(&p, set, OBJECT_META_PACK, &err), &err);
    OK(packer_add(p, CHUNK_MAP, 1, "map", 3, NULL, NULL, &at, &err), &err);
    OK(packer_finish(p, &err), &err);
    move_object(s->store, "main/data/" SAMPLE_LABEL "/00000/00000000", MANIFEST_KEY(SAMPLE_LABEL));
}
static void nothing_in_it(struct sample_repo *s)
{
    OK(store_put(s->store, MANIFEST_KEY(SAMPLE_LABEL), STORE_REPLACE, "", 0, &err), &err);
}
static void flipped_in_front(struct sample_repo *s)
{
    make_backup(s->repo, SAMPLE_LABEL);
    sample_repo_damage(s, MANIFEST_KEY(SAMPLE_LABEL), 200);
}
static void cut_off(struct sample_repo *s)
{
    AUTO(buf_free) struct buf whole = BUF_INIT;

    make_backup(s->repo, SAMPLE_LABEL);
    OK(store_read(s->store, MANIFEST_KEY(SAMPLE_LABEL), 1 << 30, &whole, &err), &err);
    OK(store_put(s->store, MANIFEST_KEY(SAMPLE_LABEL), STORE_REPLACE, whole.p, 300, &err), &err);
}
/* What a list asks for is all there. */
static void without_its_end(struct sample_repo *s)
{
    AUTO(buf_free) struct buf whole = BUF_INIT;

    make_many(s->repo, SAMPLE_LABEL, 9000, 40);
    OK(store_read(s->store, MANIFEST_KEY(SAMPLE_LABEL), 1 << 30, &whole, &err), &err);
    assert_true(whole.len > 20000);
    OK(store_put(s->store, MANIFEST_KEY(SAMPLE_LABEL), STORE_REPLACE, whole.p, whole.len - 1, &err),
       &err);
}

static void note_broken(void *ctx, const char *label, const struct err *why)
{
    (void)why;
    assert_string_equal(label, SAMPLE_LABEL);
    ++*(int *)ctx;
}

static void a_manifest_that_does_not_belong_there_is_refused(void **state)
{
    static const struct {
        void (*make)(struct sample_repo *s);
        enum err_code code;
    } cases[] = {{other_label, ERR_FOREIGN},      {other_cluster, ERR_FOREIGN},
                 {other_system, ERR_FOREIGN},     {other_repository, ERR_FOREIGN},
                 {a_pack, ERR_FOREIGN},           {nothing_in_it, ERR_CORRUPT},
                 {flipped_in_front, ERR_CORRUPT}, {cut_off, ERR_CORRUPT},
                 {without_its_end, ERR_CORRUPT}};

    (void)state;
    for (size_t i = 0; i < 2 * LENGTH(cases); i++) {
        struct manifest *m = NULL;
        struct sample_repo s;
        struct backup_list list;
        int broken = 0;
        sample_repo_begin(&s, i % 2 != 0, 0);
        cases[i / 2].make(&s);
        FAILS(manifest_open(&m, s.repo, SAMPLE_LABEL, &err), &err, cases[i / 2].code);
        assert_non_null(strstr(err.msg, SAMPLE_LABEL));
        OK(backups_list(s.repo, &list, note_broken, &broken, &err), &err);
        assert_int_equal(list.n, 0);
        assert_int_equal(broken, 1);
        OK(backups_list(s.repo, &list, NULL, NULL, &err), &err);
        sample_repo_end(&s);
    }
}

/* Every byte of a manifest is covered by something. */
static void a_flipped_bit_anywhere_is_noticed(void **state)
{
    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        struct store_entry object;
        struct sample_repo s;
        sample_repo_begin(&s, encrypted, 0);
        make_backup(s.repo, SAMPLE_LABEL);
        OK(store_stat(s.store, MANIFEST_KEY(SAMPLE_LABEL), &object, &err), &err);
        for (long at = 0; at < (long)object.size; at++) {
            AUTO(manifest_close) struct manifest *m = NULL;
            AUTO(entry_walk_end) struct entry_walk *w = NULL;
            struct entry e;
            int more = 1;
            sample_repo_damage(&s, MANIFEST_KEY(SAMPLE_LABEL), at);
            if (manifest_open(&m, s.repo, SAMPLE_LABEL, &err) == 0 &&
                entry_walk_begin(&w, m, &err) == 0) {
                while (more == 1)
                    more = entry_walk_next(w, &e, &err);
                if (more == 0)
                    fail_msg("a flipped bit in byte %ld of %llu", at,
                             (unsigned long long)object.size);
            }
            sample_repo_damage(&s, MANIFEST_KEY(SAMPLE_LABEL), at);
        }
        sample_repo_end(&s);
    }
}

/* Accepted by another host after this process opened the repository. */
static void a_system_accepted_meanwhile_is_known(void **state)
{
    AUTO(draft_end) struct draft d = {0};
    AUTO(pubinfo_free) struct pubinfo like = facts(SAMPLE_LABEL, "main");
    AUTO(pubinfo_free) struct pubinfo seen = {0};
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(repo_close) struct repo *other = NULL;
    struct sample_repo s;

    (void)state;
    sample_repo_begin(&s, false, 0);
    like.system_id++;
    draft_begin(&d, s.repo, SAMPLE_LABEL);
    OK(commit(&d, &like), &err);
    FAILS(pubinfo_read(s.repo, SAMPLE_LABEL, &seen, NULL, &err), &err, ERR_FOREIGN);
    other = sample_repo_other(&s, store_mem_share(s.store), REPO_OPEN_FULL);
    OK(repo_accept(other, like.system_id, SAMPLE_MAJOR, &err), &err);
    OK(pubinfo_read(s.repo, SAMPLE_LABEL, &seen, NULL, &err), &err);
    OK(manifest_open(&m, s.repo, SAMPLE_LABEL, &err), &err);
    draft_end(&d);
    d = (struct draft){0};
    sample_repo_end(&s);
}

static void labels_that_are_none_or_not_there_are_not_found(void **state)
{
    static const char *const labels[] = {"", "latest", "../../other", SAMPLE_NEWER};
    struct manifest *m = NULL;
    struct sample_repo s;

    (void)state;
    sample_repo_begin(&s, false, 0);
    make_backup(s.repo, SAMPLE_LABEL);
    for (size_t i = 0; i < LENGTH(labels); i++)
        FAILS(manifest_open(&m, s.repo, labels[i], &err), &err, ERR_NOT_FOUND);
    sample_repo_end(&s);
}

/* ---- which backups there are ---- */

static void a_list_has_what_is_committed_and_neither_expired_nor_fenced(void **state)
{
    struct backup_list list;
    struct manifest *m = NULL;
    struct store_entry object;
    struct sample_repo s;

    (void)state;
    sample_repo_begin(&s, true, 0);
    OK(backups_list(s.repo, &list, NULL, NULL, &err), &err);
    assert_int_equal(list.n, 0);
    make_backup(s.repo, SAMPLE_LABEL);
    make_backup(s.repo, SAMPLE_NEWER);
    make_backup(s.repo, SAMPLE_OLDER);
    OK(fence_intent(s.repo, SAMPLE_OLDER, &err), &err); /* means nothing yet */
    OK(store_stat(s.store, MANIFEST_KEY(SAMPLE_OLDER), &object, &err), &err);
    OK(backups_list(s.repo, &list, NULL, NULL, &err), &err);
    assert_int_equal(list.n, 3);
    assert_string_equal(list.items[0].label, SAMPLE_OLDER);
    assert_string_equal(list.items[1].label, SAMPLE_LABEL);
    assert_string_equal(list.items[2].label, SAMPLE_NEWER);
    assert_int_equal(list.manifest_sizes[0], object.size);
    backups_free(&list);
    OK(fence_final(s.repo, SAMPLE_OLDER, &err), &err);
    OK(expired_mark(s.repo, SAMPLE_NEWER, "test", &err), &err);
    OK(fence_final(s.repo, "20261122T140533Z-F-ffffff", &err), &err); /* of no backup */
    OK(backups_list(s.repo, &list, NULL, NULL, &err), &err);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.items[0].label, SAMPLE_LABEL);
    backups_free(&list);
    FAILS(manifest_open(&m, s.repo, SAMPLE_OLDER, &err), &err, ERR_NOT_FOUND);
    sample_repo_end(&s);
}

static void listing_a_backup_takes_one_small_request(void **state)
{
    struct backup_list list;
    struct store *counted;
    struct sample_repo s;
    struct repo *r;
    long before;

    (void)state;
    sample_repo_begin(&s, true, 0);
    for (int i = 0; i < 10; i++) {
        char label[LABEL_SIZE + 1];
        snprintf(label, sizeof label, "20261122T14053%dZ-F-0a1b2c", i);
        make_backup(s.repo, label);
    }
    counted = store_fault_new(s.store, -1, FAULT_BEFORE);
    r = sample_repo_other(&s, counted, REPO_OPEN_FULL);
    before = store_fault_calls(counted);
    OK(backups_list(r, &list, NULL, NULL, &err), &err);
    assert_int_equal(list.n, 10);
    assert_int_equal(store_fault_calls(counted) - before, 12);
    backups_free(&list);
    repo_close(&r);
    sample_repo_end(&s);
}

static void without_the_key_public_facts_are_there_and_files_are_not(void **state)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    struct backup_list list;
    struct entry_walk *w = NULL;
    struct sample_repo s;
    struct repo *r;
    size_t n;
    int broken = 0;

    (void)state;
    sample_repo_begin(&s, true, 0);
    make_many(s.repo, SAMPLE_LABEL, 9000, 400);
    r = sample_repo_other(&s, store_mem_share(s.store), REPO_OPEN_NO_KEY);
    OK(backups_list(r, &list, NULL, NULL, &err), &err);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.items[0].system_id, SAMPLE_SYSTEM_ID);
    backups_free(&list);
    OK(manifest_open(&m, r, SAMPLE_LABEL, &err), &err);
    manifest_packs(m, 1, &n);
    assert_in_range(n, 1, 10);
    FAILS(entry_walk_begin(&w, m, &err), &err, ERR_KEY);
    manifest_close(&m);
    /* a bit far from what is read: without the key only the hash of all tells */
    sample_repo_damage(&s, MANIFEST_KEY(SAMPLE_LABEL), -100);
    FAILS(manifest_open(&m, r, SAMPLE_LABEL, &err), &err, ERR_CORRUPT);
    OK(backups_list(r, &list, note_broken, &broken, &err), &err);
    assert_int_equal(list.n, 0);
    assert_int_equal(broken, 1);
    repo_close(&r);
    sample_repo_end(&s);
}

/* ---- the commit ---- */

static int backup_once(struct repo *r)
{
    AUTO(draft_end) struct draft d = {0};
    AUTO(pubinfo_free) struct pubinfo like = facts(SAMPLE_LABEL, "main");

    draft_begin(&d, r, SAMPLE_LABEL);
    add_all_kinds(&d);
    return commit(&d, &like);
}

/* Whichever call fails, before or after its effect: the backup is whole or not there, and who was
 * told that it is there is right. */
static void a_broken_commit_leaves_no_half_backup(void **state)
{
    bool reached = true;

    (void)state;
    for (long nth = 0; reached; nth++)
        for (int after = 0; after < 2; after++) {
            AUTO(manifest_close) struct manifest *m = NULL;
            struct sample_repo s;
            struct store *flaky;
            struct repo *r;
            long opening;
            int made;
            sample_repo_begin(&s, false, 0);
            flaky = store_fault_new(s.store, -1, FAULT_BEFORE);
            r = sample_repo_other(&s, flaky, REPO_OPEN_FULL);
            opening = store_fault_calls(flaky);
            repo_close(&r);
            flaky =
                store_fault_new(s.store, opening + nth, after != 0 ? FAULT_AFTER : FAULT_BEFORE);
            r = sample_repo_other(&s, flaky, REPO_OPEN_FULL);
            made = backup_once(r);
            reached = store_fault_calls(flaky) > opening + nth;
            if (made == 0) {
                OK(manifest_open(&m, s.repo, SAMPLE_LABEL, &err), &err);
                all_kinds_are_there(m);
            } else {
                FAILS(manifest_open(&m, s.repo, SAMPLE_LABEL, &err), &err, ERR_NOT_FOUND);
            }
            assert_true(reached || made == 0);
            manifest_close(&m);
            repo_close(&r);
            sample_repo_end(&s);
        }
}

static void a_label_is_committed_once(void **state)
{
    struct sample_repo s;

    (void)state;
    sample_repo_begin(&s, false, 0);
    OK(backup_once(s.repo), &err);
    FAILS(backup_once(s.repo), &err, ERR_EXISTS);
    sample_repo_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_is_read_as_it_was_written),
        cmocka_unit_test(large_tables_go_into_metadata_packs),
        cmocka_unit_test(a_walk_starts_anywhere),
        cmocka_unit_test(a_walk_of_200000_files_needs_little_memory),
        cmocka_unit_test(chunks_of_other_sets_are_counted_as_needed),
        cmocka_unit_test(entries_that_name_what_is_not_there_are_refused),
        cmocka_unit_test(entries_out_of_order_are_refused),
        cmocka_unit_test(backups_of_one_second_are_in_the_order_of_their_starts),
        cmocka_unit_test(a_manifest_that_could_not_be_read_is_not_committed),
        cmocka_unit_test(a_manifest_that_does_not_belong_there_is_refused),
        cmocka_unit_test(a_flipped_bit_anywhere_is_noticed),
        cmocka_unit_test(a_system_accepted_meanwhile_is_known),
        cmocka_unit_test(labels_that_are_none_or_not_there_are_not_found),
        cmocka_unit_test(a_list_has_what_is_committed_and_neither_expired_nor_fenced),
        cmocka_unit_test(listing_a_backup_takes_one_small_request),
        cmocka_unit_test(without_the_key_public_facts_are_there_and_files_are_not),
        cmocka_unit_test(a_broken_commit_leaves_no_half_backup),
        cmocka_unit_test(a_label_is_committed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
