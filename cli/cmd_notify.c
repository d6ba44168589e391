/* cmd_notify.c - pgbr notify test|list|send - who is told about events, and whether it works. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/app.h"
#include "cli/show.h"
#include "scheduler/notify/notify.h"

enum { PENDING_SHOWN = 20 };

struct wanted {
    const char *receiver;
    bool json;
};

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    (void)code, (void)value, (void)err;
    w->json = true;
    return 0;
}

static bool is_wanted(const struct wanted *w, const struct notify_receiver *r)
{
    return w->receiver == NULL || strcmp(w->receiver, r->name) == 0;
}

/* Where it goes, without what may be secret. */
static void add_target(struct buf *out, const struct notify_receiver *r)
{
    AUTO(secret_free) char *url = NULL;
    struct err err = {0};
    char shown[128];

    if (r->type == NOTIFY_COMMAND) {
        for (size_t i = 0; i < r->n_argv; i++)
            buf_addf(out, "%s%s", i == 0 ? "" : " ", r->argv[i]);
        return;
    }
    if (notify_url(r, &url, &err) != 0) {
        buf_adds(out, err.msg);
        return;
    }
    notify_url_shown(url, shown);
    buf_adds(out, shown);
}

static const char *type_name(const struct notify_receiver *r)
{
    return r->type == NOTIFY_COMMAND ? "command" : "webhook";
}

/* ---- test ---- */

static void show_tested(const struct notify_receiver *r, const struct notify_answer *a,
                        const struct err *err)
{
    AUTO(buf_free) struct buf target = BUF_INIT;

    add_target(&target, r);
    printf("%-8s receiver \"%s\" (%s %s): ", err->code == ERR_NONE ? "ok" : "failed", r->name,
           type_name(r), buf_text(&target));
    if (err->code != ERR_NONE)
        printf("%s", err->msg);
    else if (r->type == NOTIFY_WEBHOOK)
        printf("answered %d", a->status);
    else
        printf("ended with status 0");
    printf(", after %.3f s", (double)a->took_us / 1e6);
    if (a->output.len != 0 && (err->code == ERR_NONE || r->type == NOTIFY_WEBHOOK))
        printf("\n         it said: %.*s", (int)MIN_OF(a->output.len, (size_t)500), a->output.p);
    printf("\n");
    fflush(stdout);
}

static void json_tested(struct json *j, const struct notify_receiver *r,
                        const struct notify_answer *a, const struct err *err)
{
    AUTO(buf_free) struct buf target = BUF_INIT;

    add_target(&target, r);
    json_open(j, NULL, '{');
    json_text(j, "receiver", r->name);
    json_text(j, "type", type_name(r));
    json_text(j, "target", buf_text(&target));
    json_bool(j, "delivered", err->code == ERR_NONE);
    if (a->status >= 0)
        json_int(j, "status", a->status);
    else
        json_none(j, "status");
    json_text(j, "error", err->code == ERR_NONE ? NULL : err->msg);
    json_text(j, "output", a->output.len != 0 ? a->output.p : NULL);
    json_double(j, "seconds", (double)a->took_us / 1e6);
    json_close(j, '}');
}

static int test(struct app *app, const struct wanted *w, struct json *j, struct err *err)
{
    const struct notify_config *n = &app->config->notify;
    size_t failed = 0;

    for (size_t i = 0; i < n->n; i++) {
        AUTO(notify_answer_free) struct notify_answer answer = {0};
        struct err why = {0};

        if (!is_wanted(w, &n->receivers[i]))
            continue;
        if (notify_test(app->config, &n->receivers[i], &app->stop, &answer, &why) != 0)
            failed++;
        if (w->json)
            json_tested(j, &n->receivers[i], &answer, &why);
        else
            show_tested(&n->receivers[i], &answer, &why);
        TRY(stop_check(&app->stop, err));
    }
    if (failed != 0)
        app->status = EXIT_FAILED;
    return 0;
}

/* ---- list ---- */

static void add_words(struct buf *out, char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s%s", i == 0 ? "" : ", ", words[i]);
}

static void show_receiver(const struct notify_receiver *r, const struct catalog_receiver *s)
{
    AUTO(buf_free) struct buf line = BUF_INIT;
    char when[40], span[40];

    buf_addf(&line, "receiver \"%s\": %s ", r->name, type_name(r));
    add_target(&line, r);
    buf_adds(&line, "\n  hears of ");
    add_words(&line, r->events, r->n_events);
    if (r->n_clusters != 0)
        buf_adds(&line, "; of ");
    add_words(&line, r->clusters, r->n_clusters);
    buf_addf(&line, "; at most %u in %s\n", r->limit,
             clock_format_duration(r->limit_window_ms * 1000, span));
    buf_addf(&line, "  %llu event%s told, %llu more of the same, %llu pending, %llu given up",
             (unsigned long long)s->sent, plural_of(s->sent), (unsigned long long)s->repeated,
             (unsigned long long)s->pending, (unsigned long long)s->given_up);
    if (s->last_sent_us != 0)
        buf_addf(&line, "; last told %s", clock_format_utc(s->last_sent_us, when));
    if (s->error != NULL)
        buf_addf(&line, "\n  last failure: %s", s->error);
    printf("%s\n", buf_text(&line));
}

static void show_pending(const struct catalog_deliveries *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct catalog_delivery *d = &l->rows[i];
        char when[40];

        printf("  pending: event %lld of %s, %u tr%s", (long long)d->event,
               clock_format_utc(d->e.time_us / 1000000 * 1000000, when), d->tries,
               d->tries == 1 ? "y" : "ies");
        if (d->next_try_us != 0)
            printf(", next at %s", clock_format_utc(d->next_try_us / 1000000 * 1000000, when));
        printf(": %s %s%s%s: %s\n", d->e.level, d->e.cluster != NULL ? d->e.cluster : "",
               d->e.cluster != NULL ? ": " : "", d->e.kind, d->e.text);
    }
}

static void json_pending(struct json *j, const struct catalog_deliveries *l)
{
    json_open(j, "pending", '[');
    for (size_t i = 0; i < l->n; i++) {
        const struct catalog_delivery *d = &l->rows[i];

        json_open(j, NULL, '{');
        json_int(j, "event", d->event);
        json_time(j, "time", d->e.time_us);
        json_text(j, "level", d->e.level);
        json_text(j, "kind", d->e.kind);
        json_text(j, "cluster", d->e.cluster);
        json_text(j, "repo", d->e.repo);
        json_text(j, "message", d->e.text);
        json_uint(j, "tries", d->tries);
        json_time(j, "next_try", d->next_try_us);
        json_text(j, "error", d->error);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_words(struct json *j, const char *key, char *const *words, size_t n)
{
    json_open(j, key, '[');
    for (size_t i = 0; i < n; i++)
        json_text(j, NULL, words[i]);
    json_close(j, ']');
}

static void json_receiver(struct json *j, const struct notify_receiver *r,
                          const struct catalog_receiver *s, const struct catalog_deliveries *l)
{
    AUTO(buf_free) struct buf target = BUF_INIT;

    add_target(&target, r);
    json_open(j, NULL, '{');
    json_text(j, "receiver", r->name);
    json_text(j, "type", type_name(r));
    json_text(j, "target", buf_text(&target));
    json_words(j, "events", r->events, r->n_events);
    json_words(j, "clusters", r->clusters, r->n_clusters);
    json_uint(j, "told", s->sent);
    json_uint(j, "repeated", s->repeated);
    json_uint(j, "given_up", s->given_up);
    json_time(j, "last_told", s->last_sent_us);
    json_uint(j, "waiting", s->pending);
    json_text(j, "last_error", s->error);
    json_pending(j, l);
    json_close(j, '}');
}

static int list_one(struct app *app, struct catalog *c, const struct notify_receiver *r,
                    struct json *j, struct err *err)
{
    AUTO(catalog_receiver_free) struct catalog_receiver state = {0};
    AUTO(catalog_deliveries_free) struct catalog_deliveries pending = {0};

    TRY(catalog_get_receiver(c, r->name, &state, err));
    TRY(catalog_get_deliveries(c, r->name, DELIVERY_PENDING, PENDING_SHOWN, &pending, err));
    if (state.pending != 0 && state.error != NULL)
        app->status = EXIT_WARNINGS;
    if (j != NULL) {
        json_receiver(j, r, &state, &pending);
        return 0;
    }
    show_receiver(r, &state);
    show_pending(&pending);
    return 0;
}

static int list(struct app *app, const struct wanted *w, struct json *j, struct err *err)
{
    const struct notify_config *n = &app->config->notify;
    AUTO(catalog_close) struct catalog *c = app_catalog(app);

    if (c == NULL)
        return err_set(err, ERR_FAILED, "without the catalog nothing is known of notifications");
    for (size_t i = 0; i < n->n; i++)
        if (is_wanted(w, &n->receivers[i]))
            TRY(list_one(app, c, &n->receivers[i], w->json ? j : NULL, err));
    return 0;
}

/* ---- send ---- */

static int send_now(struct app *app, const struct wanted *w, struct json *j, struct err *err)
{
    struct notify_made made;

    TRY(notify_run(app->config, w->receiver, &app->stop, &made, err));
    if (w->json) {
        json_open(j, NULL, '{');
        json_uint(j, "sent", made.sent);
        json_uint(j, "failed", made.failed);
        json_uint(j, "waiting", made.waiting);
        json_close(j, '}');
    } else if (!app->quiet) {
        printf("%zu notification%s sent, %zu failed, %zu event%s waiting\n", made.sent,
               plural_of(made.sent), made.failed, made.waiting, plural_of(made.waiting));
    }
    if (made.busy != 0)
        log_info("another process is at work for %zu receiver%s", made.busy, plural_of(made.busy));
    if (made.failed != 0)
        app->status = EXIT_WARNINGS;
    return 0;
}

/* ---- all ---- */

typedef int action_fn(struct app *app, const struct wanted *w, struct json *j, struct err *err);

static action_fn *find_action(const char *name)
{
    static const struct {
        const char *name;
        action_fn *run;
    } actions[] = {{"test", test}, {"list", list}, {"send", send_now}};

    for (size_t i = 0; i < LENGTH(actions); i++)
        if (strcmp(actions[i].name, name) == 0)
            return actions[i].run;
    return NULL;
}

static int check_receiver(const struct app *app, const struct wanted *w, struct err *err)
{
    if (app->config->notify.n == 0)
        return err_set(err, ERR_CONFIG,
                       "the configuration \"%s\" has no receiver of notifications (key \"notify\")",
                       app->config_path);
    if (w->receiver == NULL || notify_find(&app->config->notify, w->receiver) != NULL)
        return 0;
    return err_set(err, ERR_USAGE,
                   "there is no receiver \"%.100s\"; \"pgbr notify list\" shows them", w->receiver);
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    const struct cluster_config *clusters;
    struct wanted wanted = {0};
    struct arguments args;
    action_fn *action;
    struct json j;
    size_t n;

    TRY(app_arguments(app, argc, argv, &args, on_option, &wanted, err));
    action = find_action(args.words[0]);
    if (action == NULL)
        return err_set(err, ERR_USAGE, "\"notify %.100s\" is unknown: usage is \"pgbr notify %s\"",
                       args.words[0], app->command->words);
    wanted.receiver = args.n == 2 ? args.words[1] : NULL;
    TRY(app_clusters(app, NULL, &clusters, &n, err)); /* becomes the right user */
    log_identity(NULL, NULL);
    TRY(check_receiver(app, &wanted, err));
    TRY(app_catch_signals(app, err));
    json_begin(&j, &text, true);
    if (action != send_now)
        json_open(&j, NULL, '[');
    TRY(action(app, &wanted, &j, err));
    if (action != send_now)
        json_close(&j, ']');
    if (wanted.json)
        fputs(buf_text(&text), stdout);
    return 0;
}

static const struct option_row options[] = {
    {'j', "json", NULL, "show the result as JSON"},
    {0},
};
const struct command command_notify = {
    .name = "notify",
    .run = run,
    .words = "test|list|send [RECEIVER]",
    .min_words = 1,
    .max_words = 2,
    .summary = "who is told about events: try it out, show it, send what waits",
    .options = options,
};
