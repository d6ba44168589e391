#include "tests/lib/test.h"

#include "repo/descriptor.h"
#include "repo/object/object.h"
#include "tests/lib/repo_fixture.h"

static struct err err;

static bool exists(const char *key)
{
    struct store_entry entry;
    return store_stat(fixture_store, key, &entry, &err) == 0;
}

/* ---- creating and opening ---- */

static void a_new_repository_can_be_opened(void **state)
{
    const struct repo_options all[] = {fixture_plain(), fixture_encrypted()};

    (void)state;
    for (size_t i = 0; i < LENGTH(all); i++) {
        AUTO(store_close) struct store *fresh = store_mem_new();
        AUTO(repo_close) struct repo *made = NULL, *r = NULL;
        bool created;
        size_t n;
        OK(repo_init(&made, store_mem_share(fresh), &all[i], &created, &err), &err);
        assert_true(created);
        OK(repo_open(&r, store_mem_share(fresh), &all[i], REPO_OPEN_FULL, &err), &err);
        assert_memory_equal(repo_id(made), repo_id(r), REPO_ID_SIZE);
        assert_int_equal(repo_encrypted(r), all[i].encrypted);
        assert_int_equal(repo_key(r) != NULL, all[i].encrypted);
        if (all[i].encrypted)
            assert_memory_equal(repo_key(made), repo_key(r), sizeof(struct repo_key));
        repo_identities(r, &n);
        assert_int_equal(n, 0);
        assert_string_equal(repo_name(r), "local");
        assert_string_equal(repo_cluster(r), "main");
        assert_null(repo_read_only(r));
        assert_null(repo_state_dir(r));
    }
}

static void what_is_not_configured_has_defaults(void **state)
{
    struct repo_options o = fixture_plain();
    AUTO(repo_close) struct repo *r = NULL, *tuned = NULL;

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    assert_int_equal(repo_pack_size(r), 32 << 20);
    assert_int_equal(repo_lease_ttl_s(r), 900);
    assert_int_equal(repo_lease_heartbeat_s(r), 60);
    o.pack_size = 8 << 20;
    o.lease_ttl_s = 5;
    o.lease_heartbeat_s = 1;
    o.level = 7;
    tuned = fixture_opened(&o, REPO_OPEN_FULL);
    assert_int_equal(repo_pack_size(tuned), 8 << 20);
    assert_int_equal(repo_lease_ttl_s(tuned), 5);
    assert_int_equal(repo_lease_heartbeat_s(tuned), 1);
    assert_int_equal(repo_level(tuned), 7);
}

static void init_again_changes_nothing(void **state)
{
    const struct repo_options o = fixture_encrypted();
    AUTO(repo_close) struct repo *before = NULL, *after = NULL;

    (void)state;
    fixture_init(&o, true);
    before = fixture_opened(&o, REPO_OPEN_FULL);
    fixture_init(&o, false);
    after = fixture_opened(&o, REPO_OPEN_FULL);
    assert_memory_equal(repo_id(before), repo_id(after), REPO_ID_SIZE);
    assert_false(exists("keys/00000001"));
    assert_false(exists("main/info/00000002"));
}

static void two_repositories_have_two_ids_and_keys(void **state)
{
    const struct repo_options o = fixture_encrypted();
    AUTO(repo_close) struct repo *a = NULL, *b = NULL;

    (void)state;
    OK(repo_init(&a, store_mem_new(), &o, NULL, &err), &err);
    OK(repo_init(&b, store_mem_new(), &o, NULL, &err), &err);
    assert_memory_not_equal(repo_id(a), repo_id(b), REPO_ID_SIZE);
    assert_memory_not_equal(repo_key(a), repo_key(b), sizeof(struct repo_key));
}

static void where_nothing_is_init_is_advised(void **state)
{
    const struct repo_options o = fixture_plain();

    (void)state;
    fixture_refused(&o, REPO_OPEN_FULL, ERR_NOT_FOUND, "pgbr init");
    fixture_refused(&o, REPO_OPEN_QUICK, ERR_NOT_FOUND, "pgbr init");
    fixture_refused(&o, REPO_OPEN_NO_KEY, ERR_NOT_FOUND, "pgbr init");
}

static void a_name_that_is_no_cluster_is_refused(void **state)
{
    struct repo_options o = fixture_plain();
    struct repo *r = NULL;

    (void)state;
    fixture_init(&o, true);
    o.cluster = "../x";
    fixture_refused(&o, REPO_OPEN_FULL, ERR_CONFIG, "../x");
    FAILS(repo_init(&r, store_mem_share(fixture_store), &o, NULL, &err), &err, ERR_CONFIG);
}

/* ---- keys ---- */

static void a_passphrase_opens_and_a_wrong_one_does_not(void **state)
{
    struct repo_options o = fixture_encrypted();
    AUTO(repo_close) struct repo *r = NULL;

    (void)state;
    o.secret = (struct key_secret){.passphrase = "right"};
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    o.secret.passphrase = "wrong";
    fixture_refused(&o, REPO_OPEN_FULL, ERR_KEY, "cipher_pass");
    assert_null(strstr(err.msg, "wrong\""));
}

static void any_of_several_slots_opens(void **state)
{
    struct repo_options o = fixture_encrypted();
    AUTO(repo_close) struct repo *r = NULL, *second = NULL;
    AUTO(coder_free) struct coder *c = NULL;
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct object_head head = {.kind = OBJECT_KEY_SLOT, .label = "keys/00000001"};

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    OK(coder_new(&c, NULL, "keys/00000001", 1, &err), &err);
    OK(key_slot_make(1, &(struct key_secret){.passphrase = "second"}, repo_key(r), repo_id(r),
                     &body, &err),
       &err);
    OK(object_put_small(fixture_store, "keys/00000001", STORE_CREATE_ONLY, &head, c, CHUNK_TEXT,
                        CHUNK_PUBLIC, body.p, body.len, &err),
       &err);
    o.secret = (struct key_secret){.passphrase = "second"};
    second = fixture_opened(&o, REPO_OPEN_FULL);
    assert_memory_equal(repo_key(r), repo_key(second), sizeof(struct repo_key));
    o.secret = (struct key_secret){.passphrase = "third"};
    fixture_refused(&o, REPO_OPEN_FULL, ERR_KEY, "2 key slots");
}

static void configuration_and_repository_must_agree_on_encryption(void **state)
{
    static const enum repo_open_mode modes[] = {REPO_OPEN_FULL, REPO_OPEN_QUICK, REPO_OPEN_NO_KEY};
    const struct repo_options plain = fixture_plain(), encrypted = fixture_encrypted();
    struct repo *r = NULL;

    (void)state;
    fixture_init(&plain, true);
    for (size_t i = 0; i < LENGTH(modes); i++)
        fixture_refused(&encrypted, modes[i], ERR_KEY, "is not encrypted, but");
    FAILS(repo_init(&r, store_mem_share(fixture_store), &encrypted, NULL, &err), &err, ERR_KEY);
    store_close(&fixture_store);
    fixture_store = store_mem_new();
    fixture_init(&encrypted, true);
    for (size_t i = 0; i < LENGTH(modes); i++)
        fixture_refused(&plain, modes[i], ERR_KEY, "is encrypted, but");
    FAILS(repo_init(&r, store_mem_share(fixture_store), &plain, NULL, &err), &err, ERR_KEY);
    assert_null(r);
}

static void without_the_key_nothing_can_be_written(void **state)
{
    struct repo_options o = fixture_encrypted();
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(coder_free) struct coder *c = NULL;
    uint8_t out[1000];
    size_t len, n;

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    OK(repo_accept(r, 77, 15, &err), &err);
    repo_close(&r);
    o.secret = (struct key_secret){0};
    r = fixture_opened(&o, REPO_OPEN_NO_KEY);
    assert_null(repo_key(r));
    assert_true(repo_encrypted(r));
    assert_non_null(repo_read_only(r));
    assert_int_equal(repo_identities(r, &n)->system_id, 77);
    OK(repo_coder(r, "x", &c, &err), &err);
    FAILS(chunk_encode(c, CHUNK_PAGES, CHUNK_PRIVATE, 0, 0, 1, "x", 1, out, &len, &err), &err,
          ERR_KEY);
    FAILS(repo_accept(r, 78, 15, &err), &err, ERR_KEY);
    fixture_refused(&o, REPO_OPEN_FULL, ERR_KEY, "no passphrase");
}

/* ---- crashes and races ---- */

static int try_init(struct store *s, const struct repo_options *o)
{
    AUTO(repo_close) struct repo *r = NULL;
    return repo_init(&r, s, o, NULL, &err);
}

static void an_init_that_fails_anywhere_is_completed_by_the_next(void **state)
{
    static const enum store_fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_FOREVER};
    const struct repo_options all[] = {fixture_plain(), fixture_encrypted()};

    (void)state;
    for (size_t i = 0; i < LENGTH(all); i++)
        for (size_t k = 0; k < LENGTH(kinds); k++)
            for (long nth = 0;; nth++) {
                bool done;
                store_close(&fixture_store);
                fixture_store = store_mem_new();
                done = try_init(store_fault_new(fixture_store, nth, kinds[k]), &all[i]) == 0;
                assert_true(nth < 60);
                OK(try_init(store_mem_share(fixture_store), &all[i]), &err);
                OK(try_init(store_mem_share(fixture_store), &all[i]), &err);
                assert_false(exists("keys/00000001"));
                if (done)
                    break;
            }
}

static void cut(const char *key)
{
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    OK(store_read(fixture_store, key, 1 << 20, &bytes, &err), &err);
    OK(store_put(fixture_store, key, STORE_REPLACE, bytes.p, bytes.len / 2, &err), &err);
}

/* Objects in the order in which init makes them; what comes after the torn one is not there yet. */
static void an_init_that_left_half_an_object_is_completed_by_the_next(void **state)
{
    static const char *const made[] = {"keys/00000000", "pgbr-repo", "main/info/00000001",
                                       "main/info/00000002"};
    const struct repo_options all[] = {fixture_encrypted(), fixture_plain()};

    (void)state;
    for (size_t i = 0; i < LENGTH(all); i++)
        for (size_t torn = i; torn < LENGTH(made); torn++) {
            AUTO(repo_close) struct repo *r = NULL;

            store_close(&fixture_store);
            fixture_store = store_mem_new();
            fixture_init(&all[i], true);
            r = fixture_opened(&all[i], REPO_OPEN_FULL);
            OK(repo_accept(r, 77, 15, &err), &err);
            OK(store_delete(fixture_store, made + torn + 1, LENGTH(made) - torn - 1, &err), &err);
            cut(made[torn]);
            OK(try_init(store_mem_share(fixture_store), &all[i]), &err);
            repo_close(&r);
            r = fixture_opened(&all[i], REPO_OPEN_FULL);
            OK(repo_accept(r, 77, 15, &err), &err);
        }
}

static void what_others_depend_on_is_not_taken_for_unfinished(void **state)
{
    static const char *const cases[] = {"keys/00000000", "pgbr-repo", "main/info/00000001"};
    const struct repo_options o = fixture_encrypted();

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        store_close(&fixture_store);
        fixture_store = store_mem_new();
        fixture_init(&o, true);
        OK(store_put(fixture_store, "main/wal/x", STORE_CREATE_ONLY, "x", 1, &err), &err);
        cut(cases[i]);
        FAILS(try_init(store_mem_share(fixture_store), &o), &err, ERR_CORRUPT);
        assert_true(exists(cases[i]));
    }
}

static void an_unfinished_init_of_another_secret_is_told(void **state)
{
    struct repo_options o = fixture_encrypted();
    const struct repo_options plain = fixture_plain();
    const char *const descriptor = "pgbr-repo";
    struct repo *r = NULL;

    (void)state;
    fixture_init(&o, true);
    OK(store_delete(fixture_store, &descriptor, 1, &err), &err);
    o.secret = (struct key_secret){.passphrase = "other"};
    FAILS(repo_init(&r, store_mem_share(fixture_store), &o, NULL, &err), &err, ERR_KEY);
    assert_non_null(strstr(err.msg, "unfinished"));
    FAILS(repo_init(&r, store_mem_share(fixture_store), &plain, NULL, &err), &err, ERR_KEY);
    assert_non_null(strstr(err.msg, "keys/00000000"));
    assert_null(r);
}

/* ---- identities ---- */

static void accepted_identities_are_kept_in_order(void **state)
{
    const struct repo_options o = fixture_encrypted();
    AUTO(repo_close) struct repo *r = NULL, *other = NULL;
    const struct identity *ids;
    size_t n;

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    other = fixture_opened(&o, REPO_OPEN_FULL);
    assert_false(repo_knows(r, 7, 15));
    OK(repo_accept(r, 7, 15, &err), &err);
    OK(repo_accept(r, 7, 15, &err), &err);
    OK(repo_accept(other, 7, 16, &err), &err); /* it did not know of the first */
    OK(repo_accept(other, 3, 17, &err), &err);
    assert_false(repo_knows(r, 3, 17));
    OK(repo_refresh(r, &err), &err);
    ids = repo_identities(r, &n);
    assert_int_equal(n, 3);
    assert_true(ids[0].system_id == 7 && ids[0].major == 15);
    assert_true(ids[1].system_id == 7 && ids[1].major == 16);
    assert_true(ids[2].system_id == 3 && ids[2].major == 17);
    assert_true(exists("main/info/00000004"));
    assert_false(exists("main/info/00000005"));
}

static void the_info_of_another_cluster_is_refused(void **state)
{
    struct repo_options o = fixture_encrypted();
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(buf_free) struct buf stolen = BUF_INIT;

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    OK(store_read(fixture_store, "main/info/00000001", 10000, &stolen, &err), &err);
    OK(store_put(fixture_store, "other/info/00000001", STORE_CREATE_ONLY, stolen.p, stolen.len,
                 &err),
       &err);
    o.cluster = "other";
    fixture_refused(&o, REPO_OPEN_FULL, ERR_FOREIGN, "\"main\", expected \"other\"");
}

static void clusters_are_those_that_have_an_info(void **state)
{
    struct repo_options o = fixture_plain();
    char **names;
    size_t n;

    (void)state;
    OK(repo_clusters(fixture_store, &names, &n, &err), &err);
    assert_int_equal(n, 0);
    repo_names_free(&names, n);
    fixture_init(&o, true);
    o.cluster = "main-2";
    fixture_init(&o, false);
    o.cluster = "a";
    fixture_init(&o, false);
    OK(store_put(fixture_store, "stray/data/x", STORE_CREATE_ONLY, "x", 1, &err), &err);
    OK(repo_clusters(fixture_store, &names, &n, &err), &err);
    assert_int_equal(n, 3);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "main");
    assert_string_equal(names[2], "main-2");
    repo_names_free(&names, n);
    assert_null(names);
}

/* ---- damage and attacks ---- */

static void copy_object(struct store *from, const char *key, struct store *to, const char *new_key)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    OK(store_read(from, key, 1 << 20, &b, &err), &err);
    OK(store_put(to, new_key, STORE_REPLACE, b.p, b.len, &err), &err);
}

static void every_altered_bit_of_the_small_objects_is_noticed(void **state)
{
    static const char *const keys[] = {"pgbr-repo", "keys/00000000", "main/info/00000001"};
    const struct repo_options o = fixture_encrypted();

    (void)state;
    fixture_init(&o, true);
    for (size_t i = 0; i < LENGTH(keys); i++) {
        AUTO(buf_free) struct buf b = BUF_INIT;
        OK(store_read(fixture_store, keys[i], 10000, &b, &err), &err);
        for (size_t bit = 0; bit < b.len * 8; bit++) {
            struct repo *r = NULL;
            b.p[bit / 8] ^= (char)(1 << bit % 8);
            OK(store_put(fixture_store, keys[i], STORE_REPLACE, b.p, b.len, &err), &err);
            /* The trailer's hash of the bytes at rest is not for readers, but its CRC is. */
            FAILS(repo_open(&r, store_mem_share(fixture_store), &o, REPO_OPEN_FULL, &err), &err,
                  ERR_CORRUPT);
            assert_non_null(strstr(err.msg, keys[i]));
            b.p[bit / 8] ^= (char)(1 << bit % 8);
        }
        OK(store_put(fixture_store, keys[i], STORE_REPLACE, b.p, b.len, &err), &err);
    }
}

static void slots_of_another_repository_are_refused(void **state)
{
    const struct repo_options o = fixture_encrypted();
    AUTO(store_close) struct store *other = store_mem_new();

    (void)state;
    fixture_init(&o, true);
    OK(try_init(store_mem_share(other), &o), &err);
    copy_object(other, "keys/00000000", fixture_store, "keys/00000000");
    fixture_refused(&o, REPO_OPEN_FULL, ERR_FOREIGN, "key slots");
}

/* The same id, but another key: what somebody without the key can make. */
static void a_forged_descriptor_is_refused(void **state)
{
    const struct repo_options o = fixture_encrypted();
    const struct repo_key wrong = {{1, 2, 3}};
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(coder_free) struct coder *c = NULL;
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct object_head head = {.kind = OBJECT_DESCRIPTOR, .label = "pgbr-repo"};
    struct descriptor d = {.encrypted = true};

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    memcpy(d.repo_id, repo_id(r), REPO_ID_SIZE);
    OK(descriptor_format(&d, &wrong, "pgbr-repo", &body, &err), &err);
    OK(coder_new(&c, NULL, "pgbr-repo", 1, &err), &err);
    OK(object_put_small(fixture_store, "pgbr-repo", STORE_REPLACE, &head, c, CHUNK_TEXT,
                        CHUNK_PUBLIC, body.p, body.len, &err),
       &err);
    fixture_refused(&o, REPO_OPEN_FULL, ERR_KEY, "MAC");
}

/* ---- features ---- */

/* Writes features/<gen>, as a later version of pgbr would. */
static void put_features(const struct repo *r, uint32_t gen, enum feature_class class,
                         const char *feature)
{
    AUTO(buf_free) struct buf body = BUF_INIT, key = BUF_INIT, list = BUF_INIT;
    AUTO(coder_free) struct coder *c = NULL;
    struct object_head head = {.kind = OBJECT_DESCRIPTOR};
    struct descriptor d = {.encrypted = repo_encrypted(r), .generation = gen};

    buf_blob(&list, feature, strlen(feature));
    d.features[class] = (struct feature_list){(const uint8_t *)list.p, list.len};
    memcpy(d.repo_id, repo_id(r), REPO_ID_SIZE);
    memcpy(head.repo_id, repo_id(r), sizeof head.repo_id);
    strcpy(head.label, name_feature(&key, gen));
    OK(descriptor_format(&d, repo_key(r), head.label, &body, &err), &err);
    OK(coder_new(&c, NULL, head.label, 1, &err), &err);
    OK(object_put_small(fixture_store, buf_text(&key), STORE_CREATE_ONLY, &head, c, CHUNK_TEXT,
                        CHUNK_PUBLIC, body.p, body.len, &err),
       &err);
}

static void features_of_later_versions_are_respected(void **state)
{
    const struct repo_options o = fixture_encrypted();
    AUTO(repo_close) struct repo *r = NULL;

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    put_features(r, 1, FEATURE_COMPATIBLE, "nice-to-have");
    repo_close(&r);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    assert_null(repo_read_only(r));
    OK(repo_may_delete(r, &err), &err);
    put_features(r, 2, FEATURE_READ_ONLY, "strange-expiry");
    repo_close(&r);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    assert_non_null(strstr(repo_read_only(r), "strange-expiry"));
    FAILS(repo_accept(r, 1, 15, &err), &err, ERR_UNSUPPORTED);
    FAILS(repo_may_delete(r, &err), &err, ERR_UNSUPPORTED);
    repo_close(&r);
    r = fixture_opened(&o, REPO_OPEN_NO_KEY);
    FAILS(repo_may_delete(r, &err), &err, ERR_UNSUPPORTED);
    repo_close(&r);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    put_features(r, 3, FEATURE_INCOMPATIBLE, "other-chunks");
    fixture_refused(&o, REPO_OPEN_FULL, ERR_UNSUPPORTED, "other-chunks");
    fixture_refused(&o, REPO_OPEN_NO_KEY, ERR_UNSUPPORTED, "other-chunks");
}

static void one_generation_of_features_cannot_stand_in_for_another(void **state)
{
    const struct repo_options o = fixture_encrypted();
    AUTO(repo_close) struct repo *r = NULL;

    (void)state;
    fixture_init(&o, true);
    r = fixture_opened(&o, REPO_OPEN_FULL);
    put_features(r, 1, FEATURE_COMPATIBLE, "nice-to-have");
    copy_object(fixture_store, "features/00000001", fixture_store, "features/00000002");
    fixture_refused(&o, REPO_OPEN_FULL, ERR_CORRUPT, "features/00000002");
}

int main(void)
{
#define REPO_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_begin, fixture_end)
    const struct CMUnitTest tests[] = {
        REPO_TEST(a_new_repository_can_be_opened),
        REPO_TEST(what_is_not_configured_has_defaults),
        REPO_TEST(init_again_changes_nothing),
        REPO_TEST(two_repositories_have_two_ids_and_keys),
        REPO_TEST(where_nothing_is_init_is_advised),
        REPO_TEST(a_name_that_is_no_cluster_is_refused),
        REPO_TEST(a_passphrase_opens_and_a_wrong_one_does_not),
        REPO_TEST(any_of_several_slots_opens),
        REPO_TEST(configuration_and_repository_must_agree_on_encryption),
        REPO_TEST(without_the_key_nothing_can_be_written),
        REPO_TEST(an_init_that_fails_anywhere_is_completed_by_the_next),
        REPO_TEST(an_init_that_left_half_an_object_is_completed_by_the_next),
        REPO_TEST(what_others_depend_on_is_not_taken_for_unfinished),
        REPO_TEST(an_unfinished_init_of_another_secret_is_told),
        REPO_TEST(accepted_identities_are_kept_in_order),
        REPO_TEST(the_info_of_another_cluster_is_refused),
        REPO_TEST(clusters_are_those_that_have_an_info),
        REPO_TEST(every_altered_bit_of_the_small_objects_is_noticed),
        REPO_TEST(slots_of_another_repository_are_refused),
        REPO_TEST(a_forged_descriptor_is_refused),
        REPO_TEST(features_of_later_versions_are_respected),
        REPO_TEST(one_generation_of_features_cannot_stand_in_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
