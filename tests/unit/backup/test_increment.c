/* test_increment.c - what an incremental backup holds is what lay there, and it read no more than
 * it had to. */
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

static int begin_with(void **state, bool encrypted)
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

static int begin(void **state)
{
    return begin_with(state, false);
}

static int begin_encrypted(void **state)
{
    return begin_with(state, true);
}

static int end(void **state)
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

static struct rel_file rel_of(const char *name, struct wal_locator *rel)
{
    struct rel_file f;

    assert_true(relfile_parse(name, &f));
    *rel = (struct wal_locator){f.spc, f.db, f.rel};
    return f;
}

/* Block of the file. */
static void tell(struct world *w, const char *name, uint32_t block)
{
    struct wal_locator rel;
    struct rel_file f = rel_of(name, &rel);

    wal_changes_block(w->told, &rel, (uint8_t)f.fork, f.segno * PG_RELSEG_PAGES + block);
}

static void tell_limit(struct world *w, const char *name, uint32_t block)
{
    struct wal_locator rel;
    struct rel_file f = rel_of(name, &rel);

    wal_changes_limit(w->told, &rel, (uint8_t)f.fork, f.segno * PG_RELSEG_PAGES + block,
                      WAL_REL_TRUNCATED);
}

static void write_page(struct world *w, const char *name, uint32_t block, uint64_t seed)
{
    uint8_t page[PAGE];

    data_page(page, block, 0x1000000 + block, seed * 7919 + block);
    data_pwrite(&w->dir, name, (uint64_t)block * PAGE, page, sizeof page);
}

static void change(struct world *w, const char *name, uint32_t block, uint64_t seed)
{
    write_page(w, name, block, seed);
    tell(w, name, block);
}

static void change_run(struct world *w, const char *name, uint32_t first, uint32_t n, uint64_t seed)
{
    for (uint32_t i = first; i < first + n; i++)
        change(w, name, i, seed);
}

static void zero(struct world *w, const char *name, uint32_t block)
{
    static const uint8_t zeros[PAGE];

    data_pwrite(&w->dir, name, (uint64_t)block * PAGE, zeros, sizeof zeros);
    tell(w, name, block);
}

static void truncate_to(struct world *w, const char *name, uint32_t pages)
{
    data_resize(&w->dir, name, (uint64_t)pages * PAGE);
    tell_limit(w, name, pages);
}

/* Bytes that are no pages. */
static void add_file(struct world *w, const char *name, size_t size, uint8_t first)
{
    AUTO(mem_free) uint8_t *bytes = xmalloc(size + 1);

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((i + first) % 251 + 1);
    data_write(&w->dir, name, bytes, size);
}

/* ---- backups ---- */

static struct changed *take_told(struct world *w)
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
static struct attempt *next_attempt(struct world *w)
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

static void note_backup(struct world *w)
{
    memcpy(w->labels[w->n++], w->a.label, LABEL_SIZE + 1);
}

static void back_up(struct world *w)
{
    struct err err = {0};

    OK(attempt_all(next_attempt(w), &err), &err);
    note_backup(w);
}

/* With something happening between listing and copying. */
static void back_up_while(struct world *w, void (*happens)(struct world *w))
{
    struct err err = {0};

    OK(attempt_list(next_attempt(w), &err), &err);
    happens(w);
    OK(attempt_copy(&w->a, &err), &err);
    OK(attempt_commit(&w->a, &err), &err);
    note_backup(w);
}

static void read_just(const struct world *w, uint64_t bytes)
{
    assert_int_equal(atomic_load(&w->a.copied.read_bytes), ALWAYS + bytes);
}

/* A chunk's note names the blocks that its pages are, as they lie there. */
static void check_note(struct world *w, const struct contents *c, const struct contents_chunk *k,
                       const uint8_t *pages)
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

static void check_pack(struct world *w, struct pack_reader *reader, uint32_t pack)
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

static void check_notes(struct world *w)
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

static struct back_count as_it_lies_there(struct world *w)
{
    check_notes(w);
    return back_same(w->repo.repo, w->a.label, &w->dir);
}

/* The last backup holds what lies there, and has read that many pages for it. */
static void right(struct world *w, uint64_t pages)
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

static void count_pages(struct manifest *m, const struct entry *e, struct stored *s)
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

static struct stored stored(struct world *w, const char *name)
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

/* ---- unchanged ---- */

static void what_did_not_change_is_not_read(void **state)
{
    struct world *w = *state;
    struct stored large, small;

    data_pages(&w->dir, "base/5/1", 0, 150);
    data_pages(&w->dir, "base/5/2", 0, 3);
    data_write(&w->dir, "base/5/3", "", 0);
    data_resize(&w->dir, "base/5/1", 160 * PAGE);
    back_up(w);
    back_up(w);
    right(w, 0);
    large = stored(w, "base/5/1");
    small = stored(w, "base/5/2");
    assert_int_equal(large.pages[1], 0);
    assert_int_equal(large.pages[2], 150);
    assert_int_equal(large.pages[0], 10);
    assert_false(large.crc_unknown || small.crc_unknown);
    assert_int_equal(small.place, PLACE_BUNDLE);
    assert_int_equal(small.set, 2);
    assert_int_equal(stored(w, "base/5/3").place, PLACE_EMPTY);
    assert_true(set_stored_bytes(w->a.set) < 4000);
}

/* Proof that the count of bytes is no lie: what changed without the WAL is not seen. */
static void what_the_wal_does_not_tell_is_taken_from_the_base(void **state)
{
    AUTO(buf_free) struct buf was = BUF_INIT, large = BUF_INIT, small = BUF_INIT;
    struct world *w = *state;
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 150);
    data_pages(&w->dir, "base/5/2", 0, 3);
    back_up(w);
    OK(fs_read_file(w->dir.fd, "base/5/1", 1 << 30, &was, &err), &err);
    write_page(w, "base/5/1", 70, 9);
    write_page(w, "base/5/2", 1, 9);
    back_up(w);
    read_just(w, 0);
    assert_true(back_one(w->repo.repo, w->a.label, "data/base/5/1", &large));
    assert_int_equal(large.len, was.len);
    assert_memory_equal(large.p, was.p, was.len);
    assert_true(back_one(w->repo.repo, w->a.label, "data/base/5/2", &small));
    assert_memory_equal(small.p, was.p, 3 * PAGE); /* equal pages, as data_pages() makes them */
}

/* Progress counts what need not be read as done. */
static void progress_goes_to_the_end(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 150);
    data_pages(&w->dir, "base/5/2", 0, 150);
    data_pages(&w->dir, "base/5/3", 0, 3);
    back_up(w);
    change(w, "base/5/1", 3, 1);
    back_up(w);
    assert_int_equal(atomic_load(&w->a.progress.bytes_done), 303 * PAGE + 3);
    assert_int_equal(atomic_load(&w->a.progress.files_done), 4);
}

/* ---- some blocks ---- */

static void of_a_changed_file_only_the_changed_pages_are_read(void **state)
{
    static const uint32_t blocks[] = {0, 1, 7, 63, 64, 65, 130, 131, 132, 200, 255, 399};
    struct world *w = *state;
    struct stored s;

    data_pages(&w->dir, "base/5/1", 0, 400);
    data_pages(&w->dir, "base/5/2", 0, 400);
    back_up(w);
    for (size_t i = 0; i < LENGTH(blocks); i++)
        change(w, "base/5/1", blocks[i], 5);
    back_up(w);
    right(w, LENGTH(blocks));
    s = stored(w, "base/5/1");
    assert_true(s.crc_unknown);
    assert_int_equal(s.pages[1], LENGTH(blocks));
    assert_int_equal(s.pages[2], 400 - LENGTH(blocks));
    assert_false(stored(w, "base/5/2").crc_unknown);
}

/* More than a chunk holds, in one run and scattered, and every page. */
static void very_many_changed_pages_fill_several_chunks(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 1000);
    data_pages(&w->dir, "base/5/2", 0, 1000);
    data_pages(&w->dir, "base/5/3", 0, 200);
    back_up(w);
    change_run(w, "base/5/1", 300, 150, 2);
    for (uint32_t i = 1; i < 1000; i += 3)
        change(w, "base/5/2", i, 2);
    change_run(w, "base/5/3", 0, 200, 2);
    back_up(w);
    right(w, 150 + 333 + 200);
    assert_int_equal(stored(w, "base/5/1").pages[2], 850);
    assert_int_equal(stored(w, "base/5/2").pages[1], 333);
    assert_int_equal(stored(w, "base/5/3").pages[2], 0);
}

static void blocks_of_a_later_segment_are_counted_in_the_relation(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1.1", 0, 100);
    data_pages(&w->dir, "base/5/1.2", 0, 100);
    data_pages(&w->dir, "base/5/1", 0, 100);
    back_up(w);
    change(w, "base/5/1.1", 20, 3);
    change(w, "base/5/1.2", 99, 3);
    back_up(w);
    right(w, 2);
    assert_int_equal(stored(w, "base/5/1").pages[1], 0);
    assert_int_equal(stored(w, "base/5/1.1").pages[1], 1);
    assert_int_equal(stored(w, "base/5/1.2").pages[1], 1);
}

static void relations_of_other_tablespaces_are_known(void **state)
{
    struct world *w = *state;
    AUTO(mem_free) char *location = xasprintf("%s/elsewhere", w->dir.top);
    static const char name[] = "pg_tblspc/16400/PG_15_202209061/5/1";

    data_text(&w->dir, "../elsewhere/PG_15_202209061/5/PG_VERSION", "15\n");
    data_link(&w->dir, "pg_tblspc/16400", location);
    data_pages(&w->dir, name, 0, 100);
    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "global/1", 0, 100);
    back_up(w);
    change(w, name, 5, 1);
    change(w, "global/1", 6, 1);
    back_up(w);
    as_it_lies_there(w);
    read_just(w, 2 * PAGE + 3); /* its PG_VERSION */
    assert_int_equal(stored(w, name).pages[2], 99);
    assert_int_equal(stored(w, "global/1").pages[2], 99);
}

static void zero_pages_come_and_go(void **state)
{
    struct world *w = *state;
    struct stored s;

    data_pages(&w->dir, "base/5/1", 0, 50);
    data_resize(&w->dir, "base/5/1", 70 * PAGE); /* 50 to 69 are zeros */
    data_pages(&w->dir, "base/5/1", 70, 30);
    data_write(&w->dir, "base/5/2", "", 0);
    data_resize(&w->dir, "base/5/2", 100 * PAGE);
    data_pages(&w->dir, "base/5/3", 0, 100);
    back_up(w);
    zero(w, "base/5/1", 10);
    change(w, "base/5/1", 11, 2);
    zero(w, "base/5/1", 12);
    change(w, "base/5/1", 13, 2);
    change(w, "base/5/1", 60, 2);
    zero(w, "base/5/1", 65); /* told, and zeros as before */
    zero(w, "base/5/1", 99);
    change(w, "base/5/2", 99, 2);
    for (uint32_t i = 0; i < 100; i++)
        zero(w, "base/5/3", i);
    back_up(w);
    right(w, 7 + 1 + 100);
    s = stored(w, "base/5/1");
    assert_int_equal(s.pages[0], 19 + 3);
    assert_int_equal(s.pages[1], 3);
    assert_int_equal(s.pages[2], 75);
    assert_int_equal(stored(w, "base/5/2").pages[1], 1);
    assert_int_equal(stored(w, "base/5/3").pages[0], 100);
}

/* Runs of zeros in what is read at once: pages behind them move up. */
static void pages_between_zero_pages_keep_their_places(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 300);
    back_up(w);
    for (uint32_t i = 100; i < 300; i++)
        if (i % 3 == 0 || i % 17 < 5)
            zero(w, "base/5/1", i);
        else
            change(w, "base/5/1", i, 4);
    back_up(w);
    right(w, 200);
}

/* Names that are the beginning of others: list and base must be gone along in one order. */
static void names_are_found_in_whatever_order_they_stand(void **state)
{
    static const char *const dirs[] = {"base/4", "base/50", "base/500", "base/51"};
    static const char *const files[] = {"1", "1.1", "1.10", "1.2", "10", "10.1", "100", "11", "2"};
    struct world *w = *state;

    for (size_t d = 0; d < LENGTH(dirs); d++) {
        data_mkdir(&w->dir, dirs[d]);
        for (size_t f = 0; f < LENGTH(files); f++) {
            AUTO(mem_free) char *name = xasprintf("%s/%s", dirs[d], files[f]);

            data_pages(&w->dir, name, 0, f % 2 == 0 ? 10 : 2);
        }
    }
    back_up(w);
    back_up(w);
    right(w, 0);
    for (size_t f = 0; f < LENGTH(files); f += 2) {
        AUTO(mem_free) char *name = xasprintf("base/50/%s", files[f]);

        change(w, name, (uint32_t)f, 2);
        data_remove(&w->dir, f % 4 == 0 ? "base/500/1" : "base/51");
    }
    back_up(w);
    right(w, (LENGTH(files) + 1) / 2);
}

/* ---- sizes ---- */

static void a_file_that_grew_is_read_where_the_base_has_nothing(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 20);
    data_pages(&w->dir, "base/5/2", 0, 20);
    data_pages(&w->dir, "base/5/3", 0, 20);
    back_up(w);
    data_pages(&w->dir, "base/5/1", 20, 80); /* none of it was told */
    change_run(w, "base/5/2", 18, 82, 3);
    change(w, "base/5/2", 3, 3);
    data_resize(&w->dir, "base/5/3", 60 * PAGE); /* by zeros */
    back_up(w);
    right(w, 80 + 83 + 40);
    assert_int_equal(stored(w, "base/5/1").pages[2], 20);
    assert_int_equal(stored(w, "base/5/2").pages[2], 17);
    assert_int_equal(stored(w, "base/5/3").pages[0], 40);
}

static void a_file_that_shrank_keeps_what_is_left(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 100);
    back_up(w);
    truncate_to(w, "base/5/1", 60);
    change(w, "base/5/1", 3, 1);
    tell(w, "base/5/1", 99); /* before it was cut off */
    truncate_to(w, "base/5/2", 70);
    data_resize(&w->dir, "base/5/3", 80 * PAGE); /* not told: cut off while the base was made */
    back_up(w);
    right(w, 1);
    assert_int_equal(stored(w, "base/5/2").size, 70 * PAGE);
    assert_int_equal(stored(w, "base/5/2").pages[2], 70);
}

/* All behind the limit may be other pages, told or not. */
static void behind_a_limit_everything_is_read(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 100);
    back_up(w);
    truncate_to(w, "base/5/1", 40);
    for (uint32_t i = 40; i < 90; i++)
        write_page(w, "base/5/1", i, 7);
    tell_limit(w, "base/5/2", 95);
    write_page(w, "base/5/2", 97, 7);
    tell_limit(w, "base/5/3", 0);
    back_up(w);
    right(w, 50 + 5 + 100);
    assert_int_equal(stored(w, "base/5/1").pages[2], 40);
    assert_int_equal(stored(w, "base/5/3").pages[2], 0);
    assert_false(stored(w, "base/5/3").crc_unknown); /* all of it was read */
}

static void a_file_of_less_than_pages_is_read_whole(void **state)
{
    struct world *w = *state;

    add_file(w, "base/5/1", 100 * PAGE + 17, 0);
    add_file(w, "base/5/2", 100 * PAGE, 0);
    add_file(w, "base/5/3", 100, 0);
    add_file(w, "base/5/4", 100 * PAGE + 17, 0);
    back_up(w);
    add_file(w, "base/5/4", 101 * PAGE, 3);
    add_file(w, "base/5/1", 100 * PAGE + 17, 3);
    add_file(w, "base/5/2", 100 * PAGE + 17, 3);
    add_file(w, "base/5/3", 100, 3);
    back_up(w);
    as_it_lies_there(w);
    read_just(w, 200 * PAGE + 17 + 17 + 100 + 101 * PAGE);
}

static void small_files_become_large_and_large_ones_small(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 3);
    data_pages(&w->dir, "base/5/2", 0, 7);
    data_pages(&w->dir, "base/5/3", 0, 100);
    data_pages(&w->dir, "base/5/4", 0, 100);
    data_pages(&w->dir, "base/5/5", 0, 2);
    data_write(&w->dir, "base/5/6", "", 0);
    data_pages(&w->dir, "base/5/7", 0, 100);
    data_pages(&w->dir, "base/5/8", 0, 8); /* just large */
    back_up(w);
    data_pages(&w->dir, "base/5/1", 3, 97); /* bundled, and large now */
    data_pages(&w->dir, "base/5/2", 7, 1);
    truncate_to(w, "base/5/3", 7); /* large, and bundled now */
    truncate_to(w, "base/5/4", 0);
    change(w, "base/5/5", 1, 2);
    data_pages(&w->dir, "base/5/5", 2, 1); /* bundled still */
    data_pages(&w->dir, "base/5/6", 0, 20);
    truncate_to(w, "base/5/7", 8);
    change(w, "base/5/8", 7, 2);
    back_up(w);
    right(w, 100 + 8 + 7 + 0 + 3 + 20 + 0 + 1);
    assert_int_equal(stored(w, "base/5/1").pages[1], 100);
    assert_int_equal(stored(w, "base/5/3").place, PLACE_BUNDLE);
    assert_int_equal(stored(w, "base/5/3").set, 1);
    assert_int_equal(stored(w, "base/5/4").place, PLACE_EMPTY);
    assert_int_equal(stored(w, "base/5/7").pages[2], 8);
    data_pages(&w->dir, "base/5/3", 7, 93);
    change(w, "base/5/1", 50, 2);
    back_up(w);
    right(w, 100 + 1);
}

/* ---- what comes and goes ---- */

static void what_is_new_is_read_whole_and_what_is_gone_is_gone(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;

    data_pages(&w->dir, "base/5/10", 0, 100);
    data_pages(&w->dir, "base/5/30", 0, 100);
    data_pages(&w->dir, "base/5/50", 0, 3);
    back_up(w);
    data_remove(&w->dir, "base/5/10");
    data_remove(&w->dir, "base/5/50");
    data_mkdir(&w->dir, "base/4");
    data_mkdir(&w->dir, "base/6");
    data_pages(&w->dir, "base/4/5", 0, 10); /* before, among and behind the others */
    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/20", 0, 3);
    data_pages(&w->dir, "base/5/9", 0, 100);
    data_pages(&w->dir, "base/6/5", 0, 10);
    back_up(w);
    right(w, 10 + 100 + 3 + 100 + 10);
    assert_false(back_one(w->repo.repo, w->a.label, "data/base/5/10", &bytes));
    assert_int_equal(stored(w, "base/5/30").pages[2], 100);
}

static void what_was_made_again_under_its_number_is_read_whole(void **state)
{
    struct world *w = *state;
    struct wal_locator rel;

    data_mkdir(&w->dir, "base/7");
    data_mkdir(&w->dir, "base/8");
    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/1.1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 5);
    data_pages(&w->dir, "base/7/1", 0, 100);
    data_pages(&w->dir, "base/8/1", 0, 100);
    back_up(w);
    rel_of("base/5/1", &rel);
    wal_changes_drop(w->told, &rel);
    for (uint32_t i = 0; i < 100; i++) {
        write_page(w, "base/5/1", i, 5); /* same size, nothing told */
        write_page(w, "base/5/1.1", i, 5);
        write_page(w, "base/7/1", i, 5);
    }
    w->events[w->n_events++] =
        (struct wal_event){.kind = WAL_EVENT_DB_CREATE_COPY, .spc = SPC_DEFAULT, .db = 7};
    back_up(w);
    right(w, 300);
}

static void a_name_that_was_no_file_before_is_read_whole(void **state)
{
    struct world *w = *state;

    data_mkdir(&w->dir, "base/5/1");
    data_link(&w->dir, "base/5/2", "nowhere");
    data_pages(&w->dir, "base/5/3", 0, 20);
    back_up(w);
    data_remove(&w->dir, "base/5/1");
    data_remove(&w->dir, "base/5/2");
    data_pages(&w->dir, "base/5/1", 0, 20);
    data_pages(&w->dir, "base/5/2", 0, 20);
    back_up(w);
    right(w, 40);
}

/* ---- what the WAL cannot vouch for ---- */

static void other_forks_and_other_files_are_always_read(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"base/5/1_vm",  "base/5/1_fsm",      "base/5/9_init",
                                        "pg_xact/0000", "pg_stat/db_5.stat", "base/5/pg_internal",
                                        "base/5/1_vm.1"};

    data_pages(&w->dir, "base/5/1", 0, 20);
    for (size_t i = 0; i < LENGTH(names); i++) {
        data_mkdir(&w->dir, "pg_xact");
        data_mkdir(&w->dir, "pg_stat");
        data_pages(&w->dir, names[i], 0, 10);
    }
    data_text(&w->dir, "postgresql.conf", "port = 1\n");
    back_up(w);
    for (size_t i = 0; i < LENGTH(names); i++)
        write_page(w, names[i], 9, 3);
    data_text(&w->dir, "postgresql.conf", "port = 2\n");
    back_up(w);
    assert_int_equal(stored(w, "base/5/1").pages[2], 20);
    assert_int_equal(stored(w, "base/5/1_vm").pages[2], 0);
    as_it_lies_there(w);
    read_just(w, LENGTH(names) * 10 * PAGE + strlen("port = 2\n"));
}

static void configuration_outside_is_read_again(void **state)
{
    struct world *w = *state;
    AUTO(mem_free) char *conf = xasprintf("%s/etc/postgresql.conf", w->dir.top);
    char *outside[] = {conf};
    struct err err = {0};

    data_text(&w->dir, "../etc/postgresql.conf", "port = 5432\n");
    for (int i = 0; i < 2; i++) {
        next_attempt(w);
        w->a.outside = outside;
        w->a.n_outside = 1;
        OK(attempt_all(&w->a, &err), &err);
        note_backup(w);
        as_it_lies_there(w);
        read_just(w, strlen("port = 5432\n"));
        data_text(&w->dir, "../etc/postgresql.conf", "port = 5433\n");
    }
}

static void a_file_with_damage_in_the_base_is_read_again(void **state)
{
    struct world *w = *state;
    static char large[] = "base/5/1", small[] = "base/5/3";
    struct page_error errors[] = {{large, 7}, {large, 8}, {small, 0}};
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 2);
    next_attempt(w);
    w->a.errors = errors;
    w->a.n_errors = LENGTH(errors);
    OK(attempt_all(&w->a, &err), &err);
    note_backup(w);
    write_page(w, "base/5/1", 7, 3); /* mended, past all WAL */
    write_page(w, "base/5/3", 0, 3);
    back_up(w);
    right(w, 102);
    back_up(w); /* this base has none */
    right(w, 0);
}

/* ---- between listing and copying ---- */

static void vanish(struct world *w)
{
    data_remove(&w->dir, "base/5/1");
    data_remove(&w->dir, "base/5/2");
    data_remove(&w->dir, "base/5/3");
    data_remove(&w->dir, "base/5/4");
}

/* What was to be read and is gone is left out; what needed no reading need not be there. In both
 * cases the WAL has the drop. */
static void files_may_vanish_between_list_and_copy(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 3);
    data_pages(&w->dir, "base/5/4", 0, 3 * PART_PAGES / 2); /* several parts, all to be read */
    data_pages(&w->dir, "base/5/5", 0, 100);
    back_up(w);
    change(w, "base/5/1", 5, 2);
    change(w, "base/5/4", 5, 2);
    change(w, "base/5/4", PART_PAGES + 5, 2);
    change(w, "base/5/5", 5, 2);
    back_up_while(w, vanish);
    read_just(w, PAGE);
    assert_int_equal(atomic_load(&w->a.copied.vanished), 2);
    assert_false(stored(w, "base/5/1").there);
    assert_false(stored(w, "base/5/4").there);
    assert_int_equal(stored(w, "base/5/2").pages[2], 100);
    assert_int_equal(stored(w, "base/5/3").set, 2);
    assert_true(back_one(w->repo.repo, w->a.label, "data/base/5/2", &bytes));
    assert_int_equal(bytes.len, 100 * PAGE);
}

static void shrink(struct world *w)
{
    data_resize(&w->dir, "base/5/1", 60 * PAGE);
    data_resize(&w->dir, "base/5/2", 60 * PAGE);
    data_resize(&w->dir, "base/5/3", 0);
    data_resize(&w->dir, "base/5/4", 30 * PAGE + 100);
    data_resize(&w->dir, "base/5/5", 0);
}

/* It ends where a page that was to be read was not there any more; the WAL cuts off the rest. */
static void a_file_may_shrink_between_list_and_copy(void **state)
{
    static const struct {
        const char *name;
        uint32_t pages;
    } want[] = {
        {"base/5/1", 90}, {"base/5/2", 100}, {"base/5/3", 0}, {"base/5/4", 30}, {"base/5/5", 50}};
    AUTO(buf_free) struct buf was = BUF_INIT, bytes = BUF_INIT;
    struct world *w = *state;
    struct err err = {0};

    for (size_t i = 0; i < LENGTH(want); i++)
        data_pages(&w->dir, want[i].name, 0, 100);
    back_up(w);
    OK(fs_read_file(w->dir.fd, "base/5/1", 1 << 30, &was, &err), &err);
    tell(w, "base/5/1", 50); /* as it was */
    tell(w, "base/5/1", 90);
    tell(w, "base/5/3", 0);
    for (uint32_t i = 20; i < 40; i++)
        tell(w, "base/5/4", i);
    tell(w, "base/5/5", 50);
    back_up_while(w, shrink);
    read_just(w, (1 + 10) * PAGE + 100);
    for (size_t i = 0; i < LENGTH(want); i++) {
        AUTO(mem_free) char *path = xasprintf("data/%s", want[i].name);

        assert_true(back_one(w->repo.repo, w->a.label, path, &bytes));
        assert_int_equal(bytes.len, want[i].pages * PAGE);
        assert_true(bytes.len == 0 || memcmp(bytes.p, was.p, bytes.len) == 0);
    }
    assert_int_equal(stored(w, "base/5/3").place, PLACE_EMPTY);
    data_resize(&w->dir, "base/5/1", 90 * PAGE); /* so that the next one finds a smaller one */
    back_up(w);
}

static void grow(struct world *w)
{
    data_pages(&w->dir, "base/5/1", 100, 100);
    data_pages(&w->dir, "base/5/2", 100, 100);
    data_pages(&w->dir, "base/5/3", 3, 100);
}

/* What it got since is in the WAL. */
static void a_file_may_grow_between_list_and_copy(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_pages(&w->dir, "base/5/3", 0, 3);
    back_up(w);
    change(w, "base/5/1", 99, 2);
    change(w, "base/5/3", 2, 2);
    back_up_while(w, grow);
    assert_int_equal(stored(w, "base/5/1").size, 100 * PAGE);
    assert_int_equal(stored(w, "base/5/2").size, 100 * PAGE);
    assert_true(back_one(w->repo.repo, w->a.label, "data/base/5/3", &bytes));
    assert_true(bytes.len == 103 * PAGE); /* a small one is read to its end */
    tell(w, "base/5/3", 50);
    back_up(w);
    right(w, 200 - 100 + 200 - 100 + 1);
}

/* ---- parts ---- */

/* Three parts, sparse, so that they are quickly made and read. */
static void every_part_of_a_large_file_has_its_pages(void **state)
{
    struct world *w = *state;
    struct stored s;

    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/1", PART_PAGES - 100, 200);
    data_pages(&w->dir, "base/5/1", 2 * PART_PAGES - 100, 300);
    data_pages(&w->dir, "base/5/2", 0, 100);
    data_resize(&w->dir, "base/5/2", 3 * (uint64_t)PART_SIZE);
    back_up(w);
    change_run(w, "base/5/1", PART_PAGES - 5, 10, 2); /* across a border */
    change(w, "base/5/1", 2 * PART_PAGES + 199, 2);   /* the last one */
    change(w, "base/5/2", 2 * PART_PAGES, 2);
    back_up(w);
    right(w, 12);
    s = stored(w, "base/5/1");
    assert_int_equal(s.pages[1], 11);
    assert_int_equal(s.pages[2], 600 - 11);
    /* it grows by more than a part, and shrinks by more than one */
    data_pages(&w->dir, "base/5/1", 3 * PART_PAGES + 5, 10);
    truncate_to(w, "base/5/2", PART_PAGES + 7);
    back_up(w);
    right(w, PART_PAGES + 15 - 200);
    truncate_to(w, "base/5/1", 2 * PART_PAGES);
    data_pages(&w->dir, "base/5/2", PART_PAGES + 7, 1);
    back_up(w);
    right(w, 1);
}

static void shrink_parts(struct world *w)
{
    data_resize(&w->dir, "base/5/1", (uint64_t)(PART_PAGES + 10) * PAGE);
    data_resize(&w->dir, "base/5/2", 10 * PAGE);
}

static void parts_behind_the_end_of_a_file_do_not_count(void **state)
{
    struct world *w = *state;

    for (int i = 1; i <= 2; i++) {
        AUTO(mem_free) char *name = xasprintf("base/5/%d", i);

        data_pages(&w->dir, name, 0, 20);
        data_pages(&w->dir, name, PART_PAGES, 20);
        data_pages(&w->dir, name, 2 * PART_PAGES, 20);
    }
    back_up(w);
    tell(w, "base/5/1", PART_PAGES + 15);
    tell(w, "base/5/1", 2 * PART_PAGES + 15);
    tell(w, "base/5/2", 15);
    tell(w, "base/5/2", 2 * PART_PAGES + 1);
    back_up_while(w, shrink_parts);
    read_just(w, 0);
    assert_int_equal(stored(w, "base/5/1").size, (uint64_t)(PART_PAGES + 15) * PAGE);
    assert_int_equal(stored(w, "base/5/2").size, 15 * PAGE);
    assert_int_equal(stored(w, "base/5/2").pages[2], 15);
}

/* ---- generations ---- */

static void increments_build_on_increments(void **state)
{
    struct world *w = *state;
    struct stored s;

    data_pages(&w->dir, "base/5/1", 0, 300);
    data_pages(&w->dir, "base/5/2", 0, 3);
    data_pages(&w->dir, "base/5/3", 0, 3);
    back_up(w);
    for (unsigned g = 0; g < 6; g++) {
        for (uint32_t b = g; b < 300; b += 10)
            change(w, "base/5/1", b, g + 10);
        change(w, "base/5/1", 299, g + 10);
        change(w, "base/5/2", 1, g + 10);
        if (g == 0)
            change(w, "base/5/3", 1, g + 10);
        back_up(w);
        right(w, 31 + 3 + (g == 0 ? 3 : 0));
    }
    s = stored(w, "base/5/1");
    assert_int_equal(s.pages[1], 31);
    for (unsigned set = 2; set <= 6; set++)
        assert_int_equal(s.pages[set], 30);
    assert_int_equal(s.pages[7], 300 - 31 - 5 * 30);
    assert_int_equal(stored(w, "base/5/2").set, 1);
    assert_int_equal(stored(w, "base/5/3").set, 6); /* of the first incremental */
}

static void older_backups_stay_as_they_were(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w = *state;
    uint32_t crc[4];
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 100);
    for (unsigned g = 0; g < 4; g++) {
        back_up(w);
        buf_clear(&bytes);
        OK(fs_read_file(w->dir.fd, "base/5/1", 1 << 30, &bytes, &err), &err);
        crc[g] = crc32c(0, bytes.p, bytes.len);
        change_run(w, "base/5/1", g * 10, 30, g + 3);
    }
    for (unsigned g = 0; g < 4; g++) {
        assert_true(back_one(w->repo.repo, w->labels[g], "data/base/5/1", &bytes));
        assert_int_equal(crc32c(0, bytes.p, bytes.len), crc[g]);
    }
}

/* ---- consolidation ---- */

/* One chunk of 64 pages, of which that many change: less than a quarter left is not kept. */
static void a_chunk_is_kept_for_a_quarter_of_its_pages(void **state)
{
    static const struct {
        uint32_t changed, read;
    } cases[] = {{1, 1}, {32, 32}, {47, 47}, {48, 48}, {49, 64}, {63, 64}, {64, 64}};

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct world *w;
        struct stored s;

        begin((void **)&w);
        data_pages(&w->dir, "base/5/1", 0, 128);
        back_up(w);
        for (uint32_t k = 0; k < cases[i].changed; k++) /* scattered */
            change(w, "base/5/1", k * 5 % 64, 2);
        back_up(w);
        right(w, cases[i].read);
        s = stored(w, "base/5/1");
        assert_int_equal(s.pages[1], cases[i].read);
        assert_int_equal(s.pages[2], 128 - cases[i].read); /* the other chunk is not touched */
        end((void **)&w);
    }
}

/* Chunk by chunk, over generations: what the first increment stored is given up as well. */
static void chunks_of_every_generation_are_consolidated(void **state)
{
    struct world *w = *state;
    struct stored s;

    data_pages(&w->dir, "base/5/1", 0, 128);
    back_up(w);
    change_run(w, "base/5/1", 0, 40, 2);
    back_up(w);
    right(w, 40);
    change_run(w, "base/5/1", 40, 9, 3); /* 15 of the first chunk would be left */
    back_up(w);
    right(w, 24);
    s = stored(w, "base/5/1");
    assert_int_equal(s.pages[1], 24);
    assert_int_equal(s.pages[2], 40);
    assert_int_equal(s.pages[3], 64);
    change_run(w, "base/5/1", 0, 31, 4); /* 9 of 40 would be left */
    back_up(w);
    right(w, 40);
    s = stored(w, "base/5/1");
    assert_int_equal(s.pages[1], 40);
    assert_int_equal(s.pages[2], 24);
    assert_int_equal(s.pages[3], 0);
    assert_int_equal(s.pages[4], 64);
}

/* What one increment has cut into pieces is one chunk still. */
static void a_chunk_in_pieces_is_judged_as_a_whole(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 128);
    back_up(w);
    change(w, "base/5/1", 20, 2);
    change(w, "base/5/1", 30, 2);
    back_up(w);
    right(w, 2);
    change_run(w, "base/5/1", 0, 10, 3);
    change_run(w, "base/5/1", 31, 33, 3);
    change_run(w, "base/5/1", 21, 8, 3); /* 10 to 19, and 29, would be left of 64 */
    back_up(w);
    right(w, 10 + 33 + 8 + 11);
    assert_int_equal(stored(w, "base/5/1").pages[2], 2);
    assert_int_equal(stored(w, "base/5/1").pages[3], 64);
}

/* A part of the file in which nothing changes is left alone, however poor its chunks. */
static void only_parts_that_are_read_anyway_are_consolidated(void **state)
{
    struct world *w = *state;

    data_pages(&w->dir, "base/5/1", 0, 64);
    data_pages(&w->dir, "base/5/1", PART_PAGES, 64);
    back_up(w);
    truncate_to(w, "base/5/1", PART_PAGES + 8); /* 8 of 64 are left */
    back_up(w);
    right(w, 0);
    change(w, "base/5/1", 3, 2);
    back_up(w);
    right(w, 1);
}

/* The chunk of a shrunk file, zero pages, and pages behind its old end, all at once. */
static void consolidation_knows_where_the_file_ends(void **state)
{
    struct world *w = *state;
    struct stored s;

    data_pages(&w->dir, "base/5/1", 0, 64);
    data_resize(&w->dir, "base/5/1", 100 * PAGE);
    data_pages(&w->dir, "base/5/1", 100, 28);
    data_pages(&w->dir, "base/5/2", 0, 64);
    back_up(w);
    change_run(w, "base/5/1", 0, 58, 2); /* 6 of 64 would be left */
    truncate_to(w, "base/5/1", 110);
    change_run(w, "base/5/2", 4, 60, 2); /* 4 of 64 */
    data_pages(&w->dir, "base/5/2", 64, 50);
    back_up(w);
    right(w, 64 + 64 + 50);
    s = stored(w, "base/5/1");
    assert_int_equal(s.pages[0], 36);
    assert_int_equal(s.pages[1], 64);
    assert_int_equal(s.pages[2], 10);
    assert_int_equal(stored(w, "base/5/2").pages[2], 0);
}

/* ---- pages with wrong checksums ---- */

static void damage(struct world *w, const char *name, uint32_t block)
{
    data_pwrite(&w->dir, name, (uint64_t)block * PAGE + 5000, "damage", 6);
}

static void changed_pages_are_checked_by_their_blocks(void **state)
{
    struct world *w = *state;
    const struct suspects *s;
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 200);
    data_pages(&w->dir, "base/5/2", 0, 200);
    back_up(w);
    tell(w, "base/5/1", 17);
    tell(w, "base/5/1", 18);
    for (uint32_t i = 64; i < 128; i++)
        if (i != 100)
            zero(w, "base/5/1", i); /* so that page 100 is consolidated */
    tell(w, "base/5/1", 199);
    damage(w, "base/5/1", 18);
    damage(w, "base/5/1", 100);
    damage(w, "base/5/1", 150); /* is not read */
    damage(w, "base/5/2", 7);
    next_attempt(w);
    w->a.check_pages = true;
    w->a.workers = 1;
    OK(attempt_all(&w->a, &err), &err);
    note_backup(w);
    read_just(w, (2 + 64 + 1) * PAGE);
    s = &w->a.copied.suspects[0];
    assert_int_equal(s->pages, 2);
    assert_int_equal(s->n, 1);
    assert_string_equal(s->files[0].path, "base/5/1");
    assert_int_equal(s->files[0].pages[0].block, 18);
    assert_int_equal(s->files[0].pages[1].block, 100);
}

static void
changed_pages_of_a_later_segment_are_checked_by_their_block_in_the_relation(void **state)
{
    struct world *w = *state;
    uint8_t page[PAGE];
    struct err err = {0};

    data_pages(&w->dir, "base/5/1.1", 0, 100);
    back_up(w);
    data_page(page, PG_RELSEG_PAGES + 7, 0x1000000, 1);
    data_pwrite(&w->dir, "base/5/1.1", 7 * PAGE, page, sizeof page);
    tell(w, "base/5/1.1", 7);
    next_attempt(w);
    w->a.check_pages = true;
    OK(attempt_all(&w->a, &err), &err);
    note_backup(w);
    right(w, 1);
    for (unsigned i = 0; i < w->a.copied.workers; i++)
        assert_int_equal(w->a.copied.suspects[i].pages, 0);
}

/* ---- interrupted attempts ---- */

/* Both an incremental and the full one before it were interrupted; what they stored is used. The
 * set that the base adopted is named by the base and offered again. */
static void what_interrupted_increments_stored_is_adopted(void **state)
{
    struct world *w = *state;
    struct attempt lost[2];
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 300);
    data_pages(&w->dir, "base/5/2", 0, 5);
    OK(attempt_list(next_attempt(w), &err), &err);
    OK(attempt_copy(&w->a, &err), &err); /* and never committed */
    lost[0] = w->a;
    w->a = (struct attempt){.list = {.fd = -1}, .results = {.fd = -1, .map_fd = -1}};
    back_up(w);
    assert_int_equal(adopt_sets(w->a.adoption), 1);
    assert_true(atomic_load(&w->a.copied.adopted_bytes) >= 305 * PAGE);
    for (int i = 0; i < 2; i++) {
        change_run(w, "base/5/1", 50, 40, 2);
        change(w, "base/5/1", 200, 2);
        change(w, "base/5/2", 1, 2);
        if (i == 1)
            break;
        OK(attempt_list(next_attempt(w), &err), &err);
        OK(attempt_copy(&w->a, &err), &err);
        lost[1] = w->a;
        w->a = (struct attempt){.list = {.fd = -1}, .results = {.fd = -1, .map_fd = -1}};
    }
    back_up(w);
    right(w, 41 + 5);
    assert_int_equal(adopt_sets(w->a.adoption), 2);
    assert_int_equal(atomic_load(&w->a.copied.adopted_bytes), 46 * PAGE + 3);
    change(w, "base/5/1", 299, 2);
    back_up(w);
    right(w, 1);
    attempt_free(&lost[0]);
    attempt_free(&lost[1]);
}

static void a_request_to_stop_ends_an_increment(void **state)
{
    struct world *w = *state;
    struct stop stop = {0};
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 300);
    back_up(w);
    change_run(w, "base/5/1", 50, 100, 2);
    next_attempt(w);
    w->a.stop = &stop;
    OK(attempt_list(&w->a, &err), &err);
    atomic_store(&stop.signal, 15);
    FAILS(attempt_copy(&w->a, &err), &err, ERR_INTERRUPTED);
}

/* One incremental with the nth call failing; false: there were fewer. */
static bool increment_with_fault(long nth, enum store_fault_kind kind)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct world *w;
    struct store *flaky;
    struct repo *repo = NULL;
    struct manifest *seen = NULL;
    struct err err = {0};
    bool reached = true;

    begin((void **)&w);
    data_pages(&w->dir, "base/5/1", 0, 100);
    data_pages(&w->dir, "base/5/2", 0, 3);
    back_up(w);
    change_run(w, "base/5/1", 20, 10, 2);
    change(w, "base/5/2", 1, 2);
    next_attempt(w);
    flaky = store_fault_new(w->repo.store, nth, kind);
    if (repo_open(&repo, flaky, &w->repo.options, REPO_OPEN_FULL, &err) == 0) {
        w->a.repo = repo;
        /* After a failure it may be there: the answer was lost, nothing else. */
        if (attempt_all(&w->a, &err) == 0 ||
            (w->a.label[0] != '\0' && manifest_open(&seen, w->repo.repo, w->a.label, &err) == 0))
            as_it_lies_there(w);
        reached = store_fault_calls(flaky) > nth;
    }
    assert_true(back_one(w->repo.repo, w->labels[0], "data/base/5/1", &bytes)); /* still */
    manifest_close(&seen);
    attempt_free(&w->a);
    repo_close(&repo);
    end((void **)&w);
    return reached;
}

static void whichever_call_of_the_store_fails_there_is_a_whole_increment_or_none(void **state)
{
    static const enum store_fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_FOREVER};
    (void)state;

    for (size_t i = 0; i < LENGTH(kinds); i++) {
        long nth = 0;

        while (increment_with_fault(nth, kinds[i]))
            nth++;
        assert_true(nth > 15);
    }
}

/* ---- a base that cannot be used ---- */

static void a_base_that_is_not_there_ends_the_attempt(void **state)
{
    struct world *w = *state;
    struct err err = {0};

    data_pages(&w->dir, "base/5/1", 0, 100);
    back_up(w);
    next_attempt(w);
    w->a.base = SAMPLE_OLDER;
    FAILS(attempt_list(&w->a, &err), &err, ERR_NOT_FOUND);
}

/* ---- against a simulation ---- */

enum { FILES = 12 };
struct model {
    uint64_t random, seed;
    uint32_t size[FILES]; /* pages; 0: the file is not there */
};

static uint32_t any(struct model *m, uint32_t n)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((m->random >> 33) % n);
}

static char *name_of(unsigned i)
{
    return xasprintf("base/%u/%u%s", 5 + i % 2, 100 + i / 2, i % 5 == 4 ? ".1" : "");
}

static void any_pages(struct world *w, struct model *m, unsigned i, const char *name)
{
    static const uint32_t most[] = {1, 5, 70, 300};
    uint32_t first = any(m, m->size[i]), n = 1 + any(m, most[any(m, 4)]);

    m->seed++;
    for (uint32_t b = first; b < MIN_OF(m->size[i], first + n); b += 1 + any(m, 2))
        if (any(m, 6) == 0)
            zero(w, name, b);
        else
            change(w, name, b, m->seed);
}

static void any_change(struct world *w, struct model *m)
{
    unsigned i = any(m, FILES), what = any(m, 12);
    AUTO(mem_free) char *name = name_of(i);
    struct wal_locator rel;
    uint32_t was = m->size[i];

    if (was == 0 || what == 0) { /* it grows */
        m->size[i] += 1 + any(m, any(m, 3) == 0 ? 400 : 12);
        for (uint32_t b = was; b < m->size[i]; b++)
            write_page(w, name, b, m->seed + 1);
    } else if (what == 1) {
        m->size[i] = any(m, was + 1);
        truncate_to(w, name, m->size[i]);
    } else if (what == 2 && any(m, 2) == 0) {
        rel_of(name, &rel);
        data_remove(&w->dir, name);
        wal_changes_drop(w->told, &rel);
        m->size[i] = 0;
    } else if (what == 3) { /* grows by zeros */
        m->size[i] += 1 + any(m, 30);
        data_resize(&w->dir, name, (uint64_t)m->size[i] * PAGE);
    } else {
        any_pages(w, m, i, name);
    }
    m->seed++;
}

static void any_generation(struct world *w, struct model *m)
{
    for (uint32_t n = any(m, 25); n > 0; n--)
        any_change(w, m);
    back_up(w);
    as_it_lies_there(w);
}

static void of_any_changes_the_backup_is_right(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct model m = {.random = seed};
        struct world *w;

        begin_with((void **)&w, seed % 4 == 0);
        data_mkdir(&w->dir, "base/6");
        for (int i = 0; i < 12; i++)
            any_change(w, &m);
        while (w->n < GENERATIONS)
            any_generation(w, &m);
        end((void **)&w);
    }
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, begin, end)
#define ENCRYPTED(test) cmocka_unit_test_setup_teardown(test, begin_encrypted, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(what_did_not_change_is_not_read),
        PLAIN(what_the_wal_does_not_tell_is_taken_from_the_base),
        PLAIN(progress_goes_to_the_end),
        PLAIN(of_a_changed_file_only_the_changed_pages_are_read),
        ENCRYPTED(of_a_changed_file_only_the_changed_pages_are_read),
        PLAIN(very_many_changed_pages_fill_several_chunks),
        PLAIN(blocks_of_a_later_segment_are_counted_in_the_relation),
        PLAIN(relations_of_other_tablespaces_are_known),
        PLAIN(zero_pages_come_and_go),
        PLAIN(pages_between_zero_pages_keep_their_places),
        PLAIN(names_are_found_in_whatever_order_they_stand),
        PLAIN(a_file_that_grew_is_read_where_the_base_has_nothing),
        PLAIN(a_file_that_shrank_keeps_what_is_left),
        PLAIN(behind_a_limit_everything_is_read),
        PLAIN(a_file_of_less_than_pages_is_read_whole),
        PLAIN(small_files_become_large_and_large_ones_small),
        PLAIN(what_is_new_is_read_whole_and_what_is_gone_is_gone),
        PLAIN(what_was_made_again_under_its_number_is_read_whole),
        PLAIN(a_name_that_was_no_file_before_is_read_whole),
        PLAIN(other_forks_and_other_files_are_always_read),
        PLAIN(configuration_outside_is_read_again),
        PLAIN(a_file_with_damage_in_the_base_is_read_again),
        PLAIN(files_may_vanish_between_list_and_copy),
        PLAIN(a_file_may_shrink_between_list_and_copy),
        PLAIN(a_file_may_grow_between_list_and_copy),
        PLAIN(every_part_of_a_large_file_has_its_pages),
        PLAIN(parts_behind_the_end_of_a_file_do_not_count),
        PLAIN(increments_build_on_increments),
        ENCRYPTED(increments_build_on_increments),
        PLAIN(older_backups_stay_as_they_were),
        cmocka_unit_test(a_chunk_is_kept_for_a_quarter_of_its_pages),
        PLAIN(chunks_of_every_generation_are_consolidated),
        PLAIN(a_chunk_in_pieces_is_judged_as_a_whole),
        PLAIN(only_parts_that_are_read_anyway_are_consolidated),
        PLAIN(consolidation_knows_where_the_file_ends),
        PLAIN(changed_pages_are_checked_by_their_blocks),
        PLAIN(changed_pages_of_a_later_segment_are_checked_by_their_block_in_the_relation),
        PLAIN(what_interrupted_increments_stored_is_adopted),
        PLAIN(a_request_to_stop_ends_an_increment),
        cmocka_unit_test(whichever_call_of_the_store_fails_there_is_a_whole_increment_or_none),
        PLAIN(a_base_that_is_not_there_ends_the_attempt),
        cmocka_unit_test(of_any_changes_the_backup_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
