/*
 * check_archive.c - does WAL reach the repositories, and does it come back?
 *
 * The round trip is the proof; what the archiver says of itself and what waits in pg_wal explain
 * it, so they are asked behind it (check_findings.c).
 */

#include "base/clock.h"
#include "cli/check.h"
#include "postgres/lsn.h"
#include "postgres/server.h"
#include "repo/wal/wal_object.h"
#include "wal/index/prove.h"

enum {
    AGAIN_MS = 5000, /* how long to wait for WAL once it did not reach another repository */
    GET_THREADS = 2,
};

/* ---- there and back ---- */

/* The segment that the server writes now, which the proof will finish and wait for. */
static int present_segment(const struct check *k, struct pg *primary, char name[WAL_SEGMENT_NAME],
                           struct err *err)
{
    uint32_t timeline;
    uint64_t lsn;

    TRY(pg_timeline(primary, &timeline, err));
    TRY(pg_insert_lsn(primary, &lsn, err));
    wal_segment_name(timeline, lsn_segno(lsn, k->facts.wal_segsz), k->facts.wal_segsz, name);
    return 0;
}

static int round_trip(struct check *k, struct pg *primary, struct repo *r, int64_t timeout_ms,
                      char name[WAL_SEGMENT_NAME], struct err *err)
{
    struct wal_place place = {r, k->facts.system_id, k->facts.version->major, k->facts.wal_segsz};
    AUTO(buf_free) struct buf bytes = BUF_INIT;

    TRY(present_segment(k, primary, name, err));
    TRY(wal_prove_archiving(&place, primary, timeout_ms, &k->app->stop, err));
    TRY(wal_object_get(r, place.system_id, place.major, name, k->facts.wal_segsz, GET_THREADS,
                       &bytes, err));
    if (bytes.len != k->facts.wal_segsz)
        return err_set(err, ERR_CORRUPT, "WAL segment \"%s\" came back with %zu bytes, expected %u",
                       name, bytes.len, k->facts.wal_segsz);
    return 0;
}

/* True: the WAL came, so the archiver works now whatever happened before. */
static bool prove(struct check *k, struct pg *primary)
{
    int64_t timeout_ms = k->cluster->archive_timeout_ms;
    bool proved = false;

    for (size_t i = 0; i < k->repos.n && !stop_wanted(&k->app->stop); i++) {
        const struct open_repo *o = &k->repos.items[i];
        int64_t begun = clock_monotonic_us();
        char name[WAL_SEGMENT_NAME] = "";
        struct err err = {0};

        if (o->repo == NULL || !repo_knows(o->repo, k->facts.system_id, k->facts.version->major))
            continue; /* said before */
        if (round_trip(k, primary, o->repo, timeout_ms, name, &err) == 0) {
            check_say(k, CHECK_OK, "archiving", o->name, NULL,
                      "WAL segment \"%s\" went there and came back in %.2f s", name,
                      (double)(clock_monotonic_us() - begun) / 1e6);
            proved = true;
            continue;
        }
        check_say(k, o->required ? CHECK_FAILED : CHECK_WARNING, "archiving", o->name, NULL, "%s",
                  err.msg);
        timeout_ms = MIN_OF(timeout_ms, AGAIN_MS);
    }
    return proved;
}

/* ---- all of it ---- */

void check_archiving(struct check *k)
{
    struct pg *primary;

    if (!k->has_facts)
        return; /* no connection, which was said */
    primary = k->facts.in_recovery ? k->primary : k->pg;
    if (primary != NULL && (k->archives || k->facts.in_recovery))
        k->proved = prove(k, primary);
    else if (primary == NULL)
        check_say(k, CHECK_WARNING, "archiving", NULL, "check the primary too",
                  "only the primary can prove that WAL arrives, and it cannot be reached");
}
