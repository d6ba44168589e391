/* finish.c - see finish.h. */
#include "backup/finish.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "postgres/relfile.h"
#include "repo/wal_object.h"
#include "wal/index.h"
#include "wal/prove.h"

/* ---- owners by name ---- */

struct owner {
    uint32_t id;
    bool known;
    char name[64];
};

static const char *user_name(struct owner *o, uint32_t uid)
{
    struct passwd entry, *found = NULL;
    char text[4096];

    if (o->known && o->id == uid)
        return o->name;
    *o = (struct owner){.id = uid, .known = true};
    if (getpwuid_r(uid, &entry, text, sizeof text, &found) == 0 && found != NULL)
        snprintf(o->name, sizeof o->name, "%s", found->pw_name);
    else
        snprintf(o->name, sizeof o->name, "%u", uid);
    return o->name;
}

static const char *group_name(struct owner *o, uint32_t gid)
{
    struct group entry, *found = NULL;
    char text[16384];

    if (o->known && o->id == gid)
        return o->name;
    *o = (struct owner){.id = gid, .known = true};
    if (getgrgid_r(gid, &entry, text, sizeof text, &found) == 0 && found != NULL)
        snprintf(o->name, sizeof o->name, "%s", found->gr_name);
    else
        snprintf(o->name, sizeof o->name, "%u", gid);
    return o->name;
}

/* ---- directories of databases ---- */

static struct db_dir *dir_of(struct finished *f, uint32_t spc, uint32_t db)
{
    for (size_t i = f->n_dirs; i-- > 0;)
        if (f->dirs[i].spc == spc && f->dirs[i].db == db)
            return &f->dirs[i];
    f->dirs = xrealloc(f->dirs, (f->n_dirs + 1) * sizeof *f->dirs);
    f->dirs[f->n_dirs] = (struct db_dir){.spc = spc, .db = db};
    return &f->dirs[f->n_dirs++];
}

/* base/<db>/<name> or pg_tblspc/<spc>/<version>/<db>/<name>. */
static void note_dir(struct finished *f, const char *path, bool vanished)
{
    const char *slash = strrchr(path, '/'), *name = slash + 1;
    AUTO(mem_free) char *dir = NULL;
    uint32_t spc = SPC_DEFAULT;
    struct db_dir *d;

    if (!vanished && strcmp(name, "PG_VERSION") != 0)
        return;
    if (strncmp(path, "data/", 5) != 0 || slash <= path + 5)
        return;
    dir = xstrndup(path + 5, (size_t)(slash - path - 5));
    if (!relfile_is_db_dir(dir) || strcmp(dir, "global") == 0)
        return;
    if (strncmp(dir, "pg_tblspc/", 10) == 0) {
        AUTO(mem_free) char *oid = xstrndup(dir + 10, strcspn(dir + 10, "/"));
        spc = oid_parse(oid);
    }
    d = dir_of(f, spc, oid_parse(strrchr(dir, '/') + 1));
    if (vanished)
        d->lost_files = true;
    else
        d->has_version = true;
}

void finished_free(struct finished *f)
{
    free(f->dirs);
    *f = (struct finished){0};
}

/* ---- the merge ---- */

struct merge {
    struct manifest_writer *w;
    struct results *results;
    struct finished *out;
    struct owner user, group;
    struct buf map;
};

static int add_file(struct merge *m, const struct listed *l, struct entry *e, struct err *err)
{
    struct file_result f;

    TRY(results_get(m->results, l->number, &f, err));
    if (f.fate == FATE_NONE)
        return err_set(err, ERR_FAILED, "\"%s\" was listed but never copied", l->path);
    note_dir(m->out, l->path, f.fate == FATE_VANISHED);
    if (f.fate == FATE_VANISHED)
        return 0;
    e->size = f.size;
    e->mtime_s = f.mtime_s;
    e->crc32c = f.crc32c;
    e->place = f.fate == FATE_EMPTY ? PLACE_EMPTY : (f.fate == FATE_MAP ? PLACE_MAP : PLACE_BUNDLE);
    if (f.fate == FATE_MAP) {
        TRY(results_get_map(m->results, &f, &m->map, err));
        e->map = (const uint8_t *)m->map.p;
        e->map_len = m->map.len;
    }
    e->set = f.set;
    e->pack = f.pack;
    e->chunk = f.chunk;
    e->offset = f.offset;
    m->out->files++;
    m->out->bytes += f.size;
    return manifest_add(m->w, e, err);
}

static int add_entry(struct merge *m, const struct listed *l, struct err *err)
{
    struct entry e = {
        .path = l->path,
        .type = l->type,
        .mode = l->mode,
        .user = user_name(&m->user, l->uid),
        .group = group_name(&m->group, l->gid),
        .mtime_s = l->mtime_s,
        .target = l->target,
    };

    return l->type == ENTRY_FILE ? add_file(m, l, &e, err) : manifest_add(m->w, &e, err);
}

int finish_entries(struct manifest_writer *w, const struct list_writer *list,
                   struct results *results, struct finished *out, struct err *err)
{
    struct merge m = {.w = w, .results = results, .out = out};
    struct list_reader reader;
    struct listed l;
    int more, rc = 0;

    list_begin(&reader, list);
    while (rc == 0 && (more = list_next(&reader, &l, err)) != 0)
        rc = more < 0 ? -1 : add_entry(&m, &l, err);
    list_end(&reader);
    buf_free(&m.map);
    return rc;
}

/* ---- databases copied file by file ---- */

static int check_events(const struct wal_index *ix, const struct pubinfo *pub,
                        const struct finished *f, struct err *err)
{
    for (uint32_t i = 0; i < ix->n_events; i++) {
        const struct wal_event *e = &ix->events[i];
        bool whole = false;

        if (e->kind != WAL_EVENT_DB_CREATE_COPY || e->lsn < pub->start_lsn ||
            e->lsn >= pub->stop_lsn)
            continue;
        for (size_t d = 0; d < f->n_dirs; d++)
            if (f->dirs[d].spc == e->src_spc && f->dirs[d].db == e->src_db)
                whole = f->dirs[d].has_version && !f->dirs[d].lost_files;
        if (!whole)
            return err_set(err, ERR_FAILED,
                           "database %u was copied from database %u file by file while the backup "
                           "ran, and the source (tablespace %u) went away before it was copied; a "
                           "restore would lose it: take the backup again",
                           e->db, e->src_db, e->src_spc);
    }
    return 0;
}

struct copies_check {
    struct repo *repo;
    const struct pubinfo *pub;
    const struct finished *finished;
    struct wal_chain chain;
};

static int check_segment(void *ctx, uint32_t timeline, uint64_t segno, struct err *err)
{
    struct copies_check *c = ctx;
    AUTO(buf_free) struct buf bytes = BUF_INIT;
    AUTO(wal_index_free) struct wal_index ix, crossing;
    char name[WAL_SEGMENT_NAME];
    enum wal_crossing what;

    wal_index_init(&ix);
    wal_index_init(&crossing);
    wal_segment_name(timeline, segno, c->pub->wal_segment_size, name);
    TRY(wal_object_index(c->repo, c->pub->system_id, c->pub->pg_version / 10000, name, &bytes,
                         err));
    if (wal_index_read(bytes.p, bytes.len, WAL_INDEX_SUMMARY, &ix, err) != 0 ||
        wal_chain_add(&c->chain, &ix, &what, &crossing, err) != 0)
        return err_context(err, "WAL segment \"%s\"", name);
    TRY(check_events(&crossing, c->pub, c->finished, err));
    return check_events(&ix, c->pub, c->finished, err);
}

int finish_check_copies(struct repo *r, const struct pubinfo *pub, const struct finished *f,
                        struct err *err)
{
    struct copies_check c = {r, pub, f, {0}};
    int rc;

    wal_chain_init(&c.chain);
    rc = wal_spans_each(pub->spans, pub->n_spans, pub->wal_segment_size, check_segment, &c, err);
    wal_chain_free(&c.chain);
    return rc;
}
