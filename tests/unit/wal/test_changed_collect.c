/* test_changed_collect.c - from archive and pg_wal comes the right set of blocks, or a doubt that
 * names the segment. */
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "repo/object/names.h"
#include "tests/unit/wal/target_rig.h"
#include "wal/index/changed.h"

static const struct wal_locator table = {1663, 5, 16384}, second = {1663, 5, 16385},
                                third = {1663, 6, 16386};
enum { FRAGMENT = WAL_FRAGMENT_MAX };

struct world {
    struct rig rig;
    struct wal_make wal; /* from segment 3 on */
    char top[32];        /* the data directory */
    int fd;
    struct history history;
    struct stop stop;
    uint64_t from, to, backup;
    struct err doubt, err;
};

static void world_begin(struct world *w, unsigned major)
{
    log_setup(LOG_TEXT, LOG_ERROR);
    *w = (struct world){0};
    rig_begin(&w->rig, major);
    rig_make(&w->wal, major);
    strcpy(w->top, "/tmp/pgbr-test-XXXXXX");
    assert_non_null(mkdtemp(w->top));
    w->fd = open(w->top, O_RDONLY | O_DIRECTORY);
    assert_true(w->fd >= 0);
    assert_int_equal(mkdirat(w->fd, "pg_wal", 0700), 0);
    history_root(1, &w->history);
}

static void world_end(struct world *w)
{
    struct err err = {0};

    OK(fs_remove_tree(AT_FDCWD, w->top, false, &err), &err);
    fd_close(&w->fd);
    history_free(&w->history);
    wal_make_free(&w->wal);
    rig_end(&w->rig);
}

static int begin(void **state)
{
    *state = xcalloc(1, sizeof(struct world));
    world_begin(*state, 15);
    return 0;
}

static int end(void **state)
{
    world_end(*state);
    free(*state);
    return 0;
}

/* ---- WAL ---- */

static void begin_range(struct world *w)
{
    w->from = w->backup = wal_make_checkpoint(&w->wal, false, NOON);
}

static void end_backup_of(struct world *w, uint64_t start)
{
    uint8_t redo[8];

    put_u64(redo, start);
    wal_make_record(&w->wal, WAL_RM_XLOG, 0x50, 0, NULL, 0, redo, sizeof redo);
}

static void end_backup(struct world *w)
{
    end_backup_of(w, w->backup);
}

static void end_range(struct world *w)
{
    w->to = wal_make_checkpoint(&w->wal, false, NOON);
}

/* A record that changes one block and is about as long as that. */
static uint64_t long_change(struct wal_make *m, struct wal_locator rel, uint32_t block, size_t len)
{
    struct wal_make_block b = {.rel = rel, .block = block, .data_len = 20};
    AUTO(mem_free) uint8_t *main = xcalloc(1, len);

    memset(main, 7, len);
    return wal_make_record(m, 10, 0x00, 1000, &b, 1, main, len);
}

static uint64_t segno_of(uint64_t lsn)
{
    return lsn_segno(lsn, RIG_SEGSZ);
}

/* The present segment is filled up to about `room` bytes, then comes such a record. */
static uint64_t crossing_change(struct wal_make *m, struct wal_locator rel, uint32_t block,
                                size_t room, size_t len)
{
    uint64_t lsn;

    wal_make_fill(m, room);
    lsn = long_change(m, rel, block, len);
    assert_int_not_equal(segno_of(lsn), segno_of(m->end - 1));
    return lsn;
}

static void next_segment(struct wal_make *m)
{
    wal_make_fill(m, 100);
    for (size_t n = wal_make_count(m); wal_make_count(m) == n;)
        wal_make_noise(m, 64);
}

/* Four segments, 3 to 6: blocks 1 to 5 of the table change in them, some in records that cross. */
static void usual(struct world *w)
{
    begin_range(w);
    wal_make_change(&w->wal, table, 1);
    crossing_change(&w->wal, table, 2, 500, 900);
    end_backup(w);
    wal_make_change(&w->wal, table, 3);
    next_segment(&w->wal);
    crossing_change(&w->wal, table, 4, 500, 900);
    wal_make_change(&w->wal, table, 5);
    end_range(w);
    assert_int_equal(wal_make_count(&w->wal), 4);
}

/* ---- where it is ---- */

static const char *name_of(struct world *w, size_t i, char name[WAL_SEGMENT_NAME])
{
    return wal_segment_name(w->wal.tli, wal_make_segno(&w->wal, i), RIG_SEGSZ, name);
}

static void archived(struct world *w, size_t first, size_t last)
{
    rig_put_range(&w->rig, &w->wal, first, last, w->wal.tli);
}

static void write_pg_wal(struct world *w, size_t i, const void *bytes, size_t len)
{
    char name[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *path = xasprintf("pg_wal/%s", name_of(w, i, name));
    struct err err = {0};

    OK(fs_replace(w->fd, path, bytes, len, 0600, &err), &err);
}

static void in_pg_wal(struct world *w, size_t first, size_t last)
{
    for (size_t i = first; i <= last; i++)
        write_pg_wal(w, i, wal_make_segment(&w->wal, i), RIG_SEGSZ);
}

/* An object of the archive, changed after it was stored. */
static void spoil(struct world *w, const char *file)
{
    AUTO(buf_free) struct buf key = BUF_INIT, bytes = BUF_INIT;
    struct err err = {0};

    OK(name_wal(&key, "pg-test", RIG_SYSID, w->rig.major, file, &err), &err);
    OK(store_read(w->rig.store, key.p, 16 << 20, &bytes, &err), &err);
    for (size_t i = 128; i < bytes.len; i += 64)
        bytes.p[i] ^= 0x55;
    OK(store_put(w->rig.store, key.p, STORE_REPLACE, bytes.p, bytes.len, &err), &err);
}

/* ---- asking ---- */

static int collect_from(struct world *w, struct repo *repo, struct changed **c)
{
    struct changed_range range = {.place = {repo, RIG_SYSID, w->rig.major, RIG_SEGSZ},
                                  .history = &w->history,
                                  .from = w->from,
                                  .to = w->to,
                                  .data_fd = w->fd,
                                  .backup_lsn = w->backup,
                                  .stop = &w->stop};

    w->doubt = w->err = (struct err){0};
    return changed_collect(&range, c, &w->doubt, &w->err);
}

static struct changed *collected(struct world *w)
{
    struct changed *c = NULL;

    OK(collect_from(w, w->rig.repo, &c), &w->err);
    if (c == NULL)
        fail_msg("doubt: %s", w->doubt.msg);
    return c;
}

static struct changed_file file_of(const struct changed *c, struct wal_locator rel)
{
    struct rel_file f = {.spc = rel.spc, .db = rel.db, .rel = rel.rel, .fork = FORK_MAIN};
    struct changed_file out;

    changed_file(c, &f, &out);
    return out;
}

static bool has(const struct changed *c, struct wal_locator rel, uint32_t block)
{
    struct changed_file f = file_of(c, rel);

    return changed_next(&f, block) == block;
}

/* Of the table exactly blocks first to last are changed. */
static void has_just(const struct changed *c, uint32_t first, uint32_t last)
{
    struct changed_file f = file_of(c, table);
    uint32_t at = 0;

    assert_false(f.all);
    for (uint32_t b = first; b <= last; b++, at++) {
        at = changed_next(&f, at);
        assert_int_equal(at, b);
    }
    assert_int_equal(changed_next(&f, at), UINT32_MAX);
}

static void right(struct world *w, uint32_t first, uint32_t last)
{
    AUTO(changed_free) struct changed *c = collected(w);

    has_just(c, first, last);
}

/* There is no set; the doubt names the ith segment and says that. */
static void doubted(struct world *w, size_t i, const char *says)
{
    AUTO(changed_free) struct changed *c = NULL;
    char name[WAL_SEGMENT_NAME];

    OK(collect_from(w, w->rig.repo, &c), &w->err);
    assert_null(c);
    assert_int_equal(w->err.code, 0);
    SAYS(w->doubt.msg, name_of(w, i, name));
    SAYS(w->doubt.msg, says);
}

/* ---- where the segments are ---- */

static void wherever_the_segments_are_the_set_is_the_same(void **state)
{
    struct world *w = *state;

    usual(w);
    in_pg_wal(w, 0, 3);
    right(w, 1, 5);
    for (size_t i = 0; i < 4; i++) {
        archived(w, i, i);
        right(w, 1, 5);
    }
    for (size_t i = 0; i < 4; i++)
        write_pg_wal(w, i, "", 0); /* what is archived is not looked for there */
    right(w, 1, 5);
}

static void an_index_that_is_not_there_or_damaged_is_made_from_the_segment(void **state)
{
    struct world *w = *state;

    usual(w);
    rig_put(&w->rig, &w->wal, 0, 1, WITHOUT_INDEX);
    rig_put(&w->rig, &w->wal, 1, 1, WITH_HALF_AN_INDEX);
    rig_put(&w->rig, &w->wal, 2, 1, WITHOUT_INDEX);
    rig_put(&w->rig, &w->wal, 3, 1, WITH_INDEX);
    right(w, 1, 5);
}

/* Segments before and behind it need not be there; nor what is before it in the first one. */
static void only_the_range_counts(void **state)
{
    struct world *w = *state;

    crossing_change(&w->wal, table, 77, 500, 2 * FRAGMENT + 900); /* its start is not there */
    begin_range(w);
    end_backup(w);
    wal_make_change(&w->wal, table, 1);
    next_segment(&w->wal);
    wal_make_change(&w->wal, table, 2);
    end_range(w);
    next_segment(&w->wal);
    wal_make_change(&w->wal, table, 78);
    archived(w, 1, 2);
    right(w, 1, 2);
}

static void segments_that_were_switched_are_followed(void **state)
{
    struct world *w = *state;

    begin_range(w);
    wal_make_change(&w->wal, table, 1);
    wal_make_switch(&w->wal);
    end_backup(w);
    wal_make_switch(&w->wal);
    wal_make_change(&w->wal, table, 2);
    wal_make_switch(&w->wal);
    end_range(w);
    archived(w, 0, 2);
    in_pg_wal(w, 3, 3);
    right(w, 1, 2);
}

static void a_range_within_one_segment_has_its_blocks(void **state)
{
    struct world *w = *state;

    wal_make_noise(&w->wal, 3000);
    begin_range(w);
    wal_make_change(&w->wal, table, 1);
    end_backup(w);
    wal_make_change(&w->wal, table, 2);
    end_range(w);
    in_pg_wal(w, 0, 0);
    right(w, 1, 2);
}

/* ---- records that cross ---- */

/* How they lie: in the archive, the last one in pg_wal, all there; with their indexes or without.
 */
static void wherever(struct world *w, uint32_t first, uint32_t last)
{
    size_t n = wal_make_count(&w->wal);

    in_pg_wal(w, 0, n - 1);
    right(w, first, last);
    for (size_t i = 0; i < n; i++) {
        rig_put(&w->rig, &w->wal, i, 1, i % 2 == 0 ? WITH_INDEX : WITHOUT_INDEX);
        right(w, first, last);
    }
}

static void short_records_that_cross_are_found_at_every_distance(void **state)
{
    (void)state;
    for (size_t room = 136; room < 700; room += 24) {
        struct world w;

        world_begin(&w, 17);
        begin_range(&w);
        end_backup(&w);
        crossing_change(&w.wal, table, 1, room, room + 200);
        crossing_change(&w.wal, table, 2, room, room + 9000);
        end_range(&w);
        archived(&w, 0, 1);
        in_pg_wal(&w, 2, 2);
        right(&w, 1, 2);
        world_end(&w);
    }
}

static void long_records_that_cross_are_read_from_the_segments(void **state)
{
    static const struct {
        size_t room, len;
        size_t segments;
    } cases[] = {
        {500, FRAGMENT - 1000, 2},             /* kept */
        {500, FRAGMENT + 3000, 2},             /* the head is not kept */
        {FRAGMENT + 3000, FRAGMENT + 5000, 2}, /* the tail is not */
        {2 * FRAGMENT, 5 * FRAGMENT, 2},       /* neither */
        {500, RIG_SEGSZ + 2000, 3},            /* a segment in which nothing starts */
        {2 * FRAGMENT, RIG_SEGSZ + 3 * FRAGMENT, 3},
        {500, 2 * RIG_SEGSZ + 2000, 4},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct world w;

        world_begin(&w, 15);
        begin_range(&w);
        end_backup(&w);
        wal_make_change(&w.wal, table, 1);
        crossing_change(&w.wal, table, 2, cases[i].room, cases[i].len);
        wal_make_change(&w.wal, table, 3);
        end_range(&w);
        assert_int_equal(wal_make_count(&w.wal), cases[i].segments);
        wherever(&w, 1, 3);
        world_end(&w);
    }
}

/* One after the other, so that what is remembered of one must not be taken for the next. */
static void a_long_record_right_behind_another_is_found(void **state)
{
    struct world *w = *state;

    begin_range(w);
    end_backup(w);
    crossing_change(&w->wal, table, 1, 2 * FRAGMENT, 4 * FRAGMENT);
    crossing_change(&w->wal, table, 2, 500, 900);
    crossing_change(&w->wal, table, 3, 2 * FRAGMENT, RIG_SEGSZ + 2 * FRAGMENT);
    crossing_change(&w->wal, table, 4, 2 * FRAGMENT, 2 * RIG_SEGSZ);
    crossing_change(&w->wal, table, 5, 500, 2 * FRAGMENT);
    end_range(w);
    wherever(w, 1, 5);
}

/* The segment in which it starts has been removed from the archive, and its index with it. */
static void a_long_record_whose_segments_are_damaged_is_doubted(void **state)
{
    struct world *w = *state;
    char name[WAL_SEGMENT_NAME];

    begin_range(w);
    end_backup(w);
    crossing_change(&w->wal, table, 1, 2 * FRAGMENT, 4 * FRAGMENT);
    end_range(w);
    archived(w, 0, 0);
    in_pg_wal(w, 1, 1);
    right(w, 1, 1);
    spoil(w, name_of(w, 0, name));
    doubted(w, 0, "");
}

/* ---- the end of what the server has written ---- */

enum tail { TAIL_ZEROS, TAIL_RECYCLED, TAIL_HALF_A_RECORD, TAIL_BYTES, TAIL_OTHER_PAGES };

/* What may stand behind `end` in the last segment while the server writes there. */
static void dirty(uint8_t *segment, size_t end, enum tail tail, const uint8_t *older)
{
    size_t page = (end + WAL_PAGE - 1) / WAL_PAGE * WAL_PAGE;

    if (tail == TAIL_RECYCLED)
        memcpy(segment + page, older + page, RIG_SEGSZ - page);
    for (size_t i = end; tail == TAIL_BYTES && i < RIG_SEGSZ; i++)
        segment[i] = (uint8_t)(i * 131 + i / 251);
    for (size_t i = page; tail == TAIL_OTHER_PAGES && i < RIG_SEGSZ; i++)
        segment[i] = (uint8_t)(i * 131 + i / 251);
}

static void what_stands_behind_the_end_does_not_matter(void **state)
{
    (void)state;
    for (enum tail tail = TAIL_ZEROS; tail <= TAIL_OTHER_PAGES; tail++)
        for (int with_last = 0; with_last < 2; with_last++) {
            AUTO(mem_free) uint8_t *segment = xmalloc(RIG_SEGSZ), *older = xmalloc(RIG_SEGSZ);
            struct world w;
            size_t last, at;

            world_begin(&w, 15);
            usual(&w);
            last = wal_make_count(&w.wal) - 1;
            at = (size_t)((with_last != 0 ? w.wal.end : w.to) % RIG_SEGSZ);
            memcpy(older, wal_make_segment(&w.wal, 0), RIG_SEGSZ);
            if (tail == TAIL_HALF_A_RECORD)
                long_change(&w.wal, table, 99, 20000);
            memcpy(segment, wal_make_segment(&w.wal, last), RIG_SEGSZ);
            memset(segment + at + (tail == TAIL_HALF_A_RECORD ? 10000 : 0), 0,
                   RIG_SEGSZ - at - (tail == TAIL_HALF_A_RECORD ? 10000 : 0));
            dirty(segment, at, tail, older);
            archived(&w, 0, last - 1);
            write_pg_wal(&w, last, segment, RIG_SEGSZ);
            right(&w, 1, 5);
            world_end(&w);
        }
}

static void wal_that_ends_before_the_range_does_is_doubted(void **state)
{
    struct world *w = *state;
    AUTO(mem_free) uint8_t *segment = xmalloc(RIG_SEGSZ);
    uint64_t last;

    begin_range(w);
    end_backup(w);
    next_segment(&w->wal);
    wal_make_change(&w->wal, table, 1);
    last = wal_make_change(&w->wal, table, 2);
    end_range(w);
    archived(w, 0, 0);
    memcpy(segment, wal_make_segment(&w->wal, 1), RIG_SEGSZ);
    memset(segment + w->to % RIG_SEGSZ, 0, RIG_SEGSZ - w->to % RIG_SEGSZ);
    write_pg_wal(w, 1, segment, RIG_SEGSZ);
    right(w, 1, 2);
    memset(segment + last % RIG_SEGSZ, 0, RIG_SEGSZ - last % RIG_SEGSZ);
    write_pg_wal(w, 1, segment, RIG_SEGSZ);
    doubted(w, 1, "WAL ends inside");
}

static void a_segment_that_ends_in_the_middle_of_the_range_is_doubted(void **state)
{
    struct world *w = *state;
    AUTO(mem_free) uint8_t *segment = xmalloc(RIG_SEGSZ);

    usual(w);
    memcpy(segment, wal_make_segment(&w->wal, 1), RIG_SEGSZ);
    memset(segment + RIG_SEGSZ / 2, 0, RIG_SEGSZ / 2);
    archived(w, 0, 0);
    archived(w, 2, 3);
    write_pg_wal(w, 1, segment, RIG_SEGSZ);
    doubted(w, 1, "WAL ends inside");
}

static void a_record_damaged_before_the_end_is_doubted(void **state)
{
    struct world *w = *state;
    uint64_t lsn;

    begin_range(w);
    end_backup(w);
    next_segment(&w->wal);
    lsn = wal_make_change(&w->wal, table, 1);
    wal_make_noise(&w->wal, 300);
    end_range(w);
    archived(w, 0, 0);
    wal_make_segment(&w->wal, 1)[lsn % RIG_SEGSZ + 30] ^= 1;
    in_pg_wal(w, 1, 1);
    doubted(w, 1, "CRC");
}

/* ---- segments that cannot be used ---- */

static void a_missing_segment_is_doubted_by_its_name(void **state)
{
    (void)state;
    for (size_t missing = 0; missing < 4; missing++) {
        struct world w;

        world_begin(&w, 15);
        usual(&w);
        for (size_t i = 0; i < 4; i++)
            if (i != missing)
                archived(&w, i, i);
        doubted(&w, missing, "neither in repository \"main\" nor in pg_wal");
        write_pg_wal(&w, missing, wal_make_segment(&w.wal, missing), RIG_SEGSZ / 2);
        doubted(&w, missing, "524288 bytes");
        world_end(&w);
    }
}

static void a_damaged_segment_is_doubted_by_its_name(void **state)
{
    (void)state;
    for (size_t bad = 0; bad < 4; bad++) {
        char name[WAL_SEGMENT_NAME];
        struct world w;

        world_begin(&w, 15);
        usual(&w);
        archived(&w, 0, 3);
        spoil(&w, name_of(&w, bad, name));
        doubted(&w, bad, "");
        world_end(&w);
    }
}

/* Segment i as another cluster has it. */
static void make_strange(const struct world *w, size_t i, uint64_t system_id, struct wal_make *m)
{
    wal_make_init(m, 15, system_id, 1, RIG_SEGSZ, lsn_segno(w->wal.start, RIG_SEGSZ) + i);
    wal_make_noise(m, 2000);
    next_segment(m);
}

static void wal_of_another_system_is_doubted(void **state)
{
    (void)state;
    for (int where = 0; where < 3; where++) {
        AUTO(wal_make_free) struct wal_make strange;
        AUTO(wal_index_free) struct wal_index ix;
        AUTO(buf_free) struct buf index = BUF_INIT;
        struct wal_expect any = {0};
        char name[WAL_SEGMENT_NAME];
        struct err err = {0};
        struct world w;

        world_begin(&w, 15);
        usual(&w);
        archived(&w, 0, 1);
        archived(&w, 3, 3);
        make_strange(&w, 2, RIG_SYSID + 1, &strange);
        wal_index_init(&ix);
        OK(wal_index_build(wal_make_segment(&strange, 0), RIG_SEGSZ, &any, &ix, &err), &err);
        wal_index_write(&ix, &index);
        if (where == 0)
            write_pg_wal(&w, 2, wal_make_segment(&strange, 0), RIG_SEGSZ);
        else
            rig_put_file(&w.rig, name_of(&w, 2, name), wal_make_segment(&strange, 0), RIG_SEGSZ,
                         where == 1 ? &index : NULL);
        doubted(&w, 2, "");
        assert_int_equal(w.doubt.code, ERR_FOREIGN);
        world_end(&w);
    }
}

/* The first segment has none before it that it would have to continue. */
static void a_first_segment_that_is_another_one_is_doubted(void **state)
{
    (void)state;
    for (int other_system = 0; other_system < 2; other_system++) {
        AUTO(wal_make_free) struct wal_make strange;
        AUTO(wal_index_free) struct wal_index ix;
        AUTO(buf_free) struct buf index = BUF_INIT;
        struct wal_expect any = {0};
        char name[WAL_SEGMENT_NAME];
        struct err err = {0};
        struct world w;

        world_begin(&w, 15);
        begin_range(&w);
        end_range(&w);
        w.backup = 0;
        make_strange(&w, other_system != 0 ? 0 : 1, RIG_SYSID + (unsigned)other_system, &strange);
        wal_index_init(&ix);
        OK(wal_index_build(wal_make_segment(&strange, 0), RIG_SEGSZ, &any, &ix, &err), &err);
        wal_index_write(&ix, &index);
        rig_put_file(&w.rig, name_of(&w, 0, name), wal_make_segment(&strange, 0), RIG_SEGSZ,
                     &index);
        doubted(&w, 0, "other WAL than its name says");
        assert_int_equal(w.doubt.code, ERR_FOREIGN);
        world_end(&w);
    }
}

/* The same system's, but of another life: a copy that went its own way, or what pg_resetwal begins
 * behind WAL that was thrown away (its first record has no predecessor). */
static void wal_that_does_not_continue_is_doubted(void **state)
{
    (void)state;
    for (int has_before = 0; has_before < 2; has_before++) {
        AUTO(wal_make_free) struct wal_make strange;
        struct world w;

        world_begin(&w, 15);
        begin_range(&w);
        wal_make_change(&w.wal, table, 1);
        end_backup(&w);
        wal_make_switch(&w.wal);
        archived(&w, 0, 0);
        wal_make_init(&strange, 15, RIG_SYSID, 1, RIG_SEGSZ, 4);
        strange.last = has_before != 0 ? w.wal.last - 8 : 0;
        wal_make_checkpoint(&strange, true, NOON);
        wal_make_change(&strange, table, 2);
        w.to = wal_make_checkpoint(&strange, false, NOON);
        write_pg_wal(&w, 1, wal_make_segment(&strange, 0), RIG_SEGSZ);
        doubted(&w, 1, "do not continue those before it");
        assert_int_equal(w.doubt.code, ERR_CORRUPT);
        world_end(&w);
    }
}

static void a_break_of_the_prev_link_is_doubted(void **state)
{
    struct world *w = *state;

    begin_range(w);
    end_backup(w);
    wal_make_switch(&w->wal);
    w->wal.last -= 8;
    wal_make_change(&w->wal, table, 1);
    end_range(w);
    archived(w, 0, 1);
    doubted(w, 1, "do not continue those before it");
}

static void a_segment_under_another_name_is_doubted(void **state)
{
    struct world *w = *state;
    char name[WAL_SEGMENT_NAME];

    usual(w);
    archived(w, 0, 1);
    archived(w, 3, 3);
    rig_put_file(&w->rig, name_of(w, 2, name), wal_make_segment(&w->wal, 1), RIG_SEGSZ, NULL);
    doubted(w, 2, "");
}

/* ---- records that cannot be vouched for ---- */

static const struct doubtful {
    const char *what;
    unsigned major;
    uint8_t rmid, info;
    uint8_t body[8];
    size_t len;
    const char *says;
} doubtful[] = {
    {"resource manager", 15, 22, 0, {255, 1, 9}, 3, "unknown resource manager 22"},
    {"extension", 14, 130, 0, {255, 1, 9}, 3, "unknown resource manager 130"},
    {"files changed another way", 15, 130, 1, {255, 1, 9}, 3, "130 changes relation files"},
    {"does not add up", 15, 10, 0, {255, 2, 9}, 3, "do not add up"},
    {"wal_level", 17, 0, 0xE0, {255, 4, 0, 0, 0, 0}, 6, "wal_level is minimal"},
};

static void what_cannot_be_vouched_for_is_doubted(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(doubtful); i++) {
        const struct doubtful *d = &doubtful[i];
        struct world w;

        world_begin(&w, d->major);
        begin_range(&w);
        end_backup(&w);
        next_segment(&w.wal);
        wal_make_change(&w.wal, table, 1);
        wal_make_raw(&w.wal, d->rmid, d->info, 0, d->body, d->len);
        next_segment(&w.wal);
        end_range(&w);
        in_pg_wal(&w, 0, 2);
        doubted(&w, 1, d->says);
        archived(&w, 0, 2);
        doubted(&w, 1, d->says);
        world_end(&w);
    }
}

/* Where such a record crosses, no index has it: short ones are joined, long ones are read. */
static void what_cannot_be_vouched_for_is_doubted_where_it_crosses(void **state)
{
    static const size_t lengths[] = {1000, 2 * FRAGMENT, RIG_SEGSZ + 2 * FRAGMENT};
    (void)state;

    for (size_t i = 0; i < LENGTH(lengths); i++) {
        AUTO(mem_free) uint8_t *body = xcalloc(1, lengths[i] + 5);
        struct world w;

        world_begin(&w, 15);
        begin_range(&w);
        end_backup(&w);
        wal_make_fill(&w.wal, 500);
        body[0] = 254;
        put_u32(body + 1, (uint32_t)lengths[i]);
        wal_make_raw(&w.wal, 22, 0, 0, body, lengths[i] + 5);
        end_range(&w);
        archived(&w, 0, wal_make_count(&w.wal) - 1);
        doubted(&w, wal_make_count(&w.wal) - 1, "unknown resource manager 22");
        world_end(&w);
    }
}

/* ---- relations and databases as a whole ---- */

static void what_happened_to_relations_as_a_whole_is_known(void **state)
{
    struct world *w = *state;
    AUTO(changed_free) struct changed *c = NULL;
    uint8_t created[16];

    begin_range(w);
    end_backup(w);
    wal_make_change(&w->wal, table, 9);
    wal_make_change(&w->wal, second, 1);
    next_segment(&w->wal);
    wal_make_truncate(&w->wal, table, 4);
    wal_make_change(&w->wal, table, 2);
    next_segment(&w->wal);
    wal_make_commit_drop(&w->wal, 700, NOON, second);
    for (int i = 0; i < 4; i++)
        put_u32(created + (size_t)i * 4, (uint32_t[]){6, 1663, 1, 1663}[i]);
    wal_make_record(&w->wal, WAL_RM_DBASE, 0x00, 0, NULL, 0, created, sizeof created);
    end_range(w);
    archived(w, 0, 2);
    c = collected(w);
    assert_int_equal(file_of(c, table).from, 4);
    assert_true(has(c, table, 2) && has(c, table, 9));
    assert_false(has(c, table, 3));
    assert_true(file_of(c, second).all);
    assert_true(file_of(c, third).all);
}

static void a_record_lost_in_a_crash_is_none(void **state)
{
    struct world *w = *state;
    uint64_t before;

    begin_range(w);
    end_backup(w);
    wal_make_fill(&w->wal, 2000);
    before = wal_make_change(&w->wal, table, 1);
    long_change(&w->wal, table, 99, 3 * RIG_SEGSZ);
    w->wal.bytes.len = RIG_SEGSZ + 2 * WAL_PAGE;
    w->wal.last = before;
    w->wal.flags = WAL_PAGE_OVERWRITE;
    wal_make_change(&w->wal, table, 2);
    next_segment(&w->wal);
    end_range(w);
    archived(w, 0, 2);
    right(w, 1, 2);
}

/* ---- timelines ---- */

struct fork_of_two {
    struct wal_make child;
    uint64_t lsn; /* where the timelines part */
};

/* Timeline 2 begins in the middle of the second segment (of the third, if the record there is
 * long); timeline 1 goes on as well. */
static void fork_inside(struct world *w, struct fork_of_two *f, size_t crossing)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err err = {0};

    begin_range(w);
    end_backup(w);
    wal_make_change(&w->wal, table, 1);
    crossing_change(&w->wal, table, 2, 2 * FRAGMENT, crossing);
    wal_make_change(&w->wal, table, 3);
    f->lsn = w->wal.end;
    rig_fork(&w->wal, &f->child, 2);
    wal_make_end_of_recovery(&f->child, 1, NOON);
    wal_make_change(&f->child, table, 4);
    next_segment(&f->child);
    wal_make_change(&f->child, table, 5);
    w->to = wal_make_checkpoint(&f->child, false, NOON);
    wal_make_change(&w->wal, table, 98);
    next_segment(&w->wal);
    wal_make_change(&w->wal, table, 99);
    rig_line(&text, 1, f->lsn);
    history_free(&w->history);
    OK(history_parse(2, text.p, text.len, &w->history, &err), &err);
}

static void a_timeline_that_begins_inside_a_segment_is_followed(void **state)
{
    static const size_t lengths[] = {3 * FRAGMENT, 2 * FRAGMENT + 500, RIG_SEGSZ + 3 * FRAGMENT};
    (void)state;

    for (size_t i = 0; i < LENGTH(lengths); i++) {
        struct fork_of_two f;
        struct world w;
        size_t at, last;

        world_begin(&w, 15);
        fork_inside(&w, &f, lengths[i]);
        at = (size_t)(segno_of(f.lsn) - segno_of(w.from));
        last = wal_make_count(&f.child) - 1;
        rig_put_range(&w.rig, &w.wal, 0, at, 1); /* of both in which it begins */
        w.wal.tli = 2;
        doubted(&w, at, "neither in repository");
        rig_put_range(&w.rig, &f.child, at, last, 2);
        w.wal.tli = 1;
        right(&w, 1, 5);
        wal_make_free(&f.child);
        world_end(&w);
    }
}

/* What is archived as the new timeline's first segment went another way. */
static void a_timeline_with_another_parent_is_doubted(void **state)
{
    struct world *w = *state;
    struct fork_of_two f;

    fork_inside(w, &f, 3 * FRAGMENT);
    rig_put_range(&w->rig, &w->wal, 0, 0, 1);
    f.child.bytes.len = RIG_SEGSZ;
    f.child.last -= 8;
    wal_make_change(&f.child, table, 50);
    next_segment(&f.child);
    rig_put_range(&w->rig, &f.child, 1, wal_make_count(&f.child) - 1, 2);
    w->wal.tli = 2;
    doubted(w, 1, "");
    wal_make_free(&f.child);
}

/* ---- the proof ---- */

static void without_the_end_of_the_backup_it_is_another_history(void **state)
{
    struct world *w = *state;
    AUTO(changed_free) struct changed *c = NULL;

    usual(w);
    archived(w, 0, 3);
    right(w, 1, 5);
    w->backup += 8;
    OK(collect_from(w, w->rig.repo, &c), &w->err);
    assert_null(c);
    assert_int_equal(w->doubt.code, ERR_FOREIGN);
    SAYS(w->doubt.msg, "another history's");
    w->backup = 0; /* there is none to look for */
    right(w, 1, 5);
}

static void the_end_of_another_backup_proves_nothing(void **state)
{
    struct world *w = *state;
    AUTO(changed_free) struct changed *c = NULL;

    begin_range(w);
    end_backup_of(w, w->backup - 8);
    end_backup_of(w, w->backup + 8);
    next_segment(&w->wal);
    end_range(w);
    archived(w, 0, 1);
    OK(collect_from(w, w->rig.repo, &c), &w->err);
    assert_null(c);
    SAYS(w->doubt.msg, "another history's");
}

/* It may cross, and it may be among the ends of others. */
static void the_end_of_the_backup_is_found_wherever_it_is(void **state)
{
    (void)state;
    for (size_t room = 120; room < 200; room += 8) {
        struct world w;

        world_begin(&w, 15);
        begin_range(&w);
        end_backup_of(&w, w.backup - 8);
        wal_make_fill(&w.wal, room);
        while (wal_make_count(&w.wal) == 1 && RIG_SEGSZ - w.wal.bytes.len > 32)
            wal_make_noise(&w.wal, 27);
        end_backup(&w); /* 34 bytes: the next segment has the rest of it */
        end_backup_of(&w, w.backup + 8);
        wal_make_change(&w.wal, table, 1);
        end_range(&w);
        archived(&w, 0, 1);
        right(&w, 1, 1);
        world_end(&w);
    }
}

/* ---- not this segment's fault ---- */

static void a_request_to_stop_is_no_doubt(void **state)
{
    struct world *w = *state;
    struct changed *c = NULL;

    usual(w);
    archived(w, 0, 3);
    atomic_store(&w->stop.signal, 15);
    FAILS(collect_from(w, w->rig.repo, &c), &w->err, ERR_INTERRUPTED);
    assert_null(c);
    assert_int_equal(w->doubt.code, 0);
}

/* 0: there is a set, or a doubt. nth: the call that fails, or -1; *calls: those that were made. */
static int collect_through(struct world *w, long nth, struct changed **c, long *calls)
{
    AUTO(repo_close) struct repo *repo = NULL;
    struct store *flaky = store_fault_new(w->rig.store, nth, FAULT_BEFORE);
    struct repo_options o = {.name = "main", .cluster = "pg-test", .level = 1};
    int rc;

    w->err = (struct err){0};
    TRY(repo_open(&repo, flaky, &o, REPO_OPEN_FULL, &w->err));
    rc = collect_from(w, repo, c);
    *calls = store_fault_calls(flaky);
    return rc;
}

/* "I could not ask" must never become "it is not there", which costs a full backup. */
static void a_store_that_does_not_answer_is_no_doubt(void **state)
{
    (void)state;
    for (int missing = 0; missing < 2; missing++) {
        struct changed *c = NULL;
        long calls = 0, ignored;
        struct world w;

        world_begin(&w, 15);
        begin_range(&w);
        end_backup(&w);
        crossing_change(&w.wal, table, 1, 2 * FRAGMENT, 4 * FRAGMENT);
        end_range(&w);
        archived(&w, 0, 0);
        if (missing == 0)
            in_pg_wal(&w, 1, 1);
        OK(collect_through(&w, -1, &c, &calls), &w.err);
        assert_int_equal(c == NULL, missing);
        changed_free(&c);
        assert_true(calls > 5);
        for (long nth = 0; nth < calls; nth++) {
            if (collect_through(&w, nth, &c, &ignored) == 0)
                fail_msg("call %ld of %ld: %s", nth, calls, w.doubt.msg);
            assert_int_equal(w.err.code, ERR_UNREACHABLE);
            assert_null(c);
        }
        world_end(&w);
    }
}

static void a_pg_wal_that_cannot_be_read_is_no_doubt(void **state)
{
    struct world *w = *state;
    struct changed *c = NULL;
    char name[WAL_SEGMENT_NAME];
    AUTO(mem_free) char *path = NULL;

    usual(w);
    archived(w, 0, 2);
    path = xasprintf("pg_wal/%s", name_of(w, 3, name));
    assert_int_equal(symlinkat(name, w->fd, path), 0); /* leads to itself: root reads all else */
    FAILS(collect_from(w, w->rig.repo, &c), &w->err, ERR_IO);
    SAYS(w->err.msg, "cannot open");
    SAYS(w->err.msg, name);
}

/* ---- against a simulation ---- */

enum { RELS = 5, BLOCKS = 64 };
struct model {
    uint64_t random;
    struct wal_make *wal;
    bool counts; /* the range has begun, and is not over */
    bool may[RELS][BLOCKS], must[RELS][BLOCKS], void_rel[RELS], truncated[RELS];
};

static uint32_t any(struct model *m, uint32_t n)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((m->random >> 33) % n);
}

static struct wal_locator rel_of(uint32_t i)
{
    return (struct wal_locator){1663, 5, 20000 + i};
}

static void any_change(struct model *m)
{
    static const uint32_t longest[] = {100, 100, 3000, 30000, 3 * FRAGMENT, 3 * FRAGMENT};
    uint32_t rel = any(m, RELS - 1), block = any(m, BLOCKS);
    uint32_t len = any(m, 60) == 0 ? RIG_SEGSZ * (1 + any(m, 2)) : longest[any(m, 6)];

    long_change(m->wal, rel_of(rel), block, 30 + any(m, len));
    m->may[rel][block] = true;
    m->must[rel][block] |= m->counts;
}

static void any_record(struct model *m)
{
    uint32_t what = any(m, 100), rel = any(m, RELS - 1);

    if (what == 0) {
        wal_make_truncate(m->wal, rel_of(rel), BLOCKS);
        m->truncated[rel] = true;
    } else if (what == 1 && any(m, 10) == 0) {
        wal_make_commit_drop(m->wal, 800, NOON, rel_of(rel));
        m->void_rel[rel] = true;
    } else if (what == 2) {
        wal_make_switch(m->wal);
    } else if (what < 30) {
        wal_make_noise(m->wal, 30 + any(m, 200));
    } else {
        any_change(m);
    }
}

static void any_records(struct model *m, size_t segments)
{
    size_t n = wal_make_count(m->wal) + segments;

    for (uint32_t k = any(m, 50); k > 0; k--)
        any_record(m);
    while (wal_make_count(m->wal) < n)
        any_record(m);
}

static void any_wal(struct world *w, struct model *m)
{
    *m = (struct model){.random = m->random, .wal = &w->wal};
    any_records(m, any(m, 3));
    m->counts = true;
    begin_range(w);
    any_records(m, any(m, 2));
    end_backup(w);
    any_records(m, 1 + any(m, 5));
    end_range(w);
    m->counts = false;
    any_records(m, any(m, 2));
}

static void any_place(struct world *w, struct model *m)
{
    size_t n = wal_make_count(&w->wal), first = (size_t)(segno_of(w->from) - 3);
    size_t archive_to = first + any(m, (uint32_t)(n - first));

    for (size_t i = first; i < n; i++) {
        if (i < archive_to)
            rig_put(&w->rig, &w->wal, i, 1, any(m, 3) == 0 ? WITHOUT_INDEX : WITH_INDEX);
        if (i >= archive_to || any(m, 2) == 0)
            in_pg_wal(w, i, i);
    }
}

static void compare(const struct model *m, const struct changed *c)
{
    for (uint32_t rel = 0; rel < RELS; rel++) {
        struct changed_file f = file_of(c, rel_of(rel));

        if (f.all && !m->void_rel[rel])
            fail_msg("relation %u is void", rel);
        if (!m->truncated[rel] && !f.all)
            assert_int_equal(f.from, UINT32_MAX);
        for (uint32_t b = 0; b < BLOCKS; b++) {
            bool got = changed_next(&f, b) == b;

            if (got ? !m->may[rel][b] && !f.all : m->must[rel][b])
                fail_msg("block %u of relation %u: %d", b, rel, got);
        }
    }
}

static void of_any_wal_the_set_is_right(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct model m = {.random = seed};
        struct world w;
        struct changed *c;

        world_begin(&w, 13 + (unsigned)(seed % 6));
        any_wal(&w, &m);
        any_place(&w, &m);
        c = collected(&w);
        compare(&m, c);
        changed_free(&c);
        world_end(&w);
    }
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(wherever_the_segments_are_the_set_is_the_same),
        IN_WORLD(an_index_that_is_not_there_or_damaged_is_made_from_the_segment),
        IN_WORLD(only_the_range_counts),
        IN_WORLD(segments_that_were_switched_are_followed),
        IN_WORLD(a_range_within_one_segment_has_its_blocks),
        cmocka_unit_test(short_records_that_cross_are_found_at_every_distance),
        cmocka_unit_test(long_records_that_cross_are_read_from_the_segments),
        IN_WORLD(a_long_record_right_behind_another_is_found),
        IN_WORLD(a_long_record_whose_segments_are_damaged_is_doubted),
        cmocka_unit_test(what_stands_behind_the_end_does_not_matter),
        IN_WORLD(wal_that_ends_before_the_range_does_is_doubted),
        IN_WORLD(a_segment_that_ends_in_the_middle_of_the_range_is_doubted),
        IN_WORLD(a_record_damaged_before_the_end_is_doubted),
        cmocka_unit_test(a_missing_segment_is_doubted_by_its_name),
        cmocka_unit_test(a_damaged_segment_is_doubted_by_its_name),
        cmocka_unit_test(wal_of_another_system_is_doubted),
        cmocka_unit_test(a_first_segment_that_is_another_one_is_doubted),
        cmocka_unit_test(wal_that_does_not_continue_is_doubted),
        IN_WORLD(a_break_of_the_prev_link_is_doubted),
        IN_WORLD(a_segment_under_another_name_is_doubted),
        cmocka_unit_test(what_cannot_be_vouched_for_is_doubted),
        cmocka_unit_test(what_cannot_be_vouched_for_is_doubted_where_it_crosses),
        IN_WORLD(what_happened_to_relations_as_a_whole_is_known),
        IN_WORLD(a_record_lost_in_a_crash_is_none),
        cmocka_unit_test(a_timeline_that_begins_inside_a_segment_is_followed),
        IN_WORLD(a_timeline_with_another_parent_is_doubted),
        IN_WORLD(without_the_end_of_the_backup_it_is_another_history),
        IN_WORLD(the_end_of_another_backup_proves_nothing),
        cmocka_unit_test(the_end_of_the_backup_is_found_wherever_it_is),
        IN_WORLD(a_request_to_stop_is_no_doubt),
        cmocka_unit_test(a_store_that_does_not_answer_is_no_doubt),
        IN_WORLD(a_pg_wal_that_cannot_be_read_is_no_doubt),
        cmocka_unit_test(of_any_wal_the_set_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
