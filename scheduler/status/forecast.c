/* forecast.c - see forecast.h. */
#include "scheduler/status/forecast.h"

const struct window *forecast_last(const struct status_repo *r)
{
    const struct windows *l = &r->view.windows;
    const struct window *last = view_newest(&r->view);

    if (last != NULL)
        return last;
    for (size_t i = 0; i < l->n; i++)
        if (!l->items[i].aside && (last == NULL || l->items[i].end_us >= last->end_us))
            last = &l->items[i];
    return last;
}

void forecast_exposure(const struct status_cluster *c, const struct status_repo *r,
                       struct exposure *out)
{
    bool answers = c->server.read.read_us != 0 && c->server.read.failure == NULL;

    view_exposure(&r->view, answers ? &c->server.state : NULL, out);
}

bool forecast_rpo(const struct status_cluster *c, const struct status_repo *r, int64_t now_us,
                  int64_t *us)
{
    const struct window *w = forecast_last(r);
    struct exposure e;

    if (w == NULL)
        return false;
    forecast_exposure(c, r, &e);
    *us = e.asked && e.nothing ? 0 : MAX_OF(now_us - MAX_OF(e.commit_us, w->end_us), 0);
    return true;
}
