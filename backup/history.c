/* history.c - see history.h. */
#include "backup/history.h"

#include <stdio.h>

#include "base/fs.h"
#include "base/log.h"
#include "postgres/timeline.h"
#include "repo/wal/wal_object.h"

static int complete_one(const struct wal_place *p, int data_fd, uint32_t timeline, struct err *err)
{
    AUTO(history_free) struct history h = HISTORY_INIT;
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct wal_source source = {.system_id = p->system_id, .major = p->major};
    char path[64];
    enum wal_put done;
    bool whole;

    snprintf(path, sizeof path, "pg_wal/%08X.history", timeline);
    source.file = path + sizeof "pg_wal/" - 1;
    TRY(wal_object_exists(p->repo, p->system_id, p->major, source.file, &whole, err));
    if (whole)
        return 0;
    if (fs_read_file(data_fd, path, HISTORY_MAX_BYTES, &text, err) != 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        err_clear(err);
        return 0;
    }
    TRY(history_parse(timeline, text.p, text.len, &h, err));
    source.raw = text.p;
    source.raw_len = text.len;
    TRY(wal_object_put(p->repo, &source, 1, &done, err));
    log_info("history file \"%s\" was not archived by the server; it is now", source.file);
    return 0;
}

int history_complete(const struct wal_place *p, int data_fd, const struct wal_span *spans, size_t n,
                     struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (spans[i].timeline > 1)
            TRY(complete_one(p, data_fd, spans[i].timeline, err));
    return 0;
}

int history_load(const struct wal_place *p, int data_fd, uint32_t timeline, struct history *out,
                 struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    char file[32];

    if (timeline == 1) {
        history_root(timeline, out);
        return 0;
    }
    TRY(complete_one(p, data_fd, timeline, err));
    snprintf(file, sizeof file, "%08X.history", timeline);
    TRY(wal_object_get(p->repo, p->system_id, p->major, file, HISTORY_MAX_BYTES, 1, &text, err));
    return history_parse(timeline, text.p, text.len, out, err);
}
