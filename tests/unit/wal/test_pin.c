/* What a restored cluster keeps from expiry: when archive-get renews the lease of its restore. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "repo/lease/lease.h"
#include "tests/lib/repo_fixture.h"
#include "wal/archive/pin.h"

#define SET "20261122T140533Z-R-0a1b2c"
#define BASE "20261121T140533Z-F-0a0b0c"
enum { MINUTE = 60, DAY = 86400 };

static struct err err;
static char data_dir[128], note[256], home[512];

static int begin(void **state)
{
    const struct repo_options o = fixture_plain();

    if (getcwd(home, sizeof home) == NULL || fixture_begin(state) != 0)
        return -1;
    fixture_init(&o, true);
    snprintf(data_dir, sizeof data_dir, "%s.data", fixture_state_dir);
    OK(fs_mkdirs(data_dir, 0700, &err), &err);
    return chdir(data_dir);
}

static int end(void **state)
{
    return chdir(home) == 0 ? fixture_end(state) : -1;
}

static void remember(int64_t made_s_ago)
{
    struct pin pin = {.repo = "local", .set = SET, .base = BASE, .id = {4711, 15, 3}};
    AUTO(mem_free) char *find = xasprintf("echo %s/*.pin", fixture_state_dir);
    FILE *f;

    pin.made_us = clock_now_us() - made_s_ago * 1000000;
    pin_remember(fixture_state_dir, "main", data_dir, &pin);
    f = popen(find, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%255s", note), 1);
    pclose(f);
}

static void age(int64_t seconds)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                      {.tv_sec = clock_now_us() / 1000000 - seconds}};

    assert_int_equal(utimensat(AT_FDCWD, note, times, 0), 0);
}

/* True: the lease was written. */
static bool renewed(void)
{
    const struct repo_options o = fixture_plain();
    AUTO(repo_close) struct repo *r = fixture_opened(&o, REPO_OPEN_FULL);
    char name[] = "local";
    struct open_repo item = {.name = name, .repo = r};
    const struct open_repos repos = {&item, 1};
    struct lease_seen *seen = NULL;
    bool found;
    size_t n;

    pin_renew(fixture_state_dir, "main", &repos);
    OK(leases_list(r, &seen, &n, &err), &err);
    found = n == 1 && strcmp(seen->base, BASE) == 0 && strcmp(seen->set, SET) == 0 && seen->live &&
            seen->id.system_id == 4711 && seen->id.timeline == 3;
    leases_free(&seen, n);
    return found;
}

static void a_lease_is_renewed_every_ten_minutes(void **state)
{
    struct stat st;

    (void)state;
    assert_false(renewed()); /* nothing was restored here */
    remember(0);
    assert_false(renewed());
    age(9 * MINUTE);
    assert_false(renewed());
    age(11 * MINUTE);
    assert_true(renewed());
    assert_int_equal(stat(note, &st), 0);
    assert_in_range(clock_now_us() / 1000000 - st.st_mtime, 0, MINUTE);
}

static void a_note_that_lapsed_is_removed(void **state)
{
    (void)state;
    remember(30 * DAY);
    age(2 * DAY);
    assert_false(renewed());
    assert_false(fs_exists(AT_FDCWD, note));
}

static void a_long_recovery_is_renewed_a_standby_for_a_week(void **state)
{
    (void)state;
    remember(8 * DAY);
    age(20 * MINUTE);
    assert_true(renewed());
    remember(8 * DAY);
    age(20 * MINUTE);
    OK(fs_replace(AT_FDCWD, "standby.signal", "", 0, 0600, &err), &err);
    assert_true(renewed()); /* the lease of before is still there */
    assert_false(fs_exists(AT_FDCWD, note));
    assert_int_equal(unlink("standby.signal"), 0);
}

static void a_damaged_note_is_removed(void **state)
{
    static const char *const texts[] = {
        "",
        "local",
        "local " SET " " BASE " 4711 15 3\n",
        "local ../../x " BASE " 4711 15 3 1\n",
        "local " SET "x " BASE " 4711 15 3 1\n",
        "local " SET " " BASE " 4711 fifteen 3 1\n",
        "local " SET " " BASE " 99999999999999999999 15 3 1\n",
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++) {
        remember(0);
        OK(fs_replace(AT_FDCWD, note, texts[i], strlen(texts[i]), 0600, &err), &err);
        age(20 * MINUTE);
        assert_false(renewed());
        assert_false(fs_exists(AT_FDCWD, note));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lease_is_renewed_every_ten_minutes, begin, end),
        cmocka_unit_test_setup_teardown(a_note_that_lapsed_is_removed, begin, end),
        cmocka_unit_test_setup_teardown(a_long_recovery_is_renewed_a_standby_for_a_week, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_damaged_note_is_removed, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
