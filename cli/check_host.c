/* check_host.c - this side of things: configuration, user, directories, catalog. */
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "cli/check.h"
#include "cli/job_words.h"
#include "postgres/control.h"
#include "scheduler/jobs/jobs.h"

enum { STATE_NEEDS = 64 << 20 }; /* bytes: catalog, and paths of a large backup that spill */

static void configuration(struct check *k)
{
    const struct config *c = k->app->config;
    AUTO(buf_free) struct buf repos = BUF_INIT;

    for (size_t i = 0; i < k->cluster->n_repos; i++)
        buf_addf(&repos, "%s%s", i == 0 ? "" : ", ", k->cluster->repos[i]);
    check_say(k, CHECK_OK, "configuration", NULL, NULL,
              "\"%s\": cluster \"%s\" with repositories %s", k->app->config_absolute,
              k->cluster->name, buf_text(&repos));
    /* Started as root it was read before the user changed; PostgreSQL runs archive_command as him.
     */
    if (access(k->app->config_absolute, R_OK) != 0)
        check_say(k, CHECK_FAILED, "configuration", NULL,
                  "let the user that PostgreSQL runs as read it: archive_command needs it",
                  "\"%s\" cannot be read: %m", k->app->config_absolute);
    for (size_t i = 0; i < c->n_notes; i++)
        check_say(k, c->notes[i].warning ? CHECK_WARNING : CHECK_OK, "configuration", NULL, NULL,
                  "%s", c->notes[i].text);
}

/* With one job that is wrong, those of all clusters wait: no scheduler takes such a file. */
static void wrong_job(struct check *k, const struct err *err)
{
    check_say(k, CHECK_FAILED, "configuration", NULL,
              "mend it: the scheduler takes no file with such a job", "%s", err->msg);
}

static void jobs(struct check *k)
{
    const struct config *c = k->app->config;
    AUTO(job_set_free) struct job_set set = {0};
    struct err err = {0};

    for (size_t i = 0; i < c->n_jobs; i++)
        if (job_words_check_one(c, &c->jobs[i], &err) != 0)
            wrong_job(k, &err);
    if (job_set_open(&set, c, &err) != 0)
        wrong_job(k, &err);
}

/* The name of a user, or his number. */
static const char *user_name(uid_t uid, char out[64])
{
    struct passwd entry, *found = NULL;
    char text[4096];

    if (getpwuid_r(uid, &entry, text, sizeof text, &found) == 0 && found != NULL)
        snprintf(out, 64, "%.60s", entry.pw_name);
    else
        snprintf(out, 64, "%u", uid);
    return out;
}

static void data_directory(struct check *k)
{
    const char *path = k->cluster->data;
    AUTO(fd_close) int fd = -1;
    struct pg_control control;
    char own[64], theirs[64];
    struct err err = {0};
    struct stat st;

    if (path == NULL) {
        check_say(k, CHECK_OK, "data directory", NULL,
                  "set \"data\", so that WAL can be pushed and restores begin without a server",
                  "not configured, it is asked from the server");
        return;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        check_say(k, CHECK_FAILED, "data directory", NULL, "see \"data\" in the configuration",
                  "\"%s\" cannot be opened: %m", path);
        return;
    }
    if (st.st_uid != geteuid()) {
        check_say(k, CHECK_FAILED, "data directory", NULL,
                  "run pgbr as its owner, or as root, which then becomes the owner",
                  "\"%s\" belongs to \"%s\", this is \"%s\"", path, user_name(st.st_uid, theirs),
                  user_name(geteuid(), own));
        return;
    }
    if (control_read(fd, CONTROL_PATH, NULL, &control, &err) != 0) {
        check_say(k, CHECK_FAILED, "data directory", NULL, NULL, "\"%s\": %s", path, err.msg);
        return;
    }
    check_say(k, CHECK_OK, "data directory", NULL, NULL,
              "\"%s\": PostgreSQL %u, system identifier %llu, %s", path, control.version->major,
              (unsigned long long)control.system_id, control_state_name(control.state));
}

static int try_writing(const char *dir, struct err *err)
{
    AUTO(mem_free) char *path = xasprintf("%s/check-%ld", dir, (long)getpid());

    TRY(fs_mkdirs(dir, 0700, err));
    TRY(fs_replace(AT_FDCWD, path, "pgbr\n", 5, 0600, err));
    if (unlink(path) != 0)
        return err_sys(err, "cannot remove \"%s\"", path);
    return 0;
}

static void state_directory(struct check *k)
{
    const char *dir = k->app->config->state_dir;
    struct err err = {0};
    struct stat st;

    if (try_writing(dir, &err) != 0) {
        check_say(k, CHECK_FAILED, "state directory", NULL,
                  "make it writable for the user that PostgreSQL runs as", "%s", err.msg);
        return;
    }
    if (stat(dir, &st) == 0 && (st.st_mode & 022) != 0)
        check_say(k, CHECK_WARNING, "state directory", NULL, "chmod 700",
                  "others than its owner may write to \"%s\"", dir);
    check_disk(k, "state directory", NULL, dir, STATE_NEEDS);
}

static void catalog(struct check *k)
{
    AUTO(mem_free) char *path = app_catalog_path(k->app);
    AUTO(catalog_close) struct catalog *c = NULL;
    struct err err = {0};

    if (catalog_open(&c, path, &err) == 0 && catalog_check(c, &err) == 0) {
        check_say(k, CHECK_OK, "catalog", NULL, NULL, "\"%s\" is whole", path);
        return;
    }
    check_say(k, CHECK_WARNING, "catalog", NULL,
              err.code == ERR_CORRUPT ? "\"pgbr catalog rebuild\" makes it anew" : NULL, "%s",
              err.msg);
}

void check_host(struct check *k)
{
    configuration(k);
    jobs(k);
    data_directory(k);
    state_directory(k);
    catalog(k);
}
