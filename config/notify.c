/* notify.c - the receivers of notifications. See notify.h. */
#include "config/notify.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "catalog/kinds.h"
#include "config/fields.h"
#include "config/parts.h"
#include "config/suggest.h"
#include "config/units.h"

#define AT(member) offsetof(struct notify_receiver, member)

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS };
#define DAY_MS INT64_C(86400000)
enum { LIMIT_MAX = 10000 };

static const struct choice types[] = {
    {"command", NOTIFY_COMMAND}, {"webhook", NOTIFY_WEBHOOK}, {NULL, 0}};

static const struct field receiver_fields[] = {
    {"type", FIELD_CHOICE, AT(type), 0, 0, types, NULL},
    {"command", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"url", FIELD_SECRET, AT(url), 0, 0, NULL, NULL},
    {"url_file", FIELD_PATH, AT(url_file), 0, 0, NULL, NULL},
    {"token", FIELD_SECRET, AT(token), 0, 0, NULL, NULL},
    {"token_file", FIELD_PATH, AT(token_file), 0, 0, NULL, NULL},
    {"header_file", FIELD_PATH, AT(header_file), 0, 0, NULL, NULL},
    {"ca_file", FIELD_PATH, AT(ca_file), 0, 0, NULL, NULL},
    {"events", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"clusters", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"rate_limit", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"timeout", FIELD_MS, AT(timeout_ms), SECOND_MS, 10 * MINUTE_MS, NULL, NULL},
    {"repeat", FIELD_MS, AT(repeat_ms), 0, 30 * DAY_MS, NULL, NULL},
    {"give_up", FIELD_MS, AT(give_up_ms), MINUTE_MS, 30 * DAY_MS, NULL, NULL},
};

static void add_word(char ***list, size_t *n, const char *text)
{
    *list = xrealloc(*list, (*n + 2) * sizeof **list);
    (*list)[(*n)++] = xstrdup(text);
    (*list)[*n] = NULL;
}

/* One word alone may stand for a list of one. */
static int read_words(const struct node *n, const char *what, char ***list, size_t *count,
                      struct err *err)
{
    if (n->kind != NODE_LIST) {
        TRY(want_text(n, what, err));
        add_word(list, count, n->text);
        return 0;
    }
    for (const struct node_entry *e = n->first; e != NULL; e = e->next) {
        TRY(want_text(e->value, what, err));
        add_word(list, count, e->value->text);
    }
    return *count != 0 ? 0 : fail_here(n, err, "%s is empty", what);
}

static int read_command(struct notify_receiver *r, const struct node *n, struct err *err)
{
    if (n->kind == NODE_SCALAR) { /* as one types it */
        add_word(&r->argv, &r->n_argv, "/bin/sh");
        add_word(&r->argv, &r->n_argv, "-c");
    }
    TRY(read_words(n, "\"command\"", &r->argv, &r->n_argv, err));
    if (r->argv[0][0] != '/')
        return fail_here(n, err,
                         "\"command\": a program is named by its absolute path, not \"%.60s\"",
                         r->argv[0]);
    return 0;
}

static bool is_level(const char *word)
{
    return strcmp(word, "error") == 0 || strcmp(word, "warning") == 0 || strcmp(word, "info") == 0;
}

static int read_events(struct notify_receiver *r, const struct node *n, struct err *err)
{
    TRY(read_words(n, "\"events\"", &r->events, &r->n_events, err));
    for (size_t i = 0; i < r->n_events; i++) {
        struct suggestion s = suggest_for(r->events[i]);
        char shown[80], hint[112];

        if (is_level(r->events[i]) || event_kind_known(r->events[i]))
            continue;
        for (size_t k = 0; k < n_event_kinds; k++)
            suggest_offer(&s, event_kinds[k].name);
        suggest_offer(&s, "error");
        suggest_offer(&s, "warning");
        suggest_offer(&s, "info");
        return fail_here(n, err,
                         "\"%s\" is neither a level (error, warning, info) nor a class of events%s",
                         units_printable(r->events[i], shown), suggest_text(&s, hint));
    }
    return 0;
}

static int read_clusters(const struct config *c, struct notify_receiver *r, const struct node *n,
                         struct err *err)
{
    TRY(read_words(n, "\"clusters\"", &r->clusters, &r->n_clusters, err));
    for (size_t i = 0; i < r->n_clusters; i++) {
        struct suggestion s = suggest_for(r->clusters[i]);
        char shown[80], hint[112];
        bool known = false;

        for (size_t k = 0; k < c->n_clusters; k++) {
            known |= strcmp(c->clusters[k].name, r->clusters[i]) == 0;
            suggest_offer(&s, c->clusters[k].name);
        }
        if (!known)
            return fail_here(n, err, "there is no cluster \"%s\"%s",
                             units_printable(r->clusters[i], shown), suggest_text(&s, hint));
    }
    return 0;
}

/* "10/h", "1/5min": so many in any stretch of that length. */
static int read_limit(struct notify_receiver *r, const struct node *n, struct err *err)
{
    static const char example[] = "\"rate_limit\" is a number and a time, as in \"10/h\" or "
                                  "\"1/5min\"";
    const char *per;
    char span[32];
    char *end;
    unsigned long count;

    TRY(want_text(n, "\"rate_limit\"", err));
    count = strtoul(n->text, &end, 10);
    per = end + strspn(end, " ");
    if (*per != '/' || n->text[0] < '0' || n->text[0] > '9' || count == 0 || count > LIMIT_MAX)
        return fail_here(n, err, "%s, with 1 to %d", example, LIMIT_MAX);
    per += 1 + strspn(per + 1, " ");
    snprintf(span, sizeof span, "%s%s", *per >= '0' && *per <= '9' ? "" : "1", per);
    if (units_duration(span, &r->limit_window_ms, err) != 0 || r->limit_window_ms < SECOND_MS ||
        r->limit_window_ms > 30 * DAY_MS)
        return fail_here(n, err, "%s; the time is 1 s to 30 d", example);
    r->limit = (unsigned)count;
    return 0;
}

static int read_elsewhere(const struct config *c, struct notify_receiver *r, const struct node *map,
                          struct err *err)
{
    const struct node *command = node_get(map, "command"), *events = node_get(map, "events"),
                      *clusters = node_get(map, "clusters"), *limit = node_get(map, "rate_limit");

    if (command != NULL)
        TRY(read_command(r, command, err));
    if (clusters != NULL)
        TRY(read_clusters(c, r, clusters, err));
    if (limit != NULL)
        TRY(read_limit(r, limit, err));
    if (events != NULL)
        return read_events(r, events, err);
    add_word(&r->events, &r->n_events, "error");
    add_word(&r->events, &r->n_events, "warning");
    return 0;
}

/* ---- URLs ---- */

/* Host and port of a URL, behind a "user:password@"; NULL: there are none. */
static const char *authority_of(const char *url, size_t *len)
{
    const char *host = strstr(url, "://"), *at;

    if (host == NULL)
        return NULL;
    host += 3;
    *len = strcspn(host, "/?#");
    while ((at = memchr(host, '@', *len)) != NULL) {
        *len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    return host;
}

/* The host alone, without the brackets of an IPv6 address; false: there is none. */
static bool host_of(const char *url, char out[256])
{
    size_t len = 0;
    const char *host = authority_of(url, &len), *end;

    if (host == NULL || len == 0 || len > 255)
        return false;
    end = memchr(host, ':', len);
    if (host[0] == '[') {
        end = memchr(host++, ']', len);
        if (end == NULL)
            return false;
    }
    snprintf(out, 256, "%.*s", end != NULL ? (int)(end - host) : (int)len, host);
    return out[0] != '\0';
}

static bool is_loopback(const char *host)
{
    struct in_addr address;

    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

void notify_url_shown(const char *url, char out[128])
{
    size_t len = 0;
    const char *host = authority_of(url, &len);
    bool tls = strncmp(url, "https", 5) == 0;

    snprintf(out, 128, "%s", "?");
    if (host != NULL)
        snprintf(out, 128, "%s://%.*s", tls ? "https" : "http", (int)MIN_OF(len, 100), host);
}

/* Nothing secret goes over the network in clear. */
static int check_url(const struct notify_receiver *r, const char *url, struct err *err)
{
    bool secret = r->token != NULL || r->token_file != NULL || r->header_file != NULL;
    char host[256];

    for (const char *p = url; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return err_set(err, ERR_CONFIG,
                           "the URL of receiver \"%s\" has spaces or control characters", r->name);
    if (!host_of(url, host))
        return err_set(err, ERR_CONFIG, "the URL of receiver \"%s\" names no host", r->name);
    if (strncmp(url, "https://", 8) == 0)
        return 0;
    if (strncmp(url, "http://", 7) != 0)
        return err_set(err, ERR_CONFIG,
                       "the URL of receiver \"%s\" must begin with https:// (or http://)", r->name);
    if (secret && !is_loopback(host))
        return err_set(err, ERR_CONFIG,
                       "receiver \"%s\" would send its token or headers in clear: use https://",
                       r->name);
    return 0;
}

int notify_url(const struct notify_receiver *r, char **out, struct err *err)
{
    AUTO(secret_free) char *url = xstrdup(r->url);

    if (url == NULL && config_read_secret(r->url_file, &url, err) != 0)
        return err_context(err, "\"url_file\" of receiver \"%s\"", r->name);
    TRY(check_url(r, url, err));
    *out = TAKE(url);
    return 0;
}

/* ---- a receiver ---- */

static int check_webhook(const struct notify_receiver *r, const struct node *map, struct err *err)
{
    if (r->n_argv != 0)
        return fail_here(map, err, "receiver \"%s\" has both a URL and a \"command\"", r->name);
    if (r->url == NULL && r->url_file == NULL)
        return fail_here(map, err, "receiver \"%s\" is a webhook and has no \"url\"", r->name);
    if (r->url != NULL && r->url_file != NULL)
        return fail_here(map, err, "receiver \"%s\" has a \"url\" and a \"url_file\": keep one",
                         r->name);
    if (r->token != NULL && r->token_file != NULL)
        return fail_here(map, err, "receiver \"%s\" has a \"token\" and a \"token_file\": keep one",
                         r->name);
    if (r->url != NULL && check_url(r, r->url, err) != 0)
        return fail_here(map, err, "%s", err->msg);
    return 0;
}

static int check_command(const struct notify_receiver *r, const struct node *map, struct err *err)
{
    static const char *const others[] = {"url",        "url_file",    "token",
                                         "token_file", "header_file", "ca_file"};

    if (r->n_argv == 0)
        return fail_here(map, err, "receiver \"%s\" has neither a \"command\" nor a \"url\"",
                         r->name);
    for (size_t i = 0; i < LENGTH(others); i++)
        if (node_get(map, others[i]) != NULL)
            return fail_here(node_get(map, others[i]), err,
                             "\"%s\" is for webhooks; receiver \"%s\" is a command", others[i],
                             r->name);
    return 0;
}

static int receiver_read(struct config *c, const struct node_entry *e, struct err *err)
{
    struct notify_config *n = &c->notify;
    struct notify_receiver *r;
    char where[96];

    TRY(want_name(e->key, "the name of a receiver", err));
    if (n->n == NOTIFY_RECEIVERS_MAX)
        return fail_here(e->key, err, "there may be %d receivers", NOTIFY_RECEIVERS_MAX);
    n->receivers = array_grow(n->receivers, n->n, sizeof *n->receivers);
    r = &n->receivers[n->n++];
    *r = (struct notify_receiver){.name = xstrdup(e->key->text),
                                  .limit = 30,
                                  .limit_window_ms = HOUR_MS,
                                  .timeout_ms = 10 * SECOND_MS,
                                  .repeat_ms = 4 * HOUR_MS,
                                  .give_up_ms = DAY_MS};
    snprintf(where, sizeof where, "receiver \"%s\"", r->name);
    TRY(want_map(e->value, where, err));
    if (node_get(e->value, "url") != NULL || node_get(e->value, "url_file") != NULL)
        r->type = NOTIFY_WEBHOOK; /* unless said */
    TRY(fields_read(c, e->value, where, receiver_fields, LENGTH(receiver_fields), r, err));
    TRY(read_elsewhere(c, r, e->value, err));
    return (r->type == NOTIFY_WEBHOOK ? check_webhook : check_command)(r, e->value, err);
}

int notify_read(struct config *c, const struct node *map, struct err *err)
{
    TRY(want_map(map, "the list of receivers", err));
    for (const struct node_entry *e = map->first; e != NULL; e = e->next)
        TRY(receiver_read(c, e, err));
    return 0;
}

const struct notify_receiver *notify_find(const struct notify_config *n, const char *name)
{
    for (size_t i = 0; i < n->n; i++)
        if (strcmp(n->receivers[i].name, name) == 0)
            return &n->receivers[i];
    return NULL;
}

static void free_words(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

void notify_config_free(struct notify_config *n)
{
    for (size_t i = 0; i < n->n; i++) {
        struct notify_receiver *r = &n->receivers[i];

        secret_free(&r->url);
        secret_free(&r->token);
        free(r->name);
        free(r->url_file);
        free(r->token_file);
        free(r->header_file);
        free(r->ca_file);
        free_words(r->argv, r->n_argv);
        free_words(r->events, r->n_events);
        free_words(r->clusters, r->n_clusters);
    }
    mem_free(&n->receivers);
    n->n = 0;
}
