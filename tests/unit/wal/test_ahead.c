/* test_ahead.c - segments are pushed before they are asked for, and believed only with proof. */
#include "wal/archive/ahead.h"

#include "tests/unit/wal/archive_rig.h"
#include "wal/archive/push.h"

enum { SEGMENTS = 4 };

struct rig {
    struct archive *a;
    char names[SEGMENTS][WAL_SEGMENT_NAME];
};

static void mark_ready(const struct archive *a, const char *name)
{
    AUTO(mem_free) char *path = xasprintf("data/pg_wal/archive_status/%s.ready", name);

    archive_write(a, path, "", 0);
}

static int begin(void **state)
{
    struct rig *r = xcalloc(1, sizeof *r);
    void *archive;

    archive_begin(&archive);
    r->a = archive;
    r->a->config->clusters[0].archive_push_ahead = 8;
    for (size_t i = 0; i < SEGMENTS; i++) {
        archive_segment(r->a, r->names[i]);
        mark_ready(r->a, r->names[i]);
    }
    *state = r;
    return 0;
}

static int end(void **state)
{
    struct rig *r = *state;
    void *archive = r->a;

    free(r);
    return archive_end(&archive);
}

static int push(struct rig *r, size_t i, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/data/pg_wal/%s", r->a->top, r->names[i]);

    return wal_push(r->a->config, r->a->cluster, path, err);
}

static void load(const struct rig *r, struct ahead_memory *m)
{
    assert_true(ahead_recall(r->a->config, r->a->cluster, m));
}

static void store(const struct rig *r, const struct ahead_memory *m)
{
    AUTO(buf_free) struct buf content = BUF_INIT;

    ahead_format(m, &content);
    archive_write(r->a, "state/main.ahead", content.p, content.len);
}

/* Without a repository only what is believed succeeds. */
static bool is_believed(struct rig *r, size_t i)
{
    struct err err = {0};
    int rc;

    archive_move(r->a, "must", "away");
    rc = push(r, i, &err);
    archive_move(r->a, "away", "must");
    return rc == 0;
}

static void one_push_takes_those_behind_it_along(void **state)
{
    struct rig *r = *state;
    AUTO(ahead_memory_free) struct ahead_memory m = {0};
    struct err err = {0};

    OK(push(r, 1, &err), &err);
    assert_false(archive_has(r->a, "must", r->names[0])); /* not those before it */
    for (size_t i = 1; i < SEGMENTS; i++) {
        AUTO(mem_free)
        char *ready = xasprintf("%s/data/pg_wal/archive_status/%s.ready", r->a->top, r->names[i]);

        assert_true(archive_has(r->a, "must", r->names[i]));
        assert_true(archive_has(r->a, "may", r->names[i]));
        assert_true(fs_exists(AT_FDCWD, ready));
    }
    load(r, &m);
    assert_int_equal(m.n_segments, 2);
    assert_int_equal(m.n_repos, 2);
}

static void no_more_than_the_configuration_says(void **state)
{
    struct rig *r = *state;
    struct err err = {0};

    r->a->config->clusters[0].archive_push_ahead = 2;
    OK(push(r, 0, &err), &err);
    assert_true(archive_has(r->a, "must", r->names[2]));
    assert_false(archive_has(r->a, "must", r->names[3]));
}

static void for_local_repositories_only_when_told_so(void **state)
{
    struct rig *r = *state;
    AUTO(ahead_memory_free) struct ahead_memory m = {0};
    struct err err = {0};

    r->a->config->clusters[0].archive_push_ahead = CONFIG_UNSET;
    OK(push(r, 0, &err), &err);
    assert_false(archive_has(r->a, "must", r->names[1]));
    assert_false(ahead_recall(r->a->config, r->a->cluster, &m));
}

static void only_what_is_marked_ready(void **state)
{
    struct rig *r = *state;
    AUTO(mem_free)
    char *ready = xasprintf("data/pg_wal/archive_status/%s.ready", r->names[2]);
    struct err err = {0};

    archive_remove(r->a, ready);
    archive_write(r->a, "data/pg_wal/archive_status/00000002.history.ready", "", 0);
    archive_write(r->a, "data/pg_wal/archive_status/nonsense.ready", "", 0);
    OK(push(r, 0, &err), &err);
    assert_true(archive_has(r->a, "must", r->names[1]));
    assert_false(archive_has(r->a, "must", r->names[2]));
    assert_true(archive_has(r->a, "must", r->names[3]));
}

static void later_calls_only_confirm(void **state)
{
    struct rig *r = *state;
    struct err err = {0};

    OK(push(r, 0, &err), &err);
    for (size_t i = 1; i < SEGMENTS; i++)
        assert_true(is_believed(r, i));
    assert_false(is_believed(r, 0)); /* it was asked for: nobody will ask again */
    OK(push(r, 0, &err), &err);
}

static void a_file_that_was_replaced_is_not_confirmed(void **state)
{
    struct rig *r = *state;
    AUTO(mem_free) char *path = xasprintf("data/pg_wal/%s", r->names[1]);
    AUTO(mem_free) uint8_t *other = xmalloc(ARCHIVE_SEGSZ);
    struct err err = {0};

    OK(push(r, 0, &err), &err);
    memcpy(other, wal_make_segment(&r->a->wal, 1), ARCHIVE_SEGSZ);
    other[ARCHIVE_SEGSZ - 1] ^= 1;
    archive_write(r->a, path, other, ARCHIVE_SEGSZ);
    FAILS(push(r, 1, &err), &err, ERR_CONFLICT);
}

static void old_memories_are_not_believed(void **state)
{
    static const int64_t shifts_s[] = {-(AHEAD_TRUST_S + 1), 3600}; /* too old; not yet happened */
    struct rig *r = *state;
    struct err err = {0};

    for (size_t i = 0; i < LENGTH(shifts_s); i++) {
        AUTO(ahead_memory_free) struct ahead_memory m = {0};

        OK(push(r, 0, &err), &err);
        assert_true(is_believed(r, 1));
        load(r, &m);
        for (size_t n = 0; n < m.n_segments; n++)
            m.segments[n].stored_us += shifts_s[i] * 1000000;
        store(r, &m);
        assert_false(is_believed(r, 1));
        archive_remove(r->a, "state/main.ahead");
    }
}

static void another_cluster_or_length_is_not_confirmed(void **state)
{
    struct rig *r = *state;
    AUTO(ahead_memory_free) struct ahead_memory m = {0};
    const void *raw = wal_make_segment(&r->a->wal, 1);
    struct wal_identity id = {r->a->system_id, ARCHIVE_MAJOR};
    const struct config *c = r->a->config;
    struct err err = {0};

    OK(push(r, 0, &err), &err);
    load(r, &m);
    assert_true(ahead_confirms(&m, c, r->a->cluster, r->names[1], raw, ARCHIVE_SEGSZ, &id));
    assert_false(ahead_confirms(&m, c, r->a->cluster, r->names[1], raw, ARCHIVE_SEGSZ / 2, &id));
    assert_false(ahead_confirms(&m, c, r->a->cluster, r->names[2], raw, ARCHIVE_SEGSZ, &id));
    id.system_id++;
    assert_false(ahead_confirms(&m, c, r->a->cluster, r->names[1], raw, ARCHIVE_SEGSZ, &id));
}

static void a_repository_made_anew_is_not_believed_to_have_it(void **state)
{
    struct rig *r = *state;
    struct err err = {0};

    OK(push(r, 0, &err), &err);
    archive_remove(r->a, "must");
    archive_init_repo(r->a, "must");
    assert_false(is_believed(r, 1));
    OK(push(r, 1, &err), &err);
    assert_true(archive_has(r->a, "must", r->names[1]));
    assert_true(archive_has(r->a, "must", r->names[3])); /* pushed along, once more */
}

static void what_was_pushed_to_the_old_repository_is_forgotten(void **state)
{
    struct rig *r = *state;
    struct err err = {0};

    OK(push(r, 0, &err), &err);
    archive_remove(r->a, "must");
    archive_init_repo(r->a, "must");
    r->a->config->clusters[0].archive_push_ahead = 1;
    OK(push(r, 1, &err), &err); /* takes 2 along, and must not keep 3 in mind */
    assert_true(is_believed(r, 2));
    assert_false(is_believed(r, 3));
    assert_false(archive_has(r->a, "must", r->names[3]));
}

static void another_configuration_is_not_the_same_repositories(void **state)
{
    struct rig *r = *state;
    struct err err = {0};

    OK(push(r, 0, &err), &err);
    assert_true(is_believed(r, 1));
    r->a->config->repos[1].optional = false;
    assert_false(is_believed(r, 1));
    r->a->config->repos[1].optional = true;
    free(r->a->config->repos[0].path);
    r->a->config->repos[0].path = archive_path(r->a, "elsewhere");
    assert_int_equal(push(r, 1, &err), -1);
}

static void without_the_state_file_nothing_is_believed(void **state)
{
    struct rig *r = *state;
    struct err err = {0};

    OK(push(r, 0, &err), &err);
    archive_remove(r->a, "state/main@must.state");
    assert_false(is_believed(r, 1));
}

static void what_a_required_repository_refused_is_not_remembered(void **state)
{
    struct rig *r = *state;
    AUTO(mem_free) char *path = xasprintf("data/pg_wal/%s", r->names[1]);
    AUTO(mem_free) uint8_t *other = xmalloc(ARCHIVE_SEGSZ);
    struct err err = {0};

    memcpy(other, wal_make_segment(&r->a->wal, 1), ARCHIVE_SEGSZ);
    other[ARCHIVE_SEGSZ - 1] ^= 1;
    archive_write(r->a, path, other, ARCHIVE_SEGSZ);
    r->a->config->clusters[0].archive_push_ahead = 0;
    OK(push(r, 1, &err), &err);
    r->a->config->clusters[0].archive_push_ahead = 8;
    archive_write(r->a, path, wal_make_segment(&r->a->wal, 1), ARCHIVE_SEGSZ);
    OK(push(r, 0, &err), &err); /* its own result decides */
    FAILS(push(r, 1, &err), &err, ERR_CONFLICT);
    assert_true(is_believed(r, 2));
}

static void what_an_optional_repository_misses_is_noted_and_copied_later(void **state)
{
    struct rig *r = *state;
    AUTO(mem_free) char *missed = NULL, *left = NULL;
    struct err err = {0};

    archive_move(r->a, "may", "away2");
    OK(push(r, 0, &err), &err);
    missed = archive_missed(r->a);
    for (size_t i = 0; i < SEGMENTS; i++)
        assert_non_null(strstr(missed, r->names[i]));
    assert_true(is_believed(r, 1));
    archive_move(r->a, "away2", "may");
    OK(push(r, 0, &err), &err);
    for (size_t i = 0; i < SEGMENTS; i++)
        assert_true(archive_has(r->a, "may", r->names[i]));
    left = archive_missed(r->a);
    assert_string_equal(left, "");
}

static void a_damaged_memory_is_refused(void **state)
{
    struct rig *r = *state;
    AUTO(ahead_memory_free) struct ahead_memory m = {0};
    AUTO(buf_free) struct buf good = BUF_INIT;
    struct err err = {0};

    OK(push(r, 0, &err), &err);
    load(r, &m);
    ahead_format(&m, &good);
    for (size_t i = 0; i < good.len; i++) {
        struct ahead_memory seen = {0};

        FAILS(ahead_parse(good.p, i, &seen, &err), &err, ERR_CORRUPT);
        good.p[i] ^= 0x10;
        FAILS(ahead_parse(good.p, good.len, &seen, &err), &err, ERR_CORRUPT);
        good.p[i] ^= 0x10;
    }
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(one_push_takes_those_behind_it_along),
        WITH_RIG(no_more_than_the_configuration_says),
        WITH_RIG(for_local_repositories_only_when_told_so),
        WITH_RIG(only_what_is_marked_ready),
        WITH_RIG(later_calls_only_confirm),
        WITH_RIG(a_file_that_was_replaced_is_not_confirmed),
        WITH_RIG(old_memories_are_not_believed),
        WITH_RIG(another_cluster_or_length_is_not_confirmed),
        WITH_RIG(a_repository_made_anew_is_not_believed_to_have_it),
        WITH_RIG(what_was_pushed_to_the_old_repository_is_forgotten),
        WITH_RIG(another_configuration_is_not_the_same_repositories),
        WITH_RIG(without_the_state_file_nothing_is_believed),
        WITH_RIG(what_a_required_repository_refused_is_not_remembered),
        WITH_RIG(what_an_optional_repository_misses_is_noted_and_copied_later),
        WITH_RIG(a_damaged_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
