/* http.c - see http.h. */
#include "scheduler/page/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "scheduler/page/http_lib.h"
#include "scheduler/page/keeper.h"
#include "scheduler/page/metrics.h"
#include "scheduler/page/page.h"
#include "scheduler/page/status_json.h"

enum {
    BACKLOG = 32,
    CONNECTIONS_MAX = 64,
    CONNECTION_S = 10,            /* without a sign of life */
    CONNECTION_BYTES = 16 << 10,  /* of memory for one: longer requests are refused */
    STUCK_US = 15 * 60 * 1000000, /* a round of looking takes that long at most */
};

struct guest {
    int fd; /* -1: nobody */
    int64_t since_us;
};

struct http {
    const struct http_lib *lib;
    struct MHD_Daemon *daemon;
    pthread_mutex_t lock; /* of the guests */
    struct guest guests[CONNECTIONS_MAX];
    struct keeper *keeper;
    bool loopback;
    unsigned port;
    int64_t started_us;
};

/* ---- what is served ---- */

struct answer {
    unsigned status;
    const char *type;
    struct buf body;
};

static void say(struct answer *a, unsigned status, const char *text)
{
    a->status = status;
    a->type = "text/plain; charset=utf-8";
    buf_adds(&a->body, text);
}

static void healthz(struct http *h, struct answer *a)
{
    int64_t last = MAX_OF(keeper_round_us(h->keeper), h->started_us);

    if (clock_monotonic_us() - last > STUCK_US)
        say(a, MHD_HTTP_SERVICE_UNAVAILABLE,
            "stuck: looking at the clusters has not ended for a quarter of an hour\n");
    else
        say(a, MHD_HTTP_OK, "ok\n");
}

static void with_status(struct http *h, struct answer *a, const char *type,
                        void (*write)(const struct status *, int64_t, struct buf *))
{
    struct status *s = keeper_status(h->keeper);

    a->status = MHD_HTTP_OK;
    a->type = type;
    status_hold(s);
    write(s, clock_now_us(), &a->body);
    status_release(s);
}

static void serve(struct http *h, const char *path, struct answer *a)
{
    if (strcmp(path, "/") == 0)
        with_status(h, a, "text/html; charset=utf-8", page_write);
    else if (strcmp(path, "/metrics") == 0)
        with_status(h, a, "text/plain; version=0.0.4; charset=utf-8", metrics_write);
    else if (strcmp(path, "/status") == 0)
        with_status(h, a, "application/json", status_json_write);
    else if (strcmp(path, "/healthz") == 0)
        healthz(h, a);
    else
        say(a, MHD_HTTP_NOT_FOUND, "there is /, /status, /metrics and /healthz\n");
}

/* ---- who may ask ---- */

bool http_host_is_loopback(const char *host)
{
    size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    AUTO(mem_free) char *name = xstrndup(host, len);
    struct in_addr v4;

    if (strlen(host) > len && host[len] != ':')
        return false;
    if (strspn(host + MIN_OF(len + 1, strlen(host)), "0123456789") + len + 1 < strlen(host))
        return false;
    if (strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

static const char *header(struct http *h, struct MHD_Connection *c, const char *name)
{
    return h->lib->MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static bool has_body(struct http *h, struct MHD_Connection *c)
{
    const char *length = header(h, c, MHD_HTTP_HEADER_CONTENT_LENGTH);

    return header(h, c, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

static bool is_reading(const char *method)
{
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static void answer(struct http *h, struct MHD_Connection *c, const char *path, const char *method,
                   struct answer *a)
{
    const char *host = header(h, c, MHD_HTTP_HEADER_HOST);

    if (!is_reading(method))
        say(a, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    else if (has_body(h, c))
        say(a, MHD_HTTP_CONTENT_TOO_LARGE, "nothing may be sent here\n");
    else if (h->loopback && (host == NULL || !http_host_is_loopback(host)))
        say(a, MHD_HTTP_FORBIDDEN,
            "this listens on loopback: ask for it as localhost (a proxy in front must do so "
            "too)\n");
    else
        serve(h, path, a);
}

/* ---- libmicrohttpd ---- */

static void add_headers(struct http *h, struct MHD_Response *r, const struct answer *a)
{
    const struct {
        const char *name, *value;
    } headers[] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, a->type},
        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
        {MHD_HTTP_HEADER_CONTENT_SECURITY_POLICY, page_policy()},
        {MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff"},
        {MHD_HTTP_HEADER_X_FRAME_OPTIONS, "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {MHD_HTTP_HEADER_ALLOW, a->status == MHD_HTTP_METHOD_NOT_ALLOWED ? "GET, HEAD" : NULL},
    };

    for (size_t i = 0; i < LENGTH(headers); i++)
        if (headers[i].value != NULL)
            h->lib->MHD_add_response_header(r, headers[i].name, headers[i].value);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_len, void **own)
{
    struct http *h = ctx;
    struct answer a = {0};
    struct MHD_Response *r;
    enum MHD_Result rc;

    (void)version;
    (void)body;
    (void)body_len;
    if (*own == NULL && is_reading(method) && !has_body(h, c)) {
        /* The first call of two. Who sends a body is answered at once, and cut off. */
        *own = h;
        return MHD_YES;
    }
    answer(h, c, path, method, &a);
    r = h->lib->MHD_create_response_from_buffer(a.body.len, a.body.p, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        buf_free(&a.body);
        return MHD_NO;
    }
    add_headers(h, r, &a);
    rc = h->lib->MHD_queue_response(c, a.status, r);
    h->lib->MHD_destroy_response(r);
    return rc;
}

/* ---- who stays ---- */

/* libmicrohttpd closes who is silent. Who sends a byte now and then would keep his place for ever.
 */
static void on_guest(void *ctx, struct MHD_Connection *c, void **own,
                     enum MHD_ConnectionNotificationCode what)
{
    struct http *h = ctx;
    const union MHD_ConnectionInfo *info =
        h->lib->MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    int fd = what == MHD_CONNECTION_NOTIFY_STARTED && info != NULL ? info->connect_fd : -1;
    struct guest *g = *own; /* at its end */

    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; g == NULL && i < CONNECTIONS_MAX; i++)
        if (h->guests[i].fd < 0)
            g = &h->guests[i];
    if (g != NULL)
        *g = (struct guest){fd, clock_monotonic_us()};
    pthread_mutex_unlock(&h->lock);
    *own = g;
}

void http_cut_off(struct http *h, int64_t older_us)
{
    int64_t now = clock_monotonic_us();

    if (h == NULL)
        return;
    pthread_mutex_lock(&h->lock); /* until then nobody closes what is in the list */
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (h->guests[i].fd >= 0 && now - h->guests[i].since_us >= older_us)
            shutdown(h->guests[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&h->lock);
}

/* ---- listening ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_of(const struct http_config *conf, union address *at)
{
    *at =
        (union address){.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)conf->port)}};
    if (inet_pton(AF_INET6, conf->address, &at->v6.sin6_addr) == 1)
        return sizeof at->v6;
    *at = (union address){.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)conf->port)}};
    inet_pton(AF_INET, conf->address, &at->v4.sin_addr);
    return sizeof at->v4;
}

static bool is_loopback(const union address *at)
{
    if (at->any.sa_family == AF_INET)
        return ntohl(at->v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&at->v6.sin6_addr);
}

static int listen_there(struct http *h, const struct http_config *conf, int *out, struct err *err)
{
    union address at;
    socklen_t len = address_of(conf, &at);
    AUTO(fd_close) int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, &at.any, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &at.any, &len) != 0)
        return err_sys(err, "cannot listen at %s port %u (\"listen\" of \"http\")", conf->address,
                       conf->port);
    h->loopback = is_loopback(&at);
    h->port = ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
    *out = fd;
    fd = -1;
    return 0;
}

/* Signals are the main thread's: the daemon's thread inherits a mask that blocks them all. */
static int start_daemon(struct http *h, int *fd, struct err *err)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->daemon = h->lib->MHD_start_daemon(
        MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, on_request, h,
        MHD_OPTION_LISTEN_SOCKET, *fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_NOTIFY_CONNECTION, on_guest, h, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (h->daemon == NULL)
        return err_sys(err, "cannot serve at port %u", h->port);
    *fd = -1; /* the daemon's */
    return 0;
}

static int start(struct http *h, const struct config *config, struct err *err)
{
    AUTO(fd_close) int fd = -1;

    TRY(http_lib_load(&h->lib, err));
    TRY(listen_there(h, &config->http, &fd, err));
    TRY(keeper_start(&h->keeper, config, err));
    return start_daemon(h, &fd, err);
}

int http_start(struct http **out, const struct config *config, struct err *err)
{
    struct http *h;

    *out = NULL;
    if (config->http.off)
        return 0;
    h = xcalloc(1, sizeof *h);
    h->started_us = clock_monotonic_us();
    pthread_mutex_init(&h->lock, NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        h->guests[i].fd = -1;
    if (start(h, config, err) != 0) {
        http_stop(&h);
        return -1;
    }
    log_info("status and metrics are at http://%s%s%s:%u/",
             config->http.address[0] == ':' ? "[" : "", config->http.address,
             config->http.address[0] == ':' ? "]" : "", h->port);
    if (!h->loopback)
        log_warning("everybody who can reach that port may read the status");
    *out = h;
    return 0;
}

void http_stop(struct http **http)
{
    struct http *h = *http;

    if (h == NULL)
        return;
    if (h->daemon != NULL)
        h->lib->MHD_stop_daemon(h->daemon);
    keeper_stop(&h->keeper);
    pthread_mutex_destroy(&h->lock);
    free(h);
    *http = NULL;
}

unsigned http_port(const struct http *h)
{
    return h->port;
}
