/* drill_moment.c - see drill_moment.h. */
#include "restore/drill_moment.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/open.h"
#include "wal/reach/recall.h"

static int64_t length_of(const struct window *w)
{
    return w->end_us > w->start_us ? w->end_us - w->start_us : 0;
}

/* One step of splitmix64: seeds that people choose (1, 2, 3) shall not lie side by side. */
static uint64_t scatter(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* A window's last moment is that of its last commit, and to stop behind a moment recovery must see
 * a later commit: so the end itself is left out. */
bool drill_moment_pick(const struct window *windows, size_t n, uint64_t seed, size_t *which,
                       int64_t *us)
{
    uint64_t total = 0, at;

    for (size_t i = 0; i < n; i++)
        total += (uint64_t)length_of(&windows[i]);
    if (total == 0)
        return false;
    at = scatter(seed) % total;
    for (size_t i = 0;; i++) {
        uint64_t length = (uint64_t)length_of(&windows[i]);

        if (at < length) {
            *which = i;
            *us = windows[i].start_us + (int64_t)at;
            return true;
        }
        at -= length;
    }
}

/* The cluster's newest identity that has backups; only the one of --set, if there is one. Borrowed.
 */
static void newest_backups(struct repo *r, const struct backup_list *all, const char *set,
                           struct backup_list *out)
{
    size_t n;
    const struct identity *ids = repo_identities(r, &n);

    out->items = xcalloc(all->n, sizeof *out->items);
    while (n-- != 0 && out->n == 0)
        for (size_t i = 0; i < all->n; i++) {
            const struct pubinfo *p = &all->items[i];

            if (p->system_id == ids[n].system_id && p->pg_version / 10000 == ids[n].major &&
                (set == NULL || strcmp(p->label, set) == 0))
                out->items[out->n++] = *p;
        }
}

static int find_windows(struct repo *r, const struct drill_request *q, struct windows *windows,
                        struct err *err)
{
    AUTO(backups_free) struct backup_list all = {0};
    AUTO(wal_map_free) struct wal_map *map = NULL;
    struct backup_list some = {0};
    AUTO(mem_free) struct pubinfo *items = NULL;
    AUTO(mem_free) char *heads = NULL;

    TRY(backups_list(r, &all, NULL, NULL, err));
    newest_backups(r, &all, q->set, &some);
    items = some.items;
    if (some.n == 0)
        return err_set(err, ERR_NOT_FOUND, "cluster \"%s\" has no backup%s%s in repository \"%s\"",
                       q->cluster->name, q->set != NULL ? " " : "", q->set != NULL ? q->set : "",
                       repo_name(r));
    TRY(wal_map_load(&map, r, items[0].system_id, items[0].pg_version / 10000,
                     items[0].wal_segment_size, err));
    heads = recall_path(q->config->state_dir, map, r);
    recall_read(heads, map, r);
    TRY(windows_find(map, r, &some, q->stop, windows, err));
    recall_write(heads, map, r);
    if (windows->n == 0)
        return err_set(
            err, ERR_NOT_FOUND,
            "no moment can be gone back to: the WAL that the backups of cluster \"%s\" in "
            "repository \"%s\" need is not whole",
            q->cluster->name, repo_name(r));
    return 0;
}

int drill_moment_choose(const struct drill_request *q, struct target *t, char **repo,
                        struct err *err)
{
    AUTO(repo_close) struct repo *r = NULL;
    AUTO(windows_free) struct windows windows = {0};
    size_t which;
    int64_t us;

    TRY(config_open_repo(q->config, q->cluster, q->repo, REPO_OPEN_FULL, &r, err));
    TRY(find_windows(r, q, &windows, err));
    *repo = xstrdup(repo_name(r));
    *t = (struct target){.kind = TARGET_LATEST};
    if (drill_moment_pick(windows.items, windows.n, q->seed, &which, &us))
        *t = (struct target){.kind = TARGET_TIME,
                             .time_us = us,
                             .line = LINE_NUMBER,
                             .timeline = windows.items[which].timeline};
    return 0;
}
