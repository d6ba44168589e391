/* tasks.c - from the list of files to tasks for the workers, with a base or without. */
#include <stdlib.h>

#include "backup/worker.h"
#include "base/mem.h"
#include "postgres/page.h"

enum { RUN_FILES = RESULTS_BATCH, RUN_BYTES = 2 << 20 };

void copy_task_drop(void *task)
{
    struct task *t = task;

    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each task counts once, so only the last one frees
     * it */
    if (t->large != NULL && large_done(t->large))
        large_free(t->large); /* NOLINT(clang-analyzer-unix.Malloc) */
    buf_free(&t->run);
    free(t);
}

struct maker {
    struct copy *c;
    struct task *run; /* of small files, being filled */
    size_t run_bytes;
    bool open; /* the workers want more */
    struct increment_walk walk;
    struct result_streak *same; /* files that are as in the base */
};

static bool push(struct copy *c, struct task *t)
{
    if (queue_push(c->tasks, t))
        return true;
    copy_task_drop(t);
    return false;
}

static void push_large(struct maker *m, struct large *l)
{
    unsigned n = l->n_parts; /* l may be gone once its last part is pushed */

    for (unsigned i = 0; i < n; i++) {
        struct task *t = xcalloc(1, sizeof *t);

        t->large = l;
        t->part = i;
        if (m->open)
            m->open = push(m->c, t);
        else
            copy_task_drop(t);
    }
}

static void run_add(struct task *t, const struct listed *e)
{
    buf_u64(&t->run, e->number);
    buf_u64(&t->run, (uint64_t)e->mtime_s);
    buf_u32(&t->run, (uint32_t)e->size);
    buf_add(&t->run, e->path, strlen(e->path) + 1);
    t->files++;
}

static void add_whole(struct maker *m, const struct listed *e)
{
    if (e->size >= SMALL_FILE) {
        push_large(m, large_new(e->path, e->number, e->mtime_s, e->size));
        return;
    }
    if (m->run == NULL) {
        m->run = xcalloc(1, sizeof *m->run);
        m->run_bytes = 0;
    }
    run_add(m->run, e);
    m->run_bytes += e->size;
    if (m->run->files == RUN_FILES || m->run_bytes >= RUN_BYTES)
        m->open = push(m->c, TAKE(m->run));
}

/* ---- with a base ---- */

static int add_same(struct maker *m, const struct listed *e, struct err *err)
{
    struct file_result f = m->walk.result;
    struct progress *p = m->c->q->progress;

    if (f.fate == FATE_MAP)
        TRY(results_put_map(m->c->q->results, m->walk.map.p, m->walk.map.len, &f.map_at, err));
    atomic_fetch_add_explicit(&p->bytes_done, e->size, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->files_done, 1, memory_order_relaxed);
    return streak_add(m->same, e->number, &f, err);
}

static void add_mapped(struct maker *m, const struct listed *e, enum file_plan plan)
{
    const struct increment_walk *w = &m->walk;
    struct large *l = large_new(e->path, e->number, e->mtime_s, e->size);

    l->changed = w->changed;
    l->map = xmalloc(w->map.len);
    memcpy(l->map, w->map.p, w->map.len);
    l->map_len = w->map.len;
    l->picked = plan == PLAN_PAGES;
    l->base_pages = (uint32_t)(w->entry.size / PG_PAGE_SIZE);
    l->n_sets = m->c->q->increment->n_sets;
    push_large(m, l);
}

static int add(struct maker *m, const struct listed *e, struct err *err)
{
    enum file_plan plan = PLAN_WHOLE;

    if (m->c->q->increment != NULL && increment_plan(&m->walk, e, &plan, err) != 0)
        return copy_blame_base(m->c, err);
    samples_pass(&m->c->made->samples, e,
                 plan == PLAN_SAME || plan == PLAN_PAGES ? &m->walk : NULL);
    switch (plan) {
    case PLAN_SAME:
        return add_same(m, e, err);
    case PLAN_PAGES:
    case PLAN_COMPARE:
        add_mapped(m, e, plan);
        return 0;
    case PLAN_WHOLE:
        break;
    }
    add_whole(m, e);
    return 0;
}

/* ---- all of them ---- */

static int go_along(struct maker *m, struct err *err)
{
    struct list_reader list;
    struct listed e;
    int more = 1, rc = 0;

    list_begin(&list, m->c->q->list);
    while (rc == 0 && m->open && (more = list_next(&list, &e, err)) == 1)
        if (e.type == ENTRY_FILE && strcmp(e.path, "data/global/pg_control") != 0)
            rc = add(m, &e, err);
    list_end(&list);
    return more < 0 ? -1 : rc;
}

static int make_all(struct maker *m, struct err *err)
{
    TRY(go_along(m, err));
    if (m->same != NULL)
        TRY(streak_flush(m->same, err));
    if (m->run != NULL && m->open)
        push(m->c, TAKE(m->run));
    return 0;
}

int copy_make_tasks(struct copy *c, struct err *err)
{
    struct maker m = {.c = c, .open = true};
    int rc = 0;

    if (c->q->increment != NULL) {
        samples_begin(&c->made->samples, c->q->list->bytes);
        m.same = xcalloc(1, sizeof *m.same);
        m.same->results = c->q->results;
        if (increment_walk_begin(&m.walk, c->q->increment, err) != 0)
            rc = copy_blame_base(c, err);
    }
    if (rc == 0)
        rc = make_all(&m, err);
    if (m.run != NULL)
        copy_task_drop(m.run);
    increment_walk_end(&m.walk);
    free(m.same);
    if (rc == 0)
        queue_close(c->tasks);
    else
        queue_cancel(c->tasks);
    return rc;
}
