/*
 * info.c - the private facts of a backup, as bytes. Tags (docs/format.md, "INFO"); lists begin with
 * uv count.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "repo/manifest/manifest_form.h"
#include "repo/object/fields.h"

enum info_tag {
    INFO_BACKUP_LABEL = 1,
    INFO_SETTINGS = 2, /* name, value */
    INFO_TABLESPACE_MAP = 3,
    INFO_ERRORS = 4,      /* path, uv block */
    INFO_TABLESPACES = 5, /* uv OID, location */
    INFO_MIN_RECOVERY = 6,
    INFO_CHECKSUMS = 7,
    INFO_CATALOG_VERSION = 9,
    INFO_ATTRIBUTES = 11, /* uv mode, user, group */
};
enum { LABEL_BYTES_MAX = 1 << 20, LIST_TEXT_MAX = 1 << 16 };
enum { ATTRIBUTES_MAX = 1 << 16, SETTINGS_MAX = 10000, ERRORS_MAX = 10000 };
enum { TABLESPACES_MAX = 1 << 20 };

/* ---- attributes ---- */

void attributes_free(struct attributes *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        free(a->items[i].user);
        free(a->items[i].group);
    }
    free(a->items);
    *a = (struct attributes){0};
}

static bool same(const struct attribute *a, uint32_t mode, const char *user, const char *group)
{
    return a->mode == mode && strcmp(a->user, user) == 0 && strcmp(a->group, group) == 0;
}

uint32_t attributes_index(struct attributes *a, uint32_t mode, const char *user, const char *group)
{
    if (a->n != 0 && same(&a->items[a->last], mode, user, group))
        return a->last;
    for (a->last = 0; a->last < a->n; a->last++)
        if (same(&a->items[a->last], mode, user, group))
            return a->last;
    a->items = xrealloc(a->items, (a->n + 1) * sizeof *a->items);
    a->items[a->n] = (struct attribute){mode, xstrdup(user), xstrdup(group)};
    return a->n++;
}

/* ---- the struct ---- */

void backup_info_setting(struct backup_info *i, const char *name, const char *value)
{
    i->settings = xrealloc(i->settings, (i->n_settings + 1) * sizeof *i->settings);
    i->settings[i->n_settings++] =
        (struct setting){xstrdup(name), xstrdup(value != NULL ? value : "")};
}

const char *backup_info_get(const struct backup_info *i, const char *name)
{
    for (uint32_t k = 0; k < i->n_settings; k++)
        if (strcmp(i->settings[k].name, name) == 0)
            return i->settings[k].value;
    return NULL;
}

void backup_info_free(struct backup_info *i)
{
    buf_free(&i->backup_label);
    buf_free(&i->tablespace_map);
    for (uint32_t k = 0; k < i->n_tablespaces; k++)
        free(i->tablespaces[k].location);
    for (uint32_t k = 0; k < i->n_settings; k++) {
        free(i->settings[k].name);
        free(i->settings[k].value);
    }
    for (uint32_t k = 0; k < i->n_errors; k++)
        free(i->errors[k].path);
    free(i->tablespaces);
    free(i->settings);
    free(i->errors);
    *i = (struct backup_info){0};
}

/* ---- writing ---- */

static void add_text(struct buf *b, const char *text)
{
    buf_blob(b, text, strlen(text));
}

static void write_lists(const struct backup_info *i, struct buf *settings, struct buf *errors,
                        struct buf *tablespaces)
{
    buf_uv(settings, i->n_settings);
    for (uint32_t k = 0; k < i->n_settings; k++) {
        add_text(settings, i->settings[k].name);
        add_text(settings, i->settings[k].value);
    }
    buf_uv(errors, i->n_errors);
    for (uint32_t k = 0; k < i->n_errors; k++) {
        add_text(errors, i->errors[k].path);
        buf_uv(errors, i->errors[k].block);
    }
    buf_uv(tablespaces, i->n_tablespaces);
    for (uint32_t k = 0; k < i->n_tablespaces; k++) {
        buf_uv(tablespaces, i->tablespaces[k].oid);
        add_text(tablespaces, i->tablespaces[k].location);
    }
}

static void write_attributes(const struct attributes *a, struct buf *out)
{
    buf_uv(out, a->n);
    for (uint32_t k = 0; k < a->n; k++) {
        buf_uv(out, a->items[k].mode);
        add_text(out, a->items[k].user);
        add_text(out, a->items[k].group);
    }
}

void backup_info_write(const struct backup_info *i, const struct attributes *a, struct buf *out)
{
    AUTO(buf_free) struct buf settings = BUF_INIT;
    AUTO(buf_free) struct buf errors = BUF_INIT;
    AUTO(buf_free) struct buf tablespaces = BUF_INIT;
    AUTO(buf_free) struct buf attributes = BUF_INIT;

    write_lists(i, &settings, &errors, &tablespaces);
    write_attributes(a, &attributes);
    field_bytes(out, INFO_BACKUP_LABEL, i->backup_label.p, i->backup_label.len);
    field_bytes(out, INFO_SETTINGS, settings.p, settings.len);
    field_bytes(out, INFO_TABLESPACE_MAP, i->tablespace_map.p, i->tablespace_map.len);
    field_bytes(out, INFO_ERRORS, errors.p, errors.len);
    field_bytes(out, INFO_TABLESPACES, tablespaces.p, tablespaces.len);
    field_u64(out, INFO_MIN_RECOVERY, i->min_recovery_lsn);
    field_uv(out, INFO_CHECKSUMS, i->checksums);
    field_uv(out, INFO_CATALOG_VERSION, i->catalog_version);
    field_bytes(out, INFO_ATTRIBUTES, attributes.p, attributes.len);
}

/* ---- reading ---- */

static int bad(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "facts of a manifest: %s", what);
}

static int take_settings(struct cursor *c, struct backup_info *i, struct err *err)
{
    uint64_t n = cur_uv_max(c, MIN_OF((size_t)SETTINGS_MAX, cur_left(c) / 2));

    for (uint64_t k = 0; k < n; k++) {
        AUTO(mem_free) char *name = cur_text(c, LIST_TEXT_MAX);
        AUTO(mem_free) char *value = cur_text(c, LIST_TEXT_MAX);

        if (name == NULL || value == NULL)
            return bad(err, "malformed settings");
        backup_info_setting(i, name, value);
    }
    return cur_done(c) ? 0 : bad(err, "malformed settings");
}

static int take_errors(struct cursor *c, struct backup_info *i, struct err *err)
{
    uint32_t n = (uint32_t)cur_uv_max(c, MIN_OF((size_t)ERRORS_MAX, cur_left(c) / 2));

    i->errors = xcalloc(n, sizeof *i->errors);
    for (uint32_t k = 0; k < n; k++) {
        i->errors[k].path = cur_text(c, ENTRY_PATH_MAX);
        i->errors[k].block = (uint32_t)cur_uv_max(c, UINT32_MAX);
        if (i->errors[k].path == NULL)
            return bad(err, "malformed page errors");
        i->n_errors = k + 1;
    }
    return cur_done(c) ? 0 : bad(err, "malformed page errors");
}

static int take_tablespaces(struct cursor *c, struct backup_info *i, struct err *err)
{
    uint32_t n = (uint32_t)cur_uv_max(c, MIN_OF((size_t)TABLESPACES_MAX, cur_left(c) / 2));

    i->tablespaces = xcalloc(n, sizeof *i->tablespaces);
    for (uint32_t k = 0; k < n; k++) {
        i->tablespaces[k].oid = (uint32_t)cur_uv_max(c, UINT32_MAX);
        i->tablespaces[k].location = cur_text(c, ENTRY_PATH_MAX);
        if (i->tablespaces[k].location == NULL)
            return bad(err, "malformed tablespaces");
        i->n_tablespaces = k + 1;
    }
    return cur_done(c) ? 0 : bad(err, "malformed tablespaces");
}

static int take_attributes(struct cursor *c, struct attributes *a, struct err *err)
{
    uint32_t n = (uint32_t)cur_uv_max(c, MIN_OF((size_t)ATTRIBUTES_MAX, cur_left(c) / 3));

    a->items = xcalloc(n, sizeof *a->items);
    for (uint32_t k = 0; k < n; k++) {
        a->n = k + 1;
        a->items[k].mode = (uint32_t)cur_uv_max(c, 07777);
        a->items[k].user = cur_text(c, OWNER_NAME_MAX);
        a->items[k].group = cur_text(c, OWNER_NAME_MAX);
        if (a->items[k].user == NULL || a->items[k].group == NULL)
            return bad(err, "malformed owners");
    }
    return cur_done(c) ? 0 : bad(err, "malformed owners");
}

static int take_bytes(const struct field *f, struct buf *out, struct err *err)
{
    if (f->len > LABEL_BYTES_MAX)
        return bad(err, "an oversized label");
    buf_clear(out);
    buf_add(out, f->p, f->len);
    return 0;
}

static int take_fact(const struct field *f, struct backup_info *i, struct attributes *a,
                     struct err *err)
{
    struct cursor c = cursor_of(f->p, f->len);

    switch ((enum info_tag)f->tag) {
    case INFO_BACKUP_LABEL:
        return take_bytes(f, &i->backup_label, err);
    case INFO_TABLESPACE_MAP:
        return take_bytes(f, &i->tablespace_map, err);
    case INFO_SETTINGS:
        return take_settings(&c, i, err);
    case INFO_ERRORS:
        return take_errors(&c, i, err);
    case INFO_TABLESPACES:
        return take_tablespaces(&c, i, err);
    case INFO_ATTRIBUTES:
        return take_attributes(&c, a, err);
    case INFO_MIN_RECOVERY:
        i->min_recovery_lsn = cur_u64(&c);
        break;
    case INFO_CHECKSUMS:
        i->checksums = cur_uv_max(&c, 1) != 0;
        break;
    case INFO_CATALOG_VERSION:
        i->catalog_version = (uint32_t)cur_uv_max(&c, UINT32_MAX);
        break;
    default:
        return field_unknown(f, "facts of a manifest", err);
    }
    return cur_done(&c) ? 0 : bad(err, "malformed number");
}

static int parse(const void *bytes, size_t len, struct backup_info *i, struct attributes *a,
                 struct err *err)
{
    static const unsigned needed[] = {INFO_BACKUP_LABEL, INFO_TABLESPACE_MAP, INFO_TABLESPACES,
                                      INFO_ATTRIBUTES};
    struct fields f;
    struct field one;
    int more;

    fields_begin(&f, bytes, len, "facts of a manifest");
    while ((more = fields_next(&f, &one, err)) == 1)
        TRY(take_fact(&one, i, a, err));
    TRY(more);
    return fields_need(&f, needed, LENGTH(needed), err);
}

int backup_info_parse(const void *bytes, size_t len, struct backup_info *i, struct attributes *a,
                      struct err *err)
{
    *i = (struct backup_info){0};
    *a = (struct attributes){0};
    if (parse(bytes, len, i, a, err) == 0)
        return 0;
    backup_info_free(i);
    attributes_free(a);
    return -1;
}
