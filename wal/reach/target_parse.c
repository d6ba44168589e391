/* target_parse.c - targets as people write them, and as plans show them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "postgres/lsn.h"
#include "wal/reach/target.h"

enum { XID_FIRST_NORMAL = 3 }; /* FirstNormalTransactionId of PostgreSQL's transam.h */

int target_parse_lsn(const char *text, struct target *t, struct err *err)
{
    if (lsn_parse(text, &t->lsn) != 0 || t->lsn == 0)
        return err_set(err, ERR_USAGE, "\"%s\" is not a WAL position such as \"16/B374D848\"",
                       text);
    return 0;
}

/* Decimal digits only: no sign, no blanks. */
static bool number(const char *text, uint64_t *out)
{
    char *end;

    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0;
}

/* What txid_current() shows has an epoch above the 32 bits that WAL knows; the server drops it
 * likewise. */
int target_parse_xid(const char *text, struct target *t, struct err *err)
{
    uint64_t value;

    if (!number(text, &value) || (uint32_t)value < XID_FIRST_NORMAL)
        return err_set(err, ERR_USAGE, "\"%s\" is not a transaction id (a number from %d on)", text,
                       XID_FIRST_NORMAL);
    t->xid = (uint32_t)value;
    return 0;
}

int target_parse_timeline(const char *text, struct target *t, struct err *err)
{
    uint64_t value;

    if (strcmp(text, "latest") == 0) {
        t->line = LINE_LATEST;
    } else if (strcmp(text, "current") == 0) {
        t->line = LINE_CURRENT;
    } else if (number(text, &value) && value != 0 && value <= UINT32_MAX) {
        t->line = LINE_NUMBER;
        t->timeline = (uint32_t)value;
    } else {
        return err_set(err, ERR_USAGE,
                       "a timeline is \"latest\", \"current\" or a number from 1 on, not \"%s\"",
                       text);
    }
    return 0;
}

static void describe_kind(const struct target *t, struct buf *out)
{
    const char *how = t->exclusive ? "exclusive" : "inclusive";
    char lsn[LSN_TEXT], time[40];

    switch (t->kind) {
    case TARGET_LATEST:
        buf_adds(out, "latest");
        break;
    case TARGET_IMMEDIATE:
        buf_adds(out, "immediate");
        break;
    case TARGET_TIME:
        buf_addf(out, "time %s (%s)", clock_format_utc(t->time_us, time), how);
        break;
    case TARGET_LSN:
        buf_addf(out, "LSN %s (%s)", lsn_format(t->lsn, lsn), how);
        break;
    case TARGET_XID:
        buf_addf(out, "transaction %" PRIu32 " (%s)", t->xid, how);
        break;
    case TARGET_NAME:
        buf_addf(out, "restore point \"%s\"", t->name);
        break;
    }
}

void target_describe(const struct target *t, struct buf *out)
{
    describe_kind(t, out);
    if (t->line == LINE_CURRENT)
        buf_adds(out, " on the backup's timeline");
    else if (t->line == LINE_NUMBER)
        buf_addf(out, " on timeline %" PRIu32, t->timeline);
}
