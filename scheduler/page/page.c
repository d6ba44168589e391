/* page.c - the frame of the page: head, one section per cluster, the worst first. See page.h. */
#include "scheduler/page/page.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/version.h"
#include "repo/store/s3_sign.h"
#include "scheduler/page/page_parts.h"

/* ---- what the browser may do ---- */

static char *policy;
static pthread_once_t policy_once = PTHREAD_ONCE_INIT;

static void make_policy(void)
{
    struct buf text = BUF_INIT;
    uint8_t digest[32];

    sha256(page_style, strlen(page_style), digest);
    buf_adds(&text, "default-src 'none'; style-src 'sha256-");
    s3_base64(&text, digest, sizeof digest);
    buf_adds(&text, "'; img-src data:; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'");
    policy = buf_steal(&text);
}

const char *page_policy(void)
{
    pthread_once(&policy_once, make_policy);
    return policy;
}

/* ---- words ---- */

static const struct {
    const char *word, *class, *colour; /* colour: of the icon in the browser's tab */
} states[] = {
    [STATUS_UNKNOWN] = {"Not known yet", "unknown", "6b7280"},
    [STATUS_PROTECTED] = {"Protected", "good", "1a7f4b"},
    [STATUS_ATTENTION] = {"Needs attention", "warn", "b7791f"},
    [STATUS_AT_RISK] = {"At risk", "risk", "b3261e"},
};

void page_state_icon(struct page *p, enum status_word word)
{
    static const char *const shapes[] = {
        [STATUS_UNKNOWN] = "<circle cx=\"8\" cy=\"8\" r=\"7.2\"/><path d=\"M6 6.3a2 2 0 1 1 2.9 1.8"
                           "c-.6.3-.9.7-.9 1.4M8 11.6v.2\"/>",
        [STATUS_PROTECTED] = "<circle cx=\"8\" cy=\"8\" r=\"7.2\"/><path d=\"M4.7 8.3l2.3 2.3 "
                             "4.3-4.8\"/>",
        [STATUS_ATTENTION] = "<path class=\"face\" d=\"M8 1.2 15.3 14.6H.7z\"/><path d=\"M8 6v4M8 "
                             "12.2v.2\"/>",
        [STATUS_AT_RISK] = "<path class=\"face\" d=\"M5 .8h6L15.2 5v6L11 15.2H5L.8 11V5z\"/><path "
                           "d=\"M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2\"/>",
    };

    buf_addf(p->out, "<svg class=\"icon\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">%s</svg>",
             shapes[word]);
}

static enum status_word worst(const struct status *s, size_t *n)
{
    enum status_word word = s->n != 0 ? status_word(&s->clusters[0]) : STATUS_UNKNOWN;

    *n = 0;
    for (size_t i = 0; i < s->n; i++)
        word = MAX_OF(word, status_word(&s->clusters[i]));
    for (size_t i = 0; i < s->n; i++)
        *n += status_word(&s->clusters[i]) == word;
    return word;
}

/* "1 of 2 clusters is at risk", "All 3 clusters are protected" */
static void headline(struct buf *out, const struct status *s)
{
    static const char *const ends[] = {[STATUS_UNKNOWN] = "not known yet",
                                       [STATUS_PROTECTED] = "protected",
                                       [STATUS_ATTENTION] = "attention",
                                       [STATUS_AT_RISK] = "at risk"};
    size_t n;
    enum status_word word = worst(s, &n);
    const char *verb =
        word == STATUS_ATTENTION ? (n == 1 ? "needs" : "need") : (n == 1 ? "is" : "are");

    if (s->n == 1)
        html_textf(out, "%s %s %s", s->clusters[0].conf->name, verb, ends[word]);
    else if (n == s->n)
        html_textf(out, "All %zu clusters %s %s", n, verb, ends[word]);
    else
        html_textf(out, "%zu of %zu clusters %s %s", n, s->n, verb, ends[word]);
}

/* ---- the frame ---- */

static void head(struct page *p)
{
    size_t n;
    enum status_word word = worst(p->status, &n);

    buf_adds(p->out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n"
                     "<meta http-equiv=\"refresh\" content=\"60\">\n<title>");
    headline(p->out, p->status);
    html_textf(p->out, " - pgbr on %s", p->status->host);
    buf_addf(p->out,
             "</title>\n<link rel=\"icon\" href=\"data:image/svg+xml,"
             "%%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%%3E"
             "%%3Crect width='16' height='16' rx='4' fill='%%23%s'/%%3E%%3C/svg%%3E\">\n<style>%s"
             "</style>\n</head>\n",
             states[word].colour, page_style);
}

/* "CET, UTC+01:00" */
static void zone_words(struct page *p)
{
    const struct zone_type *t = zone_at(&p->zone, p->now_us / 1000000);
    int minutes = t->offset / 60;

    html_text(p->out, t->name);
    if (strcmp(t->name, "UTC") != 0)
        buf_addf(p->out, " (UTC%c%02d:%02d)", minutes < 0 ? '-' : '+', abs(minutes) / 60,
                 abs(minutes) % 60);
}

static void top(struct page *p)
{
    size_t n;
    enum status_word word = worst(p->status, &n);

    buf_addf(p->out, "<header class=\"top %s\">\n<h1>", states[word].class);
    page_state_icon(p, word);
    buf_adds(p->out, "<span>");
    headline(p->out, p->status);
    buf_adds(p->out, "</span></h1>\n<p class=\"muted\">pgbr on ");
    html_text(p->out, p->status->host);
    buf_adds(p->out, ", as of ");
    html_moment(p, p->now_us);
    buf_adds(p->out, ". Times are ");
    zone_words(p);
    buf_adds(p->out, ", the clock of this host. The page renews itself every minute.</p>\n");
    if (p->status->catalog.failure != NULL) {
        buf_adds(p->out, "<p class=\"trouble\">The catalog cannot be read, so runs, drills and "
                         "events may be missing: ");
        html_text(p->out, p->status->catalog.failure);
        buf_adds(p->out, "</p>\n");
    }
    buf_adds(p->out, "</header>\n");
}

static void contents(struct page *p, struct status_cluster *const *order)
{
    if (p->status->n < 2)
        return;
    buf_adds(p->out, "<nav aria-label=\"Clusters\"><ul>\n");
    for (size_t i = 0; i < p->status->n; i++) {
        enum status_word word = status_word(order[i]);

        buf_addf(p->out, "<li class=\"%s\"><a href=\"#%s\">", states[word].class,
                 order[i]->conf->name);
        page_state_icon(p, word);
        buf_addf(p->out, "<span><b>%s</b> %s</span></a></li>\n", states[word].word,
                 order[i]->conf->name);
    }
    buf_adds(p->out, "</ul></nav>\n");
}

/* ---- a cluster ---- */

static void version(struct page *p, const struct status_server *s)
{
    if (s->version_num == 0)
        return;
    buf_addf(p->out, ", PostgreSQL %d.%d, %s", s->version_num / 10000, s->version_num % 10000,
             s->state.in_recovery ? "standby" : "primary");
}

static void cluster(struct page *p, const struct status_cluster *c)
{
    enum status_word word = status_word(c);

    buf_addf(p->out,
             "<section class=\"cluster %s\" id=\"%s\" aria-labelledby=\"h-%s\">\n"
             "<h2 id=\"h-%s\"><span class=\"state\">",
             states[word].class, c->conf->name, c->conf->name, c->conf->name);
    page_state_icon(p, word);
    buf_addf(p->out, "%s</span> <span class=\"name\">%s</span></h2>\n<p class=\"muted\">",
             states[word].word, c->conf->name);
    html_textf(p->out, "%s, %s", c->instance, c->ip);
    version(p, &c->server);
    buf_adds(p->out, "</p>\n");
    page_problems(p, c);
    for (size_t i = 0; i < c->n_repos; i++)
        page_repo(p, c, &c->repos[i]);
    page_runs(p, c);
    page_drills(p, c);
    page_events(p, c);
    page_ages(p, c);
    buf_adds(p->out, "</section>\n");
}

static int worst_first(const void *left, const void *right)
{
    const struct status_cluster *a = *(struct status_cluster *const *)left,
                                *b = *(struct status_cluster *const *)right;
    enum status_word of_a = status_word(a), of_b = status_word(b);

    if (of_a != of_b)
        return of_a > of_b ? -1 : 1;
    return strcmp(a->conf->name, b->conf->name);
}

void page_write(const struct status *s, int64_t now_us, struct buf *out)
{
    AUTO(mem_free) struct status_cluster **order = xcalloc(s->n, sizeof *order);
    struct page p = {.out = out, .status = s, .now_us = now_us, .zone = ZONE_INIT};
    struct err ignored = {0};

    if (zone_load(&p.zone, NULL, &ignored) != 0) {
        zone_free(&p.zone);
        p.zone = (struct zone){.n_types = 1, .types = {{0, "UTC"}}};
    }
    for (size_t i = 0; i < s->n; i++)
        order[i] = &s->clusters[i];
    qsort(order, s->n, sizeof *order, worst_first);
    head(&p);
    buf_adds(out, "<body>\n");
    top(&p);
    contents(&p, order);
    buf_adds(out, "<main>\n");
    for (size_t i = 0; i < s->n; i++)
        cluster(&p, order[i]);
    buf_adds(out, "</main>\n<footer class=\"muted\">pgbr " PGBR_VERSION
                  ". The same for programs: <a href=\"/status\">JSON</a>, <a href=\"/metrics\">"
                  "Prometheus</a>.</footer>\n</body>\n</html>\n");
    zone_free(&p.zone);
}
