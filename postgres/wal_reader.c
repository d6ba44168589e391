/*
 * wal_reader.c - see wal_reader.h.
 *
 * The loop over records is what archive-push pays for every segment: it takes no copy of a record
 * that lies within a page and calls nothing but the CRC.
 */
#include "postgres/wal_reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "postgres/lsn.h"
#include "postgres/version.h"

const char *wal_stop_text(enum wal_stop stop)
{
    static const char *const texts[] = {
        [WAL_STOP_NONE] = "nothing wrong",
        [WAL_STOP_ZEROS] = "zeros where a record should start",
        [WAL_STOP_OLD_PAGE] = "a page of an earlier segment",
        [WAL_STOP_PAGE] = "invalid page header",
        [WAL_STOP_TIMELINE] = "a page of an unexpected timeline",
        [WAL_STOP_CONTRECORD] = "a continuation that does not fit its record",
        [WAL_STOP_LENGTH] = "impossible record length",
        [WAL_STOP_PREV] = "a record that does not follow the one before it",
        [WAL_STOP_CRC] = "wrong record CRC",
    };
    return (size_t)stop < LENGTH(texts) ? texts[stop] : "unknown";
}

bool wal_stop_is_end(enum wal_stop stop)
{
    return stop == WAL_STOP_ZEROS || stop == WAL_STOP_OLD_PAGE;
}

static void read_header(const uint8_t *p, struct wal_segment_header *h)
{
    h->magic = get_u16(p);
    h->info = get_u16(p + 2);
    h->tli = get_u32(p + 4);
    h->start = get_u64(p + 8);
    h->rem_len = get_u32(p + 16);
    h->system_id = get_u64(p + 24);
    h->segment_size = get_u32(p + 32);
    h->block_size = get_u32(p + 36);
    h->major = pg_version_by_magic(h->magic) != NULL ? pg_version_by_magic(h->magic)->major : 0;
}

static int check_place(const struct wal_segment_header *h, const struct wal_expect *want,
                       struct err *err)
{
    char found[LSN_TEXT], expected[LSN_TEXT];

    lsn_format(h->start, found);
    if (h->start == 0 || h->start % h->segment_size != 0)
        return err_set(err, ERR_CORRUPT,
                       "its first page claims position %s, which no segment of %" PRIu32
                       " bytes has",
                       found, h->segment_size);
    if (want->start != WAL_ANY && h->start != want->start)
        return err_set(err, ERR_CORRUPT,
                       "its first page claims position %s, the file name stands for %s", found,
                       lsn_format(want->start, expected));
    if (want->tli != WAL_ANY && (h->tli > want->tli || h->tli == 0))
        return err_set(err, ERR_CORRUPT,
                       "its first page claims timeline %" PRIu32
                       ", the file name stands for timeline %" PRIu32,
                       h->tli, want->tli);
    return 0;
}

int wal_segment_check(const void *data, size_t len, uint64_t file_size,
                      const struct wal_expect *want, struct wal_segment_header *h, struct err *err)
{
    if (len < WAL_LONG_HEADER)
        return err_set(err, ERR_CORRUPT, "%zu bytes are no WAL segment, its header alone has %d",
                       len, (int)WAL_LONG_HEADER);
    read_header(data, h);
    if (h->major != 0 && !(h->info & WAL_PAGE_LONG))
        return err_set(err, ERR_CORRUPT, "its first page has no segment header (flags 0x%04x)",
                       h->info);
    if (!wal_segsz_valid(h->segment_size))
        return err_set(err, ERR_CORRUPT,
                       "no WAL segment header: page magic 0x%04X, segment size %" PRIu32, h->magic,
                       h->segment_size);
    if (want->system_id != WAL_ANY && h->system_id != want->system_id)
        return err_set(err, ERR_FOREIGN,
                       "the segment belongs to system identifier %" PRIu64 ", expected %" PRIu64,
                       h->system_id, want->system_id);
    if (h->segment_size != file_size)
        return err_set(err, ERR_CORRUPT, "the file has %" PRIu64 " bytes, its header says %" PRIu32,
                       file_size, h->segment_size);
    return check_place(h, want, err);
}

void wal_walk_init(struct wal_walk *w)
{
    memset(w, 0, sizeof *w);
}

void wal_walk_free(struct wal_walk *w)
{
    buf_free(&w->head);
    buf_free(&w->part);
    wal_walk_init(w);
}

static int check_next(const struct wal_walk *w, const struct wal_segment_header *h, struct err *err)
{
    uint64_t start = w->segment.start + w->segment.segment_size;
    char at[LSN_TEXT], found[LSN_TEXT];

    lsn_format(start, at);
    if (w->off < w->segment.segment_size)
        return err_set(err, ERR_FAILED, "the segment before %s was not read to its end", at);
    if (h->start != start)
        return err_set(err, ERR_NOT_FOUND,
                       "WAL from %s on is missing: the next segment starts at %s", at,
                       lsn_format(h->start, found));
    if (h->segment_size != w->segment.segment_size || h->magic != w->segment.magic)
        return err_set(err, ERR_CORRUPT,
                       "the segment at %s has size %" PRIu32 " and page magic 0x%04X, "
                       "the one before %" PRIu32 " and 0x%04X",
                       at, h->segment_size, h->magic, w->segment.segment_size, w->segment.magic);
    return 0;
}

int wal_walk_feed(struct wal_walk *w, const void *data, size_t len, uint32_t tli, struct err *err)
{
    struct wal_expect want = {.system_id = w->segment.system_id, .tli = tli};
    struct wal_segment_header h;
    uint64_t size = len >= WAL_LONG_HEADER ? get_u32((const uint8_t *)data + 32) : 0;

    /* An incomplete file is judged by what its header says. */
    TRY(wal_segment_check(data, len, len < size ? size : len, &want, &h, err));
    if (h.major == 0)
        return err_set(err, ERR_UNSUPPORTED, "page magic 0x%04X is none of PostgreSQL 13 to 18",
                       h.magic);
    if (h.block_size != WAL_PAGE)
        return err_set(err, ERR_UNSUPPORTED, "WAL pages of %" PRIu32 " bytes, expected %d",
                       h.block_size, WAL_PAGE);
    if (w->data != NULL)
        TRY(check_next(w, &h, err));
    w->fresh = w->data == NULL;
    if (w->fresh)
        w->end = h.start;
    w->segment = h;
    w->data = data;
    w->len = len;
    w->off = 0;
    w->tli_max = tli == WAL_ANY ? UINT32_MAX : tli;
    w->switched = false;
    return 0;
}

static uint64_t lsn_at(const struct wal_walk *w, size_t off)
{
    return w->segment.start + off;
}

static enum wal_step stop(struct wal_walk *w, enum wal_stop why, uint64_t lsn)
{
    w->stop = why;
    w->stop_lsn = lsn;
    return WAL_STOPPED;
}

static enum wal_stop note_timeline(struct wal_walk *w, uint32_t tli, uint64_t lsn)
{
    if (tli < w->tli || tli > w->tli_max || tli == 0 || w->n_timelines == WAL_TIMELINES_MAX)
        return WAL_STOP_TIMELINE;
    w->timelines[w->n_timelines++] = (struct wal_timeline){tli, lsn};
    w->tli = tli;
    return WAL_STOP_NONE;
}

/* The page header at the walk's position; only what every page must fulfil. */
static enum wal_stop check_page(struct wal_walk *w, const uint8_t *p, uint16_t info)
{
    uint64_t lsn = lsn_at(w, w->off), addr = get_u64(p + 8);

    if (get_u16(p) == 0 && addr == 0)
        return WAL_STOP_ZEROS;
    if (get_u16(p) != w->segment.magic)
        return addr < lsn && pg_version_by_magic(get_u16(p)) != NULL ? WAL_STOP_OLD_PAGE
                                                                     : WAL_STOP_PAGE;
    if (addr != lsn)
        return addr < lsn ? WAL_STOP_OLD_PAGE : WAL_STOP_PAGE;
    if (info > (WAL_PAGE_CONTRECORD | WAL_PAGE_LONG | WAL_PAGE_REMOVABLE | WAL_PAGE_OVERWRITE) ||
        !(info & WAL_PAGE_LONG) != (w->off != 0) ||
        (info & WAL_PAGE_CONTRECORD && info & WAL_PAGE_OVERWRITE))
        return WAL_STOP_PAGE;
    if (get_u32(p + 4) != w->tli)
        return note_timeline(w, get_u32(p + 4), lsn);
    return WAL_STOP_NONE;
}

/* Adds the continuation bytes of this page to the record under way, or to the head. */
static void take_piece(struct wal_walk *w, const uint8_t *p, uint32_t piece)
{
    if (w->part_total != 0) {
        buf_add(&w->part, p, piece);
        return;
    }
    w->head_seen += piece;
    if (w->head.len < WAL_FRAGMENT_MAX)
        buf_add(&w->head, p, MIN_OF(piece, WAL_FRAGMENT_MAX - w->head.len));
}

/* How many continuation bytes must still come. */
static uint32_t missing(const struct wal_walk *w)
{
    if (w->part_total != 0)
        return w->part_total - (uint32_t)w->part.len;
    return w->head_len - w->head_seen;
}

static void abandon(struct wal_walk *w)
{
    w->abandoned = w->part_total != 0 ? w->part_lsn : 0;
    w->abandons++;
    w->part_total = 0;
    w->head_len = w->head_seen; /* nothing more will come */
    buf_clear(&w->part);
}

/*
 * Passes the header at the start of a page, and what continues a record there. On return the walk
 * stands where the next record starts, at the next page, or has stopped.
 */
static enum wal_stop enter_page(struct wal_walk *w)
{
    const uint8_t *p = w->data + w->off;
    uint16_t info = get_u16(p + 2);
    uint32_t rem_len = get_u32(p + 16), header, piece;
    enum wal_stop why = check_page(w, p, info);

    if (why != WAL_STOP_NONE)
        return why;
    header = info & WAL_PAGE_LONG ? WAL_LONG_HEADER : WAL_SHORT_HEADER;
    /* Only the first page of a walk may continue something that nobody saw begin. */
    if (w->fresh && info & WAL_PAGE_CONTRECORD)
        w->head_len = rem_len;
    w->fresh = false;
    if (info & WAL_PAGE_OVERWRITE && !(info & WAL_PAGE_CONTRECORD))
        abandon(w);
    if ((missing(w) != 0) != ((info & WAL_PAGE_CONTRECORD) != 0) ||
        (missing(w) != 0 && missing(w) != rem_len))
        return WAL_STOP_CONTRECORD;
    piece = MIN_OF(rem_len, WAL_PAGE - header);
    if (!(info & WAL_PAGE_CONTRECORD))
        piece = 0;
    else
        take_piece(w, p + header, piece);
    w->off += header + ((piece + 7) & ~7u);
    return WAL_STOP_NONE;
}

enum wal_stop wal_record_check(const uint8_t *bytes, size_t len, uint64_t lsn, uint64_t prev,
                               struct wal_record *rec)
{
    if (len < WAL_RECORD_HEADER || get_u32(bytes) != len)
        return WAL_STOP_LENGTH;
    rec->prev = get_u64(bytes + 8);
    if (prev != 0 ? rec->prev != prev : rec->prev >= lsn)
        return WAL_STOP_PREV;
    if (crc32c(crc32c(0, bytes + 24, len - 24), bytes, 20) != get_u32(bytes + 20))
        return WAL_STOP_CRC;
    rec->lsn = lsn;
    rec->end = 0;
    rec->bytes = bytes;
    rec->total_len = (uint32_t)len;
    rec->xid = get_u32(bytes + 4);
    rec->info = bytes[16];
    rec->rmid = bytes[17];
    return WAL_STOP_NONE;
}

/* A whole record: its end is at the walk's position, already past any padding. */
static enum wal_step finish(struct wal_walk *w, const uint8_t *bytes, uint32_t len, uint64_t lsn,
                            struct wal_record *rec)
{
    enum wal_stop why = wal_record_check(bytes, len, lsn, w->last, rec);

    if (why != WAL_STOP_NONE)
        return stop(w, why, lsn);
    w->data_end = lsn_at(w, w->off);
    if (rec->rmid == 0 && (rec->info & 0xF0) == 0x40) { /* XLOG_SWITCH: the rest is zeros */
        w->off = w->segment.segment_size;
        w->switched = true;
    }
    rec->end = lsn_at(w, w->off);
    w->last = lsn;
    w->end = rec->end;
    return WAL_RECORD;
}

/* Begins a record that does not end in this page. */
static enum wal_stop begin_part(struct wal_walk *w, uint32_t total, uint32_t room)
{
    const uint8_t *p = w->data + w->off;
    uint64_t lsn = lsn_at(w, w->off);

    if (room >= 16 && (w->last != 0 ? get_u64(p + 8) != w->last : get_u64(p + 8) >= lsn))
        return WAL_STOP_PREV;
    buf_clear(&w->part);
    buf_add(&w->part, p, room);
    w->part_lsn = lsn;
    w->part_total = total;
    w->part_tli = w->tli;
    w->off += room;
    return WAL_STOP_NONE;
}

/* Passes page headers until the record under way is whole (WAL_RECORD), or there is none and a
 * record may start here (WAL_RECORD as well). */
static enum wal_step pass_pages(struct wal_walk *w)
{
    while (w->off % WAL_PAGE == 0) {
        enum wal_stop why;
        if (w->off + WAL_PAGE > w->len)
            return WAL_MORE;
        why = enter_page(w);
        if (why != WAL_STOP_NONE)
            return stop(w, why, lsn_at(w, w->off));
        if (w->last == 0 && w->part_total == 0)
            w->end = lsn_at(w, w->off);
        if (w->part_total != 0 && missing(w) == 0)
            break;
    }
    return WAL_RECORD;
}

enum wal_step wal_walk_next(struct wal_walk *w, struct wal_record *rec)
{
    if (w->stop != WAL_STOP_NONE)
        return WAL_STOPPED;
    for (;;) {
        const uint8_t *p;
        uint32_t total, room;
        enum wal_stop why;

        if (w->off % WAL_PAGE == 0) {
            enum wal_step step = pass_pages(w);
            if (step != WAL_RECORD)
                return step;
            if (w->part_total != 0) {
                total = w->part_total;
                w->part_total = 0;
                rec->tli = w->part_tli;
                return finish(w, (const uint8_t *)w->part.p, total, w->part_lsn, rec);
            }
        }
        p = w->data + w->off;
        room = WAL_PAGE - (uint32_t)(w->off % WAL_PAGE);
        total = get_u32(p);
        if (total < WAL_RECORD_HEADER)
            return stop(w, total == 0 ? WAL_STOP_ZEROS : WAL_STOP_LENGTH, lsn_at(w, w->off));
        if (total <= room) {
            uint64_t lsn = lsn_at(w, w->off);
            w->off += (total + 7) & ~7u;
            rec->tli = w->tli;
            return finish(w, p, total, lsn, rec);
        }
        why = begin_part(w, total, room);
        if (why != WAL_STOP_NONE)
            return stop(w, why, lsn_at(w, w->off));
    }
}
