/* watch.c - "watch": from when on things count as wrong. At the top for all clusters, and in a
 * cluster. */
#include "config/fields.h"
#include "config/parts.h"

#define AT(member) offsetof(struct watch_config, member)
#define AGE_MIN (INT64_C(60) * 1000)
#define AGE_MAX (INT64_C(3650) * 86400000)

static const struct field watch_fields[] = {
    {"backup_max_age", FIELD_MS, AT(backup_max_age_ms), AGE_MIN, AGE_MAX, NULL, NULL},
    {"drill_max_age", FIELD_MS, AT(drill_max_age_ms), AGE_MIN, AGE_MAX, NULL, NULL},
    {"verify_max_age", FIELD_MS, AT(verify_max_age_ms), AGE_MIN, AGE_MAX, NULL, NULL},
    {"commit_max_age", FIELD_MS, AT(commit_max_age_ms), AGE_MIN, AGE_MAX, NULL, NULL},
    {"hold_notice", FIELD_MS, AT(hold_notice_ms), 0, AGE_MAX, NULL, NULL},
    {"disk_notice", FIELD_MS, AT(disk_notice_ms), AGE_MIN, AGE_MAX, NULL, NULL},
};

const struct watch_config watch_defaults = {
    .commit_max_age_ms = INT64_C(3600) * 1000,
    .hold_notice_ms = INT64_C(3) * 86400000,
    .disk_notice_ms = INT64_C(86400) * 1000,
};

int watch_read(struct config *c, const struct node *map, const char *where,
               struct watch_config *out, struct err *err)
{
    return fields_read(c, map, where, watch_fields, LENGTH(watch_fields), out, err);
}
