/* wal_record.c - see wal_record.h. */
#include "postgres/wal_record.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "postgres/lsn.h"

enum {
    ID_BLOCK_MAX = 32, /* XLR_MAX_BLOCK_ID */
    ID_TOP_XID = 252,
    ID_ORIGIN = 253,
    ID_LONG = 254,
    ID_SHORT = 255,
};
enum { FORK_MASK = 0x0F, HAS_IMAGE = 0x10, HAS_DATA = 0x20, SAME_REL = 0x80 };
enum { IMAGE_HOLE = 0x01, IMAGE_COMPRESSED_14 = 0x02, IMAGE_COMPRESSED_15 = 0x04 | 0x08 | 0x10 };
enum { LOCATOR = 12 };

static int broken(const struct wal_record *rec, const char *what, struct err *err)
{
    char at[LSN_TEXT];

    return err_set(err, ERR_CORRUPT, "WAL record at %s (resource manager %u, info 0x%02X): %s",
                   lsn_format(rec->lsn, at), rec->rmid, rec->info, what);
}

bool wal_rmgr_known(uint8_t rmid, unsigned major)
{
    return rmid <= WAL_RM_LAST || (rmid >= WAL_RM_CUSTOM && major >= 15);
}

struct wal_locator wal_locator_at(const uint8_t *list, uint32_t index)
{
    const uint8_t *p = list + (size_t)index * LOCATOR;

    return (struct wal_locator){get_u32(p), get_u32(p + 4), get_u32(p + 8)};
}

/* Header of a page image at p; returns what follows it, NULL if it does not fit. */
static const uint8_t *take_image(const uint8_t *p, const uint8_t *end, unsigned major,
                                 struct wal_block_ref *b)
{
    unsigned info, compressed = major >= 15 ? IMAGE_COMPRESSED_15 : IMAGE_COMPRESSED_14;

    if (end - p < 5)
        return NULL;
    b->has_image = true;
    b->image_len = get_u16(p);
    info = p[4];
    p += 5;
    if (b->image_len > WAL_PAGE)
        return NULL;
    if (info & IMAGE_HOLE && info & compressed) {
        if (end - p < 2)
            return NULL;
        p += 2; /* length of the hole */
    }
    return p;
}

/* A block reference at p, behind its id. */
static const uint8_t *take_block(const uint8_t *p, const uint8_t *end, unsigned major,
                                 struct wal_decoded *d, uint8_t id)
{
    struct wal_block_ref *b = &d->blocks[d->n_blocks];
    unsigned flags;

    if (end - p < 3 || (d->n_blocks > 0 && id <= b[-1].id))
        return NULL;
    flags = p[0];
    b->id = id;
    b->fork = flags & FORK_MASK;
    b->data_len = get_u16(p + 1);
    b->image_len = 0;
    b->has_image = false;
    p += 3;
    if (!(flags & HAS_DATA) != (b->data_len == 0) || b->fork >= WAL_FORKS)
        return NULL;
    if (flags & HAS_IMAGE && (p = take_image(p, end, major, b)) == NULL)
        return NULL;
    if (!(flags & SAME_REL)) {
        if (end - p < LOCATOR)
            return NULL;
        b->rel = wal_locator_at(p, 0);
        p += LOCATOR;
    } else if (d->n_blocks > 0) {
        b->rel = b[-1].rel;
    } else {
        return NULL;
    }
    if (end - p < 4)
        return NULL;
    b->block = get_u32(p);
    d->n_blocks++;
    return p + 4;
}

/* One of the fragments that are no block; *last when nothing may follow its header. */
static const uint8_t *take_other(const uint8_t *p, const uint8_t *end, struct wal_decoded *d,
                                 uint8_t id, bool *last)
{
    size_t need = id == ID_SHORT ? 1 : id == ID_ORIGIN ? 2 : 4;

    if (id < ID_TOP_XID || (size_t)(end - p) < need)
        return NULL;
    *last = id >= ID_LONG;
    if (*last)
        d->main_len = id == ID_SHORT ? *p : get_u32(p);
    else if (id == ID_TOP_XID)
        d->top_xid = get_u32(p);
    return p + need;
}

int wal_decode(const struct wal_record *rec, unsigned major, struct wal_decoded *d, struct err *err)
{
    const uint8_t *p = rec->bytes + WAL_RECORD_HEADER, *end = rec->bytes + rec->total_len;
    uint64_t payload = 0; /* announced so far */
    bool last = false;

    d->n_blocks = 0;
    d->main_len = d->top_xid = 0;
    while (!last && (uint64_t)(end - p) > payload) {
        uint8_t id = *p++;
        if (id <= ID_BLOCK_MAX) {
            p = take_block(p, end, major, d, id);
            if (p != NULL)
                payload += (uint64_t)d->blocks[d->n_blocks - 1].data_len +
                           d->blocks[d->n_blocks - 1].image_len;
        } else {
            p = take_other(p, end, d, id, &last);
            payload += last ? d->main_len : 0;
        }
        if (p == NULL)
            return broken(rec, "malformed fragment header", err);
    }
    if ((uint64_t)(end - p) != payload)
        return broken(rec, "its fragments do not add up to its length", err);
    d->main = end - d->main_len;
    return 0;
}

/* ---- transactions ---- */

enum {
    XACT_OPCODE = 0x70,
    XACT_HAS_INFO = 0x80,
    XINFO_DB = 0x001,
    XINFO_SUBXACTS = 0x002,
    XINFO_RELS = 0x004,
    XINFO_INVALS = 0x008,
    XINFO_TWOPHASE = 0x010,
    XINFO_ORIGIN = 0x020,
    XINFO_GID = 0x080,
    XINFO_STATS = 0x100,
};

/* i32 count and that many items of the size given. */
static const uint8_t *take_list(struct cursor *c, size_t item, uint32_t *n)
{
    *n = cur_u32(c);
    if (*n > cur_left(c) / item)
        c->bad = true;
    return cur_bytes(c, (size_t)*n * item);
}

static void take_gid(struct cursor *c, struct wal_xact *x)
{
    const uint8_t *nul = c->bad ? NULL : memchr(c->p, '\0', cur_left(c));

    if (nul == NULL) {
        c->bad = true;
        return;
    }
    x->gid = (const char *)c->p;
    c->p = nul + 1;
}

static int parse_end(const struct wal_record *rec, const struct wal_decoded *d, unsigned major,
                     struct wal_xact *x, struct err *err)
{
    struct cursor c = cursor_of(d->main, d->main_len);
    uint32_t xinfo, ignored;

    x->time_us = (int64_t)(cur_u64(&c) + (uint64_t)PG_EPOCH_US);
    xinfo = rec->info & XACT_HAS_INFO ? cur_u32(&c) : 0;
    if (xinfo & XINFO_DB) {
        x->db = cur_u32(&c);
        cur_u32(&c); /* its tablespace */
    }
    if (xinfo & XINFO_SUBXACTS)
        x->subxacts = take_list(&c, 4, &x->n_subxacts);
    if (xinfo & XINFO_RELS)
        x->dropped = take_list(&c, LOCATOR, &x->n_dropped);
    if (xinfo & XINFO_STATS && major >= 15)
        take_list(&c, major >= 18 ? 16 : 12, &ignored);
    if (xinfo & XINFO_INVALS && x->kind == WAL_XACT_COMMIT)
        take_list(&c, 16, &ignored);
    if (xinfo & XINFO_TWOPHASE) {
        x->xid = cur_u32(&c);
        if (xinfo & XINFO_GID)
            take_gid(&c, x);
    }
    if (xinfo & XINFO_ORIGIN)
        cur_bytes(&c, 16);
    return cur_done(&c) ? 0 : broken(rec, "a commit or abort that does not add up", err);
}

int wal_xact_parse(const struct wal_record *rec, const struct wal_decoded *d, unsigned major,
                   struct wal_xact *x, struct err *err)
{
    *x = (struct wal_xact){.kind = WAL_XACT_OTHER, .xid = rec->xid};
    switch (rec->info & XACT_OPCODE) {
    case 0x10:
        x->kind = WAL_XACT_PREPARE;
        return 0;
    case 0x50: /* assignment */
        return 0;
    case 0x60: /* invalidations */
        return major >= 14 ? 0 : broken(rec, "unknown transaction record", err);
    case 0x30:
        x->prepared = true; /* fall through */
    case 0x00:
        x->kind = WAL_XACT_COMMIT;
        break;
    case 0x40:
        x->prepared = true; /* fall through */
    case 0x20:
        x->kind = WAL_XACT_ABORT;
        break;
    default:
        return broken(rec, "unknown transaction record", err);
    }
    return parse_end(rec, d, major, x, err);
}

/* ---- relation files ---- */

static struct wal_locator take_locator(struct cursor *c)
{
    const uint8_t *p = cur_bytes(c, LOCATOR);

    return p != NULL ? wal_locator_at(p, 0) : (struct wal_locator){0, 0, 0};
}

int wal_smgr_parse(const struct wal_record *rec, const struct wal_decoded *d, struct wal_smgr *s,
                   struct err *err)
{
    struct cursor c = cursor_of(d->main, d->main_len);
    uint32_t fork, flags;

    memset(s, 0, sizeof *s);
    switch (rec->info & WAL_INFO_OPCODE) {
    case 0x10:
        s->kind = WAL_SMGR_CREATE;
        s->rel = take_locator(&c);
        fork = cur_u32(&c);
        if (!cur_done(&c) || fork >= WAL_FORKS)
            return broken(rec, "malformed creation of a relation file", err);
        s->fork = (uint8_t)fork;
        return 0;
    case 0x20:
        s->kind = WAL_SMGR_TRUNCATE;
        s->block = cur_u32(&c);
        s->rel = take_locator(&c);
        flags = cur_u32(&c);
        if (!cur_done(&c) || flags == 0 || flags > 7)
            return broken(rec, "malformed truncation", err);
        /* SMGR_TRUNCATE_HEAP 1, _VM 2, _FSM 4 */
        s->forks = (uint8_t)((flags & 1 ? 1 << FORK_MAIN : 0) | (flags & 2 ? 1 << FORK_VM : 0) |
                             (flags & 4 ? 1 << FORK_FSM : 0));
        return 0;
    default:
        return broken(rec, "unknown change of relation files", err);
    }
}
