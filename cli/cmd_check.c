/* cmd_check.c - pgbr check [CLUSTER] - say of each part whether it works, and what to do if not. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cli/check.h"
#include "postgres/conn.h"
#include "scheduler/status/findings.h"

static const char *const state_names[CHECK_STATES] = {"ok", "warning", "failed"};

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct check *k = ctx;

    (void)err;
    if (code == 'r')
        k->only = value;
    else
        k->json = true;
    return 0;
}

/* ---- saying ---- */

static void say_text(const struct check *k, enum check_state state, const char *subject,
                     const char *repo, const char *todo, const char *found)
{
    AUTO(buf_free) struct buf line = BUF_INIT;

    if (k->terse && state == CHECK_OK)
        return;
    buf_adds(&line, subject);
    if (repo != NULL)
        buf_addf(&line, " (%s)", repo);
    printf("%-8s %-22s %s%s%s\n", state_names[state], buf_text(&line), found,
           todo != NULL ? "; " : "", todo != NULL ? todo : "");
    fflush(stdout); /* some parts take their time */
}

static void say_json(struct json *j, enum check_state state, const char *subject, const char *repo,
                     const char *todo, const char *found)
{
    json_open(j, NULL, '{');
    json_text(j, "state", state_names[state]);
    json_text(j, "subject", subject);
    json_text(j, "repo", repo);
    json_text(j, "found", found);
    json_text(j, "todo", todo);
    json_close(j, '}');
}

void check_say(struct check *k, enum check_state state, const char *subject, const char *repo,
               const char *todo, const char *fmt, ...)
{
    AUTO(mem_free) char *found = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&found, fmt, args) < 0)
        found = xstrdup(fmt);
    va_end(args);
    utf8_clean(found); /* one line, whatever a server or a file says */
    k->counts[state]++;
    check_note(k, state, subject, repo, found);
    if (k->json)
        say_json(&k->j, state, subject, repo, todo, found);
    else
        say_text(k, state, subject, repo, todo, found);
}

/* ---- space ---- */

void check_disk(struct check *k, const char *subject, const char *repo, const char *path,
                uint64_t need)
{
    static const enum check_state states[FINDING_LEVELS] = {CHECK_OK, CHECK_WARNING, CHECK_FAILED};
    enum check_state state;
    char left[24], whole[24];
    struct statvfs fs;

    if (statvfs(path, &fs) != 0) {
        check_say(k, CHECK_WARNING, subject, repo, NULL, "free space of \"%s\" is not known: %m",
                  path);
        return;
    }
    state = states[findings_space((uint64_t)fs.f_bavail * fs.f_frsize,
                                  (uint64_t)fs.f_blocks * fs.f_frsize, need)];
    check_say(k, state, subject, repo, state == CHECK_OK ? NULL : "make room, or add some",
              "%s of %s free where \"%s\" is",
              format_bytes((uint64_t)fs.f_bavail * fs.f_frsize, left),
              format_bytes((uint64_t)fs.f_blocks * fs.f_frsize, whole), path);
}

void check_room(struct check *k, const char *repo, const char *path,
                const struct backup_list *backups)
{
    char left[24], size[24];
    struct statvfs fs;
    uint64_t available;

    if (backups->n == 0 || statvfs(path, &fs) != 0)
        return;
    available = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (available < backups->items[backups->n - 1].stored_bytes)
        check_say(k, CHECK_WARNING, "disk", repo, "make room before the next backup",
                  "%s are free, the newest backup took %s", format_bytes(available, left),
                  format_bytes(backups->items[backups->n - 1].stored_bytes, size));
}

/* ---- doing ---- */

static void check_free(struct check *k)
{
    open_repos_close(&k->repos);
    check_classes_free(k);
    if (k->has_facts)
        pg_facts_free(&k->facts);
    pg_close(&k->primary);
    pg_close(&k->pg);
}

static int check_all(struct check *k, struct err *err)
{
    static void (*const parts[])(struct check *) = {check_host, check_server, check_repositories,
                                                    check_archiving, check_findings};

    for (size_t i = 0; i < LENGTH(parts); i++) {
        parts[i](k);
        TRY(stop_check(&k->app->stop, err));
    }
    return 0;
}

static void show_sum(const struct check *k)
{
    if (!k->terse)
        printf("cluster \"%s\": %u ok, %u warnings, %u failed\n", k->cluster->name,
               k->counts[CHECK_OK], k->counts[CHECK_WARNING], k->counts[CHECK_FAILED]);
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    AUTO(repo_config_free) struct repo_config known = {0};
    AUTO(buf_free) struct buf text = BUF_INIT;
    AUTO(check_free) struct check k = {.app = app};
    struct arguments args;

    TRY(app_arguments(app, argc, argv, &args, on_option, &k, err));
    TRY(app_cluster(app, args.n == 1 ? args.words[0] : NULL, &k.cluster, err));
    if (k.only != NULL)
        TRY(config_repo(app->config, k.cluster, k.only, &known, err));
    TRY(app_catch_signals(app, err));
    k.terse = app->quiet;
    json_begin(&k.j, &text, true);
    json_open(&k.j, NULL, '[');
    TRY(check_all(&k, err));
    check_events(&k);
    json_close(&k.j, ']');
    if (k.json)
        fputs(buf_text(&text), stdout);
    else
        show_sum(&k);
    if (k.counts[CHECK_FAILED] != 0)
        app->status = EXIT_FAILED;
    else if (k.counts[CHECK_WARNING] != 0)
        app->status = EXIT_WARNINGS;
    return 0;
}

static const struct option_row options[] = {
    {'r', "repo", "NAME", "of the repositories this one only"},
    {'j', "json", NULL, "show the findings as a JSON array"},
    {0},
};
const struct command command_check = {
    .name = "check",
    .run = run,
    .words = "[CLUSTER]",
    .max_words = 1,
    .event = KIND_CHECK,
    .summary = "say of each part whether it works, and what to do if not",
    .options = options,
};
