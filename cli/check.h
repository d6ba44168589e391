/*
 * check.h - the parts of "pgbr check", and how each says what it found.
 *
 * A part never fails as a whole: whatever goes wrong is one of its findings, and the next part is
 * tried. Parts run in the order host, server, repositories, archiving, findings; a later one uses
 * what an earlier one learned and leaves out what cannot be tried without it.
 */
#ifndef PGBR_CLI_CHECK_H
#define PGBR_CLI_CHECK_H

#include "base/json.h"
#include "cli/app.h"
#include "postgres/facts.h"
#include "repo/manifest/manifest.h"

enum check_state { CHECK_OK, CHECK_WARNING, CHECK_FAILED, CHECK_STATES };

struct check {
    struct app *app;
    const struct cluster_config *cluster;
    const char *only; /* this repository; NULL: all */

    bool json, terse; /* terse: what is well is not shown */
    struct json j;
    unsigned counts[CHECK_STATES];

    struct check_class *classes; /* what the events at the end will say */
    size_t n_classes;

    /* learned by the server part */
    struct pg *pg;            /* NULL: no connection */
    struct pg *primary;       /* of a standby; NULL: cannot be reached */
    struct pg_facts facts;    /* when has_facts */
    bool has_facts, archives; /* archives: the settings let WAL reach pgbr */
    bool proved;              /* WAL was seen to arrive: by the archiving part */
    /* by the repository part */
    struct open_repos repos;
};

/* One finding. repo: which repository it is about, or NULL. todo: what a person should do, or NULL.
 * Printed at once, or added to the JSON array. */
void check_say(struct check *k, enum check_state state, const char *subject, const char *repo,
               const char *todo, const char *fmt, ...) PRINTF_LIKE(6, 7);

/* ---- events: cli/check_events.c ---- */

/* A finding goes into the event of its class. */
void check_note(struct check *k, enum check_state state, const char *subject, const char *repo,
                const char *found);
/* One event for each class with something to say: what is wrong, or that it no longer is. */
void check_events(struct check *k);
void check_classes_free(struct check *k);

/* ---- the parts ---- */

void check_host(struct check *k);         /* configuration, user, directories, catalog */
void check_server(struct check *k);       /* connection, settings, rights, primary */
void check_repositories(struct check *k); /* key, store, clock, disk, identity */
void check_archiving(struct check *k);    /* round trip */
void check_findings(
    struct check *k); /* backups, WAL, archiver, pg_wal, clock, holds, drills, jobs */

/* ---- judgements, pure ---- */

/* What an archive_command does, read as the shell would read it. */
struct archive_words {
    bool push, path;                  /* it has the words "archive-push" and "%p" */
    char *program, *config, *cluster; /* NULL: not said */
};
void archive_words_read(const char *command, struct archive_words *out);
void archive_words_free(struct archive_words *w);

/* "63.4 GB of 250 GB free" of the file system that holds path, judged by findings_space(). */
void check_disk(struct check *k, const char *subject, const char *repo, const char *path,
                uint64_t need);
/* Another full backup like the newest one should find room. */
void check_room(struct check *k, const char *repo, const char *path,
                const struct backup_list *backups);

#endif
