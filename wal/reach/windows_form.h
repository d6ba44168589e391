/* windows_form.h - inside of windows_find(): ways that were gone, and the times that each backup
 * reaches by them. Internal to wal/. */
#ifndef PGBR_WAL_REACH_WINDOWS_FORM_H
#define PGBR_WAL_REACH_WINDOWS_FORM_H

#include "wal/reach/reach.h"

/* The times that one backup reaches along one timeline: from_us <= T < to_us. */
struct span {
    const struct pubinfo *backup;
    size_t walk;
    int64_t from_us, to_us;
    uint64_t from_lsn;
};
struct finder {
    const struct wal_map *map;
    struct repo *repo;
    const struct stop *stop;
    const struct pubinfo **backups; /* in the order of WAL */
    size_t n_backups;

    const struct history **lines; /* that "latest" leads along, from one backup or another */
    size_t n_lines;
    struct reach_walk *walks;
    size_t n_walks;
    struct span *spans;
    size_t n_spans;

    struct windows *out;
    size_t *last_walks; /* of each window: the way that its end lies on */
};

/* What lies between windows that are complete and in order. */
void windows_find_holes(struct finder *f);
/* A backup that no walk makes whole. Each is told once. */
void windows_add_unusable(struct finder *f, const struct reach_walk *w);
/* One that no walk begins at. */
void windows_add_lost(struct finder *f, const struct pubinfo *b, const char *why);

#endif
