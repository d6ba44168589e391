/* check_repo.c - each repository: key, store, clock, disk, whose it is, backups, WAL. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/check.h"
#include "cli/expiry.h"
#include "postgres/lsn.h"
#include "repo/key_slots.h"
#include "wal/reach/verify.h"

enum {
    DISK_NEEDS = 64 << 20, /* bytes: two packs; less and nothing more can be stored */
    STORE_CLOCK_S = 60,
};

/* ---- where it is ---- */

static void secrets(struct check *k, const char *name, struct repo_config *conf)
{
    struct err err = {0};

    if (conf->cipher_type == CONFIG_CIPHER_NONE || repo_config_secrets(conf, &err) != 0)
        return; /* opening told */
    if (conf->exposed_file != NULL)
        check_say(k, CHECK_WARNING, "key", name, "chmod 600", "everybody may read \"%s\"",
                  conf->exposed_file);
}

/* A passphrase that is lost, or one damaged object, must not take all backups with it. */
static void key_slots(struct check *k, const char *name, struct repo *r)
{
    struct key_slots slots;
    struct err err = {0};
    size_t sound;

    if (!repo_encrypted(r))
        return;
    if (key_slots_list(r, NULL, &slots, &err) != 0) {
        check_say(k, CHECK_FAILED, "key", name, NULL, "%s", err.msg);
        return;
    }
    sound = key_slots_sound(&slots);
    for (size_t i = 0; i < slots.n; i++)
        if (slots.items[i].state == KEY_SLOT_DAMAGED)
            check_say(k, CHECK_WARNING, "key", name, "\"pgbr key add\", then \"key remove\" it",
                      "key slot %08x is damaged: %s", slots.items[i].number,
                      slots.items[i].why.msg);
    if (sound == 1)
        check_say(k, CHECK_WARNING, "key", name,
                  "\"pgbr key add\": another passphrase or key file, kept elsewhere",
                  "there is one key slot only: without its secret every backup is lost");
    else
        check_say(k, CHECK_OK, "key", name, NULL, "%zu key slots", sound);
}

static void retention(struct check *k, const char *name, const struct repo_config *conf)
{
    const char *plural = conf->retention_full == 1 ? "" : "s";

    if (!expiry_configured(conf))
        check_say(k, CHECK_WARNING, "retention", name, "set \"retention_full\", or watch the disk",
                  "none is configured: all backups and all WAL are kept, so the repository grows "
                  "for ever");
    else if (!conf->expire_auto)
        check_say(k, CHECK_OK, "retention", name, NULL,
                  "applied only by \"pgbr expire\", because \"expire_auto\" is off");
    else if (conf->retention_full == 0)
        check_say(k, CHECK_OK, "retention", name, NULL, "all full backups are kept");
    else if (conf->retention_full_type == CONFIG_RETENTION_TIME)
        check_say(k, CHECK_OK, "retention", name, NULL,
                  "what the last %u day%s need is kept; applied after each backup",
                  conf->retention_full, plural);
    else
        check_say(k, CHECK_OK, "retention", name, NULL,
                  "%u full backup%s kept; applied after each backup", conf->retention_full,
                  conf->retention_full == 1 ? " is" : "s are");
}

/* One disk that fails must not take the data and their backups. */
static void same_file_system(struct check *k, const char *name, const char *path)
{
    const char *data = k->has_facts ? k->facts.data_directory : k->cluster->data;
    struct stat ours, theirs;

    if (data == NULL || stat(path, &ours) != 0 || stat(data, &theirs) != 0)
        return;
    if (ours.st_dev == theirs.st_dev)
        check_say(k, CHECK_WARNING, "place", name, "keep backups on another disk or host",
                  "\"%s\" is on the same file system as the data directory", path);
    if ((ours.st_mode & 077) != 0)
        check_say(k, CHECK_WARNING, "place", name, "chmod 700",
                  "others than its owner may enter \"%s\"", path);
}

/* What a store does not keep, and what can be done about it. */
static void promises(struct check *k, const char *name, const struct store *s,
                     const struct store_traits *traits)
{
    if (!traits->exact_create_only)
        check_say(
            k, CHECK_WARNING, "store", name,
            "switch on versioning of the bucket: an object that was overwritten by mistake can "
            "then be brought back",
            "\"%s\" (%s) does not honour If-None-Match: two primaries that archive the same "
            "segment within milliseconds of each other could overwrite each other's",
            store_where(s), traits->kind);
    if (!traits->listing_consistent)
        check_say(k, CHECK_WARNING, "store", name,
                  "use a store that keeps its promises, or set \"expire_grace\" to a day or more",
                  "\"%s\" (%s) does not list or return at once what was written", store_where(s),
                  traits->kind);
}

static void store(struct check *k, const char *name, struct repo *r)
{
    struct store *s = repo_store(r);
    struct store_traits traits = {0};
    struct err err = {0};
    int64_t now = 0, ahead;

    if (store_probe(s, &traits, &err) != 0) {
        check_say(k, CHECK_FAILED, "store", name, NULL, "%s", err.msg);
        return;
    }
    promises(k, name, s, &traits);
    check_say(k, CHECK_OK, "store", name, NULL, "\"%s\" (%s): written, read, listed, %s",
              store_where(s), traits.kind,
              traits.may_delete ? "deleted"
                                : "not deleted: these keys may not, and need not but for expiring");
    if (store_now(s, &now, &err) != 0) {
        check_say(k, CHECK_WARNING, "clock", name, NULL, "%s", err.msg);
        return;
    }
    ahead = (now - clock_now_us()) / 1000000;
    if (llabs(ahead) > STORE_CLOCK_S)
        check_say(k, CHECK_WARNING, "clock", name, "synchronise the clocks",
                  "the store's is %lld s %s this host's", llabs(ahead),
                  ahead > 0 ? "ahead of" : "behind");
}

/* What opening logs as well, but there it may be overlooked. */
static void transport(struct check *k, const char *name, const struct repo_config *conf)
{
    if (strncmp(conf->s3_endpoint, "http://", 7) == 0)
        check_say(
            k, CHECK_WARNING, "transport", name, "let the store speak TLS",
            "\"s3_endpoint: %s\": what is sent can be read%s, and the server is not proved to "
            "be the right one",
            conf->s3_endpoint,
            conf->cipher_type == CONFIG_CIPHER_NONE ? "" : " but for what pgbr encrypts");
    else if (!conf->storage_verify_tls)
        check_say(k, CHECK_WARNING, "transport", name,
                  "name the server's authority with \"storage_ca_file\" and leave "
                  "\"storage_verify_tls\" out",
                  "\"storage_verify_tls: n\": the server is not proved to be the right one");
    else
        check_say(k, CHECK_OK, "transport", name, NULL,
                  "TLS, the server's certificate is verified");
}

/* ---- what it holds ---- */

static void identity(struct check *k, const char *name, const struct repo *r)
{
    if (!k->has_facts)
        return;
    if (repo_knows(r, k->facts.system_id, k->facts.version->major))
        check_say(k, CHECK_OK, "identity", name, NULL, "it knows this cluster");
    else
        check_say(k, CHECK_FAILED, "identity", name,
                  "after pg_upgrade or a new initdb: \"pgbr init --accept-new-system-id\"",
                  "it does not know system identifier %" PRIu64 " (PostgreSQL %u)",
                  k->facts.system_id, k->facts.version->major);
}

/* ---- all of it ---- */

static const char *todo_of(const struct repo_config *conf, enum err_code code)
{
    static const char *const local[] = {
        [ERR_NOT_FOUND] = "\"pgbr init\" makes it; if it was there, see where it went",
        [ERR_KEY] = "see the passphrase or key file of the configuration",
        [ERR_DENIED] = "let the user that PostgreSQL runs as read and write it",
    };
    static const char *const s3[] = {
        [ERR_CONFIG] = "mend the repository's settings",
        [ERR_NOT_FOUND] = "\"pgbr init\" makes it; if it was there, see \"s3_bucket\" and \"path\"",
        [ERR_KEY] = "see the passphrase, the S3 keys and their files",
        [ERR_UNREACHABLE] = "see \"s3_endpoint\", \"storage_port\", name service and firewall",
        [ERR_DENIED] = "see the S3 keys, what they may do with the bucket, and the clocks",
    };

    if (conf->type == CONFIG_REPO_S3)
        return code < LENGTH(s3) ? s3[code] : NULL;
    return code < LENGTH(local) ? local[code] : NULL;
}

static void could_not_open(struct check *k, const struct open_repo *o,
                           const struct repo_config *conf)
{
    check_say(k, o->required ? CHECK_FAILED : CHECK_WARNING, "repository", o->name,
              todo_of(conf, o->why.code), "%s", o->why.msg);
}

static void repository(struct check *k, struct open_repo *o)
{
    AUTO(repo_config_free) struct repo_config conf = {0};
    struct err err = {0};

    if (config_repo(k->app->config, k->cluster, o->name, &conf, &err) != 0 || o->repo == NULL) {
        could_not_open(k, o, &conf);
        return;
    }
    if (conf.type == CONFIG_REPO_S3)
        transport(k, o->name, &conf);
    check_say(k, CHECK_OK, "repository", o->name, NULL, "%s, %s",
              repo_encrypted(o->repo) ? "encrypted, its key opens" : "not encrypted",
              o->required ? "required" : "optional");
    key_slots(k, o->name, o->repo);
    store(k, o->name, o->repo);
    identity(k, o->name, o->repo);
    secrets(k, o->name, &conf);
    retention(k, o->name, &conf);
    if (conf.type != CONFIG_REPO_POSIX)
        return;
    same_file_system(k, o->name, conf.path);
    check_disk(k, "disk", o->name, conf.path, DISK_NEEDS);
}

void check_repositories(struct check *k)
{
    struct err err = {0};

    if (config_open_repos(k->app->config, k->cluster, k->only, REPO_OPEN_FULL, &k->repos, &err) !=
        0) {
        check_say(k, CHECK_FAILED, "repository", k->only, NULL, "%s", err.msg);
        return;
    }
    for (size_t i = 0; i < k->repos.n && !stop_wanted(&k->app->stop); i++)
        repository(k, &k->repos.items[i]);
}
