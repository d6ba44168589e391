/* child.c - see child.h. */
#include "scheduler/jobs/child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

/* Ours first: where a name comes twice, programs take the first. */
static const char **environment(const char *const *own)
{
    size_t n = 0, total = 0;
    const char **all;

    while (own != NULL && own[n] != NULL)
        n++;
    while (environ[total] != NULL)
        total++;
    all = xcalloc(n + total + 1, sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = own[i];
    for (size_t i = 0; i < total; i++)
        all[n + i] = environ[i];
    return all;
}

static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int keep_fd)
{
    sigset_t none, defaults;
    int rc;

    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0 && keep_fd >= 0) /* onto itself: takes the close-on-exec mark away */
        rc = posix_spawn_file_actions_adddup2(files, keep_fd, keep_fd);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attributes, &defaults);
    if (rc == 0)
        rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                      POSIX_SPAWN_SETPGROUP);
    return rc;
}

int child_start(const struct child_terms *t, pid_t *pid, struct err *err)
{
    AUTO(mem_free) const char **env = environment(t->env);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int rc;

    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    rc = prepare(&files, &attributes, t->keep_fd);
    if (rc == 0) /* it takes them without const, and does not change them */
        rc = posix_spawn(pid, t->argv[0], &files, &attributes, (char *const *)(uintptr_t)t->argv,
                         (char *const *)(uintptr_t)env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    if (rc == 0)
        return 0;
    errno = rc;
    return err_sys(err, "cannot start \"%s\"", t->argv[0]);
}

void child_ask(pid_t pid, enum child_reach reach)
{
    pid_t to = reach == CHILD_GROUP ? -pid : pid;

    kill(to, SIGTERM);
    kill(to, SIGCONT); /* stopped, it would not take note */
}

void child_kill(pid_t pid)
{
    kill(-pid, SIGKILL);
}

void child_block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

int child_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
