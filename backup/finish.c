/* finish.c - see finish.h. */
#include "backup/finish.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "postgres/lsn.h"
#include "postgres/relfile.h"
#include "repo/wal/wal_object.h"
#include "wal/index/index.h"
#include "wal/index/prove.h"

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

static struct db_dir *find_dir(const struct finished *f, uint32_t spc, uint32_t db)
{
    for (size_t i = f->n_dirs; i-- > 0;)
        if (f->dirs[i].spc == spc && f->dirs[i].db == db)
            return &f->dirs[i];
    return NULL;
}

/* The directory of a database that a path names, made known; NULL: it names none. */
static struct db_dir *dir_of(struct finished *f, const char *dir)
{
    uint32_t spc = SPC_DEFAULT, db;
    struct db_dir *d;

    if (!relfile_is_db_dir(dir) || strcmp(dir, "global") == 0)
        return NULL;
    if (strncmp(dir, "pg_tblspc/", 10) == 0) {
        AUTO(mem_free) char *oid = xstrndup(dir + 10, strcspn(dir + 10, "/"));
        spc = oid_parse(oid);
    }
    db = oid_parse(strrchr(dir, '/') + 1);
    d = find_dir(f, spc, db);
    if (d != NULL)
        return d;
    f->dirs = xrealloc(f->dirs, (f->n_dirs + 1) * sizeof *f->dirs);
    f->dirs[f->n_dirs] = (struct db_dir){.spc = spc, .db = db};
    return &f->dirs[f->n_dirs++];
}

static void note_dir(struct finished *f, const char *path)
{
    if (strncmp(path, "data/", 5) == 0)
        dir_of(f, path + 5);
}

/* base/<db>/<name> or pg_tblspc/<spc>/<version>/<db>/<name>. */
static void note_file(struct finished *f, const char *path, bool vanished)
{
    const char *slash = strrchr(path, '/');
    AUTO(mem_free) char *dir = NULL;
    struct db_dir *d;

    if (!vanished && strcmp(slash + 1, "PG_VERSION") != 0)
        return;
    if (strncmp(path, "data/", 5) != 0 || slash <= path + 5)
        return;
    dir = xstrndup(path + 5, (size_t)(slash - path - 5));
    d = dir_of(f, dir);
    if (d != NULL && vanished)
        d->lost_files = true;
    else if (d != NULL)
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
    note_file(m->out, l->path, f.fate == FATE_VANISHED);
    if (f.fate == FATE_VANISHED)
        return 0;
    e->size = f.size;
    e->mtime_s = f.mtime_s;
    e->crc32c = f.crc32c;
    e->crc_unknown = f.crc_unknown;
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

    if (l->type == ENTRY_FILE)
        return add_file(m, l, &e, err);
    if (l->type == ENTRY_DIR)
        note_dir(m->out, l->path);
    return manifest_add(m->w, &e, err);
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

static int not_whole(uint32_t made, uint32_t spc, uint32_t db, struct err *err)
{
    return err_set(
        err, ERR_FAILED,
        "database %u was copied from database %u file by file while the backup ran, and "
        "the source (tablespace %u) went away before it was copied; a restore would lose "
        "it: take the backup again",
        made, db, spc);
}

static bool has_version(const struct finished *f, uint32_t db)
{
    for (size_t i = 0; i < f->n_dirs; i++)
        if (f->dirs[i].db == db && f->dirs[i].has_version)
            return true;
    return false;
}

/* A directory that was listed while it was being removed may lack files that nobody missed. Then
 * PG_VERSION is missing too, or, where there never is one, the removal follows in the WAL. */
static int check_event(const struct wal_event *e, struct finished *f, struct err *err)
{
    struct db_dir *d;

    if (e->kind == WAL_EVENT_DB_CREATE_COPY) {
        d = find_dir(f, e->src_spc, e->src_db);
        if (d == NULL || d->lost_files || !has_version(f, e->src_db))
            return not_whole(e->db, e->src_spc, e->src_db, err);
        d->copied_to = e->db;
    } else if (e->kind == WAL_EVENT_DB_DROP) {
        d = find_dir(f, e->spc, e->db);
        if (d != NULL && d->copied_to != 0 && !d->has_version)
            return not_whole(d->copied_to, e->spc, e->db, err);
    }
    return 0;
}

static int check_events(const struct wal_index *ix, const struct pubinfo *pub, struct finished *f,
                        struct err *err)
{
    for (uint32_t i = 0; i < ix->n_events; i++) {
        const struct wal_event *e = &ix->events[i];

        if (e->lsn >= pub->start_lsn && e->lsn < pub->stop_lsn)
            TRY(check_event(e, f, err));
    }
    return 0;
}

struct copies_check {
    struct repo *repo;
    const struct pubinfo *pub;
    struct finished *finished;
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
    TRY(wal_object_index(c->repo, c->pub->system_id, c->pub->pg_version / 10000, name, &bytes, NULL,
                         err));
    if (wal_index_read(bytes.p, bytes.len, WAL_INDEX_SUMMARY, &ix, err) != 0 ||
        wal_chain_add(&c->chain, &ix, &what, &crossing, err) != 0)
        return err_context(err, "WAL segment \"%s\"", name);
    TRY(check_events(&crossing, c->pub, c->finished, err));
    return check_events(&ix, c->pub, c->finished, err);
}

int finish_check_copies(struct repo *r, const struct pubinfo *pub, struct finished *f,
                        struct err *err)
{
    struct copies_check c = {r, pub, f, {0}};
    int rc;

    wal_chain_init(&c.chain);
    rc = wal_spans_each(pub->spans, pub->n_spans, pub->wal_segment_size, check_segment, &c, err);
    wal_chain_free(&c.chain);
    return rc;
}
