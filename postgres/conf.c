#include "postgres/conf.h"

#include <strings.h>

void conf_quote(struct buf *out, const char *value)
{
    buf_addc(out, '\'');
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            buf_addc(out, *value);
        buf_addc(out, *value);
    }
    buf_addc(out, '\'');
}

void conf_set(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "%s = ", name);
    conf_quote(out, value);
    buf_addc(out, '\n');
}

/* What is left of the line; reading past its end gives 0. */
struct text {
    const char *p, *end;
};

static char peek(const struct text *t)
{
    return t->p < t->end ? *t->p : '\0';
}

static void blanks(struct text *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t' || *t->p == '\r'))
        t->p++;
}

/* The characters of guc-file.l, ASCII only: isalpha() would ask the locale. */
static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_name(struct text *t, struct buf *name)
{
    if (!letter(peek(t)))
        return false;
    while (letter(peek(t)) || digit(peek(t)) || peek(t) == '.' || peek(t) == '$') {
        char c = *t->p++;
        buf_addc(name, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
    return true;
}

/* Behind a backslash: \b \f \n \r \t, one to three octal digits, else the byte itself. */
static void read_escape(struct text *t, struct buf *value)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = peek(t);
    const char *at = c == '\0' ? NULL : strchr(from, c);

    if (c >= '0' && c <= '7') {
        unsigned octal = 0;
        for (int i = 0; i < 3 && peek(t) >= '0' && peek(t) <= '7'; i++)
            octal = octal * 8 + (unsigned)(*t->p++ - '0');
        buf_addc(value, (char)octal);
        return;
    }
    if (t->p < t->end)
        t->p++;
    if (at != NULL)
        buf_addc(value, to[at - from]);
    else if (c != '\0')
        buf_addc(value, c);
}

static bool read_quoted(struct text *t, struct buf *value)
{
    t->p++;
    while (t->p < t->end) {
        char c = *t->p++;
        if (c == '\'' && peek(t) != '\'')
            return true;
        if (c == '\\') {
            read_escape(t, value);
            continue;
        }
        if (c == '\'')
            t->p++;
        buf_addc(value, c);
    }
    return false;
}

static bool read_bare(struct text *t, struct buf *value)
{
    const char *start = t->p;

    while (t->p < t->end && strchr(" \t\r#'=", *t->p) == NULL)
        buf_addc(value, *t->p++);
    return t->p > start;
}

bool conf_line_parse(const char *line, size_t len, struct buf *name, struct buf *value)
{
    struct text t = {line, line + len};

    buf_clear(name);
    buf_clear(value);
    blanks(&t);
    if (!read_name(&t, name))
        return false;
    blanks(&t);
    if (peek(&t) == '=') {
        t.p++;
        blanks(&t);
    }
    if (peek(&t) == '\'' ? !read_quoted(&t, value) : !read_bare(&t, value))
        return false;
    blanks(&t);
    return t.p == t.end || *t.p == '#';
}

/* Cuts one line off the text; *len counts its newline, if it has one. */
static const char *cut_line(struct text *t, size_t *len)
{
    const char *line = t->p;
    const char *stop = memchr(line, '\n', (size_t)(t->end - line));

    t->p = stop == NULL ? t->end : stop + 1;
    *len = (size_t)(t->p - line);
    return line;
}

bool conf_find(const char *text, size_t len, const char *name, struct buf *value)
{
    AUTO(buf_free) struct buf key = BUF_INIT, found = BUF_INIT;
    struct text t = {text, text + len};
    bool set = false;

    while (t.p < t.end) {
        size_t n;
        const char *line = cut_line(&t, &n);
        if (line[n - 1] == '\n')
            n--;
        if (!conf_line_parse(line, n, &key, &found) || strcasecmp(buf_text(&key), name) != 0)
            continue;
        buf_clear(value);
        buf_add(value, found.p, found.len);
        set = true;
    }
    return set;
}

size_t conf_filter(const char *text, size_t len, bool (*drop)(const char *name, void *arg),
                   void *arg, struct buf *out)
{
    AUTO(buf_free) struct buf key = BUF_INIT, value = BUF_INIT;
    struct text t = {text, text + len};
    size_t dropped = 0;

    while (t.p < t.end) {
        size_t n;
        const char *line = cut_line(&t, &n);
        size_t bare = line[n - 1] == '\n' ? n - 1 : n;
        if (conf_line_parse(line, bare, &key, &value) && drop(buf_text(&key), arg))
            dropped++;
        else
            buf_add(out, line, n);
    }
    return dropped;
}

bool conf_is_recovery_setting(const char *name, void *unused)
{
    static const char *const names[] = {
        "restore_command",   "archive_cleanup_command",  "recovery_end_command", "primary_conninfo",
        "primary_slot_name", "recovery_min_apply_delay", "promote_trigger_file",
    };

    (void)unused;
    if (strncmp(name, "recovery_target", strlen("recovery_target")) == 0)
        return true;
    for (size_t i = 0; i < LENGTH(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}
