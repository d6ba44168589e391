/*
 * store_contract.h - the tests that every driver of a store passes.
 *
 * A driver's test program makes an empty store in setup (*state is the struct store) and closes it
 * in teardown, and puts STORE_CONTRACT(setup, teardown) into its list of tests.
 */
#ifndef PGBR_TESTS_LIB_STORE_CONTRACT_H
#define PGBR_TESTS_LIB_STORE_CONTRACT_H

void an_object_is_read_as_it_was_written(void **state);
void nothing_is_visible_before_the_commit(void **state);
void an_abandoned_object_leaves_nothing(void **state);
void create_only_keeps_what_is_there(void **state);
void replace_puts_the_new_content_there(void **state);
void of_many_creators_exactly_one_wins(void **state);
void any_part_of_an_object_can_be_read(void **state);
void the_tail_is_the_last_bytes(void **state);
void a_missing_object_is_not_found(void **state);
void an_object_larger_than_expected_is_refused(void **state);
void a_listing_is_in_byte_order_of_the_keys(void **state);
void a_shallow_listing_names_what_lies_deeper_once(void **state);
void a_listing_of_nothing_is_empty(void **state);
void a_listing_tells_sizes_and_times(void **state);
void a_callback_can_stop_the_listing(void **state);
void objects_may_be_deleted_while_listing(void **state);
void deleting_removes_what_is_there_and_ignores_the_rest(void **state);
void keys_that_are_no_keys_are_refused(void **state);
void lazy_objects_are_there_before_and_after_the_sync(void **state);
void a_stored_object_can_be_confirmed(void **state);
void a_probe_finds_an_exact_store(void **state);

#define STORE_CONTRACT_TEST(test, setup, teardown) \
    cmocka_unit_test_setup_teardown(test, setup, teardown)
#define STORE_CONTRACT(s, t)                                                            \
    STORE_CONTRACT_TEST(an_object_is_read_as_it_was_written, s, t),                     \
        STORE_CONTRACT_TEST(nothing_is_visible_before_the_commit, s, t),                \
        STORE_CONTRACT_TEST(an_abandoned_object_leaves_nothing, s, t),                  \
        STORE_CONTRACT_TEST(create_only_keeps_what_is_there, s, t),                     \
        STORE_CONTRACT_TEST(replace_puts_the_new_content_there, s, t),                  \
        STORE_CONTRACT_TEST(of_many_creators_exactly_one_wins, s, t),                   \
        STORE_CONTRACT_TEST(any_part_of_an_object_can_be_read, s, t),                   \
        STORE_CONTRACT_TEST(the_tail_is_the_last_bytes, s, t),                          \
        STORE_CONTRACT_TEST(a_missing_object_is_not_found, s, t),                       \
        STORE_CONTRACT_TEST(an_object_larger_than_expected_is_refused, s, t),           \
        STORE_CONTRACT_TEST(a_listing_is_in_byte_order_of_the_keys, s, t),              \
        STORE_CONTRACT_TEST(a_shallow_listing_names_what_lies_deeper_once, s, t),       \
        STORE_CONTRACT_TEST(a_listing_of_nothing_is_empty, s, t),                       \
        STORE_CONTRACT_TEST(a_listing_tells_sizes_and_times, s, t),                     \
        STORE_CONTRACT_TEST(a_callback_can_stop_the_listing, s, t),                     \
        STORE_CONTRACT_TEST(objects_may_be_deleted_while_listing, s, t),                \
        STORE_CONTRACT_TEST(deleting_removes_what_is_there_and_ignores_the_rest, s, t), \
        STORE_CONTRACT_TEST(keys_that_are_no_keys_are_refused, s, t),                   \
        STORE_CONTRACT_TEST(lazy_objects_are_there_before_and_after_the_sync, s, t),    \
        STORE_CONTRACT_TEST(a_stored_object_can_be_confirmed, s, t),                    \
        STORE_CONTRACT_TEST(a_probe_finds_an_exact_store, s, t)

#endif
