/* store_contract.c - see store_contract.h. */
#include "tests/lib/test.h"

#include "tests/lib/store_contract.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/queue.h"
#include "repo/store/store.h"

static const char *const some_key = "main/wal/0000000000000001-15/00000001/00000000/x";

/* Bytes in which no part looks like another. */
static uint8_t *pattern(size_t len)
{
    uint8_t *p = xmalloc(len);
    uint32_t x = 12345;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (uint8_t)(x >> 24);
    }
    return p;
}

static void put(struct store *s, const char *key, const char *text)
{
    struct err err = {0};
    OK(store_put(s, key, STORE_CREATE_ONLY, text, strlen(text), &err), &err);
}

static void contains(struct store *s, const char *key, const void *data, size_t len)
{
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct err err = {0};

    OK(store_read(s, key, SIZE_MAX / 2, &got, &err), &err);
    assert_int_equal(got.len, len);
    if (len != 0)
        assert_memory_equal(got.p, data, len);
}

static void write_in_pieces(struct store *s, const char *key, const uint8_t *data, size_t len,
                            size_t piece)
{
    AUTO(store_abandon) struct store_writer *w = NULL;
    struct err err = {0};

    OK(store_create(s, key, STORE_REPLACE, &w, &err), &err);
    for (size_t at = 0; at < len; at += piece)
        OK(store_write(w, data + at, MIN_OF(piece, len - at), &err), &err);
    OK(store_commit(&w, STORE_DURABLE, &err), &err);
    assert_null(w);
}

void an_object_is_read_as_it_was_written(void **state)
{
    static const size_t sizes[] = {0,     1,       128,           4095,          4096,
                                   65536, 1 << 20, (1 << 20) + 1, (3 << 20) + 7, 4 << 20};
    static const size_t pieces[] = {997, 4096, 1 << 20, SIZE_MAX};
    AUTO(mem_free) uint8_t *data = pattern(4 << 20);

    for (size_t i = 0; i < LENGTH(sizes); i++)
        for (size_t j = 0; j < LENGTH(pieces); j++) {
            if (sizes[i] / pieces[j] > 5000)
                continue;
            write_in_pieces(*state, some_key, data, sizes[i], pieces[j]);
            contains(*state, some_key, data, sizes[i]);
        }
}

void nothing_is_visible_before_the_commit(void **state)
{
    AUTO(store_abandon) struct store_writer *w = NULL;
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct err err = {0};

    OK(store_create(*state, some_key, STORE_CREATE_ONLY, &w, &err), &err);
    OK(store_write(w, "half", 4, &err), &err);
    FAILS(store_read(*state, some_key, 100, &got, &err), &err, ERR_NOT_FOUND);
    a_listing_of_nothing_is_empty(state);
    OK(store_commit(&w, STORE_DURABLE, &err), &err);
    contains(*state, some_key, "half", 4);
}

void an_abandoned_object_leaves_nothing(void **state)
{
    struct store_writer *w = NULL;
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct err err = {0};

    OK(store_create(*state, some_key, STORE_CREATE_ONLY, &w, &err), &err);
    OK(store_write(w, "half", 4, &err), &err);
    store_abandon(&w);
    assert_null(w);
    FAILS(store_read(*state, some_key, 100, &got, &err), &err, ERR_NOT_FOUND);
    put(*state, some_key, "whole");
}

void create_only_keeps_what_is_there(void **state)
{
    struct store_writer *w = NULL;
    struct err err = {0};

    put(*state, some_key, "first");
    FAILS(store_put(*state, some_key, STORE_CREATE_ONLY, "other", 5, &err), &err, ERR_EXISTS);
    contains(*state, some_key, "first", 5);
    OK(store_create(*state, some_key, STORE_CREATE_ONLY, &w, &err), &err);
    OK(store_write(w, "third", 5, &err), &err);
    FAILS(store_commit(&w, STORE_DURABLE, &err), &err, ERR_EXISTS);
    assert_null(w);
    contains(*state, some_key, "first", 5);
}

void replace_puts_the_new_content_there(void **state)
{
    struct err err = {0};

    put(*state, some_key, "first, and longer");
    OK(store_put(*state, some_key, STORE_REPLACE, "second", 6, &err), &err);
    contains(*state, some_key, "second", 6);
    OK(store_put(*state, "main/lease/new", STORE_REPLACE, "x", 1, &err), &err);
    contains(*state, "main/lease/new", "x", 1);
}

struct race {
    struct store *store;
    atomic_int won, lost;
    atomic_int winner;
};

static int create_one(void *ctx, unsigned index, struct err *err)
{
    struct race *race = ctx;
    uint8_t content[100];
    struct err own = {0};

    memset(content, (int)index + 1, sizeof content);
    if (store_put(race->store, some_key, STORE_CREATE_ONLY, content, sizeof content, &own) == 0) {
        atomic_fetch_add(&race->won, 1);
        atomic_store(&race->winner, (int)index + 1);
        return 0;
    }
    if (own.code == ERR_EXISTS) {
        atomic_fetch_add(&race->lost, 1);
        return 0;
    }
    *err = own;
    return -1;
}

void of_many_creators_exactly_one_wins(void **state)
{
    enum { CREATORS = 8 };
    struct race race = {.store = *state};
    struct workers *workers;
    uint8_t content[100];
    struct err err = {0};

    OK(workers_start(&workers, CREATORS, create_one, &race, NULL, &err), &err);
    OK(workers_join(&workers, &err), &err);
    assert_int_equal(atomic_load(&race.won), 1);
    assert_int_equal(atomic_load(&race.lost), CREATORS - 1);
    memset(content, atomic_load(&race.winner), sizeof content);
    contains(*state, some_key, content, sizeof content);
}

void any_part_of_an_object_can_be_read(void **state)
{
    enum { SIZE = (1 << 20) + 5000 };
    static const struct {
        uint64_t offset;
        size_t len, got;
    } parts[] = {
        {0, 128, 128},
        {0, 4096, 4096},
        {4096, 1 << 20, 1 << 20},
        {4096, 8192, 8192},
        {1 << 20, 4096, 4096},
        {1 << 20, 1 << 20, 5000},
        {(1 << 20) + 4096, 8192, 904},
        {777, 333, 333},
        {SIZE - 1, 1, 1},
        {SIZE - 1, 100, 1},
        {SIZE, 100, 0},
        {UINT64_MAX / 4, 100, 0},
        {0, 0, 0},
    };
    AUTO(mem_free) uint8_t *data = pattern(SIZE);
    AUTO(mem_free) uint8_t *dst = xaligned(FS_ALIGN, SIZE + FS_ALIGN);
    struct err err = {0};
    uint64_t size;
    size_t got;

    write_in_pieces(*state, some_key, data, SIZE, SIZE);
    for (size_t i = 0; i < LENGTH(parts); i++) {
        OK(store_get(*state, some_key, parts[i].offset, parts[i].len, dst, &got, &size, &err),
           &err);
        assert_int_equal(got, parts[i].got);
        assert_int_equal(size, SIZE);
        if (got != 0)
            assert_memory_equal(dst, data + parts[i].offset, got);
    }
    OK(store_get(*state, some_key, 0, 1, dst, &got, NULL, &err), &err);
}

void the_tail_is_the_last_bytes(void **state)
{
    static const size_t lens[] = {1, 64, 999, 1000, 1001, 32768};
    AUTO(mem_free) uint8_t *data = pattern(1000);
    uint8_t dst[32768];
    struct err err = {0};
    uint64_t size;
    size_t got;

    write_in_pieces(*state, some_key, data, 1000, 1000);
    for (size_t i = 0; i < LENGTH(lens); i++) {
        size_t expected = MIN_OF(lens[i], (size_t)1000);
        OK(store_tail(*state, some_key, lens[i], dst, &got, &size, &err), &err);
        assert_int_equal(got, expected);
        assert_int_equal(size, 1000);
        assert_memory_equal(dst, data + 1000 - expected, expected);
    }
}

void a_missing_object_is_not_found(void **state)
{
    static const char *const keys[] = {"nothing", "main/nothing", "main/no/such/directory",
                                       "main/there/below-a-file"};
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct store_entry entry;
    struct err err = {0};
    char dst[10];
    size_t got;

    put(*state, "main/there", "a file, not a directory");
    for (size_t i = 0; i < LENGTH(keys); i++) {
        FAILS(store_get(*state, keys[i], 0, 10, dst, &got, NULL, &err), &err, ERR_NOT_FOUND);
        assert_non_null(strstr(err.msg, keys[i]));
        FAILS(store_tail(*state, keys[i], 10, dst, &got, NULL, &err), &err, ERR_NOT_FOUND);
        FAILS(store_read(*state, keys[i], 10, &out, &err), &err, ERR_NOT_FOUND);
        FAILS(store_stat(*state, keys[i], &entry, &err), &err, ERR_NOT_FOUND);
        FAILS(store_confirm(*state, keys[i], &err), &err, ERR_NOT_FOUND);
    }
    assert_int_equal(out.len, 0);
}

void an_object_larger_than_expected_is_refused(void **state)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    AUTO(mem_free) uint8_t *data = pattern(200000);
    struct err err = {0};

    buf_adds(&out, "before ");
    put(*state, some_key, "12345");
    FAILS(store_read(*state, some_key, 4, &out, &err), &err, ERR_CORRUPT);
    assert_string_equal(buf_text(&out), "before ");
    OK(store_read(*state, some_key, 5, &out, &err), &err);
    assert_string_equal(buf_text(&out), "before 12345");
    write_in_pieces(*state, some_key, data, 200000, 200000);
    FAILS(store_read(*state, some_key, 199999, &out, &err), &err, ERR_CORRUPT);
}

/* ---- listing ---- */

static int note_key(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)err;
    assert_int_equal(entry->is_prefix, entry->key[strlen(entry->key) - 1] == '/');
    buf_addf(ctx, "%s\n", entry->key);
    return 0;
}

static void lists(struct store *s, const char *prefix, enum store_depth depth, const char *expected)
{
    AUTO(buf_free) struct buf got = BUF_INIT;
    struct err err = {0};

    OK(store_list(s, prefix, depth, note_key, &got, NULL, &err), &err);
    assert_string_equal(buf_text(&got), expected);
}

/* '-' and '.' come before '/', '0' after it: the order of the whole keys, not of the names. */
static void put_keys(struct store *s)
{
    static const char *const keys[] = {"pgbr-repo", "a/x/2", "a/x/10",     "a/x-y", "a/x.z",
                                       "a/x0",      "a-b/k", "a/x/1/deep", "Z",     "a/x-/q"};

    for (size_t i = 0; i < LENGTH(keys); i++)
        put(s, keys[i], keys[i]);
}

void a_listing_is_in_byte_order_of_the_keys(void **state)
{
    put_keys(*state);
    lists(*state, "", STORE_DEEP,
          "Z\na-b/k\na/x-/q\na/x-y\na/x.z\na/x/1/deep\na/x/10\na/x/2\na/x0\npgbr-repo\n");
    lists(*state, "a/", STORE_DEEP, "a/x-/q\na/x-y\na/x.z\na/x/1/deep\na/x/10\na/x/2\na/x0\n");
    lists(*state, "a/x/", STORE_DEEP, "a/x/1/deep\na/x/10\na/x/2\n");
}

void a_shallow_listing_names_what_lies_deeper_once(void **state)
{
    put_keys(*state);
    lists(*state, "", STORE_SHALLOW, "Z\na-b/\na/\npgbr-repo\n");
    lists(*state, "a/", STORE_SHALLOW, "a/x-/\na/x-y\na/x.z\na/x/\na/x0\n");
    lists(*state, "a/x/", STORE_SHALLOW, "a/x/1/\na/x/10\na/x/2\n");
}

void a_listing_of_nothing_is_empty(void **state)
{
    struct err err = {0};

    lists(*state, "", STORE_DEEP, "");
    lists(*state, "", STORE_SHALLOW, "");
    lists(*state, "main/backup/", STORE_DEEP, "");
    FAILS(store_list(*state, "main", STORE_DEEP, note_key, NULL, NULL, &err), &err, ERR_FAILED);
}

struct seen {
    size_t n;
    uint64_t size;
    int64_t modified_us;
};

static int note_entry(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct seen *seen = ctx;

    (void)err;
    seen->n++;
    seen->size = entry->size;
    seen->modified_us = entry->modified_us;
    return 0;
}

void a_listing_tells_sizes_and_times(void **state)
{
    struct seen seen = {0};
    struct store_entry entry;
    struct err err = {0};
    int64_t before, after;

    OK(store_now(*state, &before, &err), &err);
    put(*state, some_key, "12345");
    OK(store_list(*state, "", STORE_DEEP, note_entry, &seen, &after, &err), &err);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.size, 5);
    assert_true(before <= seen.modified_us && seen.modified_us <= after);
    OK(store_stat(*state, some_key, &entry, &err), &err);
    assert_int_equal(entry.size, 5);
    assert_int_equal(entry.modified_us, seen.modified_us);
    assert_string_equal(entry.key, some_key);
}

static int stop_at_second(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)entry;
    (void)err;
    return ++*(int *)ctx == 2 ? 77 : 0;
}

static int fail_at_once(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)ctx;
    return err_set(err, ERR_CONFLICT, "not this one: %s", entry->key);
}

void a_callback_can_stop_the_listing(void **state)
{
    struct err err = {0};
    int calls = 0;

    put_keys(*state);
    assert_int_equal(store_list(*state, "", STORE_DEEP, stop_at_second, &calls, NULL, &err), 77);
    assert_int_equal(calls, 2);
    FAILS(store_list(*state, "a/", STORE_SHALLOW, fail_at_once, NULL, NULL, &err), &err,
          ERR_CONFLICT);
    assert_string_equal(err.msg, "not this one: a/x-/");
}

struct cleanup {
    struct store *store;
    size_t n;
};

static int delete_it(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct cleanup *c = ctx;

    c->n++;
    return store_delete(c->store, &entry->key, 1, err);
}

void objects_may_be_deleted_while_listing(void **state)
{
    struct cleanup c = {.store = *state};
    struct err err = {0};

    put_keys(*state);
    OK(store_list(*state, "", STORE_DEEP, delete_it, &c, NULL, &err), &err);
    assert_int_equal(c.n, 10);
    a_listing_of_nothing_is_empty(state);
}

void deleting_removes_what_is_there_and_ignores_the_rest(void **state)
{
    static const char *const gone[] = {"a/x/10", "a/never", "never/was/here", "a/x-y", "a/x/10"};
    struct err err = {0};

    put_keys(*state);
    OK(store_delete(*state, gone, LENGTH(gone), &err), &err);
    lists(*state, "a/", STORE_DEEP, "a/x-/q\na/x.z\na/x/1/deep\na/x/2\na/x0\n");
    OK(store_delete(*state, gone, 0, &err), &err);
    put(*state, "a/x/10", "again");
    contains(*state, "a/x/10", "again", 5);
}

void keys_that_are_no_keys_are_refused(void **state)
{
    static const char *const bad[] = {
        "",    "/",    "/a",   "a/", "a//b",     ".",   "..",    "a/../b",   "a/..",       "./a",
        "a b", "a\nb", "a\\b", "a*", "\xc3\xa4", "tmp", "tmp/x", "main/tmp", "main/tmp/x", "a%b"};
    AUTO(mem_free) char *longest = xmalloc(257);
    struct store_writer *w = NULL;
    struct err err = {0};
    char dst[4];
    size_t got;

    for (size_t i = 0; i < LENGTH(bad); i++) {
        FAILS(store_create(*state, bad[i], STORE_REPLACE, &w, &err), &err, ERR_FAILED);
        FAILS(store_put(*state, bad[i], STORE_REPLACE, "x", 1, &err), &err, ERR_FAILED);
        FAILS(store_get(*state, bad[i], 0, 4, dst, &got, NULL, &err), &err, ERR_FAILED);
        FAILS(store_delete(*state, &bad[i], 1, &err), &err, ERR_FAILED);
    }
    memset(longest, 'k', 256);
    longest[256] = '\0';
    FAILS(store_put(*state, longest, STORE_REPLACE, "x", 1, &err), &err, ERR_FAILED);
    longest[255] = '\0';
    put(*state, longest, "x");
    put(*state, "A/z_9@-../tmp/...x", "x");
}

void lazy_objects_are_there_before_and_after_the_sync(void **state)
{
    AUTO(store_abandon) struct store_writer *w = NULL;
    struct err err = {0};

    OK(store_create(*state, "main/data/set/00000/00000000", STORE_CREATE_ONLY, &w, &err), &err);
    OK(store_write(w, "pack", 4, &err), &err);
    OK(store_commit(&w, STORE_LAZY, &err), &err);
    contains(*state, "main/data/set/00000/00000000", "pack", 4);
    OK(store_sync(*state, &err), &err);
    OK(store_sync(*state, &err), &err);
    contains(*state, "main/data/set/00000/00000000", "pack", 4);
}

void a_stored_object_can_be_confirmed(void **state)
{
    struct err err = {0};

    put(*state, some_key, "here");
    OK(store_confirm(*state, some_key, &err), &err);
    contains(*state, some_key, "here", 4);
}

void a_probe_finds_an_exact_store(void **state)
{
    struct store_traits traits;
    struct err err = {0};

    OK(store_probe(*state, &traits, &err), &err);
    assert_true(traits.exact_create_only);
    assert_true(traits.listing_consistent);
    assert_int_not_equal(strlen(traits.kind), 0);
    lists(*state, "", STORE_DEEP, "");
}
