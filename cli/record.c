/* record.c - see record.h. */
#include "cli/record.h"

#include "base/log.h"
#include "scheduler/status/view.h"

void record_known(struct app *app, const char *cluster, struct catalog_backups *out)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);
    struct err err = {0};

    *out = (struct catalog_backups){0};
    if (c != NULL && catalog_get_backups(c, NULL, cluster, false, out, &err) != 0) {
        log_warning("the catalog cannot be read: %s", err.msg);
        catalog_backups_free(out);
    }
}

void record_backup(struct app *app, struct repo *repo, const struct pubinfo *pub)
{
    AUTO(catalog_close) struct catalog *c = app_catalog(app);
    struct catalog_backup row;
    struct err err = {0};

    if (c == NULL)
        return;
    view_backup_row(repo, pub, &row);
    if (catalog_put_backup(c, &row, &err) != 0)
        log_warning("backup %s is complete but could not be recorded in the catalog: %s",
                    pub->label, err.msg);
}
