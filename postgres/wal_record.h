/*
 * wal_record.h - what a WAL record says: pure functions from its bytes to structs, PostgreSQL 13 to
 * 18. A record handed in has passed the reader's checks (CRC, length) but is still not believed:
 * every announced length must add up exactly, otherwise ERR_CORRUPT. ERR_UNSUPPORTED where a layout
 * is not known.
 *
 * Facts: src/include/access/xlogrecord.h, xact.h, catalog/storage_xlog.h, catalog/pg_control.h,
 * commands/dbcommands_xlog.h of each version. Times are Unix microseconds, UTC.
 */
#ifndef PGBR_POSTGRES_WAL_RECORD_H
#define PGBR_POSTGRES_WAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "postgres/control.h"
#include "postgres/relfile.h"
#include "postgres/wal_reader.h"

/* Resource managers, the same numbers in 13 to 18 (src/include/access/rmgrlist.h). */
enum {
    WAL_RM_XLOG = 0,
    WAL_RM_XACT = 1,
    WAL_RM_SMGR = 2,
    WAL_RM_DBASE = 4,
    WAL_RM_LAST = 21,
    WAL_RM_CUSTOM = 128, /* the first of extensions, from 15 on */
};
enum {
    WAL_INFO_OPCODE = 0xF0,
    WAL_INFO_SPECIAL_REL = 0x01, /* changes relation files beyond its block references */
    WAL_XLOG_SWITCH = 0x40,
    WAL_BLOCKS_MAX = 33, /* block references of one record */
    WAL_FORKS = 4,       /* enum rel_fork */
    WAL_NAME_MAX = 63,   /* bytes of a restore point's name */
};
#define WAL_NO_BLOCK UINT32_C(0xFFFFFFFF) /* InvalidBlockNumber */

struct wal_locator {
    uint32_t spc, db, rel; /* tablespace, database (0: shared), relation file number */
};

struct wal_block_ref {
    struct wal_locator rel;
    uint32_t block;
    uint16_t data_len, image_len; /* payload bytes; image_len as stored, perhaps compressed */
    uint8_t fork, id;
    bool has_image;
};

struct wal_decoded {
    unsigned n_blocks;
    struct wal_block_ref blocks[WAL_BLOCKS_MAX];
    const uint8_t *main; /* points into the record */
    uint32_t main_len;
    uint32_t top_xid; /* 14 and later, where given; else 0 */
};

/* True for the resource managers this program knows, and those of extensions: their block
 * references are complete. */
bool wal_rmgr_known(uint8_t rmid, unsigned major);

/* Block references and main data. */
int wal_decode(const struct wal_record *rec, unsigned major, struct wal_decoded *d,
               struct err *err) MUST_CHECK;

enum wal_xact_kind {
    WAL_XACT_OTHER, /* assignment, invalidations: nothing ends */
    WAL_XACT_COMMIT,
    WAL_XACT_ABORT,
    WAL_XACT_PREPARE, /* only kind and xid are set */
};

struct wal_xact {
    enum wal_xact_kind kind;
    bool prepared; /* COMMIT PREPARED, ROLLBACK PREPARED */
    int64_t time_us;
    uint32_t xid; /* of the transaction that ended */
    uint32_t db;  /* 0: not told */
    uint32_t n_subxacts, n_dropped;
    const uint8_t *subxacts; /* n_subxacts times u32, unaligned, in the record */
    const uint8_t *dropped;  /* n_dropped times u32 spc, db, rel */
    const char *gid;         /* of a prepared transaction, NUL-terminated; NULL: not told */
};

/* A record of resource manager WAL_RM_XACT. */
int wal_xact_parse(const struct wal_record *rec, const struct wal_decoded *d, unsigned major,
                   struct wal_xact *x, struct err *err) MUST_CHECK;
struct wal_locator wal_locator_at(const uint8_t *list, uint32_t index);

/* A change of relation files by WAL_RM_SMGR. */
struct wal_smgr {
    enum { WAL_SMGR_OTHER, WAL_SMGR_CREATE, WAL_SMGR_TRUNCATE } kind;
    struct wal_locator rel;
    uint8_t fork;   /* CREATE */
    uint32_t block; /* TRUNCATE: first block that goes (of the heap, also for vm and fsm) */
    uint8_t forks;  /* TRUNCATE: bit 1 << fork for each one cut */
};
int wal_smgr_parse(const struct wal_record *rec, const struct wal_decoded *d, struct wal_smgr *s,
                   struct err *err) MUST_CHECK;

/* Things that happen rarely and matter for recovery. The numbers are stored in repositories: they
 * never change their meaning. */
enum wal_event_kind {
    WAL_EVENT_NONE = 0,
    WAL_EVENT_RESTORE_POINT = 1,       /* time_us, name */
    WAL_EVENT_CHECKPOINT_SHUTDOWN = 2, /* redo, tli, prev_tli, wal_level (17+), time_us */
    WAL_EVENT_CHECKPOINT_ONLINE = 3,   /* the same */
    WAL_EVENT_CHECKPOINT_REDO = 4,     /* wal_level */
    WAL_EVENT_END_OF_RECOVERY = 5,     /* time_us, tli, prev_tli, wal_level (17+) */
    WAL_EVENT_PARAMETERS = 6,          /* wal_level */
    WAL_EVENT_FULL_PAGE_WRITES = 7,    /* on */
    WAL_EVENT_BACKUP_END = 8,          /* redo: start LSN of the backup */
    WAL_EVENT_OVERWRITE = 9,           /* redo: LSN of the abandoned record, time_us */
    WAL_EVENT_DB_CREATE_COPY = 10,     /* db, spc, src_db, src_spc; files copied, not logged */
    WAL_EVENT_DB_CREATE_LOGGED = 11,   /* db, spc */
    WAL_EVENT_DB_DROP = 12,            /* db, spc; n_spc and spcs when just parsed */
};

struct wal_event {
    enum wal_event_kind kind;
    uint64_t lsn;
    uint32_t xid;
    int64_t time_us; /* 0: not told */
    uint64_t redo;
    uint32_t tli, prev_tli;
    int wal_level; /* -1: not told */
    bool on;
    uint32_t db, spc, src_db, src_spc;
    uint32_t n_spc;      /* DB_DROP: as many tablespaces as the record names */
    const uint8_t *spcs; /* n_spc times u32, in the record */
    char name[WAL_NAME_MAX + 1];
};

/* kind is WAL_EVENT_NONE for all other records of WAL_RM_XLOG and WAL_RM_DBASE, and for any other
 * resource manager. */
int wal_event_parse(const struct wal_record *rec, const struct wal_decoded *d, unsigned major,
                    struct wal_event *e, struct err *err) MUST_CHECK;

#endif
