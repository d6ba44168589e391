/* zone_rule.h - POSIX TZ rules at work, for zone.c. Parsing one is declared in zone.h. */
#ifndef PGBR_BASE_ZONE_RULE_H
#define PGBR_BASE_ZONE_RULE_H

#include "base/zone.h"

/* Within a week, far more than any place uses: nothing that adds offsets can overflow. */
static inline bool zone_offset_ok(int32_t offset)
{
    return offset > -7 * 86400 && offset < 7 * 86400;
}

const struct zone_type *zone_rule_at(const struct zone_rule *rule, int64_t seconds);
void zone_utc(struct zone *z);

#endif
