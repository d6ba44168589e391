#include "repo/wal/wal_object.h"

#include <stdlib.h>

#include "base/mem.h"
#include "repo/object/object_form.h"
#include "tests/unit/repo/sample_repo.h"

#define SEG "0000000100000002000000A7"
#define NEXT "0000000100000002000000A8"
#define KEY "main/wal/0000000000001267-15/00000001/00000002/" SEG
#define HISTORY "00000002.history"
#define KEY_HISTORY "main/wal/0000000000001267-15/history/" HISTORY
#define KEY_OTHER_TLI "main/wal/0000000000001267-15/00000002/00000002/0000000200000002000000A7"
#define KEY_OTHER_ID "main/wal/0000000000001268-15/00000001/00000002/" SEG
#define KEY_NEXT "main/wal/0000000000001267-15/00000001/00000002/" NEXT

static struct err err;

/* Half of it compresses, half does not. */
static void fill(struct buf *raw, size_t len, uint32_t seed)
{
    buf_clear(raw);
    buf_reserve(raw, len);
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        raw->p[i] = i / 8192 % 2 == 0 ? (char)(seed >> 24) : (char)(i >> 16);
    }
    raw->len = len;
}

static struct wal_source source_of(const char *file, const struct buf *raw, const char *index)
{
    return (struct wal_source){.system_id = SAMPLE_SYSTEM_ID,
                               .major = SAMPLE_MAJOR,
                               .file = file,
                               .raw = raw->p,
                               .raw_len = raw->len,
                               .index = index,
                               .index_len = index != NULL ? strlen(index) : 0};
}

static int push_with(unsigned threads, struct repo *r, const char *file, const struct buf *raw,
                     enum wal_put *done)
{
    const bool segment = strlen(file) == strlen(SEG);
    const struct wal_source s = source_of(file, raw, segment ? "an index" : NULL);

    return wal_object_put(r, &s, threads, done, &err);
}

static int push(struct repo *r, const char *file, const struct buf *raw, enum wal_put *done)
{
    return push_with(1, r, file, raw, done);
}

static int fetch(struct repo *r, const char *file, struct buf *out)
{
    return wal_object_get(r, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, file, 16 << 20, 1, out, &err);
}

static void holds(struct repo *r, const char *file, const struct buf *raw)
{
    AUTO(buf_free) struct buf got = BUF_INIT;

    OK(fetch(r, file, &got), &err);
    assert_int_equal(got.len, raw->len);
    assert_memory_equal(got.p, raw->p, raw->len);
}

/* ---- storing and reading ---- */

static void every_wal_file_comes_back(void **state)
{
    static const struct {
        const char *file;
        size_t len;
    } files[] = {
        {SEG, 1 << 20},
        {NEXT, 16 << 20},
        {"0000000100000002000000A9",
         (3 << 20) + 5}, /* not a size PostgreSQL has, but what is asked */
        {"0000000100000002000000AA", 17},
        {"0000000100000002000000A9.partial", 2 << 20},
        {"00000002.history", 41},
        {"0000000100000002000000A7.00000028.backup", 333},
    };

    (void)state;
    for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(buf_free) struct buf raw = BUF_INIT;

        sample_repo_begin(&s, encrypted != 0, 0);
        for (size_t i = 0; i < LENGTH(files); i++) {
            for (unsigned threads = 1; threads <= 4; threads += 3) {
                AUTO(buf_free) struct buf got = BUF_INIT;
                enum wal_put done;
                struct wal_source w;

                fill(&raw, files[i].len, (uint32_t)i);
                w = source_of(files[i].file, &raw, NULL);
                OK(wal_object_put(s.repo, &w, threads, &done, &err), &err);
                assert_int_equal(done, threads == 1 ? WAL_STORED : WAL_WAS_THERE);
                OK(wal_object_get(s.repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, files[i].file, 16 << 20,
                                  threads, &got, &err),
                   &err);
                assert_int_equal(got.len, raw.len);
                assert_memory_equal(got.p, raw.p, raw.len);
            }
        }
    }
}

static void an_index_comes_back_where_there_is_one(void **state)
{
    (void)state;
    for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(buf_free) struct buf raw = BUF_INIT, index = BUF_INIT;
        struct wal_source w;
        enum wal_put done;

        sample_repo_begin(&s, encrypted != 0, 0);
        fill(&raw, 1 << 20, 1);
        w = source_of(SEG, &raw, "what the segment holds");
        OK(wal_object_put(s.repo, &w, 1, &done, &err), &err);
        OK(wal_object_index(s.repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, SEG, &index, NULL, &err), &err);
        assert_string_equal(buf_text(&index), "what the segment holds");
        w = source_of(NEXT, &raw, NULL);
        OK(wal_object_put(s.repo, &w, 1, &done, &err), &err);
        FAILS(wal_object_index(s.repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, NEXT, &index, NULL, &err),
              &err, ERR_NOT_FOUND);
        assert_non_null(strstr(err.msg, "carries no WAL index"));
    }
}

static void what_is_not_there_is_not_found(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(buf_free) struct buf out = BUF_INIT;
    bool whole = true;

    (void)state;
    sample_repo_begin(&s, false, 0);
    FAILS(fetch(s.repo, SEG, &out), &err, ERR_NOT_FOUND);
    FAILS(fetch(s.repo, "00000002.history", &out), &err, ERR_NOT_FOUND);
    FAILS(wal_object_index(s.repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, SEG, &out, NULL, &err), &err,
          ERR_NOT_FOUND);
    OK(wal_object_exists(s.repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, SEG, &whole, &err), &err);
    assert_false(whole);
}

static void what_is_no_wal_is_refused(void **state)
{
    static const char *const names[] = {"",       "x",     "pg_wal",          "../" SEG,
                                        SEG ".p", SEG "0", "00000002.histor", SEG ".backup"};
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(buf_free) struct buf raw = BUF_INIT, out = BUF_INIT;
    enum wal_put done;

    (void)state;
    sample_repo_begin(&s, false, 0);
    fill(&raw, 100, 1);
    for (size_t i = 0; i < LENGTH(names); i++) {
        FAILS(push(s.repo, names[i], &raw, &done), &err, ERR_USAGE);
        FAILS(fetch(s.repo, names[i], &out), &err, ERR_USAGE);
    }
    buf_clear(&raw);
    FAILS(push(s.repo, SEG, &raw, &done), &err, ERR_FAILED);
}

static void more_than_was_asked_for_is_refused(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(buf_free) struct buf raw = BUF_INIT, out = BUF_INIT;
    const char *const files[] = {SEG, "00000002.history"};
    enum wal_put done;

    (void)state;
    sample_repo_begin(&s, false, 0);
    fill(&raw, 5 << 20, 1);
    for (size_t i = 0; i < LENGTH(files); i++) {
        OK(push(s.repo, files[i], &raw, &done), &err);
        for (size_t less = 1; less < 5 << 20; less = less * 3 + 1) {
            FAILS(wal_object_get(s.repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, files[i], raw.len - less,
                                 1, &out, &err),
                  &err, ERR_CORRUPT);
            assert_int_equal(out.len, 0);
            assert_non_null(strstr(err.msg, files[i]));
        }
        OK(wal_object_get(s.repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, files[i], raw.len, 1, &out, &err),
           &err);
    }
}

/* ---- the same name again ---- */

static void the_same_file_again_is_fine(void **state)
{
    static const char *const files[] = {SEG, SEG ".partial", "00000003.history"};

    (void)state;
    for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(buf_free) struct buf raw = BUF_INIT, before = BUF_INIT, after = BUF_INIT;
        enum wal_put done;

        sample_repo_begin(&s, encrypted != 0, 0);
        fill(&raw, 1 << 20, 1);
        for (size_t i = 0; i < LENGTH(files); i++) {
            OK(push(s.repo, files[i], &raw, &done), &err);
            assert_int_equal(done, WAL_STORED);
            if (i == 0)
                OK(store_read(s.store, KEY, 1 << 30, &before, &err), &err);
            OK(push(s.repo, files[i], &raw, &done), &err);
            assert_int_equal(done, WAL_WAS_THERE);
        }
        OK(store_read(s.store, KEY, 1 << 30, &after, &err), &err);
        assert_int_equal(before.len, after.len);
        assert_memory_equal(before.p, after.p, after.len);
    }
}

static void tag_of(struct sample_repo *s, const char *key, struct buf *hex)
{
    AUTO(buf_free) struct buf whole = BUF_INIT;
    struct object_head head;

    OK(store_read(s->store, key, 1 << 30, &whole, &err), &err);
    OK(object_head_parse(whole.p, &head, &err), &err);
    buf_clear(hex);
    buf_hex(hex, head.tag, sizeof head.tag);
}

/* Both contents are named, and they differ. */
static void says_both_tags(const char *stored)
{
    const char *theirs = strstr(err.msg, "(content "), *mine;

    assert_non_null(theirs);
    assert_memory_equal(theirs + 9, stored, 32);
    mine = strstr(theirs + 1, "(content ");
    assert_non_null(mine);
    assert_int_equal(strspn(mine + 9, "0123456789abcdef"), 32);
    assert_memory_not_equal(theirs + 9, mine + 9, 32);
}

static void other_content_under_the_name_is_a_conflict(void **state)
{
    static const char *const keys[] = {KEY, KEY_HISTORY};
    static const char *const files[] = {SEG, HISTORY};

    (void)state;
    for (unsigned i = 0; i < 2 * LENGTH(files); i++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(buf_free) struct buf first = BUF_INIT, second = BUF_INIT, tag = BUF_INIT;
        enum wal_put done;

        sample_repo_begin(&s, i % 2 != 0, 0);
        fill(&first, 1 << 20, 1);
        fill(&second, 1 << 20, 1);
        second.p[first.len - 1] ^= 1;
        OK(push(s.repo, files[i / 2], &first, &done), &err);
        FAILS(push(s.repo, files[i / 2], &second, &done), &err, ERR_CONFLICT);
        assert_non_null(strstr(err.msg, files[i / 2]));
        tag_of(&s, keys[i / 2], &tag);
        says_both_tags(buf_text(&tag));
        holds(s.repo, files[i / 2], &first);
    }
}

static void cut_object(struct sample_repo *s, const char *key, size_t len)
{
    AUTO(buf_free) struct buf whole = BUF_INIT;

    OK(store_read(s->store, key, 1 << 30, &whole, &err), &err);
    OK(store_put(s->store, key, STORE_REPLACE, whole.p, len, &err), &err);
}

static void an_object_without_an_end_is_replaced(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(buf_free) struct buf raw = BUF_INIT, other = BUF_INIT;
    size_t lengths[] = {0, 1, 127, 128, 191, 192, 5000, SIZE_MAX};
    struct store_entry e;
    enum wal_put done;

    (void)state;
    sample_repo_begin(&s, false, 0);
    fill(&raw, 1 << 20, 1);
    fill(&other, 1 << 20, 2);
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        bool whole = true;

        OK(store_delete(s.store, (const char *const[]){KEY}, 1, &err), &err);
        OK(push(s.repo, SEG, i % 2 == 0 ? &raw : &other, &done), &err);
        OK(store_stat(s.store, KEY, &e, &err), &err);
        cut_object(&s, KEY, MIN_OF(lengths[i], (size_t)e.size - 1));
        OK(wal_object_exists(s.repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, SEG, &whole, &err), &err);
        assert_false(whole);
        OK(push(s.repo, SEG, &raw, &done), &err);
        assert_int_equal(done, WAL_REPLACED_BROKEN);
        holds(s.repo, SEG, &raw);
    }
}

static void a_rotten_object_of_this_content_is_replaced(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(buf_free) struct buf raw = BUF_INIT;
    static const long places[] = {20, 128, 200, 300000, -65, -64, -1};
    enum wal_put done;

    (void)state;
    sample_repo_begin(&s, false, 0);
    fill(&raw, 1 << 20, 1);
    OK(push(s.repo, SEG, &raw, &done), &err);
    for (size_t i = 0; i < LENGTH(places); i++) {
        sample_repo_damage(&s, KEY, places[i]);
        OK(push(s.repo, SEG, &raw, &done), &err);
        assert_int_equal(done, WAL_REPLACED_BROKEN);
        OK(push(s.repo, SEG, &raw, &done), &err);
        assert_int_equal(done, WAL_WAS_THERE);
        holds(s.repo, SEG, &raw);
    }
}

/* Its bytes are damaged, but it says whose it is. */
static void a_rotten_object_of_other_content_stays(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(buf_free) struct buf raw = BUF_INIT, other = BUF_INIT, before = BUF_INIT, after = BUF_INIT;
    enum wal_put done;

    (void)state;
    sample_repo_begin(&s, false, 0);
    fill(&raw, 1 << 20, 1);
    fill(&other, 1 << 20, 2);
    OK(push(s.repo, SEG, &other, &done), &err);
    sample_repo_damage(&s, KEY, 5000);
    OK(store_read(s.store, KEY, 1 << 30, &before, &err), &err);
    FAILS(push(s.repo, SEG, &raw, &done), &err, ERR_CONFLICT);
    OK(store_read(s.store, KEY, 1 << 30, &after, &err), &err);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.p, after.p, after.len);
}

static void copy_object(struct store *from, const char *key, struct store *to, const char *new_key)
{
    AUTO(buf_free) struct buf whole = BUF_INIT;

    OK(store_read(from, key, 1 << 30, &whole, &err), &err);
    OK(store_put(to, new_key, STORE_REPLACE, whole.p, whole.len, &err), &err);
}

/* A plain repository's tags have no key: equal content, yet readers would refuse it. */
static void what_an_earlier_repository_left_does_not_count(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(sample_repo_end) struct sample_repo earlier;
    AUTO(buf_free) struct buf raw = BUF_INIT, out = BUF_INIT;
    enum wal_put done;

    (void)state;
    sample_repo_begin(&s, false, 0);
    sample_repo_begin(&earlier, false, 0);
    fill(&raw, 1 << 20, 1);
    OK(push(earlier.repo, SEG, &raw, &done), &err);
    copy_object(earlier.store, KEY, s.store, KEY);
    FAILS(push(s.repo, SEG, &raw, &done), &err, ERR_FOREIGN);
    assert_non_null(strstr(err.msg, KEY));
    FAILS(fetch(s.repo, SEG, &out), &err, ERR_FOREIGN);
}

/* ---- faults ---- */

/* A repository whose nth store call from now on fails. */
static struct repo *flaky_repo(struct sample_repo *s, struct store **fault, long nth,
                               enum store_fault_kind kind)
{
    AUTO(store_close) struct store *probe = store_fault_new(s->store, -1, kind);
    struct repo *r = NULL;
    long calls;

    OK(repo_open(&r, TAKE(probe), &s->options, REPO_OPEN_FULL, &err), &err);
    calls = store_fault_calls(repo_store(r));
    repo_close(&r);
    *fault = store_fault_new(s->store, nth < 0 ? -1 : calls + nth, kind);
    OK(repo_open(&r, *fault, &s->options, REPO_OPEN_FULL, &err), &err);
    assert_int_equal(store_fault_calls(*fault), calls);
    return r;
}

/* Whichever call fails, nothing half done is there, and pushing again succeeds. */
static void break_pushes_of(unsigned threads, size_t len)
{
    static const enum store_fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_FOREVER};
    AUTO(buf_free) struct buf raw = BUF_INIT;
    unsigned failed = 0;

    fill(&raw, len, 1);
    for (size_t k = 0; k < LENGTH(kinds); k++) {
        for (long nth = 0;; nth++) {
            AUTO(sample_repo_end) struct sample_repo s;
            AUTO(buf_free) struct buf got = BUF_INIT;
            AUTO(repo_close) struct repo *flaky = NULL;
            struct store *fault;
            enum wal_put done;
            int rc;

            sample_repo_begin(&s, false, 0);
            flaky = flaky_repo(&s, &fault, nth, kinds[k]);
            rc = push_with(threads, flaky, SEG, &raw, &done);
            if (rc != 0) {
                assert_int_equal(err.code, ERR_UNREACHABLE);
                failed++;
            }
            if (fetch(s.repo, SEG, &got) != 0)
                assert_int_equal(err.code, ERR_NOT_FOUND);
            else
                assert_int_equal(got.len, raw.len);
            assert_true(rc != 0 || got.len == raw.len);
            OK(push(s.repo, SEG, &raw, &done), &err);
            holds(s.repo, SEG, &raw);
            if (rc == 0 && kinds[k] != FAULT_AFTER)
                break;
            if (rc == 0 && nth > 100)
                break;
        }
    }
    assert_true(failed > 10);
}

static void a_broken_push_leaves_all_or_nothing(void **state)
{
    (void)state;
    break_pushes_of(1, (1 << 20) + 7);
    break_pushes_of(3, (4 << 20) + 7);
}

/* The commit took effect, but its answer was lost: the object is this very write. */
static void a_lost_reply_is_a_success(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(buf_free) struct buf raw = BUF_INIT;
    AUTO(repo_close) struct repo *counted = NULL, *flaky = NULL;
    struct store *fault;
    enum wal_put done;
    long before, calls;

    (void)state;
    sample_repo_begin(&s, false, 0);
    fill(&raw, 1 << 20, 1);
    counted = flaky_repo(&s, &fault, -1, FAULT_AFTER);
    before = store_fault_calls(fault);
    OK(push(counted, SEG, &raw, &done), &err);
    calls = store_fault_calls(fault) - before; /* the last one is the commit */
    flaky = flaky_repo(&s, &fault, calls - 1, FAULT_AFTER);
    OK(push(flaky, NEXT, &raw, &done), &err);
    assert_int_equal(done, WAL_STORED);
    assert_true(store_fault_calls(fault) > before + calls);
    holds(s.repo, NEXT, &raw);
}

/* ---- objects in wrong places, damaged, of other keys ---- */

static void a_renamed_object_is_refused(void **state)
{
    static const struct {
        const char *file, *key;
        uint64_t system_id;
    } places[] = {
        {NEXT, KEY_NEXT, SAMPLE_SYSTEM_ID},
        {SEG ".partial", KEY ".partial", SAMPLE_SYSTEM_ID},
        {"0000000200000002000000A7", KEY_OTHER_TLI, SAMPLE_SYSTEM_ID},
        {SEG, KEY_OTHER_ID, SAMPLE_SYSTEM_ID + 1},
        {HISTORY, KEY_HISTORY, SAMPLE_SYSTEM_ID},
    };

    (void)state;
    for (unsigned i = 0; i < 2 * LENGTH(places); i++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(buf_free) struct buf raw = BUF_INIT, out = BUF_INIT;
        const char *file = places[i / 2].file;
        bool whole = true;
        enum wal_put done;

        sample_repo_begin(&s, i % 2 != 0, 0);
        fill(&raw, 1 << 20, 1);
        OK(push(s.repo, SEG, &raw, &done), &err);
        copy_object(s.store, KEY, s.store, places[i / 2].key);
        FAILS(wal_object_get(s.repo, places[i / 2].system_id, SAMPLE_MAJOR, file, 16 << 20, 1, &out,
                             &err),
              &err, ERR_CORRUPT);
        assert_non_null(strstr(err.msg, places[i / 2].key));
        OK(wal_object_exists(s.repo, places[i / 2].system_id, SAMPLE_MAJOR, file, &whole, &err),
           &err);
        assert_false(whole);
    }
}

/* A chunk of one segment in the place of the same chunk of another, all checksums made to fit. */
static void a_chunk_of_another_segment_is_refused(void **state)
{
    (void)state;
    for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(buf_free) struct buf raw = BUF_INIT, whole = BUF_INIT, out = BUF_INIT;
        struct object_head head;
        enum wal_put done;

        sample_repo_begin(&s, encrypted != 0, 0);
        fill(&raw, 1 << 20, 1);
        OK(push(s.repo, SEG, &raw, &done), &err);
        OK(store_read(s.store, KEY, 1 << 30, &whole, &err), &err);
        OK(object_head_parse(whole.p, &head, &err), &err);
        OK(label_wal(head.label, SAMPLE_SYSTEM_ID, NEXT, &err), &err);
        object_head_format(&head, (uint8_t *)whole.p);
        OK(store_put(s.store, KEY_NEXT, STORE_REPLACE, whole.p, whole.len, &err), &err);
        FAILS(fetch(s.repo, NEXT, &out), &err, ERR_CORRUPT);
        assert_non_null(strstr(err.msg, KEY_NEXT));
    }
}

static void an_object_of_another_key_is_refused(void **state)
{
    (void)state;
    for (unsigned encrypted = 0; encrypted < 2; encrypted++) {
        AUTO(sample_repo_end) struct sample_repo s;
        AUTO(sample_repo_end) struct sample_repo other;
        AUTO(buf_free) struct buf raw = BUF_INIT, whole = BUF_INIT, out = BUF_INIT;
        struct object_head head;
        enum wal_put done;

        sample_repo_begin(&s, true, 0);
        sample_repo_begin(&other, encrypted != 0, 0);
        fill(&raw, 1 << 20, 1);
        OK(push(other.repo, SEG, &raw, &done), &err);
        OK(store_read(other.store, KEY, 1 << 30, &whole, &err), &err);
        OK(object_head_parse(whole.p, &head, &err), &err);
        memcpy(head.repo_id, repo_id(s.repo), sizeof head.repo_id);
        object_head_format(&head, (uint8_t *)whole.p);
        OK(store_put(s.store, KEY, STORE_REPLACE, whole.p, whole.len, &err), &err);
        FAILS(fetch(s.repo, SEG, &out), &err, ERR_CORRUPT);
        assert_non_null(strstr(err.msg, KEY));
    }
}

static void each_flipped_bit_and_each_cut_is_found(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(buf_free) struct buf raw = BUF_INIT, whole = BUF_INIT, out = BUF_INIT;
    enum wal_put done;

    (void)state;
    sample_repo_begin(&s, false, 0);
    buf_adds(&raw, "a short file of WAL");
    OK(push(s.repo, SEG, &raw, &done), &err);
    OK(store_read(s.store, KEY, 1 << 30, &whole, &err), &err);
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        whole.p[bit / 8] ^= (char)(1u << bit % 8);
        OK(store_put(s.store, KEY, STORE_REPLACE, whole.p, whole.len, &err), &err);
        whole.p[bit / 8] ^= (char)(1u << bit % 8);
        if (fetch(s.repo, SEG, &out) == 0) /* only what lies beside the data: the index */
            assert_memory_equal(out.p, raw.p, raw.len);
        else
            assert_int_equal(err.code, ERR_CORRUPT);
    }
    for (size_t len = 0; len < whole.len; len++) {
        OK(store_put(s.store, KEY, STORE_REPLACE, whole.p, len, &err), &err);
        FAILS(fetch(s.repo, SEG, &out), &err, ERR_CORRUPT);
    }
}

/* ---- without the key; names ---- */

static void without_the_key_wal_is_there_but_unreadable(void **state)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(buf_free) struct buf raw = BUF_INIT, out = BUF_INIT;
    enum wal_put done;
    bool whole = false;

    (void)state;
    sample_repo_begin(&s, true, 0);
    fill(&raw, 1 << 20, 1);
    OK(push(s.repo, SEG, &raw, &done), &err);
    OK(push(s.repo, HISTORY, &raw, &done), &err);
    r = sample_repo_other(&s, store_mem_share(s.store), REPO_OPEN_NO_KEY);
    OK(wal_object_exists(r, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, SEG, &whole, &err), &err);
    assert_true(whole);
    FAILS(fetch(r, SEG, &out), &err, ERR_KEY);
    FAILS(fetch(r, HISTORY, &out), &err, ERR_KEY);
    FAILS(wal_object_index(r, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, SEG, &out, NULL, &err), &err,
          ERR_KEY);
    FAILS(push(r, NEXT, &raw, &done), &err, ERR_KEY);
    OK(wal_object_exists(r, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, NEXT, &whole, &err), &err);
    assert_false(whole);
}

static int note_name(void *ctx, const struct wal_entry *e, struct err *why)
{
    (void)why;
    buf_addf(ctx, "%s ", e->file);
    return e->size > 128 ? 0 : -1;
}

static void list_is(struct repo *r, uint32_t timeline, uint32_t from_log, const char *expected)
{
    AUTO(buf_free) struct buf names = BUF_INIT;

    OK(wal_objects_list(r, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, timeline, from_log, note_name, &names,
                        &err),
       &err);
    assert_string_equal(buf_text(&names), expected);
}

static void files_are_listed_in_order_and_nothing_else(void **state)
{
    static const char *const files[] = {"000000010000000200000001",
                                        "000000010000000000000003",
                                        "0000000A0000000200000001",
                                        "000000010000000000000003.partial",
                                        "00000002.history",
                                        "0000000A.history",
                                        "000000010000000200000001.00000028.backup"};
#define ROOT "main/wal/0000000000001267-15/"
    static const char *const junk[] = {ROOT "00000001/00000002/notes.txt",
                                       ROOT "00000001/00000002/000000010000000300000001",
                                       ROOT "00000001/00000002/00000001000000020000000g",
                                       ROOT "00000001/x",
                                       ROOT "history/readme",
                                       ROOT "x/y/z"};
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(buf_free) struct buf raw = BUF_INIT, names = BUF_INIT;
    enum wal_put done;

    (void)state;
    sample_repo_begin(&s, false, 0);
    fill(&raw, 100, 1);
    list_is(s.repo, 0, 0, "");
    for (size_t i = 0; i < LENGTH(files); i++)
        OK(push(s.repo, files[i], &raw, &done), &err);
    for (size_t i = 0; i < LENGTH(junk); i++)
        OK(store_put(s.store, junk[i], STORE_REPLACE, "x", 1, &err), &err);
    list_is(s.repo, 0, 0,
            "000000010000000000000003 000000010000000000000003.partial 000000010000000200000001 "
            "0000000A0000000200000001 ");
    list_is(s.repo, 1, 1, "000000010000000200000001 ");
    list_is(s.repo, 10, 0, "0000000A0000000200000001 ");
    list_is(s.repo, 10, 3, "");
    list_is(s.repo, 2, 0, "");
    OK(wal_histories_list(s.repo, SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, note_name, &names, &err), &err);
    assert_string_equal(buf_text(&names), "00000002.history 0000000A.history ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wal_file_comes_back),
        cmocka_unit_test(an_index_comes_back_where_there_is_one),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(what_is_no_wal_is_refused),
        cmocka_unit_test(more_than_was_asked_for_is_refused),
        cmocka_unit_test(the_same_file_again_is_fine),
        cmocka_unit_test(other_content_under_the_name_is_a_conflict),
        cmocka_unit_test(an_object_without_an_end_is_replaced),
        cmocka_unit_test(a_rotten_object_of_this_content_is_replaced),
        cmocka_unit_test(a_rotten_object_of_other_content_stays),
        cmocka_unit_test(what_an_earlier_repository_left_does_not_count),
        cmocka_unit_test(a_broken_push_leaves_all_or_nothing),
        cmocka_unit_test(a_lost_reply_is_a_success),
        cmocka_unit_test(a_renamed_object_is_refused),
        cmocka_unit_test(a_chunk_of_another_segment_is_refused),
        cmocka_unit_test(an_object_of_another_key_is_refused),
        cmocka_unit_test(each_flipped_bit_and_each_cut_is_found),
        cmocka_unit_test(without_the_key_wal_is_there_but_unreadable),
        cmocka_unit_test(files_are_listed_in_order_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
