/* test_sums.c - sums of WAL indexes: they say what the indexes say, and never cost more than time.
 */
#include "wal/sums.h"

#include "base/log.h"
#include "repo/names.h"
#include "tests/unit/wal/target_rig.h"
#include "wal/changed.h"

static struct err err;
enum { FRAGMENT = WAL_FRAGMENT_MAX, RELS = 5, BLOCKS = 64, FIRST = 3 };

/* ---- any WAL ---- */

struct world {
    struct rig rig;
    struct wal_make wal;
    uint64_t random;
    uint64_t starts[4096]; /* of records, in order */
    size_t n_starts;
};

static uint32_t any(struct world *w, uint32_t n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((w->random >> 33) % n);
}

static struct wal_locator rel_of(uint32_t i)
{
    return (struct wal_locator){1663, 5 + i / 3, 20000 + i};
}

static uint64_t long_change(struct wal_make *m, struct wal_locator rel, uint8_t fork,
                            uint32_t block, size_t len)
{
    struct wal_make_block b = {.rel = rel, .fork = fork, .block = block, .data_len = 20};
    AUTO(mem_free) uint8_t *main = xcalloc(1, len);

    memset(main, 7, len);
    return wal_make_record(m, 10, 0x00, 1000, &b, 1, main, len);
}

static uint64_t database(struct wal_make *m, uint8_t info, uint32_t db)
{
    uint8_t bytes[16] = {0};

    put_u32(bytes, db);
    if (info == 0x00) { /* created as a copy: database, tablespace, source, its tablespace */
        put_u32(bytes + 4, 1663);
        put_u32(bytes + 8, 1);
        put_u32(bytes + 12, 1663);
        return wal_make_record(m, WAL_RM_DBASE, info, 900, NULL, 0, bytes, 16);
    }
    put_u32(bytes + 4, 1); /* dropped: database, number of tablespaces, these */
    put_u32(bytes + 8, 1663);
    return wal_make_record(m, WAL_RM_DBASE, info, 900, NULL, 0, bytes, 12);
}

static uint64_t any_change(struct world *w)
{
    static const uint32_t longest[] = {100, 100, 100, 3000, 9000, FRAGMENT, 3 * FRAGMENT};
    uint8_t fork = any(w, 5) == 0 ? FORK_VM : FORK_MAIN;

    return long_change(&w->wal, rel_of(any(w, RELS)), fork, any(w, BLOCKS),
                       30 + any(w, longest[any(w, LENGTH(longest))]));
}

static uint64_t any_record(struct world *w)
{
    struct wal_locator rel = rel_of(any(w, RELS));
    uint32_t what = any(w, 60);
    int64_t time = NOON + (int64_t)any(w, 1000000);

    if (what == 0)
        return wal_make_truncate(&w->wal, rel, any(w, BLOCKS));
    if (what == 1 && any(w, 4) == 0)
        return wal_make_commit_drop(&w->wal, 800 + any(w, 9), time, rel);
    if (what == 2 && any(w, 4) == 0)
        return wal_make_create(&w->wal, rel, FORK_MAIN);
    if (what == 3 && any(w, 8) == 0)
        return database(&w->wal, w->rig.major == 14 || w->rig.major == 13 ? 0x10 : 0x20, 6);
    if (what == 4)
        return wal_make_restore_point(&w->wal, "here", time);
    if (what == 5)
        return wal_make_checkpoint(&w->wal, false, time);
    if (what < 16)
        return wal_make_commit(&w->wal, 800 + any(w, 500), time);
    if (what < 19)
        return wal_make_abort(&w->wal, 800 + any(w, 500), time);
    return any_change(w);
}

static void note(struct world *w, uint64_t lsn)
{
    assert_true(w->n_starts < LENGTH(w->starts));
    w->starts[w->n_starts++] = lsn;
}

/* Few records, then the segment is switched, or its end is crossed by a record. */
static void any_segment(struct world *w)
{
    for (uint32_t k = any(w, 12); k > 0; k--)
        note(w, any_record(w));
    if (any(w, 3) == 0) {
        note(w, wal_make_switch(&w->wal));
        return;
    }
    wal_make_fill(&w->wal, 30 + any(w, any(w, 2) == 0 ? 400 : 100000));
    for (size_t n = wal_make_count(&w->wal); wal_make_count(&w->wal) == n;)
        note(w, any_change(w));
    if (any(w, 12) == 0) /* one that is longer than a segment */
        note(w, long_change(&w->wal, rel_of(1), FORK_MAIN, 60, RIG_SEGSZ + any(w, RIG_SEGSZ)));
}

static void world_begin(struct world *w, uint64_t seed)
{
    log_setup(LOG_TEXT, LOG_ERROR);
    memset(w, 0, sizeof *w);
    w->random = seed;
    rig_begin(&w->rig, 13 + (unsigned)(seed % 6));
    rig_make(&w->wal, w->rig.major);
}

static void world_end(struct world *w)
{
    wal_make_free(&w->wal);
    rig_end(&w->rig);
}

/* All of it but the last segment, which has only begun, is archived. */
static void any_wal(struct world *w, size_t segments)
{
    while (wal_make_count(&w->wal) <= segments)
        any_segment(w);
    rig_put_range(&w->rig, &w->wal, 0, wal_make_count(&w->wal) - 2, w->wal.tli);
}

static uint64_t last_archived(const struct world *w)
{
    return FIRST + wal_make_count(&w->wal) - 2;
}

static struct wal_place place_of(const struct world *w)
{
    return (struct wal_place){w->rig.repo, RIG_SYSID, w->rig.major, RIG_SEGSZ};
}

/* ---- asking ---- */

static int collect_from(struct world *w, struct repo *repo, uint64_t from, uint64_t to,
                        struct changed **c, struct err *doubt)
{
    AUTO(history_free) struct history h = HISTORY_INIT;
    struct changed_range range = {.place = {repo, RIG_SYSID, w->rig.major, RIG_SEGSZ},
                                  .history = &h,
                                  .from = from,
                                  .to = to,
                                  .data_fd = -1};

    err = (struct err){0};
    *doubt = err;
    history_root(1, &h);
    return changed_collect(&range, c, doubt, &err);
}

static struct changed *collected(struct world *w, uint64_t from, uint64_t to, struct err *doubt)
{
    struct changed *c = NULL;

    OK(collect_from(w, w->rig.repo, from, to, &c, doubt), &err);
    return c;
}

static void same_file(const struct changed *a, const struct changed *b, struct wal_locator rel,
                      enum rel_fork fork)
{
    struct rel_file f = {.spc = rel.spc, .db = rel.db, .rel = rel.rel, .fork = fork};
    struct changed_file x, y;

    changed_file(a, &f, &x);
    changed_file(b, &f, &y);
    assert_int_equal(x.all, y.all);
    assert_int_equal(x.from, y.from);
    for (uint32_t block = 0; block <= BLOCKS; block++)
        assert_int_equal(changed_next(&x, block), changed_next(&y, block));
}

static void same_set(const struct changed *a, const struct changed *b)
{
    assert_int_equal(a == NULL, b == NULL);
    for (uint32_t i = 0; a != NULL && i <= RELS; i++)
        for (int fork = 0; fork < WAL_FORKS; fork++)
            same_file(a, b, rel_of(i), (enum rel_fork)fork);
    if (a != NULL)
        assert_int_equal(changed_sum(a).databases, changed_sum(b).databases);
}

/* ---- making ---- */

static struct sums_made make(struct world *w, uint32_t small, uint32_t large)
{
    const struct sums_request q = {.place = place_of(w), .small = small, .large = large};
    struct sums_made made;

    OK(sums_make(&q, &made, &err), &err);
    return made;
}

static struct sum_list sums_of(struct world *w)
{
    struct sum_list l;

    OK(wal_sums_list(w->rig.repo, RIG_SYSID, w->rig.major, &l, &err), &err);
    return l;
}

static void forget_sums(struct world *w)
{
    AUTO(sum_list_free) struct sum_list l = sums_of(w);

    for (size_t i = 0; i < l.n; i++) {
        AUTO(buf_free) struct buf key = BUF_INIT;
        const char *name = name_sum(&key, "pg-test", RIG_SYSID, w->rig.major, &l.items[i]);

        OK(store_delete(w->rig.store, &name, 1, &err), &err);
    }
}

/* The stored form, or nothing where there can be no sum. */
static void merged(struct world *w, uint64_t first, uint64_t last, const struct sum_list *smaller,
                   struct buf *out)
{
    AUTO(wal_sum_free) struct wal_sum s;
    struct wal_place place = place_of(w);

    buf_clear(out);
    wal_sum_init(&s);
    if (sum_merge(&place, 1, first, last, smaller, NULL, &s, &err) == 0)
        wal_sum_write(&s, out);
    err_clear(&err);
}

static void put(struct world *w, uint64_t first, uint64_t last)
{
    AUTO(wal_sum_free) struct wal_sum s;
    struct wal_place place = place_of(w);
    bool made;

    wal_sum_init(&s);
    if (sum_merge(&place, 1, first, last, NULL, NULL, &s, &err) == 0)
        OK(wal_sum_put(w->rig.repo, &s, &made, &err), &err);
    err_clear(&err);
}

static void any_sums(struct world *w)
{
    uint64_t last = last_archived(w), segno = FIRST + any(w, 2);

    while (segno < last) {
        uint64_t n = 2 + any(w, 4);

        if (segno + n - 1 <= last && any(w, 3) != 0)
            put(w, segno, segno + n - 1);
        segno += 1 + any(w, 4);
    }
}

/* ---- with and without ---- */

enum { SEEDS = 200, RANGES = 10 };

static void any_range(struct world *w, uint64_t *from, uint64_t *to)
{
    size_t i = any(w, (uint32_t)w->n_starts - 1);
    size_t k = i + 1 + any(w, (uint32_t)(w->n_starts - i - 1));

    *from = w->starts[i];
    *to = w->starts[k];
    while (k > i + 1 && *to / RIG_SEGSZ > last_archived(w))
        *to = w->starts[--k];
}

static void of_any_wal_sums_tell_the_same(void **state)
{
    size_t used = 0, told = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct changed *without[RANGES];
        uint64_t from[RANGES], to[RANGES];
        struct err doubts[RANGES], doubt;
        struct world w;

        world_begin(&w, seed);
        any_wal(&w, 3 + any(&w, 10));
        for (size_t i = 0; i < RANGES; i++) {
            any_range(&w, &from[i], &to[i]);
            without[i] = collected(&w, from[i], to[i], &doubts[i]);
        }
        if (seed % 2 == 0)
            any_sums(&w);
        else
            make(&w, 2, 4);
        for (size_t i = 0; i < RANGES; i++) {
            AUTO(changed_free) struct changed *with = collected(&w, from[i], to[i], &doubt);

            same_set(without[i], with);
            assert_string_equal(doubts[i].msg, doubt.msg);
            told += with != NULL;
            changed_free(&without[i]);
        }
        {
            AUTO(sum_list_free) struct sum_list l = sums_of(&w);
            used += l.n;
        }
        world_end(&w);
    }
    assert_true(used > SEEDS);
    assert_true(told > SEEDS * RANGES / 2);
}

/* In whatever steps segments are merged, the same comes out. */
static void a_sum_of_sums_is_the_sum_of_all(void **state)
{
    size_t compared = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 100; seed++) {
        AUTO(buf_free) struct buf direct = BUF_INIT, by_sums = BUF_INIT;
        AUTO(sum_list_free) struct sum_list smaller = {0};
        struct world w;
        uint64_t first, last;

        world_begin(&w, 1000 + seed);
        any_wal(&w, 6 + any(&w, 10));
        first = FIRST + any(&w, 2);
        last = last_archived(&w) - any(&w, 2);
        merged(&w, first, last, NULL, &direct);
        for (uint64_t s = first; s < last;) {
            uint64_t n = 1 + any(&w, 4);

            if (n > 1 && s + n - 1 <= last && n <= last - first)
                put(&w, s, s + n - 1);
            s += n;
        }
        smaller = sums_of(&w);
        merged(&w, first, last, &smaller, &by_sums);
        assert_int_equal(direct.len, by_sums.len);
        if (direct.len != 0)
            assert_memory_equal(direct.p, by_sums.p, direct.len);
        compared += direct.len != 0 && smaller.n != 0;
        world_end(&w);
    }
    assert_true(compared > 50);
}

static uint64_t records_inside(struct world *w, size_t i)
{
    AUTO(wal_index_free) struct wal_index ix;
    struct wal_expect want = {RIG_SYSID, w->wal.start + i * RIG_SEGSZ, 1};

    wal_index_init(&ix);
    OK(wal_index_build(wal_make_segment(&w->wal, i), RIG_SEGSZ, &want, &ix, &err), &err);
    return ix.records;
}

/* What the whole stretch would say if it were one segment: that it is read back is part of it. */
static void a_sum_counts_what_the_indexes_and_the_records_between_them_say(void **state)
{
    AUTO(wal_sum_free) struct wal_sum s, again;
    AUTO(buf_free) struct buf bytes = BUF_INIT, twice = BUF_INIT;
    struct sum_name name = {1, 3 * RIG_SEGSZ, 6 * RIG_SEGSZ};
    struct wal_place place;
    struct world w;
    uint64_t first, last, records = 0;
    (void)state;

    world_begin(&w, 2); /* 15 */
    first = wal_make_commit(&w.wal, 700, NOON + 5);
    long_change(&w.wal, rel_of(0), FORK_MAIN, 1, 30);
    wal_make_fill(&w.wal, 700);
    wal_make_commit(&w.wal, 701, NOON + 3);
    long_change(&w.wal, rel_of(0), FORK_MAIN, 2, 900); /* crosses */
    wal_make_truncate(&w.wal, rel_of(0), 1);
    long_change(&w.wal, rel_of(0), FORK_MAIN, 5, 30);
    wal_make_switch(&w.wal);
    wal_make_abort(&w.wal, 690, NOON + 4);
    wal_make_restore_point(&w.wal, "here", NOON);
    last = wal_make_commit(&w.wal, 702, NOON + 4);
    wal_make_switch(&w.wal);
    wal_make_noise(&w.wal, 50);
    rig_put_range(&w.rig, &w.wal, 0, 2, 1);
    place = place_of(&w);
    wal_sum_init(&s);
    wal_sum_init(&again);
    OK(sum_merge(&place, 1, 3, 5, NULL, NULL, &s, &err), &err);
    for (size_t i = 0; i < 3; i++)
        records += records_inside(&w, i);
    assert_int_equal(s.ix.records, records + 1);
    assert_int_equal(s.ix.first_lsn, first);
    assert_true(s.ix.last_lsn > last);
    assert_int_equal(s.ix.commits, 3);
    assert_int_equal(s.ix.aborts, 1);
    assert_int_equal(s.ix.commit_first.time_us, NOON + 5);
    assert_int_equal(s.ix.commit_last.lsn, last);
    assert_int_equal(s.ix.commit_min.time_us, NOON + 3);
    assert_int_equal(s.ix.commit_max.lsn, first);
    assert_int_equal(s.ix.xid_low, 690);
    assert_int_equal(s.ix.xid_high, 702);
    assert_int_equal(s.ix.n_events, 1);
    assert_int_equal(s.ix.n_rels, 1);
    assert_int_equal(s.ix.rels[0].fork[FORK_MAIN].limit, 1);
    assert_int_equal(s.ix.rels[0].fork[FORK_MAIN].n_runs, 1); /* 1 and 2 are void since */
    assert_int_equal(s.ix.runs[0].first, 5);
    assert_true(s.ix.flags & WAL_INDEX_SWITCH);
    wal_sum_write(&s, &bytes);
    OK(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 15, &again, &err), &err);
    wal_sum_write(&again, &twice);
    assert_int_equal(bytes.len, twice.len);
    assert_memory_equal(bytes.p, twice.p, bytes.len);
    world_end(&w);
}

/* The next record begins 8 bytes before the segment ends: not even its header is whole there. */
static void leave_eight_bytes(struct wal_make *m)
{
    size_t left;

    wal_make_fill(m, 100);
    left = RIG_SEGSZ - m->bytes.len % RIG_SEGSZ;
    wal_make_noise(m, left - 8);
    assert_int_equal(m->bytes.len % RIG_SEGSZ, RIG_SEGSZ - 8);
}

/* One that begins there, and takes all of the next segment but 8 bytes. */
static void fill_the_next(struct wal_make *m)
{
    wal_make_noise(m, RIG_SEGSZ - 40 - (RIG_SEGSZ / WAL_PAGE - 1) * 24);
    assert_int_equal(m->bytes.len % RIG_SEGSZ, RIG_SEGSZ - 8);
}

static void sum_of(struct world *w, uint64_t first, uint64_t last, struct wal_sum *s)
{
    struct wal_place place = place_of(w);
    bool made;

    wal_sum_init(s);
    OK(sum_merge(&place, 1, first, last, NULL, NULL, s, &err), &err);
    OK(wal_sum_put(w->rig.repo, s, &made, &err), &err);
}

/* The only record that starts in a segment may be one whose header, which names the one before it,
 * is in the next. */
static void a_header_that_is_cut_off_at_an_end_breaks_no_chain(void **state)
{
    AUTO(changed_free) struct changed *without = NULL;
    struct err doubt;
    struct world w;
    (void)state;

    world_begin(&w, 2);
    note(&w, wal_make_change(&w.wal, rel_of(0), 0));
    for (uint32_t i = 0; i < 2; i++) { /* 3 and 4, 5 and 6 */
        wal_make_change(&w.wal, rel_of(0), 10 * i + 1);
        leave_eight_bytes(&w.wal);
        fill_the_next(&w.wal);
        wal_make_change(&w.wal, rel_of(0), 10 * i + 2);
        wal_make_change(&w.wal, rel_of(0), 10 * i + 3);
    }
    wal_make_switch(&w.wal); /* 7 */
    note(&w, wal_make_noise(&w.wal, 50));
    rig_put_range(&w.rig, &w.wal, 0, 5, 1);
    without = collected(&w, w.starts[0], w.starts[1], &doubt);
    if (without == NULL)
        fail_msg("%s", doubt.msg);
    for (uint64_t first = 4; first <= 5; first++) {
        AUTO(changed_free) struct changed *with = NULL;
        AUTO(wal_sum_free) struct wal_sum s;

        sum_of(&w, first, first + 1, &s);
        assert_true(s.ix.first_prev != 0);
        assert_true(s.ix.last_prev != 0);
        with = collected(&w, w.starts[0], w.starts[1], &doubt);
        if (with == NULL)
            fail_msg("from %d: %s", (int)first, doubt.msg);
        same_set(without, with);
        forget_sums(&w);
    }
    world_end(&w);
}

/* ---- which are made ---- */

/* n segments, each of which changes one block. */
static void plain_wal(struct world *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        note(w, wal_make_change(&w->wal, rel_of(0), (uint32_t)i));
        note(w, wal_make_switch(&w->wal));
    }
    note(w, wal_make_noise(&w->wal, 50));
}

static bool has_sum(struct world *w, uint64_t first, uint64_t n)
{
    AUTO(sum_list_free) struct sum_list l = sums_of(w);
    bool found = false;

    for (size_t i = 0; i < l.n; i++)
        found |= l.items[i].start == first * RIG_SEGSZ &&
                 l.items[i].end == (first + n) * RIG_SEGSZ && l.items[i].timeline == 1;
    return found;
}

static void what_is_complete_is_summed_up_once(void **state)
{
    struct sums_made made;
    struct world w;
    (void)state;

    world_begin(&w, 2);
    plain_wal(&w, 22); /* 3 to 24 */
    rig_put_range(&w.rig, &w.wal, 0, 20, 1);
    made = make(&w, 4, 8);
    assert_int_equal(made.made, 5 + 2);
    for (uint64_t s = 4; s < 24; s += 4)
        assert_true(has_sum(&w, s, 4));
    assert_true(has_sum(&w, 8, 8));
    assert_true(has_sum(&w, 16, 8));
    made = make(&w, 4, 8);
    assert_int_equal(made.made, 0);
    assert_int_equal(made.refused, 0);
    forget_sums(&w);
    {
        struct sums_request q = {
            .place = place_of(&w), .small = 4, .large = 8, .from = 12 * RIG_SEGSZ + 40};

        OK(sums_make(&q, &made, &err), &err);
        assert_int_equal(made.made, 3 + 1); /* 12 to 23, 16 to 23 */
        assert_false(has_sum(&w, 8, 4));
    }
    world_end(&w);
}

static void unknown_record(struct wal_make *m)
{
    wal_make_record(m, 22, 0x00, 0, NULL, 0, "x", 1);
}

static void of_wal_that_does_not_tell_all_there_is_no_sum(void **state)
{
    enum { MISSING, NO_INDEX, UNKNOWN, UNKNOWN_BETWEEN, MINIMAL, ENDS, BREAK, WAYS };
    (void)state;

    for (int way = 0; way < WAYS; way++) {
        struct sums_made made;
        struct world w;

        world_begin(&w, 2);
        for (size_t i = 0; i < 10; i++) { /* 3 to 12; 6 is the bad one */
            wal_make_change(&w.wal, rel_of(0), 1);
            if (way == UNKNOWN && i == 3)
                unknown_record(&w.wal);
            if (way == MINIMAL && i == 3) {
                uint8_t level[32] = {0}; /* wal_level 0 in XLOG_PARAMETER_CHANGE */
                wal_make_record(&w.wal, WAL_RM_XLOG, 0x60, 0, NULL, 0, level, sizeof level);
            }
            if (way == BREAK && i == 3)
                w.wal.last -= 8;
            if (way == UNKNOWN_BETWEEN && i == 2) {
                wal_make_fill(&w.wal, 40);
                while (RIG_SEGSZ - w.wal.bytes.len % RIG_SEGSZ > 40)
                    wal_make_noise(&w.wal, 27);
                wal_make_record(&w.wal, 22, 0x00, 0, NULL, 0, (const uint8_t[60]){0}, 60);
                continue;
            }
            if (way == ENDS && i == 3)
                wal_make_noise(&w.wal, 300);
            wal_make_switch(&w.wal);
        }
        for (size_t i = 0; i < 10; i++) {
            if (way == ENDS && i == 3) {
                uint8_t *segment = wal_make_segment(&w.wal, i);
                memset(segment + 300, 0, RIG_SEGSZ - 300);
            }
            if (way != MISSING || i != 3)
                rig_put(&w.rig, &w.wal, i, 1,
                        way == NO_INDEX && i == 3 ? WITHOUT_INDEX : WITH_INDEX);
        }
        made = make(&w, 2, 4);
        /* what is between two is nowhere but in the pieces that each of them keeps */
        if (has_sum(&w, 6, 2) != (way == UNKNOWN_BETWEEN) || has_sum(&w, 4, 4))
            fail_msg("way %d: a sum was made", way);
        if (!has_sum(&w, 4, 2) || !has_sum(&w, 8, 4))
            fail_msg("way %d: others were not made: %s", way, made.why.msg);
        assert_int_equal(made.refused, way != MISSING);
        world_end(&w);
    }
}

/* What cannot be understood is not tried for ever, and what is new comes first. */
static void making_ends_after_some_refusals_or_some_time(void **state)
{
    struct sums_made made;
    struct world w;
    (void)state;

    world_begin(&w, 2);
    for (size_t i = 0; i < 24; i++) { /* 3 to 26 */
        if (i < 18)
            unknown_record(&w.wal);
        wal_make_change(&w.wal, rel_of(0), 1);
        wal_make_switch(&w.wal);
    }
    wal_make_noise(&w.wal, 50);
    rig_put_range(&w.rig, &w.wal, 0, 23, 1);
    made = make(&w, 2, 4);
    assert_int_equal(made.made, 2); /* 24, 22 */
    assert_int_equal(made.refused, 4);
    assert_true(made.cut_short);
    SAYS(made.why.msg, "resource manager 22");
    {
        const struct sums_request q = {
            .place = place_of(&w), .small = 4, .large = 8, .time_limit_us = -1};

        OK(sums_make(&q, &made, &err), &err);
        assert_int_equal(made.made, 0);
        assert_true(made.cut_short);
    }
    world_end(&w);
}

/* ---- how they are used ---- */

static long calls_for(struct world *w, uint64_t from, uint64_t to)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(changed_free) struct changed *c = NULL;
    struct store *counting = store_fault_new(w->rig.store, -1, FAULT_BEFORE);
    struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
    struct err doubt;
    long before;

    OK(repo_open(&repo, counting, &o, REPO_OPEN_FULL, &err), &err);
    before = store_fault_calls(counting);
    OK(collect_from(w, repo, from, to, &c, &doubt), &err);
    assert_non_null(c);
    return store_fault_calls(counting) - before;
}

static void sums_save_requests(void **state)
{
    struct world w;
    long without, with;
    (void)state;

    world_begin(&w, 2);
    plain_wal(&w, 70); /* 3 to 72 */
    rig_put_range(&w.rig, &w.wal, 0, 69, 1);
    without = calls_for(&w, w.starts[0], w.starts[138]);
    make(&w, 4, 16);
    with = calls_for(&w, w.starts[0], w.starts[138]);
    /* one listing of sums, one of the log; 3; 4..15 by 3; 16..63 by 3; 64..71 by 2; segment 72 */
    if (with * 4 > without)
        fail_msg("%ld calls with sums, %ld without", with, without);
    world_end(&w);
}

/* The object of that key, changed. */
static void spoil(struct world *w, const char *key, size_t from)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    OK(store_read(w->rig.store, key, 32 << 20, &bytes, &err), &err);
    for (size_t i = from; i < bytes.len; i += 64)
        bytes.p[i] ^= 0x55;
    OK(store_put(w->rig.store, key, STORE_REPLACE, bytes.p, bytes.len, &err), &err);
}

static const char *key_of_sum(struct world *w, uint64_t first, uint64_t n)
{
    static struct buf key;
    struct sum_name name = {1, first * RIG_SEGSZ, (first + n) * RIG_SEGSZ};

    return name_sum(&key, "pg-test", RIG_SYSID, w->rig.major, &name);
}

static const char *key_of_segment(struct world *w, uint64_t segno)
{
    static struct buf key;
    char name[WAL_SEGMENT_NAME];

    wal_segment_name(1, segno, RIG_SEGSZ, name);
    OK(name_wal(&key, "pg-test", RIG_SYSID, w->rig.major, name, &err), &err);
    return key.p;
}

/* The range of plain_wal(20): blocks 0 to 18 are changed. */
static void is_right(struct world *w)
{
    struct err doubt;
    AUTO(changed_free) struct changed *c = collected(w, w->starts[0], w->starts[38], &doubt);
    struct rel_file f = {.spc = 1663, .db = 5, .rel = 20000, .fork = FORK_MAIN};
    struct changed_file file;

    if (c == NULL)
        fail_msg("doubt: %s", doubt.msg);
    changed_file(c, &f, &file);
    assert_false(file.all);
    assert_int_equal(file.from, UINT32_MAX);
    for (uint32_t b = 0; b < 20; b++)
        assert_int_equal(changed_next(&file, b), b);
    assert_int_equal(changed_next(&file, 20), UINT32_MAX);
}

static void with_sums(struct world *w)
{
    world_begin(w, 2);
    plain_wal(w, 20); /* 3 to 22 */
    rig_put_range(&w->rig, &w->wal, 0, 19, 1);
    make(w, 4, 8);
}

static void a_damaged_sum_costs_only_the_slower_way(void **state)
{
    static const size_t from[] = {0, 128, 160, 200};
    (void)state;

    for (size_t i = 0; i < LENGTH(from); i++) {
        struct world w;

        with_sums(&w);
        is_right(&w);
        spoil(&w, key_of_sum(&w, 8, 8), from[i]);
        is_right(&w);
        spoil(&w, key_of_sum(&w, 4, 4), from[i]);
        is_right(&w);
        OK(store_put(w.rig.store, key_of_sum(&w, 16, 4), STORE_REPLACE, "", 0, &err), &err);
        is_right(&w);
        world_end(&w);
    }
}

/* A segment that was lost is missed, although a sum knows what it said. */
static void a_segment_that_was_lost_is_missed_all_the_same(void **state)
{
    AUTO(changed_free) struct changed *c = NULL;
    struct err doubt;
    struct world w;
    const char *key;
    (void)state;

    with_sums(&w);
    key = key_of_segment(&w, 10);
    OK(store_delete(w.rig.store, &key, 1, &err), &err);
    c = collected(&w, w.starts[0], w.starts[38], &doubt);
    assert_null(c);
    SAYS(doubt.msg, "00000001000000000000000A");
    SAYS(doubt.msg, "not in repository");
    world_end(&w);
}

/* Other WAL is there now under the names that a sum names: what is there counts. */
static void a_sum_of_other_segments_is_not_used(void **state)
{
    struct world w, other;
    AUTO(changed_free) struct changed *c = NULL;
    struct changed_file file;
    struct rel_file f = {.spc = 1663, .db = 5, .rel = 20004 - 1, .fork = FORK_MAIN};
    struct err doubt;
    (void)state;

    with_sums(&w);
    world_begin(&other, 2);
    for (size_t i = 0; i < 20; i++) {
        note(&other, long_change(&other.wal, (struct wal_locator){1663, 5, 20003}, FORK_MAIN,
                                 (uint32_t)i, 500));
        note(&other, wal_make_switch(&other.wal));
    }
    wal_make_noise(&other.wal, 50);
    for (uint64_t s = 3; s < 23; s++) {
        const char *key = key_of_segment(&w, s);

        OK(store_delete(w.rig.store, &key, 1, &err), &err);
    }
    rig_put_range(&w.rig, &other.wal, 0, 19, 1);
    c = collected(&w, other.starts[0], other.starts[38], &doubt);
    assert_non_null(c);
    changed_file(c, &f, &file);
    assert_int_equal(changed_next(&file, 0), 0);
    f.rel = 20000;
    changed_file(c, &f, &file);
    assert_int_equal(changed_next(&file, 0), UINT32_MAX);
    world_end(&other);
    world_end(&w);
}

/* A sum that says something else, and is stored as if it were one. */
static void forge(struct world *w, uint64_t first, uint64_t n, bool break_link)
{
    AUTO(wal_sum_free) struct wal_sum s;
    struct wal_place place = place_of(w);
    const char *key = key_of_sum(w, first, n);
    bool made;

    wal_sum_init(&s);
    OK(sum_merge(&place, 1, first, first + n - 1, NULL, NULL, &s, &err), &err);
    if (break_link)
        s.ix.first_prev -= 8;
    s.ix.runs[0].first += 500;
    OK(store_delete(w->rig.store, &key, 1, &err), &err);
    OK(wal_sum_put(w->rig.repo, &s, &made, &err), &err);
    assert_true(made);
}

static void a_sum_that_does_not_continue_the_rest_makes_no_doubt(void **state)
{
    struct world w;
    (void)state;

    with_sums(&w);
    forge(&w, 8, 8, true);
    is_right(&w);
    world_end(&w);
}

struct findings {
    size_t n;
    char key[160], why[400];
};
static void found(void *ctx, const char *key, const char *why)
{
    struct findings *f = ctx;

    f->n++;
    snprintf(f->key, sizeof f->key, "%s", key);
    snprintf(f->why, sizeof f->why, "%s", why);
}

static void verify_finds_sums_that_say_something_else(void **state)
{
    struct findings f = {0};
    struct world w;
    const char *key;
    (void)state;

    with_sums(&w);
    OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
    assert_int_equal(f.n, 0);
    forge(&w, 8, 8, false);
    OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.key, key_of_sum(&w, 8, 8));
    SAYS(f.why, "does not say what the indexes of its segments say");
    f.n = 0;
    key = key_of_sum(&w, 8, 8);
    OK(store_delete(w.rig.store, &key, 1, &err), &err);
    spoil(&w, key_of_sum(&w, 16, 4), 128);
    OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
    assert_int_equal(f.n, 1);
    f.n = 0; /* expired while it went on */
    key = key_of_segment(&w, 5);
    OK(store_delete(w.rig.store, &key, 1, &err), &err);
    key = key_of_sum(&w, 16, 4);
    OK(store_delete(w.rig.store, &key, 1, &err), &err);
    OK(sums_verify(w.rig.repo, NULL, found, &f, &err), &err);
    assert_int_equal(f.n, 0);
    world_end(&w);
}

/* "I could not ask" is neither a doubt nor a set. */
static void a_store_that_does_not_answer_is_no_doubt(void **state)
{
    struct world w;
    long calls;
    (void)state;

    with_sums(&w);
    calls = calls_for(&w, w.starts[0], w.starts[38]);
    for (long nth = 0; nth < calls; nth++) {
        AUTO(repo_close) struct repo *repo = NULL;
        struct changed *c = NULL;
        struct store *flaky = store_fault_new(w.rig.store, nth, FAULT_BEFORE);
        struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
        struct err doubt;

        if (repo_open(&repo, flaky, &o, REPO_OPEN_FULL, &err) != 0) {
            err_clear(&err);
            calls++;
            continue;
        }
        FAILS(collect_from(&w, repo, w.starts[0], w.starts[38], &c, &doubt), &err, ERR_UNREACHABLE);
        assert_null(c);
        assert_int_equal(doubt.code, 0);
    }
    world_end(&w);
}

/* ---- hostile bytes ---- */

static void what_is_no_sum_is_refused(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(wal_sum_free) struct wal_sum s;
    struct sum_name name = {1, 4 * RIG_SEGSZ, 8 * RIG_SEGSZ}, other = name;
    struct world w;
    (void)state;

    with_sums(&w);
    wal_sum_init(&s);
    OK(wal_sum_load(w.rig.repo, RIG_SYSID, 15, &name, &bytes, &err), &err);
    OK(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 15, &s, &err), &err);
    for (size_t len = 0; len < bytes.len; len++) {
        int rc = wal_sum_read(bytes.p, len, &name, RIG_SYSID, 15, &s, &err);

        if (rc == 0) /* cut between two parts: what is left has another meaning, but is one */
            assert_true(len > 4 * 17);
        err_clear(&err);
    }
    other.end += RIG_SEGSZ;
    FAILS(wal_sum_read(bytes.p, bytes.len, &other, RIG_SYSID, 15, &s, &err), &err, ERR_FOREIGN);
    FAILS(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID + 1, 15, &s, &err), &err, ERR_FOREIGN);
    FAILS(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 16, &s, &err), &err, ERR_FOREIGN);
    for (size_t i = 0; i < bytes.len; i++) {
        char was = bytes.p[i];

        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.p[i] = (char)(was ^ (1 << bit));
            (void)!wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 15, &s, &err);
            err_clear(&err);
        }
        bytes.p[i] = was;
    }
    bytes.p[0] = 2;
    FAILS(wal_sum_read(bytes.p, bytes.len, &name, RIG_SYSID, 15, &s, &err), &err, ERR_UNSUPPORTED);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_any_wal_sums_tell_the_same),
        cmocka_unit_test(a_sum_of_sums_is_the_sum_of_all),
        cmocka_unit_test(a_sum_counts_what_the_indexes_and_the_records_between_them_say),
        cmocka_unit_test(a_header_that_is_cut_off_at_an_end_breaks_no_chain),
        cmocka_unit_test(what_is_complete_is_summed_up_once),
        cmocka_unit_test(of_wal_that_does_not_tell_all_there_is_no_sum),
        cmocka_unit_test(making_ends_after_some_refusals_or_some_time),
        cmocka_unit_test(sums_save_requests),
        cmocka_unit_test(a_damaged_sum_costs_only_the_slower_way),
        cmocka_unit_test(a_segment_that_was_lost_is_missed_all_the_same),
        cmocka_unit_test(a_sum_of_other_segments_is_not_used),
        cmocka_unit_test(a_sum_that_does_not_continue_the_rest_makes_no_doubt),
        cmocka_unit_test(verify_finds_sums_that_say_something_else),
        cmocka_unit_test(a_store_that_does_not_answer_is_no_doubt),
        cmocka_unit_test(what_is_no_sum_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
