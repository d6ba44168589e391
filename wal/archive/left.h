/*
 * left.h - WAL of a timeline that the cluster has left, and who must not get it. Internal to wal/.
 *
 * After a promotion the archive may hold the old timeline's segment in which the new one begins
 * twice: as the new timeline's file, and, pushed by the old primary before it is rewound, in full
 * under the old name, with records behind the switch point that are no longer part of the cluster.
 * A standby that has not switched yet asks for the old name whenever the new file is not there yet,
 * replays past the switch point, and is stuck for good: "requested starting point ... is not in
 * this server's history". Not giving it that segment costs nothing: what it needs of it, up to the
 * switch point, is streamed by the new primary and stands in the new timeline's segment, which is
 * archived when it is full; until then it waits, as it does for any segment.
 *
 * Who must get it is recovery along the old timeline: somebody wants the rows that were lost. How
 * to tell the two apart:
 *
 * - Without standby.signal it is a recovery with an end; it gets everything that exists.
 * - A standby follows the newest timeline unless recovery_target_timeline says something else than
 *   "latest", which is the default of versions 13 to 18. With "current" or a number it is meant to
 *   stay, and gets everything. If the settings cannot be read, the same: what a person asked for
 *   must not be withheld by a guess.
 * - The newest timeline is found as PostgreSQL finds it (findNewestTimeLine in timeline.c): numbers
 *   are counted up as long as there is a history file. The standby goes there only if its own
 *   timeline is an ancestor (rescanLatestTimeLine in xlogrecovery.c), so only the newest history
 *   file counts, and only if it names the timeline. Older branches that were left elsewhere, such
 *   as by restores in place, do not matter: a standby on its way to the newest timeline needs its
 *   ancestors up to where that history left them, and may lie beyond where another one did.
 */
#ifndef PGBR_WAL_ARCHIVE_LEFT_H
#define PGBR_WAL_ARCHIVE_LEFT_H

#include "config/open.h"
#include "wal/archive/source.h"

/* data_dir: of a standby. */
bool left_follows_newest(const char *data_dir);

/* Where the newest timeline in the repositories left this one: *switch_lsn, and *newest. Both 0 if
 * it is the newest itself, or that one does not descend from it. Fails when no repository answers;
 * may be called from any thread. */
int left_at(const struct open_repos *repos, const struct wal_identity *id, uint32_t timeline,
            uint64_t *switch_lsn, uint32_t *newest, struct err *err) MUST_CHECK;

#endif
