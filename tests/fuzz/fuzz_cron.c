/* fuzz_cron.c - any text as a cron expression. One that is accepted has a next moment, later than
 * the one asked for, nothing lies between the two, and the last one before it is found again. */
#include <string.h>

#include "base/cron.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zone zone;
    AUTO(mem_free) char *text = xstrndup((const char *)data, size);
    int64_t after = 1700000000, next;
    struct err err = {0};
    struct cron cron;

    if (!zone.has_rule) {
        zone_free(&zone);
        if (zone_load(&zone, "UTC", &err) != 0 ||
            zone_parse_rule(&zone.rule, "CET-1CEST,M3.5.0,M10.5.0/3") != 0)
            __builtin_trap();
        zone.has_rule = true;
    }
    if (cron_parse(text, &cron, &err) != 0)
        return 0;
    for (size_t i = 0; i < size; i++) /* another moment for another text */
        after += (int64_t)data[i] << (i % 20);
    next = cron_next(&cron, &zone, after);
    if (next == CRON_NEVER || next <= after || cron_next(&cron, &zone, next - 1) != next)
        __builtin_trap();
    if (next - after < 86400 && cron_last(&cron, &zone, after, next, NULL) != next)
        __builtin_trap();
    return 0;
}
