/*
 * findings.c - see findings.h. The parts: what repositories hold (findings_repo.c), what the server
 * says (findings_server.c), what the catalog remembers (findings_history.c).
 */
#include "scheduler/status/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "scheduler/status/findings_form.h"

const char *finding_level_name(enum finding_level level)
{
    static const char *const names[FINDING_LEVELS] = {"ok", "warning", "failed"};

    return names[level];
}

bool finding_is_to_come(const struct collecting *c, int64_t us)
{
    return us > c->q->now_us + INT64_C(3600000000);
}

void finding_add(struct collecting *c, enum finding_level level, const char *kind, const char *repo,
                 const char *todo, const char *fmt, ...)
{
    struct findings *f = c->out;
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = xstrdup(fmt);
    va_end(args);
    for (char *p = text; *p != '\0'; p++) /* one line, whatever a server or a file says */
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    f->items = xrealloc(f->items, (f->n + 1) * sizeof *f->items);
    f->items[f->n++] = (struct finding){.level = level,
                                        .kind = kind,
                                        .cluster = c->q->cluster->name,
                                        .repo = repo,
                                        .text = text,
                                        .todo = xstrdup(todo)};
    f->counts[level]++;
}

/* Worst first; otherwise as they came. */
static void sort(struct findings *f)
{
    struct finding *sorted = xcalloc(f->n, sizeof *sorted);
    size_t n = 0;

    for (int level = FINDING_LEVELS; level-- > 0;)
        for (size_t i = 0; i < f->n; i++)
            if ((int)f->items[i].level == level)
                sorted[n++] = f->items[i];
    free(f->items);
    f->items = sorted;
}

void findings_collect(const struct findings_request *q, struct findings *out)
{
    struct collecting c = {q, out};

    findings_free(out);
    findings_of_repos(&c);
    findings_of_server(&c);
    findings_of_history(&c);
    sort(out);
}

void findings_free(struct findings *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].text);
        free(f->items[i].todo);
    }
    free(f->items);
    *f = (struct findings){0};
}
