/* wal_event.c - the rare records that matter for recovery: wal_event_parse() of wal_record.h. */
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "postgres/lsn.h"
#include "postgres/wal_record.h"

enum { CHECKPOINT_SIZE = 88 };

static int malformed(const struct wal_record *rec, const char *what, struct err *err)
{
    char at[LSN_TEXT];

    return err_set(err, ERR_CORRUPT, "WAL record at %s: malformed %s", lsn_format(rec->lsn, at),
                   what);
}

static int64_t pg_time(struct cursor *c)
{
    return (int64_t)(cur_u64(c) + (uint64_t)PG_EPOCH_US);
}

/* Anything but minimal, replica and logical is made too high, and refused at the end. */
static int level_of(uint32_t stored)
{
    return stored <= WAL_LEVEL_LOGICAL ? (int)stored : WAL_LEVEL_LOGICAL + 1;
}

static int take_level(struct cursor *c)
{
    return level_of(cur_u32(c));
}

/* What stands behind the NUL of the name is whatever was in the server's memory. */
static bool take_name(struct cursor *c, struct wal_event *e)
{
    const uint8_t *name = cur_bytes(c, sizeof e->name);

    if (name == NULL || memchr(name, '\0', sizeof e->name) == NULL)
        return false;
    memcpy(e->name, name, strlen((const char *)name));
    return true;
}

/* struct CheckPoint, the same 88 bytes as in pg_control; wal_level came with 17. */
static bool take_checkpoint(const uint8_t *p, size_t len, unsigned major, struct wal_event *e)
{
    if (len != CHECKPOINT_SIZE)
        return false;
    e->redo = get_u64(p);
    e->tli = get_u32(p + 8);
    e->prev_tli = get_u32(p + 12);
    if (major >= 17)
        e->wal_level = level_of(get_u32(p + 20));
    e->time_us = (int64_t)(get_u64(p + 64) * 1000000); /* pg_time_t: Unix seconds */
    return true;
}

static bool take_end_of_recovery(struct cursor *c, unsigned major, struct wal_event *e)
{
    e->time_us = pg_time(c);
    e->tli = cur_u32(c);
    e->prev_tli = cur_u32(c);
    if (major >= 17) {
        e->wal_level = take_level(c);
        cur_u32(c); /* padding */
    }
    return cur_done(c);
}

static enum wal_event_kind xlog_kind(uint8_t info)
{
    switch (info & WAL_INFO_OPCODE) {
    case 0x00:
        return WAL_EVENT_CHECKPOINT_SHUTDOWN;
    case 0x10:
        return WAL_EVENT_CHECKPOINT_ONLINE;
    case 0x50:
        return WAL_EVENT_BACKUP_END;
    case 0x60:
        return WAL_EVENT_PARAMETERS;
    case 0x70:
        return WAL_EVENT_RESTORE_POINT;
    case 0x80:
        return WAL_EVENT_FULL_PAGE_WRITES;
    case 0x90:
        return WAL_EVENT_END_OF_RECOVERY;
    case 0xD0:
        return WAL_EVENT_OVERWRITE;
    case 0xE0:
        return WAL_EVENT_CHECKPOINT_REDO;
    default:
        return WAL_EVENT_NONE;
    }
}

static int parse_xlog(const struct wal_record *rec, const struct wal_decoded *d, unsigned major,
                      struct wal_event *e, struct err *err)
{
    struct cursor c = cursor_of(d->main, d->main_len);

    e->kind = xlog_kind(rec->info);
    switch (e->kind) {
    case WAL_EVENT_CHECKPOINT_SHUTDOWN:
    case WAL_EVENT_CHECKPOINT_ONLINE:
        return take_checkpoint(d->main, d->main_len, major, e) ? 0
                                                               : malformed(rec, "checkpoint", err);
    case WAL_EVENT_CHECKPOINT_REDO:
        e->wal_level = take_level(&c);
        return cur_done(&c) ? 0 : malformed(rec, "redo point", err);
    case WAL_EVENT_BACKUP_END:
        e->redo = cur_u64(&c);
        return cur_done(&c) ? 0 : malformed(rec, "end of backup", err);
    case WAL_EVENT_PARAMETERS: /* five settings, then wal_level and two flags */
        cur_bytes(&c, 20);
        e->wal_level = take_level(&c);
        return d->main_len == 28 ? 0 : malformed(rec, "change of parameters", err);
    case WAL_EVENT_RESTORE_POINT:
        e->time_us = pg_time(&c);
        return take_name(&c, e) && cur_done(&c) ? 0 : malformed(rec, "restore point", err);
    case WAL_EVENT_FULL_PAGE_WRITES:
        e->on = cur_u8(&c) != 0;
        return cur_done(&c) ? 0 : malformed(rec, "change of full_page_writes", err);
    case WAL_EVENT_END_OF_RECOVERY:
        return take_end_of_recovery(&c, major, e) ? 0 : malformed(rec, "end of recovery", err);
    case WAL_EVENT_OVERWRITE:
        e->redo = cur_u64(&c);
        e->time_us = pg_time(&c);
        return cur_done(&c) ? 0 : malformed(rec, "overwritten record", err);
    default:
        return 0;
    }
}

static int parse_dbase(const struct wal_record *rec, const struct wal_decoded *d, unsigned major,
                       struct wal_event *e, struct err *err)
{
    struct cursor c = cursor_of(d->main, d->main_len);
    unsigned op = (rec->info & WAL_INFO_OPCODE) >> 4, drop = major >= 15 ? 2 : 1;

    e->db = cur_u32(&c);
    if (op == 0) {
        e->kind = WAL_EVENT_DB_CREATE_COPY;
        e->spc = cur_u32(&c);
        e->src_db = cur_u32(&c);
        e->src_spc = cur_u32(&c);
    } else if (op == drop) {
        e->kind = WAL_EVENT_DB_DROP;
        e->n_spc = cur_u32(&c);
        if (e->n_spc > cur_left(&c) / 4)
            return malformed(rec, "drop of a database", err);
        e->spcs = cur_bytes(&c, (size_t)e->n_spc * 4);
    } else if (op == 1) {
        e->kind = WAL_EVENT_DB_CREATE_LOGGED;
        e->spc = cur_u32(&c);
    } else {
        return malformed(rec, "or unknown change of a database", err);
    }
    return cur_done(&c) ? 0 : malformed(rec, "creation or drop of a database", err);
}

int wal_event_parse(const struct wal_record *rec, const struct wal_decoded *d, unsigned major,
                    struct wal_event *e, struct err *err)
{
    *e = (struct wal_event){
        .kind = WAL_EVENT_NONE, .lsn = rec->lsn, .xid = rec->xid, .wal_level = -1};
    if (rec->rmid == WAL_RM_XLOG) {
        TRY(parse_xlog(rec, d, major, e, err));
        return e->wal_level <= WAL_LEVEL_LOGICAL ? 0 : malformed(rec, "wal_level", err);
    }
    if (rec->rmid == WAL_RM_DBASE)
        return parse_dbase(rec, d, major, e, err);
    return 0;
}
