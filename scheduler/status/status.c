/* status.c - what is common to all parts of the status, and the questions asked of it. */
#include "scheduler/status/status.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "scheduler/status/status_read.h"

/* ---- names ---- */

static char *own_host(void)
{
    char host[65] = "";

    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
        return xstrdup("localhost");
    return xstrdup(host);
}

/* The first address by which others could reach this host. */
static char *own_address(void)
{
    char text[NI_MAXHOST] = "127.0.0.1";
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) != 0)
        return xstrdup(text);
    for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
        if (a->ifa_addr == NULL || a->ifa_addr->sa_family != AF_INET)
            continue;
        if (getnameinfo(a->ifa_addr, sizeof(struct sockaddr_in), text, sizeof text, NULL, 0,
                        NI_NUMERICHOST) == 0 &&
            strncmp(text, "127.", 4) != 0)
            break;
    }
    freeifaddrs(all);
    return xstrdup(text);
}

static void name_host(struct status_cluster *c, const char *host)
{
    for (size_t i = 0; i < c->conf->n_members && c->conf->instance != NULL; i++)
        if (strcmp(c->conf->members[i].instance, c->conf->instance) == 0)
            c->ip = xstrdup(c->conf->members[i].host);
    if (c->ip == NULL)
        c->ip = own_address();
    c->instance = xstrdup(c->conf->instance != NULL ? c->conf->instance : host);
}

static bool is_required(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->n_repos; i++)
        if (strcmp(c->repos[i].name, name) == 0)
            return !c->repos[i].optional;
    return true;
}

static void init_cluster(struct status *s, struct status_cluster *c,
                         const struct cluster_config *conf)
{
    c->conf = conf;
    name_host(c, s->host);
    c->repos = xcalloc(conf->n_repos, sizeof *c->repos);
    c->n_repos = conf->n_repos;
    for (size_t i = 0; i < conf->n_repos; i++) {
        c->repos[i].name = conf->repos[i];
        c->repos[i].required = is_required(s->config, conf->repos[i]);
    }
}

void status_init(struct status *s, const struct config *c, const struct cluster_config *only)
{
    *s = (struct status){.config = c, .host = own_host(), .n = only != NULL ? 1 : c->n_clusters};
    pthread_rwlock_init(&s->lock, NULL);
    s->clusters = xcalloc(s->n, sizeof *s->clusters);
    for (size_t i = 0; i < s->n; i++)
        init_cluster(s, &s->clusters[i], only != NULL ? only : &c->clusters[i]);
}

static void free_cluster(struct status_cluster *c)
{
    for (size_t i = 0; i < c->n_repos; i++) {
        view_free(&c->repos[i].view);
        free(c->repos[i].location);
        free(c->repos[i].read.failure);
    }
    free(c->repos);
    free(c->server.read.failure);
    free(c->server.wal_read.failure);
    free(c->instance);
    free(c->ip);
    status_history_free(&c->history);
    findings_free(&c->findings);
}

void status_free(struct status *s)
{
    if (s->clusters == NULL)
        return;
    for (size_t i = 0; i < s->n; i++)
        free_cluster(&s->clusters[i]);
    free(s->clusters);
    free(s->catalog.failure);
    job_set_free(&s->jobs);
    catalog_jobs_free(&s->job_rows);
    free(s->host);
    pthread_rwlock_destroy(&s->lock);
    *s = (struct status){0};
}

void status_hold(struct status *s)
{
    pthread_rwlock_rdlock(&s->lock);
}

void status_release(struct status *s)
{
    pthread_rwlock_unlock(&s->lock);
}

/* ---- questions ---- */

enum status_word status_word(const struct status_cluster *c)
{
    bool seen = false;

    for (size_t i = 0; i < c->n_repos; i++)
        seen |= c->repos[i].read.tried_us != 0;
    if (c->judged_us == 0 || !seen)
        return STATUS_UNKNOWN;
    if (c->findings.counts[FINDING_FAILED] != 0)
        return STATUS_AT_RISK;
    return c->findings.counts[FINDING_WARNING] != 0 ? STATUS_ATTENTION : STATUS_PROTECTED;
}

const char *status_word_name(enum status_word w)
{
    static const char *const names[] = {[STATUS_UNKNOWN] = "unknown",
                                        [STATUS_PROTECTED] = "protected",
                                        [STATUS_ATTENTION] = "attention",
                                        [STATUS_AT_RISK] = "at risk"};

    return names[w];
}

const struct pubinfo *status_newest(const struct status_repo *r, int type)
{
    const struct backup_list *l = &r->view.backups;
    const struct pubinfo *newest = NULL;

    for (size_t i = 0; i < l->n; i++)
        if ((type == 0 || (int)l->items[i].type == type) &&
            (newest == NULL || l->items[i].stop_us >= newest->stop_us))
            newest = &l->items[i];
    return newest;
}

const struct catalog_backup *status_recorded(const struct status_cluster *c,
                                             const struct status_repo *r, const char *label)
{
    const struct catalog_backups *l = &c->history.backups;

    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->rows[i].repo, r->name) == 0 && strcmp(l->rows[i].label, label) == 0)
            return &l->rows[i];
    return NULL;
}

int64_t status_archived_us(const struct status_repo *r)
{
    int64_t us = 0;

    for (size_t i = 0; i < r->view.n_lines; i++)
        us = MAX_OF(us, r->view.lines[i].stretch.last_us);
    return us;
}

uint64_t status_gap_segments(const struct status_repo *r)
{
    uint64_t n = 0;

    for (size_t i = 0; i < r->view.n_gaps; i++)
        n += r->view.gaps[i].last_segno - r->view.gaps[i].first_segno + 1;
    return n;
}

const struct catalog_drill *status_last_drill(const struct status_cluster *c,
                                              const struct status_repo *r, bool passed)
{
    for (size_t i = 0; i < c->history.drills.n; i++) {
        const struct catalog_drill *d = &c->history.drills.rows[i];

        if (d->outcome == NULL || d->repo == NULL || strcmp(d->repo, r->name) != 0)
            continue;
        if (strcmp(d->outcome, "passed") == 0 || (!passed && strcmp(d->outcome, "failed") == 0))
            return d;
    }
    return NULL;
}
