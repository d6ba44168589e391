/* notify.h - what the configuration says about notifications (key "notify"). Part of config.h. */
#ifndef PGBR_CONFIG_NOTIFY_H
#define PGBR_CONFIG_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { NOTIFY_RECEIVERS_MAX = 32 }; /* each has a thread of its own */
enum notify_type { NOTIFY_COMMAND, NOTIFY_WEBHOOK };

/* One place that is told about events. */
struct notify_receiver {
    char *name;
    enum notify_type type;
    char **argv; /* of a command, ends with NULL; a command given as text: /bin/sh -c */
    size_t n_argv;
    char *url, *url_file;     /* of a webhook: one of them. A secret: path and query may be */
    char *token, *token_file; /* sent as "Authorization: Bearer"; or NULL */
    char *header_file;        /* lines "Name: value", secrets too; or NULL */
    char *ca_file;            /* the only authority trusted; NULL: the system's */
    char **events;            /* levels and kinds; "error" and "warning" unless given */
    size_t n_events;
    char **clusters; /* none: all, and what concerns no cluster */
    size_t n_clusters;
    unsigned limit;          /* notifications in ... */
    int64_t limit_window_ms; /* ... any stretch of this length: 30 in an hour */
    int64_t timeout_ms;      /* for one attempt: 10 s */
    int64_t repeat_ms;       /* the same problem is told again after: 4 h */
    int64_t give_up_ms;      /* an event not delivered for so long is given up: 24 h */
};

struct notify_config {
    struct notify_receiver *receivers;
    size_t n;
};

/* The URL, from the configuration or its file (*out: the caller's, to be freed with
 * secret_free()). ERR_CONFIG or ERR_KEY when it is no URL pgbr would send to: https, or http to
 * this very host or without a secret. */
int notify_url(const struct notify_receiver *r, char **out, struct err *err) MUST_CHECK;

/* Scheme, host and port of a URL: what may be shown of it. */
void notify_url_shown(const char *url, char out[128]);

const struct notify_receiver *notify_find(const struct notify_config *n, const char *name);
void notify_config_free(struct notify_config *n);

#endif
