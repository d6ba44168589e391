/* setting.c - see setting.h. */
#include "postgres/setting.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/conf.h"

enum { FILE_MAX = 16 << 20, DEPTH_MAX = 10 }; /* of includes, as CONF_FILE_MAX_DEPTH */

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

static int read_conf(struct search *s, const char *path, bool must_exist, int depth,
                     struct err *err);

/* A name in a configuration file is relative to that file. */
static char *beside(const struct search *s, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    AUTO(mem_free) char *copy = NULL;

    if (s->copies != NULL && name[0] == '/')
        copy = xasprintf("%s%s", s->copies, name);
    if (copy != NULL && fs_exists(AT_FDCWD, copy))
        return TAKE(copy);
    if (name[0] == '/' || slash == NULL)
        return xstrdup(name);
    return xasprintf("%.*s/%s", (int)(slash - path), path, name);
}

/* Files end in ".conf" and do not begin with a dot. */
static int is_conf(const struct dirent *e)
{
    size_t len = strlen(e->d_name);

    return e->d_name[0] != '.' && len >= 6 && strcmp(e->d_name + len - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_conf_dir(struct search *s, const char *dir, int depth, struct err *err)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, is_conf, by_bytes), rc = 0;

    if (n < 0)
        return err_sys(err, "cannot read directory \"%s\"", dir);
    for (int i = 0; i < n; i++) {
        AUTO(mem_free) char *path = xasprintf("%s/%s", dir, names[i]->d_name);

        if (rc == 0)
            rc = read_conf(s, path, true, depth, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

static int read_line(struct search *s, const char *path, const char *name, const char *value,
                     int depth, struct err *err)
{
    AUTO(mem_free) char *other = NULL;

    if (strcmp(name, s->name) == 0)
        found(s, value);
    if (strncmp(name, "include", strlen("include")) != 0)
        return 0;
    other = beside(s, path, value);
    if (strcmp(name, "include_dir") == 0)
        return read_conf_dir(s, other, depth + 1, err);
    if (strcmp(name, "include") == 0 || strcmp(name, "include_if_exists") == 0)
        return read_conf(s, other, strcmp(name, "include") == 0, depth + 1, err);
    return 0;
}

static int read_conf(struct search *s, const char *path, bool must_exist, int depth,
                     struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT, name = BUF_INIT, value = BUF_INIT;

    if (depth > DEPTH_MAX)
        return err_set(err, ERR_FAILED, "\"%s\" is included too deeply", path);
    if (fs_read_file(AT_FDCWD, path, FILE_MAX, &text, err) != 0) {
        if (must_exist || err->code != ERR_NOT_FOUND)
            return -1;
        err_clear(err);
        return 0;
    }
    for (size_t at = 0; at < text.len;) {
        const char *line = text.p + at, *end = memchr(line, '\n', text.len - at);
        size_t len = end != NULL ? (size_t)(end - line) : text.len - at;

        at += len + 1;
        if (conf_line_parse(line, len, &name, &value))
            TRY(read_line(s, path, buf_text(&name), buf_text(&value), depth, err));
    }
    return 0;
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
    TRY(read_conf(&s, conf, true, 0, err));
    TRY(read_conf(&s, auto_conf, false, 0, err));
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
    TRY(read_conf(&s, conf, true, 0, err));
    TRY(read_conf(&s, auto_conf, false, 0, err));
    read_options(&s, buf_text(&options));
    *set = s.set;
    return 0;
}
