/* drill.c - what a drill of a cluster shall do: where, how thoroughly, and what must be true then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/fields.h"
#include "config/parts.h"
#include "config/units.h"

#define AT(member) offsetof(struct drill_config, member)
#define CHECK_AT(member) offsetof(struct drill_check, member)

enum { CHECKS_MAX = 1000 };

static const struct choice targets[] = {
    {"latest", CONFIG_DRILL_LATEST}, {"random", CONFIG_DRILL_RANDOM}, {NULL, 0}};

static const struct choice amcheck_kinds[] = {{"yes", CONFIG_AMCHECK_ON},
                                              {"no", CONFIG_AMCHECK_OFF},
                                              {"heapallindexed", CONFIG_AMCHECK_HEAP},
                                              {"y", CONFIG_AMCHECK_ON},
                                              {"n", CONFIG_AMCHECK_OFF},
                                              {"on", CONFIG_AMCHECK_ON},
                                              {"off", CONFIG_AMCHECK_OFF},
                                              {"true", CONFIG_AMCHECK_ON},
                                              {"false", CONFIG_AMCHECK_OFF},
                                              {NULL, 0}};

static const struct field drill_fields[] = {
    {"dir", FIELD_PATH, AT(dir), 0, 0, NULL, NULL},
    {"pg_bin", FIELD_PATH, AT(pg_bin), 0, 0, NULL, NULL},
    {"user", FIELD_TEXT, AT(user), 0, 0, NULL, NULL},
    {"target", FIELD_CHOICE, AT(target), 0, 0, targets, NULL},
    {"amcheck", FIELD_CHOICE, AT(amcheck), 0, 0, amcheck_kinds, NULL},
    {"time_limit", FIELD_MS, AT(time_limit_ms), 1000, INT64_C(30) * 86400000, NULL, NULL},
    {"checks", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
};

static const struct field check_fields[] = {
    {"database", FIELD_TEXT, CHECK_AT(database), 0, 0, NULL, NULL},
    {"sql", FIELD_ELSEWHERE, 0, 0, 0, NULL, NULL},
    {"expect", FIELD_TEXT, CHECK_AT(expect), 0, 0, NULL, NULL},
    {"expect_min", FIELD_TEXT, CHECK_AT(expect_min), 0, 0, NULL, NULL},
    {"expect_max", FIELD_TEXT, CHECK_AT(expect_max), 0, 0, NULL, NULL},
};

static int check_number(const struct node *map, const char *key, const char *text, struct err *err)
{
    char shown[80], *end;

    if (text == NULL)
        return 0;
    errno = 0;
    strtold(text, &end);
    if (end == text || *end != '\0' || errno != 0)
        return fail_here(node_get(map, key), err, "\"%s\" must be a number, not \"%s\"", key,
                         units_printable(text, shown));
    return 0;
}

/* Statements may have several lines, which FIELD_TEXT refuses. */
static int read_sql(const struct node *map, struct drill_check *check, const char *where,
                    struct err *err)
{
    const struct node *n = node_get(map, "sql");

    if (n == NULL)
        return fail_here(map, err, "%s has no \"sql\"", where);
    if (n->kind != NODE_SCALAR || n->tag != NULL || n->text[strspn(n->text, " \t\n;")] == '\0')
        return fail_here(n, err, "\"sql\" of %s must be a statement", where);
    check->sql = xstrdup(n->text);
    return 0;
}

static int read_check(struct config *c, const struct node_entry *e, struct drill_config *d,
                      struct err *err)
{
    struct drill_check *check;
    char where[96];

    TRY(want_name(e->key, "the name of a check", err));
    if (d->n_checks == CHECKS_MAX)
        return fail_here(e->key, err, "a drill has more than %d checks", CHECKS_MAX);
    d->checks = array_grow(d->checks, d->n_checks, sizeof *d->checks);
    check = &d->checks[d->n_checks++];
    *check = (struct drill_check){.name = xstrdup(e->key->text), .database = xstrdup("postgres")};
    snprintf(where, sizeof where, "check \"%s\"", check->name);
    TRY(fields_read(c, e->value, where, check_fields, LENGTH(check_fields), check, err));
    TRY(read_sql(e->value, check, where, err));
    if (check->expect == NULL && check->expect_min == NULL && check->expect_max == NULL)
        return fail_here(e->value, err,
                         "%s does not say what is right: \"expect\", \"expect_min\" or "
                         "\"expect_max\"",
                         where);
    if (check->expect != NULL && (check->expect_min != NULL || check->expect_max != NULL))
        return fail_here(e->value, err, "%s has both \"expect\" and a limit: keep one", where);
    TRY(check_number(e->value, "expect_min", check->expect_min, err));
    return check_number(e->value, "expect_max", check->expect_max, err);
}

int drill_read(struct config *c, const struct node *map, const char *cluster,
               struct drill_config *out, struct err *err)
{
    const struct node *checks;
    char where[96];

    snprintf(where, sizeof where, "\"drill\" of cluster \"%s\"", cluster);
    TRY(fields_read(c, map, where, drill_fields, LENGTH(drill_fields), out, err));
    checks = node_get(map, "checks");
    if (checks == NULL)
        return 0;
    TRY(want_map(checks, "the list of checks", err));
    for (const struct node_entry *e = checks->first; e != NULL; e = e->next)
        TRY(read_check(c, e, out, err));
    return 0;
}

void drill_config_init(struct drill_config *d)
{
    *d =
        (struct drill_config){.amcheck = CONFIG_AMCHECK_ON, .time_limit_ms = INT64_C(86400) * 1000};
}

void drill_config_free(struct drill_config *d)
{
    free(d->dir);
    free(d->pg_bin);
    free(d->user);
    for (size_t i = 0; i < d->n_checks; i++) {
        free(d->checks[i].name);
        free(d->checks[i].database);
        free(d->checks[i].sql);
        free(d->checks[i].expect);
        free(d->checks[i].expect_min);
        free(d->checks[i].expect_max);
    }
    free(d->checks);
    *d = (struct drill_config){0};
}
