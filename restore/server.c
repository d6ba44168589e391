/*
 * server.c - the processes of a rehearsal's server, see server.h.
 *
 * The postmaster is a direct child with PR_SET_PDEATHSIG, so a drill that is killed takes it along
 * (SIGQUIT: an immediate shutdown). Its state is read from postmaster.pid, as pg_ctl does: while it
 * recovers without hot standby it would answer no connection.
 */
#include "restore/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "restore/confine.h"

enum {
    LOOK_EVERY_MS = 20,
    STOP_WAIT_MS = 600000, /* a shutdown checkpoint on a slow disk */
    END_WAIT_MS = 10000,
    PID_FILE_MAX = 8192,
    STATUS_LINE = 8,        /* LOCK_FILE_LINE_PM_STATUS */
    SPACE_LEAST = 16 << 20, /* of bytes: about what a segment of WAL takes */
};

/* ---- starting ---- */

/* After fork(): other threads' locks may be held, so system calls only. */
static void become_server(char *const *argv, pid_t parent, int log, const struct confinement *c)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    sigemptyset(&none);
    if (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0 || getppid() != parent || setsid() < 0 || null < 0 ||
        dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0 ||
        !confine_self(c))
        _exit(127);
    execv(argv[0], argv);
    _exit(127);
}

static int spawn(struct server *s, char *const *argv, const struct confinement *c, struct err *err)
{
    AUTO(fd_close)
    int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    pid_t self = getpid();
    struct stat st;

    if (log < 0 || fstat(log, &st) != 0)
        return err_sys(err, "cannot open \"%s\"", s->log);
    s->log_from = (uint64_t)st.st_size;
    s->pid = fork();
    if (s->pid == 0)
        become_server(argv, self, log, c);
    if (s->pid < 0) {
        s->pid = 0;
        return err_sys(err, "cannot create a process");
    }
    return 0;
}

int server_start(struct server *s, const struct sandbox *box, const char *bin, const char *conf,
                 const struct confinement *c, struct err *err)
{
    AUTO(mem_free) char *program = xasprintf("%s/postgres", bin);
    AUTO(mem_free) char *config = xasprintf("config_file=%s", conf);
    AUTO(mem_free) char *sockets = xasprintf("unix_socket_directories=%s", box->sockets);
    char option[] = "-c", dir[] = "-D", archive[] = "archive_mode=off", tcp[] = "listen_addresses=",
         primary[] = "primary_conninfo=", subscriptions[] = "max_logical_replication_workers=0",
         workers[] = "max_worker_processes=0";
    /* What keeps it apart stands here once more: the command line wins over every file. */
    char *argv[] = {program, dir,    box->data,     option, config,  option,
                    sockets, option, archive,       option, tcp,     option,
                    primary, option, subscriptions, option, workers, NULL};

    s->box = box;
    s->bin = bin;
    s->status = 0;
    if (s->log == NULL)
        s->log = xasprintf("%s/server.log", box->dir);
    return spawn(s, argv, c, err);
}

/* ---- looking ---- */

/* Has it ended? Then it is no child any more. */
static bool reap(struct server *s)
{
    pid_t got = s->pid == 0 ? -1 : waitpid(s->pid, &s->status, WNOHANG);

    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    s->pid = 0;
    return true;
}

static const char *line_of(const char *text, unsigned number)
{
    while (--number != 0 && text != NULL) {
        text = strchr(text, '\n');
        text = text == NULL ? NULL : text + 1;
    }
    return text;
}

enum server_state server_look(struct server *s)
{
    AUTO(mem_free) char *path = xasprintf("%s/postmaster.pid", s->box->data);
    AUTO(buf_free) struct buf text = BUF_INIT;
    struct err ignored = {0};
    const char *status;

    if (s->pid == 0 || reap(s))
        return SERVER_ENDED;
    if (fs_read_file(AT_FDCWD, path, PID_FILE_MAX, &text, &ignored) != 0 ||
        strtol(buf_text(&text), NULL, 10) != (long)s->pid ||
        (status = line_of(buf_text(&text), STATUS_LINE)) == NULL)
        return SERVER_STARTING;
    if (strncmp(status, "ready", 5) == 0)
        return SERVER_READY;
    return strncmp(status, "standby", 7) == 0 ? SERVER_REPLAYING : SERVER_STARTING;
}

/* On a full disk a server cannot even write what it complains of. */
static void add_space(const struct server *s, struct buf *why)
{
    struct err ignored = {0};
    uint64_t bytes;
    char text[24];

    if (fs_free_bytes(s->box->dir, &bytes, &ignored) == 0 && bytes < SPACE_LEAST)
        buf_addf(why, "; \"%s\" has %s free", s->box->dir, format_bytes(bytes, text));
}

static int has_ended(const struct server *s, struct err *err)
{
    AUTO(buf_free) struct buf why = BUF_INIT;

    server_complaint(s, &why);
    if (WIFSIGNALED(s->status))
        buf_addf(&why, "%sended by signal %d", why.len == 0 ? "" : "; ", WTERMSIG(s->status));
    else if (why.len == 0)
        buf_addf(&why, "it ended with status %d and said nothing", WEXITSTATUS(s->status));
    add_space(s, &why);
    return err_set(err, ERR_FAILED, "the server has ended: %s", buf_text(&why));
}

int server_wait(struct server *s, enum server_state state, const struct stop *stop, struct err *err)
{
    for (;;) {
        enum server_state now = server_look(s);

        if (now == SERVER_ENDED)
            return has_ended(s, err);
        if (now >= state)
            return 0;
        TRY(stop_check(stop, err));
        clock_sleep_ms(LOOK_EVERY_MS);
    }
}

/* ---- the end ---- */

static bool wait_end(struct server *s, unsigned ms, const struct stop *stop)
{
    int64_t end = clock_monotonic_us() + ms * INT64_C(1000);

    while (s->pid != 0 && !reap(s)) {
        if (stop_wanted(stop) || clock_monotonic_us() >= end)
            return false;
        clock_sleep_ms(LOOK_EVERY_MS);
    }
    return true;
}

int server_stop(struct server *s, const struct stop *stop, struct err *err)
{
    if (s->pid == 0 || reap(s))
        return has_ended(s, err);
    kill(s->pid, SIGINT); /* fast */
    if (!wait_end(s, STOP_WAIT_MS, stop)) {
        TRY(stop_check(stop, err));
        return err_set(err, ERR_FAILED, "the server does not shut down");
    }
    if (!WIFEXITED(s->status) || WEXITSTATUS(s->status) != 0)
        return has_ended(s, err);
    return 0;
}

void server_end(struct server *s)
{
    if (s->pid == 0 || reap(s))
        return;
    kill(s->pid, SIGQUIT); /* immediate */
    if (wait_end(s, END_WAIT_MS, NULL))
        return;
    kill(s->pid, SIGKILL);
    wait_end(s, END_WAIT_MS, NULL);
}

void server_free(struct server *s)
{
    server_end(s);
    mem_free(&s->log);
    mem_free(&s->superuser);
}
