/* descriptor.c - see descriptor.h. */
#include "repo/descriptor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
    D_REPO_ID = 1,
    D_CREATED = 2,
    D_SUITE = 3,
    D_GENERATION = 5,
    D_INCOMPATIBLE = 7,
    D_READ_ONLY = 9,
    D_COMPATIBLE = 10,
    D_MAC = 15,
};
enum {
    I_CLUSTER = 1,
    I_CREATED = 2,
    I_IDENTITIES = 3,
    IDENTITIES_MAX = 10000,
    MAJOR_MAX = 9999,
};
static const char what_descriptor[] = "repository descriptor", what_info[] = "cluster info";

/* "pgbr1 descriptor pgbr-repo": so no generation of features can stand in for another. */
static void purpose_of(const char *label, char out[96])
{
    snprintf(out, 96, "pgbr1 descriptor %.60s", label);
}

int descriptor_format(const struct descriptor *d, const struct repo_key *key, const char *label,
                      struct buf *out, struct err *err)
{
    static const unsigned tags[] = {D_INCOMPATIBLE, D_READ_ONLY, D_COMPATIBLE};
    AUTO(buf_free) struct buf body = BUF_INIT;
    char purpose[96];
    uint8_t mac_key[32];
    int result = 0;

    field_bytes(&body, D_REPO_ID, d->repo_id, REPO_ID_SIZE);
    field_u64(&body, D_CREATED, (uint64_t)d->created_us);
    field_uv(&body, D_SUITE, d->encrypted ? SUITE_SEALED : SUITE_PLAIN);
    field_uv(&body, D_GENERATION, d->generation);
    for (size_t i = 0; i < LENGTH(tags); i++)
        field_bytes(&body, tags[i], d->features[i].p, d->features[i].len);
    if (key != NULL) {
        purpose_of(label, purpose);
        TRY(key_descriptor_mac(key, mac_key, err));
        result = mac_fields_add(&body, D_MAC, mac_key, purpose, err);
        mem_wipe(mac_key, sizeof mac_key);
    }
    TRY(result);
    buf_add(out, body.p, body.len);
    return 0;
}

static int bad_field(const struct field *f, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "%s: field %u has %zu bytes or a wrong value", what, f->tag,
                   f->len);
}

/* Takes one name off the list; false at its end, or when the rest is no name (then *in is bad). */
static bool next_feature(struct cursor *in, char name[FEATURE_NAME_MAX + 1])
{
    size_t len;
    const uint8_t *p;

    if (cur_left(in) == 0)
        return false;
    p = cur_blob(in, &len);
    if (p == NULL || len == 0 || len > FEATURE_NAME_MAX) {
        in->bad = true;
        return false;
    }
    for (size_t i = 0; i < len; i++)
        if (p[i] < 0x21 || p[i] > 0x7e) {
            in->bad = true;
            return false;
        }
    memcpy(name, p, len);
    name[len] = '\0';
    return true;
}

static int take_features(const struct field *f, struct feature_list *list, struct err *err)
{
    struct cursor in = cursor_of(f->p, f->len);
    char name[FEATURE_NAME_MAX + 1];

    while (next_feature(&in, name))
        ;
    if (!cur_done(&in))
        return bad_field(f, what_descriptor, err);
    *list = (struct feature_list){f->p, f->len};
    return 0;
}

static int take_suite(const struct field *f, struct cursor in, struct descriptor *d,
                      struct err *err)
{
    uint64_t suite = cur_uv(&in);

    if (!cur_done(&in))
        return bad_field(f, what_descriptor, err);
    if (suite != SUITE_PLAIN && suite != SUITE_SEALED)
        return err_set(err, ERR_UNSUPPORTED, "%s: suite %llu is not known to this version of pgbr",
                       what_descriptor, (unsigned long long)suite);
    d->encrypted = suite == SUITE_SEALED;
    return 0;
}

static int descriptor_field(const struct field *f, struct descriptor *d, struct err *err)
{
    struct cursor in = cursor_of(f->p, f->len);

    switch (f->tag) {
    case D_REPO_ID:
        if (f->len != REPO_ID_SIZE)
            return bad_field(f, what_descriptor, err);
        memcpy(d->repo_id, f->p, REPO_ID_SIZE);
        return 0;
    case D_CREATED:
        d->created_us = (int64_t)cur_u64(&in);
        return cur_done(&in) ? 0 : bad_field(f, what_descriptor, err);
    case D_SUITE:
        return take_suite(f, in, d, err);
    case D_GENERATION:
        d->generation = (uint32_t)cur_uv_max(&in, UINT32_MAX);
        return cur_done(&in) ? 0 : bad_field(f, what_descriptor, err);
    case D_INCOMPATIBLE:
        return take_features(f, &d->features[FEATURE_INCOMPATIBLE], err);
    case D_READ_ONLY:
        return take_features(f, &d->features[FEATURE_READ_ONLY], err);
    case D_COMPATIBLE:
        return take_features(f, &d->features[FEATURE_COMPATIBLE], err);
    default:
        return field_unknown(f, what_descriptor, err);
    }
}

int descriptor_parse(const void *body, size_t len, struct descriptor *d, struct err *err)
{
    static const unsigned needed[] = {D_REPO_ID, D_SUITE, D_GENERATION, D_INCOMPATIBLE,
                                      D_READ_ONLY};
    struct fields in;
    struct field f;
    int more;

    *d = (struct descriptor){0};
    TRY(mac_fields_split(body, len, D_MAC, what_descriptor, &d->mac, err));
    fields_begin(&in, d->mac.body, d->mac.body_len, what_descriptor);
    while ((more = fields_next(&in, &f, err)) > 0)
        TRY(descriptor_field(&f, d, err));
    TRY(more);
    TRY(fields_need(&in, needed, LENGTH(needed), err));
    if (d->encrypted != (d->mac.tag != NULL))
        return err_set(err, ERR_CORRUPT, "%s: %s", what_descriptor,
                       d->encrypted ? "encrypted, but without a MAC" : "plain, but with a MAC");
    return 0;
}

int descriptor_authentic(const struct descriptor *d, const struct repo_key *key, const char *label,
                         struct err *err)
{
    char purpose[96];
    uint8_t mac_key[32];
    int result;

    purpose_of(label, purpose);
    TRY(key_descriptor_mac(key, mac_key, err));
    result = mac_fields_check(&d->mac, mac_key, purpose, what_descriptor, err);
    mem_wipe(mac_key, sizeof mac_key);
    return result;
}

/* This version has no features beyond the format itself, so it knows none by name. */
bool descriptor_unknown(const struct descriptor *d, enum feature_class class,
                        char name[FEATURE_NAME_MAX + 1])
{
    struct cursor in;

    if (d->features[class].len == 0)
        return false;
    in = cursor_of(d->features[class].p, d->features[class].len);
    return next_feature(&in, name);
}

/* ---- cluster info ---- */

void info_format(const char *cluster, const struct identity *ids, size_t n, struct buf *out)
{
    AUTO(buf_free) struct buf list = BUF_INIT;

    buf_uv(&list, n);
    for (size_t i = 0; i < n; i++) {
        buf_u64(&list, ids[i].system_id);
        buf_uv(&list, ids[i].major);
    }
    field_text(out, I_CLUSTER, cluster);
    field_u64(out, I_CREATED, (uint64_t)clock_now_us());
    field_bytes(out, I_IDENTITIES, list.p, list.len);
}

static int take_identities(const struct field *f, struct identity **ids, size_t *n, struct err *err)
{
    struct cursor in = cursor_of(f->p, f->len);
    size_t count = (size_t)cur_uv_max(&in, IDENTITIES_MAX);
    AUTO(mem_free) struct identity *list = NULL;

    if (count > cur_left(&in) / 9) /* each takes 9 bytes at least */
        return bad_field(f, what_info, err);
    list = xcalloc(count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i].system_id = cur_u64(&in);
        list[i].major = (unsigned)cur_uv_max(&in, MAJOR_MAX);
    }
    if (!cur_done(&in))
        return bad_field(f, what_info, err);
    *ids = TAKE(list);
    *n = count;
    return 0;
}

static int check_cluster(const struct field *f, const char *cluster, struct err *err)
{
    if (f->len == strlen(cluster) && memcmp(f->p, cluster, f->len) == 0)
        return 0;
    return err_set(err, ERR_FOREIGN, "%s of \"%.*s\", expected \"%s\"", what_info,
                   (int)MIN_OF(f->len, (size_t)64), (const char *)f->p, cluster);
}

static int info_fields(struct fields *in, const char *cluster, struct identity **ids, size_t *n,
                       struct err *err)
{
    struct field f;
    int more;

    while ((more = fields_next(in, &f, err)) > 0) {
        if (f.tag == I_CLUSTER)
            TRY(check_cluster(&f, cluster, err));
        else if (f.tag == I_IDENTITIES)
            TRY(take_identities(&f, ids, n, err));
        else
            TRY(field_unknown(&f, what_info, err));
    }
    return more;
}

int info_parse(const void *body, size_t len, const char *cluster, struct identity **ids, size_t *n,
               struct err *err)
{
    static const unsigned needed[] = {I_CLUSTER, I_IDENTITIES};
    AUTO(mem_free) struct identity *list = NULL;
    struct fields in;
    size_t count = 0;

    fields_begin(&in, body, len, what_info);
    TRY(info_fields(&in, cluster, &list, &count, err));
    TRY(fields_need(&in, needed, LENGTH(needed), err));
    *ids = TAKE(list);
    *n = count;
    return 0;
}
