/* Repositories that earlier versions wrote, in tests/golden/, are read by this one. */
#include "tests/unit/repo/golden.h"

#include "base/log.h"
#include "repo/verify/verify.h"

struct golden {
    struct store *store; /* a copy: reading leases asks the store's clock, which writes */
    struct repo *repo;
    bool encrypted;
};

static int copy_object(void *ctx, const struct store_entry *e, struct err *why)
{
    struct store *const *stores = ctx;
    AUTO(buf_free) struct buf whole = BUF_INIT;

    TRY(store_read(stores[0], e->key, 1 << 24, &whole, why));
    return store_put(stores[1], e->key, STORE_CREATE_ONLY, whole.p, whole.len, why);
}

static void open_version(struct golden *g, const char *version, unsigned encrypted,
                         enum repo_open_mode mode)
{
    AUTO(mem_free)
    char *path = xasprintf("tests/golden/%s/%s", version, encrypted ? "encrypted" : "plain");
    AUTO(store_close) struct store *files_of = NULL;
    const struct repo_options o = options_of(encrypted != 0);
    struct store *stores[2];

    log_setup(LOG_TEXT, LOG_ERROR);
    *g = (struct golden){.store = store_mem_new(), .encrypted = encrypted != 0};
    OK(store_posix_open(&files_of, path, false, &err), &err);
    stores[0] = files_of;
    stores[1] = g->store;
    OK(store_list(files_of, "", STORE_DEEP, copy_object, stores, NULL, &err), &err);
    OK(repo_open(&g->repo, store_mem_share(g->store), &o, mode, &err), &err);
}

static void open_golden(struct golden *g, unsigned encrypted, enum repo_open_mode mode)
{
    open_version(g, "v1", encrypted, mode);
}

static void golden_close(struct golden *g)
{
    repo_close(&g->repo);
    store_close(&g->store);
}

static void the_repository_opens_and_knows_its_system(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        AUTO(golden_close) struct golden g;
        const struct identity *ids;
        size_t n;

        open_golden(&g, i, REPO_OPEN_FULL);
        ids = repo_identities(g.repo, &n);
        assert_int_equal(n, 1);
        assert_int_equal(ids[0].system_id, system_id);
        assert_int_equal(ids[0].major, MAJOR);
        assert_int_equal(repo_encrypted(g.repo), g.encrypted);
    }
}

static void another_passphrase_does_not_open_it(void **state)
{
    AUTO(golden_close) struct golden g;
    struct repo_options o = options_of(true);
    struct repo *r = NULL;

    (void)state;
    open_golden(&g, 1, REPO_OPEN_FULL);
    o.secret.passphrase = "golden Passphrase";
    FAILS(repo_open(&r, store_mem_share(g.store), &o, REPO_OPEN_FULL, &err), &err, ERR_KEY);
}

static void facts_are(const struct pubinfo *p, const char *label)
{
    struct wal_span span;
    AUTO(facts_free) struct pubinfo want = facts_of(label, &span);

    assert_string_equal(p->label, want.label);
    assert_string_equal(p->base, want.base);
    assert_int_equal(p->type, want.type);
    assert_string_equal(p->cluster, want.cluster);
    assert_string_equal(p->instance, want.instance);
    assert_string_equal(p->host, want.host);
    assert_string_equal(p->tool, want.tool);
    assert_int_equal(p->system_id, want.system_id);
    assert_int_equal(p->pg_version, want.pg_version);
    assert_int_equal(p->timeline, want.timeline);
    assert_int_equal(p->start_lsn, want.start_lsn);
    assert_int_equal(p->stop_lsn, want.stop_lsn);
    assert_int_equal(p->start_us, want.start_us);
    assert_int_equal(p->stop_us, want.stop_us);
    assert_int_equal(p->page_size, want.page_size);
    assert_int_equal(p->wal_segment_size, want.wal_segment_size);
    assert_int_equal(p->n_spans, 1);
    assert_memory_equal(&p->spans[0].start, &span.start, 2 * sizeof span.start);
    assert_int_equal(p->raw_bytes, want.raw_bytes);
    assert_int_equal(p->files, want.files);
    assert_int_equal(p->page_errors, want.page_errors);
    assert_int_equal(p->read_bytes, want.read_bytes);
    assert_int_equal(p->changes_found, want.changes_found);
    assert_true(p->from_standby);
    assert_true(p->stored_bytes > 0);
}

static void backups_are_listed_with_their_facts(void **state)
{
    static const char *const labels[] = {FULL, INCR, WIDE};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        AUTO(golden_close) struct golden g;
        AUTO(backups_free) struct backup_list list = {0};

        open_golden(&g, i % 2, i / 2 == 0 ? REPO_OPEN_FULL : REPO_OPEN_NO_KEY);
        OK(backups_list(g.repo, &list, NULL, NULL, &err), &err);
        assert_int_equal(list.n, LENGTH(labels));
        for (size_t k = 0; k < list.n; k++)
            facts_are(&list.items[k], labels[k]);
    }
}

static void a_backup_keeps_its_private_facts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        AUTO(golden_close) struct golden g;
        AUTO(manifest_close) struct manifest *m = NULL;
        const struct backup_info *info;

        open_golden(&g, i, REPO_OPEN_FULL);
        OK(manifest_open(&m, g.repo, INCR, &err), &err);
        info = manifest_info(m);
        assert_int_equal(info->backup_label.len, strlen(BACKUP_FILE));
        assert_memory_equal(info->backup_label.p, BACKUP_FILE, strlen(BACKUP_FILE));
        assert_memory_equal(info->tablespace_map.p, "16400 /srv/space\n", 17);
        assert_int_equal(info->n_tablespaces, 1);
        assert_int_equal(info->tablespaces[0].oid, 16400);
        assert_string_equal(info->tablespaces[0].location, "/srv/space");
        assert_string_equal(backup_info_get(info, "max_connections"), "100");
        assert_int_equal(info->n_errors, 2);
        assert_string_equal(info->errors[1].path, "base/5/16384");
        assert_int_equal(info->errors[1].block, 9);
        assert_true(info->checksums);
        assert_int_equal(info->catalog_version, 202209061);
        assert_int_equal(info->min_recovery_lsn, 0x300080);
    }
}

struct reading {
    struct manifest *manifest;
    struct pack_reader *packs;
    uint8_t raw[CHUNK_DATA_SIZE];
};

static void pages_are(struct reading *r, const char *label, const struct entry *e)
{
    AUTO(map_end) struct map_walk w;
    struct extent x;
    uint32_t n = 0;

    OK(map_begin(&w, e->map, e->map_len, manifest_sets(r->manifest), &err), &err);
    while (map_next(&w, &x, &err) == 1)
        for (uint32_t k = 0; k < x.count; k++, n++) {
            uint64_t a = x.addr + k;
            size_t from = (size_t)addr_page(a) * PAGE, len;
            uint8_t want[PAGE];

            assert_int_equal(x.set == SET_ZERO, is_zero(e->path, n));
            if (x.set == SET_ZERO)
                continue;
            assert_string_equal(manifest_set(r->manifest, x.set),
                                is_new(label, e->path, n) ? INCR : FULL);
            OK(pack_read_chunk(r->packs, manifest_set(r->manifest, x.set), addr_pack(a),
                               addr_chunk(a), CHUNK_PAGES, r->raw, sizeof r->raw, &len, NULL, &err),
               &err);
            page_of(label, e->path, n, want);
            len = MIN_OF((uint64_t)PAGE, e->size - (uint64_t)n * PAGE);
            assert_memory_equal(r->raw + from, want, len);
        }
    assert_int_equal(n, (e->size + PAGE - 1) / PAGE);
}

static void text_is(struct reading *r, const struct entry *e, const char *text)
{
    size_t len;

    OK(pack_read_chunk(r->packs, manifest_set(r->manifest, e->set), e->pack, e->chunk, CHUNK_BUNDLE,
                       r->raw, sizeof r->raw, &len, NULL, &err),
       &err);
    assert_int_equal(len, e->size);
    assert_memory_equal(r->raw + e->offset, text, e->size);
}

static void entry_is(struct reading *r, const char *label, const struct entry *e,
                     const struct file *f)
{
    assert_string_equal(e->path, f->path);
    assert_int_equal(e->type, f->type);
    assert_int_equal(e->mode, f->mode);
    assert_string_equal(e->user, "postgres");
    assert_string_equal(e->group, f->type == ENTRY_LINK ? "dba" : "postgres");
    assert_int_equal(e->mtime_s, 1767322000);
    assert_int_equal(e->size, f->size);
    if (f->type == ENTRY_LINK)
        assert_string_equal(e->target, f->text);
    if (f->type != ENTRY_FILE)
        return;
    assert_int_equal(e->crc_unknown, !knows_crc(label, f->path));
    assert_int_equal(e->crc32c, e->crc_unknown ? 0 : crc_of(label, f));
    assert_int_equal(e->place,
                     f->text != NULL ? PLACE_BUNDLE : (f->size != 0 ? PLACE_MAP : PLACE_EMPTY));
    if (e->place == PLACE_MAP)
        pages_are(r, label, e);
    if (e->place == PLACE_BUNDLE)
        text_is(r, e, f->text);
}

static void files_hold_what_was_backed_up(void **state)
{
    static const char *const labels[] = {FULL, INCR};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        AUTO(golden_close) struct golden g;
        AUTO(entry_walk_end) struct entry_walk *walk = NULL;
        AUTO(mem_free) struct reading *r = xcalloc(1, sizeof *r);
        const char *label = labels[i / 2];
        struct entry e;

        open_golden(&g, i % 2, REPO_OPEN_FULL);
        OK(manifest_open(&r->manifest, g.repo, label, &err), &err);
        OK(pack_reader_new(&r->packs, g.repo, &err), &err);
        OK(entry_walk_begin(&walk, r->manifest, &err), &err);
        for (size_t k = 0; k < LENGTH(files); k++) {
            assert_int_equal(entry_walk_next(walk, &e, &err), 1);
            entry_is(r, label, &e, &files[k]);
        }
        assert_int_equal(entry_walk_next(walk, &e, &err), 0);
        pack_reader_free(&r->packs);
        manifest_close(&r->manifest);
    }
}

static void tables_in_metadata_packs_are_read(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        AUTO(golden_close) struct golden g;
        AUTO(manifest_close) struct manifest *m = NULL;
        AUTO(entry_walk_end) struct entry_walk *walk = NULL;
        char path[WIDE_NAME + 1];
        struct entry e;
        size_t n;

        open_golden(&g, i, REPO_OPEN_FULL);
        OK(manifest_open(&m, g.repo, WIDE, &err), &err);
        manifest_packs(m, 1, &n);
        assert_true(n != 0);
        OK(entry_walk_begin(&walk, m, &err), &err);
        for (unsigned k = 0; k < WIDE_DIRS; k++) {
            assert_int_equal(entry_walk_next(walk, &e, &err), 1);
            wide_path(path, k);
            assert_string_equal(e.path, path);
        }
        assert_int_equal(entry_walk_next(walk, &e, &err), 0);
    }
}

static void wal_is(struct repo *r, const char *file, uint64_t hash)
{
    AUTO(buf_free) struct buf raw = BUF_INIT;

    OK(wal_object_get(r, system_id, MAJOR, file, SEGSZ, 1, &raw, &err), &err);
    if (hash64(raw.p, raw.len) != hash)
        fail_msg("\"%s\" has other bytes", file);
}

static void wal_comes_out_as_it_went_in(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        AUTO(golden_close) struct golden g;
        AUTO(buf_free) struct buf index = BUF_INIT;
        AUTO(wal_index_free) struct wal_index ix;

        open_golden(&g, i, REPO_OPEN_FULL);
        wal_is(g.repo, SEG, SEGMENT_HASH);
        wal_is(g.repo, "000000010000000000000004.partial", SEGMENT_HASH);
        wal_is(g.repo, "00000002.history", hash64(HISTORY, strlen(HISTORY)));
        wal_is(g.repo, SEG ".00000028.backup", hash64(BACKUP_FILE, strlen(BACKUP_FILE)));
        OK(wal_object_index(g.repo, system_id, MAJOR, SEG, &index, NULL, &err), &err);
        wal_index_init(&ix);
        OK(wal_index_read(index.p, index.len, WAL_INDEX_ALL, &ix, &err), &err);
        assert_int_equal(ix.system_id, system_id);
        assert_int_equal(ix.flags, WAL_INDEX_SWITCH);
        assert_int_equal(ix.commits, 1);
        assert_int_equal(ix.commit_max.time_us, noon + 1000000);
    }
}

/* A new segment can still be compared with the one that is there. */
static void the_same_segment_again_is_recognised(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        AUTO(golden_close) struct golden g;
        struct wal_source s = {.system_id = system_id,
                               .major = MAJOR,
                               .file = "00000002.history",
                               .raw = HISTORY,
                               .raw_len = strlen(HISTORY)};
        enum wal_put done;

        open_golden(&g, i, REPO_OPEN_FULL);
        OK(wal_object_put(g.repo, &s, 1, &done, &err), &err);
        assert_int_equal(done, WAL_WAS_THERE);
        s.raw_len--;
        FAILS(wal_object_put(g.repo, &s, 1, &done, &err), &err, ERR_CONFLICT);
    }
}

static void leases_and_marks_say_what_they_said(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        AUTO(golden_close) struct golden g;
        AUTO(mark_free) struct mark mark = {0};
        struct lease_seen *leases;
        bool there, intent, final_fence;
        size_t n;

        open_golden(&g, i, REPO_OPEN_FULL);
        OK(leases_list(g.repo, &leases, &n, &err), &err);
        assert_int_equal(n, 2);
        assert_string_equal(leases[0].set, FULL);
        assert_true(leases[0].released);
        assert_string_equal(leases[0].host, "db2");
        assert_string_equal(leases[1].set, DEAD);
        assert_false(leases[1].released);
        assert_string_equal(leases[1].base, FULL);
        assert_int_equal(leases[1].n_adopted, 1);
        assert_string_equal(leases[1].adopted[0], EXPIRED);
        assert_int_equal(leases[1].id.system_id, system_id);
        assert_int_equal(leases[1].wal_lsn, LEASED_LSN);
        leases_free(&leases, n);
        OK(expired_seen(g.repo, EXPIRED, &there, &err), &err);
        assert_true(there);
        OK(hold_seen(g.repo, FULL, &there, &err), &err);
        assert_true(there);
        OK(fence_seen(g.repo, DEAD, &intent, &final_fence, &err), &err);
        assert_true(intent && !final_fence);
        OK(mark_read(g.repo, "main/backup/" EXPIRED "/expired", &mark, &err), &err);
        assert_string_equal(mark.reason, "not needed");
        mark_free(&mark);
        OK(mark_read(g.repo, "main/backup/" FULL "/hold", &mark, &err), &err);
        assert_string_equal(mark.reason, "for the auditors");
        assert_true(mark.until_us == HELD_UNTIL_US);
    }
}

static void a_pack_without_manifest_says_what_it_holds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        AUTO(golden_close) struct golden g;
        AUTO(pack_reader_free) struct pack_reader *r = NULL;
        AUTO(contents_free) struct contents c = {0}, pages = {0};
        struct hash128 hash = hash128(files[0].text, files[0].size);

        open_golden(&g, i, REPO_OPEN_FULL);
        OK(pack_reader_new(&r, g.repo, &err), &err);
        OK(pack_read_contents(r, DEAD, 0, &c, &err), &err);
        assert_int_equal(c.id.system_id, system_id);
        assert_int_equal(c.id.timeline, 1);
        assert_int_equal(c.n_chunks, 1);
        assert_int_equal(c.chunks[0].type, CHUNK_BUNDLE);
        assert_string_equal(c.paths[c.parts[0].path], files[0].path);
        assert_memory_equal(c.chunks[0].hash.bytes, hash.bytes, sizeof hash);
        OK(pack_read_contents(r, INCR, 0, &pages, &err), &err);
        assert_int_equal(pages.n_chunks, 2);
        assert_int_equal(pages.runs[pages.chunks[1].first_run].first, 30);
    }
}

static void nothing_in_it_is_damaged(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        AUTO(golden_close) struct golden g;
        AUTO(verify_made_free) struct verify_made made;
        struct progress quiet = {.mode = PROGRESS_QUIET};
        struct verify_request q = {.deep = i < 2, .workers = 1, .progress = &quiet};

        open_golden(&g, i != 0, i < 2 ? REPO_OPEN_FULL : REPO_OPEN_NO_KEY);
        q.repo = g.repo;
        OK(verify_run(&q, &made, &err), &err);
        if (made.n_damages != 0)
            fail_msg("%s: %s", made.damages[0].object, made.damages[0].why);
        assert_int_equal(made.backups, 3);
    }
}

/* ---- v2: sums of WAL indexes ---- */

static void sum_says(const struct wal_index *ix)
{
    const struct wal_index_rel *first = wal_index_rel(ix, &sum_table);
    const struct wal_index_rel *other = wal_index_rel(ix, &sum_second);

    assert_int_equal(ix->further, 3);
    assert_int_equal(ix->flags, 0);
    assert_int_equal(ix->commits, 3);
    assert_int_equal(ix->commit_min.time_us, noon - 1000000);
    assert_int_equal(ix->commit_max.xid, 702);
    assert_int_equal(ix->n_events, 1);
    assert_string_equal(ix->events[0].name, "before");
    assert_non_null(first);
    assert_int_equal(first->what, WAL_REL_TRUNCATED);
    assert_int_equal(first->fork[FORK_MAIN].limit, 80);
    assert_int_equal(first->fork[FORK_MAIN].n_runs, 3); /* 1, 77, 95; not 90 */
    assert_int_equal(ix->runs[first->fork[FORK_MAIN].first_run + 1].first, 77);
    assert_int_equal(ix->runs[first->fork[FORK_MAIN].first_run + 2].first, 95);
    assert_non_null(other);
    assert_true(other->what & WAL_REL_DROPPED);
}

static void no_harm(void *ctx, const char *key, const char *why)
{
    (void)ctx;
    fail_msg("%s: %s", key, why);
}

static void sums_say_what_their_segments_say(void **state)
{
    const struct sum_name name = {1, 4 * SEGSZ, 8 * SEGSZ};
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        AUTO(golden_close) struct golden g;
        AUTO(sum_list_free) struct sum_list sums = {0};
        AUTO(buf_free) struct buf bytes = BUF_INIT;
        AUTO(wal_sum_free) struct wal_sum sum;
        AUTO(verify_made_free) struct verify_made made;
        struct progress quiet = {.mode = PROGRESS_QUIET};
        struct verify_request q = {.deep = true, .workers = 1, .progress = &quiet};

        wal_sum_init(&sum);
        open_version(&g, "v2", i, REPO_OPEN_FULL);
        OK(wal_sums_list(g.repo, system_id, MAJOR, &sums, &err), &err);
        assert_int_equal(sums.n, 3);
        OK(wal_sum_load(g.repo, system_id, MAJOR, &name, &bytes, &err), &err);
        OK(wal_sum_read(bytes.p, bytes.len, &name, system_id, MAJOR, &sum, &err), &err);
        sum_says(&sum.ix);
        OK(sums_verify(g.repo, NULL, no_harm, NULL, &err), &err);
        q.repo = g.repo;
        OK(verify_run(&q, &made, &err), &err);
        assert_int_equal(made.n_damages, 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_repository_opens_and_knows_its_system),
        cmocka_unit_test(another_passphrase_does_not_open_it),
        cmocka_unit_test(backups_are_listed_with_their_facts),
        cmocka_unit_test(a_backup_keeps_its_private_facts),
        cmocka_unit_test(files_hold_what_was_backed_up),
        cmocka_unit_test(tables_in_metadata_packs_are_read),
        cmocka_unit_test(wal_comes_out_as_it_went_in),
        cmocka_unit_test(the_same_segment_again_is_recognised),
        cmocka_unit_test(leases_and_marks_say_what_they_said),
        cmocka_unit_test(a_pack_without_manifest_says_what_it_holds),
        cmocka_unit_test(nothing_in_it_is_damaged),
        cmocka_unit_test(sums_say_what_their_segments_say),
    };

    if (argc == 3 && strcmp(argv[1], "make") == 0)
        return golden_make(argv[2]);
    if (argc == 3 && strcmp(argv[1], "make-sums") == 0)
        return golden_make_sums(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
