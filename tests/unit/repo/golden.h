/*
 * golden.h - what the repositories in tests/golden/ hold, and how they are made: by
 * "test_golden make DIR", into DIR/plain and DIR/encrypted, for a new version of the format, and
 * for a new kind of object in a way of its own ("test_golden make-sums DIR"). Those that are there
 * are never written again.
 */
#ifndef PGBR_TESTS_UNIT_REPO_GOLDEN_H
#define PGBR_TESTS_UNIT_REPO_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "postgres/lsn.h"
#include "repo/lease/lease.h"
#include "repo/lease/marks.h"
#include "repo/manifest/manifest.h"
#include "repo/wal/wal_object.h"
#include "tests/lib/test.h"
#include "tests/lib/wal_make.h"
#include "wal/index/index.h"
#include "wal/index/sums.h"

#define PASSPHRASE "golden passphrase"
#define FULL "20260102T030405Z-F-0a1b2c"
#define INCR "20260103T030405Z-I-1b2c3d"
#define WIDE "20260104T030405Z-F-2c3d4e"    /* tables in metadata packs */
#define EXPIRED "20260105T030405Z-F-3d4e5f" /* with a tombstone */
#define DEAD "20260106T030405Z-F-4e5f60"    /* a session that never committed */
#define SEG "000000010000000000000003"
#define HISTORY "1\t0/500000\tno recovery target specified\n"
#define BACKUP_FILE "START WAL LOCATION: 0/300028 (file 000000010000000000000003)\n"

enum { PAGE = 8192, SEGSZ = 1 << 20, MAJOR = 15, WIDE_DIRS = 2200, WIDE_NAME = 4000 };
static const uint64_t system_id = UINT64_C(7300000000000000001);
static const int64_t noon = INT64_C(1767322800000000);
static const struct set_identity identity = {UINT64_C(7300000000000000001), MAJOR, 1};

/* XXH3-64 of the segment as wal_make.h made it then; it may make it otherwise one day. */
#define SEGMENT_HASH UINT64_C(0xf379773794027e5a)

static struct err err;

/* ---- what is in them ---- */

struct file {
    const char *path;
    enum entry_type type;
    uint32_t mode;
    uint64_t size;
    const char *text; /* of a bundled file, of a link */
};
#define HEAP "data/base/5/16384"
#define SPARSE "data/base/5/16385"
static const struct file files[] = {
    {"config/etc/postgresql.conf", ENTRY_FILE, 0644, 21, "max_connections = 100"},
    {"data", ENTRY_DIR, 0700, 0, NULL},
    {"data/PG_VERSION", ENTRY_FILE, 0600, 3, "15\n"},
    {"data/base", ENTRY_DIR, 0700, 0, NULL},
    {"data/base/5", ENTRY_DIR, 0700, 0, NULL},
    {HEAP, ENTRY_FILE, 0600, 40 * PAGE, NULL},
    {SPARSE, ENTRY_FILE, 0600, 139 * PAGE + 100, NULL}, /* the last page is short */
    {"data/empty", ENTRY_FILE, 0600, 0, NULL},
    {"data/pg_tblspc", ENTRY_DIR, 0700, 0, NULL},
    {"data/pg_tblspc/16400", ENTRY_LINK, 0777, 0, "/srv/space"},
};

/* Of the heap pages 10 to 19 are zeros, of the sparse file those with an even number. */
static bool is_zero(const char *path, uint32_t n)
{
    return strcmp(path, HEAP) == 0 ? n >= 10 && n < 20 : n % 2 == 0;
}

/* The incremental backup has two pages of the heap anew. */
static bool is_new(const char *label, const char *path, uint32_t n)
{
    return strcmp(label, INCR) == 0 && strcmp(path, HEAP) == 0 && (n == 5 || n == 30);
}

/* So it did not read all of the heap, and does not know its CRC. */
static bool knows_crc(const char *label, const char *path)
{
    return strcmp(label, INCR) != 0 || strcmp(path, HEAP) != 0;
}

static void page_of(const char *label, const char *path, uint32_t n, uint8_t page[PAGE])
{
    char text[100];
    int len;

    memset(page, 0, PAGE);
    if (is_zero(path, n))
        return;
    len = snprintf(text, sizeof text, "page %u of %s, %s;", n, path,
                   is_new(label, path, n) ? "changed" : "as it was");
    for (int i = 0; i < PAGE; i++)
        page[i] = (uint8_t)text[i % len];
}

static uint32_t crc_of(const char *label, const struct file *f)
{
    uint8_t page[PAGE];
    uint32_t crc = 0;

    if (f->text != NULL)
        return crc32c(0, f->text, f->size);
    for (uint64_t at = 0; at < f->size; at += PAGE) {
        page_of(label, f->path, (uint32_t)(at / PAGE), page);
        crc = crc32c(crc, page, MIN_OF((uint64_t)PAGE, f->size - at));
    }
    return crc;
}

static void wide_path(char path[WIDE_NAME + 1], unsigned i)
{
    int len = snprintf(path, WIDE_NAME + 1, "data/%06u", i);

    for (int k = len; k < WIDE_NAME; k++)
        path[k] = k % 100 == 0 ? '/' : 'w';
    path[WIDE_NAME] = '\0';
}

static void make_wal(struct wal_make *m)
{
    wal_make_init(m, MAJOR, system_id, 1, SEGSZ, 3);
    wal_make_checkpoint(m, false, noon);
    wal_make_change(m, (struct wal_locator){1663, 5, 16384}, 5);
    wal_make_commit(m, 700, noon + 1000000);
    wal_make_restore_point(m, "golden", noon + 2000000);
    wal_make_switch(m);
}

static struct repo_options options_of(bool encrypted)
{
    struct repo_options o = {.name = "golden", .cluster = "main", .level = 1, .pack_size = 2 << 10};

    o.encrypted = encrypted;
    if (encrypted)
        o.secret.passphrase = PASSPHRASE;
    return o;
}

/* ---- writing ---- */

struct making {
    struct repo *repo;
    struct set *set;
    struct packer *packer;
    struct manifest_writer *writer;
    uint32_t base;                    /* SETTAB index of the full backup's set, or 0 */
    struct place text[LENGTH(files)]; /* of bundled files */
    struct buf maps[LENGTH(files)];
};

static void making_begin(struct making *m, struct repo *r, const char *label)
{
    memset(m->text, 0, sizeof m->text);
    m->repo = r;
    m->base = 0;
    OK(set_new(&m->set, r, label, &identity, &err), &err);
    OK(packer_new(&m->packer, m->set, OBJECT_PACK, &err), &err);
    OK(manifest_begin(&m->writer, m->set, &err), &err);
}

static void making_end(struct making *m)
{
    manifest_abandon(&m->writer);
    packer_free(&m->packer);
    set_free(&m->set);
    for (size_t i = 0; i < LENGTH(files); i++)
        buf_free(&m->maps[i]);
}

static void put_bundle(struct making *m, size_t i)
{
    const struct bundle_part part = {files[i].path, 0, (uint32_t)files[i].size};
    const struct chunk_note note = {.parts = &part, .n_parts = 1};

    OK(packer_add(m->packer, CHUNK_BUNDLE, 1, files[i].text, files[i].size, &note, NULL,
                  &m->text[i], &err),
       &err);
}

/* Up to ten pages that are not zeros, from page n on; they become one chunk. Returns how far. */
static uint32_t put_pages(struct making *m, const struct file *f, uint32_t n,
                          struct map_builder *map)
{
    uint8_t raw[10 * PAGE];
    struct block_run runs[10];
    struct chunk_note note = {
        .path = f->path, .file_size = f->size, .mtime_s = 1767322000, .runs = runs};
    uint32_t pages = (uint32_t)((f->size + PAGE - 1) / PAGE), end = n, count = 0;
    size_t len;
    struct place at;

    for (; end < pages && count < 10; end++)
        if (!is_zero(f->path, end)) {
            page_of(FULL, f->path, end, raw + (size_t)count * PAGE);
            runs[count++] = (struct block_run){end, 1};
        }
    if (count == 0) {
        map_add(map, (struct extent){SET_ZERO, end - n, 0});
        return end;
    }
    len = (size_t)count * PAGE;
    if (end == pages && runs[count - 1].first == pages - 1)
        len -= (size_t)pages * PAGE - f->size;
    note.n_runs = count;
    OK(packer_add(m->packer, CHUNK_PAGES, count, raw, len, &note, NULL, &at, &err), &err);
    for (uint32_t i = n, k = 0; i < end; i++)
        if (is_zero(f->path, i))
            map_add(map, (struct extent){SET_ZERO, 1, 0});
        else
            map_add(map, (struct extent){1, 1, extent_addr(at.pack, at.chunk, k++)});
    return end;
}

static void put_file(struct making *m, size_t i)
{
    AUTO(map_free) struct map_builder map = {0};

    for (uint32_t n = 0; (uint64_t)n * PAGE < files[i].size;)
        n = put_pages(m, &files[i], n, &map);
    map_finish(&map, PAGE, files[i].size, &m->maps[i]);
}

/* The base's map with two pages of one's own. */
static void put_changed(struct making *m, size_t i, const struct entry *old)
{
    AUTO(map_free) struct map_builder map = {0};
    AUTO(map_end) struct map_walk walk;
    uint8_t page[PAGE];
    struct extent x;
    struct place at;
    uint32_t n = 0;

    OK(map_begin(&walk, old->map, old->map_len, 2, &err), &err);
    while (map_next(&walk, &x, &err) == 1)
        for (uint32_t k = 0; k < x.count; k++, n++) {
            struct block_run run = {n, 1};
            const struct chunk_note note = {
                .path = files[i].path, .file_size = files[i].size, .runs = &run, .n_runs = 1};

            if (!is_new(INCR, files[i].path, n)) {
                map_add(&map,
                        (struct extent){x.set == SET_ZERO ? SET_ZERO : m->base, 1, x.addr + k});
                continue;
            }
            page_of(INCR, files[i].path, n, page);
            OK(packer_add(m->packer, CHUNK_PAGES, 1, page, PAGE, &note, NULL, &at, &err), &err);
            map_add(&map, (struct extent){1, 1, extent_addr(at.pack, at.chunk, 0)});
        }
    map_finish(&map, PAGE, files[i].size, &m->maps[i]);
}

static struct entry entry_of(const char *path, enum entry_type type, uint32_t mode)
{
    return (struct entry){.path = path,
                          .type = type,
                          .mode = mode,
                          .user = "postgres",
                          .group = type == ENTRY_LINK ? "dba" : "postgres",
                          .mtime_s = 1767322000};
}

static void add_entry(struct making *m, size_t i)
{
    const struct file *f = &files[i];
    struct entry e = entry_of(f->path, f->type, f->mode);

    e.size = f->size;
    e.crc_unknown = !knows_crc(set_label(m->set), f->path);
    e.crc32c = e.crc_unknown ? 0 : crc_of(set_label(m->set), f);
    e.target = f->text;
    if (f->type == ENTRY_FILE && f->text != NULL) {
        e.place = PLACE_BUNDLE;
        e.set = m->base != 0 ? m->base : 1;
        e.pack = m->text[i].pack;
        e.chunk = m->text[i].chunk;
    } else if (f->size != 0) {
        e.place = PLACE_MAP;
        e.map = (const uint8_t *)m->maps[i].p;
        e.map_len = m->maps[i].len;
    }
    OK(manifest_add(m->writer, &e, &err), &err);
}

static struct pubinfo facts_of(const char *label, struct wal_span *span)
{
    struct pubinfo p = {.type = strcmp(label, INCR) == 0 ? BACKUP_INCR : BACKUP_FULL,
                        .cluster = xstrdup("main"),
                        .instance = xstrdup("main-1"),
                        .host = xstrdup("db1"),
                        .tool = xstrdup("pgbr 0.1.0"),
                        .system_id = system_id,
                        .pg_version = MAJOR * 10000 + 4,
                        .timeline = 1,
                        .start_lsn = 0x300028,
                        .stop_lsn = 0x300100,
                        .start_us = noon,
                        .stop_us = noon + 60000000,
                        .page_size = PAGE,
                        .wal_segment_size = SEGSZ,
                        .spans = span,
                        .n_spans = 1,
                        .raw_bytes = 1466468,
                        .files = LENGTH(files),
                        .page_errors = 2,
                        .from_standby = true};

    *span = (struct wal_span){1, 0x300028, 0x300100};
    memcpy(p.label, label, LABEL_SIZE + 1);
    if (p.type == BACKUP_INCR) {
        memcpy(p.base, FULL, LABEL_SIZE + 1);
        p.read_bytes = 2 * PAGE;
        p.changes_found = CHANGES_FROM_WAL;
    }
    return p;
}

static void facts_free(struct pubinfo *p)
{
    p->spans = NULL;
    pubinfo_free(p);
}

static void commit(struct making *m)
{
    struct wal_span span;
    AUTO(facts_free) struct pubinfo pub = facts_of(set_label(m->set), &span);
    AUTO(backup_info_free)
    struct backup_info info = {
        .checksums = true, .catalog_version = 202209061, .min_recovery_lsn = 0x300080};

    buf_adds(&info.backup_label, BACKUP_FILE);
    buf_adds(&info.tablespace_map, "16400 /srv/space\n");
    info.tablespaces = xcalloc(1, sizeof *info.tablespaces);
    info.tablespaces[info.n_tablespaces++] = (struct tablespace_info){16400, xstrdup("/srv/space")};
    backup_info_setting(&info, "max_connections", "100");
    info.errors = xcalloc(2, sizeof *info.errors);
    info.errors[info.n_errors++] = (struct page_error){xstrdup("base/5/16384"), 7};
    info.errors[info.n_errors++] = (struct page_error){xstrdup("base/5/16384"), 9};
    OK(packer_finish(m->packer, &err), &err);
    OK(manifest_commit(m->writer, &pub, &info, &err), &err);
}

static void make_full(struct repo *r, const char *label)
{
    AUTO(making_end) struct making m = {0};

    making_begin(&m, r, label);
    for (size_t i = 0; i < LENGTH(files); i++)
        if (files[i].type == ENTRY_FILE && files[i].text != NULL)
            put_bundle(&m, i);
        else if (files[i].type == ENTRY_FILE && files[i].size != 0)
            put_file(&m, i);
    for (size_t i = 0; i < LENGTH(files); i++)
        add_entry(&m, i);
    commit(&m);
}

static void make_incremental(struct repo *r)
{
    AUTO(making_end) struct making m = {0};
    AUTO(manifest_close) struct manifest *base = NULL;
    AUTO(entry_walk_end) struct entry_walk *walk = NULL;
    const struct pack_info *packs;
    struct entry e;
    size_t n;

    OK(manifest_open(&base, r, FULL, &err), &err);
    packs = manifest_packs(base, 1, &n);
    making_begin(&m, r, INCR);
    OK(manifest_add_set(m.writer, FULL, packs, n, &m.base, &err), &err);
    OK(entry_walk_begin(&walk, base, &err), &err);
    for (size_t i = 0; entry_walk_next(walk, &e, &err) == 1; i++)
        if (e.place == PLACE_MAP)
            put_changed(&m, i, &e);
        else if (e.place == PLACE_BUNDLE)
            m.text[i] = (struct place){e.pack, e.chunk};
    for (size_t i = 0; i < LENGTH(files); i++)
        add_entry(&m, i);
    commit(&m);
}

static void make_wide(struct repo *r)
{
    AUTO(making_end) struct making m = {0};
    char path[WIDE_NAME + 1];

    making_begin(&m, r, WIDE);
    for (unsigned i = 0; i < WIDE_DIRS; i++) {
        struct entry e = entry_of(path, ENTRY_DIR, 0700);

        wide_path(path, i);
        OK(manifest_add(m.writer, &e, &err), &err);
    }
    commit(&m);
}

#define LEASED_LSN 0x3000028
#define HELD_UNTIL_US INT64_C(4102444800000000) /* the year 2100 */

/* A session that died: one pack, and a lease that names its base and what it adopted. */
static void make_dead(struct repo *r)
{
    static const char *const adopted[] = {EXPIRED};
    const struct lease_terms terms = {
        .id = identity,
        .base = FULL,
        .adopted = adopted,
        .n_adopted = 1,
        .host = "db1",
        .pid = 77,
        .wal_lsn = LEASED_LSN,
    };
    AUTO(making_end) struct making m = {0};
    struct lease *left = NULL, *released = NULL;
    struct stop stop = {0};

    OK(lease_take(&left, r, DEAD, &terms, &stop, &err), &err);
    making_begin(&m, r, DEAD);
    put_bundle(&m, 0);
    OK(packer_finish(m.packer, &err), &err);
    lease_drop(&left);
    OK(lease_take(&released, r, FULL, &(struct lease_terms){.id = identity, .host = "db2"}, &stop,
                  &err),
       &err);
    OK(lease_release(&released, &err), &err);
    OK(fence_intent(r, DEAD, &err), &err);
    OK(fence_final(r, "20250101T000000Z-F-000000", &err), &err);
}

static void push(struct repo *r, const char *file, const void *raw, size_t len,
                 const struct buf *index)
{
    const struct wal_source s = {.system_id = system_id,
                                 .major = MAJOR,
                                 .file = file,
                                 .raw = raw,
                                 .raw_len = len,
                                 .index = index != NULL ? index->p : NULL,
                                 .index_len = index != NULL ? index->len : 0};
    enum wal_put done;

    OK(wal_object_put(r, &s, 1, &done, &err), &err);
}

static void make_archive(struct repo *r)
{
    AUTO(wal_make_free) struct wal_make m;
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(buf_free) struct buf index = BUF_INIT;
    const struct wal_expect want = {.system_id = system_id, .start = 3 * SEGSZ, .tli = 1};
    const uint8_t *segment;

    make_wal(&m);
    segment = wal_make_segment(&m, 0);
    wal_index_init(&ix);
    OK(wal_index_build(segment, SEGSZ, &want, &ix, &err), &err);
    wal_index_write(&ix, &index);
    push(r, SEG, segment, SEGSZ, &index);
    push(r, "000000010000000000000004.partial", segment, SEGSZ, NULL);
    push(r, "00000002.history", HISTORY, strlen(HISTORY), NULL);
    push(r, SEG ".00000028.backup", BACKUP_FILE, strlen(BACKUP_FILE), NULL);
    printf("segment %016llx\n", (unsigned long long)hash64(segment, SEGSZ));
}

static int golden_make(const char *dir)
{
    for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
        AUTO(mem_free) char *path = xasprintf("%s/%s", dir, encrypted ? "encrypted" : "plain");
        AUTO(repo_close) struct repo *r = NULL;
        const struct repo_options o = options_of(encrypted != 0);
        struct store *store = NULL;
        bool created;

        OK(store_posix_open(&store, path, true, &err), &err);
        OK(repo_init(&r, store, &o, &created, &err), &err);
        assert_true(created);
        OK(repo_accept(r, system_id, MAJOR, &err), &err);
        make_full(r, FULL);
        make_incremental(r);
        make_wide(r);
        make_full(r, EXPIRED);
        OK(expired_mark(r, EXPIRED, "not needed", &err), &err);
        OK(hold_mark(r, FULL, "for the auditors", HELD_UNTIL_US, &err), &err);
        make_dead(r);
        make_archive(r);
        OK(store_sync(repo_store(r), &err), &err);
    }
    return 0;
}

/* ---- sums of WAL indexes ---- */

enum { SUM_SEGMENTS = 5 }; /* 4 to 8 */
static const struct wal_locator sum_table = {1663, 5, 16384}, sum_second = {1663, 5, 16385};

static void make_sum_wal(struct wal_make *m)
{
    const struct wal_make_block crosses = {.rel = sum_table, .block = 77, .data_len = 900};

    wal_make_init(m, MAJOR, system_id, 1, SEGSZ, 4);
    wal_make_change(m, sum_table, 1);
    wal_make_change(m, sum_table, 90);
    wal_make_commit(m, 700, noon);
    wal_make_fill(m, 500);
    wal_make_record(m, 10, 0, 701, &crosses, 1, NULL, 0);
    wal_make_commit(m, 701, noon - 1000000);
    wal_make_switch(m);
    wal_make_truncate(m, sum_table, 80);
    wal_make_change(m, sum_table, 95);
    wal_make_restore_point(m, "before", noon);
    wal_make_switch(m);
    wal_make_change(m, sum_second, 3);
    wal_make_commit_drop(m, 702, noon + 1000000, sum_second);
    wal_make_fill(m, 300);
    wal_make_record(m, 10, 0, 703, &crosses, 1, NULL, 0); /* goes on behind the last sum */
    wal_make_switch(m);
}

static void push_sum_wal(struct repo *r)
{
    AUTO(wal_make_free) struct wal_make m;

    make_sum_wal(&m);
    assert_int_equal(wal_make_count(&m), SUM_SEGMENTS + 0u);
    for (size_t i = 0; i < SUM_SEGMENTS; i++) {
        AUTO(wal_index_free) struct wal_index ix;
        AUTO(buf_free) struct buf index = BUF_INIT;
        const struct wal_expect want = {system_id, (4 + i) * SEGSZ, 1};
        char name[WAL_SEGMENT_NAME];

        wal_index_init(&ix);
        OK(wal_index_build(wal_make_segment(&m, i), SEGSZ, &want, &ix, &err), &err);
        wal_index_write(&ix, &index);
        wal_segment_name(1, 4 + i, SEGSZ, name);
        push(r, name, wal_make_segment(&m, i), SEGSZ, &index);
    }
}

static int golden_make_sums(const char *dir)
{
    for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
        AUTO(mem_free) char *path = xasprintf("%s/%s", dir, encrypted ? "encrypted" : "plain");
        AUTO(repo_close) struct repo *r = NULL;
        const struct repo_options o = options_of(encrypted != 0);
        struct store *store = NULL;
        struct sums_request q = {.small = 2, .large = 4};
        struct sums_made made;
        bool created;

        OK(store_posix_open(&store, path, true, &err), &err);
        OK(repo_init(&r, store, &o, &created, &err), &err);
        OK(repo_accept(r, system_id, MAJOR, &err), &err);
        push_sum_wal(r);
        q.place = (struct wal_place){r, system_id, MAJOR, SEGSZ};
        OK(sums_make(&q, &made, &err), &err);
        assert_int_equal(made.made, 3);
        OK(store_sync(repo_store(r), &err), &err);
    }
    return 0;
}

#endif
