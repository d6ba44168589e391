/* test_increment_parts.c - large files in parts: their pages, what becomes of scattered chunks, and
 * checks of what is read. */
#include "tests/unit/backup/increment_world.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(every_part_of_a_large_file_has_its_pages),
        PLAIN(parts_behind_the_end_of_a_file_do_not_count),
        PLAIN(chunks_of_every_generation_are_consolidated),
        PLAIN(a_chunk_in_pieces_is_judged_as_a_whole),
        PLAIN(only_parts_that_are_read_anyway_are_consolidated),
        PLAIN(consolidation_knows_where_the_file_ends),
        PLAIN(changed_pages_are_checked_by_their_blocks),
        PLAIN(changed_pages_of_a_later_segment_are_checked_by_their_block_in_the_relation),
        cmocka_unit_test(a_chunk_is_kept_for_a_quarter_of_its_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
