/* conf_walk.c - see conf_walk.h. */
#include "postgres/conf_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "postgres/conf.h"

enum {
    FILE_MAX = 16 << 20,
    DEPTH_MAX = 10,      /* of includes, as CONF_FILE_MAX_DEPTH */
    FILES_MAX = 10000,   /* each file could include all others, at each depth */
    HBA_INCLUDES_AT = 16 /* major */
};

struct walk {
    const struct conf_walk *w;
    unsigned hba; /* major version; 0: postgresql.conf */
    unsigned files;
};

static int read_file(struct walk *s, const char *path, bool must_exist, int depth, struct err *err);

static int trouble(const struct walk *s, struct err *err)
{
    if (s->w->trouble == NULL)
        return -1;
    s->w->trouble(s->w->ctx, err);
    err_clear(err);
    return 0;
}

/* ---- names ---- */

/* Without "//", "." and "..", as canonicalize_path() does: no link is looked at. */
static char *tidy(const char *path)
{
    AUTO(buf_free) struct buf out = BUF_INIT;

    for (const char *p = path; *p != '\0';) {
        size_t len = strcspn(p + 1, "/");

        if (len == 2 && p[1] == '.' && p[2] == '.') {
            while (out.len != 0 && out.p[--out.len] != '/')
                ;
        } else if (len != 0 && !(len == 1 && p[1] == '.')) {
            buf_add(&out, p, len + 1);
        }
        p += len + 1;
    }
    return out.len == 0 ? xstrdup("/") : xstrndup(out.p, out.len);
}

/* A name in a configuration file is relative to that file. */
static char *beside(const struct walk *s, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    AUTO(mem_free) char *copy = NULL;
    AUTO(mem_free) char *joined = NULL;

    if (s->w->copies != NULL && name[0] == '/')
        copy = xasprintf("%s%s", s->w->copies, name);
    if (copy != NULL && fs_exists(AT_FDCWD, copy))
        return TAKE(copy);
    if (name[0] == '/' || slash == NULL)
        joined = xstrdup(name);
    else
        joined = xasprintf("%.*s/%s", (int)(slash - path), path, name);
    return joined[0] == '/' ? tidy(joined) : TAKE(joined);
}

/* ---- directories ---- */

static int is_conf(const struct dirent *e)
{
    size_t len = strlen(e->d_name);

    return e->d_name[0] != '.' && len >= 6 && strcmp(e->d_name + len - 5, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dir(struct walk *s, const char *dir, int depth, struct err *err)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, is_conf, by_bytes), rc = 0;

    if (n < 0) {
        err_sys(err, "cannot read directory \"%s\"", dir);
        return trouble(s, err);
    }
    if (s->w->file != NULL)
        s->w->file(s->w->ctx, dir);
    for (int i = 0; i < n; i++) {
        AUTO(mem_free) char *path = xasprintf("%s/%s", dir, names[i]->d_name);
        struct stat st;

        if (rc == 0 && !(stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
            rc = read_file(s, path, true, depth, err);
        free(names[i]);
    }
    free(names);
    return rc;
}

/* ---- lines ---- */

/* An include, if the word is one. */
static int follow(struct walk *s, const char *path, const char *word, const char *value, int depth,
                  struct err *err)
{
    AUTO(mem_free) char *other = NULL;

    if (strncmp(word, "include", strlen("include")) != 0)
        return 0;
    other = beside(s, path, value);
    if (strcmp(word, "include_dir") == 0)
        return read_dir(s, other, depth + 1, err);
    if (strcmp(word, "include") == 0 || strcmp(word, "include_if_exists") == 0)
        return read_file(s, other, strcmp(word, "include") == 0, depth + 1, err);
    return 0;
}

/* One word of pg_hba.conf (next_token in hba.c): words end at blanks and commas; quotes may stand
 * anywhere in them. *bare: it does not begin with a quote. */
static bool next_word(const char **at, const char *end, struct buf *word, bool *bare)
{
    bool quoted = false;

    buf_clear(word);
    while (*at < end && strchr(" \t\r,", **at) != NULL)
        ++*at;
    if (*at == end || **at == '#')
        return false;
    *bare = **at != '"';
    for (; *at < end && (quoted || strchr(" \t\r,#", **at) == NULL); ++*at) {
        if (**at == '"')
            quoted = !quoted;
        else
            buf_addc(word, **at);
    }
    return true;
}

static int read_hba_line(struct walk *s, const char *path, const char *line, size_t len, int depth,
                         struct err *err)
{
    AUTO(buf_free) struct buf first = BUF_INIT, word = BUF_INIT;
    const char *at = line, *end = line + len;
    bool bare;

    for (unsigned n = 0; next_word(&at, end, &word, &bare); n++) {
        if (bare && word.len > 1 && word.p[0] == '@') {
            AUTO(mem_free) char *other = beside(s, path, buf_text(&word) + 1);

            TRY(read_file(s, other, true, depth + 1, err));
        }
        if (n == 0 && bare)
            buf_adds(&first, buf_text(&word));
        if (n == 1 && s->hba >= HBA_INCLUDES_AT)
            TRY(follow(s, path, buf_text(&first), buf_text(&word), depth, err));
    }
    return 0;
}

static int read_text(struct walk *s, const char *path, const struct buf *text, int depth,
                     struct err *err)
{
    AUTO(buf_free) struct buf name = BUF_INIT, value = BUF_INIT;

    for (size_t at = 0; at < text->len;) {
        const char *line = text->p + at, *end = memchr(line, '\n', text->len - at);
        size_t len = end != NULL ? (size_t)(end - line) : text->len - at;

        at += len + 1;
        if (s->hba != 0) {
            TRY(read_hba_line(s, path, line, len, depth, err));
        } else if (conf_line_parse(line, len, &name, &value)) {
            if (s->w->setting != NULL)
                s->w->setting(s->w->ctx, buf_text(&name), buf_text(&value));
            TRY(follow(s, path, buf_text(&name), buf_text(&value), depth, err));
        }
    }
    return 0;
}

/* ---- files ---- */

/* A pipe would be waited for. */
static int read_regular(const char *path, struct buf *text, struct err *err)
{
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(err, ERR_FAILED, "\"%s\" is no file", path);
    return fs_read_file(AT_FDCWD, path, FILE_MAX, text, err);
}

static int read_file(struct walk *s, const char *path, bool must_exist, int depth, struct err *err)
{
    AUTO(buf_free) struct buf text = BUF_INIT;

    if (depth > DEPTH_MAX || s->files >= FILES_MAX) {
        err_set(err, ERR_FAILED, "\"%s\" is included too %s", path,
                depth > DEPTH_MAX ? "deeply" : "often, directly or not");
        return trouble(s, err);
    }
    s->files++;
    if (read_regular(path, &text, err) != 0) {
        if (must_exist || err->code != ERR_NOT_FOUND)
            return trouble(s, err);
        err_clear(err);
        return 0;
    }
    if (s->w->file != NULL)
        s->w->file(s->w->ctx, path);
    return read_text(s, path, &text, depth, err);
}

int conf_walk(const struct conf_walk *w, const char *path, bool must_exist, struct err *err)
{
    struct walk s = {.w = w};

    return read_file(&s, path, must_exist, 0, err);
}

int conf_walk_hba(const struct conf_walk *w, unsigned major, const char *path, struct err *err)
{
    struct walk s = {.w = w, .hba = major};

    return read_file(&s, path, true, 0, err);
}
