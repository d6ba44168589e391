/* expiry.h - retention as the configuration says it, applied to one repository; for commands. */
#ifndef PGBR_CLI_EXPIRY_H
#define PGBR_CLI_EXPIRY_H

#include "base/json.h"
#include "cli/app.h"
#include "repo/expire/expire.h"
#include "scheduler/status/policy.h"

/* Opens with the key where that can be had; deleting needs none. */
int expiry_open(struct app *app, const struct cluster_config *cluster, const char *name,
                struct repo **r, struct err *err) MUST_CHECK;
/* label: see expire_request. What was hidden or deleted is recorded in the catalog. */
int expiry_run(struct app *app, const struct repo_config *conf, struct repo *r, const char *label,
               bool dry_run, struct expire_made *made, struct err *err) MUST_CHECK;

/* Text, or members of an open JSON object. */
void expiry_show(const struct expire_made *made, struct repo *r, bool dry_run, struct json *j);

#endif
