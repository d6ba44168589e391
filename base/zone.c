/* zone.c - see zone.h; finding and reading the files. The POSIX rules are in zone_rule.c. */
#include "base/zone.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/zone_rule.h"

#define DATABASE "/usr/share/zoneinfo/"

enum { FILE_MAX = 1 << 20, HEADER = 44, NAME_MAX_LENGTH = 100 };

void zone_free(struct zone *z)
{
    mem_free(&z->at);
    mem_free(&z->type);
    *z = (struct zone)ZONE_INIT;
}

/* The numbers in a header (RFC 8536, section 3.1), and how long the block behind it is. */
struct counts {
    uint8_t version;
    uint32_t isut, isstd, leap, time, type, chars;
};

static uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t get_time(const uint8_t *p, size_t width)
{
    if (width == 4)
        return (int32_t)get_be32(p);
    return (int64_t)((uint64_t)get_be32(p) << 32 | get_be32(p + 4));
}

static bool read_header(struct cursor *c, struct counts *n)
{
    const uint8_t *p = cur_bytes(c, HEADER);

    if (p == NULL || memcmp(p, "TZif", 4) != 0)
        return false;
    *n = (struct counts){.version = p[4],
                         .isut = get_be32(p + 20),
                         .isstd = get_be32(p + 24),
                         .leap = get_be32(p + 28),
                         .time = get_be32(p + 32),
                         .type = get_be32(p + 36),
                         .chars = get_be32(p + 40)};
    return n->type >= 1 && n->type <= ZONE_TYPES_MAX && n->time < FILE_MAX && n->chars < FILE_MAX &&
           n->leap < FILE_MAX && n->isut <= n->type && n->isstd <= n->type;
}

static size_t block_length(const struct counts *n, size_t width)
{
    return n->time * (width + 1) + n->type * (size_t)6 + n->chars + n->leap * (width + 4) +
           n->isstd + n->isut;
}

static bool read_types(struct zone *z, struct cursor *c, const struct counts *n)
{
    const uint8_t *types = cur_bytes(c, n->type * (size_t)6);
    const uint8_t *chars = cur_bytes(c, n->chars);

    if (c->bad)
        return false;
    z->n_types = n->type;
    for (size_t i = 0; i < n->type; i++) {
        struct zone_type *t = &z->types[i];
        const uint8_t *p = types + 6 * i;
        size_t length;
        t->offset = (int32_t)get_be32(p);
        if (!zone_offset_ok(t->offset) || p[5] >= n->chars)
            return false;
        length = strnlen((const char *)chars + p[5], n->chars - p[5]);
        if (length == n->chars - p[5] || length >= sizeof t->name)
            return false;
        memcpy(t->name, chars + p[5], length + 1);
    }
    return true;
}

static bool read_block(struct zone *z, struct cursor *c, const struct counts *n, size_t width)
{
    const uint8_t *at = cur_bytes(c, n->time * width);
    const uint8_t *type = cur_bytes(c, n->time);

    if (c->bad || !read_types(z, c, n))
        return false;
    z->n = n->time;
    z->at = xcalloc(z->n, sizeof z->at[0]);
    z->type = xcalloc(z->n, 1);
    for (size_t i = 0; i < z->n; i++) {
        z->at[i] = get_time(at + i * width, width);
        z->type[i] = type[i];
        if (type[i] >= z->n_types || (i > 0 && z->at[i] <= z->at[i - 1]))
            return false;
    }
    return true;
}

/* The footer: a line feed, the rule or nothing, a line feed. */
static bool read_footer(struct zone *z, struct cursor *c)
{
    char text[256];
    size_t len = cur_left(c);
    const uint8_t *p = cur_bytes(c, len);

    if (len < 2 || len > sizeof text || p[0] != '\n' || p[len - 1] != '\n')
        return false;
    memcpy(text, p + 1, len - 2);
    text[len - 2] = '\0';
    z->has_rule = len > 2;
    return !z->has_rule || (strlen(text) == len - 2 && zone_parse_rule(&z->rule, text) == 0);
}

static bool parse_file(struct zone *z, const void *data, size_t len)
{
    struct cursor c = cursor_of(data, len);
    struct counts n;
    size_t width = 4;

    if (!read_header(&c, &n))
        return false;
    if (n.version >= '2') { /* the same follows with 64-bit times */
        width = 8;
        if (cur_bytes(&c, block_length(&n, 4)) == NULL || !read_header(&c, &n))
            return false;
    }
    if (n.leap != 0 || !read_block(z, &c, &n, width))
        return false;
    cur_bytes(&c, (size_t)n.isstd + n.isut);
    return width == 4 ? cur_done(&c) : !c.bad && read_footer(z, &c);
}

int zone_parse_file(struct zone *z, const void *data, size_t len, struct err *err)
{
    *z = (struct zone)ZONE_INIT;
    if (parse_file(z, data, len))
        return 0;
    zone_free(z);
    return err_set(err, ERR_CORRUPT, "not a time zone file without leap seconds");
}

static int load_file(struct zone *z, const char *path, struct err *err)
{
    AUTO(buf_free) struct buf content = BUF_INIT;

    TRY(fs_read_file(AT_FDCWD, path, FILE_MAX, &content, err));
    if (zone_parse_file(z, content.p, content.len, err) != 0)
        return err_context(err, "\"%s\"", path);
    return 0;
}

/* Letters, digits and "+-_/", no component that begins with a dot, not absolute. */
static bool is_plain_name(const char *name)
{
    size_t len = strlen(name);

    return len != 0 && len <= NAME_MAX_LENGTH && name[0] != '/' && name[len - 1] != '/' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/") ==
               len;
}

static int load_named(struct zone *z, const char *name, struct err *err)
{
    AUTO(mem_free) char *path = NULL;

    if (!is_plain_name(name))
        return err_set(err, ERR_CONFIG,
                       "\"%s\" is not the name of a time zone, such as \"Europe/Berlin\"", name);
    path = xasprintf(DATABASE "%s", name);
    if (load_file(z, path, err) == 0)
        return 0;
    if (strcmp(name, "UTC") == 0) { /* needs no database */
        err_clear(err);
        zone_utc(z);
        return 0;
    }
    return err_set(err, ERR_CONFIG, "unknown time zone \"%s\": %s", name, err->msg);
}

/* As the C library reads TZ: ":" and a file, the name of one, or a rule. Nothing usable: UTC. */
static void load_own(struct zone *z)
{
    const char *tz = getenv("TZ");
    struct err ignored = {0};

    if (tz == NULL) {
        if (load_file(z, "/etc/localtime", &ignored) != 0)
            zone_utc(z);
        return;
    }
    tz += tz[0] == ':';
    if (tz[0] == '/' ? load_file(z, tz, &ignored) == 0
                     : is_plain_name(tz) && load_named(z, tz, &ignored) == 0)
        return;
    zone_utc(z);
    if (zone_parse_rule(&z->rule, tz) == 0)
        z->has_rule = true;
}

int zone_load(struct zone *z, const char *name, struct err *err)
{
    *z = (struct zone)ZONE_INIT;
    if (name != NULL && name[0] != '\0')
        return load_named(z, name, err);
    load_own(z);
    return 0;
}

const struct zone_type *zone_at(const struct zone *z, int64_t seconds)
{
    size_t low = 0, high = z->n; /* at[low - 1] <= seconds < at[high] */

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->at[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == z->n && z->has_rule)
        return zone_rule_at(&z->rule, seconds);
    return &z->types[low == 0 ? 0 : z->type[low - 1]];
}

/* The i-th type a zone can have, of its file and its rule; NULL behind the last one. */
static const struct zone_type *type_of(const struct zone *z, size_t i)
{
    if (i < z->n_types)
        return &z->types[i];
    if (!z->has_rule || i > z->n_types + 1)
        return NULL;
    return i == z->n_types ? &z->rule.standard : &z->rule.dst;
}

/*
 * Clocks skip from offset a to b where a's reading of the local time is after the change (b holds)
 * and b's reading is before it (a holds).
 */
static bool find_skipped(const struct zone *z, int64_t local, int64_t moments[2])
{
    const struct zone_type *a, *b;

    for (size_t i = 0; (a = type_of(z, i)) != NULL; i++) {
        b = zone_at(z, local - a->offset);
        if (zone_at(z, local - b->offset)->offset == a->offset && b->offset > a->offset) {
            moments[0] = local - b->offset;
            moments[1] = local - a->offset;
            return true;
        }
    }
    return false;
}

enum zone_reading zone_moments(const struct zone *z, int64_t local, int64_t moments[2])
{
    const struct zone_type *type;
    size_t found = 0;

    for (size_t i = 0; found < 2 && (type = type_of(z, i)) != NULL; i++) {
        int64_t moment = local - type->offset;
        if (zone_at(z, moment)->offset == type->offset && (found == 0 || moment != moments[0]))
            moments[found++] = moment;
    }
    if (found == 2 && moments[1] < moments[0]) {
        int64_t later = moments[0];
        moments[0] = moments[1];
        moments[1] = later;
    }
    if (found != 0)
        return found == 1 ? ZONE_ONCE : ZONE_TWICE;
    if (!find_skipped(z, local, moments))
        moments[0] = moments[1] = local;
    return ZONE_SKIPPED;
}
