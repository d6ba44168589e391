/* A whole backup in small - lease, adoption, packs, manifest - with each call of the store failing
 * once: what is listed is whole, who was told that it is done can rely on it, and the next attempt
 * goes through and uses what is there. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/lease/lease.h"
#include "repo/manifest/manifest.h"
#include "repo/reuse/adopt.h"
#include "repo/verify/verify.h"
#include "tests/unit/repo/sample_repo.h"

enum { FILES = 10, FILE_SIZE = 60 << 10, PACK_SIZE = 256 << 10 };
/* Two attempts of today: old ones are not adopted. */
static char first[LABEL_SIZE + 1], second[LABEL_SIZE + 1];

static struct err err;
static const struct set_identity identity = {SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, 2};

static void content(unsigned n, uint8_t *out)
{
    uint32_t x = n * 2654435761u + 1;

    for (size_t i = 0; i < FILE_SIZE; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        out[i] = (uint8_t)x;
    }
}

/* ---- a backup ---- */

struct attempt {
    struct lease *lease;
    struct set *set;
    struct manifest_writer *manifest;
    struct adoption *adoption;
    struct packer *packer;
    uint64_t adopted;
};

static void attempt_end(struct attempt *a)
{
    lease_drop(&a->lease);
    packer_free(&a->packer);
    manifest_abandon(&a->manifest);
    adopt_free(&a->adoption);
    set_free(&a->set);
}

static int announce(struct attempt *a, struct repo *r, const char *label)
{
    const struct lease_terms terms = {.id = identity, .host = "db1", .pid = 1};

    TRY(lease_take(&a->lease, r, label, &terms, NULL, &err));
    TRY(set_new(&a->set, r, label, &identity, &err));
    TRY(manifest_begin(&a->manifest, a->set, &err));
    TRY(adopt_open(&a->adoption, r, &identity, label, &err));
    for (size_t i = 0; i < adopt_sets(a->adoption); i++) {
        const char *const set = adopt_set(a->adoption, i);
        struct lease_terms with = terms;
        bool intent, final_fence;

        with.adopted = &set;
        with.n_adopted = 1;
        TRY(lease_update(a->lease, &with, &err));
        TRY(fence_seen(r, set, &intent, &final_fence, &err));
    }
    return adopt_register(a->adoption, a->manifest, &err);
}

static int store_file(struct attempt *a, unsigned n, struct entry *e, char path[32])
{
    static uint8_t raw[FILE_SIZE];
    const struct bundle_part part = {path, 0, FILE_SIZE};
    const struct chunk_note note = {.path = "", .parts = &part, .n_parts = 1};
    struct hash128 hash;
    struct place at;

    content(n, raw);
    hash = hash128(raw, sizeof raw);
    snprintf(path, 32, "data/file%02u", n);
    *e = (struct entry){.path = path,
                        .type = ENTRY_FILE,
                        .mode = 0600,
                        .user = "postgres",
                        .group = "postgres",
                        .target = "",
                        .size = FILE_SIZE,
                        .place = PLACE_BUNDLE,
                        .set = 1};
    if (adopt_find(a->adoption, "", 0, sizeof raw, &hash, &e->set, &at))
        a->adopted += FILE_SIZE;
    else
        TRY(packer_add(a->packer, CHUNK_BUNDLE, 1, raw, sizeof raw, &note, &hash, &at, &err));
    e->pack = at.pack;
    e->chunk = at.chunk;
    return 0;
}

static int store_files(struct attempt *a)
{
    struct entry entries[FILES];
    char paths[FILES][32];

    TRY(packer_new(&a->packer, a->set, OBJECT_PACK, &err));
    for (unsigned n = 0; n < FILES; n++)
        TRY(store_file(a, n, &entries[n], paths[n]));
    TRY(packer_finish(a->packer, &err));
    for (unsigned n = 0; n < FILES; n++)
        TRY(manifest_add(a->manifest, &entries[n], &err));
    TRY(manifest_flush(a->manifest, &err));
    TRY(set_check_listing(a->set, &err));
    return store_sync(repo_store(set_repo(a->set)), &err);
}

static int commit(struct attempt *a)
{
    AUTO(pubinfo_free)
    struct pubinfo p = {.type = BACKUP_FULL,
                        .cluster = xstrdup("main"),
                        .instance = xstrdup("main"),
                        .host = xstrdup("db1"),
                        .tool = xstrdup("pgbr"),
                        .system_id = SAMPLE_SYSTEM_ID,
                        .pg_version = SAMPLE_MAJOR * 10000,
                        .timeline = 2,
                        .start_lsn = 0x2000028,
                        .stop_lsn = 0x2000138,
                        .page_size = 8192,
                        .wal_segment_size = 16 << 20,
                        .files = FILES,
                        .raw_bytes = (uint64_t)FILES * FILE_SIZE,
                        .spans = xcalloc(1, sizeof *p.spans),
                        .n_spans = 1};
    AUTO(backup_info_free) struct backup_info info = {0};

    p.spans[0] = (struct wal_span){2, 0x2000028, 0x2000138};
    memcpy(p.label, set_label(a->set), LABEL_SIZE + 1);
    buf_adds(&info.backup_label, "START WAL LOCATION: 0/2000028");
    TRY(lease_check(a->lease, &err));
    TRY(manifest_commit(a->manifest, &p, &info, &err));
    return lease_check(a->lease, &err);
}

/* As a backup does it, but for the server. */
static int take_backup(struct repo *r, const char *label, uint64_t *adopted)
{
    AUTO(attempt_end) struct attempt a = {0};
    struct err ignored = {0};

    err_clear(&err);
    if (announce(&a, r, label) != 0 || store_files(&a) != 0 || commit(&a) != 0)
        return -1;
    *adopted = a.adopted;
    (void)!lease_release(&a.lease, &ignored); /* the backup is complete all the same */
    return 0;
}

/* ---- what must hold ---- */

static void is_whole(struct repo *r, const char *label)
{
    AUTO(manifest_close) struct manifest *m = NULL;
    AUTO(entry_walk_end) struct entry_walk *w = NULL;
    AUTO(pack_reader_free) struct pack_reader *packs = NULL;
    static uint8_t wanted[FILE_SIZE], got[512 << 10];
    struct entry e;
    size_t len;

    OK(manifest_open(&m, r, label, &err), &err);
    OK(entry_walk_begin(&w, m, &err), &err);
    OK(pack_reader_new(&packs, r, &err), &err);
    for (unsigned n = 0; n < FILES; n++) {
        assert_int_equal(entry_walk_next(w, &e, &err), 1);
        OK(pack_read_chunk(packs, manifest_set(m, e.set), e.pack, e.chunk, CHUNK_BUNDLE, got,
                           sizeof got, &len, NULL, &err),
           &err);
        content(n, wanted);
        assert_int_equal(len, FILE_SIZE);
        assert_memory_equal(got, wanted, FILE_SIZE);
    }
    assert_int_equal(entry_walk_next(w, &e, &err), 0);
}

static void nothing_is_damaged(struct repo *r)
{
    AUTO(verify_made_free) struct verify_made made = {0};
    struct progress progress = {.mode = PROGRESS_QUIET};
    const struct verify_request q = {.repo = r, .deep = true, .workers = 1, .progress = &progress};

    OK(verify_run(&q, &made, &err), &err);
    if (made.n_damages != 0)
        fail_msg("\"%s\": %s", made.damages[0].object, made.damages[0].why);
}

static void no_broken_ones(void *ctx, const char *label, const struct err *why)
{
    (void)ctx;
    fail_msg("backup %s cannot be read: %s", label, why->msg);
}

static bool is_listed(struct repo *r, const char *label)
{
    AUTO(backups_free) struct backup_list list = {0};
    bool found = false;

    OK(backups_list(r, &list, no_broken_ones, NULL, &err), &err);
    for (size_t i = 0; i < list.n; i++)
        found |= strcmp(list.items[i].label, label) == 0;
    return found;
}

/* A repository whose nth call after the opening fails. far: where packs are sent by threads. */
static struct repo *flaky_repo(struct sample_repo *s, long nth, enum store_fault_kind kind,
                               bool far, struct store **fault)
{
    static struct store_ops far_ops;
    struct repo *r = sample_repo_other(s, store_fault_new(s->store, -1, kind), REPO_OPEN_FULL);
    long opening = store_fault_calls(repo_store(r));

    repo_close(&r);
    *fault = store_fault_new(s->store, opening + nth, kind);
    if (far)
        sample_make_remote(*fault, &far_ops);
    r = sample_repo_other(s, *fault, REPO_OPEN_FULL);
    assert_int_equal(store_fault_calls(*fault), opening);
    return r;
}

struct tally {
    unsigned done, failed, adopting;
};

/* False: there was no nth call any more. */
static bool fail_once(long nth, enum store_fault_kind kind, bool far, struct tally *t)
{
    AUTO(sample_repo_end) struct sample_repo s;
    AUTO(repo_close) struct repo *flaky = NULL;
    uint64_t adopted = 0;
    struct store *fault;
    bool listed, reached;
    long before;
    int rc;

    sample_repo_begin(&s, false, PACK_SIZE);
    OK(label_make(first, SET_FULL, clock_now_us() - 3600 * INT64_C(1000000), &err), &err);
    OK(label_make(second, SET_FULL, clock_now_us(), &err), &err);
    flaky = flaky_repo(&s, nth, kind, far, &fault);
    before = store_fault_calls(fault);
    rc = take_backup(flaky, first, &adopted);
    if (rc != 0)
        assert_int_equal(err.code, ERR_UNREACHABLE);
    reached = store_fault_calls(fault) - before > nth;
    listed = is_listed(s.repo, first);
    assert_true(listed || rc != 0);
    if (listed)
        is_whole(s.repo, first);
    rc == 0 ? t->done++ : t->failed++;
    OK(take_backup(s.repo, second, &adopted), &err);
    t->adopting += adopted != 0;
    assert_true(is_listed(s.repo, second));
    is_whole(s.repo, second);
    nothing_is_damaged(s.repo);
    return reached;
}

static void fail_each(bool far)
{
    static const enum store_fault_kind kinds[] = {FAULT_BEFORE, FAULT_AFTER, FAULT_FOREVER};

    for (size_t k = 0; k < LENGTH(kinds); k++) {
        struct tally t = {0};

        for (long nth = 0; fail_once(nth, kinds[k], far, &t); nth++)
            assert_true(nth < 500);
        assert_true(t.failed > 10);
        assert_true(t.done >= 1);
        assert_true(t.adopting > 5);
    }
}

static void whatever_call_fails_a_backup_is_whole_or_not_there(void **state)
{
    (void)state;
    fail_each(false);
}

static void the_same_where_packs_are_sent_while_others_fill(void **state)
{
    (void)state;
    fail_each(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_call_fails_a_backup_is_whole_or_not_there),
        cmocka_unit_test(the_same_where_packs_are_sent_while_others_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
