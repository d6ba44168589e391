/* test_target_damage.c - targets where WAL is missing, damaged or awkward, and against a simulation
 * of what recovery does with every record. */
#include "repo/object/names.h"
#include "tests/unit/wal/target_rig.h"

/* Segments 3 to 10, a commit 70n every minute n in each, a backup before them. */
enum { SEGMENTS = 8 };
struct row {
    struct rig rig;
    struct wal_make m;
    uint64_t commit[SEGMENTS];
};

static void row_begin(struct row *r)
{
    rig_begin(&r->rig, 15);
    rig_make(&r->m, 15);
    rig_backup(&r->rig, &r->m, NOON);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        r->commit[i] = wal_make_commit(&r->m, 700 + i, NOON + (i + 1) * MINUTE);
        wal_make_noise(&r->m, 1000);
        if (i == 4)
            rig_backup(&r->rig, &r->m, NOON + (i + 1) * MINUTE + MINUTE / 2);
        wal_make_switch(&r->m);
    }
}

static void row_end(struct row *r)
{
    rig_end(&r->rig);
    wal_make_free(&r->m);
}

static void a_missing_segment_is_named_with_what_can_be_reached_around_it(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    struct row row;
    struct reach r;
    size_t index;
    (void)state;

    row_begin(&row);
    rig_put_range(&row.rig, &row.m, 0, 1, 1);
    rig_put_range(&row.rig, &row.m, 3, SEGMENTS - 1, 1);
    r = rig_choose(&row.rig, time_target(NOON + 3 * MINUTE, false), &index);
    NOT_REACHED(r, "WAL segment \"000000010000000000000005\" is missing, later WAL is stored from "
                   "\"000000010000000000000006\" on");
    assert_int_equal(index, SIZE_MAX);
    assert_false(r.wal_ends);
    assert_int_equal(r.nearest_before_us, NOON + 2 * MINUTE - 1);
    assert_int_equal(r.nearest_after_us, row.rig.items[1].stop_us);
    assert_int_equal(r.nearest_after_lsn, row.rig.items[1].stop_lsn);
    r = rig_choose(&row.rig, time_target(NOON + MINUTE, false), &index);
    REACHED(r); /* before the gap */
    assert_int_equal(index, 0);
    r = rig_choose(&row.rig, time_target(NOON + 6 * MINUTE, false), &index);
    REACHED(r); /* behind it */
    assert_int_equal(index, 1);
    r = rig_choose(&row.rig, lsn_target(row.commit[3], false), &index);
    NOT_REACHED(r, "\"000000010000000000000005\" is missing");
    r = rig_choose(&row.rig, xid_target(702, false), &index);
    NOT_REACHED(r, "\"000000010000000000000005\" is missing");
    r = rig_reach(&row.rig, 0, latest);
    REACHED(r);
    assert_int_equal(r.last_segno, 4);
    SAYS(r.note, "not at the latest state");
    SAYS(r.note, "later WAL is stored");
    row_end(&row);
}

static void a_backup_whose_own_wal_is_not_whole_is_passed_over(void **state)
{
    struct target latest = {.kind = TARGET_LATEST}, immediate = {.kind = TARGET_IMMEDIATE};
    struct row row;
    struct reach r;
    size_t index;
    (void)state;

    row_begin(&row);
    rig_put_range(&row.rig, &row.m, 0, 3, 1);
    rig_put_range(&row.rig, &row.m, 5, SEGMENTS - 1, 1); /* 7 holds backup 1's WAL */
    r = rig_reach(&row.rig, 1, immediate);
    NOT_REACHED(r, "\"000000010000000000000007\" is missing");
    r = rig_choose(&row.rig, latest, &index);
    REACHED(r);
    assert_int_equal(index, 0);
    SAYS(r.note, "later WAL is stored");
    row_end(&row);
}

static void a_missing_or_damaged_index_is_made_again_from_the_segment(void **state)
{
    struct row row;
    struct reach r;
    (void)state;

    row_begin(&row);
    for (size_t i = 0; i < SEGMENTS; i++)
        rig_put(&row.rig, &row.m, i, 1, i % 2 != 0 ? WITHOUT_INDEX : WITH_HALF_AN_INDEX);
    for (uint32_t i = 0; i + 1 < SEGMENTS; i++) {
        r = rig_reach(&row.rig, 0, time_target(NOON + (i + 1) * MINUTE, false));
        REACHED(r);
        assert_int_equal(r.end_lsn, row.commit[i + 1]);
        r = rig_reach(&row.rig, 0, xid_target(700 + i, true));
        REACHED(r);
        assert_int_equal(r.end_lsn, row.commit[i]);
    }
    row_end(&row);
}

/* An object of the archive, changed after it was stored. */
static void spoil(struct row *row, const char *file)
{
    AUTO(buf_free) struct buf key = BUF_INIT, bytes = BUF_INIT;
    struct err err = {0};

    OK(name_wal(&key, "pg-test", RIG_SYSID, 15, file, &err), &err);
    OK(store_read(row->rig.store, key.p, 16 << 20, &bytes, &err), &err);
    for (size_t i = 128; i < bytes.len; i += 64)
        bytes.p[i] ^= 0x55;
    OK(store_put(row->rig.store, key.p, STORE_REPLACE, bytes.p, bytes.len, &err), &err);
    wal_map_free(&row->rig.map);
}

static void a_damaged_object_ends_the_way_with_its_reason(void **state)
{
    struct row row;
    struct reach r;
    (void)state;

    row_begin(&row);
    rig_put_all(&row.rig, &row.m);
    spoil(&row, "000000010000000000000006");
    r = rig_reach(&row.rig, 0, xid_target(702, false));
    REACHED(r);
    r = rig_reach(&row.rig, 0, xid_target(703, false));
    NOT_REACHED(r, "WAL segment \"000000010000000000000006\" cannot be used: ");
    assert_false(r.wal_ends);
    assert_int_equal(r.nearest_before_us, NOON + 3 * MINUTE - 1);
    row_end(&row);
}

/* Bytes of the WAL itself: pushed like this, for it is kept whatever it looks like. */
static void wal_that_does_not_go_on_is_not_gone_beyond(void **state)
{
    static const struct {
        const char *what;
        size_t segment;
        uint64_t at; /* byte from the commit's start in it */
        uint32_t reached, not_reached;
        const char *says;
    } cases[] = {
        {"a record's CRC", 3, 20, 702, 703, "is damaged from"},
        {"a later record's CRC", 3, 60, 703, 704, "is damaged from"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct row row;
        struct reach r;
        uint8_t *p;

        row_begin(&row);
        p = wal_make_segment(&row.m, cases[i].segment);
        p[lsn_offset(row.commit[cases[i].segment], RIG_SEGSZ) + cases[i].at] ^= 1;
        rig_put_all(&row.rig, &row.m);
        r = rig_reach(&row.rig, 0, xid_target(cases[i].reached, false));
        REACHED(r);
        r = rig_reach(&row.rig, 0, xid_target(cases[i].not_reached, false));
        NOT_REACHED(r, cases[i].says);
        row_end(&row);
    }
}

/* The same positions, but written by a server that had parted from this one. */
static void segments_of_another_history_do_not_continue_this_one(void **state)
{
    struct row row, other;
    struct reach r;
    (void)state;

    row_begin(&row);
    rig_begin(&other.rig, 15);
    rig_make(&other.m, 15);
    wal_make_noise(&other.m, 3000);
    wal_make_switch(&other.m);
    wal_make_commit(&other.m, 801, NOON + MINUTE);
    wal_make_switch(&other.m);
    rig_put(&row.rig, &row.m, 0, 1, WITH_INDEX);
    rig_put(&row.rig, &other.m, 1, 1, WITH_INDEX);
    r = rig_reach(&row.rig, 0, xid_target(700, false));
    REACHED(r);
    r = rig_reach(&row.rig, 0, xid_target(801, false));
    NOT_REACHED(r, "do not continue those before");
    row_end(&row);
    row_end(&other);
}

/* What pg_resetwal begins names no record before it: recovery stops there. */
static void wal_that_begins_anew_does_not_continue_what_was(void **state)
{
    struct row row;
    struct reach r;
    (void)state;

    rig_begin(&row.rig, 15);
    rig_make(&row.m, 15);
    rig_backup(&row.rig, &row.m, NOON);
    wal_make_commit(&row.m, 701, NOON + MINUTE);
    wal_make_switch(&row.m);
    row.m.last = 0;
    wal_make_checkpoint(&row.m, true, NOON + MINUTE);
    wal_make_commit(&row.m, 702, NOON + 2 * MINUTE);
    wal_make_switch(&row.m);
    rig_put_all(&row.rig, &row.m);
    r = rig_reach(&row.rig, 0, xid_target(701, false));
    REACHED(r);
    r = rig_reach(&row.rig, 0, xid_target(702, false));
    NOT_REACHED(r, "do not continue those before");
    row_end(&row);
}

/* A commit that cannot be read might be the one to stop at. */
static void nothing_is_found_behind_a_record_that_is_not_understood(void **state)
{
    struct target latest = {.kind = TARGET_LATEST};
    struct rig rig;
    struct wal_make m;
    uint64_t odd, last;
    struct reach r;
    (void)state;

    rig_begin(&rig, 15);
    rig_make(&m, 15);
    rig_backup(&rig, &m, NOON);
    wal_make_commit(&m, 701, NOON + MINUTE);
    wal_make_switch(&m);
    wal_make_commit(&m, 702, NOON + 2 * MINUTE);
    odd = wal_make_record(&m, WAL_RM_XACT, 0x00, 703, NULL, 0, "short", 5);
    last = wal_make_commit(&m, 704, NOON + 4 * MINUTE);
    wal_make_restore_point(&m, "behind", NOON + 5 * MINUTE);
    wal_make_switch(&m);
    rig_put_all(&rig, &m);
    r = rig_reach(&rig, 0, xid_target(702, false));
    REACHED(r);
    r = rig_reach(&rig, 0, time_target(NOON + 3 * MINUTE, false));
    NOT_REACHED(r, "WAL segment \"000000010000000000000004\" is not understood: ");
    assert_int_equal(r.nearest_before_us, NOON + 2 * MINUTE - 1);
    r = rig_reach(&rig, 0, xid_target(704, false));
    NOT_REACHED(r, "is not understood: ");
    r = rig_reach(&rig, 0, name_target("behind")); /* the odd one is no restore point */
    REACHED(r);
    r = rig_reach(&rig, 0, lsn_target(odd + 1, true));
    REACHED(r);
    assert_int_equal(r.end_lsn, last);
    r = rig_reach(&rig, 0, latest);
    REACHED(r);
    rig_end(&rig);
    wal_make_free(&m);
}

static void of_very_many_restore_points_each_is_found(void **state)
{
    struct rig rig;
    struct wal_make m;
    uint64_t lsn[2000];
    (void)state;

    rig_begin(&rig, 15);
    rig_make(&m, 15);
    rig_backup(&rig, &m, NOON);
    for (unsigned i = 0; i < LENGTH(lsn); i++) {
        char name[24];

        snprintf(name, sizeof name, "point %u", i);
        wal_make_restore_point(&m, name, NOON + i);
        lsn[i] = m.end;
    }
    rig_put_all(&rig, &m);
    for (unsigned i = 0; i < LENGTH(lsn); i += 333) {
        char name[24];
        struct reach r;

        snprintf(name, sizeof name, "point %u", i);
        r = rig_reach(&rig, 0, name_target(name));
        REACHED(r);
        assert_int_equal(r.end_lsn, lsn[i]);
    }
    rig_end(&rig);
    wal_make_free(&m);
}

/* ---- a store that fails ---- */

static int ask_through(struct store *store, const struct pubinfo *backup, struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;
    AUTO(wal_map_free) struct wal_map *map = NULL;
    struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
    struct target t = time_target(NOON + 5 * MINUTE, false);
    struct reach r;

    TRY(repo_open(&repo, store, &o, REPO_OPEN_FULL, err));
    TRY(wal_map_load(&map, repo, RIG_SYSID, 15, RIG_SEGSZ, err));
    TRY(target_reach(map, repo, backup, &t, NULL, &r, err));
    REACHED(r);
    return 0;
}

/* "I could not ask" must never become "it is not there". */
static void a_store_that_does_not_answer_is_an_error_not_a_gap(void **state)
{
    struct row row;
    long nth, failed = 0;
    (void)state;

    row_begin(&row);
    rig_put_all(&row.rig, &row.m);
    for (nth = 0;; nth++) {
        struct err err = {0};

        if (ask_through(store_fault_new(row.rig.store, nth, FAULT_BEFORE), &row.rig.items[0],
                        &err) == 0)
            break;
        assert_int_equal(err.code, ERR_UNREACHABLE);
        failed++;
    }
    assert_true(failed > 10);
    row_end(&row);
}

static void a_request_to_stop_is_heard(void **state)
{
    struct stop stop = {15};
    struct target t = {.kind = TARGET_LATEST};
    struct row row;
    struct reach r;
    struct err err = {0};
    (void)state;

    row_begin(&row);
    rig_put_all(&row.rig, &row.m);
    FAILS(target_reach(rig_map(&row.rig), row.rig.repo, &row.rig.items[0], &t, &stop, &r, &err),
          &err, ERR_INTERRUPTED);
    row_end(&row);
}

static void names_that_do_not_go_with_the_segment_size_are_left_out(void **state)
{
    AUTO(wal_map_free) struct wal_map *map = NULL;
    struct row row;
    struct err err = {0};
    size_t n;
    (void)state;

    row_begin(&row);
    rig_put_all(&row.rig, &row.m);
    OK(wal_map_load(&map, row.rig.repo, RIG_SYSID, 15, 1 << 30, &err), &err); /* 4 in a log */
    wal_map_stretches(map, &n);
    assert_int_equal(n, 1);
    wal_map_free(&map);
    FAILS(wal_map_load(&map, row.rig.repo, RIG_SYSID, 15, 12345, &err), &err, ERR_CORRUPT);
    row_end(&row);
}

/* ---- a simulation ---- */

struct told {
    uint64_t lsn, end;
    enum { OTHER, COMMIT, ABORT, POINT } what;
    uint32_t xid;
    int64_t us;
    char name[8];
};
struct world {
    struct rig rig;
    struct wal_make m;
    struct told *told;
    size_t n;
    uint64_t random;
};

static uint32_t pick(struct world *w, uint32_t n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((w->random >> 33) % n);
}

static void tell(struct world *w, struct told t, uint64_t lsn)
{
    t.lsn = lsn;
    t.end = w->m.end;
    w->told = xrealloc(w->told, (w->n + 1) * sizeof *w->told);
    w->told[w->n++] = t;
}

/* A commit of many subtransactions is long. */
static uint64_t long_commit(struct world *w, uint32_t xid, int64_t us, uint32_t subxacts)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    buf_u64(&b, (uint64_t)us - (uint64_t)INT64_C(946684800000000));
    buf_u32(&b, 0x002);
    buf_u32(&b, subxacts);
    for (uint32_t i = 0; i < subxacts; i++)
        buf_u32(&b, 100000 + i);
    return wal_make_record(&w->m, WAL_RM_XACT, 0x80, xid, NULL, 0, b.p, b.len);
}

static void one_record(struct world *w, uint32_t xid)
{
    int64_t us = NOON + (int64_t)w->n * 1000 + (int64_t)pick(w, 40) * 1000;
    struct told t = {.xid = xid, .us = us};

    switch (pick(w, 10)) {
    case 0:
        t.what = COMMIT;
        tell(w, t, long_commit(w, xid, us, 1 + pick(w, pick(w, 8) == 0 ? 400000 : 30000)));
        break;
    case 1:
        t.what = ABORT;
        tell(w, t, wal_make_abort(&w->m, xid, us));
        break;
    case 2:
        t.what = POINT;
        snprintf(t.name, sizeof t.name, "p%u", pick(w, 30));
        tell(w, t, wal_make_restore_point(&w->m, t.name, us));
        break;
    case 3:
        tell(w, t, wal_make_noise(&w->m, 300 + pick(w, pick(w, 6) == 0 ? 1500000 : 90000)));
        break;
    case 4:
        if (pick(w, 4) == 0) {
            uint64_t lsn = wal_make_switch(&w->m);
            tell(w, t, lsn);
            break;
        }
        /* fall through */
    default:
        t.what = COMMIT;
        tell(w, t, wal_make_commit(&w->m, xid, us));
    }
}

static void world_begin(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->random = seed;
    rig_begin(&w->rig, 15);
    rig_make(&w->m, 15);
    for (uint32_t xid = 1000; wal_make_count(&w->m) < 9; xid++) {
        one_record(w, xid);
        if (w->n % 25 == 10 && w->rig.backups.n < 3) {
            uint64_t start = rig_backup_start(&w->m);
            size_t during = pick(w, 4);

            tell(w, (struct told){0}, start);
            while (during-- > 0)
                one_record(w, ++xid);
            rig_backup_stop(&w->rig, &w->m, start, NOON + (int64_t)(w->n + 45) * 1000);
            tell(w, (struct told){0}, w->m.last);
        }
    }
    rig_put_all(&w->rig, &w->m);
}

static bool stops_at(const struct told *r, const struct target *t)
{
    switch (t->kind) {
    case TARGET_TIME:
        return (r->what == COMMIT || r->what == ABORT) &&
               (t->exclusive ? r->us >= t->time_us : r->us > t->time_us);
    case TARGET_XID:
        return (r->what == COMMIT || r->what == ABORT) && r->xid == t->xid;
    case TARGET_NAME:
        return r->what == POINT && strcmp(r->name, t->name) == 0;
    default:
        return r->lsn >= t->lsn;
    }
}

/* What recovery does: record by record from the backup's start on. */
static bool simulate(const struct world *w, const struct pubinfo *b, const struct target *t,
                     uint64_t *end, int64_t *commit_us)
{
    bool before = t->kind == TARGET_TIME || (t->exclusive && t->kind != TARGET_NAME);

    *commit_us = 0;
    if (t->kind == TARGET_TIME && t->time_us < b->stop_us)
        return false;
    for (size_t i = 0; i < w->n; i++) {
        const struct told *r = &w->told[i];
        bool stop = r->lsn >= b->start_lsn && stops_at(r, t);

        if (r->lsn < b->start_lsn)
            continue;
        if (r->what == COMMIT && !(stop && before))
            *commit_us = r->us;
        if (!stop)
            continue;
        *end = before ? r->lsn : r->end;
        return *end >= b->stop_lsn &&
               r->end <= segno_lsn(wal_make_segno(&w->m, 0) + wal_make_count(&w->m), RIG_SEGSZ);
    }
    return false;
}

static struct target any_target(struct world *w)
{
    const struct told *r = &w->told[pick(w, (uint32_t)w->n)];
    bool exclusive = pick(w, 2) == 0;
    char name[8];

    switch (pick(w, 4)) {
    case 0:
        return time_target(r->us != 0 ? r->us : NOON + (int64_t)pick(w, 300) * 500, exclusive);
    case 1:
        return xid_target(1000 + pick(w, (uint32_t)w->n + 5), exclusive);
    case 2:
        snprintf(name, sizeof name, "p%u", pick(w, 30));
        return name_target(name);
    default:
        return lsn_target(pick(w, 2) == 0 ? r->lsn : r->lsn + 8, exclusive);
    }
}

static void compare(struct world *w, size_t backup, const struct target *t)
{
    struct reach r = rig_reach(&w->rig, backup, *t);
    AUTO(buf_free) struct buf text = BUF_INIT;
    uint64_t end = 0;
    int64_t commit_us;
    bool reachable = simulate(w, &w->rig.items[backup], t, &end, &commit_us);

    target_describe(t, &text);
    if (r.reachable != reachable)
        fail_msg("%s: %s, the simulation says otherwise", buf_text(&text),
                 r.reachable ? "reachable" : r.why);
    if (!reachable)
        return;
    if (r.end_lsn != end || r.last_commit_us != commit_us)
        fail_msg("%s: ends at %lx with %ld, the simulation at %lx with %ld", buf_text(&text),
                 (unsigned long)r.end_lsn, (long)r.last_commit_us, (unsigned long)end,
                 (long)commit_us);
}

static void a_target_stops_where_a_replay_of_every_record_would(void **state)
{
    unsigned reached = 0, asked = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world w;

        world_begin(&w, seed);
        for (int i = 0; i < 60; i++) {
            struct target t = any_target(&w);

            for (size_t b = 0; b < w.rig.backups.n; b++)
                compare(&w, b, &t);
            struct reach r;
            size_t index;
            r = rig_choose(&w.rig, t, &index);
            reached += r.reachable;
            asked++;
        }
        rig_end(&w.rig);
        wal_make_free(&w.m);
        free(w.told);
    }
    assert_true(reached > asked / 4 && reached < asked); /* both outcomes were seen */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_segment_is_named_with_what_can_be_reached_around_it),
        cmocka_unit_test(a_backup_whose_own_wal_is_not_whole_is_passed_over),
        cmocka_unit_test(a_missing_or_damaged_index_is_made_again_from_the_segment),
        cmocka_unit_test(a_damaged_object_ends_the_way_with_its_reason),
        cmocka_unit_test(wal_that_does_not_go_on_is_not_gone_beyond),
        cmocka_unit_test(segments_of_another_history_do_not_continue_this_one),
        cmocka_unit_test(wal_that_begins_anew_does_not_continue_what_was),
        cmocka_unit_test(nothing_is_found_behind_a_record_that_is_not_understood),
        cmocka_unit_test(of_very_many_restore_points_each_is_found),
        cmocka_unit_test(a_store_that_does_not_answer_is_an_error_not_a_gap),
        cmocka_unit_test(a_request_to_stop_is_heard),
        cmocka_unit_test(names_that_do_not_go_with_the_segment_size_are_left_out),
        cmocka_unit_test(a_target_stops_where_a_replay_of_every_record_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
