/* drill_conf.c - see drill_conf.h. Why each setting is there stands beside it. */
#include "restore/drill_conf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/conf.h"
#include "postgres/setting.h"
#include "restore/job.h"

enum { CONF_MAX = 16 << 20, SLOTS_AT_LEAST = 100, MB = 1 << 20 };

/* ---- what is taken from the original ---- */

/* Not taken: anything that names files, hosts or programs, and settings of extensions, which may.
 */
static const char *const taken[] = {
    "datestyle",    "intervalstyle",        "search_path", "default_text_search_config",
    "bytea_output", "dynamic_library_path",
};

/* How to recover: what the restore has written into postgresql.auto.conf. */
static const char *const recovery[] = {
    "restore_command",           "recovery_target",          "recovery_target_name",
    "recovery_target_time",      "recovery_target_xid",      "recovery_target_lsn",
    "recovery_target_inclusive", "recovery_target_timeline", "recovery_target_action",
};

struct reading {
    struct drill_conf *c;
    const char *conf;
    const char *auto_conf, *copies;
};

/* The value, or false. What cannot be read is no reason not to rehearse: it is told. */
static bool find(struct reading *r, const char *name, struct buf *value)
{
    struct err why = {0};
    bool set = false;

    if (setting_in_files(r->conf, r->auto_conf, r->copies, name, value, &set, &why) == 0)
        return set;
    if (r->c->notes.len == 0)
        buf_addf(&r->c->notes,
                 "the original's configuration cannot be read as a whole, so its "
                 "shared_preload_libraries and others are not known: %s",
                 why.msg);
    return false;
}

static unsigned find_number(struct reading *r, const char *name, unsigned at_least)
{
    AUTO(buf_free) struct buf value = BUF_INIT;
    unsigned long n;

    if (!find(r, name, &value))
        return at_least;
    n = strtoul(buf_text(&value), NULL, 10);
    return n > at_least && n <= 262143 ? (unsigned)n : at_least;
}

static void read_settings(struct reading *r)
{
    AUTO(buf_free) struct buf value = BUF_INIT;

    r->c->preload = xstrdup(find(r, "shared_preload_libraries", &value) ? buf_text(&value) : "");
    for (size_t i = 0; i < LENGTH(taken); i++)
        if (find(r, taken[i], &value))
            conf_set(&r->c->taken, taken[i], buf_text(&value));
    r->c->slots = find_number(r, "max_replication_slots", SLOTS_AT_LEAST);
    r->c->origins = find_number(r, "max_active_replication_origins", SLOTS_AT_LEAST);
}

static int read_recovery(struct drill_conf *c, const char *auto_conf, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT, value = BUF_INIT;

    TRY(fs_read_file(AT_FDCWD, auto_conf, CONF_MAX, &text, err));
    for (size_t i = 0; i < LENGTH(recovery); i++)
        if (conf_find(buf_text(&text), text.len, recovery[i], &value) && value.len != 0)
            conf_set(&c->recover, recovery[i], buf_text(&value));
    return 0;
}

int drill_conf_read(struct drill_conf *c, const struct restore_plan *plan, struct err *err)
{
    AUTO(fd_close) int dir = open(plan->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    AUTO(mem_free) char *auto_conf = xasprintf("%s/postgresql.auto.conf", plan->data_dir);
    const char *zone = backup_info_get(manifest_info(plan->job->manifest), "TimeZone");
    struct reading r = {c, plan->job->conf_path, auto_conf,
                        plan->job->layout.roots[ROOT_CONFIG].dir};

    if (dir < 0)
        return err_sys(err, "cannot open \"%s\"", plan->data_dir);
    TRY(control_read(dir, CONTROL_PATH, NULL, &c->control, err));
    TRY(read_recovery(c, auto_conf, err));
    if (zone != NULL)
        conf_set(&c->taken, "timezone", zone);
    read_settings(&r);
    return 0;
}

void drill_conf_free(struct drill_conf *c)
{
    free(c->preload);
    buf_free(&c->taken);
    buf_free(&c->recover);
    buf_free(&c->notes);
    *c = (struct drill_conf){0};
}

/* ---- what is written ---- */

struct line {
    const char *name, *value;
    unsigned since; /* the first major that knows it */
};

static const struct line fixed[] = {
    /* Nobody gets in but through the socket, and nothing gets out. */
    {"listen_addresses", "", 0},
    {"port", "5432", 0}, /* of the socket's name only */
    {"unix_socket_permissions", "0700", 0},
    {"ssl", "off", 0},
    {"archive_mode", "off", 0},
    {"primary_conninfo", "", 0},
    {"primary_slot_name", "", 0},
    {"max_wal_senders", "0", 0},
    {"synchronous_standby_names", "", 0},
    {"max_logical_replication_workers", "0", 0}, /* subscriptions would use the original's slots */
    {"max_worker_processes", "0", 0}, /* no worker of an extension (schedulers, pushers) starts */
    {"max_parallel_workers_per_gather", "0", 0},
    {"max_parallel_maintenance_workers", "0", 0},
    {"event_triggers", "off", 17}, /* those at login */
    /* Recovery needs no standby; with one, a transaction prepared where timelines part stops it. */
    {"hot_standby", "off", 0},
    {"wal_level", "replica", 0},
    /* Checks see the state of the target. */
    {"autovacuum", "off", 0},
    {"jit", "off", 0},
    {"restart_after_crash", "off", 0},
    /* A guest on this host. */
    {"huge_pages", "off", 0},
    {"shared_buffers", "128MB", 0},
    /* What happens is told in this sandbox, in English. */
    {"logging_collector", "off", 0},
    {"log_destination", "stderr", 0},
    {"log_line_prefix", "%m [%p] ", 0},
    {"log_timezone", "UTC", 0},
    {"lc_messages", "C", 0},
    {"log_min_messages", "warning", 0},
    {"log_statement", "none", 0},
};

static void set_number(struct buf *out, const char *name, uint64_t value, const char *unit)
{
    buf_addf(out, "%s = %llu%s\n", name, (unsigned long long)value, unit);
}

/* What the primary had: prepared transactions and locks of the WAL must find their place. */
static void add_sizes(const struct drill_conf *c, struct buf *out)
{
    const struct pg_control *k = &c->control;
    uint64_t segment_mb = k->wal_segsz / MB;

    set_number(out, "max_connections", (uint64_t)MAX_OF(k->max_connections, 20), "");
    set_number(out, "max_prepared_transactions", (uint64_t)k->max_prepared_transactions, "");
    set_number(out, "max_locks_per_transaction", (uint64_t)MAX_OF(k->max_locks_per_transaction, 64),
               "");
    set_number(out, "max_replication_slots", c->slots, "");
    if (k->version->major >= 18)
        set_number(out, "max_active_replication_origins", c->origins, "");
    set_number(out, "min_wal_size", MAX_OF(80, segment_mb * 2), "MB");
    set_number(out, "max_wal_size", MAX_OF(1024, segment_mb * 4), "MB");
    conf_set(out, "track_commit_timestamp", k->track_commit_timestamp ? "on" : "off");
}

void drill_conf_text(const struct drill_conf *c, const struct sandbox *box, const char *preload,
                     struct buf *out)
{
    AUTO(buf_free) struct buf path = BUF_INIT;

    buf_adds(out, "# written by pgbr drill for one rehearsal of a restore; goes away with it\n");
    buf_add(out, c->taken.p, c->taken.len);
    for (size_t i = 0; i < LENGTH(fixed); i++)
        if (c->control.version->major >= fixed[i].since)
            conf_set(out, fixed[i].name, fixed[i].value);
    add_sizes(c, out);
    conf_set(out, "shared_preload_libraries", preload);
    conf_set(out, "data_directory", box->data);
    conf_set(out, "unix_socket_directories", box->sockets);
    buf_addf(&path, "%s/pg_hba.conf", box->dir);
    conf_set(out, "hba_file", buf_text(&path));
    buf_clear(&path);
    buf_addf(&path, "%s/pg_ident.conf", box->dir);
    conf_set(out, "ident_file", buf_text(&path));
    buf_add(out, c->recover.p, c->recover.len);
}

static int put(const char *dir, const char *name, const char *text, size_t len, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s", dir, name);

    return fs_replace(AT_FDCWD, path, text, len, 0600, err);
}

int drill_conf_write(const struct drill_conf *c, const struct sandbox *box, const char *preload,
                     char **path, struct err *err)
{
    /* The directory of the socket is closed to everybody else. */
    static const char hba[] = "local all all trust\n";
    static const char nothing[] = "# empty for a rehearsal\n";
    AUTO(buf_free) struct buf text = BUF_INIT;

    drill_conf_text(c, box, preload, &text);
    TRY(put(box->dir, "pg_hba.conf", hba, sizeof hba - 1, err));
    TRY(put(box->dir, "pg_ident.conf", nothing, sizeof nothing - 1, err));
    TRY(put(box->data, "postgresql.auto.conf", nothing, sizeof nothing - 1, err));
    TRY(put(box->dir, "postgresql.conf", text.p, text.len, err));
    free(*path);
    *path = xasprintf("%s/postgresql.conf", box->dir);
    return 0;
}

/* ---- libraries ---- */

/* One name of a list, unquoted: "a", in double quotes with "" for a quote, or bare. */
static const char *next_name(const char *at, struct buf *name)
{
    buf_clear(name);
    at += strspn(at, " \t\n,");
    if (*at == '"') {
        for (at++; *at != '\0'; at++) {
            if (*at == '"' && *++at != '"')
                break;
            buf_addc(name, *at);
        }
        return at + strcspn(at, ",");
    }
    for (; *at != '\0' && *at != ','; at++)
        buf_addc(name, *at);
    while (name->len != 0 && strchr(" \t\n", name->p[name->len - 1]) != NULL)
        name->p[--name->len] = '\0';
    return at;
}

void drill_conf_without(const char *libraries, const char *name, struct buf *out)
{
    AUTO(buf_free) struct buf one = BUF_INIT;

    for (const char *at = libraries; *at != '\0';) {
        at = next_name(at, &one);
        if (one.len == 0 || strcmp(buf_text(&one), name) == 0)
            continue;
        buf_adds(out, out->len == 0 ? "\"" : ", \"");
        for (size_t i = 0; i < one.len; i++) {
            if (one.p[i] == '"')
                buf_addc(out, '"');
            buf_addc(out, one.p[i]);
        }
        buf_addc(out, '"');
    }
}
