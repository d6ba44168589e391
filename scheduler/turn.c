/* turn.c - see turn.h. */
#include "scheduler/turn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "scheduler/jobs/jobs.h"
#include "scheduler/role.h"

struct turn_taker {
    const struct run_order *o;
    struct elsewhere *elsewhere;
    enum server_role role; /* of the server here, where it was asked */
};

int result_set(struct run_result *out, int status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(out->note, sizeof out->note, fmt, args);
    va_end(args);
    out->status = status;
    return -1;
}

enum turn {
    TURN_OURS,   /* this host is the one */
    TURN_SECOND, /* if nobody else is */
    TURN_NOT
};

/* -1: not certain. */
static int ask_role(struct turn_taker *t, enum turn *turn, struct run_result *out)
{
    enum config_role wanted = t->o->job->role;
    struct err err = {0};

    *turn = TURN_OURS;
    if (wanted == CONFIG_ROLE_ANY)
        return 0;
    if (role_ask(t->o->cluster, &t->role, &err) != 0)
        return result_set(out, JOB_LATER, "the role of the server here is not certain: %s",
                          err.msg);
    if (wanted == CONFIG_ROLE_PREFER_REPLICA)
        *turn = t->role == SERVER_REPLICA ? TURN_OURS : TURN_SECOND;
    else if ((wanted == CONFIG_ROLE_PRIMARY) != (t->role == SERVER_PRIMARY))
        *turn = TURN_NOT;
    return 0;
}

/* This host is not the one. After a failover it may become so, and no due time must be lost: for
 * some time it looks whether another host does it. */
static int stand_by(struct turn_taker *t, enum turn turn, struct run_result *out)
{
    int64_t until = t->o->due_us + t->o->job->role_wait_ms * 1000;
    const char *what = t->role == SERVER_PRIMARY ? "primary" : "replica";

    if (sched_now_us(t->o->clock) < until) {
        out->usual = true;
        return result_set(out, JOB_LATER,
                          "the server here is a %s; waiting whether another host does it", what);
    }
    if (turn == TURN_SECOND)
        return 0;
    return result_set(out, JOB_SETTLED, "the server here is a %s", what);
}

/* What was found out of other hosts; a repository that cannot be asked stops no job. */
static void look_elsewhere(struct turn_taker *t, bool take)
{
    struct err err = {0};

    elsewhere_end(t->elsewhere);
    if (elsewhere_look(t->elsewhere, t->o, take, &err) != 0)
        log_warning("job %s: whether another host does it is not known: %s", t->o->job->name,
                    err.msg);
}

/* Who runs it may fail, or die: only what is done is settled. */
static int heed_elsewhere(struct turn_taker *t, struct run_result *out)
{
    const struct elsewhere *e = t->elsewhere;

    if (e->state == ELSEWHERE_NOT)
        return 0;
    if (e->state == ELSEWHERE_DONE)
        return result_set(out, JOB_SETTLED, "%s", e->note);
    out->usual = true;
    return result_set(out, JOB_LATER, "%s", e->note);
}

int turn_take(const struct run_order *o, struct elsewhere *elsewhere, struct run_result *out)
{
    struct turn_taker t = {.o = o, .elsewhere = elsewhere};
    enum turn turn;

    TRY(ask_role(&t, &turn, out));
    if (strcmp(o->job->words[0], "check") == 0) /* it is of a host: each has its own */
        return turn == TURN_OURS ? 0 : stand_by(&t, turn, out);
    look_elsewhere(&t, turn == TURN_OURS);
    TRY(heed_elsewhere(&t, out));
    if (turn == TURN_OURS)
        return 0;
    TRY(stand_by(&t, turn, out));
    look_elsewhere(&t, true);
    return heed_elsewhere(&t, out);
}
