/*
 * role.c - see role.h.
 *
 * libjansson reads Patroni's answer. It is loaded when there is one: linked, it would cost each
 * archive-push a twentieth of its start (decision 3).
 */
#include "scheduler/role.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/library.h"
#include "base/mem.h"
#include "postgres/conn.h"
#include "postgres/server.h"
#include "repo/store/s3_http.h"

enum { CONNECT_S = 5, PATRONI_S = 5 };

#define JANSSON_FUNCTIONS(X) \
    X(json_loadb)            \
    X(json_object_get)       \
    X(json_string_value)     \
    X(json_delete)

static struct jansson {
    JANSSON_FUNCTIONS(LIBRARY_MEMBER)
} lib;

static int jansson_load(struct err *err)
{
    static const char *const names[] = {JANSSON_FUNCTIONS(LIBRARY_NAME)};
    static struct library library = LIBRARY("libjansson.so.4", "libjansson4", names, lib);

    if (library_load(&library, err) != 0)
        return err_context(err, "Patroni's answers cannot be read");
    return 0;
}

/* What stands there, "" for what does not. */
static int read_answer(const char *text, size_t len, char state[61], char name[61], struct err *err)
{
    const char *found_state, *found_name;
    json_t *root;

    TRY(jansson_load(err));
    root = lib.json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    found_state = lib.json_string_value(lib.json_object_get(root, "state"));
    found_name = lib.json_string_value(lib.json_object_get(root, "role"));
    snprintf(state, 61, "%s", found_state != NULL ? found_state : "");
    snprintf(name, 61, "%s", found_name != NULL ? found_name : "");
    if (root != NULL)
        lib.json_delete(root); /* nobody else refers to it */
    return 0;
}

int role_parse_patroni(const char *text, size_t len, enum server_role *role, bool *recovers,
                       struct err *err)
{
    static const struct {
        const char *name;
        enum server_role role;
        bool recovers;
    } known[] = {
        {"primary", SERVER_PRIMARY, false},       {"master", SERVER_PRIMARY, false},
        {"standby_leader", SERVER_PRIMARY, true}, {"replica", SERVER_REPLICA, true},
        {"sync_standby", SERVER_REPLICA, true},   {"quorum_standby", SERVER_REPLICA, true},
    };
    char state[61], name[61];

    TRY(read_answer(text, len, state, name, err));
    if (state[0] == '\0' || name[0] == '\0')
        return err_set(err, ERR_CORRUPT, "its answer has no \"state\" and \"role\"");
    if (strcmp(state, "running") != 0 && strcmp(state, "streaming") != 0)
        return err_set(err, ERR_BUSY, "it says that the server is \"%s\"", state);
    for (size_t i = 0; i < LENGTH(known); i++)
        if (strcmp(name, known[i].name) == 0) {
            *role = known[i].role;
            *recovers = known[i].recovers;
            return 0;
        }
    return err_set(err, ERR_BUSY, "it says that the server is a \"%s\"", name);
}

static int ask_patroni(const struct cluster_config *c, enum server_role *role, bool *recovers,
                       struct err *err)
{
    AUTO(http_close) struct http_pool *pool = NULL;
    AUTO(http_answer_free) struct http_answer answer = {0};
    size_t len = strlen(c->patroni);
    AUTO(mem_free)
    char *url = xasprintf("%s%spatroni", c->patroni, c->patroni[len - 1] == '/' ? "" : "/");
    const struct http_settings settings = {.ca_file = c->patroni_ca_file, .timeout_s = PATRONI_S};
    const struct http_request request = {.method = "GET", .url = url};

    TRY(http_open(&pool, &settings, err));
    TRY(http_send(pool, &request, &answer, err));
    /* 503: there is no server in order; the body says so too, where it is Patroni's */
    if (answer.status != 200 && answer.status != 503)
        return err_set(err, ERR_CORRUPT, "HTTP status %ld, expected 200", answer.status);
    return role_parse_patroni(answer.text.p, answer.text.len, role, recovers, err);
}

static int ask_server(const struct cluster_config *c, bool *recovers, struct err *err)
{
    AUTO(pg_close) struct pg *pg = NULL;

    TRY(pg_connect(&pg, c->connection, CONNECT_S, err));
    return pg_is_in_recovery(pg, recovers, err);
}

int role_ask(const struct cluster_config *c, enum server_role *role, struct err *err)
{
    bool recovers = false, expected = false;

    TRY(ask_server(c, &recovers, err));
    *role = recovers ? SERVER_REPLICA : SERVER_PRIMARY;
    if (c->patroni == NULL)
        return 0;
    if (ask_patroni(c, role, &expected, err) != 0)
        return err_context(err, "Patroni at \"%s\" (\"patroni\", \"patroni_ca_file\")", c->patroni);
    if (recovers == expected)
        return 0;
    return err_set(err, ERR_BUSY, "Patroni says that the server is a %s, the server itself %s",
                   *role == SERVER_PRIMARY ? "primary" : "replica",
                   recovers ? "that it recovers" : "that it does not recover");
}
