/*
 * What the S3 driver does when a server fails, lies, or wants to be asked in another way: against a
 * server in a thread that says exactly what the test wrote down, and keeps what it was asked.
 */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/store/s3.h"

enum { REQUESTS_MAX = 40 };

/* ---- the server ---- */

/* Answers in order, the last one again and again. "" closes the connection without an answer; what
 * begins with a space is sent as it is without the space. */
struct server {
    int listener;
    unsigned port;
    pthread_t thread, threads[REQUESTS_MAX];
    int n_threads;
    const char *const *answers;
    pthread_mutex_t lock;         /* of the two below */
    char *requests[REQUESTS_MAX]; /* header and body, as they came */
    int n;
};

static bool read_request(int fd, struct buf *b)
{
    char chunk[4096];
    const char *end, *length;
    size_t body = 0;

    for (;;) {
        ssize_t n;

        end = b->len != 0 ? strstr(buf_text(b), "\r\n\r\n") : NULL;
        if (end != NULL) {
            length = strcasestr(buf_text(b), "content-length:");
            if (length != NULL && length < end)
                body = strtoul(length + 15, NULL, 10);
            if (b->len >= (size_t)(end + 4 - b->p) + body)
                return true;
        }
        n = read(fd, chunk, sizeof chunk);
        if (n <= 0)
            return false;
        buf_add(b, chunk, (size_t)n);
    }
}

static void answer(int fd, const char *text)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    const char *body = strstr(text, "\n\n");

    if (text[0] == ' ') {
        buf_adds(&b, text + 1);
    } else {
        body = body != NULL ? body + 2 : "";
        buf_addf(&b, "HTTP/1.1 ");
        for (const char *p = text; *p != '\0' && p + 2 != body && p != body; p++)
            buf_adds(&b, *p == '\n' ? "\r\n" : (char[]){*p, '\0'});
        buf_addf(&b, "\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    }
    if (write(fd, b.p, b.len) < 0)
        return;
}

struct connection {
    struct server *server;
    int fd;
};

/* Which answer it is. */
static const char *keep_request(struct server *s, struct buf *request)
{
    const char *text;
    int i = 0;

    pthread_mutex_lock(&s->lock);
    while (s->answers[i + 1] != NULL && i < s->n)
        i++;
    text = s->answers[i];
    if (s->n < REQUESTS_MAX)
        s->requests[s->n++] = buf_steal(request);
    pthread_mutex_unlock(&s->lock);
    return text;
}

static void *serve_connection(void *ctx)
{
    struct connection *c = ctx;

    for (bool going_on = true; going_on;) {
        AUTO(buf_free) struct buf b = BUF_INIT;
        const char *text = read_request(c->fd, &b) ? keep_request(c->server, &b) : "";

        if (text[0] != '\0')
            answer(c->fd, text);
        going_on = text[0] != '\0' && text[0] != ' ';
    }
    close(c->fd);
    free(c);
    return NULL;
}

static void *serve(void *ctx)
{
    struct server *s = ctx;
    int fd;

    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        struct connection *c = xcalloc(1, sizeof *c);

        *c = (struct connection){s, fd};
        assert_true(s->n_threads < REQUESTS_MAX);
        assert_int_equal(pthread_create(&s->threads[s->n_threads++], NULL, serve_connection, c), 0);
    }
    return NULL;
}

static void server_start(struct server *s, const char *const *answers)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    *s = (struct server){.answers = answers};
    pthread_mutex_init(&s->lock, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* After the store is closed, and its connections with it. */
static void server_stop(struct server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < s->n_threads; i++)
        pthread_join(s->threads[i], NULL);
    pthread_mutex_destroy(&s->lock);
    close(s->listener);
    for (int i = 0; i < s->n; i++)
        free(s->requests[i]);
}

/* ---- a store there ---- */

static int keys_read;

static int some_keys(void *ctx, struct s3_keys *out, struct err *err)
{
    (void)ctx;
    (void)err;
    out->key = xasprintf("KEY%d", ++keys_read);
    out->secret = xstrdup("secret");
    return 0;
}

static int same_keys(void *ctx, struct s3_keys *out, struct err *err)
{
    (void)ctx;
    (void)err;
    keys_read++;
    out->key = xstrdup("KEY");
    out->secret = xstrdup("secret");
    out->token = xstrdup("token");
    return 0;
}

struct fixture {
    struct server server;
    struct store *store;
};

static const struct store_proofs exact = {.proved_us = 1, .create_only = STORE_PROVED};

/* keys: same_keys unless told. */
static void begin_with(struct fixture *f, const char *const *answers, s3_keys_fn *keys,
                       const struct stop *stop)
{
    AUTO(mem_free) char *endpoint = NULL;
    struct s3_options o = {.bucket = "b",
                           .region = "here",
                           .prefix = "/p",
                           .path_style = true,
                           .keys = keys,
                           .deadline_s = 5,
                           .stop = stop};
    struct err err = {0};

    keys_read = 0;
    server_start(&f->server, answers);
    endpoint = xasprintf("http://127.0.0.1:%u", f->server.port);
    o.endpoint = endpoint;
    OK(store_s3_open(&f->store, &o, &err), &err);
}

static void begin(struct fixture *f, const char *const *answers)
{
    begin_with(f, answers, same_keys, NULL);
    store_recall(f->store, &exact);
}

static void end(struct fixture *f)
{
    store_close(&f->store);
    server_stop(&f->server);
}

static int get(struct fixture *f, uint64_t offset, size_t len, char *dst, struct err *err)
{
    size_t got = 0;
    int result = store_get(f->store, "k", offset, len, dst, &got, NULL, err);

    dst[got] = '\0';
    return result;
}

static int create(struct fixture *f, struct err *err)
{
    return store_put(f->store, "k", STORE_CREATE_ONLY, "content", 7, err);
}

static void asked(struct fixture *f, int n, const char *what)
{
    assert_true(n < f->server.n);
    if (strstr(f->server.requests[n], what) == NULL)
        fail_msg("request %d lacks \"%s\":\n%s", n, what, f->server.requests[n]);
}

#define HELLO "206 Partial Content\nContent-Range: bytes 0-4/5\n\nhello"
#define ERROR(status, code) status "\n\n<Error><Code>" code "</Code><Message>so</Message></Error>"
#define BEGIN(f, ...)                                          \
    static const char *const answers_[] = {__VA_ARGS__, NULL}; \
    struct fixture f;                                          \
    struct err err = {0};                                      \
    (void)state;                                               \
    begin(&(f), answers_)

/* ---- what passes ---- */

static void what_passes_is_asked_again(void **state)
{
    char dst[8];
    BEGIN(f, ERROR("503 Slow Down", "SlowDown"), "500 Internal Server Error\n\n", "",
          ERROR("400 Bad Request", "RequestTimeout"), "502 Bad Gateway\n\n<html>", HELLO);

    OK(get(&f, 0, 5, dst, &err), &err);
    assert_string_equal(dst, "hello");
    end(&f);
    assert_int_equal(f.server.n, 6);
}

static void a_body_that_ends_early_is_asked_for_again(void **state)
{
    char dst[8];
    BEGIN(f,
          " HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/5\r\nContent-Length: "
          "5\r\n\r\nhe",
          " HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/5\r\n\r\nhel", HELLO);

    OK(get(&f, 0, 5, dst, &err), &err);
    assert_string_equal(dst, "hello");
    end(&f);
    assert_int_equal(f.server.n, 3);
}

static void what_does_not_pass_is_reported_at_the_deadline(void **state)
{
    char dst[8];
    int64_t begun = clock_monotonic_us(), took;
    BEGIN(f, HELLO, ERROR("503 Slow Down", "SlowDown"));

    OK(get(&f, 0, 5, dst, &err), &err);
    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_UNREACHABLE);
    took = clock_monotonic_us() - begun;
    assert_non_null(strstr(err.msg, "gave up after"));
    assert_non_null(strstr(err.msg, "503 SlowDown"));
    assert_true(took < 6000000);
    end(&f);
}

/* ---- what is mended ---- */

static void a_wrong_clock_is_learned_from_the_store(void **state)
{
    char dst[8];
    BEGIN(f,
          "403 Forbidden\nDate: Sun, 06 Nov 1994 08:49:37 GMT\n\n<Error><Code>RequestTimeTooSkewed"
          "</Code></Error>",
          HELLO);

    OK(get(&f, 0, 5, dst, &err), &err);
    asked(&f, 1, "x-amz-date: 19941106T0849");
    OK(get(&f, 0, 5, dst, &err), &err);
    asked(&f, 2, "x-amz-date: 19941106T0849");
    end(&f);
}

static void another_region_is_signed_for(void **state)
{
    char dst[8];
    BEGIN(
        f,
        "400 Bad Request\n\n<Error><Code>AuthorizationHeaderMalformed</Code><Region>there</Region>"
        "</Error>",
        HELLO);

    OK(get(&f, 0, 5, dst, &err), &err);
    asked(&f, 0, "/here/s3/aws4_request");
    asked(&f, 1, "/there/s3/aws4_request");
    end(&f);
}

static void a_redirect_is_not_followed_but_told(void **state)
{
    char dst[8];
    BEGIN(f, "301 Moved Permanently\nLocation: http://127.0.0.1:1/\nx-amz-bucket-region: there\n\n"
             "<Error><Code>PermanentRedirect</Code><Endpoint>b.elsewhere.test</Endpoint></Error>");

    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_CONFIG);
    assert_int_equal(f.server.n, 2);
    assert_non_null(strstr(err.msg, "s3_endpoint"));
    end(&f);
}

static void expired_keys_are_read_again(void **state)
{
    static const char *const answers[] = {ERROR("400 Bad Request", "ExpiredToken"), HELLO, NULL};
    struct fixture f;
    struct err err = {0};
    char dst[8];

    (void)state;
    begin_with(&f, answers, some_keys, NULL);
    OK(get(&f, 0, 5, dst, &err), &err);
    asked(&f, 0, "Credential=KEY1/");
    asked(&f, 1, "Credential=KEY2/");
    end(&f);
}

static void keys_that_stay_the_same_are_not_tried_twice(void **state)
{
    char dst[8];
    BEGIN(f, ERROR("403 Forbidden", "SignatureDoesNotMatch"));

    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_DENIED);
    assert_int_equal(f.server.n, 1);
    assert_int_equal(keys_read, 2);
    assert_non_null(strstr(err.msg, "s3_key_secret"));
    assert_null(strstr(err.msg, "token"));
    end(&f);
}

static void a_session_token_is_sent_and_signed(void **state)
{
    char dst[8];
    BEGIN(f, HELLO);

    OK(get(&f, 0, 5, dst, &err), &err);
    asked(&f, 0, "x-amz-security-token: token");
    asked(&f, 0, "range;x-amz-content-sha256;x-amz-date;x-amz-security-token,");
    end(&f);
}

/* ---- where requests go ---- */

static void ask_there(const struct s3_options *with, const char *endpoint, const char *request,
                      const char *host)
{
    static const char *const answers[] = {HELLO, NULL};
    AUTO(mem_free) char *named = NULL, *line = NULL, *place = NULL;
    struct s3_options o = *with;
    struct fixture f;
    struct err err = {0};
    char dst[8];

    server_start(&f.server, answers);
    named = xasprintf("http://%s:%u", endpoint, f.server.port);
    line = xasprintf("Host: %s:%u\r\n", host, f.server.port);
    place = xasprintf("127.0.0.1:%u", f.server.port);
    o.endpoint = named;
    o.host = place;
    OK(store_s3_open(&f.store, &o, &err), &err);
    OK(get(&f, 0, 5, dst, &err), &err);
    asked(&f, 0, request);
    asked(&f, 0, line);
    end(&f);
}

static void the_bucket_is_part_of_the_name_or_of_the_path(void **state)
{
    struct s3_options o = {.bucket = "b", .region = "r", .prefix = "/p/q/", .keys = same_keys};

    (void)state;
    ask_there(&o, "s3.test", "GET /p/q/k ", "b.s3.test");
    o.path_style = true;
    ask_there(&o, "s3.test", "GET /b/p/q/k ", "s3.test");
    o.prefix = "/";
    ask_there(&o, "s3.test", "GET /b/k ", "s3.test");
    o.prefix = "/a b@c/d";
    ask_there(&o, "s3.test", "GET /b/a%20b%40c/d/k ", "s3.test");
}

static void an_endpoint_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"",        "https://", "a/b",    "a:0",
                                      "a:65536", "a:x",      "user@a", "a?b"};
    struct s3_options o = {.bucket = "b", .region = "r", .prefix = "/", .keys = same_keys};
    struct store *s;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        o.endpoint = bad[i];
        FAILS(store_s3_open(&s, &o, &err), &err, ERR_CONFIG);
    }
}

/* ---- reading ---- */

static void a_store_that_ignores_ranges_is_read_all_the_same(void **state)
{
    char dst[8];
    size_t got;
    uint64_t size;
    BEGIN(f, "200 OK\n\nhello world");

    OK(get(&f, 6, 5, dst, &err), &err);
    assert_string_equal(dst, "world");
    OK(get(&f, 0, 5, dst, &err), &err);
    assert_string_equal(dst, "hello");
    OK(store_tail(f.store, "k", 3, dst, &got, &size, &err), &err);
    assert_memory_equal(dst, "rld", 3);
    assert_int_equal(got, 3);
    assert_int_equal(size, 11);
    end(&f);
}

static void another_part_than_was_asked_for_is_refused(void **state)
{
    char dst[8];
    BEGIN(f, "206 Partial Content\nContent-Range: bytes 1-5/11\n\nello ",
          "206 Partial Content\nContent-Range: bytes 0-5/11\n\nhello ");

    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_FAILED);
    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_FAILED);
    end(&f);
}

/* A proxy's or another server's 404 must not end a recovery. */
static void only_the_store_itself_says_that_an_object_is_missing(void **state)
{
    char dst[8];
    BEGIN(f, "404 Not Found\n\n<html>nothing here</html>", ERROR("404 Not Found", "NoSuchKey"),
          ERROR("404 Not Found", "NoSuchBucket"), "404 Not Found\n\n");

    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_FAILED);
    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_NOT_FOUND);
    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_CONFIG);
    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_FAILED);
    end(&f);
}

static int no_entry(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)ctx;
    (void)entry;
    return err_set(err, ERR_FAILED, "nothing was to be listed");
}

static void an_answer_that_is_no_listing_is_not_an_empty_one(void **state)
{
    BEGIN(f, "200 OK\n\n<html>welcome</html>", "200 OK\n\n", ERROR("200 OK", "InternalError"),
          "200 OK\n\n<ListBucketResult></ListBucketResult>");

    FAILS(store_list(f.store, "", STORE_DEEP, no_entry, NULL, NULL, &err), &err, ERR_FAILED);
    FAILS(store_list(f.store, "", STORE_DEEP, no_entry, NULL, NULL, &err), &err, ERR_FAILED);
    OK(store_list(f.store, "", STORE_DEEP, no_entry, NULL, NULL, &err), &err);
    end(&f);
    assert_int_equal(f.server.n, 4);
}

static int any_entry(void *ctx, const struct store_entry *entry, struct err *err)
{
    (void)err;
    buf_addf(ctx, "%s ", entry->key);
    return 0;
}

#define ITEM(key) "<Contents><Key>" key "</Key><Size>1</Size></Contents>"
#define DIRECTORY(key) "<CommonPrefixes><Prefix>" key "</Prefix></CommonPrefixes>"

static void pages_make_one_listing(void **state)
{
    AUTO(buf_free) struct buf seen = BUF_INIT;
    BEGIN(f,
          "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a+b"
          "</NextContinuationToken>" ITEM("p/a") DIRECTORY("p/b/")
              ITEM("p/a b") "</ListBucketResult>",
          "200 OK\n\n<ListBucketResult>" DIRECTORY("p/b/") ITEM("p/tmp/x")
              ITEM("p/c") "</ListBucketResult>");

    OK(store_list(f.store, "", STORE_SHALLOW, any_entry, &seen, NULL, &err), &err);
    assert_string_equal(buf_text(&seen), "a b/ c ");
    asked(&f, 0, "GET /b/?delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=p%2F");
    asked(&f, 1, "?continuation-token=a%2Bb&");
    end(&f);
}

static void a_listing_out_of_order_is_refused(void **state)
{
    AUTO(buf_free) struct buf seen = BUF_INIT;
    BEGIN(f,
          "200 OK\n\n<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x"
          "</NextContinuationToken>" ITEM("p/b") "</ListBucketResult>",
          "200 OK\n\n<ListBucketResult>" ITEM("p/a") "</ListBucketResult>",
          "200 OK\n\n<ListBucketResult>" ITEM("q/a") "</ListBucketResult>");

    FAILS(store_list(f.store, "", STORE_DEEP, any_entry, &seen, NULL, &err), &err, ERR_UNSUPPORTED);
    FAILS(store_list(f.store, "", STORE_DEEP, any_entry, &seen, NULL, &err), &err, ERR_FAILED);
    end(&f);
}

/* ---- writing ---- */

#define THERE(text) "206 Partial Content\nContent-Range: bytes 0-6/7\n\n" text

/* The answer to a PUT is lost, the PUT took effect. */
static void a_lost_answer_is_settled_by_reading_back(void **state)
{
    BEGIN(f, "", ERROR("412 Precondition Failed", "PreconditionFailed"), THERE("content"));

    OK(create(&f, &err), &err);
    asked(&f, 1, "if-none-match: *");
    end(&f);
}

static void a_lost_answer_does_not_hide_another_writer(void **state)
{
    BEGIN(f, "", ERROR("412 Precondition Failed", "PreconditionFailed"), THERE("strange"));

    FAILS(create(&f, &err), &err, ERR_EXISTS);
    end(&f);
}

static void what_was_there_before_is_not_mistaken_for_this_write(void **state)
{
    BEGIN(f, ERROR("412 Precondition Failed", "PreconditionFailed"), THERE("content"));

    FAILS(create(&f, &err), &err, ERR_EXISTS);
    end(&f);
    assert_int_equal(f.server.n, 1);
}

static void a_race_for_a_name_is_run_again(void **state)
{
    BEGIN(f, ERROR("409 Conflict", "ConditionalRequestConflict"), "200 OK\n\n");

    OK(create(&f, &err), &err);
    end(&f);
    assert_int_equal(f.server.n, 2);
}

static void an_error_inside_a_200_is_an_error(void **state)
{
    BEGIN(f, ERROR("200 OK", "InternalError"), ERROR("200 OK", "AccessDenied"));

    FAILS(create(&f, &err), &err, ERR_DENIED);
    end(&f);
    assert_int_equal(f.server.n, 2);
}

static void without_the_condition_it_looks_before_and_after(void **state)
{
    BEGIN(f, ERROR("501 Not Implemented", "NotImplemented"), ERROR("404 Not Found", "NoSuchKey"),
          "200 OK\n\n", THERE("content"));

    OK(create(&f, &err), &err);
    assert_int_equal(store_known(f.store).create_only, STORE_REFUTED);
    asked(&f, 1, "GET /b/p/k ");
    asked(&f, 2, "PUT /b/p/k ");
    assert_null(strstr(f.server.requests[2], "if-none-match"));
    asked(&f, 3, "GET /b/p/k ");
    end(&f);
}

/* Here the PUT must not be sent again before it is known what became of the first one. */
static void without_the_condition_a_lost_answer_is_settled_too(void **state)
{
    BEGIN(f, ERROR("501 Not Implemented", "NotImplemented"), ERROR("404 Not Found", "NoSuchKey"),
          "", THERE("content"));

    OK(create(&f, &err), &err);
    end(&f);
    assert_int_equal(f.server.n, 4);
}

static void without_the_condition_another_writer_is_seen(void **state)
{
    BEGIN(f, ERROR("501 Not Implemented", "NotImplemented"), ERROR("404 Not Found", "NoSuchKey"),
          "200 OK\n\n", THERE("strange"));

    FAILS(create(&f, &err), &err, ERR_EXISTS);
    end(&f);
}

static void a_condition_that_is_ignored_is_found_out(void **state)
{
    static const char *const answers[] = {
        "200 OK\n\n", "200 OK\n\n",     ERROR("404 Not Found", "NoSuchKey"),
        "200 OK\n\n", THERE("content"), NULL};
    struct fixture f;
    struct err err = {0};

    (void)state;
    begin_with(&f, answers, same_keys, NULL);
    OK(create(&f, &err), &err);
    assert_int_equal(store_known(f.store).create_only, STORE_REFUTED);
    asked(&f, 0, "PUT /b/p/tmp/probe.create ");
    asked(&f, 0, "if-none-match: *");
    assert_null(strstr(f.server.requests[3], "if-none-match"));
    end(&f);
    assert_int_equal(f.server.n, 5);
}

/* One that refuses everything is not one that keeps what is there. */
static void a_condition_that_is_turned_around_is_found_out(void **state)
{
    static const char *const answers[] = {ERROR("412 Precondition Failed", "PreconditionFailed"),
                                          ERROR("404 Not Found", "NoSuchKey"),
                                          ERROR("404 Not Found", "NoSuchKey"),
                                          "200 OK\n\n",
                                          THERE("content"),
                                          NULL};
    struct fixture f;
    struct err err = {0};

    (void)state;
    begin_with(&f, answers, same_keys, NULL);
    OK(create(&f, &err), &err);
    assert_int_equal(store_known(f.store).create_only, STORE_REFUTED);
    end(&f);
}

/* ---- deleting ---- */

static const char *const three[] = {"a", "b", "c"};

static void a_store_without_batches_is_asked_one_by_one(void **state)
{
    BEGIN(f, ERROR("501 Not Implemented", "NotImplemented"), "204 No Content\n\n");

    OK(store_delete(f.store, three, 3, &err), &err);
    OK(store_delete(f.store, three, 3, &err), &err);
    asked(&f, 0, "POST /b/?delete= ");
    asked(&f, 0, "content-md5: ");
    asked(&f, 1, "DELETE /b/p/a ");
    end(&f);
    assert_int_equal(f.server.n, 7);
}

static void a_key_that_was_not_deleted_is_told(void **state)
{
    BEGIN(f,
          "200 OK\n\n<DeleteResult><Error><Key>p/b</Key><Code>InternalError</Code></Error>"
          "</DeleteResult>",
          "200 OK\n\n<DeleteResult><Error><Key>p/b</Key><Code>AccessDenied</Code></Error>"
          "</DeleteResult>");

    FAILS(store_delete(f.store, three, 3, &err), &err, ERR_DENIED);
    assert_non_null(strstr(err.msg, "p/b"));
    end(&f);
    assert_int_equal(f.server.n, 2);
}

/* ---- stopping ---- */

static void who_is_asked_to_stop_does_not_try_again(void **state)
{
    static const char *const answers[] = {ERROR("503 Slow Down", "SlowDown"), NULL};
    const struct stop stop = {15};
    struct fixture f;
    struct err err = {0};
    char dst[8];

    (void)state;
    begin_with(&f, answers, same_keys, &stop);
    FAILS(get(&f, 0, 5, dst, &err), &err, ERR_UNREACHABLE);
    end(&f);
    assert_int_equal(f.server.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_passes_is_asked_again),
        cmocka_unit_test(a_body_that_ends_early_is_asked_for_again),
        cmocka_unit_test(what_does_not_pass_is_reported_at_the_deadline),
        cmocka_unit_test(a_wrong_clock_is_learned_from_the_store),
        cmocka_unit_test(another_region_is_signed_for),
        cmocka_unit_test(a_redirect_is_not_followed_but_told),
        cmocka_unit_test(expired_keys_are_read_again),
        cmocka_unit_test(keys_that_stay_the_same_are_not_tried_twice),
        cmocka_unit_test(a_session_token_is_sent_and_signed),
        cmocka_unit_test(the_bucket_is_part_of_the_name_or_of_the_path),
        cmocka_unit_test(an_endpoint_that_is_none_is_refused),
        cmocka_unit_test(a_store_that_ignores_ranges_is_read_all_the_same),
        cmocka_unit_test(another_part_than_was_asked_for_is_refused),
        cmocka_unit_test(only_the_store_itself_says_that_an_object_is_missing),
        cmocka_unit_test(an_answer_that_is_no_listing_is_not_an_empty_one),
        cmocka_unit_test(pages_make_one_listing),
        cmocka_unit_test(a_listing_out_of_order_is_refused),
        cmocka_unit_test(a_lost_answer_is_settled_by_reading_back),
        cmocka_unit_test(a_lost_answer_does_not_hide_another_writer),
        cmocka_unit_test(what_was_there_before_is_not_mistaken_for_this_write),
        cmocka_unit_test(a_race_for_a_name_is_run_again),
        cmocka_unit_test(an_error_inside_a_200_is_an_error),
        cmocka_unit_test(without_the_condition_it_looks_before_and_after),
        cmocka_unit_test(without_the_condition_a_lost_answer_is_settled_too),
        cmocka_unit_test(without_the_condition_another_writer_is_seen),
        cmocka_unit_test(a_condition_that_is_ignored_is_found_out),
        cmocka_unit_test(a_condition_that_is_turned_around_is_found_out),
        cmocka_unit_test(a_store_without_batches_is_asked_one_by_one),
        cmocka_unit_test(a_key_that_was_not_deleted_is_told),
        cmocka_unit_test(who_is_asked_to_stop_does_not_try_again),
    };
    log_setup(LOG_TEXT, LOG_ERROR); /* each of them warns */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
