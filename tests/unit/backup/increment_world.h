/* increment_world.h - a data directory that changes, what the WAL tells of it, and one backup of it
 * on top of the other. */
#ifndef PGBR_TESTS_UNIT_BACKUP_INCREMENT_WORLD_H
#define PGBR_TESTS_UNIT_BACKUP_INCREMENT_WORLD_H

#include "tests/unit/backup/attempt.h"

enum {
    GENERATIONS = 8,
    SETS = GENERATIONS + 2,
    ALWAYS = 3, /* bytes that every backup reads: PG_VERSION */
    PART_PAGES = PART_SIZE / PAGE,
};

struct world {
    struct data_dir dir;
    struct sample_repo repo;
    struct attempt a; /* the present or last one */
    char labels[GENERATIONS][LABEL_SIZE + 1];
    unsigned n; /* backups so far */
    struct wal_changes *told;
    struct wal_event events[2];
    uint32_t n_events;
};

static inline int begin_with(void **state, bool encrypted)
{
    struct world *w = xcalloc(1, sizeof *w);

    sample_repo_begin(&w->repo, encrypted, 1 << 20); /* several packs */
    data_begin(&w->dir);
    data_mkdir(&w->dir, "base/5");
    w->told = wal_changes_new();
    w->a.list.fd = w->a.results.fd = w->a.results.map_fd = -1;
    *state = w;
    return 0;
}

static inline int begin(void **state)
{
    return begin_with(state, false);
}

static inline int begin_encrypted(void **state)
{
    return begin_with(state, true);
}

static inline int end(void **state)
{
    struct world *w = *state;

    attempt_free(&w->a);
    wal_changes_free(&w->told);
    data_end(&w->dir);
    sample_repo_end(&w->repo);
    free(w);
    return 0;
}

/* ---- changing files, and telling of it ---- */

static inline struct rel_file rel_of(const char *name, struct wal_locator *rel)
{
    struct rel_file f;

    assert_true(relfile_parse(name, &f));
    *rel = (struct wal_locator){f.spc, f.db, f.rel};
    return f;
}

/* Block of the file. */
static inline void tell(struct world *w, const char *name, uint32_t block)
{
    struct wal_locator rel;
    struct rel_file f = rel_of(name, &rel);

    wal_changes_block(w->told, &rel, (uint8_t)f.fork, f.segno * PG_RELSEG_PAGES + block);
}

static inline void tell_limit(struct world *w, const char *name, uint32_t block)
{
    struct wal_locator rel;
    struct rel_file f = rel_of(name, &rel);

    wal_changes_limit(w->told, &rel, (uint8_t)f.fork, f.segno * PG_RELSEG_PAGES + block,
                      WAL_REL_TRUNCATED);
}

static inline void write_page(struct world *w, const char *name, uint32_t block, uint64_t seed)
{
    uint8_t page[PAGE];

    data_page(page, block, 0x1000000 + block, seed * 7919 + block);
    data_pwrite(&w->dir, name, (uint64_t)block * PAGE, page, sizeof page);
}

static inline void change(struct world *w, const char *name, uint32_t block, uint64_t seed)
{
    write_page(w, name, block, seed);
    tell(w, name, block);
}

static inline void change_run(struct world *w, const char *name, uint32_t first, uint32_t n,
                              uint64_t seed)
{
    for (uint32_t i = first; i < first + n; i++)
        change(w, name, i, seed);
}

static inline void zero(struct world *w, const char *name, uint32_t block)
{
    static const uint8_t zeros[PAGE];

    data_pwrite(&w->dir, name, (uint64_t)block * PAGE, zeros, sizeof zeros);
    tell(w, name, block);
}

static inline void truncate_to(struct world *w, const char *name, uint32_t pages)
{
    data_resize(&w->dir, name, (uint64_t)pages * PAGE);
    tell_limit(w, name, pages);
}

/* Bytes that are no pages. */
static inline void add_file(struct world *w, const char *name, size_t size, uint8_t first)
{
    AUTO(mem_free) uint8_t *bytes = xmalloc(size + 1);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((i + first) % 251 + 1);
    data_write(&w->dir, name, bytes, size);
}

/* ---- backups ---- */

static inline struct changed *take_told(struct world *w)
{
    struct changed *c = changed_new(NULL);
    struct err err = {0};
    struct wal_index ix;

    wal_index_init(&ix);
    wal_index_set_blocks(&ix, w->told);
    for (uint32_t i = 0; i < w->n_events; i++)
        wal_index_add_event(&ix, &w->events[i]);
    changed_add(c, &ix);
    OK(changed_finish(c, &err), &err);
    wal_index_free(&ix);
    wal_changes_free(&w->told);
    w->told = wal_changes_new();
    w->n_events = 0;
    return c;
}

/* The next one: full, or on top of the last one. */
static inline struct attempt *next_attempt(struct world *w)
{
    attempt_free(&w->a);
    w->a = (struct attempt){
        .dir = &w->dir,
        .repo = w->repo.repo,
        .base = w->n != 0 ? w->labels[w->n - 1] : NULL,
        .changed = w->n != 0 ? take_told(w) : NULL,
    };
    return &w->a;
}

static inline void note_backup(struct world *w)
{
    memcpy(w->labels[w->n++], w->a.label, LABEL_SIZE + 1);
}

static inline void back_up(struct world *w)
{
    struct err err = {0};

    OK(attempt_all(next_attempt(w), &err), &err);
    note_backup(w);
}

/* With something happening between listing and copying. */
static inline void back_up_while(struct world *w, void (*happens)(struct world *w))
{
    struct err err = {0};

    OK(attempt_list(next_attempt(w), &err), &err);
    happens(w);
    OK(attempt_copy(&w->a, &err), &err);
    OK(attempt_commit(&w->a, &err), &err);
    note_backup(w);
}

static inline void read_just(const struct world *w, uint64_t bytes)
{
    assert_int_equal(atomic_load(&w->a.copied.read_bytes), ALWAYS + bytes);
}

/* A chunk's note names the blocks that its pages are, as they lie there. */
static inline void check_note(struct world *w, const struct contents *c,
                              const struct contents_chunk *k, const uint8_t *pages)
{
    const char *path = c->paths[k->path] + strlen("data/");
    AUTO(fd_close) int fd = openat(w->dir.fd, path, O_RDONLY);
    uint32_t n = 0;

    for (uint32_t i = k->first_run; i < k->first_run + k->n_runs; i++)
        for (uint32_t b = 0; b < c->runs[i].count; b++, n++) {
            off_t at = (off_t)(c->runs[i].first + b) * PAGE;
            uint8_t page[PAGE];
            ssize_t got = pread(fd, page, sizeof page, at);

            assert_true(got > 0);
            if (memcmp(page, pages + (size_t)n * PAGE, (size_t)got) != 0)
                fail_msg("a chunk's note names block %u of \"%s\"", c->runs[i].first + b, path);
        }
    assert_int_equal((k->raw_len + PAGE - 1) / PAGE, n);
}

static inline void check_pack(struct world *w, struct pack_reader *reader, uint32_t pack)
{
    AUTO(contents_free) struct contents c = {0};
    AUTO(mem_free) uint8_t *bytes = xmalloc(CHUNK_DATA_SIZE);
    struct err err = {0};

    OK(pack_read_contents(reader, w->a.label, pack, &c, &err), &err);
    for (uint32_t k = 0; k < c.n_chunks; k++) {
        size_t len;
        uint32_t items;

        if (c.chunks[k].type != CHUNK_PAGES)
            continue;
        OK(pack_read_chunk(reader, w->a.label, pack, k, CHUNK_PAGES, bytes, CHUNK_DATA_SIZE, &len,
                           &items, &err),
           &err);
        check_note(w, &c, &c.chunks[k], bytes);
    }
}

static inline void check_notes(struct world *w)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(pack_reader_free) struct pack_reader *reader = NULL;
    const struct pack_info *packs;
    struct err err = {0};
    size_t n;

    OK(manifest_open(&m, w->repo.repo, w->a.label, &err), &err);
    OK(pack_reader_new(&reader, w->repo.repo, &err), &err);
    packs = manifest_packs(m, 1, &n);
    for (size_t i = 0; i < n; i++)
        check_pack(w, reader, packs[i].number);
}

static inline struct back_count as_it_lies_there(struct world *w)
{
    check_notes(w);
    return back_same(w->repo.repo, w->a.label, &w->dir);
}

/* The last backup holds what lies there, and has read that many pages for it. */
static inline void right(struct world *w, uint64_t pages)
{
    as_it_lies_there(w);
    read_just(w, pages * PAGE);
}

/* How a file is in the last backup; pages by set. Sets: 0 zeros, 1 its own, 2 the base's own, 3 the
 * own one of the base's base ... */
struct stored {
    bool there, crc_unknown;
    enum entry_place place;
    uint32_t set; /* of a bundle */
    uint64_t size;
    uint32_t pages[SETS];
};

static inline void count_pages(struct manifest *m, const struct entry *e, struct stored *s)
{
    AUTO(map_end) struct map_walk w;
    struct extent x;
    struct err err = {0};
    int more;

    OK(map_begin(&w, e->map, e->map_len, manifest_sets(m), &err), &err);
    while ((more = map_next(&w, &x, &err)) == 1) {
        assert_true(x.set < SETS);
        s->pages[x.set] += x.count;
    }
    OK(more, &err);
}

static inline struct stored stored(struct world *w, const char *name)
{
    AUTO(mem_free) char *path = xasprintf("data/%s", name);
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(entry_walk_end) struct entry_walk *walk = NULL;
    struct stored s = {0};
    struct err err = {0};
    struct entry e;

    OK(manifest_open(&m, w->repo.repo, w->a.label, &err), &err);
    OK(entry_walk_begin(&walk, m, &err), &err);
    while (entry_walk_next(walk, &e, &err) == 1) {
        if (strcmp(e.path, path) != 0)
            continue;
        s = (struct stored){.there = true,
                            .crc_unknown = e.crc_unknown,
                            .place = e.place,
                            .set = e.set,
                            .size = e.size};
        if (e.place == PLACE_MAP)
            count_pages(m, &e, &s);
        break;
    }
    return s;
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, begin, end)
#define ENCRYPTED(test) cmocka_unit_test_setup_teardown(test, begin_encrypted, end)

#endif
