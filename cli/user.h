/*
 * user.h - pgbr does not work as root: started as root, it becomes the user who owns the data.
 */
#ifndef PGBR_CLI_USER_H
#define PGBR_CLI_USER_H

#include "config/config.h"

/* Nothing unless the process is root. The user is the configuration's "user", else the owner of the
 * data directory, else "postgres". The state directory is made for him where only root may make it;
 * with `creates` those of the repositories too. ERR_CONFIG when there is no such user. */
int user_become(const struct config *config, const struct cluster_config *cluster, bool creates,
                struct err *err) MUST_CHECK;

#endif
