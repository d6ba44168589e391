#include "tests/lib/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/state.h"
#include "tests/lib/repo_fixture.h"

static struct err err;

static struct repo_options cached_options(void)
{
    struct repo_options o = fixture_encrypted();

    o.state_dir = fixture_state_dir;
    o.keep_key = true;
    return o;
}

static char *state_path(void)
{
    return xasprintf("%s/main@local.state", fixture_state_dir);
}

/* Requests that opening takes. */
static long calls_to_open(const struct repo_options *o)
{
    AUTO(repo_close) struct repo *r = NULL;
    struct store *counted = store_fault_new(fixture_store, -1, FAULT_BEFORE);
    long calls;

    OK(repo_open(&r, counted, o, REPO_OPEN_QUICK, &err), &err);
    calls = store_fault_calls(counted);
    assert_null(repo_read_only(r));
    return calls;
}

static void the_state_file_saves_all_but_one_request(void **state)
{
    struct repo_options o = cached_options();
    AUTO(repo_close) struct repo *r = NULL, *quick = NULL;

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    OK(repo_accept(r, 7, 15, &err), &err);
    assert_int_equal(calls_to_open(&o), 1);
    quick = fixture_opened(&o, REPO_OPEN_QUICK);
    assert_memory_equal(repo_id(r), repo_id(quick), REPO_ID_SIZE);
    assert_memory_equal(repo_key(r), repo_key(quick), sizeof(struct repo_key));
    assert_true(repo_knows(quick, 7, 15));
    OK(repo_accept(quick, 8, 15, &err), &err);
    repo_close(&quick);
    quick = fixture_opened(&o, REPO_OPEN_QUICK);
    assert_true(repo_knows(quick, 8, 15));
}

static void the_state_file_is_private(void **state)
{
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();
    struct stat st;
    mode_t umask_before = umask(0);

    (void)state;
    fixture_init(&o, true);
    umask(umask_before);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(fixture_state_dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_key_that_may_not_be_kept_is_not_in_the_state_file(void **state)
{
    struct repo_options o = cached_options();
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(mem_free) char *path = state_path();
    AUTO(buf_free) struct buf content = BUF_INIT;

    (void)state;
    o.keep_key = false;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    OK(fs_read_file(AT_FDCWD, path, 10000, &content, &err), &err);
    assert_null(memmem(content.p, content.len, repo_key(r)->bytes, REPO_KEY_SIZE));
    assert_true(calls_to_open(&o) > 1);
    /* Once it was allowed: forbidding it later must not use it any more. */
    o.keep_key = true;
    repo_close(&r);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    buf_clear(&content);
    OK(fs_read_file(AT_FDCWD, path, 10000, &content, &err), &err);
    assert_non_null(memmem(content.p, content.len, repo_key(r)->bytes, REPO_KEY_SIZE));
    o.keep_key = false;
    assert_true(calls_to_open(&o) > 1);
}

static void a_state_file_that_others_could_touch_is_ignored(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0666};
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();
    unsigned warnings;

    (void)state;
    fixture_init(&o, true);
    for (size_t i = 0; i < LENGTH(modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        warnings = log_count(LOG_WARNING);
        assert_true(calls_to_open(&o) > 1);
        assert_true(log_count(LOG_WARNING) > warnings);
        assert_int_equal(calls_to_open(&o), 1); /* it was written anew */
    }
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_true(calls_to_open(&o) > 1);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_true(calls_to_open(&o) > 1);
}

static void a_damaged_state_file_is_ignored_and_made_anew(void **state)
{
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();
    AUTO(buf_free) struct buf content = BUF_INIT;
    struct repo_state s;

    (void)state;
    fixture_init(&o, true);
    OK(fs_read_file(AT_FDCWD, path, 10000, &content, &err), &err);
    for (size_t i = 0; i < content.len; i++) {
        content.p[i] ^= 1;
        FAILS(state_parse(content.p, content.len, "memory", &s, &err), &err, ERR_CORRUPT);
        content.p[i] ^= 1;
        FAILS(state_parse(content.p, i, "memory", &s, &err), &err, ERR_CORRUPT);
    }
    FAILS(state_parse(content.p, content.len, "elsewhere", &s, &err), &err, ERR_CORRUPT);
    OK(state_parse(content.p, content.len, "memory", &s, &err), &err);
    state_free(&s);
    OK(fs_replace(AT_FDCWD, path, content.p, content.len / 2, 0600, &err), &err);
    assert_true(calls_to_open(&o) > 1);
    assert_int_equal(calls_to_open(&o), 1);
}

static void what_a_store_was_found_to_do_is_kept(void **state)
{
    struct repo_state s = {.proofs = {.proved_us = 5,
                                      .create_only = STORE_PROVED,
                                      .checksum = STORE_REFUTED}},
                      read;
    AUTO(buf_free) struct buf content = BUF_INIT;

    (void)state;
    state_format(&s, "s3://b", &content);
    OK(state_parse(content.p, content.len, "s3://b", &read, &err), &err);
    assert_int_equal(read.proofs.proved_us, 5);
    assert_int_equal(read.proofs.create_only, STORE_PROVED);
    assert_int_equal(read.proofs.checksum, STORE_REFUTED);
    state_free(&read);
    s.proofs.checksum = STORE_REFUTED + 1;
    buf_clear(&content);
    state_format(&s, "s3://b", &content);
    FAILS(state_parse(content.p, content.len, "s3://b", &read, &err), &err, ERR_CORRUPT);
}

static void an_old_state_file_is_not_relied_on(void **state)
{
    static const struct {
        int64_t age_s;
        bool used;
    } cases[] = {{STATE_STALE_S - 60, true}, {STATE_STALE_S + 60, false}, {-3600, false}};
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();

    (void)state;
    fixture_init(&o, true);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf old = BUF_INIT, made = BUF_INIT;
        struct repo_state s;
        OK(fs_read_file(AT_FDCWD, path, 10000, &old, &err), &err);
        OK(state_parse(old.p, old.len, "memory", &s, &err), &err);
        s.written_us = clock_now_us() - cases[i].age_s * 1000000;
        state_format(&s, "memory", &made);
        state_free(&s);
        OK(fs_replace(AT_FDCWD, path, made.p, made.len, 0600, &err), &err);
        assert_int_equal(calls_to_open(&o) == 1, cases[i].used);
    }
}

static void a_repository_made_anew_at_the_same_place_is_noticed(void **state)
{
    const struct repo_options o = cached_options();
    AUTO(repo_close) struct repo *before = NULL, *after = NULL;
    struct repo_options elsewhere = fixture_encrypted();
    struct repo_options changed = o;

    (void)state;
    fixture_init(&o, true);
    before = fixture_opened(&o, REPO_OPEN_QUICK);
    OK(repo_accept(before, 7, 15, &err), &err);
    store_close(&fixture_store);
    fixture_store = store_mem_new();
    fixture_refused(&o, REPO_OPEN_QUICK, ERR_NOT_FOUND, "pgbr init");
    fixture_init(&elsewhere, true); /* by another host: our state file is the old one's */
    after = fixture_opened(&o, REPO_OPEN_QUICK);
    assert_memory_not_equal(repo_id(before), repo_id(after), REPO_ID_SIZE);
    assert_memory_not_equal(repo_key(before), repo_key(after), sizeof(struct repo_key));
    assert_false(repo_knows(after, 7, 15));
    repo_close(&after);
    assert_int_equal(calls_to_open(&o), 1);

    store_close(&fixture_store);
    fixture_store = store_mem_new();
    elsewhere.secret = (struct key_secret){.passphrase = "unknown to us"};
    fixture_init(&elsewhere, true);
    fixture_refused(&changed, REPO_OPEN_QUICK, ERR_FOREIGN, "another repository");
}

static void a_plain_repository_made_anew_is_noticed_by_its_id(void **state)
{
    struct repo_options o = fixture_plain(), elsewhere = fixture_plain();
    AUTO(repo_close) struct repo *before = NULL, *after = NULL;

    (void)state;
    o.state_dir = fixture_state_dir;
    fixture_init(&o, true);
    before = fixture_opened(&o, REPO_OPEN_QUICK);
    OK(repo_accept(before, 7, 15, &err), &err);
    assert_int_equal(calls_to_open(&o), 1);
    store_close(&fixture_store);
    fixture_store = store_mem_new();
    fixture_init(&elsewhere, true);
    after = fixture_opened(&o, REPO_OPEN_QUICK);
    assert_memory_not_equal(repo_id(before), repo_id(after), REPO_ID_SIZE);
    assert_false(repo_knows(after, 7, 15));
}

static void where_the_state_file_cannot_be_written_opening_works(void **state)
{
    struct repo_options o = cached_options();
    AUTO(repo_close) struct repo *r = NULL;
    unsigned warnings = log_count(LOG_WARNING);

    (void)state;
    o.state_dir = fixture_key_file; /* a file, no directory */
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_QUICK);
    assert_non_null(repo_key(r));
    assert_true(log_count(LOG_WARNING) > warnings);
}

static void a_state_file_that_says_the_same_is_left_alone(void **state)
{
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();
    struct stat before, after;
    struct repo *r;

    (void)state;
    fixture_init(&o, true);
    assert_int_equal(stat(path, &before), 0);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    repo_close(&r);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

int main(void)
{
#define REPO_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_begin, fixture_end)
    const struct CMUnitTest tests[] = {
        REPO_TEST(the_state_file_saves_all_but_one_request),
        REPO_TEST(the_state_file_is_private),
        REPO_TEST(a_key_that_may_not_be_kept_is_not_in_the_state_file),
        REPO_TEST(a_state_file_that_others_could_touch_is_ignored),
        REPO_TEST(a_damaged_state_file_is_ignored_and_made_anew),
        cmocka_unit_test(what_a_store_was_found_to_do_is_kept),
        REPO_TEST(an_old_state_file_is_not_relied_on),
        REPO_TEST(a_repository_made_anew_at_the_same_place_is_noticed),
        REPO_TEST(a_plain_repository_made_anew_is_noticed_by_its_id),
        REPO_TEST(where_the_state_file_cannot_be_written_opening_works),
        REPO_TEST(a_state_file_that_says_the_same_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
