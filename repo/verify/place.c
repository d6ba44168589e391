/* place.c - see place.h. Keys: names.h. */
#include "repo/verify/place.h"

#include <stdio.h>
#include <stdlib.h>

#include "repo/wal/wal_form.h"

struct expected {
    enum object_kind kind; /* a metadata pack may be where a pack is expected */
    char label[OBJECT_LABEL + 1];
    uint32_t pack;
};

static const char *behind(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* The key below the cluster, or NULL. */
static const char *below(const char *cluster, const char *key)
{
    const char *rest = behind(key, cluster);

    return rest != NULL && *rest == '/' ? rest + 1 : NULL;
}

bool place_pack(const char *cluster, const char *key, char set[LABEL_SIZE + 1], uint32_t *pack)
{
    AUTO(buf_free) struct buf name = BUF_INIT;
    const char *rest = below(cluster, key), *digits = strrchr(key, '/');

    if (rest == NULL || (rest = behind(rest, "data/")) == NULL || strlen(rest) < LABEL_SIZE)
        return false;
    memcpy(set, rest, LABEL_SIZE);
    set[LABEL_SIZE] = '\0';
    *pack = (uint32_t)strtoul(digits + 1, NULL, 16);
    return label_valid(set) && strcmp(name_pack(&name, cluster, set, *pack), key) == 0;
}

static bool expect(struct expected *e, enum object_kind kind, const char *label)
{
    e->kind = kind;
    return snprintf(e->label, sizeof e->label, "%s", label) < (int)sizeof e->label;
}

/* "<label>/manifest", "<label>/expired", "<label>/hold" behind backup/. */
static bool expect_backup(struct expected *e, const char *rest, const char *name)
{
    size_t n = strcspn(name, "/");

    if (strcmp(name + n, "/manifest") != 0)
        return expect(e, OBJECT_MARK, rest);
    e->kind = OBJECT_MANIFEST;
    return snprintf(e->label, sizeof e->label, "%.*s", (int)n, name) < (int)sizeof e->label;
}

/* "<sysid>-<major>/.../<file>" behind wal/; false also for a file in the wrong directory. */
static bool expect_wal(struct expected *e, const char *cluster, const char *key, const char *name)
{
    AUTO(buf_free) struct buf own = BUF_INIT;
    const char *file = strrchr(name, '/');
    struct err ignored = {0};
    struct sum_name sum;
    char *end;
    uint64_t system_id = strtoull(name, &end, 16);
    unsigned major = *end == '-' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;

    if (file != NULL && sum_name_parse(file + 1, &sum) &&
        strcmp(name_sum(&own, cluster, system_id, major, &sum), key) == 0) {
        e->kind = OBJECT_WAL_SUMMARY;
        label_sum(e->label, system_id, &sum);
        return true;
    }
    if (file == NULL || name_wal(&own, cluster, system_id, major, file + 1, &ignored) != 0 ||
        strcmp(own.p, key) != 0)
        return false;
    e->kind = wal_is_segment(file + 1) ? OBJECT_WAL : OBJECT_WAL_OTHER;
    return label_wal(e->label, system_id, file + 1, &ignored) == 0;
}

static bool expect_in_cluster(struct expected *e, const char *cluster, const char *key)
{
    static const struct {
        const char *prefix;
        enum object_kind kind;
    } plain[] = {{"info/", OBJECT_INFO}, {"lease/", OBJECT_LEASE}, {"fence/", OBJECT_MARK}};
    const char *rest = below(cluster, key), *name;

    if (rest == NULL)
        return false;
    for (size_t i = 0; i < LENGTH(plain); i++)
        if (behind(rest, plain[i].prefix) != NULL)
            return expect(e, plain[i].kind, rest);
    if ((name = behind(rest, "backup/")) != NULL)
        return expect_backup(e, rest, name);
    if ((name = behind(rest, "wal/")) != NULL)
        return expect_wal(e, cluster, key, name);
    e->kind = OBJECT_PACK;
    return place_pack(cluster, key, e->label, &e->pack);
}

static bool expect_of(struct expected *e, const char *cluster, const char *key)
{
    if (strcmp(key, name_descriptor()) == 0 || behind(key, "features/") != NULL)
        return expect(e, OBJECT_DESCRIPTOR, key);
    if (behind(key, "keys/") != NULL)
        return expect(e, OBJECT_KEY_SLOT, key);
    return expect_in_cluster(e, cluster, key);
}

int place_check(const char *cluster, const char *key, const struct object_head *head,
                struct err *err)
{
    struct expected e = {0};
    enum object_kind kind = head->kind == OBJECT_META_PACK ? OBJECT_PACK : head->kind;

    if (!expect_of(&e, cluster, key))
        return 0;
    if (kind == e.kind && head->pack == e.pack && strcmp(head->label, e.label) == 0)
        return 0;
    return err_set(err, ERR_CORRUPT,
                   "object \"%s\" says that it is number %u of \"%s\" (kind %d): it lies under "
                   "another's name, expected number %u of \"%s\" (kind %d)",
                   key, head->pack, head->label, (int)head->kind, e.pack, e.label, (int)e.kind);
}
