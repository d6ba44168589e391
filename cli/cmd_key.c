/* cmd_key.c - pgbr key list|add|remove|sheet [CLUSTER] - the ways into an encrypted repository. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "cli/keys.h"
#include "cli/new_secret.h"
#include "repo/object/key_text.h"

enum { SHEET_MAX = 64 << 10 };

struct wanted {
    const char *repo, *slot, *sheet;
    struct new_secret secret;
    bool force, with_key, json;
    char used[16]; /* letters of the options given */
    size_t n_used;
};

static int on_option(void *ctx, int code, const char *value, struct err *err)
{
    struct wanted *w = ctx;

    (void)err;
    if (strchr(w->used, code) == NULL)
        w->used[w->n_used++] = (char)code;
    switch (code) {
    case 'r':
        w->repo = value;
        break;
    case 's':
        w->slot = value;
        break;
    case 'p':
        w->secret.pass_file = value;
        break;
    case 'k':
        w->secret.key_file = value;
        break;
    case 'g':
        w->secret.generate = value;
        break;
    case 'S':
        w->sheet = value;
        break;
    case 'w':
        w->with_key = true;
        break;
    case 'f':
        w->force = true;
        break;
    default:
        w->json = true;
    }
    return 0;
}

/* ---- list ---- */

static int show_all(struct app *app, const struct cluster_config *cluster, const struct wanted *w,
                    struct json *j, struct err *err)
{
    bool known = false;

    for (size_t i = 0; i < cluster->n_repos; i++) {
        AUTO(keyed_repo_free) struct keyed_repo k = {0};

        if (w->repo != NULL && strcmp(w->repo, cluster->repos[i]) != 0)
            continue;
        known = true;
        TRY(keyed_repo_open(app, cluster, cluster->repos[i], &k, err));
        if (!keys_are_well(&k))
            app->status = EXIT_WARNINGS;
        if (w->json)
            keys_json(j, &k);
        else
            keys_show(&k);
    }
    return known ? 0
                 : err_set(err, ERR_USAGE, "cluster \"%s\" has no repository \"%.100s\"",
                           cluster->name, w->repo);
}

static int list(struct app *app, const struct cluster_config *cluster, struct wanted *w,
                struct err *err)
{
    AUTO(buf_free) struct buf out = BUF_INIT;
    struct json j;

    json_begin(&j, &out, true);
    json_open(&j, NULL, '[');
    TRY(show_all(app, cluster, w, &j, err));
    json_close(&j, ']');
    if (w->json)
        puts(buf_text(&out));
    event_leave_out(app);
    return 0;
}

/* ---- the repository to change ---- */

/* A secret that is replaced in one repository and forgotten in another is worse than a question. */
static int choose_repo(struct app *app, const struct cluster_config *cluster, struct wanted *w,
                       struct err *err)
{
    AUTO(buf_free) struct buf names = BUF_INIT;
    const char *found = NULL;
    size_t n = 0;

    for (size_t i = 0; i < cluster->n_repos && w->repo == NULL; i++) {
        AUTO(repo_config_free) struct repo_config conf = {0};

        TRY(config_repo(app->config, cluster, cluster->repos[i], &conf, err));
        if (conf.cipher_type == CONFIG_CIPHER_NONE)
            continue;
        buf_addf(&names, "%s\"%s\"", n++ == 0 ? "" : ", ", conf.name);
        found = cluster->repos[i];
    }
    if (n > 1)
        return err_set(err, ERR_USAGE,
                       "cluster \"%s\" has several encrypted repositories, each with keys of its "
                       "own: say --repo (%s)",
                       cluster->name, buf_text(&names));
    if (w->repo == NULL)
        w->repo = found; /* none: the default one, of which little can be done */
    return 0;
}

/* ---- add ---- */

static int read_sheet(const char *path, struct repo_key *key, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;
    int result;

    buf_reserve(&text, SHEET_MAX); /* never moved while it grows */
    result =
        fs_read_file(AT_FDCWD, strcmp(path, "-") == 0 ? "/dev/stdin" : path, SHEET_MAX, &text, err);
    if (result == 0)
        result = key_text_parse(text.p, text.len, key, err);
    mem_wipe(text.p, text.cap);
    return result == 0 ? 0 : err_context(err, "sheet \"%s\"", path);
}

/* With a sheet, the new slot is for what the configuration has, unless told otherwise: that is what
 * somebody wants who has lost everything else. */
static int find_new_secret(const struct keyed_repo *k, struct wanted *w, struct err *err)
{
    if (w->sheet == NULL || new_secret_is_told(&w->secret))
        return new_secret_get(&w->secret, err);
    if (k->no_secret.code != ERR_NONE) {
        *err = k->no_secret;
        return -1;
    }
    w->secret.secret = k->secret;
    w->secret.from = xstrdup(k->secret.key_file != NULL ? "the key file of the configuration"
                                                        : "the passphrase of the configuration");
    return 0;
}

static int get_key(struct app *app, const struct keyed_repo *k, const struct wanted *w,
                   struct repo_key *key, struct err *err)
{
    AUTO(repo_close) struct repo *repo = NULL;

    if (w->sheet != NULL)
        return read_sheet(w->sheet, key, err);
    /* By the state file where there is one: it may be the last thing that knows the key. */
    TRY(config_open_repo(app->config, k->cluster, k->conf.name, REPO_OPEN_QUICK, &repo, err));
    if (repo_key(repo) != NULL)
        *key = *repo_key(repo);
    return 0;
}

static int must_be_encrypted(const struct keyed_repo *k, struct err *err)
{
    if (repo_encrypted(k->repo))
        return 0;
    return err_set(err, ERR_FAILED, "repository \"%s\" is not encrypted: it has no keys",
                   k->conf.name);
}

static int add(struct app *app, const struct cluster_config *cluster, struct wanted *w,
               struct err *err)
{
    AUTO(keyed_repo_free) struct keyed_repo k = {0};
    AUTO(repo_key_wipe) struct repo_key key = {0};
    uint32_t number;

    TRY(choose_repo(app, cluster, w, err));
    TRY(keyed_repo_open(app, cluster, w->repo, &k, err));
    TRY(must_be_encrypted(&k, err));
    TRY(get_key(app, &k, w, &key, err));
    TRY(find_new_secret(&k, w, err));
    if (key_slot_add(k.repo, &key, &w->secret.secret, &number, err) != 0) {
        if (w->secret.generate != NULL)
            err_context(err, "key file \"%s\" was made, but opens nothing yet", w->secret.generate);
        return err_context(err, "repository \"%s\"", k.conf.name);
    }
    printf("key slot %08x of repository \"%s\": %s opens it, which was tried\n", number,
           k.conf.name, w->secret.from);
    event_tell(app, LOG_INFO, NULL, "key slot %08x of repository \"%s\" was added", number,
               k.conf.name);
    return 0;
}

/* ---- remove ---- */

static int parse_slot(const char *text, uint32_t *number, struct err *err)
{
    char *end = NULL;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 16);
    if (errno != 0 || strspn(text, "0123456789abcdefABCDEF") == 0 || *end != '\0' ||
        value > UINT32_MAX)
        return err_set(err, ERR_USAGE,
                       "--slot must be the number of a slot as \"pgbr key list\" shows it, not "
                       "\"%.32s\"",
                       text);
    *number = (uint32_t)value;
    return 0;
}

static int take_away(struct app *app, const struct cluster_config *cluster, struct wanted *w,
                     struct err *err)
{
    AUTO(keyed_repo_free) struct keyed_repo k = {0};
    uint32_t number = 0;

    if (w->slot == NULL)
        return err_set(err, ERR_USAGE,
                       "which one? Say --slot; \"pgbr key list\" shows what there is");
    TRY(parse_slot(w->slot, &number, err));
    TRY(choose_repo(app, cluster, w, err));
    TRY(keyed_repo_open(app, cluster, w->repo, &k, err));
    TRY(must_be_encrypted(&k, err));
    if (!w->force && k.no_secret.code != ERR_NONE) {
        *err = k.no_secret;
        return err_context(err, "it cannot be told which slot the configuration uses (--force)");
    }
    if (key_slot_remove(k.repo, number, w->force ? NULL : &k.secret, err) != 0)
        return err_context(err, "repository \"%s\"%s", k.conf.name,
                           err->code == ERR_KEY ? " (--force removes it all the same)" : "");
    printf("key slot %08x of repository \"%s\" is removed; hosts that still have its secret in "
           "their configuration fail when they open the repository anew\n",
           number, k.conf.name);
    event_tell(app, LOG_INFO, NULL, "key slot %08x of repository \"%s\" was removed", number,
               k.conf.name);
    return 0;
}

/* ---- sheet ---- */

static int sheet(struct app *app, const struct cluster_config *cluster, struct wanted *w,
                 struct err *err)
{
    AUTO(keyed_repo_free) struct keyed_repo k = {0};
    AUTO(repo_key_wipe) struct repo_key key = {0};
    AUTO(buf_free) struct buf out = BUF_INIT;

    buf_reserve(&out, SHEET_MAX); /* the key is not left behind by growing */
    TRY(choose_repo(app, cluster, w, err));
    TRY(keyed_repo_open(app, cluster, w->repo, &k, err));
    if (w->with_key) {
        TRY(must_be_encrypted(&k, err));
        TRY(get_key(app, &k, w, &key, err));
    }
    TRY(key_sheet(app, &k, w->with_key ? &key : NULL, &out, err));
    fputs(buf_text(&out), stdout);
    mem_wipe(out.p, out.cap);
    event_tell(app, LOG_INFO, NULL, "a recovery sheet of repository \"%s\" was made, %s the key",
               k.conf.name, w->with_key ? "with" : "without");
    return 0;
}

/* ---- the command ---- */

static const struct action {
    const char *name;
    int (*run)(struct app *app, const struct cluster_config *cluster, struct wanted *w,
               struct err *err);
    const char *options; /* the letters of those it takes */
} actions[] = {
    {"list", list, "rj"},
    {"add", add, "rpkgS"},
    {"remove", take_away, "rsf"},
    {"sheet", sheet, "rw"},
};

static const struct action *find_action(const char *name, struct err *err)
{
    for (size_t i = 0; i < LENGTH(actions); i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    err_set(err, ERR_USAGE,
            "\"key %.100s\" is unknown: usage is \"pgbr key list|add|remove|sheet [CLUSTER]\"",
            name);
    return NULL;
}

static int check_options(const struct command *command, const struct action *action,
                         const struct wanted *w, struct err *err)
{
    const char *odd = w->used + strspn(w->used, action->options);
    const struct new_secret *n = &w->secret;

    for (const struct option_row *o = command->options; *odd != '\0' && o->name != NULL; o++)
        if (o->code == *odd)
            return err_set(err, ERR_USAGE,
                           "\"key %s\" has no option \"--%s\"; \"pgbr help key\" tells more",
                           action->name, o->name);
    if ((n->pass_file != NULL) + (n->key_file != NULL) + (n->generate != NULL) > 1)
        return err_set(err, ERR_USAGE,
                       "a slot has one secret: --pass-file, --key-file or "
                       "--generate, not several");
    return 0;
}

static int run(struct app *app, int argc, char **argv, struct err *err)
{
    const struct cluster_config *cluster;
    const struct action *action;
    struct wanted w = {0};
    struct arguments args;
    int result;

    TRY(app_arguments(app, argc, argv, &args, on_option, &w, err));
    action = find_action(args.words[0], err);
    if (action == NULL)
        return -1;
    TRY(check_options(app->command, action, &w, err));
    TRY(app_cluster(app, args.n == 2 ? args.words[1] : NULL, &cluster, err));
    result = action->run(app, cluster, &w, err);
    new_secret_free(&w.secret);
    return result;
}

static const struct option_row options[] = {
    {'r', "repo", "NAME", "of this repository; list: otherwise of all"},
    {'p', "pass-file", "FILE", "add: the new slot is opened by the passphrase in this file"},
    {'k', "key-file", "FILE", "add: by this key file, of at least 32 random bytes"},
    {'g', "generate", "FILE", "add: by a key file that is made now, mode 0400"},
    {'S', "from-sheet", "FILE",
     "add: the repository's key is on this recovery sheet (- for standard input); the new slot is "
     "for the secret of the configuration unless told otherwise"},
    {'s', "slot", "NUMBER", "remove: this one"},
    {'f', "force", NULL, "remove: even the one that the configuration opens"},
    {'w', "with-key", NULL, "sheet: with the repository's key itself, which no slot can revoke"},
    {'j', "json", NULL, "list: as JSON"},
    {0},
};
const struct command command_key = {
    .name = "key",
    .run = run,
    .words = "list|add|remove|sheet [CLUSTER]",
    .min_words = 1,
    .max_words = 2,
    .event = KIND_KEY,
    .summary = "passphrases and key files that open a repository; a recovery sheet",
    .options = options,
};
