/*
 * posix_dirs.h - the directories of a POSIX store: making them durably, syncing them late, tidying
 * and listing them. For posix.c only.
 *
 * Paths are relative to the root, which is ".". What is kept between calls is under a lock; any
 * thread may call.
 */
#ifndef PGBR_REPO_STORE_POSIX_DIRS_H
#define PGBR_REPO_STORE_POSIX_DIRS_H

#include <pthread.h>

#include "repo/store/store_driver.h"

struct path_set {
    char **paths; /* sorted */
    size_t n, cap;
};
struct posix_dirs {
    int root;
    pthread_mutex_t lock;
    struct path_set known;       /* exist, and would after a power loss; under lock */
    struct path_set dirty;       /* to be fsynced; under lock */
    struct path_set unsynced;    /* crash builds: names that a power loss might take; under lock */
    struct path_set temporaries; /* directories of temporary files that were used; under lock */
};
void posix_dirs_init(struct posix_dirs *d, int root);
void posix_dirs_free(struct posix_dirs *d);

/* The directory exists, durably with all its parents. */
int posix_dirs_ensure(struct posix_dirs *d, const char *dir, struct err *err) MUST_CHECK;
/* What is known of dir and its parents is not true any more. */
void posix_dirs_forget(struct posix_dirs *d, const char *dir);

void posix_dirs_sync_later(struct posix_dirs *d, const char *dir);
/* The same, because the file got its name there. */
void posix_dirs_named(struct posix_dirs *d, const char *dir, const char *path);
/* A file was removed there: the directory goes too if that leaves it empty, as do its parents, but
 * none of the two upper levels. What remains is synced later. */
void posix_dirs_emptied(struct posix_dirs *d, const char *dir);
/* Fsyncs what was to be synced later; what fails stays to be synced. */
int posix_dirs_sync(struct posix_dirs *d, struct err *err) MUST_CHECK;

void posix_dirs_used_temporary(struct posix_dirs *d, const char *dir);
/* Removes temporary files of dead writers (a day old) from the directories that were used. */
void posix_dirs_clean_temporaries(struct posix_dirs *d);

/* store_list() without the clock. */
int posix_dirs_list(int root, const char *prefix, enum store_depth depth, store_entry_fn *fn,
                    void *ctx, struct err *err) MUST_CHECK;

#endif
