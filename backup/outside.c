/*
 * outside.c - see outside.h.
 *
 * The server's views name the files that settings and rules come from. One that has none, only
 * includes or comments, is in no view, nor is a directory that is empty so far; yet the server does
 * not start without them. So the files are read here as the server reads them. It is no reason not
 * to back up that one of them cannot be read.
 */
#include "backup/outside.h"

#include "base/log.h"
#include "postgres/conf_walk.h"

enum { TOLD_MAX = 5 };

struct looking {
    struct pg_facts *facts;
    unsigned troubles;
};

static void take(void *ctx, const char *path)
{
    struct looking *l = ctx;

    pg_facts_add_file(l->facts, path);
}

static void tell(void *ctx, const struct err *why)
{
    struct looking *l = ctx;

    if (l->troubles++ < TOLD_MAX)
        log_warning("included configuration may be missing in the backup: %s", why->msg);
}

unsigned outside_find(struct pg_facts *f)
{
    struct looking l = {.facts = f};
    const struct conf_walk w = {.ctx = &l, .file = take, .trouble = tell};
    unsigned major = f->version->major;
    struct err err = {0};

    if ((f->config_file[0] == '/' && conf_walk(&w, f->config_file, true, &err) != 0) ||
        (f->hba_file[0] == '/' && conf_walk_hba(&w, major, f->hba_file, &err) != 0) ||
        (f->ident_file[0] == '/' && conf_walk_hba(&w, major, f->ident_file, &err) != 0))
        tell(&l, &err);
    if (l.troubles > TOLD_MAX)
        log_warning("and %u more of that kind", l.troubles - TOLD_MAX);
    return l.troubles;
}
