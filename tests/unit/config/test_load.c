/* The configuration as a file, and secrets from files and the environment. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/config.h"
#include "tests/lib/test.h"

static char dir[] = "/tmp/pgbr-test-XXXXXX";
static char path_of[128];

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"pgbr.yml", "secret", "credentials"};
    (void)state;

    for (size_t i = 0; i < LENGTH(names); i++) {
        snprintf(path_of, sizeof path_of, "%s/%s", dir, names[i]);
        unlink(path_of);
    }
    return rmdir(dir);
}

static const char *write_file(const char *name, const char *text, size_t len, mode_t mode)
{
    int fd;

    snprintf(path_of, sizeof path_of, "%s/%s", dir, name);
    fd = open(path_of, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path_of;
}

static struct config *load(const char *text, mode_t mode)
{
    struct config *c = NULL;
    struct err err = {0};

    OK(config_load(write_file("pgbr.yml", text, strlen(text), mode), &c, &err), &err);
    return c;
}

static void a_missing_file_is_not_found(void **state)
{
    struct config *c = NULL;
    struct err err = {0};
    (void)state;

    FAILS(config_load("/nowhere/pgbr.yml", &c, &err), &err, ERR_NOT_FOUND);
    assert_string_equal(err.msg, "configuration \"/nowhere/pgbr.yml\": No such file or directory");
}

static void others_reading_a_secret_is_a_warning(void **state)
{
    static const char with[] = "repos: {a: {path: /a, cipher_type: aes-256-cbc, cipher_pass: x}}\n";
    static const char without[] = "repos: {a: {path: /a}}\n";
    static const struct {
        const char *text;
        mode_t mode;
        size_t notes;
    } table[] = {{with, 0644, 1}, {with, 0640, 0}, {with, 0600, 0}, {without, 0644, 0}};
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        AUTO(config_free) struct config *c = load(table[i].text, table[i].mode);

        assert_int_equal(c->n_notes, table[i].notes);
        if (c->n_notes != 0) {
            assert_true(c->notes[0].warning);
            assert_non_null(strstr(c->notes[0].text, "holds a secret and everybody may read it"));
        }
    }
}

static void a_host_finds_itself_in_an_inventory(void **state)
{
    AUTO(config_free)
    struct config *c =
        load("repos: {a: {path: /a}}\n"
             "g: {hosts: {127.0.0.1: {pg_seq: 4, pg_role: replica}}, vars: {pg_cluster: c}}\n"
             "h: {hosts: {192.0.2.1: {pg_seq: 1}}, vars: {pg_cluster: d}}\n",
             0600);
    (void)state;

    assert_string_equal(c->clusters[0].instance, "c-4");
    assert_string_equal(c->clusters[0].role, "replica");
    assert_null(c->clusters[1].instance);
}

/* Tests run at the top of the source. */
static void the_example_of_the_documents_loads(void **state)
{
    AUTO(config_free) struct config *c = NULL;
    struct err err = {0};
    (void)state;

    OK(config_load("docs/examples/pgbr.yml", &c, &err), &err);
    assert_int_equal(c->n_notes, 0);
    assert_int_equal(c->n_repos, 2);
    assert_int_equal(c->n_clusters, 1);
    assert_int_equal(c->n_jobs, 3);
}

/* The two reference strategies, ready to use. */
static void the_strategies_of_the_documents_load(void **state)
{
    static const struct {
        const char *path;
        enum config_repo_type type;
        enum config_retention by;
        unsigned keep;
        size_t notes; /* "bundle: y" has one */
    } files[] = {
        {"docs/examples/local.yml", CONFIG_REPO_POSIX, CONFIG_RETENTION_COUNT, 2, 0},
        {"docs/examples/minio.yml", CONFIG_REPO_S3, CONFIG_RETENTION_TIME, 14, 1},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(files); i++) {
        AUTO(config_free) struct config *c = NULL;
        struct err err = {0};

        OK(config_load(files[i].path, &c, &err), &err);
        assert_int_equal(c->n_notes, files[i].notes);
        assert_int_equal(c->n_repos, 1);
        assert_int_equal(c->repos[0].type, files[i].type);
        assert_int_equal(c->repos[0].retention_full_type, files[i].by);
        assert_int_equal(c->repos[0].retention_full, files[i].keep);
        assert_true(c->repos[0].expire_auto);
        assert_true(c->repos[0].storage_verify_tls);
        assert_int_equal(c->n_clusters, 1);
        assert_true(c->n_jobs >= 2);
    }
}

static struct repo_config repo_of(const char *keys)
{
    AUTO(config_free) struct config *c = NULL;
    AUTO(mem_free)
    char *text = xasprintf("repos: {my-repo: {%s}}\nclusters: {m: {repos: my-repo}}\n", keys);
    struct repo_config r = {0};
    struct err err = {0};

    OK(config_parse(text, strlen(text), "f", &c, &err), &err);
    OK(config_repo(c, &c->clusters[0], NULL, &r, &err), &err);
    return r;
}

#define CIPHER "path: /a, cipher_type: aes-256-cbc"

static void the_repositorys_own_variable_wins(void **state)
{
    AUTO(repo_config_free) struct repo_config r = repo_of(CIPHER ", cipher_pass: inline");
    struct err err = {0};
    (void)state;

    setenv("PGBR_CIPHER_PASS", "common", 1);
    OK(repo_config_secrets(&r, &err), &err);
    assert_string_equal(r.cipher_pass, "inline");
    setenv("PGBR_REPO_MY_REPO_CIPHER_PASS", "own", 1);
    OK(repo_config_secrets(&r, &err), &err);
    assert_string_equal(r.cipher_pass, "own");
    unsetenv("PGBR_CIPHER_PASS");
    unsetenv("PGBR_REPO_MY_REPO_CIPHER_PASS");
}

static void the_common_variable_is_the_last_resort(void **state)
{
    AUTO(repo_config_free) struct repo_config r = repo_of(CIPHER);
    struct err err = {0};
    (void)state;

    FAILS(repo_config_secrets(&r, &err), &err, ERR_KEY);
    assert_string_equal(err.msg, "repository \"my-repo\" has no \"cipher_pass\": set it or "
                                 "\"cipher_pass_file\" in the configuration, or "
                                 "PGBR_REPO_MY_REPO_CIPHER_PASS or PGBR_CIPHER_PASS in the "
                                 "environment");
    setenv("PGBR_CIPHER_PASS", "", 1);
    FAILS(repo_config_secrets(&r, &err), &err, ERR_KEY);
    setenv("PGBR_CIPHER_PASS", "common", 1);
    OK(repo_config_secrets(&r, &err), &err);
    assert_string_equal(r.cipher_pass, "common");
    unsetenv("PGBR_CIPHER_PASS");
}

static void a_secret_file_is_read_without_its_line_end(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *secret; /* NULL: refused */
    } table[] = {
        {"s3cret\n", 7, "s3cret"},
        {"s3cret", 6, "s3cret"},
        {"s3cret\r\n", 8, "s3cret"},
        {"two words ", 10, "two words "},
        {"a\n\n", 3, "a\n"},
        {"", 0, NULL},
        {"\n", 1, NULL},
        {"a\0b", 3, NULL},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        const char *file = write_file("secret", table[i].text, table[i].len, 0600);
        AUTO(mem_free) char *keys = xasprintf(CIPHER ", cipher_pass_file: %s", file);
        AUTO(repo_config_free) struct repo_config r = repo_of(keys);
        struct err err = {0};

        if (table[i].secret == NULL) {
            FAILS(repo_config_secrets(&r, &err), &err, ERR_KEY);
            continue;
        }
        OK(repo_config_secrets(&r, &err), &err);
        assert_string_equal(r.cipher_pass, table[i].secret);
        assert_null(r.exposed_file);
    }
}

static void a_missing_secret_file_is_named(void **state)
{
    AUTO(repo_config_free) struct repo_config r = repo_of(CIPHER ", cipher_pass_file: /nowhere/x");
    struct err err = {0};
    (void)state;

    FAILS(repo_config_secrets(&r, &err), &err, ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "\"cipher_pass_file\" of repository \"my-repo\""));
    assert_non_null(strstr(err.msg, "/nowhere/x"));
}

static void a_secret_file_that_all_may_read_is_remembered(void **state)
{
    const char *file = write_file("secret", "x", 1, 0644);
    AUTO(mem_free) char *keys = xasprintf(CIPHER ", cipher_pass_file: %s", file);
    AUTO(repo_config_free) struct repo_config r = repo_of(keys);
    struct err err = {0};
    (void)state;

    OK(repo_config_secrets(&r, &err), &err);
    assert_string_equal(r.exposed_file, r.cipher_pass_file);
}

static void a_key_file_gives_way_to_the_own_variable_only(void **state)
{
    AUTO(repo_config_free) struct repo_config r = repo_of(CIPHER ", cipher_key_file: /k");
    struct err err = {0};
    (void)state;

    setenv("PGBR_CIPHER_PASS", "common", 1);
    OK(repo_config_secrets(&r, &err), &err);
    assert_string_equal(r.cipher_key_file, "/k");
    assert_null(r.cipher_pass);
    unsetenv("PGBR_CIPHER_PASS");
    setenv("PGBR_REPO_MY_REPO_CIPHER_PASS", "own", 1);
    OK(repo_config_secrets(&r, &err), &err);
    assert_null(r.cipher_key_file);
    assert_string_equal(r.cipher_pass, "own");
    unsetenv("PGBR_REPO_MY_REPO_CIPHER_PASS");
}

static void s3_keys_are_found_in_the_same_ways(void **state)
{
    const char *file = write_file("secret", "from file\n", 10, 0600);
    AUTO(mem_free)
    char *keys = xasprintf("type: s3, s3_bucket: b, s3_endpoint: e, s3_key_secret_file: %s", file);
    AUTO(repo_config_free) struct repo_config r = repo_of(keys);
    struct err err = {0};
    (void)state;

    FAILS(repo_config_secrets(&r, &err), &err, ERR_KEY);
    assert_non_null(strstr(err.msg, "PGBR_REPO_MY_REPO_S3_KEY or PGBR_S3_KEY"));
    setenv("PGBR_S3_KEY", "id", 1);
    OK(repo_config_secrets(&r, &err), &err);
    assert_string_equal(r.s3_key, "id");
    assert_string_equal(r.s3_key_secret, "from file");
    assert_null(r.s3_token);
    unsetenv("PGBR_S3_KEY");
}

static void keys_of(const char *more, enum err_code code, const char *key, const char *secret,
                    const char *token)
{
    AUTO(mem_free)
    char *text = xasprintf("type: s3, s3_bucket: b, s3_endpoint: e%s", more);
    AUTO(repo_config_free) struct repo_config r = repo_of(text);
    struct err err = {0};

    if (code != ERR_NONE) {
        FAILS(repo_config_s3_keys(&r, &err), &err, code);
        return;
    }
    OK(repo_config_s3_keys(&r, &err), &err);
    assert_string_equal(r.s3_key, key);
    assert_string_equal(r.s3_key_secret, secret);
    if (token == NULL)
        assert_null(r.s3_token);
    else
        assert_string_equal(r.s3_token, token);
}

static void s3_keys_come_from_a_credentials_file(void **state)
{
    static const char content[] = "# who\n"
                                  "[default]\n"
                                  "aws_access_key_id = AKIA\n"
                                  "aws_secret_access_key=a/b+c=\r\n"
                                  "region = eu\n"
                                  "[profile nightly]\n"
                                  "  aws_access_key_id=N \n"
                                  "; aws_session_token = no\n"
                                  "aws_secret_access_key = S\n"
                                  "aws_session_token = T==\n"
                                  "[half]\n"
                                  "aws_access_key_id = x";
    const char *file = write_file("credentials", content, sizeof content - 1, 0600);
    AUTO(mem_free) char *standard = xasprintf(", s3_credentials_file: %s", file);
    AUTO(mem_free) char *nightly = xasprintf("%s, s3_profile: nightly", standard);
    AUTO(mem_free) char *half = xasprintf("%s, s3_profile: half", standard);
    AUTO(mem_free) char *none = xasprintf("%s, s3_profile: nobody", standard);

    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "shell", 1); /* of whoever runs the test: does not count */
    setenv("AWS_SECRET_ACCESS_KEY", "shell", 1);
    setenv("AWS_SESSION_TOKEN", "shell", 1);
    keys_of(standard, ERR_NONE, "AKIA", "a/b+c=", NULL);
    keys_of(nightly, ERR_NONE, "N", "S", "T==");
    keys_of(half, ERR_KEY, NULL, NULL, NULL);
    keys_of(none, ERR_KEY, NULL, NULL, NULL);
    keys_of(", s3_credentials_file: /nonexistent", ERR_NOT_FOUND, NULL, NULL, NULL);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_SESSION_TOKEN");
}

static void s3_keys_of_the_shell_are_the_last_resort_and_all_or_none(void **state)
{
    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "K", 1);
    keys_of("", ERR_KEY, NULL, NULL, NULL);
    setenv("AWS_SECRET_ACCESS_KEY", "S", 1);
    setenv("AWS_SESSION_TOKEN", "T", 1);
    keys_of("", ERR_NONE, "K", "S", "T");
    keys_of(", s3_key: a, s3_key_secret: b", ERR_NONE, "a", "b", NULL);
    keys_of(", s3_key: a", ERR_KEY, NULL, NULL, NULL);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_SESSION_TOKEN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_not_found),
        cmocka_unit_test(others_reading_a_secret_is_a_warning),
        cmocka_unit_test(a_host_finds_itself_in_an_inventory),
        cmocka_unit_test(the_example_of_the_documents_loads),
        cmocka_unit_test(the_strategies_of_the_documents_load),
        cmocka_unit_test(the_repositorys_own_variable_wins),
        cmocka_unit_test(the_common_variable_is_the_last_resort),
        cmocka_unit_test(a_secret_file_is_read_without_its_line_end),
        cmocka_unit_test(a_missing_secret_file_is_named),
        cmocka_unit_test(a_secret_file_that_all_may_read_is_remembered),
        cmocka_unit_test(a_key_file_gives_way_to_the_own_variable_only),
        cmocka_unit_test(s3_keys_are_found_in_the_same_ways),
        cmocka_unit_test(s3_keys_come_from_a_credentials_file),
        cmocka_unit_test(s3_keys_of_the_shell_are_the_last_resort_and_all_or_none),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
