/* names.c - see names.h. */
#include "repo/object/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crypt.h"

enum { SEGMENT_DIGITS = 24, PACKS_PER_DIR_BITS = 10 };

int label_of(char out[LABEL_SIZE + 1], enum set_kind kind, int64_t time_us, uint32_t bits)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year + 1900 > 9999 || tm.tm_year + 1900 < 1970)
        return -1;
    snprintf(out, LABEL_SIZE + 1, "%04u%02u%02uT%02u%02u%02uZ-%c-%06x",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100, (char)kind, bits & 0xffffff);
    return 0;
}

int label_make(char out[LABEL_SIZE + 1], enum set_kind kind, int64_t now_us, struct err *err)
{
    uint8_t random[3];

    TRY(crypt_random(random, sizeof random, err));
    if (label_of(out, kind, now_us,
                 (uint32_t)random[0] << 16 | (uint32_t)random[1] << 8 | random[2]) != 0)
        return err_set(err, ERR_FAILED, "the clock says %lld s since 1970, no year of four digits",
                       (long long)(now_us / 1000000));
    return 0;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Each letter of the form stands for what may be there: 9 a digit, x a lower-case hex digit, X an
 * upper-case one, K the kind of a set; anything else for itself. */
static bool fits(const char *text, const char *form)
{
    for (; *form != '\0'; text++, form++) {
        char c = *text;
        bool ok = c == *form;
        if (*form == '9')
            ok = digit(c);
        else if (*form == 'x')
            ok = digit(c) || (c >= 'a' && c <= 'f');
        else if (*form == 'X')
            ok = digit(c) || (c >= 'A' && c <= 'F');
        else if (*form == 'K')
            ok = c != '\0' && strchr("FDICRG", c) != NULL;
        if (!ok)
            return false;
    }
    return *text == '\0';
}

static unsigned two_digits(const char *p)
{
    return (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
}

/* timegm() brings the 31st of April to the 1st of May: then it is not the same second. */
static bool label_second(const char *label, time_t *seconds)
{
    struct tm tm = {
        .tm_year = (int)(two_digits(label) * 100 + two_digits(label + 2)) - 1900,
        .tm_mon = (int)two_digits(label + 4) - 1,
        .tm_mday = (int)two_digits(label + 6),
        .tm_hour = (int)two_digits(label + 9),
        .tm_min = (int)two_digits(label + 11),
        .tm_sec = (int)two_digits(label + 13),
    };
    struct tm given = tm;

    *seconds = timegm(&tm);
    return tm.tm_mon == given.tm_mon && tm.tm_mday == given.tm_mday &&
           tm.tm_hour == given.tm_hour && tm.tm_min == given.tm_min && tm.tm_sec == given.tm_sec;
}

bool label_valid(const char *label)
{
    time_t ignored;
    return fits(label, "99999999T999999Z-K-xxxxxx") && label_second(label, &ignored);
}

enum set_kind label_kind(const char *label)
{
    return (enum set_kind)label[17];
}

int64_t label_time_us(const char *label)
{
    time_t seconds;

    label_second(label, &seconds);
    return (int64_t)seconds * 1000000;
}

/* Besides "keys", what lies beside the clusters is no name for one. */
bool cluster_name_valid(const char *name)
{
    static const char *const taken[] = {"keys", "features", "tmp"};
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    for (size_t i = 0; i < LENGTH(taken); i++)
        if (strcmp(name, taken[i]) == 0)
            return false;
    return len >= 1 && len <= 63 && name[len] == '\0';
}

const char *name_descriptor(void)
{
    return "pgbr-repo";
}

#define NAME(b, ...)                \
    do {                            \
        buf_clear(b);               \
        buf_addf((b), __VA_ARGS__); \
        return buf_text(b);         \
    } while (0)

const char *name_feature(struct buf *b, uint32_t gen)
{
    NAME(b, "features/%08" PRIx32, gen);
}

const char *name_key_slot(struct buf *b, uint32_t slot)
{
    NAME(b, "keys/%08" PRIx32, slot);
}

const char *name_info(struct buf *b, const char *cluster, uint32_t gen)
{
    NAME(b, "%s/info/%08" PRIx32, cluster, gen);
}

const char *name_manifest(struct buf *b, const char *cluster, const char *label)
{
    NAME(b, "%s/backup/%s/manifest", cluster, label);
}

const char *name_expired(struct buf *b, const char *cluster, const char *label)
{
    NAME(b, "%s/backup/%s/expired", cluster, label);
}

const char *name_hold(struct buf *b, const char *cluster, const char *label)
{
    NAME(b, "%s/backup/%s/hold", cluster, label);
}

const char *name_pack(struct buf *b, const char *cluster, const char *set, uint32_t pack)
{
    NAME(b, "%s/data/%s/%05" PRIx32 "/%08" PRIx32, cluster, set, pack >> PACKS_PER_DIR_BITS, pack);
}

const char *name_set(struct buf *b, const char *cluster, const char *set)
{
    NAME(b, "%s/data/%s/", cluster, set);
}

const char *name_lease(struct buf *b, const char *cluster, const char *set)
{
    NAME(b, "%s/lease/%s", cluster, set);
}

const char *name_fence_intent(struct buf *b, const char *cluster, const char *set)
{
    NAME(b, "%s/fence/%s.intent", cluster, set);
}

const char *name_fence_final(struct buf *b, const char *cluster, const char *set)
{
    NAME(b, "%s/fence/%s.final", cluster, set);
}

const char *name_wal_root(struct buf *b, const char *cluster, uint64_t system_id, unsigned major)
{
    NAME(b, "%s/wal/%016" PRIx64 "-%u/", cluster, system_id, major);
}

enum wal_file { WAL_NONE, WAL_SEGMENT, WAL_PARTIAL, WAL_HISTORY, WAL_LABEL };

/* The names PostgreSQL gives (src/include/access/xlog_internal.h: XLogFileName, TLHistoryFileName,
 * BackupHistoryFileName). */
static enum wal_file wal_file_kind(const char *file)
{
    if (fits(file, "XXXXXXXXXXXXXXXXXXXXXXXX"))
        return WAL_SEGMENT;
    if (fits(file, "XXXXXXXXXXXXXXXXXXXXXXXX.partial"))
        return WAL_PARTIAL;
    if (fits(file, "XXXXXXXX.history"))
        return WAL_HISTORY;
    if (fits(file, "XXXXXXXXXXXXXXXXXXXXXXXX.XXXXXXXX.backup"))
        return WAL_LABEL;
    return WAL_NONE;
}

static int not_wal(const char *file, struct err *err)
{
    return err_set(err, ERR_USAGE,
                   "\"%.200s\" is not the name of a WAL segment (24 hex digits, perhaps "
                   "\".partial\"), of a \".history\" or of a \".backup\" file",
                   file);
}

int name_wal(struct buf *b, const char *cluster, uint64_t system_id, unsigned major,
             const char *file, struct err *err)
{
    enum wal_file kind = wal_file_kind(file);

    if (kind == WAL_NONE)
        return not_wal(file, err);
    name_wal_root(b, cluster, system_id, major);
    if (kind == WAL_HISTORY)
        buf_addf(b, "history/%s", file);
    else if (kind == WAL_LABEL)
        buf_addf(b, "label/%s", file);
    else
        buf_addf(b, "%.8s/%.8s/%s", file, file + 8, file);
    return 0;
}

int label_wal(char out[49], uint64_t system_id, const char *file, struct err *err)
{
    static const char *const marks[] = {
        [WAL_SEGMENT] = "", [WAL_PARTIAL] = ".p", [WAL_HISTORY] = ".h", [WAL_LABEL] = ".b"};
    enum wal_file kind = wal_file_kind(file);

    if (kind == WAL_NONE)
        return not_wal(file, err);
    snprintf(out, 49, "%.*s%s@%016" PRIx64, kind == WAL_HISTORY ? 8 : SEGMENT_DIGITS, file,
             marks[kind], system_id);
    return 0;
}

/* ---- sums ---- */

const char *name_sums(struct buf *b, const char *cluster, uint64_t system_id, unsigned major)
{
    name_wal_root(b, cluster, system_id, major);
    buf_adds(b, "sum/");
    return buf_text(b);
}

const char *name_sum(struct buf *b, const char *cluster, uint64_t system_id, unsigned major,
                     const struct sum_name *n)
{
    name_sums(b, cluster, system_id, major);
    buf_addf(b, "%08" PRIX32 "-%016" PRIX64 "-%016" PRIX64, n->timeline, n->start, n->end);
    return buf_text(b);
}

bool sum_name_parse(const char *text, struct sum_name *n)
{
    if (!fits(text, "XXXXXXXX-XXXXXXXXXXXXXXXX-XXXXXXXXXXXXXXXX"))
        return false;
    n->timeline = (uint32_t)strtoul(text, NULL, 16);
    n->start = strtoull(text + 9, NULL, 16);
    n->end = strtoull(text + 26, NULL, 16);
    return n->timeline != 0 && n->start < n->end;
}

bool name_is_sum(const char *key)
{
    static const char folder[] = "/sum";
    const char *last = strrchr(key, '/');
    struct sum_name ignored;

    return last != NULL && last - key >= (ptrdiff_t)strlen(folder) &&
           memcmp(last - strlen(folder), folder, strlen(folder)) == 0 &&
           sum_name_parse(last + 1, &ignored);
}

int sum_name_compare(const void *a, const void *b)
{
    const struct sum_name *x = a, *y = b;

    if (x->timeline != y->timeline)
        return x->timeline < y->timeline ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

void label_sum(char out[49], uint64_t system_id, const struct sum_name *n)
{
    snprintf(out, 49, "%08" PRIX32 "-%016" PRIX64 ".s@%016" PRIx64, n->timeline, n->start,
             system_id);
}
