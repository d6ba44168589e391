/* Key slots are added and removed; whatever happens, no way in is lost that somebody relied on. */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "repo/key_slots.h"
#include "repo/object/object.h"
#include "tests/lib/repo_fixture.h"

static struct err err;
static char second_file[100], third_file[100];
static struct key_secret first, second, third;

static int begin(void **state)
{
    int result = fixture_begin(state);

    snprintf(second_file, sizeof second_file, "%s.2", fixture_key_file);
    snprintf(third_file, sizeof third_file, "%s.3", fixture_key_file);
    OK(fs_replace(AT_FDCWD, second_file, "1123456789abcdef0123456789abcdef", 32, 0600, &err), &err);
    OK(fs_replace(AT_FDCWD, third_file, "2123456789abcdef0123456789abcdef", 32, 0600, &err), &err);
    first = (struct key_secret){.key_file = fixture_key_file};
    second = (struct key_secret){.key_file = second_file};
    third = (struct key_secret){.key_file = third_file};
    return result;
}

static struct repo *opened_by(const struct key_secret *secret)
{
    struct repo_options o = fixture_encrypted();

    o.secret = *secret;
    return fixture_opened(&o, REPO_OPEN_FULL);
}

static struct repo *made(void)
{
    const struct repo_options o = fixture_encrypted();

    fixture_init(&o, true);
    return opened_by(&first);
}

static void shut(const struct key_secret *secret)
{
    struct repo_options o = fixture_encrypted();

    o.secret = *secret;
    fixture_refused(&o, REPO_OPEN_FULL, ERR_KEY, "opens none of the");
}

static uint32_t added(struct repo *r, const struct key_secret *secret)
{
    uint32_t number;

    OK(key_slot_add(r, NULL, secret, &number, &err), &err);
    return number;
}

static void removed(struct repo *r, uint32_t number, const struct key_secret *keep)
{
    OK(key_slot_remove(r, number, keep, &err), &err);
}

static void stays(struct repo *r, uint32_t number, const struct key_secret *keep, enum err_code why,
                  const char *says)
{
    struct key_slots before, after;

    OK(key_slots_list(r, NULL, &before, &err), &err);
    FAILS(key_slot_remove(r, number, keep, &err), &err, why);
    if (strstr(err.msg, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
    OK(key_slots_list(r, NULL, &after, &err), &err);
    assert_int_equal(before.n, after.n);
}

static void a_secret_is_replaced_without_touching_data(void **state)
{
    AUTO(repo_close) struct repo *r = made(), *again = NULL;

    (void)state;
    assert_int_equal(added(r, &second), 1);
    again = opened_by(&second);
    assert_memory_equal(repo_key(again), repo_key(r), sizeof(struct repo_key));
    removed(again, 0, &second);
    shut(&first);
    repo_close(&again);
    again = opened_by(&second);
}

static void slots_are_listed_with_what_the_secret_opens(void **state)
{
    AUTO(repo_close) struct repo *r = made();
    const struct key_secret passphrase = {.passphrase = "correct horse"};
    struct key_slots slots;

    (void)state;
    added(r, &second);
    added(r, &passphrase);
    OK(key_slots_list(r, &second, &slots, &err), &err);
    assert_int_equal(slots.n, 3);
    assert_int_equal(slots.items[0].state, KEY_SLOT_SHUT);
    assert_int_equal(slots.items[1].state, KEY_SLOT_OPENS);
    assert_int_equal(slots.items[2].state, KEY_SLOT_SHUT);
    assert_int_equal(slots.items[0].facts.kdf, KDF_FILE);
    assert_int_equal(slots.items[2].facts.kdf, KDF_SCRYPT);
    assert_int_equal(slots.items[2].number, 2);
    assert_int_equal(slots.items[2].facts.number, 2);
    OK(key_slots_list(r, &passphrase, &slots, &err), &err);
    assert_int_equal(slots.items[2].state, KEY_SLOT_OPENS);
}

static void a_secret_that_cannot_be_used_says_why(void **state)
{
    AUTO(repo_close) struct repo *r = made();
    const struct key_secret gone = {.key_file = "/nonexistent/key"};
    struct key_slots slots;

    (void)state;
    added(r, &second);
    OK(key_slots_list(r, &gone, &slots, &err), &err);
    assert_int_equal(slots.items[0].state, KEY_SLOT_SHUT);
    assert_int_equal(slots.items[0].why.code, ERR_NOT_FOUND);
    stays(r, 1, &gone, ERR_KEY, "/nonexistent/key");
}

static void the_last_slot_stays(void **state)
{
    AUTO(repo_close) struct repo *r = made();

    (void)state;
    stays(r, 0, &first, ERR_FAILED, "last one");
    stays(r, 0, NULL, ERR_FAILED, "last one"); /* by force neither */
    stays(r, 1, &first, ERR_NOT_FOUND, "no key slot 00000001");
}

static void the_slot_in_use_stays_unless_forced(void **state)
{
    AUTO(repo_close) struct repo *r = made();

    (void)state;
    added(r, &second);
    stays(r, 0, &first, ERR_KEY, "the configuration opens");
    stays(r, 0, &third, ERR_KEY, "cannot be told");
    removed(r, 0, NULL);
    shut(&first);
}

static void one_of_two_slots_of_the_secret_in_use_may_go(void **state)
{
    AUTO(repo_close) struct repo *r = made(), *again = NULL;

    (void)state;
    added(r, &first);
    removed(r, 0, &first);
    again = opened_by(&first);
}

/* Flips a bit of a stored slot. */
static void damage(const char *key)
{
    AUTO(buf_free) struct buf whole = BUF_INIT;

    OK(store_read(fixture_store, key, 1 << 20, &whole, &err), &err);
    whole.p[200] ^= 4;
    OK(store_put(fixture_store, key, STORE_REPLACE, whole.p, whole.len, &err), &err);
}

static void a_damaged_slot_does_not_count_and_can_be_removed(void **state)
{
    AUTO(repo_close) struct repo *r = made();
    struct key_slots slots;

    (void)state;
    added(r, &second);
    damage("keys/00000001");
    OK(key_slots_list(r, &first, &slots, &err), &err);
    assert_int_equal(slots.items[1].state, KEY_SLOT_DAMAGED);
    assert_int_equal(slots.items[1].why.code, ERR_CORRUPT);
    assert_int_equal(key_slots_sound(&slots), 1);
    stays(r, 0, NULL, ERR_FAILED, "last one");
    removed(r, 1, &first);
    OK(key_slots_list(r, &first, &slots, &err), &err);
    assert_int_equal(slots.n, 1);
}

static void a_slot_of_another_repository_is_no_way_in(void **state)
{
    AUTO(repo_close) struct repo *r = made(), *other = NULL;
    const struct repo_options o = fixture_encrypted();
    struct store *elsewhere = store_mem_new(), *kept = store_mem_share(elsewhere);
    AUTO(buf_free) struct buf slot = BUF_INIT;
    struct key_slots slots;

    (void)state;
    OK(repo_init(&other, elsewhere, &o, NULL, &err), &err);
    OK(store_read(kept, "keys/00000000", 1 << 20, &slot, &err), &err);
    store_close(&kept);
    OK(store_put(fixture_store, "keys/00000007", STORE_CREATE_ONLY, slot.p, slot.len, &err), &err);
    OK(key_slots_list(r, &first, &slots, &err), &err);
    assert_int_equal(slots.items[1].state, KEY_SLOT_DAMAGED);
    stays(r, 0, NULL, ERR_FAILED, "last one");
}

static void another_key_is_held_against_the_descriptor(void **state)
{
    AUTO(repo_close) struct repo *r = made(), *no_key = NULL, *again = NULL;
    const struct repo_options o = fixture_encrypted();
    struct repo_key key = *repo_key(r);
    uint32_t number;

    (void)state;
    no_key = fixture_opened(&o, REPO_OPEN_NO_KEY);
    FAILS(key_slot_add(no_key, NULL, &second, &number, &err), &err, ERR_KEY);
    key.bytes[31] ^= 1;
    FAILS(key_slot_add(no_key, &key, &second, &number, &err), &err, ERR_KEY);
    key.bytes[31] ^= 1;
    OK(store_delete(fixture_store, (const char *const[]){"keys/00000000"}, 1, &err), &err);
    OK(key_slot_add(no_key, &key, &second, &number, &err), &err); /* from nothing but the key */
    again = opened_by(&second);
}

static void a_plain_repository_has_no_keys(void **state)
{
    const struct repo_options o = fixture_plain();
    AUTO(repo_close) struct repo *r = NULL;
    uint32_t number;

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    FAILS(key_slot_add(r, NULL, &second, &number, &err), &err, ERR_FAILED);
    FAILS(key_slot_remove(r, 0, NULL, &err), &err, ERR_FAILED);
}

static void more_slots_than_are_tried_are_not_made(void **state)
{
    AUTO(repo_close) struct repo *r = made();
    struct key_slots slots;
    uint32_t number;

    (void)state;
    for (unsigned i = 1; i < KEY_SLOTS_MAX; i++)
        assert_int_equal(added(r, &second), i);
    FAILS(key_slot_add(r, NULL, &third, &number, &err), &err, ERR_UNSUPPORTED);
    removed(r, 3, &first);
    assert_int_equal(added(r, &third), KEY_SLOTS_MAX); /* not the number that was free */
    OK(key_slots_list(r, NULL, &slots, &err), &err);
    assert_int_equal(slots.n, KEY_SLOTS_MAX);
}

static void what_is_no_slot_is_passed_over(void **state)
{
    static const char *const names[] = {"keys/0000000", "keys/0000000A", "keys/00000000.old",
                                        "keys/note", "keys/00000009/x"};
    AUTO(repo_close) struct repo *r = made();
    struct key_slots slots;

    (void)state;
    for (size_t i = 0; i < LENGTH(names); i++)
        OK(store_put(fixture_store, names[i], STORE_CREATE_ONLY, "x", 1, &err), &err);
    OK(key_slots_list(r, NULL, &slots, &err), &err);
    assert_int_equal(slots.n, 1);
}

/* Whichever call of the store fails, before or after it took effect: the old secret opens, and if
 * success was reported the new one as well. */
static void a_broken_add_loses_nothing(void **state)
{
    AUTO(repo_close) struct repo *r = made();
    struct repo_options o = fixture_encrypted();
    struct repo_key key = *repo_key(r);
    bool done = false;

    (void)state;
    for (long nth = 0; !done; nth++) {
        for (int kind = FAULT_BEFORE; kind <= FAULT_FOREVER; kind++) {
            AUTO(repo_close) struct repo *broken = NULL, *old = NULL, *new = NULL;
            AUTO(store_close) struct store *inner = store_mem_share(fixture_store);
            struct key_slots slots;
            uint32_t number;

            if (repo_open(&broken, store_fault_new(inner, nth, (enum store_fault_kind)kind), &o,
                          REPO_OPEN_NO_KEY, &err) != 0)
                continue;
            done = key_slot_add(broken, &key, &second, &number, &err) == 0 && kind == FAULT_FOREVER;
            old = opened_by(&first);
            OK(key_slots_list(old, &second, &slots, &err), &err);
            for (size_t i = 1; i < slots.n; i++) { /* none is half there */
                assert_int_equal(slots.items[i].state, KEY_SLOT_OPENS);
                removed(old, slots.items[i].number, &first);
            }
            assert_true(!done || slots.n == 2);
        }
        assert_in_range(nth, 0, 1000);
    }
}

/* The same for removing: never none. */
static void a_broken_removal_leaves_a_way_in(void **state)
{
    AUTO(repo_close) struct repo *r = made();
    struct repo_options o = fixture_encrypted();
    bool done = false;

    (void)state;
    added(r, &second);
    for (long nth = 0; !done; nth++) {
        for (int kind = FAULT_BEFORE; kind <= FAULT_FOREVER; kind++) {
            AUTO(repo_close) struct repo *broken = NULL, *good = NULL;
            AUTO(store_close) struct store *inner = store_mem_share(fixture_store);
            struct key_slots slots;

            if (repo_open(&broken, store_fault_new(inner, nth, (enum store_fault_kind)kind), &o,
                          REPO_OPEN_NO_KEY, &err) != 0)
                continue;
            OK(key_slots_list(r, &second, &slots, &err), &err);
            done = key_slot_remove(broken, slots.items[slots.n - 1].number, &first, &err) == 0 &&
                   kind == FAULT_FOREVER;
            good = opened_by(&first);
            OK(key_slots_list(good, &second, &slots, &err), &err);
            if (slots.n == 1)
                added(good, &second);
        }
        assert_in_range(nth, 0, 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_secret_is_replaced_without_touching_data, begin,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(slots_are_listed_with_what_the_secret_opens, begin,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(a_secret_that_cannot_be_used_says_why, begin, fixture_end),
        cmocka_unit_test_setup_teardown(the_last_slot_stays, begin, fixture_end),
        cmocka_unit_test_setup_teardown(the_slot_in_use_stays_unless_forced, begin, fixture_end),
        cmocka_unit_test_setup_teardown(one_of_two_slots_of_the_secret_in_use_may_go, begin,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(a_damaged_slot_does_not_count_and_can_be_removed, begin,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(a_slot_of_another_repository_is_no_way_in, begin,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(another_key_is_held_against_the_descriptor, begin,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(a_plain_repository_has_no_keys, begin, fixture_end),
        cmocka_unit_test_setup_teardown(more_slots_than_are_tried_are_not_made, begin, fixture_end),
        cmocka_unit_test_setup_teardown(what_is_no_slot_is_passed_over, begin, fixture_end),
        cmocka_unit_test_setup_teardown(a_broken_add_loses_nothing, begin, fixture_end),
        cmocka_unit_test_setup_teardown(a_broken_removal_leaves_a_way_in, begin, fixture_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
