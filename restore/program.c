/* program.c - see program.h. */
#include "restore/program.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"

enum { LOOK_EVERY_MS = 100 };

static int spawn(const char *const *words, int out, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none;
    char *argv[32] = {0};
    int rc;

    assert(words[0] != NULL);
    for (size_t i = 0; i < LENGTH(argv) - 1 && words[i] != NULL; i++)
        memcpy(&argv[i], &words[i], sizeof argv[i]); /* they are not written to */
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&how, &none);
    rc = posix_spawn(pid, words[0], &files, &how, argv, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* To the end of what it writes; false: stop was wanted. */
static bool listen_to(int fd, size_t max, const struct stop *stop, struct buf *said)
{
    char text[4096];

    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        ssize_t n;

        if (stop_wanted(stop))
            return false;
        if (poll(&p, 1, LOOK_EVERY_MS) <= 0)
            continue;
        n = read(fd, text, sizeof text);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return true;
        if (said->len < max)
            buf_add(said, text, MIN_OF((size_t)n, max - said->len));
    }
}

int program_read(const char *const *words, size_t max, const struct stop *stop, struct buf *said,
                 struct err *err)
{
    AUTO(fd_close) int in = -1;
    AUTO(fd_close) int out = -1;
    int ends[2], status, rc;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_sys(err, "cannot create a pipe");
    in = ends[0];
    out = ends[1];
    rc = spawn(words, out, &pid);
    if (rc != 0) {
        errno = rc;
        return err_sys(err, "cannot run \"%s\"", words[0]);
    }
    fd_close(&out);
    if (!listen_to(in, max, stop, said))
        kill(pid, SIGTERM);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(err, "cannot wait for \"%s\"", words[0]);
    TRY(stop_check(stop, err));
    if (WIFSIGNALED(status))
        return err_set(err, ERR_FAILED, "\"%s\" was ended by signal %d", words[0],
                       WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(err, ERR_FAILED, "\"%s\" ended with status %d", words[0],
                       WEXITSTATUS(status));
    return 0;
}
