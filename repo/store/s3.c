/* s3.c - see s3.h: opening, and reading. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "repo/store/s3_form.h"

enum { DEADLINE_S = 600 };

/* ---- reading ---- */

/* An empty object, or a part behind the end: 416, and mostly the size. */
static int behind_end(struct s3 *s, const struct s3_call *c, const struct s3_answer *a,
                      struct store_entry *entry, struct err *err)
{
    AUTO(s3_answer_free) struct s3_answer whole = {0};
    struct s3_call head = {.method = "HEAD", .key = c->key};

    if (a->http.has_size && a->http.modified_us != 0) {
        entry->size = a->http.size;
        entry->modified_us = a->http.modified_us;
        return 0;
    }
    err_clear(err);
    TRY(s3_send(s, &head, &whole, err));
    if (!whole.http.has_size)
        return err_set(err, ERR_FAILED, "the store does not say how large the object is");
    entry->size = whole.http.size;
    entry->modified_us = whole.http.modified_us;
    return 0;
}

static int get_part(struct s3 *s, const char *key, const struct http_part *part, size_t *got,
                    struct store_entry *entry, struct err *err)
{
    AUTO(s3_answer_free) struct s3_answer a = {0};
    const struct s3_call c = {.method = "GET", .key = key, .part = part};

    *got = 0;
    if (s3_send(s, &c, &a, err) != 0) {
        if (a.http.status != 416)
            return -1;
        err_clear(err);
        return behind_end(s, &c, &a, entry, err);
    }
    *got = a.http.got;
    entry->size = a.http.size;
    entry->modified_us = a.http.modified_us;
    return 0;
}

/* By reading one byte and not by HEAD: only so an error comes with the store's words. */
int s3_stat(struct store *store, const char *key, struct store_entry *entry, struct err *err)
{
    char byte;
    size_t got;
    const struct http_part part = {.len = 1, .dst = &byte};

    return get_part(s3_of(store), key, &part, &got, entry, err);
}

int s3_get(struct store *store, const char *key, uint64_t offset, size_t len, void *dst,
           size_t *got, uint64_t *size, struct err *err)
{
    const struct http_part part = {.offset = offset, .len = len, .dst = dst};
    struct store_entry entry = {0};
    int result;

    *got = 0;
    if (len == 0)
        result = s3_stat(store, key, &entry, err);
    else
        result = get_part(s3_of(store), key, &part, got, &entry, err);
    *size = entry.size;
    return result;
}

static int s3_tail(struct store *store, const char *key, size_t len, void *dst, size_t *got,
                   uint64_t *size, struct err *err)
{
    const struct http_part part = {.from_end = true, .len = len, .dst = dst};
    struct store_entry entry = {0};
    int result;

    if (len == 0)
        return s3_get(store, key, 0, 0, dst, got, size, err);
    result = get_part(s3_of(store), key, &part, got, &entry, err);
    *size = entry.size;
    return result;
}

static int s3_sync(struct store *store, struct err *err)
{
    (void)store;
    (void)err;
    return 0;
}

static int s3_confirm(struct store *store, const char *key, struct err *err)
{
    struct store_entry ignored = {0};
    return s3_stat(store, key, &ignored, err);
}

/* ---- opening ---- */

static void s3_free(struct store *store)
{
    struct s3 *s = s3_of(store);

    http_close(&s->http);
    s3_pace_free(&s->pace);
    s3_keys_wipe(&s->keys);
    if (s->keys_free != NULL)
        s->keys_free(&s->keys_ctx);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->proving);
    free(s->url);
    free(s->host);
    free(s->bucket);
    free(s->bucket_path);
    free(s->prefix);
    free(s->region);
    free(s);
}

static bool s3_is_remote(struct store *s)
{
    (void)s;
    return true;
}

static const struct store_ops s3_ops = {
    .create = s3_create,
    .write = s3_write,
    .commit = s3_commit,
    .drop = s3_drop,
    .get = s3_get,
    .tail = s3_tail,
    .stat = s3_stat,
    .list = s3_list,
    .remove = s3_remove,
    .sync = s3_sync,
    .confirm = s3_confirm,
    .now = s3_now,
    .probe = s3_probe,
    .free = s3_free,
    .put = s3_put,
    .recall = s3_recall,
    .proofs = s3_proofs,
    .is_remote = s3_is_remote,
};

/* Where the name ends and a port begins: not at the colons of an IPv6 address. */
static const char *port_in(const char *host)
{
    const char *bracket = strrchr(host, ']'), *colon = strrchr(host, ':');

    if (colon == NULL || (bracket != NULL && colon < bracket) ||
        (bracket == NULL && strchr(host, ':') != colon))
        return NULL;
    return colon;
}

/* Scheme, name and port of the endpoint, and from these URL and Host. */
static int set_endpoint(struct s3 *s, const struct s3_options *o, struct err *err)
{
    const char *host = o->endpoint, *colon;
    unsigned port, usual;
    AUTO(mem_free) char *name = NULL;

    s->tls = strncmp(host, "http://", 7) != 0;
    if (!s->tls)
        host += 7;
    else if (strncmp(host, "https://", 8) == 0)
        host += 8;
    colon = port_in(host);
    usual = s->tls ? 443 : 80;
    port = colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : o->port != 0 ? o->port : usual;
    name = colon != NULL ? xstrndup(host, (size_t)(colon - host)) : xstrdup(host);
    if (name[0] == '\0' || port == 0 || port > 65535 || strpbrk(name, "/ @?#") != NULL)
        return err_set(err, ERR_CONFIG, "\"%.200s\" cannot be the endpoint of an S3 store",
                       o->endpoint);
    if (port == usual)
        s->host =
            xasprintf("%s%s%s", o->path_style ? "" : o->bucket, o->path_style ? "" : ".", name);
    else
        s->host = xasprintf("%s%s%s:%u", o->path_style ? "" : o->bucket, o->path_style ? "" : ".",
                            name, port);
    s->url = xasprintf("%s://%s", s->tls ? "https" : "http", s->host);
    s->bucket_path = o->path_style ? xasprintf("/%s", o->bucket) : xstrdup("");
    return 0;
}

/* "/", "/pgbr", "/pgbr/" -> "", "pgbr/", "pgbr/" */
static char *key_prefix(const char *path)
{
    size_t len;

    path += strspn(path, "/");
    for (len = strlen(path); len != 0 && path[len - 1] == '/'; len--)
        ;
    return len == 0 ? xstrdup("") : xasprintf("%.*s/", (int)len, path);
}

static int open_http(struct s3 *s, const struct s3_options *o, struct err *err)
{
    AUTO(mem_free) char *connect_to = NULL;
    struct http_settings settings = {
        .ca_file = o->ca_file, .ca_path = o->ca_path, .no_verify = o->no_verify, .stop = o->stop};

    if (o->host != NULL && port_in(o->host) != NULL)
        connect_to = xstrdup(o->host);
    else if (o->host != NULL)
        connect_to =
            xasprintf("%s:%s", o->host,
                      port_in(s->host) != NULL ? port_in(s->host) + 1 : (s->tls ? "443" : "80"));
    settings.connect_to = connect_to;
    return http_open(&s->http, &settings, err);
}

/* Both are a person's wish, and both must be seen by whoever comes after. */
static void warn(const struct s3 *s, const struct s3_options *o)
{
    if (!s->tls)
        log_warning("%s: \"s3_endpoint\" begins with http://: everything goes over the network in "
                    "clear but what pgbr encrypts, and the server's identity is not verified",
                    s->store.where);
    else if (o->no_verify)
        log_warning("%s: \"storage_verify_tls: n\": the server's certificate is NOT verified; "
                    "whoever is on the way can read and change what is sent",
                    s->store.where);
}

static int open_all(struct s3 *s, const struct s3_options *o, struct err *err)
{
    TRY(set_endpoint(s, o, err));
    TRY(open_http(s, o, err));
    return s->read_keys(s->keys_ctx, &s->keys, err);
}

int store_s3_open(struct store **out, const struct s3_options *o, struct err *err)
{
    struct s3 *s = xcalloc(1, sizeof *s);

    s->store.ops = &s3_ops;
    s->prefix = key_prefix(o->prefix);
    s->store.where = xasprintf("s3://%s/%.*s", o->bucket, (int)strlen(s->prefix), s->prefix);
    s->store.where[strlen(s->store.where) - 1] = '\0'; /* no slash at the end */
    s->bucket = xstrdup(o->bucket);
    s->region = xstrdup(o->region);
    s->deadline_s = o->deadline_s != 0 ? o->deadline_s : DEADLINE_S;
    s->stop = o->stop;
    s->read_keys = o->keys;
    s->keys_ctx = o->keys_ctx;
    s->keys_free = o->keys_free;
    s3_pace_init(&s->pace);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->proving, NULL);
    if (open_all(s, o, err) != 0) {
        mem_free(&s->store.where);
        s3_free(&s->store);
        return -1;
    }
    warn(s, o);
    *out = &s->store;
    return 0;
}
