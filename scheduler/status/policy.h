/* policy.h - retention as the configuration says it, and what of a repository's gaps is its work.
 */
#ifndef PGBR_SCHEDULER_STATUS_POLICY_H
#define PGBR_SCHEDULER_STATUS_POLICY_H

#include "config/config.h"
#include "repo/expire/retention.h"
#include "scheduler/status/view.h"

struct retention_policy expiry_policy(const struct repo_config *conf);
/* Whether anything may ever go by it. */
bool expiry_configured(const struct repo_config *conf);

/* Takes those gaps out that retention itself has made: WAL between old backups that keep only what
 * they need. known: by the catalog, of these backups among others. */
void expiry_forget_gaps(const struct repo_config *conf, const struct backup_list *backups,
                        const struct catalog_backups *known, struct wal_gap *gaps, size_t *n);

/* The same for all of a view; holes that are retention's work are marked so. */
void policy_judge(const struct repo_config *conf, struct view *v);

#endif
