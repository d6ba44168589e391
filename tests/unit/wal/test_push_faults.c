/* A segment pushed into a required and an optional repository, one of which loses a call of its
 * store: nothing is acknowledged that is not there, and pushing again brings it everywhere. */
#include "base/log.h"
#include "tests/unit/wal/target_rig.h"
#include "wal/archive/push.h"

enum { REQUIRED, OPTIONAL };

static struct err err;
static struct wal_make made;
static char segment[WAL_SEGMENT_NAME];

static struct repo *opened(struct store *store)
{
    struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
    struct repo *r = NULL;

    OK(repo_open(&r, store, &o, REPO_OPEN_FULL, &err), &err);
    return r;
}

static int push(struct repo *required, struct repo *optional)
{
    char names[2][9] = {"required", "optional"};
    struct open_repo items[] = {{.name = names[0], .required = true, .repo = required},
                                {.name = names[1], .repo = optional}};
    const struct open_repos repos = {items, LENGTH(items)};

    err_clear(&err);
    return wal_push_bytes(&repos, segment, wal_make_segment(&made, 0), RIG_SEGSZ, NULL, &err);
}

/* False: it is not there. Half of it is neither. */
static bool is_there(const struct rig *r)
{
    AUTO(buf_free) struct buf got = BUF_INIT;

    if (wal_object_get(r->repo, RIG_SYSID, r->major, segment, RIG_SEGSZ, 1, &got, &err) != 0) {
        assert_int_equal(err.code, ERR_NOT_FOUND);
        return false;
    }
    assert_int_equal(got.len, RIG_SEGSZ);
    assert_memory_equal(got.p, wal_make_segment(&made, 0), RIG_SEGSZ);
    return true;
}

/* False: there was no nth call any more. */
static bool fail_once(int which, long nth, enum store_fault_kind kind, unsigned *failed)
{
    AUTO(rig_end) struct rig first = {0};
    AUTO(rig_end) struct rig second = {0};
    AUTO(repo_close) struct repo *flaky = NULL;
    struct rig *broken = which == REQUIRED ? &first : &second;
    struct store *fault;
    long opening;
    int rc;

    rig_begin(&first, 15);
    rig_begin(&second, 15);
    flaky = opened(store_fault_new(broken->store, -1, kind));
    opening = store_fault_calls(repo_store(flaky));
    repo_close(&flaky);
    fault = store_fault_new(broken->store, opening + nth, kind);
    flaky = opened(fault);
    rc = which == REQUIRED ? push(flaky, second.repo) : push(first.repo, flaky);
    *failed += rc != 0;
    assert_true(which == REQUIRED || rc == 0); /* an optional one fails nobody */
    assert_true(is_there(&first) || rc != 0);
    is_there(&second);
    OK(push(first.repo, second.repo), &err);
    assert_true(is_there(&first));
    assert_true(is_there(&second));
    return store_fault_calls(fault) > opening + nth;
}

static void nothing_is_acknowledged_that_is_not_there(void **state)
{
    static const enum store_fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_FOREVER};

    (void)state;
    rig_make(&made, 15);
    wal_make_commit(&made, 700, NOON);
    wal_make_switch(&made);
    wal_segment_name(1, wal_make_segno(&made, 0), RIG_SEGSZ, segment);
    for (int which = REQUIRED; which <= OPTIONAL; which++)
        for (size_t k = 0; k < LENGTH(kinds); k++) {
            unsigned failed = 0;

            for (long nth = 0; fail_once(which, nth, kinds[k], &failed); nth++)
                assert_true(nth < 100);
            assert_int_equal(failed > 0, which == REQUIRED);
        }
    wal_make_free(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_acknowledged_that_is_not_there),
    };

    log_setup(LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
