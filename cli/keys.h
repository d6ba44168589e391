/* keys.h - what the files of "pgbr key" share: cmd_key.c, key_show.c, key_sheet.c. */
#ifndef PGBR_CLI_KEYS_H
#define PGBR_CLI_KEYS_H

#include "base/json.h"
#include "cli/app.h"
#include "repo/key_slots.h"

/* One repository of the cluster as "pgbr key" sees it. */
struct keyed_repo {
    const struct cluster_config *cluster;
    struct repo_config conf; /* with its secrets, where there are any */
    struct key_secret secret;
    struct err no_secret; /* why the configuration has none; else code 0 */
    struct repo *repo;
    struct key_slots slots; /* tried with the configuration's secret */
};
int keyed_repo_open(struct app *app, const struct cluster_config *cluster, const char *name,
                    struct keyed_repo *k, struct err *err) MUST_CHECK;
void keyed_repo_free(struct keyed_repo *k);

/* "passphrase" or "key file". */
const char *slot_opener(const struct key_slot_facts *facts);
/* "scrypt, N 32768, r 8, p 1". */
const char *slot_parameters(const struct key_slot_facts *facts, char out[96]);
/* Whether the configuration opens one, and no slot is damaged. */
bool keys_are_well(const struct keyed_repo *k);

void keys_show(const struct keyed_repo *k);
void keys_json(struct json *j, const struct keyed_repo *k);

/* What a person needs who has nothing but the repository and this sheet. key: NULL to leave it out.
 */
int key_sheet(const struct app *app, const struct keyed_repo *k, const struct repo_key *key,
              struct buf *out, struct err *err) MUST_CHECK;

#endif
