/*
 * aws_file.h - the credentials file of AWS's command line ("~/.aws/credentials"): sections in
 * brackets, "name = value" in each.
 */
#ifndef PGBR_CONFIG_AWS_FILE_H
#define PGBR_CONFIG_AWS_FILE_H

#include <stddef.h>

#include "base/err.h"

struct aws_keys {
    char *key, *secret, *token; /* token NULL: none */
};
void aws_keys_wipe(struct aws_keys *k);

/* The keys of a profile: section "[name]", or "[profile name]". ERR_KEY: no such section, or no key
 * in it. Pure. */
int aws_file_parse(const char *text, size_t len, const char *profile, struct aws_keys *out,
                   struct err *err) MUST_CHECK;

#endif
