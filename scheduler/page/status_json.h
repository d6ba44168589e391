/* status_json.h - the status as one JSON document. Its shape is told in docs/monitoring/README.md:
 * members are added, never changed or removed. */
#ifndef PGBR_SCHEDULER_PAGE_STATUS_JSON_H
#define PGBR_SCHEDULER_PAGE_STATUS_JSON_H

#include "scheduler/status/status.h"

/* Appends it, as of now_us. The status is held by the caller. */
void status_json_write(const struct status *s, int64_t now_us, struct buf *out);

#endif
