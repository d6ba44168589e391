/* reach_text.c - what people are told about a target that is not reached, or not quite. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "postgres/lsn.h"
#include "wal/reach/reach.h"

/* Cut, never overrun. */
static void put(char *out, size_t size, struct buf *text)
{
    size_t len = MIN_OF(text->len, size - 1);

    memcpy(out, buf_text(text), len);
    out[len] = '\0';
}

static void put_why(struct search *s, struct buf *text)
{
    put(s->r->why, sizeof s->r->why, text);
}

static void add_moment(struct buf *b, int64_t us, uint64_t lsn)
{
    char time[40], at[LSN_TEXT];

    if (us != 0)
        buf_addf(b, "%s (LSN %s)", clock_format_utc(us, time), lsn_format(lsn, at));
    else
        buf_addf(b, "LSN %s", lsn_format(lsn, at));
}

/* ---- the timeline ---- */

/* Where the way to the timeline leaves that of the backup. */
static void add_parting(struct buf *b, const struct search *s, const struct history *line)
{
    const struct history_entry *e = history_find(line, s->backup->timeline);
    char at[LSN_TEXT];

    if (e == NULL)
        buf_addf(b, "which timeline %" PRIu32 " does not descend from", line->tli);
    else
        buf_addf(b, "which the way to timeline %" PRIu32 " leaves at %s", line->tli,
                 lsn_format(e->end, at));
}

void reach_say_line(struct search *s, const char *problem)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    const struct pubinfo *p = s->backup;
    const struct history *line = wal_map_history(s->map, s->r->timeline);
    char at[LSN_TEXT];

    if (problem != NULL) {
        buf_addf(&b, "timeline %" PRIu32 " cannot be followed: %s", s->r->timeline, problem);
    } else {
        buf_addf(&b, "backup %s was complete at %s of timeline %" PRIu32 ", ", p->label,
                 lsn_format(p->stop_lsn, at), p->timeline);
        add_parting(&b, s, line);
    }
    if (s->t->line == LINE_LATEST)
        buf_addf(&b, "; to recover along timeline %" PRIu32 " use --target-timeline %" PRIu32,
                 p->timeline, p->timeline);
    put_why(s, &b);
}

/* ---- the backup ---- */

void reach_say_early(struct search *s, uint64_t lsn)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    if (lsn != 0) {
        buf_adds(&b, "it lies at ");
        add_moment(&b, 0, lsn);
        buf_adds(&b, ", before ");
    } else {
        buf_adds(&b, "it lies before ");
    }
    buf_addf(&b, "backup %s was complete at ", s->backup->label);
    add_moment(&b, s->backup->stop_us, s->backup->stop_lsn);
    put_why(s, &b);
}

bool reach_at_end(const struct way *w)
{
    return (w->end == WAY_MISSING || w->end == WAY_ENDS) &&
           map_later(w->map, w->line, w->end_segno) == UINT64_MAX;
}

/* Why the way ends, and what lies behind. */
static void add_end(struct buf *b, const struct way *w)
{
    uint64_t later = map_later(w->map, w->line, w->end_segno);
    char name[WAL_SEGMENT_NAME];

    buf_adds(b, w->why.msg);
    if (later != UINT64_MAX)
        buf_addf(b, ", later WAL is stored from \"%s\" on",
                 wal_segment_name(map_file_tli(w->map, w->line, later), later, w->map->segment_size,
                                  name));
}

void reach_say_backup(struct search *s)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    char at[LSN_TEXT];

    buf_addf(&b, "backup %s needs WAL up to %s: ", s->backup->label,
             lsn_format(s->backup->stop_lsn, at));
    add_end(&b, &s->way);
    put_why(s, &b);
}

/* ---- the target ---- */

static void add_time_beyond(struct buf *b, const struct search *s)
{
    const struct wal_moment *last = &s->seen.newest;

    if (reach_at_end(&s->way)) {
        buf_addf(b, "no commit or abort %s is archived", s->t->exclusive ? "since" : "after it");
    } else {
        add_end(b, &s->way);
        buf_adds(b, "; before that, nothing was committed or aborted after the target");
    }
    if (last->time_us != 0) {
        buf_adds(b, "; the last one is at ");
        add_moment(b, last->time_us, last->lsn);
    }
    if (reach_at_end(&s->way))
        buf_adds(b, "; recover to the end of WAL with --target latest, or wait until later WAL is "
                    "archived");
}

static void add_names(struct buf *b, const struct search *s)
{
    uint64_t n = MIN_OF(s->n_names, (uint64_t)NAMES_KEPT);

    if (s->near_name[0] != '\0')
        buf_addf(b, " (did you mean \"%s\"?)", s->near_name);
    if (n == 0)
        return;
    buf_addf(b, "; %s", s->n_names > n ? "the last ones are " : "there are ");
    for (uint64_t i = s->n_names - n; i < s->n_names; i++) {
        const struct segment_point *p = &s->names[i % NAMES_KEPT];

        buf_addf(b, "%s\"%s\" at ", i == s->n_names - n ? "" : ", ", p->name);
        add_moment(b, p->time_us, p->lsn);
    }
}

static void add_range(struct buf *b, const struct search *s)
{
    char from[LSN_TEXT], to[LSN_TEXT];

    buf_addf(b, " between %s and %s, where ", lsn_format(s->backup->start_lsn, from),
             lsn_format(s->way.end_lsn, to));
    if (reach_at_end(&s->way))
        buf_adds(b, "the archived WAL ends");
    else
        add_end(b, &s->way);
}

static void add_lsn_beyond(struct buf *b, const struct search *s)
{
    char last[LSN_TEXT], end[LSN_TEXT];

    lsn_format(s->way.last_lsn, last);
    if (reach_at_end(&s->way))
        buf_addf(b, "the archived WAL ends at %s, its last record starts at %s",
                 lsn_format(s->way.end_lsn, end), last);
    else
        add_end(b, &s->way);
}

void reach_say_beyond(struct search *s)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    switch (s->t->kind) {
    case TARGET_TIME:
        add_time_beyond(&b, s);
        break;
    case TARGET_XID:
        if (s->parent != 0)
            buf_addf(&b,
                     "it is a subtransaction of %" PRIu32
                     "; only a whole transaction can be a target",
                     s->parent);
        else
            buf_adds(&b, "it neither committed nor aborted");
        add_range(&b, s);
        break;
    case TARGET_NAME:
        buf_adds(&b, "there is no such restore point");
        add_range(&b, s);
        add_names(&b, s);
        break;
    default:
        add_lsn_beyond(&b, s);
    }
    put_why(s, &b);
}

void reach_say_wrong_turn(struct search *s, uint32_t ancestor)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    uint32_t tli = map_file_tli(s->map, s->way.line, s->way.end_segno);
    char at[LSN_TEXT];

    buf_addf(
        &b,
        "%s, which is the first of timeline %" PRIu32
        "; recovery would take that of timeline %" PRIu32
        " for it and go on behind %s, where the timelines part; archive the missing one first, "
        "or use --target-timeline %" PRIu32,
        s->way.why.msg, tli, ancestor, lsn_format(history_find(s->way.line, tli)->begin, at),
        ancestor);
    put_why(s, &b);
}

/* ---- reachable, but ---- */

void reach_note_latest(struct search *s)
{
    AUTO(buf_free) struct buf b = BUF_INIT;
    const struct way *w = &s->way;
    const struct history_entry *e = history_find(w->line, w->line->tli);
    char at[LSN_TEXT], begin[LSN_TEXT];

    if (!reach_at_end(w)) {
        buf_addf(&b, "recovery ends at %s, not at the latest state: ", lsn_format(w->end_lsn, at));
        add_end(&b, w);
    } else if (w->end == WAY_MISSING && e->begin > w->end_lsn) {
        buf_addf(&b,
                 "recovery ends at %s, not at the latest state: timeline %" PRIu32
                 " begins at %s, and ",
                 lsn_format(w->end_lsn, at), e->tli, lsn_format(e->begin, begin));
        add_end(&b, w);
    }
    put(s->r->note, sizeof s->r->note, &b);
}

void reach_note_names(struct search *s, uint64_t others, const struct segment_point *next)
{
    AUTO(buf_free) struct buf b = BUF_INIT;

    buf_addf(&b, "%" PRIu64 " more restore point%s of that name follow%s, the first at ", others,
             others == 1 ? "" : "s", others == 1 ? "s" : "");
    add_moment(&b, next->time_us, next->lsn);
    buf_adds(&b, ": recovery stops at the first one behind the backup");
    put(s->r->note, sizeof s->r->note, &b);
}
