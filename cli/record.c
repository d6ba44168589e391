/* record.c - see record.h. */
#include "cli/record.h"

#include "base/log.h"
#include "cli/show.h"

void record_row(const struct repo *repo, const struct pubinfo *pub, struct catalog_backup *row)
{
    *row = (struct catalog_backup){
        .repo = repo_name(repo),
        .cluster = repo_cluster(repo),
        .label = pub->label,
        .type = backup_type_name(pub->type),
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

void record_backup(struct app *app, struct repo *repo, const struct pubinfo *pub)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);
    struct catalog_backup row;
    struct err err = {0};

    if (c == NULL)
        return;
    record_row(repo, pub, &row);
    if (catalog_put_backup(c, &row, &err) != 0)
        log_warning("backup %s is complete but could not be recorded in the catalog: %s",
                    pub->label, err.msg);
}

void record_alarm(struct app *app, struct repo *repo, const char *text)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);
    struct catalog_event row = {.level = "error",
                                .kind = "alarm",
                                .cluster = repo_cluster(repo),
                                .repo = repo_name(repo),
                                .text = text};
    struct err err = {0};

    if (c != NULL && catalog_put_event(c, &row, &err) != 0)
        log_warning("the alarm could not be recorded in the catalog: %s", err.msg);
}
