/*
 * test_windows.c - windows and holes: what they claim is what a search for each target finds.
 *
 * The search is judged elsewhere, against a simulation of recovery (test_target_damage.c) and
 * against PostgreSQL (tests/server/); here every claim of windows_find() is held against it, in
 * worlds made by chance: clocks that jump, timelines, lost and damaged segments, lost histories.
 */
#include "tests/unit/wal/target_rig.h"

/* Segments 3 to 10, a commit 70n every minute n in each, a backup before them and one in the
 * middle. */
enum { SEGMENTS = 8 };
struct row {
    struct rig rig;
    struct wal_make m;
    struct windows w; /* of find_all() */
};

static void row_begin(struct row *r)
{
    r->w = (struct windows){0};
    rig_begin(&r->rig, 15);
    rig_make(&r->m, 15);
    rig_backup(&r->rig, &r->m, NOON);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        wal_make_commit(&r->m, 700 + i, NOON + (i + 1) * MINUTE);
        wal_make_noise(&r->m, 1000);
        if (i == 4)
            rig_backup(&r->rig, &r->m, NOON + (i + 1) * MINUTE + MINUTE / 2);
        wal_make_switch(&r->m);
    }
}

static void row_end(struct row *r)
{
    windows_free(&r->w);
    rig_end(&r->rig);
    wal_make_free(&r->m);
}

static struct windows find(struct rig *r)
{
    struct windows w;
    struct err err = {0};

    OK(windows_find(rig_map(r), r->repo, &r->backups, NULL, &w, &err), &err);
    return w;
}

static int begin(void **state)
{
    static struct row row;

    row_begin(&row);
    *state = &row;
    return 0;
}

static int end(void **state)
{
    row_end(*state);
    return 0;
}

static void find_all(struct row *r)
{
    windows_free(&r->w);
    r->w = find(&r->rig);
}

static void put_spoiled(struct rig *r, struct wal_make *m, size_t i, size_t from, uint8_t with)
{
    AUTO(wal_index_free) struct wal_index ix;
    AUTO(buf_free) struct buf index = BUF_INIT;
    AUTO(mem_free) uint8_t *bytes = xmalloc(RIG_SEGSZ);
    struct wal_expect want = {RIG_SYSID, m->start + i * RIG_SEGSZ, m->tli};
    char name[WAL_SEGMENT_NAME];
    struct err err = {0};

    memcpy(bytes, wal_make_segment(m, i), RIG_SEGSZ);
    memset(bytes + from, with, with == 0 ? RIG_SEGSZ - from : 500);
    wal_index_init(&ix);
    wal_segment_name(m->tli, wal_make_segno(m, i), RIG_SEGSZ, name);
    OK(wal_index_build(bytes, RIG_SEGSZ, &want, &ix, &err), &err);
    wal_index_write(&ix, &index);
    rig_put_file(r, name, bytes, RIG_SEGSZ, &index);
}

/* ---- examples ---- */

static void a_window_goes_from_the_backup_to_the_last_commit(void **state)
{
    struct row *row = *state;
    struct windows *w = &row->w;

    rig_put_all(&row->rig, &row->m);
    find_all(row);
    assert_int_equal(w->n, 1);
    assert_int_equal(w->items[0].start_us, NOON);
    assert_int_equal(w->items[0].start_lsn, row->rig.items[0].stop_lsn);
    assert_int_equal(w->items[0].end_us, NOON + SEGMENTS * MINUTE);
    assert_int_equal(w->items[0].last_commit_us, NOON + SEGMENTS * MINUTE);
    assert_string_equal(w->items[0].first_backup, row->rig.items[0].label);
    assert_string_equal(w->items[0].last_backup, row->rig.items[1].label);
    assert_true(w->items[0].open);
    assert_int_equal(w->n_holes, 1);
    assert_int_equal(w->holes[0].kind, HOLE_BEFORE);
    assert_int_equal(w->holes[0].from_us, 0);
    assert_int_equal(w->holes[0].to_us, NOON);
}

static void missing_segments_make_a_hole_that_names_them(void **state)
{
    struct row *row = *state;
    struct windows *w = &row->w;

    rig_put_range(&row->rig, &row->m, 0, 1, 1);
    rig_put_range(&row->rig, &row->m, 4, SEGMENTS - 1, 1); /* 5 and 6 are missing */
    find_all(row);
    assert_int_equal(w->n, 2);
    assert_int_equal(w->items[0].end_us, NOON + 2 * MINUTE);
    assert_false(w->items[0].open);
    assert_int_equal(w->items[1].start_us, row->rig.items[1].stop_us);
    assert_true(w->items[1].open);
    assert_int_equal(w->n_holes, 2);
    assert_int_equal(w->holes[1].kind, HOLE_MISSING);
    assert_int_equal(w->holes[1].from_us, w->items[0].end_us);
    assert_int_equal(w->holes[1].to_us, w->items[1].start_us);
    assert_int_equal(w->holes[1].first_segno, 5);
    assert_int_equal(w->holes[1].last_segno, 6);
    SAYS(w->holes[1].why, "2 WAL segments from \"000000010000000000000005\" to "
                          "\"000000010000000000000006\" are missing");
}

static void without_a_later_backup_a_hole_has_no_end(void **state)
{
    struct row *row = *state;
    struct windows *w = &row->w;

    rig_put_range(&row->rig, &row->m, 0, 5, 1);
    rig_put(&row->rig, &row->m, 7, 1, WITH_INDEX); /* 9 is missing */
    find_all(row);
    assert_int_equal(w->n, 1);
    assert_false(w->items[0].open);
    assert_int_equal(w->items[0].end_us, NOON + 6 * MINUTE);
    assert_int_equal(w->n_holes, 2);
    assert_int_equal(w->holes[1].from_us, NOON + 6 * MINUTE);
    assert_int_equal(w->holes[1].to_us, 0);
    SAYS(w->holes[1].why, "\"000000010000000000000009\" is missing");
}

static void damage_in_the_middle_ends_a_window(void **state)
{
    struct row *row = *state;
    struct windows *w = &row->w;

    rig_put_range(&row->rig, &row->m, 0, 1, 1);
    put_spoiled(&row->rig, &row->m, 2, 300, 0xa5);
    rig_put_range(&row->rig, &row->m, 3, SEGMENTS - 1, 1);
    find_all(row);
    assert_int_equal(w->n, 2);
    assert_true(w->items[0].end_us <= NOON + 3 * MINUTE);
    assert_int_equal(w->items[1].start_us, row->rig.items[1].stop_us);
    assert_true(w->holes[1].kind == HOLE_DAMAGED || w->holes[1].kind == HOLE_ENDS);
    SAYS(w->holes[1].why, "000000010000000000000005");
}

/* As pg_resetwal leaves it: the first record behind names none before it. */
static void wal_that_does_not_continue_is_not_passed(void **state)
{
    struct row *row = *state;
    struct windows *w = &row->w;
    struct wal_make other;

    rig_put_range(&row->rig, &row->m, 0, 2, 1);
    wal_make_init(&other, 15, RIG_SYSID, 1, RIG_SEGSZ, 6);
    wal_make_commit(&other, 900, NOON + 30 * MINUTE);
    wal_make_switch(&other);
    rig_put(&row->rig, &other, 0, 1, WITH_INDEX);
    find_all(row);
    assert_int_equal(w->n, 1);
    assert_int_equal(w->items[0].end_us, NOON + 3 * MINUTE);
    assert_false(w->items[0].open);
    assert_int_equal(w->n_holes, 3);
    assert_int_equal(w->holes[1].kind, HOLE_DAMAGED);
    assert_int_equal(w->holes[1].to_us, 0);
    SAYS(w->holes[1].why, "do not continue");
    assert_int_equal(w->holes[2].kind, HOLE_BACKUP);
    assert_string_equal(w->holes[2].backup, row->rig.items[1].label);
    wal_make_free(&other);
}

static void a_backup_without_its_wal_is_told(void **state)
{
    struct row *row = *state;
    struct windows *w = &row->w;

    rig_put_range(&row->rig, &row->m, 0, 3, 1);
    rig_put_range(&row->rig, &row->m, 5, SEGMENTS - 1, 1); /* 7, of the second backup, is missing */
    find_all(row);
    assert_int_equal(w->n, 1);
    assert_int_equal(w->n_holes, 3);
    assert_int_equal(w->holes[2].kind, HOLE_BACKUP);
    assert_string_equal(w->holes[2].backup, row->rig.items[1].label);
    SAYS(w->holes[2].why, "000000010000000000000007");
}

/* Nothing leads along a timeline of which there is no history, and where nothing is stored there is
 * no way to go. */
static void a_backup_without_a_way_is_told(void **state)
{
    for (int with_history = 0; with_history < 2; with_history++) {
        AUTO(windows_free) struct windows w = {0};
        AUTO(buf_free) struct buf history = BUF_INIT;
        struct wal_make child;
        struct row row;
        (void)state;

        row_begin(&row);
        rig_put_all(&row.rig, &row.m);
        rig_line(&history, 1, row.m.start + 2 * RIG_SEGSZ);
        if (with_history) {
            rig_history(&row.rig, 2, buf_text(&history));
            buf_clear(&history);
            rig_line(&history, 1, row.m.start + 3 * RIG_SEGSZ);
            rig_history(&row.rig, 3, buf_text(&history)); /* "latest" leads elsewhere */
        }
        rig_fork(&row.m, &child, 2);
        rig_backup(&row.rig, &child, NOON + 100 * MINUTE);
        w = find(&row.rig);
        assert_int_equal(w.holes[w.n_holes - 1].kind, HOLE_BACKUP);
        assert_string_equal(w.holes[w.n_holes - 1].backup, row.rig.items[2].label);
        SAYS(w.holes[w.n_holes - 1].why, "cannot be restored: ");
        wal_make_free(&child);
        row_end(&row);
    }
}

static void a_backup_without_later_commits_reaches_its_own_end_only(void **state)
{
    AUTO(windows_free) struct windows w = {0};
    struct wal_make m;
    struct rig rig;
    (void)state;

    rig_begin(&rig, 15);
    rig_make(&m, 15);
    rig_backup(&rig, &m, NOON);
    rig_put_all(&rig, &m);
    w = find(&rig);
    assert_int_equal(w.n, 1);
    assert_int_equal(w.items[0].start_us, NOON);
    assert_int_equal(w.items[0].end_us, NOON);
    assert_true(w.items[0].open);
    rig_end(&rig);
    wal_make_free(&m);
}

static void a_backup_behind_the_last_commit_is_the_last_of_its_window(void **state)
{
    AUTO(windows_free) struct windows w = {0};
    struct wal_make m;
    struct rig rig;
    (void)state;

    rig_begin(&rig, 15);
    rig_make(&m, 15);
    rig_backup(&rig, &m, NOON);
    wal_make_commit(&m, 700, NOON + MINUTE);
    rig_backup(&rig, &m, NOON + 2 * MINUTE);
    rig_put_all(&rig, &m);
    w = find(&rig);
    assert_int_equal(w.n, 1);
    assert_string_equal(w.items[0].first_backup, rig.items[0].label);
    assert_string_equal(w.items[0].last_backup, rig.items[1].label);
    assert_int_equal(w.items[0].end_us, NOON + MINUTE);
    assert_int_equal(w.items[0].last_commit_us, NOON + MINUTE);
    rig_end(&rig);
    wal_make_free(&m);
}

static void without_backups_there_is_no_window(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    struct row *row = *state;
    struct windows *w = &row->w;
    struct reach r;
    size_t index;

    rig_put_all(&row->rig, &row->m);
    row->rig.backups.n = 0;
    find_all(row);
    assert_int_equal(w->n, 0);
    assert_int_equal(w->n_holes, 0);
    r = rig_choose(&row->rig, latest, &index);
    NOT_REACHED(r, "there is no backup");
    assert_int_equal(index, SIZE_MAX);
}

/* ---- worlds by chance ---- */

enum { LINES = 4, MOMENTS_MAX = 4000 };

struct world {
    struct rig rig;
    struct wal_make lines[LINES];
    uint64_t fork[LINES]; /* where line i left its parent */
    size_t parent[LINES], n;
    int64_t moments[MOMENTS_MAX];
    size_t n_moments;
    int64_t now;
    uint32_t xid;
    uint64_t seed;
};

static unsigned chance(struct world *w, unsigned n)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(w->seed >> 33) % n;
}

static int64_t tick(struct world *w)
{
    w->now += 1 + chance(w, 30) * 1000000;
    if (chance(w, 12) == 0)
        w->now -= chance(w, 4) * MINUTE; /* somebody sets the clock, or commits overtake another */
    if (w->n_moments < MOMENTS_MAX)
        w->moments[w->n_moments++] = w->now;
    return w->now;
}

static void work(struct world *w, struct wal_make *m)
{
    switch (chance(w, 8)) {
    case 0:
        wal_make_abort(m, w->xid++, tick(w));
        break;
    case 1:
        wal_make_noise(m, 400 + chance(w, 300000));
        break;
    case 2:
        wal_make_fill(m, 10 + chance(w, 60)); /* so that the next one crosses */
        break;
    case 3:
        if (chance(w, 4) == 0)
            wal_make_switch(m);
        break;
    default:
        wal_make_commit(m, w->xid++, tick(w));
    }
}

static void back_up(struct world *w, struct wal_make *m)
{
    uint64_t start = rig_backup_start(m);

    for (unsigned i = chance(w, 12); i > 0; i--)
        work(w, m);
    if (w->rig.backups.n < RIG_BACKUPS)
        rig_backup_stop(&w->rig, m, start, tick(w) + chance(w, 3) * 1000000 - 1000000);
}

static void live(struct world *w, size_t line)
{
    struct wal_make *m = &w->lines[line];

    for (unsigned i = 10 + chance(w, 60); i > 0; i--) {
        if (chance(w, 15) == 0)
            back_up(w, m);
        work(w, m);
    }
    if (w->n == LINES || chance(w, 3) == 0)
        return;
    w->fork[w->n] = m->end;
    w->parent[w->n] = line;
    rig_fork(m, &w->lines[w->n], (uint32_t)w->n + 1);
    wal_make_end_of_recovery(&w->lines[w->n], (uint32_t)line + 1, tick(w));
    w->n++;
    live(w, w->n - 1);
    if (w->n < LINES && chance(w, 2) == 0)
        live(w, line); /* the old primary went on */
}

static void add_history(struct world *w, size_t line, struct buf *b)
{
    if (line == 0)
        return;
    add_history(w, w->parent[line], b);
    rig_line(b, (uint32_t)w->parent[line] + 1, w->fork[line]);
}

static void put_line(struct world *w, size_t line, unsigned trouble)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    struct wal_make *m = &w->lines[line];
    size_t first =
        line == 0 ? 0 : (size_t)(lsn_segno(w->fork[line], RIG_SEGSZ) - wal_make_segno(m, 0));

    for (size_t i = first; i < wal_make_count(m); i++) {
        unsigned what = trouble != 0 ? chance(w, trouble) : 99;

        if (what == 0)
            continue;
        if (what == 1)
            put_spoiled(&w->rig, m, i, chance(w, RIG_SEGSZ - 1000), (uint8_t)(chance(w, 2) * 0x5a));
        else
            rig_put(&w->rig, m, i, (uint32_t)line + 1,
                    what == 2   ? WITHOUT_INDEX
                    : what == 3 ? WITH_HALF_AN_INDEX
                                : WITH_INDEX);
    }
    add_history(w, line, &b);
    if (line != 0 && (trouble == 0 || chance(w, trouble) != 0))
        rig_history(&w->rig, (uint32_t)line + 1, buf_text(&b));
}

static void world_begin(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->now = NOON;
    w->xid = 700;
    w->n = 1;
    rig_begin(&w->rig, 15);
    rig_make(&w->lines[0], 15);
    live(w, 0);
    for (size_t i = 0; i < w->n; i++)
        put_line(w, i, seed % 3 == 0 ? 0 : 12);
}

static void world_end(struct world *w)
{
    rig_end(&w->rig);
    for (size_t i = 0; i < w->n; i++)
        wal_make_free(&w->lines[i]);
}

static bool claimed(const struct windows *w, int64_t us, uint32_t aside)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct window *one = &w->items[i];

        if ((aside == 0 ? !one->aside : one->aside && one->timeline == aside) &&
            us >= one->start_us && us < one->end_us)
            return true;
    }
    return false;
}

static bool in_hole(const struct windows *w, int64_t us)
{
    for (size_t i = 0; i < w->n_holes; i++) {
        const struct hole *h = &w->holes[i];

        if (h->kind != HOLE_BACKUP && us >= h->from_us && (us < h->to_us || h->to_us == 0))
            return true;
    }
    return false;
}

static bool found(struct world *w, int64_t us, uint32_t line)
{
    struct target t = time_target(us, false);
    size_t index;

    if (line != 0) {
        t.line = LINE_NUMBER;
        t.timeline = line;
    }
    return rig_choose(&w->rig, t, &index).reachable;
}

static void check_moment(struct world *w, const struct windows *got, int64_t us, uint64_t seed)
{
    bool is = found(w, us, 0), says = claimed(got, us, 0);
    bool open = got->n > 0 && us >= got->items[got->n - 1].end_us;

    if (is != says)
        fail_msg("seed %llu: moment %lld is %sreached, but %sclaimed", (unsigned long long)seed,
                 (long long)(us - NOON), is ? "" : "not ", says ? "" : "not ");
    if (got->n > 0 && !got->items[got->n - 1].aside && !says && !open && !in_hole(got, us))
        fail_msg("seed %llu: moment %lld is in no window and in no hole", (unsigned long long)seed,
                 (long long)(us - NOON));
    if (says && in_hole(got, us))
        fail_msg("seed %llu: moment %lld is in a window and in a hole", (unsigned long long)seed,
                 (long long)(us - NOON));
    for (uint32_t line = 1; line <= w->n; line++) {
        bool aside = found(w, us, line), told = claimed(got, us, line);

        if (told && !aside)
            fail_msg("seed %llu: moment %lld is not reached along timeline %u, but claimed",
                     (unsigned long long)seed, (long long)(us - NOON), line);
        if (aside && !told && !says)
            fail_msg("seed %llu: moment %lld is reached along timeline %u only, and not claimed",
                     (unsigned long long)seed, (long long)(us - NOON), line);
    }
}

/* A backup is of no use exactly if not even its own end can be reached, along whatever timeline. */
static void check_backup(struct world *w, const struct windows *got, size_t i, uint64_t seed)
{
    struct target end = {.kind = TARGET_IMMEDIATE};
    bool useful = rig_reach(&w->rig, i, end).reachable, told = false;

    end.line = LINE_NUMBER;
    for (end.timeline = 1; end.timeline <= w->n; end.timeline++)
        useful |= rig_reach(&w->rig, i, end).reachable;
    for (size_t k = 0; k < got->n_holes; k++)
        told |= got->holes[k].kind == HOLE_BACKUP &&
                strcmp(got->holes[k].backup, w->rig.items[i].label) == 0;
    if (useful == told)
        fail_msg("seed %llu: backup %zu is %sof use, but %stold of", (unsigned long long)seed, i,
                 useful ? "" : "not ", told ? "" : "not ");
}

static void what_is_claimed_of_a_moment_is_what_a_search_finds(void **state)
{
    unsigned rounds = getenv("ROUNDS") != NULL ? (unsigned)atoi(getenv("ROUNDS")) : 20;
    uint64_t first = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 10) : 1;
    size_t reached = 0, windows = 0;
    (void)state;

    for (uint64_t seed = first; seed < first + rounds; seed++) {
        struct world w;
        struct windows got;

        world_begin(&w, seed);
        got = find(&w.rig);
        windows += got.n;
        for (size_t i = 0; i < w.n_moments; i++)
            for (int64_t d = -1; d <= 1; d++) {
                check_moment(&w, &got, w.moments[i] + d, seed);
                reached += claimed(&got, w.moments[i] + d, 0);
            }
        for (size_t i = 0; i < w.rig.backups.n; i++) {
            check_backup(&w, &got, i, seed);
            for (int64_t d = -1; d <= 1; d++)
                check_moment(&w, &got, w.rig.items[i].stop_us + d, seed);
        }
        windows_free(&got);
        world_end(&w);
    }
    assert_true(windows > rounds && reached > rounds); /* the worlds were worth it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_window_goes_from_the_backup_to_the_last_commit, begin,
                                        end),
        cmocka_unit_test_setup_teardown(missing_segments_make_a_hole_that_names_them, begin, end),
        cmocka_unit_test_setup_teardown(without_a_later_backup_a_hole_has_no_end, begin, end),
        cmocka_unit_test_setup_teardown(damage_in_the_middle_ends_a_window, begin, end),
        cmocka_unit_test_setup_teardown(wal_that_does_not_continue_is_not_passed, begin, end),
        cmocka_unit_test_setup_teardown(a_backup_without_its_wal_is_told, begin, end),
        cmocka_unit_test(a_backup_without_a_way_is_told),
        cmocka_unit_test(a_backup_without_later_commits_reaches_its_own_end_only),
        cmocka_unit_test(a_backup_behind_the_last_commit_is_the_last_of_its_window),
        cmocka_unit_test_setup_teardown(without_backups_there_is_no_window, begin, end),
        cmocka_unit_test(what_is_claimed_of_a_moment_is_what_a_search_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
