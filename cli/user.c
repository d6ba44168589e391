/* user.c - see user.h. */
#include "cli/user.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

static int find_user(const struct config *c, const struct cluster_config *cluster,
                     struct passwd *found, char *text, size_t size, struct err *err)
{
    struct passwd *entry = NULL;
    struct stat st;

    if (c->user != NULL) {
        if (getpwnam_r(c->user, found, text, size, &entry) != 0 || entry == NULL)
            return err_set(err, ERR_CONFIG, "\"%s\": there is no user \"%s\"", c->path, c->user);
        return 0;
    }
    if (cluster->data != NULL && stat(cluster->data, &st) == 0 && st.st_uid != 0) {
        if (getpwuid_r(st.st_uid, found, text, size, &entry) == 0 && entry != NULL)
            return 0;
        return err_set(err, ERR_CONFIG, "the owner of \"%s\", uid %u, has no name", cluster->data,
                       st.st_uid);
    }
    if (getpwnam_r("postgres", found, text, size, &entry) == 0 && entry != NULL)
        return 0;
    return err_set(
        err, ERR_CONFIG,
        "pgbr does not work as root, and there is neither a data directory whose owner it "
        "could become nor a user \"postgres\"; set \"user\" in \"%s\"",
        c->path);
}

/* Splits an absolute path behind the last directory that exists. *name: its first missing part;
 * NULL: nothing is missing. */
static void first_missing(const char *path, char **above, char **name)
{
    struct stat st;

    for (size_t begin = 1; path[begin - 1] != '\0';) {
        size_t len = strcspn(path + begin, "/");
        AUTO(mem_free) char *upto = xstrndup(path, begin + len);

        if (len != 0 && stat(upto, &st) != 0) {
            *above = xstrndup(path, begin);
            *name = xstrndup(path + begin, len);
            return;
        }
        begin += len + (path[begin + len] == '/');
        if (path[begin] == '\0')
            return;
    }
}

/*
 * Makes the first missing part of the path and hands it over; the rest the user makes himself. Done
 * only in a directory that nobody but root can change, and relative to it, so that no link can lead
 * the hand-over elsewhere; in other directories the user may need no help.
 */
static int give_directory(const char *path, const struct passwd *user, struct err *err)
{
    AUTO(mem_free) char *above = NULL, *name = NULL;
    AUTO(fd_close) int parent = -1;
    AUTO(fd_close) int made = -1;
    struct stat st;

    first_missing(path, &above, &name);
    if (name == NULL)
        return 0;
    parent = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0 || fstat(parent, &st) != 0 || st.st_uid != 0 || (st.st_mode & 022) != 0)
        return 0;
    if (mkdirat(parent, name, 0700) != 0)
        return err_sys(err, "cannot create \"%s\" in \"%s\"", name, above);
    made = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (made < 0 || fchown(made, user->pw_uid, user->pw_gid) != 0 || fsync(parent) != 0)
        return err_sys(err, "cannot give \"%s\" in \"%s\" to user \"%s\"", name, above,
                       user->pw_name);
    return 0;
}

static int give_directories(const struct config *c, const struct cluster_config *cluster,
                            bool creates, const struct passwd *user, struct err *err)
{
    TRY(give_directory(c->state_dir, user, err));
    for (size_t i = 0; creates && i < cluster->n_repos; i++) {
        AUTO(repo_config_free) struct repo_config repo = {0};

        TRY(config_repo(c, cluster, cluster->repos[i], &repo, err));
        if (repo.type == CONFIG_REPO_POSIX)
            TRY(give_directory(repo.path, user, err));
    }
    return 0;
}

int user_become(const struct config *config, const struct cluster_config *cluster, bool creates,
                struct err *err)
{
    struct passwd user;
    char text[4096];

    if (geteuid() != 0)
        return 0;
    TRY(find_user(config, cluster, &user, text, sizeof text, err));
    if (user.pw_uid == 0)
        return err_set(err, ERR_CONFIG,
                       "pgbr does not work as root; set another \"user\" in \"%s\"", config->path);
    TRY(give_directories(config, cluster, creates, &user, err));
    if (initgroups(user.pw_name, user.pw_gid) != 0 || setgid(user.pw_gid) != 0 ||
        setuid(user.pw_uid) != 0)
        return err_sys(err, "cannot become user \"%s\"", user.pw_name);
    setenv("HOME", user.pw_dir, 1);
    setenv("USER", user.pw_name, 1);
    setenv("LOGNAME", user.pw_name, 1);
    log_info("started as root, working as user \"%s\"", user.pw_name);
    return 0;
}
