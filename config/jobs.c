/* jobs.c - the scheduler and its jobs, checked for everything that needs no other file. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cron.h"
#include "base/mem.h"
#include "config/fields.h"
#include "config/parts.h"
#include "config/suggest.h"
#include "config/units.h"

#define AT(member) offsetof(struct job_config, member)

enum { SECOND = 1000, DAY = 86400 * SECOND, RETRIES = 2, RETRY_DELAY = 300 * SECOND };

static const struct choice roles[] = {{"any", CONFIG_ROLE_ANY},
                                      {"primary", CONFIG_ROLE_PRIMARY},
                                      {"replica", CONFIG_ROLE_REPLICA},
                                      {"prefer-replica", CONFIG_ROLE_PREFER_REPLICA},
                                      {NULL, 0}};
static const struct choice ios[] = {
    {"normal", CONFIG_IO_NORMAL}, {"low", CONFIG_IO_LOW}, {"idle", CONFIG_IO_IDLE}, {NULL, 0}};

static const struct field job_fields[] = {
    {"cluster", FIELD_TEXT, AT(cluster), 0, 0, NULL, NULL},
    {"run", FIELD_TEXT, AT(run), 0, 0, NULL, NULL},
    {"cron", FIELD_TEXT, AT(cron), 0, 0, NULL, NULL},
    {"time_zone", FIELD_TEXT, AT(time_zone), 0, 0, NULL, NULL},
    {"role", FIELD_CHOICE, AT(role), 0, 0, roles, NULL},
    {"role_wait", FIELD_MS, AT(role_wait_ms), 0, DAY, NULL, NULL},
    {"jitter", FIELD_MS, AT(jitter_ms), 0, DAY, NULL, NULL},
    {"time_limit", FIELD_MS, AT(time_limit_ms), 0, INT64_C(30) * DAY, NULL, NULL},
    {"retries", FIELD_UNSIGNED, AT(retries), 0, 100, NULL, NULL},
    {"retry_delay", FIELD_MS, AT(retry_delay_ms), SECOND, DAY, NULL, NULL},
    {"catch_up", FIELD_BOOL, AT(catch_up), 0, 0, NULL, NULL},
    {"before", FIELD_TEXT, AT(before), 0, 0, NULL, NULL},
    {"after", FIELD_TEXT, AT(after), 0, 0, NULL, NULL},
    {"nice", FIELD_INT, AT(nice), 0, 19, NULL, NULL},
    {"io", FIELD_CHOICE, AT(io), 0, 0, ios, NULL},
};

static const struct field scheduler_fields[] = {
    {"stop_wait", FIELD_MS, offsetof(struct scheduler_config, stop_wait_ms), 0, DAY, NULL, NULL},
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

/* Words as a shell would see them: blanks between, quotes around, nothing else is special. */
static int split_words(struct job_config *job, const struct node *at, struct err *err)
{
    for (const char *p = job->run + strspn(job->run, " "); *p != '\0'; p += strspn(p, " ")) {
        AUTO(buf_free) struct buf word = BUF_INIT;

        while (*p != '\0' && *p != ' ') {
            const char *end = *p == '\'' || *p == '"' ? strchr(p + 1, *p) : p;

            if (end == NULL)
                return fail_here(at, err, "\"run\": a quote is opened and not closed");
            buf_add(&word, end == p ? p : p + 1, end == p ? 1 : (size_t)(end - p - 1));
            p = end + 1;
        }
        job->words = array_grow(job->words, job->n_words, sizeof *job->words);
        buf_text(&word);
        job->words[job->n_words++] = buf_steal(&word);
    }
    return 0;
}

static int check_run(struct job_config *job, const struct node *map, struct err *err)
{
    static const char *const commands[] = {"backup", "check", "drill", "expire", "verify"};
    char shown[80], hint[112];
    struct suggestion s;

    if (job->run == NULL)
        return fail_here(map, err, "job \"%s\" has no \"run\"", job->name);
    TRY(split_words(job, node_get(map, "run"), err));
    if (job->n_words == 0)
        return fail_here(node_get(map, "run"), err, "\"run\" is empty");
    s = suggest_for(job->words[0]);
    for (size_t i = 0; i < LENGTH(commands); i++) {
        if (strcmp(job->words[0], commands[i]) == 0)
            return 0;
        suggest_offer(&s, commands[i]);
    }
    return fail_here(node_get(map, "run"), err,
                     "a job cannot run \"%s\"%s: it begins with backup, check, drill, expire or "
                     "verify",
                     units_printable(job->words[0], shown), suggest_text(&s, hint));
}

static int check_cron(const struct job_config *job, const struct node *map, struct err *err)
{
    struct cron cron;

    if (job->cron == NULL)
        return fail_here(map, err, "job \"%s\" has no \"cron\"", job->name);
    if (cron_parse(job->cron, &cron, err) != 0) {
        struct err why = *err;

        return fail_here(node_get(map, "cron"), err, "%s", why.msg);
    }
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
    *job = (struct job_config){.name = xstrdup(e->key->text),
                               .role_wait_ms = 600 * SECOND,
                               .retries = RETRIES,
                               .retry_delay_ms = RETRY_DELAY,
                               .catch_up = true,
                               .place = place_of(e->key)};
    snprintf(where, sizeof where, "job \"%s\"", job->name);
    TRY(fields_read(c, e->value, where, job_fields, LENGTH(job_fields), job, err));
    TRY(check_cluster(c, job, e->value, err));
    TRY(check_run(job, e->value, err));
    TRY(check_cron(job, e->value, err));
    return check_zone(job, e->value, err);
}

void job_config_free(struct job_config *job)
{
    for (size_t i = 0; i < job->n_words; i++)
        free(job->words[i]);
    free(job->words);
    free(job->name);
    free(job->cluster);
    free(job->run);
    free(job->cron);
    free(job->time_zone);
    free(job->before);
    free(job->after);
}

void scheduler_defaults(struct scheduler_config *s)
{
    *s = (struct scheduler_config){.stop_wait_ms = 60 * SECOND};
}

int scheduler_read(struct config *c, const struct node *map, struct err *err)
{
    return fields_read(c, map, "\"scheduler\"", scheduler_fields, LENGTH(scheduler_fields),
                       &c->scheduler, err);
}

int jobs_read(struct config *c, const struct node *map, struct err *err)
{
    TRY(want_map(map, "the list of jobs", err));
    for (const struct node_entry *e = map->first; e != NULL; e = e->next)
        TRY(job_read(c, e, err));
    return 0;
}
