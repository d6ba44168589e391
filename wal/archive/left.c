/* left.c - see left.h. */
#include "wal/archive/left.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "postgres/setting.h"
#include "postgres/timeline.h"
#include "repo/wal/wal_object.h"

bool left_follows_newest(const char *data_dir)
{
    AUTO(buf_free) struct buf value = BUF_INIT;
    struct err err = {0};
    bool set;

    if (setting_find(data_dir, "recovery_target_timeline", &value, &set, &err) != 0) {
        log_warning("which timeline this standby follows cannot be told, so it gets everything: %s",
                    err.msg);
        return false;
    }
    return !set || strcmp(buf_text(&value), "latest") == 0;
}

/* Timelines that have a history file. */
struct histories {
    uint32_t *tli;
    size_t n;
};

static void histories_free(struct histories *h)
{
    mem_free(&h->tli);
}

static int note(void *ctx, const struct wal_entry *e, struct err *err)
{
    struct histories *h = ctx;
    struct wal_file f;

    (void)err;
    if (wal_file_parse(e->file, &f) != 0)
        return 0;
    h->tli = xrealloc(h->tli, (h->n + 1) * sizeof *h->tli);
    h->tli[h->n++] = f.tli;
    return 0;
}

static bool has(const struct histories *h, uint32_t tli)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->tli[i] == tli)
            return true;
    return false;
}

/* One that does not answer does not matter as long as another one does. */
static int list_all(const struct open_repos *repos, const struct wal_identity *id,
                    struct histories *h, struct err *err)
{
    struct err why = {0};
    bool answered = false;

    for (size_t i = 0; i < repos->n; i++) {
        const struct open_repo *o = &repos->items[i];

        if (o->repo == NULL)
            continue;
        if (wal_histories_list(o->repo, id->system_id, id->major, note, h, &why) == 0)
            answered = true;
    }
    if (answered)
        return 0;
    if (why.code == ERR_NONE)
        return err_set(err, ERR_UNREACHABLE, "no repository is open");
    *err = why;
    return -1;
}

static int read_history(const struct open_repos *repos, const struct wal_identity *id, uint32_t tli,
                        struct history *out, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct wal_file f = {.kind = WAL_HISTORY, .tli = tli};
    char name[WAL_NAME];

    wal_file_format(&f, name);
    err_set(err, ERR_UNREACHABLE, "no repository is open");
    for (size_t i = 0; i < repos->n; i++) {
        const struct open_repo *o = &repos->items[i];

        if (o->repo == NULL || wal_object_get(o->repo, id->system_id, id->major, name,
                                              HISTORY_MAX_BYTES, 1, &text, err) != 0)
            continue;
        if (history_parse(tli, text.p, text.len, out, err) == 0) {
            err_clear(err);
            return 0;
        }
    }
    return err_context(err, "\"%s\"", name);
}

int left_at(const struct open_repos *repos, const struct wal_identity *id, uint32_t timeline,
            uint64_t *switch_lsn, uint32_t *newest, struct err *err)
{
    AUTO(histories_free) struct histories all = {0};
    AUTO(history_free) struct history h = HISTORY_INIT;
    const struct history_entry *entry;
    uint32_t last = timeline;

    *switch_lsn = 0;
    *newest = 0;
    TRY(list_all(repos, id, &all, err));
    while (last < UINT32_MAX && has(&all, last + 1))
        last++;
    if (last == timeline)
        return 0;
    TRY(read_history(repos, id, last, &h, err));
    entry = history_find(&h, timeline);
    if (entry == NULL)
        return 0;
    *switch_lsn = entry->end;
    *newest = last;
    return 0;
}
