/* crash.c - see crash.h. */
#include "base/crash.h"

#ifdef PGBR_CRASH_POINTS

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(const char *name)
{
    const char *path = getenv("PGBR_CRASH_LOG");
    char line[128];
    size_t len = strlen(name);
    int fd;

    if (path == NULL || len + 1 > sizeof line)
        return;
    memcpy(line, name, len);
    line[len] = '\n';
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    if (write(fd, line, len + 1) < 0)
        abort();
    close(fd);
}

/* Whether this passing of the point is the one that the variable names: "name" or "name:3". */
static bool is_at(const char *variable, const char *name, atomic_int *passed)
{
    const char *at = getenv(variable);
    size_t len = strlen(name);

    if (at == NULL || strncmp(at, name, len) != 0 || (at[len] != '\0' && at[len] != ':'))
        return false;
    return atomic_fetch_add(passed, 1) + 1 == (at[len] == ':' ? atoi(at + len + 1) : 1);
}

bool crash_wanted(const char *name)
{
    static atomic_int passed, passed_stop;

    note(name);
    if (is_at("PGBR_STOP_AT", name, &passed_stop))
        kill(getpid(), SIGSTOP);
    return is_at("PGBR_CRASH_AT", name, &passed);
}

void crash_now(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

void crash_point(const char *name)
{
    if (crash_wanted(name))
        crash_now();
}

#endif
