#include "tests/lib/test.h"

#include "repo/store/store.h"
#include "tests/lib/store_contract.h"

static struct store *inner;

static int open_harmless(void **state)
{
    inner = store_mem_new();
    *state = store_fault_new(inner, -1, FAULT_FOREVER);
    return 0;
}

static int close_both(void **state)
{
    struct store *s = *state;

    store_close(&s);
    store_close(&inner);
    return 0;
}

static int no_entry(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)ctx;
    (void)entry;
    (void)err;
    return 0;
}

/* Every public call once. Returns how many of them failed, all in the injected way. */
static int call_everything(struct store *s)
{
    static const char *const keys[] = {"new"};
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct store_writer *w = NULL;
    struct store_traits traits;
    struct store_entry entry;
    struct err err = {0};
    uint64_t size;
    int64_t now;
    char dst[8];
    size_t got;
    int failed = 0;

#define CALL(call)                                   \
    if ((call) != 0) {                               \
        assert_int_equal(err.code, ERR_UNREACHABLE); \
        failed++;                                    \
    }
    CALL(store_put(s, "old", STORE_REPLACE, "old", 3, &err));
    CALL(store_create(s, "new", STORE_REPLACE, &w, &err));
    if (w != NULL)
        CALL(store_write(w, "new", 3, &err));
    if (w != NULL)
        CALL(store_commit(&w, STORE_LAZY, &err));
    assert_null(w);
    CALL(store_get(s, "there", 0, 8, dst, &got, &size, &err));
    CALL(store_tail(s, "there", 8, dst, &got, &size, &err));
    CALL(store_read(s, "there", 8, &out, &err));
    CALL(store_stat(s, "there", &entry, &err));
    CALL(store_list(s, "", STORE_DEEP, no_entry, NULL, &now, &err));
    CALL(store_delete(s, keys, 1, &err));
    CALL(store_sync(s, &err));
    CALL(store_confirm(s, "there", &err));
    CALL(store_now(s, &now, &err));
    CALL(store_probe(s, &traits, &err));
    return failed;
}

enum { CALLS = 14 };

static struct store *filled(void)
{
    struct store *s = store_mem_new();
    struct err err = {0};

    OK(store_put(s, "there", STORE_CREATE_ONLY, "content", 7, &err), &err);
    return s;
}

static void every_public_call_counts_once(void **state)
{
    struct store *kept = filled(), *s = store_fault_new(kept, -1, FAULT_BEFORE);

    (void)state;
    assert_int_equal(call_everything(s), 0);
    assert_int_equal(store_fault_calls(s), CALLS);
    store_close(&s);
    store_close(&kept);
}

static void exactly_the_nth_call_fails(void **state)
{
    static const enum store_fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER};

    (void)state;
    for (size_t k = 0; k < LENGTH(kinds); k++)
        for (long nth = 0; nth <= CALLS; nth++) {
            struct store *kept = filled(), *s = store_fault_new(kept, nth, kinds[k]);
            assert_int_equal(call_everything(s), nth < CALLS ? 1 : 0);
            store_close(&s);
            store_close(&kept);
        }
}

static void after_the_nth_call_nothing_works(void **state)
{
    struct store *kept = filled(), *s = store_fault_new(kept, 5, FAULT_FOREVER);

    (void)state;
    assert_int_equal(call_everything(s), CALLS - 5);
    assert_true(call_everything(s) > 0);
    store_close(&s);
    store_close(&kept);
}

static bool exists(struct store *s, const char *key)
{
    struct store_entry entry;
    struct err err = {0};
    return store_stat(s, key, &entry, &err) == 0;
}

static void a_call_that_fails_before_did_nothing(void **state)
{
    struct store *kept = store_mem_new(), *s = store_fault_new(kept, 0, FAULT_BEFORE);
    struct err err = {0};

    (void)state;
    FAILS(store_put(s, "a", STORE_CREATE_ONLY, "x", 1, &err), &err, ERR_UNREACHABLE);
    assert_false(exists(kept, "a"));
    store_close(&s);
    store_close(&kept);
}

static void a_call_whose_reply_is_lost_took_effect(void **state)
{
    struct store *kept = store_mem_new(), *s = store_fault_new(kept, 2, FAULT_AFTER);
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct store_writer *w;
    struct err err = {0};

    (void)state;
    OK(store_create(s, "a", STORE_CREATE_ONLY, &w, &err), &err);
    OK(store_write(w, "x", 1, &err), &err);
    FAILS(store_commit(&w, STORE_DURABLE, &err), &err, ERR_UNREACHABLE);
    assert_true(exists(kept, "a"));
    store_close(&s);

    s = store_fault_new(kept, 0, FAULT_AFTER);
    FAILS(store_read(s, "a", 10, &out, &err), &err, ERR_UNREACHABLE);
    assert_int_equal(out.len, 0);
    store_close(&s);
    store_close(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_CONTRACT(open_harmless, close_both),
        cmocka_unit_test(every_public_call_counts_once),
        cmocka_unit_test(exactly_the_nth_call_fails),
        cmocka_unit_test(after_the_nth_call_nothing_works),
        cmocka_unit_test(a_call_that_fails_before_did_nothing),
        cmocka_unit_test(a_call_whose_reply_is_lost_took_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
