/*
 * notify_command.c - a notification as the input of a program.
 *
 * The program gets the event as JSON on standard input and its main fields in the environment; it
 * runs in a process group of its own, which is killed as a whole when its time is up. It is awaited
 * by its number, so that whoever else waits for children of this process must do the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "scheduler/jobs/child.h"
#include "scheduler/notify/notify_send.h"

enum {
    UNKNOWN = -1,
    LOOK_MS = 20,        /* how often it is looked whether it has ended */
    TERM_US = 1000000,   /* between SIGTERM and SIGKILL */
    LINGER_US = 1000000, /* output is read for so long after its end: others may hold the pipe */
};

struct child {
    pid_t pid; /* 0: none, or awaited */
    int in, out;
    int status; /* of waitpid() */
};

static void child_end(struct child *c)
{
    fd_close(&c->in);
    fd_close(&c->out);
    if (c->pid > 0) {
        child_kill(c->pid);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    c->pid = 0;
}

/* ---- environment ---- */

struct strings {
    char **list; /* ends with NULL */
    size_t n;
};

static void strings_free(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->list[i]);
    free(s->list);
}

static void add_string(struct strings *s, char *text)
{
    s->list = xrealloc(s->list, (s->n + 2) * sizeof *s->list);
    s->list[s->n++] = text;
    s->list[s->n] = NULL;
}

static void add_variable(struct strings *s, const char *name, const char *value)
{
    add_string(s, xasprintf("PGBR_EVENT_%s=%s", name, value != NULL ? value : ""));
}

/* pgbr's own variables stay here: secrets are among them. */
static void make_environment(const struct notify_message *m, struct strings *s)
{
    AUTO(buf_free) struct buf line = BUF_INIT;
    const struct catalog_delivery *d = &m->rows[0];
    char number[24], time[40];

    for (char **e = environ; *e != NULL; e++)
        if (strncmp(*e, "PGBR_", 5) != 0)
            add_string(s, xstrdup(*e));
    notify_line(m, &line);
    snprintf(number, sizeof number, "%lld", (long long)d->event);
    add_variable(s, "ID", number);
    snprintf(number, sizeof number, "%zu", m->n);
    add_variable(s, "COUNT", number);
    add_variable(s, "TIME", clock_format_iso(m->rows[m->n - 1].e.time_us, time));
    add_variable(s, "LEVEL", notify_level(m));
    add_variable(s, "KIND", notify_kind(m));
    add_variable(s, "CLUSTER", d->e.cluster);
    add_variable(s, "REPO", d->e.repo);
    add_variable(s, "JOB", d->e.job);
    add_variable(s, "TEXT", buf_text(&line));
    add_variable(s, "RECOVERED", d->recovered ? "1" : "0");
    add_variable(s, "TEST", m->test ? "1" : "0");
}

/* ---- starting ---- */

/* Signals as a fresh program expects them: here some are blocked or ignored. */
static void set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, usual;

    sigemptyset(&none);
    sigfillset(&usual);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &usual);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                             POSIX_SPAWN_SETSIGDEF);
}

static int spawn(struct child *c, const struct notify_receiver *r, char **env, int in, int out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
    set_attributes(&attributes);
    rc = posix_spawn(&c->pid, r->argv[0], &actions, &attributes, r->argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int start(struct child *c, const struct notify_receiver *r, char **env, struct err *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    int rc = 0;

    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        rc = errno;
    if (rc == 0)
        rc = spawn(c, r, env, in[0], out[1]);
    c->in = in[1];
    c->out = out[0];
    fd_close(&in[0]);
    fd_close(&out[1]);
    if (rc != 0) {
        c->pid = 0;
        errno = rc;
        return err_sys(err, "cannot start \"%s\"", r->argv[0]);
    }
    fcntl(c->in, F_SETFL, O_NONBLOCK);
    fcntl(c->out, F_SETFL, O_NONBLOCK);
    return 0;
}

/* ---- running ---- */

static void feed(struct child *c, const struct buf *body, size_t *sent)
{
    ssize_t n = *sent < body->len ? write(c->in, body->p + *sent, body->len - *sent) : 0;

    if (n > 0)
        *sent += (size_t)n;
    if (*sent == body->len || (n < 0 && errno != EAGAIN && errno != EINTR))
        fd_close(&c->in); /* all is said, or nobody listens: it may do without */
}

static void listen_to(struct child *c, struct buf *output)
{
    char piece[4096];
    ssize_t n = read(c->out, piece, sizeof piece);

    if (n > 0)
        notify_keep(output, piece, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        fd_close(&c->out);
}

static void exchange(struct child *c, const struct buf *body, size_t *sent, struct buf *output)
{
    struct pollfd fds[] = {{.fd = c->in, .events = POLLOUT}, {.fd = c->out, .events = POLLIN}};

    if (poll(fds, LENGTH(fds), LOOK_MS) <= 0)
        return;
    if (c->in >= 0 && fds[0].revents != 0)
        feed(c, body, sent);
    if (c->out >= 0 && fds[1].revents != 0)
        listen_to(c, output);
}

static bool has_ended(struct child *c)
{
    pid_t pid = c->pid > 0 ? waitpid(c->pid, &c->status, WNOHANG) : 0;

    if (pid < 0 && errno != EINTR)
        c->status = UNKNOWN; /* somebody waits for all children of this process */
    if (pid == c->pid || (pid < 0 && errno != EINTR))
        c->pid = 0;
    return c->pid == 0;
}

/* Until it has ended and said all, or its time is up. */
static void run(struct child *c, const struct buf *body, int64_t until_us, const struct stop *stop,
                struct buf *output)
{
    int64_t ended_us = 0;
    size_t sent = 0;

    for (bool stopping = false;;) {
        int64_t now = clock_monotonic_us();

        if (!stopping && stop_wanted(stop)) {
            stopping = true;
            until_us = MIN_OF(until_us, now + NOTIFY_STOP_US);
        }
        if (ended_us == 0 && has_ended(c))
            ended_us = now;
        if (ended_us != 0 && (c->out < 0 || now - ended_us > LINGER_US))
            return;
        if (now > until_us)
            return;
        exchange(c, body, &sent, output);
    }
}

static void kill_group(struct child *c)
{
    int64_t until_us = clock_monotonic_us() + TERM_US;
    pid_t pid = c->pid;

    child_ask(pid, CHILD_GROUP);
    while (!has_ended(c) && clock_monotonic_us() < until_us)
        clock_sleep_ms(LOOK_MS);
    child_kill(pid); /* what it started may not have ended with it */
    child_end(c);
}

static int judge(const struct child *c, const struct notify_receiver *r, struct notify_answer *a,
                 struct err *err)
{
    const char *said, *colon;

    while (a->output.len != 0 && a->output.p[a->output.len - 1] == ' ') /* ends of lines */
        a->output.p[--a->output.len] = '\0';
    said = buf_text(&a->output);
    colon = said[0] != '\0' ? ": " : "";

    if (c->status == UNKNOWN)
        return err_set(err, ERR_FAILED, "how \"%s\" ended was not told to who started it",
                       r->argv[0]);
    if (WIFSIGNALED(c->status))
        return err_set(err, ERR_FAILED, "\"%s\" was killed by signal %d%s%.300s", r->argv[0],
                       WTERMSIG(c->status), colon, said);
    a->status = WEXITSTATUS(c->status);
    if (a->status == 0)
        return 0;
    return err_set(err, ERR_FAILED, "\"%s\" ended with status %d%s%.300s", r->argv[0], a->status,
                   colon, said);
}

int notify_command(const struct notify_receiver *r, const struct notify_message *m,
                   const struct stop *stop, struct notify_answer *a, struct err *err)
{
    AUTO(child_end) struct child c = {.in = -1, .out = -1};
    AUTO(strings_free) struct strings env = {0};
    AUTO(buf_free) struct buf body = BUF_INIT;

    make_environment(m, &env);
    notify_body(m, &body);
    buf_addc(&body, '\n');
    TRY(start(&c, r, env.list, err));
    run(&c, &body, clock_monotonic_us() + r->timeout_ms * 1000, stop, &a->output);
    if (c.pid != 0) {
        kill_group(&c);
        TRY(stop_check(stop, err));
        return err_set(err, ERR_UNREACHABLE,
                       "\"%s\" had not ended after %lld s (\"timeout\") and was killed", r->argv[0],
                       (long long)(r->timeout_ms / 1000));
    }
    return judge(&c, r, a, err);
}
