/* page_history.c - what the page says of a cluster as a whole: problems, runs, drills, events. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "scheduler/page/page_parts.h"
#include "scheduler/status/plan.h"

enum { RUNS_SHOWN = 20, DRILLS_SHOWN = 12, EVENTS_SHOWN = 10 };

/* ---- problems ---- */

static void finding(struct page *p, const struct finding *f)
{
    bool failed = f->level == FINDING_FAILED;

    buf_addf(p->out, "<li class=\"%s\">", failed ? "risk" : "warn");
    page_state_icon(p, failed ? STATUS_AT_RISK : STATUS_ATTENTION);
    buf_adds(p->out, "<div><p><b>");
    html_textf(p->out, "%c%s", toupper((unsigned char)f->kind[0]), f->kind + 1);
    if (f->repo != NULL)
        html_textf(p->out, " (%s)", f->repo);
    buf_adds(p->out, "</b>: ");
    html_text(p->out, f->text);
    buf_adds(p->out, "</p>");
    if (f->todo != NULL) {
        buf_adds(p->out, "<p class=\"todo\"><b>What to do:</b> ");
        html_text(p->out, f->todo);
        buf_adds(p->out, "</p>");
    }
    buf_adds(p->out, "</div></li>\n");
}

static void what_is_well(struct page *p, const struct findings *l)
{
    if (l->counts[FINDING_OK] == 0)
        return;
    buf_addf(p->out, "<details><summary>%u thing%s looked at and well</summary>\n<ul>\n",
             l->counts[FINDING_OK], l->counts[FINDING_OK] == 1 ? "" : "s");
    for (size_t i = 0; i < l->n; i++) {
        if (l->items[i].level != FINDING_OK)
            continue;
        buf_adds(p->out, "<li>");
        html_text(p->out, l->items[i].kind);
        if (l->items[i].repo != NULL)
            html_textf(p->out, " (%s)", l->items[i].repo);
        buf_adds(p->out, ": ");
        html_text(p->out, l->items[i].text);
        buf_adds(p->out, "</li>\n");
    }
    buf_adds(p->out, "</ul></details>\n");
}

void page_problems(struct page *p, const struct status_cluster *c)
{
    const struct findings *l = &c->findings;

    if (c->judged_us == 0)
        return;
    if (l->counts[FINDING_FAILED] + l->counts[FINDING_WARNING] == 0) {
        if (status_word(c) == STATUS_PROTECTED)
            buf_adds(p->out, "<p class=\"calm\">Nothing needs you.</p>\n");
    } else {
        buf_adds(p->out, "<ul class=\"problems\" aria-label=\"Problems\">\n");
        for (size_t i = 0; i < l->n; i++)
            if (l->items[i].level != FINDING_OK)
                finding(p, &l->items[i]);
        buf_adds(p->out, "</ul>\n");
    }
    what_is_well(p, l);
}

/* ---- runs ---- */

static void outcome(struct page *p, const struct plan_task *t)
{
    const struct catalog_run *run = t->ended;

    if (t->running != NULL) {
        buf_adds(p->out, "runs since ");
        html_moment(p, t->running->started_us);
        return;
    }
    if (t->died != NULL) {
        buf_adds(p->out, "<span class=\"bad\">failed</span>: ended without a word");
        return;
    }
    if (run == NULL)
        return;
    if (run->exit_status == 0)
        buf_adds(p->out, "done");
    else if (run->exit_status == 3)
        buf_adds(p->out, "<span class=\"iffy\">done, with warnings</span>");
    else
        buf_adds(p->out, "<span class=\"bad\">failed</span>");
    if (run->message != NULL && run->message[0] != '\0') {
        buf_adds(p->out, ": ");
        html_text(p->out, run->message);
    }
}

static void task(struct page *p, const struct plan_task *t)
{
    char took[40] = "";

    if (t->ended != NULL)
        words_duration(t->ended->finished_us - t->ended->started_us, took);
    buf_adds(p->out, "<tr><th scope=\"row\">");
    html_text(p->out, t->job != NULL ? t->job : t->command);
    buf_adds(p->out, t->job != NULL ? "" : " <span class=\"muted\">by hand or cron</span>");
    buf_adds(p->out, "</th><td data-name=\"last run\">");
    if (t->last != NULL)
        html_ago(p, t->last->started_us);
    else
        buf_adds(p->out, "never");
    buf_adds(p->out, "</td><td data-name=\"how it ended\">");
    outcome(p, t);
    if (t->waits != NULL) {
        buf_adds(p->out, "<br><span class=\"iffy\">waits</span>: ");
        html_text(p->out, t->waits);
    }
    buf_addf(p->out, "</td><td class=\"n\" data-name=\"took\">%s</td><td data-name=\"next run\">",
             took);
    if (t->next_us != 0)
        html_ago(p, t->next_us);
    buf_adds(p->out, "</td></tr>\n");
}

void page_runs(struct page *p, const struct status_cluster *c)
{
    AUTO(mem_free) struct plan_task *tasks = NULL;
    size_t n = plan_tasks(p->status, c, p->now_us, &tasks);

    if (n == 0)
        return;
    buf_adds(p->out, "<h3>Runs</h3>\n<table class=\"cards\">\n<thead><tr><th>Job</th><th>Last "
                     "run</th><th>How it ended</th><th class=\"n\">Took</th><th>Next run</th></tr>"
                     "</thead><tbody>\n");
    for (size_t i = 0; i < MIN_OF(n, (size_t)RUNS_SHOWN); i++)
        task(p, &tasks[i]);
    buf_adds(p->out, "</tbody></table>\n");
}

/* ---- drills ---- */

static bool has_outcome(const struct catalog_drill *d)
{
    return d->outcome != NULL &&
           (strcmp(d->outcome, "passed") == 0 || strcmp(d->outcome, "failed") == 0);
}

static bool passed(const struct catalog_drill *d)
{
    return strcmp(d->outcome, "passed") == 0;
}

static int64_t recovery_us(const struct catalog_drill *d)
{
    return d->recovered_us != 0 ? d->recovered_us - d->started_us : 0;
}

static void last_drill(struct page *p, const struct catalog_drill *d)
{
    char text[40];

    buf_adds(p->out, "<p>The last one ");
    buf_adds(p->out, passed(d) ? "passed " : "<span class=\"bad\">failed</span> ");
    html_ago(p, d->started_us);
    if (d->recovered_us != 0)
        buf_addf(p->out, "; a server answered after %s", words_duration(recovery_us(d), text));
    if (d->target != NULL) {
        buf_adds(p->out, ". Target: ");
        html_text(p->out, d->target);
    }
    if (d->repo != NULL)
        html_textf(p->out, ", from repository %s", d->repo);
    buf_adds(p->out, ".</p>\n");
}

/* list: newest first. */
static void trend(struct page *p, const struct catalog_drill **list, size_t n)
{
    int64_t most = 1;
    double step = 100.0 / DRILLS_SHOWN;
    char text[40];

    for (size_t i = 0; i < n; i++)
        most = MAX_OF(most, recovery_us(list[i]));
    buf_addf(p->out,
             "<svg class=\"trend\" role=\"img\" aria-label=\"Time until a server answered in the "
             "last %zu drills, oldest first; the longest took %s\">\n",
             n, words_duration(most, text));
    for (size_t i = 0; i < n; i++) {
        const struct catalog_drill *d = list[n - 1 - i];
        double x = (double)i * step + step * 0.15,
               height = 4 + 46.0 * (double)recovery_us(d) / (double)most;

        if (passed(d))
            buf_addf(p->out,
                     "<rect class=\"bar\" x=\"%.2f%%\" y=\"%.1f\" width=\"%.2f%%\" "
                     "height=\"%.1f\" rx=\"2\"><title>%s</title></rect>\n",
                     x, 54 - height, step * 0.7, height, words_duration(recovery_us(d), text));
        else
            buf_addf(p->out,
                     "<svg x=\"%.2f%%\" y=\"46\" overflow=\"visible\"><path class=\"cross\" "
                     "d=\"M-5 -5 5 5M5 -5-5 5\"><title>failed</title></path></svg>\n",
                     x + step * 0.35);
    }
    buf_addf(p->out,
             "<text x=\"0\" y=\"70\">time until a server answered; the longest: %s</text>\n"
             "</svg>\n",
             words_duration(most, text));
}

void page_drills(struct page *p, const struct status_cluster *c)
{
    const struct catalog_drill *list[DRILLS_SHOWN];
    size_t n = 0;

    for (size_t i = 0; i < c->history.drills.n && n < DRILLS_SHOWN; i++)
        if (has_outcome(&c->history.drills.rows[i]))
            list[n++] = &c->history.drills.rows[i];
    buf_adds(p->out, "<h3>Restore drills</h3>\n");
    if (n == 0) {
        buf_adds(p->out, "<p>None yet. Whether a backup restores is known only after it was "
                         "restored: <code>pgbr drill</code>.</p>\n");
        return;
    }
    last_drill(p, list[0]);
    if (n > 1)
        trend(p, list, n);
}

/* ---- events ---- */

void page_events(struct page *p, const struct status_cluster *c)
{
    const struct catalog_events *l = &c->history.events;

    if (l->n == 0)
        return;
    buf_adds(p->out, "<details><summary>Last events</summary>\n<ul class=\"spans\">\n");
    for (size_t i = 0; i < MIN_OF(l->n, (size_t)EVENTS_SHOWN); i++) {
        buf_adds(p->out, "<li>");
        html_moment(p, l->rows[i].time_us);
        html_textf(p->out, " %s, %s: ", l->rows[i].level, l->rows[i].kind);
        html_text(p->out, l->rows[i].text);
        buf_adds(p->out, "</li>\n");
    }
    buf_adds(p->out, "</ul></details>\n");
}

/* ---- ages ---- */

static void age(struct page *p, const char *what, const struct status_read *r)
{
    html_textf(p->out, "%s ", what);
    if (r->tried_us == 0)
        buf_adds(p->out, "not looked at yet");
    else
        html_ago(p, r->read_us);
    if (r->failure != NULL) {
        buf_adds(p->out, " (last tried ");
        html_ago(p, r->tried_us);
        buf_adds(p->out, ")");
    }
}

void page_ages(struct page *p, const struct status_cluster *c)
{
    buf_adds(p->out, "<p class=\"muted ages\">How old this is: ");
    age(p, "catalog read", &p->status->catalog);
    age(p, "; server answered", &c->server.read);
    for (size_t i = 0; i < c->n_repos; i++) {
        buf_adds(p->out, "; repository ");
        age(p, c->repos[i].name, &c->repos[i].read);
    }
    buf_adds(p->out, ".</p>\n");
}
