/*
 * What was read of WAL is remembered, and taken only for the very objects that were read.
 *
 * MANY=100000: so many segments, and how long it takes.
 */
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "repo/object/names.h"
#include "tests/unit/wal/target_rig.h"
#include "wal/reach/map_form.h"
#include "wal/reach/recall.h"

enum { FEW = 60 };

struct yard {
    char top[40];
    char *heads, *store;
    struct rig rig;
    size_t n;
};

/* A commit crosses from time to time, another segment ends with a switch. */
static void live(struct yard *p)
{
    struct wal_make m;

    rig_make(&m, 15);
    rig_backup(&p->rig, &m, NOON);
    for (size_t i = 0; i < p->n; i++) {
        /* Segments are put one by one, so that many of them find room in memory. */
        struct wal_make next;

        wal_make_commit(&m, 700 + (uint32_t)i, NOON + (int64_t)(i + 1) * MINUTE);
        wal_make_switch(&m);
        rig_put(&p->rig, &m, 0, 1, WITH_INDEX);
        wal_make_init(&next, 15, RIG_SYSID, 1, RIG_SEGSZ, 3 + i + 1);
        next.last = m.last;
        wal_make_free(&m);
        m = next;
    }
    wal_make_free(&m);
}

static void yard_begin(struct yard *p, size_t n)
{
    struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
    const char *above = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    struct err err = {0};
    bool created;

    memset(p, 0, sizeof *p);
    p->n = n;
    snprintf(p->top, sizeof p->top, "%s/pgbr-test-XXXXXX", above);
    assert_non_null(mkdtemp(p->top));
    p->store = xasprintf("%s/repo", p->top);
    p->rig.major = 15;
    OK(store_posix_open(&p->rig.store, p->store, true, &err), &err);
    OK(repo_init(&p->rig.repo, TAKE(p->rig.store), &o, &created, &err), &err);
    OK(repo_accept(p->rig.repo, RIG_SYSID, 15, &err), &err);
    p->rig.backups.items = p->rig.items;
    live(p);
    p->heads = recall_path(p->top, rig_map(&p->rig), p->rig.repo);
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *walk)
{
    (void)st;
    (void)what;
    (void)walk;
    return remove(path);
}

static void yard_end(struct yard *p)
{
    free(p->heads);
    free(p->store);
    rig_end(&p->rig);
    nftw(p->top, remove_one, 30, FTW_DEPTH | FTW_PHYS);
}

static struct windows look(struct yard *p, bool recall, const char *what)
{
    int64_t begun = clock_monotonic_us();
    clock_t cpu = clock();
    struct windows w;
    struct err err = {0};

    wal_map_free(&p->rig.map);
    rig_map(&p->rig);
    if (recall)
        recall_read(p->heads, p->rig.map, p->rig.repo);
    OK(windows_find(p->rig.map, p->rig.repo, &p->rig.backups, NULL, &w, &err), &err);
    if (recall)
        recall_write(p->heads, p->rig.map, p->rig.repo);
    if (getenv("MANY") != NULL)
        fprintf(stderr, "# %s: %.2f s, %.2f s of CPU, for %zu segments\n", what,
                (double)(clock_monotonic_us() - begun) / 1e6,
                (double)(clock() - cpu) / CLOCKS_PER_SEC, p->n);
    return w;
}

static size_t known(struct yard *p)
{
    size_t n = 0;

    wal_map_free(&p->rig.map);
    rig_map(&p->rig);
    recall_read(p->heads, p->rig.map, p->rig.repo);
    for (size_t i = 0; i < p->rig.map->n_segments; i++)
        n += p->rig.map->segments[i].note != NULL;
    return n;
}

static char *object_path(const struct yard *p, uint64_t segno)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    char name[WAL_SEGMENT_NAME];
    struct err err = {0};

    wal_segment_name(1, segno, RIG_SEGSZ, name);
    OK(name_wal(&key, "pg-test", RIG_SYSID, 15, name, &err), &err);
    return xasprintf("%s/%s", p->store, buf_text(&key));
}

/* Other bytes in the same object; its time stays if it is kept. */
static void spoil(const struct yard *p, uint64_t segno, bool keep_time)
{
    AUTO(mem_free) char *path = object_path(p, segno);
    struct timespec times[2];
    struct stat st;
    FILE *f;

    assert_int_equal(stat(path, &st), 0);
    chmod(path, 0600);
    f = fopen(path, "r+");
    assert_non_null(f);
    for (off_t i = 128; i < st.st_size; i += 16) {
        fseek(f, i, SEEK_SET);
        fputc(0x5a, f);
    }
    fclose(f);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    if (!keep_time)
        times[1].tv_sec++;
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void the_same_windows_are_found_without_reading_again(void **state)
{
    size_t n = getenv("MANY") != NULL ? strtoul(getenv("MANY"), NULL, 10) : FEW;
    AUTO(windows_free) struct windows none = {0}, first = {0}, second = {0};
    struct yard p;
    (void)state;

    yard_begin(&p, n);
    none = look(&p, false, "nothing remembered, nothing kept");
    first = look(&p, true, "nothing remembered");
    for (uint64_t i = 0; i < FEW; i++)
        spoil(&p, 3 + i, true); /* nobody looks at them again */
    second = look(&p, true, "all remembered");
    assert_int_equal(none.n, 1);
    assert_int_equal(none.items[0].end_us, NOON + (int64_t)n * MINUTE);
    assert_memory_equal(none.items, first.items, sizeof *first.items);
    assert_int_equal(second.n, 1);
    assert_memory_equal(second.items, first.items, sizeof *first.items);
    yard_end(&p);
}

static void an_object_that_changed_is_read_again(void **state)
{
    AUTO(windows_free) struct windows first = {0}, second = {0};
    struct yard p;
    (void)state;

    yard_begin(&p, FEW);
    first = look(&p, true, "nothing remembered");
    spoil(&p, 3 + 20, false);
    second = look(&p, true, "all but one remembered");
    assert_int_equal(first.items[0].end_us, NOON + FEW * MINUTE);
    assert_int_equal(second.items[0].end_us, NOON + 20 * MINUTE);
    assert_int_equal(second.holes[1].kind, HOLE_DAMAGED);
    yard_end(&p);
}

static void a_file_that_is_damaged_costs_time_only(void **state)
{
    AUTO(windows_free) struct windows first = {0}, second = {0};
    struct yard p;
    struct stat st;
    FILE *f;
    (void)state;

    yard_begin(&p, FEW);
    first = look(&p, true, "");
    assert_int_equal(known(&p), FEW);
    assert_int_equal(stat(p.heads, &st), 0);
    f = fopen(p.heads, "r+");
    assert_non_null(f);
    fseek(f, st.st_size / 2, SEEK_SET);
    fputs("not what was written", f);
    fclose(f);
    assert_int_equal(known(&p), FEW - 1);
    assert_int_equal(truncate(p.heads, st.st_size / 2 - 5), 0);
    assert_int_equal(known(&p), FEW / 2 - 1);
    second = look(&p, true, ""); /* and it is mended */
    assert_memory_equal(second.items, first.items, sizeof *first.items);
    assert_int_equal(known(&p), FEW);
    yard_end(&p);
}

static void what_is_of_no_use_does_not_grow_for_ever(void **state)
{
    struct yard p;
    struct stat st, later;
    (void)state;

    yard_begin(&p, FEW);
    for (int i = 0; i < 40; i++) {
        struct windows w;

        for (uint64_t s = 0; s < FEW; s++) {
            AUTO(mem_free) char *path = object_path(&p, 3 + s);
            const struct timespec times[2] = {{.tv_sec = 1700000000 + i},
                                              {.tv_sec = 1700000000 + i}};

            assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        }
        w = look(&p, true, "");
        windows_free(&w);
        assert_int_equal(stat(p.heads, i == 0 ? &st : &later), 0);
        assert_int_equal(known(&p), FEW);
    }
    assert_true(later.st_size <= st.st_size * 3 + 1000 * st.st_size / FEW);
    yard_end(&p);
}

/* A record that crosses and is a restore point, or is not known, is looked at each time: also where
 * the rest of its segment is remembered, and the file is written anew. */
static void what_is_not_plain_is_not_remembered(void **state)
{
    AUTO(windows_free) struct windows w = {0};
    struct map_segment *s;
    struct yard p;
    (void)state;

    yard_begin(&p, FEW);
    w = look(&p, true, "");
    for (int known_one = 0; known_one < 2; known_one++) {
        struct segment_note *crossing;

        assert_int_equal(known(&p), FEW);
        s = map_segment(p.rig.map, 1, 3 + 20);
        assert_null(s->note->crossing);
        crossing = s->note->crossing = xcalloc(1, sizeof *crossing);
        crossing->known = known_one != 0;
        crossing->points_cut = known_one != 0;
        p.rig.map->records_read = 1000000; /* nearly all of them of no use */
        recall_write(p.heads, p.rig.map, p.rig.repo);
    }
    assert_int_equal(known(&p), FEW);
    assert_null(map_segment(p.rig.map, 1, 3 + 20)->note->crossing);
    yard_end(&p);
}

static void another_repository_has_its_own(void **state)
{
    AUTO(windows_free) struct windows w = {0};
    struct yard p, other;
    (void)state;

    yard_begin(&p, FEW);
    yard_begin(&other, FEW);
    w = look(&p, true, "");
    free(other.heads);
    other.heads = xstrdup(p.heads); /* the same name, as after "init" of a new one in its place */
    assert_int_equal(known(&p), FEW);
    assert_int_equal(known(&other), 0);
    yard_end(&other);
    yard_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_windows_are_found_without_reading_again),
        cmocka_unit_test(an_object_that_changed_is_read_again),
        cmocka_unit_test(a_file_that_is_damaged_costs_time_only),
        cmocka_unit_test(what_is_of_no_use_does_not_grow_for_ever),
        cmocka_unit_test(what_is_not_plain_is_not_remembered),
        cmocka_unit_test(another_repository_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
