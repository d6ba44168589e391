/* Sums are made behind the backup that the next one builds on; who knows which there are does not
 * ask again. */
#include "cli/upkeep.h"

#include "tests/unit/wal/sums_world.h"

/* ---- what is known ---- */

struct known {
    enum expire_state state;
    enum backup_type type;
    uint64_t segno; /* in which it starts; 0: its manifest could not be read */
};

static void take(const struct known *known, size_t n, struct expire_backup *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct expire_backup){.state = known[i].state};
        if (known[i].segno == 0)
            continue;
        out[i].pub = (struct pubinfo){.type = known[i].type,
                                      .system_id = RIG_SYSID,
                                      .pg_version = 150000,
                                      .start_lsn = known[i].segno * RIG_SEGSZ + 40,
                                      .stop_us = NOON + (int64_t)known[i].segno,
                                      .wal_segment_size = RIG_SEGSZ};
    }
}

/* Segments 3 to 66 are archived: small sums begin in 16, 32 and 48. */
static size_t sums_behind(const struct known *known, size_t n, long *calls)
{
    struct expire_backup backups[8];
    struct expire_made made = {.backups = backups, .n_backups = n};
    struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
    AUTO(sum_list_free) struct sum_list sums = {0};
    struct repo *repo = NULL;
    struct store *counting;
    struct app app = {0};
    struct world w;

    world_begin(&w, 2);
    plain_wal(&w, 64);
    rig_put_range(&w.rig, &w.wal, 0, 63, 1);
    counting = store_fault_new(w.rig.store, -1, FAULT_BEFORE);
    OK(repo_open(&repo, counting, &o, REPO_OPEN_FULL, &err), &err);
    *calls = store_fault_calls(counting);
    if (known != NULL)
        take(known, n, backups);
    upkeep_sums(&app, repo, known != NULL ? &made : NULL);
    *calls = store_fault_calls(counting) - *calls;
    repo_close(&repo);
    sums = sums_of(&w);
    world_end(&w);
    return sums.n;
}

static void sums_are_made_behind_what_an_expiry_has_left(void **state)
{
    static const struct known a[] = {{EXPIRE_STAYS, BACKUP_FULL, 10},
                                     {EXPIRE_HELD, BACKUP_INCR, 30}};
    static const struct known b[] = {{EXPIRE_STAYS, BACKUP_FULL, 10},
                                     {EXPIRE_GONE, BACKUP_FULL, 30},
                                     {EXPIRE_HIDDEN, BACKUP_FULL, 40},
                                     {EXPIRE_STAYS, BACKUP_FULL, 0}};
    static const struct known c[] = {{EXPIRE_STAYS, BACKUP_FULL, 10},
                                     {EXPIRE_STAYS, BACKUP_DIFF, 30}};
    static const struct known d[] = {{EXPIRE_GONE, BACKUP_FULL, 10}};
    long calls;
    (void)state;

    assert_int_equal(sums_behind(a, LENGTH(a), &calls), 2);
    assert_int_equal(sums_behind(b, LENGTH(b), &calls), 3);
    assert_int_equal(sums_behind(c, LENGTH(c), &calls), 3); /* from its full one on */
    assert_int_equal(sums_behind(d, LENGTH(d), &calls), 0);
    assert_int_equal(calls, 0);
}

/* The repository has no backups: only who asks it finds that out. */
static void without_an_expiry_the_repository_is_asked(void **state)
{
    long calls;
    (void)state;

    assert_int_equal(sums_behind(NULL, 0, &calls), 0);
    assert_true(calls > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_made_behind_what_an_expiry_has_left),
        cmocka_unit_test(without_an_expiry_the_repository_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
