/*
 * run_record.h - what a command that takes its time leaves in the catalog: that it runs, how far it
 * is, and how it ended. Nothing stops because the catalog cannot be used: that is logged once.
 */
#ifndef PGBR_CLI_RUN_RECORD_H
#define PGBR_CLI_RUN_RECORD_H

#include "cli/app.h"

struct run_record {
    struct catalog *catalog; /* NULL: cannot be used */
    struct catalog_run row;
    char host[65];
    struct progress *progress;
    int64_t told_us; /* monotonic */
};

/* A row for this command; progress, if not NULL, is told to it from here on. Rows of this host's
 * processes that died without a word are ended. Strings are borrowed until the end. */
void run_record_begin(struct run_record *r, struct app *app, const struct cluster_config *cluster,
                      const char *repo, struct progress *progress);
/* rc and err are the command's; label, the backup it made or used, may be NULL. */
void run_record_end(struct run_record *r, const struct app *app, int rc, const char *label,
                    const struct err *err);

/* Lines of text for what is under way on this host now. */
void run_record_show(struct catalog *c, const char *cluster, struct buf *out);

#endif
