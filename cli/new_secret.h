/* new_secret.h - where a new passphrase or key file comes from: never the command line. */
#ifndef PGBR_CLI_NEW_SECRET_H
#define PGBR_CLI_NEW_SECRET_H

#include "repo/object/key.h"

/* Set in the environment instead of a file. */
#define NEW_PASS_VARIABLE "PGBR_NEW_CIPHER_PASS"

struct new_secret {
    const char *pass_file, *key_file, *generate; /* options; at most one is set */
    struct key_secret secret;                    /* what came of it, borrowed from here */
    char *text, *from;                           /* from: for messages */
};

/* Whether an option or the environment says where it is. */
bool new_secret_is_told(const struct new_secret *n);
/* From the file that an option names, else from the environment, else asked for twice on the
 * terminal without echo. `generate` makes the file, mode 0400, and refuses one that is there.
 * ERR_USAGE: nothing is told and there is no terminal. */
int new_secret_get(struct new_secret *n, struct err *err) MUST_CHECK;
void new_secret_free(struct new_secret *n); /* wipes; key files stay */

#endif
