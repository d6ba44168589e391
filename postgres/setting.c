/* setting.c - see setting.h. */
#include "postgres/setting.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/conf_walk.h"

enum { FILE_MAX = 16 << 20 };

struct search {
    const char *name;
    struct buf *value;
    bool set;
    const char *copies; /* directory with copies of absolute includes; or NULL */
};

static void found(struct search *s, const char *value)
{
    buf_clear(s->value);
    buf_adds(s->value, value);
    s->set = true;
}

/* ---- files ---- */

static void take_line(void *ctx, const char *name, const char *value)
{
    struct search *s = ctx;

    if (strcmp(name, s->name) == 0)
        found(s, value);
}

static int read_conf(struct search *s, const char *path, bool must_exist, struct err *err)
{
    struct conf_walk w = {.ctx = s, .copies = s->copies, .setting = take_line};

    return conf_walk(&w, path, must_exist, err);
}

/* ---- the command line ---- */

/* The words behind the program's name, each in double quotes that nothing escapes (CreateOptsFile
 * in postmaster.c): a word ends at a quote before a blank or the end. The words are cut in place;
 * *at is NULL when there are no more. */
static char *next_word(char **at)
{
    char *word = *at != NULL ? strchr(*at, '"') : NULL, *end;

    *at = NULL;
    if (word == NULL)
        return NULL;
    end = ++word;
    while ((end = strchr(end, '"')) != NULL && end[1] != ' ' && end[1] != '\n' && end[1] != '\0')
        end++;
    if (end == NULL)
        return NULL;
    *at = end + 1;
    *end = '\0';
    return word;
}

/* "name=value"; a dash in the name counts as an underscore. */
static void take_option(struct search *s, char *option)
{
    char *equals = strchr(option, '=');

    if (equals == NULL)
        return;
    *equals = '\0';
    for (char *p = option; *p != '\0'; p++)
        *p = *p == '-' ? '_' : *p;
    if (strcasecmp(option, s->name) == 0)
        found(s, equals + 1);
}

static void read_options(struct search *s, const char *options)
{
    AUTO(mem_free) char *text = xstrdup(options);
    char *at = text, *word;

    while ((word = next_word(&at)) != NULL) {
        if (strcmp(word, "-c") == 0 && (word = next_word(&at)) != NULL)
            take_option(s, word);
        else if (word != NULL && strncmp(word, "-c", 2) == 0)
            take_option(s, word + 2);
        else if (word != NULL && strncmp(word, "--", 2) == 0)
            take_option(s, word + 2);
        else if (word != NULL && strcmp(s->name, "config_file") == 0 && strcmp(word, "-D") == 0 &&
                 !s->set && (word = next_word(&at)) != NULL && word[0] == '/')
            buf_addf(s->value, "%s/postgresql.conf", word); /* unless given too */
    }
}

/* Where postgresql.conf is: Debian keeps it elsewhere, and says so on the command line. */
static char *main_file(const char *data_dir, const char *options)
{
    AUTO(buf_free) struct buf value = BUF_INIT;
    struct search s = {"config_file", &value, false, NULL};

    read_options(&s, options);
    if (value.len == 0)
        return xasprintf("%s/postgresql.conf", data_dir);
    if (value.p[0] != '/')
        return xasprintf("%s/%s", data_dir, value.p);
    return buf_steal(&value);
}

int setting_in_files(const char *conf, const char *auto_conf, const char *copies, const char *name,
                     struct buf *value, bool *set, struct err *err)
{
    struct search s = {name, value, false, copies};

    buf_clear(value);
    TRY(read_conf(&s, conf, true, err));
    TRY(read_conf(&s, auto_conf, false, err));
    *set = s.set;
    return 0;
}

int setting_find(const char *data_dir, const char *name, struct buf *value, bool *set,
                 struct err *err)
{
    AUTO(buf_free) struct buf options = BUF_INIT;
    AUTO(mem_free) char *opts = xasprintf("%s/postmaster.opts", data_dir);
    AUTO(mem_free) char *auto_conf = xasprintf("%s/postgresql.auto.conf", data_dir);
    AUTO(mem_free) char *conf = NULL;
    struct search s = {name, value, false, NULL};

    buf_clear(value);
    if (fs_read_file(AT_FDCWD, opts, FILE_MAX, &options, err) != 0) {
        if (err->code != ERR_NOT_FOUND)
            return -1;
        err_clear(err);
    }
    conf = main_file(data_dir, buf_text(&options));
    TRY(read_conf(&s, conf, true, err));
    TRY(read_conf(&s, auto_conf, false, err));
    read_options(&s, buf_text(&options));
    *set = s.set;
    return 0;
}
