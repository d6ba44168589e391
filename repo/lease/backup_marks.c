/* backup_marks.c - which backups are held or hidden. See marks.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/lease/candidates.h"
#include "repo/lease/marks.h"

void backup_marks_free(struct backup_mark **marks, size_t n)
{
    for (size_t i = 0; *marks != NULL && i < n; i++) {
        free((*marks)[i].note);
        free((*marks)[i].reason);
    }
    mem_free(marks);
}

/* A damaged mark counts by being there; what it would say is not known. */
static int read_mark(struct repo *r, const char *key, bool *there, char **text, int64_t *until_us,
                     struct err *err)
{
    AUTO(mark_free) struct mark m = {0};

    if (mark_read(r, key, &m, err) != 0) {
        if (err->code != ERR_NOT_FOUND && err->code != ERR_CORRUPT &&
            err->code != ERR_UNSUPPORTED && err->code != ERR_FOREIGN)
            return -1;
        *there = err->code != ERR_NOT_FOUND;
        err_clear(err);
        *text = xstrdup("");
        return 0;
    }
    *text = TAKE(m.reason);
    *until_us = m.until_us;
    return 0;
}

static int add(struct repo *r, const struct candidate *c, struct backup_mark *m, struct err *err)
{
    AUTO(buf_free) struct buf key = BUF_INIT;
    int64_t ignored;

    memcpy(m->label, c->label, sizeof m->label);
    m->held = c->held;
    m->hidden = c->expired;
    m->hidden_us = c->expired_us;
    if (c->held)
        TRY(read_mark(r, name_hold(&key, repo_cluster(r), c->label), &m->held, &m->note,
                      &m->held_until_us, err));
    if (c->expired)
        TRY(read_mark(r, name_expired(&key, repo_cluster(r), c->label), &m->hidden, &m->reason,
                      &ignored, err));
    return 0;
}

int backup_marks(struct repo *r, struct backup_mark **out, size_t *n, struct err *err)
{
    AUTO(candidates_free) struct candidates c = {0};

    *out = NULL;
    *n = 0;
    TRY(candidates_list(r, &c, err));
    *out = xcalloc(c.n, sizeof **out);
    for (size_t i = 0; i < c.n; i++) {
        if (!candidate_committed(&c.items[i]) || !(c.items[i].held || c.items[i].expired))
            continue;
        if (add(r, &c.items[i], &(*out)[(*n)++], err) != 0) {
            backup_marks_free(out, *n);
            return -1;
        }
    }
    return 0;
}
