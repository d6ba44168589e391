/* show_drill.c - a drill as text and as JSON, see show_drill.h. */
#include "cli/show_drill.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/show.h"
#include "postgres/lsn.h"

const char *drill_outcome_name(enum drill_outcome o)
{
    return o == DRILL_PASSED ? "passed" : o == DRILL_FAILED ? "failed" : "stopped";
}

const char *drill_state_name(enum drill_state s)
{
    static const char *const names[] = {"ok", "skipped", "warning", "failed"};

    return names[s];
}

/* ---- text ---- */

/* Drills of small clusters take less than a second. */
static const char *format_took(int64_t us, char out[40])
{
    if (us >= 60 * INT64_C(1000000))
        return clock_format_duration(us, out);
    snprintf(out, 40, "%lld.%02lld s", (long long)(us / 1000000),
             (long long)(us % 1000000 / 10000));
    return out;
}

void drill_compared(const struct drill_finding *f, struct buf *out)
{
    if (f->expected != NULL && f->found != NULL && f->state == DRILL_OK)
        buf_adds(out, f->found);
    else if (f->expected != NULL)
        buf_addf(out, "expected %s, found %s", f->expected,
                 f->found != NULL ? f->found : "nothing");
    if (f->text != NULL)
        buf_addf(out, "%s%s", f->expected != NULL ? "; " : "", f->text);
}

static void add_compared(const struct drill_finding *f, struct buf *out)
{
    size_t before = out->len;

    buf_adds(out, ": ");
    drill_compared(f, out);
    if (out->len == before + 2)
        out->len = before;
}

void drill_why(const struct drill_made *m, struct buf *out)
{
    for (size_t i = 0; i < m->n_findings; i++)
        if (m->findings[i].state == DRILL_BAD) {
            buf_adds(out, m->findings[i].name);
            add_compared(&m->findings[i], out);
            return;
        }
}

static void add_findings(const struct drill_made *m, struct buf *out)
{
    char took[40];

    for (size_t i = 0; i < m->n_findings; i++) {
        const struct drill_finding *f = &m->findings[i];

        buf_addf(out, "  %-8s %s", f->state == DRILL_BAD ? "FAILED" : drill_state_name(f->state),
                 f->name);
        add_compared(f, out);
        if (f->took_us >= 10000)
            buf_addf(out, " (%s)", format_took(f->took_us, took));
        buf_addc(out, '\n');
    }
}

static void add_phases(const struct drill_made *m, struct buf *out)
{
    char took[40];

    buf_adds(out, "  took    ");
    for (int p = 0; p < DRILL_PHASES; p++)
        if (m->took_us[p] != 0)
            buf_addf(out, " %s %s%s", drill_phase_name((enum drill_phase)p),
                     format_took(m->took_us[p], took), p == DRILL_CLEANUP ? "" : ",");
    buf_addc(out, '\n');
}

static void add_measures(const struct drill_made *m, struct buf *out)
{
    char time[40], bytes[24], replayed[24];
    int64_t rto = drill_rto_us(m), rpo = drill_rpo_us(m);

    if (m->reached_us != 0)
        buf_addf(out, "  reached  last commit %s\n", clock_format_utc(m->reached_us, time));
    if (rto != 0)
        buf_addf(out, "  RTO      %s: %s restored, %s of WAL replayed\n", format_took(rto, time),
                 format_bytes(m->restored_bytes, bytes), format_bytes(m->replayed_bytes, replayed));
    if (rpo >= 0)
        buf_addf(out, "  RPO      %s from the last commit that was archived to this drill\n",
                 format_took(rpo, time));
}

void drill_text(const struct drill_made *m, const char *cluster, struct buf *out)
{
    buf_addf(out, "drill of cluster \"%s\": %s%s\n", cluster,
             m->outcome == DRILL_PASSED   ? "passed"
             : m->outcome == DRILL_FAILED ? "FAILED"
                                          : "stopped",
             m->outcome == DRILL_PASSED && m->warnings != 0 ? ", with warnings" : "");
    if (m->label != NULL)
        buf_addf(out, "  backup   %s in repository \"%s\"\n", m->label, m->repo);
    buf_addf(out, "  target   %s\n", m->target);
    if (m->repeat != NULL)
        buf_addf(out, "  again    pgbr drill %s %s\n", cluster, m->repeat);
    add_findings(m, out);
    add_measures(m, out);
    add_phases(m, out);
    if (m->kept_in != NULL)
        buf_addf(out, "  kept in  %s\n", m->kept_in);
    if (m->kept_start != NULL)
        buf_addf(out, "  start it with: %s\n  its socket is in %s, port 5432\n", m->kept_start,
                 m->kept_socket);
}

/* ---- JSON ---- */

static void json_duration(struct json *j, const char *key, int64_t us)
{
    json_double(j, key, (double)us / 1e6);
}

static void json_finding(struct json *j, const struct drill_finding *f)
{
    json_open(j, NULL, '{');
    json_text(j, "name", f->name);
    json_text(j, "state", drill_state_name(f->state));
    json_text(j, "expected", f->expected);
    json_text(j, "found", f->found);
    json_text(j, "text", f->text);
    json_duration(j, "seconds", f->took_us);
    json_close(j, '}');
}

static void json_measures(struct json *j, const struct drill_made *m)
{
    char lsn[LSN_TEXT];

    if (drill_rto_us(m) != 0)
        json_duration(j, "rto_seconds", drill_rto_us(m));
    else
        json_none(j, "rto_seconds");
    if (drill_rpo_us(m) >= 0)
        json_duration(j, "rpo_seconds", drill_rpo_us(m));
    else
        json_none(j, "rpo_seconds");
    json_time(j, "known_commit", m->known_us);
    json_time(j, "reached_commit", m->reached_us);
    json_text(j, "end_lsn", m->end_lsn != 0 ? lsn_format(m->end_lsn, lsn) : NULL);
    json_uint(j, "restored_bytes", m->restored_bytes);
    json_uint(j, "replayed_bytes", m->replayed_bytes);
}

void drill_json(const struct drill_made *m, const char *cluster, struct buf *out)
{
    struct json j;

    json_begin(&j, out, true);
    json_open(&j, NULL, '{');
    json_text(&j, "cluster", cluster);
    json_text(&j, "repo", m->repo);
    json_text(&j, "backup", m->label);
    json_text(&j, "target", m->target);
    json_text(&j, "repeat", m->repeat);
    json_text(&j, "outcome", drill_outcome_name(m->outcome));
    json_uint(&j, "warnings", m->warnings);
    json_time(&j, "started", m->started_us);
    json_measures(&j, m);
    json_open(&j, "phases", '{');
    for (int p = 0; p < DRILL_PHASES; p++)
        json_duration(&j, drill_phase_name((enum drill_phase)p), m->took_us[p]);
    json_close(&j, '}');
    json_open(&j, "findings", '[');
    for (size_t i = 0; i < m->n_findings; i++)
        json_finding(&j, &m->findings[i]);
    json_close(&j, ']');
    json_text(&j, "kept_in", m->kept_in);
    json_text(&j, "kept_socket", m->kept_socket);
    json_text(&j, "start_command", m->kept_start);
    json_close(&j, '}');
}
