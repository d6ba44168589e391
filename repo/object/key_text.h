/*
 * key_text.h - the repository key itself as text, for a sheet of paper: four lines such as
 *
 *     key 1: 0001 0203 0405 0607  d0e5
 *
 * with eight bytes of the key and a check of two, so that a slip in typing is found and its line
 * named. Spaces and the case of letters do not matter, nor does what else a file says around them.
 */
#ifndef PGBR_REPO_OBJECT_KEY_TEXT_H
#define PGBR_REPO_OBJECT_KEY_TEXT_H

#include "repo/object/key.h"

/* Appends the four lines. */
void key_text_format(const struct repo_key *key, struct buf *out);
/* Pure. ERR_KEY, naming the line that is missing, there twice, or mistyped. */
int key_text_parse(const char *text, size_t len, struct repo_key *key, struct err *err) MUST_CHECK;

#endif
