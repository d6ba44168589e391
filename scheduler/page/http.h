/*
 * http.h - the status over HTTP: "/" for people, "/status" as JSON, "/metrics" for Prometheus,
 * "/healthz" for whoever watches the process.
 *
 * Reading only: GET and HEAD, nothing that is sent is used but path and Host. Everybody who can
 * reach the port may read, so it listens on loopback unless told otherwise, and nothing it shows is
 * secret. While it listens on loopback, only requests for this host by a loopback name are
 * answered: a page of another site whose name was made to point here gets nothing.
 */
#ifndef PGBR_SCHEDULER_PAGE_HTTP_H
#define PGBR_SCHEDULER_PAGE_HTTP_H

#include "config/config.h"

struct http;

/* Begins to look (keeper.h) and to serve, in threads of its own, as config->http says; *h is NULL
 * when that is "off". config is borrowed until http_stop(). */
int http_start(struct http **h, const struct config *config, struct err *err) MUST_CHECK;
/* Cuts off who has been connected for so long: to be called now and then, so that nobody keeps the
 * places of all others by asking slowly. h may be NULL. */
#define HTTP_STAY_US INT64_C(60000000)
void http_cut_off(struct http *h, int64_t older_us);
/* Ends both; answers under way are cut off. */
void http_stop(struct http **h);
/* The port it listens at: another than configured only where that is 0, for tests. */
unsigned http_port(const struct http *h);

/* ---- pure ---- */

/* Whether a Host header names loopback: "localhost", 127.0.0.0/8, "[::1]", each with a port or
 * without. */
bool http_host_is_loopback(const char *host);

#endif
