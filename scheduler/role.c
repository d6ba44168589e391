/* role.c - see role.h. */
#include "scheduler/role.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "postgres/conn.h"
#include "postgres/server.h"
#include "repo/store/s3_http.h"

enum { CONNECT_S = 5, PATRONI_S = 5 };

static void json_release(json_t **j)
{
    json_decref(*j);
    *j = NULL;
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
    AUTO(json_release) json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const char *state = json_string_value(json_object_get(root, "state"));
    const char *name = json_string_value(json_object_get(root, "role"));

    if (state == NULL || name == NULL)
        return err_set(err, ERR_CORRUPT, "its answer has no \"state\" and \"role\"");
    if (strcmp(state, "running") != 0 && strcmp(state, "streaming") != 0)
        return err_set(err, ERR_BUSY, "it says that the server is \"%.60s\"", state);
    for (size_t i = 0; i < LENGTH(known); i++)
        if (strcmp(name, known[i].name) == 0) {
            *role = known[i].role;
            *recovers = known[i].recovers;
            return 0;
        }
    return err_set(err, ERR_BUSY, "it says that the server is a \"%.60s\"", name);
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
