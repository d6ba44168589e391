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
#include "wal/verify.h"

enum {
    DISK_NEEDS = 64 << 20, /* bytes: two packs; less and nothing more can be stored */
    GAPS_SHOWN = 5,
    STORE_CLOCK_S = 60,
    BACKUP_DAYS = 8, /* a weekly backup that is a day late */
};
#define DAY_US INT64_C(86400000000)

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

/* Another full backup like the newest one should find room. */
static void space(struct check *k, const char *name, const char *path,
                  const struct backup_list *backups)
{
    char left[24], size[24];
    struct statvfs fs;
    uint64_t available;

    check_disk(k, "disk", name, path, DISK_NEEDS);
    if (backups->n == 0 || statvfs(path, &fs) != 0)
        return;
    available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (available < backups->items[backups->n - 1].stored_bytes)
        check_say(k, CHECK_WARNING, "disk", name, "make room before the next backup",
                  "%s are free, the newest backup took %s", format_bytes(available, left),
                  format_bytes(backups->items[backups->n - 1].stored_bytes, size));
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

struct reader {
    struct check *check;
    const char *name;
};

static void broken(void *ctx, const char *label, const struct err *why)
{
    const struct reader *r = ctx;

    check_say(r->check, CHECK_FAILED, "backups", r->name,
              "\"pgbr verify\" tells what else is damaged", "%s cannot be read: %s", label,
              why->msg);
}

/* The newest backup of the cluster as it is now; NULL: none. */
static const struct pubinfo *newest(const struct check *k, const struct backup_list *backups)
{
    for (size_t i = backups->n; i-- > 0;)
        if (!k->has_facts || backups->items[i].system_id == k->facts.system_id)
            return &backups->items[i];
    return NULL;
}

static void recent(struct check *k, const char *name, const struct backup_list *backups)
{
    const struct pubinfo *last = newest(k, backups);
    char when[40], age[40];
    bool old;

    if (last == NULL) {
        check_say(k, CHECK_WARNING, "backups", name, "take one: \"pgbr backup\"",
                  backups->n == 0 ? "there is none"
                                  : "there is none of the cluster with its present identifier");
        return;
    }
    old = clock_now_us() - last->stop_us > BACKUP_DAYS * DAY_US;
    check_say(k, old ? CHECK_WARNING : CHECK_OK, "backups", name,
              old ? "look why no backup was taken" : NULL,
              "%zu, the newest %s, finished %s, %s ago", backups->n, last->label,
              clock_format_utc(last->stop_us / 1000000 * 1000000, when),
              clock_format_duration(MAX_OF(clock_now_us() - last->stop_us, 0), age));
}

static void say_gap(struct check *k, const char *name, const struct wal_gap *g)
{
    char first[WAL_SEGMENT_NAME], last[WAL_SEGMENT_NAME];
    bool vital = g->label[0] != '\0';

    wal_segment_name(g->timeline, g->first_segno, g->segment_size, first);
    wal_segment_name(g->timeline, g->last_segno, g->segment_size, last);
    check_say(k, vital ? CHECK_FAILED : CHECK_WARNING, "WAL", name,
              vital ? "take a new backup; look whether another repository or a pg_wal has it"
                    : "take a new backup: recovery from an older one stops before the gap",
              vital ? "%s to %s missing, without which backup %s cannot be restored"
                    : "%s to %s missing%s",
              first, last, g->label);
}

static void wal(struct check *k, const char *name, struct repo *r,
                const struct backup_list *backups, const struct repo_config *conf)
{
    AUTO(mem_free) struct wal_gap *gaps = NULL;
    struct err err = {0};
    size_t n = 0;

    if (wal_find_gaps(r, backups, &gaps, &n, &err) != 0) {
        check_say(k, CHECK_FAILED, "WAL", name, NULL, "%s", err.msg);
        return;
    }
    expiry_forget_gaps(conf, backups, gaps, &n);
    for (size_t i = 0; i < n && i < GAPS_SHOWN; i++)
        say_gap(k, name, &gaps[i]);
    if (n > GAPS_SHOWN)
        check_say(k, CHECK_WARNING, "WAL", name, "\"pgbr list\" shows them", "%zu more gaps",
                  n - GAPS_SHOWN);
    if (n == 0 && backups->n != 0)
        check_say(k, CHECK_OK, "WAL", name, NULL, "without a gap since the first backup");
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
    AUTO(backups_free) struct backup_list backups = {0};
    struct reader reader = {k, o->name};
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
    if (backups_list(o->repo, &backups, broken, &reader, &err) != 0)
        check_say(k, CHECK_FAILED, "backups", o->name, NULL, "%s", err.msg);
    else
        recent(k, o->name, &backups);
    wal(k, o->name, o->repo, &backups, &conf);
    secrets(k, o->name, &conf);
    retention(k, o->name, &conf);
    if (conf.type != CONFIG_REPO_POSIX)
        return;
    same_file_system(k, o->name, conf.path);
    space(k, o->name, conf.path, &backups);
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
