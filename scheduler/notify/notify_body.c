/* notify_body.c - what a receiver gets to read. */
#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/version.h"
#include "scheduler/notify/notify_send.h"

enum { LISTED_MAX = 50 }; /* events spelled out in a summary */

struct counts {
    size_t errors, warnings, infos;
};

static struct counts count(const struct notify_message *m)
{
    struct counts c = {0};

    for (size_t i = 0; i < m->n; i++) {
        const char *level = m->rows[i].e.level;

        if (strcmp(level, "error") == 0)
            c.errors++;
        else if (strcmp(level, "warning") == 0)
            c.warnings++;
        else
            c.infos++;
    }
    return c;
}

const char *notify_level(const struct notify_message *m)
{
    struct counts c = count(m);

    return c.errors != 0 ? "error" : c.warnings != 0 ? "warning" : "info";
}

const char *notify_kind(const struct notify_message *m)
{
    return m->n == 1 ? m->rows[0].e.kind : "summary";
}

/* The one cluster all events are of; NULL: several, or none. */
static const char *cluster_of(const struct notify_message *m)
{
    const char *cluster = m->rows[0].e.cluster;

    for (size_t i = 1; i < m->n && cluster != NULL; i++)
        if (m->rows[i].e.cluster == NULL || strcmp(m->rows[i].e.cluster, cluster) != 0)
            return NULL;
    return cluster;
}

static const char *instance_of(const struct notify_message *m)
{
    const char *cluster = cluster_of(m);

    for (size_t i = 0; cluster != NULL && i < m->config->n_clusters; i++)
        if (strcmp(m->config->clusters[i].name, cluster) == 0)
            return m->config->clusters[i].instance;
    return NULL;
}

static void host_name(char host[65])
{
    if (gethostname(host, 64) != 0)
        host[0] = '\0';
    host[64] = '\0';
}

static void add_count(struct buf *out, size_t n, const char *what)
{
    if (n != 0)
        buf_addf(out, "%s%zu %s%s", out->p[out->len - 1] == ':' ? " " : ", ", n, what,
                 n == 1 ? "" : "s");
}

static void add_summary(struct buf *out, const struct notify_message *m)
{
    struct counts c = count(m);

    buf_addf(out, "%zu events together, because many came at once:", m->n);
    add_count(out, c.errors, "error");
    add_count(out, c.warnings, "warning");
    add_count(out, c.infos, "notice");
    buf_addf(out, "; the last: %s: %s", m->rows[m->n - 1].e.kind, m->rows[m->n - 1].e.text);
}

void notify_line(const struct notify_message *m, struct buf *out)
{
    const struct catalog_delivery *d = &m->rows[0];
    const char *cluster = cluster_of(m);

    for (const char *p = notify_level(m); *p != '\0'; p++)
        buf_addc(out, (char)toupper((unsigned char)*p));
    if (cluster != NULL)
        buf_addf(out, " %s", cluster);
    buf_adds(out, ": ");
    if (m->n > 1) {
        add_summary(out, m);
        return;
    }
    buf_addf(out, "%s: %s", d->e.kind, d->e.text);
    if (d->recovered)
        buf_adds(out, " (recovered)");
    if (d->repeats != 0)
        buf_addf(out, " (%u more of this since it was last told)", d->repeats);
}

static void add_event(struct json *j, const struct catalog_delivery *d)
{
    json_int(j, "id", d->event);
    json_time(j, "time", d->e.time_us);
    json_text(j, "level", d->e.level);
    json_text(j, "kind", d->e.kind);
    json_text(j, "cluster", d->e.cluster);
    json_text(j, "repo", d->e.repo);
    json_text(j, "job", d->e.job);
    json_text(j, "message", d->e.text);
    json_bool(j, "recovered", d->recovered);
    json_uint(j, "repeats", d->repeats);
}

static void add_events(struct json *j, const struct notify_message *m)
{
    struct counts c = count(m);

    json_int(j, "id", m->rows[0].event);
    json_time(j, "time", m->rows[m->n - 1].e.time_us);
    json_text(j, "level", notify_level(m));
    json_text(j, "kind", "summary");
    json_text(j, "cluster", cluster_of(m));
    json_uint(j, "errors", c.errors);
    json_uint(j, "warnings", c.warnings);
    json_uint(j, "infos", c.infos);
    json_open(j, "events", '[');
    for (size_t i = 0; i < MIN_OF(m->n, (size_t)LISTED_MAX); i++) {
        json_open(j, NULL, '{');
        add_event(j, &m->rows[i]);
        json_close(j, '}');
    }
    json_close(j, ']');
}

void notify_body(const struct notify_message *m, struct buf *out)
{
    AUTO(buf_free) struct buf line = BUF_INIT;
    struct json j;
    char host[65];

    host_name(host);
    notify_line(m, &line);
    json_begin(&j, out, false);
    json_open(&j, NULL, '{');
    json_text(&j, "text", buf_text(&line));
    if (m->n == 1)
        add_event(&j, &m->rows[0]);
    else
        add_events(&j, m);
    json_text(&j, "instance", instance_of(m));
    json_text(&j, "host", host);
    json_text(&j, "receiver", m->rows[0].receiver);
    json_bool(&j, "test", m->test);
    json_text(&j, "sender", "pgbr " PGBR_VERSION);
    json_close(&j, '}');
}
