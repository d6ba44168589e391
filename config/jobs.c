/* jobs.c - the scheduler's jobs: kept as text, checked for everything that needs no clock. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/fields.h"
#include "config/parts.h"
#include "config/suggest.h"
#include "config/units.h"

#define AT(member) offsetof(struct job_config, member)

static const struct choice roles[] = {{"any", CONFIG_ROLE_ANY},
                                      {"primary", CONFIG_ROLE_PRIMARY},
                                      {"replica", CONFIG_ROLE_REPLICA},
                                      {NULL, 0}};

static const struct field job_fields[] = {
    {"cluster", FIELD_TEXT, AT(cluster), 0, 0, NULL, NULL},
    {"run", FIELD_TEXT, AT(run), 0, 0, NULL, NULL},
    {"cron", FIELD_TEXT, AT(cron), 0, 0, NULL, NULL},
    {"time_zone", FIELD_TEXT, AT(time_zone), 0, 0, NULL, NULL},
    {"role", FIELD_CHOICE, AT(role), 0, 0, roles, NULL},
};

static int check_cluster(const struct config *c, struct job_config *job, const struct node *map,
                         struct err *err)
{
    struct suggestion s;
    char shown[80], hint[112];

    if (job->cluster == NULL && c->n_clusters > 1)
        return fail_here(map, err, "job \"%s\" has no \"cluster\", and there are %zu", job->name,
                         c->n_clusters);
    if (job->cluster == NULL) {
        job->cluster = c->n_clusters == 1 ? xstrdup(c->clusters[0].name) : NULL;
        return 0;
    }
    s = suggest_for(job->cluster);
    for (size_t i = 0; i < c->n_clusters; i++) {
        if (strcmp(c->clusters[i].name, job->cluster) == 0)
            return 0;
        suggest_offer(&s, c->clusters[i].name);
    }
    return fail_here(node_get(map, "cluster"), err, "there is no cluster \"%s\"%s",
                     units_printable(job->cluster, shown), suggest_text(&s, hint));
}

static int check_run(const struct job_config *job, const struct node *map, struct err *err)
{
    static const char *const commands[] = {"backup", "check", "drill", "expire", "verify"};
    char word[32], hint[112];
    struct suggestion s;

    if (job->run == NULL)
        return fail_here(map, err, "job \"%s\" has no \"run\"", job->name);
    snprintf(word, sizeof word, "%.*s", (int)strcspn(job->run, " "), job->run);
    s = suggest_for(word);
    for (size_t i = 0; i < LENGTH(commands); i++) {
        if (strcmp(word, commands[i]) == 0)
            return 0;
        suggest_offer(&s, commands[i]);
    }
    return fail_here(node_get(map, "run"), err,
                     "a job cannot run \"%s\"%s: it begins with backup, check, drill, expire or "
                     "verify",
                     word, suggest_text(&s, hint));
}

/* The form only: ranges and names of days are the scheduler's. */
static int check_cron(const struct job_config *job, const struct node *map, struct err *err)
{
    const char *p = job->cron;
    unsigned fields = 0;

    if (p == NULL)
        return fail_here(map, err, "job \"%s\" has no \"cron\"", job->name);
    while (*(p += strspn(p, " ")) != '\0') {
        fields++;
        while (isalnum((unsigned char)*p) || (*p != '\0' && strchr("*,/-", *p) != NULL))
            p++;
        if (*p != ' ' && *p != '\0')
            return fail_here(node_get(map, "cron"), err, "\"%c\" has no place in a cron expression",
                             *p);
    }
    if (fields != 5)
        return fail_here(node_get(map, "cron"), err,
                         "a cron expression has five fields (minute, hour, day, month, day of the "
                         "week), not %u",
                         fields);
    return 0;
}

static int check_zone(const struct job_config *job, const struct node *map, struct err *err)
{
    char shown[80];

    for (const char *p = job->time_zone; p != NULL && *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr("_+-/", *p) == NULL)
            return fail_here(node_get(map, "time_zone"), err,
                             "\"%s\" is not the name of a time zone (example: Europe/Berlin)",
                             units_printable(job->time_zone, shown));
    return 0;
}

static int job_read(struct config *c, const struct node_entry *e, struct err *err)
{
    struct job_config *job;
    char where[96];

    TRY(want_name(e->key, "the name of a job", err));
    c->jobs = array_grow(c->jobs, c->n_jobs, sizeof *c->jobs);
    job = &c->jobs[c->n_jobs++];
    *job = (struct job_config){.name = xstrdup(e->key->text), .place = place_of(e->key)};
    snprintf(where, sizeof where, "job \"%s\"", job->name);
    TRY(fields_read(c, e->value, where, job_fields, LENGTH(job_fields), job, err));
    TRY(check_cluster(c, job, e->value, err));
    TRY(check_run(job, e->value, err));
    TRY(check_cron(job, e->value, err));
    return check_zone(job, e->value, err);
}

int jobs_read(struct config *c, const struct node *map, struct err *err)
{
    TRY(want_map(map, "the list of jobs", err));
    for (const struct node_entry *e = map->first; e != NULL; e = e->next)
        TRY(job_read(c, e, err));
    return 0;
}
