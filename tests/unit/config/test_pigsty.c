/* What a Pigsty inventory holds, unchanged: repositories, clusters and their members. */
#include <string.h>

#include "config/config.h"
#include "tests/lib/test.h"

/* The repository block as Pigsty ships it. */
static const char repository_block[] =
    "pgbackrest_repo:                  # pgbackrest repo: "
    "https://pgbackrest.org/configuration.html#section-repository\n"
    "  local:                          # default pgbackrest repo with local posix fs\n"
    "    path: /pg/backup              # local backup directory, `/pg/backup` by default\n"
    "    retention_full_type: count    # retention full backups by count\n"
    "    retention_full: 2             # keep 2, at most 3 full backup when using local fs repo\n"
    "  minio:                          # optional minio repo for pgbackrest\n"
    "    type: s3                      # minio is s3-compatible, so s3 is used\n"
    "    s3_endpoint: sss.pigsty       # minio endpoint domain name, `sss.pigsty` by default\n"
    "    s3_region: us-east-1          # minio region, us-east-1 by default, useless for minio\n"
    "    s3_bucket: pgsql              # minio bucket name, `pgsql` by default\n"
    "    s3_key: pgbackrest            # minio user access key for pgbackrest\n"
    "    s3_key_secret: S3User.Backup  # minio user secret key for pgbackrest\n"
    "    s3_uri_style: path            # use path style uri for minio rather than host style\n"
    "    path: /pgbackrest             # minio backup path, default is `/pgbackrest`\n"
    "    storage_port: 9000            # minio port, 9000 by default\n"
    "    storage_ca_file: /etc/pki/ca.crt  # minio ca file path, `/etc/pki/ca.crt` by default\n"
    "    bundle: y                     # bundle small files into a single file\n"
    "    cipher_type: aes-256-cbc      # enable AES encryption for remote backup repo\n"
    "    cipher_pass: pgBackRest       # AES encryption password, default is 'pgBackRest'\n"
    "    retention_full_type: time     # retention full backup by time on minio repo\n"
    "    retention_full: 14            # keep full backup for last 14 days\n";

#define REPOS "repos: {local: {path: /pg/backup}, minio: {path: /minio}}\n"
#define HOSTS                                            \
    "  hosts:\n"                                         \
    "    10.10.10.11: { pg_seq: 1, pg_role: primary }\n" \
    "    10.10.10.12: { pg_seq: 2, pg_role: replica }\n" \
    "    10.10.10.13: { pg_seq: 3, pg_role: replica }\n" \
    "  vars:\n"                                          \
    "    pg_cluster: pg-test\n"

static struct config *parse(const char *text)
{
    struct config *c = NULL;
    struct err err = {0};

    OK(config_parse(text, strlen(text), "pigsty.yml", &c, &err), &err);
    return c;
}

static void the_repository_block_loads_unchanged(void **state)
{
    AUTO(config_free) struct config *c = parse(repository_block);
    const struct repo_config *local = &c->repos[0], *minio = &c->repos[1];
    (void)state;

    assert_int_equal(c->n_repos, 2);
    assert_string_equal(c->default_repo, "local");
    assert_true(c->has_secret);
    assert_string_equal(local->name, "local");
    assert_int_equal(local->type, CONFIG_REPO_POSIX);
    assert_string_equal(local->path, "/pg/backup");
    assert_int_equal(local->retention_full_type, CONFIG_RETENTION_COUNT);
    assert_int_equal(local->retention_full, 2);
    assert_int_equal(minio->type, CONFIG_REPO_S3);
    assert_string_equal(minio->s3_endpoint, "sss.pigsty");
    assert_string_equal(minio->s3_region, "us-east-1");
    assert_string_equal(minio->s3_bucket, "pgsql");
    assert_string_equal(minio->s3_key, "pgbackrest");
    assert_string_equal(minio->s3_key_secret, "S3User.Backup");
    assert_int_equal(minio->s3_uri_style, CONFIG_URI_PATH);
    assert_string_equal(minio->path, "/pgbackrest");
    assert_int_equal(minio->storage_port, 9000);
    assert_string_equal(minio->storage_ca_file, "/etc/pki/ca.crt");
    assert_int_equal(minio->cipher_type, CONFIG_CIPHER_AES_256_CBC);
    assert_string_equal(minio->cipher_pass, "pgBackRest");
    assert_int_equal(minio->retention_full_type, CONFIG_RETENTION_TIME);
    assert_int_equal(minio->retention_full, 14);
    assert_int_equal(c->n_notes, 1);
    assert_false(c->notes[0].warning);
    assert_string_equal(c->notes[0].text, "line 17: \"bundle\" in repository \"minio\" changes "
                                          "nothing: small files are always stored together");
}

static void newer_keys_are_accepted_and_explained(void **state)
{
    AUTO(config_free)
    struct config *c =
        parse("pgbackrest_repo:\n"
              "  minio: {type: s3, s3_endpoint: sss.pigsty, s3_bucket: pgsql, block: y,\n"
              "          bundle: y, bundle_limit: 20MiB, bundle_size: 128MiB}\n"
              "pgbackrest_method: minio\n");
    (void)state;

    assert_string_equal(c->default_repo, "minio");
    assert_int_equal(c->n_notes, 4);
    assert_string_equal(c->notes[0].text,
                        "line 2: \"block\" in repository \"minio\" changes nothing: of changed "
                        "files pgbr always stores the changed pages only");
}

static void an_inventory_gives_clusters_and_members(void **state)
{
    AUTO(config_free) struct config *c = parse("pg-test:\n" HOSTS REPOS);
    const struct cluster_config *cluster;
    struct err err = {0};
    (void)state;

    OK(config_cluster(c, "pg-test", &cluster, &err), &err);
    assert_string_equal(cluster->data, "/pg/data");
    assert_int_equal(cluster->port, 5432);
    assert_string_equal(cluster->connection, "port=5432 dbname=postgres");
    assert_string_equal(cluster->primary,
                        "host=10.10.10.11,10.10.10.12,10.10.10.13 port=5432,5432,5432 "
                        "dbname=postgres target_session_attrs=read-write");
    assert_string_equal(cluster->default_repo, "local");
    assert_null(cluster->instance);
    assert_int_equal(cluster->n_members, 3);
    assert_string_equal(cluster->members[1].host, "10.10.10.12");
    assert_string_equal(cluster->members[1].instance, "pg-test-2");
    assert_string_equal(cluster->members[1].role, "replica");
    assert_int_equal(cluster->members[2].seq, 3);
}

static void a_whole_inventory_is_read_for_its_clusters_only(void **state)
{
    AUTO(config_free)
    struct config *c = parse(
        "all:\n"
        "  children:\n"
        "    infra: { hosts: { 10.10.10.10: { infra_seq: 1 } } }\n"
        "    etcd: { hosts: { 10.10.10.10: { etcd_seq: 1 } }, vars: { etcd_cluster: etcd } }\n"
        "    pg-meta:\n"
        "      hosts: { 10.10.10.10: { pg_seq: 1, pg_role: primary, pg_data: /data/x } }\n"
        "      vars:\n"
        "        pg_cluster: pg-meta\n"
        "        pg_port: 5433\n"
        "        pg_users: [ { name: dbuser_meta, password: DBUser.Meta } ]\n"
        "        pg_vault: !vault |\n"
        "          $ANSIBLE_VAULT;1.1;AES256\n"
        "        pgbackrest_method: minio\n"
        "    pg-citus:\n"
        "      hosts:\n"
        "        10.10.10.50: { pg_cluster: pg-citus0, pg_seq: 1 }\n"
        "        10.10.10.51: { pg_cluster: pg-citus1, pg_seq: 1 }\n"
        "  vars:\n"
        "    version: v4.5.0\n"
        "    admin_ip: 10.10.10.10\n"
        "    pgbackrest_method: local\n"
        "    pgbackrest_repo:\n"
        "      local: {path: /pg/backup}\n"
        "      minio: {path: '/minio/${pg_cluster}'}\n");
    AUTO(repo_config_free) struct repo_config r = {0};
    const struct cluster_config *meta;
    struct err err = {0};
    (void)state;

    assert_int_equal(c->n_clusters, 3);
    assert_int_equal(c->n_repos, 2);
    OK(config_cluster(c, "pg-meta", &meta, &err), &err);
    assert_string_equal(meta->data, "/data/x");
    assert_int_equal(meta->port, 5433);
    assert_string_equal(meta->connection, "port=5433 dbname=postgres");
    assert_string_equal(meta->default_repo, "minio");
    OK(config_repo(c, meta, NULL, &r, &err), &err);
    assert_string_equal(r.path, "/minio/pg-meta");
    assert_string_equal(c->clusters[1].name, "pg-citus0");
    assert_string_equal(c->clusters[2].members[0].host, "10.10.10.51");
    assert_string_equal(c->clusters[2].default_repo, "local");
}

static void a_host_is_found_by_address_or_instance(void **state)
{
    AUTO(config_free)
    struct config *c =
        parse("pg-test:\n"
              "  hosts:\n"
              "    10.10.10.11: { pg_seq: 1 }\n"
              "    10.10.10.12: { pg_seq: 2, pg_role: replica, pg_port: 5499, pg_data: /d2 }\n"
              "  vars: { pg_cluster: pg-test }\n" REPOS);
    struct cluster_config *cluster = &c->clusters[0];
    (void)state;

    assert_false(cluster_config_be(cluster, "10.10.10.1"));
    assert_null(cluster->instance);
    assert_true(cluster_config_be(cluster, "10.10.10.12"));
    assert_string_equal(cluster->instance, "pg-test-2");
    assert_string_equal(cluster->role, "replica");
    assert_string_equal(cluster->data, "/d2");
    assert_string_equal(cluster->connection, "port=5499 dbname=postgres");
    assert_true(cluster_config_be(cluster, "pg-test-1"));
    assert_string_equal(cluster->data, "/pg/data");
    assert_null(cluster->role);
}

static void what_clusters_say_wins_over_the_inventory(void **state)
{
    AUTO(config_free)
    struct config *c =
        parse(REPOS "pg-test:\n" HOSTS "clusters:\n"
                    "  pg-test: {data: /mine, connection: 'host=/tmp', repos: [local, minio],\n"
                    "            primary: 'host=vip', instance: pg-test-3, workers: 3}\n");
    const struct cluster_config *cluster = &c->clusters[0];
    (void)state;

    assert_int_equal(c->n_clusters, 1);
    assert_int_equal(cluster->n_members, 3);
    assert_string_equal(cluster->data, "/mine");
    assert_string_equal(cluster->connection, "host=/tmp");
    assert_string_equal(cluster->primary, "host=vip");
    assert_string_equal(cluster->instance, "pg-test-3");
    assert_string_equal(cluster->role, "replica");
    assert_int_equal(cluster->n_repos, 2);
    assert_int_equal(cluster->workers, 3);
}

static void variables_of_a_password_are_left_alone(void **state)
{
    AUTO(config_free)
    struct config *c =
        parse("repos:\n"
              "  a: {path: /a, cipher_type: aes-256-cbc, cipher_pass: '${x}.${pg_cluster}.$'}\n"
              "clusters: {pg-test: }\n");
    AUTO(repo_config_free) struct repo_config r = {0};
    struct err err = {0};
    (void)state;

    OK(config_repo(c, &c->clusters[0], NULL, &r, &err), &err);
    assert_string_equal(r.cipher_pass, "${x}.pg-test.$");
}

static void mistakes_of_an_inventory_are_named(void **state)
{
    static const struct {
        const char *text, *message;
    } table[] = {
        {REPOS "g: {hosts: {h: {pg_seq: one}}, vars: {pg_cluster: c}}\n",
         "\"f\" line 2, column 25: \"pg_seq\": \"one\" is not a whole number"},
        {REPOS "g: {hosts: {h: {pg_port: 0}}, vars: {pg_cluster: c}}\n",
         "\"f\" line 2, column 26: \"pg_port\" must be 1 to 65535"},
        {REPOS "g: {hosts: {h: {pg_data: data}}, vars: {pg_cluster: c}}\n",
         "\"f\" line 2, column 26: \"pg_data\" must be an absolute path"},
        {REPOS "g: {hosts: {h: }, vars: {pg_cluster: c.d}}\n",
         "\"f\" line 2, column 38: \"c.d\" cannot be the name of a cluster (pg_cluster): 1 to 63 "
         "letters, digits, \"_\" or \"-\", and not \"keys\""},
        {REPOS "g: {hosts: {h: {pg_seq: 1}, i: {pg_seq: 1}}, vars: {pg_cluster: c}}\n",
         "\"f\" line 2, column 29: cluster \"c\" has two members with pg_seq 1"},
        {REPOS "g: {hosts: {\"a b\": {pg_seq: 1}}, vars: {pg_cluster: c}}\n",
         "\"f\" line 2, column 13: a host must be an address or a name"},
        {REPOS "g: {hosts: {h: }, vars: {pg_cluster: c, pgbackrest_method: s3}}\n",
         "\"f\" line 2, column 60: there is no repository \"s3\""},
        {REPOS "g: {hosts: {h: }, vars: {pg_cluster: c, pgbackrest_repo: {}}}\n",
         "\"f\" line 2, column 58: \"pgbackrest_repo\" of a single cluster cannot be used: give "
         "its repositories a name of their own at the top of the file"},
        {REPOS "g: {host: {h: }}\n", "\"f\" line 2, column 1: unknown key \"g\" in the file"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        AUTO(config_free) struct config *c = NULL;
        struct err err = {0};

        FAILS(config_parse(table[i].text, strlen(table[i].text), "f", &c, &err), &err, ERR_CONFIG);
        assert_string_equal(err.msg, table[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_repository_block_loads_unchanged),
        cmocka_unit_test(newer_keys_are_accepted_and_explained),
        cmocka_unit_test(an_inventory_gives_clusters_and_members),
        cmocka_unit_test(a_whole_inventory_is_read_for_its_clusters_only),
        cmocka_unit_test(a_host_is_found_by_address_or_instance),
        cmocka_unit_test(what_clusters_say_wins_over_the_inventory),
        cmocka_unit_test(variables_of_a_password_are_left_alone),
        cmocka_unit_test(mistakes_of_an_inventory_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
