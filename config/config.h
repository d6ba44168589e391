/*
 * config.h - the configuration file as plain structs.
 *
 * One YAML file (docs/pgbr.yml.5 describes every key). It also understands the vocabulary of
 * Pigsty: "pgbackrest_repo" and "pgbackrest_method" for "repos" and "repo", cluster inventories
 * with pg_cluster, pg_seq and pg_role, and "${pg_cluster}" in the values of a repository.
 *
 * What always holds after loading: names match [A-Za-z0-9_-]{1,63}; every repository, cluster and
 * number named or given in the file is known and within its limits; every cluster has at least one
 * repository that is not optional. Times and sizes carry their unit in the field's name.
 *
 * Everything in a struct belongs to it. Secrets are wiped when freed and are never part of an error
 * or a note. Errors are ERR_CONFIG with file, line and column, unless said otherwise.
 */
#ifndef PGBR_CONFIG_CONFIG_H
#define PGBR_CONFIG_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "config/notify.h"

#define CONFIG_DEFAULT_PATH "/etc/pgbr/pgbr.yml"
enum {
    CONFIG_NAME_MAX = 63,   /* bytes of a cluster's or a repository's name */
    CONFIG_UNSET = INT_MIN, /* a number that was not given and whose default is not one number */
    CONFIG_AHEAD = 8,       /* segments, see archive_push_ahead */
    CONFIG_AHEAD_MAX = 32,
    CONFIG_FILE_MAX = 4 << 20,
    HTTP_DEFAULT_PORT = 19854, /* outside of the range that Prometheus' exporters share */
};

enum config_repo_type { CONFIG_REPO_POSIX, CONFIG_REPO_S3 };
enum config_cipher { CONFIG_CIPHER_NONE, CONFIG_CIPHER_AES_256_CBC };
enum config_retention { CONFIG_RETENTION_COUNT, CONFIG_RETENTION_TIME };
enum config_archive_type { CONFIG_ARCHIVE_FULL, CONFIG_ARCHIVE_DIFF, CONFIG_ARCHIVE_INCR };
enum config_uri_style { CONFIG_URI_HOST, CONFIG_URI_PATH };
enum config_role {
    CONFIG_ROLE_ANY,
    CONFIG_ROLE_PRIMARY,
    CONFIG_ROLE_REPLICA,
    CONFIG_ROLE_PREFER_REPLICA
};
enum config_io { CONFIG_IO_NORMAL, CONFIG_IO_LOW, CONFIG_IO_IDLE };

struct stop;

/* Where something stands in the file, from 1; line 0: it is a default. */
struct config_place {
    unsigned line, column;
};

/* What a person should know: warnings are logged by every command, the rest is shown by check. */
struct config_note {
    bool warning;
    char *text;
};

struct repo_config {
    char *name;
    enum config_repo_type type; /* posix */
    char *path;                 /* absolute; on S3 the prefix, "/" by default */
    bool optional;              /* WAL counts as archived without it */

    char *s3_bucket, *s3_endpoint, *s3_region; /* s3_region: us-east-1 */
    char *s3_key, *s3_key_secret, *s3_token;   /* secrets: see repo_config_secrets() */
    char *s3_key_file, *s3_key_secret_file, *s3_token_file;
    char *s3_credentials_file, *s3_profile; /* of the AWS command line; s3_profile: "default" */
    enum config_uri_style s3_uri_style;     /* host */
    char *storage_host;                     /* connect here instead of to s3_endpoint; or NULL */
    unsigned storage_port;                  /* 443 */
    char *storage_ca_file, *storage_ca_path;
    bool storage_verify_tls; /* true */

    enum config_cipher cipher_type; /* none */
    char *cipher_pass;              /* secret; NULL until given, see repo_config_secrets() */
    char *cipher_pass_file;
    char *cipher_key_file; /* instead of a passphrase; read where a key slot is opened */
    bool key_cache;        /* the state file may hold the unwrapped repository key: true */

    enum config_retention retention_full_type; /* count */
    unsigned retention_full;                   /* backups, or days; 0: keep all */
    unsigned retention_diff;                   /* backups; 0: as long as their full */
    enum config_archive_type retention_archive_type;
    unsigned retention_archive; /* backups whose WAL is kept; 0: with the backups */
    bool expire_auto;           /* apply retention after each backup: true */
    int64_t expire_grace_ms;    /* between tombstone and deletion; -1: the store decides */
    unsigned resume_window_s;   /* how long an interrupted attempt can be adopted: 3 days */

    int compress_level; /* CONFIG_UNSET: the cluster's; see config_compress_level() */
    uint64_t pack_size; /* bytes: 32 MiB */
    unsigned lease_ttl_s, lease_heartbeat_s; /* 900, 60 */
    unsigned restore_pin_s; /* how long a restore keeps what recovery may need: a day */

    char *exposed_file; /* a secret's file that everybody may read (set by repo_config_secrets) */
    struct config_place place;
};

/* One server of an inventory. */
struct cluster_member {
    char *host; /* address or name, as written */
    char *role; /* pg_role as written: what it was set up as, not what it is now; or NULL */
    unsigned seq;
    char *instance; /* "<cluster>-<seq>" */
    char *data;
    unsigned port;
};

/* From when on something counts as wrong; see pgbr.yml(5), "watch". */
struct watch_config {
    int64_t
        backup_max_age_ms;    /* of the newest backup; 0: by the jobs, or full_interval and a day */
    int64_t drill_max_age_ms; /* of the last drill that passed; 0: not watched */
    int64_t verify_max_age_ms; /* of the last verification; 0: not watched */
    int64_t commit_max_age_ms; /* WAL that the server has written and no repository has: 1 h */
    int64_t hold_notice_ms;    /* before a hold ends: 3 d */
    int64_t disk_notice_ms;    /* before pg_wal is full, and it is not a warning any more: 1 d */
};

/* What a rehearsal of a restore does, see restore/drill.h. */
enum config_drill_target { CONFIG_DRILL_LATEST, CONFIG_DRILL_RANDOM };
enum config_amcheck { CONFIG_AMCHECK_OFF, CONFIG_AMCHECK_ON, CONFIG_AMCHECK_HEAP };
struct drill_check { /* an SQL statement with one value as its answer, and which */
    char *name, *database, *sql;
    char *expect, *expect_min, *expect_max; /* NULL: not asked for; the latter two are numbers */
};
struct drill_config {
    char *dir;                       /* sandboxes; NULL: <state_dir>/drill */
    char *pg_bin;                    /* folder of PostgreSQL's programs; NULL: looked for */
    char *user;                      /* a role of the cluster; NULL: "postgres" is tried */
    enum config_drill_target target; /* latest */
    enum config_amcheck amcheck;     /* on */
    int64_t time_limit_ms;           /* of all of it: a day */
    struct drill_check *checks;
    size_t n_checks;
};

struct cluster_config {
    char *name;
    char *instance; /* which server this host is: "pg-test-1"; NULL: unknown */
    char *role;     /* pg_role of this host in the inventory; or NULL */
    char *data;     /* PGDATA, absolute; NULL: to be asked from the server */
    bool given_data, given_port, given_connection; /* here, not by an inventory or a default */
    unsigned port;                                 /* 5432 */
    char *connection; /* conninfo of the local server, never NULL; may hold a password */
    char *primary;    /* conninfo of the primary, for backups of a standby; or NULL */
    char *patroni;    /* URL of this host's Patroni, asked for its role; or NULL */
    char *patroni_ca_file;
    char **repos; /* names; at least one */
    size_t n_repos;
    char *default_repo;             /* one of repos: where backup writes and restore looks first */
    int compress_level;             /* zstd: 1 */
    unsigned workers;               /* min(4, number of CPUs) */
    uint64_t rate_limit;            /* bytes per second read by a backup; 0: none */
    int64_t full_interval_ms;       /* "auto" takes a full backup when the last is older: 7 days */
    unsigned chain_max;             /* or has so many on top of it: 0, any number */
    int64_t archive_timeout_ms;     /* proof before a backup that archiving works: 60 s */
    int64_t wal_wait_timeout_ms;    /* for the WAL of a backup: 10 min */
    int64_t archive_get_timeout_ms; /* retrying what may pass: 5 min */
    /* Segments handled beyond the one asked for; 0: none. CONFIG_UNSET, the default:
     * CONFIG_AHEAD for repositories over a network, none for local ones. */
    int archive_push_ahead, archive_get_ahead;
    struct watch_config watch;
    struct cluster_member *members; /* from an inventory */
    size_t n_members;
    struct drill_config drill;
    struct config_place place;
};

/* A job of the scheduler. */
struct job_config {
    char *name;
    char *cluster;   /* NULL only when the file has no cluster */
    char *run;       /* "backup --type auto": a pgbr command line without the cluster */
    char **words;    /* the same, taken apart */
    size_t n_words;  /* at least one */
    char *cron;      /* see base/cron.h; what it says can be read */
    char *time_zone; /* tz name; NULL: the host's */
    enum config_role role;
    int64_t role_wait_ms;   /* how long after its time another host may become the one: 10 min */
    int64_t jitter_ms;      /* started at random up to so much later: 0 */
    int64_t time_limit_ms;  /* 0: none */
    unsigned retries;       /* 2 */
    int64_t retry_delay_ms; /* before the first one; doubled by each: 5 min */
    bool catch_up;          /* true */
    char *before, *after;   /* commands for /bin/sh; or NULL */
    int nice;               /* added to the process's: 0 */
    enum config_io io;      /* normal */
    struct config_place place;
};

/* The scheduler itself. */
struct scheduler_config {
    int64_t stop_wait_ms; /* asked to stop, it lets jobs end for so long: 60 s */
};

/* Where the scheduler serves metrics and the status page, and how often it looks. */
struct http_config {
    bool off;
    char *address;      /* a number, v4 or v6: 127.0.0.1 */
    unsigned port;      /* HTTP_DEFAULT_PORT */
    int64_t refresh_ms; /* between two looks at a repository: 5 min */
};

struct config {
    char *path; /* as given to config_load(): for messages */
    char *state_dir;
    char *user; /* run as; NULL: the owner of the data directory */
    enum log_format log_format;
    enum log_level log_level;
    struct repo_config *repos; /* as written: "${pg_cluster}" still in them, no secret files read */
    size_t n_repos;
    char *default_repo;
    struct cluster_config *clusters;
    size_t n_clusters;
    struct job_config *jobs;
    size_t n_jobs;
    struct http_config http;
    struct scheduler_config scheduler;
    struct notify_config notify;
    const struct stop *stop;   /* set by the program: what waits for a server gives up; or NULL */
    struct watch_config watch; /* for clusters that say nothing */
    struct config_note *notes;
    size_t n_notes;
    bool has_secret; /* a secret stands in the file itself */
};

/* Reads the file; notes when others may read a file that holds a secret; finds out which member of
 * an inventory this host is. A missing file: ERR_NOT_FOUND; unreadable: ERR_DENIED. */
int config_load(const char *path, struct config **out, struct err *err) MUST_CHECK;

/* The same from memory, without looking at anything outside it. name stands in messages. */
int config_parse(const char *text, size_t len, const char *name, struct config **out,
                 struct err *err) MUST_CHECK;

void config_free(struct config **c);

/* The cluster of that name, or the only one when name is NULL. Otherwise ERR_USAGE, naming those
 * there are. *out belongs to c. */
int config_cluster(const struct config *c, const char *name, const struct cluster_config **out,
                   struct err *err) MUST_CHECK;

/*
 * A repository as this cluster sees it: "${pg_cluster}" replaced. name NULL: the cluster's default.
 * ERR_USAGE when the cluster does not use a repository of that name. *out is the caller's, to be
 * freed (AUTO(repo_config_free) struct repo_config repo = {0};).
 */
int config_repo(const struct config *c, const struct cluster_config *cluster, const char *name,
                struct repo_config *out, struct err *err) MUST_CHECK;
void repo_config_free(struct repo_config *r);

/*
 * Fills in cipher_pass (unless there is a cipher_key_file) and the S3 keys from where they are
 * kept. For each: PGBR_REPO_<NAME>_<KEY> in the environment (name in capitals, "-" as "_":
 * PGBR_REPO_LOCAL_CIPHER_PASS), else the value or the "..._file" of the configuration, else
 * PGBR_<KEY>. A command that got its key elsewhere never needs to call it. Missing or empty:
 * ERR_KEY, saying all three ways.
 */
int repo_config_secrets(struct repo_config *r, struct err *err) MUST_CHECK;

/* cipher_pass alone, where the repository is encrypted. */
int repo_config_cipher(struct repo_config *r, struct err *err) MUST_CHECK;

/*
 * The S3 keys alone. Where neither s3_key nor s3_key_secret is given in one of these ways: all
 * three from s3_credentials_file, else from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
 * AWS_SESSION_TOKEN. Files are read when this is called, so that keys can be renewed.
 */
int repo_config_s3_keys(struct repo_config *r, struct err *err) MUST_CHECK;

/* The text of a file that holds a secret, without the end of its line: new memory, to be freed with
 * secret_free(). Empty or not text: ERR_KEY. */
int config_read_secret(const char *path, char **out, struct err *err) MUST_CHECK;
void secret_free(char **text); /* wipes it */

/* The level to use: the repository's, else the cluster's. */
int config_compress_level(const struct repo_config *r, const struct cluster_config *cluster);

/* Makes the member with that host or instance name the one this host is; false: there is none. */
bool cluster_config_be(struct cluster_config *cluster, const char *host_or_instance);

#endif
