/* show_windows.h - the moments one can go back to, for people and as JSON; for list and windows. */
#ifndef PGBR_CLI_SHOW_WINDOWS_H
#define PGBR_CLI_SHOW_WINDOWS_H

#include "base/json.h"
#include "restore/restore.h"
#include "scheduler/status/view.h"

/* What windows_text() and windows_json() tell besides: how a cluster stands now. */
struct standing {
    const struct view *view;
    const struct server_state *server; /* NULL: not asked: why, or "" where it was not tried */
    const char *why;
    int64_t now_us;
};
/* Windows and holes, in the order of time. */
void windows_text(struct buf *out, const struct view *v);
/* Members "windows" and "holes" of an open object. */
void windows_json(struct json *j, const struct view *v);
/* What would be lost now, and how long it would take. Members "rpo" and "rto". */
void standing_text(struct buf *out, const struct standing *s);
void standing_json(struct json *j, const struct standing *s);

/* The answer for one moment. plan NULL: it is not reached: why. */
void moment_text(struct buf *out, const struct view *v, const struct restore_plan *plan,
                 const char *why);
void moment_json(struct json *j, const struct view *v, const struct restore_plan *plan,
                 const char *why);

#endif
