/* show.c - see show.h. */
#include "cli/show.h"

#include <stdio.h>

#include "base/clock.h"
#include "postgres/lsn.h"

const char *plural_of(uint64_t n)
{
    return n == 1 ? "" : "s";
}

const char *backup_type_name(enum backup_type type)
{
    switch (type) {
    case BACKUP_FULL:
        return "full";
    case BACKUP_DIFF:
        return "diff";
    case BACKUP_INCR:
        return "incr";
    }
    return "unknown";
}

static const char *changes_found_name(enum changes_found how)
{
    switch (how) {
    case CHANGES_READ:
        return "read";
    case CHANGES_FROM_WAL:
        return "wal";
    case CHANGES_COMPARED:
        return "compared";
    case CHANGES_NOT_TOLD:
        break;
    }
    return NULL;
}

static void json_lsn(struct json *j, const char *key, uint64_t lsn)
{
    char text[LSN_TEXT];

    json_text(j, key, lsn_format(lsn, text));
}

void json_backup(struct json *j, const struct pubinfo *p)
{
    char id[24];

    snprintf(id, sizeof id, "%llu", (unsigned long long)p->system_id);
    json_text(j, "label", p->label);
    json_text(j, "type", backup_type_name(p->type));
    json_text(j, "base", p->base[0] != '\0' ? p->base : NULL);
    json_text(j, "instance", p->instance);
    json_text(j, "host", p->host);
    json_text(j, "system_id", id);
    json_uint(j, "pg_version", p->pg_version);
    json_uint(j, "timeline", p->timeline);
    json_lsn(j, "start_lsn", p->start_lsn);
    json_lsn(j, "stop_lsn", p->stop_lsn);
    json_time(j, "start", p->start_us);
    json_time(j, "stop", p->stop_us);
    json_uint(j, "bytes", p->raw_bytes);
    json_uint(j, "stored_bytes", p->stored_bytes);
    json_uint(j, "read_bytes", p->read_bytes);
    json_text(j, "changes_found", changes_found_name(p->changes_found));
    json_uint(j, "files", p->files);
    json_uint(j, "page_errors", p->page_errors);
    json_bool(j, "from_standby", p->from_standby);
    json_text(j, "tool", p->tool);
}

void show_backup(const struct backup_made *made, bool json)
{
    const struct pubinfo *p = &made->pub;
    char raw[24], read[24], stored[24], adopted[24], took[40];
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct json j;

    if (json) {
        json_begin(&j, &text, true);
        json_open(&j, NULL, '{');
        json_backup(&j, p);
        json_uint(&j, "adopted_bytes", made->adopted_bytes);
        json_uint(&j, "warnings", made->warnings);
        json_close(&j, '}');
        fputs(buf_text(&text), stdout);
        return;
    }
    printf("backup %s complete: %s in %llu files, %s read, stored in %s, %s\n", p->label,
           format_bytes(p->raw_bytes, raw), (unsigned long long)p->files,
           format_bytes(p->read_bytes, read), format_bytes(p->stored_bytes, stored),
           clock_format_duration(p->stop_us - p->start_us, took));
    if (p->base[0] != '\0')
        printf("on top of %s: %s\n", p->base,
               p->changes_found == CHANGES_FROM_WAL ? "the WAL told what changed since"
                                                    : "everything was read and compared with it");
    if (made->adopted_bytes != 0)
        printf("of this, %s were stored already by an interrupted attempt\n",
               format_bytes(made->adopted_bytes, adopted));
    if (p->page_errors != 0)
        printf("WARNING: %llu pages have a wrong checksum; the log names them\n",
               (unsigned long long)p->page_errors);
}
