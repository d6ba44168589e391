/* recovery.c - see recovery.h. */
#include "restore/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "postgres/conf.h"
#include "postgres/conf_walk.h"
#include "postgres/label.h"
#include "postgres/lsn.h"

enum { CONF_MAX = 16 << 20 };

/* ---- restore_command ---- */

/* One word in double quotes for the shell; a percent sign is doubled for PostgreSQL. */
static int add_word(struct buf *out, const char *word, struct err *err)
{
    buf_addc(out, '"');
    for (const char *p = word; *p != '\0'; p++) {
        if (*p == '\n' || *p == '\r')
            return err_set(err, ERR_USAGE,
                           "the path \"%s\" has a line break, which restore_command cannot hold",
                           word);
        if (strchr("\"\\$`", *p) != NULL)
            buf_addc(out, '\\');
        if (*p == '%')
            buf_addc(out, '%');
        buf_addc(out, *p);
    }
    buf_addc(out, '"');
    return 0;
}

int recovery_command(struct buf *out, const struct recovery_terms *t, struct err *err)
{
    const struct restore_request *q = t->request;
    char lsn[LSN_TEXT];

    TRY(add_word(out, q->program, err));
    buf_adds(out, " -c ");
    TRY(add_word(out, t->config, err));
    buf_adds(out, " archive-get");
    if (q->repo != NULL)
        buf_addf(out, " --repo %s", q->repo);
    lsn_format(t->end_lsn != 0 ? t->end_lsn : UINT64_MAX, lsn);
    if (q->sandbox != NULL)
        buf_addf(out, " --sandbox %s", lsn);
    else if (t->layout != NULL && t->layout->side_copy)
        buf_addf(out, " --side-copy %s", lsn); /* beside the original it could enter its files */
    buf_addf(out, " %s \"%%f\" \"%%p\"", q->cluster->name);
    return 0;
}

/* ---- the target ---- */

static const char *target_setting(enum target_kind kind)
{
    switch (kind) {
    case TARGET_IMMEDIATE:
        return "recovery_target";
    case TARGET_TIME:
        return "recovery_target_time";
    case TARGET_LSN:
        return "recovery_target_lsn";
    case TARGET_XID:
        return "recovery_target_xid";
    case TARGET_NAME:
        return "recovery_target_name";
    case TARGET_LATEST:
        break;
    }
    return NULL;
}

static void target_value(struct buf *out, const struct target *t)
{
    char time_text[40], lsn[LSN_TEXT];

    switch (t->kind) {
    case TARGET_IMMEDIATE:
        buf_adds(out, "immediate");
        break;
    case TARGET_TIME:
        buf_adds(out, clock_format_utc(t->time_us, time_text));
        break;
    case TARGET_LSN:
        buf_adds(out, lsn_format(t->lsn, lsn));
        break;
    case TARGET_XID:
        buf_addf(out, "%u", t->xid);
        break;
    case TARGET_NAME:
        buf_adds(out, t->name);
        break;
    case TARGET_LATEST:
        break;
    }
}

static const char *action_name(const struct recovery_terms *t)
{
    switch (t->request->action) {
    case ACTION_PROMOTE:
        return "promote";
    case ACTION_SHUTDOWN:
        return "shutdown";
    case ACTION_PAUSE:
        return "pause";
    case ACTION_DEFAULT:
        break;
    }
    return t->target->kind == TARGET_LATEST ? "promote" : "pause";
}

static void add_target(struct buf *out, const struct recovery_terms *t)
{
    static const char *const all[] = {"recovery_target", "recovery_target_name",
                                      "recovery_target_time", "recovery_target_xid",
                                      "recovery_target_lsn"};
    const char *ours = target_setting(t->target->kind);
    AUTO(buf_free) struct buf value = BUF_INIT;

    for (size_t i = 0; i < LENGTH(all); i++)
        if (ours == NULL || strcmp(all[i], ours) != 0)
            conf_set(out, all[i], "");
    if (ours != NULL) {
        target_value(&value, t->target);
        conf_set(out, ours, buf_text(&value));
    }
    conf_set(out, "recovery_target_inclusive", t->target->exclusive ? "off" : "on");
    buf_clear(&value);
    if (t->timeline == 0)
        buf_adds(&value, "latest");
    else
        buf_addf(&value, "%u", t->timeline);
    conf_set(out, "recovery_target_timeline", buf_text(&value));
    conf_set(out, "recovery_target_action", action_name(t));
}

/* ---- what a hot standby must not fall short of ---- */

struct limit {
    const char *name;
    long needed, standard;
};

static long value_in(const struct buf *conf, const char *name, long otherwise)
{
    AUTO(buf_free) struct buf value = BUF_INIT;
    char *end;
    long n;

    if (conf->len == 0 || !conf_find(conf->p, conf->len, name, &value))
        return otherwise;
    n = strtol(buf_text(&value), &end, 10);
    return end == value.p || *end != '\0' ? otherwise : n;
}

/* Archive recovery refuses to run with smaller values than the primary had (CheckRequiredParameter
 * Values in xlogrecovery.c); pg_control knows those. */
static void add_limits(struct buf *out, const struct pg_control *c, const struct buf *main_conf,
                       const struct buf *auto_conf)
{
    const struct limit limits[] = {
        {"max_connections", c->max_connections, 100},
        {"max_worker_processes", c->max_worker_processes, 8},
        {"max_wal_senders", c->max_wal_senders, 10},
        {"max_prepared_transactions", c->max_prepared_transactions, 0},
        {"max_locks_per_transaction", c->max_locks_per_transaction, 64},
    };

    for (size_t i = 0; i < LENGTH(limits); i++) {
        const struct limit *l = &limits[i];
        long has = value_in(auto_conf, l->name, value_in(main_conf, l->name, l->standard));
        char value[24];
        if (has >= l->needed)
            continue;
        snprintf(value, sizeof value, "%ld", l->needed);
        conf_set(out, l->name, value);
    }
}

/* ---- files that the configuration names ---- */

static bool find_setting(const struct buf *main_conf, const struct buf *auto_conf, const char *name,
                         struct buf *value)
{
    buf_clear(value);
    return (auto_conf->len != 0 && conf_find(auto_conf->p, auto_conf->len, name, value)) ||
           (main_conf->len != 0 && conf_find(main_conf->p, main_conf->len, name, value));
}

/* A copy whose configuration names files of the original's data directory (Patroni writes them so)
 * gets its own ones. */
static void add_own_files(struct buf *out, const struct layout *l, const struct buf *main_conf,
                          const struct buf *auto_conf)
{
    static const char *const names[] = {"hba_file", "ident_file"};
    size_t len = l->original_dir == NULL ? 0 : strlen(l->original_dir);

    for (size_t i = 0; len != 0 && l->side_copy && i < LENGTH(names); i++) {
        AUTO(buf_free) struct buf value = BUF_INIT;
        AUTO(buf_free) struct buf own = BUF_INIT;
        if (!find_setting(main_conf, auto_conf, names[i], &value) || value.len <= len ||
            memcmp(value.p, l->original_dir, len) != 0 || value.p[len] != '/')
            continue;
        buf_addf(&own, "%s%s", l->roots[ROOT_DATA].dir, buf_text(&value) + len);
        conf_set(out, names[i], buf_text(&own));
    }
}

/* A directory below the data directory, whatever the working directory is? */
static bool stays_inside(const char *dir)
{
    if (dir[0] == '/')
        return false;
    for (const char *part = dir; part != NULL; part = strchr(part, '/')) {
        part += part[0] == '/';
        if (strcmp(part, "..") == 0 || strncmp(part, "../", 3) == 0)
            return false;
    }
    return true;
}

/* Its log files, which it may also remove. */
static void add_own_log(struct buf *out, const struct recovery_terms *t,
                        const struct buf *main_conf, const struct buf *auto_conf)
{
    AUTO(buf_free) struct buf value = BUF_INIT;

    if (t->conf_unsure || (find_setting(main_conf, auto_conf, "log_directory", &value) &&
                           !stays_inside(buf_text(&value))))
        conf_set(out, "log_directory", "log");
    if (t->conf_unsure || (find_setting(main_conf, auto_conf, "log_filename", &value) &&
                           strchr(buf_text(&value), '/') != NULL))
        conf_set(out, "log_filename", "postgresql-%Y-%m-%d_%H%M%S.log");
}

/* A stream from a primary would bring WAL that archive-get cannot refuse; slots on other servers
 * are the original's. One that shall archive takes its place. */
static void add_no_replication(struct buf *out, const struct recovery_terms *t)
{
    conf_set(out, "primary_conninfo", "");
    conf_set(out, "primary_slot_name", "");
    if (t->request->archive == RESTORE_ARCHIVE_OFF)
        conf_set(out, "max_logical_replication_workers", "0");
}

/* What a server writes, removes or runs outside of its data directory is the original's. A standby
 * is made to stream, and one day to take over: whom it follows, its owner says. */
static void add_keep_off(struct buf *out, const struct recovery_terms *t,
                         const struct buf *main_conf, const struct buf *auto_conf)
{
    unsigned major = t->control != NULL ? t->control->version->major : PG_MAJOR_MAX;

    if (!t->layout->side_copy)
        return;
    conf_set(out, "archive_cleanup_command", "");
    conf_set(out, "recovery_end_command", "");
    conf_set(out, "external_pid_file", "");
    if (major < 15)
        conf_set(out, "stats_temp_directory", "pg_stat_tmp"); /* emptied when a server starts */
    if (major < 16)
        conf_set(out, "promote_trigger_file", ""); /* removed when it is seen */
    if (!t->request->standby)
        add_no_replication(out, t);
    add_own_log(out, t, main_conf, auto_conf);
}

/* ---- the block ---- */

int recovery_settings(struct buf *out, const struct recovery_terms *t, const struct buf *main_conf,
                      const struct buf *auto_conf, struct err *err)
{
    AUTO(buf_free) struct buf command = BUF_INIT;

    TRY(recovery_command(&command, t, err));
    buf_addf(out, "# recovery settings by pgbr restore, from backup %s\n", t->label);
    conf_set(out, "restore_command", buf_text(&command));
    add_target(out, t);
    if (t->request->archive == RESTORE_ARCHIVE_OFF)
        conf_set(out, "archive_mode", "off");
    if (t->layout != NULL) {
        add_own_files(out, t->layout, main_conf, auto_conf);
        add_keep_off(out, t, main_conf, auto_conf);
    }
    if (t->control != NULL)
        add_limits(out, t->control, main_conf, auto_conf);
    return 0;
}

void recovery_notes(struct buf *out, const struct recovery_terms *t)
{
    const struct restore_request *q = t->request;

    if (q->standby)
        buf_adds(out, "the copy is a standby that follows the archive; to stream from a primary, "
                      "set primary_conninfo\n");
    if (t->target->kind != TARGET_LATEST && strcmp(action_name(t), "pause") == 0)
        buf_adds(out, "recovery will pause at the target, open for reading: look whether it is the "
                      "right moment, then select pg_wal_replay_resume() to go live; what the next "
                      "transaction "
                      "had locked by then (a table that it was about to drop) cannot be read "
                      "until it does\n");
    if (t->target->kind != TARGET_LATEST && q->action == ACTION_SHUTDOWN)
        buf_adds(out, "the server will shut down when it reaches the target; remove "
                      "recovery.signal to start it there\n");
}

/* ---- files ---- */

mode_t recovery_file_mode(int datafd)
{
    struct stat st;

    return fstat(datafd, &st) == 0 && (st.st_mode & S_IRGRP) != 0 ? 0640 : 0600;
}

/* A file that need not exist, replaced into *out. */
static int read_optional(int dirfd, const char *path, struct buf *out, struct err *err)
{
    struct err why = {0};

    buf_clear(out);
    if (fs_read_file(dirfd, path, CONF_MAX, out, &why) == 0 || why.code == ERR_NOT_FOUND)
        return 0;
    *err = why;
    return -1;
}

/* Of a copy of a copy the switched-off archiving is not inherited. */
static bool drop_setting(const char *name, void *unused)
{
    return strcmp(name, "archive_mode") == 0 || conf_is_recovery_setting(name, unused);
}

static bool drop_recovery_only(const char *name, void *unused)
{
    return conf_is_recovery_setting(name, unused);
}

struct flat {
    struct buf *out;
    bool unsure;
};

static void take_setting(void *ctx, const char *name, const char *value)
{
    struct flat *f = ctx;

    if (strncmp(name, "include", strlen("include")) != 0)
        conf_set(f->out, name, value);
}

static void take_trouble(void *ctx, const struct err *why)
{
    struct flat *f = ctx;

    f->unsure = true;
    log_debug("configuration of the result: %s", why->msg);
}

/*
 * The configuration with what it includes, as one text. An absolute include is the host's file for
 * the server, and where that is not there yet, it is what somebody will put there: the backup's.
 * *unsure: not all of it can be read.
 */
static int read_main_conf(const char *path, const struct layout *l, struct buf *out, bool *unsure,
                          struct err *err)
{
    struct flat f = {.out = out};
    struct conf_walk w = {.ctx = &f, .setting = take_setting, .trouble = take_trouble};

    *unsure = false;
    if (path == NULL)
        return 0;
    TRY(conf_walk(&w, path, false, err));
    if (f.unsure && l != NULL && l->has_config) {
        f.unsure = false;
        buf_clear(out);
        w.copies = l->roots[ROOT_CONFIG].dir;
        TRY(conf_walk(&w, path, false, err));
    }
    *unsure = f.unsure;
    return 0;
}

static int write_auto_conf(int datafd, const struct recovery_terms *t, const char *conf_path,
                           bool *names_dir, struct err *err)
{
    AUTO(buf_free) struct buf main_conf = BUF_INIT;
    AUTO(buf_free) struct buf old = BUF_INIT;
    AUTO(buf_free) struct buf kept = BUF_INIT;
    AUTO(buf_free) struct buf dir = BUF_INIT;
    struct recovery_terms terms = *t;

    TRY(read_main_conf(conf_path, t->layout, &main_conf, &terms.conf_unsure, err));
    TRY(read_optional(datafd, "postgresql.auto.conf", &old, err));
    if (old.len != 0)
        conf_filter(old.p, old.len,
                    t->request->archive == RESTORE_ARCHIVE_OFF ? drop_setting : drop_recovery_only,
                    NULL, &kept);
    if (kept.len != 0 && kept.p[kept.len - 1] != '\n')
        buf_addc(&kept, '\n');
    old.len = kept.len; /* what holds without our block */
    if (kept.len != 0)
        memcpy(old.p, kept.p, kept.len);
    *names_dir = find_setting(&main_conf, &old, "data_directory", &dir);
    TRY(recovery_settings(&kept, &terms, &main_conf, &old, err));
    return fs_replace(datafd, "postgresql.auto.conf", kept.p, kept.len, recovery_file_mode(datafd),
                      err);
}

int recovery_write(int datafd, const struct recovery_terms *t, const char *conf_path,
                   bool *names_dir, struct err *err)
{
    TRY(write_auto_conf(datafd, t, conf_path, names_dir, err));
    return fs_replace(datafd, t->request->standby ? "standby.signal" : "recovery.signal", "", 0,
                      recovery_file_mode(datafd), err);
}

int recovery_tablespace_map(const struct layout *l, const struct backup_info *info, unsigned major,
                            struct buf *out, struct err *err)
{
    AUTO(tablespace_map_free) struct tablespace_map map = TABLESPACE_MAP_INIT;
    size_t kept = 0;

    if (info->tablespace_map.len == 0)
        return 0;
    TRY(tablespace_map_parse(info->tablespace_map.p, info->tablespace_map.len, major, &map, err));
    for (size_t i = 0; i < map.count; i++) {
        struct tablespace_link link = map.links[i];
        unsigned root = layout_tablespace(l, link.oid);

        if (root != 0) {
            free(link.path);
            link.path = xstrdup(l->roots[root].dir);
        } else if (link.path[0] == '/') {
            free(link.path);
            continue;
        }
        map.links[kept++] = link;
    }
    map.count = kept;
    tablespace_map_format(&map, out);
    return 0;
}
