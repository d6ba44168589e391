/* The files of a backup into an empty directory, and into one that holds most of them. */
#include "tests/unit/restore/sample_backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "restore/fetch.h"
#include "restore/site.h"

static const char control[] = "not looked into here";

struct sandbox {
    struct sample sample;
    char top[32];
    char *data, *space;
    struct cluster_config cluster;
    struct restore_request q;
    struct tablespace_move move;
    struct layout layout;
    struct fetch_done done;
};

static int sandbox_make(void **state)
{
    struct sandbox *s = xcalloc(1, sizeof *s);
    struct err err = {0};

    sample_make(&s->sample, control, sizeof control - 1);
    strcpy(s->top, "/tmp/pgbr-test-XXXXXX");
    assert_non_null(mkdtemp(s->top));
    s->data = xasprintf("%s/data", s->top);
    s->space = xasprintf("%s/space", s->top);
    s->move = (struct tablespace_move){"16400", s->space};
    s->cluster.data = s->data;
    s->q = (struct restore_request){.cluster = &s->cluster, .moves = &s->move, .n_moves = 1};
    OK(layout_plan(&s->layout, &s->q, s->data, NULL, manifest_pub(s->sample.manifest),
                   manifest_info(s->sample.manifest), &err),
       &err);
    s->layout.has_config = true;
    OK(layout_open(&s->layout, &err), &err);
    *state = s;
    return 0;
}

static int sandbox_remove(void **state)
{
    struct sandbox *s = *state;
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, s->top, false, &err), &err);
    layout_free(&s->layout);
    sample_free(&s->sample);
    free(s->data);
    free(s->space);
    free(s);
    return 0;
}

static int go(struct sandbox *s, bool delta, struct pgmanifest *listing, struct err *err)
{
    struct fetch_terms terms = {.repo = s->sample.repo,
                                .manifest = s->sample.manifest,
                                .layout = &s->layout,
                                .delta = delta,
                                .workers = 2,
                                .listing = listing};

    /* site_take() has removed it */
    unlinkat(s->layout.roots[ROOT_DATA].fd, CONTROL_ASIDE, 0);
    return fetch_all(&terms, &s->done, err);
}

static char *full(const struct sandbox *s, const char *path)
{
    return xasprintf("%s/%s", s->data, path);
}

static void assert_pages(const struct sandbox *s, const char *path, uint64_t size)
{
    AUTO(mem_free) char *name = full(s, path + strlen("data/"));
    AUTO(fd_close) int fd = open(name, O_RDONLY);
    uint8_t want[PAGE], got[PAGE];
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, size);
    assert_int_equal(st.st_mode & 07777, 0600);
    for (uint64_t n = 0; n * PAGE < size; n++) {
        size_t len = (size_t)MIN_OF((uint64_t)PAGE, size - n * PAGE);
        sample_page(path, n, want);
        if (sample_is_zero(path, n))
            memset(want, 0, sizeof want);
        assert_int_equal(pread(fd, got, len, (off_t)(n * PAGE)), len);
        if (memcmp(got, want, len) != 0)
            fail_msg("page %llu of \"%s\" is wrong", (unsigned long long)n, path);
    }
}

static void assert_text(const char *name, const char *want, size_t len, mode_t mode)
{
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct err err = {0};
    struct stat st;

    OK(fs_read_file(AT_FDCWD, name, 1 << 20, &got, &err), &err);
    assert_int_equal(got.len, len);
    assert_memory_equal(got.p, want, len);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void assert_link(const struct sandbox *s, const char *path, const char *want)
{
    AUTO(mem_free) char *name = full(s, path);
    char target[256];
    ssize_t len = readlink(name, target, sizeof target - 1);

    assert_true(len > 0);
    target[len] = '\0';
    assert_string_equal(target, want);
}

static void assert_small(const struct sandbox *s, const char *path, const char *want, mode_t mode)
{
    AUTO(mem_free) char *name = full(s, path);
    assert_text(name, want, strlen(want), mode);
}

static void assert_all(const struct sandbox *s)
{
    AUTO(mem_free) char *in_space = xasprintf("%s/PG_15_202209061/5/1", s->space);
    AUTO(mem_free) char *medium = full(s, "base/1/18");
    static char m[40 << 10];

    memset(m, 'm', sizeof m);
    assert_pages(s, "data/base/1/10", 68 * PAGE);
    assert_pages(s, "data/base/1/11", 60 * PAGE);
    assert_pages(s, "data/base/1/12", 65 * PAGE + 100);
    assert_pages(s, "data/base/1/13", 195 * PAGE);
    assert_pages(s, "data/base/1/16", 16 * PAGE);
    assert_pages(s, "data/base/1/17", (uint64_t)SAMPLE_BIG_PAGES * PAGE);
    assert_text(medium, m, sizeof m, 0600);
    assert_text(in_space, "in a tablespace", 15, 0600);
    assert_small(s, "PG_VERSION", "15\n", 0600);
    assert_small(s, "base/0", "zero", 0640);
    assert_small(s, "base/1/19", "nineteen", 0400);
    assert_small(s, "base/1/20", "", 0600);
    assert_small(s, "pgbr_config/etc/x/postgresql.conf", "port = 1\n", 0644);
    assert_small(s, CONTROL_ASIDE, control, 0600);
    assert_link(s, "base/1/link", "../0");
    assert_link(s, "pg_tblspc/16400", s->space);
}

static void everything_arrives(void **state)
{
    struct sandbox *s = *state;
    AUTO(mem_free) char *zeros = full(s, "base/1/17");
    AUTO(mem_free) char *unwanted = full(s, "global/pg_control");
    struct err err = {0};
    struct stat st;

    OK(go(s, false, NULL, &err), &err);
    assert_all(s);
    assert_false(fs_exists(AT_FDCWD, unwanted));
    assert_int_equal(s->done.files, 14);
    assert_int_equal(s->done.bytes_kept, 0);
    assert_int_equal(stat(zeros, &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 < 8 << 20); /* zero pages take no space */
}

/* What is always written anew: pg_control, under its name aside, which the backup does not know;
 * and "nineteen", which its owner may not write to, and only root therefore compares. */
static uint64_t always(void)
{
    return sizeof control - 1 + (geteuid() == 0 ? 0 : 8);
}

static void a_second_time_nothing_is_fetched(void **state)
{
    struct sandbox *s = *state;
    struct err err = {0};

    OK(go(s, false, NULL, &err), &err);
    OK(go(s, true, NULL, &err), &err);
    assert_all(s);
    assert_int_equal(s->done.bytes_fetched, always());
    assert_int_equal(s->done.files_removed, 0);
}

/* ---- what delta mends ---- */

static void overwrite(const struct sandbox *s, const char *path, off_t at)
{
    AUTO(mem_free) char *name = full(s, path);
    AUTO(fd_close) int fd = open(name, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "X", 1, at), 1);
}
static void page_of_a_whole_chunk(const struct sandbox *s)
{
    overwrite(s, "base/1/10", 5 * PAGE + 17);
}
static void page_of_a_short_chunk(const struct sandbox *s)
{
    overwrite(s, "base/1/10", 67 * PAGE + 8191);
}
static void page_of_a_shared_chunk(const struct sandbox *s)
{
    overwrite(s, "base/1/16", 4 * PAGE);
}
static void a_changed_page(const struct sandbox *s)
{
    overwrite(s, "base/1/16", 3 * PAGE + 1);
}
static void pages_around_a_changed_one(const struct sandbox *s)
{
    overwrite(s, "base/1/13", (128 + 5) * PAGE);
    overwrite(s, "base/1/13", (128 + 61) * PAGE);
}
static void a_changed_one_and_those_behind_it(const struct sandbox *s)
{
    overwrite(s, "base/1/13", (128 + 60) * PAGE);
    overwrite(s, "base/1/13", (128 + 61) * PAGE);
}
static void pages_among_changed_ones(const struct sandbox *s)
{
    overwrite(s, "base/1/13", 0 * PAGE);
    overwrite(s, "base/1/13", 2 * PAGE);
    overwrite(s, "base/1/13", 63 * PAGE);
}
static void a_zero_page(const struct sandbox *s)
{
    overwrite(s, "base/1/11", 50 * PAGE);
}
static void the_cut_page(const struct sandbox *s)
{
    overwrite(s, "base/1/12", 65 * PAGE + 99);
}
static void across_the_parts(const struct sandbox *s)
{
    overwrite(s, "base/1/17", 8191 * (off_t)PAGE);
    overwrite(s, "base/1/17", 8192 * (off_t)PAGE);
    overwrite(s, "base/1/17", 78 * (off_t)PAGE);
}
static void a_small_file(const struct sandbox *s)
{
    overwrite(s, "base/0", 1);
}
static void resize(const struct sandbox *s, const char *path, off_t size)
{
    AUTO(mem_free) char *name = full(s, path);
    assert_int_equal(truncate(name, size), 0);
}
static void files_that_grew(const struct sandbox *s)
{
    resize(s, "base/1/10", 100 * PAGE);
    resize(s, "base/1/17", (SAMPLE_BIG_PAGES + 100) * (off_t)PAGE);
    resize(s, "base/0", 100);
    resize(s, "base/1/20", 5);
}
static void files_that_shrank(const struct sandbox *s)
{
    resize(s, "base/1/10", 3 * PAGE + 5);
    resize(s, "base/1/11", 0);
    resize(s, "base/1/17", PAGE);
    resize(s, "base/0", 1);
}
static void removed_files(const struct sandbox *s)
{
    static const char *const gone[] = {"base/1/10", "base/1/17",   "base/0",
                                       "base/1/20", "base/1/link", CONTROL_ASIDE};
    for (size_t i = 0; i < LENGTH(gone); i++) {
        AUTO(mem_free) char *name = full(s, gone[i]);
        assert_int_equal(unlink(name), 0);
    }
}
static void a_removed_directory(const struct sandbox *s)
{
    AUTO(mem_free) char *name = full(s, "base");
    struct err err = {0};
    OK(fs_remove_tree(AT_FDCWD, name, false, &err), &err);
}
static void wrong_modes(const struct sandbox *s)
{
    AUTO(mem_free) char *a = full(s, "base/1/10");
    AUTO(mem_free) char *b = full(s, "base/0");
    assert_int_equal(chmod(a, 0666), 0);
    assert_int_equal(chmod(b, 0), 0);
}
static void wrong_links(const struct sandbox *s)
{
    AUTO(mem_free) char *a = full(s, "base/1/link");
    AUTO(mem_free) char *b = full(s, "pg_tblspc/16400");
    assert_int_equal(unlink(a), 0);
    assert_int_equal(symlink("/etc/passwd", a), 0);
    assert_int_equal(unlink(b), 0);
    assert_int_equal(symlink("/nowhere", b), 0);
}
static void other_types(const struct sandbox *s)
{
    AUTO(mem_free) char *a = full(s, "base/1/10");
    AUTO(mem_free) char *b = full(s, "base/0");
    AUTO(mem_free) char *c = full(s, "base/1/19");
    assert_int_equal(unlink(a), 0);
    assert_int_equal(mkdir(a, 0700), 0);
    assert_int_equal(unlink(b), 0);
    assert_int_equal(symlink("../PG_VERSION", b), 0);
    assert_int_equal(unlink(c), 0);
    assert_int_equal(mkfifo(c, 0600), 0);
}

static void delta_mends_whatever_happened(void **state)
{
    static void (*const harm[])(const struct sandbox *s) = {
        page_of_a_whole_chunk,
        page_of_a_short_chunk,
        page_of_a_shared_chunk,
        a_changed_page,
        pages_around_a_changed_one,
        a_changed_one_and_those_behind_it,
        pages_among_changed_ones,
        a_zero_page,
        the_cut_page,
        across_the_parts,
        a_small_file,
        files_that_grew,
        files_that_shrank,
        removed_files,
        a_removed_directory,
        wrong_modes,
        wrong_links,
        other_types,
    };
    struct sandbox *s = *state;
    struct err err = {0};

    OK(go(s, false, NULL, &err), &err);
    for (size_t i = 0; i < LENGTH(harm); i++) {
        harm[i](s);
        OK(go(s, true, NULL, &err), &err);
        assert_all(s);
        OK(go(s, true, NULL, &err), &err);
        assert_int_equal(s->done.bytes_fetched, always());
    }
}

/* A copy made with hard links must not change with the original. */
static void a_file_with_other_names_is_replaced_not_written(void **state)
{
    struct sandbox *s = *state;
    AUTO(mem_free) char *one = full(s, "base/1/10");
    AUTO(mem_free) char *copy = xasprintf("%s/copy", s->top);
    struct err err = {0};
    struct stat a, b;
    char byte;
    int fd;

    OK(go(s, false, NULL, &err), &err);
    overwrite(s, "base/1/10", 0);
    assert_int_equal(link(one, copy), 0);
    OK(go(s, true, NULL, &err), &err);
    assert_all(s);
    assert_int_equal(stat(one, &a), 0);
    assert_int_equal(stat(copy, &b), 0);
    assert_true(a.st_ino != b.st_ino);
    fd = open(copy, O_RDONLY);
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    close(fd);
    assert_int_equal(byte, 'X');
}

static void only_what_differs_is_fetched(void **state)
{
    struct sandbox *s = *state;
    struct err err = {0};

    OK(go(s, false, NULL, &err), &err);
    overwrite(s, "base/1/10", 5 * PAGE); /* in a chunk of 64 pages */
    overwrite(s, "base/1/16", 3 * PAGE); /* in a chunk of its own */
    OK(go(s, true, NULL, &err), &err);
    assert_int_equal(s->done.bytes_fetched, 64 * PAGE + PAGE + always());
}

/* ---- when something is wrong ---- */

static void a_request_to_stop_is_obeyed(void **state)
{
    struct sandbox *s = *state;
    struct stop stop = {15};
    struct fetch_terms terms = {.repo = s->sample.repo,
                                .manifest = s->sample.manifest,
                                .layout = &s->layout,
                                .workers = 2,
                                .stop = &stop};
    struct err err = {0};

    FAILS(fetch_all(&terms, &s->done, &err), &err, ERR_INTERRUPTED);
}

static int flip(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct sandbox *s = ctx;
    struct store *store = repo_store(s->sample.repo);
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    const char *key[] = {entry->key};

    TRY(store_read(store, entry->key, 1 << 30, &bytes, err));
    bytes.p[bytes.len / 2] ^= 1;
    TRY(store_delete(store, key, 1, err));
    return store_put(store, entry->key, STORE_CREATE_ONLY, bytes.p, bytes.len, err);
}

static void damage_is_found_and_named(void **state)
{
    struct sandbox *s = *state;
    AUTO(mem_free) char *copy = NULL;
    struct err err = {0};

    OK(store_list(repo_store(s->sample.repo), "main/data/", STORE_DEEP, flip, s, NULL, &err), &err);
    FAILS(go(s, false, NULL, &err), &err, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "file \""));
}

static void a_file_that_is_in_the_way_is_an_error_not_a_crash(void **state)
{
    struct sandbox *s = *state;
    AUTO(mem_free) char *name = full(s, "base");
    struct err err = {0};

    OK(fs_replace(AT_FDCWD, name, "x", 1, 0600, &err), &err);
    assert_int_equal(go(s, false, NULL, &err), -1);
    assert_true(err.code != ERR_NONE && err.msg[0] != '\0');
}

static void the_listing_has_every_file_but_wal(void **state)
{
    static const char *const listed[] = {"base/1/17", "PG_VERSION", "global/pg_control",
                                         "pgbr_config/etc/x/postgresql.conf",
                                         "pg_tblspc/16400/PG_15_202209061/5/1"};
    struct sandbox *s = *state;
    AUTO(buf_free) struct buf text = BUF_INIT;
    AUTO(pgmanifest_free) struct pgmanifest *m = NULL;
    int fd = s->layout.roots[ROOT_DATA].fd;
    struct err err = {0};
    size_t lines = 0;

    OK(pgmanifest_begin(&m, fd, manifest_pub(s->sample.manifest), &err), &err);
    OK(go(s, true, m, &err), &err);
    OK(pgmanifest_finish(m, &err), &err);
    OK(fs_read_file(fd, "backup_manifest", 1 << 20, &text, &err), &err);
    for (size_t i = 0; i < LENGTH(listed); i++) {
        AUTO(mem_free) char *line = xasprintf("{ \"Path\": \"%s\", ", listed[i]);
        assert_non_null(strstr(buf_text(&text), line));
    }
    for (const char *p = text.p; (p = strstr(p, "\"Path\"")) != NULL; p++)
        lines++;
    assert_int_equal(lines, s->done.files);
}

#define IN_SANDBOX(test) cmocka_unit_test_setup_teardown(test, sandbox_make, sandbox_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SANDBOX(everything_arrives),
        IN_SANDBOX(a_second_time_nothing_is_fetched),
        IN_SANDBOX(delta_mends_whatever_happened),
        IN_SANDBOX(a_file_with_other_names_is_replaced_not_written),
        IN_SANDBOX(only_what_differs_is_fetched),
        IN_SANDBOX(a_request_to_stop_is_obeyed),
        IN_SANDBOX(damage_is_found_and_named),
        IN_SANDBOX(a_file_that_is_in_the_way_is_an_error_not_a_crash),
        IN_SANDBOX(the_listing_has_every_file_but_wal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
