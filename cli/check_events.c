/*
 * check_events.c - what check found, as events.
 *
 * Findings about archiving, missing WAL and holds are classes of their own, by repository, because
 * different people want to hear of them; all others together are the class "check". A class with
 * nothing wrong is an event only where the last one was worse.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/check.h"

enum { NAMED_MAX = 5 }; /* findings spelled out */

struct check_class {
    const char *kind;
    char *repo;
    enum check_state worst;
    size_t n; /* findings that are not well */
    struct buf text;
};

static const char *kind_of(const char *subject)
{
    static const struct {
        const char *subject, *kind;
    } known[] = {
        {"archiver", KIND_ARCHIVING},
        {"archiving", KIND_ARCHIVING},
        {"archive_mode", KIND_ARCHIVING},
        {"archive_command", KIND_ARCHIVING},
        {"WAL to archive", KIND_ARCHIVING},
        {"WAL", KIND_WAL_GAP},
        {"hold", KIND_HOLD},
        {"holds", KIND_HOLD},
    };

    for (size_t i = 0; i < LENGTH(known); i++)
        if (strcmp(known[i].subject, subject) == 0)
            return known[i].kind;
    return KIND_CHECK;
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static struct check_class *class_of(struct check *k, const char *subject, const char *repo)
{
    const char *kind = kind_of(subject);
    struct check_class *c;

    if (strcmp(kind, KIND_CHECK) == 0)
        repo = NULL;
    for (size_t i = 0; i < k->n_classes; i++)
        if (strcmp(k->classes[i].kind, kind) == 0 && is_same(k->classes[i].repo, repo))
            return &k->classes[i];
    k->classes = xrealloc(k->classes, (k->n_classes + 1) * sizeof *k->classes);
    c = &k->classes[k->n_classes++];
    *c = (struct check_class){.kind = kind, .repo = xstrdup(repo)};
    return c;
}

void check_note(struct check *k, enum check_state state, const char *subject, const char *repo,
                const char *found)
{
    struct check_class *c = class_of(k, subject, repo);

    c->worst = MAX_OF(c->worst, state);
    if (state == CHECK_OK || c->n++ >= NAMED_MAX)
        return;
    buf_addf(&c->text, "%s%s", c->n > 1 ? "; " : "", subject);
    if (repo != NULL)
        buf_addf(&c->text, " (%s)", repo);
    buf_addf(&c->text, ": %s", found);
}

void check_events(struct check *k)
{
    for (size_t i = 0; i < k->n_classes; i++) {
        struct check_class *c = &k->classes[i];

        if (c->n > NAMED_MAX)
            buf_addf(&c->text, "; and %zu more", c->n - NAMED_MAX);
        event_change(k->app,
                     c->worst == CHECK_FAILED    ? LOG_ERROR
                     : c->worst == CHECK_WARNING ? LOG_WARNING
                                                 : LOG_INFO,
                     c->kind, c->repo, c->n != 0 ? c->text.p : "check finds that all is well");
    }
    event_leave_out(k->app); /* all is told */
}

void check_classes_free(struct check *k)
{
    for (size_t i = 0; i < k->n_classes; i++) {
        free(k->classes[i].repo);
        buf_free(&k->classes[i].text);
    }
    mem_free(&k->classes);
    k->n_classes = 0;
}
