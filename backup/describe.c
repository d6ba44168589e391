/* describe.c - what a backup says of itself: the public facts and the private ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup/history.h"
#include "backup/run.h"
#include "base/mem.h"
#include "base/version.h"
#include "postgres/label.h"
#include "postgres/timeline.h"
#include "repo/wal/wal_object.h"

static void put_setting(struct backup_info *info, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    backup_info_setting(info, name, text);
}

static void describe_settings(struct backup_info *info, const struct pg_facts *f)
{
    char key[32];

    backup_info_setting(info, "data_directory", f->data_directory);
    backup_info_setting(info, "config_file", f->config_file);
    backup_info_setting(info, "hba_file", f->hba_file);
    backup_info_setting(info, "ident_file", f->ident_file);
    backup_info_setting(info, "TimeZone", f->time_zone);
    backup_info_setting(info, "log_timezone", f->log_time_zone);
    backup_info_setting(info, "wal_level", f->wal_level);
    backup_info_setting(info, "archive_mode", f->archive_mode);
    put_setting(info, "server_version_num", f->version_num);
    put_setting(info, "max_connections", f->max_connections);
    put_setting(info, "max_worker_processes", f->max_worker_processes);
    put_setting(info, "max_wal_senders", f->max_wal_senders);
    put_setting(info, "max_prepared_transactions", f->max_prepared_transactions);
    put_setting(info, "max_locks_per_transaction", f->max_locks_per_transaction);
    for (size_t i = 0; i < f->tablespace_count; i++) { /* so that a restore can map them by name */
        snprintf(key, sizeof key, "tablespace_name.%u", f->tablespaces[i].oid);
        backup_info_setting(info, key, f->tablespaces[i].name);
    }
}

static void describe_info(struct run *r)
{
    struct backup_info *info = &r->made->info;

    buf_adds(&info->backup_label, r->session.stop.label);
    buf_adds(&info->tablespace_map, r->session.stop.map);
    info->tablespaces = TAKE(r->found.tablespaces);
    info->n_tablespaces = r->found.n_tablespaces;
    info->checksums = r->session.facts.checksums;
    info->catalog_version = r->session.facts.version->catalog_version;
    info->min_recovery_lsn = r->control.min_recovery_point;
    describe_settings(info, &r->session.facts);
}

/* A standby may have followed its primary onto another timeline while it was copied. */
static int span_timelines(struct run *r, uint32_t first, uint32_t last, struct err *err)
{
    struct pubinfo *pub = &r->made->pub;
    struct wal_place place = run_wal_place(r);
    AUTO(history_free) struct history h = HISTORY_INIT;

    if (first == last) {
        pub->spans = xcalloc(1, sizeof *pub->spans);
        pub->spans[pub->n_spans++] = (struct wal_span){first, pub->start_lsn, pub->stop_lsn};
        return 0;
    }
    /* The promoted server may not have archived it yet; the standby has it in its pg_wal. */
    TRY(history_load(&place, r->data_fd, last, &h, err));
    pub->spans = xcalloc(h.count, sizeof *pub->spans);
    for (size_t i = 0; i < h.count; i++) {
        const struct history_entry *e = &h.entries[i];
        uint64_t from = MAX_OF(e->begin, pub->start_lsn), to = MIN_OF(e->end, pub->stop_lsn);

        if (from < to)
            pub->spans[pub->n_spans++] = (struct wal_span){e->tli, from, to};
    }
    if (pub->n_spans == 0 || pub->spans[0].timeline != first)
        return err_set(err, ERR_FAILED,
                       "timeline %u, on which the backup began, is not in the history of %u", first,
                       last);
    return 0;
}

static int describe_pub(struct run *r, struct err *err)
{
    const struct pg_facts *f = &r->session.facts;
    struct pubinfo *pub = &r->made->pub;
    struct backup_label label;
    uint32_t last_tli;

    TRY(backup_label_parse(r->session.stop.label, strlen(r->session.stop.label), &label, err));
    memcpy(pub->label, r->label, sizeof pub->label);
    pub->type = r->type;
    memcpy(pub->base, r->base, sizeof pub->base);
    pub->cluster = xstrdup(r->q->cluster->name);
    pub->instance =
        xstrdup(r->q->cluster->instance != NULL ? r->q->cluster->instance : r->q->cluster->name);
    pub->host = xstrdup(r->host);
    pub->tool = xstrdup("pgbr " PGBR_VERSION);
    pub->system_id = r->id.system_id;
    pub->pg_version = (uint32_t)f->version_num;
    pub->start_lsn = label.start_lsn;
    pub->stop_lsn = r->session.stop.stop_lsn;
    pub->page_size = f->block_size;
    pub->wal_segment_size = f->wal_segsz;
    pub->from_standby = f->in_recovery;
    pub->files = r->finished.files;
    pub->raw_bytes = r->finished.bytes;
    pub->read_bytes = atomic_load(&r->copied.read_bytes);
    pub->changes_found = r->type == BACKUP_FULL         ? CHANGES_READ
                         : r->increment.changed != NULL ? CHANGES_FROM_WAL
                                                        : CHANGES_COMPARED;
    last_tli = label.tli;
    if (f->in_recovery && r->control.min_recovery_point != 0) {
        pub->stop_lsn = MAX_OF(pub->stop_lsn, r->control.min_recovery_point);
        last_tli = MAX_OF(last_tli, r->control.min_recovery_tli);
    }
    pub->timeline = last_tli;
    return span_timelines(r, label.tli, last_tli, err);
}

int run_describe(struct run *r, struct err *err)
{
    TRY(describe_pub(r, err));
    describe_info(r);
    return 0;
}
