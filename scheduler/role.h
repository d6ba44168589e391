/*
 * role.h - which server of a cluster this host has: asked from PostgreSQL, and from Patroni where
 * the configuration names it.
 *
 * Patroni knows who leads, PostgreSQL whether it recovers. While the two do not agree, as during a
 * failover, nothing is certain. The leader of a standby cluster (Patroni's "standby_leader")
 * recovers, and is the primary of its cluster for our purposes.
 */
#ifndef PGBR_SCHEDULER_ROLE_H
#define PGBR_SCHEDULER_ROLE_H

#include <stdbool.h>

#include "config/config.h"

enum server_role { SERVER_PRIMARY, SERVER_REPLICA };

/* Waits some seconds at most for each answer. No certain answer: an error that says why. */
int role_ask(const struct cluster_config *cluster, enum server_role *role,
             struct err *err) MUST_CHECK;

/* What Patroni's GET /patroni answered. Pure: the text is not trusted. *recovers: whether
 * PostgreSQL must say that it is in recovery. Not running, or no role that is known: ERR_BUSY;
 * something else: ERR_CORRUPT. */
int role_parse_patroni(const char *text, size_t len, enum server_role *role, bool *recovers,
                       struct err *err) MUST_CHECK;

#endif
