#include "postgres/control.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "postgres/lsn.h"

/* Offsets that all of 13 to 18 share; 18 put one byte before the nonce, which moved the CRC. */
enum {
    CRC_AT = 288,
    CRC_AT_18 = 292,
    TRIES = 10,
    TRY_EVERY_MS = 10,
};

static int unknown_version(uint32_t control, uint32_t catalog, struct err *err)
{
    if (__builtin_bswap32(control) < 10000)
        return err_set(err, ERR_UNSUPPORTED,
                       "control file was written on a machine of the other byte order");
    return err_set(err, ERR_UNSUPPORTED,
                   "control file has version %" PRIu32 " and catalog version %" PRIu32
                   ", which is none of PostgreSQL %s",
                   control, catalog, pg_versions_known());
}

static int check_crc(const uint8_t *p, size_t len, size_t at, struct err *err)
{
    if (len < at + 4)
        return err_set(err, ERR_CORRUPT, "control file has %zu bytes, expected %d", len,
                       CONTROL_SIZE);
    uint32_t want = get_u32(p + at), have = crc32c(0, p, at);
    if (want != have)
        return err_set(err, ERR_CORRUPT,
                       "control file has checksum %08" PRIx32 ", its content gives %08" PRIx32,
                       want, have);
    return 0;
}

/* A good CRC can still cover nonsense in a made-up file: later code divides by these. */
static int check_values(const struct pg_control *c, struct err *err)
{
    if (c->block_size < 1024 || c->block_size > 32768 || (c->block_size & (c->block_size - 1)) != 0)
        return err_set(err, ERR_CORRUPT, "control file has page size %" PRIu32, c->block_size);
    if (c->relseg_pages == 0)
        return err_set(err, ERR_CORRUPT, "control file has relation segments of 0 pages");
    if (!wal_segsz_valid(c->wal_segsz))
        return err_set(err, ERR_CORRUPT, "control file has WAL segment size %" PRIu32,
                       c->wal_segsz);
    if ((unsigned)c->state > CONTROL_IN_PRODUCTION)
        return err_set(err, ERR_CORRUPT, "control file has state %d, expected 0 to 6",
                       (int)c->state);
    if (c->tli == 0)
        return err_set(err, ERR_CORRUPT, "control file has timeline 0");
    return 0;
}

static void read_checkpoint(struct pg_control *c, const uint8_t *p)
{
    c->redo_lsn = get_u64(p + 40);
    c->tli = get_u32(p + 48);
    c->prev_tli = get_u32(p + 52);
    c->full_page_writes = p[56] != 0;
    c->next_xid = get_u64(p + 64);
    c->next_oid = get_u32(p + 72);
    c->next_multi = get_u32(p + 76);
    c->next_multi_offset = get_u32(p + 80);
    c->oldest_xid = get_u32(p + 84);
    c->oldest_multi = get_u32(p + 92);
    c->checkpoint_time = (int64_t)get_u64(p + 104);
    c->oldest_active_xid = get_u32(p + 120);
}

static void read_settings(struct pg_control *c, const uint8_t *p)
{
    c->wal_level = (enum control_wal_level)get_u32(p + 172);
    c->wal_log_hints = p[176] != 0;
    c->max_connections = (int32_t)get_u32(p + 180);
    c->max_worker_processes = (int32_t)get_u32(p + 184);
    c->max_wal_senders = (int32_t)get_u32(p + 188);
    c->max_prepared_transactions = (int32_t)get_u32(p + 192);
    c->max_locks_per_transaction = (int32_t)get_u32(p + 196);
    c->track_commit_timestamp = p[200] != 0;
    c->block_size = get_u32(p + 216);
    c->relseg_pages = get_u32(p + 220);
    c->wal_block_size = get_u32(p + 224);
    c->wal_segsz = get_u32(p + 228);
    c->checksum_version = get_u32(p + 252);
}

int control_parse(const void *data, size_t len, struct pg_control *out, struct err *err)
{
    const uint8_t *p = data;
    struct pg_control c = {0};

    if (len < CRC_AT + 4)
        return err_set(err, ERR_CORRUPT, "control file has %zu bytes, expected %d", len,
                       CONTROL_SIZE);
    uint32_t control = get_u32(p + 8), catalog = get_u32(p + 12);
    c.version = pg_version_by_control(control, catalog);
    if (c.version == NULL)
        return unknown_version(control, catalog, err);
    TRY(check_crc(p, len, c.version->major >= 18 ? CRC_AT_18 : CRC_AT, err));

    c.system_id = get_u64(p);
    c.state = (enum control_state)get_u32(p + 16);
    c.updated_at = (int64_t)get_u64(p + 24);
    c.checkpoint_lsn = get_u64(p + 32);
    read_checkpoint(&c, p);
    c.min_recovery_point = get_u64(p + 136);
    c.min_recovery_tli = get_u32(p + 144);
    c.backup_start = get_u64(p + 152);
    c.backup_end = get_u64(p + 160);
    c.backup_end_required = p[168] != 0;
    read_settings(&c, p);
    TRY(check_values(&c, err));
    *out = c;
    return 0;
}

/* A torn read can also spoil the version numbers or the length, so every parse failure is tried
 * again, not only a bad CRC. */
int control_read(int dirfd, const char *path, struct buf *raw, struct pg_control *out,
                 struct err *err)
{
    AUTO(buf_free) struct buf own = BUF_INIT;
    struct buf *bytes = raw != NULL ? raw : &own;

    for (int attempt = 1;; attempt++) {
        buf_clear(bytes);
        TRY(fs_read_file(dirfd, path, CONTROL_SIZE, bytes, err));
        if (control_parse(bytes->p, bytes->len, out, err) == 0)
            return 0;
        if (attempt == TRIES)
            return err_context(err, "\"%s\"", path);
        clock_sleep_ms(TRY_EVERY_MS);
    }
}

const char *control_state_name(enum control_state state)
{
    static const char *const names[] = {
        "starting up",       "shut down",           "shut down in recovery", "shutting down",
        "in crash recovery", "in archive recovery", "in production",
    };
    return (unsigned)state < LENGTH(names) ? names[state] : "unrecognized";
}
