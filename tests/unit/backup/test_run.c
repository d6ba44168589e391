/* The end of a backup that failed: while anything of it is still on its way into the store, its
 * lease says that somebody is at work. */
#include <stdatomic.h>
#include <string.h>

#include "backup/run.h"
#include "base/clock.h"
#include "base/mem.h"
#include "repo/manifest/manifest_build.h"
#include "tests/unit/repo/sample_repo.h"

enum { RAW = 128 << 10, PACK_SIZE = 256 << 10, STALL_MS = 200 };

static struct err err;
static const struct set_identity identity = {SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, 1};

/* ---- a store that is far away, and in which packs take their time ---- */

static struct store_ops slow_ops;
static const struct store_ops *plain_ops;
static atomic_int packs_stored, packs_begun, leases_written, leases_at_pack, packs_at_release;

static bool is_of(const struct store_writer *w, const char *folder)
{
    return strncmp(w->key, folder, strlen(folder)) == 0;
}

static int slow_commit(struct store_writer *w, enum store_commit_mode mode, struct err *e)
{
    if (is_of(w, "main/data/")) {
        atomic_fetch_add(&packs_begun, 1);
        clock_sleep_ms(STALL_MS);
        atomic_store(&leases_at_pack, atomic_load(&leases_written));
        TRY(plain_ops->commit(w, mode, e));
        atomic_fetch_add(&packs_stored, 1);
        return 0;
    }
    if (is_of(w, "main/lease/")) {
        atomic_fetch_add(&leases_written, 1);
        atomic_store(&packs_at_release, atomic_load(&packs_stored));
    }
    return plain_ops->commit(w, mode, e);
}

static void make_slow(struct store *s)
{
    plain_ops = s->ops;
    sample_make_remote(s, &slow_ops);
    slow_ops.commit = slow_commit;
    slow_ops.put = NULL;
    atomic_store(&packs_begun, 0);
    atomic_store(&packs_stored, 0);
    atomic_store(&leases_written, 0);
    atomic_store(&leases_at_pack, 0);
    atomic_store(&packs_at_release, -1);
}

/* ---- a backup that is given up ---- */

/* Until the first pack is full, and on its way. */
static void fill_a_pack(struct packer *p, enum chunk_type type, bool noted)
{
    AUTO(mem_free) uint8_t *raw = xmalloc(RAW);
    const struct block_run run = {0, RAW / 8192};
    const struct chunk_note note = {.path = "data/a", .file_size = RAW, .runs = &run, .n_runs = 1};
    struct place at = {0};

    for (uint32_t n = 0, x = 1; at.pack == 0; n++) {
        for (size_t i = 0; i < RAW; i++) {
            x = x * 1664525 + 1013904223;
            raw[i] = (uint8_t)(x >> 24);
        }
        OK(packer_add(p, type, 1, raw, RAW, noted ? &note : NULL, NULL, &at, &err), &err);
        assert_true(n < 100);
    }
}

/* meta: it is a pack of the manifest's tables. */
static void give_up(bool meta)
{
    AUTO(sample_repo_end) struct sample_repo s;
    const struct lease_terms terms = {.id = identity, .host = "db1", .pid = 1};
    struct run r = {.lock = LOCK_FILE_INIT,
                    .data_fd = -1,
                    .list = {.fd = -1},
                    .results = {.fd = -1, .map_fd = -1}};
    struct lease_seen *seen = NULL;
    size_t n;

    sample_repo_begin(&s, false, PACK_SIZE);
    make_slow(repo_store(s.repo));
    OK(label_make(r.label, SET_FULL, clock_now_us(), &err), &err);
    OK(lease_take(&r.lease, s.repo, r.label, &terms, NULL, &err), &err);
    OK(set_new(&r.set, s.repo, r.label, &identity, &err), &err);
    OK(manifest_begin(&r.manifest, r.set, &err), &err);
    if (meta) {
        OK(packer_new(&r.manifest->packer, r.set, OBJECT_META_PACK, &err), &err);
        fill_a_pack(r.manifest->packer, CHUNK_FILETAB, false);
    } else {
        OK(packer_new(&r.copied.packer, r.set, OBJECT_PACK, &err), &err);
        fill_a_pack(r.copied.packer, CHUNK_PAGES, true);
    }
    run_close(&r);
    assert_int_equal(atomic_load(&packs_begun), 1);
    assert_int_equal(atomic_load(&packs_stored), 1);
    assert_int_equal(atomic_load(&leases_written), 2);   /* taken, released */
    assert_int_equal(atomic_load(&leases_at_pack), 1);   /* it was held when the pack came */
    assert_int_equal(atomic_load(&packs_at_release), 1); /* which was there when it was let go */
    OK(leases_list(s.repo, &seen, &n, &err), &err);
    assert_int_equal(n, 1);
    assert_true(seen[0].released);
    leases_free(&seen, n);
}

static void a_lease_is_held_until_the_last_pack_has_arrived(void **state)
{
    (void)state;
    give_up(false);
}

static void the_same_of_packs_with_tables(void **state)
{
    (void)state;
    give_up(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_is_held_until_the_last_pack_has_arrived),
        cmocka_unit_test(the_same_of_packs_with_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
