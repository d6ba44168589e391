/*
 * suspect.h - pages that looked damaged when they were copied, and what became of them.
 *
 * A page that is being written while it is read looks torn; its WAL is in the range that replay
 * covers, so what was stored of it does not matter. Such a page has a fresh LSN a moment later:
 * with data checksums even a hint bit is logged and sets it. So suspicions are noted while copying,
 * which costs no time, and settled at the end, over several readings, more than a second in all.
 * Damaged is a page that stays bad, and one that reads well later with an LSN from before the
 * backup: the disk gave something else the first time, and no WAL repairs what was stored of it.
 */
#ifndef PGBR_BACKUP_SUSPECT_H
#define PGBR_BACKUP_SUSPECT_H

#include <stdint.h>

#include "base/err.h"
#include "base/queue.h"
#include "repo/manifest/manifest.h"

enum suspect_state { SUSPECT_OPEN, SUSPECT_MISREAD, SUSPECT_CLEARED };
struct suspect_page {
    uint32_t block; /* in the file */
    enum suspect_state state;
};
struct suspect_file {
    char *path;           /* relative to the data directory */
    uint32_t first_block; /* of the file in its relation fork */
    struct suspect_page *pages;
    size_t n, cap;
};
struct suspects { /* of one worker */
    struct suspect_file *files;
    size_t n, cap;
    uint64_t pages;   /* noted */
    uint64_t unnoted; /* beyond SUSPECTS_MAX: counted only */
};
enum { SUSPECTS_MAX = 200000 };
void suspects_note(struct suspects *s, const char *path, uint32_t first_block, uint32_t block);
void suspects_free(struct suspects *s);

/* What pages are judged by. */
struct page_rules {
    uint64_t start_lsn;
    int64_t start_us; /* a time before start_lsn */
    /* Asks the server how far WAL goes now. */
    int (*insert_lsn)(void *ctx, uint64_t *lsn, struct err *err);
    void *ctx;
};
/* Settles all suspicions of n workers; damaged pages go into info->errors (the first ones) and are
 * logged; *errors counts them. */
int suspects_settle(struct suspects *all, size_t n, int data_fd, const struct page_rules *rules,
                    const struct stop *stop, struct backup_info *info, uint64_t *errors,
                    struct err *err) MUST_CHECK;

#endif
