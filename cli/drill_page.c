/*
 * drill_page.c - a drill as one page for a browser, see show_drill.h.
 *
 * One file that can be mailed or kept: styles and pictures (SVG) are inside, there is no script. It
 * is well-formed XML too, so that it can be checked by any parser.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/show_drill.h"

enum {
    BAR_WIDTH = 1000, /* units of the picture of the phases */
    TREND_WIDTH = 1000,
    TREND_HEIGHT = 160,
    TREND_MAX = 60, /* drills in the picture */
    LISTED_MAX = 20
};

/* Bytes that mean something to HTML or XML, and those that XML does not allow. */
static void add_text(struct buf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        if (c == '&')
            buf_adds(out, "&amp;");
        else if (c == '<')
            buf_adds(out, "&lt;");
        else if (c == '>')
            buf_adds(out, "&gt;");
        else if (c == '"')
            buf_adds(out, "&quot;");
        else if (c == '\'')
            buf_adds(out, "&#39;");
        else
            buf_addc(out, (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? ' ' : (char)c);
    }
}

static void add_cell(struct buf *out, const char *text)
{
    buf_adds(out, "<td>");
    add_text(out, text != NULL ? text : "");
    buf_adds(out, "</td>");
}

static void add_duration(struct buf *out, int64_t us)
{
    char text[40];

    if (us >= 60 * INT64_C(1000000))
        buf_adds(out, clock_format_duration(us, text));
    else
        buf_addf(out, "%.2f s", (double)us / 1e6);
}

/* ---- head ---- */

static void add_head(struct buf *out, const char *cluster, const struct drill_made *m)
{
    buf_adds(out,
             "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>"
             "<meta charset=\"utf-8\"/>"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
             "<title>Drill of ");
    add_text(out, cluster);
    buf_addf(out, ": %s</title>\n", drill_outcome_name(m->outcome));
    buf_adds(
        out,
        "<style>\n"
        "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em;"
        "color:#1b1f24;background:#fff}\n"
        "h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em}\n"
        "table{border-collapse:collapse;width:100%}"
        "td,th{text-align:left;padding:.3em .6em;border-bottom:1px solid #ddd;"
        "vertical-align:top;overflow-wrap:break-word}\n"
        "tr td:first-child{white-space:nowrap}.wide{overflow-x:auto}.wide td{white-space:nowrap}"
        "td:last-child{width:99%}@media(min-width:40em){td:nth-child(2){white-space:nowrap}}\n"
        ".passed,.ok{color:#116329}.failed{color:#b3261e;font-weight:600}"
        ".warning,.stopped{color:#8a5a00}.skipped{color:#59636e}\n"
        ".key{display:flex;flex-wrap:wrap;gap:1.5em}.key div{min-width:9em}"
        ".key b{display:block;font-size:1.4em}\n"
        "svg{width:100%;height:auto}svg text{font:13px system-ui,sans-serif;fill:#59636e}\n"
        "@media (prefers-color-scheme:dark){body{background:#14171a;color:#e6e8ea}"
        "td,th{border-color:#33383d}.passed,.ok{color:#5bd27a}.failed{color:#ff8a80}"
        ".warning,.stopped{color:#e5b454}.skipped,svg text{color:#9aa4ad;fill:#9aa4ad}}\n"
        "</style></head>\n<body>\n");
}

static void add_key(struct buf *out, const char *what, const char *value)
{
    buf_adds(out, "<div>");
    add_text(out, what);
    buf_adds(out, "<b>");
    add_text(out, value);
    buf_adds(out, "</b></div>\n");
}

static void add_key_duration(struct buf *out, const char *what, int64_t us, bool known)
{
    AUTO(buf_free) struct buf text = BUF_INIT;

    if (known)
        add_duration(&text, us);
    else
        buf_adds(&text, "not known");
    add_key(out, what, buf_text(&text));
}

static void add_summary(struct buf *out, const char *cluster, const struct drill_made *m)
{
    char text[40];

    buf_adds(out, "<h1>Drill of cluster ");
    add_text(out, cluster);
    buf_addf(out, ": <span class=\"%s\">%s</span>", drill_outcome_name(m->outcome),
             drill_outcome_name(m->outcome));
    if (m->outcome == DRILL_PASSED && m->warnings != 0)
        buf_adds(out, " <span class=\"warning\">with warnings</span>");
    buf_adds(out, "</h1>\n<p>Backup ");
    add_text(out, m->label != NULL ? m->label : "(none was chosen)");
    buf_adds(out, " in repository ");
    add_text(out, m->repo != NULL ? m->repo : "(none was chosen)");
    buf_adds(out, ", restored in a sandbox to: ");
    add_text(out, m->target);
    buf_addf(out, ". Begun %s.</p>\n<div class=\"key\">\n",
             clock_format_utc(m->started_us / 1000000 * 1000000, text));
    add_key_duration(out, "Time to recover (RTO)", drill_rto_us(m), drill_rto_us(m) != 0);
    if (drill_rpo_us(m) >= 0)
        add_key_duration(out, "Since the last commit (RPO)", drill_rpo_us(m), true);
    add_key(out, "Last commit reached",
            m->reached_us != 0 ? clock_format_utc(m->reached_us, text) : "none");
    add_key(out, "Restored", format_bytes(m->restored_bytes, text));
    add_key(out, "WAL replayed", format_bytes(m->replayed_bytes, text));
    buf_adds(out, "</div>\n");
}

/* ---- findings and phases ---- */

static void add_findings(struct buf *out, const struct drill_made *m)
{
    buf_adds(out, "<h2>What was looked at</h2>\n<table>");
    for (size_t i = 0; i < m->n_findings; i++) {
        AUTO(buf_free) struct buf found = BUF_INIT;
        const struct drill_finding *f = &m->findings[i];

        drill_compared(f, &found);
        buf_addf(out, "<tr><td class=\"%s\">%s</td>", drill_state_name(f->state),
                 drill_state_name(f->state));
        add_cell(out, f->name);
        add_cell(out, buf_text(&found));
        buf_adds(out, "</tr>\n");
    }
    buf_adds(out, "</table>\n");
}

static const char *const phase_colours[DRILL_PHASES] = {"#8c959f", "#2f6feb", "#a371f7",
                                                        "#1f883d", "#bf8700", "#6e7781"};

static void add_phases(struct buf *out, const struct drill_made *m)
{
    int64_t total = 0;
    double x = 0;

    for (int p = 0; p < DRILL_PHASES; p++)
        total += m->took_us[p];
    buf_addf(out,
             "<h2>Where the time went</h2>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
             "viewBox=\"0 0 %d 30\" role=\"img\" aria-label=\"phases\">\n",
             BAR_WIDTH);
    for (int p = 0; p < DRILL_PHASES && total > 0; p++) {
        double width = (double)m->took_us[p] * BAR_WIDTH / (double)total;

        buf_addf(out,
                 "<rect x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"30\" fill=\"%s\"><title>%s"
                 "</title></rect>\n",
                 x, width, phase_colours[p], drill_phase_name((enum drill_phase)p));
        x += width;
    }
    buf_adds(out, "</svg>\n<p>");
    for (int p = 0; p < DRILL_PHASES; p++) {
        buf_addf(out, "<span style=\"color:%s\">&#9632;</span> %s ", phase_colours[p],
                 drill_phase_name((enum drill_phase)p));
        add_duration(out, m->took_us[p]);
        buf_adds(out, p + 1 < DRILL_PHASES ? " &#160; " : "</p>\n");
    }
}

/* ---- the trend ---- */

static int64_t rto_of(const struct catalog_drill *d)
{
    return d->recovered_us > d->started_us ? d->recovered_us - d->started_us : 0;
}

static const char *outcome_of(const struct catalog_drill *d)
{
    if (d->outcome == NULL)
        return d->finished_us == 0 ? "stopped" : "failed";
    return strcmp(d->outcome, "passed") == 0   ? "passed"
           : strcmp(d->outcome, "failed") == 0 ? "failed"
                                               : "stopped";
}

static const char *colour_of(const struct catalog_drill *d)
{
    const char *o = outcome_of(d);

    return o[0] == 'p' ? "#1f883d" : o[0] == 'f' ? "#cf222e" : "#bf8700";
}

/* A bar for each, oldest at the left, as high as its time to recover; one that never recovered is a
 * stump. */
static void add_bars(struct buf *out, const struct catalog_drills *past, size_t n, int64_t most)
{
    double width = (double)TREND_WIDTH / (double)MAX_OF(n, 12);

    for (size_t i = 0; i < n; i++) {
        const struct catalog_drill *d = &past->rows[n - 1 - i];
        double height = most > 0 ? (double)rto_of(d) * (TREND_HEIGHT - 30) / (double)most : 0;
        char when[40];

        height = MAX_OF(height, 4);
        buf_addf(out,
                 "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"><title>",
                 (double)i * width + 1, TREND_HEIGHT - height, width - 2, height, colour_of(d));
        buf_addf(out, "%s: %s, ", clock_format_utc(d->started_us / 1000000 * 1000000, when),
                 outcome_of(d));
        add_duration(out, rto_of(d));
        buf_adds(out, "</title></rect>\n");
    }
}

static void add_trend(struct buf *out, const struct catalog_drills *past)
{
    size_t n = MIN_OF(past->n, (size_t)TREND_MAX);
    int64_t most = 0;

    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        most = MAX_OF(most, rto_of(&past->rows[i]));
    buf_addf(
        out,
        "<h2>Trend: time to recover</h2>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
        "viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"time to recover of the last drills\">\n"
        "<text x=\"0\" y=\"14\">",
        TREND_WIDTH, TREND_HEIGHT);
    add_duration(out, most);
    buf_adds(out, "</text>\n");
    add_bars(out, past, n, most);
    buf_adds(out, "</svg>\n");
}

static void add_past(struct buf *out, const struct catalog_drills *past)
{
    char when[40];

    if (past->n == 0)
        return;
    buf_adds(out, "<h2>The last drills</h2>\n<div "
                  "class=\"wide\"><table><tr><th>Begun</th><th>Outcome</th><th>Backup</th>"
                  "<th>Target</th><th>RTO</th></tr>\n");
    for (size_t i = 0; i < MIN_OF(past->n, (size_t)LISTED_MAX); i++) {
        const struct catalog_drill *d = &past->rows[i];

        buf_addf(out, "<tr><td>%s</td><td class=\"%s\">%s</td>",
                 clock_format_utc(d->started_us / 1000000 * 1000000, when), outcome_of(d),
                 outcome_of(d));
        add_cell(out, d->label);
        add_cell(out, d->target);
        buf_adds(out, "<td>");
        if (rto_of(d) != 0)
            add_duration(out, rto_of(d));
        buf_adds(out, "</td></tr>\n");
    }
    buf_adds(out, "</table></div>\n");
}

void drill_page(const struct drill_made *m, const char *cluster, const struct catalog_drills *past,
                struct buf *out)
{
    add_head(out, cluster, m);
    add_summary(out, cluster, m);
    add_findings(out, m);
    add_phases(out, m);
    add_trend(out, past);
    add_past(out, past);
    buf_adds(out, "</body></html>\n");
}
