/* expire_survey.c - which backups there are for an expirer, and which of them leases pin. See
 * expire_form.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/expire/expire_form.h"
#include "repo/lease/marks.h"

void survey_free(struct survey *s)
{
    for (size_t i = 0; i < s->c.n; i++) {
        pubinfo_free(&s->pubs[i]);
        free(s->notes[i]);
    }
    free(s->pubs);
    free(s->read);
    free(s->held);
    free(s->held_until_us);
    free(s->notes);
    candidates_free(&s->c);
    *s = (struct survey){0};
}

static bool is_unreadable(const struct err *err)
{
    return err->code == ERR_CORRUPT || err->code == ERR_FOREIGN || err->code == ERR_UNSUPPORTED ||
           err->code == ERR_KEY;
}

/* What a manifest that cannot be read needs is not known, so nothing may go; unless it is to go
 * itself, when it needs nothing any more. */
static int read_one(struct survey *s, struct repo *r, size_t i, const char *label, struct err *err)
{
    struct candidate *c = &s->c.items[i];

    if (pubinfo_read(r, c->label, &s->pubs[i], NULL, err) == 0) {
        s->read[i] = true;
        return 0;
    }
    if (err->code == ERR_NOT_FOUND) { /* another expirer took it meanwhile */
        c->manifest = false;
        err_clear(err);
        return 0;
    }
    if (!is_unreadable(err))
        return -1;
    if (!c->expired && (label == NULL || strcmp(label, c->label) != 0))
        return err_context(err,
                           "nothing is deleted, because it is not known what backup %s needs "
                           "(\"pgbr expire --set %s\" gives it up)",
                           c->label, c->label);
    err_clear(err);
    return 0;
}

/* A damaged mark holds as well, without an end. */
static int read_hold(struct survey *s, struct repo *r, size_t i, int64_t now_us, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    AUTO(mark_free) struct mark m = {0};

    if (mark_read(r, name_hold(&key, repo_cluster(r), s->c.items[i].label), &m, err) != 0) {
        if (err->code != ERR_NOT_FOUND && !is_unreadable(err))
            return -1;
        s->held[i] = err->code != ERR_NOT_FOUND;
        err_clear(err);
        return 0;
    }
    s->held[i] = m.until_us == 0 || m.until_us > now_us;
    s->held_until_us[i] = m.until_us;
    s->notes[i] = TAKE(m.reason);
    return 0;
}

static int read_all(struct survey *s, struct repo *r, int64_t now_us, const char *label,
                    struct err *err)
{
    for (size_t i = 0; i < s->c.n; i++) {
        const struct candidate *c = &s->c.items[i];

        if (candidate_committed(c))
            TRY(read_one(s, r, i, label, err));
        if (c->held)
            TRY(read_hold(s, r, i, now_us, err));
    }
    return 0;
}

int survey_load(struct survey *s, struct repo *r, int64_t now_us, const char *label,
                struct err *err)
{
    *s = (struct survey){.restore_pin_us = (int64_t)repo_restore_pin_s(r) * 1000000};
    TRY(candidates_list(r, &s->c, err));
    s->pubs = xcalloc(s->c.n, sizeof *s->pubs);
    s->read = xcalloc(s->c.n, sizeof *s->read);
    s->held = xcalloc(s->c.n, sizeof *s->held);
    s->held_until_us = xcalloc(s->c.n, sizeof *s->held_until_us);
    s->notes = xcalloc(s->c.n, sizeof *s->notes);
    if (read_all(s, r, now_us, label, err) == 0)
        return 0;
    survey_free(s);
    return -1;
}

const struct pubinfo *survey_pub(const struct survey *s, const char *label)
{
    const struct candidate *c = candidates_find(&s->c, label);

    return c != NULL && s->read[c - s->c.items] ? &s->pubs[c - s->c.items] : NULL;
}

/* ---- leases ---- */

/*
 * A writer whose lease is old may only be asleep: until its set has a final fence, which counts as
 * released, the lease pins. Where its backup is committed the manifest itself says what it needs. A
 * restore commits nothing that others rely on, so its lease may be given up by its age.
 */
bool lease_pins(const struct lease_seen *l, const struct survey *s)
{
    switch (label_kind(l->set)) {
    case SET_GC:
        return false;
    case SET_RESTORE:
        return !l->released && l->age_us < s->restore_pin_us;
    default:
        return !l->released && (l->live || !candidate_committed(candidates_find(&s->c, l->set)));
    }
}

static bool names(const struct lease_seen *l, const char *label)
{
    if (strcmp(l->base, label) == 0)
        return true;
    for (size_t i = 0; i < l->n_adopted; i++)
        if (strcmp(l->adopted[i], label) == 0)
            return true;
    return false;
}

bool expire_pinned(const struct expiry *e, const struct survey *s, const char *label)
{
    for (size_t i = 0; i < e->n_leases; i++)
        if (names(&e->leases[i], label) && lease_pins(&e->leases[i], s))
            return true;
    return false;
}

const struct lease_seen *expire_live(const struct expiry *e, const char *set)
{
    for (size_t i = 0; i < e->n_leases; i++)
        if (strcmp(e->leases[i].set, set) == 0)
            return e->leases[i].live ? &e->leases[i] : NULL;
    return NULL;
}
