/* test_expire.c - what an expirer deletes, what it must not, and what others may be doing
 * meanwhile. Failing calls are in test_expire_faults.c, all interleavings in tests/model/. */
#include "tests/unit/repo/expire_world.h"

#include "repo/object/object.h"

/* One text of all keys. */
static int add_key(void *ctx, const struct store_entry *e, struct err *ignored)
{
    (void)ignored;
    buf_addf(ctx, "%s\n", e->key);
    return 0;
}

static void all_keys(const struct world *w, struct buf *out)
{
    buf_clear(out);
    OK(store_list(w->s.store, "", STORE_DEEP, add_key, out, NULL, &err), &err);
}

/* ---- what goes ---- */

static void what_goes_is_deleted_with_all_that_only_it_needed(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf keys = BUF_INIT;
    const char *f1, *i1, *f2, *f3;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    i1 = backup(&w, 'I', 25, f1);
    f2 = backup(&w, 'F', 20, NULL);
    f3 = backup(&w, 'F', 10, NULL);
    put_wal(&w, 2, 25, "");
    put_wal(&w, 2, 31, "");
    put_wal(&w, 1, 12, ".partial");
    expire(&w, POLICY_COUNT(2));
    assert_true(is_gone(&w, f1));
    assert_true(is_gone(&w, i1));
    assert_true(is_whole(&w, f2));
    assert_true(is_whole(&w, f3));
    assert_int_equal(first_wal(&w), 3 * WAL_STEP);
    assert_true(has_wal(&w, 1, 4 * WAL_STEP));
    assert_false(has_wal(&w, 2, 25));
    assert_true(has_wal(&w, 2, 31));
    all_keys(&w, &keys);
    assert_null(strstr(buf_text(&keys), ".partial"));
}

static void without_a_policy_all_stays(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf before = BUF_INIT, after = BUF_INIT;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    backup(&w, 'F', 3000, NULL);
    backup(&w, 'F', 10, NULL);
    all_keys(&w, &before);
    expire(&w, POLICY_COUNT(0));
    expire(&w, POLICY_COUNT(0)); /* and the lease of the first run is cleared away */
    all_keys(&w, &after);
    *strstr(after.p, "main/lease/") = '\0';
    assert_memory_equal(before.p, after.p, strlen(after.p));
    assert_int_equal(first_wal(&w), 1);
}

static void a_dry_run_tells_the_same_and_changes_nothing(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf before = BUF_INIT, after = BUF_INIT;
    AUTO(expire_made_free) struct expire_made told = {0}, made = {0};
    struct expire_request q;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 20, NULL);
    backup(&w, 'F', 10, NULL);
    all_keys(&w, &before);
    q = request(&w, POLICY_COUNT(1));
    q.dry_run = true;
    OK(expire_run(&q, &told, &err), &err);
    all_keys(&w, &after);
    assert_string_equal(buf_text(&before), buf_text(&after));
    q.dry_run = false;
    OK(expire_run(&q, &made, &err), &err);
    assert_int_equal(told.n_backups, 3);
    assert_int_equal(made.n_backups, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(told.backups[i].state, i < 2 ? EXPIRE_GONE : EXPIRE_STAYS);
        assert_int_equal(told.backups[i].state, made.backups[i].state);
        assert_string_equal(told.backups[i].reason, made.backups[i].reason);
    }
    assert_int_equal(told.packs, 2 * PACKS);
    assert_int_equal(told.packs, made.packs);
    assert_int_equal(told.segments, 3 * WAL_STEP - 1);
    assert_int_equal(told.segments, made.segments);
    assert_int_equal(told.n_wal, 2); /* what goes, what stays */
    assert_true(told.wal[0].goes);
    assert_int_equal(told.wal[0].first_segno, 1);
    assert_int_equal(told.wal[0].last_segno, 3 * WAL_STEP - 1);
    assert_false(told.wal[1].goes);
}

static void no_key_is_needed(void **state)
{
    AUTO(world_end) struct world w;
    const char *f1, *f2, *dead;

    (void)state;
    world_begin(&w, true, REPO_OPEN_NO_KEY);
    f1 = backup(&w, 'F', 30, NULL);
    dead = interrupted(&w, 25);
    f2 = backup(&w, 'F', 20, NULL);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_gone(&w, f1));
    assert_true(is_gone(&w, dead));
    assert_true(is_whole(&w, f2));
    assert_int_equal(first_wal(&w), 3 * WAL_STEP);
}

/* ---- holds ---- */

static void a_held_increment_keeps_what_it_needs_of_its_base(void **state)
{
    AUTO(world_end) struct world w;
    const char *f1, *i1;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    i1 = backup(&w, 'I', 25, f1);
    backup(&w, 'F', 10, NULL);
    OK(expire_hold(w.r, i1, "audit", 0, &err), &err);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_whole(&w, i1));
    assert_false(has(&w, manifest_key(f1)));
    assert_true(has_pack(&w, f1, 0));
    assert_false(has_pack(&w, f1, 1));
    assert_true(is_hidden(&w, f1)); /* as long as a pack of it is there */
    assert_true(has_wal(&w, 1, 2 * WAL_STEP));
    assert_false(has_wal(&w, 1, 2 * WAL_STEP - 1));
    assert_false(has_wal(&w, 1, 2 * WAL_STEP + 1));
    OK(expire_unhold(w.r, i1, &err), &err);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_gone(&w, i1));
    assert_true(is_gone(&w, f1));
    assert_int_equal(first_wal(&w), 3 * WAL_STEP);
}

static void a_hold_ends_by_itself(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf key = BUF_INIT;
    const char *f1;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    OK(hold_mark(w.r, f1, NULL, clock_now_us() - 1, &err), &err);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_gone(&w, f1));
    assert_false(has(&w, name_hold(&key, "main", f1)));
}

static void a_damaged_hold_holds(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf key = BUF_INIT;
    const char *f1;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    OK(store_put(w.s.store, name_hold(&key, "main", f1), STORE_CREATE_ONLY, "x", 1, &err), &err);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_whole(&w, f1));
}

static void a_hidden_backup_is_brought_back_by_a_hold(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct expire_request q;
    const char *f1, *f2;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    f2 = backup(&w, 'F', 20, NULL);
    backup(&w, 'F', 10, NULL);
    q = request(&w, POLICY_COUNT(1));
    q.grace_us = DAY;
    run(&q);
    assert_true(is_hidden(&w, f1));
    OK(expire_hold(w.r, f1, NULL, 0, &err), &err);
    assert_true(is_whole(&w, f1));
    FAILS(expire_hold(w.r, f1, NULL, 0, &err), &err, ERR_EXISTS);
    OK(store_delete(w.s.store, &(const char *){name_pack(&key, "main", f2, 1)}, 1, &err), &err);
    FAILS(expire_hold(w.r, f2, NULL, 0, &err), &err, ERR_NOT_FOUND);
    FAILS(expire_hold(w.r, SAMPLE_LABEL, NULL, 0, &err), &err, ERR_NOT_FOUND);
    FAILS(expire_unhold(w.r, SAMPLE_LABEL, &err), &err, ERR_NOT_FOUND);
    ahead_us = 2 * DAY;
    run(&q);
    assert_true(is_whole(&w, f1));
    assert_true(is_gone(&w, f2));
}

static void grace_is_waited_for(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(expire_made_free) struct expire_made made = {0};
    struct expire_request q;
    const char *f1;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    q = request(&w, POLICY_COUNT(1));
    q.grace_us = DAY;
    OK(expire_run(&q, &made, &err), &err);
    assert_int_equal(made.backups[0].state, EXPIRE_HIDDEN);
    assert_true(made.backups[0].until_us > clock_now_us());
    assert_true(is_hidden(&w, f1));
    assert_true(has(&w, manifest_key(f1)));
    assert_true(has_pack(&w, f1, 0));
    assert_true(has_wal(&w, 1, WAL_STEP)); /* what makes it consistent */
    assert_false(has_wal(&w, 1, WAL_STEP + 1));
    ahead_us = DAY + DAY / 24;
    run(&q);
    assert_true(is_gone(&w, f1));
    assert_false(has_wal(&w, 1, WAL_STEP));
}

/* ---- others at work ---- */

static struct lease *leased(struct world *w, const char *set, const char *base, const char *adopted,
                            uint64_t wal_lsn)
{
    const struct lease_terms terms = {.id = identity,
                                      .base = base,
                                      .adopted = &adopted,
                                      .n_adopted = adopted != NULL,
                                      .wal_lsn = wal_lsn,
                                      .host = "db2"};
    struct lease *l = NULL;

    OK(lease_take(&l, w->s.repo, set, &terms, NULL, &err), &err);
    return l;
}

/* What a lease that somebody holds, and then leaves as a crash would, keeps for how long. */
static void the_base_of_a_running_backup_stays(void **state)
{
    AUTO(world_end) struct world w;
    struct lease *l;
    const char *f1;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    l = leased(&w, new_label(&w, 'I', 0), f1, NULL, 0);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_hidden(&w, f1)); /* no other backup may build on it */
    assert_true(has(&w, manifest_key(f1)));
    for (unsigned i = 0; i < PACKS; i++)
        assert_true(has_pack(&w, f1, i));
    assert_int_equal(first_wal(&w), 1); /* it has not said where it begins */
    lease_drop(&l);
    ahead_us = DAY; /* it is silent; but it may only be asleep */
    expire(&w, POLICY_COUNT(1));
    assert_true(has_pack(&w, f1, 0));
    assert_int_equal(first_wal(&w), WAL_STEP);
    assert_true(has_wal(&w, 1, WAL_STEP + 5)); /* not only what makes it consistent */
    ahead_us = 4 * DAY;                        /* now nobody will go on with it: it is fenced */
    expire(&w, POLICY_COUNT(1));
    assert_true(is_gone(&w, f1));
    assert_int_equal(first_wal(&w), 2 * WAL_STEP);
}

static void a_released_lease_pins_nothing_and_is_cleared_away(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf key = BUF_INIT;
    const char *f1, *set;
    struct lease *l;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    set = new_label(&w, 'I', 0);
    l = leased(&w, set, f1, NULL, 0);
    OK(lease_release(&l, &err), &err);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_gone(&w, f1));
    assert_false(has(&w, name_lease(&key, "main", set)));
}

static void a_restore_pins_its_backup_and_the_wal_behind_it_for_a_day(void **state)
{
    AUTO(world_end) struct world w;
    struct lease *l;
    const char *f1;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    l = leased(&w, new_label(&w, 'R', 0), f1, NULL, 0);
    lease_drop(&l); /* it is done, and recovery goes on */
    ahead_us = 20 * DAY / 24;
    expire(&w, POLICY_COUNT(1));
    assert_true(is_hidden(&w, f1));
    assert_true(has_pack(&w, f1, 0));
    assert_int_equal(first_wal(&w), WAL_STEP);
    assert_true(has_wal(&w, 1, WAL_STEP + 5)); /* not only what makes it consistent */
    ahead_us = 25 * DAY / 24;
    expire(&w, POLICY_COUNT(1));
    assert_true(is_gone(&w, f1));
    assert_int_equal(first_wal(&w), 2 * WAL_STEP);
}

static void a_running_backup_keeps_its_wal(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(lease_drop) struct lease *l = NULL;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    l = leased(&w, new_label(&w, 'F', 0), NULL, NULL, UINT64_C(15) * SEGMENT + 1);
    expire(&w, POLICY_COUNT(1));
    assert_int_equal(first_wal(&w), 15);
    ahead_us = DAY; /* asleep */
    expire(&w, POLICY_COUNT(1));
    assert_int_equal(first_wal(&w), 15);
}

static void another_expirer_is_made_way_for(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf key = BUF_INIT;
    AUTO(expire_made_free) struct expire_made made = {0};
    struct expire_request q;
    char set[LABEL_SIZE + 1];
    struct lease *l;
    const char *f1;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    OK(label_make(set, SET_GC, clock_now_us() - DAY, &err), &err);
    l = leased(&w, set, NULL, NULL, 0);
    q = request(&w, POLICY_COUNT(1));
    FAILS(expire_run(&q, &made, &err), &err, ERR_BUSY);
    assert_true(is_whole(&w, f1));
    lease_drop(&l); /* killed */
    ahead_us = DAY / 24;
    run(&q);
    assert_true(is_gone(&w, f1));
    ahead_us = 2 * DAY;
    run(&q);
    assert_false(has(&w, name_lease(&key, "main", set)));
}

static struct world *busy; /* of the test that has something done meanwhile */
static const char *busy_label;

static void hold_meanwhile(void)
{
    at_packs = NULL;
    OK(hold_mark(busy->s.repo, busy_label, NULL, 0, &err), &err);
}

static void a_hold_that_comes_before_the_deletion_counts(void **state)
{
    AUTO(world_end) struct world w;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    busy = &w;
    busy_label = backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    at_packs = hold_meanwhile;
    expire(&w, POLICY_COUNT(1));
    assert_true(is_hidden(&w, busy_label)); /* whoever held it sees that, and brings it back */
    OK(expire_hold(w.r, busy_label, NULL, 0, &err), &err);
    assert_true(is_whole(&w, busy_label));
}

/* As from a backup that ends just now: after the leases were listed for the first time. */
static void commit_meanwhile(void)
{
    at_packs = NULL;
    busy_label = backup(busy, 'F', 0, NULL);
}

static void a_backup_that_is_committed_meanwhile_is_not_touched(void **state)
{
    AUTO(world_end) struct world w;
    const char *f1, *f2;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    f2 = backup(&w, 'F', 10, NULL);
    busy = &w;
    at_packs = commit_meanwhile;
    expire(&w, POLICY_COUNT(1));
    assert_true(is_gone(&w, f1));
    assert_true(is_whole(&w, f2));
    assert_true(is_whole(&w, busy_label));
}

static void packs_that_a_backup_does_not_name_go_when_its_writer_is_done(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf key = BUF_INIT;
    struct lease *l;
    const char *f1;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 10, NULL);
    name_pack(&key, "main", f1, 7);
    OK(store_put(w.s.store, key.p, STORE_CREATE_ONLY, "left over", 9, &err), &err);
    l = leased(&w, f1, NULL, NULL, 0);
    expire(&w, POLICY_COUNT(1));
    assert_true(has_pack(&w, f1, 7));
    OK(lease_release(&l, &err), &err);
    expire(&w, POLICY_COUNT(1));
    assert_false(has_pack(&w, f1, 7));
    assert_true(is_whole(&w, f1));
}

/* ---- interrupted backups ---- */

static void interrupted_backups_go_when_they_cannot_be_adopted(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf key = BUF_INIT;
    AUTO(lease_drop) struct lease *running = NULL;
    AUTO(lease_drop) struct lease *adopter = NULL;
    const char *old, *young, *runs, *adopted;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    old = interrupted(&w, 4);
    young = interrupted(&w, 2);
    runs = interrupted(&w, 9);
    adopted = interrupted(&w, 5);
    running = leased(&w, runs, NULL, NULL, 0);
    adopter = leased(&w, new_label(&w, 'F', 0), NULL, adopted, 0);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_gone(&w, old));
    assert_true(has(&w, name_fence_final(&key, "main", old)));
    assert_true(has_pack(&w, young, 0));
    assert_true(has_pack(&w, runs, 0));
    assert_true(has_pack(&w, adopted, 0));
    assert_false(has(&w, name_fence_intent(&key, "main", adopted)));
    ahead_us = 29 * DAY;
    expire(&w, POLICY_COUNT(1));
    assert_true(has(&w, name_fence_final(&key, "main", old)));
    ahead_us = 31 * DAY;
    expire(&w, POLICY_COUNT(1));
    assert_false(has(&w, name_fence_final(&key, "main", old)));
    assert_false(has(&w, name_fence_intent(&key, "main", old)));
}

static void a_fence_that_another_one_began_is_finished(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf key = BUF_INIT;
    const char *set, *f1;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    set = interrupted(&w, 1);
    f1 = backup(&w, 'F', 1, NULL);
    OK(fence_intent(w.r, set, &err), &err);
    OK(fence_intent(w.r, f1, &err), &err);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_gone(&w, set));
    assert_true(is_whole(&w, f1)); /* committed: the intent came too late, and stays */
    assert_true(has(&w, name_fence_intent(&key, "main", f1)));
    assert_false(has(&w, name_fence_final(&key, "main", f1)));
}

static void a_manifest_behind_a_final_fence_goes(void **state)
{
    AUTO(world_end) struct world w;
    const char *f1, *f2;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 20, NULL);
    f2 = backup(&w, 'F', 10, NULL);
    OK(fence_final(w.r, f2, &err), &err);
    expire(&w, POLICY_COUNT(1));
    assert_true(is_whole(&w, f1)); /* the void one is none of the one that is kept */
    assert_true(is_gone(&w, f2));
}

/* ---- what cannot be known ---- */

static void nothing_goes_while_a_manifest_cannot_be_read(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf before = BUF_INIT, after = BUF_INIT;
    AUTO(expire_made_free) struct expire_made made = {0};
    struct expire_request q;
    const char *f1, *f2, *f3;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    f2 = backup(&w, 'F', 20, NULL);
    f3 = backup(&w, 'F', 10, NULL);
    sample_repo_damage(&w.s, manifest_key(f2), 200);
    all_keys(&w, &before);
    q = request(&w, POLICY_COUNT(1));
    FAILS(expire_run(&q, &made, &err), &err, ERR_CORRUPT);
    assert_non_null(strstr(err.msg, f2));
    assert_non_null(strstr(err.msg, "--set"));
    all_keys(&w, &after);
    *strstr(after.p, "main/lease/") = '\0';
    assert_memory_equal(before.p, after.p, strlen(after.p));
    q.label = f2; /* it is given up */
    run(&q);
    assert_true(is_gone(&w, f2));
    assert_true(is_whole(&w, f1));
    q.label = NULL;
    run(&q);
    assert_true(is_gone(&w, f1));
    assert_true(is_whole(&w, f3));
}

static void a_backup_is_given_up_by_name(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(expire_made_free) struct expire_made made = {0};
    struct expire_request q;
    const char *f1, *f2, *f3;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    f2 = backup(&w, 'F', 20, NULL);
    f3 = backup(&w, 'F', 10, NULL);
    q = request(&w, POLICY_COUNT(1)); /* which says that f1 goes as well: but not now */
    q.label = f2;
    OK(expire_hold(w.r, f2, NULL, 0, &err), &err);
    FAILS(expire_run(&q, &made, &err), &err, ERR_CONFLICT);
    OK(expire_unhold(w.r, f2, &err), &err);
    run(&q);
    assert_true(is_gone(&w, f2));
    assert_true(is_whole(&w, f1));
    assert_true(is_whole(&w, f3));
    FAILS(expire_run(&q, &made, &err), &err, ERR_NOT_FOUND);
}

static void a_lease_that_cannot_be_read_stops_all_until_it_is_old_and_fenced(void **state)
{
    AUTO(world_end) struct world w;
    AUTO(buf_free) struct buf key = BUF_INIT, fence = BUF_INIT;
    AUTO(expire_made_free) struct expire_made made = {0};
    struct expire_request q;
    const char *f1, *set;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    set = new_label(&w, 'I', 0);
    OK(store_put(w.s.store, name_lease(&key, "main", set), STORE_CREATE_ONLY, "x", 1, &err), &err);
    q = request(&w, POLICY_COUNT(1));
    FAILS(expire_run(&q, &made, &err), &err, ERR_CORRUPT);
    assert_true(is_whole(&w, f1));
    ahead_us = DAY / 24;
    run(&q);
    assert_true(has(&w, name_fence_final(&fence, "main", set)));
    assert_true(is_gone(&w, f1));
}

static void wal_without_a_backup_stays(void **state)
{
    AUTO(world_end) struct world w;
    const char *f1;
    struct expire_request q;

    (void)state;
    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL);
    q = request(&w, POLICY_COUNT(1));
    q.label = f1;
    run(&q);
    assert_true(is_gone(&w, f1));
    assert_int_equal(first_wal(&w), 1);
}

static const char *sum_key(unsigned first, unsigned n)
{
    static struct buf key;
    struct sum_name name = {1, (uint64_t)first * SEGMENT, (uint64_t)(first + n) * SEGMENT};

    return name_sum(&key, "main", SAMPLE_SYSTEM_ID, SAMPLE_MAJOR, &name);
}

/* It goes with the first segment that it needs, with the key and without it. */
static void sums_of_wal_go_with_the_wal(void **state)
{
    static const struct {
        unsigned first, n;
        bool stays;
    } sums[] = {
        {0, 16, false}, {16, 2, false}, {18, 4, false}, {0, 256, false},
        {20, 2, true},  {20, 12, true}, {32, 16, true},
    };
    (void)state;

    for (int without_key = 0; without_key < 2; without_key++) {
        AUTO(world_end) struct world w;
        AUTO(expire_made_free) struct expire_made made = {0}, again = {0};
        struct expire_request q;

        world_begin(&w, without_key != 0, without_key ? REPO_OPEN_NO_KEY : REPO_OPEN_FULL);
        backup(&w, 'F', 30, NULL);
        backup(&w, 'F', 20, NULL); /* starts in segment 20 */
        backup(&w, 'F', 10, NULL);
        for (size_t i = 0; i < LENGTH(sums); i++)
            OK(store_put(w.s.store, sum_key(sums[i].first, sums[i].n), STORE_REPLACE, "sum", 3,
                         &err),
               &err);
        OK(store_put(w.s.store, "main/wal/0000000000001267-15/sum/of-a-later-version",
                     STORE_REPLACE, "sum", 3, &err),
           &err);
        q = request(&w, POLICY_COUNT(2));
        q.dry_run = true;
        OK(expire_run(&q, &made, &err), &err);
        for (size_t i = 0; i < LENGTH(sums); i++)
            assert_true(has(&w, sum_key(sums[i].first, sums[i].n)));
        assert_int_equal(made.sums, 4);
        q.dry_run = false;
        OK(expire_run(&q, &again, &err), &err);
        assert_int_equal(again.sums, 4);
        assert_int_equal(first_wal(&w), 20);
        for (size_t i = 0; i < LENGTH(sums); i++)
            assert_int_equal(has(&w, sum_key(sums[i].first, sums[i].n)), sums[i].stays);
        assert_true(has(&w, "main/wal/0000000000001267-15/sum/of-a-later-version"));
    }
}

/* ---- in which order ---- */

static unsigned sums_removed, segments_removed;

static int note_removal(struct store *s, const char *const *keys, size_t n, struct err *e)
{
    unsigned sums = 0, segments = 0;

    for (size_t i = 0; i < n; i++) {
        sums += strstr(keys[i], "/sum/") != NULL;
        segments += strstr(keys[i], "/wal/") != NULL && strstr(keys[i], "/sum/") == NULL;
    }
    assert_true(sums == 0 || (segments == 0 && segments_removed == 0));
    TRY(true_ops->remove(s, keys, n, e));
    sums_removed += sums;
    segments_removed += segments;
    return 0;
}

/* A store may fulfil a request in any order, or in part. */
static void sums_have_gone_before_their_segments_go(void **state)
{
    AUTO(world_end) struct world w;
    (void)state;

    world_begin(&w, false, REPO_OPEN_FULL);
    backup(&w, 'F', 30, NULL);
    backup(&w, 'F', 10, NULL);
    for (unsigned i = 0; i < 16; i += 4)
        OK(store_put(w.s.store, sum_key(i, 4), STORE_REPLACE, "sum", 3, &err), &err);
    sums_removed = segments_removed = 0;
    shifted_ops.remove = note_removal;
    expire(&w, POLICY_COUNT(1));
    assert_int_equal(sums_removed, 4);
    assert_int_equal(segments_removed, 2 * WAL_STEP - 1);
}

/* Of a held backup only the WAL that makes it consistent stays. */
static void a_sum_stays_where_all_its_segments_are_held(void **state)
{
    AUTO(world_end) struct world w;
    const char *f1;
    (void)state;

    world_begin(&w, false, REPO_OPEN_FULL);
    f1 = backup(&w, 'F', 30, NULL); /* needs segment 10 alone */
    backup(&w, 'F', 20, NULL);
    OK(expire_hold(w.s.repo, f1, NULL, 0, &err), &err);
    OK(store_put(w.s.store, sum_key(10, 1), STORE_REPLACE, "sum", 3, &err), &err);
    OK(store_put(w.s.store, sum_key(10, 2), STORE_REPLACE, "sum", 3, &err), &err);
    expire(&w, POLICY_COUNT(1));
    assert_true(has_wal(&w, 1, 10));
    assert_false(has_wal(&w, 1, 11));
    assert_true(has(&w, sum_key(10, 1)));
    assert_false(has(&w, sum_key(10, 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_wal_go_with_the_wal),
        cmocka_unit_test(sums_have_gone_before_their_segments_go),
        cmocka_unit_test(a_sum_stays_where_all_its_segments_are_held),
        cmocka_unit_test(what_goes_is_deleted_with_all_that_only_it_needed),
        cmocka_unit_test(without_a_policy_all_stays),
        cmocka_unit_test(a_dry_run_tells_the_same_and_changes_nothing),
        cmocka_unit_test(no_key_is_needed),
        cmocka_unit_test(a_held_increment_keeps_what_it_needs_of_its_base),
        cmocka_unit_test(a_hold_ends_by_itself),
        cmocka_unit_test(a_damaged_hold_holds),
        cmocka_unit_test(a_hidden_backup_is_brought_back_by_a_hold),
        cmocka_unit_test(grace_is_waited_for),
        cmocka_unit_test(the_base_of_a_running_backup_stays),
        cmocka_unit_test(a_released_lease_pins_nothing_and_is_cleared_away),
        cmocka_unit_test(a_restore_pins_its_backup_and_the_wal_behind_it_for_a_day),
        cmocka_unit_test(a_running_backup_keeps_its_wal),
        cmocka_unit_test(another_expirer_is_made_way_for),
        cmocka_unit_test(a_hold_that_comes_before_the_deletion_counts),
        cmocka_unit_test(a_backup_that_is_committed_meanwhile_is_not_touched),
        cmocka_unit_test(packs_that_a_backup_does_not_name_go_when_its_writer_is_done),
        cmocka_unit_test(interrupted_backups_go_when_they_cannot_be_adopted),
        cmocka_unit_test(a_fence_that_another_one_began_is_finished),
        cmocka_unit_test(a_manifest_behind_a_final_fence_goes),
        cmocka_unit_test(nothing_goes_while_a_manifest_cannot_be_read),
        cmocka_unit_test(a_backup_is_given_up_by_name),
        cmocka_unit_test(a_lease_that_cannot_be_read_stops_all_until_it_is_old_and_fenced),
        cmocka_unit_test(wal_without_a_backup_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
