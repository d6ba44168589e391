/*
 * pin.h - what a restored cluster still needs: its backup's WAL, until recovery is over.
 *
 * A restore takes a lease that names its backup, which keeps it and all WAL from its start on from
 * being expired, and leaves it behind (docs/format.md, "Ages": a day). Recovery may take longer, so
 * the restore also leaves a note in the state directory, by which archive-get, run by the restored
 * server, renews the lease. Nothing of this may hinder a restore or a recovery: what goes wrong is
 * logged for debugging only. A repository that cannot be written to from here is an ordinary case.
 */
#ifndef PGBR_WAL_ARCHIVE_PIN_H
#define PGBR_WAL_ARCHIVE_PIN_H

#include "config/open.h"
#include "repo/pack/pack.h"

struct pin {
    char repo[CONFIG_NAME_MAX + 1];
    char set[LABEL_SIZE + 1];  /* of the lease */
    char base[LABEL_SIZE + 1]; /* the backup */
    struct set_identity id;
    int64_t made_us;
};
/* data_dir: of the restored cluster. */
void pin_remember(const char *state_dir, const char *cluster, const char *data_dir,
                  const struct pin *pin);
/* In the data directory of a restored server: renews the lease if it is older than ten minutes and
 * recovery still goes on. A standby asks for WAL for ever, so that of one is renewed for a week. */
void pin_renew(const char *state_dir, const char *cluster, const struct open_repos *repos);

#endif
