#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/descriptor.h"
#include "repo/object.h"
#include "repo/state.h"

static struct err err;
static char work[64], key_file[80], state_dir[80];
static struct store *kept; /* what all handles of a test share */

static int begin(void **state)
{
    (void)state;
    strcpy(work, "/tmp/pgbr-test-repo-XXXXXX");
    if (mkdtemp(work) == NULL)
        return -1;
    snprintf(key_file, sizeof key_file, "%s/key", work);
    snprintf(state_dir, sizeof state_dir, "%s/state", work);
    OK(fs_replace(AT_FDCWD, key_file, "0123456789abcdef0123456789abcdef", 32, 0600, &err), &err);
    kept = store_mem_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    store_close(&kept);
    return fs_remove_tree(AT_FDCWD, work, false, &err);
}

/* A key file, because scrypt takes its time. */
static struct repo_options encrypted_options(void)
{
    return (struct repo_options){.name = "local",
                                 .cluster = "main",
                                 .encrypted = true,
                                 .secret = {.key_file = key_file},
                                 .level = 1};
}

static struct repo_options plain_options(void)
{
    return (struct repo_options){.name = "local", .cluster = "main", .level = 1};
}

static void init(const struct repo_options *o, bool expect_created)
{
    AUTO(repo_close) struct repo *r = NULL;
    bool created = !expect_created;

    OK(repo_init(&r, store_mem_share(kept), o, &created, &err), &err);
    assert_int_equal(created, expect_created);
}

static struct repo *opened(const struct repo_options *o, enum repo_open_mode mode)
{
    struct repo *r = NULL;

    OK(repo_open(&r, store_mem_share(kept), o, mode, &err), &err);
    return r;
}

static void refused(const struct repo_options *o, enum repo_open_mode mode, enum err_code why,
                    const char *says)
{
    struct repo *r = NULL;

    FAILS(repo_open(&r, store_mem_share(kept), o, mode, &err), &err, why);
    assert_null(r);
    if (strstr(err.msg, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static bool exists(const char *key)
{
    struct store_entry entry;
    return store_stat(kept, key, &entry, &err) == 0;
}

/* ---- creating and opening ---- */

static void a_new_repository_can_be_opened(void **state)
{
    const struct repo_options all[] = {plain_options(), encrypted_options()};

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
    struct repo_options o = plain_options();
    AUTO(repo_close) struct repo *r = NULL, *tuned = NULL;

    (void)state;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    assert_int_equal(repo_pack_size(r), 32 << 20);
    assert_int_equal(repo_lease_ttl_s(r), 900);
    assert_int_equal(repo_lease_heartbeat_s(r), 60);
    o.pack_size = 8 << 20;
    o.lease_ttl_s = 5;
    o.lease_heartbeat_s = 1;
    o.level = 7;
    tuned = opened(&o, REPO_OPEN_FULL);
    assert_int_equal(repo_pack_size(tuned), 8 << 20);
    assert_int_equal(repo_lease_ttl_s(tuned), 5);
    assert_int_equal(repo_lease_heartbeat_s(tuned), 1);
    assert_int_equal(repo_level(tuned), 7);
}

static void init_again_changes_nothing(void **state)
{
    const struct repo_options o = encrypted_options();
    AUTO(repo_close) struct repo *before = NULL, *after = NULL;

    (void)state;
    init(&o, true);
    before = opened(&o, REPO_OPEN_FULL);
    init(&o, false);
    after = opened(&o, REPO_OPEN_FULL);
    assert_memory_equal(repo_id(before), repo_id(after), REPO_ID_SIZE);
    assert_false(exists("keys/00000001"));
    assert_false(exists("main/info/00000002"));
}

static void two_repositories_have_two_ids_and_keys(void **state)
{
    const struct repo_options o = encrypted_options();
    AUTO(repo_close) struct repo *a = NULL, *b = NULL;

    (void)state;
    OK(repo_init(&a, store_mem_new(), &o, NULL, &err), &err);
    OK(repo_init(&b, store_mem_new(), &o, NULL, &err), &err);
    assert_memory_not_equal(repo_id(a), repo_id(b), REPO_ID_SIZE);
    assert_memory_not_equal(repo_key(a), repo_key(b), sizeof(struct repo_key));
}

static void where_nothing_is_init_is_advised(void **state)
{
    const struct repo_options o = plain_options();

    (void)state;
    refused(&o, REPO_OPEN_FULL, ERR_NOT_FOUND, "pgbr init");
    refused(&o, REPO_OPEN_QUICK, ERR_NOT_FOUND, "pgbr init");
    refused(&o, REPO_OPEN_NO_KEY, ERR_NOT_FOUND, "pgbr init");
}

static void a_name_that_is_no_cluster_is_refused(void **state)
{
    struct repo_options o = plain_options();
    struct repo *r = NULL;

    (void)state;
    init(&o, true);
    o.cluster = "../x";
    refused(&o, REPO_OPEN_FULL, ERR_CONFIG, "../x");
    FAILS(repo_init(&r, store_mem_share(kept), &o, NULL, &err), &err, ERR_CONFIG);
}

/* ---- keys ---- */

static void a_passphrase_opens_and_a_wrong_one_does_not(void **state)
{
    struct repo_options o = encrypted_options();
    AUTO(repo_close) struct repo *r = NULL;

    (void)state;
    o.secret = (struct key_secret){.passphrase = "right"};
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    o.secret.passphrase = "wrong";
    refused(&o, REPO_OPEN_FULL, ERR_KEY, "cipher_pass");
    assert_null(strstr(err.msg, "wrong\""));
}

static void any_of_several_slots_opens(void **state)
{
    struct repo_options o = encrypted_options();
    AUTO(repo_close) struct repo *r = NULL, *second = NULL;
    AUTO(coder_free) struct coder *c = NULL;
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct object_head head = {.kind = OBJECT_KEY_SLOT, .label = "keys/00000001"};

    (void)state;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    OK(coder_new(&c, NULL, "keys/00000001", 1, &err), &err);
    OK(key_slot_make(1, &(struct key_secret){.passphrase = "second"}, repo_key(r), repo_id(r),
                     &body, &err),
       &err);
    OK(object_put_small(kept, "keys/00000001", STORE_CREATE_ONLY, &head, c, CHUNK_TEXT,
                        CHUNK_PUBLIC, body.p, body.len, &err),
       &err);
    o.secret = (struct key_secret){.passphrase = "second"};
    second = opened(&o, REPO_OPEN_FULL);
    assert_memory_equal(repo_key(r), repo_key(second), sizeof(struct repo_key));
    o.secret = (struct key_secret){.passphrase = "third"};
    refused(&o, REPO_OPEN_FULL, ERR_KEY, "2 key slots");
}

static void configuration_and_repository_must_agree_on_encryption(void **state)
{
    static const enum repo_open_mode modes[] = {REPO_OPEN_FULL, REPO_OPEN_QUICK, REPO_OPEN_NO_KEY};
    const struct repo_options plain = plain_options(), encrypted = encrypted_options();
    struct repo *r = NULL;

    (void)state;
    init(&plain, true);
    for (size_t i = 0; i < LENGTH(modes); i++)
        refused(&encrypted, modes[i], ERR_KEY, "is not encrypted, but");
    FAILS(repo_init(&r, store_mem_share(kept), &encrypted, NULL, &err), &err, ERR_KEY);
    store_close(&kept);
    kept = store_mem_new();
    init(&encrypted, true);
    for (size_t i = 0; i < LENGTH(modes); i++)
        refused(&plain, modes[i], ERR_KEY, "is encrypted, but");
    FAILS(repo_init(&r, store_mem_share(kept), &plain, NULL, &err), &err, ERR_KEY);
    assert_null(r);
}

static void without_the_key_nothing_can_be_written(void **state)
{
    struct repo_options o = encrypted_options();
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(coder_free) struct coder *c = NULL;
    uint8_t out[1000];
    size_t len, n;

    (void)state;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    OK(repo_accept(r, 77, 15, &err), &err);
    repo_close(&r);
    o.secret = (struct key_secret){0};
    r = opened(&o, REPO_OPEN_NO_KEY);
    assert_null(repo_key(r));
    assert_true(repo_encrypted(r));
    assert_non_null(repo_read_only(r));
    assert_int_equal(repo_identities(r, &n)->system_id, 77);
    OK(repo_coder(r, "x", &c, &err), &err);
    FAILS(chunk_encode(c, CHUNK_PAGES, CHUNK_PRIVATE, 0, 0, 1, "x", 1, out, &len, &err), &err,
          ERR_KEY);
    FAILS(repo_accept(r, 78, 15, &err), &err, ERR_KEY);
    refused(&o, REPO_OPEN_FULL, ERR_KEY, "no passphrase");
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
    const struct repo_options all[] = {plain_options(), encrypted_options()};

    (void)state;
    for (size_t i = 0; i < LENGTH(all); i++)
        for (size_t k = 0; k < LENGTH(kinds); k++)
            for (long nth = 0;; nth++) {
                bool done;
                store_close(&kept);
                kept = store_mem_new();
                done = try_init(store_fault_new(kept, nth, kinds[k]), &all[i]) == 0;
                assert_true(nth < 60);
                OK(try_init(store_mem_share(kept), &all[i]), &err);
                OK(try_init(store_mem_share(kept), &all[i]), &err);
                assert_false(exists("keys/00000001"));
                if (done)
                    break;
            }
}

static void an_unfinished_init_of_another_secret_is_told(void **state)
{
    struct repo_options o = encrypted_options();
    const struct repo_options plain = plain_options();
    const char *const descriptor = "pgbr-repo";
    struct repo *r = NULL;

    (void)state;
    init(&o, true);
    OK(store_delete(kept, &descriptor, 1, &err), &err);
    o.secret = (struct key_secret){.passphrase = "other"};
    FAILS(repo_init(&r, store_mem_share(kept), &o, NULL, &err), &err, ERR_KEY);
    assert_non_null(strstr(err.msg, "unfinished"));
    FAILS(repo_init(&r, store_mem_share(kept), &plain, NULL, &err), &err, ERR_KEY);
    assert_non_null(strstr(err.msg, "keys/00000000"));
    assert_null(r);
}

/* ---- identities ---- */

static void accepted_identities_are_kept_in_order(void **state)
{
    const struct repo_options o = encrypted_options();
    AUTO(repo_close) struct repo *r = NULL, *other = NULL;
    const struct identity *ids;
    size_t n;

    (void)state;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    other = opened(&o, REPO_OPEN_FULL);
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
    struct repo_options o = encrypted_options();
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(buf_free) struct buf stolen = BUF_INIT;

    (void)state;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    OK(store_read(kept, "main/info/00000001", 10000, &stolen, &err), &err);
    OK(store_put(kept, "other/info/00000001", STORE_CREATE_ONLY, stolen.p, stolen.len, &err), &err);
    o.cluster = "other";
    refused(&o, REPO_OPEN_FULL, ERR_FOREIGN, "\"main\", expected \"other\"");
}

static void clusters_are_those_that_have_an_info(void **state)
{
    struct repo_options o = plain_options();
    char **names;
    size_t n;

    (void)state;
    OK(repo_clusters(kept, &names, &n, &err), &err);
    assert_int_equal(n, 0);
    repo_names_free(&names, n);
    init(&o, true);
    o.cluster = "main-2";
    init(&o, false);
    o.cluster = "a";
    init(&o, false);
    OK(store_put(kept, "stray/data/x", STORE_CREATE_ONLY, "x", 1, &err), &err);
    OK(repo_clusters(kept, &names, &n, &err), &err);
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
    const struct repo_options o = encrypted_options();

    (void)state;
    init(&o, true);
    for (size_t i = 0; i < LENGTH(keys); i++) {
        AUTO(buf_free) struct buf b = BUF_INIT;
        OK(store_read(kept, keys[i], 10000, &b, &err), &err);
        for (size_t bit = 0; bit < b.len * 8; bit++) {
            struct repo *r = NULL;
            b.p[bit / 8] ^= (char)(1 << bit % 8);
            OK(store_put(kept, keys[i], STORE_REPLACE, b.p, b.len, &err), &err);
            /* The trailer's hash of the bytes at rest is not for readers, but its CRC is. */
            FAILS(repo_open(&r, store_mem_share(kept), &o, REPO_OPEN_FULL, &err), &err,
                  ERR_CORRUPT);
            assert_non_null(strstr(err.msg, keys[i]));
            b.p[bit / 8] ^= (char)(1 << bit % 8);
        }
        OK(store_put(kept, keys[i], STORE_REPLACE, b.p, b.len, &err), &err);
    }
}

static void slots_of_another_repository_are_refused(void **state)
{
    const struct repo_options o = encrypted_options();
    AUTO(store_close) struct store *other = store_mem_new();

    (void)state;
    init(&o, true);
    OK(try_init(store_mem_share(other), &o), &err);
    copy_object(other, "keys/00000000", kept, "keys/00000000");
    refused(&o, REPO_OPEN_FULL, ERR_FOREIGN, "key slots");
}

/* The same id, but another key: what somebody without the key can make. */
static void a_forged_descriptor_is_refused(void **state)
{
    const struct repo_options o = encrypted_options();
    const struct repo_key wrong = {{1, 2, 3}};
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(coder_free) struct coder *c = NULL;
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct object_head head = {.kind = OBJECT_DESCRIPTOR, .label = "pgbr-repo"};
    struct descriptor d = {.encrypted = true};

    (void)state;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    memcpy(d.repo_id, repo_id(r), REPO_ID_SIZE);
    OK(descriptor_format(&d, &wrong, "pgbr-repo", &body, &err), &err);
    OK(coder_new(&c, NULL, "pgbr-repo", 1, &err), &err);
    OK(object_put_small(kept, "pgbr-repo", STORE_REPLACE, &head, c, CHUNK_TEXT, CHUNK_PUBLIC,
                        body.p, body.len, &err),
       &err);
    refused(&o, REPO_OPEN_FULL, ERR_KEY, "MAC");
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
    OK(object_put_small(kept, buf_text(&key), STORE_CREATE_ONLY, &head, c, CHUNK_TEXT, CHUNK_PUBLIC,
                        body.p, body.len, &err),
       &err);
}

static void features_of_later_versions_are_respected(void **state)
{
    const struct repo_options o = encrypted_options();
    AUTO(repo_close) struct repo *r = NULL;

    (void)state;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    put_features(r, 1, FEATURE_COMPATIBLE, "nice-to-have");
    repo_close(&r);
    r = opened(&o, REPO_OPEN_FULL);
    assert_null(repo_read_only(r));
    put_features(r, 2, FEATURE_READ_ONLY, "strange-expiry");
    repo_close(&r);
    r = opened(&o, REPO_OPEN_FULL);
    assert_non_null(strstr(repo_read_only(r), "strange-expiry"));
    FAILS(repo_accept(r, 1, 15, &err), &err, ERR_UNSUPPORTED);
    put_features(r, 3, FEATURE_INCOMPATIBLE, "other-chunks");
    refused(&o, REPO_OPEN_FULL, ERR_UNSUPPORTED, "other-chunks");
    refused(&o, REPO_OPEN_NO_KEY, ERR_UNSUPPORTED, "other-chunks");
}

static void one_generation_of_features_cannot_stand_in_for_another(void **state)
{
    const struct repo_options o = encrypted_options();
    AUTO(repo_close) struct repo *r = NULL;

    (void)state;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    put_features(r, 1, FEATURE_COMPATIBLE, "nice-to-have");
    copy_object(kept, "features/00000001", kept, "features/00000002");
    refused(&o, REPO_OPEN_FULL, ERR_CORRUPT, "features/00000002");
}

/* ---- the state file ---- */

static struct repo_options cached_options(void)
{
    struct repo_options o = encrypted_options();

    o.state_dir = state_dir;
    o.keep_key = true;
    return o;
}

static char *state_path(void)
{
    return xasprintf("%s/main@local.state", state_dir);
}

/* Requests that opening takes. */
static long calls_to_open(const struct repo_options *o)
{
    AUTO(repo_close) struct repo *r = NULL;
    struct store *counted = store_fault_new(kept, -1, FAULT_BEFORE);
    long calls;

    OK(repo_open(&r, counted, o, REPO_OPEN_QUICK, &err), &err);
    calls = store_fault_calls(counted);
    assert_null(repo_read_only(r));
    return calls;
}

static void the_state_file_saves_all_but_one_request(void **state)
{
    struct repo_options o = cached_options();
    AUTO(repo_close) struct repo *r = NULL, *quick = NULL;

    (void)state;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    OK(repo_accept(r, 7, 15, &err), &err);
    assert_int_equal(calls_to_open(&o), 1);
    quick = opened(&o, REPO_OPEN_QUICK);
    assert_memory_equal(repo_id(r), repo_id(quick), REPO_ID_SIZE);
    assert_memory_equal(repo_key(r), repo_key(quick), sizeof(struct repo_key));
    assert_true(repo_knows(quick, 7, 15));
    OK(repo_accept(quick, 8, 15, &err), &err);
    repo_close(&quick);
    quick = opened(&o, REPO_OPEN_QUICK);
    assert_true(repo_knows(quick, 8, 15));
}

static void the_state_file_is_private(void **state)
{
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();
    struct stat st;
    mode_t umask_before = umask(0);

    (void)state;
    init(&o, true);
    umask(umask_before);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(state_dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_key_that_may_not_be_kept_is_not_in_the_state_file(void **state)
{
    struct repo_options o = cached_options();
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(mem_free) char *path = state_path();
    AUTO(buf_free) struct buf content = BUF_INIT;

    (void)state;
    o.keep_key = false;
    init(&o, true);
    r = opened(&o, REPO_OPEN_FULL);
    OK(fs_read_file(AT_FDCWD, path, 10000, &content, &err), &err);
    assert_null(memmem(content.p, content.len, repo_key(r)->bytes, REPO_KEY_SIZE));
    assert_true(calls_to_open(&o) > 1);
    /* Once it was allowed: forbidding it later must not use it any more. */
    o.keep_key = true;
    repo_close(&r);
    r = opened(&o, REPO_OPEN_FULL);
    buf_clear(&content);
    OK(fs_read_file(AT_FDCWD, path, 10000, &content, &err), &err);
    assert_non_null(memmem(content.p, content.len, repo_key(r)->bytes, REPO_KEY_SIZE));
    o.keep_key = false;
    assert_true(calls_to_open(&o) > 1);
}

static void a_state_file_that_others_could_touch_is_ignored(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0666};
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();
    unsigned warnings;

    (void)state;
    init(&o, true);
    for (size_t i = 0; i < LENGTH(modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        warnings = log_count(LOG_WARNING);
        assert_true(calls_to_open(&o) > 1);
        assert_true(log_count(LOG_WARNING) > warnings);
        assert_int_equal(calls_to_open(&o), 1); /* it was written anew */
    }
    if (geteuid() == 0) {
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_true(calls_to_open(&o) > 1);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_true(calls_to_open(&o) > 1);
}

static void a_damaged_state_file_is_ignored_and_made_anew(void **state)
{
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();
    AUTO(buf_free) struct buf content = BUF_INIT;
    struct repo_state s;

    (void)state;
    init(&o, true);
    OK(fs_read_file(AT_FDCWD, path, 10000, &content, &err), &err);
    for (size_t i = 0; i < content.len; i++) {
        content.p[i] ^= 1;
        FAILS(state_parse(content.p, content.len, "memory", &s, &err), &err, ERR_CORRUPT);
        content.p[i] ^= 1;
        FAILS(state_parse(content.p, i, "memory", &s, &err), &err, ERR_CORRUPT);
    }
    FAILS(state_parse(content.p, content.len, "elsewhere", &s, &err), &err, ERR_CORRUPT);
    OK(state_parse(content.p, content.len, "memory", &s, &err), &err);
    state_free(&s);
    OK(fs_replace(AT_FDCWD, path, content.p, content.len / 2, 0600, &err), &err);
    assert_true(calls_to_open(&o) > 1);
    assert_int_equal(calls_to_open(&o), 1);
}

static void an_old_state_file_is_not_relied_on(void **state)
{
    static const struct {
        int64_t age_s;
        bool used;
    } cases[] = {{STATE_STALE_S - 60, true}, {STATE_STALE_S + 60, false}, {-3600, false}};
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();

    (void)state;
    init(&o, true);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf old = BUF_INIT, made = BUF_INIT;
        struct repo_state s;
        OK(fs_read_file(AT_FDCWD, path, 10000, &old, &err), &err);
        OK(state_parse(old.p, old.len, "memory", &s, &err), &err);
        s.written_us = clock_now_us() - cases[i].age_s * 1000000;
        state_format(&s, "memory", &made);
        state_free(&s);
        OK(fs_replace(AT_FDCWD, path, made.p, made.len, 0600, &err), &err);
        assert_int_equal(calls_to_open(&o) == 1, cases[i].used);
    }
}

static void a_repository_made_anew_at_the_same_place_is_noticed(void **state)
{
    const struct repo_options o = cached_options();
    AUTO(repo_close) struct repo *before = NULL, *after = NULL;
    struct repo_options elsewhere = encrypted_options();
    struct repo_options changed = o;

    (void)state;
    init(&o, true);
    before = opened(&o, REPO_OPEN_QUICK);
    OK(repo_accept(before, 7, 15, &err), &err);
    store_close(&kept);
    kept = store_mem_new();
    refused(&o, REPO_OPEN_QUICK, ERR_NOT_FOUND, "pgbr init");
    init(&elsewhere, true); /* by another host: our state file is the old one's */
    after = opened(&o, REPO_OPEN_QUICK);
    assert_memory_not_equal(repo_id(before), repo_id(after), REPO_ID_SIZE);
    assert_memory_not_equal(repo_key(before), repo_key(after), sizeof(struct repo_key));
    assert_false(repo_knows(after, 7, 15));
    repo_close(&after);
    assert_int_equal(calls_to_open(&o), 1);

    store_close(&kept);
    kept = store_mem_new();
    elsewhere.secret = (struct key_secret){.passphrase = "unknown to us"};
    init(&elsewhere, true);
    refused(&changed, REPO_OPEN_QUICK, ERR_FOREIGN, "another repository");
}

static void where_the_state_file_cannot_be_written_opening_works(void **state)
{
    struct repo_options o = cached_options();
    AUTO(repo_close) struct repo *r = NULL;
    unsigned warnings = log_count(LOG_WARNING);

    (void)state;
    o.state_dir = key_file; /* a file, no directory */
    init(&o, true);
    r = opened(&o, REPO_OPEN_QUICK);
    assert_non_null(repo_key(r));
    assert_true(log_count(LOG_WARNING) > warnings);
}

static void a_state_file_that_says_the_same_is_left_alone(void **state)
{
    const struct repo_options o = cached_options();
    AUTO(mem_free) char *path = state_path();
    struct stat before, after;
    struct repo *r;

    (void)state;
    init(&o, true);
    assert_int_equal(stat(path, &before), 0);
    r = opened(&o, REPO_OPEN_FULL);
    repo_close(&r);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

/* ---- bodies ---- */

static void info_bodies_that_lie_are_refused(void **state)
{
    static const struct identity two[] = {{1, 13}, {UINT64_MAX, 18}};
    AUTO(buf_free) struct buf body = BUF_INIT;
    struct identity *ids;
    size_t n;

    (void)state;
    info_format("main", two, 2, &body);
    OK(info_parse(body.p, body.len, "main", &ids, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_memory_equal(&ids[1].system_id, &two[1].system_id, 8);
    free(ids);
    FAILS(info_parse(body.p, body.len, "mai", &ids, &n, &err), &err, ERR_FOREIGN);
    for (size_t len = 0; len < body.len; len++)
        FAILS(info_parse(body.p, len, "main", &ids, &n, &err), &err, ERR_CORRUPT);
    buf_clear(&body);
    field_text(&body, 1, "main");
    field_bytes(&body, 3, "\xff\xff\x03", 3); /* 65535 identities in no bytes */
    FAILS(info_parse(body.p, body.len, "main", &ids, &n, &err), &err, ERR_CORRUPT);
}

static void fields_that_are_not_known_are_critical_when_odd(void **state)
{
    static const struct {
        unsigned tag;
        enum err_code why;
    } cases[] = {{20, ERR_NONE}, {21, ERR_UNSUPPORTED}, {254, ERR_NONE}, {255, ERR_UNSUPPORTED}};
    struct identity *ids;
    size_t n;

    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO(buf_free) struct buf body = BUF_INIT;
        info_format("main", NULL, 0, &body);
        field_text(&body, cases[i].tag, "new");
        if (cases[i].why == ERR_NONE) {
            OK(info_parse(body.p, body.len, "main", &ids, &n, &err), &err);
            free(ids);
        } else {
            FAILS(info_parse(body.p, body.len, "main", &ids, &n, &err), &err, cases[i].why);
        }
    }
}

static void fields_come_in_order_and_once(void **state)
{
    static const char *const bodies[] = {
        "\x03\x01\x00\x01\x04main", /* 3, 1 */
        "\x01\x04main\x01\x04main\x03\x01\x00",
        "\x00\x00",
    };
    static const size_t lens[] = {9, 15, 2};
    struct identity *ids;
    size_t n;

    (void)state;
    for (size_t i = 0; i < LENGTH(bodies); i++)
        FAILS(info_parse(bodies[i], lens[i], "main", &ids, &n, &err), &err, ERR_CORRUPT);
}

int main(void)
{
#define REPO_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
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
        REPO_TEST(an_unfinished_init_of_another_secret_is_told),
        REPO_TEST(accepted_identities_are_kept_in_order),
        REPO_TEST(the_info_of_another_cluster_is_refused),
        REPO_TEST(clusters_are_those_that_have_an_info),
        REPO_TEST(every_altered_bit_of_the_small_objects_is_noticed),
        REPO_TEST(slots_of_another_repository_are_refused),
        REPO_TEST(a_forged_descriptor_is_refused),
        REPO_TEST(features_of_later_versions_are_respected),
        REPO_TEST(one_generation_of_features_cannot_stand_in_for_another),
        REPO_TEST(the_state_file_saves_all_but_one_request),
        REPO_TEST(the_state_file_is_private),
        REPO_TEST(a_key_that_may_not_be_kept_is_not_in_the_state_file),
        REPO_TEST(a_state_file_that_others_could_touch_is_ignored),
        REPO_TEST(a_damaged_state_file_is_ignored_and_made_anew),
        REPO_TEST(an_old_state_file_is_not_relied_on),
        REPO_TEST(a_repository_made_anew_at_the_same_place_is_noticed),
        REPO_TEST(where_the_state_file_cannot_be_written_opening_works),
        REPO_TEST(a_state_file_that_says_the_same_is_left_alone),
        REPO_TEST(info_bodies_that_lie_are_refused),
        REPO_TEST(fields_that_are_not_known_are_critical_when_odd),
        REPO_TEST(fields_come_in_order_and_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
