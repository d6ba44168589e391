/* contents.c - recording what the repositories hold: clusters, repositories, backups, WAL. */
#include "base/clock.h"
#include "catalog/sql.h"

int catalog_put_cluster(struct catalog *c, const struct catalog_cluster *r, struct err *err)
{
    const struct sql_value values[] = {
        SQL_TEXT(r->name),
        SQL_INT(r->system_id),
        SQL_INT(r->pg_version),
        SQL_TEXT(r->data),
        SQL_TEXT(r->instance),
        SQL_TEXT(r->host),
        SQL_INT(time_or_now(r->seen_us)),
    };

    return sql_run(c,
                   "INSERT OR REPLACE INTO cluster (name, system_id, pg_version, data_directory,"
                   " instance, host, seen_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   values, LENGTH(values), "record a cluster", err);
}

int catalog_put_repository(struct catalog *c, const struct catalog_repository *r, struct err *err)
{
    const struct sql_value values[] = {
        SQL_TEXT(r->cluster),
        SQL_TEXT(r->name),
        SQL_TEXT(r->type),
        SQL_TEXT(r->location),
        SQL_TEXT(r->repo_id),
        SQL_TEXT(r->cipher),
        SQL_INT(time_or_now(r->seen_us)),
    };

    return sql_run(c,
                   "INSERT OR REPLACE INTO repository (cluster, name, type, location,"
                   " repository_id, cipher, seen_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   values, LENGTH(values), "record a repository", err);
}

int catalog_put_backup(struct catalog *c, const struct catalog_backup *r, struct err *err)
{
    const struct sql_value values[] = {
        SQL_TEXT(r->cluster),       SQL_TEXT(r->repo),
        SQL_TEXT(r->label),         SQL_TEXT(r->type),
        SQL_TEXT(r->base_label),    SQL_TEXT(r->state != NULL ? r->state : "complete"),
        SQL_INT(r->pg_version),     SQL_INT(r->system_id),
        SQL_INT(r->timeline),       SQL_INT(r->start_lsn),
        SQL_INT(r->stop_lsn),       SQL_INT(r->start_us),
        SQL_INT(r->stop_us),        SQL_INT(r->raw_bytes),
        SQL_INT(r->stored_bytes),   SQL_INT(r->duration_us),
        SQL_INT(r->files),          SQL_INT(r->checksum_failures),
        SQL_TEXT(r->instance),      SQL_TEXT(r->host),
        SQL_TEXT(r->tool_version),  SQL_TEXT(r->hold),
        SQL_INT(r->manifest_bytes), SQL_TEXT(r->manifest_id),
        SQL_INT(r->gone_us),
    };

    /* everything but the results of verification, which a listing does not know */
    return sql_run(
        c,
        "INSERT INTO backup (cluster, repository, label, type, base_label, state, pg_version,"
        " system_id, timeline, start_lsn, stop_lsn, start_us, stop_us, raw_bytes, stored_bytes,"
        " duration_us, files, checksum_failures, instance, host, tool_version, hold,"
        " manifest_bytes, manifest_id, gone_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (cluster, repository, label) DO UPDATE SET type = excluded.type,"
        " base_label = excluded.base_label, state = excluded.state,"
        " pg_version = excluded.pg_version, system_id = excluded.system_id,"
        " timeline = excluded.timeline, start_lsn = excluded.start_lsn,"
        " stop_lsn = excluded.stop_lsn, start_us = excluded.start_us, stop_us = excluded.stop_us,"
        " raw_bytes = excluded.raw_bytes, stored_bytes = excluded.stored_bytes,"
        " duration_us = excluded.duration_us, files = excluded.files,"
        " checksum_failures = excluded.checksum_failures, instance = excluded.instance,"
        " host = excluded.host, tool_version = excluded.tool_version, hold = excluded.hold,"
        " manifest_bytes = excluded.manifest_bytes, manifest_id = excluded.manifest_id,"
        " gone_us = excluded.gone_us",
        values, LENGTH(values), "record a backup", err);
}

int catalog_backup_gone(struct catalog *c, const char *repo, const char *cluster, const char *label,
                        struct err *err)
{
    const struct sql_value values[] = {SQL_INT(clock_now_us()), SQL_TEXT(cluster), SQL_TEXT(repo),
                                       SQL_TEXT(label)};

    return sql_run(c,
                   "UPDATE backup SET state = 'gone', gone_us = ?"
                   " WHERE cluster = ? AND repository = ? AND label = ? AND state <> 'gone'",
                   values, LENGTH(values), "mark a backup as gone", err);
}

int catalog_backup_verified(struct catalog *c, const char *repo, const char *cluster,
                            const char *label, int64_t when_us, uint64_t problems, struct err *err)
{
    const struct sql_value values[] = {SQL_INT(time_or_now(when_us)), SQL_INT(problems),
                                       SQL_TEXT(cluster), SQL_TEXT(repo), SQL_TEXT(label)};

    return sql_run(c,
                   "UPDATE backup SET verified_us = ?, verify_problems = ?"
                   " WHERE cluster = ? AND repository = ? AND label = ?",
                   values, LENGTH(values), "record a verification", err);
}

static int put_range(struct catalog *c, const char *repo, const char *cluster,
                     const struct catalog_wal_range *r, const char *doing, struct err *err)
{
    const struct sql_value values[] = {
        SQL_TEXT(cluster),          SQL_TEXT(repo),
        SQL_INT(r->system_id),      SQL_INT(r->pg_major),
        SQL_INT(r->timeline),       SQL_INT(r->start_lsn),
        SQL_INT(r->end_lsn),        SQL_INT(r->segments),
        SQL_INT(r->stored_bytes),   SQL_INT(r->first_commit_us),
        SQL_INT(r->last_commit_us), SQL_INT(r->incomplete),
    };

    return sql_run(c,
                   "INSERT INTO wal_range (cluster, repository, system_id, pg_major, timeline,"
                   " start_lsn, end_lsn, segments, stored_bytes, first_commit_us, last_commit_us,"
                   " incomplete_segments) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   values, LENGTH(values), doing, err);
}

/* Rows up to the id `old` are those of the last time: what overlaps one of them is not news. */
static int put_gap(struct catalog *c, const char *repo, const char *cluster,
                   const struct catalog_gap *g, int64_t old, const char *doing, struct err *err)
{
    const struct sql_value values[] = {
        SQL_TEXT(cluster),     SQL_TEXT(repo),
        SQL_INT(g->system_id), SQL_INT(g->timeline),
        SQL_INT(g->start_lsn), SQL_INT(g->end_lsn),
        SQL_INT(g->segments),  SQL_INT(time_or_now(g->noticed_us)),
        SQL_INT(old),
    };

    return sql_run(c,
                   "INSERT INTO gap (cluster, repository, system_id, timeline, start_lsn, end_lsn,"
                   " segments, noticed_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, min(?8,"
                   " coalesce((SELECT min(noticed_us) FROM gap WHERE cluster = ?1"
                   " AND repository = ?2 AND system_id = ?3 AND timeline = ?4"
                   " AND start_lsn < ?6 AND end_lsn > ?5 AND id <= ?9), ?8)))",
                   values, LENGTH(values), doing, err);
}

int catalog_put_wal(struct catalog *c, const char *repo, const char *cluster,
                    const struct catalog_wal_range *ranges, size_t n_ranges,
                    const struct catalog_gap *gaps, size_t n_gaps, struct err *err)
{
    static const char doing[] = "record the archived WAL";
    AUTO(scope_abandon) struct sql_scope scope = {0};
    struct sql_value values[] = {SQL_TEXT(cluster), SQL_TEXT(repo), SQL_INT(0)};
    int64_t old;

    TRY(scope_begin(c, &scope, doing, err));
    TRY(sql_run(c, "DELETE FROM wal_range WHERE cluster = ? AND repository = ?", values, 2, doing,
                err));
    for (size_t i = 0; i < n_ranges; i++)
        TRY(put_range(c, repo, cluster, &ranges[i], doing, err));
    TRY(sql_number(c, "SELECT coalesce(max(id), 0) FROM gap", &old, doing, err));
    for (size_t i = 0; i < n_gaps; i++)
        TRY(put_gap(c, repo, cluster, &gaps[i], old, doing, err));
    values[2] = SQL_INT(old);
    TRY(sql_run(c, "DELETE FROM gap WHERE cluster = ? AND repository = ? AND id <= ?", values, 3,
                doing, err));
    return scope_commit(&scope, doing, err);
}

int catalog_forget(struct catalog *c, const char *repo, const char *cluster, struct err *err)
{
    static const char *const statements[] = {
        "DELETE FROM backup WHERE cluster = ? AND repository = ?",
        "DELETE FROM wal_range WHERE cluster = ? AND repository = ?",
        "DELETE FROM gap WHERE cluster = ? AND repository = ?",
        "DELETE FROM repository WHERE cluster = ? AND name = ?",
    };
    static const char doing[] = "forget a repository";
    AUTO(scope_abandon) struct sql_scope scope = {0};
    const struct sql_value values[] = {SQL_TEXT(cluster), SQL_TEXT(repo)};

    TRY(scope_begin(c, &scope, doing, err));
    for (size_t i = 0; i < LENGTH(statements); i++)
        TRY(sql_run(c, statements[i], values, 2, doing, err));
    return scope_commit(&scope, doing, err);
}
