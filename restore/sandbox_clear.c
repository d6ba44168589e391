/*
 * sandbox_clear.c - what drills that died have left behind.
 *
 * A lock that can be taken proves that the owner is gone, whatever processes have its number now.
 * Its server ends with it (see server.c); where it has not yet, it is ended here: the process that
 * postmaster.pid names, if that works in this data directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "restore/sandbox.h"
#include "restore/sandbox_form.h"
#include "restore/site.h"

enum { MARK_MAX = 8192, END_WAIT_MS = 10000, LOOK_EVERY_MS = 50, STILLBORN_S = 60 };

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* ---- the server in it ---- */

static bool works_in(long pid, const char *dir)
{
    AUTO(mem_free) char *link = xasprintf("/proc/%ld/cwd", pid);
    struct stat a, b;

    return stat(link, &a) == 0 && stat(dir, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static long postmaster_of(const char *data)
{
    AUTO(mem_free) char *path = xasprintf("%s/postmaster.pid", data);
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err ignored = {0};
    long pid;

    if (fs_read_file(AT_FDCWD, path, MARK_MAX, &text, &ignored) != 0)
        return 0;
    pid = strtol(buf_text(&text), NULL, 10);
    return pid > 1 && works_in(pid, data) ? pid : 0;
}

/* Ends it at once; its processes may take a moment. */
static int end_server(const char *data, struct err *err)
{
    long pid = postmaster_of(data);
    int64_t end = clock_monotonic_us() + END_WAIT_MS * INT64_C(1000);

    if (pid != 0 && kill((pid_t)pid, SIGQUIT) == 0)
        log_info("ending the server of an abandoned drill (process %ld in \"%s\")", pid, data);
    while (pid != 0 && works_in(pid, data) && clock_monotonic_us() < end)
        clock_sleep_ms(LOOK_EVERY_MS);
    if (pid != 0 && works_in(pid, data))
        kill((pid_t)pid, SIGKILL);
    while (site_refuse_running(data, err) != 0) {
        if (clock_monotonic_us() >= end + END_WAIT_MS * INT64_C(1000))
            return -1;
        clock_sleep_ms(LOOK_EVERY_MS);
    }
    return 0;
}

/* ---- one of them ---- */

/* A line of the mark, without its word; NULL: there is none. Caller frees. */
static char *mark_line(const char *text, const char *word)
{
    AUTO(mem_free) char *start = xasprintf("\n%s ", word);
    const char *at = strstr(text, start);

    if (at == NULL)
        return NULL;
    at += strlen(start);
    return xstrndup(at, strcspn(at, "\n"));
}

static bool is_of_this_host(const char *text)
{
    AUTO(mem_free) char *said = mark_line(text, "host");
    char host[256] = "";

    gethostname(host, sizeof host - 1);
    return strncmp(text, SANDBOX_FIRST_LINE "\n", sizeof SANDBOX_FIRST_LINE) == 0 && said != NULL &&
           strcmp(said, host) == 0;
}

/* The directory for the socket, if it is one that sandbox_make() made. */
static char *sockets_in(const char *text)
{
    static const char start[] = "/tmp/" SANDBOX_PREFIX;
    AUTO(mem_free) char *path = mark_line(text, "sockets");
    struct stat st;

    if (path == NULL || strncmp(path, start, sizeof start - 1) != 0 ||
        strchr(path + sizeof start - 1, '/') != NULL || lstat(path, &st) != 0 ||
        !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return NULL;
    return TAKE(path);
}

/* Opens and locks the mark of an abandoned sandbox. False: it is none, or in use. */
static bool take_mark(const char *dir, int *mark, struct buf *text)
{
    AUTO(mem_free) char *path = xasprintf("%s/" SANDBOX_MARK, dir);
    AUTO(fd_close) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct err ignored = {0};
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        flock(fd, LOCK_EX | LOCK_NB) != 0)
        return false;
    if (fs_read_file(AT_FDCWD, path, MARK_MAX, text, &ignored) != 0 ||
        !is_of_this_host(buf_text(text)))
        return false;
    *mark = fd;
    fd = -1;
    return true;
}

/* Its maker died before it had a mark. One that was just made may get it yet. */
static bool remove_stillborn(const char *dir)
{
    struct stat st;

    return lstat(dir, &st) == 0 && st.st_uid == geteuid() &&
           clock_now_us() / 1000000 - st.st_mtime > STILLBORN_S && rmdir(dir) == 0;
}

/* *gone: nothing of it is left. */
static void clear_one(const char *dir, bool *gone, unsigned *cleared)
{
    AUTO(mem_free) char *data = xasprintf("%s/data", dir);
    AUTO(mem_free) char *sockets = NULL;
    AUTO(buf_free) struct buf text = BUF_INIT;
    AUTO(fd_close) int mark = -1;
    struct err err = {0};

    *gone = !fs_exists(AT_FDCWD, dir) || remove_stillborn(dir);
    if (*gone || !take_mark(dir, &mark, &text))
        return;
    sockets = sockets_in(buf_text(&text));
    if (end_server(data, &err) != 0 || sandbox_remove_dirs(dir, sockets, &err) != 0) {
        log_warning("the abandoned drill in \"%s\" cannot be removed: %s", dir, err.msg);
        return;
    }
    log_info("removed what an abandoned drill had left in \"%s\"", dir);
    *gone = true;
    ++*cleared;
}

/* ---- all of them ---- */

static DIR *open_list(const char *path)
{
    return path == NULL ? NULL : opendir(path);
}

static void clear_noted(const char *state_dir, unsigned *cleared)
{
    AUTO(mem_free) char *notes = xasprintf("%s/" SANDBOX_NOTES, state_dir);
    AUTO(dir_close) DIR *list = open_list(notes);

    for (struct dirent *e; list != NULL && (e = readdir(list)) != NULL;) {
        AUTO(mem_free) char *note = xasprintf("%s/%s", notes, e->d_name);
        AUTO(buf_free) struct buf dir = BUF_INIT;
        struct err ignored = {0};
        bool gone = false;

        if (is_dots(e->d_name) || fs_read_file(AT_FDCWD, note, MARK_MAX, &dir, &ignored) != 0)
            continue;
        if (strstr(buf_text(&dir), "/" SANDBOX_PREFIX) != NULL && dir.p[0] == '/')
            clear_one(buf_text(&dir), &gone, cleared);
        if (gone)
            unlink(note);
    }
}

static void clear_below(const char *where, unsigned *cleared)
{
    AUTO(dir_close) DIR *list = open_list(where);

    for (struct dirent *e; list != NULL && (e = readdir(list)) != NULL;) {
        AUTO(mem_free) char *dir = xasprintf("%s/%s", where, e->d_name);
        bool gone;

        if (strncmp(e->d_name, SANDBOX_PREFIX, strlen(SANDBOX_PREFIX)) == 0)
            clear_one(dir, &gone, cleared);
    }
}

void sandboxes_clear(const char *state_dir, const char *where, unsigned *cleared)
{
    *cleared = 0;
    clear_noted(state_dir, cleared);
    clear_below(where, cleared);
}
