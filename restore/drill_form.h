/* drill_form.h - a drill under way. Internal to drill*.c. */
#ifndef PGBR_RESTORE_DRILL_FORM_H
#define PGBR_RESTORE_DRILL_FORM_H

#include "restore/drill.h"
#include "restore/drill_conf.h"
#include "restore/server.h"

struct drill {
    const struct drill_request *q;
    struct drill_made *made;
    struct restore_request restore;
    struct restore_plan plan;
    struct sandbox box;
    struct server server;
    struct confinement confinement;
    struct drill_conf conf;
    char *bin;
    char *conf_path;
    bool begun; /* there is something in the sandbox to look at */
};

/* Takes a finding into the result; strings are copied. Returns it, for more to be set. */
struct drill_finding *drill_find(struct drill *d, enum drill_state state, const char *name,
                                 int64_t took_us);
/* Sets what was expected and what was found. */
void drill_compare(struct drill_finding *f, const char *expected, const char *found);
void drill_say(struct drill_finding *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A session in a database of the sandbox. */
int drill_connect(struct drill *d, const char *database, struct pg **pg,
                  struct err *err) MUST_CHECK;
/* Name, whether it can be connected to, whether it should be; by name. */
int drill_databases(struct drill *d, struct pg_rows **rows, struct err *err) MUST_CHECK;

/* ---- the checks; an error ends the drill (interrupted), all else is a finding ---- */

int drill_check_target(struct drill *d, struct err *err) MUST_CHECK;
int drill_check_databases(struct drill *d, struct err *err) MUST_CHECK;
int drill_check_sql(struct drill *d, struct err *err) MUST_CHECK;
int drill_check_structure(struct drill *d, struct err *err) MUST_CHECK; /* amcheck */
int drill_check_pages(struct drill *d, struct err *err) MUST_CHECK;     /* stops the server */

/* Is the answer the right one? Pure. */
bool drill_answer_fits(const struct drill_check *check, const char *answer, bool is_null);
/* "3", "at least 3", "3 to 5". Pure. */
void drill_expectation(const struct drill_check *check, struct buf *out);

#endif
