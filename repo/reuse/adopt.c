/*
 * adopt.c - finding interrupted sets and what is good in them. See adopt.h; the lookup is in
 * adopt_index.c.
 *
 * A set may go away while it is looked through: its backup may have been expired, or an expirer may
 * fence it. So adopt_open() asks for manifest, fences and tombstone before it lists the packs, and
 * adopt_register() asks for fences, tombstone and packs again: by then the caller's lease names the
 * set, and an expirer that begins later spares it. A set that was lost in between is not used.
 */
#include "repo/reuse/adopt.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "repo/lease/lease.h"
#include "repo/reuse/adopt_index.h"

enum { SETS_MAX = 1000, READERS = 4 };

struct source {
    char label[LABEL_SIZE + 1];
    atomic_bool foreign;     /* of another system identifier or timeline */
    struct pack_info *packs; /* good ones, ascending */
    size_t n_packs;
    uint32_t settab; /* 0 until registered */
};

struct adoption {
    struct repo *repo;
    struct set_identity id;
    struct source *sets;
    size_t n_sets;
    size_t *shown; /* those with good packs, by index in sets */
    size_t n_shown;
    struct adopt_index *index;
    atomic_ullong bytes;
};

void adopt_free(struct adoption **out)
{
    struct adoption *a = TAKE(*out);

    if (a == NULL)
        return;
    for (size_t i = 0; i < a->n_sets; i++)
        free(a->sets[i].packs);
    free(a->sets);
    free(a->shown);
    adopt_index_free(&a->index);
    free(a);
}

/* ---- which sets ---- */

struct labels {
    char (*items)[LABEL_SIZE + 1];
    size_t n;
};

static void labels_free(struct labels *l)
{
    mem_free(&l->items);
}

static int note_set(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct labels *l = ctx;
    AUTO(mem_free) char *path = xstrndup(entry->key, strlen(entry->key) - 1);
    const char *label = strrchr(path, '/') + 1;

    (void)err;
    if (!entry->is_prefix || !label_valid(label))
        return 0;
    l->items = xrealloc(l->items, (l->n + 1) * sizeof *l->items);
    memcpy(l->items[l->n++], label, LABEL_SIZE + 1);
    return 0;
}

static bool of_a_backup(const char *label)
{
    enum set_kind kind = label_kind(label);

    return kind == SET_FULL || kind == SET_DIFF || kind == SET_INCR;
}

static int has_manifest(struct repo *r, const char *label, bool *has, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct store_entry ignored;

    *has =
        store_stat(repo_store(r), name_manifest(&key, repo_cluster(r), label), &ignored, err) == 0;
    if (!*has && err->code != ERR_NOT_FOUND)
        return -1;
    err_clear(err);
    return 0;
}

/* Nobody deletes it. */
static int is_kept(struct repo *r, const char *label, bool *kept, struct err *err)
{
    bool intent, final_fence, expired;

    TRY(fence_seen(r, label, &intent, &final_fence, err));
    TRY(expired_seen(r, label, &expired, err));
    *kept = !intent && !final_fence && !expired;
    return 0;
}

/* The manifest first: where an expirer took it away, the tombstone is still there, or all packs are
 * gone. */
static int is_candidate(struct repo *r, const char *label, bool *candidate, struct err *err)
{
    bool has;

    *candidate = false;
    TRY(has_manifest(r, label, &has, err));
    return has ? 0 : is_kept(r, label, candidate, err);
}

static int find_sets(struct adoption *a, const char *own, struct err *err)
{
    AUTO(labels_free) struct labels found = {0};
    AUTO(mem_free) char *prefix = xasprintf("%s/data/", repo_cluster(a->repo));
    int64_t window_us = (int64_t)repo_resume_window_s(a->repo) * 1000000, now_us;

    TRY(store_list(repo_store(a->repo), prefix, STORE_SHALLOW, note_set, &found, &now_us, err));
    a->sets = xcalloc(found.n, sizeof *a->sets);
    for (size_t i = found.n; i-- > 0 && a->n_sets < SETS_MAX;) { /* the newest first */
        const char *label = found.items[i];
        bool candidate;
        if (strcmp(label, own) == 0 || !of_a_backup(label) ||
            now_us - label_time_us(label) >= window_us)
            continue;
        TRY(is_candidate(a->repo, label, &candidate, err));
        if (candidate)
            memcpy(a->sets[a->n_sets++].label, label, LABEL_SIZE + 1);
    }
    return 0;
}

/* ---- which packs ---- */

struct task {
    size_t set; /* index in sets */
    struct pack_info pack;
    bool good;
};
struct survey {
    struct adoption *a;
    struct task *tasks;
    size_t n, cap;
    size_t set; /* being listed */
    atomic_size_t next;
    atomic_bool given_up;
};

static void survey_free(struct survey *s)
{
    mem_free(&s->tasks);
}

/* False for what is no pack of this set. */
static bool pack_number(struct repo *r, const char *set, const char *key, uint32_t *number)
{
    AUTO(buf_free) struct buf name = BUF_INIT;

    *number = (uint32_t)strtoul(strrchr(key, '/') + 1, NULL, 16);
    return strcmp(key, name_pack(&name, repo_cluster(r), set, *number)) == 0;
}

static int note_pack(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct survey *s = ctx;
    struct pack_info pack = {.size = entry->size};

    (void)err;
    if (!pack_number(s->a->repo, s->a->sets[s->set].label, entry->key, &pack.number))
        return 0;
    if (s->n == s->cap) {
        s->cap = s->cap * 2 + 64;
        s->tasks = xrealloc(s->tasks, s->cap * sizeof *s->tasks);
    }
    s->tasks[s->n++] = (struct task){s->set, pack, false};
    return 0;
}

static int list_packs(struct survey *s, struct err *err)
{
    AUTO(buf_free) struct buf prefix = BUF_INIT;
    struct repo *r = s->a->repo;

    for (s->set = 0; s->set < s->a->n_sets; s->set++)
        TRY(store_list(repo_store(r), name_set(&prefix, repo_cluster(r), s->a->sets[s->set].label),
                       STORE_DEEP, note_pack, s, NULL, err));
    return 0;
}

/* ---- what is in them ---- */

static uint64_t entry_key(uint64_t path_hash, uint32_t first_block, uint32_t raw_len,
                          const struct hash128 *hash)
{
    uint8_t all[32];

    put_u64(all, path_hash);
    put_u32(all + 8, first_block);
    put_u32(all + 12, raw_len);
    memcpy(all + 16, hash->bytes, HASH128_SIZE);
    return hash64(all, sizeof all);
}

/* A chunk index has 12 bits, the number of a set fits into the 20 below. */
static uint64_t pack_place(uint32_t pack, uint32_t chunk, size_t set)
{
    return (uint64_t)pack << 32 | (uint64_t)chunk << 20 | set;
}

/* Chunks of one file follow each other: its path is hashed once. */
static void index_contents(struct adoption *a, const struct task *t, const struct contents *c,
                           struct adopt_entry *entries)
{
    uint64_t bytes = 0, path_hash = 0, no_path = hash64("", 0);
    uint32_t path = UINT32_MAX;

    for (uint32_t i = 0; i < c->n_chunks; i++) {
        const struct contents_chunk *k = &c->chunks[i];
        bool pages = k->type == CHUNK_PAGES;
        if (pages && k->path != path) {
            path = k->path;
            path_hash = hash64(c->paths[path], strlen(c->paths[path]));
        }
        entries[i] = (struct adopt_entry){
            .key = entry_key(pages ? path_hash : no_path, pages ? c->runs[k->first_run].first : 0,
                             k->raw_len, &k->hash),
            .hash = k->hash,
            .value = pack_place(t->pack.number, i, t->set),
        };
        bytes += k->raw_len;
    }
    if (adopt_index_add(a->index, entries, c->n_chunks))
        atomic_fetch_add(&a->bytes, bytes);
}

struct reader {
    struct pack_reader *packs;
    uint8_t *buffer;             /* aligned */
    struct adopt_entry *entries; /* OBJECT_CHUNKS_MAX */
};

static void reader_free(struct reader *r)
{
    pack_reader_free(&r->packs);
    mem_free(&r->buffer);
    mem_free(&r->entries);
}

static bool same_identity(const struct set_identity *a, const struct set_identity *b)
{
    return a->system_id == b->system_id && a->major == b->major && a->timeline == b->timeline;
}

/* The writer may have been killed before it made its packs durable: that is done here. */
static int survey_pack(struct adoption *a, struct reader *rd, struct task *t, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    AUTO(contents_free) struct contents c = {0};
    struct source *set = &a->sets[t->set];
    struct store *store = repo_store(a->repo);
    struct object_head head;

    name_pack(&key, repo_cluster(a->repo), set->label, t->pack.number);
    TRY(object_verify_at_rest(store, buf_text(&key), rd->buffer, &t->pack.size, &head, err));
    if (head.kind == OBJECT_META_PACK)
        return 0; /* tables of a manifest that was never written */
    TRY(pack_read_contents(rd->packs, set->label, t->pack.number, &c, err));
    if (!same_identity(&c.id, &a->id)) {
        atomic_store(&set->foreign, true);
        return 0;
    }
    TRY(store_confirm(store, buf_text(&key), err));
    index_contents(a, t, &c, rd->entries);
    t->pack.chunks = c.n_chunks + 1; /* and CONTENTS itself */
    t->good = true;
    return 0;
}

static int survey_some(void *ctx, unsigned index, struct err *err)
{
    struct survey *s = ctx;
    AUTO(reader_free) struct reader rd = {0};
    size_t i;

    (void)index;
    TRY(pack_reader_new(&rd.packs, s->a->repo, err));
    rd.buffer = xaligned(FS_ALIGN, FS_IO_SIZE);
    rd.entries = xcalloc(OBJECT_CHUNKS_MAX, sizeof *rd.entries);
    while (!atomic_load(&s->given_up) && (i = atomic_fetch_add(&s->next, 1)) < s->n) {
        struct task *t = &s->tasks[i];
        const struct source *set = &s->a->sets[t->set];
        struct err why = {0};
        if (atomic_load(&set->foreign) || survey_pack(s->a, &rd, t, &why) == 0)
            continue;
        log_warning("pack %u of the interrupted set \"%s\" is not used again: %s", t->pack.number,
                    set->label, why.msg);
        if (why.code == ERR_UNREACHABLE) /* as all the others would be */
            atomic_store(&s->given_up, true);
    }
    return 0;
}

/* Tasks are in order of sets, and of packs within a set. */
static void keep_good(struct adoption *a, const struct survey *s)
{
    a->shown = xcalloc(a->n_sets, sizeof *a->shown);
    for (size_t i = 0; i < s->n; i++) {
        struct source *set = &a->sets[s->tasks[i].set];
        if (!s->tasks[i].good)
            continue;
        if (set->packs == NULL) {
            size_t most = 1;
            while (i + most < s->n && s->tasks[i + most].set == s->tasks[i].set)
                most++;
            set->packs = xcalloc(most, sizeof *set->packs);
            a->shown[a->n_shown++] = s->tasks[i].set;
        }
        set->packs[set->n_packs++] = s->tasks[i].pack;
    }
}

static int survey_sets(struct adoption *a, struct err *err)
{
    AUTO(survey_free) struct survey s = {.a = a};
    struct workers *readers = NULL;

    TRY(list_packs(&s, err));
    if (s.n == 0)
        return 0;
    a->index = adopt_index_new(repo_state_dir(a->repo), ADOPT_IN_MEMORY, ADOPT_WITHOUT_FILES);
    TRY(workers_start(&readers, (unsigned)MIN_OF(s.n, (size_t)READERS), survey_some, &s, NULL,
                      err));
    TRY(workers_join(&readers, err));
    adopt_index_build(a->index);
    keep_good(a, &s);
    return 0;
}

int adopt_open(struct adoption **out, struct repo *r, const struct set_identity *id,
               const char *own, struct err *err)
{
    AUTO(adopt_free) struct adoption *a = xcalloc(1, sizeof *a);

    a->repo = r;
    a->id = *id;
    if (find_sets(a, own, err) != 0 || survey_sets(a, err) != 0)
        return err_context(err, "look for interrupted backups of \"%s\"", repo_cluster(r));
    *out = TAKE(a);
    return 0;
}

size_t adopt_sets(const struct adoption *a)
{
    return a->n_shown;
}

const char *adopt_set(const struct adoption *a, size_t i)
{
    return a->sets[a->shown[i]].label;
}

uint64_t adopt_bytes(const struct adoption *a)
{
    return atomic_load(&a->bytes);
}

/* ---- using them ---- */

static int still_there(struct adoption *a, const struct source *set, bool *there, struct err *err)
{
    TRY(is_kept(a->repo, set->label, there, err));
    return *there ? packs_there(a->repo, set->label, set->packs, set->n_packs, there, err) : 0;
}

int adopt_register(struct adoption *a, struct manifest_writer *w, struct err *err)
{
    for (size_t i = 0; i < a->n_shown; i++) {
        struct source *set = &a->sets[a->shown[i]];
        bool there;
        TRY(still_there(a, set, &there, err));
        if (there)
            TRY(manifest_add_set(w, set->label, set->packs, set->n_packs, &set->settab, err));
        else
            log_info("the interrupted set \"%s\" is being removed and not used again", set->label);
    }
    return 0;
}

bool adopt_find(const struct adoption *a, const char *path, uint32_t first_block, uint32_t raw_len,
                const struct hash128 *hash, uint32_t *set, struct place *at)
{
    uint64_t key, value;

    if (a->n_shown == 0)
        return false;
    key = entry_key(hash64(path, strlen(path)), first_block, raw_len, hash);
    if (!adopt_index_find(a->index, key, hash, &value))
        return false;
    *set = a->sets[value & 0xfffff].settab;
    *at = (struct place){.pack = (uint32_t)(value >> 32), .chunk = (uint32_t)(value >> 20) & 0xfff};
    return *set != 0;
}
