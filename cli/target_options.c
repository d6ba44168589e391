/* target_options.c - see target_options.h. */
#include "cli/target_options.h"

#include <string.h>

#include "base/clock.h"

static int set_kind(struct target *t, enum target_kind kind, struct err *err)
{
    if (t->kind != TARGET_LATEST)
        return err_set(err, ERR_USAGE,
                       "only one of --target-time, --target-lsn, --target-xid, --target-name and "
                       "--target can be given");
    t->kind = kind;
    return 0;
}

static int set_name(struct target *t, const char *name, struct err *err)
{
    TRY(set_kind(t, TARGET_NAME, err));
    if (strlen(name) >= sizeof t->name || name[0] == '\0')
        return err_set(err, ERR_USAGE, "a restore point's name has 1 to 63 bytes");
    memcpy(t->name, name, strlen(name) + 1);
    return 0;
}

static int set_plain_target(struct target *t, const char *value, struct err *err)
{
    if (strcmp(value, "latest") == 0)
        return 0;
    if (strcmp(value, "immediate") == 0)
        return set_kind(t, TARGET_IMMEDIATE, err);
    return err_set(err, ERR_USAGE, "--target is \"immediate\" or \"latest\", not \"%.100s\"",
                   value);
}

int target_option(struct target *t, int code, const char *value, struct err *err)
{
    switch (code) {
    case 't':
        TRY(set_kind(t, TARGET_TIME, err));
        return clock_parse(value, NULL, &t->time_us, err);
    case 'l':
        TRY(set_kind(t, TARGET_LSN, err));
        return target_parse_lsn(value, t, err);
    case 'x':
        TRY(set_kind(t, TARGET_XID, err));
        return target_parse_xid(value, t, err);
    case 'n':
        return set_name(t, value, err);
    case 'T':
        return set_plain_target(t, value, err);
    case 'e':
        t->exclusive = true;
        return 0;
    default: /* 'L' */
        return target_parse_timeline(value, t, err);
    }
}

int target_options_check(const struct target *t, struct err *err)
{
    enum target_kind kind = t->kind;

    if (t->exclusive && kind != TARGET_TIME && kind != TARGET_LSN && kind != TARGET_XID)
        return err_set(err, ERR_USAGE,
                       "--exclusive means \"just before\" a --target-time, --target-lsn or "
                       "--target-xid; there is none");
    return 0;
}
