/* cmd_hold.c - pgbr hold [CLUSTER] LABEL and pgbr unhold [CLUSTER] LABEL - keep a backup whatever
 * the policy says, and no longer. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/expiry.h"

struct wanted {
    const char *repo, *note, *until;
    int64_t until_us;
};

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    (void)err;
    if (code == 'r')
        w->repo = value;
    else if (code == 'n')
        w->note = value;
    else
        w->until = value;
    return 0;
}

static int hold_in(struct app *app, struct repo *r, const char *label, const struct wanted *w,
                   struct err *err)
{
    char when[40];

    TRY(expire_hold(r, label, w->note, w->until_us, err));
    printf("backup %s in repository \"%s\" is held%s%s\n", label, repo_name(r),
           w->until_us != 0 ? " until " : "",
           w->until_us != 0 ? clock_format_utc(w->until_us, when) : "");
    event_tell(app, LOG_INFO, NULL, "backup %s in repository \"%s\" is held%s%s", label,
               repo_name(r), w->until_us != 0 ? " until " : "",
               w->until_us != 0 ? clock_format_utc(w->until_us, when) : "");
    return 0;
}

static int unhold_in(struct app *app, struct repo *r, const char *label, const struct wanted *w,
                     struct err *err)
{
    (void)w;
    TRY(expire_unhold(r, label, err));
    printf("backup %s in repository \"%s\" is no longer held\n", label, repo_name(r));
    event_tell(app, LOG_INFO, NULL, "backup %s in repository \"%s\" is no longer held", label,
               repo_name(r));
    return 0;
}

typedef int work_fn(struct app *app, struct repo *r, const char *label, const struct wanted *w,
                    struct err *err);

/* In whichever repository it is. */
static int find_and(work_fn *work, struct app *app, const struct cluster_config *cluster,
                    const char *label, const struct wanted *w, struct err *err)
{
    struct err first = {0};

    for (size_t i = 0; i < cluster->n_repos; i++) {
        AUTO(repo_close) struct repo *r = NULL;
        struct err why = {0};

        if (w->repo != NULL && strcmp(w->repo, cluster->repos[i]) != 0)
            continue;
        if (expiry_open(app, cluster, cluster->repos[i], &r, &why) == 0 &&
            work(app, r, label, w, &why) == 0)
            return 0;
        if (first.code == ERR_NONE || first.code == ERR_NOT_FOUND)
            first = why;
    }
    *err = first;
    return -1;
}

static int read_until(struct wanted *w, struct err *err)
{
    if (w->until == NULL)
        return 0;
    if (clock_parse(w->until, NULL, &w->until_us, err) != 0) {
        err->code = ERR_USAGE;
        return err_context(err, "--until \"%.100s\"", w->until);
    }
    if (w->until_us <= clock_now_us())
        return err_set(err, ERR_USAGE, "--until \"%.100s\" has passed already", w->until);
    return 0;
}

static int run_work(work_fn *work, struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(repo_config_free) struct repo_config known = {0};
    const struct cluster_config *cluster;
    struct wanted wanted = {0};
    struct arguments args;

    TRY(app_arguments(app, argc, argv, &args, on_option, &wanted, err));
    TRY(read_until(&wanted, err));
    TRY(app_cluster(app, args.n == 2 ? args.words[0] : NULL, &cluster, err));
    if (wanted.repo != NULL)
        TRY(config_repo(app->config, cluster, wanted.repo, &known, err));
    return find_and(work, app, cluster, args.words[args.n - 1], &wanted, err);
}

static int hold(struct app *app, int argc, char **argv, struct err *err)
{
    return run_work(hold_in, app, argc, argv, err);
}

static int unhold(struct app *app, int argc, char **argv, struct err *err)
{
    return run_work(unhold_in, app, argc, argv, err);
}

static const struct option_row hold_options[] = {
    {'n', "note", "TEXT", "why, for people"},
    {'u', "until", "TIME", "the hold ends then by itself"},
    {'r', "repo", "NAME", "look in this repository only; otherwise in all"},
    {0},
};
const struct command command_hold = {
    .name = "hold",
    .run = hold,
    .words = "[CLUSTER] LABEL",
    .min_words = 1,
    .max_words = 2,
    .summary = "keep a backup whatever the retention says",
    .event = KIND_HOLD,
    .options = hold_options,
};

static const struct option_row unhold_options[] = {
    {'r', "repo", "NAME", "look in this repository only; otherwise in all"},
    {0},
};
const struct command command_unhold = {
    .name = "unhold",
    .run = unhold,
    .words = "[CLUSTER] LABEL",
    .min_words = 1,
    .max_words = 2,
    .summary = "let retention decide about a backup again",
    .event = KIND_HOLD,
    .options = unhold_options,
};
