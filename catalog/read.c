/*
 * read.c - reading back what the repositories hold.
 *
 * The columns of each query stand in the order in which the row's function takes them.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "catalog/sql.h"

static void read_cluster(struct sql_columns *k, void *row)
{
    struct catalog_cluster *r = row;

    r->name = col_text(k);
    r->system_id = col_u64(k);
    r->pg_version = (unsigned)col_int(k);
    r->data = col_text(k);
    r->instance = col_text(k);
    r->host = col_text(k);
    r->seen_us = col_int(k);
}

int catalog_get_clusters(struct catalog *c, struct catalog_clusters *out, struct err *err)
{
    const struct sql_select q = {
        .doing = "list clusters",
        .sql = "SELECT name, system_id, pg_version, data_directory, instance, host, seen_us"
               " FROM cluster ORDER BY name",
        .row_size = sizeof *out->rows,
        .read = read_cluster,
    };

    return SQL_LIST(c, &q, out, err);
}

static void read_repository(struct sql_columns *k, void *row)
{
    struct catalog_repository *r = row;

    r->name = col_text(k);
    r->cluster = col_text(k);
    r->type = col_text(k);
    r->location = col_text(k);
    r->repo_id = col_text(k);
    r->cipher = col_text(k);
    r->seen_us = col_int(k);
}

int catalog_get_repositories(struct catalog *c, const char *cluster,
                             struct catalog_repositories *out, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(cluster)};
    const struct sql_select q = {
        .doing = "list repositories",
        .sql = "SELECT name, cluster, type, location, repository_id, cipher, seen_us"
               " FROM repository WHERE ?1 IS NULL OR cluster = ?1 ORDER BY cluster, name",
        .values = values,
        .n_values = 1,
        .row_size = sizeof *out->rows,
        .read = read_repository,
    };

    return SQL_LIST(c, &q, out, err);
}

static void read_backup(struct sql_columns *k, void *row)
{
    struct catalog_backup *r = row;

    r->repo = col_text(k);
    r->cluster = col_text(k);
    r->label = col_text(k);
    r->type = col_text(k);
    r->base_label = col_text(k);
    r->state = col_text(k);
    r->pg_version = (unsigned)col_int(k);
    r->system_id = col_u64(k);
    r->timeline = (uint32_t)col_int(k);
    r->start_lsn = col_u64(k);
    r->stop_lsn = col_u64(k);
    r->start_us = col_int(k);
    r->stop_us = col_int(k);
    r->raw_bytes = col_u64(k);
    r->stored_bytes = col_u64(k);
    r->duration_us = col_int(k);
    r->files = col_u64(k);
    r->checksum_failures = col_u64(k);
    r->instance = col_text(k);
    r->host = col_text(k);
    r->tool_version = col_text(k);
    r->hold = col_text(k);
    r->manifest_bytes = col_u64(k);
    r->manifest_id = col_text(k);
    r->verified_us = col_int(k);
    r->verify_problems = col_u64(k);
    r->gone_us = col_int(k);
}

int catalog_get_backups(struct catalog *c, const char *repo, const char *cluster, bool gone,
                        struct catalog_backups *out, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(cluster), SQL_TEXT(repo), SQL_INT(gone)};
    const struct sql_select q = {
        .doing = "list backups",
        .sql = "SELECT repository, cluster, label, type, base_label, state, pg_version,"
               " system_id, timeline, start_lsn, stop_lsn, start_us, stop_us, raw_bytes,"
               " stored_bytes, duration_us, files, checksum_failures, instance, host,"
               " tool_version, hold, manifest_bytes, manifest_id, verified_us, verify_problems,"
               " gone_us FROM backup WHERE (?1 IS NULL OR cluster = ?1)"
               " AND (?2 IS NULL OR repository = ?2) AND (?3 OR state <> 'gone')"
               " ORDER BY cluster, repository, start_us, label",
        .values = values,
        .n_values = LENGTH(values),
        .row_size = sizeof *out->rows,
        .read = read_backup,
    };

    TRY(SQL_LIST(c, &q, out, err));
    out->with_problems = 0;
    for (size_t i = 0; i < out->n; i++)
        out->with_problems += out->rows[i].verify_problems != 0;
    return 0;
}

static const struct catalog_backup *find_backup(const struct catalog_backups *l, const char *repo,
                                                const char *label)
{
    for (size_t i = 0; i < l->n && label != NULL; i++)
        if (strcmp(l->rows[i].label, label) == 0 && strcmp(l->rows[i].repo, repo) == 0)
            return &l->rows[i];
    return NULL;
}

const struct catalog_backup *catalog_harm(const struct catalog_backups *known, const char *repo,
                                          const char *label)
{
    const struct catalog_backup *b;
    int64_t sound_us = 0; /* when one on the way was verified without a problem */

    if (known->with_problems == 0)
        return NULL;
    b = find_backup(known, repo, label);
    for (size_t steps = 0; b != NULL && steps < known->n; steps++) {
        if (b->verify_problems != 0)
            return b->verified_us > sound_us ? b : NULL;
        sound_us = MAX_OF(sound_us, b->verified_us);
        b = find_backup(known, repo, b->base_label);
    }
    return NULL;
}

void catalog_harm_text(const struct catalog_backup *harm, struct buf *out)
{
    char when[40];

    buf_addf(out, "the verification at %s found %llu problem%s in backup %s",
             clock_format_utc(harm->verified_us / 1000000 * 1000000, when),
             (unsigned long long)harm->verify_problems, harm->verify_problems == 1 ? "" : "s",
             harm->label);
}

static void read_range(struct sql_columns *k, void *row)
{
    struct catalog_wal_range *r = row;

    r->repo = col_text(k);
    r->cluster = col_text(k);
    r->system_id = col_u64(k);
    r->pg_major = (unsigned)col_int(k);
    r->timeline = (uint32_t)col_int(k);
    r->start_lsn = col_u64(k);
    r->end_lsn = col_u64(k);
    r->segments = col_u64(k);
    r->stored_bytes = col_u64(k);
    r->first_commit_us = col_int(k);
    r->last_commit_us = col_int(k);
    r->incomplete = col_u64(k);
}

static int get_ranges(struct catalog *c, const struct sql_value values[2], struct catalog_wal *out,
                      const char *doing, struct err *err)
{
    const struct sql_select q = {
        .doing = doing,
        .sql = "SELECT repository, cluster, system_id, pg_major, timeline, start_lsn, end_lsn,"
               " segments, stored_bytes, first_commit_us, last_commit_us, incomplete_segments"
               " FROM wal_range WHERE (?1 IS NULL OR cluster = ?1)"
               " AND (?2 IS NULL OR repository = ?2)"
               " ORDER BY cluster, repository, system_id, timeline, start_lsn",
        .values = values,
        .n_values = 2,
        .row_size = sizeof *out->ranges,
        .read = read_range,
    };
    void *found;
    int rc = sql_rows(c, &q, &found, &out->n_ranges, &out->texts, err);

    out->ranges = found;
    return rc;
}

static void read_gap(struct sql_columns *k, void *row)
{
    struct catalog_gap *g = row;

    g->repo = col_text(k);
    g->cluster = col_text(k);
    g->system_id = col_u64(k);
    g->timeline = (uint32_t)col_int(k);
    g->start_lsn = col_u64(k);
    g->end_lsn = col_u64(k);
    g->segments = col_u64(k);
    g->noticed_us = col_int(k);
}

static int get_gaps(struct catalog *c, const struct sql_value values[2], struct catalog_wal *out,
                    const char *doing, struct err *err)
{
    const struct sql_select q = {
        .doing = doing,
        .sql = "SELECT repository, cluster, system_id, timeline, start_lsn, end_lsn, segments,"
               " noticed_us FROM gap WHERE (?1 IS NULL OR cluster = ?1)"
               " AND (?2 IS NULL OR repository = ?2)"
               " ORDER BY cluster, repository, system_id, timeline, start_lsn",
        .values = values,
        .n_values = 2,
        .row_size = sizeof *out->gaps,
        .read = read_gap,
    };
    void *found;
    int rc = sql_rows(c, &q, &found, &out->n_gaps, &out->texts, err);

    out->gaps = found;
    return rc;
}

int catalog_get_wal(struct catalog *c, const char *repo, const char *cluster,
                    struct catalog_wal *out, struct err *err)
{
    static const char doing[] = "list the archived WAL";
    const struct sql_value values[] = {SQL_TEXT(cluster), SQL_TEXT(repo)};

    *out = (struct catalog_wal){0};
    TRY(get_ranges(c, values, out, doing, err));
    return get_gaps(c, values, out, doing, err);
}

void catalog_clusters_free(struct catalog_clusters *l)
{
    texts_free(&l->texts);
    mem_free(&l->rows);
    l->n = 0;
}

void catalog_repositories_free(struct catalog_repositories *l)
{
    texts_free(&l->texts);
    mem_free(&l->rows);
    l->n = 0;
}

void catalog_backups_free(struct catalog_backups *l)
{
    texts_free(&l->texts);
    mem_free(&l->rows);
    l->n = l->with_problems = 0;
}

void catalog_wal_free(struct catalog_wal *l)
{
    texts_free(&l->texts);
    mem_free(&l->ranges);
    mem_free(&l->gaps);
    l->n_ranges = l->n_gaps = 0;
}
