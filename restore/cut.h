/*
 * cut.h - from files to tasks: many small files together, a large one in parts.
 *
 * A part covers whole chunks, so that no chunk is decoded twice because a file was cut. Files that
 * share a bundle stay together where that is possible. Used by one thread.
 */
#ifndef PGBR_RESTORE_CUT_H
#define PGBR_RESTORE_CUT_H

#include "restore/layout.h"
#include "restore/task.h"

struct cut_file {
    const struct entry *entry;
    unsigned root;
    const char *rel; /* its path there */
    uid_t uid;
    gid_t gid;
    bool exists, made;    /* there from before; made just now, empty */
    struct late_crc *crc; /* borrowed; or NULL */
};
/* Takes the task; false: nobody wants it any more. */
typedef bool task_taker(void *ctx, struct task *task);

/* How many items the file will be. */
uint32_t cut_parts(const struct entry *e);

struct cutter;
struct cutter *cutter_new(struct manifest *m, const struct layout *l, task_taker *take, void *ctx);
void cutter_free(struct cutter **c);
/* The umask must be 0: a file that is cut is made here. ERR_INTERRUPTED when the taker refused. */
int cutter_add(struct cutter *c, const struct cut_file *f, struct err *err) MUST_CHECK;
int cutter_finish(struct cutter *c, struct err *err) MUST_CHECK; /* hands over what is left */

#endif
