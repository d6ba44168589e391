/* Keys, defaults and mistakes of the configuration file. */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "tests/lib/test.h"

#define REPOS "repos: {local: {path: /pg/backup}}\n"

static struct config *parse(const char *text)
{
    struct config *c = NULL;
    struct err err = {0};

    OK(config_parse(text, strlen(text), "pgbr.yml", &c, &err), &err);
    return c;
}

static void the_smallest_file_gets_all_defaults(void **state)
{
    AUTO(config_free) struct config *c = parse(REPOS "clusters: {main: }\n");
    const struct cluster_config *cluster;
    AUTO(repo_config_free) struct repo_config r = {0};
    struct err err = {0};
    (void)state;

    assert_string_equal(c->state_dir, "/var/lib/pgbr");
    assert_null(c->user);
    assert_int_equal(c->log_format, LOG_TEXT);
    assert_int_equal(c->log_level, LOG_INFO);
    assert_string_equal(c->default_repo, "local");
    assert_int_equal(c->n_notes, 0);
    assert_false(c->has_secret);
    OK(config_cluster(c, NULL, &cluster, &err), &err);
    assert_string_equal(cluster->name, "main");
    assert_null(cluster->data);
    assert_null(cluster->primary);
    assert_null(cluster->instance);
    assert_int_equal(cluster->port, 5432);
    assert_string_equal(cluster->connection, "port=5432 dbname=postgres");
    assert_int_equal(cluster->n_repos, 1);
    assert_string_equal(cluster->default_repo, "local");
    assert_int_equal(cluster->compress_level, 1);
    assert_in_range(cluster->workers, 1, 4);
    assert_true(cluster->rate_limit == 0);
    assert_true(cluster->archive_timeout_ms == 60000);
    assert_true(cluster->wal_wait_timeout_ms == 600000);
    assert_true(cluster->archive_get_timeout_ms == 300000);
    assert_int_equal(cluster->archive_push_ahead, CONFIG_UNSET);
    assert_int_equal(cluster->archive_get_ahead, CONFIG_UNSET);
    OK(config_repo(c, cluster, NULL, &r, &err), &err);
    assert_int_equal(r.type, CONFIG_REPO_POSIX);
    assert_string_equal(r.path, "/pg/backup");
    assert_false(r.optional);
    assert_int_equal(r.cipher_type, CONFIG_CIPHER_NONE);
    assert_true(r.key_cache);
    assert_int_equal(r.retention_full, 0);
    assert_true(r.expire_auto);
    assert_true(r.expire_grace_ms == -1);
    assert_int_equal(r.resume_window_s, 3 * 86400);
    assert_int_equal(config_compress_level(&r, cluster), 1);
    assert_true(r.pack_size == 32 << 20);
    assert_int_equal(r.lease_ttl_s, 900);
    assert_int_equal(r.lease_heartbeat_s, 60);
    assert_true(r.storage_verify_tls);
    assert_int_equal(r.storage_port, 443);
}

static void everything_that_is_given_arrives(void **state)
{
    AUTO(config_free)
    struct config *c =
        parse("state_dir: /state\n"
              "user: postgres\n"
              "log: {format: json, level: debug}\n"
              "repos:\n"
              "  a:\n"
              "    path: /a\n"
              "    cipher_type: aes-256-cbc\n"
              "    cipher_key_file: /etc/pgbr/key\n"
              "    key_cache: off\n"
              "    retention_full_type: time\n"
              "    retention_full: 14\n"
              "    retention_diff: 3\n"
              "    retention_archive_type: incr\n"
              "    retention_archive: 7\n"
              "    expire_auto: n\n"
              "    expire_grace: 2 min\n"
              "    resume_window: 1d\n"
              "    compress_level: -5\n"
              "    pack_size: 1 MiB\n"
              "    lease_ttl: 5 s\n"
              "    lease_heartbeat: 1s\n"
              "  b: {type: s3, s3_bucket: x, s3_endpoint: 's3.test:9000', s3_region: eu,\n"
              "      s3_uri_style: path, s3_key_file: /k, s3_key_secret_file: /s,\n"
              "      s3_token_file: /t, storage_host: 10.0.0.1, storage_port: 9000,\n"
              "      storage_ca_file: /ca.crt, storage_ca_path: /ca, storage_verify_tls: n,\n"
              "      optional: y}\n"
              "repo: b\n"
              "clusters:\n"
              "  main: {data: /pg/data, port: 5433, primary: 'host=p', repos: [a, b],\n"
              "         instance: main-7, compress_level: 3, workers: 2, rate_limit: 50 MiB,\n"
              "         archive_timeout: 5s, wal_wait_timeout: 1h, archive_get_timeout: 500ms,\n"
              "         archive_push_ahead: 0, archive_get_ahead: 32}\n"
              "  other: {connection: 'host=/tmp', repos: a}\n"
              "jobs:\n"
              "  nightly: {cluster: main, run: 'backup --type auto', cron: '0 1 * * MON-FRI',\n"
              "            time_zone: Europe/Berlin, role: replica}\n"
              "  tested: {cluster: other, run: \"drill 'a b' --x=\\\"c\\\"d\", cron: '@daily',\n"
              "           role: prefer-replica, role_wait: 1 h, jitter: 90s, time_limit: 6 h,\n"
              "           retries: 0, retry_delay: 1 min, catch_up: no, before: 'true',\n"
              "           after: 'exit 1', nice: 5, io: idle}\n"
              "scheduler: {stop_wait: 0}\n");
    const struct repo_config *a = &c->repos[0], *b = &c->repos[1];
    const struct cluster_config *main_ = &c->clusters[0], *other = &c->clusters[1];
    const struct job_config *job = &c->jobs[0], *tested = &c->jobs[1];
    (void)state;

    assert_string_equal(c->state_dir, "/state");
    assert_string_equal(c->user, "postgres");
    assert_int_equal(c->log_format, LOG_JSON);
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_int_equal(a->cipher_type, CONFIG_CIPHER_AES_256_CBC);
    assert_string_equal(a->cipher_key_file, "/etc/pgbr/key");
    assert_false(a->key_cache);
    assert_int_equal(a->retention_full_type, CONFIG_RETENTION_TIME);
    assert_int_equal(a->retention_full, 14);
    assert_int_equal(a->retention_diff, 3);
    assert_int_equal(a->retention_archive_type, CONFIG_ARCHIVE_INCR);
    assert_int_equal(a->retention_archive, 7);
    assert_false(a->expire_auto);
    assert_true(a->expire_grace_ms == 120000);
    assert_int_equal(a->resume_window_s, 86400);
    assert_int_equal(config_compress_level(a, main_), -5);
    assert_true(a->pack_size == 1 << 20);
    assert_int_equal(a->lease_ttl_s, 5);
    assert_int_equal(a->lease_heartbeat_s, 1);
    assert_int_equal(a->place.line, 5);
    assert_int_equal(b->type, CONFIG_REPO_S3);
    assert_string_equal(b->path, "/");
    assert_string_equal(b->s3_endpoint, "s3.test:9000");
    assert_string_equal(b->s3_region, "eu");
    assert_int_equal(b->s3_uri_style, CONFIG_URI_PATH);
    assert_string_equal(b->s3_token_file, "/t");
    assert_string_equal(b->storage_host, "10.0.0.1");
    assert_int_equal(b->storage_port, 9000);
    assert_string_equal(b->storage_ca_path, "/ca");
    assert_false(b->storage_verify_tls);
    assert_true(b->optional);
    assert_string_equal(c->default_repo, "b");
    assert_string_equal(main_->data, "/pg/data");
    assert_string_equal(main_->connection, "port=5433 dbname=postgres");
    assert_string_equal(main_->primary, "host=p");
    assert_string_equal(main_->instance, "main-7");
    assert_int_equal(main_->n_repos, 2);
    assert_string_equal(main_->default_repo, "b");
    assert_int_equal(config_compress_level(b, main_), 3);
    assert_int_equal(main_->workers, 2);
    assert_true(main_->rate_limit == 50 << 20);
    assert_true(main_->archive_timeout_ms == 5000);
    assert_true(main_->wal_wait_timeout_ms == 3600000);
    assert_true(main_->archive_get_timeout_ms == 500);
    assert_int_equal(main_->archive_push_ahead, 0);
    assert_int_equal(main_->archive_get_ahead, 32);
    assert_string_equal(other->connection, "host=/tmp");
    assert_string_equal(other->default_repo, "a");
    assert_string_equal(job->name, "nightly");
    assert_string_equal(job->cluster, "main");
    assert_string_equal(job->run, "backup --type auto");
    assert_string_equal(job->cron, "0 1 * * MON-FRI");
    assert_string_equal(job->time_zone, "Europe/Berlin");
    assert_int_equal(job->role, CONFIG_ROLE_REPLICA);
    assert_int_equal(job->n_words, 3);
    assert_string_equal(job->words[2], "auto");
    assert_int_equal(job->retries, 2);
    assert_true(job->catch_up);
    assert_int_equal(job->role_wait_ms, 600000);
    assert_int_equal(tested->n_words, 3);
    assert_string_equal(tested->words[1], "a b");
    assert_string_equal(tested->words[2], "--x=cd");
    assert_int_equal(tested->role, CONFIG_ROLE_PREFER_REPLICA);
    assert_int_equal(tested->role_wait_ms, 3600000);
    assert_int_equal(tested->jitter_ms, 90000);
    assert_int_equal(tested->time_limit_ms, 6 * 3600000);
    assert_int_equal(tested->retries, 0);
    assert_int_equal(tested->retry_delay_ms, 60000);
    assert_false(tested->catch_up);
    assert_string_equal(tested->before, "true");
    assert_string_equal(tested->after, "exit 1");
    assert_int_equal(tested->nice, 5);
    assert_int_equal(tested->io, CONFIG_IO_IDLE);
    assert_int_equal(c->scheduler.stop_wait_ms, 0);
    assert_false(c->has_secret);
}

#define REPO_A "repos: {a: {path: /a}, o: {path: /o, optional: yes}}\n"

static void mistakes_are_named_with_their_place(void **state)
{
    static const struct {
        const char *text, *message;
    } table[] = {
        {"", "has no repository (key \"repos\")"},
        {"- a\n", "line 1, column 1: the file must be a map of keys and values, not a list"},
        {"repos: {}\n", "line 1, column 8: the list of repositories is empty"},
        {"repos: [a]\n", "line 1, column 8: the list of repositories must be a map of keys and "
                         "values, not a list"},
        {"repos:\n  local:\n    path: /a\n    retention_ful: 2\n",
         "line 4, column 5: unknown key \"retention_ful\" in repository \"local\" (did you mean "
         "\"retention_full\"?)"},
        {"repos: {a: {path: /a, colour: red}}\n",
         "line 1, column 23: unknown key \"colour\" in repository \"a\""},
        {REPOS "clustres: {}\n",
         "line 2, column 1: unknown key \"clustres\" in the file (did you mean \"clusters\"?)"},
        {REPOS "log: {levl: info}\n",
         "line 2, column 7: unknown key \"levl\" in \"log\" (did you mean \"level\"?)"},
        {REPOS "log: {level: loud}\n",
         "line 2, column 14: \"level\" must be \"error\" or \"warning\" or \"info\" or \"debug\", "
         "not \"loud\""},
        {REPOS REPOS, "line 2, column 1: the key \"repos\" appears twice (first in line 1)"},
        {"repos: {a: {}}\n", "line 1, column 12: repository \"a\" has no \"path\""},
        {"repos: {a: }\n", "line 1, column 12: repository \"a\" must be a map of keys and values, "
                           "not text"},
        {"repos: {a: {path: }}\n", "line 1, column 19: \"path\" is empty"},
        {"repos: {a: {path: backup}}\n",
         "line 1, column 19: \"path\" must be an absolute path (beginning with \"/\")"},
        {"repos: {a: {path: '/${pg_custer}'}}\n",
         "line 1, column 19: the only variable that can be used is \"${pg_cluster}\""},
        {"repos: {a: {path: \"/a\\n\"}}\n",
         "line 1, column 19: \"path\" contains a control character"},
        {"repos: {a: {path: [/a]}}\n", "line 1, column 19: \"path\" must be text, not a list"},
        {"repos: {a: {path: !vault /a}}\n",
         "line 1, column 19: \"path\" has the tag \"!vault\", which pgbr cannot read"},
        {"repos: {a b: {path: /a}}\n",
         "line 1, column 9: \"a b\" cannot be the name of a repository: 1 to 63 letters, digits, "
         "\"_\" or \"-\", and not \"keys\""},
        {"repos: {a: {path: /a, optional: maybe}}\n",
         "line 1, column 33: \"optional\": \"maybe\" is not yes or no (y, n, yes, no, on, off, "
         "true, false)"},
        {"repos: {a: {path: /a, retention_full: 0}}\n",
         "line 1, column 39: \"0\" is outside of 1 to 9999999 for \"retention_full\""},
        {"repos: {a: {path: /a, compress_level: 0}}\n",
         "line 1, column 39: \"compress_level\" must be 1 to 22, or -1 to -50 for more speed"},
        {"repos: {a: {path: /a, compress_level: 23}}\n",
         "line 1, column 39: \"23\" is outside of -50 to 22 for \"compress_level\""},
        {"repos: {a: {path: /a, pack_size: 1GiB}}\n",
         "line 1, column 34: \"1GiB\" is outside of 256 KiB to 256 MiB for \"pack_size\""},
        {"repos: {a: {path: /a, expire_grace: 5}}\n",
         "line 1, column 37: \"expire_grace\": \"5\" is not a duration without its unit (ms, s, "
         "min, h or d)"},
        {"repos: {a: {path: /a, lease_ttl: 90 s, lease_heartbeat: 60 s}}\n",
         "line 1, column 34: \"lease_ttl\" (90 s) must be more than twice \"lease_heartbeat\" "
         "(60 s)"},
        {"repos: {a: {path: /a, lease_heartbeat: 1500 ms}}\n",
         "line 1, column 40: \"lease_heartbeat\" must be whole seconds"},
        {"repos: {a: {path: /a, s3_bucket: b}}\n",
         "line 1, column 23: \"s3_bucket\" in repository \"a\" needs \"type: s3\""},
        {"repos: {a: {type: s3, s3_endpoint: e}}\n",
         "line 1, column 12: repository \"a\" has no \"s3_bucket\""},
        {"repos: {a: {type: s3, s3_bucket: b}}\n",
         "line 1, column 12: repository \"a\" has no \"s3_endpoint\""},
        {"repos: {a: {type: s3, s3_bucket: b/c, s3_endpoint: e}}\n",
         "line 1, column 34: \"s3_bucket\" must be a bucket's name; a prefix goes into \"path\""},
        {"repos: {a: {type: s3, s3_bucket: b, s3_endpoint: 'https://e/b'}}\n",
         "line 1, column 50: \"s3_endpoint\" must be a host name, without a path"},
        {"repos: {a: {type: s3, s3_bucket: b, s3_endpoint: e, s3_profile: p}}\n",
         "line 1, column 65: \"s3_profile\" needs \"s3_credentials_file\""},
        {"repos: {a: {type: tape, path: /a}}\n",
         "line 1, column 19: \"type\" must be \"posix\" or \"s3\", not \"tape\""},
        {"repos: {a: {path: /a, cipher_pass: x}}\n",
         "line 1, column 36: \"cipher_pass\" in repository \"a\" needs \"cipher_type: "
         "aes-256-cbc\""},
        {"repos: {a: {path: /a, cipher_type: aes-256-cbc, cipher_pass: x, cipher_pass_file: /x}}\n",
         "line 1, column 83: repository \"a\" has both \"cipher_pass\" and \"cipher_pass_file\": "
         "keep one"},
        {REPOS "pgbackrest_repo: {b: {path: /b}}\n",
         "line 2, column 18: \"pgbackrest_repo\" is another name for \"repos\": keep one"},
        {REPOS "repo: locla\n",
         "line 2, column 7: there is no repository \"locla\" (did you mean \"local\"?)"},
        {REPOS "clusters: {keys: {}}\n",
         "line 2, column 12: \"keys\" cannot be the name of a cluster: 1 to 63 letters, digits, "
         "\"_\" or \"-\", and not \"keys\""},
        {REPOS "clusters: {m: {repos: [local, loca]}}\n",
         "line 2, column 31: there is no repository \"loca\" (did you mean \"local\"?)"},
        {REPOS "clusters: {m: {repos: [local, local]}}\n",
         "line 2, column 31: repository \"local\" is given twice for cluster \"m\""},
        {REPOS "clusters: {m: {repos: []}}\n",
         "line 2, column 23: \"repos\" of cluster \"m\" is empty"},
        {REPO_A "clusters: {m: {repos: [o]}}\n",
         "line 2, column 12: all repositories of cluster \"m\" are optional, so its WAL would "
         "count as archived when it is nowhere"},
        {REPO_A "clusters: {m: {repos: [a], repo: o}}\n",
         "line 2, column 34: \"repo\" must be one of the \"repos\" of cluster \"m\""},
        {REPO_A "clusters: {m: {data: /a/}}\n",
         "line 2, column 12: repository \"a\" lies in the data directory of cluster \"m\""},
        {REPOS "clusters: {m: {data: /pg}}\n",
         "line 2, column 12: repository \"local\" lies in the data directory of cluster \"m\""},
        {REPOS "clusters: {m: {port: 70000}}\n",
         "line 2, column 22: \"70000\" is outside of 1 to 65535 for \"port\""},
        {REPOS "clusters: {m: {port: 5433, connection: 'port=5434'}}\n",
         "line 2, column 22: cluster \"m\" has both \"port\" and \"connection\": the port belongs "
         "into the connection"},
        {REPOS "clusters: {m: {compress_level: 0}}\n",
         "line 2, column 32: \"compress_level\" must be 1 to 22, or -1 to -50 for more speed"},
        {REPOS "clusters: {m: {archive_timeout: 60}}\n",
         "line 2, column 33: \"archive_timeout\": \"60\" is not a duration without its unit (ms, "
         "s, min, h or d)"},
        {REPOS "clusters: {m: {archive_timeout: 0}}\n",
         "line 2, column 33: \"0\" is outside of 100 ms to 7 d for \"archive_timeout\""},
        {REPOS "clusters: {m: , n: }\njobs: {j: {run: backup, cron: '0 1 * * *'}}\n",
         "line 3, column 11: job \"j\" has no \"cluster\", and there are 2"},
        {REPOS "clusters: {m: }\njobs: {j: {cluster: n, run: backup, cron: '0 1 * * *'}}\n",
         "line 3, column 21: there is no cluster \"n\""},
        {REPOS "clusters: {m: }\njobs: {j: {cron: '0 1 * * *'}}\n",
         "line 3, column 11: job \"j\" has no \"run\""},
        {REPOS "clusters: {m: }\njobs: {j: {run: bakcup --type full, cron: '0 1 * * *'}}\n",
         "line 3, column 17: a job cannot run \"bakcup\" (did you mean \"backup\"?): it begins "
         "with backup, check, drill, expire or verify"},
        {REPOS "clusters: {m: }\njobs: {j: {run: backup}}\n",
         "line 3, column 11: job \"j\" has no \"cron\""},
        {REPOS "clusters: {m: }\njobs: {j: {run: backup, cron: '0 1 * *'}}\n",
         "line 3, column 31: a cron expression has five fields (minute, hour, day of the month, "
         "month, day of the week), not 4"},
        {REPOS "clusters: {m: }\njobs: {j: {run: backup, cron: '0 1 * * ?'}}\n",
         "line 3, column 31: cron expression: \"?\" as day of the week: it is 0 to 7, or a name of "
         "three letters"},
        {REPOS "clusters: {m: }\njobs: {j: {run: backup, cron: '0 24 * * *'}}\n",
         "line 3, column 31: cron expression: \"24\" as hour: it is 0 to 23"},
        {REPOS "clusters: {m: }\njobs: {j: {run: backup, cron: '0 0 31 2 *'}}\n",
         "line 3, column 31: cron expression: no year has such a day in such a month (like 31 "
         "February): the job would never run"},
        {REPOS "clusters: {m: }\njobs: {j: {run: backup, cron: '@reboot'}}\n",
         "line 3, column 31: cron expression: \"@reboot\" is not one of @hourly, @daily, "
         "@midnight, "
         "@weekly, @monthly, @yearly, @annually"},
        {REPOS "clusters: {m: }\njobs: {j: {run: 'drill --target-time \"x', cron: '@daily'}}\n",
         "line 3, column 17: \"run\": a quote is opened and not closed"},
        {REPOS "clusters: {m: }\njobs: {j: {run: '\"\"', cron: '@daily'}}\n",
         "line 3, column 17: a job cannot run \"\": it begins with backup, check, drill, expire or "
         "verify"},
        {REPOS "clusters: {m: }\njobs: {j: {run: backup, cron: '@daily', nice: 20}}\n",
         "line 3, column 47: \"20\" is outside of 0 to 19 for \"nice\""},
        {REPOS "clusters: {m: }\nscheduler: {stop_wait: 2 d}\n",
         "line 3, column 24: \"2 d\" is outside of 0 ms to 1 d for \"stop_wait\""},
        {REPOS "clusters: {m: }\njobs: {j: {run: backup, cron: '@daily', role: leader}}\n",
         "line 3, column 47: \"role\" must be \"any\" or \"primary\" or \"replica\" or "
         "\"prefer-replica\", not \"leader\""},
        {REPOS "clusters: {m: {patroni: 'host:8008'}}\n",
         "line 2, column 25: \"patroni\" is a URL: http://host:8008 or https://host:8008"},
        {REPOS "clusters: {m: }\n"
               "jobs: {j: {run: backup, cron: '0 1 * * *', time_zone: 'a b'}}\n",
         "line 3, column 55: \"a b\" is not the name of a time zone (example: Europe/Berlin)"},
        {REPOS "state_dir: var\n",
         "line 2, column 12: \"state_dir\" must be an absolute path (beginning with \"/\")"},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        AUTO(config_free) struct config *c = NULL;
        struct err err = {0};
        char expected[512];

        FAILS(config_parse(table[i].text, strlen(table[i].text), "/etc/pgbr/pgbr.yml", &c, &err),
              &err, ERR_CONFIG);
        snprintf(expected, sizeof expected, "\"/etc/pgbr/pgbr.yml\" %s", table[i].message);
        assert_string_equal(err.msg, expected);
        assert_null(c);
    }
}

static void a_secret_never_appears_in_an_error(void **state)
{
    static const char *const texts[] = {
        "repos: {a: {type: s3, s3_bucket: b, s3_endpoint: e, s3_key: [hunter2]}}\n",
        "repos: {a: {type: s3, s3_bucket: b, s3_endpoint: e, s3_key_secret: !x hunter2}}\n",
        "repos: {a: {path: /a, cipher_pass: hunter2}}\n",
        "repos: {a: {path: /a, cipher_type: aes-256-cbc, cipher_pass: hunter2, colour: x}}\n",
        REPOS "clusters: {m: {connection: 'password=hunter2', port: 1}}\n",
        REPOS "clusters: {m: {connection: \"password=hunter2\\n\"}}\n",
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(texts); i++) {
        AUTO(config_free) struct config *c = NULL;
        struct err err = {0};

        FAILS(config_parse(texts[i], strlen(texts[i]), "f", &c, &err), &err, ERR_CONFIG);
        assert_null(strstr(err.msg, "hunter2"));
    }
}

static void secrets_in_the_file_are_noticed(void **state)
{
    static const struct {
        const char *text;
        bool secret;
    } table[] = {
        {REPOS, false},
        {"repos: {a: {path: /a, cipher_type: aes-256-cbc, cipher_pass: x}}\n", true},
        {"repos: {a: {path: /a, cipher_type: aes-256-cbc, cipher_pass_file: /x}}\n", false},
        {REPOS "clusters: {m: {connection: 'host=a password=x'}}\n", true},
        {REPOS "clusters: {m: {primary: 'postgresql://u:x@host/db'}}\n", true},
        {REPOS "clusters: {m: {connection: 'host=a user=b'}}\n", false},
    };
    (void)state;

    for (size_t i = 0; i < LENGTH(table); i++) {
        AUTO(config_free) struct config *c = parse(table[i].text);
        assert_int_equal(c->has_secret, table[i].secret);
    }
}

static void aliases_and_merges_work_in_a_configuration(void **state)
{
    AUTO(config_free)
    struct config *c = parse("repos:\n"
                             "  a: &keep {path: /a, retention_full: 3}\n"
                             "  b: {<<: *keep, path: /b}\n"
                             "clusters: {m: {repos: [a, b]}}\n");
    (void)state;

    assert_string_equal(c->repos[1].path, "/b");
    assert_int_equal(c->repos[1].retention_full, 3);
}

static void the_default_repository_is_local_or_the_first(void **state)
{
    AUTO(config_free) struct config *local = parse("repos: {b: {path: /b}, local: {path: /l}}\n");
    AUTO(config_free) struct config *first = parse("repos: {b: {path: /b}, c: {path: /c}}\n");
    (void)state;

    assert_string_equal(local->default_repo, "local");
    assert_string_equal(first->default_repo, "b");
}

static void clusters_are_asked_for_by_name(void **state)
{
    AUTO(config_free) struct config *one = parse(REPOS "clusters: {pg-test: }\n");
    AUTO(config_free) struct config *two = parse(REPOS "clusters: {pg-test: , pg-meta: }\n");
    AUTO(config_free) struct config *none = parse(REPOS);
    const struct cluster_config *cluster;
    struct err err = {0};
    (void)state;

    OK(config_cluster(one, NULL, &cluster, &err), &err);
    OK(config_cluster(two, "pg-meta", &cluster, &err), &err);
    assert_string_equal(cluster->name, "pg-meta");
    FAILS(config_cluster(two, NULL, &cluster, &err), &err, ERR_USAGE);
    assert_string_equal(err.msg, "which cluster? the configuration has \"pg-test\", \"pg-meta\"");
    FAILS(config_cluster(two, "pg-tset", &cluster, &err), &err, ERR_USAGE);
    assert_string_equal(err.msg, "there is no cluster \"pg-tset\" (did you mean \"pg-test\"?); the "
                                 "configuration has \"pg-test\", \"pg-meta\"");
    FAILS(config_cluster(none, NULL, &cluster, &err), &err, ERR_CONFIG);
    assert_string_equal(err.msg, "\"pgbr.yml\" has no cluster (key \"clusters\")");
}

static void a_cluster_uses_its_own_repositories_only(void **state)
{
    AUTO(config_free)
    struct config *c = parse("repos: {a: {path: '/a/${pg_cluster}/x'}, b: {path: /b}}\n"
                             "clusters: {pg-test: {repos: a}}\n");
    AUTO(repo_config_free) struct repo_config r = {0};
    struct err err = {0};
    (void)state;

    OK(config_repo(c, &c->clusters[0], "a", &r, &err), &err);
    assert_string_equal(r.path, "/a/pg-test/x");
    assert_string_equal(c->repos[0].path, "/a/${pg_cluster}/x");
    FAILS(config_repo(c, &c->clusters[0], "b", &r, &err), &err, ERR_USAGE);
    assert_string_equal(err.msg, "cluster \"pg-test\" has no repository \"b\"; it has \"a\"");
}

static void a_cut_file_never_loads_as_something_else(void **state)
{
    static const char text[] = "repos:\n  local:\n    path: /pg/backup\n    optional: no\n"
                               "clusters:\n  pg-test:\n    workers: 2\n";
    (void)state;

    for (size_t len = 0; len < sizeof text; len++) {
        AUTO(config_free) struct config *c = NULL;
        AUTO(buf_free) struct buf cut = BUF_INIT; /* so that a read past the end is seen */
        struct err err = {0};

        buf_add(&cut, text, len);
        if (config_parse(cut.p, len, "f", &c, &err) == 0)
            assert_string_equal(c->repos[0].name, "local");
        else
            assert_int_equal(err.code, ERR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_file_gets_all_defaults),
        cmocka_unit_test(everything_that_is_given_arrives),
        cmocka_unit_test(mistakes_are_named_with_their_place),
        cmocka_unit_test(a_secret_never_appears_in_an_error),
        cmocka_unit_test(secrets_in_the_file_are_noticed),
        cmocka_unit_test(aliases_and_merges_work_in_a_configuration),
        cmocka_unit_test(the_default_repository_is_local_or_the_first),
        cmocka_unit_test(clusters_are_asked_for_by_name),
        cmocka_unit_test(a_cluster_uses_its_own_repositories_only),
        cmocka_unit_test(a_cut_file_never_loads_as_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
