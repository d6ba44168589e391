/*
 * repo_fixture.h - repositories for unit tests: a store in memory that all handles of a test share,
 * a key file (scrypt takes its time) and a place for state files.
 */
#ifndef PGBR_TESTS_LIB_REPO_FIXTURE_H
#define PGBR_TESTS_LIB_REPO_FIXTURE_H

#include "repo/repo.h"

extern struct store *fixture_store; /* tests may close it and put another one here */
extern char fixture_key_file[80], fixture_state_dir[80];

/* Setup and teardown of each test. */
int fixture_begin(void **state);
int fixture_end(void **state);

/* Repository "local", cluster "main", level 1, no state file. */
struct repo_options fixture_plain(void);
struct repo_options fixture_encrypted(void);

void fixture_init(const struct repo_options *o, bool expect_created);
struct repo *fixture_opened(const struct repo_options *o, enum repo_open_mode mode);
/* Opening fails with this code, and its message says that. */
void fixture_refused(const struct repo_options *o, enum repo_open_mode mode, enum err_code why,
                     const char *says);

#endif
