/*
 * facts.h - everything pgbr wants to know about a server before it does anything.
 *
 * Needs membership in pg_read_all_settings (or pg_monitor) where the role is no superuser; without
 * it pg_discover() fails with ERR_DENIED and says so. The list of configuration files outside the
 * data directory needs more; where that is missing, the list holds what could be seen and
 * files_note says which grant would complete it.
 */
#ifndef PGBR_POSTGRES_FACTS_H
#define PGBR_POSTGRES_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "postgres/conn.h"
#include "postgres/version.h"

struct pg_tablespace {
    uint32_t oid;
    char *name;
    char *location; /* absolute; "" for an in-place tablespace (a real directory in pg_tblspc) */
};

struct pg_facts {
    int version_num; /* 150020 */
    const struct pg_version *version;
    uint64_t system_id;
    uint32_t timeline;
    bool in_recovery;

    char *data_directory;                      /* absolute paths */
    char *config_file, *hba_file, *ident_file; /* "" when there is none */
    char **outside; /* configuration that lies outside the data directory, each once */
    size_t outside_count;
    char *files_note; /* NULL: the list is complete */

    char *archive_mode;    /* "off", "on", "always" */
    char *archive_command; /* "" or "(disabled)" when there is none */
    char *archive_library; /* "" before 15 */
    char *wal_level;       /* "minimal", "replica", "logical" */
    uint32_t wal_segsz, block_size, relseg_pages;
    bool checksums, full_page_writes, wal_log_hints;
    int64_t max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions,
        max_locks_per_transaction;
    int64_t archive_timeout_s;
    char *time_zone, *log_time_zone; /* of the server: what it reads times without a zone in */

    struct pg_tablespace *tablespaces; /* user-defined ones, by OID */
    size_t tablespace_count;
};

/* *out is set on success only and then the caller's to free. */
int pg_discover(struct pg *pg, struct pg_facts *out, struct err *err) MUST_CHECK;
/* Adds a file or directory to the list of configuration outside the data directory, unless it lies
 * inside or is in the list. */
void pg_facts_add_file(struct pg_facts *f, const char *path);
void pg_facts_free(struct pg_facts *f);

#endif
