/* show_drill.h - what a drill found: as text, as JSON, and as one page for a browser. */
#ifndef PGBR_CLI_SHOW_DRILL_H
#define PGBR_CLI_SHOW_DRILL_H

#include "base/json.h"
#include "catalog/drills.h"
#include "restore/drill.h"

const char *drill_outcome_name(enum drill_outcome o); /* "passed", "failed", "stopped" */
const char *drill_state_name(enum drill_state s);     /* "ok", "skipped", "warning", "failed" */

void drill_text(const struct drill_made *m, const char *cluster, struct buf *out);
/* One document. */
void drill_json(const struct drill_made *m, const char *cluster, struct buf *out);
/* The first thing that failed, in one line: "check "orders": expected at least 1000, found 12". */
void drill_why(const struct drill_made *m, struct buf *out);

/* What one of them found, in words: "12", or "expected at least 1000, found 12"; "": no more than
 * its state says. */
void drill_compared(const struct drill_finding *f, struct buf *out);

/* A whole HTML document that needs nothing else: no script, no network. past: earlier drills of the
 * cluster, newest first; this one may be among them. All text is escaped. */
void drill_page(const struct drill_made *m, const char *cluster, const struct catalog_drills *past,
                struct buf *out);

#endif
