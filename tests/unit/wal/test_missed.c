/* test_missed.c - what an optional repository missed stays known until it is there. */
#include "wal/archive/missed.h"

#include "tests/unit/wal/archive_rig.h"
#include "wal/archive/push.h"

struct late {
    struct archive *a;
    struct missed missed;
    struct open_repos repos;
    struct wal_identity id;
    char *path; /* of the file whose push calls */
};

static int begin(void **state)
{
    struct late *l = xcalloc(1, sizeof *l);
    void *archive;
    struct err err = {0};

    archive_begin(&archive);
    l->a = archive;
    l->missed = (struct missed){l->a->config->state_dir, "main"};
    l->id = (struct wal_identity){l->a->system_id, ARCHIVE_MAJOR};
    l->path = archive_path(l->a, "data/pg_wal/0000000100000000000000FF");
    OK(config_open_repos(l->a->config, l->a->cluster, NULL, REPO_OPEN_FULL, &l->repos, &err), &err);
    *state = l;
    return 0;
}

static int end(void **state)
{
    struct late *l = *state;
    void *archive = l->a;

    open_repos_close(&l->repos);
    free(l->path);
    free(l);
    return archive_end(&archive);
}

static void catch_up(struct late *l)
{
    missed_catch_up(&l->missed, &l->repos, l->path, &l->id);
}

static void assert_missed(const struct late *l, const char *want)
{
    AUTO(mem_free) char *missed = archive_missed(l->a);

    assert_string_equal(missed, want);
}

static void note_segment(struct late *l, char name[WAL_SEGMENT_NAME])
{
    missed_note(&l->missed, "may", archive_segment(l->a, name));
}

static struct repo *replace_repo(struct late *l, struct repo *with)
{
    struct repo *old = l->repos.items[1].repo;

    assert_string_equal(l->repos.items[1].name, "may");
    l->repos.items[1].repo = with;
    return old;
}

static void nothing_missed_is_nothing_to_do(void **state)
{
    catch_up(*state);
    assert_missed(*state, "");
}

static void a_few_files_are_copied_each_time(void **state)
{
    struct late *l = *state;
    char names[20][WAL_SEGMENT_NAME];
    unsigned there = 0;

    for (size_t i = 0; i < LENGTH(names); i++)
        note_segment(l, names[i]);
    catch_up(l);
    for (size_t i = 0; i < LENGTH(names); i++)
        there += archive_has(l->a, "may", names[i]);
    assert_int_equal(there, 8);
    catch_up(l);
    catch_up(l);
    for (size_t i = 0; i < LENGTH(names); i++)
        assert_true(archive_has(l->a, "may", names[i]));
    assert_missed(l, "");
}

static void what_pg_wal_no_longer_has_comes_from_another_repository(void **state)
{
    struct late *l = *state;
    struct open_repos must = {l->repos.items, 1};
    char name[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *path = NULL;
    struct err err = {0};

    note_segment(l, name);
    OK(wal_push_bytes(&must, name, wal_make_segment(&l->a->wal, 0), ARCHIVE_SEGSZ, NULL, &err),
       &err);
    path = xasprintf("data/pg_wal/%s", name);
    archive_remove(l->a, path);
    catch_up(l);
    assert_true(archive_has(l->a, "may", name));
    assert_missed(l, "");
}

static void what_is_nowhere_is_forgotten(void **state)
{
    struct late *l = *state;

    missed_note(&l->missed, "may", "0000000100000000000000AA");
    catch_up(l);
    assert_missed(l, "");
}

/* The one that is away may have it. */
static void what_may_be_in_a_repository_that_is_away_is_kept(void **state)
{
    struct late *l = *state;
    struct repo *must = l->repos.items[0].repo;

    missed_note(&l->missed, "may", "0000000100000000000000AA");
    l->repos.items[0].repo = NULL;
    err_set(&l->repos.items[0].why, ERR_UNREACHABLE, "no route to host");
    catch_up(l);
    l->repos.items[0].repo = must;
    assert_missed(l, "0000000100000000000000AA\n");
}

/* It could be opened, but takes nothing: being optional must not make that a success. */
static void what_the_repository_does_not_take_is_kept(void **state)
{
    struct late *l = *state;
    AUTO(store_close) struct store *mem = store_mem_new();
    struct repo_options o = {.name = "may", .cluster = "main", .level = 1};
    struct store *flaky;
    struct repo *r = NULL, *real;
    char first[WAL_SEGMENT_NAME], second[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *want = NULL;
    struct err err = {0};
    bool created;

    note_segment(l, first);
    note_segment(l, second);
    want = xasprintf("%s\n%s\n", first, second);
    OK(repo_init(&r, store_mem_share(mem), &o, &created, &err), &err);
    OK(repo_accept(r, l->a->system_id, ARCHIVE_MAJOR, &err), &err);
    repo_close(&r);
    flaky = store_fault_new(mem, 20, FAULT_FOREVER);
    OK(repo_open(&r, flaky, &o, REPO_OPEN_FULL, &err), &err);
    while (store_fault_calls(flaky) < 20) {
        struct store_entry e;
        assert_int_equal(store_stat(flaky, "x", &e, &err), -1);
    }
    real = replace_repo(l, r);
    catch_up(l);
    replace_repo(l, real);
    repo_close(&r);
    assert_missed(l, want);
    catch_up(l);
    assert_true(archive_has(l->a, "may", first));
    assert_true(archive_has(l->a, "may", second));
    assert_missed(l, "");
}

static void a_file_that_is_refused_does_not_hold_up_the_others(void **state)
{
    struct late *l = *state;
    struct open_repos may = {l->repos.items + 1, 1};
    char bad[WAL_SEGMENT_NAME], good[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *path = NULL, *want = NULL;
    struct err err = {0};

    note_segment(l, bad);
    note_segment(l, good);
    OK(wal_push_bytes(&may, bad, wal_make_segment(&l->a->wal, 0), ARCHIVE_SEGSZ, NULL, &err), &err);
    path = xasprintf("data/pg_wal/%s", bad); /* other content of that name */
    l->a->wal.bytes.p[5000] ^= 1;
    archive_write(l->a, path, wal_make_segment(&l->a->wal, 0), ARCHIVE_SEGSZ);
    catch_up(l);
    assert_true(archive_has(l->a, "may", good));
    want = xasprintf("%s\n", bad);
    assert_missed(l, want);
}

static void a_list_with_rubbish_in_it_does_no_harm(void **state)
{
    struct late *l = *state;
    char name[WAL_SEGMENT_NAME];

    missed_note(&l->missed, "may", "../../../etc/passwd");
    missed_note(&l->missed, "may", "");
    missed_note(&l->missed, "may", "no-such-file");
    note_segment(l, name);
    catch_up(l);
    assert_true(archive_has(l->a, "may", name));
}

static void nobody_to_remember_is_fine(void **state)
{
    (void)state;
    missed_note(NULL, "may", "x");
}

static void a_state_directory_that_is_not_there_fails_nothing(void **state)
{
    const struct missed nowhere = {"/tmp/pgbr-no-such-directory", "main"};

    (void)state;
    missed_note(&nowhere, "may", "x");
}

#define LATE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATE(nothing_missed_is_nothing_to_do),
        LATE(a_few_files_are_copied_each_time),
        LATE(what_pg_wal_no_longer_has_comes_from_another_repository),
        LATE(what_is_nowhere_is_forgotten),
        LATE(what_may_be_in_a_repository_that_is_away_is_kept),
        LATE(what_the_repository_does_not_take_is_kept),
        LATE(a_file_that_is_refused_does_not_hold_up_the_others),
        LATE(a_list_with_rubbish_in_it_does_no_harm),
        LATE(nobody_to_remember_is_fine),
        LATE(a_state_directory_that_is_not_there_fails_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
