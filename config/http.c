/* http.c - where the scheduler serves metrics and the status page. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/fields.h"
#include "config/parts.h"
#include "config/units.h"

enum { REFRESH_MIN_MS = 10000, REFRESH_MAX_MS = 86400000, REFRESH_MS = 300000 };

static const struct field http_fields[] = {
    {"listen", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"refresh", FIELD_MS, offsetof(struct http_config, refresh_ms), REFRESH_MIN_MS, REFRESH_MAX_MS,
     NULL, NULL},
};

static int bad(const struct node *n, struct err *err)
{
    char shown[80];

    return fail_here(n, err,
                     "\"%s\" is no place to listen at: an address as a number and a port "
                     "(127.0.0.1:%u, [::1]:%u), or \"off\"",
                     units_printable(n->text, shown), HTTP_DEFAULT_PORT, HTTP_DEFAULT_PORT);
}

static int read_port(const struct node *n, const char *text, unsigned *port, struct err *err)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < 1 || value > 65535)
        return bad(n, err);
    *port = (unsigned)value;
    return 0;
}

/* "127.0.0.1:19854", "[::1]:19854"; names are not resolved: they may mean more than one address. */
static int read_listen(struct http_config *h, const struct node *n, struct err *err)
{
    unsigned char ignored[sizeof(struct in6_addr)];
    const char *colon;
    bool v6;

    TRY(want_text(n, "the place to listen at", err));
    h->off = strcmp(n->text, "off") == 0;
    if (h->off)
        return 0;
    colon = strrchr(n->text, ':');
    v6 = n->text[0] == '[';
    if (colon == NULL || (v6 && (colon < n->text + 2 || colon[-1] != ']')))
        return bad(n, err);
    TRY(read_port(n, colon + 1, &h->port, err));
    free(h->address);
    h->address = v6 ? xstrndup(n->text + 1, (size_t)(colon - n->text) - 2)
                    : xstrndup(n->text, (size_t)(colon - n->text));
    if (inet_pton(v6 ? AF_INET6 : AF_INET, h->address, ignored) != 1)
        return bad(n, err);
    return 0;
}

int http_read(struct config *c, const struct node *map, struct err *err)
{
    c->http = (struct http_config){
        .address = xstrdup("127.0.0.1"), .port = HTTP_DEFAULT_PORT, .refresh_ms = REFRESH_MS};
    if (map == NULL)
        return 0;
    TRY(want_map(map, "\"http\"", err));
    TRY(fields_read(c, map, "\"http\"", http_fields, LENGTH(http_fields), &c->http, err));
    return node_get(map, "listen") != NULL ? read_listen(&c->http, node_get(map, "listen"), err)
                                           : 0;
}
