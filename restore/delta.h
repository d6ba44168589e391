/*
 * delta.h - what a delta restore finds in the directory it restores into.
 *
 * local_*: the content of an existing file, read 1 MiB at a time past the page cache. One per
 * worker.
 *
 * sweep_*: goes through the existing directories beside the entries of the backup, both in the same
 * order, says what is there of each, and removes what the backup does not have. Nothing outside the
 * roots of the layout is touched, nor a directory that holds one of them; of a tablespace's
 * location only this version's directory; pg_wal and what is set aside of it not at all.
 */
#ifndef PGBR_RESTORE_DELTA_H
#define PGBR_RESTORE_DELTA_H

#include "base/fs.h"
#include "restore/layout.h"

struct local_file {
    struct quiet_file file;
    bool open;
    uint8_t *window; /* FS_IO_SIZE bytes, aligned; kept from file to file */
    uint64_t start;
    size_t have;
    uint64_t size; /* nothing is read behind it */
};
/* size: as many bytes of it as are to be compared. dirfd and name are borrowed until
 * local_close(). */
int local_open(struct local_file *l, int dirfd, const char *name, uint64_t size,
               struct err *err) MUST_CHECK;
/* len (at most FS_IO_SIZE - FS_ALIGN) bytes at offset, valid until the next call; NULL where the
 * file is shorter. */
int local_bytes(struct local_file *l, uint64_t offset, size_t len, const uint8_t **bytes,
                struct err *err) MUST_CHECK;
void local_close(struct local_file *l);
void local_free(struct local_file *l);
bool local_is_zero(const void *bytes, size_t len);

enum found { FOUND_NOTHING, FOUND_FILE, FOUND_DIR, FOUND_LINK };

struct sweep;
struct sweep *sweep_new(const struct layout *l);
void sweep_free(struct sweep **s);
/*
 * Says what is there of the next entry (in path order) at (root, rel); something of another type
 * than wanted is removed first, and FOUND_NOTHING told. Whatever sorts before it in directories
 * known is removed.
 */
int sweep_visit(struct sweep *s, const struct entry *e, unsigned root, const char *rel,
                enum found *found, struct err *err) MUST_CHECK;
/* After the last entry: removes what is left over in the directories still open. */
int sweep_finish(struct sweep *s, struct err *err) MUST_CHECK;
uint64_t
sweep_removed(const struct sweep *s); /* names removed, a directory with all in it as one */

/* Names in the data directory that a sweep never removes: pg_wal, what is set aside of it, the mark
 * of a restore under way and the backup_manifest it is writing, lost+found. */
bool sweep_spares(const char *name);

#endif
