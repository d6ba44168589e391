/* spill.c - see spill.h. Integers as in base/buf.h; these files never outlive the process. */
#include "backup/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"

/* For messages; the files have no names. */
#define LIST_NAME "list of files, in the state directory"
#define RESULTS_NAME "positions of files, in the state directory"
#define MAPS_NAME "maps of files, in the state directory"

enum { LIST_BUFFER = 1 << 20, RECORD = 64, RECORD_MAX = 16 << 10 };

int list_create(struct list_writer *w, const char *dir, struct err *err)
{
    *w = (struct list_writer){.fd = -1};
    return fs_temporary(dir, &w->fd, err);
}

int list_flush(struct list_writer *w, struct err *err)
{
    TRY(fs_pwrite_all(w->fd, w->buffer.p, w->buffer.len, w->written, LIST_NAME, err));
    w->written += w->buffer.len;
    buf_clear(&w->buffer);
    return 0;
}

int list_add(struct list_writer *w, const struct listed *e, struct err *err)
{
    struct buf *b = &w->buffer;

    buf_u8(b, (uint8_t)e->type);
    buf_uv(b, e->mode);
    buf_uv(b, e->uid);
    buf_uv(b, e->gid);
    buf_uv(b, e->size);
    buf_sv(b, e->mtime_s);
    buf_blob(b, e->path, strlen(e->path));
    buf_blob(b, e->target != NULL ? e->target : "", e->target != NULL ? strlen(e->target) : 0);
    w->count++;
    if (e->type == ENTRY_FILE) {
        w->files++;
        w->bytes += e->size;
    }
    return b->len >= LIST_BUFFER ? list_flush(w, err) : 0;
}

void list_free(struct list_writer *w)
{
    fd_close(&w->fd);
    buf_free(&w->buffer);
}

void list_begin(struct list_reader *r, const struct list_writer *w)
{
    *r = (struct list_reader){.fd = w->fd};
}

/* Makes sure that a whole record, or all that is left, is in the buffer. */
static int refill(struct list_reader *r, struct err *err)
{
    size_t left = r->buffer.len - r->at, got;

    if (left >= RECORD_MAX)
        return 0;
    memmove(r->buffer.p, r->buffer.p + r->at, left);
    r->buffer.len = left;
    r->at = 0;
    buf_reserve(&r->buffer, LIST_BUFFER);
    TRY(fs_pread_all(r->fd, r->buffer.p + left, LIST_BUFFER - RECORD_MAX, r->offset, &got,
                     LIST_NAME, err));
    r->offset += got;
    r->buffer.len += got;
    return 0;
}

static void copy_text(struct cursor *c, struct buf *to)
{
    size_t len;
    const uint8_t *p = cur_blob(c, &len);

    buf_clear(to);
    if (p != NULL)
        buf_add(to, p, len);
}

int list_next(struct list_reader *r, struct listed *e, struct err *err)
{
    struct cursor c;

    if (r->buffer.p == NULL)
        buf_reserve(&r->buffer, LIST_BUFFER);
    TRY(refill(r, err));
    if (r->at == r->buffer.len)
        return 0;
    c = cursor_of(r->buffer.p + r->at, r->buffer.len - r->at);
    e->type = cur_u8(&c);
    e->mode = (uint32_t)cur_uv(&c);
    e->uid = (uint32_t)cur_uv(&c);
    e->gid = (uint32_t)cur_uv(&c);
    e->size = cur_uv(&c);
    e->mtime_s = cur_sv(&c);
    copy_text(&c, &r->path);
    copy_text(&c, &r->target);
    if (c.bad)
        return err_set(err, ERR_FAILED, "the temporary list of files cannot be read back");
    e->number = r->number++;
    e->path = buf_text(&r->path);
    e->target = buf_text(&r->target);
    r->at = r->buffer.len - cur_left(&c);
    return 1;
}

void list_end(struct list_reader *r)
{
    buf_free(&r->buffer);
    buf_free(&r->path);
    buf_free(&r->target);
}

int results_create(struct results *r, const char *dir, struct err *err)
{
    *r = (struct results){.fd = -1, .map_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
    TRY(fs_temporary(dir, &r->fd, err));
    return fs_temporary(dir, &r->map_fd, err);
}

static void format_result(const struct file_result *f, uint8_t record[RECORD])
{
    memset(record, 0, RECORD);
    record[0] = (uint8_t)f->fate;
    record[1] = f->crc_unknown;
    put_u64(record + 8, f->size);
    put_u64(record + 16, (uint64_t)f->mtime_s);
    put_u32(record + 24, f->crc32c);
    put_u32(record + 28, f->set);
    put_u32(record + 32, f->pack);
    put_u32(record + 36, f->chunk);
    put_u32(record + 40, f->offset);
    put_u32(record + 44, f->map_len);
    put_u64(record + 48, f->map_at);
}

int results_put(struct results *r, uint64_t first, const struct file_result *f, size_t n,
                struct err *err)
{
    uint8_t records[RESULTS_BATCH * RECORD];

    for (size_t i = 0; i < n; i++)
        format_result(&f[i], records + i * RECORD);
    return fs_pwrite_all(r->fd, records, n * RECORD, first * RECORD, RESULTS_NAME, err);
}

int streak_flush(struct result_streak *s, struct err *err)
{
    if (s->n != 0)
        TRY(results_put(s->results, s->first, s->items, s->n, err));
    s->n = 0;
    return 0;
}

int streak_add(struct result_streak *s, uint64_t number, const struct file_result *f,
               struct err *err)
{
    if (s->n == RESULTS_BATCH || s->first + s->n != number)
        TRY(streak_flush(s, err));
    if (s->n == 0)
        s->first = number;
    s->items[s->n++] = *f;
    return 0;
}

int results_put_map(struct results *r, const void *map, size_t len, uint64_t *at, struct err *err)
{
    pthread_mutex_lock(&r->lock);
    *at = r->map_end;
    r->map_end += len;
    pthread_mutex_unlock(&r->lock);
    return fs_pwrite_all(r->map_fd, map, len, *at, MAPS_NAME, err);
}

/* The record of a file; what was never written reads as zeros. */
static int read_record(struct results *r, uint64_t number, const uint8_t **record, struct err *err)
{
    enum { BATCH = RESULTS_BATCH * RECORD };
    size_t got;

    if (r->read_ahead.len == 0 || number < r->read_first ||
        number >= r->read_first + RESULTS_BATCH) {
        buf_clear(&r->read_ahead);
        buf_reserve(&r->read_ahead, BATCH);
        TRY(fs_pread_all(r->fd, r->read_ahead.p, BATCH, number * RECORD, &got, RESULTS_NAME, err));
        memset(r->read_ahead.p + got, 0, BATCH - got);
        r->read_ahead.len = BATCH;
        r->read_first = number;
    }
    *record = (const uint8_t *)r->read_ahead.p + (number - r->read_first) * RECORD;
    return 0;
}

int results_get(struct results *r, uint64_t number, struct file_result *f, struct err *err)
{
    const uint8_t *record;

    TRY(read_record(r, number, &record, err));
    *f = (struct file_result){
        .fate = record[0],
        .size = get_u64(record + 8),
        .mtime_s = (int64_t)get_u64(record + 16),
        .crc32c = get_u32(record + 24),
        .crc_unknown = record[1] != 0,
        .set = get_u32(record + 28),
        .pack = get_u32(record + 32),
        .chunk = get_u32(record + 36),
        .offset = get_u32(record + 40),
        .map_len = get_u32(record + 44),
        .map_at = get_u64(record + 48),
    };
    return 0;
}

int results_get_map(struct results *r, const struct file_result *f, struct buf *map,
                    struct err *err)
{
    size_t got;

    buf_clear(map);
    buf_reserve(map, f->map_len);
    TRY(fs_pread_all(r->map_fd, map->p, f->map_len, f->map_at, &got, MAPS_NAME, err));
    map->len = got;
    if (got != f->map_len)
        return err_set(err, ERR_FAILED, "the temporary file of maps cannot be read back");
    return 0;
}

void results_free(struct results *r)
{
    fd_close(&r->fd);
    fd_close(&r->map_fd);
    buf_free(&r->read_ahead);
}
