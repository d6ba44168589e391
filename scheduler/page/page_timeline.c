/*
 * page_timeline.c - backups, WAL and the moments one can go back to, on one axis of time.
 *
 * Places are in percent across and in pixels downwards: so the picture stretches with the window
 * while its text and marks keep their size. Kinds of backups differ in shape, holes are crossed
 * out: nothing is told by colour alone. What is thinner than can be seen is drawn wider.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "scheduler/page/page_parts.h"

#define DAY_US INT64_C(86400000000)
#define LEFT 1.2 /* percent: marks at the edges stay whole */
#define WIDTH 97.6
#define THIN 0.5
#define THIN_HOLE 1.6

enum {
    DAYS_MAX = 60, /* older ones are only counted */
    TICKS_MAX = 6,
    LANE_TEXT = 14, /* pixels */
    LANE_BODY = 18,
    LANE = LANE_TEXT + LANE_BODY + 10,
    AXIS = 24,
};

struct axis {
    struct page *p;
    int64_t from_us, to_us;
    size_t before; /* backups that lie before it */
};

static double at(const struct axis *a, int64_t us)
{
    int64_t inside = MIN_OF(MAX_OF(us, a->from_us), a->to_us);

    return LEFT + WIDTH * (double)(inside - a->from_us) / (double)(a->to_us - a->from_us);
}

/* ---- what it spans ---- */

static void reach(int64_t *from_us, int64_t us)
{
    if (us != 0 && us < *from_us)
        *from_us = us;
}

static struct axis axis_of(struct page *p, const struct status_repo *r)
{
    const struct view *v = &r->view;
    struct axis a = {.p = p, .from_us = p->now_us - 60 * INT64_C(1000000), .to_us = p->now_us};

    for (size_t i = 0; i < v->backups.n; i++)
        reach(&a.from_us, v->backups.items[i].stop_us);
    for (size_t i = 0; i < v->n_lines; i++)
        reach(&a.from_us, v->lines[i].stretch.first_us);
    for (size_t i = 0; i < v->windows.n; i++)
        reach(&a.from_us, v->windows.items[i].start_us);
    a.from_us = MAX_OF(a.from_us, p->now_us - DAYS_MAX * DAY_US);
    for (size_t i = 0; i < v->backups.n; i++)
        a.before += v->backups.items[i].stop_us < a.from_us;
    return a;
}

/* ---- the axis ---- */

/* The first of these steps that needs few enough ticks. */
static int64_t step_of(const struct axis *a)
{
    static const int64_t steps_s[] = {10,    30,    60,    300,   900,    1800,   3600,
                                      10800, 21600, 43200, 86400, 172800, 604800, 1209600};
    size_t i = 0;

    while (i + 1 < LENGTH(steps_s) && (a->to_us - a->from_us) / 1000000 / steps_s[i] > TICKS_MAX)
        i++;
    return steps_s[i];
}

static void tick(const struct axis *a, int64_t us, int64_t step_s, bool minor)
{
    struct page *p = a->p;
    struct tm tm = page_clock(p, us);
    bool midnight = tm.tm_hour == 0 && tm.tm_min == 0 && tm.tm_sec == 0;
    char text[40];
    double x = at(a, us);

    strftime(text, sizeof text,
             step_s >= 86400 || midnight ? "%-d %b"
             : step_s >= 60              ? "%H:%M"
                                         : "%T",
             &tm);
    buf_addf(p->out, "<g%s><line class=\"grid\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"%d\"/>",
             minor ? " class=\"minor\"" : "", x, x, 3 * LANE);
    if (x > 5 && x < 87)
        buf_addf(p->out, "<text x=\"%.2f%%\" y=\"%d\" text-anchor=\"middle\">%s</text>", x,
                 3 * LANE + 14, text);
    buf_adds(p->out, "</g>\n");
}

/* At whole steps of the clock that the page shows. */
static void ticks(const struct axis *a)
{
    int64_t step_s = step_of(a), offset = zone_at(&a->p->zone, a->from_us / 1000000)->offset;
    int64_t first = (a->from_us / 1000000 + offset + step_s - 1) / step_s * step_s - offset;
    unsigned n = 0;

    for (int64_t s = first; s * 1000000 <= a->to_us; s += step_s)
        tick(a, s * 1000000, step_s, n++ % 2 != 0);
    buf_addf(a->p->out,
             "<line class=\"now\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"%d\"/>"
             "<text x=\"%.2f%%\" y=\"%d\" text-anchor=\"end\">now</text>\n",
             at(a, a->to_us), at(a, a->to_us), 3 * LANE, LEFT + WIDTH, 3 * LANE + 14);
}

/* ---- lanes ---- */

static int body_of(int lane)
{
    return lane * LANE + LANE_TEXT + 4;
}

static void bed(const struct axis *a, int number)
{
    buf_addf(a->p->out,
             "<rect class=\"bed\" x=\"0\" y=\"%d\" width=\"100%%\" height=\"%d\" rx=\"3\"/>\n",
             body_of(number), LANE_BODY);
}

static void name(const struct axis *a, int number, const char *text)
{
    buf_addf(a->p->out, "<text class=\"lane\" x=\"0\" y=\"%d\">%s</text>\n",
             number * LANE + LANE_TEXT - 2, text);
}

static void bar(const struct axis *a, int number, const char *class, int64_t from_us, int64_t to_us)
{
    double x = at(a, from_us), width = at(a, to_us) - x;

    if (to_us < a->from_us)
        return;
    if (width < THIN) {
        x = MAX_OF(x - (THIN - width) / 2, 0.0);
        width = THIN;
    }
    buf_addf(a->p->out,
             "<rect class=\"%s\" x=\"%.2f%%\" y=\"%d\" width=\"%.2f%%\" height=\"%d\" rx=\"2\">",
             class, x, body_of(number) + 3, width, LANE_BODY - 6);
}

static void bar_end(const struct axis *a)
{
    buf_adds(a->p->out, "</rect>\n");
}

static void hole(const struct axis *a, int number, int64_t from_us, int64_t to_us, const char *why)
{
    double x = at(a, from_us), width = at(a, to_us) - x;
    int y = body_of(number);

    if (to_us < a->from_us)
        return;
    if (width < THIN_HOLE) {
        x = MIN_OF(MAX_OF(x - (THIN_HOLE - width) / 2, 0.0), 100 - THIN_HOLE);
        width = THIN_HOLE;
    }
    buf_addf(a->p->out, "<g><title>hole: ");
    html_text(a->p->out, why);
    buf_addf(a->p->out,
             "</title><rect class=\"hole\" x=\"%.2f%%\" y=\"%d\" width=\"%.2f%%\" height=\"%d\"/>"
             "<svg x=\"%.2f%%\" y=\"%d\" overflow=\"visible\"><path class=\"cross\" "
             "d=\"M-4 -4 4 4M4 -4-4 4\"/></svg></g>\n",
             x, y + 1, width, LANE_BODY - 2, x + width / 2, y + LANE_BODY / 2);
}

static void shape(struct buf *out, enum backup_type type)
{
    if (type == BACKUP_FULL)
        buf_adds(out,
                 "<rect class=\"full\" x=\"-6\" y=\"-6\" width=\"12\" height=\"12\" rx=\"1\">");
    else if (type == BACKUP_DIFF)
        buf_adds(out, "<path class=\"diff\" d=\"M0-6 6 0 0 6-6 0z\">");
    else
        buf_adds(out, "<circle class=\"incr\" r=\"4\">");
}

static void shape_end(struct buf *out, enum backup_type type)
{
    buf_adds(out, type == BACKUP_FULL ? "</rect>" : type == BACKUP_DIFF ? "</path>" : "</circle>");
}

static void backup(const struct axis *a, const struct pubinfo *b)
{
    struct tm tm = page_clock(a->p, b->stop_us);
    char when[40];

    if (b->stop_us < a->from_us)
        return;
    strftime(when, sizeof when, "%-d %b %T", &tm);
    buf_addf(a->p->out, "<svg x=\"%.2f%%\" y=\"%d\" overflow=\"visible\">", at(a, b->stop_us),
             body_of(0) + LANE_BODY / 2);
    shape(a->p->out, b->type);
    buf_addf(a->p->out, "<title>%s backup, %s</title>", page_type_word(b->type), when);
    shape_end(a->p->out, b->type);
    buf_adds(a->p->out, "</svg>\n");
}

/* Full ones last: they are what the others rest on, and must not be hidden by them. */
static void backups(const struct axis *a, const struct backup_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i].type != BACKUP_FULL)
            backup(a, &l->items[i]);
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i].type == BACKUP_FULL)
            backup(a, &l->items[i]);
}

/* Where a gap lies in time: between what was stored before it and behind it. */
static void gap(const struct axis *a, const struct view *v, const struct wal_gap *g)
{
    int64_t from_us = 0, to_us = a->to_us;

    for (size_t i = 0; i < v->n_lines; i++) {
        const struct wal_stretch *s = &v->lines[i].stretch;

        if (s->timeline != g->timeline || v->lines[i].id.system_id != g->system_id)
            continue;
        if (s->last_segno < g->first_segno)
            from_us = MAX_OF(from_us, s->last_us);
        else if (s->first_segno > g->last_segno)
            to_us = MIN_OF(to_us, s->first_us);
    }
    hole(a, 1, from_us != 0 ? from_us : to_us, to_us, "WAL is missing");
}

static void wal(const struct axis *a, const struct view *v)
{
    for (size_t i = 0; i < v->n_lines; i++) {
        const struct wal_stretch *s = &v->lines[i].stretch;

        bar(a, 1, "wal", s->first_us, s->last_us);
        buf_addf(a->p->out, "<title>%llu segments of timeline %u</title>",
                 (unsigned long long)(s->last_segno - s->first_segno + 1), s->timeline);
        bar_end(a);
    }
    for (size_t i = 0; i < v->n_gaps; i++)
        gap(a, v, &v->gaps[i]);
}

static void windows(const struct axis *a, const struct view *v)
{
    for (size_t i = 0; i < v->windows.n; i++) {
        const struct window *w = &v->windows.items[i];

        bar(a, 2, w->aside ? "aside" : "window", w->start_us, w->end_us);
        bar_end(a);
    }
    for (size_t i = 0; i < v->windows.n_holes; i++) {
        const struct hole *h = &v->windows.holes[i];

        if (h->from_us != 0 && !h->expired && h->kind != HOLE_CLUSTER && h->kind != HOLE_BACKUP)
            hole(a, 2, h->from_us, h->to_us != 0 ? h->to_us : a->to_us, h->why);
    }
}

/* ---- in words, for those who do not see it ---- */

static size_t count_type(const struct backup_list *l, enum backup_type type)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += l->items[i].type == type;
    return n;
}

static void describe(const struct axis *a, const struct status_repo *r)
{
    const struct view *v = &r->view;
    struct tm tm = page_clock(a->p, a->from_us);
    char from[40];

    strftime(from, sizeof from, "%-d %b %Y %H:%M", &tm);
    buf_addf(a->p->out,
             "Timeline of repository %s from %s to now: %zu full, %zu differential, %zu "
             "incremental backups; ",
             r->name, from, count_type(&v->backups, BACKUP_FULL),
             count_type(&v->backups, BACKUP_DIFF), count_type(&v->backups, BACKUP_INCR));
    if (v->n_gaps == 0)
        buf_adds(a->p->out, v->n_lines == 0 ? "no WAL." : "WAL without a hole.");
    else
        buf_addf(a->p->out, "%zu hole%s in the WAL.", v->n_gaps, v->n_gaps == 1 ? "" : "s");
}

/* ---- all of it ---- */

static void sample(struct page *p, enum backup_type type)
{
    buf_adds(p->out, "<span><svg viewBox=\"-7 -7 14 14\" aria-hidden=\"true\">");
    shape(p->out, type);
    shape_end(p->out, type);
    buf_addf(p->out, "</svg>%s backup</span>\n", page_type_word(type));
}

void page_legend(struct page *p, const struct status_repo *r)
{
    const struct view *v = &r->view;

    buf_adds(p->out, "<figcaption>\n");
    for (const enum backup_type *t = (enum backup_type[]){BACKUP_FULL, BACKUP_DIFF, BACKUP_INCR, 0};
         *t != 0; t++)
        if (count_type(&v->backups, *t) != 0)
            sample(p, *t);
    if (v->n_gaps != 0 || v->windows.n_holes > 1)
        buf_adds(p->out,
                 "<span><svg viewBox=\"-7 -7 14 14\" aria-hidden=\"true\"><rect class=\"hole\" "
                 "x=\"-6\" y=\"-6\" width=\"12\" height=\"12\"/><path class=\"cross\" d=\"M-4 -4 4 "
                 "4M4 -4-4 4\"/></svg>hole</span>\n");
    buf_adds(p->out, "</figcaption>\n");
}

void page_timeline(struct page *p, const struct status_repo *r)
{
    struct axis a = axis_of(p, r);

    if (r->view.backups.n == 0 && r->view.n_lines == 0)
        return;
    buf_addf(p->out, "<figure>\n<svg class=\"timeline\" height=\"%d\" role=\"img\" aria-label=\"",
             3 * LANE + AXIS);
    describe(&a, r);
    buf_adds(p->out, "\">\n");
    for (int lane = 0; lane < 3; lane++)
        bed(&a, lane);
    ticks(&a);
    name(&a, 0, "Backups");
    name(&a, 1, "WAL");
    name(&a, 2,
         r->view.sealed ? "Moments to go back to: not known without the key"
                        : "Moments to go back to");
    backups(&a, &r->view.backups);
    wal(&a, &r->view);
    windows(&a, &r->view);
    buf_adds(p->out, "</svg>\n");
    page_legend(p, r);
    if (a.before != 0)
        buf_addf(p->out, "<p class=\"muted\">%zu backup%s older than that.</p>\n", a.before,
                 a.before == 1 ? " is" : "s are");
    buf_adds(p->out, "</figure>\n");
}
