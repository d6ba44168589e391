/* target_options.h - the options that name a moment: of restore and drill. */
#ifndef PGBR_CLI_TARGET_OPTIONS_H
#define PGBR_CLI_TARGET_OPTIONS_H

#include "wal/reach/target.h"

/* Rows of a command's table; "target" itself is the command's own, with the code 'T'. */
#define TARGET_OPTIONS                                                                             \
    {'t', "target-time", "TIME", "the state at this time: '2026-11-22 14:05', '... 14:05:30+01'"}, \
        {'l', "target-lsn", "LSN", "the state at this position in the WAL"},                       \
        {'x', "target-xid", "XID", "the state when this transaction had ended"},                   \
        {'n', "target-name", "NAME", "a restore point made by pg_create_restore_point()"},         \
        {'e', "exclusive", NULL, "stop just before the target instead of just behind it"},         \
    {                                                                                              \
        'L', "target-timeline", "latest|current|N", "the timeline to follow"                       \
    }

/* One of these and 'T' ("immediate" or "latest"). */
int target_option(struct target *t, int code, const char *value, struct err *err) MUST_CHECK;
/* What single options cannot tell. */
int target_options_check(const struct target *t, struct err *err) MUST_CHECK;

#endif
