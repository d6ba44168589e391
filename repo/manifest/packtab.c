/*
 * packtab.c - which sets and packs a backup needs. Forms (docs/format.md, "SETTAB", "PACKTAB"):
 *
 * SETTAB: uv sets (zero pages not counted), each: u8 length, label, u8 log2 of the pages in a
 * chunk. PACKTAB: per set in that order uv packs, each: uv number - the one before - 1 (first:
 * number), uv object size, uv chunks, uv live chunks, and where they differ lengths of runs of
 * chunks, dead first, dead and live in turn, that add up to chunks.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/manifest/manifest_form.h"

enum { LIVE_BYTES = OBJECT_CHUNKS_MAX / 8 };

void set_table_free(struct set_table *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        for (size_t k = 0; t->sets[i].live != NULL && k < t->sets[i].n; k++)
            free(t->sets[i].live[k]);
        free(t->sets[i].live);
        free(t->sets[i].packs);
    }
    free(t->sets);
    *t = (struct set_table){0};
}

void settab_write(const struct set_table *t, struct buf *out)
{
    buf_uv(out, t->n - 1);
    for (uint32_t i = 1; i < t->n; i++) {
        size_t len = strlen(t->sets[i].label);

        buf_u8(out, (uint8_t)len);
        buf_add(out, t->sets[i].label, len);
        buf_u8(out, MAP_PAGE_BITS);
    }
}

static bool is_live(const uint8_t *live, uint32_t chunk)
{
    return live == NULL || (live[chunk / 8] >> (chunk % 8) & 1) != 0;
}

static void write_live(const uint8_t *live, uint32_t chunks, struct buf *out)
{
    uint32_t count = 0;
    bool state = false;

    for (uint32_t i = 0; i < chunks; i++)
        count += is_live(live, i);
    buf_uv(out, count);
    for (uint32_t i = 0, start = 0; count != chunks && i <= chunks; i++) {
        if (i < chunks && is_live(live, i) == state)
            continue;
        buf_uv(out, i - start);
        start = i;
        state = !state;
    }
}

/* Packs of which nothing is live are not needed. */
static bool any_live(const struct set_packs *s, size_t i)
{
    if (s->live == NULL || s->live[i] == NULL)
        return true;
    for (size_t k = 0; k < LIVE_BYTES; k++)
        if (s->live[i][k] != 0)
            return true;
    return false;
}

void packtab_write(const struct set_table *t, struct buf *out)
{
    for (uint32_t i = 1; i < t->n; i++) {
        const struct set_packs *s = &t->sets[i];
        size_t n = 0;
        uint32_t next = 0;

        for (size_t k = 0; k < s->n; k++)
            n += any_live(s, k);
        buf_uv(out, n);
        for (size_t k = 0; k < s->n; k++) {
            if (!any_live(s, k))
                continue;
            buf_uv(out, s->packs[k].number - next);
            buf_uv(out, s->packs[k].size);
            buf_uv(out, s->packs[k].chunks);
            write_live(s->live != NULL ? s->live[k] : NULL, s->packs[k].chunks, out);
            next = s->packs[k].number + 1;
        }
    }
}

static int bad(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "manifest's list of packs: %s", what);
}

int settab_parse(const void *bytes, size_t len, struct set_table *t, struct err *err)
{
    struct cursor c = cursor_of(bytes, len);
    uint32_t n = (uint32_t)cur_uv_max(&c, MIN_OF((size_t)SETTAB_MAX, len / (LABEL_SIZE + 2)));

    *t = (struct set_table){.sets = xcalloc(n + 1, sizeof *t->sets), .n = n + 1};
    for (uint32_t i = 1; i <= n; i++) {
        uint8_t label_len = cur_u8(&c);
        const uint8_t *label = cur_bytes(&c, label_len);
        uint8_t bits = cur_u8(&c);

        if (c.bad || label_len != LABEL_SIZE || bits != MAP_PAGE_BITS)
            c.bad = true;
        else
            memcpy(t->sets[i].label, label, LABEL_SIZE);
        if (!label_valid(t->sets[i].label))
            c.bad = true;
    }
    if (cur_done(&c) && n != 0)
        return 0;
    set_table_free(t);
    return bad(err, "malformed sets");
}

/* live NULL: only checked. */
static int parse_live(struct cursor *c, uint32_t chunks, uint8_t **live, struct err *err)
{
    uint32_t count = (uint32_t)cur_uv_max(c, chunks), at = 0, seen = 0;

    if (c->bad || count == chunks)
        return c->bad ? bad(err, "cut off") : 0;
    if (live != NULL)
        *live = xcalloc(1, LIVE_BYTES);
    for (bool state = false; at < chunks && !c->bad; state = !state) {
        uint32_t run = (uint32_t)cur_uv_max(c, chunks - at);

        if (run == 0 && at != 0)
            return bad(err, "an empty run of chunks");
        for (uint32_t i = at; live != NULL && state && i < at + run; i++)
            (*live)[i / 8] |= (uint8_t)(1u << (i % 8));
        seen += state ? run : 0;
        at += run;
    }
    return c->bad || seen != count ? bad(err, "live chunks that do not add up") : 0;
}

static int parse_packs(struct cursor *c, struct set_packs *s, enum live_wanted live,
                       struct err *err)
{
    size_t n = (size_t)cur_uv_max(c, cur_left(c) / 4);
    uint64_t next = 0;

    s->packs = xcalloc(n, sizeof *s->packs);
    s->live = live == LIVE_KEPT ? xcalloc(n, sizeof *s->live) : NULL;
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        uint64_t number = next + cur_uv_max(c, PACK_NONE - 1);

        s->packs[i].size = cur_uv(c);
        s->packs[i].chunks = (uint32_t)cur_uv_max(c, OBJECT_CHUNKS_MAX);
        if (c->bad || number >= PACK_NONE || s->packs[i].chunks == 0)
            return bad(err, "an impossible pack");
        s->packs[i].number = (uint32_t)number;
        TRY(parse_live(c, s->packs[i].chunks, live == LIVE_KEPT ? &s->live[i] : NULL, err));
        next = number + 1;
    }
    return 0;
}

int packtab_parse(const void *bytes, size_t len, struct set_table *t, enum live_wanted live,
                  struct err *err)
{
    struct cursor c = cursor_of(bytes, len);

    for (uint32_t i = 1; i < t->n; i++)
        TRY(parse_packs(&c, &t->sets[i], live, err));
    return cur_done(&c) ? 0 : bad(err, "malformed");
}
