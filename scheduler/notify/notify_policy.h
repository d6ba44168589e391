/*
 * notify_policy.h - who is told what, and when: judgements without a clock, a catalog or a network.
 */
#ifndef PGBR_SCHEDULER_NOTIFY_NOTIFY_POLICY_H
#define PGBR_SCHEDULER_NOTIFY_NOTIFY_POLICY_H

#include "catalog/notify.h"
#include "config/config.h"

enum { NOTIFY_PROBLEM_SIZE = 17 };

/* What makes two events the same problem: level and text, without the words that hold a digit
 * (labels, positions, sizes, process numbers). Compared within one kind, cluster and repository. */
void notify_problem(const struct catalog_event *e, char out[NOTIFY_PROBLEM_SIZE]);

enum notify_verdict { NOTIFY_SKIP, NOTIFY_REPEATED, NOTIFY_TELL, NOTIFY_RECOVERED };
/* told: what the receiver knows already. NOTIFY_RECOVERED: told it was broken, so it is also told
 * that it works again, whatever levels it wants. */
enum notify_verdict notify_judge(const struct notify_receiver *r, const struct catalog_event *e,
                                 const struct catalog_told *told);

/* How long to wait after so many failed tries: 10 s, doubled each time, at most 30 min; then
 * between three quarters and five quarters of that, by random (any number), so that many hosts do
 * not come at once. */
int64_t notify_backoff_us(unsigned tries, uint32_t random);

/*
 * The first moment at which the receiver may get another notification. times: when the last ones
 * went out, oldest first. In any stretch of the window there are never more than the limit. The
 * first half of them may go at once; what is left is spread over the rest of the window, so that
 * after a flood news still comes through, as summaries.
 */
int64_t notify_slot_us(const struct notify_receiver *r, const int64_t *times, size_t n,
                       int64_t now_us);

/* How many of so many waiting events go into the next notification: one, or all in a summary when
 * they would use up what may be sent at once. */
size_t notify_group(const struct notify_receiver *r, const int64_t *times, size_t n, int64_t now_us,
                    size_t waiting);

#endif
