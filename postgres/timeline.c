#include "postgres/timeline.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "postgres/lsn.h"

/* What one line says; reason is not terminated. */
struct line {
    uint32_t tli;
    uint64_t lsn;
    const char *reason;
    size_t reason_len;
};

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* A decimal number of at most 32 bits; NULL when there is none. */
static const char *number(const char *p, const char *end, uint32_t *out)
{
    const char *start = p;
    uint64_t value = 0;

    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (uint64_t)(*p - '0');
        if (value > UINT32_MAX)
            return NULL;
    }
    *out = (uint32_t)value;
    return p == start ? NULL : p;
}

/* The server reads "%u\t%X/%X" with sscanf, so any blanks may stand between the fields. */
static bool parse_line(const char *p, const char *end, struct line *out)
{
    char lsn[LSN_TEXT];
    size_t n = 0;

    p = number(p, end, &out->tli);
    if (p == NULL)
        return false;
    p = skip_blanks(p, end);
    while (p < end && *p != ' ' && *p != '\t' && *p != '\r' && n < sizeof lsn - 1)
        lsn[n++] = *p++;
    lsn[n] = '\0';
    if (lsn_parse(lsn, &out->lsn) != 0)
        return false;
    if (p < end && *p == '\t')
        p++;
    out->reason = p;
    out->reason_len = (size_t)(end - p);
    return true;
}

static struct history_entry *append(struct history *h)
{
    /* Doubles at powers of two: the count is all that need be remembered. */
    if ((h->count & (h->count - 1)) == 0)
        h->entries = xrealloc(h->entries, (h->count == 0 ? 1 : 2 * h->count) * sizeof *h->entries);
    struct history_entry *e = &h->entries[h->count++];
    *e = (struct history_entry){.switch_lsn = UINT64_MAX};
    return e;
}

/* From the newest to the oldest: what a newer timeline owns, an older one does not. */
static void settle(struct history *h)
{
    uint64_t end = UINT64_MAX;

    for (size_t i = h->count; i-- > 0;) {
        struct history_entry *e = &h->entries[i];
        uint64_t begin = i == 0 ? 0 : h->entries[i - 1].switch_lsn;

        e->end = end;
        e->begin = MIN_OF(begin, end);
        end = e->begin;
    }
}

static int add_line(struct history *h, const struct line *line, size_t number_of_line,
                    struct err *err)
{
    uint32_t before = h->count == 0 ? 0 : h->entries[h->count - 1].tli;

    if (line->tli <= before || line->tli >= h->tli)
        return err_set(err, ERR_CORRUPT,
                       "history of timeline %" PRIu32 ", line %zu: timeline %" PRIu32
                       ", expected one from %" PRIu32 " to %" PRIu32,
                       h->tli, number_of_line, line->tli, before + 1, h->tli - 1);
    struct history_entry *e = append(h);
    e->tli = line->tli;
    e->switch_lsn = line->lsn;
    e->reason = xstrndup(line->reason, line->reason_len);
    return 0;
}

int history_parse(uint32_t tli, const char *text, size_t len, struct history *out, struct err *err)
{
    AUTO(history_free) struct history h = {.tli = tli};
    const char *p = text, *end = text + len;

    if (tli == 0 || len > HISTORY_MAX_BYTES)
        return err_set(err, ERR_CORRUPT,
                       "history of timeline %" PRIu32 " has %zu bytes, expected at most %d", tli,
                       len, HISTORY_MAX_BYTES);
    if (len > 0 && memchr(text, '\0', len) != NULL)
        return err_set(err, ERR_CORRUPT, "history of timeline %" PRIu32 " is not a text file", tli);
    for (size_t n = 1; p < end; n++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        struct line line;

        if (stop == NULL)
            stop = end;
        const char *first = skip_blanks(p, stop);
        if (first < stop && *first != '#') {
            if (!parse_line(first, stop, &line))
                return err_set(err, ERR_CORRUPT,
                               "history of timeline %" PRIu32
                               ", line %zu: expected a timeline and a position",
                               tli, n);
            TRY(add_line(&h, &line, n, err));
        }
        p = stop + 1;
    }
    if (h.count == 0)
        return err_set(err, ERR_CORRUPT, "history of timeline %" PRIu32 " names no ancestor", tli);
    append(&h)->tli = tli;
    settle(&h);
    *out = h;
    h = (struct history)HISTORY_INIT;
    return 0;
}

void history_root(uint32_t tli, struct history *out)
{
    *out = (struct history){.tli = tli};
    append(out)->tli = tli;
    settle(out);
}

void history_free(struct history *h)
{
    for (size_t i = 0; i < h->count; i++)
        free(h->entries[i].reason);
    free(h->entries);
    *h = (struct history)HISTORY_INIT;
}

void history_format(const struct history *h, struct buf *out)
{
    char lsn[LSN_TEXT];

    for (size_t i = 0; i + 1 < h->count; i++) {
        const struct history_entry *e = &h->entries[i];
        buf_addf(out, "%" PRIu32 "\t%s\t%s\n", e->tli, lsn_format(e->switch_lsn, lsn),
                 e->reason == NULL ? "" : e->reason);
    }
}

uint32_t history_tli_at(const struct history *h, uint64_t lsn)
{
    for (size_t i = h->count; i-- > 1;)
        if (lsn >= h->entries[i].begin && h->entries[i].begin < h->entries[i].end)
            return h->entries[i].tli;
    return h->entries[0].tli;
}

/* The newest timeline that has begun before the segment ends has the segment's file. */
uint32_t history_segment_tli(const struct history *h, uint64_t segno, uint32_t segsz)
{
    return history_tli_at(h, segno_lsn(segno, segsz) + (segsz - 1));
}

const struct history_entry *history_find(const struct history *h, uint32_t tli)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->entries[i].tli == tli)
            return &h->entries[i];
    return NULL;
}

bool history_reaches(const struct history *h, uint32_t tli, uint64_t lsn)
{
    const struct history_entry *e = history_find(h, tli);

    return e != NULL && lsn >= e->begin && lsn <= e->end && e->begin < e->end;
}
