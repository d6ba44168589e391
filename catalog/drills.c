/* drills.c - the table of drills. */
#include "catalog/drills.h"

#include "base/mem.h"
#include "catalog/sql.h"

int catalog_put_drill(struct catalog *c, struct catalog_drill *d, struct err *err)
{
    const struct sql_value values[] = {
        d->id != 0 ? SQL_INT(d->id) : SQL_TEXT(NULL),
        d->run != 0 ? SQL_INT(d->run) : SQL_TEXT(NULL),
        SQL_TEXT(d->cluster),
        SQL_TEXT(d->repo),
        SQL_TEXT(d->label),
        SQL_TEXT(d->target),
        SQL_INT(time_or_now(d->started_us)),
        SQL_INT(d->restored_us),
        SQL_INT(d->recovered_us),
        SQL_INT(d->checked_us),
        SQL_INT(d->finished_us),
        SQL_INT(d->restored_bytes),
        SQL_INT(d->replayed_bytes),
        SQL_INT(d->reached_us),
        SQL_TEXT(d->outcome),
        SQL_TEXT(d->report),
    };

    TRY(sql_run(c,
                "INSERT OR REPLACE INTO drill (id, run, cluster, repository, label, target,"
                " started_us, restored_us, recovered_us, checked_us, finished_us, restored_bytes,"
                " replayed_bytes, reached_us, outcome, report)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values, LENGTH(values), "record a drill", err));
    if (d->id == 0)
        d->id = sqlite3_last_insert_rowid(c->db);
    return 0;
}

static void read_drill(struct sql_columns *k, void *row)
{
    struct catalog_drill *d = row;

    d->id = col_int(k);
    d->run = col_int(k);
    d->cluster = col_text(k);
    d->repo = col_text(k);
    d->label = col_text(k);
    d->target = col_text(k);
    d->started_us = col_int(k);
    d->restored_us = col_int(k);
    d->recovered_us = col_int(k);
    d->checked_us = col_int(k);
    d->finished_us = col_int(k);
    d->restored_bytes = col_u64(k);
    d->replayed_bytes = col_u64(k);
    d->reached_us = col_int(k);
    d->outcome = col_text(k);
    d->report = col_text(k);
}

int catalog_get_drills(struct catalog *c, const char *cluster, const char *repo, size_t limit,
                       struct catalog_drills *out, struct err *err)
{
    const struct sql_value values[] = {SQL_TEXT(cluster), SQL_TEXT(repo),
                                       SQL_INT(limit > INT64_MAX ? INT64_MAX : (int64_t)limit)};
    const struct sql_select q = {
        .doing = "list drills",
        .sql = "SELECT id, run, cluster, repository, label, target, started_us, restored_us,"
               " recovered_us, checked_us, finished_us, restored_bytes, replayed_bytes,"
               " reached_us, outcome, report FROM drill"
               " WHERE (?1 IS NULL OR cluster = ?1) AND (?2 IS NULL OR repository = ?2)"
               " ORDER BY id DESC LIMIT ?3",
        .values = values,
        .n_values = LENGTH(values),
        .row_size = sizeof *out->rows,
        .read = read_drill,
    };

    return SQL_LIST(c, &q, out, err);
}

void catalog_drills_free(struct catalog_drills *l)
{
    texts_free(&l->texts);
    mem_free(&l->rows);
    l->n = 0;
}
