/* test_guard.c - WAL that creates a tablespace does not reach a rehearsal, wherever it stands. */
#include "wal/archive/guard.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/version.h"
#include "tests/lib/test.h"
#include "tests/lib/wal_make.h"

enum { SEGSZ = 1 << 20, RM_TABLESPACE = 5, DROP = 0x10 };

static void begin(struct wal_make *m, unsigned major)
{
    wal_make_init(m, major, UINT64_C(7300000000000000001), 1, SEGSZ, 3);
}

/* xl_tblspc_create_rec: an OID and a path. */
static uint64_t create(struct wal_make *m, const char *path)
{
    char main[300] = {1, 64, 0, 0};
    size_t len = strlen(path) + 1;

    memcpy(main + 4, path, len);
    return wal_make_record(m, RM_TABLESPACE, 0, 700, NULL, 0, main, 4 + len);
}

static int guard(struct wal_make *m, size_t index, uint64_t end, size_t *cut, struct err *err)
{
    const struct wal_guard g = {.kind = WAL_GUARD_SANDBOX, .end = end};

    return wal_guard(wal_make_segment(m, index), SEGSZ, &g, cut, err);
}

static void other_wal_passes(void **state)
{
    static const uint8_t oid[4] = {1, 64, 0, 0};
    const struct wal_guard all = {.kind = WAL_GUARD_SANDBOX, .end = UINT64_MAX};
    AUTO(wal_make_free) struct wal_make m;
    struct err err = {0};
    size_t cut;
    (void)state;

    begin(&m, 15);
    wal_make_commit(&m, 700, 1);
    wal_make_record(&m, RM_TABLESPACE, DROP, 700, NULL, 0, oid, sizeof oid);
    wal_make_noise(&m, 5000);
    create(&m, ""); /* in place: below the data directory */
    OK(guard(&m, 0, UINT64_MAX, &cut, &err), &err);
    assert_int_equal(cut, SEGSZ);
    OK(wal_guard("no WAL at all", 13, &all, &cut, &err), &err);
    assert_int_equal(cut, 13);
}

static void a_tablespace_is_refused_and_named(void **state)
{
    (void)state;
    for (unsigned major = PG_MAJOR_MIN; major <= PG_MAJOR_MAX; major++) {
        AUTO(wal_make_free) struct wal_make m;
        struct err err = {0};
        size_t cut;

        begin(&m, major);
        wal_make_noise(&m, 3000);
        create(&m, "/srv/fast");
        FAILS(guard(&m, 0, UINT64_MAX, &cut, &err), &err, ERR_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "\"/srv/fast\""));
        FAILS(guard(&m, 0, m.end, &cut, &err), &err, ERR_UNSUPPORTED);
    }
}

static void one_behind_the_target_is_cut_off(void **state)
{
    AUTO(wal_make_free) struct wal_make m;
    struct err err = {0};
    uint64_t at, slow;
    size_t cut;
    (void)state;

    begin(&m, 15);
    wal_make_noise(&m, 3000);
    at = create(&m, "/srv/fast");
    slow = create(&m, "/srv/slow");
    OK(guard(&m, 0, at - 1, &cut, &err), &err);
    assert_int_equal(cut, at - m.start);
    /* recovery that stops before it must see it; what follows it need not see */
    OK(guard(&m, 0, at, &cut, &err), &err);
    assert_int_equal(cut, slow - m.start);
    FAILS(guard(&m, 0, at + 1, &cut, &err), &err, ERR_UNSUPPORTED);
}

/* Wherever the end of a segment cuts the record, one of the two is refused. */
static void one_in_two_segments_is_seen(void **state)
{
    (void)state;
    for (size_t room = 8; room <= 80; room += 8) {
        AUTO(wal_make_free) struct wal_make m;
        struct err err = {0};
        uint64_t at;
        size_t cut;
        int refused = 0;

        begin(&m, 15);
        wal_make_fill(&m, 600);
        while (m.start + SEGSZ - m.end > room + 320)
            wal_make_noise(&m, 64);
        /* the last stretch exactly */
        wal_make_noise(&m, (size_t)(m.start + SEGSZ - m.end) - room);
        if (m.start + SEGSZ - m.end != room)
            fail_msg("%zu bytes left, %zu wanted", (size_t)(m.start + SEGSZ - m.end), room);
        at = create(&m, "/srv/a/path/that/is/long/enough/to/cross/the/end");
        assert_int_equal(at, m.start + SEGSZ - room);
        refused += guard(&m, 0, UINT64_MAX, &cut, &err) != 0;
        refused += guard(&m, 1, UINT64_MAX, &cut, &err) != 0;
        if (refused == 0)
            fail_msg("with %zu bytes in the first segment nobody sees it", room);
        /* behind the target it is cut off where it begins, or all of the next one is */
        OK(guard(&m, 0, at - 1, &cut, &err), &err);
        if (cut == SEGSZ) {
            OK(guard(&m, 1, at - 1, &cut, &err), &err);
            assert_int_equal(cut, 0);
        } else {
            assert_int_equal(cut, at - m.start);
        }
    }
}

/* The present directory is a data directory, beside it the places of tablespaces. */
static void stay(char *top)
{
    struct err err = {0};

    assert_non_null(mkdtemp(top));
    assert_int_equal(chdir(top), 0);
    OK(fs_mkdirs("data/pg_tblspc", 0700, &err), &err);
    OK(fs_mkdirs("empty", 0700, &err), &err);
    OK(fs_mkdirs("taken/PG_15_202209061/5", 0700, &err), &err);
    OK(fs_mkdirs("older/PG_14_202107181", 0700, &err), &err);
    assert_int_equal(chdir("data"), 0);
}

static void a_copy_may_not_enter_what_is_another_ones(void **state)
{
    const struct {
        const char *place;
        bool refused;
    } table[] = {{"taken", true}, {"empty", false}, {"older", false}, {"absent", false}};
    char top[] = "/tmp/pgbr-guard.XXXXXX";
    struct err err = {0};
    (void)state;

    stay(top);
    for (size_t i = 0; i < LENGTH(table); i++) {
        AUTO(wal_make_free) struct wal_make m;
        AUTO(mem_free) char *place = xasprintf("%s/%s", top, table[i].place);
        struct wal_guard g = {.kind = WAL_GUARD_COPY, .end = UINT64_MAX};
        uint64_t at;
        size_t cut;

        begin(&m, 15);
        at = create(&m, place);
        if (!table[i].refused) {
            OK(wal_guard(wal_make_segment(&m, 0), SEGSZ, &g, &cut, &err), &err);
            assert_int_equal(cut, SEGSZ);
            continue;
        }
        FAILS(wal_guard(wal_make_segment(&m, 0), SEGSZ, &g, &cut, &err), &err, ERR_UNSUPPORTED);
        assert_non_null(strstr(err.msg, place));
        g.end = at - 1;
        OK(wal_guard(wal_make_segment(&m, 0), SEGSZ, &g, &cut, &err), &err);
        assert_int_equal(cut, at - m.start);
        /* what it has made itself it makes again when recovery begins again */
        assert_int_equal(symlink(place, "pg_tblspc/16385"), 0);
        g.end = UINT64_MAX;
        OK(wal_guard(wal_make_segment(&m, 0), SEGSZ, &g, &cut, &err), &err);
        assert_int_equal(unlink("pg_tblspc/16385"), 0);
    }
    assert_int_equal(chdir("/"), 0);
    OK(fs_remove_tree(AT_FDCWD, top, false, &err), &err);
}

/* A record whose first `room` bytes are the last ones of the first segment. */
static uint64_t create_across(struct wal_make *m, size_t room, const char *path)
{
    begin(m, 15);
    wal_make_fill(m, 600);
    while (m->start + SEGSZ - m->end > room + 320)
        wal_make_noise(m, 64);
    wal_make_noise(m, (size_t)(m->start + SEGSZ - m->end) - room);
    assert_int_equal(m->start + SEGSZ - m->end, room);
    return create(m, path);
}

static int second(void *ctx, struct buf *out, struct err *err)
{
    (void)err;
    buf_add(out, wal_make_segment(ctx, 1), SEGSZ);
    return 0;
}

static int is_not_there(void *ctx, struct buf *out, struct err *err)
{
    (void)ctx;
    (void)out;
    return err_set(err, ERR_NOT_FOUND, "it is not archived");
}

static int guard_both(struct wal_make *m, struct wal_guard g, struct err *err)
{
    AUTO(buf_free) struct buf first = BUF_INIT;
    size_t cut;

    g.ctx = m;
    buf_add(&first, wal_make_segment(m, 0), SEGSZ);
    TRY(wal_guard(first.p, first.len, &g, &cut, err));
    return wal_guard(wal_make_segment(m, 1), SEGSZ, &g, &cut, err);
}

/* Wherever the end of a segment cuts it, the name is judged as a whole. */
static void a_name_in_two_segments_is_judged_as_a_whole(void **state)
{
    static const char *const places[] = {"taken", "empty", "absent/and/so/on/beyond/the/end"};
    char top[] = "/tmp/pgbr-guard.XXXXXX";
    const struct wal_guard copy = {WAL_GUARD_COPY, UINT64_MAX, second, NULL};
    const struct wal_guard drill = {WAL_GUARD_SANDBOX, UINT64_MAX, second, NULL};
    (void)state;

    stay(top);
    for (size_t room = 8; room <= 64; room += 8)
        for (size_t i = 0; i < LENGTH(places); i++) {
            AUTO(wal_make_free) struct wal_make m;
            AUTO(mem_free) char *place = xasprintf("%s/%s", top, places[i]);
            struct err err = {0}, why = {0};

            create_across(&m, room, place);
            if (i != 0) {
                OK(guard_both(&m, copy, &err), &err);
                FAILS(guard_both(&m, drill, &err), &err, ERR_UNSUPPORTED);
                continue;
            }
            FAILS(guard_both(&m, copy, &why), &why, ERR_UNSUPPORTED);
            if (strstr(why.msg, place) == NULL || strstr(why.msg, "there is one already") == NULL)
                fail_msg("with %zu bytes in the first segment: %s", room, why.msg);
        }
    assert_int_equal(chdir("/"), 0);
    struct err err = {0};
    OK(fs_remove_tree(AT_FDCWD, top, false, &err), &err);
}

/* In place: such a one has no name that could be cut. */
static void one_without_a_name_passes_in_two_segments(void **state)
{
    const struct wal_guard drill = {WAL_GUARD_SANDBOX, UINT64_MAX, second, NULL};
    (void)state;

    for (size_t room = 8; room <= 32; room += 8) {
        AUTO(wal_make_free) struct wal_make m;
        struct err err = {0};

        create_across(&m, room, "");
        OK(guard_both(&m, drill, &err), &err);
    }
}

/* Where the rest of a name cannot be had nobody can look: it is refused. */
static void a_name_whose_rest_is_not_there_is_refused(void **state)
{
    int (*const nexts[])(void *, struct buf *, struct err *) = {NULL, is_not_there};
    (void)state;

    for (size_t i = 0; i < LENGTH(nexts); i++) {
        const struct wal_guard g = {WAL_GUARD_COPY, UINT64_MAX, nexts[i], NULL};
        AUTO(wal_make_free) struct wal_make m;
        struct err err = {0};
        size_t cut;

        create_across(&m, 64, "/nowhere/a/path/that/is/long/enough/to/cross/the/end");
        FAILS(wal_guard(wal_make_segment(&m, 0), SEGSZ, &g, &cut, &err), &err, ERR_UNSUPPORTED);
        assert_non_null(strstr(err.msg, "cannot be seen as a whole"));
    }
}

/* The next segment may be damaged; but one that begins anew after a crash has the record abandoned:
 * it is never replayed. */
static int damaged(void *ctx, struct buf *out, struct err *err)
{
    second(ctx, out, err);
    out->p[45] ^= 1;
    return 0;
}

static int begun_anew(void *ctx, struct buf *out, struct err *err)
{
    second(ctx, out, err);
    put_u16((uint8_t *)out->p + 2, WAL_PAGE_LONG | WAL_PAGE_OVERWRITE);
    put_u32((uint8_t *)out->p + 16, 0);
    return 0;
}

static void what_does_not_continue_it_is_told_apart(void **state)
{
    struct wal_guard g = {WAL_GUARD_COPY, UINT64_MAX, damaged, NULL};
    AUTO(wal_make_free) struct wal_make m;
    AUTO(buf_free) struct buf first = BUF_INIT;
    struct err err = {0};
    size_t cut;
    (void)state;

    create_across(&m, 64, "/nowhere/a/path/that/is/long/enough/to/cross/the/end");
    buf_add(&first, wal_make_segment(&m, 0), SEGSZ);
    g.ctx = &m;
    FAILS(wal_guard(first.p, first.len, &g, &cut, &err), &err, ERR_UNSUPPORTED);
    g.next = begun_anew;
    OK(wal_guard(first.p, first.len, &g, &cut, &err), &err);
}

/* What only looks like the rest of one, in its first bytes, is something else. */
static void other_records_in_two_segments_pass(void **state)
{
    (void)state;
    for (size_t gone = 8; gone <= 16; gone += 8) {
        AUTO(wal_make_free) struct wal_make m;
        const struct wal_guard g = {WAL_GUARD_SANDBOX, UINT64_MAX, NULL, NULL};
        struct err err = {0};
        uint8_t *page;
        size_t cut;

        create_across(&m, gone, "/srv/a");
        page = wal_make_segment(&m, 1);
        FAILS(wal_guard(page, SEGSZ, &g, &cut, &err), &err, ERR_UNSUPPORTED);
        put_u32(page + 16, get_u32(page + 16) + 100); /* it is longer than that */
        err_clear(&err);
        OK(wal_guard(page, SEGSZ, &g, &cut, &err), &err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_wal_passes),
        cmocka_unit_test(a_tablespace_is_refused_and_named),
        cmocka_unit_test(one_behind_the_target_is_cut_off),
        cmocka_unit_test(one_in_two_segments_is_seen),
        cmocka_unit_test(a_copy_may_not_enter_what_is_another_ones),
        cmocka_unit_test(a_name_in_two_segments_is_judged_as_a_whole),
        cmocka_unit_test(one_without_a_name_passes_in_two_segments),
        cmocka_unit_test(a_name_whose_rest_is_not_there_is_refused),
        cmocka_unit_test(what_does_not_continue_it_is_told_apart),
        cmocka_unit_test(other_records_in_two_segments_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
