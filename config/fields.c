/* fields.c - see fields.h. */
#include "config/fields.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/suggest.h"
#include "config/units.h"
#include "repo/object/names.h"

int fail_here(const struct node *n, struct err *err, const char *fmt, ...)
{
    char msg[sizeof err->msg];
    va_list args;

    va_start(args, fmt);
    vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    if (n == NULL)
        return err_set(err, ERR_CONFIG, "%s", msg);
    return err_set(err, ERR_CONFIG, "line %u, column %u: %s", n->line, n->column, msg);
}

struct config_place place_of(const struct node *n)
{
    return (struct config_place){n->line, n->column};
}

void note_add(struct config *c, bool warning, const char *fmt, ...)
{
    AUTO(mem_free) char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL; /* no memory for a note: the next allocation says so */
    va_end(args);
    c->notes = array_grow(c->notes, c->n_notes, sizeof *c->notes);
    c->notes[c->n_notes++] = (struct config_note){warning, TAKE(text)};
}

void secret_free(char **text)
{
    if (*text != NULL)
        mem_wipe(*text, strlen(*text));
    mem_free(text);
}

void *array_grow(void *array, size_t n, size_t size)
{
    char *p = array;

    if ((n & (n - 1)) == 0) /* room is the next power of two */
        p = xrealloc(p, (n == 0 ? 1 : 2 * n) * size);
    memset(p + n * size, 0, size);
    return p;
}

/* Formatting only: want_…() without the position, for a value whose key is known. */
static int check_scalar(const struct node *n, const char *what, struct err *err)
{
    char tag[80];

    if (n->tag != NULL)
        return fail_here(n, err, "%s has the tag \"%s\", which pgbr cannot read", what,
                         units_printable(n->tag, tag));
    if (n->kind != NODE_SCALAR)
        return fail_here(n, err, "%s must be text, not %s", what, node_kind_name(n));
    if (node_is_null(n) || n->text[0] == '\0')
        return fail_here(n, err, "%s is empty", what);
    return 0;
}

int want_text(const struct node *n, const char *what, struct err *err)
{
    TRY(check_scalar(n, what, err));
    for (const char *p = n->text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return fail_here(n, err, "%s contains a control character", what);
    return 0;
}

int want_map(const struct node *n, const char *what, struct err *err)
{
    if (n->kind == NODE_MAP && n->tag == NULL)
        return 0;
    return fail_here(n, err, "%s must be a map of keys and values, not %s", what,
                     n->tag != NULL ? "something with a tag" : node_kind_name(n));
}

int want_name(const struct node *n, const char *what, struct err *err)
{
    char shown[80];

    TRY(want_text(n, what, err));
    if (!cluster_name_valid(n->text))
        return fail_here(n, err,
                         "\"%s\" cannot be %s: 1 to %d letters, digits, \"_\" or \"-\", and not "
                         "\"keys\"",
                         units_printable(n->text, shown), what, CONFIG_NAME_MAX);
    return 0;
}

static int out_of_range(const struct node *n, const struct field *f, const char *min,
                        const char *max, struct err *err)
{
    char shown[80];

    return fail_here(n, err, "\"%s\" is outside of %s to %s for \"%s\"",
                     units_printable(n->text, shown), min, max, f->key);
}

/* What units_…() said, with the place and the key in front. */
static int bad_value(const struct node *n, const struct field *f, struct err *err)
{
    return fail_here(n, err, "\"%s\": %s", f->key, err->msg);
}

static int read_number(const struct node *n, const struct field *f, int64_t *out, struct err *err)
{
    char min[32], max[32];

    if (units_number(n->text, out, err) != 0)
        return bad_value(n, f, err);
    if (*out >= f->min && *out <= f->max)
        return 0;
    snprintf(min, sizeof min, "%" PRId64, f->min);
    snprintf(max, sizeof max, "%" PRId64, f->max);
    return out_of_range(n, f, min, max, err);
}

static int read_size(const struct node *n, const struct field *f, uint64_t *out, struct err *err)
{
    char min[32], max[32];

    if (units_size(n->text, out, err) != 0)
        return bad_value(n, f, err);
    if (*out >= (uint64_t)f->min && *out <= (uint64_t)f->max)
        return 0;
    return out_of_range(n, f, units_format_size((uint64_t)f->min, min),
                        units_format_size((uint64_t)f->max, max), err);
}

static int read_duration(const struct node *n, const struct field *f, int64_t *ms, struct err *err)
{
    char min[32], max[32];

    if (units_duration(n->text, ms, err) != 0)
        return bad_value(n, f, err);
    if (f->kind == FIELD_SECONDS && *ms % 1000 != 0)
        return fail_here(n, err, "\"%s\" must be whole seconds", f->key);
    if (*ms >= f->min && *ms <= f->max)
        return 0;
    return out_of_range(n, f, units_format_duration(f->min, min),
                        units_format_duration(f->max, max), err);
}

static int read_choice(const struct node *n, const struct field *f, int *out, struct err *err)
{
    AUTO(buf_free) struct buf known = BUF_INIT;
    char shown[80];

    for (const struct choice *c = f->choices; c->name != NULL; c++) {
        if (strcmp(c->name, n->text) == 0) {
            *out = c->value;
            return 0;
        }
        buf_addf(&known, "%s\"%s\"", known.len == 0 ? "" : " or ", c->name);
    }
    return fail_here(n, err, "\"%s\" must be %s, not \"%s\"", f->key, buf_text(&known),
                     units_printable(n->text, shown));
}

static bool has_password(const char *conninfo)
{
    return strstr(conninfo, "password") != NULL ||
           (strstr(conninfo, "://") != NULL && strchr(conninfo, '@') != NULL);
}

static int read_text(struct config *c, const struct node *n, const struct field *f, char **out,
                     struct err *err)
{
    if (f->kind == FIELD_PATH && n->text[0] != '/')
        return fail_here(n, err, "\"%s\" must be an absolute path (beginning with \"/\")", f->key);
    if (f->kind == FIELD_SECRET || (f->kind == FIELD_CONNINFO && has_password(n->text)))
        c->has_secret = true;
    secret_free(out); /* a default */
    *out = xstrdup(n->text);
    return 0;
}

static int read_note(struct config *c, const struct node *n, const struct field *f,
                     const char *where, struct err *err)
{
    uint64_t size;
    bool on;

    if (f->kind == FIELD_NOTE_BOOL ? units_bool(n->text, &on, err) != 0
                                   : units_size(n->text, &size, err) != 0)
        return bad_value(n, f, err);
    note_add(c, false, "line %u: \"%s\" in %s changes nothing: %s", n->line, f->key, where,
             f->note);
    return 0;
}

static int read_value(struct config *c, const struct node *n, const struct field *f,
                      const char *where, char *at, struct err *err)
{
    int64_t number;

    switch (f->kind) {
    case FIELD_BOOL:
        return units_bool(n->text, (bool *)(void *)at, err) == 0 ? 0 : bad_value(n, f, err);
    case FIELD_INT:
        TRY(read_number(n, f, &number, err));
        *(int *)(void *)at = (int)number;
        return 0;
    case FIELD_UNSIGNED:
        TRY(read_number(n, f, &number, err));
        *(unsigned *)(void *)at = (unsigned)number;
        return 0;
    case FIELD_SIZE:
        return read_size(n, f, (uint64_t *)(void *)at, err);
    case FIELD_MS:
        return read_duration(n, f, (int64_t *)(void *)at, err);
    case FIELD_SECONDS:
        TRY(read_duration(n, f, &number, err));
        *(unsigned *)(void *)at = (unsigned)(number / 1000);
        return 0;
    case FIELD_CHOICE: /* gcc and clang give an enum of small positive values the size of int */
        return read_choice(n, f, (int *)(void *)at, err);
    case FIELD_NOTE_BOOL:
    case FIELD_NOTE_SIZE:
        return read_note(c, n, f, where, err);
    default:
        return read_text(c, n, f, (char **)(void *)at, err);
    }
}

static int unknown_key(const struct node *key, const char *where, const struct field *fields,
                       size_t n, struct err *err)
{
    struct suggestion s = suggest_for(key->text);
    char shown[80], hint[112];

    for (size_t i = 0; i < n; i++)
        suggest_offer(&s, fields[i].key);
    return fail_here(key, err, "unknown key \"%s\" in %s%s", units_printable(key->text, shown),
                     where, suggest_text(&s, hint));
}

static const struct field *find_field(const struct field *fields, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(fields[i].key, key) == 0)
            return &fields[i];
    return NULL;
}

int fields_read(struct config *c, const struct node *map, const char *where,
                const struct field *fields, size_t n, void *out, struct err *err)
{
    char what[96];

    TRY(want_map(map, where, err));
    for (const struct node_entry *e = map->first; e != NULL; e = e->next) {
        const struct field *f = find_field(fields, n, e->key->text);

        if (f == NULL)
            return unknown_key(e->key, where, fields, n, err);
        if (f->kind == FIELD_ELSEWHERE)
            continue;
        snprintf(what, sizeof what, "\"%s\"", f->key);
        if (f->kind == FIELD_SECRET)
            TRY(check_scalar(e->value, what, err));
        else
            TRY(want_text(e->value, what, err));
        TRY(read_value(c, e->value, f, where, (char *)out + f->at, err));
    }
    return 0;
}
