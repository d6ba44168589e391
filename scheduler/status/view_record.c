/* view_record.c - what a view shows, into the catalog. See view.h. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "catalog/kinds.h"
#include "postgres/lsn.h"
#include "scheduler/status/view.h"

void view_backup_row(const struct repo *repo, const struct pubinfo *pub, struct catalog_backup *row)
{
    *row = (struct catalog_backup){
        .repo = repo_name(repo),
        .cluster = repo_cluster(repo),
        .label = pub->label,
        .type = pub->type == BACKUP_FULL   ? "full"
                : pub->type == BACKUP_DIFF ? "diff"
                                           : "incr",
        .base_label = pub->base[0] != '\0' ? pub->base : NULL,
        .pg_version = pub->pg_version,
        .system_id = pub->system_id,
        .timeline = pub->timeline,
        .start_lsn = pub->start_lsn,
        .stop_lsn = pub->stop_lsn,
        .start_us = pub->start_us,
        .stop_us = pub->stop_us,
        .raw_bytes = pub->raw_bytes,
        .stored_bytes = pub->stored_bytes,
        .duration_us = pub->stop_us - pub->start_us,
        .files = pub->files,
        .checksum_failures = pub->page_errors,
        .instance = pub->instance,
        .host = pub->host,
        .tool_version = pub->tool,
    };
}

static int record_backups(const struct view *v, const struct repo *r, struct catalog *c,
                          struct err *err)
{
    for (size_t i = 0; i < v->backups.n; i++) {
        const struct backup_mark *mark = view_mark(v, v->backups.items[i].label);
        struct catalog_backup row;

        view_backup_row(r, &v->backups.items[i], &row);
        row.hold = mark != NULL && mark->held ? mark->note : NULL;
        row.manifest_bytes = v->backups.manifest_sizes[i];
        TRY(catalog_put_backup(c, &row, err));
    }
    return 0;
}

static bool is_new(const struct catalog_wal *known, const struct catalog_gap *g)
{
    for (size_t i = 0; i < known->n_gaps; i++) {
        const struct catalog_gap *k = &known->gaps[i];

        if (k->system_id == g->system_id && k->timeline == g->timeline &&
            k->start_lsn < g->end_lsn && g->start_lsn < k->end_lsn)
            return false;
    }
    return true;
}

/* An event where there is something that was not known, or nothing any more. */
static int tell_gaps(const struct repo *r, struct catalog *c, const struct catalog_gap *gaps,
                     size_t n, struct err *err)
{
    AUTO(catalog_wal_free) struct catalog_wal known = {0};
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct catalog_event e = {.level = n != 0 ? "error" : "info",
                              .kind = KIND_WAL_GAP,
                              .cluster = repo_cluster(r),
                              .repo = repo_name(r)};
    char from[LSN_TEXT], to[LSN_TEXT];
    size_t fresh = 0;
    bool put = false;

    TRY(catalog_get_wal(c, repo_name(r), repo_cluster(r), &known, err));
    for (size_t i = 0; i < n; i++) {
        if (!is_new(&known, &gaps[i]) || fresh++ != 0)
            continue;
        buf_addf(&text, "WAL is missing in repository \"%s\": timeline %u from %s to %s",
                 repo_name(r), gaps[i].timeline, lsn_format(gaps[i].start_lsn, from),
                 lsn_format(gaps[i].end_lsn, to));
    }
    if (fresh == 0 && n != 0)
        return 0;
    if (fresh > 1)
        buf_addf(&text, ", and %zu more gaps", fresh - 1);
    if (n == 0)
        buf_addf(&text, "no WAL is missing in repository \"%s\" any more", repo_name(r));
    e.text = buf_text(&text);
    return catalog_put_change(c, &e, &put, err);
}

static int record_wal(const struct view *v, const struct repo *r, struct catalog *c,
                      struct err *err)
{
    AUTO(mem_free) struct catalog_wal_range *ranges = xcalloc(v->n_lines, sizeof *ranges);
    AUTO(mem_free) struct catalog_gap *gaps = xcalloc(v->n_gaps, sizeof *gaps);

    for (size_t i = 0; i < v->n_lines; i++) {
        const struct view_line *l = &v->lines[i];

        ranges[i] = (struct catalog_wal_range){
            .system_id = l->id.system_id,
            .pg_major = l->id.major,
            .timeline = l->stretch.timeline,
            .start_lsn = segno_lsn(l->stretch.first_segno, l->segment_size),
            .end_lsn = segno_lsn(l->stretch.last_segno + 1, l->segment_size),
            .segments = l->stretch.last_segno - l->stretch.first_segno + 1,
            .stored_bytes = l->stretch.stored_bytes,
        };
    }
    for (size_t i = 0; i < v->n_gaps; i++) {
        const struct wal_gap *g = &v->gaps[i];

        gaps[i] = (struct catalog_gap){
            .system_id = g->system_id,
            .timeline = g->timeline,
            .start_lsn = segno_lsn(g->first_segno, g->segment_size),
            .end_lsn = segno_lsn(g->last_segno + 1, g->segment_size),
            .segments = g->last_segno - g->first_segno + 1,
        };
    }
    TRY(tell_gaps(r, c, gaps, v->n_gaps, err));
    return catalog_put_wal(c, repo_name(r), repo_cluster(r), ranges, v->n_lines, gaps, v->n_gaps,
                           err);
}

static int record_repo(const struct repo *r, struct catalog *c, struct err *err)
{
    AUTO(buf_free) struct buf id = BUF_INIT;
    struct catalog_repository row = {
        .name = repo_name(r),
        .cluster = repo_cluster(r),
        .type = "posix",
        .location = store_where(repo_store(r)),
        .cipher = repo_encrypted(r) ? "aes-256-cbc" : "none",
    };

    buf_hex(&id, repo_id(r), REPO_ID_SIZE);
    row.repo_id = buf_text(&id);
    return catalog_put_repository(c, &row, err);
}

/* Backups that the catalog knows and the repository no longer has. */
static int record_gone(const struct view *v, const struct repo *r, struct catalog *c,
                       struct err *err)
{
    AUTO(catalog_backups_free) struct catalog_backups known = {0};

    TRY(catalog_get_backups(c, repo_name(r), repo_cluster(r), false, &known, err));
    for (size_t i = 0; i < known.n; i++) {
        const struct backup_mark *mark = view_mark(v, known.rows[i].label);
        bool there = false;

        for (size_t k = 0; k < v->backups.n; k++)
            there |= strcmp(v->backups.items[k].label, known.rows[i].label) == 0;
        if (there)
            continue;
        if (mark != NULL && mark->hidden) {
            known.rows[i].state = "expired";
            TRY(catalog_put_backup(c, &known.rows[i], err));
            continue;
        }
        log_warning("backup %s, which the catalog knows, is no longer in repository \"%s\"",
                    known.rows[i].label, repo_name(r));
        TRY(catalog_backup_gone(c, repo_name(r), repo_cluster(r), known.rows[i].label, err));
    }
    return 0;
}

int view_record(const struct view *v, const struct repo *r, struct catalog *c, bool anew,
                struct err *err)
{
    TRY(catalog_begin(c, err));
    if ((!anew || catalog_forget(c, repo_name(r), repo_cluster(r), err) == 0) &&
        record_repo(r, c, err) == 0 && record_backups(v, r, c, err) == 0 &&
        record_gone(v, r, c, err) == 0 && record_wal(v, r, c, err) == 0 &&
        catalog_commit(c, err) == 0)
        return 0;
    catalog_rollback(c);
    return -1;
}

void view_remember(const struct view *v, const struct repo *r, struct catalog *c)
{
    struct err err = {0};

    if (c != NULL && view_record(v, r, c, false, &err) != 0)
        log_warning("the catalog could not be brought up to date: %s", err.msg);
}
