/* page_repo.c - what the page says of one repository: what one can rely on, the picture, lists. */
#include <string.h>

#include "base/clock.h"
#include "scheduler/page/page_parts.h"
#include "scheduler/status/forecast.h"

enum { BACKUPS_SHOWN = 100 };

const char *page_type_word(enum backup_type type)
{
    return type == BACKUP_FULL ? "full" : type == BACKUP_DIFF ? "differential" : "incremental";
}

/* ---- facts ---- */

static void fact(struct page *p, const char *name, const char *class)
{
    buf_addf(p->out, "<div><dt>%s</dt><dd class=\"%s\">", name, class);
}

static void fact_end(struct page *p)
{
    buf_adds(p->out, "</dd></div>\n");
}

static void fact_window(struct page *p, const struct status_repo *r)
{
    const struct window *w = forecast_last(r);

    fact(p, "You can go back to any moment", "big");
    if (r->view.sealed) {
        buf_adds(p->out, "not known<small>The repository is encrypted, and its key is not to be "
                         "had here.</small>");
    } else if (w == NULL) {
        buf_adds(p->out, "<span class=\"bad\">none can be had back</span>");
    } else {
        bool open = view_newest(&r->view) != NULL;

        buf_adds(p->out, open ? "from " : "<span class=\"bad\">only from ");
        html_span(p, w->start_us, w->end_us);
        buf_adds(p->out, open ? "<small>The last one is of " : "</span><small>It ends ");
        html_ago(p, w->end_us);
        buf_adds(p->out, open ? ".</small>" : ": something is missing behind it.</small>");
    }
    fact_end(p);
}

/* What stands behind an amount of time. */
static void loss_note(struct page *p, const struct status_cluster *c, const struct status_repo *r)
{
    char text[24];
    struct exposure e;

    forecast_exposure(c, r, &e);
    if (e.asked)
        buf_addf(p->out, "<small>%s of WAL were written since.</small>",
                 format_bytes(e.bytes, text));
    else if (e.elsewhere)
        buf_adds(p->out, "<small>What the server has written since is not known: it is another "
                         "cluster, or on another timeline, than the newest WAL here.</small>");
    else if (c->server.read.failure != NULL)
        buf_adds(p->out, "<small>What was committed since, if anything: the server does not "
                         "answer.</small>");
    else
        buf_adds(p->out, "<small>What was committed since.</small>");
}

static void fact_loss(struct page *p, const struct status_cluster *c, const struct status_repo *r)
{
    char text[40];
    int64_t us;

    fact(p, "Lost if the server were gone now", "big");
    if (!forecast_rpo(c, r, p->now_us, &us)) {
        buf_adds(p->out, r->view.sealed ? "not known" : "<span class=\"bad\">everything</span>");
    } else if (us == 0) {
        buf_adds(p->out, "nothing<small>All that was committed is archived.</small>");
    } else {
        buf_addf(p->out, "<span class=\"%s\">at most %s</span>",
                 view_newest(&r->view) != NULL ? "" : "bad",
                 words_duration(us / 1000000 * 1000000, text));
        loss_note(p, c, r);
    }
    fact_end(p);
}

static void fact_return(struct page *p, const struct status_repo *r)
{
    const struct expected *e = &r->view.expected;
    char text[40];
    bool sure = false;
    int64_t us = view_expected_us(&r->view, &sure);

    fact(p, "Back in", "big");
    if (us == 0) {
        buf_adds(p->out, "not measured<small>No drill has passed yet.</small>");
    } else {
        buf_addf(p->out, "about %s%s<small>as measured by %u drill%s, the last ",
                 words_duration(us, text), sure ? "" : ", or longer", e->drills,
                 e->drills == 1 ? "" : "s");
        html_ago(p, e->newest_us);
        buf_adds(p->out, "</small>");
    }
    fact_end(p);
}

static void fact_backup(struct page *p, const struct status_repo *r)
{
    const struct pubinfo *b = status_newest(r, 0);
    char size[24], took[40];

    fact(p, "Newest backup", "big");
    if (b == NULL) {
        buf_adds(p->out, "<span class=\"bad\">none</span>");
    } else {
        html_ago(p, b->stop_us);
        buf_addf(p->out, "<small>%s, of %s, took %s</small>", page_type_word(b->type),
                 format_bytes(b->raw_bytes, size), words_duration(b->stop_us - b->start_us, took));
    }
    fact_end(p);
}

static void facts(struct page *p, const struct status_cluster *c, const struct status_repo *r)
{
    buf_adds(p->out, "<dl class=\"facts\">\n");
    fact_window(p, r);
    fact_loss(p, c, r);
    fact_return(p, r);
    fact_backup(p, r);
    buf_adds(p->out, "</dl>\n");
}

/* ---- windows and holes, in the order of time ---- */

static void span_window(struct page *p, const struct window *w)
{
    buf_adds(p->out, "<li>");
    html_span(p, w->start_us, w->end_us);
    buf_adds(p->out, w->end_us > w->start_us ? ": any moment" : ": the end of the backup only");
    if (w->aside)
        buf_addf(p->out, ", on timeline %u, which was left (--target-timeline)", w->timeline);
    buf_adds(p->out, "</li>\n");
}

/* Before the first backup there is nothing to miss. */
static bool is_told(const struct hole *h)
{
    return h->kind != HOLE_BEFORE;
}

static bool has_holes(const struct windows *w)
{
    for (size_t i = 0; i < w->n_holes; i++)
        if (is_told(&w->holes[i]))
            return true;
    return false;
}

static void span_hole(struct page *p, const struct hole *h)
{
    if (!is_told(h))
        return;
    buf_adds(p->out, h->expired || h->kind == HOLE_CLUSTER ? "<li>" : "<li class=\"no\">");
    if (h->kind != HOLE_BACKUP && h->to_us != 0) {
        html_span(p, h->from_us, h->to_us);
        buf_adds(p->out, ": no moment. ");
    } else if (h->kind != HOLE_BACKUP) {
        html_moment(p, h->from_us);
        buf_adds(p->out, " until now: no moment. ");
    }
    html_text(p->out, h->why);
    if (h->expired)
        buf_adds(p->out, " (as retention says)");
    buf_adds(p->out, "</li>\n");
}

static void spans(struct page *p, const struct status_repo *r)
{
    const struct windows *w = &r->view.windows;
    size_t hole = 0;

    if (w->n <= 1 && !has_holes(w))
        return; /* all is said */
    buf_adds(p->out, "<h4>You can go back to</h4>\n<ul class=\"spans\">\n");
    for (size_t i = 0; i < w->n; i++) {
        while (hole < w->n_holes && w->holes[hole].kind != HOLE_BACKUP &&
               w->holes[hole].from_us < w->items[i].start_us)
            span_hole(p, &w->holes[hole++]);
        span_window(p, &w->items[i]);
    }
    while (hole < w->n_holes)
        span_hole(p, &w->holes[hole++]);
    buf_adds(p->out, "</ul>\n");
}

/* ---- the list of backups ---- */

static void backup_row(struct page *p, const struct status_cluster *c, const struct status_repo *r,
                       const struct pubinfo *b)
{
    const struct catalog_backup *row = status_recorded(c, r, b->label);
    const struct backup_mark *mark = view_mark(&r->view, b->label);
    char raw[24], stored[24], took[40];

    buf_addf(p->out, "<tr><td>");
    html_moment(p, b->stop_us);
    buf_addf(p->out,
             "</td><td>%s%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td>"
             "<td class=\"n\">%s</td><td>",
             page_type_word(b->type), mark != NULL && mark->held ? ", held" : "",
             format_bytes(b->raw_bytes, raw), format_bytes(b->stored_bytes, stored),
             words_duration(b->stop_us - b->start_us, took));
    if (b->page_errors != 0)
        buf_addf(p->out, "<span class=\"bad\">%llu damaged pages</span> ",
                 (unsigned long long)b->page_errors);
    if (row != NULL && row->verified_us != 0 && row->verify_problems != 0)
        buf_addf(p->out, "<span class=\"bad\">verification found %llu problems</span>",
                 (unsigned long long)row->verify_problems);
    else if (row != NULL && row->verified_us != 0) {
        buf_adds(p->out, "verified ");
        html_ago(p, row->verified_us);
    } else {
        buf_adds(p->out, "not verified");
    }
    buf_addf(p->out, "</td><td class=\"muted\">%s</td></tr>\n", b->label);
}

static void backups(struct page *p, const struct status_cluster *c, const struct status_repo *r)
{
    const struct backup_list *l = &r->view.backups;
    size_t shown = MIN_OF(l->n, (size_t)BACKUPS_SHOWN);

    if (l->n == 0)
        return;
    buf_addf(p->out,
             "<details><summary>%zu backup%s</summary>\n<div class=\"scroll\" tabindex=\"0\" "
             "role=\"region\" aria-label=\"Backups in %s\"><table>\n<thead><tr><th>Finished</th>"
             "<th>Type</th><th class=\"n\">Cluster</th><th class=\"n\">Stored</th>"
             "<th class=\"n\">Took</th><th>Verified</th><th>Label</th></tr></thead><tbody>\n",
             l->n, l->n == 1 ? "" : "s", r->name);
    for (size_t i = 0; i < shown; i++)
        backup_row(p, c, r, &l->items[l->n - 1 - i]);
    buf_adds(p->out, "</tbody></table></div>\n");
    if (shown < l->n)
        buf_addf(p->out, "<p class=\"muted\">and %zu older ones</p>\n", l->n - shown);
    buf_adds(p->out, "</details>\n");
}

/* ---- all of it ---- */

static void title(struct page *p, const struct status_repo *r)
{
    char left[24], whole[24];

    buf_addf(p->out, "<h3>Repository %s</h3>\n<p class=\"muted\">", r->name);
    if (r->location != NULL) {
        html_text(p->out, r->location);
        buf_adds(p->out, r->encrypted ? ", encrypted" : ", not encrypted");
    }
    if (!r->required)
        buf_adds(p->out, r->location != NULL ? ", optional" : "optional");
    if (r->has_space)
        buf_addf(p->out, ", %s of %s free", format_bytes(r->free_bytes, left),
                 format_bytes(r->disk_bytes, whole));
    buf_adds(p->out, "</p>\n");
}

static void trouble(struct page *p, const struct status_repo *r)
{
    if (r->read.tried_us == 0) {
        buf_adds(p->out, "<p class=\"calm\">It is being read.</p>\n");
        return;
    }
    if (r->read.failure == NULL)
        return;
    buf_adds(p->out, "<p class=\"trouble\">It could not be read ");
    html_ago(p, r->read.tried_us);
    if (r->read.read_us != 0) {
        buf_adds(p->out, "; what follows is from ");
        html_ago(p, r->read.read_us);
    }
    buf_adds(p->out, ": ");
    html_text(p->out, r->read.failure);
    buf_adds(p->out, "</p>\n");
}

void page_repo(struct page *p, const struct status_cluster *c, const struct status_repo *r)
{
    title(p, r);
    trouble(p, r);
    if (r->read.read_us == 0)
        return;
    facts(p, c, r);
    page_timeline(p, r);
    spans(p, r);
    backups(p, c, r);
}
