/*
 * view.h - what one repository holds of one cluster, gathered for people: backups, WAL, gaps,
 * windows.
 *
 * Read from the repository, which is the truth, and written into the catalog, which then knows the
 * same.
 */
#ifndef PGBR_CLI_VIEW_H
#define PGBR_CLI_VIEW_H

#include "catalog/catalog.h"
#include "config/open.h"
#include "repo/marks.h"
#include "wal/target.h"
#include "wal/verify.h"

struct view_line { /* WAL of one timeline without a gap */
    struct identity id;
    uint32_t segment_size;
    struct wal_stretch stretch;
};
struct view {
    struct backup_list backups;
    struct view_line *lines;
    size_t n_lines;
    struct wal_gap *gaps;
    size_t n_gaps;
    struct window *windows;
    size_t n_windows;
    struct backup_mark *marks; /* holds, and backups that are hidden until they are deleted */
    size_t n_marks;
    unsigned broken; /* backups that cannot be read; each was logged */
};
/* Opens a repository with its key where that can be had; without it (logged) windows are not known.
 */
int view_open(const struct config *c, const struct cluster_config *cluster, const char *name,
              struct repo **r, struct err *err) MUST_CHECK;
int view_load(struct view *v, struct repo *r, const struct stop *stop, struct err *err) MUST_CHECK;
void view_free(struct view *v);
/* NULL: nothing is said of this backup. */
const struct backup_mark *view_mark(const struct view *v, const char *label);
/* Brings the catalog's rows of this repository up to date, as one change. anew: forgets what was
 * there before. */
int view_record(const struct view *v, const struct repo *r, struct catalog *c, bool anew,
                struct err *err) MUST_CHECK;

#endif
