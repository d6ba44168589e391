/*
 * findings.h - what is wrong with the protection of a cluster, or soon will be: gathered in one
 * place, told by check, by the status page and by the metrics.
 *
 * findings_collect() asks nobody: it judges what its caller has looked at, so that one look serves
 * several readers and a server is asked once. What could not be looked at is NULL, and is left out
 * or told as such. Findings that are well are told too: a person wants to see that a thing was
 * looked at.
 */
#ifndef PGBR_SCHEDULER_STATUS_FINDINGS_H
#define PGBR_SCHEDULER_STATUS_FINDINGS_H

#include "catalog/catalog.h"
#include "config/config.h"
#include "scheduler/status/server_state.h"
#include "scheduler/status/view.h"

enum finding_level { FINDING_OK, FINDING_WARNING, FINDING_FAILED, FINDING_LEVELS };
const char *finding_level_name(enum finding_level level); /* "ok", "warning", "failed" */

struct finding {
    enum finding_level level;
    /* What it is about: "repository", "backups", "WAL", "windows", "hold", "server", "archiver",
     * "WAL to archive", "disk of pg_wal", "clock", "verify", "drill", "job", "catalog". Static
     * text. */
    const char *kind;
    const char *cluster, *repo; /* borrowed from the request; repo NULL: not of one alone */
    char *text, *todo;          /* one line each; todo NULL: nothing to do */
};
struct findings {
    struct finding *items; /* failed first, then warnings, then what is well; else as collected */
    size_t n;
    unsigned counts[FINDING_LEVELS];
};
void findings_free(struct findings *f);

/* One repository of the cluster, as it was looked at. */
struct findings_repo {
    const char *name;
    bool required;           /* not `optional` */
    const struct view *view; /* NULL: could not be read: why */
    const char *why;
};
struct findings_request {
    const struct config *config; /* jobs, retention, thresholds */
    const struct cluster_config *cluster;
    const struct findings_repo *repos;
    size_t n_repos;
    struct catalog *catalog;           /* runs, drills, verifications; NULL: cannot be used */
    const struct server_state *server; /* NULL: not asked */
    const char *server_why;            /* why it did not answer; NULL: it did, or was not asked */
    const struct pg_wal_state *pg_wal; /* NULL: not on this host */
    bool archiving_proved;             /* WAL was seen to arrive a moment ago */
    int64_t now_us;
};
/* Replaces *out, which must be initialised with zeros. What the catalog cannot tell is a finding.
 */
void findings_collect(const struct findings_request *q, struct findings *out);

/* Free space: failed below need bytes, a warning below ten times that or a twentieth of the whole.
 */
enum finding_level findings_space(uint64_t free_bytes, uint64_t total_bytes, uint64_t need);

#endif
