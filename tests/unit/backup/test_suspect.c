/* test_suspect.c - a page that is being written is no damage, and damage is found. */
#include "backup/suspect.h"

#include "base/clock.h"
#include "tests/unit/backup/data_dir.h"

struct settled {
    struct data_dir dir;
    struct suspects suspects[2];
    struct backup_info info;
    uint64_t errors;
    unsigned asked;      /* how often the server was asked */
    uint64_t insert_lsn; /* what it said first; a page more each time */
    int64_t start_us;
    void (*meanwhile)(struct settled *s);
};

static int begin(void **state)
{
    struct settled *s = xcalloc(1, sizeof *s);

    log_setup(LOG_TEXT, LOG_ERROR);
    data_begin(&s->dir);
    data_mkdir(&s->dir, "base/5");
    s->insert_lsn = INSERT_LSN;
    s->start_us = INT64_MAX; /* the files here are older than the backup */
    *state = s;
    return 0;
}

static int end(void **state)
{
    struct settled *s = *state;

    suspects_free(&s->suspects[0]);
    suspects_free(&s->suspects[1]);
    backup_info_free(&s->info);
    data_end(&s->dir);
    free(s);
    return 0;
}

static int insert_lsn(void *ctx, uint64_t *lsn, struct err *err)
{
    struct settled *s = ctx;

    (void)err;
    if (++s->asked == 2 && s->meanwhile != NULL)
        s->meanwhile(s);
    *lsn = s->insert_lsn + s->asked * PAGE;
    return 0;
}

static int settle(struct settled *s, const struct stop *stop, struct err *err)
{
    struct page_rules rules = {START_LSN, s->start_us, insert_lsn, s};

    return suspects_settle(s->suspects, 2, s->dir.fd, &rules, stop, &s->info, &s->errors, err);
}

static void settled(struct settled *s)
{
    struct err err = {0};

    OK(settle(s, NULL, &err), &err);
}

static void put(struct settled *s, const char *name, uint32_t block, uint64_t lsn, bool good)
{
    uint8_t page[PAGE];

    data_page(page, block, lsn, block);
    page[PAGE - 1] ^= good ? 0 : 1;
    data_pwrite(&s->dir, name, (uint64_t)block * PAGE, page, sizeof page);
}

static void note(struct settled *s, int worker, const char *name, uint32_t block)
{
    suspects_note(&s->suspects[worker], name, 0, block);
}

static void without_suspicions_nobody_waits(void **state)
{
    struct settled *s = *state;

    settled(s);
    assert_int_equal(s->asked, 0);
    assert_int_equal(s->errors, 0);
}

static void a_page_that_stays_bad_is_damaged(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1", 0, 0x1000000, true);
    put(s, "base/5/1", 3, 0x1000000, false);
    put(s, "base/5/2", 1, 0x1000000, false);
    note(s, 0, "base/5/1", 3);
    note(s, 1, "base/5/2", 1);
    settled(s);
    assert_true(s->asked > 3);
    assert_int_equal(s->errors, 2);
    assert_int_equal(s->info.n_errors, 2);
    assert_string_equal(s->info.errors[0].path, "base/5/1");
    assert_int_equal(s->info.errors[0].block, 3);
    assert_string_equal(s->info.errors[1].path, "base/5/2");
    assert_int_equal(s->info.errors[1].block, 1);
}

static void write_it(struct settled *s)
{
    put(s, "base/5/1", 3, START_LSN + 100, true);
}

/* Half of it was written when it was copied. */
static void a_torn_page_that_is_whole_a_moment_later_is_none(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1", 3, START_LSN + 100, true);
    note(s, 0, "base/5/1", 3);
    settled(s);
    assert_int_equal(s->errors, 0);
    assert_int_equal(s->asked, 1);
}

/* Its WAL would have given it a fresh position. */
static void a_page_that_turns_good_though_nobody_wrote_it_is_damaged(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1", 3, 0x1000000, true);
    note(s, 0, "base/5/1", 3);
    settled(s);
    assert_int_equal(s->errors, 1);
    assert_int_equal(s->info.errors[0].block, 3);
}

static void what_turned_good_once_is_not_judged_again(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1", 3, 0x1000000, true);
    put(s, "base/5/1", 4, 0x1000000, false);
    note(s, 0, "base/5/1", 3);
    note(s, 0, "base/5/1", 4);
    s->meanwhile = write_it;
    settled(s);
    assert_int_equal(s->errors, 2);
}

/* Their pages change without WAL of their own. */
static void maps_may_turn_good(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1_vm", 3, 0x1000000, true);
    put(s, "base/5/1_fsm.1", 3, 0x1000000, true);
    note(s, 0, "base/5/1_vm", 3);
    note(s, 0, "base/5/1_fsm.1", 3);
    settled(s);
    assert_int_equal(s->errors, 0);
}

/* A database that is copied file by file keeps the positions of its template. */
static void files_made_during_the_backup_may_turn_good(void **state)
{
    struct settled *s = *state;

    s->start_us = clock_now_us() - INT64_C(3600000000);
    put(s, "base/5/1", 3, 0x1000000, true);
    note(s, 0, "base/5/1", 3);
    settled(s);
    assert_int_equal(s->errors, 0);
}

static void a_page_that_is_written_between_two_readings_is_none(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1", 3, 0x1000000, false);
    note(s, 0, "base/5/1", 3);
    s->meanwhile = write_it;
    settled(s);
    assert_int_equal(s->errors, 0);
    assert_int_equal(s->asked, 2);
}

static void write_badly(struct settled *s)
{
    put(s, "base/5/1", 3, 0x2000000, false);
}

static void a_page_that_is_bad_in_all_readings_is_damaged_even_if_it_changes(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1", 3, 0x1000000, false);
    note(s, 0, "base/5/1", 3);
    s->meanwhile = write_badly;
    settled(s);
    assert_int_equal(s->errors, 1);
}

/* The position that it was compared with had been asked for before it was written. */
static void a_page_ahead_of_an_old_answer_is_none(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1", 3, INSERT_LSN + PAGE, true);
    note(s, 0, "base/5/1", 3);
    settled(s);
    assert_int_equal(s->errors, 0);
}

static void a_position_beyond_all_wal_is_damage(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1", 3, UINT64_C(0x7000000000), true);
    note(s, 0, "base/5/1", 3);
    settled(s);
    assert_int_equal(s->errors, 1);
}

static void a_header_that_says_new_over_data_is_damage(void **state)
{
    struct settled *s = *state;
    uint8_t page[PAGE] = {0};

    page[5000] = 1;
    data_pwrite(&s->dir, "base/5/1", 0, page, sizeof page);
    note(s, 0, "base/5/1", 0);
    settled(s);
    assert_int_equal(s->errors, 1);
}

static void a_dropped_or_truncated_file_has_no_damage(void **state)
{
    struct settled *s = *state;

    put(s, "base/5/1", 3, 0x1000000, false);
    put(s, "base/5/2", 3, 0x1000000, false);
    note(s, 0, "base/5/1", 3);
    note(s, 1, "base/5/2", 3);
    data_remove(&s->dir, "base/5/1");
    data_resize(&s->dir, "base/5/2", 3 * PAGE + 100);
    settled(s);
    assert_int_equal(s->errors, 0);
}

static void of_very_many_pages_all_are_counted_and_some_listed(void **state)
{
    struct settled *s = *state;
    uint8_t page[PAGE];
    const uint32_t many = 10050;

    for (uint32_t i = 0; i < many; i++) {
        data_page(page, i, 0x1000000, i);
        page[PAGE - 1] ^= 1;
        data_pwrite(&s->dir, "base/5/1", (uint64_t)i * PAGE, page, sizeof page);
        suspects_note(&s->suspects[0], "base/5/1", 0, i);
    }
    s->suspects[1].unnoted = 5;
    settled(s);
    assert_int_equal(s->errors, many + 5);
    assert_int_equal(s->info.n_errors, 10000);
}

static void beyond_a_limit_they_are_only_counted(void **state)
{
    struct settled *s = *state;

    for (uint32_t i = 0; i < SUSPECTS_MAX + 3; i++)
        suspects_note(&s->suspects[0], "base/5/1", 0, i);
    assert_int_equal(s->suspects[0].pages, SUSPECTS_MAX);
    assert_int_equal(s->suspects[0].unnoted, 3);
}

static void the_waiting_can_be_stopped(void **state)
{
    struct settled *s = *state;
    struct stop stop = {.signal = 15};
    struct err err = {0};

    put(s, "base/5/1", 3, 0x1000000, false);
    note(s, 0, "base/5/1", 3);
    FAILS(settle(s, &stop, &err), &err, ERR_INTERRUPTED);
}

#define ON_A_CLUSTER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_CLUSTER(without_suspicions_nobody_waits),
        ON_A_CLUSTER(a_page_that_stays_bad_is_damaged),
        ON_A_CLUSTER(a_torn_page_that_is_whole_a_moment_later_is_none),
        ON_A_CLUSTER(a_page_that_is_written_between_two_readings_is_none),
        ON_A_CLUSTER(a_page_that_is_bad_in_all_readings_is_damaged_even_if_it_changes),
        ON_A_CLUSTER(a_page_that_turns_good_though_nobody_wrote_it_is_damaged),
        ON_A_CLUSTER(what_turned_good_once_is_not_judged_again),
        ON_A_CLUSTER(maps_may_turn_good),
        ON_A_CLUSTER(files_made_during_the_backup_may_turn_good),
        ON_A_CLUSTER(a_page_ahead_of_an_old_answer_is_none),
        ON_A_CLUSTER(a_position_beyond_all_wal_is_damage),
        ON_A_CLUSTER(a_header_that_says_new_over_data_is_damage),
        ON_A_CLUSTER(a_dropped_or_truncated_file_has_no_damage),
        ON_A_CLUSTER(of_very_many_pages_all_are_counted_and_some_listed),
        ON_A_CLUSTER(beyond_a_limit_they_are_only_counted),
        ON_A_CLUSTER(the_waiting_can_be_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
