/* repo_fixture.c - see repo_fixture.h. */
#include "tests/lib/test.h"

#include "tests/lib/repo_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"

struct store *fixture_store;
char fixture_key_file[80], fixture_state_dir[80];

static struct err err;
static char work[64];

int fixture_begin(void **state)
{
    (void)state;
    strcpy(work, "/tmp/pgbr-test-repo-XXXXXX");
    if (mkdtemp(work) == NULL)
        return -1;
    snprintf(fixture_key_file, sizeof fixture_key_file, "%s/key", work);
    snprintf(fixture_state_dir, sizeof fixture_state_dir, "%s/state", work);
    OK(fs_replace(AT_FDCWD, fixture_key_file, "0123456789abcdef0123456789abcdef", 32, 0600, &err),
       &err);
    fixture_store = store_mem_new();
    return 0;
}

int fixture_end(void **state)
{
    (void)state;
    store_close(&fixture_store);
    return fs_remove_tree(AT_FDCWD, work, false, &err);
}

struct repo_options fixture_plain(void)
{
    return (struct repo_options){.name = "local", .cluster = "main", .level = 1};
}

struct repo_options fixture_encrypted(void)
{
    struct repo_options o = fixture_plain();

    o.encrypted = true;
    o.secret.key_file = fixture_key_file;
    return o;
}

void fixture_init(const struct repo_options *o, bool expect_created)
{
    AUTO(repo_close) struct repo *r = NULL;
    bool created = !expect_created;

    OK(repo_init(&r, store_mem_share(fixture_store), o, &created, &err), &err);
    assert_int_equal(created, expect_created);
}

struct repo *fixture_opened(const struct repo_options *o, enum repo_open_mode mode)
{
    struct repo *r = NULL;

    OK(repo_open(&r, store_mem_share(fixture_store), o, mode, &err), &err);
    return r;
}

void fixture_refused(const struct repo_options *o, enum repo_open_mode mode, enum err_code why,
                     const char *says)
{
    struct repo *r = NULL;

    FAILS(repo_open(&r, store_mem_share(fixture_store), o, mode, &err), &err, why);
    assert_null(r);
    if (strstr(err.msg, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}
