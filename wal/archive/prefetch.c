/* prefetch.c - starting the process that fetches ahead. See prefetch.h. */
#include "wal/archive/prefetch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

enum { KEPT_DIR = 3, KEPT_LOCK = 4 };

static bool in_dir(const char *dir, const char *file)
{
    AUTO(mem_free) char *path = xasprintf("%s/%s", dir, file);

    return fs_exists(AT_FDCWD, path);
}

bool prefetch_in_recovery(const char *data_dir)
{
    return in_dir(data_dir, "postmaster.pid") &&
           (in_dir(data_dir, "recovery.signal") || in_dir(data_dir, "standby.signal"));
}

/* What it has made is removed by whoever comes next. */
static void on_signal(int number)
{
    (void)number;
    _exit(0);
}

/* Descriptors first to where nothing of what is kept can be in the way. */
static bool keep_only(struct spool *s)
{
    int dir = fcntl(s->dir, F_DUPFD_CLOEXEC, 64), lock = fcntl(s->lock, F_DUPFD_CLOEXEC, 64);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (dir < 0 || lock < 0 || null < 0)
        return false;
    for (int fd = 0; fd < 3; fd++)
        if (dup2(null, fd) < 0)
            return false;
    if (dup3(dir, KEPT_DIR, O_CLOEXEC) < 0 || dup3(lock, KEPT_LOCK, O_CLOEXEC) < 0)
        return false;
    s->dir = KEPT_DIR;
    s->lock = KEPT_LOCK;
    return close_range(KEPT_LOCK + 1, ~0U, 0) == 0;
}

__attribute__((noreturn)) static void live(const struct prefetch *p, struct spool *s)
{
    static const int asked_to_end[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

    for (size_t i = 0; i < LENGTH(asked_to_end); i++)
        signal(asked_to_end[i], on_signal);
    signal(SIGPIPE, SIG_IGN);
    mem_exit_status(0);
    if (chdir("/") == 0 && keep_only(s))
        prefetch_run(p, s);
    _exit(0);
}

/* A child whose child lives on: the caller waits only for the first, which ends at once. The lock
 * goes with the open file, so there is no moment at which nobody holds it. */
static void detach(const struct prefetch *p, struct spool *s)
{
    pid_t child = fork();
    int status;

    if (child < 0) {
        log_debug("nothing is fetched ahead: no process can be started");
        return;
    }
    if (child == 0) {
        setsid();
        if (fork() == 0)
            live(p, s);
        _exit(0);
    }
    waitpid(child, &status, 0);
}

/* Twice what may wait must be free: the state directory is not for filling disks. */
static bool has_room(const struct prefetch *p, const struct spool *s)
{
    struct err err = {0};
    uint64_t free_bytes;

    if (fs_free_bytes(s->path, &free_bytes, &err) != 0)
        return false;
    return free_bytes / 2 > (uint64_t)p->ahead * p->segment_size;
}

void prefetch_start(const struct prefetch *p)
{
    AUTO(spool_close) struct spool s = SPOOL_INIT;
    struct err err = {0};

    if (spool_open(&s, p->c, p->cluster, p->only, p->data_dir, &p->id, SPOOL_CREATE, &err) != 0) {
        log_warning("nothing is fetched ahead: %s", err.msg);
        return;
    }
    if (!spool_own(&s))
        return; /* there is one */
    spool_clean(&s, NULL, NULL);
    if (!has_room(p, &s)) {
        log_debug("nothing is fetched ahead: \"%s\" has too little space", s.path);
        spool_remove(&s);
        return;
    }
    spool_tell(&s, p->file);
    detach(p, &s);
}
