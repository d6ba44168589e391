/*
 * slow_opens.c - a shared library for LD_PRELOAD: every file opened below $SLOW_DIR costs $SLOW_MS
 * milliseconds, as if it were an object behind a network.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_for_network(int dirfd, const char *path)
{
    const char *slow = getenv("SLOW_DIR"), *ms = getenv("SLOW_MS");
    char link[64], base[PATH_MAX] = "";
    ssize_t n;

    if (slow == NULL || ms == NULL)
        return;
    if (path[0] == '/') {
        snprintf(base, sizeof base, "%s", path);
    } else if (dirfd != AT_FDCWD) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
        n = readlink(link, base, sizeof base - 1);
        base[n > 0 ? n : 0] = '\0';
    }
    if (strncmp(base, slow, strlen(slow)) == 0) {
        long all = atol(ms);
        struct timespec t = {all / 1000, all % 1000 * 1000000};

        nanosleep(&t, NULL);
    }
}

static int slow_open(int dirfd, const char *path, int flags, mode_t mode)
{
    wait_for_network(dirfd, path);
    return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

#define WITH_MODE(name)                                \
    int name(const char *path, int flags, ...)         \
    {                                                  \
        va_list more;                                  \
        mode_t mode;                                   \
        va_start(more, flags);                         \
        mode = va_arg(more, mode_t);                   \
        va_end(more);                                  \
        return slow_open(AT_FDCWD, path, flags, mode); \
    }
#define AT_WITH_MODE(name)                                \
    int name(int dirfd, const char *path, int flags, ...) \
    {                                                     \
        va_list more;                                     \
        mode_t mode;                                      \
        va_start(more, flags);                            \
        mode = va_arg(more, mode_t);                      \
        va_end(more);                                     \
        return slow_open(dirfd, path, flags, mode);       \
    }

int open(const char *path, int flags, ...);
int openat(int dirfd, const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

WITH_MODE(open)
WITH_MODE(open64)
AT_WITH_MODE(openat)
AT_WITH_MODE(openat64)

int __open_2(const char *path, int flags)
{
    return slow_open(AT_FDCWD, path, flags, 0);
}
int __open64_2(const char *path, int flags)
{
    return slow_open(AT_FDCWD, path, flags, 0);
}
int __openat_2(int dirfd, const char *path, int flags)
{
    return slow_open(dirfd, path, flags, 0);
}
int __openat64_2(int dirfd, const char *path, int flags)
{
    return slow_open(dirfd, path, flags, 0);
}
