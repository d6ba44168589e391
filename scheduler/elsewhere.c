/* elsewhere.c - see elsewhere.h. */
#include "scheduler/elsewhere.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "config/open.h"
#include "repo/object/names.h"

enum { US = 1000000, ATTEMPTS_MAX = 1000, KIND_SHIFT = 16 };
#define CLOCKS_APART_US INT64_C(600000000) /* of hosts, and of the store, that are right */

/* The value of an option as getopt_long() takes it: "--type full", "--type=full", and shortened,
 * "--ty full", which it refuses where that may be another option as well. The last one counts.
 * NULL: not given. */
static const char *option_of(char **words, size_t n, const char *name)
{
    const char *value = NULL;

    for (size_t i = 1; i < n; i++) {
        size_t len = strcspn(words[i], "=");

        if (len <= 2 || strncmp(words[i], name, len) != 0)
            continue;
        if (words[i][len] == '=')
            value = words[i] + len + 1;
        else if (i + 1 < n)
            value = words[++i];
    }
    return value;
}

bool elsewhere_serves(const char *label, char **words, size_t n, int64_t due_us, int64_t now_us)
{
    const char *type = option_of(words, n, "--type");
    int64_t began_us = label_time_us(label); /* in whole seconds */

    if (strcmp(words[0], "backup") != 0 || began_us < due_us / US * US ||
        began_us > now_us + CLOCKS_APART_US)
        return false;
    switch (label_kind(label)) {
    case SET_FULL:
        return true;
    case SET_DIFF:
        return type == NULL || strcmp(type, "full") != 0;
    case SET_INCR:
        return type == NULL || strcmp(type, "auto") == 0 || strcmp(type, "incr") == 0;
    default:
        return false;
    }
}

/* Eight bits for the kind, so that a lease tells what is under way; sixteen for the rest. */
static unsigned kind_bits(const char *kind)
{
    return (unsigned)(hash64(kind, strlen(kind)) & 0xff);
}

void elsewhere_label(char out[LABEL_SIZE + 1], const char *kind, const char *job, int64_t due_us,
                     unsigned attempt)
{
    AUTO(mem_free) char *text = xasprintf("%s %s %u", kind, job, attempt);
    uint32_t rest = (uint32_t)(hash64(text, strlen(text)) & 0xffff);

    if (label_of(out, SET_RESTORE, due_us, kind_bits(kind) << KIND_SHIFT | rest) != 0)
        out[0] = '\0';
}

static bool is_of_job(const struct lease_seen *l)
{
    return label_kind(l->set) == SET_RESTORE && l->base[0] == '\0';
}

static bool is_of_kind(const struct lease_seen *l, const char *kind)
{
    char text[3];

    snprintf(text, sizeof text, "%02x", kind_bits(kind));
    return is_of_job(l) && strncmp(l->set + LABEL_SIZE - 6, text, 2) == 0;
}

static bool is_of_backup(const struct lease_seen *l)
{
    enum set_kind kind = label_kind(l->set);

    return kind == SET_FULL || kind == SET_DIFF || kind == SET_INCR;
}

/* ---- who we are ---- */

struct self {
    char host[65];
    char name[256]; /* of our leases: two state directories on one host are two */
};

static void know_self(struct self *s, const struct run_order *o)
{
    *s = (struct self){0};
    if (gethostname(s->host, sizeof s->host - 1) != 0)
        s->host[0] = '\0';
    snprintf(s->name, sizeof s->name, "%s, %s", s->host, o->config->state_dir);
}

/* This host's own locks say better what runs here: a lease of ours is one of a process that died.
 */
static bool is_ours(const struct self *s, const struct lease_seen *l)
{
    return strcmp(l->host, is_of_job(l) ? s->name : s->host) == 0;
}

static int found(struct elsewhere *e, enum elsewhere_state state, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static int found(struct elsewhere *e, enum elsewhere_state state, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(e->note, sizeof e->note, fmt, args);
    va_end(args);
    utf8_clean(e->note); /* the names of hosts are what a repository says */
    e->state = state;
    return 0;
}

/* ---- looking ---- */

/* A backup that serves: its label says when it began and what it is, its manifest that it is one.
 */
struct backup_search {
    const struct run_order *o;
    int64_t due_us, now_us; /* on the host's clock */
    char label[LABEL_SIZE + 1];
};
static int look_at_backup(void *ctx, const struct store_entry *entry, struct err *err)
{
    struct backup_search *b = ctx;
    const char *end = strrchr(entry->key, '/');
    char label[LABEL_SIZE + 1];

    (void)err;
    if (end == NULL || strcmp(end, "/manifest") != 0 || end - entry->key < LABEL_SIZE)
        return 0;
    snprintf(label, sizeof label, "%s", end - LABEL_SIZE);
    if (label_valid(label) &&
        elsewhere_serves(label, b->o->job->words, b->o->job->n_words, b->due_us, b->now_us))
        memcpy(b->label, label, sizeof label);
    return 0;
}

static int look_for_backup(struct elsewhere *e, const struct run_order *o, struct err *err)
{
    AUTO(mem_free) char *prefix = xasprintf("%s/backup/", o->cluster->name);
    struct backup_search b = {
        .o = o, .due_us = sched_to_real_us(o->clock, o->due_us), .now_us = clock_now_us()};

    if (strcmp(o->job->words[0], "backup") != 0)
        return 0;
    TRY(store_list(repo_store(e->repo), prefix, STORE_DEEP, look_at_backup, &b, NULL, err));
    if (b.label[0] != '\0')
        return found(e, ELSEWHERE_DONE, "backup %s was begun at its time or later", b.label);
    return 0;
}

static const struct lease_seen *lease_named(const struct lease_seen *leases, size_t n,
                                            const char *label)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(leases[i].set, label) == 0)
            return &leases[i];
    return NULL;
}

/* Written last before the time that it is for: by a host whose clock was ahead. */
static bool is_too_early(const struct run_order *o, const struct lease_seen *l)
{
    int64_t since_us = clock_now_us() - sched_to_real_us(o->clock, o->due_us);

    return l->age_us > MAX_OF(since_us, 0) + CLOCKS_APART_US;
}

/* Follows the attempts of all hosts: *attempt is the first without a lease. One that died makes way
 * for the next. */
static int follow_attempts(struct elsewhere *e, const struct run_order *o, const struct self *self,
                           const struct lease_seen *leases, size_t n, unsigned *attempt)
{
    for (*attempt = 0; *attempt < ATTEMPTS_MAX; ++*attempt) {
        const struct lease_seen *l;
        char label[LABEL_SIZE + 1];

        elsewhere_label(label, o->job->words[0], o->job->name, o->due_us, *attempt);
        l = lease_named(leases, n, label);
        if (l == NULL)
            return 0;
        if (is_too_early(o, l))
            continue;
        if (l->released) /* ours, too: perhaps that could not be recorded here */
            return found(e, ELSEWHERE_DONE, "host \"%s\" ran it", l->host);
        if (l->live && !is_ours(self, l))
            return found(e, ELSEWHERE_RUNNING, "host \"%s\" runs it", l->host);
    }
    return 0;
}

static int look_for_others(struct elsewhere *e, const struct run_order *o, const struct self *self,
                           const struct lease_seen *leases, size_t n)
{
    const char *kind = o->job->words[0];

    for (size_t i = 0; i < n; i++) {
        const struct lease_seen *l = &leases[i];
        bool same = is_of_kind(l, kind) || (is_of_backup(l) && strcmp(kind, "backup") == 0);

        if (same && l->live && !is_ours(self, l))
            return found(e, ELSEWHERE_OTHER, "host \"%s\" runs a %s of this cluster", l->host,
                         kind);
    }
    return 0;
}

static int take(struct elsewhere *e, const struct run_order *o, const struct self *self,
                unsigned attempt, struct err *err)
{
    const struct lease_terms terms = {.host = self->name, .pid = (uint32_t)getpid()};
    char label[LABEL_SIZE + 1];

    elsewhere_label(label, o->job->words[0], o->job->name, o->due_us, attempt);
    if (lease_take(&e->lease, e->repo, label, &terms, NULL, err) == 0)
        return 0;
    if (err->code != ERR_EXISTS)
        return -1;
    return found(e, ELSEWHERE_RUNNING, "another host began it at this moment");
}

static int look(struct elsewhere *e, const struct run_order *o, unsigned *attempt,
                const struct self *self, struct err *err)
{
    struct lease_seen *leases = NULL;
    size_t n = 0;

    TRY(leases_list(e->repo, &leases, &n, err));
    follow_attempts(e, o, self, leases, n, attempt);
    if (e->state == ELSEWHERE_NOT && look_for_backup(e, o, err) != 0) {
        leases_free(&leases, n);
        return -1;
    }
    if (e->state == ELSEWHERE_NOT)
        look_for_others(e, o, self, leases, n);
    leases_free(&leases, n);
    return 0;
}

int elsewhere_look(struct elsewhere *e, const struct run_order *o, bool want, struct err *err)
{
    const char *repo = option_of(o->job->words, o->job->n_words, "--repo");
    unsigned attempt = 0;
    struct self self;

    *e = (struct elsewhere){0};
    know_self(&self, o);
    TRY(config_open_repo(o->config, o->cluster, repo, REPO_OPEN_QUICK, &e->repo, err));
    TRY(look(e, o, &attempt, &self, err));
    return want && e->state == ELSEWHERE_NOT ? take(e, o, &self, attempt, err) : 0;
}

void elsewhere_done(struct elsewhere *e)
{
    struct err err = {0};

    if (lease_release(&e->lease, &err) != 0)
        log_debug("other hosts could not be told that this run is done: %s", err.msg);
}

void elsewhere_end(struct elsewhere *e)
{
    struct err err = {0};

    if (lease_withdraw(&e->lease, &err) != 0)
        log_debug("other hosts wait until the lease of this run is old: %s", err.msg);
    repo_close(&e->repo);
}
