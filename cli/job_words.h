/*
 * job_words.h - jobs as command lines: what can be known before they run.
 *
 * An option that the command does not have is found when the file is read, not in the night. What a
 * value may be, the command alone knows.
 */
#ifndef PGBR_CLI_JOB_WORDS_H
#define PGBR_CLI_JOB_WORDS_H

#include "config/config.h"

/* ERR_CONFIG with the place in the file. */
int job_words_check_one(const struct config *c, const struct job_config *job,
                        struct err *err) MUST_CHECK;
/* All of them; the first one that is wrong. */
int job_words_check(const struct config *c, struct err *err) MUST_CHECK;

#endif
