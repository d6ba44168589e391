/* pubinfo.c - the public facts of a backup, as bytes. Tags: docs/format.md, "PUBINFO"; odd ones are
 * critical. */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/manifest/manifest_form.h"
#include "repo/object/fields.h"

enum pub_tag {
    PUB_LABEL = 1,
    PUB_INSTANCE = 2,
    PUB_TYPE = 3,
    PUB_HOST = 4,
    PUB_BASE = 5,
    PUB_TOOL = 6,
    PUB_CLUSTER = 7,
    PUB_START_US = 8,
    PUB_SYSTEM_ID = 9,
    PUB_STOP_US = 10,
    PUB_PG_VERSION = 11,
    PUB_RAW_BYTES = 12,
    PUB_TIMELINE = 13,
    PUB_STORED_BYTES = 14,
    PUB_START_LSN = 15,
    PUB_FILES = 16,
    PUB_STOP_LSN = 17,
    PUB_PAGE_ERRORS = 18,
    PUB_SPANS = 19,
    PUB_FROM_STANDBY = 20,
    PUB_SEGMENT_SIZE = 21,
    PUB_READ_BYTES = 22,
    PUB_PAGE_SIZE = 23,
    PUB_CHANGES_FOUND = 24,
};
enum { TEXT_MAX = 1024, SPANS_MAX = 65536 };

static void write_spans(const struct pubinfo *p, struct buf *out)
{
    AUTO(buf_free) struct buf spans = BUF_INIT;

    buf_uv(&spans, p->n_spans);
    for (uint32_t i = 0; i < p->n_spans; i++) {
        buf_uv(&spans, p->spans[i].timeline);
        buf_u64(&spans, p->spans[i].start);
        buf_u64(&spans, p->spans[i].stop);
    }
    field_bytes(out, PUB_SPANS, spans.p, spans.len);
}

void pubinfo_write(const struct pubinfo *p, struct buf *out)
{
    field_text(out, PUB_LABEL, p->label);
    field_text(out, PUB_INSTANCE, p->instance);
    field_uv(out, PUB_TYPE, (uint64_t)p->type);
    field_text(out, PUB_HOST, p->host);
    field_text(out, PUB_BASE, p->base);
    field_text(out, PUB_TOOL, p->tool);
    field_text(out, PUB_CLUSTER, p->cluster);
    field_u64(out, PUB_START_US, (uint64_t)p->start_us);
    field_u64(out, PUB_SYSTEM_ID, p->system_id);
    field_u64(out, PUB_STOP_US, (uint64_t)p->stop_us);
    field_uv(out, PUB_PG_VERSION, p->pg_version);
    field_uv(out, PUB_RAW_BYTES, p->raw_bytes);
    field_uv(out, PUB_TIMELINE, p->timeline);
    field_uv(out, PUB_STORED_BYTES, p->stored_bytes);
    field_u64(out, PUB_START_LSN, p->start_lsn);
    field_uv(out, PUB_FILES, p->files);
    field_u64(out, PUB_STOP_LSN, p->stop_lsn);
    field_uv(out, PUB_PAGE_ERRORS, p->page_errors);
    write_spans(p, out);
    field_uv(out, PUB_FROM_STANDBY, p->from_standby);
    field_uv(out, PUB_SEGMENT_SIZE, p->wal_segment_size);
    if (p->read_bytes != 0)
        field_uv(out, PUB_READ_BYTES, p->read_bytes);
    field_uv(out, PUB_PAGE_SIZE, p->page_size);
    if (p->changes_found != CHANGES_NOT_TOLD)
        field_uv(out, PUB_CHANGES_FOUND, (uint64_t)p->changes_found);
}

/* ---- reading ---- */

static int bad(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "public part of a manifest: %s", what);
}

static int take_text(const struct field *f, char **out, struct err *err)
{
    if (f->len > TEXT_MAX)
        return bad(err, "malformed text");
    for (size_t i = 0; i < f->len; i++)
        if (f->p[i] < ' ' || f->p[i] == 0x7f) /* it is shown on terminals */
            return bad(err, "text with control characters");
    *out = xstrndup((const char *)f->p, f->len);
    return 0;
}

/* A label, or nothing. */
static int take_label(const struct field *f, char out[LABEL_SIZE + 1], struct err *err)
{
    if (f->len != LABEL_SIZE && f->len != 0)
        return bad(err, "malformed label");
    memcpy(out, f->p, f->len);
    out[f->len] = '\0';
    return f->len == 0 || label_valid(out) ? 0 : bad(err, "malformed label");
}

static int take_uv(const struct field *f, uint64_t max, uint64_t *out, struct err *err)
{
    struct cursor c = cursor_of(f->p, f->len);

    *out = cur_uv_max(&c, max);
    return cur_done(&c) ? 0 : bad(err, "malformed number");
}

static int take_u64(const struct field *f, uint64_t *out, struct err *err)
{
    if (f->len != 8)
        return bad(err, "malformed number");
    *out = get_u64(f->p);
    return 0;
}

static int take_u32(const struct field *f, uint32_t *out, struct err *err)
{
    uint64_t v;

    TRY(take_uv(f, UINT32_MAX, &v, err));
    *out = (uint32_t)v;
    return 0;
}

static int take_time(const struct field *f, int64_t *out, struct err *err)
{
    uint64_t v;

    TRY(take_u64(f, &v, err));
    *out = (int64_t)v;
    return 0;
}

static int take_spans(const struct field *f, struct pubinfo *p, struct err *err)
{
    struct cursor c = cursor_of(f->p, f->len);
    uint32_t n = (uint32_t)cur_uv_max(&c, MIN_OF((size_t)SPANS_MAX, f->len / 17));

    p->spans = xcalloc(n, sizeof *p->spans);
    p->n_spans = n;
    for (uint32_t i = 0; i < n; i++) {
        p->spans[i].timeline = (uint32_t)cur_uv_max(&c, UINT32_MAX);
        p->spans[i].start = cur_u64(&c);
        p->spans[i].stop = cur_u64(&c);
        if (p->spans[i].stop < p->spans[i].start)
            return bad(err, "WAL that ends before it begins");
    }
    return cur_done(&c) && n != 0 ? 0 : bad(err, "malformed list of WAL");
}

static int take_type(const struct field *f, struct pubinfo *p, struct err *err)
{
    uint64_t v;

    TRY(take_uv(f, 255, &v, err));
    if (v != BACKUP_FULL && v != BACKUP_DIFF && v != BACKUP_INCR)
        return bad(err, "unknown type of backup");
    p->type = (enum backup_type)v;
    return 0;
}

static int take_fact(const struct field *f, struct pubinfo *p, struct err *err)
{
    uint64_t v = 0;

    switch ((enum pub_tag)f->tag) {
    case PUB_LABEL:
        return take_label(f, p->label, err);
    case PUB_BASE:
        return take_label(f, p->base, err);
    case PUB_TYPE:
        return take_type(f, p, err);
    case PUB_INSTANCE:
        return take_text(f, &p->instance, err);
    case PUB_HOST:
        return take_text(f, &p->host, err);
    case PUB_TOOL:
        return take_text(f, &p->tool, err);
    case PUB_CLUSTER:
        return take_text(f, &p->cluster, err);
    case PUB_SPANS:
        return take_spans(f, p, err);
    case PUB_START_US:
        return take_time(f, &p->start_us, err);
    case PUB_STOP_US:
        return take_time(f, &p->stop_us, err);
    case PUB_SYSTEM_ID:
        return take_u64(f, &p->system_id, err);
    case PUB_START_LSN:
        return take_u64(f, &p->start_lsn, err);
    case PUB_STOP_LSN:
        return take_u64(f, &p->stop_lsn, err);
    case PUB_PG_VERSION:
        return take_u32(f, &p->pg_version, err);
    case PUB_TIMELINE:
        return take_u32(f, &p->timeline, err);
    case PUB_SEGMENT_SIZE:
        return take_u32(f, &p->wal_segment_size, err);
    case PUB_PAGE_SIZE:
        return take_u32(f, &p->page_size, err);
    case PUB_RAW_BYTES:
        return take_uv(f, UINT64_MAX, &p->raw_bytes, err);
    case PUB_STORED_BYTES:
        return take_uv(f, UINT64_MAX, &p->stored_bytes, err);
    case PUB_FILES:
        return take_uv(f, UINT64_MAX, &p->files, err);
    case PUB_PAGE_ERRORS:
        return take_uv(f, UINT64_MAX, &p->page_errors, err);
    case PUB_READ_BYTES:
        return take_uv(f, UINT64_MAX, &p->read_bytes, err);
    case PUB_CHANGES_FOUND: /* a way that a later version has is not told */
        TRY(take_uv(f, UINT64_MAX, &v, err));
        p->changes_found = v <= CHANGES_COMPARED ? (enum changes_found)v : CHANGES_NOT_TOLD;
        return 0;
    case PUB_FROM_STANDBY:
        TRY(take_uv(f, 1, &v, err));
        p->from_standby = v != 0;
        return 0;
    }
    return field_unknown(f, "public part of a manifest", err);
}

static int parse(const void *bytes, size_t len, struct pubinfo *p, struct err *err)
{
    static const unsigned needed[] = {
        PUB_LABEL,     PUB_TYPE,     PUB_CLUSTER, PUB_SYSTEM_ID,    PUB_PG_VERSION, PUB_TIMELINE,
        PUB_START_LSN, PUB_STOP_LSN, PUB_SPANS,   PUB_SEGMENT_SIZE, PUB_PAGE_SIZE};
    struct fields f;
    struct field one;
    int more;

    fields_begin(&f, bytes, len, "public part of a manifest");
    while ((more = fields_next(&f, &one, err)) == 1)
        TRY(take_fact(&one, p, err));
    TRY(more);
    TRY(fields_need(&f, needed, LENGTH(needed), err));
    if (p->label[0] == '\0')
        return bad(err, "no label");
    if (p->wal_segment_size < 1 << 20 || p->wal_segment_size > 1 << 30 ||
        (p->wal_segment_size & (p->wal_segment_size - 1)) != 0)
        return bad(err, "impossible WAL segment size");
    if (p->page_size < 512 || p->page_size > 1 << 16 || (p->page_size & (p->page_size - 1)) != 0)
        return bad(err, "impossible page size");
    return 0;
}

/* Facts that may be left out are empty then, not NULL. */
static void fill_in(char **text)
{
    if (*text == NULL)
        *text = xstrdup("");
}

int pubinfo_parse(const void *bytes, size_t len, struct pubinfo *p, struct err *err)
{
    *p = (struct pubinfo){0};
    if (parse(bytes, len, p, err) != 0) {
        pubinfo_free(p);
        return -1;
    }
    fill_in(&p->instance);
    fill_in(&p->host);
    fill_in(&p->tool);
    return 0;
}

void pubinfo_free(struct pubinfo *p)
{
    free(p->cluster);
    free(p->instance);
    free(p->host);
    free(p->tool);
    free(p->spans);
    *p = (struct pubinfo){0};
}
