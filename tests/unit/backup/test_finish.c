/* test_finish.c - the file table of a backup, and databases that were copied file by file while it
 * ran. */
#include "postgres/lsn.h"
#include "repo/wal/wal_object.h"
#include "tests/lib/wal_make.h"
#include "tests/unit/backup/attempt.h"
#include "wal/index/index.h"

enum { SEGSZ = 1 << 20 };

struct world {
    struct data_dir dir;
    struct sample_repo repo;
    struct attempt a;
    struct wal_make wal;
    struct pubinfo pub;
    struct wal_span span;
};

static int begin(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);

    sample_repo_begin(&w->repo, false, 0);
    data_begin(&w->dir);
    data_text(&w->dir, "base/5/PG_VERSION", "15\n");
    data_text(&w->dir, "base/5/1259", "x");
    data_text(&w->dir, "pg_tblspc/16400/PG_15_202209061/5/16500", "a table of it put elsewhere");
    w->a = (struct attempt){.dir = &w->dir, .repo = w->repo.repo};
    wal_make_init(&w->wal, SAMPLE_MAJOR, SAMPLE_SYSTEM_ID, 1, SEGSZ, 3);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    attempt_free(&w->a);
    wal_make_free(&w->wal);
    data_end(&w->dir);
    sample_repo_end(&w->repo);
    free(w);
    return 0;
}

/* ---- the file table ---- */

static void entries_say_what_was_found(void **state)
{
    struct world *w = *state;
    AUTO(back_close) struct back *b = NULL;
    AUTO(entry_walk_end) struct entry_walk *walk = NULL;
    AUTO(mem_free) char *location = xasprintf("%s/space", w->dir.top);
    AUTO(mem_free) char *path = data_path(&w->dir, "base/5/1259");
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000000000}};
    struct err err = {0};
    struct entry e;

    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    data_mkdir(&w->dir, "../space");
    data_link(&w->dir, "pg_tblspc/16401", location);
    OK(attempt_all(&w->a, &err), &err);
    b = back_open(w->repo.repo, w->a.label);
    OK(entry_walk_begin(&walk, b->manifest, &err), &err);
    OK(entry_walk_seek(walk, "data/base/5/1259", &err), &err);
    assert_int_equal(entry_walk_next(walk, &e, &err), 1);
    assert_string_equal(e.path, "data/base/5/1259");
    assert_int_equal(e.mode, 0640);
    assert_int_equal(e.mtime_s, 2000000000);
    assert_int_equal(e.size, 1);
    assert_true(e.user[0] != '\0' && e.group[0] != '\0');
    OK(entry_walk_seek(walk, "data/pg_tblspc/16401", &err), &err);
    assert_int_equal(entry_walk_next(walk, &e, &err), 1);
    assert_int_equal(e.type, ENTRY_LINK);
    assert_string_equal(e.target, location);
    assert_int_equal(manifest_pub(b->manifest)->files, 5);
}

static void a_file_that_nobody_copied_is_an_error(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct file_result none = {.fate = FATE_NONE};

    OK(attempt_list(&w->a, &err), &err);
    OK(attempt_copy(&w->a, &err), &err);
    OK(results_put(&w->a.results, 1, &none, 1, &err), &err); /* data/PG_VERSION */
    FAILS(finish_entries(w->a.manifest, &w->a.list, &w->a.results, &w->a.finished, &err), &err,
          ERR_FAILED);
    assert_non_null(strstr(err.msg, "data/PG_VERSION"));
}

static const struct db_dir *dir_of(const struct world *w, uint32_t spc, uint32_t db)
{
    for (size_t i = 0; i < w->a.finished.n_dirs; i++)
        if (w->a.finished.dirs[i].spc == spc && w->a.finished.dirs[i].db == db)
            return &w->a.finished.dirs[i];
    return NULL;
}

static void directories_of_databases_are_known(void **state)
{
    struct world *w = *state;
    struct err err = {0};

    OK(attempt_list(&w->a, &err), &err);
    data_remove(&w->dir, "pg_tblspc/16400/PG_15_202209061/5/16500");
    OK(attempt_copy(&w->a, &err), &err);
    OK(attempt_commit(&w->a, &err), &err);
    assert_int_equal(w->a.finished.n_dirs, 2);
    assert_true(dir_of(w, 1663, 5)->has_version);
    assert_false(dir_of(w, 1663, 5)->lost_files);
    assert_false(dir_of(w, 16400, 5)->has_version);
    assert_true(dir_of(w, 16400, 5)->lost_files);
}

/* ---- databases copied file by file ---- */

static void record(struct world *w, unsigned op, const uint32_t *words, size_t n)
{
    uint8_t body[32];

    for (size_t i = 0; i < n; i++)
        put_u32(body + 4 * i, words[i]);
    wal_make_record(&w->wal, WAL_RM_DBASE, (uint8_t)(op << 4), 700, NULL, 0, body, 4 * n);
}

/* CREATE DATABASE made TEMPLATE source STRATEGY file_copy */
static void copied(struct world *w, uint32_t spc, uint32_t source, uint32_t made)
{
    record(w, 0, (uint32_t[]){made, spc, source, spc}, 4);
}

static void dropped(struct world *w, uint32_t spc, uint32_t db)
{
    record(w, 2, (uint32_t[]){db, 1, spc}, 3);
}

static void archive(struct world *w)
{
    for (size_t i = 0; i < wal_make_count(&w->wal); i++) {
        AUTO(wal_index_free) struct wal_index ix;
        AUTO(buf_free) struct buf index = BUF_INIT;
        const uint8_t *segment = wal_make_segment(&w->wal, i);
        struct wal_expect want = {SAMPLE_SYSTEM_ID, w->wal.start + i * SEGSZ, 1};
        struct wal_source src = {
            .system_id = SAMPLE_SYSTEM_ID, .major = SAMPLE_MAJOR, .raw = segment, .raw_len = SEGSZ};
        char name[WAL_SEGMENT_NAME];
        enum wal_put done;
        struct err err = {0};

        wal_index_init(&ix);
        wal_segment_name(1, wal_make_segno(&w->wal, i), SEGSZ, name);
        OK(wal_index_build(segment, SEGSZ, &want, &ix, &err), &err);
        wal_index_write(&ix, &index);
        src.file = name;
        src.index = index.p;
        src.index_len = index.len;
        OK(wal_object_put(w->repo.repo, &src, 1, &done, &err), &err);
    }
}

/* The backup ran from `start` to the end of the WAL made so far. */
static int check(struct world *w, uint64_t start, struct err *err)
{
    w->span = (struct wal_span){1, start, w->wal.end};
    w->pub = (struct pubinfo){.system_id = SAMPLE_SYSTEM_ID,
                              .pg_version = SAMPLE_MAJOR * 10000,
                              .start_lsn = start,
                              .stop_lsn = w->wal.end,
                              .wal_segment_size = SEGSZ,
                              .spans = &w->span,
                              .n_spans = 1};
    archive(w);
    return finish_check_copies(w->repo.repo, &w->pub, &w->a.finished, err);
}

static void backed_up(struct world *w, const char *vanishing)
{
    struct err err = {0};

    OK(attempt_list(&w->a, &err), &err);
    if (vanishing != NULL)
        data_remove(&w->dir, vanishing);
    OK(attempt_copy(&w->a, &err), &err);
    OK(attempt_commit(&w->a, &err), &err);
}

static void a_copy_of_a_whole_source_is_fine(void **state)
{
    struct world *w = *state;
    uint64_t start = wal_make_noise(&w->wal, 100);
    struct err err = {0};

    backed_up(w, NULL);
    copied(w, 1663, 5, 20000);
    copied(w, 16400, 5, 20000);
    OK(check(w, start, &err), &err);
}

static void a_copy_of_a_source_that_went_away_is_told(void **state)
{
    struct world *w = *state;
    uint64_t start = wal_make_noise(&w->wal, 100);
    struct err err = {0};

    backed_up(w, "base/5");
    copied(w, 1663, 5, 20000);
    dropped(w, 1663, 5);
    FAILS(check(w, start, &err), &err, ERR_FAILED);
    assert_non_null(strstr(err.msg, "20000"));
    assert_non_null(strstr(err.msg, "database 5"));
}

static void a_copy_of_a_source_that_lost_a_file_is_told(void **state)
{
    struct world *w = *state;
    uint64_t start = wal_make_noise(&w->wal, 100);
    struct err err = {0};

    backed_up(w, "base/5/1259");
    copied(w, 1663, 5, 20000);
    FAILS(check(w, start, &err), &err, ERR_FAILED);
}

static void a_copy_of_what_was_never_listed_is_told(void **state)
{
    struct world *w = *state;
    uint64_t start = wal_make_noise(&w->wal, 100);
    struct err err = {0};

    backed_up(w, NULL);
    copied(w, 1663, 6, 20000);
    FAILS(check(w, start, &err), &err, ERR_FAILED);
}

/* Nobody misses files that were gone before its directory was listed. */
static void a_source_elsewhere_that_is_dropped_later_is_told(void **state)
{
    struct world *w = *state;
    uint64_t start = wal_make_noise(&w->wal, 100);
    struct err err = {0};

    backed_up(w, NULL);
    copied(w, 16400, 5, 20000);
    dropped(w, 16400, 5);
    FAILS(check(w, start, &err), &err, ERR_FAILED);
}

static void what_was_copied_before_the_backup_does_not_matter(void **state)
{
    struct world *w = *state;
    uint64_t start;
    struct err err = {0};

    backed_up(w, "base/5");
    copied(w, 1663, 5, 20000);
    start = wal_make_noise(&w->wal, 100);
    OK(check(w, start, &err), &err);
}

static void a_record_across_two_segments_counts(void **state)
{
    struct world *w = *state;
    uint64_t start = wal_make_noise(&w->wal, 100);
    struct err err = {0};

    backed_up(w, "base/5");
    wal_make_fill(&w->wal, 30);
    while (w->wal.end % SEGSZ < SEGSZ - 40)
        wal_make_noise(&w->wal, 27);
    copied(w, 1663, 5, 20000);
    assert_int_equal(wal_make_count(&w->wal), 2);
    FAILS(check(w, start, &err), &err, ERR_FAILED);
}

static void missing_wal_is_an_error(void **state)
{
    struct world *w = *state;
    struct err err = {0};

    backed_up(w, NULL);
    w->span = (struct wal_span){1, 0x300028, 0x300100};
    w->pub = (struct pubinfo){.system_id = SAMPLE_SYSTEM_ID,
                              .pg_version = SAMPLE_MAJOR * 10000,
                              .start_lsn = w->span.start,
                              .stop_lsn = w->span.stop,
                              .wal_segment_size = SEGSZ,
                              .spans = &w->span,
                              .n_spans = 1};
    FAILS(finish_check_copies(w->repo.repo, &w->pub, &w->a.finished, &err), &err, ERR_NOT_FOUND);
}

#define ON_A_CLUSTER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_CLUSTER(entries_say_what_was_found),
        ON_A_CLUSTER(a_file_that_nobody_copied_is_an_error),
        ON_A_CLUSTER(directories_of_databases_are_known),
        ON_A_CLUSTER(a_copy_of_a_whole_source_is_fine),
        ON_A_CLUSTER(a_copy_of_a_source_that_went_away_is_told),
        ON_A_CLUSTER(a_copy_of_a_source_that_lost_a_file_is_told),
        ON_A_CLUSTER(a_copy_of_what_was_never_listed_is_told),
        ON_A_CLUSTER(a_source_elsewhere_that_is_dropped_later_is_told),
        ON_A_CLUSTER(what_was_copied_before_the_backup_does_not_matter),
        ON_A_CLUSTER(a_record_across_two_segments_counts),
        ON_A_CLUSTER(missing_wal_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
