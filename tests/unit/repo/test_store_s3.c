/*
 * What a store in S3 must do, against a real server: the contract of all drivers, and what only
 * this one does. tests/server/500_s3_contract.t starts a server and sets PGBR_TEST_S3_ENDPOINT
 * (host:port) and the other variables below; without them there is nothing to test against.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "repo/store/s3.h"
#include "tests/lib/store_contract.h"

static const char *variable(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : otherwise;
}

static int test_keys(void *ctx, struct s3_keys *out, struct err *err)
{
    (void)ctx;
    (void)err;
    out->key = xstrdup(variable("PGBR_TEST_S3_KEY", ""));
    out->secret = xstrdup(variable("PGBR_TEST_S3_SECRET", ""));
    return 0;
}

/* A prefix that no other test uses. */
static struct s3_options test_options(void)
{
    static char prefix[64];
    static int n;

    snprintf(prefix, sizeof prefix, "/contract/%d-%d", (int)getpid(), n++);
    return (struct s3_options){
        .endpoint = variable("PGBR_TEST_S3_ENDPOINT", ""),
        .bucket = variable("PGBR_TEST_S3_BUCKET", "pgbr"),
        .region = variable("PGBR_TEST_S3_REGION", "us-east-1"),
        .ca_file = variable("PGBR_TEST_S3_CA", NULL),
        .prefix = prefix,
        .path_style = strcmp(variable("PGBR_TEST_S3_STYLE", "path"), "path") == 0,
        .keys = test_keys,
        .deadline_s = 30,
    };
}

static int open_s3(void **state)
{
    const struct s3_options o = test_options();
    struct store *s;
    struct err err = {0};

    OK(store_s3_open(&s, &o, &err), &err);
    *state = s;
    return 0;
}

static int delete_it(void *ctx, const struct store_entry *entry, struct err *err)
{
    return store_delete(ctx, &entry->key, 1, err);
}

static int close_s3(void **state)
{
    struct store *s = *state;
    struct err err = {0};

    OK(store_list(s, "", STORE_DEEP, delete_it, s, NULL, &err), &err);
    store_close(&s);
    return 0;
}

/* Whether the server can refuse an overwriting PUT. */
static bool server_is_exact(void)
{
    const struct s3_options o = test_options();
    AUTO(store_close) struct store *s = NULL;
    struct store_traits traits;
    struct err err = {0};

    if (store_s3_open(&s, &o, &err) != 0 || store_probe(s, &traits, &err) != 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    return traits.exact_create_only;
}

static int count_entry(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)entry;
    (void)err;
    ++*(int *)ctx;
    return 0;
}

static void a_listing_of_many_pages_is_whole_and_in_order(void **state)
{
    enum { KEYS = 1100 };
    char **keys = xcalloc(KEYS, sizeof *keys);
    struct err err = {0};
    int seen = 0;

    for (int i = 0; i < KEYS; i++) {
        keys[i] = xasprintf("many/%04d/x", i);
        OK(store_put(*state, keys[i], STORE_REPLACE, "", 0, &err), &err);
    }
    OK(store_list(*state, "many/", STORE_DEEP, count_entry, &seen, NULL, &err), &err);
    assert_int_equal(seen, KEYS);
    seen = 0;
    OK(store_list(*state, "many/", STORE_SHALLOW, count_entry, &seen, NULL, &err), &err);
    assert_int_equal(seen, KEYS);
    OK(store_delete(*state, (const char *const *)keys, KEYS, &err), &err);
    seen = 0;
    OK(store_list(*state, "", STORE_DEEP, count_entry, &seen, NULL, &err), &err);
    assert_int_equal(seen, 0);
    for (int i = 0; i < KEYS; i++)
        free(keys[i]);
    free(keys);
}

static void what_was_found_out_is_told_to_another_handle(void **state)
{
    struct err err = {0};
    struct store_proofs found, told;
    struct store *other;
    const struct s3_options o = test_options();

    assert_int_equal(store_known(*state).proved_us, 0);
    OK(store_put(*state, "a", STORE_CREATE_ONLY, "1", 1, &err), &err);
    found = store_known(*state);
    assert_int_not_equal(found.proved_us, 0);
    assert_int_not_equal(found.create_only, STORE_UNPROVED);
    OK(store_s3_open(&other, &o, &err), &err);
    store_recall(other, &found);
    told = store_known(other);
    assert_memory_equal(&told, &found, sizeof told);
    store_close(&other);
}

/* ---- how it fails ---- */

static void put_fails(const struct s3_options *o, enum err_code code, const char *says)
{
    AUTO(store_close) struct store *s = NULL;
    struct err err = {0};

    OK(store_s3_open(&s, o, &err), &err);
    FAILS(store_put(s, "a", STORE_REPLACE, "1", 1, &err), &err, code);
    if (strstr(err.msg, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static int wrong_secret(void *ctx, struct s3_keys *out, struct err *err)
{
    TRY(test_keys(ctx, out, err));
    out->secret[0] = out->secret[0] == 'x' ? 'y' : 'x';
    return 0;
}

static int wrong_key(void *ctx, struct s3_keys *out, struct err *err)
{
    TRY(test_keys(ctx, out, err));
    out->key[0] = out->key[0] == 'x' ? 'y' : 'x';
    return 0;
}

static void wrong_keys_are_told_apart(void **state)
{
    struct s3_options o = test_options();

    (void)state;
    o.keys = wrong_secret;
    put_fails(&o, ERR_DENIED, "s3_key_secret");
    o.keys = wrong_key;
    put_fails(&o, ERR_DENIED, "s3_key");
}

static void a_bucket_that_is_not_there_is_no_missing_object(void **state)
{
    struct s3_options o = test_options();
    AUTO(store_close) struct store *s = NULL;
    struct err err = {0};
    struct store_entry entry;
    char dst[4];
    size_t got;

    (void)state;
    o.bucket = "no-such-bucket-here";
    put_fails(&o, ERR_CONFIG, "no-such-bucket-here");
    OK(store_s3_open(&s, &o, &err), &err);
    FAILS(store_get(s, "a", 0, 4, dst, &got, NULL, &err), &err, ERR_CONFIG);
    FAILS(store_stat(s, "a", &entry, &err), &err, ERR_CONFIG);
    FAILS(store_list(s, "", STORE_DEEP, count_entry, NULL, NULL, &err), &err, ERR_CONFIG);
}

static void a_certificate_of_a_stranger_is_refused(void **state)
{
    struct s3_options o = test_options();

    (void)state;
    if (o.ca_file == NULL)
        skip();
    o.ca_file = NULL;
    put_fails(&o, ERR_FAILED, "certificate");
    o.no_verify = true;
    {
        AUTO(store_close) struct store *s = NULL;
        struct err err = {0};
        OK(store_s3_open(&s, &o, &err), &err);
        OK(store_put(s, "a", STORE_REPLACE, "1", 1, &err), &err);
    }
}

static void a_file_that_holds_no_authority_is_refused(void **state)
{
    struct s3_options o = test_options();

    (void)state;
    if (o.ca_file == NULL)
        skip();
    o.ca_file = "/nonexistent/ca.crt";
    put_fails(&o, ERR_CONFIG, "storage_ca_file");
}

static void where_nobody_listens_it_gives_up(void **state)
{
    struct s3_options o = test_options();

    (void)state;
    o.endpoint = "localhost:9";
    o.deadline_s = 1;
    put_fails(&o, ERR_UNREACHABLE, "gave up");
}

int main(void)
{
    const struct CMUnitTest inexact[] = {
        cmocka_unit_test_setup_teardown(create_only_keeps_what_is_there, open_s3, close_s3),
        cmocka_unit_test_setup_teardown(an_object_is_read_as_it_was_written, open_s3, close_s3),
        cmocka_unit_test_setup_teardown(a_missing_object_is_not_found, open_s3, close_s3),
        cmocka_unit_test_setup_teardown(any_part_of_an_object_can_be_read, open_s3, close_s3),
        cmocka_unit_test_setup_teardown(the_tail_is_the_last_bytes, open_s3, close_s3),
        cmocka_unit_test_setup_teardown(a_listing_is_in_byte_order_of_the_keys, open_s3, close_s3),
        cmocka_unit_test_setup_teardown(a_shallow_listing_names_what_lies_deeper_once, open_s3,
                                        close_s3),
        cmocka_unit_test_setup_teardown(deleting_removes_what_is_there_and_ignores_the_rest,
                                        open_s3, close_s3),
        cmocka_unit_test_setup_teardown(wrong_keys_are_told_apart, NULL, NULL),
    };
    const struct CMUnitTest tests[] = {
        STORE_CONTRACT(open_s3, close_s3),
        cmocka_unit_test_setup_teardown(a_listing_of_many_pages_is_whole_and_in_order, open_s3,
                                        close_s3),
        cmocka_unit_test_setup_teardown(what_was_found_out_is_told_to_another_handle, open_s3,
                                        close_s3),
        cmocka_unit_test(wrong_keys_are_told_apart),
        cmocka_unit_test(a_bucket_that_is_not_there_is_no_missing_object),
        cmocka_unit_test(a_certificate_of_a_stranger_is_refused),
        cmocka_unit_test(a_file_that_holds_no_authority_is_refused),
        cmocka_unit_test(where_nobody_listens_it_gives_up),
    };

    if (variable("PGBR_TEST_S3_ENDPOINT", NULL) == NULL) {
        puts("1..0 # SKIP no S3 server is named by PGBR_TEST_S3_ENDPOINT");
        return 0;
    }
    return server_is_exact() ? cmocka_run_group_tests(tests, NULL, NULL)
                             : cmocka_run_group_tests_name("inexact", inexact, NULL, NULL);
}
