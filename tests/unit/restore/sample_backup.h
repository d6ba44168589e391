/*
 * sample_backup.h - a small backup in an in-memory repository, with every way a file can be stored.
 *
 * The content of page n of a file is a function of its path and n, so that what was restored can be
 * checked page by page without keeping a copy.
 */
#ifndef PGBR_TESTS_UNIT_RESTORE_SAMPLE_BACKUP_H
#define PGBR_TESTS_UNIT_RESTORE_SAMPLE_BACKUP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "repo/manifest/manifest.h"
#include "tests/lib/test.h"

enum {
    PAGE = 8192,
    SAMPLE_SYSTEM_ID = 4711,
    SAMPLE_BIG_PAGES = (64 << 20) / PAGE + 60, /* cut into two parts */
};
#define SAMPLE_LABEL "20261122T140533Z-F-0a1b2c"

struct sample {
    struct repo *repo;
    struct set *set;
    struct packer *packer;
    struct manifest_writer *writer;
    struct manifest *manifest;
    struct map_builder map;
    const char *path; /* of the file being added */
    uint64_t size;
    struct err err;
};

static inline void sample_page(const char *path, uint64_t n, uint8_t page[PAGE])
{
    uint64_t x = hash64(path, strlen(path)) + n;

    for (size_t i = 0; i < PAGE; i += 8) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        put_u64(page + i, x);
    }
}

static inline struct entry sample_entry(const char *path, enum entry_type type, uint32_t mode)
{
    return (struct entry){
        .path = path, .type = type, .mode = mode, .user = "", .group = "", .mtime_s = 1000};
}

static inline void sample_dir(struct sample *s, const char *path)
{
    struct entry e = sample_entry(path, ENTRY_DIR, 0700);
    OK(manifest_add(s->writer, &e, &s->err), &s->err);
}

static inline void sample_link(struct sample *s, const char *path, const char *target)
{
    struct entry e = sample_entry(path, ENTRY_LINK, 0777);
    e.target = target;
    OK(manifest_add(s->writer, &e, &s->err), &s->err);
}

static inline void sample_empty(struct sample *s, const char *path)
{
    struct entry e = sample_entry(path, ENTRY_FILE, 0600);
    OK(manifest_add(s->writer, &e, &s->err), &s->err);
}

struct small {
    const char *path, *text;
    size_t len;
    uint32_t mode;
};
/* Several files in one bundle. */
static inline void sample_bundle(struct sample *s, const struct small *files, size_t n)
{
    AUTO(buf_free) struct buf raw = BUF_INIT;
    struct bundle_part parts[8];
    struct chunk_note note = {.parts = parts, .n_parts = (unsigned)n};
    struct place at;

    for (size_t i = 0; i < n; i++) {
        parts[i] = (struct bundle_part){files[i].path, (uint32_t)raw.len, (uint32_t)files[i].len};
        buf_add(&raw, files[i].text, files[i].len);
    }
    OK(packer_add(s->packer, CHUNK_BUNDLE, (uint32_t)n, raw.p, raw.len, &note, NULL, &at, &s->err),
       &s->err);
    for (size_t i = 0; i < n; i++) {
        struct entry e = sample_entry(files[i].path, ENTRY_FILE, files[i].mode);
        e.size = files[i].len;
        e.place = PLACE_BUNDLE;
        e.set = 1;
        e.pack = at.pack;
        e.chunk = at.chunk;
        e.offset = parts[i].offset;
        e.crc32c = crc32c(0, files[i].text, files[i].len);
        OK(manifest_add(s->writer, &e, &s->err), &s->err);
    }
}

/* A chunk with pages [first, first + n) of the file being added; the last one may be short. stale:
 * a bit for each of them that is not what the backup has there. */
static inline struct place sample_stale_chunk(struct sample *s, uint64_t first, uint32_t n,
                                              uint64_t stale)
{
    static uint8_t raw[MAP_PAGES * PAGE];
    size_t len = (size_t)MIN_OF((uint64_t)n * PAGE, s->size - first * PAGE);
    struct block_run run = {(uint32_t)first, n};
    struct chunk_note note = {.path = s->path, .file_size = s->size, .runs = &run, .n_runs = 1};
    struct place at;

    for (uint32_t i = 0; i < n; i++)
        sample_page(stale >> i & 1 ? "stale" : s->path, first + i, raw + (size_t)i * PAGE);
    OK(packer_add(s->packer, CHUNK_PAGES, n, raw, len, &note, NULL, &at, &s->err), &s->err);
    return at;
}

static inline struct place sample_chunk(struct sample *s, uint64_t first, uint32_t n)
{
    return sample_stale_chunk(s, first, n, 0);
}

static inline void sample_begin(struct sample *s, const char *path, uint64_t size)
{
    s->path = path;
    s->size = size;
    map_reset(&s->map);
}
static inline void sample_pages(struct sample *s, uint64_t first, uint32_t n)
{
    struct place at = sample_chunk(s, first, n);
    map_add(&s->map, (struct extent){1, n, extent_addr(at.pack, at.chunk, 0)});
}
static inline void sample_zeros(struct sample *s, uint32_t n)
{
    map_add(&s->map, (struct extent){SET_ZERO, n, 0});
}
static inline void sample_end(struct sample *s)
{
    AUTO(buf_free) struct buf map = BUF_INIT;
    struct entry e = sample_entry(s->path, ENTRY_FILE, 0600);

    map_finish(&s->map, PAGE, s->size, &map);
    e.size = s->size;
    e.place = PLACE_MAP;
    e.map = (const uint8_t *)map.p;
    e.map_len = map.len;
    OK(manifest_add(s->writer, &e, &s->err), &s->err);
}

/* Is page n of the file zero in the backup? */
static inline bool sample_is_zero(const char *path, uint64_t n)
{
    if (strcmp(path, "data/base/1/11") == 0)
        return n < 16 || n >= 41;
    if (strcmp(path, "data/base/1/17") == 0)
        return !(n < 64 || (n >= 8160 && n < 8224) || (n >= 8230 && n < 8235));
    return false;
}

/* Pages [first, first + 64) as a full backup had them, those of changed (bits) in a chunk of
 * theirs, the last one first. */
static inline void sample_changed(struct sample *s, uint64_t first, uint64_t changed)
{
    struct place base = sample_stale_chunk(s, first, 64, changed), later[64];

    for (uint32_t i = 64; i-- != 0;)
        if (changed >> i & 1)
            later[i] = sample_chunk(s, first + i, 1);
    for (uint32_t i = 0; i < 64; i++) {
        bool other = changed >> i & 1;
        struct place at = other ? later[i] : base;
        map_add(&s->map, (struct extent){1, 1, extent_addr(at.pack, at.chunk, other ? 0 : i)});
    }
}

/* As of a chain of incrementals: most of a chunk is wanted, but not its first pages, not its last
 * one, and not some between them; of the next one less than half is; of the third all but one page;
 * then the file ends. */
static inline void sample_chain(struct sample *s)
{
    struct place both, tail;

    sample_changed(s, 0, 0x8000010a000000f3);
    sample_changed(s, 64, 0x7fffffffff00000f);
    sample_changed(s, 128, 1ull << 60);
    both = sample_chunk(s, 192, 3); /* of which the middle one is stored again */
    tail = sample_chunk(s, 193, 1);
    map_add(&s->map, (struct extent){1, 1, extent_addr(both.pack, both.chunk, 0)});
    map_add(&s->map, (struct extent){1, 1, extent_addr(tail.pack, tail.chunk, 0)});
    map_add(&s->map, (struct extent){1, 1, extent_addr(both.pack, both.chunk, 2)});
}

static inline void sample_relations(struct sample *s)
{
    struct place base, changed;

    sample_begin(s, "data/base/1/10", 68 * PAGE);
    sample_pages(s, 0, 64);
    sample_pages(s, 64, 4);
    sample_end(s);

    sample_begin(s, "data/base/1/11", 60 * PAGE); /* zeros at both ends */
    sample_zeros(s, 16);
    sample_pages(s, 16, 16);
    sample_pages(s, 32, 9);
    sample_zeros(s, 19);
    sample_end(s);

    sample_begin(s, "data/base/1/12", 65 * PAGE + 100); /* a page that is cut */
    sample_pages(s, 0, 64);
    sample_pages(s, 64, 2);
    sample_end(s);

    sample_begin(s, "data/base/1/13", 195 * PAGE);
    sample_chain(s);
    sample_end(s);

    sample_begin(s, "data/base/1/16", 16 * PAGE); /* as of an incremental: to and fro */
    base = sample_chunk(s, 0, 16);                /* not a full chunk, and not wanted as a whole */
    changed = sample_chunk(s, 3, 1);
    map_add(&s->map, (struct extent){1, 3, extent_addr(base.pack, base.chunk, 0)});
    map_add(&s->map, (struct extent){1, 1, extent_addr(changed.pack, changed.chunk, 0)});
    map_add(&s->map, (struct extent){1, 12, extent_addr(base.pack, base.chunk, 4)});
    sample_end(s);

    sample_begin(s, "data/base/1/17", (uint64_t)SAMPLE_BIG_PAGES * PAGE);
    sample_pages(s, 0, 64);
    sample_zeros(s, 8160 - 64);
    sample_pages(s, 8160, 64); /* across the border of two parts */
    sample_zeros(s, 6);
    sample_pages(s, 8230, 5);
    sample_zeros(s, SAMPLE_BIG_PAGES - 8235);
    sample_end(s);
}

static inline void sample_all(struct sample *s, const char *control, size_t control_len)
{
    static char medium[40 << 10];
    const struct small top[] = {{"config/etc/x/postgresql.conf", "port = 1\n", 9, 0644}};
    const struct small version[] = {{"data/PG_VERSION", "15\n", 3, 0600},
                                    {"data/base/0", "zero", 4, 0640}};
    const struct small more[] = {{"data/base/1/18", medium, sizeof medium, 0600},
                                 {"data/base/1/19", "nineteen", 8, 0400}};
    const struct small last[] = {{"data/global/pg_control", control, control_len, 0600}};
    const struct small space[] = {
        {"data/pg_tblspc/16400/PG_15_202209061/5/1", "in a tablespace", 15, 0600}};

    memset(medium, 'm', sizeof medium);
    sample_dir(s, "config/etc");
    sample_dir(s, "config/etc/x");
    sample_bundle(s, top, LENGTH(top));
    sample_dir(s, "data");
    sample_bundle(s, version, 1); /* two files of one bundle with a directory between them would
                                     break the order of paths */
    sample_dir(s, "data/base");
    sample_bundle(s, version + 1, 1);
    sample_dir(s, "data/base/1");
    sample_relations(s);
    sample_bundle(s, more, LENGTH(more));
    sample_empty(s, "data/base/1/20");
    sample_link(s, "data/base/1/link", "../0");
    sample_dir(s, "data/global");
    sample_bundle(s, last, LENGTH(last));
    sample_dir(s, "data/pg_tblspc");
    sample_link(s, "data/pg_tblspc/16400", "/was/there");
    sample_dir(s, "data/pg_tblspc/16400/PG_15_202209061");
    sample_dir(s, "data/pg_tblspc/16400/PG_15_202209061/5");
    sample_bundle(s, space, LENGTH(space));
    sample_dir(s, "data/pg_wal");
    sample_dir(s, "data/pg_wal/archive_status");
}

static inline void sample_commit(struct sample *s)
{
    static char cluster[] = "main", empty[] = "", location[] = "/was/there",
                dir_key[] = "data_directory", dir[] = "/orig";
    struct wal_span span = {1, 0x2000028, 0x2000100};
    struct tablespace_info space = {16400, location};
    struct setting setting = {dir_key, dir};
    struct backup_info info = {.tablespaces = &space,
                               .n_tablespaces = 1,
                               .settings = &setting,
                               .n_settings = 1,
                               .catalog_version = 202209061};
    struct pubinfo pub = {.type = BACKUP_FULL,
                          .cluster = cluster,
                          .instance = empty,
                          .host = empty,
                          .tool = empty,
                          .system_id = SAMPLE_SYSTEM_ID,
                          .pg_version = 150004,
                          .timeline = 1,
                          .start_lsn = span.start,
                          .stop_lsn = span.stop,
                          .start_us = 1000000,
                          .stop_us = 2000000,
                          .page_size = PAGE,
                          .wal_segment_size = 16 << 20,
                          .spans = &span,
                          .n_spans = 1};

    strcpy(pub.label, SAMPLE_LABEL);
    buf_adds(&info.tablespace_map, "16400 /was/there\n");
    buf_adds(&info.backup_label, "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"
                                 "CHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\n"
                                 "BACKUP FROM: primary\nSTART TIME: 2026-11-22 14:05:33 UTC\n"
                                 "LABEL: pgbr\nSTART TIMELINE: 1\n");
    OK(manifest_flush(s->writer, &s->err), &s->err);
    OK(packer_finish(s->packer, &s->err), &s->err);
    OK(manifest_commit(s->writer, &pub, &info, &s->err), &s->err);
    buf_free(&info.tablespace_map);
    buf_free(&info.backup_label);
}

/* Everything, opened for reading. passphrase NULL: a plain repository. */
static inline void sample_make(struct sample *s, const char *control, size_t control_len)
{
    struct repo_options options = {.name = "mem", .cluster = "main", .level = 1};
    struct set_identity id = {SAMPLE_SYSTEM_ID, 15, 1};
    bool created;

    *s = (struct sample){0};
    OK(repo_init(&s->repo, store_mem_new(), &options, &created, &s->err), &s->err);
    OK(repo_accept(s->repo, SAMPLE_SYSTEM_ID, 15, &s->err), &s->err);
    OK(set_new(&s->set, s->repo, SAMPLE_LABEL, &id, &s->err), &s->err);
    OK(packer_new(&s->packer, s->set, OBJECT_PACK, &s->err), &s->err);
    OK(manifest_begin(&s->writer, s->set, &s->err), &s->err);
    sample_all(s, control, control_len);
    sample_commit(s);
    OK(manifest_open(&s->manifest, s->repo, SAMPLE_LABEL, &s->err), &s->err);
}

static inline void sample_free(struct sample *s)
{
    manifest_close(&s->manifest);
    manifest_abandon(&s->writer);
    packer_free(&s->packer);
    set_free(&s->set);
    map_free(&s->map);
    repo_close(&s->repo);
}

#endif
