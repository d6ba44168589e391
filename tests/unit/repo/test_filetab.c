#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "repo/manifest/manifest_form.h"
#include "tests/lib/test.h"

static struct err err;

static void paths_sort_as_a_directory_walk_meets_them(void **state)
{
    static const char *const order[] = {
        "config",  "data",      "data/a",        "data/a/b",      "data/a/b/c",
        "data/a!", "data/a!/b", "data/a-b",      "data/a.b",      "data/a0",
        "data/aa", "data/b",    "data/\xc3\xa4", "data/\xff\xff", "data/\xff\xff/a"};

    (void)state;
    for (size_t i = 0; i < LENGTH(order); i++)
        for (size_t k = 0; k < LENGTH(order); k++) {
            int found = path_compare(order[i], order[k]);
            assert_int_equal((found > 0) - (found < 0), (i > k) - (i < k));
        }
}

/* ---- blocks ---- */

static struct attribute attribute_list[] = {{0700, NULL, NULL}, {0600, NULL, NULL}};
static struct attributes attributes = {attribute_list, 2, 0};

static int name_owners(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        attribute_list[i].user = xstrdup(i == 0 ? "postgres" : "root");
        attribute_list[i].group = xstrdup(i == 0 ? "dba" : "");
    }
    return 0;
}

static int drop_owners(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        free(attribute_list[i].user);
        free(attribute_list[i].group);
    }
    return 0;
}

struct row {
    struct entry entry;
    uint32_t attribute;
    struct map_ref ref; /* len 0: none */
};
#define MAP_BYTES (const uint8_t *)"\1\2\3"
static const struct row rows[] = {
    {{.path = "data", .type = ENTRY_DIR, .mtime_s = 1700000000}, 0, {0}},
    {{.path = "data/PG_VERSION",
      .type = ENTRY_FILE,
      .mtime_s = 1700000001,
      .size = 3,
      .crc32c = 0xdeadbeef,
      .place = PLACE_BUNDLE,
      .set = 1,
      .pack = 7,
      .chunk = 4094,
      .offset = 131072},
     1,
     {0}},
    {{.path = "data/base", .type = ENTRY_DIR, .mtime_s = INT64_MIN}, 0, {0}},
    {{.path = "data/base/1", .type = ENTRY_FILE, .mtime_s = INT64_MAX, .place = PLACE_EMPTY},
     1,
     {0}},
    {{.path = "data/base/1/x",
      .type = ENTRY_FILE,
      .mtime_s = -1,
      .size = 8192,
      .crc32c = 1,
      .place = PLACE_MAP,
      .map = MAP_BYTES,
      .map_len = 3},
     1,
     {0}},
    {{.path = "data/base/1/y",
      .type = ENTRY_FILE,
      .mtime_s = 0,
      .size = UINT64_C(1) << 40,
      .crc_unknown = true,
      .place = PLACE_MAP,
      .map = MAP_BYTES,
      .map_len = 3},
     1,
     {2, 100, 3000}},
    {{.path = "data/base/1-x", .type = ENTRY_LINK, .mtime_s = 5, .target = "/elsewhere/a b"},
     0,
     {0}},
};
static const struct filetab_limits limits = {&attributes, 3, 3};

static void write_block(struct buf *out)
{
    AUTO(filetab_free) struct filetab_writer w = {0};

    filetab_add(&w, &rows[1].entry, 0, NULL);
    filetab_reset(&w); /* a writer is used for block after block */
    for (size_t i = 0; i < LENGTH(rows); i++)
        filetab_add(&w, &rows[i].entry, rows[i].attribute,
                    rows[i].ref.len != 0 ? &rows[i].ref : NULL);
    assert_string_equal(buf_text(&w.first_path), "data");
    filetab_finish(&w, out);
}

static void file_is(const struct entry *e, const struct map_ref *ref, const struct row *want)
{
    assert_int_equal(e->size, want->entry.size);
    assert_int_equal(e->crc32c, want->entry.crc32c);
    assert_int_equal(e->crc_unknown, want->entry.crc_unknown);
    assert_int_equal(e->place, want->entry.place);
    assert_int_equal(ref->len, want->ref.len);
    assert_int_equal(ref->map, want->ref.map);
    assert_int_equal(ref->offset, want->ref.offset);
    if (e->place == PLACE_MAP && ref->len == 0) {
        assert_int_equal(e->map_len, want->entry.map_len);
        assert_memory_equal(e->map, want->entry.map, e->map_len);
    }
    if (e->place == PLACE_BUNDLE) {
        assert_int_equal(e->set, want->entry.set);
        assert_int_equal(e->pack, want->entry.pack);
        assert_int_equal(e->chunk, want->entry.chunk);
        assert_int_equal(e->offset, want->entry.offset);
    }
}

static void a_block_gives_back_its_entries(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(filetab_end) struct filetab_reader r = {0};
    struct map_ref ref;
    struct entry e;

    (void)state;
    write_block(&bytes);
    for (int round = 0; round < 2; round++) { /* a reader is used for block after block */
        OK(filetab_begin(&r, bytes.p, bytes.len, &err), &err);
        for (size_t i = 0; i < LENGTH(rows); i++) {
            assert_int_equal(filetab_next(&r, &limits, &e, &ref, &err), 1);
            assert_string_equal(e.path, rows[i].entry.path);
            assert_int_equal(e.type, rows[i].entry.type);
            assert_int_equal(e.mtime_s, rows[i].entry.mtime_s);
            assert_int_equal(e.mode, attribute_list[rows[i].attribute].mode);
            assert_string_equal(e.user, attribute_list[rows[i].attribute].user);
            assert_string_equal(e.group, attribute_list[rows[i].attribute].group);
            if (e.type == ENTRY_FILE)
                file_is(&e, &ref, &rows[i]);
            if (e.type == ENTRY_LINK)
                assert_string_equal(e.target, "/elsewhere/a b");
        }
        assert_int_equal(filetab_next(&r, &limits, &e, &ref, &err), 0);
    }
}

/* All of a block; -1 when any of it is refused. */
static int read_block(const void *bytes, size_t len, const struct filetab_limits *l)
{
    AUTO(filetab_end) struct filetab_reader r = {0};
    struct map_ref ref;
    struct entry e;
    int more;

    err_clear(&err);
    TRY(filetab_begin(&r, bytes, len, &err));
    while ((more = filetab_next(&r, l, &e, &ref, &err)) == 1)
        ;
    return more;
}

static void a_block_that_is_cut_off_is_refused(void **state)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    (void)state;
    write_block(&bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        AUTO(mem_free) uint8_t *exact = xmalloc(len + 1);
        memcpy(exact, bytes.p, len);
        FAILS(read_block(exact, len, &limits), &err, ERR_CORRUPT);
    }
    buf_u8(&bytes, 0);
    FAILS(read_block(bytes.p, bytes.len, &limits), &err, ERR_CORRUPT);
}

static void what_an_entry_names_must_be_there(void **state)
{
    struct attributes one = {attribute_list, 1, 0};
    const struct filetab_limits no_owner = {&one, 3, 3}, no_set = {&attributes, 1, 3},
                                no_map = {&attributes, 3, 2};
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    (void)state;
    write_block(&bytes);
    assert_int_equal(read_block(bytes.p, bytes.len, &limits), 0);
    FAILS(read_block(bytes.p, bytes.len, &no_owner), &err, ERR_CORRUPT);
    FAILS(read_block(bytes.p, bytes.len, &no_set), &err, ERR_CORRUPT);
    FAILS(read_block(bytes.p, bytes.len, &no_map), &err, ERR_CORRUPT);
}

/* Names that a restore must never create. A directory: shared, length, rest, type, owner, time. */
static void unsafe_or_unordered_paths_are_refused(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t len;
        bool fine;
    } cases[] = {
#define BLOCK(text) text, sizeof text - 1
        {"one component", BLOCK("\1\0\1a\1\0\0"), true},
        {"a name that begins with dots", BLOCK("\1\0\3..a\1\0\0"), true},
        {"an empty path", BLOCK("\1\0\0\1\0\0"), false},
        {"an absolute path", BLOCK("\1\0\2/a\1\0\0"), false},
        {"an empty component", BLOCK("\1\0\4a//b\1\0\0"), false},
        {"a slash at the end", BLOCK("\1\0\2a/\1\0\0"), false},
        {"a dot", BLOCK("\1\0\1.\1\0\0"), false},
        {"two dots", BLOCK("\1\0\4a/..\1\0\0"), false},
        {"two dots inside", BLOCK("\1\0\6a/../b\1\0\0"), false},
        {"a NUL", BLOCK("\1\0\3a\0b\1\0\0"), false},
        {"two dots put together of two entries", BLOCK("\2\0\3a/.\1\0\0"), false},
        {"two dots made of dot and dot", BLOCK("\2\0\4a/.x\1\0\0\3\1.\1\0\0"), false},
        {"a name and then two dots in its place", BLOCK("\2\0\3a/-\1\0\0\2\2..\1\0\0"), false},
        {"a component that becomes empty", BLOCK("\2\0\1a\1\0\0\1\1/\1\0\0"), false},
        {"the same path again", BLOCK("\2\0\1a\1\0\0\1\0\1\0\0"), false},
        {"the same path, written in full", BLOCK("\2\0\1a\1\0\0\0\1a\1\0\0"), false},
        {"a path that sorts before", BLOCK("\2\0\1b\1\0\0\0\1a\1\0\0"), false},
        {"a shorter path", BLOCK("\2\0\3a/b\1\0\0\0\1a\1\0\0"), false},
        {"'-' after '/'", BLOCK("\2\0\3a/b\1\0\0\1\2-b\1\0\0"), true},
        {"'/' after '-'", BLOCK("\2\0\3a-b\1\0\0\1\2/b\1\0\0"), false},
        {"more shared than there was", BLOCK("\2\0\1a\1\0\0\2\1b\1\0\0"), false},
        {"an unknown type", BLOCK("\1\0\1a\4\0\0"), false},
        {"type 0", BLOCK("\1\0\1a\0\0\0"), false},
        {"a link to nowhere", BLOCK("\1\0\1a\3\0\0\0"), false},
        {"a link with a NUL", BLOCK("\1\0\1a\3\0\0\2x\0"), false},
        {"an empty file with a size", BLOCK("\1\0\1a\2\0\0\1\0\0\0\0\0"), false},
        {"an unknown place", BLOCK("\1\0\1a\2\0\0\1\0\0\0\0\4"), false},
        {"an unknown place of a file without CRC", BLOCK("\1\0\1a\2\0\0\1\0\0\0\0\x14"), false},
        {"an empty file without CRC", BLOCK("\1\0\1a\2\0\0\0\0\0\0\0\x10"), true},
        {"a CRC that is not known, with a value", BLOCK("\1\0\1a\2\0\0\0\1\0\0\0\x10"), false},
        {"a bundle in set 0", BLOCK("\1\0\1a\2\0\0\1\0\0\0\0\3\0\0\0\0"), false},
        {"a file that ends in its bundle at 16 MiB",
         BLOCK("\1\0\1a\2\0\0\x80\x80\x80\4\0\0\0\0\3\1\0\0\x80\x80\x80\4"), true},
        {"a file larger than its bundle",
         BLOCK("\1\0\1a\2\0\0\x81\x80\x80\4\0\0\0\0\3\1\0\0\x80\x80\x80\4"), false},
        {"a bundle in chunk 4,096", BLOCK("\1\0\1a\2\0\0\1\0\0\0\0\3\1\0\x80\x20\0"), false},
        {"a map of no bytes", BLOCK("\1\0\1a\2\0\0\1\0\0\0\0\2\0\0\0"), false},
        {"no entries", BLOCK("\0"), false},
        {"4,097 entries", BLOCK("\x81\x20\0\1a\1\0\0"), false},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int found = read_block(cases[i].bytes, cases[i].len, &limits);
        if (found != (cases[i].fine ? 0 : -1) || (found != 0 && err.code != ERR_CORRUPT))
            fail_msg("%s: %d \"%s\"", cases[i].what, found, err.msg);
    }
}

static void entries_that_could_not_be_read_again_are_not_written(void **state)
{
    AUTO(mem_free) char *longer = xmalloc(4098);
    struct entry fine = {
        .path = "data/a", .type = ENTRY_LINK, .user = "", .group = "", .target = "x"};
    struct entry cases[8];

    (void)state;
    memset(longer, 'x', 4097);
    longer[4097] = '\0';
    OK(filetab_check(&fine, &err), &err);
    for (size_t i = 0; i < LENGTH(cases); i++)
        cases[i] = fine;
    cases[0].path = "";
    cases[1].path = "data/../a";
    cases[2].path = longer;
    cases[3].target = "";
    cases[4].target = longer;
    cases[5].user = longer;
    cases[6].type = ENTRY_FILE;
    cases[6].size = 1;
    cases[7].type = ENTRY_FILE;
    cases[7].place = PLACE_BUNDLE;
    cases[7].size = CHUNK_RAW_MAX;
    cases[7].offset = 1;
    for (size_t i = 0; i < LENGTH(cases); i++)
        FAILS(filetab_check(&cases[i], &err), &err, ERR_FAILED);
    longer[4096] = '\0';
    cases[2].path = longer;
    OK(filetab_check(&cases[2], &err), &err);
}

/* ---- the index of blocks ---- */

static void an_index_gives_back_its_places(void **state)
{
    struct table_block blocks[] = {{xstrdup("data"), {0, 0, 5}, 4096},
                                   {xstrdup("data/base/5/1259"), {2, 70000, 4095}, 1}};
    struct table_place maps[] = {{0, 0, 6}, {1, 3, 0}};
    const struct file_index x = {blocks, 2, maps, 2};
    AUTO(file_index_free) struct file_index back = {0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    (void)state;
    file_index_write(&x, &bytes);
    OK(file_index_parse(bytes.p, bytes.len, 3, &back, &err), &err);
    assert_int_equal(back.n_blocks, 2);
    assert_string_equal(back.blocks[1].first_path, "data/base/5/1259");
    assert_int_equal(back.blocks[1].entries, 1);
    assert_memory_equal(&back.blocks[1].at, &blocks[1].at, sizeof blocks[1].at);
    assert_int_equal(back.n_maps, 2);
    assert_memory_equal(back.maps, maps, sizeof maps);
    file_index_free(&back);
    for (size_t len = 0; len < bytes.len; len++)
        FAILS(file_index_parse(bytes.p, len, 3, &back, &err), &err, ERR_CORRUPT);
    FAILS(file_index_parse(bytes.p, bytes.len, 2, &back, &err), &err, ERR_CORRUPT); /* set 2 */
    free(blocks[0].first_path);
    free(blocks[1].first_path);
}

static void an_index_out_of_order_is_refused(void **state)
{
    struct table_block blocks[] = {{xstrdup("b"), {0}, 1}, {xstrdup("a"), {0}, 1}};
    const struct file_index x = {blocks, 2, NULL, 0};
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    struct file_index back;

    (void)state;
    file_index_write(&x, &bytes);
    FAILS(file_index_parse(bytes.p, bytes.len, 1, &back, &err), &err, ERR_CORRUPT);
    free(blocks[0].first_path);
    free(blocks[1].first_path);
}

/* ---- sets and packs ---- */

#define FIRST "20261122T140533Z-F-0a1b2c"
#define SECOND "20261121T140533Z-I-0a0b0c"

static struct set_table two_sets(void)
{
    struct set_table t = {xcalloc(3, sizeof *t.sets), 3};

    memcpy(t.sets[1].label, FIRST, LABEL_SIZE + 1);
    memcpy(t.sets[2].label, SECOND, LABEL_SIZE + 1);
    t.sets[1].n = 2;
    t.sets[1].packs = xcalloc(2, sizeof *t.sets[1].packs);
    t.sets[1].packs[0] = (struct pack_info){0, 4096, 33554432};
    t.sets[1].packs[1] = (struct pack_info){1, 2, UINT64_C(1) << 40};
    t.sets[2].n = 4;
    t.sets[2].packs = xcalloc(4, sizeof *t.sets[2].packs);
    t.sets[2].live = xcalloc(4, sizeof *t.sets[2].live);
    for (uint32_t i = 0; i < 4; i++) {
        t.sets[2].packs[i] = (struct pack_info){i * 1000000, 100, 5000 + i};
        t.sets[2].live[i] = xcalloc(1, OBJECT_CHUNKS_MAX / 8);
    }
    t.sets[2].live[0][0] = 0x81;  /* chunks 0 and 7 */
    t.sets[2].live[2][12] = 0x08; /* chunk 99, the last; of pack 1 none */
    memset(t.sets[2].live[3], 0xff, 12);
    t.sets[2].live[3][12] = 0x0f; /* all */
    return t;
}

static void the_lists_of_sets_and_packs_are_read_as_they_were_written(void **state)
{
    AUTO(set_table_free) struct set_table t = two_sets(), kept = {0}, checked = {0};
    AUTO(buf_free) struct buf sets = BUF_INIT;
    AUTO(buf_free) struct buf packs = BUF_INIT;

    (void)state;
    settab_write(&t, &sets);
    packtab_write(&t, &packs);
    OK(settab_parse(sets.p, sets.len, &kept, &err), &err);
    OK(packtab_parse(packs.p, packs.len, &kept, LIVE_KEPT, &err), &err);
    assert_int_equal(kept.n, 3);
    assert_string_equal(kept.sets[2].label, SECOND);
    assert_int_equal(kept.sets[1].n, 2);
    assert_int_equal(kept.sets[1].packs[1].size, UINT64_C(1) << 40);
    assert_null(kept.sets[1].live[0]);
    assert_int_equal(kept.sets[2].n, 3); /* the dead pack is not needed */
    assert_int_equal(kept.sets[2].packs[1].number, 2000000);
    assert_int_equal(kept.sets[2].packs[1].size, 5002);
    assert_int_equal(kept.sets[2].packs[1].chunks, 100);
    assert_memory_equal(kept.sets[2].live[0], t.sets[2].live[0], 512);
    assert_memory_equal(kept.sets[2].live[1], t.sets[2].live[2], 512);
    assert_null(kept.sets[2].live[2]);
    OK(settab_parse(sets.p, sets.len, &checked, &err), &err);
    OK(packtab_parse(packs.p, packs.len, &checked, LIVE_CHECKED, &err), &err);
    assert_null(checked.sets[2].live);
    assert_int_equal(checked.sets[2].n, 3);
}

static void lists_that_are_cut_off_are_refused(void **state)
{
    AUTO(set_table_free) struct set_table t = two_sets();
    AUTO(buf_free) struct buf sets = BUF_INIT;
    AUTO(buf_free) struct buf packs = BUF_INIT;

    (void)state;
    settab_write(&t, &sets);
    packtab_write(&t, &packs);
    for (size_t len = 0; len < sets.len; len++) {
        struct set_table back;
        FAILS(settab_parse(sets.p, len, &back, &err), &err, ERR_CORRUPT);
    }
    for (size_t len = 0; len < packs.len; len++) {
        AUTO(set_table_free) struct set_table back = {0};
        OK(settab_parse(sets.p, sets.len, &back, &err), &err);
        FAILS(packtab_parse(packs.p, len, &back, LIVE_KEPT, &err), &err, ERR_CORRUPT);
    }
}

static void impossible_packs_are_refused(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t len;
        bool fine;
    } cases[] = {
        {"one pack", BLOCK("\1\0\1\5\5"), true},
        {"two of its five chunks", BLOCK("\1\0\1\5\2\0\2\3"), true},
        {"a pack without chunks", BLOCK("\1\0\1\0\0"), false},
        {"4,097 chunks", BLOCK("\1\0\1\x81\x20\x81\x20"), false},
        {"more live chunks than chunks", BLOCK("\1\0\1\5\6"), false},
        {"runs that do not add up to the live ones", BLOCK("\1\0\1\5\2\0\3\2"), false},
        {"runs that go beyond the chunks", BLOCK("\1\0\1\5\2\0\2\4"), false},
        {"runs that end early", BLOCK("\1\0\1\5\2\0\2"), false},
        {"an empty run in the middle", BLOCK("\1\0\1\5\2\0\2\0\3"), false},
        {"a number that no pack has", BLOCK("\1\xff\xff\xff\xff\xf\1\5\5"), false},
        {"a number beyond all", BLOCK("\2\xfe\xff\xff\xff\xf\1\5\5\0\1\5\5"), false},
        {"more packs than bytes", BLOCK("\4\0\1\5\5"), false},
        {"bytes left over", BLOCK("\1\0\1\5\5\0"), false},
    };
    static const char one_set[] = "\1\x19" FIRST "\6";

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(set_table_free) struct set_table t = {0};
        int found;
        OK(settab_parse(one_set, sizeof one_set - 1, &t, &err), &err);
        err_clear(&err);
        found = packtab_parse(cases[i].bytes, cases[i].len, &t, LIVE_KEPT, &err);
        if (found != (cases[i].fine ? 0 : -1) || (found != 0 && err.code != ERR_CORRUPT))
            fail_msg("%s: %d \"%s\"", cases[i].what, found, err.msg);
    }
}

static void impossible_sets_are_refused(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t len;
    } cases[] = {
        {"no set", BLOCK("\0")},
        {"a label of 24 bytes", BLOCK("\1\x18"
                                      "20261122T140533Z-F-0a1b2"
                                      "\6\0")},
        {"a label of 24 bytes with which all ends", BLOCK("\1\x18"
                                                          "20261122T140533Z-F-0a1b2"
                                                          "\6")},
        {"no label", BLOCK("\1\x19"
                           "../../../etc/passwd/......"
                           "\6")},
        {"another number of pages in a chunk", BLOCK("\1\x19" FIRST "\5")},
        {"more sets than bytes", BLOCK("\2\x19" FIRST "\6")},
        {"bytes left over", BLOCK("\1\x19" FIRST "\6\0")},
    };

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct set_table t;
        err_clear(&err);
        if (settab_parse(cases[i].bytes, cases[i].len, &t, &err) == 0 || err.code != ERR_CORRUPT)
            fail_msg("%s: \"%s\"", cases[i].what, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_sort_as_a_directory_walk_meets_them),
        cmocka_unit_test(a_block_gives_back_its_entries),
        cmocka_unit_test(a_block_that_is_cut_off_is_refused),
        cmocka_unit_test(what_an_entry_names_must_be_there),
        cmocka_unit_test(unsafe_or_unordered_paths_are_refused),
        cmocka_unit_test(entries_that_could_not_be_read_again_are_not_written),
        cmocka_unit_test(an_index_gives_back_its_places),
        cmocka_unit_test(an_index_out_of_order_is_refused),
        cmocka_unit_test(the_lists_of_sets_and_packs_are_read_as_they_were_written),
        cmocka_unit_test(lists_that_are_cut_off_are_refused),
        cmocka_unit_test(impossible_packs_are_refused),
        cmocka_unit_test(impossible_sets_are_refused),
    };
    return cmocka_run_group_tests(tests, name_owners, drop_owners);
}
