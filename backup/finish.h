/* finish.h - from the list and the results to the file table of the manifest, and what else the
 * copy must prove. */
#ifndef PGBR_BACKUP_FINISH_H
#define PGBR_BACKUP_FINISH_H

#include "backup/spill.h"
#include "base/queue.h"
#include "postgres/version.h"
#include "repo/manifest/manifest.h"

/* Directories of databases. Only the one in a database's own tablespace has a PG_VERSION; the
 * others hold those of its tables that were put elsewhere. */
struct db_dir {
    uint32_t spc, db;
    bool has_version, lost_files;
    uint32_t copied_to; /* OID of the database made from it while the backup ran; 0: none */
};
struct finished {
    uint64_t files, bytes;
    struct db_dir *dirs;
    size_t n_dirs;
};
void finished_free(struct finished *f);

/* Merges list and results, in path order, into the manifest. */
int finish_entries(struct manifest_writer *w, const struct list_writer *list,
                   struct results *results, struct finished *out, struct err *err) MUST_CHECK;

/*
 * A database that was copied file by file (CREATE DATABASE with file_copy, ALTER DATABASE SET
 * TABLESPACE) between start and stop is made again by replay, from the restored source directory.
 * Where the copy of that source is not whole, the restored cluster would silently lack data:
 * ERR_FAILED, to be repeated. Reads the WAL indexes of the spans.
 */
int finish_check_copies(struct repo *r, const struct pubinfo *pub, struct finished *f,
                        struct err *err) MUST_CHECK;

#endif
